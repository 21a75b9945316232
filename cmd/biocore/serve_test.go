package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// configFile writes cfg where --config finds it.
func configFile(t testing.TB, cfg Config) string {
	t.Helper()
	raw, err := cfg.write()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "biocore.yaml")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startServe starts `biocore serve` and returns when it says that it serves.
func startServe(t testing.TB, config string) (p *program, public, ops *world) {
	t.Helper()
	p = startProgram(t, launch{args: []string{"serve", "--config", config}})
	p.await(t, p.errs, `"serving operations"`)
	at := map[string]*world{"serving": {}, "serving operations": {}}
	for line := range strings.Lines(p.errs.String()) {
		var said struct{ Msg, Addr string }
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			t.Fatalf("a line of its log is no JSON: %s", line)
		}
		if w := at[said.Msg]; w != nil {
			w.url = "http://" + said.Addr
		}
	}
	return p, at["serving"], at["serving operations"]
}

// inFlight is a request whose body is still to come, and which the server has begun
// to read.
type inFlight struct {
	net.Conn

	answers *bufio.Reader
	rest    string
}

func beginRequest(t testing.TB, w *world, key string) *inFlight {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(programLimit)); err != nil {
		t.Fatal(err)
	}
	const body = `{"accessToken":"walrus"}`
	_, err = fmt.Fprintf(conn, "POST /v1/sessions:verify HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", key, len(body))
	if err != nil {
		t.Fatal(err)
	}
	r := &inFlight{Conn: conn, answers: bufio.NewReader(conn), rest: body}
	for { // "100 Continue" comes when the handler reads
		line, err := r.answers.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			return r
		}
		if strings.HasPrefix(line, "HTTP/1.1 ") && !strings.HasPrefix(line, "HTTP/1.1 100 ") {
			t.Fatalf("the server did not wait for the body: %s", line)
		}
	}
}

// end sends the rest and returns the status of the answer.
func (r *inFlight) end(t testing.TB) int {
	t.Helper()
	if _, err := r.Write([]byte(r.rest)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(r.answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

// A server's life as its operator sees it: migrated by hand, started, given a tenant,
// and told to end while it works.
func TestServe(t *testing.T) {
	t.Parallel()
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	config := configFile(t, cfg)
	p, public, ops := startServe(t, config)
	public.must(t, "GET", "/readyz", "", nil)
	t.Logf("ready after %s, with %s of memory", time.Since(p.began), residentMemory(t, p.Process.Pid))
	if a := public.call(t, "GET", "/demo", "", nil); a.status != http.StatusNotFound {
		t.Errorf("serve serves the demo: %s", a)
	}
	code, out, errs := runToEnd(t, launch{args: []string{
		"tenant", "create", "globex", "--config", config, "--json", "--mode", "live", "--rp-id", "example.com",
	}})
	var made struct{ SecretKey string }
	if err := json.Unmarshal([]byte(out), &made); code != 0 || err != nil {
		t.Fatalf("tenant create: exit %d, %v\n%s%s", code, err, out, errs)
	}

	request := beginRequest(t, public, made.SecretKey)
	if err := syscall.Kill(p.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var unready answer
	eventually(t, "it is unready", func() bool {
		unready = ops.call(t, "GET", "/readyz", "", nil)
		return unready.status == http.StatusServiceUnavailable
	})
	if unready.text("server") != "shutting down" || unready.text("postgres") != "ok" {
		t.Errorf("readiness while it drains: %s", unready)
	}
	eventually(t, "it refuses connections", func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(public.url, "http://"))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	if status := request.end(t); status != http.StatusOK {
		t.Errorf("the request in flight got %d", status)
	}
	if code := p.exit(t); code != 0 {
		t.Errorf("exit code after SIGTERM = %d, want 0", code)
	}
}

// residentMemory is what a process holds, "unknown" where /proc is not.
func residentMemory(t testing.TB, pid int) string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "unknown"
	}
	if m := regexp.MustCompile(`VmRSS:\s+(.*)`).FindSubmatch(status); m != nil {
		return string(m[1])
	}
	return "unknown"
}

// A client that never ends its request cannot keep the server from ending: neither
// past the drain timeout nor past a second signal.
func TestServeEndsInSpiteOfAClient(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, dbtest.Fresh(t), dbtest.Redis(t))
	for name, tt := range map[string]struct {
		drain    time.Duration
		insist   bool
		wantCode int
		wantLog  string
	}{
		"the drain timeout": {drain: 100 * time.Millisecond, wantCode: 0, wantLog: "requests in flight were cut off"},
		"a second signal":   {drain: time.Hour, insist: true, wantCode: -1},
	} {
		cfg.DrainTimeout = tt.drain
		p, public, _ := startServe(t, configFile(t, cfg))
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(public.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("POST /v1/users HTTP/1.1\r\nHost: localhost\r\n")); err != nil { // and no more
			t.Fatal(err)
		}
		public.must(t, "GET", "/readyz", "", nil) // it has been accepted by now
		for again := true; again; again = tt.insist && !p.hasEnded() {
			if err := p.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
			if tt.insist {
				pause(t, 10*time.Millisecond) // the first is taken in before the second
			}
		}
		if code := p.exit(t); code != tt.wantCode || !strings.Contains(p.errs.String(), tt.wantLog) {
			t.Errorf("%s: exit %d, want %d\n%s", name, code, tt.wantCode, p.errs)
		}
		_ = conn.Close()
	}
}

// What a server must not start with is told at once and without a word of what is
// secret, and the server ends.
func TestServeRefusesToStart(t *testing.T) {
	t.Parallel()
	behind, empty, good := dbtest.Fresh(t), dbtest.Fresh(t), dbtest.Fresh(t)
	for store, sql := range map[*dbtest.Store]string{
		behind: "DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)",
		empty:  "DROP TABLE goose_db_version",
	} {
		if _, err := store.Superuser(t).Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	config := testConfig(t, good, dbtest.Redis(t))
	openKey := testConfig(t, good, dbtest.Redis(t))
	if err := os.Chmod(strings.TrimPrefix(openKey.KMSURL, "local:"), 0o644); err != nil {
		t.Fatal(err)
	}
	exampled := config
	exampled.DatabaseURL = secret.New(regexp.MustCompile(`:[0-9a-f]{64}@`).ReplaceAllString(config.DatabaseURL.Reveal(), ":changeme@"))
	others, _ := localKMS(t)
	foreign := sealed(t, others, "BIOCORE_REDIS_URL", config.RedisURL.Reveal())
	misspelt := configFile(t, config)
	raw, err := os.ReadFile(misspelt)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(misspelt, append([]byte("databaseUrI: x\n"), raw...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		config string
		env    []string
		want   []string
	}{
		{"nothing", "", nil, []string{
			"BIOCORE_PUBLIC_URL is required", "BIOCORE_DATABASE_URL is required", "BIOCORE_DATABASE_WRITER_URL is required",
			"BIOCORE_DATABASE_CONTROL_URL is required", "BIOCORE_DATABASE_JOBS_URL is required", "BIOCORE_DATABASE_SUPPORT_URL is required", "BIOCORE_DATABASE_AUDIT_URL is required", "BIOCORE_REDIS_URL is required",
			"BIOCORE_KMS_URL is required",
		}},
		{"an example's password", configFile(t, exampled), nil, []string{"the password in BIOCORE_DATABASE_URL is a default one"}},
		{"a key file that others may read", configFile(t, openKey), nil, []string{"is open to others (0644)", "chmod 600"}},
		{"a reference that the KMS does not open", configFile(t, config), []string{"BIOCORE_REDIS_URL=" + foreign}, []string{"BIOCORE_REDIS_URL is sealed by the KMS, which does not open it"}},
		{"all of it at once", configFile(t, openKey), []string{"BIOCORE_REDIS_URL=kms:AQAB", "BIOCORE_DATABASE_JOBS_URL=postgres://bc_jobs:short@h/x", "BIOCORE_LOG_LEVEL=loud"}, []string{
			"BIOCORE_REDIS_URL is sealed by the KMS", "is open to others (0644)", "the password in BIOCORE_DATABASE_JOBS_URL is shorter", "BIOCORE_LOG_LEVEL is debug",
		}},
		{"a schema that is behind", configFile(t, testConfig(t, behind, dbtest.Redis(t))), nil, []string{"lacks 1 migration,", "run `biocore migrate up` first"}},
		{"no schema", configFile(t, testConfig(t, empty, dbtest.Redis(t))), nil, []string{"from 0001_", "run `biocore migrate up` first"}},
		{"a key that is none of ours", misspelt, nil, []string{"databaseUrI"}},
		{"a variable that is none of ours", configFile(t, config), []string{"BIOCORE_DATABASE_URI=x"}, []string{"unknown variable BIOCORE_DATABASE_URI"}},
		{"a variable over the file", configFile(t, config), []string{"BIOCORE_LOG_LEVEL=loud"}, []string{"BIOCORE_LOG_LEVEL is debug, info, warn or error"}},
		{"a port that is taken", configFile(t, config), []string{"BIOCORE_LISTEN=127.0.0.1:" + fmt.Sprint(takenPort(t, "127.0.0.1"))}, []string{"address already in use"}},
	} {
		args := []string{"serve"}
		if tt.config != "" {
			args = append(args, "--config", tt.config)
		}
		code, out, errs := runToEnd(t, launch{args: args, env: tt.env})
		if code != 1 || out != "" || regexp.MustCompile(`[0-9a-f]{64}`).MatchString(errs) {
			t.Errorf("%s: exit %d, want 1 and no secret\n%s%s", tt.name, code, out, errs)
		}
		for _, want := range tt.want {
			if !strings.Contains(errs, want) {
				t.Errorf("%s: it does not say %q but\n%s", tt.name, want, errs)
			}
		}
	}
}
