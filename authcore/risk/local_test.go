package risk

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
)

// What one server counts by itself is bounded, one tenant's flood of addresses leaves room for others', and it is forgotten in time.
func TestLocalCountersAreBounded(t *testing.T) {
	l := local{counters: map[localKey]int{}, of: map[uuid.UUID]int{}}
	acme, globex := uuid.New(), uuid.New()
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for i := range maxLocal + 1000 {
		l.count(acme, strconv.Itoa(i), at, failureWindow, true, 1)
	}
	if n := l.count(acme, "0", at, failureWindow, true, 1); n != 2 {
		t.Errorf("what has its place counts %d", n)
	}
	if l.count(globex, "k", at, attemptWindow, false, 1); l.count(globex, "k", at, attemptWindow, false, 1) != 2 {
		t.Error("another tenant's counter counts nothing")
	}
	for i := range maxLocal {
		l.count(globex, strconv.Itoa(i), at, attemptWindow, false, 1)
	}
	if len(l.counters) != maxLocal {
		t.Errorf("%d counters, want %d", len(l.counters), maxLocal)
	}
	l.count(globex, "after", at.Add(time.Hour), attemptWindow, false, 1)
	if len(l.counters) != 1 || len(l.of) != 1 {
		t.Errorf("an hour later %d counters of %d tenants", len(l.counters), len(l.of))
	}
}
