package load

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// phase tells workers whether what they do counts.
type phase struct{ now atomic.Int32 }

const (
	warmingUp int32 = iota
	measuring
	stopped
)

func newPhase() *phase { return &phase{} }

func (p *phase) measure() { p.now.Store(measuring) }
func (p *phase) stop()    { p.now.Store(stopped) }

// tally is what one worker has seen.
type tally struct {
	samples []sample
	reasons map[string]int
	errors  int
}

// run signs people in, one after the other, until the phase is over.
func (t *tally) run(ctx context.Context, api *api, people []person, phase *phase) {
	t.reasons = map[string]int{}
	for i := 0; phase.now.Load() != stopped && ctx.Err() == nil; i = (i + 1) % len(people) {
		counts := phase.now.Load() == measuring
		s, err := api.signIn(ctx, people[i])
		if !counts || phase.now.Load() == stopped {
			continue // it did not lie within what is measured
		}
		if err == nil {
			t.samples = append(t.samples, s)
			continue
		}
		t.errors++
		t.reasons[reasonOf(err)]++
		_ = wait(ctx, 5*time.Millisecond) // a server that refuses at once must not be asked in a frenzy
	}
}

func reasonOf(err error) string {
	if r, ok := errors.AsType[refusal](err); ok {
		return r.reason
	}
	return err.Error()
}

// sum adds up what workers have seen.
func sum(tallies []tally, workers int, took time.Duration) Measurement {
	m := Measurement{Workers: workers, Seconds: took.Seconds()}
	var begin, finish, total []uint32
	for _, t := range tallies {
		m.Errors += t.errors
		for reason, n := range t.reasons {
			if m.Reasons == nil {
				m.Reasons = map[string]int{}
			}
			m.Reasons[reason] += n
		}
		for _, s := range t.samples {
			begin, finish, total = append(begin, s.begin), append(finish, s.finish), append(total, s.begin+s.finish)
		}
	}
	m.SignIns = len(total)
	m.PerSecond = float64(m.SignIns) / m.Seconds
	m.Begin, m.Finish, m.Total = distribution(begin), distribution(finish), distribution(total)
	return m
}

// distribution sorts microseconds and reads the percentiles off, by nearest rank.
func distribution(micros []uint32) Latency {
	if len(micros) == 0 {
		return Latency{}
	}
	slices.Sort(micros)
	at := func(q float64) float64 {
		rank := int(math.Ceil(q * float64(len(micros))))
		return float64(micros[max(rank, 1)-1]) / 1000
	}
	return Latency{P50: at(0.50), P95: at(0.95), P99: at(0.99)}
}
