package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Maintain does what is due of the tenant's reports: those of schedules are asked for, those whose time is over are
// destroyed, key first, and those that wait, or that nobody has been at for the length of a lease, are made. It may be
// run at any time, by several servers at once, and again after a failure.
func (s *Service) Maintain(ctx context.Context, sc scope.Scope) error {
	if err := s.scheduled(ctx, sc); err != nil {
		return err
	}
	if err := s.expire(ctx, sc); err != nil {
		return err
	}
	if err := s.clear(ctx, sc); errors.Is(err, blob.ErrUnavailable) {
		s.log.WarnContext(ctx, "object storage is away: reports wait to be removed", "err", err, "tenant", sc.Tenant())
		if err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
			return tx.PostponeRemovedReports(ctx, tenantq.PostponeRemovedReportsParams{Now: tx.Now(), Until: tx.Now().Add(awayFor)})
		}); err != nil {
			return fmt.Errorf("postpone reports: %w", err)
		}
	} else if err != nil {
		return err
	}
	for range maxOpen {
		row, err := s.claim(ctx, sc)
		if err != nil || row == nil {
			return err
		}
		if err := s.attempt(ctx, sc, row); err != nil {
			return err
		}
	}
	return nil
}

// expire destroys the keys of reports whose time is over.
func (s *Service) expire(ctx context.Context, sc scope.Scope) error {
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ExpireReports(ctx, tx.Now())
		if err != nil {
			return fmt.Errorf("expire reports: %w", err)
		}
		for i := range rows {
			r := fromRow(&rows[i])
			r.State = Done
			if err := record(ctx, tx, "report.expire", "its time is over", event.ReportExpired, &r); err != nil {
				return err
			}
		}
		return nil
	})
}

// clear removes object and row of what nothing opens any more.
func (s *Service) clear(ctx context.Context, sc scope.Scope) error {
	for {
		var rows []tenantq.ListRemovedReportsRow
		if err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			rows, err = tx.ListRemovedReports(ctx, tenantq.ListRemovedReportsParams{Now: tx.Now(), MaxRows: removeBatch})
			return err
		}); err != nil {
			return fmt.Errorf("list removed reports: %w", err)
		}
		for _, row := range rows {
			if err := s.erase(ctx, sc, row.ID, int(row.Attempt)); err != nil {
				return err
			}
		}
		if len(rows) < removeBatch {
			return nil
		}
	}
}

// erase removes the objects of all attempts, those too that were never put, and then the row.
func (s *Service) erase(ctx context.Context, sc scope.Scope, id uuid.UUID, attempts int) error {
	if attempts > 0 && s.objects == nil {
		return blob.ErrUnavailable.WithCause(errors.New("none is configured, and objects are to be deleted"))
	}
	for n := range attempts {
		if err := s.objects.Delete(ctx, sc, objectKind, objectID(id, n+1)); err != nil {
			return err
		}
	}
	if err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error { return tx.DeleteReport(ctx, id) }); err != nil {
		return fmt.Errorf("delete report: %w", err)
	}
	return nil
}

// claim takes the report that is to be made, and begins an attempt; nil: there is none.
func (s *Service) claim(ctx context.Context, sc scope.Scope) (*tenantq.Report, error) {
	var claimed *tenantq.Report
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		claimed = nil // this may be the second run
		row, err := tx.ClaimReport(ctx, tenantq.ClaimReportParams{Now: tx.Now(), Lease: tx.Now().Add(lease)})
		if db.IsNoRows(err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("claim report: %w", err)
		}
		claimed = &row
		return nil
	})
	return claimed, err
}

// attempt makes the report once. What fails is noted in the row: another attempt follows, or none. The error is of the
// note alone.
func (s *Service) attempt(ctx context.Context, sc scope.Scope, row *tenantq.Report) error {
	err := error(errBroken)
	if row.Attempt <= maxAttempts { // else the last one died without a word
		err = s.make(ctx, sc, row)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errLost):
		s.log.InfoContext(ctx, "a report was removed, or taken over", "tenant", sc.Tenant())
		return nil
	}
	// The job's time may be over, or the server on its way out.
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return s.fail(noting, sc, row, err)
}

// fail notes why an attempt has failed, and when the next one follows.
func (s *Service) fail(ctx context.Context, sc scope.Scope, row *tenantq.Report, err error) error {
	reason := "INTERNAL"
	if f, ok := fault.As(err); ok {
		reason = f.Reason
	} else if errors.Is(err, context.Canceled) {
		reason = errBroken.Reason
	}
	s.log.WarnContext(ctx, "a report's attempt has failed", "err", err, "tenant", sc.Tenant(), "attempt", row.Attempt)
	final := row.Attempt >= maxAttempts || errors.Is(err, ErrCatalogue) || errors.Is(err, errLarge)
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if !final {
			wait := time.Duration(row.Attempt) * 30 * time.Second
			if reason == errBroken.Reason {
				wait = 0 // another server is well
			}
			if _, err := tx.PostponeReport(ctx, tenantq.PostponeReportParams{ID: row.ID, Attempt: row.Attempt, Failure: reason, DueAt: tx.Now().Add(wait)}); err != nil {
				return fmt.Errorf("postpone report: %w", err)
			}
			return nil
		}
		n, err := tx.FailReport(ctx, tenantq.FailReportParams{ID: row.ID, Attempt: row.Attempt, Failure: reason, Now: tx.Now(), ExpiresAt: tx.Now().AddDate(0, 0, int(row.KeepDays))})
		if err != nil {
			return fmt.Errorf("end report: %w", err)
		}
		if n == 0 { // removed, or another's
			return nil
		}
		r := fromRow(row)
		r.State, r.Failure = Failed, reason
		return record(ctx, tx, "report.finish", "", event.ReportFinished, &r)
	})
}

// make takes the measurements, prints, signs, seals and puts a report, and notes that it is done.
func (s *Service) make(ctx context.Context, sc scope.Scope, row *tenantq.Report) error {
	if s.objects == nil {
		return ErrNoStorage
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	var doc *Document
	if err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		doc, err = s.documentIn(ctx, tx, row.Catalogue)
		return err
	}); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, s.longest)
	defer cancel()
	r := fromRow(row)
	began := s.store.Now()
	body, timings, err := s.evaluate(bounded, sc, ring, doc, r.Period, !r.Period.To.After(began), s.noter(bounded, sc, row, stepsOf(doc.Catalogue)))
	if err != nil {
		return err
	}
	with, before, err := s.before(bounded, sc, &r)
	if err != nil {
		return err
	}
	body.compare(with, before)
	files, err := printed(body)
	if err != nil {
		return err
	}
	checkpoint, shown, err := s.shown(bounded, sc, ring, body)
	if err != nil {
		return err
	}
	packed, err := bundle(bounded, ring, &r, files, shown, timings, checkpoint, began)
	if err != nil {
		return err
	}
	sealedKey, version, sealed, err := seal(ring, r.ID, packed)
	if err != nil {
		return err
	}
	if len(sealed) > blob.MaxBytes {
		return errLarge
	}
	if err := s.objects.Put(bounded, sc, objectKind, objectID(r.ID, r.Attempt), sealed); err != nil {
		return err
	}
	err = s.finish(bounded, sc, row, body, files, sealedKey, version)
	if errors.Is(err, errLost) { // whoever removed it may have looked for the object already
		return errors.Join(err, s.objects.Delete(bounded, sc, objectKind, objectID(r.ID, r.Attempt)))
	}
	if err != nil {
		return err
	}
	// An attempt that died after its put has left an object that nothing opens. What stays of it now goes with the report.
	for n := 1; n < r.Attempt; n++ {
		if err := s.objects.Delete(bounded, sc, objectKind, objectID(r.ID, n)); err != nil {
			s.log.WarnContext(ctx, "the object of a report's broken attempt stays until the report goes", "err", err, "tenant", sc.Tenant(), "attempt", n)
			break
		}
	}
	return nil
}

// finish notes that a report is whole. errLost.
func (s *Service) finish(ctx context.Context, sc scope.Scope, row *tenantq.Report, body *Body, files []file, sealedKey []byte, version int64) error {
	size := 0
	for _, f := range files {
		size += len(f.body)
	}
	sum := sha256Of(files[0].body)
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		n, err := tx.FinishReport(ctx, tenantq.FinishReportParams{
			ID: row.ID, Attempt: row.Attempt, Now: tx.Now(), ExpiresAt: tx.Now().AddDate(0, 0, int(row.KeepDays)),
			Met: int32(body.Counts.Met), NotMet: int32(body.Counts.NotMet), NoEvidence: int32(body.Counts.NoEvidence), //nolint:gosec // at most maxControls
			Size: int32(size), Sha256: sum, ReportKey: sealedKey, KeyVersion: version, //nolint:gosec // some megabytes
		})
		if err != nil {
			return fmt.Errorf("finish report: %w", err)
		}
		if n == 0 {
			return errLost
		}
		r := fromRow(row)
		r.State = Done
		return record(ctx, tx, "report.finish", "", event.ReportFinished, &r, counts(body.Counts, sum)...)
	})
}

// shown returns the log's last checkpoint, nil while nothing is signed, and the files that show a body by it.
func (s *Service) shown(ctx context.Context, sc scope.Scope, ring *keys.Ring, b *Body) (*trail.Checkpoint, []file, error) {
	numbers, _ := numbersOf(b)
	last := &trail.Checkpoint{}
	c, proofs, unproven, err := trail.NewReader(s.store, s.keys).ProveNumbers(ctx, sc, numbers)
	if errors.Is(err, trail.ErrWaiting) {
		last = nil
	} else if err != nil {
		return nil, nil, err
	} else {
		*last = c
	}
	audit, err := audited(b, last, proofs, unproven)
	return last, evidence(audit, ring.JWKS()), err
}

// noter says how far an attempt is, once a second at most, and keeps the lease. errLost.
func (s *Service) noter(ctx context.Context, sc scope.Scope, row *tenantq.Report, total int) func(done int) error {
	var noted time.Time
	return func(done int) error {
		if s.store.Now().Sub(noted) < noteEvery {
			return nil
		}
		noted = s.store.Now()
		return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
			n, err := tx.NoteReport(ctx, tenantq.NoteReportParams{ID: row.ID, Attempt: row.Attempt, Done: int32(done), Total: int32(total), Lease: tx.Now().Add(lease)}) //nolint:gosec // some hundreds
			if err != nil {
				return fmt.Errorf("note report: %w", err)
			}
			if n == 0 {
				return errLost
			}
			return nil
		})
	}
}

// Destroy removes all of the tenant's reports, whatever was promised: the tenant itself is being destroyed. It may be run
// again after a failure, and fails while an object may be on its way. blob.ErrUnavailable.
func (s *Service) Destroy(ctx context.Context, sc scope.Scope) error {
	var rows []tenantq.ListAllRemovedReportsRow
	var now time.Time
	if err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		now = tx.Now()
		if err := tx.RemoveAllReports(ctx, tenantq.RemoveAllReportsParams{Now: now, ClearAt: now.Add(settle)}); err != nil {
			return fmt.Errorf("remove reports: %w", err)
		}
		rows, err = tx.ListAllRemovedReports(ctx)
		return err
	}); err != nil {
		return err
	}
	for _, row := range rows {
		if row.EndedAt != nil && now.Sub(*row.EndedAt) < settle {
			return errors.New("a report was being made a moment ago")
		}
		if err := s.erase(ctx, sc, row.ID, int(row.Attempt)); err != nil {
			return err
		}
	}
	return nil
}

// Reseal seals anew, under the data key that seals now, up to limit keys of reports that an older one sealed. done below
// limit says that none is left.
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
		rows, err := tx.ListStaleReportKeys(ctx, tenantq.ListStaleReportKeysParams{KeyVersion: version, MaxRows: int32(min(limit, removeBatch))}) //nolint:gosec // bounded
		if err != nil {
			return fmt.Errorf("list stale report keys: %w", err)
		}
		for _, row := range rows {
			key, err := ring.Open(reportKey, row.ID[:], row.ReportKey)
			if err != nil {
				return fmt.Errorf("report %s: %w", row.ID, err)
			}
			sealed, err := ring.Seal(reportKey, row.ID[:], key)
			if err != nil {
				return fmt.Errorf("seal report key: %w", err)
			}
			n, err := tx.ReplaceReportKey(ctx, tenantq.ReplaceReportKeyParams{ID: row.ID, ReportKey: sealed, KeyVersion: version, Was: row.ReportKey})
			if err != nil {
				return fmt.Errorf("replace report key: %w", err)
			}
			done += int(n)
		}
		return nil
	})
	return done, err
}
