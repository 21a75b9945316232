package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
)

// procFile reads a file of a process.
func procFile(t testing.TB, pid int, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A server whose secrets are in its environment: they are not in its arguments, it
// leaves no core behind, and no other process of its user reads them from /proc.
func TestServeSealsItsMemory(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, dbtest.Fresh(t), dbtest.Redis(t))
	l := launch{program: copyProgram(t), args: []string{"serve"}, env: []string{
		"BIOCORE_LISTEN=127.0.0.1:0", "BIOCORE_OPS_LISTEN=127.0.0.1:0", "BIOCORE_PUBLIC_URL=" + cfg.PublicURL,
	}}
	for name, text := range cfg.secrets() {
		l.env = append(l.env, name+"="+text.Reveal())
	}
	key := filepath.Join(folder(t), "kms.key")
	raw, err := os.ReadFile(strings.TrimPrefix(cfg.KMSURL, "local:"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	l.env = append(l.env, "BIOCORE_KMS_URL=local:"+key)
	if os.Getuid() == 0 { // whom /proc refuses nothing: then the owner of its files tells
		l.as = &syscall.Credential{Uid: 65534, Gid: 65534}
		if err := os.Chown(key, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	p := startProgram(t, l)
	p.await(t, p.errs, `"serving operations"`)
	pid := p.Process.Pid
	for name, text := range cfg.secrets() {
		if text.Reveal() == "" {
			continue // not given: every text holds it
		}
		if strings.Contains(procFile(t, pid, "cmdline"), text.Reveal()) || strings.Contains(p.out.String()+p.errs.String(), text.Reveal()) {
			t.Errorf("%s is in the arguments or in the log", name)
		}
	}
	for line := range strings.Lines(procFile(t, pid, "limits")) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok && strings.Fields(rest)[0] != "0" {
			t.Errorf("it may leave a core: %s", line)
		}
	}
	// proc(5): the files of a process that is not dumpable are root's.
	for _, name := range []string{"environ", "mem"} {
		info, err := os.Stat(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			t.Fatal(err)
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != 0 {
			t.Errorf("%s belongs to its user, who may read it", name)
		}
	}
}

// What `biocore dev` starts gets none of the secrets that the environment happens to hold.
func TestChildrenInheritNoSecrets(t *testing.T) {
	t.Parallel()
	p, _ := startDev(t, launch{env: []string{"BIOCORE_DATABASE_URL=postgres://bc_app:" + hunter + "@h/x", "BIOCORE_REDIS_URL=redis://:" + hunter + "@h", "BIOCORE_PLATFORM_KEY=" + hunter}})
	children := offspring(t, p.Process.Pid)
	if len(children) < 2 {
		t.Fatalf("it has started %v", children)
	}
	for pid, name := range children {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			continue // a worker of Postgres's that has ended
		}
		if strings.Contains(string(text), hunter) || strings.Contains(string(text), "BIOCORE_") {
			t.Errorf("%s inherits %q", name, text)
		}
	}
	p.interrupt(t, syscall.SIGINT)
}
