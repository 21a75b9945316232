// Package credential keeps the public key credentials (people call them passkeys)
// of a tenant's users: what a ceremony has registered and what may still sign in.
//
// A credential lives ACTIVE ⇄ SUSPENDED → REVOKED. Revocation is for good, and the
// row stays, because audit entries point at it; only the erasure of its user
// deletes it. Whoever counts or changes a user's credentials holds the user's row.
package credential

import "github.com/biocore-id/biocore/tenancy/fault"

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound = fault.New(fault.NotFound, "CREDENTIAL_UNKNOWN", "no such credential")
	ErrLast     = fault.New(fault.Precondition, "LAST_CREDENTIAL", "this is the user's last credential")
	ErrRevoked  = fault.New(fault.Precondition, "CREDENTIAL_REVOKED", "this credential is revoked")
	ErrNickname = fault.New(fault.Invalid, "NICKNAME_INVALID", "a nickname is text of at most 64 characters")
)
