package tenant_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// The console's passkeys belong to the public URL's host: it may move until there are any,
// and nobody else's pages may ask for them.
func TestPlaceConsole(t *testing.T) {
	store := dbtest.Fresh(t)
	s := tenant.New(tenant.Options{Store: store.Store, ConsoleRPID: tenant.ConsoleRPID("https://auth.example.com:8443")})
	home := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "serve"})
	if err := s.PlaceConsole(t.Context(), store.Tenant(t), "https://auth.example.com"); !errors.Is(err, tenant.ErrPlatformOnly) {
		t.Errorf("PlaceConsole by a tenant = %v", err)
	}
	for _, tt := range []struct{ url, rpID string }{
		{"http://localhost:8080", "localhost"}, {"https://auth.example.com:8443", "auth.example.com"}, {"https://auth.example.com:8443", "auth.example.com"},
	} {
		if err := s.PlaceConsole(t.Context(), home, tt.url); err != nil {
			t.Fatalf("PlaceConsole(%s) = %v", tt.url, err)
		}
		if snap, err := s.Current(t.Context(), home); err != nil || snap.RPID != tt.rpID || !slices.Equal(snap.CeremonyOrigins, []string{tt.url}) {
			t.Errorf("PlaceConsole(%s) makes %q of %v, %v", tt.url, snap.RPID, snap.CeremonyOrigins, err)
		}
	}
	if n := store.AuditCount(t, home, "tenant.update"); n != 2 {
		t.Errorf("%d audit entries, want one for each move", n)
	}
	store.User(t, home, 1)
	if err := s.PlaceConsole(t.Context(), home, "https://elsewhere.example.com"); !errors.Is(err, tenant.ErrRPIDInUse) {
		t.Errorf("moved away from people's passkeys: %v", err)
	}
	if err := s.PlaceConsole(t.Context(), home, "https://auth.example.com"); err != nil {
		t.Errorf("another port: %v", err)
	}

	if err := s.PlaceConsole(t.Context(), home, "https://192.0.2.1"); !errors.Is(err, tenant.ErrInvalid) {
		t.Errorf("at an address: %v", err)
	}

	const host = "auth.example.com"
	for _, mode := range []tenant.Mode{tenant.Live, tenant.Test} {
		create := tenant.CreateRequest{Slug: "acme", Name: "Acme", Mode: mode, RPID: host, Origins: []string{"https://" + host}}
		if _, _, err := s.Create(t.Context(), home, create); !errors.Is(err, tenant.ErrInvalid) {
			t.Errorf("a %s tenant of the console's RP ID: %v", mode, err)
		}
	}
	acme := store.TenantWith(t, dbtest.TenantOptions{})
	rpID := host
	if _, err := s.UpdateSettings(t.Context(), acme, tenant.UpdateSettingsRequest{RPID: &rpID, Origins: []string{"https://" + host}}); !errors.Is(err, tenant.ErrInvalid) {
		t.Errorf("a tenant takes the console's RP ID: %v", err)
	}
	// One that has it from before the console came there publishes nothing below it.
	if _, err := store.Superuser(t).Exec(t.Context(), "UPDATE tenants SET rp_id = $2 WHERE id = $1", acme.Tenant(), host); err != nil {
		t.Fatal(err)
	}
	if id, err := s.ResolveDomain(t.Context(), host, netip.Addr{}); !errors.Is(err, tenant.ErrNotFound) {
		t.Errorf("the console's domain is %v's, %v", id, err)
	}
}
