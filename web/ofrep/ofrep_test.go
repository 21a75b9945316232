package ofrep

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// keyring lets in "server", "page" of one origin, and "busy" later.
type keyring struct{}

func (keyring) Application(_ context.Context, key, wanted, origin string) (scope.Scope, bool, error) {
	switch {
	case wanted != apikey.ScopeFlags:
		return scope.Scope{}, false, errors.New("another scope")
	case key == "server":
		return scope.Scope{}, false, nil
	case key == "page" && origin == "https://bank.example":
		return scope.Scope{}, true, nil
	case key == "busy":
		return scope.Scope{}, false, fault.New(fault.Exhausted, "RATE_LIMITED", "too many requests").WithRetryAfter(1500 * time.Millisecond)
	case key == "page":
		return scope.Scope{}, true, fault.New(fault.Forbidden, "ORIGIN_NOT_ALLOWED", "not from here")
	}
	return scope.Scope{}, false, apikey.ErrKey
}

// shelf has the flags of production and staging.
type shelf map[string]*flag.Set

func (s shelf) Flags(_ context.Context, _ scope.Scope, environment string) (*flag.Set, error) {
	environment, err := flag.Environment(environment)
	if err != nil {
		return nil, err
	}
	if s[environment] == nil {
		return nil, errors.New("the database is gone: secret detail")
	}
	return s[environment], nil
}

func serve(t *testing.T) http.Handler {
	t.Helper()
	half := flag.Rule{ID: "half", Rollout: []flag.Share{{Variant: "on", Weight: 50_000}, {Variant: "off", Weight: 50_000}}}
	all := flag.Rule{ID: "nordic", When: flag.Condition{Attribute: "country", Operator: flag.In, Values: []any{"NO"}}, Variant: "on"}
	of := func(key string, client bool, rules ...flag.Rule) flag.Flag {
		return flag.Flag{
			Key: key, Type: flag.Boolean, Enabled: true, OffVariant: "off", DefaultVariant: "off", Salt: "s", ClientVisible: client, Rules: rules,
			Variants: map[string]json.RawMessage{"on": json.RawMessage("true"), "off": json.RawMessage("false")},
		}
	}
	dark := of("dark", false, all)
	dark.Enabled = false
	s := shelf{}
	for environment, flags := range map[string][]flag.Flag{"production": {of("half", false, half), of("nordic", true, all), of("plain", true), dark}, "staging": {of("plain", true, flag.Rule{ID: "all", Variant: "on"})}} {
		set, err := flag.Compile(flags, nil)
		if err != nil {
			t.Fatal(err)
		}
		s[environment] = set
	}
	return newHandler(keyring{}, s, slog.New(slog.NewTextHandler(io.Discard, nil)))
}

func TestEvaluate(t *testing.T) {
	h := serve(t)
	const all, one = "/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/"
	who := `{"context":{"targetingKey":"u1","country":"NO"}}`
	for _, tt := range []struct {
		name   string
		method string
		path   string
		key    string
		body   string
		header map[string]string
		status int
		want   string // the whole body
	}{
		{name: "a rule", path: one + "nordic", key: "server", body: who, status: 200, want: `{"key":"nordic","reason":"TARGETING_MATCH","variant":"on","value":true}`},
		{name: "a rollout", path: one + "half", key: "server", body: who, status: 200, want: `{"key":"half","reason":"SPLIT","variant":"off","value":false}`},
		{name: "no context", path: one + "plain", key: "server", status: 200, want: `{"key":"plain","reason":"STATIC","variant":"off","value":false}`},
		{name: "an empty context", path: one + "plain", key: "server", body: `{}`, status: 200, want: `{"key":"plain","reason":"STATIC","variant":"off","value":false}`},
		{name: "a rollout of nobody", path: one + "half", key: "server", body: `{"context":{}}`, status: 400, want: `{"key":"half","errorCode":"TARGETING_KEY_MISSING","errorDetails":"a rollout needs a targeting key, and the context has none"}`},
		{name: "no such flag", path: one + "none", key: "server", body: who, status: 404, want: `{"key":"none","errorCode":"FLAG_NOT_FOUND","errorDetails":"there is no such flag in this environment"}`},
		{name: "a flag that is off", path: one + "dark", key: "server", body: who, status: 200, want: `{"key":"dark","reason":"STATIC","variant":"off","value":false,"metadata":{"enabled":false}}`},
		{name: "another environment", path: "/flags/staging" + one + "plain", key: "server", body: who, status: 200, want: `{"key":"plain","reason":"DEFAULT","variant":"on","value":true}`},
		{name: "no such environment", path: "/flags/moon" + one + "plain", key: "server", body: who, status: 404, want: `{"key":"plain","errorCode":"GENERAL","errorDetails":"there is no environment \"moon\"","reason":"FLAG_ENVIRONMENT_UNKNOWN"}`},
		{name: "all of a server", path: all, key: "server", body: `{"context":{"country":"NO"}}`, status: 200, want: `{"flags":[{"key":"dark","reason":"STATIC","variant":"off","value":false,"metadata":{"enabled":false}},` +
			`{"key":"half","errorCode":"TARGETING_KEY_MISSING","errorDetails":"a rollout needs a targeting key, and the context has none"},` +
			`{"key":"nordic","reason":"TARGETING_MATCH","variant":"on","value":true},{"key":"plain","reason":"STATIC","variant":"off","value":false}]}`},
		{name: "all of a page", path: all, key: "page", body: who, header: map[string]string{"Origin": "https://bank.example"}, status: 200, want: `{"flags":[` +
			`{"key":"nordic","reason":"TARGETING_MATCH","variant":"on","value":true},{"key":"plain","reason":"STATIC","variant":"off","value":false}]}`},
		{name: "what a page may not see", path: one + "half", key: "page", body: who, header: map[string]string{"Origin": "https://bank.example"}, status: 404, want: `{"key":"half","errorCode":"FLAG_NOT_FOUND","errorDetails":"there is no such flag in this environment"}`},
		{name: "a page of another", path: all, key: "page", body: who, header: map[string]string{"Origin": "https://evil.example"}, status: 403, want: `{"errorCode":"GENERAL","errorDetails":"not from here","reason":"ORIGIN_NOT_ALLOWED"}`},
		{name: "the other header", path: one + "plain", header: map[string]string{"X-API-Key": "server"}, status: 200, want: `{"key":"plain","reason":"STATIC","variant":"off","value":false}`},
		{name: "no key", path: all, body: who, status: 401},
		{name: "a wrong key", path: all, key: "another", body: who, status: 401},
		{name: "too many", path: all, key: "busy", body: who, status: 429},
		{name: "GET", method: http.MethodGet, path: all, key: "server", status: 405},
		{name: "no JSON", path: all, key: "server", body: `{"context":`, status: 400, want: `{"errorCode":"PARSE_ERROR","errorDetails":"the request cannot be read","reason":"REQUEST_MALFORMED"}`},
		{name: "another form", path: all, key: "server", body: `{"context":[]}`, status: 400, want: `{"errorCode":"INVALID_CONTEXT","errorDetails":"the body is {\"context\": {\"targetingKey\": \"…\", …}}, with a targeting key that is a string","reason":"FLAG_CONTEXT_INVALID"}`},
		{name: "a key that is a number", path: all, key: "server", body: `{"context":{"targetingKey":7}}`, status: 400},
		{name: "no JSON by its type", path: all, key: "server", body: who, header: map[string]string{"Content-Type": "text/plain"}, status: 415},
		{name: "too much", path: all, key: "server", body: `{"context":{"a":"` + strings.Repeat("x", 64<<10) + `"}}`, status: 413},
	} {
		method := tt.method
		if method == "" {
			method = http.MethodPost
		}
		r := httptest.NewRequestWithContext(t.Context(), method, tt.path, strings.NewReader(tt.body))
		r.Header.Set("Content-Type", "application/json")
		if tt.key != "" {
			r.Header.Set("Authorization", "Bearer "+tt.key)
		}
		for name, value := range tt.header {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status || tt.want != "" && w.Body.String() != tt.want || w.Header().Get("Cache-Control") != "no-store" || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s = %d %s, want %d %s", tt.name, w.Code, w.Body, tt.status, tt.want)
		}
		if after := w.Header().Get("Retry-After"); (tt.status == 429) != (after == "2") {
			t.Errorf("%s: Retry-After %q", tt.name, after)
		}
	}
}

// The same flags for the same context are the same answer; another context, or another flag, is another.
func TestETag(t *testing.T) {
	h := serve(t)
	ask := func(path, body string, match ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer server")
		if match != nil {
			r.Header["If-None-Match"] = match
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	const path = "/ofrep/v1/evaluate/flags"
	first := ask(path, `{"context":{"country":"NO"}}`)
	etag := first.Header().Get("ETag")
	if first.Code != 200 || len(etag) < 10 || !strings.HasPrefix(etag, `"`) {
		t.Fatalf("%d with ETag %s", first.Code, etag)
	}
	for _, match := range [][]string{{etag}, {"W/" + etag}, {`"x", ` + etag}, {`"x"`, etag}, {"*"}} {
		if again := ask(path, `{"context":{"country":"NO"}}`, match...); again.Code != http.StatusNotModified || again.Body.Len() > 0 || again.Header().Get("ETag") != etag {
			t.Errorf("If-None-Match %v = %d %s", match, again.Code, again.Body)
		}
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"another context": ask(path, `{"context":{"country":"SE"}}`, etag), "other flags": ask("/flags/staging"+path, `{"context":{"country":"NO"}}`, etag), "another etag": ask(path, `{"context":{"country":"NO"}}`, `"x"`),
	} {
		if w.Code != 200 || w.Body.Len() == 0 {
			t.Errorf("%s = %d", name, w.Code)
		}
	}
}

// What is ours to mend says nothing of itself.
func TestFaultsAreOurs(t *testing.T) {
	var log strings.Builder
	h := newHandler(keyring{}, shelf{}, slog.New(slog.NewTextHandler(&log, nil)))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/ofrep/v1/evaluate/flags/x", http.NoBody)
	r.Header.Set("Authorization", "Bearer server")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 500 || w.Body.String() != `{"key":"x","errorCode":"GENERAL","errorDetails":"internal error"}` || !strings.Contains(log.String(), "secret detail") {
		t.Errorf("%d %s, logged %s", w.Code, w.Body, log.String())
	}
}

func TestEveryKindHasAStatus(t *testing.T) {
	for kind := fault.Invalid; kind <= fault.MediaMismatch; kind++ {
		if statuses[kind] == 0 && !slices.Contains([]fault.Kind{fault.Aborted, fault.Damaged, fault.Unimplemented}, kind) {
			t.Errorf("kind %d has no status", kind)
		}
	}
}
