// Package user keeps the relying party's end users: the accounts that credentials
// belong to and sessions are opened for.
//
// What identifies a person (external id, name, display name) is one sealed blob in
// the row; the external id is found again by its blind index. Names are kept as
// RFC 8265 and RFC 8266 prepare text for comparison and display, so that two names
// that look alike to a person are alike to the machine.
//
// The user's row is the lock of everything that belongs to the user: whoever counts
// or changes a user's credentials takes it first.
package user

import "github.com/biocore-id/biocore/tenancy/fault"

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound   = fault.New(fault.NotFound, "USER_UNKNOWN", "no such user")
	ErrExists     = fault.New(fault.Conflict, "USER_EXISTS", "a user with this externalId exists")
	ErrBlocked    = fault.New(fault.Forbidden, "USER_BLOCKED", "this user is blocked")
	ErrExternalID = fault.New(fault.Invalid, "EXTERNAL_ID_INVALID",
		"an externalId is 1 to 256 characters in Unicode's normal form C, without control or invisible characters")
	ErrName = fault.New(fault.Invalid, "USER_NAME_INVALID",
		"a name is 1 to 256 characters (a display name may be empty) without control or invisible characters")
)
