package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/web/rpc"
)

// users answers each call as its function says.
type users struct {
	authv1connect.UnimplementedUserServiceHandler
	get    func(context.Context, *authv1.GetUserRequest) (*authv1.User, error)
	create func(context.Context, *authv1.CreateUserRequest) (*authv1.User, error)
}

func (u *users) GetUser(ctx context.Context, req *authv1.GetUserRequest) (*authv1.User, error) {
	return u.get(ctx, req)
}

func (u *users) CreateUser(ctx context.Context, req *authv1.CreateUserRequest) (*authv1.User, error) {
	return u.create(ctx, req)
}

// serve starts the service behind the interceptors over HTTP and returns its
// URL and what it logs.
func serve(t *testing.T, svc *users, more ...connect.ServerInterceptor) (url string, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	chain := append([]connect.ServerInterceptor{rpc.MapErrors(slog.New(slog.NewTextHandler(log, nil)))}, more...)
	server := connect.NewServer(chain...)
	authv1connect.RegisterUserServiceHandler(server, svc)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server)
	ts := httptest.NewServer(mux)
	t.Cleanup(ts.Close)
	return ts.URL, log
}

func client(url string) authv1connect.UserServiceClient {
	return authv1connect.NewUserServiceClient(connect.NewClient(connecthttp.NewTransport(http.DefaultClient, url)))
}

// reasonOf returns the ErrorInfo that err carries.
func reasonOf(t *testing.T, err error) *errdetails.ErrorInfo {
	t.Helper()
	var e *connect.Error
	if !errors.As(err, &e) || len(e.Details()) != 1 {
		t.Fatalf("error = %v, want a *connect.Error with one detail", err)
	}
	detail, derr := connectproto.UnmarshalErrorDetail(e.Details()[0])
	if derr != nil {
		t.Fatal(derr)
	}
	info, ok := detail.(*errdetails.ErrorInfo)
	if !ok {
		t.Fatalf("detail is a %T, want an ErrorInfo", detail)
	}
	if info.GetDomain() != "biocore" {
		t.Errorf("domain = %q, want biocore", info.GetDomain())
	}
	return info
}

// Answering err.Error() for an unknown error turns the first two cases red.
func TestMapErrors(t *testing.T) {
	gone := fault.New(fault.Unavailable, "STORE_UNAVAILABLE", "the store is gone, try again")
	for _, tt := range []struct {
		name        string
		err         error
		wantCode    connect.Code
		wantReason  string
		wantMessage string
		wantRetry   string
		wantLog     string // part of the log line; empty for none
	}{
		{name: "an unknown error says nothing", err: errors.New("pq: password is hunter2"),
			wantCode: connect.CodeInternal, wantReason: "INTERNAL", wantMessage: "internal error", wantLog: "hunter2"},
		{name: "nor does a fault of no kind", err: &fault.Error{Reason: "SECRET", Message: "hunter2"},
			wantCode: connect.CodeInternal, wantReason: "INTERNAL", wantMessage: "internal error", wantLog: "hunter2"},
		{name: "a fault says its message and reason", err: fault.New(fault.NotFound, "USER_UNKNOWN", "no such user"),
			wantCode: connect.CodeNotFound, wantReason: "USER_UNKNOWN", wantMessage: "no such user"},
		{name: "wrapped, the same and no more", err: fmt.Errorf("lock user 7: %w", fault.New(fault.Precondition, "LAST_CREDENTIAL", "last one")),
			wantCode: connect.CodeFailedPrecondition, wantReason: "LAST_CREDENTIAL", wantMessage: "last one"},
		{name: "no scope", err: scope.ErrMissing,
			wantCode: connect.CodeUnauthenticated, wantReason: "CREDENTIALS_MISSING", wantMessage: scope.ErrMissing.Message},
		{name: "a rate limit says when to come back, rounded up", err: fault.New(fault.Exhausted, "RATE_LIMITED", "slow down").WithRetryAfter(1500 * time.Millisecond),
			wantCode: connect.CodeResourceExhausted, wantReason: "RATE_LIMITED", wantMessage: "slow down", wantRetry: "2"},
		{name: "an outage always says when, and why in the log", err: gone.WithCause(errors.New("dial tcp: refused")),
			wantCode: connect.CodeUnavailable, wantReason: "STORE_UNAVAILABLE", wantMessage: gone.Message, wantRetry: "1", wantLog: "dial tcp"},
		{name: "canceled", err: fmt.Errorf("query: %w", context.Canceled),
			wantCode: connect.CodeCanceled, wantReason: "REQUEST_CANCELED", wantMessage: "canceled"},
		{name: "deadline", err: fmt.Errorf("query: %w", context.DeadlineExceeded),
			wantCode: connect.CodeDeadlineExceeded, wantReason: "DEADLINE_EXCEEDED", wantMessage: "deadline exceeded"},
		{name: "a method that nobody wrote", err: connect.NewError(connect.CodeUnimplemented, "biocore.internal.Name"),
			wantCode: connect.CodeUnimplemented, wantReason: "METHOD_UNIMPLEMENTED", wantMessage: rpc.ErrUnimplemented.Message},
		{name: "another server's verdict is not ours", err: connect.NewError(connect.CodeInvalidArgument, "upstream").WithRemote(),
			wantCode: connect.CodeInternal, wantReason: "INTERNAL", wantMessage: "internal error", wantLog: "upstream"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, log := serve(t, &users{get: func(context.Context, *authv1.GetUserRequest) (*authv1.User, error) { return nil, tt.err }})
			ctx, info := connect.NewClientContext(t.Context())
			_, err := client(url).GetUser(ctx, &authv1.GetUserRequest{UserId: "u"})
			if code := connect.CodeOf(err); code != tt.wantCode {
				t.Errorf("code = %v, want %v", code, tt.wantCode)
			}
			if reason := reasonOf(t, err).GetReason(); reason != tt.wantReason {
				t.Errorf("reason = %q, want %q", reason, tt.wantReason)
			}
			var e *connect.Error
			if errors.As(err, &e) && e.Message() != tt.wantMessage {
				t.Errorf("message = %q, want %q", e.Message(), tt.wantMessage)
			}
			if retry := info.ResponseHeader().Get("Retry-After"); retry != tt.wantRetry {
				t.Errorf("Retry-After = %q, want %q", retry, tt.wantRetry)
			}
			if got := log.String(); (got == "") != (tt.wantLog == "") || !strings.Contains(got, tt.wantLog) {
				t.Errorf("log = %q, want it to have %q", got, tt.wantLog)
			}
		})
	}
}

func TestMapErrorsRecovers(t *testing.T) {
	url, log := serve(t, &users{get: func(context.Context, *authv1.GetUserRequest) (*authv1.User, error) { panic("hunter2") }})
	_, err := client(url).GetUser(t.Context(), &authv1.GetUserRequest{})
	if reason := reasonOf(t, err).GetReason(); reason != "INTERNAL" || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error = %v (%s), want an internal error that says nothing", err, reason)
	}
	if got := log.String(); !strings.Contains(got, "hunter2") || !strings.Contains(got, "errors_test.go") {
		t.Errorf("log = %q, want the panic and its stack", got)
	}
}

// What Connect itself cannot decode carries a reason too, and repeats nothing
// of what was sent.
func TestMapErrorsOfTransport(t *testing.T) {
	url, _ := serve(t, &users{})
	for _, tt := range []struct{ name, contentType, body, wantReason string }{
		{"malformed JSON", "application/json", `{"userId": hunter2}`, "REQUEST_MALFORMED"},
		{"malformed protobuf", "application/proto", "\xffhunter2", "REQUEST_MALFORMED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, err := http.Post(url+authv1connect.UserServiceGetUserProcedure, tt.contentType, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var body bytes.Buffer
			if _, err := body.ReadFrom(res.Body); err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != http.StatusBadRequest || !strings.Contains(body.String(), tt.wantReason) || strings.Contains(body.String(), "hunter2") {
				t.Errorf("%s %s, want 400 with %s and no echo", res.Status, body.String(), tt.wantReason)
			}
		})
	}
}
