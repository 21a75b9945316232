package stats

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// CutOff counts so many stretches as Maintain does, and no more: the server is gone then.
func CutOff(t *testing.T, s *Service, sc scope.Scope, stretches int) {
	t.Helper()
	settled := s.store.Now().Add(-settle).Truncate(fine)
	from := time.Time{}
	for range stretches {
		var done counted
		if err := s.store.InTenant(t.Context(), sc, func(tx *db.TenantTx) (err error) {
			done, err = count(t.Context(), tx, from, settled)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		from = done.to
	}
}

// MaxFaultKeys is how many tenants and five minutes a Faults keeps apart.
const MaxFaultKeys = maxFaultKeys

// Keys is how many f keeps apart now.
func (f *Faults) Keys() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.counts)
}

// Waiting is how many of a tenant's are not written yet.
func (f *Faults) Waiting(tenant uuid.UUID) (n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, count := range f.counts {
		if key.tenant == tenant {
			n += count
		}
	}
	return n
}
