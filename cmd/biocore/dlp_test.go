package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/governance/detect"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// One of each kind of personal data and secrets, made up.
var oneOfEach = map[detect.Kind]string{
	detect.Email: "ana@example.com", detect.IBAN: "DE89370400440532013000", detect.Card: "4111 1111 1111 1111", detect.NationalID: "86095742719",
	detect.Token:      "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.MEUCIQDx-_8sF3yDw",
	detect.PrivateKey: "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIrYSSNQFaA2\n-----END EC PRIVATE KEY-----",
	detect.OwnKey:     "rt_" + strings.Repeat("Ab0-_", 18) + "x",
}

// A file is looked through offline: where what is, by its shape alone, and by the exit code.
func TestDLPFile(t *testing.T) {
	s := newShell(t, defaults())
	path := filepath.Join(s.dir, "app.log")
	if err := os.WriteFile(path, []byte("started\npaid by 4111 1111 1111 1111\nno\nana@example.com and DE89370400440532013000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, complaint, code := s.run(t, "dlp", "file", path)
	want := path + ":2:9: CARD 9999 9999 9999 9999\n" + path + ":4:1: EMAIL xxx@xxxxxxx.xxx\n" + path + ":4:21: IBAN XX99999999999999999999\n"
	if code != 1 || out != want || !strings.Contains(complaint, "should not be there") {
		t.Errorf("dlp file = %d\n%s%s, want\n%s", code, out, complaint, want)
	}
	if out := s.must(t, "dlp", "file", "--kinds", "private-key", path); out != "" {
		t.Errorf("no private key: %s", out)
	}
	if out, _, code := s.run(t, "dlp", "file", "--kinds", "card", "--json", path); code != 1 || !strings.Contains(out, `"count": 1`) {
		t.Errorf("by JSON = %d, %s", code, out)
	}
	s.refused(t, 2, "there is no phone", "dlp", "file", "--kinds", "phone", path)
	s.refused(t, 1, "no such file", "dlp", "file", filepath.Join(s.dir, "absent"))

	// A line without an end is looked at in pieces; what is beyond the first thousand is counted.
	found, count, err := detectLines(strings.NewReader(strings.Repeat(strings.Repeat("x ", 1000)+"ana@example.com ", 1200)), nil)
	if err != nil || len(found) != maxDetected || count < 1198 || found[999].Column < maxDetectLine {
		t.Errorf("%d found, %d counted, %v", len(found), count, err)
	}
}

// Whatever a caller logs, as a message, a value or an error, nothing that the detectors know leaves the process.
func TestLogHasNothingToDetect(t *testing.T) {
	if len(oneOfEach) != len(detect.Kinds()) {
		t.Fatalf("%d kinds are there, of %d", len(oneOfEach), len(detect.Kinds()))
	}
	for kind, value := range oneOfEach {
		if found := detect.Find(value); len(found) != 1 || found[0].Kind != kind {
			t.Fatalf("what stands for %s is none: %v", kind, found)
		}
		var out bytes.Buffer
		log := slog.New(newLogHandler(slog.NewTextHandler(&out, nil), nil))
		log.Info("it was "+value, "err", value, slog.Group("g", "addr", "x "+value+" y"))
		log.With("err", value).WithGroup("of").Error("no", "at", []string{value})
		if found := detect.Find(strings.ReplaceAll(out.String(), `\n`, "\n")); len(found) > 0 {
			t.Errorf("%s is logged: %s", kind, out.String())
		}
	}
}

// A scan by the command line: asked for, made by the job, and what it found listed and decided.
func TestDLPCommands(t *testing.T) {
	s := newShell(t, testConfig(t, dbtest.Fresh(t), dbtest.Redis(t)))
	s.must(t, "tenant", "create", "acme", "--mode", "test", "--rp-id", "localhost", "--origin", "http://localhost:8080")
	on := func(args ...string) []string { return append([]string{"dlp"}, append(args, "--tenant", "acme")...) }
	s.refused(t, 2, "--tenant is required", "dlp", "scan")
	s.refused(t, 1, "1 to 366 days", on("scan", "--days", "400")...)
	asked := s.read(t, on("scan", "--days", "7", "--reason", "she is ana@example.com")...)
	if asked.text("state") != "QUEUED" || asked.text("reason") == "" {
		t.Errorf("scan = %s", asked.raw)
	}
	s.refused(t, 1, "under way", on("scan")...)
	env := &environment{out: io.Discard, err: io.Discard, dir: s.dir}
	if err := inTenant(t.Context(), env, "", "acme", func(c *control, sc scope.Scope) error {
		if err := c.store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
			return event.Append(t.Context(), tx, event.Event{Type: event.UserCreated, Data: []attr.Attr{attr.Text("note", "4111 1111 1111 1111")}})
		}); err != nil {
			return err
		}
		return c.dlp.Maintain(t.Context(), sc)
	}); err != nil {
		t.Fatal(err)
	}
	if out := s.must(t, on("scans")...); !strings.Contains(out, asked.text("id")) || !strings.Contains(out, "DONE") {
		t.Errorf("scans = %s", out)
	}
	list := s.read(t, on("findings")...).items("findings")
	if len(list) != 1 || list[0].text("place") != "event_outbox.payload" || list[0].text("kind") != "CARD" || list[0].text("shape") != "9999 9999 9999 9999" {
		t.Fatalf("findings = %v", list)
	}
	id := list[0].text("id")
	s.refused(t, 1, "why a finding is dismissed", on("decide", "--state", "dismissed", id)...)
	s.refused(t, 1, "no such finding", on("decide", "--state", "open", "x")...)
	if got := s.read(t, on("decide", "--state", "dismissed", "--reason", "a test card", id)...); got.text("state") != "DISMISSED" || got.text("reason") != "a test card" {
		t.Errorf("decide = %s", got.raw)
	}
	if out := s.must(t, on("findings")...); strings.Contains(out, id) {
		t.Errorf("still open: %s", out)
	}
}

// importedFindings is a request that imports one finding.
func importedFindings(id string) map[string]any {
	return map[string]any{
		"format":  "NEUTRAL",
		"content": `{"source":"OUR_TOOL","findings":[{"id":"` + id + `","place":"share/report.docx","kind":"CARD","count":3,"at":"2026-01-02T03:04:05Z"}]}`,
	}
}

// dlpScan is the id of a scan that was cancelled: no job moves it any more.
func (w *world) dlpScan(t *testing.T, c *customer) string {
	t.Helper()
	id := w.must(t, "POST", "/admin/v1/dlpScans", c.secret, map[string]any{}).text("id")
	w.must(t, "POST", "/admin/v1/dlpScans/"+id+":cancel", c.secret, map[string]any{})
	return id
}

// dlpFinding is the id of an imported finding.
func (w *world) dlpFinding(t *testing.T, c *customer) string {
	t.Helper()
	w.must(t, "POST", "/admin/v1/dlpFindings:import", c.secret, importedFindings("of "+c.slug))
	return w.must(t, "GET", "/admin/v1/dlpFindings?pageSize=1", c.secret, nil).items("findings")[0].text("id")
}

// A tenant has itself scanned by the API: asked for, made by the running server's job, found, decided; another tenant has
// nothing of it; and what is wrong is refused with a reason that says so.
func TestDLPByKeys(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.enroll(t, acme, "alice")
	w.must(t, "POST", "/v1/users/"+acme.user+":block", acme.secret, map[string]any{"reason": "she paid with 4111 1111 1111 1111"})
	asked := w.must(t, "POST", "/admin/v1/dlpScans", acme.secret, map[string]any{"days": 7, "reason": "quarterly"})
	if asked.text("state") != "QUEUED" || asked.text("askedBy") == "" {
		t.Errorf("asked = %s", asked)
	}
	if a := w.call(t, "POST", "/admin/v1/dlpScans", acme.secret, map[string]any{}); a.reason() != "DLP_SCAN_RUNNING" {
		t.Errorf("a second scan: %s", a)
	}
	at := "/admin/v1/dlpScans/" + asked.text("id")
	done := asked
	for deadline := time.Now().Add(2 * time.Minute); done.text("state") != "DONE" && time.Now().Before(deadline); pause(t, 200*time.Millisecond) {
		done = w.must(t, "GET", at, acme.secret, nil)
	}
	if percent, _ := done.at("percent").(float64); percent != 100 {
		t.Fatalf("scan = %s", done)
	}
	if a := w.call(t, "POST", at+":cancel", acme.secret, map[string]any{}); a.status != http.StatusBadRequest || a.reason() != "DLP_SCAN_ENDED" {
		t.Errorf("cancel of what has ended: %s", a)
	}
	if list := w.must(t, "GET", "/admin/v1/dlpScans", acme.secret, nil).items("scans"); len(list) != 1 || list[0].text("id") != asked.text("id") {
		t.Errorf("scans = %v", list)
	}

	found := w.must(t, "GET", "/admin/v1/dlpFindings?filter=state%3DOPEN%20AND%20kind%3DCARD%20AND%20place%3Daudit.reason", acme.secret, nil)
	if len(found.items("findings")) != 1 || strings.Contains(found.raw, "4111") {
		t.Fatalf("findings = %s", found)
	}
	f := found.items("findings")[0]
	decide := "/admin/v1/dlpFindings/" + f.text("id") + ":decide"
	for name, tt := range map[string]struct {
		path string
		body map[string]any
		want string
	}{
		"no reason":          {decide, map[string]any{"state": "DISMISSED"}, "DLP_REASON_REQUIRED"},
		"no state":           {decide, map[string]any{"reason": "x"}, "REQUEST_INVALID"},
		"no such state":      {decide, map[string]any{"state": "GONE"}, "REQUEST_INVALID"},
		"no such finding":    {"/admin/v1/dlpFindings/x:decide", map[string]any{"state": "OPEN"}, "DLP_FINDING_UNKNOWN"},
		"no such scan":       {"/admin/v1/dlpScans/x:cancel", map[string]any{}, "DLP_SCAN_UNKNOWN"},
		"days":               {"/admin/v1/dlpScans", map[string]any{"days": 400}, "REQUEST_INVALID"},
		"no format":          {"/admin/v1/dlpFindings:import", map[string]any{"content": "{}"}, "REQUEST_INVALID"},
		"no JSON":            {"/admin/v1/dlpFindings:import", map[string]any{"format": "MACIE", "content": "<xml/>"}, "DLP_IMPORT_INVALID"},
		"no findings":        {"/admin/v1/dlpFindings:import", map[string]any{"format": "NEUTRAL", "content": `{"source":"OURS","findings":[]}`}, "DLP_IMPORT_INVALID"},
		"another's source":   {"/admin/v1/dlpFindings:import", map[string]any{"format": "NEUTRAL", "content": `{"source":"SCAN","findings":[]}`}, "DLP_IMPORT_INVALID"},
		"more than a call":   {"/admin/v1/dlpFindings:import", map[string]any{"format": "MACIE", "content": strings.Repeat(" ", 70_000)}, "REQUEST_TOO_LARGE"},
		"the etag of before": {decide, nil, "ETAG_MISMATCH"},
	} {
		headers := []string{}
		if tt.body == nil {
			tt.body, headers = map[string]any{"state": "RESOLVED"}, []string{"If-Match", `"old"`}
		}
		if a := w.call(t, "POST", tt.path, acme.secret, tt.body, headers...); a.reason() != tt.want {
			t.Errorf("%s: %s, want %s", name, a, tt.want)
		}
	}
	before := w.auditCount(t, acme.id, "dlpfinding.decide")
	once := w.must(t, "POST", decide, acme.secret, map[string]any{"state": "DISMISSED", "reason": "a test card"})
	twice := w.must(t, "POST", decide, acme.secret, map[string]any{"state": "DISMISSED", "reason": "a test card"})
	if once.text("etag") != twice.text("etag") || once.text("state") != "DISMISSED" || w.auditCount(t, acme.id, "dlpfinding.decide") != before+1 {
		t.Errorf("decided twice: %s and %s", once, twice)
	}

	for range 2 { // a file may come again
		w.must(t, "POST", "/admin/v1/dlpFindings:import", acme.secret, importedFindings("17"))
	}
	if list := w.must(t, "GET", "/admin/v1/dlpFindings?filter=source%3DOUR_TOOL", acme.secret, nil).items("findings"); len(list) != 1 {
		t.Errorf("imported twice: %v", list)
	}
	if a := w.call(t, "GET", at, globex.secret, nil); a.reason() != "DLP_SCAN_UNKNOWN" {
		t.Errorf("another tenant's scan: %s", a)
	}
	for _, list := range []string{"/admin/v1/dlpFindings", "/admin/v1/dlpScans"} {
		if a := w.must(t, "GET", list, globex.secret, nil); strings.Contains(a.raw, `"id"`) {
			t.Errorf("%s of another tenant's: %s", list, a)
		}
	}
}
