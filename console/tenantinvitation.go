package console

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/tenancy/usage"
)

const (
	foundersPath = "/founders"
	foundPath    = Path + "/found"
)

// foundCookie holds the token of the invitation between the gate and the form: the page's
// address has none, and the form works without script.
const (
	secureFoundCookie = "__Host-biocore_found"
	plainFoundCookie  = "biocore_found"
)

func (c *Console) foundCookieName() string {
	if c.secure {
		return secureFoundCookie
	}
	return plainFoundCookie
}

// foundLife is how long somebody may take over the form, and begin anew by the link.
const foundLife = time.Hour

// foundingRoutes are invitations to make a tenant, and the page that makes it.
func (c *Console) foundingRoutes(mux *router) {
	const base = platformBase + foundersPath
	mux.HandleFunc("GET "+base, c.inPlatform(apikey.ScopeTenantsRead, c.showFounders))
	mux.HandleFunc("POST "+base, c.inPlatform(apikey.ScopeTenantsWrite, c.inviteFounder))
	mux.HandleFunc("POST "+base+"/{id}/revoke", c.inPlatform(apikey.ScopeTenantsWrite, c.uninviteFounder))
	mux.HandleFunc("GET "+foundPath, c.signedIn(c.showFound))
	mux.HandleFunc("POST "+foundPath, c.signedIn(c.foundTenant))
}

type foundersView struct {
	ui.Page

	Rows []founderRow
	May  bool
	Form founderForm
}

type founderRow struct {
	ID, Label, By, Mode, Expires, Link string
	Terms                              string // plan and quotas; may be empty
	Until                              ui.Moment
}

type founderForm struct {
	Label, Mode, Plan, Email, Reason string

	Typed   map[string]string // quotas, by kind
	Quotas  []ui.Input
	Mails   bool
	Fresh   string
	Problem *ui.Problem
}

func (c *Console) showFounders(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.founders200(w, r, v, p, founderForm{Mode: string(tenant.Test)}, http.StatusOK)
}

func (c *Console) founders200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form founderForm, code int) {
	open, err := c.members.Founders(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := foundersView{May: p.may(apikey.ScopeTenantsWrite), Form: form}
	view.Form.Mails, view.Form.Fresh = c.members.MailsInvitations(), freshUntil(v)
	view.Form.Quotas = quotaInputs(nil)
	for i := range view.Form.Quotas {
		input := &view.Form.Quotas[i]
		input.ID, input.Value, input.Problem = "founder-"+input.Name, form.Typed[input.Name], form.Problem
	}
	people := make([]uuid.UUID, len(open))
	for i, one := range open {
		people[i] = who(one.Invitation.InvitedBy)
	}
	names, err := c.names(r.Context(), people)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	for _, one := range open {
		in := one.Invitation
		row := founderRow{
			ID: in.ID.String(), Label: in.Label, By: whoLabel(in.InvitedBy, names), Mode: modeLabel(string(in.Founds.Mode)), Terms: termsLabel(in.Founds),
			Expires: "in " + ui.Left(in.ExpiresAt.Sub(c.now())), Until: ui.At(in.ExpiresAt),
		}
		if one.Token != "" {
			row.Link = c.publicURL + Path + "/join#" + one.Token
		}
		view.Rows = append(view.Rows, row)
	}
	view.Page = c.frame(w, r, v, p, "Tenant invitations", p.base+foundersPath)
	c.render(w, r, code, c.foundersPage(view))
}

// termsLabel is what is settled for the tenant that an invitation makes: what has no quota has
// no limit.
func termsLabel(t *member.Terms) string {
	var all []string
	if t.Plan != "" {
		all = append(all, "Plan "+t.Plan)
	}
	for _, q := range t.Quotas {
		text := meterLabel(q.Kind) + " " + amount(q.Kind, q.Most)
		if q.Hard {
			text += " (hard)"
		}
		all = append(all, text)
	}
	if len(t.Quotas) == 0 { // an installation has none that hold by themselves
		all = append(all, "No limits")
	}
	return strings.Join(all, " · ")
}

func (c *Console) inviteFounder(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := founderForm{
		Label: clean(r.PostFormValue("label")), Mode: r.PostFormValue("mode"), Plan: clean(r.PostFormValue("plan")),
		Email: clean(r.PostFormValue("email")), Reason: clean(r.PostFormValue("reason")), Typed: map[string]string{},
	}
	for _, kind := range usage.Kinds() {
		form.Typed[string(kind)] = clean(r.PostFormValue(string(kind)))
	}
	quotas, _, err := quotasOf(form.Typed)
	switch {
	case err != nil:
	case !v.fresh:
		err = errStale
	case form.Reason == "":
		err = member.ErrReason
	default:
		_, err = c.members.InviteFounder(r.Context(), p.sc, member.FoundingRequest{
			Label: form.Label, Terms: member.Terms{Mode: tenant.Mode(form.Mode), Plan: form.Plan, Quotas: quotas}, Email: form.Email, Reason: form.Reason,
		})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		atField(problem, err)
		form.Problem = problem
		c.founders200(w, r, v, p, form, code)
		return
	}
	toast := "invited"
	if form.Email != "" {
		toast = "mailed"
	}
	c.done(w, r, toast, p.base+foundersPath)
}

func (c *Console) uninviteFounder(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		err = member.ErrInvitation
	} else {
		_, err = c.members.UninviteFounder(r.Context(), p.sc, id)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.done(w, r, "uninvited", p.base+foundersPath)
}

// foundView is the page on which an invited person makes a tenant.
type foundView struct {
	ui.Page

	Live    bool
	Form    foundForm
	Founded *foundedView // it is made
}

type foundForm struct {
	Name, Slug, RPID, Origins string
	Problem                   *ui.Problem
}

type foundedView struct {
	Name, Href, Secret, Publishable string
	Live                            bool
}

// founding is the invitation whose token the browser holds.
func (c *Console) founding(r *http.Request) (token string, in member.Invitation, err error) {
	cookie, err := r.Cookie(c.foundCookieName())
	if err != nil {
		return "", in, member.ErrInvitation
	}
	at, in, err := c.members.Look(r.Context(), cookie.Value)
	if err == nil && (at != scope.PlatformTenant || in.Founds == nil) {
		err = member.ErrInvitation
	}
	return cookie.Value, in, err
}

func (c *Console) showFound(w http.ResponseWriter, r *http.Request, v *visit) {
	_, in, err := c.founding(r)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := foundView{Live: in.Founds.Mode == tenant.Live}
	if !view.Live {
		view.Form.RPID, view.Form.Origins = "localhost", "http://localhost:3000"
	}
	c.found200(w, r, v, view, http.StatusOK)
}

func (c *Console) found200(w http.ResponseWriter, r *http.Request, v *visit, view foundView, code int) {
	view.Page = c.frame(w, r, v, nil, "New tenant", foundPath)
	c.render(w, r, code, c.foundPage(view))
}

// foundTenant makes the tenant, once: a second time its invitation is closed.
func (c *Console) foundTenant(w http.ResponseWriter, r *http.Request, v *visit) {
	token, in, err := c.founding(r)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	form := foundForm{
		Name: clean(r.PostFormValue("name")), Slug: clean(r.PostFormValue("slug")), RPID: clean(r.PostFormValue("rpId")),
		Origins: strings.TrimSpace(strings.ReplaceAll(r.PostFormValue("origins"), "\r\n", "\n")),
	}
	actor := scope.Actor{Kind: scope.ActorOperator, ID: v.person.ID.String(), Name: v.person.Name}
	made, keys, err := c.members.Found(r.Context(), c.tenants, actor, v.origin, member.FoundRequest{
		Token: token, Name: form.Name, Slug: form.Slug, RPID: form.RPID, Origins: lines(form.Origins),
	})
	if problem, code := c.inForm(r, err); problem != nil {
		if f, ok := fault.As(err); ok && f.Metadata["field"] != "" {
			problem.Field = f.Metadata["field"]
			problem.Message = foundLabels[problem.Field] + " " + strings.TrimPrefix(f.Message, problem.Field+" ") + "."
		}
		if errors.Is(err, tenant.ErrExists) {
			problem.Field = "slug"
		}
		form.Problem = problem
		c.found200(w, r, v, foundView{Live: in.Founds.Mode == tenant.Live, Form: form}, code)
		return
	}
	c.setCookie(w, c.foundCookieName(), "", 0)
	c.found200(w, r, v, foundView{Founded: &foundedView{
		Name: made.Name, Href: tenantBase(made.Slug), Secret: keys.Secret, Publishable: keys.Publishable, Live: made.Mode == tenant.Live,
	}}, http.StatusOK)
}

var foundLabels = map[string]string{"name": "Name", "slug": "Slug", "rpId": "RP ID", "origins": "Origins"}
