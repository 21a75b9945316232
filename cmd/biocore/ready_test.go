package main

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Many who ask at once are one round trip; a second later it is another.
func TestReadinessIsAskedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		gone := errors.New("gone")
		p := &pinger{ping: func(context.Context) error { asked++; return gone }}
		for second := 1; second <= 3; second++ {
			var many sync.WaitGroup
			for range 100 {
				many.Go(func() {
					if err := p.Ping(t.Context()); !errors.Is(err, gone) {
						t.Errorf("Ping = %v, want %v", err, gone)
					}
				})
			}
			many.Wait()
			if asked != second {
				t.Errorf("asked %d times in %d s", asked, second)
			}
			time.Sleep(pingLife) //nolint:forbidigo // the bubble's clock: nobody waits
		}
	})
}
