package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// archive has what there is of a tenant's log archived.
func (w *world) archive(t *testing.T, of *customer) (*cold.Service, scope.Scope) {
	t.Helper()
	sh := newShell(t, w.cfg)
	c, err := openControl(t.Context(), &environment{in: strings.NewReader(""), out: os.Stdout, err: os.Stderr, dir: sh.dir}, filepath.Join(sh.dir, devConfig))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	archives, err := c.auditArchives(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sc := scope.New(uuid.MustParse(of.id), scope.Actor{Kind: scope.ActorSystem, ID: "test"})
	eventually(t, "an archive", func() bool {
		page, err := c.trail.Checkpoints(t.Context(), sc, listing.Request{})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Items) == 0 {
			return false
		}
		// The first is kept at once, and may not be over all that there is.
		before := time.Now().Add(time.Hour)
		if err := c.store.ReadTenant(t.Context(), sc, func(tx *db.TenantTx) error {
			at, err := trail.SequencedAtIn(t.Context(), tx, page.Items[len(page.Items)-1].Size)
			if at != nil {
				before = *at
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		did, err := archives.Archive(t.Context(), sc, before)
		if err != nil {
			t.Fatal(err)
		}
		return did
	})
	return archives, sc
}

// What is archived of a log is listed and handed out, and archives and an export of the rest are verified as one, far from the
// database: whatever order the files are named in.
func TestAuditArchives(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.ObjectStorageURL = "file://" + t.TempDir()
	w := startWorld(t, store, cfg)
	acme := w.tenant(t, "acme")
	w.enroll(t, acme, "alice")
	sh := newShell(t, w.cfg)
	archives, sc := w.archive(t, acme)
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	list, err := archives.List(t.Context(), sc, 0, 10)
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	if out := sh.must(t, "audit", "archives", "list", "--tenant", acme.slug); !strings.Contains(out, "no lock is configured") {
		t.Errorf("audit archives list:\n%s", out)
	}
	if out := sh.must(t, "audit", "archives", "list", "--tenant", acme.slug, "--json"); !strings.Contains(out, `"file:///`) || !strings.Contains(out, `"from": 0`) {
		t.Errorf("audit archives list --json:\n%s", out)
	}
	old := file("old.jsonl", sh.must(t, "audit", "archives", "get", "--tenant", acme.slug, "0"))
	var later string
	eventually(t, "the log goes on: that the archive was read is an entry", func() bool {
		out, complaint, code := sh.run(t, "audit", "export", "--tenant", acme.slug, "--from", strconv.FormatInt(list[0].To, 10))
		if later = out; code != 0 && !strings.Contains(complaint, "AUDIT_SIZES_INVALID") {
			t.Fatal(complaint)
		}
		return code == 0
	})
	rest := file("a-rest.jsonl", later)
	key := strings.TrimSpace(sh.must(t, "audit", "checkpoint", "--tenant", acme.slug, "--key"))
	for _, files := range [][]string{{old, rest}, {rest, old}} {
		if out := sh.must(t, append([]string{"audit", "verify", "--key", key}, files...)...); !strings.Contains(out, "entries      0 to ") || !strings.Contains(out, "✓") {
			t.Errorf("audit verify %s:\n%s", files, out)
		}
	}
	raw, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	listed := w.call(t, "GET", "/admin/v1/auditArchives", acme.secret, nil)
	if listed.status != 200 || !strings.Contains(listed.raw, `"sha256":"`) || strings.Contains(listed.raw, `"lockProblem":""`) {
		t.Errorf("ListAuditArchives: %s", listed)
	}
	if a := w.call(t, "GET", "/admin/v1/auditArchives:download?from=0", acme.secret, nil); a.status != 200 || a.raw != string(raw) {
		t.Errorf("download: %d, %d bytes", a.status, len(a.raw))
	}
	other := w.tenant(t, "globex")
	for name, tt := range map[string]struct {
		key, path, reason string
	}{
		"another tenant's":   {other.secret, "auditArchives:download?from=0", "AUDIT_ARCHIVE_UNKNOWN"},
		"none begins there":  {acme.secret, "auditArchives:download?from=1", "AUDIT_ARCHIVE_UNKNOWN"},
		"no number":          {acme.secret, "auditArchives:download?from=x", "AUDIT_SIZES_INVALID"},
		"another scope's":    {w.mint(t, acme, apikey.ScopeUsersRead), "auditArchives:download?from=0", "SCOPE_MISSING"},
		"the platform's key": {w.platformKey, "auditArchives:download?from=0", "API_KEY_KIND_NOT_ALLOWED"},
		"a token of no page": {acme.secret, "auditArchives?pageToken=x", "PAGE_TOKEN_INVALID"},
	} {
		if a := w.call(t, "GET", "/admin/v1/"+tt.path, tt.key, nil); a.reason() != tt.reason {
			t.Errorf("%s: %s, want %s", name, a, tt.reason)
		}
	}
	if a := w.call(t, "GET", "/admin/v1/auditArchives", other.secret, nil); a.status != 200 || strings.Contains(a.raw, "sha256") {
		t.Errorf("another tenant's list: %s", a)
	}
	if a := w.call(t, "GET", "/admin/v1/auditEvents", acme.secret, nil); a.status != 200 || strings.Contains(a.raw, "archivedBefore\":\"") {
		t.Errorf("nothing has left, and %s", a)
	}
	lines := strings.SplitN(string(raw), "\n", 4)
	lines[2] = strings.Replace(lines[2], `\"outcome\":\"success\"`, `\"outcome\":\"denied\"`, 1)
	changed := file("changed.jsonl", strings.Join(lines, "\n"))
	if out, said, code := sh.run(t, "audit", "verify", "--key", key, rest, changed); code != 1 || !strings.Contains(out, "✗ entry 1: its text") {
		t.Errorf("audit verify of a changed archive = %d:\n%s%s", code, out, said)
	}
	if out, said, code := sh.run(t, "audit", "verify", "--key", key, old, old); code != 1 || !strings.Contains(said, "do not follow one another") {
		t.Errorf("audit verify of one twice = %d:\n%s%s", code, out, said)
	}
	if out, said, code := sh.run(t, "audit", "archives", "get", "--tenant", acme.slug, "1"); code != 1 || !strings.Contains(said, "no archive of the audit log begins") {
		t.Errorf("audit archives get 1 = %d:\n%s%s", code, out, said)
	}
}
