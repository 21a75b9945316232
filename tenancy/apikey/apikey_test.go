package apikey_test

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

var home = netip.MustParseAddr("192.0.2.7")

// server is what one server process has, on its own connection to Postgres.
type server struct {
	*apikey.Service

	store *db.Store
	keys  *keys.Service
}

func newServer(t testing.TB, store *db.Store, denials *audit.Denials) *server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.Open(t.Context(), "local:"+path)
	if err != nil {
		t.Fatal(err)
	}
	ring := keys.New(keys.Options{Store: store, KMS: k})
	return &server{
		Service: apikey.New(apikey.Options{Store: store, Keys: ring, Tenants: tenant.New(tenant.Options{Store: store}), Denials: denials}),
		store:   store, keys: ring,
	}
}

func (s *server) create(t testing.TB, sc scope.Scope, req apikey.CreateRequest) apikey.Created {
	t.Helper()
	if req.Kind == "" {
		req.Kind, req.Scopes = apikey.Secret, append(req.Scopes, apikey.ScopeUsersRead)
	}
	if req.Name == "" {
		req.Name = "web shop"
	}
	made, err := s.Create(t.Context(), sc, req)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func authenticate(ctx context.Context, s *server, key apikey.Created) error {
	_, err := s.Authenticate(ctx, key.Plain.Reveal(), home)
	return err
}

func TestCreateRefuses(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	s := newServer(t, store.Store, nil)
	past := store.Now().Add(-time.Second)
	good := apikey.CreateRequest{Kind: apikey.Secret, Name: "x", Scopes: []string{"users:read"}}
	for _, tt := range []struct {
		name   string
		change func(*apikey.CreateRequest)
		want   error
	}{
		{"no scopes", func(r *apikey.CreateRequest) { r.Scopes = nil }, apikey.ErrScopeUnknown},
		{"an unknown scope", func(r *apikey.CreateRequest) { r.Scopes = []string{"users:fly"} }, apikey.ErrScopeUnknown},
		{"a platform scope", func(r *apikey.CreateRequest) { r.Scopes = []string{"admin:tenants:read"} }, apikey.ErrScopeUnknown},
		{"an empty scope", func(r *apikey.CreateRequest) { r.Scopes = []string{""} }, apikey.ErrScopeUnknown},
		{"scopes of a publishable key", func(r *apikey.CreateRequest) { r.Kind = apikey.Publishable }, apikey.ErrScopeUnknown},
		{"a platform key of a tenant", func(r *apikey.CreateRequest) { r.Kind, r.Scopes = apikey.Platform, []string{"admin:*"} }, apikey.ErrKindNotAllowed},
		{"an unknown kind", func(r *apikey.CreateRequest) { r.Kind = "ROOT" }, apikey.ErrKindNotAllowed},
		{"an expiry in the past", func(r *apikey.CreateRequest) { r.ExpiresAt = &past }, apikey.ErrExpiry},
		{"no name", func(r *apikey.CreateRequest) { r.Name = " " }, tenant.ErrInvalid},
		{"an invisible name", func(r *apikey.CreateRequest) { r.Name = "a\u200bb" }, tenant.ErrInvalid},
		{"a long name", func(r *apikey.CreateRequest) { r.Name = strings.Repeat("a", 65) }, tenant.ErrInvalid},
		{"the zero network", func(r *apikey.CreateRequest) { r.AllowedCIDRs = []netip.Prefix{{}} }, apikey.ErrCIDR},
		{"a mapped network", func(r *apikey.CreateRequest) {
			r.AllowedCIDRs = []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("::ffff:192.0.2.0"), 120)}
		}, apikey.ErrCIDR},
		{"65 networks", func(r *apikey.CreateRequest) {
			r.AllowedCIDRs = slices.Repeat([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, 65)
		}, apikey.ErrCIDR},
		// SECURITY 32: a key grants what it has and no more.
		{"more than its own", func(r *apikey.CreateRequest) { r.Within = []string{"users:write"} }, apikey.ErrScopeExceeds},
		{"all of a noun of which it has one verb", func(r *apikey.CreateRequest) {
			r.Within, r.Scopes = []string{"users:read"}, []string{"users"}
		}, apikey.ErrScopeExceeds},
		{"the admin plane with the auth plane", func(r *apikey.CreateRequest) {
			r.Within, r.Scopes = []string{"*"}, []string{"admin:apiKeys:read"}
		}, apikey.ErrScopeExceeds},
		{"the admin plane by its noun", func(r *apikey.CreateRequest) {
			r.Within, r.Scopes = []string{"*"}, []string{"admin"}
		}, apikey.ErrScopeExceeds},
		{"a day more than its own", func(r *apikey.CreateRequest) {
			until, later := store.Now().Add(time.Hour), store.Now().Add(25*time.Hour)
			r.Until, r.ExpiresAt = &until, &later
		}, apikey.ErrExpiryExceeds},
		{"another network", func(r *apikey.CreateRequest) {
			r.From = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			r.AllowedCIDRs = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("192.0.2.0/24")}
		}, apikey.ErrCIDRExceeds},
		{"a wider network", func(r *apikey.CreateRequest) {
			r.From, r.AllowedCIDRs = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		}, apikey.ErrCIDRExceeds},
		{"a network of the other family", func(r *apikey.CreateRequest) {
			r.From, r.AllowedCIDRs = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")}
		}, apikey.ErrCIDRExceeds},
		{"anything with nothing", func(r *apikey.CreateRequest) { r.Within = []string{} }, apikey.ErrScopeExceeds},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := good
			tt.change(&req)
			if _, err := s.Create(t.Context(), acme, req); !errors.Is(err, tt.want) {
				t.Errorf("Create = %v, want %v", err, tt.want)
			}
		})
	}
	if n := store.AuditCount(t, acme, "apikey.create"); n != 0 {
		t.Errorf("refused keys left %d entries", n)
	}
	for _, own := range []string{"users:read", "users:*", "users", "*"} {
		req := good
		req.Within = []string{"sessions", own}
		if _, err := s.Create(t.Context(), acme, req); err != nil {
			t.Errorf("users:read within %s: %v", own, err)
		}
	}
	platform := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "cli"})
	if _, err := s.Create(t.Context(), platform, good); !errors.Is(err, apikey.ErrKindNotAllowed) {
		t.Errorf("a server key of the platform = %v, want ErrKindNotAllowed", err)
	}
	made := s.create(t, platform, apikey.CreateRequest{Kind: apikey.Platform, Scopes: []string{"admin:*"}})
	caller, err := s.Authenticate(t.Context(), made.Plain.Reveal(), home)
	if err != nil || caller.Scope.Actor().Kind != scope.ActorPlatform || !caller.Allows(apikey.ScopeTenantsWrite) || caller.Allows(apikey.ScopeUsersRead) {
		t.Errorf("platform caller %+v, %v", caller, err)
	}
}

// SECURITY 32: a key that ends, or works from one network alone, makes no key that
// knows neither bound. Without inherit in apikey.go the first case is red.
func TestBoundsAreInherited(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	s := newServer(t, store.Store, nil)
	until, sooner := store.Now().Add(2*time.Hour), store.Now().Add(time.Hour)
	own, part := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16")
	maker := s.create(t, acme, apikey.CreateRequest{
		Kind: apikey.Secret, Scopes: []string{"users"}, ExpiresAt: &until, AllowedCIDRs: []netip.Prefix{own},
	})
	caller, err := s.Authenticate(t.Context(), maker.Plain.Reveal(), netip.MustParseAddr("10.2.3.4"))
	if err != nil || caller.ExpiresAt == nil || !caller.ExpiresAt.Equal(until) || !slices.Equal(caller.AllowedCIDRs, []netip.Prefix{own}) {
		t.Fatalf("caller %+v, %v", caller, err)
	}
	for _, tt := range []struct {
		name  string
		req   apikey.CreateRequest
		until time.Time
		from  []netip.Prefix
	}{
		{"nothing asked for", apikey.CreateRequest{Kind: apikey.Secret, Scopes: []string{"users:read"}}, until, []netip.Prefix{own}},
		{"less asked for", apikey.CreateRequest{
			Kind: apikey.Secret, Scopes: []string{"users:read"}, ExpiresAt: &sooner, AllowedCIDRs: []netip.Prefix{part},
		}, sooner, []netip.Prefix{part}},
		{"a publishable key works in browsers", apikey.CreateRequest{Kind: apikey.Publishable}, until, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.req.Within, tt.req.Until, tt.req.From = caller.Scopes, caller.ExpiresAt, caller.AllowedCIDRs
			made := s.create(t, caller.Scope, tt.req)
			if made.ExpiresAt == nil || !made.ExpiresAt.Equal(tt.until) || !slices.Equal(made.AllowedCIDRs, tt.from) {
				t.Errorf("expires %v from %v, want %v from %v", made.ExpiresAt, made.AllowedCIDRs, tt.until, tt.from)
			}
		})
	}
}

// SECURITY 9: a dump of the table holds nothing to call with.
func TestDumpHoldsNoKey(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	key := newServer(t, store.Store, nil).create(t, acme, apikey.CreateRequest{}).Plain.Reveal()
	secret := key[len("bk_test_")+33+1:]
	for _, table := range []string{"api_keys", "audit_inbox", "event_outbox"} {
		var dump []byte
		row := store.Superuser(t).QueryRow(t.Context(), "SELECT string_agg(t::text, ' ')::bytea FROM "+table+" t WHERE tenant_id = $1", acme.Tenant())
		if err := row.Scan(&dump); err != nil {
			t.Fatal(err)
		}
		if len(dump) == 0 || bytes.Contains(dump, []byte(secret[:16])) || bytes.Contains(dump, []byte(secret[27:43])) {
			t.Errorf("%s: %s", table, dump)
		}
	}
}

func TestFirst(t *testing.T) {
	store := dbtest.New(t)
	acme := store.TenantWith(t, dbtest.TenantOptions{Mode: "LIVE", RPID: "acme.example", Origins: []string{"https://acme.example"}})
	s := newServer(t, store.Store, nil)
	var first tenant.FirstKeys
	if err := store.InTenant(t.Context(), acme, func(tx *db.TenantTx) (err error) {
		first, err = apikey.First(t.Context(), tx, tenant.Live)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	secret, err := s.Authenticate(t.Context(), first.Secret, home)
	if err != nil || secret.Mode != tenant.Live {
		t.Fatal(secret, err)
	}
	for _, sc := range apikey.Scopes(apikey.Secret) {
		if !secret.Allows(sc) {
			t.Errorf("the first server key lacks %s", sc)
		}
	}
	page, err := s.Authenticate(t.Context(), first.Publishable, home)
	if err != nil || page.Kind != apikey.Publishable {
		t.Errorf("publishable key: %+v, %v", page, err)
	}
}
