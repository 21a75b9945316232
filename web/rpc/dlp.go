package rpc

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/cadence"
	"github.com/biocore-id/biocore/tenancy/governance/dlp"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// classified is what the handler needs of dlp.Service.
type classified interface {
	Start(ctx context.Context, sc scope.Scope, req dlp.StartRequest) (dlp.Scan, error)
	GetScan(ctx context.Context, sc scope.Scope, id uuid.UUID) (dlp.Scan, error)
	Scans(ctx context.Context, sc scope.Scope) ([]dlp.Scan, error)
	Cancel(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (dlp.Scan, error)
	GetSchedule(ctx context.Context, sc scope.Scope) (dlp.Schedule, error)
	PutSchedule(ctx context.Context, sc scope.Scope, req dlp.ScheduleRequest) (dlp.Schedule, error)
	Unschedule(ctx context.Context, sc scope.Scope, reason string) error
	Findings(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[dlp.Finding], error)
	Decide(ctx context.Context, sc scope.Scope, req dlp.DecideRequest) (dlp.Finding, error)
	Import(ctx context.Context, sc scope.Scope, format dlp.Format, body []byte, reason string) (dlp.Imported, error)
}

// DLPHandler serves DlpService.
type DLPHandler struct {
	adminv1connect.UnimplementedDlpServiceHandler
	dlp classified
}

// NewDLPHandler returns a handler over s.
func NewDLPHandler(s *dlp.Service) *DLPHandler { return &DLPHandler{dlp: s} }

// StartDlpScan translates: one call, one answer.
func (h *DLPHandler) StartDlpScan(ctx context.Context, req *adminv1.StartDlpScanRequest) (*adminv1.DlpScan, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(s dlp.Scan) proto.Message { return toDLPScan(&s) })
	s, err := h.dlp.Start(ctx, sc, dlp.StartRequest{Days: int(req.GetDays()), Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return toDLPScan(&s), nil
}

// GetDlpScan translates: one call, one answer.
func (h *DLPHandler) GetDlpScan(ctx context.Context, req *adminv1.GetDlpScanRequest) (*adminv1.DlpScan, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, ok := dlp.ParseID(req.GetDlpScanId())
	if !ok {
		return nil, dlp.ErrScan
	}
	s, err := h.dlp.GetScan(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return toDLPScan(&s), nil
}

// ListDlpScans translates: one call, one answer.
func (h *DLPHandler) ListDlpScans(ctx context.Context, _ *adminv1.ListDlpScansRequest) (*adminv1.ListDlpScansResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	list, err := h.dlp.Scans(ctx, sc)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListDlpScansResponse{}
	for i := range list {
		res.Scans = append(res.Scans, toDLPScan(&list[i]))
	}
	return res, nil
}

// CancelDlpScan translates: one call, one answer.
func (h *DLPHandler) CancelDlpScan(ctx context.Context, req *adminv1.CancelDlpScanRequest) (*adminv1.DlpScan, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, ok := dlp.ParseID(req.GetDlpScanId())
	if !ok {
		return nil, dlp.ErrScan
	}
	answers(ctx, func(s dlp.Scan) proto.Message { return toDLPScan(&s) })
	s, err := h.dlp.Cancel(ctx, sc, id, req.GetReason())
	if err != nil {
		return nil, err
	}
	return toDLPScan(&s), nil
}

// GetDlpSchedule translates: one call, one answer.
func (h *DLPHandler) GetDlpSchedule(ctx context.Context, _ *adminv1.GetDlpScheduleRequest) (*adminv1.DlpSchedule, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	s, err := h.dlp.GetSchedule(ctx, sc)
	if err != nil {
		return nil, err
	}
	return toDLPSchedule(&s), nil
}

// PutDlpSchedule translates: one call, one answer.
func (h *DLPHandler) PutDlpSchedule(ctx context.Context, req *adminv1.PutDlpScheduleRequest) (*adminv1.DlpSchedule, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(s dlp.Schedule) proto.Message { return toDLPSchedule(&s) })
	s, err := h.dlp.PutSchedule(ctx, sc, dlp.ScheduleRequest{Cadence: cadence.Cadence(req.GetCadence().String()), Days: int(req.GetDays()), Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return toDLPSchedule(&s), nil
}

// DeleteDlpSchedule translates: one call, one answer.
func (h *DLPHandler) DeleteDlpSchedule(ctx context.Context, req *adminv1.DeleteDlpScheduleRequest) (*adminv1.DeleteDlpScheduleResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(struct{}) proto.Message { return &adminv1.DeleteDlpScheduleResponse{} })
	if err := h.dlp.Unschedule(ctx, sc, req.GetReason()); err != nil {
		return nil, err
	}
	return &adminv1.DeleteDlpScheduleResponse{}, nil
}

// ListDlpFindings translates: one call, one answer.
func (h *DLPHandler) ListDlpFindings(ctx context.Context, req *adminv1.ListDlpFindingsRequest) (*adminv1.ListDlpFindingsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.dlp.Findings(ctx, sc, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListDlpFindingsResponse{NextPageToken: page.NextToken}
	for i := range page.Items {
		res.Findings = append(res.Findings, toDLPFinding(&page.Items[i]))
	}
	return res, nil
}

// DecideDlpFinding translates: one call, one answer; If-Match guards.
func (h *DLPHandler) DecideDlpFinding(ctx context.Context, req *adminv1.DecideDlpFindingRequest) (*adminv1.DlpFinding, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, ok := dlp.ParseID(req.GetDlpFindingId())
	if !ok {
		return nil, dlp.ErrFinding
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(f dlp.Finding) proto.Message { return toDLPFinding(&f) })
	f, err := h.dlp.Decide(ctx, sc, dlp.DecideRequest{ID: id, State: dlp.State(req.GetState().String()), Reason: req.GetReason(), IfMatch: etag})
	if err != nil {
		return nil, err
	}
	return toDLPFinding(&f), nil
}

// ImportDlpFindings translates: one call, one answer.
func (h *DLPHandler) ImportDlpFindings(ctx context.Context, req *adminv1.ImportDlpFindingsRequest) (*adminv1.ImportDlpFindingsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(done dlp.Imported) proto.Message { return toDLPImport(done) })
	done, err := h.dlp.Import(ctx, sc, dlp.Format(req.GetFormat().String()), []byte(req.GetContent()), req.GetReason())
	if err != nil {
		return nil, err
	}
	return toDLPImport(done), nil
}

func toDLPScan(s *dlp.Scan) *adminv1.DlpScan {
	var unseen []*adminv1.DlpUnseen
	for _, u := range s.Unseen {
		unseen = append(unseen, &adminv1.DlpUnseen{Place: u.Place, Reason: adminv1.DlpUnseen_Reason(adminv1.DlpUnseen_Reason_value[u.Reason]), Count: int32(u.Count)}) //nolint:gosec // rows of one tenant
	}
	return &adminv1.DlpScan{
		Id: s.ID.String(), State: adminv1.DlpScan_State(adminv1.DlpScan_State_value[string(s.State)]), Reason: s.Reason, Days: int32(s.Days), AskedBy: s.AskedBy, //nolint:gosec // it was an int32
		CreatedAt: timestamp(s.CreatedAt), StartedAt: timestampOf(s.StartedAt), EndedAt: timestampOf(s.EndedAt),
		Done: int32(s.Done), Total: int32(s.Total), Percent: int32(s.Percent()), Texts: int32(s.Texts), Found: int32(s.Found), Cut: s.Cut, Unseen: unseen, Failure: s.Failure, //nolint:gosec // MaxRows of some tens of places
	}
}

func toDLPFinding(f *dlp.Finding) *adminv1.DlpFinding {
	return &adminv1.DlpFinding{
		Id: f.ID.String(), Source: f.Source, Place: f.Place, Item: f.Item, Kind: f.Kind, Count: int32(f.Count), Shape: f.Shape, //nolint:gosec // it was an int32
		State: adminv1.DlpFinding_State(adminv1.DlpFinding_State_value[string(f.State)]), Reason: f.Reason, DecidedBy: f.DecidedBy, DecidedAt: timestampOf(f.DecidedAt),
		FirstAt: timestamp(f.FirstAt), LastAt: timestamp(f.LastAt), Etag: f.ETag,
	}
}

func toDLPImport(done dlp.Imported) *adminv1.ImportDlpFindingsResponse {
	return &adminv1.ImportDlpFindingsResponse{New: int32(done.New), Known: int32(done.Known), Passed: int32(done.Passed)} //nolint:gosec // at most MaxImported
}

func toDLPSchedule(s *dlp.Schedule) *adminv1.DlpSchedule {
	return &adminv1.DlpSchedule{
		Cadence: adminv1.DlpSchedule_Cadence(adminv1.DlpSchedule_Cadence_value[string(s.Cadence)]), Days: int32(s.Days), //nolint:gosec // it was an int32
		UpdatedBy: s.UpdatedBy, UpdatedAt: timestamp(s.UpdatedAt), NextAt: timestamp(s.NextAt),
	}
}
