package risk_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// server is one server's risk.Service over real stores.
type server struct {
	*risk.Service

	store *dbtest.Store
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{store: dbtest.New(t)}
	redis, err := ephemeral.Open(dbtest.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	if s.Service, err = risk.New(risk.Options{Store: s.store.Store, Keys: keys.New(keys.Options{Store: s.store.Store}), Ephemeral: redis}); err != nil {
		t.Fatal(err)
	}
	return s
}

// signIn records one that was assessed and let in.
func (s *server) signIn(t *testing.T, sc scope.Scope) {
	t.Helper()
	rules, err := s.Ruleset(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	f := risk.Facts{}
	d := risk.Decide(rules, &f)
	err = s.store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		return tx.InsertCeremony(t.Context(), tenantq.InsertCeremonyParams{
			ID: uuid.Must(uuid.NewV7()), At: tx.Now(), Kind: "AUTHENTICATION", Outcome: "ALLOW", Facts: string(risk.AppendMember([]byte(`{"aal":2}`), rules.Version, &f, &d)),
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *server) put(t *testing.T, sc scope.Scope, document string) {
	t.Helper()
	if _, err := s.PutRules(t.Context(), sc, risk.PutRulesRequest{Document: []byte(document)}); err != nil {
		t.Fatal(err)
	}
}

// settle waits until this server has worked off every change that was committed: they arrive in order, so one more tells of all before it.
func (s *server) settle(t *testing.T, sc scope.Scope) {
	t.Helper()
	const noun, id = db.Noun("settle"), "sentinel"
	sentinel := db.NewCache[bool](s.store.Store, noun, 1, time.Hour) // subscribed last, so told last
	there := func() bool { _, ok := sentinel.Peek(sc.Tenant(), id); return ok }
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ; !there(); <-tick.C { // once the feed has begun
		if _, err := sentinel.Get(t.Context(), sc.Tenant(), id, func(context.Context) (bool, error) { return true, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error { return tx.Changed(t.Context(), noun, id) }); err != nil {
		t.Fatal(err)
	}
	for ; there(); <-tick.C {
	}
}

// recent is RecentBacktest.
func (s *server) recent(t *testing.T, sc scope.Scope, req risk.BacktestRequest) risk.Backtest {
	t.Helper()
	b, err := s.RecentBacktest(t.Context(), sc, req)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const shadow = `{"mode":"SHADOW"}`

// What was found is kept for the same question alone, of the same tenant and under the same version of the rules.
func TestRecentBacktest(t *testing.T) {
	s := newServer(t)
	acme, globex := s.store.Tenant(t), s.store.Tenant(t)
	for _, sc := range []scope.Scope{acme, globex} {
		s.put(t, sc, shadow)
		s.signIn(t, sc)
	}
	s.settle(t, acme)
	first := s.recent(t, acme, risk.BacktestRequest{})
	if first.Decisions != 1 || first.At.IsZero() {
		t.Fatalf("the first = %d sign-ins, as of %s", first.Decisions, first.At)
	}
	s.signIn(t, acme)
	s.signIn(t, globex)
	s.signIn(t, globex)
	for name, tt := range map[string]struct {
		sc   scope.Scope
		req  risk.BacktestRequest
		want int
	}{
		"again":                     {acme, risk.BacktestRequest{}, 1},
		"the same, said at length":  {acme, risk.BacktestRequest{Document: []byte(`{"rules":[],"mode":"SHADOW"}`), Days: 30}, 1},
		"further back":              {acme, risk.BacktestRequest{Days: 31}, 2},
		"a draft":                   {acme, risk.BacktestRequest{Document: []byte(`{"mode":"SHADOW","stepUpScore":51}`)}, 2},
		"another tenant's question": {globex, risk.BacktestRequest{}, 3},
	} {
		got := s.recent(t, tt.sc, tt.req)
		if got.Decisions != tt.want || got.At.Equal(first.At) != (tt.want == 1) {
			t.Errorf("%s = %d sign-ins as of %s, want %d; the first was as of %s", name, got.Decisions, got.At, tt.want, first.At)
		}
	}
	if now, err := s.Backtest(t.Context(), acme, risk.BacktestRequest{}); err != nil || now.Decisions != 2 {
		t.Errorf("Backtest = %d, %v, want what there is now", now.Decisions, err)
	}
	// A version ends what is kept, also where the rules come to be as they were.
	s.put(t, acme, `{"mode":"OFF"}`)
	s.put(t, acme, shadow)
	if got := s.recent(t, acme, risk.BacktestRequest{}); got.Decisions != 2 {
		t.Errorf("after a version = %d sign-ins, want 2", got.Decisions)
	}
	for _, bad := range []struct {
		req  risk.BacktestRequest
		want error
	}{{risk.BacktestRequest{Days: 91}, risk.ErrDays}, {risk.BacktestRequest{Document: []byte(`{"mode":"ON"}`)}, risk.ErrInvalid}} {
		if _, err := s.RecentBacktest(t.Context(), acme, bad.req); !errors.Is(err, bad.want) {
			t.Errorf("RecentBacktest error = %v, want %v", err, bad.want)
		}
	}
}

// Who asks for what is being looked at waits for it. Who asks for something else is told to come again, and that is not kept.
func TestRecentBacktestIsShared(t *testing.T) {
	s := newServer(t)
	acme := s.store.Tenant(t)
	s.put(t, acme, shadow)
	s.signIn(t, acme)
	s.settle(t, acme)
	lock, err := s.store.Superuser(t).Begin(t.Context())
	if err == nil {
		_, err = lock.Exec(t.Context(), "LOCK TABLE risk_feedback IN ACCESS EXCLUSIVE MODE")
	}
	if err != nil {
		t.Fatal(err)
	}
	leaving, leave := context.WithCancel(t.Context())
	done := make(chan risk.Backtest, 1)
	go func() {
		b, err := s.RecentBacktest(leaving, acme, risk.BacktestRequest{})
		if err != nil {
			t.Errorf("the first: %v", err)
		}
		done <- b
	}()
	behind := s.store.Superuser(t)
	for waits := 0; waits == 0; {
		if err := behind.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'risk_feedback'::regclass").Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	// A run of its own would be refused: one runs. It waits instead, as long as its caller does.
	if _, err := s.RecentBacktest(gone, acme, risk.BacktestRequest{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the same meanwhile = %v, want %v", err, context.Canceled)
	}
	other := risk.BacktestRequest{Days: 7}
	if _, err := s.RecentBacktest(t.Context(), acme, other); !errors.Is(err, risk.ErrBusy) {
		t.Errorf("something else meanwhile = %v, want %v", err, risk.ErrBusy)
	}
	leave() // the first goes: what runs is for the others too
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := <-done
	if got := s.recent(t, acme, risk.BacktestRequest{}); got.Decisions != 1 || !got.At.Equal(first.At) {
		t.Errorf("afterwards = %d sign-ins as of %s, want those as of %s", got.Decisions, got.At, first.At)
	}
	if got := s.recent(t, acme, other); got.Decisions != 1 {
		t.Errorf("what was refused = %d sign-ins, want 1", got.Decisions)
	}
}
