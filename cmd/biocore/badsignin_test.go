package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
)

// asserts is a case whose authenticator deviates in a discoverable sign-in.
func asserts(dev authenticatortest.Deviation) func(*testing.T, *world, *customer) func() answer {
	return func(t *testing.T, w *world, c *customer) func() answer {
		body := w.assert(t, c, c.secret, map[string]any{}, dev)
		return func() answer { return w.call(t, "POST", "/v1/authentications:finish", c.secret, body) }
	}
}

// on is a case of an honest authenticator on some page.
func on(page string) func(*testing.T, *world, *customer) func() answer {
	return func(t *testing.T, w *world, c *customer) func() answer {
		begun := w.must(t, "POST", "/v1/authentications:begin", c.secret, map[string]any{})
		signed, err := c.authenticator.Get(marshal(t, begun.at("options")), page)
		if err != nil {
			t.Fatal(err)
		}
		body := map[string]any{"authenticationId": begun.text("authenticationId"), "credential": signed}
		return func() answer { return w.call(t, "POST", "/v1/authentications:finish", c.secret, body) }
	}
}

// after is a case in which something happens between a good signature and its finish.
func after(happens func(t *testing.T, w *world, c *customer)) func(*testing.T, *world, *customer) func() answer {
	return func(t *testing.T, w *world, c *customer) func() answer {
		body := w.assert(t, c, c.secret, map[string]any{}, authenticatortest.Deviation{})
		happens(t, w, c)
		return func() answer { return w.call(t, "POST", "/v1/authentications:finish", c.secret, body) }
	}
}

// A sign-in that policy or state refuses after a good signature is one that happened:
// its ceremony, its event and its spent challenge stay. Nobody is signed in by it.
var refusedSignInLeaves = []string{"ceremonies", "event_outbox", "spent_challenges"}

// WebAuthn L3 §7.2, from the outside, and what is ours around it.
func TestBadSignIn(t *testing.T) {
	w := newWorld(t)
	afterwards := w.later(t, 11*time.Minute)
	globex := w.tenant(t, "globex")
	w.enroll(t, globex, "bob")
	honest := authenticatortest.Deviation{}
	finish := func(t *testing.T, w *world, c *customer, id string, credential any) func() answer {
		t.Helper()
		return func() answer {
			return w.call(t, "POST", "/v1/authentications:finish", c.secret, map[string]any{"authenticationId": id, "credential": credential})
		}
	}
	w.refuse(t, nil, []bad{
		{"a sign-in that nobody began", func(t *testing.T, w *world, c *customer) func() answer {
			id, _ := w.assert(t, c, c.secret, map[string]any{}, honest)["authenticationId"].(string)
			return finish(t, w, c, id[:len(id)/2]+"AAAA"+id[len(id)/2+4:], emptyAssertion)
		}, 400, "CHALLENGE_UNKNOWN", nil},
		{"a registration's challenge", func(t *testing.T, w *world, c *customer) func() answer {
			begun := w.must(t, "POST", "/v1/registrations:begin", c.secret, map[string]any{"userId": c.user})
			return finish(t, w, c, begun.text("registrationId"), w.assert(t, c, c.secret, map[string]any{}, honest)["credential"])
		}, 400, "CHALLENGE_UNKNOWN", nil},
		{"another tenant's sign-in", func(t *testing.T, w *world, c *customer) func() answer {
			theirs := w.assert(t, globex, globex.secret, map[string]any{}, honest)
			return finish(t, w, c, fmt.Sprint(theirs["authenticationId"]), theirs["credential"])
		}, 400, "CHALLENGE_UNKNOWN", nil},
		{"another tenant's credential", func(t *testing.T, w *world, c *customer) func() answer {
			c.authenticator = globex.authenticator
			return asserts(honest)(t, w, c)
		}, 404, "CREDENTIAL_UNKNOWN", nil},
		{"nobody's credential", asserts(authenticatortest.Deviation{CredentialID: []byte("nobody's credential")}), 404, "CREDENTIAL_UNKNOWN", nil},
		{"too late", func(t *testing.T, w *world, c *customer) func() answer {
			body := w.assert(t, c, c.secret, map[string]any{}, honest)
			return func() answer { return afterwards.call(t, "POST", "/v1/authentications:finish", c.secret, body) }
		}, 400, "CHALLENGE_EXPIRED", nil},
		{"twice", func(t *testing.T, w *world, c *customer) func() answer {
			body := w.assert(t, c, c.secret, map[string]any{}, honest)
			w.must(t, "POST", "/v1/authentications:finish", c.secret, body)
			return func() answer { return w.call(t, "POST", "/v1/authentications:finish", c.secret, body) }
		}, 400, "CHALLENGE_ALREADY_USED", nil},
		{"the answer to another sign-in", func(t *testing.T, w *world, c *customer) func() answer {
			one, two := w.assert(t, c, c.secret, map[string]any{}, honest), w.assert(t, c, c.secret, map[string]any{}, honest)
			return finish(t, w, c, fmt.Sprint(one["authenticationId"]), two["credential"])
		}, 400, "CHALLENGE_MISMATCH", nil},
		{"A's challenge answered by B", func(t *testing.T, w *world, c *customer) func() answer {
			begun := w.must(t, "POST", "/v1/authentications:begin", c.secret, map[string]any{"externalId": "alice"})
			b := &customer{secret: c.secret, authenticator: software(t)}
			w.enroll(t, b, "bob")
			options := map[string]any{"challenge": begun.at("options", "challenge"), "rpId": begun.at("options", "rpId")}
			signed, err := b.authenticator.Get(marshal(t, options), origin)
			if err != nil {
				t.Fatal(err)
			}
			return finish(t, w, c, begun.text("authenticationId"), signed)
		}, 400, "CREDENTIAL_NOT_ALLOWED", nil},
		{"a registration's client data", asserts(authenticatortest.Deviation{Type: "webauthn.create"}), 400, "CEREMONY_TYPE_MISMATCH", nil},
		{"another origin", on("https://evil.example"), 400, "ORIGIN_NOT_ALLOWED", nil},
		{"an origin below ours", on("https://sub.login.example.com"), 400, "ORIGIN_NOT_ALLOWED", nil},
		{"no origin", on("null"), 400, "ORIGIN_NOT_ALLOWED", nil},
		{"a frame elsewhere", asserts(authenticatortest.Deviation{CrossOrigin: true}), 400, "ORIGIN_NOT_ALLOWED", nil},
		{"another RP ID", asserts(authenticatortest.Deviation{RPID: "evil.example"}), 400, "RP_ID_MISMATCH", nil},
		{"nobody there", asserts(authenticatortest.Deviation{ClearFlags: authenticatortest.UP}), 400, "USER_PRESENCE_REQUIRED", nil},
		{"nobody verified", asserts(authenticatortest.Deviation{ClearFlags: authenticatortest.UV}), 400, "USER_VERIFICATION_REQUIRED", nil},
		{"backed up, but never to be", asserts(authenticatortest.Deviation{SetFlags: authenticatortest.BS}), 400, "BACKUP_STATE_INVALID", nil},
		{"another key", asserts(authenticatortest.Deviation{WrongKey: true}), 400, "SIGNATURE_INVALID", nil},
		{"another user's handle", asserts(authenticatortest.Deviation{UserHandle: []byte("somebody else")}), 400, "USER_HANDLE_MISMATCH", nil},
		{"no user handle", asserts(authenticatortest.Deviation{NoUserHandle: true}), 400, "USER_HANDLE_MISMATCH", nil},
		{"a credential that was revoked", after(func(t *testing.T, w *world, c *customer) {
			w.must(t, "POST", "/v1/credentials/"+c.credential+":revoke", c.secret, map[string]any{"allowLast": true})
		}), 400, "CREDENTIAL_REVOKED", refusedSignInLeaves},
		{"a credential that is suspended", after(func(t *testing.T, w *world, c *customer) {
			w.must(t, "POST", "/v1/credentials/"+c.credential+":suspend", c.secret, map[string]any{})
		}), 400, "CREDENTIAL_SUSPENDED", refusedSignInLeaves},
		{"a user who is blocked", after(func(t *testing.T, w *world, c *customer) {
			w.must(t, "POST", "/v1/users/"+c.user+":block", c.secret, map[string]any{})
		}), 403, "USER_BLOCKED", refusedSignInLeaves},
		{"a user who is erased", after(func(t *testing.T, w *world, c *customer) {
			w.must(t, "DELETE", "/v1/users/"+c.user, c.secret, nil)
		}), 404, "CREDENTIAL_UNKNOWN", nil},
		{"a tenant that is suspended", after(func(t *testing.T, w *world, c *customer) {
			w.must(t, "POST", "/admin/v1/tenants/"+c.id+":suspend", w.platformKey, map[string]any{})
		}), 403, "TENANT_SUSPENDED", nil},
		{"an origin that was taken away", after(func(t *testing.T, w *world, c *customer) {
			w.must(t, "PATCH", "/admin/v1/tenants/"+c.id, w.platformKey, map[string]any{"origins": []string{"https://other.example.com"}})
		}), 400, "ORIGIN_NOT_ALLOWED", nil},
		{"less verification than the policy", sends("POST", "/v1/authentications:begin", map[string]any{"userVerification": "discouraged"}), 400, "POLICY_LOOSENED", nil},
		{"a purpose with a space", sends("POST", "/v1/authentications:begin", map[string]any{"purpose": "a b"}), 400, "REQUEST_INVALID", nil},
		{"a made-up step-up token", sends("POST", "/v1/authentications:begin", map[string]any{"stepUpToken": "AAAA"}), 400, "STEP_UP_TOKEN_INVALID", nil},
		{"an id that is too long", sends("POST", "/v1/authentications:finish", map[string]any{"authenticationId": strings.Repeat("A", 2048), "credential": emptyAssertion}), 400, "CHALLENGE_UNKNOWN", nil},
	})
}

// What follows from a valid signature is a decision, not an error, and opens no
// session (WebAuthn L3 #sctn-sign-counter, §7.2 step 19).
func TestDeniedSignIn(t *testing.T) {
	w := newWorld(t)
	conn := w.store.Superuser(t)
	for name, tt := range map[string]struct {
		reason string
		count  int // sign-ins before
		dev    authenticatortest.Deviation
	}{
		"a counter that stands still":  {"SIGN_COUNT_ROLLBACK", 3, authenticatortest.Deviation{SignCount: authenticatortest.FrozenCount}},
		"a counter that goes back":     {"SIGN_COUNT_ROLLBACK", 3, authenticatortest.Deviation{SignCount: authenticatortest.LoweredCount}},
		"a counter that is gone":       {"SIGN_COUNT_ROLLBACK", 1, authenticatortest.Deviation{SignCount: func(uint32) uint32 { return 0 }}},
		"it can be backed up suddenly": {"BACKUP_ELIGIBILITY_CHANGED", 1, authenticatortest.Deviation{SetFlags: authenticatortest.BE}},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.tenant(t, strings.ReplaceAll(name, " ", "-"))
			w.enroll(t, c, "alice")
			for range tt.count {
				w.signIn(t, c)
			}
			leaves := append(append([]string{}, refusalsLeave...), refusedSignInLeaves...)
			before := fingerprint(t, conn, c.id, leaves...)
			body := w.assert(t, c, c.secret, map[string]any{}, tt.dev)
			a := w.must(t, "POST", "/v1/authentications:finish", c.secret, body)
			if a.text("decision") != "DENY" || a.text("decisionReason") != tt.reason || a.at("session") != nil || a.at("code") != nil {
				t.Errorf("%s, want DENY %s and no session", a, tt.reason)
			}
			if after := fingerprint(t, conn, c.id, leaves...); after != before {
				t.Errorf("a denied sign-in changed something:\n%s\n%s", before, after)
			}
			if again := w.call(t, "POST", "/v1/authentications:finish", c.secret, body); again.reason() != "CHALLENGE_ALREADY_USED" {
				t.Errorf("again: %s", again)
			}
		})
	}
}

// SECURITY 1: the same finish, 64 times at once, is one sign-in.
func TestOneOfManyFinishes(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	registration, made := w.create(t, c, newcomer, authenticatortest.Deviation{})
	for name, tt := range map[string]struct {
		path string
		body map[string]any
	}{
		"sign-in":      {"/v1/authentications:finish", w.assert(t, c, c.secret, map[string]any{"userId": c.user}, authenticatortest.Deviation{})},
		"registration": {"/v1/registrations:finish", map[string]any{"registrationId": registration.text("registrationId"), "credential": made}},
	} {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			answers := make([]answer, 24) // what a credential's limit lets through at once
			for i := range answers {
				wg.Go(func() {
					// So many at once on busy cores may find Redis too slow: they come back, as told to.
					for deadline := time.Now().Add(10 * time.Second); ; pause(t, 50*time.Millisecond) {
						answers[i] = w.call(t, "POST", tt.path, c.secret, tt.body)
						if answers[i].status != http.StatusServiceUnavailable || time.Now().After(deadline) {
							return
						}
					}
				})
			}
			wg.Wait()
			won := 0
			for _, a := range answers {
				switch {
				case a.status == http.StatusOK:
					won++
				case a.reason() != "CHALLENGE_ALREADY_USED":
					t.Errorf("a loser: %s", a)
				}
			}
			if won != 1 {
				t.Errorf("%d finishes won", won)
			}
		})
	}
	list := w.must(t, "GET", "/v1/users/"+c.user+"/sessions", c.secret, nil)
	if sessions, _ := list.at("sessions").([]any); len(sessions) != 1 {
		t.Errorf("%d sessions were opened", len(sessions))
	}
}
