package ceremony

import (
	"slices"

	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/policy"
)

// tighten returns the stricter of what the policy asks for and what a request asks
// for, which is empty when it asks for nothing. ErrPolicy, with the field, when the
// request asks for less, or for something that is not in the order.
func tighten(field string, order []string, ofPolicy, ofRequest string) (string, error) {
	if ofRequest == "" {
		return ofPolicy, nil
	}
	if slices.Index(order, ofRequest) < slices.Index(order, ofPolicy) {
		return "", ErrPolicy.With("field", field)
	}
	return ofRequest, nil
}

// selection returns which authenticators may register, by policy and request.
func selection(p *policy.Document, req *BeginRegistrationRequest) (webauthn.AuthenticatorSelection, error) {
	asked := webauthn.AuthenticatorSelection{}
	if req.Selection != nil {
		asked = *req.Selection
	}
	switch asked.AuthenticatorAttachment {
	case "", webauthn.AttachmentPlatform, webauthn.AttachmentCrossPlatform:
	default:
		return asked, ErrPolicy.With("field", "authenticatorSelection.authenticatorAttachment")
	}
	if asked.RequireResidentKey && asked.ResidentKey == "" { // WebAuthn Level 1
		asked.ResidentKey = webauthn.Required
	}
	if p.AuthenticatorAttachment != "" {
		if asked.AuthenticatorAttachment != "" && asked.AuthenticatorAttachment != p.AuthenticatorAttachment {
			return asked, ErrPolicy.With("field", "authenticatorSelection.authenticatorAttachment")
		}
		asked.AuthenticatorAttachment = p.AuthenticatorAttachment
	}
	var err error
	if asked.ResidentKey, err = tighten("authenticatorSelection.residentKey", requirements,
		string(p.ResidentKey), asked.ResidentKey); err != nil {
		return asked, err
	}
	// WebAuthn L3 #dom-authenticatorselectioncriteria-requireresidentkey: "true if, and
	// only if, residentKey is set to required".
	asked.RequireResidentKey = asked.ResidentKey == webauthn.Required
	if asked.UserVerification, err = tighten("authenticatorSelection.userVerification", requirements,
		string(p.UserVerification), asked.UserVerification); err != nil {
		return asked, err
	}
	if req.Conditional {
		// The browser creates it after a password sign-in, without asking the user for
		// anything (WebAuthn L3 #sctn-createCredential): it could not fulfil more.
		if !p.ConditionalCreate {
			return asked, ErrPolicy.With("field", "conditional")
		}
		asked.UserVerification = webauthn.Preferred
	}
	return asked, nil
}
