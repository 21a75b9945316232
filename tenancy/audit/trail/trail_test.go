package trail_test

import (
	"errors"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

func newReader(t *testing.T, store *dbtest.Store, tenants ...scope.Scope) *trail.Reader {
	t.Helper()
	return trail.NewReader(store.Store, newKeys(t, store, tenants...))
}

func newKeys(t testing.TB, store *dbtest.Store, tenants ...scope.Scope) *keys.Service {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	service := keys.New(keys.Options{Store: store.Store, KMS: k})
	for _, sc := range tenants {
		if err := service.Ensure(t.Context(), sc); err != nil {
			t.Fatal(err)
		}
	}
	return service
}

func TestList(t *testing.T) {
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	reader := newReader(t, store, acme, globex)
	ana := acme.WithActor(scope.Actor{Kind: scope.ActorOperator, ID: "ana", Name: "Ana"}).
		WithOrigin(scope.Origin{Address: netip.MustParseAddr("192.0.2.7"), UserAgent: "B/1", RequestID: "r1", TraceID: "t1"})
	write := func(sc scope.Scope, e audit.Entry) {
		t.Helper()
		if err := store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error { return audit.Append(t.Context(), tx, e) }); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now()
	write(acme, audit.Entry{Action: "user.block", Target: audit.Target{Kind: "user", ID: "u1"}})
	write(ana, audit.Entry{
		Action: "credential.revoke", Target: audit.Target{Kind: "credential", ID: "c1"}, Reason: "lost",
		Before: []audit.Attr{attr.Text("state", "ACTIVE")}, After: []audit.Attr{attr.Text("state", "REVOKED")}, Detail: []audit.Attr{attr.Int("n", 1)},
	})
	write(acme, audit.Entry{Action: "credential.revoke", Outcome: audit.Denied, Target: audit.Target{Kind: "credential", ID: "c2"}})
	write(globex, audit.Entry{Action: "credential.revoke", Target: audit.Target{Kind: "credential", ID: "c1"}})

	list := func(sc scope.Scope, filter string) []trail.Record {
		t.Helper()
		page, err := reader.List(t.Context(), sc, listing.Request{Filter: filter})
		if err != nil || page.NextToken != "" {
			t.Fatalf("List %q = %+v, %v", filter, page, err)
		}
		return page.Items
	}
	for filter, want := range map[string]int{
		"action = credential.revoke": 2, `target = "credential/c1"`: 1, `target = "credential/c9"`: 0, "targetKind = credential": 2, "targetKind = cred": 0, "action = user.block": 1,
		"actor = ana": 1, "outcome = denied": 1, `target = "credential/c1" AND outcome = denied`: 0, `target = "credential/c1" AND actor = ana`: 1,
		"action = credential.revoke AND time >= " + before.Add(-time.Minute).Format(time.RFC3339): 2, "time < " + before.Add(-time.Minute).Format(time.RFC3339): 0,
		"time > " + before.Add(time.Hour).Format(time.RFC3339): 0, "actor = ana AND actor = bob": 0,
	} {
		if got := list(acme, filter); len(got) != want {
			t.Errorf("List %q = %d entries, want %d", filter, len(got), want)
		}
	}
	got := list(acme, `target = "credential/c1"`)[0] // and not globex's of the same name
	if got.Action != "credential.revoke" || got.Outcome != audit.Success || got.Reason != "lost" || got.Actor.Name != "Ana" || got.Actor.Kind != scope.ActorOperator ||
		got.Target != (audit.Target{Kind: "credential", ID: "c1"}) || got.Address.String() != "192.0.2.7" || got.UserAgent != "B/1" || got.RequestID != "r1" ||
		got.TraceID != "t1" || string(got.Before) != `{"state":"ACTIVE"}` || string(got.After) != `{"state":"REVOKED"}` || string(got.Detail) != `{"n":1}` {
		t.Errorf("entry = %+v", got)
	}

	for _, filter := range []string{"target != x", "outcome = maybe", "colour = red", "target = a AND targetKind = a", "time = yesterday"} {
		if _, err := reader.List(t.Context(), acme, listing.Request{Filter: filter}); !errors.Is(err, listing.ErrFilter) {
			t.Errorf("List %q error = %v, want %v", filter, err, listing.ErrFilter)
		}
	}
	if _, err := reader.List(t.Context(), acme, listing.Request{PageToken: "AAAA"}); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("a made-up token: %v", err)
	}
}

// Pages follow each other without a gap, also where the filter matches rarely: more is
// written than one page looks at.
func TestListLooksAtSoMuchAPage(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	reader := newReader(t, store, acme)
	// A found one, and more of others after it than a page looks at.
	if _, err := store.Superuser(t).Exec(t.Context(), `INSERT INTO audit_inbox (tenant_id, id, at, action, entry, target)
SELECT $1, ('01890a5d-ac96-7' || lpad(to_hex(n / 65536), 3, '0') || '-8000-00000000' || lpad(to_hex(n % 65536), 4, '0'))::uuid, now(),
  CASE WHEN n % 5500 = 0 THEN 'rare.act' ELSE 'often.act' END, '{"v":1}', 'thing/' || n % 2 FROM generate_series(0, 11000) n`, acme.Tenant()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		filter string
		want   int
	}{{"action = rare.act", 3}, {`target = "thing/0"`, 5501}, {`target = "thing/0" AND action = rare.act`, 3}} {
		seen, token, last := 0, "", ""
		for pages := 0; ; pages++ {
			page, err := reader.List(t.Context(), acme, listing.Request{Filter: tt.filter, PageToken: token, PageSize: 200})
			if err != nil || pages > 40 {
				t.Fatalf("%s: page %d: %v", tt.filter, pages, err)
			}
			for _, e := range page.Items {
				if id := e.ID.String(); last != "" && id >= last {
					t.Fatalf("%s: %s after %s", tt.filter, id, last)
				} else {
					last = id
				}
			}
			seen += len(page.Items)
			if token = page.NextToken; token == "" {
				break
			}
		}
		if seen != tt.want {
			t.Errorf("%s: %d entries, want %d", tt.filter, seen, tt.want)
		}
	}
}
