package console

import (
	"net/http"
	"strconv"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/listing"
)

// userRoutes are a tenant's users: the list, and each of them.
func (c *Console) userRoutes(mux *router) {
	base := Path + "/t/{slug}/users"
	mux.HandleFunc("GET "+base, c.inTenant(apikey.ScopeUsersRead, c.showUsers))
	mux.HandleFunc("GET "+base+"/export", c.inTenant(apikey.ScopeExportUsers, c.exportUsers))
	mux.HandleFunc("GET "+base+"/new", c.inTenant(apikey.ScopeUsersWrite, c.showNewUser))
	mux.HandleFunc("POST "+base, c.inTenant(apikey.ScopeUsersWrite, c.addUser))
	mux.HandleFunc("POST "+Path+"/t/{slug}/bulk/users/{act}", c.inTenant(apikey.ScopeUsersRead, c.actOnUsers))
	mux.HandleFunc("GET "+base+"/{id}", c.inTenant(apikey.ScopeUsersRead, c.showUser))
	mux.HandleFunc("GET "+base+"/{id}/passkeys", c.inTenant(apikey.ScopeUsersRead, c.showUserPasskeys))
	mux.HandleFunc("GET "+base+"/{id}/sessions", c.inTenant(apikey.ScopeSessions, c.showUserSessions))
	mux.HandleFunc("GET "+base+"/{id}"+activityPath, c.inTenant(apikey.ScopeUsersRead, c.showUserActivity))
	mux.HandleFunc("GET "+base+"/{id}/edit", c.inTenant(apikey.ScopeUsersWrite, c.showEditUser))
	mux.HandleFunc("POST "+base+"/{id}/edit", c.inTenant(apikey.ScopeUsersWrite, c.editUser))
	mux.HandleFunc("GET "+base+"/{id}/act/{act}", c.inTenant(apikey.ScopeUsersRead, c.showUserAct))
	mux.HandleFunc("POST "+base+"/{id}/act/{act}", c.inTenant(apikey.ScopeUsersRead, c.actOnUser))
}

// usersView is the list.
type usersView struct {
	ui.Page

	Base     string // of the users
	Total    string
	Enrolled string
	MayAdd   bool
	Bulk     []bulkAct
	Filters  ui.Filters
	Columns  ui.Columns
	Rows     []userRow
	Pager    ui.Pager
	Nobody   bool // the tenant has no users
	Snippets []ui.Snippet
	CSV      string // addresses of the exports; empty for who may not
	JSON     string
}

// bulkAct is a button of the bar below what is picked.
type bulkAct struct {
	Name, Icon, Label string
	Danger            bool
}

type userRow struct {
	ID, Name, External string
	State, Class       string
	Kinds              []kind
	Last               *ui.Moment
	Created            ui.Moment
}

// kind is what a passkey is kept in, as a picture and in words.
type kind struct{ Icon, Label string }

func kindOf(k user.PasskeyKind) kind {
	switch k {
	case user.Synced:
		return kind{"cloud", "synced"}
	case user.Platform:
		return kind{"laptop", "in a device"}
	case user.PhoneKey:
		return kind{"phone", "in a phone"}
	default:
		return kind{"usb", "in a security key"}
	}
}

// userState is a user's state.
func userState(s user.State) (label, class string) {
	if s == user.Blocked {
		return "Blocked", "bad"
	}
	return "Active", "ok"
}

// userFilters are what the list can be narrowed by, as the address has it.
func userFilters(a ui.Address) []ui.Filter {
	filters := []ui.Filter{
		{Name: "state", Label: "State", Choices: []ui.Choice{{Label: "Any"}, {Value: "active", Label: "Active"}, {Value: "blocked", Label: "Blocked"}}},
		{Name: "passkey", Label: "Passkey", Choices: []ui.Choice{{Label: "Any"}, {Value: "yes", Label: "Has one"}, {Value: "no", Label: "Has none"}}},
		{Name: "seen", Label: "Last sign-in", Choices: []ui.Choice{
			{Label: "Any"}, {Value: "1d", Label: "Within a day"}, {Value: "7d", Label: "Within 7 days"}, {Value: "30d", Label: "Within 30 days"},
			{Value: "over30d", Label: "Not for 30 days, or never"}, {Value: "over90d", Label: "Not for 90 days, or never"}, {Value: "never", Label: "Never"},
		}},
		{Name: "created", Label: "Created", Choices: []ui.Choice{
			{Label: "Any"}, {Value: "1d", Label: "Within a day"}, {Value: "7d", Label: "Within 7 days"}, {Value: "30d", Label: "Within 30 days"},
		}},
	}
	for i := range filters {
		filters[i].Value = a.Get(filters[i].Name)
		filters[i].Value = chosen(filters[i])
	}
	return filters
}

// usersRequest is what the address asks of the service.
func (c *Console) usersRequest(r *http.Request) (ui.Address, []ui.Filter, listing.Request) {
	a := addressOf(r, "q", "state", "passkey", "seen", "created")
	filters := userFilters(a)
	now := c.asOf(r)
	var terms []string
	if q := a.Get("q"); q != "" {
		terms = append(terms, "search = "+quoted(q))
	}
	for _, f := range filters {
		switch f.Name + " " + f.Value {
		case "state active":
			terms = append(terms, "state = ACTIVE")
		case "state blocked":
			terms = append(terms, "state = BLOCKED")
		case "passkey yes":
			terms = append(terms, "hasPasskey = true")
		case "passkey no":
			terms = append(terms, "hasPasskey = false")
		case "seen 1d", "seen 7d", "seen 30d":
			terms = append(terms, "lastSignInAt >= "+instant(now.Add(-days[f.Value])))
		case "seen over30d", "seen over90d":
			terms = append(terms, "lastSignInAt < "+instant(now.Add(-days[f.Value[len("over"):]])))
		case "seen never":
			terms = append(terms, "lastSignInAt < 1971-01-01T00:00:00Z")
		case "created 1d", "created 7d", "created 30d":
			terms = append(terms, "createdAt >= "+instant(now.Add(-days[f.Value])))
		}
	}
	req := requestOf(r, a, terms)
	if a.Get("q") == "" { // what a search finds has one order
		req.OrderBy = map[string]string{"created": "createdAt", "signin": "lastSignInAt", "-signin": "lastSignInAt desc"}[a.Get("sort")]
	}
	return a, filters, req
}

func (c *Console) showUsers(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	a, filters, req := c.usersRequest(r)
	list, err := c.users.List(r.Context(), p.sc, req)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	total, err := c.users.Count(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	base := p.base + "/users"
	view := usersView{
		Base: base, MayAdd: p.may(apikey.ScopeUsersWrite), Nobody: total.Users == 0,
		Filters: ui.Filters{At: a, Search: &ui.Search{Name: "q", Label: "Name or external id", Value: a.Get("q")}, Chips: ui.ChipsOf(filters), Add: filters},
		Pager:   pagerOf(r, c.asOf(r), a, len(list.Items), "user", list.NextToken, byTime(a)),
		Total:   counted(total.Users, total.More, "user"),
	}
	if total.Users > 0 {
		view.Enrolled = enrolled(total)
	}
	for _, act := range userActs {
		if act.bulk != "" && p.may(act.needs) {
			view.Bulk = append(view.Bulk, bulkAct{Name: act.name, Icon: act.icon, Label: act.bulk, Danger: act.danger})
		}
	}
	if p.may(apikey.ScopeExportUsers) {
		export := a.At(base + "/export")
		exported := ui.Address{Path: base + "/export", Query: a.Query}
		view.CSV, view.JSON = export, exported.With("format", "json")
	}
	view.Columns = columnsOf(r, v, a, "users", userColumns(a)...)
	for i := range list.Items {
		view.Rows = append(view.Rows, c.userRow(&list.Items[i]))
	}
	if view.Nobody {
		view.Snippets = c.userSnippets()
	}
	view.Page = c.frame(w, r, v, p, "Users", base)
	c.render(w, r, http.StatusOK, c.usersPage(view))
}

// byTime reports whether the newest come first.
func byTime(a ui.Address) bool {
	s := a.Get("sort")
	return s == "" || s == "-created"
}

// counted is a number that was counted up to a bound.
func counted(n int, more bool, noun string) string {
	if more {
		return "More than " + ui.Thousands(n) + " " + noun + "s"
	}
	if n == 1 {
		return "1 " + noun
	}
	return ui.Thousands(n) + " " + noun + "s"
}

func enrolled(t user.Totals) string {
	if t.More {
		return "more than " + ui.Thousands(t.Enrolled) + " have a passkey"
	}
	return ui.Thousands(t.Enrolled) + " have a passkey (" + strconv.FormatFloat(100*float64(t.Enrolled)/float64(t.Users), 'f', 1, 64) + "%)"
}

func userColumns(a ui.Address) []ui.Column {
	if a.Get("q") != "" {
		return []ui.Column{
			{Label: "User"}, {Label: "State", Name: "state"}, {Label: "Passkeys", Name: "passkeys"}, {Label: "Last sign-in", Name: "signin"}, {Label: "Created", Class: "num", Name: "created"},
		}
	}
	return []ui.Column{
		{Label: "User"}, {Label: "State", Name: "state"}, {Label: "Passkeys", Name: "passkeys"},
		ui.Sorted("Last sign-in", "", a, "-signin", "-created").Named("signin"), ui.Sorted("Created", "num", a, "-created", "-created").Named("created"),
	}
}

func (c *Console) userRow(u *user.User) userRow {
	row := userRow{ID: u.ID.String(), Last: c.moment(u.LastSignInAt), Created: ui.Ago(u.CreatedAt, c.now())}
	row.Name, row.External = called(user.Profile{ExternalID: u.ExternalID, Name: u.Name, DisplayName: u.DisplayName})
	row.State, row.Class = userState(u.State)
	for _, k := range u.Passkeys {
		row.Kinds = append(row.Kinds, kindOf(k))
	}
	return row
}

// userSnippets are how a server adds a user.
func (c *Console) userSnippets() []ui.Snippet {
	return []ui.Snippet{
		{Title: "curl", Text: "curl " + c.publicURL + "/v1/users \\\n  -H \"Authorization: Bearer $BIOCORE_SECRET_KEY\" \\\n  -H 'Content-Type: application/json' \\\n" +
			"  -d '{\"externalId\": \"cust_0052411\", \"name\": \"leila@example.com\", \"displayName\": \"Leila Nouri\"}'"},
		{Title: "CLI", Text: "biocore import users.jsonl --dry-run --key-file secret.key --url " + c.publicURL},
	}
}

// exportUsers writes the list as it is filtered.
func (c *Console) exportUsers(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	_, _, req := c.usersRequest(r)
	req.PageSize = listing.MaxPageSize
	c.export(w, r, v, exported{
		Name:    "users",
		Columns: []string{"id", "externalId", "name", "displayName", "state", "passkeys", "lastSignInAt", "createdAt"},
		Next: func(token string) ([][]string, string, error) {
			req.PageToken = token
			list, err := c.users.List(r.Context(), p.sc, req)
			rows := make([][]string, len(list.Items))
			for i := range list.Items {
				u := &list.Items[i]
				rows[i] = []string{u.ID.String(), u.ExternalID, u.Name, u.DisplayName, string(u.State), strconv.Itoa(len(u.Passkeys)), iso(u.LastSignInAt), iso(&u.CreatedAt)}
			}
			return rows, list.NextToken, err
		},
	})
}

// findUsers is the palette's search.
func (c *Console) findUsers(r *http.Request, p *place, q string) ([]hit, error) {
	list, err := c.users.List(r.Context(), p.sc, listing.Request{PageSize: maxHits, Filter: "search = " + quoted(q)})
	if err != nil {
		return nil, err
	}
	var out []hit
	for i := range list.Items {
		row := c.userRow(&list.Items[i])
		out = append(out, hit{Href: p.base + "/users/" + row.ID, Icon: "users", Label: row.Name, Note: row.External})
	}
	return out, nil
}

// userForm is what was typed of a user.
type userForm struct {
	ExternalID, Name, DisplayName, Email string
	Problem                              *ui.Problem
	ETag                                 string
	Was                                  user.Profile // what the form was filled with
	Changed                              []string     // what somebody else has changed since
}

type newUserView struct {
	ui.Page

	Base string
	Form userForm
}

func (c *Console) showNewUser(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.newUser200(w, r, v, p, userForm{}, http.StatusOK)
}

func (c *Console) newUser200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form userForm, status int) {
	base := p.base + "/users"
	view := newUserView{Base: base, Form: form}
	view.Page = c.frame(w, r, v, p, "Add user", base, ui.Link{Href: base, Label: "Users"})
	c.render(w, r, status, c.newUserPage(view))
}

func (c *Console) addUser(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := userForm{
		ExternalID: clean(r.PostFormValue("externalId")), Name: clean(r.PostFormValue("name")),
		DisplayName: clean(r.PostFormValue("displayName")), Email: clean(r.PostFormValue("email")),
	}
	made, err := c.users.Create(r.Context(), p.sc,
		user.Profile{ExternalID: form.ExternalID, Name: form.Name, DisplayName: form.DisplayName}, user.Contact{Email: form.Email})
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = ofUser(problem, err)
		c.newUser200(w, r, v, p, form, code)
		return
	}
	c.done(w, r, "useradded", p.base+"/users/"+made.ID.String())
}
