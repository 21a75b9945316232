package rpc

import (
	"context"
	"net/netip"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// apiKeys is what the handler needs of apikey.Service.
type apiKeys interface {
	Create(ctx context.Context, sc scope.Scope, req apikey.CreateRequest) (apikey.Created, error)
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[apikey.Key], error)
	Revoke(ctx context.Context, sc scope.Scope, req apikey.RevokeRequest) (apikey.Key, error)
}

// APIKeyHandler serves ApiKeyService.
type APIKeyHandler struct {
	adminv1connect.UnimplementedApiKeyServiceHandler
	keys apiKeys
}

// NewAPIKeyHandler returns a handler over s.
func NewAPIKeyHandler(s *apikey.Service) *APIKeyHandler { return &APIKeyHandler{keys: s} }

// CreateApiKey makes a key that can do no more than the key that asks. Its answer is
// the only one that holds the new key.
func (h *APIKeyHandler) CreateApiKey(ctx context.Context, req *adminv1.CreateApiKeyRequest) (*adminv1.ApiKey, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	caller, ok := ctx.Value(callerKey{}).(apikey.Caller)
	if !ok {
		return nil, scope.ErrMissing
	}
	in := apikey.CreateRequest{
		Kind: apikey.Kind(req.GetKind().String()), Name: req.GetName(), Scopes: req.GetScopes(),
		Within: append([]string{}, caller.Scopes...), Until: caller.ExpiresAt, From: caller.AllowedCIDRs, // never nil: nil may grant all
	}
	for _, s := range req.GetAllowedCidrs() {
		prefix, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, ErrInvalid.With("allowedCidrs", "value must be an IP prefix").WithCause(err)
		}
		in.AllowedCIDRs = append(in.AllowedCIDRs, prefix.Masked())
	}
	if req.GetExpiresAt() != nil {
		at := req.GetExpiresAt().AsTime()
		in.ExpiresAt = &at
	}
	made, err := h.keys.Create(ctx, sc, in)
	if err != nil {
		return nil, err
	}
	out := toAPIKey(made.Key)
	plain := made.Plain.Reveal()
	out.Key = &plain
	return out, nil
}

// ListApiKeys translates: one call, one answer.
func (h *APIKeyHandler) ListApiKeys(ctx context.Context, req *adminv1.ListApiKeysRequest) (*adminv1.ListApiKeysResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.keys.List(ctx, sc, listing.Request{
		PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter(),
	})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListApiKeysResponse{NextPageToken: page.NextToken}
	for _, k := range page.Items {
		res.ApiKeys = append(res.ApiKeys, toAPIKey(k))
	}
	return res, nil
}

// RevokeApiKey translates: one call, one answer.
func (h *APIKeyHandler) RevokeApiKey(ctx context.Context, req *adminv1.RevokeApiKeyRequest) (*adminv1.RevokeApiKeyResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(req.GetApiKeyId())
	if err != nil {
		return nil, apikey.ErrNotFound
	}
	answers(ctx, func(k apikey.Key) proto.Message {
		return &adminv1.RevokeApiKeyResponse{ApiKey: toAPIKey(k)}
	})
	k, err := h.keys.Revoke(ctx, sc, apikey.RevokeRequest{ID: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return &adminv1.RevokeApiKeyResponse{ApiKey: toAPIKey(k)}, nil
}

func toAPIKey(k apikey.Key) *adminv1.ApiKey {
	out := &adminv1.ApiKey{
		Id: k.ID.String(), Kind: adminv1.ApiKey_Kind(adminv1.ApiKey_Kind_value[string(k.Kind)]), Name: k.Name, Prefix: k.Prefix,
		Scopes: k.Scopes, CreatedBy: k.CreatedBy, CreatedAt: timestamp(k.CreatedAt),
		LastUsedAt: timestampOf(k.LastUsedAt), ExpiresAt: timestampOf(k.ExpiresAt), RevokedAt: timestampOf(k.RevokedAt),
	}
	for _, c := range k.AllowedCIDRs {
		out.AllowedCidrs = append(out.AllowedCidrs, c.String())
	}
	return out
}
