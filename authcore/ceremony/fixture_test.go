package ceremony_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

const (
	origin    = "http://localhost:8080" // dbtest's
	publicURL = "https://auth.example"
)

// server is one server of the platform, as far as ceremonies need it.
type server struct {
	*ceremony.Service
	store       *db.Store
	keys        *keys.Service
	tenants     *tenant.Service
	users       *user.Service
	credentials *credential.Service
	sessions    *session.Service
	evidence    *evidence.Service
	denials     *audit.Denials
	tail        *tail.Service
	risk        *risk.Service
}

// world is a database and the servers on it. The first is the embedded one.
type world struct {
	*server
	db    *dbtest.Store
	kms   keys.KMS
	redis string

	limits *ratelimit.Limiter // of the servers that are made later; nil: none

	perMinute int // refusals alike that are recorded one by one; 0: all that a test makes

	metadata atomic.Pointer[mds.Snapshot] // what attestations are judged by
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, dbtest.New(t), dbtest.Redis(t))
}

func newWorldOn(t testing.TB, store *dbtest.Store, redisURL string) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{db: store, kms: k, redis: redisURL}
	w.server = w.on(t, store.Store)
	return w
}

// on returns a server on a store.
func (w *world) on(t testing.TB, store *db.Store) *server {
	t.Helper()
	redis, err := ephemeral.Open(w.redis)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	s := &server{store: store}
	s.keys = keys.New(keys.Options{Store: store, KMS: w.kms})
	s.tenants = tenant.New(tenant.Options{Store: store, Keys: s.keys})
	s.credentials = credential.New(credential.Options{Store: store, Keys: s.keys, Tenants: s.tenants})
	if s.sessions, err = session.New(session.Options{Store: store, Keys: s.keys, Tenants: s.tenants, PublicURL: publicURL}); err != nil {
		t.Fatal(err)
	}
	s.evidence = evidence.New(evidence.Options{Store: store, Keys: s.keys})
	s.denials = audit.NewDenials(audit.DenialsOptions{Store: store, PerMinute: cmp.Or(w.perMinute, 1000)})
	if s.tail, err = tail.New(tail.Options{Reader: debugger.NewReader(store, s.keys), Keys: s.keys, Redis: redis, Now: store.Now}); err != nil {
		t.Fatal(err)
	}
	if s.risk, err = risk.New(risk.Options{Store: store, Keys: s.keys, Ephemeral: redis, Locate: locate, Distance: distance, Allowed: loopback}); err != nil {
		t.Fatal(err)
	}
	s.users = user.New(user.Options{Store: store, Keys: s.keys, Erased: s.risk.Forget})
	s.Service, err = ceremony.New(ceremony.Options{
		Store: store, Keys: s.keys, Tenants: s.tenants, Sessions: s.sessions, Ephemeral: redis,
		Denials: s.denials, Evidence: s.evidence, Tail: s.tail, Risk: s.risk, Limits: w.limits,
		Metadata: w.metadata.Load,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// replica is another server on the same database.
func (w *world) replica(t testing.TB) *server {
	t.Helper()
	return w.on(t, w.db.Replica(t))
}

// at is a server whose clock is off by d. It caches nothing and commits no sign-ins,
// since it does not run: nobody tells it the right time.
func (w *world) at(t testing.TB, d time.Duration) *server {
	t.Helper()
	o := w.db.Options()
	o.Now = func() time.Time { return time.Now().Add(d) }
	store, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return w.on(t, store)
}

// skewed is a running server whose clock is off by d.
func (w *world) skewed(t testing.TB, d time.Duration) *server {
	t.Helper()
	s := w.at(t, d)
	runUntilFresh(t, s.store)
	if s.store.Skew() == 0 {
		t.Fatal("the clock was not measured")
	}
	return s
}

// runUntilFresh runs a store until the test ends, and returns when it may cache.
func runUntilFresh(t testing.TB, store *db.Store) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- store.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	waitFor(t, "change feed", store.Fresh)
}

// waitFor polls for what no event tells of.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("no %s within 10 s", what)
		}
	}
}

func (w *world) tenant(t testing.TB) scope.Scope {
	t.Helper()
	return w.tenantWith(t, dbtest.TenantOptions{})
}

// policed is a tenant with a policy of its own.
func (w *world) policed(t testing.TB, policy string) scope.Scope {
	t.Helper()
	return w.tenantWith(t, dbtest.TenantOptions{Policy: policy})
}

func (w *world) tenantWith(t testing.TB, o dbtest.TenantOptions) scope.Scope {
	t.Helper()
	sc := w.db.TenantWith(t, o)
	if err := w.keys.Ensure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	return sc
}

// phone is an authenticator that counts and makes device-bound credentials.
func phone(t testing.TB) *authenticatortest.Authenticator {
	t.Helper()
	return authenticator(t, authenticatortest.Options{})
}

func authenticator(t testing.TB, o authenticatortest.Options) *authenticatortest.Authenticator {
	t.Helper()
	a, err := authenticatortest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var people atomic.Int64 // so that names differ

func profile() *user.Profile {
	n := strconv.FormatInt(people.Add(1), 10)
	return &user.Profile{ExternalID: "customer-" + n, Name: "ada" + n + "@example.com", DisplayName: "Ada " + n}
}

// create does what the browser does between begin and finish of a registration.
func create(t testing.TB, a *authenticatortest.Authenticator, begun ceremony.BegunRegistration, dev authenticatortest.Deviation) webauthn.RegistrationResponse {
	t.Helper()
	options, err := json.Marshal(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	made, err := a.CreateWith(options, origin, dev)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, made, webauthn.ParseRegistrationResponse)
}

// get does what the browser does between begin and finish of a sign-in.
func get(t testing.TB, a *authenticatortest.Authenticator, begun ceremony.BegunAuthentication, dev authenticatortest.Deviation) webauthn.AssertionResponse {
	t.Helper()
	return getOn(t, a, begun, origin, dev)
}

func getOn(t testing.TB, a *authenticatortest.Authenticator, begun ceremony.BegunAuthentication, page string, dev authenticatortest.Deviation) webauthn.AssertionResponse {
	t.Helper()
	options, err := json.Marshal(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	made, err := a.GetWith(options, page, dev)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, made, webauthn.ParseAssertionResponse)
}

func parse[R any](t testing.TB, made json.Marshaler, read func([]byte) (R, error)) R {
	t.Helper()
	text, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := read(text)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// beginRegistration begins one for a profile by a server key.
func (s *server) beginRegistration(t testing.TB, sc scope.Scope, p *user.Profile) ceremony.BegunRegistration {
	t.Helper()
	begun, err := s.BeginRegistration(t.Context(), sc, ceremony.BeginRegistrationRequest{User: p})
	if err != nil {
		t.Fatalf("BeginRegistration: %v", err)
	}
	return begun
}

// enroll registers a credential of a on a new user.
func (s *server) enroll(t testing.TB, sc scope.Scope, a *authenticatortest.Authenticator) ceremony.Registered {
	t.Helper()
	return s.enrollAs(t, sc, a, profile())
}

func (s *server) enrollAs(t testing.TB, sc scope.Scope, a *authenticatortest.Authenticator, p *user.Profile) ceremony.Registered {
	t.Helper()
	begun := s.beginRegistration(t, sc, p)
	done, err := s.FinishRegistration(t.Context(), sc, ceremony.FinishRegistrationRequest{
		ID: begun.ID, Response: create(t, a, begun, authenticatortest.Deviation{}),
	})
	if err != nil {
		t.Fatalf("FinishRegistration: %v", err)
	}
	return done
}

// begin begins a discoverable sign-in.
func (s *server) begin(t testing.TB, sc scope.Scope) ceremony.BegunAuthentication {
	t.Helper()
	return s.beginWith(t, sc, ceremony.BeginAuthenticationRequest{})
}

func (s *server) beginWith(t testing.TB, sc scope.Scope, req ceremony.BeginAuthenticationRequest) ceremony.BegunAuthentication {
	t.Helper()
	begun, err := s.BeginAuthentication(t.Context(), sc, req)
	if err != nil {
		t.Fatalf("BeginAuthentication: %v", err)
	}
	return begun
}

// finish posts the answer with a server key.
func (s *server) finish(t testing.TB, sc scope.Scope, begun ceremony.BegunAuthentication, resp webauthn.AssertionResponse) (ceremony.Authenticated, error) {
	t.Helper()
	return s.FinishAuthentication(t.Context(), sc, ceremony.FinishAuthenticationRequest{ID: begun.ID, Response: resp})
}

// try is a whole discoverable sign-in.
func (s *server) try(t testing.TB, sc scope.Scope, a *authenticatortest.Authenticator, dev authenticatortest.Deviation) (ceremony.Authenticated, error) {
	t.Helper()
	begun := s.begin(t, sc)
	return s.finish(t, sc, begun, get(t, a, begun, dev))
}

// signIn is try for one that succeeds.
func (s *server) signIn(t testing.TB, sc scope.Scope, a *authenticatortest.Authenticator) ceremony.Authenticated {
	t.Helper()
	done, err := s.try(t, sc, a, authenticatortest.Deviation{})
	if err != nil || done.Decision != ceremony.Allow {
		t.Fatalf("sign-in = %+v, %v, want %s", done, err, ceremony.Allow)
	}
	return done
}

// one counts rows, behind the wall.
func (w *world) one(t testing.TB, sql string, args ...any) (n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := w.db.Superuser(t).QueryRow(ctx, sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error = %v, want %v", what, got, want)
	}
}
