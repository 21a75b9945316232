// Package dbtest gives tests a real Postgres and a real Redis, and fixtures in the
// words of the domain.
//
//	store := dbtest.New(t)    // a migrated database, one for each test process
//	acme := store.Tenant(t)   // each test mints its own tenants: the wall keeps tests apart
//	_, creds := store.User(t, acme, 2)
//
// The first New of a process starts a server of its own (package embedded, 0.1 s),
// migrates (0.2 s) and shares the result; the server ends with the process, however
// that ends. Nothing is set up by hand, TestMain is not needed, and a machine without
// Postgres or Redis fails the test with the line that installs them.
//
// BIOCORE_TEST_POSTGRES_URL names a running server to use instead, as a superuser, and
// BIOCORE_TEST_REDIS_URL likewise. Many processes may share them.
//
// Product code never imports this package: cmd/biocore/deps_test.go.
package dbtest

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db"
)

// Store is a migrated database, opened as a server opens it, with its change feed
// and its writers of sign-ins running. It is safe for concurrent use.
type Store struct {
	*db.Store

	server   *server
	database string
}

// shared is the store of this process. Nobody closes it: no test knows that it is
// the last, and the servers end with the process.
var shared = sync.OnceValues(func() (*Store, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	srv, err := sharedServer()
	if err != nil {
		return nil, err
	}
	s, err := srv.open(ctx)
	if err != nil {
		return nil, err
	}
	go s.run(context.Background())
	return s, nil
})

// New returns the database that all tests of this process share. Tests in it see
// only what they made themselves as long as each mints its own tenants.
func New(t testing.TB) *Store {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	return s
}

// Fresh returns a migrated database for this test alone, which goes away with it
// (50 ms). It is for tests that change the schema or roles' rights, or count rows
// across tenants.
func Fresh(t testing.TB) *Store {
	t.Helper()
	srv, err := sharedServer()
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	return srv.openFor(t)
}

// Empty returns a database that Bootstrap has prepared and nobody has migrated, which
// goes away with the test. Its Store is nil: only URL, SuperuserURL, Superuser and As work.
func Empty(t testing.TB) *Store {
	t.Helper()
	srv, err := sharedServer()
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	srv.mu.Lock()
	name, err := srv.create(ctx, "")
	srv.mu.Unlock()
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	t.Cleanup(func() {
		if err := srv.drop(context.Background(), name); err != nil {
			t.Errorf("dbtest: %v", err)
		}
	})
	return &Store{server: srv, database: name}
}

// openFor opens a database that goes away with t.
func (s *server) openFor(t testing.TB) *Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	store, err := s.open(ctx)
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	t.Cleanup(func() {
		if err := s.drop(context.Background(), store.database); err != nil {
			t.Errorf("dbtest: %v", err)
		}
	})
	t.Cleanup(store.Close)
	runFor(t, store.run)
	return store
}

// runFor runs fn until t ends, and waits for its return.
func runFor(t testing.TB, fn func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { fn(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// run is db.Store.Run with its error logged: it only ends in one when ctx does.
func (s *Store) run(ctx context.Context) {
	if err := s.Run(ctx); err != nil {
		logger().ErrorContext(ctx, "store ended", "err", err)
	}
}

// Options open this database once more: for tests that want a clock of their own, a
// tracer or another size of pool.
func (s *Store) Options() db.Options {
	return db.Options{
		AppURL: s.URL(db.RoleApp), WriterURL: s.URL(db.RoleWriter), ControlURL: s.URL(db.RoleControl),
		SupportURL: s.URL(db.RoleSupport), AuditURL: s.URL(db.RoleAudit), Log: logger(),
	}
}

// Replica is this database as another server sees it, with caches of its own. It
// runs until the test ends.
func (s *Store) Replica(t testing.TB) *db.Store {
	t.Helper()
	replica, err := db.Open(t.Context(), s.Options())
	if err != nil {
		t.Fatalf("dbtest: open a replica: %v", err)
	}
	t.Cleanup(replica.Close)
	runFor(t, (&Store{Store: replica}).run)
	return replica
}

// URL logs in to this database as one of db.LoginRoles.
func (s *Store) URL(role string) string {
	return s.server.url(s.database, role)
}

// SuperuserURL logs in as the superuser, whom no wall stops.
func (s *Store) SuperuserURL() string {
	return s.server.superuserURL(s.database)
}

// Superuser connects as the superuser: to look behind the wall, or to break it in a
// Fresh database. The connection is closed when the test ends.
func (s *Store) Superuser(t testing.TB) *pgx.Conn {
	t.Helper()
	return connect(t, s.SuperuserURL())
}

// As connects as a role, with no tenant set: what a leaked password of that role
// would open. The connection is closed when the test ends.
func (s *Store) As(t testing.TB, role string) *pgx.Conn {
	t.Helper()
	return connect(t, s.URL(role))
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatalf("dbtest: connect: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = conn.Close(ctx) // a test may have ended the server, or the connection
	})
	return conn
}

// logger writes what is worth a look; go test shows it beside a failure.
func logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
