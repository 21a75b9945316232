// Package ratelimit bounds how often something may happen, over all servers.
//
// Every limit is a GCRA (ITU-T I.371, the virtual scheduling algorithm): one time for an id says
// until when it has taken its calls in advance. Redis keeps that time for all servers, in its own
// clock, and one script moves it, for all limits of a call together or for none.
//
// Most limits are not asked there at each call: a server judges by a time of its own, tells Redis
// within syncEvery what it admitted, and learns what all have taken. A decision costs no round
// trip. What the servers admit too much of meanwhile is taken from what comes next, so that the
// rate holds in the long run. Exact limits are asked at the call. When Redis is gone each server
// goes on by itself, which is a looser bound and never an outage.
//
// Only spans of time go between servers and Redis, never instants: their clocks may differ.
package ratelimit

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
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
	// soonest is how soon after an exchange the next one may be, where a counter is in a hurry:
	// one that has admitted 1/hurry of its Max since it last told.
	soonest = 10 * time.Millisecond
	hurry   = 8

	shardCount = 16
	// maxCounters bounds what a shard remembers; 128 Ki in all are about 20 MB. Past it, new
	// counters are refused room and admit: a flood of ids must not become an outage for
	// everybody else, and each id alone is under its limit. Exact limits are asked all the same.
	// One tenant has three quarters of them: a flood of its ids is not to lift others' limits.
	maxCounters         = 8 << 10
	maxCountersOfTenant = maxCounters * 3 / 4
	// maxAsks is how many limits one call may be subject to.
	maxAsks = 8
	kind    = ephemeral.Kind("limit")
)

// Options configures a Limiter.
type Options struct {
	Counters *ephemeral.Client // shared; nil: this server's alone
	Off      bool              // admit everything: for load tests
	Now      func() time.Time  // a clock that is never put back; nil means time.Now
	Log      *slog.Logger      // nil means slog.Default
}

// Limiter decides. It is safe for concurrent use. Run keeps it in step with the
// other servers.
type Limiter struct {
	redis *ephemeral.Client
	off   bool
	now   func() time.Time
	began time.Time
	log   *slog.Logger

	seed   maphash.Seed
	shards [shardCount]shard
	hurry  chan struct{} // holds one

	alone     atomic.Bool // the last exchange failed
	exchanges atomic.Int64
	failures  atomic.Int64
}

// shard holds the counters of some tenants: all limits of a call are in one.
type shard struct {
	mu       sync.Mutex
	counters map[counterKey]*counter
	of       map[uuid.UUID]int // counters, by tenant
	untold   []*counter        // those that have something to tell
	refused  map[string]int64
	tally    map[refusal]refused
	_        [64]byte // shards stand on cache lines of their own
}

type counterKey struct {
	tenant uuid.UUID
	limit  string
	id     string
}

type counter struct {
	key    counterKey
	scope  scope.Scope
	limit  *Limit
	tat    int64 // until when calls are taken, in microseconds since the limiter began (GCRA's theoretical arrival time)
	untold int64 // calls admitted here that Redis has not heard of
	listed bool  // stands in shard.untold
}

// Ask is one limit that a call is subject to.
type Ask struct {
	Limit *Limit
	ID    string // what is counted, opaque
	Cost  int64  // how many calls it counts as, at most Limit.Max; 0 means one
	Who   string // whom the tenant is told of when it is refused: a key's id, an address; empty: nobody
	Quiet bool   // where it stands is told nobody
}

func (a *Ask) cost() int64 { return max(a.Cost, 1) }

// Standing is where a caller stands in the limit that it is closest to.
type Standing struct {
	Limit *Limit        // nil: in none that is told
	Left  int64         // calls that it may make at once
	Reset time.Duration // until it may make Max again
}

// New returns a Limiter.
func New(o Options) *Limiter {
	l := &Limiter{redis: o.Counters, off: o.Off, now: o.Now, log: o.Log, seed: maphash.MakeSeed(), hurry: make(chan struct{}, 1)}
	if l.now == nil {
		l.now = time.Now
	}
	if l.log == nil {
		l.log = slog.Default()
	}
	l.began = l.now()
	for i := range l.shards {
		s := &l.shards[i]
		s.counters, s.of, s.refused, s.tally = map[counterKey]*counter{}, map[uuid.UUID]int{}, map[string]int64{}, map[refusal]refused{}
	}
	return l
}

// Allow counts a call in every limit that it is subject to, or in none: the first that is full
// refuses it with ErrLimited, which says when the same call is next admitted. Limits come from
// the narrowest to the widest, at most eight. The call waits for Redis, 150 ms at most, if one
// of them is exact and this server does not know that it is full; else for nobody.
//
// The standing is that of the limit with the fewest calls left, or of the one that refused. Its
// other errors are ctx's.
func (l *Limiter) Allow(ctx context.Context, sc scope.Scope, asks ...Ask) (Standing, error) {
	if l.off {
		return Standing{}, nil
	}
	if l.redis != nil {
		for i := range asks {
			if asks[i].Limit.Exact {
				x := l.redis.Exchange()
				p := l.Join(x, sc, asks...)
				return p.Settle(ctx, x.Do(ctx))
			}
		}
	}
	return l.judge(sc, asks)
}

// Off reports that everything is admitted. A nil Limiter is off.
func (l *Limiter) Off() bool { return l == nil || l.off }

// Check is Allow for whoever needs no standing.
func (l *Limiter) Check(ctx context.Context, sc scope.Scope, asks ...Ask) error {
	_, err := l.Allow(ctx, sc, asks...)
	return err
}

// micros is the limiter's clock.
func (l *Limiter) micros() int64 { return l.now().Sub(l.began).Microseconds() }

func (l *Limiter) shard(tenant uuid.UUID) *shard {
	return &l.shards[maphash.Bytes(l.seed, tenant[:])%shardCount]
}

// judge decides by what this server knows.
func (l *Limiter) judge(sc scope.Scope, asks []Ask) (Standing, error) {
	s, now := l.shard(sc.Tenant()), l.micros()
	s.mu.Lock()
	defer s.mu.Unlock()
	var found [maxAsks]*counter
	if refused, wait := s.look(sc, asks, now, &found); refused >= 0 {
		return s.refuse(sc, &asks[refused], found[refused].tat-now, wait)
	}
	var st Standing
	for i := range asks {
		a, c := &asks[i], found[i]
		if c == nil {
			if c = s.add(sc, a); c == nil {
				continue
			}
		}
		c.tat = max(c.tat, now) + a.cost()*a.Limit.every()
		st.closer(a, c.tat-now)
		if l.redis != nil {
			s.owe(c, a.cost())
			if c.untold*hurry >= a.Limit.Max {
				l.hasten()
			}
		}
	}
	return st, nil
}

// look finds the counters of a call, nil for those that are not there, and the first that
// refuses it, with the time until it would not; -1: none does.
func (s *shard) look(sc scope.Scope, asks []Ask, now int64, found *[maxAsks]*counter) (refused int, wait int64) {
	for i := range asks {
		a := &asks[i]
		c := s.counters[counterKey{sc.Tenant(), a.Limit.Name, a.ID}]
		found[i] = c
		if c == nil {
			continue
		}
		c.limit = a.Limit // which may have been given other calls
		if wait := max(c.tat-now, 0) + a.cost()*a.Limit.every() - a.Limit.most(); wait > 0 {
			return i, wait
		}
	}
	return -1, 0
}

// add makes a counter; nil: there are too many.
func (s *shard) add(sc scope.Scope, a *Ask) *counter {
	if len(s.counters) >= maxCounters || s.of[sc.Tenant()] >= maxCountersOfTenant {
		return nil
	}
	k := counterKey{sc.Tenant(), a.Limit.Name, a.ID}
	c := &counter{key: k, scope: sc, limit: a.Limit}
	s.counters[k] = c
	s.of[k.tenant]++
	return c
}

// owe notes calls that are to be told.
func (s *shard) owe(c *counter, calls int64) {
	if c.untold += calls; !c.listed {
		c.listed = true
		s.untold = append(s.untold, c)
	}
}

func (l *Limiter) hasten() {
	select {
	case l.hurry <- struct{}{}:
	default:
	}
}

func (s *shard) refuse(sc scope.Scope, a *Ask, debt, wait int64) (Standing, error) {
	s.refused[a.Limit.Name]++
	s.note(sc, a.Limit.Name, a.Who)
	var st Standing
	if !a.Quiet {
		st = Standing{Limit: a.Limit, Reset: micros(max(debt, 0))}
	}
	return st, ErrLimited.With("limit", a.Limit.Name).WithRetryAfter(micros(wait))
}

// closer keeps the ask that has fewer calls left, whose counter is debt ahead.
func (st *Standing) closer(a *Ask, debt int64) {
	if a.Quiet {
		return
	}
	left := max(a.Limit.most()-debt, 0) / a.Limit.every()
	if st.Limit == nil || left < st.Left {
		*st = Standing{Limit: a.Limit, Left: left, Reset: micros(debt)}
	}
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// Stats is what the limiter did since it was made, for metrics.
type Stats struct {
	Refused   map[string]int64 // calls, by the limit's name
	Counters  int              // remembered now
	Exchanges int64            // with Redis
	Failures  int64            // of those
	Alone     bool             // the last one failed: this server counts by itself
}

// Stats returns it.
func (l *Limiter) Stats() Stats {
	st := Stats{Refused: map[string]int64{}, Exchanges: l.exchanges.Load(), Failures: l.failures.Load(), Alone: l.alone.Load()}
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		st.Counters += len(s.counters)
		for name, n := range s.refused {
			st.Refused[name] += n
		}
		s.mu.Unlock()
	}
	return st
}
