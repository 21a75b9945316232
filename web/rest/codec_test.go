package rest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/web/rest"
)

// Connect's JSON calls read and answer like REST's, and Connect's own client
// understands them.
func TestCodecOverConnect(t *testing.T) {
	w := newWorld(t)
	given := &authv1.BeginRegistrationResponse{
		RegistrationId: "r",
		Options: &authv1.PublicKeyCredentialCreationOptions{
			Rp: &authv1.PublicKeyCredentialRpEntity{Name: "Bank"}, User: &authv1.PublicKeyCredentialUserEntity{Id: "dQ", Name: "ana"}, Challenge: "Y2g",
		},
	}
	w.respond = func(_ context.Context, procedure string, _ proto.Message) (proto.Message, error) {
		if strings.HasSuffix(procedure, "/BeginRegistration") {
			return given, nil
		}
		return &authv1.User{}, nil
	}
	mux := http.NewServeMux()
	connecthttp.Mount(mux, w.server, connecthttp.WithCodecs(&connectproto.BinaryCodec{}, rest.Codec{}))
	ts := httptest.NewServer(mux)
	t.Cleanup(ts.Close)

	byConnect := send(t, http.MethodPost, ts.URL+authv1connect.RegistrationServiceBeginRegistrationProcedure, strings.NewReader(`{"userId":"u","unknown":1}`)).body
	byREST := w.do(t, http.MethodPost, "/v1/registrations:begin", `{"userId":"u"}`).body
	if byConnect != byREST || !strings.Contains(byREST, `"displayName":""`) || strings.Contains(byREST, "[]") {
		t.Errorf("by Connect: %s\nby REST:    %s", byConnect, byREST)
	}

	res := send(t, http.MethodPost, ts.URL+authv1connect.UserServiceCreateUserProcedure, strings.NewReader(`{"name":"a","name":"b"}`))
	if res.status != http.StatusBadRequest || !strings.Contains(res.body, "duplicate key") || !strings.Contains(res.body, "REQUEST_MALFORMED") {
		t.Errorf("a duplicate key: %d %s, want 400 REQUEST_MALFORMED", res.status, res.body)
	}

	client := authv1connect.NewRegistrationServiceClient(connect.NewClient(connecthttp.NewTransport(http.DefaultClient, ts.URL, connecthttp.WithProtoJSON())))
	got, err := client.BeginRegistration(t.Context(), &authv1.BeginRegistrationRequest{Subject: &authv1.BeginRegistrationRequest_UserId{UserId: "u"}})
	if err != nil || !proto.Equal(got, given) {
		t.Errorf("Connect's client read %v, %v", got, err)
	}
}
