package scoring

import (
	"sync"
	"time"
)

// The breaker's figures.
const (
	// failuresToOpen in a row say that a service is down: one or two are a bad moment.
	failuresToOpen = 5
	// firstPause and longestPause: how long nobody asks. Each probe that fails doubles it.
	firstPause   = 5 * time.Second
	longestPause = 2 * time.Minute
)

// State is how a breaker stands.
type State string

// The states (Nygard, Release It!, "Circuit Breaker").
const (
	Closed   State = "CLOSED"    // questions go through
	Opened   State = "OPEN"      // none does
	HalfOpen State = "HALF_OPEN" // one does, as a probe
)

// breaker keeps from asking a service that is down. It has no timer: what it does depends on its clock alone.
type breaker struct {
	now func() time.Time

	mu       sync.Mutex
	failures int           // in a row, while closed
	pause    time.Duration // 0: closed
	until    time.Time     // when a probe may go
	since    time.Time     // when it was opened or closed; zero: it has been closed from the beginning
	probing  bool
	turn     int // counts openings and closings: what was asked in an earlier turn says nothing of this one
}

// ticket is the leave to ask once. Give it back by done.
type ticket struct{ turn int }

// ask gives a ticket, or false.
func (b *breaker) ask() (ticket, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pause > 0 {
		if b.probing || b.now().Before(b.until) {
			return ticket{}, false
		}
		b.probing = true
	}
	return ticket{b.turn}, true
}

// outcome is what came of asking.
type outcome int

const (
	succeeded outcome = iota
	failed
	unknown // who asked went away
)

func (b *breaker) done(t ticket, o outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.turn != b.turn {
		return
	}
	if b.pause > 0 { // it was the probe
		b.probing = false
		switch o {
		case succeeded:
			b.pause, b.failures, b.since = 0, 0, b.now()
			b.turn++
		case failed:
			b.open(min(2*b.pause, longestPause))
		case unknown: // the next one may try
		}
		return
	}
	switch o {
	case succeeded:
		b.failures = 0
	case failed:
		if b.failures++; b.failures >= failuresToOpen {
			b.open(firstPause)
		}
	case unknown:
	}
}

func (b *breaker) open(pause time.Duration) {
	now := b.now()
	if b.pause == 0 {
		b.since = now
	}
	b.pause, b.until = pause, now.Add(pause)
	b.turn++
}

// state returns how it stands and since when, and of one that is open when a probe may go.
func (b *breaker) state() (s State, since, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.pause == 0:
		return Closed, b.since, time.Time{}
	case b.probing || !b.now().Before(b.until):
		return HalfOpen, b.since, b.until
	}
	return Opened, b.since, b.until
}
