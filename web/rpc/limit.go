package rpc

import (
	"context"

	"connectrpc.com/connect/v2"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// limiter counts calls.
type limiter interface {
	Allow(sc scope.Scope, limit ratelimit.Limit, id string) error
}

// Limit refuses what a key calls too often. It comes after Authenticate.
func Limit(l limiter) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			caller, ok := ctx.Value(callerKey{}).(apikey.Caller)
			if !ok {
				return scope.ErrMissing
			}
			if err := l.Allow(caller.Scope, ratelimit.PerKey, caller.Scope.Actor().ID); err != nil {
				return err
			}
			return next(ctx, spec, stream)
		}
	}
}
