package session_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

func introspect(t *testing.T, w *authcoretest.World, sc scope.Scope, text string) session.Introspection {
	t.Helper()
	found, err := w.Sessions.Introspect(t.Context(), sc, text)
	if err != nil {
		t.Fatalf("Introspect error = %v", err)
	}
	if !found.Active && found != (session.Introspection{}) {
		t.Errorf("Introspect = %+v, want nothing of a token that is not active", found)
	}
	return found
}

func TestIntrospect(t *testing.T) {
	w := signedIn(t, short)
	access := introspect(t, w.World, w.acme, w.tokens.Access)
	if !access.Active || access.Refresh || access.Claims.Audience != "localhost" {
		t.Errorf("access token: %+v", access)
	}
	for range 3 { // asking uses nothing up
		r := introspect(t, w.World, w.acme, w.tokens.Refresh)
		if !r.Active || !r.Refresh || r.Claims.Audience != r.Claims.Issuer || r.Claims.Session != w.sess.ID.UUID() ||
			!r.Claims.ExpiresAt.Equal(w.sess.CreatedAt.Add(5*time.Minute)) {
			t.Fatalf("refresh token: %+v", r)
		}
	}
	globex := w.Tenant(t)
	for name, text := range map[string]string{"access": w.tokens.Access, "refresh": w.tokens.Refresh} {
		if introspect(t, w.World, globex, text).Active {
			t.Errorf("another tenant's %s token is active", name)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "garbage": "x.y.z", "a prefix": "rt_", "a forged one": w.tokens.Refresh[:90] + "AAAA", "oversized": "rt_" + strings.Repeat("A", 20_000),
	} {
		if introspect(t, w.World, w.acme, text).Active {
			t.Errorf("%s is active", name)
		}
	}
	if introspect(t, w.Later(t, 301*time.Second), w.acme, w.tokens.Refresh).Active {
		t.Error("a refresh token of an idle session is active")
	}
	refreshed, err := w.Sessions.Refresh(t.Context(), w.acme, w.tokens.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if introspect(t, w.World, w.acme, w.tokens.Refresh).Active {
		t.Error("a refresh token that was used is active")
	}
	if !introspect(t, w.World, w.acme, refreshed.Tokens.Refresh).Active {
		t.Error("asking for an old refresh token has ended the session")
	}
	if _, err := w.Sessions.Revoke(t.Context(), w.acme, session.RevokeRequest{ID: w.sess.ID}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"access": refreshed.Tokens.Access, "refresh": refreshed.Tokens.Refresh} {
		if introspect(t, w.World, w.acme, text).Active {
			t.Errorf("a revoked session's %s token is active", name)
		}
	}
}

// No access token outlives its session: not its absolute end, and not its idle one,
// though the policy was changed after the token was issued.
func TestNoAccessTokenOutlivesItsSession(t *testing.T) {
	setPolicy := func(w *world, document string) {
		t.Helper()
		if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE policies SET document = $2 WHERE tenant_id = $1", w.acme.Tenant(), document); err != nil {
			t.Fatal(err)
		}
	}
	w := signedIn(t, dbtest.TenantOptions{Policy: `{"accessTokenSeconds":3600}`})
	setPolicy(w, `{"sessionLifetimeSeconds":900,"refreshIdleSeconds":300,"accessTokenSeconds":120}`)
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{299 * time.Second, true}, {301 * time.Second, false}} {
		later := w.Later(t, tt.after)
		if got := active(t, later, w.acme, w.tokens.Access); got != tt.want {
			t.Errorf("%v after the sign-in, idle at most 5m: active = %t, want %t", tt.after, got, tt.want)
		}
		if got := introspect(t, later, w.acme, w.tokens.Refresh).Active; got != tt.want {
			t.Errorf("%v after the sign-in, idle at most 5m: refresh token active = %t, want %t", tt.after, got, tt.want)
		}
	}

	// The session's absolute end, which is stored with it, bounds the token itself.
	w = signedIn(t, short)
	if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE sessions SET expires_at = created_at + interval '60 s' WHERE id = $1", w.sess.ID.UUID()); err != nil {
		t.Fatal(err)
	}
	if active(t, w.Later(t, 61*time.Second), w.acme, w.tokens.Access) {
		t.Error("after the session's end its access token is active")
	}
}

func TestRevokeToken(t *testing.T) {
	for _, tt := range []struct {
		name  string
		text  func(w *world) string
		later time.Duration
		ends  bool
	}{
		{"an access token", func(w *world) string { return w.tokens.Access }, 0, true},
		{"an access token that has expired", func(w *world) string { return w.tokens.Access }, 150 * time.Second, true},
		{"a refresh token", func(w *world) string { return w.tokens.Refresh }, 0, true},
		{"a forged access token", func(w *world) string { return w.tokens.Access[:len(w.tokens.Access)-4] + "AAAA" }, 0, false},
		{"a forged refresh token", func(w *world) string { return w.tokens.Refresh[:90] + "AAAA" }, 0, false},
		{"garbage", func(*world) string { return "x.y.z" }, 0, false},
		{"nothing", func(*world) string { return "" }, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := signedIn(t, short)
			server := w.World
			if tt.later > 0 {
				server = w.Later(t, tt.later)
			}
			for range 2 { // the second time changes nothing
				if err := server.Sessions.RevokeToken(t.Context(), w.acme, tt.text(w), "signed out"); err != nil {
					t.Fatalf("RevokeToken error = %v", err)
				}
			}
			if got := introspect(t, w.World, w.acme, w.tokens.Refresh).Active; got == tt.ends {
				t.Errorf("the session stands: %t, want %t", got, !tt.ends)
			}
			want := map[bool]int64{true: 1}[tt.ends]
			if n := w.AuditCount(t, w.acme, "session.revoke"); n != want {
				t.Errorf("audit entries = %d, want %d", n, want)
			}
		})
	}
	w := signedIn(t, short)
	globex := w.Tenant(t)
	for _, text := range []string{w.tokens.Access, w.tokens.Refresh} {
		if err := w.Sessions.RevokeToken(t.Context(), globex, text, ""); err != nil || !introspect(t, w.World, w.acme, w.tokens.Refresh).Active {
			t.Errorf("another tenant has ended the session, or %v", err)
		}
	}
}

// Another audience is heeded at once: new tokens have it, and those of before are not
// good any more. They still name their session to whoever wants it ended.
func TestAnotherAudience(t *testing.T) {
	w := signedIn(t, dbtest.TenantOptions{})
	audience := "https://api.acme.example"
	if _, err := w.Tenants.UpdateSettings(t.Context(), w.acme, tenant.UpdateSettingsRequest{TokenAudience: &audience}); err != nil {
		t.Fatal(err)
	}
	if active(t, w.World, w.acme, w.tokens.Access) {
		t.Error("a token with the audience of before is active")
	}
	refreshed, err := w.Sessions.Refresh(t.Context(), w.acme, w.tokens.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if got := introspect(t, w.World, w.acme, refreshed.Tokens.Access); !got.Active || got.Claims.Audience != audience {
		t.Errorf("a new token: %+v", got)
	}
	if err := w.Sessions.RevokeToken(t.Context(), w.acme, w.tokens.Access, ""); err != nil || active(t, w.World, w.acme, refreshed.Tokens.Access) {
		t.Errorf("its session stands, %v", err)
	}
}

// With a registered key, whoever holds its private half finds the signed token within,
// and nobody is let in by what is around it.
func TestEncryptedAccessToken(t *testing.T) {
	w := signedIn(t, dbtest.TenantOptions{})
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := (&jose.JSONWebKey{Key: &private.PublicKey, KeyID: "ours"}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Tenants.UpdateSettings(t.Context(), w.acme, tenant.UpdateSettingsRequest{EncryptionKey: jwk}); err != nil {
		t.Fatal(err)
	}
	_, signedIn := w.SignIn(t, w.acme, w.phone)
	refreshed, err := w.Sessions.Refresh(t.Context(), w.acme, signedIn.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"sign-in": signedIn.Access, "refresh": refreshed.Tokens.Access} {
		object, err := jose.ParseEncryptedCompact(text, []jose.KeyAlgorithm{jose.ECDH_ES_A256KW}, []jose.ContentEncryption{jose.A256GCM})
		if err != nil {
			t.Fatalf("%s: %q: %v", name, text, err)
		}
		inner, err := object.Decrypt(private)
		if err != nil {
			t.Fatal(err)
		}
		if !active(t, w.World, w.acme, string(inner)) {
			t.Errorf("%s: what is within is not active", name)
		}
		for what, outer := range map[string]string{"the JWE": text, "the JWE in a JWE's place": text + ".", "padded": "." + text} {
			if active(t, w.World, w.acme, outer) {
				t.Errorf("%s: %s is active: the caller decrypts", name, what)
			}
		}
		if strings.Contains(text, string(inner)) || len(text) > 4096 {
			t.Errorf("%s: %d bytes: %s", name, len(text), text)
		}
	}
	if !active(t, w.World, w.acme, w.tokens.Access) {
		t.Error("a signed token of before the key was registered is not active")
	}
}

// Tokens that somebody made up, or brought from another tenant, are recorded, and
// answered like any other. What has expired, or is no token, is no attack.
func TestForgedTokensAreRecorded(t *testing.T) {
	w := signedIn(t, short)
	globex := w.Tenant(t)
	_, theirs := w.SignIn(t, globex, w.Enroll(t, globex, w.User(t, globex), 1)[0])
	parts := strings.Split(w.tokens.Access, ".")
	forged := parts[0] + "." + parts[1] + "." + strings.Repeat("A", 86)
	for _, tt := range []struct {
		name, access, refresh string
		later                 time.Duration
		want                  int64
	}{
		{name: "a signature that is wrong", access: forged, want: 1},
		{name: "no algorithm", access: "eyJhbGciOiJub25lIn0." + parts[1] + ".", want: 1},
		{name: "another tenant's access token", access: theirs.Access, want: 1},
		{name: "another tenant's refresh token", refresh: theirs.Refresh, want: 1},
		{name: "a MAC that is wrong", refresh: w.tokens.Refresh[:90] + "AAAA", want: 1},
		{name: "an expired token", access: w.tokens.Access, later: 150 * time.Second},
		{name: "garbage", access: "x.y.z", refresh: "rt_x"},
		{name: "nothing"},
		{name: "a JWE, which its holder should have decrypted", access: strings.Repeat("e30.", 4) + "e30"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := w.Recording(t, tt.later)
			count := func() int64 {
				return w.AuditCount(t, w.acme, "session.verify") + w.AuditCount(t, w.acme, "session.refresh")
			}
			before := count()
			if active(t, server, w.acme, tt.access) {
				t.Error("it is active")
			}
			if _, err := server.Sessions.Refresh(t.Context(), w.acme, tt.refresh); err == nil {
				t.Error("it refreshes")
			}
			if got := count() - before; got != tt.want {
				t.Errorf("%d entries, want %d", got, tt.want)
			}
		})
	}
}
