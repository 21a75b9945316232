package retention_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/retention"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const day = 24 * time.Hour

type fixture struct {
	store    *dbtest.Store
	policies map[uuid.UUID]policy.Document
	svc      *retention.Service
	now      time.Time // when rows are made from
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{store: dbtest.New(t), policies: map[uuid.UUID]policy.Document{}}
	f.now = f.store.Now()
	f.svc = retention.New(retention.Options{Store: f.store.Store, Policy: func(_ context.Context, sc scope.Scope) (policy.Document, error) {
		return f.policies[sc.Tenant()], nil
	}})
	f.svc.SetBatch(3)
	f.exec(t, "SELECT make_partitions(now() - interval '100 days')")
	return f
}

// tenant is one whose policy keeps ceremonies and sessions for so many days.
func (f *fixture) tenant(t *testing.T, ceremonies, sessions int) scope.Scope {
	t.Helper()
	sc := f.store.Tenant(t)
	d := policy.Default()
	d.CeremonyRetentionDays, d.SessionRetentionDays = ceremonies, sessions
	f.policies[sc.Tenant()] = d
	return sc
}

func (f *fixture) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := f.store.Superuser(t).Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) ceremony(t *testing.T, sc scope.Scope, age time.Duration) {
	t.Helper()
	f.exec(t, `INSERT INTO ceremonies (tenant_id, at, id, kind, outcome, policy_version, facts) VALUES ($1, $2, $3, 'AUTHENTICATION', 'ALLOW', 1, '{}')`,
		sc.Tenant(), f.now.Add(-age), uuid.New())
}

// session began when its id says.
func (f *fixture) session(t *testing.T, sc scope.Scope, began, expired time.Duration, revoked *time.Duration) {
	t.Helper()
	now := f.now
	ms := uint64(now.Add(-began).UnixMilli())
	id := uuid.New()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	var revokedAt *time.Time
	if revoked != nil {
		at := now.Add(-*revoked)
		revokedAt = &at
	}
	f.exec(t, `INSERT INTO sessions (tenant_id, id, user_id, credential_id, aal, user_verified, created_at, last_used_at, expires_at, revoked_at)
		VALUES ($1, $2, $3, '\x01', 2, true, $4, $4, $5, $6)`, sc.Tenant(), id, uuid.New(), now.Add(-began), now.Add(-expired), revokedAt)
}

func (f *fixture) count(t *testing.T, table string, sc scope.Scope) (n int) {
	t.Helper()
	if err := f.store.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM "+table+" WHERE tenant_id = $1", sc.Tenant()).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (f *fixture) apply(t *testing.T, sc scope.Scope) {
	t.Helper()
	if err := f.svc.Apply(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
}

// What is older than the tenant's own policy says goes, in several transactions, and nothing else:
// of the day that the retention ends in, and of other tenants. Without Truncate the ceremony of 40
// days and an hour would go too.
func TestApplyRemovesCeremonies(t *testing.T) {
	f := newFixture(t)
	acme, globex, good := f.tenant(t, 40, 0), f.tenant(t, 60, 0), f.tenant(t, 0, 0)
	sinceMidnight := f.now.Sub(f.now.Truncate(day))
	for _, sc := range []scope.Scope{acme, globex, good} {
		for i := range 7 {
			f.ceremony(t, sc, 50*day+time.Duration(i)*time.Millisecond)
		}
		f.ceremony(t, sc, 40*day+sinceMidnight) // midnight itself stays
		f.ceremony(t, sc, 40*day+sinceMidnight+time.Microsecond)
		f.ceremony(t, sc, time.Hour)
	}
	for range 2 { // again removes nothing more
		for _, sc := range []scope.Scope{acme, globex, good} {
			f.apply(t, sc)
		}
	}
	for sc, want := range map[scope.Scope]int{acme: 2, globex: 10, good: 10} {
		if n := f.count(t, "ceremonies", sc); n != want {
			t.Errorf("%d ceremonies are left, want %d", n, want)
		}
	}
	if n := f.store.AuditCount(t, acme, "ceremony.expire"); n != 3 {
		t.Errorf("%d audit entries, want one for each of the transactions of 3, 3 and 2", n)
	}
	if n := f.store.AuditCount(t, globex, "ceremony.expire"); n != 0 {
		t.Errorf("a tenant that keeps its own has %d entries", n)
	}
}

// A session goes so long after its end, be that its time or a revocation, however old it is.
func TestApplyRemovesSessions(t *testing.T) {
	f := newFixture(t)
	acme, globex := f.tenant(t, 0, 30), f.tenant(t, 0, 0)
	early, late := 80*day, 10*day
	for _, sc := range []scope.Scope{acme, globex} {
		for range 4 {
			f.session(t, sc, 90*day, 31*day, nil)
		}
		f.session(t, sc, 90*day, 29*day, nil)     // ended lately
		f.session(t, sc, 90*day, -day, &early)    // revoked long ago
		f.session(t, sc, 85*day, -5*day, &late)   // revoked lately
		f.session(t, sc, 85*day, -5*day, nil)     // goes on
		f.session(t, sc, time.Hour, -29*day, nil) // young
		f.session(t, sc, 32*day, 30*day+time.Minute, nil)
	}
	for range 2 {
		f.apply(t, acme)
		f.apply(t, globex)
	}
	if n := f.count(t, "sessions", acme); n != 4 {
		t.Errorf("%d sessions are left, want 4", n)
	}
	if n := f.count(t, "sessions", globex); n != 10 {
		t.Errorf("%d sessions of another tenant are left, want all 10", n)
	}
}

// Whatever the code asks for, nothing of the last thirty days is removed: the policy aged says so,
// and the wall that another tenant's is not.
func TestTheDatabaseKeepsThirtyDays(t *testing.T) {
	f := newFixture(t)
	acme, globex := f.tenant(t, 1, 0), f.tenant(t, 0, 0) // which no policy may say
	for _, sc := range []scope.Scope{acme, globex} {
		f.ceremony(t, sc, 29*day)
		f.ceremony(t, sc, 31*day)
	}
	f.apply(t, acme)
	if n := f.count(t, "ceremonies", acme); n != 1 {
		t.Errorf("%d ceremonies are left, want that of 29 days ago", n)
	}
	if n := f.count(t, "ceremonies", globex); n != 2 {
		t.Errorf("%d ceremonies of another tenant are left, want 2", n)
	}
}

func TestApplyWithoutAPolicy(t *testing.T) {
	store := dbtest.New(t)
	wrong := errors.New("no such tenant")
	svc := retention.New(retention.Options{Store: store.Store, Policy: func(context.Context, scope.Scope) (policy.Document, error) { return policy.Document{}, wrong }})
	if err := svc.Apply(t.Context(), store.Tenant(t)); !errors.Is(err, wrong) || !strings.Contains(err.Error(), "policy") {
		t.Errorf("Apply = %v, want %v", err, wrong)
	}
}
