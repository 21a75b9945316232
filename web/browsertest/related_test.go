package browsertest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/biocore-id/biocore/sdk/js"
	"github.com/biocore-id/biocore/web/browsertest"
)

// The domains of a bank that has more than one. No name is ever looked up.
const (
	home    = "bank.example"
	related = "mybank.example"
)

// related is WebAuthn L3 #sctn-related-origins with everything real but the network: a
// passkey of one domain signs in on another, because the first one's list, which Biocore
// serves, names it. Without the list the browser refuses.
func (b bank) related(t *testing.T) {
	var made struct {
		Tenant         struct{ ID string }
		SecretKey      string
		PublishableKey string
	}
	b.biocore.CallAs(t, b.biocore.PlatformKey, "POST", "/admin/v1/tenants", map[string]any{
		"slug": "bank", "name": "Bank", "mode": "TEST", "rpId": home, "origins": []string{"https://" + home},
	}, &made)
	tenant := browsertest.Tenant{ID: made.Tenant.ID, SecretKey: made.SecretKey, PublishableKey: made.PublishableKey}
	var settings map[string]any
	b.biocore.CallAs(t, tenant.SecretKey, "PATCH", "/admin/v1/settings", map[string]any{"relyingParty": map[string]any{"relatedOrigins": []string{"https://" + related}}}, &settings)

	// The bank's web server: a page and the SDK of its own, and all else is Biocore's.
	api, err := url.Parse(b.biocore.APIURL)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32 // for the list
	var hidden atomic.Bool // the list
	biocore := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(api)
		r.Out.Host = r.In.Host // by which Biocore tells whose list it is
	}}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, `<!doctype html><html lang="en"><title>Bank</title><link rel="icon" href="data:,"><h1>Bank</h1>`)
		case r.URL.Path == "/sdk.js":
			w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
			_, _ = io.WriteString(w, js.Module)
		case r.URL.Path == "/.well-known/webauthn" && hidden.Load():
			http.NotFound(w, r)
		default:
			if r.URL.Path == "/.well-known/webauthn" && r.Host == home {
				asked.Add(1)
			}
			biocore.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	chromium := browsertest.StartChromiumAt(t, strings.TrimPrefix(server.URL, "https://"), server.Certificate())

	v := chromium.Visitor(t)
	device := v.PlatformAuthenticator()
	at := func(domain string) app {
		v.Open("https://" + domain + "/")
		return app{Visitor: v, biocore: b.biocore, tenant: tenant, baseURL: "https://" + domain, sdk: "/sdk.js"}
	}
	at(home).register(t, nil)
	if n := len(device.Passkeys()); n != 1 || asked.Load() != 0 {
		t.Fatalf("%d passkeys, and %d questions for the list at home", n, asked.Load())
	}
	hidden.Store(true)
	if got := at(related).run(t, "signIn", map[string]any{}); got.Problem != "RP_ID_MISMATCH" {
		t.Errorf("without a list: %+v, want RP_ID_MISMATCH", got)
	}
	hidden.Store(false)
	if got := at(related).run(t, "signIn", map[string]any{}); got.Decision != "ALLOW" {
		t.Errorf("on the related origin: %+v, want ALLOW", got)
	}
	if asked.Load() == 0 {
		t.Error("the browser never asked for the list")
	}
	if got := at("other.example").run(t, "signIn", map[string]any{}); got.Problem != "ORIGIN_NOT_ALLOWED" {
		t.Errorf("on an origin of nobody's: %+v, want ORIGIN_NOT_ALLOWED", got)
	}
	if got := at(home).run(t, "signIn", map[string]any{}); got.Decision != "ALLOW" {
		t.Errorf("at home again: %+v", got)
	}
}
