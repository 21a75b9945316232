package recovery_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/recovery"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

const origin = "http://localhost:8080" // dbtest's

// server is one server, as far as recovery needs it.
type server struct {
	*recovery.Service
	ceremonies *ceremony.Service
}

// world is a database and the first server on it.
type world struct {
	*authcoretest.World
	server
	redis string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{World: authcoretest.New(t), redis: dbtest.Redis(t)}
	w.server = w.on(t, w.Store.Store, w.Keys, w.Tenants, w.Sessions)
	return w
}

func (w *world) on(t testing.TB, store *db.Store, k *keys.Service, tenants *tenant.Service, sessions *session.Service) server {
	t.Helper()
	redis, err := ephemeral.Open(w.redis)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	denials := audit.NewDenials(audit.DenialsOptions{Store: store, PerMinute: 1000})
	var s server
	if s.Service, err = recovery.New(recovery.Options{Store: store, Keys: k, Tenants: tenants, Denials: denials}); err != nil {
		t.Fatal(err)
	}
	s.ceremonies, err = ceremony.New(ceremony.Options{
		Store: store, Keys: k, Tenants: tenants, Sessions: sessions, Ephemeral: redis, Denials: denials,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// after is this server as it will be after d.
func (w *world) after(t testing.TB, d time.Duration) server {
	t.Helper()
	o := w.Options()
	o.Now = func() time.Time { return time.Now().Add(d) }
	store, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	later := w.Later(t, d)
	return w.on(t, store, later.Keys, later.Tenants, later.Sessions)
}

// policed is a tenant with a policy of its own.
func (w *world) policed(t testing.TB, policy string) scope.Scope {
	t.Helper()
	return w.TenantWith(t, dbtest.TenantOptions{Policy: policy})
}

// somebody is another key of sc's tenant.
func somebody(sc scope.Scope) scope.Scope {
	return sc.WithActor(scope.Actor{Kind: scope.ActorAPIKey, ID: uuid.NewString(), Name: "another"})
}

// codes gives u a set.
func (s *server) codes(t testing.TB, sc scope.Scope, u user.User) []string {
	t.Helper()
	made, err := s.CreateCodes(t.Context(), sc, u.ID, "")
	if err != nil {
		t.Fatalf("CreateCodes: %v", err)
	}
	return made.Codes
}

func (s *server) redeem(t testing.TB, sc scope.Scope, external, code string) (recovery.Grant, error) {
	t.Helper()
	return s.Redeem(t.Context(), sc, recovery.RedeemRequest{ExternalID: external, Code: code})
}

// granted is redeem that succeeds.
func (s *server) granted(t testing.TB, sc scope.Scope, external, code string) recovery.Grant {
	t.Helper()
	g, err := s.redeem(t, sc, external, code)
	if err != nil {
		t.Fatalf("Redeem: %v", err)
	}
	return g
}

func (s *server) link(t testing.TB, sc scope.Scope, u user.User) recovery.Grant {
	t.Helper()
	g, err := s.CreateLink(t.Context(), sc, recovery.LinkRequest{UserID: u.ID, Reason: "lost her phone"})
	if err != nil {
		t.Fatalf("CreateLink: %v", err)
	}
	return g
}

func (s *server) begin(t testing.TB, sc scope.Scope, token string) (ceremony.BegunRegistration, error) {
	t.Helper()
	return s.ceremonies.BeginRegistration(t.Context(), sc, ceremony.BeginRegistrationRequest{Token: token, Publishable: true})
}

// finish does what the browser does with an authenticator of its own, and posts it.
func (s *server) finish(t testing.TB, sc scope.Scope, begun ceremony.BegunRegistration) (ceremony.Registered, error) {
	t.Helper()
	a, err := authenticatortest.New(authenticatortest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	options, err := json.Marshal(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	made, err := a.CreateWith(options, origin, authenticatortest.Deviation{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := webauthn.ParseRegistrationResponse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s.ceremonies.FinishRegistration(t.Context(), sc, ceremony.FinishRegistrationRequest{ID: begun.ID, Response: resp, Publishable: true})
}

// enroll is a whole registration by a token.
func (s *server) enroll(t testing.TB, sc scope.Scope, token string) credential.Credential {
	t.Helper()
	begun, err := s.begin(t, sc, token)
	if err != nil {
		t.Fatalf("BeginRegistration: %v", err)
	}
	done, err := s.finish(t, sc, begun)
	if err != nil {
		t.Fatalf("FinishRegistration: %v", err)
	}
	return done.Credential
}

func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error = %v, want %v", what, got, want)
	}
}
