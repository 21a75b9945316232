package rpc

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/biocore-id/biocore/authcore/recovery"
	"github.com/biocore-id/biocore/authcore/user"
	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// recoveries is what the handler needs of recovery.Service.
type recoveries interface {
	CreateCodes(ctx context.Context, sc scope.Scope, id user.ID, reason string) (recovery.Codes, error)
	Codes(ctx context.Context, sc scope.Scope, id user.ID) (recovery.CodesStatus, error)
	DeleteCodes(ctx context.Context, sc scope.Scope, id user.ID, reason string) (recovery.DeletedCodes, error)
	Redeem(ctx context.Context, sc scope.Scope, req recovery.RedeemRequest) (recovery.Grant, error)
	Get(ctx context.Context, sc scope.Scope, id recovery.ID) (recovery.Recovery, error)
}

// RecoveryHandler serves the auth plane's RecoveryService.
type RecoveryHandler struct {
	authv1connect.UnimplementedRecoveryServiceHandler
	recoveries recoveries
}

// NewRecoveryHandler returns a handler over s.
func NewRecoveryHandler(s *recovery.Service) *RecoveryHandler { return &RecoveryHandler{recoveries: s} }

// CreateRecoveryCodes translates: one call, one answer.
func (h *RecoveryHandler) CreateRecoveryCodes(
	ctx context.Context, req *authv1.CreateRecoveryCodesRequest,
) (*authv1.CreateRecoveryCodesResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := user.ParseID(req.GetUserId())
	if err != nil {
		return nil, err
	}
	made, err := h.recoveries.CreateCodes(ctx, sc, id, req.GetReason())
	if err != nil {
		return nil, err
	}
	return &authv1.CreateRecoveryCodesResponse{Codes: made.Codes, CreatedAt: timestamp(made.CreatedAt)}, nil
}

// GetRecoveryCodes translates: one call, one answer.
func (h *RecoveryHandler) GetRecoveryCodes(ctx context.Context, req *authv1.GetRecoveryCodesRequest) (*authv1.GetRecoveryCodesResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := user.ParseID(req.GetUserId())
	if err != nil {
		return nil, err
	}
	s, err := h.recoveries.Codes(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return &authv1.GetRecoveryCodesResponse{
		Total: uint32(s.Total), Remaining: uint32(s.Remaining), //nolint:gosec // a handful
		CreatedAt: timestampOf(s.CreatedAt), LastUsedAt: timestampOf(s.LastUsedAt),
	}, nil
}

// DeleteRecoveryCodes translates: one call, one answer.
func (h *RecoveryHandler) DeleteRecoveryCodes(
	ctx context.Context, req *authv1.DeleteRecoveryCodesRequest,
) (*authv1.DeleteRecoveryCodesResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := user.ParseID(req.GetUserId())
	if err != nil {
		return nil, err
	}
	answer := func(d recovery.DeletedCodes) *authv1.DeleteRecoveryCodesResponse {
		return &authv1.DeleteRecoveryCodesResponse{Deleted: uint32(d.Codes)} //nolint:gosec // a handful
	}
	answers(ctx, func(d recovery.DeletedCodes) proto.Message { return answer(d) })
	deleted, err := h.recoveries.DeleteCodes(ctx, sc, id, req.GetReason())
	if err != nil {
		return nil, err
	}
	return answer(deleted), nil
}

// RedeemRecoveryCode translates: one call, one answer.
func (h *RecoveryHandler) RedeemRecoveryCode(
	ctx context.Context, req *authv1.RedeemRecoveryCodeRequest,
) (*authv1.RedeemRecoveryCodeResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	g, err := h.recoveries.Redeem(ctx, sc, recovery.RedeemRequest{ExternalID: req.GetExternalId(), Code: req.GetCode()})
	if err != nil {
		return nil, err
	}
	return &authv1.RedeemRecoveryCodeResponse{
		RegistrationToken: g.Token, ExpiresAt: timestamp(g.Recovery.ExpiresAt), Recovery: toRecovery(g.Recovery),
	}, nil
}

// GetRecovery translates: one call, one answer.
func (h *RecoveryHandler) GetRecovery(ctx context.Context, req *authv1.GetRecoveryRequest) (*authv1.Recovery, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := recovery.ParseID(req.GetRecoveryId())
	if err != nil {
		return nil, err
	}
	r, err := h.recoveries.Get(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return toRecovery(r), nil
}

func toRecovery(r recovery.Recovery) *authv1.Recovery {
	out := &authv1.Recovery{
		Id: r.ID.String(), UserId: r.UserID.String(), State: authv1.Recovery_State(authv1.Recovery_State_value[string(r.State)]),
		CreatedAt: timestamp(r.CreatedAt), ExpiresAt: timestamp(r.ExpiresAt),
	}
	if r.CredentialID != "" {
		out.CredentialId = new(r.CredentialID.String())
	}
	return out
}
