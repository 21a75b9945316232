package member

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// ErrSignedOut says that a cookie stands for nobody, or for nobody any more.
var ErrSignedOut = fault.New(fault.Unauthenticated, "SIGNED_OUT", "nobody is signed in: sign in with a passkey")

// Timings of the console's sessions, which end besides when their session of the reserved
// tenant ends: at the latest by its policy, by a revocation, with the passkey or the person.
const (
	// idleLife is how long a browser may be silent, and fullLife how long it may go on at
	// all: within what NIST SP 800-63B-4 has for AAL2, an hour and a day.
	idleLife = time.Hour
	fullLife = 12 * time.Hour
	// FreshFor is how long ago a passkey may have been used for a sensitive act.
	FreshFor = 5 * time.Minute
	// touchEvery bounds how often a session's row is written for being used.
	touchEvery = time.Minute
)

// Session is a browser that somebody has signed in with.
type Session struct {
	ID         uuid.UUID // of the session in the reserved tenant
	PersonID   uuid.UUID
	ProvedAt   time.Time // when a passkey was used last
	LastSeenAt time.Time
	ExpiresAt  time.Time
}

// Fresh reports whether a passkey was used recently enough for a sensitive act.
func (s *Session) Fresh(now time.Time) bool { return now.Sub(s.ProvedAt) < FreshFor }

// Opened is a session with what the browser keeps of it.
type Opened struct {
	secret.Hidden

	Cookie string // 256 random bits, base64url
}

// platform is the reserved tenant, as person acts in it.
func platform(person uuid.UUID, origin scope.Origin) scope.Scope {
	return scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorOperator, ID: person.String()}).WithOrigin(origin)
}

// Open gives a browser a cookie for a session of the reserved tenant, which a sign-in with
// a passkey has just made. The sign-in is recorded by its ceremony.
func (s *Service) Open(ctx context.Context, person, session uuid.UUID, origin scope.Origin) (Opened, error) {
	var raw [32]byte
	if _, err := io.ReadFull(s.rand, raw[:]); err != nil {
		return Opened{}, fmt.Errorf("make a cookie: %w", err)
	}
	hash := sha256.Sum256(raw[:])
	err := s.store.InTenant(ctx, platform(person, origin), func(tx *db.TenantTx) error {
		err := tx.InsertConsoleSession(ctx, tenantq.InsertConsoleSessionParams{ID: session, CookieHash: hash[:], PersonID: person, Now: tx.Now()})
		if err != nil {
			return fmt.Errorf("insert console session: %w", err)
		}
		return nil
	})
	if err != nil {
		return Opened{}, err
	}
	return Opened{Cookie: base64.RawURLEncoding.EncodeToString(raw[:])}, nil
}

// Find returns the session of a cookie. ErrSignedOut for what is none, has ended, is twelve
// hours old, was silent for an hour, or belongs to somebody who is blocked.
func (s *Service) Find(ctx context.Context, cookie string) (Session, error) {
	found, touch, err := s.look(ctx, cookie)
	if err != nil || !touch {
		return found, err
	}
	return found, s.store.InTenantApart(ctx, ownScope(), func(tx *db.TenantTx) error {
		if err := tx.TouchConsoleSession(ctx, tenantq.TouchConsoleSessionParams{ID: found.ID, Now: tx.Now()}); err != nil {
			return fmt.Errorf("touch console session: %w", err)
		}
		return nil
	})
}

// Peek is Find by nobody who is there: what a page that was left open asks keeps no session
// alive.
func (s *Service) Peek(ctx context.Context, cookie string) (Session, error) {
	found, _, err := s.look(ctx, cookie)
	return found, err
}

// ownScope is the reserved tenant, in which sessions are.
func ownScope() scope.Scope {
	return scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "console"})
}

// look returns a session, and whether it is time to write that it was seen.
func (s *Service) look(ctx context.Context, cookie string) (found Session, touch bool, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cookie)
	if err != nil || len(raw) != 32 || len(cookie) != base64.RawURLEncoding.EncodedLen(32) { // the decoder skips over line breaks
		return Session{}, false, ErrSignedOut
	}
	hash := sha256.Sum256(raw)
	err = s.store.ReadTenant(ctx, ownScope(), func(tx *db.TenantTx) error {
		now := tx.Now()
		row, err := tx.GetConsoleSession(ctx, tenantq.GetConsoleSessionParams{CookieHash: hash[:], Now: now, SignedInSince: now.Add(-fullLife), IdleSince: now.Add(-idleLife)})
		if db.IsNoRows(err) {
			return ErrSignedOut
		} else if err != nil {
			return fmt.Errorf("get console session: %w", err)
		}
		found = Session{ID: row.ID, PersonID: row.PersonID, ProvedAt: row.ProvedAt, LastSeenAt: row.LastSeenAt, ExpiresAt: row.ExpiresAt}
		if end := row.CreatedAt.Add(fullLife); end.Before(found.ExpiresAt) {
			found.ExpiresAt = end
		}
		touch = now.Sub(row.LastSeenAt) > touchEvery
		return nil
	})
	return found, touch, err
}
