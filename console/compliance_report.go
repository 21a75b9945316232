package console

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/report"
)

// reportView is the page of one report.
type reportView struct {
	ui.Page

	Base    string
	Report  madeReport
	Body    *report.Body // nil while it is not made, and where its files are gone
	Made    ui.Moment
	KID     string
	Control *controlView // that is looked into; nil: none
	Back    string       // the page without it
	Gone    string       // why there is no body although it was made
	Delete  *ui.Act      // nil for who may not
	Files   []reportFile
}

// reportFile is a form in which it is downloaded.
type reportFile struct{ Name, Label string }

// controlView is a control with its evidence.
type controlView struct {
	report.BodyControl

	Findings []findingOf
}

// findingOf is what a measurement came to, with when it was taken.
type findingOf struct {
	report.Finding

	Figure   string // with its population
	Expected string
	When     *ui.Moment
	Took     string
	Numbers  string // of the audit log
}

func (c *Console) showReport(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.report200(w, r, v, p, ui.Act{}, http.StatusOK)
}

func (c *Console) report200(w http.ResponseWriter, r *http.Request, v *visit, p *place, remove ui.Act, code int) {
	id, err := report.ParseID(r.PathValue("id"))
	var one report.Report
	if err == nil {
		one, err = c.reports.Get(r.Context(), p.sc, id)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	by, _, err := c.documents(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := reportView{Base: p.base, Report: c.madeReport(p, &one, by)}
	here := view.Report.Href
	view.Back = here
	if one.State == report.Done {
		opened, err := c.reports.Open(r.Context(), p.sc, id)
		switch {
		case errors.Is(err, report.ErrGone):
			problem, _ := problemOf(err)
			view.Gone = problem.Message
		case err != nil:
			c.fail(w, r, v, err)
			return
		default:
			view.fill(opened, r.URL.Query().Get("control"))
		}
	}
	if p.may(apikey.ScopeReportsManage) {
		remove.ID, remove.Title, remove.Button, remove.Action, remove.Danger, remove.Fresh = "delete", "Delete", "delete", here+"/delete", true, freshUntil(v)
		remove.Effects = []ui.Effect{
			{Icon: "trash", Text: "Its key is destroyed, and with it every file of it"},
			{Icon: "audit", Text: "That it was made, and its SHA-256, stay in the audit log"},
		}
		view.Delete = &remove
	}
	list := p.base + reportsPath
	view.Page = c.frame(w, r, v, p, view.Report.Title, list, ui.Link{Href: list, Label: "Compliance"})
	view.Page.Here, view.Page.Flush = here, view.Control != nil
	c.render(w, r, code, c.reportPage(view))
}

// fill takes what a report says, and the control that is looked into.
func (view *reportView) fill(o *report.Opened, control string) {
	view.Body, view.KID, view.Made = o.Body, o.KID, ui.At(o.Manifest.MadeAt)
	view.Report.Title, view.Report.Standard = o.Body.Catalogue.Title, o.Body.Catalogue.Standard
	view.Files = []reportFile{
		{report.PDFName, "PDF"}, {report.CSVName, "CSV of the controls"}, {report.JSONName, "JSON"}, {"", "Evidence bundle for an auditor (ZIP)"},
	}
	i := slices.IndexFunc(o.Body.Controls, func(one report.BodyControl) bool { return one.ID == control })
	if i < 0 {
		return
	}
	view.Control = &controlView{BodyControl: o.Body.Controls[i]}
	for _, f := range view.Control.BodyControl.Findings {
		one := findingOf{Finding: f, Figure: f.Text(), Expected: f.Expected()}
		if t := slices.IndexFunc(o.Manifest.Timings, func(t report.Timing) bool { return t.Measure == f.Measure }); t >= 0 {
			when := ui.At(o.Manifest.Timings[t].At)
			one.When, one.Took = &when, strconv.FormatInt(o.Manifest.Timings[t].Microseconds/1000, 10)+" ms"
		}
		switch {
		case f.Evidence.First != nil && f.Evidence.Last != nil:
			one.Numbers = groups(*f.Evidence.First) + " to " + groups(*f.Evidence.Last) + ", " + ui.Count(int(f.Evidence.Entries), "entry")
		default:
			one.Numbers = "None in the period"
		}
		view.Control.Findings = append(view.Control.Findings, one)
	}
}

func (c *Console) downloadReport(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	id, err := report.ParseID(r.PathValue("id"))
	var d *report.Download
	if err == nil {
		d, err = c.reports.Download(r.Context(), p.sc, id, r.PostFormValue("name"))
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	attachment(w, d.Type, d.Name)
	if _, err := w.Write(d.Body); err != nil { //nolint:gosec // an attachment, of a type of ours
		c.unwritten(r, err)
	}
}

func (c *Console) deleteReport(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act := actOf(r)
	id, err := report.ParseID(r.PathValue("id"))
	if err == nil {
		err = sensitive(v, act.Reason)
	}
	if err == nil {
		err = c.reports.Delete(r.Context(), p.sc, id, act.Reason)
	}
	if problem, code := c.inForm(r, err); problem != nil {
		act.Problem = problem
		c.report200(w, r, v, p, act, code)
		return
	}
	c.done(w, r, "reportDeleted", p.base+reportsPath)
}
