package rpc

import (
	"context"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/erasure"
	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// erasures is what the handler needs of erasure.Service.
type erasures interface {
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[erasure.Erasure], error)
	Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (erasure.Erasure, error)
	Certify(ctx context.Context, sc scope.Scope, id uuid.UUID) (string, error)
}

// ErasureHandler serves ErasureService.
type ErasureHandler struct {
	adminv1connect.UnimplementedErasureServiceHandler
	erasures erasures
}

// NewErasureHandler returns a handler over s.
func NewErasureHandler(s *erasure.Service) *ErasureHandler { return &ErasureHandler{erasures: s} }

// ListErasures translates: one call, one answer.
func (h *ErasureHandler) ListErasures(ctx context.Context, req *adminv1.ListErasuresRequest) (*adminv1.ListErasuresResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.erasures.List(ctx, sc, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListErasuresResponse{NextPageToken: page.NextToken}
	for i := range page.Items {
		res.Erasures = append(res.Erasures, toErasure(&page.Items[i]))
	}
	return res, nil
}

// GetErasure translates: one call, one answer.
func (h *ErasureHandler) GetErasure(ctx context.Context, req *adminv1.GetErasureRequest) (*adminv1.Erasure, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := erasure.ParseID(req.GetErasureId())
	if err != nil {
		return nil, err
	}
	e, err := h.erasures.Get(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return toErasure(&e), nil
}

// GetErasureCertificate translates: one call, one answer.
func (h *ErasureHandler) GetErasureCertificate(ctx context.Context, req *adminv1.GetErasureCertificateRequest) (*adminv1.GetErasureCertificateResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := erasure.ParseID(req.GetErasureId())
	if err != nil {
		return nil, err
	}
	jws, err := h.erasures.Certify(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return &adminv1.GetErasureCertificateResponse{Certificate: jws}, nil
}

func toErasure(e *erasure.Erasure) *adminv1.Erasure {
	out := &adminv1.Erasure{
		Id: e.ID.String(), ErasedAt: timestamp(e.At), ErasedBy: e.By, ReplayedAt: timestampOf(e.ReplayedAt), LedgerAt: timestampOf(e.StoredAt), CertifiedAt: timestampOf(e.IssuedAt),
		Credentials: e.Credentials, Sessions: e.Sessions, Contacts: e.Contacts, Evidence: e.Evidence,
	}
	if e.UserID != nil {
		out.UserId = e.UserID.String()
	}
	return out
}
