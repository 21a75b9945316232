package evidence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const (
	// storeBatch bounds how many records are in memory at a time: a megabyte each at worst.
	storeBatch  = 20
	deleteBatch = 200
	resealBatch = 250
	// awayFor is when object storage that does not serve is asked again.
	awayFor = 5 * time.Minute
)

// Maintain does what is due of the tenant's evidence: what has expired is destroyed, its
// key first, which takes no object storage; what waits is put there; and objects and rows
// of what nothing opens any more are removed. It may be run at any time, by several
// servers at once, and again after a failure. While object storage is away, it puts
// things off and says so.
func (s *Service) Maintain(ctx context.Context, sc scope.Scope) error {
	document, err := s.policy(ctx, sc)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	err = s.reckon(ctx, sc, document.EvidenceRetentionDays)
	if err == nil {
		err = s.shred(ctx, sc)
	}
	if err == nil {
		err = s.put(ctx, sc)
	}
	if err == nil {
		err = s.clear(ctx, sc)
	}
	if errors.Is(err, blob.ErrUnavailable) {
		s.log.WarnContext(ctx, "object storage is away: evidence waits in Postgres", "err", err, "tenant", sc.Tenant())
		var n int64 // of the run that is committed
		if err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			n, err = tx.PostponeEvidence(ctx, tenantq.PostponeEvidenceParams{Now: tx.Now(), Until: tx.Now().Add(awayFor)})
			return err
		}); err != nil {
			return fmt.Errorf("postpone evidence: %w", err)
		}
		s.postponed.Add(n)
		return nil
	}
	return err
}

// reckon applies a changed retention to what is kept already. A policy that keeps none
// speaks of what is to come: it destroys nothing that was promised to be kept.
func (s *Service) reckon(ctx context.Context, sc scope.Scope, days int) error {
	if days == 0 {
		return nil
	}
	return s.each(ctx, sc, "reckon retention", deleteBatch, func(tx *db.TenantTx) (int64, error) {
		return tx.SetEvidenceRetention(ctx, tenantq.SetEvidenceRetentionParams{Days: int32(days), MaxRows: deleteBatch}) //nolint:gosec // at most 3650
	})
}

// each repeats fn, a transaction each time, until it has done fewer than batch.
func (s *Service) each(ctx context.Context, sc scope.Scope, what string, batch int64, fn func(*db.TenantTx) (int64, error)) error {
	for {
		var n int64
		err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			n, err = fn(tx)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if n < batch {
			return nil
		}
	}
}

// put moves to object storage what waits. An object that is there twice is the same:
// a crash between the object and its note repeats it.
func (s *Service) put(ctx context.Context, sc scope.Scope) error {
	if s.objects == nil {
		return nil
	}
	for {
		var rows []tenantq.ListWaitingEvidenceRow
		err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			rows, err = tx.ListWaitingEvidence(ctx, storeBatch)
			return err
		})
		if err != nil {
			return fmt.Errorf("list waiting evidence: %w", err)
		}
		for _, row := range rows {
			if err := s.objects.Put(ctx, sc, objectKind, row.ID, row.Body); err != nil {
				return err
			}
			// Nothing to do where it was erased meanwhile: its row stays until the object is gone.
			if err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
				_, err := tx.SetEvidenceStored(ctx, tenantq.SetEvidenceStoredParams{ID: row.ID, Now: tx.Now()})
				return err
			}); err != nil {
				return fmt.Errorf("note stored evidence: %w", err)
			}
		}
		if len(rows) < storeBatch {
			return nil
		}
	}
}

// shred destroys the keys of what has expired.
func (s *Service) shred(ctx context.Context, sc scope.Scope) error {
	return s.each(ctx, sc, "shred expired evidence", deleteBatch, func(tx *db.TenantTx) (int64, error) {
		n, err := tx.ShredExpiredEvidence(ctx, tenantq.ShredExpiredEvidenceParams{Now: tx.Now(), MaxRows: deleteBatch})
		if err != nil || n == 0 {
			return n, err
		}
		return n, audit.Append(ctx, tx, audit.Entry{
			Action: "evidence.expire", Reason: "its retention has ended", Detail: []attr.Attr{attr.Int("count", n)},
		})
	})
}

// clear removes object and row of all whose key is gone.
func (s *Service) clear(ctx context.Context, sc scope.Scope) error {
	for {
		var rows []tenantq.ListShreddedEvidenceRow
		err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			rows, err = tx.ListShreddedEvidence(ctx, tenantq.ListShreddedEvidenceParams{Now: tx.Now(), MaxRows: deleteBatch})
			return err
		})
		if err != nil {
			return fmt.Errorf("list shredded evidence: %w", err)
		}
		for _, row := range rows {
			if err := s.remove(ctx, sc, row); err != nil {
				return err
			}
		}
		if len(rows) < deleteBatch {
			return nil
		}
	}
}

// Destroy removes all of the tenant's evidence, keys, objects and rows, whatever was
// promised: the tenant itself is being destroyed. It may be run again after a failure.
// blob.ErrUnavailable.
func (s *Service) Destroy(ctx context.Context, sc scope.Scope) error {
	if err := s.each(ctx, sc, "shred evidence", deleteBatch, func(tx *db.TenantTx) (int64, error) {
		return tx.ShredEvidence(ctx, tenantq.ShredEvidenceParams{Now: tx.Now(), MaxRows: deleteBatch})
	}); err != nil {
		return err
	}
	return s.clear(ctx, sc)
}

// remove deletes the object, also of a row that says it was never put: the note may
// have been lost.
func (s *Service) remove(ctx context.Context, sc scope.Scope, row tenantq.ListShreddedEvidenceRow) error {
	switch {
	case s.objects != nil:
		if err := s.objects.Delete(ctx, sc, objectKind, row.ID); err != nil {
			return err
		}
	case row.StoredAt != nil:
		return blob.ErrUnavailable.WithCause(errors.New("none is configured, and objects are to be deleted"))
	}
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if _, err := tx.DeleteEvidence(ctx, row.ID); err != nil {
			return fmt.Errorf("delete evidence: %w", err)
		}
		return nil
	})
}

// Reseal seals anew, under the data key that seals now, up to limit record keys that an
// older one sealed. done below limit says that none is left. No object is touched.
// What does not open is left alone and does not keep the others; the error names one.
func (s *Service) Reseal(ctx context.Context, sc scope.Scope, limit int) (done int, err error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return 0, fmt.Errorf("keys: %w", err)
	}
	var damaged error
	err = s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		done, damaged = 0, nil // this may be the second run
		q := tenantq.ListStaleEvidenceKeysParams{KeyVersion: int64(ring.SealingVersion()), AfterVersion: -1}
		for done < limit {
			q.MaxRows = int32(min(limit-done, resealBatch)) //nolint:gosec // at most resealBatch
			rows, err := tx.ListStaleEvidenceKeys(ctx, q)
			if err != nil {
				return fmt.Errorf("list stale evidence keys: %w", err)
			}
			for _, row := range rows {
				q.AfterVersion, q.AfterID = row.KeyVersion, row.ID
				n, err := resealKey(ctx, tx, ring, row)
				if errors.Is(err, keys.ErrSealed) {
					damaged = fmt.Errorf("evidence %s: %w", row.ID, err)
				} else if err != nil {
					return err
				}
				done += n
			}
			if len(rows) < int(q.MaxRows) {
				break
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if done < limit {
		return done, damaged
	}
	return done, nil
}

func resealKey(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, row tenantq.ListStaleEvidenceKeysRow) (int, error) {
	key, err := ring.Open(recordKey, row.ID[:], row.RecordKey)
	if err != nil {
		return 0, err
	}
	sealed, err := ring.Seal(recordKey, row.ID[:], key)
	if err != nil {
		return 0, fmt.Errorf("seal record key: %w", err)
	}
	n, err := tx.ReplaceEvidenceKey(ctx, tenantq.ReplaceEvidenceKeyParams{
		ID: row.ID, RecordKey: sealed, KeyVersion: int64(ring.SealingVersion()), Was: row.RecordKey,
	})
	if err != nil {
		return 0, fmt.Errorf("replace evidence key: %w", err)
	}
	return int(n), nil
}
