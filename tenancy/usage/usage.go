// Package usage is how much a tenant uses, and how much it may: users with a sign-in
// of the calendar month (MAU), ceremonies, bytes.
//
// An hourly job measures each tenant's day from indexes (Measure), and whoever looks reads
// the days that it has written. Quotas are the platform's to settle. Reaching 80 % and
// 100 % of one leaves an alert and an event, once a month; what a hard quota stops, and
// what it never stops, is in tenant.Snapshot.Exceeds. Months and days are UTC's.
package usage

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/mail"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors of this package. Each Reason is part of the public API.
var (
	ErrSpan     = fault.New(fault.Invalid, "USAGE_SPAN_INVALID", "from and to are days, from is not after to, and they are at most 400 days apart")
	ErrQuota    = fault.New(fault.Invalid, "QUOTA_INVALID", "a quota is of a known kind, each once, and at least 1")
	ErrPlatform = fault.New(fault.Forbidden, "PLATFORM_ONLY", "only the platform's own keys may do this")
	ErrTenant   = fault.New(fault.NotFound, "TENANT_UNKNOWN", "no such tenant")
)

// Kind is what is metered.
type Kind string

// The kinds, as they stand in rows and in tenants.quotas_exceeded.
const (
	MonthlyActiveUsers Kind = "MONTHLY_ACTIVE_USERS" // distinct users with a successful sign-in in the month
	Ceremonies         Kind = "CEREMONIES"           // finished in the month, whatever came of them
	Storage            Kind = "STORAGE"              // bytes that are kept
)

// Kinds are all that there are.
func Kinds() []Kind { return []Kind{MonthlyActiveUsers, Ceremonies, Storage} }

// Day is what a tenant used on a day.
type Day struct {
	Day                time.Time // midnight UTC
	Ceremonies         int64     // finished on that day
	SignIns            int64     // of these: authentications that were allowed
	MonthlyActiveUsers int64     // of its month, up to the end of that day
	StoredBytes        int64     // at its end
	MeasuredAt         time.Time
}

// Quota is what a tenant may use.
type Quota struct {
	Kind      Kind
	Most      int64 // users or ceremonies of a month, or bytes
	Hard      bool  // beyond it something is refused: see tenant.Snapshot.Exceeds
	UpdatedAt time.Time
}

// Text is a quota as ParseQuota reads it: a number, with :hard where it is hard.
func (q Quota) Text() string {
	text := strconv.FormatInt(q.Most, 10)
	if q.Hard {
		text += hardSuffix
	}
	return text
}

const hardSuffix = ":hard"

// ParseQuota reads what Text writes: ErrQuota, with the kind as its field, for anything else.
func ParseQuota(kind Kind, text string) (Quota, error) {
	number, hard := strings.CutSuffix(text, hardSuffix)
	most, err := strconv.ParseInt(number, 10, 64)
	if err != nil || most < 1 {
		return Quota{}, ErrQuota.With("field", string(kind))
	}
	return Quota{Kind: kind, Most: most, Hard: hard}, nil
}

// Meter is how much of one kind is used in this month.
type Meter struct {
	Kind     Kind
	Used     int64
	Forecast int64  // at the month's end, if it goes on as in the last seven days
	Quota    *Quota // nil: none
}

// Percent is how much of the quota is used; 0 without one.
func (m Meter) Percent() int { return percent(m.Used, m.Quota) }

// ForecastPercent is how much of it will be used at the month's end.
func (m Meter) ForecastPercent() int { return percent(m.Forecast, m.Quota) }

func percent(used int64, q *Quota) int {
	if q == nil {
		return 0
	}
	return int(min(used*100/q.Most, math.MaxInt32))
}

// Alert says that a share of a quota was reached in this month.
type Alert struct {
	Kind    Kind
	Percent int // 80 or 100
	Used    int64
	Most    int64
	At      time.Time
}

// Report is what a tenant uses.
type Report struct {
	Month  time.Time // its first day
	Days   []Day     // of the span that was asked for, the oldest first; days without a measurement are missing
	Meters []Meter   // in the order of Kinds
	Alerts []Alert   // of this month
}

// Options configures a Service.
type Options struct {
	Store *db.Store     // required
	Mail  *mail.Service // nil: nobody is told by mail
}

// Service meters tenants. It is safe for concurrent use.
type Service struct {
	store *db.Store
	mail  *mail.Service
}

// New returns a Service.
func New(o Options) *Service { return &Service{store: o.Store, mail: o.Mail} }

const (
	maxSpan = 400 * 24 * time.Hour
	// alertAt are the shares of a quota that are told, in percent.
	alertAt, alertFull = 80, 100
	// forecastDays is how far back the forecast looks: a week, since weekends differ.
	forecastDays = 7
)

func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
func monthOf(t time.Time) time.Time {
	return time.Date(t.UTC().Year(), t.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
}

// Report returns the days between from and to, both included, and how the month stands. Zero
// times mean this month. ErrSpan.
func (s *Service) Report(ctx context.Context, sc scope.Scope, from, to time.Time) (Report, error) {
	now := s.store.Now()
	out := Report{Month: monthOf(now)}
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = monthOf(to)
	}
	from, to = dayOf(from), dayOf(to)
	if from.After(to) || to.Sub(from) >= maxSpan {
		return Report{}, ErrSpan
	}
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListUsageDays(ctx, tenantq.ListUsageDaysParams{Since: from, Until: to})
		if err != nil {
			return fmt.Errorf("list usage: %w", err)
		}
		out.Days = make([]Day, len(rows))
		for i, row := range rows {
			out.Days[i] = newDay(row)
		}
		out.Meters, out.Alerts, err = meters(ctx, tx, now)
		return err
	})
	return out, err
}

// Alerts are what was reached in this month of the quotas as they are now: for every page,
// and so one query nearly always.
func (s *Service) Alerts(ctx context.Context, sc scope.Scope) ([]Alert, error) {
	var out []Alert
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		out = nil // this may be the second run
		all, err := alertsOf(ctx, tx, monthOf(s.store.Now()))
		if err != nil || len(all) == 0 {
			return err
		}
		quotas, err := quotasOf(ctx, tx)
		for _, a := range all {
			if slices.ContainsFunc(quotas, func(q Quota) bool { return q.Kind == a.Kind && q.Most == a.Most }) {
				out = append(out, a)
			}
		}
		return err
	})
	return out, err
}

func alertsOf(ctx context.Context, tx *db.TenantTx, month time.Time) ([]Alert, error) {
	rows, err := tx.ListUsageAlerts(ctx, month)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	out := make([]Alert, len(rows))
	for i, a := range rows {
		out[i] = Alert{Kind: Kind(a.Kind), Percent: int(a.Percent), Used: a.Used, Most: a.Most, At: a.At}
	}
	return out, nil
}

func newDay(row tenantq.ListUsageDaysRow) Day {
	return Day{
		Day: row.Day.UTC(), Ceremonies: row.Ceremonies, SignIns: row.SignIns, MonthlyActiveUsers: row.MonthlyActiveUsers,
		StoredBytes: row.StoredBytes, MeasuredAt: row.MeasuredAt,
	}
}

// meters is how the month stands by what was measured.
func meters(ctx context.Context, tx *db.TenantTx, now time.Time) ([]Meter, []Alert, error) {
	month, today := monthOf(now), dayOf(now)
	since := today.AddDate(0, 0, -forecastDays)
	if month.Before(since) {
		since = month
	}
	rows, err := tx.ListUsageDays(ctx, tenantq.ListUsageDaysParams{Since: since, Until: today})
	if err != nil {
		return nil, nil, fmt.Errorf("list usage: %w", err)
	}
	days := make([]Day, len(rows))
	for i, row := range rows {
		days[i] = newDay(row)
	}
	quotas, err := tx.ListQuotas(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list quotas: %w", err)
	}
	told, err := alertsOf(ctx, tx, month)
	if err != nil {
		return nil, nil, err
	}
	out := make([]Meter, 0, len(Kinds()))
	for _, kind := range Kinds() {
		m := Meter{Kind: kind, Used: used(kind, days, month)}
		m.Forecast = forecast(kind, m.Used, days, now)
		if i := slices.IndexFunc(quotas, func(q tenantq.ListQuotasRow) bool { return q.Kind == string(kind) }); i >= 0 {
			m.Quota = &Quota{Kind: kind, Most: quotas[i].Most, Hard: quotas[i].Hard, UpdatedAt: quotas[i].UpdatedAt}
		}
		out = append(out, m)
	}
	return out, told, nil
}

// used is what the days of a month add up to; bytes are what they are at their end.
func used(kind Kind, days []Day, month time.Time) (n int64) {
	for _, d := range days {
		switch {
		case kind == Storage:
			n = d.StoredBytes
		case d.Day.Before(month):
		case kind == MonthlyActiveUsers:
			n = max(n, d.MonthlyActiveUsers)
		default:
			n += d.Ceremonies
		}
	}
	return n
}

// forecast goes on from what is used by the mean of the last whole days, at most seven.
// Users who come again in a month count once, and so their mean is that of newcomers.
func forecast(kind Kind, now int64, days []Day, at time.Time) int64 {
	month, today := monthOf(at), dayOf(at)
	level := func(d Day) int64 { // what grows day by day
		if kind == Storage {
			return d.StoredBytes
		}
		return d.MonthlyActiveUsers
	}
	var grown, whole int64
	var before *Day
	for i := range days {
		d := &days[i]
		if d.Day.Before(today.AddDate(0, 0, -forecastDays)) || !d.Day.Before(today) {
			continue
		}
		switch {
		case kind == Ceremonies:
			grown, whole = grown+d.Ceremonies, whole+1
		case before != nil && (kind == Storage || before.Day.Month() == d.Day.Month()):
			grown, whole = grown+level(*d)-level(*before), whole+1
		case kind == MonthlyActiveUsers && d.Day.Equal(month):
			grown, whole = grown+d.MonthlyActiveUsers, whole+1
		}
		before = d
	}
	left := month.AddDate(0, 1, 0).Sub(at).Hours() / 24
	if whole == 0 { // the first day: by the hours that have gone
		gone := at.Sub(month).Hours() / 24
		if kind == Storage || gone < 1.0/24 || gone > 1 {
			return now
		}
		return int64(float64(now) / gone * (gone + left))
	}
	return max(now, now+int64(float64(grown)/float64(whole)*left))
}

// QuotasRequest names a tenant and the quotas to settle; those of other kinds stay.
type QuotasRequest struct {
	Tenant uuid.UUID
	Set    []Quota
	Remove []Kind
	Reason string // for the audit log
}

// SetQuotas settles what a tenant may use, and returns all its quotas. It counts from the
// next measurement on, within the hour. ErrPlatform, ErrTenant, ErrQuota.
func (s *Service) SetQuotas(ctx context.Context, sc scope.Scope, req QuotasRequest) ([]Quota, error) {
	if sc.Tenant() != scope.PlatformTenant {
		return nil, ErrPlatform
	}
	if err := CheckQuotas(req.Set); err != nil {
		return nil, err
	}
	for _, k := range req.Remove {
		if !slices.Contains(Kinds(), k) {
			return nil, ErrQuota
		}
	}
	var out []Quota
	err := s.store.InPlatform(ctx, "settle quotas", func(tx *db.PlatformTx) error {
		own, row, err := open(ctx, tx, sc, req.Tenant)
		if err != nil {
			return err
		}
		before, err := quotasOf(ctx, own)
		if err != nil {
			return err
		}
		actor := sc.Actor()
		if err := upsert(ctx, own, req.Set, string(actor.Kind)+":"+actor.ID); err != nil {
			return err
		}
		for _, k := range req.Remove {
			if err := own.DeleteQuota(ctx, string(k)); err != nil {
				return fmt.Errorf("remove quota: %w", err)
			}
		}
		if out, err = quotasOf(ctx, own); err != nil {
			return err
		}
		was, is := attrsOf(before), attrsOf(out)
		if slices.EqualFunc(was, is, func(a, b attr.Attr) bool {
			return string(attr.AppendMember(nil, a)) == string(attr.AppendMember(nil, b))
		}) {
			tx.Result(out)
			return nil
		}
		if err := audit.Append(ctx, own, audit.Entry{
			Action: "quota.set", Target: audit.Target{Kind: "tenant", ID: req.Tenant.String()}, Reason: req.Reason, Before: was, After: is,
		}); err != nil {
			return err
		}
		if err := event.Append(ctx, own, event.Event{Type: event.QuotaChanged}); err != nil {
			return err
		}
		if err := s.judge(ctx, tx, own, row); err != nil {
			return err
		}
		tx.Result(out)
		return nil
	})
	return out, err
}

// CheckQuotas judges quotas before they are settled: each of a kind of its own. ErrQuota.
func CheckQuotas(quotas []Quota) error {
	for i, q := range quotas {
		same := func(other Quota) bool { return other.Kind == q.Kind }
		if !slices.Contains(Kinds(), q.Kind) || q.Most < 1 || slices.ContainsFunc(quotas[:i], same) {
			return ErrQuota
		}
	}
	return nil
}

// Settle sets the quotas of a tenant that tx makes, which uses nothing yet; by is who has
// settled them, as kind:id. ErrQuota.
func Settle(ctx context.Context, own *db.TenantTx, quotas []Quota, by, reason string) error {
	if len(quotas) == 0 {
		return nil
	}
	if err := CheckQuotas(quotas); err != nil {
		return err
	}
	if err := upsert(ctx, own, quotas, by); err != nil {
		return err
	}
	if err := audit.Append(ctx, own, audit.Entry{
		Action: "quota.set", Target: audit.Target{Kind: "tenant", ID: own.Scope().Tenant().String()}, Reason: reason, After: attrsOf(quotas),
		Detail: []attr.Attr{attr.Text("settledBy", by)},
	}); err != nil {
		return err
	}
	return event.Append(ctx, own, event.Event{Type: event.QuotaChanged})
}

func upsert(ctx context.Context, own *db.TenantTx, quotas []Quota, by string) error {
	for _, q := range quotas {
		if err := own.UpsertQuota(ctx, tenantq.UpsertQuotaParams{Kind: string(q.Kind), Most: q.Most, Hard: q.Hard, UpdatedBy: by, Now: own.Now()}); err != nil {
			return fmt.Errorf("set quota: %w", err)
		}
	}
	return nil
}

// open locks a tenant and opens it as the same actor.
func open(ctx context.Context, tx *db.PlatformTx, sc scope.Scope, id uuid.UUID) (*db.TenantTx, platformq.Tenant, error) {
	if id == scope.PlatformTenant || id == uuid.Nil {
		return nil, platformq.Tenant{}, ErrTenant
	}
	row, err := tx.LockTenant(ctx, id)
	if db.IsNoRows(err) {
		return nil, row, ErrTenant
	} else if err != nil {
		return nil, row, fmt.Errorf("lock tenant: %w", err)
	}
	own, err := tx.AsTenant(ctx, scope.New(id, sc.Actor()).WithOrigin(sc.Origin()))
	return own, row, err
}

func quotasOf(ctx context.Context, tx *db.TenantTx) ([]Quota, error) {
	rows, err := tx.ListQuotas(ctx)
	if err != nil {
		return nil, fmt.Errorf("list quotas: %w", err)
	}
	out := make([]Quota, len(rows))
	for i, q := range rows {
		out[i] = Quota{Kind: Kind(q.Kind), Most: q.Most, Hard: q.Hard, UpdatedAt: q.UpdatedAt}
	}
	return out, nil
}

func attrsOf(quotas []Quota) []attr.Attr {
	var out []attr.Attr
	for _, q := range quotas {
		how := "soft"
		if q.Hard {
			how = "hard"
		}
		out = append(out, attr.Text(string(q.Kind), fmt.Sprintf("%d %s", q.Most, how)))
	}
	return out
}
