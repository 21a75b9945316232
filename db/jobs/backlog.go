package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Backlog is what waits in the queue, of all tenants.
type Backlog struct {
	Waiting   int           // to be done, now or later
	Late      time.Duration // how long the oldest that is due has been waiting; 0: none is
	Discarded int           // given up after maxAttempts, and kept to be looked at
}

// Inspect looks at the queue, for `biocore doctor`. url logs in as bc_jobs.
func Inspect(ctx context.Context, url string) (Backlog, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return Backlog{}, errors.New("the jobs' database URL cannot be read")
	}
	cfg.ConnectTimeout = 2 * time.Second
	cfg.RuntimeParams["statement_timeout"] = "10s"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return Backlog{}, fmt.Errorf("connect as bc_jobs: %w", err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	var b Backlog
	if err := conn.QueryRow(ctx, `SELECT count(*) FILTER (WHERE state IN ('available', 'pending', 'retryable', 'scheduled')),
		coalesce(now() - min(scheduled_at) FILTER (WHERE state IN ('available', 'retryable', 'scheduled') AND scheduled_at < now()), interval '0'),
		count(*) FILTER (WHERE state = 'discarded')
		FROM river.river_job`).Scan(&b.Waiting, &b.Late, &b.Discarded); err != nil {
		return Backlog{}, fmt.Errorf("look at the queue: %w", err)
	}
	return b, nil
}
