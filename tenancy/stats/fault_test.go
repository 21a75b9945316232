package stats_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/stats"
)

// faultsAt is the counter of a server whose clock is c.
func faultsAt(t testing.TB, store *dbtest.Store, c *clock, log io.Writer) *stats.Faults {
	t.Helper()
	o := store.Options()
	o.Now = func() time.Time { return c.Time }
	own, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Close)
	return stats.NewFaults(own, slog.New(slog.NewTextHandler(log, nil)))
}

// faults is how many are written of a tenant since a time.
func faults(t testing.TB, store *dbtest.Store, sc scope.Scope, since time.Time) int64 {
	t.Helper()
	var n int64
	if err := store.ReadTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		row, err := tx.SumLevel(t.Context(), tenantq.SumLevelParams{Step: 300, FromAt: since})
		n = row.Faults
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// Two servers add up, each flush adds to the one before, and a tenant sees its own alone.
func TestFaults(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	c := &clock{now}
	one, other := faultsAt(t, store, c, io.Discard), faultsAt(t, store, c, io.Discard)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { one.Count(acme.Tenant()); other.Count(acme.Tenant()) })
	}
	wg.Wait()
	one.Count(globex.Tenant())
	if n := faults(t, store, acme, now.Add(-time.Hour)); n != 0 {
		t.Errorf("%d are written before a flush", n)
	}
	one.Flush(t.Context())
	other.Flush(t.Context())
	c.Time = now.Add(6 * time.Minute)
	one.Count(acme.Tenant())
	one.Flush(t.Context())
	one.Flush(t.Context()) // has nothing to write
	if n := faults(t, store, acme, now.Add(-time.Hour)); n != 17 {
		t.Errorf("acme has %d faults, want 17", n)
	}
	if n := faults(t, store, acme, c.Truncate(5*time.Minute)); n != 1 {
		t.Errorf("acme has %d faults in the second five minutes, want 1", n)
	}
	if n := faults(t, store, globex, now.Add(-time.Hour)); n != 1 {
		t.Errorf("globex has %d faults, want its own", n)
	}
}

// What cannot be written is kept, and is not written twice; what comes meanwhile adds up.
func TestFaultsWait(t *testing.T) {
	t.Parallel()
	store := dbtest.Fresh(t)
	acme := store.Tenant(t)
	var log strings.Builder
	f := faultsAt(t, store, &clock{now}, &log)
	super := store.Superuser(t)
	exec := func(sql string) {
		t.Helper()
		if _, err := super.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("REVOKE INSERT ON stats_faults FROM bc_app")
	f.Count(acme.Tenant())
	f.Flush(t.Context())
	f.Count(acme.Tenant())
	f.Flush(t.Context())
	if n := faults(t, store, acme, now.Add(-time.Hour)); n != 0 || !strings.Contains(log.String(), "wait to be written") {
		t.Fatalf("%d were written; logged %q", n, log.String())
	}
	exec("GRANT INSERT ON stats_faults TO bc_app")
	f.Flush(t.Context())
	if n := faults(t, store, acme, now.Add(-time.Hour)); n != 2 {
		t.Errorf("%d were written, want both", n)
	}
}

// A server that stops writes what it has counted.
func TestFaultsAtTheEnd(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme := store.Tenant(t)
	f := faultsAt(t, store, &clock{now}, io.Discard)
	f.Count(acme.Tenant())
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := f.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if n := faults(t, store, acme, now.Add(-time.Hour)); n != 1 {
		t.Errorf("%d were written, want 1", n)
	}
}

// Of an outage that lasts the memory is bounded: what is too much is counted without its
// tenant. A call whose tenant nobody could tell is counted so, too.
func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	store := dbtest.Fresh(t)
	c := &clock{now}
	f := faultsAt(t, store, c, io.Discard)
	f.Count(uuid.Nil)
	for range stats.MaxFaultKeys + 9 {
		f.Count(uuid.New())
	}
	if n := f.Keys(); n != stats.MaxFaultKeys {
		t.Errorf("%d are kept apart, want %d", n, stats.MaxFaultKeys)
	}
	if n := f.Waiting(scope.PlatformTenant); n != 11 { // the one that nobody could tell, and ten that were too many
		t.Errorf("%d are counted without a tenant, want 11", n)
	}
}
