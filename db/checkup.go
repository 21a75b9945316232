package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Login is what a role finds at its database URL.
type Login struct {
	Role     string        // who it is there
	Database string        // the name of the database
	Server   string        // Postgres's version, for people: 15.8
	Version  int           // and for machines: 150008
	Started  time.Time     // since when the server runs: tells two servers apart
	Skew     time.Duration // Postgres's clock minus this machine's; half a round trip is the error

	// LogsParameters says that bound parameters of this role would be in the server's
	// log if it logged statements, or are because it does.
	LogsParameters bool
}

// Probe logs in at url and looks around: for `biocore doctor`. Within 2 s the
// server has answered or is ErrUnavailable; a refused login is another error.
func Probe(ctx context.Context, url string) (Login, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return Login{}, errors.New("the database URL cannot be read") // pgx's text would show the password
	}
	cfg.ConnectTimeout = 2 * time.Second
	cfg.RuntimeParams["application_name"] = "biocore doctor"
	cfg.RuntimeParams["statement_timeout"] = "2s"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return Login{}, classify(fmt.Errorf("connect: %w", err))
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	var l Login
	var theirs time.Time
	asked := time.Now()
	if err := conn.QueryRow(ctx, `SELECT session_user, current_database(), current_setting('server_version'),
		current_setting('server_version_num')::integer, pg_postmaster_start_time(), clock_timestamp(),
		current_setting('log_parameter_max_length') <> '0' OR current_setting('log_parameter_max_length_on_error') <> '0'
		  OR coalesce(current_setting('auto_explain.log_parameter_max_length', true), '0') <> '0'
		  OR coalesce(current_setting('pgaudit.log_parameter', true), 'off') = 'on'`).
		Scan(&l.Role, &l.Database, &l.Server, &l.Version, &l.Started, &theirs, &l.LogsParameters); err != nil {
		return Login{}, classify(fmt.Errorf("look around: %w", err))
	}
	l.Skew = theirs.Sub(asked.Add(time.Since(asked) / 2))
	return l, nil
}

// missingPartitions lists what make_partitions (0013_partition.sql) would have made
// for the time from now on, and is not there.
const missingPartitions = `
WITH span AS (SELECT now() AS since, now() + $1::interval AS till),
needed (parent, name) AS (
  SELECT 'spent_challenges', 'spent_challenges_' || slot FROM span,
    generate_series(floor(extract(epoch FROM since) / 3600)::integer, floor(extract(epoch FROM till) / 3600)::integer) slot
  UNION ALL
  SELECT 'ceremonies', 'ceremonies_' || to_char(month, 'YYYYMM') FROM span,
    generate_series(date_trunc('month', since AT TIME ZONE 'UTC'), till AT TIME ZONE 'UTC', interval '1 month') month
  UNION ALL
  SELECT 'event_outbox', 'event_outbox_' || to_char(day, 'YYYYMMDD') FROM span,
    generate_series(date_trunc('day', since AT TIME ZONE 'UTC'), till AT TIME ZONE 'UTC', interval '1 day') day
)
SELECT name FROM needed
WHERE NOT EXISTS (
  SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = to_regclass('public.' || parent) AND c.relname = name)
ORDER BY name`

// MissingPartitions names the partitions that will be needed within ahead and are
// not there. Where one lacks, every sign-in fails. A job makes them (package jobs),
// days before.
func (s *Store) MissingPartitions(ctx context.Context, ahead time.Duration) ([]string, error) {
	rows, err := s.control.Query(ctx, missingPartitions, ahead)
	if err != nil {
		return nil, classify(fmt.Errorf("look for partitions: %w", err))
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, classify(fmt.Errorf("look for partitions: %w", err))
	}
	return names, nil
}

// Server is a server of this installation, by its connection for the change feed, which
// each has one of.
type Server struct {
	Address string    // it comes from, as Postgres sees it; empty: by a socket of the same machine
	Since   time.Time // of the connection
	Version string    // empty: it does not say
}

// Servers returns those that are connected now, the longest first.
func (s *Store) Servers(ctx context.Context) ([]Server, error) {
	rows, err := s.control.Query(ctx, `SELECT coalesce(host(client_addr), ''), backend_start, substr(application_name, length($1) + 2) FROM pg_stat_activity
		WHERE (application_name = $1 OR application_name LIKE $1 || ' %') AND datname = current_database() ORDER BY backend_start, pid`, feedName)
	if err != nil {
		return nil, classify(fmt.Errorf("list servers: %w", err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (one Server, err error) {
		err = row.Scan(&one.Address, &one.Since, &one.Version)
		return one, err
	})
	if err != nil {
		return nil, classify(fmt.Errorf("list servers: %w", err))
	}
	return list, nil
}
