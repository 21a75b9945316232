package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An auditor's way: list what was refused, fetch a piece by the command line, verify it
// with the file and the tenant's key set alone, and see through whoever changes a byte.
func TestEvidenceCommands(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.enroll(t, acme, "alice")
	w.enroll(t, globex, "bob")
	sh := newShell(t, w.cfg)

	var all []evidenceJSON
	if err := json.Unmarshal([]byte(sh.must(t, "evidence", "list", "--tenant", acme.slug, "--json")), &all); err != nil || len(all) != 1 {
		t.Fatalf("list = %+v, %v, want the one of acme", all, err)
	}
	piece := all[0]
	if piece.Outcome != "ALLOW" || piece.CredentialID != acme.credential || piece.UserID != acme.user {
		t.Errorf("piece = %+v", piece)
	}
	if out := sh.must(t, "evidence", "list", "--tenant", acme.slug, "--filter", "outcome = FAILED"); out != "" {
		t.Errorf("what was refused: %s", out)
	}

	dir := t.TempDir()
	file, jwks := filepath.Join(dir, "evidence.json"), filepath.Join(dir, "keys.json")
	downloaded := sh.must(t, "evidence", "download", "--tenant", acme.slug, piece.ID)
	write := func(path, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, downloaded)
	keySet := func(c *customer) string {
		res, err := http.Get(w.url + "/t/" + c.slug + "/.well-known/jwks.json")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	write(jwks, keySet(acme))

	// Where it is verified there is neither configuration nor network.
	alone := &shell{dir: t.TempDir()}
	out := alone.must(t, "evidence", "verify", "--jwks", jwks, file)
	if strings.Count(out, "\nok ") != 7 || !strings.Contains(out, piece.ID) || !strings.Contains(out, piece.SHA256) {
		t.Errorf("verify = %s", out)
	}
	write(jwks, keySet(globex))
	if out, _, code := alone.run(t, "evidence", "verify", "--jwks", jwks, file); code != 1 || !strings.Contains(out, "FAIL  signature") {
		t.Errorf("by another tenant's keys = %d\n%s", code, out)
	}
	write(file, strings.Replace(downloaded, `"outcome":"ALLOW"`, `"outcome":"DENY."`, 1))
	if out, _, code := alone.run(t, "evidence", "verify", file); code != 1 || !strings.Contains(out, "FAIL  hash") {
		t.Errorf("of a changed file = %d\n%s", code, out)
	}
	sh.refused(t, 1, "EVIDENCE_UNKNOWN", "evidence", "download", "--tenant", globex.slug, piece.ID)
}
