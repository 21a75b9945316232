package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/support"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// platformName is what the staff's part is called.
const platformName = "Platform"

// place is where a page is: a tenant that the person is a member of, or the platform for
// who is of the staff.
type place struct {
	sc     scope.Scope
	base   string // address of what is in it
	name   string
	note   string
	tenant *tenant.Snapshot // nil for the platform
	me     member.Member
	staff  bool // the platform

	support *support.Grant // by which one of the staff is in it; nil for members

	recoveries []member.OwnerRecovery // of the tenant's owners, the newest first
	alerts     []ui.Alert             // the open ones of them
}

// may reports whether the person's role, or the grant that they are in by,
// allows what scope does. Who was let in to act may also do what a viewer may.
func (p *place) may(scope string) bool {
	if p.staff { // flags of the reserved tenant are Biocore's own
		switch scope {
		case apikey.ScopeFlagsRead:
			scope = member.ScopeRolloutsRead
		case apikey.ScopeFlagsWrite:
			scope = member.ScopeRolloutsWrite
		}
	}
	return p.me.Role.May(scope) || p.support != nil && member.Viewer.May(scope)
}

// label is what the person is here.
func (p *place) label() string {
	if p.support != nil {
		return supportLabel(p.support.Access)
	}
	return p.me.Role.Label()
}

// writes is what it takes to change who works here.
func (p *place) writes() string {
	if p.staff {
		return member.ScopeStaffWrite
	}
	return apikey.ScopeMembersWrite
}

// roles are those that there are here.
func (p *place) roles() []member.Role {
	if p.staff {
		return member.StaffRoles()
	}
	return member.Roles()
}

// page is a page of the sidebar, with what it takes to see it: any of the scopes.
type page struct {
	ui.Nav
	needs []string
}

// part is a group of pages under one head.
type part struct {
	label string
	pages []page
}

func entry(href, icon, label string, needs ...string) page {
	return page{ui.Nav{Href: href, Icon: icon, Label: label}, needs}
}

// tenantParts and platformParts are the sidebar, and paths of theirs are below the place.
var (
	tenantParts = []part{
		{"", []page{
			entry("", "home", "Overview", apikey.ScopeStatsRead),
			entry("/dashboards", "columns", "Dashboards", apikey.ScopeDashboardsRead),
			entry("/users", "users", "Users", apikey.ScopeUsersRead),
			entry("/credentials", "key", "Credentials", apikey.ScopeUsersRead),
			entry("/sessions", "devices", "Sessions", apikey.ScopeSessions),
		}},
		{"Security", []page{
			entry("/ceremonies", "radio", "Ceremonies", apikey.ScopeCeremoniesRead),
			entry(policiesPath, "shield", "Policies", apikey.ScopePolicyRead),
			entry(riskPath, "risk", "Risk", apikey.ScopeRiskRead),
			entry(modelsPath, "finger", "Authenticators", apikey.ScopeAuthenticatorsRead),
		}},
		{"Developers", []page{
			entry(flagsPath, "flag", "Feature flags", apikey.ScopeFlagsRead),
			entry(partyPath, "rp", "Relying party", apikey.ScopeSettingsRead),
			entry(keysPath, "api", "API keys", apikey.ScopeAPIKeysRead),
			entry(signingPath, "sign", "Signing keys", apikey.ScopeSigningKeysRead),
			entry(limitsPath, "gauge", "Limits", apikey.ScopeUsageRead),
		}},
		{"Governance", []page{
			entry(auditPath, "audit", "Audit log", apikey.ScopeAuditRead),
			entry(reportsPath, "filecheck", "Compliance", apikey.ScopeReportsRead),
			entry(streamsPath, "stream", "Log streams", apikey.ScopeLogStreamsRead),
			entry(dataMapPath, "data", "Data map", apikey.ScopeGovernanceRead),
		}},
		{"Organisation", []page{
			entry("/members", "members", "Members & roles", apikey.ScopeMembersRead),
			entry("/support", "buoy", "Support access", apikey.ScopeSupportRead),
			entry("/usage", "usage", "Usage", apikey.ScopeUsageRead),
			entry("/settings", "gear", "Settings", apikey.ScopeSettingsRead),
		}},
	}
	platformParts = []part{
		{"Platform", []page{
			entry("/tenants", "tenants", "Tenants", apikey.ScopeTenantsRead),
			entry(foundersPath, "userplus", "Tenant invitations", apikey.ScopeTenantsRead),
			entry("/support", "buoy", "Support access", apikey.ScopeSupportRequest),
			entry("/system", "server", "System", apikey.ScopeSystemRead),
			entry(flagsPath, "flag", "Feature flags", member.ScopeRolloutsRead),
			entry("/members", "members", "Staff", member.ScopeStaffRead),
		}},
	}
)

// nav is the sidebar of p for the person's role; a nil p is no place.
func (p *place) nav() []ui.NavGroup {
	own := ui.NavGroup{Label: "You", Items: []ui.Nav{{Href: Path + "/account", Icon: "key", Label: "Account"}}}
	if p == nil {
		own.Label = ""
		return []ui.NavGroup{own}
	}
	parts := tenantParts
	if p.staff {
		parts = platformParts
	}
	var groups []ui.NavGroup
	for _, part := range parts {
		group := ui.NavGroup{Label: part.label}
		for _, one := range part.pages {
			if slices.ContainsFunc(one.needs, p.may) {
				one.Nav.Href = p.base + one.Nav.Href
				group.Items = append(group.Items, one.Nav)
			}
		}
		if len(group.Items) > 0 {
			groups = append(groups, group)
		}
	}
	return append(groups, own)
}

func tenantBase(slug string) string { return Path + "/t/" + slug }

const platformBase = Path + "/platform"

// modeLabel is LIVE or TEST in words.
func modeLabel(mode string) string {
	if mode == "LIVE" {
		return "Live"
	}
	return "Test"
}

// inTenant wraps what is in the tenant that the path names, for members whose role allows
// needs; it is empty for what each member may.
// What is stopped, suspended or being deleted, is looked at and not changed.
func (c *Console) inTenant(needs string, next func(http.ResponseWriter, *http.Request, *visit, *place)) http.HandlerFunc {
	return c.inStopped(needs, func(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
		if err := p.tenant.Usable(); err != nil && r.Method != http.MethodGet && r.Method != http.MethodHead {
			c.fail(w, r, v, err)
			return
		}
		next(w, r, v, p)
	})
}

// inStopped is inTenant for what may be done in a stopped tenant too.
func (c *Console) inStopped(needs string, next func(http.ResponseWriter, *http.Request, *visit, *place)) http.HandlerFunc {
	return c.signedIn(func(w http.ResponseWriter, r *http.Request, v *visit) {
		p, err := c.tenantPlace(r.Context(), v, r.PathValue("slug"))
		r = in(r, p)
		if err == nil && needs != "" && !p.may(needs) {
			err = errMayNot
		}
		if err == nil {
			err = c.seen(r, p)
		}
		if err != nil {
			c.fail(w, r, v, err)
			return
		}
		next(w, r, v, p)
	})
}

// tenantPlace is the tenant of a slug. errNowhere also where the person is no member: a
// tenant of others does not exist for them.
func (c *Console) tenantPlace(ctx context.Context, v *visit, slug string) (*place, error) {
	i := slices.IndexFunc(v.memberships, func(m member.Membership) bool { return m.Slug == slug })
	var p *place
	var err error
	if i < 0 {
		if p = c.lookOf(v, slug); p == nil {
			return nil, errNowhere
		}
	} else {
		m := v.memberships[i]
		p = &place{sc: v.in(m.TenantID), base: tenantBase(m.Slug), name: m.Name, note: modeLabel(m.Mode)}
		// Behind the tenant's own wall: what the list says is for the menu.
		if p.me, err = c.members.Of(ctx, p.sc, v.session.PersonID); errors.Is(err, member.ErrNotFound) {
			return nil, errNowhere
		} else if err != nil {
			return nil, err
		}
	}
	// The snapshot is this server's own: support's role does not read it.
	own := scope.New(p.sc.Tenant(), scope.Actor{Kind: scope.ActorSystem, ID: "console"})
	if p.tenant, err = c.tenants.Current(ctx, own); err != nil {
		return nil, err
	}
	if p.tenant.Readable(c.now()) != nil { // its grace is over
		return nil, errNowhere
	}
	var recovered, about, used []ui.Alert
	reads, ctx := errgroup.WithContext(ctx)
	reads.Go(func() (err error) {
		if p.recoveries, err = c.members.OwnerRecoveries(ctx, p.sc); err == nil {
			recovered, err = c.alerts(ctx, p)
		}
		return err
	})
	reads.Go(func() (err error) {
		about, err = c.supportAlerts(ctx, p)
		return err
	})
	reads.Go(func() (err error) {
		used, err = c.usageAlerts(ctx, p)
		return err
	})
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	p.alerts = slices.Concat(about, p.stopped(c.now()), p.unproven(), recovered, used)
	return p, nil
}

// stopped tells every member on every page that the tenant does not work, and until when
// that can be mended.
func (p *place) stopped(now time.Time) []ui.Alert {
	a := ui.Alert{Name: "State of the tenant", Href: p.base + "/settings", Label: "See settings"}
	if !p.may(apikey.ScopeSettingsRead) {
		a.Href, a.Label = "", ""
	}
	switch p.tenant.State {
	case tenant.Suspended:
		a.Text = "This tenant is suspended: its keys, sign-ins and sessions are refused. Look at everything; nothing can be changed until the staff of this installation resume it."
		if p.tenant.SuspendReason != "" {
			a.Text += " Their reason: " + p.tenant.SuspendReason
		}
	case tenant.Deleting:
		a.Text = "This tenant is being deleted: its keys, sign-ins and sessions are refused, and nothing can be changed. All of it is destroyed on"
		a.Ready, a.Left = at(p.tenant.DeleteAfter), "in "+ui.Left(p.tenant.DeleteAfter.Sub(now))
	case tenant.Active:
		return nil
	}
	return []ui.Alert{a}
}

// unproven tells every member on every page of a live tenant that nobody signs in before its
// domain is proven.
func (p *place) unproven() []ui.Alert {
	if p.tenant.State != tenant.Active || p.tenant.MayRunCeremonies() == nil {
		return nil
	}
	a := ui.Alert{
		Name: "Proof of the domain",
		Text: "Nobody has shown yet that " + p.tenant.RPID + " is this tenant’s own domain. Until then registrations and sign-ins are refused.",
		Href: p.base + partyPath, Label: "Prove your domain",
	}
	if !p.may(apikey.ScopeSettingsRead) {
		a.Href, a.Label = "", ""
	}
	return []ui.Alert{a}
}

// inPlatform wraps what is for the staff whose role allows needs. For everybody else it
// does not exist.
func (c *Console) inPlatform(needs string, next func(http.ResponseWriter, *http.Request, *visit, *place)) http.HandlerFunc {
	return c.signedIn(func(w http.ResponseWriter, r *http.Request, v *visit) {
		p := platformPlace(v)
		r = in(r, p)
		switch {
		case p == nil:
			c.fail(w, r, v, errNowhere)
		case needs != "" && !p.may(needs):
			c.fail(w, r, v, errMayNot)
		default:
			next(w, r, v, p)
		}
	})
}

func platformPlace(v *visit) *place {
	if v.staff == nil {
		return nil
	}
	return &place{sc: v.platform(), base: platformBase, name: platformName, note: "All tenants", me: *v.staff, staff: true}
}

type placeKey struct{}

// in remembers where a request is, for the page that says that something did not work.
func in(r *http.Request, p *place) *http.Request {
	if p == nil {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), placeKey{}, p))
}

// frame is the shell around a page of p, which may be nil.
func (c *Console) frame(w http.ResponseWriter, r *http.Request, v *visit, p *place, title, path string, crumbs ...ui.Link) ui.Page {
	f := ui.Page{
		Title: title, Path: path, Here: r.URL.RequestURI(), Theme: theme(r), Crumbs: crumbs, Nav: p.nav(), Name: v.person.Name,
		Role: "Signed in", Toast: c.toast(w, r), Place: ui.Place{Name: "Biocore", Note: "Choose where to work"}, Search: Path + "/search",
	}
	if r.Method != http.MethodGet {
		f.Here = path
	}
	if p != nil {
		f.Role, f.Alerts, f.Search = p.label(), p.alerts, p.base+"/search"
		f.Place = ui.Place{Href: p.base, Name: p.name, Note: p.note + " · " + p.label()}
		f.Crumbs = append([]ui.Link{{Href: p.base, Label: p.name}}, crumbs...)
	}
	f.Places = placesOf(v, p)
	return f
}

// placesOf is where v's person works.
func placesOf(v *visit, here *place) []ui.Place {
	var all []ui.Place
	for _, m := range v.memberships {
		note := modeLabel(m.Mode) + " · " + m.Role.Label()
		if m.State != "ACTIVE" {
			note = strings.ToUpper(m.State[:1]) + strings.ToLower(m.State[1:]) + " · " + m.Role.Label()
		}
		base := tenantBase(m.Slug)
		all = append(all, ui.Place{Href: base, Name: m.Name, Note: note, Here: here != nil && here.base == base})
	}
	for i := range v.support {
		g := &v.support[i]
		base := tenantBase(g.Slug)
		all = append(all, ui.Place{Href: base, Name: g.TenantName, Note: modeLabel(g.Mode) + " · " + supportLabel(g.Access), Here: here != nil && here.base == base})
	}
	if v.staff != nil {
		all = append(all, ui.Place{Href: platformBase, Name: platformName, Note: "All tenants · " + v.staff.Role.Label(), Here: here != nil && here.staff})
	}
	return all
}

// who reads the person out of kind:id, as rows name who acted; uuid.Nil for all others.
func who(by string) uuid.UUID {
	kind, rest, _ := strings.Cut(by, ":")
	id, err := uuid.Parse(rest)
	if err != nil || kind != string(scope.ActorOperator) && kind != string(scope.ActorSupport) {
		return uuid.Nil
	}
	return id
}

// whoLabel is who acted, in words.
func whoLabel(by string, names map[uuid.UUID]string) string {
	if id := who(by); id != uuid.Nil {
		return names[id]
	}
	switch kind, _, _ := strings.Cut(by, ":"); scope.ActorKind(kind) {
	case scope.ActorAPIKey:
		return "An API key"
	case scope.ActorPlatform:
		return "A platform key"
	case scope.ActorSystem:
		return "Command line"
	default:
		return "Somebody unknown"
	}
}
