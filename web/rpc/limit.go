package rpc

import (
	"context"
	"net/netip"

	"connectrpc.com/connect/v2"

	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// limiter counts calls.
type limiter interface {
	Allow(sc scope.Scope, limit ratelimit.Limit, id string) error
}

// Limit refuses what a key calls too often, and what one visitor does with a
// publishable one. It comes after Authenticate.
func Limit(l limiter) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			caller, ok := ctx.Value(callerKey{}).(apikey.Caller)
			if !ok {
				return scope.ErrMissing
			}
			if err := allow(l, caller, OriginFromContext(ctx).Address); err != nil {
				return err
			}
			if makesSigningKeys[spec.Procedure] {
				if err := l.Allow(caller.Scope, ratelimit.PerSigningKeyChange, "all"); err != nil {
					return err
				}
			}
			if looksAtDomains[spec.Procedure] {
				if err := l.Allow(caller.Scope, ratelimit.PerDomainLook, "all"); err != nil {
					return err
				}
			}
			if spec.Procedure == authv1connect.RecoveryServiceRedeemRecoveryCodeProcedure {
				if err := l.Allow(caller.Scope, ratelimit.PerRecovery, "all"); err != nil {
					return err
				}
			}
			return next(ctx, spec, stream)
		}
	}
}

// makesSigningKeys are the methods that may make one.
var makesSigningKeys = map[string]bool{
	adminv1connect.SigningKeyServiceRotateSigningKeyProcedure: true,
	adminv1connect.SigningKeyServiceRevokeSigningKeyProcedure: true,
}

// looksAtDomains are the methods that ask a tenant's own domain.
var looksAtDomains = map[string]bool{
	adminv1connect.RelyingPartyServiceVerifyDomainProcedure:      true,
	adminv1connect.RelyingPartyServiceFetchRelyingPartyProcedure: true,
}

// allow asks for the visitor first: who is over its own limit takes nothing from the
// limit that all visitors share.
func allow(l limiter, caller apikey.Caller, from netip.Addr) error {
	id := caller.Scope.Actor().ID
	if caller.Kind != apikey.Publishable {
		return l.Allow(caller.Scope, ratelimit.PerKey, id)
	}
	if err := l.Allow(caller.Scope, ratelimit.PerVisitor, id+"@"+ratelimit.Visitor(from).String()); err != nil {
		return err
	}
	return l.Allow(caller.Scope, ratelimit.PerPublishableKey, id)
}
