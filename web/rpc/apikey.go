package rpc

import (
	"context"
	"net/netip"
	"time"

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
	Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (apikey.Key, error)
	List(ctx context.Context, sc scope.Scope, req apikey.ListRequest) (listing.Page[apikey.Key], error)
	Rotate(ctx context.Context, sc scope.Scope, req apikey.RotateRequest) (apikey.Rotated, error)
	Lock(ctx context.Context, sc scope.Scope, req apikey.LockRequest) (apikey.Key, error)
	Unlock(ctx context.Context, sc scope.Scope, req apikey.LockRequest) (apikey.Key, error)
	Revoke(ctx context.Context, sc scope.Scope, req apikey.RevokeRequest) (apikey.Key, error)
}

// APIKeyHandler serves ApiKeyService.
type APIKeyHandler struct {
	adminv1connect.UnimplementedApiKeyServiceHandler
	keys apiKeys
	now  func() time.Time
}

// NewAPIKeyHandler returns a handler over s, which judges by now whether a key works.
func NewAPIKeyHandler(s *apikey.Service, now func() time.Time) *APIKeyHandler {
	return &APIKeyHandler{keys: s, now: now}
}

// calledBy is the key that calls. It bounds what the call may give away.
func calledBy(ctx context.Context) (scope.Scope, apikey.Caller, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return sc, apikey.Caller{}, err
	}
	caller, ok := ctx.Value(callerKey{}).(apikey.Caller)
	if !ok {
		return sc, apikey.Caller{}, scope.ErrMissing
	}
	caller.Scopes = append([]string{}, caller.Scopes...) // never nil: nil may grant all
	return sc, caller, nil
}

// CreateApiKey makes a key that can do no more than the key that asks. Its answer is
// the only one that holds the new key.
func (h *APIKeyHandler) CreateApiKey(ctx context.Context, req *adminv1.CreateApiKeyRequest) (*adminv1.ApiKey, error) {
	sc, caller, err := calledBy(ctx)
	if err != nil {
		return nil, err
	}
	in := apikey.CreateRequest{
		Kind: apikey.Kind(req.GetKind().String()), Name: req.GetName(), Scopes: req.GetScopes(), Reason: req.GetReason(),
		Within: caller.Scopes, Until: caller.ExpiresAt, From: caller.AllowedCIDRs,
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
	return h.toNewAPIKey(made), nil
}

// toNewAPIKey is the only answer that holds a key.
func (h *APIKeyHandler) toNewAPIKey(made apikey.Created) *adminv1.ApiKey {
	out := h.toAPIKey(made.Key)
	plain := made.Plain.Reveal()
	out.Key = &plain
	return out
}

// RotateApiKey makes a key that takes another's place, as CreateApiKey does.
func (h *APIKeyHandler) RotateApiKey(ctx context.Context, req *adminv1.RotateApiKeyRequest) (*adminv1.RotateApiKeyResponse, error) {
	sc, caller, err := calledBy(ctx)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(req.GetApiKeyId())
	if err != nil {
		return nil, apikey.ErrNotFound
	}
	in := apikey.RotateRequest{
		ID: id, Overlap: defaultOverlap, Reason: req.GetReason(), Within: caller.Scopes, Until: caller.ExpiresAt, From: caller.AllowedCIDRs,
	}
	if req.OverlapSeconds != nil {
		in.Overlap = time.Duration(req.GetOverlapSeconds()) * time.Second
	}
	if req.GetExpiresAt() != nil {
		at := req.GetExpiresAt().AsTime()
		in.ExpiresAt = &at
	}
	made, err := h.keys.Rotate(ctx, sc, in)
	if err != nil {
		return nil, err
	}
	return &adminv1.RotateApiKeyResponse{ApiKey: h.toNewAPIKey(made.Created), Replaced: h.toAPIKey(made.Old)}, nil
}

// defaultOverlap is a day: a rollout with its retries.
const defaultOverlap = 24 * time.Hour

// GetApiKey translates: one call, one answer.
func (h *APIKeyHandler) GetApiKey(ctx context.Context, req *adminv1.GetApiKeyRequest) (*adminv1.ApiKey, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(req.GetApiKeyId())
	if err != nil {
		return nil, apikey.ErrNotFound
	}
	k, err := h.keys.Get(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return h.toAPIKey(k), nil
}

// ListApiKeys translates: one call, one answer.
func (h *APIKeyHandler) ListApiKeys(ctx context.Context, req *adminv1.ListApiKeysRequest) (*adminv1.ListApiKeysResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.keys.List(ctx, sc, apikey.ListRequest{
		Request: listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter()},
		Order:   apikey.Order(req.GetOrderBy()),
	})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListApiKeysResponse{NextPageToken: page.NextToken}
	for _, k := range page.Items {
		res.ApiKeys = append(res.ApiKeys, h.toAPIKey(k))
	}
	return res, nil
}

// LockApiKey translates: one call, one answer.
func (h *APIKeyHandler) LockApiKey(ctx context.Context, req *adminv1.LockApiKeyRequest) (*adminv1.LockApiKeyResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(req.GetApiKeyId())
	if err != nil {
		return nil, apikey.ErrNotFound
	}
	answers(ctx, func(k apikey.Key) proto.Message { return &adminv1.LockApiKeyResponse{ApiKey: h.toAPIKey(k)} })
	k, err := h.keys.Lock(ctx, sc, apikey.LockRequest{ID: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return &adminv1.LockApiKeyResponse{ApiKey: h.toAPIKey(k)}, nil
}

// UnlockApiKey unlocks what the key that asks could have made.
func (h *APIKeyHandler) UnlockApiKey(ctx context.Context, req *adminv1.UnlockApiKeyRequest) (*adminv1.UnlockApiKeyResponse, error) {
	sc, caller, err := calledBy(ctx)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(req.GetApiKeyId())
	if err != nil {
		return nil, apikey.ErrNotFound
	}
	answers(ctx, func(k apikey.Key) proto.Message { return &adminv1.UnlockApiKeyResponse{ApiKey: h.toAPIKey(k)} })
	k, err := h.keys.Unlock(ctx, sc, apikey.LockRequest{ID: id, Reason: req.GetReason(), Within: caller.Scopes})
	if err != nil {
		return nil, err
	}
	return &adminv1.UnlockApiKeyResponse{ApiKey: h.toAPIKey(k)}, nil
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
		return &adminv1.RevokeApiKeyResponse{ApiKey: h.toAPIKey(k)}
	})
	k, err := h.keys.Revoke(ctx, sc, apikey.RevokeRequest{ID: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return &adminv1.RevokeApiKeyResponse{ApiKey: h.toAPIKey(k)}, nil
}

func (h *APIKeyHandler) toAPIKey(k apikey.Key) *adminv1.ApiKey {
	out := &adminv1.ApiKey{
		Id: k.ID.String(), Kind: adminv1.ApiKey_Kind(adminv1.ApiKey_Kind_value[string(k.Kind)]), Name: k.Name, Prefix: k.Prefix,
		Scopes: k.Scopes, CreatedBy: k.CreatedBy, CreatedAt: timestamp(k.CreatedAt),
		LastUsedAt: timestampOf(k.LastUsedAt), ExpiresAt: timestampOf(k.ExpiresAt), RevokedAt: timestampOf(k.RevokedAt),
		LockedAt: timestampOf(k.LockedAt), State: adminv1.ApiKey_State(adminv1.ApiKey_State_value[string(k.State(h.now()))]),
	}
	if k.ReplacedBy != nil {
		by := k.ReplacedBy.String()
		out.ReplacedBy = &by
	}
	for _, c := range k.AllowedCIDRs {
		out.AllowedCidrs = append(out.AllowedCidrs, c.String())
	}
	return out
}
