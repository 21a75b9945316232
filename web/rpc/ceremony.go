package rpc

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/biocore-id/biocore/authcore/debugger"
	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// finished is what the handler needs of debugger.Reader.
type finished interface {
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[debugger.Ceremony], error)
	Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (debugger.Ceremony, error)
}

// CeremonyHandler serves CeremonyService.
type CeremonyHandler struct {
	adminv1connect.UnimplementedCeremonyServiceHandler
	finished finished
}

// NewCeremonyHandler returns a handler over r.
func NewCeremonyHandler(r *debugger.Reader) *CeremonyHandler { return &CeremonyHandler{finished: r} }

// ListCeremonies translates: one call, one answer.
func (h *CeremonyHandler) ListCeremonies(ctx context.Context, req *adminv1.ListCeremoniesRequest) (*adminv1.ListCeremoniesResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.finished.List(ctx, sc, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListCeremoniesResponse{NextPageToken: page.NextToken}
	for i := range page.Items {
		c, err := toCeremony(&page.Items[i])
		if err != nil {
			return nil, err
		}
		res.Ceremonies = append(res.Ceremonies, c)
	}
	return res, nil
}

// GetCeremony translates: one call, one answer.
func (h *CeremonyHandler) GetCeremony(ctx context.Context, req *adminv1.GetCeremonyRequest) (*adminv1.Ceremony, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := debugger.ParseID(req.GetCeremonyId())
	if err != nil {
		return nil, err
	}
	c, err := h.finished.Get(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	out, err := toCeremony(&c)
	if err != nil {
		return nil, err
	}
	for _, s := range debugger.Steps(&c) {
		out.Steps = append(out.Steps, &adminv1.Ceremony_Step{Name: s.Name, Number: s.Number, State: stepStates[s.State], Detail: s.Detail})
		if s.Guide != nil {
			out.Guide = &adminv1.Ceremony_Guide{Title: s.Guide.Title, Why: s.Guide.Why, Fix: s.Guide.Fix}
		}
	}
	return out, nil
}

var stepStates = map[debugger.State]adminv1.Ceremony_Step_State{
	debugger.Passed: adminv1.Ceremony_Step_PASSED, debugger.Broken: adminv1.Ceremony_Step_FAILED, debugger.NotReached: adminv1.Ceremony_Step_NOT_REACHED,
}

func toCeremony(c *debugger.Ceremony) (*adminv1.Ceremony, error) {
	facts, err := object(c.Facts.JSON)
	if err != nil {
		return nil, err
	}
	out := &adminv1.Ceremony{
		Id: c.ID.String(), FinishedAt: timestamp(c.At), Kind: adminv1.Ceremony_Kind(adminv1.Ceremony_Kind_value[string(c.Kind)]),
		Outcome: adminv1.Ceremony_Outcome(adminv1.Ceremony_Outcome_value[string(c.Outcome)]), Reason: c.Reason,
		PolicyVersion: int32(c.PolicyVersion), TraceId: c.TraceID, RequestId: c.RequestID, Browser: c.Browser, Repeats: int32(c.Repeats), //nolint:gosec // integer columns
		Facts: facts,
	}
	if c.UserID != nil {
		id := c.UserID.String()
		out.UserId = &id
	}
	out.CredentialId = optional(c.CredentialID.String())
	if c.Facts.AAGUID != uuid.Nil {
		id := c.Facts.AAGUID.String()
		out.Aaguid = &id
	}
	if c.APIKeyID != nil {
		id := c.APIKeyID.String()
		out.ApiKeyId = &id
	}
	if c.Latency != nil {
		us := int32(c.Latency.Microseconds()) //nolint:gosec // an integer column
		out.LatencyMicros = &us
	}
	return out, nil
}

// object is a stored JSON object as a message; nil for none.
func object(text json.RawMessage) (*structpb.Struct, error) {
	if len(text) == 0 {
		return nil, nil //nolint:nilnil // documented: none
	}
	s := &structpb.Struct{}
	if err := s.UnmarshalJSON(text); err != nil {
		return nil, fmt.Errorf("stored object: %w", err)
	}
	return s, nil
}
