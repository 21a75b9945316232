package keys

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrKeysChanged says that a tenant's keys are not those that were to be destroyed.
var ErrKeysChanged = fault.New(fault.Aborted, "KEYS_CHANGED", "the tenant's keys have changed meanwhile: try again")

// Inventory is all of a tenant's keys, as its deletion certificate names them.
type Inventory struct {
	DataKeys    []DestroyedDataKey    `json:"dataKeys"`
	SigningKeys []DestroyedSigningKey `json:"signingKeys"`
}

// DestroyedDataKey names a data key without telling it.
type DestroyedDataKey struct {
	Version       int32     `json:"version"`
	KMSKey        string    `json:"kmsKey"`
	WrappedSHA256 string    `json:"wrappedSha256"` // base64url, of its wrapped form: tells it in a backup
	CreatedAt     time.Time `json:"createdAt"`
}

// DestroyedSigningKey names a signing key.
type DestroyedSigningKey struct {
	KID       string `json:"kid"`
	Algorithm string `json:"algorithm"`
	// LeftInKMS says that the KMS that holds it did not destroy it: it may be gone, or
	// refuse. The key opens nothing, and what it signs nobody verifies.
	LeftInKMS bool `json:"leftInKms,omitempty"`
}

// PrepareDestruction revokes every signing key of the tenant, destroys those in the
// KMS, and returns what Destroy is to destroy. Nobody of the tenant's can be signed in
// from then on. It may be run again. ErrNoKeys when all is destroyed.
func (s *Service) PrepareDestruction(ctx context.Context, sc scope.Scope) (Inventory, error) {
	err := s.change(ctx, sc, Plan{}, func(c *lifeChange) error {
		for i := range c.rows {
			if err := c.revoke(&c.rows[i], "tenant destroyed", ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrNoKeys) { // revoked already, or there never were any
		return Inventory{}, err
	}
	if err := s.destroyRemote(ctx, sc); errors.Is(err, ErrKMSUnavailable) || errors.Is(err, db.ErrUnavailable) {
		return Inventory{}, err
	} else if err != nil { // a KMS that was left behind must not keep a tenant's data
		s.log.WarnContext(ctx, "signing keys stay in a KMS", "err", err, "tenant", sc.Tenant())
	}
	var inventory Inventory
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		inventory, err = inventoryOf(ctx, tx)
		return err
	})
	return inventory, err
}

func inventoryOf(ctx context.Context, tx *db.TenantTx) (Inventory, error) {
	var in Inventory
	data, err := tx.ListDataKeys(ctx)
	if err != nil {
		return in, fmt.Errorf("list data keys: %w", err)
	}
	if len(data) == 0 {
		return in, ErrNoKeys
	}
	for _, row := range data {
		sum := sha256.Sum256(row.Wrapped)
		in.DataKeys = append(in.DataKeys, DestroyedDataKey{
			Version: row.Version, KMSKey: row.KmsKey, CreatedAt: row.CreatedAt,
			WrappedSHA256: base64.RawURLEncoding.EncodeToString(sum[:]),
		})
	}
	signing, err := tx.ListSigningKeyHistory(ctx, maxHistory)
	if err != nil {
		return in, fmt.Errorf("list signing keys: %w", err)
	}
	for _, row := range signing {
		left := row.PrivateSealed != nil
		if left && (row.Location != locationKMS || State(row.State) != Revoked) {
			return in, ErrKeysChanged
		}
		in.SigningKeys = append(in.SigningKeys, DestroyedSigningKey{KID: row.Kid, Algorithm: row.Algorithm, LeftInKMS: left})
	}
	return in, nil
}

// Destroy deletes the tenant's data keys in tx, of the platform plane: what is sealed
// under them never opens again. want is PrepareDestruction's; ErrKeysChanged when a key
// has come or gone since. Servers that hold the keys drop them within a second, and the
// last copies in their memory within the grace.
func (s *Service) Destroy(ctx context.Context, tx *db.TenantTx, want Inventory) error {
	if err := tx.LockKeys(ctx); err != nil {
		return fmt.Errorf("lock keys: %w", err)
	}
	have, err := inventoryOf(ctx, tx)
	if err != nil {
		return err
	}
	if !have.same(want) {
		return ErrKeysChanged
	}
	for _, k := range have.SigningKeys {
		if k.LeftInKMS { // where it is could not be read any more
			if err := tx.DropSigningKeyPrivate(ctx, k.KID); err != nil {
				return fmt.Errorf("drop reference: %w", err)
			}
		}
	}
	for _, k := range have.DataKeys {
		if _, err := tx.DeleteDataKey(ctx, k.Version); err != nil {
			return fmt.Errorf("delete data key: %w", err)
		}
	}
	return tx.Changed(ctx, db.NounTenant, "")
}

func (in Inventory) same(other Inventory) bool {
	if len(in.DataKeys) != len(other.DataKeys) || len(in.SigningKeys) != len(other.SigningKeys) {
		return false
	}
	for i := range in.DataKeys {
		if in.DataKeys[i].Version != other.DataKeys[i].Version || in.DataKeys[i].WrappedSHA256 != other.DataKeys[i].WrappedSHA256 {
			return false
		}
	}
	return true
}
