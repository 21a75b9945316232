package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
