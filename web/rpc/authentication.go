package rpc

import (
	"context"

	"github.com/biocore-id/biocore/authcore/assurance"
	"github.com/biocore-id/biocore/authcore/ceremony"
	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// authentications is what the handler needs of ceremony.Service.
type authentications interface {
	BeginAuthentication(ctx context.Context, sc scope.Scope, req ceremony.BeginAuthenticationRequest) (ceremony.BegunAuthentication, error)
	FinishAuthentication(ctx context.Context, sc scope.Scope, req ceremony.FinishAuthenticationRequest) (ceremony.Authenticated, error)
	ExchangeCode(ctx context.Context, sc scope.Scope, code string) (ceremony.Exchanged, error)
}

// AuthenticationHandler serves AuthenticationService.
type AuthenticationHandler struct {
	authv1connect.UnimplementedAuthenticationServiceHandler
	authentications authentications
	faces           Faces
}

// NewAuthenticationHandler returns a handler over s. faces names the credentials' authenticators.
func NewAuthenticationHandler(s *ceremony.Service, faces Faces) *AuthenticationHandler {
	return &AuthenticationHandler{authentications: s, faces: faces}
}

// BeginAuthentication translates: one call, one answer.
func (h *AuthenticationHandler) BeginAuthentication(
	ctx context.Context, req *authv1.BeginAuthenticationRequest,
) (*authv1.BeginAuthenticationResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	d := decoder{}
	extensions := d.object("extensions", req.GetExtensions())
	if d.err != nil {
		return nil, d.err
	}
	begun, err := h.authentications.BeginAuthentication(ctx, sc, ceremony.BeginAuthenticationRequest{
		UserID: req.GetUserId(), ExternalID: req.GetExternalId(), UserVerification: req.GetUserVerification(),
		Purpose: req.GetPurpose(), StepUpToken: req.GetStepUpToken(), Extensions: extensions,
	})
	if err != nil {
		return nil, err
	}
	options, err := toRequestOptions(begun.Options)
	if err != nil {
		return nil, err
	}
	return &authv1.BeginAuthenticationResponse{AuthenticationId: begun.ID, Options: options, ExpiresAt: timestamp(begun.ExpiresAt)}, nil
}

// FinishAuthentication translates: one call, one answer.
func (h *AuthenticationHandler) FinishAuthentication(
	ctx context.Context, req *authv1.FinishAuthenticationRequest,
) (*authv1.FinishAuthenticationResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	response, err := fromAuthenticationCredential(req.GetCredential())
	if err != nil {
		return nil, err
	}
	client, signals, err := fromRiskContext(ctx, req.GetClient())
	if err != nil {
		return nil, err
	}
	done, err := h.authentications.FinishAuthentication(ctx, sc, ceremony.FinishAuthenticationRequest{
		ID: req.GetAuthenticationId(), Response: response, Publishable: publishable(ctx), Client: client, Signals: signals,
	})
	if err != nil {
		return nil, err
	}
	res := &authv1.FinishAuthenticationResponse{
		User: toUser(done.User), Credential: toCredential(done.Credential, h.faces),
		Decision:       toDecision(done.Decision),
		DecisionReason: optional(done.Reason),
		Code:           optional(done.Code),
		Assurance:      toAssurance(done.Assurance),
	}
	if !publishable(ctx) { // who tries is not told what gives them away
		res.Risk = toRisk(done.Risk)
	}
	if done.Session != nil && done.Tokens != nil {
		res.Session = toSessionWithTokens(*done.Session, *done.Tokens)
	}
	if done.StepUp != nil {
		res.StepUp = &authv1.StepUp{
			Kind: authv1.StepUp_USER_VERIFICATION, Token: done.StepUp.Token, ExpiresAt: timestamp(done.StepUp.ExpiresAt),
		}
	}
	return res, nil
}

// ExchangeCode translates: one call, one answer.
func (h *AuthenticationHandler) ExchangeCode(
	ctx context.Context, req *authv1.ExchangeCodeRequest,
) (*authv1.ExchangeCodeResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	done, err := h.authentications.ExchangeCode(ctx, sc, req.GetCode())
	if err != nil {
		return nil, err
	}
	return &authv1.ExchangeCodeResponse{
		User: toUser(done.User), Credential: toCredential(done.Credential, h.faces),
		Session: toSessionWithTokens(done.Session, done.Tokens), Assurance: toAssurance(done.Assurance),
	}, nil
}

func toDecision(d ceremony.Decision) authv1.FinishAuthenticationResponse_Decision {
	switch d {
	case ceremony.Allow:
		return authv1.FinishAuthenticationResponse_ALLOW
	case ceremony.StepUp:
		return authv1.FinishAuthenticationResponse_STEP_UP
	case ceremony.Deny:
	}
	return authv1.FinishAuthenticationResponse_DENY // what is not known lets nobody in
}

func toAssurance(a assurance.Result) *authv1.Assurance {
	return &authv1.Assurance{
		Aal: toAAL(a.AAL), UserVerified: a.UserVerified, PhishingResistant: a.PhishingResistant, BackedUp: a.BackedUp,
		Reasons: a.Reasons.Texts(),
	}
}
