package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// lifeChange is one transaction on a tenant's signing keys, which it has locked.
type lifeChange struct {
	ctx    context.Context //nolint:containedctx // it lives as long as one call of change
	tx     *db.TenantTx
	plan   Plan
	rows   []tenantq.SigningKey
	minted *tenantq.InsertSigningKeyParams // nil until somebody wants one: see errMint
	used   bool
	noted  bool

	orphaning bool // revoke without a successor: none can be made
}

// errMint asks change to mint a key outside of the transaction and to come back.
var errMint = errors.New("a signing key must be made first")

// change runs fn on the locked signing keys of the tenant. Keys are made outside of
// the transaction, since that takes the KMS or, for RSA, half a second: fn that wants
// one is run once more when it is there.
func (s *Service) change(ctx context.Context, sc scope.Scope, plan Plan, fn func(*lifeChange) error) error {
	var minted *tenantq.InsertSigningKeyParams
	for {
		var c *lifeChange
		err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
			// Two rotations at once could each find no successor, and the maintenance could
			// activate what somebody revokes; the unique indexes are the second lock.
			if err := tx.LockKeys(ctx); err != nil {
				return fmt.Errorf("lock keys: %w", err)
			}
			rows, err := tx.ListLiveSigningKeys(ctx)
			if err != nil {
				return fmt.Errorf("list signing keys: %w", err)
			}
			c = &lifeChange{ctx: ctx, tx: tx, plan: plan, rows: rows, minted: minted}
			if err := fn(c); err != nil {
				return err
			}
			if c.noted {
				return tx.Changed(ctx, db.NounTenant, "")
			}
			return nil
		})
		if errors.Is(err, errMint) && minted == nil {
			if minted, err = s.mint(ctx, sc, plan); err != nil {
				return &mintError{err}
			}
			continue
		}
		if minted != nil && (err != nil || !c.used) {
			s.discard(ctx, sc, minted)
		}
		if db.IsConstraint(err, "signing_keys_pending") || db.IsConstraint(err, "signing_keys_active") {
			return ErrKeyPending.WithCause(err) // another rotation was first
		}
		if err == nil && c.noted {
			s.forget(sc.Tenant())
		}
		return err
	}
}

// mintError says that a key could not be made; it is what it wraps to everybody else.
type mintError struct{ err error }

func (e *mintError) Error() string { return e.err.Error() }
func (e *mintError) Unwrap() error { return e.err }

// mint makes a signing key as the plan wants it.
func (s *Service) mint(ctx context.Context, sc scope.Scope, plan Plan) (*tenantq.InsertSigningKeyParams, error) {
	switch plan.Algorithm {
	case ES256, EdDSA, RS256:
	default:
		return nil, ErrAlgorithm
	}
	ring, err := s.Ring(ctx, sc)
	if err != nil {
		return nil, err
	}
	var row tenantq.InsertSigningKeyParams
	if plan.InKMS {
		signing, ok := s.kms.(SigningKMS)
		if !ok {
			return nil, ErrNoSigner
		}
		id, err := uuid.NewRandom()
		if err != nil {
			return nil, fmt.Errorf("mint label: %w", err)
		}
		row, err = mintRemoteKey(ctx, ring, signing, plan.Algorithm, "biocore-"+sc.Tenant().String()+"-"+id.String()[:8])
		if err != nil {
			return nil, err
		}
	} else if row, err = mintSigningKey(ring, s.rand, plan.Algorithm); err != nil {
		return nil, err
	}
	return &row, nil
}

// discard destroys a key that was made and not stored, if it is in the KMS. Whether it was
// stored is asked, and not concluded from an error: a lost commit may have happened.
func (s *Service) discard(ctx context.Context, sc scope.Scope, row *tenantq.InsertSigningKeyParams) {
	if row.Location != locationKMS {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	stored := false
	err := s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		// A commit that is still under way holds the lock.
		if err := tx.LockKeys(ctx); err != nil {
			return fmt.Errorf("lock keys: %w", err)
		}
		_, err := tx.GetSigningKey(ctx, row.Kid)
		if stored = err == nil; stored || db.IsNoRows(err) {
			return nil
		}
		return err
	})
	if err == nil && !stored {
		err = s.destroyKey(ctx, sc, row.Kid, row.PrivateSealed)
	}
	if err != nil {
		s.log.WarnContext(ctx, "a signing key that nobody may use stays in the KMS", "err", err, "tenant", sc.Tenant())
	}
}

func (s *Service) destroyKey(ctx context.Context, sc scope.Scope, kid string, sealed []byte) error {
	ring, err := s.Ring(ctx, sc)
	if err != nil {
		return err
	}
	reference, err := ring.openReference(kid, sealed)
	if err != nil {
		return err
	}
	signing, ok := s.kms.(SigningKMS)
	if !ok {
		return ErrNoSigner
	}
	return signing.DestroySigningKey(ctx, reference.Name)
}

// destroyRemote destroys in the KMS what was revoked here, and has the maintenance forget
// revoked keys that it was only to look at.
func (s *Service) destroyRemote(ctx context.Context, sc scope.Scope) error {
	var rows []tenantq.SigningKey
	if err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		rows, err = tx.ListRevokedSigningKeysDue(ctx, maxHistory)
		return err
	}); err != nil {
		return fmt.Errorf("list signing keys: %w", err)
	}
	var failed error
	for _, row := range rows {
		if row.PrivateSealed != nil {
			if err := s.destroyKey(ctx, sc, row.Kid, row.PrivateSealed); err != nil {
				failed = errors.Join(failed, fmt.Errorf("destroy signing key %s in the KMS: %w", row.Kid, err))
				continue
			}
		}
		if err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
			if err := tx.DropSigningKeyPrivate(ctx, row.Kid); err != nil {
				return fmt.Errorf("drop reference: %w", err)
			}
			if row.PrivateSealed == nil {
				return nil
			}
			return audit.Append(ctx, tx, audit.Entry{Action: "signingkey.destroy", Target: audit.Target{Kind: "signingkey", ID: row.Kid}})
		}); err != nil {
			return err
		}
	}
	return failed
}

// of returns the oldest key in that state; nil: there is none.
func (c *lifeChange) of(state State) *tenantq.SigningKey {
	for i := range c.rows {
		if State(c.rows[i].State) == state {
			return &c.rows[i]
		}
	}
	return nil
}

func (c *lifeChange) all(state State) (found []*tenantq.SigningKey) {
	for i := range c.rows {
		if State(c.rows[i].State) == state {
			found = append(found, &c.rows[i])
		}
	}
	return found
}

// live returns the keys that are published.
func (c *lifeChange) live() (found []*tenantq.SigningKey) {
	for i := range c.rows {
		if State(c.rows[i].State) != Revoked {
			found = append(found, &c.rows[i])
		}
	}
	return found
}

func (c *lifeChange) find(kid string) *tenantq.SigningKey {
	for i := range c.rows {
		if c.rows[i].Kid == kid {
			return &c.rows[i]
		}
	}
	return nil
}

// lookAt has the maintenance look at a key from then on.
func (c *lifeChange) lookAt(kid string, from time.Time) error {
	if err := c.tx.SetSigningKeyDue(c.ctx, tenantq.SetSigningKeyDueParams{Kid: kid, DueAt: &from}); err != nil {
		return fmt.Errorf("set due: %w", err)
	}
	return nil
}

// insert stores the minted key, which is published from then on.
func (c *lifeChange) insert(reason string) error {
	if c.minted == nil {
		return errMint
	}
	now, row := c.tx.Now(), *c.minted
	row.State, row.CreatedAt = string(Pending), now
	row.ActivateAt = later(now, PublishAhead)
	row.DueAt = row.ActivateAt
	if err := c.tx.InsertSigningKey(c.ctx, row); err != nil {
		return fmt.Errorf("insert signing key: %w", err)
	}
	c.used = true
	c.rows = append(c.rows, tenantq.SigningKey{
		TenantID: c.tx.Scope().Tenant(), Kid: row.Kid, Algorithm: row.Algorithm, State: row.State, PublicKey: row.PublicKey,
		PrivateSealed: row.PrivateSealed, CreatedAt: row.CreatedAt, Location: row.Location, ActivateAt: row.ActivateAt, DueAt: row.DueAt,
	})
	return c.record("signingkey.create", event.SigningKeyCreated, row.Kid, reason, attr.Text("algorithm", row.Algorithm), attr.Text("location", row.Location))
}

// activate lets a pending key sign, and retires the one that did.
func (c *lifeChange) activate(pending *tenantq.SigningKey, reason string) error {
	now := c.tx.Now()
	if active := c.of(Active); active != nil {
		row, err := c.tx.RetireSigningKey(c.ctx, tenantq.RetireSigningKeyParams{Kid: active.Kid, Now: now, RevokeAt: now.Add(RetireAfter)})
		if err != nil {
			return fmt.Errorf("retire signing key: %w", err)
		}
		*active = row
		if err := c.record("signingkey.retire", event.SigningKeyRetired, row.Kid, reason); err != nil {
			return err
		}
	}
	row, err := c.tx.ActivateSigningKey(c.ctx, tenantq.ActivateSigningKeyParams{Kid: pending.Kid, Now: now, DueAt: now.Add(lookAgainAfter)})
	if err != nil {
		return fmt.Errorf("activate signing key: %w", err)
	}
	*pending = row
	return c.record("signingkey.activate", event.SigningKeyActivated, row.Kid, reason)
}

// revoke ends a key. why is one of ours and stands in the row; reason is the caller's,
// and stands in the audit log.
func (c *lifeChange) revoke(key *tenantq.SigningKey, why, reason string) error {
	row, err := c.tx.RevokeSigningKey(c.ctx, tenantq.RevokeSigningKeyParams{Kid: key.Kid, Now: c.tx.Now(), Reason: why})
	if err != nil {
		return fmt.Errorf("revoke signing key: %w", err)
	}
	*key = row
	return c.record("signingkey.revoke", event.SigningKeyRevoked, row.Kid, reason, attr.Text("why", why))
}

func (c *lifeChange) record(action string, typ event.Type, kid, reason string, detail ...attr.Attr) error {
	c.noted = true
	if err := audit.Append(c.ctx, c.tx, audit.Entry{
		Action: action, Target: audit.Target{Kind: "signingkey", ID: kid}, Reason: reason, Detail: detail,
	}); err != nil {
		return err
	}
	return event.Append(c.ctx, c.tx, event.Event{Type: typ, Data: append([]attr.Attr{attr.Text("kid", kid)}, detail...)})
}
