package debugger_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

func newReader(t *testing.T, store *dbtest.Store, tenants ...scope.Scope) *debugger.Reader {
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
	return debugger.NewReader(store.Store, service)
}

func insert(t *testing.T, store *dbtest.Store, sc scope.Scope, p tenantq.InsertCeremonyParams) uuid.UUID {
	t.Helper()
	p.ID = uuid.Must(uuid.NewV7())
	if err := store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		p.At = tx.Now()
		return tx.InsertCeremony(t.Context(), p)
	}); err != nil {
		t.Fatal(err)
	}
	return p.ID
}

// Removing RLS turns the crossing cases red.
func TestListAndGet(t *testing.T) {
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	reader := newReader(t, store, acme, globex)
	owner, model := uuid.New(), uuid.New()
	us := int32(1500)
	failed := insert(t, store, acme, tenantq.InsertCeremonyParams{
		Kind: "AUTHENTICATION", Outcome: "FAILED", Reason: "SIGNATURE_INVALID", UserID: &owner, CredentialID: []byte{9, 9}, Facts: `{"step":21,"flags":5}`,
		LatencyUs: &us, TraceID: "t1", RequestID: "r1", Browser: "Chrome 141 on Windows",
	})
	allowed := insert(t, store, acme, tenantq.InsertCeremonyParams{
		Kind: "REGISTRATION", Outcome: "ALLOW", UserID: &owner, CredentialID: []byte{9, 9}, PolicyVersion: 3, Facts: `{"origin":"https://a.example","aaguid":"` + model.String() + `"}`,
	})
	theirs := insert(t, store, globex, tenantq.InsertCeremonyParams{Kind: "AUTHENTICATION", Outcome: "FAILED", Reason: "SIGNATURE_INVALID", UserID: &owner, Facts: "{}"})

	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	cred := credential.ID([]byte{9, 9}).String()
	for filter, want := range map[string][]uuid.UUID{
		"": {allowed, failed}, "outcome != ALLOW": {failed}, "outcome = ALLOW": {allowed}, "kind = AUTHENTICATION": {failed}, "reason = SIGNATURE_INVALID": {failed},
		"userId = " + owner.String(): {allowed, failed}, "userId = " + uuid.NewString(): nil, "userId = x": nil, "credentialId = " + cred: {allowed, failed},
		"aaguid = " + model.String(): {allowed}, "traceId = t1": {failed}, "requestId = r1 AND outcome = FAILED": {failed}, "time < " + later: {allowed, failed},
		"time > " + later: nil, "outcome = ALLOW AND outcome = DENY": nil, "reason = A AND reason = B": nil,
	} {
		page, err := reader.List(t.Context(), acme, listing.Request{Filter: filter})
		if err != nil || page.NextToken != "" {
			t.Fatalf("List %q = %+v, %v", filter, page, err)
		}
		var got []uuid.UUID
		for _, c := range page.Items {
			got = append(got, c.ID)
		}
		if len(got) != len(want) {
			t.Errorf("List %q = %v, want %v", filter, got, want)
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("List %q = %v, want %v", filter, got, want)
			}
		}
	}
	for _, filter := range []string{"outcome = MAYBE", "colour = red", "reason != x", "time = noon"} {
		if _, err := reader.List(t.Context(), acme, listing.Request{Filter: filter}); !errors.Is(err, listing.ErrFilter) {
			t.Errorf("List %q error = %v, want %v", filter, err, listing.ErrFilter)
		}
	}

	first, err := reader.List(t.Context(), acme, listing.Request{PageSize: 1})
	if err != nil || len(first.Items) != 1 || first.NextToken == "" {
		t.Fatalf("first page = %+v, %v", first, err)
	}
	second, err := reader.List(t.Context(), acme, listing.Request{PageSize: 1, PageToken: first.NextToken})
	if err != nil || len(second.Items) != 1 || second.Items[0].ID != failed {
		t.Errorf("second page = %+v, %v", second, err)
	}
	if _, err := reader.List(t.Context(), globex, listing.Request{PageSize: 1, PageToken: first.NextToken}); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("another tenant's token: %v", err)
	}

	c, err := reader.Get(t.Context(), acme, failed)
	if err != nil || c.Facts.Step != 21 || c.Facts.Flags == nil || *c.Facts.Flags != 5 || c.Latency == nil || *c.Latency != 1500*time.Microsecond || c.Browser == "" || c.UserID.UUID() != owner {
		t.Errorf("Get = %+v, %v", c, err)
	}
	for _, id := range []uuid.UUID{theirs, uuid.Must(uuid.NewV7())} {
		if _, err := reader.Get(t.Context(), acme, id); !errors.Is(err, debugger.ErrNotFound) {
			t.Errorf("Get of another's = %v, want %v", err, debugger.ErrNotFound)
		}
	}
}

// A filter that matches rarely reads so much a page, and goes on where it stopped: also by
// the index of failures.
func TestListLooksAtSoMuchAPage(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	reader := newReader(t, store, acme)
	if _, err := store.Superuser(t).Exec(t.Context(), `INSERT INTO ceremonies (tenant_id, at, id, kind, outcome, reason, policy_version, facts, trace_id)
SELECT $1, now() - n * interval '1 millisecond', gen_random_uuid(), 'AUTHENTICATION', CASE WHEN n % 2 = 0 THEN 'ALLOW' ELSE 'FAILED' END, '', 1, '{}',
  CASE WHEN n >= 42000 THEN 'rare' ELSE '' END FROM generate_series(0, 42001) n`, acme.Tenant()); err != nil {
		t.Fatal(err)
	}
	for filter, want := range map[string][2]int{"traceId = rare": {2, 3}, "traceId = rare AND outcome = FAILED": {1, 2}} {
		seen, pages := 0, 0
		for token := ""; ; {
			page, err := reader.List(t.Context(), acme, listing.Request{Filter: filter, PageToken: token})
			if err != nil || pages > 10 {
				t.Fatalf("%s: page %d: %v", filter, pages, err)
			}
			pages++
			seen += len(page.Items)
			if token = page.NextToken; token == "" {
				break
			}
		}
		if seen != want[0] || pages != want[1] {
			t.Errorf("%s: %d ceremonies in %d pages, want %v", filter, seen, pages, want)
		}
	}
}
