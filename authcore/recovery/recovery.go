// Package recovery lets a user enroll a passkey who has lost all others: by a one-time
// code that was handed out before, or by a link that an administrator makes now.
//
// Either way a Recovery comes of it, with a token for the one registration that it
// allows; where the tenant's policy asks for it, the token works only once a second
// person has approved. Package ceremony enrolls by it. The passkey so enrolled is
// lowered: what it proves is that somebody held a code or a link, until somebody
// vouches for it (credential.Service.Vouch).
//
// Whoever redeems a code learns nothing of who has an account: unknown names, users
// without codes, blocked and locked out ones are refused as a wrong code is, after the
// same work.
package recovery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Errors returned by Service beside those of user, tenant, listing and db. Each Reason
// is part of the public API.
var (
	ErrNotFound = fault.New(fault.NotFound, "RECOVERY_UNKNOWN", "no such recovery")

	// ErrRefused is the one answer to a code that does not recover the named account,
	// whatever the cause is.
	ErrRefused = fault.New(fault.Invalid, "RECOVERY_REFUSED", "this name and code recover no account, or not for the time being")

	ErrCodesOff   = fault.New(fault.Precondition, "RECOVERY_CODES_DISABLED", "the tenant's policy has no recovery codes")
	ErrDecided    = fault.New(fault.Conflict, "RECOVERY_DECIDED", "this recovery is over, or waits for nobody's approval")
	ErrSamePerson = fault.New(fault.Forbidden, "SECOND_PERSON_REQUIRED", "somebody else has to approve than who asked for the recovery")
	ErrLife       = fault.New(fault.Invalid, "LINK_LIFETIME_INVALID", "an enrollment link lives one minute to seven days")
)

// How long things live.
const (
	// grantLife is how long a redeemed code lets its user enroll: time to find the other
	// device and to fail at its prompt, and no longer than somebody sits before it.
	grantLife = 15 * time.Minute
	// waitLife is how long a recovery by code waits for approval, and how long after it
	// the user may come back: both are for people who are not at their desks.
	waitLife = 24 * time.Hour

	minLinkLife     = time.Minute
	maxLinkLife     = 7 * 24 * time.Hour
	defaultLinkLife = 24 * time.Hour
)

// Options configures a Service.
type Options struct {
	Store   *db.Store       // required
	Keys    *keys.Service   // required
	Tenants *tenant.Service // required
	Denials *audit.Denials  // required: refusals are recorded by it
	Rand    io.Reader       // of codes; nil means crypto/rand
}

// Service keeps recovery codes and recoveries. It is safe for concurrent use.
type Service struct {
	store   *db.Store
	keys    *keys.Service
	tenants *tenant.Service
	denials *audit.Denials
	rand    io.Reader
}

// New returns a Service, or an error that names the option which is missing.
func New(o Options) (*Service, error) {
	for name, missing := range map[string]bool{
		"Store": o.Store == nil, "Keys": o.Keys == nil, "Tenants": o.Tenants == nil, "Denials": o.Denials == nil,
	} {
		if missing {
			return nil, errors.New("recovery: " + name + " is required")
		}
	}
	s := &Service{store: o.Store, keys: o.Keys, tenants: o.Tenants, denials: o.Denials, rand: o.Rand}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	return s, nil
}

// Grant is a recovery with the token that enrolls by it. The token is good for one
// registration, once the recovery is open; a prompt that is cancelled does not burn it.
type Grant struct {
	secret.Hidden

	Recovery Recovery
	Token    string
	URL      string // of a link: the tenant's page with the token in the fragment, which no server logs; empty without such a page
}

func grant(ring *keys.Ring, r Recovery) Grant {
	return Grant{Recovery: r, Token: ceremony.RecoveryToken(ring, r.ID.UUID())}
}

// tenant returns the keys of a tenant that works, and how it is configured.
// tenant.ErrNotFound for the platform's own.
func (s *Service) tenant(ctx context.Context, sc scope.Scope) (*keys.Ring, *tenant.Snapshot, error) {
	if sc.Tenant() == scope.PlatformTenant {
		return nil, nil, tenant.ErrNotFound // its users are the console's members, who are recovered there
	}
	snap, err := s.tenants.Current(ctx, sc)
	if err != nil {
		return nil, nil, fmt.Errorf("tenant: %w", err)
	}
	if err := snap.Usable(); err != nil {
		return nil, nil, err
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return nil, nil, fmt.Errorf("keys: %w", err)
	}
	return ring, snap, nil
}

// lockUser takes the row of a user who may sign in. user.ErrNotFound, user.ErrBlocked.
func lockUser(ctx context.Context, tx *db.TenantTx, id user.ID) error {
	row, err := tx.LockUser(ctx, id.UUID())
	switch {
	case db.IsNoRows(err):
		return user.ErrNotFound
	case err != nil:
		return fmt.Errorf("lock user: %w", err)
	case user.State(row.State) != user.Active:
		return user.ErrBlocked
	}
	return nil
}

// record appends what was done: the audit entry and the event.
func record(ctx context.Context, tx *db.TenantTx, e audit.Entry, happened event.Event) error {
	if err := audit.Append(ctx, tx, e); err != nil {
		return err
	}
	return event.Append(ctx, tx, happened)
}
