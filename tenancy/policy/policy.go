// Package policy is what a tenant asks of ceremonies and sessions: one JSON
// document, versioned as a whole. A version is never changed once written, so that
// a ceremony which names its version can be explained for ever.
//
// Documents are parsed strictly, against policy.schema.json in effect: a field that
// this server does not know is refused rather than ignored, since it may be the
// one that was meant to protect something.
package policy

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/strictjson"
)

// ErrInvalid is returned for a document that cannot be a policy. Its metadata names
// the field.
var ErrInvalid = fault.New(fault.Invalid, "POLICY_INVALID", "the policy is not valid")

// Requirement is how much a relying party wants something (WebAuthn L3
// #enumdef-userverificationrequirement, #enumdef-residentkeyrequirement).
type Requirement string

// The requirements.
const (
	Required    Requirement = "required"
	Preferred   Requirement = "preferred"
	Discouraged Requirement = "discouraged"
)

// Conveyance is which attestation is asked for (WebAuthn L3
// #enumdef-attestationconveyancepreference).
type Conveyance string

// The conveyances.
const (
	ConveyNone       Conveyance = "none"
	ConveyIndirect   Conveyance = "indirect"
	ConveyDirect     Conveyance = "direct"
	ConveyEnterprise Conveyance = "enterprise"
)

// Rollback is what follows a signature counter that did not grow (WebAuthn L3
// #sctn-sign-counter): a copy of the credential's key may exist.
type Rollback string

// The answers to a rollback.
const (
	RollbackDeny   Rollback = "DENY"
	RollbackStepUp Rollback = "STEP_UP"
	RollbackFlag   Rollback = "FLAG" // let in, and say so
)

// COSE algorithm identifiers that a policy may name (IANA COSE Algorithms). The
// order in a document is the order of preference.
const (
	ES256 = -7
	EdDSA = -8
	ES384 = -35
	ES512 = -36
	PS256 = -37
	RS256 = -257
)

// SigningAlgorithm is a JWS algorithm that tokens are signed with (RFC 7518 §3.1, RFC 8037
// §3.1).
type SigningAlgorithm string

// The signing algorithms.
const (
	SignES256 SigningAlgorithm = "ES256"
	SignEdDSA SigningAlgorithm = "EdDSA"
	SignRS256 SigningAlgorithm = "RS256" // for verifiers that know nothing else
)

// KeyLocation is where a tenant's signing keys are.
type KeyLocation string

// The locations.
const (
	KeysSealed KeyLocation = "SEALED" // in the database, sealed; they sign in this process
	KeysInKMS  KeyLocation = "KMS"    // in the KMS, which signs: slower, and they never leave it
)

// Trust is how much an attestation proves about the authenticator's model: what a
// ceremony makes of it, and what a policy asks for at least.
type Trust string

// The trusts that a policy may require, each above the one before.
const (
	TrustNone     Trust = "NONE"     // whatever comes, nothing included
	TrustSelf     Trust = "SELF"     // a statement that the credential's own key signed, or one that is verified
	TrustVerified Trust = "VERIFIED" // a chain to a root of the FIDO Metadata Service, or to one that the tenant trusts
	TrustMDS      Trust = "MDS"      // a chain to a root of the FIDO Metadata Service
)

// Certification is a FIDO certification level, spelled as the Metadata Service does
// (FIDO Metadata Service v3 #authenticatorstatus-enum). Empty: none.
type Certification string

// Certifications are the levels, each above the one before. FIDO_CERTIFIED says the same
// as its level 1: it is from before there were levels.
func Certifications() []Certification {
	return []Certification{
		"", "FIDO_CERTIFIED", "FIDO_CERTIFIED_L1", "FIDO_CERTIFIED_L1plus", "FIDO_CERTIFIED_L2", "FIDO_CERTIFIED_L2plus",
		"FIDO_CERTIFIED_L3", "FIDO_CERTIFIED_L3plus",
	}
}

// AtLeast reports whether c is as high as other. What is no level is below all.
func (c Certification) AtLeast(other Certification) bool {
	levels := Certifications()
	return slices.Index(levels, c) >= slices.Index(levels, other)
}

// Leave is what follows something that a tenant may want to hear of, or not to have.
type Leave string

// The answers.
const (
	LeaveAllow Leave = "ALLOW"
	LeaveFlag  Leave = "FLAG" // let in, and say so
	LeaveDeny  Leave = "DENY"
)

// Vouching is what it takes to register a further credential for a user who has one.
type Vouching string

// The kinds of vouching.
const (
	Vouched      Vouching = "VOUCHED"        // a server key, or a registration token, which a server key made
	StrongSignIn Vouching = "STRONG_SIGN_IN" // that, and a recent sign-in of the user's at AAL2 or above
)

// Disposition is what becomes of a credential whose authenticator's model the Metadata
// Service reports as revoked or compromised.
type Disposition string

// The dispositions, each harder than the one before.
const (
	DispositionFlag    Disposition = "FLAG"    // it is said, and signs in
	DispositionStepUp  Disposition = "STEP_UP" // a sign-in with it needs another one beside it
	DispositionSuspend Disposition = "SUSPEND" // it does not sign in until somebody resumes it
)

// Approval is who has to agree to a recovery.
type Approval string

// The approvals.
const (
	ApprovalNone         Approval = "NONE"
	ApprovalSecondPerson Approval = "SECOND_PERSON" // somebody else than who asked for it
)

// Document is a policy. Every field has a default; see JSON for what a stored one names.
type Document struct {
	// UserVerification of both ceremonies.
	UserVerification Requirement `json:"userVerification"`
	// AttestationConveyance asked for at registration.
	AttestationConveyance Conveyance `json:"attestationConveyance"`
	// ResidentKey is whether credentials must be discoverable.
	ResidentKey Requirement `json:"residentKey"`
	// Algorithms offered at registration, the preferred first: 1 to 6, each once.
	Algorithms []int `json:"algorithms"`
	// RegistrationTimeoutSeconds is how long a registration stays open: 30 to 3600.
	RegistrationTimeoutSeconds int `json:"registrationTimeoutSeconds"`
	// AuthenticationTimeoutSeconds is how long a sign-in stays open: 30 to 3600.
	AuthenticationTimeoutSeconds int `json:"authenticationTimeoutSeconds"`
	// MaxCredentialsPerUser that are not revoked: 1 to 100.
	MaxCredentialsPerUser int `json:"maxCredentialsPerUser"`
	// SignCountRollback is what follows a counter that did not grow.
	SignCountRollback Rollback `json:"signCountRollback"`
	// SessionLifetimeSeconds is when a session ends whatever happens: 5 minutes to 90 days.
	SessionLifetimeSeconds int `json:"sessionLifetimeSeconds"`
	// RefreshIdleSeconds is when an unused session ends: 5 minutes up to its lifetime.
	RefreshIdleSeconds int `json:"refreshIdleSeconds"`
	// AccessTokenSeconds is how long an access token is good for: 60 to 3600, and at
	// most RefreshIdleSeconds. A revoked session's access tokens last as long elsewhere.
	AccessTokenSeconds int `json:"accessTokenSeconds"`
	// SigningAlgorithm of the keys that sign tokens. Another one takes effect with a new key,
	// a quarter of an hour after the change is noticed.
	SigningAlgorithm SigningAlgorithm `json:"signingAlgorithm"`
	// SigningKeyLocation is where those keys are made and sign.
	SigningKeyLocation KeyLocation `json:"signingKeyLocation"`
	// SigningKeyRotationDays is the age at which a signing key gets its successor: 1 to
	// 730 days, 0 for never by itself.
	SigningKeyRotationDays int `json:"signingKeyRotationDays"`
	// DataKeyRotationDays is the age at which the key that the tenant's fields are sealed
	// under gets its successor: 1 to 3650 days, 0 for never by itself.
	DataKeyRotationDays int `json:"dataKeyRotationDays"`
	// ConditionalCreate lets a registration happen without a prompt after a password
	// sign-in (WebAuthn L3 #dom-credentialmediationrequirement-conditional); such a
	// credential is created without user presence or verification.
	ConditionalCreate bool `json:"conditionalCreate"`

	// RequiredTrust of the attestation at registration. VERIFIED and MDS take an
	// AttestationConveyance other than none.
	RequiredTrust Trust `json:"requiredTrust"`
	// AuthenticatorsAllowed are the AAGUIDs of the models that may register, at most 150;
	// empty: any. An AAGUID is only proven by a verified chain, so a list takes a
	// RequiredTrust of VERIFIED or MDS.
	AuthenticatorsAllowed []string `json:"authenticatorsAllowed"`
	// AuthenticatorsDenied are the AAGUIDs of the models that may not, at most 150. Without
	// a verified chain it keeps out the honest alone.
	AuthenticatorsDenied []string `json:"authenticatorsDenied"`
	// MinimumCertification of the model; takes a RequiredTrust of MDS.
	MinimumCertification Certification `json:"minimumCertification"`
	// SyncedPasskeys is whether credentials may register that can be backed up (WebAuthn
	// L3 #backup-eligible).
	SyncedPasskeys Leave `json:"syncedPasskeys"`
	// AuthenticatorAttachment asked for at registration: platform, cross-platform, or empty
	// for either (WebAuthn L3 #enum-attachment).
	AuthenticatorAttachment string `json:"authenticatorAttachment"`
	// Hints for the browser's dialogue, the most wanted first (WebAuthn L3 #enum-hints).
	Hints []string `json:"hints"`
	// BackupEligibilityChange is what follows a sign-in whose backup eligibility is not what
	// it was at registration: DENY, as WebAuthn L3 §7.2 has it, or FLAG.
	BackupEligibilityChange Leave `json:"backupEligibilityChange"`
	// AdditionalCredential is what a user's second credential takes, and each further one.
	AdditionalCredential Vouching `json:"additionalCredential"`
	// StrongSignInMaxAgeSeconds is how long ago a strong sign-in may be: 30 to 86400.
	StrongSignInMaxAgeSeconds int `json:"strongSignInMaxAgeSeconds"`
	// MinimumAAL that a sign-in must reach (NIST SP 800-63B-4): 1 to 3.
	MinimumAAL int `json:"minimumAal"`
	// SyncedAAL is the most that a synced passkey counts for: 1 or 2.
	SyncedAAL int `json:"syncedAal"`
	// AAL3Certification is what AAL3 takes of the model at least; never empty.
	AAL3Certification Certification `json:"aal3Certification"`
	// AuthenticatorStatus is what follows the report that a credential's model is revoked
	// or compromised.
	AuthenticatorStatus Disposition `json:"authenticatorStatus"`
	// ReportedAuthenticators is whether a credential may register whose model is reported
	// as revoked or compromised, proven or claimed: DENY, or FLAG to let it in and say so.
	ReportedAuthenticators Leave `json:"reportedAuthenticators"`
	// EvidenceRetentionDays is how long the evidence of registrations is kept: 1 to 3650
	// days, 0 for none at all.
	EvidenceRetentionDays int `json:"evidenceRetentionDays"`
	// CeremonyRetentionDays is how long finished ceremonies are kept: 30 to 3650 days, 0 for
	// as long as the tenant is there. Statistics, which are counted from them, stay.
	CeremonyRetentionDays int `json:"ceremonyRetentionDays"`
	// SessionRetentionDays is how long a session is kept after its end: as
	// CeremonyRetentionDays.
	SessionRetentionDays int `json:"sessionRetentionDays"`
	// AuditRetentionDays is how long entries of the audit log stay in the database: MinAuditRetentionDays
	// to 3650, 0 for as long as the tenant is there. Older months are archived in object storage.
	AuditRetentionDays int `json:"auditRetentionDays"`
	// TopOrigins are the origins of pages that may embed a ceremony, at most 20.
	TopOrigins []string `json:"topOrigins"`
	// CrossOrigin is whether ceremonies may run in an iframe of another origin: DENY, or
	// ALLOW within pages of TopOrigins (WebAuthn L3 #sctn-validating-origin).
	CrossOrigin Leave `json:"crossOrigin"`
	// RecoveryCodes is whether users may have one-time recovery codes.
	RecoveryCodes bool `json:"recoveryCodes"`
	// RecoveryApproval is who has to agree to a recovery.
	RecoveryApproval Approval `json:"recoveryApproval"`
	// RecoveryFailures in a row that lock recovery for a while: 1 to 20.
	RecoveryFailures int `json:"recoveryFailures"`
	// RecoveryLockoutSeconds is the longest lock, 60 to 86400: the first lasts a minute, and each
	// failure that follows one doubles the next.
	RecoveryLockoutSeconds int `json:"recoveryLockoutSeconds"`
}

// Default is the policy of a new tenant.
func Default() Document {
	return Document{
		UserVerification:             Required,
		AttestationConveyance:        ConveyNone,
		ResidentKey:                  Required,
		Algorithms:                   []int{ES256, EdDSA, RS256},
		RegistrationTimeoutSeconds:   300,
		AuthenticationTimeoutSeconds: 300,
		MaxCredentialsPerUser:        20,
		SignCountRollback:            RollbackDeny,
		SessionLifetimeSeconds:       30 * 24 * 3600,
		RefreshIdleSeconds:           7 * 24 * 3600,
		AccessTokenSeconds:           600,
		SigningAlgorithm:             SignES256,
		SigningKeyLocation:           KeysSealed,
		SigningKeyRotationDays:       90,
		DataKeyRotationDays:          365,
		ConditionalCreate:            true,

		RequiredTrust:             TrustNone,
		AuthenticatorsAllowed:     []string{},
		AuthenticatorsDenied:      []string{},
		MinimumCertification:      "",
		SyncedPasskeys:            LeaveAllow,
		AuthenticatorAttachment:   "",
		Hints:                     []string{},
		BackupEligibilityChange:   LeaveDeny,
		AdditionalCredential:      Vouched,
		StrongSignInMaxAgeSeconds: 300,
		MinimumAAL:                1,
		SyncedAAL:                 2,
		AAL3Certification:         "FIDO_CERTIFIED_L2",
		AuthenticatorStatus:       DispositionFlag,
		ReportedAuthenticators:    LeaveDeny,
		EvidenceRetentionDays:     365,
		CeremonyRetentionDays:     0,
		SessionRetentionDays:      0,
		AuditRetentionDays:        0,
		CrossOrigin:               LeaveDeny,
		TopOrigins:                []string{},
		RecoveryCodes:             true,
		RecoveryApproval:          ApprovalNone,
		RecoveryFailures:          5,
		RecoveryLockoutSeconds:    900,
	}
}

// whenAbsent is what a document says by not naming a field. Stored versions mean for ever
// what they meant, so a value here never changes, also where Default comes to differ.
// ReportedAuthenticators is the one whose absence from a stored version follows from another
// field: see ParseStored.
func whenAbsent() Document {
	return Document{
		UserVerification:             Required,
		AttestationConveyance:        ConveyNone,
		ResidentKey:                  Required,
		Algorithms:                   []int{ES256, EdDSA, RS256},
		RegistrationTimeoutSeconds:   300,
		AuthenticationTimeoutSeconds: 300,
		MaxCredentialsPerUser:        20,
		SignCountRollback:            RollbackDeny,
		SessionLifetimeSeconds:       30 * 24 * 3600,
		RefreshIdleSeconds:           7 * 24 * 3600,
		AccessTokenSeconds:           600,
		SigningAlgorithm:             SignES256,
		SigningKeyLocation:           KeysSealed,
		SigningKeyRotationDays:       90,
		DataKeyRotationDays:          365,
		ConditionalCreate:            true,

		RequiredTrust:             TrustNone,
		AuthenticatorsAllowed:     []string{},
		AuthenticatorsDenied:      []string{},
		MinimumCertification:      "",
		SyncedPasskeys:            LeaveAllow,
		AuthenticatorAttachment:   "",
		Hints:                     []string{},
		BackupEligibilityChange:   LeaveDeny,
		AdditionalCredential:      Vouched,
		StrongSignInMaxAgeSeconds: 300,
		MinimumAAL:                1,
		SyncedAAL:                 2,
		AAL3Certification:         "FIDO_CERTIFIED_L2",
		AuthenticatorStatus:       DispositionFlag,
		ReportedAuthenticators:    LeaveDeny,
		EvidenceRetentionDays:     365,
		CeremonyRetentionDays:     0,
		SessionRetentionDays:      0,
		AuditRetentionDays:        0,
		CrossOrigin:               LeaveDeny,
		TopOrigins:                []string{},
		RecoveryCodes:             true,
		RecoveryApproval:          ApprovalNone,
		RecoveryFailures:          5,
		RecoveryLockoutSeconds:    900,
	}
}

// RegistrationTimeout is RegistrationTimeoutSeconds as a duration.
func (d *Document) RegistrationTimeout() time.Duration {
	return time.Duration(d.RegistrationTimeoutSeconds) * time.Second
}

// AuthenticationTimeout is AuthenticationTimeoutSeconds as a duration.
func (d *Document) AuthenticationTimeout() time.Duration {
	return time.Duration(d.AuthenticationTimeoutSeconds) * time.Second
}

// MaxSessionLifetime is the longest that a policy lets a session live.
const MaxSessionLifetime = 90 * 24 * time.Hour

// SessionLifetime is SessionLifetimeSeconds as a duration.
func (d *Document) SessionLifetime() time.Duration {
	return time.Duration(d.SessionLifetimeSeconds) * time.Second
}

// RefreshIdle is RefreshIdleSeconds as a duration.
func (d *Document) RefreshIdle() time.Duration {
	return time.Duration(d.RefreshIdleSeconds) * time.Second
}

// AccessTokenLife is AccessTokenSeconds as a duration.
func (d *Document) AccessTokenLife() time.Duration {
	return time.Duration(d.AccessTokenSeconds) * time.Second
}

// SigningKeyRotation is SigningKeyRotationDays as a duration.
func (d *Document) SigningKeyRotation() time.Duration {
	return time.Duration(d.SigningKeyRotationDays) * 24 * time.Hour
}

// StrongSignInMaxAge is StrongSignInMaxAgeSeconds as a duration.
func (d *Document) StrongSignInMaxAge() time.Duration {
	return time.Duration(d.StrongSignInMaxAgeSeconds) * time.Second
}

// EvidenceRetention is EvidenceRetentionDays as a duration.
func (d *Document) EvidenceRetention() time.Duration {
	return time.Duration(d.EvidenceRetentionDays) * 24 * time.Hour
}

// CeremonyRetention is CeremonyRetentionDays as a duration.
func (d *Document) CeremonyRetention() time.Duration {
	return time.Duration(d.CeremonyRetentionDays) * 24 * time.Hour
}

// SessionRetention is SessionRetentionDays as a duration.
func (d *Document) SessionRetention() time.Duration {
	return time.Duration(d.SessionRetentionDays) * 24 * time.Hour
}

// AuditRetention is AuditRetentionDays as a duration.
func (d *Document) AuditRetention() time.Duration {
	return time.Duration(d.AuditRetentionDays) * 24 * time.Hour
}

// RecoveryLockout is RecoveryLockoutSeconds as a duration.
func (d *Document) RecoveryLockout() time.Duration {
	return time.Duration(d.RecoveryLockoutSeconds) * time.Second
}

// DataKeyRotation is DataKeyRotationDays as a duration.
func (d *Document) DataKeyRotation() time.Duration {
	return time.Duration(d.DataKeyRotationDays) * 24 * time.Hour
}

//go:embed policy.schema.json
var schema []byte

// SchemaPath is where a server has the schema: its $id.
const SchemaPath = "/schemas/policy/v1.json"

// Schema is the JSON Schema (2020-12) of a document, for editors and the API's
// reference. Validate is what decides; it also holds what fields ask of each other.
func Schema() []byte { return bytes.Clone(schema) }

// MaxBytes bounds a document's text.
const MaxBytes = 24 << 10

// Parse reads a document that is to be in force from now on, and validates it. Absent
// fields have their defaults, which are those of Default. Unknown fields, fields given
// twice and whatever follows the document are ErrInvalid. A $schema, by which editors find
// the schema, is passed over.
func Parse(text []byte) (Document, error) {
	d, _, err := parse(text)
	return d, err
}

// ParseStored reads a document as JSON or a release before wrote it, and validates it as
// Parse does. Absent fields have the values that they had when there was no such field:
// documents from before stay readable, and mean the same.
func ParseStored(text []byte) (Document, error) {
	d, text, err := parse(text)
	if err != nil {
		return Document{}, err
	}
	var said struct {
		ReportedAuthenticators *Leave `json:"reportedAuthenticators"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return Document{}, malformed(err)
	}
	if said.ReportedAuthenticators == nil {
		d.ReportedAuthenticators = reportedBefore(d.AuthenticatorStatus)
	}
	return d, nil
}

// reportedBefore is what became of new credentials of a reported model, proven or claimed,
// before ReportedAuthenticators said so: that followed from what became of those that exist.
func reportedBefore(status Disposition) Leave {
	if status == DispositionFlag {
		return LeaveFlag
	}
	return LeaveDeny
}

// parse also returns the document without its $schema.
func parse(text []byte) (Document, []byte, error) {
	d := whenAbsent()
	if len(text) > MaxBytes {
		return Document{}, nil, ErrInvalid.WithMessage("a policy has at most 24 KiB")
	}
	if err := strictjson.Check(text); err != nil {
		return Document{}, nil, ErrInvalid.WithMessage(err.Error())
	}
	text, err := withoutSchema(text)
	if err != nil {
		return Document{}, nil, ErrInvalid.WithMessage(err.Error())
	}
	d.Algorithms = nil // a list in the text replaces the default, element by element it would mix with it
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return Document{}, nil, malformed(err)
	}
	if d.Algorithms == nil {
		d.Algorithms = whenAbsent().Algorithms
	}
	return d, text, d.Validate()
}

func malformed(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return ErrInvalid.WithMessage("wrong type of value").With("field", wrong.Field)
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return ErrInvalid.WithMessage("unknown field").With("field", strings.Trim(field, `"`))
	}
	return ErrInvalid.WithMessage("not JSON")
}

// schemaMember is what editors look for in a document (JSON Schema Core §8.1.1 has it for
// schemas; for what they describe it is a custom).
const schemaMember = "$schema"

// withoutSchema returns a strict object without its $schema, and refuses what is no field.
func withoutSchema(text []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	out := []byte{'{'}
	for dec.More() {
		key, err := dec.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return nil, errors.New("not JSON")
		}
		if name != schemaMember && !slices.Contains(Fields(), name) {
			return nil, fmt.Errorf("unknown field %q%s", cut(name), fault.Hint(name, Fields()))
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errors.New("not JSON")
		}
		switch {
		case name == schemaMember && value[0] != '"':
			return nil, fmt.Errorf("%s is the address of a schema", name)
		case name == schemaMember:
			continue
		case len(out) > 1:
			out = append(out, ',')
		}
		out = append(append(append(append(out, '"'), name...), `":`...), value...)
	}
	return append(out, '}'), nil
}

func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), 64)], "") }

// Fields lists the names of a document's fields, in order.
func Fields() []string {
	return []string{
		"userVerification", "attestationConveyance", "residentKey", "algorithms",
		"registrationTimeoutSeconds", "authenticationTimeoutSeconds", "maxCredentialsPerUser",
		"signCountRollback", "sessionLifetimeSeconds", "refreshIdleSeconds", "accessTokenSeconds",
		"signingAlgorithm", "signingKeyLocation", "signingKeyRotationDays", "dataKeyRotationDays",
		"conditionalCreate",
		"requiredTrust", "authenticatorsAllowed", "authenticatorsDenied", "minimumCertification", "syncedPasskeys",
		"authenticatorAttachment", "hints", "backupEligibilityChange", "additionalCredential", "strongSignInMaxAgeSeconds",
		"minimumAal", "syncedAal", "aal3Certification", "authenticatorStatus", "reportedAuthenticators", "evidenceRetentionDays",
		"ceremonyRetentionDays", "sessionRetentionDays", "auditRetentionDays",
		"topOrigins", "crossOrigin", "recoveryCodes", "recoveryApproval", "recoveryFailures", "recoveryLockoutSeconds",
	}
}
