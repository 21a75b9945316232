package session

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// RevokeRequest names a session to end.
type RevokeRequest struct {
	ID     ID
	Reason string // for the audit log; may be empty
}

// Revoke ends a session and returns it. Its access tokens stop verifying here at
// once, on other servers within a second, and with those who check the signature
// alone when they expire. Revoking twice keeps the first time. ErrNotFound.
func (s *Service) Revoke(ctx context.Context, sc scope.Scope, req RevokeRequest) (Session, error) {
	var revoked Session
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// A refresh under way would else hand out tokens of a session that it saw standing.
		row, err := tx.LockSession(ctx, req.ID.UUID())
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("lock session: %w", err)
		}
		if revoked = FromRow(row); revoked.RevokedAt == nil {
			if err := end(ctx, tx, revoked, "revoked"); err != nil {
				return err
			}
			if err := audit.Append(ctx, tx, entry(revoked, audit.Entry{Action: actionRevoke, Reason: req.Reason})); err != nil {
				return err
			}
			if err := event.Append(ctx, tx, happened(revoked, event.SessionRevoked)); err != nil {
				return err
			}
			now := tx.Now()
			revoked.RevokedAt, revoked.RevokeReason = &now, "revoked"
		}
		tx.Result(revoked)
		return nil
	})
	if err == nil {
		s.standing.Forget(sc.Tenant(), req.ID.String())
	}
	return revoked, err
}

// RevokeAllRequest names the user whose sessions are to end.
type RevokeAllRequest struct {
	UserID user.ID
	Reason string // for the audit log; may be empty
}

// RevokeAllOfUser ends all open sessions of a user and returns how many there were.
// user.ErrNotFound.
func (s *Service) RevokeAllOfUser(ctx context.Context, sc scope.Scope, req RevokeAllRequest) (int, error) {
	var ended []ID
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if _, err := tx.GetUser(ctx, req.UserID.UUID()); db.IsNoRows(err) {
			return user.ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get user: %w", err)
		}
		ids, err := tx.RevokeSessionsOfUser(ctx, tenantq.RevokeSessionsOfUserParams{
			UserID: req.UserID.UUID(), Now: tx.Now(), Reason: "revoked",
		})
		if err != nil {
			return fmt.Errorf("revoke sessions: %w", err)
		}
		ended = make([]ID, len(ids))
		for i, id := range ids {
			ended[i] = ID(id)
		}
		tx.Result(len(ended))
		if len(ended) == 0 {
			return nil
		}
		if err := tx.Changed(ctx, db.NounSession, ""); err != nil { // many: all of the tenant's are read again
			return err
		}
		count := []attr.Attr{attr.Int("sessionsRevoked", int64(len(ended)))}
		if err := audit.Append(ctx, tx, audit.Entry{
			Action: "session.revoke_all", Target: audit.Target{Kind: "user", ID: req.UserID.String()},
			Reason: req.Reason, Detail: count,
		}); err != nil {
			return err
		}
		return event.Append(ctx, tx, event.Event{Type: event.SessionRevoked, UserID: req.UserID.UUID(), Data: count})
	})
	if err != nil {
		return 0, err
	}
	for _, id := range ended {
		s.standing.Forget(sc.Tenant(), id.String())
	}
	return len(ended), nil
}

// MaxBatch is how many sessions BatchRevoke ends at most.
const MaxBatch = 200

// BatchRevokeRequest names sessions to end together.
type BatchRevokeRequest struct {
	IDs    []ID   // 1 to MaxBatch; one that comes twice counts once
	Reason string // for the audit log; may be empty
}

// BatchRevoke ends sessions, all of them or none, and returns them as they are then, by id.
// Each that was not revoked before has an audit entry and an event of its own. ErrNotFound,
// with the id in its metadata, when there is no such session; ErrBatch.
func (s *Service) BatchRevoke(ctx context.Context, sc scope.Scope, req BatchRevokeRequest) ([]Session, error) {
	if len(req.IDs) == 0 || len(req.IDs) > MaxBatch {
		return nil, ErrBatch
	}
	ids := make([]uuid.UUID, len(req.IDs))
	for i, id := range req.IDs {
		ids[i] = id.UUID()
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	ids = slices.Compact(ids)
	var ended []Session
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// As in Revoke. In the order of ids: two batches that share sessions do not each
		// wait for the other.
		rows, err := tx.LockSessions(ctx, ids)
		if err != nil {
			return fmt.Errorf("lock sessions: %w", err)
		}
		ended = make([]Session, len(rows))
		for i, row := range rows {
			ended[i] = FromRow(row)
		}
		for i, id := range ids {
			if i >= len(ended) || ended[i].ID != ID(id) {
				return ErrNotFound.With("sessionId", id.String())
			}
		}
		if err := tx.RevokeSessions(ctx, tenantq.RevokeSessionsParams{Ids: ids, Now: tx.Now(), Reason: "revoked"}); err != nil {
			return fmt.Errorf("revoke sessions: %w", err)
		}
		now := tx.Now()
		for i := range ended {
			one := &ended[i]
			if one.RevokedAt != nil {
				continue
			}
			if err := tx.Changed(ctx, db.NounSession, one.ID.String()); err != nil {
				return err
			}
			if err := audit.Append(ctx, tx, entry(*one, audit.Entry{Action: actionRevoke, Reason: req.Reason})); err != nil {
				return err
			}
			if err := event.Append(ctx, tx, happened(*one, event.SessionRevoked)); err != nil {
				return err
			}
			one.RevokedAt, one.RevokeReason = &now, "revoked"
		}
		tx.Result(ended)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, one := range ended {
		s.standing.Forget(sc.Tenant(), one.ID.String())
	}
	return ended, nil
}

// end revokes a session for a reason of ours and tells every server. Under LockSession.
func end(ctx context.Context, tx *db.TenantTx, sess Session, why string) error {
	if _, err := tx.RevokeSession(ctx, tenantq.RevokeSessionParams{ID: sess.ID.UUID(), Now: tx.Now(), Reason: why}); err != nil {
		return fmt.Errorf("revoke session: %w", err)
	}
	return tx.Changed(ctx, db.NounSession, sess.ID.String())
}

// entry is e about sess.
func entry(sess Session, e audit.Entry) audit.Entry {
	e.Target = audit.Target{Kind: "session", ID: sess.ID.String()}
	e.Detail = append([]attr.Attr{attr.UUID("userId", sess.UserID.UUID())}, e.Detail...)
	return e
}

// happened is an event about sess.
func happened(sess Session, typ event.Type) event.Event {
	return event.Event{Type: typ, UserID: sess.UserID.UUID(), CredentialID: sess.CredentialID.Bytes(), SessionID: sess.ID.UUID()}
}
