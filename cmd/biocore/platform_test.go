package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// world is a running server on a database of its own, spoken to over HTTP as any
// client would.
type world struct {
	*server
	store       *dbtest.Store
	url         string
	platformKey string
}

// testConfig is the configuration of a server on store.
func testConfig(t testing.TB, store *dbtest.Store, redisURL string) Config {
	t.Helper()
	key := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(key); err != nil {
		t.Fatal(err)
	}
	cfg := defaults()
	cfg.Listen, cfg.OpsListen, cfg.PublicURL = "127.0.0.1:0", "127.0.0.1:0", "http://localhost:8080"
	cfg.DatabaseURL, cfg.DatabaseWriterURL = secret.New(store.URL(db.RoleApp)), secret.New(store.URL(db.RoleWriter))
	cfg.DatabaseControlURL, cfg.DatabaseJobsURL = secret.New(store.URL(db.RoleControl)), secret.New(store.URL(db.RoleJobs))
	cfg.DatabaseSupportURL = secret.New(store.URL(db.RoleSupport))
	cfg.DatabaseAuditURL = secret.New(store.URL(db.RoleAudit))
	cfg.DatabaseMigratorURL = secret.New(store.URL(db.RoleMigrator))
	cfg.RedisURL, cfg.KMSURL = secret.New(redisURL), "local:"+key
	cfg.DNSServer = "127.0.0.1:1" // nobody: no test asks the Internet
	cfg.DrainTimeout = 5 * time.Second
	return cfg
}

func newWorld(t testing.TB) *world {
	t.Helper()
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.ObjectStorageURL = "file://" + t.TempDir()
	return startWorld(t, store, cfg)
}

// startWorld starts a server that ends with the test.
func startWorld(t testing.TB, store *dbtest.Store, cfg Config) *world {
	t.Helper()
	tel, err := startTelemetry(t.Context(), TelemetryConfig{LogOutput: io.Discard, LogLevel: slog.LevelDebug})
	if err != nil {
		t.Fatal(err)
	}
	return startWorldTelling(t, store, cfg, tel)
}

// startWorldTelling is startWorld with somebody who listens.
func startWorldTelling(t testing.TB, store *dbtest.Store, cfg Config, tel *telemetry) *world {
	t.Helper()
	s, err := newServer(t.Context(), cfg, tel)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.start(ctx, s.public(nil))
	ended := make(chan error, 1)
	go func() { ended <- s.wait(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("server ended with %v", err)
		}
	})
	w := &world{server: s, store: store, url: "http://" + s.publicPort.Addr().String()}
	home := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "test"})
	if err := s.keys.Ensure(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	made, err := s.apiKeys.Create(t.Context(), home, apikey.CreateRequest{Kind: apikey.Platform, Name: "test", Scopes: []string{apikey.ScopeAdminPlane}})
	if err != nil {
		t.Fatal(err)
	}
	w.platformKey = made.Plain.Reveal()
	return w
}

// origin is where the tests' pages are.
const origin = "https://login.example.com"

// customer is a tenant with its keys and one enrolled user.
type customer struct {
	id, slug, secret, publishable string
	user, external, handle        string
	credential                    string
	session, access, refresh      string
	authenticator                 *authenticatortest.Authenticator
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

// at is what path leads to: a member of an object by its name, an element of a list by its number.
func (a answer) at(path ...string) any {
	var v any = a.body
	for _, name := range path {
		if list, ok := v.([]any); ok {
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(list) {
				return nil
			}
			v = list[i]
			continue
		}
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func (a answer) text(path ...string) string {
	s, _ := a.at(path...).(string)
	return s
}

// reason is the reason of an error, "" of anything else.
func (a answer) reason() string {
	details, _ := a.at("details").([]any)
	for _, d := range details {
		if m, ok := d.(map[string]any); ok {
			s, _ := m["reason"].(string)
			return s
		}
	}
	return ""
}

// metadata is what stands beside the reason of a refusal.
func (a answer) metadata(key string) string { return a.text("details", "0", "metadata", key) }

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.raw) }

// call speaks REST. body is a string of JSON, a value to marshal, or nil for none;
// headers are name, value pairs.
func (w *world) call(t testing.TB, method, path, key string, body any, headers ...string) answer {
	t.Helper()
	a, err := w.try(t.Context(), method, path, key, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// try is call for goroutines, which cannot end the test.
func (w *world) try(ctx context.Context, method, path, key string, body any, headers ...string) (answer, error) {
	var payload []byte
	switch b := body.(type) {
	case nil:
	case string:
		payload = []byte(b)
	default:
		var err error
		if payload, err = json.Marshal(b); err != nil {
			return answer{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, w.url+path, bytes.NewReader(payload))
	if err != nil {
		return answer{}, err
	}
	if payload != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if strings.HasPrefix(key, "pk_") {
		req.Header.Set("Origin", origin)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: res.StatusCode, header: res.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &a.body) // what is no JSON stays in raw
	return a, nil
}

// must is call that wants 200.
func (w *world) must(t testing.TB, method, path, key string, body any, headers ...string) answer {
	t.Helper()
	a := w.call(t, method, path, key, body, headers...)
	if a.status != http.StatusOK {
		t.Fatalf("%s %s: %s", method, path, a)
	}
	return a
}

// tenant makes a tenant by the API.
func (w *world) tenant(t testing.TB, slug string) *customer {
	t.Helper()
	a := w.must(t, "POST", "/admin/v1/tenants", w.platformKey, map[string]any{
		"slug": slug, "name": slug, "mode": "LIVE", "rpId": "example.com", "origins": []string{origin},
		"domainVouchReason": "the tests' own",
	})
	auth, err := authenticatortest.New(authenticatortest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &customer{
		id: a.text("tenant", "id"), slug: slug, secret: a.text("secretKey"), publishable: a.text("publishableKey"),
		authenticator: auth,
	}
}

// enroll registers a credential for the tenant's user of that external id.
func (w *world) enroll(t testing.TB, c *customer, external string) answer {
	t.Helper()
	begun := w.must(t, "POST", "/v1/registrations:begin", c.secret, map[string]any{
		"user": map[string]any{"externalId": external, "name": external + "@example.com", "displayName": "Ingrid"},
	})
	response, err := c.authenticator.Create(marshal(t, begun.at("options")), origin)
	if err != nil {
		t.Fatal(err)
	}
	done := w.must(t, "POST", "/v1/registrations:finish", c.secret, map[string]any{
		"registrationId": begun.text("registrationId"), "credential": json.RawMessage(marshal(t, response)),
	})
	c.user, c.external, c.credential = done.text("user", "id"), external, done.text("credential", "id")
	c.handle = begun.text("options", "user", "id")
	return done
}

// assert begins a sign-in and has the authenticator answer it, in some deviation.
func (w *world) assert(t testing.TB, c *customer, key string, begin map[string]any, dev authenticatortest.Deviation) map[string]any {
	t.Helper()
	begun := w.must(t, "POST", "/v1/authentications:begin", key, begin)
	response, err := c.authenticator.GetWith(marshal(t, begun.at("options")), origin, dev)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"authenticationId": begun.text("authenticationId"), "credential": json.RawMessage(marshal(t, response))}
}

// signIn signs the customer's user in with the server key.
func (w *world) signIn(t testing.TB, c *customer) answer {
	t.Helper()
	a := w.must(t, "POST", "/v1/authentications:finish", c.secret, w.assert(t, c, c.secret, map[string]any{}, authenticatortest.Deviation{}))
	if a.text("decision") != "ALLOW" {
		t.Fatalf("sign-in: %s", a)
	}
	c.session, c.access, c.refresh = a.text("session", "id"), a.text("session", "accessToken"), a.text("session", "refreshToken")
	return a
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
