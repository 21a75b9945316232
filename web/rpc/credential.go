package rpc

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// credentials is what the handler needs of credential.Service.
type credentials interface {
	ListOfUser(ctx context.Context, sc scope.Scope, id user.ID, req listing.Request) (listing.Page[credential.Credential], error)
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[credential.Credential], error)
	Get(ctx context.Context, sc scope.Scope, id credential.ID) (credential.Credential, error)
	Rename(ctx context.Context, sc scope.Scope, req credential.RenameRequest) (credential.Credential, error)
	Revoke(ctx context.Context, sc scope.Scope, req credential.RevokeRequest) (credential.Credential, error)
	Suspend(ctx context.Context, sc scope.Scope, req credential.StateRequest) (credential.Credential, error)
	Resume(ctx context.Context, sc scope.Scope, req credential.StateRequest) (credential.Credential, error)
	Vouch(ctx context.Context, sc scope.Scope, req credential.VouchRequest) (credential.Credential, error)
	Signals(ctx context.Context, sc scope.Scope, id user.ID) (credential.Signals, error)
}

// CredentialHandler serves CredentialService.
type CredentialHandler struct {
	authv1connect.UnimplementedCredentialServiceHandler
	credentials credentials
	faces       Faces
}

// NewCredentialHandler returns a handler over s. faces names the credentials' authenticators.
func NewCredentialHandler(s *credential.Service, faces Faces) *CredentialHandler {
	return &CredentialHandler{credentials: s, faces: faces}
}

// ListCredentials translates: of one user, or of all for the user - (AIP-159).
func (h *CredentialHandler) ListCredentials(ctx context.Context, req *authv1.ListCredentialsRequest) (*authv1.ListCredentialsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	query := listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter()}
	var page listing.Page[credential.Credential]
	if req.GetUserId() == everyUser {
		page, err = h.credentials.List(ctx, sc, query)
	} else {
		var id user.ID
		if id, err = user.ParseID(req.GetUserId()); err != nil {
			return nil, err
		}
		page, err = h.credentials.ListOfUser(ctx, sc, id, query)
	}
	if err != nil {
		return nil, err
	}
	res := &authv1.ListCredentialsResponse{NextPageToken: page.NextToken}
	for _, c := range page.Items {
		res.Credentials = append(res.Credentials, toCredential(c, h.faces))
	}
	return res, nil
}

// everyUser stands for all users where a list is of one (AIP-159).
const everyUser = "-"

// GetCredential translates: one call, one answer.
func (h *CredentialHandler) GetCredential(ctx context.Context, req *authv1.GetCredentialRequest) (*authv1.Credential, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := credential.ParseID(req.GetCredentialId())
	if err != nil {
		return nil, err
	}
	c, err := h.credentials.Get(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return toCredential(c, h.faces), nil
}

// UpdateCredential renames; If-Match guards.
func (h *CredentialHandler) UpdateCredential(ctx context.Context, req *authv1.UpdateCredentialRequest) (*authv1.Credential, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := credential.ParseID(req.GetCredentialId())
	if err != nil {
		return nil, err
	}
	if req.Nickname == nil { // nothing to change
		c, err := h.credentials.Get(ctx, sc, id)
		if err != nil {
			return nil, err
		}
		return toCredential(c, h.faces), nil
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(c credential.Credential) proto.Message { return toCredential(c, h.faces) })
	c, err := h.credentials.Rename(ctx, sc, credential.RenameRequest{ID: id, Nickname: req.GetNickname(), IfMatch: etag})
	if err != nil {
		return nil, err
	}
	return toCredential(c, h.faces), nil
}

// RevokeCredential translates and nothing more: scope from the context, ids from
// strings, one call, one answer.
func (h *CredentialHandler) RevokeCredential(ctx context.Context, req *authv1.RevokeCredentialRequest) (*authv1.RevokeCredentialResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := credential.ParseID(req.GetCredentialId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(c credential.Credential) proto.Message {
		return &authv1.RevokeCredentialResponse{Credential: toCredential(c, h.faces)}
	})
	c, err := h.credentials.Revoke(ctx, sc, credential.RevokeRequest{ID: id, Reason: req.GetReason(), AllowLast: req.GetAllowLast()})
	if err != nil {
		return nil, err
	}
	return &authv1.RevokeCredentialResponse{Credential: toCredential(c, h.faces)}, nil
}

// SuspendCredential translates: one call, one answer.
func (h *CredentialHandler) SuspendCredential(ctx context.Context, req *authv1.SuspendCredentialRequest) (*authv1.SuspendCredentialResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := credential.ParseID(req.GetCredentialId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(c credential.Credential) proto.Message {
		return &authv1.SuspendCredentialResponse{Credential: toCredential(c, h.faces)}
	})
	c, err := h.credentials.Suspend(ctx, sc, credential.StateRequest{ID: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return &authv1.SuspendCredentialResponse{Credential: toCredential(c, h.faces)}, nil
}

// ResumeCredential translates: one call, one answer.
func (h *CredentialHandler) ResumeCredential(ctx context.Context, req *authv1.ResumeCredentialRequest) (*authv1.ResumeCredentialResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := credential.ParseID(req.GetCredentialId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(c credential.Credential) proto.Message {
		return &authv1.ResumeCredentialResponse{Credential: toCredential(c, h.faces)}
	})
	c, err := h.credentials.Resume(ctx, sc, credential.StateRequest{ID: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return &authv1.ResumeCredentialResponse{Credential: toCredential(c, h.faces)}, nil
}

// VouchCredential translates: one call, one answer. What is no session's id is nobody's
// session, which vouches for nothing.
func (h *CredentialHandler) VouchCredential(ctx context.Context, req *authv1.VouchCredentialRequest) (*authv1.VouchCredentialResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := credential.ParseID(req.GetCredentialId())
	if err != nil {
		return nil, err
	}
	in := credential.VouchRequest{ID: id, Reason: req.GetReason()}
	if req.SessionId != nil {
		sess, _ := session.ParseID(req.GetSessionId())
		by := sess.UUID()
		in.Session = &by
	}
	answers(ctx, func(c credential.Credential) proto.Message {
		return &authv1.VouchCredentialResponse{Credential: toCredential(c, h.faces)}
	})
	c, err := h.credentials.Vouch(ctx, sc, in)
	if err != nil {
		return nil, err
	}
	return &authv1.VouchCredentialResponse{Credential: toCredential(c, h.faces)}, nil
}

// GetSignals answers what the browser's Signal API needs, in its own words
// (WebAuthn L3 #sctn-signal-methods).
func (h *CredentialHandler) GetSignals(ctx context.Context, req *authv1.GetSignalsRequest) (*authv1.GetSignalsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := user.ParseID(req.GetUserId())
	if err != nil {
		return nil, err
	}
	s, err := h.credentials.Signals(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	handle := webauthn.EncodeBase64URL(s.UserHandle)
	accepted := make([]string, len(s.Accepted))
	for i, id := range s.Accepted {
		accepted[i] = id.String()
	}
	return &authv1.GetSignalsResponse{
		AllAcceptedCredentials: &authv1.GetSignalsResponse_AllAcceptedCredentials{
			RpId: s.RPID, UserId: handle, AllAcceptedCredentialIds: accepted,
		},
		CurrentUserDetails: &authv1.GetSignalsResponse_CurrentUserDetails{
			RpId: s.RPID, UserId: handle, Name: s.Name, DisplayName: s.DisplayName,
		},
	}, nil
}

func toCredential(c credential.Credential, faces Faces) *authv1.Credential {
	return &authv1.Credential{
		Id: c.ID.String(), UserId: c.UserID.String(), Nickname: c.Nickname,
		Aaguid: c.AAGUID.String(), AuthenticatorName: faces.describe(c), AuthenticatorIconUrl: faces.icon(c.AAGUID), Transports: c.Transports,
		Algorithm: c.Algorithm, SignCount: c.SignCount, Discoverable: c.Discoverable != nil && *c.Discoverable,
		BackupEligible: c.BackupEligible, BackedUp: c.BackedUp,
		State:     authv1.Credential_State(authv1.Credential_State_value[string(c.State)]),
		CreatedAt: timestamp(c.CreatedAt), LastUsedAt: timestampOf(c.LastUsedAt), RevokedAt: timestampOf(c.RevokedAt),
		Etag: c.ETag, Extensions: toExtensions(c.Extensions),
		Trust: authv1.Credential_Trust(authv1.Credential_Trust_value[string(c.Trust)]), Certification: c.Certification,
		RegisteredVia: string(c.RegisteredVia), Lowered: c.Lowered, Disposition: c.Disposition,
	}
}

func toExtensions(e webauthn.ExtensionOutputs) *authv1.CredentialExtensions {
	if e == (webauthn.ExtensionOutputs{}) {
		return nil
	}
	return &authv1.CredentialExtensions{Prf: e.PRF, LargeBlob: e.LargeBlob, CredProtect: optional(e.CredProtect)}
}
