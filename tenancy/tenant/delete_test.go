package tenant_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// lapse puts the end of a tenant's grace into the past.
func (f *fixture) lapse(t *testing.T, id uuid.UUID) {
	t.Helper()
	if _, err := f.store.Superuser(t).Exec(t.Context(), "UPDATE tenants SET delete_after = now() - interval '1 second' WHERE id = $1", id); err != nil {
		t.Fatal(err)
	}
}

func TestDeleteAndRestore(t *testing.T) {
	f := newFixture(t)
	for name, made := range map[string]tenant.Tenant{"active": f.create(t), "suspended": f.suspended(t)} {
		t.Run(name, func(t *testing.T) {
			was := made.State
			gone, err := f.svc.Delete(t.Context(), operator, tenant.DeleteRequest{ID: made.ID, Reason: "contract ended"})
			if err != nil || gone.State != tenant.Deleting || gone.DeleteAfter == nil || gone.DeleteReason != "contract ended" {
				t.Fatalf("Delete = %+v, %v", gone, err)
			}
			if left := gone.DeleteAfter.Sub(f.store.Now()); left < tenant.Grace-time.Minute || left > tenant.Grace {
				t.Errorf("it is destroyed in %v, want %v", left, tenant.Grace)
			}
			again, err := f.svc.Delete(t.Context(), operator, tenant.DeleteRequest{ID: made.ID, Reason: "other"})
			if err != nil || !again.DeleteAfter.Equal(*gone.DeleteAfter) || again.DeleteReason != "contract ended" || again.ETag != gone.ETag {
				t.Errorf("deleted twice = %+v, %v", again, err)
			}
			snap, err := f.svc.Current(t.Context(), of(made))
			if err != nil || !errors.Is(snap.Usable(), tenant.ErrKeysOfDeleting) || snap.Readable(f.store.Now()) != nil {
				t.Errorf("within the grace: Usable %v, Readable %v, %v", snap.Usable(), snap.Readable(f.store.Now()), err)
			}
			if snap.Readable(gone.DeleteAfter.Add(time.Second)) == nil {
				t.Error("after the grace its people still read")
			}
			if err := f.svc.Destroy(t.Context(), operator, tenant.DestroyRequest{ID: made.ID}); !errors.Is(err, tenant.ErrNotDeleting) {
				t.Errorf("Destroy within the grace = %v, want ErrNotDeleting", err)
			}
			back, err := f.svc.Restore(t.Context(), operator, tenant.DeleteRequest{ID: made.ID, Reason: "renewed"})
			if err != nil || back.State != was || back.DeleteAfter != nil || back.SuspendReason != made.SuspendReason {
				t.Errorf("Restore = %+v, %v; want %s", back, err, was)
			}
			if _, err := f.svc.Restore(t.Context(), operator, tenant.DeleteRequest{ID: made.ID}); !errors.Is(err, tenant.ErrNotDeleting) {
				t.Errorf("restored twice: %v, want ErrNotDeleting", err)
			}
			for _, action := range []string{"tenant.delete", "tenant.restore"} {
				if n := f.store.AuditCount(t, of(made), action); n != 1 {
					t.Errorf("%d audit entries %s, want 1", n, action)
				}
			}
		})
	}
}

// An owner deletes and restores their own tenant, and nothing that the platform does.
func TestDeleteOwn(t *testing.T) {
	f := newFixture(t)
	made, stopped, theirs := f.create(t), f.suspended(t), f.create(t)
	if _, err := f.svc.DeleteOwn(t.Context(), of(made), theirs.Slug, "moving"); !errors.Is(err, tenant.ErrSlugTyped) {
		t.Errorf("with another slug: %v, want ErrSlugTyped", err)
	}
	if _, err := f.svc.DeleteOwn(t.Context(), of(stopped), stopped.Slug, "moving"); !errors.Is(err, tenant.ErrSuspended) {
		t.Errorf("while suspended: %v, want ErrSuspended", err)
	}
	gone, err := f.svc.DeleteOwn(t.Context(), of(made), made.Slug, "moving")
	if err != nil || !gone.DeletedByTenant {
		t.Fatalf("DeleteOwn = %+v, %v", gone, err)
	}
	if back, err := f.svc.RestoreOwn(t.Context(), of(made), "staying"); err != nil || back.State != tenant.Active {
		t.Errorf("RestoreOwn = %+v, %v", back, err)
	}
	if _, err := f.svc.Delete(t.Context(), operator, tenant.DeleteRequest{ID: made.ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.svc.RestoreOwn(t.Context(), of(made), "staying"); !errors.Is(err, tenant.ErrPlatformDeletes) {
		t.Errorf("RestoreOwn of what the platform deletes = %v, want ErrPlatformDeletes", err)
	}
	for name, err := range map[string]error{
		"Delete": func() error {
			_, err := f.svc.Delete(t.Context(), of(made), tenant.DeleteRequest{ID: theirs.ID})
			return err
		}(),
		"Restore": func() error {
			_, err := f.svc.Restore(t.Context(), of(made), tenant.DeleteRequest{ID: made.ID})
			return err
		}(),
		"Destroy": f.svc.Destroy(t.Context(), of(made), tenant.DestroyRequest{ID: made.ID}),
	} {
		if !errors.Is(err, tenant.ErrPlatformOnly) {
			t.Errorf("%s by a tenant = %v, want ErrPlatformOnly", name, err)
		}
	}
}

// outside is a Subject that fails until it was asked so often.
type outside struct{ fails, asked int }

func (o *outside) Destroy(context.Context, scope.Scope) error {
	if o.asked++; o.asked <= o.fails {
		return errors.New("object storage is away")
	}
	return nil
}

// leftovers counts a tenant's rows in every table that can have any, as the catalog lists
// them: a table that the destruction forgets, of whichever release, turns this red.
func leftovers(t *testing.T, store *dbtest.Store, id uuid.UUID) map[string]int64 {
	t.Helper()
	conn := store.Superuser(t)
	rows, err := conn.Query(t.Context(), `SELECT c.oid::regclass::text FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
		JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
	}
	if rows.Err() != nil || len(tables) < 25 {
		t.Fatalf("%d tables, %v", len(tables), rows.Err())
	}
	left := map[string]int64{}
	for _, table := range tables {
		var n int64
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" WHERE tenant_id = $1", id).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			left[table] = n
		}
	}
	return left
}

// SECURITY 48: all of the tenant goes, and what stays says that it was there. Killed
// anywhere, it is done when it is run again. Removing the walk of the catalog, or the
// order of its tables, turns it red.
func TestDestroy(t *testing.T) {
	f := newFixture(t)
	acme, globex := f.create(t), f.create(t)
	for _, sc := range []scope.Scope{of(acme), of(globex)} {
		f.store.User(t, sc, 2)
		f.store.User(t, sc, 1)
	}
	before := leftovers(t, f.store, globex.ID)
	if len(before) < 6 {
		t.Fatalf("a tenant has rows in %v, and so little shows nothing", before)
	}
	if _, err := f.svc.Delete(t.Context(), operator, tenant.DeleteRequest{ID: acme.ID, Reason: "contract ended"}); err != nil {
		t.Fatal(err)
	}
	f.lapse(t, acme.ID)
	away := &outside{fails: 1}
	req := tenant.DestroyRequest{ID: acme.ID, Issuer: "https://id.example/t/platform", Subjects: []tenant.Subject{away}}
	if err := f.svc.Destroy(t.Context(), operator, req); err == nil {
		t.Fatal("Destroy without object storage succeeded")
	}
	if _, err := f.svc.Restore(t.Context(), operator, tenant.DeleteRequest{ID: acme.ID}); !errors.Is(err, tenant.ErrGraceOver) {
		t.Errorf("Restore after the grace = %v, want ErrGraceOver", err)
	}
	if _, err := f.keys.Ring(t.Context(), of(acme)); err != nil {
		t.Errorf("its keys went before its objects: %v", err)
	}
	// Killed when the keys are gone and the rows are not.
	if _, err := f.svc.Shred(t.Context(), operator, tenant.ShredRequest{ID: acme.ID, Issuer: req.Issuer, Reason: "contract ended"}); err != nil {
		t.Fatal(err)
	}
	if n := leftovers(t, f.store, acme.ID)["users"]; n != 2 {
		t.Errorf("%d users after the keys, want 2", n)
	}
	for range 2 { // done, and once more
		if err := f.svc.Destroy(t.Context(), operator, req); err != nil {
			t.Fatalf("Destroy = %v", err)
		}
	}
	left := leftovers(t, f.store, acme.ID)
	if left["deletion_certificates"] != 1 || len(left) != 1 {
		t.Errorf("of the tenant is left %v, want its certificate alone", left)
	}
	if after := leftovers(t, f.store, globex.ID); len(after) != len(before) || after["users"] != 2 || after["credentials"] != 3 {
		t.Errorf("of another tenant is left %v, was %v", after, before)
	}
	got, err := f.svc.Get(t.Context(), operator, acme.ID)
	if err != nil || got.Slug != acme.Slug || got.Name != acme.Slug || got.RPID != "" || len(got.Origins) != 0 {
		t.Errorf("its row is %+v, %v", got, err)
	}
	if certificate, err := f.svc.Certificate(t.Context(), operator, acme.ID); err != nil || certificate == "" {
		t.Errorf("Certificate = %q, %v", certificate, err)
	}
	if _, err := f.keys.Ring(t.Context(), of(acme)); !errors.Is(err, keys.ErrNoKeys) {
		t.Errorf("its keys: %v, want ErrNoKeys", err)
	}
	if _, _, err := f.svc.Create(t.Context(), operator, tenant.CreateRequest{
		Slug: acme.Slug, Name: "Acme", Mode: tenant.Test, RPID: "localhost", Origins: []string{"http://localhost:8080"},
	}); !errors.Is(err, tenant.ErrExists) {
		t.Errorf("Create with its slug = %v, want ErrExists", err)
	}
	if entry := lastAudit(t, f.store.Store, operator); entry["action"] != "tenant.destroy" || entry["reason"] != "contract ended" {
		t.Errorf("the platform's log ends with %v", entry)
	}
}

// What is not to be destroyed is not, whoever asks Postgres.
func TestDestroyRowsRefuses(t *testing.T) {
	f := newFixture(t)
	active, deleting := f.create(t), f.create(t)
	if _, err := f.svc.Delete(t.Context(), operator, tenant.DeleteRequest{ID: deleting.ID}); err != nil {
		t.Fatal(err)
	}
	f.lapse(t, deleting.ID)
	for name, id := range map[string]uuid.UUID{"an active tenant": active.ID, "one with its keys": deleting.ID, "the platform": scope.PlatformTenant} {
		err := f.store.InPlatform(t.Context(), "a test", func(tx *db.PlatformTx) error {
			_, err := tx.DestroyTenantRows(t.Context(), destroyAll(id))
			return err
		})
		if err == nil {
			t.Errorf("the rows of %s were destroyed", name)
		}
	}
}

func destroyAll(id uuid.UUID) platformq.DestroyTenantRowsParams {
	return platformq.DestroyTenantRowsParams{ID: id, MaxRows: 1000}
}
