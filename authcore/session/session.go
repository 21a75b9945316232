// Package session keeps what a sign-in opened, until it expires or is revoked.
//
// An access token is checked by anybody with the tenant's public keys; only Verify
// knows in addition that its session still stands. Refresh tokens are not stored:
// one names its session and generation under a MAC, and the row says which
// generation is current. An older one that comes back was copied, so the session
// ends for both of its holders (RFC 9700 §4.14.2).
package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/token"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound     = fault.New(fault.NotFound, "SESSION_UNKNOWN", "no such session")
	ErrRefreshToken = fault.New(fault.Invalid, "REFRESH_TOKEN_INVALID", "this is no refresh token of this tenant")
	ErrRevoked      = fault.New(fault.Precondition, "SESSION_REVOKED", "this session was revoked: sign in again")
	ErrBatch        = fault.New(fault.Invalid, "BATCH_SIZE_INVALID", "a batch holds 1 to 200 ids")
	ErrExpired      = fault.New(fault.Precondition, "SESSION_EXPIRED", "this session has expired: sign in again")
)

// Options configures a Service.
type Options struct {
	Store   *db.Store       // required
	Keys    *keys.Service   // required
	Tenants *tenant.Service // required

	// PublicURL is where this installation is reached; tokens name it as their issuer.
	// Required.
	PublicURL string

	Denials *audit.Denials // records forged tokens; nil: nobody does

	Rand io.Reader // of token ids; nil means crypto/rand
}

// denials records refusals: *audit.Denials.
type denials interface {
	Record(ctx context.Context, sc scope.Scope, e audit.Entry)
}

// Service keeps sessions. It is safe for concurrent use.
type Service struct {
	store     *db.Store
	keys      *keys.Service
	tenants   *tenant.Service
	publicURL string
	denials   denials // nil: nobody records them
	rand      io.Reader
	standing  *db.Cache[standing]
}

const (
	maxStanding = 100_000 // about 18 MB
	// standingLife bounds how long a session is believed to stand although nothing
	// announced its end. Within it, one read serves all the checks of a busy page.
	standingLife = time.Second
)

// New returns a Service, or an error when an option is missing.
func New(o Options) (*Service, error) {
	if o.PublicURL == "" {
		return nil, errors.New("session: PublicURL is required")
	}
	s := &Service{store: o.Store, keys: o.Keys, tenants: o.Tenants, publicURL: o.PublicURL, rand: o.Rand}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	if o.Denials != nil {
		s.denials = o.Denials
	}
	s.standing = db.NewCache[standing](o.Store, db.NounSession, maxStanding, standingLife)
	return s, nil
}

// Tokens are what a session is used with.
type Tokens struct {
	secret.Hidden

	Access          string
	AccessExpiresAt time.Time
	Refresh         string // empty when none was issued
}

// Issue makes tokens for a session that is in the table, or that the caller has just
// committed. They are good from sess.LastUsedAt on: the sign-in, or the refresh. The
// access token is a signed JWT, within a JWE when the tenant has registered a key for
// it. withRefresh is false for callers with a publishable key.
func (s *Service) Issue(ctx context.Context, ring *keys.Ring, snap *tenant.Snapshot, sess Session, withRefresh bool) (Tokens, error) {
	jti, err := uuid.NewV7FromReader(s.rand)
	if err != nil {
		return Tokens{}, fmt.Errorf("mint token id: %w", err)
	}
	// Whole seconds, as in the token; no token outlives its session.
	expires := sess.LastUsedAt.Add(snap.Policy.AccessTokenLife())
	if expires.After(sess.ExpiresAt) {
		expires = sess.ExpiresAt
	}
	t := Tokens{AccessExpiresAt: expires.Truncate(time.Second)}
	access, err := token.AppendAccess(ctx, make([]byte, 0, 1024), ring, token.Claims{
		Issuer: token.Issuer(s.publicURL, snap.Slug), Subject: sess.UserID.UUID(), Audience: snap.Audience(),
		Session: sess.ID.UUID(), Tenant: snap.ID,
		UserVerified: sess.UserVerified, AAL: sess.AAL, AuthTime: sess.CreatedAt,
		ID: jti, IssuedAt: sess.LastUsedAt, ExpiresAt: t.AccessExpiresAt,
	})
	if err != nil {
		return Tokens{}, fmt.Errorf("make access token: %w", err)
	}
	if snap.Encryption == nil {
		t.Access = string(access)
	} else if t.Access, err = snap.Encryption.Encrypt(access); err != nil {
		return Tokens{}, fmt.Errorf("encrypt access token: %w", err)
	}
	if withRefresh {
		r := token.Refresh{Session: sess.ID.UUID(), Generation: sess.Generation}
		t.Refresh = string(token.AppendRefresh(make([]byte, 0, 96), ring, r))
	}
	return t, nil
}

// Verification is what Verify found.
type Verification struct {
	Active bool
	Claims token.Claims // zero unless Active
}

// Verify says whether an access token is good right now: signed by this tenant, for
// its audience as it is settled now, not expired, and its session neither revoked nor
// over nor idle for too long nor erased. An encrypted token is not good here: its
// holder decrypts it, and sends what is inside. A revocation is seen on every server
// within a second, nearly always at once. A bad token is no error, and another tenant's
// is as bad as a made-up one; those are recorded.
func (s *Service) Verify(ctx context.Context, sc scope.Scope, accessToken string) (Verification, error) {
	t, err := s.tenant(ctx, sc)
	if err != nil {
		return Verification{}, err
	}
	now := s.store.Now()
	claims, err := t.verify(accessToken, now, false)
	if errors.Is(err, token.ErrInvalid) {
		s.refuse(ctx, sc, actionVerify, err)
		return Verification{}, nil
	} else if err != nil {
		return Verification{}, err
	}
	state, err := s.standing.Get(ctx, sc.Tenant(), claims.Session.String(), func(ctx context.Context) (standing, error) {
		return s.stands(ctx, sc, claims.Session)
	})
	if err != nil {
		return Verification{}, err
	}
	if !state.holds(now, claims.IssuedAt, t.snap.Policy.RefreshIdle()) {
		return Verification{}, nil
	}
	return Verification{Active: true, Claims: claims}, nil
}

// current is what tokens of a tenant are made and judged by, at one moment.
type current struct {
	ring   *keys.Ring
	snap   *tenant.Snapshot
	issuer string
}

func (s *Service) tenant(ctx context.Context, sc scope.Scope) (current, error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return current{}, fmt.Errorf("keys: %w", err)
	}
	snap, err := s.tenants.Current(ctx, sc)
	if err != nil {
		return current{}, fmt.Errorf("tenant: %w", err)
	}
	return current{ring: ring, snap: snap, issuer: token.Issuer(s.publicURL, snap.Slug)}, nil
}

// verify judges an access token without its session. ended: see token.Want.
func (t *current) verify(accessToken string, now time.Time, ended bool) (token.Claims, error) {
	return token.VerifyAccess(t.ring, accessToken, token.Want{
		Issuer: t.issuer, Audience: t.snap.Audience(), Now: now, Ended: ended,
	})
}

// What audit entries call it. No entry says anything of a token.
const (
	actionVerify  = "session.verify"
	actionRefresh = "session.refresh"
	actionRevoke  = "session.revoke"

	reasonForged = "not made with this tenant's keys"
)

// refuse records a token that somebody made up, or brought from another tenant. Whoever
// sent it is answered as for any bad token.
func (s *Service) refuse(ctx context.Context, sc scope.Scope, action string, err error) {
	if s.denials != nil && errors.Is(err, token.ErrForged) {
		s.denials.Record(ctx, sc, audit.Entry{Action: action, Fault: reasonForged})
	}
}

// standing is until when a session stands. The zero value does not.
type standing struct {
	expiresAt  time.Time
	lastUsedAt time.Time // at least: it may have been refreshed since
}

// holds judges a session at now, by a token of issued. The token itself is the proof
// that the session was used then, should what we know of it be older.
func (s standing) holds(now, issued time.Time, idle time.Duration) bool {
	used := s.lastUsedAt
	if issued.After(used) {
		used = issued
	}
	return now.Before(s.expiresAt) && now.Before(used.Add(idle))
}

// stands returns until when a session stands: not at all when it was revoked or is not
// there.
func (s *Service) stands(ctx context.Context, sc scope.Scope, id uuid.UUID) (standing, error) {
	var state standing
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		state = standing{}
		row, err := tx.GetSessionState(ctx, id)
		switch {
		case db.IsNoRows(err):
			return nil
		case err != nil:
			return fmt.Errorf("get session state: %w", err)
		case row.RevokedAt == nil:
			state = standing{expiresAt: row.ExpiresAt, lastUsedAt: row.LastUsedAt}
		}
		return nil
	})
	return state, err
}
