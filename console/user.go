package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/recovery"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// userView is one user's page: its head, and one of its tabs.
type userView struct {
	ui.Page
	withActivity

	Recent []ui.Event // of its activity; nil for who may not see that

	Base       string // of this user
	Users      string // of all
	ID         string
	Name       string
	External   string
	Login      string
	Email      string
	State      string
	Class      string
	Blocked    bool
	Last       *ui.Moment
	Created    ui.Moment
	Updated    ui.Moment
	Habits     *habitsView // nil: nothing is known, or not for this person
	Codes      string      // what is left of the recovery codes; empty for who may not see
	Tab        string
	Passkeys   []credentialView
	Able       int // of them that can sign in
	Sessions   []sessionRow
	SeesSess   bool
	More       bool // sessions beside those shown
	MayEdit    bool
	MayLink    bool
	MayCodes   bool
	MayExport  bool
	MaySession bool
}

// maxUserSessions are shown on a user's page; the list of all sessions has the rest.
const maxUserSessions = 50

func (c *Console) showUser(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.user200(w, r, v, p, "")
}

func (c *Console) showUserPasskeys(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.user200(w, r, v, p, "passkeys")
}

func (c *Console) showUserSessions(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.user200(w, r, v, p, "sessions")
}

func (c *Console) showUserActivity(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.user200(w, r, v, p, "activity")
}

func (c *Console) user200(w http.ResponseWriter, r *http.Request, v *visit, p *place, tab string) {
	view, err := c.userView(r, p, tab)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view.Page = c.frame(w, r, v, p, view.Name, view.Users, ui.Link{Href: view.Users, Label: "Users"})
	c.render(w, r, http.StatusOK, c.userPage(view))
}

func (c *Console) userView(r *http.Request, p *place, tab string) (userView, error) {
	ctx := r.Context()
	id, err := parsed(r)
	if err != nil {
		return userView{}, err
	}
	u, err := c.users.Get(ctx, p.sc, id)
	if err != nil {
		return userView{}, err
	}
	view := userView{
		Users: p.base + "/users", Base: p.base + "/users/" + u.ID.String(), ID: u.ID.String(), Login: u.Name, Email: u.Contact.Email,
		Blocked: u.State == user.Blocked, Last: c.moment(u.LastSignInAt), Created: ui.Ago(u.CreatedAt, c.now()), Updated: ui.Ago(u.UpdatedAt, c.now()), Tab: tab,
		MayEdit: p.may(apikey.ScopeUsersWrite), MayLink: p.may(apikey.ScopeRecoveryLinks), MayCodes: p.may(apikey.ScopeRecoveryLinks), MayExport: p.may(apikey.ScopeExportUser),
		MaySession: p.may(apikey.ScopeSessions), SeesSess: p.may(apikey.ScopeSessions),
	}
	view.Name, view.External = called(user.Profile{ExternalID: u.ExternalID, Name: u.Name, DisplayName: u.DisplayName})
	view.State, view.Class = userState(u.State)
	keys, err := c.credentials.ListOfUser(ctx, p.sc, id, listing.Request{PageSize: listing.MaxPageSize})
	if err != nil {
		return view, err
	}
	kept := 0
	for i := range keys.Items {
		k := &keys.Items[i]
		if k.State != credential.Revoked {
			kept++
		}
		if k.State == credential.Active {
			view.Able++
		}
		if k.State != credential.Revoked || tab == "passkeys" {
			view.Passkeys = append(view.Passkeys, c.credentialView(k, p))
		}
	}
	open := 0
	if view.SeesSess {
		list, err := c.sessions.List(ctx, p.sc, listing.Request{PageSize: maxUserSessions, Filter: "active = true AND userId = " + view.ID})
		if err != nil {
			return view, err
		}
		open, view.More = len(list.Items), list.NextToken != ""
		for i := range list.Items {
			row := c.sessionRow(&list.Items[i], nil, p)
			for _, k := range keys.Items {
				if k.ID == list.Items[i].CredentialID {
					row.With = c.credentialView(&k, p).Title
				}
			}
			view.Sessions = append(view.Sessions, row)
		}
	}
	if p.may(apikey.ScopeRecoveryLinks) {
		left, err := c.recovery.Codes(ctx, p.sc, id)
		if err != nil {
			return view, err
		}
		view.Codes = "None made"
		if left.Total > 0 {
			view.Codes = ui.Thousands(left.Remaining) + " of " + ui.Thousands(left.Total) + " codes left"
		}
	}
	tabs := []ui.Tab{
		{Href: view.Base, Label: "Overview", Here: tab == ""},
		{Href: view.Base + "/passkeys", Label: "Passkeys", Count: kept, Here: tab == "passkeys"},
	}
	if view.SeesSess {
		tabs = append(tabs, ui.Tab{Href: view.Base + "/sessions", Label: "Sessions", Count: open, Here: tab == "sessions"})
	}
	of := about{kind: "user", id: view.ID}
	if tab == "" {
		if view.Recent, err = c.lately(r, p, of); err != nil {
			return view, err
		}
		if view.Habits, err = c.habitsOf(ctx, p, id, view.Sessions); err != nil {
			return view, err
		}
	}
	view.withActivity, err = c.activity(r, p, view.Base, of, tabs...)
	return view, err
}

// ofUser puts a refusal at the field that it is about.
func ofUser(p *ui.Problem, err error) *ui.Problem {
	if f, ok := fault.As(err); ok {
		if field := f.Metadata["field"]; field != "" {
			p.Field = field
		}
		if errors.Is(err, user.ErrExists) {
			p.Field = "externalId"
		}
	}
	return p
}

type editUserView struct {
	ui.Page

	Base string
	Name string
	Form userForm
}

func (c *Console) showEditUser(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	id, err := parsed(r)
	var u user.User
	if err == nil {
		u, err = c.users.Get(r.Context(), p.sc, id)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	form := userForm{ExternalID: u.ExternalID, Name: u.Name, DisplayName: u.DisplayName, ETag: u.ETag}
	form.Was = user.Profile{ExternalID: u.ExternalID, Name: u.Name, DisplayName: u.DisplayName}
	c.editUser200(w, r, v, p, u, form, http.StatusOK)
}

func (c *Console) editUser200(w http.ResponseWriter, r *http.Request, v *visit, p *place, u user.User, form userForm, status int) {
	view := editUserView{Base: p.base + "/users/" + u.ID.String(), Form: form}
	view.Name, _ = called(user.Profile{ExternalID: u.ExternalID, Name: u.Name, DisplayName: u.DisplayName})
	users := p.base + "/users"
	view.Page = c.frame(w, r, v, p, "Edit", users, ui.Link{Href: users, Label: "Users"}, ui.Link{Href: view.Base, Label: view.Name})
	view.Page.Here = view.Base + "/edit"
	c.render(w, r, status, c.editUserPage(view))
}

// editUser changes names. Whoever was slower is told what the other has changed, and what
// they typed stays.
func (c *Console) editUser(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	id, err := parsed(r)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	form := userForm{
		ExternalID: clean(r.PostFormValue("externalId")), Name: clean(r.PostFormValue("name")), DisplayName: clean(r.PostFormValue("displayName")),
		ETag: r.PostFormValue("etag"),
		Was:  user.Profile{ExternalID: r.PostFormValue("wasExternalId"), Name: r.PostFormValue("wasName"), DisplayName: r.PostFormValue("wasDisplayName")},
	}
	if form.ETag == "" { // nobody changes what they have not seen
		form.ETag = "none"
	}
	_, err = c.users.Update(r.Context(), p.sc, user.UpdateRequest{
		ID: id, ExternalID: &form.ExternalID, Name: &form.Name, DisplayName: &form.DisplayName, IfMatch: form.ETag,
	})
	if err == nil {
		c.done(w, r, "usersaved", p.base+"/users/"+id.String())
		return
	}
	now, readErr := c.users.Get(r.Context(), p.sc, id)
	if readErr != nil {
		c.fail(w, r, v, readErr)
		return
	}
	problem, code := c.inForm(r, err)
	form.Problem = ofUser(problem, err)
	if errors.Is(err, etag.ErrMismatch) {
		code = http.StatusConflict
		form.Problem = &ui.Problem{Title: "Somebody else has changed this user", Message: "What you typed is still here. Look at what is different now, then save again.", Reason: problem.Reason}
		form.Changed = changes(form.Was, now)
		form.ETag, form.Was = now.ETag, user.Profile{ExternalID: now.ExternalID, Name: now.Name, DisplayName: now.DisplayName}
	}
	c.editUser200(w, r, v, p, now, form, code)
}

// changes says what differs between what somebody has seen and what is.
func changes(was user.Profile, now user.User) []string {
	var out []string
	for _, f := range [][3]string{
		{"External id", was.ExternalID, now.ExternalID}, {"Account name", was.Name, now.Name}, {"Display name", was.DisplayName, now.DisplayName},
	} {
		if f[1] != f[2] {
			out = append(out, f[0]+" was “"+f[1]+"” and is now “"+f[2]+"”")
		}
	}
	if len(out) == 0 {
		out = append(out, "State: "+strings.ToLower(string(now.State)))
	}
	return out
}

// userAct is something that is done to a user, after a reason and a passkey.
type userAct struct {
	name, needs string
	icon, bulk  string // of the button for many; no bulk: not for many
	title       string
	effects     []ui.Effect
	button      string
	danger      bool
	typed       bool // the external id must be typed
	toast       string
	// run does it, and returns what is to be shown once; nil for nothing.
	run func(ctx context.Context, c *Console, sc scope.Scope, u *user.User, reason string) (*secretView, error)
}

// secretView is what is shown once.
type secretView struct {
	Name  string // whose
	Label string
	Lines []string
	Note  string
}

// userActs are all of them, in the order of their buttons.
var userActs = []userAct{
	{
		name: "link", needs: apikey.ScopeRecoveryLinks, icon: "send", bulk: "Enrolment link", title: "Make an enrolment link", button: "make the link",
		effects: []ui.Effect{
			{Icon: "link", Text: "A link by which one passkey is added, once, within a day"},
			{Icon: "eye", Text: "It is shown once, here: hand it to this person alone"},
			{Icon: "shield", Text: "The passkey counts for less until another one, or somebody here, vouches for it"},
		},
		run: func(ctx context.Context, c *Console, sc scope.Scope, u *user.User, reason string) (*secretView, error) {
			made, err := c.recovery.CreateLink(ctx, sc, recovery.LinkRequest{UserID: u.ID, Reason: reason})
			if err != nil {
				return nil, err
			}
			shown := &secretView{Label: "Enrolment link", Lines: []string{made.URL}}
			if made.URL == "" {
				shown.Label, shown.Lines = "Registration token", []string{made.Token}
				shown.Note = "This tenant has no enrolment page in its settings (passkeyEndpoints.enroll), so there is no link: give the token to your own page."
			}
			return shown, nil
		},
	},
	{
		name: "codes", needs: apikey.ScopeRecoveryLinks, icon: "hash", title: "Make new recovery codes", button: "make the codes",
		effects: []ui.Effect{
			{Icon: "hash", Text: "Ten codes, each good for one recovery"},
			{Icon: "ban", Text: "Codes from before stop working"},
			{Icon: "eye", Text: "They are shown once, here"},
		},
		run: func(ctx context.Context, c *Console, sc scope.Scope, u *user.User, reason string) (*secretView, error) {
			made, err := c.recovery.CreateCodes(ctx, sc, u.ID, reason)
			if err != nil {
				return nil, err
			}
			return &secretView{Label: "Recovery codes", Lines: made.Codes}, nil
		},
	},
	{
		name: "sessions", needs: apikey.ScopeSessions, icon: "logout", bulk: "Revoke sessions", title: "Revoke all sessions", button: "revoke all", danger: true, toast: "usersessions",
		effects: []ui.Effect{
			{Icon: "logout", Text: "Every open session ends at once; services that check tokens by themselves notice within minutes"},
			{Icon: "key", Text: "Passkeys stay as they are: the user can sign in again"},
		},
		run: func(ctx context.Context, c *Console, sc scope.Scope, u *user.User, reason string) (*secretView, error) {
			_, err := c.sessions.RevokeAllOfUser(ctx, sc, session.RevokeAllRequest{UserID: u.ID, Reason: reason})
			return nil, err
		},
	},
	{
		name: "block", needs: apikey.ScopeUsersWrite, icon: "ban", bulk: "Block…", title: "Block", button: "block", danger: true, toast: "blocked",
		effects: []ui.Effect{{Icon: "ban", Text: "Sign-ins are refused until somebody unblocks the user"}, {Icon: "logout", Text: "Every open session ends at once"}},
		run: func(ctx context.Context, c *Console, sc scope.Scope, u *user.User, reason string) (*secretView, error) {
			_, err := c.users.Block(ctx, sc, user.BlockRequest{ID: u.ID, Reason: reason})
			return nil, err
		},
	},
	{
		name: "unblock", needs: apikey.ScopeUsersWrite, icon: "okc", title: "Unblock", button: "unblock", toast: "unblocked",
		effects: []ui.Effect{{Icon: "key", Text: "The user can sign in again, with the passkeys of before"}, {Icon: "logout", Text: "Sessions that the block ended stay ended"}},
		run: func(ctx context.Context, c *Console, sc scope.Scope, u *user.User, reason string) (*secretView, error) {
			_, err := c.users.Unblock(ctx, sc, user.BlockRequest{ID: u.ID, Reason: reason})
			return nil, err
		},
	},
	{
		name: "erase", needs: apikey.ScopeUsersWrite, icon: "trash", title: "Erase for good", button: "erase", danger: true, typed: true, toast: "erased",
		effects: []ui.Effect{
			{Icon: "trash", Text: "Names, contacts, passkeys and sessions are deleted: this cannot be taken back"},
			{Icon: "history", Text: "Audit entries stay, and name the user by id alone"},
		},
		run: func(ctx context.Context, c *Console, sc scope.Scope, u *user.User, reason string) (*secretView, error) {
			_, err := c.users.Delete(ctx, sc, user.DeleteRequest{ID: u.ID, IfMatch: u.ETag, Reason: reason})
			return nil, err
		},
	},
}

// userActOf is the act that the path names. errNowhere, errMayNot.
func userActOf(r *http.Request, p *place) (*userAct, error) {
	i := slices.IndexFunc(userActs, func(a userAct) bool { return a.name == r.PathValue("act") })
	if i < 0 {
		return nil, errNowhere
	}
	if !p.may(userActs[i].needs) {
		return nil, errMayNot
	}
	return &userActs[i], nil
}

type actView struct {
	ui.Page

	Name    string
	Below   string
	Act     ui.Act
	Hidden  []ui.Hidden
	People  []string // whom an act on many is for
	Secrets []secretView
	Failed  []string
	Back    string
}

// target is the act and the user that the path names.
func (c *Console) target(r *http.Request, p *place) (*userAct, user.User, error) {
	act, err := userActOf(r, p)
	if err != nil {
		return nil, user.User{}, err
	}
	id, err := parsed(r)
	if err != nil {
		return nil, user.User{}, err
	}
	u, err := c.users.Get(r.Context(), p.sc, id)
	return act, u, err
}

func (c *Console) showUserAct(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act, u, err := c.target(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.userAct200(w, r, v, p, act, u, actForm{}, http.StatusOK)
}

func (c *Console) userAct200(w http.ResponseWriter, r *http.Request, v *visit, p *place, act *userAct, u user.User, form actForm, status int) {
	users := p.base + "/users"
	base := users + "/" + u.ID.String()
	view := actView{Back: base, Act: act.form(v, base+"/act/"+act.name, base, form)}
	view.Name, view.Below = called(user.Profile{ExternalID: u.ExternalID, Name: u.Name, DisplayName: u.DisplayName})
	if act.typed {
		view.Act.Confirm, view.Act.Typed = u.ExternalID, form.Typed
	}
	view.Page = c.frame(w, r, v, p, act.title, users, ui.Link{Href: users, Label: "Users"}, ui.Link{Href: base, Label: view.Name})
	view.Page.Here = base
	c.render(w, r, status, c.actPage(view))
}

func (a *userAct) form(v *visit, action, back string, form actForm) ui.Act {
	return ui.Act{
		ID: "act", Action: action, Title: a.title, Effects: a.effects, Reason: form.Reason,
		Button: a.button, Danger: a.danger, Cancel: back, Fresh: freshUntil(v), Problem: form.Problem,
	}
}

// check is what must be in order before an act: a fresh passkey, a reason, what is typed.
func (a *userAct) check(v *visit, form actForm, typed string) error {
	switch {
	case !v.fresh:
		return errStale
	case a.typed && form.Typed != typed:
		return errTyped
	case !audit.IsReason(form.Reason):
		return credential.ErrReason
	}
	return nil
}

func (c *Console) actOnUser(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act, u, err := c.target(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	form := actForm{Reason: clean(r.PostFormValue("reason")), Typed: r.PostFormValue("confirm")}
	var shown *secretView
	if err = act.check(v, form, u.ExternalID); err == nil {
		shown, err = act.run(r.Context(), c, p.sc, &u, form.Reason)
	}
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		c.userAct200(w, r, v, p, act, u, form, code)
		return
	}
	base := p.base + "/users/" + u.ID.String()
	switch {
	case shown != nil:
		shown.Name, _ = called(user.Profile{ExternalID: u.ExternalID, Name: u.Name, DisplayName: u.DisplayName})
		c.secrets200(w, r, v, p, act, []secretView{*shown}, nil, base)
	case act.name == "erase":
		c.done(w, r, act.toast, c.afterErasure(r.Context(), p, u.ID))
	default:
		c.done(w, r, act.toast, base)
	}
}

// secrets200 shows what is shown once.
func (c *Console) secrets200(w http.ResponseWriter, r *http.Request, v *visit, p *place, act *userAct, secrets []secretView, failed []string, back string) {
	users := p.base + "/users"
	view := actView{Name: act.title, Secrets: secrets, Failed: failed, Back: back}
	view.Page = c.frame(w, r, v, p, act.title, users, ui.Link{Href: users, Label: "Users"})
	view.Page.Here = back
	c.render(w, r, http.StatusOK, c.secretPage(view))
}

// actOnUsers asks before an act on those who were picked, and does it once it is confirmed.
func (c *Console) actOnUsers(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act, err := userActOf(r, p)
	if err == nil && act.bulk == "" {
		err = errNowhere
	}
	var people []user.User
	if err == nil {
		people, err = c.pickedUsers(r, p)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	users := p.base + "/users"
	if len(people) == 0 {
		http.Redirect(w, r, users, http.StatusSeeOther) //nolint:gosec // the slug is that of a tenant of the person's
		return
	}
	form := actForm{Reason: clean(r.PostFormValue("reason"))}
	if r.PostFormValue("confirmed") == "" {
		c.bulk200(w, r, v, p, act, people, form, http.StatusOK)
		return
	}
	if problem, code := c.inForm(r, act.check(v, form, "")); problem != nil {
		form.Problem = problem
		c.bulk200(w, r, v, p, act, people, form, code)
		return
	}
	var secrets []secretView
	var failed []string
	for i := range people {
		name, _ := called(user.Profile{ExternalID: people[i].ExternalID, Name: people[i].Name, DisplayName: people[i].DisplayName})
		shown, err := act.run(r.Context(), c, p.sc, &people[i], form.Reason)
		if err != nil {
			problem, code := problemOf(err)
			c.logFailure(r, code, err)
			failed = append(failed, name+": "+problem.Title)
			continue
		}
		if shown != nil {
			shown.Name = name
			secrets = append(secrets, *shown)
		}
	}
	if len(secrets) > 0 || len(failed) > 0 {
		c.secrets200(w, r, v, p, act, secrets, failed, users)
		return
	}
	c.done(w, r, act.toast, users)
}

// pickedUsers are those whom the form names. user.ErrNotFound where one of them is not the tenant's.
func (c *Console) pickedUsers(r *http.Request, p *place) ([]user.User, error) {
	var people []user.User
	for _, text := range picked(r) {
		id, err := user.ParseID(text)
		if err != nil {
			return nil, err
		}
		u, err := c.users.Get(r.Context(), p.sc, id)
		if err != nil {
			return nil, err
		}
		people = append(people, u)
	}
	return people, nil
}

func (c *Console) bulk200(w http.ResponseWriter, r *http.Request, v *visit, p *place, act *userAct, people []user.User, form actForm, status int) {
	users := p.base + "/users"
	view := actView{Name: ui.Count(len(people), "user"), Back: users, Act: act.form(v, p.base+"/bulk/users/"+act.name, users, form)}
	view.Hidden = []ui.Hidden{{Name: "confirmed", Value: "1"}}
	for i := range people {
		name, below := called(user.Profile{ExternalID: people[i].ExternalID, Name: people[i].Name, DisplayName: people[i].DisplayName})
		view.People = append(view.People, name+" · "+below)
		view.Hidden = append(view.Hidden, ui.Hidden{Name: "id", Value: people[i].ID.String()})
	}
	view.Page = c.frame(w, r, v, p, act.title, users, ui.Link{Href: users, Label: "Users"})
	view.Page.Here = users
	c.render(w, r, status, c.actPage(view))
}
