package rpc

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

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

// PolicyHandler serves PolicyService.
type PolicyHandler struct {
	adminv1connect.UnimplementedPolicyServiceHandler
	policies policies
}

// NewPolicyHandler returns a handler over s.
func NewPolicyHandler(s *tenant.Service) *PolicyHandler { return &PolicyHandler{policies: s} }

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
