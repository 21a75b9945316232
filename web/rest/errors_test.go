package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/web/rest"
)

// errorBody is the error of API.md, and nothing else.
type errorBody struct {
	Code    string
	Message string
	Details []struct {
		Type     string `json:"@type"`
		Reason   string
		Domain   string
		Metadata map[string]string
	}
}

// wantError checks every part of an error answer and returns it.
func wantError(t *testing.T, res answer, status int, code, reason string) errorBody {
	t.Helper()
	var e errorBody
	d := json.NewDecoder(strings.NewReader(res.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		t.Fatalf("%d %q: %v", res.status, res.body, err)
	}
	if res.status != status || e.Code != code || len(e.Details) != 1 || e.Details[0].Reason != reason {
		t.Errorf("answer = %d %s, want %d %s %s", res.status, res.body, status, code, reason)
	}
	if len(e.Details) == 1 && (e.Details[0].Type != "type.googleapis.com/google.rpc.ErrorInfo" || e.Details[0].Domain != "biocore" || e.Details[0].Metadata == nil) {
		t.Errorf("detail = %+v, want a whole ErrorInfo", e.Details[0])
	}
	if e.Message == "" {
		t.Error("no message")
	}
	if got := res.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q", got)
	}
	if got := res.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q", got)
	}
	return e
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	big := `{"externalId":"` + strings.Repeat("x", rest.DefaultMaxBodyBytes) + `"}`
	for _, tt := range []struct {
		name, method, target, body string
		headers                    []string
		status                     int
		code, reason               string
	}{
		{"no such path", "GET", "/v1/nothing", "", nil, 404, "not_found", "ROUTE_UNKNOWN"},
		{"no such verb", "POST", "/v1/users/u-1:explode", "", nil, 404, "not_found", "ROUTE_UNKNOWN"},
		{"an empty segment", "GET", "/v1/users//sessions", "", nil, 404, "not_found", "ROUTE_UNKNOWN"},
		{"a trailing slash", "GET", "/v1/users/", "", nil, 404, "not_found", "ROUTE_UNKNOWN"},
		{"no such method", "PUT", "/v1/users/u-1", "{}", nil, 405, "unimplemented", "METHOD_NOT_ALLOWED"},
		{"a form", "POST", "/v1/users", "externalId=u", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "invalid_argument", "MEDIA_TYPE_UNSUPPORTED"},
		{"no type", "POST", "/v1/users", "{}", []string{"Content-Type: "}, 415, "invalid_argument", "MEDIA_TYPE_UNSUPPORTED"},
		{"another charset", "POST", "/v1/users", "{}", []string{"Content-Type: application/json; charset=latin1"}, 415, "invalid_argument", "MEDIA_TYPE_UNSUPPORTED"},
		{"a compressed body", "POST", "/v1/users", "{}", []string{"Content-Encoding: gzip"}, 415, "invalid_argument", "MEDIA_TYPE_UNSUPPORTED"},
		{"too large", "POST", "/v1/users", big, nil, 413, "resource_exhausted", "REQUEST_TOO_LARGE"},
		{"not JSON", "POST", "/v1/users", `{"externalId":hunter2}`, nil, 400, "invalid_argument", "REQUEST_MALFORMED"},
		{"not an object", "POST", "/v1/users", `[]`, nil, 400, "invalid_argument", "REQUEST_MALFORMED"},
		{"two objects", "POST", "/v1/users", `{}{}`, nil, 400, "invalid_argument", "REQUEST_MALFORMED"},
		{"the wrong type", "POST", "/v1/users", `{"externalId":{"hunter2":1}}`, nil, 400, "invalid_argument", "REQUEST_MALFORMED"},
		{"a duplicate key", "POST", "/v1/users", `{"name":"a","name":"b"}`, nil, 400, "invalid_argument", "REQUEST_MALFORMED"},
		{"a duplicate unknown key", "POST", "/v1/users", `{"x":1,"x":2}`, nil, 400, "invalid_argument", "REQUEST_MALFORMED"},
		{"too deep", "POST", "/v1/users", strings.Repeat(`{"x":`, 17) + "1" + strings.Repeat("}", 17), nil, 400, "invalid_argument", "REQUEST_MALFORMED"},
		{"both of a oneof", "POST", "/v1/authentications:begin", `{"userId":"a","externalId":"b"}`, nil, 400, "invalid_argument", "REQUEST_MALFORMED"},
		{"a rule of the protos", "GET", "/v1/users?pageSize=201", "", nil, 400, "invalid_argument", "REQUEST_INVALID"},
		{"a rule of the protos, on the hot path", "POST", "/v1/authentications:finish", `{}`, nil, 400, "invalid_argument", "REQUEST_INVALID"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := wantError(t, w.do(t, tt.method, tt.target, tt.body, tt.headers...), tt.status, tt.code, tt.reason)
			if strings.Contains(e.Message, "hunter2") {
				t.Errorf("the message repeats the request: %s", e.Message)
			}
			if w.got != nil {
				t.Error("the handler was reached")
			}
		})
	}
	if log := w.log.String(); log != "" {
		t.Errorf("refusing a request logged %s", log)
	}
}

func TestAllow(t *testing.T) {
	res := newWorld(t).do(t, http.MethodPut, "/v1/users/u-1", "{}")
	if got := res.header.Get("Allow"); got != "DELETE, GET, HEAD, PATCH, OPTIONS" {
		t.Errorf("Allow = %q", got)
	}
}

func TestContentTypes(t *testing.T) {
	w := newWorld(t)
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=\"UTF-8\""} {
		if res := w.do(t, http.MethodPost, "/v1/users", `{"externalId":"u","name":"n"}`, "Content-Type: "+contentType); res.status != http.StatusOK {
			t.Errorf("%s: %d", contentType, res.status)
		}
	}
}

// Removing the status or code of any kind turns a line red.
func TestErrors(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		err           error
		status        int
		code, reason  string
		header, value string
	}{
		{fault.New(fault.Invalid, "R", "m"), 400, "invalid_argument", "R", "", ""},
		{fault.New(fault.Unauthenticated, "R", "m"), 401, "unauthenticated", "R", "Www-Authenticate", `Bearer realm="biocore"`},
		{fault.New(fault.Forbidden, "R", "m"), 403, "permission_denied", "R", "", ""},
		{fault.New(fault.NotFound, "R", "m"), 404, "not_found", "R", "", ""},
		{fault.New(fault.Conflict, "R", "m"), 409, "already_exists", "R", "", ""},
		{fault.New(fault.Precondition, "R", "m"), 400, "failed_precondition", "R", "", ""},
		{fault.New(fault.Aborted, "R", "m"), 409, "aborted", "R", "", ""},
		{fault.New(fault.TooLarge, "R", "m"), 413, "resource_exhausted", "R", "", ""},
		{fault.New(fault.Exhausted, "R", "m").WithRetryAfter(90 * time.Second), 429, "resource_exhausted", "R", "Retry-After", "90"},
		{fault.New(fault.Unavailable, "R", "m"), 503, "unavailable", "R", "Retry-After", "1"},
		{fault.New(fault.Unimplemented, "R", "m"), 501, "unimplemented", "R", "", ""},
		{fault.New(fault.MethodMismatch, "R", "m"), 405, "unimplemented", "R", "", ""},
		{fault.New(fault.MediaMismatch, "R", "m"), 415, "invalid_argument", "R", "", ""},
		{context.Canceled, 499, "canceled", "REQUEST_CANCELED", "", ""},
		{context.DeadlineExceeded, 504, "deadline_exceeded", "DEADLINE_EXCEEDED", "", ""},
		{errors.New("hunter2"), 500, "internal", "INTERNAL", "", ""},
		{connect.NewError(connect.CodeUnimplemented, "x"), 501, "unimplemented", "METHOD_UNIMPLEMENTED", "", ""},
	} {
		w.respond = func(context.Context, string, proto.Message) (proto.Message, error) { return nil, tt.err }
		res := w.do(t, http.MethodGet, "/v1/users/u-1", "")
		wantError(t, res, tt.status, tt.code, tt.reason)
		if tt.header != "" && res.header.Get(tt.header) != tt.value {
			t.Errorf("%v: %s = %q, want %q", tt.err, tt.header, res.header.Get(tt.header), tt.value)
		}
	}
	w.respond = func(context.Context, string, proto.Message) (proto.Message, error) {
		return nil, fault.New(fault.Invalid, "R", `a "quoted" message`).With("b", "\u2028").With("a", "1")
	}
	const want = `{"code":"invalid_argument","message":"a \"quoted\" message","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo",` +
		`"reason":"R","domain":"biocore","metadata":{"a":"1","b":"` + "\u2028" + `"}}]}`
	if got := w.do(t, http.MethodGet, "/v1/users/u-1", "").body; got != want {
		t.Errorf("error = %s\nwant    %s", got, want)
	}
}

// Without the mapping interceptor nothing of an error gets out.
func TestErrorsUnmapped(t *testing.T) {
	server := connect.NewServer()
	authv1connect.RegisterUserServiceHandler(server, failing{})
	h, err := rest.New(server, rest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/v1/users/u-1", nil))
	if rec.Code != http.StatusInternalServerError || rec.Body.String() != `{"code":"internal","message":"internal error","details":[]}` {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

type failing struct {
	authv1connect.UnimplementedUserServiceHandler
}

func (failing) GetUser(context.Context, *authv1.GetUserRequest) (*authv1.User, error) {
	return nil, errors.New("hunter2")
}
