package apikey_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

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
		rows, err := tx.ListAuditRecords(t.Context(), 10)
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
