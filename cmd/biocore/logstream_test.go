package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
)

// aLogStream names a host that nobody has: its deliveries fail.
var aLogStream = map[string]any{
	"name": "Security team", "kind": "HTTPS", "format": "OCSF", "address": "https://siem.invalid/in",
	"credential": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "redact": []string{"address"}, "reason": "contract 12",
}

// logStream makes a stream of the tenant's, unless it has one, and returns its path.
func (w *world) logStream(t testing.TB, c *customer) string {
	t.Helper()
	list, _ := w.must(t, "GET", "/admin/v1/logStreams", c.secret, nil).at("logStreams").([]any)
	if len(list) > 0 {
		if first, ok := list[0].(map[string]any); ok {
			if id, ok := first["id"].(string); ok {
				return "/admin/v1/logStreams/" + id
			}
		}
	}
	return "/admin/v1/logStreams/" + w.must(t, "POST", "/admin/v1/logStreams", c.secret, aLogStream).text("id")
}

// A stream by the API: what is read is what was settled, but for the credential; and what cannot be is refused by
// name, with nothing left behind.
func TestLogStreamsByAPI(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	at := w.logStream(t, c)
	got := w.must(t, "GET", at, c.secret, nil)
	if got.text("name") != "Security team" || got.text("kind") != "HTTPS" || got.text("format") != "OCSF" || got.at("hasCredential") != any(true) || got.text("etag") == "" {
		t.Errorf("stream = %s", got)
	}
	tested := w.must(t, "POST", at+":test", c.secret, map[string]any{})
	if tested.at("delivered") != any(false) || !strings.Contains(tested.text("error"), "does not resolve") {
		t.Errorf("test = %s", tested)
	}
	for want, body := range map[string]map[string]any{
		"LOG_STREAM_ADDRESS_FORBIDDEN":  {"address": "https://169.254.169.254/in"},
		"LOG_STREAM_CREDENTIAL_INVALID": {"credential": "short"},
		"LOG_STREAM_INVALID":            {"address": "http://siem.invalid/in"},
	} {
		if a := w.call(t, "PATCH", at, c.secret, body); a.status != 400 || !strings.Contains(a.raw, want) {
			t.Errorf("%s: %s", want, a)
		}
	}
	if a := w.call(t, "POST", "/admin/v1/logStreams", c.secret, aLogStream); a.status != 409 || !strings.Contains(a.raw, "LOG_STREAM_NAME_TAKEN") {
		t.Errorf("the same name: %s", a)
	}
	if a := w.call(t, "POST", at+":replay", c.secret, map[string]any{}); a.status != 400 || !strings.Contains(a.raw, "LOG_STREAM_CURSOR_INVALID") {
		t.Errorf("replay from nowhere: %s", a)
	}
	if again := w.must(t, "GET", at, c.secret, nil); again.text("etag") != got.text("etag") || strings.Contains(again.raw, "whsec_") {
		t.Errorf("after what was refused: %s", again)
	}
}

// Log streams by the command line: each does what the API does, and tells it to people and to programs.
func TestLogStreamCommands(t *testing.T) {
	store := dbtest.Fresh(t)
	s := newShell(t, testConfig(t, store, dbtest.Redis(t)))
	s.must(t, "tenant", "create", "acme", "--mode", "test", "--rp-id", "localhost", "--origin", "http://localhost:8080")
	if out := s.must(t, "logstream", "list", "--tenant", "acme"); out != "no log streams\n" {
		t.Errorf("list = %s", out)
	}
	secret := filepath.Join(s.dir, "secret")
	if err := os.WriteFile(secret, []byte(fmt.Sprintln(aLogStream["credential"])), 0o600); err != nil {
		t.Fatal(err)
	}
	made := s.read(t, "logstream", "create", "--tenant", "acme", "--name", "SOC", "--kind", "https", "--format", "ocsf", "--address", "https://siem.invalid/in",
		"--credential", secret, "--actions", "credential.,apikey.", "--outcomes", "denied", "--redact", "address", "--redact-kinds", "national-id,email", "--block-kinds", "card", "--from-start", "--reason", "contract 12")
	id := made.text("id")
	if made.text("kind") != "HTTPS" || made.text("format") != "OCSF" || made.at("hasCredential") != any(true) || made.at("nextSeq") != any(0.0) || strings.Contains(made.raw, "whsec_") ||
		fmt.Sprint(made.at("actions"), made.at("outcomes"), made.at("redact"), made.at("redactKinds"), made.at("blockKinds")) != "[credential. apikey.] [denied] [address] [NATIONAL_ID EMAIL] [CARD]" {
		t.Errorf("created = %s", made)
	}
	on := func(verb string, more ...string) []string {
		return append([]string{"logstream", verb, "--tenant", "acme"}, append(more, id)...)
	}
	// What is not given stays; what is given empty is taken away.
	changed := s.read(t, on("update", "--name", "SIEM", "--redact", "", "--redact-kinds", "")...)
	if changed.text("name") != "SIEM" || changed.text("format") != "OCSF" || fmt.Sprint(changed.at("actions"), changed.at("redact"), changed.at("redactKinds"), changed.at("blockKinds")) != "[credential. apikey.] [] [] [CARD]" {
		t.Errorf("updated = %s", changed)
	}
	if out := s.must(t, on("pause", "--reason", "maintenance")...); !strings.Contains(out, "PAUSED") {
		t.Errorf("paused: %s", out)
	}
	if out := s.must(t, on("resume")...); !strings.Contains(out, "ACTIVE") {
		t.Errorf("resumed: %s", out)
	}
	if out := s.must(t, on("replay", "--seq", "0")...); !strings.Contains(out, "next entry") {
		t.Errorf("replayed: %s", out)
	}
	s.refused(t, 1, "LOG_STREAM_CURSOR_INVALID", on("replay")...)
	s.refused(t, 2, "not a time of RFC 3339", on("replay", "--since", "yesterday")...)
	s.refused(t, 1, "does not resolve", on("test")...)
	if out := s.must(t, on("rejects")...); !strings.Contains(out, "nothing for good") {
		t.Errorf("rejects: %s", out)
	}
	if out := s.must(t, "logstream", "list", "--tenant", "acme"); !strings.Contains(out, "SIEM") || !strings.Contains(out, id) {
		t.Errorf("list: %s", out)
	}
	s.refused(t, 1, "LOG_STREAM_ADDRESS_FORBIDDEN", "logstream", "create", "--tenant", "acme", "--name", "x", "--kind", "https", "--address", "https://169.254.169.254/", "--credential", secret)
	s.refused(t, 2, "--kind is required", "logstream", "create", "--tenant", "acme", "--name", "x")
	s.must(t, on("delete", "--reason", "over")...)
	s.refused(t, 1, "LOG_STREAM_UNKNOWN", on("show")...)
	out := s.must(t, "audit", "list", "--tenant", "acme", "--filter", "targetKind = logstream", "--json")
	for _, said := range []string{"contract 12", "maintenance", "over", cliActor().Name} {
		if !strings.Contains(out, said) {
			t.Errorf("the log does not tell %q", said)
		}
	}
}
