package console

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/support"
)

// supportRoutes are a tenant's page of who of the staff looks into it.
func (c *Console) supportRoutes(mux *router) {
	const here = Path + "/t/{slug}/support"
	mux.HandleFunc("GET "+here, c.inTenant(apikey.ScopeSupportRead, c.showSupport))
	mux.HandleFunc("GET "+here+"/export", c.inTenant(apikey.ScopeSupportRead, c.exportSupport))
	mux.HandleFunc("GET "+here+"/{id}", c.inTenant(apikey.ScopeSupportRead, c.showGrant))
	mux.HandleFunc("POST "+here+"/{id}/grant", c.inTenant(apikey.ScopeSupportGrant, c.grantSupport))
	mux.HandleFunc("POST "+here+"/{id}/refuse", c.inTenant(apikey.ScopeSupportGrant, c.refuseSupport))
	mux.HandleFunc("POST "+here+"/{id}/revoke", c.inTenant(apikey.ScopeSupportGrant, c.revokeSupport))
}

// supportLabel is what somebody is called in a tenant that let them in.
func supportLabel(a support.Access) string {
	if a == support.Act {
		return "Support, may help"
	}
	return "Support, may look"
}

// supportRole is whose rights somebody has whom the tenant let in. Postgres allows less of
// them: nothing but what bc_support is granted.
func supportRole(a support.Access) member.Role {
	if a == support.Act {
		return member.Support
	}
	return member.Viewer
}

// lookOf is the tenant of a grant that runs, as the person sees it by the grant.
func (c *Console) lookOf(v *visit, slug string) *place {
	for i := range v.support {
		if g := &v.support[i]; g.Slug == slug {
			return &place{
				sc: g.Scope(v.origin), base: tenantBase(slug), name: g.TenantName, note: modeLabel(g.Mode),
				me: member.Member{PersonID: g.PersonID, Role: supportRole(g.Access)}, support: &g.Grant,
			}
		}
	}
	return nil
}

// sightings remembers which pages support was recorded to have seen, so that a page that
// reads itself anew is one view. It only ever saves entries that say the same.
type sightings struct {
	mu   sync.Mutex
	last map[string]time.Time
}

const (
	// sameView is how long a page that is read again is still the same view.
	sameView = time.Minute
	// maxSightings bounds the memory; past it everything is recorded anew.
	maxSightings = 4096
	// maxSeen is how much of an address is recorded, in bytes.
	maxSeen = 256
)

// has reports whether a view was recorded within the last minute.
func (s *sightings) has(what string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Sub(s.last[what]) < sameView
}

// add remembers a view that has been recorded.
func (s *sightings) add(what string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || len(s.last) >= maxSightings {
		s.last = map[string]time.Time{}
	}
	s.last[what] = now
}

// recordTime bounds how long the record of a view may take.
const recordTime = 2 * time.Second

// seen records that support looks at a page or sends a form, which may show something too,
// before anything is shown: what cannot be recorded is not shown, and who hangs up meanwhile
// has looked all the same. Only the same view once more, with the same query, is no other
// one. What was filtered by stays out of the record, since it may be somebody's name; that
// something was is in it.
func (c *Console) seen(r *http.Request, p *place) error {
	if p.support == nil {
		return nil
	}
	page := strings.TrimPrefix(r.URL.Path, p.base)
	if page == "" {
		page = "/"
	}
	if len(page) > maxSeen {
		page = strings.ToValidUTF8(page[:maxSeen], "")
	}
	if r.URL.RawQuery != "" {
		page += "?…"
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !reads {
		page = r.Method + " " + page
	}
	query := sha256.Sum256([]byte(r.URL.RawQuery))
	view := p.support.ID.String() + page + string(query[:])
	if reads && c.views.has(view, c.now()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), recordTime)
	defer cancel()
	if err := c.support.Viewed(ctx, p.sc, page); err != nil {
		return err
	}
	if reads {
		c.views.add(view, c.now())
	}
	return nil
}

// supportAlerts are what everybody in a tenant is told on every page: who of the staff is in
// it, and, for who decides, who asks to be.
func (c *Console) supportAlerts(ctx context.Context, p *place) ([]ui.Alert, error) {
	if g := p.support; g != nil {
		left := ui.At(*g.ExpiresAt)
		return []ui.Alert{{
			Name: "Support access", Icon: "buoy", Until: &left, Left: countdown(g.ExpiresAt.Sub(c.now())), Leaves: true,
			Text: "You are in this tenant for support, ticket " + g.Ticket + ". " + does(g.Access) + " What you see and do is in its audit log.",
			End:  endOf(slugOf(p), g.ID), EndLabel: "End access",
		}}, nil
	}
	open, err := c.support.Open(ctx, p.sc)
	if err != nil {
		return nil, err
	}
	var all []ui.Alert
	decides := p.may(apikey.ScopeSupportGrant)
	for i := range open {
		g := &open[i]
		a := ui.Alert{Name: "Support access", Icon: "buoy", Href: p.base + "/support/" + g.ID.String()}
		switch {
		case g.Runs():
			until := ui.At(*g.ExpiresAt)
			a.Text = g.PersonName + " from support is in this tenant, ticket " + g.Ticket + ". " + may(g.Access) + " Everything they see and do is in the audit log."
			a.Until, a.Left, a.Label = &until, countdown(g.ExpiresAt.Sub(c.now())), "See what they did"
			if decides {
				a.Label = "Look and end…"
			}
		case decides:
			a.Text = g.PersonName + " from support asks to be let in for " + ui.Count(int(g.Wanted/time.Minute), "minute") + ", ticket " + g.Ticket + "."
			a.Label = "Look and decide…"
		default:
			continue
		}
		all = append(all, a)
	}
	return all, nil
}

func does(a support.Access) string {
	if a == support.Act {
		return "You may look and help users."
	}
	return "You may look."
}

func may(a support.Access) string {
	if a == support.Act {
		return "They may look and help users."
	}
	return "They may look."
}

// countdown is how long d is, as a countdown shows it.
func countdown(d time.Duration) string {
	s := max(int(d.Seconds()), 0)
	return strconv.Itoa(s/60) + ":" + string(rune('0'+s%60/10)) + string(rune('0'+s%10))
}

func slugOf(p *place) string { return strings.TrimPrefix(p.base, Path+"/t/") }

// grantView is one request or grant.
type grantView struct {
	ID, Name, Ticket, Reason string
	State                    support.State
	Wants                    string // access and time
	Access                   string // granted
	AskedAt                  ui.Moment
	Open                     ui.Moment
	DecidedBy                string
	DecidedAt                *ui.Moment
	DecideReason             string
	Until                    *ui.Moment
	Left                     string
	EndedBy, EndReason       string
	EndedAt                  *ui.Moment
	Href                     string
	Waits, Runs              bool
	Minutes                  int
	Acts                     bool
}

func accessWords(a support.Access) string {
	if a == support.Act {
		return "Look and help users"
	}
	return "Look"
}

func (c *Console) grantView(g *support.Grant, base string) grantView {
	v := grantView{
		ID: g.ID.String(), Name: g.PersonName, Ticket: g.Ticket, Reason: g.Reason, State: g.State, AskedAt: ui.At(g.RequestedAt), Open: ui.At(g.OpenUntil),
		Wants:     accessWords(g.WantedAccess) + ", for " + ui.Count(int(g.Wanted/time.Minute), "minute"),
		DecidedBy: decider(g.DecidedBy, g.DecidedName), DecidedAt: at(g.DecidedAt), DecideReason: g.DecideReason,
		EndedBy: decider(g.EndedBy, g.EndedName), EndedAt: at(g.EndedAt), EndReason: g.EndReason,
		Href: base + "/" + g.ID.String(), Waits: g.Waits(), Runs: g.Runs(), Minutes: int(g.Wanted / time.Minute), Acts: g.WantedAccess == support.Act,
	}
	if g.ExpiresAt != nil && g.DecidedAt != nil {
		v.Access = accessWords(g.Access) + ", for " + ui.Count(int(g.ExpiresAt.Sub(*g.DecidedAt)/time.Minute), "minute")
		v.Until = at(g.ExpiresAt)
		v.Left = countdown(g.ExpiresAt.Sub(c.now()))
	}
	return v
}

// decider is who acted, as they were called then.
func decider(by, name string) string {
	if by == "" || name != "" {
		return name
	}
	return whoLabel(by, nil)
}

// badge is the state in a word, with its colour.
func (v *grantView) badge() (class, text string) {
	switch v.State {
	case support.Requested:
		return "warn", "Asks for access"
	case support.Granted:
		return "warn", "Is in"
	case support.Refused:
		return "idle", "Refused"
	case support.Revoked:
		return "bad", "Revoked"
	case support.Ended:
		return "ok", "Given back"
	case support.Expired:
		return "idle", "Over"
	}
	return "idle", string(v.State)
}

type supportView struct {
	ui.Page

	Open  []grantView // waits or runs
	Past  []grantView
	Pager ui.Pager
	Slug  string
	CSV   string
	JSON  string
}

func (c *Console) showSupport(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	list, err := c.support.List(r.Context(), p.sc, listing.Request{PageToken: r.URL.Query().Get("after")})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	base := p.base + "/support"
	view := supportView{Slug: slugOf(p)}
	for i := range list.Items {
		g := c.grantView(&list.Items[i], base)
		if g.Waits || g.Runs {
			view.Open = append(view.Open, g)
		} else {
			view.Past = append(view.Past, g)
		}
	}
	view.Pager = ui.Pager{Says: ui.Count(len(list.Items), "request"), ByTime: true}
	view.Pager.Turn(ui.Address{Path: base}, r.URL.Query(), list.NextToken)
	export := ui.Address{Path: base + "/export"}
	view.CSV, view.JSON = export.Without(), export.With("format", "json")
	view.Page = c.frame(w, r, v, p, "Support access", base)
	c.render(w, r, http.StatusOK, c.supportPage(view))
}

// grantColumns are the columns of a grant in an export; grantCells are its cells.
var grantColumns = []string{
	"id", "personId", "person", "ticket", "reason", "state", "wantedAccess", "wantedMinutes", "requestedAt", "openUntil",
	"access", "decidedBy", "decidedAt", "decideReason", "expiresAt", "endedBy", "endedAt", "endReason",
}

func grantCells(g *support.Grant) []string {
	return []string{
		g.ID.String(), g.PersonID.String(), g.PersonName, g.Ticket, g.Reason, string(g.State), string(g.WantedAccess), strconv.Itoa(int(g.Wanted / time.Minute)),
		iso(&g.RequestedAt), iso(&g.OpenUntil), string(g.Access), decider(g.DecidedBy, g.DecidedName), iso(g.DecidedAt), g.DecideReason, iso(g.ExpiresAt),
		decider(g.EndedBy, g.EndedName), iso(g.EndedAt), g.EndReason,
	}
}

// exportSupport writes all that was ever asked and granted here.
func (c *Console) exportSupport(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.export(w, r, v, exported{
		Name: "support-access", Columns: grantColumns,
		Next: func(token string) ([][]string, string, error) {
			list, err := c.support.List(r.Context(), p.sc, listing.Request{PageSize: listing.MaxPageSize, PageToken: token})
			rows := make([][]string, len(list.Items))
			for i := range list.Items {
				rows[i] = grantCells(&list.Items[i])
			}
			return rows, list.NextToken, err
		},
	})
}

// grantForm is what was typed to let somebody in.
type grantForm struct {
	actForm

	Access, Minutes string
}

type grantPageView struct {
	ui.Page

	Grant   grantView
	Actions []actionView
	Pager   ui.Pager // of them
	Decides bool
	Fresh   string
	Base    string
	Give    grantForm
	Refuse  actForm
	Revoke  actForm
	Top     *ui.Problem // of a form that is not there any more
}

type actionView struct {
	At           ui.Moment
	Icon, What   string
	Detail, Href string
	Denied       bool
}

func (c *Console) showGrant(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.grant200(w, r, v, p, grantPageView{}, http.StatusOK)
}

func (c *Console) grant200(w http.ResponseWriter, r *http.Request, v *visit, p *place, view grantPageView, status int) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		c.fail(w, r, v, support.ErrNotFound)
		return
	}
	g, err := c.support.Get(r.Context(), p.sc, id)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	base := p.base + "/support"
	view.Grant, view.Base = c.grantView(&g, base), base
	view.Decides = p.may(apikey.ScopeSupportGrant) && p.support == nil && g.PersonID != v.session.PersonID
	view.Fresh = freshUntil(v)
	if view.Give.Minutes == "" {
		view.Give.Minutes, view.Give.Access = strconv.Itoa(view.Grant.Minutes), string(g.WantedAccess)
	}
	for _, form := range []struct {
		there   bool
		problem *ui.Problem
	}{{g.Waits(), view.Give.Problem}, {g.Waits(), view.Refuse.Problem}, {g.Runs(), view.Revoke.Problem}} {
		if !form.there && form.problem != nil {
			view.Top = form.problem
		}
	}
	if g.DecidedAt != nil {
		actions, err := c.support.Actions(r.Context(), p.sc, id, listing.Request{PageToken: r.URL.Query().Get("after")})
		if err != nil {
			c.fail(w, r, v, err)
			return
		}
		for _, a := range actions.Items {
			view.Actions = append(view.Actions, newActionView(a, p.base))
		}
		view.Pager = ui.Pager{Says: ui.Count(len(actions.Items), "entry"), ByTime: true}
		view.Pager.Turn(ui.Address{Path: view.Grant.Href}, r.URL.Query(), actions.NextToken)
	}
	view.Page = c.frame(w, r, v, p, g.PersonName, base, ui.Link{Href: base, Label: "Support access"})
	view.Page.Here = view.Grant.Href
	c.render(w, r, status, c.grantPage(view))
}

func newActionView(a support.Action, base string) actionView {
	v := actionView{At: ui.At(a.At), Icon: "pen", What: a.Action, Detail: a.Target.Kind + " " + a.Target.ID, Denied: a.Outcome != "success"}
	if a.Reason != "" {
		v.Detail += ", " + a.Reason
	}
	if a.Action == support.ActionView {
		v.Icon, v.What, v.Detail, v.Href = "eye", "Looked at", a.Page, local(base+a.Page)
	}
	return v
}

// act lets a member decide, with a fresh passkey.
func (c *Console) decideSupport(r *http.Request, v *visit, decide func(ctx context.Context, id uuid.UUID) (support.Grant, error)) error {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		return support.ErrNotFound
	}
	if !v.fresh {
		return errStale
	}
	_, err = decide(r.Context(), id)
	return err
}

func (c *Console) grantSupport(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := grantForm{Access: r.PostFormValue("access"), Minutes: clean(r.PostFormValue("minutes"))}
	form.Reason = clean(r.PostFormValue("reason"))
	err := c.decideSupport(r, v, func(ctx context.Context, id uuid.UUID) (support.Grant, error) {
		minutes, err := strconv.Atoi(form.Minutes)
		if err != nil || minutes < 1 || minutes > 60 {
			return support.Grant{}, support.ErrMinutes
		}
		if form.Access == "" {
			return support.Grant{}, support.ErrAccess
		}
		return c.support.Grant(ctx, p.sc, support.GrantRequest{
			ID: id, Access: support.Access(form.Access), For: time.Duration(minutes) * time.Minute, Reason: form.Reason,
		})
	})
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		c.grant200(w, r, v, p, grantPageView{Give: form}, code)
		return
	}
	c.done(w, r, "letin", p.base+"/support/"+r.PathValue("id"))
}

func (c *Console) refuseSupport(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := actForm{Reason: clean(r.PostFormValue("reason"))}
	err := c.decideSupport(r, v, func(ctx context.Context, id uuid.UUID) (support.Grant, error) {
		return c.support.Refuse(ctx, p.sc, id, form.Reason)
	})
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		c.grant200(w, r, v, p, grantPageView{Refuse: form}, code)
		return
	}
	c.done(w, r, "refused", p.base+"/support")
}

func (c *Console) revokeSupport(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := actForm{Reason: clean(r.PostFormValue("reason"))}
	err := c.decideSupport(r, v, func(ctx context.Context, id uuid.UUID) (support.Grant, error) {
		return c.support.Revoke(ctx, p.sc, id, form.Reason)
	})
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		c.grant200(w, r, v, p, grantPageView{Revoke: form}, code)
		return
	}
	c.done(w, r, "putout", p.base+"/support/"+r.PathValue("id"))
}

// accessChoices are what may be asked for, or granted of it.
func accessChoices(acts bool) []ui.Choice {
	all := []ui.Choice{{Value: string(support.View), Label: accessWords(support.View)}}
	if acts {
		all = append(all, ui.Choice{Value: string(support.Act), Label: accessWords(support.Act)})
	}
	return all
}
