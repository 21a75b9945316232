package scoring

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestBreaker(t *testing.T) {
	now := time.Unix(0, 0)
	b := &breaker{now: func() time.Time { return now }}
	end := func(o outcome) {
		t.Helper()
		leave, ok := b.ask()
		if !ok {
			t.Fatal("nobody may ask")
		}
		b.done(leave, o)
	}
	closed := func(want bool, when string) {
		t.Helper()
		if s, _, _ := b.state(); (s == Closed) != want {
			t.Errorf("%s: %s", when, s)
		}
	}
	for range failuresToOpen - 1 {
		end(failed)
	}
	end(succeeded)
	for range failuresToOpen - 1 {
		end(failed)
	}
	end(unknown)
	closed(true, "one success in between")
	late, _ := b.ask() // begun while closed, ends when it is open
	end(failed)
	closed(false, "so many in a row")
	b.done(late, succeeded)
	closed(false, "what was asked before it opened")
	pause := firstPause
	for range 8 {
		if _, ok := b.ask(); ok {
			t.Fatal("it may be asked while it is left alone")
		}
		now = now.Add(pause - 1)
		if _, ok := b.ask(); ok {
			t.Fatalf("it may be asked before %v are over", pause)
		}
		now = now.Add(1)
		if s, since, until := b.state(); s != HalfOpen || !since.Equal(time.Unix(0, 0)) || !until.Equal(now) {
			t.Errorf("after %v: %s since %s, until %s", pause, s, since, until)
		}
		probe, ok := b.ask()
		if _, second := b.ask(); !ok || second {
			t.Fatalf("a probe: %v; another beside it: %v", ok, second)
		}
		b.done(probe, failed)
		pause = min(2*pause, longestPause)
	}
	now = now.Add(longestPause)
	gone, _ := b.ask()
	b.done(gone, unknown)
	end(succeeded)
	closed(true, "a probe that succeeds")
	for range failuresToOpen {
		closed(true, "counted anew")
		end(failed)
	}
	now = now.Add(firstPause)
	if _, ok := b.ask(); !ok {
		t.Error("the pause does not begin anew")
	}
}

// Of many who ask at once one is the probe.
func TestOneProbe(t *testing.T) {
	now := time.Unix(0, 0)
	b := &breaker{now: func() time.Time { return now }}
	for range failuresToOpen {
		leave, _ := b.ask()
		b.done(leave, failed)
	}
	now = now.Add(firstPause)
	var wg sync.WaitGroup
	var probes atomic.Int32
	for range 50 {
		wg.Go(func() {
			if _, ok := b.ask(); ok {
				probes.Add(1)
			}
		})
	}
	wg.Wait()
	if n := probes.Load(); n != 1 {
		t.Errorf("%d probes", n)
	}
}
