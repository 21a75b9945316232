package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"weak"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestColdAndWarmStart(t *testing.T) {
	o := PostgresOptions{DataDir: dataDir(t), Durable: true}
	began := time.Now()
	pg, err := StartPostgres(t.Context(), o) // no template: initdb runs
	if err != nil {
		t.Fatalf("cold start: %v", err)
	}
	t.Logf("cold start %v", time.Since(began))
	first := pg.SuperuserURL("postgres")
	remember(t, first, "walrus")

	// A client in the middle of a transaction must not hold the stop up.
	if _, err := connect(t, first).Exec(t.Context(), "BEGIN; SELECT 1"); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	stopPostgres(t, pg)
	took := time.Since(began)
	t.Logf("stop %v", took)
	if took > 15*time.Second { // 0.2 s on a fast machine; one that waits for its clients waits for ever
		t.Errorf("Stop took %v: it waits for a client", took)
	}
	if err := pg.Stop(t.Context()); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	if alive(pg.server.cmd.Process.Pid) {
		t.Error("the server runs on after Stop")
	}

	began = time.Now()
	pg = startPostgres(t, o)
	t.Logf("warm start %v", time.Since(began))
	if got := recall(t, pg.SuperuserURL("postgres")); got != "walrus" {
		t.Errorf("after a restart the word is %q, want walrus", got)
	}
	before, after := parse(t, first), parse(t, pg.SuperuserURL("postgres"))
	if before.User.String() != after.User.String() {
		t.Error("a restart changed the superuser's password")
	}
}

func parse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Other users of the machine are kept out by the password on both ways in, and
// other machines by the address.
func TestDoors(t *testing.T) {
	pg := startPostgres(t, PostgresOptions{})
	for _, tt := range []struct {
		name, host string
	}{
		{"tcp", "127.0.0.1"},
		{"socket", pg.SocketDir},
	} {
		for _, password := range []string{"", "postgres"} {
			t.Run(fmt.Sprintf("%s with password %q", tt.name, password), func(t *testing.T) {
				config, err := pgx.ParseConfig("postgres:///postgres?sslmode=disable")
				if err != nil {
					t.Fatal(err)
				}
				config.Host, config.Port, config.User, config.Password = tt.host, uint16(pg.Port), superuser, password
				_, err = pgx.ConnectConfig(t.Context(), config)
				var refused *pgconn.PgError
				if !errors.As(err, &refused) || refused.Code[:2] != "28" { // invalid authorization
					t.Errorf("connect error = %v, want a refusal of class 28", err)
				}
			})
		}
	}
	for path, want := range map[string]fs.FileMode{
		passwordFile: 0o600, clusterDir: 0o700, socketDir: 0o700, logFile: 0o600,
	} {
		info, err := os.Stat(filepath.Join(pg.DataDir, path))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s = %04o, want %04o", path, got, want)
		}
	}
}

func TestSettings(t *testing.T) {
	odd := `a 'quoted' \ value`
	for _, tt := range []struct {
		name string
		o    PostgresOptions
		want map[string]string
	}{
		{"for development", PostgresOptions{Durable: true}, map[string]string{
			"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
		}},
		{"for tests", PostgresOptions{Settings: map[string]string{"max_connections": "42", "biocore.odd": odd}}, map[string]string{
			"fsync": "off", "synchronous_commit": "on", "listen_addresses": "127.0.0.1", "max_connections": "42", "biocore.odd": odd, "timezone": "UTC",
			"server_encoding": "UTF8", "lc_collate": "C", "lc_ctype": "C",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pg := startPostgres(t, tt.o)
			conn := connect(t, pg.SuperuserURL("postgres"))
			for name, want := range tt.want {
				var got string
				if err := conn.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&got); err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
		})
	}
	t.Run("a line break is refused", func(t *testing.T) {
		_, err := StartPostgres(t.Context(), PostgresOptions{
			DataDir: dataDir(t), Template: template(t), Settings: map[string]string{"work_mem": "1MB'\nport = '1"},
		})
		if err == nil || !strings.Contains(err.Error(), `"work_mem" has a line break`) {
			t.Errorf("StartPostgres error = %v, want one that names the setting", err)
		}
	})
}

// What the caller's shell has set must not reach the server.
func TestEnvironmentDoesNotLeak(t *testing.T) {
	t.Setenv("PGDATA", "/nonexistent")
	t.Setenv("LC_ALL", "xx_YY.UTF-8")
	t.Setenv("TZ", "Asia/Tokyo")
	pg := startPostgres(t, PostgresOptions{})
	var zone string
	if err := connect(t, pg.SuperuserURL("postgres")).QueryRow(t.Context(), "SHOW log_timezone").Scan(&zone); err != nil {
		t.Fatal(err)
	}
	if zone != "UTC" {
		t.Errorf("log_timezone = %q, want UTC", zone)
	}
}

// A caller that keeps nothing of the server keeps it running all the same; the
// garbage collector must not give its folder away.
func TestForgottenServerKeepsItsFolder(t *testing.T) {
	dir := dataDir(t)
	pg, err := StartPostgres(t.Context(), PostgresOptions{DataDir: dir, Template: template(t)})
	if err != nil {
		t.Fatal(err)
	}
	pid := pg.server.cmd.Process.Pid
	forgotten := weak.Make(pg)
	for forgotten.Value() != nil {
		runtime.GC()
	}
	runtime.GC() // runs what was queued for files that went with it
	_, err = StartPostgres(t.Context(), PostgresOptions{DataDir: dir})
	if _, ok := errors.AsType[*InUseError](err); !ok {
		t.Errorf("StartPostgres error = %v, want an InUseError", err)
	}
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server has ended, and its folder is free", func() bool {
		runtime.GC()
		lock, err := lockDir(dir)
		if err != nil {
			return false
		}
		lock.release()
		return true
	})
}

func TestFolderInUse(t *testing.T) {
	dir := dataDir(t)
	startPostgres(t, PostgresOptions{DataDir: dir})
	_, err := StartPostgres(t.Context(), PostgresOptions{DataDir: dir})
	inUse, ok := errors.AsType[*InUseError](err)
	if !ok || inUse.PID != os.Getpid() {
		t.Fatalf("second StartPostgres error = %v, want an InUseError that names process %d", err, os.Getpid())
	}
	if want := fmt.Sprintf("is in use by process %d", os.Getpid()); !strings.Contains(err.Error(), want) {
		t.Errorf("error text = %q, want %q in it", err, want)
	}
	if _, ok := errors.AsType[*InUseError](Remove(t.Context(), dir)); !ok {
		t.Error("Remove took a folder in use")
	}
}

// takenPort returns a port that is listened on until the test ends.
func takenPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("%v is no TCP address", l.Addr())
	}
	return addr.Port
}

func TestPortTaken(t *testing.T) {
	port := takenPort(t)
	dir := dataDir(t)
	_, err := StartPostgres(t.Context(), PostgresOptions{DataDir: dir, Template: template(t), Port: port})
	if taken, ok := errors.AsType[*PortError](err); !ok || taken.Port != port {
		t.Fatalf("StartPostgres error = %v, want a PortError for %d", err, port)
	}
	// The folder is free again.
	startPostgres(t, PostgresOptions{DataDir: dir})
}

func TestOnPort(t *testing.T) {
	other := errors.New("disk full")
	for _, tt := range []struct {
		name  string
		port  int
		errs  []error // of each start in turn
		want  []int   // the ports tried; free ports count from 1
		taken bool    // the outcome is a PortError
		err   error
	}{
		{name: "free at once", errs: []error{nil}, want: []int{1}},
		{name: "lost on the way", errs: []error{&PortError{1}, &PortError{2}, nil}, want: []int{1, 2, 3}},
		{name: "another error is final", errs: []error{&PortError{1}, other}, want: []int{1, 2}, err: other},
		{
			name: "always lost", want: []int{1, 2, 3, 4, 5}, taken: true,
			errs: []error{&PortError{1}, &PortError{2}, &PortError{3}, &PortError{4}, &PortError{5}},
		},
		{name: "the port asked for is tried once", port: 80, errs: []error{&PortError{80}}, want: []int{80}, taken: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var tried []int
			last := 0
			err := onPort(t.Context(), tt.port, func(context.Context) (int, error) { last++; return last, nil }, func(port int) error {
				tried = append(tried, port)
				return tt.errs[len(tried)-1]
			})
			if fmt.Sprint(tried) != fmt.Sprint(tt.want) {
				t.Errorf("tried ports %v, want %v", tried, tt.want)
			}
			_, taken := errors.AsType[*PortError](err)
			if taken != tt.taken || (!taken && !errors.Is(err, tt.err)) {
				t.Errorf("error = %v, want %v (PortError %t)", err, tt.err, tt.taken)
			}
		})
	}
}

func TestOtherMajorVersion(t *testing.T) {
	dir := dataDir(t)
	stopPostgres(t, startPostgres(t, PostgresOptions{DataDir: dir}))
	if err := os.WriteFile(filepath.Join(dir, clusterDir, "PG_VERSION"), []byte("14\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := StartPostgres(t.Context(), PostgresOptions{DataDir: dir})
	old, ok := errors.AsType[*VersionError](err)
	if !ok || old.Have != 14 || old.Found < minPostgres {
		t.Fatalf("StartPostgres error = %v, want a VersionError with 14", err)
	}
	if want := "was made by PostgreSQL 14"; !strings.Contains(err.Error(), want) {
		t.Errorf("error text = %q, want %q in it", err, want)
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(dataDir(t), strings.Repeat("deep/", 30)+"folder")
	t.Cleanup(func() {
		if err := Remove(context.Background(), dir); err != nil {
			t.Errorf("Remove: %v", err)
		}
	})
	pg := startPostgres(t, PostgresOptions{DataDir: dir})
	if strings.HasPrefix(pg.SocketDir, dir) {
		t.Fatalf("SocketDir = %s, a path too long for a socket", pg.SocketDir)
	}
	u := parse(t, pg.SuperuserURL("postgres"))
	u.Host = ""
	u.RawQuery = url.Values{"host": {pg.SocketDir}, "port": {strconv.Itoa(pg.Port)}}.Encode()
	remember(t, u.String(), "walrus")
	if info, err := os.Stat(pg.SocketDir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("socket folder: %v, %v; want mode 0700", info.Mode(), err)
	}
	stopPostgres(t, pg)
	if _, err := os.Lstat(pg.SocketDir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary socket folder is still there after Stop: %v", err)
	}
}

// A process number is given out again after a crash. Without rewriting
// postmaster.pid, Postgres would take the innocent process for another Postgres
// and refuse to start; a careless stopLeftover would stop it.
func TestStalePidFile(t *testing.T) {
	dir := dataDir(t)
	pg := startPostgres(t, PostgresOptions{DataDir: dir})
	remember(t, pg.SuperuserURL("postgres"), "walrus")
	pidFile := filepath.Join(pg.DataDir, clusterDir, "postmaster.pid")
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	stopPostgres(t, pg)

	acct, err := postgresAccount(dir)
	if err != nil {
		t.Fatal(err)
	}
	innocent, err := startChild(exec.Command("sleep", "60"), acct, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = innocent.cmd.Process.Kill(); <-innocent.done })
	_, rest, _ := strings.Cut(string(text), "\n")
	stale := fmt.Sprintf("%d\n%s", innocent.cmd.Process.Pid, rest)
	if err := os.WriteFile(pidFile, []byte(stale), info.Mode()); err != nil {
		t.Fatal(err)
	}
	if err := acct.own(pidFile); err != nil {
		t.Fatal(err)
	}

	pg = startPostgres(t, PostgresOptions{DataDir: dir})
	if got := recall(t, pg.SuperuserURL("postgres")); got != "walrus" {
		t.Errorf("the word is %q, want walrus", got)
	}
	if innocent.ended() {
		t.Error("the process that had got the number was stopped")
	}
}

func TestInterruptedStarts(t *testing.T) {
	dir := dataDir(t)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := StartPostgres(canceled, PostgresOptions{DataDir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("StartPostgres error = %v, want %v", err, context.Canceled)
	}
	if _, err := os.Lstat(filepath.Join(dir, locationFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a canceled start sent the state elsewhere: %v", err)
	}
	// What a kill in the middle of initdb leaves.
	junk := filepath.Join(dir, clusterDir+newSuffix)
	if err := errors.Join(os.MkdirAll(junk, 0o700), os.WriteFile(filepath.Join(junk, "base"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	startPostgres(t, PostgresOptions{DataDir: dir})
	if _, err := os.Lstat(junk); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the unfinished cluster is still there: %v", err)
	}
}

func TestServerEndsUnasked(t *testing.T) {
	pg, err := StartPostgres(t.Context(), PostgresOptions{DataDir: dataDir(t), Template: template(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := pg.server.signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-pg.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("Done is not closed 10 s after the server was killed")
	}
	if err := pg.Err(); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("Err = %v, want one that says how the server ended", err)
	}
	if err := pg.Stop(t.Context()); err == nil {
		t.Error("Stop of a server that was killed returned no error")
	}
}

// Ctrl-C in a terminal goes to our process group; the servers must not be in it.
func TestProcessGroup(t *testing.T) {
	pg := startPostgres(t, PostgresOptions{})
	group, err := syscall.Getpgid(pg.server.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if group == syscall.Getpgrp() {
		t.Error("the server is in our process group")
	}
}

func TestTemplate(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "template")
	one := startPostgres(t, PostgresOptions{Template: kept})
	remember(t, one.SuperuserURL("postgres"), "walrus")

	// The second needs no initdb: there is none to be found.
	copied := dataDir(t)
	acct, err := postgresAccount(copied)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := place(t.Context(), copied, acct); err != nil {
		t.Fatal(err)
	}
	maker := clusterMaker{dir: copied, binDir: "/nonexistent", version: one.Version, template: kept, acct: acct}
	if err := maker.make(t.Context()); err != nil {
		t.Fatalf("copy the template: %v", err)
	}
	two := startPostgres(t, PostgresOptions{DataDir: copied})
	conn := connect(t, two.SuperuserURL("postgres"))
	var found bool
	if err := conn.QueryRow(t.Context(), "SELECT to_regclass('memory') IS NOT NULL").Scan(&found); err != nil {
		t.Fatal(err)
	}
	if found {
		t.Error("what was written to one copy is in the other")
	}
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("template folder, which holds a password: %v, %v; want mode 0700", info.Mode(), err)
	}
}

func TestDatabaseIsMadeOnce(t *testing.T) {
	pg := startPostgres(t, PostgresOptions{})
	url, err := pg.Database(t.Context(), `odd "name`)
	if err != nil {
		t.Fatalf("Database: %v", err)
	}
	remember(t, url, "walrus")
	again, err := pg.Database(t.Context(), `odd "name`)
	if err != nil || again != url {
		t.Fatalf("Database again = %s, %v; want the same", again, err)
	}
	if got := recall(t, again); got != "walrus" {
		t.Errorf("the word is %q, want walrus", got)
	}
}

func TestClaimIsExclusive(t *testing.T) {
	dir := t.TempDir()
	release, err := Claim(dir)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	_, err = Claim(dir)
	if taken, ok := errors.AsType[*InUseError](err); !ok || taken.Dir != dir || taken.PID != os.Getpid() {
		t.Errorf("Claim of a claimed folder = %v, want an InUseError that names us", err)
	}
	release()
	again, err := Claim(dir)
	if err != nil {
		t.Fatalf("Claim after release: %v", err)
	}
	again()
}
