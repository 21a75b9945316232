package ceremony_test

import (
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// §7.2 step 22, SECURITY 11: a count that did not grow is the policy's to judge.
func TestSignCountRollback(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name, policy string
		count        func(uint32) uint32
		want         ceremony.Decision
	}{
		{"repeated, denied by default", `{}`, authenticatortest.FrozenCount, ceremony.Deny},
		{"lower, denied", `{"signCountRollback":"DENY"}`, authenticatortest.LoweredCount, ceremony.Deny},
		{"zero after others, denied", `{"signCountRollback":"DENY"}`, func(uint32) uint32 { return 0 }, ceremony.Deny},
		{"lower, stepped up", `{"signCountRollback":"STEP_UP"}`, authenticatortest.LoweredCount, ceremony.StepUp},
		{"lower, flagged", `{"signCountRollback":"FLAG"}`, authenticatortest.LoweredCount, ceremony.Allow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			acme := w.policed(t, tt.policy)
			a := phone(t)
			w.enroll(t, acme, a)
			for range 3 {
				w.signIn(t, acme, a)
			}
			done, err := w.try(t, acme, a, authenticatortest.Deviation{SignCount: tt.count})
			if err != nil || done.Decision != tt.want {
				t.Fatalf("finish = %+v, %v, want %s", done, err, tt.want)
			}
			wantReason := ceremony.ReasonSignCountRollback
			if tt.want == ceremony.Allow {
				wantReason = ""
			}
			if done.Reason != wantReason || (done.Session != nil) != (tt.want == ceremony.Allow) || (done.Tokens != nil) != (tt.want == ceremony.Allow) ||
				done.Code != "" || (done.StepUp != nil) != (tt.want == ceremony.StepUp) || !done.Assurance.UserVerified {
				t.Errorf("done = %+v", done)
			}
			if n := w.one(t, "SELECT count(*) FROM event_outbox WHERE tenant_id = $1 AND type = 'credential.sign_count_rolled_back'", acme.Tenant()); n != 1 {
				t.Errorf("%d events of the rollback, want 1", n)
			}
			if tt.want != ceremony.Allow {
				if n := w.one(t, "SELECT count(*) FROM ceremonies WHERE tenant_id = $1 AND outcome = $2 AND reason = 'SIGN_COUNT_ROLLBACK'", acme.Tenant(), tt.want); n != 1 {
					t.Errorf("%d ceremony rows, want 1", n)
				}
			} else if done.Credential.SignCount != 4 {
				t.Errorf("answered count = %d, want the higher one to stay: 4", done.Credential.SignCount)
			}
			// The stored count stands: the authenticator that counts on is let in.
			if done, err := w.try(t, acme, a, authenticatortest.Deviation{SignCount: func(uint32) uint32 { return 100 }}); err != nil || done.Decision != ceremony.Allow {
				t.Errorf("counting on: %+v, %v", done, err)
			}
		})
	}
}

func TestNoCounterIsNoRollback(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	a := authenticator(t, authenticatortest.Options{NoCounter: true})
	w.enroll(t, acme, a)
	for range 3 {
		w.signIn(t, acme, a)
	}
}

// A step-up is a sign-in with user verification, by the same person, in time.
func TestStepUp(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"signCountRollback":"STEP_UP","userVerification":"preferred"}`)
	a := phone(t)
	mine := w.enroll(t, acme, a)
	stranger := phone(t)
	w.enroll(t, acme, stranger)
	demand := func() *ceremony.StepUpDemand {
		t.Helper()
		w.signIn(t, acme, a)
		begun := w.beginWith(t, acme, ceremony.BeginAuthenticationRequest{Purpose: "checkout"})
		done, err := w.finish(t, acme, begun, get(t, a, begun, authenticatortest.Deviation{
			SignCount: authenticatortest.LoweredCount, ClearFlags: authenticatortest.UV,
		}))
		if err != nil || done.StepUp == nil {
			t.Fatalf("finish = %+v, %v, want a step-up", done, err)
		}
		return done.StepUp
	}
	d := demand()
	if until := time.Until(d.ExpiresAt); until < 4*time.Minute || until > 6*time.Minute {
		t.Errorf("the demand expires in %v", until)
	}
	begun := w.beginWith(t, acme, ceremony.BeginAuthenticationRequest{StepUpToken: d.Token})
	if begun.Options.UserVerification != "required" || len(begun.Options.AllowCredentials) != 1 ||
		string(begun.Options.AllowCredentials[0].ID) != string(mine.Credential.ID) {
		t.Errorf("options = %+v", begun.Options)
	}
	_, err := w.finish(t, acme, begun, get(t, a, begun, authenticatortest.Deviation{SignCount: authenticatortest.FrozenCount, ClearFlags: authenticatortest.UV}))
	wantErr(t, "without verification", err, webauthn.ErrUserVerification)
	hers := begun
	hers.Options.AllowCredentials = nil
	_, err = w.finish(t, acme, hers, get(t, stranger, hers, authenticatortest.Deviation{}))
	wantErr(t, "by somebody else", err, webauthn.ErrCredentialNotAllowed)

	// The same authenticator, whose count is still behind, is let in once it verified.
	done, err := w.finish(t, acme, begun, get(t, a, begun, authenticatortest.Deviation{SignCount: authenticatortest.FrozenCount}))
	if err != nil || done.Decision != ceremony.Allow || done.Session == nil {
		t.Fatalf("stepped up = %+v, %v", done, err)
	}
	if n := w.one(t, "SELECT count(*) FROM ceremonies WHERE id = $1 AND facts::json->>'purpose' = 'checkout' AND facts::json->>'steppedUp' = 'true'", done.Session.ID.UUID()); n != 1 {
		t.Error("the facts do not tell that it continues the checkout")
	}

	t.Run("refused", func(t *testing.T) {
		by := func(s *server, sc scope.Scope, token string) error {
			_, err := s.BeginAuthentication(t.Context(), sc, ceremony.BeginAuthenticationRequest{StepUpToken: token})
			return err
		}
		wantErr(t, "another tenant's", by(w.server, w.tenant(t), d.Token), ceremony.ErrStepUpToken)
		wantErr(t, "late", by(w.at(t, 6*time.Minute), acme, d.Token), ceremony.ErrStepUpToken)
		wantErr(t, "a sign-in's id", by(w.server, acme, begun.ID), ceremony.ErrStepUpToken)
	})
}

// §7.2 step 19, SECURITY 15: BE does not change in the life of a credential.
func TestBackupEligibilityChanged(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	a := phone(t)
	w.enroll(t, acme, a)
	done, err := w.try(t, acme, a, authenticatortest.Deviation{SetFlags: authenticatortest.BE})
	if err != nil || done.Decision != ceremony.Deny || done.Reason != ceremony.ReasonBackupEligibleChanged || done.Session != nil {
		t.Errorf("finish = %+v, %v, want %s", done, err, ceremony.Deny)
	}
	w.signIn(t, acme, a)
}

// §7.2 step 24: BS follows the authenticator.
func TestBackupStateIsUpdated(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	a := authenticator(t, authenticatortest.Options{BackupEligible: true})
	r := w.enroll(t, acme, a)
	if r.Credential.BackedUp {
		t.Fatal("backed up from the start")
	}
	done, err := w.try(t, acme, a, authenticatortest.Deviation{SetFlags: authenticatortest.BS})
	if err != nil || !done.Assurance.BackedUp || !done.Credential.BackedUp {
		t.Errorf("finish = %+v, %v", done, err)
	}
	if got, err := w.credentials.Get(t.Context(), acme, r.Credential.ID); err != nil || !got.BackedUp {
		t.Errorf("stored = %+v, %v", got, err)
	}
}
