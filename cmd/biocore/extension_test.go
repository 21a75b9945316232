package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
)

// Extensions over the API: asked for, answered, shown on the credential; what is not
// passed on is refused by its name, and a secret that a page sends all the same comes to
// light nowhere.
func TestExtensions(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"
	begun := w.must(t, "POST", "/v1/registrations:begin", c.secret, map[string]any{
		"user":       map[string]any{"externalId": "alice", "name": "alice"},
		"extensions": map[string]any{"prf": map[string]any{"eval": map[string]any{"first": "AAEC"}}, "credentialProtectionPolicy": "userVerificationRequired"},
	})
	if begun.text("options", "extensions", "prf", "eval", "first") != "AAEC" || !begun.is("options", "extensions", "credProps") ||
		begun.text("options", "extensions", "credentialProtectionPolicy") != "userVerificationRequired" {
		t.Errorf("begin: %s", begun)
	}
	made, err := c.authenticator.CreateWith(marshal(t, begun.at("options")), origin, authenticatortest.Deviation{
		Extensions: append([]byte("\xa1\x6bcredProtect"), 3),
	})
	if err != nil {
		t.Fatal(err)
	}
	var credential map[string]any
	if err := json.Unmarshal(marshal(t, made), &credential); err != nil {
		t.Fatal(err)
	}
	credential["clientExtensionResults"] = map[string]any{
		"credProps": map[string]any{"rk": true}, "prf": map[string]any{"enabled": true, "results": map[string]any{"first": secret}},
		"largeBlob": map[string]any{"supported": false},
	}
	done := w.must(t, "POST", "/v1/registrations:finish", c.secret, map[string]any{"registrationId": begun.text("registrationId"), "credential": credential})
	shown := w.must(t, "GET", "/v1/credentials/"+done.text("credential", "id"), c.secret, nil)
	const want = `"extensions":{"prf":true,"largeBlob":false,"credProtect":"userVerificationRequired"}`
	if !strings.Contains(done.raw, want) || !strings.Contains(shown.raw, want) || strings.Contains(done.raw+shown.raw, secret) {
		t.Errorf("finish: %s\nthe credential: %s\nwant %s", done, shown, want)
	}
	signIn := w.must(t, "POST", "/v1/authentications:begin", c.publishable, map[string]any{
		"externalId": "alice",
		"extensions": map[string]any{"prf": map[string]any{"evalByCredential": map[string]any{done.text("credential", "id"): map[string]any{"first": "AAEC"}}}},
	}, "Origin", origin)
	if signIn.text("options", "extensions", "prf", "evalByCredential", done.text("credential", "id"), "first") != "AAEC" {
		t.Errorf("begin of a sign-in: %s", signIn)
	}
	for path, body := range map[string]map[string]any{
		"/v1/registrations:begin":   {"user": map[string]any{"externalId": "bob", "name": "bob"}, "extensions": map[string]any{"appidExclude": "https://example.com"}},
		"/v1/authentications:begin": {"extensions": map[string]any{"payment": map[string]any{"isPayment": true}}},
	} {
		if a := w.call(t, "POST", path, c.secret, body); a.status != http.StatusBadRequest || a.reason() != "EXTENSION_INVALID" || !strings.Contains(a.raw, `"field":"extensions.`) {
			t.Errorf("%s: %s", path, a)
		}
	}
}
