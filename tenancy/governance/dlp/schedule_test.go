package dlp_test

import (
	"errors"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/cadence"
	"github.com/biocore-id/biocore/tenancy/governance/dlp"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// A schedule has a scan made when its period is over, once for all that nobody was there for; one that is under way is enough; a
// clock that was ahead does not put it off for the time that it was wrong; and it is the tenant's own.
func TestSchedule(t *testing.T) {
	w := newWorks(t)
	monday := cadence.Weekly.Begins(time.Now())
	now := monday.Add(12 * time.Hour)
	o := w.store.Options()
	o.Now = func() time.Time { return now }
	store, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	w.Service = dlp.New(dlp.Options{Store: store, Keys: w.keys, Trail: trail.NewReader(store, w.keys)})
	scans := func(want int) []dlp.Scan {
		t.Helper()
		list, err := w.Scans(t.Context(), w.acme)
		if err != nil || len(list) != want {
			t.Fatalf("%d scans, %v, want %d", len(list), err, want)
		}
		return list
	}
	due := func(weeks int) {
		t.Helper()
		want := monday.AddDate(0, 0, 7*weeks).Add(10 * time.Minute)
		if s, err := w.GetSchedule(t.Context(), w.acme); err != nil || !s.NextAt.Equal(want) {
			t.Errorf("schedule = %+v, %v, want %s", s, err, want)
		}
	}
	maintain := func() {
		t.Helper()
		w.exec(t, "SELECT make_partitions($1)", now)
		if err := w.Maintain(t.Context(), w.acme); err != nil {
			t.Fatal(err)
		}
	}

	for _, tt := range []struct {
		req  dlp.ScheduleRequest
		want error
	}{{dlp.ScheduleRequest{Cadence: cadence.Quarterly}, dlp.ErrCadence}, {dlp.ScheduleRequest{}, dlp.ErrCadence}, {dlp.ScheduleRequest{Cadence: cadence.Daily, Days: 400}, dlp.ErrDays}} {
		if _, err := w.PutSchedule(t.Context(), w.acme, tt.req); !errors.Is(err, tt.want) {
			t.Errorf("PutSchedule(%+v) = %v, want %v", tt.req, err, tt.want)
		}
	}
	s, err := w.PutSchedule(t.Context(), w.acme, dlp.ScheduleRequest{Cadence: cadence.Weekly, Reason: "asked for"})
	if err != nil || s.Days != 8 {
		t.Fatalf("PutSchedule = %+v, %v", s, err)
	}
	if _, err := w.GetSchedule(t.Context(), w.globex); !errors.Is(err, dlp.ErrSchedule) {
		t.Errorf("another tenant's schedule: %v", err)
	}
	if err := w.Unschedule(t.Context(), w.globex, ""); !errors.Is(err, dlp.ErrSchedule) {
		t.Errorf("another tenant's schedule is ended: %v", err)
	}
	due(1)
	maintain()
	scans(0)

	now = monday.AddDate(0, 0, 7).Add(10 * time.Minute)
	maintain()
	if made := scans(1)[0]; made.State != dlp.Done || made.Days != 8 || made.AskedBy != w.acme.Actor().String() {
		t.Errorf("scan = %+v", made)
	}
	due(2)
	maintain() // not twice
	scans(1)

	now = monday.AddDate(0, 0, 29) // the server was away for weeks, or its clock jumps ahead
	maintain()
	scans(2)
	due(5)
	now = monday.AddDate(0, 0, 9) // it was the clock
	maintain()
	scans(2)
	due(2)

	if _, err := w.Start(t.Context(), w.acme, dlp.StartRequest{}); err != nil {
		t.Fatal(err)
	}
	now = monday.AddDate(0, 0, 14).Add(time.Hour)
	maintain() // the one that somebody has asked for is it
	scans(3)
	due(3)

	if err := w.Unschedule(t.Context(), w.acme, "no more"); err != nil {
		t.Fatal(err)
	}
	now = now.AddDate(0, 0, 14)
	maintain()
	scans(3)
	if n, m := w.store.AuditCount(t, w.acme, "dlpschedule.update"), w.store.AuditCount(t, w.acme, "dlpschedule.delete"); n != 1 || m != 1 {
		t.Errorf("%d and %d entries", n, m)
	}
}

// The sweep's role sees a schedule that is due, or was set by a clock that is ahead, and no other.
func TestScheduleIsSwept(t *testing.T) {
	w := newWorks(t)
	if _, err := w.PutSchedule(t.Context(), w.acme, dlp.ScheduleRequest{Cadence: cadence.Daily}); err != nil {
		t.Fatal(err)
	}
	seen := func() (n int) {
		t.Helper()
		if err := w.store.As(t, "bc_jobs").QueryRow(t.Context(), "SELECT count(tenant_id) FROM dlp_schedules").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, tt := range []struct {
		set, due string
		want     int
	}{{"0", "1 day", 0}, {"-1 day", "-1 minute", 1}, {"1 year", "2 years", 1}, {"10 minutes", "1 day", 0}} {
		w.exec(t, "UPDATE dlp_schedules SET set_at = now() + $1::interval, due_at = now() + $2::interval", tt.set, tt.due)
		if n := seen(); n != tt.want {
			t.Errorf("set %s ahead, due in %s: %d are seen", tt.set, tt.due, n)
		}
	}
}

// Where scans are turned off none is begun, by whomever it was asked for; one under way stops after its page and goes on from there.
func TestTurnedOff(t *testing.T) {
	w := newWorks(t)
	w.exec(t, `INSERT INTO event_outbox (tenant_id, at, id, type, payload)
		SELECT $1, now() - n * interval '1 second', gen_random_uuid(), 'user.created', '{"note":"x' || n || '@example.com"}' FROM generate_series(1, 1203) n`, w.acme.Tenant())
	if _, err := w.PutSchedule(t.Context(), w.acme, dlp.ScheduleRequest{Cadence: cadence.Daily}); err != nil {
		t.Fatal(err)
	}
	w.exec(t, "UPDATE dlp_schedules SET due_at = now() - interval '1 second'")
	w.on = func(scope.Scope) bool { return false }
	if err := w.Maintain(t.Context(), w.acme); err != nil {
		t.Fatal(err)
	}
	if scans, err := w.Scans(t.Context(), w.acme); err != nil || len(scans) != 0 {
		t.Errorf("by schedule while they are off: %+v, %v", scans, err)
	}
	asked, pages := 0, 0
	w.OnStep(func(place string) error {
		if place == "event_outbox" {
			pages++
		}
		return nil
	})
	w.on = func(scope.Scope) bool { asked++; return pages < 1 } // off after the first page of a table
	if err := w.Maintain(t.Context(), w.acme); err != nil {
		t.Fatal(err)
	}
	scans, err := w.Scans(t.Context(), w.acme)
	if err != nil || len(scans) != 1 || scans[0].State != dlp.Running || pages != 1 || scans[0].Failure != "" {
		t.Fatalf("turned off after a page: %+v, %v, %d pages", scans, err, pages)
	}
	w.exec(t, "UPDATE dlp_scans SET due_at = now() - interval '1 second' WHERE due_at IS NOT NULL") // its lease is over
	if err := w.Maintain(t.Context(), w.acme); err != nil || pages != 1 {
		t.Errorf("while they are off: %d pages, %v", pages, err)
	}
	w.on = func(sc scope.Scope) bool { return sc.Tenant() == w.acme.Tenant() }
	if err := w.Maintain(t.Context(), w.acme); err != nil {
		t.Fatal(err)
	}
	if done, err := w.GetScan(t.Context(), w.acme, scans[0].ID); err != nil || done.State != dlp.Done || done.Found != 1203 || asked == 0 {
		t.Errorf("turned on again: %+v, %v", done, err)
	}
}
