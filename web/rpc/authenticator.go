package rpc

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/biocore-id/biocore/authcore/blastradius"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/mds"
	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// models is what the handler needs of blastradius.Service.
type models interface {
	Models(ctx context.Context, sc scope.Scope) ([]blastradius.Model, error)
	Measure(ctx context.Context, sc scope.Scope, aaguid uuid.UUID) (blastradius.Radius, error)
	Credentials(ctx context.Context, sc scope.Scope, aaguid uuid.UUID, req listing.Request) (listing.Page[credential.Credential], error)
	Give(ctx context.Context, sc scope.Scope, req blastradius.OrderRequest) (blastradius.Order, error)
	Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (blastradius.Order, error)
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[blastradius.Order], error)
}

// AuthenticatorHandler serves AuthenticatorService.
type AuthenticatorHandler struct {
	adminv1connect.UnimplementedAuthenticatorServiceHandler
	models   models
	metadata func() *mds.Snapshot
	now      func() time.Time
}

// NewAuthenticatorHandler returns a handler over s. metadata returns what the server goes
// by, nil while there is none.
func NewAuthenticatorHandler(s *blastradius.Service, metadata func() *mds.Snapshot, now func() time.Time) *AuthenticatorHandler {
	return &AuthenticatorHandler{models: s, metadata: metadata, now: now}
}

// GetMetadata answers for the installation: it is the same for all tenants.
func (h *AuthenticatorHandler) GetMetadata(context.Context, *adminv1.GetMetadataRequest) (*adminv1.Metadata, error) {
	s := h.metadata()
	if s == nil {
		return &adminv1.Metadata{}, nil
	}
	return &adminv1.Metadata{
		Number: int32(s.Number), NextUpdate: timestamp(s.NextUpdate), Stale: s.Stale(h.now()), //nolint:gosec // mds bounds it
		Models: int32(s.Len()), Unparsed: int32(s.Unparsed), //nolint:gosec // mds bounds them
	}, nil
}

// ListAuthenticators adds what the metadata says of each model.
func (h *AuthenticatorHandler) ListAuthenticators(ctx context.Context, _ *adminv1.ListAuthenticatorsRequest) (*adminv1.ListAuthenticatorsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	list, err := h.models.Models(ctx, sc)
	if err != nil {
		return nil, err
	}
	snapshot, now := h.metadata(), h.now()
	res := &adminv1.ListAuthenticatorsResponse{}
	for _, m := range list {
		a := &adminv1.Authenticator{
			Aaguid: m.AAGUID.String(), Name: m.Name, Credentials: int32(m.Credentials), Proven: int32(m.Proven), Users: int32(m.Users), //nolint:gosec // counts of rows
			Reports: m.Reports,
		}
		if snapshot != nil {
			if e, ok := snapshot.Lookup(m.AAGUID); ok {
				a.Certification = e.Certification(now)
				if a.GetName() == "" {
					a.Name = e.Name
				}
			}
		}
		res.Authenticators = append(res.Authenticators, a)
	}
	return res, nil
}

// GetBlastRadius translates: one call, one answer.
func (h *AuthenticatorHandler) GetBlastRadius(ctx context.Context, req *adminv1.GetBlastRadiusRequest) (*adminv1.BlastRadius, error) {
	sc, aaguid, err := modelOf(ctx, req.GetAaguid())
	if err != nil {
		return nil, err
	}
	r, err := h.models.Measure(ctx, sc, aaguid)
	if err != nil {
		return nil, err
	}
	return &adminv1.BlastRadius{
		Aaguid: r.AAGUID.String(), Credentials: int32(r.Credentials), Proven: int32(r.Proven), Active: int32(r.Active), //nolint:gosec // counts of rows
		Suspended: int32(r.Suspended), Disposed: int32(r.Disposed), Used: int32(r.Used), Users: int32(r.Users), //nolint:gosec // counts of rows
		UsersAlone: int32(r.UsersAlone), Sessions: int32(r.Sessions), Reports: r.Reports, //nolint:gosec // counts of rows
	}, nil
}

// ListAuthenticatorCredentials translates: one call, one answer.
func (h *AuthenticatorHandler) ListAuthenticatorCredentials(
	ctx context.Context, req *adminv1.ListAuthenticatorCredentialsRequest,
) (*adminv1.ListAuthenticatorCredentialsResponse, error) {
	sc, aaguid, err := modelOf(ctx, req.GetAaguid())
	if err != nil {
		return nil, err
	}
	page, err := h.models.Credentials(ctx, sc, aaguid, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListAuthenticatorCredentialsResponse{NextPageToken: page.NextToken}
	for _, c := range page.Items {
		res.Credentials = append(res.Credentials, &adminv1.AuthenticatorCredential{
			Id: c.ID.String(), UserId: c.UserID.String(), State: string(c.State), Disposition: c.Disposition, Trust: string(c.Trust),
			LastUsedAt: timestampOf(c.LastUsedAt),
		})
	}
	return res, nil
}

// DisposeAuthenticator translates: one call, one answer.
func (h *AuthenticatorHandler) DisposeAuthenticator(ctx context.Context, req *adminv1.DisposeAuthenticatorRequest) (*adminv1.Disposition, error) {
	sc, aaguid, err := modelOf(ctx, req.GetAaguid())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(o blastradius.Order) proto.Message { return toDisposition(o) })
	o, err := h.models.Give(ctx, sc, blastradius.OrderRequest{
		AAGUID: aaguid, Disposition: blastradius.Disposition(req.GetDisposition()), Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return toDisposition(o), nil
}

// ListDispositions translates: one call, one answer.
func (h *AuthenticatorHandler) ListDispositions(ctx context.Context, req *adminv1.ListDispositionsRequest) (*adminv1.ListDispositionsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.models.List(ctx, sc, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListDispositionsResponse{NextPageToken: page.NextToken}
	for _, o := range page.Items {
		res.Dispositions = append(res.Dispositions, toDisposition(o))
	}
	return res, nil
}

// GetDisposition translates: one call, one answer.
func (h *AuthenticatorHandler) GetDisposition(ctx context.Context, req *adminv1.GetDispositionRequest) (*adminv1.Disposition, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(req.GetDispositionId())
	if err != nil {
		return nil, blastradius.ErrOrderNotFound
	}
	o, err := h.models.Get(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return toDisposition(o), nil
}

func modelOf(ctx context.Context, text string) (scope.Scope, uuid.UUID, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return scope.Scope{}, uuid.Nil, err
	}
	aaguid, err := blastradius.ParseModel(text)
	return sc, aaguid, err
}

func toDisposition(o blastradius.Order) *adminv1.Disposition {
	return &adminv1.Disposition{
		Id: o.ID.String(), Aaguid: o.AAGUID.String(), Disposition: string(o.Disposition), Automatic: o.Automatic, Reports: o.Reports,
		MdsNumber: int32(o.MDSNumber), Reason: o.Reason, CreatedBy: o.CreatedBy, CreatedAt: timestamp(o.CreatedAt), //nolint:gosec // mds bounds it
		Credentials: int32(o.Credentials), FinishedAt: timestampOf(o.FinishedAt), //nolint:gosec // a count of rows
	}
}
