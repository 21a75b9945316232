package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/cadence"
	"github.com/biocore-id/biocore/tenancy/governance/dlp"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const scansPath = dataMapPath + "/scans"

func (c *Console) scanRoutes(mux *router) {
	base := Path + "/t/{slug}" + scansPath
	mux.HandleFunc("GET "+base, c.inTenant(apikey.ScopeDLPRead, c.showScans))
	mux.HandleFunc("POST "+base, c.inTenant(apikey.ScopeDLPWrite, c.startScan))
	mux.HandleFunc("POST "+base+"/schedule", c.inTenant(apikey.ScopeDLPWrite, c.scheduleScans))
	mux.HandleFunc("POST "+base+"/schedule/end", c.inTenant(apikey.ScopeDLPWrite, c.unscheduleScans))
	mux.HandleFunc("POST "+base+"/{id}/cancel", c.inTenant(apikey.ScopeDLPWrite, c.cancelScan))
}

var scanStates = map[dlp.ScanState]struct{ class, label string }{
	dlp.Queued: {"info", "Waiting"}, dlp.Running: {"info", "Looking"}, dlp.Done: {"ok", "Done"}, dlp.Failed: {"bad", "Failed"}, dlp.Cancelled: {"idle", "Cancelled"},
}

var scanCadences = map[cadence.Cadence]string{cadence.Daily: "Each day", cadence.Weekly: "Each week", cadence.Monthly: "Each month"}

// scanRow is a scan in the list.
type scanRow struct {
	dlp.Scan

	Class, StateIs string
	Who            string
	At             ui.Moment
	Step           string // how far it is, while it is open
	Percent        string
	Note           string // what it has not seen, or why it failed
	Unseen         []string
	Action         string // where it is cancelled; empty when it has ended
}

func (c *Console) scanRow(p *place, s *dlp.Scan, names map[uuid.UUID]string) *scanRow {
	state := scanStates[s.State]
	row := scanRow{
		Scan: *s, Class: state.class, StateIs: state.label, Who: whoLabel(s.AskedBy, names), At: ui.Ago(s.CreatedAt, c.now()), Percent: strconv.Itoa(s.Percent()),
		Step: "It begins within ten seconds",
	}
	if strings.HasPrefix(s.AskedBy, string(scope.ActorSystem)+":job:") {
		row.Who = "By schedule"
	}
	if s.State.Open() {
		row.Action = p.base + scansPath + "/" + s.ID.String() + "/cancel"
	}
	if s.State == dlp.Running && s.Total > 0 {
		row.Step = "place " + strconv.Itoa(min(s.Done+1, s.Total)) + " of " + strconv.Itoa(s.Total)
	}
	for _, u := range s.Unseen {
		row.Unseen = append(row.Unseen, unseenWords(&u))
	}
	switch {
	case s.Failure != "" && !s.State.Open():
		row.Note = "It could not be made: " + s.Failure
	case len(s.Cut) > 0:
		row.Note = "Seen in part: " + strings.Join(s.Cut, ", ")
	}
	return &row
}

// unseenWords say what a scan has not looked at, and why.
func unseenWords(u *dlp.Unseen) string {
	what := ui.Count(u.Count, "row") + " of " + u.Place
	switch u.Reason {
	case dlp.UnseenSealed:
		return what + ": what is sealed does not open"
	case dlp.UnseenGone:
		return what + ": not in object storage, or it did not answer"
	case dlp.UnseenLarge:
		return u.Place + ": only the first 64 MiB, and lines up to 1 MiB"
	case dlp.UnseenDerived:
		return ui.Count(u.Count, "file") + " of " + u.Place + ": they hold what stands elsewhere"
	case dlp.UnseenArchived:
		return ui.Count(u.Count, "bundle") + " of the audit log: archived"
	case dlp.UnseenBinary:
		return ui.Count(u.Count, "record") + " of " + u.Place + ": no words of people"
	}
	return what
}

// scanForm is what was typed.
type scanForm struct {
	days, reason       string
	cadence, words     string
	problem, scheduled *ui.Problem
}

type scansView struct {
	ui.Page

	Tabs    []ui.Tab
	Base    string
	May     bool
	Scans   []*scanRow
	Busy    bool
	Days    ui.Input
	Words   ui.Input
	Problem *ui.Problem

	Every     string // how often scans are made by themselves; empty: not
	Next      *ui.Moment
	By        string
	Cadence   ui.Input
	Why       ui.Input
	Scheduled *ui.Problem
	Cadences  []ui.Choice
}

func (c *Console) showScans(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.scans200(w, r, v, p, scanForm{days: strconv.Itoa(dlp.DefaultDays)}, http.StatusOK)
}

func (c *Console) scans200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form scanForm, code int) {
	scans, err := c.dlp.Scans(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	schedule, err := c.dlp.GetSchedule(r.Context(), p.sc)
	if err != nil && !errors.Is(err, dlp.ErrSchedule) {
		c.fail(w, r, v, err)
		return
	}
	people := []uuid.UUID{who(schedule.UpdatedBy)}
	for i := range scans {
		people = append(people, who(scans[i].AskedBy))
	}
	names, err := c.names(r.Context(), people)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + scansPath
	if form.cadence == "" {
		form.cadence = string(schedule.Cadence)
	}
	view := scansView{
		Page: c.frame(w, r, v, p, "Scans", p.base+dataMapPath, ui.Link{Href: p.base + dataMapPath, Label: "Data map"}, ui.Link{Href: p.base + openFindings, Label: "Findings"}), Tabs: dataMapTabs(p, "findings"), Base: p.base, May: p.may(apikey.ScopeDLPWrite),
		Days:    ui.Input{ID: "scan-days", Name: "days", Label: "Days of the audit log", Hint: "1 to 366. Tables are looked at whole.", Value: form.days, Max: 3, Problem: form.problem},
		Words:   ui.Input{ID: "scan-reason", Name: "reason", Label: "Reason", Hint: "Kept in the audit log with your name.", Value: form.reason, Max: 256, Optional: true, Problem: form.problem},
		Problem: form.problem, Scheduled: form.scheduled,
		Cadence:  ui.Input{ID: "schedule-cadence", Name: "cadence", Label: "How often", Hint: "Ten minutes after a day, a week or a month is over (UTC).", Value: form.cadence, Problem: form.scheduled},
		Why:      ui.Input{ID: "schedule-reason", Name: "reason", Label: "Reason", Hint: "Kept in the audit log with your name.", Value: form.words, Max: 256, Optional: true, Problem: form.scheduled},
		Cadences: []ui.Choice{{Value: string(cadence.Daily), Label: "Each day"}, {Value: string(cadence.Weekly), Label: "Each week"}, {Value: string(cadence.Monthly), Label: "Each month"}},
	}
	view.Page.Here = here
	if view.Every = scanCadences[schedule.Cadence]; view.Every != "" {
		view.Next, view.By = at(&schedule.NextAt), whoLabel(schedule.UpdatedBy, names)
	}
	for i := range scans {
		view.Busy = view.Busy || scans[i].State.Open()
		view.Scans = append(view.Scans, c.scanRow(p, &scans[i], names))
	}
	c.render(w, r, code, c.scansPage(view))
}

func (c *Console) startScan(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := scanForm{days: clean(r.PostFormValue("days")), reason: clean(r.PostFormValue("reason"))}
	_, err := c.dlp.Start(r.Context(), p.sc, dlp.StartRequest{Days: keepDays(form.days), Reason: form.reason})
	if problem, code := c.findingProblem(r, err); problem != nil {
		form.problem = problem
		c.scans200(w, r, v, p, form, code)
		return
	}
	c.done(w, r, "scanAsked", p.base+scansPath)
}

func (c *Console) cancelScan(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	id, ok := dlp.ParseID(r.PathValue("id"))
	err := error(dlp.ErrScan)
	if ok {
		_, err = c.dlp.Cancel(r.Context(), p.sc, id, "")
	}
	if err != nil && !errors.Is(err, dlp.ErrEnded) { // the list says that it has ended
		c.fail(w, r, v, err)
		return
	}
	c.done(w, r, "scanCancelled", p.base+scansPath)
}

func (c *Console) scheduleScans(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := scanForm{days: strconv.Itoa(dlp.DefaultDays), cadence: r.PostFormValue("cadence"), words: clean(r.PostFormValue("reason"))}
	_, err := c.dlp.PutSchedule(r.Context(), p.sc, dlp.ScheduleRequest{Cadence: cadence.Cadence(form.cadence), Reason: form.words})
	if problem, code := c.findingProblem(r, err); problem != nil {
		form.scheduled = problem
		c.scans200(w, r, v, p, form, code)
		return
	}
	c.done(w, r, "saved", p.base+scansPath)
}

func (c *Console) unscheduleScans(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	if err := c.dlp.Unschedule(r.Context(), p.sc, ""); err != nil && !errors.Is(err, dlp.ErrSchedule) {
		c.fail(w, r, v, err)
		return
	}
	c.done(w, r, "saved", p.base+scansPath)
}
