package tenant

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/fetch"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/rp"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// Options configures a Service.
type Options struct {
	Store *db.Store     // required
	Keys  *keys.Service // required for all but Current and Resolve

	// Guesses bounds look-ups of slugs that nobody has; nil: nobody does.
	Guesses *ratelimit.Guesses

	// Prober looks for what tenants publish at their domains to prove them, and Fetch reads
	// what clients find there. Required for VerifyDomain and Published.
	Prober *rp.Prober
	Fetch  *fetch.Client

	// ConsoleRPID is refused to tenants, unless it is localhost; empty: there is no console.
	ConsoleRPID string

	// FirstKeys makes a new tenant's first API keys in the transaction that makes the
	// tenant: apikey.First. It is a parameter since apikey is built on this package.
	FirstKeys func(ctx context.Context, tx *db.TenantTx, mode Mode) (FirstKeys, error)
}

// FirstKeys are the plain API keys of a new tenant, which nobody can read again.
type FirstKeys struct {
	secret.Hidden

	Secret      string
	Publishable string
}

// Service keeps tenants. It is safe for concurrent use.
type Service struct {
	store     *db.Store
	keys      *keys.Service
	firstKeys func(context.Context, *db.TenantTx, Mode) (FirstKeys, error)
	current   *db.Cache[*Snapshot]
	guesses   *ratelimit.Guesses
	slugs     slugs
	domains   domains

	prober      *rp.Prober
	fetch       *fetch.Client
	consoleRPID string
}

const (
	maxCached = 20_000
	// cacheLife bounds a snapshot's age although nothing announced a change.
	cacheLife = 10 * time.Minute
)

// New returns a Service.
func New(o Options) *Service {
	return &Service{
		store: o.Store, keys: o.Keys, firstKeys: o.FirstKeys, guesses: o.Guesses,
		current: db.NewCache[*Snapshot](o.Store, db.NounTenant, maxCached, cacheLife),
		slugs:   slugs{known: map[string]uuid.UUID{}, absent: map[string]time.Time{}},
		domains: domains{known: map[string]domainOwner{}}, prober: o.Prober, fetch: o.Fetch, consoleRPID: o.ConsoleRPID,
	}
}

// platform refuses whoever is not of the platform plane. The edge has refused them
// already; this is the second lock on verbs that reach into every tenant.
func platform(sc scope.Scope) error {
	if sc.Tenant() != scope.PlatformTenant {
		return ErrPlatformOnly
	}
	return nil
}

// within opens the tenant id in a transaction of the platform plane, as the same
// actor: the audit entry of what is done to a tenant stands in its own log.
func within(ctx context.Context, tx *db.PlatformTx, sc scope.Scope, id uuid.UUID) (*db.TenantTx, error) {
	t, err := tx.AsTenant(ctx, scope.New(id, sc.Actor()).WithOrigin(sc.Origin()))
	if err != nil {
		return nil, fmt.Errorf("open tenant %s: %w", id, err)
	}
	return t, nil
}
