package console

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/report"
)

const cataloguesPath = reportsPath + "/catalogues"

// catalogueRoutes are the catalogues of controls that reports are made by.
func (c *Console) catalogueRoutes(mux *router) {
	base := Path + "/t/{slug}"
	mux.HandleFunc("GET "+base+cataloguesPath, c.inTenant(apikey.ScopeReportsRead, c.showCatalogues))
	mux.HandleFunc("GET "+base+reportsPath+"/measurements", c.inTenant(apikey.ScopeReportsRead, c.showMeasurements))
	mux.HandleFunc("GET "+base+reportsPath+"/new-catalogue", c.inTenant(apikey.ScopeReportsManage, c.showNewCatalogue))
	mux.HandleFunc("POST "+base+cataloguesPath, c.inTenant(apikey.ScopeReportsManage, c.addCatalogue))
	mux.HandleFunc("GET "+base+cataloguesPath+"/{name}", c.inTenant(apikey.ScopeReportsRead, c.showCatalogue))
	mux.HandleFunc("POST "+base+cataloguesPath+"/{name}/replace", c.inTenant(apikey.ScopeReportsManage, c.replaceCatalogue))
	mux.HandleFunc("POST "+base+cataloguesPath+"/{name}/delete", c.inTenant(apikey.ScopeReportsManage, c.deleteCatalogue))
}

// keptBy says who keeps a catalogue.
func keptBy(d *report.Document) (class, label string) {
	switch {
	case d.BuiltIn:
		return "plain", "The release’s"
	case d.Shared:
		return "info", "The installation’s"
	}
	return "ok", "Your own"
}

type cataloguesView struct {
	ui.Page

	Base string
	May  bool
	Rows []catalogueRow
	Own  int
}

type catalogueRow struct {
	report.Document

	Href         string
	Class, Whose string
}

func (c *Console) showCatalogues(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	_, list, err := c.documents(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + reportsPath
	view := cataloguesView{Page: c.frame(w, r, v, p, "Catalogues", here, ui.Link{Href: here, Label: "Compliance"}), Base: p.base, May: p.may(apikey.ScopeReportsManage)}
	view.Page.Here = p.base + cataloguesPath
	for i := range list {
		row := catalogueRow{Document: list[i], Href: p.base + cataloguesPath + "/" + list[i].Name}
		row.Class, row.Whose = keptBy(&list[i])
		if !list[i].BuiltIn && !list[i].Shared {
			view.Own++
		}
		view.Rows = append(view.Rows, row)
	}
	c.render(w, r, http.StatusOK, c.cataloguesPage(view))
}

type measurementsView struct {
	ui.Page

	Rows []report.Measurement
}

func (c *Console) showMeasurements(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	here := p.base + reportsPath
	view := measurementsView{
		Page: c.frame(w, r, v, p, "Measurements", here, ui.Link{Href: here, Label: "Compliance"}, ui.Link{Href: p.base + cataloguesPath, Label: "Catalogues"}), Rows: report.Measurements(),
	}
	view.Page.Here = here + "/measurements"
	c.render(w, r, http.StatusOK, c.measurementsPage(view))
}

// catalogueForm is a catalogue that is typed, pasted or picked.
type catalogueForm struct {
	Act      ui.Act
	Document ui.Input
	File     ui.Input
	ETag     string
	Near     []nearLine // around the line that is wrong
}

// nearLine is one of the lines around what is wrong.
type nearLine struct {
	Number string
	Text   string
	Wrong  bool
}

// around shows the line that is wrong among its neighbours.
func around(text string, line int) (near []nearLine) {
	lines := strings.Split(text, "\n")
	if line < 1 || line > len(lines) {
		return nil
	}
	for n := max(1, line-2); n <= min(len(lines), line+2); n++ {
		near = append(near, nearLine{groups(int64(n)), lines[n-1], n == line})
	}
	return near
}

const startOfCatalogue = `format: biocore-catalogue/1
name: our-controls
title: Our controls
standard: Our information security policy
version: '1'
lists: [members]
controls:
  - id: OUR-1
    section: People
    title: Few owners
    requirement: No more than three people hold every right.
    evidence:
      - {measure: members.owners, is: at most, value: 3}
`

func newCatalogueForm(act ui.Act, text, etag, at string, line int) catalogueForm {
	act.Files = true
	return catalogueForm{
		Act: act, ETag: etag, Near: around(text, line),
		Document: ui.Input{ID: at + "-document", Name: "document", Label: "The catalogue, YAML", Value: text, Rows: 18, Optional: true, Problem: act.Problem},
		File:     ui.Input{ID: at + "-file", Name: "file", Label: "Or a file in its place", Hint: "YAML, 128 KiB at most."},
	}
}

type newCatalogueView struct {
	ui.Page

	Form catalogueForm
}

func (c *Console) showNewCatalogue(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.newCatalogue(w, r, v, p, ui.Act{}, startOfCatalogue, 0, http.StatusOK)
}

func (c *Console) newCatalogue(w http.ResponseWriter, r *http.Request, v *visit, p *place, act ui.Act, text string, line, code int) {
	here := p.base + reportsPath
	act.ID, act.Action, act.Title, act.Button, act.Cancel, act.Fresh = "catalogue", p.base+cataloguesPath, "Add a catalogue", "add", p.base+cataloguesPath, freshUntil(v)
	act.Effects = []ui.Effect{
		{Icon: "filecheck", Text: "Reports can be made and scheduled by it at once"},
		{Icon: "lock", Text: "It holds no query of its own: measurements are the release’s"},
	}
	view := newCatalogueView{
		Page: c.frame(w, r, v, p, "New catalogue", here, ui.Link{Href: here, Label: "Compliance"}, ui.Link{Href: p.base + cataloguesPath, Label: "Catalogues"}),
		Form: newCatalogueForm(act, text, "", "new", line),
	}
	view.Page.Here = here + "/new-catalogue"
	c.render(w, r, code, c.newCataloguePage(view, here+"/measurements"))
}

// catalogueText is what was sent: the file, or else what was typed.
func catalogueText(r *http.Request) (string, error) {
	const large = 1 << 20                                                                        // in memory: more than the body may have
	if err := r.ParseMultipartForm(large); err != nil && !errors.Is(err, http.ErrNotMultipart) { //nolint:gosec // bodyLimit bounds it
		if _, is := errors.AsType[*http.MaxBytesError](err); is {
			return "", report.ErrCatalogueInvalid.WithMessage("the catalogue cannot be read: it has more than 128 KiB")
		}
		return "", errMalformed
	}
	text := r.PostFormValue("document")
	if file, head, err := r.FormFile("file"); err == nil {
		defer func() { _ = file.Close() }()
		if head.Size > 0 {
			sent, err := io.ReadAll(file)
			if err != nil {
				return "", errMalformed
			}
			text = string(sent)
		}
	}
	return strings.ReplaceAll(text, "\r\n", "\n"), nil // as browsers end the lines of a text area
}

// catalogueProblem puts a refusal at its field, and says in which line.
func (c *Console) catalogueProblem(r *http.Request, err error) (problem *ui.Problem, line, code int) {
	problem, code = c.reportProblem(r, err)
	if errors.Is(err, errWhy) || errors.Is(err, errStale) {
		problem, code = c.inForm(r, err)
	}
	if problem != nil && (errors.Is(err, report.ErrCatalogueInvalid) || errors.Is(err, report.ErrBuiltIn) || errors.Is(err, report.ErrShared) || errors.Is(err, report.ErrCatalogueTaken)) {
		problem.Field, line = "document", report.LineOf(err)
	}
	return problem, line, code
}

func (c *Console) addCatalogue(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	text, err := catalogueText(r)
	act := actOf(r)
	name := ""
	if err == nil {
		err = sensitive(v, act.Reason)
	}
	if err == nil {
		var parsed *report.Catalogue
		if parsed, err = report.ParseCatalogue([]byte(text)); err == nil {
			name = parsed.Name
			_, err = c.reports.PutCatalogue(r.Context(), p.sc, report.PutCatalogueRequest{Name: name, Text: text, New: true, Reason: act.Reason})
		}
	}
	if problem, line, code := c.catalogueProblem(r, err); problem != nil {
		act.Problem = problem
		c.newCatalogue(w, r, v, p, act, text, line, code)
		return
	}
	c.done(w, r, "saved", p.base+cataloguesPath+"/"+name)
}

// catalogueView is a catalogue as an auditor reads it.
type catalogueView struct {
	ui.Page

	Base         string
	Doc          *report.Document
	Class, Whose string
	By           string // who changed it last; empty but of the tenant's own
	SHA256       string
	Controls     []catalogueControl
	Measured     int    // controls that are
	Lists        string // that are printed at the end
	Measurements string // address of the page
	Change       *catalogueForm
	Delete       *ui.Act
}

type catalogueControl struct {
	report.Control

	Head     string // of its group; empty: as the one before
	Evidence []expected
}

// expected is a measurement and what it is held to.
type expected struct {
	report.Measurement

	Held string
}

// basisOf says what a measurement looks at.
func basisOf(b report.Basis) string {
	switch b {
	case report.OfPeriod:
		return "what was recorded in the period"
	case report.OfLog:
		return "audit entries of the period"
	case report.OfState:
	}
	return "what is stored when the report is made"
}

// nearText is a line as it is shown beside what is wrong.
func nearText(l nearLine) string {
	mark := "  "
	if l.Wrong {
		mark = "▸ "
	}
	return mark + strings.Repeat(" ", max(0, 4-len(l.Number))) + l.Number + "  " + l.Text
}

// catalogueActs is what was typed into the forms of the page.
type catalogueActs struct {
	change, remove ui.Act
	text           *string // nil: as it is stored
	etag           string
	line           int
}

func (c *Console) showCatalogue(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.catalogue200(w, r, v, p, catalogueActs{}, http.StatusOK)
}

func (c *Console) catalogue200(w http.ResponseWriter, r *http.Request, v *visit, p *place, acts catalogueActs, code int) {
	doc, err := c.reports.GetCatalogue(r.Context(), p.sc, r.PathValue("name"))
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	sum := sha256.Sum256([]byte(doc.Text))
	here := p.base + reportsPath
	view := catalogueView{Base: p.base, Doc: doc, SHA256: hex.EncodeToString(sum[:]), Measurements: here + "/measurements"}
	view.Class, view.Whose = keptBy(doc)
	view.fill(doc)
	if !doc.BuiltIn && !doc.Shared {
		names, err := c.names(r.Context(), []uuid.UUID{who(doc.UpdatedBy)})
		if err != nil {
			c.fail(w, r, v, err)
			return
		}
		view.By = whoLabel(doc.UpdatedBy, names)
		if p.may(apikey.ScopeReportsManage) {
			view.forms(doc, p.base+cataloguesPath+"/"+doc.Name, freshUntil(v), acts)
		}
	}
	view.Page = c.frame(w, r, v, p, doc.Title, here, ui.Link{Href: here, Label: "Compliance"}, ui.Link{Href: p.base + cataloguesPath, Label: "Catalogues"})
	view.Page.Here = p.base + cataloguesPath + "/" + doc.Name
	c.render(w, r, code, c.cataloguePage(view))
}

// fill says each control with what shows it.
func (view *catalogueView) fill(doc *report.Document) {
	known := report.Measurements()
	for i := range doc.Controls {
		one := catalogueControl{Control: doc.Controls[i]}
		if i == 0 || doc.Controls[i-1].Section != one.Section {
			one.Head = one.Section
		}
		for _, e := range one.Control.Evidence {
			if at := slices.IndexFunc(known, func(m report.Measurement) bool { return m.Name == e.Measure }); at >= 0 {
				one.Evidence = append(one.Evidence, expected{known[at], string(e.Is) + " " + groups(e.Value) + " " + known[at].Unit})
			}
		}
		if len(one.Evidence) > 0 {
			view.Measured++
		}
		view.Controls = append(view.Controls, one)
	}
	titles := make([]string, len(doc.Lists))
	for i, name := range doc.Lists {
		titles[i] = report.ListTitle(name)
	}
	view.Lists = strings.Join(titles, ", ")
}

func (view *catalogueView) forms(doc *report.Document, at, fresh string, acts catalogueActs) {
	change, remove, text, tag := acts.change, acts.remove, doc.Text, doc.ETag
	if acts.text != nil {
		text, tag = *acts.text, acts.etag
	}
	change.ID, change.Action, change.Title, change.Button, change.Fresh = "change", at+"/replace", "Replace it", "replace", fresh
	change.Effects = []ui.Effect{
		{Icon: "filecheck", Text: "Reports that are made keep what they were made by: each names its SHA-256"},
		{Icon: "timer", Text: "What is scheduled is made by the new one"},
	}
	remove.ID, remove.Action, remove.Title, remove.Button, remove.Danger, remove.Fresh = "delete", at+"/delete", "Delete it", "delete", true, fresh
	remove.Effects = []ui.Effect{{Icon: "trash", Text: "No report is made by it any more. Those that are made stay"}}
	form := newCatalogueForm(change, text, tag, "change", acts.line)
	view.Change, view.Delete = &form, &remove
}

func (c *Console) replaceCatalogue(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	text, err := catalogueText(r)
	acts := catalogueActs{change: actOf(r), text: &text, etag: r.PostFormValue("etag")}
	if err == nil {
		err = sensitive(v, acts.change.Reason)
	}
	if err == nil {
		_, err = c.reports.PutCatalogue(r.Context(), p.sc, report.PutCatalogueRequest{Name: r.PathValue("name"), Text: text, IfMatch: orElse(acts.etag, "none"), Reason: acts.change.Reason})
	}
	problem, line, code := c.catalogueProblem(r, err)
	if problem != nil {
		if errors.Is(err, etag.ErrMismatch) {
			problem.Title, problem.Message, code = "It was changed meanwhile", "Somebody has replaced it since you opened this page. What you typed is still here: open the page anew to compare.", http.StatusConflict
		}
		acts.change.Problem, acts.line = problem, line
		c.catalogue200(w, r, v, p, acts, code)
		return
	}
	c.done(w, r, "saved", p.base+cataloguesPath+"/"+r.PathValue("name"))
}

func (c *Console) deleteCatalogue(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	acts := catalogueActs{remove: actOf(r)}
	err := sensitive(v, acts.remove.Reason)
	if err == nil {
		err = c.reports.DeleteCatalogue(r.Context(), p.sc, r.PathValue("name"), "", acts.remove.Reason)
	}
	if problem, code := c.inForm(r, err); problem != nil {
		acts.remove.Problem = problem
		c.catalogue200(w, r, v, p, acts, code)
		return
	}
	c.done(w, r, "catalogueDeleted", p.base+cataloguesPath)
}
