package dbtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/biocore-id/biocore/db/embedded"
)

// PostgresServer is a Postgres that one test may stop, crash and start. It is used by
// one goroutine at a time; where it listens stays the same.
type PostgresServer struct {
	options embedded.PostgresOptions
	running *embedded.Postgres // nil while it is down
}

// OwnPostgres returns a migrated database on a server for this test alone.
func OwnPostgres(t testing.TB) (*Store, *PostgresServer) {
	t.Helper()
	options, err := postgresOptions()
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	p := &PostgresServer{options: options}
	t.Cleanup(func() { p.remove(t) })
	p.Start(t)
	p.options.Port = p.running.Port

	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	srv, err := newServer(ctx, p.running.SuperuserURL("postgres"))
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	t.Cleanup(func() { _ = srv.keeper.Close(context.Background()) }) // the server may be gone
	store, err := srv.open(ctx)
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	t.Cleanup(store.Close)
	runFor(t, store.run)
	return store, p
}

// Start brings it back after Stop or Crash.
func (p *PostgresServer) Start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	running, err := embedded.StartPostgres(ctx, p.options)
	if err != nil {
		t.Fatalf("dbtest: start postgres: %v", err)
	}
	p.running = running
}

// Stop ends all connections and makes Postgres unreachable.
func (p *PostgresServer) Stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	if err := p.running.Stop(ctx); err != nil {
		t.Fatalf("dbtest: stop postgres: %v", err)
	}
	p.running = nil
}

// Crash ends Postgres without letting it finish anything. The next Start recovers
// what it had acknowledged.
func (p *PostgresServer) Crash(t testing.TB) {
	t.Helper()
	hurried, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.running.Stop(hurried); !errors.Is(err, context.Canceled) {
		t.Fatalf("dbtest: crash postgres: %v", err)
	}
	p.running = nil
}

// Log returns what the server has written since its last start.
func (p *PostgresServer) Log(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.running.DataDir, "postgres.log"))
	if err != nil {
		t.Fatalf("dbtest: read the log: %v", err)
	}
	return string(text)
}

func (p *PostgresServer) remove(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if p.running != nil {
		if err := p.running.Stop(ctx); err != nil {
			t.Errorf("dbtest: stop postgres: %v", err)
		}
	}
	if err := embedded.Remove(ctx, p.options.DataDir); err != nil {
		t.Errorf("dbtest: %v", err)
	}
}

// SuperuserURL is the URL of a database for the superuser, while it runs.
func (p *PostgresServer) SuperuserURL(database string) string {
	return p.running.SuperuserURL(database)
}
