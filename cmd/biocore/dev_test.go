package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db/dbtest"
)

// stopLimit is far more than `biocore dev` takes to stop, also beside other packages' tests, and less than its servers wait for whoever
// does not let go. How long it takes is in the log of `go test -v`.
const stopLimit = 15 * time.Second

// startDev starts `biocore dev --json` on free ports and returns when it is up. Flags
// that are given again count.
func startDev(t testing.TB, l launch) (*program, devState) {
	t.Helper()
	l.args = append([]string{"dev", "--json", "--port", "0", "--ops-port", "0"}, l.args...)
	if bin := os.Getenv("BIOCORE_PG_BIN"); bin != "" && !slices.Contains(l.args, "--pg-bin") {
		l.args = append(l.args, "--pg-bin", bin)
	}
	p := startProgram(t, l)
	p.await(t, p.out, "\n}\n")
	var state devState
	if err := json.Unmarshal([]byte(p.out.String()), &state); err != nil {
		t.Fatalf("--json printed %s: %v", p.out, err)
	}
	return p, state
}

// client calls the API of a run.
func client(state devState) *world { return &world{url: state.APIURL} }

// addUser makes a user of acme; hasUser looks for it.
func addUser(t testing.TB, state devState, external string) {
	t.Helper()
	client(state).must(t, "POST", "/v1/users", state.Tenants[0].SecretKey, map[string]any{"externalId": external, "name": external})
}

func hasUser(t testing.TB, state devState, external string) bool {
	t.Helper()
	a := client(state).call(t, "GET", "/v1/users:lookup?externalId="+external, state.Tenants[0].SecretKey, nil)
	return a.status == http.StatusOK
}

// A day with `biocore dev`: what is promised of the first start, of every end, and of
// what comes after.
func TestDev(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	file := func(name string) string { return filepath.Join(dir, ".biocore", name) }

	cold := startProgram(t, launch{dir: dir, args: []string{"dev", "--port", "0", "--ops-port", "0"}})
	cold.await(t, cold.out, "starts anew")
	t.Logf("cold start: %s", time.Since(cold.began))
	golden(t, "dev.golden", mask(cold.out.String()))
	if cold.errs.String() != "" {
		t.Errorf("it complains: %s", cold.errs)
	}
	first := readState(t, file("dev.json"))
	addUser(t, first, "alice")
	if answer := tryExample(t, dir, cold.out.String()); !strings.Contains(answer, `"externalId":"alice"`) {
		t.Errorf("the command that the screen tells to try answers %s", answer)
	}
	status, out, errs := runToEnd(t, launch{dir: dir, args: []string{"migrate", "status"}})
	if status != 0 || !strings.Contains(out, "0001") || strings.Contains(out, "pending") {
		t.Errorf("migrate status beside it: %d\n%s%s", status, out, errs)
	}
	servers := offspring(t, cold.Process.Pid)
	if names := slices.Sorted(maps.Values(servers)); !slices.Contains(names, "postgres") || !slices.Contains(names, "redis-server") {
		t.Errorf("its children are %v", names)
	}
	took := cold.interrupt(t, syscall.SIGINT)
	t.Logf("Ctrl-C after a cold start: %s", took)
	if took > stopLimit || !strings.HasSuffix(cold.out.String(), "\n  Stopped.\n") {
		t.Errorf("Ctrl-C took %s, and it said:\n%s", took, cold.out)
	}

	warm, second := startDev(t, launch{dir: dir})
	t.Logf("warm start: %s", time.Since(warm.began))
	if told := readState(t, file("dev.json")); !equalJSON(t, told, second) {
		t.Errorf("--json says %+v, the file %+v", second, told)
	}
	if again := second; again.PlatformKey != first.PlatformKey || again.Tenants[0].SecretKey != first.Tenants[0].SecretKey ||
		again.Tenants[0].PublishableKey != first.Tenants[0].PublishableKey || again.Tenants[0].ID != first.Tenants[0].ID {
		t.Errorf("a restart has changed keys: %+v, before %+v", again, first)
	}
	if !hasUser(t, second, "alice") {
		t.Error("a restart has lost a user")
	}
	if got := second.Tenants[0].Origins; len(got) != 2 || got[0] != second.APIURL || got[1] != first.APIURL {
		t.Errorf("origins = %v, want this run's %s and the first one's %s", got, second.APIURL, first.APIURL)
	}
	client(second).must(t, "POST", "/v1/authentications:begin", second.Tenants[0].PublishableKey, map[string]any{}, "Origin", second.APIURL)
	took = warm.interrupt(t, syscall.SIGTERM)
	t.Logf("SIGTERM after a warm start: %s", took)
	if took > stopLimit {
		t.Errorf("SIGTERM took %s", took)
	}

	killed, _ := startDev(t, launch{dir: dir})
	servers = offspring(t, killed.Process.Pid)
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-killed.ended
	// Nobody waits for the orphans: the next start must manage beside them.
	recovered, third := startDev(t, launch{dir: dir})
	t.Logf("start after kill -9: %s", time.Since(recovered.began))
	if !hasUser(t, third, "alice") {
		t.Error("kill -9 has lost a user")
	}
	for pid, name := range servers {
		eventually(t, name+" has ended after kill -9", func() bool { return !alive(t, pid) })
	}
	recovered.interrupt(t, syscall.SIGINT)

	if err := os.Remove(file("dev.json")); err != nil {
		t.Fatal(err)
	}
	forgot, fourth := startDev(t, launch{dir: dir})
	if was, is := first.Tenants[0], fourth.Tenants[0]; is.ID != was.ID || is.SecretKey == was.SecretKey || is.PublishableKey == was.PublishableKey || !hasUser(t, fourth, "alice") {
		t.Errorf("without dev.json: %+v, before %+v; want new keys of the same tenant", fourth, first)
	}
	client(fourth).must(t, "GET", "/admin/v1/tenants", fourth.PlatformKey, nil)
	forgot.interrupt(t, syscall.SIGINT)

	if err := os.Rename(file("kms.key"), file("kms.key.away")); err != nil {
		t.Fatal(err)
	}
	code, out, errs := runToEnd(t, launch{dir: dir, args: []string{"dev", "--port", "0", "--ops-port", "0"}})
	if code != 1 || !strings.Contains(errs, file("kms.key")+" is missing") || !strings.Contains(errs, "--reset") || exists(file("kms.key")) {
		t.Errorf("without kms.key: exit %d, and the file is there: %t\n%s%s", code, exists(file("kms.key")), out, errs)
	}
	if err := os.Rename(file("kms.key.away"), file("kms.key")); err != nil {
		t.Fatal(err)
	}

	anew, fifth := startDev(t, launch{dir: dir, args: []string{"--reset", "--no-limits"}})
	if was, is := fourth.Tenants[0], fifth.Tenants[0]; is.ID == was.ID || is.SecretKey == was.SecretKey || fifth.PlatformKey == fourth.PlatformKey || hasUser(t, fifth, "alice") {
		t.Errorf("after --reset: %+v, before %+v", fifth, fourth)
	}
	if conf, err := os.ReadFile(file("biocore.yaml")); err != nil || !strings.Contains(string(conf), "\nnoLimits: true\n") {
		t.Errorf("--no-limits left %s, %v", conf, err)
	}
	anew.interrupt(t, syscall.SIGINT)
}

// tryExample has a shell read the curl command on the screen, and does what curl would.
func tryExample(t testing.TB, dir, screen string) string {
	t.Helper()
	_, rest, _ := strings.Cut(screen, "Try:\n\n")
	command, _, _ := strings.Cut(rest, "\n\n")
	sh := exec.CommandContext(t.Context(), "sh", "-c", `curl() { printf '%s\n' "$@"; }`+"\n"+command)
	sh.Dir = dir
	out, err := sh.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	args := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(args) != 4 || args[0] != "-s" || args[2] != "-H" {
		t.Fatalf("the shell reads %s as %q", command, args)
	}
	name, value, _ := strings.Cut(args[3], ": ")
	return (&world{url: args[1]}).must(t, "GET", "", "", nil, name, value).raw
}

// readState reads dev.json, whose names are what API.md promises to programs.
func readState(t testing.TB, path string) devState {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode of dev.json = %v, want 0600: it holds keys", info.Mode())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var named struct {
		Tenants []map[string]any
	}
	var all map[string]any
	var state devState
	for _, into := range []any{&named, &all, &state} {
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatalf("dev.json: %v", err)
		}
	}
	for what, names := range map[string][2]string{
		"dev.json":   {strings.Join(slices.Sorted(maps.Keys(all)), " "), "apiUrl consoleEnrollUrl consoleUrl databaseUrl demoUrl opsUrl platformKey tenants"},
		"its tenant": {strings.Join(slices.Sorted(maps.Keys(named.Tenants[0])), " "), "id origins publishableKey rpId secretKey slug"},
	} {
		if names[0] != names[1] {
			t.Errorf("%s has %s, want %s", what, names[0], names[1])
		}
	}
	if state.ConsoleURL != state.APIURL+"/console" || !strings.HasPrefix(state.ConsoleEnrollURL, state.ConsoleURL+"/join#") || state.Tenants[0].Slug != "acme" || !strings.HasPrefix(state.DatabaseURL, "postgres://bc_migrator:") {
		t.Errorf("dev.json says %s", raw)
	}
	return state
}

func equalJSON(t testing.TB, a, b any) bool {
	t.Helper()
	return bytes.Equal(marshal(t, a), marshal(t, b))
}

// mask takes out what differs between runs: times, versions, ports.
func mask(s string) string {
	s = regexp.MustCompile(` +\d+\.\d s`).ReplaceAllString(s, " N s")
	s = regexp.MustCompile(`\d+ migrations`).ReplaceAllString(s, "N migrations")
	s = regexp.MustCompile(`(version|port) \d+`).ReplaceAllString(s, "$1 N")
	s = regexp.MustCompile(`/join#[\w.-]+`).ReplaceAllString(s, "/join#TOKENS")
	return regexp.MustCompile(`(localhost|127\.0\.0\.1):\d+`).ReplaceAllString(s, "$1:PORT")
}

// Ctrl-C counts before all is up, too, and leaves nothing half-made.
func TestDevInterruptedStart(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	p := startProgram(t, launch{dir: dir, args: []string{"dev", "--port", "0", "--ops-port", "0"}})
	p.await(t, p.out, "Starting PostgreSQL")
	eventually(t, "it makes a cluster", func() bool { return len(offspring(t, p.Process.Pid)) > 0 || p.hasEnded() })
	if took := p.interrupt(t, syscall.SIGINT); took > stopLimit || p.errs.String() != "" {
		t.Errorf("Ctrl-C during the start took %s, and it said %s", took, p.errs)
	}
	again, state := startDev(t, launch{dir: dir})
	addUser(t, state, "alice")

	// A child that ends by itself takes all down: nothing works without Postgres.
	children := offspring(t, again.Process.Pid)
	for pid, name := range children {
		if name == "postgres" {
			_ = syscall.Kill(pid, syscall.SIGKILL) // some end with the first
		}
	}
	if code := again.exit(t); code != 1 || !strings.Contains(again.errs.String(), "postgres ended") {
		t.Errorf("without its Postgres: exit %d, %s", code, again.errs)
	}
	for pid, name := range children {
		eventually(t, name+" has ended too", func() bool { return !alive(t, pid) })
	}
}

// Two in one folder would serve one dev.json; two in two folders are fine.
func TestDevTwice(t *testing.T) {
	t.Parallel()
	one, other := folder(t), folder(t)
	first, state := startDev(t, launch{dir: one, args: []string{"--pg-url", inFile(t, database(t)), "--redis-url", inFile(t, dbtest.Redis(t))}})
	for _, args := range [][]string{{"dev"}, {"dev", "--reset"}} {
		code, _, errs := runToEnd(t, launch{dir: one, args: args})
		if code != 1 || !strings.Contains(errs, filepath.Join(one, ".biocore")+" is in use by process "+strconv.Itoa(first.Process.Pid)) {
			t.Errorf("%v in the same folder: exit %d, %s; want one that names it", args, code, errs)
		}
	}
	second, elsewhere := startDev(t, launch{dir: other, args: []string{"--pg-url", inFile(t, database(t)), "--redis-url", inFile(t, dbtest.Redis(t))}})
	if state.APIURL == elsewhere.APIURL || state.OpsURL == elsewhere.OpsURL {
		t.Errorf("two folders share ports: %+v, %+v", state, elsewhere)
	}
	addUser(t, elsewhere, "bob")
	addUser(t, state, "alice")
	second.interrupt(t, syscall.SIGINT)
	first.interrupt(t, syscall.SIGINT)
}

// A port that is taken, on whichever address a browser may try first, is passed over.
func TestDevPorts(t *testing.T) {
	t.Parallel()
	dir, url := folder(t), database(t)
	for _, address := range []string{"127.0.0.1", "::1"} {
		api, ops := takenPort(t, address), takenPort(t, address)
		p := startProgram(t, launch{dir: dir, args: []string{
			"dev", "--pg-url", inFile(t, url), "--redis-url", inFile(t, dbtest.Redis(t)), "--port", strconv.Itoa(api), "--ops-port", strconv.Itoa(ops),
		}})
		p.await(t, p.out, "starts anew")
		state := readState(t, filepath.Join(dir, ".biocore", "dev.json"))
		for name, got := range map[string]int{"port": portOf(t, state.APIURL) - api, "ops port": portOf(t, state.OpsURL) - ops} {
			if got < 1 || got > portTries {
				t.Errorf("the %s is %d after one that is taken on %s", name, got, address)
			}
		}
		if want := "   (port " + strconv.Itoa(api) + " is taken)\n"; !strings.Contains(p.out.String(), want) {
			t.Errorf("it does not say%s%s", want, p.out)
		}
		client(state).must(t, "GET", "/readyz", "", nil)
		if a := (&world{url: state.OpsURL}).must(t, "GET", "/readyz", "", nil); a.text("postgres") != "ok" {
			t.Errorf("readiness by name: %s", a)
		}
		p.interrupt(t, syscall.SIGINT)
	}
}

func portOf(t testing.TB, url string) int {
	t.Helper()
	return number(t, url[strings.LastIndexByte(url, ':')+1:])
}

// A checkout that root alone may enter, as one in root's home: Postgres's own account
// cannot get there.
func TestDevInPrivateFolder(t *testing.T) {
	t.Parallel()
	private := folder(t)
	if err := os.Chmod(private, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(private, "biocore")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeFolder(t, dir) })
	p, state := startDev(t, launch{dir: dir})
	addUser(t, state, "alice")
	p.interrupt(t, syscall.SIGINT)
	p, state = startDev(t, launch{dir: dir})
	if !hasUser(t, state, "alice") {
		t.Error("a restart has lost a user")
	}
	p.interrupt(t, syscall.SIGINT)
}

// As a normal user without a home, in a folder of their own; and in between once with
// sudo, which must not lock them out. Where the tests do not run as root, all of them
// run as a normal user, and there is no sudo.
func TestDevAsNormalUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return
	}
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	binary, dir := copyProgram(t), folder(t)
	if err := os.Chown(dir, int(nobody.Uid), int(nobody.Gid)); err != nil {
		t.Fatal(err)
	}
	p, first := startDev(t, launch{program: binary, dir: dir, as: nobody, bare: true})
	addUser(t, first, "alice")
	servers := offspring(t, p.Process.Pid)
	if took := p.interrupt(t, syscall.SIGINT); took > stopLimit || len(servers) < 2 {
		t.Errorf("Ctrl-C took %s and ended %v", took, servers)
	}
	p, _ = startDev(t, launch{program: binary, dir: dir})
	p.interrupt(t, syscall.SIGINT)

	p, last := startDev(t, launch{program: binary, dir: dir, as: nobody, bare: true})
	if last.PlatformKey != first.PlatformKey || !hasUser(t, last, "alice") {
		t.Errorf("after a run with sudo: %+v, before it %+v", last, first)
	}
	servers = offspring(t, p.Process.Pid)
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for pid, name := range servers {
		eventually(t, name+" has ended after kill -9", func() bool { return !alive(t, pid) })
	}
}

// ofMakeAlone is what GNU make says of itself when its child has ended before make comes to handle the same Ctrl-C: its handler then
// waits for a child that was waited for. A machine that is busy enough shows it once in some hundred runs.
var ofMakeAlone = regexp.MustCompile(`(?m)^make(\[\d+\])?: \*\*\* (wait: No child processes\.  Stop\.|Waiting for unfinished jobs\.\.\.\.)\n`)

// What a terminal sees of both ways to start it: the end is no error, and complete.
func TestDevByMakeAndGoRun(t *testing.T) {
	t.Parallel()
	root, dir := top(t), folder(t)
	// A workspace lets the go command find the module from a folder of the test's, so
	// that the state of whoever works in this checkout stays theirs.
	for _, args := range [][]string{
		{"work", "init", root},
		// A workspace looks into modules that the build has no use for, and says so while it
		// downloads them: now, and not amid what a terminal sees.
		{"list", "-deps", module + "/cmd/biocore"},
	} {
		prepare := exec.CommandContext(t.Context(), "go", args...)
		prepare.Dir = dir
		if out, err := prepare.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	flags := []string{"--port", "0", "--ops-port", "0", "--pg-url", inFile(t, database(t)), "--redis-url", inFile(t, dbtest.Redis(t))}
	for _, tt := range []struct {
		name, program string
		args          []string
		said          string
	}{
		{"make dev", "make", []string{"-f", filepath.Join(root, "Makefile"), "dev", "ARGS=" + strings.Join(flags, " ")}, ""},
		{"go run", "go", append([]string{"run", module + "/cmd/biocore", "dev"}, flags...), ""},
	} {
		p := startProgram(t, launch{program: tt.program, args: tt.args, dir: dir})
		p.await(t, p.out, "starts anew")
		children := offspring(t, p.Process.Pid)
		if err := syscall.Kill(-p.Process.Pid, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		p.exit(t) // that of make and go, which know of the Ctrl-C
		if said := ofMakeAlone.ReplaceAllString(p.errs.String(), ""); !strings.HasSuffix(p.out.String(), "\n  Stopped.\n") || said != tt.said {
			t.Errorf("%s ended on Ctrl-C with:\n%s%s", tt.name, p.out, p.errs)
		}
		for pid, name := range children {
			if alive(t, pid) {
				t.Errorf("%s leaves %s behind", tt.name, name)
			}
		}
	}
}

// Flags that cannot be used are told before anything is started.
func TestDevFlags(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"help", []string{"--help"}, 0, "Example:\n  biocore dev\n"},
		{"an unknown flag", []string{"--nope"}, 2, "flag provided but not defined: -nope"},
		{"an argument", []string{"now"}, 2, "Usage: biocore dev [FLAGS]"},
		{"a port that is none", []string{"--ops-port", "65536"}, 2, "there is no port 65536"},
		{"reset of a database of one's own", []string{"--reset", "--pg-url", "postgres://x"}, 2, "drop yours"},
		{"no PostgreSQL", []string{"--pg-bin", empty}, 1, "apt-get install --yes postgresql"},
		{"a database that is away", []string{"--pg-url", inFile(t, "postgres://admin:walrus@127.0.0.1:1/x"), "--redis-url", inFile(t, dbtest.Redis(t))}, 1, "127.0.0.1:1"},
		{"a database URL that is none", []string{"--pg-url", inFile(t, "postgres://admin:walrus%@127.0.0.1"), "--redis-url", inFile(t, dbtest.Redis(t))}, 1, "--pg-url is no database URL"},
		{"a Redis that is away", []string{"--pg-url", "postgres://x", "--redis-url", inFile(t, "redis://:walrus@127.0.0.1:1")}, 1, "--redis-url"},
		{"a password among the arguments", []string{"--pg-url", "postgres://admin:walrus@127.0.0.1:1/x"}, 2, "--pg-url carries a password"},
		{"Redis's among the arguments", []string{"--redis-url", "redis://:walrus@127.0.0.1:1"}, 2, "--redis-url carries a password"},
	} {
		code, out, errs := runToEnd(t, launch{args: append([]string{"dev"}, tt.args...)})
		if code != tt.code || !strings.Contains(out+errs, tt.want) || strings.Contains(out+errs, "walrus") {
			t.Errorf("%s: exit %d, want %d with %q\n%s%s", tt.name, code, tt.code, tt.want, out, errs)
		}
	}
}

func TestOriginsAreBounded(t *testing.T) {
	origins := []string{"https://app.localhost"}
	for port := range 100 {
		origins = withOrigin(origins, "http://localhost:"+strconv.Itoa(8000+port))
	}
	if len(origins) != maxDevOrigins || origins[0] != "http://localhost:8099" || !slices.Contains(origins, "https://app.localhost") {
		t.Errorf("after 100 ports: %v", origins)
	}
}
