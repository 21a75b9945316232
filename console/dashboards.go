package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/dashboard"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/stats"
)

func (c *Console) dashboardRoutes(mux *router) {
	base := Path + "/t/{slug}/dashboards"
	mux.HandleFunc("GET "+base, c.inTenant(apikey.ScopeDashboardsRead, c.showDashboards))
	mux.HandleFunc("POST "+base, c.inTenant(apikey.ScopeDashboardsWrite, c.createDashboard))
	mux.HandleFunc("GET "+base+"/{id}", c.inTenant(apikey.ScopeDashboardsRead, c.showDashboard))
	mux.HandleFunc("GET "+base+"/{id}"+activityPath, c.inTenant(apikey.ScopeDashboardsRead, c.showDashboard))
	mux.HandleFunc("GET "+base+"/{id}/edit", c.inTenant(apikey.ScopeDashboardsWrite, c.editDashboard))
	mux.HandleFunc("POST "+base+"/{id}", c.inTenant(apikey.ScopeDashboardsWrite, c.saveDashboard))
	mux.HandleFunc("POST "+base+"/{id}/delete", c.inTenant(apikey.ScopeDashboardsWrite, c.deleteDashboard))
}

// dashboardsView is the list of boards.
type dashboardsView struct {
	ui.Page

	Boards   []boardRow
	MayWrite bool
	Action   string
	Title    string // what was typed
	Problem  *ui.Problem
}

type boardRow struct {
	Href, Title string
	Charts      string // how many, in words
	Changed     ui.Moment
	Who         string
}

// boardView is one board.
type boardView struct {
	ui.Page
	withActivity

	Title    string
	Edit     string // address; empty for who may not
	Address  string // to be shared
	Changed  ui.Moment
	Who      string
	MayWrite bool
	Charts   []boardChart
}

// boardChart is a chart with its values.
type boardChart struct {
	ui.Chart

	Note    string
	Kind    dashboard.Kind
	Width   string // class
	Numbers []boardNumber
}

type boardNumber struct{ Label, Value, Note string }

// boardForm is the page on which a board is changed.
type boardForm struct {
	ui.Page

	Board   string // address of the board
	ETag    string
	Title   ui.Input
	Charts  []chartForm
	Full    bool // no more charts fit
	Problem *ui.Problem
	Theirs  string // what somebody else made of it meanwhile; empty for nothing
	Delete  ui.Act
}

// chartForm is one chart to be changed: its inputs have a number of their own.
type chartForm struct {
	N                               string
	Head                            string
	First, Last                     bool
	Title                           ui.Input
	Metric, Range, Step, Kind, Size ui.Input
	Steps                           []ui.Choice
}

const maxBoardCharts = 24

func (c *Console) showDashboards(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.listDashboards(w, r, v, p, http.StatusOK, "", nil)
}

func (c *Console) listDashboards(w http.ResponseWriter, r *http.Request, v *visit, p *place, code int, title string, problem *ui.Problem) {
	list, err := c.dashboards.List(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	people := make([]uuid.UUID, len(list))
	for i := range list {
		people[i] = who(list[i].UpdatedBy)
	}
	names, err := c.names(r.Context(), people)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := dashboardsView{MayWrite: p.may(apikey.ScopeDashboardsWrite), Action: p.base + "/dashboards", Title: title, Problem: problem}
	for i := range list {
		d := &list[i]
		view.Boards = append(view.Boards, boardRow{
			Href: view.Action + "/" + d.ID.String(), Title: d.Title, Charts: ui.Count(len(d.Charts), "chart"),
			Changed: ui.Ago(d.UpdatedAt, c.now()), Who: whoLabel(d.UpdatedBy, names),
		})
	}
	view.Page = c.frame(w, r, v, p, "Dashboards", p.base+"/dashboards")
	c.render(w, r, code, c.dashboardsPage(view))
}

func (c *Console) createDashboard(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	title := r.PostFormValue("title")
	var charts []dashboard.Chart
	if r.PostFormValue("start") == "usual" {
		charts = dashboard.Usual()
	}
	made, err := c.dashboards.Create(r.Context(), p.sc, title, charts)
	if err != nil {
		problem, code := problemOf(err)
		if _, ok := fault.As(err); !ok || code >= http.StatusInternalServerError {
			c.fail(w, r, v, err)
			return
		}
		c.listDashboards(w, r, v, p, code, title, &problem)
		return
	}
	c.done(w, r, "board-made", p.base+"/dashboards/"+made.ID.String()+"/edit")
}

// board is the one that the path names.
func (c *Console) board(r *http.Request, p *place) (dashboard.Dashboard, error) {
	id, err := dashboard.ParseID(r.PathValue("id"))
	if err != nil {
		return dashboard.Dashboard{}, err
	}
	return c.dashboards.Get(r.Context(), p.sc, id)
}

func (c *Console) showDashboard(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	d, err := c.board(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	names, err := c.names(r.Context(), []uuid.UUID{who(d.UpdatedBy)})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + "/dashboards/" + d.ID.String()
	view := boardView{
		Title: d.Title, Address: c.publicURL + here, Changed: ui.Ago(d.UpdatedAt, c.now()), Who: whoLabel(d.UpdatedBy, names), MayWrite: p.may(apikey.ScopeDashboardsWrite),
	}
	if view.MayWrite {
		view.Edit = here + "/edit"
	}
	view.withActivity, err = c.activity(r, p, here, about{kind: "dashboard", id: d.ID.String()}, ui.Tab{Href: here, Label: "Board", Here: !asksActivity(r, here)})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	for i, one := range d.Charts {
		if view.Activity != nil {
			break
		}
		drawn, err := c.drawn(r, p, i, one)
		if err != nil {
			c.fail(w, r, v, err)
			return
		}
		view.Charts = append(view.Charts, drawn)
	}
	view.Page = c.frame(w, r, v, p, d.Title, p.base+"/dashboards", ui.Link{Href: p.base + "/dashboards", Label: "Dashboards"})
	c.render(w, r, http.StatusOK, c.boardPage(view))
}

// drawn is the i-th chart of a board with its values.
func (c *Console) drawn(r *http.Request, p *place, i int, one dashboard.Chart) (boardChart, error) {
	about, err := stats.ParseMetric(string(one.Metric))
	if err != nil {
		return boardChart{}, err
	}
	step, err := stats.ParseStep(one.Range, one.Step)
	if err != nil {
		return boardChart{}, err
	}
	s, err := c.stats.Series(r.Context(), p.sc, about, one.Range, step)
	if err != nil {
		return boardChart{}, err
	}
	out := boardChart{Kind: one.Kind, Width: "w" + strconv.Itoa(one.Width), Note: rangeNames[one.Range][0] + ", per " + everyNames[step]}
	out.Chart = ui.Chart{ID: "chart-" + strconv.Itoa(i), Title: one.Title, Unit: about.Unit, Times: s.Times(), Step: step, Whole: about.Unit == "", Going: s.To.Add(-step)}
	for k, l := range s.Lines {
		label := c.lineLabel(about.Metric, l.Key)
		out.Series = append(out.Series, ui.Series{Name: label, Class: lineClass(l.Key, k), Values: l.Values})
		out.Numbers = append(out.Numbers, numberOf(about, label, everyNames[step], l.Values))
	}
	return out, nil
}

// numberOf is a line as one number: the sum of what adds up, else the last that is known, of a step that is called every.
func numberOf(about stats.About, label, every string, values []float64) boardNumber {
	last, sum := ui.Unknown, 0.0
	for _, v := range values {
		if ui.Known(v) {
			last, sum = v, sum+v
		}
	}
	if about.Unit == "" && !about.Gauge {
		return boardNumber{Label: label, Value: ui.Grouped(sum), Note: "in all"}
	}
	if !ui.Known(last) {
		return boardNumber{Label: label, Value: "–", Note: "No evidence"}
	}
	unit := about.Unit
	if unit == "ms" {
		unit = " ms"
	}
	return boardNumber{Label: label, Value: ui.Grouped(last) + unit, Note: "in the latest " + every}
}

var lineLabels = map[string]string{
	"allowed": "Allowed", "steppedUp": "Step-up", "denied": "Denied by policy", "failed": "Failed", "success": "Success",
	"first": "First passkey", "second": "Second passkey", "further": "Further passkeys", "other": "Other",
	"all": "All users", "enrolled": "With a passkey", "several": "With several", "day": "Within 24 hours", "week": "Within 7 days", "month": "Within 30 days",
}

// lineLabel is what a line of a metric is called.
func (c *Console) lineLabel(metric stats.Metric, key string) string {
	if metric == stats.Models {
		if id, err := uuid.Parse(key); err == nil {
			return c.modelName(id)
		}
	}
	if metric == stats.Reasons && key != "other" {
		return key
	}
	return cmp.Or(lineLabels[key], key)
}

// lineClass is the colour of a line: what is said of outcomes has its own.
func lineClass(key string, k int) string {
	switch key {
	case "p95":
		return "c1"
	case "allowed", "p50":
		return "c2"
	case "steppedUp", "p99":
		return "c3"
	case "denied":
		return "c4"
	case "failed":
		return "c5"
	case "other":
		return "c6"
	}
	return []string{"c1", "c2", "c3", "c4", "c5", "c6"}[k%6]
}

func (c *Console) editDashboard(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	d, err := c.board(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.showForm(w, r, v, p, http.StatusOK, &d, d.Charts, formState{title: d.Title, etag: d.ETag})
}

// formState is what a form has beside a board.
type formState struct {
	title, etag string
	problem     *ui.Problem
	theirs      string
	deletion    ui.Act // what was typed to delete it
}

func (c *Console) showForm(w http.ResponseWriter, r *http.Request, v *visit, p *place, code int, d *dashboard.Dashboard, charts []dashboard.Chart, state formState) {
	here := p.base + "/dashboards/" + d.ID.String()
	form := boardForm{
		Board: here, ETag: state.etag, Problem: state.problem, Theirs: state.theirs, Full: len(charts) >= maxBoardCharts,
		Title: ui.Input{ID: "title", Name: "title", Label: "Title", Value: state.title, Max: 80, Problem: state.problem},
		Delete: ui.Act{
			ID: "delete", Action: here + "/delete", Title: "Delete this dashboard", Confirm: d.Title, Typed: state.deletion.Typed, Reason: state.deletion.Reason,
			Button: "delete", Danger: true, Fresh: freshUntil(v), Problem: state.deletion.Problem,
			Effects: []ui.Effect{{Icon: "trash", Text: "It is gone for everybody, and its address leads nowhere"}, {Icon: "info", Text: "The statistics that it shows stay"}},
		},
	}
	for i, one := range charts {
		form.Charts = append(form.Charts, newChartForm(i, len(charts), one))
	}
	form.Page = c.frame(w, r, v, p, "Edit "+d.Title, p.base+"/dashboards",
		ui.Link{Href: p.base + "/dashboards", Label: "Dashboards"}, ui.Link{Href: here, Label: d.Title})
	form.Here = here + "/edit"
	c.render(w, r, code, c.boardFormPage(form))
}

func newChartForm(i, n int, one dashboard.Chart) chartForm {
	input := func(name, label, value string) ui.Input {
		id := name + "-" + strconv.Itoa(i)
		return ui.Input{ID: id, Name: id, Label: label, Value: value, Optional: name == "title" || name == "step"}
	}
	form := chartForm{
		N: strconv.Itoa(i), Head: fmt.Sprintf("Chart %d", i+1), First: i == 0, Last: i == n-1,
		Title:  input("title", "Title", one.Title),
		Metric: input("metric", "Metric", string(cmp.Or(one.Metric, stats.SignIns))), Range: input("range", "Period", string(cmp.Or(one.Range, stats.Day))),
		Step: input("step", "Point every", one.Step), Kind: input("kind", "Shown as", string(cmp.Or(one.Kind, dashboard.Line))), Size: input("width", "Width", strconv.Itoa(max(1, one.Width))),
	}
	form.Title.Max = 80
	return form
}

// choices of the form's selects.
func metricChoices() []ui.Choice {
	var out []ui.Choice
	for _, a := range stats.Metrics() {
		out = append(out, ui.Choice{Value: string(a.Metric), Label: a.Title})
	}
	return out
}

func rangeChoices() []ui.Choice {
	var out []ui.Choice
	for _, one := range stats.Ranges() {
		out = append(out, ui.Choice{Value: string(one), Label: rangeNames[one][0]})
	}
	return out
}

var (
	stepChoices = []ui.Choice{{Value: "", Label: "What fits"}, {Value: "5m", Label: "5 minutes"}, {Value: "15m", Label: "15 minutes"}, {Value: "1h", Label: "Hour"}, {Value: "6h", Label: "6 hours"}, {Value: "1d", Label: "Day"}}
	kindChoices = []ui.Choice{{Value: "LINE", Label: "Lines"}, {Value: "COLUMN", Label: "Columns"}, {Value: "NUMBER", Label: "Numbers"}, {Value: "TABLE", Label: "Table"}}
	sizeChoices = []ui.Choice{{Value: "1", Label: "A third"}, {Value: "2", Label: "Two thirds"}, {Value: "3", Label: "Whole width"}}
)

// chartsOf are the charts as they stand in a form, in its order.
func chartsOf(r *http.Request) []dashboard.Chart {
	var out []dashboard.Chart
	for i := range maxBoardCharts {
		get := func(name string) string { return r.PostFormValue(name + "-" + strconv.Itoa(i)) }
		if get("metric") == "" {
			break
		}
		width, err := strconv.Atoi(get("width"))
		if err != nil {
			width = -1 // refused below
		}
		out = append(out, dashboard.Chart{
			Title: strings.TrimSpace(get("title")), Metric: stats.Metric(get("metric")), Range: stats.Range(get("range")), Step: get("step"), Kind: dashboard.Kind(get("kind")), Width: width,
		})
	}
	return out
}

// saveDashboard saves a form, or shows it again with a chart more, less, or elsewhere.
func (c *Console) saveDashboard(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	d, err := c.board(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	charts := chartsOf(r)
	state := formState{title: r.PostFormValue("title"), etag: r.PostFormValue("etag")}
	do, at, _ := strings.Cut(r.PostFormValue("do"), ":")
	if do != "save" {
		c.showForm(w, r, v, p, http.StatusOK, &d, rearranged(charts, do, at), state)
		return
	}
	_, err = c.dashboards.Update(r.Context(), p.sc, dashboard.UpdateRequest{ID: d.ID, Title: state.title, Charts: charts, IfMatch: state.etag})
	if err == nil {
		c.done(w, r, "board-saved", p.base+"/dashboards/"+d.ID.String())
		return
	}
	f, ok := fault.As(err)
	if !ok {
		c.fail(w, r, v, err)
		return
	}
	problem, code := problemOf(err)
	state.problem = &problem
	switch {
	case errors.Is(err, dashboard.ErrChart):
		problem.Field = chartField(f)
	case errors.Is(err, etag.ErrMismatch):
		names, err := c.names(r.Context(), []uuid.UUID{who(d.UpdatedBy)})
		if err != nil {
			c.fail(w, r, v, err)
			return
		}
		state.theirs = fmt.Sprintf("%s saved it as “%s” with %s. What you typed is below: saving again replaces theirs.",
			whoLabel(d.UpdatedBy, names), d.Title, ui.Count(len(d.Charts), "chart"))
		state.etag = d.ETag
	}
	c.showForm(w, r, v, p, code, &d, charts, state)
}

// rearranged are charts after a button of the form that saves nothing.
func rearranged(charts []dashboard.Chart, do, at string) []dashboard.Chart {
	if do == "add" && len(charts) < maxBoardCharts {
		return append(charts, dashboard.Chart{Metric: stats.SignIns, Range: stats.Day, Width: 1})
	}
	i, err := strconv.Atoi(at)
	if err != nil || i < 0 || i >= len(charts) {
		return charts
	}
	switch {
	case do == "remove":
		return slices.Delete(charts, i, i+1)
	case do == "up" && i > 0:
		charts[i-1], charts[i] = charts[i], charts[i-1]
	case do == "down" && i+1 < len(charts):
		charts[i+1], charts[i] = charts[i], charts[i+1]
	}
	return charts
}

// chartField is the input that a refusal is about: charts[2].step is step-2.
func chartField(f *fault.Error) string {
	rest, ok := strings.CutPrefix(f.Metadata["field"], "charts[")
	if i, name, found := strings.Cut(rest, "]."); ok && found {
		return name + "-" + i
	}
	return ""
}

func (c *Console) deleteDashboard(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	d, err := c.board(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	act := actOf(r)
	if act.Typed != d.Title {
		err = errTyped
	} else {
		err = sensitive(v, act.Reason)
	}
	if err == nil {
		err = c.dashboards.Delete(r.Context(), p.sc, dashboard.DeleteRequest{ID: d.ID, Reason: act.Reason, IfMatch: d.ETag})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		act.Problem = problem
		c.showForm(w, r, v, p, code, &d, d.Charts, formState{title: d.Title, etag: d.ETag, deletion: act})
		return
	}
	c.done(w, r, "board-deleted", p.base+"/dashboards")
}
