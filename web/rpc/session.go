package rpc

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/biocore-id/biocore/authcore/risk/place"
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
	Refresh(ctx context.Context, sc scope.Scope, refreshToken string) (session.Refreshed, error)
	ListOfUser(ctx context.Context, sc scope.Scope, id user.ID, req listing.Request) (listing.Page[session.Session], error)
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[session.Session], error)
	BatchRevoke(ctx context.Context, sc scope.Scope, req session.BatchRevokeRequest) ([]session.Session, error)
	Revoke(ctx context.Context, sc scope.Scope, req session.RevokeRequest) (session.Session, error)
	RevokeAllOfUser(ctx context.Context, sc scope.Scope, req session.RevokeAllRequest) (int, error)
}

// SessionHandler serves SessionService.
type SessionHandler struct {
	authv1connect.UnimplementedSessionServiceHandler
	sessions sessions
	places   *place.Service
}

// NewSessionHandler returns a handler over s. Places may be nil: then nothing is known of addresses.
func NewSessionHandler(s *session.Service, places *place.Service) *SessionHandler {
	return &SessionHandler{sessions: s, places: places}
}

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
	claims, err := claimsOf(req.GetAccessToken())
	if err != nil {
		return nil, err
	}
	return &authv1.VerifySessionResponse{Active: true, Claims: claims}, nil
}

// RefreshSession translates: one call, one answer.
func (h *SessionHandler) RefreshSession(ctx context.Context, req *authv1.RefreshSessionRequest) (*authv1.RefreshSessionResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	r, err := h.sessions.Refresh(ctx, sc, req.GetRefreshToken())
	if err != nil {
		return nil, err
	}
	return &authv1.RefreshSessionResponse{Session: h.located(toSessionWithTokens(r.Session, r.Tokens), &r.Session)}, nil
}

// ListSessions translates: of one user, or of all for the user - (AIP-159).
func (h *SessionHandler) ListSessions(ctx context.Context, req *authv1.ListSessionsRequest) (*authv1.ListSessionsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	query := listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter()}
	var page listing.Page[session.Session]
	if req.GetUserId() == everyUser {
		page, err = h.sessions.List(ctx, sc, query)
	} else {
		var id user.ID
		if id, err = user.ParseID(req.GetUserId()); err != nil {
			return nil, err
		}
		page, err = h.sessions.ListOfUser(ctx, sc, id, query)
	}
	if err != nil {
		return nil, err
	}
	res := &authv1.ListSessionsResponse{NextPageToken: page.NextToken}
	for _, s := range page.Items {
		res.Sessions = append(res.Sessions, h.toSession(s))
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
		return &authv1.RevokeSessionResponse{Session: h.toSession(s)}
	})
	s, err := h.sessions.Revoke(ctx, sc, session.RevokeRequest{ID: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return &authv1.RevokeSessionResponse{Session: h.toSession(s)}, nil
}

// BatchRevokeSessions translates: one call, one answer.
func (h *SessionHandler) BatchRevokeSessions(
	ctx context.Context, req *authv1.BatchRevokeSessionsRequest,
) (*authv1.BatchRevokeSessionsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	in := session.BatchRevokeRequest{Reason: req.GetReason()}
	for _, text := range req.GetSessionIds() {
		id, err := session.ParseID(text)
		if err != nil {
			return nil, err
		}
		in.IDs = append(in.IDs, id)
	}
	answers(ctx, func(list []session.Session) proto.Message { return h.toBatch(list) })
	list, err := h.sessions.BatchRevoke(ctx, sc, in)
	if err != nil {
		return nil, err
	}
	return h.toBatch(list), nil
}

func (h *SessionHandler) toBatch(list []session.Session) *authv1.BatchRevokeSessionsResponse {
	res := new(authv1.BatchRevokeSessionsResponse)
	for _, s := range list {
		res.Sessions = append(res.Sessions, h.toSession(s))
	}
	return res
}

// toSession is a session with the place of its address, as it is known now: nothing of it is stored.
func (h *SessionHandler) toSession(s session.Session) *authv1.Session {
	return h.located(toSession(s), &s)
}

func (h *SessionHandler) located(out *authv1.Session, s *session.Session) *authv1.Session {
	at := h.places.Of(s.Address)
	out.Country, out.Network = optional(at.Country), optional(at.Network)
	if at.ASN != 0 {
		out.Asn = new(at.ASN)
	}
	return out
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
	n, err := h.sessions.RevokeAllOfUser(ctx, sc, session.RevokeAllRequest{UserID: id, Reason: req.GetReason()})
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

// toSessionWithTokens is a session in an answer that issues its tokens.
func toSessionWithTokens(s session.Session, t session.Tokens) *authv1.Session {
	out := toSession(s)
	out.AccessToken, out.AccessTokenExpiresAt = optional(t.Access), timestamp(t.AccessExpiresAt)
	out.RefreshToken = optional(t.Refresh)
	return out
}

// claimsOf reads the claims of a token that has been verified, as they stand in it.
func claimsOf(accessToken string) (*structpb.Struct, error) {
	_, rest, _ := strings.Cut(accessToken, ".")
	payload, _, _ := strings.Cut(rest, ".")
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return nil, fmt.Errorf("decode claims: %w", err)
	}
	claims := new(structpb.Struct)
	if err := claims.UnmarshalJSON(raw); err != nil {
		return nil, fmt.Errorf("read claims: %w", err)
	}
	return claims, nil
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
