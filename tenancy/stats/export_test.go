package stats

import (
	"testing"
	"time"

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
