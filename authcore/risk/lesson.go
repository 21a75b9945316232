package risk

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// How many lessons wait to be written: more are dropped, and counted.
const (
	maxLessons          = 4_096
	maxLessonsPerTenant = maxLessons / 4
	// writeLimit bounds what nobody waits for, and restLimit all that is left of it when a server ends.
	writeLimit = 2 * time.Second
	restLimit  = time.Second
)

// lesson is what is written behind a sign-in: that it was let in, or that it failed.
type lesson struct {
	scope   scope.Scope
	user    uuid.UUID
	visit   visit
	profile *profile // before the visit; nil: it failed
	cached  bool     // profile is Redis's
	address netip.Addr
}

// Learn notes that an attempt was let in, for the next ones of its user. It does not wait. Nil is nothing.
func (s *Service) Learn(sc scope.Scope, a *Assessment) {
	if a == nil || a.user == uuid.Nil || a.Facts.Degraded { // what is not known cannot be learnt from
		return
	}
	s.teach(lesson{scope: sc, user: a.user, visit: a.visit, profile: &a.profile, cached: a.cached})
}

// Failed notes that an attempt failed: a signature that does not verify, a credential that nobody has. user is Nil where
// nobody is known, address invalid where only a server was seen. It does not wait.
func (s *Service) Failed(ctx context.Context, sc scope.Scope, user uuid.UUID, address netip.Addr) {
	if r, err := s.Ruleset(ctx, sc); err != nil || r.Mode == Off || user == uuid.Nil && !address.IsValid() {
		return
	}
	s.teach(lesson{scope: sc, user: user, visit: visit{at: s.o.Store.Now()}, address: address})
}

func (s *Service) teach(l lesson) {
	if !s.lessons.put(l) {
		s.stats.dropped.Add(1)
	}
}

// lessons wait to be written. One tenant has no more than a quarter of the room: a flood of its own leaves what others' teach.
type lessons struct {
	waiting chan lesson
	mu      sync.Mutex
	of      map[uuid.UUID]int // that wait, by tenant
}

func (q *lessons) put(l lesson) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	tenant := l.scope.Tenant()
	if q.of[tenant] >= maxLessonsPerTenant {
		return false
	}
	select {
	case q.waiting <- l:
		q.of[tenant]++
		return true
	default:
		return false
	}
}

// taken notes that one waits no longer.
func (q *lessons) taken(l *lesson) {
	q.mu.Lock()
	defer q.mu.Unlock()
	tenant := l.scope.Tenant()
	if q.of[tenant]--; q.of[tenant] == 0 {
		delete(q.of, tenant)
	}
}

// Run writes what is learnt until ctx ends, then what still waits, for a second at most, and returns nil. What it has begun to write when
// ctx ends is written.
func (s *Service) Run(ctx context.Context) error {
	writing := context.WithoutCancel(ctx)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case l := <-s.lessons.waiting:
			s.write(writing, &l)
		}
	}
	s.writeRest(writing)
	return nil
}

func (s *Service) writeRest(ctx context.Context) {
	end := time.Now().Add(restLimit)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	for {
		select {
		case l := <-s.lessons.waiting:
			if time.Now().Before(end) { // a connection's timer may be faster than the context's
				s.write(ctx, &l)
			} else {
				s.lessons.taken(&l)
				s.stats.dropped.Add(1)
			}
		default:
			return
		}
	}
}

// write writes a lesson. What cannot be written is lost, and counted: the next sign-in teaches the same.
func (s *Service) write(ctx context.Context, l *lesson) {
	s.lessons.taken(l)
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	if err := s.writeLesson(ctx, l); err != nil {
		s.stats.dropped.Add(1)
		s.log.DebugContext(ctx, "what a sign-in taught of risk is lost", "tenant", l.scope.Tenant(), "err", err)
		return
	}
	s.stats.learnt.Add(1)
}

func (s *Service) writeLesson(ctx context.Context, l *lesson) error {
	ring, err := s.o.Keys.Ring(ctx, l.scope)
	if err != nil {
		return err
	}
	if l.profile == nil {
		return s.writeFailure(ctx, ring, l)
	}
	after, news := l.profile.learn(&l.visit)
	text := after.append(nil)
	sealed := ring.SealToken(sealProfile, nil, text)
	if !news && l.cached { // of a user who was erased meanwhile there is nothing to replace
		return s.ephemeral.Replace(ctx, l.scope, kindProfile, l.user.String(), sealed, profileLife)
	}
	return s.o.Store.InTenantApart(ctx, l.scope, func(tx *db.TenantTx) error {
		n, err := tx.PutRiskProfile(ctx, tenantq.PutRiskProfileParams{UserID: l.user, Profile: text, UpdatedAt: l.visit.at})
		if err != nil {
			return fmt.Errorf("put risk profile: %w", err)
		}
		if n == 0 { // the user was erased meanwhile, or has signed in again
			return nil
		}
		// Under the row's lock: an erasure waits for it, and empties Redis afterwards.
		return s.ephemeral.Put(ctx, l.scope, kindProfile, l.user.String(), sealed, profileLife)
	})
}

func (s *Service) writeFailure(ctx context.Context, ring *keys.Ring, l *lesson) error {
	who := subjectOf(ring, l.user, l.address)
	s.local.count(l.scope.Tenant(), who.user, l.visit.at, failureWindow, true, 1)
	s.local.count(l.scope.Tenant(), who.address, l.visit.at, failureWindow, true, 1)
	failure, _ := window(l.visit.at, failureWindow)
	x := s.ephemeral.Exchange()
	if who.user != "" {
		x.Count(l.scope, kindCount, counter("failed-user", who.user, failure), 1, 2*failureWindow)
	}
	if who.address != "" {
		x.Count(l.scope, kindCount, counter("failed-address", who.address, failure), 1, 2*failureWindow)
	}
	return x.Do(ctx)
}
