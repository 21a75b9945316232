package anchor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/blob/blobtest"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/anchor"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/audit/sequencer"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
)

var platform = scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "test"})

// world is a database of its own, whose servers tell the time by a clock of the test's.
type world struct {
	*dbtest.Store
	keys    *keys.Service
	kms     keys.KMS
	super   *pgx.Conn
	objects *blob.Bucket
	later   atomic.Int64 // nanoseconds that the clock is ahead
}

func newWorld(t testing.TB, url string) *world {
	t.Helper()
	w := &world{Store: dbtest.Fresh(t)}
	file := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(file); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(file)
	if err != nil {
		t.Fatal(err)
	}
	w.kms, w.keys, w.super = k, keys.New(keys.Options{Store: w.Store.Store, KMS: k}), w.Superuser(t)
	if err := w.keys.Ensure(t.Context(), platform); err != nil {
		t.Fatal(err)
	}
	if w.objects, err = blob.Open(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	return w
}

func folder(t testing.TB) string {
	t.Helper()
	return "file://" + t.TempDir()
}

// server is one more, with a store of its own.
func (w *world) server(t testing.TB) *anchor.Service {
	t.Helper()
	o := w.Options()
	o.Unfollowed, o.Now = true, func() time.Time { return time.Now().Add(time.Duration(w.later.Load())) }
	store, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return w.with(store)
}

func (w *world) with(store *db.Store) *anchor.Service {
	return anchor.New(anchor.Options{Store: store, Keys: w.keys, Objects: w.objects, Host: "id.bank.example", LockFor: time.Hour})
}

// pass lets time go by.
func (w *world) pass(d time.Duration) { w.later.Add(int64(d)) }

func (w *world) tenant(t testing.TB) scope.Scope {
	t.Helper()
	sc := w.Tenant(t)
	if err := w.keys.Ensure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	return sc
}

// size is how many entries of a log are under a checkpoint.
func (w *world) size(t testing.TB, sc scope.Scope) (n int64) {
	t.Helper()
	if err := w.super.QueryRow(t.Context(), "SELECT signed_size FROM audit_logs WHERE tenant_id = $1", sc.Tenant()).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// grow adds n entries to a log, under a checkpoint.
func (w *world) grow(t testing.TB, sc scope.Scope, n int) {
	t.Helper()
	if err := w.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		for range n {
			if err := audit.Append(t.Context(), tx, audit.Entry{Action: "user.update", Target: audit.Target{Kind: "user", ID: uuid.NewString()}}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s := sequencer.New(sequencer.Options{Store: w.Store.Store, Keys: w.keys, Host: "id.bank.example"})
	for {
		moved, err := s.Move(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if moved == 0 {
			break
		}
	}
	if err := s.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, s *anchor.Service, want bool) {
	t.Helper()
	if did, err := s.Anchor(t.Context()); err != nil || did != want {
		t.Fatalf("Anchor = %v, %v, want %v", did, err, want)
	}
}

// judge derives the whole log of heads anew from the objects, by tlog alone, and holds it to all that is kept of it:
// each anchor's note, the head, each tenant's last line, and that each head is one that its log had. It answers how
// many anchors there are.
func (w *world) judge(t testing.TB) (anchors int) {
	t.Helper()
	rows, err := w.super.Query(t.Context(), "SELECT id, size FROM audit_anchors WHERE stored_at IS NOT NULL ORDER BY size")
	if err != nil {
		t.Fatal(err)
	}
	type one struct {
		ID   uuid.UUID
		Size int64
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[one])
	if err != nil {
		t.Fatal(err)
	}
	var all stored
	var size int64
	last := map[string]bundle.Head{}
	lastSeq := map[string]int64{}
	for _, a := range list {
		body, err := w.objects.Get(t.Context(), platform, anchor.Kind, a.ID)
		if err != nil {
			t.Fatalf("anchor %s: %v", a.ID, err)
		}
		r, err := bundle.Verify(bytes.NewReader(body), "")
		if err != nil || !r.Valid() || r.Header.From != size || r.Header.To != a.Size || r.Header.Format != bundle.HeadsFormat {
			t.Fatalf("anchor from %d to %d: %+v, %v", size, a.Size, r, err)
		}
		for i, text := range strings.Split(strings.TrimSpace(string(body)), "\n")[1:] {
			var l bundle.Line
			if err := json.Unmarshal([]byte(text), &l); err != nil || l.Seq != size {
				t.Fatalf("line %d: %s, %v", size, text, err)
			}
			more, err := tlog.StoredHashes(size, fmt.Appendf(nil, "%d\n%s", size, l.Entry), &all)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, more...)
			size++
			if i == 0 {
				continue
			}
			var h bundle.Head
			if err := json.Unmarshal([]byte(l.Entry), &h); err != nil {
				t.Fatal(err)
			}
			if h.Size <= last[h.TenantID].Size {
				t.Errorf("line %d: the log of %s does not grow", l.Seq, h.TenantID)
			}
			last[h.TenantID], lastSeq[h.TenantID] = h, l.Seq
			if root := w.root(t, h.TenantID, h.Size); root != h.Root {
				t.Errorf("line %d: the log of %s never had this head", l.Seq, h.TenantID)
			}
		}
		root, err := tlog.TreeHash(size, &all)
		if err != nil {
			t.Fatal(err)
		}
		v, err := note.NewVerifier(r.Header.VerifierKey)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := merkle.Open(r.Header.Checkpoints[0], v); err != nil || c.Root != root || c.Size != size || c.Origin != "id.bank.example/audit/heads" {
			t.Errorf("anchor to %d: note %+v, %v", size, c, err)
		}
	}
	var kept int
	if err := w.super.QueryRow(t.Context(), "SELECT count(*) FROM audit_anchor_heads").Scan(&kept); err != nil || kept != len(last) {
		t.Errorf("%d heads are kept, want %d, %v", kept, len(last), err)
	}
	for tenant, h := range last {
		var n, seq int64
		if err := w.super.QueryRow(t.Context(), "SELECT size, seq FROM audit_anchor_heads WHERE tenant_id = $1", tenant).Scan(&n, &seq); err != nil || n != h.Size || seq != lastSeq[tenant] {
			t.Errorf("head of %s: %d in line %d, want %d in %d, %v", tenant, n, seq, h.Size, lastSeq[tenant], err)
		}
	}
	var head int64
	if err := w.super.QueryRow(t.Context(), "SELECT size FROM audit_anchor_log").Scan(&head); err != nil || head < size {
		t.Errorf("the log of heads has %d lines, %d are stored, %v", head, size, err)
	}
	return len(list)
}

// root is that of the first n entries of a tenant's log.
func (w *world) root(t testing.TB, tenant string, n int64) merkle.Hash {
	t.Helper()
	rows, err := w.super.Query(t.Context(), "SELECT leaf FROM audit_entries WHERE tenant_id = $1 AND seq < $2 ORDER BY seq", tenant, n)
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		t.Fatal(err)
	}
	var e merkle.Edge
	for _, leaf := range leaves {
		e.Append(merkle.Hash(leaf))
	}
	return e.Root()
}

// stored are hashes in tlog's order.
type stored []tlog.Hash

func (s *stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = (*s)[at]
	}
	return out, nil
}

// Every minute what has changed is anchored, and only that; each tenant finds its own head in the object, and
// whoever kept the key believes it without us.
func TestAnchors(t *testing.T) {
	w := newWorld(t, folder(t))
	acme, globex := w.tenant(t), w.tenant(t)
	s := w.server(t)
	if _, err := s.Last(t.Context(), acme); !errors.Is(err, anchor.ErrNone) {
		t.Errorf("Last before any = %v", err)
	}
	w.grow(t, acme, 300)
	w.grow(t, globex, 3)
	size := w.size(t, acme)
	must(t, s, true)
	must(t, s, false) // a minute has not passed
	first, err := s.Last(t.Context(), acme)
	if err != nil || first.Head.Size != size || first.Head.TenantID != acme.Tenant().String() || !first.LockedUntil.IsZero() || first.Problem == "" || !strings.Contains(first.Object, "/audit-heads/") {
		t.Fatalf("Last = %+v, %v", first, err)
	}
	key := first.Proof.VerifierKey
	w.grow(t, acme, 1)
	w.pass(time.Minute)
	must(t, s, true)
	second, err := s.Last(t.Context(), acme)
	if err != nil || second.Head.Size != size+1 || second.Object == first.Object {
		t.Fatalf("Last = %+v, %v", second, err)
	}
	if h, err := second.Proof.Check(key); err != nil || h != second.Head {
		t.Errorf("Check = %+v, %v", h, err)
	}
	if got, err := s.Last(t.Context(), globex); err != nil || got.Head.Size != w.size(t, globex) || got.Note.Size != first.Note.Size {
		t.Errorf("the idle log's head = %+v, %v, want that of the first anchor", got, err)
	}
	w.pass(time.Minute)
	must(t, s, true) // of nothing: that nothing has changed is told, too
	if st, err := s.Status(t.Context()); err != nil || st.Size != second.Note.Size+1 || st.Bytes > 1200 || st.Refused != 0 {
		t.Errorf("an anchor of nothing: %+v, %v", st, err)
	}
	if n := w.judge(t); n != 3 {
		t.Errorf("%d anchors, want 3", n)
	}
	t.Run("the key is sealed anew", func(t *testing.T) {
		if _, err := w.keys.RotateDataKey(t.Context(), platform, "test"); err != nil {
			t.Fatal(err)
		}
		// A new key seals when every server has heard of it: let that time be over.
		if _, err := w.super.Exec(t.Context(), "UPDATE data_keys SET created_at = created_at - interval '1 hour'"); err != nil {
			t.Fatal(err)
		}
		w.keys = keys.New(keys.Options{Store: w.Store.Store, KMS: w.kms})
		s := w.server(t)
		if n, err := s.Reseal(t.Context(), acme, 10); err != nil || n != 0 {
			t.Errorf("Reseal for a tenant = %d, %v", n, err)
		}
		if n, err := s.Reseal(t.Context(), platform, 10); err != nil || n != 1 {
			t.Errorf("Reseal = %d, %v", n, err)
		}
		if n, err := s.Reseal(t.Context(), platform, 10); err != nil || n != 0 {
			t.Errorf("Reseal again = %d, %v", n, err)
		}
		w.pass(time.Minute)
		must(t, s, true)
		w.judge(t)
	})
}

// An export is held to what lies in object storage: who rewrites a log and signs it with its own key is found.
func TestRewritten(t *testing.T) {
	w := newWorld(t, folder(t))
	acme := w.tenant(t)
	s := w.server(t)
	w.grow(t, acme, 20)
	must(t, s, true)
	kept, err := s.Last(t.Context(), acme)
	if err != nil {
		t.Fatal(err)
	}
	export := func() *bundle.Report {
		var file bytes.Buffer
		if err := trail.NewReader(w.Store.Store, w.keys).Export(t.Context(), acme, 0, &file); err != nil {
			t.Fatal(err)
		}
		r, err := bundle.Verify(&file, "", kept.Head.Checkpoint())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := export(); !r.Valid() || r.Anchored != 1 {
		t.Fatalf("as it was: %+v", r)
	}
	// Somebody owns the database: the last five entries never were, and the log's own key signs what is left.
	if _, err := w.super.Exec(t.Context(), "DELETE FROM audit_entries WHERE tenant_id = $1 AND seq >= 15", acme.Tenant()); err != nil {
		t.Fatal(err)
	}
	w.resign(t, acme, 15)
	if r := export(); r.Valid() || !strings.Contains(r.Findings[0].String(), "missing: they were there") {
		t.Errorf("cut off and signed anew: %+v", r)
	}
	w.pass(time.Minute)
	must(t, s, true)
	if st, err := s.Status(t.Context()); err != nil || st.Refused != 1 {
		t.Errorf("Status = %+v, %v, want one log that contradicts", st, err)
	}
	w.grow(t, acme, int(kept.Head.Size-w.size(t, acme))-1) // and grows again, to the size that is known: the export is an entry
	w.grow(t, acme, 0)
	if r := export(); r.Valid() || !strings.Contains(r.Findings[0].String(), fmt.Sprintf("entries 0 to %d: something of these", kept.Head.Size-1)) {
		t.Errorf("rewritten: %+v", r)
	}
	w.pass(time.Minute)
	must(t, s, true)
	if st, err := s.Status(t.Context()); err != nil || st.Refused != 1 {
		t.Errorf("Status = %+v, %v, want one log that contradicts", st, err)
	}
	if got, err := s.Last(t.Context(), acme); err != nil || got.Head != kept.Head {
		t.Errorf("Last = %+v, %v, want what was anchored before", got, err)
	}
}

// resign cuts a log to n entries, as if it had never had more.
func (w *world) resign(t testing.TB, sc scope.Scope, n int64) {
	t.Helper()
	rows, err := w.super.Query(t.Context(), "SELECT leaf FROM audit_entries WHERE tenant_id = $1 ORDER BY seq LIMIT $2", sc.Tenant(), n)
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		t.Fatal(err)
	}
	var e merkle.Edge
	for _, leaf := range leaves {
		e.Append(merkle.Hash(leaf))
	}
	if _, err := w.super.Exec(t.Context(), "UPDATE audit_logs SET size = $2, edge = $3, signed_size = 0 WHERE tenant_id = $1", sc.Tenant(), n, e.AppendBinary(nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.super.Exec(t.Context(), "DELETE FROM audit_checkpoints WHERE tenant_id = $1", sc.Tenant()); err != nil {
		t.Fatal(err)
	}
	w.grow(t, sc, 0)
	s := sequencer.New(sequencer.Options{Store: w.Store.Store, Keys: w.keys, Host: "id.bank.example"})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	eventually(t, "a checkpoint", func() bool {
		var signed bool
		err := w.super.QueryRow(t.Context(), "SELECT size = signed_size FROM audit_logs WHERE tenant_id = $1", sc.Tenant()).Scan(&signed)
		return err == nil && signed
	})
	stop()
	wg.Wait()
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("no %s", what)
		case <-tick.C:
		}
	}
}

// While object storage is away nothing is claimed, and nothing is lost: what was signed is stored first, as it was
// signed, and all that came meanwhile is in the next.
func TestStoreAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "objects")
	w := newWorld(t, "file://"+dir)
	acme := w.tenant(t)
	s := w.server(t)
	w.grow(t, acme, 3)
	size := w.size(t, acme)
	if err := os.WriteFile(filepath.Join(dir, string(anchor.Kind)), nil, 0o600); err != nil { // where a folder must be
		t.Fatal(err)
	}
	for range 3 {
		if did, err := s.Anchor(t.Context()); err == nil || !errors.Is(err, blob.ErrUnavailable) {
			t.Fatalf("Anchor = %v, %v, want ErrUnavailable", did, err)
		}
		w.grow(t, acme, 1)
		w.pass(time.Minute)
	}
	if st, err := s.Status(t.Context()); err != nil || st.Size != 0 {
		t.Errorf("Status = %+v, %v: it claims what is not stored", st, err)
	}
	if _, err := s.Last(t.Context(), acme); !errors.Is(err, anchor.ErrNone) {
		t.Errorf("Last = %v", err)
	}
	if err := os.Remove(filepath.Join(dir, string(anchor.Kind))); err != nil {
		t.Fatal(err)
	}
	must(t, s, true)
	if got, err := s.Last(t.Context(), acme); err != nil || got.Head.Size != size {
		t.Errorf("Last = %+v, %v, want what was signed first", got, err)
	}
	must(t, s, true)
	if got, err := s.Last(t.Context(), acme); err != nil || got.Head.Size != size+3 {
		t.Errorf("Last = %+v, %v, want the rest", got, err)
	}
	if n := w.judge(t); n != 2 {
		t.Errorf("%d anchors, want 2", n)
	}
}

// Two servers at once, again and again: no line stands twice, and none is lost.
func TestServersTakeTurns(t *testing.T) {
	w := newWorld(t, folder(t))
	tenants := []scope.Scope{w.tenant(t), w.tenant(t)}
	servers := []*anchor.Service{w.server(t), w.server(t), w.server(t)}
	const rounds = 12
	for i := range rounds {
		w.grow(t, tenants[i%2], 1)
		w.pass(2 * time.Minute)
		var wg sync.WaitGroup
		for _, s := range servers {
			wg.Go(func() {
				if _, err := s.Anchor(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if n := w.judge(t); n != rounds {
		t.Errorf("%d anchors, want %d", n, rounds)
	}
}

// A server that ends in any step leaves what another one ends: each step waits for a table that the test holds. What
// was stored and not noted is stored again, as it was.
func TestEndsInEachStep(t *testing.T) {
	w := newWorld(t, folder(t))
	acme := w.tenant(t)
	for round, table := range []string{"audit_anchor_log", "audit_anchors", "audit_logs", "audit_anchor_heads"} {
		w.grow(t, acme, 1)
		w.pass(2 * time.Minute)
		doomed := w.server(t)
		tx, err := w.super.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mode := "ACCESS EXCLUSIVE"
		if table == "audit_anchor_heads" {
			mode = "SHARE" // it is read to make an anchor, and written when that is stored
		}
		if _, err := tx.Exec(t.Context(), "LOCK TABLE "+table+" IN "+mode+" MODE"); err != nil {
			t.Fatal(err)
		}
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := doomed.Anchor(ctx)
			done <- err
		}()
		look := w.Superuser(t)
		eventually(t, "server that waits for "+table, func() bool {
			var waits bool
			err := look.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = $1 AND wait_event_type = 'Lock')`, db.RoleAudit).Scan(&waits)
			return err == nil && waits
		})
		end()
		if err := <-done; err == nil {
			t.Fatalf("%s: it did not end", table)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		must(t, w.server(t), true)
		if got, err := w.server(t).Last(t.Context(), acme); err != nil || got.Head.Size != w.size(t, acme) {
			t.Errorf("ended at %s: %+v, %v", table, got, err)
		}
		if n := w.judge(t); n != round+1 {
			t.Errorf("ended at %s: %d anchors, want %d", table, n, round+1)
		}
	}
}

// A clock that is set back stops nothing, and the times in the log of heads do not go back with it. One that is far from
// this server's own anchors nothing: by it an object could be locked for years.
func TestClockJumps(t *testing.T) {
	w := newWorld(t, folder(t))
	acme := w.tenant(t)
	s := w.server(t)
	for _, jump := range []time.Duration{0, -time.Hour, time.Minute, 48 * time.Hour, -24 * time.Hour} {
		w.grow(t, acme, 1)
		w.pass(jump)
		must(t, s, true)
	}
	if n := w.judge(t); n != 5 { // bundle finds lines whose time goes back, one by one; these are across anchors
		t.Errorf("%d anchors, want 5", n)
	}
	var at []time.Time
	rows, err := w.super.Query(t.Context(), "SELECT id FROM audit_anchors ORDER BY size")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		body, err := w.objects.Get(t.Context(), platform, anchor.Kind, id)
		if err != nil {
			t.Fatal(err)
		}
		_, lines, err := bundle.ReadAnchor(body)
		if err != nil {
			t.Fatal(err)
		}
		if len(at) > 0 && lines[0].SequencedAt.Before(at[len(at)-1]) {
			t.Errorf("%s comes after %s", lines[0].SequencedAt, at[len(at)-1])
		}
		at = append(at, lines[0].SequencedAt)
	}

	o := w.Options()
	o.Now = func() time.Time { return time.Now().Add(-24 * time.Hour) } // Postgres is a day ahead of it
	store, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = store.Run(ctx) })
	t.Cleanup(func() { stop(); wg.Wait() })
	eventually(t, "measured skew", func() bool { return store.Skew() != 0 })
	if did, err := w.with(store).Anchor(t.Context()); did || !errors.Is(err, anchor.ErrClock) {
		t.Errorf("Anchor by a clock that is a day off = %v, %v, want ErrClock", did, err)
	}
}

// In a store that enforces it, an anchor is locked, and is read by its version, whatever is put over it.
func TestLocked(t *testing.T) {
	s3 := blobtest.S3(t, true)
	w := newWorld(t, s3.URL)
	acme := w.tenant(t)
	s := w.server(t)
	w.grow(t, acme, 3)
	must(t, s, true)
	kept, err := s.Last(t.Context(), acme)
	if err != nil || kept.Problem != "" || time.Until(kept.LockedUntil) < 59*time.Minute || kept.Version == "" {
		t.Fatalf("Last = %+v, %v", kept, err)
	}
	_, key, _ := strings.Cut(kept.Object, "s3://bucket/")
	if status, said := s3.Do(t, "DELETE", key+"?versionId="+kept.Version, nil, nil); status != 403 {
		t.Errorf("removal of the version: %d %s, want denied", status, said)
	}
	if status, said := s3.Do(t, "PUT", key, nil, []byte("another")); status != 200 {
		t.Fatalf("put over it: %d %s", status, said)
	}
	if got, err := s.Last(t.Context(), acme); err != nil || got.Head != kept.Head {
		t.Errorf("Last = %+v, %v, want what was locked", got, err)
	}
	if st, err := s.Status(t.Context()); err != nil || st.LockedUntil.IsZero() || st.Problem != "" {
		t.Errorf("Status = %+v, %v", st, err)
	}
}
