package apikey

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Caller is who called: a key that is good.
type Caller struct {
	Scope  scope.Scope // the key's tenant, with the key as actor
	ID     uuid.UUID
	Kind   Kind
	Scopes []string
	Mode   tenant.Mode
	Limits *ratelimit.Own // of the tenant; shared: read only

	ExpiresAt    *time.Time     // nil: never
	AllowedCIDRs []netip.Prefix // empty: from anywhere
}

// Allows reports whether the key has the scope wanted. Publishable keys have none.
func (c *Caller) Allows(wanted string) bool {
	return slices.ContainsFunc(c.Scopes, func(granted string) bool { return covers(granted, wanted) })
}

// record is a stored key as authentication needs it.
type record struct {
	id        uuid.UUID
	kind      Kind
	hash      [32]byte
	scopes    []string
	cidrs     []netip.Prefix
	expiresAt *time.Time
	revokedAt *time.Time
	lockedAt  *time.Time
	actor     scope.Actor
}

// Authenticate returns who holds the key bearer, calling from the address from. What
// is wrong with a key is told only to who knows its secret: everybody else gets
// ErrKey. A suspended tenant's keys are tenant.ErrSuspended, and
// those of one that is being deleted tenant.ErrKeysOfDeleting.
func (s *Service) Authenticate(ctx context.Context, bearer string, from netip.Addr) (Caller, error) {
	return s.authenticate(ctx, bearer, from, (*tenant.Snapshot).Usable)
}

// AuthenticateReader is Authenticate for calls that read the admin plane, and nothing else:
// keys of a suspended tenant, and of one that can still be restored, are let in, so that
// its people can see and fetch what is theirs.
func (s *Service) AuthenticateReader(ctx context.Context, bearer string, from netip.Addr) (Caller, error) {
	return s.authenticate(ctx, bearer, from, func(t *tenant.Snapshot) error { return t.Readable(s.store.Now()) })
}

func (s *Service) authenticate(ctx context.Context, bearer string, from netip.Addr, usable func(*tenant.Snapshot) error) (Caller, error) {
	p, ok := parse(bearer)
	if !ok {
		return Caller{}, ErrKey
	}
	rec, err := s.find(ctx, p, from)
	if err != nil {
		return Caller{}, err
	}
	var stored [32]byte
	if rec != nil {
		stored = rec.hash
	}
	// An unknown key is compared too: with a hash that no secret has.
	if subtle.ConstantTimeCompare(stored[:], p.hash[:]) != 1 || rec == nil || rec.kind != p.kind {
		if rec != nil {
			s.deny(ctx, p, rec, ErrKey)
		}
		return Caller{}, ErrKey
	}
	c, err := s.admit(ctx, p, rec, from.Unmap(), usable)
	if err != nil {
		s.deny(ctx, p, rec, err)
		return Caller{}, err
	}
	s.uses.note(p.tenant, p.keyID, s.store.Now())
	return c, nil
}

// admit judges a key whose holder knows its secret.
func (s *Service) admit(ctx context.Context, p parsed, rec *record, from netip.Addr, usable func(*tenant.Snapshot) error) (Caller, error) {
	switch {
	case rec.revokedAt != nil:
		return Caller{}, ErrRevoked
	case rec.expiresAt != nil && !s.store.Now().Before(*rec.expiresAt):
		return Caller{}, ErrExpired
	case rec.lockedAt != nil:
		return Caller{}, ErrLocked
	case len(rec.cidrs) > 0 && !slices.ContainsFunc(rec.cidrs, func(c netip.Prefix) bool { return c.Contains(from) }):
		return Caller{}, ErrAddress
	}
	sc := scope.New(p.tenant, rec.actor)
	t, err := s.tenants.Current(ctx, sc)
	if err != nil {
		return Caller{}, err
	}
	if p.mode != word(t.Mode) { // the secret is the key's, but the key is not spelled so
		return Caller{}, ErrKey
	}
	if err := usable(t); err != nil {
		return Caller{}, err
	}
	return Caller{Scope: sc, ID: rec.id, Kind: rec.kind, Scopes: rec.scopes, Mode: t.Mode, Limits: &t.Limits, ExpiresAt: rec.expiresAt, AllowedCIDRs: rec.cidrs}, nil
}

// deny records that a key that exists was refused. One that does not exist leaves no
// entry: its tenant may be made up.
func (s *Service) deny(ctx context.Context, p parsed, rec *record, err error) {
	f, ok := fault.As(err)
	if s.denials == nil || !ok || f.Kind == fault.Unavailable {
		return
	}
	actor := rec.actor
	if f.Reason == ErrKey.Reason {
		actor = scope.Actor{Kind: rec.actor.Kind} // somebody who names the key, and does not have it
	}
	s.denials.Record(ctx, scope.New(p.tenant, actor), audit.Entry{
		Action: "apikey.authenticate", Target: audit.Target{Kind: "apikey", ID: rec.id.String()}, Fault: f.Reason,
	})
}

// find returns the stored key, or nil when there is none. A key that is remembered
// costs nothing; who looks for others, and finds nothing, is refused after some.
func (s *Service) find(ctx context.Context, p parsed, from netip.Addr) (*record, error) {
	id := cacheID(p.keyID)
	if rec, ok := s.known.Peek(p.tenant, id); ok {
		return rec, nil
	}
	if _, ok := s.absent.Peek(p.tenant, id); ok {
		return nil, nil //nolint:nilnil // documented: there is none
	}
	if err := s.guesses.Take(from); err != nil {
		return nil, err
	}
	rec, err := s.known.Get(ctx, p.tenant, id, func(ctx context.Context) (*record, error) { return s.load(ctx, p) })
	if db.IsNoRows(err) {
		_, err := s.absent.Get(ctx, p.tenant, id, func(context.Context) (struct{}, error) { return struct{}{}, nil })
		return nil, err
	}
	s.guesses.Return(from)
	return rec, err
}

func (s *Service) load(ctx context.Context, p parsed) (*record, error) {
	var rec *record
	// The key is not known yet, so nobody acts but the server itself.
	sc := scope.New(p.tenant, scope.Actor{Kind: scope.ActorSystem, ID: "authenticate"})
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetAPIKeyForAuthentication(ctx, p.keyID)
		if err != nil {
			return fmt.Errorf("get API key: %w", err)
		}
		actor := scope.Actor{Kind: scope.ActorAPIKey, ID: row.ID.String(), Name: row.Name}
		if Kind(row.Kind) == Platform {
			actor.Kind = scope.ActorPlatform
		}
		rec = &record{
			id: row.ID, kind: Kind(row.Kind), hash: [32]byte(row.SecretHash), scopes: row.Scopes, cidrs: row.AllowedCidrs,
			expiresAt: row.ExpiresAt, revokedAt: row.RevokedAt, lockedAt: row.LockedAt, actor: actor,
		}
		return nil
	})
	return rec, err
}
