package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/jobs"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// greet and faint are two kinds of jobs.
type greet struct {
	jobs.Of

	Name string `json:"name"`
}

func (greet) Kind() string { return "test_greet" }

type faint struct{ jobs.Of }

func (faint) Kind() string { return "test_faint" }

type done struct {
	scope scope.Scope
	name  string
}

// limit bounds every wait of these tests.
const limit = 20 * time.Second

func newRunner(store *dbtest.Store) *jobs.Runner {
	return jobs.NewRunner(jobs.Options{URL: store.URL(db.RoleJobs), Now: store.Now, Log: slog.New(slog.DiscardHandler)})
}

// run works until the test ends, or until stop is called.
func run(t *testing.T, r *jobs.Runner) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	var stopped atomic.Bool
	stop = func() {
		if !stopped.CompareAndSwap(false, true) {
			return
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(limit):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func queue(t *testing.T) *jobs.Queue {
	t.Helper()
	q, err := jobs.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestJobRunsIfItsTransactionCommits(t *testing.T) {
	store := dbtest.Fresh(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	q, r := queue(t), newRunner(store)
	ran := make(chan done, 10)
	jobs.Handle(r, func(_ context.Context, sc scope.Scope, args greet) error {
		ran <- done{sc, args.Name}
		return nil
	})
	run(t, r)

	broken := errors.New("broken")
	insert := func(sc scope.Scope, name string, fail error) {
		t.Helper()
		err := store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
			if err := q.Insert(t.Context(), tx, greet{Of: jobs.Of{TenantID: sc.Tenant()}, Name: name}); err != nil {
				return err
			}
			return fail
		})
		if !errors.Is(err, fail) {
			t.Fatalf("InTenant = %v, want %v", err, fail)
		}
	}
	insert(acme, "rolled back", broken)
	insert(acme, "one", nil)
	insert(globex, "two", nil)
	for range 2 {
		got := receive(t, ran)
		want := map[string]scope.Scope{"one": acme, "two": globex}[got.name]
		if got.scope.Tenant() != want.Tenant() || got.scope.Actor().Kind != scope.ActorSystem || got.scope.Actor().ID != "job:test_greet" {
			t.Errorf("%q ran in scope %+v", got.name, got.scope)
		}
	}
	select {
	case got := <-ran:
		t.Errorf("%q ran too", got.name)
	default:
	}
}

// SECURITY 6: the arguments name the tenant, so they must be the transaction's. The
// package refuses another's, and so does Postgres when the package is gone around:
// removing the policy on river_job turns the second half red.
func TestForeignTenantIsRefused(t *testing.T) {
	store := dbtest.Fresh(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	q := queue(t)
	err := store.InTenant(t.Context(), acme, func(tx *db.TenantTx) error {
		return q.Insert(t.Context(), tx, greet{Of: jobs.Of{TenantID: globex.Tenant()}})
	})
	if err == nil || !strings.Contains(err.Error(), "another tenant") {
		t.Errorf("Insert of another tenant's job = %v", err)
	}
	if err := store.InTenant(t.Context(), globex, func(tx *db.TenantTx) error {
		return q.Insert(t.Context(), tx, greet{Of: jobs.Of{TenantID: globex.Tenant()}})
	}); err != nil {
		t.Fatal(err)
	}

	app := store.As(t, db.RoleApp)
	as := func(tenant uuid.UUID, sql string, args ...any) (int64, error) {
		t.Helper()
		var n int64
		err := pgx.BeginFunc(t.Context(), app, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "SELECT set_config('app.tenant_id', $1, true)", tenant.String()); err != nil {
				return err
			}
			tag, err := tx.Exec(t.Context(), sql, args...)
			n = tag.RowsAffected()
			return err
		})
		return n, err
	}
	const insert = `INSERT INTO river.river_job (args, kind, max_attempts) VALUES ($1::jsonb, 'test_greet', 1)`
	if _, err := as(acme.Tenant(), insert, `{"tenantId":"`+acme.Tenant().String()+`"}`); err != nil {
		t.Errorf("its own job: %v", err)
	}
	for name, args := range map[string]string{
		"another's":  `{"tenantId":"` + globex.Tenant().String() + `"}`,
		"nobody's":   `{}`,
		"null":       `{"tenantId":null}`,
		"no uuid":    `{"tenantId":"x"}`,
		"a number":   `{"tenantId":1}`,
		"other case": `{"TenantId":"` + acme.Tenant().String() + `"}`,
	} {
		if _, err := as(acme.Tenant(), insert, args); err == nil {
			t.Errorf("a job of %s tenant was inserted past the package", name)
		}
	}
	for _, sql := range []string{"SELECT 1 FROM river.river_job", "UPDATE river.river_job SET priority = 1"} {
		if n, err := as(acme.Tenant(), sql); err != nil || n != 1 {
			t.Errorf("%s reaches %d rows, %v, want its own one", sql, n, err)
		}
	}
	if _, err := as(acme.Tenant(), "DELETE FROM river.river_job"); err == nil {
		t.Error("a tenant can delete jobs")
	}
}

// SECURITY 37: a job that panics or fails harms no neighbour, is tried again, and
// is put aside after its last attempt.
func TestPoisonousJob(t *testing.T) {
	store := dbtest.Fresh(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	q, r := queue(t), newRunner(store)
	fainted, greeted := make(chan struct{}, 100), make(chan done, 10)
	jobs.Handle(r, func(context.Context, scope.Scope, faint) error {
		fainted <- struct{}{}
		panic("poison")
	})
	jobs.Handle(r, func(_ context.Context, sc scope.Scope, args greet) error {
		greeted <- done{sc, args.Name}
		return nil
	})
	run(t, r)

	for range 8 { // more than there are workers
		if err := store.InTenant(t.Context(), acme, func(tx *db.TenantTx) error {
			return q.Insert(t.Context(), tx, faint{jobs.Of{TenantID: acme.Tenant()}})
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.InTenant(t.Context(), globex, func(tx *db.TenantTx) error {
		return q.Insert(t.Context(), tx, greet{Of: jobs.Of{TenantID: globex.Tenant()}, Name: "neighbour"})
	}); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, greeted); got.name != "neighbour" {
		t.Errorf("greeted %q", got.name)
	}
	for range 8 {
		receive(t, fainted)
	}

	super := store.Superuser(t)
	const states = `SELECT count(*) FROM river.river_job WHERE kind = 'test_faint' AND state = $1::river.river_job_state`
	until(t, super, 8, states, "retryable")
	// Backoff would take an hour to the last attempt: bring it on.
	if _, err := super.Exec(t.Context(), `UPDATE river.river_job SET attempt = max_attempts - 1, state = 'available', scheduled_at = now()
		WHERE kind = 'test_faint'`); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		receive(t, fainted)
	}
	until(t, super, 8, states, "discarded")
}

// until waits for a count to become want.
func until(t *testing.T, conn *pgx.Conn, want int, sql string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		var n int
		if err := conn.QueryRow(ctx, sql, args...).Scan(&n); err != nil {
			t.Fatalf("waiting for %d: last count %d, %v", want, n, err)
		}
		if n == want {
			return
		}
	}
}

func TestRunLetsTheRunningJobFinish(t *testing.T) {
	store := dbtest.Fresh(t)
	acme := store.Tenant(t)
	q, r := queue(t), newRunner(store)
	began, mayEnd := make(chan struct{}), make(chan struct{})
	var finished atomic.Bool
	jobs.Handle(r, func(ctx context.Context, _ scope.Scope, _ greet) error {
		close(began)
		<-mayEnd
		finished.Store(ctx.Err() == nil)
		return ctx.Err()
	})
	stop := run(t, r)
	if err := store.InTenant(t.Context(), acme, func(tx *db.TenantTx) error {
		return q.Insert(t.Context(), tx, greet{Of: jobs.Of{TenantID: acme.Tenant()}})
	}); err != nil {
		t.Fatal(err)
	}
	receive(t, began)
	time.AfterFunc(50*time.Millisecond, func() { close(mayEnd) }) // while it stops
	stop()
	if !finished.Load() {
		t.Error("the job was cut short")
	}
}

func TestRunNeedsPostgresTime(t *testing.T) {
	if err := jobs.NewRunner(jobs.Options{URL: "postgres://localhost/x"}).Run(t.Context()); err == nil {
		t.Error("Run without Now succeeded")
	}
	err := jobs.NewRunner(jobs.Options{URL: "postgres://u:secret@[bad", Now: time.Now}).Run(t.Context())
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a bad URL = %v", err)
	}
}

// The first server to start makes partitions, drops old ones and expired keys.
func TestHousekeepingAtStart(t *testing.T) {
	store := dbtest.Fresh(t)
	acme := store.Tenant(t)
	super := store.Superuser(t)
	for _, sql := range []string{
		"SELECT make_partitions(now() - interval '30 days')",
		"DROP TABLE spent_challenges_" + lastSlot(t, super),
		"INSERT INTO idempotency_keys (tenant_id, actor, method, key, body_hash, created_at) " +
			"SELECT '" + acme.Tenant().String() + "', 'a', 'm', i::text, sha256('x'), now() - i * interval '20 hours' FROM generate_series(0, 3) i",
		"INSERT INTO idempotency_keys (tenant_id, actor, method, key, body_hash, created_at) " + // more than one statement deletes
			"SELECT '" + acme.Tenant().String() + "', 'b', 'm', i::text, sha256('x'), now() - interval '30 hours' - i * interval '1 ms' FROM generate_series(1, 10500) i",
	} {
		if _, err := super.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	const spent = `SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'spent_challenges'::regclass AND substring(c.relname FROM '\d+$')::integer - floor(extract(epoch FROM now()) / 3600) `
	run(t, newRunner(store))
	until(t, super, 1, `SELECT count(*) FROM river.river_job WHERE kind = 'housekeeping' AND state = 'completed'`)
	until(t, super, 0, spent+"< -2")
	until(t, super, 76, spent+">= 0")
	until(t, super, 2, `SELECT count(*) FROM idempotency_keys`)
	until(t, super, 0, `SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'event_outbox'::regclass AND c.relname < 'event_outbox_' || to_char(now() AT TIME ZONE 'UTC' - interval '15 days', 'YYYYMMDD')`)
}

// A runner whose clock is ahead must not drop what still guards against replays.
func TestDropKeepsWhatIsToCome(t *testing.T) {
	store := dbtest.Fresh(t)
	super := store.Superuser(t)
	var dropped int
	if err := super.QueryRow(t.Context(), "SELECT drop_partitions(now() + interval '40 days')").Scan(&dropped); err != nil || dropped != 0 {
		t.Errorf("dropped %d, %v, want none", dropped, err)
	}
}

// Whatever order the planner finds good, the digits that other tables' names end in are no dates.
func TestDropReadsThePartitionsAlone(t *testing.T) {
	store := dbtest.Fresh(t)
	super := store.Superuser(t)
	for _, sql := range []string{"SET enable_nestloop = off", "SET enable_mergejoin = off", "SET enable_indexscan = off", "SET enable_bitmapscan = off"} {
		if _, err := super.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := super.Exec(t.Context(), "SELECT drop_partitions(now())"); err != nil {
		t.Error(err)
	}
}

func lastSlot(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	var slot string
	const sql = `SELECT max(substring(c.relname FROM '\d+$')) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'spent_challenges'::regclass`
	if err := conn.QueryRow(t.Context(), sql).Scan(&slot); err != nil {
		t.Fatal(err)
	}
	return slot
}
