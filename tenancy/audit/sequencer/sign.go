package sequencer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/auditq"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// seedField is where a log's key is sealed; the row is the tenant's.
var seedField = keys.Field{Table: "audit_logs", Column: "seed"}

// signer signs checkpoints of one log: note.Signer.
type signer struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
}

// signers are those that were opened. Logs are as many as tenants.
type signers map[uuid.UUID]*signer

// Name is the log's.
func (s *signer) Name() string { return s.name }

// KeyHash tells keys of one name apart.
func (s *signer) KeyHash() uint32 { return s.hash }

// Sign signs the text of a note.
func (s *signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

func newSigner(origin string, seed []byte) (*signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, errors.New("the key of a log has another length")
	}
	v, err := Verifier(origin, publicOf(seed))
	if err != nil {
		return nil, err
	}
	return &signer{name: origin, hash: v.KeyHash(), key: ed25519.NewKeyFromSeed(seed)}, nil
}

// publicOf is the public half, which is the second half of a private key (RFC 8032).
func publicOf(seed []byte) ed25519.PublicKey {
	return ed25519.PublicKey(ed25519.NewKeyFromSeed(seed)[ed25519.SeedSize:])
}

// Verifier checks what the key of the log with this name has signed.
func Verifier(origin string, public ed25519.PublicKey) (note.Verifier, error) {
	text, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return nil, fmt.Errorf("log %s: %w", origin, err)
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, fmt.Errorf("log %s: %w", origin, err)
	}
	return v, nil
}

// search learns which logs have no checkpoint over all they hold.
func (s *Sequencer) search(ctx context.Context) error {
	return s.store.InAudit(ctx, func(tx *db.AuditTx) error {
		tenants, err := tx.UnsignedLogs(ctx)
		if err != nil {
			return fmt.Errorf("unsigned logs: %w", err)
		}
		for _, tenant := range tenants {
			s.unsigned[tenant] = true
		}
		return nil
	})
}

// Sign signs a checkpoint over each log that Move has made longer. A log whose keys cannot be
// had now, because the KMS is away, is tried again; one whose keys are destroyed is left alone.
func (s *Sequencer) Sign(ctx context.Context) error {
	var failed error
	for tenant := range s.unsigned {
		switch err := s.signOne(ctx, tenant); {
		case errors.Is(err, keys.ErrNoKeys):
			delete(s.signers, tenant)
			delete(s.unsigned, tenant)
		case err == nil:
			delete(s.unsigned, tenant)
		default:
			failed = fmt.Errorf("sign the log of %s: %w", tenant, err)
		}
	}
	return failed
}

func (s *Sequencer) signOne(ctx context.Context, tenant uuid.UUID) error {
	ring, err := s.keys.Ring(ctx, scope.New(tenant, scope.Actor{Kind: scope.ActorSystem, ID: "sequencer"}))
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return s.store.InAudit(ctx, func(tx *db.AuditTx) error {
		row, err := tx.LockLog(ctx, tenant)
		if db.IsNoRows(err) {
			return nil // the tenant is gone
		} else if err != nil {
			return fmt.Errorf("lock log: %w", err)
		}
		if row.SignedSize == row.Size {
			return nil // by another server
		}
		by, err := s.signer(ctx, tx, ring, row)
		if err != nil {
			return err
		}
		edge, err := merkle.ParseEdge(row.Size, row.Edge)
		if err != nil {
			return err
		}
		signed, err := merkle.Checkpoint{Origin: by.name, Size: edge.Size, Root: edge.Root()}.Sign(by)
		if err != nil {
			return err
		}
		return tx.SetCheckpoint(ctx, auditq.SetCheckpointParams{Tenant: tenant, Size: edge.Size, Checkpoint: signed, Now: tx.Now()})
	})
}

// signer opens the log's key, or makes it: its first checkpoint is about to be signed.
func (s *Sequencer) signer(ctx context.Context, tx *db.AuditTx, ring *keys.Ring, row auditq.LockLogRow) (*signer, error) {
	if by := s.signers[row.TenantID]; by != nil && row.Seed != nil {
		return by, nil
	}
	var seed []byte
	var origin string
	if row.Seed == nil {
		origin, seed = s.host+"/audit/"+row.TenantID.String(), make([]byte, ed25519.SeedSize)
		_, _ = rand.Read(seed) // never fails: crypto/rand ends the process instead
		sealed, err := ring.Seal(seedField, row.TenantID[:], seed)
		if err != nil {
			return nil, fmt.Errorf("seal the log's key: %w", err)
		}
		if err := tx.SetLogKey(ctx, auditq.SetLogKeyParams{Tenant: row.TenantID, Origin: origin, PublicKey: publicOf(seed), Seed: sealed}); err != nil {
			return nil, fmt.Errorf("keep the log's key: %w", err)
		}
	} else {
		var err error
		if seed, err = ring.Open(seedField, row.TenantID[:], row.Seed); err != nil {
			return nil, fmt.Errorf("open the log's key: %w", err)
		}
		origin = *row.Origin
	}
	by, err := newSigner(origin, seed)
	if err == nil && row.Seed != nil { // one that is made now is not kept before it is committed
		s.signers[row.TenantID] = by
	}
	return by, err
}

// Reseal seals the log's key anew, under the data key that seals now, if an older one sealed it
// and limit is above 0. done below limit says that none is left.
func (s *Sequencer) Reseal(ctx context.Context, sc scope.Scope, limit int) (done int, err error) {
	if limit <= 0 {
		return 0, nil
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return 0, fmt.Errorf("keys: %w", err)
	}
	err = s.store.InAudit(ctx, func(tx *db.AuditTx) error {
		done = 0 // this may be the second run
		row, err := tx.LockLog(ctx, sc.Tenant())
		if db.IsNoRows(err) || err == nil && row.Seed == nil {
			return nil
		} else if err != nil {
			return fmt.Errorf("lock log: %w", err)
		}
		if version, ok := keys.VersionOf(row.Seed); ok && version == ring.SealingVersion() {
			return nil
		}
		seed, err := ring.Open(seedField, row.TenantID[:], row.Seed)
		if err != nil {
			return fmt.Errorf("open the log's key: %w", err)
		}
		sealed, err := ring.Seal(seedField, row.TenantID[:], seed)
		if err != nil {
			return fmt.Errorf("seal the log's key: %w", err)
		}
		done = 1
		return tx.ReplaceLogSeed(ctx, auditq.ReplaceLogSeedParams{Tenant: row.TenantID, Seed: sealed})
	})
	return done, err
}
