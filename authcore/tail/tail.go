// Package tail tells of a tenant's ceremonies as they happen, to whoever watches.
//
// What is finished is read from its rows: each stream asks Postgres, under its own scope,
// for what is newer than what it has told. So it tells nothing before its commit, nothing
// of another tenant, and goes on at any server from where it was.
//
// What has only begun is in no store (ADR 0004). Servers tell each other of it by Redis,
// for tenants that somebody watches: who has streams says so every two seconds, and every
// server remembers for six. The same message says which begin a ceremony came of, and that
// it is time to look. Without Redis a server tells of its own begins, and of what is
// finished a second later.
package tail

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors of streams. Each Reason is part of the public API.
var (
	ErrTooMany  = fault.New(fault.Exhausted, "TOO_MANY_STREAMS", "no more live streams may be open at once: close one first").WithRetryAfter(10 * time.Second)
	ErrPosition = fault.New(fault.Invalid, "EVENT_ID_INVALID", "this is no id of an event")
	ErrSlow     = fault.New(fault.Exhausted, "STREAM_TOO_SLOW", "the stream was read too slowly and has ended: go on from the last id").WithRetryAfter(time.Second)
	ErrOff      = fault.New(fault.Unavailable, "LIVE_STREAMS_OFF", "live streams are turned off by whoever runs this installation: read the list").WithRetryAfter(time.Minute)
	ErrStopping = fault.New(fault.Unavailable, "SERVER_STOPPING", "the server is going down: go on from the last id, at another one").WithRetryAfter(time.Second)
)

// Bounds. Each is in docs/limits.md.
const (
	// PerTenant and PerServer are how many streams there are at once, on one server: each
	// asks Postgres once a second.
	PerTenant = 20
	PerServer = 256

	// maxWaiting is how many begins wait for a stream whose reader is slow.
	maxWaiting = 256
	// maxTold is how many ceremonies a stream tells at one look. It is more than a person
	// reads, and what a machine should read by the list.
	maxTold = 500
	// maxBack is how far a stream goes back.
	maxBack = 10 * time.Minute

	// Settle is how much later than its time a ceremony may be committed: a call takes ten
	// seconds at most, and clocks differ a little.
	Settle = 12 * time.Second

	lookEvery   = time.Second            // when nothing says that there is something
	lookAtMost  = 100 * time.Millisecond // apart, when something does
	lookTimeout = 5 * time.Second
)

// Options configures a Service. All but On and Log are required.
type Options struct {
	Reader *debugger.Reader
	Keys   *keys.Service
	Redis  *ephemeral.Client
	Now    func() time.Time // the store's
	// On reports whether a tenant may have streams, now; nil: always. Those that are open are asked for every two seconds.
	On  func(ctx context.Context, sc scope.Scope) bool
	Log *slog.Logger // nil means slog.Default()
}

// Service is one server's streams, and what it tells other servers. It is safe for concurrent
// use; a nil one watches nothing.
type Service struct {
	reader *debugger.Reader
	keys   *keys.Service
	redis  *ephemeral.Client
	now    func() time.Time
	on     func(context.Context, scope.Scope) bool
	log    *slog.Logger
	self   string // names this process among those that publish

	watched atomic.Pointer[map[uuid.UUID]watch] // nil: nobody watches anything
	queue   chan *note

	mu       sync.Mutex
	streams  map[uuid.UUID]map[*Stream]struct{}
	open     int
	stopped  bool
	listener *ephemeral.Listener // nil while Run does not run

	stats struct{ opened, refused, slow, gaps, published, dropped atomic.Int64 }
}

// New returns a Service; Run makes it hear of other servers.
func New(o Options) (*Service, error) {
	if o.Reader == nil || o.Keys == nil || o.Redis == nil || o.Now == nil {
		return nil, errors.New("tail: Reader, Keys, Redis and Now are required")
	}
	s := &Service{
		reader: o.Reader, keys: o.Keys, redis: o.Redis, now: o.Now, on: o.On, log: o.Log, self: rand.Text(),
		queue: make(chan *note, maxQueue), streams: map[uuid.UUID]map[*Stream]struct{}{},
	}
	if s.on == nil {
		s.on = func(context.Context, scope.Scope) bool { return true }
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	return s, nil
}

// Stats is what a Service has done since it was made.
type Stats struct {
	Open      int   // streams, now
	Opened    int64 // streams
	Refused   int64 // streams beyond a bound
	Slow      int64 // streams that were ended because their reader was slow
	Gaps      int64 // that streams have told of
	Published int64 // begins and ends that went to other servers
	Dropped   int64 // begins and ends that nobody was told of, because too many came or Redis was away
}

// Stats returns them.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	open := s.open
	s.mu.Unlock()
	return Stats{
		Open: open, Opened: s.stats.opened.Load(), Refused: s.stats.refused.Load(), Slow: s.stats.slow.Load(), Gaps: s.stats.gaps.Load(),
		Published: s.stats.published.Load(), Dropped: s.stats.dropped.Load(),
	}
}

// Stop ends all streams with ErrStopping, and refuses new ones: a server that drains has
// no other way to be rid of them.
func (s *Service) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for _, of := range s.streams {
		for st := range of {
			st.end(ErrStopping)
		}
	}
}

// endOff ends, until ctx ends, the streams of tenants that may have none any more.
func (s *Service) endOff(ctx context.Context) {
	tick := time.NewTicker(sayEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		tenants := slices.Collect(maps.Keys(s.streams))
		s.mu.Unlock()
		for _, tenant := range tenants {
			if s.on(ctx, own(tenant)) {
				continue
			}
			s.mu.Lock()
			for st := range s.streams[tenant] {
				st.end(ErrOff)
			}
			s.mu.Unlock()
		}
	}
}

// add counts a stream in, or refuses it.
func (s *Service) add(ctx context.Context, st *Stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	tenant := st.sc.Tenant()
	of := s.streams[tenant]
	switch {
	case s.stopped:
		return ErrStopping
	case len(of) >= PerTenant:
		s.stats.refused.Add(1)
		return ErrTooMany.With("limit", "streams_of_tenant")
	case s.open >= PerServer:
		s.stats.refused.Add(1)
		return ErrTooMany.With("limit", "streams_of_server")
	}
	if of == nil {
		of = map[*Stream]struct{}{}
		s.streams[tenant] = of
		s.follow(ctx, tenant)
	}
	of[st] = struct{}{}
	s.open++
	s.stats.opened.Add(1)
	return nil
}

func (s *Service) remove(ctx context.Context, st *Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tenant := st.sc.Tenant()
	of := s.streams[tenant]
	if _, there := of[st]; !there {
		return
	}
	delete(of, st)
	s.open--
	if len(of) == 0 {
		delete(s.streams, tenant)
		s.unfollow(ctx, tenant)
	}
}

// deliver hands what is known of a tenant's begins to its streams on this server.
func (s *Service) deliver(tenant uuid.UUID, m *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.streams[tenant] {
		if !st.push(m) {
			s.stats.slow.Add(1)
		}
	}
}

// home is the reserved tenant, in which servers say what they watch.
func home() scope.Scope { return own(scope.PlatformTenant) }

func own(tenant uuid.UUID) scope.Scope {
	return scope.New(tenant, scope.Actor{Kind: scope.ActorSystem, ID: "tail"})
}
