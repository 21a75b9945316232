package embedded

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A checkout that only we may enter. As root, Postgres runs as another account
// that cannot get there: the data go elsewhere, and nobody's modes are changed.
func TestPrivateCheckout(t *testing.T) {
	checkout := t.TempDir() // its parent has mode 0700
	before, err := os.Stat(filepath.Dir(checkout))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(checkout, ".biocore", "postgres")
	t.Cleanup(func() {
		if err := Remove(t.Context(), dir); err != nil {
			t.Errorf("Remove: %v", err)
		}
	})
	pg := startPostgres(t, PostgresOptions{DataDir: dir})
	remember(t, pg.SuperuserURL("postgres"), "walrus")
	placed := pg.DataDir
	if moved := placed != dir; moved != (os.Geteuid() == 0) {
		t.Errorf("DataDir = %s for user %d", placed, os.Geteuid())
	}
	stopPostgres(t, pg)

	pg = startPostgres(t, PostgresOptions{DataDir: dir})
	if got := recall(t, pg.SuperuserURL("postgres")); got != "walrus" {
		t.Errorf("after a restart the word is %q, want walrus", got)
	}
	stopPostgres(t, pg)
	after, err := os.Stat(filepath.Dir(checkout))
	if err != nil {
		t.Fatal(err)
	}
	if before.Mode() != after.Mode() {
		t.Errorf("the mode of %s went from %v to %v", filepath.Dir(checkout), before.Mode(), after.Mode())
	}

	if err := Remove(t.Context(), dir); err != nil {
		t.Fatalf("Remove: %v", err)
	}
	for _, gone := range []string{dir, placed} {
		if _, err := os.Lstat(gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there after Remove: %v", gone, err)
		}
	}
	if err := Remove(t.Context(), dir); err != nil {
		t.Errorf("Remove of nothing: %v", err)
	}
}

// Two checkouts must not meet on one folder.
func TestNoteOfACopiedCheckout(t *testing.T) {
	original, copied := t.TempDir(), t.TempDir()
	elsewhere := filepath.Join("/var/lib/biocore", elsewhereName(original))
	for _, dir := range []string{original, copied} {
		if err := os.WriteFile(filepath.Join(dir, locationFile), []byte(elsewhere+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := recorded(original); err != nil || got != elsewhere {
		t.Errorf("recorded = %q, %v; want %q", got, err, elsewhere)
	}
	if got, err := recorded(copied); err != nil || got != "" {
		t.Errorf("recorded in the copy = %q, %v; want none", got, err)
	}
}

// In a shared temporary folder somebody may have been there before us.
func TestMakeOwn(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(dir string) error
		want    string // in the error; empty for none
	}{
		{name: "new", prepare: func(string) error { return nil }},
		{name: "ours", prepare: func(dir string) error { return os.Mkdir(dir, 0o711) }},
		{
			name: "open to all", want: "may be written by others",
			prepare: func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)) },
		},
		{name: "a link", prepare: func(dir string) error { return os.Symlink("/", dir) }, want: "is not a folder"},
		{name: "a file", prepare: func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, want: "is not a folder"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "dir")
			if err := tt.prepare(dir); err != nil {
				t.Fatal(err)
			}
			err := makeOwn(dir)
			if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("makeOwn error = %v, want %q", err, tt.want)
			}
		})
	}
}

// `sudo make dev` after `make dev` runs on the same folder, and the other way
// round again. A folder that root made is refused to a normal user by a clear
// error. As a normal user there is nobody to take turns with.
func TestUsersTakeTurns(t *testing.T) {
	user := unprivileged(t)
	if user.isSelf() {
		return
	}
	program := reachableCopy(t)
	dir := filepath.Join(homeOf(t, user), "postgres")

	helper, input, servers := startHelper(t, program, dir, user)
	remember(t, servers.URL, "walrus")
	if err := errors.Join(input.Close(), helper.Wait()); err != nil {
		t.Fatal(err)
	}

	pg := startPostgres(t, PostgresOptions{DataDir: dir})
	if got := recall(t, pg.SuperuserURL("postgres")); got != "walrus" {
		t.Errorf("as root the word is %q, want walrus", got)
	}
	info, err := os.Stat(filepath.Join(dir, clusterDir, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if got := owner(info); got != user.uid {
		t.Errorf("as root the server runs as user %d, want the owner of its folder, %d", got, user.uid)
	}
	stopPostgres(t, pg)

	helper, input, servers = startHelper(t, program, dir, user)
	if got := recall(t, servers.URL); got != "walrus" {
		t.Errorf("as the user again the word is %q, want walrus", got)
	}
	if err := errors.Join(input.Close(), helper.Wait()); err != nil {
		t.Fatal(err)
	}

	if err := checkOurs(homeOf(t, user)); err == nil || !strings.Contains(err.Error(), "made by another user") {
		t.Errorf("checkOurs of another user's folder = %v, want an error that says so", err)
	}
}
