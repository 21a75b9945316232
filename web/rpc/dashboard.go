package rpc

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/dashboard"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/stats"
)

// dashboards is what the handler needs of dashboard.Service.
type dashboards interface {
	List(ctx context.Context, sc scope.Scope) ([]dashboard.Dashboard, error)
	Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (dashboard.Dashboard, error)
	Create(ctx context.Context, sc scope.Scope, title string, charts []dashboard.Chart) (dashboard.Dashboard, error)
	Update(ctx context.Context, sc scope.Scope, req dashboard.UpdateRequest) (dashboard.Dashboard, error)
	Delete(ctx context.Context, sc scope.Scope, req dashboard.DeleteRequest) error
}

// DashboardHandler serves DashboardService.
type DashboardHandler struct {
	adminv1connect.UnimplementedDashboardServiceHandler
	boards dashboards
}

// NewDashboardHandler returns a handler over s.
func NewDashboardHandler(s *dashboard.Service) *DashboardHandler { return &DashboardHandler{boards: s} }

// ListDashboards translates: one call, one answer.
func (h *DashboardHandler) ListDashboards(ctx context.Context, _ *adminv1.ListDashboardsRequest) (*adminv1.ListDashboardsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	list, err := h.boards.List(ctx, sc)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListDashboardsResponse{}
	for i := range list {
		res.Dashboards = append(res.Dashboards, toDashboard(&list[i]))
	}
	return res, nil
}

// GetDashboard translates: one call, one answer.
func (h *DashboardHandler) GetDashboard(ctx context.Context, req *adminv1.GetDashboardRequest) (*adminv1.Dashboard, error) {
	sc, id, err := dashboardOf(ctx, req.GetDashboardId())
	if err != nil {
		return nil, err
	}
	d, err := h.boards.Get(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return toDashboard(&d), nil
}

// CreateDashboard translates: one call, one answer.
func (h *DashboardHandler) CreateDashboard(ctx context.Context, req *adminv1.CreateDashboardRequest) (*adminv1.Dashboard, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(d dashboard.Dashboard) proto.Message { return toDashboard(&d) })
	d, err := h.boards.Create(ctx, sc, req.GetTitle(), fromCharts(req.GetCharts()))
	if err != nil {
		return nil, err
	}
	return toDashboard(&d), nil
}

// UpdateDashboard replaces a dashboard; If-Match guards.
func (h *DashboardHandler) UpdateDashboard(ctx context.Context, req *adminv1.UpdateDashboardRequest) (*adminv1.Dashboard, error) {
	sc, id, err := dashboardOf(ctx, req.GetDashboardId())
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(d dashboard.Dashboard) proto.Message { return toDashboard(&d) })
	d, err := h.boards.Update(ctx, sc, dashboard.UpdateRequest{ID: id, Title: req.GetTitle(), Charts: fromCharts(req.GetCharts()), IfMatch: etag})
	if err != nil {
		return nil, err
	}
	return toDashboard(&d), nil
}

// DeleteDashboard removes a dashboard; If-Match guards.
func (h *DashboardHandler) DeleteDashboard(ctx context.Context, req *adminv1.DeleteDashboardRequest) (*adminv1.DeleteDashboardResponse, error) {
	sc, id, err := dashboardOf(ctx, req.GetDashboardId())
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(dashboard.Dashboard) proto.Message { return &adminv1.DeleteDashboardResponse{} })
	if err := h.boards.Delete(ctx, sc, dashboard.DeleteRequest{ID: id, Reason: req.GetReason(), IfMatch: etag}); err != nil {
		return nil, err
	}
	return &adminv1.DeleteDashboardResponse{}, nil
}

func dashboardOf(ctx context.Context, text string) (scope.Scope, uuid.UUID, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return scope.Scope{}, uuid.Nil, err
	}
	id, err := dashboard.ParseID(text)
	return sc, id, err
}

func fromCharts(list []*adminv1.DashboardChart) []dashboard.Chart {
	out := make([]dashboard.Chart, len(list))
	for i, c := range list {
		out[i] = dashboard.Chart{
			Title: c.GetTitle(), Metric: stats.Metric(c.GetMetric()), Range: stats.Range(c.GetRange()), Step: c.GetStep(),
			Kind: dashboard.Kind(c.GetKind()), Width: int(c.GetWidth()),
		}
	}
	return out
}

func toDashboard(d *dashboard.Dashboard) *adminv1.Dashboard {
	res := &adminv1.Dashboard{
		Id: d.ID.String(), Title: d.Title, CreatedBy: d.CreatedBy, CreatedAt: timestamp(d.CreatedAt),
		UpdatedBy: d.UpdatedBy, UpdatedAt: timestamp(d.UpdatedAt), Etag: d.ETag,
	}
	for _, c := range d.Charts {
		res.Charts = append(res.Charts, &adminv1.DashboardChart{
			Title: c.Title, Metric: string(c.Metric), Range: string(c.Range), Step: c.Step, Kind: string(c.Kind), Width: whole(c.Width),
		})
	}
	return res
}
