package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	biocore "github.com/biocore-id/biocore/sdk/go"
)

// A tenant's own service with the Go SDK, on a real server: a sign-in's token is good
// offline and live; another tenant's is not; a revoked session's is good offline until it
// expires, and not live.
func TestGoSDK(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	for _, c := range []*customer{acme, globex} {
		w.enroll(t, c, "cust_1")
		w.signIn(t, c)
	}
	client, err := biocore.NewClient(biocore.ClientOptions{URL: w.url, APIKey: acme.secret})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := biocore.NewVerifier(biocore.VerifierOptions{
		Issuer: w.cfg.PublicURL + "/t/acme", Audience: "example.com", TenantID: acme.id, Sessions: client.Sessions,
		KeysURL: w.url + "/t/acme/.well-known/jwks.json", // the public URL is no address of a test
	})
	if err != nil {
		t.Fatal(err)
	}
	claims, err := verifier.Verify(t.Context(), acme.access)
	if err != nil {
		t.Fatalf("Verify = %v", err)
	}
	if claims.Subject != acme.user || claims.SessionID != acme.session || claims.TenantID != acme.id || claims.AAL < 2 || !claims.UserVerified() {
		t.Errorf("claims = %+v, want those of user %s, session %s", claims, acme.user, acme.session)
	}
	if _, err := verifier.Verify(t.Context(), globex.access); !errors.Is(err, biocore.ErrInvalidToken) {
		t.Errorf("another tenant's token: %v, want %v", err, biocore.ErrInvalidToken)
	}

	handler := func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNoContent) }
	offline := verifier.Require(biocore.Requirement{MinAAL: 2, MaxAge: time.Minute}, http.HandlerFunc(handler))
	live := verifier.Require(biocore.Requirement{Live: true}, http.HandlerFunc(handler))
	status := func(h http.Handler) int {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		req.Header.Set("Authorization", "Bearer "+acme.access)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		return rec.Code
	}
	if a, b := status(offline), status(live); a != 204 || b != 204 {
		t.Errorf("an open session: %d offline, %d live, want 204 twice", a, b)
	}
	if _, err := client.Sessions.RevokeSession(t.Context(), &authv1.RevokeSessionRequest{SessionId: acme.session, Reason: "lost"}); err != nil {
		t.Fatal(err)
	}
	if a, b := status(offline), status(live); a != 204 || b != 401 {
		t.Errorf("a revoked session: %d offline, %d live, want 204 and 401", a, b)
	}
}

// A tenant that has its tokens encrypted, for an audience of its own: the service with
// the private key reads them, and asks about their sessions; one without cannot.
func TestGoSDKOpensEncryptedTokens(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t, "acme")
	private, public := encryptionKey(t)
	w.must(t, "PATCH", "/admin/v1/settings", acme.secret, map[string]any{
		"tokens": map[string]any{"audience": "https://api.example.com", "encryptionKey": public},
	})
	w.enroll(t, acme, "cust_1")
	w.signIn(t, acme)
	client, err := biocore.NewClient(biocore.ClientOptions{URL: w.url, APIKey: acme.secret})
	if err != nil {
		t.Fatal(err)
	}
	key, err := biocore.NewDecryptionKey("ours", private)
	if err != nil {
		t.Fatal(err)
	}
	o := biocore.VerifierOptions{
		Issuer: w.cfg.PublicURL + "/t/acme", Audience: "https://api.example.com", Sessions: client.Sessions,
		Require: biocore.Requirement{Live: true}, KeysURL: w.url + "/t/acme/.well-known/jwks.json",
	}
	for _, tt := range []struct {
		keys []biocore.DecryptionKey
		want error
	}{{[]biocore.DecryptionKey{key}, nil}, {nil, biocore.ErrDecryption}} {
		o.DecryptionKeys = tt.keys
		verifier, err := biocore.NewVerifier(o)
		if err != nil {
			t.Fatal(err)
		}
		if claims, err := verifier.Verify(t.Context(), acme.access); !errors.Is(err, tt.want) || err == nil && claims.Subject != acme.user {
			t.Errorf("with %v: Verify = %+v, %v, want %v", tt.keys, claims, err, tt.want)
		}
	}
}
