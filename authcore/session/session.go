// Package session keeps what a sign-in opened, until it expires or is revoked.
//
// An access token is checked by anybody with the tenant's public keys; only Verify
// knows in addition that its session still stands. Refresh tokens are not stored:
// one names its session and generation under a MAC, and the row says which
// generation is current. An older one that comes back was copied, so the session
// ends for both of its holders (RFC 9700 §4.14.2).
package session

import "github.com/biocore-id/biocore/tenancy/fault"

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound     = fault.New(fault.NotFound, "SESSION_UNKNOWN", "no such session")
	ErrRefreshToken = fault.New(fault.Invalid, "REFRESH_TOKEN_INVALID", "this is no refresh token of this tenant")
	ErrRevoked      = fault.New(fault.Precondition, "SESSION_REVOKED", "this session was revoked: sign in again")
	ErrExpired      = fault.New(fault.Precondition, "SESSION_EXPIRED", "this session has expired: sign in again")
)
