package tenant_test

import (
	"errors"
	"testing"

	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// One field becomes a version of the policy; the rest of it, and what somebody else has put in
// force meanwhile, stays.
func TestUpdateLifetimes(t *testing.T) {
	f := newFixture(t)
	sc, other := f.versioned(t, 1), f.versioned(t, 1)
	update := func(req tenant.UpdateLifetimesRequest) (tenant.PolicyVersion, error) {
		req.Reason = "shorter"
		return f.svc.UpdateLifetimes(t.Context(), sc, req)
	}
	if _, err := f.svc.PutPolicy(t.Context(), sc, tenant.PutPolicyRequest{Document: []byte(`{"minimumAal":2,"accessTokenSeconds":300}`)}); err != nil {
		t.Fatal(err)
	}
	first, err := f.svc.Policy(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	idle, days := 3600, 90
	got, err := update(tenant.UpdateLifetimesRequest{RefreshIdleSeconds: &idle, CeremonyRetentionDays: &days, IfMatch: first.ETag})
	if err != nil || got.Version != 3 || got.Document.RefreshIdleSeconds != 3600 || got.Document.CeremonyRetentionDays != 90 ||
		got.Document.MinimumAAL != 2 || got.Document.AccessTokenSeconds != 300 {
		t.Fatalf("UpdateLifetimes = %+v, %v", got, err)
	}
	entry := lastAudit(t, f.store.Store, sc)
	before, _ := entry["before"].(map[string]any)
	after, _ := entry["after"].(map[string]any)
	if entry["action"] != "policy.update" || entry["reason"] != "shorter" || len(after) != 3 || before["refreshIdleSeconds"] != 604800.0 ||
		after["refreshIdleSeconds"] != 3600.0 || before["ceremonyRetentionDays"] != 0.0 || after["ceremonyRetentionDays"] != 90.0 {
		t.Errorf("audit entry %v", entry)
	}
	if last := events(t, f.store.Store, sc); last[len(last)-1].Type != "policy.changed" {
		t.Errorf("last event = %s", last[len(last)-1].Type)
	}
	if snap, err := f.svc.Current(t.Context(), sc); err != nil || snap.Policy.RefreshIdleSeconds != 3600 {
		t.Errorf("the snapshot after it: %+v, %v", snap, err)
	}
	if same, err := update(tenant.UpdateLifetimesRequest{RefreshIdleSeconds: &idle}); err != nil || same.Version != 3 {
		t.Errorf("what it says already = %+v, %v", same, err)
	}
	if _, err := update(tenant.UpdateLifetimesRequest{RefreshIdleSeconds: &idle, IfMatch: first.ETag}); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("an old etag = %v", err)
	}
	long, short, week := 7200, 59, 7
	for name, req := range map[string]tenant.UpdateLifetimesRequest{
		"a token that outlives its session": {AccessTokenSeconds: &long},
		"a token of less than a minute":     {AccessTokenSeconds: &short},
		"ceremonies for a week":             {CeremonyRetentionDays: &week},
		"sessions for a week":               {SessionRetentionDays: &week},
		"the audit log for a week":          {AuditRetentionDays: &week},
	} {
		if _, err := update(req); !errors.Is(err, policy.ErrInvalid) {
			t.Errorf("%s = %v, want %v", name, err, policy.ErrInvalid)
		}
	}
	if now, err := f.svc.Policy(t.Context(), sc); err != nil || now.Version != 3 {
		t.Errorf("a refusal left version %d, %v", now.Version, err)
	}
	if theirs, err := f.svc.Policy(t.Context(), other); err != nil || theirs.Version != 1 {
		t.Errorf("another tenant's policy has version %d, %v", theirs.Version, err)
	}
	if _, err := f.svc.UpdateLifetimes(t.Context(), operator, tenant.UpdateLifetimesRequest{RefreshIdleSeconds: &idle}); !errors.Is(err, tenant.ErrNotFound) {
		t.Errorf("the platform's = %v", err)
	}
	setState(t, f.store.Store, sc.Tenant(), "DELETING")
	if _, err := update(tenant.UpdateLifetimesRequest{RefreshIdleSeconds: &long}); !errors.Is(err, tenant.ErrDeleting) {
		t.Errorf("of a tenant in deletion = %v", err)
	}
}
