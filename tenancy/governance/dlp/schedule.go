package dlp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/cadence"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// scheduleTarget is what entries of the one schedule name.
var scheduleTarget = audit.Target{Kind: "dlpschedule", ID: "scans"}

// ahead is how far a clock must have been wrong before a schedule that it has set is set anew; as the sweep's policy has it.
const ahead = time.Hour

// Schedule has a scan made when a period of its cadence is over.
type Schedule struct {
	Cadence   cadence.Cadence // Daily, Weekly or Monthly
	Days      int             // of the audit log
	UpdatedBy string          // kind:id
	UpdatedAt time.Time
	NextAt    time.Time
}

func scheduleOf(row *tenantq.DlpSchedule) Schedule {
	return Schedule{Cadence: cadence.Cadence(row.Cadence), Days: int(row.Days), UpdatedBy: row.UpdatedBy, UpdatedAt: row.UpdatedAt, NextAt: row.DueAt.UTC()}
}

func (s *Schedule) attrs() []attr.Attr {
	return []attr.Attr{attr.Text("cadence", string(s.Cadence)), attr.Int("days", int64(s.Days))}
}

// scheduledDays is how many days of the audit log a scan of a cadence looks at unless it is said: its period, and one more
// for what is written while scans run.
func scheduledDays(c cadence.Cadence) int {
	switch c {
	case cadence.Daily:
		return 2
	case cadence.Weekly:
		return 8
	case cadence.Monthly, cadence.Quarterly:
	}
	return 32
}

// GetSchedule returns the tenant's. ErrSchedule when there is none.
func (s *Service) GetSchedule(ctx context.Context, sc scope.Scope) (Schedule, error) {
	var out Schedule
	if err := own(sc, ErrSchedule); err != nil {
		return out, err
	}
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetScanSchedule(ctx)
		if db.IsNoRows(err) {
			return ErrSchedule
		} else if err != nil {
			return fmt.Errorf("get scan schedule: %w", err)
		}
		out = scheduleOf(&row)
		return nil
	})
	return out, err
}

// ScheduleRequest says how often the tenant is to be scanned.
type ScheduleRequest struct {
	Cadence cadence.Cadence
	Days    int    // of the audit log; 0: those of a period, and one more
	Reason  string // for the audit log; may be empty
}

// PutSchedule has the tenant scanned by itself, when the period is over that is going on, in the place of what was settled
// before. ErrCadence, ErrDays, ErrReason.
func (s *Service) PutSchedule(ctx context.Context, sc scope.Scope, req ScheduleRequest) (Schedule, error) {
	if req.Days == 0 {
		req.Days = scheduledDays(req.Cadence)
	}
	switch err := own(sc, ErrSchedule); {
	case err != nil:
		return Schedule{}, err
	case req.Cadence != cadence.Daily && req.Cadence != cadence.Weekly && req.Cadence != cadence.Monthly:
		return Schedule{}, ErrCadence
	case req.Days < 1 || req.Days > maxDays:
		return Schedule{}, ErrDays
	case req.Reason != "" && !audit.IsReason(req.Reason):
		return Schedule{}, ErrReason
	}
	var out Schedule
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if err := tx.LockScans(ctx); err != nil {
			return fmt.Errorf("lock scans: %w", err)
		}
		var before []attr.Attr
		if row, err := tx.GetScanSchedule(ctx); err == nil {
			was := scheduleOf(&row)
			before = was.attrs()
		} else if !db.IsNoRows(err) {
			return fmt.Errorf("get scan schedule: %w", err)
		}
		row, err := tx.PutScanSchedule(ctx, tenantq.PutScanScheduleParams{
			Cadence: string(req.Cadence), Days: int32(req.Days), By: sc.Actor().String(), Now: tx.Now(), DueAt: req.Cadence.Due(tx.Now()), //nolint:gosec // at most maxDays
		})
		if err != nil {
			return fmt.Errorf("put scan schedule: %w", err)
		}
		out = scheduleOf(&row)
		tx.Result(out)
		if err := audit.Append(ctx, tx, audit.Entry{Action: "dlpschedule.update", Reason: req.Reason, Target: scheduleTarget, Before: before, After: out.attrs()}); err != nil {
			return err
		}
		return event.Append(ctx, tx, event.Event{Type: event.DLPScheduled, Data: out.attrs()})
	})
	return out, err
}

// Unschedule has no more scans made by themselves. Those that were made stay. ErrSchedule, ErrReason.
func (s *Service) Unschedule(ctx context.Context, sc scope.Scope, reason string) error {
	switch err := own(sc, ErrSchedule); {
	case err != nil:
		return err
	case reason != "" && !audit.IsReason(reason):
		return ErrReason
	}
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if err := tx.LockScans(ctx); err != nil {
			return fmt.Errorf("lock scans: %w", err)
		}
		row, err := tx.GetScanSchedule(ctx)
		if db.IsNoRows(err) {
			return ErrSchedule
		} else if err != nil {
			return fmt.Errorf("get scan schedule: %w", err)
		}
		if _, err := tx.DeleteScanSchedule(ctx); err != nil {
			return fmt.Errorf("delete scan schedule: %w", err)
		}
		was := scheduleOf(&row)
		tx.Result(struct{}{})
		if err := audit.Append(ctx, tx, audit.Entry{Action: "dlpschedule.delete", Reason: reason, Target: scheduleTarget, Before: was.attrs()}); err != nil {
			return err
		}
		return event.Append(ctx, tx, event.Event{Type: event.DLPUnscheduled})
	})
}

// scheduled asks for the scan that a schedule is due for. One is enough, however long nobody was there: it looks at what
// is there now. One that is under way is it.
func (s *Service) scheduled(ctx context.Context, sc scope.Scope) error {
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.LockScanSchedule(ctx)
		if db.IsNoRows(err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("lock scan schedule: %w", err)
		}
		due := scheduleOf(&row)
		switch now := tx.Now(); {
		case row.SetAt.After(now.Add(ahead)): // by a clock that was wrong: what it was set to may be years away
		case row.DueAt.After(now):
			return nil
		default:
			scan, err := insert(ctx, tx, StartRequest{Days: due.Days})
			if errors.Is(err, ErrScanning) {
				break
			} else if err != nil {
				return err
			}
			made, err := scanOf(&scan)
			if err != nil {
				return err
			}
			if err := recordScan(ctx, tx, "dlpscan.start", "", event.DLPScanStarted, &made, attr.Int("days", int64(made.Days)), attr.Text("cadence", row.Cadence)); err != nil {
				return err
			}
		}
		if err := tx.AdvanceScanSchedule(ctx, tenantq.AdvanceScanScheduleParams{Now: tx.Now(), DueAt: due.Cadence.Due(tx.Now())}); err != nil {
			return fmt.Errorf("advance scan schedule: %w", err)
		}
		return nil
	})
}
