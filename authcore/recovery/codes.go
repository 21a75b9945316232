package recovery

import (
	"context"
	"fmt"
	"time"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// Codes are a new set of recovery codes, for the user's eyes: they cannot be shown again.
type Codes struct {
	secret.Hidden

	Codes     []string // as people read them
	CreatedAt time.Time
}

// CodesStatus says what is left of a user's set. The zero value: there is none.
type CodesStatus struct {
	Total, Remaining int
	CreatedAt        *time.Time // nil without a set
	LastUsedAt       *time.Time // nil when none was used
}

// CreateCodes gives a user a new set of codes, in place of the old one, and releases the lock of
// wrong ones: guesses at the old set say nothing of the new one. ErrCodesOff,
// user.ErrNotFound, user.ErrBlocked. The reason is for the audit log: up to 256 characters,
// or empty; credential.ErrReason.
func (s *Service) CreateCodes(ctx context.Context, sc scope.Scope, id user.ID, reason string) (Codes, error) {
	if reason != "" && !audit.IsReason(reason) {
		return Codes{}, credential.ErrReason
	}
	ring, snap, err := s.tenant(ctx, sc)
	if err != nil {
		return Codes{}, err
	}
	if !snap.Policy.RecoveryCodes {
		return Codes{}, ErrCodesOff
	}
	hashes := make([][]byte, codesInSet)
	made := Codes{Codes: make([]string, codesInSet)}
	for i := range codesInSet {
		code, err := newCode(s.rand)
		if err != nil {
			return Codes{}, err
		}
		hashes[i], made.Codes[i] = hash(ring, id, code), written(code)
	}
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		released, err := release(ctx, tx, ring, &snap.Policy, id)
		if err != nil {
			return err
		}
		// Two sets at once would be left as one of 20.
		if err := lockUser(ctx, tx, id); err != nil {
			return err
		}
		old, err := tx.DeleteRecoveryCodes(ctx, id.UUID())
		if err != nil {
			return fmt.Errorf("delete recovery codes: %w", err)
		}
		made.CreatedAt = tx.Now()
		for _, h := range hashes {
			if err := tx.InsertRecoveryCode(ctx, tenantq.InsertRecoveryCodeParams{UserID: id.UUID(), Hash: h, CreatedAt: tx.Now()}); err != nil {
				return fmt.Errorf("insert recovery code: %w", err)
			}
		}
		return record(ctx, tx, audit.Entry{
			Action: "recovery.codes_create", Target: target(id), Reason: reason,
			Detail: []attr.Attr{attr.Int("codes", codesInSet), attr.Int("unusedBefore", int64(old.Unused)), attr.Bool("lockReleased", released)},
		}, event.Event{Type: event.RecoveryCodesCreated, UserID: id.UUID()})
	})
	if err != nil {
		return Codes{}, err
	}
	return made, nil
}

// Codes says how many codes a user has left, also where policy has none any more.
// user.ErrNotFound.
func (s *Service) Codes(ctx context.Context, sc scope.Scope, id user.ID) (CodesStatus, error) {
	var status CodesStatus
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		uid := id.UUID()
		if _, err := tx.FindUserID(ctx, tenantq.FindUserIDParams{ID: &uid}); db.IsNoRows(err) {
			return user.ErrNotFound
		} else if err != nil {
			return fmt.Errorf("find user: %w", err)
		}
		row, err := tx.CountRecoveryCodes(ctx, uid)
		if err != nil {
			return fmt.Errorf("count recovery codes: %w", err)
		}
		status = CodesStatus{Total: int(row.Codes), Remaining: int(row.Unused)}
		if row.Codes > 0 {
			status.CreatedAt = &row.CreatedAt
		}
		if row.Unused < row.Codes {
			status.LastUsedAt = &row.UsedAt
		}
		return nil
	})
	return status, err
}

// DeletedCodes says what DeleteCodes deleted.
type DeletedCodes struct {
	UserID user.ID
	Codes  int // that were unused
}

// DeleteCodes voids a user's set. Where there is none it leaves no trace. user.ErrNotFound.
// The reason is for the audit log: up to 256 characters, or empty; credential.ErrReason.
func (s *Service) DeleteCodes(ctx context.Context, sc scope.Scope, id user.ID, reason string) (DeletedCodes, error) {
	deleted := DeletedCodes{UserID: id}
	if reason != "" && !audit.IsReason(reason) {
		return deleted, credential.ErrReason
	}
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if _, err := tx.LockUser(ctx, id.UUID()); db.IsNoRows(err) {
			return user.ErrNotFound
		} else if err != nil {
			return fmt.Errorf("lock user: %w", err)
		}
		old, err := tx.DeleteRecoveryCodes(ctx, id.UUID())
		if err != nil {
			return fmt.Errorf("delete recovery codes: %w", err)
		}
		deleted.Codes = int(old.Unused)
		tx.Result(deleted)
		if old.Codes == 0 {
			return nil
		}
		return record(ctx, tx, audit.Entry{
			Action: "recovery.codes_delete", Target: target(id), Reason: reason, Detail: []attr.Attr{attr.Int("unusedBefore", int64(old.Unused))},
		}, event.Event{Type: event.RecoveryCodesDeleted, UserID: id.UUID()})
	})
	return deleted, err
}

func target(id user.ID) audit.Target { return audit.Target{Kind: "user", ID: id.String()} }
