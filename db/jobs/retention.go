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

// Retention is the job of removing what one tenant's policy says is not to be kept. The
// sweep makes it for each.
type Retention struct{ Of }

// Kind implements Args.
func (Retention) Kind() string { return "retention" }

// retentionSweep is the platform's job, as housekeeping is.
type retentionSweep struct{}

// Kind implements river.JobArgs.
func (retentionSweep) Kind() string { return "retention_sweep" }

// retentionSweepEvery: policies count in days.
const retentionSweepEvery = time.Hour

// ApplyRetention has apply look at each tenant that tenants lists, page by page, once an hour.
func (r *Runner) ApplyRetention(
	tenants func(ctx context.Context, each func([]uuid.UUID) error) error, apply func(ctx context.Context, sc scope.Scope) error,
) {
	Handle(r, func(ctx context.Context, sc scope.Scope, _ Retention) error { return apply(ctx, sc) })
	r.sweep(river.NewPeriodicJob(
		river.PeriodicInterval(retentionSweepEvery),
		func() (river.JobArgs, *river.InsertOpts) {
			return retentionSweep{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: retentionSweepEvery / 4}}
		},
		&river.PeriodicJobOpts{RunOnStart: true},
	), func(*platformq.Queries) {
		river.AddWorker(r.workers, river.WorkFunc(func(ctx context.Context, _ *river.Job[retentionSweep]) error {
			return tenants(ctx, func(page []uuid.UUID) error {
				if err := maintain(ctx, page, func(of Of) river.JobArgs { return Retention{of} }); err != nil {
					return fmt.Errorf("insert retention: %w", err)
				}
				return nil
			})
		}))
	})
}
