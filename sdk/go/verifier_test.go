package biocore_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	biocore "github.com/biocore-id/biocore/sdk/go"
)

var algorithms = []string{"ES256", "EdDSA", "RS256"}

// now is when the tests of single tokens are.
var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func at(now time.Time) func(*biocore.VerifierOptions) {
	return func(o *biocore.VerifierOptions) { o.Now = func() time.Time { return now } }
}

// Tokens that go-jose makes, in each algorithm, open and in each encryption: our own
// reading of signatures is held against another's writing.
func TestVerify(t *testing.T) {
	payload, err := json.Marshal(claimsAt(now))
	if err != nil {
		t.Fatal(err)
	}
	want := biocore.Claims{
		Issuer: issuer, Subject: "user-1", Audience: []string{audience}, SessionID: "session-1", TenantID: tenantID,
		AMR: []string{"pop", "user", "mfa"}, AAL: 2, AuthTime: now.Add(-time.Minute), ID: "token-1",
		IssuedAt: now, ExpiresAt: now.Add(10 * time.Minute),
	}
	ec, rsaKey := newDecryption(t)
	for _, alg := range algorithms {
		k := newKey(t, "k1", alg)
		signer, err := jose.NewSigner(
			jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: jose.JSONWebKey{Key: k.private, KeyID: "k1"}},
			(&jose.SignerOptions{}).WithType("at+jwt"))
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		v := newVerifier(t, newKeyServer(k), func(o *biocore.VerifierOptions) {
			at(now)(o)
			o.TenantID, o.DecryptionKeys = tenantID, []biocore.DecryptionKey{decryptionKey(t, "ec", ec), decryptionKey(t, "rsa", rsaKey)}
		})
		for name, tok := range map[string]string{
			"open":            tok,
			"RSA-OAEP-256":    encrypt(t, tok, jose.RSA_OAEP_256, "rsa", rsaKey.Public(), nil),
			"ECDH-ES":         encrypt(t, tok, jose.ECDH_ES, "ec", ec.Public(), nil),
			"ECDH-ES+A256KW":  encrypt(t, tok, jose.ECDH_ES_A256KW, "ec", ec.Public(), nil),
			"kid not written": encrypt(t, tok, jose.ECDH_ES_A256KW, "", ec.Public(), nil),
		} {
			t.Run(alg+", "+name, func(t *testing.T) {
				got := mustVerify(t, v, tok)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("claims (-want +got):\n%s", diff)
				}
				if !got.UserVerified() {
					t.Error("UserVerified = false")
				}
			})
		}
	}
}

// What a holder of the tenant's key says must be about us, and now.
func TestClaims(t *testing.T) {
	k := newKey(t, "k1", "ES256")
	server := newKeyServer(k)
	good := claimsAt(now)
	for _, tt := range []struct {
		name   string
		claims map[string]any
		change func(*biocore.VerifierOptions)
		want   error
	}{
		{name: "good", claims: good},
		{name: "aud is a list", claims: with(good, "aud", []string{"other.example", audience})},
		{name: "a claim of a newer server", claims: with(good, "cnf", map[string]string{"jkt": "x"})},
		{name: "names of claims inside of others", claims: with(with(good, "act", map[string]any{"sub": "user-2", "aud": []string{"aud", "}"}}), "note", `"sub":"user-2"`)},
		{name: "not of a verified user", claims: with(good, "amr", []string{"pop", "user"})},
		{name: "iss of another tenant", claims: with(good, "iss", "https://auth.example.com/t/globex"), want: biocore.ErrIssuer},
		{name: "iss of another installation", claims: with(good, "iss", "https://evil.example/t/acme"), want: biocore.ErrIssuer},
		{name: "iss with a slash", claims: with(good, "iss", issuer+"/"), want: biocore.ErrIssuer},
		{name: "no iss", claims: with(good, "iss", nil), want: biocore.ErrIssuer},
		{name: "aud of another", claims: with(good, "aud", "other.example"), want: biocore.ErrAudience},
		{name: "aud is a longer name", claims: with(good, "aud", "login."+audience), want: biocore.ErrAudience},
		{name: "aud is an empty list", claims: with(good, "aud", []string{}), want: biocore.ErrAudience},
		{name: "no aud", claims: with(good, "aud", nil), want: biocore.ErrAudience},
		{name: "aud is a number", claims: with(good, "aud", 1), want: biocore.ErrMalformed},
		{name: "tid as wanted", claims: good, change: func(o *biocore.VerifierOptions) { o.TenantID = tenantID }},
		{name: "tid of another", claims: with(good, "tid", "other"), change: func(o *biocore.VerifierOptions) { o.TenantID = tenantID }, want: biocore.ErrTenant},
		{name: "no tid", claims: with(good, "tid", nil), want: biocore.ErrMalformed},
		{name: "no sub", claims: with(good, "sub", nil), want: biocore.ErrMalformed},
		{name: "no sid", claims: with(good, "sid", ""), want: biocore.ErrMalformed},
		{name: "no jti", claims: with(good, "jti", nil), want: biocore.ErrMalformed},
		{name: "no acr", claims: with(good, "acr", nil), want: biocore.ErrMalformed},
		{name: "acr of no level", claims: with(good, "acr", "aal9"), want: biocore.ErrMalformed},
		{name: "acr without aal", claims: with(good, "acr", "3"), want: biocore.ErrMalformed},
		{name: "the last second", claims: with(good, "exp", now.Unix()+1)},
		{name: "the second of exp", claims: with(good, "exp", now.Unix()), want: biocore.ErrExpired},
		{name: "expired, within the leeway", claims: with(good, "exp", now.Unix()-29), change: leeway(30 * time.Second)},
		{name: "expired, at the end of the leeway", claims: with(good, "exp", now.Unix()-30), change: leeway(30 * time.Second), want: biocore.ErrExpired},
		{name: "no exp", claims: with(good, "exp", nil), want: biocore.ErrExpired},
		{name: "exp is null", claims: with(good, "exp", json.RawMessage("null")), want: biocore.ErrExpired},
		{name: "exp is a text", claims: with(good, "exp", "2100-01-01"), want: biocore.ErrMalformed},
		{name: "exp is beyond numbers", claims: with(good, "exp", json.RawMessage("1e400")), want: biocore.ErrMalformed},
		{name: "nbf is now", claims: with(good, "nbf", now.Unix())},
		{name: "nbf is to come", claims: with(good, "nbf", now.Unix()+1), want: biocore.ErrNotYet},
		{name: "nbf within the leeway", claims: with(good, "nbf", now.Unix()+30), change: leeway(30 * time.Second)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newVerifier(t, server, func(o *biocore.VerifierOptions) {
				at(now)(o)
				if tt.change != nil {
					tt.change(o)
				}
			})
			got, err := v.Verify(t.Context(), k.sign(t, tt.claims))
			if !errors.Is(err, tt.want) {
				t.Fatalf("Verify error = %v, want %v", err, tt.want)
			}
			if err != nil && (!errors.Is(err, biocore.ErrInvalidToken) || got.Subject != "") {
				t.Errorf("Verify = %+v, %v; want no claims, and ErrInvalidToken", got, err)
			}
		})
	}
}

func leeway(d time.Duration) func(*biocore.VerifierOptions) {
	return func(o *biocore.VerifierOptions) { o.Leeway = d }
}

// A mistake in the options is found at the start, and named.
func TestNewVerifier(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*biocore.VerifierOptions)
		want   string // "" is good
	}{
		{name: "as in the documentation", change: func(*biocore.VerifierOptions) {}},
		{name: "no issuer", change: func(o *biocore.VerifierOptions) { o.Issuer = "" }, want: "biocore: Issuer is required"},
		{name: "an issuer that ends with a slash", change: func(o *biocore.VerifierOptions) { o.Issuer += "/" }, want: `biocore: Issuer "https://auth.example.com/t/acme/" is no https://host/t/slug`},
		{name: "an issuer that is no URL", change: func(o *biocore.VerifierOptions) { o.Issuer = "acme" }, want: `biocore: Issuer "acme" is no https://host/t/slug`},
		{name: "no audience", change: func(o *biocore.VerifierOptions) { o.Audience = "" }, want: "biocore: Audience is required: without it every token of the tenant would do"},
		{name: "plain HTTP", change: func(o *biocore.VerifierOptions) { o.Issuer = "http://auth.example.com/t/acme" }, want: `biocore: Issuer "http://auth.example.com/t/acme" is not https; name KeysURL if its keys can be trusted all the same`},
		{name: "plain HTTP on loopback", change: func(o *biocore.VerifierOptions) { o.Issuer = "http://localhost:8080/t/acme" }},
		{name: "plain HTTP on purpose", change: func(o *biocore.VerifierOptions) { o.KeysURL = "http://biocore.internal/t/acme/.well-known/jwks.json" }},
		{name: "keys in a file", change: func(o *biocore.VerifierOptions) { o.KeysURL = "file:///keys" }, want: `biocore: KeysURL "file:///keys" is no http or https URL`},
		{name: "an hour of leeway", change: leeway(time.Hour), want: "biocore: Leeway is 1h0m0s, at most 1m0s"},
		{name: "a week of staleness", change: func(o *biocore.VerifierOptions) { o.StaleFor = 168 * time.Hour }, want: "biocore: StaleFor is 168h0m0s, at most 24h0m0s"},
		{name: "a level that is none", change: func(o *biocore.VerifierOptions) { o.Require.MinAAL = 4 }, want: "biocore: MinAAL is 4, and there are 1 to 3"},
		{name: "half a second", change: func(o *biocore.VerifierOptions) { o.Require.MaxAge = time.Second / 2 }, want: "biocore: MaxAge is 500ms, and auth_time has whole seconds"},
		{name: "live, and nobody to ask", change: func(o *biocore.VerifierOptions) { o.Require.Live = true }, want: "biocore: Live needs VerifierOptions.Sessions"},
		{name: "an empty decryption key", change: func(o *biocore.VerifierOptions) { o.DecryptionKeys = make([]biocore.DecryptionKey, 1) }, want: "biocore: DecryptionKeys[0] is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := biocore.VerifierOptions{Issuer: issuer, Audience: audience}
			tt.change(&o)
			got := ""
			if _, err := biocore.NewVerifier(o); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("NewVerifier error = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDecryptionKeys(t *testing.T) {
	ec, rsaKey := newDecryption(t)
	short, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // to be refused
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		key  crypto.PrivateKey
		good bool
	}{
		{"EC", ec, true},
		{"RSA", rsaKey, true},
		{"a public key", ec.Public(), false},
		{"a short key", short, false},
		{"another curve", p224, false},
		{"a secret", []byte("0123456789abcdef"), false},
		{"nothing", nil, false},
	} {
		if _, err := biocore.NewDecryptionKey("k", tt.key); (err == nil) != tt.good {
			t.Errorf("%s: NewDecryptionKey error = %v, want good: %v", tt.name, err, tt.good)
		}
	}

	jwk, err := json.Marshal(jose.JSONWebKey{Key: ec, KeyID: "k1"})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := biocore.ParseDecryptionKey(jwk)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, parsed); got != "decryption key k1" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
	if _, err := biocore.ParseDecryptionKey([]byte(`{"kty":"EC"}`)); err == nil {
		t.Error("ParseDecryptionKey took half a key")
	}
}

func newDecryption(t testing.TB) (*ecdsa.PrivateKey, *rsa.PrivateKey) {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return ec, rsaKey
}

func decryptionKey(t testing.TB, kid string, key crypto.PrivateKey) biocore.DecryptionKey {
	t.Helper()
	k, err := biocore.NewDecryptionKey(kid, key)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// encrypt nests a token, as RFC 7519 §5.2 has it unless change says otherwise.
func encrypt(t testing.TB, inner string, alg jose.KeyAlgorithm, kid string, key crypto.PublicKey, change func(*jose.EncrypterOptions)) string {
	t.Helper()
	o := (&jose.EncrypterOptions{}).WithContentType("JWT")
	if change != nil {
		change(o)
	}
	encrypter, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: alg, Key: key, KeyID: kid}, o)
	if err != nil {
		t.Fatal(err)
	}
	jwe, err := encrypter.Encrypt([]byte(inner))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := jwe.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
