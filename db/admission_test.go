package db

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

// door is an admission whose visitors wait in goroutines of a bubble; each notes its name when it
// is let in.
type door struct {
	*admission
	t     testing.TB
	mu    sync.Mutex
	in    []string
	names map[string]uuid.UUID
}

func newDoor(t testing.TB, conns int) *door {
	t.Helper()
	return &door{admission: newAdmission(conns), t: t, names: map[string]uuid.UUID{}}
}

func (d *door) tenant(name string) uuid.UUID {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.names[name]; !ok {
		d.names[name] = uuid.New()
	}
	return d.names[name]
}

// counts are how many wait, and how many were refused, at once and late.
func (d *door) counts() (total int, full, late int64) {
	d.admission.mu.Lock()
	defer d.admission.mu.Unlock()
	return d.total, d.full, d.late
}

// come sends one of a tenant to the door, and returns when it has its place or waits.
func (d *door) come(ctx context.Context, name string, p Priority) <-chan error {
	id, done := d.tenant(name), make(chan error, 1)
	go func() {
		err := d.enter(WithPriority(ctx, p), id)
		if err == nil {
			d.mu.Lock()
			d.in = append(d.in, name)
			d.mu.Unlock()
		}
		done <- err
	}()
	synctest.Wait()
	return done
}

// order lets the holder of the only connection leave, and then whoever had it, n times, and
// returns who was let in.
func (d *door) order(holder string, n int) string {
	d.mu.Lock()
	d.in = nil
	d.mu.Unlock()
	for range n {
		d.leave(d.tenant(holder))
		synctest.Wait()
		d.mu.Lock()
		holder = d.in[len(d.in)-1]
		d.mu.Unlock()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	out := ""
	for _, name := range d.in {
		out += name
	}
	return out
}

// Tenants take turns: with one line for all it would be aaaaaab.
func TestTenantsTakeTurnsAtTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, 1)
		d.come(t.Context(), "x", Ordinary)
		for range 4 {
			d.come(t.Context(), "a", Ordinary)
		}
		d.come(t.Context(), "b", Ordinary)
		d.come(t.Context(), "c", Ordinary)
		d.come(t.Context(), "b", Ordinary)
		if got := d.order("x", 7); got != "abcabaa" {
			t.Errorf("let in %s, want abcabaa", got)
		}
	})
}

// Finishes come before begins, and jobs last; but each eighth turn is the lowest's.
func TestPriorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, 1)
		d.come(t.Context(), "x", Ordinary)
		for range 8 {
			d.come(t.Context(), "p", Patient)
		}
		for range 6 {
			d.come(t.Context(), "o", Ordinary)
		}
		for range 6 {
			d.come(t.Context(), "u", Urgent)
		}
		if got, want := d.order("x", 20), "uuuuuuopoooooppppppp"; got != want {
			t.Errorf("let in %s, want %s", got, want)
		}
	})
}

// A tenant never has more than three quarters, although nobody else is there, and what it waits
// for keeps nobody else out. Without the check in serve, or that in enter, it is red.
func TestATenantsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, 8)
		for range 20 {
			d.come(t.Context(), "a", Ordinary)
		}
		if n := d.held[d.tenant("a")]; n != 6 || d.running != 6 {
			t.Errorf("a tenant holds %d of 8, %d run", n, d.running)
		}
		for _, name := range []string{"b", "c"} {
			select {
			case err := <-d.come(t.Context(), name, Patient):
				if err != nil {
					t.Error(err)
				}
			default:
				t.Errorf("%s waits although there is a connection", name)
			}
		}
		d.leave(d.tenant("c"))
		synctest.Wait()
		if n := d.held[d.tenant("a")]; n != 6 {
			t.Errorf("a tenant holds %d of 8 when one is given back", n)
		}
		d.come(t.Context(), "c", Ordinary)
		late := d.come(t.Context(), "b", Ordinary)
		d.leave(d.tenant("a")) // which has its share still by the next of its own, were it served first
		synctest.Wait()
		select {
		case err := <-late:
			t.Errorf("%v: the tenant that waits longer is overtaken", err)
		default:
		}
		d.leave(d.tenant("c"))
		synctest.Wait()
		if err := <-late; err != nil || d.held[d.tenant("a")] != 6 {
			t.Errorf("b: %v, a holds %d", err, d.held[d.tenant("a")])
		}
	})
}

func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, 1) // 64 may wait, 16 of one tenant, of which ordinary ones have 12 and jobs 8
		d.come(t.Context(), "x", Ordinary)
		outcome := func(name string, p Priority, n int) (refused int) {
			for range n {
				select {
				case err := <-d.come(t.Context(), name, p):
					if !errors.Is(err, ErrOverloaded) {
						t.Errorf("%s = %v, want %v", name, err, ErrOverloaded)
					}
					refused++
				default:
				}
			}
			return refused
		}
		for _, tt := range []struct {
			name string
			p    Priority
			want int
		}{
			{"a", Patient, 12},                    // 8 wait
			{"b", Ordinary, 8}, {"b", Urgent, 16}, // 24
			{"c", Patient, 12}, {"d", Patient, 20}, // 32: jobs have half
			{"d", Ordinary, 8}, {"e", Ordinary, 16}, // 48: all but what is urgent three quarters
			{"f", Ordinary, 20}, {"f", Urgent, 4}, // 64
			{"g", Urgent, 20},
		} {
			if got := outcome(tt.name, tt.p, 20); got != tt.want {
				t.Errorf("%s: %d of 20 were refused at priority %d, want %d", tt.name, got, tt.p, tt.want)
			}
		}
		if total, full, _ := d.counts(); total != 64 || full != 136 {
			t.Errorf("%d wait, %d were refused", total, full)
		}
		// All give up in time, jobs last, and nothing is left of them.
		time.Sleep(longestWait) //nolint:forbidigo // the bubble's clock
		synctest.Wait()
		if total, _, late := d.counts(); total != 16 || late != 48 {
			t.Errorf("after %v %d wait, %d are late", longestWait, total, late)
		}
		time.Sleep(longestPatient) //nolint:forbidigo // as above
		synctest.Wait()
		for p := range d.lines {
			if l := &d.lines[p]; l.count != 0 || len(l.turn) != 0 || len(l.of) != 0 {
				t.Errorf("priority %d: %d wait in %d queues", p, l.count, len(l.turn))
			}
		}
		if d.total != 0 || len(d.waiting) != 0 {
			t.Errorf("%d wait, of %d tenants", d.total, len(d.waiting))
		}
		d.leave(d.tenant("x"))
		if err := <-d.come(t.Context(), "e", Ordinary); err != nil {
			t.Errorf("after all: %v", err)
		}
	})
}

// A tenant whose begins fill its part of the queue has room left for its finishes: people have done their part of them.
func TestFinishesFindRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		d.come(ctx, "a", Ordinary)
		for range 20 {
			d.come(ctx, "a", Ordinary)
		}
		finish := d.come(ctx, "a", Urgent)
		select {
		case err := <-finish:
			t.Fatalf("the finish does not even wait: %v", err)
		default:
		}
		d.leave(d.tenant("a"))
		if err := <-finish; err != nil {
			t.Errorf("the finish = %v", err)
		}
	})
}

func TestWhoGoesAwayIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, 1)
		d.come(t.Context(), "x", Ordinary)
		ctx, cancel := context.WithCancel(t.Context())
		gone := d.come(ctx, "a", Ordinary)
		stays := d.come(t.Context(), "a", Ordinary)
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("gone = %v", err)
		}
		d.leave(d.tenant("x"))
		if err := <-stays; err != nil || d.late != 0 {
			t.Errorf("who stays = %v, %d late", err, d.late)
		}
		d.leave(d.tenant("a"))
		for range 50 { // the turn comes just as they go: without giving it back it is lost
			d.come(t.Context(), "x", Ordinary)
			ctx, cancel := context.WithCancel(t.Context())
			gone := d.come(ctx, "a", Ordinary)
			cancel()
			d.leave(d.tenant("x"))
			if <-gone == nil {
				d.leave(d.tenant("a"))
			}
			if d.running != 0 || d.total != 0 {
				t.Fatalf("%d run and %d wait, want nobody", d.running, d.total)
			}
		}
	})
}

// However they come and go, never more run than there are connections, no tenant has more than
// its share, nothing is lost, and in the end nobody is there.
func TestTheDoorCounts(t *testing.T) {
	const conns = 5
	a := newAdmission(conns)
	var running, peak, served atomic.Int64
	var held [4]atomic.Int64
	ids := [4]uuid.UUID{uuid.New(), uuid.New(), uuid.New(), uuid.New()}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 7))
			for range 500 {
				k := random.IntN(4)
				ctx, cancel := context.WithCancel(WithPriority(t.Context(), Priority(random.IntN(3))))
				if random.IntN(4) == 0 {
					cancel()
				}
				if a.enter(ctx, ids[k]) == nil {
					if n := running.Add(1); n > conns {
						peak.Store(n)
					}
					if n := held[k].Add(1); n > int64(a.most) {
						t.Errorf("a tenant holds %d", n)
					}
					served.Add(1)
					held[k].Add(-1)
					running.Add(-1)
					a.leave(ids[k])
				}
				cancel()
			}
		})
	}
	all.Wait()
	if peak.Load() != 0 || a.running != 0 || a.total != 0 || len(a.held) != 0 || len(a.waiting) != 0 || a.admitted < served.Load() {
		t.Errorf("%d at once, %+v", peak.Load(), a)
	}
}

// A noisy tenant with hundreds that wait costs a quiet one no more than one turn of its own: the
// bound is in turns, not in time. In one line for all it would wait for all of them.
func TestAQuietTenantWaitsOneTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, 16)
		for range 300 {
			d.come(t.Context(), "noisy", Ordinary)
		}
		worst := 0
		for i := range 100 {
			quiet := d.come(t.Context(), "quiet", Ordinary)
			for turns := 0; ; turns++ {
				select {
				case err := <-quiet:
					if err != nil {
						t.Fatal(err)
					}
					worst = max(worst, turns)
					if i%5 != 4 { // it keeps some for a while
						d.leave(d.tenant("quiet"))
					}
				default:
					d.leave(d.tenant("noisy"))
					d.come(t.Context(), "noisy", Ordinary)
					continue
				}
				break
			}
			if n := d.held[d.tenant("quiet")]; n > 8 {
				for range n {
					d.leave(d.tenant("quiet"))
				}
			}
			d.come(t.Context(), "noisy", Ordinary)
			synctest.Wait()
		}
		if worst > 2 {
			t.Errorf("the quiet tenant waited for %d turns of the noisy one, want 2 at most", worst)
		}
	})
}

func BenchmarkAdmission(b *testing.B) {
	a, ids := newAdmission(16), make([]uuid.UUID, 64)
	for i := range ids {
		ids[i] = uuid.New()
	}
	for _, parallel := range []bool{false, true} {
		b.Run(fmt.Sprintf("parallel=%t", parallel), func(b *testing.B) {
			b.ReportAllocs()
			one := func(i int) {
				if a.enter(b.Context(), ids[i%64]) == nil {
					a.leave(ids[i%64])
				}
			}
			if !parallel {
				for i := 0; b.Loop(); i++ {
					one(i)
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					one(i)
				}
			})
		})
	}
}
