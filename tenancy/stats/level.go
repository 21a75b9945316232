package stats

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
)

// Level is how ceremonies fared in some time: what a service level is told from. A call
// that ended by a fault of ours left no ceremony that is counted, so what was tried is
// Answered and Faults together.
type Level struct {
	Answered int64 // decided, whichever way: a refusal is an answer
	Faults   int64 // calls, of begin and of finish, that ended by a fault of ours
	Timed    int64 // of Answered: whose time was measured
	Prompt   int64 // of Timed: within Promptly of the server's time
}

// Promptly is within what time ceremonies are to be finished: 2^17 µs, where a bucket of
// the histogram begins, so that the share is exact.
const (
	Promptly     = 131072 * time.Microsecond
	promptBucket = 17 * perOctave
)

// Tried is how many there were, one way or the other.
func (l Level) Tried() int64 { return l.Answered + l.Faults }

// Availability is the share that was answered, of 0 to 1; false where nothing was tried.
func (l Level) Availability() (float64, bool) {
	if l.Tried() == 0 {
		return 0, false
	}
	return float64(l.Answered) / float64(l.Tried()), true
}

// Percent is the availability for people, to three places and never better than it is:
// 99.999, and not 100, where one of ten million failed. Empty where nothing was tried.
func (l Level) Percent() string {
	if l.Tried() == 0 {
		return ""
	}
	const whole = 100_000 // thousandths of a percent
	lost := (l.Faults*whole + l.Tried() - 1) / l.Tried()
	return strconv.FormatFloat(float64(whole-lost)/1000, 'f', -1, 64)
}

// Burn is how fast the error budget is used: 1 uses it up just when the time is over that
// the objective, a share below 1, is for. 0 where nothing was tried.
func (l Level) Burn(objective float64) float64 {
	if l.Tried() == 0 {
		return 0
	}
	return float64(l.Faults) / float64(l.Tried()) / (1 - objective)
}

// Promptness is the share that was finished within Promptly, of 0 to 1; false where no time
// was measured.
func (l Level) Promptness() (float64, bool) {
	if l.Timed == 0 {
		return 0, false
	}
	return float64(l.Prompt) / float64(l.Timed), true
}

// level is what c adds to a Level; faults are not among what is counted.
func (c *Counts) level() Level {
	var l Level
	for _, n := range c.Outcomes {
		l.Answered += n
	}
	for _, h := range c.Latency {
		for i, n := range h.N {
			l.Timed += n
			if h.From+i < promptBucket {
				l.Prompt += n
			}
		}
	}
	return l
}

// Mark is how urgent a burning budget is.
type Mark string

// The marks.
const (
	NoSignIns Mark = "NO_SIGN_INS" // nothing was tried: nothing is known
	Kept      Mark = "KEPT"
	Cooling   Mark = "COOLING" // the window is over its threshold, and its latest twelfth is not: it has stopped
	Ticket    Mark = "TICKET"  // somebody should look within days
	Page      Mark = "PAGE"    // somebody should look now
)

// Window is how all tenants' ceremonies fared in a time up to now.
type Window struct {
	Level

	Name      string        // 1h
	Length    time.Duration // with the stretch that is going on
	Burn      float64       // see Level.Burn
	Threshold float64       // from which Burn is told of
	Mark      Mark
}

// windows are what is looked at, with the thresholds of Google's SRE workbook, chapter 5
// (14.4 uses 2 % of the month's budget in an hour, 6 uses 5 % in six, 3 uses 10 % in a day,
// 1 uses 10 % in three). latest is the window's end, which must burn, too: else it is over.
var windows = []struct {
	name           string
	length, latest time.Duration
	step, fine     time.Duration // by which the two are read
	threshold      float64
	mark           Mark
}{
	{"1h", time.Hour, 2 * fine, fine, fine, 14.4, Page},
	{"6h", 6 * time.Hour, 30 * time.Minute, fine, fine, 6, Page},
	{"24h", daily, 2 * time.Hour, hourly, fine, 3, Ticket},
	{"3d", 3 * daily, 6 * time.Hour, hourly, fine, 1, Ticket},
	{"30d", 30 * daily, 30 * daily, daily, daily, 1, Ticket},
}

// ServiceLevel is how the installation keeps its promise.
type ServiceLevel struct {
	Objective float64  // the share of ceremonies that is to be answered within 30 days, below 1
	Windows   []Window // the shortest first; the last is of 30 days
}

// Budget is the share that is left of what may fail within 30 days: 1 is all of it, and less
// than 0 is overspent. False where nothing was tried.
func (s *ServiceLevel) Budget() (float64, bool) {
	month := s.Month()
	return 1 - month.Burn(s.Objective), month.Tried() > 0
}

// Month is the last window.
func (s *ServiceLevel) Month() Level {
	if len(s.Windows) == 0 {
		return Level{}
	}
	return s.Windows[len(s.Windows)-1].Level
}

// Mark is the worst of the windows'.
func (s *ServiceLevel) Mark() Mark {
	worst := NoSignIns
	for _, w := range s.Windows {
		for _, m := range []Mark{Page, Ticket, Cooling, Kept} { // the worse of two comes first
			if m == worst {
				break
			}
			if m == w.Mark {
				worst = m
				break
			}
		}
	}
	return worst
}

// ServiceLevel tells how all tenants' ceremonies fare against objective, a share below 1. It
// reads rollups alone: some rows a tenant. It is at most two minutes behind.
func (s *Service) ServiceLevel(ctx context.Context, objective float64) (ServiceLevel, error) {
	out := ServiceLevel{Objective: objective}
	err := s.store.InPlatform(ctx, "tell the service level", func(tx *db.PlatformTx) error {
		now := s.store.Now()
		out.Windows = make([]Window, len(windows))
		for i, w := range windows {
			all, err := levels(ctx, tx, now, w.length, w.step)
			if err != nil {
				return err
			}
			one := Window{Level: all, Name: w.name, Length: w.length, Burn: all.Burn(objective), Threshold: w.threshold, Mark: Kept}
			switch {
			case all.Tried() == 0:
				one.Mark = NoSignIns
			case one.Burn >= w.threshold:
				latest, err := levels(ctx, tx, now, w.latest, w.fine)
				if err != nil {
					return err
				}
				if one.Mark = Cooling; latest.Burn(objective) >= w.threshold {
					one.Mark = w.mark
				}
			}
			out.Windows[i] = one
		}
		return nil
	})
	if err != nil {
		return ServiceLevel{}, fmt.Errorf("tell the service level: %w", err)
	}
	return out, nil
}

// levels adds up what happened within length up to the end of the stretch that is going on.
func levels(ctx context.Context, tx *db.PlatformTx, now time.Time, length, step time.Duration) (Level, error) {
	row, err := tx.SumLevels(ctx, platformq.SumLevelsParams{Step: seconds(step), FromAt: since(now, length, step)})
	if err != nil {
		return Level{}, fmt.Errorf("sum levels: %w", err)
	}
	return Level{Answered: row.Answered, Faults: row.Faults, Timed: row.Timed, Prompt: row.Prompt}, nil
}

// since is when a time of length begins that ends with the stretch of now.
func since(now time.Time, length, step time.Duration) time.Time {
	return now.Truncate(step).Add(step - length)
}

// OfMonth is how the tenant's ceremonies fared in 30 days, of which today is one: what the
// hourly metering keeps on the tenant's row.
func OfMonth(ctx context.Context, tx *db.TenantTx) (Level, error) {
	row, err := tx.SumLevel(ctx, tenantq.SumLevelParams{Step: seconds(daily), FromAt: since(tx.Now(), 30*daily, daily)})
	if err != nil {
		return Level{}, fmt.Errorf("sum level: %w", err)
	}
	return Level{Answered: row.Answered, Faults: row.Faults, Timed: row.Timed, Prompt: row.Prompt}, nil
}
