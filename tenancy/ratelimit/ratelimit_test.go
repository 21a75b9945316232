package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

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
