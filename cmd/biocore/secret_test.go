package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// give is run with something on standard input.
func (s *shell) give(t *testing.T, text string, args ...string) (out, complaint string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), &environment{in: strings.NewReader(text), out: &stdout, err: &stderr, dir: s.dir}, args)
	return stdout.String(), stderr.String(), code
}

// What is sealed on one machine starts a server on another, which has the KMS and no
// word of the secret itself.
func TestSecretSeal(t *testing.T) {
	k, kmsURL := localKMS(t)
	cfg := defaults()
	cfg.KMSURL = kmsURL
	// Another that does not open is no reason to refuse.
	cfg.DatabaseJobsURL = secret.New("kms:AQAB")
	s := newShell(t, cfg)
	const variable, value = "BIOCORE_REDIS_URL", "redis://:" + hunter + "@localhost"
	out, complaint, code := s.give(t, value+"\n", "secret", "seal", variable)
	if code != 0 || complaint != "" || strings.Contains(out, hunter) {
		t.Fatalf("secret seal = %d, %s%s", code, out, complaint)
	}
	if got, err := openReference(t.Context(), k, variable, strings.TrimSpace(out)); err != nil || got.Reveal() != value {
		t.Errorf("what it printed does not open: %v", err)
	}
	out, complaint, code = s.give(t, value, "secret", "seal", variable, "--json")
	if code != 0 || !strings.Contains(out, `"kmsKey": "local:`) || !strings.Contains(out, `"reference": "kms:`) || strings.Contains(out+complaint, hunter) {
		t.Errorf("secret seal --json = %d, %s%s", code, out, complaint)
	}
	for _, tt := range []struct {
		name, text string
		args       []string
		code       int
		says       string
	}{
		{"nothing", "\n", []string{variable}, 1, "the secret is empty"},
		{"a reference", "kms:AQAB", []string{variable}, 1, "a reference already"},
		{"too much", strings.Repeat("x", 5000), []string{variable}, 1, "1 to 4096 bytes"},
		{"an unknown variable", value, []string{"BIOCORE_REDIS"}, 2, "BIOCORE_REDIS holds no secret; these do: BIOCORE_DATABASE_AUDIT_URL, BIOCORE_DATABASE_CONTROL_URL, "},
		{"the KMS's own", value, []string{"BIOCORE_KMS_URL"}, 2, "holds no secret"},
		{"the secret as an argument", value, []string{variable, value}, 2, "want 1 argument"},
	} {
		out, complaint, code := s.give(t, tt.text, append([]string{"secret", "seal"}, tt.args...)...)
		if code != tt.code || out != "" || !strings.Contains(complaint, tt.says) || strings.Contains(complaint, hunter) {
			t.Errorf("%s: secret seal = %d, %s%s; want %d that says %q", tt.name, code, out, complaint, tt.code, tt.says)
		}
	}
	// A terminal is a character device, as this is.
	device, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if _, err := readSecret(device); err == nil || !strings.Contains(err.Error(), "not from a terminal") {
		t.Errorf("from a terminal: %v", err)
	}
}

// secret check says where each secret is, which of them cannot be used and why, and
// shows none.
func TestSecretCheck(t *testing.T) {
	k, kmsURL := localKMS(t)
	cfg := defaults()
	cfg.KMSURL = kmsURL
	cfg.DatabaseURL = secret.New("postgres://bc_app:" + hunter + "@localhost/biocore")
	s := newShell(t, cfg)
	t.Setenv("BIOCORE_DATABASE_CONTROL_URL", sealed(t, k, "BIOCORE_DATABASE_CONTROL_URL", "postgres://bc_control:"+hunter+"@localhost/biocore"))
	redis := file(t, "redis", "redis://:"+hunter+"@localhost")
	t.Setenv("BIOCORE_REDIS_URL_FILE", redis)
	out := s.must(t, "secret", "check")
	for _, want := range []string{
		`BIOCORE_DATABASE_URL +\S*biocore.yaml +no +ok`, `BIOCORE_DATABASE_CONTROL_URL +the environment +by the KMS +ok`,
		`BIOCORE_REDIS_URL +` + redis + ` +no +ok`, `BIOCORE_DATABASE_JOBS_URL +- +- +not given`, `BIOCORE_KMS_URL +\S*biocore.yaml +no +ok`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	t.Setenv("BIOCORE_DATABASE_WRITER_URL", sealed(t, k, "BIOCORE_DATABASE_URL", "postgres://bc_app:"+hunter+"@localhost/biocore"))
	if err := os.Chmod(redis, 0o644); err != nil {
		t.Fatal(err)
	}
	more, complaint, code := s.run(t, "secret", "check", "--json")
	if code != 1 || !strings.Contains(complaint, "2 of 12 secrets cannot be used") || !strings.Contains(more, "is open to others (0644)") || !strings.Contains(more, "which does not open it") {
		t.Errorf("secret check --json = %d\n%s%s", code, more, complaint)
	}
	if strings.Contains(out+more+complaint, hunter) {
		t.Error("secret check shows a secret")
	}
}

// A password among arguments is refused by every command that takes a URL.
func TestArgumentsHoldNoPassword(t *testing.T) {
	s := newShell(t, testConfig(t, dbtest.Fresh(t), dbtest.Redis(t)))
	for _, given := range []string{"postgres://postgres:" + hunter + "@localhost/x", "postgres://localhost/x?user=a&password=" + hunter, "postgres://u:" + hunter + "@[bad"} {
		out, complaint, code := s.run(t, "migrate", "up", "--bootstrap", given)
		if code != 1 || !strings.Contains(complaint, "--bootstrap") || strings.Contains(out+complaint, hunter) {
			t.Errorf("migrate up --bootstrap = %d, %s%s", code, out, complaint)
		}
	}
	if _, err := urlArgument("--x", "file:"+file(t, "url", "postgres://u:"+hunter+"@h\n")); err != nil {
		t.Errorf("from a file: %v", err)
	}
	open := file(t, "url", "x")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := urlArgument("--x", "file:"+open)
	wantRefusal(t, err, "is open to others")
	if got, err := urlArgument("--x", "postgres://u@h/x"); err != nil || got != "postgres://u@h/x" {
		t.Errorf("without a password: %q, %v", got, err)
	}
}
