// Package demo is Northwind Bank: a small relying party that shows what a
// customer of Biocore builds, and how little it takes.
//
// It is written as a customer would write it. The pages sign people in with
// the browser SDK and the publishable key; the bank's server part calls the
// public API with the secret key, over HTTP, and keeps a session of its own
// behind a cookie. It imports nothing of Biocore but the embedded files: what
// it needs and the API lacks would be missing for every customer.
//
// Beside each page a panel lists every call that page and server made. That is
// the one thing a real bank would not do: see call.go for what it hides.
package demo

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/biocore-id/biocore/web/static"
)

// Path is where a Bank must be mounted: this path and everything below it.
const Path = "/demo"

// contentSecurityPolicy lets a page load from its own origin and nothing else, except for
// pictures of authenticators, which come from the API at apiURL. There is no inline script,
// style or handler anywhere, so none is allowed.
func contentSecurityPolicy(apiURL string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: " + apiURL + "; " +
		"font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

// apiTimeout bounds one call to the API. A person is waiting, and the API
// itself answers within two seconds or not at all.
const apiTimeout = 5 * time.Second

// maxBodyBytes bounds what a page may post: an address, a name, a code.
const maxBodyBytes = 16 << 10

// Options is what a Bank needs.
type Options struct {
	// APIURL is where the server part reaches Biocore, without a trailing slash.
	// The pages call their own origin. Required.
	APIURL string
	// SecretKey is the tenant's server key (bk_…). It needs the scopes for
	// registration tokens, users, credentials and sessions. Required.
	SecretKey string
	// PublishableKey is the tenant's browser key (pk_…). Required.
	PublishableKey string
	// HTTPClient calls the API; nil means one that waits five seconds.
	HTTPClient *http.Client
	// Static names the files that pages load; nil means static.New().
	Static *static.Files
	// SecureCookie marks the session cookie Secure. Set it wherever people
	// arrive over HTTPS; plain http://localhost must leave it unset, because
	// Safari drops Secure cookies there.
	SecureCookie bool
	// Log takes what a person is not told; nil means slog.Default().
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Rand makes session ids; nil means crypto/rand.
	Rand io.Reader
}

// Format keeps the keys out of whatever prints.
func (Options) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[options]") }

// Bank is the demo relying party: an http.Handler for Path and what is below
// it. It keeps its sessions in memory, so a restart signs everybody out, and
// starts no goroutines.
type Bank struct {
	options  Options
	sessions *sessions
	handler  http.Handler
}

// Format keeps the keys out of whatever prints.
func (*Bank) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[bank]") }

// New returns a Bank, or an error that names the option that is missing.
func New(o Options) (*Bank, error) {
	api, err := url.Parse(o.APIURL)
	if err != nil || api.Host == "" || strings.ContainsAny(api.Host, " ;,") { // it becomes part of a policy
		return nil, errors.New("demo: APIURL must be an absolute URL")
	}
	if !strings.HasPrefix(o.SecretKey, "bk_") {
		return nil, errors.New("demo: SecretKey must begin with bk_")
	}
	if !strings.HasPrefix(o.PublishableKey, "pk_") {
		return nil, errors.New("demo: PublishableKey must begin with pk_")
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{Timeout: apiTimeout}
	}
	if o.Static == nil {
		o.Static = static.New()
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	o.APIURL = strings.TrimRight(o.APIURL, "/")

	b := &Bank{options: o, sessions: newSessions(o.Now, o.Rand)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, b.showSignIn)
	mux.HandleFunc("GET "+Path+"/{$}", b.showSignIn)
	mux.HandleFunc("GET "+Path+"/enroll", b.showEnroll)
	mux.HandleFunc("GET "+Path+"/account", b.showAccount)
	mux.HandleFunc("POST "+Path+"/customers", b.openAccount)
	mux.HandleFunc("POST "+Path+"/session", b.signIn)
	mux.HandleFunc("DELETE "+Path+"/session", b.signOut)
	mux.HandleFunc("POST "+Path+"/passkeys", b.addPasskey)
	mux.HandleFunc("PATCH "+Path+"/passkeys/{credentialId}", b.renamePasskey)
	mux.HandleFunc("DELETE "+Path+"/passkeys/{credentialId}", b.removePasskey)
	mux.HandleFunc(Path+"/", b.showNotFound)
	// A page elsewhere must not post here with the visitor's cookie. The cookie
	// is SameSite too, but that treats every port of localhost as one site.
	b.handler = secureHeaders(contentSecurityPolicy(api.Scheme+"://"+api.Host), toLocalhost(http.NewCrossOriginProtection().Handler(mux)))
	return b, nil
}

// ServeHTTP answers a request for the bank.
func (b *Bank) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.handler.ServeHTTP(w, r) }

// client makes an API client for one request, which remembers its calls.
func (b *Bank) client() *client {
	return &client{url: b.options.APIURL, key: b.options.SecretKey, http: b.options.HTTPClient, now: b.options.Now}
}

// secureHeaders goes around everything, errors too.
func secureHeaders(policy string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "publickey-credentials-create=(self), publickey-credentials-get=(self)")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		next.ServeHTTP(w, r)
	})
}

// toLocalhost sends who typed http://127.0.0.1 to http://localhost: an IP
// address is no valid RP ID, so no passkey can ever work there (WebAuthn L3
// #rp-id). The Host header is trusted for its port only.
func toLocalhost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr, err := netip.ParseAddrPort(r.Host)
		if err != nil || !addr.Addr().IsLoopback() || r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		host := "localhost:" + strconv.Itoa(int(addr.Port()))
		http.Redirect(w, r, "http://"+host+r.URL.RequestURI(), http.StatusTemporaryRedirect) //nolint:gosec // the host is a constant
	})
}

// render writes a page. What fails here fails on the network, mid-page.
func (b *Bank) render(w http.ResponseWriter, r *http.Request, status int, page templ.Component) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := page.Render(r.Context(), w); err != nil {
		b.options.Log.WarnContext(r.Context(), "page was not written", "err", err)
	}
}
