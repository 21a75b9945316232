package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/scope"
)

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
	c, err := openControl(t.Context(), &environment{in: strings.NewReader(""), out: os.Stdout, err: os.Stderr, dir: sh.dir}, filepath.Join(sh.dir, devConfig))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	archives, err := c.auditArchives(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sc := scope.New(uuid.MustParse(acme.id), scope.Actor{Kind: scope.ActorSystem, ID: "test"})
	eventually(t, "an archive", func() bool { // its checkpoint is kept at once: it is the first
		did, err := archives.Archive(t.Context(), sc, time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return did
	})
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
	rest := file("a-rest.jsonl", sh.must(t, "audit", "export", "--tenant", acme.slug, "--from", strconv.FormatInt(list[0].To, 10)))
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
