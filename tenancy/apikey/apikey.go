// Package apikey keeps the keys that tenants' servers and pages call the API with.
//
// A key names its tenant, so that authentication opens that tenant's scope and no
// look-up crosses tenants. Only a hash of its secret is stored; the secret is 256
// random bits, so a fast hash is right. A revoked key stops within a second on
// every server.
package apikey

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Errors of this package. Each Reason is part of the public API.
var (
	// ErrKey is one answer for a malformed key, an unknown one and a wrong secret.
	ErrKey            = fault.New(fault.Unauthenticated, "API_KEY_INVALID", "the API key is not valid")
	ErrRevoked        = fault.New(fault.Unauthenticated, "API_KEY_REVOKED", "the API key is revoked")
	ErrExpired        = fault.New(fault.Unauthenticated, "API_KEY_EXPIRED", "the API key has expired")
	ErrLocked         = fault.New(fault.Unauthenticated, "API_KEY_LOCKED", "the API key is locked until somebody unlocks it")
	ErrAddress        = fault.New(fault.Forbidden, "ADDRESS_NOT_ALLOWED", "the API key is not allowed from this address")
	ErrScopeMissing   = fault.New(fault.Forbidden, "SCOPE_MISSING", "the API key lacks the scope that this call needs")
	ErrNotFound       = fault.New(fault.NotFound, "API_KEY_UNKNOWN", "no such API key")
	ErrEnded          = fault.New(fault.Precondition, "API_KEY_ENDED", "the API key is revoked or has expired")
	ErrRotated        = fault.New(fault.Precondition, "API_KEY_ROTATED", "another key has taken this one's place: rotate that one")
	ErrOverlap        = fault.New(fault.Invalid, "API_KEY_OVERLAP_INVALID", "the overlap is 0 seconds to 7 days")
	ErrOrder          = fault.New(fault.Invalid, "ORDER_INVALID", "API keys are ordered by createdAt desc, name, lastUsedAt desc or expiresAt")
	ErrScopeUnknown   = fault.New(fault.Invalid, "SCOPE_UNKNOWN", "a key of this kind cannot have this scope")
	ErrScopeExceeds   = fault.New(fault.Forbidden, "SCOPE_EXCEEDS_OWN", "a key can only grant the scopes that it has")
	ErrExpiryExceeds  = fault.New(fault.Forbidden, "EXPIRY_EXCEEDS_OWN", "a key cannot make one that outlives it")
	ErrCIDRExceeds    = fault.New(fault.Forbidden, "CIDR_EXCEEDS_OWN", "a key can only allow networks that it is allowed from")
	ErrKindNotAllowed = fault.New(fault.Invalid, "API_KEY_KIND_INVALID", "this tenant cannot have keys of this kind")
	ErrCIDR           = fault.New(fault.Invalid, "CIDR_INVALID", "an allowed network is an IPv4 or IPv6 prefix, such as 192.0.2.0/24")
	ErrExpiry         = fault.New(fault.Invalid, "API_KEY_EXPIRY_INVALID", "the expiry must be in the future")
)

// Kind is what a key is for.
type Kind string

// The kinds of keys, by their prefixes bk_, pk_ and pf_.
const (
	Secret      Kind = "SECRET"      // a tenant's server; has scopes
	Publishable Kind = "PUBLISHABLE" // a tenant's page: anybody can read it there
	Platform    Kind = "PLATFORM"    // the operators of this installation
)

// Key is an API key without its secret.
type Key struct {
	ID           uuid.UUID
	Kind         Kind
	Name         string
	Prefix       string // what may be shown of it
	Scopes       []string
	AllowedCIDRs []netip.Prefix // empty: from anywhere
	CreatedBy    string
	CreatedAt    time.Time
	LastUsedAt   *time.Time // to the minute
	ExpiresAt    *time.Time
	RevokedAt    *time.Time
	LockedAt     *time.Time
	ReplacedBy   *uuid.UUID // the key that has taken its place; nil: none
}

// Created is a new key with its secret, which nobody can read again.
type Created struct {
	Key
	Plain Plain
}

// currentTenant answers the tenant of a scope.
type currentTenant interface {
	Current(ctx context.Context, sc scope.Scope) (*tenant.Snapshot, error)
}

// Options configures a Service.
type Options struct {
	Store   *db.Store       // required
	Keys    *keys.Service   // required: page tokens are sealed
	Tenants *tenant.Service // required
	Denials *audit.Denials  // records refused keys; nil: nobody does

	// Guesses bounds look-ups of keys that do not exist; nil: nobody does.
	Guesses *ratelimit.Guesses
}

// denials records refusals: *audit.Denials.
type denials interface {
	Record(ctx context.Context, sc scope.Scope, e audit.Entry)
}

// Service keeps API keys. It is safe for concurrent use.
type Service struct {
	store   *db.Store
	keys    *keys.Service
	tenants currentTenant
	known   *db.Cache[*record]
	absent  *db.Cache[struct{}]
	denials denials
	guesses *ratelimit.Guesses
	uses    uses
}

// Bounds of what one server remembers. Keys that do not exist are remembered apart
// and in small number, so that guessing cannot push out those that do.
const (
	maxKnown  = 20_000
	maxAbsent = 2_000
	cacheLife = 10 * time.Minute
	// absentLife is short: a key that is made while a guess at it is being looked up
	// may be remembered as absent although it is there.
	absentLife = 2 * time.Second
)

// New returns a Service. Run keeps its keys' last uses.
func New(o Options) *Service {
	s := &Service{
		store: o.Store, keys: o.Keys, tenants: o.Tenants,
		known:   db.NewCache[*record](o.Store, db.NounAPIKey, maxKnown, cacheLife),
		absent:  db.NewCache[struct{}](o.Store, db.NounAPIKey, maxAbsent, absentLife),
		guesses: o.Guesses, uses: uses{at: map[use]time.Time{}},
	}
	if o.Denials != nil {
		s.denials = o.Denials
	}
	return s
}

// CreateRequest describes a key to be.
type CreateRequest struct {
	Kind         Kind
	Name         string         // 1 to 64 characters
	Scopes       []string       // at least one for a server or platform key, none for a publishable one
	AllowedCIDRs []netip.Prefix // at most 64; none: from anywhere
	ExpiresAt    *time.Time
	Reason       string // for the audit log; may be empty

	// Within are the scopes of the key that asks: it can grant no more. nil: the
	// operator on the command line, who can grant all.
	Within []string
	// Until and From are the expiry and the networks of the key that asks; nil and
	// none for one without. The new key ends no later and, unless it is publishable,
	// works from nowhere else: it gets these where the request names none.
	Until *time.Time
	From  []netip.Prefix
}

// Create makes a key and returns it with its secret, for the only time.
func (s *Service) Create(ctx context.Context, sc scope.Scope, req CreateRequest) (Created, error) {
	t, err := s.tenants.Current(ctx, sc)
	if err != nil {
		return Created{}, err
	}
	if (req.Kind == Platform) != (sc.Tenant() == scope.PlatformTenant) {
		return Created{}, ErrKindNotAllowed
	}
	var made Created
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		made, err = create(ctx, tx, t.Mode, req)
		return err
	})
	return made, err
}

// CreateIn is Create in a transaction of the caller's: that which makes the tenant
// itself. mode is the tenant's, LIVE or TEST.
func (s *Service) CreateIn(ctx context.Context, tx *db.TenantTx, mode tenant.Mode, req CreateRequest) (Created, error) {
	return create(ctx, tx, mode, req)
}

// First makes the first keys of a new tenant, in the transaction that makes it: a
// server key that may do everything and a publishable key. It is
// tenant.Options.FirstKeys.
func First(ctx context.Context, tx *db.TenantTx, mode tenant.Mode) (tenant.FirstKeys, error) {
	secret, err := create(ctx, tx, mode, CreateRequest{
		Kind: Secret, Name: "First server key", Scopes: []string{ScopeAuthPlane, ScopeAdminPlane},
	})
	if err != nil {
		return tenant.FirstKeys{}, err
	}
	publishable, err := create(ctx, tx, mode, CreateRequest{Kind: Publishable, Name: "First publishable key"})
	if err != nil {
		return tenant.FirstKeys{}, err
	}
	return tenant.FirstKeys{Secret: secret.Plain.Reveal(), Publishable: publishable.Plain.Reveal()}, nil
}

func create(ctx context.Context, tx *db.TenantTx, mode tenant.Mode, req CreateRequest) (Created, error) {
	if err := req.clean(); err != nil {
		return Created{}, err
	}
	if req.ExpiresAt != nil && !req.ExpiresAt.After(tx.Now()) {
		return Created{}, ErrExpiry
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Created{}, fmt.Errorf("mint API key id: %w", err)
	}
	plain, p := newPlain(req.Kind, word(mode), tx.Scope().Tenant())
	actor := tx.Scope().Actor()
	row, err := tx.InsertAPIKey(ctx, tenantq.InsertAPIKeyParams{
		ID: id, KeyID: p.keyID, Kind: string(req.Kind), Name: req.Name, Prefix: shown(plain.Reveal()), SecretHash: p.hash[:],
		Scopes: req.Scopes, AllowedCidrs: req.AllowedCIDRs, CreatedBy: actor.String(),
		CreatedAt: tx.Now(), ExpiresAt: req.ExpiresAt,
	})
	if err != nil {
		return Created{}, fmt.Errorf("insert API key: %w", err)
	}
	made := Created{Key: fromRow(tenantq.ListAPIKeysRow(row)), Plain: plain}
	if err := tx.Changed(ctx, db.NounAPIKey, cacheID(p.keyID)); err != nil { // it may be remembered as absent
		return Created{}, err
	}
	if err := audit.Append(ctx, tx, audit.Entry{
		Action: "apikey.create", Target: audit.Target{Kind: "apikey", ID: id.String()}, Reason: req.Reason,
		After: []attr.Attr{attr.Text("kind", string(made.Kind)), attr.Text("prefix", made.Prefix), attr.Texts("scopes", req.Scopes)},
	}); err != nil {
		return Created{}, err
	}
	return made, event.Append(ctx, tx, event.Event{Type: event.APIKeyCreated, Data: []attr.Attr{attr.Text("apiKeyId", id.String())}})
}

// word is how a key tells its tenant's mode.
func word(mode tenant.Mode) string {
	if mode == tenant.Live {
		return "live"
	}
	return "test"
}

const (
	maxNameCharacters = 64
	maxCIDRs          = 64
)

// clean brings the request into the form that is stored, or refuses it.
func (r *CreateRequest) clean() (err error) {
	if r.Name, err = tenant.CleanName("name", r.Name, maxNameCharacters); err != nil {
		return err
	}
	if len(r.AllowedCIDRs) > maxCIDRs {
		return ErrCIDR.WithMessage("at most 64 networks")
	}
	cidrs := make([]netip.Prefix, 0, len(r.AllowedCIDRs))
	for _, c := range r.AllowedCIDRs {
		if !c.IsValid() || c.Addr().Zone() != "" || c.Addr().Is4In6() {
			return ErrCIDR
		}
		cidrs = append(cidrs, c.Masked()) // Postgres's cidr refuses bits right of the mask
	}
	r.AllowedCIDRs = cidrs
	if err := r.inherit(); err != nil {
		return err
	}
	return r.cleanScopes()
}

// inherit bounds the key by the one that asks: whoever steals a key for an hour, or
// inside one network, must not leave with a key for ever and everywhere.
func (r *CreateRequest) inherit() error {
	switch {
	case r.Until == nil:
	case r.ExpiresAt == nil:
		r.ExpiresAt = r.Until
	case r.ExpiresAt.After(*r.Until):
		return ErrExpiryExceeds
	}
	// A publishable key is for browsers, which are not in a server's network, and
	// anybody can read it off the tenant's page.
	if len(r.From) == 0 || r.Kind == Publishable {
		return nil
	}
	if len(r.AllowedCIDRs) == 0 {
		r.AllowedCIDRs = slices.Clone(r.From)
	}
	for _, wanted := range r.AllowedCIDRs {
		if !slices.ContainsFunc(r.From, func(own netip.Prefix) bool { return own.Bits() <= wanted.Bits() && own.Contains(wanted.Addr()) }) {
			return ErrCIDRExceeds.With("network", wanted.String())
		}
	}
	return nil
}

func (r *CreateRequest) cleanScopes() error {
	switch r.Kind {
	case Publishable:
		if len(r.Scopes) > 0 {
			return ErrScopeUnknown.WithMessage("a publishable key has no scopes")
		}
		r.Scopes = []string{}
		return nil
	case Secret, Platform:
	default:
		return ErrKindNotAllowed
	}
	if len(r.Scopes) == 0 { // nobody gets everything by forgetting to say what
		return ErrScopeUnknown.WithMessage("a key of this kind has at least one scope")
	}
	for _, wanted := range r.Scopes {
		if !allowed(r.Kind, wanted) {
			return ErrScopeUnknown.With("scope", wanted)
		}
	}
	return within(r.Within, r.Scopes)
}

func cacheID(keyID int64) string { return strconv.FormatInt(keyID, 36) }

func fromRow(row tenantq.ListAPIKeysRow) Key {
	return Key{
		ID: row.ID, Kind: Kind(row.Kind), Name: row.Name, Prefix: row.Prefix, Scopes: row.Scopes, AllowedCIDRs: row.AllowedCidrs,
		CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt, LastUsedAt: row.LastUsedAt, ExpiresAt: row.ExpiresAt, RevokedAt: row.RevokedAt,
		LockedAt: row.LockedAt, ReplacedBy: row.ReplacedBy,
	}
}
