package dbtest

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/embedded"
)

const (
	// postgresEnv and redisEnv name running servers to use instead of our own.
	postgresEnv = "BIOCORE_TEST_POSTGRES_URL"
	redisEnv    = "BIOCORE_TEST_REDIS_URL"

	// startLimit bounds each start and each step of making a database, on a machine
	// that compiles meanwhile.
	startLimit = time.Minute

	// prefix begins the names of our databases. Whatever has it and no living owner
	// is dropped.
	prefix = "biocore_test_"

	// bootstrapLock is an advisory lock of the maintenance database. Roles belong to
	// the whole server, and two processes that alter them at once fail.
	bootstrapLock = 7163093100
)

// server is a Postgres with our roles and databases. It is safe for concurrent use.
type server struct {
	admin url.URL // the superuser's, of the maintenance database
	// passwords of roles are the same in each process that shares the server:
	// whoever sets them last must not lock the others out.
	passwords map[string]string

	mu       sync.Mutex
	keeper   *pgx.Conn // holds a lock for each of our databases: it says that we live
	template string    // a migrated database to which nobody connects; "" before the first open
}

// sharedServer is the server of this process.
var sharedServer = sync.OnceValues(func() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if given := os.Getenv(postgresEnv); given != "" {
		s, err := newServer(ctx, given)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", postgresEnv, err)
		}
		return s, s.sweep(ctx)
	}
	o, err := postgresOptions()
	if err != nil {
		return nil, err
	}
	pg, err := embedded.StartPostgres(ctx, o)
	if err != nil {
		return nil, err
	}
	return newServer(ctx, pg.SuperuserURL("postgres"))
})

// newServer connects to the maintenance database at adminURL.
func newServer(ctx context.Context, adminURL string) (*server, error) {
	admin, err := url.Parse(adminURL)
	if err != nil || admin.Scheme == "" || strings.Trim(admin.Path, "/") == "" {
		return nil, errors.New("not a URL of the form postgres://superuser:password@host/postgres")
	}
	s := &server{admin: *admin, passwords: map[string]string{}}
	for _, role := range db.LoginRoles() {
		mac := hmac.New(sha256.New, []byte(adminURL))
		mac.Write([]byte(role))
		s.passwords[role] = hex.EncodeToString(mac.Sum(nil))
	}
	if s.keeper, err = pgx.Connect(ctx, adminURL); err != nil {
		return nil, fmt.Errorf("connect as superuser: %w", err)
	}
	return s, nil
}

// url logs in to a database as a role.
func (s *server) url(database, role string) string {
	u := s.admin
	u.Path = "/" + database
	u.User = url.UserPassword(role, s.passwords[role])
	return u.String()
}

func (s *server) superuserURL(database string) string {
	u := s.admin
	u.Path = "/" + database
	return u.String()
}

// open makes a migrated database and opens it.
func (s *server) open(ctx context.Context) (*Store, error) {
	name, err := s.migrated(ctx)
	if err != nil {
		return nil, err
	}
	store := &Store{server: s, database: name}
	if store.Store, err = db.Open(ctx, store.Options()); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), s.drop(context.WithoutCancel(ctx), name))
	}
	return store, nil
}

// migrated makes a migrated database, the first time by migrating a template that
// it and all later ones are copies of.
func (s *server) migrated(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.template == "" {
		template, err := s.create(ctx, "")
		if err != nil {
			return "", err
		}
		if _, err := db.Migrate(ctx, s.url(template, db.RoleMigrator), slog.New(slog.DiscardHandler)); err != nil {
			return "", fmt.Errorf("migrate: %w", err)
		}
		s.template = template
	}
	return s.create(ctx, s.template)
}

// create makes a database, empty or a copy, with our roles let in. s.mu is held.
func (s *server) create(ctx context.Context, template string) (string, error) {
	name := prefix + strings.ToLower(rand.Text()[:12])
	sql := "CREATE DATABASE " + name
	if template != "" {
		sql += " TEMPLATE " + template + " STRATEGY file_copy" // 30 ms; the other takes 150
	}
	if _, err := s.keeper.Exec(ctx, "SELECT pg_advisory_lock(hashtext($1))", name); err != nil {
		return "", fmt.Errorf("claim database: %w", err)
	}
	if _, err := s.keeper.Exec(ctx, sql); err != nil {
		return "", fmt.Errorf("create database: %w", err)
	}
	if _, err := s.keeper.Exec(ctx, "SELECT pg_advisory_lock($1)", bootstrapLock); err != nil {
		return "", fmt.Errorf("lock roles: %w", err)
	}
	// Rights on a database are not among what a copy copies.
	err := db.Bootstrap(ctx, s.superuserURL(name), s.passwords)
	if _, unlockErr := s.keeper.Exec(ctx, "SELECT pg_advisory_unlock($1)", bootstrapLock); err == nil {
		err = unlockErr
	}
	if err != nil {
		return "", fmt.Errorf("bootstrap: %w", err)
	}
	return name, nil
}

// drop removes a database with all who are connected to it.
func (s *server) drop(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropLocked(ctx, name)
}

// dropLocked is drop with s.mu held.
func (s *server) dropLocked(ctx context.Context, name string) error {
	if _, err := s.keeper.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop database: %w", err)
	}
	if _, err := s.keeper.Exec(ctx, "SELECT pg_advisory_unlock(hashtext($1))", name); err != nil {
		return fmt.Errorf("drop database: %w", err)
	}
	return nil
}

// sweep drops the databases of processes that are gone from a server that outlives
// them: those whose lock nobody holds.
func (s *server) sweep(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows, err := s.keeper.Query(ctx, "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", prefix)
	if err != nil {
		return fmt.Errorf("list databases: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list databases: %w", err)
	}
	for _, name := range names {
		var ownerless bool
		if err := s.keeper.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtext($1))", name).Scan(&ownerless); err != nil {
			return fmt.Errorf("look for the owner of %s: %w", name, err)
		}
		if !ownerless {
			continue
		}
		if err := s.dropLocked(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
