package console

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/blastradius"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/policy"
)

const modelsPath = "/authenticators"

func (c *Console) authenticatorRoutes(mux *router) {
	base := Path + "/t/{slug}" + modelsPath
	reads, writes := apikey.ScopeAuthenticatorsRead, apikey.ScopeAuthenticatorsWrite
	mux.HandleFunc("GET "+base, c.inTenant(reads, c.showModels))
	mux.HandleFunc("GET "+base+"/all", c.inTenant(reads, c.showAllModels))
	mux.HandleFunc("GET "+base+"/export", c.inTenant(reads, c.exportModels))
	mux.HandleFunc("GET "+base+"/all/export", c.inTenant(reads, c.exportAllModels))
	mux.HandleFunc("GET "+base+"/roots", c.inTenant(apikey.ScopeAttestationRootsRead, c.showRoots))
	mux.HandleFunc("GET "+base+"/roots/export", c.inTenant(apikey.ScopeAttestationRootsRead, c.exportRoots))
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
	CSV      string
	JSON     string
}

func (c *Console) showModels(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	rows, doc, err := c.usedModels(r.Context(), p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := modelsView{
		Page: c.frame(w, r, v, p, "Authenticators", p.base+modelsPath), Base: p.base, Tabs: p.modelTabs("used"), Meta: c.metadataView(), Lists: len(doc.AuthenticatorsAllowed) > 0,
		Pager: ui.Pager{Says: ui.Count(len(rows), "model")}, Models: rows,
	}
	view.Columns = columnsOf(r, v, addressOf(r), "models",
		ui.Column{Label: "Model"}, ui.Column{Label: "Status", Name: "state"}, ui.Column{Label: "Certification", Class: "opt", Name: "certification"},
		ui.Column{Label: "Passkeys", Class: "num", Name: "passkeys"}, ui.Column{Label: "Proven", Class: "num opt", Name: "proven"}, ui.Column{Label: "Users", Class: "num opt", Name: "users"})
	for i := range rows {
		if len(rows[i].Reports) > 0 {
			view.Reported++
		}
	}
	view.exports(ui.Address{Path: p.base + modelsPath + "/export"})
	c.render(w, r, http.StatusOK, c.modelsPage(view))
}

// usedModels are the models of the tenant's passkeys, with the policy that judges them.
func (c *Console) usedModels(ctx context.Context, p *place) ([]modelRow, *policy.Document, error) {
	list, err := c.blast.Models(ctx, p.sc)
	if err != nil {
		return nil, nil, err
	}
	now, err := c.tenants.Policy(ctx, p.sc)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]modelRow, len(list))
	for i, m := range list {
		row := c.modelOf(m.AAGUID, &now.Document)
		row.Credentials, row.Users, row.Proven, row.Reports = m.Credentials, m.Users, m.Proven, m.Reports
		rows[i] = row
	}
	return rows, &now.Document, nil
}

// exports puts in where the list goes out as a file.
func (v *modelsView) exports(at ui.Address) {
	v.CSV, v.JSON = at.Without(), at.With("format", "json")
}

// byPolicy is what the policy says of a model, in a word for a program.
func (m *modelRow) byPolicy() string {
	switch {
	case m.Denied:
		return "denied"
	case m.AllowedAlone:
		return "allowed"
	}
	return ""
}

func (c *Console) exportModels(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.export(w, r, v, exported{
		Name:    "authenticators",
		Columns: []string{"aaguid", "model", "certification", "reports", "policy", "passkeys", "proven", "users"},
		Next: func(string) ([][]string, string, error) {
			list, _, err := c.usedModels(r.Context(), p)
			rows := make([][]string, len(list))
			for i := range list {
				m := &list[i]
				rows[i] = []string{
					m.ID, m.Name, m.Certification, strings.Join(m.Reports, " "), m.byPolicy(), strconv.Itoa(m.Credentials), strconv.Itoa(m.Proven), strconv.Itoa(m.Users),
				}
			}
			return rows, "", err
		},
	})
}

func (c *Console) exportAllModels(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	_, _, req := allModelsRequest(r, p)
	c.export(w, r, v, exported{
		Name:    "all-authenticators",
		Columns: []string{"aaguid", "model", "certification", "reports", "policy"},
		Next: func(token string) ([][]string, string, error) {
			req.PageToken, req.PageSize = token, listing.MaxPageSize
			page, err := c.models.List(r.Context(), p.sc, req)
			if err != nil {
				return nil, "", err
			}
			list, err := c.allModels(r.Context(), p, page.Items)
			rows := make([][]string, len(list))
			for i := range list {
				m := &list[i]
				rows[i] = []string{m.ID, m.Name, m.Certification, strings.Join(m.Reports, " "), m.byPolicy()}
			}
			return rows, page.NextToken, err
		},
	})
}

// allModelsRequest is which of all models an address asks for.
func allModelsRequest(r *http.Request, p *place) (ui.Address, []ui.Filter, listing.Request) {
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
	return at, add, req
}

func (c *Console) showAllModels(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	at, add, req := allModelsRequest(r, p)
	page, err := c.models.List(r.Context(), p.sc, req)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	rows, err := c.allModels(r.Context(), p, page.Items)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := modelsView{
		Page: c.frame(w, r, v, p, "All models", p.base+modelsPath, ui.Link{Href: p.base + modelsPath, Label: "Authenticators"}), Base: p.base, Tabs: p.modelTabs("all"), Meta: c.metadataView(), All: true,
		Filters: ui.Filters{At: at, Search: &ui.Search{Name: "q", Label: "Name of a model", Value: at.Get("q")}, Chips: ui.ChipsOf(add), Add: add},
		Pager:   ui.Pager{Says: ui.Count(len(rows), "model")}, Models: rows,
	}
	view.Columns = columnsOf(r, v, at, "allmodels",
		ui.Column{Label: "Model"}, ui.Column{Label: "Status", Name: "state"}, ui.Column{Label: "Certification", Class: "opt", Name: "certification"})
	view.Pager.Turn(at, at.Query, page.NextToken)
	view.exports(ui.Address{Path: at.Path + "/export", Query: at.Query})
	c.render(w, r, http.StatusOK, c.modelsPage(view))
}

// allModels are rows of models that the metadata describes.
func (c *Console) allModels(ctx context.Context, p *place, list []authenticator.Model) ([]modelRow, error) {
	now, err := c.tenants.Policy(ctx, p.sc)
	if err != nil {
		return nil, err
	}
	rows := make([]modelRow, len(list))
	for i := range list {
		m := &list[i]
		row := c.modelOf(m.AAGUID, &now.Document)
		row.Name, row.Certification, row.Reports = m.Name, certificationLabel(m.Certification), m.Reports
		rows[i] = row
	}
	return rows, nil
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

// unitOf is a noun as its number wants it.
func unitOf(n int, noun string) string {
	_, unit, _ := strings.Cut(ui.Count(n, noun), " ")
	return unit
}
