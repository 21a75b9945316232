package archive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Maintain does what is due of the tenant's exports: archives that have expired are
// destroyed, key first; the parts of what has ended are removed; and the export that waits,
// or that nobody has been at for the length of a lease, is written. It may be run at any
// time, by several servers at once, and again after a failure.
func (s *Service) Maintain(ctx context.Context, sc scope.Scope) error {
	if err := s.expire(ctx, sc); err != nil {
		return err
	}
	if err := s.clear(ctx, sc); errors.Is(err, blob.ErrUnavailable) {
		s.log.WarnContext(ctx, "object storage is away: archives wait to be removed", "err", err, "tenant", sc.Tenant())
		if err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
			return tx.PostponeEndedExports(ctx, tenantq.PostponeEndedExportsParams{Now: tx.Now(), Until: tx.Now().Add(awayFor)})
		}); err != nil {
			return fmt.Errorf("postpone exports: %w", err)
		}
	} else if err != nil {
		return err
	}
	row, err := s.claim(ctx, sc)
	if err != nil || row == nil {
		return err
	}
	return s.attempt(ctx, sc, row)
}

// expire destroys the keys of archives whose time is over.
func (s *Service) expire(ctx context.Context, sc scope.Scope) error {
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		ids, err := tx.ExpireExports(ctx, tx.Now())
		if err != nil {
			return fmt.Errorf("expire exports: %w", err)
		}
		for _, id := range ids {
			if err := record(ctx, tx, "export.expire", "its time is over", event.ExportExpired, id, Expired); err != nil {
				return err
			}
		}
		return nil
	})
}

// clear removes the parts of what nothing opens any more.
func (s *Service) clear(ctx context.Context, sc scope.Scope) error {
	for {
		var rows []tenantq.ListEndedExportsRow
		if err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			rows, err = tx.ListEndedExports(ctx, tenantq.ListEndedExportsParams{Now: tx.Now(), MaxRows: endedBatch})
			return err
		}); err != nil {
			return fmt.Errorf("list ended exports: %w", err)
		}
		for _, row := range rows {
			if err := s.removeParts(ctx, sc, row.ID, int(row.Attempt), int(row.Parts)); err != nil {
				return err
			}
			if err := s.cleared(ctx, sc, row.ID); err != nil {
				return err
			}
		}
		if len(rows) < endedBatch {
			return nil
		}
	}
}

func (s *Service) cleared(ctx context.Context, sc scope.Scope, id uuid.UUID) error {
	if err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error { return tx.SetExportCleared(ctx, id) }); err != nil {
		return fmt.Errorf("note removed parts: %w", err)
	}
	return nil
}

// claim takes the export that is to be written; nil: there is none.
func (s *Service) claim(ctx context.Context, sc scope.Scope) (*tenantq.Export, error) {
	var claimed *tenantq.Export
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		claimed = nil // this may be the second run
		row, err := tx.ClaimExport(ctx, tenantq.ClaimExportParams{Now: tx.Now(), Lease: tx.Now().Add(lease)})
		if db.IsNoRows(err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("claim export: %w", err)
		}
		claimed = &row
		return nil
	})
	return claimed, err
}

// attempt writes the archive once. What fails is noted in the row: another attempt follows,
// or none. The error is of the note alone.
func (s *Service) attempt(ctx context.Context, sc scope.Scope, row *tenantq.Export) error {
	if row.Attempt >= maxAttempts { // the last one died without a word
		return s.fail(ctx, sc, row, int(row.Attempt), errBroken)
	}
	attempt := int(row.Attempt)
	err := s.removeParts(ctx, sc, row.ID, attempt, int(row.Parts))
	if err == nil {
		err = s.write(ctx, sc, row, &attempt)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errLost):
		s.log.InfoContext(ctx, "an export was cancelled, or taken over", "tenant", sc.Tenant())
		return nil
	}
	// The job's time may be over, or the server on its way out.
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return s.fail(noting, sc, row, attempt, err)
}

// fail notes why an attempt has failed, and when the next one follows.
func (s *Service) fail(ctx context.Context, sc scope.Scope, row *tenantq.Export, attempt int, err error) error {
	reason := "INTERNAL"
	if f, ok := fault.As(err); ok {
		reason = f.Reason
	} else if errors.Is(err, context.Canceled) {
		reason = errBroken.Reason
	}
	s.log.WarnContext(ctx, "an export's attempt has failed", "err", err, "tenant", sc.Tenant(), "attempt", attempt)
	final := attempt >= maxAttempts || errors.Is(err, errLong)
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if !final {
			wait := time.Duration(attempt*attempt) * 30 * time.Second
			if reason == errBroken.Reason {
				wait = 0 // another server is well
			}
			_, err := tx.PostponeExport(ctx, tenantq.PostponeExportParams{ID: row.ID, Attempt: int32(attempt), Failure: reason, DueAt: tx.Now().Add(wait)}) //nolint:gosec // at most maxAttempts
			if err != nil {
				return fmt.Errorf("postpone export: %w", err)
			}
			return nil
		}
		n, err := tx.FailExport(ctx, tenantq.FailExportParams{ID: row.ID, Attempt: int32(attempt), Failure: reason, Now: tx.Now()}) //nolint:gosec // at most maxAttempts
		if err != nil {
			return fmt.Errorf("end export: %w", err)
		}
		if n == 0 { // cancelled, or another's
			return nil
		}
		return record(ctx, tx, "export.finish", reason, event.ExportFinished, row.ID, Failed)
	})
}

// begin makes another attempt of a claimed export, with a key of its own.
func (s *Service) begin(ctx context.Context, sc scope.Scope, ring *keys.Ring, row *tenantq.Export, attempt *int) (*cipherOf, error) {
	key, sealed, version, err := newKey(ring, row.ID)
	if err != nil {
		return nil, err
	}
	if err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		n, err := tx.StartExport(ctx, tenantq.StartExportParams{
			ID: row.ID, Attempt: row.Attempt, Now: tx.Now(), Lease: tx.Now().Add(lease), FilesTotal: int32(len(tables)), //nolint:gosec // some dozens
			ArchiveKey: sealed, KeyVersion: int64(version),
		})
		if err != nil {
			return fmt.Errorf("start export: %w", err)
		}
		if n == 0 {
			return errLost
		}
		return nil
	}); err != nil {
		return nil, err
	}
	*attempt++
	return newCipher(ring, row.ID, key)
}

// finish notes that the archive is whole.
func (s *Service) finish(ctx context.Context, sc scope.Scope, id uuid.UUID, attempt int, rows int64, w *partWriter) error {
	sum := w.hash.Sum(nil)
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		n, err := tx.FinishExport(ctx, tenantq.FinishExportParams{
			ID: id, Attempt: int32(attempt), Now: tx.Now(), ExpiresAt: tx.Now().Add(Life), RowsDone: rows, Size: w.size, Sha256: sum, //nolint:gosec // at most maxAttempts
		})
		if err != nil {
			return fmt.Errorf("finish export: %w", err)
		}
		if n == 0 {
			return errLost
		}
		return record(ctx, tx, "export.finish", "", event.ExportFinished, id, Done,
			attr.Int("rows", rows), attr.Int("size", w.size), attr.Text("sha256", hex.EncodeToString(sum)))
	})
}

// Download opens an archive for reading, with a key of the tenant itself. That somebody has
// it is recorded first. ErrNotReady, ErrGone, ErrNotFound, ErrTenant; ErrOwnKeys for the
// platform plane; blob.ErrUnavailable.
func (s *Service) Download(ctx context.Context, sc scope.Scope, tenant, id uuid.UUID) (*Download, error) {
	switch {
	case sc.Tenant() == scope.PlatformTenant:
		return nil, ErrOwnKeys
	case sc.Tenant() != tenant || sc.IsSupport():
		return nil, ErrTenant
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	var d *Download
	err = s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		row, err := get(ctx, tx, id)
		if err != nil {
			return err
		}
		e := fromRow(row)
		switch {
		case e.State.Open():
			return ErrNotReady
		case e.State != Done || !tx.Now().Before(*e.ExpiresAt):
			return ErrGone
		case s.objects == nil:
			return blob.ErrUnavailable.WithCause(errors.New("none is configured"))
		}
		key, err := ring.Open(archiveKey, id[:], row.ArchiveKey)
		if err != nil {
			return fmt.Errorf("open archive key: %w", err)
		}
		c, err := newCipher(ring, id, key)
		if err != nil {
			return err
		}
		d = &Download{Export: e, Name: "biocore-export-" + id.String() + ".zip", read: s.reader(sc, c, e, int(row.Parts))}
		return record(ctx, tx, "export.download", "", event.ExportDownloaded, id, Done, attr.Text("sha256", e.SHA256))
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Destroy removes all of the tenant's archives, whatever was promised: the tenant itself is
// being destroyed. It may be run again after a failure, and fails while a part may be on its
// way. blob.ErrUnavailable.
func (s *Service) Destroy(ctx context.Context, sc scope.Scope) error {
	var rows []tenantq.ListPutExportsRow
	var now time.Time
	if err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		now = tx.Now()
		if _, err := tx.EndExports(ctx, tenantq.EndExportsParams{Now: now, ClearAt: now.Add(settle)}); err != nil {
			return fmt.Errorf("end exports: %w", err)
		}
		rows, err = tx.ListPutExports(ctx)
		return err
	}); err != nil {
		return err
	}
	for _, row := range rows {
		if row.EndedAt != nil && now.Sub(*row.EndedAt) < settle {
			return errors.New("an archive was being written a moment ago")
		}
		if err := s.removeParts(ctx, sc, row.ID, int(row.Attempt), int(row.Parts)); err != nil {
			return err
		}
		if err := s.cleared(ctx, sc, row.ID); err != nil {
			return err
		}
	}
	return nil
}

// Reseal seals anew, under the data key that seals now, up to limit archive keys that an
// older one sealed. done below limit says that none is left.
func (s *Service) Reseal(ctx context.Context, sc scope.Scope, limit int) (done int, err error) {
	if limit <= 0 {
		return 0, nil
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return 0, fmt.Errorf("keys: %w", err)
	}
	err = s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		done = 0 // this may be the second run
		version := int64(ring.SealingVersion())
		rows, err := tx.ListStaleExportKeys(ctx, tenantq.ListStaleExportKeysParams{KeyVersion: version, MaxRows: int32(min(limit, endedBatch))}) //nolint:gosec // bounded
		if err != nil {
			return fmt.Errorf("list stale archive keys: %w", err)
		}
		for _, row := range rows {
			key, err := ring.Open(archiveKey, row.ID[:], row.ArchiveKey)
			if err != nil {
				return fmt.Errorf("export %s: %w", row.ID, err)
			}
			sealed, err := ring.Seal(archiveKey, row.ID[:], key)
			if err != nil {
				return fmt.Errorf("seal archive key: %w", err)
			}
			n, err := tx.ReplaceExportKey(ctx, tenantq.ReplaceExportKeyParams{ID: row.ID, ArchiveKey: sealed, KeyVersion: version, Was: row.ArchiveKey})
			if err != nil {
				return fmt.Errorf("replace archive key: %w", err)
			}
			done += int(n)
		}
		return nil
	})
	return done, err
}
