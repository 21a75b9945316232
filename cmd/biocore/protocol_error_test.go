package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/biocore-id/biocore/db/dbtest"
	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
)

// refusalsLeave are the tables in which a refusal may leave a trace: its audit entry,
// and when the key was last used.
var refusalsLeave = append([]string{"audit_records", "api_keys", "ceremonies"}, movedByJobs...)

// refused is what a client reads of an error.
type refused struct {
	code     connect.Code
	reason   string
	metadata map[string]string
}

// refusal reads it, and insists on the form that docs/errors.md promises.
func refusal(t testing.TB, err error) refused {
	t.Helper()
	var e *connect.Error
	if !errors.As(err, &e) || !e.IsRemote() {
		t.Fatalf("error = %v, want one of the server's", err)
	}
	if len(e.Details()) != 1 || e.Message() == "" {
		t.Fatalf("error %v has %d details, want a message and one detail", err, len(e.Details()))
	}
	detail, err := connectproto.UnmarshalErrorDetail(e.Details()[0])
	info, ok := detail.(*errdetails.ErrorInfo)
	if err != nil || !ok || info.GetDomain() != "biocore" {
		t.Fatalf("detail = %v, %v, want google.rpc.ErrorInfo of the domain biocore", detail, err)
	}
	return refused{code: e.Code(), reason: info.GetReason(), metadata: info.GetMetadata()}
}

// An error has the same code, reason and metadata over every protocol, and the id
// that leads to the log.
func TestEveryProtocolRefusesAlike(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	nobody := uuid.NewString()
	used := uuid.NewString()
	w.must(t, "POST", "/v1/users", c.secret, map[string]any{"externalId": "bob", "name": "bob"}, "Idempotency-Key", used)
	conn := w.store.Superuser(t)
	before := fingerprint(t, conn, c.id, refusalsLeave...)

	for _, tt := range []struct {
		name    string
		key     string
		headers []string
		call    func(context.Context, api) error
		want    refused
	}{
		{"no key", "", nil, getUser(nobody), refused{connect.CodeUnauthenticated, "CREDENTIALS_MISSING", nil}},
		{"a made-up key", "bk_live_0000", nil, getUser(nobody), refused{connect.CodeUnauthenticated, "API_KEY_INVALID", nil}},
		{"a browser's key", c.publishable, nil, getUser(nobody), refused{connect.CodePermissionDenied, "API_KEY_KIND_NOT_ALLOWED", nil}},
		{"a browser elsewhere", c.publishable, []string{"Origin", "https://evil.example"}, begin, refused{connect.CodePermissionDenied, "ORIGIN_NOT_ALLOWED", nil}},
		{"nobody's id", c.secret, nil, getUser(nobody), refused{connect.CodeNotFound, "USER_UNKNOWN", nil}},
		{"what is no id", c.secret, nil, getUser("alice"), refused{connect.CodeNotFound, "USER_UNKNOWN", nil}},
		{"a rule broken", c.secret, nil, getUser(strings.Repeat("x", 65)), refused{connect.CodeInvalidArgument, "REQUEST_INVALID", map[string]string{"userId": "must be at most 64 characters"}}},
		{"a user who exists", c.secret, nil, createUser("alice"), refused{connect.CodeAlreadyExists, "USER_EXISTS", nil}},
		{"a state in the way", c.secret, nil, func(ctx context.Context, a api) error {
			_, err := a.credential.RevokeCredential(ctx, &authv1.RevokeCredentialRequest{CredentialId: c.credential})
			return err
		}, refused{connect.CodeFailedPrecondition, "LAST_CREDENTIAL", nil}},
		{"an etag of yesterday", c.secret, []string{"If-Match", `"99"`}, func(ctx context.Context, a api) error {
			_, err := a.user.UpdateUser(ctx, &authv1.UpdateUserRequest{UserId: c.user, Name: new("x")})
			return err
		}, refused{connect.CodeAborted, "ETAG_MISMATCH", nil}},
		{"an idempotency key for another body", c.secret, []string{"Idempotency-Key", used}, createUser("carol"), refused{connect.CodeAlreadyExists, "IDEMPOTENCY_KEY_REUSED", nil}},
		{"an idempotency key too long", c.secret, []string{"Idempotency-Key", strings.Repeat("k", 256)}, createUser("carol"), refused{connect.CodeInvalidArgument, "IDEMPOTENCY_KEY_MALFORMED", nil}},
		{"a signature of nobody", c.secret, nil, func(ctx context.Context, a api) error {
			_, err := a.authentication.FinishAuthentication(ctx, &authv1.FinishAuthenticationRequest{
				AuthenticationId: "AAAA", Credential: &authv1.AuthenticationCredential{
					Id: "AAAA", RawId: "AAAA", Type: "public-key",
					Response: &authv1.AuthenticatorAssertionResponse{ClientDataJson: "AAAA", AuthenticatorData: "AAAA", Signature: "AAAA"},
				},
			})
			return err
		}, refused{connect.CodeInvalidArgument, "CHALLENGE_UNKNOWN", nil}},
		{"64 KiB and more", c.secret, nil, createUser(strings.Repeat("x", 64<<10)), refused{connect.CodeResourceExhausted, "REQUEST_TOO_LARGE", nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, transport := range w.protocols(t) {
				ctx, info := keyed(t.Context(), tt.key, tt.headers...)
				got := refusal(t, tt.call(ctx, newAPI(transport)))
				if got.code != tt.want.code || got.reason != tt.want.reason || (tt.want.metadata != nil && !maps.Equal(got.metadata, tt.want.metadata)) {
					t.Errorf("%s: %+v, want %+v", name, got, tt.want)
				}
				if id := info.ResponseHeader().Get("X-Request-Id"); len(id) != 32 {
					t.Errorf("%s: request id %q", name, id)
				}
			}
		})
	}
	if after := fingerprint(t, conn, c.id, refusalsLeave...); after != before {
		t.Errorf("what was refused left something behind:\n%s\n%s", before, after)
	}
}

// Whoever is refused for an outage is told when to come back, over every protocol.
func TestEveryProtocolSaysWhenToComeBack(t *testing.T) {
	redis := dbtest.OwnRedis(t)
	store := dbtest.Fresh(t)
	w := startWorld(t, store, testConfig(t, store, redis.URL()))
	c := w.tenant(t, "acme")
	redis.Stop(t)
	for name, transport := range w.protocols(t) {
		ctx, info := keyed(t.Context(), c.secret)
		_, err := newAPI(transport).registration.BeginRegistration(ctx, &authv1.BeginRegistrationRequest{
			Subject: &authv1.BeginRegistrationRequest_User{User: &authv1.UserDescriptor{ExternalId: "alice", Name: "alice"}},
		})
		if got := refusal(t, err); got.code != connect.CodeUnavailable || got.reason != "REDIS_UNAVAILABLE" {
			t.Errorf("%s: %+v", name, got)
		}
		if after := info.ResponseHeader().Get("Retry-After") + info.ResponseTrailer().Get("Retry-After"); after != "2" {
			t.Errorf("%s: Retry-After %q", name, after)
		}
	}
}

func getUser(id string) func(context.Context, api) error {
	return func(ctx context.Context, a api) error {
		_, err := a.user.GetUser(ctx, &authv1.GetUserRequest{UserId: id})
		return err
	}
}

func createUser(external string) func(context.Context, api) error {
	return func(ctx context.Context, a api) error {
		_, err := a.user.CreateUser(ctx, &authv1.CreateUserRequest{ExternalId: external, Name: "x"})
		return err
	}
}

func begin(ctx context.Context, a api) error {
	_, err := a.authentication.BeginAuthentication(ctx, &authv1.BeginAuthenticationRequest{})
	return err
}

// One idempotency key is one call, whatever protocol it is repeated over.
func TestIdempotencyKeyCrossesProtocols(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	key := uuid.NewString()
	ids, requests := map[string]bool{}, map[string]bool{}
	for name, transport := range w.protocols(t) {
		// The client's request id is its own business: it must not choose what our log says.
		ctx, info := keyed(t.Context(), c.secret, "Idempotency-Key", key, "X-Request-Id", "chosen-by-the-client")
		u, err := newAPI(transport).user.CreateUser(ctx, &authv1.CreateUserRequest{ExternalId: "alice", Name: "alice"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ids[u.GetId()], requests[info.ResponseHeader().Get("X-Request-Id")] = true, true
	}
	if len(ids) != 1 || len(requests) != len(w.protocols(t)) || requests["chosen-by-the-client"] {
		t.Errorf("users %v, want one; request ids %v, want one of ours for each call", slices.Collect(maps.Keys(ids)), slices.Collect(maps.Keys(requests)))
	}
	if n := w.auditCount(t, c.id, "user.create"); n != 1 {
		t.Errorf("%d users were created", n)
	}
}

// A message of 64 KiB is read, and so judged by its fields; one byte more is not, and
// neither is what only becomes large when it is unpacked.
func TestRequestLimit(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	const procedure = "/biocore.auth.v1.UserService/CreateUser"
	jsonOf := func(size int) []byte {
		return []byte(`{"externalId":"` + strings.Repeat("x", size-len(`{"externalId":""}`)) + `"}`)
	}
	protoOf := func(size int) []byte { // field 1, a length of three bytes, the value
		n := size - 4
		return append(binary.AppendUvarint([]byte{0x0a}, uint64(n)), bytes.Repeat([]byte("x"), n)...)
	}
	framed := func(of func(int) []byte) func(int) []byte {
		return func(size int) []byte { // one flag, four bytes of length, the message
			m := of(size)
			return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m))), m...)
		}
	}
	for _, tt := range []struct {
		name, path, contentType string
		body                    func(size int) []byte
	}{
		{"REST", "/v1/users", "application/json", jsonOf},
		{"Connect JSON", procedure, "application/json", jsonOf},
		{"Connect", procedure, "application/proto", protoOf},
		{"gRPC-Web", procedure, "application/grpc-web+proto", framed(protoOf)},
		{"gRPC", procedure, "application/grpc+proto", framed(protoOf)},
	} {
		for size, want := range map[int]string{64 << 10: "REQUEST_INVALID", 64<<10 + 1: "REQUEST_TOO_LARGE", 1 << 20: "REQUEST_TOO_LARGE"} {
			reason, status := w.post(t, tt.path, c.secret, tt.contentType, tt.body(size))
			if !strings.Contains(reason, want) {
				t.Errorf("%s, %d bytes: status %d, %q, want %s", tt.name, size, status, reason, want)
			}
			if tt.name == "REST" && want == "REQUEST_TOO_LARGE" && status != http.StatusRequestEntityTooLarge {
				t.Errorf("REST, %d bytes: status %d, want 413", size, status)
			}
		}
	}
	for name, transport := range map[string]connect.Transport{
		"Connect": connecthttp.NewTransport(http.DefaultClient, w.url, connecthttp.WithSendGzip()),
		"gRPC":    connecthttp.NewTransport(h2c(t), w.url, connecthttp.WithGRPC(), connecthttp.WithSendGzip()),
	} {
		ctx, _ := keyed(t.Context(), c.secret)
		if got := refusal(t, createUser(strings.Repeat("x", 4<<20))(ctx, newAPI(transport))); got.reason != "REQUEST_TOO_LARGE" {
			t.Errorf("%s, 4 MiB in 4 KiB of gzip: %+v", name, got)
		}
	}
}

// h2c is a client of HTTP/2 without TLS.
func h2c(t testing.TB) *http.Client {
	t.Helper()
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: p}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// post sends a body as it is; the reason is somewhere in what it returns.
func (w *world) post(t testing.TB, path, key, contentType string, body []byte) (answer string, status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	client := http.DefaultClient
	if strings.HasPrefix(contentType, "application/grpc+") {
		client = h2c(t)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	details := res.Header.Get("Grpc-Status-Details-Bin") + res.Trailer.Get("Grpc-Status-Details-Bin")
	if _, bin, ok := strings.Cut(strings.ToLower(string(raw)), "grpc-status-details-bin: "); ok { // gRPC-Web ends its body with the trailers
		i := len(raw) - len(bin)
		details, _, _ = strings.Cut(string(raw[i:]), "\r\n")
	}
	if details != "" {
		if raw, err = connect.DecodeBinaryHeader(details); err != nil {
			t.Fatal(err)
		}
	}
	// Connect's details are base64 of the same message.
	if _, value, ok := strings.Cut(string(raw), `"value":"`); ok {
		value, _, _ = strings.Cut(value, `"`)
		if plain, err := connect.DecodeBinaryHeader(value); err == nil {
			raw = plain
		}
	}
	return string(raw), res.StatusCode
}
