package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// The staff's invitations by API and command line: what is settled is listed, the link is
// shown once, and what is taken back is gone.
func TestTenantInvitations(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	const at = "/admin/v1/tenantInvitations"
	made := w.must(t, "POST", "/admin/v1/tenants:invite", w.platformKey, map[string]any{
		"label": "Ana, Bank", "mode": "LIVE", "plan": "Gold", "quotas": []map[string]any{{"kind": "CEREMONIES", "most": 1000, "hard": true}},
	})
	if !strings.Contains(made.text("url"), "/console/join#") {
		t.Errorf("invited: %s", made)
	}
	for name, body := range map[string]map[string]any{
		"the same kind twice": {"label": "x", "mode": "TEST", "quotas": []map[string]any{{"kind": "STORAGE", "most": 1}, {"kind": "STORAGE", "most": 2}}},
		"a quota of nothing":  {"label": "x", "mode": "TEST", "quotas": []map[string]any{{"kind": "STORAGE", "most": 0}}},
		"a plan too long":     {"label": "x", "mode": "TEST", "plan": strings.Repeat("x", 65)},
	} {
		if a := w.call(t, "POST", "/admin/v1/tenants:invite", w.platformKey, body); a.status != http.StatusBadRequest {
			t.Errorf("%s: %s", name, a)
		}
	}
	open := w.must(t, "GET", at, w.platformKey, nil)
	all, _ := open.at("invitations").([]any)
	if len(all) != 1 {
		t.Fatalf("open: %s", open)
	}
	first, _ := all[0].(map[string]any)
	if first["id"] != made.text("invitationId") || first["label"] != "Ana, Bank" || first["mode"] != "LIVE" || first["plan"] != "Gold" || strings.Contains(open.raw, "/join#") {
		t.Errorf("open: %s", open)
	}
	if quotas := fmt.Sprint(first["quotas"]); strings.Count(quotas, "most:") != 1 || !strings.Contains(quotas, "most:1000") {
		t.Errorf("quotas: %s", open)
	}
	revoke := at + "/" + made.text("invitationId") + ":revoke"
	for _, path := range []string{at, revoke} {
		method := map[bool]string{true: "GET", false: "POST"}[path == at]
		if a := w.call(t, method, path, c.secret, map[string]any{}); a.status != http.StatusForbidden {
			t.Errorf("%s by a tenant's key: %s", path, a)
		}
	}
	// An invitation to become a member is none of these, and the other way about.
	for path, want := range map[string]string{
		at + "/" + w.invitation(t, c) + ":revoke": "INVITATION_UNKNOWN", at + "/" + uuid.NewString() + ":revoke": "INVITATION_UNKNOWN", at + "/x:revoke": "INVITATION_UNKNOWN",
	} {
		if a := w.call(t, "POST", path, w.platformKey, map[string]any{}); a.reason() != want {
			t.Errorf("%s: %s", path, a)
		}
	}
	w.must(t, "POST", revoke, w.platformKey, map[string]any{})
	if a := w.call(t, "POST", revoke, w.platformKey, map[string]any{}); a.reason() != "INVITATION_CLOSED" {
		t.Errorf("taken back twice: %s", a)
	}

	s := newShell(t, w.cfg)
	if out := s.must(t, "tenant", "invitations"); out != "no open invitations\n" {
		t.Errorf("none: %q", out)
	}
	cli := s.read(t, "tenant", "invite", "--mode", "test", "--plan", "Trial", "--mau", "100:hard", "--storage", "5000", "Ben")
	if cli.text("mode") != "TEST" || cli.text("plan") != "Trial" || len(cli.items("quotas")) != 2 || !strings.Contains(cli.text("url"), "/console/join#") {
		t.Errorf("tenant invite = %s", cli.raw)
	}
	if _, errs, code := s.run(t, "tenant", "invite", "--mode", "test", "--mau", "many", "Ben"); code != 2 || !strings.Contains(errs, "--mau is a number") {
		t.Errorf("a quota that is no number: %d %s", code, errs)
	}
	if out := s.must(t, "tenant", "invitations"); !strings.Contains(out, "Trial") || !strings.Contains(out, "MONTHLY_ACTIVE_USERS=100:hard STORAGE=5000") || strings.Contains(out, "/join#") {
		t.Errorf("list: %s", out)
	}
	if a := s.read(t, "tenant", "invitations"); len(a.items("invitations")) != 1 || a.items("invitations")[0].text("id") != cli.text("id") {
		t.Errorf("list --json = %s", a.raw)
	}
	if a := s.read(t, "tenant", "uninvite", cli.text("id")); a.text("id") != cli.text("id") {
		t.Errorf("uninvite = %s", a.raw)
	}
	s.refused(t, 1, "INVITATION_CLOSED", "tenant", "uninvite", cli.text("id"))
	s.refused(t, 1, "INVITATION_UNKNOWN", "tenant", "uninvite", "x")
}
