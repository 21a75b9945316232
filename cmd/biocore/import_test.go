package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// importedLine is a user without credentials.
const importedLine = `{"externalId":"imported","name":"Imported"}`

// newImport makes an import and returns its path.
func (w *world) newImport(t *testing.T, c *customer) string {
	t.Helper()
	return "/admin/v1/imports/" + w.must(t, "POST", "/admin/v1/imports", c.secret, map[string]any{"rpId": "example.com"}).text("id")
}

// checkedImport makes an import whose check of one line is complete.
func (w *world) checkedImport(t *testing.T, c *customer) string {
	t.Helper()
	at := w.newImport(t, c)
	w.must(t, "POST", at+":append", c.secret, map[string]any{"firstLine": 1, "lines": []string{importedLine}})
	w.must(t, "POST", at+":complete", c.secret, map[string]any{})
	return at
}

// What one tenant exports another of the same RP ID imports, through the API alone; the
// authenticator that was enrolled in the first signs its user in to the second, with the
// handle that it was told, and it knows the user by name, not by list: a handle that is
// not kept turns it red.
func TestExportAndImport(t *testing.T) {
	w := newWorld(t)
	from, to := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.enroll(t, from, "alice")
	exported := w.must(t, "GET", "/admin/v1/exports/users", from.secret, nil)
	lines, _ := exported.at("lines").([]any)
	if len(lines) != 1 || exported.text("nextPageToken") != "" {
		t.Fatalf("exported = %s", exported)
	}
	at := w.newImport(t, to)
	for _, step := range []struct {
		verb string
		body map[string]any
	}{
		{":append", map[string]any{"firstLine": 1, "lines": lines}}, {":complete", map[string]any{}}, {":run", map[string]any{}},
		{":append", map[string]any{"firstLine": 1, "lines": lines}}, {":complete", map[string]any{}},
	} {
		w.must(t, "POST", at+step.verb, to.secret, step.body)
	}
	if done := w.must(t, "GET", at, to.secret, nil); done.text("state") != "DONE" {
		t.Fatalf("import = %s", done)
	}
	to.authenticator = from.authenticator
	w.signIn(t, to)

	show := w.must(t, "GET", "/admin/v1/relyingParty", to.secret, nil)
	list, _ := show.at("credentials").([]any)
	if len(list) != 1 || show.text("rpId") != "example.com" {
		t.Errorf("relying party = %s", show)
	}
	plan := w.must(t, "POST", "/admin/v1/relyingParty:plan", to.secret, map[string]any{"rpId": "acme.example", "origins": []string{"https://acme.example"}})
	if plan.text("way") != "KEEP_RP_ID" || plan.at("usersStranded") != 1.0 {
		t.Errorf("plan = %s", plan)
	}
	check := w.must(t, "POST", "/admin/v1/relyingParty:check", to.secret, map[string]any{"origins": []string{"https://evil.example"}})
	if !strings.Contains(check.raw, "ORIGIN_UNRELATED") {
		t.Errorf("check = %s", check)
	}
}

// The commands do the same without a server, and --resume goes on with the same file
// and refuses another.
func TestImportCommands(t *testing.T) {
	w := newWorld(t)
	from, to := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.enroll(t, from, "alice")
	w.enroll(t, from, "bob")
	sh := newShell(t, w.cfg)
	file := filepath.Join(t.TempDir(), "users.jsonl")
	sh.must(t, "export", "users", "--tenant", from.slug, file)
	var m manifestJSON
	raw, err := os.ReadFile(file + ".manifest.json")
	if err != nil || json.Unmarshal(raw, &m) != nil || m.Users != 2 || m.Credentials != 2 || m.RPID != "example.com" {
		t.Errorf("manifest = %s, %v", raw, err)
	}
	checked := sh.must(t, "import", "--tenant", to.slug, "--rp-id", "example.com", "--dry-run", "--json", file)
	var im importJSON
	if err := json.Unmarshal([]byte(checked), &im); err != nil || im.State != "CHECKED" || im.CheckedCounts.UsersCreated != 2 {
		t.Fatalf("dry run = %s, %v", checked, err)
	}
	done := sh.must(t, "import", "--tenant", to.slug, "--resume", im.ID, "--json", file)
	if err := json.Unmarshal([]byte(done), &im); err != nil || im.State != "DONE" || im.Counts.CredentialsCreated != 2 {
		t.Errorf("run = %s, %v", done, err)
	}
	to.authenticator = from.authenticator
	w.signIn(t, to)

	half := filepath.Join(t.TempDir(), "half.jsonl")
	if err := os.WriteFile(half, []byte(importedLine+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	begun := w.newImport(t, to)
	w.must(t, "POST", begun+":append", to.secret, map[string]any{"firstLine": 1, "lines": []string{`{"externalId":"another"}`}})
	sh.refused(t, 1, "not the file", "import", "--tenant", to.slug, "--resume", strings.TrimPrefix(begun, "/admin/v1/imports/"), half)

	if out := sh.must(t, "rp", "plan", "--tenant", to.slug, "--rp-id", "acme.example", "--origins", "https://acme.example"); !strings.Contains(out, "KEEP_RP_ID") {
		t.Errorf("rp plan = %s", out)
	}
	if out := sh.must(t, "rp", "check", "--tenant", to.slug, "--origins", "https://example.com.evil.example"); !strings.Contains(out, "ORIGIN_UNRELATED") {
		t.Errorf("rp check = %s", out)
	}
	if out := sh.must(t, "rp", "show", "--tenant", to.slug); !strings.Contains(out, "example.com: 2 credentials of 2 users") {
		t.Errorf("rp show = %s", out)
	}
}

// Killed in the middle of the check and again in the middle of the run, by SIGKILL, an
// import goes on where it stood: each user is there once.
func TestImportIsKilled(t *testing.T) {
	const users = 4000 // twenty batches
	w := newWorld(t)
	c := w.tenant(t, "acme")
	sh := newShell(t, w.cfg)
	var lines strings.Builder
	for i := range users {
		fmt.Fprintf(&lines, `{"externalId":"user-%d","name":"User"}`+"\n", i)
	}
	file := filepath.Join(t.TempDir(), "users.jsonl")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	conn := w.store.Superuser(t)
	stands := func() (state string, position int) {
		err := conn.QueryRow(t.Context(), "SELECT state, position FROM imports WHERE tenant_id = $1", c.id).Scan(&state, &position)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			t.Fatal(err)
		}
		return state, position
	}
	// until starts the command, and kills it as soon as the import has come somewhere.
	until := func(want string, args ...string) {
		t.Helper()
		p := startProgram(t, launch{args: append([]string{"import", "--tenant", c.slug}, args...), dir: sh.dir})
		deadline := time.Now().Add(time.Minute)
		for {
			if state, position := stands(); state == want && position > 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("no import is %s after a minute", want)
			}
			pause(t, time.Millisecond)
		}
		if err := p.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		p.exit(t)
		if state, position := stands(); state != want || position == 0 || position >= users {
			t.Fatalf("killed too late: %s at %d", state, position)
		}
	}
	until("CHECKING", "--rp-id", "example.com", file)
	var id string
	if err := conn.QueryRow(t.Context(), "SELECT id::text FROM imports WHERE tenant_id = $1", c.id).Scan(&id); err != nil {
		t.Fatal(err)
	}
	until("RUNNING", "--resume", id, file)
	_, position := stands()
	var there int
	count := func() int {
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM users WHERE tenant_id = $1", c.id).Scan(&there); err != nil {
			t.Fatal(err)
		}
		return there
	}
	if n := count(); n != position {
		t.Errorf("%d users after the import stood at line %d", n, position)
	}
	var im importJSON
	done := sh.must(t, "import", "--tenant", c.slug, "--resume", id, "--json", file)
	if err := json.Unmarshal([]byte(done), &im); err != nil || im.State != "DONE" || im.Counts.UsersCreated != users || im.Counts.LinesFailed != 0 {
		t.Errorf("resumed = %s, %v", done, err)
	}
	if n := count(); n != users {
		t.Errorf("%d users, want each of %d once", n, users)
	}
}
