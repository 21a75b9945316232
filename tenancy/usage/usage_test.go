package usage_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/stats"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/tenancy/usage"
)

// operator is the platform's key.
var operator = scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorPlatform, ID: "pf1", Name: "ops"})

type fixture struct {
	store   *dbtest.Store
	svc     *usage.Service
	tenants *tenant.Service
}

func newFixture(t *testing.T) *fixture {
	store := dbtest.New(t)
	return &fixture{store, usage.New(usage.Options{Store: store.Store}), tenant.New(tenant.Options{Store: store.Store})}
}

func (f *fixture) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := f.store.Superuser(t).Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// session is a sign-in of a user, with its ceremony.
func (f *fixture) session(t *testing.T, sc scope.Scope, user uuid.UUID) {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	f.exec(t, `INSERT INTO sessions (tenant_id, id, user_id, credential_id, aal, user_verified, created_at, last_used_at, expires_at)
		VALUES ($1, $2, $3, '\x01', 2, true, now(), now(), now() + interval '1 hour')`, sc.Tenant(), id, user)
	f.ceremony(t, sc, "ALLOW")
}

func (f *fixture) ceremony(t *testing.T, sc scope.Scope, outcome string) {
	t.Helper()
	f.exec(t, `INSERT INTO ceremonies (tenant_id, at, id, kind, outcome, policy_version, facts) VALUES ($1, now(), $2, 'AUTHENTICATION', $3, 1, '{}')`,
		sc.Tenant(), uuid.New(), outcome)
}

func (f *fixture) report(t *testing.T, sc scope.Scope) usage.Report {
	t.Helper()
	r, err := f.svc.Report(t.Context(), sc, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A user counts once a month, a ceremony each time; measuring again counts nothing twice.
func TestMeasure(t *testing.T) {
	f := newFixture(t)
	acme, globex := f.store.Tenant(t), f.store.Tenant(t)
	ada, bob := uuid.New(), uuid.New()
	for _, user := range []uuid.UUID{ada, ada, bob} {
		f.session(t, acme, user)
	}
	f.ceremony(t, acme, "FAILED")
	f.session(t, globex, ada)
	f.store.User(t, acme, 2)
	for range 2 {
		if err := f.svc.Measure(t.Context(), acme); err != nil {
			t.Fatal(err)
		}
	}
	r := f.report(t, acme)
	today := r.Days[len(r.Days)-1]
	if today.Ceremonies != 4 || today.SignIns != 3 || today.MonthlyActiveUsers != 2 || today.StoredBytes < 1000 {
		t.Errorf("today = %+v, want 4 ceremonies, 3 sign-ins, 2 users, some bytes", today)
	}
	for i, want := range []int64{2, 4, today.StoredBytes} {
		if m := r.Meters[i]; m.Used != want || m.Forecast < want || m.Quota != nil {
			t.Errorf("%s = %+v, want %d used", m.Kind, m, want)
		}
	}
	f.exec(t, "INSERT INTO stats_counts (tenant_id, step, at, counts, answered) VALUES ($1, 86400, date_trunc('day', now(), 'UTC'), '{}', 41)", acme.Tenant())
	f.exec(t, "INSERT INTO stats_faults (tenant_id, at, faults) VALUES ($1, date_bin('5 minutes', now(), 'epoch'), 1)", acme.Tenant())
	// An erased user was active all the same.
	f.exec(t, "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2", acme.Tenant(), bob)
	if err := f.svc.Measure(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	if got := f.report(t, acme).Meters[0].Used; got != 2 {
		t.Errorf("after a user was erased %d were active, want 2", got)
	}
	// The service level of 30 days stands on the tenant's row, where lists find it.
	for id, want := range map[uuid.UUID]stats.Level{acme.Tenant(): {Answered: 41, Faults: 1}, globex.Tenant(): {}} {
		if got, err := f.tenants.Get(t.Context(), operator, id); err != nil || got.Month != want {
			t.Errorf("the month of %s = %+v, %v, want %+v", id, got.Month, err, want)
		}
	}
	if other := f.report(t, globex); len(other.Days) != 0 || other.Meters[1].Used != 0 {
		t.Errorf("another tenant's usage shows here: %+v", other)
	}
}

func TestQuotas(t *testing.T) {
	f := newFixture(t)
	sc := f.store.Tenant(t)
	for range 9 {
		f.session(t, sc, uuid.New())
	}
	set := func(q usage.Quota) {
		t.Helper()
		got, err := f.svc.SetQuotas(t.Context(), operator, usage.QuotasRequest{Tenant: sc.Tenant(), Set: []usage.Quota{q}, Reason: "contract"})
		if err != nil || len(got) == 0 {
			t.Fatalf("SetQuotas = %+v, %v", got, err)
		}
		if err := f.svc.Measure(t.Context(), sc); err != nil {
			t.Fatal(err)
		}
	}
	exceeds := func(use tenant.Use) error {
		t.Helper()
		snap, err := tenant.New(tenant.Options{Store: f.store.Store}).Current(t.Context(), sc)
		if err != nil {
			t.Fatal(err)
		}
		return snap.Exceeds(use)
	}
	set(usage.Quota{Kind: usage.MonthlyActiveUsers, Most: 10})
	if r := f.report(t, sc); len(r.Alerts) != 1 || r.Alerts[0].Percent != 80 || r.Alerts[0].Used != 9 || r.Meters[0].Percent() != 90 {
		t.Errorf("at 90 %%: %+v", r.Alerts)
	}
	set(usage.Quota{Kind: usage.MonthlyActiveUsers, Most: 5})
	if r := f.report(t, sc); len(r.Alerts) != 3 || r.Alerts[2].Percent != 100 {
		t.Errorf("beyond it: %+v", r.Alerts)
	}
	if n := f.store.AuditCount(t, sc, "quota.reach"); n != 3 {
		t.Errorf("%d audit entries, want each share once for each quota", n)
	}
	if now, err := f.svc.Alerts(t.Context(), sc); err != nil || len(now) != 2 || now[0].Most != 5 {
		t.Errorf("Alerts = %+v, %v; want those of the quota as it is", now, err)
	}
	if err := exceeds(tenant.Enrolling); err != nil {
		t.Errorf("a quota that is not hard stops: %v", err)
	}
	set(usage.Quota{Kind: usage.MonthlyActiveUsers, Most: 5, Hard: true})
	for use, want := range map[tenant.Use]error{tenant.Enrolling: tenant.ErrQuotaExceeded, tenant.Importing: tenant.ErrQuotaExceeded, tenant.SigningIn: nil} {
		if err := exceeds(use); !errors.Is(err, want) {
			t.Errorf("use %d over a hard quota of users: %v, want %v", use, err, want)
		}
	}
	set(usage.Quota{Kind: usage.Ceremonies, Most: 9, Hard: true})
	if err := exceeds(tenant.SigningIn); !errors.Is(err, tenant.ErrQuotaExceeded) {
		t.Errorf("a sign-in over a hard quota of ceremonies: %v", err)
	}
	if got, err := f.svc.SetQuotas(t.Context(), operator, usage.QuotasRequest{Tenant: sc.Tenant(), Remove: usage.Kinds()}); err != nil || len(got) != 0 {
		t.Errorf("removed: %+v, %v", got, err)
	}
	if err := errors.Join(exceeds(tenant.Enrolling), exceeds(tenant.SigningIn)); err != nil {
		t.Errorf("without quotas: %v", err)
	}
}

func TestQuotasRefuses(t *testing.T) {
	f := newFixture(t)
	sc := f.store.Tenant(t)
	good := []usage.Quota{{Kind: usage.Storage, Most: 1}}
	for _, tt := range []struct {
		name string
		by   scope.Scope
		req  usage.QuotasRequest
		want error
	}{
		{"a tenant of itself", sc, usage.QuotasRequest{Tenant: sc.Tenant(), Set: good}, usage.ErrPlatform},
		{"nobody's", operator, usage.QuotasRequest{Tenant: uuid.New(), Set: good}, usage.ErrTenant},
		{"the platform's own", operator, usage.QuotasRequest{Tenant: scope.PlatformTenant, Set: good}, usage.ErrTenant},
		{"of nothing", operator, usage.QuotasRequest{Tenant: sc.Tenant(), Set: []usage.Quota{{Kind: usage.Storage}}}, usage.ErrQuota},
		{"of what is not metered", operator, usage.QuotasRequest{Tenant: sc.Tenant(), Set: []usage.Quota{{Kind: "SMS", Most: 1}}}, usage.ErrQuota},
		{"the removal of that", operator, usage.QuotasRequest{Tenant: sc.Tenant(), Remove: []usage.Kind{"SMS"}}, usage.ErrQuota},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := f.svc.SetQuotas(t.Context(), tt.by, tt.req); !errors.Is(err, tt.want) {
				t.Errorf("SetQuotas = %v, want %v", err, tt.want)
			}
		})
	}
	now := time.Now()
	for _, span := range [][2]time.Time{{now, now.AddDate(0, 0, -1)}, {now.AddDate(-2, 0, 0), now}} {
		if _, err := f.svc.Report(t.Context(), sc, span[0], span[1]); !errors.Is(err, usage.ErrSpan) {
			t.Errorf("from %v to %v: %v, want ErrSpan", span[0], span[1], err)
		}
	}
}
