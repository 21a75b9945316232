package session

import (
	"context"
	"fmt"

	"github.com/biocore-id/biocore/authcore/token"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Refreshed is a session with its new tokens.
type Refreshed struct {
	Session Session
	Tokens  Tokens
}

// Refresh trades a refresh token for new tokens; the old one is used up. A token that
// was used before revokes the session, since one of its two holders is a thief and
// nobody can tell which; so does a client that sends one token twice at once.
//
// ErrRefreshToken for what is no token of this tenant or whose user was erased;
// ErrRevoked, also for the call that finds the reuse; ErrExpired after the session's
// lifetime or when it was idle for too long. Answers are not replayable: they hold
// secrets.
func (s *Service) Refresh(ctx context.Context, sc scope.Scope, refreshToken string) (Refreshed, error) {
	t, err := s.tenant(ctx, sc)
	if err != nil {
		return Refreshed{}, err
	}
	presented, err := token.ParseRefresh(t.ring, refreshToken)
	if err != nil {
		s.refuse(ctx, sc, actionRefresh, err)
		return Refreshed{}, ErrRefreshToken.WithCause(err)
	}
	ahead, err := s.signAhead(ctx, sc, t.ring, t.snap, presented)
	if err != nil {
		return Refreshed{}, err
	}
	var out Refreshed
	var reused bool
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		reused = false
		// Of two refreshes with one token at once the second must see that the first has
		// rotated it.
		row, err := tx.LockSession(ctx, presented.Session)
		if db.IsNoRows(err) {
			return ErrRefreshToken
		} else if err != nil {
			return fmt.Errorf("lock session: %w", err)
		}
		current := FromRow(row)
		now := tx.Now()
		switch {
		case current.RevokedAt != nil:
			return ErrRevoked
		case !now.Before(current.ExpiresAt), !now.Before(current.LastUsedAt.Add(t.snap.Policy.RefreshIdle())):
			return ErrExpired
		case presented.Generation != current.Generation:
			// A later generation than the row's means that the database was restored from a
			// backup: the same answer, since the chain is broken.
			reused = true
			return endReused(ctx, tx, current, presented.Generation)
		}
		if ahead != nil {
			now = ahead.Session.LastUsedAt // as the tokens say
		}
		if row, err = tx.RotateRefresh(ctx, tenantq.RotateRefreshParams{ID: row.ID, Now: now}); err != nil {
			return fmt.Errorf("rotate refresh token: %w", err)
		}
		out.Session = FromRow(row)
		// Signed before the commit: a token that cannot be made must not use up the old one.
		if ahead != nil {
			out.Tokens = ahead.Tokens
		} else if out.Tokens, err = s.Issue(ctx, t.ring, t.snap, out.Session, true); err != nil {
			return err
		}
		return audit.Append(ctx, tx, entry(out.Session, audit.Entry{Action: actionRefresh, Subject: out.Session.UserID.UUID()}))
	})
	if err != nil {
		return Refreshed{}, err
	}
	if reused { // the revocation is committed, and only then refused
		s.standing.Forget(sc.Tenant(), presented.Session.String())
		return Refreshed{}, ErrRevoked
	}
	return out, nil
}

// signAhead makes the tokens of a refresh before its transaction when the key is in a
// KMS, since no row may stay locked while the network answers. It decides nothing: nil
// when the session is not one that the tokens could be of, which the transaction finds.
func (s *Service) signAhead(
	ctx context.Context, sc scope.Scope, ring *keys.Ring, snap *tenant.Snapshot, presented token.Refresh,
) (*Refreshed, error) {
	if signer := ring.Signer(); signer == nil || !signer.Remote() {
		return nil, nil //nolint:nilnil // nothing to make ahead
	}
	var row tenantq.Session
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		row, err = tx.GetSession(ctx, presented.Session)
		return err
	})
	if db.IsNoRows(err) {
		return nil, nil //nolint:nilnil // as above
	} else if err != nil {
		return nil, fmt.Errorf("get session: %w", err)
	}
	next := FromRow(row)
	if next.RevokedAt != nil || next.Generation != presented.Generation {
		return nil, nil //nolint:nilnil // as above
	}
	next.LastUsedAt = s.store.Now()
	next.Generation++
	tokens, err := s.Issue(ctx, ring, snap, next, true)
	if err != nil {
		return nil, err
	}
	return &Refreshed{Session: next, Tokens: tokens}, nil
}

// endReused revokes a session of which an old refresh token came back.
func endReused(ctx context.Context, tx *db.TenantTx, current Session, presented uint32) error {
	if err := end(ctx, tx, current, "refresh token reused"); err != nil {
		return err
	}
	generations := []attr.Attr{
		attr.Int("presentedGeneration", int64(presented)), attr.Int("currentGeneration", int64(current.Generation)),
	}
	if err := audit.Append(ctx, tx, entry(current, audit.Entry{
		Action: actionRefresh, Outcome: audit.Denied, Fault: "refresh token reused", Detail: generations, Subject: current.UserID.UUID(),
	})); err != nil {
		return err
	}
	for _, typ := range []event.Type{event.SessionRefreshReused, event.SessionRevoked} {
		if err := event.Append(ctx, tx, happened(current, typ)); err != nil {
			return err
		}
	}
	return nil
}
