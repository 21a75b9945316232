package dbtest_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/embedded"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// The rest of this file runs it in processes of its own as well.
func TestFixtures(t *testing.T) {
	store := dbtest.New(t)
	if dbtest.New(t) != store {
		t.Error("a second New made a second database")
	}
	acme, globex := store.Tenant(t), store.Tenant(t)
	user, want := store.User(t, acme, 3)
	if len(want) != 3 {
		t.Fatalf("User made %d credentials, want 3", len(want))
	}
	if got := credentialsOf(t, store.Store, acme, user); !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("credentials = %x, want %x, the oldest first", got, want)
	}
	if got := credentialsOf(t, store.Store, globex, user); len(got) != 0 {
		t.Errorf("another tenant sees %d of them", len(got))
	}

	err := store.InTenant(t.Context(), acme, func(tx *db.TenantTx) error {
		return tx.InsertAuditEntry(t.Context(), tenantq.InsertAuditEntryParams{
			ID: uuid.New(), At: tx.Now(), Action: "test.done", Entry: "{}",
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if a, g := store.AuditCount(t, acme, "test.done"), store.AuditCount(t, globex, "test.done"); a != 1 || g != 0 {
		t.Errorf("AuditCount = %d and %d, want 1 and 0", a, g)
	}
	if n := store.AuditCount(t, acme, "test.other"); n != 0 {
		t.Errorf("AuditCount of another action = %d, want 0", n)
	}
}

func credentialsOf(t *testing.T, store *db.Store, sc scope.Scope, user uuid.UUID) (ids [][]byte) {
	t.Helper()
	err := store.ReadTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListCredentialsOfUser(t.Context(), user)
		for _, row := range rows {
			ids = append(ids, row.ID)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestTenantWith(t *testing.T) {
	store := dbtest.New(t)
	slug := "acme-" + uuid.NewString()
	sc := store.TenantWith(t, dbtest.TenantOptions{
		Slug: slug, Mode: "LIVE", RPID: "example.com", Origins: []string{"https://example.com"}, Suspended: true,
		Policy: `{"maxCredentialsPerUser": 2}`,
	})
	var (
		row    tenantq.Tenant
		policy []byte
	)
	err := store.ReadTenant(t.Context(), sc, func(tx *db.TenantTx) (err error) {
		if row, err = tx.GetTenant(t.Context()); err != nil {
			return err
		}
		found, err := tx.GetPolicy(t.Context(), row.PolicyVersion)
		policy = found.Document
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if row.Slug != slug || row.Mode != "LIVE" || row.RpID != "example.com" || row.State != "SUSPENDED" ||
		!slices.Equal(row.Origins, []string{"https://example.com"}) {
		t.Errorf("tenant = %+v", row)
	}
	if string(policy) != `{"maxCredentialsPerUser": 2}` {
		t.Errorf("policy = %s", policy)
	}
}

func TestManyTestsAtOnce(t *testing.T) {
	t.Parallel()
	for range 8 {
		t.Run("one of many", func(t *testing.T) {
			t.Parallel()
			store := dbtest.New(t)
			store.User(t, store.Tenant(t), 1)
		})
	}
}

func TestFresh(t *testing.T) {
	common := dbtest.New(t)
	var name string
	t.Run("a database to break", func(t *testing.T) {
		fresh := dbtest.Fresh(t)
		name = databaseOf(t, fresh)
		if name == databaseOf(t, common) {
			t.Fatal("Fresh returned the common database")
		}
		if _, err := fresh.Superuser(t).Exec(t.Context(), "ALTER TABLE users DROP COLUMN handle CASCADE"); err != nil {
			t.Fatal(err)
		}
		fresh.Tenant(t) // the rest works, with a role's rights and not only the superuser's
	})
	common.User(t, common.Tenant(t), 1) // with its handle
	var left bool
	err := common.Superuser(t).QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&left)
	if err != nil || left {
		t.Errorf("the fresh database is still there after its test: %t, %v", left, err)
	}
}

func databaseOf(t *testing.T, store *dbtest.Store) (name string) {
	t.Helper()
	if err := store.As(t, db.RoleApp).QueryRow(t.Context(), "SELECT current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestReplica(t *testing.T) {
	store := dbtest.New(t)
	replica := store.Replica(t)
	acme := store.Tenant(t)
	user, creds := store.User(t, acme, 2)
	if got := credentialsOf(t, replica, acme, user); len(got) != len(creds) {
		t.Errorf("the replica sees %d credentials, want %d", len(got), len(creds))
	}
	eventually(t, "the replica hears of changes", replica.Fresh)
}

func TestOwnPostgres(t *testing.T) {
	store, server := dbtest.OwnPostgres(t)
	acme := store.Tenant(t)
	user, creds := store.User(t, acme, 1)

	server.Stop(t)
	err := store.InTenant(t.Context(), acme, func(*db.TenantTx) error { return nil })
	if !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("with Postgres stopped InTenant error = %v, want %v", err, db.ErrUnavailable)
	}
	server.Start(t)
	eventually(t, "the store has found its server again", func() bool { return store.Ping(t.Context()) == nil })
	if got := credentialsOf(t, store.Store, acme, user); !slices.EqualFunc(got, creds, bytes.Equal) {
		t.Errorf("after a restart credentials = %x, want %x", got, creds)
	}

	late, lateCreds := store.User(t, acme, 2)
	server.Crash(t)
	server.Start(t)
	eventually(t, "the store has found its server again", func() bool { return store.Ping(t.Context()) == nil })
	if got := credentialsOf(t, store.Store, acme, late); !slices.EqualFunc(got, lateCreds, bytes.Equal) {
		t.Errorf("after a crash credentials = %x, want %x", got, lateCreds)
	}
}

func TestRedis(t *testing.T) {
	url := dbtest.Redis(t)
	if dbtest.Redis(t) != url {
		t.Error("a second Redis is another one")
	}
	client := redisAt(t, url)
	key := uuid.NewString()
	if err := client.Set(t.Context(), key, "v", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := client.FCall(t.Context(), "none", nil).Result(); err == nil || !strings.Contains(err.Error(), "Function not found") {
		t.Errorf("FCALL = %v, %v; want the refusal of a real Redis 7", n, err)
	}
}

func TestOwnRedis(t *testing.T) {
	server := dbtest.OwnRedis(t)
	client := redisAt(t, server.URL())
	set := func(v string) {
		t.Helper()
		if err := client.Set(t.Context(), "k", v, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("old")
	server.Snapshot(t)
	set("new")
	server.Stop(t)
	if err := client.Get(t.Context(), "k").Err(); err == nil {
		t.Error("a stopped Redis answered")
	}
	server.Start(t)
	if got, err := client.Get(t.Context(), "k").Result(); err != nil || got != "old" {
		t.Errorf("after the restart k = %q, %v; want what the snapshot had, old", got, err)
	}
}

func redisAt(t *testing.T, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.MaxRetries, o.DialerRetries = -1, 1 // a stopped server is told at once
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Several processes share a server that outlives them. None may lock another out by
// setting passwords, or drop what another uses; what is left of them goes away.
func TestServerOfOthers(t *testing.T) {
	_, server := dbtest.OwnPostgres(t)
	url := server.SuperuserURL("postgres")
	env := "BIOCORE_TEST_POSTGRES_URL=" + url
	var processes sync.WaitGroup
	for range 2 {
		processes.Go(func() {
			if out, err := child("TestFixtures|TestFresh|TestManyTestsAtOnce", env); err != nil {
				t.Errorf("a process on a server of others: %v\n%s", err, out)
			}
		})
	}
	processes.Wait()
	if out, err := child("TestFixtures", env); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// The last process leaves its template and its database, and none of those
	// before it. Ours are the two of OwnPostgres, whose keeper lives.
	if n := databases(t, url); n != 4 {
		t.Errorf("the server has %d test databases, want ours and those of the last process: 4", n)
	}
	if out, err := child("TestFixtures", "BIOCORE_TEST_POSTGRES_URL=localhost"); err == nil || !strings.Contains(out, "not a URL of the form") {
		t.Errorf("with a bad URL: %v\n%s", err, out)
	}
}

func databases(t *testing.T, url string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	err = conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_database WHERE datname LIKE 'biocore\\_test\\_%'").Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A process cannot remove its own folders at its end; the next one does.
func TestAbandonedFolders(t *testing.T) {
	cache := t.TempDir()
	running := filepath.Join(cache, "biocore-test", "running")
	var first []string
	for i := range 2 {
		if out, err := child("TestFixtures", "HOME="+cache, "XDG_CACHE_HOME="+cache); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		left, err := filepath.Glob(filepath.Join(running, "*"))
		if err != nil || len(left) != 1 {
			t.Fatalf("after %d processes there are %d folders (%v), want that of the last", i+1, len(left), err)
		}
		if i == 0 {
			first = left
		} else if left[0] == first[0] {
			t.Error("the second process left the folder of the first, and none of its own")
		}
	}
	// The servers of the last process end by themselves; their folders are ours to remove.
	left, err := filepath.Glob(filepath.Join(running, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range left {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			continue
		}
		if err := embedded.Remove(t.Context(), dir); err != nil {
			t.Errorf("Remove: %v", err)
		}
	}
}

func TestNothingInstalled(t *testing.T) {
	out, err := child("TestFixtures", "BIOCORE_PG_BIN=/nonexistent")
	if want := "apt-get install --yes postgresql"; err == nil || !strings.Contains(out, want) {
		t.Errorf("without Postgres: %v, want a failure with %q\n%s", err, want, out)
	}
}

// child runs tests of this binary in another process.
func child(run string, env ...string) (out string, err error) {
	//nolint:gosec // G702: the program is this one.
	cmd := exec.Command(os.Args[0], "-test.run=^("+run+")$", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), env...)
	b, err := cmd.CombinedOutput()
	return string(b), err
}

// eventually waits for a state that another goroutine brings about.
func eventually(t *testing.T, what string, reached func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !reached() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not so within 20 s: %s", what)
		}
	}
}
