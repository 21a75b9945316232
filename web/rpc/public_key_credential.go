package rpc

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/biocore-id/biocore/authcore/webauthn"
	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
)

// Translations between WebAuthn's dictionaries as the domain and as the wire have
// them. The wire keeps binary members in base64url and leaves absent ones absent.

func toCreationOptions(o webauthn.CreationOptions) (*authv1.PublicKeyCredentialCreationOptions, error) {
	extensions, err := toStruct(o.Extensions)
	if err != nil {
		return nil, err
	}
	out := &authv1.PublicKeyCredentialCreationOptions{
		Rp: &authv1.PublicKeyCredentialRpEntity{Id: &o.RP.ID, Name: o.RP.Name},
		User: &authv1.PublicKeyCredentialUserEntity{
			Id: webauthn.EncodeBase64URL(o.User.ID), Name: o.User.Name, DisplayName: o.User.DisplayName,
		},
		Challenge:          webauthn.EncodeBase64URL(o.Challenge),
		Timeout:            milliseconds(o.Timeout.Milliseconds()),
		ExcludeCredentials: toDescriptors(o.ExcludeCredentials),
		Hints:              o.Hints,
		Attestation:        optional(o.Attestation),
		AttestationFormats: o.AttestationFormats,
		Extensions:         extensions,
	}
	for _, a := range o.Algorithms {
		out.PubKeyCredParams = append(out.PubKeyCredParams, &authv1.PublicKeyCredentialParameters{Type: "public-key", Alg: int32(a)})
	}
	if s := o.AuthenticatorSelection; s != (webauthn.AuthenticatorSelection{}) {
		out.AuthenticatorSelection = &authv1.AuthenticatorSelectionCriteria{
			AuthenticatorAttachment: optional(s.AuthenticatorAttachment),
			ResidentKey:             optional(s.ResidentKey),
			UserVerification:        optional(s.UserVerification),
		}
		if s.RequireResidentKey {
			out.AuthenticatorSelection.RequireResidentKey = &s.RequireResidentKey
		}
	}
	return out, nil
}

func toRequestOptions(o webauthn.RequestOptions) (*authv1.PublicKeyCredentialRequestOptions, error) {
	extensions, err := toStruct(o.Extensions)
	if err != nil {
		return nil, err
	}
	return &authv1.PublicKeyCredentialRequestOptions{
		Challenge:        webauthn.EncodeBase64URL(o.Challenge),
		Timeout:          milliseconds(o.Timeout.Milliseconds()),
		RpId:             optional(o.RPID),
		AllowCredentials: toDescriptors(o.AllowCredentials),
		UserVerification: optional(o.UserVerification),
		Hints:            o.Hints,
		Extensions:       extensions,
	}, nil
}

func toDescriptors(in []webauthn.Descriptor) []*authv1.PublicKeyCredentialDescriptor {
	if len(in) == 0 {
		return nil
	}
	out := make([]*authv1.PublicKeyCredentialDescriptor, len(in))
	for i, d := range in {
		out[i] = &authv1.PublicKeyCredentialDescriptor{Type: "public-key", Id: webauthn.EncodeBase64URL(d.ID), Transports: d.Transports}
	}
	return out
}

func fromRegistrationCredential(c *authv1.RegistrationCredential) (webauthn.RegistrationResponse, error) {
	d := decoder{}
	r := webauthn.RegistrationResponse{
		ID:                      c.GetId(),
		RawID:                   d.bytes("credential.rawId", c.GetRawId()),
		Type:                    c.GetType(),
		ClientDataJSON:          d.bytes("credential.response.clientDataJSON", c.GetResponse().GetClientDataJson()),
		AttestationObject:       d.bytes("credential.response.attestationObject", c.GetResponse().GetAttestationObject()),
		Transports:              c.GetResponse().GetTransports(),
		AuthenticatorAttachment: c.GetAuthenticatorAttachment(),
		ClientExtensionResults:  d.object("credential.clientExtensionResults", c.GetClientExtensionResults()),
	}
	return r, d.err
}

func fromAuthenticationCredential(c *authv1.AuthenticationCredential) (webauthn.AssertionResponse, error) {
	d := decoder{}
	r := webauthn.AssertionResponse{
		ID:                      c.GetId(),
		RawID:                   d.bytes("credential.rawId", c.GetRawId()),
		Type:                    c.GetType(),
		ClientDataJSON:          d.bytes("credential.response.clientDataJSON", c.GetResponse().GetClientDataJson()),
		AuthenticatorData:       d.bytes("credential.response.authenticatorData", c.GetResponse().GetAuthenticatorData()),
		Signature:               d.bytes("credential.response.signature", c.GetResponse().GetSignature()),
		UserHandle:              d.bytes("credential.response.userHandle", c.GetResponse().GetUserHandle()),
		AuthenticatorAttachment: c.GetAuthenticatorAttachment(),
		ClientExtensionResults:  d.object("credential.clientExtensionResults", c.GetClientExtensionResults()),
	}
	return r, d.err
}

// decoder reads binary members and keeps the first error, with the member's path.
type decoder struct{ err error }

func (d *decoder) bytes(path, s string) []byte {
	if s == "" {
		return nil
	}
	b, err := webauthn.DecodeBase64URL(s)
	if err != nil && d.err == nil {
		d.err = ErrInvalid.With(path, "value must be base64url without padding").WithCause(err)
	}
	return b
}

func (d *decoder) object(path string, s *structpb.Struct) json.RawMessage {
	if len(s.GetFields()) == 0 {
		return nil
	}
	raw, err := s.MarshalJSON()
	if err != nil && d.err == nil {
		d.err = ErrInvalid.With(path, "value must be a JSON object").WithCause(err)
	}
	return raw
}

func toStruct(raw json.RawMessage) (*structpb.Struct, error) {
	if len(raw) == 0 {
		return nil, nil //nolint:nilnil // an absent member
	}
	s := new(structpb.Struct)
	if err := s.UnmarshalJSON(raw); err != nil {
		return nil, fmt.Errorf("extension inputs: %w", err)
	}
	return s, nil
}

// optional is the presence of a member whose empty value means absent.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func milliseconds(ms int64) *uint32 {
	if ms <= 0 {
		return nil
	}
	v := uint32(min(ms, 1<<31))
	return &v
}
