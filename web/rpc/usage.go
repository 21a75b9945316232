package rpc

import (
	"context"
	"math"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/tenancy/usage"
)

// meter is what the handler needs of usage.Service.
type meter interface {
	Report(ctx context.Context, sc scope.Scope, from, to time.Time) (usage.Report, error)
	SetQuotas(ctx context.Context, sc scope.Scope, req usage.QuotasRequest) ([]usage.Quota, error)
}

// limitedTenants is what the handler needs of tenant.Service.
type limitedTenants interface {
	Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (tenant.Tenant, error)
	Current(ctx context.Context, sc scope.Scope) (*tenant.Snapshot, error)
	SetLimits(ctx context.Context, sc scope.Scope, req tenant.LimitsRequest) (tenant.Tenant, error)
}

// refusals is what the handler needs of ratelimit.Limiter.
type refusals interface {
	Recent(ctx context.Context, sc scope.Scope) ([]ratelimit.Refusals, error)
}

// UsageHandler serves UsageService.
type UsageHandler struct {
	adminv1connect.UnimplementedUsageServiceHandler
	usage   meter
	tenants limitedTenants
	limits  refusals
}

// NewUsageHandler returns a handler over s, the tenants of t, and what l refuses.
func NewUsageHandler(s *usage.Service, t *tenant.Service, l *ratelimit.Limiter) *UsageHandler {
	return &UsageHandler{usage: s, tenants: t, limits: l}
}

// GetLimits translates: one call, one answer.
func (h *UsageHandler) GetLimits(ctx context.Context, _ *adminv1.GetLimitsRequest) (*adminv1.Limits, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	t, err := h.tenants.Current(ctx, sc)
	if err != nil {
		return nil, err
	}
	return h.limitsOf(ctx, sc, &t.Limits)
}

// GetTenantLimits opens the tenant that a platform key names.
func (h *UsageHandler) GetTenantLimits(ctx context.Context, req *adminv1.GetTenantLimitsRequest) (*adminv1.Limits, error) {
	sc, id, err := tenantCall(ctx, req.GetTenantId())
	if err != nil {
		return nil, err
	}
	t, err := h.tenants.Get(ctx, sc, id) // the platform's alone, and there is one
	if err != nil {
		return nil, err
	}
	return h.limitsOf(ctx, scope.New(id, sc.Actor()).WithOrigin(sc.Origin()), &t.Limits)
}

// limitsOf are limits, and what they refused.
func (h *UsageHandler) limitsOf(ctx context.Context, sc scope.Scope, own *ratelimit.Own) (*adminv1.Limits, error) {
	recent, err := h.limits.Recent(ctx, sc)
	if err != nil {
		return nil, err
	}
	out := &adminv1.Limits{Limits: toLimits(own)}
	for _, r := range recent {
		out.Refusals = append(out.Refusals, &adminv1.LimitRefusals{
			Limit: r.Limit, Hour: timestamppb.New(r.Hour), Who: r.Who, Calls: int32(min(r.Calls, math.MaxInt32)), //nolint:gosec // bounded here
		})
	}
	return out, nil
}

// GetUsage translates: one call, one answer.
func (h *UsageHandler) GetUsage(ctx context.Context, req *adminv1.GetUsageRequest) (*adminv1.Usage, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return h.report(ctx, sc, req.GetFrom(), req.GetTo())
}

// GetTenantUsage opens the tenant that a platform key names.
func (h *UsageHandler) GetTenantUsage(ctx context.Context, req *adminv1.GetTenantUsageRequest) (*adminv1.Usage, error) {
	sc, id, err := tenantCall(ctx, req.GetTenantId())
	if err != nil {
		return nil, err
	}
	if _, err := h.tenants.Get(ctx, sc, id); err != nil { // the platform's alone, and there is one
		return nil, err
	}
	return h.report(ctx, scope.New(id, sc.Actor()).WithOrigin(sc.Origin()), req.GetFrom(), req.GetTo())
}

func (h *UsageHandler) report(ctx context.Context, sc scope.Scope, from, to string) (*adminv1.Usage, error) {
	since, err := day(from)
	if err != nil {
		return nil, err
	}
	until, err := day(to)
	if err != nil {
		return nil, err
	}
	r, err := h.usage.Report(ctx, sc, since, until)
	if err != nil {
		return nil, err
	}
	return toUsage(r), nil
}

// UpdateTenantLimits translates: one call, one answer.
func (h *UsageHandler) UpdateTenantLimits(ctx context.Context, req *adminv1.UpdateTenantLimitsRequest) (*adminv1.UpdateTenantLimitsResponse, error) {
	sc, id, err := tenantCall(ctx, req.GetTenantId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(t tenant.Tenant) proto.Message {
		return &adminv1.UpdateTenantLimitsResponse{Limits: toLimits(&t.Limits)}
	})
	in := tenant.LimitsRequest{ID: id, Remove: req.GetRemove(), Reason: req.GetReason()}
	for _, one := range req.GetSet() {
		in.Set = append(in.Set, ratelimit.Calls{Name: one.GetName(), Calls: int64(one.GetCalls())})
	}
	t, err := h.tenants.SetLimits(ctx, sc, in)
	if err != nil {
		return nil, err
	}
	return &adminv1.UpdateTenantLimitsResponse{Limits: toLimits(&t.Limits)}, nil
}

// toLimits are all limits, as a tenant with limits of its own is subject to them.
func toLimits(own *ratelimit.Own) []*adminv1.Limit {
	out := make([]*adminv1.Limit, 0, len(ratelimit.All()))
	for _, l := range ratelimit.All() {
		out = append(out, &adminv1.Limit{
			Name: l.Name, Calls: int32(own.Of(l).Max), WindowSeconds: int32(l.Window.Seconds()), Exact: l.Exact, DefaultCalls: int32(l.Max), //nolint:gosec // bounded by Limit.Bounds
		})
	}
	return out
}

// UpdateTenantQuotas translates: one call, one answer.
func (h *UsageHandler) UpdateTenantQuotas(ctx context.Context, req *adminv1.UpdateTenantQuotasRequest) (*adminv1.UpdateTenantQuotasResponse, error) {
	sc, id, err := tenantCall(ctx, req.GetTenantId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(q []usage.Quota) proto.Message { return toQuotas(q) })
	in := usage.QuotasRequest{Tenant: id, Set: fromQuotas(req.GetSet()), Reason: req.GetReason()}
	for _, k := range req.GetRemove() {
		in.Remove = append(in.Remove, usage.Kind(k.String()))
	}
	quotas, err := h.usage.SetQuotas(ctx, sc, in)
	if err != nil {
		return nil, err
	}
	return toQuotas(quotas), nil
}

// day reads a date; the zero time for none. usage.ErrSpan.
func day(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, usage.ErrSpan
	}
	return t, nil
}

func kindOfQuota(k usage.Kind) adminv1.Quota_Kind {
	return adminv1.Quota_Kind(adminv1.Quota_Kind_value[string(k)])
}

func fromQuotas(quotas []*adminv1.Quota) []usage.Quota {
	var out []usage.Quota
	for _, q := range quotas {
		out = append(out, usage.Quota{Kind: usage.Kind(q.GetKind().String()), Most: int64(q.GetMost()), Hard: q.GetHard()})
	}
	return out
}

func toQuota(q usage.Quota) *adminv1.Quota {
	return &adminv1.Quota{Kind: kindOfQuota(q.Kind), Most: float64(q.Most), Hard: q.Hard}
}

func toQuotas(quotas []usage.Quota) *adminv1.UpdateTenantQuotasResponse {
	out := &adminv1.UpdateTenantQuotasResponse{}
	for _, q := range quotas {
		out.Quotas = append(out.Quotas, toQuota(q))
	}
	return out
}

func toUsage(r usage.Report) *adminv1.Usage {
	out := &adminv1.Usage{}
	for _, d := range r.Days {
		out.Days = append(out.Days, &adminv1.Usage_Day{
			Day: d.Day.Format(time.DateOnly), Ceremonies: float64(d.Ceremonies), SignIns: float64(d.SignIns),
			MonthlyActiveUsers: float64(d.MonthlyActiveUsers), StoredBytes: float64(d.StoredBytes), MeasuredAt: timestamp(d.MeasuredAt),
		})
	}
	for _, m := range r.Meters {
		meter := &adminv1.Usage_Meter{Kind: kindOfQuota(m.Kind), Used: float64(m.Used), Forecast: float64(m.Forecast)}
		if m.Quota != nil {
			meter.Quota = toQuota(*m.Quota)
		}
		out.Meters = append(out.Meters, meter)
	}
	for _, a := range r.Alerts {
		out.Alerts = append(out.Alerts, &adminv1.Usage_Alert{
			Kind: kindOfQuota(a.Kind), Percent: uint32(a.Percent), Used: float64(a.Used), Most: float64(a.Most), At: timestamp(a.At), //nolint:gosec // 80 or 100
		})
	}
	return out
}
