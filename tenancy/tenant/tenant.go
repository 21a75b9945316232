// Package tenant is the customer: who owns users, keys and policies, and is walled
// off from every other customer.
//
// Current answers what every request of a tenant needs, from a cache that is never
// over a second behind. The verbs of the platform plane (Create, Update, Suspend …)
// run in transactions that cross tenants, and leave their audit entries and events
// in the tenant that they are about.
package tenant

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/jwe"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/stats"
)

// Errors of this package. Each Reason is part of the public API.
var (
	ErrNotFound  = fault.New(fault.NotFound, "TENANT_UNKNOWN", "no such tenant")
	ErrSuspended = fault.New(fault.Forbidden, "TENANT_SUSPENDED", "this tenant is suspended")
	ErrExists    = fault.New(fault.Conflict, "TENANT_EXISTS", "this slug is, or ever was, in use")
	ErrInvalid   = fault.New(fault.Invalid, "TENANT_INVALID", "the tenant is not valid")
	ErrDeleting  = fault.New(fault.Precondition, "TENANT_DELETING", "this tenant is being deleted")
	ErrRPIDInUse = fault.New(fault.Precondition, "RP_ID_IN_USE", "the tenant has credentials, which another RP ID would orphan")

	// ErrKeysOfDeleting refuses a key of a tenant that is ErrDeleting: as Forbidden,
	// since nothing that its holder can do lets the key in again.
	ErrKeysOfDeleting = fault.New(fault.Forbidden, "TENANT_DELETING", "this tenant is being deleted")

	// ErrPlatformOnly refuses a verb of the platform plane to a tenant's own actor.
	ErrPlatformOnly = fault.New(fault.Forbidden, "PLATFORM_ONLY", "only the platform's own keys may do this")
)

// Mode is what a tenant is for; it never changes.
type Mode string

// The modes.
const (
	Live Mode = "LIVE" // real users
	Test Mode = "TEST" // trials and development: localhost is a domain
)

// State says whether a tenant works.
type State string

// The states.
const (
	Active    State = "ACTIVE"
	Suspended State = "SUSPENDED" // every call with its keys is ErrSuspended; nothing is deleted
	Deleting  State = "DELETING"  // its keys are ErrKeysOfDeleting; it can be restored until DeleteAfter, unless it was shredded
)

// Tenant is one customer.
type Tenant struct {
	ID            uuid.UUID
	Slug          string // in URLs; unique for ever
	Name          string
	Mode          Mode
	State         State
	SuspendReason string // empty unless suspended
	RPID          string // a domain: the scope of its credentials
	RPName        string // shown by authenticators
	Origins       []string
	DirectTokens  bool   // publishable keys get tokens at finish instead of a code
	TokenAudience string // as settled; empty: the RP ID. See Audience
	EncryptionKey string // the public JWK that access tokens are encrypted to; empty: none

	// Where else its passkeys are used: see related.go.
	RelatedOrigins   []string // of other domains; may be empty, like what follows
	AndroidApps      []AndroidApp
	IOSApps          []string // team.bundle
	PasskeyEndpoints PasskeyEndpoints

	Brand Brand // how it looks to its users

	Plan   string // as the contract calls it; may be empty
	Region string // a label of where its data lives; may be empty

	CreatedAt       time.Time
	UpdatedAt       time.Time
	DeleteAfter     *time.Time // DELETING: when it is destroyed; nil: it was shredded, and its rows stay
	DeleteReason    string
	DeletedByTenant bool   // an owner asked for it, and so may restore it
	ETag            string // changes with every change; without quotes

	Users        int         // as the hourly metering counted them
	LastActiveAt *time.Time  // of the last ceremony that it found; nil: none
	Month        stats.Level // of 30 days, as it summed them up: Answered and Faults alone

	Limits         ratelimit.Own // instead of those that all tenants have
	QuotasExceeded []string      // kinds of hard quotas that are used up: see Exceeds

	shredded, destroying, emptied bool
}

// Audience is the aud of the tenant's access tokens.
func (t *Tenant) Audience() string {
	if t.TokenAudience != "" {
		return t.TokenAudience
	}
	return t.RPID
}

// Snapshot is a tenant and its policy at one moment. It is shared: read only.
type Snapshot struct {
	Tenant

	Policy        policy.Document
	PolicyVersion int
	PolicySince   time.Time // when that version was written; zero for the platform's
	Encryption    *jwe.Key  // EncryptionKey, ready for use; nil: tokens are only signed
	DomainProven  bool      // the RP ID is known to be the tenant's own domain: see MayRunCeremonies

	// CeremonyOrigins are all origins that a ceremony may run on, exactly as clients
	// serialise them: pages, related pages, apps.
	CeremonyOrigins []string
}

// HasOrigin reports whether origin is exactly one of the tenant's pages', related ones
// included.
func (s *Snapshot) HasOrigin(origin string) bool {
	return slices.Contains(s.Origins, origin) || slices.Contains(s.RelatedOrigins, origin)
}

// Usable returns nil if the tenant works, ErrKeysOfDeleting if it is being deleted, and
// else ErrSuspended.
func (s *Snapshot) Usable() error {
	switch s.State {
	case Active:
		return nil
	case Deleting:
		return ErrKeysOfDeleting
	case Suspended:
	}
	return ErrSuspended
}

// Readable returns nil if the tenant works, or if what it has may still be read by its own
// people: it is suspended, or can be restored at now. ErrKeysOfDeleting.
func (s *Snapshot) Readable(now time.Time) error {
	if s.State == Suspended || s.Restorable(now) {
		return nil
	}
	return s.Usable()
}

// States are all that there are.
func States() []State { return []State{Active, Suspended, Deleting} }

// Current returns the tenant of sc with its policy, at most a second old. It does
// not judge the state: see Snapshot.Usable. ErrNotFound when it does not exist.
func (s *Service) Current(ctx context.Context, sc scope.Scope) (*Snapshot, error) {
	if sc.IsSupport() { // sees what its grant shows now, and nobody else may be given that
		return s.load(ctx, sc)
	}
	if snap, ok := s.current.Peek(sc.Tenant(), ""); ok {
		return snap, nil
	}
	return s.current.Get(ctx, sc.Tenant(), "", func(ctx context.Context) (*Snapshot, error) { return s.load(ctx, sc) })
}

func (s *Service) load(ctx context.Context, sc scope.Scope) (*Snapshot, error) {
	var snap *Snapshot
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetTenant(ctx)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get tenant: %w", err)
		}
		snap = &Snapshot{Tenant: fromRow(row), PolicyVersion: int(row.PolicyVersion)}
		snap.CeremonyOrigins = snap.ceremonyOrigins()
		proof, err := readProof(ctx, tx, &snap.Tenant)
		if err != nil {
			return err
		}
		snap.DomainProven = proof.State == Proven
		if snap.EncryptionKey != "" {
			// Failing is right: a token in the clear is what the tenant has ruled out.
			if snap.Encryption, err = jwe.ParseKey([]byte(snap.EncryptionKey)); err != nil {
				return fmt.Errorf("stored encryption key of tenant %s: %v", sc.Tenant(), err) //nolint:errorlint // as readPolicy
			}
		}
		now, err := readPolicy(ctx, tx, row.PolicyVersion)
		snap.Policy, snap.PolicySince = now.Document, now.CreatedAt
		return err
	})
	if err != nil {
		return nil, err
	}
	return snap, nil
}

func fromRow(row tenantq.Tenant) Tenant {
	return Tenant{
		ID: row.ID, Slug: row.Slug, Name: row.Name, Mode: Mode(row.Mode), State: State(row.State),
		SuspendReason: text(row.SuspendReason), RPID: row.RpID, RPName: row.RpName, Origins: row.Origins,
		DirectTokens: row.DirectTokens, TokenAudience: text(row.TokenAudience), EncryptionKey: text(row.TokenEncryptionKey),
		RelatedOrigins: row.RelatedOrigins, AndroidApps: androidApps(row.AndroidApps), IOSApps: row.IosApps,
		PasskeyEndpoints: PasskeyEndpoints{
			Enroll: text(row.PasskeyEnrollUrl), Manage: text(row.PasskeyManageUrl), PRFUsageDetails: text(row.PasskeyPrfUrl),
		},
		Brand: Brand{
			AccentColor: row.AccentColor, AccentColorDark: row.AccentColorDark, SupportURL: row.SupportUrl, SupportEmail: row.SupportEmail, LogoSHA256: row.LogoSha256,
		},
		Plan: row.Plan, Region: row.Region, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
		DeleteAfter: row.DeleteAfter, DeleteReason: text(row.DeleteReason), DeletedByTenant: row.DeleteByTenant,
		Limits: ratelimit.ReadOwn(row.Limits), QuotasExceeded: row.QuotasExceeded, Users: int(row.UserCount), LastActiveAt: row.LastActiveAt, Month: stats.Level{Answered: row.MonthAnswered, Faults: row.MonthFaults}, shredded: row.ShreddedAt != nil, destroying: row.DestroyingAt != nil, emptied: row.EmptiedAt != nil, ETag: etag.Of("tenant", row.ID[:], row.Version),
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
