package tenant

import (
	"context"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// UpdateLifetimesRequest holds the fields of the policy to change, which are those of
// policy.Document; nil leaves one as it is.
type UpdateLifetimesRequest struct {
	AccessTokenSeconds        *int
	RefreshIdleSeconds        *int
	SessionLifetimeSeconds    *int
	StrongSignInMaxAgeSeconds *int
	CeremonyRetentionDays     *int
	SessionRetentionDays      *int
	EvidenceRetentionDays     *int
	AuditRetentionDays        *int

	Reason  string // for the audit log; may be empty
	IfMatch string // the policy's ETag that the caller read; empty: whatever it is now
}

// UpdateLifetimes changes how long tokens, sessions and records last, and leaves the rest of
// the tenant's policy as it is at that moment: its next version is all that comes of it
// (ADR 0048). It returns that version, and the one in force where nothing changes. What is
// wrong of the request is as PutPolicy says.
func (s *Service) UpdateLifetimes(ctx context.Context, sc scope.Scope, req UpdateLifetimesRequest) (PolicyVersion, error) {
	return s.changePolicy(ctx, sc, req.IfMatch, req.Reason, func(_ context.Context, _ *db.TenantTx, d policy.Document) (policy.Document, []attr.Attr, error) {
		for _, one := range []struct {
			to   *int
			from *int
		}{
			{&d.AccessTokenSeconds, req.AccessTokenSeconds},
			{&d.RefreshIdleSeconds, req.RefreshIdleSeconds},
			{&d.SessionLifetimeSeconds, req.SessionLifetimeSeconds},
			{&d.StrongSignInMaxAgeSeconds, req.StrongSignInMaxAgeSeconds},
			{&d.CeremonyRetentionDays, req.CeremonyRetentionDays},
			{&d.SessionRetentionDays, req.SessionRetentionDays},
			{&d.EvidenceRetentionDays, req.EvidenceRetentionDays},
			{&d.AuditRetentionDays, req.AuditRetentionDays},
		} {
			if one.from != nil {
				*one.to = *one.from
			}
		}
		return d, nil, d.Validate()
	})
}
