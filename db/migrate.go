package db

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations/*.sql
var migrations embed.FS

// The roles of a Biocore database. bc_owner owns everything and cannot log in;
// bc_migrator acts as it. No role bypasses row-level security.
const (
	RoleOwner    = "bc_owner"
	RoleMigrator = "bc_migrator"
	RoleApp      = "bc_app"
	RoleWriter   = "bc_writer"
	RoleControl  = "bc_control"
	RoleJobs     = "bc_jobs"
	RoleSupport  = "bc_support"
	RoleAudit    = "bc_audit"
)

// LoginRoles are the roles that need a password.
func LoginRoles() []string {
	return []string{RoleMigrator, RoleApp, RoleWriter, RoleControl, RoleJobs, RoleSupport, RoleAudit}
}

// JobSchema is where River keeps its tables.
const JobSchema = "river"

// NewPassword returns a random password for a role: 256 bits, hex.
func NewPassword() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b)
}

// Bootstrap prepares a database for Migrate: the roles with their passwords, the
// owner of the schema. adminURL logs in as a superuser, or as a role that may create
// roles and owns the database. It may be run again; it then sets the passwords anew.
// As a superuser it also keeps bound parameters of these roles out of the server's log.
// passwords must name every one of LoginRoles.
func Bootstrap(ctx context.Context, adminURL string, passwords map[string]string) error {
	for attempt := 1; ; attempt++ {
		err := bootstrap(ctx, adminURL, passwords)
		if attempt == 5 || !roleRace(err) || ctx.Err() != nil {
			return err
		}
	}
}

// roleRace reports that another database of the same server was prepared at the
// same moment: roles belong to the whole server, and no lock reaches that far.
func roleRace(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && (pe.Code == "42710" || pe.Code == "XX000" && strings.Contains(pe.Message, "concurrently updated"))
}

func bootstrap(ctx context.Context, adminURL string, passwords map[string]string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return classify(fmt.Errorf("connect as administrator: %w", err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.Begin(ctx)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := makeRole(ctx, tx, RoleOwner, "NOLOGIN", ""); err != nil {
		return err
	}
	for _, role := range LoginRoles() {
		if len(passwords[role]) < 16 {
			return fmt.Errorf("the password of %s has under 16 characters", role)
		}
		if err := makeRole(ctx, tx, role, "LOGIN", passwords[role]); err != nil {
			return err
		}
	}
	var database string
	if err := tx.QueryRow(ctx, "SELECT current_database()").Scan(&database); err != nil {
		return classify(err)
	}
	name := pgx.Identifier{database}.Sanitize()
	for _, sql := range []string{
		"GRANT bc_owner TO bc_migrator",
		"GRANT bc_owner TO CURRENT_USER",
		"REVOKE ALL ON DATABASE " + name + " FROM PUBLIC",
		"GRANT CONNECT ON DATABASE " + name + " TO bc_migrator, bc_app, bc_writer, bc_control, bc_jobs, bc_support, bc_audit",
		"GRANT CREATE, TEMPORARY ON DATABASE " + name + " TO bc_owner",
		"ALTER SCHEMA public OWNER TO bc_owner",
		"CREATE SCHEMA IF NOT EXISTS " + JobSchema + " AUTHORIZATION bc_owner",
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return classify(fmt.Errorf("%s: %w", sql, err))
		}
	}
	if err := silenceParameters(ctx, tx); err != nil {
		return err
	}
	return classify(tx.Commit(ctx))
}

// silenceParameters keeps bound parameters of our roles out of the server's log, also
// when somebody makes it log statements: contact data and the key to it are such
// parameters. Only a superuser, or whom one has let, may; `biocore doctor` tells where
// it could not be done.
func silenceParameters(ctx context.Context, tx pgx.Tx) error {
	var may, later bool
	if err := tx.QueryRow(ctx, `SELECT has_parameter_privilege('log_parameter_max_length', 'SET'),
		current_setting('server_version_num')::integer >= 160000`).Scan(&may, &later); err != nil {
		return classify(err)
	}
	settings := []string{"log_parameter_max_length_on_error"}
	if may {
		settings = append(settings, "log_parameter_max_length")
		if later { // before, auto_explain logs none
			settings = append(settings, "auto_explain.log_parameter_max_length")
		}
	}
	for _, role := range LoginRoles() {
		for _, setting := range settings {
			if _, err := tx.Exec(ctx, "ALTER ROLE "+role+" SET "+setting+" = 0"); err != nil {
				return classify(fmt.Errorf("set %s of %s: %w", setting, role, err))
			}
		}
	}
	return nil
}

func makeRole(ctx context.Context, tx pgx.Tx, role, login, password string) error {
	var exists bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role).Scan(&exists); err != nil {
		return classify(err)
	}
	verb := "CREATE"
	if exists {
		verb = "ALTER"
	}
	sql := verb + " ROLE " + role + " " + login + " NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION INHERIT"
	if password != "" {
		if strings.ContainsAny(password, `'\`) {
			return fmt.Errorf("the password of %s has a quote or backslash", role)
		}
		sql += " PASSWORD '" + password + "'"
	}
	if _, err := tx.Exec(ctx, sql); err != nil {
		return fmt.Errorf("make role %s: %w", role, err) // the statement holds the password: not in the text
	}
	return nil
}

// Status is one migration of the schema.
type Status struct {
	Version   int64
	Name      string
	AppliedAt time.Time // zero: pending
}

// Migrate brings the schema up to this binary's version: forward only, one server
// at a time. migratorURL logs in as bc_migrator. It returns what it applied.
func Migrate(ctx context.Context, migratorURL string, log *slog.Logger) ([]Status, error) {
	provider, done, err := migrator(migratorURL, log)
	if err != nil {
		return nil, err
	}
	defer done()
	results, err := provider.Up(ctx)
	if err != nil {
		return nil, classify(fmt.Errorf("migrate: %w", err))
	}
	applied := make([]Status, 0, len(results))
	for _, r := range results {
		applied = append(applied, Status{Version: r.Source.Version, Name: r.Source.Path, AppliedAt: time.Now().UTC()})
	}
	if err := migrateJobs(ctx, migratorURL, log); err != nil {
		return nil, err
	}
	return applied, nil
}

// MigrationStatus lists every migration that this binary knows, oldest first.
func MigrationStatus(ctx context.Context, migratorURL string, log *slog.Logger) ([]Status, error) {
	provider, done, err := migrator(migratorURL, log)
	if err != nil {
		return nil, err
	}
	defer done()
	rows, err := provider.Status(ctx)
	if err != nil {
		return nil, classify(err)
	}
	out := make([]Status, 0, len(rows))
	for _, r := range rows {
		out = append(out, Status{Version: r.Source.Version, Name: r.Source.Path, AppliedAt: r.AppliedAt})
	}
	return out, nil
}

func migrator(migratorURL string, log *slog.Logger) (*goose.Provider, func(), error) {
	cfg, err := ownerConfig(migratorURL)
	if err != nil {
		return nil, nil, err
	}
	pool := stdlib.OpenDB(*cfg)
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, nil, err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, nil, err
	}
	if log == nil {
		log = slog.Default()
	}
	p, err := goose.NewProvider(goose.DialectPostgres, pool, files,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true), goose.WithSlog(log))
	if err != nil {
		_ = pool.Close()
		return nil, nil, err
	}
	return p, func() { _ = p.Close() }, nil
}

// ownerConfig logs in as bc_migrator and acts as bc_owner, who thereby owns what
// migrations make.
func ownerConfig(migratorURL string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(migratorURL)
	if err != nil {
		return nil, errors.New("the migrator's database URL cannot be read")
	}
	cfg.RuntimeParams["role"] = RoleOwner
	cfg.RuntimeParams["lock_timeout"] = "5s" // a migration that waits stops everybody behind it
	cfg.RuntimeParams["application_name"] = "biocore migrate"
	cfg.ConnectTimeout = 5 * time.Second
	return cfg, nil
}

// grantJobs gives bc_jobs River's tables, and bc_app and bc_control what inserting a job
// in their own transaction takes. Job arguments always name their tenant: the policy keeps
// one tenant's session from seeing or making another's jobs, and bc_control to the tenant
// that it has opened.
var grantJobs = []string{
	"GRANT SELECT ON goose_db_version TO bc_control", // a server asks at its start whether the schema is its own
	"GRANT USAGE ON SCHEMA river TO bc_jobs, bc_app, bc_control",
	"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA river TO bc_jobs",
	"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA river TO bc_jobs",
	"GRANT SELECT, INSERT, UPDATE ON river.river_job TO bc_app, bc_control", // River's insert is an upsert that returns the row
	"GRANT USAGE ON SEQUENCE river.river_job_id_seq TO bc_app, bc_control",
	"ALTER TABLE river.river_job ENABLE ROW LEVEL SECURITY",
	"DROP POLICY IF EXISTS jobs_all ON river.river_job",
	"CREATE POLICY jobs_all ON river.river_job FOR ALL TO bc_jobs, bc_owner USING (true) WITH CHECK (true)",
	"DROP POLICY IF EXISTS tenant_isolation ON river.river_job",
	`CREATE POLICY tenant_isolation ON river.river_job FOR ALL TO bc_app, bc_control
	   USING ((args->>'tenantId')::uuid = NULLIF(current_setting('app.tenant_id', true), '')::uuid)
	   WITH CHECK ((args->>'tenantId')::uuid = NULLIF(current_setting('app.tenant_id', true), '')::uuid)`,
}

func migrateJobs(ctx context.Context, migratorURL string, log *slog.Logger) error {
	cfg, err := pgxpool.ParseConfig(migratorURL)
	if err != nil {
		return errors.New("the migrator's database URL cannot be read")
	}
	cfg.ConnConfig.RuntimeParams["role"] = RoleOwner
	cfg.MaxConns = 4
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return classify(err)
	}
	defer pool.Close()
	tx, err := pool.Begin(ctx)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(7163093018)"); err != nil {
		return classify(err)
	}
	m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: JobSchema, Logger: log})
	if err != nil {
		return fmt.Errorf("river migrations: %w", err)
	}
	// Each of River's steps is a transaction of its own (a new enum value cannot be
	// used in the one that made it); ours holds the lock meanwhile.
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return classify(fmt.Errorf("migrate jobs: %w", err))
	}
	for _, sql := range grantJobs {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return classify(fmt.Errorf("%s: %w", sql, err))
		}
	}
	return classify(tx.Commit(ctx))
}

// RoleURL returns base with another role's login: for the places that know one
// server and all of its passwords (the dev server, tests).
func RoleURL(base, role, password string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", errors.New("the database URL cannot be read")
	}
	u.User = url.UserPassword(role, password)
	return u.String(), nil
}

// SchemaBehind reports which of this binary's migrations the database lacks: a
// server refuses to start on any. Migrations of a newer binary don't count, since
// each release runs on the schema of the next.
func (s *Store) SchemaBehind(ctx context.Context) ([]string, error) {
	entries, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	applied, err := s.appliedMigrations(ctx)
	if err != nil {
		return nil, classify(fmt.Errorf("read schema version: %w", err))
	}
	var behind []string
	for _, e := range entries {
		version, err := goose.NumericComponent(e.Name())
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", e.Name(), err)
		}
		if !slices.Contains(applied, version) {
			behind = append(behind, e.Name())
		}
	}
	return behind, nil
}

// appliedMigrations returns none for a database that was never migrated.
func (s *Store) appliedMigrations(ctx context.Context) ([]int64, error) {
	rows, err := s.control.Query(ctx, "SELECT version_id FROM goose_db_version WHERE is_applied")
	if err == nil {
		var applied []int64
		if applied, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err == nil {
			return applied, nil
		}
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && pe.Code == "42P01" { // undefined_table
		return nil, nil
	}
	return nil, err
}

// PgcryptoElsewhere is the schema that somebody else has installed pgcrypto in, which
// keeps Migrate from going on (0015_contact.sql); "" when nothing is in the way.
func (s *Store) PgcryptoElsewhere(ctx context.Context) (schema string, err error) {
	err = s.control.QueryRow(ctx, `SELECT coalesce((SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
		WHERE e.extname = 'pgcrypto' AND n.nspname <> 'sealing'), '')`).Scan(&schema)
	return schema, classify(err)
}
