package rpc

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/user"
	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// sessions is what the handler needs of session.Service.
type sessions interface {
	Verify(ctx context.Context, sc scope.Scope, accessToken string) (session.Verification, error)
	Refresh(ctx context.Context, sc scope.Scope, refreshToken string) (session.Issued, error)
	ListOfUser(ctx context.Context, sc scope.Scope, id user.ID, req listing.Request) (listing.Page[session.Session], error)
	Revoke(ctx context.Context, sc scope.Scope, id session.ID, reason string) (session.Session, error)
	RevokeAllOfUser(ctx context.Context, sc scope.Scope, id user.ID, reason string) (int, error)
}

// SessionHandler serves SessionService.
type SessionHandler struct {
	authv1connect.UnimplementedSessionServiceHandler
	sessions sessions
}

// NewSessionHandler returns a handler over s.
func NewSessionHandler(s *session.Service) *SessionHandler { return &SessionHandler{sessions: s} }

// VerifySession answers active: false for a token that is not good, whatever is
// wrong with it, and no claims with it.
func (h *SessionHandler) VerifySession(ctx context.Context, req *authv1.VerifySessionRequest) (*authv1.VerifySessionResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	v, err := h.sessions.Verify(ctx, sc, req.GetAccessToken())
	if err != nil {
		return nil, err
	}
	if !v.Active {
		return &authv1.VerifySessionResponse{}, nil
	}
	claims, err := structpb.NewStruct(v.Claims.Map())
	if err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	return &authv1.VerifySessionResponse{Active: true, Claims: claims}, nil
}

// RefreshSession translates: one call, one answer.
func (h *SessionHandler) RefreshSession(ctx context.Context, req *authv1.RefreshSessionRequest) (*authv1.RefreshSessionResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	issued, err := h.sessions.Refresh(ctx, sc, req.GetRefreshToken())
	if err != nil {
		return nil, err
	}
	return &authv1.RefreshSessionResponse{Session: toIssued(issued)}, nil
}

// ListSessions translates: one call, one answer.
func (h *SessionHandler) ListSessions(ctx context.Context, req *authv1.ListSessionsRequest) (*authv1.ListSessionsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := user.ParseID(req.GetUserId())
	if err != nil {
		return nil, err
	}
	page, err := h.sessions.ListOfUser(ctx, sc, id, listing.Request{
		PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter(),
	})
	if err != nil {
		return nil, err
	}
	res := &authv1.ListSessionsResponse{NextPageToken: page.NextToken}
	for _, s := range page.Items {
		res.Sessions = append(res.Sessions, toSession(s))
	}
	return res, nil
}

// RevokeSession translates: one call, one answer.
func (h *SessionHandler) RevokeSession(ctx context.Context, req *authv1.RevokeSessionRequest) (*authv1.RevokeSessionResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := session.ParseID(req.GetSessionId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(s session.Session) proto.Message {
		return &authv1.RevokeSessionResponse{Session: toSession(s)}
	})
	s, err := h.sessions.Revoke(ctx, sc, id, req.GetReason())
	if err != nil {
		return nil, err
	}
	return &authv1.RevokeSessionResponse{Session: toSession(s)}, nil
}

// RevokeAllSessions translates: one call, one answer.
func (h *SessionHandler) RevokeAllSessions(ctx context.Context, req *authv1.RevokeAllSessionsRequest) (*authv1.RevokeAllSessionsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := user.ParseID(req.GetUserId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(n int) proto.Message { return toRevokedCount(n) })
	n, err := h.sessions.RevokeAllOfUser(ctx, sc, id, req.GetReason())
	if err != nil {
		return nil, err
	}
	return toRevokedCount(n), nil
}

func toRevokedCount(n int) *authv1.RevokeAllSessionsResponse {
	return &authv1.RevokeAllSessionsResponse{RevokedCount: uint32(max(n, 0))} //nolint:gosec // a user has no 2^32 sessions
}

func toSession(s session.Session) *authv1.Session {
	out := &authv1.Session{
		Id: s.ID.String(), UserId: s.UserID.String(), CredentialId: s.CredentialID.String(),
		Aal: toAAL(s.AAL), UserAgent: s.UserAgent,
		CreatedAt: timestamp(s.CreatedAt), LastUsedAt: timestamp(s.LastUsedAt), ExpiresAt: timestamp(s.ExpiresAt),
		RevokedAt: timestampOf(s.RevokedAt),
	}
	if s.Address.IsValid() {
		out.Ip = s.Address.String()
	}
	return out
}

// toIssued is a session together with its tokens.
func toIssued(i session.Issued) *authv1.Session {
	out := toSession(i.Session)
	out.AccessToken, out.AccessTokenExpiresAt = optional(i.AccessToken), timestamp(i.AccessTokenExpiresAt)
	out.RefreshToken = optional(i.RefreshToken)
	return out
}

func toAAL(level uint8) authv1.Assurance_Aal {
	switch level {
	case 1:
		return authv1.Assurance_AAL1
	case 2:
		return authv1.Assurance_AAL2
	case 3:
		return authv1.Assurance_AAL3
	}
	return authv1.Assurance_AAL_UNSPECIFIED
}
