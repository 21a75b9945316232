package dbtest

import (
	"crypto/rand"
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// TenantOptions say what is special about a tenant. The zero value is an active
// test tenant on localhost with the default policy.
type TenantOptions struct {
	Slug      string   // empty: one by chance
	Mode      string   // LIVE or TEST; empty means TEST
	RPID      string   // empty means localhost
	Origins   []string // nil means http://localhost:8080
	Suspended bool
	Unproven  bool   // a LIVE tenant whose domain nobody has proven; others are vouched for
	Policy    string // JSON; empty means {}, in which every field has its default
}

// Tenant mints a tenant and returns the scope of its server: an API key that is not
// in the database. It has no keys yet (keys.Service.Ensure makes them).
func (s *Store) Tenant(t testing.TB) scope.Scope {
	t.Helper()
	return s.TenantWith(t, TenantOptions{})
}

// TenantWith is Tenant for a tenant that is special.
func (s *Store) TenantWith(t testing.TB, o TenantOptions) scope.Scope {
	t.Helper()
	id := newID(t)
	row := platformq.InsertTenantParams{
		ID: id, Slug: "t-" + hex.EncodeToString(id[:]), Name: "Test tenant", Mode: "TEST",
		RpID: "localhost", RpName: "Test RP", Origins: []string{"http://localhost:8080"}, Now: s.Now(),
	}
	for into, value := range map[*string]string{&row.Slug: o.Slug, &row.Mode: o.Mode, &row.RpID: o.RPID} {
		if value != "" {
			*into = value
		}
	}
	if o.Origins != nil {
		row.Origins = o.Origins
	}
	if o.Policy == "" {
		o.Policy = "{}"
	}
	sc := scope.New(id, scope.Actor{Kind: scope.ActorAPIKey, ID: newID(t).String(), Name: "test server"})
	err := s.InPlatform(t.Context(), "mint a tenant for a test", func(tx *db.PlatformTx) error {
		if _, err := tx.InsertTenant(t.Context(), row); err != nil {
			return err
		}
		if o.Suspended {
			reason := "by a test"
			_, err := tx.SetTenantState(t.Context(), platformq.SetTenantStateParams{
				ID: id, State: "SUSPENDED", SuspendReason: &reason, Now: row.Now,
			})
			if err != nil {
				return err
			}
		}
		own, err := tx.AsTenant(t.Context(), sc)
		if err != nil {
			return err
		}
		if row.Mode == "LIVE" && !o.Unproven {
			method := "VOUCHED"
			if err := own.PutDomainProof(t.Context(), tenantq.PutDomainProofParams{RpID: row.RpID, Method: &method, ProvenAt: &row.Now}); err != nil {
				return err
			}
		}
		return own.InsertPolicy(t.Context(), tenantq.InsertPolicyParams{
			Version: 1, Document: []byte(o.Policy), CreatedBy: "dbtest", CreatedAt: row.Now,
		})
	})
	if err != nil {
		t.Fatalf("dbtest: mint a tenant: %v", err)
	}
	return sc
}

// User enrols a user with so many live credentials and returns the ids, the oldest
// credential first. The rows are whole, but their bytes are by chance: no
// authenticator has the keys, and the profile opens under no ring. Tests that sign in
// enrol through the ceremony, with authenticatortest.
func (s *Store) User(t testing.TB, sc scope.Scope, credentials int) (id uuid.UUID, credentialIDs [][]byte) {
	t.Helper()
	id = newID(t)
	err := s.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		credentialIDs = nil // this may be the second run
		_, err := tx.InsertUser(t.Context(), tenantq.InsertUserParams{
			ID: id, Handle: bytesByChance(64), ExternalIndex: bytesByChance(32), ProfileSealed: bytesByChance(80), Terms: []int32{}, Now: tx.Now(),
		})
		if err != nil {
			return err
		}
		for i := range credentials {
			// Ages differ, so that an order by age is one.
			at := tx.Now().Add(-time.Duration(credentials-i) * time.Minute)
			credential, err := tx.InsertCredential(t.Context(), tenantq.InsertCredentialParams{
				Trust: "NONE", Extensions: "{}",
				ID: bytesByChance(32), UserID: id, PublicKey: bytesByChance(77), Algorithm: -7, Aaguid: newID(t),
				AttestationFormat: "none", AttestationType: "NONE", Transports: []string{"internal"},
				RegisteredVia: "SERVER_KEY", Now: at,
			})
			if err != nil {
				return err
			}
			credentialIDs = append(credentialIDs, credential.ID)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("dbtest: enrol a user: %v", err)
	}
	return id, credentialIDs
}

// AuditCount returns how many audit entries of one action the tenant has.
func (s *Store) AuditCount(t testing.TB, sc scope.Scope, action string) int64 {
	t.Helper()
	var n int64
	err := s.ReadTenant(t.Context(), sc, func(tx *db.TenantTx) (err error) {
		n, err = tx.CountAuditEntries(t.Context(), action)
		return err
	})
	if err != nil {
		t.Fatalf("dbtest: count audit entries: %v", err)
	}
	return n
}

func newID(t testing.TB) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	return id
}

func bytesByChance(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}
