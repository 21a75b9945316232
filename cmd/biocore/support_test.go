package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// staffPerson is somebody of the staff.
func (w *world) staffPerson(t testing.TB, name string) uuid.UUID {
	t.Helper()
	home := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "test"})
	made, err := w.members.Invite(t.Context(), home, member.InviteRequest{Role: member.StaffSupport, Label: name})
	if err != nil {
		t.Fatal(err)
	}
	u, err := w.users.Create(t.Context(), home, user.Profile{ExternalID: uuid.NewString(), Name: name}, user.Contact{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.members.Accept(t.Context(), u.ID.UUID(), scope.Origin{}, made.Token); err != nil {
		t.Fatal(err)
	}
	return u.ID.UUID()
}

// supportRequest asks c to let somebody of the staff in, and returns the request's id.
func (w *world) supportRequest(t testing.TB, c *customer) string {
	t.Helper()
	return w.must(t, "POST", "/admin/v1/supportGrants:request", w.platformKey, map[string]any{
		"tenantId": c.id, "personId": w.staffPerson(t, "Sam Staff").String(), "reason": "sign-ins fail", "ticket": "SUP-1", "minutes": 30, "access": "VIEW",
	}).text("id")
}

// The API: a platform key asks, the tenant's key decides by a scope of its own, and a tenant
// key without it does not.
func TestSupportAPI(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	id := w.supportRequest(t, c)
	at := "/admin/v1/supportGrants/" + id
	weak := w.must(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "SECRET", "name": "weak", "scopes": []string{"admin:support:read"}}).text("key")
	if a := w.call(t, "POST", at+":grant", weak, map[string]any{"reason": "x"}); a.status != http.StatusForbidden || a.reason() != "SCOPE_MISSING" {
		t.Errorf("grant by a key that may only read: %s", a)
	}
	if a := w.call(t, "POST", at+":grant", w.platformKey, map[string]any{"reason": "x"}); a.status != http.StatusForbidden {
		t.Errorf("grant by a platform key: %s", a)
	}
	if a := w.call(t, "POST", at+":grant", c.secret, map[string]any{"reason": "x"}); a.status != http.StatusForbidden || a.reason() != "SUPPORT_GRANT_FORBIDDEN" {
		t.Errorf("grant by the key that the staff saw as they made the tenant: %s", a)
	}
	granted := w.must(t, "POST", at+":grant", w.ownersKey(t, c), map[string]any{"reason": "go on", "minutes": 10})
	if granted.text("supportGrant", "state") != "GRANTED" || granted.text("supportGrant", "personName") != "Sam Staff" || granted.text("supportGrant", "expiresAt") == "" {
		t.Errorf("granted: %s", granted)
	}
	if a := w.must(t, "GET", at+"/actions", weak, nil); !strings.Contains(a.raw, "{") {
		t.Errorf("actions: %s", a)
	}
	if a := w.must(t, "POST", at+":revoke", c.secret, map[string]any{"reason": "enough"}); a.text("supportGrant", "state") != "REVOKED" {
		t.Errorf("revoked: %s", a)
	}
	if a := w.call(t, "POST", at+":revoke", c.secret, map[string]any{"reason": "again"}); a.status != http.StatusConflict || a.reason() != "SUPPORT_DECIDED" {
		t.Errorf("revoked twice: %s", a)
	}
	for name, body := range map[string]map[string]any{
		"an hour and more": {"tenantId": c.id, "personId": uuid.NewString(), "reason": "x", "ticket": "x", "minutes": 61, "access": "VIEW"},
		"nobody's id":      {"tenantId": c.id, "personId": "x", "reason": "x", "ticket": "x", "minutes": 5, "access": "VIEW"},
		"not of the staff": {"tenantId": c.id, "personId": uuid.NewString(), "reason": "x", "ticket": "x", "minutes": 5, "access": "VIEW"},
	} {
		if a := w.call(t, "POST", "/admin/v1/supportGrants:request", w.platformKey, body); a.status < 400 || a.status >= 500 {
			t.Errorf("%s: %s", name, a)
		}
	}
}

// The command line asks, lists, refuses and revokes; it grants by the tenant's key alone.
func TestSupportCommands(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	sh := newShell(t, w.cfg)
	person := w.staffPerson(t, "Sam Staff").String()
	var made struct {
		ID string `json:"id"`
	}
	out := sh.must(t, "support", "request", "--tenant", c.slug, "--person", person, "--ticket", "SUP-1", "--reason", "sign-ins fail", "--json")
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.ID == "" {
		t.Fatalf("request: %s, %v", out, err)
	}
	if out := sh.must(t, "support", "list", "--tenant", c.slug); !strings.Contains(out, made.ID) || !strings.Contains(out, "REQUESTED") || !strings.Contains(out, "Sam Staff") {
		t.Errorf("list: %s", out)
	}
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(c.publishable), 0o600); err != nil {
		t.Fatal(err)
	}
	sh.refused(t, 1, "SCOPE_MISSING", "support", "grant", "--key-file", key, "--reason", "ok", made.ID)
	if err := os.WriteFile(key, []byte(w.ownersKey(t, c)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := sh.must(t, "support", "grant", "--key-file", key, "--minutes", "5", "--reason", "ok", made.ID); !strings.Contains(out, "is in until") {
		t.Errorf("grant: %s", out)
	}
	if out := sh.must(t, "support", "revoke", "--tenant", c.slug, "--reason", "enough", made.ID); !strings.Contains(out, "is REVOKED") {
		t.Errorf("revoke: %s", out)
	}
	sh.refused(t, 1, "SUPPORT_DECIDED", "support", "refuse", "--tenant", c.slug, "--reason", "late", made.ID)
}
