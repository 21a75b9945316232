package jobs_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Audit logs are looked at when a server starts, in each tenant of every page, as the system and in that tenant alone, for as
// long as was asked for.
func TestAuditArchiveSweep(t *testing.T) {
	store := dbtest.Fresh(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	type seen struct {
		sc   scope.Scope
		left time.Duration
	}
	ran := make(chan seen, 20)
	r := newRunner(store)
	r.ArchiveAudit(7*time.Minute, func(_ context.Context, each func([]uuid.UUID) error) error {
		if err := each([]uuid.UUID{acme.Tenant()}); err != nil {
			return err
		}
		return each([]uuid.UUID{globex.Tenant()})
	}, func(ctx context.Context, sc scope.Scope) error {
		end, _ := ctx.Deadline()
		ran <- seen{sc, time.Until(end)}
		return nil
	})
	defer run(t, r)()
	of := map[uuid.UUID]bool{}
	for range 2 {
		one := receive(t, ran)
		of[one.sc.Tenant()] = true
		if one.sc.Actor().Kind != scope.ActorSystem || one.sc.Actor().ID != "job:audit_archive" || one.left < 6*time.Minute || one.left > 7*time.Minute {
			t.Errorf("it runs as %+v for %v", one.sc.Actor(), one.left)
		}
	}
	if !of[acme.Tenant()] || !of[globex.Tenant()] {
		t.Errorf("it ran in %v", of)
	}
}
