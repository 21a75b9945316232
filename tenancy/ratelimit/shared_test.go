package ratelimit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/fault"
)

// Nothing of these comes back while a test runs: Redis's own clock goes on.
var (
	exact = &Limit{Name: "exact", Max: 100, Window: 100_000 * time.Hour, Exact: true}
	loose = &Limit{Name: "loose", Max: 100, Window: 100_000 * time.Hour}
)

// However many servers ask at once, and however their clocks differ, an exact limit admits as
// much as one server would.
func TestServersShareAnExactLimit(t *testing.T) {
	url, acme := dbtest.Redis(t), newTenant()
	var (
		in   atomic.Int64
		many sync.WaitGroup
	)
	for i := range 4 {
		var now clock
		now.set(time.Duration(i*i) * 37 * time.Hour)
		l := newLimiter(t, &now, url)
		for range 4 {
			many.Go(func() { in.Add(int64(admitted(t, l, acme, exact, "k", 30))) })
		}
	}
	many.Wait()
	if in.Load() != exact.Max {
		t.Errorf("four servers admitted %d, want %d", in.Load(), exact.Max)
	}
	var now clock
	if n := admitted(t, newLimiter(t, &now, url), newTenant(), exact, "k", 10); n != 10 {
		t.Errorf("admitted %d of another tenant, want 10", n)
	}
}

// In any span t no more than Max + rate × t, with time as Redis has it: the span is measured
// around it. Without "most" in the script it is red.
func TestTheRateHolds(t *testing.T) {
	limit := &Limit{Name: "fast", Max: 40, Window: 40 * time.Millisecond, Exact: true} // one each millisecond
	var now clock
	url, acme := dbtest.Redis(t), newTenant()
	began := time.Now()
	in := int64(0)
	servers := []*Limiter{newLimiter(t, &now, url), newLimiter(t, &now, url)}
	for i := range 400 {
		now.sleep(time.Minute) // forgets what it knows
		in += int64(admitted(t, servers[i%2], acme, limit, "k", 1))
	}
	if most := limit.Max + int64(time.Since(began)/time.Millisecond) + 1; in < limit.Max || in > most {
		t.Errorf("admitted %d, want %d to %d", in, limit.Max, most)
	}
}

// The script is the same rule as look and judge: whatever is asked, Redis and a server by itself
// answer alike, and a refused call takes nothing from any limit.
func TestTheScriptIsTheSameRule(t *testing.T) {
	var now clock
	url, acme := dbtest.Redis(t), newTenant()
	limits := []*Limit{
		{Name: "a", Max: 3, Window: 3 * time.Hour, Exact: true}, {Name: "b", Max: 7, Window: 700 * time.Hour, Exact: true}, {Name: "c", Max: 20, Window: 20 * time.Hour},
	}
	alone := newLimiter(t, &now, "")
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		var asks []Ask
		for _, limit := range limits {
			if random.IntN(2) == 0 {
				asks = append(asks, Ask{Limit: limit, ID: string(rune('a' + random.IntN(3))), Cost: random.Int64N(3)})
			}
		}
		// A server that knows nothing has to ask, also where no limit is exact.
		l := newLimiter(t, &now, url)
		x := l.redis.Exchange()
		p := l.Join(x, acme, asks...)
		got, err := p.Settle(t.Context(), x.Do(t.Context()))
		want, wantErr := alone.Allow(t.Context(), acme, asks...)
		if (err == nil) != (wantErr == nil) || got.Limit != want.Limit || err == nil && got.Left != want.Left {
			t.Fatalf("call %d, %+v: Redis says %+v, %v; a server by itself %+v, %v", i, asks, got, err, want, wantErr)
		}
		if f, ok := fault.As(err); ok && f.RetryAfter <= 0 {
			t.Errorf("call %d is told to come back in %v", i, f.RetryAfter)
		}
	}
}

// Two servers that exchange counts after every so many calls. What each may admit above the
// limit is what the other admitted since they last spoke.
func TestServersAgree(t *testing.T) {
	var now clock
	url, acme := dbtest.Redis(t), newTenant()
	a, b := newLimiter(t, &now, url), newLimiter(t, &now, url)
	const perTurn = 10
	total := 0
	for range 30 {
		total += admitted(t, a, acme, loose, "k", perTurn) + admitted(t, b, acme, loose, "k", perTurn)
		a.sync(t.Context())
		b.sync(t.Context())
	}
	if total < 100 || total > 100+perTurn {
		t.Errorf("two servers admitted %d, want 100 to %d", total, 100+perTurn)
	}
	// One who comes late learns of the others at its first exchange.
	late := newLimiter(t, &now, url)
	if n := admitted(t, late, acme, loose, "k", 1); n != 1 {
		t.Fatalf("a new server admitted %d before it asked, want 1", n)
	}
	late.sync(t.Context())
	if n := admitted(t, late, acme, loose, "k", 10); n != 0 {
		t.Errorf("a new server admitted %d after it asked, want 0", n)
	}
	if n := admitted(t, late, newTenant(), loose, "k", 10); n != 10 {
		t.Errorf("it admitted %d of another tenant, want 10", n)
	}
}

// What servers admitted too much of at once is taken from what comes: without the counts that
// are told on top of a full counter, the last line is red. Not more than Max of it, though.
func TestTooMuchIsPaidBack(t *testing.T) {
	var now clock
	limit := &Limit{Name: "test", Max: 100, Window: 100 * time.Hour}
	url, acme := dbtest.Redis(t), newTenant()
	servers := make([]*Limiter, 4)
	for i := range servers {
		servers[i] = newLimiter(t, &now, url)
		if n := admitted(t, servers[i], acme, limit, "k", 200); n != 100 {
			t.Fatalf("server %d admitted %d before it asked, want 100", i, n)
		}
	}
	for range 2 {
		for _, l := range servers {
			l.sync(t.Context())
		}
		admitted(t, servers[0], acme, limit, "other", 1)
	}
	last := servers[3] // told of all
	now.sleep(99 * time.Hour)
	if n := admitted(t, last, acme, limit, "k", 10); n != 0 {
		t.Errorf("admitted %d before the debt was paid, want 0", n)
	}
	now.sleep(2 * time.Hour) // 101 h: of the 200 that are ahead at most, 101 are over
	if n := admitted(t, last, acme, limit, "k", 10); n != 1 {
		t.Errorf("admitted %d after, want 1", n)
	}
}

// A call that is subject to an exact limit tells what its other limits have to tell.
func TestExactCallsCarryTheRest(t *testing.T) {
	var now clock
	url, acme := dbtest.Redis(t), newTenant()
	a, b := newLimiter(t, &now, url), newLimiter(t, &now, url)
	if n := admitted(t, a, acme, loose, "k", 99); n != 99 {
		t.Fatalf("admitted %d, want 99", n)
	}
	both := []Ask{{Limit: loose, ID: "k"}, {Limit: exact, ID: "k"}}
	if !admits(t, a, acme, both...) || untold(a) != 0 {
		t.Fatalf("the hundredth is refused, or %d are untold", untold(a))
	}
	if admits(t, b, acme, both...) {
		t.Error("another server admits the next")
	}
	if n := admitted(t, b, acme, exact, "k", 100); n != 99 { // nothing was taken by the refused
		t.Errorf("admitted %d by the other limit, want 99", n)
	}
}

// Who is over an exact limit costs Redis nothing more, as far as this server knows of it.
func TestRefusalsAskNobody(t *testing.T) {
	var now clock
	l, acme := newLimiter(t, &now, dbtest.Redis(t)), newTenant()
	admitted(t, l, acme, exact, "k", 101)
	before := l.Stats().Exchanges
	if n := admitted(t, l, acme, exact, "k", 1000); n != 0 {
		t.Errorf("admitted %d", n)
	}
	if st := l.Stats(); st.Exchanges != before || st.Refused["exact"] != 1001 {
		t.Errorf("%d exchanges more, %d refused; want none and 1001", st.Exchanges-before, st.Refused["exact"])
	}
}

// Others ask in the same round trip.
func TestJoin(t *testing.T) {
	var now clock
	l, acme := newLimiter(t, &now, dbtest.Redis(t)), newTenant()
	other := ephemeral.NewScript(`return {7}`)
	x := l.redis.Exchange()
	p := l.Join(x, acme, Ask{Limit: exact, ID: "k"})
	reply := x.Run(acme, other, "other", []string{"k"})
	err := x.Do(t.Context())
	if _, err := p.Settle(t.Context(), err); err != nil {
		t.Errorf("Settle = %v", err)
	}
	if got, err := reply.Ints(); err != nil || len(got) != 1 || got[0] != 7 {
		t.Errorf("the other's reply = %v, %v", got, err)
	}
	if n := admitted(t, l, acme, exact, "k", 200); n != 99 {
		t.Errorf("admitted %d after it, want 99", n)
	}
}

// A Redis that is put back by an hour, or whose counters are damaged so, does not shut anybody out
// for longer than twice the window.
func TestAheadIsBounded(t *testing.T) {
	var now clock
	limit := &Limit{Name: "test", Max: 10, Window: time.Second, Exact: true}
	l, acme := newLimiter(t, &now, dbtest.Redis(t)), newTenant()
	set := ephemeral.NewScript(`redis.call('SET', KEYS[1], '99999999999999999') return {}`)
	x := l.redis.Exchange()
	x.Run(acme, set, kind, []string{"test:k"})
	if err := x.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := l.Allow(t.Context(), acme, Ask{Limit: limit, ID: "k"})
	if f, ok := fault.As(err); !ok || f.RetryAfter > time.Second+100*time.Millisecond {
		t.Errorf("Allow = %+v, want a refusal for about a second", f)
	}
	// Who asks again when it was told to is let in, though nothing was written meanwhile and Redis's clock is still behind.
	now.set(3 * time.Second)
	short := &Limit{Name: "short", Max: 10, Window: 50 * time.Millisecond, Exact: true}
	x = l.redis.Exchange()
	x.Run(acme, set, kind, []string{"short:k"})
	if err := x.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "to be let in", func() bool {
		now.sleep(time.Second)
		return admits(t, l, acme, Ask{Limit: short, ID: "k"})
	})
}

// Calls that come while counts are exchanged are neither lost nor counted twice.
func TestCallsDuringExchange(t *testing.T) {
	var now clock
	limit := &Limit{Name: "test", Max: 1 << 20, Window: 1 << 50 * time.Microsecond}
	url, acme := dbtest.Redis(t), newTenant()
	a, b := newLimiter(t, &now, url), newLimiter(t, &now, url)
	var calling, syncing sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for _, l := range []*Limiter{a, b} {
		for range 4 {
			calling.Go(func() { admitted(t, l, acme, limit, "k", 2000) })
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
	if n := admitted(t, a, acme, limit, "k", 1); n != 1 {
		t.Fatal("refused under the limit")
	}
	a.sync(t.Context()) // one more, so that a is told all
	st, err := a.Allow(t.Context(), acme, Ask{Limit: limit, ID: "k"})
	if got := limit.Max - st.Left; err != nil || got < 16_001 || got > 16_003 { // what is begun of a call counts as one
		t.Errorf("counted %d, %v; want 16002", got, err)
	}
}

// What is admitted while Redis is thinking counts at once, and not only from the next
// exchange on. Without c.untold in learn this is red.
func TestCallsWhileRedisThinks(t *testing.T) {
	var now clock
	url, hold := slowRedis(t)
	acme := newTenant()
	l, other := newLimiter(t, &now, url), newLimiter(t, &now, dbtest.Redis(t))
	admitted(t, other, acme, loose, "k", 50)
	other.sync(t.Context())
	admitted(t, l, acme, loose, "first", 1)
	l.sync(t.Context()) // connects
	if n := admitted(t, l, acme, loose, "k", 20); n != 20 {
		t.Fatalf("admitted %d, want 20", n)
	}
	release := hold()
	var exchange sync.WaitGroup
	exchange.Go(func() { l.sync(t.Context()) })
	waitFor(t, "the exchange has begun", func() bool { return untold(l) == 0 })
	if n := admitted(t, l, acme, loose, "k", 20); n != 20 {
		t.Errorf("admitted %d during the exchange, want 20", n)
	}
	release()
	exchange.Wait()
	if n := admitted(t, l, acme, loose, "k", 20); n != 10 {
		t.Errorf("admitted %d after 90 of 100, want 10", n)
	}
}

// Without Redis each server counts by itself, exact limits too: no outage, and no more than the
// limit each. It says so once. What it could not tell it tells later, to a Redis that has
// started anew and knows no script.
func TestRedisGone(t *testing.T) {
	var now clock
	var log bytes.Buffer
	server := dbtest.OwnRedis(t)
	acme := newTenant()
	a, b := newLimiter(t, &now, server.URL()), newLimiter(t, &now, server.URL())
	a.log = slog.New(slog.NewTextHandler(&log, nil))
	admitted(t, a, acme, exact, "k", 10)
	admitted(t, a, acme, loose, "both", 5)
	server.Stop(t)
	if admits(t, a, acme, Ask{Limit: loose, ID: "both"}, Ask{Limit: exact, ID: "both"}); untold(a) != 7 {
		t.Errorf("%d calls are untold, want the five and two of the one", untold(a))
	}
	for _, limit := range []*Limit{exact, loose} {
		want := 100
		if limit == exact {
			want = 90
		}
		if n := admitted(t, a, acme, limit, "k", 200); n != want {
			t.Errorf("%s: admitted %d without Redis, want %d", limit.Name, n, want)
		}
	}
	a.sync(t.Context())
	if st := a.Stats(); !st.Alone || st.Failures == 0 {
		t.Errorf("Stats = %+v, want it alone", st)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Allow(over, acme, Ask{Limit: exact, ID: "other"}); !errors.Is(err, context.Canceled) && err != nil {
		t.Errorf("Allow of a caller who is gone = %v", err)
	}

	server.Start(t)
	waitFor(t, "the counts are told", func() bool { a.sync(t.Context()); return untold(a) == 0 && !a.Stats().Alone })
	if n := admitted(t, b, acme, loose, "k", 1); n != 1 {
		t.Fatalf("another server admitted %d, want 1", n)
	}
	b.sync(t.Context())
	for _, limit := range []*Limit{exact, loose} {
		if n := admitted(t, b, acme, limit, "k", 10); n > 10 || limit == loose && n != 0 {
			t.Errorf("%s: another server admitted %d", limit.Name, n)
		}
	}
	for text, want := range map[string]int{"by this server alone": 1, "by all servers again": 1} {
		if n := strings.Count(log.String(), text); n != want {
			t.Errorf("the log says %q %d times, want %d:\n%s", text, n, want, log.String())
		}
	}
}

// What is refused is told to the tenant, by all servers together, and to no other.
func TestRecent(t *testing.T) {
	var now clock
	url, acme := dbtest.Redis(t), newTenant()
	a, b := newLimiter(t, &now, url), newLimiter(t, &now, url)
	limit := &Limit{Name: "test", Max: 1, Window: time.Hour}
	for _, l := range []*Limiter{a, b} {
		for range 3 {
			admits(t, l, acme, Ask{Limit: limit, ID: "k", Who: "192.0.2.1"})
		}
		l.tellRefusals(t.Context())
	}
	now.set(time.Hour)
	for i := range 3000 { // of 3000 somebodies not all are told apart
		admits(t, a, acme, Ask{Limit: limit, ID: "many", Who: string(rune('一' + i))})
	}
	a.Overloaded(acme)
	a.tellRefusals(t.Context())
	b.Overloaded(acme) // not told yet
	got, err := b.Recent(t.Context(), acme)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]int64{}
	for i, r := range got {
		if i > 0 && r.Hour.After(got[i-1].Hour) {
			t.Errorf("%v comes after %v", r.Hour, got[i-1].Hour)
		}
		sums[r.Limit+" "+r.Hour.Format("15")] += r.Calls
	}
	if sums["test 12"] != 4 || sums["test 13"] != 2999 || sums[Shed+" 13"] != 2 || len(got) > 203 {
		t.Errorf("Recent = %v in %d rows", sums, len(got))
	}
	if got, err := b.Recent(t.Context(), newTenant()); err != nil || len(got) != 0 {
		t.Errorf("another tenant is told %v, %v", got, err)
	}
	now.set(25 * time.Hour)
	if got, err := a.Recent(t.Context(), acme); err != nil || len(got) != 0 {
		t.Errorf("a day later: %v, %v", got, err)
	}
}

// What cannot be told waits, within its bound, however long Redis is away and whoever else is refused meanwhile.
func TestRefusalsThatWaitAreBounded(t *testing.T) {
	var now clock
	address, hold := slowRedis(t)
	l, acme := newLimiter(t, &now, address), newTenant()
	limit := &Limit{Name: "test", Max: 1, Window: time.Hour}
	refuse := func(round int) {
		for i := range maxTally {
			admits(t, l, acme, Ask{Limit: limit, ID: "k", Who: string(rune('一' + round*maxTally + i))})
		}
	}
	refuse(0)
	release := hold()
	told := make(chan struct{})
	go func() { l.tellRefusals(t.Context()); close(told) }()
	s := l.shard(acme.Tenant())
	waitFor(t, "the refusals to be on their way", func() bool {
		select {
		case <-told: // as well
			return true
		default:
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.tally) == 0
	})
	refuse(1)
	<-told
	release()
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := int64(0)
	for _, r := range s.tally {
		calls += r.calls
	}
	if len(s.tally) > maxTally+1 || calls != 2*maxTally-1 {
		t.Errorf("%d calls wait in %d rows, want %d in %d", calls, len(s.tally), 2*maxTally-1, maxTally+1)
	}
}

func untold(l *Limiter) (n int64) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for _, c := range s.counters {
			n += c.untold
		}
		s.mu.Unlock()
	}
	return n
}

// slowRedis is a Redis whose answers can be held back.
func slowRedis(t *testing.T) (address string, hold func() (release func())) {
	t.Helper()
	u, err := url.Parse(dbtest.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var gate sync.RWMutex
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			backend, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				return
			}
			running.Go(func() { _, _ = io.Copy(backend, client); _ = backend.Close() })
			running.Go(func() {
				for buf := make([]byte, 4096); ; {
					n, err := backend.Read(buf)
					gate.RLock()
					_, _ = client.Write(buf[:n])
					gate.RUnlock()
					if err != nil {
						_ = client.Close()
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); running.Wait() }) // the connections end with the limiter's client
	u.Host = l.Addr().String()
	return u.String(), func() func() { gate.Lock(); return gate.Unlock }
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

// What a decision costs that asks Redis, by how many limits it is subject to: all in one round trip.
func BenchmarkAllowExact(b *testing.B) {
	var now clock
	url := dbtest.Redis(b)
	for _, n := range []int{1, 4} {
		b.Run(string(rune('0'+n)), func(b *testing.B) {
			l, acme := newLimiter(b, &now, url), newTenant()
			asks := make([]Ask, n)
			for i := range asks {
				asks[i] = Ask{Limit: &Limit{Name: "test", Max: 1 << 30, Window: 1 << 40 * time.Microsecond, Exact: true}, ID: string(rune('a' + i))}
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Allow(b.Context(), acme, asks...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(l.Stats().Exchanges)/float64(b.N), "trips/op")
		})
	}
}
