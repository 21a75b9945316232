package rpc

import (
	"context"
	"net/netip"
	"strings"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Errors of calls that are not allowed to begin.
var (
	ErrKeyKind = fault.New(fault.Forbidden, "API_KEY_KIND_NOT_ALLOWED", "this kind of API key cannot call this method")
	ErrOrigin  = fault.New(fault.Forbidden, "ORIGIN_NOT_ALLOWED", "the page's origin is not one of the tenant's origins")
)

// keyAuthenticator knows API keys.
type keyAuthenticator interface {
	Authenticate(ctx context.Context, bearer string, from netip.Addr) (apikey.Caller, error)
	AuthenticateReader(ctx context.Context, bearer string, from netip.Addr) (apikey.Caller, error)
}

// tenants knows the tenant that a scope names.
type tenants interface {
	Current(ctx context.Context, sc scope.Scope) (*tenant.Snapshot, error)
}

// Authenticate lets a call through when its API key is good, is of a kind that
// may call the method, has the method's scope and, for a publishable key, comes
// from one of the tenant's origins (which is no authentication: assume that
// attackers forge it). It puts the scope into the context: the tenant comes from
// the key and from nowhere else.
//
// Calls of ceremonies that end by a fault of ours, a panic too, are counted by faults: here,
// because nobody further out knows the tenant, and nobody further in hears of a key that
// could not be looked up. What ends well costs nothing.
func Authenticate(keys keyAuthenticator, ten tenants, faults faultCounter) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) (err error) {
			var tenant uuid.UUID
			panics := true
			defer func() {
				if (panics || err != nil && isOurs(ctx, err)) && ceremonyCalls[spec.Procedure] {
					faults.Count(tenant)
				}
			}()
			caller, sc, err := admit(ctx, spec, keys, ten)
			tenant = sc.Tenant()
			if err == nil {
				err = next(context.WithValue(scope.NewContext(ctx, sc), callerKey{}, caller), spec, stream)
			}
			panics = false
			return err
		}
	}
}

// admit is Authenticate's judgement. The scope is known, though it is not let in, once the key is.
func admit(ctx context.Context, spec connect.Spec, keys keyAuthenticator, ten tenants) (apikey.Caller, scope.Scope, error) {
	method, ok := methods[spec.Procedure]
	if !ok {
		return apikey.Caller{}, scope.Scope{}, ErrUnimplemented
	}
	info, ok := connect.CallInfoForServerContext(ctx)
	if !ok {
		return apikey.Caller{}, scope.Scope{}, scope.ErrMissing
	}
	origin := OriginFromContext(ctx)
	bearer, ok := BearerToken(info.RequestHeader().Get("Authorization"))
	if !ok {
		return apikey.Caller{}, scope.Scope{}, scope.ErrMissing
	}
	authenticate := keys.Authenticate
	if method.readsAdmin(spec) {
		authenticate = keys.AuthenticateReader
	}
	caller, err := authenticate(ctx, bearer, origin.Address)
	if err != nil {
		return apikey.Caller{}, scope.Scope{}, err
	}
	sc := caller.Scope.WithOrigin(origin)
	if err := method.admits(&caller); err != nil {
		return caller, sc, err
	}
	if caller.Kind == apikey.Publishable {
		return caller, sc, checkOrigin(ctx, ten, sc, info.RequestHeader().Get("Origin"))
	}
	return caller, sc, nil
}

// readsAdmin reports whether the method reads the admin plane and changes nothing. What
// streams is none of it: a suspended tenant's streams end.
func (a access) readsAdmin(spec connect.Spec) bool {
	return a.repeat == reads && spec.StreamType == connect.StreamTypeUnary && strings.HasPrefix(spec.Procedure, "/biocore.admin.v1.")
}

// admits refuses a key of a kind that may not call the method, or without its scope.
func (a access) admits(caller *apikey.Caller) error {
	kind := kindOf(caller.Kind)
	switch {
	case a.kinds&kind == 0:
		return ErrKeyKind
	case kind != publishableKey && !caller.Allows(a.scope): // publishable keys have none
		return apikey.ErrScopeMissing.With("scope", a.scope)
	}
	return nil
}

// kindOf is positive: a kind that is not known is no kind, and calls nothing.
func kindOf(k apikey.Kind) keyKinds {
	switch k {
	case apikey.Secret:
		return serverKey
	case apikey.Publishable:
		return publishableKey
	case apikey.Platform:
		return platformKey
	}
	return 0
}

func checkOrigin(ctx context.Context, ten tenants, sc scope.Scope, origin string) error {
	t, err := ten.Current(ctx, sc)
	if err != nil {
		return err
	}
	if !t.HasOrigin(origin) {
		return ErrOrigin
	}
	return nil
}

// BearerToken reads "Bearer <token>" (RFC 6750 §2.1); the scheme is
// case-insensitive (RFC 9110 §11.1).
func BearerToken(header string) (string, bool) {
	const scheme = "bearer "
	if len(header) <= len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return "", false
	}
	return header[len(scheme):], true
}

type callerKey struct{}

// publishable reports whether the call was made with a publishable key, whose
// answers carry no refresh token and no session unless the tenant allows it.
func publishable(ctx context.Context) bool {
	c, ok := ctx.Value(callerKey{}).(apikey.Caller)
	return !ok || c.Kind == apikey.Publishable // who is not known gets the least
}

type originKey struct{}

// NewOriginContext returns a context that tells where the request came from.
// The edge makes it, before any transport decodes anything.
func NewOriginContext(ctx context.Context, o scope.Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginFromContext returns where the request came from; zero if the call did not
// pass the edge.
func OriginFromContext(ctx context.Context) scope.Origin {
	o, _ := ctx.Value(originKey{}).(scope.Origin)
	return o
}
