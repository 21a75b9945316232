package rpc

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/biocore-id/biocore/authcore/archive"
	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// exports is what the handler needs of archive.Service.
type exports interface {
	Start(ctx context.Context, sc scope.Scope, req archive.StartRequest) (archive.Export, error)
	Get(ctx context.Context, sc scope.Scope, tenant, id uuid.UUID) (archive.Export, error)
	List(ctx context.Context, sc scope.Scope, tenant uuid.UUID, req listing.Request) (listing.Page[archive.Export], error)
	Cancel(ctx context.Context, sc scope.Scope, req archive.CancelRequest) (archive.Export, error)
}

// ExportHandler serves ExportService.
type ExportHandler struct {
	adminv1connect.UnimplementedExportServiceHandler
	exports exports
}

// NewExportHandler returns a handler over s.
func NewExportHandler(s *archive.Service) *ExportHandler { return &ExportHandler{exports: s} }

// StartExport translates: one call, one answer.
func (h *ExportHandler) StartExport(ctx context.Context, req *adminv1.StartExportRequest) (*adminv1.StartExportResponse, error) {
	sc, id, err := tenantCall(ctx, req.GetTenantId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(e archive.Export) proto.Message { return &adminv1.StartExportResponse{Export: toExport(e)} })
	e, err := h.exports.Start(ctx, sc, archive.StartRequest{Tenant: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return &adminv1.StartExportResponse{Export: toExport(e)}, nil
}

// GetExport translates: one call, one answer.
func (h *ExportHandler) GetExport(ctx context.Context, req *adminv1.GetExportRequest) (*adminv1.Export, error) {
	sc, tenant, id, err := exportCall(ctx, req.GetTenantId(), req.GetExportId())
	if err != nil {
		return nil, err
	}
	e, err := h.exports.Get(ctx, sc, tenant, id)
	if err != nil {
		return nil, err
	}
	return toExport(e), nil
}

// ListExports translates: one call, one answer.
func (h *ExportHandler) ListExports(ctx context.Context, req *adminv1.ListExportsRequest) (*adminv1.ListExportsResponse, error) {
	sc, tenant, err := tenantCall(ctx, req.GetTenantId())
	if err != nil {
		return nil, err
	}
	page, err := h.exports.List(ctx, sc, tenant, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListExportsResponse{NextPageToken: page.NextToken}
	for _, e := range page.Items {
		res.Exports = append(res.Exports, toExport(e))
	}
	return res, nil
}

// CancelExport translates: one call, one answer.
func (h *ExportHandler) CancelExport(ctx context.Context, req *adminv1.CancelExportRequest) (*adminv1.CancelExportResponse, error) {
	sc, tenant, id, err := exportCall(ctx, req.GetTenantId(), req.GetExportId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(e archive.Export) proto.Message { return &adminv1.CancelExportResponse{Export: toExport(e)} })
	e, err := h.exports.Cancel(ctx, sc, archive.CancelRequest{Tenant: tenant, ID: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return &adminv1.CancelExportResponse{Export: toExport(e)}, nil
}

// exportCall reads what every call about one export has: who asks, and about which.
func exportCall(ctx context.Context, tenantID, exportID string) (sc scope.Scope, tenant, id uuid.UUID, err error) {
	if sc, tenant, err = tenantCall(ctx, tenantID); err != nil {
		return sc, tenant, id, err
	}
	id, err = archive.ParseID(exportID)
	return sc, tenant, id, err
}

func toExport(e archive.Export) *adminv1.Export {
	return &adminv1.Export{
		Id: e.ID.String(), TenantId: e.TenantID.String(), State: adminv1.Export_State(adminv1.Export_State_value[string(e.State)]),
		Reason: e.Reason, AskedBy: e.AskedBy, AskedName: e.AskedName, CreatedAt: timestamp(e.CreatedAt),
		StartedAt: timestampOf(e.StartedAt), EndedAt: timestampOf(e.EndedAt), ExpiresAt: timestampOf(e.ExpiresAt),
		Attempts: int32(e.Attempt), FilesDone: int32(e.FilesDone), FilesTotal: int32(e.FilesTotal), //nolint:gosec // they were int32
		Rows: float64(e.Rows), Size: float64(e.Size), Sha256: e.SHA256, Failure: e.Failure,
	}
}
