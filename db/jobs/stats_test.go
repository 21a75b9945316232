package jobs_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// The sweep finds tenants that were never looked at and those with ceremonies after their
// mark, and leaves those alone where nothing happened.
func TestStatsAreDue(t *testing.T) {
	store := dbtest.Fresh(t)
	fresh, idle, busy := store.Tenant(t), store.Tenant(t), store.Tenant(t)
	for _, sc := range []scope.Scope{idle, busy, scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "test"})} {
		err := store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
			if err := tx.EnsureStatsMark(t.Context()); err != nil {
				return err
			}
			if err := tx.SetStatsCounted(t.Context(), tenantq.SetStatsCountedParams{CountedTo: tx.Now(), CountedAt: tx.Now()}); err != nil {
				return err
			}
			return tx.SetStatsMeasured(t.Context(), tenantq.SetStatsMeasuredParams{MeasuredAt: tx.Now(), MeasuredMs: 1})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := store.InTenant(t.Context(), busy, func(tx *db.TenantTx) error {
		return tx.InsertCeremony(t.Context(), tenantq.InsertCeremonyParams{
			At: store.Now(), ID: uuid.New(), Kind: "AUTHENTICATION", Outcome: "ALLOW", PolicyVersion: 1, Facts: "{}",
		})
	}); err != nil {
		t.Fatal(err)
	}
	r := newRunner(store)
	ran := make(chan uuid.UUID, 10)
	r.MaintainStats(func(_ context.Context, sc scope.Scope) error {
		ran <- sc.Tenant()
		return nil
	})
	stop := run(t, r)
	got := map[uuid.UUID]bool{receive(t, ran): true}
	got[receive(t, ran)] = true
	stop()
	if !got[fresh.Tenant()] || !got[busy.Tenant()] || len(ran) != 0 {
		t.Errorf("worked in %v and %d more, want %s and %s", got, len(ran), fresh.Tenant(), busy.Tenant())
	}
}
