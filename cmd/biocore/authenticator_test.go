package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
)

// A model turns out to be broken: how far it reaches, what is done about it, and what its
// users meet then. From end to end, by the API and the server's own jobs.
func TestBrokenModel(t *testing.T) {
	w := newWorld(t)
	c, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	model := uuid.New()
	var err error
	if c.authenticator, err = authenticatortest.New(authenticatortest.Options{Attestation: authenticatortest.PackedSelf, AAGUID: model}); err != nil {
		t.Fatal(err)
	}
	w.enroll(t, c, "alice")
	w.enroll(t, globex, "bob")
	w.signIn(t, c)
	path := "/admin/v1/authenticators/" + model.String()
	list, _ := w.must(t, "GET", "/admin/v1/authenticators", c.secret, nil).at("authenticators").([]any)
	if len(list) != 1 {
		t.Fatalf("%d models, want 1", len(list))
	}
	if r := w.must(t, "GET", path+":blastRadius", c.secret, nil); r.at("credentials") != 1.0 || r.at("users") != 1.0 || r.at("usersAlone") != 1.0 || r.at("sessions") != 1.0 || r.at("proven") != 0.0 {
		t.Errorf("the radius: %s", r)
	}
	if r := w.must(t, "GET", path+":blastRadius", globex.secret, nil); r.at("credentials") != 0.0 || r.at("users") != 0.0 {
		t.Errorf("another tenant's radius: %s", r)
	}
	if r := w.call(t, "GET", "/admin/v1/authenticators/"+uuid.Nil.String()+":blastRadius", c.secret, nil); r.status != 400 || r.reason() != "AAGUID_INVALID" {
		t.Errorf("the zero AAGUID: %s", r)
	}
	if m := w.must(t, "GET", "/admin/v1/metadata", c.secret, nil); m.at("number") != 0.0 || strings.Contains(m.raw, `"stale":true`) {
		t.Errorf("without metadata: %s", m)
	}
	for _, tt := range []struct{ order, decision, state string }{
		{"FLAG", "ALLOW", "ACTIVE"}, {"STEP_UP", "STEP_UP", "ACTIVE"}, {"SUSPEND", "", "SUSPENDED"}, {"NONE", "ALLOW", "ACTIVE"},
	} {
		order := w.must(t, "POST", path+":dispose", c.secret, map[string]any{"disposition": tt.order, "reason": "drill"})
		tick := time.NewTicker(20 * time.Millisecond)
		for deadline := time.Now().Add(20 * time.Second); order.at("finishedAt") == nil; <-tick.C {
			if order = w.must(t, "GET", "/admin/v1/dispositions/"+order.text("id"), c.secret, nil); time.Now().After(deadline) {
				t.Fatalf("%s is not carried out: %s", tt.order, order)
			}
		}
		tick.Stop()
		listed, _ := w.must(t, "GET", path+"/credentials", c.secret, nil).at("credentials").([]any)
		if len(listed) != 1 {
			t.Fatalf("%d credentials, want 1", len(listed))
		}
		if one, _ := listed[0].(map[string]any); one["state"] != tt.state || one["id"] != c.credential {
			t.Errorf("%s: %v", tt.order, one)
		}
		// A server sees it within a second.
		for deadline := time.Now().Add(20 * time.Second); ; {
			a := w.call(t, "POST", "/v1/authentications:finish", c.secret, w.assert(t, c, c.secret, map[string]any{}, authenticatortest.Deviation{}))
			if tt.decision != "" && a.text("decision") == tt.decision || tt.decision == "" && a.reason() == "CREDENTIAL_SUSPENDED" {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("%s: a sign-in is answered %s", tt.order, a)
				break
			}
		}
	}
}
