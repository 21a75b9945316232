package trail_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/audit/sequencer"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ledger is a tenant with a log.
type ledger struct {
	*trail.Reader
	store *dbtest.Store
	seq   *sequencer.Sequencer
	super *pgx.Conn
	acme  scope.Scope
	other scope.Scope
}

func newLedger(t testing.TB) *ledger {
	t.Helper()
	l := &ledger{store: dbtest.Fresh(t)}
	l.acme, l.other, l.super = l.store.Tenant(t), l.store.Tenant(t), l.store.Superuser(t)
	service := newKeys(t, l.store, l.acme, l.other)
	l.Reader = trail.NewReader(l.store.Store, service)
	l.seq = sequencer.New(sequencer.Options{Store: l.store.Store, Keys: service, Host: "id.bank.example"})
	return l
}

// append commits n entries, and moves them.
func (l *ledger) append(t testing.TB, n int) (ids []uuid.UUID) {
	t.Helper()
	if err := l.store.InTenant(t.Context(), l.acme, func(tx *db.TenantTx) error {
		for range n {
			if err := audit.Append(t.Context(), tx, audit.Entry{Action: "user.update"}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	l.move(t)
	return l.ids(t)
}

func (l *ledger) move(t testing.TB) {
	t.Helper()
	for n := 1; n > 0; {
		var err error
		if n, err = l.seq.Move(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.seq.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// ids are those of the log, in its order.
func (l *ledger) ids(t testing.TB) []uuid.UUID {
	t.Helper()
	rows, err := l.super.Query(t.Context(), "SELECT id FROM audit_entries WHERE tenant_id = $1 ORDER BY seq", l.acme.Tenant())
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func (l *ledger) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := l.super.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func TestProve(t *testing.T) {
	l := newLedger(t)
	if _, err := l.Checkpoint(t.Context(), l.acme); !errors.Is(err, trail.ErrWaiting) {
		t.Errorf("Checkpoint of an empty log: %v", err)
	}
	var early trail.Checkpoint
	for _, n := range []int{3, 250, 1, 2, 600} {
		ids := l.append(t, n)
		last, err := l.Checkpoint(t.Context(), l.acme)
		if err != nil || last.Size != int64(len(ids)) {
			t.Fatalf("Checkpoint = %+v, %v, want size %d", last, err, len(ids))
		}
		if early.Size == 0 {
			early = last
		}
		for seq, id := range ids {
			if seq > 4 && seq%61 != 0 && seq < len(ids)-3 {
				continue
			}
			p, err := l.Prove(t.Context(), l.acme, id)
			if err != nil || p.Seq != int64(seq) || !strings.Contains(p.Entry, id.String()) {
				t.Fatalf("Prove entry %d of %d: %+v, %v", seq, len(ids), p, err)
			}
			// As somebody else would: by the key, the note and the path alone.
			v, err := note.NewVerifier(p.Checkpoint.VerifierKey)
			if err != nil {
				t.Fatal(err)
			}
			c, err := merkle.Open(p.Checkpoint.Note, v)
			if err != nil || merkle.CheckEntry(c, p.Seq, p.Entry, p.Hashes) != nil {
				t.Fatalf("entry %d of %d does not verify: %v", seq, len(ids), err)
			}
		}
		g, err := l.Grown(t.Context(), l.acme, early.Size, 0)
		if err != nil || merkle.CheckGrowth(early.Checkpoint, g.Checkpoint.Checkpoint, g.Hashes) != nil && g.From != g.To {
			t.Fatalf("Grown from %d to %d: %+v, %v", early.Size, last.Size, g, err)
		}
	}
	last, err := l.Checkpoint(t.Context(), l.acme)
	if err != nil {
		t.Fatal(err)
	}
	for _, sizes := range [][2]int64{{-1, 0}, {1, last.Size + 1}, {5, 4}, {last.Size + 1, 0}} {
		if _, err := l.Grown(t.Context(), l.acme, sizes[0], sizes[1]); !errors.Is(err, trail.ErrSizes) {
			t.Errorf("Grown %v: %v", sizes, err)
		}
	}
	page, err := l.Checkpoints(t.Context(), l.acme, listing.Request{})
	if err != nil || len(page.Items) != 1 || page.Items[0].Size != early.Size { // one a minute
		t.Errorf("Checkpoints = %+v, %v", page, err)
	}
	l.exec(t, "UPDATE audit_logs SET kept_at = kept_at - interval '1 hour'")
	ids := l.append(t, 1)
	page, err = l.Checkpoints(t.Context(), l.acme, listing.Request{PageSize: 1})
	if err != nil || len(page.Items) != 1 || page.Items[0].Size != int64(len(ids)) || page.NextToken == "" {
		t.Fatalf("Checkpoints after an hour = %+v, %v", page, err)
	}
	page, err = l.Checkpoints(t.Context(), l.acme, listing.Request{PageSize: 1, PageToken: page.NextToken})
	if err != nil || len(page.Items) != 1 || page.Items[0].Size != early.Size || page.NextToken != "" {
		t.Errorf("the page after = %+v, %v", page, err)
	}
	if _, err := l.Checkpoints(t.Context(), l.acme, listing.Request{Filter: "size = 1"}); !errors.Is(err, listing.ErrFilter) {
		t.Errorf("a filter: %v", err)
	}
}

func TestProveRefuses(t *testing.T) {
	l := newLedger(t)
	ids := l.append(t, 5)
	if _, err := l.Prove(t.Context(), l.other, ids[2]); !errors.Is(err, trail.ErrNotFound) && !errors.Is(err, trail.ErrWaiting) {
		t.Errorf("another tenant's entry: %v", err)
	}
	if _, err := l.Prove(t.Context(), l.acme, uuid.New()); !errors.Is(err, trail.ErrNotFound) {
		t.Errorf("nobody's: %v", err)
	}
	if err := l.store.InTenant(t.Context(), l.acme, func(tx *db.TenantTx) error {
		return audit.Append(t.Context(), tx, audit.Entry{Action: "user.update"})
	}); err != nil {
		t.Fatal(err)
	}
	var waits uuid.UUID
	if err := l.super.QueryRow(t.Context(), "SELECT id FROM audit_inbox WHERE tenant_id = $1", l.acme.Tenant()).Scan(&waits); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Prove(t.Context(), l.acme, waits); !errors.Is(err, trail.ErrWaiting) {
		t.Errorf("one in the inbox: %v", err)
	}
	if _, err := l.seq.Move(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Prove(t.Context(), l.acme, waits); !errors.Is(err, trail.ErrWaiting) {
		t.Errorf("one under no checkpoint: %v", err)
	}
	if err := l.seq.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Prove(t.Context(), l.acme, waits); err != nil {
		t.Errorf("the same, signed: %v", err)
	}
}

// An entry that moves into the log while it is asked for waits, or is proven; it is never unknown.
func TestProveWhileItMoves(t *testing.T) {
	l := newLedger(t)
	for range 60 {
		if err := l.store.InTenant(t.Context(), l.acme, func(tx *db.TenantTx) error {
			return audit.Append(t.Context(), tx, audit.Entry{Action: "user.update"})
		}); err != nil {
			t.Fatal(err)
		}
		var id uuid.UUID
		if err := l.super.QueryRow(t.Context(), "SELECT id FROM audit_inbox WHERE tenant_id = $1", l.acme.Tenant()).Scan(&id); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		moved := make(chan struct{})
		for range 3 {
			all.Go(func() {
				for last := false; !last; {
					select {
					case <-moved:
						last = true
					default:
					}
					if _, err := l.Prove(t.Context(), l.acme, id); !errors.Is(err, trail.ErrWaiting) {
						t.Errorf("while it moves: %v", err)
						return
					}
				}
			})
		}
		_, err := l.seq.Move(t.Context())
		close(moved)
		all.Wait()
		if err != nil || t.Failed() {
			t.Fatal(err)
		}
	}
}

// A hand in the database is seen: no proof is given for what was changed, and the export's check
// names the entry.
func TestDamage(t *testing.T) {
	for name, tt := range map[string]struct {
		sql   string // on entry 300 of 700
		proof bool   // of entry 300 still holds
		names int64
	}{
		"an entry":                  {"UPDATE audit_entries SET entry = replace(entry, 'success', 'denied') WHERE seq = 300", false, 300},
		"an entry and its hash":     {"UPDATE audit_entries SET entry = replace(entry, 'success', 'denied'), leaf = sha256('\\x003330300a'::bytea || convert_to(replace(entry, 'success', 'denied'), 'UTF8')) WHERE seq = 300", false, 0},
		"a hash":                    {"UPDATE audit_entries SET leaf = sha256('x') WHERE seq = 300", true, 300},
		"an entry of the last tile": {"UPDATE audit_entries SET entry = replace(entry, 'success', 'denied') WHERE seq = 690", true, 690},
		"one is gone":               {"DELETE FROM audit_entries WHERE seq = 300", false, 300},
		"two are swapped":           {"UPDATE audit_entries a SET id = b.id, entry = b.entry, leaf = b.leaf FROM audit_entries b WHERE a.seq IN (300, 301) AND b.seq = 601 - a.seq AND a.tenant_id = b.tenant_id", false, 300},
		"a tile":                    {"UPDATE audit_tiles SET hashes = sha256('x') || substring(hashes FROM 33) WHERE level = 0 AND n = 1", false, -1},
		"the end is cut off":        {"DELETE FROM audit_entries WHERE seq >= 650", false, 650},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t)
			ids := l.append(t, 700)
			key, err := l.Checkpoint(t.Context(), l.acme)
			if err != nil {
				t.Fatal(err)
			}
			l.exec(t, "UPDATE audit_logs SET kept_at = kept_at - interval '1 hour'") // so that the next checkpoint is kept too
			l.exec(t, "SET session_replication_role = replica; "+tt.sql)
			_, err = l.Prove(t.Context(), l.acme, ids[300])
			if held := err == nil; held != tt.proof || !held && !errors.Is(err, trail.ErrDamaged) && !errors.Is(err, trail.ErrNotFound) {
				t.Errorf("proof of entry 300: %v", err)
			}
			var file bytes.Buffer
			if err := l.Export(t.Context(), l.acme, 0, &file); err != nil {
				t.Fatal(err)
			}
			r, err := bundle.Verify(&file, key.VerifierKey)
			if err != nil {
				t.Fatal(err)
			}
			if tt.names < 0 {
				if !r.Valid() {
					t.Errorf("the entries are as they were: %v", r.Findings)
				}
				return
			}
			if !slices.ContainsFunc(r.Findings, func(f bundle.Finding) bool { return f.First == tt.names }) {
				t.Errorf("findings = %v, want one from %d on", r.Findings, tt.names)
			}
		})
	}
}

func TestExport(t *testing.T) {
	l := newLedger(t)
	if err := l.Export(t.Context(), l.acme, 0, &bytes.Buffer{}); !errors.Is(err, trail.ErrWaiting) {
		t.Errorf("Export of an empty log: %v", err)
	}
	ids := l.append(t, 700)
	for _, from := range []int64{0, 1, 300, 511, 512, int64(len(ids)) - 1} {
		var file bytes.Buffer
		if err := l.Export(t.Context(), l.acme, from, &file); err != nil {
			t.Fatal(err)
		}
		r, err := bundle.Verify(&file, "")
		if err != nil || !r.Valid() || r.Header.From != from || r.Entries != int64(len(ids))-from {
			t.Errorf("from %d: %+v, %v", from, r, err)
		}
	}
	for _, from := range []int64{-1, int64(len(ids))} {
		if err := l.Export(t.Context(), l.acme, from, &bytes.Buffer{}); !errors.Is(err, trail.ErrSizes) {
			t.Errorf("from %d: %v", from, err)
		}
	}
	l.move(t)
	if n := l.store.AuditCount(t, l.acme, "auditlog.export"); n != 6 {
		t.Errorf("%d exports left an entry, want 6", n)
	}
}
