package dlp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// StartRequest asks for a scan.
type StartRequest struct {
	Days   int    // of the audit log; 0: DefaultDays
	Reason string // for the audit log; may be empty
}

// Start asks for a scan, which a job begins some ten seconds later. ErrDays, ErrReason, ErrScanning.
func (s *Service) Start(ctx context.Context, sc scope.Scope, req StartRequest) (Scan, error) {
	if req.Days == 0 {
		req.Days = DefaultDays
	}
	switch err := own(sc, ErrScan); {
	case err != nil:
		return Scan{}, err
	case req.Days < 1 || req.Days > maxDays:
		return Scan{}, ErrDays
	case req.Reason != "" && !audit.IsReason(req.Reason):
		return Scan{}, ErrReason
	}
	var out Scan
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := insert(ctx, tx, req)
		if err != nil {
			return err
		}
		if out, err = scanOf(&row); err != nil {
			return err
		}
		tx.Result(out)
		return recordScan(ctx, tx, "dlpscan.start", req.Reason, event.DLPScanStarted, &out, attr.Int("days", int64(out.Days)))
	})
	return out, err
}

// insert asks for a scan, if none is under way. ErrScanning.
func insert(ctx context.Context, tx *db.TenantTx, req StartRequest) (tenantq.DlpScan, error) {
	var row tenantq.DlpScan
	id, err := uuid.NewV7()
	if err != nil {
		return row, fmt.Errorf("mint scan id: %w", err)
	}
	// Two at once could each see no other.
	if err := tx.LockScans(ctx); err != nil {
		return row, fmt.Errorf("lock scans: %w", err)
	}
	if n, err := tx.CountOpenScans(ctx); err != nil {
		return row, fmt.Errorf("count open scans: %w", err)
	} else if n > 0 {
		return row, ErrScanning
	}
	p := tenantq.InsertScanParams{ID: id, Reason: req.Reason, Days: int32(req.Days), AskedBy: tx.Scope().Actor().String(), Now: tx.Now()} //nolint:gosec // at most maxDays
	if row, err = tx.InsertScan(ctx, p); err != nil {
		return row, fmt.Errorf("insert scan: %w", err)
	}
	if err := tx.TrimScans(ctx, keepScans); err != nil {
		return row, fmt.Errorf("trim scans: %w", err)
	}
	return row, nil
}

// GetScan returns one scan. ErrScan, also for another tenant's.
func (s *Service) GetScan(ctx context.Context, sc scope.Scope, id uuid.UUID) (Scan, error) {
	var out Scan
	if err := own(sc, ErrScan); err != nil {
		return out, err
	}
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetScan(ctx, id)
		if db.IsNoRows(err) {
			return ErrScan
		} else if err != nil {
			return fmt.Errorf("get scan: %w", err)
		}
		out, err = scanOf(&row)
		return err
	})
	return out, err
}

// Scans returns the scans that are kept, the newest first: some fifty.
func (s *Service) Scans(ctx context.Context, sc scope.Scope) ([]Scan, error) {
	var out []Scan
	if err := own(sc, ErrScan); err != nil {
		return nil, err
	}
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListScans(ctx, keepScans+1)
		if err != nil {
			return fmt.Errorf("list scans: %w", err)
		}
		out = make([]Scan, len(rows))
		for i := range rows {
			if out[i], err = scanOf(&rows[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Cancel ends a scan that has not ended; what it has found by then stays. Cancelling twice leaves one trace. ErrScan, also
// for another tenant's, ErrEnded, ErrReason.
func (s *Service) Cancel(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (Scan, error) {
	var out Scan
	switch err := own(sc, ErrScan); {
	case err != nil:
		return out, err
	case reason != "" && !audit.IsReason(reason):
		return out, ErrReason
	}
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.LockScan(ctx, id)
		if db.IsNoRows(err) {
			return ErrScan
		} else if err != nil {
			return fmt.Errorf("lock scan: %w", err)
		}
		if out, err = scanOf(&row); err != nil {
			return err
		}
		switch {
		case out.State == Cancelled:
			tx.Result(out)
			return nil
		case !out.State.Open():
			return ErrEnded
		}
		if row, err = tx.CancelScan(ctx, tenantq.CancelScanParams{ID: id, Now: tx.Now()}); err != nil {
			return fmt.Errorf("cancel scan: %w", err)
		}
		if out, err = scanOf(&row); err != nil {
			return err
		}
		tx.Result(out)
		return recordScan(ctx, tx, "dlpscan.cancel", reason, event.DLPScanFinished, &out)
	})
	return out, err
}

// Maintain does what is due of the tenant's scans and schedule. It may be run at any time, by several servers at once, and again
// after a failure: a scan goes on behind the last page that was noted. Where scans are turned off it does nothing.
func (s *Service) Maintain(ctx context.Context, sc scope.Scope) error {
	if !s.on(ctx, sc) {
		return nil
	}
	if err := s.scheduled(ctx, sc); err != nil {
		return err
	}
	var row tenantq.DlpScan
	claimed := false
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		row, err = tx.ClaimScan(ctx, tenantq.ClaimScanParams{Now: tx.Now(), Lease: tx.Now().Add(lease)})
		if claimed = err == nil; !claimed && !db.IsNoRows(err) {
			return fmt.Errorf("claim scan: %w", err)
		}
		return nil
	})
	if err != nil || !claimed {
		return err
	}
	err = error(errBroken)
	if row.Attempt <= maxAttempts { // else the last one died without a word
		bounded, cancel := context.WithTimeout(ctx, Longest)
		err = s.scan(bounded, sc, &row)
		cancel()
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errLost):
		s.log.InfoContext(ctx, "a scan was cancelled, or taken over", "tenant", sc.Tenant())
		return nil
	case errors.Is(err, errOff):
		s.log.InfoContext(ctx, "a scan waits: scans are turned off", "tenant", sc.Tenant())
		return nil
	}
	// The job's time may be over, or the server on its way out.
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return s.fail(noting, sc, &row, err)
}

// fail notes why an attempt has failed, and when the next one goes on.
func (s *Service) fail(ctx context.Context, sc scope.Scope, row *tenantq.DlpScan, err error) error {
	s.log.WarnContext(ctx, "a scan's attempt has failed", "err", err, "tenant", sc.Tenant(), "attempt", row.Attempt)
	p := tenantq.FailScanParams{ID: row.ID, Attempt: row.Attempt, State: string(Running), Failure: "INTERNAL"}
	if f, ok := fault.As(err); ok {
		p.Failure = f.Reason
	} else if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		p.Failure = errBroken.Reason
	}
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if row.Attempt >= maxAttempts {
			p.State, p.EndedAt = string(Failed), new(tx.Now())
		} else {
			p.DueAt = new(tx.Now().Add(time.Duration(row.Attempt) * 10 * time.Second))
		}
		n, err := tx.FailScan(ctx, p)
		if err != nil {
			return fmt.Errorf("note a failure of a scan: %w", err)
		}
		if n == 0 || p.State != string(Failed) {
			return nil
		}
		out, err := scanOf(row)
		if err != nil {
			return err
		}
		out.State, out.Failure = Failed, p.Failure
		return recordScan(ctx, tx, "dlpscan.finish", "", event.DLPScanFinished, &out)
	})
}

// scan looks at all places from where the scan is.
func (s *Service) scan(ctx context.Context, sc scope.Scope, row *tenantq.DlpScan) error {
	places, err := s.places(ctx, sc, int(row.Days))
	if err != nil {
		return err
	}
	row.Total = int32(len(places)) //nolint:gosec // some tens
	if row.Place == "" && row.Done == 0 {
		never, err := s.neverSeen(ctx, sc)
		if err != nil {
			return err
		}
		row.Unseen = []byte("[]")
		if err := addUnseenTo(row, never); err != nil {
			return err
		}
	}
	for i := range places {
		p := &places[i]
		if p.name != row.Place && int32(i) < row.Done {
			continue
		}
		after := row.AfterKey
		if p.name != row.Place {
			after = nil
		}
		if err := s.scanPlace(ctx, sc, row, p, after); err != nil {
			return err
		}
		row.Done, row.Place, row.AfterKey = int32(i+1), "", nil
	}
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		n, err := tx.FinishScan(ctx, tenantq.FinishScanParams{ID: row.ID, Attempt: row.Attempt, Now: tx.Now()})
		if err != nil {
			return fmt.Errorf("finish scan: %w", err)
		} else if n == 0 {
			return errLost
		}
		// The log is looked at for some days only, and what is written there stays.
		unseen, err := unseenOf(row)
		if err != nil {
			return err
		}
		gone, err := tx.ResolveGone(ctx, tenantq.ResolveGoneParams{ScanID: row.ID, Cut: append(inPart(unseen), append(row.Cut, auditPlace)...), Now: tx.Now()})
		if err != nil {
			return fmt.Errorf("resolve findings that are gone: %w", err)
		}
		now, err := tx.GetScan(ctx, row.ID)
		if err != nil {
			return fmt.Errorf("get scan: %w", err)
		}
		out, err := scanOf(&now)
		if err != nil {
			return err
		}
		return recordScan(ctx, tx, "dlpscan.finish", "", event.DLPScanFinished, &out, attr.Int("texts", out.Texts), attr.Int("found", out.Found), attr.Int("resolved", gone))
	})
}

func (s *Service) scanPlace(ctx context.Context, sc scope.Scope, row *tenantq.DlpScan, p *place, after []string) error {
	for rows := 0; ; {
		got, err := p.read(ctx, sc, after)
		if err != nil {
			return fmt.Errorf("read %s: %w", p.name, err)
		}
		seen := got.seen
		for _, t := range got.texts {
			seen = append(seen, sight(t)...)
		}
		if got.after != nil { // a file of a source may have no rows
			after = got.after
		}
		rows += got.rows
		if len(got.unseen) > 0 {
			if err := addUnseenTo(row, got.unseen); err != nil {
				return err
			}
		}
		last := got.last
		if !last && rows >= s.maxRows {
			last = true
			if !slices.Contains(row.Cut, p.name) {
				row.Cut = append(row.Cut, p.name)
			}
		}
		if err := s.note(ctx, sc, row, p.name, after, got.rows, seen); err != nil {
			return err
		}
		if s.step != nil {
			if err := s.step(p.name); err != nil {
				return err
			}
		}
		if !s.on(ctx, sc) {
			return errOff
		}
		if last {
			return nil
		}
	}
}

// note keeps the findings of a page, and that it is done: both or neither.
func (s *Service) note(ctx context.Context, sc scope.Scope, row *tenantq.DlpScan, name string, after []string, rows int, seen []sighting) error {
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		n, err := tx.NoteScan(ctx, tenantq.NoteScanParams{
			ID: row.ID, Attempt: row.Attempt, Place: name, AfterKey: after, Done: row.Done, Total: row.Total, Texts: int64(rows), Found: int64(len(seen)),
			Cut: append([]string{}, row.Cut...), Unseen: row.Unseen, Lease: tx.Now().Add(lease),
		})
		if err != nil {
			return fmt.Errorf("note scan: %w", err)
		} else if n == 0 {
			return errLost
		}
		if len(seen) == 0 {
			return nil
		}
		k, err := newKeeper(ctx, tx)
		if err != nil {
			return err
		}
		for i := range seen {
			one := &seen[i]
			if _, err := k.put(ctx, tenantq.PutFindingParams{
				Source: SourceScan, Place: one.place, Item: cut(one.item, 512), Kind: string(one.kind), Count: int32(one.count), Shape: one.shape, //nolint:gosec // of 64 KiB
				FirstAt: tx.Now(), LastAt: tx.Now(), ScanID: &row.ID,
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// recordScan leaves a scan's entry and event in its transaction.
func recordScan(ctx context.Context, tx *db.TenantTx, action, reason string, what event.Type, s *Scan, detail ...attr.Attr) error {
	detail = append([]attr.Attr{attr.Text("state", string(s.State))}, detail...)
	e := audit.Entry{Action: action, Reason: reason, Target: audit.Target{Kind: "dlpscan", ID: s.ID.String()}, Detail: detail}
	if s.State == Failed {
		e.Outcome, e.Fault = audit.Failed, s.Failure
	}
	if err := audit.Append(ctx, tx, e); err != nil {
		return err
	}
	return event.Append(ctx, tx, event.Event{Type: what, Data: append([]attr.Attr{attr.UUID("dlpScanId", s.ID)}, detail...)})
}
