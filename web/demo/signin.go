package demo

import (
	"net/http"
)

// sessionReason is what the audit log says of a sign-out.
const sessionReason = "signed out at Northwind Bank"

// showSignIn is the bank's front page. Who is signed in already goes on to the
// account; that the session still stands is checked there.
func (b *Bank) showSignIn(w http.ResponseWriter, r *http.Request) {
	if _, err := b.sessions.find(r); err == nil {
		http.Redirect(w, r, Path+"/account", http.StatusSeeOther)
		return
	}
	notice := ""
	// Fixed words for fixed values: nothing of the query reaches the page.
	switch r.URL.Query().Get("after") {
	case "sign-out":
		notice = "You are signed out."
	case "removal":
		notice = "That passkey is removed, and with it the session that it had opened."
	case "end":
		notice = "Your session ended. Sign in again to go on."
	}
	b.render(w, r, http.StatusOK, b.signInPage(notice))
}

// signIn turns the code that the browser got from Biocore into a session of
// the bank. The code alone is worth nothing to whoever steals it: exchanging it
// takes the secret key.
func (b *Bank) signIn(w http.ResponseWriter, r *http.Request) {
	api := b.client()
	posted, err := read[struct {
		Code string `json:"code"`
	}](r)
	if err != nil || posted.Code == "" {
		b.reply(w, r, api, answer{Problem: because("CODE_INVALID")})
		return
	}
	who, granted, err := api.exchangeCode(r.Context(), posted.Code)
	if err != nil {
		b.refuse(w, r, api, err)
		return
	}
	if granted.AccessToken == "" { // policy let nobody in
		b.reply(w, r, api, answer{Problem: because("CODE_INVALID")})
		return
	}
	one, err := b.sessions.open(who, granted)
	if err != nil {
		b.refuse(w, r, api, err)
		return
	}
	b.setCookie(w, one)
	b.reply(w, r, api, answer{Next: Path + "/account"})
}

// signOut ends the session here and at Biocore. Here it ends in any case: who
// clicks "Sign out" must not stay signed in because a server is down.
func (b *Bank) signOut(w http.ResponseWriter, r *http.Request) {
	api := b.client()
	next := answer{Next: Path + "?after=sign-out"}
	b.clearCookie(w)
	one, err := b.sessions.find(r)
	if err != nil {
		b.reply(w, r, api, next)
		return
	}
	b.sessions.end(one)
	if err := api.revokeSession(r.Context(), one.snapshot().ID, sessionReason); err != nil {
		b.logFailure(r, problemOf(err), err)
	}
	b.reply(w, r, api, next)
}
