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
	"io"
	"slices"
	"strings"
	"time"

	"github.com/biocore-id/biocore/tenancy/fault"
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
	}
}

// whenAbsent is what a document says by not naming a field. Stored versions mean for ever
// what they meant, so a value here never changes, also where Default comes to differ.
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

// DataKeyRotation is DataKeyRotationDays as a duration.
func (d *Document) DataKeyRotation() time.Duration {
	return time.Duration(d.DataKeyRotationDays) * 24 * time.Hour
}

//go:embed policy.schema.json
var schema []byte

// Schema is the JSON Schema (2020-12) of a document, for editors and the API's
// reference. Validate is what decides; it also holds what fields ask of each other.
func Schema() []byte { return bytes.Clone(schema) }

// MaxBytes bounds a document's text.
const MaxBytes = 16 << 10

// Parse reads a document and validates it. Absent fields have the values that they had
// when there was no such field: documents from before stay readable, and mean the same. Unknown fields, fields given
// twice and whatever follows the document are ErrInvalid.
func Parse(text []byte) (Document, error) {
	d := whenAbsent()
	if len(text) > MaxBytes {
		return Document{}, ErrInvalid.WithMessage("a policy has at most 16 KiB")
	}
	if err := unique(text); err != nil {
		return Document{}, ErrInvalid.WithMessage(err.Error())
	}
	d.Algorithms = nil // a list in the text replaces the default, element by element it would mix with it
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return Document{}, malformed(err)
	}
	if d.Algorithms == nil {
		d.Algorithms = whenAbsent().Algorithms
	}
	return d, d.Validate()
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

// unique refuses an object that names a field twice, which encoding/json would take
// the last of and another reader the first; field names that differ only in case,
// which encoding/json takes as one; null, which it passes over; and trailing text.
func unique(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		key, err := dec.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return errors.New("not JSON")
		}
		if seen[strings.ToLower(name)] {
			return errors.New("a field is given twice")
		}
		seen[strings.ToLower(name)] = true
		if !slices.Contains(Fields(), name) {
			return fmt.Errorf("unknown field %q", cut(name))
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return errors.New("not JSON")
		}
		if string(value) == "null" {
			return fmt.Errorf("%s is null", name)
		}
	}
	if _, err := dec.Token(); err != nil {
		return errors.New("not JSON")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text follows the document")
	}
	return nil
}

func cut(s string) string { return s[:min(len(s), 64)] }

// Fields lists the names of a document's fields, in order.
func Fields() []string {
	return []string{
		"userVerification", "attestationConveyance", "residentKey", "algorithms",
		"registrationTimeoutSeconds", "authenticationTimeoutSeconds", "maxCredentialsPerUser",
		"signCountRollback", "sessionLifetimeSeconds", "refreshIdleSeconds", "accessTokenSeconds",
		"signingAlgorithm", "signingKeyLocation", "signingKeyRotationDays", "dataKeyRotationDays",
		"conditionalCreate",
	}
}

// Validate reports what is wrong with d as ErrInvalid, or nil.
func (d *Document) Validate() error {
	one := func(field string, value string, allowed ...string) error {
		if slices.Contains(allowed, value) {
			return nil
		}
		return ErrInvalid.WithMessage(field+" is one of "+strings.Join(allowed, ", ")).With("field", field)
	}
	within := func(field string, value, low, high int) error {
		if low <= value && value <= high {
			return nil
		}
		return ErrInvalid.WithMessage(fmt.Sprintf("%s is between %d and %d", field, low, high)).With("field", field)
	}
	const minute, day = 60, 24 * 3600
	for _, err := range []error{
		one("userVerification", string(d.UserVerification), string(Required), string(Preferred), string(Discouraged)),
		one("attestationConveyance", string(d.AttestationConveyance),
			string(ConveyNone), string(ConveyIndirect), string(ConveyDirect), string(ConveyEnterprise)),
		one("residentKey", string(d.ResidentKey), string(Required), string(Preferred), string(Discouraged)),
		d.validateAlgorithms(),
		within("registrationTimeoutSeconds", d.RegistrationTimeoutSeconds, 30, 3600),
		within("authenticationTimeoutSeconds", d.AuthenticationTimeoutSeconds, 30, 3600),
		within("maxCredentialsPerUser", d.MaxCredentialsPerUser, 1, 100),
		one("signCountRollback", string(d.SignCountRollback), string(RollbackDeny), string(RollbackStepUp), string(RollbackFlag)),
		within("sessionLifetimeSeconds", d.SessionLifetimeSeconds, 5*minute, 90*day),
		within("refreshIdleSeconds", d.RefreshIdleSeconds, 5*minute, max(d.SessionLifetimeSeconds, 5*minute)),
		within("accessTokenSeconds", d.AccessTokenSeconds, minute, max(min(3600, d.RefreshIdleSeconds), minute)),
		one("signingAlgorithm", string(d.SigningAlgorithm), string(SignES256), string(SignEdDSA), string(SignRS256)),
		one("signingKeyLocation", string(d.SigningKeyLocation), string(KeysSealed), string(KeysInKMS)),
		within("signingKeyRotationDays", d.SigningKeyRotationDays, 0, 730),
		within("dataKeyRotationDays", d.DataKeyRotationDays, 0, 3650),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Document) validateAlgorithms() error {
	refuse := func(why string) error { return ErrInvalid.WithMessage(why).With("field", "algorithms") }
	known := []int{ES256, EdDSA, ES384, ES512, PS256, RS256}
	if len(d.Algorithms) == 0 {
		return refuse("algorithms names at least one")
	}
	for i, a := range d.Algorithms {
		if !slices.Contains(known, a) {
			return refuse(fmt.Sprintf("algorithm %d is not supported", a))
		}
		if slices.Contains(d.Algorithms[:i], a) {
			return refuse(fmt.Sprintf("algorithm %d stands twice", a))
		}
	}
	return nil
}

// JSON is d as it is stored. It names every field that the release before knows. Those
// that are new, which its servers would refuse, stand there only where they say
// something else than their absence: while a release is rolled out, both go by the
// policies of new tenants. The next release names them all, and its own new ones here.
func (d *Document) JSON() ([]byte, error) {
	type known Document
	absent := whenAbsent()
	return json.Marshal(struct { // of two fields with one name encoding/json takes the outer, also when it is left out
		known

		SigningAlgorithm       *SigningAlgorithm `json:"signingAlgorithm,omitempty"`
		SigningKeyLocation     *KeyLocation      `json:"signingKeyLocation,omitempty"`
		SigningKeyRotationDays *int              `json:"signingKeyRotationDays,omitempty"`
		DataKeyRotationDays    *int              `json:"dataKeyRotationDays,omitempty"`
	}{
		known:                  known(*d),
		SigningAlgorithm:       unless(d.SigningAlgorithm, absent.SigningAlgorithm),
		SigningKeyLocation:     unless(d.SigningKeyLocation, absent.SigningKeyLocation),
		SigningKeyRotationDays: unless(d.SigningKeyRotationDays, absent.SigningKeyRotationDays),
		DataKeyRotationDays:    unless(d.DataKeyRotationDays, absent.DataKeyRotationDays),
	})
}

// unless is a pointer to value, or nil when absence says the same.
func unless[T comparable](value, absent T) *T {
	if value == absent {
		return nil
	}
	return &value
}
