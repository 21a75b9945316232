package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/biocore-id/biocore/tenancy/scope"
)

// Metadata is what looks after the metadata of authenticators.
type Metadata struct {
	// Installation tells this installation from all others, for example its public URL: it
	// chooses the second of the hour at which Sync is called.
	Installation string
	// Sync fetches the metadata if that is due.
	Sync func(ctx context.Context) error
	// Apply calls each with the tenants, page by page, whose credentials must be compared
	// with the metadata now, and with none if that is not due. If each fails, all of them
	// are due again.
	Apply func(ctx context.Context, each func([]uuid.UUID) error) error
	// Reconcile compares one tenant's credentials with the metadata.
	Reconcile func(ctx context.Context, sc scope.Scope) error
}

// MetadataReconciliation is the job of comparing one tenant's credentials with the
// metadata. The sweep makes it for each tenant.
type MetadataReconciliation struct{ Of }

// Kind implements Args.
func (MetadataReconciliation) Kind() string { return "metadata_reconciliation" }

// metadataSync and metadataSweep are the platform's jobs, as housekeeping is.
type (
	metadataSync  struct{}
	metadataSweep struct{}
)

// Kind implements river.JobArgs.
func (metadataSync) Kind() string { return "metadata_sync" }

// Kind implements river.JobArgs.
func (metadataSweep) Kind() string { return "metadata_sweep" }

const (
	// metadataSyncEvery is how often it is asked whether a download is due, and so how soon
	// a failed one is tried again: what publishes for all the world must not be hammered.
	// Each installation asks at a second of the hour of its own, see spread.
	metadataSyncEvery = time.Hour
	// metadataSweepEvery is how late tenants hear of new metadata.
	metadataSweepEvery = 20 * time.Second
)

// FollowMetadata has r do what m says, periodically.
func (r *Runner) FollowMetadata(m Metadata) {
	r.periodic = append(r.periodic,
		river.NewPeriodicJob(
			spreadOf(m.Installation),
			func() (river.JobArgs, *river.InsertOpts) {
				return metadataSync{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: metadataSyncEvery / 4}}
			},
			&river.PeriodicJobOpts{RunOnStart: true},
		),
		river.NewPeriodicJob(
			river.PeriodicInterval(metadataSweepEvery),
			func() (river.JobArgs, *river.InsertOpts) {
				return metadataSweep{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: metadataSweepEvery / 2}}
			},
			&river.PeriodicJobOpts{RunOnStart: true},
		),
	)
	river.AddWorker(r.workers, river.WorkFunc(func(ctx context.Context, _ *river.Job[metadataSync]) error {
		if err := m.Sync(ctx); err != nil { // not tried again before its time: what is known stays in use
			r.log.WarnContext(ctx, "metadata of authenticators is not synced", "err", err)
		}
		return nil
	}))
	river.AddWorker(r.workers, &metadataSweeper{apply: m.Apply, log: r.log})
	Handle(r, func(ctx context.Context, sc scope.Scope, _ MetadataReconciliation) error { return m.Reconcile(ctx, sc) })
}

// spread is a schedule: once every period, at the same offset from its beginning, also
// after a restart and on whichever server it falls to. Periods begin at full hours of UTC,
// so without the offset all installations would ask the same source at once, above all in
// the hour after a next update is due.
type spread struct{ every, offset time.Duration }

// spreadOf returns the schedule of an installation: those of many are spread evenly.
func spreadOf(installation string) spread {
	sum := sha256.Sum256([]byte("biocore metadata sync " + installation))
	second := binary.BigEndian.Uint32(sum[:]) % uint32(metadataSyncEvery/time.Second)
	return spread{metadataSyncEvery, time.Duration(second) * time.Second}
}

// Next implements river.PeriodicSchedule.
func (s spread) Next(now time.Time) time.Time {
	next := now.Truncate(s.every).Add(s.offset)
	if !next.After(now) {
		next = next.Add(s.every)
	}
	return next
}

type metadataSweeper struct {
	river.WorkerDefaults[metadataSweep]
	apply func(ctx context.Context, each func([]uuid.UUID) error) error
	log   *slog.Logger
}

// Work implements river.Worker.
func (s *metadataSweeper) Work(ctx context.Context, _ *river.Job[metadataSweep]) error {
	return s.apply(ctx, func(tenants []uuid.UUID) error {
		jobs := make([]river.InsertManyParams, len(tenants))
		for i, id := range tenants {
			jobs[i] = river.InsertManyParams{Args: MetadataReconciliation{Of{TenantID: id}}, InsertOpts: &river.InsertOpts{
				// One that waits will see the newest metadata. One that runs may have begun before
				// it, so a second one may wait behind it.
				UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
					rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
					rivertype.JobStateRunning, rivertype.JobStateScheduled,
				}},
			}}
		}
		if _, err := river.ClientFromContext[pgx.Tx](ctx).InsertMany(ctx, jobs); err != nil {
			return fmt.Errorf("insert metadata reconciliations: %w", err)
		}
		s.log.DebugContext(ctx, "metadata is applied to tenants", "count", len(tenants))
		return nil
	})
}
