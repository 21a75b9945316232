// Package user keeps the relying party's end users: the accounts that credentials
// belong to and sessions are opened for.
//
// What identifies a person (external id, name, display name) is one sealed blob in
// the row; the external id is found again by its blind index. Names are kept as
// PRECIS (RFC 8264) prepares text for display, so that two names which look alike to
// a person are alike to the machine.
//
// The user's row is the lock of everything that belongs to the user: whoever counts
// or changes a user's credentials takes it first.
package user

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

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

// Options configures a Service.
type Options struct {
	Store *db.Store     // required
	Keys  *keys.Service // required
	Rand  io.Reader     // of user handles and ids; nil means crypto/rand
}

// Service keeps users. It is safe for concurrent use.
type Service struct {
	store *db.Store
	keys  *keys.Service
	rand  io.Reader
}

// New returns a Service.
func New(o Options) *Service {
	s := &Service{store: o.Store, keys: o.Keys, rand: o.Rand}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	return s
}

// Descriptor names a person by the tenant's own id. The names are cleaned as
// cleanName says: what is answered may differ from what was given in spaces and
// normal form.
type Descriptor struct {
	ExternalID  string // 1 to 256 characters, in NFC, kept to the byte
	Name        string // 1 to 256 characters
	DisplayName string // up to 256 characters
}

func (d Descriptor) profile() (p Profile, err error) {
	if err := checkExternalID(d.ExternalID); err != nil {
		return Profile{}, err
	}
	p.ExternalID = d.ExternalID
	if p.Name, err = cleanName("name", d.Name); err != nil {
		return Profile{}, err
	}
	if d.DisplayName != "" {
		if p.DisplayName, err = cleanName("displayName", d.DisplayName); err != nil {
			return Profile{}, err
		}
	}
	return p, nil
}

// Create adds a user without any credential. ErrExists when the external id is
// taken; ErrExternalID or ErrName, with the field in its metadata, for text that
// cannot be kept.
func (s *Service) Create(ctx context.Context, sc scope.Scope, d Descriptor) (User, error) {
	p, err := d.profile()
	if err != nil {
		return User{}, err
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return User{}, fmt.Errorf("keys: %w", err)
	}
	var created User
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if created, err = s.insert(ctx, tx, ring, p); db.IsNoRows(err) {
			return ErrExists
		} else if err != nil {
			return err
		}
		tx.Result(created)
		return nil
	})
	return created, err
}

// Ensure returns the user whom d names: the existing one of that external id, as it
// is, else a new one of these names. Two calls at once make one user.
func (s *Service) Ensure(ctx context.Context, sc scope.Scope, d Descriptor) (User, error) {
	p, err := d.profile()
	if err != nil {
		return User{}, err
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return User{}, fmt.Errorf("keys: %w", err)
	}
	index := ring.Index(externalID, p.ExternalID)
	found, err := s.byIndex(ctx, sc, ring, index)
	if err == nil || !isNotFound(err) {
		return found, err
	}
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if found, err = s.insert(ctx, tx, ring, p); !db.IsNoRows(err) {
			return err
		}
		// Somebody else was first. The insert waited for that commit, and this
		// statement sees it.
		row, err := tx.GetUserByExternalIndex(ctx, index)
		if err != nil {
			return fmt.Errorf("get user by external id: %w", err)
		}
		found, err = FromRow(ring, tenantq.GetUserRow(row))
		return err
	})
	return found, err
}

// insert answers pgx's "no rows" when the external id is taken.
func (s *Service) insert(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, p Profile) (User, error) {
	raw, err := uuid.NewV7FromReader(s.rand)
	if err != nil {
		return User{}, fmt.Errorf("mint user id: %w", err)
	}
	// WebAuthn L3 #sctn-user-handle-privacy: 64 random bytes, so that a lost
	// authenticator tells nobody who its owner is.
	handle := make([]byte, 64)
	if _, err := io.ReadFull(s.rand, handle); err != nil {
		return User{}, fmt.Errorf("mint user handle: %w", err)
	}
	sealed, err := p.seal(ring, ID(raw))
	if err != nil {
		return User{}, err
	}
	row, err := tx.InsertUser(ctx, tenantq.InsertUserParams{
		ID: raw, Handle: handle, ExternalIndex: ring.Index(externalID, p.ExternalID), ProfileSealed: sealed, Now: tx.Now(),
	})
	if err != nil {
		return User{}, fmt.Errorf("insert user: %w", err)
	}
	u := newUser(tenantq.GetUserRow{
		ID: row.ID, Handle: row.Handle, State: row.State,
		CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, Version: row.Version,
	}, p)
	return u, record(ctx, tx, u.ID, audit.Entry{Action: "user.create"}, event.Event{Type: event.UserCreated})
}

// Get returns one user. ErrNotFound also for another tenant's.
func (s *Service) Get(ctx context.Context, sc scope.Scope, id ID) (User, error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return User{}, fmt.Errorf("keys: %w", err)
	}
	var u User
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		u, err = get(ctx, tx, ring, id)
		return err
	})
	return u, err
}

// Lookup returns the user of one external id. ErrNotFound when there is none, also
// for what can be no external id.
func (s *Service) Lookup(ctx context.Context, sc scope.Scope, external string) (User, error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return User{}, fmt.Errorf("keys: %w", err)
	}
	return s.byIndex(ctx, sc, ring, ring.Index(externalID, external))
}

func (s *Service) byIndex(ctx context.Context, sc scope.Scope, ring *keys.Ring, index []byte) (User, error) {
	var u User
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetUserByExternalIndex(ctx, index)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get user by external id: %w", err)
		}
		u, err = FromRow(ring, tenantq.GetUserRow(row))
		return err
	})
	return u, err
}

func get(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, id ID) (User, error) {
	row, err := tx.GetUser(ctx, id.UUID())
	if db.IsNoRows(err) {
		return User{}, ErrNotFound
	} else if err != nil {
		return User{}, fmt.Errorf("get user: %w", err)
	}
	return FromRow(ring, row)
}

// lock takes the user's row, which is the lock of all that belongs to the user, and
// opens it. ErrNotFound when there is none.
func lock(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, id ID) (User, error) {
	if _, err := tx.LockUser(ctx, id.UUID()); db.IsNoRows(err) {
		return User{}, ErrNotFound
	} else if err != nil {
		return User{}, fmt.Errorf("lock user: %w", err)
	}
	return get(ctx, tx, ring, id) // read again under the lock
}
