// Package stats says how a tenant's users sign in: how many, how well, how fast, with what.
//
// Nothing here counts ceremonies while somebody waits. A job counts them as they come, for
// each five minutes (count.go), adds those up to hours and days, and what is asked for is
// put together from the coarsest of these. So an answer for thirty days of ten million
// ceremonies reads some hundred rows, and costs what one of thirty ceremonies costs.
//
// Counts are of finished ceremonies that left a row: what was begun and given up is not
// known. They are at most a minute or two behind.
package stats

import (
	"context"
	"fmt"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrRange  = fault.New(fault.Invalid, "STATS_RANGE_INVALID", "a range is one of 1h, 24h, 7d, 30d")
	ErrMetric = fault.New(fault.Invalid, "STATS_METRIC_UNKNOWN", "there is no such metric")
	ErrStep   = fault.New(fault.Invalid, "STATS_STEP_INVALID", "a step is one of 5m, 15m, 1h, 6h, 1d, and fits into the range 6 to 720 times")
)

// The steps that counts are kept by.
const (
	fine   = 5 * time.Minute
	hourly = time.Hour
	daily  = 24 * time.Hour
)

// Range is how far back something is asked for, from now.
type Range string

// The ranges.
const (
	Hour  Range = "1h"
	Day   Range = "24h"
	Week  Range = "7d"
	Month Range = "30d"
)

// Ranges returns them all, the shortest first.
func Ranges() []Range { return []Range{Hour, Day, Week, Month} }

// ParseRange reads a range; empty means Day. ErrRange.
func ParseRange(text string) (Range, error) {
	switch r := Range(text); r {
	case "":
		return Day, nil
	case Hour, Day, Week, Month:
		return r, nil
	default:
		return "", ErrRange
	}
}

// Duration is how long the range is.
func (r Range) Duration() time.Duration {
	switch r {
	case Hour:
		return time.Hour
	case Week:
		return 7 * daily
	case Month:
		return 30 * daily
	default:
		return daily
	}
}

// Step is how far apart the points of a chart of the range are, unless something else is
// asked for.
func (r Range) Step() time.Duration {
	switch r {
	case Hour:
		return fine
	case Week:
		return hourly
	case Month:
		return daily // thirty rows; by hours it would be seven hundred
	default:
		return 15 * time.Minute
	}
}

// steps are the names of steps, the shortest first.
var steps = []struct {
	name string
	step time.Duration
}{{"5m", fine}, {"15m", 15 * time.Minute}, {"1h", hourly}, {"6h", 6 * time.Hour}, {"1d", daily}}

// StepName is a step as ParseStep reads it.
func StepName(step time.Duration) string {
	for _, one := range steps {
		if one.step == step {
			return one.name
		}
	}
	return step.String()
}

// Steps returns the names of the steps that fit into the range.
func (r Range) Steps() []string {
	var out []string
	for _, one := range steps {
		if r.fits(one.step) {
			out = append(out, one.name)
		}
	}
	return out
}

func (r Range) fits(step time.Duration) bool {
	n := r.Duration() / step
	return n >= 6 && n <= 720 && r.Duration()%step == 0
}

// ParseStep reads a step that fits into the range; empty means its usual one. ErrStep.
func ParseStep(r Range, text string) (time.Duration, error) {
	if text == "" {
		return r.Step(), nil
	}
	for _, one := range steps {
		if one.name == text && r.fits(one.step) {
			return one.step, nil
		}
	}
	return 0, ErrStep
}

// Service counts, and answers from what it has counted. It is safe for concurrent use.
type Service struct{ store *db.Store }

// New returns a Service.
func New(store *db.Store) *Service { return &Service{store: store} }

// Point is what there was in one step.
type Point struct {
	At time.Time // when it begins
	Counts
}

// Users is how many users there are, as it was measured.
type Users struct {
	At       time.Time // of the measurement
	All      int
	Enrolled int // who have an active passkey
	Several  int // who have more than one

	ActiveHour, ActiveDay, ActiveWeek, ActiveMonth int // who signed in within that time
}

// Active is how many signed in within a range up to the measurement.
func (u Users) Active(r Range) int {
	switch r {
	case Hour:
		return u.ActiveHour
	case Week:
		return u.ActiveWeek
	case Month:
		return u.ActiveMonth
	default:
		return u.ActiveDay
	}
}

// Overview is how a tenant does, and how it did in the period before.
type Overview struct {
	Range Range
	From  time.Time // inclusive; a multiple of Step
	To    time.Time // exclusive: the end of the step that is going on
	Step  time.Duration

	CountedAt time.Time // when it was counted last; zero: never yet
	Now       Counts    // from From on
	Before    Counts    // of as long a time before From
	Points    []Point   // every step, in order
	Users     *Users    // nil: not measured yet
	UsersThen *Users    // as long ago as the range; nil: not known
}

// Overview answers from what was counted: it reads some hundred rows at most, whatever
// the tenant's size. ErrRange is ParseRange's to say: r must be one of Ranges.
func (s *Service) Overview(ctx context.Context, sc scope.Scope, r Range) (Overview, error) {
	var o Overview
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		o = Overview{Range: r, Step: r.Step()}
		o.To = tx.Now().Truncate(o.Step).Add(o.Step)
		o.From = o.To.Add(-r.Duration())
		mark, err := tx.GetStatsMark(ctx)
		switch {
		case err == nil:
			if mark.CountedAt.Unix() > 0 {
				o.CountedAt = mark.CountedAt
			}
		case !db.IsNoRows(err):
			return fmt.Errorf("get stats mark: %w", err)
		}
		if o.Points, err = points(ctx, tx, o.From, o.To, o.Step); err != nil {
			return err
		}
		for i := range o.Points {
			o.Now.add(&o.Points[i].Counts)
		}
		// The last step is not over: what it is held against is cut off at the same place,
		// to the grain that is still kept of that time.
		grain := fine
		if r == Month {
			grain = hourly
		}
		until := min(tx.Now().Add(-r.Duration()).Truncate(grain).Add(grain).UnixNano(), o.From.UnixNano())
		if o.Before, err = sum(ctx, tx, o.From.Add(-r.Duration()), time.Unix(0, until).UTC(), grain); err != nil {
			return err
		}
		if o.Users, err = usersAt(ctx, tx, tx.Now()); err != nil {
			return err
		}
		o.UsersThen, err = usersAt(ctx, tx, tx.Now().Add(-r.Duration()))
		return err
	})
	return o, err
}

// usersAt is the last measurement up to a time; nil where there is none from the day
// before it.
func usersAt(ctx context.Context, tx *db.TenantTx, at time.Time) (*Users, error) {
	row, err := tx.GetStatsGauges(ctx, at)
	if db.IsNoRows(err) || err == nil && at.Sub(row.At) > daily {
		return nil, nil //nolint:nilnil // not measured
	} else if err != nil {
		return nil, fmt.Errorf("get stats gauges: %w", err)
	}
	return &Users{
		At: row.At, All: int(row.Users), Enrolled: int(row.Enrolled), Several: int(row.Several),
		ActiveHour: int(row.ActiveHour), ActiveDay: int(row.ActiveDay), ActiveWeek: int(row.ActiveWeek), ActiveMonth: int(row.ActiveMonth),
	}, nil
}

// kept is the coarsest step that counts of step are put together from.
func kept(step time.Duration) time.Duration {
	switch {
	case step%daily == 0:
		return daily
	case step%hourly == 0:
		return hourly
	default:
		return fine
	}
}

// points are the counts of every step between from and to.
func points(ctx context.Context, tx *db.TenantTx, from, to time.Time, step time.Duration) ([]Point, error) {
	out := make([]Point, 0, int(to.Sub(from)/step))
	for at := from; at.Before(to); at = at.Add(step) {
		out = append(out, Point{At: at})
	}
	err := each(ctx, tx, kept(step), from, to, func(at time.Time, c *Counts) {
		out[int(at.Sub(from)/step)].add(c)
	})
	return out, err
}

// sum is what there was between from and to, multiples of grain, from as few rows as do.
func sum(ctx context.Context, tx *db.TenantTx, from, to time.Time, grain time.Duration) (Counts, error) {
	var all Counts
	for _, part := range cover(from, to, grain) {
		if err := each(ctx, tx, part.step, part.from, part.to, func(_ time.Time, c *Counts) { all.add(c) }); err != nil {
			return Counts{}, err
		}
	}
	return all, nil
}

// SumIn is what there was in the days (UTC) from one on and before another: a row each, which is kept for ever.
func SumIn(ctx context.Context, tx *db.TenantTx, from, to time.Time) (Counts, error) {
	return sum(ctx, tx, from, to, daily)
}

// stretch is a time that is read by one step.
type stretch struct {
	step     time.Duration
	from, to time.Time
}

// cover takes a time apart into days, the hours around them, and what is finer around
// those, down to grain.
func cover(from, to time.Time, grain time.Duration) []stretch {
	for _, step := range []time.Duration{daily, hourly, fine} {
		first, last := from.Add(step-1).Truncate(step), to.Truncate(step)
		if step < grain {
			return nil
		}
		if !first.Before(last) {
			continue
		}
		out := cover(from, first, grain)
		out = append(out, stretch{step, first, last})
		return append(out, cover(last, to, grain)...)
	}
	return nil
}

// each calls fn with what was counted of each stretch of a kept step.
func each(ctx context.Context, tx *db.TenantTx, step time.Duration, from, to time.Time, fn func(at time.Time, c *Counts)) error {
	rows, err := tx.ListStatsCounts(ctx, tenantq.ListStatsCountsParams{Step: seconds(step), FromAt: from, ToAt: to})
	if err != nil {
		return fmt.Errorf("list counts: %w", err)
	}
	for _, row := range rows {
		c, err := parseCounts(row.Counts)
		if err != nil {
			return err
		}
		fn(row.At, &c)
	}
	return nil
}

func seconds(d time.Duration) int32 { return int32(d / time.Second) } //nolint:gosec // at most a day
