package rpc

import (
	"context"
	"encoding/hex"
	"math"

	"github.com/google/uuid"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/anchor"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/audit/view"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// entries is what the handler needs of trail.Reader.
type entries interface {
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[trail.Record], error)
	Prove(ctx context.Context, sc scope.Scope, id uuid.UUID) (trail.Proof, error)
	Checkpoint(ctx context.Context, sc scope.Scope) (trail.Checkpoint, error)
	Checkpoints(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[trail.Checkpoint], error)
	Grown(ctx context.Context, sc scope.Scope, from, to int64) (trail.Growth, error)
	Beginning(ctx context.Context, sc scope.Scope) (trail.Beginning, error)
}

// AuditHandler serves AuditService.
type AuditHandler struct {
	adminv1connect.UnimplementedAuditServiceHandler
	entries entries
	anchors *anchor.Service
	old     *cold.Service
	views   auditViews
}

// NewAuditHandler returns a handler over all four.
func NewAuditHandler(r *trail.Reader, a *anchor.Service, old *cold.Service, v *view.Service) *AuditHandler {
	return &AuditHandler{entries: r, anchors: a, old: old, views: v}
}

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
	if page.NextToken == "" {
		b, err := h.entries.Beginning(ctx, sc)
		if err != nil {
			return nil, err
		}
		if b.Seq > 0 {
			res.ArchivedBefore = timestamp(b.Until)
		}
	}
	return res, nil
}

// GetAuditProof translates: one call, one answer.
func (h *AuditHandler) GetAuditProof(ctx context.Context, req *adminv1.GetAuditProofRequest) (*adminv1.AuditProof, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(req.GetAuditEventId())
	if err != nil {
		return nil, trail.ErrNotFound
	}
	p, err := h.entries.Prove(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	out := &adminv1.AuditProof{
		Sequence: float64(p.Seq), SequencedAt: timestamp(p.SequencedAt), Entry: p.Entry, LeafHash: merkle.Leaf(p.Seq, p.Entry).String(), Hashes: base64s(p.Hashes),
		Checkpoint: toAuditCheckpoint(&p.Checkpoint), VerifierKey: p.Checkpoint.VerifierKey,
	}
	for _, part := range p.Private {
		one := &adminv1.AuditPrivatePart{State: privateStates[part.State], Text: part.Text}
		if part.Subject != uuid.Nil {
			one.SubjectId = part.Subject.String()
		}
		out.Private = append(out.Private, one)
	}
	return out, nil
}

var privateStates = map[trail.PrivateState]adminv1.AuditPrivatePart_State{
	trail.PrivateKept: adminv1.AuditPrivatePart_KEPT, trail.PrivateErased: adminv1.AuditPrivatePart_ERASED, trail.PrivateDamaged: adminv1.AuditPrivatePart_DAMAGED,
}

// GetAuditLog translates: one call, one answer.
func (h *AuditHandler) GetAuditLog(ctx context.Context, _ *adminv1.GetAuditLogRequest) (*adminv1.AuditLog, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	c, err := h.entries.Checkpoint(ctx, sc)
	if err != nil {
		return nil, err
	}
	return &adminv1.AuditLog{Origin: c.Origin, VerifierKey: c.VerifierKey, Checkpoint: toAuditCheckpoint(&c)}, nil
}

// ListAuditCheckpoints translates: one call, one answer.
func (h *AuditHandler) ListAuditCheckpoints(ctx context.Context, req *adminv1.ListAuditCheckpointsRequest) (*adminv1.ListAuditCheckpointsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.entries.Checkpoints(ctx, sc, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListAuditCheckpointsResponse{NextPageToken: page.NextToken}
	for i := range page.Items {
		res.AuditCheckpoints = append(res.AuditCheckpoints, toAuditCheckpoint(&page.Items[i]))
	}
	return res, nil
}

// GetAuditConsistency translates: one call, one answer.
func (h *AuditHandler) GetAuditConsistency(ctx context.Context, req *adminv1.GetAuditConsistencyRequest) (*adminv1.AuditConsistency, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	from, to := req.GetFrom(), req.GetTo()
	if from != math.Trunc(from) || to != math.Trunc(to) {
		return nil, trail.ErrSizes
	}
	g, err := h.entries.Grown(ctx, sc, int64(from), int64(to))
	if err != nil {
		return nil, err
	}
	return &adminv1.AuditConsistency{From: float64(g.From), To: float64(g.To), Hashes: base64s(g.Hashes), Checkpoint: toAuditCheckpoint(&g.Checkpoint)}, nil
}

// GetAuditAnchor translates: one call, one answer.
func (h *AuditHandler) GetAuditAnchor(ctx context.Context, _ *adminv1.GetAuditAnchorRequest) (*adminv1.AuditAnchor, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	a, err := h.anchors.Last(ctx, sc)
	if err != nil {
		return nil, err
	}
	out := &adminv1.AuditAnchor{
		Origin: a.Head.Origin, Size: float64(a.Head.Size), RootHash: a.Head.Root.String(), AnchoredAt: timestamp(a.Proof.AnchoredAt),
		Entry: a.Proof.Entry, Sequence: float64(a.Proof.Sequence), Hashes: base64s(a.Proof.Hashes), VerifierKey: a.Proof.VerifierKey,
		Checkpoint: toAuditCheckpoint(&trail.Checkpoint{Checkpoint: a.Note, SignedAt: a.Proof.AnchoredAt, Note: a.Proof.Checkpoint.Note}),
		Object:     a.Object, ObjectVersion: a.Version, StoredAt: timestamp(a.StoredAt), LockProblem: a.Problem,
	}
	if !a.LockedUntil.IsZero() {
		out.LockedUntil = timestamp(a.LockedUntil)
	}
	return out, nil
}

// ListAuditArchives translates: one call, one answer.
func (h *AuditHandler) ListAuditArchives(ctx context.Context, req *adminv1.ListAuditArchivesRequest) (*adminv1.ListAuditArchivesResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.old.Page(ctx, sc, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListAuditArchivesResponse{NextPageToken: page.NextToken}
	for i := range page.Items {
		a := &page.Items[i]
		one := &adminv1.AuditArchive{
			From: float64(a.From), To: float64(a.To), FirstAt: timestamp(a.First), LastAt: timestamp(a.Last), Bytes: float64(a.Bytes), Sha256: hex.EncodeToString(a.SHA256),
			Objects: h.old.Addresses(sc, a), ObjectVersions: a.Versions, ArchivedAt: timestamp(a.ArchivedAt), LockProblem: a.Problem,
		}
		if !a.LockedUntil.IsZero() {
			one.LockedUntil = timestamp(a.LockedUntil)
		}
		res.AuditArchives = append(res.AuditArchives, one)
	}
	return res, nil
}

func toAuditCheckpoint(c *trail.Checkpoint) *adminv1.AuditCheckpoint {
	return &adminv1.AuditCheckpoint{Origin: c.Origin, Size: float64(c.Size), RootHash: c.Root.String(), SignedAt: timestamp(c.SignedAt), Note: c.Note}
}

// base64s are hashes as signed notes have them.
func base64s(hashes []merkle.Hash) []string {
	out := make([]string, len(hashes))
	for i, h := range hashes {
		out[i] = h.String()
	}
	return out
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
