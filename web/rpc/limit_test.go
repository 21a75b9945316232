package rpc

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// One visitor cannot shut a tenant's sign-in for the others: with the key's limit
// alone "another address" is red.
func TestOneVisitorIsRefusedAlone(t *testing.T) {
	now := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	callerOf := func(kind apikey.Kind) apikey.Caller {
		return apikey.Caller{Kind: kind, Scope: scope.New(uuid.New(), scope.Actor{Kind: scope.ActorAPIKey, ID: "k"})}
	}
	l := ratelimit.New(ratelimit.Options{Now: func() time.Time { return now }})
	admitted := func(c apikey.Caller, from string, n int) (in int) {
		for range n {
			err := allow(l, c, netip.MustParseAddr(from))
			if err == nil {
				in++
			} else if !errors.Is(err, ratelimit.ErrLimited) {
				t.Fatal(err)
			}
		}
		return in
	}
	page, server := callerOf(apikey.Publishable), callerOf(apikey.Secret)
	for _, tt := range []struct {
		name   string
		caller apikey.Caller
		from   string
		want   int64
	}{
		{"a flood from one address", page, "192.0.2.1", ratelimit.PerVisitor.Max},
		{"the same address, mapped", page, "::ffff:192.0.2.1", 0},
		{"another address", page, "192.0.2.2", ratelimit.PerVisitor.Max},
		{"an IPv6 network", page, "2001:db8::1", ratelimit.PerVisitor.Max},
		{"another address of that /64", page, "2001:db8::ffff:0:1", 0},
		{"another /64", page, "2001:db8:0:1::1", ratelimit.PerVisitor.Max},
		{"a server key has all of its own", server, "192.0.2.1", ratelimit.PerKey.Max},
	} {
		if n := admitted(tt.caller, tt.from, 10_000); int64(n) != tt.want {
			t.Errorf("%s: admitted %d, want %d", tt.name, n, tt.want)
		}
	}
	many, in := callerOf(apikey.Publishable), 0
	for i := range 300 {
		in += admitted(many, "10.0."+strconv.Itoa(i/250)+"."+strconv.Itoa(i%250), 20)
	}
	if int64(in) != ratelimit.PerPublishableKey.Max {
		t.Errorf("300 visitors: admitted %d, want %d", in, ratelimit.PerPublishableKey.Max)
	}
}

// onlyOf refuses one limit.
type onlyOf struct{ name string }

var errLimited = errors.New("limited")

func (o onlyOf) Allow(_ scope.Scope, limit ratelimit.Limit, _ string) error {
	if limit.Name == o.name {
		return errLimited
	}
	return nil
}

// What makes signing keys is counted by the tenant and the hour, whichever key calls it.
func TestSigningKeyChangesAreLimited(t *testing.T) {
	run := Limit(onlyOf{ratelimit.PerSigningKeyChange.Name})(func(context.Context, connect.Spec, connect.ServerStream) error { return nil })
	ctx := context.WithValue(t.Context(), callerKey{}, apikey.Caller{Kind: apikey.Secret})
	for procedure, want := range map[string]error{
		adminv1connect.SigningKeyServiceRotateSigningKeyProcedure: errLimited,
		adminv1connect.SigningKeyServiceRevokeSigningKeyProcedure: errLimited,
		adminv1connect.SigningKeyServiceListSigningKeysProcedure:  nil,
		adminv1connect.ApiKeyServiceCreateApiKeyProcedure:         nil,
	} {
		if err := run(ctx, connect.Spec{Procedure: procedure}, nil); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", procedure, err, want)
		}
	}
}
