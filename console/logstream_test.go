package console_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/siem"
)

// secretOfSink is a signing secret of Standard Webhooks.
const secretOfSink = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// streamForm is a form of an HTTPS stream that is taken.
func (s *site) streamForm(host string) url.Values {
	return url.Values{
		"kind": {"HTTPS"}, "name": {"SOC"}, "format": {"OCSF"}, "address": {"https://" + net.JoinHostPort(host, strconv.Itoa(int(s.net.Port))) + "/in"}, "credential": {secretOfSink},
		"actions": {"member.\r\nlogstream."}, "outcomes": {"success"}, "redact": {"address", "userAgent"}, "rule.EMAIL": {"redact"}, "rule.CARD": {"block"}, "rule.IBAN": {""}, "from": {"start"}, "reason": {"the SOC wants it"},
	}
}

// one is a tenant's only stream.
func (s *site) one(t *testing.T, sc scope.Scope) siem.Sink {
	t.Helper()
	list, err := s.streams.List(t.Context(), sc)
	if err != nil || len(list) != 1 {
		t.Fatalf("streams = %+v, %v", list, err)
	}
	return list[0]
}

func TestLogStreamPages(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner, auditor := s.person(t, "Oda", acme, member.Owner), s.person(t, "Ari", acme, member.Auditor)
	page := "/console/t/" + slug + "/log-streams"
	var taken int
	status := http.StatusNoContent
	s.net.Page("siem.example", "/in", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if status < 300 {
			taken++
		}
		w.WriteHeader(status)
	})

	if body := owner.get(t, page).body; !strings.Contains(body, "The audit log is sent nowhere") || !strings.Contains(body, "curl -H") {
		t.Error("an empty list gives no next step")
	}
	kinds := owner.get(t, page+"/new").body
	for _, kind := range siem.Kinds() {
		if !strings.Contains(kinds, page+"/new?kind="+string(kind)) {
			t.Errorf("%s cannot be chosen", kind)
		}
		if body := owner.get(t, page+"/new?kind="+string(kind)).body; strings.Contains(body, `name="credential"`) != (kind != siem.Syslog) ||
			strings.Contains(body, `name="index"`) != (kind == siem.Splunk || kind == siem.Elasticsearch) || strings.Contains(body, `name="acknowledge"`) != (kind == siem.Splunk) {
			t.Errorf("the form of %s has other fields than it needs", kind)
		}
	}
	form := s.streamForm("siem.example")
	form.Set("name", "SOC <b>")
	made := owner.post(t, page, form)
	stream := s.one(t, acme)
	at := page + "/" + stream.ID.String()
	if made.StatusCode != http.StatusSeeOther || made.Header.Get("Location") != at {
		t.Fatalf("create = %d, %s", made.StatusCode, made.body)
	}
	if stream.Format != siem.OCSF || len(stream.Actions) != 2 || len(stream.Outcomes) != 1 || len(stream.Redact) != 2 || fmt.Sprint(stream.RedactKinds, stream.BlockKinds) != "[EMAIL] [CARD]" || stream.NextSeq != 0 || !stream.HasCredential {
		t.Errorf("made %+v", stream)
	}

	// The test's answer stands on the page, and nowhere else.
	if body := owner.form(t, at+"/test").body; !strings.Contains(body, "The sink has taken the test event") || taken != 1 {
		t.Errorf("a test that is taken (%d) says something else", taken)
	}
	status = http.StatusServiceUnavailable
	if body := owner.form(t, at+"/test").body; !strings.Contains(body, "The sink answered 503") {
		t.Error("a test that fails does not say why")
	}
	s.sequence(t)
	var refused *siem.SinkError
	if err := s.streams.Deliver(t.Context(), acme, stream.ID); !errors.As(err, &refused) {
		t.Fatalf("Deliver = %v", err)
	}
	for _, path := range []string{page, at} {
		if body := owner.get(t, path).body; !strings.Contains(body, "Failing") || !strings.Contains(strings.ToLower(body), "the sink answered 503") || strings.Contains(body, "SOC <b>") || strings.Contains(body, "whsec_MDEy") {
			t.Errorf("%s does not say that it is failing, or says too much", path)
		}
	}
	if body := owner.get(t, at).body; !strings.Contains(body, "1 try in a row has failed") || !strings.Contains(body, "and try again") {
		t.Error("a failing stream's page does not say what happened and what to do")
	}
	status = http.StatusNoContent
	if res := owner.form(t, at+"/resume", "reason", "it is back"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("resume = %d", res.StatusCode)
	}
	if err := s.streams.Deliver(t.Context(), acme, stream.ID); err != nil {
		t.Fatal(err)
	}
	if body := owner.get(t, at).body; !strings.Contains(body, "Nothing is waiting") {
		t.Error("a stream that has sent everything does not say so")
	}
	if res := owner.form(t, at+"/pause", "reason", "moving house"); res.StatusCode != http.StatusSeeOther || s.one(t, acme).State != siem.Paused {
		t.Errorf("pause = %d", res.StatusCode)
	}

	// Replaying: from exactly one of the two.
	for _, fields := range [][]string{{"seq", "", "since", ""}, {"seq", "1", "since", "2026-01-02T03:04"}, {"seq", "one"}, {"since", "yesterday"}, {"seq", "99999"}, {"seq", "-1"}} {
		res := owner.form(t, at+"/replay", append(fields, "reason", "index lost")...)
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "Say from where") || !strings.Contains(res.body, `value="index lost"`) {
			t.Errorf("replay %q = %d", fields, res.StatusCode)
		}
	}
	if before := s.one(t, acme); before.NextSeq == 0 {
		t.Fatal("nothing was sent")
	}
	if res := owner.form(t, at+"/replay", "seq", "1", "since", "", "reason", "index lost"); res.StatusCode != http.StatusSeeOther || s.one(t, acme).NextSeq != 1 {
		t.Errorf("replay = %d, at %d", res.StatusCode, s.one(t, acme).NextSeq)
	}
	if res := owner.form(t, at+"/replay", "seq", "", "since", "2026-01-02T03:04", "reason", "index lost"); res.StatusCode != http.StatusSeeOther || s.one(t, acme).NextSeq != 0 {
		t.Errorf("replay by time = %d, at %d", res.StatusCode, s.one(t, acme).NextSeq)
	}

	// An auditor looks.
	for _, path := range []string{page, at, at + "/activity"} {
		if body := auditor.get(t, path).body; strings.Contains(body, "Confirm with passkey") || strings.Contains(body, "/new\"") || strings.Contains(body, "test event</button>") || !strings.Contains(body, "SOC") {
			t.Errorf("%s shows an auditor what they may not do", path)
		}
	}
	if body := owner.get(t, at+"/activity").body; !strings.Contains(body, "index lost") || !strings.Contains(body, "Replayed") || !strings.Contains(body, "Test event sent") || !strings.Contains(body, "Paused") {
		t.Error("the activity lacks what was done")
	}

	if res := owner.form(t, at+"/delete", "confirm", "SOC", "reason", "over"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "Type it as it stands there") {
		t.Errorf("delete by another name = %d", res.StatusCode)
	}
	if res := owner.form(t, at+"/delete", "confirm", "SOC <b>", "reason", "over"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("delete = %d", res.StatusCode)
	}
	if res := owner.get(t, at); res.StatusCode != http.StatusNotFound {
		t.Errorf("a deleted stream = %d", res.StatusCode)
	}
	for action, want := range map[string]int64{"create": 1, "test": 2, "resume": 1, "pause": 1, "replay": 2, "delete": 1} {
		if n := s.store.AuditCount(t, acme, "logstream."+action); n != want {
			t.Errorf("%d entries logstream.%s, want %d", n, action, want)
		}
	}
}

func TestLogStreamFormKeepsWhatWasTyped(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	page := "/console/t/" + slug + "/log-streams"
	good := s.streamForm("siem.example")
	if res := owner.post(t, page, good); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("create = %d: %s", res.StatusCode, res.body)
	}
	stream := s.one(t, acme)
	edit := page + "/" + stream.ID.String() + "/edit"
	good.Set("name", "another")
	for name, tt := range map[string]struct{ field, value, id, says string }{
		"no name":           {"name", "", "stream-name", "Name has 1 to 80 characters"},
		"a name twice":      {"name", "SOC", "stream-name", "Another log stream of this tenant has it"},
		"a private address": {"address", "https://169.254.169.254/in", "stream-address", "not of the public Internet"},
		"no https":          {"address", "http://siem.example/in", "stream-address", "Address is a URL that begins with https://"},
		"a weak secret":     {"credential", "secret", "stream-credential", "Signing secret is required"},
		"a wrong action":    {"actions", "Credential!", "stream-actions", "Actions are different beginnings"},
		"no certificate":    {"caCertificates", "-----", "stream-ca", "Certificates are up to 8"},
		"no reason":         {"reason", "", "stream-reason", "it stands in the audit log"},
	} {
		form := url.Values{}
		maps.Copy(form, good)
		form.Set(tt.field, tt.value)
		res := owner.post(t, page, form)
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `id="`+tt.id+`-error"`) || !strings.Contains(res.body, tt.says) {
			t.Errorf("%s: %d, says %q: %v", name, res.StatusCode, tt.says, strings.Contains(res.body, tt.says))
		}
		if tt.field != "name" && !strings.Contains(res.body, `value="another"`) || tt.field != "actions" && !strings.Contains(res.body, "logstream.</textarea>") || strings.Contains(res.body, secretOfSink) {
			t.Errorf("%s: what was typed is gone, or the secret is there", name)
		}
	}
	if n := s.store.AuditCount(t, acme, "logstream.create"); n != 1 {
		t.Errorf("%d streams were made, want 1", n)
	}

	// Changing: what the form shows, and another server needs its own credential.
	tag := etagField.FindStringSubmatch(owner.get(t, edit).body)
	if tag == nil {
		t.Fatal("the form holds no etag")
	}
	change := url.Values{}
	maps.Copy(change, s.streamForm("siem.example"))
	change.Set("etag", tag[1])
	change.Set("credential", "")
	change.Set("name", "SOC 2")
	change.Del("redact")
	other := url.Values{}
	maps.Copy(other, change)
	other.Set("address", "https://elsewhere.example/in")
	if res := owner.post(t, edit, other); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "names another server") {
		t.Errorf("another server without its credential = %d", res.StatusCode)
	}
	if res := owner.post(t, edit, change); res.StatusCode != http.StatusSeeOther {
		t.Errorf("change = %d: %s", res.StatusCode, res.body)
	}
	if now := s.one(t, acme); now.Name != "SOC 2" || len(now.Redact) != 0 || !now.HasCredential || now.Kind != siem.HTTPS {
		t.Errorf("changed to %+v", now)
	}
	// The tag of before: somebody else was faster.
	change.Set("name", "SOC 3")
	if res := owner.post(t, edit, change); res.StatusCode != http.StatusConflict || !strings.Contains(res.body, "SOC 2") || !strings.Contains(res.body, `value="SOC 3"`) {
		t.Errorf("a late change = %d", res.StatusCode)
	}
	s.grow(t)
	change.Set("etag", s.one(t, acme).ETag)
	if res := owner.post(t, edit, change); res.StatusCode != http.StatusForbidden || s.one(t, acme).Name != "SOC 2" {
		t.Errorf("without a fresh passkey = %d", res.StatusCode)
	}
}

// Who may not write gets no page and no act, by whatever address; another tenant's stream is nowhere.
func TestLogStreamsAreWalled(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	theirs, foreign := s.tenant(t)
	owner, auditor, viewer := s.person(t, "Oda", acme, member.Owner), s.person(t, "Ari", acme, member.Auditor), s.person(t, "Vi", acme, member.Viewer)
	stranger := s.person(t, "Eve", theirs, member.Owner)
	page := "/console/t/" + slug + "/log-streams"
	if res := owner.post(t, page, s.streamForm("siem.example")); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("create = %d", res.StatusCode)
	}
	stream := s.one(t, acme)
	id := "/" + stream.ID.String()
	for _, path := range []string{"", id, id + "/rejected", "/export"} {
		if res := auditor.get(t, page+path); res.StatusCode != http.StatusOK {
			t.Errorf("auditor: GET %s = %d", path, res.StatusCode)
		}
		if res := viewer.get(t, page+path); res.StatusCode != http.StatusForbidden {
			t.Errorf("viewer: GET %s = %d", path, res.StatusCode)
		}
		if res := stranger.get(t, page+path); res.StatusCode != http.StatusNotFound {
			t.Errorf("stranger: GET %s = %d", path, res.StatusCode)
		}
	}
	for _, path := range []string{"/new", id + "/edit"} {
		if res := auditor.get(t, page+path); res.StatusCode != http.StatusForbidden {
			t.Errorf("auditor: GET %s = %d", path, res.StatusCode)
		}
	}
	for _, path := range []string{"", id + "/edit", id + "/test", id + "/pause", id + "/resume", id + "/replay", id + "/delete"} {
		form := s.streamForm("siem.example")
		form.Set("name", "theirs")
		form.Set("confirm", stream.Name)
		form.Set("seq", "0")
		form.Set("etag", stream.ETag)
		if res := auditor.post(t, page+path, form); res.StatusCode != http.StatusForbidden {
			t.Errorf("auditor: POST %s = %d", path, res.StatusCode)
		}
		if path == "" {
			continue
		}
		if res := stranger.post(t, "/console/t/"+foreign+"/log-streams"+path, form); res.StatusCode != http.StatusNotFound {
			t.Errorf("stranger: POST %s = %d", path, res.StatusCode)
		}
	}
	if now := s.one(t, acme); now.ETag != stream.ETag || now.State != siem.Active {
		t.Errorf("changed to %+v", now)
	}
}
