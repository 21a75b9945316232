package ceremony_test

import (
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/scope"
)

func (s *server) token(t testing.TB, sc scope.Scope, req ceremony.RegistrationTokenRequest) string {
	t.Helper()
	made, err := s.CreateRegistrationToken(t.Context(), sc, req)
	if err != nil {
		t.Fatalf("CreateRegistrationToken: %v", err)
	}
	return made.Token
}

// beginByToken is what a browser does, which holds a publishable key alone.
func (s *server) beginByToken(t testing.TB, sc scope.Scope, token string) ceremony.BegunRegistration {
	t.Helper()
	begun, err := s.BeginRegistration(t.Context(), sc, ceremony.BeginRegistrationRequest{Token: token, Publishable: true})
	if err != nil {
		t.Fatalf("BeginRegistration: %v", err)
	}
	return begun
}

func (s *server) finishByToken(t testing.TB, sc scope.Scope, begun ceremony.BegunRegistration) (ceremony.Registered, error) {
	t.Helper()
	return s.FinishRegistration(t.Context(), sc, ceremony.FinishRegistrationRequest{
		ID: begun.ID, Response: create(t, phone(t), begun, authenticatortest.Deviation{}), Publishable: true,
	})
}

// SECURITY 49: a server vouched for the browser, and the record says so.
func TestARegistrationTokenEnrollsItsUserOnce(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	existing := w.enroll(t, acme, phone(t)).User
	newcomer := profile()
	for name, req := range map[string]ceremony.RegistrationTokenRequest{
		"an existing user":                {UserID: &existing.ID},
		"an existing user by external id": {User: &user.Profile{ExternalID: existing.ExternalID, Name: "x"}},
		"a newcomer":                      {User: newcomer},
	} {
		t.Run(name, func(t *testing.T) {
			token := w.token(t, acme, req)
			// A cancelled prompt burns nothing.
			w.beginByToken(t, acme, token)
			begun := w.beginByToken(t, acme, token)
			also := w.beginByToken(t, acme, token)
			done, err := w.finishByToken(t, acme, begun)
			if err != nil {
				t.Fatal(err)
			}
			want := newcomer.ExternalID
			if req.User != newcomer {
				want = existing.ExternalID
			}
			if done.User.ExternalID != want || done.Credential.RegisteredVia != credential.ViaRegistrationToken {
				t.Errorf("enrolled %s via %s, want %s", done.User.ExternalID, done.Credential.RegisteredVia, want)
			}
			_, err = w.finishByToken(t, acme, also) // SECURITY 43: twice
			wantErr(t, "a second finish", err, ceremony.ErrRegistrationSpent)
			_, err = w.BeginRegistration(t.Context(), acme, ceremony.BeginRegistrationRequest{Token: token, Publishable: true})
			wantErr(t, "a third begin", err, ceremony.ErrRegistrationSpent)
		})
	}
	if n := w.db.AuditCount(t, acme, "registration.token"); n != 3 {
		t.Errorf("%d entries of tokens, want 3", n)
	}
}

// Removing the token's spent row turns this red: each begin has a challenge of its own.
func TestARegistrationTokenRaced(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	u := w.enroll(t, acme, phone(t)).User
	token := w.token(t, acme, ceremony.RegistrationTokenRequest{UserID: &u.ID})
	begun := make([]ceremony.BegunRegistration, 16)
	for i := range begun {
		begun[i] = w.beginByToken(t, acme, token)
	}
	errs := make([]error, len(begun))
	var race sync.WaitGroup
	for i := range begun {
		race.Go(func() { _, errs[i] = w.finishByToken(t, acme, begun[i]) })
	}
	race.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		wantErr(t, "a loser", err, ceremony.ErrRegistrationSpent)
	}
	if won != 1 {
		t.Errorf("%d of %d finishes with one token succeeded, want 1", won, len(errs))
	}
}

// SECURITY 43: foreign, expired, moved.
func TestRegistrationTokensRefused(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	u := w.enroll(t, acme, phone(t)).User
	token := w.token(t, acme, ceremony.RegistrationTokenRequest{UserID: &u.ID, Life: 5 * time.Minute})
	by := func(s *server, sc scope.Scope, token string) error {
		_, err := s.BeginRegistration(t.Context(), sc, ceremony.BeginRegistrationRequest{Token: token, Publishable: true})
		return err
	}
	wantErr(t, "another tenant's", by(w.server, globex, token), ceremony.ErrRegistrationToken)
	wantErr(t, "changed", by(w.server, acme, token[:len(token)-2]+"AA"), ceremony.ErrRegistrationToken)
	wantErr(t, "a sign-in's id", by(w.server, acme, w.begin(t, acme).ID), ceremony.ErrRegistrationToken)
	wantErr(t, "late", by(w.at(t, 6*time.Minute), acme, token), ceremony.ErrRegistrationExpired)

	t.Run("expired between begin and finish", func(t *testing.T) {
		short := w.token(t, acme, ceremony.RegistrationTokenRequest{UserID: &u.ID, Life: time.Minute})
		begun := w.beginByToken(t, acme, short)
		_, err := w.at(t, 2*time.Minute).finishByToken(t, acme, begun) // the registration itself is open for five
		wantErr(t, "FinishRegistration", err, ceremony.ErrRegistrationExpired)
	})
	t.Run("the tenant has another RP ID", func(t *testing.T) {
		begun := w.beginByToken(t, acme, token)
		if _, err := w.db.Superuser(t).Exec(t.Context(), "UPDATE tenants SET rp_id = 'acme.localhost' WHERE id = $1", acme.Tenant()); err != nil {
			t.Fatal(err)
		}
		fresh := w.at(t, 0) // has cached nothing
		wantErr(t, "BeginRegistration", by(fresh, acme, token), ceremony.ErrRegistrationToken)
		_, err := fresh.finishByToken(t, acme, begun)
		wantErr(t, "FinishRegistration", err, webauthn.ErrRPID)
	})
}

func TestCreateRegistrationTokenRefuses(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	theirs := w.enroll(t, globex, phone(t)).User.ID
	blocked := w.enroll(t, acme, phone(t)).User
	if _, err := w.users.Block(t.Context(), acme, user.BlockRequest{ID: blocked.ID}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		req  ceremony.RegistrationTokenRequest
		want error
	}{
		{"nobody", ceremony.RegistrationTokenRequest{}, ceremony.ErrSubject},
		{"two ways", ceremony.RegistrationTokenRequest{UserID: &blocked.ID, User: profile()}, ceremony.ErrSubject},
		{"another tenant's user", ceremony.RegistrationTokenRequest{UserID: &theirs}, user.ErrNotFound},
		{"a blocked user", ceremony.RegistrationTokenRequest{UserID: &blocked.ID}, user.ErrBlocked},
		{"a blocked user by external id", ceremony.RegistrationTokenRequest{User: &user.Profile{ExternalID: blocked.ExternalID, Name: "x"}}, user.ErrBlocked},
		{"no name", ceremony.RegistrationTokenRequest{User: &user.Profile{ExternalID: "x"}}, user.ErrName},
		{"for a second", ceremony.RegistrationTokenRequest{User: profile(), Life: time.Second}, ceremony.ErrLife},
		{"for two days", ceremony.RegistrationTokenRequest{User: profile(), Life: 48 * time.Hour}, ceremony.ErrLife},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := w.CreateRegistrationToken(t.Context(), acme, tt.req)
			wantErr(t, "CreateRegistrationToken", err, tt.want)
		})
	}
}

// The longest that may live still has a partition to be spent in.
func TestTheLongestRegistrationToken(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	token := w.token(t, acme, ceremony.RegistrationTokenRequest{User: profile(), Life: 24 * time.Hour})
	if _, err := w.finishByToken(t, acme, w.beginByToken(t, acme, token)); err != nil {
		t.Error(err)
	}
}
