package rpc

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/support"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// supportDesk is what the handler needs of support.Service.
type supportDesk interface {
	Request(ctx context.Context, sc scope.Scope, req support.Request) (support.Grant, error)
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[support.Grant], error)
	Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (support.Grant, error)
	Grant(ctx context.Context, sc scope.Scope, req support.GrantRequest) (support.Grant, error)
	Refuse(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (support.Grant, error)
	Revoke(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (support.Grant, error)
	Actions(ctx context.Context, sc scope.Scope, id uuid.UUID, req listing.Request) (listing.Page[support.Action], error)
}

// SupportHandler serves SupportService.
type SupportHandler struct {
	adminv1connect.UnimplementedSupportServiceHandler
	support supportDesk
}

// NewSupportHandler returns a handler over s.
func NewSupportHandler(s *support.Service) *SupportHandler { return &SupportHandler{support: s} }

// RequestSupportAccess translates: one call, one answer.
func (h *SupportHandler) RequestSupportAccess(ctx context.Context, req *adminv1.RequestSupportAccessRequest) (*adminv1.SupportGrant, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	tenantID, err := uuid.Parse(req.GetTenantId())
	if err != nil {
		return nil, tenant.ErrNotFound
	}
	person, err := uuid.Parse(req.GetPersonId())
	if err != nil {
		return nil, member.ErrStaff
	}
	answers(ctx, func(g support.Grant) proto.Message { return toSupportGrant(g) })
	g, err := h.support.Request(ctx, sc, support.Request{
		TenantID: tenantID, PersonID: person, Reason: req.GetReason(), Ticket: req.GetTicket(),
		For: time.Duration(req.GetMinutes()) * time.Minute, Access: support.Access(req.GetAccess()),
	})
	if err != nil {
		return nil, err
	}
	return toSupportGrant(g), nil
}

// ListSupportGrants translates: one call, one answer.
func (h *SupportHandler) ListSupportGrants(ctx context.Context, req *adminv1.ListSupportGrantsRequest) (*adminv1.ListSupportGrantsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.support.List(ctx, sc, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListSupportGrantsResponse{NextPageToken: page.NextToken}
	for i := range page.Items {
		res.SupportGrants = append(res.SupportGrants, toSupportGrant(page.Items[i]))
	}
	return res, nil
}

// GetSupportGrant translates: one call, one answer.
func (h *SupportHandler) GetSupportGrant(ctx context.Context, req *adminv1.GetSupportGrantRequest) (*adminv1.SupportGrant, error) {
	sc, id, err := supportGrantOf(ctx, req)
	if err != nil {
		return nil, err
	}
	g, err := h.support.Get(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return toSupportGrant(g), nil
}

// GrantSupportAccess translates: one call, one answer.
func (h *SupportHandler) GrantSupportAccess(ctx context.Context, req *adminv1.GrantSupportAccessRequest) (*adminv1.GrantSupportAccessResponse, error) {
	sc, id, err := supportGrantOf(ctx, req)
	if err != nil {
		return nil, err
	}
	to := func(g support.Grant) *adminv1.GrantSupportAccessResponse {
		return &adminv1.GrantSupportAccessResponse{SupportGrant: toSupportGrant(g)}
	}
	answers(ctx, func(g support.Grant) proto.Message { return to(g) })
	g, err := h.support.Grant(ctx, sc, support.GrantRequest{
		ID: id, Access: support.Access(req.GetAccess()), For: time.Duration(req.GetMinutes()) * time.Minute, Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return to(g), nil
}

// RefuseSupportAccess translates: one call, one answer.
func (h *SupportHandler) RefuseSupportAccess(ctx context.Context, req *adminv1.RefuseSupportAccessRequest) (*adminv1.RefuseSupportAccessResponse, error) {
	sc, id, err := supportGrantOf(ctx, req)
	if err != nil {
		return nil, err
	}
	to := func(g support.Grant) *adminv1.RefuseSupportAccessResponse {
		return &adminv1.RefuseSupportAccessResponse{SupportGrant: toSupportGrant(g)}
	}
	answers(ctx, func(g support.Grant) proto.Message { return to(g) })
	g, err := h.support.Refuse(ctx, sc, id, req.GetReason())
	if err != nil {
		return nil, err
	}
	return to(g), nil
}

// RevokeSupportAccess translates: one call, one answer.
func (h *SupportHandler) RevokeSupportAccess(ctx context.Context, req *adminv1.RevokeSupportAccessRequest) (*adminv1.RevokeSupportAccessResponse, error) {
	sc, id, err := supportGrantOf(ctx, req)
	if err != nil {
		return nil, err
	}
	to := func(g support.Grant) *adminv1.RevokeSupportAccessResponse {
		return &adminv1.RevokeSupportAccessResponse{SupportGrant: toSupportGrant(g)}
	}
	answers(ctx, func(g support.Grant) proto.Message { return to(g) })
	g, err := h.support.Revoke(ctx, sc, id, req.GetReason())
	if err != nil {
		return nil, err
	}
	return to(g), nil
}

// ListSupportActions translates: one call, one answer.
func (h *SupportHandler) ListSupportActions(ctx context.Context, req *adminv1.ListSupportActionsRequest) (*adminv1.ListSupportActionsResponse, error) {
	sc, id, err := supportGrantOf(ctx, req)
	if err != nil {
		return nil, err
	}
	page, err := h.support.Actions(ctx, sc, id, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListSupportActionsResponse{NextPageToken: page.NextToken}
	for _, a := range page.Items {
		res.Actions = append(res.Actions, &adminv1.SupportAction{
			Id: a.ID.String(), At: timestamp(a.At), Action: a.Action, Outcome: string(a.Outcome), Page: a.Page,
			TargetKind: a.Target.Kind, TargetId: a.Target.ID, Reason: a.Reason,
		})
	}
	return res, nil
}

// supportGrantOf is the caller and the grant that a request names: support.ErrNotFound for
// what can be none.
func supportGrantOf(ctx context.Context, req interface{ GetSupportGrantId() string }) (scope.Scope, uuid.UUID, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return scope.Scope{}, uuid.Nil, err
	}
	id, err := uuid.Parse(req.GetSupportGrantId())
	if err != nil {
		return scope.Scope{}, uuid.Nil, support.ErrNotFound
	}
	return sc, id, nil
}

func toSupportGrant(g support.Grant) *adminv1.SupportGrant {
	return &adminv1.SupportGrant{
		Id: g.ID.String(), PersonId: g.PersonID.String(), PersonName: g.PersonName, State: string(g.State), Reason: g.Reason, Ticket: g.Ticket,
		WantedAccess: string(g.WantedAccess), WantedMinutes: uint32(g.Wanted / time.Minute), //nolint:gosec // at most 60
		RequestedBy: g.RequestedBy, RequestedAt: timestamp(g.RequestedAt), Access: string(g.Access),
		DecidedBy: g.DecidedBy, DecideReason: g.DecideReason, EndedBy: g.EndedBy, EndReason: g.EndReason,
		DecidedAt: timestampOf(g.DecidedAt), ExpiresAt: timestampOf(g.ExpiresAt), EndedAt: timestampOf(g.EndedAt),
	}
}
