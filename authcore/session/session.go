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
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound     = fault.New(fault.NotFound, "SESSION_UNKNOWN", "no such session")
	ErrRefreshToken = fault.New(fault.Invalid, "REFRESH_TOKEN_INVALID", "this is no refresh token of this tenant")
	ErrRevoked      = fault.New(fault.Precondition, "SESSION_REVOKED", "this session was revoked: sign in again")
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

	Rand io.Reader // of token ids; nil means crypto/rand
}

// Service keeps sessions. It is safe for concurrent use.
type Service struct {
	store     *db.Store
	keys      *keys.Service
	tenants   *tenant.Service
	publicURL string
	rand      io.Reader
	standing  *db.Cache[time.Time] // until when a session stands; zero when it does not
}

const (
	maxStanding = 100_000 // about 15 MB
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
	s.standing = db.NewCache[time.Time](o.Store, db.NounSession, maxStanding, standingLife)
	return s, nil
}

// Tokens are what a session is used with.
type Tokens struct {
	Access          string
	AccessExpiresAt time.Time
	Refresh         string // empty when none was issued
}

// Issue makes tokens for a session that is in the table, or that the caller has just
// committed. They are good from sess.LastUsedAt on: the sign-in, or the refresh.
// withRefresh is false for callers with a publishable key.
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
		Issuer: token.Issuer(s.publicURL, snap.Slug), Subject: sess.UserID.UUID(), Audience: snap.RPID,
		Session: sess.ID.UUID(), Tenant: snap.ID,
		UserVerified: sess.UserVerified, AAL: sess.AAL, AuthTime: sess.CreatedAt,
		ID: jti, IssuedAt: sess.LastUsedAt, ExpiresAt: t.AccessExpiresAt,
	})
	if err != nil {
		return Tokens{}, fmt.Errorf("make access token: %w", err)
	}
	t.Access = string(access)
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
// its RP ID, not expired, and its session neither revoked nor expired nor erased. A
// revocation is seen on every server within a second, nearly always at once. A bad
// token is no error, and another tenant's is as bad as a made-up one.
func (s *Service) Verify(ctx context.Context, sc scope.Scope, accessToken string) (Verification, error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return Verification{}, fmt.Errorf("keys: %w", err)
	}
	snap, err := s.tenants.Current(ctx, sc)
	if err != nil {
		return Verification{}, fmt.Errorf("tenant: %w", err)
	}
	now := s.store.Now()
	claims, err := token.VerifyAccess(ring, accessToken, token.Want{
		Issuer: token.Issuer(s.publicURL, snap.Slug), Audience: snap.RPID, Now: now,
	})
	if errors.Is(err, token.ErrInvalid) {
		return Verification{}, nil
	} else if err != nil {
		return Verification{}, err
	}
	until, err := s.standing.Get(ctx, sc.Tenant(), claims.Session.String(), func(ctx context.Context) (time.Time, error) {
		return s.stands(ctx, sc, claims.Session)
	})
	if err != nil {
		return Verification{}, err
	}
	if !now.Before(until) {
		return Verification{}, nil
	}
	return Verification{Active: true, Claims: claims}, nil
}

// stands returns until when a session stands: the zero time, long past, for one that
// was revoked or is not there.
func (s *Service) stands(ctx context.Context, sc scope.Scope, id uuid.UUID) (time.Time, error) {
	var until time.Time
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		until = time.Time{}
		row, err := tx.GetSessionState(ctx, id)
		switch {
		case db.IsNoRows(err):
			return nil
		case err != nil:
			return fmt.Errorf("get session state: %w", err)
		case row.RevokedAt == nil:
			until = row.ExpiresAt
		}
		return nil
	})
	return until, err
}
