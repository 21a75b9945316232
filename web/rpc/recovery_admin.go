package rpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/biocore-id/biocore/authcore/recovery"
	"github.com/biocore-id/biocore/authcore/user"
	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// recoveryDesk is what the handler needs of recovery.Service.
type recoveryDesk interface {
	CreateLink(ctx context.Context, sc scope.Scope, req recovery.LinkRequest) (recovery.Grant, error)
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[recovery.Recovery], error)
	Get(ctx context.Context, sc scope.Scope, id recovery.ID) (recovery.Recovery, error)
	Approve(ctx context.Context, sc scope.Scope, req recovery.DecideRequest) (recovery.Recovery, error)
	Refuse(ctx context.Context, sc scope.Scope, req recovery.DecideRequest) (recovery.Recovery, error)
	Revoke(ctx context.Context, sc scope.Scope, req recovery.DecideRequest) (recovery.Recovery, error)
}

// RecoveryDeskHandler serves the admin plane's RecoveryService.
type RecoveryDeskHandler struct {
	adminv1connect.UnimplementedRecoveryServiceHandler
	recoveries recoveryDesk
}

// NewRecoveryDeskHandler returns a handler over s.
func NewRecoveryDeskHandler(s *recovery.Service) *RecoveryDeskHandler {
	return &RecoveryDeskHandler{recoveries: s}
}

// CreateEnrollmentLink translates: one call, one answer.
func (h *RecoveryDeskHandler) CreateEnrollmentLink(
	ctx context.Context, req *adminv1.CreateEnrollmentLinkRequest,
) (*adminv1.CreateEnrollmentLinkResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := user.ParseID(req.GetUserId())
	if err != nil {
		return nil, err
	}
	g, err := h.recoveries.CreateLink(ctx, sc, recovery.LinkRequest{
		UserID: id, Life: time.Duration(req.GetExpiresInSeconds()) * time.Second, Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateEnrollmentLinkResponse{Recovery: toAdminRecovery(g.Recovery), RegistrationToken: g.Token, Url: g.URL}, nil
}

// ListRecoveries translates: one call, one answer.
func (h *RecoveryDeskHandler) ListRecoveries(ctx context.Context, req *adminv1.ListRecoveriesRequest) (*adminv1.ListRecoveriesResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.recoveries.List(ctx, sc, listing.Request{
		PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter(),
	})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListRecoveriesResponse{NextPageToken: page.NextToken}
	for _, r := range page.Items {
		res.Recoveries = append(res.Recoveries, toAdminRecovery(r))
	}
	return res, nil
}

// GetRecovery translates: one call, one answer.
func (h *RecoveryDeskHandler) GetRecovery(ctx context.Context, req *adminv1.GetRecoveryRequest) (*adminv1.Recovery, error) {
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
	return toAdminRecovery(r), nil
}

// ApproveRecovery translates: one call, one answer.
func (h *RecoveryDeskHandler) ApproveRecovery(ctx context.Context, req *adminv1.ApproveRecoveryRequest) (*adminv1.ApproveRecoveryResponse, error) {
	r, err := decide(ctx, h.recoveries.Approve, req, func(r *adminv1.Recovery) proto.Message { return &adminv1.ApproveRecoveryResponse{Recovery: r} })
	if err != nil {
		return nil, err
	}
	return &adminv1.ApproveRecoveryResponse{Recovery: r}, nil
}

// RefuseRecovery translates: one call, one answer.
func (h *RecoveryDeskHandler) RefuseRecovery(ctx context.Context, req *adminv1.RefuseRecoveryRequest) (*adminv1.RefuseRecoveryResponse, error) {
	r, err := decide(ctx, h.recoveries.Refuse, req, func(r *adminv1.Recovery) proto.Message { return &adminv1.RefuseRecoveryResponse{Recovery: r} })
	if err != nil {
		return nil, err
	}
	return &adminv1.RefuseRecoveryResponse{Recovery: r}, nil
}

// RevokeRecovery translates: one call, one answer.
func (h *RecoveryDeskHandler) RevokeRecovery(ctx context.Context, req *adminv1.RevokeRecoveryRequest) (*adminv1.RevokeRecoveryResponse, error) {
	r, err := decide(ctx, h.recoveries.Revoke, req, func(r *adminv1.Recovery) proto.Message { return &adminv1.RevokeRecoveryResponse{Recovery: r} })
	if err != nil {
		return nil, err
	}
	return &adminv1.RevokeRecoveryResponse{Recovery: r}, nil
}

// decide is what the three decisions have in common: the same request, the same answer.
func decide(
	ctx context.Context, verb func(context.Context, scope.Scope, recovery.DecideRequest) (recovery.Recovery, error),
	req interface {
		GetRecoveryId() string
		GetReason() string
	}, answer func(*adminv1.Recovery) proto.Message,
) (*adminv1.Recovery, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := recovery.ParseID(req.GetRecoveryId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(r recovery.Recovery) proto.Message { return answer(toAdminRecovery(r)) })
	r, err := verb(ctx, sc, recovery.DecideRequest{ID: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return toAdminRecovery(r), nil
}

func toAdminRecovery(r recovery.Recovery) *adminv1.Recovery {
	return &adminv1.Recovery{
		Id: r.ID.String(), UserId: r.UserID.String(),
		Kind:   adminv1.Recovery_Kind(adminv1.Recovery_Kind_value[string(r.Kind)]),
		State:  adminv1.Recovery_State(adminv1.Recovery_State_value[string(r.State)]),
		Reason: r.Reason, RequestedBy: r.RequestedBy, CreatedAt: timestamp(r.CreatedAt), ExpiresAt: timestamp(r.ExpiresAt),
		DecidedBy: r.DecidedBy, DecidedAt: timestampOf(r.DecidedAt), CompletedAt: timestampOf(r.CompletedAt), CredentialId: r.CredentialID.String(),
	}
}
