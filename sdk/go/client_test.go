package biocore_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect/v2"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	biocore "github.com/biocore-id/biocore/sdk/go"
)

// The key goes with each call, also where the caller has a context of its own, and along
// no redirect.
func TestClient(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	var seen atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Method + " " + r.URL.Path + " " + r.Header.Get("Authorization"))
		if strings.HasPrefix(r.URL.Path, "/moved/") {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
			return
		}
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_, _ = w.Write([]byte{0x08, 0x01}) // VerifySessionResponse{active: true}
	}))
	defer server.Close()

	client, err := biocore.NewClient(biocore.ClientOptions{URL: server.URL + "/", APIKey: "bk_test_1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, info := connect.NewClientContext(t.Context())
	info.RequestHeader().Set("Idempotency-Key", "k1")
	answer, err := client.Sessions.VerifySession(ctx, &authv1.VerifySessionRequest{AccessToken: "x"})
	if err != nil || !answer.GetActive() {
		t.Fatalf("VerifySession = %v, %v", answer, err)
	}
	if got, want := seen.Load(), "POST /biocore.auth.v1.SessionService/VerifySession Bearer bk_test_1"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	if _, err := client.Sessions.VerifySession(t.Context(), &authv1.VerifySessionRequest{AccessToken: "x"}); err != nil {
		t.Errorf("without a context of its own: %v", err)
	}

	moved, err := biocore.NewClient(biocore.ClientOptions{URL: server.URL + "/moved", APIKey: "bk_test_1", HTTPClient: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := moved.Sessions.VerifySession(t.Context(), &authv1.VerifySessionRequest{}); err == nil || elsewhere.Load() != 0 {
		t.Errorf("a redirect: error %v, and the other place was asked %d times", err, elsewhere.Load())
	}
}

func TestNewClient(t *testing.T) {
	for _, tt := range []struct{ name, url, key, want string }{
		{"good", "https://auth.example.com", "bk_live_1", ""},
		{"a path before the API", "https://example.com/auth", "bk_live_1", ""},
		{"loopback", "http://127.0.0.1:8080", "bk_test_1", ""},
		{"no URL", "", "bk_live_1", `biocore: URL "" is no https URL`},
		{"plain HTTP", "http://auth.example.com", "bk_live_1", `biocore: URL "http://auth.example.com" is not https, and the key goes there`},
		{"a publishable key", "https://auth.example.com", "pk_live_1", "biocore: APIKey is no server key: bk_…"},
		{"no key", "https://auth.example.com", "", "biocore: APIKey is no server key: bk_…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if _, err := biocore.NewClient(biocore.ClientOptions{URL: tt.url, APIKey: tt.key}); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("NewClient error = %q, want %q", got, tt.want)
			}
		})
	}
}
