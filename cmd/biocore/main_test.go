package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// shell is a folder in which an operator types commands.
type shell struct{ dir string }

// newShell is a folder where `biocore dev` left cfg, and an environment that says
// nothing.
func newShell(t *testing.T, cfg Config) *shell {
	t.Helper()
	noVariables(t)
	s := &shell{dir: t.TempDir()}
	s.leave(t, cfg)
	return s
}

// leave writes the configuration as `biocore dev` does.
func (s *shell) leave(t *testing.T, cfg Config) {
	t.Helper()
	raw, err := cfg.write()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(s.dir, ".biocore"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, devConfig), raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// file is the path of a new file that has text.
func (s *shell) file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(s.dir, uuid.NewString())
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run types a command, and returns what it wrote and its exit code.
func (s *shell) run(t *testing.T, args ...string) (out, complaint string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), &environment{out: &stdout, err: &stderr, dir: s.dir}, args)
	return stdout.String(), stderr.String(), code
}

// must is run for a command that works and complains of nothing.
func (s *shell) must(t *testing.T, args ...string) string {
	t.Helper()
	out, complaint, code := s.run(t, args...)
	if code != 0 || complaint != "" {
		t.Fatalf("biocore %s = %d\n%s%s", strings.Join(args, " "), code, out, complaint)
	}
	return out
}

// read is must under --json, decoded.
func (s *shell) read(t *testing.T, args ...string) answer {
	t.Helper()
	a := answer{status: http.StatusOK, raw: s.must(t, append(args, "--json")...)}
	if err := json.Unmarshal([]byte(a.raw), &a.body); err != nil {
		t.Fatalf("biocore %s --json: %v\n%s", strings.Join(args, " "), err, a.raw)
	}
	return a
}

// items are the elements of a list in an answer, each as an answer of its own.
func (a answer) items(path ...string) []answer {
	list, _ := a.at(path...).([]any)
	out := make([]answer, len(list))
	for i, item := range list {
		out[i].body, _ = item.(map[string]any)
	}
	return out
}

// refused wants a command to end with code, and to say text and nothing on stdout.
func (s *shell) refused(t *testing.T, code int, text string, args ...string) {
	t.Helper()
	out, complaint, got := s.run(t, args...)
	if got != code || !strings.Contains(complaint, text) || out != "" {
		t.Errorf("biocore %s = %d, want %d that says %q\n%s%s", strings.Join(args, " "), got, code, text, out, complaint)
	}
}

// The help of every command is read and reviewed as text: testdata/help.golden.
func TestHelp(t *testing.T) {
	s := newShell(t, defaults())
	var got strings.Builder
	fmt.Fprintf(&got, "$ biocore help\n%s", s.must(t, "help"))
	for _, c := range commands() {
		help := s.must(t, append(strings.Fields(c.name), "--help")...)
		if !strings.Contains(help, "\n  --json\n") {
			t.Errorf("%s has no --json", c.name)
		}
		if !strings.HasPrefix(c.example, "biocore "+c.name) || !strings.HasSuffix(help, c.example+"\n") {
			t.Errorf("%s: the help does not end with its example", c.name)
		}
		fmt.Fprintf(&got, "\n$ biocore %s --help\n%s", c.name, help)
	}
	golden(t, "help.golden", got.String())
}

func TestUsage(t *testing.T) {
	s := newShell(t, defaults())
	for _, args := range [][]string{{"--help"}, {"-h"}, {"tenant", "--help"}} {
		if out := s.must(t, args...); !strings.Contains(out, "tenant create") {
			t.Errorf("biocore %v does not list the commands:\n%s", args, out)
		}
	}
	for _, tt := range []struct {
		args []string
		text string
	}{
		{nil, "Usage: biocore COMMAND"},
		{[]string{"tenant"}, "Usage: biocore COMMAND"},
		{[]string{"tenant", "destroy"}, "Usage: biocore COMMAND"},
		{[]string{"version", "--no-such"}, "flag provided but not defined: -no-such"},
		{[]string{"version", "extra"}, "want 0 argument(s) beside the flags, have 1"},
		{[]string{"tenant", "suspend"}, "want 1 argument(s) beside the flags, have 0"},
		{[]string{"tenant", "suspend", "a", "b"}, "want 1 argument(s) beside the flags, have 2"},
		{[]string{"tenant", "create", "globex", "--rp-id", "localhost"}, "--mode is live or test"},
		{[]string{"tenant", "create", "globex", "--mode", "staging", "--rp-id", "localhost"}, "--mode is live or test"},
		{[]string{"tenant", "create", "globex", "--mode", "test"}, "--rp-id is required"},
		{[]string{"apikey", "create", "--name", "n"}, "--tenant is required"},
		{[]string{"apikey", "create", "--tenant", "acme"}, "--name is required"},
		{[]string{"apikey", "create", "--tenant", "acme", "--name", "n", "--kind", "master"}, "--kind is secret, publishable or platform"},
		{[]string{"apikey", "create", "--tenant", "acme", "--name", "n", "--kind", "platform"}, "a platform key is of no tenant"},
		{[]string{"apikey", "create", "--tenant", "acme", "--name", "n", "--allow-cidr", "192.0.2.0"}, "is not a network"},
		{[]string{"apikey", "create", "--tenant", "acme", "--name", "n", "--expires-in", "-1h"}, "--expires-in"},
		{[]string{"apikey", "list"}, "--tenant is required"},
		{[]string{"apikey", "revoke", "bk_test_x", "--tenant", "acme"}, "is not the id of an API key"},
		{[]string{"apikey", "revoke", "0193a7d2-5b1e-7000-8000-000000000000"}, "--tenant is required"},
	} {
		s.refused(t, 2, tt.text, tt.args...)
	}
}

// Without a configuration a command must not reach for the database that Postgres's
// libraries default to.
func TestNoConfiguration(t *testing.T) {
	noVariables(t)
	s := &shell{dir: t.TempDir()}
	for _, args := range [][]string{
		{"tenant", "list"}, {"tenant", "suspend", "acme"}, {"apikey", "list", "--tenant", "acme"},
	} {
		s.refused(t, 1, "BIOCORE_DATABASE_CONTROL_URL", args...)
	}
	s.refused(t, 1, "BIOCORE_DATABASE_MIGRATOR_URL", "migrate", "status")
	s.refused(t, 1, "BIOCORE_KMS_URL is required", "serve")
	s.refused(t, 1, "no such file", "tenant", "list", "--config", filepath.Join(s.dir, "absent.yaml"))
}

func TestVersion(t *testing.T) {
	s := newShell(t, defaults())
	if out := s.must(t, "version"); !strings.HasPrefix(out, "biocore ") {
		t.Errorf("version = %q", out)
	}
	if v := s.read(t, "version"); v.text("version") == "" || v.text("go") == "" || v.text("platform") == "" {
		t.Errorf("version --json = %s", v.raw)
	}
}

// What an operator reads of an error: what happened, under which name to look it up,
// and nothing that looks like a secret.
func TestExplain(t *testing.T) {
	key := "bk_test_" + strings.Repeat("0aA", 28)
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errors.New("plain"), "plain"},
		{tenant.ErrNotFound, "no such tenant (TENANT_UNKNOWN)"},
		{fmt.Errorf("create: %w", tenant.ErrExists), "create: " + tenant.ErrExists.Message + " (TENANT_EXISTS)"},
		{tenant.ErrInvalid.WithMessage("name is empty").With("field", "name"), "name is empty (TENANT_INVALID) field=name"},
		{db.ErrUnavailable.WithCause(errors.New("dial")), "the database cannot be reached: dial (STORE_UNAVAILABLE)"},
		{errors.New("connect postgres://u:" + hunter + "@h/x"), "connect postgres://[redacted]@h/x"},
		{errors.New("the key " + key), "the key bk_[redacted]"},
	} {
		if got := explain(tt.err); got != tt.want {
			t.Errorf("explain = %q, want %q", got, tt.want)
		}
	}
}

// An id that begins with a hyphen is an argument, wherever it stands, and a flag stays a flag.
func TestParseTakesIDs(t *testing.T) {
	const id = "-p4PvSU1qC2PWn819yxCvwGfZCmH1xeoSm9m3agQ8kU"
	for _, args := range [][]string{{id, "--reason", "leaked"}, {"--reason", "leaked", id}, {"--reason=leaked", id}} {
		fs := flag.NewFlagSet("keys revoke", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		reason := fs.String("reason", "", "")
		if err := parse(fs, args, 1); err != nil || fs.Arg(0) != id || *reason != "leaked" {
			t.Errorf("%v: %v, argument %q, reason %q", args, err, fs.Arg(0), *reason)
		}
		if err := parse(fs, append(args, "--surely-no-flag"), 1); !errors.Is(err, errUsage) {
			t.Errorf("an unknown flag: %v", err)
		}
	}
}
