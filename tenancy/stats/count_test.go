package stats_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/stats"
)

// busyDay is ceremonies of the last day, with everything that is told apart.
func busyDay() []happened {
	return []happened{
		{at: now.Add(-23 * time.Hour), model: cloud},
		{at: now.Add(-23 * time.Hour), model: cloud},
		{at: now.Add(-5 * time.Hour), model: usb},
		{at: now.Add(-5*time.Hour + time.Minute), outcome: "DENY", reason: "SIGN_COUNT_ROLLBACK", model: usb},
		{at: now.Add(-5*time.Hour + 2*time.Minute), outcome: "STEP_UP", reason: "AAL_TOO_LOW", model: cloud},
		{at: now.Add(-10 * time.Minute), outcome: "FAILED", reason: "USER_BLOCKED"},
		{at: now.Add(-9 * time.Minute), kind: "REGISTRATION", model: cloud},
		{at: now.Add(-8 * time.Minute), kind: "REGISTRATION", model: usb, had: 1},
		{at: now.Add(-7 * time.Minute), kind: "REGISTRATION", model: usb, had: 7},
		{at: now.Add(-30 * time.Second), model: cloud},
	}
}

func TestCounting(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	c := &clock{now}
	svc := at(t, store, c)
	happen(t, store, acme, busyDay()...)
	happen(t, store, globex, happened{at: now.Add(-time.Minute)})
	maintain(t, svc, acme)

	o := overview(t, svc, acme, stats.Day)
	if got, want := o.Now.Of(stats.SignIn), (stats.Outcomes{Allowed: 4, SteppedUp: 1, Denied: 1, Failed: 1}); got != want {
		t.Errorf("sign-ins = %+v, want %+v", got, want)
	}
	if got, want := o.Now.Of(stats.Registration), (stats.Outcomes{Allowed: 3}); got != want {
		t.Errorf("registrations = %+v, want %+v", got, want)
	}
	if o.Now.First != 1 || o.Now.Second != 1 || o.Now.Further != 1 {
		t.Errorf("first, second, further = %d, %d, %d, want 1 each", o.Now.First, o.Now.Second, o.Now.Further)
	}
	models := o.Now.ByModel()
	if len(models) != 2 || models[0].AAGUID != cloud || models[0].SignIns != 3 || models[1].SignIns != 1 {
		t.Errorf("models = %+v, want 3 of %s and 1 of %s", models, cloud, usb)
	}
	if reasons := o.Now.Reasons(); len(reasons) != 3 || reasons[0].Reason != "AAL_TOO_LOW" {
		t.Errorf("reasons = %+v", reasons)
	}
	if _, known := o.Now.Quantile(stats.SignIn, .95); known {
		t.Error("a latency is known that nobody measured")
	}
	if len(o.Points) != 96 || o.Points[95].Of(stats.SignIn).All() != 2 {
		t.Errorf("%d points, the last of %+v, want 96 and two sign-ins", len(o.Points), o.Points[len(o.Points)-1])
	}
	if n := overview(t, svc, acme, stats.Hour).Now.Of(stats.SignIn).All(); n != 2 {
		t.Errorf("sign-ins within the hour = %d, want 2", n)
	}
	for _, r := range []stats.Range{stats.Week, stats.Month} {
		if n := overview(t, svc, acme, r).Now.Of(stats.SignIn).All(); n != 7 {
			t.Errorf("sign-ins of %s = %d, want 7", r, n)
		}
	}
	if o := overview(t, svc, globex, stats.Day); o.Now.Of(stats.SignIn).All() != 0 || !o.CountedAt.IsZero() {
		t.Errorf("the other tenant, not counted yet, has %+v", o.Now)
	}
}

// Latencies come out as they went in, to a twentieth, and a row that stands for many
// refusals counts for as many.
func TestLatencyAndRepeats(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme := store.Tenant(t)
	svc := at(t, store, &clock{now})
	list := []happened{{at: now, outcome: "FAILED", reason: "CHALLENGE_UNKNOWN", repeats: 15}, {at: now}}
	for i := range 100 {
		list = append(list, happened{at: now.Add(-time.Duration(i) * 10 * time.Minute), latency: time.Duration(i+1) * time.Millisecond})
	}
	happen(t, store, acme, list...)
	maintain(t, svc, acme)
	o := overview(t, svc, acme, stats.Day)
	if got := o.Now.Of(stats.SignIn); got.Failed != 15 || got.Allowed != 101 {
		t.Errorf("sign-ins = %+v, want 15 that failed and 101 let in", got)
	}
	for q, want := range map[float64]time.Duration{.5: 50 * time.Millisecond, .95: 95 * time.Millisecond, .99: 99 * time.Millisecond} {
		if got, ok := o.Now.Quantile(stats.SignIn, q); !ok || (got-want).Abs() > want/20 {
			t.Errorf("p%v = %v, want %v", q*100, got, want)
		}
	}
	if _, known := o.Now.Quantile(stats.Registration, .5); known {
		t.Error("registrations have a latency, and there was none")
	}
}

// Twice is once: whole stretches are counted anew, each time from the ceremonies.
func TestCountingTwice(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme := store.Tenant(t)
	c := &clock{now}
	svc := at(t, store, c)
	happen(t, store, acme, busyDay()...)
	maintain(t, svc, acme)
	want := rows(t, store, acme)
	maintain(t, svc, acme)
	c.Time = now.Add(time.Minute)
	maintain(t, svc, acme)
	if got := rows(t, store, acme); got != want {
		t.Errorf("counted again:\n%s\nwant\n%s", got, want)
	}
	if strings.Count(want, "\n300 ") < 3 || !strings.Contains(want, "\n86400 ") {
		t.Errorf("rows are missing:\n%s", want)
	}
}

// Two servers, each of which may be cut off after any of its transactions, come to what
// one comes to.
func TestCountingAtOnceAndCutOff(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme, twin := store.Tenant(t), store.Tenant(t)
	c := &clock{now}
	one, other := at(t, store, c), at(t, store, c)
	happen(t, store, acme, busyDay()...)
	happen(t, store, twin, busyDay()...)
	maintain(t, one, twin)
	want := rows(t, store, twin)

	for steps := range 4 { // cut off after so many stretches
		stats.CutOff(t, one, acme, steps)
	}
	var wg sync.WaitGroup
	for _, svc := range []*stats.Service{one, other} {
		wg.Go(func() {
			if err := svc.Maintain(t.Context(), acme); err != nil {
				t.Errorf("Maintain = %v", err)
			}
		})
	}
	wg.Wait()
	if got := rows(t, store, acme); got != want {
		t.Errorf("counted by two:\n%s\nwant\n%s", got, want)
	}
}

// A ceremony that is committed late is counted as long as its time has not settled.
func TestLateCommit(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme := store.Tenant(t)
	c := &clock{now.Truncate(5 * time.Minute).Add(20 * time.Second)} // the five minutes before are just over
	svc := at(t, store, c)
	early := c.Add(-30 * time.Second)
	happen(t, store, acme, happened{at: early})
	maintain(t, svc, acme)
	happen(t, store, acme, happened{at: early.Add(time.Second)})
	c.Time = c.Add(time.Minute)
	happen(t, store, acme, happened{at: c.Time})
	maintain(t, svc, acme)
	if n := overview(t, svc, acme, stats.Hour).Now.Of(stats.SignIn).All(); n != 3 {
		t.Errorf("sign-ins = %d, want 3 with the late one", n)
	}
}

// What comes in of a time that was counted is counted by a Recount.
func TestRecount(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme := store.Tenant(t)
	svc := at(t, store, &clock{now})
	maintain(t, svc, acme)
	happen(t, store, acme, busyDay()...)
	maintain(t, svc, acme)
	if n := overview(t, svc, acme, stats.Day).Now.Of(stats.SignIn).All(); n != 1 {
		t.Errorf("sign-ins = %d, want the one that is not settled", n)
	}
	if err := svc.Recount(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	maintain(t, svc, acme)
	if n := overview(t, svc, acme, stats.Day).Now.Of(stats.SignIn).All(); n != 7 {
		t.Errorf("sign-ins counted again = %d, want 7", n)
	}
}

// What happened before and the period before it are told apart, and the step that is not
// over is held against as much of its like.
func TestPeriodBefore(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme := store.Tenant(t)
	svc := at(t, store, &clock{now})
	day := 24 * time.Hour
	happen(t, store, acme,
		happened{at: now.Add(-time.Hour)},
		happened{at: now.Add(-day - time.Hour)},
		happened{at: now.Add(-day - 2*time.Hour)},
		happened{at: now.Add(-day + 4*time.Minute)},   // in the period itself
		happened{at: now.Add(-2*day - 2*time.Minute)}, // before both
		happened{at: now.Add(-8 * day)},
		happened{at: now.Add(-13 * day)},
	)
	maintain(t, svc, acme)
	o := overview(t, svc, acme, stats.Day)
	if o.Now.Of(stats.SignIn).All() != 2 || o.Before.Of(stats.SignIn).All() != 2 {
		t.Errorf("a day: %d, before %d, want 2 and 2", o.Now.Of(stats.SignIn).All(), o.Before.Of(stats.SignIn).All())
	}
	o = overview(t, svc, acme, stats.Week)
	if o.Now.Of(stats.SignIn).All() != 5 || o.Before.Of(stats.SignIn).All() != 2 {
		t.Errorf("a week: %d, before %d, want 5 and 2", o.Now.Of(stats.SignIn).All(), o.Before.Of(stats.SignIn).All())
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme := store.Tenant(t)
	c := &clock{now}
	svc := at(t, store, c)
	maintain(t, svc, acme)
	if o := overview(t, svc, acme, stats.Day); o.Users == nil || o.Users.All != 0 || o.UsersThen != nil {
		t.Errorf("users of a tenant without any = %+v, then %+v", o.Users, o.UsersThen)
	}
	store.User(t, acme, 0)
	store.User(t, acme, 1)
	store.User(t, acme, 3)
	if err := store.InTenant(t.Context(), acme, func(tx *db.TenantTx) error {
		_, err := tx.Pgx().Exec(t.Context(), `UPDATE credentials SET last_used_at = $1 WHERE id = (SELECT id FROM credentials ORDER BY id LIMIT 1)`, now.Add(22*time.Hour))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	maintain(t, svc, acme) // not due
	if o := overview(t, svc, acme, stats.Day); o.Users.All != 0 {
		t.Errorf("users were counted again at once: %+v", o.Users)
	}
	c.Time = now.Add(24 * time.Hour)
	maintain(t, svc, acme)
	o := overview(t, svc, acme, stats.Day)
	if u := o.Users; u == nil || u.All != 3 || u.Enrolled != 2 || u.Several != 1 || u.Active(stats.Hour) != 0 || u.Active(stats.Day) != 1 || u.Active(stats.Month) != 1 {
		t.Errorf("users = %+v, want 3, 2 enrolled, 1 with several, 1 active", o.Users)
	}
	if o.UsersThen == nil || o.UsersThen.All != 0 {
		t.Errorf("users a day before = %+v, want none", o.UsersThen)
	}
}

// What is old is kept more coarsely, and days stay.
func TestThinning(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme := store.Tenant(t)
	c := &clock{now}
	svc := at(t, store, c)
	happen(t, store, acme, happened{at: now})
	maintain(t, svc, acme)
	count := func(step string) int { return strings.Count("\n"+rows(t, store, acme), "\n"+step+" ") }
	c.Time = now.AddDate(0, 0, 10)
	maintain(t, svc, acme)
	if count("300") != 0 || count("3600") != 1 || count("86400") != 1 {
		t.Errorf("after ten days:\n%s", rows(t, store, acme))
	}
	c.Time = now.AddDate(0, 0, 70)
	maintain(t, svc, acme)
	if count("3600") != 0 || count("86400") != 1 {
		t.Errorf("after seventy days:\n%s", rows(t, store, acme))
	}
}
