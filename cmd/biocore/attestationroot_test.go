package main

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/db/dbtest"
)

// fleet is an authenticator of a model, with an attestation under a root of its own.
func fleet(t testing.TB, model uuid.UUID) *authenticatortest.Authenticator {
	t.Helper()
	a, err := authenticatortest.New(authenticatortest.Options{Attestation: authenticatortest.PackedX5C, AAGUID: model})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func rootPEM(a *authenticatortest.Authenticator) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Root()}))
}

// attestationRoot has the tenant trust a root of nobody's authenticators.
func (w *world) attestationRoot(t testing.TB, c *customer, name string) string {
	t.Helper()
	return w.must(t, "POST", "/admin/v1/attestationRoots", c.secret, map[string]any{"name": name, "certificate": rootPEM(fleet(t, uuid.New()))}).text("id")
}

// register tries to enroll an authenticator for a new user of the tenant.
func (w *world) register(t testing.TB, c *customer, a *authenticatortest.Authenticator) answer {
	t.Helper()
	name := uuid.NewString()
	begun := w.must(t, "POST", "/v1/registrations:begin", c.secret, map[string]any{"user": map[string]any{"externalId": name, "name": name}})
	response, err := a.Create(marshal(t, begun.at("options")), origin)
	if err != nil {
		t.Fatal(err)
	}
	return w.call(t, "POST", "/v1/registrations:finish", c.secret, map[string]any{
		"registrationId": begun.text("registrationId"), "credential": json.RawMessage(marshal(t, response)),
	})
}

// Enterprise attestation from end to end: a company's security keys are refused until it
// uploads the root of their vendor, by whom no other tenant's are believed; when it takes
// the root back they are refused again, on the other server within a second, and what was
// accepted can still be proven, offline.
//
// Roots that Judge is not given turn it red, as does an unbound cache.
func TestEnterpriseAttestation(t *testing.T) {
	w := newWorld(t)
	other := startWorld(t, w.store, w.cfgForReplica())
	c, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	const verified = `{"attestationConveyance":"enterprise","requiredTrust":"VERIFIED"}`
	w.setPolicy(t, c, verified)
	w.setPolicy(t, globex, verified)
	model := uuid.New()
	key := fleet(t, model)
	untrusted := func(what string, w *world, c *customer) {
		t.Helper()
		if a := w.register(t, c, key); a.status != http.StatusBadRequest || a.reason() != "ATTESTATION_UNTRUSTED" {
			t.Errorf("%s: %s, want ATTESTATION_UNTRUSTED", what, a)
		}
	}
	within := func(what string, done func() bool) {
		t.Helper()
		dbtest.Seen(t, what, func() string {
			if !done() {
				return "the other server does not know"
			}
			return ""
		})
	}
	untrusted("without roots", w, c)
	untrusted("without roots, on the other server", other, c) // which remembers that there are none

	// A root that is there for another model vouches for none of these.
	bound := w.must(t, "POST", "/admin/v1/attestationRoots", c.secret, map[string]any{
		"name": "Other fleet", "certificate": rootPEM(key), "aaguids": []string{uuid.NewString()},
	})
	untrusted("by a root for another model", w, c)
	w.must(t, "DELETE", "/admin/v1/attestationRoots/"+bound.text("id"), c.secret, nil)

	root := w.must(t, "POST", "/admin/v1/attestationRoots", c.secret, map[string]any{
		"name": "Fleet", "certificate": rootPEM(key), "aaguids": []string{uuid.NewString(), model.String()},
	})
	done := w.register(t, c, key)
	if done.status != http.StatusOK || done.text("credential", "trust") != "TENANT_ROOT" {
		t.Fatalf("by the tenant's root: %s, want the trust TENANT_ROOT", done)
	}
	within("a root added", func() bool { return other.register(t, c, key).status == http.StatusOK })
	untrusted("another tenant", w, globex)

	got := w.must(t, "GET", "/admin/v1/attestationRoots/"+root.text("id"), c.secret, nil)
	if got.raw != root.raw || got.text("certificate") != rootPEM(key) || got.text("name") != "Fleet" || got.text("createdBy") == "" {
		t.Errorf("the root is read as %s, and was made as %s", got, root)
	}
	if list, _ := w.must(t, "GET", "/admin/v1/attestationRoots", c.secret, nil).at("attestationRoots").([]any); len(list) != 1 {
		t.Errorf("%d roots, want 1", len(list))
	}
	if a := w.call(t, "POST", "/admin/v1/attestationRoots", c.secret, map[string]any{"name": "Again", "certificate": rootPEM(key)}); a.status != http.StatusConflict || a.reason() != "ATTESTATION_ROOT_EXISTS" {
		t.Errorf("the same again: %s", a)
	}
	w.must(t, "POST", "/admin/v1/attestationRoots", globex.secret, map[string]any{"name": "Theirs", "certificate": rootPEM(fleet(t, model))})
	untrusted("another tenant, with another vendor's root for the model", w, globex)

	w.must(t, "DELETE", "/admin/v1/attestationRoots/"+root.text("id"), c.secret, nil)
	untrusted("by a root that was removed", w, c)
	within("a root removed", func() bool { return other.register(t, c, key).reason() == "ATTESTATION_UNTRUSTED" })
	if a := w.call(t, "DELETE", "/admin/v1/attestationRoots/"+root.text("id"), c.secret, nil); a.status != http.StatusNotFound || a.reason() != "ATTESTATION_ROOT_UNKNOWN" {
		t.Errorf("removed twice: %s", a)
	}

	// What was accepted by it is proven without it, by the file alone.
	kept, _ := w.must(t, "GET", "/admin/v1/evidence?filter=trust%20%3D%20TENANT_ROOT", c.secret, nil).at("evidence").([]any)
	if len(kept) < 2 {
		t.Fatalf("%d pieces of evidence rest on the root, want one of each server", len(kept))
	}
	newest, _ := kept[0].(map[string]any)
	id, _ := newest["id"].(string)
	file := w.must(t, "POST", "/admin/v1/evidence/"+id+":download", c.secret, map[string]any{}).text("file")
	report := evidence.VerifyFile([]byte(file), nil)
	if !report.Valid || report.Record == nil || report.Record.Verdict.Trust != "TENANT_ROOT" || report.Record.Verdict.Root.String() != root.text("id") {
		t.Errorf("offline: %+v", report)
	}
	if len(report.Record.Roots) != 1 {
		t.Errorf("the record has %d roots, want the one that may attest the model", len(report.Record.Roots))
	}
}

// A certificate that cannot be trusted by is refused with the reason, and leaves nothing.
func TestUnfitAttestationRoots(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	root := rootPEM(fleet(t, uuid.New()))
	private := "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
	for _, tt := range []struct {
		name, reason string
		body         map[string]any
	}{
		{"no certificate", "ATTESTATION_ROOT_MALFORMED", map[string]any{"name": "a", "certificate": "a certificate"}},
		{"a private key beside it", "PRIVATE_KEY_SENT", map[string]any{"name": "a", "certificate": root + private}},
		{"a name that cannot be seen", "ATTESTATION_ROOT_NAME_INVALID", map[string]any{"name": "\u202e", "certificate": root}},
		{"no AAGUID", "ATTESTATION_ROOT_AAGUIDS_INVALID", map[string]any{"name": "a", "certificate": root, "aaguids": []string{"model"}}},
		{"the zero AAGUID", "ATTESTATION_ROOT_AAGUIDS_INVALID", map[string]any{"name": "a", "certificate": root, "aaguids": []string{uuid.Nil.String()}}},
	} {
		a := w.call(t, "POST", "/admin/v1/attestationRoots", c.secret, tt.body)
		if a.status != http.StatusBadRequest || a.reason() != tt.reason {
			t.Errorf("%s: %s, want %s", tt.name, a, tt.reason)
		}
	}
	if list, _ := w.must(t, "GET", "/admin/v1/attestationRoots", c.secret, nil).at("attestationRoots").([]any); len(list) != 0 {
		t.Errorf("%d roots are kept", len(list))
	}
	reader := w.must(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{
		"kind": "SECRET", "name": "reader", "scopes": []string{"admin:attestationRoots:read", "admin:authenticators"},
	}).text("key")
	w.must(t, "GET", "/admin/v1/attestationRoots", reader, nil)
	if a := w.call(t, "POST", "/admin/v1/attestationRoots", reader, map[string]any{"name": "a", "certificate": root}); a.reason() != "SCOPE_MISSING" {
		t.Errorf("a key that may only read: %s", a)
	}
}

// What an operator does at the command line, the server goes by.
func TestAttestationRootCommands(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	c := w.tenant(t, "acme")
	model := uuid.New()
	file := filepath.Join(t.TempDir(), "root.der")
	key := fleet(t, model)
	if err := os.WriteFile(file, key.Root(), 0o600); err != nil {
		t.Fatal(err)
	}
	added := s.read(t, "attestation", "roots", "add", "--tenant", "acme", "--name", "Fleet", "--aaguids", model.String(), "--reason", "new fleet", file)
	if added.text("name") != "Fleet" || !strings.HasPrefix(added.text("certificate"), "-----BEGIN CERTIFICATE-----") {
		t.Errorf("added: %s", added)
	}
	if list := s.read(t, "attestation", "roots", "list", "--tenant", "acme").items("attestationRoots"); len(list) != 1 || list[0].text("id") != added.text("id") {
		t.Errorf("listed: %v", list)
	}
	w.setPolicy(t, c, `{"attestationConveyance":"direct","requiredTrust":"VERIFIED"}`)
	if a := w.register(t, c, key); a.status != http.StatusOK {
		t.Errorf("by a root that was added at the command line: %s", a)
	}
	if out := s.must(t, "attestation", "roots", "list", "--tenant", "acme"); !strings.Contains(out, model.String()) || !strings.Contains(out, "Software Authenticator Root") {
		t.Errorf("attestation roots list = %s", out)
	}
	s.read(t, "attestation", "roots", "remove", "--tenant", "acme", "--reason", "fleet is gone", added.text("id"))
	if list := s.read(t, "attestation", "roots", "list", "--tenant", "acme").items("attestationRoots"); len(list) != 0 {
		t.Errorf("%d are left", len(list))
	}
	for action, want := range map[string]string{"attestationroot.create": "new fleet", "attestationroot.delete": "fleet is gone"} {
		if got := w.reasonOf(t, c.id, action); got != want {
			t.Errorf("the reason of %s = %q, want %q", action, got, want)
		}
	}
}
