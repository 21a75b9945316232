package webauthn

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// RegistrationResponse is what navigator.credentials.create() answered: the
// members of RegistrationResponseJSON (WebAuthn L3
// #dictdef-registrationresponsejson), binary ones decoded. The members that
// repeat what the attestation object says (authenticatorData, publicKey,
// publicKeyAlgorithm) are left out: only what is in the object counts.
type RegistrationResponse struct {
	ID                      string // base64url; must be the encoding of RawID
	RawID                   []byte
	Type                    string // must be "public-key"
	ClientDataJSON          []byte
	AttestationObject       []byte
	Transports              []string
	AuthenticatorAttachment string          // "platform", "cross-platform"; anything else counts as absent
	ClientExtensionResults  json.RawMessage // a JSON object, or nil
}

// AssertionResponse is what navigator.credentials.get() answered: the members
// of AuthenticationResponseJSON (WebAuthn L3
// #dictdef-authenticationresponsejson), binary ones decoded.
type AssertionResponse struct {
	ID                      string // base64url; must be the encoding of RawID
	RawID                   []byte
	Type                    string // must be "public-key"
	ClientDataJSON          []byte
	AuthenticatorData       []byte
	Signature               []byte
	UserHandle              []byte // nil if the authenticator gave none
	AuthenticatorAttachment string // as in RegistrationResponse
	ClientExtensionResults  json.RawMessage
}

// DecodeBase64URL decodes base64url (WebAuthn L3 #base64url-encoding), which has
// no padding; clients older than toJSON() pad, which is tolerated. White space
// and stray bits at the end are not.
func DecodeBase64URL(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") { // the decoder skips them, even when it is strict
		return nil, errors.New("base64url: line break")
	}
	if len(s)%4 == 0 && strings.HasSuffix(s, "=") {
		return base64.URLEncoding.Strict().DecodeString(s)
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

// EncodeBase64URL encodes without padding.
func EncodeBase64URL(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// base64url is a binary member of a JSON form.
type base64url []byte

// UnmarshalText is DecodeBase64URL.
func (b *base64url) UnmarshalText(text []byte) error {
	decoded, err := DecodeBase64URL(string(text))
	*b = decoded
	return err
}

// MarshalText is EncodeBase64URL.
func (b base64url) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, b), nil
}

// responseJSON holds the members of both responses.
type responseJSON struct {
	ID       string    `json:"id"`
	RawID    base64url `json:"rawId"`
	Type     string    `json:"type"`
	Response struct {
		ClientDataJSON    base64url `json:"clientDataJSON"`
		AttestationObject base64url `json:"attestationObject"`
		Transports        []string  `json:"transports"`
		AuthenticatorData base64url `json:"authenticatorData"`
		Signature         base64url `json:"signature"`
		UserHandle        base64url `json:"userHandle"`
	} `json:"response"`
	AuthenticatorAttachment string          `json:"authenticatorAttachment"`
	ClientExtensionResults  json.RawMessage `json:"clientExtensionResults"`
}

// ParseRegistrationResponse reads a RegistrationResponseJSON, what toJSON()
// makes of a credential. It returns ErrMalformed if it is none.
func ParseRegistrationResponse(data []byte) (RegistrationResponse, error) {
	var j responseJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return RegistrationResponse{}, ErrMalformed.WithCause(fmt.Errorf("registration response: %w", err))
	}
	return RegistrationResponse{
		ID: j.ID, RawID: j.RawID, Type: j.Type,
		ClientDataJSON: j.Response.ClientDataJSON, AttestationObject: j.Response.AttestationObject,
		Transports: j.Response.Transports, AuthenticatorAttachment: j.AuthenticatorAttachment,
		ClientExtensionResults: j.ClientExtensionResults,
	}, nil
}

// ParseAssertionResponse reads an AuthenticationResponseJSON. It returns
// ErrMalformed if it is none.
func ParseAssertionResponse(data []byte) (AssertionResponse, error) {
	var j responseJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return AssertionResponse{}, ErrMalformed.WithCause(fmt.Errorf("authentication response: %w", err))
	}
	return AssertionResponse{
		ID: j.ID, RawID: j.RawID, Type: j.Type,
		ClientDataJSON: j.Response.ClientDataJSON, AuthenticatorData: j.Response.AuthenticatorData,
		Signature: j.Response.Signature, UserHandle: j.Response.UserHandle,
		AuthenticatorAttachment: j.AuthenticatorAttachment, ClientExtensionResults: j.ClientExtensionResults,
	}, nil
}

// checkCredential does what the two responses have in common: steps 3 and 4 of
// §7.1 and §7.2. id is "the base64url encoding of rawId" (WebAuthn L3
// #dom-publickeycredential-id); a response in which they differ names two credentials.
func checkCredential(id string, rawID []byte, typ string) error {
	if typ != "public-key" {
		return ErrMalformed.WithCause(fmt.Errorf("type %.64q", typ))
	}
	if len(rawID) == 0 || len(rawID) > maxCredentialIDBytes {
		return ErrMalformed.WithCause(fmt.Errorf("credential ID of %d bytes", len(rawID)))
	}
	var buf [128]byte // IDs of up to 96 bytes, nearly all: no allocation
	if string(base64.RawURLEncoding.AppendEncode(buf[:0], rawID)) != id {
		return ErrMalformed.WithCause(errors.New("id is not the encoding of rawId"))
	}
	return nil
}

// attachment returns the value if the specification knows it: "RPs SHOULD treat
// unknown values as if the value were null" (#dom-publickeycredential-authenticatorattachment).
func attachment(value string) string {
	if value == AttachmentPlatform || value == AttachmentCrossPlatform {
		return value
	}
	return ""
}

// extensionOutputs are the client extension outputs that mean something to us.
type extensionOutputs struct {
	discoverable *bool // credProps.rk, nil if not reported
	appID        bool  // the assertion is scoped to the AppID
	said         ExtensionOutputs
}

// parseExtensionResults reads getClientExtensionResults(). What was not asked
// for is ignored, as steps 28 of §7.1 and 23 of §7.2 allow.
func parseExtensionResults(raw json.RawMessage) (extensionOutputs, error) {
	var out extensionOutputs
	if len(raw) == 0 || string(raw) == "{}" || string(raw) == "null" {
		return out, nil
	}
	if len(raw) > maxExtensionResultsBytes {
		return out, ErrMalformed.WithCause(fmt.Errorf("extension results: %d bytes", len(raw)))
	}
	err := jsonMembers(string(raw), func(name, value string) (err error) {
		switch name {
		case "appid": // #sctn-appid-extension
			out.appID, err = jsonBool(value)
		case "credProps": // #sctn-authenticator-credential-properties-extension
			err = jsonMembers(value, func(name, value string) error {
				if name != "rk" {
					return nil
				}
				rk, err := jsonBool(value)
				out.discoverable = &rk
				return err
			})
		case "prf": // #prf-extension; results, which are secrets, stay where they are
			err = flagOf(value, "enabled", &out.said.PRF)
		case "largeBlob": // #sctn-large-blob-extension; so does the blob
			err = flagOf(value, "supported", &out.said.LargeBlob)
		}
		return err
	})
	if err != nil {
		return out, ErrMalformed.WithCause(fmt.Errorf("extension results: %w", err))
	}
	return out, nil
}

// flagOf reads one boolean member of an object, and leaves the others alone.
func flagOf(object, member string, to **bool) error {
	return jsonMembers(object, func(name, value string) error {
		if name != member {
			return nil
		}
		on, err := jsonBool(value)
		*to = &on
		return err
	})
}
