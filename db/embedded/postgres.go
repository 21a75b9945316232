package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// pollEvery is how often a start or a stop looks for what it waits for.
const pollEvery = 10 * time.Millisecond

// PostgresOptions say where and how to run Postgres. DataDir is required.
type PostgresOptions struct {
	// DataDir keeps the state between starts. It is made if missing, with its
	// parents. As root, where the account that Postgres runs as cannot reach it,
	// the state goes elsewhere and DataDir keeps a note of where.
	DataDir string
	// BinDir holds `postgres` and `initdb`. Empty searches the usual places.
	BinDir string
	// Port to listen on, on 127.0.0.1. 0 takes a free one.
	Port int
	// Durable makes a commit survive a crash of the machine. False is for
	// tests: it saves most of the writing.
	Durable bool
	// Settings go into postgresql.conf, after ours.
	Settings map[string]string
	// Template, if not empty, is a folder of ours in which a fresh cluster of
	// each version is kept and copied: 0.1 s instead of the 1–2 s of initdb, at
	// the price that all copies have one password.
	Template string
	// Log gets what takes time or is unusual. nil discards it.
	Log *slog.Logger
}

// Postgres is a running server.
type Postgres struct {
	Port      int    // on 127.0.0.1
	Version   int    // major, as 15
	DataDir   string // where the state is, which as root may not be Options.DataDir
	SocketDir string // the folder of its Unix socket

	password secret.Text
	server   *child
	lock     *dirLock
	stopOnce sync.Once
	stopErr  error
}

// StartPostgres starts Postgres on the data folder and returns when it answers:
// in 0.2 s on a folder that was used before, 1–3 s on a new one. ctx bounds the
// start, not the life of the server; a recovery after a crash of the machine can
// take longer than any start. The caller must call Stop. What a user can put
// right is a *NotFoundError, *InUseError, *VersionError or *PortError.
func StartPostgres(ctx context.Context, o PostgresOptions) (_ *Postgres, err error) {
	if o.DataDir == "" {
		return nil, errors.New("PostgresOptions.DataDir is empty")
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	acct, err := postgresAccount(o.DataDir)
	if err != nil {
		return nil, err
	}
	dir, err := place(ctx, o.DataDir, acct)
	if err != nil {
		return nil, fmt.Errorf("place the data folder: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lock.release()
		}
	}()

	made, err := clusterVersion(dir)
	if err != nil {
		return nil, err
	}
	binDir, version, err := findPostgres(ctx, o.BinDir, made, acct)
	if err != nil {
		return nil, err
	}
	if made != 0 && made != version {
		return nil, &VersionError{Dir: dir, Have: made, Found: version, BinDir: binDir}
	}
	if made == 0 {
		maker := clusterMaker{
			dir: dir, binDir: binDir, version: version, template: o.Template, durable: o.Durable, acct: acct, log: log,
		}
		if err := maker.make(ctx); err != nil {
			return nil, err
		}
	} else if err := stopLeftover(ctx, filepath.Join(dir, clusterDir), log); err != nil {
		return nil, err
	}

	password, err := readPassword(dir)
	if err != nil {
		return nil, fmt.Errorf("the superuser's password is lost, start anew: %w", err)
	}
	pg := &Postgres{Version: version, DataDir: dir, password: secret.New(password), lock: lock}
	if pg.SocketDir, err = makeSocketDir(ctx, dir, acct); err != nil {
		return nil, fmt.Errorf("make the socket folder: %w", err)
	}
	err = onPort(ctx, o.Port, freePort, func(port int) error { return pg.tryStart(ctx, port, o, binDir, acct) })
	if err != nil {
		return nil, errors.Join(err, removeSocketDir(dir))
	}
	log.InfoContext(ctx, "postgres is ready", "addr", loopback(pg.Port), "version", version, "path", dir)
	return pg, nil
}

// postgresAccount returns whom Postgres runs as. Postgres demands that its folder
// be its own: as root, on a folder from a start as a normal user, we run it as
// that user.
func postgresAccount(dataDir string) (account, error) {
	acct, err := childAccount("postgres")
	if err != nil || acct.isSelf() {
		return acct, err
	}
	dir, err := recorded(dataDir)
	if err != nil {
		return account{}, err
	}
	if dir == "" {
		dir = dataDir
	}
	info, err := os.Lstat(filepath.Join(dir, clusterDir))
	if errors.Is(err, fs.ErrNotExist) {
		return acct, nil
	} else if err != nil {
		return account{}, err
	}
	return accountOf(info)
}

// tryStart starts the server on port and returns when it answers.
func (p *Postgres) tryStart(ctx context.Context, port int, o PostgresOptions, binDir string, acct account) error {
	p.Port = port
	if err := p.configure(o); err != nil {
		return fmt.Errorf("configure postgres: %w", err)
	}
	logPath := filepath.Join(p.DataDir, logFile)
	if err := os.Rename(logPath, logPath+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := os.OpenFile(logPath, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // the child has its own copy
	// The server outlives ctx, which bounds the start.
	//nolint:gosec // G204: the folder of the programs is the operator's word or a usual place.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(binDir, "postgres"),
		"-D", filepath.Join(p.DataDir, clusterDir),
		"-c", "config_file="+filepath.Join(p.DataDir, configFile),
		"-c", "hba_file="+filepath.Join(p.DataDir, hbaFile))
	cmd.Dir = filepath.Join(p.DataDir, clusterDir)
	cmd.Stdout, cmd.Stderr = out, out
	if p.server, err = startChild(cmd, acct, p.lock); err != nil {
		return err
	}
	if err := p.awaitReady(ctx); err != nil {
		if !p.server.ended() {
			stopped, cancel := context.WithCancel(ctx)
			cancel() // it has no client yet and nothing to save
			return errors.Join(err, p.server.stop(stopped, syscall.SIGQUIT, syscall.SIGQUIT))
		}
		return err
	}
	return nil
}

// awaitReady returns when a query is answered. It asks on the socket, which only
// our server can be behind; another could have got the port before it.
func (p *Postgres) awaitReady(ctx context.Context) error {
	at := url.Values{"host": {p.SocketDir}, "port": {strconv.Itoa(p.Port)}, "sslmode": {"disable"}}
	config, err := pgx.ParseConfig("postgres:///postgres?" + at.Encode())
	if err != nil {
		return err
	}
	config.User, config.Password = superuser, p.password.Reveal()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		conn, err := pgx.ConnectConfig(ctx, config)
		if err == nil {
			return conn.Close(ctx)
		}
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code != "57P03" { // cannot_connect_now: still starting
			return fmt.Errorf("connect to postgres: %w", err)
		}
		if p.server.ended() {
			return p.exitError()
		}
		select {
		case <-tick.C:
		case <-p.server.done:
		case <-ctx.Done():
			return fmt.Errorf("wait for postgres to start: %w (its log: %s)", ctx.Err(), p.logTail())
		}
	}
}

// exitError explains, from its log, why the server ended by itself.
func (p *Postgres) exitError() error {
	end := p.logTail()
	if portTaken(end) {
		return &PortError{Port: p.Port}
	}
	return fmt.Errorf("postgres ended: %w: %s", errOrUnasked(p.server.err), end)
}

// errOrUnasked is for a server that ended well when nobody had asked it to.
func errOrUnasked(err error) error {
	if err == nil {
		return errors.New("somebody else stopped it")
	}
	return err
}

// logTail returns the last lines of this start's log.
func (p *Postgres) logTail() string {
	text, err := os.ReadFile(filepath.Join(p.DataDir, logFile))
	if err != nil {
		return err.Error()
	}
	end := &tail{}
	_, _ = end.Write(text) // never fails
	return end.String()
}

// configure writes postgresql.conf and pg_hba.conf. They hold no secret, and
// lie outside the cluster, where Postgres cannot change them.
func (p *Postgres) configure(o PostgresOptions) error {
	settings := [][2]string{
		{"listen_addresses", "127.0.0.1"},
		{"port", strconv.Itoa(p.Port)},
		// A list, hence the double quotes: a comma in the path is no separator.
		{"unix_socket_directories", `"` + strings.ReplaceAll(p.SocketDir, `"`, `""`) + `"`},
		{"unix_socket_permissions", "0700"},
		{"password_encryption", "scram-sha-256"},
		{"timezone", "UTC"},
		{"log_timezone", "UTC"},
		{"lc_messages", "C"},
		{"log_line_prefix", "%m [%p] "},
		{"cluster_name", "biocore"},
		{"jit", "off"}, // our statements are short; compiling them costs more than it saves
	}
	if !o.Durable {
		settings = append(settings, [][2]string{
			{"fsync", "off"}, {"full_page_writes", "off"}, // a crash of the server alone still loses nothing
		}...)
	}
	var names []string
	for name := range o.Settings {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		settings = append(settings, [2]string{name, o.Settings[name]})
	}
	var conf strings.Builder
	for _, s := range settings {
		if strings.ContainsAny(s[0]+s[1], "\r\n\x00") {
			return fmt.Errorf("setting %q has a line break", s[0])
		}
		value := strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s[1])
		fmt.Fprintf(&conf, "%s = '%s'\n", s[0], value)
	}
	//nolint:dupword // all databases, all users
	hba := "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"
	return errors.Join(
		writeFile(filepath.Join(p.DataDir, configFile), conf.String(), 0o644),
		writeFile(filepath.Join(p.DataDir, hbaFile), hba, 0o644),
	)
}

// SuperuserURL is the URL of a database for the superuser. It holds the
// password: not for logs, nor for command lines.
func (p *Postgres) SuperuserURL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, p.password.Reveal()),
		Host:     loopback(p.Port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Database makes the database if there is none of that name, and returns its
// SuperuserURL.
func (p *Postgres) Database(ctx context.Context, name string) (_ string, err error) {
	conn, err := pgx.Connect(ctx, p.SuperuserURL("postgres"))
	if err != nil {
		return "", fmt.Errorf("connect to postgres: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		return "", fmt.Errorf("look for database %s: %w", name, err)
	}
	if !exists {
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
			return "", fmt.Errorf("create database %s: %w", name, err)
		}
	}
	return p.SuperuserURL(name), nil
}

// Done is closed when the server has ended, asked to or not.
func (p *Postgres) Done() <-chan struct{} { return p.server.done }

// Err tells why the server ended without having been asked to. Call it after
// Done; it is of no meaning after Stop.
func (p *Postgres) Err() error { return p.exitError() }

// Stop ends all connections and the server, in about 0.2 s, and keeps the data
// folder. Past ctx it no longer waits for buffers to be written, and returns an
// error: nothing committed is lost, but the next start recovers first. A second
// call returns what the first did.
func (p *Postgres) Stop(ctx context.Context) error {
	p.stopOnce.Do(func() {
		p.stopErr = errors.Join(
			p.server.stop(ctx, syscall.SIGINT, syscall.SIGQUIT),
			removeSocketDir(p.DataDir),
		)
		p.lock.release()
	})
	return p.stopErr
}
