package db_test

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
)

// upTo brings an empty database to an older version of the schema.
func upTo(t *testing.T, store *dbtest.Store, version int64) {
	t.Helper()
	cfg, err := pgx.ParseConfig(store.URL(db.RoleMigrator))
	if err != nil {
		t.Fatal(err)
	}
	cfg.RuntimeParams["role"] = db.RoleOwner
	pool := stdlib.OpenDB(*cfg)
	p, err := goose.NewProvider(goose.DialectPostgres, pool, os.DirFS("migrations"),
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
}

func migrate(t *testing.T, store *dbtest.Store) error {
	t.Helper()
	_, err := db.Migrate(t.Context(), store.URL(db.RoleMigrator), slog.New(slog.DiscardHandler))
	return err
}

const (
	oneTenant = `INSERT INTO tenants (id, slug, name, mode, state, rp_id, rp_name, origins, created_at, updated_at)
		VALUES ('0190b1c2-0000-7000-8000-00000000000a', 'acme', 'Acme', 'TEST', 'ACTIVE', 'localhost', 'Acme', '{}', now(), now())`
	// as the release before wrote them: it knows no profile_version
	manyUsers = `INSERT INTO users (tenant_id, id, handle, external_index, profile_sealed, created_at, updated_at)
		SELECT '0190b1c2-0000-7000-8000-00000000000a', gen_random_uuid(), sha256($1 || i::text::bytea), sha256($1 || i::text::bytea),
		  '\x0100000203'::bytea || sha256(i::text::bytea), now(), now() FROM generate_series(1, 100) i`
)

// An upgrade goes on beside its users: it reads and writes none of their rows, for the
// lock that it takes meanwhile would stop every tenant. A generated column, or a default
// that is not constant, turns it red.
func TestMigrateLeavesUsersAlone(t *testing.T) {
	store := dbtest.Empty(t)
	upTo(t, store, 13)
	conn := store.Superuser(t)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	file := func() (file uint32) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), "SELECT pg_relation_filenode('users')").Scan(&file); err != nil {
			t.Fatal(err)
		}
		return file
	}
	count := func(sql string) (n int) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+sql).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	exec(oneTenant)
	exec(manyUsers, []byte("before"))
	was := file()

	upTo(t, store, 16)
	if is := file(); is != was {
		t.Errorf("the file of users is %d and was %d: its rows were written anew", is, was)
	}
	if n := count("users WHERE profile_version IS NULL"); n != 100 {
		t.Errorf("%d rows are as they were, want 100", n)
	}
	exec(manyUsers, []byte("after")) // a server of the release before goes on
	if n := count("users WHERE profile_version = 515"); n != 100 {
		t.Errorf("%d rows of a writer who does not know the column have their version, want 100", n)
	}
	exec("UPDATE users SET profile_sealed = '\\x01' WHERE id = (SELECT min(id::text)::uuid FROM users)")
	if n := count("users WHERE profile_version = 0"); n != 1 {
		t.Errorf("%d rows that hold no sealed value have version 0, want 1", n)
	}

	// An attempt to make the index was cut off.
	exec("CREATE INDEX users_profile_version ON users (tenant_id, profile_version, id)")
	exec("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_profile_version'::regclass")
	if err := migrate(t, store); err != nil {
		t.Fatal(err)
	}
	if n := count("pg_index WHERE indexrelid = 'users_profile_version'::regclass AND indisvalid"); n != 1 {
		t.Error("the index that an attempt left is still invalid")
	}
	if is := file(); is != was {
		t.Errorf("the file of users is %d and was %d: its rows were written anew", is, was)
	}
}

// Somebody has installed pgcrypto where they use it. Moving it would break what they
// have, and leaving it would open it for everybody: the upgrade ends before it has
// changed anything, and says what to do. Done, it goes on.
func TestMigrateMeetsPgcrypto(t *testing.T) {
	store := dbtest.Empty(t)
	conn := store.Superuser(t)
	if _, err := conn.Exec(t.Context(), "CREATE EXTENSION pgcrypto WITH SCHEMA public"); err != nil {
		t.Fatal(err)
	}
	const remedy = "CREATE SCHEMA IF NOT EXISTS sealing AUTHORIZATION bc_owner; ALTER EXTENSION pgcrypto SET SCHEMA sealing;"
	err := migrate(t, store)
	if err == nil || !strings.Contains(err.Error(), "pgcrypto is in schema public") || !strings.Contains(err.Error(), remedy) {
		t.Fatalf("Migrate error = %v, want it to say %s", err, remedy)
	}
	opened, err := db.Open(t.Context(), store.Options())
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if place, err := opened.PgcryptoElsewhere(t.Context()); place != "public" || err != nil {
		t.Errorf("PgcryptoElsewhere = %q, %v, want public", place, err)
	}
	if _, err := conn.Exec(t.Context(), remedy); err != nil {
		t.Fatal(err)
	}
	if err := migrate(t, store); err != nil {
		t.Fatal(err)
	}
	if place, err := opened.PgcryptoElsewhere(t.Context()); place != "" || err != nil {
		t.Errorf("PgcryptoElsewhere = %q, %v, want nothing", place, err)
	}
	if found, err := opened.CheckWall(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("CheckWall = %v, %v, want no holes", found, err)
	}
	var opens string
	if err := store.As(t, db.RoleApp).QueryRow(t.Context(), "SELECT contact_open(contact_seal('ada@example.com', 'p'), 'p')").Scan(&opens); err != nil || opens != "ada@example.com" {
		t.Errorf("a contact opens as %q, %v", opens, err)
	}
}
