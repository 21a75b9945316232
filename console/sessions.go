package console

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/biocore-id/biocore/authcore/credential"
	whereabouts "github.com/biocore-id/biocore/authcore/risk/place"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/listing"
)

// sessionRoutes are the sessions of a tenant's users.
func (c *Console) sessionRoutes(mux *router) {
	base := Path + "/t/{slug}/sessions"
	mux.HandleFunc("GET "+base, c.inTenant(apikey.ScopeSessions, c.showSessions))
	mux.HandleFunc("GET "+base+"/export", c.inTenant(apikey.ScopeSessions, c.exportSessions))
	mux.HandleFunc("POST "+base+"/revoke", c.inTenant(apikey.ScopeSessions, c.revokeSessions))
}

type sessionRow struct {
	ID          string
	Device      string
	Agent       string
	Icon        string
	With        string // which passkey; empty where a list does not say
	Owner       string
	OwnerAt     string
	Address     string
	Place       string // where the address is, in words; empty: not known
	AAL         string
	Verified    string
	Since       ui.Moment
	Ends        string
	Until       ui.Moment
	State       string
	Class       string
	Open        bool
	Credentials string // address of the passkey
}

// sessionRow is a session; names may be nil where the page says whose it is.
func (c *Console) sessionRow(s *session.Session, names map[user.ID]user.Profile, p *place) sessionRow {
	now := c.now()
	row := sessionRow{
		ID: s.ID.String(), Agent: s.UserAgent, OwnerAt: p.base + "/users/" + s.UserID.String(), Address: "Not known", AAL: "AAL" + ui.Number(int(s.AAL)),
		Since: ui.Ago(s.CreatedAt, now), Until: ui.At(s.ExpiresAt), State: "Active", Class: "ok", Open: true, Credentials: p.base + "/credentials/" + s.CredentialID.String(),
	}
	row.Owner, _ = called(names[s.UserID])
	row.Device, row.Icon = browserOf(s.UserAgent)
	if s.UserAgent == "" {
		row.Device, row.Icon = "Unknown device", "globe"
	}
	if s.Address.IsValid() {
		row.Address = s.Address.String()
		row.Place = placeWords(c.places.Of(s.Address))
	}
	row.Verified = "user not verified"
	if s.UserVerified {
		row.Verified = "user verified"
	}
	switch {
	case s.RevokedAt != nil:
		row.State, row.Class, row.Open, row.Ends = "Revoked", "idle", false, "Revoked"
	case !now.Before(s.ExpiresAt):
		row.State, row.Class, row.Open, row.Ends = "Expired", "idle", false, "Expired"
	default:
		row.Ends = "in " + ui.Left(s.ExpiresAt.Sub(now))
	}
	return row
}

// placeWords is where an address is, as "Portugal, MEO (AS3243)"; empty: not known.
func placeWords(at whereabouts.Place) string {
	var words []string
	if at.Country != "" {
		words = append(words, whereabouts.CountryName(at.Country))
	}
	switch number := "AS" + strconv.FormatUint(uint64(at.ASN), 10); {
	case at.ASN == 0:
	case at.Network == "":
		words = append(words, number)
	default:
		words = append(words, at.Network+" ("+number+")")
	}
	return strings.Join(words, ", ")
}

type sessionsView struct {
	ui.Page

	Base    string
	Filters ui.Filters
	Columns ui.Columns
	Rows    []sessionRow
	Pager   ui.Pager
	None    bool
	Ask     *ui.Act // what is to be confirmed
	Hidden  []ui.Hidden
	CSV     string
	JSON    string
}

func sessionFilters(a ui.Address) []ui.Filter {
	filters := []ui.Filter{
		{Name: "state", Label: "State", Choices: []ui.Choice{{Label: "Any"}, {Value: "active", Label: "Active"}, {Value: "ended", Label: "Ended"}}},
		{Name: "aal", Label: "Assurance", Choices: []ui.Choice{{Label: "Any"}, {Value: "AAL1", Label: "AAL1"}, {Value: "AAL2", Label: "AAL2"}, {Value: "AAL3", Label: "AAL3"}}},
		{Name: "age", Label: "Signed in", Choices: []ui.Choice{
			{Label: "Any time"}, {Value: "1d", Label: "Within a day"}, {Value: "7d", Label: "Within 7 days"},
			{Value: "over1d", Label: "Over a day ago"}, {Value: "over7d", Label: "Over 7 days ago"}, {Value: "over30d", Label: "Over 30 days ago"},
		}},
	}
	for i := range filters {
		filters[i].Value = a.Get(filters[i].Name)
		filters[i].Value = chosen(filters[i])
	}
	owner := ui.Filter{Name: "user", Label: "User id", Hint: "As the user’s page has it"}
	if id, err := user.ParseID(a.Get("user")); err == nil {
		owner.Value = id.String()
	}
	key := ui.Filter{Name: "credential", Label: "Credential id", Hint: "As the credential’s page has it"}
	if id, err := credential.ParseID(a.Get("credential")); err == nil {
		key.Value = id.String()
	}
	return append(filters, owner, key)
}

func (c *Console) sessionsRequest(r *http.Request) (ui.Address, []ui.Filter, listing.Request) {
	a := addressOf(r, "state", "aal", "age", "user", "credential")
	filters := sessionFilters(a)
	now := c.asOf(r)
	var terms []string
	for _, f := range filters {
		if f.Value == "" {
			continue
		}
		switch f.Name {
		case "state":
			terms = append(terms, "active = "+map[string]string{"active": "true", "ended": "false"}[f.Value])
		case "aal":
			terms = append(terms, "aal = "+f.Value)
		case "age":
			if age, over := days[f.Value]; over {
				terms = append(terms, "createdAt >= "+instant(now.Add(-age)))
			} else {
				terms = append(terms, "createdAt < "+instant(now.Add(-days[f.Value[len("over"):]])))
			}
		case "user":
			terms = append(terms, "userId = "+f.Value)
		case "credential":
			terms = append(terms, "credentialId = "+quoted(f.Value))
		}
	}
	return a, filters, requestOf(r, a, terms)
}

func (c *Console) showSessions(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	a, filters, req := c.sessionsRequest(r)
	list, err := c.sessions.List(r.Context(), p.sc, req)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	base := p.base + "/sessions"
	exported := ui.Address{Path: base + "/export", Query: a.Query}
	view := sessionsView{
		Base: base, Filters: ui.Filters{At: a, Chips: ui.ChipsOf(filters), Add: filters},
		Columns: columnsOf(r, v, a, "sessions", ui.Column{Label: "Device"}, ui.Column{Label: "User", Name: "user"}, ui.Column{Label: "State", Name: "state"},
			ui.Column{Label: "Address", Name: "address"}, ui.Column{Label: "Assurance", Name: "assurance"}, ui.Column{Label: "Signed in", Name: "since"},
			ui.Column{Label: "Ends", Class: "num", Name: "ends"}),
		Pager: pagerOf(r, c.asOf(r), a, len(list.Items), "session", list.NextToken, true),
		None:  len(list.Items) == 0 && req.Filter == "" && req.PageToken == "",
		CSV:   exported.Without(), JSON: exported.With("format", "json"),
	}
	owners := make([]user.ID, len(list.Items))
	for i := range list.Items {
		owners[i] = list.Items[i].UserID
	}
	names, err := c.profiles(r, p, owners)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	for i := range list.Items {
		view.Rows = append(view.Rows, c.sessionRow(&list.Items[i], names, p))
	}
	view.Page = c.frame(w, r, v, p, "Sessions", base)
	c.render(w, r, http.StatusOK, c.sessionsPage(view))
}

func (c *Console) exportSessions(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	_, _, req := c.sessionsRequest(r)
	req.PageSize = listing.MaxPageSize
	c.export(w, r, v, exported{
		Name:    "sessions",
		Columns: []string{"id", "userId", "credentialId", "aal", "address", "country", "asn", "network", "userAgent", "createdAt", "lastUsedAt", "expiresAt", "revokedAt"},
		Next: func(token string) ([][]string, string, error) {
			req.PageToken = token
			list, err := c.sessions.List(r.Context(), p.sc, req)
			rows := make([][]string, len(list.Items))
			for i := range list.Items {
				s := &list.Items[i]
				address, asn := "", ""
				if s.Address.IsValid() {
					address = s.Address.String()
				}
				at := c.places.Of(s.Address)
				if at.ASN != 0 {
					asn = strconv.FormatUint(uint64(at.ASN), 10)
				}
				rows[i] = []string{
					s.ID.String(), s.UserID.String(), s.CredentialID.String(), "AAL" + ui.Number(int(s.AAL)), address, at.Country, asn, at.Network, s.UserAgent,
					iso(&s.CreatedAt), iso(&s.LastUsedAt), iso(&s.ExpiresAt), iso(s.RevokedAt),
				}
			}
			return rows, list.NextToken, err
		},
	})
}

// revokeSessions asks before it ends those that were picked, and does it once it is confirmed.
// The form says where it came from: the list, or a user's page.
func (c *Console) revokeSessions(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	base := p.base + "/sessions"
	back := base
	if id, err := user.ParseID(r.PostFormValue("user")); err == nil {
		back = p.base + "/users/" + id.String() + "/sessions"
	}
	var ids []session.ID
	view := sessionsView{Base: base, Hidden: []ui.Hidden{{Name: "confirmed", Value: "1"}, {Name: "user", Value: r.PostFormValue("user")}}}
	for _, text := range picked(r) {
		id, err := session.ParseID(text)
		if err != nil {
			c.fail(w, r, v, err)
			return
		}
		ids = append(ids, id)
		view.Hidden = append(view.Hidden, ui.Hidden{Name: "id", Value: id.String()})
	}
	if len(ids) == 0 {
		http.Redirect(w, r, back, http.StatusSeeOther) //nolint:gosec // the slug is that of a tenant of the person's
		return
	}
	form := actForm{Reason: clean(r.PostFormValue("reason"))}
	status := http.StatusOK
	if r.PostFormValue("confirmed") != "" {
		var err error
		switch {
		case !v.fresh:
			err = errStale
		case !audit.IsReason(form.Reason):
			err = credential.ErrReason
		default:
			_, err = c.sessions.BatchRevoke(r.Context(), p.sc, session.BatchRevokeRequest{IDs: ids, Reason: form.Reason})
		}
		if err == nil {
			c.done(w, r, "sessrevoked", back)
			return
		}
		form.Problem, status = c.inForm(r, err)
	}
	view.Ask = &ui.Act{
		ID: "act", Action: base + "/revoke", Title: "Revoke " + ui.Count(len(ids), "session"), Button: "revoke", Danger: true, Cancel: back, Fresh: freshUntil(v),
		Reason: form.Reason, Problem: form.Problem,
		Effects: []ui.Effect{
			{Icon: "logout", Text: "They end at once, all of them or none; services that check tokens by themselves notice within minutes"},
			{Icon: "key", Text: "Passkeys stay as they are: the users can sign in again"},
		},
	}
	view.Page = c.frame(w, r, v, p, "Revoke sessions", base, ui.Link{Href: base, Label: "Sessions"})
	view.Page.Here = back
	c.render(w, r, status, c.sessionsAskPage(view))
}
