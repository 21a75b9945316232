package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Rewrapped is how far Rewrap has come.
type Rewrapped struct {
	Tenant    uuid.UUID
	Slug      string
	Keys      int // data keys of this tenant that were wrapped anew; 0: they were already
	Done, All int // tenants
}

// Rewrap wraps every tenant's data keys under the KMS's current key, tenant by tenant,
// while servers go on: a data key stays what it is, so nothing is sealed anew. The KMS
// must still open what the old key has wrapped. It may be stopped at any moment and run
// again, and then goes on where it was; with force it wraps anew also what the current
// key has wrapped, for a KMS that keeps versions behind one name. progress hears of each
// tenant. A tenant whose keys do not open is an error at the end, and does not keep the
// others.
func (s *Service) Rewrap(ctx context.Context, actor scope.Actor, force bool, progress func(Rewrapped)) error {
	var all int64
	if err := s.store.InPlatform(ctx, "count tenants", func(tx *db.PlatformTx) (err error) {
		all, err = tx.CountTenants(ctx)
		return err
	}); err != nil {
		return err
	}
	var failed error
	done := 0
	err := s.eachTenant(ctx, "wrap data keys anew", func(row platformq.ListTenantIDsRow) error {
		n, err := s.rewrapTenant(ctx, scope.New(row.ID, actor), force)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, db.ErrUnavailable) {
				return err // the rest would fail alike
			}
			failed = errors.Join(failed, fmt.Errorf("tenant %s: %w", row.Slug, err))
		}
		done++
		progress(Rewrapped{Tenant: row.ID, Slug: row.Slug, Keys: n, Done: done, All: max(int(all), done)})
		return nil
	})
	return errors.Join(err, failed)
}

// eachTenant calls fn for every tenant, the platform's own included.
func (s *Service) eachTenant(ctx context.Context, why string, fn func(platformq.ListTenantIDsRow) error) error {
	const page = 500
	var after uuid.UUID
	for {
		var rows []platformq.ListTenantIDsRow
		if err := s.store.InPlatform(ctx, why, func(tx *db.PlatformTx) (err error) {
			rows, err = tx.ListTenantIDs(ctx, platformq.ListTenantIDsParams{AfterID: after, MaxRows: page})
			return err
		}); err != nil {
			return fmt.Errorf("list tenants: %w", err)
		}
		for _, row := range rows {
			if err := fn(row); err != nil {
				return err
			}
		}
		if len(rows) < page {
			return nil
		}
		after = rows[len(rows)-1].ID
	}
}

func (s *Service) rewrapTenant(ctx context.Context, sc scope.Scope, force bool) (int, error) {
	var rows []tenantq.ListDataKeysRow
	if err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		rows, err = tx.ListDataKeys(ctx)
		return err
	}); err != nil {
		return 0, fmt.Errorf("list data keys: %w", err)
	}
	n := 0
	for _, row := range rows {
		if row.KmsKey == s.kms.KeyName() && !force {
			continue
		}
		version := uint32(row.Version) //nolint:gosec // not negative, by the table's check
		ad := wrapAD(sc.Tenant(), version)
		secret, err := s.kms.Unwrap(ctx, row.KmsKey, row.Wrapped, ad)
		if err != nil {
			return n, fmt.Errorf("unwrap data key %d: %w", version, err)
		}
		name := s.kms.KeyName()
		wrapped, err := s.kms.Wrap(ctx, secret, ad)
		if err != nil {
			return n, fmt.Errorf("wrap data key %d: %w", version, err)
		}
		// The old form is about to be written over, so the new one must be known to open.
		if again, err := s.kms.Unwrap(ctx, name, wrapped, ad); err != nil {
			return n, fmt.Errorf("unwrap data key %d again: %w", version, err)
		} else if !bytes.Equal(again, secret) {
			return n, fmt.Errorf("data key %d: what the KMS unwraps is not what it wrapped", version)
		}
		err = s.changeDataKeys(ctx, sc, "wrap a data key anew", func(tx *db.TenantTx, _ []tenantq.ListDataKeysRow) (bool, error) {
			changed, err := tx.RewrapDataKey(ctx, tenantq.RewrapDataKeyParams{
				Version: row.Version, Wrapped: wrapped, KmsKey: name, Now: tx.Now(), Was: row.Wrapped,
			})
			if err != nil {
				return false, fmt.Errorf("rewrap data key: %w", err)
			}
			if changed == 0 { // another rewrap was first, or the key was destroyed
				return false, nil
			}
			return true, recordDataKey(ctx, tx, "datakey.rewrap", version, "", attr.Text("from", row.KmsKey), attr.Text("to", name))
		})
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
