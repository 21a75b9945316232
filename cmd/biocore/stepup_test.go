package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
)

// rollBack signs in with a counter that stands still, which the tenant's policy answers
// with a demand for more.
func (w *world) rollBack(t testing.TB, c *customer) answer {
	t.Helper()
	w.signIn(t, c)
	w.signIn(t, c) // the second is stored as 3: one lower is behind for certain
	body := w.assert(t, c, c.secret, map[string]any{}, authenticatortest.Deviation{SignCount: authenticatortest.LoweredCount})
	a := w.must(t, "POST", "/v1/authentications:finish", c.secret, body)
	if a.text("decision") != "STEP_UP" || a.text("decisionReason") != "SIGN_COUNT_ROLLBACK" || a.at("session") != nil || a.at("code") != nil ||
		a.text("stepUp", "kind") != "USER_VERIFICATION" || a.text("stepUp", "token") == "" {
		t.Fatalf("%s, want STEP_UP and no session", a)
	}
	return a
}

// continues begins the sign-in that was demanded, and has it answered in some deviation.
func (w *world) continues(t testing.TB, c *customer, token string, by *authenticatortest.Authenticator, dev authenticatortest.Deviation) map[string]any {
	t.Helper()
	begun := w.must(t, "POST", "/v1/authentications:begin", c.secret, map[string]any{"stepUpToken": token})
	if begun.text("options", "userVerification") != "required" {
		t.Errorf("the continuation asks for %q", begun.text("options", "userVerification"))
	}
	options := map[string]any{"challenge": begun.at("options", "challenge"), "rpId": begun.at("options", "rpId")}
	signed, err := by.GetWith(marshal(t, options), origin, dev)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"authenticationId": begun.text("authenticationId"), "credential": json.RawMessage(marshal(t, signed))}
}

// A counter that rolled back may be forgiven to whoever verifies themselves once more.
func TestStepUp(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	w.setPolicy(t, c, `{"signCountRollback":"STEP_UP","userVerification":"preferred"}`)
	token := w.rollBack(t, c).text("stepUp", "token")
	a := w.must(t, "POST", "/v1/authentications:finish", c.secret,
		w.continues(t, c, token, c.authenticator, authenticatortest.Deviation{SignCount: authenticatortest.LoweredCount}))
	if a.text("decision") != "ALLOW" || a.text("session", "accessToken") == "" || a.text("assurance", "aal") != "AAL2" {
		t.Errorf("after the step-up: %s", a)
	}
}

func TestBadStepUp(t *testing.T) {
	w := newWorld(t)
	afterwards := w.later(t, 11*time.Minute)
	const lenient = `{"signCountRollback":"STEP_UP","userVerification":"preferred"}`
	globex := w.tenant(t, "globex")
	w.enroll(t, globex, "bob")
	w.setPolicy(t, globex, lenient)
	foreign := w.rollBack(t, globex).text("stepUp", "token")
	begins := func(t *testing.T, w *world, c *customer, token string) func() answer {
		t.Helper()
		return func() answer {
			return w.call(t, "POST", "/v1/authentications:begin", c.secret, map[string]any{"stepUpToken": token})
		}
	}
	demanded := func(t *testing.T, c *customer) string {
		t.Helper()
		w.setPolicy(t, c, lenient)
		return w.rollBack(t, c).text("stepUp", "token")
	}
	w.refuse(t, nil, []bad{
		{"too late", func(t *testing.T, w *world, c *customer) func() answer {
			return begins(t, afterwards, c, demanded(t, c))
		}, 400, "STEP_UP_TOKEN_INVALID", nil},
		{"another tenant's", func(t *testing.T, w *world, c *customer) func() answer {
			return begins(t, w, c, foreign)
		}, 400, "STEP_UP_TOKEN_INVALID", nil},
		{"without verification", func(t *testing.T, w *world, c *customer) func() answer {
			body := w.continues(t, c, demanded(t, c), c.authenticator, authenticatortest.Deviation{ClearFlags: authenticatortest.UV})
			return func() answer { return w.call(t, "POST", "/v1/authentications:finish", c.secret, body) }
		}, 400, "USER_VERIFICATION_REQUIRED", nil},
		{"by somebody else", func(t *testing.T, w *world, c *customer) func() answer {
			other := &customer{secret: c.secret, authenticator: software(t)}
			w.enroll(t, other, "bob")
			body := w.continues(t, c, demanded(t, c), other.authenticator, authenticatortest.Deviation{})
			return func() answer { return w.call(t, "POST", "/v1/authentications:finish", c.secret, body) }
		}, 400, "CREDENTIAL_NOT_ALLOWED", nil},
		{"for a user who is named as well", func(t *testing.T, w *world, c *customer) func() answer {
			token := demanded(t, c)
			return func() answer {
				return w.call(t, "POST", "/v1/authentications:begin", c.secret, map[string]any{"stepUpToken": token, "userId": c.user})
			}
		}, 400, "SUBJECT_INVALID", nil},
	})
}
