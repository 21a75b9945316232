// Package db is the only room that speaks to Postgres, and it hands out no pool.
//
// Rows of a tenant are reached through a *TenantTx, which only Store.InTenant and
// Store.ReadTenant make, from a scope. Work that crosses tenants goes through
// Store.InPlatform, with a reason that is logged and counted. Sign-ins of many
// requests share commits through the writer (signin.go), tenant by tenant.
//
// The tenant is set in one place, begin, and it is local to the transaction: a
// pooled connection carries nothing from one tenant to the next.
//
// Domain packages own their transactions: fn is the whole of one, it may run twice
// (a serialization failure or a deadlock is tried again), and nothing slow or
// outside of Postgres happens in it.
package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// Options configures a Store. The four URLs log in as four roles of one
// database (Bootstrap makes the roles and their logins).
type Options struct {
	secret.Hidden // the URLs hold passwords

	AppURL     string // role bc_app: a tenant's rows, behind the wall
	WriterURL  string // role bc_writer: sign-ins; must reach Postgres directly, not through a pooler
	ControlURL string // role bc_control: the platform plane, and the change feed
	SupportURL string // role bc_support: people of the staff whom a tenant has let in
	AuditURL   string // role bc_audit: the sequencer of audit logs

	// AppConns bounds the pool of bc_app; 0 means 16. The writer holds up to
	// four connections, the platform plane and support at most four each, the change feed
	// one.
	AppConns int

	// Version is this server's own, by which others tell it; empty: not said.
	Version string

	// Tracer observes queries when tracing is on; nil for none.
	Tracer pgx.QueryTracer

	Log *slog.Logger     // nil means slog.Default
	Now func() time.Time // this machine's clock; nil means time.Now

	// Unfollowed leaves the change feed out: Now alone is the time, and nothing is kept
	// in a cache. It is for a store whose clock is not today's.
	Unfollowed bool
}

// Store is a connection to one database, with all roles that a server needs.
// It is safe for concurrent use.
type Store struct {
	app       *pgxpool.Pool
	writer    *pgxpool.Pool
	control   *pgxpool.Pool
	support   *pgxpool.Pool
	audit     *pgxpool.Pool
	feed      *feed
	signIns   *signInQueue
	admission *admission
	log       *slog.Logger
	clock     func() time.Time
	follows   bool
	skew      atomic.Int64 // nanoseconds to add to clock to get Postgres's time

	platformCalls atomic.Int64
}

// Open connects, and fails when a role cannot log in. It starts no goroutine of
// its own beyond the pools': call Run for the change feed and the writers of
// sign-ins, and Close at the end.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{log: o.Log, clock: o.Now, follows: !o.Unfollowed, signIns: newSignInQueue()}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if o.AppConns == 0 {
		o.AppConns = 16
	}
	s.admission = newAdmission(o.AppConns)
	var err error
	if s.app, err = open(ctx, o.AppURL, o.AppConns, o.Tracer, nil); err != nil {
		return nil, fmt.Errorf("connect as bc_app: %w", err)
	}
	if s.control, err = open(ctx, o.ControlURL, 4, o.Tracer, nil); err != nil {
		s.Close()
		return nil, fmt.Errorf("connect as bc_control: %w", err)
	}
	if s.support, err = open(ctx, o.SupportURL, 4, o.Tracer, nil); err != nil {
		s.Close()
		return nil, fmt.Errorf("connect as bc_support: %w", err)
	}
	if s.audit, err = open(ctx, o.AuditURL, 2, o.Tracer, nil); err != nil {
		s.Close()
		return nil, fmt.Errorf("connect as bc_audit: %w", err)
	}
	if s.writer, err = open(ctx, o.WriterURL, maxWriters, o.Tracer, writerSettings); err != nil {
		s.Close()
		return nil, fmt.Errorf("connect as bc_writer: %w", err)
	}
	s.feed = newFeed(s.control.Config().ConnConfig, o.Version, s.log)
	return s, nil
}

// Bounds on what one statement may take of the server, for every role: a request
// has given up long before. lock_timeout keeps one stuck row from filling a pool.
var settings = map[string]string{
	"application_name":                    "biocore",
	"statement_timeout":                   "10s",
	"lock_timeout":                        "2s",
	"idle_in_transaction_session_timeout": "15s",
	"timezone":                            "UTC",
	"log_parameter_max_length_on_error":   "0", // parameters are personal data, or the key to it
}

func open(ctx context.Context, url string, conns int, tracer pgx.QueryTracer, extra map[string]string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the database URL cannot be read") // pgx's text would show the password
	}
	cfg.MaxConns = int32(min(conns, 1000)) //nolint:gosec // bounded on this line
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.HealthCheckPeriod = 30 * time.Second
	cfg.ConnConfig.ConnectTimeout = 2 * time.Second
	cfg.ConnConfig.Tracer = tracer
	for _, set := range []map[string]string{extra, settings} { // what comes first stays
		for k, v := range set {
			if _, given := cfg.ConnConfig.RuntimeParams[k]; !given || k == "application_name" {
				cfg.ConnConfig.RuntimeParams[k] = v
			}
		}
	}
	cfg.AfterConnect = utc
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, classify(err)
	}
	return pool, nil
}

// utc makes every timestamp that is read a UTC time, whatever zone the machine
// is in: times are compared and printed.
func utc(_ context.Context, c *pgx.Conn) error {
	c.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID,
		Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	return nil
}

// Run keeps the change feed and writes sign-ins until ctx ends, then answers the
// sign-ins that still wait and returns nil. Without it cached things are never
// fresh, every read goes to Postgres, and SignIn waits. Call it once.
func (s *Store) Run(ctx context.Context) error {
	if !s.follows {
		s.runWriters(ctx)
		return nil
	}
	var running sync.WaitGroup
	running.Go(func() { s.runWriters(ctx) })
	defer running.Wait()
	return s.feed.run(ctx, s)
}

// Close closes all connections, after what runs on them has ended.
func (s *Store) Close() {
	for _, p := range []*pgxpool.Pool{s.app, s.writer, s.control, s.support, s.audit} {
		if p != nil {
			p.Close()
		}
	}
}

// Ping reports whether Postgres answers, within ctx.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.app.Ping(ctx); err != nil {
		return classify(err)
	}
	return nil
}

// Version returns Postgres's, as 15.14.
func (s *Store) Version(ctx context.Context) (version string, err error) {
	if err := s.app.QueryRow(ctx, "SELECT split_part(current_setting('server_version'), ' ', 1)").Scan(&version); err != nil {
		return "", classify(fmt.Errorf("ask for the version: %w", err))
	}
	return version, nil
}

// Now is Postgres's time as this server knows it: its own clock corrected by the
// difference that the change feed measures. UTC, to the microsecond, which is
// Postgres's grain. Expiries are judged by it, so that servers whose clocks
// differ agree.
func (s *Store) Now() time.Time {
	return s.clock().Add(time.Duration(s.skew.Load())).UTC().Truncate(time.Microsecond)
}
