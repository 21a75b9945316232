package rpc

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/blastradius"
	"github.com/biocore-id/biocore/authcore/credential"
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
	Fleet(ctx context.Context, sc scope.Scope, req listing.Request) (blastradius.Fleet, error)
}

// catalogue is what the handler needs of authenticator.Catalogue.
type catalogue interface {
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[authenticator.Model], error)
	Lookup(aaguid uuid.UUID) (authenticator.Model, bool)
}

// AuthenticatorHandler serves AuthenticatorService.
type AuthenticatorHandler struct {
	adminv1connect.UnimplementedAuthenticatorServiceHandler
	models    models
	catalogue catalogue
	faces     Faces
	now       func() time.Time
}

// NewAuthenticatorHandler returns a handler over s and c. faces has the metadata that the
// server goes by.
func NewAuthenticatorHandler(s *blastradius.Service, c *authenticator.Catalogue, faces Faces, now func() time.Time) *AuthenticatorHandler {
	return &AuthenticatorHandler{models: s, catalogue: c, faces: faces, now: now}
}

// GetMetadata answers for the installation: it is the same for all tenants.
func (h *AuthenticatorHandler) GetMetadata(context.Context, *adminv1.GetMetadataRequest) (*adminv1.Metadata, error) {
	s := h.faces.metadata()
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
	res := &adminv1.ListAuthenticatorsResponse{}
	for _, m := range list {
		a := &adminv1.Authenticator{
			Aaguid: m.AAGUID.String(), Name: h.faces.name(m.AAGUID), IconUrl: h.faces.icon(m.AAGUID),
			Credentials: int32(m.Credentials), Proven: int32(m.Proven), Users: int32(m.Users), //nolint:gosec // counts of rows
			Reports: m.Reports,
		}
		if known, ok := h.catalogue.Lookup(m.AAGUID); ok {
			a.Certification = known.Certification
		}
		res.Authenticators = append(res.Authenticators, a)
	}
	return res, nil
}

// ListModels answers for the installation: it is the same for all tenants.
func (h *AuthenticatorHandler) ListModels(ctx context.Context, req *adminv1.ListModelsRequest) (*adminv1.ListModelsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.catalogue.List(ctx, sc, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListModelsResponse{NextPageToken: page.NextToken}
	for _, m := range page.Items {
		one := &adminv1.Model{Name: m.Name, Certification: m.Certification, Reports: m.Reports}
		if m.AAGUID != uuid.Nil {
			one.Aaguid, one.IconUrl = m.AAGUID.String(), h.faces.icon(m.AAGUID)
		}
		if one.GetName() == "" {
			one.Name = authenticator.Unknown
		}
		for _, k := range m.KeyIdentifiers {
			one.KeyIdentifiers = append(one.KeyIdentifiers, hex.EncodeToString(k))
		}
		res.Models = append(res.Models, one)
	}
	return res, nil
}

// GetAuthenticator joins what the metadata says and what the tenant has.
func (h *AuthenticatorHandler) GetAuthenticator(ctx context.Context, req *adminv1.GetAuthenticatorRequest) (*adminv1.AuthenticatorModel, error) {
	sc, aaguid, err := modelOf(ctx, req.GetAaguid())
	if err != nil {
		return nil, err
	}
	r, err := h.models.Measure(ctx, sc, aaguid)
	if err != nil {
		return nil, err
	}
	m, described := h.catalogue.Lookup(aaguid)
	name := h.faces.name(aaguid)
	if !described && name == authenticator.Unknown && r.Credentials == 0 {
		return nil, authenticator.ErrUnknown
	}
	res := &adminv1.AuthenticatorModel{
		Aaguid: aaguid.String(), Name: name, IconUrl: h.faces.icon(aaguid), Described: described,
		Credentials: int32(r.Credentials), Proven: int32(r.Proven), Users: int32(r.Users), //nolint:gosec // counts of rows
	}
	if !described {
		return res, nil
	}
	details := m.Details()
	res.Certification, res.Reports, res.AttestationTypes, res.Roots = m.Certification, m.Reports, m.AttestationTypes, int32(len(m.Roots)) //nolint:gosec // of one entry
	res.AttestationFormats, res.KeyProtection, res.AttachmentHints = details.AttestationFormats, details.KeyProtection, details.AttachmentHints
	for _, report := range m.Entry.Reports {
		one := &adminv1.StatusReport{Status: report.Status, CertificateOnly: report.Certificate != nil}
		if !report.Effective.IsZero() {
			one.EffectiveDate = report.Effective.Format(time.DateOnly)
		}
		res.StatusReports = append(res.StatusReports, one)
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

// ListBlastRadii translates: one call, one answer.
func (h *AuthenticatorHandler) ListBlastRadii(ctx context.Context, req *adminv1.ListBlastRadiiRequest) (*adminv1.ListBlastRadiiResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.models.Fleet(ctx, sc, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListBlastRadiiResponse{NextPageToken: page.NextToken}
	for _, m := range page.Totals {
		res.Models = append(res.Models, &adminv1.ModelBlastRadius{
			Aaguid: m.AAGUID.String(), Name: h.faces.name(m.AAGUID), Reports: m.Reports, Tenants: int32(m.Tenants), //nolint:gosec // a count of rows
			Credentials: int32(m.Credentials), Users: int32(m.Users), Disposed: int32(m.Disposed), //nolint:gosec // counts of rows
		})
	}
	for _, one := range page.Shares {
		res.Tenants = append(res.Tenants, &adminv1.TenantBlastRadius{
			TenantId: one.Tenant.String(), TenantSlug: one.Slug, Aaguid: one.AAGUID.String(),
			Credentials: int32(one.Credentials), Proven: int32(one.Proven), Active: int32(one.Active), //nolint:gosec // counts of rows
			Suspended: int32(one.Suspended), Disposed: int32(one.Disposed), Users: int32(one.Users), //nolint:gosec // counts of rows
			Disposition: string(one.Disposition), Automatic: one.Automatic, OrderedAt: timestampOf(one.OrderedAt), FinishedAt: timestampOf(one.FinishedAt),
		})
	}
	return res, nil
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
