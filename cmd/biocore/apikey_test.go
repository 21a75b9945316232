package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/apikey"
)

// The life of a key, at the command line and at a server that runs beside it.
func TestAPIKeyCommands(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	s.must(t, "tenant", "create", "acme", "--mode", "test", "--rp-id", "localhost", "--origin", "http://localhost:8080")
	s.must(t, "tenant", "create", "globex", "--mode", "test", "--rp-id", "localhost", "--origin", "http://localhost:8080")

	made := s.read(t, "apikey", "create", "--tenant", "acme", "--name", "ci", "--scope", "users:read", "--scope", "sessions",
		"--allow-cidr", "127.0.0.0/8", "--allow-cidr", "::1/128", "--expires-in", "720h")
	id, key := made.text("id"), made.text("key")
	if made.text("kind") != "SECRET" || made.text("name") != "ci" || len(made.items("scopes")) != 2 ||
		len(made.items("allowedCidrs")) != 2 || made.text("expiresAt") == "" || strings.Contains(made.text("prefix"), key) {
		t.Errorf("apikey create --json = %s", made.raw)
	}
	if a := w.call(t, "GET", "/v1/users", key, nil); a.status != http.StatusOK {
		t.Errorf("the key at the server: %s", a)
	}
	if a := w.call(t, "POST", "/v1/users", key, map[string]any{"externalId": "x", "name": "x"}); a.reason() != apikey.ErrScopeMissing.Reason {
		t.Errorf("beyond the key's scopes: %s", a)
	}

	listed := s.read(t, "apikey", "list", "--tenant", "acme")
	if strings.Contains(listed.raw, key) || strings.Contains(listed.raw, `"key"`) {
		t.Error("a list shows a key")
	}
	if all := listed.items("apiKeys"); len(all) != 3 || all[0].text("id") != id { // the newest first, before the two first ones
		t.Errorf("apikey list --json = %s", listed.raw)
	}

	s.refused(t, 1, apikey.ErrNotFound.Reason, "apikey", "revoke", id, "--tenant", "globex")
	s.refused(t, 1, apikey.ErrNotFound.Reason, "apikey", "revoke", id, "--tenant", platformSlug)
	revoked := s.read(t, "apikey", "revoke", "--tenant", "acme", id, "--reason", "leaked")
	if revoked.text("id") != id || revoked.text("revokedAt") == "" {
		t.Errorf("apikey revoke --json = %s", revoked.raw)
	}
	if a := w.eventually(t, http.StatusUnauthorized, key); a.reason() != apikey.ErrRevoked.Reason {
		t.Errorf("a second after the revocation the server answers %s", a)
	}
	if again := s.read(t, "apikey", "revoke", "--tenant", "acme", id); again.text("revokedAt") != revoked.text("revokedAt") {
		t.Errorf("revoked again at another time: %s", again.raw)
	}

	s.refused(t, 1, "TENANT_UNKNOWN", "apikey", "list", "--tenant", "initech")
	s.refused(t, 1, apikey.ErrScopeUnknown.Reason, "apikey", "create", "--tenant", "acme", "--name", "n", "--scope", "admin:tenants:read")
	s.refused(t, 1, apikey.ErrScopeUnknown.Reason, "apikey", "create", "--tenant", "acme", "--name", "n", "--kind", "publishable", "--scope", "*")
	s.refused(t, 1, apikey.ErrKindNotAllowed.Reason, "apikey", "create", "--tenant", platformSlug, "--name", "n", "--kind", "secret")
}

// A key is rotated with an overlap, locked and unlocked at the command line, and the server
// beside it goes by that.
func TestAPIKeyRotationCommands(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	s.must(t, "tenant", "create", "acme", "--mode", "test", "--rp-id", "localhost", "--origin", "http://localhost:8080")
	made := s.read(t, "apikey", "create", "--tenant", "acme", "--name", "ci", "--scope", "users:read")
	rotated := s.read(t, "apikey", "rotate", "--tenant", "acme", "--overlap", "2h", "--reason", "yearly", made.text("id"))
	next, id := rotated.text("apiKey", "key"), rotated.text("apiKey", "id")
	if rotated.text("replaced", "replacedBy") != id || rotated.text("replaced", "state") != "RETIRING" || rotated.text("apiKey", "name") != "ci" {
		t.Errorf("apikey rotate --json = %s", rotated.raw)
	}
	for name, key := range map[string]string{"old": made.text("key"), "new": next} {
		if a := w.call(t, "GET", "/v1/users", key, nil); a.status != http.StatusOK {
			t.Errorf("the %s key at the server: %s", name, a)
		}
	}
	s.refused(t, 1, apikey.ErrRotated.Reason, "apikey", "rotate", "--tenant", "acme", made.text("id"))
	s.refused(t, 1, apikey.ErrNotFound.Reason, "apikey", "rotate", "--tenant", platformSlug, id)

	s.must(t, "apikey", "lock", "--tenant", "acme", "--reason", "seen in a log", id)
	if a := w.eventually(t, http.StatusUnauthorized, next); a.reason() != apikey.ErrLocked.Reason {
		t.Errorf("a second after it was locked the server answers %s", a)
	}
	if locked := s.read(t, "apikey", "list", "--tenant", "acme", "--filter", "state = LOCKED", "--order", "name").items("apiKeys"); len(locked) != 1 || locked[0].text("id") != id {
		t.Errorf("locked keys: %v", locked)
	}
	if out := s.must(t, "apikey", "unlock", "--tenant", "acme", id); out != "API key ci works again\n" {
		t.Errorf("apikey unlock = %q", out)
	}
	if a := w.eventually(t, http.StatusOK, next); a.status != http.StatusOK {
		t.Errorf("a second after it was unlocked the server answers %s", a)
	}
}

// Platform keys are the platform's: made without --tenant, on a database that has no
// keys for it yet.
func TestPlatformKeyCommands(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	s := newShell(t, cfg)
	made := s.read(t, "apikey", "create", "--kind", "platform", "--name", "ops")
	if made.text("kind") != "PLATFORM" || !strings.HasPrefix(made.text("key"), "pf_live_") || !strings.Contains(made.raw, `"admin:*"`) {
		t.Errorf("apikey create --kind platform --json = %s", made.raw)
	}
	w := startWorld(t, store, cfg)
	if a := w.call(t, "GET", "/admin/v1/tenants", made.text("key"), nil); a.status != http.StatusOK {
		t.Errorf("the key at the server: %s", a)
	}
	if all := s.read(t, "apikey", "list", "--tenant", platformSlug).items("apiKeys"); len(all) != 2 { // and the world's own
		t.Errorf("the platform has %d keys, want 2", len(all))
	}
	s.must(t, "apikey", "revoke", "--tenant", platformSlug, made.text("id"))
	if a := w.call(t, "GET", "/admin/v1/tenants", made.text("key"), nil); a.status == http.StatusOK {
		a = w.eventually(t, http.StatusUnauthorized, made.text("key"))
		if a.reason() != apikey.ErrRevoked.Reason {
			t.Errorf("a second after the revocation: %s", a)
		}
	}
}

// What people read: the key once, and what a list says of keys in each state.
func TestAPIKeysForPeople(t *testing.T) {
	store := dbtest.Fresh(t)
	s := newShell(t, testConfig(t, store, dbtest.Redis(t)))
	s.must(t, "tenant", "create", "acme", "--mode", "test", "--rp-id", "localhost", "--origin", "http://localhost:8080")
	hide := func(text string) string {
		text = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).ReplaceAllString(text, "ID")
		text = regexp.MustCompile(`bk_test_[0-9A-Za-z_]+`).ReplaceAllString(text, "bk_test_KEY")
		return regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ`).ReplaceAllString(text, "TIME")
	}
	got := hide(s.must(t, "apikey", "create", "--tenant", "acme", "--name", "ci", "--expires-in", "1h", "--allow-cidr", "192.0.2.7/24"))
	want := `API key ci is made

  id            ID
  kind          SECRET
  scopes        *
  allowed from  192.0.2.0/24
  expires       TIME

The key is shown this once, and stored nowhere:

  bk_test_KEY
`
	if got != want {
		t.Errorf("apikey create =\n%s\nwant\n%s", got, want)
	}
	s.must(t, "apikey", "create", "--tenant", "acme", "--name", "stale", "--expires-in", "1h")
	if _, err := store.Superuser(t).Exec(t.Context(), "UPDATE api_keys SET expires_at = now() WHERE name = 'stale'"); err != nil {
		t.Fatal(err)
	}
	gone := s.read(t, "apikey", "create", "--tenant", "acme", "--name", "gone").text("id")
	if out := hide(s.must(t, "apikey", "revoke", gone, "--tenant", "acme")); out != "API key gone is revoked since TIME\n" {
		t.Errorf("apikey revoke = %q", out)
	}
	list := s.must(t, "apikey", "list", "--tenant", "acme")
	for name, state := range map[string]string{"ci": "active", "stale": "expired", "gone": "revoked"} {
		if !regexp.MustCompile(`(?m)^` + name + ` +SECRET +` + state + ` `).MatchString(list) {
			t.Errorf("%s is not %s in\n%s", name, state, list)
		}
	}
	if strings.Contains(list, "bk_") {
		t.Errorf("a list shows keys:\n%s", list)
	}
}
