package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/idempotency"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// TenantTx is one transaction in one tenant. The embedded queries see that
// tenant's rows and no others: row-level security decides, not their text.
// It is valid until the function that received it returns, in one goroutine.
type TenantTx struct {
	*tenantq.Queries
	tx     pgx.Tx
	scope  scope.Scope
	now    time.Time
	result any // for the Idempotency-Key of the call: see once.go
}

// Scope returns the scope that the transaction was opened for.
func (tx *TenantTx) Scope() scope.Scope { return tx.scope }

// Now is one instant for the whole transaction (Store.Now when it began).
func (tx *TenantTx) Now() time.Time { return tx.now }

// Pgx returns the transaction itself, for the packages beside db alone (jobs).
func (tx *TenantTx) Pgx() pgx.Tx { return tx.tx }

// Changed tells every server, when the transaction commits, that a cached thing
// of this tenant is stale. noun is the package's; id names the thing and must be
// opaque: it is seen by every connection of the database. Never call it in a
// ceremony's transaction: NOTIFY serialises commits.
func (tx *TenantTx) Changed(ctx context.Context, noun Noun, id string) error {
	payload := Change{Noun: noun, Tenant: tx.scope.Tenant(), ID: id}.String()
	if err := tx.Notify(ctx, payload); err != nil {
		return fmt.Errorf("notify %s: %w", noun, err)
	}
	return nil
}

// InTenant runs fn in a transaction in sc's tenant, and commits when fn returns
// nil. fn may run twice, and opens no transaction of its own: one that waits for a connection
// while it holds one would wait for itself. It waits for its turn (admission.go), with the
// priority of ctx. The scope of support runs as a role of its own, which sees what
// was granted while it is: support.go. Errors: fn's own; ErrScope for the zero Scope; ErrOverloaded;
// ErrUnavailable when Postgres cannot be reached; an *idempotency.ReplayedError when the call
// carries an Idempotency-Key that was answered before.
func (s *Store) InTenant(ctx context.Context, sc scope.Scope, fn func(*TenantTx) error) error {
	return s.inTenant(ctx, sc, changing, idempotency.FromContext(ctx), fn)
}

// ReadTenant is InTenant for a transaction that only reads: Postgres refuses
// writes in it, and the call's Idempotency-Key is left alone.
func (s *Store) ReadTenant(ctx context.Context, sc scope.Scope, fn func(*TenantTx) error) error {
	return s.inTenant(ctx, sc, reading, nil, fn)
}

// InTenantApart is InTenant for what must be kept although the call fails, such
// as the audit entry of a denial: it leaves the call's Idempotency-Key alone.
func (s *Store) InTenantApart(ctx context.Context, sc scope.Scope, fn func(*TenantTx) error) error {
	return s.inTenant(ctx, sc, recording, nil, fn)
}

// purpose is what a transaction is for.
type purpose int

const (
	reading   purpose = iota // Postgres refuses writes
	changing                 // the tenant's rows
	recording                // what was refused, or seen
)

func (s *Store) inTenant(ctx context.Context, sc scope.Scope, what purpose, call *idempotency.Call, fn func(*TenantTx) error) error {
	switch {
	case sc.IsZero():
		return ErrScope
	case sc.IsSupport():
		return s.inSupport(ctx, sc, what, fn)
	}
	how := "begin"
	if what == reading {
		how = beginReading
	}
	if err := s.admission.enter(ctx, sc.Tenant()); err != nil {
		return err
	}
	defer s.admission.leave(sc.Tenant())
	err := retry(ctx, func() error {
		return begin(ctx, s.app, how, sc.Tenant(), func(tx pgx.Tx) error {
			t := &TenantTx{Queries: tenantq.New(tx), tx: tx, scope: sc, now: s.Now()}
			if call == nil {
				return fn(t)
			}
			return once(ctx, t, call, func() error { return fn(t) })
		})
	})
	if err == nil && call != nil {
		call.Done = true
	}
	return err
}

// PlatformTx is one transaction of the platform plane: it sees every tenant's
// own row, and nothing else of a tenant until AsTenant.
type PlatformTx struct {
	*platformq.Queries
	tx    pgx.Tx
	store *Store
	home  *TenantTx // the caller's own tenant, when the call has an Idempotency-Key
}

// AsTenant points the rest of the transaction at sc's tenant. The queries of the
// answer see that tenant alone; calling it again moves on to the next. ErrScope also for
// support, which has a role of its own.
func (tx *PlatformTx) AsTenant(ctx context.Context, sc scope.Scope) (*TenantTx, error) {
	if sc.IsZero() || sc.IsSupport() {
		return nil, ErrScope
	}
	if _, err := tx.tx.Exec(ctx, setTenant, sc.Tenant().String()); err != nil {
		return nil, fmt.Errorf("set tenant: %w", err)
	}
	return &TenantTx{Queries: tenantq.New(tx.tx), tx: tx.tx, scope: sc, now: tx.store.Now()}, nil
}

// InPlatform runs fn in a transaction that crosses tenants. why says what for,
// in a constant: it is logged and counted. Errors are InTenant's.
func (s *Store) InPlatform(ctx context.Context, why string, fn func(*PlatformTx) error) error {
	s.platformCalls.Add(1)
	s.log.DebugContext(ctx, "platform transaction", "why", why)
	call := idempotency.FromContext(ctx)
	err := retry(ctx, func() error {
		return begin(ctx, s.control, "begin", uuid.Nil, func(tx pgx.Tx) error {
			p := &PlatformTx{Queries: platformq.New(tx), tx: tx, store: s}
			if call == nil {
				return fn(p)
			}
			home, err := p.AsTenant(ctx, call.Scope)
			if err != nil {
				return err
			}
			p.home = home
			return once(ctx, home, call, func() error {
				if err := fn(p); err != nil {
					return err
				}
				_, err := p.AsTenant(ctx, call.Scope) // fn may have moved on; the answer is kept at home
				return err
			})
		})
	})
	if err == nil && call != nil {
		call.Done = true
	}
	return err
}

// PlatformCalls returns how many transactions have crossed tenants, for metrics.
func (s *Store) PlatformCalls() int64 { return s.platformCalls.Load() }

const setTenant = `SELECT set_config('app.tenant_id', $1, true)`

// begin is the one place that sets the tenant. Begin and setting go out in one
// round trip; the setting is local to the transaction. A uuid's text needs no
// quoting: it is formatted from 16 bytes.
func begin(ctx context.Context, pool *pgxpool.Pool, how string, tenant uuid.UUID, fn func(pgx.Tx) error) error {
	if tenant != uuid.Nil {
		how += `; SELECT set_config('app.tenant_id', '` + tenant.String() + `', true)`
	}
	tx, err := pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: how})
	if isGone(err) && ctx.Err() == nil {
		// A connection of before Postgres was restarted, as the others of the pool are. Nothing has begun.
		pool.Reset()
		tx, err = pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: how})
	}
	if err != nil {
		return classify(fmt.Errorf("begin: %w", err))
	}
	if err := fn(tx); err != nil {
		// The caller's context may be over; the rollback must still go out, or the
		// connection is lost with it.
		rb, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = tx.Rollback(rb)
		return classify(err)
	}
	if err := tx.Commit(ctx); err != nil {
		return classify(fmt.Errorf("commit: %w", err))
	}
	return nil
}

// retry runs once again what lost against a concurrent transaction. A lost
// connection is never tried again: nobody knows whether it committed.
func retry(ctx context.Context, run func() error) error {
	for attempt := 1; ; attempt++ {
		err := run()
		if attempt == 3 || !lostRace(err) || ctx.Err() != nil {
			return err
		}
	}
}

// IsNoRows reports whether a query found nothing, which within a tenant also
// means that the row is another tenant's.
func IsNoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }
