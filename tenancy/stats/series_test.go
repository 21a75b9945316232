package stats_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/stats"
)

func total(l stats.Line) (sum float64) {
	for _, v := range l.Values {
		if !math.IsNaN(v) {
			sum += v
		}
	}
	return sum
}

// Every metric answers for every range and step, with as many values as there are times,
// and what adds up adds up to the same by each step.
func TestSeries(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	svc := at(t, store, &clock{now})
	happen(t, store, acme, busyDay()...)
	maintain(t, svc, acme)
	sums := map[stats.Metric]float64{stats.SignIns: 7, stats.Registrations: 3, stats.Enrollments: 3, stats.Reasons: 3, stats.Models: 4, stats.UserTotals: 0}
	for _, about := range stats.Metrics() {
		for _, r := range []stats.Range{stats.Day, stats.Week, stats.Month} {
			for _, name := range r.Steps() {
				step, err := stats.ParseStep(r, name)
				if err != nil {
					t.Fatal(err)
				}
				s, err := svc.Series(t.Context(), acme, about, r, step)
				if err != nil {
					t.Fatalf("Series %s of %s by %s = %v", about.Metric, r, name, err)
				}
				sum := 0.0
				for _, l := range s.Lines {
					sum += total(l)
					if len(l.Values) != len(s.Times()) {
						t.Errorf("%s of %s by %s: %d values, %d times", about.Metric, r, name, len(l.Values), len(s.Times()))
					}
				}
				if want, adds := sums[about.Metric]; adds && sum != want {
					t.Errorf("%s of %s by %s adds up to %v, want %v", about.Metric, r, name, sum, want)
				}
				// Another tenant's are none.
				if s, err = svc.Series(t.Context(), globex, about, r, step); err != nil {
					t.Fatal(err)
				}
				for _, l := range s.Lines {
					if total(l) != 0 {
						t.Errorf("%s of another tenant: %+v", about.Metric, l)
					}
				}
			}
		}
	}
	users, err := stats.ParseMetric("users")
	if err != nil {
		t.Fatal(err)
	}
	s, err := svc.Series(t.Context(), acme, users, stats.Day, time.Hour)
	if err != nil || len(s.Lines) != 3 || s.Lines[0].Values[23] != 0 || !math.IsNaN(s.Lines[0].Values[0]) {
		t.Errorf("users = %+v, %v, want 0 in the last hour and nothing known before", s.Lines, err)
	}
}

func TestNames(t *testing.T) {
	for _, text := range []string{"1h", "24h", "7d", "30d"} {
		if r, err := stats.ParseRange(text); err != nil || string(r) != text {
			t.Errorf("ParseRange(%q) = %q, %v", text, r, err)
		}
	}
	if r, err := stats.ParseRange(""); err != nil || r != stats.Day {
		t.Errorf("ParseRange of nothing = %q, %v", r, err)
	}
	for _, text := range []string{"1d", "-1h", "31d", "24H", "24h\x00"} {
		if _, err := stats.ParseRange(text); !errors.Is(err, stats.ErrRange) {
			t.Errorf("ParseRange(%q) = %v, want %v", text, err, stats.ErrRange)
		}
	}
	for _, bad := range []struct {
		r    stats.Range
		step string
	}{{stats.Hour, "1h"}, {stats.Month, "5m"}, {stats.Month, "15m"}, {stats.Week, "5m"}, {stats.Day, "6h"}, {stats.Day, "2h"}, {stats.Hour, "1d"}} {
		if _, err := stats.ParseStep(bad.r, bad.step); !errors.Is(err, stats.ErrStep) {
			t.Errorf("ParseStep(%s, %q) = %v, want %v", bad.r, bad.step, err, stats.ErrStep)
		}
	}
	if _, err := stats.ParseMetric("nonsense"); !errors.Is(err, stats.ErrMetric) {
		t.Errorf("ParseMetric = %v, want %v", err, stats.ErrMetric)
	}
}
