package ceremony_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// assessed makes so many sign-ins that were assessed, one a second, the last one a minute ago.
func (w *world) assessed(t testing.TB, sc scope.Scope, n int) {
	t.Helper()
	if _, err := w.db.Superuser(t).Exec(t.Context(), `INSERT INTO ceremonies (tenant_id, at, id, kind, outcome, policy_version, facts)
		SELECT $1, now() - interval '1 minute' - i * interval '1 second', gen_random_uuid(), 'AUTHENTICATION', 'ALLOW', 1, '{"risk":{"version":1,"facts":{"adverse":true}}}'
		FROM generate_series(1, $2) i`, sc.Tenant(), n); err != nil {
		t.Fatal(err)
	}
}

// A backtest that has looked at all says so, and since when: as it was asked, however many pages that took.
func TestBacktestOfManyPages(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	w.assessed(t, acme, 2500)
	before := time.Now()
	b, err := w.risk.Backtest(t.Context(), acme, risk.BacktestRequest{Document: []byte(`{"denyScore":40,"stepUpScore":40}`), Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !b.All || b.Decisions != 2500 || b.Outcomes[risk.Deny] != 2500 || b.Since.After(before.AddDate(0, 0, -1).Add(time.Minute)) {
		t.Errorf("all %t of %d since %v", b.All, b.Decisions, b.Since)
	}
}

// What takes too long is broken off where it is, and not at the end of a page: rules may take their time.
func TestBacktestEndsInTime(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	w.assessed(t, acme, 100)
	var looks atomic.Int64
	o := w.db.Options()
	o.Now = func() time.Time { return time.Now().Add(time.Duration(looks.Add(1)) * time.Second) } // each look at the clock takes a second
	store, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	b, err := w.on(t, store).risk.Backtest(t.Context(), acme, risk.BacktestRequest{Document: []byte(`{"denyScore":40,"stepUpScore":40}`), Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	if b.All || b.Decisions == 0 || b.Decisions > 8 || b.Since.Before(time.Now().Add(-2*time.Minute)) {
		t.Errorf("all %t of %d since %v", b.All, b.Decisions, b.Since)
	}
}
