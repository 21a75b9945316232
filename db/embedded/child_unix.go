//go:build unix && !linux

package embedded

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// childAttr drops to acct and parts the child from our terminal. No death
// signal exists here; guard takes its place.
func childAttr(acct account) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if !acct.isSelf() {
		attr.Credential = &syscall.Credential{Uid: acct.uid, Gid: acct.gid}
	}
	return attr
}

// guard stops the child when we die, however that happens: a shell waits on a
// pipe that only we hold open, and its end is ours. Where the shell cannot be
// started, the server is found and stopped at the next start.
func guard(pid int) (release func()) {
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", `read -r released || kill -INT "$0"`, strconv.Itoa(pid))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	alive, err := cmd.StdinPipe()
	if err != nil {
		return func() {}
	}
	if err := cmd.Start(); err != nil {
		return func() {}
	}
	return func() {
		// A full line lets the shell go without a signal. Nothing is left to do
		// if that fails: the child is gone, and so is the shell soon.
		_, _ = alive.Write([]byte("released\n"))
		_ = cmd.Wait()
	}
}

// isPostmaster reports whether pid is a Postgres. A process number is given out
// again after a crash, so the number in postmaster.pid may by now belong to
// anything.
func isPostmaster(pid int, _ string) bool {
	name, err := exec.CommandContext(context.Background(), "ps", "-o", "comm=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && filepath.Base(strings.TrimSpace(string(name))) == "postgres"
}

// alive reports whether there is a process pid.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
