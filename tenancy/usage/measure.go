package usage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/mail"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/stats"
)

// maxCatchUp bounds how many days a Measure works off that no job has measured: those
// since the month began, and a week before.
const maxCatchUp = 38

// Measure writes down what the tenant has used today and on each day since it was measured
// last, and tells quotas that are reached. It may be run at any time, by several servers
// at once, and again: a day is counted anew each time, until it is over.
func (s *Service) Measure(ctx context.Context, sc scope.Scope) error {
	now := s.store.Now()
	today := dayOf(now)
	var last tenantq.GetLastUsageDayRow
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		last, err = tx.GetLastUsageDay(ctx)
		return err
	})
	from := monthOf(now)
	switch {
	case err == nil && last.Day.Before(today.AddDate(0, 0, -maxCatchUp)):
		from = today.AddDate(0, 0, -maxCatchUp)
	case err == nil:
		from = last.Day.UTC() // it was not over when it was measured
	case !db.IsNoRows(err):
		return fmt.Errorf("get last day: %w", err)
	}
	for day := from; !day.After(today); day = day.AddDate(0, 0, 1) {
		if err := s.measureDay(ctx, sc, day, now); err != nil {
			return fmt.Errorf("measure %s: %w", day.Format(time.DateOnly), err)
		}
	}
	var users int64
	var active *time.Time
	var month stats.Level
	if err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if users, err = tx.CountAllUsers(ctx); err != nil {
			return err
		}
		if month, err = stats.OfMonth(ctx, tx); err != nil {
			return err
		}
		at, err := tx.GetLastCeremonyTime(ctx)
		if db.IsNoRows(err) {
			return nil
		}
		active = &at
		return err
	}); err != nil {
		return fmt.Errorf("get activity: %w", err)
	}
	return s.store.InPlatform(ctx, "judge quotas", func(tx *db.PlatformTx) error {
		own, row, err := open(ctx, tx, sc, sc.Tenant())
		if err != nil || row.ShreddedAt != nil {
			return err
		}
		row.UserCount, row.LastActiveAt, row.MonthAnswered, row.MonthFaults = users, active, month.Answered, month.Faults
		return s.judge(ctx, tx, own, row)
	})
}

func (s *Service) measureDay(ctx context.Context, sc scope.Scope, day, now time.Time) error {
	next := day.AddDate(0, 0, 1)
	since, before := db.FirstID(day), db.FirstID(next)
	return s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		ceremonies, err := tx.CountCeremoniesOfSpan(ctx, tenantq.CountCeremoniesOfSpanParams{Since: day, Before: next})
		if err != nil {
			return fmt.Errorf("count ceremonies: %w", err)
		}
		audited, err := tx.MeasureAuditOfSpan(ctx, tenantq.MeasureAuditOfSpanParams{Since: since, Before: before})
		if err != nil {
			return fmt.Errorf("measure audit: %w", err)
		}
		month := monthOf(day)
		if err := tx.NoteActiveUsers(ctx, tenantq.NoteActiveUsersParams{Month: month, Since: since, Before: before}); err != nil {
			return fmt.Errorf("note active users: %w", err)
		}
		active, err := tx.CountActiveUsers(ctx, month)
		if err != nil {
			return fmt.Errorf("count active users: %w", err)
		}
		// A month's number is settled a month after it; until then a day of it can be counted anew.
		if _, err := tx.DeleteActiveUsers(ctx, monthOf(now).AddDate(0, -1, 0)); err != nil {
			return fmt.Errorf("delete active users: %w", err)
		}
		stored, err := tx.MeasureStored(ctx, day)
		if err != nil {
			return fmt.Errorf("measure storage: %w", err)
		}
		written := ceremonies.Bytes + audited
		if err := tx.UpsertUsageDay(ctx, tenantq.UpsertUsageDayParams{
			Day: day, Ceremonies: ceremonies.Ceremonies, SignIns: ceremonies.SignIns, MonthlyActiveUsers: active,
			WrittenBytes: written, StoredBytes: stored + written, Now: tx.Now(),
		}); err != nil {
			return fmt.Errorf("keep day: %w", err)
		}
		return nil
	})
}

// judge compares what is used with the quotas: it tells what has been reached, once a
// month, and notes on the tenant's row what was measured and which hard ones are exceeded. tx holds that row's
// lock, so that two servers tell it once.
func (s *Service) judge(ctx context.Context, tx *db.PlatformTx, own *db.TenantTx, row platformq.Tenant) error {
	now := own.Now()
	all, _, err := meters(ctx, own, now)
	if err != nil {
		return err
	}
	exceeded := []string{}
	for _, m := range all {
		if m.Quota == nil {
			continue
		}
		if m.Quota.Hard && m.Used >= m.Quota.Most {
			exceeded = append(exceeded, string(m.Kind))
		}
		if err := s.tell(ctx, own, m, monthOf(now)); err != nil {
			return err
		}
	}
	if err := tx.SetTenantMeasured(ctx, platformq.SetTenantMeasuredParams{
		ID: row.ID, QuotasExceeded: exceeded, UserCount: row.UserCount, LastActiveAt: row.LastActiveAt,
		MonthAnswered: row.MonthAnswered, MonthFaults: row.MonthFaults,
	}); err != nil {
		return fmt.Errorf("note what was measured: %w", err)
	}
	if slices.Equal(row.QuotasExceeded, exceeded) {
		return nil
	}
	return own.Changed(ctx, db.NounTenant, "")
}

// quotaMails are the shares that owners and admins are told of by mail, too.
var quotaMails = map[int]mail.Kind{alertAt: mail.QuotaNear, alertFull: mail.QuotaReached}

// tell notes which shares of its quota m has reached that were not told in this month. Of two
// that are reached at once, a mail tells the larger.
func (s *Service) tell(ctx context.Context, own *db.TenantTx, m Meter, month time.Time) error {
	reached := 0
	for _, share := range []int{alertAt, alertFull} {
		if m.Percent() < share {
			break
		}
		n, err := own.InsertUsageAlert(ctx, tenantq.InsertUsageAlertParams{
			Month: month, Kind: string(m.Kind), Percent: int16(share), Used: m.Used, Most: m.Quota.Most, Now: own.Now(), //nolint:gosec // 80 or 100
		})
		if err != nil {
			return fmt.Errorf("insert alert: %w", err)
		}
		if n == 0 {
			continue
		}
		reached = share
		if err := record(ctx, own, m, share); err != nil {
			return err
		}
	}
	if reached == 0 {
		return nil
	}
	// The alert's row is what keeps it from being told again; the id tells this mail from others.
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("mint id: %w", err)
	}
	return s.mail.Notify(ctx, own, quotaMails[reached], id)
}

// record appends the audit entry and the event of a share that is reached.
func record(ctx context.Context, own *db.TenantTx, m Meter, share int) error {
	said := []attr.Attr{
		attr.Text("kind", string(m.Kind)), attr.Int("percent", int64(share)), attr.Int("used", m.Used), attr.Int("most", m.Quota.Most), attr.Bool("hard", m.Quota.Hard),
	}
	if err := audit.Append(ctx, own, audit.Entry{
		Action: "quota.reach", Target: audit.Target{Kind: "tenant", ID: own.Scope().Tenant().String()}, Detail: said,
	}); err != nil {
		return err
	}
	return event.Append(ctx, own, event.Event{Type: event.QuotaReached, Data: said})
}

// Tenants calls each with the tenants that are to be measured, page by page.
func (s *Service) Tenants(ctx context.Context, each func([]uuid.UUID) error) error {
	const page = 500
	after := uuid.Nil
	for {
		var ids []uuid.UUID
		err := s.store.InPlatform(ctx, "list tenants to measure", func(tx *db.PlatformTx) error {
			rows, err := tx.ListTenantsToMeasure(ctx, platformq.ListTenantsToMeasureParams{AfterID: after, MaxRows: page})
			ids = ids[:0]
			for _, row := range rows {
				ids = append(ids, row.ID)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("list tenants: %w", err)
		}
		if len(ids) > 0 {
			if err := each(ids); err != nil {
				return err
			}
			after = ids[len(ids)-1]
		}
		if len(ids) < page {
			return nil
		}
	}
}
