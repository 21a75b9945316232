package demo

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// newBank returns a bank whose API nobody answers.
func newBank(t *testing.T, o Options) *Bank {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.APIURL = "http://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	o.SecretKey, o.PublishableKey = "bk_test_secret", "pk_test_publishable"
	o.Log = slog.New(slog.DiscardHandler)
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func do(t *testing.T, b *Bank, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

// request makes a request with headers written "Name: value".
func request(t *testing.T, method, path string, header ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.Host = "localhost:8080"
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	return r
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	good := Options{APIURL: "http://localhost:1", SecretKey: "bk_test_1", PublishableKey: "pk_test_1"}
	for _, tt := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"no API", func(o *Options) { o.APIURL = "" }, "APIURL"},
		{"an API without a host", func(o *Options) { o.APIURL = "/v1" }, "APIURL"},
		{"no secret key", func(o *Options) { o.SecretKey = "" }, "SecretKey"},
		{"the keys swapped", func(o *Options) { o.SecretKey, o.PublishableKey = o.PublishableKey, o.SecretKey }, "SecretKey"},
		{"a secret key for the browser", func(o *Options) { o.PublishableKey = o.SecretKey }, "PublishableKey"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := good
			tt.change(&o)
			if _, err := New(o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New error = %v, want one that names %s", err, tt.want)
			}
		})
	}
	if _, err := New(good); err != nil {
		t.Errorf("New error = %v, want none", err)
	}
}

// The policy stands on every answer, errors too; a page never holds the secret key.
func TestEveryAnswerIsLockedDown(t *testing.T) {
	b := newBank(t, Options{})
	for _, tt := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/demo", 200},
		{"GET", "/demo/", 200},
		{"GET", "/demo?after=sign-out", 200},
		{"GET", "/demo/enroll", 200},
		{"GET", "/demo/account", 303},
		{"GET", "/demo/nothing", 404},
		{"POST", "/demo/session", 400},
		{"DELETE", "/demo/session", 200},
		{"POST", "/demo/passkeys", 401},
		{"DELETE", "/demo/passkeys/x", 401},
		{"POST", "/demo/customers", 422},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			res := do(t, b, request(t, tt.method, tt.path))
			if res.Code != tt.want {
				t.Errorf("status = %d, want %d", res.Code, tt.want)
			}
			for name, want := range map[string]string{
				"Content-Security-Policy": contentSecurityPolicy(b.options.APIURL),
				"X-Content-Type-Options":  "nosniff",
				"Cache-Control":           "no-store",
			} {
				if got := res.Header().Get(name); got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
			if strings.Contains(res.Body.String(), b.options.SecretKey) {
				t.Error("the page holds the secret key")
			}
			if body := res.Body.String(); strings.Contains(body, " style=") || strings.Contains(body, " onclick=") {
				t.Error("the page has an inline style or handler")
			}
		})
	}
}

// Removing CrossOriginProtection turns this red.
func TestOtherSitesCannotPost(t *testing.T) {
	b := newBank(t, Options{})
	for _, tt := range []struct {
		name   string
		header string
		want   int
	}{
		{"another site", "Sec-Fetch-Site: cross-site", 403},
		{"another port of localhost, which is the same site", "Sec-Fetch-Site: same-site", 403},
		{"an old browser, by its Origin", "Origin: http://localhost:9999", 403},
		{"the bank's own page", "Sec-Fetch-Site: same-origin", 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := do(t, b, request(t, "DELETE", "/demo/session", tt.header))
			if res.Code != tt.want {
				t.Errorf("status = %d, want %d", res.Code, tt.want)
			}
		})
	}
}

func TestLoopbackAddressesGoToLocalhost(t *testing.T) {
	b := newBank(t, Options{})
	for _, tt := range []struct {
		host, want string
	}{
		{"127.0.0.1:8080", "http://localhost:8080/demo/enroll?x=1"},
		{"[::1]:8080", "http://localhost:8080/demo/enroll?x=1"},
		{"127.5.5.5:81", "http://localhost:81/demo/enroll?x=1"},
		{"localhost:8080", ""},
		{"evil.example:80", ""},
		{"10.0.0.1:8080", ""},
		{"127.0.0.1.evil.example:80", ""},
	} {
		t.Run(tt.host, func(t *testing.T) {
			r := request(t, "GET", "/demo/enroll?x=1")
			r.Host = tt.host
			res := do(t, b, r)
			if got := res.Header().Get("Location"); got != tt.want {
				t.Errorf("Location = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWithoutBiocore(t *testing.T) {
	b := newBank(t, Options{})
	one, err := b.sessions.open(user{ID: "u", Name: "ingrid@fjordpay.no", DisplayName: "Ingrid"}, grant{ID: "s", AccessToken: "t"})
	if err != nil {
		t.Fatal(err)
	}
	cookie := "Cookie: " + cookieName + "=" + one.id

	res := do(t, b, request(t, "GET", "/demo/account", cookie))
	if res.Code != http.StatusBadGateway || !strings.Contains(res.Body.String(), unreachable.Title) {
		t.Errorf("account = %d, want 502 with %q", res.Code, unreachable.Title)
	}
	if _, err := b.sessions.find(request(t, "GET", "/", cookie)); err != nil {
		t.Errorf("an outage ended the session: %v", err)
	}
	if res = do(t, b, request(t, "POST", "/demo/passkeys", cookie)); res.Code != http.StatusBadGateway {
		t.Errorf("add a passkey = %d, want 502", res.Code)
	}
	// Signing out must work all the same.
	if res = do(t, b, request(t, "DELETE", "/demo/session", cookie)); res.Code != http.StatusOK {
		t.Errorf("sign out = %d, want 200", res.Code)
	}
	if _, err := b.sessions.find(request(t, "GET", "/", cookie)); err == nil {
		t.Error("still signed in after signing out")
	}
}

func TestSessionCookie(t *testing.T) {
	b := newBank(t, Options{SecureCookie: true})
	w := httptest.NewRecorder()
	b.setCookie(w, &session{id: "opaque"})
	got := w.Header().Get("Set-Cookie")
	for _, want := range []string{cookieName + "=opaque", "Path=/demo", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=28800"} {
		if !strings.Contains(got, want) {
			t.Errorf("Set-Cookie = %q, lacks %q", got, want)
		}
	}
}

func TestSessionsEnd(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	b := newBank(t, Options{Now: func() time.Time { return now }})
	one, err := b.sessions.open(user{}, grant{})
	if err != nil {
		t.Fatal(err)
	}
	find := func(id string) error {
		_, err := b.sessions.find(request(t, "GET", "/", "Cookie: "+cookieName+"="+id))
		return err
	}
	now = now.Add(sessionLifetime - time.Nanosecond)
	if err := find(one.id); err != nil {
		t.Errorf("just before its end: %v", err)
	}
	if err := find(one.id + "x"); err == nil {
		t.Error("another id was taken")
	}
	now = now.Add(time.Nanosecond)
	if err := find(one.id); err == nil {
		t.Error("at its end the session still stands")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	s := newSessions(func() time.Time { now = now.Add(time.Millisecond); return now }, strings.NewReader(strings.Repeat("0123456789abcdef", 1)))
	if _, err := s.open(user{}, grant{}); err == nil {
		t.Error("a session was opened without enough randomness")
	}
	full := newSessions(func() time.Time { now = now.Add(time.Millisecond); return now }, newCounter())
	var first *session
	for i := range maxSessions + 1 {
		one, err := full.open(user{}, grant{})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = one
		}
	}
	if len(full.byID) != maxSessions {
		t.Errorf("%d sessions, want %d", len(full.byID), maxSessions)
	}
	if _, ok := full.byID[first.id]; ok {
		t.Error("the oldest session was kept")
	}
}

// counter is a reader that never gives the same 32 bytes twice, and never ends.
type counter struct{ n uint64 }

func newCounter() *counter { return &counter{} }

func (c *counter) Read(p []byte) (int, error) {
	c.n++
	for i := range p {
		p[i] = byte(c.n >> (8 * (i % 8)))
	}
	return len(p), nil
}
