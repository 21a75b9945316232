package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/web/edge"
	"github.com/biocore-id/biocore/web/rpc"
)

func runServe(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "serve", &asJSON)
	config := configFlag(fs)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if err := sealMemory(); err != nil {
		return fmt.Errorf("turn core dumps off: %w", err)
	}
	read, err := readSettings(*config, env.dir)
	if err != nil {
		return err
	}
	read.openReferences(ctx)
	cfg := read.Config
	level, levelErr := cfg.logLevel()
	if err := errors.Join(read.err(), cfg.validateServe(read.unread()...), levelErr, cfg.checkFiles()); err != nil {
		return fmt.Errorf("configuration:\n%w", err)
	}
	tel, err := startTelemetry(ctx, TelemetryConfig{Version: buildInfo().Version, LogOutput: env.err, LogLevel: level, RequestID: requestID})
	if err != nil {
		return err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = tel.Shutdown(last) // the collector is gone: nothing to do about it now
	}()
	s, err := newServer(ctx, cfg, tel)
	if err != nil {
		return err
	}
	s.start(ctx, s.public(nil))
	tel.Log.InfoContext(ctx, "serving", "addr", s.publicPort.Addr().String())
	tel.Log.InfoContext(ctx, "serving operations", "addr", s.opsPort.Addr().String())
	return s.wait(ctx)
}

// server is a platform with its ports.
type server struct {
	*platform
	publicPort, opsPort *edge.Server

	// backgroundTimeout bounds how long what goes on beside requests may take to end.
	// 0 leaves it the time that it gives itself, which is bounded too.
	backgroundTimeout time.Duration

	stop    context.CancelFunc // ends what goes on beside requests
	running sync.WaitGroup
	failed  chan error
}

// newServer wires a platform on a database of this version and opens the ports.
// Call start, then wait.
func newServer(ctx context.Context, cfg Config, tel *telemetry) (*server, error) {
	tlsConfig, err := cfg.tls()
	if err != nil {
		return nil, err
	}
	publicPort, err := edge.Listen(ctx, cfg.Listen, edge.ServerOptions{TLS: tlsConfig, Log: tel.Log})
	if err != nil {
		return nil, err
	}
	opsPort, err := edge.Listen(ctx, cfg.OpsListen, edge.ServerOptions{Log: tel.Log})
	if err != nil {
		return nil, errors.Join(err, publicPort.Shutdown(ctx))
	}
	p, err := newPlatform(ctx, cfg, tel)
	if err == nil {
		err = p.checkSchema(ctx)
	}
	if err == nil {
		err = p.checkKeys(ctx)
	}
	if err == nil {
		err = p.placeConsole(ctx)
	}
	if err == nil {
		err = p.prepareRollouts(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, publicPort.Shutdown(ctx), opsPort.Shutdown(ctx))
	}
	return &server{platform: p, publicPort: publicPort, opsPort: opsPort, failed: make(chan error, 3)}, nil
}

func (p *platform) checkSchema(ctx context.Context) error {
	behind, err := p.store.SchemaBehind(ctx)
	if err == nil && len(behind) > 0 {
		migrations := "migrations"
		if len(behind) == 1 {
			migrations = "migration"
		}
		err = fmt.Errorf("the database lacks %d %s, from %s on: run `biocore migrate up` first", len(behind), migrations, behind[0])
	}
	if err != nil {
		p.Close()
	}
	return err
}

// checkKeys refuses to start beside servers that have another KMS key.
func (p *platform) checkKeys(ctx context.Context) error {
	err := p.keys.CheckPlatform(ctx)
	if err != nil {
		err = fmt.Errorf("the platform's keys do not open: BIOCORE_KMS_URL or BIOCORE_KMS_PREVIOUS_URLS must name what wrapped them: %w", err)
		p.Close()
	}
	return err
}

// placeConsole tells the console where it is. A host that people have no passkeys for is
// no reason not to serve tenants: that it was moved is logged.
func (p *platform) placeConsole(ctx context.Context) error {
	home := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "serve"})
	if err := p.keys.Ensure(ctx, home); err != nil {
		p.Close()
		return fmt.Errorf("keys of the platform: %w", err)
	}
	err := p.tenants.PlaceConsole(ctx, home, p.cfg.PublicURL)
	switch f, _ := fault.As(err); {
	case errors.Is(err, tenant.ErrRPIDInUse):
		p.tel.Log.ErrorContext(ctx, "nobody can sign in to the console: its people have passkeys for the host of an earlier public URL", "err", err)
		return nil
	case f != nil && f.Reason == tenant.ErrInvalid.Reason:
		p.tel.Log.WarnContext(ctx, "there is no console: the public URL's host is an address, which no passkey is for", "err", err)
		return nil
	case err != nil:
		p.Close()
		return fmt.Errorf("place the console: %w", err)
	}
	staff, err := p.members.List(ctx, home)
	if err == nil && len(staff) == 0 {
		p.tel.Log.InfoContext(ctx, "nobody is on the staff: biocore member invite --tenant platform --role staff_admin makes a link")
	}
	return err
}

// start answers on the public port with h, and on the operations port. What goes on
// beside requests outlives ctx by the time that draining takes.
func (s *server) start(ctx context.Context, h http.Handler) {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	for _, part := range []func() error{
		func() error { return s.platform.Run(background) },
		func() error { return s.publicPort.Serve(h) },
		func() error { return s.opsPort.Serve(s.ops()) },
	} {
		s.running.Go(func() {
			if err := part(); err != nil {
				s.failed <- err
			}
		})
	}
}

// wait serves until ctx ends or a part fails, then drains: unready first, then live streams,
// which end by nothing else, then no new connections, then the requests in flight, then what
// goes on beside them.
func (s *server) wait(ctx context.Context) error {
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-s.failed:
	}
	s.draining.Store(true)
	s.tail.Stop()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainTimeout)
	defer cancel()
	err := errors.Join(s.publicPort.Shutdown(drain), s.opsPort.Shutdown(drain))
	if errors.Is(err, context.DeadlineExceeded) { // their clients' failure or ours, but the end was asked for
		s.tel.Log.WarnContext(ctx, "requests in flight were cut off", "took", s.cfg.DrainTimeout)
		err = nil
	}
	s.endBackground()
	return errors.Join(failure, err)
}

// endBackground ends what goes on beside requests, and then the connections.
func (s *server) endBackground() {
	s.stop()
	ended := make(chan struct{})
	go func() { s.running.Wait(); close(ended) }()
	var late <-chan time.Time
	if s.backgroundTimeout > 0 {
		late = time.After(s.backgroundTimeout)
	}
	select {
	case <-ended:
		s.platform.Close()
	case <-late: // it still holds connections, which would hold Close: they end with the process
	}
}

func requestID(ctx context.Context) string { return rpc.OriginFromContext(ctx).RequestID }

func (c *Config) logLevel() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return 0, errors.New("BIOCORE_LOG_LEVEL is debug, info, warn or error")
	}
	return level, nil
}

// checkFiles refuses key files that cannot be used or that others may reach, before
// anything is opened with them.
func (c *Config) checkFiles() error {
	var errs []error
	if c.TLSCertFile != "" && c.TLSKeyFile != "" {
		_, err := c.tls()
		errs = append(errs, err)
	}
	if path, ok := strings.CutPrefix(c.KMSURL, "local:"); ok {
		_, err := kms.OpenLocal(path)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c *Config) tls() (*tls.Config, error) {
	if c.TLSCertFile == "" {
		return nil, nil //nolint:nilnil // plain HTTP
	}
	cert, _, err := secret.ReadPublicFile(c.TLSCertFile)
	if err != nil {
		return nil, fmt.Errorf("BIOCORE_TLS_CERT_FILE: %w", err)
	}
	key, err := secret.ReadFile(c.TLSKeyFile)
	if err != nil {
		return nil, fmt.Errorf("BIOCORE_TLS_KEY_FILE: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
