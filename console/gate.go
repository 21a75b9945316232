package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// gateRoutes are what takes nobody who is signed in, and what makes somebody so.
func (c *Console) gateRoutes(mux *router) {
	mux.HandleFunc("GET "+Path+"/signin", c.showSignIn)
	mux.HandleFunc("POST "+Path+"/signin/begin", c.beginSignIn)
	mux.HandleFunc("POST "+Path+"/signin/finish", c.finishSignIn)
	mux.HandleFunc("POST "+Path+"/signout", c.signOut)

	mux.HandleFunc("GET "+Path+"/join", c.showJoin)
	mux.HandleFunc("POST "+Path+"/join/look", c.lookAtInvitation)
	mux.HandleFunc("POST "+Path+"/join/begin", c.beginJoin)
	mux.HandleFunc("POST "+Path+"/join/finish", c.finishJoin)
	mux.HandleFunc("POST "+Path+"/join/accept", c.signedIn(c.accept))

	mux.HandleFunc("POST "+Path+"/stepup/begin", c.signedIn(c.beginStepUp))
	mux.HandleFunc("POST "+Path+"/stepup/finish", c.signedIn(c.finishStepUp))
}

// begun is what a page's script hands to navigator.credentials.
type begun struct {
	ID      string `json:"id"`
	Options any    `json:"options"`
}

// signed is what an authenticator signed, and where to go then.
type signed struct {
	ID       string          `json:"id"`
	Response json.RawMessage `json:"response"`
	Next     string          `json:"next"`
}

// showSignIn is the gate. Who is signed in already goes on.
func (c *Console) showSignIn(w http.ResponseWriter, r *http.Request) {
	next := local(r.URL.Query().Get("next"))
	if _, err := c.visit(r); err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // local lets nothing out of here
		return
	} else if !errors.Is(err, member.ErrSignedOut) {
		c.fail(w, r, nil, err)
		return
	}
	notice := ""
	// Fixed words for fixed values: nothing of the query reaches the page.
	switch r.URL.Query().Get("after") {
	case "sign-out":
		notice = "You are signed out."
	case "end":
		notice = "Your session ended, and nothing was changed. Sign in again to go on."
	}
	c.render(w, r, http.StatusOK, c.signInPage(theme(r), next, notice))
}

func (c *Console) beginSignIn(w http.ResponseWriter, r *http.Request) {
	if _, err := read[struct{}](r); err != nil {
		c.refuse(w, r, err)
		return
	}
	b, err := c.ceremonies.BeginAuthentication(r.Context(), c.platformScope(r.Context()), ceremony.BeginAuthenticationRequest{
		UserVerification: webauthn.Required,
	})
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	c.reply(w, r, http.StatusOK, begun{ID: b.ID, Options: b.Options})
}

func (c *Console) finishSignIn(w http.ResponseWriter, r *http.Request) {
	in, err := read[signed](r)
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	ctx := r.Context()
	a, err := c.authenticate(ctx, c.platformScope(ctx), in)
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	if err := c.open(ctx, w, a); err != nil {
		c.refuse(w, r, err)
		return
	}
	c.reply(w, r, http.StatusOK, answer{Next: local(in.Next)})
}

// authenticate finishes a sign-in. errDenied for what the policy of the reserved tenant
// does not let in: there is no second step here.
func (c *Console) authenticate(ctx context.Context, sc scope.Scope, in signed) (ceremony.Authenticated, error) {
	response, err := webauthn.ParseAssertionResponse(in.Response)
	if err != nil {
		return ceremony.Authenticated{}, err
	}
	a, err := c.ceremonies.FinishAuthentication(ctx, sc, ceremony.FinishAuthenticationRequest{ID: in.ID, Response: response})
	if err != nil {
		return ceremony.Authenticated{}, err
	}
	if a.Decision != ceremony.Allow || a.Session == nil {
		return ceremony.Authenticated{}, errDenied
	}
	return a, nil
}

// open gives the browser a session. Its value is new at each sign-in, so that none from
// before is ever worth anything after it.
func (c *Console) open(ctx context.Context, w http.ResponseWriter, a ceremony.Authenticated) error {
	opened, err := c.members.Open(ctx, a.User.ID.UUID(), a.Session.ID.UUID(), c.origin(ctx))
	if err != nil {
		return err
	}
	c.setSession(w, opened.Cookie)
	return nil
}

// signOut ends the session. The cookie goes in any case: who says "Sign out" must not
// stay signed in because a server is down.
func (c *Console) signOut(w http.ResponseWriter, r *http.Request) {
	c.clearSession(w)
	if cookie, err := r.Cookie(c.sessionCookieName()); err == nil {
		if err := c.endSession(r.Context(), cookie.Value, "signed out"); err != nil && !errors.Is(err, member.ErrSignedOut) {
			c.logFailure(r, http.StatusInternalServerError, err)
		}
	}
	http.Redirect(w, r, Path+"/signin?after=sign-out", http.StatusSeeOther)
}

func (c *Console) endSession(ctx context.Context, cookie, reason string) error {
	found, err := c.members.Find(ctx, cookie)
	if err != nil {
		return err
	}
	sc := c.platformScope(ctx).WithActor(scope.Actor{Kind: scope.ActorOperator, ID: found.PersonID.String()})
	_, err = c.sessions.Revoke(ctx, sc, session.RevokeRequest{ID: session.ID(found.ID), Reason: reason})
	return err
}

// beginStepUp asks the person who is signed in for a passkey of theirs.
func (c *Console) beginStepUp(w http.ResponseWriter, r *http.Request, v *visit) {
	if _, err := read[struct{}](r); err != nil {
		c.refuse(w, r, err)
		return
	}
	b, err := c.ceremonies.BeginAuthentication(r.Context(), v.platform(), ceremony.BeginAuthenticationRequest{
		UserID: v.person.ID.String(), UserVerification: webauthn.Required,
	})
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	c.reply(w, r, http.StatusOK, begun{ID: b.ID, Options: b.Options})
}

// finishStepUp puts a fresh session in the place of the one that is there: a passkey has
// been used, so nothing that was known before is to be worth as much.
func (c *Console) finishStepUp(w http.ResponseWriter, r *http.Request, v *visit) {
	in, err := read[signed](r)
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	ctx := r.Context()
	a, err := c.authenticate(ctx, v.platform(), in)
	if err == nil && a.User.ID != v.person.ID {
		// Whoever's it is: they have not asked for a session.
		_, err = c.sessions.Revoke(ctx, v.platform(), session.RevokeRequest{ID: a.Session.ID, Reason: "another account's passkey"})
		err = errors.Join(errNotYou, err)
	}
	if err == nil {
		err = c.open(ctx, w, a)
	}
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	old := session.RevokeRequest{ID: session.ID(v.session.ID), Reason: "confirmed with a passkey"}
	if _, err := c.sessions.Revoke(ctx, v.platform(), old); err != nil {
		c.logFailure(r, http.StatusInternalServerError, err) // it ends by itself
	}
	c.reply(w, r, http.StatusOK, answer{})
}

// showJoin is where an invitation's link leads. The token is in the fragment, which no
// server and no log sees; the page's script posts it.
func (c *Console) showJoin(w http.ResponseWriter, r *http.Request) {
	v, err := c.visit(r)
	if err != nil && !errors.Is(err, member.ErrSignedOut) {
		c.fail(w, r, nil, err)
		return
	}
	name := ""
	if v != nil {
		name = v.person.Name
	}
	c.render(w, r, http.StatusOK, c.joinPage(theme(r), name))
}

// invited is what a page shows of a link.
type invited struct {
	Invitations []invitation `json:"invitations"`
	SignedIn    bool         `json:"signedIn"`
}

// invitation is one of those that a link holds.
type invitation struct {
	Tenant    string `json:"tenant"`
	Role      string `json:"role"`
	Purpose   string `json:"purpose"`
	Label     string `json:"label"`
	ExpiresAt string `json:"expiresAt"` // RFC 3339
}

// holder posts a link's token.
type holder struct {
	Token string `json:"token"`
	Name  string `json:"name"`
}

// maxTokens is how many invitations one link holds at most: two, for who sets an
// installation up.
const maxTokens = 4

// tokens are the invitations of a link, which dots part.
func (h holder) tokens() []string {
	all := strings.Split(h.Token, ".")
	return all[:min(len(all), maxTokens)]
}

// look returns those of a link's invitations that are open: the error of one if none is.
func (c *Console) look(ctx context.Context, tokens []string) (open []member.Invitation, tenants []uuid.UUID, err error) {
	for _, token := range tokens {
		id, found, refused := c.members.Look(ctx, token)
		if refused != nil {
			err = refused
			continue
		}
		open, tenants = append(open, found), append(tenants, id)
	}
	if len(open) > 0 {
		err = nil
	}
	return open, tenants, err
}

func (c *Console) lookAtInvitation(w http.ResponseWriter, r *http.Request) {
	in, err := read[holder](r)
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	ctx := r.Context()
	open, tenants, err := c.look(ctx, in.tokens())
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	_, err = c.visit(r)
	out := invited{SignedIn: err == nil}
	for i, one := range open {
		name, _, err := c.tenantName(ctx, tenants[i])
		if err != nil {
			c.refuse(w, r, err)
			return
		}
		if one.Founds != nil {
			name = "a new " + strings.ToLower(modeLabel(string(one.Founds.Mode))) + " tenant"
		}
		out.Invitations = append(out.Invitations, invitation{
			Tenant: name, Role: one.Role.Label(), Purpose: one.Role.Purpose(), Label: one.Label, ExpiresAt: one.ExpiresAt.UTC().Format(time.RFC3339),
		})
	}
	c.reply(w, r, http.StatusOK, out)
}

// tenantName is what a tenant is called, and where its pages are.
func (c *Console) tenantName(ctx context.Context, id uuid.UUID) (name, base string, err error) {
	if id == scope.PlatformTenant {
		return platformName, platformBase, nil
	}
	t, err := c.tenants.Current(ctx, scope.New(id, scope.Actor{Kind: scope.ActorSystem, ID: "console"}))
	if err != nil {
		return "", "", err
	}
	return t.Name, tenantBase(t.Slug), nil
}

// maxName is how many characters somebody's name has at most.
const maxName = 100

// beginJoin begins the account of somebody who was invited: nobody else gets one.
func (c *Console) beginJoin(w http.ResponseWriter, r *http.Request) {
	in, err := read[holder](r)
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	ctx := r.Context()
	if _, err := c.members.Enroll(ctx, in.tokens()); err != nil {
		c.refuse(w, r, err)
		return
	}
	profile, err := user.Profile{ExternalID: "person-" + uuid.NewString(), Name: in.Name, DisplayName: in.Name}.Clean()
	if err != nil || utf8.RuneCountInString(profile.Name) > maxName {
		c.refuse(w, r, errNewName)
		return
	}
	b, err := c.ceremonies.BeginRegistration(ctx, c.platformScope(ctx), ceremony.BeginRegistrationRequest{
		User: &profile, Selection: passkey(),
	})
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	c.reply(w, r, http.StatusOK, begun{ID: b.ID, Options: b.Options})
}

// passkey is what signs people in here: found by itself, and never without PIN or finger.
func passkey() *webauthn.AuthenticatorSelection {
	return &webauthn.AuthenticatorSelection{ResidentKey: webauthn.Required, UserVerification: webauthn.Required}
}

// made is what an authenticator made, under an invitation or by who is signed in.
type made struct {
	ID       string          `json:"id"`
	Response json.RawMessage `json:"response"`
	Token    string          `json:"token"`
}

func (c *Console) finishJoin(w http.ResponseWriter, r *http.Request) {
	in, err := read[made](r)
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	ctx := r.Context()
	spend, err := c.members.Enroll(ctx, holder{Token: in.Token}.tokens())
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	if err := c.register(ctx, c.platformScope(ctx), in, spend); err != nil {
		c.refuse(w, r, err)
		return
	}
	c.reply(w, r, http.StatusOK, answer{})
}

// register finishes what beginJoin or beginPasskey has begun: who may is judged there, and
// the id of what was begun is known to that browser alone. spend is the invitation by which
// an account is made; nil for a further passkey.
func (c *Console) register(ctx context.Context, sc scope.Scope, in made, spend member.Enrollment) error {
	response, err := webauthn.ParseRegistrationResponse(in.Response)
	if err != nil {
		return err
	}
	_, err = c.ceremonies.FinishRegistration(ctx, sc, ceremony.FinishRegistrationRequest{ID: in.ID, Response: response, Also: spend})
	return err
}

// accept makes who is signed in a member.
func (c *Console) accept(w http.ResponseWriter, r *http.Request, v *visit) {
	in, err := read[holder](r)
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	ctx := r.Context()
	next := ""
	var refused error
	for _, token := range in.tokens() {
		id, _, err := c.members.Accept(ctx, v.session.PersonID, v.origin, token)
		switch {
		case err == nil:
			_, next, err = c.tenantName(ctx, id)
		case errors.Is(err, member.ErrFounds): // a form comes first
			c.setCookie(w, c.foundCookieName(), token, foundLife)
			c.reply(w, r, http.StatusOK, answer{Next: foundPath})
			return
		}
		refused = errors.Join(refused, err)
	}
	if next == "" {
		c.refuse(w, r, refused)
		return
	}
	c.setCookie(w, toastCookie, "joined", toastLife)
	c.reply(w, r, http.StatusOK, answer{Next: next})
}
