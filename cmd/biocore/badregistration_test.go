package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// later is another server on the same stores, for which so much time has passed: the
// clock that counts is Postgres's, and on its connections that tells another time.
func (w *world) later(t testing.TB, by time.Duration) *world {
	t.Helper()
	conn := w.store.Superuser(t)
	for _, sql := range []string{
		`CREATE SCHEMA later`,
		`CREATE FUNCTION later.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
			$$ SELECT pg_catalog.clock_timestamp() + interval '` + by.String() + `' $$`,
		`GRANT USAGE ON SCHEMA later TO PUBLIC`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	cfg := w.cfgForReplica()
	for _, url := range []*secret.Text{
		&cfg.DatabaseURL, &cfg.DatabaseWriterURL, &cfg.DatabaseControlURL, &cfg.DatabaseJobsURL, &cfg.DatabaseSupportURL, &cfg.DatabaseAuditURL,
	} {
		*url = secret.New(url.Reveal() + "&search_path=later,pg_catalog,public")
	}
	after := startWorld(t, w.store, cfg)
	for deadline := time.Now().Add(20 * time.Second); after.server.store.Skew() < by/2; pause(t, time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the other server does not notice what time it is")
		}
	}
	return after
}

// attests is a case whose authenticator deviates, on a page of some origin.
func attests(dev authenticatortest.Deviation, page string) func(*testing.T, *world, *customer) func() answer {
	return func(t *testing.T, w *world, c *customer) func() answer {
		begun := w.must(t, "POST", "/v1/registrations:begin", c.secret, newcomer)
		made, err := c.authenticator.CreateWith(marshal(t, begun.at("options")), page, dev)
		if err != nil {
			t.Fatal(err)
		}
		return func() answer { return w.finishRegistration(t, c, c.secret, begun, made) }
	}
}

// meanwhile is a case in which something happens between begin and finish.
func meanwhile(begin func(c *customer) map[string]any, happens func(t *testing.T, w *world, c *customer)) func(*testing.T, *world, *customer) func() answer {
	return func(t *testing.T, w *world, c *customer) func() answer {
		begun, made := w.create(t, c, begin(c), authenticatortest.Deviation{})
		happens(t, w, c)
		return func() answer { return w.finishRegistration(t, c, c.secret, begun, made) }
	}
}

// WebAuthn L3 §7.1, from the outside, and what is ours around it.
func TestBadRegistration(t *testing.T) {
	w := newWorld(t)
	afterwards := w.later(t, 11*time.Minute)
	globex := w.tenant(t, "globex")
	asNewcomer := func(*customer) map[string]any { return newcomer }
	// The authenticator would refuse to make a second credential for the same user.
	asAlice := func(c *customer) map[string]any {
		c.authenticator = software(t)
		return map[string]any{"userId": c.user}
	}
	honest := authenticatortest.Deviation{}
	w.refuse(t, nil, []bad{
		{"a registration that nobody began", sends("POST", "/v1/registrations:finish", map[string]any{"registrationId": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "credential": emptyRegistration}), 400, "CHALLENGE_UNKNOWN", nil},
		{"a sign-in's challenge", func(t *testing.T, w *world, c *customer) func() answer {
			_, made := w.create(t, c, newcomer, honest)
			begun := w.must(t, "POST", "/v1/authentications:begin", c.secret, map[string]any{})
			begun.body["registrationId"] = begun.text("authenticationId")
			return func() answer { return w.finishRegistration(t, c, c.secret, begun, made) }
		}, 400, "CHALLENGE_UNKNOWN", nil},
		{"another tenant's registration", func(t *testing.T, w *world, c *customer) func() answer {
			begun, made := w.create(t, globex, newcomer, honest)
			return func() answer { return w.finishRegistration(t, c, c.secret, begun, made) }
		}, 400, "CHALLENGE_UNKNOWN", nil},
		{"a browser ends what a server began", func(t *testing.T, w *world, c *customer) func() answer {
			begun, made := w.create(t, c, newcomer, honest)
			return func() answer { return w.finishRegistration(t, c, c.publishable, begun, made) }
		}, 400, "CHALLENGE_UNKNOWN", nil},
		{"too late", func(t *testing.T, w *world, c *customer) func() answer {
			begun, made := w.create(t, c, newcomer, honest)
			return func() answer { return afterwards.finishRegistration(t, c, c.secret, begun, made) }
		}, 400, "CHALLENGE_EXPIRED", nil},
		{"twice", func(t *testing.T, w *world, c *customer) func() answer {
			begun, made := w.create(t, c, newcomer, honest)
			if a := w.finishRegistration(t, c, c.secret, begun, made); a.status != http.StatusOK {
				t.Fatal(a)
			}
			return func() answer { return w.finishRegistration(t, c, c.secret, begun, made) }
		}, 400, "CHALLENGE_ALREADY_USED", nil},
		{"the answer to another registration", func(t *testing.T, w *world, c *customer) func() answer {
			_, made := w.create(t, c, newcomer, honest)
			begun, _ := w.create(t, c, newcomer, honest)
			return func() answer { return w.finishRegistration(t, c, c.secret, begun, made) }
		}, 400, "CHALLENGE_MISMATCH", nil},
		{"a sign-in's client data", attests(authenticatortest.Deviation{Type: "webauthn.get"}, origin), 400, "CEREMONY_TYPE_MISMATCH", nil},
		{"another origin", attests(honest, "https://login.example.com.evil.example"), 400, "ORIGIN_NOT_ALLOWED", nil},
		{"another port", attests(honest, origin+":8443"), 400, "ORIGIN_NOT_ALLOWED", nil},
		{"no scheme of ours", attests(honest, "http://login.example.com"), 400, "ORIGIN_NOT_ALLOWED", nil},
		{"a frame elsewhere", attests(authenticatortest.Deviation{CrossOrigin: true, TopOrigin: "https://evil.example"}, origin), 400, "ORIGIN_NOT_ALLOWED", nil},
		{"another RP ID", attests(authenticatortest.Deviation{RPID: "evil.example"}, origin), 400, "RP_ID_MISMATCH", nil},
		{"nobody there", attests(authenticatortest.Deviation{ClearFlags: authenticatortest.UP}, origin), 400, "USER_PRESENCE_REQUIRED", nil},
		{"nobody verified", attests(authenticatortest.Deviation{ClearFlags: authenticatortest.UV}, origin), 400, "USER_VERIFICATION_REQUIRED", nil},
		{"backed up, but never to be", attests(authenticatortest.Deviation{SetFlags: authenticatortest.BS}, origin), 400, "BACKUP_STATE_INVALID", nil},
		{"self attestation by another key", func(t *testing.T, w *world, c *customer) func() answer {
			var err error
			if c.authenticator, err = authenticatortest.New(authenticatortest.Options{Attestation: authenticatortest.PackedSelf}); err != nil {
				t.Fatal(err)
			}
			return attests(authenticatortest.Deviation{WrongKey: true}, origin)(t, w, c)
		}, 400, "ATTESTATION_INVALID", []string{"ceremonies", "evidence"}},
		{"a credential that somebody has", func(t *testing.T, w *world, c *customer) func() answer {
			begun, made := w.create(t, c, newcomer, authenticatortest.Deviation{CredentialID: decode(t, c.credential)})
			return func() answer { return w.finishRegistration(t, c, c.secret, begun, made) }
		}, 409, "CREDENTIAL_EXISTS", nil},
		{"the user is made by another registration", meanwhile(asNewcomer, func(t *testing.T, w *world, c *customer) {
			w.must(t, "POST", "/v1/users", c.secret, map[string]any{"externalId": "newcomer", "name": "newcomer"})
		}), 409, "USER_CREATED_MEANWHILE", nil},
		{"the user is blocked", meanwhile(asAlice, func(t *testing.T, w *world, c *customer) {
			w.must(t, "POST", "/v1/users/"+c.user+":block", c.secret, map[string]any{})
		}), 403, "USER_BLOCKED", nil},
		{"the user is erased", meanwhile(asAlice, func(t *testing.T, w *world, c *customer) {
			w.must(t, "DELETE", "/v1/users/"+c.user, c.secret, nil)
		}), 404, "USER_UNKNOWN", nil},
		{"the tenant is suspended", meanwhile(asAlice, func(t *testing.T, w *world, c *customer) {
			w.must(t, "POST", "/admin/v1/tenants/"+c.id+":suspend", w.platformKey, map[string]any{})
		}), 403, "TENANT_SUSPENDED", nil},
		{"the policy allows no more credentials", meanwhile(asAlice, func(t *testing.T, w *world, c *customer) {
			w.setPolicy(t, c, `{"maxCredentialsPerUser":1}`)
		}), 400, "TOO_MANY_CREDENTIALS", recordOfRefusal},
		{"no more credentials from the beginning", func(t *testing.T, w *world, c *customer) func() answer {
			w.setPolicy(t, c, `{"maxCredentialsPerUser":1}`)
			return func() answer {
				return w.call(t, "POST", "/v1/registrations:begin", c.secret, map[string]any{"userId": c.user})
			}
		}, 400, "TOO_MANY_CREDENTIALS", nil},
		{"a browser names the user", func(t *testing.T, w *world, c *customer) func() answer {
			return func() answer { return w.call(t, "POST", "/v1/registrations:begin", c.publishable, newcomer) }
		}, 403, "SERVER_KEY_REQUIRED", nil},
		{"less verification than the policy", sends("POST", "/v1/registrations:begin", map[string]any{"user": newcomer["user"], "authenticatorSelection": map[string]any{"userVerification": "discouraged"}}), 400, "POLICY_LOOSENED", nil},
		{"an attestation that is none", sends("POST", "/v1/registrations:begin", map[string]any{"user": newcomer["user"], "attestation": "sideways"}), 400, "REQUEST_INVALID", nil},
		{"nobody at all", sends("POST", "/v1/registrations:begin", map[string]any{}), 400, "SUBJECT_INVALID", nil},
		{"nobody's id", sends("POST", "/v1/registrations:begin", map[string]any{"userId": "0193a7d2-5b1e-7000-8000-000000000000"}), 404, "USER_UNKNOWN", nil},
		{"a nickname without end", func(t *testing.T, w *world, c *customer) func() answer {
			begun, made := w.create(t, c, newcomer, honest)
			body := map[string]any{"registrationId": begun.text("registrationId"), "credential": made, "nickname": strings.Repeat("x", 65)}
			return func() answer { return w.call(t, "POST", "/v1/registrations:finish", c.secret, body) }
		}, 400, "REQUEST_INVALID", nil},
	})
}

// recordOfRefusal is what a registration leaves that policy refuses: its facts, and that
// its challenge is spent.
var recordOfRefusal = []string{"ceremonies", "event_outbox", "spent_challenges"}

func software(t testing.TB) *authenticatortest.Authenticator {
	t.Helper()
	a, err := authenticatortest.New(authenticatortest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// setPolicy gives the tenant a policy.
func (w *world) setPolicy(t testing.TB, c *customer, document string) {
	t.Helper()
	w.must(t, "PUT", "/admin/v1/policy", c.secret, `{"document":`+document+`}`)
}
