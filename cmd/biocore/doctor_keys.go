package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// walkedKeys is what a walk through all tenants' keys has found.
type walkedKeys struct {
	tenants  int      // the platform's own among them
	keyless  bool     // the platform has no keys yet
	closed   []string // whose data keys do not open, and why
	unsigned []string // active tenants whose tokens nobody can sign
}

const fixKMS = "let BIOCORE_KMS_URL name the key that wrapped the tenants' data keys: without it what they seal is lost"

// openKMS opens the KMS, and has it wrap and unwrap a key that belongs to nobody.
func (d *checkup) openKMS(ctx context.Context) finding {
	if d.cfg.KMSURL == "" {
		return fail(fixKMS, "BIOCORE_KMS_URL is not set")
	}
	opened, err := kms.OpenAll(ctx, d.cfg.KMSURL, d.cfg.previousKMS())
	if err != nil {
		return fail(fixKMS, "%s", explain(err))
	}
	key, ad := make([]byte, 32), []byte("biocore doctor")
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
	wrapped, err := opened.Wrap(ctx, key, ad)
	if err != nil {
		return fail(fixKMS, "wrap: %s", explain(err))
	}
	got, err := opened.Unwrap(ctx, opened.KeyName(), wrapped, ad)
	if err != nil {
		return fail(fixKMS, "unwrap: %s", explain(err))
	}
	if !bytes.Equal(got, key) {
		return fail(fixKMS, "what it unwraps is not what it wrapped")
	}
	d.kms = opened
	return ok("%s wraps and unwraps", opened.KeyName())
}

func (d *checkup) dataKeys(ctx context.Context) finding {
	switch {
	case d.store == nil:
		return skip("roles")
	case d.kms == nil:
		return skip("kms")
	}
	walk, err := walkKeys(ctx, d.store, keys.New(keys.Options{Store: d.store, KMS: d.kms}))
	if err != nil {
		return fail("run `biocore migrate up`", "%s", explain(err))
	}
	d.walk = &walk
	switch {
	case len(walk.closed) > 0:
		return fail(fixKMS, "%d of %d tenants' do not open:\n%s", len(walk.closed), walk.tenants, some(walk.closed, "\n"))
	case walk.keyless:
		return warn("the first `biocore apikey create --kind platform` makes them", "those of %d tenants open; the platform has none yet", walk.tenants-1)
	}
	return ok("those of %d tenants open, the platform's among them", walk.tenants)
}

func (d *checkup) signingKeys(context.Context) finding {
	switch {
	case d.walk == nil:
		return skip("data keys")
	case len(d.walk.unsigned) > 0:
		return fail("restore the signing_keys of these tenants from a backup: nobody of theirs can sign in", "none of %s", some(d.walk.unsigned, ", "))
	}
	return ok("there for every active tenant whose data keys open")
}

// walkKeys opens the keys of every tenant. It goes past the tenants' services, which
// need keys of the platform's that may be just what does not open.
func walkKeys(ctx context.Context, store *db.Store, service *keys.Service) (walkedKeys, error) {
	walk := walkedKeys{tenants: 1}
	open := func(id uuid.UUID, slug string, state tenant.State) {
		ring, err := service.Ring(ctx, scope.New(id, cliActor()))
		switch {
		case errors.Is(err, keys.ErrNoKeys) && id == scope.PlatformTenant:
			walk.keyless = true
		case errors.Is(err, keys.ErrNoKeys) && state == tenant.Deleting: // destroyed, as they should be
		case err != nil:
			walk.closed = append(walk.closed, slug+": "+explain(err))
		case ring.Signer() == nil && state == tenant.Active:
			walk.unsigned = append(walk.unsigned, slug)
		}
	}
	open(scope.PlatformTenant, platformSlug, tenant.Active)
	params := platformq.ListTenantsParams{
		States: []string{string(tenant.Active), string(tenant.Suspended), string(tenant.Deleting)}, MaxRows: 500,
	}
	for {
		var page []platformq.Tenant
		if err := store.InPlatform(ctx, "open the keys of every tenant", func(tx *db.PlatformTx) (err error) {
			page, err = tx.ListTenants(ctx, params)
			return err
		}); err != nil {
			return walk, fmt.Errorf("list tenants: %w", err)
		}
		for _, row := range page {
			open(row.ID, row.Slug, tenant.State(row.State))
		}
		walk.tenants += len(page)
		if len(page) < int(params.MaxRows) {
			return walk, nil
		}
		params.BeforeID = &page[len(page)-1].ID
	}
}
