package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/simulation"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

const policiesPath = "/policies"

// policyRoutes are the policy of a tenant. A draft is kept nowhere: it goes from page to
// page in the form (ADR-0045).
func (c *Console) policyRoutes(mux *router) {
	base := Path + "/t/{slug}" + policiesPath
	reads, writes := apikey.ScopePolicyRead, apikey.ScopePolicyWrite
	mux.HandleFunc("GET "+base, c.inTenant(reads, c.showPolicy))
	mux.HandleFunc("GET "+base+activityPath, c.inTenant(reads, c.showPolicy))
	mux.HandleFunc("POST "+base+"/draft", c.inTenant(reads, c.draftPolicy))
	mux.HandleFunc("POST "+base+"/check", c.inTenant(reads, c.checkPolicy))
	mux.HandleFunc("POST "+base+"/affected", c.inTenant(reads, c.exportAffected))
	mux.HandleFunc("POST "+base+"/activate", c.inTenant(writes, c.activatePolicy))
	mux.HandleFunc("GET "+base+"/versions", c.inTenant(reads, c.showPolicyVersions))
	mux.HandleFunc("GET "+base+"/versions/export", c.inTenant(reads, c.exportPolicyVersions))
	mux.HandleFunc("GET "+base+"/versions/{version}", c.inTenant(reads, c.showPolicyVersion))
	mux.HandleFunc("POST "+base+"/versions/{version}/rollback", c.inTenant(writes, c.rollbackPolicy))
}

// policyView is the policy, and a draft of the next one.
type policyView struct {
	ui.Page
	withActivity

	Base     string
	May      bool
	Now      versionRow
	BaseOf   int    // the version that the draft was begun from
	View     string // form or json
	Groups   []settingGroup
	Document string // the draft's text, as it was typed
	Problem  *ui.Problem
	Place    policy.Place // of the problem
	Changed  bool         // the draft is no longer what is in force
	Left     string       // names of both sides of Diff
	Right    string
	Diff     []diffRow
	Changes  int
	Days     string
	Tried    *triedView
	TryError *ui.Problem
	Reason   string
	Fresh    string
	Conflict *conflictView
}

// conflictView says what somebody else has put in force meanwhile.
type conflictView struct {
	By      string
	Version int
	Rows    []diffRow
	Was     int
}

// draft is what a form of the editor says.
type draft struct {
	view, document, days, reason string
	base                         int
	settings                     map[string]string // by the names of fields; nil where the text is the draft
}

func pretty(d *policy.Document) (string, error) {
	text, err := d.Complete()
	if err != nil {
		return "", err
	}
	return indented(text), nil
}

// indented is JSON with a field a line, lists of short values in one.
func indented(text []byte) string {
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return string(text)
	}
	return out.String()
}

func (c *Console) showPolicy(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	now, err := c.tenants.Policy(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	text, err := pretty(&now.Document)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.policy200(w, r, v, p, draft{view: r.URL.Query().Get("view"), document: text, base: now.Version}, policyView{}, http.StatusOK)
}

// draftOf reads the editor's form.
func draftOf(r *http.Request) draft {
	_ = r.ParseForm()
	d := draft{
		view: r.PostFormValue("view"), document: strings.ReplaceAll(r.PostFormValue("document"), "\r\n", "\n"), days: r.PostFormValue("days"), reason: clean(r.PostFormValue("reason")),
	}
	d.base, _ = strconv.Atoi(r.PostFormValue("base"))
	if r.PostFormValue("from") == "form" {
		d.settings = map[string]string{}
		for _, s := range allSettings() {
			d.settings[s.Name] = r.PostFormValue("set-" + s.Name)
		}
	}
	return d
}

// parse reads the draft as a policy. Of a form, the settings that were changed go into the text.
func (d *draft) parse() error {
	if d.settings != nil {
		text, err := applySettings(d.document, d.settings)
		if err != nil {
			return err
		}
		d.document = text
	}
	doc, err := policy.Parse([]byte(d.document))
	if err != nil {
		return err
	}
	if d.settings != nil {
		d.document, err = pretty(&doc)
	}
	return err
}

func (c *Console) draftPolicy(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	d := draftOf(r)
	to := r.PostFormValue("to") // form, json, review or simulate
	err := d.parse()
	if err != nil {
		c.refusedDraft(w, r, v, p, d, err)
		return
	}
	if to == "form" || to == "json" {
		d.view = to
	}
	view := policyView{}
	if to == "simulate" {
		view.Tried, err = c.try(r.Context(), p, &d)
		if err != nil {
			problem, code := problemOf(err)
			c.logFailure(r, code, err)
			view.TryError = &problem
		}
	}
	d.settings = nil
	c.policy200(w, r, v, p, d, view, http.StatusOK)
}

// refusedDraft shows a draft that is no policy, as it was typed, with what is wrong where it
// is.
func (c *Console) refusedDraft(w http.ResponseWriter, r *http.Request, v *visit, p *place, d draft, err error) {
	problem, code := c.inForm(r, err)
	view := policyView{Problem: problem}
	if f, ok := fault.As(err); ok && errors.Is(err, policy.ErrInvalid) {
		view.Place = policy.Locate([]byte(d.document), err)
		problem.Title, problem.Message = "The draft is no policy", sentence(f.Message)
		problem.Field = "document"
		if d.settings != nil && view.Place.Field != "" {
			problem.Field = "set-" + view.Place.Field
		}
	}
	c.policy200(w, r, v, p, d, view, code)
}

// policy200 shows the editor with a draft. view holds what is known already.
func (c *Console) policy200(w http.ResponseWriter, r *http.Request, v *visit, p *place, d draft, view policyView, status int) {
	ctx := r.Context()
	now, err := c.tenants.Policy(ctx, p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	rows, err := c.versionRows(ctx, []tenant.PolicyVersion{now})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	active, err := pretty(&now.Document)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + policiesPath
	view.Page = c.frame(w, r, v, p, "Policy", here)
	view.Page.Here = here
	view.withActivity, err = c.activity(r, p, here, about{kind: "tenant", id: p.sc.Tenant().String(), actions: []string{"policy.update"}}, ui.Tab{Href: here, Label: "Policy", Here: !asksActivity(r, here)})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view.Base, view.May, view.Now, view.BaseOf, view.Document, view.Days = p.base, p.may(apikey.ScopePolicyWrite), rows[0], d.base, d.document, d.days
	view.Fresh, view.Reason, view.View = freshUntil(v), d.reason, "form"
	if d.view == "json" {
		view.View = "json"
	}
	if view.Days == "" {
		view.Days = "14"
	}
	shown := d.document
	if doc, err := policy.Parse([]byte(d.document)); err == nil {
		if shown, err = pretty(&doc); err != nil {
			c.fail(w, r, v, err)
			return
		}
		view.Changed = shown != active
	} else if view.Problem != nil && d.settings == nil {
		view.View = "json"
	}
	if view.Changed {
		view.Left, view.Right = "v"+strconv.Itoa(now.Version)+", active", "Draft"
		view.Diff, view.Changes = diffLines(active, shown)
	}
	if view.View == "form" {
		view.Groups = settingGroups(active, shown, d.settings, view.Problem)
	}
	c.render(w, r, status, c.policyPage(view))
}

// checkPolicy tells a page's script what is wrong with a text, as somebody types.
func (c *Console) checkPolicy(w http.ResponseWriter, r *http.Request, _ *visit, _ *place) {
	in, err := read[struct {
		Document string `json:"document"`
	}](r)
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	type checked struct {
		Message string `json:"message,omitempty"`
		Field   string `json:"field,omitempty"`
		Line    int    `json:"line,omitempty"`
		Column  int    `json:"column,omitempty"`
	}
	var out checked
	if _, err := policy.Parse([]byte(in.Document)); err != nil {
		at := policy.Locate([]byte(in.Document), err)
		out = checked{Message: "That did not work.", Field: at.Field, Line: at.Line, Column: at.Column}
		if f, ok := fault.As(err); ok {
			out.Message = sentence(f.Message)
		}
	}
	c.reply(w, r, http.StatusOK, out)
}

// triedView is what a draft would have done.
type triedView struct {
	Days       string
	Since      ui.Moment
	Ceremonies int
	All        bool
	Rows       []triedRow
	Bar        []ui.Part
	Widened    bool
	Why        []ui.Effect // Icon is the count
	Who        []whoRow
	More       int // of Who that are not shown
	Reached    int
	Denied     int
	Apart      int
	Incomplete int
	Standing   simulation.Standing
}

type triedRow struct {
	Label, Class string
	Count        int
	Share        string
}

type whoRow struct {
	ID, Name, Model string
	Face            modelFace
	Cause           string
	Count           int
	Before, After   policy.Outcome
}

var outcomeBadges = map[policy.Outcome]struct{ class, label string }{
	policy.Allow: {"ok", "Allowed"}, policy.StepUp: {"warn", "Step-up"}, policy.Deny: {"bad", "Denied"},
}

// shownWho is how many of those affected a page shows; the CSV has all that a simulation lists.
const shownWho = 20

func (c *Console) try(ctx context.Context, p *place, d *draft) (*triedView, error) {
	days, err := strconv.Atoi(d.days)
	if err != nil {
		return nil, simulation.ErrDays
	}
	res, err := c.simulations.Simulate(ctx, p.sc, simulation.Request{Document: []byte(d.document), Days: days})
	if err != nil {
		return nil, err
	}
	t := &triedView{
		Days: d.days, Since: ui.At(res.Since), Ceremonies: res.Ceremonies, All: res.All, Reached: res.Reached, Denied: res.Denied,
		Apart: res.Apart, Incomplete: res.Incomplete, Standing: res.Standing, More: max(0, len(res.Who)-shownWho),
	}
	counts := map[policy.Outcome]int{}
	why := map[string]int{}
	severity := []policy.Outcome{policy.Allow, policy.StepUp, policy.Deny}
	for _, ch := range res.Changes {
		if slices.Index(severity, ch.After) <= slices.Index(severity, ch.Before) {
			counts[policy.Allow] += ch.Count
			continue
		}
		counts[ch.After] += ch.Count
		for _, reason := range ch.Reasons {
			why[reason.ID] += reason.Count
		}
	}
	for _, one := range []struct {
		outcome      policy.Outcome
		label, class string
	}{{policy.Allow, "Unaffected", "c2"}, {policy.StepUp, "Stepped up", "c3"}, {policy.Deny, "Denied", "c4"}} {
		row := triedRow{Label: one.label, Class: one.class, Count: counts[one.outcome]}
		share := 0.0
		if res.Ceremonies > 0 {
			share = float64(row.Count) / float64(res.Ceremonies)
		}
		row.Share = ui.Percent(share)
		if row.Count > 0 && share < 0.02 { // what is there can be seen
			share, t.Widened = 0.02, true
		}
		t.Rows, t.Bar = append(t.Rows, row), append(t.Bar, ui.Part{Name: one.label, Class: one.class, Value: ui.Thousands(row.Count), Share: share})
	}
	t.Bar[0].Share = max(0, 1-t.Bar[1].Share-t.Bar[2].Share)
	for reason, n := range why {
		t.Why = append(t.Why, ui.Effect{Text: reasonWords(reason), Icon: ui.Thousands(n)})
	}
	slices.SortFunc(t.Why, func(a, b ui.Effect) int { return why2(b, why) - why2(a, why) })
	t.Who, err = c.whoRows(ctx, p, res.Who[:min(len(res.Who), shownWho)])
	return t, err
}

func why2(e ui.Effect, counts map[string]int) int {
	for reason, n := range counts {
		if reasonWords(reason) == e.Text {
			return n
		}
	}
	return 0
}

// reasonWords is a reason of a decision, for people; its own name where there are none.
func reasonWords(reason string) string {
	words := strings.ToLower(strings.ReplaceAll(reason, "_", " "))
	if words == "" {
		return words
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

func (c *Console) whoRows(ctx context.Context, p *place, list []simulation.Who) ([]whoRow, error) {
	rows := make([]whoRow, len(list))
	known := map[uuid.UUID]string{}
	for i, one := range list {
		name, ok := known[one.User]
		if !ok {
			switch u, err := c.users.Get(ctx, p.sc, user.ID(one.User)); {
			case err == nil:
				name = u.Name
			case errors.Is(err, user.ErrNotFound):
				name = "Removed user"
			default:
				return nil, err
			}
			known[one.User] = name
		}
		rows[i] = whoRow{
			ID: one.User.String(), Name: name, Model: authenticator.Describe(one.Authenticator, c.metadata(), authenticator.Traits{}), Count: one.Count,
			Face: c.faceOf(one.Authenticator, authenticator.Traits{}), Before: one.Before, After: one.After,
		}
		if len(one.Reasons) > 0 {
			rows[i].Cause = reasonWords(one.Reasons[0])
		}
	}
	return rows, nil
}

// exportAffected is who a draft would have reached, as CSV: the draft comes in the form.
func (c *Console) exportAffected(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	d := draftOf(r)
	if err := d.parse(); err != nil {
		c.refusedDraft(w, r, v, p, d, err)
		return
	}
	days, err := strconv.Atoi(d.days)
	if err != nil {
		c.fail(w, r, v, simulation.ErrDays)
		return
	}
	res, err := c.simulations.Simulate(r.Context(), p.sc, simulation.Request{Document: []byte(d.document), Days: days})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.export(w, r, v, exported{
		Name: "affected", Columns: []string{"userId", "user", "authenticator", "cause", "ceremonies", "before", "after"},
		Next: func(string) ([][]string, string, error) {
			rows, err := c.whoRows(r.Context(), p, res.Who)
			out := make([][]string, len(rows))
			for i, row := range rows {
				out[i] = []string{row.ID, row.Name, row.Model, row.Cause, strconv.Itoa(row.Count), string(row.Before), string(row.After)}
			}
			return out, "", err
		},
	})
}

func (c *Console) activatePolicy(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	d := draftOf(r)
	if err := d.parse(); err != nil {
		c.refusedDraft(w, r, v, p, d, err)
		return
	}
	err := sensitive(v, d.reason)
	if err == nil {
		err = c.putPolicy(r.Context(), p, d)
	}
	switch problem, code := c.inForm(r, err); {
	case problem == nil:
		c.done(w, r, "activated", p.base+policiesPath)
	case errors.Is(err, etag.ErrMismatch):
		c.conflict(w, r, v, p, d)
	default:
		c.policy200(w, r, v, p, d, policyView{Problem: problem}, code)
	}
}

// putPolicy puts a draft in force, if that is still the policy which it was made from.
func (c *Console) putPolicy(ctx context.Context, p *place, d draft) error {
	from, err := c.tenants.PolicyVersion(ctx, p.sc, d.base)
	if err != nil {
		return err
	}
	_, err = c.tenants.PutPolicy(ctx, p.sc, tenant.PutPolicyRequest{Document: []byte(d.document), Reason: d.reason, IfMatch: from.ETag})
	return err
}

// conflict shows what somebody else has changed since the draft was begun. The draft stays,
// and goes by what is in force now: who sends it again has seen the difference.
func (c *Console) conflict(w http.ResponseWriter, r *http.Request, v *visit, p *place, d draft) {
	ctx := r.Context()
	was, err := c.tenants.PolicyVersion(ctx, p.sc, d.base)
	if err == nil {
		var now tenant.PolicyVersion
		if now, err = c.tenants.Policy(ctx, p.sc); err == nil {
			var view policyView
			if view.Conflict, err = c.conflictOf(ctx, &was, &now); err == nil {
				d.base = now.Version
				c.policy200(w, r, v, p, d, view, http.StatusConflict)
				return
			}
		}
	}
	c.fail(w, r, v, err)
}

func (c *Console) conflictOf(ctx context.Context, was, now *tenant.PolicyVersion) (*conflictView, error) {
	rows, err := c.versionRows(ctx, []tenant.PolicyVersion{*now})
	if err != nil {
		return nil, err
	}
	before, err := pretty(&was.Document)
	if err != nil {
		return nil, err
	}
	after, err := pretty(&now.Document)
	if err != nil {
		return nil, err
	}
	out := &conflictView{By: rows[0].By, Version: now.Version, Was: was.Version}
	out.Rows, _ = diffLines(before, after)
	return out, nil
}

// versionRow is a version in a list.
type versionRow struct {
	Version int
	By      string
	At      ui.Moment
	First   bool // the platform's: nobody made it
	Now     bool
	Fields  []string // that it changed, of the one before
}
