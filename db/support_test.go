package db_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// supported gives somebody of the staff a grant that runs, and returns their scope.
func supported(t *testing.T, store *dbtest.Store, tenant scope.Scope, access string) (scope.Scope, uuid.UUID) {
	t.Helper()
	id, person := uuid.Must(uuid.NewV7()), uuid.New()
	if _, err := store.Superuser(t).Exec(t.Context(), `INSERT INTO support_grants (tenant_id, id, person_id, person_name, state, reason, ticket, wanted_access,
		wanted_minutes, requested_by, requested_at, open_until, access, decided_by, decided_at, expires_at)
		VALUES ($1, $2, $3, 'Sam', 'GRANTED', 'why', 'T-1', $4, 60, 'x', now(), now(), $4, 'operator:o', now(), now() + interval '60 minutes')`,
		tenant.Tenant(), id, person, access); err != nil {
		t.Fatal(err)
	}
	return scope.ForSupport(tenant.Tenant(), person, "Sam", scope.Support{GrantID: id, Acts: access == "ACT", By: scope.Actor{Kind: scope.ActorOperator, ID: "o", Name: "Ana"}}), id
}

func seesUsers(t *testing.T, store *dbtest.Store, sc scope.Scope) int {
	t.Helper()
	var n int
	if err := store.ReadTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListUserFactsNewest(t.Context(), tenantq.ListUserFactsNewestParams{MaxRows: 100})
		n = len(rows)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// What somebody of the staff sees of a tenant is decided by Postgres with each statement.
// Every change of support_view in 0034_support.sql turns a line of this red.
func TestSupportSeesWhileItsGrantRuns(t *testing.T) {
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	store.User(t, acme, 1)
	store.User(t, globex, 1)
	sam, grant := supported(t, store, acme, "VIEW")
	su := store.Superuser(t)
	set := func(sql string) {
		t.Helper()
		if _, err := su.Exec(t.Context(), "UPDATE support_grants SET "+sql+" WHERE id = $1", grant); err != nil {
			t.Fatal(err)
		}
	}
	if n := seesUsers(t, store, sam); n != 1 {
		t.Fatalf("with a grant: %d users, want 1", n)
	}
	person := uuid.MustParse(sam.Actor().ID)
	for name, other := range map[string]scope.Scope{
		"another tenant":         scope.ForSupport(globex.Tenant(), person, "Sam", sam.Support()),
		"another of the staff":   scope.ForSupport(acme.Tenant(), uuid.New(), "Mia", sam.Support()),
		"a grant that is not":    scope.ForSupport(globex.Tenant(), uuid.New(), "Mia", scope.Support{GrantID: uuid.New(), Acts: true, By: sam.Support().By}),
		"another, of no tenants": scope.ForSupport(uuid.New(), person, "Sam", sam.Support()),
	} {
		if n := seesUsers(t, store, other); n != 0 {
			t.Errorf("%s: %d users, want none", name, n)
		}
	}
	for _, state := range []string{"REQUESTED", "REFUSED", "REVOKED", "ENDED", "EXPIRED"} {
		set("state = '" + state + "'")
		if n := seesUsers(t, store, sam); n != 0 {
			t.Errorf("%s: %d users, want none", state, n)
		}
	}
	set("state = 'GRANTED'")

	// In the middle of a page: the statement after the revocation, or the end, sees nothing,
	// in the same transaction.
	for _, end := range []string{"state = 'REVOKED'", "decided_at = now() - interval '30 minutes', expires_at = now() - interval '1 second'"} {
		if err := store.ReadTenant(t.Context(), sam, func(tx *db.TenantTx) error {
			for i, want := range []int{1, 0} {
				rows, err := tx.ListUserFactsNewest(t.Context(), tenantq.ListUserFactsNewestParams{MaxRows: 10})
				if err != nil || len(rows) != want {
					t.Errorf("statement %d around %s: %d users, %v, want %d", i, end, len(rows), err, want)
				}
				if i == 0 {
					set(end)
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		set("state = 'GRANTED', decided_at = now(), expires_at = now() + interval '1 minute'")
	}
}

// The clock is Postgres's: a server whose clock is an hour behind opens nothing by it.
func TestSupportEndsByThePostgresClock(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	sam, grant := supported(t, store, acme, "VIEW")
	su := store.Superuser(t)
	if _, err := su.Exec(t.Context(), "UPDATE support_grants SET decided_at = now() - interval '30 minutes', expires_at = clock_timestamp() WHERE id = $1", grant); err != nil {
		t.Fatal(err)
	}
	if err := store.ReadTenant(t.Context(), sam, func(tx *db.TenantTx) error {
		if _, err := tx.GetTenant(t.Context()); !db.IsNoRows(err) {
			t.Errorf("GetTenant error = %v, want no rows", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := su.Exec(t.Context(), "UPDATE support_grants SET expires_at = decided_at + interval '61 minutes' WHERE id = $1", grant); err == nil {
		t.Error("a grant of over an hour was written")
	}
}

// Who may look does not write, and who may act writes what was listed and nothing else.
func TestSupportWrites(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	user, credentials := store.User(t, acme, 1)
	viewer, _ := supported(t, store, acme, "VIEW")
	actor, _ := supported(t, store, acme, "ACT")
	block := func(tx *db.TenantTx) error {
		_, err := tx.SetUserState(t.Context(), tenantq.SetUserStateParams{ID: user, State: "BLOCKED", Now: tx.Now()})
		return err
	}
	writes := map[string]struct {
		do    func(*db.TenantTx) error
		helps bool // a help desk does it
	}{
		"block": {block, true},
		"revoke a credential": {func(tx *db.TenantTx) error {
			now := tx.Now()
			_, err := tx.RevokeCredential(t.Context(), tenantq.RevokeCredentialParams{ID: credentials[0], Now: &now})
			return err
		}, true},
		"write a profile": {func(tx *db.TenantTx) error {
			_, err := tx.UpdateUser(t.Context(), tenantq.UpdateUserParams{ID: user, ExternalIndex: make([]byte, 32), ProfileSealed: []byte{1}, State: "ACTIVE", Now: tx.Now()})
			return err
		}, false},
		"rename a credential": {func(tx *db.TenantTx) error {
			_, err := tx.RenameCredential(t.Context(), tenantq.RenameCredentialParams{ID: credentials[0], Nickname: "x", Now: tx.Now()})
			return err
		}, false},
		"erase": {func(tx *db.TenantTx) error { _, err := tx.DeleteUser(t.Context(), user); return err }, false},
		"change the settings": {func(tx *db.TenantTx) error {
			return tx.SetPolicyVersion(t.Context(), tenantq.SetPolicyVersionParams{ID: acme.Tenant(), PolicyVersion: 1, Now: tx.Now()})
		}, false},
		"grant itself more": {func(tx *db.TenantTx) error {
			_, err := tx.LockSupportGrant(t.Context(), viewer.Support().GrantID)
			return err
		}, false},
		"read a key":     {func(tx *db.TenantTx) error { _, err := tx.ListDataKeys(t.Context()); return err }, false},
		"read a secret":  {func(tx *db.TenantTx) error { _, err := tx.ListSigningKeys(t.Context()); return err }, false},
		"read a contact": {func(tx *db.TenantTx) error { _, err := tx.AdmitKeys(t.Context(), nil); return err }, false},
	}
	for name, w := range writes {
		if f, ok := fault.As(store.InTenant(t.Context(), viewer, w.do)); !ok || f.Reason != db.ErrSupportMayNot.Reason {
			t.Errorf("who may look: %s: error = %v, want %v", name, f, db.ErrSupportMayNot)
		}
		err := store.InTenant(t.Context(), actor, func(tx *db.TenantTx) error { return errors.Join(w.do(tx), context.Canceled) })
		if may := !errors.Is(err, db.ErrSupportMayNot); may != w.helps {
			t.Errorf("who may act: %s: error = %v, may = %v, want %v", name, err, may, w.helps)
		}
	}
	t.Run("a scope that claims more than was granted", func(t *testing.T) {
		liar := viewer.Support()
		liar.Acts = true
		sc := scope.ForSupport(acme.Tenant(), uuid.MustParse(viewer.Actor().ID), "Sam", liar)
		if err := store.InTenant(t.Context(), sc, block); !db.IsNoRows(err) {
			t.Errorf("block error = %v, want no rows", err)
		}
	})
	t.Run("no other door is open to it", func(t *testing.T) {
		if _, err := store.SignIn(t.Context(), actor, db.SignIn{}); !errors.Is(err, db.ErrScope) {
			t.Errorf("SignIn error = %v, want %v", err, db.ErrScope)
		}
		if err := store.InPlatform(t.Context(), "test", func(tx *db.PlatformTx) error {
			_, err := tx.AsTenant(t.Context(), actor)
			return err
		}); !errors.Is(err, db.ErrScope) {
			t.Errorf("AsTenant error = %v, want %v", err, db.ErrScope)
		}
	})
	t.Run("its entries have its name", func(t *testing.T) {
		entry := func(kind, id string, grant uuid.UUID) error {
			return store.InTenantApart(t.Context(), viewer, func(tx *db.TenantTx) error {
				return tx.InsertSupportAuditEntry(t.Context(), tenantq.InsertSupportAuditEntryParams{
					ID: uuid.New(), At: tx.Now(), Action: "support.view", Entry: `{"actor":{"kind":"` + kind + `","id":"` + id + `"}}`, GrantID: grant,
				})
			})
		}
		own := viewer.Support().GrantID
		if err := entry("support", viewer.Actor().ID, own); err != nil {
			t.Errorf("own name: error = %v", err)
		}
		for _, other := range []struct {
			kind, id string
			grant    uuid.UUID
		}{
			{"support", actor.Actor().ID, own}, {"operator", viewer.Actor().ID, own}, {"system", "", own},
			{"support", viewer.Actor().ID, actor.Support().GrantID}, {"support", viewer.Actor().ID, uuid.New()},
		} {
			if err := entry(other.kind, other.id, other.grant); !errors.Is(err, db.ErrSupportMayNot) {
				t.Errorf("as %s:%s by %s: error = %v, want %v", other.kind, other.id, other.grant, err, db.ErrSupportMayNot)
			}
		}
	})
	t.Run("a leaked password opens nothing", func(t *testing.T) {
		conn := store.As(t, db.RoleSupport)
		var n int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM users").Scan(&n); err != nil || n != 0 {
			t.Errorf("%d users, %v, want none", n, err)
		}
		err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "SELECT set_config('app.tenant_id', $1, true), set_config('app.actor_id', $2, true)", acme.Tenant().String(), actor.Actor().ID)
			if err != nil {
				return err
			}
			_, err = tx.Exec(t.Context(), "SELECT secret_hash FROM api_keys")
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("secrets of API keys: error = %v, want permission denied", err)
		}
	})
}

// bc_control, which staff's pages ask by, tells that access is over. It gives none back, and
// makes nobody a member of a tenant that has members.
func TestControlLetsNobodyIn(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	sam, grant := supported(t, store, acme, "ACT")
	if _, err := store.Superuser(t).Exec(t.Context(), "UPDATE support_grants SET state = 'REVOKED', ended_at = now() WHERE id = $1", grant); err != nil {
		t.Fatal(err)
	}
	control, err := pgx.Connect(t.Context(), store.URL(db.RoleControl))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = control.Close(context.WithoutCancel(t.Context())) })
	run := func(sql string, arguments ...any) (int64, error) {
		t.Helper()
		tag, err := control.Exec(t.Context(), sql, arguments...)
		return tag.RowsAffected(), err
	}
	if _, err := run("SELECT set_config('app.tenant_id', $1, false)", acme.Tenant().String()); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"GRANTED", "REQUESTED", "EXPIRED"} {
		if n, err := run("UPDATE support_grants SET state = $2 WHERE id = $1", grant, state); err == nil && n > 0 {
			t.Errorf("a revoked grant was made %s", state)
		}
	}
	if n := seesUsers(t, store, sam); n != 0 {
		t.Errorf("support sees %d users", n)
	}
	const insert = "INSERT INTO members (id, person_id, role, invited_by, created_at, updated_at) VALUES ($1, $2, $3, '', now(), now())"
	if _, err := run(insert, uuid.New(), uuid.New(), "admin"); err == nil {
		t.Error("a founder is an admin")
	}
	if _, err := run(insert, uuid.New(), uuid.New(), "owner"); err != nil {
		t.Errorf("a founder: %v", err)
	}
	if _, err := run(insert, uuid.New(), uuid.New(), "owner"); err == nil {
		t.Error("a second founder")
	}
}
