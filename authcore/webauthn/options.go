package webauthn

import (
	"encoding/json"
	"time"
)

// The values of AuthenticatorAttachment (WebAuthn L3 #enum-attachment).
const (
	AttachmentPlatform      = "platform"
	AttachmentCrossPlatform = "cross-platform"
)

// The values of UserVerification and ResidentKey (WebAuthn L3
// #enum-userVerificationRequirement, #enum-residentKeyRequirement).
const (
	Required    = "required"
	Preferred   = "preferred"
	Discouraged = "discouraged"
)

// The values of Attestation, the conveyance preference (WebAuthn L3 #enum-attestation-convey).
const (
	ConveyanceNone       = "none"
	ConveyanceIndirect   = "indirect"
	ConveyanceDirect     = "direct"
	ConveyanceEnterprise = "enterprise"
)

// CreationOptions are the argument of navigator.credentials.create(): WebAuthn
// L3 #dictdef-publickeycredentialcreationoptionsjson. A member with its zero
// value is absent from the JSON form, except those that the specification
// requires.
type CreationOptions struct {
	RP                     Entity
	User                   UserEntity
	Challenge              []byte // at least 16 random bytes (#sctn-cryptographic-challenges)
	Algorithms             []Algorithm
	Timeout                time.Duration // whole milliseconds
	ExcludeCredentials     []Descriptor
	AuthenticatorSelection AuthenticatorSelection
	Hints                  []string // "security-key", "client-device", "hybrid", the most wanted first
	Attestation            string
	AttestationFormats     []string        // the most wanted first
	Extensions             json.RawMessage // client extension inputs, a JSON object; nil for none
}

// RequestOptions are the argument of navigator.credentials.get(): WebAuthn L3
// #dictdef-publickeycredentialrequestoptionsjson. Zero values are absent from
// the JSON form.
type RequestOptions struct {
	Challenge        []byte
	Timeout          time.Duration // whole milliseconds
	RPID             string
	AllowCredentials []Descriptor // empty: any discoverable credential
	UserVerification string
	Hints            []string
	Extensions       json.RawMessage
}

// Entity is a relying party in options (WebAuthn L3 #dictionary-rp-credential-params).
type Entity struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name"`
}

// UserEntity is the user a credential is made for (WebAuthn L3
// #dictionary-user-credential-params). ID is the user handle: 1 to 64 random
// bytes, with nothing in them about the person.
type UserEntity struct {
	ID          []byte
	Name        string
	DisplayName string
}

// Descriptor names a credential to the client (WebAuthn L3 #dictdef-publickeycredentialdescriptorjson).
type Descriptor struct {
	ID         []byte
	Transports []string // as the registration reported them
}

// AuthenticatorSelection says which authenticators will do (WebAuthn L3 #dictionary-authenticatorSelection).
type AuthenticatorSelection struct {
	AuthenticatorAttachment string `json:"authenticatorAttachment,omitempty"`
	ResidentKey             string `json:"residentKey,omitempty"`
	RequireResidentKey      bool   `json:"requireResidentKey,omitempty"` // true exactly when ResidentKey is "required", for L1 clients
	UserVerification        string `json:"userVerification,omitempty"`
}

// MarshalJSON returns the PublicKeyCredentialCreationOptionsJSON that
// PublicKeyCredential.parseCreationOptionsFromJSON() takes.
func (o CreationOptions) MarshalJSON() ([]byte, error) {
	type user struct {
		ID          base64url `json:"id"`
		Name        string    `json:"name"`
		DisplayName string    `json:"displayName"`
	}
	type parameter struct {
		Type string    `json:"type"`
		Alg  Algorithm `json:"alg"`
	}
	parameters := make([]parameter, len(o.Algorithms))
	for i, a := range o.Algorithms {
		parameters[i] = parameter{Type: "public-key", Alg: a}
	}
	return json.Marshal(struct {
		RP                     Entity                 `json:"rp"`
		User                   user                   `json:"user"`
		Challenge              base64url              `json:"challenge"`
		PubKeyCredParams       []parameter            `json:"pubKeyCredParams"`
		Timeout                int64                  `json:"timeout,omitempty"`
		ExcludeCredentials     []Descriptor           `json:"excludeCredentials,omitempty"`
		AuthenticatorSelection AuthenticatorSelection `json:"authenticatorSelection,omitzero"`
		Hints                  []string               `json:"hints,omitempty"`
		Attestation            string                 `json:"attestation,omitempty"`
		AttestationFormats     []string               `json:"attestationFormats,omitempty"`
		Extensions             json.RawMessage        `json:"extensions,omitempty"`
	}{
		RP: o.RP, User: user{ID: o.User.ID, Name: o.User.Name, DisplayName: o.User.DisplayName}, Challenge: o.Challenge, PubKeyCredParams: parameters,
		Timeout: o.Timeout.Milliseconds(), ExcludeCredentials: o.ExcludeCredentials,
		AuthenticatorSelection: o.AuthenticatorSelection, Hints: o.Hints, Attestation: o.Attestation,
		AttestationFormats: o.AttestationFormats, Extensions: o.Extensions,
	})
}

// MarshalJSON returns the PublicKeyCredentialRequestOptionsJSON that
// PublicKeyCredential.parseRequestOptionsFromJSON() takes.
func (o RequestOptions) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Challenge        base64url       `json:"challenge"`
		Timeout          int64           `json:"timeout,omitempty"`
		RPID             string          `json:"rpId,omitempty"`
		AllowCredentials []Descriptor    `json:"allowCredentials,omitempty"`
		UserVerification string          `json:"userVerification,omitempty"`
		Hints            []string        `json:"hints,omitempty"`
		Extensions       json.RawMessage `json:"extensions,omitempty"`
	}{
		Challenge: o.Challenge, Timeout: o.Timeout.Milliseconds(), RPID: o.RPID, AllowCredentials: o.AllowCredentials,
		UserVerification: o.UserVerification, Hints: o.Hints, Extensions: o.Extensions,
	})
}

// MarshalJSON returns the PublicKeyCredentialDescriptorJSON.
func (d Descriptor) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type       string    `json:"type"`
		ID         base64url `json:"id"`
		Transports []string  `json:"transports,omitempty"`
	}{Type: "public-key", ID: d.ID, Transports: d.Transports})
}
