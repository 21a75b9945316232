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

// UsageMeasurement is the job of measuring what one tenant uses. The sweep makes it for each.
type UsageMeasurement struct{ Of }

// Kind implements Args.
func (UsageMeasurement) Kind() string { return "usage_measurement" }

// usageSweep is the platform's job, as housekeeping is.
type usageSweep struct{}

// Kind implements river.JobArgs.
func (usageSweep) Kind() string { return "usage_sweep" }

// usageSweepEvery is how old a meter may be, and how late a quota is noticed.
const usageSweepEvery = time.Hour

// MeterUsage has measure look at each tenant that tenants lists, page by page, once an hour.
func (r *Runner) MeterUsage(
	tenants func(ctx context.Context, each func([]uuid.UUID) error) error, measure func(ctx context.Context, sc scope.Scope) error,
) {
	Handle(r, func(ctx context.Context, sc scope.Scope, _ UsageMeasurement) error { return measure(ctx, sc) })
	r.sweep(river.NewPeriodicJob(
		river.PeriodicInterval(usageSweepEvery),
		func() (river.JobArgs, *river.InsertOpts) {
			return usageSweep{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: usageSweepEvery / 4}}
		},
		&river.PeriodicJobOpts{RunOnStart: true},
	), func(*platformq.Queries) {
		river.AddWorker(r.workers, river.WorkFunc(func(ctx context.Context, _ *river.Job[usageSweep]) error {
			return tenants(ctx, func(page []uuid.UUID) error {
				if err := maintain(ctx, page, func(of Of) river.JobArgs { return UsageMeasurement{of} }); err != nil {
					return fmt.Errorf("insert usage measurement: %w", err)
				}
				return nil
			})
		}))
	})
}
