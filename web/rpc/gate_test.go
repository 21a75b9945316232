package rpc

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// gateKeys knows one caller, and full is a limiter that lets nobody through.
type (
	gateKeys struct{ caller apikey.Caller }
	full     struct{ asked []ratelimit.Ask }
)

func (k gateKeys) AuthenticateReader(context.Context, string, netip.Addr) (apikey.Caller, error) {
	return apikey.Caller{}, errors.New("the gate lets in nobody who only reads")
}

func (k gateKeys) Authenticate(context.Context, string, netip.Addr) (apikey.Caller, error) {
	return k.caller, nil
}

func (f *full) Allow(_ context.Context, _ scope.Scope, asks ...ratelimit.Ask) (ratelimit.Standing, error) {
	f.asked = append(f.asked, asks...)
	return ratelimit.Standing{}, ratelimit.ErrLimited
}

func (f *full) Overloaded(scope.Scope) {}

// A key that is over its limit is refused, and one that may not ask takes nothing from
// a limit.
func TestGateLimits(t *testing.T) {
	sc := scope.New(uuid.New(), scope.Actor{Kind: scope.ActorAPIKey, ID: "key"})
	for _, tt := range []struct {
		name   string
		caller apikey.Caller
		want   error
		asked  int
	}{
		{"a server key", apikey.Caller{Scope: sc, Kind: apikey.Secret, Scopes: []string{apikey.ScopeSessions}}, ratelimit.ErrLimited, 2},
		{"without the scope", apikey.Caller{Scope: sc, Kind: apikey.Secret, Scopes: []string{apikey.ScopeUsersRead}}, apikey.ErrScopeMissing, 0},
		{"a publishable key", apikey.Caller{Scope: sc, Kind: apikey.Publishable}, ErrKeyKind, 0},
		{"a platform key", apikey.Caller{Scope: sc, Kind: apikey.Platform, Scopes: []string{apikey.ScopeAuthPlane}}, ErrKeyKind, 0},
		{"a kind that nobody knows", apikey.Caller{Scope: sc, Kind: "LATER", Scopes: []string{apikey.ScopeAuthPlane}}, ErrKeyKind, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			limits := &full{}
			g := &Gate{keys: gateKeys{tt.caller}, limits: limits}
			if got, err := g.Server(t.Context(), "key", apikey.ScopeSessions); !errors.Is(err, tt.want) {
				t.Errorf("Server = %v, %v, want %v", got, err, tt.want)
			}
			if len(limits.asked) != tt.asked {
				t.Errorf("asked %v, want %d limits", limits.asked, tt.asked)
			}
		})
	}
}
