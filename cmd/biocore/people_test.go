package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// The command line lists a tenant's people, what they sign in with, and where they are
// signed in: with the API's filters, in lines and as JSON, and of that tenant alone.
func TestListsOfPeople(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.enroll(t, globex, "theirs")
	w.signIn(t, globex)
	w.enroll(t, acme, "u-1")
	w.signIn(t, acme)
	w.signIn(t, acme)
	sh := newShell(t, w.cfg)

	var users []userJSON
	var credentials []credentialJSON
	var sessions []sessionJSON
	for command, out := range map[string]any{"users": &users, "credentials": &credentials, "sessions": &sessions} {
		text := sh.must(t, command, "list", "--tenant", "acme", "--json")
		if err := json.Unmarshal([]byte(text), out); err != nil {
			t.Fatalf("%s = %s, %v", command, text, err)
		}
		if lines := sh.must(t, command, "list", "--tenant", "acme"); !strings.Contains(lines, acme.user) || strings.Contains(lines, globex.user) {
			t.Errorf("%s = %s", command, lines)
		}
	}
	if len(users) != 1 || users[0].ExternalID != "u-1" || users[0].Passkeys != 1 || users[0].LastSignInAt == nil {
		t.Errorf("users = %+v", users)
	}
	if len(credentials) != 1 || credentials[0].ID != acme.credential || credentials[0].UserID != acme.user || credentials[0].State != "ACTIVE" {
		t.Errorf("credentials = %+v", credentials)
	}
	if len(sessions) != 2 || sessions[0].ID != acme.session || sessions[0].CredentialID != acme.credential {
		t.Errorf("sessions = %+v", sessions)
	}
	if out := sh.must(t, "sessions", "list", "--tenant", "acme", "--limit", "1"); strings.Count(out, "\n") != 1 {
		t.Errorf("one session = %s", out)
	}
	for _, none := range [][]string{
		{"users", "state = BLOCKED"}, {"credentials", "reported = true"}, {"sessions", "active = false"},
	} {
		if out := sh.must(t, none[0], "list", "--tenant", "acme", "--filter", none[1], "--json"); strings.TrimSpace(out) != "[]" {
			t.Errorf("%s with %s = %s", none[0], none[1], out)
		}
	}
	sh.refused(t, 1, "FILTER_INVALID", "users", "list", "--tenant", "acme", "--filter", "shoeSize = 43")
	sh.refused(t, 1, "TENANT_UNKNOWN", "sessions", "list", "--tenant", "initech")
}
