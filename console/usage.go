package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/usage"
)

// usageRoutes are what a tenant uses.
func (c *Console) usageRoutes(mux *router) {
	mux.HandleFunc("GET "+Path+"/t/{slug}/usage", c.inTenant(apikey.ScopeUsageRead, c.showUsage))
	mux.HandleFunc("GET "+Path+"/t/{slug}/usage/export", c.inTenant(apikey.ScopeUsageRead, c.exportUsage))
}

type usageView struct {
	ui.Page

	Base       string
	Months     []ui.Segment
	Current    bool // the month that is shown is this one
	Month      string
	Meters     []meterView
	Ceremonies ui.Chart
	Users      ui.Chart
	Stored     ui.Chart
	Alerts     []usageAlertView
	Days       []usageDayView // the newest first
	CSV, JSON  string
	Snippets   []ui.Snippet
}

// meterView is how much of one kind is used.
type meterView struct {
	Label, Used string
	Note        string // the quota, and what it stops
	Forecast    string
	Share       float64 // of the quota
	Bounded     bool
	Class       string // of the bar: c1, warn, bad
	Percent     string
	Badge, Says string // ok, warn, bad, and why; empty without a quota
}

type usageAlertView struct {
	Text string
	Full bool
	At   ui.Moment
}

type usageDayView struct{ Day, Ceremonies, SignIns, Users, Stored string }

// meterLabel is what is metered, in words.
func meterLabel(k usage.Kind) string {
	switch k {
	case usage.MonthlyActiveUsers:
		return "Monthly active users"
	case usage.Ceremonies:
		return "Ceremonies"
	case usage.Storage:
		return "Storage"
	}
	return string(k)
}

// amount is n of a kind, in words.
func amount(k usage.Kind, n int64) string {
	if k == usage.Storage {
		return bytesText(n)
	}
	return ui.Thousands(int(n))
}

// bytesText is a size in powers of 1000, as disks are sold.
func bytesText(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	value, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB", "PB"} {
		if value /= 1000; value < 999.95 {
			break
		}
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + " " + unit
}

// stops is what a hard quota refuses when it is used up.
func stops(k usage.Kind) string {
	switch k {
	case usage.Ceremonies:
		return "then registrations and sign-ins are refused"
	case usage.MonthlyActiveUsers, usage.Storage:
		return "then registrations and imports are refused; sign-ins go on"
	}
	return ""
}

func newMeter(m usage.Meter) meterView {
	v := meterView{Label: meterLabel(m.Kind), Used: amount(m.Kind, m.Used), Forecast: amount(m.Kind, m.Forecast), Class: "c1"}
	if m.Quota == nil {
		v.Note = "No limit"
		return v
	}
	v.Bounded, v.Share = true, float64(m.Used)/float64(m.Quota.Most)
	v.Percent = strconv.Itoa(m.Percent()) + "%"
	v.Note = "of " + amount(m.Kind, m.Quota.Most)
	if m.Quota.Hard {
		v.Note += ", " + stops(m.Kind)
	}
	switch {
	case m.Percent() >= 100:
		v.Class, v.Badge, v.Says = "c4", "bad", "Used up"
	case m.Percent() >= 80:
		v.Class, v.Badge, v.Says = "c3", "warn", "Nearly used up"
	case m.ForecastPercent() >= 100:
		v.Badge, v.Says = "warn", "Will not last the month"
	default:
		v.Badge, v.Says = "ok", "Within the quota"
	}
	return v
}

// usageMonth is the month that the address names, this one by default.
func usageMonth(r *http.Request, now time.Time) (first, last time.Time) {
	first = time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	if t, err := time.Parse("2006-01", r.URL.Query().Get("month")); err == nil && t.Before(first) {
		first = t
	}
	return first, first.AddDate(0, 1, -1)
}

func (c *Console) showUsage(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	now := c.now()
	first, last := usageMonth(r, now)
	report, err := c.usage.Report(r.Context(), p.sc, first, last)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	path := p.base + "/usage"
	view := usageView{
		Base: p.base, Current: first.Equal(report.Month), Month: first.Format("January 2006"),
		CSV:  path + "/export?format=csv&month=" + first.Format("2006-01"),
		JSON: path + "/export?format=json&month=" + first.Format("2006-01"),
		Snippets: []ui.Snippet{
			{Title: "With an API key", Text: "curl -H \"Authorization: Bearer $BIOCORE_KEY\" \\\n  '" + c.publicURL + "/admin/v1/usage?from=" + first.Format(time.DateOnly) + "'"},
			{Title: "On the server", Text: "biocore usage --tenant " + r.PathValue("slug") + " --from " + first.Format(time.DateOnly)},
		},
	}
	for back := range 3 {
		month := report.Month.AddDate(0, -back, 0)
		segment := ui.Segment{Href: path + "?month=" + month.Format("2006-01"), Label: month.Format("Jan 2006"), Here: month.Equal(first)}
		if back == 0 {
			segment.Href = path
		}
		view.Months = append(view.Months, segment)
	}
	for _, m := range report.Meters {
		view.Meters = append(view.Meters, newMeter(m))
	}
	for _, a := range report.Alerts {
		view.Alerts = append(view.Alerts, usageAlertView{
			Text: fmt.Sprintf("%s reached %d%% of the quota: %s of %s", meterLabel(a.Kind), a.Percent, amount(a.Kind, a.Used), amount(a.Kind, a.Most)),
			Full: a.Percent >= 100, At: ui.Ago(a.At, now),
		})
	}
	view.charts(report.Days, first, last, now)
	for _, d := range slices.Backward(report.Days) {
		view.Days = append(view.Days, usageDayView{
			Day: d.Day.Format("2 Jan 2006"), Ceremonies: ui.Thousands(int(d.Ceremonies)), SignIns: ui.Thousands(int(d.SignIns)),
			Users: ui.Thousands(int(d.MonthlyActiveUsers)), Stored: bytesText(d.StoredBytes),
		})
	}
	view.Page = c.frame(w, r, v, p, "Usage", path)
	c.render(w, r, http.StatusOK, c.usagePage(view))
}

// charts draws the days of a month. Days to come, and those without a measurement, are gaps.
func (v *usageView) charts(days []usage.Day, first, last, now time.Time) {
	measured := map[time.Time]usage.Day{}
	for _, d := range days {
		measured[d.Day] = d
	}
	if now.Before(last) {
		last = now
	}
	var times []time.Time
	var allowed, other, users, stored []float64
	for day := first; !day.After(last); day = day.AddDate(0, 0, 1) {
		times = append(times, day)
		d, ok := measured[day]
		if !ok {
			allowed, other, users, stored = append(allowed, ui.Unknown), append(other, ui.Unknown), append(users, ui.Unknown), append(stored, ui.Unknown)
			continue
		}
		allowed, other = append(allowed, float64(d.SignIns)), append(other, float64(d.Ceremonies-d.SignIns))
		users, stored = append(users, float64(d.MonthlyActiveUsers)), append(stored, float64(d.StoredBytes)/1e6)
	}
	chart := func(id, title, unit string, series ...ui.Series) ui.Chart {
		return ui.Chart{ID: id, Title: title, Unit: unit, Times: times, Step: 24 * time.Hour, Series: series, Whole: unit == "", Going: now.UTC().Truncate(24 * time.Hour)}
	}
	v.Ceremonies = chart("ceremonies", "Ceremonies a day", "", ui.Series{Name: "Sign-ins", Class: "c2", Values: allowed}, ui.Series{Name: "Others", Class: "c1", Values: other})
	v.Users = chart("active-users", "Active users of the month, so far", "", ui.Series{Name: "Active users", Class: "c1", Values: users})
	v.Stored = chart("stored", "Stored, at the end of the day", "MB", ui.Series{Name: "Stored", Class: "c5", Values: stored})
	v.Users.Area, v.Stored.Area = true, true
}

func (c *Console) exportUsage(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	first, last := usageMonth(r, c.now())
	c.export(w, r, v, exported{
		Name: "usage-" + first.Format("2006-01"), Columns: []string{"day", "ceremonies", "signIns", "monthlyActiveUsers", "storedBytes"},
		Next: func(string) ([][]string, string, error) {
			report, err := c.usage.Report(r.Context(), p.sc, first, last)
			if err != nil {
				return nil, "", err
			}
			rows := make([][]string, len(report.Days))
			for i, d := range report.Days {
				rows[i] = []string{
					d.Day.Format(time.DateOnly), strconv.FormatInt(d.Ceremonies, 10), strconv.FormatInt(d.SignIns, 10),
					strconv.FormatInt(d.MonthlyActiveUsers, 10), strconv.FormatInt(d.StoredBytes, 10),
				}
			}
			return rows, "", nil
		},
	})
}

// usageAlerts are what members see on every page once a quota is nearly used up.
func (c *Console) usageAlerts(ctx context.Context, p *place) ([]ui.Alert, error) {
	if !p.may(apikey.ScopeUsageRead) {
		return nil, nil
	}
	alerts, err := c.usage.Alerts(ctx, p.sc)
	if err != nil {
		return nil, err
	}
	highest := map[usage.Kind]usage.Alert{}
	for _, a := range alerts {
		if a.Percent > highest[a.Kind].Percent {
			highest[a.Kind] = a
		}
	}
	var all []ui.Alert
	for _, kind := range usage.Kinds() {
		a, ok := highest[kind]
		if !ok {
			continue
		}
		text := fmt.Sprintf("%s: %d%% of this month’s quota is used.", meterLabel(kind), a.Percent)
		if kind == usage.Storage {
			text = fmt.Sprintf("%s: %d%% of the quota is used.", meterLabel(kind), a.Percent)
		}
		all = append(all, ui.Alert{Name: meterLabel(kind) + " quota", Text: text, Href: p.base + "/usage", Label: "See usage"})
	}
	return all, nil
}
