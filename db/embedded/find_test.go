package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bin makes a folder with programs that answer --version with these texts.
func bin(t *testing.T, answers map[string]string) string {
	t.Helper()
	dir := openDir(t)
	for name, answer := range answers {
		script := "#!/bin/sh\necho '" + answer + "'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFindPostgres(t *testing.T) {
	initdb := "initdb (PostgreSQL) 15.18"
	for _, tt := range []struct {
		name    string
		answers map[string]string
		version int
		want    string // in the error; DIR stands for the folder
	}{
		{
			name: "of Debian", version: 15,
			answers: map[string]string{"initdb": initdb, "postgres": "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"},
		},
		{
			name: "a beta", version: 19,
			answers: map[string]string{"initdb": initdb, "postgres": "postgres (PostgreSQL) 19beta1"},
		},
		{
			name: "empty folder",
			want: "PostgreSQL 15 or newer not found in DIR: no program initdb in DIR; to install it: " +
				"`apt-get install --yes postgresql` (Debian, Ubuntu) or `brew install postgresql@15` (macOS)",
		},
		{name: "clients only", answers: map[string]string{"initdb": initdb}, want: "no program postgres in DIR"},
		{
			name: "too old", want: "DIR has version 14, and 15 is the oldest that works",
			answers: map[string]string{"initdb": initdb, "postgres": "postgres (PostgreSQL) 14.2"},
		},
		{
			name: "something else", want: "names no version",
			answers: map[string]string{"initdb": initdb, "postgres": "hello"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := bin(t, tt.answers)
			got, version, err := FindPostgres(t.Context(), dir)
			if tt.want == "" {
				if err != nil || got != dir || version != tt.version {
					t.Errorf("FindPostgres = %s, %d, %v; want %s, %d", got, version, err, dir, tt.version)
				}
				return
			}
			if _, ok := errors.AsType[*NotFoundError](err); !ok {
				t.Fatalf("FindPostgres error = %v, want a NotFoundError", err)
			}
			if want := strings.ReplaceAll(tt.want, "DIR", dir); !strings.Contains(err.Error(), want) {
				t.Errorf("error text = %q, want %q in it", err, want)
			}
		})
	}
	t.Run("on this machine", func(t *testing.T) {
		if _, version, err := FindPostgres(t.Context(), ""); err != nil || version < minPostgres {
			t.Errorf("FindPostgres = %d, %v", version, err)
		}
	})
	t.Run("wrong folder reaches the caller", func(t *testing.T) {
		_, err := StartPostgres(t.Context(), PostgresOptions{DataDir: dataDir(t), BinDir: "/nonexistent"})
		if _, ok := errors.AsType[*NotFoundError](err); !ok || !strings.Contains(err.Error(), "apt-get install --yes postgresql") {
			t.Errorf("StartPostgres error = %v, want a NotFoundError with the line to run", err)
		}
	})
	// As root the programs run as another account, and must be there for it.
	t.Run("a folder that only we may enter", func(t *testing.T) {
		dir := bin(t, map[string]string{"initdb": initdb, "postgres": "postgres (PostgreSQL) 15.18"})
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		acct := unprivileged(t)
		_, _, err := findPostgres(t.Context(), dir, 0, acct)
		if acct.isSelf() && err != nil {
			t.Errorf("findPostgres error = %v, want none", err)
		}
		if !acct.isSelf() && (err == nil || !strings.Contains(err.Error(), "cannot be run by user "+acct.name)) {
			t.Errorf("findPostgres error = %v, want one that names the user", err)
		}
	})
}

func TestPostgresPlacesAreSortedByVersion(t *testing.T) {
	if a, b := lastNumber("/usr/lib/postgresql/9/bin"), lastNumber("/usr/lib/postgresql/15/bin"); a != 9 || b != 15 {
		t.Errorf("lastNumber = %d, %d; want 9, 15", a, b)
	}
	if n := lastNumber("/opt/postgresql@/bin"); n != 0 {
		t.Errorf("lastNumber without a number = %d, want 0", n)
	}
}

func TestFindRedis(t *testing.T) {
	dir := bin(t, map[string]string{
		"new": "Redis server v=7.0.15 sha=00000000:0", "valkey": "Valkey server v=8.1.4 sha=00000000:0", "old": "Redis server v=6.2.1 sha=00000000:0",
	})
	for _, name := range []string{"new", "valkey"} {
		if got, err := FindRedis(t.Context(), filepath.Join(dir, name)); err != nil || got != filepath.Join(dir, name) {
			t.Errorf("FindRedis = %s, %v; want it", got, err)
		}
	}
	for name, want := range map[string]string{
		"old":    "has version 6, and 7 is the oldest that works",
		"absent": "not found in " + filepath.Join(dir, "absent") + "; to install it: `apt-get install --yes redis-server`",
	} {
		_, err := FindRedis(t.Context(), filepath.Join(dir, name))
		if _, ok := errors.AsType[*NotFoundError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("FindRedis(%s) error = %v, want a NotFoundError with %q", name, err, want)
		}
	}
}
