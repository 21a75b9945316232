package rpc

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/tenancy/audit/view"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// auditViews is what the handler needs of view.Service.
type auditViews interface {
	List(ctx context.Context, sc scope.Scope) ([]view.View, error)
	Create(ctx context.Context, sc scope.Scope, name string, f view.Filter) (view.View, error)
	Delete(ctx context.Context, sc scope.Scope, id uuid.UUID) error
}

// ListAuditViews translates: one call, one answer.
func (h *AuditHandler) ListAuditViews(ctx context.Context, _ *adminv1.ListAuditViewsRequest) (*adminv1.ListAuditViewsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	list, err := h.views.List(ctx, sc)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListAuditViewsResponse{}
	for i := range list {
		res.AuditViews = append(res.AuditViews, toAuditView(&list[i]))
	}
	return res, nil
}

// CreateAuditView translates: one call, one answer.
func (h *AuditHandler) CreateAuditView(ctx context.Context, req *adminv1.CreateAuditViewRequest) (*adminv1.AuditView, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(v view.View) proto.Message { return toAuditView(&v) })
	f := req.GetFilter()
	filter := view.Filter{TargetKind: f.GetTargetKind(), Target: f.GetTarget(), Action: f.GetAction(), Actor: f.GetActor(), Days: int(f.GetDays())}
	for outcome, is := range auditOutcomes {
		if is == f.GetOutcome() {
			filter.Outcome = outcome
		}
	}
	if filter.Outcome == "" && f.GetOutcome() != adminv1.AuditEvent_OUTCOME_UNSPECIFIED {
		return nil, view.ErrFilter.With("field", "outcome")
	}
	v, err := h.views.Create(ctx, sc, req.GetName(), filter)
	if err != nil {
		return nil, err
	}
	return toAuditView(&v), nil
}

// DeleteAuditView translates: one call, one answer.
func (h *AuditHandler) DeleteAuditView(ctx context.Context, req *adminv1.DeleteAuditViewRequest) (*adminv1.DeleteAuditViewResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(req.GetAuditViewId())
	if err != nil {
		return nil, view.ErrNotFound
	}
	answers(ctx, func(view.View) proto.Message { return &adminv1.DeleteAuditViewResponse{} })
	if err := h.views.Delete(ctx, sc, id); err != nil {
		return nil, err
	}
	return &adminv1.DeleteAuditViewResponse{}, nil
}

func toAuditView(v *view.View) *adminv1.AuditView {
	return &adminv1.AuditView{
		Id: v.ID.String(), Name: v.Name, CreatedBy: v.CreatedBy, CreatedAt: timestamp(v.CreatedAt),
		Filter: &adminv1.AuditViewFilter{
			Outcome: auditOutcomes[v.Outcome], TargetKind: v.TargetKind, Target: v.Target, Action: v.Action, Actor: v.Actor, Days: whole(v.Days),
		},
	}
}
