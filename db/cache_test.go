package db_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// source is where a cache loads from: it counts.
type source struct{ loads atomic.Int64 }

func (s *source) load(context.Context) (int64, error) { return s.loads.Add(1), nil }

// get gets without the test's being interested in how.
func get[V any](t *testing.T, c *db.Cache[V], tenant uuid.UUID, id string, load func(context.Context) (V, error)) V {
	t.Helper()
	v, err := c.Get(t.Context(), tenant, id, load)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// freshReplica is another server whose feed is up.
func freshReplica(t *testing.T, store *dbtest.Store) *db.Store {
	t.Helper()
	replica := store.Replica(t)
	waitFor(t, "fresh replica", replica.Fresh)
	return replica
}

// change commits a change as another server would.
func change(t *testing.T, store *db.Store, sc scope.Scope, noun db.Noun, id string) {
	t.Helper()
	err := store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error { return tx.Changed(t.Context(), noun, id) })
	if err != nil {
		t.Fatal(err)
	}
}

// settle waits until here has worked off every change that there has committed:
// changes arrive in order, so one more tells of all before it.
func settle(t *testing.T, here, there *db.Store, sc scope.Scope) {
	t.Helper()
	const noun, id = db.Noun("settle"), "sentinel"
	sentinel := db.NewCache[int64](here, noun, 1, time.Hour) // subscribed last, so told last
	get(t, sentinel, sc.Tenant(), id, new(source).load)
	change(t, there, sc, noun, id)
	waitFor(t, "change seen", func() bool { _, ok := sentinel.Peek(sc.Tenant(), id); return !ok })
}

func TestCacheSeesOtherServersChanges(t *testing.T) {
	store := dbtest.New(t)
	there, acme := store.Replica(t), store.Tenant(t)
	here := freshReplica(t, store)
	cache := db.NewCache[int64](here, db.NounCredential, 10, time.Hour)
	var from source
	for range 3 {
		if v := get(t, cache, acme.Tenant(), "a", from.load); v != 1 {
			t.Fatalf("Get = %d, want the first load's", v)
		}
	}
	change(t, there, acme, db.NounCredential, "a")
	dbtest.Seen(t, "another server's change", func() string {
		if v, ok := cache.Peek(acme.Tenant(), "a"); ok {
			return fmt.Sprintf("the cache has %d", v)
		}
		return ""
	})
	if v := get(t, cache, acme.Tenant(), "a", from.load); v != 2 {
		t.Errorf("after the change Get = %d, want a second load's", v)
	}
}

// What a change drops, and that it drops nothing else.
func TestChangeDropsWhatItNames(t *testing.T) {
	store := dbtest.New(t)
	here := freshReplica(t, store)
	acme, globex := store.Tenant(t), store.Tenant(t)
	for _, tt := range []struct {
		name string
		noun db.Noun
		id   string
		want string // what is left of acme's a and b, and of globex's a
	}{
		{"one thing", db.NounCredential, "a", "-b a"},
		{"a thing that is not cached", db.NounCredential, "c", "ab a"},
		{"all of the noun", db.NounCredential, "", "-- a"},
		{"another noun", db.NounSession, "a", "ab a"},
		{"all of another noun", db.NounSession, "", "ab a"},
		{"the tenant", db.NounTenant, "", "-- a"},
		{"something of the tenant", db.NounTenant, "a", "-- a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cache := db.NewCache[int64](here, db.NounCredential, 10, time.Hour)
			var from source
			get(t, cache, acme.Tenant(), "a", from.load)
			get(t, cache, acme.Tenant(), "b", from.load)
			get(t, cache, globex.Tenant(), "a", from.load)
			change(t, store.Store, acme, tt.noun, tt.id)
			settle(t, here, store.Store, globex)
			left := func(tenant uuid.UUID, id string) string {
				if _, ok := cache.Peek(tenant, id); ok {
					return id
				}
				return "-"
			}
			if got := left(acme.Tenant(), "a") + left(acme.Tenant(), "b") + " " + left(globex.Tenant(), "a"); got != tt.want {
				t.Errorf("left %q, want %q", got, tt.want)
			}
		})
	}
}

// A change that is rolled back was none.
func TestRolledBackChange(t *testing.T) {
	store := dbtest.New(t)
	here, acme := freshReplica(t, store), store.Tenant(t)
	cache := db.NewCache[int64](here, db.NounCredential, 10, time.Hour)
	get(t, cache, acme.Tenant(), "a", new(source).load)
	mishap := errors.New("mishap")
	err := store.InTenant(t.Context(), acme, func(tx *db.TenantTx) error {
		return errors.Join(tx.Changed(t.Context(), db.NounCredential, "a"), mishap)
	})
	if !errors.Is(err, mishap) {
		t.Fatal(err)
	}
	settle(t, here, store.Store, acme)
	if _, ok := cache.Peek(acme.Tenant(), "a"); !ok {
		t.Error("a change that was rolled back dropped what was cached")
	}
}

// A load has two seconds, or as long as its cache was made for.
func TestCacheBoundsLoads(t *testing.T) {
	store := dbtest.New(t)
	here, acme := freshReplica(t, store), store.Tenant(t)
	for _, tt := range []struct {
		name        string
		cache       *db.Cache[time.Duration]
		above, most time.Duration
	}{
		{"by itself", db.NewCache[time.Duration](here, db.NounCredential, 10, time.Hour), 0, 2 * time.Second},
		{"within a minute", db.NewCache[time.Duration](here, db.NounCredential, 10, time.Hour).Within(time.Minute), 2 * time.Second, time.Minute},
	} {
		before := time.Now()
		left := get(t, tt.cache, acme.Tenant(), "a", func(ctx context.Context) (time.Duration, error) {
			deadline, ok := ctx.Deadline()
			if !ok {
				return 0, errors.New("no deadline")
			}
			return deadline.Sub(before), nil
		})
		if passed := time.Since(before); left <= tt.above || left > tt.most+passed {
			t.Errorf("%s: a load has %s, want up to %s", tt.name, left, tt.most)
		}
	}
}

func TestForget(t *testing.T) {
	store := dbtest.New(t)
	here, acme := freshReplica(t, store), store.Tenant(t)
	cache := db.NewCache[int64](here, db.NounCredential, 10, time.Hour)
	get(t, cache, acme.Tenant(), "a", new(source).load)
	get(t, cache, acme.Tenant(), "b", new(source).load)
	cache.Forget(acme.Tenant(), "a")
	if _, ok := cache.Peek(acme.Tenant(), "a"); ok {
		t.Error("what was forgotten is still there")
	}
	if _, ok := cache.Peek(acme.Tenant(), "b"); !ok {
		t.Error("something else was forgotten")
	}
}

// Without `c.epoch == before`, what was read before the change is kept after it, and
// a revoked key works until its entry's life ends. Without clear(c.flights), who asks
// after the change is answered from before it.
func TestLoadThatBeganBeforeAChange(t *testing.T) {
	store := dbtest.New(t)
	here, acme := freshReplica(t, store), store.Tenant(t)
	cache := db.NewCache[string](here, db.NounCredential, 10, time.Hour)
	reading, read := make(chan struct{}), make(chan struct{})
	first := make(chan string, 1)
	go func() {
		v, err := cache.Get(t.Context(), acme.Tenant(), "a", func(context.Context) (string, error) {
			close(reading)
			<-read
			return "old", nil
		})
		if err != nil {
			v = err.Error()
		}
		first <- v
	}()
	<-reading
	change(t, store.Store, acme, db.NounCredential, "a")
	settle(t, here, store.Store, acme)

	load := func(context.Context) (string, error) { return "new", nil }
	if v := get(t, cache, acme.Tenant(), "a", load); v != "new" {
		t.Errorf("who asked after the change got %q", v)
	}
	close(read)
	if v := <-first; v != "old" {
		t.Errorf("who asked before the change got %q", v)
	}
	if v := get(t, cache, acme.Tenant(), "a", load); v != "new" {
		t.Errorf("the load from before the change was kept: %q", v)
	}
}

func TestConcurrentGetsLoadOnce(t *testing.T) {
	store := dbtest.New(t)
	here, acme := freshReplica(t, store), store.Tenant(t)
	cache := db.NewCache[int64](here, db.NounCredential, 10, time.Hour)
	var (
		from         source
		asking, done sync.WaitGroup
		release      = make(chan struct{})
	)
	asking.Add(32)
	for range 32 {
		done.Go(func() {
			asking.Done()
			v, err := cache.Get(t.Context(), acme.Tenant(), "a", func(ctx context.Context) (int64, error) {
				<-release
				return from.load(ctx)
			})
			if v != 1 || err != nil {
				t.Errorf("Get = %d, %v; want the one load's", v, err)
			}
		})
	}
	asking.Wait()
	close(release)
	done.Wait()
	if n := from.loads.Load(); n != 1 {
		t.Errorf("loaded %d times, want once", n)
	}
}

func TestFailedLoadsAreNotKept(t *testing.T) {
	store := dbtest.New(t)
	here, acme := freshReplica(t, store), store.Tenant(t)
	cache := db.NewCache[int64](here, db.NounCredential, 10, time.Hour)
	mishap := errors.New("mishap")
	fail := func(context.Context) (int64, error) { return 7, mishap }
	for range 2 {
		if _, err := cache.Get(t.Context(), acme.Tenant(), "a", fail); !errors.Is(err, mishap) {
			t.Errorf("Get error = %v, want %v", err, mishap)
		}
	}
	if _, ok := cache.Peek(acme.Tenant(), "a"); ok {
		t.Error("a failed load was kept")
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the load's panic was swallowed")
			}
		}()
		_, _ = cache.Get(t.Context(), acme.Tenant(), "a", func(context.Context) (int64, error) { panic("mishap") })
	}()
	if v := get(t, cache, acme.Tenant(), "a", new(source).load); v != 1 {
		t.Errorf("after a panic Get = %d", v)
	}
}

// One client that hangs up must not fail those who wait for the same load, and one
// that cannot wait need not.
func TestImpatientCallers(t *testing.T) {
	store := dbtest.New(t)
	here, acme := freshReplica(t, store), store.Tenant(t)
	cache := db.NewCache[int64](here, db.NounCredential, 10, time.Hour)
	first, hangUp := context.WithCancel(t.Context())
	reading, read := make(chan struct{}), make(chan struct{})
	var loading sync.WaitGroup
	loading.Go(func() {
		_, err := cache.Get(first, acme.Tenant(), "a", func(ctx context.Context) (int64, error) {
			close(reading)
			<-read
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("a load that nobody waits for has no end")
			}
			return 1, ctx.Err()
		})
		if err != nil {
			t.Errorf("the load ended with its first caller: %v", err)
		}
	})
	<-reading
	hangUp()
	if _, err := cache.Get(first, acme.Tenant(), "a", new(source).load); !errors.Is(err, context.Canceled) {
		t.Errorf("Get of a caller who is gone = %v, want %v", err, context.Canceled)
	}
	close(read)
	loading.Wait()
	if v, ok := cache.Peek(acme.Tenant(), "a"); v != 1 || !ok {
		t.Errorf("Peek = %d, %t; want what was loaded", v, ok)
	}
}

func TestCacheIsBounded(t *testing.T) {
	store := dbtest.New(t)
	here, acme := freshReplica(t, store), store.Tenant(t)
	const most = 8
	cache := db.NewCache[int64](here, db.NounCredential, most, time.Hour)
	var from source
	for i := range 100 {
		get(t, cache, acme.Tenant(), strconv.Itoa(i), from.load)
	}
	kept := 0
	for i := range 100 {
		if _, ok := cache.Peek(acme.Tenant(), strconv.Itoa(i)); ok {
			kept++
		}
	}
	if kept != most {
		t.Errorf("%d entries are kept, want %d", kept, most)
	}
}

func TestEntriesAge(t *testing.T) {
	store := dbtest.New(t)
	here, acme := freshReplica(t, store), store.Tenant(t)
	cache := db.NewCache[int64](here, db.NounCredential, 10, 20*time.Millisecond)
	var from source
	get(t, cache, acme.Tenant(), "a", from.load)
	waitFor(t, "aged entry", func() bool { _, ok := cache.Peek(acme.Tenant(), "a"); return !ok })
	if v := get(t, cache, acme.Tenant(), "a", from.load); v != 2 {
		t.Errorf("Get of an aged entry = %d, want a second load's", v)
	}
}
