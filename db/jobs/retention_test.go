package jobs_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Retention is looked at when a server starts, in each tenant of every page, as the system and in
// that tenant alone. One that fails keeps no other from it, and is given up after two attempts: the
// next sweep finds what is left.
func TestRetentionSweep(t *testing.T) {
	store := dbtest.Fresh(t)
	acme, globex, initech := store.Tenant(t), store.Tenant(t), store.Tenant(t)
	pages := [][]uuid.UUID{{acme.Tenant(), globex.Tenant()}, {initech.Tenant()}}
	ran := make(chan scope.Scope, 20)
	server := func() func() {
		r := newRunner(store)
		r.ApplyRetention(func(_ context.Context, each func([]uuid.UUID) error) error {
			for _, page := range pages {
				if err := each(page); err != nil {
					return err
				}
			}
			return nil
		}, func(_ context.Context, sc scope.Scope) error {
			ran <- sc
			if sc.Tenant() == acme.Tenant() {
				return errors.New("its policy cannot be read")
			}
			return nil
		})
		return run(t, r)
	}
	stop := server()
	seen := map[uuid.UUID]bool{}
	for range 3 {
		sc := receive(t, ran)
		seen[sc.Tenant()] = true
		if sc.Actor().Kind != scope.ActorSystem || sc.Actor().ID != "job:retention" {
			t.Errorf("it runs as %+v", sc.Actor())
		}
	}
	for _, sc := range []scope.Scope{acme, globex, initech} {
		if !seen[sc.Tenant()] {
			t.Errorf("nothing was removed in %s", sc.Tenant())
		}
	}
	super := store.Superuser(t)
	until(t, super, 2, "SELECT count(*) FROM river.river_job WHERE kind = 'retention' AND state = 'completed'")
	until(t, super, 1, "SELECT count(*) FROM river.river_job WHERE kind = 'retention' AND state IN ('retryable', 'available')")
	until(t, super, 1, "SELECT count(*) FROM river.river_job WHERE kind = 'retention_sweep' AND state = 'completed'")
	stop()

	// The next server asks for a sweep as soon as it starts, together with its housekeeping, which
	// shows here that it has: there was one a moment ago.
	if _, err := super.Exec(t.Context(), "DELETE FROM river.river_job WHERE kind = 'housekeeping'"); err != nil {
		t.Fatal(err)
	}
	stop = server()
	defer stop()
	until(t, super, 1, "SELECT count(*) FROM river.river_job WHERE kind = 'housekeeping' AND state = 'completed'")
	until(t, super, 0, `SELECT count(*) FROM (
		SELECT FROM river.river_job WHERE kind = 'retention_sweep' GROUP BY date_bin('15 minutes', scheduled_at, '2026-01-01') HAVING count(*) > 1) twice`)
	if _, err := super.Exec(t.Context(), "UPDATE river.river_job SET scheduled_at = now() WHERE kind = 'retention' AND state = 'retryable'"); err != nil {
		t.Fatal(err)
	}
	until(t, super, 1, "SELECT count(*) FROM river.river_job WHERE kind = 'retention' AND state = 'discarded'")
}
