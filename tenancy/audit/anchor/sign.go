package anchor

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/auditq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// seedField is where the key of the log of heads is sealed, by the platform tenant's.
var seedField = keys.Field{Table: "audit_anchor_log", Column: "seed"}

// signer signs checkpoints of the log of heads: note.Signer.
type signer struct {
	note.Verifier
	text string
	key  ed25519.PrivateKey
}

// Sign signs the text of a note.
func (s *signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// VerifierKey is its public half, as signed notes have it.
func (s *signer) VerifierKey() string { return s.text }

func newSigner(origin string, seed []byte) (*signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, errors.New("the key of the log of heads has another length")
	}
	s := &signer{key: ed25519.NewKeyFromSeed(seed)}
	var err error
	if s.text, err = note.NewEd25519VerifierKey(origin, s.public()); err == nil {
		s.Verifier, err = note.NewVerifier(s.text)
	}
	if err != nil {
		return nil, fmt.Errorf("log %s: %w", origin, err)
	}
	return s, nil
}

// public is the second half of a private key (RFC 8032).
func (s *signer) public() ed25519.PublicKey { return ed25519.PublicKey(s.key[ed25519.SeedSize:]) }

// signer opens the key, or makes it: the first anchor is about to be signed.
func (s *Service) signer(ctx context.Context, tx *db.AuditTx, ring *keys.Ring, log auditq.LockAnchorLogRow) (*signer, error) {
	if log.Seed != nil {
		seed, err := ring.Open(seedField, []byte(seedField.Table), log.Seed)
		if err != nil {
			return nil, fmt.Errorf("open the key of the log of heads: %w", err)
		}
		return newSigner(*log.Origin, seed)
	}
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails: crypto/rand ends the process instead
	by, err := newSigner(s.host+"/audit/heads", seed)
	if err != nil {
		return nil, err
	}
	sealed, err := ring.Seal(seedField, []byte(seedField.Table), seed)
	if err != nil {
		return nil, fmt.Errorf("seal the key of the log of heads: %w", err)
	}
	if err := tx.SetAnchorKey(ctx, auditq.SetAnchorKeyParams{Origin: by.Name(), PublicKey: by.public(), Seed: sealed}); err != nil {
		return nil, fmt.Errorf("keep the key of the log of heads: %w", err)
	}
	return by, nil
}

// Reseal seals the key of the log of heads anew, under the data key that seals now, if sc is of the platform tenant, an
// older one sealed it, and limit is above 0. done below limit says that none is left.
func (s *Service) Reseal(ctx context.Context, sc scope.Scope, limit int) (done int, err error) {
	if limit <= 0 || sc.Tenant() != scope.PlatformTenant {
		return 0, nil
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return 0, fmt.Errorf("keys: %w", err)
	}
	err = s.store.InAudit(ctx, func(tx *db.AuditTx) error {
		done = 0 // this may be the second run
		log, err := tx.LockAnchorLog(ctx)
		if db.IsNoRows(err) {
			return db.ErrUnavailable // while a server anchors: again later
		} else if err != nil {
			return fmt.Errorf("lock the log of heads: %w", err)
		}
		if version, ok := keys.VersionOf(log.Seed); log.Seed == nil || ok && version == ring.SealingVersion() {
			return nil
		}
		seed, err := ring.Open(seedField, []byte(seedField.Table), log.Seed)
		if err != nil {
			return fmt.Errorf("open the key of the log of heads: %w", err)
		}
		sealed, err := ring.Seal(seedField, []byte(seedField.Table), seed)
		if err != nil {
			return fmt.Errorf("seal the key of the log of heads: %w", err)
		}
		done = 1
		return tx.ReplaceAnchorSeed(ctx, sealed)
	})
	return done, err
}
