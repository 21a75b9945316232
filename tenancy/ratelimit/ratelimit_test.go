package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// noon begins a window of every limit below.
var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// clock stands still until it is moved. It is safe for concurrent use.
type clock struct{ past atomic.Int64 }

func (c *clock) now() time.Time           { return noon.Add(time.Duration(c.past.Load())) }
func (c *clock) set(past time.Duration)   { c.past.Store(int64(past)) }
func (c *clock) sleep(past time.Duration) { c.past.Add(int64(past)) }

func newTenant() scope.Scope {
	return scope.New(uuid.New(), scope.Actor{Kind: scope.ActorSystem, ID: "test"})
}

// newLimiter returns a limiter whose log is discarded; url is its Redis, "" for none.
func newLimiter(t testing.TB, c *clock, url string) *Limiter {
	t.Helper()
	o := Options{Now: c.now, Log: slog.New(slog.DiscardHandler)}
	if url != "" {
		counters, err := ephemeral.Open(url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = counters.Close() })
		o.Counters = counters
	}
	return New(o)
}

// admitted asks n times and returns how often it was let in.
func admitted(l *Limiter, sc scope.Scope, limit Limit, id string, n int) (in int) {
	for range n {
		if l.Allow(sc, limit, id) == nil {
			in++
		}
	}
	return in
}

func TestAllow(t *testing.T) {
	limit := Limit{Name: "test", Max: 3, Window: 10 * time.Second}
	for _, tt := range []struct {
		name string
		at   []time.Duration // when each call comes, after noon
		want []time.Duration // until when each is refused; 0: admitted
	}{
		{"up to the limit", []time.Duration{0, 1, 2}, []time.Duration{0, 0, 0}},
		{
			"one more is refused until the window ends",
			[]time.Duration{0, 0, 0, 0, 4 * time.Second},
			[]time.Duration{0, 0, 0, 10 * time.Second, 6 * time.Second},
		},
		{
			"the last instant of the window counts",
			[]time.Duration{0, 0, 0, 10*time.Second - 1},
			[]time.Duration{0, 0, 0, 1},
		},
		{
			"the next window starts from nothing",
			[]time.Duration{0, 0, 0, 10 * time.Second, 10 * time.Second, 10 * time.Second, 10 * time.Second},
			[]time.Duration{0, 0, 0, 0, 0, 0, 10 * time.Second},
		},
		{
			"refusals are not counted", // or who keeps asking would never get in again
			[]time.Duration{0, 0, 0, 1, 1, 1, 1, 10 * time.Second},
			[]time.Duration{0, 0, 0, 10*time.Second - 1, 10*time.Second - 1, 10*time.Second - 1, 10*time.Second - 1, 0},
		},
		{
			"a clock that is put back finds the old window full",
			[]time.Duration{0, 0, 0, 10 * time.Second, 9 * time.Second},
			[]time.Duration{0, 0, 0, 0, time.Second},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var now clock
			l, acme := newLimiter(t, &now, ""), newTenant()
			for i, at := range tt.at {
				now.set(at)
				err := l.Allow(acme, limit, "k")
				if tt.want[i] == 0 {
					if err != nil {
						t.Errorf("call %d = %v, want it admitted", i+1, err)
					}
					continue
				}
				f, ok := fault.As(err)
				if !ok || !errors.Is(err, ErrLimited) || f.RetryAfter != tt.want[i] || f.Metadata["limit"] != "test" {
					t.Errorf("call %d = %+v, want %v after %v", i+1, f, ErrLimited, tt.want[i])
				}
			}
		})
	}
}

// Leaving any part out of counterKey turns one of these red.
func TestCountersAreApart(t *testing.T) {
	var now clock
	l, acme, globex := newLimiter(t, &now, ""), newTenant(), newTenant()
	limit := Limit{Name: "one", Max: 2, Window: time.Minute}
	other := Limit{Name: "other", Max: 2, Window: time.Minute}
	if n := admitted(l, acme, limit, "k", 10); n != 2 {
		t.Fatalf("admitted %d, want 2", n)
	}
	if n := admitted(l, globex, limit, "k", 10); n != 2 {
		t.Errorf("another tenant's: admitted %d, want 2", n)
	}
	if n := admitted(l, acme, limit, "k2", 10); n != 2 {
		t.Errorf("another id: admitted %d, want 2", n)
	}
	if n := admitted(l, acme, other, "k", 10); n != 2 {
		t.Errorf("another limit: admitted %d, want 2", n)
	}
}

func TestOff(t *testing.T) {
	l := New(Options{Off: true})
	if n := admitted(l, newTenant(), Limit{Name: "test", Max: 1, Window: time.Minute}, "k", 1000); n != 1000 {
		t.Errorf("admitted %d of 1000 with limits off", n)
	}
}

// Many at once get exactly as much as one after the other.
func TestConcurrentCallsAreCountedOnce(t *testing.T) {
	var now clock
	l, acme := newLimiter(t, &now, ""), newTenant()
	limit := Limit{Name: "test", Max: 1000, Window: time.Minute}
	var (
		in   atomic.Int64
		many sync.WaitGroup
	)
	for range 8 {
		many.Go(func() { in.Add(int64(admitted(l, acme, limit, "k", 500))) })
	}
	many.Wait()
	if in.Load() != 1000 {
		t.Errorf("admitted %d, want 1000", in.Load())
	}
}

// Two servers that exchange counts after every so many calls. What each may admit
// above the limit is what the other admitted since they last spoke.
func TestServersAgree(t *testing.T) {
	var now clock
	url := dbtest.Redis(t)
	acme := newTenant()
	limit := Limit{Name: "test", Max: 100, Window: time.Minute}
	a, b := newLimiter(t, &now, url), newLimiter(t, &now, url)
	const perTurn = 10
	total := 0
	for range 100 {
		total += admitted(a, acme, limit, "k", perTurn) + admitted(b, acme, limit, "k", perTurn)
		a.sync(t.Context())
		b.sync(t.Context())
	}
	if total < 100 || total > 100+perTurn {
		t.Errorf("two servers admitted %d, want 100 to %d", total, 100+perTurn)
	}

	// One who comes late learns of the others at its first exchange.
	late := newLimiter(t, &now, url)
	if n := admitted(late, acme, limit, "k", 1); n != 1 {
		t.Fatalf("a new server admitted %d before it asked, want 1", n)
	}
	late.sync(t.Context())
	if n := admitted(late, acme, limit, "k", 10); n != 0 {
		t.Errorf("a new server admitted %d after it asked, want 0", n)
	}
	if n := admitted(late, newTenant(), limit, "k", 10); n != 10 {
		t.Errorf("it admitted %d of another tenant, want 10", n)
	}

	// The next window is a new counter for all of them.
	now.set(time.Minute)
	for _, l := range []*Limiter{a, b, late} {
		l.sync(t.Context())
	}
	if n := admitted(a, acme, limit, "k", 1000); n != 100 {
		t.Errorf("in the next window a server admitted %d, want 100", n)
	}
}

// Calls that come while counts are exchanged are neither lost nor counted twice.
func TestCallsDuringExchange(t *testing.T) {
	var now clock
	url := dbtest.Redis(t)
	acme := newTenant()
	limit := Limit{Name: "test", Max: 1 << 40, Window: time.Hour}
	a, b := newLimiter(t, &now, url), newLimiter(t, &now, url)
	var calling, syncing sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for _, l := range []*Limiter{a, b} {
		for range 4 {
			calling.Go(func() { admitted(l, acme, limit, "k", 2000) })
		}
		syncing.Go(func() {
			for ctx.Err() == nil {
				l.sync(t.Context())
			}
		})
	}
	calling.Wait()
	stop()
	syncing.Wait()
	a.sync(t.Context()) // the rest of each
	b.sync(t.Context())
	if n := admitted(a, acme, limit, "k", 1); n != 1 {
		t.Fatal("refused under the limit")
	}
	a.sync(t.Context()) // one more, so that a is told all
	if got := total(a); got != 16_001 {
		t.Errorf("counted %d, want 16001", got)
	}
}

// total returns the one counter of l.
func total(l *Limiter) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.counters {
		return c.total
	}
	return 0
}

// Without Redis each server counts by itself: no outage, and no more than the limit
// each. What it could not tell it tells later.
func TestRedisGone(t *testing.T) {
	var now clock
	server := dbtest.OwnRedis(t)
	acme := newTenant()
	limit := Limit{Name: "test", Max: 100, Window: time.Hour}
	a, b := newLimiter(t, &now, server.URL()), newLimiter(t, &now, server.URL())
	server.Stop(t)
	if n := admitted(a, acme, limit, "k", 60); n != 60 {
		t.Fatalf("admitted %d, want 60", n)
	}
	for range 5 {
		began := time.Now()
		a.sync(t.Context())
		if took := time.Since(began); took > time.Second {
			t.Errorf("an exchange without Redis took %v", took)
		}
	}
	if n := admitted(a, acme, limit, "k", 100); n != 40 {
		t.Errorf("admitted %d more without Redis, want 40", n)
	}

	server.Start(t)
	waitFor(t, "the counts are told", func() bool { a.sync(t.Context()); return untold(a) == 0 })
	if n := admitted(b, acme, limit, "k", 1); n != 1 {
		t.Fatalf("another server admitted %d, want 1", n)
	}
	b.sync(t.Context())
	if n := admitted(b, acme, limit, "k", 10); n != 0 {
		t.Errorf("another server admitted %d of a full window, want 0", n)
	}
}

func untold(l *Limiter) (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.counters {
		n += c.unsynced
	}
	return n
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// A Redis that swallows packets must not delay a single call.
func TestAllowNeverWaits(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	var now clock
	l, acme := newLimiter(t, &now, "redis://"+silent.Addr().String()), newTenant()
	running, stop := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { _ = l.Run(running) })
	until := time.Now().Add(400 * time.Millisecond) // some exchanges
	for i := 0; time.Now().Before(until); i++ {
		began := time.Now()
		_ = l.Allow(acme, PerKey, strconv.Itoa(i%100))
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Fatalf("a call waited for %v", took)
		}
		now.sleep(time.Millisecond)
	}
	stop()
	run.Wait()
}

// A flood of ids must neither fill the memory nor lock anybody out.
func TestCountersAreBounded(t *testing.T) {
	var now clock
	l, acme := newLimiter(t, &now, ""), newTenant()
	limit := Limit{Name: "test", Max: 1, Window: time.Second}
	for i := range maxCounters + 1000 {
		if err := l.Allow(acme, limit, strconv.Itoa(i)); err != nil {
			t.Fatalf("id %d = %v", i, err)
		}
	}
	if n := len(l.counters); n != maxCounters {
		t.Errorf("%d counters, want %d", n, maxCounters)
	}
	if err := l.Allow(acme, limit, "0"); !errors.Is(err, ErrLimited) {
		t.Errorf("a counter that has its place = %v, want %v", err, ErrLimited)
	}
	now.set(time.Second)
	l.sync(t.Context())
	if n := len(l.counters); n != 0 {
		t.Errorf("%d counters are left of a window that is over", n)
	}
}

// Run exchanges every syncEvery and forgets what is over, until its context ends.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.Run(ctx) }()
		if err := l.Allow(newTenant(), Limit{Name: "test", Max: 1, Window: time.Second}, "k"); err != nil {
			t.Fatal(err)
		}
		left := func() int {
			synctest.Wait()
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.counters)
		}
		time.Sleep(500 * time.Millisecond) //nolint:forbidigo // the bubble's clock: nobody waits
		if n := left(); n != 1 {
			t.Errorf("%d counters within the window, want 1", n)
		}
		time.Sleep(time.Second) //nolint:forbidigo // as above
		if n := left(); n != 0 {
			t.Errorf("%d counters after the window, want 0", n)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func BenchmarkAllow(b *testing.B) {
	for _, tt := range []struct {
		name string
		max  int64
	}{{"admitted", 1 << 60}, {"refused", 1}} {
		b.Run(tt.name, func(b *testing.B) {
			l := New(Options{})
			limit := Limit{Name: "key", Max: tt.max, Window: time.Hour}
			scopes, ids := make([]scope.Scope, 64), make([]string, 64)
			for i := range scopes {
				scopes[i], ids[i] = newTenant(), fmt.Sprintf("0193a7d2-5b1e-7000-8000-%012d", i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_ = l.Allow(scopes[i%64], limit, ids[i%64])
			}
		})
	}
}
