package console

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/member"
)

const keysPath = "/apikeys"

func (c *Console) apiKeyRoutes(mux *router) {
	base := Path + "/t/{slug}" + keysPath
	reads, writes := apikey.ScopeAPIKeysRead, apikey.ScopeAPIKeysWrite
	mux.HandleFunc("GET "+base, c.inTenant(reads, c.showAPIKeys))
	mux.HandleFunc("GET "+base+"/export", c.inTenant(reads, c.exportAPIKeys))
	mux.HandleFunc("GET "+base+"/new", c.inTenant(writes, c.showNewAPIKey))
	mux.HandleFunc("POST "+base, c.inTenant(writes, c.createAPIKey))
	mux.HandleFunc("GET "+base+"/{id}", c.inTenant(reads, c.showAPIKey))
	mux.HandleFunc("GET "+base+"/{id}"+activityPath, c.inTenant(reads, c.showAPIKey))
	mux.HandleFunc("POST "+base+"/{id}/rotate", c.inTenant(writes, c.rotateAPIKey))
	mux.HandleFunc("POST "+base+"/{id}/lock", c.inTenant(writes, c.lockAPIKey))
	mux.HandleFunc("POST "+base+"/{id}/unlock", c.inTenant(writes, c.lockAPIKey))
	mux.HandleFunc("POST "+base+"/{id}/revoke", c.inTenant(writes, c.revokeAPIKey))
}

// apiKeysView is the list of keys.
type apiKeysView struct {
	ui.Page

	Base    string // of the tenant
	May     bool
	Filters ui.Filters
	Columns ui.Columns
	Keys    []apiKeyRow
	Pager   ui.Pager
	CSV     string
	JSON    string
	None    bool // there is no key at all
	Curl    string
}

// apiKeyRow is a key in a list, and on its own page.
type apiKeyRow struct {
	ID, Name, Prefix  string
	Kind              apikey.Kind
	State             apikey.State
	Scopes            []string
	Networks          []string
	By                string
	Created           ui.Moment
	Used, Ends        *ui.Moment
	Locked, Gone      *ui.Moment
	Successor, EndsIn string // id of the key in its place; how long until it ends
}

var apiKeyStates = map[apikey.State]struct{ class, label string }{
	apikey.Active: {"ok", "Active"}, apikey.Retiring: {"info", "Retiring"}, apikey.Locked: {"warn", "Locked"},
	apikey.Expired: {"idle", "Expired"}, apikey.Revoked: {"bad", "Revoked"},
}

func keyKindLabel(k apikey.Kind) string {
	switch k {
	case apikey.Publishable:
		return "Publishable key"
	case apikey.Platform:
		return "Platform key"
	default:
		return "Server key"
	}
}

// apiKeyOrders are the orders of the list by the parameter sort.
var apiKeyOrders = map[string]apikey.Order{"": apikey.Newest, "name": apikey.ByName, "used": apikey.LastUse, "expires": apikey.Soonest}

// apiKeyQuery is what the address asks the list for.
func apiKeyQuery(r *http.Request, path string) (ui.Address, ui.Filters, apikey.ListRequest) {
	at := ui.Address{Path: path, Query: r.URL.Query()}
	states := []ui.Choice{{Label: "Any"}}
	for _, s := range apikey.States() {
		states = append(states, ui.Choice{Value: string(s), Label: apiKeyStates[s].label})
	}
	add := []ui.Filter{
		{Name: "state", Label: "State", Value: at.Get("state"), Choices: states},
		{Name: "kind", Label: "Kind", Value: at.Get("kind"), Choices: []ui.Choice{
			{Label: "Any"}, {Value: string(apikey.Secret), Label: "Server key"}, {Value: string(apikey.Publishable), Label: "Publishable key"},
		}},
	}
	var terms []string
	for _, f := range add {
		if f.Value != "" {
			terms = append(terms, fmt.Sprintf("%s = %q", f.Name, f.Value))
		}
	}
	return at, ui.Filters{At: at, Chips: ui.ChipsOf(add), Add: add}, apikey.ListRequest{
		Request: listing.Request{PageToken: at.Get("after"), Filter: strings.Join(terms, " AND ")}, Order: apiKeyOrders[at.Get("sort")],
	}
}

func (c *Console) showAPIKeys(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	at, filters, req := apiKeyQuery(r, p.base+keysPath)
	page, err := c.apiKeys.List(r.Context(), p.sc, req)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := apiKeysView{
		Page: c.frame(w, r, v, p, "API keys", p.base+keysPath), Base: p.base, May: p.may(apikey.ScopeAPIKeysWrite), Filters: filters,
		Pager: ui.Pager{Says: ui.Count(len(page.Items), "key")}, CSV: at.At(p.base + keysPath + "/export"),
		None: len(page.Items) == 0 && req.Filter == "" && req.PageToken == "", Curl: c.curlNewKey(),
	}
	view.JSON = ui.Address{Path: at.Path, Query: at.Query}.With("format", "json")
	view.JSON = strings.Replace(view.JSON, p.base+keysPath, p.base+keysPath+"/export", 1)
	view.Pager.Turn(at, at.Query, page.NextToken)
	column := func(label, class, sort, order string) ui.Column {
		col := ui.Column{Label: label, Class: class, Sort: at.With("sort", sort)}
		if at.Get("sort") == sort {
			col.Order = order
		}
		return col
	}
	view.Columns = columnsOf(r, v, at, "apikeys",
		column("Key", "", "name", "ascending"), ui.Column{Label: "State", Name: "state"}, ui.Column{Label: "May", Class: "opt", Name: "scopes"}, ui.Column{Label: "Networks", Class: "opt", Name: "networks"},
		ui.Column{Label: "Created by", Class: "opt", Name: "by"}, column("Last used", "", "used", "descending").Named("used"), column("Ends", "opt", "expires", "ascending").Named("ends"))
	if view.Keys, err = c.apiKeyRows(r.Context(), page.Items); err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.render(w, r, http.StatusOK, c.apiKeysPage(view))
}

// curlNewKey makes a key by the API.
func (c *Console) curlNewKey() string {
	return "curl -H \"Authorization: Bearer $BIOCORE_KEY\" \\\n  -d '{\"kind\":\"SECRET\",\"name\":\"checkout\",\"scopes\":[\"authentications\",\"sessions\"]}' \\\n  " +
		c.publicURL + "/admin/v1/apiKeys"
}

func (c *Console) apiKeyRows(ctx context.Context, list []apikey.Key) ([]apiKeyRow, error) {
	people := make([]uuid.UUID, len(list))
	for i := range list {
		people[i] = who(list[i].CreatedBy)
	}
	names, err := c.names(ctx, people)
	if err != nil {
		return nil, err
	}
	now := c.now()
	ago := func(t *time.Time) *ui.Moment {
		if t == nil {
			return nil
		}
		m := ui.Ago(*t, now)
		return &m
	}
	rows := make([]apiKeyRow, len(list))
	for i := range list {
		k := &list[i]
		row := apiKeyRow{
			ID: k.ID.String(), Name: k.Name, Prefix: k.Prefix, Kind: k.Kind, State: k.State(now), Scopes: k.Scopes, By: whoLabel(k.CreatedBy, names),
			Created: ui.Ago(k.CreatedAt, now), Used: ago(k.LastUsedAt), Locked: ago(k.LockedAt), Gone: ago(k.RevokedAt),
		}
		if k.ExpiresAt != nil {
			ends := ui.At(*k.ExpiresAt)
			if left := k.ExpiresAt.Sub(now); left > 0 {
				row.EndsIn = "in " + ui.Left(left.Round(time.Minute))
				ends.Text, ends.Clock = row.EndsIn, false
			} else {
				ends = ui.Ago(*k.ExpiresAt, now)
			}
			row.Ends = &ends
		}
		if k.ReplacedBy != nil {
			row.Successor = k.ReplacedBy.String()
		}
		for _, n := range k.AllowedCIDRs {
			row.Networks = append(row.Networks, n.String())
		}
		rows[i] = row
	}
	return rows, nil
}

// brief is a list of texts in one cell: the first, and how many more.
func brief(list []string, none string) string {
	switch len(list) {
	case 0:
		return none
	case 1:
		return list[0]
	}
	return list[0] + " +" + strconv.Itoa(len(list)-1)
}

func mayBrief(k apiKeyRow) string {
	switch {
	case k.Kind == apikey.Publishable:
		return "Ceremonies"
	case slices.Contains(k.Scopes, apikey.ScopeAuthPlane) && slices.Contains(k.Scopes, apikey.ScopeAdminPlane):
		return "Everything"
	case slices.Equal(k.Scopes, []string{apikey.ScopeAuthPlane}):
		return "All of the auth API"
	case slices.Equal(k.Scopes, []string{apikey.ScopeAdminPlane}):
		return "All of the admin API"
	}
	return brief(k.Scopes, "")
}

func (c *Console) exportAPIKeys(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	_, _, req := apiKeyQuery(r, "")
	c.export(w, r, v, exported{
		Name:    "api-keys",
		Columns: []string{"id", "name", "prefix", "kind", "state", "scopes", "networks", "createdBy", "createdAt", "lastUsedAt", "expiresAt", "lockedAt", "revokedAt", "replacedBy"},
		Next: func(token string) ([][]string, string, error) {
			req.PageToken, req.PageSize = token, listing.MaxPageSize
			page, err := c.apiKeys.List(r.Context(), p.sc, req)
			if err != nil {
				return nil, "", err
			}
			rows, err := c.apiKeyRows(r.Context(), page.Items)
			if err != nil {
				return nil, "", err
			}
			out := make([][]string, len(rows))
			for i, row := range rows {
				k := &page.Items[i]
				out[i] = []string{
					row.ID, row.Name, row.Prefix, string(row.Kind), string(row.State), strings.Join(row.Scopes, " "), strings.Join(row.Networks, " "), row.By,
					iso(&k.CreatedAt), iso(k.LastUsedAt), iso(k.ExpiresAt), iso(k.LockedAt), iso(k.RevokedAt), row.Successor,
				}
			}
			return out, page.NextToken, nil
		},
	})
}

// newAPIKeyView is the form of a new key.
type newAPIKeyView struct {
	ui.Page

	Base    string
	Form    apiKeyForm
	Groups  []scopeGroup
	Ends    []ui.Choice
	Fresh   string
	Problem *ui.Problem
}

// apiKeyForm is what was typed.
type apiKeyForm struct {
	Name, Kind, Networks, Ends, Reason string
	Scopes                             []string
}

type scopeGroup struct {
	Label, Note string
	Scopes      []scopeChoice
}

type scopeChoice struct {
	Scope, Says string
	Picked, May bool
	Whole       bool // a whole plane
}

// scopeSays is what a key with a scope may do; the rest is as the table of roles says it.
var scopeSays = map[string]string{
	apikey.ScopeRegistrations: "Enroll passkeys for users", apikey.ScopeAuthentications: "Sign users in", apikey.ScopeRecoveries: "Redeem recovery codes",
	apikey.ScopeAuthPlane:  "Everything in this group, and what is added to it",
	apikey.ScopeAdminPlane: "Everything in this group, and what is added to it",
}

func saysOf(scope string) string {
	if says, ok := scopeSays[scope]; ok {
		return says
	}
	for _, one := range member.Permissions() {
		if one.Scope == scope {
			return one.Says
		}
	}
	return ""
}

// scopeGroups are the scopes that a server key may have, with those that role may give.
func scopeGroups(role member.Role, picked []string) []scopeGroup {
	groups := []scopeGroup{
		{Label: "Users and sign-ins", Note: "The auth plane: /v1", Scopes: []scopeChoice{{Scope: apikey.ScopeAuthPlane, Whole: true}}},
		{Label: "Administration", Note: "The admin plane: /admin/v1", Scopes: []scopeChoice{{Scope: apikey.ScopeAdminPlane, Whole: true}}},
	}
	for _, s := range apikey.Scopes(apikey.Secret) {
		at := &groups[0]
		if strings.HasPrefix(s, "admin:") {
			at = &groups[1]
		}
		at.Scopes = append(at.Scopes, scopeChoice{Scope: s})
	}
	grants := role.Grants(apikey.Secret)
	for g := range groups {
		for i := range groups[g].Scopes {
			one := &groups[g].Scopes[i]
			one.Says, one.May, one.Picked = saysOf(one.Scope), slices.Contains(grants, one.Scope), slices.Contains(picked, one.Scope)
		}
	}
	return groups
}

// apiKeyLives are how long a key may be made to last, in days.
var apiKeyLives = []ui.Choice{{Value: "90", Label: "90 days"}, {Value: "30", Label: "30 days"}, {Value: "7", Label: "7 days"}, {Value: "365", Label: "1 year"}, {Value: "", Label: "Never"}}

func (c *Console) showNewAPIKey(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.newAPIKey(w, r, v, p, apiKeyForm{Kind: string(apikey.Secret), Ends: "90"}, nil, http.StatusOK)
}

func (c *Console) newAPIKey(w http.ResponseWriter, r *http.Request, v *visit, p *place, form apiKeyForm, problem *ui.Problem, status int) {
	view := newAPIKeyView{
		Page: c.frame(w, r, v, p, "New API key", p.base+keysPath, ui.Link{Href: p.base + keysPath, Label: "API keys"}), Base: p.base, Form: form,
		Groups: scopeGroups(p.me.Role, form.Scopes), Ends: apiKeyLives, Fresh: freshUntil(v), Problem: problem,
	}
	view.Page.Here = p.base + keysPath + "/new"
	c.render(w, r, status, c.newAPIKeyPage(view))
}

// The forms of keys say these in their own words.
var (
	errKeyName   = &refusal{http.StatusUnprocessableEntity, "KEY_NAME_NEEDED"}
	errConfirm   = &refusal{http.StatusUnprocessableEntity, "NOT_CONFIRMED"}
	errWhy       = &refusal{http.StatusUnprocessableEntity, "REASON_REQUIRED"}
	errManyYears = &refusal{http.StatusUnprocessableEntity, "API_KEY_EXPIRY_INVALID"}
)

// sensitive refuses an act whose form lacks what it takes: a reason and a fresh passkey.
func sensitive(v *visit, reason string) error {
	switch {
	case reason == "" || len([]rune(reason)) > 256:
		return errWhy
	case !v.fresh:
		return errStale
	}
	return nil
}

func (c *Console) createAPIKey(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	_ = r.ParseForm()
	form := apiKeyForm{
		Name: clean(r.PostFormValue("name")), Kind: r.PostFormValue("kind"), Networks: r.PostFormValue("networks"), Ends: r.PostFormValue("expires"),
		Reason: clean(r.PostFormValue("reason")), Scopes: r.PostForm["scopes"],
	}
	made, err := c.makeAPIKey(r.Context(), v, p, form)
	if problem, code := c.inForm(r, err); problem != nil {
		c.newAPIKey(w, r, v, p, form, problem, code)
		return
	}
	c.shownOnce(w, r, v, p, made, nil)
}

func (c *Console) makeAPIKey(ctx context.Context, v *visit, p *place, form apiKeyForm) (apikey.Created, error) {
	if form.Name == "" || len([]rune(form.Name)) > 64 {
		return apikey.Created{}, errKeyName
	}
	if form.Kind != string(apikey.Secret) && form.Kind != string(apikey.Publishable) {
		return apikey.Created{}, apikey.ErrKindNotAllowed
	}
	req := apikey.CreateRequest{Kind: apikey.Kind(form.Kind), Name: form.Name, Reason: form.Reason, Within: p.me.Role.Grants(apikey.Secret)}
	if req.Kind == apikey.Secret {
		req.Scopes = form.Scopes
	}
	for text := range strings.FieldsSeq(strings.ReplaceAll(form.Networks, ",", " ")) {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return apikey.Created{}, apikey.ErrCIDR
		}
		req.AllowedCIDRs = append(req.AllowedCIDRs, network)
	}
	ends, err := c.endsOf(form.Ends)
	if err != nil {
		return apikey.Created{}, err
	}
	req.ExpiresAt = ends
	if err := sensitive(v, form.Reason); err != nil {
		return apikey.Created{}, err
	}
	return c.apiKeys.Create(ctx, p.sc, req)
}

// endsOf is the end of a key by the days that were picked; nil for none.
func (c *Console) endsOf(days string) (*time.Time, error) {
	if days == "" {
		return nil, nil //nolint:nilnil // documented: it does not end
	}
	n, err := strconv.Atoi(days)
	if err != nil || n < 1 || n > 3650 {
		return nil, errManyYears
	}
	ends := c.now().AddDate(0, 0, n)
	return &ends, nil
}

// shownView is a new key, for the only time.
type shownView struct {
	ui.Page

	Base  string
	Key   apiKeyRow
	Plain string
	Curl  string
	Old   *apiKeyRow // whose place it takes; nil for none
}

// shownOnce is the answer to the form itself: no address leads to it, and nothing keeps it.
func (c *Console) shownOnce(w http.ResponseWriter, r *http.Request, v *visit, p *place, made apikey.Created, old *apikey.Key) {
	list := []apikey.Key{made.Key}
	if old != nil {
		list = append(list, *old)
	}
	rows, err := c.apiKeyRows(r.Context(), list)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := shownView{
		Page: c.frame(w, r, v, p, "Copy the key", p.base+keysPath, ui.Link{Href: p.base + keysPath, Label: "API keys"}), Base: p.base, Key: rows[0], Plain: made.Plain.Reveal(),
	}
	view.Page.Here = p.base + keysPath // coming back shows no key
	if made.Kind == apikey.Secret {
		view.Curl = "curl -H \"Authorization: Bearer " + view.Plain + "\" \\\n  " + c.publicURL + "/v1/users"
	}
	if old != nil {
		view.Old = &rows[1]
	}
	c.render(w, r, http.StatusOK, c.shownOncePage(view))
}
