package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/apikey"
)

// aReport is what a report is asked for by: of today.
func aReport() map[string]any {
	day := time.Now().UTC().Format(time.DateOnly)
	return map[string]any{"catalogue": "audit-integrity", "firstDay": day, "lastDay": day, "reason": "audit"}
}

// aCatalogue is the file of a catalogue.
func aCatalogue(name string) string {
	return "format: biocore-catalogue/1\nname: " + name + "\ntitle: Ours\nstandard: Our policy\nversion: '1'\ncontrols:\n" +
		"  - id: O-1\n    section: People\n    title: Few owners\n    evidence:\n      - {measure: members.owners, is: at most, value: 3}\n"
}

// report asks for one, and returns its path.
func (w *world) report(t *testing.T, c *customer) string {
	t.Helper()
	return "/admin/v1/reports/" + w.must(t, "POST", "/admin/v1/reports", c.secret, aReport()).text("id")
}

// reported waits until the job of the running server has made a report.
func (w *world) reported(t *testing.T, c *customer, path string) {
	t.Helper()
	var a answer
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); pause(t, 200*time.Millisecond) {
		if a = w.must(t, "GET", path, c.secret, nil); a.text("state") != "QUEUED" && a.text("state") != "RUNNING" {
			break
		}
	}
	if a.text("state") != "DONE" || a.text("sha256") == "" {
		t.Fatalf("report = %s", a.raw)
	}
}

// catalogue is one of the customer's own, which is scheduled.
func (w *world) catalogue(t *testing.T, c *customer) string {
	t.Helper()
	name := "of-" + strings.ToLower(c.slug)
	w.must(t, "PUT", "/admin/v1/reportCatalogues/"+name, c.secret, map[string]any{"document": aCatalogue(name)})
	w.must(t, "PUT", "/admin/v1/reportSchedules/"+name, c.secret, map[string]any{"cadence": "MONTHLY"})
	return name
}

// fetch reads a file with a key, and its status.
func (w *world) fetch(t *testing.T, path, key string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, body
}

// verify runs the command, which takes neither configuration nor network.
func verify(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out, complaint strings.Builder
	code := run(t.Context(), &environment{out: &out, err: &complaint}, append([]string{"report", "verify"}, args...))
	return code, out.String() + complaint.String()
}

// A report by the API: asked for, made by the running server's job, downloaded in every form and verified offline.
func TestReportByAPI(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	path := w.report(t, acme)
	w.reported(t, acme, path)
	dir := t.TempDir()
	for _, name := range []string{"report.json", "report.json.jws", "report.csv", "report.pdf", "report.pdf.jws", "manifest.json", ""} {
		status, body := w.fetch(t, path+":download?name="+name, acme.secret)
		if status != http.StatusOK || len(body) == 0 {
			t.Fatalf("%s: %d, %d bytes", name, status, len(body))
		}
		if name == "" {
			name = "all.zip"
		}
		if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	jwks := filepath.Join(dir, "keys.json")
	_, keySet := w.fetch(t, "/t/"+acme.slug+"/.well-known/jwks.json", "")
	if err := os.WriteFile(jwks, keySet, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"report.json", "report.pdf", "all.zip"} {
		if code, out := verify(t, "--jwks", jwks, filepath.Join(dir, file)); code != 0 {
			t.Errorf("verify %s: %d %s", file, code, out)
		}
	}
	damaged := filepath.Join(dir, "report.json")
	text, err := os.ReadFile(damaged)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(damaged, []byte(strings.Replace(string(text), "met", "mat", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := verify(t, "--jwks", jwks, damaged); code != 1 || !strings.Contains(out, "FAIL") {
		t.Errorf("verify a changed file: %d %s", code, out)
	}
	for name, tt := range map[string]struct {
		key, path string
		status    int
	}{
		"another tenant's":   {globex.secret, path + ":download", http.StatusNotFound},
		"another scope's":    {w.mint(t, acme, apikey.ScopeUsersRead), path + ":download", http.StatusForbidden},
		"a publishable key":  {acme.publishable, path + ":download", http.StatusForbidden},
		"the platform's key": {w.platformKey, path + ":download", http.StatusForbidden},
		"no key":             {"", path + ":download", http.StatusUnauthorized},
		"no such file":       {acme.secret, path + ":download?name=../x", http.StatusNotFound},
		"no such report":     {acme.secret, "/admin/v1/reports/x:download", http.StatusNotFound},
	} {
		if status, _ := w.fetch(t, tt.path, tt.key); status != tt.status {
			t.Errorf("%s = %d, want %d", name, status, tt.status)
		}
	}
	bad := w.call(t, "PUT", "/admin/v1/reportCatalogues/ours", acme.secret, map[string]any{"document": strings.Replace(aCatalogue("ours"), "members.owners", "members.owner", 1)})
	if bad.status != http.StatusBadRequest || !strings.Contains(bad.raw, "line 11") {
		t.Errorf("a bad catalogue = %d %s", bad.status, bad.raw)
	}
}
