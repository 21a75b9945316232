// Package cadence tells how often something is done by itself: periods of the calendar (UTC), and when one of them is over.
package cadence

import "time"

// Cadence is how often.
type Cadence string

// The cadences.
const (
	Daily     Cadence = "DAILY"
	Weekly    Cadence = "WEEKLY"    // from Monday
	Monthly   Cadence = "MONTHLY"   // each calendar month
	Quarterly Cadence = "QUARTERLY" // each quarter of a calendar year
)

// after is how long after a period's end what is due of it is done: what was committed in its last moments is in the
// audit log by then.
const after = 10 * time.Minute

// Begins is when the period begins that an instant lies in.
func (c Cadence) Begins(at time.Time) time.Time {
	year, month, day := at.UTC().Date()
	switch c {
	case Daily:
	case Weekly:
		day -= (int(at.UTC().Weekday()) + 6) % 7
	case Monthly:
		day = 1
	case Quarterly:
		month, day = month-(month-1)%3, 1
	}
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// Ends is when the period is over that an instant lies in, and the next one begins.
func (c Cadence) Ends(at time.Time) time.Time {
	begins := c.Begins(at)
	switch c {
	case Daily:
		return begins.AddDate(0, 0, 1)
	case Weekly:
		return begins.AddDate(0, 0, 7)
	case Monthly:
		return begins.AddDate(0, 1, 0)
	case Quarterly:
		return begins.AddDate(0, 3, 0)
	}
	return begins.AddDate(0, 0, 1)
}

// Due is when what is due of the period is done that an instant lies in.
func (c Cadence) Due(at time.Time) time.Time { return c.Ends(at).Add(after) }
