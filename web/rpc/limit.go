package rpc

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// limiter counts calls.
type limiter interface {
	Allow(ctx context.Context, sc scope.Scope, asks ...ratelimit.Ask) (ratelimit.Standing, error)
	Overloaded(sc scope.Scope)
}

// Limit refuses what a key calls too often, what one visitor does with a publishable one, and
// what all keys of a tenant do together. It comes after Authenticate. The answer says where the
// caller stands; see tellStanding.
func Limit(l limiter) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			caller, ok := ctx.Value(callerKey{}).(apikey.Caller)
			if !ok {
				return scope.ErrMissing
			}
			if err := allow(ctx, l, &caller, ofMethod(spec.Procedure)); err != nil {
				return err
			}
			err := next(ctx, spec, stream)
			if err != nil && isOverload(err) {
				l.Overloaded(caller.Scope)
			}
			return err
		}
	}
}

// isOverload reports that there was no room for a call: db.ErrOverloaded, which this package
// cannot name.
func isOverload(err error) bool {
	f, ok := fault.As(err)
	return ok && f.Kind == fault.Unavailable && f.Reason == reasonOverloaded
}

const reasonOverloaded = "OVERLOADED"

// ofMethod is the limit that a method has beside those of its caller; without one its Limit is nil.
func ofMethod(procedure string) ratelimit.Ask {
	if l := limited[procedure]; l != nil {
		return ratelimit.Ask{Limit: l, ID: "all"}
	}
	if cost := costs[procedure]; cost > 0 {
		return ratelimit.Ask{Limit: &ratelimit.PerEndpoint, ID: procedure[1:], Cost: cost}
	}
	return ratelimit.Ask{}
}

// limited are methods that have a limit of their own, for the tenant.
var limited = map[string]*ratelimit.Limit{
	adminv1connect.SigningKeyServiceRotateSigningKeyProcedure:    &ratelimit.PerSigningKeyChange,
	adminv1connect.SigningKeyServiceRevokeSigningKeyProcedure:    &ratelimit.PerSigningKeyChange,
	adminv1connect.RelyingPartyServiceVerifyDomainProcedure:      &ratelimit.PerDomainLook,
	adminv1connect.RelyingPartyServiceFetchRelyingPartyProcedure: &ratelimit.PerDomainLook,
	authv1connect.RecoveryServiceRedeemRecoveryCodeProcedure:     &ratelimit.PerRecovery,
}

// costs are the methods that are counted by PerEndpoint, and what a call of each takes of its 120
// a minute: 20 where it begins a job that reads all of a tenant, 10 where it reads much at once
// or sends something out, 4 where it begins something that others finish or is mailed, 1 where it
// opens what is sealed, or reads a page of everything.
var costs = map[string]int64{
	adminv1connect.ExportServiceStartExportProcedure:          20,
	adminv1connect.ReportServiceCreateReportProcedure:         20,
	adminv1connect.DlpServiceStartDlpScanProcedure:            20,
	adminv1connect.PolicyServiceSimulatePolicyProcedure:       10,
	adminv1connect.RiskRulesServiceBacktestRiskRulesProcedure: 10,
	adminv1connect.LogStreamServiceReplayLogStreamProcedure:   10,
	adminv1connect.LogStreamServiceTestLogStreamProcedure:     10,
	adminv1connect.ImportServiceCreateImportProcedure:         4,
	adminv1connect.DlpServiceImportDlpFindingsProcedure:       4,
	adminv1connect.MemberServiceInviteMemberProcedure:         4,
	adminv1connect.TenantServiceInviteTenantProcedure:         4,
	adminv1connect.ImportServiceExportUsersProcedure:          1,
	adminv1connect.ImportServiceExportContactsProcedure:       1,
	adminv1connect.EvidenceServiceDownloadEvidenceProcedure:   1,
	adminv1connect.EvidenceServiceVerifyEvidenceProcedure:     1,
}

// downloadCost is what a download takes of PerEndpoint: 30 a minute of each kind.
const downloadCost = 4

// allow asks for the narrowest limit first, and for all of them at once: who is over its own
// takes nothing from those that it shares. A page is told of its visitor's alone: what the
// others leave is the tenant's to know.
func allow(ctx context.Context, l limiter, caller *apikey.Caller, method ratelimit.Ask) error {
	id, page := caller.Scope.Actor().ID, caller.Kind == apikey.Publishable
	asks := make([]ratelimit.Ask, 0, 4)
	if page {
		from := ratelimit.Visitor(OriginFromContext(ctx).Address).String()
		asks = append(asks,
			ratelimit.Ask{Limit: &ratelimit.PerVisitor, ID: id + "@" + from, Who: from},
			ratelimit.Ask{Limit: &ratelimit.PerPublishableKey, ID: id, Who: id, Quiet: true})
	} else {
		asks = append(asks, ratelimit.Ask{Limit: &ratelimit.PerKey, ID: id, Who: id})
	}
	if method.Limit != nil {
		method.Who, method.Quiet = id, page
		asks = append(asks, method)
	}
	asks = append(asks, ratelimit.Ask{Limit: &ratelimit.PerTenant, ID: "all", Who: id, Quiet: page})
	for i := range asks {
		asks[i].Limit = caller.Limits.Of(asks[i].Limit)
	}
	standing, err := l.Allow(ctx, caller.Scope, asks...)
	tellStanding(ctx, caller.Limits, page, method.Limit, standing)
	return err
}

// tellStanding sets the headers RateLimit-Policy, with the limits that the caller is told of, and
// RateLimit, with where it stands in the one that it is closest to
// (draft-ietf-httpapi-ratelimit-headers-11). A GCRA gives back evenly: t is when all of it is
// back. They are set on the response itself, which all transports share, and are no trailers.
func tellStanding(ctx context.Context, own *ratelimit.Own, page bool, method *ratelimit.Limit, s ratelimit.Standing) {
	header := headerFromContext(ctx)
	if header == nil || s.Limit == nil {
		return
	}
	b := make([]byte, 0, 48)
	b = append(b, '"')
	b = append(b, s.Limit.Name...)
	b = append(b, `";r=`...)
	b = strconv.AppendInt(b, s.Left, 10)
	b = append(b, ";t="...)
	b = strconv.AppendInt(b, int64((s.Reset+time.Second-1)/time.Second), 10)
	header["Ratelimit"] = []string{string(b)}
	if own.None() {
		header["Ratelimit-Policy"] = told[toldOf{page, method}]
	} else {
		header["Ratelimit-Policy"] = []string{policyOf(own, page, method)}
	}
}

// toldOf is what the value of RateLimit-Policy depends on, for tenants without limits of their own.
type toldOf struct {
	page   bool
	method *ratelimit.Limit
}

// told are the values of RateLimit-Policy, which must not be written to.
var told = func() map[toldOf][]string {
	out := map[toldOf][]string{}
	for _, method := range append([]*ratelimit.Limit{nil}, ratelimit.All()...) {
		for _, page := range []bool{false, true} {
			out[toldOf{page, method}] = []string{policyOf(nil, page, method)}
		}
	}
	return out
}()

// policyOf is the value of RateLimit-Policy.
func policyOf(own *ratelimit.Own, page bool, method *ratelimit.Limit) string {
	if page {
		return quota(own.Of(&ratelimit.PerVisitor))
	}
	limits := quota(own.Of(&ratelimit.PerKey))
	if method != nil {
		limits += ", " + quota(own.Of(method))
	}
	return limits + ", " + quota(own.Of(&ratelimit.PerTenant))
}

func quota(l *ratelimit.Limit) string {
	return `"` + l.Name + `";q=` + strconv.FormatInt(l.Max, 10) + ";w=" + strconv.Itoa(int(math.Ceil(l.Window.Seconds())))
}

type headerKey struct{}

// NewHeaderContext returns a context that knows the header of the response. The edge makes it.
func NewHeaderContext(ctx context.Context, h http.Header) context.Context {
	return context.WithValue(ctx, headerKey{}, h)
}

// headerFromContext returns it; nil if the call did not pass the edge.
func headerFromContext(ctx context.Context) http.Header {
	h, _ := ctx.Value(headerKey{}).(http.Header)
	return h
}
