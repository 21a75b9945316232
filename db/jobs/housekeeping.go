package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/biocore-id/biocore/db/platformq"
)

// housekeeping makes partitions ahead and drops what is old. It is the platform's:
// it has no tenant, and no tenant's transaction could insert it.
type housekeeping struct{}

// housekeepingEvery: partitions are made days ahead, so many runs may fail before
// anybody notices.
const housekeepingEvery = 30 * time.Minute

// housekeepingJob runs when a server becomes the leader of the queue, and then every
// housekeepingEvery. Servers that start together make one job of it.
func housekeepingJob() *river.PeriodicJob {
	return river.NewPeriodicJob(
		river.PeriodicInterval(housekeepingEvery),
		func() (river.JobArgs, *river.InsertOpts) {
			return housekeeping{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: time.Minute}}
		},
		&river.PeriodicJobOpts{RunOnStart: true},
	)
}

// Kind implements river.JobArgs.
func (housekeeping) Kind() string { return "housekeeping" }

type housekeeper struct {
	river.WorkerDefaults[housekeeping]
	queries *platformq.Queries
	now     func() time.Time
	log     *slog.Logger
}

// Work implements river.Worker.
func (h *housekeeper) Work(ctx context.Context, _ *river.Job[housekeeping]) error {
	now := h.now()
	made, err := h.queries.MakePartitions(ctx, now)
	if err != nil {
		return fmt.Errorf("make partitions: %w", err)
	}
	dropped, err := h.queries.DropPartitions(ctx, now)
	if err != nil {
		return fmt.Errorf("drop partitions: %w", err)
	}
	expired, err := h.deleteExpiredKeys(ctx, now.Add(-24*time.Hour))
	if err != nil {
		return fmt.Errorf("delete expired idempotency keys: %w", err)
	}
	thinned, err := h.thinAnchors(ctx)
	if err != nil {
		return fmt.Errorf("thin anchors of audit logs out: %w", err)
	}
	h.log.InfoContext(ctx, "housekeeping done", "partitions_made", made, "count", int64(dropped)+expired+thinned)
	return nil
}

// KeepPartitions makes the partitions that are needed from now on and drops those that
// nobody needs any more, as the housekeeping does: for who writes rows of the past.
func KeepPartitions(ctx context.Context, url string, now time.Time) error {
	return visit(ctx, url, func(conn *pgx.Conn) error {
		queries := platformq.New(conn)
		if _, err := queries.MakePartitions(ctx, now); err != nil {
			return fmt.Errorf("make partitions: %w", err)
		}
		if _, err := queries.DropPartitions(ctx, now); err != nil {
			return fmt.Errorf("drop partitions: %w", err)
		}
		return nil
	})
}

// anchorsPerStatement: as expiredPerStatement.
const anchorsPerStatement = 5_000

// thinAnchors removes rows of old anchors batch by batch, and answers how many there were.
func (h *housekeeper) thinAnchors(ctx context.Context) (removed int64, err error) {
	for {
		n, err := h.queries.ThinAnchors(ctx, anchorsPerStatement)
		removed += int64(n)
		if err != nil || n < anchorsPerStatement {
			return removed, err
		}
	}
}

// expiredPerStatement: some 20 ms of deleting. One statement for a day's keys would
// hold its locks, and vacuum back, for as long as it takes.
const expiredPerStatement = 5_000

// deleteExpiredKeys deletes batch by batch, and answers how many there were.
func (h *housekeeper) deleteExpiredKeys(ctx context.Context, olderThan time.Time) (deleted int64, err error) {
	for {
		n, err := h.queries.DeleteExpiredIdempotencyKeys(ctx, platformq.DeleteExpiredIdempotencyKeysParams{
			OlderThan: olderThan, MaxRows: expiredPerStatement,
		})
		deleted += n
		if err != nil || n < expiredPerStatement {
			return deleted, err
		}
	}
}
