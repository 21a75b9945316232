package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// faultTally is a faultCounter.
type faultTally []uuid.UUID

func (t *faultTally) Count(tenant uuid.UUID) { *t = append(*t, tenant) }

// faultsOf calls a procedure that ends so, behind Authenticate, and returns whose faults were counted.
func faultsOf(t *testing.T, procedure string, header map[string]string, keys *keyring, end func() error) (counted faultTally) {
	t.Helper()
	server := connect.NewServer(MapErrors(slog.New(slog.DiscardHandler)), Authenticate(keys, registry{}, &counted))
	server.Register(connect.Method{
		Spec:    connect.Spec{Procedure: procedure},
		Handler: func(context.Context, connect.Spec, connect.ServerStream) error { return end() },
	})
	info := new(connect.CallInfo)
	info.RequestHeader().Set("Authorization", "Bearer k")
	for name, value := range header {
		info.RequestHeader().Set(name, value)
	}
	_ = server.Call(t.Context(), procedure, info, unread{t})
	return counted
}

func TestFaultsOfCeremonies(t *testing.T) {
	finish := authv1connect.AuthenticationServiceFinishAuthenticationProcedure
	broken := errors.New("connection reset")
	fails := func(err error) func() error { return func() error { return err } }
	for _, tt := range []struct {
		name      string
		procedure string // "" for finish
		header    map[string]string
		keyErr    error
		end       func() error
		ours      bool
		unknown   bool // whose it was
	}{
		{name: "an answer", end: fails(nil)},
		{name: "an error that is no refusal", end: fails(fmt.Errorf("get credential: %w", broken)), ours: true},
		{name: "a store that is gone", end: fails(fmt.Errorf("begin: %w", db.ErrUnavailable)), ours: true},
		{name: "too many that wait", end: fails(db.ErrOverloaded), ours: true},
		{name: "a panic", end: func() error { panic("index out of range") }, ours: true},
		{name: "a call that took too long", end: fails(fmt.Errorf("commit: %w", context.DeadlineExceeded)), ours: true},
		{name: "a kind that has no code", end: fails(fault.New(fault.Kind(99), "X", "x")), ours: true},
		{name: "a refusal", end: fails(fault.New(fault.Unauthenticated, "X", "x"))},
		{name: "a quota", end: fails(fault.New(fault.Exhausted, "X", "x"))},
		{name: "a limit", end: fails(ratelimit.ErrLimited)},
		{name: "a client that went away", end: fails(fmt.Errorf("commit: %w", context.Canceled))},
		{name: "a deadline of the client's, by Connect", header: map[string]string{"Connect-Timeout-Ms": "5"}, end: fails(context.DeadlineExceeded)},
		{name: "a deadline of the client's, by gRPC", header: map[string]string{"Grpc-Timeout": "5m"}, end: fails(context.DeadlineExceeded)},
		{name: "a request that cannot be read", end: fails(connect.NewError(connect.CodeInvalidArgument, "x"))},
		{name: "a key that cannot be looked up", keyErr: broken, ours: true, unknown: true},
		{name: "a key that nobody knows", keyErr: apikey.ErrKey},
		{name: "begin", procedure: authv1connect.AuthenticationServiceBeginAuthenticationProcedure, end: fails(broken), ours: true},
		{name: "a registration's begin", procedure: authv1connect.RegistrationServiceBeginRegistrationProcedure, end: fails(broken), ours: true},
		{name: "a registration's finish", procedure: authv1connect.RegistrationServiceFinishRegistrationProcedure, end: fails(broken), ours: true},
		{name: "what is no ceremony", procedure: authv1connect.UserServiceGetUserProcedure, end: fails(broken)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.procedure == "" {
				tt.procedure = finish
			}
			keys := &keyring{caller: callerOf(apikey.Secret, "*"), err: tt.keyErr}
			var want faultTally
			if tt.ours && tt.unknown {
				want = faultTally{uuid.Nil}
			} else if tt.ours {
				want = faultTally{keys.caller.Scope.Tenant()}
			}
			if got := faultsOf(t, tt.procedure, tt.header, keys, tt.end); !slices.Equal(got, want) {
				t.Errorf("counted %v, want %v", got, want)
			}
		})
	}
}

// Who is let in and answered pays nothing for the counting.
func TestSuccessCostsNothing(t *testing.T) {
	finish := authv1connect.AuthenticationServiceFinishAuthenticationProcedure
	ctx, err := through(t, finish, map[string]string{"Authorization": "Bearer k"})
	if err != nil {
		t.Fatal(err)
	}
	keys, spec := &keyring{caller: callerOf(apikey.Secret, "*"), asked: make([]string, 0, 1<<10)}, connect.Spec{Procedure: finish}
	next := func(context.Context, connect.Spec, connect.ServerStream) error { return nil }
	counting := Authenticate(keys, registry{}, new(faultTally))(next)
	with := testing.AllocsPerRun(100, func() { _ = counting(ctx, spec, nil) })
	without := testing.AllocsPerRun(100, func() {
		caller, sc, err := admit(ctx, spec, keys, registry{})
		if err == nil {
			_ = next(context.WithValue(scope.NewContext(ctx, sc), callerKey{}, caller), spec, nil)
		}
	})
	if with != without {
		t.Errorf("a call allocates %v times, and without the counting %v", with, without)
	}
}
