package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/biocore-id/biocore/authcore/token"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Introspection is what Introspect found (RFC 7662 §2.2).
type Introspection struct {
	Active bool
	// Refresh says that it is a refresh token: for us alone, and no key to anything. Its
	// claims have the issuer as their audience and no ID.
	Refresh bool
	Claims  token.Claims // zero unless Active
}

// Introspect says what an access token or a refresh token is right now. An access token
// is judged as Verify does. A refresh token is active when it is the session's current
// one; asking uses nothing up, and an older one that is asked about ends nothing.
func (s *Service) Introspect(ctx context.Context, sc scope.Scope, text string) (Introspection, error) {
	if !token.IsRefresh(text) {
		v, err := s.Verify(ctx, sc, text)
		return Introspection{Active: v.Active, Claims: v.Claims}, err
	}
	t, err := s.tenant(ctx, sc)
	if err != nil {
		return Introspection{}, err
	}
	presented, err := token.ParseRefresh(t.ring, text)
	if err != nil {
		s.refuse(ctx, sc, actionVerify, err)
		return Introspection{}, nil
	}
	var sess Session
	var found bool
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetSession(ctx, presented.Session)
		if found = err == nil; found {
			sess = FromRow(row)
			return nil
		}
		if db.IsNoRows(err) {
			return nil
		}
		return fmt.Errorf("get session: %w", err)
	})
	if err != nil || !found || sess.RevokedAt != nil || sess.Generation != presented.Generation {
		return Introspection{}, err
	}
	expires := sess.end(t.snap.Policy.RefreshIdle())
	if !s.store.Now().Before(expires) {
		return Introspection{}, nil
	}
	return Introspection{Active: true, Refresh: true, Claims: token.Claims{
		Issuer: t.issuer, Subject: sess.UserID.UUID(), Audience: t.issuer, Session: sess.ID.UUID(), Tenant: t.snap.ID,
		UserVerified: sess.UserVerified, AAL: sess.AAL, AuthTime: sess.CreatedAt,
		IssuedAt: sess.LastUsedAt, ExpiresAt: expires,
	}}, nil
}

// end is when a session ends by itself unless it is refreshed before.
func (s *Session) end(idle time.Duration) time.Time {
	if at := s.LastUsedAt.Add(idle); at.Before(s.ExpiresAt) {
		return at
	}
	return s.ExpiresAt
}

// RevokeToken ends the session of an access token or a refresh token (RFC 7009). The
// token need not be good any more: whoever signs out after a long lunch means it. What
// is no token of this tenant ends nothing, and is no error; nor is a second time.
func (s *Service) RevokeToken(ctx context.Context, sc scope.Scope, text, reason string) error {
	t, err := s.tenant(ctx, sc)
	if err != nil {
		return err
	}
	var id ID
	if token.IsRefresh(text) {
		var presented token.Refresh
		presented, err = token.ParseRefresh(t.ring, text)
		id = ID(presented.Session)
	} else {
		var claims token.Claims
		claims, err = t.verify(text, s.store.Now(), true)
		id = ID(claims.Session)
	}
	if err != nil {
		s.refuse(ctx, sc, actionRevoke, err)
		return nil // documented: it is no token of this tenant
	}
	_, err = s.Revoke(ctx, sc, RevokeRequest{ID: id, Reason: reason})
	if errors.Is(err, ErrNotFound) {
		return nil // erased with its user
	}
	return err
}
