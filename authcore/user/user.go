// Package user keeps the relying party's end users: the accounts that credentials
// belong to and sessions are opened for.
//
// What identifies a person (external id, name, display name) is one sealed blob in
// the row; the external id is found again by its blind index. Names are kept as
// PRECIS (RFC 8264) prepares text for display, so that two names which look alike to
// a person are alike to the machine. How to reach a person (Contact) is sealed in rows
// of its own by Postgres, which searches and counts it; no sign-in reads it.
//
// The user's row is the lock of everything that belongs to the user: whoever counts
// or changes a user's credentials takes it first.
package user

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/jobs"
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
	Queue *jobs.Queue   // takes what a list by sign-ins leaves; nil: the next list goes on
	Rand  io.Reader     // of user handles and ids; nil means crypto/rand

	// MayLeave judges whether somebody of the console, a user of the reserved tenant, may be
	// blocked or deleted; nil: whoever.
	MayLeave func(ctx context.Context, person uuid.UUID) error

	// Erased is told of an erasure when it is committed, to remove what is kept of the user for some days elsewhere. nil: nobody is.
	Erased func(ctx context.Context, sc scope.Scope, id uuid.UUID)
}

// Service keeps users. It is safe for concurrent use.
type Service struct {
	store    *db.Store
	keys     *keys.Service
	queue    *jobs.Queue
	rand     io.Reader
	mayLeave func(ctx context.Context, person uuid.UUID) error
	erased   func(ctx context.Context, sc scope.Scope, id uuid.UUID)
}

// leaves asks whether a user may be blocked or deleted, where that is somebody of the console.
func (s *Service) leaves(ctx context.Context, sc scope.Scope, id ID) error {
	if s.mayLeave == nil || sc.Tenant() != scope.PlatformTenant {
		return nil
	}
	return s.mayLeave(ctx, id.UUID())
}

// New returns a Service.
func New(o Options) *Service {
	s := &Service{store: o.Store, keys: o.Keys, queue: o.Queue, rand: o.Rand, mayLeave: o.MayLeave, erased: o.Erased}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	return s
}

// Create adds a user without any credential. ErrExists when the external id is
// taken; ErrExternalID, ErrName, ErrEmail or ErrPhone, with the field in its metadata,
// for what cannot be kept.
func (s *Service) Create(ctx context.Context, sc scope.Scope, p Profile, c Contact) (User, error) {
	n, err := Mint(s.rand, p)
	if err != nil {
		return User{}, err
	}
	if c, err = c.Clean(); err != nil {
		return User{}, err
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return User{}, fmt.Errorf("keys: %w", err)
	}
	var created User
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if created, err = Insert(ctx, tx, ring, n); err != nil {
			return err
		}
		if err := writeContacts(ctx, tx, ring, n.ID, Contact{}, c); err != nil {
			return err
		}
		created.Contact = c
		tx.Result(created)
		return nil
	})
	return created, err
}

// Ensure returns the user of p's external id: the existing one, as it is, else a new
// one of these names. Two calls at once make one user. Errors are Create's, without
// ErrExists.
func (s *Service) Ensure(ctx context.Context, sc scope.Scope, p Profile) (User, error) {
	n, err := Mint(s.rand, p)
	if err != nil {
		return User{}, err
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return User{}, fmt.Errorf("keys: %w", err)
	}
	u, err := s.lookup(ctx, sc, ring, p.ExternalID)
	if !errors.Is(err, ErrNotFound) {
		return u, err
	}
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if u, err = Insert(ctx, tx, ring, n); errors.Is(err, ErrExists) {
			// Somebody else was first: the insert has waited for that commit.
			u, err = Find(ctx, tx, ring, p.ExternalID)
		}
		if err != nil {
			return err
		}
		tx.Result(u)
		return nil
	})
	return u, err
}

// Newcomer is a user who is not in the table yet. A registration makes one when it
// begins, since the authenticator is told the handle, and inserts it when it ends.
type Newcomer struct {
	ID      ID
	Handle  []byte
	Profile Profile
}

// Mint returns a newcomer with a new id and handle and the cleaned profile. rand is
// crypto/rand's Reader outside of tests. ErrExternalID, ErrName.
func Mint(rand io.Reader, p Profile) (Newcomer, error) {
	clean, err := p.Clean()
	if err != nil {
		return Newcomer{}, err
	}
	id, err := uuid.NewV7FromReader(rand)
	if err != nil {
		return Newcomer{}, fmt.Errorf("mint user id: %w", err)
	}
	// WebAuthn L3 #sctn-user-handle-privacy: 64 random bytes, so that a lost
	// authenticator tells nobody who its owner is.
	handle := make([]byte, 64)
	if _, err := io.ReadFull(rand, handle); err != nil {
		return Newcomer{}, fmt.Errorf("mint user handle: %w", err)
	}
	return Newcomer{ID: ID(id), Handle: handle, Profile: clean}, nil
}

// Insert adds n in tx, with its audit entry and event. ErrExists when the external id
// is taken: tx goes on, and Find finds who has it.
func Insert(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, n Newcomer) (User, error) {
	sealed, err := n.Profile.seal(ring, n.ID)
	if err != nil {
		return User{}, err
	}
	row, err := tx.InsertUser(ctx, tenantq.InsertUserParams{
		ID: n.ID.UUID(), Handle: n.Handle, ExternalIndex: ring.Index(externalID, n.Profile.ExternalID),
		ProfileSealed: sealed, Terms: termsOf(ring, n.Profile), Now: tx.Now(),
	})
	if db.IsNoRows(err) {
		return User{}, ErrExists
	} else if err != nil {
		return User{}, fmt.Errorf("insert user: %w", err)
	}
	u := newUser(tenantq.GetUserRow{
		ID: row.ID, Handle: row.Handle, State: row.State,
		CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, Version: row.Version,
	}, n.Profile)
	return u, record(ctx, tx, u.ID, audit.Entry{Action: "user.create", Subject: u.ID.UUID()}, event.Event{Type: event.UserCreated})
}

// Find returns the user of an external id in tx. ErrNotFound when there is none.
func Find(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, external string) (User, error) {
	row, err := tx.GetUserByExternalIndex(ctx, ring.Index(externalID, external))
	if db.IsNoRows(err) {
		return User{}, ErrNotFound
	} else if err != nil {
		return User{}, fmt.Errorf("get user by external id: %w", err)
	}
	return FromRow(ring, tenantq.GetUserRow(row))
}

// FindID returns the id of the user of an external id in tx, and opens nothing: it takes
// as long for nobody. ErrNotFound when there is none.
func FindID(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, external string) (ID, error) {
	id, err := tx.FindUserID(ctx, tenantq.FindUserIDParams{ExternalIndex: ring.Index(externalID, external)})
	if db.IsNoRows(err) {
		return ID{}, ErrNotFound
	} else if err != nil {
		return ID{}, fmt.Errorf("find user by external id: %w", err)
	}
	return ID(id), nil
}

// FindState is FindID with the user's state.
func FindState(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, external string) (ID, State, error) {
	row, err := tx.FindRecoverySubject(ctx, ring.Index(externalID, external))
	if db.IsNoRows(err) {
		return ID{}, "", ErrNotFound
	} else if err != nil {
		return ID{}, "", fmt.Errorf("find user by external id: %w", err)
	}
	return ID(row.ID), State(row.State), nil
}

// Get returns one user. ErrNotFound also for another tenant's. A *DamagedError when a
// contact does not open.
func (s *Service) Get(ctx context.Context, sc scope.Scope, id ID) (User, error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return User{}, fmt.Errorf("keys: %w", err)
	}
	var u User
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if u, err = get(ctx, tx, ring, id); err != nil {
			return err
		}
		u, err = withContact(ctx, tx, ring, u)
		return err
	})
	return u, s.alarm(ctx, sc, err)
}

// Lookup returns the user of one external id. ErrNotFound when there is none, also
// for what can be no external id. A *DamagedError when a contact does not open.
func (s *Service) Lookup(ctx context.Context, sc scope.Scope, external string) (User, error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return User{}, fmt.Errorf("keys: %w", err)
	}
	var u User
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if u, err = Find(ctx, tx, ring, external); err != nil {
			return err
		}
		u, err = withContact(ctx, tx, ring, u)
		return err
	})
	return u, s.alarm(ctx, sc, err)
}

func (s *Service) lookup(ctx context.Context, sc scope.Scope, ring *keys.Ring, external string) (User, error) {
	var u User
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		u, err = Find(ctx, tx, ring, external)
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

// lockAnyhow is lock for a change to what is not sealed, which must succeed whatever
// somebody did to the rest: what does not open is empty and named in damaged, and
// contacts are empty while Postgres would log their key.
func lockAnyhow(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, id ID) (u User, damaged []*DamagedError, err error) {
	if _, err := tx.LockUser(ctx, id.UUID()); db.IsNoRows(err) {
		return User{}, nil, ErrNotFound
	} else if err != nil {
		return User{}, nil, fmt.Errorf("lock user: %w", err)
	}
	row, err := tx.GetUser(ctx, id.UUID()) // read again under the lock
	if err != nil {
		return User{}, nil, fmt.Errorf("get user: %w", err)
	}
	p, err := OpenProfile(ring, id, row.ProfileSealed)
	if err != nil {
		damaged = append(damaged, &DamagedError{User: id})
	}
	one := []User{newUser(row, p)}
	more, err := openContacts(ctx, tx, ring, one)
	if err != nil && !errors.Is(err, ErrKeyLogged) {
		return User{}, nil, err
	}
	return one[0], append(damaged, more...), nil
}
