package console

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// platformRoutes are what the staff sees: all tenants, and the recovery of their owners.
func (c *Console) platformRoutes(mux *router) {
	const one = platformBase + "/tenants/{slug}"
	mux.HandleFunc("GET "+platformBase, c.inPlatform("", c.showPlace))
	mux.HandleFunc("GET "+platformBase+"/tenants", c.inPlatform(apikey.ScopeTenantsRead, c.showTenants))
	mux.HandleFunc("GET "+tenantsExport, c.inPlatform(apikey.ScopeTenantsRead, c.exportTenants))
	mux.HandleFunc("GET "+one, c.inPlatform(apikey.ScopeTenantsRead, c.showTenant))
	c.tenantActRoutes(mux)
	mux.HandleFunc("GET "+one+"/owners/{member}", c.inPlatform(member.ScopeOwnerRecoveries, c.showRequest))
	mux.HandleFunc("POST "+one+"/owners/{member}/recover", c.inPlatform(member.ScopeOwnerRecoveries, c.requestRecovery))
	mux.HandleFunc("GET "+one+"/recoveries/{id}", c.inPlatform(member.ScopeOwnerRecoveries, c.showStaffRecovery))
	mux.HandleFunc("POST "+one+"/recoveries/{id}/approve", c.inPlatform(member.ScopeOwnerRecoveries, c.approveRecovery))
	mux.HandleFunc("POST "+one+"/recoveries/{id}/cancel", c.inPlatform(member.ScopeOwnerRecoveries, c.cancelRecovery))
	mux.HandleFunc("POST "+one+"/recoveries/{id}/release", c.inPlatform(member.ScopeOwnerRecoveries, c.releaseRecovery))
}

const (
	tenantsPath = platformBase + "/tenants"
	// Under tenantsPath these would be in the way of a slug.
	tenantsExport = platformBase + "/export/tenants"
	newTenantPath = platformBase + "/new/tenant"
)

type tenantsView struct {
	ui.Page

	Rows      []tenantRow
	Columns   ui.Columns
	Filters   ui.Filters
	Pager     ui.Pager
	MayCreate bool
	CSV, JSON string
}

type tenantRow struct {
	Name, Slug, Mode, State, Href string
	Plan, Region, Users           string
	Month                         monthCell
	Active                        *ui.Moment // nil: never
	Created                       ui.Moment
}

func (c *Console) showTenants(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	here := ui.Address{Path: tenantsPath, Query: r.URL.Query()}
	slug := strings.ToLower(clean(here.Get("slug")))
	filters := []ui.Filter{
		{Name: "state", Label: "State", Value: here.Get("state"), Choices: []ui.Choice{{Label: "Any"}, {Value: "ACTIVE", Label: "Active"}, {Value: "SUSPENDED", Label: "Suspended"}, {Value: "DELETING", Label: "Being deleted"}}},
		{Name: "mode", Label: "Mode", Value: here.Get("mode"), Choices: []ui.Choice{{Label: "Any"}, {Value: "LIVE", Label: "Live"}, {Value: "TEST", Label: "Test"}}},
		{Name: "level", Label: "Availability", Value: here.Get("level"), Choices: []ui.Choice{{Label: "Any"}, {Value: "missed", Label: "Objective missed"}, {Value: "kept", Label: "Objective kept"}}},
	}
	view := tenantsView{
		MayCreate: p.may(apikey.ScopeTenantsWrite),
		Filters:   ui.Filters{At: here, Search: &ui.Search{Name: "slug", Label: "Find by slug", Value: slug}, Chips: ui.ChipsOf(filters), Add: filters},
	}
	objective := c.system.Objective()
	list, err := c.tenants.List(r.Context(), p.sc, listing.Request{Filter: c.tenantsFilter(here), OrderBy: tenantOrders[here.Get("sort")], PageToken: here.Get("after")})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	for i := range list.Items {
		t := &list.Items[i]
		row := tenantRow{
			Name: t.Name, Slug: t.Slug, Mode: modeLabel(string(t.Mode)), State: string(t.State), Href: tenantsPath + "/" + t.Slug,
			Plan: t.Plan, Region: t.Region, Users: ui.Thousands(t.Users), Month: newMonthCell(t.Month, objective), Created: ui.Ago(t.CreatedAt, c.now()),
		}
		if t.LastActiveAt != nil {
			active := ui.Ago(*t.LastActiveAt, c.now())
			row.Active = &active
		}
		view.Rows = append(view.Rows, row)
	}
	view.Pager = ui.Pager{Says: ui.Count(len(view.Rows), "tenant"), ByTime: byTime(here)}
	view.Pager.Turn(here, here.Query, list.NextToken)
	export := ui.Address{Path: tenantsExport, Query: here.Query}
	view.CSV, view.JSON = export.Without("after"), export.With("format", "json")
	sorted := func(label, class, first string) ui.Column { return ui.Sorted(label, class, here, first, "-created") }
	view.Columns = columnsOf(r, v, here, "tenants",
		sorted("Name", "", "name"), ui.Column{Label: "State", Name: "state"}, ui.Column{Label: "Plan", Class: "opt", Name: "plan"}, ui.Column{Label: "Region", Class: "opt", Name: "region"},
		ui.Column{Label: "Mode", Class: "opt", Name: "mode"}, sorted("Users", "num opt", "-users").Named("users"), sorted("Availability", "opt", "availability").Named("availability"),
		sorted("Last activity", "when", "-active").Named("active"), sorted("Created", "opt", "-created").Named("created"))
	view.Page = c.frame(w, r, v, p, "Tenants", tenantsPath)
	c.render(w, r, http.StatusOK, c.tenantsPage(view))
}

// tenantOrders are the orders of the list by the parameter sort, as the API has them.
var tenantOrders = map[string]string{
	"created": "createdAt", "name": "name", "-name": "name desc", "users": "users", "-users": "users desc", "active": "lastActiveAt", "-active": "lastActiveAt desc",
	"availability": "availability", "-availability": "availability desc",
}

// tenantsFilter is what a list of tenants at an address is filtered by, as the API has it.
func (c *Console) tenantsFilter(at ui.Address) string {
	var terms []string
	for _, term := range [][2]string{{"slug", strings.ToLower(clean(at.Get("slug")))}, {"state", at.Get("state")}, {"mode", at.Get("mode")}} {
		if term[1] != "" {
			terms = append(terms, term[0]+" = "+strconv.Quote(term[1]))
		}
	}
	if op := map[string]string{"missed": "<", "kept": ">="}[at.Get("level")]; op != "" {
		terms = append(terms, "availability "+op+" "+strconv.FormatFloat(100*c.system.Objective(), 'f', 6, 64))
	}
	return strings.Join(terms, " AND ")
}

// exportTenants writes the list as it is filtered.
func (c *Console) exportTenants(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	at := ui.Address{Query: r.URL.Query()}
	filter, order := c.tenantsFilter(at), tenantOrders[at.Get("sort")]
	c.export(w, r, v, exported{
		Name:    "tenants",
		Columns: []string{"id", "slug", "name", "mode", "state", "plan", "region", "rpId", "users", "answered30d", "faults30d", "availability30d", "lastActiveAt", "createdAt"},
		Next: func(token string) ([][]string, string, error) {
			list, err := c.tenants.List(r.Context(), p.sc, listing.Request{PageSize: listing.MaxPageSize, PageToken: token, Filter: filter, OrderBy: order})
			rows := make([][]string, len(list.Items))
			for i := range list.Items {
				t := &list.Items[i]
				rows[i] = []string{
					t.ID.String(), t.Slug, t.Name, string(t.Mode), string(t.State), t.Plan, t.Region, t.RPID, strconv.Itoa(t.Users),
					strconv.FormatInt(t.Month.Answered, 10), strconv.FormatInt(t.Month.Faults, 10), newMonthCell(t.Month, 0).Percent,
					iso(t.LastActiveAt), iso(&t.CreatedAt),
				}
			}
			return rows, list.NextToken, err
		},
	})
}

// customer is a tenant, as the staff looks at it.
type customer struct {
	tenant.Tenant

	sc         scope.Scope // in which the person of the staff acts, without being a member
	owners     []member.Member
	recoveries []member.OwnerRecovery
	names      map[uuid.UUID]string
}

func (t *customer) href() string { return tenantsPath + "/" + t.Slug }

// customer reads the tenant that the path names. tenant.ErrNotFound.
func (c *Console) customer(r *http.Request, v *visit, p *place) (*customer, error) {
	ctx := r.Context()
	list, err := c.tenants.List(ctx, p.sc, listing.Request{Filter: "slug = " + strconv.Quote(r.PathValue("slug"))})
	if err != nil {
		return nil, err
	}
	if len(list.Items) != 1 {
		return nil, tenant.ErrNotFound
	}
	t := &customer{Tenant: list.Items[0], sc: v.in(list.Items[0].ID)}
	all, err := c.members.List(ctx, t.sc)
	if err != nil {
		return nil, err
	}
	var people []uuid.UUID
	for _, m := range all {
		// Of the others the staff needs to know nothing.
		if m.Role == member.Owner {
			t.owners = append(t.owners, m)
			people = append(people, m.PersonID)
		}
	}
	if t.recoveries, err = c.members.OwnerRecoveries(ctx, t.sc); err != nil {
		return nil, err
	}
	for _, one := range t.recoveries {
		people = append(people, one.PersonID, who(one.RequestedBy), who(one.ApprovedBy), who(one.EndedBy))
	}
	t.names, err = c.names(ctx, people)
	return t, err
}

// actLink leads to the form of an act.
type actLink struct {
	Href, Label string
	Destroys    bool
}

type tenantView struct {
	ui.Page

	Acts     []actLink // what may be done to it now
	Meters   []meterView
	Plan     string
	Region   string
	Users    string
	Active   *ui.Moment
	Deletes  *ui.Moment
	Left     string
	DeleteBy string

	Tenant     tenantRow
	ID         string
	RPID       string
	Origins    []string
	Limits     []string // of its own, in words
	Created    ui.Moment
	Suspended  string
	Opens      string // address of the tenant, for who was let in
	Asks       string // where that is asked for; empty for who may not
	Owners     []ownerRow
	Recoveries []recoveryView
}

type ownerRow struct {
	Name  string
	Since ui.Moment
	Href  string // where the recovery begins; empty while one is open, or for who may not
}

func (c *Console) showTenant(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	t, err := c.customer(r, v, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	now := c.now()
	view := tenantView{
		Tenant: tenantRow{Name: t.Name, Slug: t.Slug, Mode: modeLabel(string(t.Mode)), State: string(t.State), Href: t.href(), Month: newMonthCell(t.Month, c.system.Objective())},
		ID:     t.ID.String(), RPID: t.RPID, Origins: t.Origins, Created: ui.At(t.CreatedAt), Suspended: t.SuspendReason,
	}
	if look := c.lookOf(v, t.Slug); look != nil {
		view.Opens = look.base
	} else if p.may(apikey.ScopeSupportRequest) && !v.worksIn(t.ID) {
		view.Asks = t.href() + "/support"
	}
	view.Plan, view.Region, view.Users, view.Active, view.Limits = t.Plan, t.Region, ui.Thousands(t.Users), at(t.LastActiveAt), ownLimits(&t.Limits)
	if t.Restorable(now) {
		view.Deletes, view.Left, view.DeleteBy = at(t.DeleteAfter), "in "+ui.Left(t.DeleteAfter.Sub(now)), "The platform deletes it"
		if t.DeletedByTenant {
			view.DeleteBy = "An owner deletes it"
		}
		if t.DeleteReason != "" {
			view.DeleteBy += ": " + t.DeleteReason
		}
	}
	if p.may(apikey.ScopeTenantsWrite) {
		for _, act := range tenantActs {
			if act.fits(&t.Tenant, now) {
				view.Acts = append(view.Acts, actLink{Href: t.href() + "/" + act.name, Label: act.label, Destroys: act.typed})
			}
		}
	}
	report, err := c.usage.Report(r.Context(), t.sc, time.Time{}, time.Time{})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	for _, m := range report.Meters {
		view.Meters = append(view.Meters, newMeter(m))
	}
	for _, m := range t.owners {
		row := ownerRow{Name: t.names[m.PersonID], Since: ui.Ago(m.CreatedAt, now)}
		if p.may(member.ScopeOwnerRecoveries) && t.openOf(m.ID) == nil {
			row.Href = t.href() + "/owners/" + m.ID.String()
		}
		view.Owners = append(view.Owners, row)
	}
	for i := range t.recoveries {
		view.Recoveries = append(view.Recoveries, newRecoveryView(&t.recoveries[i], t.names, now, t.href()))
	}
	view.Page = c.frame(w, r, v, p, t.Name, tenantsPath, ui.Link{Href: tenantsPath, Label: "Tenants"})
	c.render(w, r, http.StatusOK, c.tenantPage(view))
}

// openOf is the open recovery of an owner; nil for none.
func (t *customer) openOf(id uuid.UUID) *member.OwnerRecovery {
	for i := range t.recoveries {
		if t.recoveries[i].MemberID == id && t.recoveries[i].Open() {
			return &t.recoveries[i]
		}
	}
	return nil
}

type requestView struct {
	ui.Page

	Tenant tenantRow
	Name   string
	Href   string
	Fresh  string
	Form   actForm
}

func (c *Console) showRequest(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.request200(w, r, v, p, actForm{}, http.StatusOK)
}

func (c *Console) request200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form actForm, status int) {
	t, err := c.customer(r, v, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	for _, m := range t.owners {
		if m.ID.String() != r.PathValue("member") {
			continue
		}
		view := requestView{
			Tenant: tenantRow{Name: t.Name, Href: t.href()}, Name: t.names[m.PersonID], Href: t.href() + "/owners/" + m.ID.String(),
			Fresh: freshUntil(v), Form: form,
		}
		view.Page = c.frame(w, r, v, p, "Recover "+view.Name, tenantsPath,
			ui.Link{Href: tenantsPath, Label: "Tenants"}, ui.Link{Href: t.href(), Label: t.Name})
		view.Page.Here = view.Href
		c.render(w, r, status, c.requestPage(view))
		return
	}
	c.fail(w, r, v, member.ErrNotFound)
}

func (c *Console) requestRecovery(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := actForm{Reason: clean(r.PostFormValue("reason")), Ticket: clean(r.PostFormValue("ticket"))}
	t, err := c.customer(r, v, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	id, err := uuid.Parse(r.PathValue("member"))
	switch {
	case err != nil:
		err = member.ErrNotFound
	case !v.fresh:
		err = errStale
	default:
		_, err = c.members.RequestOwnerRecovery(r.Context(), t.sc, member.OwnerRecoveryRequest{MemberID: id, Reason: form.Reason, Ticket: form.Ticket})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		c.request200(w, r, v, p, form, code)
		return
	}
	c.done(w, r, "requested", t.href())
}

type staffRecoveryView struct {
	ui.Page

	Tenant   tenantRow
	Recovery recoveryView
	Mine     bool // the person asked for it
	Fresh    string
	Approve  actForm
	Cancel   actForm
	Release  actForm
	Top      *ui.Problem // of a form that is not there any more
	Link     string      // just made, and never shown again
	Until    ui.Moment
}

func (c *Console) showStaffRecovery(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.staffRecovery200(w, r, v, p, staffRecoveryView{}, http.StatusOK)
}

func (c *Console) staffRecovery200(w http.ResponseWriter, r *http.Request, v *visit, p *place, view staffRecoveryView, status int) {
	t, err := c.customer(r, v, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	one, err := t.recovery(r.PathValue("id"))
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view.Tenant = tenantRow{Name: t.Name, Href: t.href()}
	view.Recovery = newRecoveryView(one, t.names, c.now(), t.href())
	view.Mine, view.Fresh = view.Recovery.Asked == v.session.PersonID, freshUntil(v)
	for _, form := range []struct {
		there   bool
		problem *ui.Problem
	}{{view.approves(), view.Approve.Problem}, {view.releases(), view.Release.Problem}, {view.Recovery.Open, view.Cancel.Problem}} {
		if !form.there && form.problem != nil {
			view.Top = form.problem
		}
	}
	view.Page = c.frame(w, r, v, p, "Recovery of "+view.Recovery.Name, tenantsPath,
		ui.Link{Href: tenantsPath, Label: "Tenants"}, ui.Link{Href: t.href(), Label: t.Name})
	view.Page.Here = view.Recovery.Href
	c.render(w, r, status, c.staffRecoveryPage(view))
}

// approves and releases say which forms the page has.
func (v *staffRecoveryView) approves() bool {
	return v.Recovery.State == member.OwnerRequested && !v.Mine
}

func (v *staffRecoveryView) releases() bool {
	return v.Recovery.State == member.OwnerReady || v.Recovery.State == member.OwnerReleased && v.Link == ""
}

// recovery is one of the tenant's. member.ErrOwnerRecovery.
func (t *customer) recovery(id string) (*member.OwnerRecovery, error) {
	for i := range t.recoveries {
		if t.recoveries[i].ID.String() == id {
			return &t.recoveries[i], nil
		}
	}
	return nil, member.ErrOwnerRecovery
}

// decision is what the staff decides of a recovery.
type decision func(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (member.OwnerRecovery, error)

// decide lets a person of the staff decide, with a fresh passkey.
func (c *Console) decide(r *http.Request, v *visit, p *place, reason string, decision decision) (*customer, error) {
	t, err := c.customer(r, v, p)
	if err != nil {
		return nil, err
	}
	one, err := t.recovery(r.PathValue("id"))
	if err != nil {
		return t, err
	}
	if !v.fresh {
		return t, errStale
	}
	_, err = decision(r.Context(), t.sc, one.ID, reason)
	return t, err
}

func (c *Console) approveRecovery(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := actForm{Reason: clean(r.PostFormValue("reason"))}
	t, err := c.decide(r, v, p, form.Reason, c.members.ApproveOwnerRecovery)
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		c.staffRecovery200(w, r, v, p, staffRecoveryView{Approve: form}, code)
		return
	}
	c.done(w, r, "approved", t.href())
}

func (c *Console) cancelRecovery(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := actForm{Reason: clean(r.PostFormValue("reason"))}
	t, err := c.decide(r, v, p, form.Reason, c.members.CancelOwnerRecovery)
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		c.staffRecovery200(w, r, v, p, staffRecoveryView{Cancel: form}, code)
		return
	}
	c.done(w, r, "cancelled", t.href())
}

// releaseRecovery makes the link, or shows it again while nobody has used it. It is in the
// answer to this request and nowhere else, so there is no 303.
func (c *Console) releaseRecovery(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := actForm{Reason: clean(r.PostFormValue("reason"))}
	var invited member.Invited
	_, err := c.decide(r, v, p, form.Reason, func(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (released member.OwnerRecovery, err error) {
		released, invited, err = c.members.ReleaseOwnerRecovery(ctx, sc, id, reason)
		return released, err
	})
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		c.staffRecovery200(w, r, v, p, staffRecoveryView{Release: form}, code)
		return
	}
	c.staffRecovery200(w, r, v, p, staffRecoveryView{
		Link: c.publicURL + Path + "/join#" + invited.Token, Until: ui.At(invited.Invitation.ExpiresAt),
	}, http.StatusOK)
}
