// Package ratelimit bounds how often something may happen, over all servers.
//
// A decision costs no round trip: each server counts in memory and every syncEvery
// exchanges what it counted for what all servers have counted, through Redis. The
// bound is therefore loose by what the other servers admit in that time: with n
// servers at most Max + (n-1) × rate × syncEvery. When Redis is gone each server
// goes on with its own count, which is a looser bound and never an outage.
package ratelimit

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrLimited says when to come back.
var ErrLimited = fault.New(fault.Exhausted, "RATE_LIMITED", "too many requests")

const (
	syncEvery = 100 * time.Millisecond
	// maxCounters bounds the memory of one server: 64 Ki counters are about 10 MB.
	// Past it, new counters are refused room and admit: a flood of ids must not become
	// an outage for everybody else, and each id alone is under its limit.
	maxCounters = 64 << 10
	kind        = ephemeral.Kind("limit")
)

// Options configures a Limiter.
type Options struct {
	Counters *ephemeral.Client // shared counts; nil: this server's alone
	Off      bool              // admit everything: for load tests
	Now      func() time.Time  // nil means time.Now
	Log      *slog.Logger      // nil means slog.Default
}

// Limiter decides. It is safe for concurrent use. Run keeps it in step with the
// other servers.
type Limiter struct {
	shared *ephemeral.Client
	off    bool
	now    func() time.Time
	log    *slog.Logger

	mu       sync.Mutex
	counters map[counterKey]*counter
}

type counterKey struct {
	tenant uuid.UUID
	limit  string
	id     string
	window int64
}

type counter struct {
	scope    scope.Scope
	ends     time.Time
	lives    time.Duration
	total    int64 // of all servers, as of the last exchange, plus what was counted here since
	unsynced int64 // counted here, not yet told
}

// New returns a Limiter.
func New(o Options) *Limiter {
	l := &Limiter{shared: o.Counters, off: o.Off, now: o.Now, log: o.Log, counters: map[counterKey]*counter{}}
	if l.now == nil {
		l.now = time.Now
	}
	if l.log == nil {
		l.log = slog.Default()
	}
	return l
}

// Allow counts one more of id under limit, and returns ErrLimited, with the time
// until the window ends, when that is more than the limit. Refusals are not counted.
func (l *Limiter) Allow(sc scope.Scope, limit Limit, id string) error {
	if l.off {
		return nil
	}
	now := l.now()
	window := now.UnixNano() / int64(limit.Window)
	ends := time.Unix(0, (window+1)*int64(limit.Window))
	k := counterKey{tenant: sc.Tenant(), limit: limit.Name, id: id, window: window}

	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counters[k]
	if c == nil {
		if len(l.counters) >= maxCounters {
			return nil
		}
		c = &counter{scope: sc, ends: ends, lives: limit.Window}
		l.counters[k] = c
	}
	if c.total >= limit.Max {
		return ErrLimited.With("limit", limit.Name).WithRetryAfter(ends.Sub(now))
	}
	c.total++
	c.unsynced++
	return nil
}

// Run exchanges counts with the other servers until ctx ends, then returns nil.
func (l *Limiter) Run(ctx context.Context) error {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			l.sync(ctx)
		}
	}
}

// sync forgets what is over and exchanges the rest. Counters are told one by one:
// they belong to different tenants, and in a cluster to different nodes.
func (l *Limiter) sync(ctx context.Context) {
	type pending struct {
		key counterKey
		n   int64
		c   *counter
	}
	var todo []pending
	now := l.now()
	l.mu.Lock()
	for k, c := range l.counters {
		switch {
		case !c.ends.After(now):
			delete(l.counters, k)
		case c.unsynced > 0 && c.lives > syncEvery && l.shared != nil:
			todo = append(todo, pending{k, c.unsynced, c})
			c.unsynced = 0
		}
	}
	l.mu.Unlock()
	for i, p := range todo {
		id := p.key.limit + ":" + p.key.id + ":" + strconv.FormatInt(p.key.window, 10)
		total, err := l.shared.Count(ctx, p.c.scope, kind, id, p.n, 2*p.c.lives)
		l.mu.Lock()
		if err == nil {
			p.c.total = total + p.c.unsynced
			l.mu.Unlock()
			continue
		}
		for _, q := range todo[i:] { // told again next time, if the window still lasts
			q.c.unsynced += q.n
		}
		l.mu.Unlock()
		l.log.DebugContext(ctx, "rate limits are counted by this server alone", "err", err)
		return
	}
}
