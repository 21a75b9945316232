package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/member"
)

// inPlace wraps a page of a place: inTenant or inPlatform.
type inPlace func(needs string, next func(http.ResponseWriter, *http.Request, *visit, *place)) http.HandlerFunc

// memberRoutes are who works where, of tenants and of the staff.
func (c *Console) memberRoutes(mux *router) {
	mux.HandleFunc("GET "+Path+"/t/{slug}/recoveries/{id}", c.inTenant("", c.showOwnRecovery))
	mux.HandleFunc("POST "+Path+"/t/{slug}/recoveries/{id}/cancel", c.inStopped("", c.cancelOwnRecovery))
	c.membersUnder(mux, Path+"/t/{slug}", c.inTenant, apikey.ScopeMembersRead, apikey.ScopeMembersWrite)
	c.membersUnder(mux, platformBase, c.inPlatform, member.ScopeStaffRead, member.ScopeStaffWrite)
}

func (c *Console) membersUnder(mux *router, base string, in inPlace, reads, writes string) {
	mux.HandleFunc("GET "+base+"/members", in(reads, c.showMembers))
	mux.HandleFunc("GET "+base+"/members/export", in(reads, c.exportMembers))
	mux.HandleFunc("POST "+base+"/invitations", in(writes, c.invite))
	mux.HandleFunc("POST "+base+"/invitations/{id}/revoke", in(writes, c.uninvite))
	mux.HandleFunc("GET "+base+"/members/{id}", in(writes, c.showMember))
	mux.HandleFunc("GET "+base+"/members/{id}"+activityPath, in(reads, c.showMember))
	mux.HandleFunc("POST "+base+"/members/{id}/role", in(writes, c.changeRole))
	mux.HandleFunc("POST "+base+"/members/{id}/remove", in(writes, c.removeMember))
}

// showPlace goes on to the first page of the place that the role allows.
func (c *Console) showPlace(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	to := Path + "/account"
	if first := p.nav()[0].Items; len(first) > 0 {
		to = first[0].Href
	}
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // the slug is that of a tenant of the person's
}

// membersView is the page of members.
type membersView struct {
	ui.Page

	Base        string
	Staff       bool
	Members     []memberRow
	Columns     ui.Columns
	CSV, JSON   string
	Invitations []invitationRow
	MayInvite   bool
	Activity    bool // of members may be seen
	Form        inviteForm
	Roles       []roleColumn
	Matrix      []matrixRow
	Recoveries  []recoveryView
}

type memberRow struct {
	ID, Name  string
	Role      member.Role
	Since     ui.Moment
	Seen      *ui.Moment // in the console, in whichever tenant; nil for never
	Passkeys  string     // how many
	You       bool
	MayChange bool
}

type invitationRow struct {
	ID, Label, By string
	Role          member.Role
	Expires       string
	Until         ui.Moment
	Link          string // empty for who may not give that role
}

// inviteForm is what was typed.
type inviteForm struct {
	Label, Role, Email, Reason string

	Mails   bool // the link can be sent by mail
	Choices []ui.Choice
	Top     []string // roles that a fresh passkey is needed for
	Problem *ui.Problem
	Fresh   string
}

type roleColumn struct{ Label, Purpose string }

type matrixRow struct {
	Says string
	May  []bool
}

func (c *Console) showMembers(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.members200(w, r, v, p, inviteForm{}, http.StatusOK)
}

// members200 shows the page, with what was typed into the invitation's form.
func (c *Console) members200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form inviteForm, status int) {
	at := addressOf(r)
	at.Path = p.base + "/members"
	view, err := c.membersView(r.Context(), v, p, at.Get("sort"))
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	title := "Members & roles"
	if p.staff {
		title = "Staff"
	}
	sorted := func(label, class, first string) ui.Column { return ui.Sorted(label, class, at, first, "since") }
	view.Columns = columnsOf(r, v, at, "members", sorted("Name", "", "name"), sorted("Role", "", "role").Named("role"),
		sorted("Last seen", "when", "-seen").Named("seen"), sorted("Passkeys", "num opt", "passkeys").Named("passkeys"), sorted("Since", "num opt", "since").Named("since"))
	export := ui.Address{Path: at.Path + "/export", Query: at.Query}
	view.CSV, view.JSON = export.Without("columns"), export.With("columns", "", "format", "json")
	if view.MayInvite {
		view.Columns.All = append(view.Columns.All, ui.Column{Label: "Change", Hidden: true})
	}
	view.Page = c.frame(w, r, v, p, title, p.base+"/members")
	form.Choices, form.Top, form.Fresh, form.Mails = view.Form.Choices, view.Form.Top, view.Form.Fresh, c.members.MailsInvitations()
	view.Form = form
	c.render(w, r, status, c.membersPage(view))
}

// listedMember is a member, with what a list shows of them.
type listedMember struct {
	member.Member
	member.Presence

	name, by string
}

// listedMembers are the place's members in an order: name, role, seen, passkeys or since, and
// downwards with - before it; the earliest first where it is none of these. The names are also
// those of others.
func (c *Console) listedMembers(ctx context.Context, p *place, order string, others []uuid.UUID) ([]listedMember, map[uuid.UUID]string, error) {
	list, err := c.members.List(ctx, p.sc)
	if err != nil {
		return nil, nil, err
	}
	people := others
	for _, m := range list {
		people = append(people, m.PersonID, who(m.InvitedBy))
	}
	names, err := c.names(ctx, people)
	if err != nil {
		return nil, nil, err
	}
	presences, err := c.members.Presences(ctx, list)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]listedMember, len(list))
	for i, m := range list {
		rows[i] = listedMember{Member: m, Presence: presences[m.PersonID], name: names[m.PersonID], by: whoLabel(m.InvitedBy, names)}
	}
	field, down := strings.CutPrefix(order, "-")
	compare, ok := memberOrders[field]
	if !ok {
		return rows, names, nil
	}
	slices.SortStableFunc(rows, func(a, b listedMember) int {
		if down {
			return compare(&b, &a)
		}
		return compare(&a, &b)
	})
	return rows, names, nil
}

// memberOrders are what a list of members can be in the order of. Whoever was never seen was
// before everybody.
var memberOrders = map[string]func(a, b *listedMember) int{
	"name":     func(a, b *listedMember) int { return cmp.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) },
	"passkeys": func(a, b *listedMember) int { return cmp.Compare(a.Passkeys, b.Passkeys) },
	"since":    func(a, b *listedMember) int { return a.CreatedAt.Compare(b.CreatedAt) },
	"role": func(a, b *listedMember) int { // the mightiest first
		roles := append(member.Roles(), member.StaffRoles()...)
		return cmp.Compare(slices.Index(roles, a.Role), slices.Index(roles, b.Role))
	},
	"seen": func(a, b *listedMember) int {
		var none time.Time
		at := func(t *time.Time) time.Time {
			if t == nil {
				return none
			}
			return *t
		}
		return at(a.LastSeenAt).Compare(at(b.LastSeenAt))
	},
}

func (c *Console) membersView(ctx context.Context, v *visit, p *place, order string) (membersView, error) {
	view := membersView{Base: p.base, Staff: p.staff, MayInvite: p.may(p.writes()), Activity: p.may(apikey.ScopeAuditRead), Form: inviteForm{Fresh: freshUntil(v)}}
	open, err := c.members.Invitations(ctx, p.sc)
	if err != nil {
		return view, err
	}
	var others []uuid.UUID
	for _, i := range open {
		others = append(others, who(i.Invitation.InvitedBy))
	}
	for _, rec := range p.recoveries {
		others = append(others, rec.PersonID, who(rec.RequestedBy), who(rec.ApprovedBy), who(rec.EndedBy))
	}
	members, names, err := c.listedMembers(ctx, p, order, others)
	if err != nil {
		return view, err
	}
	now, gives := c.now(), p.me.Role.Gives()
	for i := range members {
		m := &members[i]
		view.Members = append(view.Members, memberRow{
			ID: m.ID.String(), Name: m.name, Role: m.Role, Since: ui.Ago(m.CreatedAt, now), You: m.PersonID == v.session.PersonID,
			Seen: c.moment(m.LastSeenAt), Passkeys: strconv.Itoa(m.Passkeys),
			MayChange: view.MayInvite && slices.Contains(gives, m.Role),
		})
	}
	for _, i := range open {
		row := invitationRow{
			ID: i.Invitation.ID.String(), Label: i.Invitation.Label, By: whoLabel(i.Invitation.InvitedBy, names), Role: i.Invitation.Role,
			Expires: "in " + ui.Left(i.Invitation.ExpiresAt.Sub(now)), Until: ui.At(i.Invitation.ExpiresAt),
		}
		// The link is the role: nobody reads one that they could not have made.
		if view.MayInvite && slices.Contains(gives, i.Invitation.Role) {
			row.Link = c.publicURL + Path + "/join#" + i.Token
		}
		view.Invitations = append(view.Invitations, row)
	}
	for _, role := range gives {
		view.Form.Choices = append(view.Form.Choices, ui.Choice{Value: string(role), Label: role.Label() + " · " + role.Purpose()})
		if role.May(p.writes()) {
			view.Form.Top = append(view.Form.Top, string(role))
		}
	}
	slices.Reverse(view.Form.Choices) // the weakest first: nobody makes an owner by haste
	view.Roles, view.Matrix = matrix(p)
	for i := range p.recoveries {
		view.Recoveries = append(view.Recoveries, newRecoveryView(&p.recoveries[i], names, now, p.base))
	}
	return view, nil
}

// exportMembers writes the list, which is one page.
func (c *Console) exportMembers(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.export(w, r, v, exported{
		Name:    "members",
		Columns: []string{"id", "personId", "name", "role", "lastSeenAt", "passkeys", "invitedBy", "createdAt"},
		Next: func(string) ([][]string, string, error) {
			members, _, err := c.listedMembers(r.Context(), p, r.URL.Query().Get("sort"), nil)
			rows := make([][]string, len(members))
			for i := range members {
				m := &members[i]
				rows[i] = []string{
					m.ID.String(), m.PersonID.String(), m.name, string(m.Role), iso(m.LastSeenAt), strconv.Itoa(m.Passkeys), m.by, iso(&m.CreatedAt),
				}
			}
			return rows, "", err
		},
	})
}

// isTop reports whether r is a role that decides who else has it.
func isTop(r member.Role) bool { return r == member.Owner || r == member.StaffAdmin }

// matrix is what each role of the place may do.
func matrix(p *place) ([]roleColumn, []matrixRow) {
	var columns []roleColumn
	for _, role := range p.roles() {
		columns = append(columns, roleColumn{Label: role.Label(), Purpose: role.Purpose()})
	}
	var rows []matrixRow
	for _, one := range member.Permissions() {
		row := matrixRow{Says: one.Says}
		some := false
		for _, role := range p.roles() {
			may := slices.Contains(one.Roles, role)
			some = some || may
			row.May = append(row.May, may)
		}
		if some {
			rows = append(rows, row)
		}
	}
	return columns, rows
}

func (c *Console) invite(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := inviteForm{
		Label: clean(r.PostFormValue("label")), Role: r.PostFormValue("role"), Email: clean(r.PostFormValue("email")), Reason: clean(r.PostFormValue("reason")),
	}
	var err error
	if member.Role(form.Role).May(p.writes()) && !v.fresh { // who decides in turn who else works here
		err = errStale
	} else {
		_, err = c.members.Invite(r.Context(), p.sc, member.InviteRequest{
			Role: member.Role(form.Role), Label: form.Label, Email: form.Email, Reason: form.Reason,
		})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		c.members200(w, r, v, p, form, code)
		return
	}
	toast := "invited"
	if form.Email != "" {
		toast = "mailed"
	}
	c.done(w, r, toast, p.base+"/members")
}

func (c *Console) uninvite(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		c.fail(w, r, v, member.ErrInvitation)
		return
	}
	if _, err := c.members.Uninvite(r.Context(), p.sc, id); err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.done(w, r, "uninvited", p.base+"/members")
}

// inForm is a refusal that stands beside the form which it refuses; nil for none.
func (c *Console) inForm(r *http.Request, err error) (*ui.Problem, int) {
	if err == nil {
		return nil, http.StatusOK
	}
	p, code := problemOf(err)
	c.logFailure(r, code, err)
	if f, ok := fault.As(err); ok && (f.Kind == fault.Invalid || f.Kind == fault.Precondition || f.Kind == fault.Conflict) {
		code = http.StatusUnprocessableEntity
	}
	return &p, code
}

// memberView is the page on which a member is changed or removed.
type memberView struct {
	ui.Page
	withActivity

	Base    string
	ID      string
	Name    string
	Role    member.Role
	Since   ui.Moment
	By      string
	You     bool
	Choices []ui.Choice
	Fresh   string
	Change  actForm
	Remove  actForm
}

// actForm is what was typed into the form of a sensitive act.
type actForm struct {
	Role, Reason, Ticket string
	Typed                string // the name of what is to be destroyed
	Problem              *ui.Problem
}

func (c *Console) showMember(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.member200(w, r, v, p, actForm{}, actForm{}, http.StatusOK)
}

func (c *Console) member200(w http.ResponseWriter, r *http.Request, v *visit, p *place, change, remove actForm, status int) {
	m, err := c.memberOf(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + "/members/" + m.ID.String()
	gives := p.me.Role.Gives()
	may := p.may(p.writes()) && slices.Contains(gives, m.Role)
	if !may && !asksActivity(r, here) {
		c.fail(w, r, v, member.ErrTooMighty)
		return
	}
	var tabs []ui.Tab
	if may {
		tabs = append(tabs, ui.Tab{Href: here, Label: "Role", Here: !asksActivity(r, here)})
	}
	parts, err := c.activity(r, p, here, about{kind: "member", id: m.ID.String()}, tabs...)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	names, err := c.names(r.Context(), []uuid.UUID{m.PersonID, who(m.InvitedBy)})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := memberView{
		Base: p.base, ID: m.ID.String(), Name: names[m.PersonID], Role: m.Role, Since: ui.At(m.CreatedAt), By: whoLabel(m.InvitedBy, names),
		You: m.PersonID == v.session.PersonID, Fresh: freshUntil(v), Change: change, Remove: remove, withActivity: parts,
	}
	if view.Change.Role == "" {
		view.Change.Role = string(m.Role)
	}
	for _, role := range gives {
		view.Choices = append(view.Choices, ui.Choice{Value: string(role), Label: role.Label() + " · " + role.Purpose()})
	}
	label := "Members & roles"
	if p.staff {
		label = "Staff"
	}
	view.Page = c.frame(w, r, v, p, view.Name, p.base+"/members", ui.Link{Href: p.base + "/members", Label: label})
	view.Page.Here = here
	c.render(w, r, status, c.memberPage(view))
}

// memberOf is the member whom the path names. member.ErrNotFound.
func (c *Console) memberOf(r *http.Request, p *place) (member.Member, error) {
	all, err := c.members.List(r.Context(), p.sc)
	if err != nil {
		return member.Member{}, err
	}
	for _, m := range all {
		if m.ID.String() == r.PathValue("id") {
			return m, nil
		}
	}
	return member.Member{}, member.ErrNotFound
}

func (c *Console) changeRole(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := actForm{Role: r.PostFormValue("role"), Reason: clean(r.PostFormValue("reason"))}
	if form.Role == "" { // which would remove them
		form.Problem, _ = c.inForm(r, member.ErrRole)
		c.member200(w, r, v, p, form, actForm{}, http.StatusUnprocessableEntity)
		return
	}
	if problem, code := c.inForm(r, c.change(r, v, p, form)); problem != nil {
		form.Problem = problem
		c.member200(w, r, v, p, form, actForm{}, code)
		return
	}
	c.done(w, r, "role", p.base+"/members")
}

func (c *Console) removeMember(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := actForm{Reason: clean(r.PostFormValue("reason"))}
	if problem, code := c.inForm(r, c.change(r, v, p, form)); problem != nil {
		form.Problem = problem
		c.member200(w, r, v, p, actForm{}, form, code)
		return
	}
	if r.PathValue("id") == p.me.ID.String() {
		c.done(w, r, "left", Path)
		return
	}
	c.done(w, r, "removed", p.base+"/members")
}

// change gives a member the form's role, or removes them.
func (c *Console) change(r *http.Request, v *visit, p *place, form actForm) error {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		return member.ErrNotFound
	}
	if !v.fresh {
		return errStale
	}
	_, err = c.members.Change(r.Context(), p.sc, member.ChangeRequest{ID: id, Role: member.Role(form.Role), Reason: form.Reason})
	return err
}
