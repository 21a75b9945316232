package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/governance/detect"
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
