package rpc

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/biocore-id/biocore/authcore/importer"
	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// imports is what the handler needs of importer.Service.
type imports interface {
	Create(ctx context.Context, sc scope.Scope, req importer.CreateRequest) (importer.Import, error)
	Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (importer.Import, error)
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[importer.Import], error)
	Append(ctx context.Context, sc scope.Scope, req importer.AppendRequest) (importer.Import, error)
	Complete(ctx context.Context, sc scope.Scope, id uuid.UUID) (importer.Import, error)
	Run(ctx context.Context, sc scope.Scope, req importer.RunRequest) (importer.Import, error)
	Cancel(ctx context.Context, sc scope.Scope, id uuid.UUID) (importer.Import, error)
	Findings(ctx context.Context, sc scope.Scope, req importer.FindingsRequest) (listing.Page[importer.Finding], error)
	Export(ctx context.Context, sc scope.Scope, req importer.ExportRequest) (listing.Page[importer.Line], error)
}

// ImportHandler serves ImportService.
type ImportHandler struct {
	adminv1connect.UnimplementedImportServiceHandler
	imports imports
}

// NewImportHandler returns a handler over s.
func NewImportHandler(s *importer.Service) *ImportHandler { return &ImportHandler{imports: s} }

// change is a call that moves one import: id is its UUID as the client sent it.
func (h *ImportHandler) change(ctx context.Context, id string, fn func(scope.Scope, uuid.UUID) (importer.Import, error)) (*adminv1.Import, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	parsed, err := importer.ParseID(id)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(im importer.Import) proto.Message { return toImport(im) })
	im, err := fn(sc, parsed)
	if err != nil {
		return nil, err
	}
	return toImport(im), nil
}

// CreateImport translates: one call, one answer.
func (h *ImportHandler) CreateImport(ctx context.Context, req *adminv1.CreateImportRequest) (*adminv1.Import, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	create := importer.CreateRequest{RPID: req.GetRpId()}
	if on := req.GetOnDuplicate(); on != adminv1.Import_ON_DUPLICATE_UNSPECIFIED {
		create.OnDuplicate = importer.OnDuplicate(on.String())
	}
	answers(ctx, func(im importer.Import) proto.Message { return toImport(im) })
	im, err := h.imports.Create(ctx, sc, create)
	if err != nil {
		return nil, err
	}
	return toImport(im), nil
}

// GetImport translates: one call, one answer.
func (h *ImportHandler) GetImport(ctx context.Context, req *adminv1.GetImportRequest) (*adminv1.Import, error) {
	return h.change(ctx, req.GetImportId(), func(sc scope.Scope, id uuid.UUID) (importer.Import, error) { return h.imports.Get(ctx, sc, id) })
}

// ListImports translates: one call, one answer.
func (h *ImportHandler) ListImports(ctx context.Context, req *adminv1.ListImportsRequest) (*adminv1.ListImportsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.imports.List(ctx, sc, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListImportsResponse{NextPageToken: page.NextToken}
	for _, im := range page.Items {
		res.Imports = append(res.Imports, toImport(im))
	}
	return res, nil
}

// AppendImportLines translates: one call, one answer.
func (h *ImportHandler) AppendImportLines(ctx context.Context, req *adminv1.AppendImportLinesRequest) (*adminv1.Import, error) {
	return h.change(ctx, req.GetImportId(), func(sc scope.Scope, id uuid.UUID) (importer.Import, error) {
		return h.imports.Append(ctx, sc, importer.AppendRequest{ID: id, FirstLine: int(req.GetFirstLine()), Lines: req.GetLines()})
	})
}

// CompleteImport translates: one call, one answer.
func (h *ImportHandler) CompleteImport(ctx context.Context, req *adminv1.CompleteImportRequest) (*adminv1.Import, error) {
	return h.change(ctx, req.GetImportId(), func(sc scope.Scope, id uuid.UUID) (importer.Import, error) { return h.imports.Complete(ctx, sc, id) })
}

// RunImport translates: one call, one answer.
func (h *ImportHandler) RunImport(ctx context.Context, req *adminv1.RunImportRequest) (*adminv1.Import, error) {
	return h.change(ctx, req.GetImportId(), func(sc scope.Scope, id uuid.UUID) (importer.Import, error) {
		return h.imports.Run(ctx, sc, importer.RunRequest{ID: id, AllowErrors: req.GetAllowErrors()})
	})
}

// CancelImport translates: one call, one answer.
func (h *ImportHandler) CancelImport(ctx context.Context, req *adminv1.CancelImportRequest) (*adminv1.Import, error) {
	return h.change(ctx, req.GetImportId(), func(sc scope.Scope, id uuid.UUID) (importer.Import, error) { return h.imports.Cancel(ctx, sc, id) })
}

// ListImportFindings translates: one call, one answer.
func (h *ImportHandler) ListImportFindings(ctx context.Context, req *adminv1.ListImportFindingsRequest) (*adminv1.ListImportFindingsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := importer.ParseID(req.GetImportId())
	if err != nil {
		return nil, err
	}
	ask := importer.FindingsRequest{ID: id, Request: listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()}}
	if p := req.GetPhase(); p != adminv1.ListImportFindingsRequest_PHASE_UNSPECIFIED {
		ask.Phase = importer.Phase(p.String())
	}
	page, err := h.imports.Findings(ctx, sc, ask)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListImportFindingsResponse{NextPageToken: page.NextToken}
	for _, f := range page.Items {
		res.Findings = append(res.Findings, &adminv1.ImportFinding{
			Line: int32(f.Line), Outcome: adminv1.ImportFinding_Outcome(adminv1.ImportFinding_Outcome_value[string(f.Outcome)]), //nolint:gosec // it was an int32
			Field: f.Field, Reason: string(f.Reason), Detail: f.Detail,
		})
	}
	return res, nil
}

// ExportUsers translates: one call, one answer.
func (h *ImportHandler) ExportUsers(ctx context.Context, req *adminv1.ExportUsersRequest) (*adminv1.ExportUsersResponse, error) {
	return h.export(ctx, importer.ExportRequest{Request: listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()}})
}

// ExportContacts is ExportUsers with what it leaves out.
func (h *ImportHandler) ExportContacts(ctx context.Context, req *adminv1.ExportContactsRequest) (*adminv1.ExportUsersResponse, error) {
	return h.export(ctx, importer.ExportRequest{
		Request: listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()}, Contacts: true,
	})
}

func (h *ImportHandler) export(ctx context.Context, req importer.ExportRequest) (*adminv1.ExportUsersResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.imports.Export(ctx, sc, req)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ExportUsersResponse{NextPageToken: page.NextToken}
	for _, l := range page.Items {
		text, err := json.Marshal(l)
		if err != nil {
			return nil, fmt.Errorf("encode a line: %w", err)
		}
		res.Lines = append(res.Lines, string(text))
	}
	return res, nil
}

func toImport(im importer.Import) *adminv1.Import {
	return &adminv1.Import{
		Id: im.ID.String(), State: adminv1.Import_State(adminv1.Import_State_value[im.State]),
		OnDuplicate: adminv1.Import_OnDuplicate(adminv1.Import_OnDuplicate_value[im.OnDuplicate]),
		RpId:        im.RpID, Position: im.Position, Digest: im.Digest, Counts: toImportCounts(im.Counts),
		CheckedCounts: toImportCounts(im.CheckedCounts), CheckedLines: im.CheckedLines, CreatedBy: im.CreatedBy,
		CreatedAt: timestamp(im.CreatedAt), UpdatedAt: timestamp(im.UpdatedAt), StartedAt: timestampOf(im.StartedAt), EndedAt: timestampOf(im.EndedAt),
	}
}

func toImportCounts(c importer.Counts) *adminv1.ImportCounts {
	return &adminv1.ImportCounts{
		Lines: c.Lines, UsersCreated: c.UsersCreated, UsersMerged: c.UsersMerged, UsersSkipped: c.UsersSkipped, LinesFailed: c.LinesFailed,
		CredentialsCreated: c.CredentialsCreated, CredentialsSkipped: c.CredentialsSkipped,
	}
}
