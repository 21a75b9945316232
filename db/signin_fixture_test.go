package db_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// fixture is the shared database, seen by servers of the test's own and by a
// superuser who looks behind them.
type fixture struct {
	store *dbtest.Store
	admin *pgxpool.Pool
}

func newFixture(tb testing.TB) *fixture {
	tb.Helper()
	return newFixtureOn(tb, dbtest.New(tb))
}

func newFixtureOn(tb testing.TB, store *dbtest.Store) *fixture {
	tb.Helper()
	admin, err := pgxpool.New(tb.Context(), store.SuperuserURL())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(admin.Close)
	return &fixture{store: store, admin: admin}
}

// open opens a server that does not run yet: its sign-ins wait.
func (f *fixture) open(tb testing.TB) *db.Store {
	tb.Helper()
	return f.openWith(tb, f.store.Options())
}

func (f *fixture) openWith(tb testing.TB, o db.Options) *db.Store {
	tb.Helper()
	s, err := db.Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// run runs it until the test ends.
func (f *fixture) run(tb testing.TB, s *db.Store) {
	tb.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	tb.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			tb.Errorf("Run: %v", err)
		}
	})
}

func (f *fixture) running(tb testing.TB) *db.Store {
	tb.Helper()
	s := f.open(tb)
	f.run(tb, s)
	return s
}

func (f *fixture) tenant(tb testing.TB) scope.Scope {
	tb.Helper()
	return f.store.Tenant(tb).WithOrigin(scope.Origin{UserAgent: "Test/1.0"})
}

// person is somebody with one credential.
type person struct {
	sc         scope.Scope
	user       uuid.UUID
	credential []byte
}

func (f *fixture) person(tb testing.TB, sc scope.Scope) person {
	tb.Helper()
	user, credentials := f.store.User(tb, sc, 1)
	return person{sc: sc, user: user, credential: credentials[0]}
}

func (p person) signIn(count uint32) db.SignIn { return signInOf(p.user, p.credential, count) }

func (f *fixture) exec(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	if _, err := f.admin.Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatal(err)
	}
}

// written counts the rows that a sign-in left: session, ceremony, entry and event;
// and spent challenges.
func (f *fixture) written(tb testing.TB, in db.SignIn) (traces, spent int) {
	tb.Helper()
	if err := f.admin.QueryRow(tb.Context(), `SELECT
  (SELECT count(*) FROM sessions WHERE id = $1) + (SELECT count(*) FROM ceremonies WHERE id = $1) +
  (SELECT count(*) FROM audit_inbox WHERE id = $1) + (SELECT count(*) FROM event_outbox WHERE id = $1),
  (SELECT count(*) FROM spent_challenges WHERE spender = $1)`, in.ID).Scan(&traces, &spent); err != nil {
		tb.Fatal(err)
	}
	return traces, spent
}

func (f *fixture) expectAll(tb testing.TB, in db.SignIn) {
	tb.Helper()
	if traces, spent := f.written(tb, in); traces != 4 || spent != 1 {
		tb.Errorf("an accepted sign-in left %d rows of 4 and spent %d challenges of 1", traces, spent)
	}
}

func (f *fixture) signCount(tb testing.TB, p person) (n int64) {
	tb.Helper()
	if err := f.admin.QueryRow(tb.Context(), "SELECT sign_count FROM credentials WHERE id = $1", p.credential).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

func (f *fixture) begin(tb testing.TB) pgx.Tx {
	tb.Helper()
	tx, err := f.admin.Begin(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = tx.Rollback(ctx) // most tests have committed it
	})
	return tx
}
