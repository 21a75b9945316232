package user

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// ID names a user within its tenant. It is opaque to clients, and it is not the
// user handle: an id may be logged and linked, the handle goes to authenticators.
type ID uuid.UUID

// ParseID reads an id as clients send it. What is no id is ErrNotFound: nobody has
// it, and a caller need not learn more than that.
func ParseID(s string) (ID, error) {
	if len(s) != 36 { // uuid.Parse takes other spellings too; a resource has one name
		return ID{}, ErrNotFound
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return ID{}, ErrNotFound
	}
	return ID(id), nil
}

// String is the form on the wire.
func (id ID) String() string { return uuid.UUID(id).String() }

// UUID is the form in a row.
func (id ID) UUID() uuid.UUID { return uuid.UUID(id) }

// State says whether a user may sign in.
type State string

// The states, spelled as in the API and in the table.
const (
	Active  State = "ACTIVE"
	Blocked State = "BLOCKED" // sign-ins are refused
)

// PasskeyKind is what a credential is kept in, as far as the authenticator tells.
type PasskeyKind string

// The kinds, spelled as in the API.
const (
	Synced   PasskeyKind = "SYNCED"   // in an account, on several devices
	Platform PasskeyKind = "PLATFORM" // in the device that is used
	PhoneKey PasskeyKind = "PHONE"    // in another device that is near
	Key      PasskeyKind = "KEY"      // in a security key
)

// User is an account that an end user of the tenant signs in to.
type User struct {
	ID     ID
	Handle []byte // WebAuthn's user handle: 64 random bytes that say nothing of the person

	ExternalID  string // the tenant's own id; unique in the tenant
	Name        string
	DisplayName string // may be empty

	// Passkeys are what the credentials that can sign in are kept in, the oldest first. Only
	// List fills them.
	Passkeys []PasskeyKind

	Contact Contact // empty in what ceremonies, Find and FromRow return

	State        State
	CreatedAt    time.Time
	UpdatedAt    time.Time  // names, contacts and state; a sign-in does not count
	LastSignInAt *time.Time // by any credential that still exists; nil for never
	ETag         string
}

// Profile is what identifies a person: the three values that are stored only sealed.
// See Clean for what they may be.
type Profile struct {
	ExternalID  string `json:"externalId"`
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitempty"`
}

// What is sealed, and what is indexed. Renaming either loses what is stored.
var (
	profileField = keys.Field{Table: "users", Column: "profile"}
	externalID   = keys.Field{Table: "users", Column: "external_id"}
)

func (p Profile) seal(ring *keys.Ring, id ID) ([]byte, error) {
	plaintext, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode profile: %w", err)
	}
	sealed, err := ring.Seal(profileField, id[:], plaintext)
	if err != nil {
		return nil, fmt.Errorf("seal profile: %w", err)
	}
	return sealed, nil
}

// OpenProfile opens the sealed profile in the row of user id; a *DamagedError when it
// does not open.
func OpenProfile(ring *keys.Ring, id ID, sealed []byte) (Profile, error) {
	plaintext, err := ring.Open(profileField, id[:], sealed)
	if err != nil {
		return Profile{}, &DamagedError{User: id}
	}
	var p Profile
	if err := json.Unmarshal(plaintext, &p); err != nil {
		return Profile{}, fmt.Errorf("parse profile of user %s: %w", id, err)
	}
	return p, nil
}

// FromRow is the user in a row, with the profile opened by the tenant's ring. Rows
// of other queries convert: tenantq.GetUserRow(row).
func FromRow(ring *keys.Ring, row tenantq.GetUserRow) (User, error) {
	p, err := OpenProfile(ring, ID(row.ID), row.ProfileSealed)
	if err != nil {
		return User{}, err
	}
	return newUser(row, p), nil
}

// newUser joins a row with its opened profile.
func newUser(row tenantq.GetUserRow, p Profile) User {
	return User{
		ID: ID(row.ID), Handle: row.Handle,
		ExternalID: p.ExternalID, Name: p.Name, DisplayName: p.DisplayName,
		State: State(row.State), CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
		LastSignInAt: row.LastSignInAt,
		ETag:         etag.Of("user", row.ID[:], row.Version),
	}
}
