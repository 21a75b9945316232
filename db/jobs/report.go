package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ReportMaintenance is the job of making and removing one tenant's compliance reports. The sweep
// makes it for each tenant of which something is due.
type ReportMaintenance struct{ Of }

// Kind implements Args.
func (ReportMaintenance) Kind() string { return "report_maintenance" }

// reportSweep finds the tenants with reports that something is due of: the platform's job, as
// housekeeping is.
type reportSweep struct{}

// Kind implements river.JobArgs.
func (reportSweep) Kind() string { return "report_sweep" }

// MaintainReports has fn look after a tenant's reports, as MaintainExports has of exports, by the
// same workers: both take minutes, and a lease by themselves.
func (r *Runner) MaintainReports(longest time.Duration, fn func(ctx context.Context, sc scope.Scope) error) {
	river.AddWorker(r.workers, &reporter{longest: longest, fn: fn})
	r.sweep(river.NewPeriodicJob(
		river.PeriodicInterval(exportSweepEvery),
		func() (river.JobArgs, *river.InsertOpts) {
			return reportSweep{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: exportSweepEvery / 2}}
		},
		&river.PeriodicJobOpts{RunOnStart: true},
	), func(q *platformq.Queries) {
		river.AddWorker(r.workers, river.WorkFunc(func(ctx context.Context, _ *river.Job[reportSweep]) error {
			tenants, err := q.ListTenantsWithReportsDue(ctx, exportSweepMax)
			if err != nil {
				return fmt.Errorf("list tenants with reports due: %w", err)
			}
			if len(tenants) == 0 {
				return nil
			}
			return insertEach(ctx, tenants, func(of Of) river.JobArgs { return ReportMaintenance{of} }, river.InsertOpts{
				MaxAttempts: 1, // the next sweep finds what is left
				Queue:       exportQueue,
				UniqueOpts:  river.UniqueOpts{ByArgs: true, ByPeriod: exportSweepEvery},
			})
		}))
	})
}

type reporter struct {
	river.WorkerDefaults[ReportMaintenance]
	longest time.Duration
	fn      func(context.Context, scope.Scope) error
}

// Timeout implements river.Worker.
func (e *reporter) Timeout(*river.Job[ReportMaintenance]) time.Duration { return e.longest }

// Work implements river.Worker.
func (e *reporter) Work(ctx context.Context, job *river.Job[ReportMaintenance]) error {
	return work(ctx, job, func(ctx context.Context, sc scope.Scope, _ ReportMaintenance) error { return e.fn(ctx, sc) })
}
