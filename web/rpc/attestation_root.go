package rpc

import (
	"context"
	"encoding/hex"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/biocore-id/biocore/authcore/attestation"
	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// attestationRoots is what the handler needs of attestation.Service.
type attestationRoots interface {
	List(ctx context.Context, sc scope.Scope) ([]attestation.Root, error)
	Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (attestation.Root, error)
	Add(ctx context.Context, sc scope.Scope, req attestation.AddRequest) (attestation.Root, error)
	Remove(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (attestation.Root, error)
}

// AttestationRootHandler serves AttestationRootService.
type AttestationRootHandler struct {
	adminv1connect.UnimplementedAttestationRootServiceHandler
	roots attestationRoots
}

// NewAttestationRootHandler returns a handler over s.
func NewAttestationRootHandler(s *attestation.Service) *AttestationRootHandler {
	return &AttestationRootHandler{roots: s}
}

// ListAttestationRoots translates: one call, one answer.
func (h *AttestationRootHandler) ListAttestationRoots(
	ctx context.Context, _ *adminv1.ListAttestationRootsRequest,
) (*adminv1.ListAttestationRootsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	list, err := h.roots.List(ctx, sc)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListAttestationRootsResponse{}
	for _, r := range list {
		res.AttestationRoots = append(res.AttestationRoots, toAttestationRoot(r))
	}
	return res, nil
}

// GetAttestationRoot translates: one call, one answer.
func (h *AttestationRootHandler) GetAttestationRoot(ctx context.Context, req *adminv1.GetAttestationRootRequest) (*adminv1.AttestationRoot, error) {
	sc, id, err := attestationRootOf(ctx, req.GetAttestationRootId())
	if err != nil {
		return nil, err
	}
	r, err := h.roots.Get(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return toAttestationRoot(r), nil
}

// CreateAttestationRoot translates: one call, one answer.
func (h *AttestationRootHandler) CreateAttestationRoot(ctx context.Context, req *adminv1.CreateAttestationRootRequest) (*adminv1.AttestationRoot, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	models, err := attestation.ParseAAGUIDs(req.GetAaguids())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(r attestation.Root) proto.Message { return toAttestationRoot(r) })
	r, err := h.roots.Add(ctx, sc, attestation.AddRequest{Name: req.GetName(), Certificate: []byte(req.GetCertificate()), AAGUIDs: models, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return toAttestationRoot(r), nil
}

// DeleteAttestationRoot translates: one call, one answer.
func (h *AttestationRootHandler) DeleteAttestationRoot(
	ctx context.Context, req *adminv1.DeleteAttestationRootRequest,
) (*adminv1.DeleteAttestationRootResponse, error) {
	sc, id, err := attestationRootOf(ctx, req.GetAttestationRootId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(attestation.Root) proto.Message { return &adminv1.DeleteAttestationRootResponse{} })
	if _, err := h.roots.Remove(ctx, sc, id, req.GetReason()); err != nil {
		return nil, err
	}
	return &adminv1.DeleteAttestationRootResponse{}, nil
}

func attestationRootOf(ctx context.Context, text string) (scope.Scope, uuid.UUID, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return scope.Scope{}, uuid.Nil, err
	}
	id, err := attestation.ParseRootID(text)
	return sc, id, err
}

func toAttestationRoot(r attestation.Root) *adminv1.AttestationRoot {
	out := &adminv1.AttestationRoot{
		Id: r.ID.String(), Name: r.Name, Certificate: r.PEM(), Fingerprint: hex.EncodeToString(r.Fingerprint[:]), Subject: r.Subject(),
		NotBefore: timestamp(r.NotBefore), NotAfter: timestamp(r.NotAfter), CreatedAt: timestamp(r.CreatedAt), CreatedBy: r.CreatedBy,
	}
	for _, id := range r.AAGUIDs {
		out.Aaguids = append(out.Aaguids, id.String())
	}
	return out
}
