package rpc

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// segments is what the handler needs of flag.Service.
type segments interface {
	Segments(ctx context.Context, sc scope.Scope) ([]flag.StoredSegment, error)
	GetSegment(ctx context.Context, sc scope.Scope, key string) (flag.StoredSegment, []string, error)
	CreateSegment(ctx context.Context, sc scope.Scope, req flag.CreateSegmentRequest) (flag.StoredSegment, error)
	UpdateSegment(ctx context.Context, sc scope.Scope, req flag.UpdateSegmentRequest) (flag.StoredSegment, error)
	DeleteSegment(ctx context.Context, sc scope.Scope, req flag.DeleteSegmentRequest) error
	AddMembers(ctx context.Context, sc scope.Scope, req flag.MembersRequest) (int, error)
	RemoveMembers(ctx context.Context, sc scope.Scope, req flag.MembersRequest) (int, error)
	GetMember(ctx context.Context, sc scope.Scope, segment, key string) (flag.Membership, error)
	SegmentChanges(ctx context.Context, sc scope.Scope, key string, req listing.Request) (listing.Page[flag.SegmentChange], error)
	RestoreSegment(ctx context.Context, sc scope.Scope, req flag.RestoreRequest) (flag.StoredSegment, error)
}

// SegmentHandler serves SegmentService.
type SegmentHandler struct {
	adminv1connect.UnimplementedSegmentServiceHandler
	segments segments
}

// NewSegmentHandler returns a handler over s.
func NewSegmentHandler(s *flag.Service) *SegmentHandler { return &SegmentHandler{segments: s} }

// ListSegments translates: one call, one answer.
func (h *SegmentHandler) ListSegments(ctx context.Context, _ *adminv1.ListSegmentsRequest) (*adminv1.ListSegmentsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	list, err := h.segments.Segments(ctx, sc)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListSegmentsResponse{}
	for i := range list {
		one, err := toSegment(&list[i])
		if err != nil {
			return nil, err
		}
		res.Segments = append(res.Segments, one)
	}
	return res, nil
}

// GetSegment translates: one call, one answer.
func (h *SegmentHandler) GetSegment(ctx context.Context, req *adminv1.GetSegmentRequest) (*adminv1.Segment, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, usedBy, err := h.segments.GetSegment(ctx, sc, req.GetSegmentKey())
	if err != nil {
		return nil, err
	}
	res, err := toSegment(&found)
	if err != nil {
		return nil, err
	}
	res.UsedBy = usedBy
	return res, nil
}

// CreateSegment translates: one call, one answer.
func (h *SegmentHandler) CreateSegment(ctx context.Context, req *adminv1.CreateSegmentRequest) (*adminv1.Segment, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, segmentAnswer)
	made, err := h.segments.CreateSegment(ctx, sc, flag.CreateSegmentRequest{
		Key: req.GetKey(), Name: req.GetName(), Description: req.GetDescription(), When: fromCondition(req.GetWhen()), Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return toSegment(&made)
}

// UpdateSegment changes the fields that are given; If-Match guards.
func (h *SegmentHandler) UpdateSegment(ctx context.Context, req *adminv1.UpdateSegmentRequest) (*adminv1.Segment, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	change := flag.UpdateSegmentRequest{Key: req.GetSegmentKey(), Name: req.Name, Description: req.Description, Reason: req.GetReason()}
	if req.GetWhen() != nil {
		when := fromCondition(req.GetWhen())
		change.When = &when
	}
	if change.IfMatch, err = IfMatch(ctx); err != nil {
		return nil, err
	}
	answers(ctx, segmentAnswer)
	out, err := h.segments.UpdateSegment(ctx, sc, change)
	if err != nil {
		return nil, err
	}
	return toSegment(&out)
}

// DeleteSegment removes a segment; If-Match guards.
func (h *SegmentHandler) DeleteSegment(ctx context.Context, req *adminv1.DeleteSegmentRequest) (*adminv1.DeleteSegmentResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(flag.StoredSegment) proto.Message { return &adminv1.DeleteSegmentResponse{} })
	if err := h.segments.DeleteSegment(ctx, sc, flag.DeleteSegmentRequest{Key: req.GetSegmentKey(), Reason: req.GetReason(), IfMatch: etag}); err != nil {
		return nil, err
	}
	return &adminv1.DeleteSegmentResponse{}, nil
}

// AddSegmentMembers translates: one call, one answer.
func (h *SegmentHandler) AddSegmentMembers(ctx context.Context, req *adminv1.AddSegmentMembersRequest) (*adminv1.AddSegmentMembersResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answer := func(n int) *adminv1.AddSegmentMembersResponse {
		return &adminv1.AddSegmentMembersResponse{Added: int32(n)} //nolint:gosec // at most a thousand
	}
	answers(ctx, func(n int) proto.Message { return answer(n) })
	n, err := h.segments.AddMembers(ctx, sc, flag.MembersRequest{Key: req.GetSegmentKey(), TargetingKeys: req.GetTargetingKeys(), Excluded: req.GetExcluded(), Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return answer(n), nil
}

// RemoveSegmentMembers translates: one call, one answer.
func (h *SegmentHandler) RemoveSegmentMembers(ctx context.Context, req *adminv1.RemoveSegmentMembersRequest) (*adminv1.RemoveSegmentMembersResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answer := func(n int) *adminv1.RemoveSegmentMembersResponse {
		return &adminv1.RemoveSegmentMembersResponse{Removed: int32(n)} //nolint:gosec // at most a thousand
	}
	answers(ctx, func(n int) proto.Message { return answer(n) })
	n, err := h.segments.RemoveMembers(ctx, sc, flag.MembersRequest{Key: req.GetSegmentKey(), TargetingKeys: req.GetTargetingKeys(), Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return answer(n), nil
}

// FindSegmentMember translates: one call, one answer.
func (h *SegmentHandler) FindSegmentMember(ctx context.Context, req *adminv1.FindSegmentMemberRequest) (*adminv1.FindSegmentMemberResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	m, err := h.segments.GetMember(ctx, sc, req.GetSegmentKey(), req.GetTargetingKey())
	if err != nil {
		return nil, err
	}
	res := &adminv1.FindSegmentMemberResponse{Listed: m.Listed, Excluded: m.Excluded, AddedBy: m.AddedBy}
	if m.Listed {
		res.AddedAt = timestamp(m.AddedAt)
	}
	return res, nil
}

// ListSegmentChanges translates: one call, one answer.
func (h *SegmentHandler) ListSegmentChanges(ctx context.Context, req *adminv1.ListSegmentChangesRequest) (*adminv1.ListSegmentChangesResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.segments.SegmentChanges(ctx, sc, req.GetSegmentKey(), listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListSegmentChangesResponse{NextPageToken: page.NextToken}
	for i := range page.Items {
		c := &page.Items[i]
		out := &adminv1.SegmentChange{
			Id: c.ID.String(), Action: adminv1.SegmentChange_Action(adminv1.SegmentChange_Action_value[string(c.Action)]), Members: int32(c.Members), //nolint:gosec // at most 200,000
			Reason: c.Reason, ChangedBy: c.ChangedBy, ChangedAt: timestamp(c.ChangedAt),
		}
		if out.Before, err = toDocument(c.Before); err != nil {
			return nil, err
		}
		if out.After, err = toDocument(c.After); err != nil {
			return nil, err
		}
		res.SegmentChanges = append(res.SegmentChanges, out)
	}
	return res, nil
}

// RestoreSegment brings a former version back; If-Match guards.
func (h *SegmentHandler) RestoreSegment(ctx context.Context, req *adminv1.RestoreSegmentRequest) (*adminv1.Segment, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	change, err := uuid.Parse(req.GetChangeId())
	if err != nil {
		return nil, flag.ErrSegmentChangeNotFound
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, segmentAnswer)
	out, err := h.segments.RestoreSegment(ctx, sc, flag.RestoreRequest{Key: req.GetSegmentKey(), Change: change, Reason: req.GetReason(), IfMatch: etag})
	if err != nil {
		return nil, err
	}
	return toSegment(&out)
}

// segmentAnswer is what a repeated call is answered.
func segmentAnswer(s flag.StoredSegment) proto.Message {
	res, err := toSegment(&s)
	if err != nil {
		return nil
	}
	return res
}

func toSegment(s *flag.StoredSegment) (*adminv1.Segment, error) {
	res := &adminv1.Segment{
		Key: s.Key, Name: s.Name, Description: s.Description, Included: int32(s.Included), Excluded: int32(s.Excluded), //nolint:gosec // at most 200,000
		CreatedBy: s.CreatedBy, CreatedAt: timestamp(s.CreatedAt), UpdatedBy: s.UpdatedBy, UpdatedAt: timestamp(s.UpdatedAt), Etag: s.ETag,
	}
	if s.When.IsZero() {
		return res, nil
	}
	var err error
	res.When, err = toCondition(&s.When)
	return res, err
}
