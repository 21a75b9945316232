package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/report"
)

const reportsPath = "/compliance"

// reportRoutes are compliance reports: what the records show of the controls of a catalogue.
func (c *Console) reportRoutes(mux *router) {
	base := Path + "/t/{slug}" + reportsPath
	mux.HandleFunc("GET "+base, c.inTenant(apikey.ScopeReportsRead, c.showReports))
	mux.HandleFunc("GET "+base+"/export", c.inTenant(apikey.ScopeReportsRead, c.exportReports))
	mux.HandleFunc("GET "+base+"/new", c.inTenant(apikey.ScopeReportsWrite, c.showNewReport))
	mux.HandleFunc("POST "+base, c.inTenant(apikey.ScopeReportsWrite, c.createReport))
	mux.HandleFunc("GET "+base+"/schedules", c.inTenant(apikey.ScopeReportsRead, c.showSchedules))
	mux.HandleFunc("POST "+base+"/schedules", c.inTenant(apikey.ScopeReportsManage, c.putSchedule))
	mux.HandleFunc("POST "+base+"/schedules/{catalogue}/end", c.inTenant(apikey.ScopeReportsManage, c.endSchedule))
	c.catalogueRoutes(mux)
	mux.HandleFunc("GET "+base+"/{id}", c.inTenant(apikey.ScopeReportsRead, c.showReport))
	mux.HandleFunc("POST "+base+"/{id}/download", c.inTenant(apikey.ScopeReportsRead, c.downloadReport))
	mux.HandleFunc("POST "+base+"/{id}/delete", c.inTenant(apikey.ScopeReportsManage, c.deleteReport))
}

var reportStates = map[report.State]struct{ class, label string }{
	report.Queued: {"info", "Waiting"}, report.Running: {"info", "Being made"}, report.Done: {"ok", "Made"}, report.Failed: {"bad", "Failed"},
}

// madeReport is a report in the list, and on its own page.
type madeReport struct {
	report.Report

	Href     string
	Title    string // of its catalogue
	Standard string
	Class    string // of its state
	StateIs  string
	Who      string
	At       ui.Moment
	Expires  *ui.Moment
	Step     string // how far it is, while it is open
	Percent  string
}

type reportsView struct {
	ui.Page

	Base      string
	May       bool // make one
	Reports   []madeReport
	Busy      bool // one of them is open
	Pager     ui.Pager
	CSV, JSON string
	Scheduled string // how many catalogues are
	Curl      string
}

// documents are the catalogues of a tenant by their names.
func (c *Console) documents(r *http.Request, p *place) (map[string]report.Document, []report.Document, error) {
	list, err := c.reports.Catalogues(r.Context(), p.sc)
	if err != nil {
		return nil, nil, err
	}
	by := make(map[string]report.Document, len(list))
	for _, one := range list {
		by[one.Name] = one
	}
	return by, list, nil
}

func (c *Console) madeReport(p *place, r *report.Report, by map[string]report.Document) madeReport {
	state := reportStates[r.State]
	row := madeReport{
		Report: *r, Href: p.base + reportsPath + "/" + r.ID.String(), Title: r.Catalogue, Class: state.class, StateIs: state.label,
		Who: r.AskedName, At: ui.Ago(r.CreatedAt, c.now()), Expires: at(r.ExpiresAt), Percent: strconv.Itoa(r.Percent()), Step: "It begins within ten seconds",
	}
	if doc, known := by[r.Catalogue]; known { // a tenant's own may be gone
		row.Title, row.Standard = doc.Title, doc.Standard
	}
	if row.Who == "" {
		row.Who = r.AskedBy
	}
	if r.Scheduled {
		row.Who = "by schedule"
	}
	if r.State == report.Running {
		row.Step = "step " + strconv.Itoa(r.Done) + " of " + strconv.Itoa(r.Total)
	}
	return row
}

func (c *Console) showReports(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	here := p.base + reportsPath
	at := ui.Address{Path: here, Query: r.URL.Query()}
	page, err := c.reports.List(r.Context(), p.sc, listing.Request{PageToken: at.Get("after")})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	by, _, err := c.documents(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	schedules, err := c.reports.Schedules(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := reportsView{
		Page: c.frame(w, r, v, p, "Compliance", here), Base: p.base, May: p.may(apikey.ScopeReportsWrite), CSV: here + "/export", JSON: here + "/export?format=json",
		Pager: ui.Pager{Says: ui.Count(len(page.Items), "report")}, Scheduled: ui.Count(len(schedules), "schedule"),
		Curl: "curl -H \"Authorization: Bearer $BIOCORE_KEY\" \\\n  -d '{\"catalogue\":\"authentication-assurance\",\"firstDay\":\"2026-10-01\",\"lastDay\":\"2026-10-31\"}' \\\n  " + c.publicURL + "/admin/v1/reports",
	}
	view.Pager.Turn(at, at.Query, page.NextToken)
	for i := range page.Items {
		view.Busy = view.Busy || page.Items[i].State.Open()
		view.Reports = append(view.Reports, c.madeReport(p, &page.Items[i], by))
	}
	c.render(w, r, http.StatusOK, c.reportsPage(view))
}

func (c *Console) exportReports(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.export(w, r, v, exported{
		Name: "reports", Columns: []string{"id", "catalogue", "firstDay", "lastDay", "state", "met", "notMet", "noEvidence", "askedBy", "createdAt", "endedAt", "expiresAt", "sha256", "failure"},
		Next: func(token string) ([][]string, string, error) {
			page, err := c.reports.List(r.Context(), p.sc, listing.Request{PageToken: token, PageSize: listing.MaxPageSize})
			if err != nil {
				return nil, "", err
			}
			rows := make([][]string, len(page.Items))
			for i := range page.Items {
				one := &page.Items[i]
				rows[i] = []string{
					one.ID.String(), one.Catalogue, one.Period.First(), one.Period.Last(), string(one.State), strconv.Itoa(one.Counts.Met), strconv.Itoa(one.Counts.NotMet), strconv.Itoa(one.Counts.NoEvidence),
					one.AskedBy, iso(&one.CreatedAt), iso(one.EndedAt), iso(one.ExpiresAt), one.SHA256, one.Failure,
				}
			}
			return rows, page.NextToken, nil
		},
	})
}

// newReportView is the form of a report to be.
type newReportView struct {
	ui.Page

	Base                     string
	Catalogues               []report.Document
	Catalogue                string // picked
	First, Last, Keep, Words ui.Input
	Problem                  *ui.Problem
}

// reportForm is what was typed.
type reportForm struct{ catalogue, first, last, keep, reason string }

func (c *Console) showNewReport(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	now := c.now().UTC()
	begin := time.Date(now.Year(), now.Month()-1, 1, 0, 0, 0, 0, time.UTC)
	form := reportForm{
		catalogue: r.URL.Query().Get("catalogue"), first: begin.Format(time.DateOnly), last: begin.AddDate(0, 1, -1).Format(time.DateOnly), keep: strconv.Itoa(report.DefaultKeepDays),
	}
	c.newReport(w, r, v, p, form, nil, http.StatusOK)
}

func (c *Console) newReport(w http.ResponseWriter, r *http.Request, v *visit, p *place, form reportForm, problem *ui.Problem, code int) {
	_, list, err := c.documents(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + reportsPath
	view := newReportView{
		Page: c.frame(w, r, v, p, "New report", here, ui.Link{Href: here, Label: "Compliance"}), Base: p.base, Catalogues: list, Catalogue: form.catalogue, Problem: problem,
		First: ui.Input{ID: "report-first", Name: "firstDay", Label: "First day", Type: "date", Value: form.first, Max: 10, Problem: problem},
		Last:  ui.Input{ID: "report-last", Name: "lastDay", Label: "Last day", Type: "date", Hint: "Whole days of UTC, a year at most. Today may be the last.", Value: form.last, Max: 10, Problem: problem},
		Keep:  ui.Input{ID: "report-keep", Name: "keepDays", Label: "Kept for", Hint: "Days, 1 to 3650. Its key is destroyed then.", Value: form.keep, Max: 4, Problem: problem},
		Words: ui.Input{ID: "report-reason", Name: "reason", Label: "Reason", Hint: "Kept in the audit log with your name.", Value: form.reason, Max: 256, Optional: true, Problem: problem},
	}
	view.Page.Here = here + "/new"
	if view.Catalogue == "" && len(list) > 0 {
		view.Catalogue = list[0].Name
	}
	c.render(w, r, code, c.newReportPage(view))
}

// reportProblem puts a refusal at its field.
func (c *Console) reportProblem(r *http.Request, err error) (*ui.Problem, int) {
	problem, code := c.inForm(r, err)
	if f, ok := fault.As(err); ok && problem != nil {
		problem.Message = sentence(f.Message)
		switch {
		case errors.Is(err, report.ErrPeriod):
			problem.Field = "lastDay"
		case errors.Is(err, report.ErrKeep):
			problem.Field = "keepDays"
		case errors.Is(err, report.ErrCatalogue):
			problem.Field, code = "catalogue", http.StatusUnprocessableEntity
		case errors.Is(err, report.ErrReason):
			problem.Field = "reason"
		case errors.Is(err, report.ErrCadence):
			problem.Field = "cadence"
		}
	}
	return problem, code
}

// keepDays reads for how many days something is kept; what is no number is refused as one that is too large.
func keepDays(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n == 0 {
		return -1
	}
	return n
}

func (c *Console) createReport(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := reportForm{
		catalogue: clean(r.PostFormValue("catalogue")), first: clean(r.PostFormValue("firstDay")), last: clean(r.PostFormValue("lastDay")), keep: clean(r.PostFormValue("keepDays")),
		reason: clean(r.PostFormValue("reason")),
	}
	period, err := report.ParsePeriod(form.first, form.last)
	var made report.Report
	if err == nil {
		made, err = c.reports.Create(r.Context(), p.sc, report.CreateRequest{Catalogue: form.catalogue, Period: period, KeepDays: keepDays(form.keep), Reason: form.reason})
	}
	if problem, code := c.reportProblem(r, err); problem != nil {
		c.newReport(w, r, v, p, form, problem, code)
		return
	}
	c.done(w, r, "reportAsked", p.base+reportsPath+"/"+made.ID.String())
}

// schedulesView is which reports are made by themselves.
type schedulesView struct {
	ui.Page

	Base      string
	May       bool
	Schedules []scheduleRow
	Act       ui.Act
	Catalogue ui.Input
	Choices   []ui.Choice
	Cadence   ui.Input
	Keep      ui.Input
}

type scheduleRow struct {
	report.Schedule

	Title  string
	Every  string
	Next   ui.Moment
	Of     string // the period of the next report
	By     string
	Action string // where it is ended
}

var cadences = []ui.Choice{{Value: string(report.Monthly), Label: "Each month"}, {Value: string(report.Quarterly), Label: "Each quarter"}}

func (c *Console) showSchedules(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.schedules200(w, r, v, p, ui.Act{}, reportForm{keep: strconv.Itoa(report.DefaultKeepDays)}, "", http.StatusOK)
}

func (c *Console) schedules200(w http.ResponseWriter, r *http.Request, v *visit, p *place, act ui.Act, form reportForm, cadence string, code int) {
	by, list, err := c.documents(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	schedules, err := c.reports.Schedules(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	people := make([]uuid.UUID, len(schedules))
	for i := range schedules {
		people[i] = who(schedules[i].UpdatedBy)
	}
	names, err := c.names(r.Context(), people)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + reportsPath
	view := schedulesView{
		Page: c.frame(w, r, v, p, "Schedules", here, ui.Link{Href: here, Label: "Compliance"}), Base: p.base, May: p.may(apikey.ScopeReportsManage), Act: act,
		Catalogue: ui.Input{ID: "schedule-catalogue", Name: "catalogue", Label: "Report", Value: form.catalogue, Problem: act.Problem},
		Cadence:   ui.Input{ID: "schedule-cadence", Name: "cadence", Label: "How often", Value: cadence, Problem: act.Problem},
		Keep:      ui.Input{ID: "schedule-keep", Name: "keepDays", Label: "Each kept for", Hint: "Days, 1 to 3650.", Value: form.keep, Max: 4, Problem: act.Problem},
	}
	view.Page.Here = here + "/schedules"
	for _, doc := range list {
		view.Choices = append(view.Choices, ui.Choice{Value: doc.Name, Label: doc.Title})
	}
	for i := range schedules {
		one := &schedules[i]
		row := scheduleRow{
			Schedule: *one, Title: one.Catalogue, Every: "Each month", Next: ui.At(one.NextAt), Of: one.Next.String(), By: whoLabel(one.UpdatedBy, names),
			Action: here + "/schedules/" + one.Catalogue + "/end",
		}
		if doc, known := by[one.Catalogue]; known {
			row.Title = doc.Title
		}
		if one.Cadence == report.Quarterly {
			row.Every = "Each quarter"
		}
		view.Schedules = append(view.Schedules, row)
	}
	view.Act.ID, view.Act.Action, view.Act.Title, view.Act.Button, view.Act.Fresh = "schedule", here+"/schedules", "Schedule a report", "schedule", freshUntil(v)
	view.Act.Effects = []ui.Effect{
		{Icon: "timer", Text: "Made when its period is over, by itself, from the one on that is going on"},
		{Icon: "repeat", Text: "Takes the place of a schedule that the same report has"},
	}
	c.render(w, r, code, c.schedulesPage(view))
}

func (c *Console) putSchedule(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act, form, cadence := actOf(r), reportForm{catalogue: clean(r.PostFormValue("catalogue")), keep: clean(r.PostFormValue("keepDays"))}, r.PostFormValue("cadence")
	err := sensitive(v, act.Reason)
	if err == nil {
		_, err = c.reports.Put(r.Context(), p.sc, report.ScheduleRequest{Catalogue: form.catalogue, Cadence: report.Cadence(cadence), KeepDays: keepDays(form.keep), Reason: act.Reason})
	}
	c.afterSchedule(w, r, v, p, err, act, form, cadence)
}

func (c *Console) endSchedule(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act := actOf(r)
	err := sensitive(v, act.Reason)
	if err == nil {
		err = c.reports.Unschedule(r.Context(), p.sc, r.PathValue("catalogue"), act.Reason)
	}
	act.Reason = "" // of another form than the one below
	c.afterSchedule(w, r, v, p, err, act, reportForm{keep: strconv.Itoa(report.DefaultKeepDays)}, "")
}

func (c *Console) afterSchedule(w http.ResponseWriter, r *http.Request, v *visit, p *place, err error, act ui.Act, form reportForm, cadence string) {
	problem, code := c.reportProblem(r, err)
	if errors.Is(err, errWhy) || errors.Is(err, errStale) {
		problem, code = c.inForm(r, err)
	}
	if problem != nil {
		act.Problem = problem
		c.schedules200(w, r, v, p, act, form, cadence, code)
		return
	}
	c.done(w, r, "saved", p.base+reportsPath+"/schedules")
}

// resultOf is how a result looks.
func resultOf(r report.Result) (icon, class, label string) {
	switch r {
	case report.Met:
		return "okc", "good", "Met"
	case report.NotMet:
		return "badc", "bad", "Not met"
	case report.NoEvidence:
	}
	return "dash", "warn", "No evidence"
}

// groups are a number's digits in groups of three.
func groups(n int64) string { return ui.Grouped(float64(n)) }

// sectionOf is the first part of what a control stands under, for the head of its group.
func sectionOf(controls []report.BodyControl, i int) string {
	if i > 0 && controls[i-1].Section == controls[i].Section {
		return ""
	}
	return strings.TrimSpace(controls[i].Section)
}
