package db

import (
	"slices"
	"sync"

	"github.com/google/uuid"
)

// How many sign-ins may wait: at 3,000 a second the last one waits over a second,
// about as long as a person does. One tenant gets no more than a quarter, so that
// a flood of its own leaves room for the others.
const (
	maxWaiting          = 4096
	maxWaitingPerTenant = maxWaiting / 4
)

// lane is where a sign-in stands in its way to a commit.
type lane int

const (
	laneFast    lane = iota // in batches
	laneAlone               // one by one: some row of its batch made Postgres refuse the batch
	lanePatient             // one by one: another transaction holds its credential's row
	lanes
)

// signInQueue holds the sign-ins that wait. Each tenant has a FIFO in each lane,
// and tenants take turns, one row a turn: how long a sign-in waits depends on how
// many tenants are busy and hardly on how busy one of them is.
type signInQueue struct {
	mu      sync.Mutex
	rings   [lanes]ring
	waiting map[uuid.UUID]int // rows a tenant, in all lanes and parked
	total   int
	flying  int                     // rows that a writer holds
	busy    map[uint64][]*signInRow // keys of the rows in flight; the rows that wait for them
	idle    []*writer               // writers that wait
	closed  bool

	batches, rows, failed int64
}

func newSignInQueue() *signInQueue {
	return &signInQueue{waiting: map[uuid.UUID]int{}, busy: map[uint64][]*signInRow{}}
}

// push puts a row into the fast lane.
func (q *signInQueue) push(r *signInRow) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrUnavailable
	case q.total >= maxWaiting, q.waiting[r.tenant] >= maxWaitingPerTenant:
		return ErrOverloaded
	}
	q.total++
	q.waiting[r.tenant]++
	q.rings[laneFast].pushBack(r)
	q.wake()
	return nil
}

// withdraw takes back a row whose request is gone. It reports false when the row
// is in flight or answered.
func (q *signInQueue) withdraw(r *signInRow) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.state != rowWaiting {
		return false
	}
	q.left(r)
	r.state = rowWithdrawn
	// It stays where it is until it is met there. A retried row holds its keys:
	// others wait for them.
	if r.retried {
		q.release(r)
		q.wake()
	}
	return true
}

// left counts a row out.
func (q *signInQueue) left(r *signInRow) {
	q.total--
	if q.waiting[r.tenant]--; q.waiting[r.tenant] == 0 {
		delete(q.waiting, r.tenant)
	}
}

// take fills batch for w with what waits in its lane: at most w.maxRows, at most
// maxRowsPerTenant of one tenant, no two that share a credential or a challenge
// with each other or with a row in flight. It waits for the first w.least rows, and
// answers an empty batch when the queue is closed and drained.
func (q *signInQueue) take(w *writer, batch []*signInRow) []*signInRow {
	for {
		q.mu.Lock()
		if ring := &q.rings[w.lane]; ring.rows >= w.least {
			if batch = q.deal(ring, batch, w.maxRows); len(batch) > 0 {
				q.batches++
				q.rows += int64(len(batch))
				q.wake() // what is left may be enough for another writer
				q.mu.Unlock()
				return batch
			}
		}
		if q.drained() {
			q.mu.Unlock()
			return nil
		}
		q.idle = append(q.idle, w)
		q.mu.Unlock()
		<-w.awake
	}
}

// deal takes rows off a ring, one a tenant a turn.
func (q *signInQueue) deal(ring *ring, batch []*signInRow, maxRows int) []*signInRow {
	var rested []*fifo // tenants that have had their share of this batch
	for len(batch) < maxRows && len(ring.turn) > 0 {
		f := ring.turn[0]
		ring.turn = ring.turn[1:]
		if r := q.next(ring, f); r != nil {
			batch = append(batch, r)
			f.dealt++
		}
		switch {
		case f.empty():
			ring.drop(f)
		case f.dealt == maxRowsPerTenant:
			rested = append(rested, f)
		default:
			ring.turn = append(ring.turn, f)
		}
	}
	for _, f := range ring.turn {
		f.dealt = 0
	}
	for _, f := range rested {
		f.dealt = 0
	}
	ring.turn = append(ring.turn, rested...)
	return batch
}

// next takes a tenant's first row whose keys are free. Those before it are parked
// until theirs are.
func (q *signInQueue) next(ring *ring, f *fifo) *signInRow {
	for !f.empty() {
		r := f.pop()
		ring.rows--
		if r.state == rowWithdrawn {
			continue
		}
		if !r.retried { // a retried row holds its keys since it was first taken
			if waiters, taken := q.busy[r.credentialKey]; taken {
				q.busy[r.credentialKey] = append(waiters, r)
				continue
			}
			if waiters, taken := q.busy[r.challengeKey]; taken {
				q.busy[r.challengeKey] = append(waiters, r)
				continue
			}
			q.busy[r.credentialKey], q.busy[r.challengeKey] = nil, nil
		}
		r.state = rowInFlight
		q.left(r)
		q.flying++
		return r
	}
	return nil
}

// finish frees the keys of rows that are about to be answered; err is the batch's.
func (q *signInQueue) finish(rows []*signInRow, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		q.failed++
	}
	for _, r := range rows {
		q.release(r)
	}
	q.flying -= len(rows)
	q.wake()
}

// release puts those that waited for r's keys back to the front of their lane.
func (q *signInQueue) release(r *signInRow) {
	for _, key := range [2]uint64{r.credentialKey, r.challengeKey} {
		waiters := q.busy[key]
		delete(q.busy, key)
		for _, w := range slices.Backward(waiters) {
			if w.state == rowWaiting {
				q.rings[laneFast].pushFront(w)
			}
		}
	}
}

// retry sends rows in flight to a slower lane. They keep their keys, so that
// nothing of the fast lane runs into what stopped them.
func (q *signInQueue) retry(to lane, rows []*signInRow) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range rows {
		q.total++
		q.waiting[r.tenant]++
		r.state = rowWaiting
		r.retried = true
		q.rings[to].pushBack(r)
	}
	q.flying -= len(rows)
	q.failed++
	q.wake()
}

// wake calls the idle writers that have something to do. The lock is held.
func (q *signInQueue) wake() {
	q.idle = slices.DeleteFunc(q.idle, func(w *writer) bool {
		ready := q.rings[w.lane].rows
		if ready < w.least && !q.drained() {
			return false
		}
		w.awake <- struct{}{} // holds one, and w is idle: never blocks
		return true
	})
}

// close refuses new rows; the writers end once the rest is answered.
func (q *signInQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake()
}

// drained reports that nothing is left and nothing more comes.
func (q *signInQueue) drained() bool { return q.closed && q.total == 0 && q.flying == 0 }

func (q *signInQueue) stats() SignInStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return SignInStats{Batches: q.batches, Rows: q.rows, Failed: q.failed, Waiting: q.total}
}
