package cold_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/blob/blobtest"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/audit/sequencer"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const day = 24 * time.Hour

// world is a database of its own whose servers tell the time by a clock of the test's: it begins 300 days ago.
type world struct {
	*dbtest.Store // by the true time
	then          *db.Store
	keys          *keys.Service
	trail         *trail.Reader
	super         *pgx.Conn
	folder        string
	objects       *blob.Bucket
	keep          int                    // days
	on            func(scope.Scope) bool // nil: archiving is, for everybody
	behind        atomic.Int64
}

func newWorld(t testing.TB, url string) *world {
	t.Helper()
	w := &world{Store: dbtest.Fresh(t), keep: 90}
	file := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(file); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(file)
	if err != nil {
		t.Fatal(err)
	}
	if url == "" {
		w.folder = t.TempDir()
		url = "file://" + w.folder
	}
	if w.objects, err = blob.Open(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	w.super = w.Superuser(t)
	w.behind.Store(int64(300 * day))
	for ago := 300; ago > 0; ago -= 60 {
		if _, err := w.super.Exec(t.Context(), "SELECT make_partitions(now() - make_interval(days => $1))", ago); err != nil {
			t.Fatal(err)
		}
	}
	o := w.Options()
	o.Unfollowed, o.Now = true, w.clock
	if w.then, err = db.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.then.Close)
	w.keys = keys.New(keys.Options{Store: w.Store.Store, KMS: k})
	w.trail = trail.NewReader(w.Store.Store, w.keys)
	return w
}

func (w *world) clock() time.Time { return time.Now().Add(-time.Duration(w.behind.Load())) }

func (w *world) pass(d time.Duration) { w.behind.Add(-int64(d)) }

// server is one more: pieces of some 40 entries, in objects of 8 kB.
func (w *world) server() *cold.Service {
	s := cold.New(cold.Options{Store: w.then, Keys: w.keys, Trail: w.trail, Objects: w.objects, LockFor: time.Hour, On: func(_ context.Context, sc scope.Scope) bool { return w.on == nil || w.on(sc) }, Policy: func(context.Context, scope.Scope) (policy.Document, error) {
		return policy.Document{AuditRetentionDays: w.keep}, nil
	}})
	s.Bound(40, 8_000, 100)
	return s
}

func (w *world) tenant(t testing.TB) scope.Scope {
	t.Helper()
	sc := w.Tenant(t)
	if err := w.keys.Ensure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	return sc
}

// grow adds n entries to a log, in steps that have a kept checkpoint each.
func (w *world) grow(t testing.TB, sc scope.Scope, n int) {
	t.Helper()
	w.growBy(t, sc, n, 9)
}

func (w *world) growBy(t testing.TB, sc scope.Scope, n, each int) {
	t.Helper()
	by := scope.New(sc.Tenant(), scope.Actor{Kind: scope.ActorUser, ID: uuid.NewString(), Name: "Ana Sousa"}).WithOrigin(scope.Origin{Address: netip.MustParseAddr("192.0.2.77")})
	s := sequencer.New(sequencer.Options{Store: w.then, Keys: w.keys, Host: "id.bank.example"})
	for n > 0 {
		step := min(n, each)
		if err := w.then.InTenant(t.Context(), by, func(tx *db.TenantTx) error {
			for range step {
				if err := audit.Append(t.Context(), tx, audit.Entry{Action: "user.update", Target: audit.Target{Kind: "user", ID: uuid.NewString()}, Reason: "moved house"}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		n -= step
		for moved := 1; moved > 0; {
			var err error
			if moved, err = s.Move(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Sign(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.pass(2 * time.Minute)
	}
}

// year grows a log by 30 entries a month, from 300 days ago until now.
func (w *world) year(t testing.TB, sc scope.Scope) {
	t.Helper()
	for range 9 {
		w.grow(t, sc, 30)
		w.pass(30 * day)
	}
	w.behind.Store(0)
}

// judge derives the whole tree anew, of the archives and of what is in the database beyond them, by tlog alone, and holds it to the
// last checkpoint. It answers how many archives there are and how many entries they have.
func (w *world) judge(t testing.TB, sc scope.Scope) (archives int, archived int64) {
	t.Helper()
	list, err := w.server().List(t.Context(), sc, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list)
	last, err := w.trail.Checkpoint(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	var all stored
	take := func(seq int64, entry string) {
		more, err := tlog.StoredHashes(seq, fmt.Appendf(nil, "%d\n%s", seq, entry), &all)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, more...)
	}
	for _, a := range list {
		var file bytes.Buffer
		if err := w.server().Read(t.Context(), sc, a.From, &file); err != nil {
			t.Fatalf("archive from %d: %v", a.From, err)
		}
		r, err := bundle.Verify(bytes.NewReader(file.Bytes()), last.VerifierKey)
		if err != nil || !r.Valid() || r.Header.From != archived || r.Header.To != a.To || !r.Earliest.Equal(a.First) || !r.Latest.Equal(a.Last) || int64(file.Len()) != a.Bytes {
			t.Fatalf("archive %+v: %+v, %v", a, r, err)
		}
		for _, text := range strings.Split(strings.TrimSpace(file.String()), "\n")[1:] {
			var l bundle.Line
			if err := json.Unmarshal([]byte(text), &l); err != nil || l.Seq != archived {
				t.Fatalf("line %d: %s, %v", archived, text, err)
			}
			take(l.Seq, l.Entry)
			archived++
		}
	}
	rows, err := w.super.Query(t.Context(), "SELECT seq, entry FROM audit_entries WHERE tenant_id = $1 AND seq >= $2 AND seq < $3 ORDER BY seq", sc.Tenant(), archived, last.Size)
	if err != nil {
		t.Fatal(err)
	}
	var seq int64
	var entry string
	next := archived
	if _, err := pgx.ForEachRow(rows, []any{&seq, &entry}, func() error {
		if seq != next {
			return fmt.Errorf("entry %d follows %d", seq, next-1)
		}
		take(seq, entry)
		next++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if root, err := tlog.TreeHash(last.Size, &all); err != nil || next != last.Size || root != last.Root {
		t.Errorf("%d archived, %d in all: root %s, want %d and %s, %v", archived, next, root, last.Size, last.Root, err)
	}
	return len(list), archived
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

// files are the objects in the folder, and what they hold together.
func (w *world) files(t testing.TB) (names []string, text string) {
	t.Helper()
	if err := filepath.WalkDir(w.folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path) //nolint:gosec // a folder of the test's
		names, text = append(names, path), text+string(body)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return names, text
}

// What a policy does not keep is archived, whole months of it, and nothing else: none is in clear of what is private, and
// bundles and the rest of the log are the whole tree.
func TestMaintain(t *testing.T) {
	w := newWorld(t, "")
	acme, globex := w.tenant(t), w.tenant(t)
	w.year(t, acme)
	w.behind.Store(int64(300 * day))
	w.year(t, globex)
	w.keep = 0
	if err := w.server().Maintain(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	if names, _ := w.files(t); len(names) > 0 {
		t.Errorf("kept as long as the tenant, and %q", names)
	}
	w.keep = 90
	for range 2 { // again archives nothing more
		if err := w.server().Maintain(t.Context(), acme); err != nil {
			t.Fatal(err)
		}
	}
	n, archived := w.judge(t, acme)
	var due int64
	month := w.clock().Add(-90 * day)
	month = time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, time.UTC)
	if err := w.super.QueryRow(t.Context(), "SELECT count(*) FROM audit_entries WHERE tenant_id = $1 AND sequenced_at < $2", acme.Tenant(), month).Scan(&due); err != nil {
		t.Fatal(err)
	}
	if archived < due || archived > due+9 || due == 0 || n < 3 {
		t.Errorf("%d entries in %d archives, want %d that are due and up to 9 until the next checkpoint", archived, n, due)
	}
	if got := w.AuditCount(t, acme, "auditlog.archive"); got != int64(n) {
		t.Errorf("%d audit entries, want %d", got, n)
	}
	names, text := w.files(t)
	if len(names) < 2*n {
		t.Errorf("%d archives in %d objects of 8 kB", n, len(names))
	}
	for _, private := range []string{"192.0.2.77", "Ana Sousa", "moved house"} {
		if strings.Contains(text, private) {
			t.Errorf("archives hold %q in clear", private)
		}
	}
	if !strings.Contains(text, `"sealed":`) {
		t.Error("archives hold nothing sealed")
	}
	if list, err := w.server().List(t.Context(), globex, 0, 10); err != nil || len(list) != 0 {
		t.Errorf("another tenant's archives: %+v, %v", list, err)
	}
	if err := w.server().Read(t.Context(), globex, 0, &bytes.Buffer{}); !errors.Is(err, cold.ErrNotFound) {
		t.Errorf("Read of another tenant = %v, want ErrNotFound", err)
	}
	list, err := w.server().List(t.Context(), acme, 0, 1)
	if err != nil || len(list) != 1 || list[0].To != archived || list[0].Problem == "" || !list[0].LockedUntil.IsZero() {
		t.Errorf("List = %+v, %v, want the last, which a folder does not lock", list, err)
	}
	var paged []cold.Archive
	for token, first := "", true; first || token != ""; first = false {
		page, err := w.server().Page(t.Context(), acme, listing.Request{PageSize: 2, PageToken: token})
		if err != nil || len(page.Items) == 0 {
			t.Fatalf("page: %+v, %v", page, err)
		}
		paged, token = append(paged, page.Items...), page.NextToken
	}
	if len(paged) != n || paged[n-1].From != 0 {
		t.Errorf("%d archives by pages, want %d", len(paged), n)
	}
	if err := w.server().Destroy(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	if names, _ := w.files(t); len(names) > 0 {
		t.Errorf("destroyed, and %q", names)
	}
}

// A server that ends in any step leaves what another one ends: nothing is lost, doubled or noted that is not there.
func TestEndsInEachStep(t *testing.T) {
	w := newWorld(t, "")
	acme := w.tenant(t)
	w.year(t, acme)
	before := w.clock().Add(-100 * day)
	archives := 0
	step := func(name string) {
		t.Helper()
		if n, _ := w.judge(t, acme); n != archives {
			t.Errorf("ended at %s: %d archives, want %d", name, n, archives)
		}
		if did, err := w.server().Archive(t.Context(), acme, before); err != nil || !did {
			t.Fatalf("after it ended at %s: %v, %v", name, did, err)
		}
		archives++
		if n, _ := w.judge(t, acme); n != archives {
			t.Errorf("after it ended at %s: %d archives, want %d", name, n, archives)
		}
		if n := w.AuditCount(t, acme, "auditlog.archive"); n != int64(archives) {
			t.Errorf("after it ended at %s: %d audit entries, want %d", name, n, archives)
		}
		var noted int
		if err := w.super.QueryRow(t.Context(), "SELECT sum(cardinality(objects)) FROM audit_archives").Scan(&noted); err != nil {
			t.Fatal(err)
		}
		if names, _ := w.files(t); len(names) != noted {
			t.Errorf("after it ended at %s: %d objects, %d are noted", name, len(names), noted)
		}
	}

	// In the midst of storing: a folder stands where the second object goes.
	to, err := w.trail.NextPiece(t.Context(), acme, 0, before, 40)
	if err != nil || to == 0 {
		t.Fatal(to, err)
	}
	second := filepath.Join(w.folder, string(cold.Kind), acme.Tenant().String(), uuid.NewSHA1(acme.Tenant(), fmt.Appendf(nil, "audit archive 0-%d part 1", to)).String())
	if err := os.MkdirAll(filepath.Join(second, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := w.server().Archive(t.Context(), acme, before); !errors.Is(err, blob.ErrUnavailable) {
		t.Fatalf("with object storage that fails: %v", err)
	}
	if names, _ := w.files(t); len(names) != 1 {
		t.Errorf("objects %q, want the first alone", names)
	}
	if err := os.RemoveAll(second); err != nil {
		t.Fatal(err)
	}
	step("object storage")

	for _, table := range []string{"audit_checkpoints", "audit_entries", "audit_archives", "audit_inbox"} {
		tx, err := w.super.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mode := "ACCESS EXCLUSIVE"
		if table == "audit_archives" {
			mode = "SHARE" // it is read first, and written when all is stored
		}
		if _, err := tx.Exec(t.Context(), "LOCK TABLE "+table+" IN "+mode+" MODE"); err != nil {
			t.Fatal(err)
		}
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := w.server().Archive(ctx, acme, before)
			done <- err
		}()
		look := w.Superuser(t)
		waits := false
		for deadline := time.Now().Add(time.Minute); !waits && time.Now().Before(deadline); {
			if err := look.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = $1 AND wait_event_type = 'Lock')`, db.RoleApp).Scan(&waits); err != nil {
				t.Fatal(err)
			}
		}
		end()
		if err := <-done; err == nil || !waits {
			t.Fatalf("%s: it did not end while it waited: %v", table, err)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		step(table)
	}
}

// Several servers at once archive each piece once.
func TestServersTakeTurns(t *testing.T) {
	w := newWorld(t, "")
	acme := w.tenant(t)
	w.year(t, acme)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := w.server().Maintain(t.Context(), acme); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n, _ := w.judge(t, acme)
	if got := w.AuditCount(t, acme, "auditlog.archive"); got != int64(n) || n < 3 {
		t.Errorf("%d audit entries of %d archives", got, n)
	}
}

// What object storage has instead of an archive is never handed out for one.
func TestDamaged(t *testing.T) {
	w := newWorld(t, "")
	acme := w.tenant(t)
	w.year(t, acme)
	if did, err := w.server().Archive(t.Context(), acme, w.clock().Add(-100*day)); err != nil || !did {
		t.Fatal(did, err)
	}
	names, _ := w.files(t)
	body, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func() error{
		"changed": func() error {
			return os.WriteFile(names[0], bytes.Replace(body, []byte("user"), []byte("fuse"), 1), 0o600)
		},
		"cut off": func() error { return os.WriteFile(names[0], body[:len(body)/2], 0o600) },
		"gone":    func() error { return os.Remove(names[0]) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := w.server().Read(t.Context(), acme, 0, &out); !errors.Is(err, cold.ErrDamaged) || out.Len() > 0 {
			t.Errorf("%s: %v, %d bytes were written, want ErrDamaged and none", name, err, out.Len())
		}
	}
}

// An entry that was changed in the database, together with its hash, is not archived as if it were good.
func TestDamagedLog(t *testing.T) {
	w := newWorld(t, "")
	acme := w.tenant(t)
	w.year(t, acme)
	if _, err := w.super.Exec(t.Context(), "UPDATE audit_entries SET entry = replace(entry, 'user.update', 'user.delete') WHERE tenant_id = $1 AND seq = 12", acme.Tenant()); err != nil {
		t.Fatal(err)
	}
	if did, err := w.server().Archive(t.Context(), acme, w.clock().Add(-100*day)); did || !errors.Is(err, cold.ErrDamaged) || !strings.Contains(fmt.Sprint(errors.Unwrap(err)), "entry 12") {
		t.Errorf("Archive = %v, %v (%v), want ErrDamaged of entry 12", did, err, errors.Unwrap(err))
	}
	if list, err := w.server().List(t.Context(), acme, 0, 10); err != nil || len(list) > 0 {
		t.Errorf("List = %+v, %v", list, err)
	}
}

// In a store that enforces it, an archive is locked, and is read by its versions, whatever is put over it.
func TestLocked(t *testing.T) {
	s3 := blobtest.S3(t, true)
	w := newWorld(t, s3.URL)
	acme := w.tenant(t)
	w.year(t, acme)
	if did, err := w.server().Archive(t.Context(), acme, w.clock().Add(-100*day)); err != nil || !did {
		t.Fatal(did, err)
	}
	list, err := w.server().List(t.Context(), acme, 0, 10)
	if err != nil || len(list) != 1 || list[0].Problem != "" || time.Until(list[0].LockedUntil) < 55*time.Minute || slices.Contains(list[0].Versions, "") {
		t.Fatalf("List = %+v, %v", list, err)
	}
	if err := w.server().Destroy(t.Context(), acme); err != nil {
		t.Errorf("Destroy = %v", err)
	}
	_, key, _ := strings.Cut(w.objects.Address(acme, cold.Kind, list[0].Objects[0]), "s3://bucket/")
	if status, said := s3.Do(t, "DELETE", key+"?versionId="+list[0].Versions[0], nil, nil); status != 403 {
		t.Errorf("removal of the version: %d %s, want denied", status, said)
	}
	if status, said := s3.Do(t, "PUT", key, nil, []byte("another")); status != 200 {
		t.Fatalf("put over it: %d %s", status, said)
	}
	if n, archived := w.judge(t, acme); n != 1 || archived == 0 {
		t.Errorf("%d archives of %d entries", n, archived)
	}
}
