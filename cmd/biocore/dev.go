package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/embedded"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/web/demo"
	"github.com/biocore-id/biocore/web/edge"
)

// devState is .biocore/dev.json: what programs beside `biocore dev` need to know.
// It holds keys, and is readable by its owner alone.
type devState struct {
	APIURL           string      `json:"apiUrl"`
	ConsoleURL       string      `json:"consoleUrl"` // empty until there is a console
	DemoURL          string      `json:"demoUrl"`
	OpsURL           string      `json:"opsUrl"`
	Tenants          []devTenant `json:"tenants"`
	PlatformKey      string      `json:"platformKey"`
	ConsoleEnrollURL string      `json:"consoleEnrollUrl"`
	DatabaseURL      string      `json:"databaseUrl"` // logs in as bc_migrator, for psql
	PID              int         `json:"pid"`
}

type devTenant struct {
	ID             uuid.UUID `json:"id"`
	Slug           string    `json:"slug"`
	SecretKey      string    `json:"secretKey"`
	PublishableKey string    `json:"publishableKey"`
	RPID           string    `json:"rpId"`
	Origins        []string  `json:"origins"`
}

type devOptions struct {
	reset, noLimits     bool
	pgURL, pgBin, redis string
	listen, ops         int // ports to begin with; the next free one is taken
	data                string
	out                 io.Writer
	began               time.Time
	postgres            *embedded.Postgres
	redisServer         *embedded.Redis
}

func runDev(ctx context.Context, env *environment, args []string) error {
	o := devOptions{out: env.out, began: time.Now(), data: filepath.Join(env.dir, ".biocore")}
	var asJSON bool
	fset := flags(env, "dev", &asJSON)
	fset.BoolVar(&o.reset, "reset", false, "forget all data first")
	fset.BoolVar(&o.noLimits, "no-limits", false, "turn rate limits off, for load tests")
	fset.StringVar(&o.pgURL, "pg-url", "", "use this database, as an administrator (`URL`), instead of starting one")
	fset.StringVar(&o.pgBin, "pg-bin", "", "`folder` of the postgres and initdb programs")
	fset.StringVar(&o.redis, "redis-url", "", "use this Redis (`URL`) instead of starting one")
	fset.IntVar(&o.listen, "port", 8080, "`port` of the API; the next free one is taken")
	fset.IntVar(&o.ops, "ops-port", 9090, "`port` of metrics and health; the next free one is taken")
	if err := parse(fset, args, 0); err != nil {
		return err
	}
	if asJSON {
		o.out = io.Discard // the state is printed instead, once all is up
	}
	level := slog.LevelWarn
	tel, err := startTelemetry(ctx, TelemetryConfig{Version: buildInfo().Version, LogOutput: env.err, LogText: true, LogLevel: level, RequestID: requestID})
	if err != nil {
		return err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = tel.Shutdown(last)
	}()
	err = o.run(ctx, tel, func(state devState) error {
		if asJSON {
			return printJSON(env.out, state)
		}
		return o.welcome(state)
	})
	return errors.Join(err, o.stop(ctx))
}

// run brings everything up in order, tells when it is, and returns when ctx ends.
func (o *devOptions) run(ctx context.Context, tel *telemetry, up func(devState) error) error {
	if o.reset {
		if err := o.forget(ctx); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(o.data, 0o755); err != nil { //nolint:gosec // Postgres's own account must reach its folder below; secrets are 0600
		return fmt.Errorf("make %s: %w", o.data, err)
	}
	cfg, err := o.config(ctx)
	if err != nil {
		return err
	}
	publicPort, err := listenFrom(ctx, o.listen, tel.Log)
	if err != nil {
		return err
	}
	opsPort, err := listenFrom(ctx, o.ops, tel.Log)
	if err != nil {
		return errors.Join(err, publicPort.Shutdown(ctx))
	}
	cfg.Listen, cfg.OpsListen = publicPort.Addr().String(), opsPort.Addr().String()
	cfg.PublicURL = "http://localhost:" + strconv.Itoa(publicPort.Addr().Port)
	if err := o.serve(ctx, cfg, tel, publicPort, opsPort, up); err != nil {
		return errors.Join(err, publicPort.Shutdown(ctx), opsPort.Shutdown(ctx))
	}
	return nil
}

func (o *devOptions) serve(
	ctx context.Context, cfg Config, tel *telemetry, publicPort, opsPort *edge.Server, up func(devState) error,
) error {
	p, err := newPlatform(ctx, cfg, tel)
	if err != nil {
		return fmt.Errorf("%w (if .biocore was changed by hand, `biocore dev --reset` starts anew)", err)
	}
	state, err := o.seed(ctx, p, cfg)
	if err != nil {
		p.Close()
		return err
	}
	bank, err := demo.New(demo.Options{
		APIURL: cfg.PublicURL, SecretKey: state.Tenants[0].SecretKey, PublishableKey: state.Tenants[0].PublishableKey,
		Static: p.static, Log: tel.Log,
	})
	if err != nil {
		p.Close()
		return err
	}
	state.OpsURL = "http://" + cfg.OpsListen
	if err := o.leave(cfg, state); err != nil {
		p.Close()
		return err
	}
	s := &server{platform: p, publicPort: publicPort, opsPort: opsPort, failed: make(chan error, 4)}
	s.start(ctx, p.public(bank))
	if err := up(state); err != nil {
		return err
	}
	watching, done := context.WithCancel(ctx)
	defer done()
	go func() {
		select {
		case <-watching.Done():
		case <-ended(o.postgres):
			s.failed <- fmt.Errorf("PostgreSQL has ended: %w", o.postgres.Err())
		case <-ended(o.redisServer):
			s.failed <- fmt.Errorf("redis has ended: %w", o.redisServer.Err())
		}
	}()
	return s.wait(ctx)
}

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

// step tells what is being done, and how long it took.
func (o *devOptions) step(what string, do func() (string, error)) error {
	began := time.Now()
	_, _ = fmt.Fprintf(o.out, "  %-34s", what)
	detail, err := do()
	if err != nil {
		_, _ = fmt.Fprintln(o.out, "failed")
		return err
	}
	_, _ = fmt.Fprintf(o.out, "%5.1f s  %s\n", time.Since(began).Seconds(), detail)
	return nil
}

// forget deletes what earlier runs left. The folder of another database given by
// --pg-url is its owner's: there the schema stays.
func (o *devOptions) forget(ctx context.Context) error {
	if err := embedded.Remove(ctx, o.folder("postgres")); err != nil {
		return err
	}
	for _, name := range []string{"dev.json", "biocore.yaml", "kms.key"} {
		if err := os.Remove(o.folder(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (o *devOptions) folder(name string) string { return filepath.Join(o.data, name) }

// config starts the stores, migrates, and returns the configuration of a server on them.
func (o *devOptions) config(ctx context.Context) (Config, error) {
	cfg := defaults()
	cfg.NoLimits = o.noLimits
	cfg.DrainTimeout = time.Second
	var err error
	cfg.KMSURL, err = o.key()
	if err != nil {
		return Config{}, err
	}
	admin := o.pgURL
	if admin == "" {
		if admin, err = o.startPostgres(ctx); err != nil {
			return Config{}, err
		}
	}
	if err := o.startRedis(ctx, &cfg); err != nil {
		return Config{}, err
	}
	passwords := o.passwords()
	for role, to := range map[string]*string{
		db.RoleApp: &cfg.DatabaseURL, db.RoleWriter: &cfg.DatabaseWriterURL, db.RoleControl: &cfg.DatabaseControlURL,
		db.RoleJobs: &cfg.DatabaseJobsURL, db.RoleMigrator: &cfg.DatabaseMigratorURL,
	} {
		if *to, err = db.RoleURL(admin, role, passwords[role]); err != nil {
			return Config{}, err
		}
	}
	return cfg, o.step("Migrating the schema", func() (string, error) {
		if err := db.Bootstrap(ctx, admin, passwords); err != nil {
			return "", err
		}
		applied, err := db.Migrate(ctx, cfg.DatabaseMigratorURL, slog.New(slog.DiscardHandler))
		if len(applied) == 0 {
			return "up to date", err
		}
		return strconv.Itoa(len(applied)) + " migrations", err
	})
}

// key makes the key file of the local KMS at the first start.
func (o *devOptions) key() (string, error) {
	path, err := filepath.Abs(o.folder("kms.key"))
	if err != nil {
		return "", err
	}
	if !fileExists(path) {
		if err := kms.CreateLocal(path); err != nil {
			return "", err
		}
	}
	return "local:" + path, nil
}

func (o *devOptions) startPostgres(ctx context.Context) (string, error) {
	const database = "biocore"
	err := o.step("Starting PostgreSQL", func() (detail string, err error) {
		if o.postgres, err = embedded.StartPostgres(ctx, embedded.PostgresOptions{
			DataDir: o.folder("postgres"), BinDir: o.pgBin, Durable: true,
		}); err != nil {
			return "", err
		}
		return fmt.Sprintf("version %d, port %d", o.postgres.Version, o.postgres.Port), nil
	})
	if err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, o.postgres.SuperuserURL("postgres"))
	if err != nil {
		return "", fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // its work is done
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", database).Scan(&exists); err != nil {
		return "", fmt.Errorf("look for the database: %w", err)
	}
	if !exists {
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+database); err != nil {
			return "", fmt.Errorf("create the database: %w", err)
		}
	}
	return o.postgres.SuperuserURL(database), nil
}

func (o *devOptions) startRedis(ctx context.Context, cfg *Config) error {
	if cfg.RedisURL = o.redis; o.redis != "" {
		return nil
	}
	return o.step("Starting Redis", func() (detail string, err error) {
		if o.redisServer, err = embedded.StartRedis(ctx, embedded.RedisOptions{}); err != nil {
			return "", err
		}
		cfg.RedisURL = o.redisServer.URL()
		if o.redisServer.Real {
			return "port " + strconv.Itoa(o.redisServer.Port), nil
		}
		return "in this process (install redis-server for the real one)", nil
	})
}

// passwords are the roles' of the run before, so that a psql that is open goes on.
func (o *devOptions) passwords() map[string]string {
	var before Config
	if raw, err := os.ReadFile(o.folder("biocore.yaml")); err == nil && yaml.Unmarshal(raw, &before) == nil {
		if p, err := before.rolePasswords(); err == nil {
			return p
		}
	}
	p := map[string]string{}
	for _, role := range db.LoginRoles() {
		p[role] = db.NewPassword()
	}
	return p
}

// stop ends what was started, the last first.
func (o *devOptions) stop(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var errs []error
	if o.redisServer != nil {
		errs = append(errs, o.redisServer.Stop(bounded))
	}
	if o.postgres != nil {
		errs = append(errs, o.postgres.Stop(bounded))
	}
	return errors.Join(errs...)
}

// listenFrom opens the first free port from port on, on loopback.
func listenFrom(ctx context.Context, port int, log *slog.Logger) (*edge.Server, error) {
	for try := port; ; try++ {
		s, err := edge.Listen(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(try)), edge.ServerOptions{Log: log})
		if err == nil || port == 0 || try == port+100 || !errors.Is(err, syscall.EADDRINUSE) {
			return s, err
		}
	}
}

// seed makes the tenant acme and the keys that dev.json tells, unless an earlier run
// made them and dev.json still tells them.
func (o *devOptions) seed(ctx context.Context, p *platform, cfg Config) (devState, error) {
	var state devState
	if raw, err := os.ReadFile(o.folder("dev.json")); err == nil {
		_ = json.Unmarshal(raw, &state) // unreadable: the keys are made anew
	}
	state.APIURL, state.DemoURL = cfg.PublicURL, cfg.PublicURL+"/demo"
	state.DatabaseURL, state.PID = cfg.DatabaseMigratorURL, os.Getpid()
	return state, o.step("Preparing tenant acme", func() (string, error) {
		actor := scope.Actor{Kind: scope.ActorSystem, ID: "dev"}
		home := scope.New(scope.PlatformTenant, actor)
		if err := p.keys.Ensure(ctx, home); err != nil {
			return "", fmt.Errorf("keys of the platform: %w", err)
		}
		acme, err := o.acme(ctx, p, home, cfg.PublicURL)
		if err != nil {
			return "", fmt.Errorf("tenant acme: %w", err)
		}
		known := devTenant{}
		if i := slices.IndexFunc(state.Tenants, func(t devTenant) bool { return t.ID == acme.ID }); i >= 0 {
			known = state.Tenants[i]
		}
		known.ID, known.Slug, known.RPID, known.Origins = acme.ID, acme.Slug, acme.RPID, acme.Origins
		if err := ensureKeys(ctx, p, scope.New(acme.ID, actor), map[*string]apikey.CreateRequest{
			&known.SecretKey:      {Kind: apikey.Secret, Name: "dev", Scopes: []string{apikey.ScopeAuthPlane, apikey.ScopeAdminPlane}},
			&known.PublishableKey: {Kind: apikey.Publishable, Name: "dev"},
		}); err != nil {
			return "", err
		}
		state.Tenants = []devTenant{known}
		return acme.RPID, ensureKeys(ctx, p, home, map[*string]apikey.CreateRequest{
			&state.PlatformKey: {Kind: apikey.Platform, Name: "dev", Scopes: []string{apikey.ScopeAdminPlane}},
		})
	})
}

// acme returns the tenant acme, whose origins include the one that this run serves.
func (o *devOptions) acme(ctx context.Context, p *platform, home scope.Scope, origin string) (tenant.Tenant, error) {
	id, err := p.tenants.Resolve(ctx, "acme")
	if errors.Is(err, tenant.ErrNotFound) {
		made, _, err := p.tenants.Create(ctx, home, tenant.CreateRequest{
			Slug: "acme", Name: "Northwind Bank", Mode: tenant.Test, RPID: "localhost", Origins: []string{origin},
		})
		return made, err // its first keys are told nobody: dev.json has its own
	} else if err != nil {
		return tenant.Tenant{}, err
	}
	t, err := p.tenants.Get(ctx, home, id)
	if err != nil || slices.Contains(t.Origins, origin) {
		return t, err
	}
	return p.tenants.Update(ctx, home, tenant.UpdateRequest{ID: id, Origins: append([]string{origin}, t.Origins...)})
}

// ensureKeys makes the keys that are not known, or are good no more.
func ensureKeys(ctx context.Context, p *platform, sc scope.Scope, want map[*string]apikey.CreateRequest) error {
	for key, req := range want {
		if *key != "" {
			if _, err := p.apiKeys.Authenticate(ctx, *key, netip.IPv4Unspecified()); err == nil {
				continue
			}
		}
		made, err := p.apiKeys.Create(ctx, sc, req)
		if err != nil {
			return fmt.Errorf("make API key: %w", err)
		}
		*key = made.Plain.Reveal()
	}
	return nil
}

// leave writes dev.json, and the configuration by which the other commands find
// this server's stores.
func (o *devOptions) leave(cfg Config, state devState) error {
	raw, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return err
	}
	conf, err := yaml.Marshal(cfg)
	if err != nil {
		return err
	}
	head := "# What `biocore dev` runs on. The other commands read it when they are told nothing else.\n"
	return errors.Join(
		writePrivate(o.folder("biocore.yaml"), append([]byte(head), conf...)),
		writePrivate(o.folder("dev.json"), append(raw, '\n')),
	)
}

// writePrivate replaces a file as a whole, readable by its owner alone.
func writePrivate(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// welcome is the one screen that tells what to open next.
func (o *devOptions) welcome(s devState) error {
	u, err := url.Parse(s.APIURL)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.out, `
  Biocore is ready in %.1f s.

    Demo bank        %s
    API reference    %s/docs/api
    API              %s
    Health, metrics  %s

  Keys and URLs for your programs are in %s. Try:

    curl -s %s/v1/authentications:begin -d '{}' \
      -H "Authorization: Bearer $(sed -n 's/.*"secretKey": "\(.*\)",/\1/p' %s)"

  Ctrl-C stops everything; the data stays. `+"`biocore dev --reset`"+` starts anew.
`, time.Since(o.began).Seconds(), s.DemoURL, s.APIURL, s.APIURL, s.OpsURL, o.folder("dev.json"), u.String(), o.folder("dev.json"))
	return err
}
