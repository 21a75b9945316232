package ratelimit

import (
	"context"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db/dbtest"
)

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

// What is admitted while Redis is thinking counts at once, and not only from the next
// exchange on. Without `+ p.c.unsynced` in sync this is red.
func TestCallsWhileRedisThinks(t *testing.T) {
	var now clock
	url, hold := slowRedis(t)
	acme := newTenant()
	limit := Limit{Name: "test", Max: 10, Window: time.Hour}
	l := newLimiter(t, &now, url)
	admitted(l, acme, limit, "k", 1)
	l.sync(t.Context()) // connects
	if n := admitted(l, acme, limit, "k", 4); n != 4 {
		t.Fatalf("admitted %d, want 4", n)
	}
	release := hold()
	var exchange sync.WaitGroup
	exchange.Go(func() { l.sync(t.Context()) })
	waitFor(t, "the exchange has begun", func() bool { return untold(l) == 0 })
	if n := admitted(l, acme, limit, "k", 4); n != 4 {
		t.Errorf("admitted %d during the exchange, want 4", n)
	}
	release()
	exchange.Wait()
	if n := admitted(l, acme, limit, "k", 10); n != 1 {
		t.Errorf("admitted %d after 9 of 10, want 1", n)
	}
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
