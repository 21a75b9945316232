package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
func admitted(t testing.TB, l *Limiter, sc scope.Scope, limit *Limit, id string, n int) (in int) {
	t.Helper()
	for range n {
		if admits(t, l, sc, Ask{Limit: limit, ID: id}) {
			in++
		}
	}
	return in
}

func admits(t testing.TB, l *Limiter, sc scope.Scope, asks ...Ask) bool {
	t.Helper()
	_, err := l.Allow(t.Context(), sc, asks...)
	if err != nil && !errors.Is(err, ErrLimited) {
		t.Errorf("Allow = %v", err)
	}
	return err == nil
}

func TestAllow(t *testing.T) {
	limit := &Limit{Name: "test", Max: 3, Window: 12 * time.Second} // one each 4 s
	for _, tt := range []struct {
		name string
		at   []time.Duration // when each call comes, after noon
		want []time.Duration // until when each is refused; 0: admitted
	}{
		{"all at once", []time.Duration{0, 1, 2}, []time.Duration{0, 0, 0}},
		{
			"one more is refused until the first is over",
			[]time.Duration{0, 0, 0, 0, time.Second},
			[]time.Duration{0, 0, 0, 4 * time.Second, 3 * time.Second},
		},
		{
			"an instant early", // the grain is a microsecond
			[]time.Duration{0, 0, 0, 4*time.Second - time.Microsecond, 4 * time.Second, 4 * time.Second},
			[]time.Duration{0, 0, 0, time.Microsecond, 0, 4 * time.Second},
		},
		{
			"refusals are not counted", // or who keeps asking would never get in again
			[]time.Duration{0, 0, 0, 1, 1, 1, 1, 4 * time.Second},
			[]time.Duration{0, 0, 0, 4 * time.Second, 4 * time.Second, 4 * time.Second, 4 * time.Second, 0},
		},
		{
			"who waits has no more than all at once",
			[]time.Duration{0, time.Hour, time.Hour, time.Hour, time.Hour},
			[]time.Duration{0, 0, 0, 0, 4 * time.Second},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var now clock
			l, acme := newLimiter(t, &now, ""), newTenant()
			for i, at := range tt.at {
				now.set(at)
				_, err := l.Allow(t.Context(), acme, Ask{Limit: limit, ID: "k"})
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

func TestStanding(t *testing.T) {
	var now clock
	l, acme := newLimiter(t, &now, ""), newTenant()
	wide, tight := &Limit{Name: "wide", Max: 100, Window: 100 * time.Second}, &Limit{Name: "tight", Max: 5, Window: 10 * time.Second}
	hidden := &Limit{Name: "hidden", Max: 4, Window: 4 * time.Second}
	asks := []Ask{{Limit: hidden, ID: "k", Quiet: true}, {Limit: tight, ID: "k", Cost: 2}, {Limit: wide, ID: "k"}}
	for i, want := range []Standing{{tight, 3, 4 * time.Second}, {tight, 1, 8 * time.Second}, {tight, 0, 8 * time.Second}} {
		if got, err := l.Allow(t.Context(), acme, asks...); got != want || (err == nil) != (i < 2) {
			t.Errorf("call %d: %+v, %v, want %+v", i+1, got, err, want)
		}
	}
	now.sleep(time.Minute)
	if got, err := l.Allow(t.Context(), acme, asks[0]); err != nil || got != (Standing{}) {
		t.Errorf("only what is not told: %+v, %v", got, err)
	}
}

// took is an admitted call.
type took struct{ at, cost int64 }

// mayTake says whether a call fits a limit: with it no span of time holds more than Max and what
// the rate adds in it. It looks at all spans, which is what a GCRA need not do.
func mayTake(l *Limit, past []took, at, cost int64) bool {
	sum := cost
	if sum*l.every() > l.most() {
		return false
	}
	for _, p := range slices.Backward(past) { // the span that begins with p and ends with this call
		if sum += p.cost; sum*l.every() > l.most()+at-p.at {
			return false
		}
	}
	return true
}

// A call is admitted exactly when no span of time then holds more than it may, in each of its
// limits, and a refused one takes nothing from any. An off-by-one in look, or taking before all
// limits were looked at, turns it red.
func FuzzAllow(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 9, 9, 1, 1, 1, 200, 3, 3, 3})
	f.Add([]byte("all at once, and then one after the other, and then again"))
	f.Add([]byte{7, 7, 7, 7, 7, 7, 7, 7, 255, 7, 7, 7, 7, 31, 31, 31, 63, 63, 63, 63})
	limits := []*Limit{
		{Name: "a", Max: 3, Window: 3 * time.Millisecond}, {Name: "b", Max: 5, Window: 20 * time.Millisecond}, {Name: "c", Max: 1, Window: time.Millisecond},
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 400 {
			ops = ops[:400]
		}
		var now clock
		l, acme := newLimiter(t, &now, ""), newTenant()
		past := map[string][]took{}
		for i, op := range ops {
			now.sleep(time.Duration(op>>5) * 333 * time.Microsecond)
			at := now.now().Sub(noon).Microseconds()
			var asks []Ask
			want := true
			for bit, limit := range limits {
				if op>>bit&1 == 1 {
					a := Ask{Limit: limit, ID: strconv.Itoa(int(op >> 3 & 1)), Cost: min(int64(op>>4&1)+1, limit.Max)}
					asks = append(asks, a)
					want = want && mayTake(limit, past[limit.Name+a.ID], at, a.Cost)
				}
			}
			_, err := l.Allow(t.Context(), acme, asks...)
			if (err == nil) != want {
				t.Fatalf("call %d of %v at %d µs = %v, want it admitted: %t", i, ops, at, err, want)
			}
			if r, ok := fault.As(err); ok && r.RetryAfter <= 0 {
				t.Fatalf("call %d is told to come back in %v", i, r.RetryAfter)
			}
			for _, a := range asks {
				if err == nil {
					past[a.Limit.Name+a.ID] = append(past[a.Limit.Name+a.ID], took{at, a.Cost})
				}
			}
			if i%16 == 0 {
				l.sync(t.Context()) // what is over may be forgotten
			}
		}
	})
}

// Whoever waits as long as it was told is admitted, and not before.
func TestRetryAfterIsExact(t *testing.T) {
	var now clock
	l, acme := newLimiter(t, &now, ""), newTenant()
	asks := []Ask{{Limit: &PerKey, ID: "k", Cost: 7}, {Limit: &PerEndpoint, ID: "k", Cost: 5}}
	for refused, calls := 0, 0; refused < 20; calls++ {
		if calls > 10_000 {
			t.Fatal("nothing is refused")
		}
		_, err := l.Allow(t.Context(), acme, asks...)
		f, limited := fault.As(err)
		if !limited {
			continue
		}
		refused++
		now.sleep(f.RetryAfter - time.Microsecond)
		if admits(t, l, acme, asks...) {
			t.Fatalf("admitted a microsecond before %v", f.RetryAfter)
		}
		now.sleep(time.Microsecond)
		if !admits(t, l, acme, asks...) {
			t.Fatalf("refused after %v", f.RetryAfter)
		}
	}
}

// Leaving any part out of counterKey turns one of these red.
func TestCountersAreApart(t *testing.T) {
	var now clock
	l, acme, globex := newLimiter(t, &now, ""), newTenant(), newTenant()
	limit, other := &Limit{Name: "one", Max: 2, Window: time.Minute}, &Limit{Name: "other", Max: 2, Window: time.Minute}
	for _, tt := range []struct {
		name  string
		sc    scope.Scope
		limit *Limit
		id    string
	}{
		{"the first", acme, limit, "k"},
		{"another tenant's", globex, limit, "k"},
		{"another id", acme, limit, "k2"},
		{"another limit", acme, other, "k"},
	} {
		if n := admitted(t, l, tt.sc, tt.limit, tt.id, 10); n != 2 {
			t.Errorf("%s: admitted %d, want 2", tt.name, n)
		}
	}
}

func TestOff(t *testing.T) {
	l := New(Options{Off: true})
	if n := admitted(t, l, newTenant(), &Limit{Name: "test", Max: 1, Window: time.Minute}, "k", 1000); n != 1000 {
		t.Errorf("admitted %d of 1000 with limits off", n)
	}
}

// Many at once get exactly as much as one after the other.
func TestConcurrentCallsAreCountedOnce(t *testing.T) {
	var now clock
	l, acme := newLimiter(t, &now, ""), newTenant()
	limit := &Limit{Name: "test", Max: 1000, Window: time.Minute}
	var (
		in   atomic.Int64
		many sync.WaitGroup
	)
	for range 8 {
		many.Go(func() { in.Add(int64(admitted(t, l, acme, limit, "k", 500))) })
	}
	many.Wait()
	if in.Load() != 1000 {
		t.Errorf("admitted %d, want 1000", in.Load())
	}
}

// A flood of ids must neither fill the memory nor lock anybody out.
// However many ids a tenant counts by, the limits of those that share its shard hold.
func TestAFloodOfIDsIsItsTenants(t *testing.T) {
	var now clock
	l, acme := newLimiter(t, &now, ""), newTenant()
	globex := newTenant()
	for l.shard(globex.Tenant()) != l.shard(acme.Tenant()) {
		globex = newTenant()
	}
	limit := &Limit{Name: "test", Max: 1, Window: time.Second}
	for i := range maxCounters + 1000 {
		admits(t, l, acme, Ask{Limit: limit, ID: strconv.Itoa(i)})
	}
	if n := admitted(t, l, globex, limit, "k", 3); n != 1 {
		t.Errorf("another tenant's limit of 1 admitted %d", n)
	}
	for i := range maxCounters {
		admits(t, l, globex, Ask{Limit: limit, ID: strconv.Itoa(i)})
	}
	if n := l.Stats().Counters; n != maxCounters {
		t.Errorf("%d counters of both, want %d", n, maxCounters)
	}
	now.set(time.Second)
	l.sync(t.Context())
	if n := admitted(t, l, acme, limit, "after", 3); n != 1 {
		t.Errorf("afterwards a limit of 1 admitted %d", n)
	}
}

func TestCountersAreBounded(t *testing.T) {
	var now clock
	l, acme := newLimiter(t, &now, ""), newTenant()
	limit := &Limit{Name: "test", Max: 1, Window: time.Second}
	for i := range maxCountersOfTenant + 1000 {
		if !admits(t, l, acme, Ask{Limit: limit, ID: strconv.Itoa(i)}) {
			t.Fatalf("id %d is refused", i)
		}
	}
	if n := l.Stats().Counters; n != maxCountersOfTenant {
		t.Errorf("%d counters, want %d", n, maxCountersOfTenant)
	}
	if admits(t, l, acme, Ask{Limit: limit, ID: "0"}) {
		t.Error("a counter that has its place admits")
	}
	now.set(time.Second)
	l.sync(t.Context())
	if n := l.Stats().Counters; n != 0 {
		t.Errorf("%d counters are left of what is over", n)
	}
}

// Run forgets what is over, until its context ends.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.Run(ctx) }()
		if !admits(t, l, newTenant(), Ask{Limit: &Limit{Name: "test", Max: 1, Window: time.Second}, ID: "k"}) {
			t.Fatal("refused")
		}
		left := func() int {
			synctest.Wait()
			return l.Stats().Counters
		}
		time.Sleep(500 * time.Millisecond) //nolint:forbidigo // the bubble's clock: nobody waits
		if n := left(); n != 1 {
			t.Errorf("%d counters within the time, want 1", n)
		}
		time.Sleep(time.Second) //nolint:forbidigo // as above
		if n := left(); n != 0 {
			t.Errorf("%d counters after it, want 0", n)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

// What a key's call asks, by the number of limits that it is subject to.
func BenchmarkAllow(b *testing.B) {
	for _, tt := range []struct {
		name   string
		limits []*Limit
	}{
		{"admitted by one", []*Limit{{Name: "key", Max: 1 << 30, Window: 1 << 40 * time.Microsecond}}},
		{"admitted by two", []*Limit{{Name: "key", Max: 1 << 30, Window: 1 << 40 * time.Microsecond}, {Name: "tenant", Max: 1 << 30, Window: 1 << 40 * time.Microsecond}}},
		{"refused", []*Limit{{Name: "key", Max: 1, Window: time.Hour}}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			l := New(Options{})
			scopes, asks := make([]scope.Scope, 64), make([][]Ask, 64)
			for i := range scopes {
				scopes[i] = newTenant()
				for _, limit := range tt.limits {
					asks[i] = append(asks[i], Ask{Limit: limit, ID: fmt.Sprintf("0193a7d2-5b1e-7000-8000-%012d", i)})
				}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_, _ = l.Allow(b.Context(), scopes[i%64], asks[i%64]...)
			}
		})
	}
}
