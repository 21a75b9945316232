package report

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

// Cadence is how often a report is made by itself.
type Cadence = cadence.Cadence

// The cadences.
const (
	Monthly   = cadence.Monthly
	Quarterly = cadence.Quarterly
)

// Schedule has a report made of each period of a cadence when it is over.
type Schedule struct {
	Catalogue string
	Cadence   Cadence
	KeepDays  int
	UpdatedBy string // kind:id
	UpdatedAt time.Time
	NextAt    time.Time // when the next report is made
	Next      Period    // what it is of
}

func scheduleOf(row *tenantq.ReportSchedule) Schedule {
	c := Cadence(row.Cadence)
	to := c.Begins(row.DueAt)
	return Schedule{
		Catalogue: row.Catalogue, Cadence: c, KeepDays: int(row.KeepDays), UpdatedBy: row.UpdatedBy, UpdatedAt: row.UpdatedAt, NextAt: row.DueAt.UTC(),
		Next: Period{From: c.Begins(to.Add(-time.Nanosecond)), To: to},
	}
}

// Schedules returns all of the tenant's, by catalogue.
func (s *Service) Schedules(ctx context.Context, sc scope.Scope) ([]Schedule, error) {
	if err := own(sc); err != nil {
		return nil, err
	}
	var out []Schedule
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListReportSchedules(ctx)
		if err != nil {
			return fmt.Errorf("list report schedules: %w", err)
		}
		out = make([]Schedule, len(rows))
		for i := range rows {
			out[i] = scheduleOf(&rows[i])
		}
		return nil
	})
	return out, err
}

// ScheduleRequest says which reports are to be made by themselves.
type ScheduleRequest struct {
	Catalogue string
	Cadence   Cadence
	KeepDays  int    // 0: DefaultKeepDays
	Reason    string // for the audit log; may be empty
}

// Put has reports of a catalogue made by themselves, from the period on that is going on, in the place of what was
// settled before; where that was as often, its next report is made as it would have been. ErrCatalogue, ErrCadence, ErrKeep, ErrReason, ErrNoStorage.
func (s *Service) Put(ctx context.Context, sc scope.Scope, req ScheduleRequest) (Schedule, error) {
	if err := own(sc); err != nil {
		return Schedule{}, err
	}
	if req.Reason != "" && !audit.IsReason(req.Reason) {
		return Schedule{}, ErrReason
	}
	if req.Cadence != Monthly && req.Cadence != Quarterly {
		return Schedule{}, ErrCadence
	}
	if req.KeepDays == 0 {
		req.KeepDays = DefaultKeepDays
	}
	if err := checkKeep(req.KeepDays); err != nil {
		return Schedule{}, err
	}
	if s.objects == nil {
		return Schedule{}, ErrNoStorage
	}
	var out Schedule
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if err := tx.LockReports(ctx); err != nil {
			return fmt.Errorf("lock reports: %w", err)
		}
		if _, err := s.documentIn(ctx, tx, req.Catalogue); err != nil {
			return err
		}
		var before []attr.Attr
		due := req.Cadence.Due(tx.Now())
		if row, err := tx.GetReportSchedule(ctx, req.Catalogue); err == nil {
			was := scheduleOf(&row)
			before = was.attrs()
			if was.Cadence == req.Cadence {
				due = row.DueAt // it may be of a period that is over, whose report the job has not made yet
			}
		} else if !db.IsNoRows(err) {
			return fmt.Errorf("get report schedule: %w", err)
		}
		row, err := tx.PutReportSchedule(ctx, tenantq.PutReportScheduleParams{
			Catalogue: req.Catalogue, Cadence: string(req.Cadence), KeepDays: int32(req.KeepDays), By: tx.Scope().Actor().String(), Now: tx.Now(), DueAt: due, //nolint:gosec // at most MaxKeepDays
		})
		if err != nil {
			return fmt.Errorf("put report schedule: %w", err)
		}
		out = scheduleOf(&row)
		tx.Result(out)
		return recordOf(ctx, tx, "reportschedule.update", req.Reason, event.ReportScheduled, "report_schedule", req.Catalogue, before, out.attrs())
	})
	return out, err
}

func (s *Schedule) attrs() []attr.Attr {
	return []attr.Attr{attr.Text("cadence", string(s.Cadence)), attr.Int("keepDays", int64(s.KeepDays))}
}

// Unschedule has no more reports of a catalogue made by themselves. Those that are made stay. ErrSchedule, ErrReason.
func (s *Service) Unschedule(ctx context.Context, sc scope.Scope, catalogue, reason string) error {
	if err := own(sc); err != nil {
		return err
	}
	if reason != "" && !audit.IsReason(reason) {
		return ErrReason
	}
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if err := tx.LockReports(ctx); err != nil {
			return fmt.Errorf("lock reports: %w", err)
		}
		row, err := tx.GetReportSchedule(ctx, catalogue)
		if db.IsNoRows(err) {
			return ErrSchedule
		} else if err != nil {
			return fmt.Errorf("get report schedule: %w", err)
		}
		if _, err := tx.DeleteReportSchedule(ctx, catalogue); err != nil {
			return fmt.Errorf("delete report schedule: %w", err)
		}
		was := scheduleOf(&row)
		tx.Result(struct{}{})
		return recordOf(ctx, tx, "reportschedule.delete", reason, event.ReportUnscheduled, "report_schedule", catalogue, was.attrs(), nil)
	})
}

// recordOf leaves the entry and event of a change of a schedule or a catalogue.
func recordOf(ctx context.Context, tx *db.TenantTx, action, reason string, what event.Type, kind, name string, before, after []attr.Attr) error {
	if err := audit.Append(ctx, tx, audit.Entry{Action: action, Reason: reason, Target: audit.Target{Kind: kind, ID: name}, Before: before, After: after}); err != nil {
		return err
	}
	return event.Append(ctx, tx, event.Event{Type: what, Data: append([]attr.Attr{attr.Text("catalogue", name)}, after...)})
}

// scheduled makes the reports of schedules that are due, one for each period that is over.
func (s *Service) scheduled(ctx context.Context, sc scope.Scope) error {
	// A server that was away for a year makes twelve of each; the next run goes on.
	for range maxOwn {
		more := false
		if err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
			more = false // this may be the second run
			row, err := tx.LockDueReportSchedule(ctx, tx.Now())
			if db.IsNoRows(err) {
				return nil
			} else if err != nil {
				return fmt.Errorf("get a schedule that is due: %w", err)
			}
			more = true
			due := scheduleOf(&row)
			if _, err := s.insert(ctx, tx, CreateRequest{Catalogue: due.Catalogue, Period: due.Next, KeepDays: due.KeepDays}, true); errors.Is(err, ErrCatalogue) {
				s.log.WarnContext(ctx, "a scheduled report is of a catalogue that is gone", "err", err, "tenant", sc.Tenant())
			} else if err != nil {
				return err
			}
			if err := tx.AdvanceReportSchedule(ctx, tenantq.AdvanceReportScheduleParams{Catalogue: due.Catalogue, DueAt: due.Cadence.Due(row.DueAt)}); err != nil {
				return fmt.Errorf("advance report schedule: %w", err)
			}
			return nil
		}); err != nil || !more {
			return err
		}
	}
	return nil
}
