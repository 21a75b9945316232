package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// redisDir is what belongs to the account in a Redis data folder.
const redisDir = "redis"

// RedisOptions say how to run Redis. The zero value takes what it finds, keeps
// nothing, and listens on a free port.
type RedisOptions struct {
	// Bin is the redis-server to run, a path or a name on PATH. Empty searches,
	// and runs Redis in-process if there is none.
	Bin string
	// InProcess does not look for redis-server.
	InProcess bool
	// Dir keeps dump.rdb and the append-only file, and is loaded at the start.
	// Nothing writes a snapshot but Save. Empty keeps nothing. Needs redis-server.
	Dir string
	// AppendOnly logs each write to Dir, synced once a second.
	AppendOnly bool
	// Port to listen on, on 127.0.0.1. 0 takes a free one.
	Port int
	// Password that clients must give. Empty makes one by chance. Letters and
	// digits only.
	Password secret.Text
	// Log gets what is unusual. nil discards it.
	Log *slog.Logger
}

// Redis is a running server.
type Redis struct {
	Port int    // on 127.0.0.1
	Dir  string // where dump.rdb lies or would; "" if nothing is kept
	Real bool   // a redis-server; false means in-process

	password  secret.Text
	inProcess *miniredis.Miniredis // nil if Real
	server    *child               // nil unless Real
	output    *tail
	lock      *dirLock // nil without Dir
	done      chan struct{}
	stopOnce  sync.Once
	stopErr   error
}

// Format keeps the password, which the server in this process knows in the clear, out
// of whatever prints.
func (r *Redis) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "redis on port %d", r.Port)
}

// StartRedis starts Redis and returns when it answers, in about 0.1 s. ctx
// bounds the start, not the life of the server. The caller must call Stop. What
// a user can put right is a *NotFoundError, *InUseError or *PortError.
//
// In-process Redis is for looking around: it runs scripts ten times slower and
// knows neither functions nor client tracking.
func StartRedis(ctx context.Context, o RedisOptions) (*Redis, error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if o.Password == (secret.Text{}) {
		o.Password = secret.New(randomPassword())
	} else if strings.ContainsFunc(o.Password.Reveal(), notAlphanumeric) {
		return nil, errors.New("RedisOptions.Password has a character that is neither letter nor digit")
	}
	if o.InProcess {
		return startInProcess(o)
	}
	acct, err := childAccount("redis")
	if err != nil {
		return nil, err
	}
	bin, err := findRedis(ctx, o.Bin, acct)
	if err != nil && o.Bin == "" && o.Dir == "" {
		log.InfoContext(ctx, "running redis in-process", "err", err)
		return startInProcess(o)
	} else if err != nil {
		return nil, err
	}
	r := &Redis{Real: true, password: o.Password}
	if o.Dir != "" {
		if err := r.openDir(ctx, o.Dir, acct); err != nil {
			return nil, err
		}
	}
	err = onPort(ctx, o.Port, freePort, func(port int) error { return r.tryStart(ctx, port, o, bin, acct) })
	if err != nil {
		r.unlock()
		return nil, err
	}
	log.InfoContext(ctx, "redis is ready", "addr", loopback(r.Port))
	return r, nil
}

func notAlphanumeric(c rune) bool {
	return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

// startInProcess starts miniredis.
func startInProcess(o RedisOptions) (*Redis, error) {
	if o.Dir != "" || o.AppendOnly {
		return nil, errors.New("in-process Redis cannot keep anything: RedisOptions.Dir and AppendOnly need redis-server")
	}
	m := miniredis.NewMiniRedis()
	m.RequireAuth(o.Password.Reveal())
	// Without it no key would ever expire, nor any challenge with it.
	m.ClockTTL(true)
	if err := m.StartAddr(loopback(o.Port)); err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, &PortError{Port: o.Port}
		}
		return nil, fmt.Errorf("start redis in-process: %w", err)
	}
	port, err := strconv.Atoi(m.Port())
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("start redis in-process: %w", err)
	}
	return &Redis{Port: port, password: o.Password, inProcess: m, done: make(chan struct{})}, nil
}

// openDir places and claims the data folder.
func (r *Redis) openDir(ctx context.Context, dir string, acct account) error {
	placed, err := place(ctx, dir, acct)
	if err != nil {
		return fmt.Errorf("place the data folder: %w", err)
	}
	if r.lock, err = lockDir(placed); err != nil {
		return err
	}
	r.Dir = filepath.Join(placed, redisDir)
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		r.unlock()
		return err
	}
	if err := acct.own(r.Dir); err != nil {
		r.unlock()
		return err
	}
	return nil
}

func (r *Redis) unlock() {
	if r.lock != nil {
		r.lock.release()
	}
}

// tryStart starts the server on port and returns when it answers.
func (r *Redis) tryStart(ctx context.Context, port int, o RedisOptions, bin string, acct account) error {
	r.Port = port
	// The server outlives ctx, which bounds the start. Its configuration comes by
	// standard input, for it holds the password.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), bin, "-")
	cmd.Stdin = strings.NewReader(r.config(o))
	cmd.Dir = "/" // ours may be closed to acct
	r.output = &tail{}
	cmd.Stdout, cmd.Stderr = r.output, r.output
	var err error
	if r.server, err = startChild(cmd, acct, r.lock); err != nil {
		return err
	}
	r.done = r.server.done
	if err := r.awaitReady(ctx); err != nil {
		if !r.server.ended() {
			stopped, cancel := context.WithCancel(ctx)
			cancel() // it has no client yet and nothing to save
			return errors.Join(err, r.server.stop(stopped, syscall.SIGTERM, syscall.SIGKILL))
		}
		return err
	}
	return nil
}

func (r *Redis) config(o RedisOptions) string {
	dir := "/" // nothing is written there
	if r.Dir != "" {
		dir = r.Dir
	}
	appendOnly := "no"
	if o.AppendOnly {
		appendOnly = "yes"
	}
	return strings.Join([]string{
		"bind 127.0.0.1",
		"port " + strconv.Itoa(r.Port),
		"requirepass " + r.password.Reveal(),
		"daemonize no",
		`dir "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(dir) + `"`,
		`save ""`,
		"appendonly " + appendOnly,
		"",
	}, "\n")
}

// awaitReady returns when a PING is answered.
func (r *Redis) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if r.ping(ctx) == nil {
			return nil
		}
		if r.server.ended() {
			return r.exitError()
		}
		select {
		case <-tick.C:
		case <-r.server.done:
		case <-ctx.Done():
			return fmt.Errorf("wait for redis to start: %w (it said: %s)", ctx.Err(), r.output)
		}
	}
}

// ping asks for an answer soon. Where another has the port, our server is about
// to end; that one may be silent for ever, but cannot know our password.
func (r *Redis) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*pollEvery)
	defer cancel()
	_, err := r.do(ctx, "PING")
	return err
}

// exitError explains, from its output, why the server ended by itself.
func (r *Redis) exitError() error {
	end := r.output.String()
	if portTaken(end) {
		return &PortError{Port: r.Port}
	}
	return fmt.Errorf("redis ended: %w: %s", errOrUnasked(r.server.err), end)
}

// do sends one command whose answer is one line, and returns that. It exists so
// that this package needs no client library: db/ephemeral owns that.
func (r *Redis) do(ctx context.Context, args ...string) (string, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp4", loopback(r.Port))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }() // the answer is all we want of it
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	var request strings.Builder
	for _, command := range [][]string{{"AUTH", r.password.Reveal()}, args} {
		fmt.Fprintf(&request, "*%d\r\n", len(command))
		for _, arg := range command {
			fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(arg), arg)
		}
	}
	if _, err := conn.Write([]byte(request.String())); err != nil {
		return "", err
	}
	var line string
	answers := bufio.NewReader(conn)
	for range 2 {
		if line, err = answers.ReadString('\n'); err != nil {
			return "", err
		}
		line = strings.TrimSpace(line)
		if reason, refused := strings.CutPrefix(line, "-"); refused {
			return "", fmt.Errorf("redis answers %s", reason)
		}
	}
	return strings.TrimPrefix(line, "+"), nil
}

// Save writes the snapshot dump.rdb into Dir, which the next start on the same
// folder loads, whatever was written since.
func (r *Redis) Save(ctx context.Context) error {
	if r.Dir == "" {
		return errors.New("save redis: RedisOptions.Dir was empty")
	}
	if _, err := r.do(ctx, "SAVE"); err != nil {
		return fmt.Errorf("save redis: %w", err)
	}
	return nil
}

// URL is where clients connect. It holds the password: not for logs, nor for
// command lines.
func (r *Redis) URL() string {
	u := url.URL{
		Scheme: "redis",
		User:   url.UserPassword("default", r.password.Reveal()),
		Host:   loopback(r.Port),
		Path:   "/0",
	}
	return u.String()
}

// Done is closed when the server has ended, asked to or not.
func (r *Redis) Done() <-chan struct{} { return r.done }

// Err tells why the server ended without having been asked to. Call it after
// Done; it is of no meaning after Stop.
func (r *Redis) Err() error {
	if r.inProcess != nil {
		return nil
	}
	return r.exitError()
}

// Stop ends all connections and the server. It writes no snapshot. Past ctx the
// server is killed, and Stop returns an error. A second call returns what the
// first did.
func (r *Redis) Stop(ctx context.Context) error {
	r.stopOnce.Do(func() {
		if r.inProcess != nil {
			r.inProcess.Close()
			close(r.done)
			return
		}
		r.stopErr = r.server.stop(ctx, syscall.SIGTERM, syscall.SIGKILL)
		r.unlock()
	})
	return r.stopErr
}
