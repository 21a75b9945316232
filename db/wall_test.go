package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// The catalog walk: every table is walled, or listed as platform with a reason.
func TestWallHasNoHoles(t *testing.T) {
	store := dbtest.New(t)
	found, err := store.CheckWall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("%s: %s", f.Object, f.Problem)
	}
}

// Each mutation is a mistake that a migration could make. The walk must name it.
func TestWallFindsEachHole(t *testing.T) {
	for _, tt := range []struct{ name, sql, object string }{
		{"row-level security off", "ALTER TABLE users DISABLE ROW LEVEL SECURITY", "public.users"},
		{"not forced", "ALTER TABLE credentials NO FORCE ROW LEVEL SECURITY", "public.credentials"},
		{"a table without a wall", "CREATE TABLE notes (tenant_id uuid, id uuid, PRIMARY KEY (tenant_id, id))", "public.notes"},
		{"policy dropped", "DROP POLICY tenant_isolation ON sessions", "public.sessions"},
		{"policy without a check", "ALTER POLICY tenant_isolation ON sessions WITH CHECK (true)", "public.sessions"},
		{"policy that admits all", "ALTER POLICY tenant_isolation ON users USING (true)", "public.users"},
		{"policy for everybody", "ALTER POLICY tenant_isolation ON users TO PUBLIC", "public.users"},
		{"a second, wider policy", "CREATE POLICY handy ON users TO bc_app USING (true)", "public.users handy"},
		{"a partition without a wall", "CREATE TABLE ceremonies_old PARTITION OF ceremonies FOR VALUES FROM ('2001-01-01') TO ('2001-02-01')", "public.ceremonies_old"},
		{"grants on partitions", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO bc_app", "public.ceremonies_"},
		{"a global unique key", "ALTER TABLE users ADD UNIQUE (handle)", "public.users users_handle_key"},
		{"a primary key without the tenant", "ALTER TABLE credentials DROP CONSTRAINT credentials_pkey; ALTER TABLE credentials ADD PRIMARY KEY (id)", "public.credentials credentials_pkey"},
		{"a reference without the tenant", "ALTER TABLE users ADD CONSTRAINT users_id_key UNIQUE (id); ALTER TABLE sessions ADD FOREIGN KEY (user_id) REFERENCES users (id)", "public.sessions sessions_user_id_fkey"},
		{"a view with its owner's rights", "CREATE VIEW everybody AS SELECT * FROM users", "public.everybody"},
		{"a function with its owner's rights", "CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM users'", "public.peek"},
		{"a definer with the caller's search_path", "ALTER FUNCTION make_partitions(timestamptz) RESET search_path", "public.make_partitions"},
		{"a definer that looks into temporary tables", "ALTER FUNCTION make_partitions(timestamptz) SET search_path = pg_catalog, public", "public.make_partitions"},
		{"a sequence that tells of others", "CREATE SEQUENCE counter; GRANT USAGE ON SEQUENCE counter TO bc_app", "public.counter"},
		{"the queue without its policy", "ALTER TABLE river.river_job DISABLE ROW LEVEL SECURITY", "river.river_job"},
		{"an extension that nobody knows", "CREATE EXTENSION pg_stat_statements", "pg_stat_statements"},
		{"pgcrypto for everybody", "ALTER EXTENSION pgcrypto SET SCHEMA public", "pgcrypto"},
		{"a schema that opens to another role", "GRANT USAGE ON SCHEMA sealing TO bc_jobs", "sealing.pgp_sym_decrypt"},
		{"a function that opens for everybody", "GRANT EXECUTE ON FUNCTION contact_open(bytea, text) TO PUBLIC", "public.contact_open"},
		{"support without a grant", "DROP POLICY support_view ON users; CREATE POLICY support_view ON users FOR SELECT TO bc_support USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)", "public.users support_view"},
		{"support by a grant that is over", "ALTER POLICY support_view ON users USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid AND EXISTS (SELECT FROM support_grants g WHERE g.tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid AND g.person_id = NULLIF(current_setting('app.actor_id', true), '')::uuid AND g.state = 'GRANTED'))", "public.users support_view"},
		{"support by another's grant", "ALTER POLICY support_view ON support_grants USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)", "public.support_grants support_view"},
		{"support in the app's policy", "ALTER POLICY tenant_isolation ON users TO bc_app, bc_writer, bc_control, bc_support", "public.users tenant_isolation"},
		{"support by a policy for everybody", "CREATE POLICY handy ON sessions FOR SELECT TO PUBLIC USING (true)", "public.sessions handy"},
		{"support acts by a grant to look", "ALTER POLICY support_act ON users USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)", "public.users support_act"},
		{"support writes audit entries of others", "ALTER POLICY support_record ON audit_inbox WITH CHECK (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid)", "public.audit_inbox support_record"},
		{"support reads a secret column", "GRANT SELECT (secret_hash) ON api_keys TO bc_support", "public.api_keys"},
		{"support reads a secret table", "GRANT SELECT ON contacts TO bc_support", "public.contacts"},
		{"support reads data keys", "GRANT SELECT ON data_keys TO bc_support", "public.data_keys"},
		{"support changes another column", "GRANT UPDATE (profile_sealed) ON users TO bc_support", "public.users"},
		{"support deletes", "GRANT DELETE ON sessions TO bc_support", "public.sessions"},
		{"support inserts", "GRANT INSERT ON credentials TO bc_support", "public.credentials"},
		{"new bytes where support reads all", "ALTER TABLE users ADD COLUMN secret bytea", "public.users"},
		{"a table that nobody has judged for support", "CREATE TABLE notes (tenant_id uuid, id uuid, PRIMARY KEY (tenant_id, id)); ALTER TABLE notes OWNER TO bc_owner; SELECT wall('notes')", "public.notes"},
		{"support is the app", "GRANT bc_app TO bc_support", "bc_app"},
		{"support opens contacts", "GRANT EXECUTE ON FUNCTION contact_open(bytea, text) TO bc_support", "public.contact_open"},
		{"support reads the queue", "GRANT USAGE ON SCHEMA river TO bc_support; GRANT SELECT ON river.river_job TO bc_support", "river.river_job"},
		{"another owner", "ALTER TABLE users OWNER TO CURRENT_USER", "public.users"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := dbtest.Fresh(t)
			conn := store.Superuser(t)
			if _, err := conn.Exec(t.Context(), tt.sql); err != nil {
				t.Fatal(err)
			}
			defer func() { // memberships are of the whole server, and outlive this database
				if _, err := conn.Exec(t.Context(), "REVOKE bc_app FROM bc_support"); err != nil {
					t.Error(err)
				}
			}()
			found, err := store.CheckWall(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if strings.HasPrefix(f.Object, tt.object) {
					return
				}
			}
			t.Errorf("the walk found %v, nothing of %s", found, tt.object)
		})
	}
}

// The walls themselves, seen by bc_app: what a query without any WHERE reads and
// writes. Each turns red when row-level security is switched off on the table.
func TestAnotherTenantsRows(t *testing.T) {
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	user, credentials := store.User(t, acme, 1)

	t.Run("are not seen", func(t *testing.T) {
		err := store.ReadTenant(t.Context(), globex, func(tx *db.TenantTx) error {
			if _, err := tx.GetUser(t.Context(), user); !db.IsNoRows(err) {
				t.Errorf("GetUser error = %v, want no rows", err)
			}
			if _, err := tx.GetCredential(t.Context(), credentials[0]); !db.IsNoRows(err) {
				t.Errorf("GetCredential error = %v, want no rows", err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Run("are not locked", func(t *testing.T) {
		err := store.InTenant(t.Context(), globex, func(tx *db.TenantTx) error {
			_, err := tx.LockUserOfCredential(t.Context(), credentials[0])
			return err
		})
		if !db.IsNoRows(err) {
			t.Errorf("LockUserOfCredential error = %v, want no rows", err)
		}
	})
	t.Run("are not deleted", func(t *testing.T) {
		if err := store.InTenant(t.Context(), globex, func(tx *db.TenantTx) error {
			n, err := tx.DeleteCredentialsOfUser(t.Context(), user)
			if n != 0 {
				t.Errorf("deleted %d credentials of another tenant", n)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("are not referred to", func(t *testing.T) {
		// Foreign key checks bypass row-level security: only the composite key refuses.
		err := store.InTenant(t.Context(), globex, func(tx *db.TenantTx) error {
			_, err := tx.InsertCredential(t.Context(), tenantq.InsertCredentialParams{
				Trust: "NONE", Extensions: "{}",
				ID: []byte("foreign"), UserID: user, PublicKey: []byte{1}, Algorithm: -7, AttestationFormat: "none", AttestationType: "NONE",
				Transports: []string{}, RegisteredVia: "SERVER_KEY", Now: tx.Now(),
			})
			return err
		})
		if !db.IsConstraint(err, "credentials_tenant_id_user_id_fkey") {
			t.Errorf("insert under another tenant's user: error = %v, want a foreign key violation", err)
		}
		if err != nil && strings.Contains(err.Error(), user.String()) {
			t.Errorf("the error quotes the row: %v", err)
		}
	})
	t.Run("leave no trace in unique keys", func(t *testing.T) {
		// The same credential id may exist in both: 23505 and ON CONFLICT are oracles.
		other, _ := store.User(t, globex, 0)
		if err := store.InTenant(t.Context(), globex, func(tx *db.TenantTx) error {
			_, err := tx.InsertCredential(t.Context(), tenantq.InsertCredentialParams{
				Trust: "NONE", Extensions: "{}",
				ID: credentials[0], UserID: other, PublicKey: []byte{1}, Algorithm: -7, AttestationFormat: "none", AttestationType: "NONE",
				Transports: []string{}, RegisteredVia: "SERVER_KEY", Now: tx.Now(),
			})
			return err
		}); err != nil {
			t.Errorf("a credential id that another tenant has: %v", err)
		}
	})
	t.Run("are not written under its name", func(t *testing.T) {
		conn := store.As(t, db.RoleApp)
		err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "SELECT set_config('app.tenant_id', $1, true)", globex.Tenant().String()); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), "INSERT INTO audit_inbox (tenant_id, id, at, action, entry) VALUES ($1, $2, now(), 'x', '{}')", acme.Tenant(), uuid.New())
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "row-level security") {
			t.Errorf("insert with another tenant's id: error = %v, want a row-level security violation", err)
		}
	})
}

// Without a tenant nothing is seen, also after a transaction that had one: the
// setting is then ” and not NULL.
func TestNoTenantNoRows(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	store.User(t, acme, 1)
	conn := store.As(t, db.RoleApp)
	count := func(when string) {
		var n int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM users").Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d users, error %v", when, n, err)
		}
	}
	count("before any tenant")
	if err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		var n int
		if _, err := tx.Exec(t.Context(), "SELECT set_config('app.tenant_id', $1, true)", acme.Tenant().String()); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), "SELECT 1/count(*) FROM users").Scan(&n) // fails on none
	}); err != nil {
		t.Fatal(err)
	}
	count("after a transaction that had one")
	if err := store.InTenant(t.Context(), scope.Scope{}, func(*db.TenantTx) error {
		t.Error("the zero scope got a transaction")
		return nil
	}); !errors.Is(err, db.ErrScope) {
		t.Errorf("zero scope: error = %v, want %v", err, db.ErrScope)
	}
}

// A session cannot look past the wall by its own settings: row_security = off is
// an error and not a key, and bc_app can become nobody else.
func TestSessionSettingsDoNotOpenTheWall(t *testing.T) {
	store := dbtest.New(t)
	for _, sql := range []string{"SET row_security = off; SELECT * FROM users", "SET ROLE bc_owner", "SET SESSION AUTHORIZATION bc_owner",
		"ALTER TABLE users DISABLE ROW LEVEL SECURITY", "SELECT * FROM river.river_leader", "SELECT * FROM data_keys_copy"} {
		if _, err := store.As(t, db.RoleApp).Exec(t.Context(), sql); err == nil {
			t.Errorf("bc_app may %s", sql)
		}
	}
}

// A pooled connection carries nothing over: tenants take turns on one connection.
func TestTenantsShareAConnection(t *testing.T) {
	store := dbtest.New(t)
	o := store.Options()
	o.AppConns = 1
	one, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	const rounds = 2500
	tenants := []scope.Scope{store.Tenant(t), store.Tenant(t), store.Tenant(t), store.Tenant(t)}
	users := make([]uuid.UUID, len(tenants))
	for i, sc := range tenants {
		users[i], _ = store.User(t, sc, 0)
	}
	var wg sync.WaitGroup
	errs := make(chan error, len(tenants))
	for i, sc := range tenants {
		wg.Go(func() {
			errs <- func() error {
				for n := range rounds {
					err := one.ReadTenant(t.Context(), sc, func(tx *db.TenantTx) error {
						rows, err := tx.ListUserFactsNewest(t.Context(), tenantq.ListUserFactsNewestParams{MaxRows: 10})
						if err == nil && (len(rows) != 1 || rows[0].UserID != users[i]) {
							return fmt.Errorf("round %d: tenant %d sees %d users", n, i, len(rows))
						}
						if n%7 == 0 {
							return errors.Join(err, context.Canceled) // a rollback leaves nothing either
						}
						return err
					})
					if err != nil && !errors.Is(err, context.Canceled) {
						return err
					}
				}
				return nil
			}()
		})
	}
	wg.Wait()
	for range tenants {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// A server of the release before erases users and knows no contacts: they go along, past
// row-level security, and by the whole key, so that another tenant's user with the same
// id keeps theirs. Without the cascade, or with a key that lacks the tenant, it turns red.
func TestErasureOfTheReleaseBefore(t *testing.T) {
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	user, _ := store.User(t, acme, 0)
	conn := store.Superuser(t)
	for _, sql := range []string{
		`INSERT INTO users (tenant_id, id, handle, external_index, profile_sealed, created_at, updated_at)
		 SELECT $3, id, handle, external_index, profile_sealed, created_at, updated_at FROM users WHERE tenant_id = $1 AND id = $2`,
		`INSERT INTO contacts (tenant_id, user_id, kind, sealed, match_index, key_version, created_at, updated_at)
		 SELECT tenant, $2, kind, sha512('x'), sha256('x'), 1, now(), now() FROM unnest(ARRAY[$1::uuid, $3]) tenant, unnest(ARRAY['EMAIL', 'PHONE']) kind`,
	} {
		if _, err := conn.Exec(t.Context(), sql, acme.Tenant(), user, globex.Tenant()); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.InTenant(t.Context(), acme, func(tx *db.TenantTx) error {
		n, err := tx.DeleteUser(t.Context(), user)
		if n != 1 {
			t.Errorf("deleted %d users, want 1", n)
		}
		return err
	}); err != nil {
		t.Fatalf("DeleteUser error = %v", err)
	}
	for sc, want := range map[scope.Scope]int{acme: 0, globex: 2} {
		var left int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM contacts WHERE tenant_id = $1 AND user_id = $2", sc.Tenant(), user).Scan(&left); err != nil || left != want {
			t.Errorf("%d contacts left, %v, want %d", left, err, want)
		}
	}
}

// What an auditor is told: of every table how it is walled, and what the roles that serve tenants see. A hole
// shows in the walk and in what is seen.
func TestReportWall(t *testing.T) {
	store := dbtest.Fresh(t)
	acme := store.Tenant(t)
	store.User(t, acme, 1)
	got, err := store.ReportWall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !got.Holds() || got.Schema < 60 || got.Server == "" {
		t.Errorf("a sound wall: %+v %+v", got.Checks, got.Probes)
	}
	tables := map[string]db.WallTable{}
	for _, one := range got.Tables {
		tables[one.Name] = one
		if one.Walled != (one.Reason == "") || one.Walled && (len(one.Policies) == 0 || one.Policies[0].Name != "tenant_isolation" || one.Policies[0].Reason != "") {
			t.Errorf("%s: %+v", one.Name, one)
		}
		for _, p := range one.Policies {
			if p.Name != "tenant_isolation" && p.Reason == "" && one.Walled || p.Command == "" || len(p.Roles) == 0 {
				t.Errorf("%s: nobody knows why it has %+v", one.Name, p)
			}
		}
	}
	if !tables["public.users"].Walled || tables["public.metadata_blobs"].Walled || tables["public.ceremonies"].Name == "" {
		t.Errorf("tables: %v", tables)
	}
	for _, c := range got.Checks {
		if c.Judges == "" {
			t.Errorf("%s does not say what it is for", c.Name)
		}
	}
	for _, hole := range []string{
		"ALTER TABLE users DISABLE ROW LEVEL SECURITY",
		"ALTER POLICY tenant_isolation ON users USING (true)",
		"CREATE POLICY handy ON users TO bc_app USING (true)",
	} {
		t.Run(hole, func(t *testing.T) {
			store := dbtest.Fresh(t)
			store.User(t, store.Tenant(t), 1)
			if _, err := store.Superuser(t).Exec(t.Context(), hole); err != nil {
				t.Fatal(err)
			}
			got, err := store.ReportWall(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var seen []string
			for _, p := range got.Probes {
				if p.Role == "bc_app" && p.Tenant != db.AsPlatform {
					seen = append(seen, p.Seen...)
				}
			}
			if got.Holds() || !slices.Equal(seen, []string{"public.users", "public.users"}) {
				t.Errorf("seen: %v, holds: %v", seen, got.Holds())
			}
		})
	}
}
