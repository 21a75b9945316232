package evidence

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/authcore/webauthn"
)

// Format is the first member of every record: of these members, in this order. A
// reader that meets another one knows that it must not interpret the record.
const Format = "biocore-evidence/1"

// Record is what was known when a registration was accepted or refused: what the
// authenticator sent, what was expected of it, what it was held against, and what came
// of it. From it alone everything that was concluded can be concluded again. It holds
// no name, address or secret. docs/evidence.md describes the members.
type Record struct {
	Format     string    `json:"format"`
	ID         uuid.UUID `json:"id"`
	TenantID   uuid.UUID `json:"tenantId"`
	CeremonyID uuid.UUID `json:"ceremonyId"`
	At         time.Time `json:"at"` // by which everything was judged

	Outcome string     `json:"outcome"` // of the ceremony: ALLOW or FAILED
	Reason  string     `json:"reason"`  // of the refusal; empty on ALLOW
	UserID  *uuid.UUID `json:"userId"`  // null: a newcomer, who was refused

	Expected Expected `json:"expected"`
	Response Response `json:"response"`
	// Verified is what the response says, once it verifies; null when it did not.
	Verified *Verified `json:"verified"`
	// Verdict is how far the attestation is trusted; null when nobody judged it.
	Verdict  *attestation.Verdict `json:"verdict"`
	Metadata json.RawMessage      `json:"metadata"` // see MetadataOf; null: nothing was known of the model
	Roots    []Root               `json:"roots"`    // of the tenant, that the attestation was tried on; null: there was none

	PolicyVersion int             `json:"policyVersion"`
	Facts         json.RawMessage `json:"facts"` // docs/facts.md; null for none
}

// Expected is what the ceremony promised when it began.
type Expected struct {
	RPID                    string   `json:"rpId"`
	Origins                 []string `json:"origins"`
	TopOrigins              []string `json:"topOrigins"`
	CrossOrigin             bool     `json:"crossOrigin"`
	Challenge               Bytes    `json:"challenge"`
	Algorithms              []int32  `json:"algorithms"` // COSE
	RequireUserVerification bool     `json:"requireUserVerification"`
	Conditional             bool     `json:"conditional"`
	AllowSafetyNet          bool     `json:"allowSafetyNet"`
}

// Response is what navigator.credentials.create() answered, as far as it counts.
type Response struct {
	ID                      string          `json:"id"`
	RawID                   Bytes           `json:"rawId"`
	Type                    string          `json:"type"`
	ClientDataJSON          Bytes           `json:"clientDataJSON"`
	AttestationObject       Bytes           `json:"attestationObject"`
	Transports              []string        `json:"transports"`
	AuthenticatorAttachment string          `json:"authenticatorAttachment"`
	ClientExtensionResults  json.RawMessage `json:"clientExtensionResults"`
}

// Verified is the credential record of WebAuthn L3 §7.1 step 27.
type Verified struct {
	CredentialID Bytes       `json:"credentialId"`
	PublicKey    Bytes       `json:"publicKey"` // COSE_Key
	Algorithm    int32       `json:"algorithm"`
	AAGUID       uuid.UUID   `json:"aaguid"`
	SignCount    uint32      `json:"signCount"`
	Flags        uint8       `json:"flags"`
	Origin       string      `json:"origin"`
	TopOrigin    string      `json:"topOrigin"`
	CrossOrigin  bool        `json:"crossOrigin"`
	Attestation  Attestation `json:"attestation"`
}

// Attestation is what the statement is.
type Attestation struct {
	Format string        `json:"format"`
	Type   string        `json:"type"`
	Chain  []Bytes       `json:"chain"` // DER, the attestation certificate first
	Parts  []Attestation `json:"parts"` // of a compound
}

// Root is a certificate that the tenant trusted to attest authenticators.
type Root struct {
	ID          uuid.UUID   `json:"id"`
	Certificate Bytes       `json:"certificate"` // DER
	AAGUIDs     []uuid.UUID `json:"aaguids"`     // the only models that it may attest; empty: any
}

// Bytes are base64url without padding in JSON.
type Bytes []byte

// MarshalText encodes.
func (b Bytes) MarshalText() ([]byte, error) { return base64.RawURLEncoding.AppendEncode(nil, b), nil }

// UnmarshalText decodes strictly: two texts never mean the same bytes.
func (b *Bytes) UnmarshalText(text []byte) error {
	if bytes.ContainsAny(text, "\r\n") { // the decoder skips them
		return errors.New("base64url: line break")
	}
	raw, err := base64.RawURLEncoding.Strict().AppendDecode(nil, text)
	*b = raw
	return err
}

// expectedOf and responseOf translate what package webauthn takes, and its answers.
func expectedOf(rp webauthn.RP, exp webauthn.RegistrationExpectation) Expected {
	out := Expected{
		RPID: rp.ID, Origins: rp.Origins, TopOrigins: rp.TopOrigins, CrossOrigin: rp.AllowCrossOrigin,
		Challenge: exp.Challenge, RequireUserVerification: exp.RequireUserVerification,
		Conditional: exp.Conditional, AllowSafetyNet: exp.AllowSafetyNet,
	}
	for _, a := range exp.Algorithms {
		out.Algorithms = append(out.Algorithms, int32(a))
	}
	return out
}

func (e *Expected) rp() webauthn.RP {
	return webauthn.RP{ID: e.RPID, Origins: e.Origins, TopOrigins: e.TopOrigins, AllowCrossOrigin: e.CrossOrigin}
}

func (e *Expected) expectation() webauthn.RegistrationExpectation {
	out := webauthn.RegistrationExpectation{
		Challenge: e.Challenge, RequireUserVerification: e.RequireUserVerification,
		Conditional: e.Conditional, AllowSafetyNet: e.AllowSafetyNet,
	}
	for _, a := range e.Algorithms {
		out.Algorithms = append(out.Algorithms, webauthn.Algorithm(a))
	}
	return out
}

func responseOf(r *webauthn.RegistrationResponse) Response {
	return Response{
		ID: r.ID, RawID: r.RawID, Type: r.Type, ClientDataJSON: r.ClientDataJSON, AttestationObject: r.AttestationObject,
		Transports: r.Transports, AuthenticatorAttachment: r.AuthenticatorAttachment, ClientExtensionResults: harmless(r.ClientExtensionResults),
	}
}

// harmless keeps of the extension outputs what a registration is verified by. Others may
// be secrets (prf), which nobody keeps.
func harmless(results json.RawMessage) json.RawMessage {
	var kept struct {
		CredProps json.RawMessage `json:"credProps,omitempty"`
	}
	if json.Unmarshal(results, &kept) != nil {
		return nil
	}
	out, err := json.Marshal(kept)
	if err != nil {
		return nil
	}
	return out
}

func (r *Response) response() webauthn.RegistrationResponse {
	out := webauthn.RegistrationResponse{
		ID: r.ID, RawID: r.RawID, Type: r.Type, ClientDataJSON: r.ClientDataJSON, AttestationObject: r.AttestationObject,
		Transports: r.Transports, AuthenticatorAttachment: r.AuthenticatorAttachment,
	}
	if string(r.ClientExtensionResults) != "null" {
		out.ClientExtensionResults = r.ClientExtensionResults
	}
	return out
}

func verifiedOf(v *webauthn.Registration) *Verified {
	if v == nil {
		return nil
	}
	return &Verified{
		CredentialID: v.CredentialID, PublicKey: v.PublicKey, Algorithm: int32(v.Algorithm), AAGUID: v.AAGUID,
		SignCount: v.SignCount, Flags: uint8(v.Flags),
		Origin: v.ClientData.Origin, TopOrigin: v.ClientData.TopOrigin, CrossOrigin: v.ClientData.CrossOrigin,
		Attestation: attestationOf(v.Attestation),
	}
}

func attestationOf(a webauthn.Attestation) Attestation {
	out := Attestation{Format: a.Format, Type: string(a.Type)}
	for _, der := range a.X5C {
		out.Chain = append(out.Chain, der)
	}
	for _, part := range a.Parts {
		out.Parts = append(out.Parts, attestationOf(part))
	}
	return out
}

// encode is the record as it is hashed, sealed and handed out.
func (r *Record) encode() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false) // for readers; nothing of it is ever a page
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("encode evidence: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// errRecord says that bytes are no record.
var errRecord = errors.New("this is no record of evidence that this release can read")

// decode reads what encode made, and nothing else: every byte counts.
func decode(raw []byte) (*Record, error) {
	var r Record
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	if r.Format != Format {
		return nil, fmt.Errorf("%w: it has the format %.40q", errRecord, r.Format)
	}
	if again, err := r.encode(); err != nil || !bytes.Equal(again, raw) {
		return nil, fmt.Errorf("%w: it is not in the form in which it was written", errRecord)
	}
	return &r, nil
}
