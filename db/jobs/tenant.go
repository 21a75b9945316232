package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// TenantDestruction is the job of destroying one tenant whose grace is over. The sweep
// makes it for each.
type TenantDestruction struct{ Of }

// Kind implements Args.
func (TenantDestruction) Kind() string { return "tenant_destruction" }

// tenantSweep finds the tenants whose grace is over: the platform's job, as housekeeping is.
type tenantSweep struct{}

// Kind implements river.JobArgs.
func (tenantSweep) Kind() string { return "tenant_sweep" }

const (
	// tenantSweepEvery is how long a tenant outlives its grace.
	tenantSweepEvery = time.Minute
	tenantSweepMax   = 50
)

// DestroyTenants has fn destroy each tenant whose grace is over, a minute late at most. fn
// is called again, a minute later, while the tenant is not destroyed.
func (r *Runner) DestroyTenants(fn func(ctx context.Context, sc scope.Scope) error) {
	Handle(r, func(ctx context.Context, sc scope.Scope, _ TenantDestruction) error { return fn(ctx, sc) })
	r.sweep(river.NewPeriodicJob(
		river.PeriodicInterval(tenantSweepEvery),
		func() (river.JobArgs, *river.InsertOpts) {
			return tenantSweep{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: tenantSweepEvery / 2}}
		},
		&river.PeriodicJobOpts{RunOnStart: true},
	), func(q *platformq.Queries) { river.AddWorker(r.workers, &tenantSweeper{queries: q, log: r.log}) })
}

type tenantSweeper struct {
	river.WorkerDefaults[tenantSweep]
	queries *platformq.Queries
	log     *slog.Logger
}

// Work implements river.Worker.
func (s *tenantSweeper) Work(ctx context.Context, _ *river.Job[tenantSweep]) error {
	tenants, err := s.queries.ListTenantsToDestroy(ctx, tenantSweepMax)
	if err != nil {
		return fmt.Errorf("list tenants to destroy: %w", err)
	}
	if len(tenants) == 0 {
		return nil
	}
	if err := maintain(ctx, tenants, func(of Of) river.JobArgs { return TenantDestruction{of} }); err != nil {
		return fmt.Errorf("insert tenant destruction: %w", err)
	}
	s.log.InfoContext(ctx, "tenants are to be destroyed", "count", len(tenants))
	return nil
}
