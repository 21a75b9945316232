package rpc

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// tenantAdmin is what the handler needs of tenant.Service.
type tenantAdmin interface {
	Create(ctx context.Context, sc scope.Scope, req tenant.CreateRequest) (tenant.Tenant, tenant.FirstKeys, error)
	Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (tenant.Tenant, error)
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[tenant.Tenant], error)
	Update(ctx context.Context, sc scope.Scope, req tenant.UpdateRequest) (tenant.Tenant, error)
	Suspend(ctx context.Context, sc scope.Scope, req tenant.SuspendRequest) (tenant.Tenant, error)
	Resume(ctx context.Context, sc scope.Scope, req tenant.SuspendRequest) (tenant.Tenant, error)
	VouchDomain(ctx context.Context, sc scope.Scope, req tenant.VouchRequest) (tenant.Tenant, error)
	Delete(ctx context.Context, sc scope.Scope, req tenant.DeleteRequest) (tenant.Tenant, error)
	Restore(ctx context.Context, sc scope.Scope, req tenant.DeleteRequest) (tenant.Tenant, error)
}

// TenantHandler serves TenantService.
type TenantHandler struct {
	adminv1connect.UnimplementedTenantServiceHandler
	tenants tenantAdmin
	members founders
	link    func(string) string
}

// founders is what the handler needs of member.Service.
type founders interface {
	InviteFounder(ctx context.Context, sc scope.Scope, req member.FoundingRequest) (member.Invited, error)
	Founders(ctx context.Context, sc scope.Scope) ([]member.Invited, error)
	UninviteFounder(ctx context.Context, sc scope.Scope, id uuid.UUID) (member.Invitation, error)
}

// NewTenantHandler returns a handler over the two; link is the page that takes the token of
// an invitation.
func NewTenantHandler(s *tenant.Service, members *member.Service, link func(token string) string) *TenantHandler {
	return &TenantHandler{tenants: s, members: members, link: link}
}

// InviteTenant answers the link, which nobody reads again here.
func (h *TenantHandler) InviteTenant(ctx context.Context, req *adminv1.InviteTenantRequest) (*adminv1.InviteTenantResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	made, err := h.members.InviteFounder(ctx, sc, member.FoundingRequest{
		Label: req.GetLabel(), Terms: member.Terms{Mode: tenant.Mode(req.GetMode().String()), Plan: req.GetPlan(), Quotas: fromQuotas(req.GetQuotas())},
		Life:  time.Duration(req.GetExpiresInSeconds()) * time.Second,
		Email: req.GetEmail(), Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.InviteTenantResponse{
		InvitationId: made.Invitation.ID.String(), ExpiresAt: timestamp(made.Invitation.ExpiresAt), Url: h.link(made.Token),
	}, nil
}

// ListTenantInvitations answers without the links.
func (h *TenantHandler) ListTenantInvitations(ctx context.Context, _ *adminv1.ListTenantInvitationsRequest) (*adminv1.ListTenantInvitationsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	open, err := h.members.Founders(ctx, sc)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListTenantInvitationsResponse{}
	for _, i := range open {
		res.Invitations = append(res.Invitations, toTenantInvitation(i.Invitation))
	}
	return res, nil
}

// RevokeTenantInvitation translates: one call, one answer.
func (h *TenantHandler) RevokeTenantInvitation(ctx context.Context, req *adminv1.RevokeTenantInvitationRequest) (*adminv1.RevokeTenantInvitationResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(req.GetInvitationId())
	if err != nil {
		return nil, member.ErrInvitation
	}
	answers(ctx, func(i member.Invitation) proto.Message {
		return &adminv1.RevokeTenantInvitationResponse{Invitation: toTenantInvitation(i)}
	})
	gone, err := h.members.UninviteFounder(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return &adminv1.RevokeTenantInvitationResponse{Invitation: toTenantInvitation(gone)}, nil
}

// CreateTenant answers the tenant's first two keys, which nobody can read again.
func (h *TenantHandler) CreateTenant(ctx context.Context, req *adminv1.CreateTenantRequest) (*adminv1.CreateTenantResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	t, first, err := h.tenants.Create(ctx, sc, tenant.CreateRequest{
		Slug: req.GetSlug(), Name: req.GetName(), Mode: tenant.Mode(req.GetMode().String()), RPID: req.GetRpId(), Origins: req.GetOrigins(),
		VouchReason: req.GetDomainVouchReason(), Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateTenantResponse{
		Tenant: toTenant(t), SecretKey: first.Secret, PublishableKey: first.Publishable,
	}, nil
}

// GetTenant translates: one call, one answer.
func (h *TenantHandler) GetTenant(ctx context.Context, req *adminv1.GetTenantRequest) (*adminv1.Tenant, error) {
	sc, id, err := tenantCall(ctx, req.GetTenantId())
	if err != nil {
		return nil, err
	}
	t, err := h.tenants.Get(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return toTenant(t), nil
}

// ListTenants translates: one call, one answer.
func (h *TenantHandler) ListTenants(ctx context.Context, req *adminv1.ListTenantsRequest) (*adminv1.ListTenantsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.tenants.List(ctx, sc, listing.Request{
		PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter(), OrderBy: req.GetOrderBy(),
	})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListTenantsResponse{NextPageToken: page.NextToken}
	for _, t := range page.Items {
		res.Tenants = append(res.Tenants, toTenant(t))
	}
	return res, nil
}

// UpdateTenant changes the fields that are present; If-Match guards.
func (h *TenantHandler) UpdateTenant(ctx context.Context, req *adminv1.UpdateTenantRequest) (*adminv1.Tenant, error) {
	sc, id, err := tenantCall(ctx, req.GetTenantId())
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(t tenant.Tenant) proto.Message { return toTenant(t) })
	t, err := h.tenants.Update(ctx, sc, tenant.UpdateRequest{
		ID: id, Name: req.Name, RPID: req.RpId, Origins: req.GetOrigins(), Plan: req.Plan, Region: req.Region, IfMatch: etag,
	})
	if err != nil {
		return nil, err
	}
	return toTenant(t), nil
}

// SuspendTenant translates: one call, one answer.
func (h *TenantHandler) SuspendTenant(ctx context.Context, req *adminv1.SuspendTenantRequest) (*adminv1.SuspendTenantResponse, error) {
	sc, id, err := tenantCall(ctx, req.GetTenantId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(t tenant.Tenant) proto.Message { return &adminv1.SuspendTenantResponse{Tenant: toTenant(t)} })
	t, err := h.tenants.Suspend(ctx, sc, tenant.SuspendRequest{ID: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return &adminv1.SuspendTenantResponse{Tenant: toTenant(t)}, nil
}

// ResumeTenant translates: one call, one answer.
func (h *TenantHandler) ResumeTenant(ctx context.Context, req *adminv1.ResumeTenantRequest) (*adminv1.ResumeTenantResponse, error) {
	sc, id, err := tenantCall(ctx, req.GetTenantId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(t tenant.Tenant) proto.Message { return &adminv1.ResumeTenantResponse{Tenant: toTenant(t)} })
	t, err := h.tenants.Resume(ctx, sc, tenant.SuspendRequest{ID: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return &adminv1.ResumeTenantResponse{Tenant: toTenant(t)}, nil
}

// VouchDomain translates: one call, one answer.
func (h *TenantHandler) VouchDomain(ctx context.Context, req *adminv1.VouchDomainRequest) (*adminv1.VouchDomainResponse, error) {
	sc, id, err := tenantCall(ctx, req.GetTenantId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(t tenant.Tenant) proto.Message { return &adminv1.VouchDomainResponse{Tenant: toTenant(t)} })
	t, err := h.tenants.VouchDomain(ctx, sc, tenant.VouchRequest{ID: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return &adminv1.VouchDomainResponse{Tenant: toTenant(t)}, nil
}

// DeleteTenant translates: one call, one answer.
func (h *TenantHandler) DeleteTenant(ctx context.Context, req *adminv1.DeleteTenantRequest) (*adminv1.DeleteTenantResponse, error) {
	sc, id, err := tenantCall(ctx, req.GetTenantId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(t tenant.Tenant) proto.Message { return &adminv1.DeleteTenantResponse{Tenant: toTenant(t)} })
	t, err := h.tenants.Delete(ctx, sc, tenant.DeleteRequest{ID: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return &adminv1.DeleteTenantResponse{Tenant: toTenant(t)}, nil
}

// RestoreTenant translates: one call, one answer.
func (h *TenantHandler) RestoreTenant(ctx context.Context, req *adminv1.RestoreTenantRequest) (*adminv1.RestoreTenantResponse, error) {
	sc, id, err := tenantCall(ctx, req.GetTenantId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(t tenant.Tenant) proto.Message { return &adminv1.RestoreTenantResponse{Tenant: toTenant(t)} })
	t, err := h.tenants.Restore(ctx, sc, tenant.DeleteRequest{ID: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return &adminv1.RestoreTenantResponse{Tenant: toTenant(t)}, nil
}

// tenantCall reads what every call about one tenant has: who asks, and about whom.
func tenantCall(ctx context.Context, tenantID string) (scope.Scope, uuid.UUID, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return scope.Scope{}, uuid.Nil, err
	}
	id, err := uuid.Parse(tenantID)
	if err != nil {
		return scope.Scope{}, uuid.Nil, tenant.ErrNotFound
	}
	return sc, id, nil
}

func toTenant(t tenant.Tenant) *adminv1.Tenant {
	return &adminv1.Tenant{
		Id: t.ID.String(), Slug: t.Slug, Name: t.Name,
		Mode:  adminv1.Tenant_Mode(adminv1.Tenant_Mode_value[string(t.Mode)]),
		State: adminv1.Tenant_State(adminv1.Tenant_State_value[string(t.State)]),
		RpId:  t.RPID, Origins: t.Origins, CreatedAt: timestamp(t.CreatedAt), Etag: t.ETag,
		Plan: t.Plan, Region: t.Region, SuspendReason: t.SuspendReason, DeleteAfter: timestampOf(t.DeleteAfter),
		Availability: toAvailability(t.Month),
	}
}

func toTenantInvitation(i member.Invitation) *adminv1.TenantInvitation {
	out := &adminv1.TenantInvitation{
		Id: i.ID.String(), Label: i.Label, InvitedBy: i.InvitedBy, CreatedAt: timestamp(i.CreatedAt), ExpiresAt: timestamp(i.ExpiresAt),
		Mode: adminv1.Tenant_Mode(adminv1.Tenant_Mode_value[string(i.Founds.Mode)]), Plan: i.Founds.Plan,
	}
	for _, q := range i.Founds.Quotas {
		out.Quotas = append(out.Quotas, toQuota(q))
	}
	return out
}
