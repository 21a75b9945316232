package webauthn

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/google/uuid"
)

// RegistrationExpectation is what the ceremony promised when it began.
type RegistrationExpectation struct {
	Challenge []byte // as in the options; required

	// Algorithms are those that the options offered, pubKeyCredParams. An
	// algorithm that is not supported is refused even if it stands here.
	Algorithms []Algorithm

	// RequireUserVerification refuses a response without the UV flag.
	RequireUserVerification bool

	// Conditional says that create() was called with conditional mediation, in
	// which no test of user presence happens (§7.1 step 15).
	Conditional bool

	// AllowSafetyNet accepts the attestation format android-safetynet, alone or
	// in a compound. Google turned the service off; no new statement is genuine.
	AllowSafetyNet bool

	// At is when the certificates of an attestation are judged: the time of the
	// registration. Zero: now. Two formats know no other time than now: the answer
	// of android-safetynet is good for a minute, and the vendors' roots for
	// android-key and apple, which the library has built in, must not have expired.
	At time.Time
}

// Registration is what a verified registration says: the credential record of
// §7.1 step 27 and the evidence behind it.
type Registration struct {
	CredentialID []byte // 1 to 1023 bytes
	PublicKey    []byte // COSE_Key as the authenticator encoded it; ParsePublicKey accepts it
	Algorithm    Algorithm
	AAGUID       uuid.UUID // the model, as the authenticator claims; proven only by a trusted attestation
	SignCount    uint32
	Flags        Flags

	Transports   []string // unmodified, unknown ones included
	Attachment   string   // "platform", "cross-platform", or empty
	Discoverable *bool    // credProps.rk; nil if the client did not say
	ClientData   ClientData
	Attestation  Attestation

	// Extensions are the authenticator extension outputs: a CBOR map, nil for none.
	Extensions []byte
	// Outputs are what client and authenticator said of extensions.
	Outputs ExtensionOutputs
}

// VerifyRegistration does the steps of §7.1 that need no store: 3 to 17, 20 to
// 22, 25 and 28. What it returns is bound to the
// challenge, the origin and the RP ID; nothing is said yet about who made it
// (see Attestation) or whether the credential ID is taken. The Registration
// refers to the memory of resp.
//
// ErrAttestationExpired comes with a Registration, in which all else is verified:
// it is evidence of why the credential was refused.
func VerifyRegistration(rp RP, exp RegistrationExpectation, resp RegistrationResponse) (Registration, error) {
	if err := rp.check(exp.Challenge); err != nil {
		return Registration{}, err
	}
	if err := checkCredential(resp.ID, resp.RawID, resp.Type); err != nil { // steps 3, 4
		return Registration{}, at(3, err)
	}
	if err := checkTransports(resp.Transports); err != nil {
		return Registration{}, at(3, err)
	}
	outputs, err := parseExtensionResults(resp.ClientExtensionResults) // step 28
	if err != nil {
		return Registration{}, at(4, err)
	}
	client, err := parseClientData(resp.ClientDataJSON) // steps 5, 6
	if err != nil {
		return Registration{}, at(6, ErrMalformed.WithCause(err))
	}
	if err := client.verify(&rp, typeCreate, 7, exp.Challenge); err != nil { // steps 7 to 11
		return Registration{}, err
	}
	clientDataHash := sha256.Sum256(resp.ClientDataJSON)          // step 12
	object, err := parseAttestationObject(resp.AttestationObject) // step 13
	if err != nil {
		return Registration{}, at(13, ErrMalformed.WithCause(err))
	}
	auth, err := parseAuthenticatorData(object.RawAuthData)
	if err != nil {
		return Registration{}, at(13, ErrMalformed.WithCause(err))
	}
	if auth.credentialID == nil {
		return Registration{}, at(13, ErrMalformed.WithCause(errors.New("authenticator data: no attested credential data")))
	}
	if err := auth.verify(rp.ID, 14, !exp.Conditional, exp.RequireUserVerification); err != nil { // steps 14 to 17
		return Registration{}, err
	}
	key, err := ParsePublicKey(auth.publicKey)
	if err != nil {
		return Registration{}, at(20, err)
	}
	if !slices.Contains(exp.Algorithms, key.algorithm) { // step 20
		return Registration{}, at(20, ErrAlgorithm.WithCause(fmt.Errorf("%v was not offered", key.algorithm)))
	}
	// The record's ID is the attested one; a client that reports another one
	// did not create this credential.
	if !bytes.Equal(auth.credentialID, resp.RawID) {
		return Registration{}, at(13, ErrMalformed.WithCause(errors.New("rawId is not the attested credential ID")))
	}
	if err := authenticatorOutputs(auth.extensions, &outputs.said); err != nil {
		return Registration{}, at(28, ErrMalformed.WithCause(err))
	}
	attestation, err := verifyAttestation(object, clientDataHash[:], exp.AllowSafetyNet) // steps 21, 22
	if errors.Is(err, ErrAttestationFormat) {
		return Registration{}, at(21, err)
	} else if err != nil {
		return Registration{}, at(22, err)
	}
	reg := Registration{
		CredentialID: auth.credentialID,
		PublicKey:    auth.publicKey,
		Algorithm:    key.algorithm,
		AAGUID:       uuid.UUID(auth.aaguid),
		SignCount:    auth.signCount,
		Flags:        auth.flags,
		Transports:   resp.Transports,
		Attachment:   attachment(resp.AuthenticatorAttachment),
		Discoverable: outputs.discoverable,
		ClientData:   client.ClientData,
		Attestation:  attestation,
		Extensions:   auth.extensions,
		Outputs:      outputs.said,
	}
	switch err := reg.Attestation.checkValidity(exp.present()); {
	case errors.Is(err, ErrAttestationExpired):
		return reg, at(22, err)
	case err != nil:
		return Registration{}, at(22, err)
	}
	return reg, nil
}

// checkTransports bounds what is stored and handed out again in descriptors.
// Unknown values are kept (WebAuthn L3 #dom-authenticatorattestationresponse-gettransports).
func checkTransports(transports []string) error {
	if len(transports) > maxTransports {
		return ErrMalformed.WithCause(fmt.Errorf("%d transports", len(transports)))
	}
	for _, t := range transports {
		if t == "" || len(t) > maxTransportBytes || bytes.ContainsFunc([]byte(t), notPrintableASCII) {
			return ErrMalformed.WithCause(fmt.Errorf("transport %.64q", t))
		}
	}
	return nil
}

func notPrintableASCII(r rune) bool { return r <= ' ' || r > '~' }

// parseAttestationObject reads the CBOR map {fmt, attStmt, authData} (WebAuthn
// L3 #fig-attStructs). Five levels of nesting are allowed, which is what a
// compound statement needs; tags, indefinite lengths and duplicate keys are not
// (CTAP2 canonical form).
func parseAttestationObject(raw []byte) (protocol.AttestationObject, error) {
	var object protocol.AttestationObject
	if len(raw) > maxAttestationObjectBytes {
		return object, fmt.Errorf("attestation object: %d bytes", len(raw))
	}
	if err := webauthncbor.Unmarshal(raw, &object); err != nil {
		return object, fmt.Errorf("attestation object: %w", err)
	}
	if object.AttStatement == nil && object.SubStatements == nil {
		return object, errors.New("attestation object: no statement")
	}
	if err := object.AuthData.Unmarshal(object.RawAuthData); err != nil {
		return object, fmt.Errorf("attestation object: %w", err)
	}
	return object, nil
}
