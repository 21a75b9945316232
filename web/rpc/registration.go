package rpc

import (
	"context"
	"time"

	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// registrations is what the handler needs of ceremony.Service.
type registrations interface {
	CreateRegistrationToken(ctx context.Context, sc scope.Scope, req ceremony.RegistrationTokenRequest) (ceremony.RegistrationToken, error)
	BeginRegistration(ctx context.Context, sc scope.Scope, req ceremony.BeginRegistrationRequest) (ceremony.BegunRegistration, error)
	FinishRegistration(ctx context.Context, sc scope.Scope, req ceremony.FinishRegistrationRequest) (ceremony.Registered, error)
}

// RegistrationHandler serves RegistrationService.
type RegistrationHandler struct {
	authv1connect.UnimplementedRegistrationServiceHandler
	registrations registrations
	faces         Faces
}

// NewRegistrationHandler returns a handler over s. faces names the credentials' authenticators.
func NewRegistrationHandler(s *ceremony.Service, faces Faces) *RegistrationHandler {
	return &RegistrationHandler{registrations: s, faces: faces}
}

// CreateRegistrationToken translates: one call, one answer.
func (h *RegistrationHandler) CreateRegistrationToken(
	ctx context.Context, req *authv1.CreateRegistrationTokenRequest,
) (*authv1.CreateRegistrationTokenResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	in := ceremony.RegistrationTokenRequest{Life: time.Duration(req.GetExpiresInSeconds()) * time.Second, AccessToken: req.GetAccessToken()}
	switch subject := req.GetSubject().(type) {
	case *authv1.CreateRegistrationTokenRequest_UserId:
		id, err := user.ParseID(subject.UserId)
		if err != nil {
			return nil, err
		}
		in.UserID = &id
	case *authv1.CreateRegistrationTokenRequest_User:
		in.User = fromDescriptor(subject.User)
	}
	token, err := h.registrations.CreateRegistrationToken(ctx, sc, in)
	if err != nil {
		return nil, err
	}
	return &authv1.CreateRegistrationTokenResponse{Token: token.Token, ExpiresAt: timestamp(token.ExpiresAt)}, nil
}

// BeginRegistration translates: one call, one answer.
func (h *RegistrationHandler) BeginRegistration(
	ctx context.Context, req *authv1.BeginRegistrationRequest,
) (*authv1.BeginRegistrationResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	d := decoder{}
	in := ceremony.BeginRegistrationRequest{
		Extensions: d.object("extensions", req.GetExtensions()), Publishable: publishable(ctx), Attestation: req.GetAttestation(), Conditional: req.GetConditional(),
		AccessToken: req.GetAccessToken(),
	}
	switch subject := req.GetSubject().(type) {
	case *authv1.BeginRegistrationRequest_UserId:
		id, err := user.ParseID(subject.UserId)
		if err != nil {
			return nil, err
		}
		in.UserID = &id
	case *authv1.BeginRegistrationRequest_User:
		in.User = fromDescriptor(subject.User)
	case *authv1.BeginRegistrationRequest_RegistrationToken:
		in.Token = subject.RegistrationToken
	}
	if s := req.GetAuthenticatorSelection(); s != nil {
		in.Selection = &webauthn.AuthenticatorSelection{
			AuthenticatorAttachment: s.GetAuthenticatorAttachment(), ResidentKey: s.GetResidentKey(),
			RequireResidentKey: s.GetRequireResidentKey(), UserVerification: s.GetUserVerification(),
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	begun, err := h.registrations.BeginRegistration(ctx, sc, in)
	if err != nil {
		return nil, err
	}
	options, err := toCreationOptions(begun.Options)
	if err != nil {
		return nil, err
	}
	return &authv1.BeginRegistrationResponse{RegistrationId: begun.ID, Options: options, ExpiresAt: timestamp(begun.ExpiresAt)}, nil
}

// FinishRegistration translates: one call, one answer.
func (h *RegistrationHandler) FinishRegistration(
	ctx context.Context, req *authv1.FinishRegistrationRequest,
) (*authv1.FinishRegistrationResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	response, err := fromRegistrationCredential(req.GetCredential())
	if err != nil {
		return nil, err
	}
	done, err := h.registrations.FinishRegistration(ctx, sc, ceremony.FinishRegistrationRequest{
		ID: req.GetRegistrationId(), Response: response, Nickname: req.Nickname, Publishable: publishable(ctx),
	})
	if err != nil {
		return nil, err
	}
	var evidenceID *string
	if done.EvidenceID != nil {
		text := done.EvidenceID.String()
		evidenceID = &text
	}
	return &authv1.FinishRegistrationResponse{
		User: toUser(done.User), Credential: toCredential(done.Credential, h.faces),
		Attestation: &authv1.Attestation{
			Format: done.Attestation.Format, Aaguid: done.Credential.AAGUID.String(),
			AuthenticatorName: h.faces.describe(done.Credential),
			Trust:             authv1.Credential_Trust(authv1.Credential_Trust_value[string(done.Credential.Trust)]),
			Reasons:           done.Verdict.Reasons, Certification: done.Verdict.Certification, EvidenceId: evidenceID,
		},
	}, nil
}

func fromDescriptor(d *authv1.UserDescriptor) *user.Profile {
	return &user.Profile{ExternalID: d.GetExternalId(), Name: d.GetName(), DisplayName: d.GetDisplayName()}
}
