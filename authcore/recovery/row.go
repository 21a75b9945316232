package recovery

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
)

// ID names a recovery within its tenant. Opaque to clients, and no secret.
type ID uuid.UUID

// ParseID reads an id as clients send it. What is no id is ErrNotFound: nobody has it.
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

// Kind says how a recovery came about.
type Kind string

// The kinds, spelled as in the API and in the table.
const (
	ByCode Kind = "CODE" // the user had a code
	ByLink Kind = "LINK" // an administrator made a link
)

// State says whether somebody may enroll by a recovery.
type State string

// The states, spelled as in the API and in the table, which does not know Expired.
const (
	Pending   State = "PENDING" // a second person has to approve
	Open      State = "OPEN"    // its token works
	Refused   State = "REFUSED"
	Revoked   State = "REVOKED"
	Completed State = "COMPLETED" // a passkey came of it
	Expired   State = "EXPIRED"   // nothing came of it in time
)

// States are all that there are.
func States() []State { return []State{Pending, Open, Refused, Revoked, Completed, Expired} }

// Recovery lets a user enroll one passkey.
type Recovery struct {
	ID          ID
	UserID      user.ID
	Kind        Kind
	State       State
	Reason      string // an administrator's words; empty for a code
	RequestedBy string // kind:id of who asked for it
	CreatedAt   time.Time
	ExpiresAt   time.Time
	DecidedBy   string     // kind:id of who approved, refused or revoked it; empty
	DecidedAt   *time.Time // when
	CompletedAt *time.Time

	CredentialID credential.ID // the passkey that came of it; empty
}

func fromRow(row tenantq.Recovery, now time.Time) Recovery {
	r := Recovery{
		ID: ID(row.ID), UserID: user.ID(row.UserID), Kind: Kind(row.Kind), State: State(row.State),
		Reason: row.Reason, RequestedBy: row.RequestedBy, CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt,
		DecidedBy: row.DecidedBy, DecidedAt: row.DecidedAt, CompletedAt: row.CompletedAt, CredentialID: credential.ID(row.CredentialID),
	}
	if r.in([]State{Pending, Open}) && !now.Before(r.ExpiresAt) {
		r.State = Expired
	}
	return r
}

func (r *Recovery) in(states []State) bool { return slices.Contains(states, r.State) }

func (r *Recovery) target() audit.Target { return audit.Target{Kind: "recovery", ID: r.ID.String()} }

func (r *Recovery) event(typ event.Type) event.Event {
	return event.Event{Type: typ, UserID: r.UserID.UUID(), Data: []attr.Attr{
		attr.UUID("recoveryId", r.ID.UUID()), attr.Text("kind", string(r.Kind)), attr.Text("state", string(r.State)),
	}}
}
