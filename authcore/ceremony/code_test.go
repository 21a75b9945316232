package ceremony_test

import (
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// browser is a sign-in with a publishable key.
func (s *server) browser(t testing.TB, sc scope.Scope, a *authenticatortest.Authenticator) ceremony.Authenticated {
	t.Helper()
	begun := s.begin(t, sc)
	done, err := s.FinishAuthentication(t.Context(), sc, ceremony.FinishAuthenticationRequest{
		ID: begun.ID, Response: get(t, a, begun, authenticatortest.Deviation{}), Publishable: true,
	})
	if err != nil || done.Decision != ceremony.Allow {
		t.Fatalf("sign-in = %+v, %v", done, err)
	}
	return done
}

func TestABrowserGetsACode(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	a := authenticator(t, authenticatortest.Options{BackedUp: true})
	enrolled := w.enroll(t, acme, a)
	done := w.browser(t, acme, a)
	if done.Code == "" || done.Session != nil || done.Tokens != nil {
		t.Fatalf("a browser is answered %+v, want a code alone", done)
	}
	got, err := w.ExchangeCode(t.Context(), acme, done.Code)
	if err != nil {
		t.Fatal(err)
	}
	if got.User.ID != enrolled.User.ID || got.User.ExternalID != enrolled.User.ExternalID || got.Credential.ID != enrolled.Credential.ID ||
		got.Assurance != done.Assurance || got.Session.UserID != enrolled.User.ID || got.Tokens.Refresh == "" || got.User.LastSignInAt == nil {
		t.Errorf("exchanged for %+v", got)
	}
	if v, err := w.sessions.Verify(t.Context(), acme, got.Tokens.Access); err != nil || !v.Active {
		t.Errorf("Verify = %+v, %v", v, err)
	}
	_, err = w.ExchangeCode(t.Context(), acme, done.Code)
	wantErr(t, "a second exchange", err, ceremony.ErrCodeSpent)
	if n := w.db.AuditCount(t, acme, "authentication.exchange"); n != 2 {
		t.Errorf("%d audit entries, want the exchange and the refusal", n)
	}
}

// Removing the spent row turns this red.
func TestACodeIsTradedOnce(t *testing.T) {
	w := newWorld(t)
	second := w.replica(t)
	acme := w.tenant(t)
	a := phone(t)
	w.enroll(t, acme, a)
	code := w.browser(t, acme, a).Code
	errs := make([]error, 32)
	var race sync.WaitGroup
	for i := range errs {
		race.Go(func() { _, errs[i] = []*server{w.server, second}[i%2].ExchangeCode(t.Context(), acme, code) })
	}
	race.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		wantErr(t, "a loser", err, ceremony.ErrCodeSpent)
	}
	if won != 1 {
		t.Errorf("%d of %d exchanges succeeded, want 1", won, len(errs))
	}
}

func TestCodesRefused(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	a := phone(t)
	r := w.enroll(t, acme, a)
	code := w.browser(t, acme, a).Code
	exchange := func(s *server, sc scope.Scope, code string) error {
		_, err := s.ExchangeCode(t.Context(), sc, code)
		return err
	}
	wantErr(t, "another tenant's", exchange(w.server, globex, code), ceremony.ErrCode)
	wantErr(t, "changed", exchange(w.server, acme, code[:len(code)-2]+"AA"), ceremony.ErrCode)
	wantErr(t, "empty", exchange(w.server, acme, ""), ceremony.ErrCode)
	wantErr(t, "a sign-in's id", exchange(w.server, acme, w.begin(t, acme).ID), ceremony.ErrCode)
	wantErr(t, "after 61 seconds", exchange(w.at(t, 61*time.Second), acme, code), ceremony.ErrCodeExpired)
	if err := exchange(w.at(t, 50*time.Second), acme, code); err != nil {
		t.Errorf("after 50 seconds: %v", err)
	}
	revoked := w.browser(t, acme, a).Code
	if _, err := w.sessions.RevokeAllOfUser(t.Context(), acme, session.RevokeAllRequest{UserID: r.User.ID}); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "of a session that was revoked", exchange(w.server, acme, revoked), session.ErrRevoked)
}

func TestDirectTokens(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	if _, err := w.db.Superuser(t).Exec(t.Context(), "UPDATE tenants SET direct_tokens = true WHERE id = $1", acme.Tenant()); err != nil {
		t.Fatal(err)
	}
	a := phone(t)
	w.enroll(t, acme, a)
	done := w.browser(t, acme, a)
	if done.Code != "" || done.Session == nil || done.Tokens == nil || done.Tokens.Access == "" || done.Tokens.Refresh != "" {
		t.Errorf("a browser is answered %+v, want an access token and no refresh token", done)
	}
}
