package console

import (
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/support"
)

// staffSupportRoutes are the staff's side: asking, what became of it, giving it back.
func (c *Console) staffSupportRoutes(mux *router) {
	const ask = platformBase + "/tenants/{slug}/support"
	mux.HandleFunc("GET "+platformBase+"/support", c.inPlatform(apikey.ScopeSupportRequest, c.showAsked))
	mux.HandleFunc("GET "+platformBase+"/support/export", c.inPlatform(apikey.ScopeSupportRequest, c.exportAsked))
	mux.HandleFunc("POST "+platformBase+"/support/{slug}/{id}/end", c.inPlatform(apikey.ScopeSupportRequest, c.endSupport))
	mux.HandleFunc("GET "+ask, c.inPlatform(apikey.ScopeSupportRequest, c.showAsk))
	mux.HandleFunc("POST "+ask, c.inPlatform(apikey.ScopeSupportRequest, c.askSupport))
}

func endOf(slug string, id uuid.UUID) string {
	return platformBase + "/support/" + slug + "/" + id.String() + "/end"
}

type askedRow struct {
	grantView

	Tenant string
	Opens  string // address of the tenant, while the grant runs
	Ends   string // where it is given or taken back
	End    string // what that is called
}

type askedView struct {
	ui.Page

	Rows      []askedRow
	CSV, JSON string
}

func (c *Console) showAsked(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	all, err := c.support.OfPerson(r.Context(), v.session.PersonID)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	var view askedView
	for i := range all {
		g := &all[i]
		row := askedRow{grantView: c.grantView(&g.Grant, ""), Tenant: g.TenantName}
		switch {
		case g.Runs():
			row.Opens, row.Ends, row.End = tenantBase(g.Slug), endOf(g.Slug, g.ID), "End access"
		case g.Waits():
			row.Ends, row.End = endOf(g.Slug, g.ID), "Take back"
		}
		view.Rows = append(view.Rows, row)
	}
	export := ui.Address{Path: platformBase + "/support/export"}
	view.CSV, view.JSON = export.Without(), export.With("format", "json")
	view.Page = c.frame(w, r, v, p, "Support access", platformBase+"/support")
	c.render(w, r, http.StatusOK, c.askedPage(view))
}

// exportAsked writes what the person has asked of tenants.
func (c *Console) exportAsked(w http.ResponseWriter, r *http.Request, v *visit, _ *place) {
	c.export(w, r, v, exported{
		Name: "support-access", Columns: append([]string{"tenant", "slug"}, grantColumns...),
		Next: func(string) ([][]string, string, error) {
			all, err := c.support.OfPerson(r.Context(), v.session.PersonID)
			rows := make([][]string, len(all))
			for i := range all {
				rows[i] = append([]string{all[i].TenantName, all[i].Slug}, grantCells(&all[i].Grant)...)
			}
			return rows, "", err
		},
	})
}

// endSupport takes no fresh passkey: what it does is always safe.
func (c *Console) endSupport(w http.ResponseWriter, r *http.Request, v *visit, _ *place) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		c.fail(w, r, v, support.ErrNotFound)
		return
	}
	all, err := c.support.OfPerson(r.Context(), v.session.PersonID)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	for i := range all {
		if all[i].ID == id && all[i].Slug == r.PathValue("slug") {
			if _, err := c.support.End(r.Context(), v.in(all[i].TenantID), id); err != nil {
				c.fail(w, r, v, err)
				return
			}
			c.done(w, r, "givenback", platformBase+"/support")
			return
		}
	}
	c.fail(w, r, v, support.ErrNotFound)
}

type askView struct {
	ui.Page

	Tenant tenantRow
	Href   string
	Fresh  string
	Form   grantForm
}

func (c *Console) showAsk(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.ask200(w, r, v, p, grantForm{Access: string(support.View), Minutes: "30"}, http.StatusOK)
}

func (c *Console) ask200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form grantForm, status int) {
	t, err := c.customer(r, v, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := askView{Tenant: tenantRow{Name: t.Name, Href: t.href()}, Href: t.href() + "/support", Fresh: freshUntil(v), Form: form}
	view.Page = c.frame(w, r, v, p, "Ask for access", tenantsPath, ui.Link{Href: tenantsPath, Label: "Tenants"}, ui.Link{Href: t.href(), Label: t.Name})
	view.Page.Here = view.Href
	c.render(w, r, status, c.askPage(view))
}

func (c *Console) askSupport(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := grantForm{Access: r.PostFormValue("access"), Minutes: clean(r.PostFormValue("minutes"))}
	form.Reason, form.Ticket = clean(r.PostFormValue("reason")), clean(r.PostFormValue("ticket"))
	t, err := c.customer(r, v, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	minutes, bad := strconv.Atoi(form.Minutes)
	switch {
	case !v.fresh:
		err = errStale
	case bad != nil || minutes < 1 || minutes > 60:
		err = support.ErrMinutes
	default:
		_, err = c.support.Request(r.Context(), v.platform(), support.Request{
			TenantID: t.ID, PersonID: v.session.PersonID, Reason: form.Reason, Ticket: form.Ticket,
			For: time.Duration(minutes) * time.Minute, Access: support.Access(form.Access),
		})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		c.ask200(w, r, v, p, form, code)
		return
	}
	c.done(w, r, "asked", platformBase+"/support")
}
