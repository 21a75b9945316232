package console

import (
	"strconv"
	"strings"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/stats"
)

// levelView is the service level of sign-in, of all tenants.
type levelView struct {
	Objective string // 99.9%
	Known     bool   // something was tried within 30 days
	Percent   string
	Left      string  // of the error budget
	Share     float64 // the same, 0 to 1
	Class     string  // of its bar
	Used      string
	Burn      string
	Prompt    string // empty: no time was measured
	Mark      [2]string
	Windows   []levelRow
}

type levelRow struct {
	Name, Answered, Faults, Percent, Burn, Threshold string
	Mark                                             [2]string // class and words of the badge
}

// windowWords are windows as people call them.
var windowWords = map[string]string{"1h": "1 hour", "6h": "6 hours", "24h": "24 hours", "3d": "3 days", "30d": "30 days"}

// markWords are marks as classes and words of badges.
func markWords(m stats.Mark) [2]string {
	switch m {
	case stats.Page:
		return [2]string{"bad", "Burning: look now"}
	case stats.Ticket:
		return [2]string{"warn", "Burning slowly"}
	case stats.Cooling:
		return [2]string{"info", "Has stopped"}
	case stats.Kept:
		return [2]string{"ok", "Kept"}
	case stats.NoSignIns:
	}
	return [2]string{"idle", "No sign-ins"}
}

func newLevelView(l *stats.ServiceLevel) levelView {
	month := l.Month()
	v := levelView{Objective: percentage(l.Objective), Mark: markWords(l.Mark()), Burn: "–"}
	var left float64
	if left, v.Known = l.Budget(); v.Known {
		v.Percent = month.Percent() + "%"
		v.Left, v.Share, v.Class = strings.Replace(percentage(left), "-", "−", 1), left, "c1"
		if left < .25 {
			v.Class = "c3"
		}
		if left <= 0 {
			v.Class = "c4"
		}
		v.Used = ui.Count(int(month.Faults), "fault") + " of about " + ui.Thousands(int(float64(month.Tried())*(1-l.Objective)+.5))
	}
	if share, known := month.Promptness(); known {
		v.Prompt = percentage(share)
	}
	for i, w := range l.Windows {
		row := levelRow{
			Name: windowWords[w.Name], Answered: ui.Thousands(int(w.Answered)), Faults: ui.Thousands(int(w.Faults)), Percent: "–", Burn: "–",
			Threshold: strconv.FormatFloat(w.Threshold, 'f', -1, 64) + "×", Mark: markWords(w.Mark),
		}
		if w.Tried() > 0 {
			row.Percent, row.Burn = w.Percent()+"%", rate(w.Burn)
			if i == 0 {
				v.Burn = row.Burn
			}
		}
		if i == len(l.Windows)-1 && w.Mark == stats.Ticket {
			row.Mark = [2]string{"bad", "Overspent"}
		}
		v.Windows = append(v.Windows, row)
	}
	return v
}

// percentage is a share in percent, to one place less than needs be: 99.9%, 12%.
func percentage(share float64) string {
	return strconv.FormatFloat(100*share, 'g', 4, 64) + "%"
}

// rate is a burn rate: 14×, 0.4×.
func rate(burn float64) string {
	places := 1
	if burn >= 10 {
		places = 0
	} else if burn > 0 && burn < .1 {
		places = 2
	}
	return strconv.FormatFloat(burn, 'f', places, 64) + "×"
}

// monthCell is a tenant's 30 days, in lists and on its page.
type monthCell struct {
	Percent string // empty: nothing was tried
	Missed  bool
	Says    string // 3 faults, 1,204 answered
}

func newMonthCell(l stats.Level, objective float64) monthCell {
	share, known := l.Availability()
	if !known {
		return monthCell{}
	}
	return monthCell{
		Percent: l.Percent() + "%", Missed: share < objective, Says: ui.Thousands(int(l.Answered)) + " answered, " + ui.Count(int(l.Faults), "fault"),
	}
}
