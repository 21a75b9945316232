package tenant_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// The platform settles a tenant's limits: the snapshot has them at once, the log says from what to
// what, and what is refused or changes nothing leaves no trace.
func TestSetLimits(t *testing.T) {
	f := newFixture(t)
	sc, other := f.versioned(t, 1), f.versioned(t, 1)
	staff := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorPlatform, ID: "staff"})
	set := func(by scope.Scope, req tenant.LimitsRequest) (tenant.Tenant, error) {
		return f.svc.SetLimits(t.Context(), by, req)
	}
	calls := func(name string, n int64) []ratelimit.Calls { return []ratelimit.Calls{{Name: name, Calls: n}} }
	got, err := set(staff, tenant.LimitsRequest{ID: sc.Tenant(), Set: calls("key", 2000), Reason: "contract"})
	if err != nil || got.Limits.Of(&ratelimit.PerKey).Max != 2000 {
		t.Fatalf("SetLimits = %+v, %v", got.Limits.List(), err)
	}
	if snap, err := f.svc.Current(t.Context(), sc); err != nil || snap.Limits.Of(&ratelimit.PerKey).Max != 2000 || snap.ETag != got.ETag {
		t.Errorf("the snapshot after it: %+v, %v", snap, err)
	}
	entry := lastAudit(t, f.store.Store, sc)
	before, _ := entry["before"].(map[string]any)
	after, _ := entry["after"].(map[string]any)
	if entry["action"] != "limits.set" || entry["reason"] != "contract" || len(after) != 1 || before["key"] != 400.0 || after["key"] != 2000.0 {
		t.Errorf("audit entry %v", entry)
	}
	all := events(t, f.store.Store, sc)
	if all[len(all)-1].Type != "limits.changed" {
		t.Errorf("last event = %s", all[len(all)-1].Type)
	}
	for name, tt := range map[string]struct {
		by   scope.Scope
		req  tenant.LimitsRequest
		want error
	}{
		"the same again":          {staff, tenant.LimitsRequest{ID: sc.Tenant(), Set: calls("key", 2000)}, nil},
		"what all tenants have":   {staff, tenant.LimitsRequest{ID: sc.Tenant(), Remove: []string{"user"}}, nil},
		"no such limit":           {staff, tenant.LimitsRequest{ID: sc.Tenant(), Set: calls("all", 1)}, ratelimit.ErrOwn},
		"out of bounds":           {staff, tenant.LimitsRequest{ID: sc.Tenant(), Set: calls("key", 0)}, ratelimit.ErrOwn},
		"by the tenant itself":    {sc, tenant.LimitsRequest{ID: sc.Tenant(), Set: calls("key", 4000)}, tenant.ErrPlatformOnly},
		"by another tenant":       {other, tenant.LimitsRequest{ID: sc.Tenant(), Set: calls("key", 4000)}, tenant.ErrPlatformOnly},
		"of no tenant":            {staff, tenant.LimitsRequest{ID: uuid.New(), Set: calls("key", 4000)}, tenant.ErrNotFound},
		"of the platform itself":  {staff, tenant.LimitsRequest{ID: scope.PlatformTenant, Set: calls("key", 4000)}, tenant.ErrNotFound},
		"for a reason of a novel": {staff, tenant.LimitsRequest{ID: sc.Tenant(), Set: calls("key", 4000), Reason: string(make([]byte, 300))}, tenant.ErrInvalid},
	} {
		if _, err := set(tt.by, tt.req); !errors.Is(err, tt.want) {
			t.Errorf("%s = %v, want %v", name, err, tt.want)
		}
	}
	if now := events(t, f.store.Store, sc); len(now) != len(all) {
		t.Errorf("%d events, before %d", len(now), len(all))
	}
	if snap, err := f.svc.Current(t.Context(), other); err != nil || !snap.Limits.None() {
		t.Errorf("another tenant: %+v, %v", snap.Limits.List(), err)
	}
	if got, err = set(staff, tenant.LimitsRequest{ID: sc.Tenant(), Remove: []string{"key"}}); err != nil || !got.Limits.None() {
		t.Errorf("taken away: %+v, %v", got.Limits.List(), err)
	}
}
