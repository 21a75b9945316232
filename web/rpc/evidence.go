package rpc

import (
	"context"
	"encoding/base64"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/evidence"
	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// vault is what the handler needs of evidence.Service.
type vault interface {
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[evidence.Evidence], error)
	Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (evidence.Evidence, error)
	Download(ctx context.Context, sc scope.Scope, id uuid.UUID) (evidence.Evidence, []byte, error)
	Verify(ctx context.Context, sc scope.Scope, id uuid.UUID) (evidence.Report, error)
}

// EvidenceHandler serves EvidenceService.
type EvidenceHandler struct {
	adminv1connect.UnimplementedEvidenceServiceHandler
	vault vault
}

// NewEvidenceHandler returns a handler over s.
func NewEvidenceHandler(s *evidence.Service) *EvidenceHandler { return &EvidenceHandler{vault: s} }

// ListEvidence translates: one call, one answer.
func (h *EvidenceHandler) ListEvidence(ctx context.Context, req *adminv1.ListEvidenceRequest) (*adminv1.ListEvidenceResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.vault.List(ctx, sc, listing.Request{
		PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter(),
	})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListEvidenceResponse{NextPageToken: page.NextToken}
	for _, e := range page.Items {
		res.Evidence = append(res.Evidence, toEvidence(e))
	}
	return res, nil
}

// GetEvidence translates: one call, one answer.
func (h *EvidenceHandler) GetEvidence(ctx context.Context, req *adminv1.GetEvidenceRequest) (*adminv1.Evidence, error) {
	sc, id, err := evidenceOf(ctx, req.GetEvidenceId())
	if err != nil {
		return nil, err
	}
	e, err := h.vault.Get(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return toEvidence(e), nil
}

// DownloadEvidence translates: one call, one answer.
func (h *EvidenceHandler) DownloadEvidence(ctx context.Context, req *adminv1.DownloadEvidenceRequest) (*adminv1.DownloadEvidenceResponse, error) {
	sc, id, err := evidenceOf(ctx, req.GetEvidenceId())
	if err != nil {
		return nil, err
	}
	e, file, err := h.vault.Download(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return &adminv1.DownloadEvidenceResponse{Evidence: toEvidence(e), File: string(file)}, nil
}

// VerifyEvidence translates: one call, one answer.
func (h *EvidenceHandler) VerifyEvidence(ctx context.Context, req *adminv1.VerifyEvidenceRequest) (*adminv1.VerifyEvidenceResponse, error) {
	sc, id, err := evidenceOf(ctx, req.GetEvidenceId())
	if err != nil {
		return nil, err
	}
	report, err := h.vault.Verify(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	res := &adminv1.VerifyEvidenceResponse{Valid: report.Valid}
	for _, s := range report.Steps {
		res.Steps = append(res.Steps, &adminv1.VerifyEvidenceResponse_Step{Name: s.Name, Ok: s.OK, Detail: s.Detail})
	}
	return res, nil
}

func evidenceOf(ctx context.Context, text string) (scope.Scope, uuid.UUID, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return sc, uuid.Nil, err
	}
	id, err := evidence.ParseID(text)
	return sc, id, err
}

func toEvidence(e evidence.Evidence) *adminv1.Evidence {
	out := &adminv1.Evidence{
		Id: e.ID.String(), CeremonyId: e.CeremonyID.String(), CreatedAt: timestamp(e.At),
		Outcome: adminv1.Evidence_Outcome(adminv1.Evidence_Outcome_value[e.Outcome]), Reason: e.Reason,
		Aaguid: e.AAGUID.String(), Format: e.Format, Trust: adminv1.Evidence_Trust(adminv1.Evidence_Trust_value[e.Trust]),
		MdsNumber: int32(e.MDSNumber), PolicyVersion: int32(e.PolicyVersion), Size: int32(e.Size), //nolint:gosec // integer columns
		Sha256: base64.RawURLEncoding.EncodeToString(e.SHA256), ExpiresAt: timestamp(e.ExpiresAt),
	}
	if e.UserID != nil {
		id := e.UserID.String()
		out.UserId = &id
	}
	if e.CredentialID != nil {
		id := base64.RawURLEncoding.EncodeToString(e.CredentialID)
		out.CredentialId = &id
	}
	return out
}
