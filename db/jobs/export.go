package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ExportMaintenance is the job of writing and removing one tenant's archives. The sweep
// makes it for each tenant of which something is due.
type ExportMaintenance struct{ Of }

// Kind implements Args.
func (ExportMaintenance) Kind() string { return "export_maintenance" }

// exportSweep finds the tenants with exports that something is due of: the platform's job,
// as housekeeping is.
type exportSweep struct{}

// Kind implements river.JobArgs.
func (exportSweep) Kind() string { return "export_sweep" }

const (
	// exportSweepEvery is how long somebody waits for an export to begin.
	exportSweepEvery = 10 * time.Second
	exportSweepMax   = 100

	// exportQueue keeps archives, which take minutes, from the workers of everything else.
	exportQueue   = "exports"
	exportWorkers = 2
)

// MaintainExports has fn look after a tenant's exports, each time that something of them is
// due, ten seconds late at most. fn may run for as long as longest; it takes a lease by
// itself, so that a job too many does nothing, and one whose server was killed is followed
// by another when the lease is over.
func (r *Runner) MaintainExports(longest time.Duration, fn func(ctx context.Context, sc scope.Scope) error) {
	river.AddWorker(r.workers, &exporter{longest: longest, fn: fn})
	r.sweep(river.NewPeriodicJob(
		river.PeriodicInterval(exportSweepEvery),
		func() (river.JobArgs, *river.InsertOpts) {
			return exportSweep{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: exportSweepEvery / 2}}
		},
		&river.PeriodicJobOpts{RunOnStart: true},
	), func(q *platformq.Queries) {
		river.AddWorker(r.workers, river.WorkFunc(func(ctx context.Context, _ *river.Job[exportSweep]) error {
			tenants, err := q.ListTenantsWithExportsDue(ctx, exportSweepMax)
			if err != nil {
				return fmt.Errorf("list tenants with exports due: %w", err)
			}
			return insertExports(ctx, tenants)
		}))
	})
}

// insertExports makes a job of each tenant. It is not unique as long as it runs, which is
// what maintain's are: a server that is killed would else keep its tenant's for an hour.
func insertExports(ctx context.Context, tenants []uuid.UUID) error {
	if len(tenants) == 0 {
		return nil
	}
	return insertEach(ctx, tenants, func(of Of) river.JobArgs { return ExportMaintenance{of} }, river.InsertOpts{
		MaxAttempts: 1, // the next sweep finds what is left
		Queue:       exportQueue,
		UniqueOpts:  river.UniqueOpts{ByArgs: true, ByPeriod: exportSweepEvery},
	})
}

type exporter struct {
	river.WorkerDefaults[ExportMaintenance]
	longest time.Duration
	fn      func(context.Context, scope.Scope) error
}

// Timeout implements river.Worker.
func (e *exporter) Timeout(*river.Job[ExportMaintenance]) time.Duration { return e.longest }

// Work implements river.Worker.
func (e *exporter) Work(ctx context.Context, job *river.Job[ExportMaintenance]) error {
	return work(ctx, job, func(ctx context.Context, sc scope.Scope, _ ExportMaintenance) error { return e.fn(ctx, sc) })
}
