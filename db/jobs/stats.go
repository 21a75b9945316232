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

// StatsMaintenance is the job of counting one tenant's ceremonies and users. The sweep
// makes it for each tenant that has something to count.
type StatsMaintenance struct{ Of }

// Kind implements Args.
func (StatsMaintenance) Kind() string { return "stats_maintenance" }

// statsSweep finds the tenants with something to count: the platform's job, as
// housekeeping is.
type statsSweep struct{}

// Kind implements river.JobArgs.
func (statsSweep) Kind() string { return "stats_sweep" }

const (
	// statsSweepEvery is how old statistics are at most.
	statsSweepEvery = time.Minute
	statsSweepMax   = 2_000
	// statsMeasureEvery is how often users are counted where nobody signs in.
	statsMeasureEvery = time.Hour
)

// MaintainStats has fn count what happened in a tenant, a minute late at most.
func (r *Runner) MaintainStats(fn func(ctx context.Context, sc scope.Scope) error) {
	r.maintainsStats = true
	Handle(r, func(ctx context.Context, sc scope.Scope, _ StatsMaintenance) error { return fn(ctx, sc) })
}

func statsSweepJob() *river.PeriodicJob {
	return river.NewPeriodicJob(
		river.PeriodicInterval(statsSweepEvery),
		func() (river.JobArgs, *river.InsertOpts) {
			return statsSweep{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: statsSweepEvery / 2}}
		},
		&river.PeriodicJobOpts{RunOnStart: true},
	)
}

type statsSweeper struct {
	river.WorkerDefaults[statsSweep]
	queries *platformq.Queries
	now     func() time.Time
	log     *slog.Logger
}

// Work implements river.Worker.
func (s *statsSweeper) Work(ctx context.Context, _ *river.Job[statsSweep]) error {
	tenants, err := s.queries.ListTenantsWithStatsDue(ctx, platformq.ListTenantsWithStatsDueParams{
		MeasuredBefore: s.now().Add(-statsMeasureEvery), MaxRows: statsSweepMax,
	})
	if err != nil {
		return fmt.Errorf("list tenants with stats due: %w", err)
	}
	if len(tenants) == 0 {
		return nil
	}
	if err := maintain(ctx, tenants, func(of Of) river.JobArgs { return StatsMaintenance{of} }); err != nil {
		return fmt.Errorf("insert stats maintenance: %w", err)
	}
	s.log.DebugContext(ctx, "statistics are due", "count", len(tenants))
	return nil
}
