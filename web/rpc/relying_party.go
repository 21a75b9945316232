package rpc

import (
	"context"

	"google.golang.org/protobuf/proto"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/rp"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// relyingParties is what the handler needs of rp.Service.
type relyingParties interface {
	Overview(ctx context.Context, sc scope.Scope) (rp.Overview, error)
	Check(ctx context.Context, sc scope.Scope, req rp.CheckRequest) ([]rp.Checked, error)
	Plan(ctx context.Context, sc scope.Scope, req rp.PlanRequest) (rp.Plan, error)
}

// domains is what the handler needs of tenant.Service.
type domains interface {
	DomainProof(ctx context.Context, sc scope.Scope) (tenant.DomainProof, error)
	VerifyDomain(ctx context.Context, sc scope.Scope) (tenant.DomainProof, error)
	Published(ctx context.Context, sc scope.Scope) ([]tenant.Published, error)
}

// RelyingPartyHandler serves RelyingPartyService.
type RelyingPartyHandler struct {
	adminv1connect.UnimplementedRelyingPartyServiceHandler
	parties relyingParties
	domains domains
}

// NewRelyingPartyHandler returns a handler over the two.
func NewRelyingPartyHandler(s *rp.Service, tenants *tenant.Service) *RelyingPartyHandler {
	return &RelyingPartyHandler{parties: s, domains: tenants}
}

// GetRelyingParty answers what the two services know.
func (h *RelyingPartyHandler) GetRelyingParty(ctx context.Context, _ *adminv1.GetRelyingPartyRequest) (*adminv1.RelyingParty, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	o, err := h.parties.Overview(ctx, sc)
	if err != nil {
		return nil, err
	}
	res := toParty(&o)
	proof, err := h.domains.DomainProof(ctx, sc)
	if err != nil {
		return nil, err
	}
	res.DomainProof = toDomainProof(&proof)
	return res, nil
}

// VerifyDomain translates: one call, one answer.
func (h *RelyingPartyHandler) VerifyDomain(ctx context.Context, _ *adminv1.VerifyDomainRequest) (*adminv1.DomainProof, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(p tenant.DomainProof) proto.Message { return toDomainProof(&p) })
	proof, err := h.domains.VerifyDomain(ctx, sc)
	if err != nil {
		return nil, err
	}
	return toDomainProof(&proof), nil
}

// FetchRelyingParty translates: one call, one answer.
func (h *RelyingPartyHandler) FetchRelyingParty(ctx context.Context, _ *adminv1.FetchRelyingPartyRequest) (*adminv1.FetchRelyingPartyResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := h.domains.Published(ctx, sc)
	if err != nil {
		return nil, err
	}
	res := &adminv1.FetchRelyingPartyResponse{}
	for _, d := range found {
		res.Documents = append(res.Documents, &adminv1.FetchedDocument{
			Url: d.URL, Purpose: d.Purpose, State: adminv1.FetchedDocument_State(adminv1.FetchedDocument_State_value[string(d.State)]), Problems: d.Problems,
		})
	}
	return res, nil
}

func toDomainProof(p *tenant.DomainProof) *adminv1.DomainProof {
	res := &adminv1.DomainProof{
		RpId: p.Challenge.RPID, State: adminv1.DomainProof_State(adminv1.DomainProof_State_value[string(p.State)]),
		Method:   adminv1.DomainProof_Method(adminv1.DomainProof_Method_value[string(p.Method)]),
		ProvenAt: timestampOf(p.ProvenAt), CheckedAt: timestampOf(p.CheckedAt), FailingSince: timestampOf(p.FailingSince),
	}
	for _, f := range p.Findings {
		res.Findings = append(res.Findings, &adminv1.DomainFinding{
			Method: adminv1.DomainProof_Method(adminv1.DomainProof_Method_value[string(f.Method)]), Reason: string(f.Reason), Detail: f.Detail,
		})
	}
	if !rp.IsLocalhost(p.Challenge.RPID) {
		res.Challenge = &adminv1.DomainChallenge{
			DnsName: p.Challenge.DNSName(), DnsValue: p.Challenge.Text(), FileUrl: p.Challenge.FileURL(), FileContent: p.Challenge.Text(),
		}
	}
	return res
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
