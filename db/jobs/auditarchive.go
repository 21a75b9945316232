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

// AuditArchive is the job of archiving what is old of one tenant's audit log. The sweep makes it for each.
type AuditArchive struct{ Of }

// Kind implements Args.
func (AuditArchive) Kind() string { return "audit_archive" }

// auditArchiveSweep is the platform's job, as housekeeping is.
type auditArchiveSweep struct{}

// Kind implements river.JobArgs.
func (auditArchiveSweep) Kind() string { return "audit_archive_sweep" }

// auditArchiveSweepEvery: months become due, and a new policy.
const auditArchiveSweepEvery = time.Hour

// ArchiveAudit has fn look at each tenant that tenants lists, page by page, once an hour. It may run for as long as longest.
func (r *Runner) ArchiveAudit(longest time.Duration, tenants func(ctx context.Context, each func([]uuid.UUID) error) error, fn func(ctx context.Context, sc scope.Scope) error) {
	river.AddWorker(r.workers, &auditArchiver{longest: longest, fn: fn})
	r.sweep(river.NewPeriodicJob(
		river.PeriodicInterval(auditArchiveSweepEvery),
		func() (river.JobArgs, *river.InsertOpts) {
			return auditArchiveSweep{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: auditArchiveSweepEvery / 4}}
		},
		&river.PeriodicJobOpts{RunOnStart: true},
	), func(*platformq.Queries) {
		river.AddWorker(r.workers, river.WorkFunc(func(ctx context.Context, _ *river.Job[auditArchiveSweep]) error {
			return tenants(ctx, func(page []uuid.UUID) error {
				if err := maintain(ctx, page, func(of Of) river.JobArgs { return AuditArchive{of} }); err != nil {
					return fmt.Errorf("insert audit archives: %w", err)
				}
				return nil
			})
		}))
	})
}

type auditArchiver struct {
	river.WorkerDefaults[AuditArchive]
	longest time.Duration
	fn      func(context.Context, scope.Scope) error
}

// Timeout implements river.Worker.
func (a *auditArchiver) Timeout(*river.Job[AuditArchive]) time.Duration { return a.longest }

// Work implements river.Worker.
func (a *auditArchiver) Work(ctx context.Context, job *river.Job[AuditArchive]) error {
	return work(ctx, job, func(ctx context.Context, sc scope.Scope, _ AuditArchive) error { return a.fn(ctx, sc) })
}
