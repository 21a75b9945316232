package main

import (
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// eventually asks until the server, which is told within a second, answers with status.
func (w *world) eventually(t *testing.T, status int, key string) (a answer) {
	t.Helper()
	dbtest.Seen(t, "what the command changed", func() string {
		if a = w.call(t, "GET", "/v1/users", key, nil); a.status != status {
			return fmt.Sprintf("the answer is %s, want %d", a, status)
		}
		return ""
	})
	return a
}

// until asks until the server, which is told within a second, answers with the reason.
func (w *world) until(t *testing.T, reason string, ask func() answer) {
	t.Helper()
	dbtest.Seen(t, "what the command changed", unless(reason, func() string { return ask().reason() }))
}

// unless says that ask does not answer what is wanted, for dbtest.Seen.
func unless(want string, ask func() string) func() string {
	return func() string {
		if got := ask(); got != want {
			return fmt.Sprintf("the answer is %q, want %q", got, want)
		}
		return ""
	}
}

// The life of a tenant, at the command line and at a server that runs beside it.
func TestTenantCommands(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	if out := s.must(t, "tenant", "list"); out != "no tenants\n" {
		t.Errorf("tenant list of none = %q", out)
	}
	if a := s.read(t, "tenant", "list"); a.raw != "{\n  \"tenants\": []\n}\n" {
		t.Errorf("tenant list --json of none = %s", a.raw)
	}

	made := s.read(t, "tenant", "create", "globex", "--name", "Globex Corp", "--mode", "test", "--rp-id", "localhost",
		"--origin", "http://localhost:8080", "--origin", "http://localhost:3000")
	if made.text("tenant", "slug") != "globex" || made.text("tenant", "name") != "Globex Corp" || made.text("tenant", "mode") != "TEST" ||
		made.text("tenant", "state") != "ACTIVE" || made.text("tenant", "rpId") != "localhost" || len(made.items("tenant", "origins")) != 2 {
		t.Errorf("tenant create --json = %s", made.raw)
	}
	secretKey := made.text("secretKey")
	if !strings.HasPrefix(secretKey, "bk_test_") || !strings.HasPrefix(made.text("publishableKey"), "pk_test_") {
		t.Errorf("first keys = %s", made.raw)
	}
	if a := w.call(t, "GET", "/v1/users", secretKey, nil); a.status != http.StatusOK {
		t.Errorf("the first key at the server: %s", a)
	}

	listed := s.read(t, "tenant", "list")
	if all := listed.items("tenants"); len(all) != 1 || all[0].text("id") != made.text("tenant", "id") {
		t.Errorf("tenant list --json = %s", listed.raw)
	}
	if a := s.read(t, "tenant", "list", "--filter", `mode = "LIVE"`); len(a.items("tenants")) != 0 {
		t.Errorf("live tenants = %s", a.raw)
	}
	table := s.must(t, "tenant", "list")
	if lines := strings.Split(table, "\n"); len(lines) != 3 || strings.Index(lines[0], "MODE") != strings.Index(lines[1], "TEST") {
		t.Errorf("the columns do not stand below each other:\n%s", table)
	}

	suspended := s.read(t, "tenant", "suspend", "globex", "--reason", "unpaid invoice")
	if suspended.text("state") != "SUSPENDED" || suspended.text("suspendReason") != "unpaid invoice" {
		t.Errorf("tenant suspend --json = %s", suspended.raw)
	}
	if a := w.eventually(t, http.StatusForbidden, secretKey); a.reason() != tenant.ErrSuspended.Reason {
		t.Errorf("a second after the suspension the server answers %s", a)
	}
	if out := s.must(t, "tenant", "suspend", "globex"); out != "tenant globex is suspended\n" {
		t.Errorf("suspended again: %q", out)
	}
	if out := s.must(t, "tenant", "resume", "globex"); out != "tenant globex is active\n" {
		t.Errorf("tenant resume = %q", out)
	}
	if a := w.eventually(t, http.StatusOK, secretKey); a.status != http.StatusOK {
		t.Errorf("a second after it was resumed the server answers %s", a)
	}

	s.refused(t, 1, "TENANT_EXISTS", "tenant", "create", "globex", "--mode", "live", "--rp-id", "example.com")
	s.refused(t, 1, "TENANT_INVALID", "tenant", "create", "Globex!", "--mode", "live", "--rp-id", "example.com")
	s.refused(t, 1, "TENANT_UNKNOWN", "tenant", "suspend", "initech")
	s.refused(t, 1, "TENANT_UNKNOWN", "tenant", "suspend", platformSlug)
	s.refused(t, 1, "FILTER", "tenant", "list", "--filter", "colour = red")
}

// What people read, with the defaults that the flags have.
func TestTenantCreateForPeople(t *testing.T) {
	store := dbtest.Fresh(t)
	s := newShell(t, testConfig(t, store, dbtest.Redis(t)))
	got := s.must(t, "tenant", "create", "--rp-id", "example.com", "initech", "--mode=live")
	got = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).ReplaceAllString(got, "ID")
	got = regexp.MustCompile(`((?:bk|pk)_live)_[0-9A-Za-z_]+`).ReplaceAllString(got, "${1}_KEY")
	want := `tenant initech is made

  id       ID
  name     initech
  mode     LIVE
  RP ID    example.com
  origins  https://example.com

Its first keys are shown this once, and stored nowhere:

  secret key       bk_live_KEY
  publishable key  pk_live_KEY
`
	if got != want {
		t.Errorf("tenant create =\n%s\nwant\n%s", got, want)
	}
}

// More tenants than a page has are listed all the same.
func TestTenantListReadsEveryPage(t *testing.T) {
	store := dbtest.Fresh(t)
	s := newShell(t, testConfig(t, store, dbtest.Redis(t)))
	for range 201 {
		store.Tenant(t)
	}
	if a := s.read(t, "tenant", "list"); len(a.items("tenants")) != 201 {
		t.Errorf("%d tenants are listed, want 201", len(a.items("tenants")))
	}
}

// What was done at the command line stands in the tenant's log, with the account.
func TestCommandsAreAudited(t *testing.T) {
	store := dbtest.Fresh(t)
	s := newShell(t, testConfig(t, store, dbtest.Redis(t)))
	s.must(t, "tenant", "create", "globex", "--mode", "test", "--rp-id", "localhost", "--origin", "http://localhost:8080")
	s.must(t, "tenant", "suspend", "globex", "--reason", "unpaid invoice")
	entry := s.must(t, "audit", "list", "--tenant", "globex", "--filter", "action = tenant.suspend", "--json")
	for _, part := range []string{`"cli"`, `"system"`, "unpaid invoice", cliActor().Name} {
		if !strings.Contains(entry, part) {
			t.Errorf("the entry does not tell %s: %s", part, entry)
		}
	}
}

// A command runs no change feed, so nothing vouches for what it remembers: each
// question goes to Postgres. Trusting a cache that is not fresh turns this red.
func TestCommandsRememberNothing(t *testing.T) {
	store := dbtest.Fresh(t)
	s := newShell(t, testConfig(t, store, dbtest.Redis(t)))
	made := s.read(t, "tenant", "create", "globex", "--mode", "test", "--rp-id", "localhost", "--origin", "http://localhost:8080")
	c, err := openControl(t.Context(), &environment{dir: s.dir, err: t.Output()}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	authenticate := func() error {
		_, err := c.apiKeys.Authenticate(t.Context(), made.text("secretKey"), netip.IPv4Unspecified())
		return err
	}
	if err := authenticate(); err != nil {
		t.Fatal(err)
	}
	s.must(t, "tenant", "suspend", "globex")
	if err := authenticate(); err == nil || !strings.Contains(explain(err), tenant.ErrSuspended.Reason) {
		t.Errorf("at once after the suspension: %v", err)
	}
	s.must(t, "tenant", "resume", "globex")
	for _, k := range s.read(t, "apikey", "list", "--tenant", "globex").items("apiKeys") {
		s.must(t, "apikey", "revoke", k.text("id"), "--tenant", "globex")
	}
	if err := authenticate(); err == nil || !strings.Contains(explain(err), apikey.ErrRevoked.Reason) {
		t.Errorf("at once after the revocation: %v", err)
	}
	if c.store.Fresh() {
		t.Error("a command's store believes its caches")
	}
}

// Postgres that is not there is said in a line, without passwords.
func TestCommandsWithoutPostgres(t *testing.T) {
	store, postgres := dbtest.OwnPostgres(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	s := newShell(t, cfg)
	postgres.Stop(t)
	_, complaint, code := s.run(t, "tenant", "list")
	if code != 1 || !strings.Contains(complaint, db.ErrUnavailable.Reason) || strings.Count(complaint, "\n") > 3 {
		t.Errorf("tenant list = %d\n%s", code, complaint)
	}
	postgres.Start(t) // so that the store can close
}
