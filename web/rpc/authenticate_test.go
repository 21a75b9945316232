package rpc

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// keyring knows one key.
type keyring struct {
	caller apikey.Caller
	err    error
	asked  []string
	from   netip.Addr
	reader bool
}

func (k *keyring) Authenticate(_ context.Context, bearer string, from netip.Addr) (apikey.Caller, error) {
	k.asked, k.from = append(k.asked, bearer), from
	return k.caller, k.err
}

func (k *keyring) AuthenticateReader(ctx context.Context, bearer string, from netip.Addr) (apikey.Caller, error) {
	k.reader = true
	return k.Authenticate(ctx, bearer, from)
}

// registry knows one tenant.
type registry struct {
	origins []string
	err     error
}

func (r registry) Current(context.Context, scope.Scope) (*tenant.Snapshot, error) {
	return &tenant.Snapshot{Tenant: tenant.Tenant{Origins: r.origins}}, r.err
}

// unread is a request that nobody may decode.
type unread struct{ t *testing.T }

func (u unread) Receive(any) error  { u.t.Error("a refused request was decoded"); return io.EOF }
func (u unread) SendHeaders() error { return nil }
func (u unread) Send(any) error     { return nil }

// through calls procedure behind the interceptors and returns the context that the
// handler got, nil if it was not reached.
func through(t *testing.T, procedure string, header map[string]string, chain ...connect.ServerInterceptor) (reached context.Context, err error) {
	t.Helper()
	server := connect.NewServer(chain...)
	server.Register(connect.Method{
		Spec: connect.Spec{Procedure: procedure},
		Handler: func(ctx context.Context, _ connect.Spec, _ connect.ServerStream) error {
			reached = ctx //nolint:fatcontext // for the test to look at
			return nil
		},
	})
	info := new(connect.CallInfo)
	for name, value := range header {
		info.RequestHeader().Set(name, value)
	}
	ctx := NewOriginContext(t.Context(), scope.Origin{Address: netip.MustParseAddr("192.0.2.7"), RequestID: "r1"})
	return reached, server.Call(ctx, procedure, info, unread{t})
}

func callerOf(kind apikey.Kind, scopes ...string) apikey.Caller {
	id := uuid.New()
	return apikey.Caller{
		Scope: scope.New(uuid.New(), scope.Actor{Kind: scope.ActorAPIKey, ID: id.String()}), ID: id, Kind: kind, Scopes: scopes,
	}
}

func TestAuthenticate(t *testing.T) {
	const page = "https://login.example.com"
	broken := errors.New("the store is gone")
	getUser, begin := authv1connect.UserServiceGetUserProcedure, authv1connect.AuthenticationServiceBeginAuthenticationProcedure
	for _, tt := range []struct {
		name      string
		procedure string
		bearer    string // "" for no header
		origin    string
		caller    apikey.Caller
		keyErr    error
		tenantErr error
		want      error
		asked     bool // whether the key was looked at
	}{
		{name: "a server", procedure: getUser, bearer: "Bearer k", caller: callerOf(apikey.Secret, apikey.ScopeUsersRead), asked: true},
		{name: "a scheme in other letters", procedure: getUser, bearer: "bEARER k", caller: callerOf(apikey.Secret, "*"), asked: true},
		{name: "nothing", procedure: getUser, want: scope.ErrMissing},
		{name: "a scheme alone", procedure: getUser, bearer: "Bearer ", want: scope.ErrMissing},
		{name: "another scheme", procedure: getUser, bearer: "Basic YTpi", want: scope.ErrMissing},
		{name: "no scheme", procedure: getUser, bearer: "bk_live_something", want: scope.ErrMissing},
		{name: "a bad key", procedure: getUser, bearer: "Bearer k", keyErr: apikey.ErrKey, want: apikey.ErrKey, asked: true},
		{name: "an outage", procedure: getUser, bearer: "Bearer k", keyErr: broken, want: broken, asked: true},
		{name: "another scope", procedure: getUser, bearer: "Bearer k", caller: callerOf(apikey.Secret, apikey.ScopeSessions, apikey.ScopeUsersWrite), want: apikey.ErrScopeMissing, asked: true},
		{name: "no scope", procedure: getUser, bearer: "Bearer k", caller: callerOf(apikey.Secret), want: apikey.ErrScopeMissing, asked: true},
		{name: "a page where servers call", procedure: getUser, bearer: "Bearer k", origin: page, caller: callerOf(apikey.Publishable), want: ErrKeyKind, asked: true},
		{name: "a page with scopes that it cannot have", procedure: getUser, bearer: "Bearer k", origin: page, caller: callerOf(apikey.Publishable, "*"), want: ErrKeyKind, asked: true},
		{name: "the platform where servers call", procedure: getUser, bearer: "Bearer k", caller: callerOf(apikey.Platform, "*", "admin:*"), want: ErrKeyKind, asked: true},
		{name: "a server where the platform calls", procedure: adminv1connect.TenantServiceListTenantsProcedure, bearer: "Bearer k", caller: callerOf(apikey.Secret, "*", "admin:*"), want: ErrKeyKind, asked: true},
		{name: "a kind of the future", procedure: begin, bearer: "Bearer k", origin: page, caller: callerOf("ROBOT", "*"), want: ErrKeyKind, asked: true},
		{name: "no kind", procedure: begin, bearer: "Bearer k", origin: page, caller: callerOf("", "*"), want: ErrKeyKind, asked: true},
		{name: "a page of the tenant's", procedure: begin, bearer: "Bearer k", origin: page, caller: callerOf(apikey.Publishable), asked: true},
		{name: "a page of others", procedure: begin, bearer: "Bearer k", origin: page + ".evil.example", caller: callerOf(apikey.Publishable), want: ErrOrigin, asked: true},
		{name: "a page without an origin", procedure: begin, bearer: "Bearer k", caller: callerOf(apikey.Publishable), want: ErrOrigin, asked: true},
		{name: "a page whose tenant cannot be read", procedure: begin, bearer: "Bearer k", origin: page, caller: callerOf(apikey.Publishable), tenantErr: broken, want: broken, asked: true},
		{name: "a method that is in no table", procedure: "/biocore.auth.v1.UserService/Undocumented", bearer: "Bearer k", caller: callerOf(apikey.Secret, "*"), want: ErrUnimplemented},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := map[string]string{}
			if tt.bearer != "" {
				header["Authorization"] = tt.bearer
			}
			if tt.origin != "" {
				header["Origin"] = tt.origin
			}
			keys := &keyring{caller: tt.caller, err: tt.keyErr}
			ctx, err := through(t, tt.procedure, header, Authenticate(keys, registry{origins: []string{page}, err: tt.tenantErr}, new(faultTally)))
			if !errors.Is(err, tt.want) || (ctx == nil) != (tt.want != nil) {
				t.Fatalf("error = %v, want %v; the handler was reached: %t", err, tt.want, ctx != nil)
			}
			if (len(keys.asked) > 0) != tt.asked || tt.asked && (!slices.Equal(keys.asked, []string{"k"}) || keys.from.String() != "192.0.2.7") {
				t.Errorf("asked for %q from %v", keys.asked, keys.from)
			}
			if ctx == nil {
				return
			}
			sc, err := scope.FromContext(ctx)
			if err != nil || sc.Tenant() != tt.caller.Scope.Tenant() || sc.Actor() != tt.caller.Scope.Actor() || sc.Origin().RequestID != "r1" {
				t.Errorf("the handler's scope is %v, %v, want the key's with the request's origin", sc, err)
			}
			if publishable(ctx) != (tt.caller.Kind == apikey.Publishable) {
				t.Errorf("publishable = %t for a %s key", publishable(ctx), tt.caller.Kind)
			}
		})
	}
	if !publishable(t.Context()) {
		t.Error("a caller who is not known gets more than a browser")
	}
}

// The missing scope is named, so that its owner can grant it.
func TestMissingScopeIsNamed(t *testing.T) {
	keys := &keyring{caller: callerOf(apikey.Secret)}
	_, err := through(t, authv1connect.UserServiceGetUserProcedure, map[string]string{"Authorization": "Bearer k"}, Authenticate(keys, registry{}, new(faultTally)))
	if f, ok := fault.As(err); !ok || f.Metadata["scope"] != apikey.ScopeUsersRead {
		t.Errorf("error = %v, want one whose metadata name %s", err, apikey.ScopeUsersRead)
	}
}

// ledger remembers what was counted.
type ledger struct {
	tenant uuid.UUID
	asked  []ratelimit.Ask
	err    error
	full   int // calls that there was no room for
}

func (l *ledger) Allow(_ context.Context, sc scope.Scope, asks ...ratelimit.Ask) (ratelimit.Standing, error) {
	l.tenant, l.asked = sc.Tenant(), append(l.asked, asks...)
	return ratelimit.Standing{}, l.err
}

func (l *ledger) Overloaded(scope.Scope) { l.full++ }

func TestLimit(t *testing.T) {
	caller := callerOf(apikey.Secret, "*")
	header := map[string]string{"Authorization": "Bearer k"}
	for name, want := range map[string]error{"within": nil, "over": ratelimit.ErrLimited} {
		l := &ledger{err: want}
		ctx, err := through(t, authv1connect.UserServiceGetUserProcedure, header, Authenticate(&keyring{caller: caller}, registry{}, new(faultTally)), Limit(l))
		if !errors.Is(err, want) || (ctx == nil) != (want != nil) {
			t.Errorf("%s: error = %v, want %v", name, err, want)
		}
		want := []ratelimit.Ask{
			{Limit: &ratelimit.PerKey, ID: caller.ID.String(), Who: caller.ID.String()}, {Limit: &ratelimit.PerTenant, ID: "all", Who: caller.ID.String()},
		}
		if l.tenant != caller.Scope.Tenant() || !slices.Equal(l.asked, want) {
			t.Errorf("%s: counted %+v, want the key and the tenant", name, l.asked)
		}
	}
	if ctx, err := through(t, authv1connect.UserServiceGetUserProcedure, header, Limit(&ledger{})); !errors.Is(err, scope.ErrMissing) || ctx != nil {
		t.Errorf("a caller whom nobody has authenticated: %v", err)
	}
}
