package mds_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/mds/mdstest"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

var (
	operator = scope.Actor{Kind: scope.ActorSystem, ID: "test"}
	platform = scope.New(scope.PlatformTenant, operator)
)

// site is what a service publishes, by URL.
type site map[string][]byte

func (s site) fetch(_ context.Context, source string) ([]byte, error) {
	if blob, ok := s[source]; ok {
		return blob, nil
	}
	return nil, errors.New("nobody answers")
}

// home is the source of these tests.
const home = "https://mds.example/"

func newService(t testing.TB, store *db.Store, s site, by *mdstest.Service) *mds.Service {
	t.Helper()
	svc, err := mds.New(mds.ServiceOptions{
		Store: store, Fetch: s.fetch, Source: home, Roots: by.Roots(), MaxUnparsed: 0.1, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return svc
}

func number(s *mds.Snapshot) int {
	if s == nil {
		return -1
	}
	return s.Number
}

// What is good is kept, and nothing else changes what is known: not here, not in the
// database, not on another server that starts.
func TestSyncKeepsTheLastGoodBLOB(t *testing.T) {
	store := dbtest.Fresh(t)
	by, stranger := mdstest.New(t), mdstest.New(t)
	published := site{}
	svc := newService(t, store.Store, published, by)
	blob := func(number int) mdstest.BLOB {
		return mdstest.BLOB{Number: number, Entries: []mdstest.Entry{{AAGUID: model, Name: "Key"}}}
	}
	good := by.Sign(t, blob(7))
	for _, step := range []struct {
		name    string
		blob    []byte
		want    error
		changed bool
		known   int
	}{
		{"nobody answers", nil, mds.ErrSource, false, -1},
		{"cut off, the first", good[:len(good)/2], mds.ErrMalformed, false, -1},
		{"the first", good, nil, true, 7},
		{"the same", good, nil, false, 7},
		{"an older one", by.Sign(t, blob(6)), mds.ErrRollback, false, 7},
		{"another root's", stranger.Sign(t, blob(9)), mds.ErrChain, false, 7},
		{"cut off", by.Sign(t, blob(9))[:400], mds.ErrMalformed, false, 7},
		{"of algorithm none", by.SignWith(t, map[string]any{"alg": "none", "x5c": []string{by.Certificate()}}, []byte(`{"no":9,"nextUpdate":"2099-01-01","entries":[]}`)), mds.ErrSignature, false, 7},
		{"unreadable", by.Sign(t, mdstest.BLOB{Number: 9, Entries: blob(9).Entries, Broken: 3}), mds.ErrUnparsed, false, 7},
		{"nothing", nil, mds.ErrSource, false, 7},
		{"a newer one", by.Sign(t, blob(8)), nil, true, 8},
		{"the one before", good, mds.ErrRollback, false, 8},
		{"a newer one that is overdue", by.Sign(t, mdstest.BLOB{Number: 12, NextUpdate: day(1, 1)}), nil, true, 12},
	} {
		delete(published, home)
		if step.blob != nil {
			published[home] = step.blob
		}
		done, err := svc.Sync(t.Context(), mds.SyncRequest{Actor: operator})
		if !errors.Is(err, step.want) || done.Changed != step.changed {
			t.Errorf("%s: Sync = %+v, %v, want %v", step.name, done, err, step.want)
		}
		if got := number(svc.Current()); got != step.known {
			t.Errorf("%s: %d is known, want %d", step.name, got, step.known)
		}
		fresh := newService(t, store.Store, published, by)
		if err := fresh.Load(t.Context()); err != nil || number(fresh.Current()) != step.known {
			t.Errorf("%s: a server that starts knows %d, %v, want %d", step.name, number(fresh.Current()), err, step.known)
		}
	}
	if svc.Failures() != 9 {
		t.Errorf("%d failures, want 9", svc.Failures())
	}
	if n := store.AuditCount(t, platform, "metadata.sync"); n != 3 {
		t.Errorf("%d audit entries, want one for each BLOB that was kept: 3", n)
	}
	state, err := svc.State(t.Context())
	if err != nil || state.Number != 12 || state.Source != home || !state.Stale(store.Now()) {
		t.Errorf("State = %+v, %v", state, err)
	}
	var kept int
	if err := store.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM metadata_blobs").Scan(&kept); err != nil || kept != 2 {
		t.Errorf("%d BLOBs are kept, %v, want the newest and the one before", kept, err)
	}
}

// The database is not believed: what is in it is verified when it is loaded.
func TestLoadVerifiesAgain(t *testing.T) {
	store := dbtest.Fresh(t)
	by, stranger := mdstest.New(t), mdstest.New(t)
	published := site{home: by.Sign(t, mdstest.BLOB{Number: 7})}
	svc := newService(t, store.Store, published, by)
	if _, err := svc.Sync(t.Context(), mds.SyncRequest{Actor: operator}); err != nil {
		t.Fatal(err)
	}
	forged := stranger.Sign(t, mdstest.BLOB{Number: 99})
	if _, err := store.Superuser(t).Exec(t.Context(), "UPDATE metadata_blobs SET number = 99, blob = $1", forged); err != nil {
		t.Fatal(err)
	}
	if err := svc.Load(t.Context()); !errors.Is(err, mds.ErrChain) || number(svc.Current()) != 7 {
		t.Errorf("Load = %v, and %d is known, want that of before", err, number(svc.Current()))
	}
	// An operator who names other roots begins another series of numbers.
	other := newService(t, store.Store, site{home: by.Sign(t, mdstest.BLOB{Number: 3})}, by)
	if done, err := other.Sync(t.Context(), mds.SyncRequest{Actor: operator}); err != nil || !done.Changed || number(other.Current()) != 3 {
		t.Errorf("Sync under other roots = %+v, %v", done, err)
	}
	// Broken bytes are no way to bring back what is old.
	if _, err := store.Superuser(t).Exec(t.Context(), "UPDATE metadata_blobs SET blob = 'broken'"); err != nil {
		t.Fatal(err)
	}
	again := newService(t, store.Store, site{home: by.Sign(t, mdstest.BLOB{Number: 2})}, by)
	if _, err := again.Sync(t.Context(), mds.SyncRequest{Actor: operator}); !errors.Is(err, mds.ErrRollback) {
		t.Errorf("Sync beside a broken BLOB = %v, want %v", err, mds.ErrRollback)
	}
}

// A BLOB that one server has kept is in use on the other within seconds. Without the poll
// in Run it stays as it was.
func TestSwapIsSeenByEveryServer(t *testing.T) {
	store := dbtest.Fresh(t)
	by := mdstest.New(t)
	published := site{home: by.Sign(t, mdstest.BLOB{Number: 7})}
	here, there := newService(t, store.Store, published, by), newService(t, store.Replica(t), published, by)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- there.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	}()
	for n := 7; n <= 8; n++ {
		published[home] = by.Sign(t, mdstest.BLOB{Number: n})
		if _, err := here.Sync(t.Context(), mds.SyncRequest{Actor: operator}); err != nil {
			t.Fatal(err)
		}
		limit := time.After(20 * time.Second)
		for number(there.Current()) != n {
			select {
			case <-limit:
				t.Fatalf("the other server knows %d, want %d", number(there.Current()), n)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
}

// Servers that sync at once leave the greatest number, whoever ends last, and one entry
// in the audit log for each BLOB.
func TestSyncAtOnce(t *testing.T) {
	store := dbtest.Fresh(t)
	by := mdstest.New(t)
	errs := make(chan error, 8)
	for i := range 8 {
		svc := newService(t, store.Store, site{home: by.Sign(t, mdstest.BLOB{Number: 1 + i%2})}, by)
		go func() {
			_, err := svc.Sync(context.WithoutCancel(t.Context()), mds.SyncRequest{Actor: operator})
			errs <- err
		}()
	}
	for range 8 {
		if err := <-errs; err != nil && !errors.Is(err, mds.ErrRollback) {
			t.Errorf("Sync = %v", err)
		}
	}
	fresh := newService(t, store.Store, nil, by)
	if err := fresh.Load(t.Context()); err != nil || number(fresh.Current()) != 2 {
		t.Errorf("%d is known, %v, want 2", number(fresh.Current()), err)
	}
	if n := store.AuditCount(t, platform, "metadata.sync"); n < 1 || n > 2 {
		t.Errorf("%d audit entries, want one for each BLOB", n)
	}
}

func TestSyncIfDue(t *testing.T) {
	store := dbtest.Fresh(t)
	by := mdstest.New(t)
	asked := 0
	blob := mdstest.BLOB{Number: 7}
	o := store.Options()
	clock := time.Now()
	o.Now = func() time.Time { return clock }
	later, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(later.Close)
	fetch := func(context.Context, string) ([]byte, error) { asked++; return by.Sign(t, blob), nil }
	svc, err := mds.New(mds.ServiceOptions{Store: later, Fetch: fetch, Source: home, Roots: by.Roots()})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name  string
		after time.Duration
		want  int
	}{
		{"nothing is known", 0, 1},
		{"at once again", 0, 1},
		{"an hour later", time.Hour, 1},
		{"a day later", 24 * time.Hour, 2},
		{"and again", time.Minute, 2},
		{"after the next was due", 60 * 24 * time.Hour, 3},
		{"while it is overdue", time.Hour, 4},
	} {
		clock = clock.Add(step.after)
		if err := svc.SyncIfDue(t.Context()); err != nil || asked != step.want {
			t.Errorf("%s: asked %d times, %v, want %d", step.name, asked, err, step.want)
		}
	}
	none, err := mds.New(mds.ServiceOptions{Store: later, Fetch: fetch})
	if err != nil {
		t.Fatal(err)
	}
	if err := none.SyncIfDue(t.Context()); err != nil || asked != 4 {
		t.Errorf("without a source: %v, asked %d times", err, asked)
	}
}

// Every tenant is told of a BLOB, once; and again if telling failed.
func TestApply(t *testing.T) {
	store := dbtest.Fresh(t)
	by := mdstest.New(t)
	published := site{home: by.Sign(t, mdstest.BLOB{Number: 7})}
	svc := newService(t, store.Store, published, by)
	want := []uuid.UUID{store.Tenant(t).Tenant(), store.Tenant(t).Tenant(), store.Tenant(t).Tenant()}
	var told []uuid.UUID
	tell := func(ids []uuid.UUID) error { told = append(told, ids...); return nil }
	apply := func(name string, n int) {
		t.Helper()
		told = nil
		if err := svc.Apply(t.Context(), tell); err != nil || len(told) != n {
			t.Errorf("%s: %d tenants are told, %v, want %d", name, len(told), err, n)
		}
	}
	apply("without a BLOB", 0)
	if _, err := svc.Sync(t.Context(), mds.SyncRequest{Actor: operator}); err != nil {
		t.Fatal(err)
	}
	lost := errors.New("lost")
	if err := svc.Apply(t.Context(), func([]uuid.UUID) error { return lost }); !errors.Is(err, lost) {
		t.Errorf("Apply = %v, want %v", err, lost)
	}
	apply("after a failure", 3)
	for _, id := range want {
		if !slices.Contains(told, id) {
			t.Errorf("tenant %s is not told", id)
		}
	}
	apply("again", 0)
	published[home] = by.Sign(t, mdstest.BLOB{Number: 8})
	if _, err := svc.Sync(t.Context(), mds.SyncRequest{Actor: operator}); err != nil {
		t.Fatal(err)
	}
	apply("after the next", 3)
	if err := store.InPlatform(t.Context(), "test", func(tx *db.PlatformTx) error {
		return tx.SetMetadataApplied(t.Context(), platformq.SetMetadataAppliedParams{Number: 8, Now: store.Now().Add(-25 * time.Hour)})
	}); err != nil {
		t.Fatal(err)
	}
	apply("a day later", 3)
}
