package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/apikey"
)

// personFile asks for all that there is of a user, and returns what is answered.
func (w *world) personFile(t *testing.T, user, key, body string) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/admin/v1/users/"+user+":export", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, raw
}

// Two persons of one tenant and one of another leave a text of their own in each personal field. The archive of one has all of hers
// and none of theirs. Leaving the condition of one table out turns it red.
func TestPersonExportIsOfOnePerson(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.ObjectStorageURL, cfg.TrustedHops = "file://"+t.TempDir(), 1
	w := startWorld(t, store, cfg)
	of := func(mark, number string) traces {
		return traces{
			"external-" + mark, "name-" + mark + "@example.com", "Display " + mark, "mail-" + mark + "@privat.example", "+4670111" + number, "nickname of " + mark,
			"Agent of " + mark + "/1", "203.0.113." + strings.TrimLeft(number, "0"), "words about " + mark,
		}
	}
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	ada, bob, eve := of("ada", "0071"), of("bob", "0082"), of("eve", "0093")
	w.plant(t, acme, bob)
	bobs := *acme
	w.plant(t, globex, eve)
	auth, err := authenticatortest.New(authenticatortest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	acme.authenticator = auth
	w.plant(t, acme, ada)
	w.must(t, "POST", "/v1/users/"+bobs.user+":block", acme.secret, map[string]any{"reason": "something else about bob"})

	const asked = `{"reason":"she asked for it"}`
	status, header, raw := w.personFile(t, acme.user, acme.secret, asked)
	if status != http.StatusOK || header.Get("Content-Type") != "application/zip" || header.Get("Cache-Control") != "no-store" ||
		header.Get("Content-Disposition") != `attachment; filename="biocore-user-`+acme.user+`.zip"` {
		t.Fatalf("export = %d %v: %.300s", status, header, raw)
	}
	text := unpacked(t, raw)
	for _, hers := range append(ada.all(), acme.user, acme.credential, acme.session) {
		if !strings.Contains(text, hers) {
			t.Errorf("%q is not in her archive", hers)
		}
	}
	for _, theirs := range append(append(bob.all(), eve.all()...), bobs.user, bobs.credential, bobs.session, globex.user, globex.credential, globex.session, globex.id, "something else about bob") {
		if strings.Contains(text, theirs) {
			t.Errorf("%q is in her archive", theirs)
		}
	}
	report, err := archive.Verify(bytes.NewReader(raw), int64(len(raw)), []byte(w.call(t, "GET", "/t/acme/.well-known/jwks.json", "", nil).raw))
	if err != nil || !report.Valid() || report.Manifest.Format != archive.FormatOfUser || report.Manifest.UserID.String() != acme.user || report.Manifest.Slug != "acme" {
		t.Errorf("Verify = %+v, %v", report, err)
	}
	for _, f := range report.Manifest.Files {
		if f.Unopened+f.Missing != 0 || f.Rows == 0 && f.Name != "audit_waiting.jsonl" && f.Name != "audit_archived.jsonl" && f.Name != "active_users.jsonl" {
			t.Errorf("%+v", f)
		}
	}

	// The shell writes the same, and finds a byte that was changed.
	sh, file := newShell(t, cfg), filepath.Join(t.TempDir(), "ada.zip")
	sh.refused(t, 2, "--reason is required", "users", "export", "--tenant", "acme", "--out", file, acme.user)
	sh.refused(t, 1, "no such user", "users", "export", "--tenant", "acme", "--reason", "x", "--out", file, globex.user)
	if _, err := os.Stat(file); err == nil {
		t.Error("a file of nobody")
	}
	sh.must(t, "users", "export", "--tenant", "acme", "--reason", "she asked again", "--out", file, acme.user)
	if out := sh.must(t, "tenant", "verify-export", file); !strings.Contains(out, "of user "+acme.user+" of tenant acme") || strings.Contains(out, "FAIL") {
		t.Errorf("verify-export: %s", out)
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	written[bytes.Index(written, []byte("users.jsonl"))+60] ^= 1
	if err := os.WriteFile(file, written, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, code := sh.run(t, "tenant", "verify-export", file); code != 1 || !strings.Contains(out, "FAIL  users.jsonl") {
		t.Errorf("verify-export of a changed file = %d: %s", code, out)
	}

	entries := w.must(t, "GET", "/admin/v1/auditEvents?filter="+`action+%3D+user.export`, acme.secret, nil)
	if list, _ := entries.at("auditEvents").([]any); len(list) != 2 || !strings.Contains(entries.raw, "she asked for it") || !strings.Contains(entries.raw, report.Manifest.ExportID.String()) {
		t.Errorf("entries: %s", entries)
	}
	narrow := w.mint(t, acme, apikey.ScopeExportUsers)
	for name, tt := range map[string]struct {
		user, key, body, reason string
		status                  int
	}{
		"another tenant's user": {globex.user, acme.secret, asked, "USER_UNKNOWN", http.StatusNotFound},
		"another tenant's key":  {acme.user, globex.secret, asked, "USER_UNKNOWN", http.StatusNotFound},
		"no user's id":          {"x", acme.secret, asked, "USER_UNKNOWN", http.StatusNotFound},
		"no reason":             {acme.user, acme.secret, `{}`, "EXPORT_REASON_INVALID", http.StatusBadRequest},
		"no JSON":               {acme.user, acme.secret, `reason`, "REQUEST_MALFORMED", http.StatusBadRequest},
		"an unknown member":     {acme.user, acme.secret, `{"reason":"x","all":true}`, "REQUEST_MALFORMED", http.StatusBadRequest},
		"without the scope":     {acme.user, narrow, asked, "SCOPE_MISSING", http.StatusForbidden},
		"the platform's key":    {acme.user, w.platformKey, asked, "API_KEY_KIND_NOT_ALLOWED", http.StatusForbidden},
		"a publishable key":     {acme.user, acme.publishable, asked, "API_KEY_KIND_NOT_ALLOWED", http.StatusForbidden},
		"no key":                {acme.user, "", asked, "CREDENTIALS_MISSING", http.StatusUnauthorized},
	} {
		if status, _, raw := w.personFile(t, tt.user, tt.key, tt.body); status != tt.status || !strings.Contains(string(raw), tt.reason) {
			t.Errorf("%s: %d %s, want %d %s", name, status, raw, tt.status, tt.reason)
		}
	}
	w.must(t, "DELETE", "/v1/users/"+acme.user, acme.secret, nil)
	if status, _, raw := w.personFile(t, acme.user, acme.secret, asked); status != http.StatusNotFound {
		t.Errorf("of who is erased: %d %s", status, raw)
	}
}
