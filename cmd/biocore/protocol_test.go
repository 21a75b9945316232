package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
)

// protocols are the ways to say the same.
func (w *world) protocols(t testing.TB) map[string]connect.Transport {
	t.Helper()
	h1, h2 := new(http.Protocols), new(http.Protocols)
	h1.SetHTTP1(true)
	h2.SetUnencryptedHTTP2(true)
	one, two := &http.Transport{Protocols: h1}, &http.Transport{Protocols: h2}
	t.Cleanup(one.CloseIdleConnections)
	t.Cleanup(two.CloseIdleConnections)
	c1, c2 := &http.Client{Transport: one, Timeout: 15 * time.Second}, &http.Client{Transport: two, Timeout: 15 * time.Second}
	return map[string]connect.Transport{
		"Connect JSON":     connecthttp.NewTransport(c1, w.url, connecthttp.WithProtoJSON()),
		"Connect":          connecthttp.NewTransport(c2, w.url),
		"Connect, GET":     connecthttp.NewTransport(c1, w.url, connecthttp.WithHTTPGet()),
		"gRPC":             connecthttp.NewTransport(c2, w.url, connecthttp.WithGRPC()),
		"gRPC, gzip":       connecthttp.NewTransport(c2, w.url, connecthttp.WithGRPC(), connecthttp.WithSendGzip()),
		"gRPC JSON":        connecthttp.NewTransport(c2, w.url, connecthttp.WithGRPC(), connecthttp.WithProtoJSON()),
		"gRPC-Web":         connecthttp.NewTransport(c1, w.url, connecthttp.WithGRPCWeb()),
		"gRPC-Web, HTTP/2": connecthttp.NewTransport(c2, w.url, connecthttp.WithGRPCWeb()),
		"REST":             restTransport{w.url},
	}
}

// api is the generated clients over one protocol.
type api struct {
	registration   authv1connect.RegistrationServiceClient
	authentication authv1connect.AuthenticationServiceClient
	user           authv1connect.UserServiceClient
	credential     authv1connect.CredentialServiceClient
	session        authv1connect.SessionServiceClient
}

func newAPI(transport connect.Transport) api {
	c := connect.NewClient(transport)
	return api{
		authv1connect.NewRegistrationServiceClient(c), authv1connect.NewAuthenticationServiceClient(c),
		authv1connect.NewUserServiceClient(c), authv1connect.NewCredentialServiceClient(c), authv1connect.NewSessionServiceClient(c),
	}
}

// keyed is a context for one call with an API key; headers are name, value pairs.
func keyed(ctx context.Context, key string, headers ...string) (context.Context, *connect.CallInfo) {
	ctx, info := connect.NewClientContext(ctx)
	if key != "" {
		info.RequestHeader().Set("Authorization", "Bearer "+key)
	}
	if strings.HasPrefix(key, "pk_") {
		info.RequestHeader().Set("Origin", origin)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		info.RequestHeader().Set(headers[i], headers[i+1])
	}
	return ctx, info
}

// Registration, sign-in, exchange and all that one can ask of users, credentials and
// sessions: the same answers over every protocol, by clients that are generated.
func TestEveryProtocolTellsTheSameStory(t *testing.T) {
	w := newWorld(t)
	transports := w.protocols(t)
	stories := map[string][]string{}
	for i, name := range slices.Sorted(maps.Keys(transports)) {
		t.Run(name, func(t *testing.T) {
			stories[name] = tell(t, newAPI(transports[name]), w.tenant(t, fmt.Sprintf("tenant-%d", i)))
		})
	}
	for name, story := range stories {
		if len(story) == 0 {
			t.Errorf("%s tells nothing", name)
		}
		if diff := cmp.Diff(stories["Connect"], story); diff != "" {
			t.Errorf("%s tells another story than Connect (-Connect +%s):\n%s", name, name, diff)
		}
	}
}

// teller calls one method after the other, and keeps what was answered.
type teller struct {
	*testing.T
	slug, key string
	story     []string
}

// ask calls a method that must succeed.
func ask[Req, Res proto.Message](t *teller, method func(context.Context, Req) (Res, error), req Req) Res {
	t.Helper()
	ctx, info := keyed(t.Context(), t.key)
	res, err := method(ctx, req)
	if err != nil {
		t.Fatalf("%T: %v", req, err)
	}
	if id := info.ResponseHeader().Get("X-Request-Id"); len(id) != 32 {
		t.Errorf("%T: request id %q", req, id)
	}
	t.story = append(t.story, fmt.Sprintf("%T %s", res, strings.ReplaceAll(plain(t, res), t.slug, "…")))
	return res
}

func tell(t *testing.T, c api, who *customer) []string {
	t.Helper()
	on := &teller{T: t, slug: who.slug, key: who.secret}
	create := func(options proto.Message) *authv1.RegistrationCredential {
		t.Helper()
		made, err := who.authenticator.Create(wire(t, options), origin)
		if err != nil {
			t.Fatal(err)
		}
		return parsed(t, marshal(t, made), &authv1.RegistrationCredential{})
	}
	get := func(options proto.Message) *authv1.AuthenticationCredential {
		t.Helper()
		signed, err := who.authenticator.Get(wire(t, options), origin)
		if err != nil {
			t.Fatal(err)
		}
		return parsed(t, marshal(t, signed), &authv1.AuthenticationCredential{})
	}

	begun := ask(on, c.registration.BeginRegistration, &authv1.BeginRegistrationRequest{
		Subject: &authv1.BeginRegistrationRequest_User{User: &authv1.UserDescriptor{ExternalId: "alice", Name: "alice@example.com", DisplayName: new("Älice ✓")}},
	})
	enrolled := ask(on, c.registration.FinishRegistration, &authv1.FinishRegistrationRequest{
		RegistrationId: begun.GetRegistrationId(), Credential: create(begun.GetOptions()), Nickname: new("Grüner Schlüssel"),
	})
	user, credential := enrolled.GetUser().GetId(), enrolled.GetCredential().GetId()

	// With the server key, by name.
	in := ask(on, c.authentication.BeginAuthentication, &authv1.BeginAuthenticationRequest{
		Subject: &authv1.BeginAuthenticationRequest_ExternalId{ExternalId: "alice"}, Purpose: new("checkout"),
	})
	done := ask(on, c.authentication.FinishAuthentication, &authv1.FinishAuthenticationRequest{
		AuthenticationId: in.GetAuthenticationId(), Credential: get(in.GetOptions()),
	})
	if done.GetDecision() != authv1.FinishAuthenticationResponse_ALLOW || done.GetSession().GetAccessToken() == "" {
		t.Fatalf("sign-in: %v", done)
	}
	// With the publishable key, discoverable, for a code; the server trades it.
	on.key = who.publishable
	in = ask(on, c.authentication.BeginAuthentication, &authv1.BeginAuthenticationRequest{})
	coded := ask(on, c.authentication.FinishAuthentication, &authv1.FinishAuthenticationRequest{
		AuthenticationId: in.GetAuthenticationId(), Credential: get(in.GetOptions()),
	})
	on.key = who.secret
	traded := ask(on, c.authentication.ExchangeCode, &authv1.ExchangeCodeRequest{Code: coded.GetCode()})

	// A second credential, by a registration token and the publishable key.
	token := ask(on, c.registration.CreateRegistrationToken, &authv1.CreateRegistrationTokenRequest{
		Subject: &authv1.CreateRegistrationTokenRequest_UserId{UserId: user},
	})
	who.authenticator.Forget(decode(t, credential)) // else it refuses: it has one already
	on.key = who.publishable
	begun = ask(on, c.registration.BeginRegistration, &authv1.BeginRegistrationRequest{
		Subject: &authv1.BeginRegistrationRequest_RegistrationToken{RegistrationToken: token.GetToken()},
	})
	second := ask(on, c.registration.FinishRegistration, &authv1.FinishRegistrationRequest{
		RegistrationId: begun.GetRegistrationId(), Credential: create(begun.GetOptions()),
	}).GetCredential().GetId()
	on.key = who.secret

	ask(on, c.session.VerifySession, &authv1.VerifySessionRequest{AccessToken: done.GetSession().GetAccessToken()})
	ask(on, c.session.VerifySession, &authv1.VerifySessionRequest{AccessToken: "not.a.token"})
	ask(on, c.session.RefreshSession, &authv1.RefreshSessionRequest{RefreshToken: traded.GetSession().GetRefreshToken()})
	ask(on, c.session.ListSessions, &authv1.ListSessionsRequest{UserId: user, PageSize: proto.Uint32(1)})
	ask(on, c.session.RevokeSession, &authv1.RevokeSessionRequest{SessionId: done.GetSession().GetId(), Reason: "lost phone"})
	ask(on, c.session.ListSessions, &authv1.ListSessionsRequest{UserId: "-", Filter: "active = true AND userId = " + user})
	ask(on, c.session.BatchRevokeSessions, &authv1.BatchRevokeSessionsRequest{SessionIds: []string{done.GetSession().GetId()}, Reason: "lost phone"})
	ask(on, c.session.RevokeAllSessions, &authv1.RevokeAllSessionsRequest{UserId: user})

	ask(on, c.credential.ListCredentials, &authv1.ListCredentialsRequest{UserId: user, Filter: `state = "ACTIVE"`})
	ask(on, c.credential.ListCredentials, &authv1.ListCredentialsRequest{UserId: "-", Filter: "synced = false AND reported = false"})
	ask(on, c.credential.GetCredential, &authv1.GetCredentialRequest{CredentialId: credential})
	ask(on, c.credential.UpdateCredential, &authv1.UpdateCredentialRequest{CredentialId: credential, Nickname: new("Old phone")})
	ask(on, c.credential.SuspendCredential, &authv1.SuspendCredentialRequest{CredentialId: credential, Reason: "odd"})
	ask(on, c.credential.ResumeCredential, &authv1.ResumeCredentialRequest{CredentialId: credential})
	ask(on, c.credential.GetSignals, &authv1.GetSignalsRequest{UserId: user})
	ask(on, c.credential.RevokeCredential, &authv1.RevokeCredentialRequest{CredentialId: credential})
	ask(on, c.credential.RevokeCredential, &authv1.RevokeCredentialRequest{CredentialId: second, AllowLast: true})

	ask(on, c.user.CreateUser, &authv1.CreateUserRequest{ExternalId: "bob/../&?=+ %2F", Name: "bob"})
	ask(on, c.user.LookupUser, &authv1.LookupUserRequest{ExternalId: "bob/../&?=+ %2F"})
	ask(on, c.user.ListUsers, &authv1.ListUsersRequest{Filter: `externalId = "alice" AND state = "ACTIVE"`})
	ask(on, c.user.UpdateUser, &authv1.UpdateUserRequest{UserId: user, Name: new("alice2@example.com"), DisplayName: new("")})
	ask(on, c.user.BlockUser, &authv1.BlockUserRequest{UserId: user, Reason: "fraud"})
	ask(on, c.user.UnblockUser, &authv1.UnblockUserRequest{UserId: user})
	ask(on, c.user.GetUser, &authv1.GetUserRequest{UserId: user})
	ask(on, c.user.DeleteUser, &authv1.DeleteUserRequest{UserId: user})
	return on.story
}

// wire is a message as a browser's script gets it.
func wire(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parsed[M proto.Message](t testing.TB, raw []byte, m M) M {
	t.Helper()
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// plain is a message as text, without what differs from one telling to the next.
func plain(t testing.TB, m proto.Message) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(wire(t, m), &v); err != nil {
		t.Fatal(err)
	}
	return string(marshal(t, blank("", "", v)))
}

// differs are the members that no two tellings share: ids, times, secrets and what
// the client says of itself.
var differs = []string{
	"id", "rawId", "userId", "credentialId", "sessionId", "registrationId", "authenticationId", "allAcceptedCredentialIds",
	"challenge", "code", "token", "accessToken", "refreshToken", "nextPageToken", "etag", "evidenceId", "erasureId", "userAgent",
	"createdAt", "updatedAt", "lastUsedAt", "lastSignInAt", "revokedAt", "expiresAt", "accessTokenExpiresAt",
	"iss", "sub", "sid", "tid", "jti", "iat", "exp", "auth_time",
}

func blank(parent, name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			v[k] = blank(name, k, member)
		}
	case []any:
		for i, element := range v {
			v[i] = blank(parent, name, element)
		}
	case string, float64:
		if v != "" && parent != "rp" && slices.Contains(differs, name) {
			return "…"
		}
	}
	return v
}

func decode(t testing.TB, base64url string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(base64url)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
