package main

import (
	"strings"
	"testing"
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
