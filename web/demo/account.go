package demo

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// removalReason is what the audit log says of a removed passkey.
const removalReason = "removed by its owner at Northwind Bank"

// showAccount is what a signed-in customer sees. Each visit asks Biocore
// whether the session still stands, so a revocation shows at the next click.
func (b *Bank) showAccount(w http.ResponseWriter, r *http.Request) {
	api := b.client()
	one, err := b.current(r.Context(), api, r)
	if errors.Is(err, errSignedOut) {
		b.clearCookie(w)
		http.Redirect(w, r, Path+"?after=end", http.StatusSeeOther)
		return
	}
	if err != nil {
		b.showFailure(w, r, api, err)
		return
	}
	passkeys, err := api.passkeys(r.Context(), one.user.ID)
	if err != nil {
		b.showFailure(w, r, api, err)
		return
	}
	b.render(w, r, http.StatusOK, b.accountPage(newAccountView(one, passkeys, b.options.Now()), api.calls))
}

// addPasskey hands a signed-in customer's browser the token for one more
// passkey. The secret key vouches for who they are: the session was checked
// a line before.
func (b *Bank) addPasskey(w http.ResponseWriter, r *http.Request) {
	api := b.client()
	one, err := b.current(r.Context(), api, r)
	if err != nil {
		b.refuse(w, r, api, err)
		return
	}
	token, err := api.createRegistrationToken(r.Context(), map[string]any{"userId": one.user.ID}, tokenLifetime)
	if err != nil {
		b.refuse(w, r, api, err)
		return
	}
	b.reply(w, r, api, answer{RegistrationToken: token.Token})
}

// renamePasskey changes what the customer calls a passkey.
func (b *Bank) renamePasskey(w http.ResponseWriter, r *http.Request) {
	api := b.client()
	posted, err := read[struct {
		Nickname string `json:"nickname"`
	}](r)
	nickname := strings.TrimSpace(posted.Nickname)
	if err != nil || !plausibleName(nickname) {
		b.reply(w, r, api, answer{Problem: because("NICKNAME_NEEDED")})
		return
	}
	one, err := b.ownPasskey(r.Context(), api, r)
	if err != nil {
		b.refuse(w, r, api, err)
		return
	}
	if err := api.renameCredential(r.Context(), one.passkey.ID, nickname); err != nil {
		b.refuse(w, r, api, err)
		return
	}
	b.reply(w, r, api, answer{Next: Path + "/account#passkeys"})
}

// removePasskey revokes a passkey, for good, and with it the sessions that it
// opened. That the last one stays is Biocore's rule, not checked twice here.
func (b *Bank) removePasskey(w http.ResponseWriter, r *http.Request) {
	api := b.client()
	one, err := b.ownPasskey(r.Context(), api, r)
	if err != nil {
		b.refuse(w, r, api, err)
		return
	}
	if err := api.revokeCredential(r.Context(), one.passkey.ID, removalReason); err != nil {
		b.refuse(w, r, api, err)
		return
	}
	done := answer{Next: Path + "/account#passkeys"}
	if one.passkey.ID == one.session.snapshot().CredentialID {
		b.sessions.end(one.session)
		b.clearCookie(w)
		done.Next = Path + "?after=removal"
	}
	// Without the signal the password manager goes on to offer a passkey that
	// no longer works. The removal stands either way.
	if done.Signals, err = api.signals(r.Context(), one.session.user.ID); err != nil {
		b.logFailure(r, problemOf(err), err)
	}
	b.reply(w, r, api, done)
}

// owned is a passkey together with the session of its owner.
type owned struct {
	session *session
	passkey credential
}

// ownPasskey finds the passkey that a request names, if it is the signed-in
// customer's. The secret key may touch any user's passkey, so that check is the
// bank's: another customer's looks like one that never was.
func (b *Bank) ownPasskey(ctx context.Context, api *client, r *http.Request) (owned, error) {
	one, err := b.current(ctx, api, r)
	if err != nil {
		return owned{}, err
	}
	passkey, err := api.credential(ctx, r.PathValue("credentialId"))
	if err != nil {
		return owned{}, err
	}
	if passkey.UserID != one.user.ID {
		return owned{}, &apiError{Status: http.StatusNotFound, Code: "not_found", Reason: "CREDENTIAL_UNKNOWN"}
	}
	return owned{session: one, passkey: passkey}, nil
}
