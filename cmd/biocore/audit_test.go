package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A log is checked far from its database, by its file and the key that was kept.
func TestAuditLogCommands(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.enroll(t, acme, "alice")
	w.enroll(t, globex, "bob")
	sh := newShell(t, w.cfg)
	eventually(t, "a checkpoint of both logs", func() bool {
		for _, c := range []*customer{acme, globex} {
			if _, _, code := sh.run(t, "audit", "checkpoint", "--tenant", c.slug); code != 0 {
				return false
			}
		}
		return true
	})
	key, foreign := sh.must(t, "audit", "checkpoint", "--tenant", acme.slug, "--key"), sh.must(t, "audit", "checkpoint", "--tenant", globex.slug, "--key")
	bundle := sh.must(t, "audit", "export", "--tenant", acme.slug)
	if strings.Contains(bundle, globex.id) {
		t.Error("the bundle holds another tenant's entries")
	}
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, pinned := file("audit.jsonl", bundle), file("acme.vkey", key)
	if out := sh.must(t, "audit", "verify", good, "--key", "@"+pinned); !strings.Contains(out, "✓ every entry is there") || strings.Contains(out, "the bundle’s own") {
		t.Errorf("verify: %s", out)
	}
	if out := sh.must(t, "audit", "verify", good); !strings.Contains(out, "the bundle’s own") {
		t.Errorf("verify without a key: %s", out)
	}
	if a := sh.read(t, "audit", "verify", good, "--key", strings.TrimSpace(key), "--json"); !strings.Contains(a.raw, `"valid": true`) || !strings.Contains(a.raw, `"keyGiven": true`) || !strings.Contains(a.raw, `"findings": []`) {
		t.Errorf("verify --json: %s", a)
	}
	sh.refused(t, 1, "not of the log that the key is of", "audit", "verify", good, "--key", strings.TrimSpace(foreign))
	edited := file("edited.jsonl", strings.Replace(bundle, `\"outcome\":\"success\"`, `\"outcome\":\"denied\"`, 1))
	out, complaint, code := sh.run(t, "audit", "verify", edited, "--key", "@"+pinned)
	if code != 1 || !strings.Contains(out, "✗ entry 0: its text") || !strings.Contains(complaint, "does not verify") {
		t.Errorf("verify what was edited = %d, %s%s", code, out, complaint)
	}
	sh.refused(t, 1, "from and to are sizes of the log", "audit", "export", "--tenant", acme.slug, "--from", "100000")
	if out := sh.must(t, "audit", "list", "--tenant", acme.slug, "--filter", "action = auditlog.export"); strings.Count(out, "auditlog.export") != 1 {
		t.Errorf("entries of exports: %s", out)
	}
}
