package rpc

import (
	"context"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Gate lets in who calls what is no RPC with the same keys: web/oauth, web/ofrep. It is
// Authenticate and Limit in one.
type Gate struct {
	keys    keyAuthenticator
	tenants tenants
	limits  limiter
}

// NewGate returns a Gate.
func NewGate(keys *apikey.Service, ten *tenant.Service, limits *ratelimit.Limiter) *Gate {
	return &Gate{keys: keys, tenants: ten, limits: limits}
}

// Application returns the scope of who holds key: a tenant's server, if the key has the scope wanted, or, with a publishable
// key, a page of the tenant's, whose Origin header is origin.
func (g *Gate) Application(ctx context.Context, key, wanted, origin string) (sc scope.Scope, page bool, err error) {
	caller, err := g.keys.Authenticate(ctx, key, OriginFromContext(ctx).Address)
	if err != nil {
		return scope.Scope{}, false, err
	}
	if err := (access{kinds: serverKey | publishableKey, scope: wanted}).admits(&caller); err != nil {
		return scope.Scope{}, false, err
	}
	if page = caller.Kind == apikey.Publishable; page {
		if err := checkOrigin(ctx, g.tenants, caller.Scope, origin); err != nil {
			return scope.Scope{}, page, err
		}
	}
	sc, err = g.admit(ctx, caller, ratelimit.Ask{})
	return sc, page, err
}

// Server returns the scope of who holds key, if that is a server key that has the
// scope wanted and is within its limits. Errors are those of an RPC.
func (g *Gate) Server(ctx context.Context, key, wanted string) (scope.Scope, error) {
	caller, err := g.caller(ctx, key, wanted)
	if err != nil {
		return scope.Scope{}, err
	}
	return g.admit(ctx, caller, ratelimit.Ask{})
}

// Reader is Server for downloads of the admin plane, which a tenant that is stopped may, too.
func (g *Gate) Reader(ctx context.Context, key, wanted string) (scope.Scope, error) {
	return g.reader(ctx, key, access{kinds: serverKey, scope: wanted})
}

// AnyReader is Reader that admits platform keys, too, to what says itself what they may not.
func (g *Gate) AnyReader(ctx context.Context, key, wanted string) (scope.Scope, error) {
	return g.reader(ctx, key, access{kinds: serverKey | platformKey, scope: wanted})
}

func (g *Gate) reader(ctx context.Context, key string, a access) (scope.Scope, error) {
	caller, err := g.keys.AuthenticateReader(ctx, key, OriginFromContext(ctx).Address)
	if err != nil {
		return scope.Scope{}, err
	}
	if err := a.admits(&caller); err != nil {
		return scope.Scope{}, err
	}
	return g.admit(ctx, caller, ratelimit.Ask{Limit: &ratelimit.PerEndpoint, ID: "download/" + a.scope, Cost: downloadCost})
}

func (g *Gate) admit(ctx context.Context, caller apikey.Caller, method ratelimit.Ask) (scope.Scope, error) {
	if err := allow(ctx, g.limits, &caller, method); err != nil {
		return scope.Scope{}, err
	}
	return caller.Scope.WithOrigin(OriginFromContext(ctx)), nil
}

// Still reports whether Server would still let in who holds key. It is no call, and is not
// counted.
func (g *Gate) Still(ctx context.Context, key, wanted string) error {
	_, err := g.caller(ctx, key, wanted)
	return err
}

func (g *Gate) caller(ctx context.Context, key, wanted string) (apikey.Caller, error) {
	caller, err := g.keys.Authenticate(ctx, key, OriginFromContext(ctx).Address)
	if err != nil {
		return apikey.Caller{}, err
	}
	return caller, (access{kinds: serverKey, scope: wanted}).admits(&caller)
}
