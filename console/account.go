package console

import (
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/member"
)

// accountRoutes are a person's own passkeys and sessions.
func (c *Console) accountRoutes(mux *router) {
	mux.HandleFunc("GET "+Path+"/account", c.signedIn(c.showAccount))
	mux.HandleFunc("POST "+Path+"/account/passkeys/begin", c.signedIn(c.beginPasskey))
	mux.HandleFunc("POST "+Path+"/account/passkeys/finish", c.signedIn(c.finishPasskey))
	mux.HandleFunc("GET "+Path+"/account/passkeys/{id}", c.signedIn(c.showPasskey))
	mux.HandleFunc("POST "+Path+"/account/passkeys/{id}/rename", c.signedIn(c.renamePasskey))
	mux.HandleFunc("POST "+Path+"/account/passkeys/{id}/remove", c.signedIn(c.removePasskey))
	mux.HandleFunc("POST "+Path+"/account/address", c.signedIn(c.saveAddress))
	mux.HandleFunc("POST "+Path+"/account/sessions/{id}/end", c.signedIn(c.endOwnSession))
	mux.HandleFunc("POST "+Path+"/account/sessions/end-others", c.signedIn(c.endOtherSessions))
}

// accountPath is the page, and what is below it.
const accountPath = Path + "/account"

// maxShown bounds the passkeys of one person that are read; the policy's maximum is far
// below.
const maxShown = 100

// clock tells the time.
type clock = func() time.Time

type accountView struct {
	ui.Page

	Passkeys []passkeyView
	Sessions []sessionView
	Others   int // sessions beside this one
	Fresh    string
	Address  string
	Problem  *ui.Problem // of the address
	Mails    bool
}

type passkeyView struct {
	modelFace

	ID       string
	Name     string
	Kind     string
	Added    ui.Moment
	Used     *ui.Moment
	InUse    bool
	Paused   bool
	Synced   string
	nickname string
}

type sessionView struct {
	ID      string
	Browser string
	Agent   string
	Icon    string
	Address string
	Since   ui.Moment
	Seen    ui.Moment
	This    bool
}

func (c *Console) showAccount(w http.ResponseWriter, r *http.Request, v *visit) {
	c.account200(w, r, v, accountView{Address: v.person.Contact.Email}, http.StatusOK)
}

// saveAddress keeps where the person is told by mail what owners and admins should know.
func (c *Console) saveAddress(w http.ResponseWriter, r *http.Request, v *visit) {
	address := clean(r.PostFormValue("email"))
	var err error
	if !v.fresh { // who holds an open browser must not lead the mail elsewhere
		err = errStale
	} else {
		_, err = c.users.Update(r.Context(), v.platform(), user.UpdateRequest{ID: v.person.ID, Email: &address})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		c.account200(w, r, v, accountView{Address: address, Problem: problem}, code)
		return
	}
	c.done(w, r, "address", accountPath)
}

// account200 shows the page; view has what was typed.
func (c *Console) account200(w http.ResponseWriter, r *http.Request, v *visit, view accountView, code int) {
	view.Fresh, view.Mails = freshUntil(v), c.members.MailsInvitations()
	passkeys, err := c.passkeys(r, v)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view.Passkeys = passkeys
	browsers, err := c.members.Browsers(r.Context(), v.session.PersonID)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	for _, one := range browsers {
		row := newSessionView(&one, c.now)
		if row.This = one.ID == v.session.ID; row.This {
			view.Sessions = slices.Insert(view.Sessions, 0, row)
			continue
		}
		view.Others++
		view.Sessions = append(view.Sessions, row)
	}
	view.Page = c.frame(w, r, v, nil, "Account", accountPath)
	c.render(w, r, code, c.accountPage(view))
}

// passkeys are the person's that are not revoked, the newest first.
func (c *Console) passkeys(r *http.Request, v *visit) ([]passkeyView, error) {
	list, err := c.credentials.ListOfUser(r.Context(), v.platform(), v.person.ID, listing.Request{PageSize: maxShown, Filter: `state != "REVOKED"`})
	if err != nil {
		return nil, err
	}
	views := make([]passkeyView, len(list.Items))
	for i := range list.Items {
		views[i] = c.newPasskeyView(&list.Items[i])
	}
	return views, nil
}

func (c *Console) newPasskeyView(k *credential.Credential) passkeyView {
	v := passkeyView{
		ID: k.ID.String(), Name: k.Nickname, Added: ui.Ago(k.CreatedAt, c.now()), Paused: k.State == credential.Suspended,
		nickname: k.Nickname,
	}
	traits := authenticator.Traits{Transports: k.Transports, BackupEligible: k.BackupEligible}
	v.Kind = authenticator.Describe(k.AAGUID, c.metadata(), traits)
	v.modelFace = c.faceOf(k.AAGUID, traits)
	if v.Name == "" {
		v.Name = v.Kind
	}
	if k.LastUsedAt != nil {
		used := ui.Ago(*k.LastUsedAt, c.now())
		v.Used = &used
	}
	// WebAuthn L3 #sctn-credential-backup
	switch {
	case k.BackedUp:
		v.Synced = "Synced"
	case k.BackupEligible:
		v.Synced = "Not synced yet"
	default:
		v.Synced = "On one device only"
	}
	return v
}

func newSessionView(b *member.Browser, now clock) sessionView {
	v := sessionView{
		ID: b.ID.String(), Agent: b.UserAgent, Since: ui.Ago(b.CreatedAt, now()), Seen: ui.Ago(b.LastSeenAt, now()), Address: "Address not known",
	}
	if b.Address.IsValid() {
		v.Address = b.Address.String()
	}
	v.Browser, v.Icon = browserOf(b.UserAgent)
	return v
}

// browserOf guesses who calls itself so, for people: it is no proof of anything.
func browserOf(agent string) (name, icon string) {
	first := func(of [][2]string) string {
		for _, one := range of {
			if strings.Contains(agent, one[0]) {
				return one[1]
			}
		}
		return ""
	}
	// Each calls itself by the names of those before it, too.
	browser := first([][2]string{{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}})
	system := first([][2]string{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	})
	icon = "laptop"
	if system == "iPhone" || system == "Android" {
		icon = "phone"
	}
	switch {
	case browser != "" && system != "":
		return browser + " on " + system, icon
	case browser != "":
		return browser, icon
	default:
		return "A browser", "globe"
	}
}

// beginPasskey begins another passkey of the person's.
func (c *Console) beginPasskey(w http.ResponseWriter, r *http.Request, v *visit) {
	_, err := read[struct{}](r)
	if err == nil && !v.fresh {
		err = errStale
	}
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	id := v.person.ID
	b, err := c.ceremonies.BeginRegistration(r.Context(), v.platform(), ceremony.BeginRegistrationRequest{UserID: &id, Selection: passkey()})
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	c.reply(w, r, http.StatusOK, begun{ID: b.ID, Options: b.Options})
}

func (c *Console) finishPasskey(w http.ResponseWriter, r *http.Request, v *visit) {
	in, err := read[made](r)
	if err == nil {
		err = c.register(r.Context(), v.platform(), in, nil)
	}
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	c.setCookie(w, toastCookie, "added", toastLife)
	c.reply(w, r, http.StatusOK, answer{Next: accountPath})
}

type passkeyPageView struct {
	ui.Page

	Passkey  passkeyView
	Nickname string
	Last     bool // the only one that is left
	Fresh    string
	Rename   *ui.Problem
	Remove   actForm
}

// own is a passkey of the person's that is not revoked. credential.ErrNotFound.
func (c *Console) own(r *http.Request, v *visit) (passkeyView, int, error) {
	all, err := c.passkeys(r, v)
	if err != nil {
		return passkeyView{}, 0, err
	}
	for _, one := range all {
		if one.ID == r.PathValue("id") {
			return one, len(all), nil
		}
	}
	return passkeyView{}, 0, credential.ErrNotFound
}

func (c *Console) showPasskey(w http.ResponseWriter, r *http.Request, v *visit) {
	c.passkey200(w, r, v, passkeyPageView{}, http.StatusOK)
}

func (c *Console) passkey200(w http.ResponseWriter, r *http.Request, v *visit, view passkeyPageView, status int) {
	one, n, err := c.own(r, v)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view.Passkey, view.Last, view.Fresh = one, n == 1, freshUntil(v)
	if view.Rename == nil {
		view.Nickname = one.nickname
	}
	view.Page = c.frame(w, r, v, nil, one.Name, accountPath, ui.Link{Href: accountPath, Label: "Account"})
	view.Page.Here = accountPath + "/passkeys/" + one.ID
	c.render(w, r, status, c.passkeyPage(view))
}

func (c *Console) renamePasskey(w http.ResponseWriter, r *http.Request, v *visit) {
	view := passkeyPageView{Nickname: clean(r.PostFormValue("nickname"))}
	one, _, err := c.own(r, v)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	if view.Nickname == "" || utf8.RuneCountInString(view.Nickname) > 64 {
		err = credential.ErrNickname
	} else {
		_, err = c.credentials.Rename(r.Context(), v.platform(), credential.RenameRequest{ID: mustID(one.ID), Nickname: view.Nickname})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		view.Rename = problem
		c.passkey200(w, r, v, view, code)
		return
	}
	c.done(w, r, "renamed", accountPath)
}

// mustID is the id of a passkey that was listed.
func mustID(s string) credential.ID {
	id, err := credential.ParseID(s)
	if err != nil {
		return "" // nobody has it
	}
	return id
}

func (c *Console) removePasskey(w http.ResponseWriter, r *http.Request, v *visit) {
	form := actForm{Reason: clean(r.PostFormValue("reason"))}
	one, _, err := c.own(r, v)
	switch {
	case err != nil:
		c.fail(w, r, v, err)
		return
	case !v.fresh:
		err = errStale
	case !audit.IsReason(form.Reason):
		err = credential.ErrReason
	default:
		_, err = c.credentials.Revoke(r.Context(), v.platform(), credential.RevokeRequest{ID: mustID(one.ID), Reason: form.Reason})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		c.passkey200(w, r, v, passkeyPageView{Remove: form}, code)
		return
	}
	c.done(w, r, "revoked", accountPath)
}

// endOwnSession ends one of the person's sessions; another one's is as unknown as none.
func (c *Console) endOwnSession(w http.ResponseWriter, r *http.Request, v *visit) {
	found := false
	err := c.endSessions(r, v, "ended in the console", func(id uuid.UUID) bool {
		ends := id.String() == r.PathValue("id")
		found = found || ends
		return ends
	})
	if err == nil && !found {
		err = session.ErrNotFound
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.done(w, r, "ended", accountPath)
}

func (c *Console) endOtherSessions(w http.ResponseWriter, r *http.Request, v *visit) {
	err := c.endSessions(r, v, "all others ended in the console", func(id uuid.UUID) bool { return id != v.session.ID })
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.done(w, r, "others", accountPath)
}

// endSessions ends those of the person's sessions that it is told to.
func (c *Console) endSessions(r *http.Request, v *visit, reason string, ends func(uuid.UUID) bool) error {
	browsers, err := c.members.Browsers(r.Context(), v.session.PersonID)
	if err != nil {
		return err
	}
	for _, one := range browsers {
		if !ends(one.ID) {
			continue
		}
		if _, err := c.sessions.Revoke(r.Context(), v.platform(), session.RevokeRequest{ID: session.ID(one.ID), Reason: reason}); err != nil {
			return err
		}
	}
	return nil
}
