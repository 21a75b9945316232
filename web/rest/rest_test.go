package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/web/rest"
)

// golden compares got with a file of testdata; UPDATE=1 rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (UPDATE=1 rewrites it):\n%s", path, got)
	}
}

// The routing table is the API: API.md, the clients and the docs name its lines.
func TestRoutes(t *testing.T) {
	var b strings.Builder
	for _, r := range newWorld(t).handler.Routes() {
		b.WriteString(r.Method + " " + r.Path + " " + r.Procedure + "\n")
	}
	golden(t, "routes.txt", b.String())
}

func TestRequests(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name, method, target, body string
		want                       string // the message that reaches the handler
	}{
		{"a body", "POST", "/v1/users", `{"externalId":"u-1","name":"Ana","displayName":""}`,
			`{"externalId":"u-1","name":"Ana","displayName":""}`},
		{"unknown fields are ignored", "POST", "/v1/users", `{"externalId":"u-1","name":"Ana","later":{"a":[1]}}`,
			`{"externalId":"u-1","name":"Ana"}`},
		{"no body is an empty one", "POST", "/v1/authentications:begin", ``, `{}`},
		{"a path variable", "GET", "/v1/users/u-1", ``, `{"userId":"u-1"}`},
		{"a path variable, escaped", "GET", "/v1/users/a%2Fb%3Ac%20%C3%BC", ``, `{"userId":"a/b:c ü"}`},
		{"the path wins over the body", "POST", "/v1/users/u-1:block", `{"userId":"u-2","reason":"lost"}`, `{"userId":"u-1","reason":"lost"}`},
		{"query parameters", "GET", "/v1/users?pageSize=3&pageToken=abc&filter=state%20%3D%20ACTIVE&later=1", ``,
			`{"pageSize":3,"pageToken":"abc","filter":"state = ACTIVE"}`},
		{"query parameters by their other name", "GET", "/v1/users?page_size=3", ``, `{"pageSize":3}`},
		{"a verb with a query", "GET", "/v1/users:lookup?externalId=u%2B1", ``, `{"externalId":"u+1"}`},
		{"the path and the query", "GET", "/v1/users/u-1/sessions?pageSize=200", ``, `{"userId":"u-1","pageSize":200}`},
		{"a parameter does not replace the path", "GET", "/v1/users/u-1?userId=u-2", ``, `{"userId":"u-1"}`},
		{"parameters beside a whole body are ignored", "POST", "/v1/users/u-1:block?reason=x", `{}`, `{"userId":"u-1"}`},
		{"PATCH of one field", "PATCH", "/v1/users/u-1", `{"name":"Ana"}`, `{"userId":"u-1","name":"Ana"}`},
		{"PATCH to empty is not PATCH of nothing", "PATCH", "/v1/users/u-1", `{"displayName":""}`, `{"userId":"u-1","displayName":""}`},
		{"PATCH of nothing", "PATCH", "/v1/users/u-1", `{}`, `{"userId":"u-1"}`},
		{"null is absent", "PATCH", "/v1/users/u-1", `{"name":null}`, `{"userId":"u-1"}`},
		{"DELETE", "DELETE", "/v1/users/u-1", ``, `{"userId":"u-1"}`},
		{"a nested message", "POST", "/v1/registrations:begin", `{"user":{"externalId":"u","name":"n"},"authenticatorSelection":{"residentKey":"required"}}`,
			`{"user":{"externalId":"u","name":"n"},"authenticatorSelection":{"residentKey":"required"}}`},
		{"the admin plane", "POST", "/admin/v1/tenants", `{"slug":"acme","name":"Acme","mode":"TEST","rpId":"localhost","origins":["http://localhost:8080"]}`,
			`{"slug":"acme","name":"Acme","mode":"TEST","rpId":"localhost","origins":["http://localhost:8080"]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := w.do(t, tt.method, tt.target, tt.body)
			if res.status != http.StatusOK || w.got == nil {
				t.Fatalf("%d %s", res.status, res.body)
			}
			want := w.got.ProtoReflect().New().Interface()
			if err := protojson.Unmarshal([]byte(tt.want), want); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(w.got, want) {
				t.Errorf("handler got %v, want %v", w.got, want)
			}
		})
	}
}

func TestShapes(t *testing.T) {
	w := newShapes(t)
	for _, tt := range []struct {
		name, method, target, body string
		want                       string // "" for a refusal
	}{
		{"a body that is one message", "PUT", "/shape/v1/shapes/s1/inner?count=4&tags=x", `{"firstName":"Ana","inner":{"age":3}}`,
			`{"id":"s1","count":4,"tags":["x"],"inner":{"firstName":"Ana","inner":{"age":3}}}`},
		{"a body that is one list", "PUT", "/shape/v1/shapes/s1/tags", ` ["a","b"] `, `{"id":"s1","tags":["a","b"]}`},
		{"the body's field is not for the query", "PUT", "/shape/v1/shapes/s1/tags?tags=q", `["a"]`, `{"id":"s1","tags":["a"]}`},
		{"a body cannot reach beyond its field", "PUT", "/shape/v1/shapes/s1/tags", `["a"],"count":4`, ``},
		{"a body of the wrong kind", "PUT", "/shape/v1/shapes/s1/inner", `"Ana"`, ``},
		{"nested and repeated parameters", "GET", "/shape/v1/shapes?inner.firstName=Ana&inner.inner.age=-3&tags=a&tags=b", ``,
			`{"inner":{"firstName":"Ana","inner":{"age":-3}},"tags":["a","b"]}`},
		{"every type", "GET", "/shape/v1/shapes?count=-2147483648&bigCount=4294967295&flag=true&color=RED&colors=RED&colors=COLOR_UNSPECIFIED&at=2030-01-02T03:04:05Z", ``,
			`{"count":-2147483648,"bigCount":4294967295,"flag":true,"color":"RED","colors":["RED","COLOR_UNSPECIFIED"],"at":"2030-01-02T03:04:05Z"}`},
		{"a second binding", "GET", "/shape/v1/Ana/shapes/3?inner.age=4", ``, `{"inner":{"firstName":"Ana","age":4},"count":3}`},
		{"one side", "GET", "/shape/v1/shapes?left=a", ``, `{"left":"a"}`},
		{"both sides", "GET", "/shape/v1/shapes?left=a&right=b", ``, ``},
		{"a message is not one text", "GET", "/shape/v1/shapes?inner=x", ``, `{}`},
		{"nothing under a scalar", "GET", "/shape/v1/shapes?count.x=1", ``, `{}`},
		{"twice", "GET", "/shape/v1/shapes?count=1&count=2", ``, ``},
		{"not a number", "GET", "/shape/v1/shapes?count=x", ``, ``},
		{"too large a number", "GET", "/shape/v1/shapes?bigCount=4294967296", ``, ``},
		{"not a name", "GET", "/shape/v1/shapes?color=1", ``, ``},
		{"not a truth", "GET", "/shape/v1/shapes?flag=yes", ``, ``},
		{"not a time", "GET", "/shape/v1/shapes?at=noon", ``, ``},
		{"not UTF-8", "GET", "/shape/v1/shapes?id=%FF", ``, ``},
		{"not UTF-8 in the path", "PUT", "/shape/v1/shapes/%FF/tags", `[]`, ``},
		{"a broken encoding", "GET", "/shape/v1/shapes?id=%zz", ``, ``},
		{"too long", "GET", "/shape/v1/shapes?id=" + strings.Repeat("x", 8<<10), ``, ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := w.do(t, tt.method, tt.target, tt.body)
			if tt.want == "" {
				wantError(t, res, http.StatusBadRequest, "invalid_argument", "REQUEST_MALFORMED")
				return
			}
			if res.status != http.StatusOK {
				t.Fatalf("%d %s", res.status, res.body)
			}
			want := w.got.ProtoReflect().New().Interface()
			if err := protojson.Unmarshal([]byte(tt.want), want); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(w.got, want) {
				t.Errorf("handler got %v, want %v", w.got, want)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	w := newWorld(t)
	extensions, err := structpb.NewStruct(map[string]any{"credProps": true})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, method, target, body string
		answer                     proto.Message
		want                       string
	}{
		{"empty fields are emitted, absent ones are not", "GET", "/v1/users/u-1", "", &authv1.User{Id: "u-1", State: authv1.User_ACTIVE},
			`{"id":"u-1","externalId":"","name":"","state":"ACTIVE","etag":""}`},
		{"an empty text is there", "DELETE", "/v1/users/u-1", "", &authv1.DeleteUserResponse{}, `{"erasureId":""}`},
		{"an empty list is a list", "GET", "/v1/users", "", &authv1.ListUsersResponse{}, `{"users":[],"nextPageToken":""}`},
		{"a bad token is no error", "POST", "/v1/sessions:verify", `{"accessToken":"x"}`, &authv1.VerifySessionResponse{}, `{"active":false}`},
		{"inside options absent stays absent", "POST", "/v1/registrations:begin", `{"userId":"u"}`, &authv1.BeginRegistrationResponse{
			RegistrationId: "r",
			Options: &authv1.PublicKeyCredentialCreationOptions{
				Rp:               &authv1.PublicKeyCredentialRpEntity{Name: "Bank"},
				User:             &authv1.PublicKeyCredentialUserEntity{Id: "dQ", Name: "ana"},
				Challenge:        "Y2g",
				PubKeyCredParams: []*authv1.PublicKeyCredentialParameters{{Type: "public-key", Alg: -7}},
				Extensions:       extensions,
			},
		}, `{"registrationId":"r","options":{"rp":{"name":"Bank"},"user":{"id":"dQ","name":"ana","displayName":""},"challenge":"Y2g",` +
			`"pubKeyCredParams":[{"type":"public-key","alg":-7}],"extensions":{"credProps":true}}}`},
		{"nothing but options", "POST", "/v1/registrations:begin", `{"userId":"u"}`, &authv1.BeginRegistrationResponse{},
			`{"registrationId":""}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.respond = func(context.Context, string, proto.Message) (proto.Message, error) { return tt.answer, nil }
			res := w.do(t, tt.method, tt.target, tt.body)
			if res.status != http.StatusOK || res.body != tt.want {
				t.Errorf("%d %s\nwant %s", res.status, res.body, tt.want)
			}
			if length := res.header.Get("Content-Length"); length != strconv.Itoa(len(res.body)) {
				t.Errorf("Content-Length = %s, want %d", length, len(res.body))
			}
		})
	}
}

func TestETag(t *testing.T) {
	w := newWorld(t)
	w.respond = func(context.Context, string, proto.Message) (proto.Message, error) {
		return &authv1.User{Id: "u-1", Etag: "3f2a"}, nil
	}
	for _, tt := range []struct {
		method, ifNoneMatch string
		want                int
	}{
		{http.MethodGet, ``, 200},
		{http.MethodGet, `"3f2a"`, 304},
		{http.MethodGet, `W/"3f2a"`, 304},
		{http.MethodGet, `"77", "3f2a"`, 304},
		{http.MethodGet, `*`, 304},
		{http.MethodGet, `"77"`, 200},
		{http.MethodGet, `3f2a`, 200},
		{http.MethodHead, `"3f2a"`, 304},
		{http.MethodPatch, `"3f2a"`, 200},
	} {
		res := w.do(t, tt.method, "/v1/users/u-1", "", "If-None-Match: "+tt.ifNoneMatch)
		if res.status != tt.want || res.header.Get("ETag") != `"3f2a"` {
			t.Errorf("%s If-None-Match %s: %d, ETag %s, want %d", tt.method, tt.ifNoneMatch, res.status, res.header.Get("ETag"), tt.want)
		}
		if tt.want == http.StatusNotModified && res.body != "" {
			t.Errorf("304 with %q", res.body)
		}
	}
}

// Over real connections: HEAD has the headers of GET and no body, a body over
// the limit is refused without being read to its end.
func TestOverHTTP(t *testing.T) {
	w := newWorld(t)
	w.respond = func(context.Context, string, proto.Message) (proto.Message, error) {
		return &authv1.User{Id: "u-1", Etag: "e"}, nil
	}
	ts := httptest.NewServer(w.handler)
	t.Cleanup(ts.Close)

	get, head := send(t, http.MethodGet, ts.URL+"/v1/users/u-1", nil), send(t, http.MethodHead, ts.URL+"/v1/users/u-1", nil)
	if head.header.Get("Content-Length") != strconv.Itoa(len(get.body)) || head.header.Get("ETag") != get.header.Get("ETag") || head.body != "" {
		t.Errorf("HEAD: %+v, want the headers of GET and no body", head)
	}

	// Chunked, so that only reading shows that it is too large.
	res := send(t, http.MethodPost, ts.URL+"/v1/users", endless{})
	wantError(t, res, http.StatusRequestEntityTooLarge, "resource_exhausted", "REQUEST_TOO_LARGE")
}

// endless is a body without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// What a handler sees of the call, whichever transport brought it.
func TestCallInfo(t *testing.T) {
	w := newWorld(t)
	w.respond = func(ctx context.Context, _ string, _ proto.Message) (proto.Message, error) {
		info, _ := connect.CallInfoForServerContext(ctx)
		info.ResponseHeader().Set("X-Answer", info.RequestHeader().Get("x-question")+" "+info.Protocol+" "+info.Codec+" "+info.PeerAddr)
		info.ResponseHeader().Set("Cache-Control", "max-age=60")
		return &authv1.User{}, nil
	}
	res := w.do(t, http.MethodPost, "/v1/users", `{"externalId":"u","name":"n"}`, "X-Question: why")
	if got := res.header.Get("X-Answer"); got != "why rest json 192.0.2.1:1234" {
		t.Errorf("X-Answer = %q", got)
	}
	if got := res.header.Get("Cache-Control"); got != "max-age=60" {
		t.Errorf("Cache-Control = %q, want the handler's", got)
	}
}

// Who is refused by an interceptor costs no reading and no decoding.
func TestInterceptorsRunFirst(t *testing.T) {
	server := connect.NewServer(func(connect.ServerFunc) connect.ServerFunc {
		return func(context.Context, connect.Spec, connect.ServerStream) error {
			return connect.NewError(connect.CodeUnauthenticated, "who are you")
		}
	})
	authv1connect.RegisterUserServiceHandler(server, failing{})
	h, err := rest.New(server, rest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/v1/users", unread{t})
	r.ContentLength = -1
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != http.StatusUnauthorized {
		t.Errorf("status %d, want 401", rec.Code)
	}
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, errors.New("unread")
}

// Whatever comes in, what goes out is JSON with a status of the API.
func FuzzServeHTTP(f *testing.F) {
	w := newWorld(f)
	shapes := newShapes(f)
	for _, seed := range [][3]string{
		{"POST", "/v1/users", `{"externalId":"u","name":"n"}`},
		{"GET", "/v1/users?pageSize=3&filter=x%20=%20y", ``},
		{"PATCH", "/v1/users/u%2f1", `{"name":null}`},
		{"POST", "/v1/authentications:finish", `{"credential":{"response":{}}}`},
		{"PUT", "/shape/v1/shapes/s/inner?tags=a&inner.age=1", `{"age":1}`},
		{"GET", "/shape/v1/shapes?inner.inner.inner.age=1&at=2030-01-02T03:04:05Z&colors=RED", ``},
		{"HEAD", "/v1/users/:block", ``},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, method, target, body string) {
		r, err := http.NewRequest(method, "http://host"+target, strings.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		for _, h := range []http.Handler{w.handler, shapes.handler} {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r.Clone(t.Context()))
			switch rec.Code {
			case 200, 400, 404, 405, 413, 415:
			default:
				t.Fatalf("%s %s %q: %d %s", method, target, body, rec.Code, rec.Body)
			}
			if !json.Valid(rec.Body.Bytes()) {
				t.Fatalf("%s %s %q: not JSON: %q", method, target, body, rec.Body)
			}
		}
	})
}

// BenchmarkServe is a finish, whole but for the network and the domain.
func BenchmarkServe(b *testing.B) {
	w := newWorld(b)
	w.respond = func(context.Context, string, proto.Message) (proto.Message, error) {
		return &authv1.FinishAuthenticationResponse{User: &authv1.User{Id: "u"}, Session: &authv1.Session{AccessToken: new(strings.Repeat("x", 600))}}, nil
	}
	body := `{"authenticationId":"` + strings.Repeat("a", 200) + `","credential":{"id":"a","rawId":"a","type":"public-key","clientExtensionResults":{},` +
		`"response":{"clientDataJSON":"` + strings.Repeat("c", 180) + `","authenticatorData":"YQ","signature":"` + strings.Repeat("s", 96) + `","userHandle":"aaaa"}}}`
	r := httptest.NewRequest(http.MethodPost, "/v1/authentications:finish", nil)
	r.Header = http.Header{
		"Content-Type": {"application/json"}, "Authorization": {"Bearer bk_test_x"}, "User-Agent": {"Mozilla/5.0"},
		"Accept": {"*/*"}, "Origin": {"https://bank.example"}, "Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	}
	r.ContentLength = int64(len(body))
	out := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		r.Body = readCloser{strings.NewReader(body)}
		clear(out.header)
		w.handler.ServeHTTP(out, r)
		if out.status != http.StatusOK {
			b.Fatal(out.status)
		}
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
