package stats

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const (
	// settle is how long after its time a ceremony may still be committed: the time is taken
	// before a sign-in waits for its group's commit (two seconds at most), and before a
	// registration's statements (ten seconds each). What is later than this is not counted.
	settle = 2 * time.Minute
	// maxRows bounds how many ceremonies one transaction counts, unless five minutes alone
	// have more.
	maxRows = 50_000

	// keepFine must be longer than twice the day and the week's first hours; keepHourly
	// longer than twice the month.
	keepFine   = 8 * daily
	keepHourly = 62 * daily

	// Users are counted by reading all of them: every five minutes at most, seldomer where
	// that takes long, and once an hour where nobody signs in.
	measureBusy = fine
	measureIdle = time.Hour
	measureCost = 200 // times as long as it took, it rests
)

// Maintain counts what has happened since it was called last, and is to be called again
// and again. It may be interrupted at any point, and run by several servers at once: what
// is counted is whole stretches of five minutes, each time from the ceremonies themselves.
func (s *Service) Maintain(ctx context.Context, sc scope.Scope) error {
	// What began before this has settled by now, and what is counted below is counted later.
	settled := s.store.Now().Add(-settle).Truncate(fine)
	busy := false
	for from := (time.Time{}); ; {
		var done counted
		err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			done, err = count(ctx, tx, from, settled)
			return err
		})
		if err != nil {
			return fmt.Errorf("count ceremonies: %w", err)
		}
		busy = busy || done.ceremonies > 0
		if !done.more {
			break
		}
		from = done.to
	}
	if err := s.measure(ctx, sc, busy); err != nil {
		return err
	}
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error { return thin(ctx, tx) })
}

// Recount forgets how far the counting has come, so that the next Maintain counts everything
// of which there are still ceremonies: for what has come in of a past that was counted.
func (s *Service) Recount(ctx context.Context, sc scope.Scope) error {
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if err := tx.EnsureStatsMark(ctx); err != nil {
			return fmt.Errorf("make mark: %w", err)
		}
		mark, err := tx.LockStatsMark(ctx)
		if err != nil {
			return fmt.Errorf("lock mark: %w", err)
		}
		if err := setCounted(ctx, tx, time.Unix(0, 0), mark.CountedAt); err != nil {
			return err
		}
		return tx.SetStatsMeasured(ctx, tenantq.SetStatsMeasuredParams{MeasuredAt: time.Unix(0, 0), MeasuredMs: 0})
	})
}

// counted is what one transaction has counted.
type counted struct {
	ceremonies int64
	to         time.Time // up to where
	more       bool      // there may be more after it
}

// count counts the next stretch of time in which something happened, since the mark or
// since from, whichever is later, and within one hour. The mark moves up to settled at most:
// what is after it is counted again next time.
func count(ctx context.Context, tx *db.TenantTx, from, settled time.Time) (counted, error) {
	if err := tx.EnsureStatsMark(ctx); err != nil {
		return counted{}, fmt.Errorf("make mark: %w", err)
	}
	mark, err := tx.LockStatsMark(ctx)
	if err != nil {
		return counted{}, fmt.Errorf("lock mark: %w", err)
	}
	now := tx.Now()
	next, err := tx.FirstCeremonyFrom(ctx, latest(mark.CountedTo, from))
	if err != nil && !db.IsNoRows(err) {
		return counted{}, fmt.Errorf("find the next ceremony: %w", err)
	}
	first := next.UTC().Truncate(fine)
	if err != nil || first.After(now) { // of a clock that runs ahead: its turn comes
		return counted{}, setCounted(ctx, tx, latest(mark.CountedTo, settled), now)
	}
	done := counted{to: first}
	for end := first.Truncate(hourly).Add(hourly); done.to.Before(end) && !done.to.After(now) && done.ceremonies < maxRows; {
		n, err := countFine(ctx, tx, done.to)
		if err != nil {
			return counted{}, err
		}
		done.ceremonies += n
		done.to = done.to.Add(fine)
	}
	if err := rollUp(ctx, tx, first.Truncate(hourly), fine, hourly); err != nil {
		return counted{}, err
	}
	if err := rollUp(ctx, tx, first.Truncate(daily), hourly, daily); err != nil {
		return counted{}, err
	}
	done.more = !done.to.After(now)
	return done, setCounted(ctx, tx, latest(mark.CountedTo, earliest(done.to, settled)), now)
}

func setCounted(ctx context.Context, tx *db.TenantTx, to, now time.Time) error {
	if err := tx.SetStatsCounted(ctx, tenantq.SetStatsCountedParams{CountedTo: to, CountedAt: now}); err != nil {
		return fmt.Errorf("move mark: %w", err)
	}
	return nil
}

// countFine counts the five minutes from at on, and returns how many ceremonies there were.
func countFine(ctx context.Context, tx *db.TenantTx, at time.Time) (int64, error) {
	rows, err := tx.CountCeremonies(ctx, tenantq.CountCeremoniesParams{FromAt: at, ToAt: at.Add(fine)})
	if err != nil {
		return 0, fmt.Errorf("count: %w", err)
	}
	var c Counts
	var all int64
	for _, row := range rows {
		all += row.N
		c.Outcomes = addAll(c.Outcomes, map[string]int64{row.Kind + "/" + row.Outcome + "/" + row.Reason: row.N})
		if row.Bucket >= 0 {
			c.histogram(Kind(row.Kind)).Add(int(row.Bucket), row.N)
		}
		if row.Outcome != allow {
			continue
		}
		switch Kind(row.Kind) {
		case SignIn:
			if row.Aaguid != "" {
				c.Models = addAll(c.Models, map[string]int64{row.Aaguid: row.N})
			}
		case Registration:
			switch row.Had {
			case 0:
				c.First += row.N
			case 1:
				c.Second += row.N
			default:
				c.Further += row.N
			}
		}
	}
	if all == 0 {
		return 0, nil
	}
	return all, put(ctx, tx, fine, at, &c)
}

// rollUp adds up the stretches of a finer step in the one of a coarser step that begins at at.
func rollUp(ctx context.Context, tx *db.TenantTx, at time.Time, finer, coarser time.Duration) error {
	var all Counts
	if err := each(ctx, tx, finer, at, at.Add(coarser), func(_ time.Time, c *Counts) { all.add(c) }); err != nil {
		return err
	}
	return put(ctx, tx, coarser, at, &all)
}

func put(ctx context.Context, tx *db.TenantTx, step time.Duration, at time.Time, c *Counts) error {
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode counts: %w", err)
	}
	l := c.level()
	if err := tx.PutStatsCounts(ctx, tenantq.PutStatsCountsParams{
		Step: seconds(step), At: at, Counts: string(text), Answered: l.Answered, Timed: l.Timed, Prompt: l.Prompt,
	}); err != nil {
		return fmt.Errorf("put counts: %w", err)
	}
	return nil
}

// measure counts users, if it is time to.
func (s *Service) measure(ctx context.Context, sc scope.Scope, busy bool) error {
	var due bool
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		mark, err := tx.LockStatsMark(ctx)
		if err != nil {
			return fmt.Errorf("lock mark: %w", err)
		}
		rest := measureIdle
		if busy {
			rest = max(measureBusy, measureCost*time.Duration(mark.MeasuredMs)*time.Millisecond)
		}
		if due = !tx.Now().Before(mark.MeasuredAt.Add(rest)); !due {
			return nil
		}
		// Noted before it is done: what cannot be done is not tried every minute.
		return tx.SetStatsMeasured(ctx, tenantq.SetStatsMeasuredParams{MeasuredAt: tx.Now(), MeasuredMs: mark.MeasuredMs})
	})
	if err != nil || !due {
		return err
	}
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		m, err := tx.MeasureUsers(ctx, tx.Now())
		if err != nil {
			return fmt.Errorf("measure users: %w", err)
		}
		if err := tx.PutStatsGauges(ctx, tenantq.PutStatsGaugesParams{
			At: tx.Now().Truncate(fine), Users: m.Users, Enrolled: m.Enrolled, Several: m.Several,
			ActiveHour: m.ActiveHour, ActiveDay: m.ActiveDay, ActiveWeek: m.ActiveWeek, ActiveMonth: m.ActiveMonth,
		}); err != nil {
			return fmt.Errorf("put gauges: %w", err)
		}
		took := s.store.Now().Sub(tx.Now()).Milliseconds()
		return tx.SetStatsMeasured(ctx, tenantq.SetStatsMeasuredParams{MeasuredAt: tx.Now(), MeasuredMs: int32(min(took, 60_000))}) //nolint:gosec // bounded here
	})
}

// thin removes what is kept more coarsely by now. Days stay.
func thin(ctx context.Context, tx *db.TenantTx) error {
	now := tx.Now()
	for step, keep := range map[time.Duration]time.Duration{fine: keepFine, hourly: keepHourly} {
		if _, err := tx.DeleteStatsCounts(ctx, tenantq.DeleteStatsCountsParams{Step: seconds(step), BeforeAt: now.Add(-keep).Truncate(daily)}); err != nil {
			return fmt.Errorf("thin counts: %w", err)
		}
	}
	if _, err := tx.DeleteStatsFaults(ctx, now.Add(-keepHourly).Truncate(daily)); err != nil {
		return fmt.Errorf("thin faults: %w", err)
	}
	for step, keep := range map[time.Duration]time.Duration{hourly: 3 * daily, daily: keepHourly} {
		if _, err := tx.ThinStatsGauges(ctx, tenantq.ThinStatsGaugesParams{Step: seconds(step), BeforeAt: now.Add(-keep).Truncate(daily)}); err != nil {
			return fmt.Errorf("thin gauges: %w", err)
		}
	}
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
