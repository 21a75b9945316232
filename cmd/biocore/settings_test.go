package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	biocore "github.com/biocore-id/biocore/sdk/go"
)

// encryptionKey is a key pair as a customer has it: the public half as a JWK.
func encryptionKey(t testing.TB) (*ecdsa.PrivateKey, json.RawMessage) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := (&jose.JSONWebKey{Key: &private.PublicKey, KeyID: "ours"}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return private, public
}

// decrypt is what a customer does with an encrypted access token.
func decrypt(t testing.TB, private *ecdsa.PrivateKey, token string) string {
	t.Helper()
	object, err := jose.ParseEncryptedCompact(token, []jose.KeyAlgorithm{jose.ECDH_ES_A256KW}, []jose.ContentEncryption{jose.A256GCM})
	if err != nil {
		t.Fatalf("%q is no JWE: %v", token, err)
	}
	inner, err := object.Decrypt(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(inner)
}

// is reports whether a member is there, and true.
func (a answer) is(path ...string) bool {
	b, ok := a.at(path...).(bool)
	return ok && b
}

// A tenant's own settings: read, merged, guarded, and heeded by the next sign-in.
func TestSettings(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	read := w.must(t, "GET", "/admin/v1/settings", c.secret, nil)
	if read.text("relyingParty", "rpId") == "" || read.is("tokens", "directTokens") || read.at("tokens", "audience") != nil ||
		read.at("tokens", "encryptionKey") != nil || read.at("tokens", "accessTokenSeconds") != 600.0 || read.text("updatedAt") == "" {
		t.Errorf("GET: %s", read)
	}
	patch := func(body map[string]any, header ...string) answer {
		return w.call(t, "PATCH", "/admin/v1/settings", c.secret, body, header...)
	}
	private, public := encryptionKey(t)
	changed := patch(map[string]any{"tokens": map[string]any{"audience": "https://api.example.com", "encryptionKey": public, "accessTokenSeconds": 60}},
		"If-Match", read.header.Get("ETag"))
	if changed.status != http.StatusOK || changed.text("tokens", "audience") != "https://api.example.com" ||
		changed.text("tokens", "encryptionKey", "kid") != "ours" || changed.text("relyingParty", "name") != read.text("relyingParty", "name") ||
		changed.at("tokens", "accessTokenSeconds") != 600.0 || changed.text("etag") == read.text("etag") {
		t.Fatalf("PATCH: %s", changed)
	}
	if a := patch(map[string]any{"tokens": map[string]any{"directTokens": true}}, "If-Match", read.header.Get("ETag")); a.reason() != "ETAG_MISMATCH" {
		t.Errorf("an old etag: %s", a)
	}
	w.signIn(t, c)
	inner := decrypt(t, private, c.access)
	verified := w.must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": inner})
	if !verified.is("active") || verified.text("claims", "aud") != "https://api.example.com" {
		t.Errorf("what is within the JWE: %s", verified)
	}
	if a := w.must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": c.access}); a.is("active") {
		t.Errorf("the JWE itself: %s", a)
	}
	// The SDK does so by itself, also when it asks us whether the session stands.
	key, err := biocore.NewDecryptionKey("ours", private)
	if err != nil {
		t.Fatal(err)
	}
	client, err := biocore.NewClient(biocore.ClientOptions{URL: w.url, APIKey: c.secret})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := biocore.NewVerifier(biocore.VerifierOptions{
		Issuer: w.cfg.PublicURL + "/t/acme", Audience: "https://api.example.com", KeysURL: w.url + "/t/acme/.well-known/jwks.json",
		DecryptionKeys: []biocore.DecryptionKey{key}, Sessions: client.Sessions, Require: biocore.Requirement{Live: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if claims, err := verifier.Verify(t.Context(), c.access); err != nil || claims.SessionID != c.session {
		t.Errorf("the SDK's verifier = %+v, %v", claims, err)
	}
	// A code's exchange and direct tokens come the same way.
	code := w.must(t, "POST", "/v1/authentications:finish", c.publishable, w.assert(t, c, c.publishable, map[string]any{}, authenticatortest.Deviation{}))
	exchanged := w.must(t, "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": code.text("code")})
	decrypt(t, private, exchanged.text("session", "accessToken"))
	direct := patch(map[string]any{"tokens": map[string]any{"directTokens": true}})
	if direct.status != http.StatusOK {
		t.Fatalf("direct tokens: %s", direct)
	}
	browser := w.must(t, "POST", "/v1/authentications:finish", c.publishable, w.assert(t, c, c.publishable, map[string]any{}, authenticatortest.Deviation{}))
	decrypt(t, private, browser.text("session", "accessToken"))

	cleared := patch(map[string]any{"tokens": map[string]any{"encryptionKey": map[string]any{}, "audience": ""}})
	if cleared.status != http.StatusOK || cleared.at("tokens", "encryptionKey") != nil || cleared.at("tokens", "audience") != nil || !cleared.is("tokens", "directTokens") {
		t.Errorf("taken back: %s", cleared)
	}
	w.signIn(t, c)
	if a := w.must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": c.access}); !a.is("active") {
		t.Errorf("a token after it: %s", a)
	}

	for name, tt := range map[string]struct {
		body    map[string]any
		reason  string
		problem string
	}{
		"a secret":     {map[string]any{"tokens": map[string]any{"encryptionKey": map[string]any{"kty": "oct", "k": "AAAA"}}}, "TOKEN_ENCRYPTION_KEY_INVALID", "private"},
		"no key":       {map[string]any{"tokens": map[string]any{"encryptionKey": map[string]any{"kty": "EC"}}}, "TOKEN_ENCRYPTION_KEY_INVALID", "curve"},
		"no audience":  {map[string]any{"tokens": map[string]any{"audience": "two words"}}, "TENANT_INVALID", ""},
		"an origin":    {map[string]any{"relyingParty": map[string]any{"origins": []string{"https://evil.example"}}}, "TENANT_INVALID", ""},
		"live RP ID":   {map[string]any{"relyingParty": map[string]any{"rpId": "bank.example", "origins": []string{"https://bank.example"}}}, "RP_ID_IN_USE", ""},
		"too many":     {map[string]any{"tokens": map[string]any{"audience": strings.Repeat("a", 513)}}, "REQUEST_INVALID", ""},
		"wrong number": {map[string]any{"tokens": map[string]any{"directTokens": "perhaps"}}, "REQUEST_MALFORMED", ""},
	} {
		a := patch(tt.body)
		if a.status != http.StatusBadRequest || a.reason() != tt.reason || (tt.problem != "" && !strings.Contains(a.raw, `"problem":"`+tt.problem+`"`)) {
			t.Errorf("%s: %s", name, a)
		}
	}
	if a := w.call(t, "GET", "/admin/v1/settings", c.secret, nil, "If-None-Match", cleared.header.Get("ETag")); a.status != http.StatusNotModified {
		t.Errorf("an etag that is current: %s", a)
	}
}

// Nothing names a tenant in these calls, so nothing can name another's; what one
// changes is its own.
func TestSettingsAreOnesOwn(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	conn := w.store.Superuser(t)
	before := fingerprint(t, conn, acme.id)
	was := w.must(t, "GET", "/admin/v1/settings", acme.secret, nil)
	for _, body := range []map[string]any{
		{"tokens": map[string]any{"audience": "globex"}, "tenantId": acme.id, "id": acme.id},
		{"tokens": map[string]any{"audience": "globex-too"}, "tenant": map[string]any{"id": acme.id}},
	} {
		w.must(t, "PATCH", "/admin/v1/settings?tenantId="+acme.id, globex.secret, body)
	}
	if now := w.must(t, "GET", "/admin/v1/settings", acme.secret, nil); now.raw != was.raw {
		t.Errorf("acme's settings were %s, and are %s", was, now)
	}
	if after := fingerprint(t, conn, acme.id); after != before {
		t.Errorf("acme's rows have changed:\n%s\n%s", before, after)
	}
}

func TestTenantSettingsCommand(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	s.must(t, "tenant", "create", "globex", "--mode", "live", "--rp-id", "example.com")
	_, public := encryptionKey(t)
	file := filepath.Join(t.TempDir(), "key.jwk")
	if err := os.WriteFile(file, public, 0o600); err != nil {
		t.Fatal(err)
	}
	changed := s.read(t, "tenant", "settings", "globex", "--audience", "urn:globex", "--direct-tokens", "--encryption-key", file)
	if changed.text("tokens", "audience") != "urn:globex" || !changed.is("tokens", "directTokens") || changed.text("tokens", "encryptionKey", "kid") != "ours" {
		t.Errorf("tenant settings --json = %s", changed.raw)
	}
	want := `RP ID             example.com
name              globex
origins           https://example.com
audience          urn:globex
browsers get      tokens
tokens encrypted  ECDH-ES+A256KW to key ours
access token      10m0s
idle session      168h0m0s
session           720h0m0s
`
	if got := s.must(t, "tenant", "settings", "globex"); got != want {
		t.Errorf("tenant settings =\n%s\nwant\n%s", got, want)
	}
	back := s.read(t, "tenant", "settings", "globex", "--audience=", "--direct-tokens=false", "--encryption-key", "none")
	if back.at("tokens", "audience") != nil || back.is("tokens", "directTokens") || back.at("tokens", "encryptionKey") != nil {
		t.Errorf("taken back: %s", back.raw)
	}
	if err := os.WriteFile(file, []byte(`{"kty":"oct"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.refused(t, 1, "TOKEN_ENCRYPTION_KEY_INVALID", "tenant", "settings", "globex", "--encryption-key", file)
	s.refused(t, 1, "TENANT_UNKNOWN", "tenant", "settings", "initech")
	s.refused(t, 1, "TENANT_UNKNOWN", "tenant", "settings", platformSlug)
}

// How long things last is shown and changed by a command, as a version of the policy.
func TestTenantLifetimesCommand(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	s.must(t, "tenant", "create", "globex", "--mode", "live", "--rp-id", "example.com")
	was := s.read(t, "tenant", "lifetimes", "globex")
	changed := s.read(t, "tenant", "lifetimes", "globex", "--access-token", "5m", "--step-up", "2m", "--keep-ceremonies", "180", "--reason", "contract", "--if-match", was.text("etag"))
	if changed.at("version") != 2.0 || changed.at("accessTokenSeconds") != 300.0 || changed.at("ceremonyRetentionDays") != 180.0 || changed.text("etag") == was.text("etag") {
		t.Errorf("tenant lifetimes --json = %s", changed.raw)
	}
	want := `policy          version 2
access token    5m0s
idle session    168h0m0s
session         720h0m0s
step-up         2m0s
ceremonies      180 days
ended sessions  as long as the tenant
evidence        365 days
audit log       as long as the tenant
`
	if got := s.must(t, "tenant", "lifetimes", "globex"); got != want {
		t.Errorf("tenant lifetimes =\n%s\nwant\n%s", got, want)
	}
	s.refused(t, 1, "ETAG_MISMATCH", "tenant", "lifetimes", "globex", "--access-token", "6m", "--if-match", was.text("etag"))
	s.refused(t, 1, "POLICY_INVALID", "tenant", "lifetimes", "globex", "--keep-sessions", "7")
	s.refused(t, 1, "TENANT_UNKNOWN", "tenant", "lifetimes", "initech", "--access-token", "6m")
	s.refused(t, 2, "", "tenant", "lifetimes", "globex", "--access-token", "1500ms")
}
