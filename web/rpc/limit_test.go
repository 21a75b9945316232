package rpc

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

func keyOf(tenant uuid.UUID, kind apikey.Kind, id string) apikey.Caller {
	return apikey.Caller{Kind: kind, Scope: scope.New(tenant, scope.Actor{Kind: scope.ActorAPIKey, ID: id})}
}

func from(t *testing.T, address string) context.Context {
	t.Helper()
	return NewOriginContext(t.Context(), scope.Origin{Address: netip.MustParseAddr(address)})
}

// One visitor cannot shut a tenant's sign-in for the others: with the key's limit
// alone "another address" is red.
func TestOneVisitorIsRefusedAlone(t *testing.T) {
	now := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	l := ratelimit.New(ratelimit.Options{Now: func() time.Time { return now }})
	admitted := func(c apikey.Caller, address string, n int) (in int) {
		for range n {
			err := allow(from(t, address), l, &c, ratelimit.Ask{})
			if err == nil {
				in++
			} else if !errors.Is(err, ratelimit.ErrLimited) {
				t.Fatal(err)
			}
		}
		return in
	}
	page, server := keyOf(uuid.New(), apikey.Publishable, "k"), keyOf(uuid.New(), apikey.Secret, "k")
	for _, tt := range []struct {
		name    string
		caller  apikey.Caller
		address string
		want    int64
	}{
		{"a flood from one address", page, "192.0.2.1", ratelimit.PerVisitor.Max},
		{"the same address, mapped", page, "::ffff:192.0.2.1", 0},
		{"another address", page, "192.0.2.2", ratelimit.PerVisitor.Max},
		{"an IPv6 network", page, "2001:db8::1", ratelimit.PerVisitor.Max},
		{"another address of that /64", page, "2001:db8::ffff:0:1", 0},
		{"another /64", page, "2001:db8:0:1::1", ratelimit.PerVisitor.Max},
		{"a server key has all of its own", server, "192.0.2.1", ratelimit.PerKey.Max},
	} {
		if n := admitted(tt.caller, tt.address, 10_000); int64(n) != tt.want {
			t.Errorf("%s: admitted %d, want %d", tt.name, n, tt.want)
		}
	}
	many, in := keyOf(uuid.New(), apikey.Publishable, "k"), 0
	for i := range 300 {
		in += admitted(many, "10.0."+strconv.Itoa(i/250)+"."+strconv.Itoa(i%250), 20)
	}
	if int64(in) != ratelimit.PerPublishableKey.Max {
		t.Errorf("300 visitors: admitted %d, want %d", in, ratelimit.PerPublishableKey.Max)
	}
	// However many keys a tenant makes, all of them together have its own limit.
	in = 0
	rich := uuid.New()
	for i := range 30 {
		in += admitted(keyOf(rich, apikey.Secret, strconv.Itoa(i)), "192.0.2.1", 500)
	}
	if int64(in) != ratelimit.PerTenant.Max {
		t.Errorf("30 keys: admitted %d, want %d", in, ratelimit.PerTenant.Max)
	}
}

// The methods that have a limit of their own are counted by the tenant, whichever key calls
// them, and what they take is a table.
func TestMethodsHaveLimits(t *testing.T) {
	for procedure, want := range map[string]ratelimit.Ask{
		adminv1connect.SigningKeyServiceRotateSigningKeyProcedure:       {Limit: &ratelimit.PerSigningKeyChange, ID: "all"},
		adminv1connect.SigningKeyServiceRevokeSigningKeyProcedure:       {Limit: &ratelimit.PerSigningKeyChange, ID: "all"},
		adminv1connect.RelyingPartyServiceVerifyDomainProcedure:         {Limit: &ratelimit.PerDomainLook, ID: "all"},
		authv1connect.RecoveryServiceRedeemRecoveryCodeProcedure:        {Limit: &ratelimit.PerRecovery, ID: "all"},
		adminv1connect.ExportServiceStartExportProcedure:                {Limit: &ratelimit.PerEndpoint, ID: "biocore.admin.v1.ExportService/StartExport", Cost: 20},
		adminv1connect.SigningKeyServiceListSigningKeysProcedure:        {},
		authv1connect.AuthenticationServiceBeginAuthenticationProcedure: {},
	} {
		l := &ledger{}
		caller := keyOf(uuid.New(), apikey.Secret, "k")
		ctx := context.WithValue(t.Context(), callerKey{}, caller)
		if err := Limit(l)(func(context.Context, connect.Spec, connect.ServerStream) error { return nil })(ctx, connect.Spec{Procedure: procedure}, nil); err != nil {
			t.Fatal(err)
		}
		var got ratelimit.Ask
		if len(l.asked) == 3 {
			got = l.asked[1]
			got.Who = ""
		}
		if got != want || l.asked[0].Limit != &ratelimit.PerKey || l.asked[len(l.asked)-1].Limit != &ratelimit.PerTenant {
			t.Errorf("%s is counted by %+v, want %+v between the key's and the tenant's", procedure, l.asked, want)
		}
	}
	for procedure, cost := range costs {
		if least, _ := ratelimit.PerEndpoint.Bounds(); cost > least {
			t.Errorf("%s takes %d: a tenant could be given less, and never call it", procedure, cost)
		}
		if _, ok := methods[procedure]; !ok {
			t.Errorf("%s: no such method", procedure)
		}
	}
}

// The headers of admitted and refused calls, and that a page is told of its own visitor alone.
func TestStandingIsTold(t *testing.T) {
	now := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	l := ratelimit.New(ratelimit.Options{Now: func() time.Time { return now }})
	call := func(c apikey.Caller, method ratelimit.Ask) (http.Header, error) {
		h := http.Header{}
		err := allow(NewHeaderContext(from(t, "192.0.2.1"), h), l, &c, method)
		return h, err
	}
	headers := func(limit, policy string) http.Header {
		return http.Header{"Ratelimit": {limit}, "Ratelimit-Policy": {policy}}
	}
	tenant := uuid.New()
	server, page := keyOf(tenant, apikey.Secret, "s"), keyOf(tenant, apikey.Publishable, "p")
	export := ofMethod(adminv1connect.ExportServiceStartExportProcedure)
	for i, tt := range []struct {
		caller  apikey.Caller
		method  ratelimit.Ask
		want    http.Header
		refused bool
	}{
		{caller: server, want: headers(`"key";r=399;t=1`, `"key";q=400;w=1, "tenant";q=8000;w=1`)},
		{caller: server, method: export, want: headers(`"endpoint";r=100;t=10`, `"key";q=400;w=1, "endpoint";q=120;w=60, "tenant";q=8000;w=1`)},
		{caller: page, want: headers(`"visitor";r=19;t=1`, `"visitor";q=20;w=1`)},
	} {
		got, err := call(tt.caller, tt.method)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("call %d: %v\n%s", i, err, diff)
		}
	}
	var last http.Header
	for range 19 {
		last, _ = call(page, ratelimit.Ask{})
	}
	refused, err := call(page, ratelimit.Ask{})
	if !errors.Is(err, ratelimit.ErrLimited) || last.Get("RateLimit") != `"visitor";r=0;t=1` || refused.Get("RateLimit") != `"visitor";r=0;t=1` {
		t.Errorf("the last is told %v, the one after it %v, %v", last, refused, err)
	}
	if got, err := call(keyOf(uuid.New(), apikey.Secret, "s"), ratelimit.Ask{}); err != nil || got.Get("RateLimit") != `"key";r=399;t=1` {
		t.Errorf("another tenant is told %v, %v", got, err)
	}
}

// A tenant with limits of its own is held to them, and told of them; the others are not.
func TestOwnLimits(t *testing.T) {
	own, err := new(ratelimit.Own).With([]ratelimit.Calls{{Name: "key", Calls: 2}, {Name: "endpoint", Calls: 240}, {Name: "visitor", Calls: 3}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	l := ratelimit.New(ratelimit.Options{Now: func() time.Time { return now }})
	call := func(c apikey.Caller, method ratelimit.Ask) (string, error) {
		h := http.Header{}
		err := allow(NewHeaderContext(from(t, "192.0.2.1"), h), l, &c, method)
		return h.Get("RateLimit") + " of " + h.Get("RateLimit-Policy"), err
	}
	tenant := uuid.New()
	server, page := keyOf(tenant, apikey.Secret, "s"), keyOf(tenant, apikey.Publishable, "p")
	server.Limits, page.Limits = &own, &own
	for i, tt := range []struct {
		caller  apikey.Caller
		method  ratelimit.Ask
		want    string
		refused bool
	}{
		{caller: server, want: `"key";r=1;t=1 of "key";q=2;w=1, "tenant";q=8000;w=1`},
		{caller: server, method: ofMethod(adminv1connect.ExportServiceStartExportProcedure), want: `"key";r=0;t=1 of "key";q=2;w=1, "endpoint";q=240;w=60, "tenant";q=8000;w=1`},
		{caller: server, want: `"key";r=0;t=1 of "key";q=2;w=1, "tenant";q=8000;w=1`, refused: true},
		{caller: page, want: `"visitor";r=2;t=1 of "visitor";q=3;w=1`},
		{caller: keyOf(uuid.New(), apikey.Secret, "s"), want: `"key";r=399;t=1 of "key";q=400;w=1, "tenant";q=8000;w=1`},
	} {
		if got, err := call(tt.caller, tt.method); got != tt.want || errors.Is(err, ratelimit.ErrLimited) != tt.refused {
			t.Errorf("call %d: %s, %v, want %s", i, got, err, tt.want)
		}
	}
}

// What the store had no room for is counted for its tenant, and nothing else is.
func TestOverloadIsCounted(t *testing.T) {
	for err, want := range map[error]int{db.ErrOverloaded: 1, db.ErrUnavailable: 0, ratelimit.ErrLimited: 0, fault.New(fault.Invalid, "OTHER", "other"): 0} {
		l := &ledger{}
		ctx := context.WithValue(t.Context(), callerKey{}, keyOf(uuid.New(), apikey.Secret, "k"))
		got := Limit(l)(func(context.Context, connect.Spec, connect.ServerStream) error { return err })(ctx, connect.Spec{}, nil)
		if !errors.Is(got, err) || l.full != want {
			t.Errorf("%v: counted %d times, want %d", err, l.full, want)
		}
	}
}
