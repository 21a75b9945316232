package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
)

// setRisk makes document the tenant's risk rules, by its key.
func (w *world) setRisk(t testing.TB, c *customer, document string) {
	t.Helper()
	w.must(t, "PUT", "/admin/v1/riskRules", c.secret, map[string]any{"document": json.RawMessage(document)})
}

// A tenant writes rules, signs a user in under them, asks about an action, tells what came of it, and tries other rules
// on what was recorded.
func TestRiskByREST(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")

	none := w.must(t, "GET", "/admin/v1/riskRules", c.secret, nil)
	if none.at("version") != 0.0 || none.at("document", "mode") != "OFF" || none.text("etag") == "" {
		t.Errorf("before there are any: %s", none)
	}
	if a := w.call(t, "POST", "/v1/risk:evaluate", c.secret, map[string]any{"action": "transfer"}); a.reason() != "RISK_OFF" || a.status != http.StatusBadRequest {
		t.Errorf("while risk is off: %s", a)
	}
	if done := w.signIn(t, c); done.at("risk") != nil {
		t.Errorf("while risk is off: %s", done)
	}
	put := func(document string, headers ...string) answer {
		return w.call(t, "PUT", "/admin/v1/riskRules", c.secret, map[string]any{"document": json.RawMessage(document), "reason": "ticket 1"}, headers...)
	}
	const rules = `{"mode":"ENFORCE","stepUpScore":60,"callerWeights":{"bot":50},"rules":[
		{"id":"payee","when":"purpose == 'transfer' && caller.newPayee == true","then":"STEP_UP"},
		{"id":"hand-picked","when":"has(caller.refuse) && caller.refuse == true","then":"DENY","hard":true}]}`
	first := put(rules, "If-Match", none.header.Get("ETag"))
	if first.status != http.StatusOK || first.at("version") != 1.0 || first.text("reason") != "ticket 1" || first.text("createdBy") == "" {
		t.Fatalf("PUT: %s", first)
	}
	if a := put(rules, "If-Match", none.header.Get("ETag")); a.reason() != "ETAG_MISMATCH" {
		t.Errorf("an old etag: %s", a)
	}
	bad := put(`{"mode":"ENFORCE","rules":[{"id":"x","when":"true &&\n  newDevise","then":"DENY"}]}`)
	if bad.status != http.StatusBadRequest || bad.reason() != "RISK_RULES_INVALID" || bad.metadata("field") != "rules[0].when" || bad.metadata("line") != "2" || bad.metadata("column") != "3" {
		t.Errorf("a rule that is wrong: %s", bad)
	}
	if now := w.must(t, "GET", "/admin/v1/riskRules", c.secret, nil); now.raw != first.raw {
		t.Errorf("the rules in force: %s, want %s", now, first)
	}

	finish := func(key string, client map[string]any) answer {
		body := w.assert(t, c, key, map[string]any{}, authenticatortest.Deviation{})
		if client != nil {
			body["client"] = client
		}
		return w.call(t, "POST", "/v1/authentications:finish", key, body)
	}
	let := finish(c.secret, map[string]any{"ip": "192.0.2.1", "attributes": map[string]any{"bot": 0.5}})
	if let.text("decision") != "ALLOW" || let.at("risk", "score") != 25.0 || let.text("risk", "level") != "LOW" || let.text("session", "id") == "" {
		t.Errorf("a sign-in: %s", let)
	}
	refused := finish(c.secret, map[string]any{"ip": "2001:db8::1", "userAgent": "curl", "attributes": map[string]any{"refuse": true}})
	if refused.text("decision") != "DENY" || refused.text("decisionReason") != "RISK_RULE" || refused.at("session") != nil {
		t.Errorf("one that a rule refuses: %s", refused)
	}
	// A browser is neither told, nor believed.
	if a := finish(c.publishable, nil); a.text("decision") != "ALLOW" || a.at("risk") != nil {
		t.Errorf("by a browser: %s", a)
	}
	if a := finish(c.publishable, map[string]any{"ip": "192.0.2.1"}); a.reason() != "SERVER_KEY_REQUIRED" {
		t.Errorf("a browser that says where it is: %s", a)
	}
	for name, client := range map[string]map[string]any{
		"an address that is none": {"ip": "localhost"}, "a signal of a signal": {"attributes": map[string]any{"a": map[string]any{"b": 1}}}, "a name that is none": {"attributes": map[string]any{"a b": 1}},
	} {
		if a := finish(c.secret, client); a.status != http.StatusBadRequest || a.reason() != "RISK_SIGNALS_INVALID" {
			t.Errorf("%s: %s", name, a)
		}
	}

	asked := w.must(t, "POST", "/v1/risk:evaluate", c.secret, map[string]any{
		"userId": c.user, "ip": "192.0.2.1", "action": "transfer", "attributes": map[string]any{"newPayee": true},
	})
	if asked.text("decision") != "STEP_UP" || asked.text("rule") != "payee" || asked.text("evaluationId") == "" {
		t.Errorf("an action: %s", asked)
	}
	for _, decision := range []string{asked.text("evaluationId"), let.text("session", "id")} {
		if a := w.must(t, "POST", "/v1/risk:report", c.secret, map[string]any{"decisionId": decision, "verdict": "FRAUD", "note": "the customer called"}); a.text("verdict") != "FRAUD" {
			t.Errorf("a report: %s", a)
		}
	}
	if a := w.call(t, "POST", "/v1/risk:report", c.secret, map[string]any{"decisionId": "01b8e27f-3e00-7768-8906-34b6310d05b4", "verdict": "FRAUD"}); a.reason() != "RISK_DECISION_UNKNOWN" {
		t.Errorf("a report of nothing: %s", a)
	}

	tried := w.must(t, "POST", "/admin/v1/riskRules:backtest", c.secret, map[string]any{"document": json.RawMessage(`{"mode":"SHADOW","callerWeights":{"bot":100},"stepUpScore":50}`)})
	if tried.at("decisions") != 3.0 || tried.at("without") != 1.0 || tried.at("fraud") != 1.0 || tried.at("fraudStopped") != 1.0 || len(tried.items("examples")) != 2 {
		t.Errorf("a backtest: %s", tried)
	}
	back := w.must(t, "POST", "/admin/v1/riskRules:rollback", c.secret, map[string]any{"version": 1, "reason": "as it was"})
	if back.at("version") != 1.0 {
		t.Errorf("a version that says what the rules say: %s", back)
	}
	w.setRisk(t, c, `{"mode":"OFF"}`)
	if back = w.must(t, "POST", "/admin/v1/riskRules:rollback", c.secret, map[string]any{"version": 1}); back.at("version") != 3.0 || back.at("document", "mode") != "ENFORCE" {
		t.Errorf("rolled back: %s", back)
	}
	if list := w.must(t, "GET", "/admin/v1/riskRules/versions?pageSize=2", c.secret, nil); len(list.items("versions")) != 2 || list.text("nextPageToken") == "" {
		t.Errorf("versions: %s", list)
	}
	if a := w.must(t, "GET", "/admin/v1/riskRules/versions/2", c.secret, nil); a.at("document", "mode") != "OFF" {
		t.Errorf("version 2: %s", a)
	}
}

// Nothing names a tenant in these calls, so nothing can name another's.
func TestRiskRulesAreOnesOwn(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.setRisk(t, acme, `{"mode":"SHADOW","stepUpScore":11}`)
	conn := w.store.Superuser(t)
	before, was := fingerprint(t, conn, acme.id), w.must(t, "GET", "/admin/v1/riskRules", acme.secret, nil)
	theirs := w.must(t, "PUT", "/admin/v1/riskRules?tenantId="+acme.id, globex.secret, map[string]any{"document": map[string]any{"mode": "ENFORCE"}, "tenantId": acme.id})
	if theirs.at("version") != 1.0 {
		t.Errorf("globex's own: %s", theirs)
	}
	if a := w.call(t, "PUT", "/admin/v1/riskRules", globex.secret, map[string]any{"document": map[string]any{}}, "If-Match", was.header.Get("ETag")); a.reason() != "ETAG_MISMATCH" {
		t.Errorf("with acme's etag: %s", a)
	}
	if now := w.must(t, "GET", "/admin/v1/riskRules", acme.secret, nil); now.raw != was.raw {
		t.Errorf("acme's rules were %s, and are %s", was, now)
	}
	if after := fingerprint(t, conn, acme.id); after != before {
		t.Errorf("acme's rows have changed:\n%s\n%s", before, after)
	}
	if a := w.must(t, "POST", "/admin/v1/riskRules:backtest", globex.secret, map[string]any{}); a.at("decisions") != 0.0 {
		t.Errorf("globex's backtest: %s", a)
	}
}

// riskProvider is a scoring service to put.
func riskProvider() map[string]any {
	return map[string]any{"config": map[string]any{"kind": "FEEDZAI", "address": "https://scoring.example"}, "credential": "hidden-credential", "reason": "as agreed"}
}

// A service is configured, shown without its credential, changed without naming it again, and removed.
func TestRiskProviderByREST(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	const at = "/admin/v1/riskProvider"
	if a := w.call(t, "GET", at, acme.secret, nil); a.status != http.StatusNotFound || a.reason() != "RISK_PROVIDER_UNKNOWN" {
		t.Errorf("before there is one: %s", a)
	}
	made := w.must(t, "PUT", at, acme.secret, riskProvider())
	if made.text("config", "kind") != "FEEDZAI" || strings.Contains(made.raw, "hidden-credential") {
		t.Errorf("made: %s", made)
	}
	changed := w.must(t, "PUT", at, acme.secret, map[string]any{"config": map[string]any{"kind": "FEEDZAI", "address": "https://scoring.example/v2", "timeoutMillis": 200}})
	if changed.at("config", "timeoutMillis") != 200.0 || changed.text("etag") == made.text("etag") {
		t.Errorf("changed: %s", changed)
	}
	if a := w.call(t, "PUT", at, acme.secret, riskProvider(), "If-Match", made.header.Get("ETag")); a.reason() != "ETAG_MISMATCH" {
		t.Errorf("with an old etag: %s", a)
	}
	for name, tt := range map[string]struct {
		key   string
		body  map[string]any
		field string
	}{
		"in the clear":                            {acme.secret, map[string]any{"config": map[string]any{"kind": "FEEDZAI", "address": "http://scoring.example"}}, "address"},
		"of the inside":                           {acme.secret, map[string]any{"config": map[string]any{"kind": "FEEDZAI", "address": "https://10.0.0.1"}}, "address"},
		"another kind":                            {acme.secret, map[string]any{"config": map[string]any{"kind": "ORACLE", "address": "https://scoring.example"}}, "kind"},
		"another server without its credential":   {acme.secret, map[string]any{"config": map[string]any{"kind": "FEEDZAI", "address": "https://elsewhere.example"}}, "credential"},
		"another kind of it without a credential": {acme.secret, map[string]any{"config": map[string]any{"kind": "THREATMETRIX", "address": "https://scoring.example", "organization": "org"}}, "credential"},
		"without credential":                      {globex.secret, map[string]any{"config": map[string]any{"kind": "FEEDZAI", "address": "https://scoring.example"}}, "credential"},
	} {
		if a := w.call(t, "PUT", at, tt.key, tt.body); a.status != http.StatusBadRequest || a.reason() != "RISK_PROVIDER_INVALID" || a.metadata("field") != tt.field {
			t.Errorf("%s: %s", name, a)
		}
	}
	if a := w.call(t, "GET", at, globex.secret, nil); a.reason() != "RISK_PROVIDER_UNKNOWN" {
		t.Errorf("another tenant's look: %s", a)
	}
	if a := w.call(t, "DELETE", at, globex.secret, nil); a.reason() != "RISK_PROVIDER_UNKNOWN" {
		t.Errorf("another tenant's removal: %s", a)
	}
	w.must(t, "DELETE", at+"?reason=over", acme.secret, nil)
	if a := w.call(t, "GET", at, acme.secret, nil); a.reason() != "RISK_PROVIDER_UNKNOWN" {
		t.Errorf("after it is removed: %s", a)
	}
}
