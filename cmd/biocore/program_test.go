package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db/embedded"
)

// programLimit bounds everything that a program is waited for, on a busy machine.
const programLimit = time.Minute

// builtProgram is the binary, built as users build it. It stays in the user's cache,
// one for each checkout, since no test knows that it is the last to need it; go build
// leaves one that is up to date alone.
var builtProgram = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	checkout := sha256.Sum256([]byte(here))
	path := filepath.Join(cache, "biocore-test", "program", hex.EncodeToString(checkout[:8]), "biocore")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", path, ".").CombinedOutput(); err != nil {
		return "", errors.New("go build: " + err.Error() + "\n" + string(out))
	}
	return path, nil
})

func programPath(t testing.TB) string {
	t.Helper()
	path, err := builtProgram()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// output is what a program has said so far. It is safe for concurrent use.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	grew chan struct{} // closed at the next Write
}

func newOutput() *output { return &output{grew: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.grew)
	o.grew = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) now() (text string, grew <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.grew
}

func (o *output) String() string {
	text, _ := o.now()
	return text
}

// launch is how a program is started.
type launch struct {
	program string   // default: the built binary
	args    []string // of the program
	dir     string   // the working directory, default: a new folder
	env     []string // added to ours, which has no BIOCORE_ variables
	bare    bool     // no environment but PATH and env
	as      *syscall.Credential
}

// program is a running process in a group of its own, as a shell starts it. What is
// left of it when the test ends is stopped.
type program struct {
	*exec.Cmd

	out, errs *output
	began     time.Time
	ended     chan struct{}
}

func startProgram(t testing.TB, l launch) *program {
	t.Helper()
	if l.program == "" {
		l.program = programPath(t)
	}
	if l.dir == "" {
		l.dir = folder(t)
	}
	p := &program{Cmd: exec.Command(l.program, l.args...), out: newOutput(), errs: newOutput(), ended: make(chan struct{})}
	p.Dir, p.Stdout, p.Stderr = l.dir, p.out, p.errs
	p.WaitDelay = time.Second // for grandchildren that hold the pipe
	p.Env = append([]string{"PATH=" + os.Getenv("PATH")}, l.env...)
	if !l.bare {
		p.Env = append(withoutBiocore(os.Environ()), l.env...)
	}
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: l.as}
	p.began = time.Now()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.Wait() // its end is read from ProcessState
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said:\n%s%s", p.Args, p.out, p.errs)
		}
		if p.hasEnded() {
			return
		}
		_ = syscall.Kill(-p.Process.Pid, syscall.SIGTERM) // gone already, or we see it below
		select {
		case <-p.ended:
		case <-time.After(programLimit):
			t.Errorf("%s does not end on SIGTERM", p.Args)
			_ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL)
			<-p.ended
		}
	})
	return p
}

func withoutBiocore(environ []string) []string {
	var kept []string
	for _, kv := range environ {
		if !strings.HasPrefix(kv, "BIOCORE_") && !strings.HasPrefix(kv, "OTEL_") {
			kept = append(kept, kv)
		}
	}
	return kept
}

func (p *program) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// await returns when the program has said marker on o.
func (p *program) await(t testing.TB, o *output, marker string) {
	t.Helper()
	limit := time.After(programLimit)
	for {
		text, grew := o.now()
		if strings.Contains(text, marker) {
			return
		}
		select {
		case <-grew:
		case <-p.ended:
			if strings.Contains(o.String(), marker) {
				return
			}
			t.Fatalf("%s ended (%s) before it said %q:\n%s%s", p.Args, p.ProcessState, marker, p.out, p.errs)
		case <-limit:
			t.Fatalf("%s does not say %q:\n%s%s", p.Args, marker, p.out, p.errs)
		}
	}
}

// exit returns the exit code, once the program has ended by itself.
func (p *program) exit(t testing.TB) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(programLimit):
		t.Fatalf("%s does not end:\n%s%s", p.Args, p.out, p.errs)
	}
	return p.ProcessState.ExitCode()
}

// interrupt is Ctrl-C in a terminal, or another signal to the whole group. It returns
// how long the end took, and wants exit code 0 and no child left.
func (p *program) interrupt(t testing.TB, sig syscall.Signal) time.Duration {
	t.Helper()
	children := offspring(t, p.Process.Pid)
	began := time.Now()
	if err := syscall.Kill(-p.Process.Pid, sig); err != nil {
		t.Fatal(err)
	}
	if code := p.exit(t); code != 0 {
		t.Errorf("exit code after %s = %d (%s), want 0", sig, code, p.ProcessState)
	}
	took := time.Since(began)
	for pid, name := range children {
		if alive(t, pid) {
			t.Errorf("%s, process %d, is left after %s", name, pid, sig)
		}
	}
	return took
}

// runToEnd runs the program to its end.
func runToEnd(t testing.TB, l launch) (code int, out, errs string) {
	t.Helper()
	p := startProgram(t, l)
	code = p.exit(t)
	return code, p.out.String(), p.errs.String()
}

// process is a line of the table of processes.
type process struct {
	pid, parent int
	ended       bool // but nobody has looked yet
	name        string
}

// processes is the table of processes.
func processes(t testing.TB) []process {
	t.Helper()
	var table []process
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^(\d+) \((.*)\) (\S) (\d+) `)
	for _, path := range stats {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		if m := form.FindStringSubmatch(string(line)); m != nil {
			table = append(table, process{pid: number(t, m[1]), parent: number(t, m[4]), ended: m[3] == "Z" || m[3] == "X", name: m[2]})
		}
	}
	if len(stats) > 0 {
		return table
	}
	out, err := exec.CommandContext(t.Context(), "ps", "-A", "-o", "pid=,ppid=,state=,comm=").Output() // not Linux
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) >= 4 {
			table = append(table, process{pid: number(t, f[0]), parent: number(t, f[1]), ended: f[2][0] == 'Z', name: filepath.Base(f[3])})
		}
	}
	return table
}

func number(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// offspring are the names of a process's children, theirs included, by number.
func offspring(t testing.TB, pid int) map[int]string {
	t.Helper()
	table, found := processes(t), map[int]string{}
	for grown := true; grown; {
		grown = false
		for _, p := range table {
			_, known := found[p.pid]
			_, below := found[p.parent]
			if !known && !p.ended && (below || p.parent == pid) {
				found[p.pid], grown = p.name, true
			}
		}
	}
	return found
}

// alive reports whether the process does anything yet.
func alive(t testing.TB, pid int) bool {
	t.Helper()
	for _, p := range processes(t) {
		if p.pid == pid {
			return !p.ended
		}
	}
	return false
}

// eventually waits for a state that another process brings about.
func eventually(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(programLimit); !reached(); pause(t, 10*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so within %s: %s", programLimit, what)
		}
	}
}

// folder makes a folder that every account can pass through, unlike t.TempDir, and
// removes it with what `biocore dev` keeps for it elsewhere.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "biocore-test-") //nolint:usetesting // t.TempDir's parent is closed to others
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeFolder(t, dir) })
	return dir
}

// removeFolder removes a folder in which `biocore dev` has run.
func removeFolder(t testing.TB, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), programLimit)
	defer cancel()
	if err := errors.Join(embedded.Remove(ctx, filepath.Join(dir, ".biocore", "postgres")), os.RemoveAll(dir)); err != nil {
		t.Errorf("remove folder: %v", err)
	}
}

// takenPort is a port that somebody listens on, at address, until the test ends. The
// next one may be free.
func takenPort(t testing.TB, address string) int {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	addr, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("address %v", ln.Addr())
	}
	return addr.Port
}

// copyProgram puts a copy of the binary where every account may run it.
func copyProgram(t testing.TB) string {
	t.Helper()
	from, err := os.Open(programPath(t))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	path := filepath.Join(folder(t), "biocore")
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
