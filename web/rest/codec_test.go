package rest_test

import (
	"context"
	"io"
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
	answer := &authv1.BeginRegistrationResponse{
		RegistrationId: "r",
		Options: &authv1.PublicKeyCredentialCreationOptions{
			Rp: &authv1.PublicKeyCredentialRpEntity{Name: "Bank"}, User: &authv1.PublicKeyCredentialUserEntity{Id: "dQ", Name: "ana"}, Challenge: "Y2g",
		},
	}
	w.answer = func(_ context.Context, procedure string, _ proto.Message) (proto.Message, error) {
		if strings.HasSuffix(procedure, "/BeginRegistration") {
			return answer, nil
		}
		return nil, nil
	}
	mux := http.NewServeMux()
	connecthttp.Mount(mux, w.server, connecthttp.WithCodecs(&connectproto.BinaryCodec{}, rest.Codec{}))
	ts := httptest.NewServer(mux)
	t.Cleanup(ts.Close)

	call := func(procedure, body string) (*http.Response, string) {
		t.Helper()
		res, err := http.Post(ts.URL+procedure, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(b)
	}

	_, byConnect := call(authv1connect.RegistrationServiceBeginRegistrationProcedure, `{"userId":"u","unknown":1}`)
	byREST := text(t, w.do(t, http.MethodPost, "/v1/registrations:begin", `{"userId":"u"}`))
	if byConnect != byREST || !strings.Contains(byREST, `"displayName":""`) || strings.Contains(byREST, "[]") {
		t.Errorf("by Connect: %s\nby REST:    %s", byConnect, byREST)
	}

	res, body := call(authv1connect.UserServiceCreateUserProcedure, `{"name":"a","name":"b"}`)
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(body, "duplicate key") || !strings.Contains(body, "REQUEST_MALFORMED") {
		t.Errorf("a duplicate key: %s %s, want 400 REQUEST_MALFORMED", res.Status, body)
	}

	client := authv1connect.NewRegistrationServiceClient(connect.NewClient(connecthttp.NewTransport(http.DefaultClient, ts.URL, connecthttp.WithProtoJSON())))
	got, err := client.BeginRegistration(t.Context(), &authv1.BeginRegistrationRequest{Subject: &authv1.BeginRegistrationRequest_UserId{UserId: "u"}})
	if err != nil || !proto.Equal(got, answer) {
		t.Errorf("Connect's client read %v, %v", got, err)
	}
}
