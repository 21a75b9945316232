package rpc

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// signingKeys is what the handler needs of keys.Service.
type signingKeys interface {
	SigningKeys(ctx context.Context, sc scope.Scope) ([]keys.SigningKey, error)
	Rotate(ctx context.Context, sc scope.Scope, req keys.RotateRequest) (keys.SigningKey, error)
	Revoke(ctx context.Context, sc scope.Scope, req keys.RevokeKeyRequest) (keys.SigningKey, error)
}

// SigningKeyHandler serves SigningKeyService.
type SigningKeyHandler struct {
	adminv1connect.UnimplementedSigningKeyServiceHandler
	keys signingKeys
}

// NewSigningKeyHandler returns a handler over s.
func NewSigningKeyHandler(s *keys.Service) *SigningKeyHandler { return &SigningKeyHandler{keys: s} }

// ListSigningKeys translates: one call, one answer.
func (h *SigningKeyHandler) ListSigningKeys(ctx context.Context, _ *adminv1.ListSigningKeysRequest) (*adminv1.ListSigningKeysResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	list, err := h.keys.SigningKeys(ctx, sc)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListSigningKeysResponse{}
	for _, k := range list {
		out, err := toSigningKey(k)
		if err != nil {
			return nil, err
		}
		res.SigningKeys = append(res.SigningKeys, out)
	}
	return res, nil
}

// RotateSigningKey translates: one call, one answer.
func (h *SigningKeyHandler) RotateSigningKey(ctx context.Context, req *adminv1.RotateSigningKeyRequest) (*adminv1.RotateSigningKeyResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	in := keys.RotateRequest{Algorithm: req.GetAlgorithm(), Now: req.GetActivateNow(), Reason: req.GetReason()}
	answers(ctx, func(k keys.SigningKey) proto.Message {
		out, _ := toSigningKey(k) // it was just made: its public key can be read
		return &adminv1.RotateSigningKeyResponse{SigningKey: out}
	})
	k, err := h.keys.Rotate(ctx, sc, in)
	if err != nil {
		return nil, err
	}
	out, err := toSigningKey(k)
	if err != nil {
		return nil, err
	}
	return &adminv1.RotateSigningKeyResponse{SigningKey: out}, nil
}

// RevokeSigningKey translates: one call, one answer.
func (h *SigningKeyHandler) RevokeSigningKey(ctx context.Context, req *adminv1.RevokeSigningKeyRequest) (*adminv1.RevokeSigningKeyResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(k keys.SigningKey) proto.Message {
		out, _ := toSigningKey(k) // it was made here: its public key can be read
		return &adminv1.RevokeSigningKeyResponse{SigningKey: out}
	})
	k, err := h.keys.Revoke(ctx, sc, keys.RevokeKeyRequest{KID: req.GetKid(), Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	out, err := toSigningKey(k)
	if err != nil {
		return nil, err
	}
	return &adminv1.RevokeSigningKeyResponse{SigningKey: out}, nil
}

func toSigningKey(k keys.SigningKey) (*adminv1.SigningKey, error) {
	text, err := keys.PublicJWK(k.Public)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", k.KID, err)
	}
	public := new(structpb.Struct)
	if err := public.UnmarshalJSON(text); err != nil {
		return nil, fmt.Errorf("signing key %s: %w", k.KID, err)
	}
	out := &adminv1.SigningKey{
		Kid: k.KID, Algorithm: adminv1.SigningKey_Algorithm(adminv1.SigningKey_Algorithm_value[k.Algorithm]),
		State:    adminv1.SigningKey_State(adminv1.SigningKey_State_value[string(k.State)]),
		Location: adminv1.SigningKey_SEALED, PublicKey: public,
		CreatedAt: timestamp(k.CreatedAt), ActivateAt: timestampOf(k.ActivateAt), ActivatedAt: timestampOf(k.ActivatedAt),
		RetiredAt: timestampOf(k.RetiredAt), RevokeAt: timestampOf(k.RevokeAt), RevokedAt: timestampOf(k.RevokedAt),
		RevokeReason: k.RevokeReason,
	}
	if k.InKMS {
		out.Location = adminv1.SigningKey_KMS
	}
	return out, nil
}
