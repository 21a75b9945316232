package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/apikey"
)

// export asks for an archive of the tenant, and returns its path.
func (w *world) export(t *testing.T, c *customer) string {
	t.Helper()
	made := w.must(t, "POST", "/admin/v1/tenants/"+c.id+":export", w.platformKey, map[string]any{"reason": "they asked"})
	return "/admin/v1/tenants/" + c.id + "/exports/" + made.text("export", "id")
}

// exported waits until the job of the running server has written it.
func (w *world) exported(t *testing.T, c *customer, path string) answer {
	t.Helper()
	var a answer
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); pause(t, 200*time.Millisecond) {
		if a = w.must(t, "GET", path, c.secret, nil); a.text("state") != "QUEUED" && a.text("state") != "RUNNING" {
			return a
		}
	}
	t.Fatalf("the export has not ended: %s", a)
	return a
}

// The whole way, over the API of a running server: asked for, written by the job, downloaded
// by a plain GET, and verified.
func TestExportOverTheAPI(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t, "acme")
	w.enroll(t, acme, "alice")
	w.signIn(t, acme)
	narrow := w.mint(t, acme, apikey.ScopeExportUsers)
	path := w.export(t, acme)
	if again := w.call(t, "POST", "/admin/v1/tenants/"+acme.id+":export", acme.secret, map[string]any{"reason": "too"}); again.status != http.StatusConflict || again.reason() != "EXPORT_RUNNING" {
		t.Errorf("a second one: %s", again)
	}
	done := w.exported(t, acme, path)
	if n, _ := done.at("rows").(float64); done.text("state") != "DONE" || n < 10 {
		t.Fatalf("export = %s", done)
	}
	body, header := w.file(t, path, acme.secret)
	sum := sha256.Sum256(body)
	if fmt.Sprintf("%x", sum) != done.text("sha256") || header.Get("Content-Type") != "application/zip" || header.Get("Content-Length") != fmt.Sprint(len(body)) ||
		header.Get("Repr-Digest") != "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":" || header.Get("Cache-Control") != "no-store" ||
		!strings.HasPrefix(header.Get("Content-Disposition"), `attachment; filename="biocore-export-`) {
		t.Errorf("download: %v", header)
	}
	r, err := archive.Verify(bytes.NewReader(body), int64(len(body)), nil)
	if err != nil || !r.Valid() || r.Manifest.Slug != "acme" {
		t.Errorf("Verify = %+v, %v", r, err)
	}

	// A tenant that is stopped still gets it, with its own key; and no other key does.
	w.must(t, "DELETE", "/admin/v1/tenants/"+acme.id, w.platformKey, nil)
	w.file(t, path, acme.secret)
	for name, tt := range map[string]struct {
		key, reason string
		status      int
	}{
		"the platform's":  {w.platformKey, "EXPORT_OF_ANOTHER", http.StatusForbidden},
		"a publishable":   {acme.publishable, "API_KEY_KIND_NOT_ALLOWED", http.StatusForbidden},
		"without scope":   {narrow, "SCOPE_MISSING", http.StatusForbidden},
		"none":            {"", "CREDENTIALS_MISSING", http.StatusUnauthorized},
		"one that is not": {"bk_nonsense", "API_KEY_INVALID", http.StatusUnauthorized},
	} {
		if a := w.call(t, "GET", path+":download", tt.key, nil); a.status != tt.status || a.reason() != tt.reason {
			t.Errorf("download with %s key: %s", name, a)
		}
	}
	// The platform starts one while it is being deleted; the tenant's key, which is stopped, does not.
	if a := w.call(t, "POST", "/admin/v1/tenants/"+acme.id+":export", acme.secret, map[string]any{"reason": "x"}); a.reason() != "TENANT_DELETING" {
		t.Errorf("a stopped tenant's key: %s", a)
	}
	w.must(t, "POST", w.export(t, acme)+":cancel", w.platformKey, map[string]any{})
}

// file downloads an archive.
func (w *world) file(t *testing.T, path, key string) ([]byte, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path+":download", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("download = %d, %v: %s", res.StatusCode, err, b.String())
	}
	return b.Bytes(), res.Header
}

// mint makes a server key with one scope.
func (w *world) mint(t *testing.T, c *customer, scope string) string {
	t.Helper()
	return w.must(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "SECRET", "name": "narrow", "scopes": []string{scope}}).text("key")
}

// Another tenant's exports look as nobody's do, under its own id and under the caller's.
func TestExportOfAnotherTenant(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	path := w.export(t, acme)
	id := path[strings.LastIndexByte(path, '/')+1:]
	nobody := uuid.NewString()
	for _, of := range []struct{ tenant, export string }{{acme.id, id}, {globex.id, id}, {nobody, id}, {acme.id, nobody}, {globex.id, nobody}} {
		for _, call := range []struct{ method, path string }{
			{"GET", "/exports/" + of.export}, {"GET", "/exports/" + of.export + ":download"}, {"POST", "/exports/" + of.export + ":cancel"}, {"GET", "/exports"}, {"POST", ":export"},
		} {
			if of.tenant == globex.id && !strings.HasPrefix(call.path, "/exports/") {
				continue // its own
			}
			a := w.call(t, call.method, "/admin/v1/tenants/"+of.tenant+call.path, globex.secret, map[string]any{"reason": "x"})
			want := "TENANT_UNKNOWN"
			if of.tenant == globex.id {
				want = "EXPORT_UNKNOWN"
			}
			if a.status != http.StatusNotFound || a.reason() != want {
				t.Errorf("%s %s of tenant %s: %s, want %s", call.method, call.path, of.tenant, a, want)
			}
		}
	}
	if a := w.must(t, "GET", path, acme.secret, nil); a.text("state") == "CANCELLED" {
		t.Error("another tenant has cancelled it")
	}
	for _, garbage := range []string{"x", id[1:], id + "x"} {
		if a := w.call(t, "GET", "/admin/v1/tenants/"+acme.id+"/exports/"+garbage+":download", acme.secret, nil); a.status != http.StatusNotFound {
			t.Errorf("download of %q: %s", garbage, a)
		}
	}
}

// The operator's commands: one asks, waits and fetches; the other finds what is wrong with a
// file, and needs nothing else.
func TestTenantExportCommands(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t, "acme")
	w.enroll(t, acme, "alice")
	s := newShell(t, w.cfg)
	file := filepath.Join(t.TempDir(), "acme.zip")
	s.refused(t, 2, "--reason is required", "tenant", "export", "acme")
	s.refused(t, 1, "no such tenant", "tenant", "export", "nobody", "--reason", "x")

	out, progress, code := s.run(t, "tenant", "export", "acme", "--reason", "the contract ends", "--wait", "--out", file)
	if code != 0 || !strings.Contains(out, "SHA-256") || !strings.Contains(progress, "QUEUED: ") || !strings.Contains(progress, "DONE: ") {
		t.Fatalf("tenant export = %d\n%s%s", code, out, progress)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if about, err := os.Stat(file); err != nil || about.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", about.Mode(), err)
	}
	s.refused(t, 1, "file exists", "tenant", "export", "acme", "--reason", "again", "--out", file)

	keySet := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(keySet, []byte(w.call(t, "GET", "/t/acme/.well-known/jwks.json", "", nil).raw), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := s.must(t, "tenant", "verify-export", "--jwks", keySet, file); !strings.Contains(out, "ok") || strings.Contains(out, "FAIL") || !strings.Contains(out, "of the key set") {
		t.Errorf("verify-export: %s", out)
	}
	if a := s.read(t, "tenant", "verify-export", file); a.at("valid") != any(true) {
		t.Errorf("verify-export --json = %s", a.raw)
	}
	// One byte of the data of the first file.
	at := bytes.Index(raw, []byte("tenant.jsonl")) + 60
	raw[at] ^= 1
	bad := filepath.Join(t.TempDir(), "bad.zip")
	if err := os.WriteFile(bad, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, code := s.run(t, "tenant", "verify-export", bad); code != 1 || !strings.Contains(out, "FAIL  tenant.jsonl: ") {
		t.Errorf("verify-export of a changed file = %d: %s", code, out)
	}
	if err := os.WriteFile(bad, raw[:len(raw)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	s.refused(t, 1, "no archive", "tenant", "verify-export", bad)
}

// Exports are listed and cancelled from a shell, where no server runs to write them.
func TestTenantExportsAndCancelCommands(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.ObjectStorageURL = "file://" + t.TempDir()
	s := newShell(t, cfg)
	for _, slug := range []string{"acme", "globex"} {
		s.must(t, "tenant", "create", slug, "--name", slug, "--mode", "test", "--rp-id", "localhost", "--origin", "http://localhost:8080")
	}
	if out := s.must(t, "tenant", "exports", "acme"); out != "no exports\n" {
		t.Errorf("tenant exports = %q", out)
	}
	first := s.read(t, "tenant", "export", "acme", "--reason", "the contract ends").text("id")
	s.refused(t, 2, "--tenant is required", "tenant", "cancel-export", first)
	s.refused(t, 2, "an export", "tenant", "cancel-export", "--tenant", "acme", "nonsense")
	s.refused(t, 1, "no such export", "tenant", "cancel-export", "--tenant", "globex", first)
	s.refused(t, 1, "no such tenant", "tenant", "exports", "nobody")

	gone := s.read(t, "tenant", "cancel-export", "--tenant", "acme", "--reason", "asked for by mistake", first)
	if gone.text("id") != first || gone.text("state") != "CANCELLED" || gone.text("endedAt") == "" {
		t.Errorf("tenant cancel-export = %s", gone.raw)
	}
	s.refused(t, 1, "has ended", "tenant", "cancel-export", "--tenant", "acme", first)
	second := s.read(t, "tenant", "export", "acme", "--reason", "now in earnest").text("id")
	if out := s.must(t, "tenant", "cancel-export", "--tenant", "acme", second); !strings.Contains(out, second+" is cancelled") {
		t.Errorf("tenant cancel-export = %q", out)
	}

	list, _ := s.read(t, "tenant", "exports", "acme").at("exports").([]any)
	if len(list) != 2 {
		t.Fatalf("tenant exports --json = %v", list)
	}
	for i, want := range []string{second, first} { // the newest first
		if e, _ := list[i].(map[string]any); e["id"] != want || e["state"] != "CANCELLED" {
			t.Errorf("exports[%d] = %v, want %s", i, e, want)
		}
	}
	if out := s.must(t, "tenant", "exports", "acme"); !strings.Contains(out, "cancelled") || !strings.Contains(out, "the contract ends") || !strings.Contains(out, first) {
		t.Errorf("tenant exports = %s", out)
	}
	if out := s.must(t, "tenant", "exports", "globex"); out != "no exports\n" {
		t.Errorf("another tenant's: %s", out)
	}
	if out := s.must(t, "audit", "list", "--tenant", "acme", "--filter", "action = export.cancel"); !strings.Contains(out, "asked for by mistake") {
		t.Errorf("audit list = %s", out)
	}
}
