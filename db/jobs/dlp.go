package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ScanMaintenance is the job of one tenant's scans for personal data and secrets. The sweep makes it for each
// tenant that has one due.
type ScanMaintenance struct{ Of }

// Kind implements Args.
func (ScanMaintenance) Kind() string { return "scan_maintenance" }

// scanSweep finds the tenants with scans that are due: the platform's job, as housekeeping is.
type scanSweep struct{}

// Kind implements river.JobArgs.
func (scanSweep) Kind() string { return "scan_sweep" }

// ScanTexts has fn look after a tenant's scans, by the workers of exports: all take minutes, and a lease by themselves.
func (r *Runner) ScanTexts(longest time.Duration, fn func(ctx context.Context, sc scope.Scope) error) {
	river.AddWorker(r.workers, &texter{longest: longest, fn: fn})
	r.sweep(river.NewPeriodicJob(
		river.PeriodicInterval(exportSweepEvery),
		func() (river.JobArgs, *river.InsertOpts) {
			return scanSweep{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: exportSweepEvery / 2}}
		},
		&river.PeriodicJobOpts{RunOnStart: true},
	), func(q *platformq.Queries) {
		river.AddWorker(r.workers, river.WorkFunc(func(ctx context.Context, _ *river.Job[scanSweep]) error {
			tenants, err := q.ListTenantsWithScansDue(ctx, exportSweepMax)
			if err != nil {
				return fmt.Errorf("list tenants with scans due: %w", err)
			}
			if len(tenants) == 0 {
				return nil
			}
			return insertEach(ctx, tenants, func(of Of) river.JobArgs { return ScanMaintenance{of} }, river.InsertOpts{
				MaxAttempts: 1, // the next sweep finds what is left
				Queue:       exportQueue,
				UniqueOpts:  river.UniqueOpts{ByArgs: true, ByPeriod: exportSweepEvery},
			})
		}))
	})
}

type texter struct {
	river.WorkerDefaults[ScanMaintenance]
	longest time.Duration
	fn      func(context.Context, scope.Scope) error
}

// Timeout implements river.Worker.
func (e *texter) Timeout(*river.Job[ScanMaintenance]) time.Duration { return e.longest }

// Work implements river.Worker.
func (e *texter) Work(ctx context.Context, job *river.Job[ScanMaintenance]) error {
	return work(ctx, job, func(ctx context.Context, sc scope.Scope, _ ScanMaintenance) error { return e.fn(ctx, sc) })
}
