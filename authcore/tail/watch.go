package tail

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const (
	// kindWatched is on what servers say which tenants they watch, in the reserved tenant.
	kindWatched ephemeral.Kind = "watched"
	// kindTail is on what a tenant's begins are told.
	kindTail ephemeral.Kind = "tail"

	sayEvery = 2 * time.Second
	// watchedFor is how long a server believes that a tenant is watched: three times of saying so.
	watchedFor = 3 * sayEvery

	// maxBegins is how many begins of a tenant one server tells each second. Anybody may begin.
	maxBegins = 100
)

// watch is that somebody watches a tenant.
type watch struct {
	until  time.Time // by the monotonic clock
	budget *budget
}

// budget counts a tenant's begins by the second.
type budget struct{ second, count atomic.Int64 }

func (b *budget) take(now time.Time) bool {
	if second := now.Unix(); b.second.Swap(second) != second {
		b.count.Store(0)
	}
	return b.count.Add(1) <= maxBegins
}

// Watched reports whether somebody watches the tenant, on any server: as of two seconds
// ago, and for six after the last has gone. It costs a load from memory where nobody watches
// anything.
func (s *Service) Watched(tenant uuid.UUID) bool {
	if s == nil {
		return false
	}
	all := s.watched.Load()
	if all == nil {
		return false
	}
	w, ok := (*all)[tenant]
	return ok && time.Now().Before(w.until)
}

// watch remembers that tenants are watched, and forgets those that are not any more.
func (s *Service) watch(tenants ...uuid.UUID) {
	for {
		before, now := s.watched.Load(), time.Now()
		next := map[uuid.UUID]watch{}
		if before != nil {
			maps.Copy(next, *before)
		}
		for _, t := range tenants {
			w := next[t]
			if w.budget == nil {
				w.budget = &budget{}
			}
			w.until = now.Add(watchedFor)
			next[t] = w
		}
		maps.DeleteFunc(next, func(_ uuid.UUID, w watch) bool { return !now.Before(w.until) })
		after := &next
		if len(next) == 0 {
			after = nil
		}
		if s.watched.CompareAndSwap(before, after) {
			return
		}
	}
}

// follow begins to watch a tenant. s.mu is held.
func (s *Service) follow(ctx context.Context, tenant uuid.UUID) {
	s.watch(tenant)
	if s.listener == nil {
		return
	}
	// Redis may be away: it is followed once it is back, and said again in two seconds.
	if err := s.listener.Follow(ctx, own(tenant), kindTail); err != nil {
		s.log.WarnContext(ctx, "a live stream hears of no other server", "err", err)
	}
	select {
	case s.queue <- &note{watch: true}:
	default:
	}
}

// unfollow ends it. s.mu is held.
func (s *Service) unfollow(ctx context.Context, tenant uuid.UUID) {
	if s.listener != nil {
		_ = s.listener.Unfollow(context.WithoutCancel(ctx), own(tenant), kindTail) // what still comes is for nobody
	}
}

// say tells every server which tenants this one watches.
func (s *Service) say(ctx context.Context) {
	s.mu.Lock()
	tenants := slices.Collect(maps.Keys(s.streams))
	s.mu.Unlock()
	s.watch(tenants...)
	if len(tenants) == 0 {
		return
	}
	text, err := json.Marshal(tenants)
	if err == nil {
		err = s.redis.Publish(ctx, home(), kindWatched, text)
	}
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "other servers do not know what is watched here", "err", err)
	}
}

// hear takes what other servers say. Redis is believed nothing that matters: which tenants
// are watched costs a little, and begins open by the tenant's key alone.
func (s *Service) hear(ctx context.Context, h ephemeral.Heard) {
	switch h.Kind {
	case kindWatched:
		var tenants []uuid.UUID
		if h.Tenant == scope.PlatformTenant && json.Unmarshal(h.Body, &tenants) == nil && len(tenants) <= PerServer {
			s.watch(tenants...)
		}
	case kindTail:
		ring, err := s.keys.Ring(ctx, own(h.Tenant))
		if err != nil {
			return // it is being destroyed
		}
		m, err := open(ring, h.Body)
		if err != nil {
			s.log.WarnContext(ctx, "a message of the live tail does not open")
			return
		}
		if m.From != s.self {
			s.deliver(h.Tenant, m)
		}
	}
}
