package session

import (
	"testing"
	"time"
)

// What a server remembers of a session may be a second old: a token that was issued
// meanwhile tells of a later use. It does not move the session's end.
func TestStandingHolds(t *testing.T) {
	const idle = 5 * time.Minute
	began := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	known := standing{expiresAt: began.Add(time.Hour), lastUsedAt: began}
	for _, tt := range []struct {
		name   string
		known  standing
		after  time.Duration
		issued time.Duration
		want   bool
	}{
		{"used just now", known, 0, 0, true},
		{"a moment before it is idle", known, idle - 1, 0, true},
		{"idle", known, idle, 0, false},
		{"refreshed since, at another server", known, idle, idle - time.Second, true},
		{"refreshed since, and idle again", known, 2 * idle, idle - time.Second, false},
		{"over, although just refreshed", known, time.Hour, time.Hour - time.Second, false},
		{"revoked", standing{}, 0, 0, false},
	} {
		if got := tt.known.holds(began.Add(tt.after), began.Add(tt.issued), idle); got != tt.want {
			t.Errorf("%s: holds = %t, want %t", tt.name, got, tt.want)
		}
	}
}
