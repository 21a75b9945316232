package apikey_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
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

func TestAuthenticate(t *testing.T) {
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	s := newServer(t, store.Store, nil)
	made := s.create(t, acme, apikey.CreateRequest{Name: " web  shop "})
	if made.Name != "web shop" || made.CreatedBy != "api_key:"+acme.Actor().ID || !strings.HasPrefix(made.Prefix, "bk_test_…") || len(made.Prefix) > 20 {
		t.Errorf("created %+v", made.Key)
	}
	got, err := s.Authenticate(t.Context(), made.Plain.Reveal(), home)
	if err != nil {
		t.Fatal(err)
	}
	actor := got.Scope.Actor()
	if got.Scope.Tenant() != acme.Tenant() || actor.Kind != scope.ActorAPIKey || actor.ID != made.ID.String() || actor.Name != "web shop" ||
		got.Kind != apikey.Secret || got.Mode != tenant.Test || got.ID != made.ID {
		t.Errorf("caller %+v", got)
	}
	if !got.Allows(apikey.ScopeUsersRead) || got.Allows(apikey.ScopeUsersWrite) || got.Allows("") {
		t.Error("the caller has other scopes than were given")
	}
	page := s.create(t, globex, apikey.CreateRequest{Kind: apikey.Publishable})
	caller, err := s.Authenticate(t.Context(), page.Plain.Reveal(), home)
	if err != nil || caller.Kind != apikey.Publishable || caller.Scope.Tenant() != globex.Tenant() || len(caller.Scopes) != 0 {
		t.Errorf("publishable caller %+v, %v", caller, err)
	}
}

// SECURITY 9. Everybody who does not know the secret gets one answer.
func TestWrongKeysGetOneAnswer(t *testing.T) {
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	s := newServer(t, store.Store, nil)
	ours, theirs := s.create(t, acme, apikey.CreateRequest{}), s.create(t, globex, apikey.CreateRequest{})
	key, other := ours.Plain.Reveal(), theirs.Plain.Reveal()
	const id, secret = len("bk_test_"), len("bk_test_") + 33 + 1
	revoked := s.create(t, acme, apikey.CreateRequest{})
	if _, err := s.Revoke(t.Context(), acme, apikey.RevokeRequest{ID: revoked.ID}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":                                "",
		"malformed":                            "bk_test_x",
		"another's secret":                     apikey.WithChecksum(key[:secret] + other[secret:len(other)-6]),
		"another's id":                         apikey.WithChecksum(key[:id] + other[id:secret] + key[secret:len(key)-6]),
		"first byte of the secret":             apikey.WithChecksum(flip(key[:len(key)-6], secret)),
		"last byte of the secret":              apikey.WithChecksum(flip(key[:len(key)-6], len(key)-7)),
		"another key id":                       apikey.WithChecksum(flip(key[:len(key)-6], secret-2)),
		"another tenant that does not exist":   apikey.WithChecksum(flip(key[:len(key)-6], id+2)),
		"another kind":                         apikey.WithChecksum("pk" + key[2:len(key)-6]),
		"another mode":                         apikey.WithChecksum("bk_live" + key[7:len(key)-6]),
		"a wrong secret of a key that is gone": apikey.WithChecksum(flip(revoked.Plain.Reveal()[:len(key)-6], secret)),
	} {
		for range 2 { // looked up, and remembered
			if _, err := s.Authenticate(t.Context(), text, home); !errors.Is(err, apikey.ErrKey) {
				t.Errorf("%s: %v, want ErrKey", name, err)
			}
		}
	}
	if err := authenticate(t.Context(), s, ours); err != nil {
		t.Errorf("afterwards the right key is refused: %v", err)
	}
}

// flip puts another digit at i.
func flip(s string, i int) string {
	b := []byte(s)
	if b[i] == '1' {
		b[i] = '2'
	} else {
		b[i] = '1'
	}
	return string(b)
}

// What is wrong with a key is told to who has its secret.
func TestRefusedKeys(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	s := newServer(t, store.Store, nil)
	soon := store.Now().Add(time.Hour)
	late := newServer(t, replicaAt(t, store, 2*time.Hour), nil)
	expires := s.create(t, acme, apikey.CreateRequest{ExpiresAt: &soon})
	if err := authenticate(t.Context(), s, expires); err != nil {
		t.Errorf("before its expiry: %v", err)
	}
	// SECURITY 36: the server whose clock runs two hours ahead goes by Postgres's time.
	if err := authenticate(t.Context(), late, expires); err != nil {
		t.Errorf("before its expiry, by a fast clock: %v", err)
	}
	const expire = "UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = $1"
	if _, err := store.Superuser(t).Exec(t.Context(), expire, expires.ID); err != nil {
		t.Fatal(err)
	}
	fresh := newServer(t, store.Replica(t), nil)
	if err := authenticate(t.Context(), fresh, expires); !errors.Is(err, apikey.ErrExpired) {
		t.Errorf("after its expiry: %v, want ErrExpired", err)
	}

	revoked := s.create(t, acme, apikey.CreateRequest{})
	if _, err := s.Revoke(t.Context(), acme, apikey.RevokeRequest{ID: revoked.ID}); err != nil {
		t.Fatal(err)
	}
	if err := authenticate(t.Context(), s, revoked); !errors.Is(err, apikey.ErrRevoked) {
		t.Errorf("revoked: %v, want ErrRevoked", err)
	}

	suspended := store.TenantWith(t, dbtest.TenantOptions{})
	key := s.create(t, suspended, apikey.CreateRequest{})
	suspend(t, store.Store, suspended)
	if err := authenticate(t.Context(), fresh, key); !errors.Is(err, tenant.ErrSuspended) {
		t.Errorf("of a suspended tenant: %v, want ErrSuspended", err)
	}

	deleting := store.TenantWith(t, dbtest.TenantOptions{})
	key = s.create(t, deleting, apikey.CreateRequest{})
	if _, err := store.Superuser(t).Exec(t.Context(), "UPDATE tenants SET state = 'DELETING' WHERE id = $1", deleting.Tenant()); err != nil {
		t.Fatal(err)
	}
	if err := authenticate(t.Context(), fresh, key); !errors.Is(err, tenant.ErrKeysOfDeleting) {
		t.Errorf("of a tenant in deletion: %v, want ErrKeysOfDeleting", err)
	}
}

func replicaAt(t *testing.T, store *dbtest.Store, ahead time.Duration) *db.Store {
	t.Helper()
	o := store.Options()
	o.Now = func() time.Time { return time.Now().Add(ahead) }
	s, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
		s.Close()
	})
	for !s.Fresh() { // the feed measures the difference
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
	}
	return s
}

func suspend(t *testing.T, store *db.Store, sc scope.Scope) {
	t.Helper()
	err := store.InPlatform(t.Context(), "test", func(tx *db.PlatformTx) error {
		own, err := tx.AsTenant(t.Context(), sc)
		if err != nil {
			return err
		}
		if _, err := tx.SetTenantState(t.Context(), platformq.SetTenantStateParams{ID: sc.Tenant(), State: "SUSPENDED", Now: store.Now()}); err != nil {
			return err
		}
		return own.Changed(t.Context(), db.NounTenant, "")
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAllowedNetworks(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	s := newServer(t, store.Store, nil)
	key := s.create(t, acme, apikey.CreateRequest{AllowedCIDRs: []netip.Prefix{
		netip.MustParsePrefix("192.0.2.99/24"), netip.MustParsePrefix("2001:db8::/32"),
	}})
	if fmt.Sprint(key.AllowedCIDRs) != "[192.0.2.0/24 2001:db8::/32]" {
		t.Errorf("stored networks %v", key.AllowedCIDRs)
	}
	for addr, ok := range map[string]bool{
		"192.0.2.7": true, "::ffff:192.0.2.7": true, "2001:db8::1": true,
		"192.0.3.7": false, "2001:db9::1": false, "::ffff:192.0.3.7": false, "::192.0.2.7": false, "": false,
	} {
		from, _ := netip.ParseAddr(addr)
		_, err := s.Authenticate(t.Context(), key.Plain.Reveal(), from)
		if ok && err != nil || !ok && !errors.Is(err, apikey.ErrAddress) {
			t.Errorf("from %q: %v, want allowed %v", addr, err, ok)
		}
	}
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

// Who guesses at keys is soon refused without a look-up, and hurts nobody whose key is
// known, not even behind the same address.
func TestGuessersAreRefused(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	noon := time.Now()
	server := replicaAt(t, store, 0) // its change feed runs: a key is only remembered while it does
	k := newServer(t, server, nil).keys
	s := apikey.New(apikey.Options{
		Store: server, Keys: k, Tenants: tenant.New(tenant.Options{Store: server, Keys: k}),
		Guesses: ratelimit.NewGuesses(func() time.Time { return noon }),
	})
	made, err := s.Create(t.Context(), acme, apikey.CreateRequest{Kind: apikey.Secret, Name: "shop", Scopes: []string{"users"}})
	if err != nil {
		t.Fatal(err)
	}
	// The notice that the key was made makes the server forget it once: that is over
	// after two heartbeats of the change feed.
	for known := time.Now().Add(700 * time.Millisecond); time.Now().Before(known); <-time.After(20 * time.Millisecond) {
		if _, err := s.Authenticate(t.Context(), made.Plain.Reveal(), home); err != nil {
			t.Fatal(err)
		}
	}
	refused := 0
	for range 60 {
		stranger := apikey.NewPlain(uuid.New())
		switch _, err := s.Authenticate(t.Context(), stranger, home); {
		case errors.Is(err, ratelimit.ErrLimited):
			refused++
		case !errors.Is(err, apikey.ErrKey):
			t.Fatal(err)
		}
	}
	if refused != 40 {
		t.Errorf("%d of 60 guesses were refused, want 40", refused)
	}
	if _, err := s.Authenticate(t.Context(), made.Plain.Reveal(), home); err != nil {
		t.Errorf("a known key behind the guesser's address: %v", err)
	}
}

// SECURITY 3, 6: right id, wrong tenant.
func TestCrossing(t *testing.T) {
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	s := newServer(t, store.Store, nil)
	key := s.create(t, acme, apikey.CreateRequest{})
	if _, err := s.Revoke(t.Context(), globex, apikey.RevokeRequest{ID: key.ID}); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("Revoke of another tenant's = %v, want ErrNotFound", err)
	}
	if err := authenticate(t.Context(), s, key); err != nil {
		t.Errorf("it was revoked: %v", err)
	}
	if err := s.keys.Ensure(t.Context(), globex); err != nil {
		t.Fatal(err)
	}
	page, err := s.List(t.Context(), globex, listing.Request{})
	if err != nil || len(page.Items) != 0 {
		t.Errorf("another tenant lists %v, %v", page.Items, err)
	}
}

func TestList(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	s := newServer(t, store.Store, nil)
	if err := s.keys.Ensure(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	var want []uuid.UUID
	for range 5 {
		want = append([]uuid.UUID{s.create(t, acme, apikey.CreateRequest{}).ID}, want...)
	}
	if _, err := s.Revoke(t.Context(), acme, apikey.RevokeRequest{ID: want[1]}); err != nil {
		t.Fatal(err)
	}
	var got []uuid.UUID
	req := listing.Request{PageSize: 2}
	for {
		page, err := s.List(t.Context(), acme, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range page.Items {
			got = append(got, k.ID)
			if (k.RevokedAt != nil) != (k.ID == want[1]) {
				t.Errorf("%s revoked at %v", k.ID, k.RevokedAt)
			}
		}
		if req.PageToken = page.NextToken; req.PageToken == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	if _, err := s.List(t.Context(), acme, listing.Request{PageToken: "AAAA"}); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("a made-up token = %v, want ErrPageToken", err)
	}
}

func TestRevoke(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	s := newServer(t, store.Store, nil)
	key := s.create(t, acme, apikey.CreateRequest{})
	first, err := s.Revoke(t.Context(), acme, apikey.RevokeRequest{ID: key.ID, Reason: "leaked"})
	if err != nil || first.RevokedAt == nil {
		t.Fatal(first, err)
	}
	again, err := s.Revoke(t.Context(), acme, apikey.RevokeRequest{ID: key.ID, Reason: "again"})
	if err != nil || !again.RevokedAt.Equal(*first.RevokedAt) {
		t.Errorf("revoking twice = %v, %v, want the first time", again.RevokedAt, err)
	}
	if n := store.AuditCount(t, acme, "apikey.revoke"); n != 1 {
		t.Errorf("audit entries = %d, want 1", n)
	}
	if _, err := s.Revoke(t.Context(), acme, apikey.RevokeRequest{ID: uuid.New()}); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("an unknown key = %v, want ErrNotFound", err)
	}
}

// SECURITY 47: what one server revokes, another refuses within a second.
func TestRevocationIsSeenByTheOtherServer(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	one, two := newServer(t, store.Store, nil), newServer(t, store.Replica(t), nil)
	key := one.create(t, acme, apikey.CreateRequest{})
	for fresh := false; !fresh; { // once more after it is fresh: now it is cached there
		fresh = two.store.Fresh()
		if err := authenticate(t.Context(), two, key); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := one.Revoke(t.Context(), acme, apikey.RevokeRequest{ID: key.ID}); err != nil {
		t.Fatal(err)
	}
	committed := time.Now()
	for {
		err := authenticate(t.Context(), two, key)
		if errors.Is(err, apikey.ErrRevoked) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if time.Since(committed) > time.Second {
			t.Fatal("the key works on another server after a second")
		}
	}
}

// A key that somebody asked for before it was made works once it is.
func TestAbsenceIsForgotten(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	s := newServer(t, store.Store, nil)
	key := s.create(t, acme, apikey.CreateRequest{})
	if _, err := store.Superuser(t).Exec(t.Context(), "DELETE FROM api_keys WHERE id = $1", key.ID); err != nil {
		t.Fatal(err)
	}
	if err := authenticate(t.Context(), s, key); !errors.Is(err, apikey.ErrKey) {
		t.Fatalf("without its row: %v", err)
	}
	// The guess was remembered; the next key of the tenant is found at once.
	if err := authenticate(t.Context(), s, s.create(t, acme, apikey.CreateRequest{})); err != nil {
		t.Errorf("a new key: %v", err)
	}
}

func TestLastUseIsToldByTheMinute(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	s := newServer(t, store.Store, nil)
	if err := s.keys.Ensure(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	key := s.create(t, acme, apikey.CreateRequest{})
	lastUse := func() *time.Time {
		t.Helper()
		ended, end := context.WithCancel(t.Context())
		end()
		if err := s.Run(ended); err != nil { // the end of a server tells what is left
			t.Fatal(err)
		}
		page, err := s.List(t.Context(), acme, listing.Request{})
		if err != nil || len(page.Items) != 1 {
			t.Fatal(page, err)
		}
		return page.Items[0].LastUsedAt
	}
	if at := lastUse(); at != nil {
		t.Errorf("last use of an unused key = %v", at)
	}
	for range 3 {
		if err := authenticate(t.Context(), s, key); err != nil {
			t.Fatal(err)
		}
	}
	first := lastUse()
	if first == nil || store.Now().Sub(*first) > time.Minute {
		t.Fatalf("last use = %v", first)
	}
	if err := authenticate(t.Context(), s, key); err != nil {
		t.Fatal(err)
	}
	if again := lastUse(); !again.Equal(*first) {
		t.Errorf("told twice in a minute: %v after %v", again, first)
	}
}

// Refusals of keys that exist are recorded; made-up ones leave nothing.
func TestRefusalsAreRecorded(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	s := newServer(t, store.Store, audit.NewDenials(audit.DenialsOptions{Store: store.Store}))
	key := s.create(t, acme, apikey.CreateRequest{AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	text := key.Plain.Reveal()
	if _, err := s.Authenticate(t.Context(), apikey.WithChecksum(flip(text[:len(text)-6], len(text)-7)), home); !errors.Is(err, apikey.ErrKey) {
		t.Fatal(err)
	}
	if err := authenticate(t.Context(), s, key); !errors.Is(err, apikey.ErrAddress) {
		t.Fatal(err)
	}
	unknown := apikey.WithChecksum(flip(text[:len(text)-6], len("bk_test_")+30))
	if _, err := s.Authenticate(t.Context(), unknown, home); !errors.Is(err, apikey.ErrKey) {
		t.Fatal(err)
	}
	var got []string
	err := store.ReadTenant(t.Context(), acme, func(tx *db.TenantTx) error {
		rows, err := tx.ListAuditInbox(t.Context(), tenantq.ListAuditInboxParams{MaxRows: 10})
		for _, row := range rows {
			if row.Action != "apikey.authenticate" {
				continue
			}
			var e struct {
				Outcome, Reason string
				Actor, Target   struct{ ID string }
			}
			if err := json.Unmarshal([]byte(row.Entry), &e); err != nil {
				return err
			}
			got = append(got, e.Outcome+" "+e.Reason+" by "+e.Actor.ID+" of "+e.Target.ID)
		}
		return err
	})
	want := []string{
		"denied ADDRESS_NOT_ALLOWED by " + key.ID.String() + " of " + key.ID.String(),
		"denied API_KEY_INVALID by  of " + key.ID.String(),
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("entries %q, %v, want %q", got, err, want)
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

func BenchmarkAuthenticate(b *testing.B) {
	store := dbtest.New(b)
	acme := store.Tenant(b)
	s := newServer(b, store.Store, nil)
	text := s.create(b, acme, apikey.CreateRequest{}).Plain.Reveal()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Authenticate(b.Context(), text, home); err != nil {
			b.Fatal(err)
		}
	}
}
