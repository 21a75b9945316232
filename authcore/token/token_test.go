package token_test

import (
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/token"
	"github.com/biocore-id/biocore/tenancy/keys"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// rings are the keys of two tenants.
func rings(t testing.TB) (acme, globex *keys.Ring) {
	t.Helper()
	w := authcoretest.New(t)
	return w.Ring(t, w.Tenant(t)), w.Ring(t, w.Tenant(t))
}

func claimsOf(ring *keys.Ring) token.Claims {
	return token.Claims{
		Issuer: "https://auth.example/t/acme", Subject: uuid.MustParse("0190b1c2-0000-7000-8000-000000000001"),
		Audience: "acme.example", Session: uuid.MustParse("0190b1c2-0000-7000-8000-000000000002"), Tenant: ring.Tenant(),
		UserVerified: true, AAL: 2, AuthTime: now.Add(-time.Hour), ID: uuid.MustParse("0190b1c2-0000-7000-8000-000000000003"),
		IssuedAt: now, ExpiresAt: now.Add(10 * time.Minute),
	}
}

var want = token.Want{Issuer: "https://auth.example/t/acme", Audience: "acme.example", Now: now}

func access(t testing.TB, ring *keys.Ring, c token.Claims) string {
	t.Helper()
	tok, err := token.AppendAccess(t.Context(), nil, ring, c)
	if err != nil {
		t.Fatalf("AppendAccess error = %v", err)
	}
	return string(tok)
}

func TestAccess(t *testing.T) {
	acme, globex := rings(t)
	for _, tt := range []struct {
		name   string
		change func(*token.Claims)
	}{
		{"as usual", func(*token.Claims) {}},
		{"user not verified", func(c *token.Claims) { c.UserVerified, c.AAL = false, 1 }},
		{"names that need escaping", func(c *token.Claims) { c.Audience, c.Issuer = "a\"\\\n\x01é", `b"` }},
		{"names too long for the stack", func(c *token.Claims) { c.Audience = strings.Repeat("x", 1500) }},
		{"expires in a second", func(c *token.Claims) { c.ExpiresAt = now.Add(time.Second) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := claimsOf(acme)
			tt.change(&c)
			expect := token.Want{Issuer: c.Issuer, Audience: c.Audience, Now: now}
			got, err := token.VerifyAccess(acme, access(t, acme, c), expect)
			if err != nil {
				t.Fatalf("VerifyAccess error = %v", err)
			}
			if diff := cmp.Diff(c, got); diff != "" {
				t.Errorf("VerifyAccess (-want +got):\n%s", diff)
			}
		})
	}
	if tok, err := token.AppendAccess(t.Context(), []byte("kept "), acme, claimsOf(acme)); err != nil || !strings.HasPrefix(string(tok), "kept ey") {
		t.Errorf("AppendAccess = %q, %v, want it appended", tok, err)
	}
	if tok, err := token.AppendAccess(t.Context(), nil, globex, claimsOf(acme)); err == nil {
		t.Errorf("AppendAccess of another tenant's claims = %q, want an error", tok)
	}
}

// What is right but for one thing is refused. Each check of VerifyAccess that is
// removed turns its case red.
func TestAccessRefuses(t *testing.T) {
	acme, globex := rings(t)
	for _, tt := range []struct {
		name   string
		ring   *keys.Ring
		change func(*token.Claims)
		want   func(*token.Want)
	}{
		{name: "at the second of its expiry", want: func(w *token.Want) { w.Now = now.Add(10 * time.Minute) }},
		{name: "expired", change: func(c *token.Claims) { c.ExpiresAt = now.Add(-time.Second) }},
		{name: "another issuer", want: func(w *token.Want) { w.Issuer = "https://auth.example/t/acm" }},
		{name: "another audience", want: func(w *token.Want) { w.Audience = "globex.example" }},
		{name: "another tenant", ring: globex},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, expect, ring := claimsOf(acme), want, acme
			if tt.change != nil {
				tt.change(&c)
			}
			if tt.want != nil {
				tt.want(&expect)
			}
			if tt.ring != nil {
				ring = tt.ring
			}
			if got, err := token.VerifyAccess(ring, access(t, acme, c), expect); !errors.Is(err, token.ErrInvalid) {
				t.Errorf("VerifyAccess = %+v, %v, want %v", got, err, token.ErrInvalid)
			}
		})
	}
}

// opaque lets go-jose sign with a ring, which keeps its private key to itself.
type opaque struct {
	ring *keys.Ring
	jwk  *jose.JSONWebKey
}

func (o opaque) Public() *jose.JSONWebKey        { return o.jwk }
func (o opaque) Algs() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{jose.ES256} }
func (o opaque) SignPayload(payload []byte, _ jose.SignatureAlgorithm) ([]byte, error) {
	signature, err := o.ring.Signer().Sign(context.Background(), nil, payload)
	if err != nil {
		return nil, err
	}
	return base64.RawURLEncoding.DecodeString(string(signature))
}

// published is the ring's one public key, as go-jose reads the JWKS.
func published(t testing.TB, ring *keys.Ring) *jose.JSONWebKey {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(ring.JWKS(), &set); err != nil || len(set.Keys) != 1 || !set.Keys[0].Valid() {
		t.Fatalf("JWKS = %s, %v, want one valid key", ring.JWKS(), err)
	}
	return &set.Keys[0]
}

// An independent implementation takes our tokens by the published key alone.
func TestOracleVerifiesOurs(t *testing.T) {
	acme, _ := rings(t)
	c := claimsOf(acme)
	parsed, err := jwt.ParseSigned(access(t, acme, c), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatalf("go-jose cannot parse it: %v", err)
	}
	header := parsed.Headers[0]
	key := published(t, acme)
	if header.KeyID != key.KeyID || header.Algorithm != "ES256" || header.ExtraHeaders[jose.HeaderType] != "at+jwt" {
		t.Errorf("header = %+v, want the published kid, ES256 and at+jwt", header)
	}
	var standard jwt.Claims
	var got map[string]any
	if err := parsed.Claims(key, &standard, &got); err != nil {
		t.Fatalf("go-jose cannot verify it: %v", err)
	}
	if err := standard.ValidateWithLeeway(jwt.Expected{
		Issuer: c.Issuer, Subject: c.Subject.String(), AnyAudience: jwt.Audience{c.Audience}, ID: c.ID.String(), Time: now,
	}, 0); err != nil {
		t.Errorf("go-jose cannot validate it: %v", err)
	}
	expected := map[string]any{
		"iss": "https://auth.example/t/acme", "sub": c.Subject.String(), "aud": "acme.example",
		"sid": c.Session.String(), "tid": acme.Tenant().String(), "amr": []any{"pop", "user", "mfa"}, "acr": "aal2",
		"auth_time": float64(now.Add(-time.Hour).Unix()), "jti": c.ID.String(),
		"iat": float64(now.Unix()), "exp": float64(now.Add(10 * time.Minute).Unix()),
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

// RFC 8176: what is said of a sign-in is what was proven, at each level.
func TestAuthenticationMethods(t *testing.T) {
	acme, _ := rings(t)
	for _, tt := range []struct {
		aal      uint8
		verified bool
		want     string
	}{
		{1, false, `"amr":["pop","user"],"acr":"aal1"`},
		{1, true, `"amr":["pop","user","mfa"],"acr":"aal1"`}, // two factors of a credential that counts for less
		{2, true, `"amr":["pop","user","mfa"],"acr":"aal2"`},
		{3, true, `"amr":["pop","hwk","user","mfa"],"acr":"aal3"`},
	} {
		c := claimsOf(acme)
		c.AAL, c.UserVerified = tt.aal, tt.verified
		if got := string(token.AppendClaims(nil, c)); !strings.Contains(got, tt.want) {
			t.Errorf("claims at AAL%d, verified %v = %s, want %s in it", tt.aal, tt.verified, got, tt.want)
		}
		got, err := token.VerifyAccess(acme, access(t, acme, c), token.Want{Issuer: c.Issuer, Audience: c.Audience, Now: now})
		if err != nil || got.AAL != tt.aal || got.UserVerified != tt.verified {
			t.Errorf("VerifyAccess = %+v, %v, want AAL%d, verified %v", got, err, tt.aal, tt.verified)
		}
	}
}

// oracleToken is claims signed by go-jose with the ring's key.
func oracleToken(t testing.TB, ring *keys.Ring, options *jose.SignerOptions, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: opaque{ring, published(t, ring)}}, options)
	if err != nil {
		t.Fatalf("go-jose signer: %v", err)
	}
	tok, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatalf("go-jose cannot sign: %v", err)
	}
	return tok
}

// wireOf is what a token of c says.
func wireOf(t testing.TB, c token.Claims) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(token.AppendClaims(nil, c), &m); err != nil {
		t.Fatalf("AppendClaims is not JSON: %v", err)
	}
	for name, v := range m {
		if n, ok := v.(float64); ok {
			m[name] = int64(n) // go-jose prints large floats with an exponent
		}
	}
	return m
}

// We take tokens that an independent implementation has made with the same key, and
// judge their claims, wherever they stand.
func TestWeVerifyOracles(t *testing.T) {
	acme, _ := rings(t)
	typed := (&jose.SignerOptions{}).WithType("at+jwt")
	c := claimsOf(acme)
	got, err := token.VerifyAccess(acme, oracleToken(t, acme, typed, wireOf(t, c)), want)
	if err != nil {
		t.Fatalf("VerifyAccess error = %v", err)
	}
	if diff := cmp.Diff(c, got); diff != "" {
		t.Errorf("VerifyAccess (-want +got):\n%s", diff)
	}
	for _, tt := range []struct {
		name  string
		claim string
		value any // nil removes it
		ok    bool
	}{
		{"a claim of a newer server", "cnf", map[string]any{"jkt": "x"}, true},
		{"already valid", "nbf", now.Unix(), true},
		{"not yet valid", "nbf", now.Unix() + 1, false},
		{"no expiry", "exp", nil, false},
		{"an expiry that is text", "exp", "4000000000", false},
		{"an expiry past all numbers", "exp", 1e300, false},
		{"an expiry between seconds", "exp", float64(now.Unix()) + 0.5, false},
		{"no session", "sid", nil, false},
		{"no tenant", "tid", nil, false},
		{"another tenant", "tid", uuid.New().String(), false},
		{"several audiences", "aud", []string{"acme.example", "evil.example"}, false},
		{"no audience", "aud", nil, false},
		{"no issuer", "iss", nil, false},
		{"no acr", "acr", nil, false},
		{"another acr", "acr", "urn:mace:incommon:iap:silver", false},
		{"a subject that is no id", "sub", "ada", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			claims := wireOf(t, c)
			if claims[tt.claim] = tt.value; tt.value == nil {
				delete(claims, tt.claim)
			}
			got, err := token.VerifyAccess(acme, oracleToken(t, acme, typed, claims), want)
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, token.ErrInvalid) {
				t.Errorf("VerifyAccess = %+v, %v, want ok = %t", got, err, tt.ok)
			}
		})
	}
}

// publicBytes is the public key as an attacker has it.
func publicBytes(t testing.TB, ring *keys.Ring) []byte {
	t.Helper()
	key, ok := published(t, ring).Key.(*ecdsa.PublicKey)
	if !ok {
		t.Fatal("the published key is not ECDSA")
	}
	b, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
