package rpc

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/simulation"
	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// policies is what the handler needs of tenant.Service.
type policies interface {
	Policy(ctx context.Context, sc scope.Scope) (tenant.PolicyVersion, error)
	PutPolicy(ctx context.Context, sc scope.Scope, req tenant.PutPolicyRequest) (tenant.PolicyVersion, error)
	PolicyVersions(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[tenant.PolicyVersion], error)
	PolicyVersion(ctx context.Context, sc scope.Scope, version int) (tenant.PolicyVersion, error)
	RollbackPolicy(ctx context.Context, sc scope.Scope, req tenant.RollbackPolicyRequest) (tenant.PolicyVersion, error)
}

// simulations is what the handler needs of simulation.Service.
type simulations interface {
	Simulate(ctx context.Context, sc scope.Scope, req simulation.Request) (simulation.Result, error)
}

// PolicyHandler serves PolicyService.
type PolicyHandler struct {
	adminv1connect.UnimplementedPolicyServiceHandler
	policies    policies
	simulations simulations
}

// NewPolicyHandler returns a handler over s, which tries drafts by sim.
func NewPolicyHandler(s *tenant.Service, sim *simulation.Service) *PolicyHandler {
	return &PolicyHandler{policies: s, simulations: sim}
}

// GetPolicy translates: one call, one answer.
func (h *PolicyHandler) GetPolicy(ctx context.Context, _ *adminv1.GetPolicyRequest) (*adminv1.Policy, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	p, err := h.policies.Policy(ctx, sc)
	if err != nil {
		return nil, err
	}
	return toPolicy(p), nil
}

// PutPolicy writes the next version; If-Match guards.
func (h *PolicyHandler) PutPolicy(ctx context.Context, req *adminv1.PutPolicyRequest) (*adminv1.Policy, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	document, err := protojson.Marshal(req.GetDocument())
	if err != nil { // a number that is none, or text that is not UTF-8: over gRPC alone
		return nil, policy.ErrInvalid.WithCause(err)
	}
	answers(ctx, func(p tenant.PolicyVersion) proto.Message { return toPolicy(p) })
	p, err := h.policies.PutPolicy(ctx, sc, tenant.PutPolicyRequest{Document: document, Reason: req.GetReason(), IfMatch: etag})
	if err != nil {
		return nil, err
	}
	return toPolicy(p), nil
}

// ListPolicyVersions translates: one call, one answer.
func (h *PolicyHandler) ListPolicyVersions(
	ctx context.Context, req *adminv1.ListPolicyVersionsRequest,
) (*adminv1.ListPolicyVersionsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.policies.PolicyVersions(ctx, sc, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListPolicyVersionsResponse{NextPageToken: page.NextToken}
	for _, p := range page.Items {
		res.Versions = append(res.Versions, toPolicy(p))
	}
	return res, nil
}

// GetPolicyVersion translates: one call, one answer.
func (h *PolicyHandler) GetPolicyVersion(ctx context.Context, req *adminv1.GetPolicyVersionRequest) (*adminv1.Policy, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	p, err := h.policies.PolicyVersion(ctx, sc, int(req.GetVersion()))
	if err != nil {
		return nil, err
	}
	return toPolicy(p), nil
}

// RollbackPolicy writes an old version's document as the next one; If-Match guards.
func (h *PolicyHandler) RollbackPolicy(ctx context.Context, req *adminv1.RollbackPolicyRequest) (*adminv1.Policy, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(p tenant.PolicyVersion) proto.Message { return toPolicy(p) })
	p, err := h.policies.RollbackPolicy(ctx, sc, tenant.RollbackPolicyRequest{
		Version: int(req.GetVersion()), Reason: req.GetReason(), IfMatch: etag,
	})
	if err != nil {
		return nil, err
	}
	return toPolicy(p), nil
}

// SimulatePolicy translates: one call, one answer.
func (h *PolicyHandler) SimulatePolicy(
	ctx context.Context, req *adminv1.SimulatePolicyRequest,
) (*adminv1.SimulatePolicyResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	document, err := protojson.Marshal(req.GetDocument())
	if err != nil { // as in PutPolicy
		return nil, policy.ErrInvalid.WithCause(err)
	}
	r, err := h.simulations.Simulate(ctx, sc, simulation.Request{Document: document, Days: int(req.GetDays())})
	if err != nil {
		return nil, err
	}
	res := &adminv1.SimulatePolicyResponse{
		Since: timestamp(r.Since), Ceremonies: tally(r.Ceremonies), All: r.All, Incomplete: tally(r.Incomplete), Apart: tally(r.Apart),
		Users: toCounts(r.Users, uuid.UUID.String), Credentials: toCounts(r.Credentials, credential.ID.String),
		Authenticators: toCounts(r.Authenticators, uuid.UUID.String),
		Existing: &adminv1.SimulatePolicyResponse_Existing{
			Credentials: tally(r.Standing.Credentials), All: r.Standing.All, Refused: tally(r.Standing.Refused),
			Reasons: toCounts(r.Standing.Reasons, itself), Authenticators: toCounts(r.Standing.Authenticators, uuid.UUID.String),
			Users: tally(r.Standing.Users), Unreachable: tally(r.Standing.Unreachable),
		},
	}
	for _, c := range r.Changes {
		res.Changes = append(res.Changes, &adminv1.SimulatePolicyResponse_Change{
			Kind: c.Kind, Before: string(c.Before), After: string(c.After), Count: tally(c.Count), Reasons: toCounts(c.Reasons, itself),
		})
	}
	return res, nil
}

func tally(n int) uint32 { return uint32(n) } //nolint:gosec // simulations are bounded

func itself(s string) string { return s }

func toCounts[T comparable](list []simulation.Affected[T], text func(T) string) []*adminv1.SimulatePolicyResponse_Count {
	out := make([]*adminv1.SimulatePolicyResponse_Count, len(list))
	for i, a := range list {
		out[i] = &adminv1.SimulatePolicyResponse_Count{Name: text(a.ID), Count: tally(a.Count)}
	}
	return out
}

func toPolicy(p tenant.PolicyVersion) *adminv1.Policy {
	document := new(structpb.Struct)
	text, err := p.Document.Complete()
	if err == nil {
		err = protojson.Unmarshal(text, document)
	}
	if err != nil {
		panic(fmt.Sprintf("the policy is no JSON: %v", err)) // policy made it
	}
	return &adminv1.Policy{
		Version: int32(p.Version), Document: document, CreatedBy: p.CreatedBy, //nolint:gosec // it came from an int32
		CreatedAt: timestamp(p.CreatedAt), Etag: p.ETag,
	}
}
