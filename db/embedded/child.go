package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// killGrace is what a child gets between the last polite signal and SIGKILL.
const killGrace = time.Second

// account is the user that a child runs as. The zero value is ourselves: no child
// of ours runs as root.
type account struct {
	name     string
	uid, gid uint32
}

// isSelf reports whether the child runs as whoever we are.
func (a account) isSelf() bool { return a.uid == 0 }

func (a account) String() string {
	if a.isSelf() {
		return "ourselves"
	}
	return a.name
}

// own gives the file to the account.
func (a account) own(path string) error {
	if a.isSelf() {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// childAccount returns whom a child must run as. Postgres refuses root,
// and Redis has no need of it: as root we drop to the first
// of names that the machine knows, or to nobody.
func childAccount(names ...string) (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	for _, name := range append(names, "nobody") {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil {
			return account{}, fmt.Errorf("uid of user %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(found.Gid, 10, 32)
		if err != nil {
			return account{}, fmt.Errorf("gid of user %s: %w", name, err)
		}
		return account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return account{}, fmt.Errorf("no user to run as: as root one of %s, nobody must exist", strings.Join(names, ", "))
}

// accountOf returns the account that a file belongs to.
func accountOf(info fs.FileInfo) (account, error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 {
		return account{}, fmt.Errorf("%s belongs to root, and Postgres does not run as root", info.Name())
	}
	return account{name: strconv.FormatUint(uint64(stat.Uid), 10), uid: stat.Uid, gid: stat.Gid}, nil
}

// childEnv is the whole environment of a child. Ours must not leak in: PGDATA,
// PGPORT or a locale would change what Postgres does. Messages in English let
// portTaken read them, and macOS wants a locale to be named.
func childEnv() []string {
	env := []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// child is a running program that ends no later than we do.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the program has ended
	err  error         // how it ended; read it after done

	// lock is the claim on the program's data folder, if it has one. The program
	// outlives whatever a caller drops, and so must the claim: an unreachable
	// os.File closes itself.
	lock *dirLock
}

// startChild starts cmd as acct, in a process group of its own: a Ctrl-C in the
// terminal is then ours alone, and we stop children in the order we choose. lock may
// be nil.
func startChild(cmd *exec.Cmd, acct account, lock *dirLock) (*child, error) {
	cmd.Env = childEnv()
	cmd.SysProcAttr = childAttr(acct)
	c := &child{cmd: cmd, done: make(chan struct{}), lock: lock}
	started := make(chan error)
	go func() {
		defer close(c.done)
		// Linux sends the death signal when the *thread* ends that made the
		// child. The thread therefore stays with this goroutine, and this
		// goroutine with the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		release := guard(cmd.Process.Pid)
		c.err = cmd.Wait()
		release()
	}()
	if err := <-started; err != nil {
		<-c.done
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return c, nil
}

// stop sends polite and waits for the end. Past ctx it sends insistent, and a
// second later SIGKILL. It returns an error if polite was not enough, or if the
// program said that it ended badly.
func (c *child) stop(ctx context.Context, polite, insistent syscall.Signal) error {
	if err := c.signal(polite); err != nil {
		return err
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
	}
	if err := c.signal(insistent); err != nil {
		return err
	}
	select {
	case <-c.done:
	case <-time.After(killGrace):
		if err := c.signal(syscall.SIGKILL); err != nil {
			return err
		}
		<-c.done
	}
	return fmt.Errorf("stop %s: %w", c.cmd.Path, ctx.Err())
}

func (c *child) signal(sig syscall.Signal) error {
	if err := c.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to %s: %w", sig, c.cmd.Path, err)
	}
	return nil
}

// ended reports whether the program has ended.
func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// runChild runs cmd to its end, or to that of the context it was made with, and
// returns the last of what it printed.
func runChild(cmd *exec.Cmd, acct account) (string, error) {
	out := &tail{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = killGrace // for grandchildren that hold our pipe
	c, err := startChild(cmd, acct, nil)
	if err != nil {
		return "", err
	}
	<-c.done
	return out.String(), c.err
}

// tailBytes is how much of a program's output is kept to explain its end.
const tailBytes = 4 << 10

// tail is an io.Writer that remembers the end of what was written. Safe for
// concurrent use.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}
