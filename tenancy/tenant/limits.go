package tenant

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// LimitsRequest names a tenant and what to change of its rate limits; the others stay.
type LimitsRequest struct {
	ID     uuid.UUID
	Set    []ratelimit.Calls
	Remove []string // names of limits that are those of all again
	Reason string   // for the audit log
}

// SetLimits gives a tenant rate limits of its own, which every server holds it to within a second,
// and returns the tenant. One that changes nothing leaves no trace. ErrReason, ratelimit.ErrOwn,
// and what change returns.
func (s *Service) SetLimits(ctx context.Context, sc scope.Scope, req LimitsRequest) (Tenant, error) {
	if err := checkReason(req.Reason); err != nil {
		return Tenant{}, err
	}
	return s.change(ctx, sc, req.ID, "settle limits", func(tx *db.PlatformTx, own *db.TenantTx, before Tenant) (Tenant, error) {
		limits, err := before.Limits.With(req.Set, req.Remove)
		if err != nil {
			return Tenant{}, err
		}
		from, to := limitDifferences(&before.Limits, &limits)
		if len(to) == 0 {
			return before, nil
		}
		row, err := tx.SetTenantLimits(ctx, platformq.SetTenantLimitsParams{ID: req.ID, Limits: limits.JSON(), Now: own.Now()})
		if err != nil {
			return Tenant{}, fmt.Errorf("set limits: %w", err)
		}
		return fromRow(tenantq.Tenant(row)), s.record(ctx, own, event.LimitsChanged, audit.Entry{Action: "limits.set", Reason: req.Reason, Before: from, After: to})
	})
}

// limitDifferences are the calls of limits that are not what they were.
func limitDifferences(a, b *ratelimit.Own) (before, after []attr.Attr) {
	for _, l := range ratelimit.All() {
		if was, is := a.Of(l).Max, b.Of(l).Max; was != is {
			before, after = append(before, attr.Int(l.Name, was)), append(after, attr.Int(l.Name, is))
		}
	}
	return before, after
}
