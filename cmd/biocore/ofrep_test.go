package main

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/open-feature/go-sdk-contrib/providers/ofrep"
	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"
)

// flagClient is an OpenFeature client over the community's OFREP provider, at a base URL below the server's.
func (w *world) flagClient(t *testing.T, base, key, from string) *openfeature.Client {
	t.Helper()
	api := isolated.NewAPI()
	provider := ofrep.NewProvider(w.url+base, ofrep.WithBearerToken(key), ofrep.WithHeaderProvider(func() (string, string) { return "Origin", from }))
	if err := api.SetProviderAndWait(t.Context(), provider); err != nil {
		t.Fatal(err)
	}
	return api.NewClient()
}

// A tenant's application evaluates flags with the community's provider for Go, and sees each change.
func TestOFREPProvider(t *testing.T) {
	w := newWorld(t)
	c, other := w.tenant(t, "acme"), w.tenant(t, "globex")
	ctx, who := t.Context(), openfeature.NewEvaluationContext("u-1001", map[string]any{"country": "NO", "amount": 18_400})
	rules := func(rules ...any) map[string]any { return map[string]any{"rules": rules} }
	for _, f := range []map[string]any{
		{"key": "matching", "type": "BOOLEAN", "name": "Matching", "clientVisible": true},
		{"key": "theme", "type": "OBJECT", "name": "Theme", "variants": map[string]any{"off": map[string]any{"size": 1}, "big": map[string]any{"size": 2.5}}},
		{"key": "greeting", "type": "STRING", "name": "Greeting", "variants": map[string]any{"off": "hello", "north": "hei"}},
		{"key": "limit", "type": "NUMBER", "name": "Limit", "variants": map[string]any{"off": 10}},
	} {
		w.must(t, "POST", "/admin/v1/flags", c.secret, f)
	}
	for key, all := range map[string]map[string]any{
		"matching": rules(map[string]any{"variant": "on", "when": map[string]any{"attribute": "amount", "operator": "GREATER_THAN", "values": []any{10_000}}}),
		"theme":    rules(map[string]any{"rollout": []any{map[string]any{"variant": "big", "weight": 100}}}),
		"greeting": rules(map[string]any{"variant": "north", "when": map[string]any{"attribute": "country", "operator": "IN", "values": []any{"NO", "SE"}}}),
	} {
		w.must(t, "PUT", "/admin/v1/flags/"+key+"/rules", c.secret, all)
		w.must(t, "PATCH", "/admin/v1/flags/"+key, c.secret, map[string]any{"enabled": true})
	}

	server := w.flagClient(t, "", c.secret, "")
	if got, err := server.BooleanValueDetails(ctx, "matching", false, who); err != nil || !got.Value || got.Variant != "on" || got.Reason != openfeature.TargetingMatchReason {
		t.Errorf("a boolean: %+v, %v", got, err)
	}
	if got, err := server.ObjectValueDetails(ctx, "theme", nil, who); err != nil || !reflect.DeepEqual(got.Value, map[string]any{"size": 2.5}) || got.Reason != openfeature.SplitReason {
		t.Errorf("an object: %+v, %v", got, err)
	}
	if got, err := server.StringValueDetails(ctx, "greeting", "-", who); err != nil || got.Value != "hei" {
		t.Errorf("a string: %+v, %v", got, err)
	}
	if got, err := server.IntValueDetails(ctx, "limit", 0, who); err != nil || got.Value != 10 || got.Reason != openfeature.StaticReason {
		t.Errorf("a number of a flag that is off: %+v, %v", got, err)
	}
	if got, err := server.ObjectValueDetails(ctx, "theme", nil, openfeature.NewEvaluationContext("", nil)); err == nil || got.ErrorCode != openfeature.TargetingKeyMissingCode {
		t.Errorf("a rollout of nobody: %+v, %v", got, err)
	}
	if got, err := server.BooleanValueDetails(ctx, "greeting", true, who); err == nil || !got.Value || got.ErrorCode != openfeature.TypeMismatchCode {
		t.Errorf("a string as a boolean: %+v, %v", got, err)
	}
	if got, err := server.BooleanValueDetails(ctx, "none", true, who); err == nil || !got.Value || got.ErrorCode != openfeature.FlagNotFoundCode {
		t.Errorf("no such flag: %+v, %v", got, err)
	}
	if got, err := w.flagClient(t, "/flags/staging", c.secret, "").StringValueDetails(ctx, "greeting", "-", who); err != nil || got.Value != "hello" || got.Reason != openfeature.StaticReason {
		t.Errorf("in staging: %+v, %v", got, err)
	}
	if got, err := w.flagClient(t, "", other.secret, "").StringValueDetails(ctx, "greeting", "-", who); err == nil || got.ErrorCode != openfeature.FlagNotFoundCode {
		t.Errorf("another tenant's: %+v, %v", got, err)
	}
	page := w.flagClient(t, "", c.publishable, origin)
	if got, err := page.BooleanValueDetails(ctx, "matching", false, who); err != nil || !got.Value {
		t.Errorf("a page, what it may see: %+v, %v", got, err)
	}
	if got, err := page.StringValueDetails(ctx, "greeting", "-", who); err == nil || got.ErrorCode != openfeature.FlagNotFoundCode {
		t.Errorf("a page, what it may not see: %+v, %v", got, err)
	}
	if got, err := w.flagClient(t, "", c.publishable, "https://evil.example").BooleanValueDetails(ctx, "matching", false, who); err == nil || got.Value {
		t.Errorf("another's page: %+v, %v", got, err)
	}

	// The kill switch: off is what it says, whatever the default of the code is.
	w.must(t, "PATCH", "/admin/v1/flags/matching", c.secret, map[string]any{"enabled": false, "reason": "a blank number"})
	if got, err := server.BooleanValueDetails(ctx, "matching", true, who); err != nil || got.Value || got.Reason != openfeature.StaticReason {
		t.Errorf("after the kill switch: %+v, %v", got, err)
	}

	// A key may be one that does nothing else.
	key := w.must(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "SECRET", "name": "flags", "scopes": []string{"flags"}}).text("key")
	if got, err := w.flagClient(t, "", key, "").BooleanValueDetails(ctx, "matching", true, who); err != nil || got.Value {
		t.Errorf("with a key for flags: %+v, %v", got, err)
	}
	if a := w.call(t, http.MethodGet, "/admin/v1/flags", key, nil); a.status != http.StatusForbidden {
		t.Errorf("a key for flags reads them all: %s", a)
	}
	users := w.must(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "SECRET", "name": "users", "scopes": []string{"users:read"}}).text("key")
	if got, err := w.flagClient(t, "", users, "").BooleanValueDetails(ctx, "matching", true, who); err == nil || !got.Value {
		t.Errorf("with a key for users: %+v, %v", got, err)
	}
}
