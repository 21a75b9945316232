// Package webauthn verifies what authenticators make: registrations (WebAuthn
// L3 #sctn-registering-a-new-credential, §7.1) and assertions
// (#sctn-verifying-assertion, §7.2).
//
// It is a function of its arguments: no database, no network, no state. What a
// ceremony promised is handed in as an expectation, what came back as a
// response; the answer is facts (Registration, Assertion) or a fault that says
// which step failed. Facts, not decisions: whether an attestation is trusted,
// a counter rollback is fatal or a changed BE flag is tolerated is the
// caller's policy.
//
// The steps of §7.1 and §7.2 that need a store are in authcore/ceremony: that
// a challenge is spent once and belongs to this user and ceremony, that a
// credential ID is not registered yet, and storing the record.
//
// Client data, authenticator data and signatures are read here, strictly and
// without reflection, because sign-in is the hot path. COSE keys and attestation
// statements are left to github.com/go-webauthn/webauthn, which no other
// package imports. It judges the validity of attestation certificates by the
// process's clock; here that is done at the time that the expectation names.
package webauthn

import (
	"errors"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// Errors returned by VerifyRegistration, VerifyAssertion, ParsePublicKey and, of the
// request, CreationExtensions and RequestExtensions.
// Each Reason is part of the public API. All of them mean that this response
// can never succeed; the cause, for logs, says what exactly was wrong.
var (
	ErrMalformed            = fault.New(fault.Invalid, "CREDENTIAL_MALFORMED", "the credential is not a well-formed WebAuthn response")
	ErrCeremonyType         = fault.New(fault.Invalid, "CEREMONY_TYPE_MISMATCH", "the credential was made for the other ceremony")
	ErrChallenge            = fault.New(fault.Invalid, "CHALLENGE_MISMATCH", "the credential answers another challenge")
	ErrOrigin               = fault.New(fault.Invalid, "ORIGIN_NOT_ALLOWED", "the credential was made on an origin that is not allowed")
	ErrRPID                 = fault.New(fault.Invalid, "RP_ID_MISMATCH", "the credential was made for another relying party")
	ErrUserPresence         = fault.New(fault.Invalid, "USER_PRESENCE_REQUIRED", "the authenticator did not test that a user is present")
	ErrUserVerification     = fault.New(fault.Invalid, "USER_VERIFICATION_REQUIRED", "the authenticator did not verify the user")
	ErrBackupState          = fault.New(fault.Invalid, "BACKUP_STATE_INVALID", "the authenticator reports a backup of a credential that cannot be backed up")
	ErrAlgorithm            = fault.New(fault.Invalid, "ALGORITHM_NOT_ALLOWED", "the credential's algorithm was not asked for or is not supported")
	ErrAttestation          = fault.New(fault.Invalid, "ATTESTATION_INVALID", "the attestation statement does not verify")
	ErrAttestationExpired   = fault.New(fault.Invalid, "ATTESTATION_EXPIRED", "the certificates of the attestation have expired")
	ErrAttestationFormat    = fault.New(fault.Invalid, "ATTESTATION_FORMAT_UNSUPPORTED", "the attestation statement format is not supported")
	ErrCredentialNotAllowed = fault.New(fault.Invalid, "CREDENTIAL_NOT_ALLOWED", "the credential is not one of those that were asked for")
	ErrUserHandle           = fault.New(fault.Invalid, "USER_HANDLE_MISMATCH", "the credential belongs to another user")
	ErrExtension            = fault.New(fault.Invalid, "EXTENSION_INVALID", "these extension inputs are not passed on to the browser")
	ErrSignature            = fault.New(fault.Invalid, "SIGNATURE_INVALID", "the signature does not verify")
)

// RP is the relying party a response is verified for.
type RP struct {
	ID   string // a domain, in its ASCII form; compared by its SHA-256
	Name string // for people; only options carry it

	// Origins are the origins a ceremony may run on, each in the exact form the
	// client serialises it: "https://login.example.org", or a native app's
	// "android:apk-key-hash:…". They are compared byte for byte, so a default
	// port, a trailing slash or another letter case does not match
	// (WebAuthn L3 #sctn-validating-origin).
	Origins []string

	// TopOrigins are the origins of pages that may embed the RP in a frame.
	// They count only where AllowCrossOrigin is true.
	TopOrigins []string

	// AllowCrossOrigin accepts ceremonies inside a frame whose ancestors are of
	// another origin.
	AllowCrossOrigin bool

	// RequireTopOrigin refuses a ceremony in such a frame whose client does not say which
	// page is around it, as those of WebAuthn Level 2 do not.
	RequireTopOrigin bool
}

// check finds the mistakes that would make verification meaningless. They are
// errors of the calling code, not of the client, hence no faults.
func (rp *RP) check(challenge []byte) error {
	switch {
	case rp.ID == "":
		return errors.New("webauthn: RP.ID is empty")
	case len(rp.Origins) == 0:
		return errors.New("webauthn: RP.Origins is empty")
	case len(challenge) == 0:
		return errors.New("webauthn: the expectation has no challenge")
	}
	return nil
}

// Limits on what a client may send. A response travels in a request body of at
// most 64 KiB, so these only refuse what no authenticator makes before time is
// spent on it.
const (
	maxClientDataBytes        = 16 << 10 // Secure Payment Confirmation puts payment details in it
	maxAttestationObjectBytes = 32 << 10 // the largest seen, TPM and Android chains, are below 8 KiB
	maxAuthenticatorDataBytes = 8 << 10  // with every CTAP 2.2 extension answered, below 2 KiB
	maxExtensionResultsBytes  = 16 << 10 // largeBlob reads come back here
	maxUserHandleBytes        = 64       // WebAuthn L3 #user-handle
	maxCredentialIDBytes      = 1023     // WebAuthn L3 #sctn-registering-a-new-credential, step 25
	maxPublicKeyBytes         = 2 << 10  // RSA-4096 takes 530
	maxTransports             = 16
	maxTransportBytes         = 32
	maxCertificates           = 6 // most send 1 to 3, Android up to 5, with its root
	maxCompoundParts          = 4
)
