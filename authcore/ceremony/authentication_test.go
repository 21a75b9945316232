package ceremony_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/assurance"
	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// §7.2 steps 24 and 25: the record is brought up to date and the user is signed in.
func TestASignInOpensASession(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	a := authenticator(t, authenticatortest.Options{BackedUp: true})
	enrolled := w.enroll(t, acme, a)
	done := w.signIn(t, acme, a)

	if done.User.ID != enrolled.User.ID || done.User.ExternalID != enrolled.User.ExternalID || done.User.LastSignInAt == nil {
		t.Errorf("user = %+v", done.User)
	}
	want := assurance.Result{AAL: 2, UserVerified: true, PhishingResistant: true, BackedUp: true, Reasons: done.Assurance.Reasons}
	if done.Assurance != want || !slices.Contains(want.Reasons.Texts(), "KEY_EXPORTABLE") || done.Code != "" || done.StepUp != nil || done.Reason != "" {
		t.Errorf("done = %+v, want assurance %+v", done, want)
	}
	if done.Session.UserID != done.User.ID || done.Session.CredentialID != done.Credential.ID || done.Tokens.Refresh == "" {
		t.Errorf("session = %+v", done.Session)
	}
	// What is answered is what is stored.
	stored, err := w.credentials.Get(t.Context(), acme, done.Credential.ID)
	if err != nil || stored.SignCount != 2 || done.Credential.SignCount != 2 || !stored.BackedUp ||
		stored.LastUsedAt == nil || !stored.LastUsedAt.Equal(*done.Credential.LastUsedAt) || stored.ETag != done.Credential.ETag {
		t.Errorf("stored %+v, %v\nanswered %+v", stored, err, done.Credential)
	}
	v, err := w.sessions.Verify(t.Context(), acme, done.Tokens.Access)
	if err != nil || !v.Active || v.Claims.Subject != done.User.ID.UUID() || v.Claims.Session != done.Session.ID.UUID() ||
		v.Claims.AAL != 2 || !v.Claims.UserVerified || v.Claims.Audience != "localhost" || v.Claims.AuthTime.Unix() != done.Session.CreatedAt.Unix() {
		t.Errorf("Verify = %+v, %v", v, err)
	}
	if _, err := w.sessions.Refresh(t.Context(), acme, done.Tokens.Refresh); err != nil {
		t.Errorf("Refresh: %v", err)
	}
	if n := w.one(t, "SELECT count(*) FROM ceremonies WHERE id = $1 AND outcome = 'ALLOW' AND user_id = $2",
		done.Session.ID.UUID(), done.User.ID.UUID()); n != 1 {
		t.Errorf("%d ceremony rows of the sign-in, want 1", n)
	}
}

func TestRequestOptions(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"authenticationTimeoutSeconds":120,"userVerification":"preferred"}`)
	begun := w.begin(t, acme)
	o := begun.Options
	if len(o.Challenge) != 32 || o.RPID != "localhost" || o.Timeout != 2*time.Minute || o.UserVerification != "preferred" || len(o.AllowCredentials) != 0 {
		t.Errorf("options = %+v", o)
	}
	if until := time.Until(begun.ExpiresAt); until < 110*time.Second || until > 121*time.Second {
		t.Errorf("expires in %v, want 120 s", until)
	}
	if again := w.begin(t, acme); bytes.Equal(again.Options.Challenge, o.Challenge) {
		t.Error("two sign-ins share a challenge")
	}
	if len(begun.ID) > 200 {
		t.Errorf("the id has %d characters", len(begun.ID))
	}
}

func TestBeginAuthenticationRefuses(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	for _, tt := range []struct {
		name string
		sc   scope.Scope
		req  ceremony.BeginAuthenticationRequest
		want error
	}{
		{"less verification", acme, ceremony.BeginAuthenticationRequest{UserVerification: "preferred"}, ceremony.ErrPolicy},
		{"unheard-of verification", acme, ceremony.BeginAuthenticationRequest{UserVerification: "maybe"}, ceremony.ErrPolicy},
		{"a purpose with a space", acme, ceremony.BeginAuthenticationRequest{Purpose: "a b"}, ceremony.ErrPurpose},
		{"a purpose too long", acme, ceremony.BeginAuthenticationRequest{Purpose: strings.Repeat("a", 65)}, ceremony.ErrPurpose},
		{"a user named twice", acme, ceremony.BeginAuthenticationRequest{UserID: "a", ExternalID: "b"}, ceremony.ErrSubject},
		{"a user and a step-up", acme, ceremony.BeginAuthenticationRequest{UserID: "a", StepUpToken: "b"}, ceremony.ErrSubject},
		{"a made-up step-up token", acme, ceremony.BeginAuthenticationRequest{StepUpToken: "AAAA"}, ceremony.ErrStepUpToken},
		{"a suspended tenant", w.tenantWith(t, dbtest.TenantOptions{Suspended: true}), ceremony.BeginAuthenticationRequest{}, tenant.ErrSuspended},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := w.BeginAuthentication(t.Context(), tt.sc, tt.req)
			wantErr(t, "BeginAuthentication", err, tt.want)
		})
	}
}

// What webauthn refuses reaches the caller as it is, and spends nothing.
func TestFinishAuthenticationRefuses(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	a := phone(t)
	enrolled := w.enroll(t, acme, a)
	for _, tt := range []struct {
		name string
		dev  authenticatortest.Deviation
		want error
	}{
		{"without user verification", authenticatortest.Deviation{ClearFlags: authenticatortest.UV}, webauthn.ErrUserVerification},
		{"without user presence", authenticatortest.Deviation{ClearFlags: authenticatortest.UP}, webauthn.ErrUserPresence},
		{"a registration's client data", authenticatortest.Deviation{Type: "webauthn.create"}, webauthn.ErrCeremonyType},
		{"another challenge", authenticatortest.Deviation{Challenge: make([]byte, 32)}, webauthn.ErrChallenge},
		{"another RP ID", authenticatortest.Deviation{RPID: "evil.example"}, webauthn.ErrRPID},
		{"a frame of another origin", authenticatortest.Deviation{CrossOrigin: true}, webauthn.ErrOrigin},
		{"another key", authenticatortest.Deviation{WrongKey: true}, webauthn.ErrSignature},
		{"backed up but not eligible", authenticatortest.Deviation{SetFlags: authenticatortest.BS}, webauthn.ErrBackupState},
		// §7.2 step 6: who it is must be said, and be true.
		{"no user handle", authenticatortest.Deviation{NoUserHandle: true}, webauthn.ErrUserHandle},
		{"another user handle", authenticatortest.Deviation{UserHandle: []byte("somebody else")}, webauthn.ErrUserHandle},
		// §7.2 step 7: the key is looked up by the credential ID.
		{"an unknown credential", authenticatortest.Deviation{CredentialID: []byte("nobody's credential")}, credential.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			begun := w.begin(t, acme)
			_, err := w.finish(t, acme, begun, get(t, a, begun, tt.dev))
			wantErr(t, "FinishAuthentication", err, tt.want)
			if done, err := w.finish(t, acme, begun, get(t, a, begun, authenticatortest.Deviation{})); err != nil || done.Decision != ceremony.Allow {
				t.Errorf("the honest answer afterwards: %+v, %v", done, err)
			}
		})
	}
	t.Run("hostile origins", func(t *testing.T) { // SECURITY 4
		for _, page := range []string{
			"https://localhost:8080", "http://localhost", "http://localhost:8081", "http://LOCALHOST:8080", "http://localhost:8080/",
			"http://localhost:8080.evil.example", "http://evil.example", "null", "file://", "http://127.0.0.1:8080",
		} {
			begun := w.begin(t, acme)
			_, err := w.finish(t, acme, begun, getOn(t, a, begun, page, authenticatortest.Deviation{RPID: "localhost"}))
			wantErr(t, page, err, webauthn.ErrOrigin)
		}
	})
	begun := w.begin(t, acme)
	resp := get(t, a, begun, authenticatortest.Deviation{})
	t.Run("hostile ids", func(t *testing.T) {
		changed := []byte(begun.ID)
		changed[len(changed)/2] ^= 1
		for name, id := range map[string]string{
			"empty": "", "changed": string(changed), "cut": begun.ID[:len(begun.ID)-4], "longer": begun.ID + "AAAA", "no base64url": "!" + begun.ID[1:],
			"huge": strings.Repeat("A", 2048), "another tenant's": w.begin(t, globex).ID, "a line break": begun.ID + "\n ",
		} {
			_, err := w.FinishAuthentication(t.Context(), acme, ceremony.FinishAuthenticationRequest{ID: id, Response: resp})
			wantErr(t, name, err, ceremony.ErrChallengeUnknown)
		}
	})
	t.Run("another tenant", func(t *testing.T) { // SECURITY 3
		w.enroll(t, globex, phone(t))
		theirs := w.begin(t, globex)
		_, err := w.finish(t, globex, theirs, get(t, a, theirs, authenticatortest.Deviation{}))
		wantErr(t, "A's credential in B", err, credential.ErrNotFound)
		_, err = w.finish(t, globex, begun, resp)
		wantErr(t, "A's sign-in in B", err, ceremony.ErrChallengeUnknown)
	})
	t.Run("id and raw id differ", func(t *testing.T) {
		// The cache is asked by the one, Postgres by the other: the first must not be
		// filled by the second.
		attacker := phone(t)
		w.enroll(t, acme, attacker)
		fresh := w.replica(t)
		begun := fresh.begin(t, acme)
		mixed := get(t, attacker, begun, authenticatortest.Deviation{})
		mixed.ID = enrolled.Credential.ID.String()
		_, err := fresh.finish(t, acme, begun, mixed)
		wantErr(t, "FinishAuthentication", err, webauthn.ErrMalformed)
		if done := fresh.signIn(t, acme, a); done.User.ID != enrolled.User.ID {
			t.Errorf("signed in as %v, want %v", done.User.ID, enrolled.User.ID)
		}
		_, err = fresh.finish(t, acme, begun, mixed)
		wantErr(t, "with both cached", err, webauthn.ErrMalformed)
	})
}

// SECURITY 12: what policy asks for by now counts too.
func TestAPolicyTightenedMeanwhile(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"userVerification":"discouraged"}`)
	a := phone(t)
	w.enroll(t, acme, a)
	done, err := w.try(t, acme, a, authenticatortest.Deviation{ClearFlags: authenticatortest.UV})
	if err != nil || done.Decision != ceremony.Allow || done.Assurance.AAL != 1 || done.Assurance.UserVerified || done.Session.AAL != 1 {
		t.Fatalf("without verification = %+v, %v, want AAL 1", done, err)
	}
	asked := w.beginWith(t, acme, ceremony.BeginAuthenticationRequest{UserVerification: "required"})
	_, err = w.finish(t, acme, asked, get(t, a, asked, authenticatortest.Deviation{ClearFlags: authenticatortest.UV}))
	wantErr(t, "asked for at begin", err, webauthn.ErrUserVerification)

	begun := w.begin(t, acme)
	if _, err := w.db.Superuser(t).Exec(t.Context(), `UPDATE policies SET document = '{"userVerification":"required"}' WHERE tenant_id = $1`, acme.Tenant()); err != nil {
		t.Fatal(err)
	}
	fresh := w.replica(t)
	_, err = fresh.finish(t, acme, begun, get(t, a, begun, authenticatortest.Deviation{ClearFlags: authenticatortest.UV}))
	wantErr(t, "policy tightened after begin", err, webauthn.ErrUserVerification)
}

// SECURITY 1: the same finish twice, and 64 at once on two servers: one session.
func TestASignInFinishesOnce(t *testing.T) {
	w := newWorld(t)
	second := w.replica(t)
	acme := w.tenant(t)
	a := authenticator(t, authenticatortest.Options{NoCounter: true}) // the counter alone must not be what refuses
	w.enroll(t, acme, a)
	for range 10 {
		begun := w.begin(t, acme)
		resp := get(t, a, begun, authenticatortest.Deviation{})
		errs := make([]error, 64)
		var race sync.WaitGroup
		for i := range errs {
			race.Go(func() {
				_, errs[i] = []*server{w.server, second}[i%2].finish(t, acme, begun, resp)
			})
		}
		race.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			wantErr(t, "a loser", err, ceremony.ErrChallengeSpent)
		}
		if won != 1 {
			t.Errorf("%d of 64 finishes succeeded, want 1", won)
		}
	}
	if n := w.one(t, "SELECT count(*) FROM sessions WHERE tenant_id = $1", acme.Tenant()); n != 10 {
		t.Errorf("%d sessions, want 10", n)
	}
}

// SECURITY 36: a server whose clock is off judges by Postgres's.
func TestClockSkew(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	a := phone(t)
	w.enroll(t, acme, a)
	begun := w.begin(t, acme)
	late := get(t, a, begun, authenticatortest.Deviation{})
	_, err := w.at(t, 5*time.Minute+time.Second).finish(t, acme, begun, late)
	wantErr(t, "too late", err, ceremony.ErrChallengeExpired)

	for _, off := range []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			skewed := w.skewed(t, off)
			begun := w.begin(t, acme) // by a server with the right time
			done, err := skewed.finish(t, acme, begun, get(t, a, begun, authenticatortest.Deviation{}))
			if err != nil || done.Decision != ceremony.Allow {
				t.Fatalf("finish = %+v, %v", done, err)
			}
			if age := time.Since(done.Session.CreatedAt).Abs(); age > time.Minute {
				t.Errorf("the session was created %v from now", age)
			}
			if v, err := w.sessions.Verify(t.Context(), acme, done.Tokens.Access); err != nil || !v.Active {
				t.Errorf("its token at another server: %+v, %v", v, err)
			}
			back := skewed.begin(t, acme)
			if done, err := w.finish(t, acme, back, get(t, a, back, authenticatortest.Deviation{})); err != nil || done.Decision != ceremony.Allow {
				t.Errorf("begun there, finished here: %+v, %v", done, err)
			}
		})
	}
}

// A sign-in for somebody: §7.2 steps 5 and 6.
func TestSignInByName(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	a, b := phone(t), phone(t)
	p := profile()
	ada := w.enrollAs(t, acme, a, p)
	laptop := w.enrollAs(t, acme, b, p)
	stranger := phone(t)
	other := w.enroll(t, acme, stranger)

	for name, req := range map[string]ceremony.BeginAuthenticationRequest{
		"by external id": {ExternalID: p.ExternalID}, "by id": {UserID: ada.User.ID.String()},
	} {
		t.Run(name, func(t *testing.T) {
			begun := w.beginWith(t, acme, req)
			var ids [][]byte
			for _, d := range begun.Options.AllowCredentials {
				ids = append(ids, d.ID)
				if !slices.Equal(d.Transports, []string{"internal"}) {
					t.Errorf("transports = %v", d.Transports)
				}
			}
			want := [][]byte{laptop.Credential.ID.Bytes(), ada.Credential.ID.Bytes()} // the newest first
			if !slices.EqualFunc(ids, want, bytes.Equal) {
				t.Errorf("allowed %x, want %x", ids, want)
			}
			// The user is known: no user handle is needed.
			done, err := w.finish(t, acme, begun, get(t, a, begun, authenticatortest.Deviation{NoUserHandle: true}))
			if err != nil || done.User.ID != ada.User.ID {
				t.Errorf("finish = %+v, %v", done, err)
			}
			begun = w.beginWith(t, acme, req)
			_, err = w.finish(t, acme, begun, get(t, a, begun, authenticatortest.Deviation{UserHandle: other.User.Handle}))
			wantErr(t, "another user's handle", err, webauthn.ErrUserHandle)

			begun.Options.AllowCredentials = nil // a client that does not care
			_, err = w.finish(t, acme, begun, get(t, stranger, begun, authenticatortest.Deviation{}))
			wantErr(t, "another user's credential", err, webauthn.ErrCredentialNotAllowed)
			_, err = w.finish(t, acme, begun, get(t, stranger, begun, authenticatortest.Deviation{CredentialID: []byte("nobody's")}))
			wantErr(t, "nobody's credential", err, webauthn.ErrCredentialNotAllowed)
		})
	}
	t.Run("a credential that came later", func(t *testing.T) {
		begun := w.beginWith(t, acme, ceremony.BeginAuthenticationRequest{ExternalID: p.ExternalID})
		late := phone(t)
		w.enrollAs(t, acme, late, p)
		begun.Options.AllowCredentials = nil
		_, err := w.finish(t, acme, begun, get(t, late, begun, authenticatortest.Deviation{}))
		wantErr(t, "FinishAuthentication", err, webauthn.ErrCredentialNotAllowed)
	})
}

// SECURITY 10 (states only after a valid signature) and 47 (a stale cache admits
// nothing): the cache of the server under test knows the credential as active.
func TestStatesAreToldAfterAValidSignature(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name string
		do   func(*testing.T, *server, scope.Scope, ceremony.Registered)
		want error
	}{
		{"revoked", func(t *testing.T, s *server, sc scope.Scope, r ceremony.Registered) {
			if _, err := s.credentials.Revoke(t.Context(), sc, credential.RevokeRequest{ID: r.Credential.ID, AllowLast: true}); err != nil {
				t.Fatal(err)
			}
		}, credential.ErrRevoked},
		{"suspended", func(t *testing.T, s *server, sc scope.Scope, r ceremony.Registered) {
			if _, err := s.credentials.Suspend(t.Context(), sc, credential.StateRequest{ID: r.Credential.ID}); err != nil {
				t.Fatal(err)
			}
		}, ceremony.ErrCredentialSuspended},
		{"blocked", func(t *testing.T, s *server, sc scope.Scope, r ceremony.Registered) {
			if _, err := s.users.Block(t.Context(), sc, user.BlockRequest{ID: r.User.ID}); err != nil {
				t.Fatal(err)
			}
		}, user.ErrBlocked},
		{"erased", func(t *testing.T, s *server, sc scope.Scope, r ceremony.Registered) {
			if _, err := s.users.Delete(t.Context(), sc, user.DeleteRequest{ID: r.User.ID}); err != nil {
				t.Fatal(err)
			}
		}, credential.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			acme := w.tenant(t)
			a := phone(t)
			r := w.enroll(t, acme, a)
			begun := w.begin(t, acme)
			w.signIn(t, acme, a) // it is cached now
			tt.do(t, w.at(t, 0), acme, r)

			if tt.name != "erased" {
				_, err := w.finish(t, acme, begun, get(t, a, begun, authenticatortest.Deviation{WrongKey: true}))
				wantErr(t, "a wrong signature", err, webauthn.ErrSignature)
			}
			_, err := w.finish(t, acme, begun, get(t, a, begun, authenticatortest.Deviation{}))
			wantErr(t, "a valid signature", err, tt.want)
			if n := w.one(t, "SELECT count(*) FROM sessions WHERE tenant_id = $1 AND revoked_at IS NULL AND created_at > now() - interval '1 hour'", acme.Tenant()); n > 1 {
				t.Errorf("%d open sessions", n)
			}
		})
	}
}

// Refusals after a valid signature leave a ceremony row and one audit entry each.
func TestARefusalIsRecordedOnce(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	a := phone(t)
	r := w.enroll(t, acme, a)
	if _, err := w.credentials.Suspend(t.Context(), acme, credential.StateRequest{ID: r.Credential.ID}); err != nil {
		t.Fatal(err)
	}
	begun := w.begin(t, acme)
	resp := get(t, a, begun, authenticatortest.Deviation{})
	_, err := w.finish(t, acme, begun, resp)
	wantErr(t, "finish", err, ceremony.ErrCredentialSuspended)
	_, err = w.finish(t, acme, begun, resp)
	wantErr(t, "finish again: the challenge went with the decision", err, ceremony.ErrChallengeSpent)
	if n := w.one(t, `SELECT count(*) FROM ceremonies WHERE tenant_id = $1 AND kind = 'AUTHENTICATION' AND outcome = 'FAILED'
  AND reason = 'CREDENTIAL_SUSPENDED' AND credential_id = $2`, acme.Tenant(), r.Credential.ID.Bytes()); n != 1 {
		t.Errorf("%d ceremony rows, want 1", n)
	}
	for reason, want := range map[string]int{"CREDENTIAL_SUSPENDED": 1, "CHALLENGE_ALREADY_USED": 1} {
		if n := w.one(t, "SELECT count(*) FROM audit_inbox WHERE tenant_id = $1 AND entry::json->>'reason' = $2", acme.Tenant(), reason); n != want {
			t.Errorf("%d audit entries of %s, want %d", n, reason, want)
		}
	}
}

func TestThePurposeIsKept(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	a := phone(t)
	w.enroll(t, acme, a)
	begun := w.beginWith(t, acme, ceremony.BeginAuthenticationRequest{Purpose: "payment.confirm"})
	done, err := w.finish(t, acme, begun, get(t, a, begun, authenticatortest.Deviation{}))
	if err != nil {
		t.Fatal(err)
	}
	if n := w.one(t, "SELECT count(*) FROM ceremonies WHERE id = $1 AND facts::json->>'purpose' = 'payment.confirm'", done.Session.ID.UUID()); n != 1 {
		t.Error("the facts do not hold the purpose")
	}
}

func TestAddressAndAgentOfTheSession(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	a := phone(t)
	w.enroll(t, acme, a)
	done := w.signIn(t, acme.WithOrigin(scope.Origin{Address: netip.MustParseAddr("192.0.2.7"), UserAgent: "Browser/1"}), a)
	page, err := w.sessions.ListOfUser(t.Context(), acme, done.User.ID, listing.Request{})
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("ListOfUser = %+v, %v", page, err)
	}
	stored := page.Items[0]
	if stored != *done.Session {
		t.Errorf("answered %+v\nstored   %+v", *done.Session, stored)
	}
	if stored.Address.String() != "192.0.2.7" || stored.UserAgent != "Browser/1" {
		t.Errorf("address %v, agent %q", stored.Address, stored.UserAgent)
	}
}
