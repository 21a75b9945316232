package db

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// ErrOverloaded says that there is no room: too much waits for Postgres, of all tenants or of this
// one, or has waited too long. Nothing was written.
var ErrOverloaded = fault.New(fault.Unavailable, "OVERLOADED", "too much waits for the database").WithRetryAfter(time.Second)

// Priority is whose turn it is when transactions wait for a connection.
type Priority uint8

// The priorities. Whoever says nothing is Ordinary.
const (
	Urgent     Priority = iota // what people have already done their part of: the finish of a ceremony
	Ordinary                   // begins, reads, administration
	Patient                    // jobs: nobody sits before them
	priorities = iota
)

type priorityKey struct{}

// WithPriority returns a context whose transactions wait with p.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(ctx, priorityKey{}, p)
}

// PriorityOf returns it.
func PriorityOf(ctx context.Context) Priority {
	if p, ok := ctx.Value(priorityKey{}).(Priority); ok && p < priorities {
		return p
	}
	return Ordinary
}

const (
	// waitingPerConn is how many transactions may wait for each connection: at 2 ms each, the
	// last one waits an eighth of a second.
	waitingPerConn = 64
	// longestWait is how long somebody waits who sits before it; jobs have no such haste, and
	// would only come again.
	longestWait    = 2 * time.Second
	longestPatient = 30 * time.Second
	// lowestEach: every so many turns the lowest priority that waits has one, so that it goes on.
	lowestEach = 8
)

// admission bounds the transactions that run on bc_app's connections, and says who is next. Within
// a priority tenants take turns, one transaction a turn, and a tenant never has more than three
// quarters of the connections: how long a transaction waits depends on how many tenants are busy,
// and hardly on how busy one of them is. Without contention it is two locks.
type admission struct {
	conns  int // of the pool
	most   int // of them for one tenant
	room   [priorities]int
	perOne [priorities]int // likewise, of one tenant

	mu      sync.Mutex
	running int
	held    map[uuid.UUID]int // connections of each tenant
	lines   [priorities]line
	waiting map[uuid.UUID]int
	total   int
	turns   int

	admitted, waited, full, late int64
	waitTime                     time.Duration
	now                          func() time.Time
}

// line is who waits in a priority: a queue a tenant, and whose turn it is.
type line struct {
	of    map[uuid.UUID]*queue
	turn  []*queue // each of them once
	count int
}

// queue is what waits of a tenant.
type queue struct {
	tenant      uuid.UUID
	first, last *ticket
}

// ticket is a transaction that waits.
type ticket struct {
	queue      *queue
	prev, next *ticket
	granted    bool
	turn       chan struct{} // holds one
}

func newAdmission(conns int) *admission {
	a := &admission{
		conns: conns, most: (3*conns + 3) / 4,
		held: map[uuid.UUID]int{}, waiting: map[uuid.UUID]int{}, now: time.Now,
	}
	// What is urgent finds room when all the rest is taken, by others and by its own tenant.
	all := conns * waitingPerConn
	a.room = [priorities]int{Urgent: all, Ordinary: all * 3 / 4, Patient: all / 2}
	for p, room := range a.room {
		a.perOne[p] = room / 4
	}
	for i := range a.lines {
		a.lines[i].of = map[uuid.UUID]*queue{}
	}
	return a
}

// enter waits for the tenant's turn. Whoever has entered leaves. ErrOverloaded; ctx's error when
// it ends before.
func (a *admission) enter(ctx context.Context, tenant uuid.UUID) error {
	a.mu.Lock()
	if a.running < a.conns && a.held[tenant] < a.most {
		// Whoever waits while there is a connection waits for its tenant's own share: nobody
		// is overtaken who could run.
		a.grant(tenant)
		a.mu.Unlock()
		return nil
	}
	p := PriorityOf(ctx)
	if a.total >= a.room[p] || a.waiting[tenant] >= a.perOne[p] {
		a.full++
		a.mu.Unlock()
		return ErrOverloaded
	}
	t := a.queue(p, tenant)
	began := a.now()
	a.mu.Unlock()

	longest := longestWait
	if p == Patient {
		longest = longestPatient
	}
	timer := time.NewTimer(longest)
	defer timer.Stop()
	var err error
	select {
	case <-t.turn:
	case <-timer.C:
		err = ErrOverloaded
	case <-ctx.Done():
		err = ctx.Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waited++
	a.waitTime += a.now().Sub(began)
	switch {
	case err == nil || t.granted && ctx.Err() == nil: // its turn came with the last moment
		return nil
	case t.granted:
		a.give(tenant)
		return err
	}
	a.withdraw(p, t)
	if ctx.Err() == nil {
		a.late++
	}
	return err
}

// leave gives the connection to whoever is next.
func (a *admission) leave(tenant uuid.UUID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.give(tenant)
}

func (a *admission) grant(tenant uuid.UUID) {
	a.running++
	a.held[tenant]++
	a.admitted++
}

func (a *admission) give(tenant uuid.UUID) {
	a.running--
	if a.held[tenant]--; a.held[tenant] == 0 {
		delete(a.held, tenant)
	}
	for a.running < a.conns && a.total > 0 && a.next() {
	}
}

// next gives one connection to whoever's turn it is; false: all that wait have their share.
func (a *admission) next() bool {
	a.turns++
	if a.turns%lowestEach == 0 {
		for p := priorities - 1; p >= 0; p-- {
			if a.serve(Priority(p)) {
				return true
			}
		}
		return false
	}
	for p := range Priority(priorities) {
		if a.serve(p) {
			return true
		}
	}
	return false
}

// serve gives one connection to a tenant of a priority that has not its share yet.
func (a *admission) serve(p Priority) bool {
	l := &a.lines[p]
	for i, q := range l.turn {
		if a.held[q.tenant] >= a.most {
			continue
		}
		t := q.first
		t.granted = true
		a.remove(l, t)
		a.grant(q.tenant)
		t.turn <- struct{}{} // holds one, and is sent one: never blocks
		l.turn = append(l.turn[:i], l.turn[i+1:]...)
		if q.first != nil {
			l.turn = append(l.turn, q)
		} else {
			delete(l.of, q.tenant)
		}
		return true
	}
	return false
}

func (a *admission) queue(p Priority, tenant uuid.UUID) *ticket {
	l := &a.lines[p]
	q := l.of[tenant]
	if q == nil {
		q = &queue{tenant: tenant}
		l.of[tenant] = q
		l.turn = append(l.turn, q)
	}
	t := &ticket{queue: q, prev: q.last, turn: make(chan struct{}, 1)}
	if q.last != nil {
		q.last.next = t
	} else {
		q.first = t
	}
	q.last = t
	l.count++
	a.total++
	a.waiting[tenant]++
	return t
}

// withdraw takes back a ticket whose turn has not come.
func (a *admission) withdraw(p Priority, t *ticket) {
	l := &a.lines[p]
	if a.remove(l, t); t.queue.first != nil {
		return
	}
	delete(l.of, t.queue.tenant)
	for i, q := range l.turn {
		if q == t.queue {
			l.turn = append(l.turn[:i], l.turn[i+1:]...)
			return
		}
	}
}

func (a *admission) remove(l *line, t *ticket) {
	q := t.queue
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		q.first = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		q.last = t.prev
	}
	l.count--
	a.total--
	if a.waiting[q.tenant]--; a.waiting[q.tenant] == 0 {
		delete(a.waiting, q.tenant)
	}
}

// AdmissionStats is what the queue before Postgres did since the Store was opened.
type AdmissionStats struct {
	Admitted int64         // transactions
	Waited   int64         // of those that came, that had to wait
	WaitTime time.Duration // of these together
	Full     int64         // refused at once
	Late     int64         // refused after waiting
	Running  int           // now
	Waiting  [3]int        // now: urgent, ordinary, patient
}

// AdmissionStats returns it, for metrics.
func (s *Store) AdmissionStats() AdmissionStats {
	a := s.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	st := AdmissionStats{Admitted: a.admitted, Waited: a.waited, WaitTime: a.waitTime, Full: a.full, Late: a.late, Running: a.running}
	for p := range a.lines {
		st.Waiting[p] = a.lines[p].count
	}
	return st
}
