package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors of signing keys. Each Reason is part of the public API.
var (
	ErrKeyNotFound = fault.New(fault.NotFound, "SIGNING_KEY_UNKNOWN", "no such signing key")
	ErrKeyPending  = fault.New(fault.Precondition, "SIGNING_KEY_PENDING",
		"a successor is published already and signs soon: activate it now, or revoke it first")
	ErrTooManyKeys = fault.New(fault.Precondition, "SIGNING_KEYS_TOO_MANY",
		"too many signing keys still verify: wait until the oldest have retired, or revoke them")
	ErrAlgorithm = fault.New(fault.Invalid, "SIGNING_ALGORITHM_INVALID", "signing keys are for ES256, EdDSA or RS256")
	ErrNoSigner  = fault.New(fault.Precondition, "KMS_DOES_NOT_SIGN",
		"the policy wants signing keys in the KMS, and the one that is configured makes none")
)

// State is where a signing key is in its life. It only goes forward.
//
//	PENDING   published, so that verifiers have it before it signs
//	ACTIVE    signs; a tenant has exactly one
//	RETIRING  signs no more, and verifies as long as anything it signed is good
//	REVOKED   verifies nothing; its private half is destroyed
type State string

// The states.
const (
	Pending  State = "PENDING"
	Active   State = "ACTIVE"
	Retiring State = "RETIRING"
	Revoked  State = "REVOKED"
)

// Where a private half is.
const (
	locationSealed = "SEALED" // in the database, under the tenant's data key
	locationKMS    = "KMS"
)

const (
	// PublishAhead is how long a key is PENDING: three times as long as verifiers may
	// keep a key set (edge.JWKSMaxAge), since some of them ask late.
	PublishAhead = 15 * time.Minute
	// RetireAfter is how long a key is RETIRING: longer than the longest-lived access
	// token (an hour, by the policy's bound), for clocks that are behind.
	RetireAfter = 65 * time.Minute
	// maxLiveKeys bounds the key set, which verifiers read whole and bounded. A rotation
	// each quarter of an hour, for the hour that retired keys verify, needs six.
	maxLiveKeys = 8
	// lookAgainAfter is how soon a changed policy is noticed.
	lookAgainAfter = 6 * time.Hour
)

// SigningKey is a key that signs the tenant's tokens. It holds nothing secret.
type SigningKey struct {
	KID       string
	Algorithm string
	State     State
	InKMS     bool
	Public    []byte // SubjectPublicKeyInfo, DER; PublicJWK prints it

	CreatedAt    time.Time
	ActivateAt   *time.Time // while PENDING: signs from then on
	ActivatedAt  *time.Time
	RetiredAt    *time.Time // signed until then
	RevokeAt     *time.Time // while RETIRING: verifies until then
	RevokedAt    *time.Time
	RevokeReason string // empty unless revoked; "retired" when its time was over
}

func keyFromRow(row tenantq.SigningKey) SigningKey {
	k := SigningKey{
		KID: row.Kid, Algorithm: row.Algorithm, State: State(row.State), InKMS: row.Location == locationKMS, Public: row.PublicKey,
		CreatedAt: row.CreatedAt, ActivatedAt: row.ActivatedAt, RetiredAt: row.RetiredAt, RevokedAt: row.RevokedAt,
	}
	switch k.State {
	case Pending:
		k.ActivateAt = row.ActivateAt
	case Retiring:
		k.RevokeAt = row.RevokeAt
	case Active, Revoked:
	}
	if row.RevokeReason != nil {
		k.RevokeReason = *row.RevokeReason
	}
	return k
}

// maxHistory bounds a list of signing keys: a tenant makes a few a year.
const maxHistory = 200

// SigningKeys returns the tenant's signing keys, revoked ones included, the newest
// first: at most 200.
func (s *Service) SigningKeys(ctx context.Context, sc scope.Scope) ([]SigningKey, error) {
	var list []SigningKey
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListPublicSigningKeys(ctx, maxHistory)
		if err != nil {
			return fmt.Errorf("list signing keys: %w", err)
		}
		list = make([]SigningKey, len(rows))
		for i, row := range rows {
			list[i] = keyFromRow(tenantq.SigningKey{
				Kid: row.Kid, Algorithm: row.Algorithm, State: row.State, Location: row.Location, PublicKey: row.PublicKey, CreatedAt: row.CreatedAt,
				ActivateAt: row.ActivateAt, ActivatedAt: row.ActivatedAt, RetiredAt: row.RetiredAt, RevokeAt: row.RevokeAt, RevokedAt: row.RevokedAt, RevokeReason: row.RevokeReason,
			})
		}
		return nil
	})
	return list, err
}

// RotateRequest asks for a successor of the active signing key.
type RotateRequest struct {
	// Algorithm is ES256, EdDSA or RS256; empty: the policy's. Another one than the
	// policy's stays until its key is outgrown, or the policy is written anew.
	Algorithm string
	// Now lets it sign at once. Verifiers that keep the key set and do not ask again for a
	// kid that they don't know refuse its tokens until they do.
	Now    bool
	Reason string // for the audit log; may be empty
}

// Rotate makes a signing key and publishes it. After PublishAhead it signs, and the
// one before goes on verifying for RetireAfter: no token fails on the way. With Now a
// successor that is pending already signs at once. ErrKeyPending, ErrAlgorithm,
// ErrNoSigner.
func (s *Service) Rotate(ctx context.Context, sc scope.Scope, req RotateRequest) (SigningKey, error) {
	plan, err := s.plan(ctx, sc)
	if err != nil {
		return SigningKey{}, fmt.Errorf("plan: %w", err)
	}
	if req.Algorithm != "" {
		plan.Algorithm = req.Algorithm
	}
	var made SigningKey
	err = s.change(ctx, sc, plan, func(c *lifeChange) error {
		made = SigningKey{}
		pending := c.of(Pending)
		switch {
		case pending != nil && (!req.Now || (req.Algorithm != "" && req.Algorithm != pending.Algorithm)):
			return ErrKeyPending.With("kid", pending.Kid)
		case pending == nil && len(c.live()) >= maxLiveKeys:
			return ErrTooManyKeys
		case pending == nil:
			if err := c.insert(req.Reason); err != nil {
				return err
			}
			pending = c.of(Pending)
		}
		if req.Now {
			if err := c.activate(pending, req.Reason); err != nil {
				return err
			}
		}
		made = keyFromRow(*c.find(pending.Kid))
		c.tx.Result(made)
		return nil
	})
	return made, err
}

// RevokeKeyRequest names a signing key.
type RevokeKeyRequest struct {
	KID    string
	Reason string // for the audit log; may be empty
}

// Revoke takes a signing key out of the key set at once and destroys its private half:
// for a key that somebody else may have. What it has signed is good no more, here within
// a second, with other verifiers when they ask for the key set again. Revoking the
// active one lets its successor sign at once, a new one if none is pending. Sessions
// stay: refreshing gets tokens of the successor. Revoking twice keeps the first time.
// ErrKeyNotFound. A successor that cannot be made as the policy wants it (the KMS is
// silent) is made sealed, and if that fails, too, later by the maintenance: until then
// nobody of the tenant's is signed in.
func (s *Service) Revoke(ctx context.Context, sc scope.Scope, req RevokeKeyRequest) (SigningKey, error) {
	plan, err := s.plan(ctx, sc)
	if err != nil {
		return SigningKey{}, fmt.Errorf("plan: %w", err)
	}
	var revoked SigningKey
	revoke := func(c *lifeChange) error {
		revoked = SigningKey{}
		row, err := c.tx.GetSigningKey(ctx, req.KID)
		if db.IsNoRows(err) {
			return ErrKeyNotFound
		} else if err != nil {
			return fmt.Errorf("get signing key: %w", err)
		}
		if State(row.State) == Revoked {
			revoked = keyFromRow(row)
			c.tx.Result(revoked)
			return nil
		}
		if State(row.State) == Active {
			successor := c.of(Pending)
			if successor == nil && !c.orphaning {
				if err := c.insert(req.Reason); err != nil {
					return err
				}
				successor = c.of(Pending)
			}
			if successor != nil {
				if err := c.activate(successor, req.Reason); err != nil {
					return err
				}
			}
		}
		if err := c.revoke(c.find(req.KID), "revoked", req.Reason); err != nil {
			return err
		}
		if c.orphaning && c.of(Active) == nil { // the maintenance makes one
			if err := c.lookAt(req.KID, c.tx.Now()); err != nil {
				return err
			}
		}
		revoked = keyFromRow(*c.find(req.KID))
		c.tx.Result(revoked)
		return nil
	}
	err = s.change(ctx, sc, plan, revoke)
	if _, unmade := errors.AsType[*mintError](err); unmade && plan.InKMS {
		s.log.WarnContext(ctx, "no successor in the KMS for a revoked signing key", "err", err, "tenant", sc.Tenant())
		err = s.change(ctx, sc, Plan{Algorithm: plan.Algorithm}, revoke)
	}
	if _, unmade := errors.AsType[*mintError](err); unmade {
		s.log.ErrorContext(ctx, "no successor for a revoked signing key", "err", err, "tenant", sc.Tenant())
		err = s.change(ctx, sc, plan, func(c *lifeChange) error {
			c.orphaning = true
			return revoke(c)
		})
	}
	return revoked, err
}

// turnSigningKeys does what is due: a pending key whose time has come signs, a retiring
// one is revoked, an active one gets its successor when the plan says so, and what was
// revoked is destroyed in the KMS.
func (s *Service) turnSigningKeys(ctx context.Context, sc scope.Scope, plan Plan) error {
	// What is due does not wait for a key that cannot be made.
	if err := s.change(ctx, sc, plan, func(c *lifeChange) error { return c.turn() }); err != nil {
		return err
	}
	strayed := false
	if ring, err := s.Ring(ctx, sc); err == nil && ring.Signer() != nil {
		home := ring.Signer().Home()
		strayed = home != "" && home != s.kms.KeyName()
	}
	err := s.change(ctx, sc, plan, func(c *lifeChange) error { return c.succeed(strayed) })
	return errors.Join(err, s.destroyRemote(ctx, sc))
}

// turn moves keys whose time has come.
func (c *lifeChange) turn() error {
	now := c.tx.Now()
	if pending := c.of(Pending); pending != nil && pending.ActivateAt != nil && !now.Before(*pending.ActivateAt) {
		if err := c.activate(pending, ""); err != nil {
			return err
		}
	}
	for _, row := range c.all(Retiring) {
		if row.RevokeAt != nil && !now.Before(*row.RevokeAt) {
			if err := c.revoke(row, "retired", ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// succeed makes the successor that the plan wants. strayed: the active key is in
// another KMS than the one that is configured, and goes when that goes.
func (c *lifeChange) succeed(strayed bool) error {
	now, active := c.tx.Now(), c.of(Active)
	switch {
	case c.plan.Ending || c.of(Pending) != nil:
		return nil
	case active == nil: // revoked when none could be made
		if err := c.insert("no key signs"); err != nil {
			return err
		}
		return c.activate(c.of(Pending), "no key signs")
	case strayed || c.outgrown(active):
		if err := c.insert("by policy"); err != nil {
			return err
		}
		active = c.of(Active) // the rows may have moved
	}
	if active.DueAt == nil || !now.Before(*active.DueAt) {
		if err := c.lookAt(active.Kid, now.Add(lookAgainAfter)); err != nil {
			return err
		}
	}
	return nil
}

// outgrown reports whether the plan wants another key in the place of the active one.
func (c *lifeChange) outgrown(active *tenantq.SigningKey) bool {
	since := active.CreatedAt
	if active.ActivatedAt != nil {
		since = *active.ActivatedAt
	}
	other := active.Algorithm != c.plan.Algorithm || (active.Location == locationKMS) != c.plan.InKMS
	return (other && active.CreatedAt.Before(c.plan.Since)) ||
		(c.plan.RotateSigningAfter > 0 && c.tx.Now().Sub(since) >= c.plan.RotateSigningAfter)
}
