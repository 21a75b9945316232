package main

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
)

// Whoever is admitted is told where it stands, and whoever is refused when to come back, over
// every protocol, in headers.
func TestEveryProtocolTellsTheLimits(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	stands := regexp.MustCompile(`^"(key|visitor)";r=\d+;t=1$`)
	for name, transport := range w.protocols(t) {
		a := newAPI(transport)
		for key, policy := range map[string]string{c.secret: `"key";q=400;w=1, "tenant";q=8000;w=1`, c.publishable: `"visitor";q=20;w=1`} {
			var refusals int
			begin := func(ctx context.Context) error {
				_, err := a.authentication.BeginAuthentication(ctx, &authv1.BeginAuthenticationRequest{
					Subject: &authv1.BeginAuthenticationRequest_ExternalId{ExternalId: name + key},
				})
				return err
			}
			for i := 0; refusals == 0 && i < 200; i++ {
				ctx, info := keyed(t.Context(), key)
				err := begin(ctx)
				h := info.ResponseHeader()
				if !stands.MatchString(h.Get("RateLimit")) || h.Get("RateLimit-Policy") != policy || len(h.Values("RateLimit")) != 1 {
					t.Fatalf("%s: RateLimit %q, RateLimit-Policy %q, want the policy %s", name, h.Values("RateLimit"), h.Get("RateLimit-Policy"), policy)
				}
				if info.ResponseTrailer().Get("RateLimit") != "" {
					t.Errorf("%s: RateLimit is a trailer", name)
				}
				if err == nil {
					continue
				}
				refusals++
				got := refusal(t, err)
				after, bad := strconv.Atoi(h.Get("Retry-After") + info.ResponseTrailer().Get("Retry-After"))
				if got.code != connect.CodeResourceExhausted || got.reason != "RATE_LIMITED" || got.metadata["limit"] == "" || bad != nil || after < 1 || after > 2 {
					t.Errorf("%s: %+v, Retry-After %d, %v", name, got, after, bad)
				}
			}
			if refusals == 0 {
				t.Errorf("%s: nothing is refused", name)
			}
		}
	}

	told := w.must(t, "GET", "/admin/v1/limits", c.secret, nil)
	if n := strings.Count(told.raw, `"windowSeconds"`); n != len(ratelimit.All()) || !strings.Contains(told.raw, `"limit":"user"`) {
		t.Errorf("GET /admin/v1/limits: %d limits: %s", n, told.raw)
	}
	if other := w.must(t, "GET", "/admin/v1/limits", w.tenant(t, "globex").secret, nil); strings.Contains(other.raw, `"limit"`+":") {
		t.Errorf("another tenant is told what was refused: %s", other.raw)
	}
}
