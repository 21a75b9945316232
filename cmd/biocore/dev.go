package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/biocore-id/biocore/db/embedded"
	"github.com/biocore-id/biocore/web/demo"
	"github.com/biocore-id/biocore/web/edge"
)

// devOptions are the flags of `biocore dev`.
type devOptions struct {
	reset, noLimits bool
	demoData        bool   // make a month of life for acme
	demoDays        int    // or another past
	pgURL           string // an administrator's; empty: start one
	pgBin           string
	redisURL        string // empty: start one
	port, opsPort   int    // to begin with: the next free one is taken; 0: any
}

func (o *devOptions) validate() error {
	// The key file goes with the database, and that of --pg-url is not ours to delete.
	if o.reset && o.pgURL != "" {
		return errors.New("--reset deletes the database that `biocore dev` started by itself: with --pg-url, drop yours and make it anew")
	}
	for _, port := range []int{o.port, o.opsPort} {
		if port < 0 || port > 65535 {
			return fmt.Errorf("there is no port %d", port)
		}
	}
	return nil
}

// dev is one run of `biocore dev`: stores of its own, and a server on them.
type dev struct {
	devOptions
	folder string // .biocore
	out    io.Writer
	began  time.Time
	tel    *telemetry
	up     func(devState) error // called once, when all is ready

	postgres *embedded.Postgres // nil: not started here
	redis    *embedded.Redis    // nil: not started here
	isUp     bool
}

func runDev(ctx context.Context, env *environment, args []string) error {
	d := &dev{folder: filepath.Join(env.dir, ".biocore"), out: env.out, began: time.Now()}
	d.up = d.welcome
	var asJSON bool
	fset := flags(env, "dev", &asJSON)
	fset.BoolVar(&d.reset, "reset", false, "delete the data of earlier runs first")
	fset.BoolVar(&d.demoData, "demo-data", false, "give the tenant acme a month of users, sign-ins and failures, if it is not there yet")
	fset.IntVar(&d.demoDays, "demo-days", month.days, "how many `days` of it there are, 1 to 90: a week is made in a quarter of the time")
	fset.BoolVar(&d.noLimits, "no-limits", false, "turn rate limits off, for load tests")
	fset.StringVar(&d.pgURL, "pg-url", "", "use this database instead of starting one: an administrator's `URL`, or file:PATH of a file that holds it, with which the roles bc_* are made and given passwords")
	fset.StringVar(&d.pgBin, "pg-bin", "", "`folder` of the postgres and initdb programs")
	fset.StringVar(&d.redisURL, "redis-url", "", "use this Redis (`URL`, or file:PATH of a file that holds it) instead of starting one")
	fset.IntVar(&d.port, "port", 8080, "`port` of the API; the next free one is taken")
	fset.IntVar(&d.opsPort, "ops-port", 9090, "`port` of metrics and health; the next free one is taken")
	if err := parse(fset, args, 0); err != nil {
		return err
	}
	if d.demoDays < 1 || d.demoDays > maxDemoDays {
		return misuse(env, "dev", "--demo-days is 1 to %d", maxDemoDays)
	}
	var err error
	if d.pgURL, err = urlArgument("--pg-url", d.pgURL); err != nil {
		return misuse(env, "dev", "%v", err)
	}
	if d.redisURL, err = urlArgument("--redis-url", d.redisURL); err != nil {
		return misuse(env, "dev", "%v", err)
	}
	if err := d.validate(); err != nil {
		return misuse(env, "dev", "%v", err)
	}
	if asJSON {
		d.out = io.Discard
		d.up = func(state devState) error { return printJSON(env.out, state) }
	}
	d.tel, err = startTelemetry(ctx, TelemetryConfig{
		Version: buildInfo().Version, LogOutput: env.err, LogText: true, LogLevel: slog.LevelWarn, RequestID: requestID,
	})
	if err != nil {
		return err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = d.tel.Shutdown(last) // the collector is gone: nothing to do about it now
	}()
	return d.run(ctx)
}

// run holds the folder, runs what is in it, and ends all that it has started.
func (d *dev) run(ctx context.Context) error {
	//nolint:gosec // Postgres's own account must reach its folder in here; what is secret is 0600
	if err := os.MkdirAll(d.folder, 0o755); err != nil {
		return err
	}
	release, err := d.claim()
	if err != nil {
		return err
	}
	defer release()
	err = d.open(ctx)
	if ctx.Err() != nil && !d.isUp {
		err = nil // asked to stop while it started: what that broke off is no failure
	}
	err = errors.Join(err, d.stop(ctx))
	if err == nil {
		_, _ = fmt.Fprintln(d.out, "\n  Stopped.")
	}
	return err
}

// claim makes this process the only one that works in the folder: two would serve
// one dev.json, and each would tell the other's port.
func (d *dev) claim() (release func(), err error) {
	dir, err := filepath.Abs(d.folder)
	if err != nil {
		return nil, err
	}
	release, err = embedded.Claim(dir)
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: the folder was made by another user (with sudo?); run as that user, or remove it", err)
	}
	return release, err
}

// open brings everything up in order and returns when ctx ends.
func (d *dev) open(ctx context.Context) error {
	if d.reset {
		if err := d.step(ctx, "Deleting the data", func() (string, error) { return "", d.forget(ctx) }); err != nil {
			return err
		}
	}
	cfg, err := d.stores(ctx)
	if err != nil {
		return err
	}
	publicPort, err := listenFrom(ctx, d.port, d.tel.Log)
	if err != nil {
		return err
	}
	opsPort, err := listenFrom(ctx, d.opsPort, d.tel.Log)
	if err != nil {
		return err
	}
	cfg.Listen, cfg.OpsListen = publicPort.Addr().String(), opsPort.Addr().String()
	cfg.PublicURL = "http://localhost:" + strconv.Itoa(publicPort.Addr().Port)
	p, err := newPlatform(ctx, cfg, d.tel)
	if err != nil {
		return d.advise(err)
	}
	s := &server{
		platform: p, publicPort: publicPort, opsPort: opsPort, backgroundTimeout: devBackgroundTimeout,
		failed: make(chan error, 5),
	}
	if err := p.placeConsole(ctx); err != nil {
		return d.advise(err) // it has closed p
	}
	if err := p.prepareRollouts(ctx); err != nil {
		return d.advise(err) // as above
	}
	if d.demoData {
		if err := d.demo(ctx, p, cfg); err != nil {
			p.Close()
			return d.advise(err)
		}
	}
	state, err := d.seed(ctx, p, cfg)
	if err != nil {
		p.Close()
		return d.advise(err)
	}
	return d.serve(ctx, s, state)
}

// serve serves until ctx ends, or a child does.
func (d *dev) serve(ctx context.Context, s *server, state devState) error {
	acme := state.Tenants[0]
	bank, err := demo.New(demo.Options{
		APIURL: state.APIURL, SecretKey: acme.SecretKey, PublishableKey: acme.PublishableKey,
		Static: s.static, Log: s.tel.Log,
	})
	if err == nil {
		err = d.leave(s.cfg, state)
	}
	if err != nil {
		s.Close()
		return err
	}
	s.start(ctx, s.public(bank))

	watching, done := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-watching.Done():
		case <-ended(d.postgres):
			s.failed <- d.postgres.Err()
		case <-ended(d.redis):
			s.failed <- d.redis.Err()
		}
	})
	defer watch.Wait()
	defer done()

	d.isUp = true
	if err := d.up(state); err != nil {
		s.failed <- err
	}
	err = s.wait(ctx)
	if err != nil {
		// What lost its connection may say so before the child that it went to is seen to have
		// ended, which explains it.
		select {
		case <-ended(d.postgres):
			err = d.postgres.Err()
		case <-time.After(childEndLimit):
		}
	}
	return err
}

// childEndLimit is how long a failure waits for its explanation.
const childEndLimit = 500 * time.Millisecond

// child is a server that was started here, or nil.
type child interface {
	comparable
	Done() <-chan struct{}
}

// ended is closed when a child ends, and never for one that was not started.
func ended[C child](c C) <-chan struct{} {
	var none C
	if c == none {
		return nil
	}
	return c.Done()
}

// Ctrl-C has 2 s for everything: requests in flight, jobs, and the stores get a part
// of it each.
const (
	devDrainTimeout      = 500 * time.Millisecond
	devBackgroundTimeout = 300 * time.Millisecond
	devStopTimeout       = time.Second
)

// stop ends what was started, the last first.
func (d *dev) stop(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), devStopTimeout)
	defer cancel()
	var errs []error
	end := func(done <-chan struct{}, stop func(context.Context) error) {
		select {
		case <-done: // by itself, which was told already
			_ = stop(bounded) // tidies up
		default:
			// On a slow disk Postgres is still writing its buffers out when the time
			// is over. What was committed is in its log, and the next start recovers it.
			if err := stop(bounded); !errors.Is(err, context.DeadlineExceeded) {
				errs = append(errs, err)
			}
		}
	}
	if d.redis != nil {
		end(d.redis.Done(), d.redis.Stop)
	}
	if d.postgres != nil {
		end(d.postgres.Done(), d.postgres.Stop)
	}
	return errors.Join(errs...)
}

// step tells what is being done, and how long it took.
func (d *dev) step(ctx context.Context, what string, do func() (string, error)) error {
	began := time.Now()
	_, _ = fmt.Fprintf(d.out, "  %-34s", what)
	detail, err := do()
	switch {
	case ctx.Err() != nil:
		_, _ = fmt.Fprintln(d.out, "interrupted")
	case err != nil:
		_, _ = fmt.Fprintln(d.out, "failed")
	default:
		_, _ = fmt.Fprintln(d.out, strings.TrimRight(fmt.Sprintf("%5.1f s  %s", time.Since(began).Seconds(), detail), " "))
	}
	return err
}

// advise adds the way out to an error that lies in what the folder holds.
func (d *dev) advise(err error) error {
	if d.pgURL != "" {
		return err
	}
	return fmt.Errorf("%w\n(`biocore dev --reset` starts anew, without the data in %s)", err, d.folder)
}

func (d *dev) path(name string) string { return filepath.Join(d.folder, name) }

// portTries is how many ports in a row are tried before all of them being taken is
// an error.
const portTries = 100

// listenFrom opens the first free port from port on, on loopback.
func listenFrom(ctx context.Context, port int, log *slog.Logger) (*edge.Server, error) {
	for try := port; ; try++ {
		err := freeOnIPv6(ctx, try)
		if err == nil {
			var s *edge.Server
			if s, err = edge.Listen(ctx, loopback("127.0.0.1", try), edge.ServerOptions{Log: log}); err == nil {
				return s, nil
			}
		}
		if port == 0 || try == min(port+portTries, 65535) || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
	}
}

// freeOnIPv6 returns an error if somebody listens on the port there: browsers try
// that before 127.0.0.1 when they are told localhost, and would talk to them. A
// machine without IPv6 has nobody there.
func freeOnIPv6(ctx context.Context, port int) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp6", loopback("::1", port))
	switch {
	case err == nil:
		return ln.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		return err
	}
	return nil
}

func loopback(address string, port int) string {
	return net.JoinHostPort(address, strconv.Itoa(port))
}
