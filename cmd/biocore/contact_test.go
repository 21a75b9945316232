package main

import (
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/db/dbtest"
)

// Ceremonies neither read nor answer how to reach a person: they go on where bc_app may
// not look at contacts at all. A statement of a sign-in that touches them turns it red.
func TestSignInKnowsNoContacts(t *testing.T) {
	store := dbtest.Fresh(t)
	w := startWorld(t, store, testConfig(t, store, dbtest.Redis(t)))
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	const address, number = "alice.private@example.com", "+4915112345678"
	if a := w.must(t, "PATCH", "/v1/users/"+c.user, c.secret, map[string]any{"email": address, "phone": number}); a.text("email") != address {
		t.Fatalf("update: %s", a)
	}
	for _, path := range []string{"/v1/users/" + c.user, "/v1/users:lookup?externalId=alice", "/v1/users"} {
		if a := w.must(t, "GET", path, c.secret, nil); !strings.Contains(a.raw, address) || !strings.Contains(a.raw, number) {
			t.Errorf("GET %s does not tell the contacts: %s", path, a)
		}
	}
	if a := w.must(t, "GET", "/v1/users:contactSummary", c.secret, nil); !strings.Contains(a.raw, `{"domain":"example.com","users":1}`) ||
		!strings.Contains(a.raw, `{"callingCode":"+49","users":1}`) || strings.Contains(a.raw, "alice") {
		t.Errorf("summary: %s", a)
	}

	if _, err := store.Superuser(t).Exec(t.Context(), "REVOKE ALL ON contacts FROM bc_app"); err != nil {
		t.Fatal(err)
	}
	silent := func(what string, a answer) {
		t.Helper()
		if strings.Contains(a.raw, address) || strings.Contains(a.raw, number) {
			t.Errorf("%s tells how to reach a person: %s", what, a)
		}
	}
	silent("a sign-in", w.signIn(t, c))
	silent("a sign-in by name", w.must(t, "POST", "/v1/authentications:finish", c.secret,
		w.assert(t, c, c.secret, map[string]any{"externalId": "alice"}, authenticatortest.Deviation{})))
	silent("an exchange", w.must(t, "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": w.signInForCode(t, c).text("code")}))
	silent("a refresh", w.must(t, "POST", "/v1/sessions:refresh", c.secret, map[string]any{"refreshToken": c.refresh}))
	silent("a registration", w.must(t, "POST", "/v1/registrations:begin", c.secret, map[string]any{"userId": c.user}))
	silent("a newcomer", w.enroll(t, c, "bob"))
	if a := w.call(t, "GET", "/v1/users/"+c.user, c.secret, nil); a.status != 500 {
		t.Errorf("the rights are not taken away, and this proves nothing: %s", a)
	}
}
