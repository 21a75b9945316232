package sequencer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/audit/sequencer"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
)

type world struct {
	*dbtest.Store
	keys  *keys.Service
	kms   keys.KMS
	file  string // of the KMS
	super *pgx.Conn
}

// newWorld has a database of its own: a sequencer moves the entries of all tenants.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{Store: dbtest.Fresh(t), file: filepath.Join(t.TempDir(), "kms.key")}
	if err := kms.CreateLocal(w.file); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(w.file)
	if err != nil {
		t.Fatal(err)
	}
	w.kms, w.keys, w.super = k, keys.New(keys.Options{Store: w.Store.Store, KMS: k}), w.Superuser(t)
	return w
}

func (w *world) sequencer(store *db.Store) *sequencer.Sequencer {
	return sequencer.New(sequencer.Options{Store: store, Keys: w.keys, Host: "id.bank.example"})
}

func (w *world) tenant(t testing.TB) scope.Scope {
	t.Helper()
	sc := w.Tenant(t)
	if err := w.keys.Ensure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	return sc
}

// append commits n entries, ten a transaction.
func (w *world) append(t testing.TB, sc scope.Scope, n int) {
	t.Helper()
	for n > 0 {
		some := min(n, 10)
		n -= some
		if err := w.InTenant(context.WithoutCancel(t.Context()), sc, func(tx *db.TenantTx) error {
			for range some {
				e := audit.Entry{Action: "user.update", Target: audit.Target{Kind: "user", ID: uuid.NewString()}, Reason: "words", Detail: []audit.Attr{attr.Text("note", "x")}}
				if err := audit.Append(context.WithoutCancel(t.Context()), tx, e); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
			return
		}
	}
}

// drain moves all that waits.
func drain(t testing.TB, s *sequencer.Sequencer) {
	t.Helper()
	for {
		n, err := s.Move(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	if err := s.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// judge derives a tenant's whole log anew from its entries, by tlog alone, and compares all that is
// kept of it. It answers how many entries there are.
func (w *world) judge(t testing.TB, sc scope.Scope) int64 {
	t.Helper()
	rows, err := w.super.Query(t.Context(), "SELECT seq, entry, leaf, id, sequenced_at FROM audit_entries WHERE tenant_id = $1 ORDER BY seq, sequenced_at", sc.Tenant())
	if err != nil {
		t.Fatal(err)
	}
	var all stored
	var size int64
	var last time.Time
	ids := map[uuid.UUID]bool{}
	for rows.Next() {
		var seq int64
		var entry string
		var leaf []byte
		var id uuid.UUID
		var at time.Time
		if err := rows.Scan(&seq, &entry, &leaf, &id, &at); err != nil {
			t.Fatal(err)
		}
		if want := tlog.RecordHash(merkle.Record(seq, entry)); seq != size || ids[id] || !bytes.Equal(leaf, want[:]) || at.Before(last) {
			t.Fatalf("entry %d stands at %d; twice: %v; leaf as it should be: %v; time %s after %s", seq, size, ids[id], bytes.Equal(leaf, want[:]), at, last)
		}
		ids[id], last = true, at
		more, err := tlog.StoredHashes(size, fmt.Appendf(nil, "%d\n%s", size, entry), &all)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, more...)
		size++
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	if size == 0 {
		return 0
	}
	var head struct {
		size, signed       int64
		edge, public       []byte
		origin, checkpoint *string
	}
	if err := w.super.QueryRow(t.Context(), "SELECT size, edge, signed_size, public_key, origin, checkpoint FROM audit_logs WHERE tenant_id = $1", sc.Tenant()).
		Scan(&head.size, &head.edge, &head.signed, &head.public, &head.origin, &head.checkpoint); err != nil {
		t.Fatal(err)
	}
	edge, err := merkle.ParseEdge(head.size, head.edge)
	if err != nil {
		t.Fatal(err)
	}
	if root := all.root(t, size); head.size != size || edge.Root() != root {
		t.Fatalf("head: size %d, root %v; want %d, %v", head.size, edge.Root(), size, root)
	}
	if head.checkpoint != nil {
		v, err := sequencer.Verifier(*head.origin, head.public)
		if err != nil {
			t.Fatal(err)
		}
		c, err := merkle.Open(*head.checkpoint, v)
		if err != nil || c.Size != head.signed || c.Root != all.root(t, c.Size) {
			t.Fatalf("checkpoint %+v, %v; want size %d, root %v", c, err, head.signed, all.root(t, head.signed))
		}
	}
	w.judgeTiles(t, sc, size, &all)
	return size
}

func (w *world) judgeTiles(t testing.TB, sc scope.Scope, size int64, all *stored) {
	t.Helper()
	tiles, err := w.super.Query(t.Context(), "SELECT level, n, root, hashes FROM audit_tiles WHERE tenant_id = $1", sc.Tenant())
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for tiles.Next() {
		var level int
		var n int64
		var root, hashes []byte
		if err := tiles.Scan(&level, &n, &root, &hashes); err != nil {
			t.Fatal(err)
		}
		want, err := tlog.ReadTileData(tlog.Tile{H: merkle.Height, L: level, N: n, W: merkle.Width}, all)
		if err != nil || !bytes.Equal(hashes, want) {
			t.Fatalf("tile %d of level %d differs: %v", n, level, err)
		}
		if above := (*all)[tlog.StoredHashIndex((level+1)*merkle.Height, n)]; !bytes.Equal(root, above[:]) {
			t.Fatalf("tile %d of level %d has another root", n, level)
		}
		found++
	}
	want := 0
	for below := size / merkle.Width; below > 0; below /= merkle.Width {
		want += int(below)
	}
	if tiles.Err() != nil || found != want {
		t.Fatalf("%d tiles of %d entries, want %d (%v)", found, size, want, tiles.Err())
	}
}

// stored are all hashes of a tree, as tlog stores them.
type stored []tlog.Hash

func (s *stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at >= int64(len(*s)) {
			return nil, errors.New("not there")
		}
		out[i] = (*s)[at]
	}
	return out, nil
}

func (s *stored) root(t testing.TB, size int64) tlog.Hash {
	t.Helper()
	root, err := tlog.TreeHash(size, s)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func (w *world) waiting(t testing.TB) (n int) {
	t.Helper()
	if err := w.super.QueryRow(t.Context(), "SELECT count(*) FROM audit_inbox").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// What metrics tell of the lag is of now, not of a batch of long ago.
func TestLagIsOfNow(t *testing.T) {
	w := newWorld(t)
	var pause atomic.Int64
	o := w.Options()
	o.Now, o.Unfollowed = func() time.Time { return time.Now().Add(time.Duration(pause.Load())) }, true
	store, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	s := w.sequencer(store)
	w.append(t, w.tenant(t), 1)
	pause.Store(int64(time.Second)) // it waited so long
	drain(t, s)
	if lag := s.Stats().Lag; lag < time.Second {
		t.Errorf("lag after a batch = %s", lag)
	}
	pause.Store(int64(time.Hour))
	drain(t, s)
	if lag := s.Stats().Lag; lag >= time.Second {
		t.Errorf("lag after an hour without entries = %s", lag)
	}
}

func TestMove(t *testing.T) {
	w := newWorld(t)
	s := w.sequencer(w.Store.Store)
	acme, globex := w.tenant(t), w.tenant(t)
	w.append(t, acme, 3)
	w.append(t, globex, 700)
	w.append(t, acme, 5)
	drain(t, s)
	if n := w.waiting(t); n != 0 {
		t.Fatalf("%d entries wait", n)
	}
	// Keys leave an entry when they are made.
	if a, g := w.judge(t, acme), w.judge(t, globex); a < 8 || g < 700 || s.Stats().Moved < a+g || s.Stats().Lag <= 0 {
		t.Errorf("%d and %d entries, %+v", a, g, s.Stats())
	}
	before := w.checkpoint(t, acme)
	drain(t, s)
	if again := w.checkpoint(t, acme); again != before {
		t.Error("a checkpoint over the same tree is signed anew")
	}
	w.append(t, acme, 1)
	drain(t, s)
	if again := w.checkpoint(t, acme); again == before {
		t.Error("no checkpoint over the new entry")
	}
	w.judge(t, acme)
}

func (w *world) checkpoint(t testing.TB, sc scope.Scope) (c string) {
	t.Helper()
	if err := w.super.QueryRow(t.Context(), "SELECT checkpoint FROM audit_logs WHERE tenant_id = $1", sc.Tenant()).Scan(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// Three servers take turns while entries come in, and are broken off in the middle again and
// again: no entry is lost, doubled or moved twice to a place.
func TestServersTakeTurns(t *testing.T) {
	w := newWorld(t)
	tenants := []scope.Scope{w.tenant(t), w.tenant(t), w.tenant(t)}
	const each = 400
	ctx, stop := context.WithCancel(t.Context())
	var servers, writers sync.WaitGroup
	var broken atomic.Int64
	for range 3 {
		s := w.sequencer(w.Replica(t))
		servers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				short, end := context.WithTimeout(ctx, time.Duration(i%40)*time.Millisecond+time.Microsecond)
				if _, err := s.Move(short); err != nil {
					broken.Add(1)
				}
				_ = s.Sign(short)
				end()
			}
		})
	}
	for _, sc := range tenants {
		writers.Go(func() { w.append(t, sc, each) })
	}
	writers.Wait()
	stop()
	servers.Wait()
	s := w.sequencer(w.Store.Store)
	eventually(t, "end of the inbox", func() bool { // whoever was broken off last may lead for a moment still
		if _, err := s.Move(t.Context()); err != nil {
			t.Fatal(err)
		}
		return w.waiting(t) == 0
	})
	drain(t, s)
	for _, sc := range tenants {
		if n := w.judge(t, sc); n < each {
			t.Errorf("%d entries, want %d and those of the keys", n, each)
		}
	}
	if broken.Load() == 0 {
		t.Error("nobody was broken off")
	}
	t.Logf("%d batches were broken off", broken.Load())
}

// A log without a signer goes on, and is signed when there is one.
func TestKeysAreAway(t *testing.T) {
	w := newWorld(t)
	sc := w.Tenant(t) // without keys
	w.append(t, sc, 3)
	s := w.sequencer(w.Store.Store)
	if _, err := s.Move(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Sign(t.Context()); err != nil {
		t.Fatalf("Sign without keys: %v", err)
	}
	if n := w.judge(t, sc); n != 3 {
		t.Fatalf("%d entries", n)
	}
	if err := w.keys.Ensure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.sequencer(w.Store.Store).Run(ctx) }() // a new server finds what is unsigned
	eventually(t, "a checkpoint", func() bool {
		var signed bool
		err := w.super.QueryRow(t.Context(), "SELECT size = signed_size FROM audit_logs WHERE tenant_id = $1", sc.Tenant()).Scan(&signed)
		return err == nil && signed && w.waiting(t) == 0
	})
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
	w.judge(t, sc)
}

// awayKMS is a KMS that can be away.
type awayKMS struct {
	keys.KMS
	away bool
}

// Unwrap fails while it is away.
func (k *awayKMS) Unwrap(ctx context.Context, name string, wrapped, ad []byte) ([]byte, error) {
	if k.away {
		return nil, errors.New("the KMS is away")
	}
	return k.KMS.Unwrap(ctx, name, wrapped, ad)
}

// What is private is not moved before it can be sealed: while the KMS is away, entries of tenants whose keys a
// server has not opened wait, and nobody waits for them.
func TestNothingIsMovedInClear(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	k := &awayKMS{KMS: w.kms}
	w.keys = keys.New(keys.Options{Store: w.Store.Store, KMS: k}) // a server that has just started
	s := w.sequencer(w.Store.Store)
	say := func(sc scope.Scope) {
		t.Helper()
		if err := w.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
			return audit.Append(t.Context(), tx, audit.Entry{Action: "user.update", Reason: "words"})
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.keys.Ring(t.Context(), globex); err != nil { // which it has opened
		t.Fatal(err)
	}
	k.away = true
	say(acme)
	say(globex)
	for range 3 { // the first learns it
		_, _ = s.Move(t.Context())
	}
	var acmes, globexes int
	if err := w.super.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE tenant_id = $1), count(*) FILTER (WHERE tenant_id = $2) FROM audit_inbox`,
		acme.Tenant(), globex.Tenant()).Scan(&acmes, &globexes); err != nil || acmes == 0 || globexes != 0 {
		t.Fatalf("%d of acme wait, %d of globex, %v", acmes, globexes, err)
	}
	k.away = false
	s = w.sequencer(w.Store.Store) // which has not learnt that it should wait
	drain(t, s)
	if n := w.waiting(t); n != 0 {
		t.Errorf("%d wait", n)
	}
	var told int
	if err := w.super.QueryRow(t.Context(), "SELECT count(*) FROM audit_entries WHERE position('words'::bytea IN private) > 0 OR action = 'user.update' AND length(private) < 60").Scan(&told); err != nil || told != 0 {
		t.Errorf("%d were not sealed, %v", told, err)
	}
	w.judge(t, acme)
	w.judge(t, globex)
}

// What no service of ours has written is moved as it is, and holds nobody up.
func TestStrangeEntries(t *testing.T) {
	w := newWorld(t)
	sc := w.tenant(t)
	for _, row := range [][2]string{{"no JSON", `\x0001ff`}, {`{"private":[{"hash":"short"}]}`, `\x0001ff`}, {`{"v":2}`, `\xff`}, {`{"v":2,"private":[]}`, `\x0001ff`}} {
		if _, err := w.super.Exec(t.Context(), "INSERT INTO audit_inbox (tenant_id, id, at, action, entry, private) VALUES ($1, $2, now(), 'strange', $3, $4::bytea)",
			sc.Tenant(), uuid.New(), row[0], row[1]); err != nil {
			t.Fatal(err)
		}
	}
	drain(t, w.sequencer(w.Store.Store)) // by themselves: no person is in the batch
	w.append(t, sc, 3)
	drain(t, w.sequencer(w.Store.Store))
	if n := w.waiting(t); n != 0 {
		t.Errorf("%d wait", n)
	}
	var bare int
	if err := w.super.QueryRow(t.Context(), "SELECT count(*) FROM audit_entries WHERE action = 'strange' AND private = ''").Scan(&bare); err != nil || bare != 4 {
		t.Errorf("%d of 4 were moved without what is no part of theirs, %v", bare, err)
	}
	w.judge(t, sc)
}

func eventually(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for ctx, tick := t.Context(), time.NewTicker(20*time.Millisecond); ; {
		if reached() {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("no %s", what)
		case <-tick.C:
		}
	}
}

// A clock that is set back leaves the times of a log in order.
func TestClockIsSetBack(t *testing.T) {
	w := newWorld(t)
	sc := w.tenant(t)
	s := w.sequencer(w.Store.Store)
	w.append(t, sc, 2)
	drain(t, s)
	if _, err := w.super.Exec(t.Context(), "UPDATE audit_logs SET sequenced_at = sequenced_at + interval '2 hours'"); err != nil {
		t.Fatal(err)
	}
	w.append(t, sc, 2)
	drain(t, s)
	w.judge(t, sc)
	var ahead bool
	if err := w.super.QueryRow(t.Context(), "SELECT max(sequenced_at) > now() + interval '1 hour' FROM audit_entries").Scan(&ahead); err != nil || !ahead {
		t.Errorf("the later entry is dated before the earlier: %v", err)
	}
}

// A head that does not fit, as after a hand in the database, stops the log and changes nothing.
func TestHeadThatDoesNotFit(t *testing.T) {
	w := newWorld(t)
	sc := w.tenant(t)
	s := w.sequencer(w.Store.Store)
	w.append(t, sc, 3)
	drain(t, s)
	if _, err := w.super.Exec(t.Context(), "ALTER TABLE audit_logs DROP CONSTRAINT audit_logs_edge; UPDATE audit_logs SET size = size + 8"); err != nil {
		t.Fatal(err)
	}
	w.append(t, sc, 2)
	if _, err := s.Move(t.Context()); err == nil {
		t.Error("it was appended to")
	}
	if n := w.waiting(t); n != 2 {
		t.Errorf("%d entries wait, want 2", n)
	}
}

// Nobody changes what was moved, not even who moves; and only bc_audit moves.
func TestAppendOnly(t *testing.T) {
	w := newWorld(t)
	sc := w.tenant(t)
	w.append(t, sc, 300)
	drain(t, w.sequencer(w.Store.Store))
	allowed := map[string][]string{db.RoleAudit: {"DELETE FROM audit_inbox", "INSERT INTO audit_tiles", "INSERT INTO audit_entries", "UPDATE audit_logs"}}
	for _, role := range []string{db.RoleApp, db.RoleWriter, db.RoleControl, db.RoleJobs, db.RoleSupport, db.RoleAudit} {
		conn := w.As(t, role)
		for what, sql := range map[string]string{
			"UPDATE audit_entries": "UPDATE audit_entries SET action = 'x' WHERE seq = 0", "DELETE FROM audit_entries": "DELETE FROM audit_entries WHERE seq = 0",
			"TRUNCATE audit_entries": "TRUNCATE audit_entries", "TRUNCATE audit_inbox": "TRUNCATE audit_inbox", "UPDATE audit_inbox": "UPDATE audit_inbox SET action = 'x'",
			"INSERT INTO audit_entries": fmt.Sprintf(`INSERT INTO audit_entries (tenant_id, seq, sequenced_at, id, at, action, target, entry, leaf)
				VALUES ('%s', 99999, now(), gen_random_uuid(), now(), 'x', '', '{}', decode(repeat('00', 32), 'hex'))`, sc.Tenant()),
			"INSERT INTO audit_tiles": fmt.Sprintf(`INSERT INTO audit_tiles VALUES ('%s', 0, 9999, decode(repeat('00', 32), 'hex'), decode(repeat('00', 8192), 'hex'))`, sc.Tenant()),
			"UPDATE audit_tiles":      "UPDATE audit_tiles SET n = n + 1", "DELETE FROM audit_tiles": "DELETE FROM audit_tiles",
			"UPDATE audit_logs": "UPDATE audit_logs SET signed_at = now()", "DELETE FROM audit_logs": "DELETE FROM audit_logs", "DELETE FROM audit_inbox": "DELETE FROM audit_inbox",
		} {
			_, err := conn.Exec(t.Context(), fmt.Sprintf("BEGIN; SELECT set_config('app.tenant_id', '%s', true); %s", sc.Tenant(), sql))
			if may := slices.Contains(allowed[role], what); may != (err == nil) {
				t.Errorf("%s as %s: %v", what, role, err)
			}
			if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestReseal(t *testing.T) {
	w := newWorld(t)
	sc := w.tenant(t)
	s := w.sequencer(w.Store.Store)
	w.append(t, sc, 1)
	drain(t, s)
	if n, err := s.Reseal(t.Context(), sc, 10); n != 0 || err != nil {
		t.Errorf("Reseal of what is fresh = %d, %v", n, err)
	}
	if _, err := w.keys.RotateDataKey(t.Context(), sc, "turn"); err != nil {
		t.Fatal(err)
	}
	// A new key seals when every server has heard of it: let that time be over.
	if _, err := w.super.Exec(t.Context(), "UPDATE data_keys SET created_at = created_at - interval '1 hour'"); err != nil {
		t.Fatal(err)
	}
	w.keys = keys.New(keys.Options{Store: w.Store.Store, KMS: w.kms})
	s = w.sequencer(w.Store.Store)
	if n, err := s.Reseal(t.Context(), sc, 0); n != 0 || err != nil {
		t.Errorf("Reseal of none = %d, %v", n, err)
	}
	if n, err := s.Reseal(t.Context(), sc, 10); n != 1 || err != nil {
		t.Errorf("Reseal = %d, %v", n, err)
	}
	if n, err := s.Reseal(t.Context(), sc, 10); n != 0 || err != nil {
		t.Errorf("Reseal again = %d, %v", n, err)
	}
	w.append(t, sc, 1)
	drain(t, w.sequencer(w.Replica(t))) // opens the key that was sealed anew
	w.judge(t, sc)
}
