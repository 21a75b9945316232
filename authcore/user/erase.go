package user

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/governance/ledger"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// DeleteRequest names the user to erase.
type DeleteRequest struct {
	ID      ID
	IfMatch string // an etag that must still be current; empty for any
	Reason  string // for the audit log; may be empty

	// Again is the erasure that is carried out again, after a backup from before it was restored; nil for a new one.
	Again *ledger.Entry
}

// Erasure says what an erasure deleted.
type Erasure struct {
	ID          ID
	ErasureID   uuid.UUID // by which its certificate is found
	Credentials int64
	Sessions    int64
	Contacts    int64
	Evidence    int64 // records whose keys were destroyed
}

// Delete erases a user with all credentials, sessions and contacts, revoked ones
// included. It cannot be undone. Audit entries and events of the user stay, and name the
// user by id; from where and with what the user did it is erased of them, in every copy. That it was done is noted for
// the ledger, which carries it out again when an older backup is restored. The answer to a call with an Idempotency-Key may hold
// names and contacts for up to 24 hours more. ErrNotFound (also the second time), etag.ErrMismatch.
func (s *Service) Delete(ctx context.Context, sc scope.Scope, req DeleteRequest) (Erasure, error) {
	if err := s.leaves(ctx, sc, req.ID); err != nil {
		return Erasure{}, err
	}
	var erased Erasure
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// A registration that finishes meanwhile takes the same lock, and afterwards finds
		// no user to add its credential to.
		row, err := tx.LockUser(ctx, req.ID.UUID())
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("lock user: %w", err)
		}
		if err := etag.Match(req.IfMatch, etag.Of("user", row.ID[:], row.Version)); err != nil {
			return err
		}
		if err := changed(ctx, tx, req.ID); err != nil {
			return err
		}
		// Credentials before sessions: a sign-in under way holds its credential's row, so
		// its session is committed by the time that sessions are deleted.
		erased = Erasure{ID: req.ID}
		if erased.Evidence, err = tx.CountEvidenceOfUser(ctx, req.ID.UUID()); err != nil {
			return fmt.Errorf("count evidence: %w", err)
		}
		if erased.Credentials, err = tx.DeleteCredentialsOfUser(ctx, req.ID.UUID()); err != nil {
			return fmt.Errorf("delete credentials: %w", err)
		}
		if erased.Sessions, err = tx.DeleteSessionsOfUser(ctx, req.ID.UUID()); err != nil {
			return fmt.Errorf("delete sessions: %w", err)
		}
		if erased.Sessions > 0 {
			if err := tx.Changed(ctx, db.NounSession, ""); err != nil { // many: all of the tenant's are read again
				return err
			}
		}
		if erased.Contacts, err = tx.DeleteContactsOfUser(ctx, req.ID.UUID()); err != nil {
			return fmt.Errorf("delete contacts: %w", err)
		}
		// Segments of feature flags list users by id or external id.
		switch n, err := tx.DeleteSegmentMembersOfUser(ctx, tenantq.DeleteSegmentMembersOfUserParams{ExternalIndex: row.ExternalIndex, UserID: req.ID.UUID()}); {
		case err != nil:
			return fmt.Errorf("delete from segments: %w", err)
		case n > 0:
			for _, noun := range []db.Noun{db.NounSegment, db.NounFlag} { // in this order: sets are made of members
				if err := tx.Changed(ctx, noun, ""); err != nil {
					return err
				}
			}
		}
		if err := tx.EraseSubject(ctx, tenantq.EraseSubjectParams{SubjectID: req.ID.UUID(), Now: tx.Now()}); err != nil {
			return fmt.Errorf("erase from the audit log: %w", err)
		}
		if _, err := tx.DeleteUser(ctx, req.ID.UUID()); err != nil {
			return fmt.Errorf("delete user: %w", err)
		}
		if erased.ErasureID, err = note(ctx, tx, erased, req.Again); err != nil {
			return err
		}
		tx.Result(erased)
		return record(ctx, tx, req.ID, audit.Entry{Action: "user.delete", Reason: req.Reason, Detail: []attr.Attr{
			attr.Int("credentials", erased.Credentials), attr.Int("sessions", erased.Sessions), attr.Int("contacts", erased.Contacts),
			attr.Int("evidence", erased.Evidence), attr.Text("erasureId", erased.ErasureID.String()),
		}}, event.Event{Type: event.UserDeleted})
	})
	if err == nil && s.erased != nil {
		s.erased(context.WithoutCancel(ctx), sc, req.ID.UUID())
	}
	return erased, err
}

// note keeps an erasure for its certificate and for the ledger, in the transaction that erases. One that is carried out
// again keeps its id and its time.
func note(ctx context.Context, tx *db.TenantTx, e Erasure, again *ledger.Entry) (uuid.UUID, error) {
	tenant, id, subject := tx.Scope().Tenant(), e.ID.UUID(), ledger.SubjectOf(tx.Scope().Tenant(), e.ID.UUID())
	entry := ledger.Entry{Tenant: tenant, Subject: subject, At: tx.Now()}
	var replayed *time.Time
	if again != nil {
		entry, replayed = *again, new(tx.Now())
	} else {
		var err error
		if entry.ID, err = uuid.NewV7(); err != nil {
			return uuid.Nil, fmt.Errorf("mint erasure id: %w", err)
		}
	}
	err := tx.InsertErasure(ctx, tenantq.InsertErasureParams{
		ID: entry.ID, Subject: subject[:], UserID: &id, At: entry.At, ErasedBy: string(tx.Scope().Actor().Kind) + ":" + tx.Scope().Actor().ID,
		Credentials: e.Credentials, Sessions: e.Sessions, Contacts: e.Contacts, Evidence: e.Evidence, ReplayedAt: replayed,
	})
	if err != nil {
		return uuid.Nil, fmt.Errorf("note erasure: %w", err)
	}
	return entry.ID, nil
}
