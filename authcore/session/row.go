package session

import (
	"net/netip"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db/tenantq"
)

// ID names a session within its tenant. Opaque to clients.
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

// Session is what a sign-in opened. It holds no token: tokens are made from it.
type Session struct {
	ID           ID
	UserID       user.ID
	CredentialID credential.ID
	AAL          uint8      // authentication assurance level, 1 to 3 (NIST SP 800-63B-4)
	UserVerified bool       // at the sign-in
	Address      netip.Addr // where the sign-in came from; invalid when not known
	UserAgent    string

	CreatedAt    time.Time
	LastUsedAt   time.Time // the last refresh, or the sign-in
	ExpiresAt    time.Time // not to be refreshed past this
	RevokedAt    *time.Time
	RevokeReason string // one of ours, not the caller's words: those are in the audit log

	Generation uint32 // of the refresh token that is current
}

// FromRow is the session in a row.
func FromRow(row tenantq.Session) Session {
	s := Session{
		ID: ID(row.ID), UserID: user.ID(row.UserID), CredentialID: credential.ID(row.CredentialID),
		AAL:          uint8(row.Aal), //nolint:gosec // 1 to 3: checked by the table
		UserVerified: row.UserVerified, UserAgent: row.UserAgent,
		CreatedAt: row.CreatedAt, LastUsedAt: row.LastUsedAt, ExpiresAt: row.ExpiresAt,
		RevokedAt:  row.RevokedAt,
		Generation: uint32(row.RefreshGeneration), //nolint:gosec // counts from 0
	}
	if row.Address != nil {
		s.Address = *row.Address
	}
	if row.RevokeReason != nil {
		s.RevokeReason = *row.RevokeReason
	}
	return s
}
