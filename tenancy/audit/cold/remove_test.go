package cold_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// first is the number of a tenant's first entry in the database, and how many it has there.
func (w *world) first(t testing.TB, sc scope.Scope) (seq, n int64) {
	t.Helper()
	if err := w.super.QueryRow(t.Context(), "SELECT coalesce(min(seq), 0), count(*) FROM audit_entries WHERE tenant_id = $1", sc.Tenant()).Scan(&seq, &n); err != nil {
		t.Fatal(err)
	}
	return seq, n
}

// remove removes all that may be removed.
func (w *world) remove(t testing.TB, sc scope.Scope) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = w.server().Remove(t.Context(), sc); err != nil {
			t.Fatal(err)
		}
	}
}

// drop has the job drop months, and answers how many.
func (w *world) drop(t testing.TB) (n int) {
	t.Helper()
	if _, err := w.As(t, db.RoleJobs).Exec(t.Context(), "SELECT drop_partitions(now())"); err != nil {
		t.Fatal(err)
	}
	if err := w.super.QueryRow(t.Context(), "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_entries'::regclass").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// archiveAll archives what is older than 100 days, as of a time.
func (w *world) archiveAll(t testing.TB, sc scope.Scope, ago time.Duration) {
	t.Helper()
	before := w.clock().Add(-100 * day)
	w.behind.Store(int64(ago))
	defer w.behind.Store(0)
	for did := true; did; {
		var err error
		if did, err = w.server().Archive(t.Context(), sc, before); err != nil {
			t.Fatal(err)
		}
	}
}

// What has been archived for a week leaves the database, up to a complete tile, and nothing else does; every proof of what is left
// holds, and what is gone is told from what never was.
func TestRemove(t *testing.T) {
	w := newWorld(t, "")
	acme, globex := w.tenant(t), w.tenant(t)
	for _, sc := range []scope.Scope{acme, globex} {
		w.behind.Store(int64(300 * day))
		w.grow(t, sc, 330)
		w.year(t, sc)
	}
	var gone, stays uuid.UUID
	if err := w.super.QueryRow(t.Context(), "SELECT (SELECT id FROM audit_entries WHERE tenant_id = $1 AND seq = 77), (SELECT id FROM audit_entries WHERE tenant_id = $1 AND seq = 520)", acme.Tenant()).Scan(&gone, &stays); err != nil {
		t.Fatal(err)
	}
	// Ids are minted by the true time: this one as it would have been.
	was := gone
	at := uint64(time.Now().Add(-300 * day).UnixMilli())
	for i := range 6 {
		gone[i] = byte(at >> (40 - 8*i))
	}
	if _, err := w.super.Exec(t.Context(), "UPDATE audit_entries SET id = $1 WHERE id = $2", gone, was); err != nil {
		t.Fatal(err)
	}
	_, all := w.first(t, acme)
	w.archiveAll(t, acme, 0)
	w.remove(t, acme)
	if seq, n := w.first(t, acme); seq != 0 || n != all {
		t.Errorf("archived a moment ago: %d entries from %d on, want %d from 0 on", n, seq, all)
	}
	if _, err := w.super.Exec(t.Context(), "UPDATE audit_archives SET archived_at = archived_at - interval '8 days'"); err != nil {
		t.Fatal(err)
	}

	// A server that ends between removing and saying so has removed nothing.
	tx, err := w.super.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE audit_inbox IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithTimeout(t.Context(), 2*time.Second)
	defer end()
	if _, err := w.server().Remove(ctx, acme); err == nil {
		t.Error("Remove did not wait")
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if seq, n := w.first(t, acme); seq != 0 || n != all {
		t.Errorf("ended in the midst: %d entries from %d on, want %d from 0 on", n, seq, all)
	}

	w.remove(t, acme)
	archives, archived := w.judge(t, acme)
	want := archived / 256 * 256
	if seq, n := w.first(t, acme); seq != want || n != all-want || want == 0 {
		t.Errorf("%d entries from %d on, want %d from %d on", n, seq, all-want, want)
	}
	if n := w.AuditCount(t, acme, "auditlog.remove"); n != want/100+1 {
		t.Errorf("%d audit entries of removing %d, a hundred at a time", n, want)
	}
	if seq, n := w.first(t, globex); seq != 0 || n != all {
		t.Errorf("another tenant has %d entries from %d on, want %d", n, seq, all)
	}

	// What is left is proven as before, and the tree of any size.
	if _, err := w.trail.Prove(t.Context(), acme, stays); err != nil {
		t.Errorf("Prove = %v", err)
	}
	for _, from := range []int64{1, 100, 256, 300, want} {
		if _, err := w.trail.Grown(t.Context(), acme, from, 0); err != nil {
			t.Errorf("Grown from %d = %v", from, err)
		}
	}
	list, err := w.server().List(t.Context(), acme, 0, 100)
	if err != nil || len(list) != archives {
		t.Fatal(len(list), err)
	}
	begins := ""
	for i := range list { // the first that may have it: all are of one hour
		if list[i].From == 0 {
			begins = fmt.Sprintf("begins at entry %d,", list[i].From)
		}
	}
	for name, err := range map[string]error{
		"Prove": second(w.trail.Prove(t.Context(), acme, gone)), "Get": second(w.trail.Get(t.Context(), acme, gone)),
	} {
		if f, ok := errors.AsType[*fault.Error](err); !ok || !errors.Is(err, trail.ErrArchived) || begins == "" || !strings.Contains(f.Message, begins) {
			t.Errorf("%s of what is archived = %v, want ErrArchived that %s", name, err, begins)
		}
	}
	if _, err := w.trail.Prove(t.Context(), acme, uuid.Must(uuid.NewV7())); !errors.Is(err, trail.ErrNotFound) {
		t.Errorf("Prove of what never was = %v, want ErrNotFound", err)
	}
	if b, err := w.trail.Beginning(t.Context(), acme); err != nil || b.Seq != want || b.Until.IsZero() {
		t.Errorf("Beginning = %+v, %v", b, err)
	}
	if b, err := w.trail.Beginning(t.Context(), globex); err != nil || b.Seq != 0 || !b.Until.IsZero() {
		t.Errorf("Beginning of a whole log = %+v, %v", b, err)
	}

	// No export says that it is whole; archives and the rest are.
	var rest bytes.Buffer
	if err := w.trail.Export(t.Context(), acme, 0, &rest); !errors.Is(err, trail.ErrBefore) || rest.Len() > 0 {
		t.Errorf("Export from 0 on = %v, %d bytes, want ErrBefore", err, rest.Len())
	}
	if err := w.trail.Export(t.Context(), acme, archived, &rest); err != nil {
		t.Fatal(err)
	}
	files := []io.Reader{}
	for i := range list {
		var file bytes.Buffer
		if err := w.server().Read(t.Context(), acme, list[len(list)-1-i].From, &file); err != nil {
			t.Fatal(err)
		}
		files = append(files, &file)
	}
	last, err := w.trail.Checkpoint(t.Context(), acme)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := bundle.VerifyAll(append(files, &rest), last.VerifierKey); err != nil || !r.Valid() || r.Header.From != 0 || r.Entries != r.Header.To || r.Header.To < all {
		t.Errorf("archives and the rest: %+v, %v", r, err)
	}

	// The log grows on: tiles are made of what is left.
	w.grow(t, acme, 300)
	w.judge(t, acme)
}

func second[T any](_ T, err error) error { return err }

// A month goes, with all of it, once no tenant has anything in it that is not archived; while one reads the log, in an hour.
func TestDropMonths(t *testing.T) {
	w := newWorld(t, "")
	acme, globex := w.tenant(t), w.tenant(t)
	for _, sc := range []scope.Scope{acme, globex} {
		w.behind.Store(int64(300 * day))
		w.grow(t, sc, 330)
		w.year(t, sc)
	}
	months := w.drop(t)
	w.archiveAll(t, acme, 0)
	if n := w.drop(t); n != months {
		t.Errorf("%d months are left of %d, and another tenant has entries in all", n, months)
	}
	w.archiveAll(t, globex, 0)
	reader, err := w.super.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(t.Context(), "SELECT count(*) FROM audit_entries"); err != nil {
		t.Fatal(err)
	}
	var held int
	if _, err := w.As(t, db.RoleJobs).Exec(t.Context(), "SELECT drop_partitions(now())"); err != nil {
		t.Errorf("while somebody reads: %v", err)
	}
	if err := reader.QueryRow(t.Context(), "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_entries'::regclass").Scan(&held); err != nil || held != months {
		t.Errorf("while somebody reads %d months are left of %d, %v", held, months, err)
	}
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.drop(t); n >= months || n < 4 {
		t.Errorf("%d months are left of %d", n, months)
	}
	for _, sc := range []scope.Scope{acme, globex} {
		_, archived := w.judge(t, sc)
		if seq, n := w.first(t, sc); seq == 0 || seq > archived || n == 0 {
			t.Errorf("%d entries from %d on, %d are archived", n, seq, archived)
		}
	}
}

// Who has the rights of a server removes nothing that is young or in no archive, whatever it has noted of archives.
func TestRemovesNoMore(t *testing.T) {
	w := newWorld(t, "")
	acme := w.tenant(t)
	w.grow(t, acme, 300)
	_, old := w.first(t, acme)
	w.behind.Store(int64(80 * day))
	w.grow(t, acme, 300)
	w.behind.Store(0)
	app := w.As(t, db.RoleApp)
	try := func(want int64, pieces ...[2]int64) {
		t.Helper()
		tx, err := app.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), "SELECT set_config('app.tenant_id', $1, true)", acme.Tenant().String()); err != nil {
			t.Fatal(err)
		}
		for _, p := range pieces {
			if _, err := tx.Exec(t.Context(), `INSERT INTO audit_archives (from_seq, to_seq, first_at, last_at, objects, versions, bytes, sha256, archived_at, problem)
				VALUES ($1, $2, now(), now(), ARRAY[gen_random_uuid()], ARRAY[''], 1, decode(repeat('00', 32), 'hex'), now() - interval '1 year', 'x')`, p[0], p[1]); err != nil {
				t.Fatal(err)
			}
		}
		var n int64
		if err := tx.QueryRow(t.Context(), "SELECT remove_audit_entries(1000000)").Scan(&n); err != nil || n != want {
			t.Errorf("with archives %v it removes %d entries, %v, want %d", pieces, n, err, want)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	try(0)
	try(0, [2]int64{10, 600})                      // what is before it is in none
	try(0, [2]int64{0, 255})                       // in no complete tile
	try(256, [2]int64{0, 256})                     // as it is meant
	try(0, [2]int64{0, 100}, [2]int64{110, 600})   // with a gap
	try(old, [2]int64{0, 300}, [2]int64{300, 600}) // the young ones stay
	for _, role := range []string{db.RoleWriter, db.RoleControl, db.RoleJobs, db.RoleSupport, db.RoleAudit} {
		if _, err := w.As(t, role).Exec(t.Context(), "SELECT remove_audit_entries(1)"); err == nil {
			t.Errorf("%s may remove", role)
		}
	}
}
