package rpc

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/siem"
)

// logStreams is what the handler needs of siem.Service.
type logStreams interface {
	List(ctx context.Context, sc scope.Scope) ([]siem.Sink, error)
	Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (siem.Sink, error)
	Rejects(ctx context.Context, sc scope.Scope, id uuid.UUID, limit int) ([]siem.Reject, error)
	Create(ctx context.Context, sc scope.Scope, req siem.CreateRequest) (siem.Sink, error)
	Update(ctx context.Context, sc scope.Scope, req siem.UpdateRequest) (siem.Sink, error)
	Delete(ctx context.Context, sc scope.Scope, id uuid.UUID, ifMatch, reason string) error
	Pause(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (siem.Sink, error)
	Resume(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (siem.Sink, error)
	Replay(ctx context.Context, sc scope.Scope, req siem.ReplayRequest) (siem.Sink, error)
	Test(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (siem.Tested, error)
}

// LogStreamHandler serves LogStreamService.
type LogStreamHandler struct {
	adminv1connect.UnimplementedLogStreamServiceHandler
	streams logStreams
}

// NewLogStreamHandler returns a handler over s.
func NewLogStreamHandler(s *siem.Service) *LogStreamHandler { return &LogStreamHandler{streams: s} }

// maxRejects is how many are answered.
const maxRejects = 200

// ListLogStreams translates: one call, one answer.
func (h *LogStreamHandler) ListLogStreams(ctx context.Context, _ *adminv1.ListLogStreamsRequest) (*adminv1.ListLogStreamsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	list, err := h.streams.List(ctx, sc)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListLogStreamsResponse{}
	for i := range list {
		res.LogStreams = append(res.LogStreams, toLogStream(&list[i]))
	}
	return res, nil
}

// GetLogStream translates: one call, one answer.
func (h *LogStreamHandler) GetLogStream(ctx context.Context, req *adminv1.GetLogStreamRequest) (*adminv1.LogStream, error) {
	sc, id, err := logStreamOf(ctx, req.GetLogStreamId())
	if err != nil {
		return nil, err
	}
	s, err := h.streams.Get(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return toLogStream(&s), nil
}

// ListLogStreamRejects translates: one call, one answer.
func (h *LogStreamHandler) ListLogStreamRejects(ctx context.Context, req *adminv1.ListLogStreamRejectsRequest) (*adminv1.ListLogStreamRejectsResponse, error) {
	sc, id, err := logStreamOf(ctx, req.GetLogStreamId())
	if err != nil {
		return nil, err
	}
	list, err := h.streams.Rejects(ctx, sc, id, maxRejects)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListLogStreamRejectsResponse{}
	for _, r := range list {
		res.Rejects = append(res.Rejects, &adminv1.LogStreamReject{Seq: r.Seq, RejectedAt: timestamp(r.At), Reason: r.Reason})
	}
	return res, nil
}

// CreateLogStream translates: one call, one answer.
func (h *LogStreamHandler) CreateLogStream(ctx context.Context, req *adminv1.CreateLogStreamRequest) (*adminv1.LogStream, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	c := siem.CreateRequest{
		Config: siem.Config{
			Name: req.GetName(), Kind: siem.Kind(req.GetKind().String()), Format: siem.JSON, Address: req.GetAddress(), Index: req.GetIndex(), Acknowledge: req.GetAcknowledge(),
			CACertificates: req.GetCaCertificates(), Actions: req.GetActions(), Outcomes: outcomes(req.GetOutcomes()), Redact: req.GetRedact(),
			RedactKinds: req.GetRedactKinds(), BlockKinds: req.GetBlockKinds(),
		},
		Credential: req.GetCredential(), FromStart: req.GetFromStart(), Reason: req.GetReason(),
	}
	if f := req.GetFormat(); f != adminv1.LogStream_FORMAT_UNSPECIFIED {
		c.Format = siem.Format(f.String())
	}
	answers(ctx, func(s siem.Sink) proto.Message { return toLogStream(&s) })
	s, err := h.streams.Create(ctx, sc, c)
	if err != nil {
		return nil, err
	}
	return toLogStream(&s), nil
}

// UpdateLogStream changes the fields that are present; If-Match guards.
func (h *LogStreamHandler) UpdateLogStream(ctx context.Context, req *adminv1.UpdateLogStreamRequest) (*adminv1.LogStream, error) {
	sc, id, err := logStreamOf(ctx, req.GetLogStreamId())
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	u := siem.UpdateRequest{
		ID: id, Name: req.Name, Address: req.Address, Index: req.Index, Acknowledge: req.Acknowledge, CACertificates: req.CaCertificates, Credential: req.Credential,
		Reason: req.GetReason(), IfMatch: etag,
	}
	if req.Format != nil {
		f := siem.Format(req.GetFormat().String())
		u.Format = &f
	}
	if lists := req.GetReplace(); lists != nil {
		actions, out, redact := lists.GetActions(), outcomes(lists.GetOutcomes()), lists.GetRedact()
		u.Actions, u.Outcomes, u.Redact = &actions, &out, &redact
	}
	if rules := req.GetRules(); rules != nil {
		redact, block := rules.GetRedactKinds(), rules.GetBlockKinds()
		u.RedactKinds, u.BlockKinds = &redact, &block
	}
	answers(ctx, func(s siem.Sink) proto.Message { return toLogStream(&s) })
	s, err := h.streams.Update(ctx, sc, u)
	if err != nil {
		return nil, err
	}
	return toLogStream(&s), nil
}

// DeleteLogStream ends a stream; If-Match guards.
func (h *LogStreamHandler) DeleteLogStream(ctx context.Context, req *adminv1.DeleteLogStreamRequest) (*adminv1.DeleteLogStreamResponse, error) {
	sc, id, err := logStreamOf(ctx, req.GetLogStreamId())
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(siem.Sink) proto.Message { return &adminv1.DeleteLogStreamResponse{} })
	if err := h.streams.Delete(ctx, sc, id, etag, req.GetReason()); err != nil {
		return nil, err
	}
	return &adminv1.DeleteLogStreamResponse{}, nil
}

// PauseLogStream translates: one call, one answer.
func (h *LogStreamHandler) PauseLogStream(ctx context.Context, req *adminv1.PauseLogStreamRequest) (*adminv1.LogStream, error) {
	return settle(ctx, req.GetLogStreamId(), req.GetReason(), h.streams.Pause)
}

// ResumeLogStream translates: one call, one answer.
func (h *LogStreamHandler) ResumeLogStream(ctx context.Context, req *adminv1.ResumeLogStreamRequest) (*adminv1.LogStream, error) {
	return settle(ctx, req.GetLogStreamId(), req.GetReason(), h.streams.Resume)
}

func settle(ctx context.Context, text, reason string, do func(context.Context, scope.Scope, uuid.UUID, string) (siem.Sink, error)) (*adminv1.LogStream, error) {
	sc, id, err := logStreamOf(ctx, text)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(s siem.Sink) proto.Message { return toLogStream(&s) })
	s, err := do(ctx, sc, id, reason)
	if err != nil {
		return nil, err
	}
	return toLogStream(&s), nil
}

// ReplayLogStream translates: one call, one answer.
func (h *LogStreamHandler) ReplayLogStream(ctx context.Context, req *adminv1.ReplayLogStreamRequest) (*adminv1.LogStream, error) {
	sc, id, err := logStreamOf(ctx, req.GetLogStreamId())
	if err != nil {
		return nil, err
	}
	r := siem.ReplayRequest{ID: id, Seq: req.Seq, Reason: req.GetReason()}
	if req.GetSince() != nil {
		since := req.GetSince().AsTime()
		r.Since = &since
	}
	answers(ctx, func(s siem.Sink) proto.Message { return toLogStream(&s) })
	s, err := h.streams.Replay(ctx, sc, r)
	if err != nil {
		return nil, err
	}
	return toLogStream(&s), nil
}

// TestLogStream translates: one call, one answer.
func (h *LogStreamHandler) TestLogStream(ctx context.Context, req *adminv1.TestLogStreamRequest) (*adminv1.TestLogStreamResponse, error) {
	sc, id, err := logStreamOf(ctx, req.GetLogStreamId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(t siem.Tested) proto.Message { return toTested(t) })
	t, err := h.streams.Test(ctx, sc, id, req.GetReason())
	if err != nil {
		return nil, err
	}
	return toTested(t), nil
}

func logStreamOf(ctx context.Context, text string) (scope.Scope, uuid.UUID, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return scope.Scope{}, uuid.Nil, err
	}
	id, err := siem.ParseID(text)
	return sc, id, err
}

func outcomes(texts []string) []audit.Outcome {
	var out []audit.Outcome
	for _, t := range texts {
		out = append(out, audit.Outcome(t))
	}
	return out
}

func toTested(t siem.Tested) *adminv1.TestLogStreamResponse {
	return &adminv1.TestLogStreamResponse{Delivered: t.Delivered, Error: t.Error, EventId: t.EventID.String(), TookMs: t.Took.Milliseconds()}
}

func toLogStream(s *siem.Sink) *adminv1.LogStream {
	out := &adminv1.LogStream{
		Id: s.ID.String(), Name: s.Name, Kind: adminv1.LogStream_Kind(adminv1.LogStream_Kind_value[string(s.Kind)]),
		Format: adminv1.LogStream_Format(adminv1.LogStream_Format_value[string(s.Format)]), Address: s.Address, Index: s.Index, Acknowledge: s.Acknowledge,
		CaCertificates: s.CACertificates, Actions: s.Actions, Redact: s.Redact, RedactKinds: s.RedactKinds, BlockKinds: s.BlockKinds, Blocked: s.Blocked, HasCredential: s.HasCredential,
		State: adminv1.LogStream_State(adminv1.LogStream_State_value[string(s.State)]), NextSeq: s.NextSeq, Lag: s.Behind, OldestAt: timestampOf(s.Oldest),
		Sent: s.Sent, Rejected: s.Rejected, Missed: s.Missed, Failures: int32(min(s.Failures, 1<<30)), LastSuccessAt: timestampOf(s.LastSuccessAt), //nolint:gosec // bounded
		LastError: s.LastError, LastErrorAt: timestampOf(s.LastErrorAt), RetryAt: timestampOf(s.RetryAt),
		CreatedBy: s.CreatedBy, CreatedAt: timestamp(s.CreatedAt), UpdatedBy: s.UpdatedBy, UpdatedAt: timestamp(s.UpdatedAt), Etag: s.ETag,
	}
	for _, o := range s.Outcomes {
		out.Outcomes = append(out.Outcomes, string(o))
	}
	return out
}
