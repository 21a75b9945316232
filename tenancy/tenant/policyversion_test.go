package tenant_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// versioned is a tenant whose policy's version n gives access tokens of n minutes.
func (f *fixture) versioned(t *testing.T, versions int) scope.Scope {
	t.Helper()
	sc := of(f.create(t))
	if err := f.keys.Ensure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	for n := 2; n <= versions; n++ {
		if _, err := f.svc.PutPolicy(t.Context(), sc, tenant.PutPolicyRequest{Document: fmt.Appendf(nil, `{"accessTokenSeconds":%d}`, 60*n)}); err != nil {
			t.Fatal(err)
		}
	}
	return sc
}

func TestPolicyVersions(t *testing.T) {
	f := newFixture(t)
	sc, other := f.versioned(t, 5), f.versioned(t, 3)
	var got []int
	req := listing.Request{PageSize: 2}
	for {
		page, err := f.svc.PolicyVersions(t.Context(), sc, req)
		if err != nil || len(page.Items) > 2 {
			t.Fatalf("PolicyVersions(%+v) = %d versions, %v", req, len(page.Items), err)
		}
		for _, p := range page.Items {
			got = append(got, p.Version)
			if p.Version > 1 && p.Document.AccessTokenSeconds != 60*p.Version || p.ETag == "" || p.CreatedBy == "" || p.CreatedAt.IsZero() {
				t.Errorf("version %d = %+v", p.Version, p)
			}
		}
		if req.PageToken = page.NextToken; req.PageToken == "" {
			break
		}
		if _, err := f.svc.PolicyVersions(t.Context(), other, req); !errors.Is(err, listing.ErrPageToken) {
			t.Errorf("another tenant's page token = %v, want %v", err, listing.ErrPageToken)
		}
	}
	if !slices.Equal(got, []int{5, 4, 3, 2, 1}) {
		t.Errorf("versions %v", got)
	}
	if _, err := f.svc.PolicyVersions(t.Context(), sc, listing.Request{Filter: "version = 2"}); !errors.Is(err, listing.ErrFilter) {
		t.Errorf("a filter = %v", err)
	}

	if p, err := f.svc.PolicyVersion(t.Context(), sc, 4); err != nil || p.Version != 4 || p.Document.AccessTokenSeconds != 240 {
		t.Errorf("PolicyVersion = %+v, %v", p, err)
	}
	for _, n := range []int{-1, 0, 6, math.MaxInt32 + 2, math.MaxInt} {
		if _, err := f.svc.PolicyVersion(t.Context(), sc, n); !errors.Is(err, tenant.ErrPolicyVersion) {
			t.Errorf("version %d = %v, want %v", n, err, tenant.ErrPolicyVersion)
		}
	}
	// The other tenant has no fourth version, although there is one.
	if _, err := f.svc.PolicyVersion(t.Context(), other, 4); !errors.Is(err, tenant.ErrPolicyVersion) {
		t.Errorf("another tenant's version = %v, want %v", err, tenant.ErrPolicyVersion)
	}
}

// Going back writes a version, and rewrites none.
func TestRollbackPolicy(t *testing.T) {
	f := newFixture(t)
	sc := f.versioned(t, 3)
	now, err := f.svc.Policy(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	back := func(sc scope.Scope, version int, ifMatch string) (tenant.PolicyVersion, error) {
		return f.svc.RollbackPolicy(t.Context(), sc, tenant.RollbackPolicyRequest{Version: version, Reason: "too long", IfMatch: ifMatch})
	}
	got, err := back(sc, 2, now.ETag)
	if err != nil || got.Version != 4 || got.Document.AccessTokenSeconds != 120 || got.ETag == now.ETag {
		t.Fatalf("RollbackPolicy = %+v, %v", got, err)
	}
	entry := lastAudit(t, f.store.Store, sc)
	detail, _ := entry["detail"].(map[string]any)
	before, _ := entry["before"].(map[string]any)
	after, _ := entry["after"].(map[string]any)
	if entry["action"] != "policy.update" || entry["reason"] != "too long" || detail["rolledBackTo"] != 2.0 ||
		before["version"] != 3.0 || before["accessTokenSeconds"] != 180.0 || after["version"] != 4.0 || after["accessTokenSeconds"] != 120.0 {
		t.Errorf("audit entry %v", entry)
	}
	if last := events(t, f.store.Store, sc); last[len(last)-1].Type != "policy.changed" {
		t.Errorf("last event = %s", last[len(last)-1].Type)
	}
	if snap, err := f.svc.Current(t.Context(), sc); err != nil || snap.PolicyVersion != 4 || snap.Policy.AccessTokenSeconds != 120 {
		t.Errorf("the snapshot after it: %+v, %v", snap, err)
	}
	if p, err := f.svc.PolicyVersion(t.Context(), sc, 3); err != nil || p.Document.AccessTokenSeconds != 180 {
		t.Errorf("the version in between = %+v, %v", p, err)
	}

	entries := f.store.AuditCount(t, sc, "policy.update")
	for _, version := range []int{2, 4} {
		if same, err := back(sc, version, ""); err != nil || same.Version != 4 {
			t.Errorf("back to what it says already, %d = %+v, %v", version, same, err)
		}
	}
	if _, err := back(sc, 1, now.ETag); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("an old etag = %v", err)
	}
	if _, err := back(sc, 5, ""); !errors.Is(err, tenant.ErrPolicyVersion) {
		t.Errorf("a version that is none = %v", err)
	}
	if _, err := back(f.versioned(t, 1), 3, ""); !errors.Is(err, tenant.ErrPolicyVersion) {
		t.Errorf("another tenant's version = %v", err)
	}
	for name, sc := range map[string]scope.Scope{"the platform": operator, "nobody": scope.New(uuid.New(), operator.Actor())} {
		if _, err := back(sc, 1, ""); !errors.Is(err, tenant.ErrNotFound) {
			t.Errorf("a policy of %s = %v, want %v", name, err, tenant.ErrNotFound)
		}
	}
	if n := f.store.AuditCount(t, sc, "policy.update"); n != entries {
		t.Errorf("what changed nothing left %d entries", n-entries)
	}
}

// A KMS that signs may be gone by the time that somebody goes back.
func TestRollbackToKeysInKMS(t *testing.T) {
	f := newFixture(t)
	sc := f.versioned(t, 1)
	signs := keys.New(keys.Options{Store: f.store.Store, KMS: struct{ keys.SigningKMS }{}})
	in := tenant.New(tenant.Options{Store: f.store.Store, Keys: signs})
	for _, document := range []string{`{"signingKeyLocation":"KMS"}`, `{}`} {
		if _, err := in.PutPolicy(t.Context(), sc, tenant.PutPolicyRequest{Document: []byte(document)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.svc.RollbackPolicy(t.Context(), sc, tenant.RollbackPolicyRequest{Version: 2}); !errors.Is(err, keys.ErrNoSigner) {
		t.Errorf("RollbackPolicy = %v, want %v", err, keys.ErrNoSigner)
	}
}
