package ratelimit

import (
	"net/netip"
	"sync"
	"time"
)

// What one address (an IPv6 /64) may guess at: look-ups of keys and slugs that turn
// out not to exist. Each costs a transaction and needs no key, so there are few: a
// misconfigured server is told what is wrong some times a second, and a flood is not
// heard.
const (
	guessBurst = 20
	guessEvery = 200 * time.Millisecond // one more each: 5 a second
	// maxGuessers bounds memory: 16 Ki are about 1 MB. Past it somebody at random is
	// forgotten, and may guess anew.
	maxGuessers = 16 << 10
)

// Guesses bounds, on this server alone, look-ups by callers that are not known yet.
// It is safe for concurrent use. A nil *Guesses admits everything.
type Guesses struct {
	now func() time.Time

	mu   sync.Mutex
	free map[netip.Addr]time.Time // when the bucket is full again
}

// NewGuesses returns full buckets; nil now means time.Now.
func NewGuesses(now func() time.Time) *Guesses {
	if now == nil {
		now = time.Now
	}
	return &Guesses{now: now, free: map[netip.Addr]time.Time{}}
}

// Take counts a look-up from an address, before it is made, so that concurrent ones
// cannot outrun the count. ErrLimited, with the time until the next, is the refusal.
func (g *Guesses) Take(from netip.Addr) error {
	if g == nil {
		return nil
	}
	visitor, now := Visitor(from), g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	full, known := g.free[visitor]
	if full.Before(now) {
		full = now
	}
	if wait := full.Sub(now) - (guessBurst-1)*guessEvery; wait > 0 {
		return ErrLimited.With("limit", "guesses").WithRetryAfter(wait)
	}
	if !known && len(g.free) >= maxGuessers {
		for other := range g.free { // map order is random enough to evict by
			delete(g.free, other)
			break
		}
	}
	g.free[visitor] = full.Add(guessEvery)
	return nil
}

// Return takes a look-up back: what was looked for is there, or nobody could tell.
func (g *Guesses) Return(from netip.Addr) {
	if g == nil {
		return
	}
	visitor, now := Visitor(from), g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if full := g.free[visitor].Add(-guessEvery); full.After(now) {
		g.free[visitor] = full
	} else {
		delete(g.free, visitor)
	}
}
