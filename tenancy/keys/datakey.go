package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const (
	// drainFrom is how old a data key must be before what its predecessors have sealed is
	// sealed anew: by then no server seals with one of those any more, and a transaction
	// that began before has ended.
	drainFrom = time.Minute
	// destroyAfter is how long a drained data key still opens what is not at rest: tokens
	// and what Redis keeps, of which registration tokens live longest, a day.
	destroyAfter = 25 * time.Hour
	resealBatch  = 500
)

// DataKey is one version of a tenant's data key. It holds nothing secret.
type DataKey struct {
	Version     uint32 // 0: the root, of indexes and MACs
	KMSKey      string // what wraps it
	CreatedAt   time.Time
	RewrappedAt *time.Time
	DrainedAt   *time.Time // since when nothing at rest is sealed under it
}

// DataKeys returns the versions of the tenant's data key, the newest first. It opens none.
func (s *Service) DataKeys(ctx context.Context, sc scope.Scope) ([]DataKey, error) {
	var list []DataKey
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListDataKeys(ctx)
		if err != nil {
			return fmt.Errorf("list data keys: %w", err)
		}
		list = make([]DataKey, len(rows))
		for i, row := range rows {
			list[i] = DataKey{
				Version: uint32(row.Version), KMSKey: row.KmsKey, CreatedAt: row.CreatedAt, //nolint:gosec // not negative, by the table's check
				RewrappedAt: row.RewrappedAt, DrainedAt: row.DrainedAt,
			}
		}
		return nil
	})
	return list, err
}

// RotateDataKey gives the tenant a new data key version and returns its number. It
// seals after sealAfter; what older versions have sealed is sealed anew when it is
// written next, and by the maintenance, which destroys them a day after nothing is left
// under them. The root stays. ErrNoKeys.
func (s *Service) RotateDataKey(ctx context.Context, sc scope.Scope, reason string) (uint32, error) {
	for attempt := 1; ; attempt++ {
		list, err := s.DataKeys(ctx, sc)
		if err != nil {
			return 0, err
		}
		if len(list) == 0 {
			return 0, ErrNoKeys
		}
		version := list[0].Version + 1
		_, row, err := s.mintDataKey(ctx, sc.Tenant(), version, s.now())
		if err != nil {
			return 0, err
		}
		err = s.changeDataKeys(ctx, sc, "rotate a data key", func(tx *db.TenantTx, rows []tenantq.ListDataKeysRow) (bool, error) {
			row.CreatedAt = tx.Now() // sealAfter counts from when others can see it
			row.DueAt = later(row.CreatedAt, drainFrom)
			if err := tx.InsertDataKey(ctx, row); err != nil {
				return false, fmt.Errorf("insert data key: %w", err)
			}
			return true, recordDataKey(ctx, tx, "datakey.create", version, reason)
		})
		if db.IsConstraint(err, "data_keys_pkey") && attempt < 3 {
			continue // another rotation was first: ours is the next
		}
		return version, err
	}
}

// turnDataKeys does what is due: a successor when the plan says so; what older versions
// have sealed is sealed anew; what nothing is sealed under any more is destroyed.
func (s *Service) turnDataKeys(ctx context.Context, sc scope.Scope, plan Plan) error {
	list, err := s.DataKeys(ctx, sc)
	if err != nil || len(list) == 0 {
		return err
	}
	now := s.now()
	if newest := list[0]; plan.RotateDataAfter > 0 && now.Sub(newest.CreatedAt) >= plan.RotateDataAfter {
		if _, err := s.RotateDataKey(ctx, sc, "by policy"); err != nil {
			return err
		}
		return nil // due again in drainFrom
	}
	moved := 0
	if s.draining(list, now) && now.Sub(list[0].CreatedAt) >= drainFrom {
		if moved, err = s.resealAll(ctx, sc); errors.Is(err, db.ErrUnavailable) || errors.Is(err, ErrKMSUnavailable) {
			return err
		} else if err != nil {
			return errors.Join(err, s.postpone(ctx, sc)) // it takes a person
		}
	}
	return s.changeDataKeys(ctx, sc, "look after data keys", func(tx *db.TenantTx, rows []tenantq.ListDataKeysRow) (bool, error) {
		return s.settle(ctx, tx, list[0].Version, rows, moved > 0)
	})
}

// postpone has the maintenance look again in hours and not in a minute: each time that a
// value does not open leaves an audit entry.
func (s *Service) postpone(ctx context.Context, sc scope.Scope) error {
	return s.changeDataKeys(ctx, sc, "look after data keys", func(tx *db.TenantTx, rows []tenantq.ListDataKeysRow) (bool, error) {
		for _, row := range rows {
			if row.DueAt == nil {
				continue
			}
			if err := tx.SetDataKeyDue(ctx, tenantq.SetDataKeyDueParams{
				Version: row.Version, DrainedAt: row.DrainedAt, DueAt: later(tx.Now(), lookAgainAfter),
			}); err != nil {
				return false, fmt.Errorf("set due: %w", err)
			}
		}
		return false, nil
	})
}

// draining reports whether there are versions that nothing should be sealed under any
// more: not drained yet, or about to be destroyed, before which we look once more.
func (s *Service) draining(list []DataKey, now time.Time) bool {
	for _, k := range list[1:] {
		if k.Version != rootVersion && (k.DrainedAt == nil || now.Sub(*k.DrainedAt) >= destroyAfter) {
			return true
		}
	}
	return false
}

// settle notes what is drained, destroys what was drained long enough ago, and says when
// to look again. newest is the version that everything was sealed anew under; moved
// says that just now something was, so that what seemed drained was not.
func (s *Service) settle(
	ctx context.Context, tx *db.TenantTx, newest uint32, rows []tenantq.ListDataKeysRow, moved bool,
) (changed bool, err error) {
	now := tx.Now()
	hasRoot := rows[len(rows)-1].Version == rootVersion
	for i, row := range rows {
		version := uint32(row.Version) //nolint:gosec // not negative, by the table's check
		isRoot := version == rootVersion || (!hasRoot && i == len(rows)-1)
		drained, due := row.DrainedAt, row.DueAt
		switch {
		case version >= newest && row.CreatedAt.Add(drainFrom).After(now):
			due = later(row.CreatedAt, drainFrom)
		case version >= newest:
			due = later(now, lookAgainAfter)
		case isRoot: // stays: indexes and MACs are derived from it
			due = nil
		case drained == nil && now.Sub(rows[0].CreatedAt) >= drainFrom && uint32(rows[0].Version) == newest: //nolint:gosec // as above
			drained, due = &now, later(now, destroyAfter)
			if err := recordDataKey(ctx, tx, "datakey.drain", version, "nothing at rest is sealed under it"); err != nil {
				return false, err
			}
		case drained != nil && moved:
			drained, due = &now, later(now, destroyAfter)
		case drained != nil && now.Sub(*drained) >= destroyAfter:
			if _, err := tx.DeleteDataKey(ctx, row.Version); err != nil {
				return false, fmt.Errorf("delete data key: %w", err)
			}
			changed = true
			if err := recordDataKey(ctx, tx, "datakey.destroy", version, "nothing is sealed under it"); err != nil {
				return false, err
			}
			continue
		}
		if sameTime(due, row.DueAt) && sameTime(drained, row.DrainedAt) {
			continue
		}
		if err := tx.SetDataKeyDue(ctx, tenantq.SetDataKeyDueParams{Version: row.Version, DrainedAt: drained, DueAt: due}); err != nil {
			return false, fmt.Errorf("set due: %w", err)
		}
	}
	return changed, nil
}

func sameTime(a, b *time.Time) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(*b)
}

// resealAll seals anew everything at rest that an older data key has sealed, and answers
// how much that was.
func (s *Service) resealAll(ctx context.Context, sc scope.Scope) (moved int, err error) {
	if moved, err = s.resealSigningKeys(ctx, sc); err != nil {
		return moved, err
	}
	for {
		n, err := s.reseal(ctx, sc, resealBatch)
		moved += n
		if err != nil {
			return moved, fmt.Errorf("seal anew: %w", err)
		}
		if n < resealBatch {
			return moved, nil
		}
	}
}

func (s *Service) resealSigningKeys(ctx context.Context, sc scope.Scope) (moved int, err error) {
	s.forget(sc.Tenant())
	ring, err := s.Ring(ctx, sc)
	if err != nil {
		return 0, err
	}
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		moved = 0
		rows, err := tx.ListSealedSigningKeys(ctx)
		if err != nil {
			return fmt.Errorf("list signing keys: %w", err)
		}
		for _, row := range rows {
			if version, ok := VersionOf(row.PrivateSealed); ok && version == ring.SealingVersion() {
				continue
			}
			field := privateKey
			if row.Location == locationKMS {
				field = remoteKey
			}
			plain, err := ring.Open(field, []byte(row.Kid), row.PrivateSealed)
			if err != nil {
				return err
			}
			sealed, err := ring.Seal(field, []byte(row.Kid), plain)
			if err != nil {
				return err
			}
			n, err := tx.ResealSigningKey(ctx, tenantq.ResealSigningKeyParams{Kid: row.Kid, Sealed: sealed, Was: row.PrivateSealed})
			if err != nil {
				return fmt.Errorf("reseal signing key: %w", err)
			}
			moved += int(n)
		}
		return nil
	})
	return moved, err
}

// changeDataKeys runs fn on the locked data keys of sc's tenant, as the platform plane:
// only it may change or destroy them. fn reports whether servers must read them again.
func (s *Service) changeDataKeys(
	ctx context.Context, sc scope.Scope, why string, fn func(*db.TenantTx, []tenantq.ListDataKeysRow) (bool, error),
) error {
	changed := false
	err := s.store.InPlatform(ctx, why, func(p *db.PlatformTx) error {
		tx, err := p.AsTenant(ctx, sc)
		if err != nil {
			return err
		}
		if err := tx.LockKeys(ctx); err != nil {
			return fmt.Errorf("lock keys: %w", err)
		}
		rows, err := tx.ListDataKeys(ctx)
		if err != nil {
			return fmt.Errorf("list data keys: %w", err)
		}
		if len(rows) == 0 {
			return ErrNoKeys
		}
		if changed, err = fn(tx, rows); err != nil || !changed {
			return err
		}
		return tx.Changed(ctx, db.NounTenant, "")
	})
	if err == nil && changed {
		s.forget(sc.Tenant())
	}
	return err
}

func recordDataKey(ctx context.Context, tx *db.TenantTx, action string, version uint32, reason string, detail ...attr.Attr) error {
	return audit.Append(ctx, tx, audit.Entry{
		Action: action, Target: audit.Target{Kind: "datakey", ID: fmt.Sprint(version)}, Reason: reason, Detail: detail,
	})
}

// Maintain does what is due of the tenant's keys, old and new. It may be run at any time,
// by several servers at once, and again after a failure.
func (s *Service) Maintain(ctx context.Context, sc scope.Scope) error {
	plan, err := s.plan(ctx, sc)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	err = s.turnSigningKeys(ctx, sc, plan)
	if errors.Is(err, ErrNoKeys) {
		return nil // destroyed with their tenant
	}
	return errors.Join(err, s.turnDataKeys(ctx, sc, plan))
}
