package console

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/blastradius"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/policy"
)

const modelsPath = "/authenticators"

func (c *Console) authenticatorRoutes(mux *http.ServeMux) {
	base := Path + "/t/{slug}" + modelsPath
	reads, writes := apikey.ScopeAuthenticatorsRead, apikey.ScopeAuthenticatorsWrite
	mux.HandleFunc("GET "+base, c.inTenant(reads, c.showModels))
	mux.HandleFunc("GET "+base+"/all", c.inTenant(reads, c.showAllModels))
	mux.HandleFunc("GET "+base+"/roots", c.inTenant(apikey.ScopeAttestationRootsRead, c.showRoots))
	mux.HandleFunc("POST "+base+"/roots", c.inTenant(apikey.ScopeAttestationRootsWrite, c.addRoot))
	mux.HandleFunc("GET "+base+"/roots/{id}/remove", c.inTenant(apikey.ScopeAttestationRootsWrite, c.showRemoveRoot))
	mux.HandleFunc("POST "+base+"/roots/{id}/remove", c.inTenant(apikey.ScopeAttestationRootsWrite, c.removeRoot))
	mux.HandleFunc("GET "+base+"/{aaguid}", c.inTenant(reads, c.showModel))
	mux.HandleFunc("GET "+base+"/{aaguid}"+activityPath, c.inTenant(reads, c.showModel))
	mux.HandleFunc("POST "+base+"/{aaguid}/dispose", c.inTenant(writes, c.disposeModel))
	mux.HandleFunc("POST "+base+"/{aaguid}/policy", c.inTenant(apikey.ScopePolicyRead, c.draftOfModel))
}

func (p *place) modelTabs(here string) []ui.Tab {
	tabs := []ui.Tab{
		{Href: p.base + modelsPath, Label: "In use", Here: here == "used"},
		{Href: p.base + modelsPath + "/all", Label: "All models", Here: here == "all"},
	}
	if p.may(apikey.ScopeAttestationRootsRead) {
		tabs = append(tabs, ui.Tab{Href: p.base + modelsPath + "/roots", Label: "Trusted roots", Here: here == "roots"})
	}
	return tabs
}

// metadataView says how old what is known of models is.
type metadataView struct {
	Has    bool
	Number int
	Due    ui.Moment
	Late   bool
}

func (c *Console) metadataView() metadataView {
	snap := c.metadata()
	if snap == nil {
		return metadataView{}
	}
	due := ui.At(snap.NextUpdate)
	late := snap.NextUpdate.Before(c.now())
	if late {
		due = ui.Ago(snap.NextUpdate, c.now())
	} else {
		due.Text, due.Clock = "in "+ui.Left(snap.NextUpdate.Sub(c.now())), false
	}
	return metadataView{Has: true, Number: snap.Number, Due: due, Late: late}
}

// modelRow is a model in a list.
type modelRow struct {
	ID, Name             string
	Face                 modelFace
	Certification        string
	Reports              []string
	Credentials, Users   int
	Proven               int
	Unknown              bool // the credentials say nothing of their model
	Denied, AllowedAlone bool // by the policy
}

func certificationLabel(level string) string {
	if level == "" {
		return "Not certified"
	}
	level = strings.ReplaceAll(strings.TrimPrefix(level, "FIDO_CERTIFIED"), "plus", "+")
	if level == "" {
		return "FIDO certified"
	}
	return "FIDO " + strings.TrimPrefix(level, "_")
}

// modelOf is what the metadata and the policy say of a model.
func (c *Console) modelOf(aaguid uuid.UUID, doc *policy.Document) modelRow {
	row := modelRow{ID: aaguid.String(), Name: authenticator.Describe(aaguid, c.metadata(), authenticator.Traits{}), Face: c.faceOf(aaguid, authenticator.Traits{}), Certification: "Not in the metadata", Unknown: aaguid == uuid.Nil}
	if m, ok := c.models.Lookup(aaguid); ok {
		row.Certification, row.Reports = certificationLabel(m.Certification), m.Reports
	}
	row.Denied = slices.Contains(doc.AuthenticatorsDenied, row.ID)
	row.AllowedAlone = slices.Contains(doc.AuthenticatorsAllowed, row.ID)
	return row
}

type modelsView struct {
	ui.Page

	Base     string
	Tabs     []ui.Tab
	Meta     metadataView
	Models   []modelRow
	Columns  ui.Columns
	Filters  ui.Filters
	Pager    ui.Pager
	All      bool
	Lists    bool // the policy names the only models that may enroll
	Reported int
}

func (c *Console) showModels(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	list, err := c.blast.Models(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	now, err := c.tenants.Policy(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := modelsView{
		Page: c.frame(w, r, v, p, "Authenticators", p.base+modelsPath), Base: p.base, Tabs: p.modelTabs("used"), Meta: c.metadataView(), Lists: len(now.Document.AuthenticatorsAllowed) > 0,
		Pager: ui.Pager{Says: ui.Count(len(list), "model")},
	}
	view.Columns = columnsOf(r, v, addressOf(r), "models",
		ui.Column{Label: "Model"}, ui.Column{Label: "Status", Name: "state"}, ui.Column{Label: "Certification", Class: "opt", Name: "certification"},
		ui.Column{Label: "Passkeys", Class: "num", Name: "passkeys"}, ui.Column{Label: "Proven", Class: "num opt", Name: "proven"}, ui.Column{Label: "Users", Class: "num opt", Name: "users"})
	for _, m := range list {
		row := c.modelOf(m.AAGUID, &now.Document)
		row.Credentials, row.Users, row.Proven, row.Reports = m.Credentials, m.Users, m.Proven, m.Reports
		if len(m.Reports) > 0 {
			view.Reported++
		}
		view.Models = append(view.Models, row)
	}
	c.render(w, r, http.StatusOK, c.modelsPage(view))
}

func (c *Console) showAllModels(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	at := ui.Address{Path: p.base + modelsPath + "/all", Query: r.URL.Query()}
	levels := []ui.Choice{{Label: "Any"}}
	for _, l := range policy.Certifications()[1:] {
		levels = append(levels, ui.Choice{Value: string(l), Label: certificationLabel(string(l)) + " or more"})
	}
	add := []ui.Filter{{Name: "level", Label: "Certification", Value: at.Get("level"), Choices: levels}}
	req := listing.Request{PageToken: at.Get("after")}
	var terms []string
	if q := strings.Trim(at.Get("q"), "*"); q != "" {
		terms = append(terms, "name = "+quoted("*"+q+"*"))
	}
	if level := at.Get("level"); level != "" {
		terms = append(terms, "certification >= "+quoted(level))
	}
	req.Filter = strings.Join(terms, " AND ")
	page, err := c.models.List(r.Context(), p.sc, req)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	now, err := c.tenants.Policy(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := modelsView{
		Page: c.frame(w, r, v, p, "All models", p.base+modelsPath, ui.Link{Href: p.base + modelsPath, Label: "Authenticators"}), Base: p.base, Tabs: p.modelTabs("all"), Meta: c.metadataView(), All: true,
		Filters: ui.Filters{At: at, Search: &ui.Search{Name: "q", Label: "Name of a model", Value: at.Get("q")}, Chips: ui.ChipsOf(add), Add: add},
		Pager:   ui.Pager{Says: ui.Count(len(page.Items), "model")},
	}
	view.Columns = columnsOf(r, v, at, "allmodels",
		ui.Column{Label: "Model"}, ui.Column{Label: "Status", Name: "state"}, ui.Column{Label: "Certification", Class: "opt", Name: "certification"})
	view.Pager.Turn(at, at.Query, page.NextToken)
	for i := range page.Items {
		m := &page.Items[i]
		row := c.modelOf(m.AAGUID, &now.Document)
		row.Name, row.Certification, row.Reports = m.Name, certificationLabel(m.Certification), m.Reports
		view.Models = append(view.Models, row)
	}
	c.render(w, r, http.StatusOK, c.modelsPage(view))
}

type modelView struct {
	ui.Page
	withActivity

	Base        string
	Model       modelRow
	Known       bool // the metadata describes it
	Radius      blastradius.Radius
	History     []reportRow
	Credentials []modelCredential
	Pager       ui.Pager
	Orders      []orderRow
	May         bool
	MayDraft    bool
	Dispose     ui.Act
	Choices     []ui.Choice
	Picked      string
}

type reportRow struct {
	Status, Since string
	Against       bool
}

type modelCredential struct {
	ID, Short, State, Class string
	Made                    ui.Moment
	Used                    *ui.Moment
}

type orderRow struct {
	Says, By, Reason string
	At               ui.Moment
	Done             bool
	Count            int
}

var dispositionWords = map[blastradius.Disposition]string{
	blastradius.None: "As if nothing were", blastradius.Flag: "Flag: said of them, and they sign in", blastradius.StepUp: "Step-up: another passkey is needed beside one",
	blastradius.Suspend: "Suspend: they do not sign in",
}

func (c *Console) showModel(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.model200(w, r, v, p, ui.Act{}, "", http.StatusOK)
}

func (c *Console) model200(w http.ResponseWriter, r *http.Request, v *visit, p *place, act ui.Act, picked string, status int) {
	ctx := r.Context()
	aaguid, err := uuid.Parse(r.PathValue("aaguid"))
	if err != nil || aaguid == uuid.Nil {
		c.fail(w, r, v, errNowhere)
		return
	}
	now, err := c.tenants.Policy(ctx, p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	radius, err := c.blast.Measure(ctx, p.sc, aaguid)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	at := ui.Address{Path: p.base + modelsPath + "/" + aaguid.String(), Query: r.URL.Query()}
	parts, err := c.activity(r, p, at.Path, about{kind: "authenticator", id: aaguid.String()}, ui.Tab{Href: at.Path, Label: "Model", Here: !asksActivity(r, at.Path)})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	if parts.Activity != nil { // whose token is in the address
		at.Query = nil
	}
	page, err := c.blast.Credentials(ctx, p.sc, aaguid, listing.Request{PageSize: 20, PageToken: at.Get("after")})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := modelView{
		withActivity: parts, Base: p.base, Model: c.modelOf(aaguid, &now.Document), Radius: radius, Picked: picked, Dispose: act,
		May: p.may(apikey.ScopeAuthenticatorsWrite), MayDraft: p.may(apikey.ScopePolicyWrite), Pager: ui.Pager{Says: ui.Count(len(page.Items), "passkey")},
	}
	view.Pager.Turn(at, at.Query, page.NextToken)
	for i := range page.Items {
		view.Credentials = append(view.Credentials, c.modelCredential(&page.Items[i]))
	}
	if m, ok := c.models.Lookup(aaguid); ok {
		view.Known = true
		for _, rep := range slices.Backward(m.Entry.Reports) {
			row := reportRow{Status: rep.Status, Since: "for ever", Against: slices.Contains(m.Entry.Against(c.now()), rep.Status)}
			if !rep.Effective.IsZero() {
				row.Since = rep.Effective.Format("2 Jan 2006")
			}
			view.History = append(view.History, row)
		}
	}
	if view.Orders, err = c.ordersOf(r, p, aaguid); err != nil {
		c.fail(w, r, v, err)
		return
	}
	for _, d := range []blastradius.Disposition{blastradius.Flag, blastradius.StepUp, blastradius.Suspend, blastradius.None} {
		view.Choices = append(view.Choices, ui.Choice{Value: string(d), Label: dispositionWords[d]})
	}
	a := &view.Dispose
	a.ID, a.Title, a.Button, a.Action, a.Fresh, a.Confirm, a.Danger = "dispose", "Dispose of its passkeys", "order it", at.Path+"/dispose", freshUntil(v), view.Model.Name, true
	a.Effects = []ui.Effect{
		{Icon: "key", Text: ui.Count(radius.Credentials, "passkey") + " of " + ui.Count(radius.Users, "user") + ", " + strconv.Itoa(radius.UsersAlone) + " of whom have no other"},
		{Icon: "sess", Text: ui.Count(radius.Sessions, "open session") + " that they began go on"},
		{Icon: "back", Text: "“As if nothing were” takes it back"},
	}
	a.Effects[2].Icon = "history"
	view.Page = c.frame(w, r, v, p, view.Model.Name, p.base+modelsPath, ui.Link{Href: p.base + modelsPath, Label: "Authenticators"})
	view.Page.Here = at.Path
	c.render(w, r, status, c.modelPage(view))
}

func (c *Console) modelCredential(one *credential.Credential) modelCredential {
	id := one.ID.String()
	row := modelCredential{ID: id, Short: short(id), Made: ui.Ago(one.CreatedAt, c.now()), State: "Active", Class: "ok"}
	if one.State != credential.Active {
		row.State, row.Class = "Suspended", "warn"
	}
	if one.LastUsedAt != nil {
		used := ui.Ago(*one.LastUsedAt, c.now())
		row.Used = &used
	}
	return row
}

// ordersOf are the newest orders on a model, of the newest of the tenant's.
func (c *Console) ordersOf(r *http.Request, p *place, aaguid uuid.UUID) ([]orderRow, error) {
	page, err := c.blast.List(r.Context(), p.sc, listing.Request{PageSize: listing.MaxPageSize})
	if err != nil {
		return nil, err
	}
	var people []uuid.UUID
	for _, o := range page.Items {
		people = append(people, who(o.CreatedBy))
	}
	names, err := c.names(r.Context(), people)
	if err != nil {
		return nil, err
	}
	var rows []orderRow
	for _, o := range page.Items {
		if o.AAGUID != aaguid {
			continue
		}
		row := orderRow{Says: dispositionWords[o.Disposition], By: whoLabel(o.CreatedBy, names), Reason: o.Reason, At: ui.Ago(o.CreatedAt, c.now()), Done: o.FinishedAt != nil, Count: o.Credentials}
		if o.Automatic {
			row.By = "The policy"
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (c *Console) disposeModel(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act, picked := actOf(r), r.PostFormValue("disposition")
	aaguid, err := uuid.Parse(r.PathValue("aaguid"))
	switch {
	case err != nil || aaguid == uuid.Nil:
		c.fail(w, r, v, errNowhere)
		return
	case act.Typed != authenticator.Describe(aaguid, c.metadata(), authenticator.Traits{}):
		err = errConfirm
	default:
		err = sensitive(v, act.Reason)
	}
	if err == nil {
		_, err = c.blast.Give(r.Context(), p.sc, blastradius.OrderRequest{AAGUID: aaguid, Disposition: blastradius.Disposition(picked), Reason: act.Reason})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		act.Problem = problem
		c.model200(w, r, v, p, act, picked, code)
		return
	}
	c.done(w, r, "disposed", p.base+modelsPath+"/"+aaguid.String())
}

// draftOfModel begins a draft of the policy that allows or denies a model.
func (c *Console) draftOfModel(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	aaguid, err := uuid.Parse(r.PathValue("aaguid"))
	if err != nil || aaguid == uuid.Nil {
		c.fail(w, r, v, errNowhere)
		return
	}
	now, err := c.tenants.Policy(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	doc, id := now.Document, aaguid.String()
	drop := func(list []string) []string {
		return slices.DeleteFunc(append([]string{}, list...), func(one string) bool { return one == id })
	}
	denied := slices.Contains(doc.AuthenticatorsDenied, id)
	if doc.AuthenticatorsDenied = drop(doc.AuthenticatorsDenied); !denied {
		doc.AuthenticatorsDenied = append(doc.AuthenticatorsDenied, id)
		doc.AuthenticatorsAllowed = drop(doc.AuthenticatorsAllowed)
	}
	text, err := pretty(&doc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.policy200(w, r, v, p, draft{view: "json", document: text, base: now.Version}, policyView{}, http.StatusOK)
}

type rootsView struct {
	ui.Page

	Base    string
	Tabs    []ui.Tab
	Roots   []rootRow
	May     bool
	Form    rootForm
	Problem *ui.Problem
	Fresh   string
}

// rootForm is what was typed.
type rootForm struct{ Name, Certificate, AAGUIDs, Reason string }

type rootRow struct {
	ID, Name, Subject, Fingerprint, By string
	Models                             []string
	Until                              ui.Moment
	Over                               bool
}

func (c *Console) showRoots(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.roots200(w, r, v, p, rootForm{}, nil, http.StatusOK)
}

func (c *Console) roots200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form rootForm, problem *ui.Problem, status int) {
	list, err := c.roots.List(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	people := make([]uuid.UUID, len(list))
	for i := range list {
		people[i] = who(list[i].CreatedBy)
	}
	names, err := c.names(r.Context(), people)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := rootsView{
		Page: c.frame(w, r, v, p, "Trusted roots", p.base+modelsPath, ui.Link{Href: p.base + modelsPath, Label: "Authenticators"}), Base: p.base, Tabs: p.modelTabs("roots"),
		May: p.may(apikey.ScopeAttestationRootsWrite), Form: form, Problem: problem, Fresh: freshUntil(v),
	}
	view.Page.Here = p.base + modelsPath + "/roots"
	for i := range list {
		root := &list[i]
		row := rootRow{
			ID: root.ID.String(), Name: root.Name, Subject: root.Subject(), Fingerprint: hexOf(root.Fingerprint[:]), By: whoLabel(root.CreatedBy, names),
			Until: ui.At(root.NotAfter), Over: !c.now().Before(root.NotAfter),
		}
		for _, id := range root.AAGUIDs {
			row.Models = append(row.Models, authenticator.Describe(id, c.metadata(), authenticator.Traits{}))
		}
		view.Roots = append(view.Roots, row)
	}
	c.render(w, r, status, c.rootsPage(view))
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(b))
	for _, one := range b {
		out = append(out, digits[one>>4], digits[one&15])
	}
	return string(out)
}

func (c *Console) addRoot(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := rootForm{Name: clean(r.PostFormValue("name")), Certificate: r.PostFormValue("certificate"), AAGUIDs: r.PostFormValue("aaguids"), Reason: clean(r.PostFormValue("reason"))}
	aaguids, err := attestation.ParseAAGUIDs(strings.Fields(strings.ReplaceAll(form.AAGUIDs, ",", " ")))
	switch {
	case err != nil:
	case !v.fresh:
		err = errStale
	case !audit.IsReason(form.Reason): // which the command line and keys may leave out
		err = errWhy
	default:
		_, err = c.roots.Add(r.Context(), p.sc, attestation.AddRequest{
			Name: form.Name, Certificate: []byte(form.Certificate), AAGUIDs: aaguids, Reason: form.Reason,
		})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		if problem.Field == "" && code == http.StatusUnprocessableEntity {
			problem.Field = "certificate"
		}
		if errors.Is(err, attestation.ErrRootPrivateKey) {
			form.Certificate = "" // it travels back to nobody
		}
		c.roots200(w, r, v, p, form, problem, code)
		return
	}
	c.done(w, r, "rootAdded", p.base+modelsPath+"/roots")
}

func (c *Console) showRemoveRoot(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.removeRoot200(w, r, v, p, actForm{}, http.StatusOK)
}

func (c *Console) removeRoot200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form actForm, status int) {
	var root attestation.Root
	id, err := attestation.ParseRootID(r.PathValue("id"))
	if err == nil {
		root, err = c.roots.Get(r.Context(), p.sc, id)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	back := p.base + modelsPath + "/roots"
	view := actView{Name: root.Name, Below: root.Subject(), Act: ui.Act{
		ID: "act", Action: back + "/" + id.String() + "/remove", Title: "Trust it no more", Button: "remove it", Danger: true, Cancel: back,
		Effects: []ui.Effect{
			{Icon: "ban", Text: "Authenticators that only this certificate vouches for are no longer verified, within a second"},
			{Icon: "key", Text: "Passkeys that were registered by it stay as they are, and their evidence verifies"},
		},
		Reason: form.Reason, Fresh: freshUntil(v), Problem: form.Problem,
	}}
	view.Page = c.frame(w, r, v, p, "Remove "+root.Name, p.base+modelsPath, ui.Link{Href: p.base + modelsPath, Label: "Authenticators"}, ui.Link{Href: back, Label: "Trusted roots"})
	view.Page.Here = view.Act.Action
	c.render(w, r, status, c.actPage(view))
}

func (c *Console) removeRoot(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := actForm{Reason: clean(r.PostFormValue("reason"))}
	id, err := attestation.ParseRootID(r.PathValue("id"))
	switch {
	case err != nil:
	case !v.fresh:
		err = errStale
	case !audit.IsReason(form.Reason):
		err = errWhy
	default:
		_, err = c.roots.Remove(r.Context(), p.sc, id, form.Reason)
	}
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		c.removeRoot200(w, r, v, p, form, code)
		return
	}
	c.done(w, r, "rootRemoved", p.base+modelsPath+"/roots")
}

// unitOf is a noun as its number wants it.
func unitOf(n int, noun string) string {
	_, unit, _ := strings.Cut(ui.Count(n, noun), " ")
	return unit
}
