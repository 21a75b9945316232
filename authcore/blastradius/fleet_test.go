package blastradius_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/blastradius"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Operators learn which tenants a broken model reaches, page by page, and no tenant learns
// of another.
func TestFleet(t *testing.T) {
	store := dbtest.Fresh(t)
	f := newFixture(t, authcoretest.On(t, store))
	home := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "test"})
	if err := f.Keys.Ensure(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	tenants := []scope.Scope{f.Tenant(t), f.Tenant(t), f.Tenant(t), f.Tenant(t)}
	slices.SortFunc(tenants, func(a, b scope.Scope) int { x, y := a.Tenant(), b.Tenant(); return slices.Compare(x[:], y[:]) })
	acme, globex, initech := tenants[0], tenants[1], tenants[2] // the fourth has none
	broken, worse, fine := uuid.New(), uuid.New(), uuid.New()
	ada, bob := f.User(t, acme), f.User(t, acme)
	f.EnrollModel(t, acme, ada, broken, credential.TrustMDS, 2)
	revoked := f.EnrollModel(t, acme, bob, broken, credential.TrustNone, 2)
	if _, err := f.Credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: revoked[0].ID}); err != nil {
		t.Fatal(err)
	}
	f.EnrollModel(t, acme, ada, fine, credential.TrustMDS, 1)
	f.EnrollModel(t, globex, f.User(t, globex), fine, credential.TrustMDS, 1)
	eve := f.User(t, initech)
	f.EnrollModel(t, initech, eve, broken, credential.TrustNone, 1)
	f.EnrollModel(t, initech, eve, worse, credential.TrustMDS, 1)
	f.order(t, initech, broken, blastradius.Flag)
	order := f.order(t, initech, broken, blastradius.Suspend)
	f.reports = []blastradius.Report{{AAGUID: broken, Statuses: []string{"REVOKED"}}, {AAGUID: worse, Statuses: []string{"USER_VERIFICATION_BYPASS"}}}

	atAcme := blastradius.Share{Tenant: acme.Tenant(), AAGUID: broken, Credentials: 3, Proven: 2, Active: 3, Users: 2}
	atInitech := blastradius.Share{
		Tenant: initech.Tenant(), AAGUID: broken, Credentials: 1, Suspended: 1, Disposed: 1, Users: 1,
		Disposition: blastradius.Suspend, OrderedAt: &order.CreatedAt, FinishedAt: order.FinishedAt,
	}
	worseAtInitech := blastradius.Share{Tenant: initech.Tenant(), AAGUID: worse, Credentials: 1, Proven: 1, Active: 1, Users: 1}
	sameShares := cmp.Options{
		cmpopts.IgnoreFields(blastradius.Share{}, "Slug"),
		cmpopts.SortSlices(func(a, b blastradius.Share) bool {
			return a.Tenant.String()+a.AAGUID.String() < b.Tenant.String()+b.AAGUID.String()
		}),
	}
	all, err := f.svc.Fleet(t.Context(), home, listing.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]blastradius.Share{atAcme, atInitech, worseAtInitech}, all.Shares, sameShares); diff != "" || all.NextToken != "" {
		t.Errorf("the reported models (-want +got):\n%s", diff)
	}
	if want := []blastradius.Total{
		{AAGUID: broken, Reports: []string{"REVOKED"}, Tenants: 2, Credentials: 4, Users: 3, Disposed: 1},
		{AAGUID: worse, Reports: []string{"USER_VERIFICATION_BYPASS"}, Tenants: 1, Credentials: 1, Users: 1},
	}; !cmp.Equal(want, all.Totals) {
		t.Errorf("Totals = %s", cmp.Diff(want, all.Totals))
	}
	if len(all.Shares) > 0 && all.Shares[0].Slug == "" {
		t.Error("a tenant has no slug")
	}
	if n := store.AuditCount(t, home, "authenticator.measure"); n != 1 {
		t.Errorf("%d audit entries, want one for the page", n)
	}
	for _, sc := range tenants {
		if n := store.AuditCount(t, sc, "authenticator.measure"); n != 0 {
			t.Errorf("%d entries in a tenant's log", n)
		}
	}

	// Page by page it is the same; a page may be empty.
	var pages int
	var shares []blastradius.Share
	for req := (listing.Request{PageSize: 1}); ; pages++ {
		page, err := f.svc.Fleet(t.Context(), home, req)
		if err != nil {
			t.Fatal(err)
		}
		shares = append(shares, page.Shares...)
		if req.PageToken = page.NextToken; req.PageToken == "" {
			break
		}
	}
	if diff := cmp.Diff(all.Shares, shares); diff != "" || pages != 3 {
		t.Errorf("%d further pages (-whole +pages):\n%s", pages, diff)
	}

	for _, tt := range []struct {
		name, filter string
		want         []blastradius.Share
	}{
		{"one tenant", "tenantId = " + acme.Tenant().String(), []blastradius.Share{atAcme}},
		{"one model, reported", "aaguid = " + worse.String(), []blastradius.Share{worseAtInitech}},
		{"one model of one tenant", "aaguid = " + broken.String() + " AND tenantId = " + initech.Tenant().String(), []blastradius.Share{atInitech}},
		{"one tenant that has none", "tenantId = " + globex.Tenant().String(), nil},
		{"a tenant that is none", "tenantId = " + uuid.NewString(), nil},
		{"a model that nobody has", "aaguid = " + uuid.NewString(), nil},
		{"a model that nothing is held against", "aaguid = " + fine.String(), []blastradius.Share{
			{Tenant: acme.Tenant(), AAGUID: fine, Credentials: 1, Proven: 1, Active: 1, Users: 1},
			{Tenant: globex.Tenant(), AAGUID: fine, Credentials: 1, Proven: 1, Active: 1, Users: 1},
		}},
	} {
		page, err := f.svc.Fleet(t.Context(), home, listing.Request{Filter: tt.filter})
		if diff := cmp.Diff(tt.want, page.Shares, sameShares); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, err, diff)
		}
	}
	for name, filter := range map[string]string{
		"no AAGUID": "aaguid = x", "the zero AAGUID": "aaguid = " + uuid.Nil.String(), "another operator": "aaguid != " + broken.String(),
		"twice": "aaguid = " + broken.String() + " AND aaguid = " + worse.String(), "another field": "users = " + broken.String(),
	} {
		if _, err := f.svc.Fleet(t.Context(), home, listing.Request{Filter: filter}); !errors.Is(err, listing.ErrFilter) {
			t.Errorf("%s: %v, want ErrFilter", name, err)
		}
	}
	first, err := f.svc.Fleet(t.Context(), home, listing.Request{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.svc.Fleet(t.Context(), home, listing.Request{PageToken: first.NextToken, Filter: "aaguid = " + broken.String()}); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("a token of another filter: %v", err)
	}
	if _, err := f.svc.Fleet(t.Context(), acme, listing.Request{}); !errors.Is(err, tenant.ErrPlatformOnly) {
		t.Errorf("a tenant asks: %v, want ErrPlatformOnly", err)
	}
	f.reports = nil
	if none, err := f.svc.Fleet(t.Context(), home, listing.Request{}); err != nil || len(none.Shares)+len(none.Totals) != 0 || none.NextToken != "" {
		t.Errorf("nothing is reported: %+v, %v", none, err)
	}
}
