package edge_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/web/edge"
	"github.com/biocore-id/biocore/web/rpc"
)

var discard = slog.New(slog.DiscardHandler)

// echo answers 200 with what it read, or 413 past the limit.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	_, _ = w.Write(b)
})

func handler(o edge.Options) http.Handler {
	o.RPC = connect.NewServer()
	if o.Log == nil {
		o.Log = discard
	}
	for _, h := range []*http.Handler{&o.REST, &o.Reference, &o.Schema, &o.Static, &o.JWKS, &o.OAuth, &o.OFREP, &o.Configuration, &o.Metadata,
		&o.RelatedOrigins, &o.PasskeyEndpoints, &o.AssetLinks, &o.AppSiteAssociation, &o.Icons, &o.Logo, &o.Events} {
		if *h == nil {
			*h = echo
		}
	}
	return edge.New(o)
}

// Every answer has the headers, the errors too (SECURITY: clickjacking, MIME sniffing).
func TestEveryAnswerHasTheHeaders(t *testing.T) {
	h := handler(edge.Options{HSTS: true})
	for _, path := range []string{"/v1/users", "/admin/v1/tenants", "/healthz", "/readyz", "/openapi/auth.yaml", "/docs/api", "/schemas/policy/v1.json", "/static/x", "/authenticators/x/icon", "/t/x/logo/y.png", "/nothing", "/t/x/.well-known/jwks.json", "/t/x/oauth/introspect", "/t/x/.well-known/biocore-configuration", "/.well-known/oauth-authorization-server/t/x"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodOptions} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			for name, want := range map[string]string{
				"X-Content-Type-Options":    "nosniff",
				"X-Frame-Options":           "DENY",
				"Referrer-Policy":           "no-referrer",
				"Strict-Transport-Security": "max-age=31536000; includeSubDomains",
				"Content-Security-Policy":   "frame-ancestors 'none'",
			} {
				if got := w.Header().Get(name); !strings.Contains(got, want) {
					t.Errorf("%s %s: %s = %q, want %q", method, path, name, got, want)
				}
			}
			if len(w.Header().Get("X-Request-Id")) != 32 {
				t.Errorf("%s %s: no request id", method, path)
			}
		}
	}
}

// The id of a request is added to each of its lines by the logger, as everywhere.
func TestTheRequestLineLeavesTheIDToTheLogger(t *testing.T) {
	var log strings.Builder
	h := handler(edge.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/nothing", nil))
	if got := log.String(); !strings.Contains(got, "status=404") || strings.Contains(got, "request_id") {
		t.Errorf("logged %q", got)
	}
}

// A path of the API is taken as it is written, never for a shorter one that names something else.
func TestPathsAreTakenAsWritten(t *testing.T) {
	var taken string
	rest := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { taken = r.URL.EscapedPath() })
	h := handler(edge.Options{REST: rest})
	for _, path := range []string{
		"/v1/users//sessions",
		"/v1//users",
		"/v1/users/",
		"/v1/users/../sessions",
		"/v1/users/.",
		"/admin/v1/tenants/../apiKeys",
		"/admin/v1/tenants//",
		"/v1/users/a%2F%2Fb",
		"/v1/users/a.b",
	} {
		taken = ""
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusOK || taken != path {
			t.Errorf("GET %s: %d, taken as %q", path, w.Code, taken)
		}
	}
}

func TestPreflight(t *testing.T) {
	h := handler(edge.Options{})
	r := httptest.NewRequest(http.MethodOptions, "/v1/authentications:begin", nil)
	r.Header.Set("Origin", "https://anybody.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("preflight: %d, %v", w.Code, w.Header())
	}
	if w.Header().Get("Access-Control-Allow-Credentials") != "" {
		t.Error("a preflight allows credentials: cookies mean nothing to the API")
	}
	for _, name := range []string{"Authorization", "Idempotency-Key", "If-Match", "X-Biocore-Client-Token"} {
		if !strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), name) {
			t.Errorf("%s is not allowed", name)
		}
	}
	// The host page, the demo and the health checks are not for other origins.
	r = httptest.NewRequest(http.MethodGet, "/healthz", nil)
	r.Header.Set("Origin", "https://anybody.example")
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("/healthz is open to other origins")
	}
}

func TestBodyLimit(t *testing.T) {
	h := handler(edge.Options{})
	for size, want := range map[int]int{64 << 10: http.StatusOK, 64<<10 + 7: http.StatusRequestEntityTooLarge} { // gRPC's frame is 5 bytes
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/users", strings.NewReader(strings.Repeat("x", size))))
		if w.Code != want {
			t.Errorf("%d bytes: %d, want %d", size, w.Code, want)
		}
	}
}

// What a handler leaves unread is never taken for another request: whoever shares a
// connection with others through a proxy could else slip one in.
func TestTheRestOfABodyIsNoRequest(t *testing.T) {
	var requests atomic.Int64
	s, err := edge.Listen(t.Context(), "127.0.0.1:0", edge.ServerOptions{Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		served <- s.Serve(handler(edge.Options{REST: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			_ = r.Body.Close() // unread, as a call that is refused before it is decoded
		})}))
	}()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// net/http reads 256 KiB to keep a connection alive; what is beyond must end it.
	const unread = 300 << 10
	smuggled := "GET /v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	body := strings.Repeat(smuggled, unread/len(smuggled))
	go func() {
		_, _ = io.WriteString(conn, "POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body)
	}()
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answers, err := io.ReadAll(conn)
	if isTimeout(err) {
		t.Error("the connection stays open")
	}
	if n := strings.Count(string(answers), "HTTP/1.1 "); n != 1 {
		t.Errorf("one request got %d answers", n)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("one request became %d", n)
	}
}

func TestOriginReachesTheHandler(t *testing.T) {
	var got string
	h := handler(edge.Options{TrustedHops: 1, REST: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		o := rpc.OriginFromContext(r.Context())
		got = o.Address.String() + " " + o.UserAgent
		if _, bounded := r.Context().Deadline(); !bounded {
			t.Error("the call has no deadline")
		}
	})})
	r := httptest.NewRequest(http.MethodPost, "/v1/users", nil)
	r.Header.Set("X-Forwarded-For", "198.51.100.4")
	r.Header.Set("User-Agent", "bad\x00agent")
	h.ServeHTTP(httptest.NewRecorder(), r)
	if got != "198.51.100.4 badagent" {
		t.Errorf("origin = %q", got)
	}
}

// The Host header and X-Forwarded-Host are the client's: nothing repeats them.
func TestHostileHostIsNotEchoed(t *testing.T) {
	h := handler(edge.Options{Demo: echo})
	for _, path := range []string{"/", "/demo", "/v1/users", "/nothing"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host = "evil.example"
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.Header.Set("X-Forwarded-Proto", "gopher")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if dump := w.Body.String() + w.Header().Get("Location"); strings.Contains(dump, "evil.example") || strings.Contains(dump, "gopher") {
			t.Errorf("%s repeats the host: %q", path, dump)
		}
	}
}

func TestReady(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		public int
		detail string
	}{
		{"all is well", nil, http.StatusOK, `"postgres":"ok"`},
		{"a dependency is gone", errors.New("connection refused"), http.StatusServiceUnavailable, "connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ready := func(*http.Request) map[string]error { return map[string]error{"postgres": tt.err} }
			w := httptest.NewRecorder()
			handler(edge.Options{Ready: ready}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
			if w.Code != tt.public || strings.Contains(w.Body.String(), "postgres") || strings.Contains(w.Body.String(), "refused") {
				t.Errorf("public: %d %s", w.Code, w.Body)
			}
			if tt.err != nil && w.Header().Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			w = httptest.NewRecorder()
			edge.NewOps(edge.OpsOptions{Metrics: echo, Ready: ready, Hosts: []string{"example.com"}}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
			if w.Code != tt.public || !strings.Contains(w.Body.String(), tt.detail) {
				t.Errorf("operations: %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestJWKS(t *testing.T) {
	h := edge.JWKS(discard, func(_ context.Context, slug string) ([]byte, error) {
		switch slug {
		case "acme":
			return []byte(`{"keys":[]}`), nil
		case "flood":
			return nil, fault.New(fault.Exhausted, "RATE_LIMITED", "too many requests")
		case "down":
			return nil, fault.New(fault.Unavailable, "STORE_UNAVAILABLE", "gone")
		}
		return nil, fault.New(fault.NotFound, "TENANT_UNKNOWN", "no such tenant")
	})
	for slug, want := range map[string]int{"acme": 200, "globex": 404, "down": 503, "flood": 429} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetPathValue("slug", slug)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", slug, w.Code, want)
		}
		if cached := w.Header().Get("Cache-Control") != ""; cached != (want == 200) {
			t.Errorf("%s: Cache-Control %q", slug, w.Header().Get("Cache-Control"))
		}
	}
}

// Slow headers are closed (slowloris), requests in flight are not cut by a shutdown.
func TestServer(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	s, err := edge.Listen(t.Context(), "127.0.0.1:0", edge.ServerOptions{Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		served <- s.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(inside)
			<-release
			_, _ = io.WriteString(w, "done")
		}))
	}()

	slow, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, "GET / HTTP/1.1\r\nHost: x\r\n"); err != nil {
		t.Fatal(err)
	}

	answer := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + s.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		answer <- string(b)
	}()
	<-inside
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped <- s.Shutdown(ctx)
	}()
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("the request in flight got %q", got)
	}
	if err := slow.SetReadDeadline(time.Now().Add(8 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(slow).ReadString('\n'); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		t.Errorf("a client that never ends its headers is still connected: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
