package blastradius

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Reconcile gives the orders that the tenant's policy asks for now: one for each model
// that is reported and of which the tenant has credentials that stand milder than its
// authenticatorStatus says. A model whose reports are those of its newest order is left
// as that order and whoever came after it have made it. It is idempotent, and answers
// how many orders it gave.
func (s *Service) Reconcile(ctx context.Context, sc scope.Scope) (int, error) {
	number, reports := s.reports()
	if len(reports) == 0 {
		return 0, nil
	}
	snap, err := s.tenants.Current(ctx, sc)
	if err != nil {
		return 0, fmt.Errorf("tenant: %w", err)
	}
	want := Disposition(snap.Policy.AuthenticatorStatus)
	byModel := make(map[uuid.UUID]Report, len(reports))
	models := make([]uuid.UUID, 0, len(reports))
	for _, r := range reports {
		byModel[r.AAGUID] = r
		models = append(models, r.AAGUID)
	}
	given := 0
	err = s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		given = 0 // this may be the second run
		rows, err := tx.CountModels(ctx, tenantq.CountModelsParams{Aaguids: models, Below: want.from(true), Disposition: string(want)})
		if err != nil {
			return fmt.Errorf("count models: %w", err)
		}
		// In one order, so that two servers that do this at once do not wait for each other.
		slices.SortFunc(rows, func(a, b tenantq.CountModelsRow) int { return slices.Compare(a.Aaguid[:], b.Aaguid[:]) })
		for _, row := range rows {
			report := byModel[row.Aaguid]
			if err := tx.LockModel(ctx, row.Aaguid); err != nil {
				return fmt.Errorf("lock model: %w", err)
			}
			newest, err := tx.GetNewestDisposition(ctx, row.Aaguid)
			if err != nil && !db.IsNoRows(err) {
				return fmt.Errorf("get newest disposition: %w", err)
			}
			if err == nil && settled(fromRow(newest), report, want) {
				continue
			}
			if _, err := s.give(ctx, tx, tenantq.InsertDispositionParams{
				Aaguid: row.Aaguid, Disposition: string(want), Automatic: true, Reports: report.Statuses,
				MdsNumber: int32(number), Reason: "reported by the FIDO Metadata Service", //nolint:gosec // as in Give
			}); err != nil {
				return err
			}
			given++
		}
		return nil
	})
	return given, err
}

// settled reports whether o has answered the reports already: a person has seen them, or
// the policy has done what it says. Credentials that came since the policy's own order
// are not settled by it.
func settled(o Order, now Report, want Disposition) bool {
	if !sameReports(o.Reports, now.Statuses) {
		return false
	}
	return !o.Automatic || o.FinishedAt == nil && o.Disposition == want
}

func sameReports(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
