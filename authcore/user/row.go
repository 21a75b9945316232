package user

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/etag"
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

// User is an account that an end user of the tenant signs in to.
type User struct {
	ID     ID
	Handle []byte // WebAuthn's user handle: 64 random bytes that say nothing of the person

	ExternalID  string // the tenant's own id; unique in the tenant
	Name        string
	DisplayName string // may be empty

	State        State
	CreatedAt    time.Time
	UpdatedAt    time.Time  // names and state; a sign-in does not count
	LastSignInAt *time.Time // by any credential that still exists; nil for never
	ETag         string
}

// Profile is what identifies a person: the three values that are stored only sealed.
type Profile struct {
	ExternalID  string `json:"externalId"`
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitempty"`
}

func parseProfile(plaintext []byte) (Profile, error) {
	var p Profile
	if err := json.Unmarshal(plaintext, &p); err != nil {
		return Profile{}, fmt.Errorf("parse profile: %w", err)
	}
	return p, nil
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
