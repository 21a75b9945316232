package flag_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/scope"
)

func served(t *testing.T, s *flag.Service, sc scope.Scope, environment, key string) map[string]int64 {
	t.Helper()
	used, err := s.Usage(t.Context(), sc, environment)
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := used[key]; ok && (u.Last == nil || time.Since(*u.Last).Abs() > time.Hour) {
		t.Errorf("%s was evaluated last at %v", key, u.Last)
	}
	return used[key].Served
}

func flush(t *testing.T, s *flag.Service) {
	t.Helper()
	if kept, err := s.Flush(t.Context()); err != nil || kept != 0 {
		t.Fatalf("Flush keeps %d: %v", kept, err)
	}
}

// What is served is counted in memory, added by each server, and neither lost when a flag changes or the database cannot be written to, nor
// counted twice.
func TestCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, another, other := t.Context(), w.server(), w.tenant(t)
	if _, err := w.flags.CreateSegment(ctx, w.acme, flag.CreateSegmentRequest{Key: "beta", Name: "Beta", When: flag.Condition{Attribute: "of", Operator: flag.In, Values: []any{"u1", "u2"}}}); err != nil {
		t.Fatal(err)
	}
	w.segmented(t, "f", "beta")
	for range 3 {
		gets(t, w.flags, w.acme, "f", "u1")
	}
	gets(t, w.flags, w.acme, "f", "u9")
	gets(t, another, w.acme, "f", "u2")
	if got := served(t, w.flags, w.acme, "", "f"); len(got) != 0 {
		t.Errorf("before anything is written: %v", got)
	}
	flush(t, w.flags)
	flush(t, another)
	flush(t, w.flags)
	want := map[string]int64{"on": 4, "off": 1}
	if got := served(t, another, w.acme, "", "f"); !maps.Equal(got, want) {
		t.Errorf("served %v, want %v", got, want)
	}

	// The same numbers go on with another version of the flag; who asks why is not counted, and what cannot be served is.
	gets(t, w.flags, w.acme, "f", "u1")
	split := []flag.Rule{rollout(50)}
	if _, err := w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "f", Rules: &split}); err != nil {
		t.Fatal(err)
	}
	set, err := w.flags.Flags(ctx, w.acme, "")
	if err != nil {
		t.Fatal(err)
	}
	set.Explain("f", &flag.Subject{Key: "u1"})
	set.Evaluate("f", &flag.Subject{})
	set.Evaluate("nothing", &flag.Subject{})
	stopped, stop := context.WithCancel(ctx)
	stop()
	if kept, err := w.flags.Flush(stopped); err == nil || kept != 2 {
		t.Errorf("a flush that cannot write keeps %d: %v", kept, err)
	}
	if err := w.flags.Run(stopped, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		t.Error(err)
	}
	want = map[string]int64{"on": 5, "off": 1, "": 1}
	if got := served(t, w.flags, w.acme, "production", "f"); !maps.Equal(got, want) {
		t.Errorf("when the server has stopped: %v, want %v", got, want)
	}
	for _, one := range []struct {
		sc          scope.Scope
		environment string
	}{{other, ""}, {w.acme, "staging"}} {
		if got := served(t, w.flags, one.sc, one.environment, "f"); len(got) != 0 {
			t.Errorf("elsewhere: %v", got)
		}
	}
	if _, err := w.flags.Usage(ctx, w.acme, "moon"); !errors.Is(err, flag.ErrEnvironment) {
		t.Errorf("usage of nowhere = %v", err)
	}

	// Servers that count at once.
	var group sync.WaitGroup
	for _, server := range []*flag.Service{w.flags, another, w.server(), w.server()} {
		set, err := server.Flags(ctx, w.acme, "")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			group.Go(func() {
				for i := range 500 {
					set.Evaluate("f", &flag.Subject{Key: strconv.Itoa(i)})
					if i%100 == 0 {
						if _, err := server.Flush(ctx); err != nil {
							t.Error(err)
						}
					}
				}
				if _, err := server.Flush(ctx); err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	sum := int64(0)
	for _, n := range served(t, w.flags, w.acme, "", "f") {
		sum += n
	}
	if sum != 4007 {
		t.Errorf("%d were counted, want 4007", sum)
	}

	// A flag that goes meanwhile takes its own counts along, and nobody else's.
	w.segmented(t, "g", "beta")
	gets(t, w.flags, w.acme, "g", "u1")
	gets(t, w.flags, w.acme, "f", "u1")
	if err := another.Delete(ctx, w.acme, flag.DeleteRequest{Key: "g"}); err != nil {
		t.Fatal(err)
	}
	flush(t, w.flags)
	if got := served(t, w.flags, w.acme, "", "g"); len(got) != 0 {
		t.Errorf("of a flag that is gone: %v", got)
	}
	last := int64(0)
	for _, n := range served(t, w.flags, w.acme, "", "f") {
		last += n
	}
	if last != 4008 {
		t.Errorf("%d were counted, want 4008", last)
	}
}

// Counting takes no allocation.
func TestCountingTakesNothing(t *testing.T) { // alone: others would allocate meanwhile
	w := newWorld(t)
	on := true
	if _, err := w.flags.Create(t.Context(), w.acme, flag.CreateRequest{Key: "f", Type: flag.Boolean, About: flag.About{Name: "F"}}); err != nil {
		t.Fatal(err)
	}
	split := []flag.Rule{rollout(25)}
	if _, err := w.flags.Update(t.Context(), w.acme, flag.UpdateRequest{Key: "f", Enabled: &on, Rules: &split}); err != nil {
		t.Fatal(err)
	}
	set, err := w.flags.Flags(t.Context(), w.acme, "")
	if err != nil {
		t.Fatal(err)
	}
	subject := &flag.Subject{Key: "cust_0051907"}
	if n := testing.AllocsPerRun(1000, func() { set.Evaluate("f", subject) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	flush(t, w.flags)
	if got := served(t, w.flags, w.acme, "", "f"); got["on"]+got["off"] != 1001 {
		t.Errorf("counted %v", got)
	}
}

func TestStale(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, super := t.Context(), w.Superuser(t)
	on := true
	for _, key := range []string{"fresh", "never", "ended", "single", "many", "apart", "young", "off", "due", "overdue"} {
		about := flag.About{Name: key, Owner: "Payments"}
		if today := w.Now().UTC().Truncate(24 * time.Hour); key == "due" { // today is the last day
			about.RemoveBy = &today
		} else if key == "overdue" {
			yesterday := today.AddDate(0, 0, -1)
			about.RemoveBy = &yesterday
		}
		if _, err := w.flags.Create(ctx, w.acme, flag.CreateRequest{Key: key, Type: flag.Boolean, About: about}); err != nil {
			t.Fatal(err)
		}
		if key != "off" {
			if _, err := w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: key, Environment: "staging", Enabled: &on}); err != nil {
				t.Fatal(err)
			}
		}
	}
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := super.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`UPDATE flags SET created_at = now() - interval '50 days', updated_at = now() - interval '50 days' WHERE tenant_id = $1 AND key NOT IN ('fresh', 'young', 'due', 'overdue')`, w.acme.Tenant())
	exec(`UPDATE flag_targeting SET updated_at = now() - interval '50 days' WHERE tenant_id = $1 AND flag_key NOT IN ('fresh', 'young', 'due', 'overdue')`, w.acme.Tenant())
	count := func(key, environment, variant string, days ...int) {
		t.Helper()
		for _, ago := range days {
			exec(`INSERT INTO flag_counts (tenant_id, environment, flag_key, day, variant, served, last_at)
				VALUES ($1, $2, $3, (now() AT TIME ZONE 'UTC')::date - $4::integer, $5, 3, now() - make_interval(days => $4::integer))`, w.acme.Tenant(), environment, key, ago, variant)
		}
	}
	count("ended", "production", "on", 40, 31)
	count("single", "production", "on", 45, 12, 0)
	count("single", "production", "off", 45) // long ago, somebody got another
	count("many", "production", "on", 45, 2)
	count("many", "production", "off", 45, 2)
	count("apart", "production", "on", 45, 2)
	count("apart", "staging", "off", 45, 2)
	count("young", "production", "on", 5, 0)
	count("off", "production", "on", 45, 1)
	count("off", "staging", "", 45, 1) // the default of the code
	list, err := w.flags.Stale(ctx, w.acme, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, one := range list {
		for _, reason := range one.Reasons {
			got[one.Key] += string(reason) + " " + one.Variant
		}
		if (one.Last == nil) != (one.Key == "never" || one.Key == "overdue") || one.Owner != "Payments" {
			t.Errorf("%+v", one)
		}
	}
	want := map[string]string{"never": "NEVER_EVALUATED ", "ended": "NOT_EVALUATED ", "single": "SINGLE_VARIANT on", "apart": "SINGLE_VARIANT ", "off": "OFF_EVERYWHERE ", "overdue": "OVERDUE "}
	if !maps.Equal(got, want) {
		t.Errorf("stale are %v, want %v", got, want)
	}
	after := func(days int) (keys []string) {
		t.Helper()
		list, err := w.flags.Stale(ctx, w.acme, days)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range list {
			keys = append(keys, one.Key)
		}
		return keys
	}
	if got := after(3); !slices.Equal(got, []string{"apart", "ended", "never", "off", "overdue", "single", "young"}) {
		t.Errorf("after 3 days %q", got)
	}
	if got := after(90); !slices.Equal(got, []string{"overdue"}) {
		t.Errorf("after 90 days %q", got)
	}
	for _, days := range []int{-1, 91} {
		if _, err := w.flags.Stale(ctx, w.acme, days); !errors.Is(err, flag.ErrDays) {
			t.Errorf("after %d days = %v", days, err)
		}
	}
	if list, err := w.flags.Stale(ctx, w.tenant(t), 3); err != nil || len(list) != 0 {
		t.Errorf("another tenant's = %v, %v", list, err)
	}

	// A flag that came after the first environment was read, or went before the last was, is no reason to say nothing of the others, nor
	// to take one for another.
	before := after(30)
	exec(`DELETE FROM flag_targeting WHERE tenant_id = $1 AND environment = 'staging' AND flag_key = 'apart'`, w.acme.Tenant())
	exec(`DELETE FROM flag_targeting WHERE tenant_id = $1 AND environment = 'development' AND flag_key = 'young'`, w.acme.Tenant())
	if got := after(30); !slices.Equal(got, before) {
		t.Errorf("while flags come and go %q, want %q", got, before)
	}

	// What is older than 100 days goes, but not the last of a flag.
	exec(`UPDATE flag_counts SET day = day - 100, last_at = last_at - interval '100 days' WHERE tenant_id = $1 AND flag_key = 'ended'`, w.acme.Tenant())
	exec(`INSERT INTO flag_counts (tenant_id, environment, flag_key, day, variant, served, last_at) VALUES ($1, 'production', 'single', current_date - 150, 'on', 1, now() - interval '150 days')`, w.acme.Tenant())
	set, err := w.flags.Flags(ctx, w.acme, "")
	if err != nil {
		t.Fatal(err)
	}
	set.Evaluate("fresh", &flag.Subject{})
	flush(t, w.flags)
	var left int
	if err := super.QueryRow(ctx, `SELECT count(*) FROM flag_counts WHERE day < current_date - 100 AND tenant_id = $1`, w.acme.Tenant()).Scan(&left); err != nil || left != 1 {
		t.Errorf("%d old counts are left, %v", left, err)
	}
}
