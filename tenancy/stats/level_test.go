package stats_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

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
	for _, tt := range []struct {
		level stats.Level
		want  string
	}{
		{stats.Level{}, ""},
		{stats.Level{Answered: 4}, "100"},
		{stats.Level{Faults: 4}, "0"},
		{stats.Level{Answered: 9_999_999, Faults: 1}, "99.999"},
		{stats.Level{Answered: 999, Faults: 1}, "99.9"},
		{stats.Level{Answered: 2, Faults: 1}, "66.666"},
	} {
		if got := tt.level.Percent(); got != tt.want {
			t.Errorf("%+v = %q, want %q", tt.level, got, tt.want)
		}
	}
	if share, _ := (stats.Level{Answered: 7, Faults: 1}).Availability(); share != .875 {
		t.Errorf("availability of 7 and 1 = %v", share)
	}
}

// With 200 tenants the platform's page reads some rollups of each, by the index. Faults are
// few: those of 62 days may be read as a whole.
func TestServiceLevelOfManyTenants(t *testing.T) {
	t.Parallel()
	store := dbtest.Fresh(t)
	super := store.Superuser(t)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := super.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO tenants (id, slug, name, mode, rp_id, rp_name, origins, plan, created_at, updated_at)
		SELECT gen_random_uuid(), 'many' || n, 'Many', 'TEST', 'localhost', 'Many', '{}', '', now(), now() FROM generate_series(1, 200) n`)
	// As long as they are kept, but for the hours and five minutes, of which there are four days.
	exec(`INSERT INTO stats_counts (tenant_id, step, at, counts, answered, timed, prompt)
		SELECT t.id, s.step, at, repeat('x', 900), 100, 90, 80 FROM tenants t, (VALUES (300, 4), (3600, 4), (86400, 90)) s(step, days),
		generate_series(date_bin(make_interval(secs => s.step), $1::timestamptz - make_interval(days => s.days), 'epoch'), $1, make_interval(secs => s.step)) at WHERE t.slug <> 'platform'`, now)
	exec(`INSERT INTO stats_faults (tenant_id, at, faults) SELECT t.id, at, 1 FROM tenants t, generate_series(date_bin('1 hour', $1::timestamptz - interval '60 days', 'epoch'), $1, interval '13 hours') at`, now)
	exec("ANALYZE stats_counts, stats_faults, tenants")

	trace := &asked{}
	o := store.Options()
	o.Tracer, o.Now = trace, func() time.Time { return now }
	own, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Close)
	svc := stats.New(own)
	best := time.Hour
	for range 5 {
		trace.sql, trace.args = nil, nil
		began := time.Now()
		l, err := svc.ServiceLevel(t.Context(), threeNines)
		if err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(began))
		if n := l.Month().Answered; n != 200*30*100 {
			t.Fatalf("%d were answered in 30 days, want %d", n, 200*30*100)
		}
	}
	t.Logf("the service level of 200 tenants: %v", best)
	control := store.As(t, db.RoleControl)
	for i, sql := range trace.sql {
		if !strings.Contains(sql, "stats_counts") {
			continue
		}
		lines, err := control.Query(t.Context(), "EXPLAIN (ANALYZE, BUFFERS) "+sql, trace.args[i]...)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := pgx.CollectRows(lines, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "\n")
		t.Logf("%v: %s", trace.args[i], plan[len(plan)-1])
		if strings.Contains(text, "Seq Scan on stats_counts") {
			t.Errorf("rollups are read as a whole:\n%s", text)
		}
	}
}
