package rpc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/report"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// reports is what the handler needs of report.Service.
type reports interface {
	catalogues
	Create(ctx context.Context, sc scope.Scope, req report.CreateRequest) (report.Report, error)
	Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (report.Report, error)
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[report.Report], error)
	Delete(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) error
	Schedules(ctx context.Context, sc scope.Scope) ([]report.Schedule, error)
	Put(ctx context.Context, sc scope.Scope, req report.ScheduleRequest) (report.Schedule, error)
	Unschedule(ctx context.Context, sc scope.Scope, catalogue, reason string) error
}

// catalogues is the part of it that is about what reports are made by.
type catalogues interface {
	Catalogues(ctx context.Context, sc scope.Scope) ([]report.Document, error)
	GetCatalogue(ctx context.Context, sc scope.Scope, name string) (*report.Document, error)
	PutCatalogue(ctx context.Context, sc scope.Scope, req report.PutCatalogueRequest) (report.Document, error)
	DeleteCatalogue(ctx context.Context, sc scope.Scope, name, ifMatch, reason string) error
}

// ReportHandler serves ReportService.
type ReportHandler struct {
	adminv1connect.UnimplementedReportServiceHandler
	reports reports
}

// NewReportHandler returns a handler over s.
func NewReportHandler(s *report.Service) *ReportHandler { return &ReportHandler{reports: s} }

// CreateReport translates: one call, one answer.
func (h *ReportHandler) CreateReport(ctx context.Context, req *adminv1.CreateReportRequest) (*adminv1.Report, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	period, err := report.ParsePeriod(req.GetFirstDay(), req.GetLastDay())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(r report.Report) proto.Message { return toReport(&r) })
	r, err := h.reports.Create(ctx, sc, report.CreateRequest{Catalogue: req.GetCatalogue(), Period: period, KeepDays: int(req.GetKeepDays()), Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return toReport(&r), nil
}

// GetReport translates: one call, one answer.
func (h *ReportHandler) GetReport(ctx context.Context, req *adminv1.GetReportRequest) (*adminv1.Report, error) {
	sc, id, err := reportOf(ctx, req.GetReportId())
	if err != nil {
		return nil, err
	}
	r, err := h.reports.Get(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return toReport(&r), nil
}

// ListReports translates: one call, one answer.
func (h *ReportHandler) ListReports(ctx context.Context, req *adminv1.ListReportsRequest) (*adminv1.ListReportsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.reports.List(ctx, sc, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListReportsResponse{NextPageToken: page.NextToken}
	for i := range page.Items {
		res.Reports = append(res.Reports, toReport(&page.Items[i]))
	}
	return res, nil
}

// DeleteReport translates: one call, one answer.
func (h *ReportHandler) DeleteReport(ctx context.Context, req *adminv1.DeleteReportRequest) (*adminv1.DeleteReportResponse, error) {
	sc, id, err := reportOf(ctx, req.GetReportId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(struct{}) proto.Message { return &adminv1.DeleteReportResponse{} })
	if err := h.reports.Delete(ctx, sc, id, req.GetReason()); err != nil {
		return nil, err
	}
	return &adminv1.DeleteReportResponse{}, nil
}

// ListReportSchedules translates: one call, one answer.
func (h *ReportHandler) ListReportSchedules(ctx context.Context, _ *adminv1.ListReportSchedulesRequest) (*adminv1.ListReportSchedulesResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	list, err := h.reports.Schedules(ctx, sc)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListReportSchedulesResponse{}
	for i := range list {
		res.Schedules = append(res.Schedules, toReportSchedule(&list[i]))
	}
	return res, nil
}

// PutReportSchedule translates: one call, one answer.
func (h *ReportHandler) PutReportSchedule(ctx context.Context, req *adminv1.PutReportScheduleRequest) (*adminv1.ReportSchedule, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(s report.Schedule) proto.Message { return toReportSchedule(&s) })
	s, err := h.reports.Put(ctx, sc, report.ScheduleRequest{
		Catalogue: req.GetCatalogue(), Cadence: report.Cadence(req.GetCadence().String()), KeepDays: int(req.GetKeepDays()), Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return toReportSchedule(&s), nil
}

// DeleteReportSchedule translates: one call, one answer.
func (h *ReportHandler) DeleteReportSchedule(ctx context.Context, req *adminv1.DeleteReportScheduleRequest) (*adminv1.DeleteReportScheduleResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(struct{}) proto.Message { return &adminv1.DeleteReportScheduleResponse{} })
	if err := h.reports.Unschedule(ctx, sc, req.GetCatalogue(), req.GetReason()); err != nil {
		return nil, err
	}
	return &adminv1.DeleteReportScheduleResponse{}, nil
}

// ListReportCatalogues translates: one call, one answer.
func (h *ReportHandler) ListReportCatalogues(ctx context.Context, _ *adminv1.ListReportCataloguesRequest) (*adminv1.ListReportCataloguesResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	list, err := h.reports.Catalogues(ctx, sc)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListReportCataloguesResponse{}
	for i := range list {
		c := toReportCatalogue(&list[i])
		c.Document = ""
		res.Catalogues = append(res.Catalogues, c)
	}
	return res, nil
}

// GetReportCatalogue translates: one call, one answer.
func (h *ReportHandler) GetReportCatalogue(ctx context.Context, req *adminv1.GetReportCatalogueRequest) (*adminv1.ReportCatalogue, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	c, err := h.reports.GetCatalogue(ctx, sc, req.GetCatalogue())
	if err != nil {
		return nil, err
	}
	return toReportCatalogue(c), nil
}

// PutReportCatalogue adds a catalogue, or replaces it; If-Match guards.
func (h *ReportHandler) PutReportCatalogue(ctx context.Context, req *adminv1.PutReportCatalogueRequest) (*adminv1.ReportCatalogue, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(d report.Document) proto.Message { return toReportCatalogue(&d) })
	c, err := h.reports.PutCatalogue(ctx, sc, report.PutCatalogueRequest{Name: req.GetCatalogue(), Text: req.GetDocument(), IfMatch: etag, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return toReportCatalogue(&c), nil
}

// DeleteReportCatalogue removes one; If-Match guards.
func (h *ReportHandler) DeleteReportCatalogue(ctx context.Context, req *adminv1.DeleteReportCatalogueRequest) (*adminv1.DeleteReportCatalogueResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(struct{}) proto.Message { return &adminv1.DeleteReportCatalogueResponse{} })
	if err := h.reports.DeleteCatalogue(ctx, sc, req.GetCatalogue(), etag, req.GetReason()); err != nil {
		return nil, err
	}
	return &adminv1.DeleteReportCatalogueResponse{}, nil
}

// ListReportMeasurements answers the closed set: it is the release's.
func (h *ReportHandler) ListReportMeasurements(context.Context, *adminv1.ListReportMeasurementsRequest) (*adminv1.ListReportMeasurementsResponse, error) {
	res := &adminv1.ListReportMeasurementsResponse{}
	for _, m := range report.Measurements() {
		basis := adminv1.ReportMeasurement_LOG
		switch m.Basis {
		case report.OfPeriod:
			basis = adminv1.ReportMeasurement_PERIOD
		case report.OfState:
			basis = adminv1.ReportMeasurement_STATE
		case report.OfLog:
		}
		res.Measurements = append(res.Measurements, &adminv1.ReportMeasurement{Name: m.Name, Title: m.Title, Unit: m.Unit, Of: m.Of, Basis: basis, Query: m.Query, Actions: m.Actions})
	}
	return res, nil
}

func reportOf(ctx context.Context, text string) (scope.Scope, uuid.UUID, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return scope.Scope{}, uuid.Nil, err
	}
	id, err := report.ParseID(text)
	return sc, id, err
}

func toReport(r *report.Report) *adminv1.Report {
	return &adminv1.Report{
		Id: r.ID.String(), Catalogue: r.Catalogue, FirstDay: r.Period.First(), LastDay: r.Period.Last(), State: adminv1.Report_State(adminv1.Report_State_value[string(r.State)]),
		Reason: r.Reason, AskedBy: r.AskedBy, AskedName: r.AskedName, Scheduled: r.Scheduled, KeepDays: int32(r.KeepDays), CreatedAt: timestamp(r.CreatedAt), //nolint:gosec // it was an int32
		StartedAt: timestampOf(r.StartedAt), EndedAt: timestampOf(r.EndedAt), ExpiresAt: timestampOf(r.ExpiresAt),
		Attempts: int32(r.Attempt), Done: int32(r.Done), Total: int32(r.Total), Met: int32(r.Counts.Met), NotMet: int32(r.Counts.NotMet), NoEvidence: int32(r.Counts.NoEvidence), //nolint:gosec // they were int32
		Size: int32(r.Size), Sha256: r.SHA256, Failure: r.Failure, //nolint:gosec // it was an int32
	}
}

func toReportSchedule(s *report.Schedule) *adminv1.ReportSchedule {
	return &adminv1.ReportSchedule{
		Catalogue: s.Catalogue, Cadence: adminv1.ReportSchedule_Cadence(adminv1.ReportSchedule_Cadence_value[string(s.Cadence)]), KeepDays: int32(s.KeepDays), //nolint:gosec // it was an int32
		UpdatedBy: s.UpdatedBy, UpdatedAt: timestamp(s.UpdatedAt), NextAt: timestamp(s.NextAt), NextFirstDay: s.Next.First(), NextLastDay: s.Next.Last(),
	}
}

func toReportCatalogue(d *report.Document) *adminv1.ReportCatalogue {
	sum := sha256.Sum256([]byte(d.Text))
	return &adminv1.ReportCatalogue{
		Name: d.Name, Title: d.Title, Standard: d.Standard, Version: d.Version, About: d.About, Controls: int32(len(d.Controls)), BuiltIn: d.BuiltIn, //nolint:gosec // at most 200
		Sha256: hex.EncodeToString(sum[:]), Document: d.Text, Etag: d.ETag, UpdatedBy: d.UpdatedBy, Shared: d.Shared,
	}
}
