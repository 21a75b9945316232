package stats_test

import (
	"io"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/stats"
)

const threeNines = .999

func serviceLevel(t testing.TB, s *stats.Service) map[string]stats.Window {
	t.Helper()
	l, err := s.ServiceLevel(t.Context(), threeNines)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]stats.Window{}
	for _, w := range l.Windows {
		out[w.Name] = w
	}
	return out
}

// All tenants add up, in each window what is in it: those that were answered, and the faults.
// The console's own sign-ins are no customer's. What burned and has stopped is told apart.
func TestServiceLevel(t *testing.T) {
	t.Parallel()
	store := dbtest.Fresh(t) // it is the platform's: other tests' tenants would count
	acme, globex := store.Tenant(t), store.Tenant(t)
	platform := scope.New(scope.PlatformTenant, acme.Actor())
	c := &clock{now}
	svc := at(t, store, c)
	if got := serviceLevel(t, svc)["30d"]; got.Mark != stats.NoSignIns || got.Tried() != 0 {
		t.Errorf("before anything = %+v, want no sign-ins", got)
	}
	happen(
		t, store, acme, happened{at: now.Add(-30 * time.Minute), outcome: "FAILED", reason: "USER_BLOCKED", repeats: 87},
		happened{at: now.Add(-30 * time.Minute), latency: 130 * time.Millisecond}, happened{at: now.Add(-29 * time.Minute), latency: 132 * time.Millisecond},
		happened{at: now.Add(-28 * time.Minute), kind: "REGISTRATION", model: cloud, latency: time.Millisecond},
	)
	happen(t, store, globex, happened{at: now.AddDate(0, 0, -9), outcome: "FAILED", reason: "USER_BLOCKED", repeats: 19_900}, happened{at: now.AddDate(0, 0, -31), repeats: 7})
	happen(t, store, platform, happened{at: now.Add(-time.Minute), repeats: 5})
	for _, sc := range []scope.Scope{acme, globex, platform} {
		maintain(t, svc, sc)
	}
	if got := serviceLevel(t, svc)["1h"]; got.Mark != stats.Kept || got.Answered != 90 || got.Faults != 0 {
		t.Errorf("an hour without faults = %+v, want 90 answered", got)
	}
	f := faultsAt(t, store, c, io.Discard)
	for range 9 {
		f.Count(acme.Tenant())
	}
	f.Count(uuid.Nil) // nobody could tell whose
	f.Flush(t.Context())
	got := serviceLevel(t, svc)
	for name, want := range map[string]stats.Window{
		"1h":  {Level: stats.Level{Answered: 90, Faults: 10, Timed: 3, Prompt: 2}, Burn: 100, Mark: stats.Page},
		"6h":  {Level: stats.Level{Answered: 90, Faults: 10, Timed: 3, Prompt: 2}, Burn: 100, Mark: stats.Page},
		"24h": {Level: stats.Level{Answered: 90, Faults: 10, Timed: 3, Prompt: 2}, Burn: 100, Mark: stats.Ticket},
		"3d":  {Level: stats.Level{Answered: 90, Faults: 10, Timed: 3, Prompt: 2}, Burn: 100, Mark: stats.Ticket},
		"30d": {Level: stats.Level{Answered: 19_990, Faults: 10, Timed: 3, Prompt: 2}, Burn: .5, Mark: stats.Kept},
	} {
		if w := got[name]; w.Level != want.Level || w.Mark != want.Mark || w.Burn < want.Burn-.01 || w.Burn > want.Burn+.01 {
			t.Errorf("%s = %+v, want %+v", name, w, want)
		}
	}
	l, err := svc.ServiceLevel(t.Context(), threeNines)
	if err != nil {
		t.Fatal(err)
	}
	if left, known := l.Budget(); !known || left < .499 || left > .501 {
		t.Errorf("budget left = %v, want half of it", left)
	}
	if l.Mark() != stats.Page {
		t.Errorf("all of it is marked %s, want %s", l.Mark(), stats.Page)
	}

	// A quarter of an hour later nothing fails any more.
	c.Time = now.Add(15 * time.Minute)
	if got := serviceLevel(t, svc); got["1h"].Mark != stats.Cooling || got["1h"].Faults != 10 || got["6h"].Mark != stats.Page {
		t.Errorf("after it has stopped: 1h = %+v, 6h = %+v", got["1h"], got["6h"])
	}
}

// A tenant's own 30 days are its own.
func TestLevelOfMonth(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	c := &clock{now}
	svc, f := at(t, store, c), faultsAt(t, store, c, io.Discard)
	happen(t, store, acme, happened{at: now, repeats: 3}, happened{at: now.AddDate(0, 0, -29), repeats: 4}, happened{at: now.AddDate(0, 0, -30), repeats: 50})
	maintain(t, svc, acme)
	f.Count(acme.Tenant())
	f.Flush(t.Context())
	for _, tt := range []struct {
		sc   scope.Scope
		want stats.Level
	}{{acme, stats.Level{Answered: 7, Faults: 1}}, {globex, stats.Level{}}} {
		var got stats.Level
		o := store.Options()
		o.Now = func() time.Time { return c.Time }
		own, err := db.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(own.Close)
		if err := own.ReadTenant(t.Context(), tt.sc, func(tx *db.TenantTx) (err error) {
			got, err = stats.OfMonth(t.Context(), tx)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got != tt.want {
			t.Errorf("level = %+v, want %+v", got, tt.want)
		}
	}
	if _, known := (stats.Level{}).Availability(); known {
		t.Error("nothing was tried, and there is an availability")
	}
	if share, _ := (stats.Level{Answered: 7, Faults: 1}).Availability(); share != .875 {
		t.Errorf("availability of 7 and 1 = %v", share)
	}
}
