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

// DomainMaintenance is the job of looking again at what one tenant's domain publishes. The
// sweep makes it for each tenant that is due.
type DomainMaintenance struct{ Of }

// Kind implements Args.
func (DomainMaintenance) Kind() string { return "domain_maintenance" }

// domainSweep finds the tenants whose domains are due: the platform's job, as
// housekeeping is.
type domainSweep struct{}

// Kind implements river.JobArgs.
func (domainSweep) Kind() string { return "domain_sweep" }

const (
	// domainSweepEvery: a domain is looked at once a day, and nobody waits for it.
	domainSweepEvery = 10 * time.Minute
	domainSweepMax   = 200
)

// MaintainDomains has fn look again at a tenant's domain, each time that it is due.
func (r *Runner) MaintainDomains(fn func(ctx context.Context, sc scope.Scope) error) {
	r.maintainsDomains = true
	Handle(r, func(ctx context.Context, sc scope.Scope, _ DomainMaintenance) error { return fn(ctx, sc) })
}

func domainSweepJob() *river.PeriodicJob {
	return river.NewPeriodicJob(
		river.PeriodicInterval(domainSweepEvery),
		func() (river.JobArgs, *river.InsertOpts) {
			return domainSweep{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: domainSweepEvery / 2}}
		},
		&river.PeriodicJobOpts{RunOnStart: true},
	)
}

type domainSweeper struct {
	river.WorkerDefaults[domainSweep]
	queries *platformq.Queries
	log     *slog.Logger
}

// Work implements river.Worker.
func (s *domainSweeper) Work(ctx context.Context, _ *river.Job[domainSweep]) error {
	tenants, err := s.queries.ListTenantsWithDomainsDue(ctx, domainSweepMax)
	if err != nil {
		return fmt.Errorf("list tenants with domains due: %w", err)
	}
	if len(tenants) == 0 {
		return nil
	}
	if err := maintain(ctx, tenants, func(of Of) river.JobArgs { return DomainMaintenance{of} }); err != nil {
		return fmt.Errorf("insert domain maintenance: %w", err)
	}
	s.log.DebugContext(ctx, "domains are due", "count", len(tenants))
	return nil
}
