package embedded

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// childAttr drops to acct, parts the child from our terminal, and has the
// kernel stop it when we die. SIGINT is a fast and clean shutdown for Postgres
// and for Redis.
func childAttr(acct account) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
	if !acct.isSelf() {
		attr.Credential = &syscall.Credential{Uid: acct.uid, Gid: acct.gid}
	}
	return attr
}

// guard has nothing to add: Pdeathsig does its work.
func guard(int) (release func()) { return func() {} }

// isPostmaster reports whether pid is the Postgres that works on cluster. A
// process number is given out again after a crash or in a new container, so the
// number in postmaster.pid may by now belong to anything.
func isPostmaster(pid int, cluster string) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	name, err := os.ReadFile(filepath.Join(proc, "comm"))
	if err != nil || strings.TrimSpace(string(name)) != "postgres" {
		return false
	}
	// The postmaster works in its data folder. Some containers do not let us
	// look; then the name has to do.
	at, err := os.Stat(filepath.Join(proc, "cwd"))
	if err != nil {
		return true
	}
	want, err := os.Stat(cluster)
	return err == nil && os.SameFile(at, want)
}

// alive reports whether there is a process pid that does anything yet. One that
// has ended stays in the table until its new parent looks, which in a container
// may be never.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	// pid (comm) state …: the name may hold anything, the state follows the last bracket.
	_, after, found := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
	return found && !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X")
}
