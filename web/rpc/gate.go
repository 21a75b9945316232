package rpc

import (
	"context"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Gate lets in who calls what is no RPC with the same keys: web/oauth. It is
// Authenticate and Limit in one.
type Gate struct {
	keys   keyAuthenticator
	limits limiter
}

// NewGate returns a Gate.
func NewGate(keys *apikey.Service, limits *ratelimit.Limiter) *Gate {
	return &Gate{keys: keys, limits: limits}
}

// Server returns the scope of who holds key, if that is a server key that has the
// scope wanted and is within its limits. Errors are those of an RPC.
func (g *Gate) Server(ctx context.Context, key, wanted string) (scope.Scope, error) {
	origin := OriginFromContext(ctx)
	caller, err := g.keys.Authenticate(ctx, key, origin.Address)
	if err != nil {
		return scope.Scope{}, err
	}
	if err := (access{kinds: serverKey, scope: wanted}).admits(&caller); err != nil {
		return scope.Scope{}, err
	}
	if err := allow(g.limits, caller, origin.Address); err != nil {
		return scope.Scope{}, err
	}
	return caller.Scope.WithOrigin(origin), nil
}
