package ratelimit

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/fault"
)

func TestGuesses(t *testing.T) {
	var now clock
	g := NewGuesses(now.now)
	one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for i := range guessBurst {
		if err := g.Take(one); err != nil {
			t.Fatalf("guess %d: %v", i+1, err)
		}
	}
	f, ok := fault.As(g.Take(one))
	if !ok || !errors.Is(f, ErrLimited) || f.RetryAfter != guessEvery {
		t.Errorf("one more: %+v, want %v after %v", f, ErrLimited, guessEvery)
	}
	if err := g.Take(other); err != nil {
		t.Errorf("another address: %v", err)
	}
	g.Return(one)
	if err := g.Take(one); err != nil {
		t.Errorf("after one was found: %v", err)
	}
	now.sleep(guessEvery)
	if err := g.Take(one); err != nil {
		t.Errorf("after a while: %v", err)
	}
	if err := g.Take(one); !errors.Is(err, ErrLimited) {
		t.Errorf("two after the while of one = %v, want %v", err, ErrLimited)
	}
	now.sleep(time.Hour)
	for range 2 * maxGuessers {
		other = other.Next()
		if err := g.Take(other); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(g.free); n > maxGuessers {
		t.Errorf("%d guessers are remembered, want at most %d", n, maxGuessers)
	}
}
