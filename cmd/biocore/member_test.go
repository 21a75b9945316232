package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/scope"
)

// The command line makes the first members, gives them roles and takes them out.
func TestMemberCommands(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	sh := newShell(t, w.cfg)
	var tokens []string
	for _, role := range []string{"owner", "viewer"} {
		var made struct{ URL, Role, Label string }
		out := sh.must(t, "member", "invite", "--tenant", c.slug, "--role", role, "--json", "Ana")
		if err := json.Unmarshal([]byte(out), &made); err != nil || made.Role != role || made.Label != "Ana" {
			t.Fatalf("invite = %s, %v", out, err)
		}
		token, ok := strings.CutPrefix(made.URL, w.cfg.PublicURL+"/console/join#")
		if !ok {
			t.Errorf("link = %s", made.URL)
		}
		tokens = append(tokens, token)
	}
	for _, token := range tokens {
		if _, _, err := w.server.members.Accept(t.Context(), uuid.New(), scope.Origin{}, token); err != nil {
			t.Fatal(err)
		}
	}
	var list struct{ Members []memberJSON }
	if err := json.Unmarshal([]byte(sh.must(t, "member", "list", "--tenant", c.slug, "--json")), &list); err != nil || len(list.Members) != 2 {
		t.Fatalf("list = %+v, %v", list, err)
	}
	owner, viewer := list.Members[0], list.Members[1]
	if owner.Role != "owner" || viewer.Role != "viewer" || owner.Name != "-" || owner.LastSeenAt != nil || owner.PasskeyCount != 0 {
		t.Errorf("list = %+v", list)
	}
	sh.refused(t, 1, "LAST_OWNER", "member", "remove", "--tenant", c.slug, "--reason", "left", owner.ID)
	sh.refused(t, 1, "ROLE_INVALID", "member", "update", "--tenant", c.slug, "--reason", "x", "--role", "staff_admin", viewer.ID)
	if out := sh.must(t, "member", "update", "--tenant", c.slug, "--reason", "new job", "--role", "owner", viewer.ID); !strings.Contains(out, "is owner") {
		t.Errorf("update = %s", out)
	}
	if out := sh.must(t, "member", "remove", "--tenant", c.slug, "--reason", "left", owner.ID); !strings.Contains(out, "is removed") {
		t.Errorf("remove = %s", out)
	}
	if out := sh.must(t, "member", "list", "--tenant", c.slug); strings.Contains(out, owner.ID) || !strings.Contains(out, viewer.ID) {
		t.Errorf("list = %s", out)
	}
	if out, _, code := sh.run(t, "member", "invite", "--tenant", "platform", "--role", "staff_admin", "me"); code != 0 || !strings.HasPrefix(out, w.cfg.PublicURL) {
		t.Errorf("invite of staff = %d, %s", code, out)
	}
}
