// Package biocore is Biocore for the services of a tenant, in Go.
//
// A [Verifier] checks the access tokens that users' requests bring, offline: it keeps
// the tenant's public keys, fetches them again before they grow old, and follows
// their rotation. Verifier.Middleware puts it in front of an http.Handler, and
// Verifier.Require asks for more than a token on the routes that need it: a stronger
// sign-in, a recent one, or a session that still stands at this moment.
//
// A [Client] calls the API with a server key, by the generated clients.
//
// What is promised of tokens and keys stands in docs/verify-tokens.md.
package biocore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Claims is what an access token says. Ids are opaque: compare them, do not parse
// them. Times are whole seconds in UTC.
type Claims struct {
	Issuer    string    // iss: the tenant at its installation
	Subject   string    // sub: the user's id
	Audience  []string  // aud: the RP ID, unless the tenant set another
	SessionID string    // sid
	TenantID  string    // tid
	AMR       []string  // amr: how the user signed in (RFC 8176)
	AAL       int       // acr: 1 to 3 (NIST SP 800-63B-4)
	AuthTime  time.Time // auth_time: of the sign-in; a refresh does not move it
	ID        string    // jti
	IssuedAt  time.Time // iat
	ExpiresAt time.Time // exp: the first second at which the token is not good
}

// UserVerified tells whether the authenticator checked a PIN or biometry.
func (c Claims) UserVerified() bool { return slices.Contains(c.AMR, "mfa") }

// ClaimsFromContext returns the claims of the token that a request came with. They
// are there behind Middleware and Require, and nowhere else.
func ClaimsFromContext(ctx context.Context) (Claims, bool) {
	v, ok := ctx.Value(contextKey{}).(verified)
	return v.claims, ok
}

type contextKey struct{}

// verified is a token that was found good, and by whom: another verifier's word says
// nothing about this one's issuer.
type verified struct {
	by     *Verifier
	claims Claims
	jws    string // without encryption around it
}

// wireClaims is the payload as it is spelled. Claims that are not listed may be there:
// a newer server wrote them.
type wireClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	Session   string   `json:"sid"`
	Tenant    string   `json:"tid"`
	AMR       []string `json:"amr"`
	ACR       string   `json:"acr"`
	AuthTime  int64    `json:"auth_time"`
	ID        string   `json:"jti"`
	IssuedAt  int64    `json:"iat"`
	NotBefore int64    `json:"nbf"`
	ExpiresAt int64    `json:"exp"`
}

// claimNames are those of wireClaims.
var claimNames = []string{"iss", "sub", "aud", "sid", "tid", "amr", "acr", "auth_time", "jti", "iat", "nbf", "exp"}

// audience is one name or a list of them (RFC 7519 §4.1.3).
type audience []string

// UnmarshalJSON reads either.
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// parseClaims reads a payload whose signature was good. nbf comes beside the claims,
// 0 where there is none.
func parseClaims(payload []byte) (c Claims, nbf int64, err error) {
	var w wireClaims
	if err := json.Unmarshal(payload, &w); err != nil {
		return Claims{}, 0, errors.New("unreadable claims")
	}
	if !distinct(payload, claimNames) {
		return Claims{}, 0, errors.New("a claim stands twice, or in another case")
	}
	if w.Subject == "" || w.Session == "" || w.Tenant == "" || w.ID == "" {
		return Claims{}, 0, errors.New("a claim is missing")
	}
	level, ok := strings.CutPrefix(w.ACR, "aal")
	aal, err := strconv.Atoi(level)
	if !ok || err != nil || aal < 1 || aal > 3 {
		return Claims{}, 0, errors.New("unreadable acr")
	}
	return Claims{
		Issuer: w.Issuer, Subject: w.Subject, Audience: w.Audience, SessionID: w.Session, TenantID: w.Tenant,
		AMR: w.AMR, AAL: aal, AuthTime: time.Unix(w.AuthTime, 0).UTC(), ID: w.ID,
		IssuedAt: time.Unix(w.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(w.ExpiresAt, 0).UTC(),
	}, w.NotBefore, nil
}
