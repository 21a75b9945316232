package anchor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Faults of anchors.
var (
	ErrNone    = fault.New(fault.NotFound, "AUDIT_ANCHOR_UNKNOWN", "no head of this audit log is in object storage: the first is some minutes after its first entry, where the installation has object storage")
	ErrDamaged = fault.New(fault.Damaged, "AUDIT_ANCHOR_DAMAGED", "what object storage has is not the anchor that was stored: an operator of the installation must look")
)

// Anchored is a head of a tenant's log that is in object storage.
type Anchored struct {
	Head  bundle.Head
	Proof bundle.AnchoredHead
	Note  merkle.Checkpoint // what the proof's checkpoint says

	Object      string // its address
	Version     string
	StoredAt    time.Time
	LockedUntil time.Time // zero: it is not locked
	Problem     string    // why
}

// Last is the tenant's last head that is in object storage, read from there. ErrNone, ErrDamaged, blob.ErrUnavailable.
func (s *Service) Last(ctx context.Context, sc scope.Scope) (Anchored, error) {
	if s.objects == nil {
		return Anchored{}, ErrNone
	}
	var head tenantq.GetAnchoredHeadRow
	if err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if head, err = tx.GetAnchoredHead(ctx); db.IsNoRows(err) {
			return ErrNone
		} else if err != nil {
			return fmt.Errorf("get anchored head: %w", err)
		}
		return nil
	}); err != nil {
		return Anchored{}, err
	}
	var row platformq.GetAnchorRow
	if err := s.store.InPlatform(ctx, "which object has a tenant's anchored head", func(tx *db.PlatformTx) (err error) {
		if row, err = tx.GetAnchor(ctx, head.AnchorID); err != nil {
			return fmt.Errorf("get anchor: %w", err)
		}
		return nil
	}); err != nil {
		return Anchored{}, err
	}
	a := Anchored{Object: s.objects.Address(platform(), Kind, row.ID), Version: row.Version, StoredAt: *row.StoredAt, Problem: row.Problem}
	if row.LockedUntil != nil {
		a.LockedUntil = *row.LockedUntil
	}
	if err := s.prove(ctx, sc, row.ID, head.Seq, &a); err != nil {
		return Anchored{}, err
	}
	if a.Head.Size != head.Size || a.Head.Root != merkle.Hash(head.Root) {
		return Anchored{}, ErrDamaged.WithCause(errors.New("the line is of another head"))
	}
	return a, nil
}

// prove fills in what the object shows.
func (s *Service) prove(ctx context.Context, sc scope.Scope, id uuid.UUID, seq int64, a *Anchored) error {
	body, err := s.objects.GetVersion(ctx, platform(), Kind, id, a.Version)
	if errors.Is(err, blob.ErrNotFound) {
		return ErrDamaged.WithCause(fmt.Errorf("anchor %s is gone", id))
	} else if err != nil {
		return fmt.Errorf("get anchor %s: %w", id, err)
	}
	h, lines, err := bundle.ReadAnchor(body)
	if err != nil {
		return ErrDamaged.WithCause(err)
	}
	flat := make([]merkle.Hash, 0, len(h.Edge))
	piece := merkle.Piece{Before: merkle.Edge{Size: h.From, Roots: append(flat, h.Edge...)}}
	for i := range lines {
		piece.Leaves = append(piece.Leaves, lines[i].Leaf)
	}
	hashes, err := piece.Prove(seq)
	if err != nil {
		return ErrDamaged.WithCause(err)
	}
	line := &lines[seq-h.From]
	a.Proof = bundle.AnchoredHead{
		Entry: line.Entry, Sequence: seq, Hashes: hashes, Checkpoint: bundle.AnchorNote{Note: h.Checkpoints[0]}, VerifierKey: h.VerifierKey, AnchoredAt: line.SequencedAt,
	}
	if a.Head, err = a.Proof.Check(""); err != nil {
		return ErrDamaged.WithCause(err)
	}
	if a.Head.TenantID != sc.Tenant().String() {
		return ErrDamaged.WithCause(errors.New("the line is of another tenant"))
	}
	a.Note, err = merkle.Read(h.Checkpoints[0])
	return err
}
