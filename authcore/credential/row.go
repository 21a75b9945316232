package credential

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/etag"
)

// ID is WebAuthn's credential ID: the authenticator's bytes, 1 to 1023 of them
// (WebAuthn L3 #credential-id). A string so that it can be compared and be a key;
// it is not text.
type ID string

// ParseID reads an id as clients send it, in base64url without padding. What is no
// id is ErrNotFound: nobody has it.
func ParseID(s string) (ID, error) {
	if s == "" || len(s) > base64.RawURLEncoding.EncodedLen(maxIDBytes) {
		return "", ErrNotFound
	}
	for i := range len(s) { // the decoder would skip over line breaks
		if s[i] == '\r' || s[i] == '\n' {
			return "", ErrNotFound
		}
	}
	// Strict: the last character's spare bits are zero, so that an id has one spelling.
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return "", ErrNotFound
	}
	return ID(raw), nil
}

const maxIDBytes = 1023 // WebAuthn L3 #credential-id

// String is the form on the wire: base64url without padding.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }

// Bytes is the form in a row and on an authenticator.
func (id ID) Bytes() []byte { return []byte(id) }

// State says whether a credential signs its user in.
type State string

// The states, spelled as in the API and in the table.
const (
	Active    State = "ACTIVE"
	Suspended State = "SUSPENDED" // not until it is resumed
	Revoked   State = "REVOKED"   // never again
)

// Via says who vouched for the person when a credential was registered.
type Via string

// The ways to register.
const (
	ViaServerKey         Via = "SERVER_KEY"         // the tenant's server
	ViaRegistrationToken Via = "REGISTRATION_TOKEN" // #nosec G101 -- a browser that held a registration token
	ViaRecoveryCode      Via = "RECOVERY_CODE"      // #nosec G101 -- the user, by a one-time code
	ViaEnrollmentLink    Via = "ENROLLMENT_LINK"    // an administrator, by a link
	ViaSession           Via = "SESSION"            // the user, signed in
	ViaImport            Via = "IMPORT"             // the system that it came from
)

// Trust is how far a credential's attestation proves its authenticator's model: the
// verdict at registration.
type Trust string

// The verdicts, spelled as in the API and in the table.
const (
	TrustNone       Trust = "NONE"        // there was no attestation
	TrustSelf       Trust = "SELF"        // signed with the credential's own key: no model is proven
	TrustUntrusted  Trust = "UNTRUSTED"   // a chain that leads to no root that is trusted
	TrustTenantRoot Trust = "TENANT_ROOT" // a chain to a root that the tenant trusts
	TrustMDS        Trust = "MDS"         // a chain to a root of the FIDO Metadata Service
)

// Credential is a public key credential of a user: a passkey.
type Credential struct {
	ID       ID
	UserID   user.ID
	Nickname string // what the user calls it; may be empty

	AAGUID     uuid.UUID // of the authenticator's model; zero where it tells nothing: see package authenticator
	Transports []string  // WebAuthn's spelling: usb, nfc, ble, internal, hybrid, smart-card
	Attachment string    // platform, cross-platform or empty, as the client said

	Algorithm      int32 // COSE algorithm identifier
	SignCount      uint32
	Discoverable   *bool // credProps.rk; nil when the client did not say
	BackupEligible bool
	BackedUp       bool // at the last use

	AttestationFormat string
	AttestationType   string
	RegisteredVia     Via

	Trust         Trust
	Certification string                    // FIDO certification level of the model at registration; empty where none is proven
	RegisteredAAL uint8                     // of the session that vouched for its registration, 1 to 3; 0: a server did
	Lowered       bool                      // registered by recovery, and nobody has vouched since: see Vouch
	VouchedAt     *time.Time                // when somebody did
	VouchedBy     string                    // kind:id of who did; empty
	Disposition   string                    // FLAG or STEP_UP by a report on the model; empty
	Extensions    webauthn.ExtensionOutputs // what was said of them at registration
	EvidenceID    *uuid.UUID                // of its registration; nil where none was kept

	State      State
	CreatedAt  time.Time
	UpdatedAt  time.Time // nickname and state; a sign-in does not count
	LastUsedAt *time.Time
	RevokedAt  *time.Time
	ETag       string
}

// FromRow is the credential in a row. The public key stays behind: only a ceremony
// needs it, and it reads the row.
func FromRow(row tenantq.Credential) Credential {
	return Credential{
		ID: ID(row.ID), UserID: user.ID(row.UserID), Nickname: row.Nickname,
		AAGUID: row.Aaguid, Transports: row.Transports, Attachment: row.Attachment,
		Algorithm: row.Algorithm, SignCount: uint32(row.SignCount), //nolint:gosec // checked by the table: 32 bits
		Discoverable: row.Discoverable, BackupEligible: row.BackupEligible, BackedUp: row.BackedUp,
		AttestationFormat: row.AttestationFormat, AttestationType: row.AttestationType,
		RegisteredVia: Via(row.RegisteredVia), Trust: Trust(row.Trust), Certification: row.Certification,
		RegisteredAAL: uint8(row.RegisteredAal), Lowered: row.Lowered, VouchedAt: row.VouchedAt, VouchedBy: row.VouchedBy, //nolint:gosec // checked by the table: 0 to 3
		Disposition: row.Disposition, Extensions: extensions(row.Extensions), EvidenceID: row.EvidenceID,
		State: State(row.State), CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
		LastUsedAt: row.LastUsedAt, RevokedAt: row.RevokedAt,
		ETag: etag.Of("credential", row.ID, row.Version),
	}
}

// extensions reads what a row says of extensions; what it cannot read was not said.
func extensions(text string) (out webauthn.ExtensionOutputs) {
	if text == "{}" { // nearly every row
		return out
	}
	if json.Unmarshal([]byte(text), &out) != nil {
		return webauthn.ExtensionOutputs{}
	}
	return out
}
