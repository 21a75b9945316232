package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Backlog is what waits in the queue, of all tenants.
type Backlog struct {
	Waiting   int           // to be done, now or later
	Late      time.Duration // how long the oldest that is due has been waiting; 0: none is
	Discarded int           // given up after maxAttempts, and kept to be looked at
}

// Inspect looks at the queue. url logs in as bc_jobs.
func Inspect(ctx context.Context, url string) (Backlog, error) {
	var b Backlog
	err := visit(ctx, url, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT count(*) FILTER (WHERE state IN ('available', 'pending', 'retryable', 'scheduled')),
			coalesce(now() - min(scheduled_at) FILTER (WHERE state IN ('available', 'retryable', 'scheduled') AND scheduled_at < now()), interval '0'),
			count(*) FILTER (WHERE state = 'discarded')
			FROM river.river_job`).Scan(&b.Waiting, &b.Late, &b.Discarded)
	})
	return b, err
}

// Discarded is a job that was given up after maxAttempts.
type Discarded struct {
	ID       int64
	Kind     string
	Tenant   uuid.UUID // uuid.Nil: the platform's own
	Attempts int
	Error    string // of the last attempt
	At       time.Time
}

// ListDiscarded returns the jobs that were given up, the latest first, at most limit.
func ListDiscarded(ctx context.Context, url string, limit int) ([]Discarded, error) {
	var list []Discarded
	err := visit(ctx, url, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT id, kind, coalesce(args->>'tenantId', ''), attempt, coalesce(errors[array_upper(errors, 1)]->>'error', ''), finalized_at
			FROM river.river_job WHERE state = 'discarded' ORDER BY finalized_at DESC, id DESC LIMIT $1`, limit)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Discarded, err error) {
			var tenant string
			err = row.Scan(&d.ID, &d.Kind, &tenant, &d.Attempts, &d.Error, &d.At)
			d.Tenant, _ = uuid.Parse(tenant) // none: the platform's
			return d, err
		})
		return err
	})
	return list, err
}

// RetryDiscarded lets a job that was given up run once more, at once, and reports whether
// there was one. Who retries it again a moment later changes nothing.
func RetryDiscarded(ctx context.Context, url string, id int64) (bool, error) {
	var found bool
	err := visit(ctx, url, func(conn *pgx.Conn) error {
		tag, err := conn.Exec(ctx, `UPDATE river.river_job SET state = 'available', finalized_at = NULL, scheduled_at = now(), max_attempts = attempt + 1
			WHERE id = $1 AND state = 'discarded'`, id)
		found = tag.RowsAffected() == 1
		return err
	})
	return found, err
}

// visit has a connection of its own, for who looks seldom.
func visit(ctx context.Context, url string, fn func(*pgx.Conn) error) error {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return errors.New("the jobs' database URL cannot be read")
	}
	cfg.ConnectTimeout = 2 * time.Second
	cfg.RuntimeParams["statement_timeout"] = "10s"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("connect as bc_jobs: %w", err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if err := fn(conn); err != nil {
		return fmt.Errorf("look at the queue: %w", err)
	}
	return nil
}
