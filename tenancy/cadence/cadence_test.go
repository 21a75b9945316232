package cadence_test

import (
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/cadence"
)

// Each period begins and ends where the calendar says, in UTC, over ends of years and of leap months.
func TestPeriods(t *testing.T) {
	for _, tt := range []struct {
		name               string
		c                  cadence.Cadence
		at, begins, expire string
	}{
		{"a day", cadence.Daily, "2028-02-29T23:59:59Z", "2028-02-29", "2028-03-01"},
		{"a day of another zone", cadence.Daily, "2028-03-01T00:30:00+02:00", "2028-02-29", "2028-03-01"},
		{"a Monday", cadence.Weekly, "2026-11-30T00:00:00Z", "2026-11-30", "2026-12-07"},
		{"a Sunday", cadence.Weekly, "2027-01-03T23:00:00Z", "2026-12-28", "2027-01-04"},
		{"a month", cadence.Monthly, "2027-01-31T12:00:00Z", "2027-01-01", "2027-02-01"},
		{"December", cadence.Monthly, "2026-12-31T12:00:00Z", "2026-12-01", "2027-01-01"},
		{"a quarter", cadence.Quarterly, "2026-11-30T12:00:00Z", "2026-10-01", "2027-01-01"},
		{"its first day", cadence.Quarterly, "2026-04-01T00:00:00Z", "2026-04-01", "2026-07-01"},
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		begins, ends := tt.c.Begins(at), tt.c.Ends(at)
		if begins.Format(time.DateOnly) != tt.begins || ends.Format(time.DateOnly) != tt.expire {
			t.Errorf("%s: from %v to %v, want %s to %s", tt.name, begins, ends, tt.begins, tt.expire)
		}
		if due := tt.c.Due(at); !due.After(ends) || !tt.c.Begins(due).Equal(ends) {
			t.Errorf("%s: due at %v", tt.name, due)
		}
		if again := tt.c.Begins(ends.Add(-time.Nanosecond)); !again.Equal(begins) {
			t.Errorf("%s: its last moment is of %v", tt.name, again)
		}
	}
}
