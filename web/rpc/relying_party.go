package rpc

import (
	"context"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/rp"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// relyingParties is what the handler needs of rp.Service.
type relyingParties interface {
	Overview(ctx context.Context, sc scope.Scope) (rp.Overview, error)
	Check(ctx context.Context, sc scope.Scope, req rp.CheckRequest) ([]rp.Checked, error)
	Plan(ctx context.Context, sc scope.Scope, req rp.PlanRequest) (rp.Plan, error)
}

// RelyingPartyHandler serves RelyingPartyService.
type RelyingPartyHandler struct {
	adminv1connect.UnimplementedRelyingPartyServiceHandler
	parties relyingParties
}

// NewRelyingPartyHandler returns a handler over s.
func NewRelyingPartyHandler(s *rp.Service) *RelyingPartyHandler {
	return &RelyingPartyHandler{parties: s}
}

// GetRelyingParty translates: one call, one answer.
func (h *RelyingPartyHandler) GetRelyingParty(ctx context.Context, _ *adminv1.GetRelyingPartyRequest) (*adminv1.RelyingParty, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	o, err := h.parties.Overview(ctx, sc)
	if err != nil {
		return nil, err
	}
	return toParty(&o), nil
}

// CheckRelyingParty translates: one call, one answer.
func (h *RelyingPartyHandler) CheckRelyingParty(ctx context.Context, req *adminv1.CheckRelyingPartyRequest) (*adminv1.CheckRelyingPartyResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	checked, err := h.parties.Check(ctx, sc, rp.CheckRequest{RPID: req.GetRpId(), Origins: req.GetOrigins()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.CheckRelyingPartyResponse{}
	for _, c := range checked {
		res.Origins = append(res.Origins, toVerdict(c.Origin, c.Verdict))
	}
	return res, nil
}

// PlanRelyingParty translates: one call, one answer.
func (h *RelyingPartyHandler) PlanRelyingParty(ctx context.Context, req *adminv1.PlanRelyingPartyRequest) (*adminv1.RelyingPartyPlan, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	p, err := h.parties.Plan(ctx, sc, rp.PlanRequest{RPID: req.GetRpId(), Origins: req.GetOrigins()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.RelyingPartyPlan{
		Today: toParty(&p.Overview), RpId: p.To, Way: adminv1.RelyingPartyPlan_Way(adminv1.RelyingPartyPlan_Way_value[string(p.Way)]),
		CredentialsAffected: whole(p.CredentialsAffected), UsersAffected: whole(p.UsersAffected), UsersStranded: whole(p.UsersStranded),
		RelatedOriginsNeeded: p.RelatedNeeded, RelatedOriginBudget: toBudget(&p.RelatedBudget), Clients: p.Clients,
	}
	for _, m := range p.Origins {
		res.Origins = append(res.Origins, &adminv1.PlannedOrigin{Now: toVerdict(m.Origin, m.Now), Then: toVerdict(m.Origin, m.Then)})
	}
	for _, w := range p.Warnings {
		res.Warnings = append(res.Warnings, &adminv1.PlanWarning{Code: w.Code, Text: w.Text})
	}
	for _, s := range p.Steps {
		res.Steps = append(res.Steps, &adminv1.PlanStep{Do: s.Do, Verify: s.Verify})
	}
	return res, nil
}

func toVerdict(origin string, v rp.Verdict) *adminv1.OriginVerdict {
	return &adminv1.OriginVerdict{
		Origin: origin, Relation: adminv1.OriginVerdict_Relation(adminv1.OriginVerdict_Relation_value[string(v.Relation)]),
		Reason: string(v.Reason), Detail: v.Detail,
	}
}

func toBudget(b *rp.Budget) *adminv1.RelatedOriginBudget {
	return &adminv1.RelatedOriginBudget{Labels: b.Labels, Limit: whole(b.Limit)}
}

func toParty(o *rp.Overview) *adminv1.RelyingParty {
	res := &adminv1.RelyingParty{
		RpId: o.RPID, Origins: o.Origins, RelatedOrigins: o.RelatedOrigins, RelatedOriginBudget: toBudget(&o.Budget),
		Users: whole(o.Users), UsersWithCredential: whole(o.UsersAble),
	}
	for i := range o.Credentials {
		c := &o.Credentials[i]
		res.Credentials = append(res.Credentials, &adminv1.CredentialCounts{
			RpId: c.RPID, Total: whole(c.Total), Users: whole(c.Users), Active: whole(c.Active), Suspended: whole(c.Suspended), Revoked: whole(c.Revoked),
			Discoverable: whole(c.Discoverable), NotDiscoverable: whole(c.NotDiscoverable), UsedRecently: whole(c.UsedRecently),
			LastUsedAt: timestampOf(c.LastUsedAt),
		})
	}
	return res
}

// whole is a count on the wire; it came from an int32.
func whole(n int) int32 { return int32(n) } //nolint:gosec // counts of the database
