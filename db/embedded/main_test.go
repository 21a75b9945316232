package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// helperEnv makes this test binary a program that starts both servers and waits
// to be killed: what `biocore dev` looks like from outside.
const helperEnv = "BIOCORE_EMBEDDED_HELPER"

// stopLimit is what servers get to stop when a test ends, on a busy machine.
const stopLimit = 10 * time.Second

func TestMain(m *testing.M) {
	if dir, ok := os.LookupEnv(helperEnv); ok {
		if err := serve(dir, os.Stdout); err != nil {
			slog.New(slog.NewTextHandler(os.Stderr, nil)).Error("helper", "err", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// running is what the helper program tells of its servers.
type running struct {
	PostgresPID int    `json:"postgres_pid"`
	RedisPID    int    `json:"redis_pid"`
	URL         string `json:"url"`
}

// serve starts Postgres on dir and Redis, says so on out, and returns when its
// standard input ends, leaving both running.
func serve(dir string, out io.Writer) error {
	ctx := context.Background()
	pg, err := StartPostgres(ctx, PostgresOptions{DataDir: dir, Template: os.Getenv("BIOCORE_EMBEDDED_TEMPLATE")})
	if err != nil {
		return err
	}
	redis, err := StartRedis(ctx, RedisOptions{Bin: "redis-server"})
	if err != nil {
		return err
	}
	err = json.NewEncoder(out).Encode(running{
		PostgresPID: pg.server.cmd.Process.Pid, RedisPID: redis.server.cmd.Process.Pid, URL: pg.SuperuserURL("postgres"),
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// startHelper runs the helper program on dir and returns once its servers answer.
// Kill it, or end its input.
func startHelper(t *testing.T, program, dir string, acct account) (*exec.Cmd, io.Closer, running) {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), helperEnv+"="+dir)
	cmd.Dir = "/"
	if !acct.isSelf() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: acct.uid, Gid: acct.gid}}
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var r running
	if err := json.NewDecoder(out).Decode(&r); err != nil {
		_ = cmd.Wait()
		t.Fatalf("helper program: %v\n%s", err, complaints.String())
	}
	return cmd, in, r
}

// openDir makes a folder that every account can pass through, and removes it when
// the test ends.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "biocore-embedded-test-") //nolint:usetesting // t.TempDir's parent is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// dataDir returns a path for a data folder that every account can reach, and
// removes the folder with all that belongs to it.
func dataDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(openDir(t), "postgres")
	t.Cleanup(func() {
		if err := Remove(context.Background(), dir); err != nil {
			t.Errorf("Remove: %v", err)
		}
	})
	return dir
}

// template is the folder of a ready cluster. It is kept between runs, so that
// most tests need no initdb.
func template(t *testing.T) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(base, "biocore-test", "embedded")
}

// startPostgres starts Postgres with o, on a folder of its own and from the
// template unless o says otherwise, and stops it when the test ends.
func startPostgres(t *testing.T, o PostgresOptions) *Postgres {
	t.Helper()
	if o.DataDir == "" {
		o.DataDir = dataDir(t)
	}
	if o.Template == "" {
		o.Template = template(t)
	}
	pg, err := StartPostgres(t.Context(), o)
	if err != nil {
		t.Fatalf("StartPostgres: %v", err)
	}
	t.Cleanup(func() { stopPostgres(t, pg) })
	return pg
}

// stopPostgres stops pg within stopLimit.
func stopPostgres(t *testing.T, pg *Postgres) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	if err := pg.Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// connect opens a connection and closes it when the test ends.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// remember writes a word into the database at url; recall reads it back.
func remember(t *testing.T, url, word string) {
	t.Helper()
	conn := connect(t, url)
	if _, err := conn.Exec(t.Context(), "CREATE TABLE memory AS SELECT $1::text AS word", word); err != nil {
		t.Fatalf("remember: %v", err)
	}
}

func recall(t *testing.T, url string) string {
	t.Helper()
	var word string
	if err := connect(t, url).QueryRow(t.Context(), "SELECT word FROM memory").Scan(&word); err != nil {
		t.Fatalf("recall: %v", err)
	}
	return word
}

// eventually waits for a state that another process brings about.
func eventually(t *testing.T, what string, reached func() bool) {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !reached() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not so within 20 s: %s", what)
		}
	}
}

// unprivileged returns an account to act as a normal user, or ourselves if we are one.
func unprivileged(t *testing.T) account {
	t.Helper()
	acct, err := childAccount()
	if err != nil {
		t.Fatal(err)
	}
	return acct
}

// reachableCopy copies this test binary to where every account may run it: go
// test builds it in a folder that only we may enter.
func reachableCopy(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(openDir(t), "embedded.test")
	if err := errors.Join(copyFile(self, program), os.Chmod(program, 0o755)); err != nil {
		t.Fatal(err)
	}
	return program
}

// TestAsNormalUser runs the tests that depend on whom we are again as a normal
// user, if we are root. As a normal user they run anyway.
func TestAsNormalUser(t *testing.T) {
	acct := unprivileged(t)
	if acct.isSelf() {
		return
	}
	home := homeOf(t, acct)
	cmd := exec.Command(reachableCopy(t), "-test.timeout=3m",
		"-test.run=^Test(ColdAndWarmStart|Doors|PrivateCheckout|LongPath|KillLeavesNoOrphan|StalePidFile|Redis|RedisSnapshot)$")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: acct.uid, Gid: acct.gid}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("as user %s: %v\n%s", acct, err, out)
	}
}

// homeOf makes a folder that belongs to acct alone.
func homeOf(t *testing.T, acct account) string {
	t.Helper()
	home := filepath.Join(openDir(t), "home")
	if err := errors.Join(os.Mkdir(home, 0o700), acct.own(home)); err != nil {
		t.Fatal(err)
	}
	return home
}
