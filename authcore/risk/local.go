package risk

import (
	"sync"
	"time"

	"github.com/google/uuid"
)

// maxLocal bounds what one server counts by itself: 64 Ki counters are about 8 MB. Past it new ones have no room, and
// count nothing: what is without Redis is a guess anyway. One tenant has three quarters of them, so that its flood leaves room for others.
const (
	maxLocal         = 64 << 10
	maxLocalOfTenant = maxLocal * 3 / 4
)

// local counts on this server alone, for when Redis is gone. It counts always, so that it knows something by then.
type local struct {
	mu       sync.Mutex
	counters map[localKey]int
	of       map[uuid.UUID]int // counters, by tenant
	swept    int64             // window of the last sweep
}

type localKey struct {
	tenant uuid.UUID
	who    string
	number int64 // of the window
	failed bool
}

// count adds n to who's count and returns what it comes to, sliding.
func (l *local) count(tenant uuid.UUID, who string, at time.Time, of time.Duration, failed bool, n int) int {
	if who == "" {
		return 0
	}
	number, before := window(at, of)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(at)
	k := localKey{tenant, who, number, failed}
	switch _, known := l.counters[k]; {
	case n == 0:
	case known:
		l.counters[k] += n
	case len(l.counters) < maxLocal && l.of[tenant] < maxLocalOfTenant:
		l.counters[k] = n
		l.of[tenant]++
	}
	last := k
	last.number--
	return sliding(l.counters[k], l.counters[last], before)
}

// sweep drops what no window reaches any more, once an attempt window.
func (l *local) sweep(at time.Time) {
	now, _ := window(at, attemptWindow)
	if now == l.swept {
		return
	}
	l.swept = now
	failure, _ := window(at, failureWindow)
	for k := range l.counters {
		if k.failed && k.number < failure-1 || !k.failed && k.number < now-1 {
			delete(l.counters, k)
			if l.of[k.tenant]--; l.of[k.tenant] == 0 {
				delete(l.of, k.tenant)
			}
		}
	}
}
