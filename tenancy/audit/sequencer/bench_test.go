package sequencer_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/scope"
)

// BenchmarkMove moves batches of 1,000 entries of 20 tenants that lie ready.
func BenchmarkMove(b *testing.B) {
	w := newWorld(b)
	tenants := make([]scope.Scope, 20)
	for i := range tenants {
		tenants[i] = w.tenant(b)
	}
	s := w.sequencer(w.Store.Store)
	drain(b, s)
	before := s.Stats().Moved
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for _, sc := range tenants {
			w.append(b, sc, 50)
		}
		b.StartTimer()
		if _, err := s.Move(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := s.Sign(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(s.Stats().Moved-before)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkLag commits 2,000 entries a second for ten seconds and tells how long the oldest
// entry of a batch had waited when the batch was committed, asked every 10 ms.
func BenchmarkLag(b *testing.B) {
	const perSecond, seconds, batch = 2000, 10, 20
	for b.Loop() {
		w := newWorld(b)
		tenants := []scope.Scope{w.tenant(b), w.tenant(b), w.tenant(b), w.tenant(b)}
		s := w.sequencer(w.Replica(b))
		drain(b, s)
		before := s.Stats().Moved
		ctx, stop := context.WithCancel(b.Context())
		var server, writers sync.WaitGroup
		server.Go(func() { _ = s.Run(ctx) })
		var lags []time.Duration
		server.Go(func() {
			for tick := time.NewTicker(10 * time.Millisecond); ; {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					lags = append(lags, s.Stats().Lag)
				}
			}
		})
		began := time.Now()
		for _, sc := range tenants {
			writers.Go(func() {
				tick := time.NewTicker(time.Second * batch * time.Duration(len(tenants)) / perSecond)
				defer tick.Stop()
				for range perSecond * seconds / batch / len(tenants) {
					<-tick.C
					w.append(b, sc, batch)
				}
			})
		}
		writers.Wait()
		took := time.Since(began)
		for tick := time.NewTicker(every); w.waiting(b) > 0; {
			<-tick.C
		}
		stop()
		server.Wait()
		slices.Sort(lags)
		b.ReportMetric(float64(lags[len(lags)*99/100].Milliseconds()), "ms-lag-p99")
		b.ReportMetric(float64(lags[len(lags)/2].Milliseconds()), "ms-lag-p50")
		b.ReportMetric(float64(s.Stats().Moved-before)/took.Seconds(), "entries/s")
	}
}

const every = 50 * time.Millisecond
