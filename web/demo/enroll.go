package demo

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// tokenLifetime is how long a person may take over the prompt, with a few tries.
const tokenLifetime = 10 * time.Minute

const (
	maxEmailChars = 254 // RFC 5321 §4.5.3.1.3
	maxNameChars  = 64
)

// showEnroll is the page where a new customer makes a first passkey.
func (b *Bank) showEnroll(w http.ResponseWriter, r *http.Request) {
	if _, err := b.sessions.find(r); err == nil {
		http.Redirect(w, r, Path+"/account", http.StatusSeeOther)
		return
	}
	b.render(w, r, http.StatusOK, b.enrollPage())
}

// openAccount starts a new customer: it hands the browser a registration token
// for exactly that person.
//
// A real bank proves first that the person is who they say. This one has
// nobody's papers, so it opens new accounts only: an email that already signs
// in by a passkey is refused, or anybody could add theirs to it. (The refusal
// tells which emails have accounts. A real bank would answer alike and write to
// the address.)
func (b *Bank) openAccount(w http.ResponseWriter, r *http.Request) {
	api := b.client()
	posted, err := read[struct {
		Email string `json:"email"`
		Name  string `json:"name"`
	}](r)
	email, name := strings.ToLower(strings.TrimSpace(posted.Email)), strings.TrimSpace(posted.Name)
	switch {
	case err != nil || !plausibleName(name):
		b.reply(w, r, api, answer{Problem: because("NAME_NEEDED")})
		return
	case !plausibleEmail(email):
		b.reply(w, r, api, answer{Problem: because("EMAIL_NEEDED")})
		return
	}
	taken, err := accountExists(r.Context(), api, email)
	if err != nil {
		b.refuse(w, r, api, err)
		return
	}
	if taken {
		b.reply(w, r, api, answer{Problem: because("ACCOUNT_EXISTS")})
		return
	}
	customer := map[string]any{"externalId": email, "name": email, "displayName": name}
	token, err := api.createRegistrationToken(r.Context(), map[string]any{"user": customer}, tokenLifetime)
	if err != nil {
		b.refuse(w, r, api, err)
		return
	}
	b.reply(w, r, api, answer{RegistrationToken: token.Token})
}

// accountExists says whether somebody can already sign in under that email. A
// user whose enrollment never finished cannot, and may begin again.
func accountExists(ctx context.Context, api *client, email string) (bool, error) {
	who, err := api.lookupUser(ctx, email)
	if hasCode(err, "not_found") {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	passkeys, err := api.passkeys(ctx, who.ID)
	return len(passkeys) > 0, err
}

// plausibleEmail asks for little: only a letter that arrives proves an address.
func plausibleEmail(email string) bool {
	local, domain, found := strings.Cut(email, "@")
	return found && local != "" && domain != "" && len(email) <= maxEmailChars &&
		!strings.ContainsAny(email, " \t\r\n") && utf8.ValidString(email)
}

func plausibleName(name string) bool {
	return name != "" && utf8.RuneCountInString(name) <= maxNameChars && utf8.ValidString(name)
}
