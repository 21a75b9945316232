package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/biocore-id/biocore/db/platformq"
)

// KeyMaintenance is the job of looking after one tenant's keys. The sweep makes it for
// each tenant of which something is due.
type KeyMaintenance struct{ Of }

// Kind implements Args.
func (KeyMaintenance) Kind() string { return "key_maintenance" }

// keySweep finds the tenants with keys that something is due of: the platform's job, as
// housekeeping is.
type keySweep struct{}

// Kind implements river.JobArgs.
func (keySweep) Kind() string { return "key_sweep" }

const (
	// keySweepEvery is how late a signing key may begin to sign or stop to verify. Both
	// have minutes to spare.
	keySweepEvery = time.Minute
	// keySweepMax tenants a sweep: what is due longest comes first, the rest next time.
	keySweepMax = 2_000
)

func keySweepJob() *river.PeriodicJob {
	return river.NewPeriodicJob(
		river.PeriodicInterval(keySweepEvery),
		func() (river.JobArgs, *river.InsertOpts) {
			return keySweep{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: keySweepEvery / 2}}
		},
		&river.PeriodicJobOpts{RunOnStart: true},
	)
}

type keySweeper struct {
	river.WorkerDefaults[keySweep]
	queries *platformq.Queries
	log     *slog.Logger
}

// Work implements river.Worker.
func (s *keySweeper) Work(ctx context.Context, _ *river.Job[keySweep]) error {
	tenants, err := s.queries.ListTenantsWithKeysDue(ctx, keySweepMax)
	if err != nil {
		return fmt.Errorf("list tenants with keys due: %w", err)
	}
	if len(tenants) == 0 {
		return nil
	}
	if err := maintain(ctx, tenants, func(of Of) river.JobArgs { return KeyMaintenance{of} }); err != nil {
		return fmt.Errorf("insert key maintenance: %w", err)
	}
	s.log.DebugContext(ctx, "keys are due", "count", len(tenants))
	return nil
}

// maintain makes a job of each tenant, from within a job of the platform's.
func maintain(ctx context.Context, tenants []uuid.UUID, args func(Of) river.JobArgs) error {
	return insertEach(ctx, tenants, args, river.InsertOpts{
		MaxAttempts: 2, // the next sweep finds what is left
		// One at a time for each tenant: the sweep finds it again while it waits or runs.
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
			rivertype.JobStateRunning, rivertype.JobStateScheduled,
		}},
	})
}

// insertEach makes a job of each tenant, as options say.
func insertEach(ctx context.Context, tenants []uuid.UUID, args func(Of) river.JobArgs, options river.InsertOpts) error {
	jobs := make([]river.InsertManyParams, len(tenants))
	for i, id := range tenants {
		jobs[i] = river.InsertManyParams{Args: args(Of{TenantID: id}), InsertOpts: &options}
	}
	_, err := river.ClientFromContext[pgx.Tx](ctx).InsertMany(ctx, jobs)
	return err
}
