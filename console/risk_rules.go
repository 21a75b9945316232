package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
)

// riskDraft is what the editor's form says.
type riskDraft struct {
	view         string    // form or json
	form         *riskForm // nil where the text is the draft
	document     string    // the text
	days, reason string
	base         int    // the version that it was begun from
	etag         string // of that
	focus        string // the input to go to
}

func riskDraftOf(r *http.Request) riskDraft {
	_ = r.ParseForm()
	d := riskDraft{view: "json", days: strings.TrimSpace(r.PostFormValue("days")), reason: clean(r.PostFormValue("reason")), etag: r.PostFormValue("etag")}
	d.base, _ = strconv.Atoi(r.PostFormValue("base"))
	if r.PostFormValue("from") == "form" {
		d.view, d.form = "form", riskFormOf(r)
	} else {
		d.document = strings.ReplaceAll(r.PostFormValue("document"), "\r\n", "\n")
	}
	return d
}

// parse reads the draft as rules. risk.ErrInvalid.
func (d *riskDraft) parse() (risk.Document, error) {
	if d.form == nil {
		ready, err := risk.Parse([]byte(d.document))
		if err != nil {
			return risk.Document{}, err
		}
		return ready.Document, nil
	}
	doc, err := d.form.document()
	if err != nil {
		return doc, err
	}
	ready, err := risk.Compile(doc)
	if err != nil {
		return doc, err
	}
	return ready.Document, nil
}

// turn shows the draft another way.
func (d *riskDraft) turn(view string, doc *risk.Document) {
	d.view, d.form, d.document = view, nil, ""
	if view == "form" {
		d.form = riskFormFrom(doc)
	} else {
		d.document = riskText(doc)
	}
}

// riskRulesView is the editor.
type riskRulesView struct {
	ui.Page

	Base     string
	May      bool
	Now      riskVersionRow
	View     string
	BaseOf   int
	ETag     string
	Count    string // of the rows
	Document string
	Focus    string

	Mode, StepUp, Deny, Caller ui.Input
	Rules                      []ruleInputs
	Weights                    []weightInput
	OpenWeights                bool
	Variables                  []risk.VariableInfo

	Problem  *ui.Problem
	Path     string // of what is wrong, where the form has no field for it
	Conflict *conflictView
	Changed  bool
	Left     string
	Right    string
	Diff     []diffRow
	Changes  int
	Days     string
	Tested   *backtestView
	TryError *ui.Problem
	Reason   string
	Fresh    string
}

func (c *Console) showRiskRules(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	now, err := c.risk.Rules(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	d := riskDraft{base: now.Version, etag: now.ETag}
	d.turn("form", &now.Document)
	if r.URL.Query().Get("view") == "json" {
		d.turn("json", &now.Document)
	}
	c.riskRules200(w, r, v, p, d, riskRulesView{}, http.StatusOK)
}

// draftRiskRules does what a button of the editor says, and keeps nothing.
func (c *Console) draftRiskRules(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	d := riskDraftOf(r)
	do := r.PostFormValue("do")
	if d.form != nil && (do == "add" || strings.Contains(do, ":")) {
		d.focus = d.form.change(do) // what is being typed need not be right yet
		c.riskRules200(w, r, v, p, d, riskRulesView{}, http.StatusOK)
		return
	}
	doc, err := d.parse()
	if err != nil {
		c.refusedRiskRules(w, r, v, p, d, err)
		return
	}
	view := riskRulesView{}
	switch do {
	case "form", "json":
		d.turn(do, &doc)
	case "try":
		days, err := strconv.Atoi(d.days)
		if err != nil {
			days = -1 // which risk.ErrDays refuses
		}
		if view.Tested, view.TryError, err = c.backtest(r.Context(), p, &doc, days); err != nil {
			c.fail(w, r, v, err)
			return
		}
	}
	c.riskRules200(w, r, v, p, d, view, http.StatusOK)
}

// refusedRiskRules shows a draft as it was typed, with what is wrong where it is.
func (c *Console) refusedRiskRules(w http.ResponseWriter, r *http.Request, v *visit, p *place, d riskDraft, err error) {
	problem, code := c.inForm(r, err)
	view := riskRulesView{Problem: problem}
	if f, ok := fault.As(err); ok && errors.Is(err, risk.ErrInvalid) {
		problem.Title, problem.Message, problem.Field, view.Path = "Something is wrong with these rules", sentence(f.Message), inputOf(fieldOf(err)), fieldOf(err)
		if d.form == nil {
			problem.Field = "document"
		}
	}
	c.riskRules200(w, r, v, p, d, view, code)
}

// riskRules200 shows the editor with a draft. view holds what is known already.
func (c *Console) riskRules200(w http.ResponseWriter, r *http.Request, v *visit, p *place, d riskDraft, view riskRulesView, status int) {
	now, err := c.risk.Rules(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	rows, err := c.riskVersionRows(r.Context(), []risk.RulesVersion{now})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + riskRulesPath
	view.Base, view.May, view.Now, view.BaseOf, view.ETag, view.View, view.Days, view.Reason, view.Fresh = p.base, p.may(apikey.ScopeRiskWrite), rows[0], d.base, d.etag, d.view, d.days, d.reason, freshUntil(v)
	view.Document, view.Focus, view.Variables = d.document, d.focus, risk.Variables()
	if view.Days == "" {
		view.Days = "30"
	}
	if f := d.form; f != nil {
		in := func(name, label, hint, value string) ui.Input {
			return ui.Input{ID: name, Name: name, Label: label, Hint: hint, Value: value, Problem: view.Problem}
		}
		view.Mode = in("mode", "Mode", "", f.Mode)
		view.StepUp = in("stepUpScore", "Step-up from", "", f.StepUp)
		view.Deny = in("denyScore", "Deny from", "", f.Deny)
		view.Caller = in("callerWeights", "Points", "One to a line, such as botScore = 30. A yes is all of it, a number between 0 and 1 its part.", f.Caller)
		view.Caller.Rows, view.Caller.Optional = 4, true
		view.Rules, view.Weights, view.Count = f.ruleInputs(view.Problem), f.weightInputs(view.Problem), strconv.Itoa(len(f.Rules))
		view.OpenWeights = len(f.Weights) > 0 || strings.HasPrefix(view.Path, "weights")
	}
	if doc, err := d.parse(); err == nil {
		was, is := riskText(&now.Document), riskText(&doc)
		if view.Changed = was != is; view.Changed {
			view.Left, view.Right = inForce(now.Version), "Draft"
			view.Diff, view.Changes = diffLines(was, is)
		}
	} else {
		view.Changed = true
	}
	view.Page = c.frame(w, r, v, p, "Rules", p.base+riskPath, ui.Link{Href: p.base + riskPath, Label: "Risk"})
	view.Page.Here = here
	c.render(w, r, status, c.riskRulesPage(view))
}

// inForce is what the version in force is called.
func inForce(version int) string {
	if version == 0 {
		return "Nothing saved yet"
	}
	return "v" + strconv.Itoa(version) + ", in force"
}

func (c *Console) saveRiskRules(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	d := riskDraftOf(r)
	doc, err := d.parse()
	if err != nil {
		c.refusedRiskRules(w, r, v, p, d, err)
		return
	}
	var put risk.RulesVersion
	if err = sensitive(v, d.reason); err == nil && d.etag == "" {
		err = errMalformed // nobody overwrites what they have not seen
	}
	if err == nil {
		put, err = c.risk.PutRules(r.Context(), p.sc, risk.PutRulesRequest{Document: doc.JSON(), Reason: d.reason, IfMatch: d.etag})
	}
	switch problem, code := c.inForm(r, err); {
	case problem == nil && put.Version == d.base:
		c.done(w, r, "riskSame", p.base+riskPath)
	case problem == nil:
		c.done(w, r, "riskSaved", p.base+riskPath)
	case errors.Is(err, etag.ErrMismatch):
		c.riskConflict(w, r, v, p, d)
	default:
		c.riskRules200(w, r, v, p, d, riskRulesView{Problem: problem}, code)
	}
}

// riskConflict shows what somebody else has saved since the draft was begun. The draft stays, and goes by what is in force now:
// who saves it again has seen the difference.
func (c *Console) riskConflict(w http.ResponseWriter, r *http.Request, v *visit, p *place, d riskDraft) {
	ctx := r.Context()
	now, err := c.risk.Rules(ctx, p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	was := risk.RulesVersion{Document: risk.Default()}
	if d.base > 0 {
		if was, err = c.risk.RulesVersion(ctx, p.sc, d.base); err != nil {
			c.fail(w, r, v, err)
			return
		}
	}
	rows, err := c.riskVersionRows(ctx, []risk.RulesVersion{now})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := riskRulesView{Conflict: &conflictView{By: rows[0].By, Version: now.Version, Was: d.base}}
	view.Conflict.Rows, _ = diffLines(riskText(&was.Document), riskText(&now.Document))
	d.base, d.etag = now.Version, now.ETag
	c.riskRules200(w, r, v, p, d, view, http.StatusConflict)
}

// unchanged says what is still in force.
func unchanged(version int) string {
	if version == 0 {
		return "risk is off, as before."
	}
	return "v" + strconv.Itoa(version) + " stays in force."
}
