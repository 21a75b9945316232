package apikey

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// MaxOverlap is how long at most a key that was rotated goes on: long enough for a
// rollout of a week, short enough that nobody forgets it.
const MaxOverlap = 7 * 24 * time.Hour

// RotateRequest names a key whose place another is to take.
type RotateRequest struct {
	ID      uuid.UUID
	Overlap time.Duration // 0 to MaxOverlap; 0: the old key ends at once
	// ExpiresAt is the new key's end; nil: it lasts as long as the old one was to last.
	ExpiresAt *time.Time
	Reason    string // for the audit log; may be empty

	// Within, Until and From bound who asks, as in CreateRequest: whoever rotates a key
	// learns a secret with all that the key may do.
	Within []string
	Until  *time.Time
	From   []netip.Prefix
}

// Rotated is a new key with its secret, and the old one.
type Rotated struct {
	Created

	Old Key
}

// Rotate makes a key with the kind, name, scopes and networks of another, which goes on
// for the overlap and then ends by itself; never later than it would have. A key is
// rotated once (ErrRotated): to rotate again is to rotate the new one. Another tenant's
// key is ErrNotFound, and one that has ended ErrEnded.
func (s *Service) Rotate(ctx context.Context, sc scope.Scope, req RotateRequest) (Rotated, error) {
	if req.Overlap < 0 || req.Overlap > MaxOverlap {
		return Rotated{}, ErrOverlap
	}
	t, err := s.tenants.Current(ctx, sc)
	if err != nil {
		return Rotated{}, err
	}
	var made Rotated
	var keyID int64
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Two rotations at once would each leave a key that works for good and that one
		// of the callers knows nothing of: the second waits here, and is refused.
		old, err := usable(ctx, tx, req.ID)
		switch {
		case err != nil:
			return err
		case old.ReplacedBy != nil:
			return ErrRotated
		}
		next := CreateRequest{
			Kind: Kind(old.Kind), Name: old.Name, Scopes: old.Scopes, AllowedCIDRs: old.AllowedCidrs, ExpiresAt: req.ExpiresAt, Reason: req.Reason,
			Within: req.Within, Until: req.Until, From: req.From,
		}
		if len(req.From) > 0 && len(old.AllowedCidrs) == 0 && next.Kind != Publishable {
			return ErrCIDRExceeds // create would narrow it, and the holder's server would be out
		}
		if next.ExpiresAt == nil && old.ExpiresAt != nil {
			ends := tx.Now().Add(old.ExpiresAt.Sub(old.CreatedAt))
			if req.Until != nil && ends.After(*req.Until) {
				ends = *req.Until
			}
			next.ExpiresAt = &ends
		}
		if made.Created, err = create(ctx, tx, t.Mode, next); err != nil {
			return err
		}
		ends := tx.Now().Add(req.Overlap)
		row, err := tx.ReplaceAPIKey(ctx, tenantq.ReplaceAPIKeyParams{ID: old.ID, ReplacedBy: made.ID, EndsAt: ends})
		if err != nil {
			return fmt.Errorf("replace API key: %w", err)
		}
		made.Old, keyID = fromRow(tenantq.ListAPIKeysRow(row)), row.KeyID
		if err := tx.Changed(ctx, db.NounAPIKey, cacheID(old.KeyID)); err != nil {
			return err
		}
		return leave(ctx, tx, "apikey.rotate", event.APIKeyRotated, old.ID, req.Reason,
			attr.UUID("replacedBy", made.ID), attr.Text("expiresAt", made.Old.ExpiresAt.UTC().Format(time.RFC3339)))
	})
	if err != nil {
		return Rotated{}, err
	}
	s.forget(sc, keyID)
	return made, nil
}

// forget makes this server look at a key again at once. The others hear of the change
// within a second, and so would this one.
func (s *Service) forget(sc scope.Scope, keyID int64) { s.known.Forget(sc.Tenant(), cacheID(keyID)) }

// LockRequest names a key.
type LockRequest struct {
	ID     uuid.UUID
	Reason string // for the audit log; may be empty

	// Within, for Unlock, are the scopes of who asks, as in CreateRequest: nobody gives
	// back what they could not have given.
	Within []string
}

// Lock refuses a key from now on, within a second on every server, until Unlock.
// Locking twice keeps the first time. ErrNotFound, and ErrEnded for one that has ended.
func (s *Service) Lock(ctx context.Context, sc scope.Scope, req LockRequest) (Key, error) {
	return s.setLock(ctx, sc, req, true)
}

// Unlock lets a locked key work again, and does nothing to one that is not locked.
// ErrNotFound, ErrEnded, and ErrScopeExceeds for a key that may do what req.Within does not.
func (s *Service) Unlock(ctx context.Context, sc scope.Scope, req LockRequest) (Key, error) {
	return s.setLock(ctx, sc, req, false)
}

func (s *Service) setLock(ctx context.Context, sc scope.Scope, req LockRequest, lock bool) (Key, error) {
	var changed Key
	var keyID int64
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := usable(ctx, tx, req.ID)
		if err != nil {
			return err
		}
		keyID = row.KeyID
		if err := within(req.Within, row.Scopes); !lock && err != nil {
			return err
		}
		if lock == (row.LockedAt != nil) {
			changed = fromRow(tenantq.ListAPIKeysRow(row))
			tx.Result(changed)
			return nil
		}
		action, kind, at := "apikey.unlock", event.APIKeyUnlocked, (*time.Time)(nil)
		if lock {
			now := tx.Now()
			action, kind, at = "apikey.lock", event.APIKeyLocked, &now
		}
		set, err := tx.SetAPIKeyLock(ctx, tenantq.SetAPIKeyLockParams{ID: row.ID, LockedAt: at})
		if err != nil {
			return fmt.Errorf("set lock of API key: %w", err)
		}
		changed = fromRow(tenantq.ListAPIKeysRow(set))
		tx.Result(changed)
		if err := tx.Changed(ctx, db.NounAPIKey, cacheID(row.KeyID)); err != nil {
			return err
		}
		return leave(ctx, tx, action, kind, row.ID, req.Reason)
	})
	if err != nil {
		return Key{}, err
	}
	s.forget(sc, keyID)
	return changed, nil
}

// RevokeRequest names a key.
type RevokeRequest struct {
	ID     uuid.UUID
	Reason string // for the audit log; may be empty
}

// Revoke stops a key for good, and returns it. Revoking twice keeps the first time.
// Another tenant's key is ErrNotFound.
func (s *Service) Revoke(ctx context.Context, sc scope.Scope, req RevokeRequest) (Key, error) {
	var revoked Key
	var keyID int64
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.RevokeAPIKey(ctx, tenantq.RevokeAPIKeyParams{ID: req.ID, RevokedAt: tx.Now()})
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("revoke API key: %w", err)
		}
		revoked, keyID = fromRow(tenantq.ListAPIKeysRow(row)), row.KeyID
		tx.Result(revoked)
		if !row.RevokedAt.Equal(tx.Now()) {
			return nil // it was revoked before
		}
		if err := tx.Changed(ctx, db.NounAPIKey, cacheID(row.KeyID)); err != nil {
			return err
		}
		return leave(ctx, tx, "apikey.revoke", event.APIKeyRevoked, req.ID, req.Reason)
	})
	if err != nil {
		return Key{}, err
	}
	s.forget(sc, keyID)
	return revoked, nil
}

// usable returns a key of the tenant's that has not ended, and locks its row.
func usable(ctx context.Context, tx *db.TenantTx, id uuid.UUID) (tenantq.GetAPIKeyForUpdateRow, error) {
	row, err := tx.GetAPIKeyForUpdate(ctx, id)
	switch {
	case db.IsNoRows(err):
		return row, ErrNotFound
	case err != nil:
		return row, fmt.Errorf("get API key: %w", err)
	case row.RevokedAt != nil || row.ExpiresAt != nil && !tx.Now().Before(*row.ExpiresAt):
		return row, ErrEnded
	}
	return row, nil
}

// leave says in the audit log and to whoever listens what became of a key.
func leave(ctx context.Context, tx *db.TenantTx, action string, kind event.Type, id uuid.UUID, reason string, after ...attr.Attr) error {
	if err := audit.Append(ctx, tx, audit.Entry{
		Action: action, Target: audit.Target{Kind: "apikey", ID: id.String()}, Reason: reason, After: after,
	}); err != nil {
		return err
	}
	return event.Append(ctx, tx, event.Event{Type: kind, Data: append([]attr.Attr{attr.UUID("apiKeyId", id)}, after...)})
}

// within refuses scopes that own does not cover; a nil own covers all.
func within(own, wanted []string) error {
	if own == nil {
		return nil
	}
	for _, one := range wanted {
		if !slices.ContainsFunc(own, func(o string) bool { return covers(o, one) }) {
			return ErrScopeExceeds.With("scope", one)
		}
	}
	return nil
}
