package tail_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// world is a database with servers on it.
type world struct {
	*dbtest.Store
	keys  *keys.Service
	redis string
	off   sync.Map // tenants that may have no streams
}

func newWorld(t testing.TB) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Store: dbtest.New(t), redis: dbtest.Redis(t)}
	w.keys = keys.New(keys.Options{Store: w.Store.Store, KMS: k})
	return w
}

func (w *world) tenant(t testing.TB) scope.Scope {
	t.Helper()
	sc := w.Tenant(t)
	if err := w.keys.Ensure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	return sc
}

// idle is a server that does not run yet.
func (w *world) idle(t testing.TB) *tail.Service {
	t.Helper()
	redis, err := ephemeral.Open(w.redis)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	s, err := tail.New(tail.Options{Reader: debugger.NewReader(w.Store.Store, w.keys), Keys: w.keys, Redis: redis, Now: w.Now, Log: slog.New(slog.DiscardHandler), On: func(_ context.Context, sc scope.Scope) bool {
		_, off := w.off.Load(sc.Tenant())
		return !off
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// server is one that runs until the test ends.
func (w *world) server(t testing.TB) *tail.Service {
	t.Helper()
	s := w.idle(t)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s
}

// finish writes a ceremony of a time, as package ceremony does.
func (w *world) finish(t testing.TB, sc scope.Scope, at time.Time, p tenantq.InsertCeremonyParams) uuid.UUID {
	t.Helper()
	p.ID, p.At, p.Facts = uuid.Must(uuid.NewV7()), at, "{}"
	if p.Kind == "" {
		p.Kind, p.Outcome = "AUTHENTICATION", "ALLOW"
	}
	if err := w.InTenant(t.Context(), sc, func(tx *db.TenantTx) error { return tx.InsertCeremony(t.Context(), p) }); err != nil {
		t.Fatal(err)
	}
	return p.ID
}

func watch(t testing.TB, s *tail.Service, sc scope.Scope, req tail.Request) *tail.Stream {
	t.Helper()
	st, err := s.Open(t.Context(), sc, req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close(context.WithoutCancel(t.Context())) })
	return st
}

// next reads until there are n events.
func next(t testing.TB, st *tail.Stream, n int) []tail.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var all []tail.Event
	for len(all) < n {
		events, err := st.Next(ctx)
		if err != nil {
			t.Fatalf("after %d events, want %d: %v", len(all), n, err)
		}
		all = append(all, events...)
	}
	return all
}

func finished(events []tail.Event) (ids []uuid.UUID) {
	for _, e := range events {
		if e.Finished != nil {
			ids = append(ids, e.Finished.Ceremony.ID)
		}
	}
	return ids
}

// waitFor polls for what no event tells of.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(20 * time.Second)
	defer late.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("no %s within 20 s", what)
		}
	}
}

// What is finished comes in order, and once; what was there before does not, and what is
// another tenant's never: without row-level security the last turns red. A row that is
// committed late, with a time of before, comes too: without Settle it does not.
func TestWhatIsFinishedComesInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	now := w.Now()
	w.finish(t, acme, now.Add(-time.Second), tenantq.InsertCeremonyParams{})
	st := watch(t, w.server(t), acme, tail.Request{})
	w.finish(t, globex, now, tenantq.InsertCeremonyParams{})
	second := w.finish(t, acme, now.Add(2*time.Millisecond), tenantq.InsertCeremonyParams{})
	first := w.finish(t, acme, now.Add(time.Millisecond), tenantq.InsertCeremonyParams{Kind: "REGISTRATION", Outcome: "FAILED", Reason: "ORIGIN_NOT_ALLOWED"})
	events := next(t, st, 2)
	if got := finished(events); !slices.Equal(got, []uuid.UUID{first, second}) {
		t.Fatalf("finished = %v, want %v, %v", got, first, second)
	}
	if c := events[0].Finished.Ceremony; c.Kind != debugger.Registration || c.Outcome != debugger.Failed || c.Reason != "ORIGIN_NOT_ALLOWED" {
		t.Errorf("the first = %+v", c)
	}
	late := w.finish(t, acme, now.Add(-3*time.Second), tenantq.InsertCeremonyParams{})
	after := next(t, st, 1)
	if got := finished(after); !slices.Equal(got, []uuid.UUID{late}) {
		t.Errorf("what was committed late = %v, want %v", got, late)
	}
	if before, then := events[1].Finished.Position, after[0].Finished.Position; then < before {
		t.Errorf("the position went back from %s to %s", before, then)
	}
}

// A stream goes on from where another was, at another server: with all that has come since.
func TestAStreamGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.tenant(t)
	now := w.Now()
	st := watch(t, w.server(t), acme, tail.Request{})
	seen := w.finish(t, acme, now, tenantq.InsertCeremonyParams{})
	events := next(t, st, 1)
	st.Close(t.Context())
	if _, err := st.Next(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("Next of a closed stream = %v", err)
	}
	var want []uuid.UUID
	for i := range 3 {
		want = append(want, w.finish(t, acme, now.Add(time.Duration(i+1)*time.Millisecond), tenantq.InsertCeremonyParams{}))
	}
	got := finished(next(t, watch(t, w.server(t), acme, tail.Request{After: events[0].Finished.Position}), 4))
	if !slices.Equal(got, append([]uuid.UUID{seen}, want...)) { // what is as old as the position comes again
		t.Errorf("went on with %v, want %v and %v", got, seen, want)
	}
	for _, position := range []string{"x", "-1", "01", "1.5", "9223372036854775808", " 1"} {
		if _, err := w.server(t).Open(t.Context(), acme, tail.Request{After: position}); !errors.Is(err, tail.ErrPosition) {
			t.Errorf("Open after %q = %v, want %v", position, err, tail.ErrPosition)
		}
	}
}

// What is too long ago, or too much, is not told, and that is told.
func TestGaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.tenant(t)
	s, now := w.server(t), w.Now()
	old := now.Add(-time.Hour)
	if _, err := w.Superuser(t).Exec(t.Context(), "SELECT make_partitions($1)", old); err != nil { // of the month before, in a month's first hour
		t.Fatal(err)
	}
	w.finish(t, acme, old.Add(time.Minute), tenantq.InsertCeremonyParams{})
	recent := w.finish(t, acme, now, tenantq.InsertCeremonyParams{})
	events := next(t, watch(t, s, acme, tail.Request{After: tail.PositionOf(&debugger.Ceremony{At: old})}), 2)
	if g := events[0].Gap; g == nil || !g.From.Equal(old.Truncate(time.Microsecond)) || !g.Until.After(old.Add(time.Minute)) || events[1].Finished.Ceremony.ID != recent {
		t.Errorf("after an hour = %+v", events)
	}

	globex := w.tenant(t)
	st := watch(t, s, globex, tail.Request{})
	if _, err := w.Superuser(t).Exec(t.Context(), `INSERT INTO ceremonies (tenant_id, at, id, kind, outcome, reason, policy_version, facts)
SELECT $1, $2::timestamptz + n * interval '1 millisecond', gen_random_uuid(), 'AUTHENTICATION', 'ALLOW', '', 1, '{}' FROM generate_series(1, 700) n`, globex.Tenant(), now); err != nil {
		t.Fatal(err)
	}
	events = next(t, st, 501)
	if events[0].Gap == nil || len(finished(events)) != 500 || !events[500].Finished.Ceremony.At.Equal(now.Add(700*time.Millisecond)) {
		t.Errorf("of 700 at once: %d events, the first %+v", len(events), events[0])
	}
	if g := events[0].Gap; g != nil && !g.Until.Equal(events[1].Finished.Ceremony.At) {
		t.Errorf("the gap ends at %v, and what is told begins at %v", g.Until, events[1].Finished.Ceremony.At)
	}
	if n := s.Stats().Gaps; n != 2 {
		t.Errorf("%d gaps are counted, want 2", n)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.tenant(t)
	s, now, owner := w.server(t), w.Now(), uuid.New()
	failed := watch(t, s, acme, tail.Request{Filter: "outcome != ALLOW"})
	made := watch(t, s, acme, tail.Request{Filter: "kind = REGISTRATION"})
	theirs := watch(t, s, acme, tail.Request{Filter: "userId = " + owner.String()})
	s.Begin(acme.Tenant(), &tail.Begun{Ref: "a", Kind: debugger.Authentication, At: now, UserID: owner.String()})
	s.Begin(acme.Tenant(), &tail.Begun{Ref: "b", Kind: debugger.Registration, At: now})
	in := w.finish(t, acme, now, tenantq.InsertCeremonyParams{Kind: "AUTHENTICATION", Outcome: "ALLOW", UserID: &owner})
	no := w.finish(t, acme, now.Add(time.Millisecond), tenantq.InsertCeremonyParams{Kind: "REGISTRATION", Outcome: "FAILED", Reason: "ORIGIN_NOT_ALLOWED"})
	for name, tt := range map[string]struct {
		st    *tail.Stream
		begun string
		id    uuid.UUID
	}{"outcome": {failed, "", no}, "kind": {made, "b", no}, "user": {theirs, "a", in}} {
		n := 1
		if tt.begun != "" {
			n = 2
		}
		events := next(t, tt.st, n)
		begun := ""
		if events[0].Begun != nil {
			begun = events[0].Begun.Ref
		}
		if ids := finished(events); len(events) != n || !slices.Equal(ids, []uuid.UUID{tt.id}) || begun != tt.begun {
			t.Errorf("by %s: begun %q, finished %v; want %q, %v", name, begun, ids, tt.begun, tt.id)
		}
	}
	if _, err := s.Open(t.Context(), acme, tail.Request{Filter: "colour = red"}); !errors.Is(err, listing.ErrFilter) {
		t.Errorf("Open with a filter of nothing = %v", err)
	}
}

// A begin at one server comes to who watches at the other, of the tenant and of no other, and
// the ceremony that it comes to says so. A message that is sealed for nobody, or under another
// tenant's key, comes to nobody: without the seal this turns red.
func TestBeginsComeFromOtherServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	here, there := w.server(t), w.server(t)
	if there.Watched(acme.Tenant()) {
		t.Fatal("a tenant that nobody watches is watched")
	}
	st, other := watch(t, here, acme, tail.Request{}), watch(t, here, globex, tail.Request{})
	if !here.Watched(acme.Tenant()) {
		t.Error("the server that watches does not know it")
	}
	waitFor(t, "word of it at the other server", func() bool { return there.Watched(acme.Tenant()) })
	if there.Watched(uuid.New()) {
		t.Error("a tenant that nobody watches is watched")
	}
	now, key := w.Now().Truncate(time.Microsecond), uuid.New()
	begun := tail.Begun{
		Ref: tail.Ref([]byte("challenge")), Kind: debugger.Authentication, At: now, ExpiresAt: now.Add(time.Minute), UserID: uuid.NewString(),
		Browser: "Chrome 141 on Windows", TraceID: "t", RequestID: "r", APIKeyID: &key, Purpose: "pay",
	}
	there.Begin(acme.Tenant(), &begun)
	events := next(t, st, 1)
	if got := events[0].Begun; got == nil || got.Ref != begun.Ref || !got.At.Equal(now) || got.UserID != begun.UserID || *got.APIKeyID != key || got.Purpose != "pay" {
		t.Fatalf("begun = %+v, want %+v", got, begun)
	}
	id := w.finish(t, acme, now, tenantq.InsertCeremonyParams{})
	there.End(acme.Tenant(), begun.Ref, id)
	if got := next(t, st, 1)[0].Finished; got == nil || got.Ceremony.ID != id {
		t.Errorf("finished = %+v", got)
	}

	client, err := ephemeral.Open(w.redis)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	ring, err := w.keys.Ring(t.Context(), acme)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(`{"from":"x","begun":[{"id":"made-up","kind":"AUTHENTICATION"}]}`)
	for _, body := range [][]byte{text, ring.SealToken("ceremony tail", nil, text)} {
		if err := client.Publish(t.Context(), globex, "tail", body); err != nil {
			t.Fatal(err)
		}
	}
	there.Begin(globex.Tenant(), &tail.Begun{Ref: "good", Kind: debugger.Authentication, At: now})
	if got := next(t, other, 1)[0].Begun; got == nil || got.Ref != "good" {
		t.Errorf("another tenant's stream told %+v", got)
	}
	// Once nobody watches it is forgotten, by everybody.
	st.Close(t.Context())
	waitFor(t, "an end of watching", func() bool { return !there.Watched(acme.Tenant()) && !here.Watched(acme.Tenant()) })
}

// The ceremony says which begin it came of, also where the row is read before the word of it
// has come from elsewhere.
func TestAFinishNamesItsBegin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.tenant(t)
	s := w.server(t)
	st := watch(t, s, acme, tail.Request{})
	for range 3 {
		id := w.finish(t, acme, w.Now(), tenantq.InsertCeremonyParams{})
		s.End(acme.Tenant(), "ref of "+id.String(), id)
		if got := next(t, st, 1)[0].Finished; got.Ceremony.ID != id || got.Begun != "ref of "+id.String() {
			t.Errorf("finished = %v of %q", got.Ceremony.ID, got.Begun)
		}
	}
}

// Who reads too slowly is let go, and nothing is kept for them beyond the bound; who reads is
// not. Without the bound the stream is never ended.
func TestASlowReaderIsLetGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.tenant(t)
	s := w.server(t)
	slow := watch(t, s, acme, tail.Request{})
	for n := 0; s.Stats().Slow == 0; n++ {
		if n > 100_000 {
			t.Fatal("a stream that nobody reads was never ended")
		}
		s.End(acme.Tenant(), "x", uuid.New())
		waitFor(t, "room", func() bool { st := s.Stats(); return st.Published+st.Dropped > int64(n) || st.Slow > 0 })
	}
	if _, err := slow.Next(t.Context()); !errors.Is(err, tail.ErrSlow) {
		t.Errorf("Next of a slow reader = %v, want %v", err, tail.ErrSlow)
	}
	if next(t, watch(t, s, acme, tail.Request{}), 0); s.Stats().Slow != 1 {
		t.Errorf("%d slow readers are counted, want 1", s.Stats().Slow)
	}
}

// What nobody tells is dropped and counted, and nobody waits: a server that does not run, and
// a tenant of which more is begun than anybody reads.
func TestDropsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.tenant(t)
	idle := w.idle(t)
	for range 1124 {
		idle.End(acme.Tenant(), "x", uuid.New())
	}
	if n := idle.Stats().Dropped; n != 100 {
		t.Errorf("%d are dropped of 1124, want 100", n)
	}
	s := w.server(t)
	watch(t, s, acme, tail.Request{})
	for range 500 {
		s.Begin(acme.Tenant(), &tail.Begun{Ref: "x", Kind: debugger.Authentication, At: w.Now()})
	}
	if n := s.Stats().Dropped; n < 100 { // two seconds' worth are 200, if the clock ticks in between
		t.Errorf("%d are dropped of 500 at once", n)
	}
}

func TestBoundsOfStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	s := w.server(t)
	var last *tail.Stream
	for range tail.PerTenant {
		last = watch(t, s, acme, tail.Request{})
	}
	if _, err := s.Open(t.Context(), acme, tail.Request{}); !errors.Is(err, tail.ErrTooMany) {
		t.Errorf("one more stream = %v, want %v", err, tail.ErrTooMany)
	}
	watch(t, s, globex, tail.Request{})
	last.Close(t.Context())
	last.Close(t.Context())
	again := watch(t, s, acme, tail.Request{})
	if st := s.Stats(); st.Open != tail.PerTenant+1 || st.Refused != 1 {
		t.Errorf("stats = %+v", st)
	}
	s.Stop()
	if _, err := again.Next(t.Context()); !errors.Is(err, tail.ErrStopping) {
		t.Errorf("Next of a server that stops = %v, want %v", err, tail.ErrStopping)
	}
	if _, err := s.Open(t.Context(), globex, tail.Request{}); !errors.Is(err, tail.ErrStopping) {
		t.Errorf("Open at a server that stops = %v, want %v", err, tail.ErrStopping)
	}
}

// Streams of a tenant that may have none are refused, those that are open end, and another tenant's go on.
func TestTurnedOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	s := w.server(t)
	mine, theirs := watch(t, s, acme, tail.Request{}), watch(t, s, globex, tail.Request{})
	w.off.Store(acme.Tenant(), true)
	if _, err := s.Open(t.Context(), acme, tail.Request{}); !errors.Is(err, tail.ErrOff) {
		t.Errorf("Open = %v, want %v", err, tail.ErrOff)
	}
	for {
		if _, err := mine.Next(t.Context()); errors.Is(err, tail.ErrOff) {
			break
		} else if err != nil {
			t.Fatalf("Next = %v, want %v", err, tail.ErrOff)
		}
	}
	if _, err := theirs.Next(t.Context()); err != nil {
		t.Errorf("another tenant's: %v", err)
	}
	w.off.Delete(acme.Tenant())
	if _, err := watch(t, s, acme, tail.Request{}).Next(t.Context()); err != nil {
		t.Errorf("turned on again: %v", err)
	}
}

// Without Redis a server tells what is finished, everywhere, and of its own begins.
func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.tenant(t)
	own := dbtest.OwnRedis(t)
	w.redis = own.URL()
	s := w.server(t)
	own.Stop(t)
	st := watch(t, s, acme, tail.Request{})
	s.Begin(acme.Tenant(), &tail.Begun{Ref: "here", Kind: debugger.Authentication, At: w.Now()})
	if got := next(t, st, 1)[0].Begun; got == nil || got.Ref != "here" {
		t.Errorf("begun here = %+v", got)
	}
	id := w.finish(t, acme, w.Now(), tenantq.InsertCeremonyParams{})
	if got := finished(next(t, st, 1)); !slices.Equal(got, []uuid.UUID{id}) {
		t.Errorf("finished elsewhere = %v, want %v", got, id)
	}
}

// Nobody is a service that watches nothing.
func TestNobodyWatches(t *testing.T) {
	t.Parallel()
	var s *tail.Service
	if s.Watched(uuid.New()) {
		t.Error("nil watches")
	}
}

func BenchmarkWatched(b *testing.B) {
	w := newWorld(b)
	acme, globex := w.tenant(b), w.tenant(b)
	ask := func(name string, s *tail.Service, tenant uuid.UUID) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Watched(tenant)
			}
		})
	}
	s := w.server(b)
	ask("nobody watches", s, acme.Tenant())
	watch(b, s, globex, tail.Request{})
	ask("another is watched", s, acme.Tenant())
	ask("it is watched", s, globex.Tenant())
}
