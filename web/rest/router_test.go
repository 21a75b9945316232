package rest

import (
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
)

func TestRouter(t *testing.T) {
	input := (&authv1.UpdateUserRequest{}).ProtoReflect().Descriptor()
	var rt router
	for _, line := range []string{
		"GET /v1/users", "POST /v1/users", "GET /v1/users:lookup",
		"GET /v1/users/{user_id}", "PATCH /v1/users/{user_id}", "POST /v1/users/{user_id}:block",
		"GET /v1/users/me", "GET /v1/users/{user_id}/sessions", "POST /v1/users/{user_id}/sessions:revoke",
		"GET /v1/{name}/{user_id}/{external_id}/{display_name}",
	} {
		method, path, _ := strings.Cut(line, " ")
		tmpl, err := parseTemplate(path, input)
		if err != nil {
			t.Fatal(err)
		}
		if err := rt.add(&route{method: method, template: tmpl}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		path   string
		want   string // the GET or POST template that answers; empty for none
		values string // comma-separated
		allow  string
	}{
		{path: "/v1/users", want: "/v1/users", allow: "GET, HEAD, POST, OPTIONS"},
		{path: "/v1/users:lookup", want: "/v1/users:lookup", allow: "GET, HEAD, OPTIONS"},
		{path: "/v1/users/7", want: "/v1/users/{user_id}", values: "7", allow: "GET, HEAD, PATCH, OPTIONS"},
		{path: "/v1/users/me", want: "/v1/users/me", allow: "GET, HEAD, OPTIONS"},
		{path: "/v1/users/me/sessions", want: "/v1/users/{user_id}/sessions", values: "me", allow: "GET, HEAD, OPTIONS"},
		{path: "/v1/users/me:block", want: "/v1/users/{user_id}:block", values: "me", allow: "POST, OPTIONS"},
		{path: "/v1/users/a%3Ab", want: "/v1/users/{user_id}", values: "a%3Ab", allow: "GET, HEAD, PATCH, OPTIONS"},
		{path: "/v1/users/7/sessions:revoke", want: "/v1/users/{user_id}/sessions:revoke", values: "7", allow: "POST, OPTIONS"},
		{path: "/v1/users/7/a/b", want: "/v1/{name}/{user_id}/{external_id}/{display_name}", values: "users,7,a,b", allow: "GET, HEAD, OPTIONS"},
		{path: "/v1/users/7:unknown"},
		{path: "/v1/users/7:block:block"},
		{path: "/v1/users/7:"},
		{path: "/v1/users/:block"},
		{path: "/v1/users/"},
		{path: "/v1//users"},
		{path: "//v1/users"},
		{path: "/v1/users:lookup/7"},
		{path: "/v1"},
		{path: "/"},
		{path: ""},
		{path: "*"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			var values pathValues
			l := rt.find(tt.path, &values)
			if (l == nil) != (tt.want == "") {
				t.Fatalf("found %v, want %q", l, tt.want)
			}
			if l == nil {
				return
			}
			r := l.byMethod[http.MethodGet]
			if r == nil {
				r = l.byMethod[http.MethodPost]
			}
			if r.template.String() != tt.want || l.allow != tt.allow {
				t.Errorf("found %s (Allow: %s), want %s (%s)", r.template, l.allow, tt.want, tt.allow)
			}
			if got := strings.Join(values.raw[:values.n], ","); got != tt.values {
				t.Errorf("values = %q, want %q", got, tt.values)
			}
		})
	}
}

func TestRouterRefusesTwoOfTheSame(t *testing.T) {
	var rt router
	input := (&authv1.UpdateUserRequest{}).ProtoReflect().Descriptor()
	for i, path := range []string{"/v1/users/{user_id}", "/v1/users/{external_id}"} {
		tmpl, err := parseTemplate(path, input)
		if err != nil {
			t.Fatal(err)
		}
		err = rt.add(&route{method: http.MethodGet, template: tmpl, spec: connect.Spec{Procedure: "/a.B/C"}})
		if (err != nil) != (i == 1) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestParseTemplateRefuses(t *testing.T) {
	input := (&authv1.BeginRegistrationRequest{}).ProtoReflect().Descriptor()
	for name, path := range map[string]string{
		"no slash":              "v1/users",
		"no such field":         "/v1/{nobody}",
		"not a scalar":          "/v1/{authenticator_selection}",
		"beyond a scalar":       "/v1/{user_id.id}",
		"several segments":      "/v1/{user_id=users/*}",
		"the rest of the path":  "/v1/{user_id=**}",
		"an empty segment":      "/v1//users",
		"an empty verb":         "/v1/users:",
		"a wildcard":            "/v1/*",
		"too many variables":    "/{user_id}/{user_id}/{user_id}/{user_id}/{user_id}",
		"half a variable":       "/v1/{user_id",
		"a literal and a value": "/v1/user-{user_id}",
	} {
		if _, err := parseTemplate(path, input); err == nil {
			t.Errorf("%s: %q was taken", name, path)
		}
	}
	if _, err := parseTemplate("/v1/{user.external_id}:verb", input); err != nil {
		t.Errorf("a nested field: %v", err)
	}
}
