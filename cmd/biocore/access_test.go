package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/apikey"
)

// Every method with every kind of caller. What is let through (and then perhaps
// refused for what it asks) stands in testdata/access.golden, which is read and
// reviewed as text: a method that becomes open to more callers shows in its diff.
func TestWhoMayCallWhat(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	none := w.must(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "SECRET", "name": "none", "scopes": []string{apikey.ScopeSessions}}).text("key")
	users := w.must(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "SECRET", "name": "users", "scopes": []string{"users"}}).text("key")
	callers := []struct{ name, key string }{
		{"nobody", ""}, {"garbage", "bk_live_garbage"}, {"publishable", c.publishable},
		{"sessions only", none}, {"users only", users}, {"everything", c.secret}, {"platform", w.platformKey},
	}
	var got strings.Builder
	for _, r := range w.rest.Routes() {
		fmt.Fprintf(&got, "%-6s %s\n", r.Method, r.Path)
		path := pathVariable.ReplaceAllString(r.Path, "00000000-0000-7000-8000-00000000000f")
		for _, caller := range callers {
			a := w.call(t, r.Method, path, caller.key, bodyOf(r.Method))
			verdict := "let through"
			switch reason := a.reason(); reason {
			case "CREDENTIALS_MISSING", "API_KEY_INVALID", "API_KEY_KIND_NOT_ALLOWED", "SCOPE_MISSING":
				verdict = reason
				if want := map[bool]int{true: http.StatusUnauthorized, false: http.StatusForbidden}[reason[0] == 'C' || reason == "API_KEY_INVALID"]; a.status != want {
					t.Errorf("%s %s by %s: %s", r.Method, r.Path, caller.name, a)
				}
			}
			fmt.Fprintf(&got, "    %-14s %s\n", caller.name, verdict)
		}
	}
	golden(t, "access.golden", got.String())
}

func bodyOf(method string) any {
	if method == http.MethodGet || method == http.MethodDelete {
		return nil
	}
	return map[string]any{}
}

// golden compares with testdata/name, or rewrites it under -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run go test -update and review the diff:\n%s", path, got)
	}
}

// A publishable key works from the tenant's pages alone, and its scope cannot be widened.
func TestPublishableKeyNeedsTheTenantsOrigin(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	for given, want := range map[string]int{
		origin: http.StatusOK, "": http.StatusForbidden, "null": http.StatusForbidden, origin + ".evil.example": http.StatusForbidden,
		"http://login.example.com": http.StatusForbidden, origin + ":8443": http.StatusForbidden,
	} {
		a := w.call(t, "POST", "/v1/authentications:begin", c.publishable, map[string]any{}, "Origin", given)
		if a.status != want || (want == http.StatusForbidden && a.reason() != "ORIGIN_NOT_ALLOWED") {
			t.Errorf("origin %q: %s", given, a)
		}
		if a.header.Get("Access-Control-Allow-Origin") != "*" && given != "" {
			t.Errorf("origin %q: the page cannot read the answer", given)
		}
	}
	if a := w.call(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "PUBLISHABLE", "name": "x", "scopes": []string{"*"}}); a.reason() != "SCOPE_UNKNOWN" {
		t.Errorf("a publishable key with scopes: %s", a)
	}
}

// A key grants at most what it has (SECURITY: escalation of one's own role).
func TestKeyGrantsNoMoreThanItHas(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	admin := w.must(t, "POST", "/admin/v1/apiKeys", c.secret,
		map[string]any{"kind": "SECRET", "name": "admin", "scopes": []string{apikey.ScopeAPIKeysRead, apikey.ScopeAPIKeysWrite}}).text("key")
	for scopes, reason := range map[string]string{
		"*": "SCOPE_EXCEEDS_OWN", "admin:*": "SCOPE_EXCEEDS_OWN", "users:read": "SCOPE_EXCEEDS_OWN",
		"admin:tenants:read": "SCOPE_UNKNOWN", "nonsense": "SCOPE_UNKNOWN", apikey.ScopeAPIKeysRead: "",
	} {
		a := w.call(t, "POST", "/admin/v1/apiKeys", admin, map[string]any{"kind": "SECRET", "name": "n", "scopes": []string{scopes}})
		if a.reason() != reason {
			t.Errorf("granting %s: %s, want reason %q", scopes, a, reason)
		}
	}
	for name, of := range map[string]string{"rotates": ":rotate", "unlocks": ":unlock"} {
		mighty := w.must(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "SECRET", "name": "mighty", "scopes": []string{"*"}}).text("id")
		if a := w.call(t, "POST", "/admin/v1/apiKeys/"+mighty+of, admin, map[string]any{}); a.reason() != "SCOPE_EXCEEDS_OWN" {
			t.Errorf("a key %s one that may more: %s", name, a)
		}
	}
	brief := w.must(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{
		"kind": "SECRET", "name": "brief", "scopes": []string{apikey.ScopeAPIKeysWrite},
		"expiresAt": time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "allowedCidrs": []string{"127.0.0.0/8"},
	})
	made := w.must(t, "POST", "/admin/v1/apiKeys", brief.text("key"), map[string]any{"kind": "SECRET", "name": "n", "scopes": []string{apikey.ScopeAPIKeysWrite}})
	if made.text("expiresAt") != brief.text("expiresAt") || fmt.Sprint(made.at("allowedCidrs")) != "[127.0.0.0/8]" {
		t.Errorf("a key with bounds made %s", made)
	}
	if a := w.call(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "PLATFORM", "name": "n"}); a.reason() != "API_KEY_KIND_INVALID" {
		t.Errorf("a tenant makes a platform key: %s", a)
	}
}
