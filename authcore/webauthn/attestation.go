package webauthn

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/protocol"
)

// The attestation statement formats that are verified (WebAuthn L3
// #sctn-defined-attestation-formats).
const (
	FormatNone       = "none"
	FormatPacked     = "packed"
	FormatTPM        = "tpm"
	FormatAndroidKey = "android-key"
	FormatSafetyNet  = "android-safetynet" // only where the expectation allows it
	FormatFIDOU2F    = "fido-u2f"
	FormatApple      = "apple"
	FormatCompound   = "compound"
)

// AttestationType is what kind of evidence a statement is (WebAuthn L3
// #sctn-attestation-types). Only types with certificates can be trusted, and
// only once their chain leads to a root that the caller accepts.
type AttestationType string

// The attestation types.
const (
	AttestationNone    AttestationType = "none"
	AttestationSelf    AttestationType = "self"   // signed with the credential's own key: proves possession of it only
	AttestationBasic   AttestationType = "basic"  // a certificate of the model or batch; for fido-u2f also AttCA
	AttestationAttCA   AttestationType = "attca"  // a certificate for one authenticator, by an attestation CA
	AttestationAnonCA  AttestationType = "anonca" // a certificate for this credential alone
	AttestationUnknown AttestationType = ""       // a compound: see its parts
)

// Attestation is what an attestation statement says. Its signatures are
// verified and its certificates meet the requirements of its format; whether
// they chain to a root that anyone trusts has been checked for android-key and
// apple only (whose roots the library has built in), so the caller must decide
// on trust for all of them.
type Attestation struct {
	Format string
	Type   AttestationType
	X5C    [][]byte      // DER, the attestation certificate first; nil for none and self, and for android-safetynet
	Parts  []Attestation // of a compound, at least two, all of them verified
}

// verifyAttestation does steps 21 and 22 of §7.1, except for the validity of
// certificates. The metadata provider is nil throughout: trust is not decided here.
func verifyAttestation(object protocol.AttestationObject, clientDataHash []byte, allowSafetyNet bool) (Attestation, error) {
	att := Attestation{Format: object.Format}
	switch object.Format {
	case FormatNone, FormatPacked, FormatTPM, FormatAndroidKey, FormatFIDOU2F, FormatApple:
	case FormatSafetyNet:
		if !allowSafetyNet {
			return att, ErrAttestationFormat.WithMessage("the attestation statement format android-safetynet is not accepted")
		}
	case FormatCompound:
		return verifyCompound(object, clientDataHash, allowSafetyNet)
	default:
		return att, ErrAttestationFormat.WithCause(fmt.Errorf("format %.64q", object.Format))
	}
	var err error
	if att.X5C, err = certificates(object.AttStatement); err != nil {
		return att, ErrAttestation.WithCause(err)
	}
	if err := checkCertificates(object, att.X5C); err != nil {
		return att, ErrAttestation.WithCause(err)
	}
	shown := object
	shown.AttStatement = timeless(object.Format, object.AttStatement, att.X5C)
	if err := shown.VerifyAttestation(clientDataHash, nil, protocol.AttestationPolicy{}, protocol.SignaturePolicy{}); err != nil {
		return att, ErrAttestation.WithCause(fmt.Errorf("%s: %w", object.Format, unfold(err)))
	}
	if att.Type, err = attestationType(shown.Type); err != nil {
		return att, ErrAttestation.WithCause(err)
	}
	return att, nil
}

// unfold shows what is inside a library error, whose own text leaves it out.
func unfold(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return fmt.Errorf("%v: %w", err, inner) //nolint:errorlint // the inner error is the one to ask for
	}
	return err
}

// verifyCompound verifies every part of a compound statement (WebAuthn L3
// #sctn-compound-attestation) by itself, so that each one's type and chain are
// known; the library reports those of the first part alone.
func verifyCompound(object protocol.AttestationObject, clientDataHash []byte, allowSafetyNet bool) (Attestation, error) {
	att := Attestation{Format: FormatCompound, Type: AttestationUnknown}
	if n := len(object.SubStatements); n < 2 || n > maxCompoundParts {
		return att, ErrAttestation.WithCause(fmt.Errorf("compound: %d statements", n))
	}
	for _, sub := range object.SubStatements {
		if sub.Format == FormatCompound || sub.Format == FormatNone {
			return att, ErrAttestation.WithCause(fmt.Errorf("compound: a part of format %q", sub.Format))
		}
		part, err := verifyAttestation(protocol.AttestationObject{
			Format: sub.Format, AttStatement: sub.AttStatement, AuthData: object.AuthData, RawAuthData: object.RawAuthData,
		}, clientDataHash, allowSafetyNet)
		if err != nil {
			return att, err
		}
		att.Parts = append(att.Parts, part)
	}
	return att, nil
}

// checkValidity refuses an attestation whose certificates are not valid at a time, or
// a compound with such a part.
func (a *Attestation) checkValidity(at time.Time) error {
	for i := range a.Parts {
		if err := a.Parts[i].checkValidity(at); err != nil {
			return err
		}
	}
	return checkValidity(a.Format, a.X5C, at)
}

// attestationType translates the library's word, which is the metadata
// service's, into the specification's.
func attestationType(t string) (AttestationType, error) {
	switch metadata.AuthenticatorAttestationType(t) {
	case metadata.None:
		return AttestationNone, nil
	case metadata.BasicSurrogate:
		return AttestationSelf, nil
	case metadata.BasicFull:
		return AttestationBasic, nil
	case metadata.AttCA:
		return AttestationAttCA, nil
	case metadata.AnonCA:
		return AttestationAnonCA, nil
	default:
		return "", fmt.Errorf("attestation type %q", t)
	}
}
