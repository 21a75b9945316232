package tenant

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrPolicyVersion is returned for a version that the tenant's policy never had.
var ErrPolicyVersion = fault.New(fault.NotFound, "POLICY_VERSION_UNKNOWN", "the policy has no such version")

// PolicyVersions returns one page of the versions of the tenant's policy, the newest
// first. It takes no filter. ErrNotFound, listing.ErrFilter, listing.ErrPageToken.
func (s *Service) PolicyVersions(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[PolicyVersion], error) {
	var page listing.Page[PolicyVersion]
	if sc.Tenant() == scope.PlatformTenant {
		return page, ErrNotFound
	}
	if req.Filter != "" {
		return page, listing.ErrFilter.WithMessage("versions of a policy take no filter")
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	query := listing.Query{List: "policies"}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	limit := req.Limit()
	params := tenantq.ListPoliciesParams{MaxRows: int32(limit) + 1} //nolint:gosec // at most listing.MaxPageSize; one more tells whether there is a next page
	if cursor != nil {
		if len(cursor) != 4 {
			return page, listing.ErrPageToken
		}
		before := int32(binary.BigEndian.Uint32(cursor)) //nolint:gosec // sealed by us, from an int32
		params.Before = &before
	}
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		page = listing.Page[PolicyVersion]{}
		rows, err := tx.ListPolicies(ctx, params)
		if err != nil {
			return fmt.Errorf("list policies: %w", err)
		}
		if len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, binary.BigEndian.AppendUint32(nil, uint32(rows[limit-1].Version))) //nolint:gosec // above 0
		}
		page.Items = make([]PolicyVersion, len(rows))
		for i, row := range rows {
			if page.Items[i], err = policyFromRow(sc.Tenant(), tenantq.GetPolicyRow(row)); err != nil {
				return err
			}
		}
		return nil
	})
	return page, err
}

// PolicyVersion returns one version of the tenant's policy. ErrPolicyVersion.
func (s *Service) PolicyVersion(ctx context.Context, sc scope.Scope, version int) (PolicyVersion, error) {
	var found PolicyVersion
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		found, err = storedPolicy(ctx, tx, version)
		return err
	})
	return found, err
}

// RollbackPolicyRequest names the version to go back to.
type RollbackPolicyRequest struct {
	Version int
	Reason  string // for the audit log; may be empty
	IfMatch string // the ETag that the caller read; empty: whatever it is now
}

// RollbackPolicy makes the document of an old version the next version of the policy, and
// returns it: history is not rewritten. It means what it meant when it was written. A
// version that says what the policy says leaves no trace. ErrPolicyVersion, and PutPolicy's.
func (s *Service) RollbackPolicy(ctx context.Context, sc scope.Scope, req RollbackPolicyRequest) (PolicyVersion, error) {
	return s.changePolicy(ctx, sc, req.IfMatch, req.Reason, func(ctx context.Context, tx *db.TenantTx, _ policy.Document) (policy.Document, []attr.Attr, error) {
		old, err := storedPolicy(ctx, tx, req.Version)
		return old.Document, []attr.Attr{attr.Int("rolledBackTo", int64(req.Version))}, err
	})
}

// storedPolicy is readPolicy for a version that somebody named.
func storedPolicy(ctx context.Context, tx *db.TenantTx, version int) (PolicyVersion, error) {
	if version < 1 || int(int32(version)) != version { //nolint:gosec // that is the question
		return PolicyVersion{}, ErrPolicyVersion
	}
	row, err := tx.GetPolicy(ctx, int32(version)) //nolint:gosec // see above
	if db.IsNoRows(err) {
		return PolicyVersion{}, ErrPolicyVersion
	} else if err != nil {
		return PolicyVersion{}, fmt.Errorf("get policy %d: %w", version, err)
	}
	return policyFromRow(tx.Scope().Tenant(), row)
}
