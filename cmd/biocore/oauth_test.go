package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/db/dbtest"
)

// form posts a token to one of a tenant's OAuth endpoints.
func (w *world) form(t testing.TB, slug, endpoint, key, token string, headers ...string) answer {
	t.Helper()
	return w.call(t, "POST", "/t/"+slug+"/oauth/"+endpoint, key, url.Values{"token": {token}}.Encode(),
		append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

func basic(client, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(client+":"+secret))
}

func TestOAuthIntrospection(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	w.signIn(t, c)
	claims := w.must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": c.access})

	access := w.form(t, c.slug, "introspect", c.secret, c.access)
	if access.status != http.StatusOK || !access.is("active") || access.text("token_type") != "Bearer" ||
		access.header.Get("Cache-Control") != "no-store" || access.header.Get("Content-Type") != "application/json" {
		t.Fatalf("access token: %s, %v", access, access.header)
	}
	for _, claim := range []string{"iss", "sub", "aud", "sid", "tid", "amr", "acr", "auth_time", "jti", "iat", "exp"} {
		if got, want := fmt.Sprint(access.at(claim)), fmt.Sprint(claims.at("claims", claim)); got != want || want == "<nil>" {
			t.Errorf("%s = %s, want %s, as verify tells it", claim, got, want)
		}
	}
	if len(access.body) != 13 { // no scope, client_id or username: nobody has issued one
		t.Errorf("members: %s", access)
	}
	refresh := w.form(t, c.slug, "introspect", c.secret, c.refresh)
	if !refresh.is("active") || refresh.text("token_type") != "refresh_token" || refresh.text("aud") != refresh.text("iss") || refresh.at("jti") != nil {
		t.Errorf("refresh token: %s", refresh)
	}
	w.must(t, "POST", "/v1/sessions:refresh", c.secret, map[string]any{"refreshToken": c.refresh}) // nothing was used up

	inactive := `{"active":false}`
	other := w.tenant(t, "globex")
	w.enroll(t, other, "bob")
	w.signIn(t, other)
	for name, token := range map[string]string{
		"garbage": "x", "a refresh token that was used": c.refresh, "cut": c.access[:len(c.access)-1],
		"another tenant's": other.access, "another tenant's refresh token": other.refresh, "oversized": strings.Repeat("A", 60_000),
	} {
		if a := w.form(t, c.slug, "introspect", c.secret, token); a.status != http.StatusOK || a.raw != inactive {
			t.Errorf("%s: %s", name, a)
		}
	}
}

func TestOAuthRevocation(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	other := w.tenant(t, "globex")
	w.enroll(t, other, "bob")
	for name, token := range map[string]func() string{
		"access": func() string { return c.access }, "refresh": func() string { return c.refresh },
	} {
		w.signIn(t, c)
		before := w.auditCount(t, c.id, "session.revoke")
		for _, nobodys := range []string{"x", "rt_x", c.access[:len(c.access)-3]} {
			if a := w.form(t, c.slug, "revoke", c.secret, nobodys); a.status != http.StatusOK || a.raw != "" {
				t.Errorf("%q: %s", nobodys, a)
			}
		}
		for _, encrypted := range []string{"a.b.c.d.e", "....", c.access + ".."} {
			if a := w.form(t, c.slug, "revoke", c.secret, encrypted); a.status != http.StatusBadRequest ||
				a.text("error") != "unsupported_token_type" || oauthReason(a) != "TOKEN_ENCRYPTED" {
				t.Errorf("a JWE: %s", a)
			}
			if a := w.form(t, c.slug, "introspect", c.secret, encrypted); a.status != http.StatusOK || a.raw != `{"active":false}` {
				t.Errorf("a JWE: %s", a)
			}
		}
		if a := w.form(t, other.slug, "revoke", other.secret, token()); a.status != http.StatusOK {
			t.Errorf("by another tenant: %s", a)
		}
		if a := w.form(t, c.slug, "introspect", c.secret, c.access); !a.is("active") {
			t.Fatalf("what others sent has ended the session: %s", a)
		}
		for range 2 { // the second time changes nothing
			if a := w.form(t, c.slug, "revoke", c.secret, token()); a.status != http.StatusOK || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %s", name, a)
			}
		}
		for what, text := range map[string]string{"access": c.access, "refresh": c.refresh} {
			if a := w.form(t, c.slug, "introspect", c.secret, text); a.is("active") {
				t.Errorf("after revocation by %s token the %s token: %s", name, what, a)
			}
		}
		if n := w.auditCount(t, c.id, "session.revoke") - before; n != 1 {
			t.Errorf("%s: %d audit entries", name, n)
		}
	}
}

// Who may ask: the tenant's own server keys with the scope of sessions, in either of
// two ways. A key of another tenant is a wrong key, and whether a tenant exists shows
// in no answer.
func TestOAuthAuthentication(t *testing.T) {
	w := newWorld(t)
	c, other := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.enroll(t, c, "alice")
	w.signIn(t, c)
	users := w.must(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "SECRET", "name": "users", "scopes": []string{"users"}}).text("key")
	for _, endpoint := range []string{"introspect", "revoke"} {
		for _, tt := range []struct {
			name, slug, key, basic string
			status                 int
			code, reason           string
		}{
			{"bearer", c.slug, c.secret, "", 200, "", ""},
			{"basic", c.slug, "", basic(c.slug, c.secret), 200, "", ""},
			{"basic, form-encoded", c.slug, "", basic(c.slug, strings.ReplaceAll(c.secret, "_", "%5F")), 200, "", ""},
			{"nothing", c.slug, "", "", 401, "invalid_client", "CREDENTIALS_MISSING"},
			{"nonsense", c.slug, "", "Digest x", 401, "invalid_client", "CREDENTIALS_MISSING"},
			{"basic by another client", c.slug, "", basic(other.slug, c.secret), 401, "invalid_client", "API_KEY_INVALID"},
			{"basic with a broken escape", c.slug, "", basic(c.slug, c.secret+"%"), 401, "invalid_client", "API_KEY_INVALID"},
			{"a wrong key", c.slug, c.secret[:len(c.secret)-8] + "AAAAAAAA", "", 401, "invalid_client", "API_KEY_INVALID"},
			{"another tenant's key", c.slug, other.secret, "", 401, "invalid_client", "API_KEY_INVALID"},
			{"a key at a tenant that is not there", "initech", c.secret, "", 401, "invalid_client", "API_KEY_INVALID"},
			{"a key at the platform", "platform", c.secret, "", 401, "invalid_client", "API_KEY_INVALID"},
			{"another tenant's key as basic", c.slug, "", basic(c.slug, other.secret), 401, "invalid_client", "API_KEY_INVALID"},
			{"a publishable key", c.slug, c.publishable, "", 403, "unauthorized_client", "API_KEY_KIND_NOT_ALLOWED"},
			{"a platform key", c.slug, w.platformKey, "", 403, "unauthorized_client", "API_KEY_KIND_NOT_ALLOWED"},
			{"a key without the scope", c.slug, users, "", 403, "insufficient_scope", "SCOPE_MISSING"},
		} {
			headers := []string{}
			if tt.basic != "" {
				headers = []string{"Authorization", tt.basic}
			}
			a := w.form(t, tt.slug, endpoint, tt.key, "x", headers...)
			if a.status != tt.status || a.text("error") != tt.code || !strings.Contains(a.text("error_description"), tt.reason) {
				t.Errorf("%s, %s: %s", endpoint, tt.name, a)
			}
			if challenge := a.header.Get("WWW-Authenticate"); (a.status == 401) != strings.Contains(challenge, "Basic") {
				t.Errorf("%s, %s: WWW-Authenticate: %s", endpoint, tt.name, challenge)
			}
			if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s, %s: %v", endpoint, tt.name, a.header)
			}
		}
	}
	foreign := w.form(t, c.slug, "introspect", other.secret, c.access)
	nobodys := w.form(t, "initech", "introspect", other.secret, c.access)
	wrong := w.form(t, c.slug, "introspect", c.secret[:len(c.secret)-8]+"AAAAAAAA", c.access)
	if foreign.raw != nobodys.raw || foreign.raw != wrong.raw || foreign.status != wrong.status {
		t.Errorf("told apart: %s, %s, %s", foreign, nobodys, wrong)
	}
	w.must(t, "POST", "/admin/v1/tenants/"+c.id+":suspend", w.platformKey, map[string]any{})
	if a := w.form(t, c.slug, "introspect", c.secret, c.access); a.status != http.StatusForbidden || !strings.Contains(a.raw, "TENANT_SUSPENDED") {
		t.Errorf("of a suspended tenant: %s", a)
	}
}

// What is no form with one token.
func TestOAuthBadInput(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	const urlencoded = "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		name, method, path, media, body string
		status                          int
	}{
		{"JSON", "POST", "introspect", "application/json", `{"token":"x"}`, 415},
		{"no type", "POST", "introspect", "", "token=x", 415},
		{"multipart", "POST", "introspect", "multipart/form-data; boundary=x", "token=x", 415},
		{"a charset", "POST", "introspect", urlencoded + "; charset=UTF-8", "token=x", 200},
		{"no token", "POST", "introspect", urlencoded, "token_type_hint=access_token", 400},
		{"an empty token", "POST", "revoke", urlencoded, "token=", 400},
		{"two tokens", "POST", "introspect", urlencoded, "token=x&token=y", 400},
		{"two hints", "POST", "introspect", urlencoded, "token=x&token_type_hint=a&token_type_hint=b", 400},
		{"a hint", "POST", "introspect", urlencoded, "token=x&token_type_hint=refresh_token", 200},
		{"a hint of ours nobody knows", "POST", "revoke", urlencoded, "token=x&token_type_hint=device_code", 200},
		{"a broken escape", "POST", "introspect", urlencoded, "token=%zz", 400},
		{"a token in the URL", "POST", "introspect?token=x", urlencoded, "", 400},
		{"64 KiB", "POST", "introspect", urlencoded, "token=" + strings.Repeat("A", 64<<10-6), 200},
		{"a byte more", "POST", "introspect", urlencoded, "token=" + strings.Repeat("A", 64<<10-5), 413},
		{"GET", "GET", "introspect?token=x", "", "", 405},
		{"nothing there", "POST", "token", urlencoded, "token=x", 404},
	} {
		a := w.call(t, tt.method, "/t/acme/oauth/"+tt.path, c.secret, tt.body, "Content-Type", tt.media)
		if a.status != tt.status {
			t.Errorf("%s: %s, want %d", tt.name, a, tt.status)
		}
		if tt.status == 405 && a.header.Get("Allow") != "POST" {
			t.Errorf("Allow: %s", a.header.Get("Allow"))
		}
	}
}

// What anybody may read: honest, cached, open to every origin, and without a trace of
// the name that the request gave us.
func TestDiscovery(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	issuer := w.cfg.PublicURL + "/t/acme"
	get := func(path string) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "evil.example"
		req.Header.Set("Origin", "https://anybody.example")
		req.Header.Set("X-Forwarded-Host", "evil.example")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		a := answer{status: res.StatusCode, header: res.Header}
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		a.raw = string(raw)
		_ = json.Unmarshal(raw, &a.body) // what is no JSON stays in raw
		return a
	}
	documents := []string{"/t/acme/.well-known/biocore-configuration", "/t/acme/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/t/acme"}
	for _, path := range documents {
		a := get(path)
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "public, max-age=300" ||
			a.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %s, %v", path, a, a.header)
		}
		for name, want := range map[string]string{
			"issuer": issuer, "jwks_uri": issuer + "/.well-known/jwks.json", "introspection_endpoint": issuer + "/oauth/introspect",
			"revocation_endpoint": issuer + "/oauth/revoke", "service_documentation": w.cfg.PublicURL + "/docs/api",
			"response_types_supported": "<nil>", "grant_types_supported": "<nil>", "introspection_endpoint_auth_methods_supported": "[client_secret_basic Bearer]",
			"revocation_endpoint_auth_methods_supported": "[client_secret_basic]", "authorization_endpoint": "<nil>", "token_endpoint": "<nil>",
		} {
			if got := fmt.Sprint(a.at(name)); got != want {
				t.Errorf("%s: %s = %s, want %s", path, name, got, want)
			}
		}
		if strings.Contains(a.raw, "evil") || strings.Contains(a.raw, origin) || strings.Contains(a.raw, c.id) {
			t.Errorf("%s tells too much: %s", path, a)
		}
		for name, value := range a.body {
			if list, isList := value.([]any); isList && len(list) == 0 {
				t.Errorf("%s: %s is empty (RFC 8414 §3.2)", path, name)
			}
		}
		if path != documents[0] && len(a.body) != 7 {
			t.Errorf("%s: %d members: %s", path, len(a.body), a)
		}
		absent := get(strings.Replace(path, "acme", "initech", 1))
		jwks := get("/t/initech/.well-known/jwks.json")
		if absent.status != http.StatusNotFound || absent.raw != jwks.raw {
			t.Errorf("%s of nobody: %s, and its keys: %s", path, absent, jwks)
		}
		if a := get(strings.Replace(path, "acme", "Acme%2f..", 1)); a.status != http.StatusNotFound {
			t.Errorf("%s of a hostile slug: %s", path, a)
		}
	}
	a := get(documents[0])
	if a.text("rpId") == "" || a.text("accessToken", "type") != "at+jwt" || a.is("accessToken", "encrypted") || a.text("api", "rest") != w.cfg.PublicURL ||
		fmt.Sprint(a.at("accessToken", "signingAlgorithms")) != "[ES256 EdDSA RS256]" || fmt.Sprint(a.at("accessToken", "encryptionAlgorithms")) != "[ECDH-ES+A256KW RSA-OAEP-256]" {
		t.Errorf("biocore-configuration: %s", a)
	}
	_, public := encryptionKey(t)
	w.must(t, "PATCH", "/admin/v1/settings", c.secret, map[string]any{"tokens": map[string]any{"encryptionKey": public}})
	if a := get(documents[0]); !a.is("accessToken", "encrypted") {
		t.Errorf("biocore-configuration after a key was registered: %s", a)
	}
}

// What ends a session, or a tenant, is heeded within a second by another server: when
// it verifies, introspects either token, and trades a code that was made before.
func TestTheEndOfASessionIsSeenByEveryServer(t *testing.T) {
	both := newWorlds(t, dbtest.Fresh(t))
	here, there := both[0], both[1]
	for _, tt := range []struct {
		name     string
		end      func(c *customer) (method, path, key string)
		exchange string
		asks     string // of verify and introspection
	}{
		{"the session is revoked", func(c *customer) (string, string, string) {
			return "POST", "/v1/users/" + c.user + "/sessions:revoke", c.secret
		}, "SESSION_REVOKED", "inactive"},
		{"the user is blocked", func(c *customer) (string, string, string) {
			return "POST", "/v1/users/" + c.user + ":block", c.secret
		}, "SESSION_REVOKED", "inactive"},
		{"the user is erased", func(c *customer) (string, string, string) {
			return "DELETE", "/v1/users/" + c.user, c.secret
		}, "SESSION_REVOKED", "inactive"},
		{"the credential is revoked", func(c *customer) (string, string, string) {
			return "POST", "/v1/credentials/" + c.credential + ":revoke?allowLast=true", c.secret
		}, "SESSION_REVOKED", "inactive"},
		{"the tenant is suspended", func(c *customer) (string, string, string) {
			return "POST", "/admin/v1/tenants/" + c.id + ":suspend", here.platformKey
		}, "TENANT_SUSPENDED", "TENANT_SUSPENDED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := here.tenant(t, fmt.Sprintf("ended-%d", tenants.Add(1)))
			here.enroll(t, c, "alice")
			here.signIn(t, c)
			code := here.must(t, "POST", "/v1/authentications:finish", c.publishable,
				here.assert(t, c, c.publishable, map[string]any{}, authenticatortest.Deviation{})).text("code")
			asks := map[string]func() string{
				"verify": func() string {
					a := there.call(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": c.access})
					return state(a, a.reason())
				},
				"introspect the access token": func() string {
					a := there.form(t, c.slug, "introspect", c.secret, c.access)
					return state(a, oauthReason(a))
				},
				"introspect the refresh token": func() string {
					a := there.form(t, c.slug, "introspect", c.secret, c.refresh)
					return state(a, oauthReason(a))
				},
			}
			for what, ask := range asks {
				if got := ask(); got != "active" { // it is in the other's caches now
					t.Fatalf("%s before: %s", what, got)
				}
			}
			method, path, key := tt.end(c)
			var body any
			if method == "POST" {
				body = map[string]any{}
				if strings.Contains(path, "allowLast") {
					path, body = strings.TrimSuffix(path, "?allowLast=true"), map[string]any{"allowLast": true}
				}
			}
			here.must(t, method, path, key, body)
			for what, ask := range asks {
				dbtest.Seen(t, what+" at the other server", unless(tt.asks, ask))
			}
			if a := there.call(t, "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": code}); a.reason() != tt.exchange {
				t.Errorf("exchange: %s, want %s", a, tt.exchange)
			}
		})
	}
}

// state sums up what was said of a token.
func state(a answer, reason string) string {
	switch {
	case reason != "":
		return reason
	case a.is("active"):
		return "active"
	}
	return "inactive"
}

// oauthReason is the reason that an OAuth error has in brackets.
func oauthReason(a answer) string {
	words := strings.FieldsFunc(a.text("error_description"), func(r rune) bool { return r == '(' || r == ')' })
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}
