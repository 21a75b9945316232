package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/fetch/fetchtest"
)

// unprove takes away what is known of the customer's domain, on every server.
func (w *world) unprove(t *testing.T, c *customer) {
	t.Helper()
	conn := w.store.Superuser(t)
	if _, err := conn.Exec(t.Context(), "DELETE FROM domain_proofs WHERE tenant_id = $1", c.id); err != nil {
		t.Fatal(err)
	}
	// A change of the tenant's own makes servers read it again.
	w.must(t, "PATCH", "/admin/v1/tenants/"+c.id, w.platformKey, map[string]any{"name": "Unproven " + c.slug})
}

// SECURITY 5: a live tenant whose domain nobody has shown runs no ceremony, and does all
// else; what it publishes opens it. The check taken out of authcore/ceremony turns the
// refusals red.
func TestUnprovenDomain(t *testing.T) {
	net := fetchtest.New(t)
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.DNSServer = net.DNS
	w := startWorld(t, store, cfg)
	made := w.must(t, "POST", "/admin/v1/tenants", w.platformKey, map[string]any{
		"slug": "newcomer", "name": "Newcomer", "mode": "LIVE", "rpId": "newcomer.example", "origins": []string{"https://newcomer.example"},
	})
	key, public := made.text("secretKey"), made.text("publishableKey")
	refused := func(want string) {
		t.Helper()
		for path, body := range map[string]map[string]any{
			"/v1/registrations:begin":    {"user": map[string]any{"externalId": "u", "name": "u"}},
			"/v1/authentications:begin":  {},
			"/v1/authentications:finish": {"authenticationId": "AAAA", "credential": emptyAssertion},
			"/v1/registrationTokens":     {"user": map[string]any{"externalId": "u", "name": "u"}},
		} {
			if a := w.call(t, "POST", path, key, body); (a.reason() == "DOMAIN_UNPROVEN") != (want == "DOMAIN_UNPROVEN") || want != "" && a.status != http.StatusBadRequest {
				t.Errorf("%s: %s, want %q", path, a, want)
			}
		}
	}
	refused("DOMAIN_UNPROVEN")
	if a := w.call(t, "POST", "/v1/authentications:begin", public, map[string]any{}, "Origin", "https://newcomer.example"); a.reason() != "DOMAIN_UNPROVEN" {
		t.Errorf("a browser's key: %s", a)
	}
	w.must(t, "POST", "/v1/users", key, map[string]any{"externalId": "x", "name": "x"})
	w.must(t, "PATCH", "/admin/v1/settings", key, map[string]any{"relyingParty": map[string]any{"name": "Newcomer Inc."}})

	party := w.must(t, "GET", "/admin/v1/relyingParty", key, nil)
	if party.text("domainProof", "state") != "UNPROVEN" {
		t.Errorf("relying party: %s", party)
	}
	look := func() answer { return w.must(t, "POST", "/admin/v1/relyingParty:verifyDomain", key, map[string]any{}) }
	if a := look(); a.text("state") != "UNPROVEN" || !strings.Contains(a.raw, "TXT_MISSING") {
		t.Errorf("nothing is published: %s", a)
	}
	net.TXT(party.text("domainProof", "challenge", "dnsName"), party.text("domainProof", "challenge", "dnsValue"))
	if a := look(); a.text("state") != "PROVEN" || a.text("method") != "DNS" {
		t.Errorf("published: %s", a)
	}
	refused("")
}
