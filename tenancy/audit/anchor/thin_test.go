package anchor_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/audit/anchor"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// thin has the job remove rows, some at a time, all at one moment, and answers how many it removed.
func (w *world) thin(t testing.TB, batch int) (removed int, now time.Time) {
	t.Helper()
	tx, err := w.As(t, db.RoleJobs).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.QueryRow(t.Context(), "SELECT now()").Scan(&now); err != nil {
		t.Fatal(err)
	}
	for n := batch; n == batch; removed += n {
		if err := tx.QueryRow(t.Context(), "SELECT thin_anchors($1)", batch).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return removed, now
}

// held holds an export of a log to what is anchored of it.
func (w *world) held(t testing.TB, sc scope.Scope, a *anchor.Anchored) *bundle.Report {
	t.Helper()
	var file bytes.Buffer
	if err := trail.NewReader(w.Store.Store, w.keys).Export(t.Context(), sc, 0, &file); err != nil {
		t.Fatal(err)
	}
	r, err := bundle.Verify(&file, "", a.Head.Checkpoint())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Of anchors of two years, one each 20 minutes, stay those that are young, one an hour, one a day, and that of each tenant's
// last head, however old it is: its proof is answered as before, and so are those of all that is anchored later. Without the condition on tenants' heads, or that
// on the last of all, it turns red.
func TestThin(t *testing.T) {
	w := newWorld(t, folder(t))
	idle, busy := w.tenant(t), w.tenant(t)
	s := w.server(t)
	w.grow(t, idle, 3)
	w.grow(t, busy, 3)
	anchored := func() {
		t.Helper()
		w.pass(2 * time.Minute)
		if did, err := s.Anchor(t.Context()); err != nil || !did {
			t.Fatalf("Anchor = %v, %v", did, err)
		}
	}
	anchored()
	w.grow(t, busy, 3)
	anchored()
	if _, err := w.super.Exec(t.Context(), `UPDATE audit_anchors SET at = date_trunc('hour', now()) - interval '400 days' - interval '1 minute'`); err != nil {
		t.Fatal(err)
	}
	var size int64
	if err := w.super.QueryRow(t.Context(), "SELECT max(size) FROM audit_anchors").Scan(&size); err != nil {
		t.Fatal(err)
	}
	// Others of before and after, as they would be.
	if _, err := w.super.Exec(t.Context(), `UPDATE audit_anchors SET size = size + 10000000`); err != nil {
		t.Fatal(err)
	}
	if _, err := w.super.Exec(t.Context(), `INSERT INTO audit_anchors (id, size, heads, refused, at, stored_at, bytes)
		SELECT gen_random_uuid(), 20000000 - g, 1, 0, at, at, 900 FROM generate_series(0, 400 * 72 - 1) g, LATERAL (SELECT date_trunc('hour', now()) - g * interval '20 minutes' AS at) a
		UNION ALL SELECT gen_random_uuid(), 1000000 - g, 1, 0, at, at, 900 FROM generate_series(0, 300 * 72 - 1) g, LATERAL (SELECT date_trunc('hour', now()) - interval '401 days' - g * interval '20 minutes' AS at) a`); err != nil {
		t.Fatal(err)
	}

	// The oracle: of each hour, or day, the last; and what a head is in.
	type row struct {
		id uuid.UUID
		at time.Time
	}
	rows := func() (all []row) {
		found, err := w.super.Query(t.Context(), "SELECT id, at FROM audit_anchors ORDER BY size DESC")
		if err != nil {
			t.Fatal(err)
		}
		defer found.Close()
		for found.Next() {
			var r row
			if err := found.Scan(&r.id, &r.at); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		return all
	}
	needed := map[uuid.UUID]bool{}
	for _, sc := range []scope.Scope{idle, busy} {
		var id uuid.UUID
		if err := w.super.QueryRow(t.Context(), "SELECT anchor_id FROM audit_anchor_heads WHERE tenant_id = $1", sc.Tenant()).Scan(&id); err != nil {
			t.Fatal(err)
		}
		needed[id] = true
	}
	if len(needed) != 2 {
		t.Fatal("both heads are in one anchor")
	}
	want, before := map[uuid.UUID]bool{}, rows()
	removed, now := w.thin(t, 5000)
	var last time.Time // of the one after
	for _, r := range before {
		at, step := r.at.UTC(), time.Hour
		if at.Before(now.AddDate(-1, 0, 0)) {
			step = 24 * time.Hour
		}
		if !at.Before(now.AddDate(0, 0, -30)) || last.IsZero() || !at.Truncate(step).Equal(last.Truncate(step)) || needed[r.id] {
			want[r.id] = true
		}
		last = at
	}
	after := rows()
	for _, r := range after {
		if !want[r.id] {
			t.Errorf("the anchor of %s stays", r.at)
		}
		delete(want, r.id)
	}
	if len(want) != 0 || removed != len(before)-len(after) || removed < 30_000 || len(after) > 30*72+335*24+400 {
		t.Errorf("%d removed of %d, %d stay, %d are missing", removed, len(before), len(after), len(want))
	}
	if n, _ := w.thin(t, 5000); n != 0 {
		t.Errorf("again removes %d", n)
	}

	// What tenants are told holds, and the log of heads goes on.
	for name, sc := range map[string]scope.Scope{"idle": idle, "busy": busy} {
		a, err := s.Last(t.Context(), sc)
		if err != nil || a.Head.Size != w.size(t, sc) {
			t.Errorf("the %s log's anchor is %+v, %v", name, a.Head, err)
		}
		if r := w.held(t, sc, &a); !r.Valid() || r.Anchored != 1 {
			t.Errorf("the %s log's export is held to its anchor: %+v", name, r)
		}
	}
	if st, err := s.Status(t.Context()); err != nil || st.Size != 20000000 {
		t.Errorf("Status = %+v, %v", st, err)
	}
	if _, err := w.super.Exec(t.Context(), "DELETE FROM audit_anchors WHERE size < 10000000 OR size > 10000000 + $1", size); err != nil {
		t.Fatal(err)
	}
	if n, _ := w.thin(t, 5000); n != 0 {
		t.Error("the last of all is removed")
	}
}

// What is not stored waits, however old it is.
func TestThinKeepsWhatWaits(t *testing.T) {
	w := newWorld(t, folder(t))
	if _, err := w.super.Exec(t.Context(), `INSERT INTO audit_anchors (id, size, heads, refused, at, stored_at, body, bytes)
		SELECT gen_random_uuid(), g, 0, 0, now() - interval '90 days', CASE WHEN g < 3 THEN now() END, CASE WHEN g = 3 THEN 'x'::bytea END, 1 FROM generate_series(1, 3) g`); err != nil {
		t.Fatal(err)
	}
	if n, _ := w.thin(t, 5000); n != 1 {
		t.Errorf("%d removed, want the first of two that are stored", n)
	}
	var n int
	if err := w.super.QueryRow(t.Context(), "SELECT count(*) FROM audit_anchors WHERE body IS NOT NULL").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d wait, %v", n, err)
	}
	if _, err := w.As(t, db.RoleAudit).Exec(t.Context(), "SELECT thin_anchors(1)"); err == nil {
		t.Error("another role than that of jobs thins")
	}
}
