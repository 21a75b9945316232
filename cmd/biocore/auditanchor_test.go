package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
)

// A running server anchors by itself; what the API and the command line answer of it is one thing, and an export is
// held to it far from the database.
func TestAuditAnchor(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.ObjectStorageURL = "file://" + t.TempDir()
	w := startWorld(t, store, cfg)
	acme := w.tenant(t, "acme")
	w.enroll(t, acme, "alice")
	var a answer
	super := store.Superuser(t)
	eventually(t, "an anchor", func() bool {
		a = w.call(t, "GET", "/admin/v1/auditLog/anchor", acme.secret, nil)
		if a.status != http.StatusOK {
			if a.reason() != "AUDIT_ANCHOR_UNKNOWN" || a.status != http.StatusNotFound {
				t.Fatalf("before any anchor: %s", a)
			}
			// A minute is long: the last anchor is an hour old.
			if _, err := super.Exec(t.Context(), "UPDATE audit_anchor_log SET at = at - interval '1 hour'"); err != nil {
				t.Fatal(err)
			}
		}
		return a.status == http.StatusOK
	})
	if !strings.HasPrefix(a.text("object"), "file:///") || a.text("lockProblem") == "" || a.text("lockedUntil") != "" || a.text("origin") != "localhost:8080/audit/"+acme.id && !strings.HasSuffix(a.text("origin"), "/audit/"+acme.id) {
		t.Errorf("anchor: %s", a)
	}
	sh := newShell(t, w.cfg)
	printed := sh.must(t, "audit", "anchor", "--tenant", acme.slug)
	if !strings.Contains(printed, `"object": "`+a.text("object")[:20]) {
		t.Errorf("audit anchor: %s", printed)
	}
	key := strings.TrimSpace(sh.must(t, "audit", "anchor", "--tenant", acme.slug, "--key"))
	if key != a.text("verifierKey") {
		t.Errorf("audit anchor --key = %s, want %s", key, a.text("verifierKey"))
	}
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	byAPI, byCLI, pinned := file("api.json", a.raw), file("cli.json", printed), file("heads.vkey", key+"\n")
	bundle := file("audit.jsonl", sh.must(t, "audit", "export", "--tenant", acme.slug))
	for _, anchor := range []string{byAPI, byCLI} {
		if out := sh.must(t, "audit", "verify", bundle, "--anchor", anchor, "--anchor-key", "@"+pinned); !strings.Contains(out, "as it was when its head was anchored") {
			t.Errorf("verify --anchor: %s", out)
		}
	}
	if a := sh.read(t, "audit", "verify", bundle, "--anchor", byCLI, "--json"); !strings.Contains(a.raw, `"anchored": 1`) {
		t.Errorf("verify --anchor --json: %s", a)
	}
	sh.refused(t, 2, "goes with --anchor", "audit", "verify", bundle, "--anchor-key", key)
	sh.refused(t, 1, "the anchor does not hold", "audit", "verify", bundle, "--anchor", byCLI, "--anchor-key", strings.TrimSpace(sh.must(t, "audit", "checkpoint", "--tenant", acme.slug, "--key")))
	sh.refused(t, 1, "the anchor does not hold", "audit", "verify", bundle, "--anchor", file("changed.json", strings.Replace(printed, `\"size\":`, `\"size\":1`, 1)))

	objects, err := filepath.Glob(filepath.Join(strings.TrimPrefix(cfg.ObjectStorageURL, "file://"), "audit-heads", "*", "*"))
	if err != nil || len(objects) == 0 {
		t.Fatalf("objects: %v, %v", objects, err)
	}
	if out := sh.must(t, "audit", "verify", objects[0], "--key", key); !strings.Contains(out, "/audit/heads") {
		t.Errorf("verify of an object: %s", out)
	}
	// Without object storage there is none, and nobody says otherwise.
	none := w.cfg
	none.ObjectStorageURL = ""
	newShell(t, none).refused(t, 1, "no head of this audit log is in object storage", "audit", "anchor", "--tenant", acme.slug)
}
