package rpc

import (
	"context"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// entries is what the handler needs of trail.Reader.
type entries interface {
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[trail.Record], error)
}

// AuditHandler serves AuditService.
type AuditHandler struct {
	adminv1connect.UnimplementedAuditServiceHandler
	entries entries
}

// NewAuditHandler returns a handler over r.
func NewAuditHandler(r *trail.Reader) *AuditHandler { return &AuditHandler{entries: r} }

// ListAuditEvents translates: one call, one answer.
func (h *AuditHandler) ListAuditEvents(ctx context.Context, req *adminv1.ListAuditEventsRequest) (*adminv1.ListAuditEventsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.entries.List(ctx, sc, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListAuditEventsResponse{NextPageToken: page.NextToken}
	for i := range page.Items {
		e, err := toAuditEvent(&page.Items[i])
		if err != nil {
			return nil, err
		}
		res.AuditEvents = append(res.AuditEvents, e)
	}
	return res, nil
}

var auditOutcomes = map[audit.Outcome]adminv1.AuditEvent_Outcome{
	audit.Success: adminv1.AuditEvent_SUCCESS, audit.Denied: adminv1.AuditEvent_DENIED, audit.Failed: adminv1.AuditEvent_FAILED,
}

func toAuditEvent(r *trail.Record) (*adminv1.AuditEvent, error) {
	out := &adminv1.AuditEvent{
		Id: r.ID.String(), CreatedAt: timestamp(r.At), Action: r.Action, Outcome: auditOutcomes[r.Outcome], Reason: r.Reason, Actor: toActor(r.Actor),
		UserAgent: r.UserAgent, RequestId: r.RequestID, TraceId: r.TraceID,
	}
	if r.OnBehalfOf.Kind != "" {
		out.OnBehalfOf = toActor(r.OnBehalfOf)
	}
	if r.Target.Kind != "" {
		out.Target = &adminv1.AuditEvent_Target{Kind: r.Target.Kind, Id: r.Target.ID}
	}
	if r.Address.IsValid() {
		out.Address = r.Address.String()
	}
	var err error
	if out.Before, err = object(r.Before); err != nil {
		return nil, err
	}
	if out.After, err = object(r.After); err != nil {
		return nil, err
	}
	out.Detail, err = object(r.Detail)
	return out, err
}

func toActor(a scope.Actor) *adminv1.AuditEvent_Actor {
	return &adminv1.AuditEvent_Actor{Kind: string(a.Kind), Id: a.ID, Name: a.Name}
}
