package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/authcore/user"
	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// risks is what the handler of the auth plane needs of risk.Service.
type risks interface {
	Evaluate(ctx context.Context, sc scope.Scope, req risk.EvaluateRequest) (risk.Evaluation, error)
	Report(ctx context.Context, sc scope.Scope, decision uuid.UUID, verdict risk.Verdict, note string) (risk.Feedback, error)
}

// RiskHandler serves RiskService.
type RiskHandler struct {
	authv1connect.UnimplementedRiskServiceHandler
	risks risks
}

// NewRiskHandler returns a handler over s.
func NewRiskHandler(s *risk.Service) *RiskHandler { return &RiskHandler{risks: s} }

// EvaluateRisk translates: one call, one answer.
func (h *RiskHandler) EvaluateRisk(ctx context.Context, req *authv1.EvaluateRiskRequest) (*authv1.EvaluateRiskResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	ask := risk.EvaluateRequest{UserAgent: req.GetUserAgent(), Action: req.GetAction()}
	if req.UserId != nil {
		id, err := user.ParseID(req.GetUserId())
		if err != nil {
			return nil, user.ErrNotFound
		}
		ask.User = id.UUID()
	}
	if ask.Address, err = clientAddress(req.Ip); err != nil {
		return nil, err
	}
	if ask.Attributes, err = risk.ParseValues(req.GetAttributes().AsMap()); err != nil {
		return nil, err
	}
	answers(ctx, func(e risk.Evaluation) proto.Message { return toEvaluation(e) })
	e, err := h.risks.Evaluate(ctx, sc, ask)
	if err != nil {
		return nil, err
	}
	return toEvaluation(e), nil
}

// ReportRisk translates: one call, one answer.
func (h *RiskHandler) ReportRisk(ctx context.Context, req *authv1.ReportRiskRequest) (*authv1.RiskReport, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(req.GetDecisionId())
	if err != nil {
		return nil, risk.ErrDecision
	}
	verdict := risk.Legitimate
	if req.GetVerdict() == authv1.ReportRiskRequest_FRAUD {
		verdict = risk.Fraud
	}
	answers(ctx, func(f risk.Feedback) proto.Message { return toRiskReport(f) })
	f, err := h.risks.Report(ctx, sc, id, verdict, req.GetNote())
	if err != nil {
		return nil, err
	}
	return toRiskReport(f), nil
}

// fromRiskContext is what a server says of the user's client. nil for nothing.
func fromRiskContext(ctx context.Context, c *authv1.RiskContext) (*ceremony.Client, risk.Values, error) {
	if c == nil {
		return nil, nil, nil
	}
	if publishable(ctx) {
		return nil, nil, ceremony.ErrNeedsServerKey.WithMessage("the client is who calls: to say more of it takes a server key")
	}
	address, err := clientAddress(c.Ip)
	if err != nil {
		return nil, nil, err
	}
	values, err := risk.ParseValues(c.GetAttributes().AsMap())
	if err != nil {
		return nil, nil, err
	}
	return &ceremony.Client{Address: address, UserAgent: c.GetUserAgent()}, values, nil
}

// clientAddress reads an address that a server sent on. nil is none.
func clientAddress(text *string) (netip.Addr, error) {
	if text == nil {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(*text)
	if err != nil {
		return netip.Addr{}, risk.ErrSignals.WithMessage("ip is an IPv4 or IPv6 address").With("field", "ip")
	}
	return a.Unmap().WithZone(""), nil
}

func toRisk(a *risk.Assessment) *authv1.Risk {
	if a == nil {
		return nil
	}
	return &authv1.Risk{Score: tally(a.Decision.Score), Level: toRiskLevel(a.Decision.Score), Reasons: toRiskReasons(a.Decision.Signals), Degraded: a.Facts.Degraded}
}

func toRiskLevel(score int) authv1.Risk_Level {
	switch risk.LevelOf(score) {
	case risk.Low:
		return authv1.Risk_LOW
	case risk.Medium:
		return authv1.Risk_MEDIUM
	case risk.High:
	}
	return authv1.Risk_HIGH
}

func toRiskReasons(signals []risk.Signal) []*authv1.RiskReason {
	out := make([]*authv1.RiskReason, len(signals))
	for i, s := range signals {
		out[i] = &authv1.RiskReason{Code: s.Code, Weight: tally(s.Points), Explanation: s.Reason}
	}
	return out
}

func toEvaluation(e risk.Evaluation) *authv1.EvaluateRiskResponse {
	decision := authv1.EvaluateRiskResponse_DENY
	switch e.Decision.Outcome {
	case risk.Allow:
		decision = authv1.EvaluateRiskResponse_ALLOW
	case risk.StepUp:
		decision = authv1.EvaluateRiskResponse_STEP_UP
	case risk.Deny:
	}
	return &authv1.EvaluateRiskResponse{
		EvaluationId: e.ID.String(), Score: tally(e.Decision.Score), Level: toRiskLevel(e.Decision.Score), Reasons: toRiskReasons(e.Decision.Signals),
		Decision: decision, Rule: optional(e.Decision.Rule), Degraded: e.Facts.Degraded,
	}
}

func toRiskReport(f risk.Feedback) *authv1.RiskReport {
	verdict := authv1.ReportRiskRequest_LEGITIMATE
	if f.Verdict == risk.Fraud {
		verdict = authv1.ReportRiskRequest_FRAUD
	}
	return &authv1.RiskReport{DecisionId: f.Decision.String(), Verdict: verdict, Note: f.Note, GivenBy: f.GivenBy, GivenAt: timestamp(f.GivenAt)}
}

// riskRules is what the handler of the admin plane needs of risk.Service.
type riskRules interface {
	Rules(ctx context.Context, sc scope.Scope) (risk.RulesVersion, error)
	PutRules(ctx context.Context, sc scope.Scope, req risk.PutRulesRequest) (risk.RulesVersion, error)
	RulesVersions(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[risk.RulesVersion], error)
	RulesVersion(ctx context.Context, sc scope.Scope, version int) (risk.RulesVersion, error)
	RollbackRules(ctx context.Context, sc scope.Scope, version int, reason, ifMatch string) (risk.RulesVersion, error)
	Backtest(ctx context.Context, sc scope.Scope, req risk.BacktestRequest) (risk.Backtest, error)
	Provider(ctx context.Context, sc scope.Scope) (risk.Provider, error)
	PutProvider(ctx context.Context, sc scope.Scope, req risk.PutProviderRequest) (risk.Provider, error)
	RemoveProvider(ctx context.Context, sc scope.Scope, reason, ifMatch string) error
}

// RiskRulesHandler serves RiskRulesService.
type RiskRulesHandler struct {
	adminv1connect.UnimplementedRiskRulesServiceHandler
	rules riskRules
}

// NewRiskRulesHandler returns a handler over s.
func NewRiskRulesHandler(s *risk.Service) *RiskRulesHandler { return &RiskRulesHandler{rules: s} }

// GetRiskRules translates: one call, one answer.
func (h *RiskRulesHandler) GetRiskRules(ctx context.Context, _ *adminv1.GetRiskRulesRequest) (*adminv1.RiskRules, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	v, err := h.rules.Rules(ctx, sc)
	if err != nil {
		return nil, err
	}
	return toRiskRules(v), nil
}

// PutRiskRules writes the next version; If-Match guards.
func (h *RiskRulesHandler) PutRiskRules(ctx context.Context, req *adminv1.PutRiskRulesRequest) (*adminv1.RiskRules, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	document, err := protojson.Marshal(req.GetDocument())
	if err != nil { // a number that is none, or text that is not UTF-8: over gRPC alone
		return nil, risk.ErrInvalid.WithCause(err)
	}
	answers(ctx, func(v risk.RulesVersion) proto.Message { return toRiskRules(v) })
	v, err := h.rules.PutRules(ctx, sc, risk.PutRulesRequest{Document: document, Reason: req.GetReason(), IfMatch: etag})
	if err != nil {
		return nil, err
	}
	return toRiskRules(v), nil
}

// ListRiskRulesVersions translates: one call, one answer.
func (h *RiskRulesHandler) ListRiskRulesVersions(
	ctx context.Context, req *adminv1.ListRiskRulesVersionsRequest,
) (*adminv1.ListRiskRulesVersionsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.rules.RulesVersions(ctx, sc, listing.Request{PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListRiskRulesVersionsResponse{NextPageToken: page.NextToken}
	for _, v := range page.Items {
		res.Versions = append(res.Versions, toRiskRules(v))
	}
	return res, nil
}

// GetRiskRulesVersion translates: one call, one answer.
func (h *RiskRulesHandler) GetRiskRulesVersion(ctx context.Context, req *adminv1.GetRiskRulesVersionRequest) (*adminv1.RiskRules, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	v, err := h.rules.RulesVersion(ctx, sc, int(req.GetVersion()))
	if err != nil {
		return nil, err
	}
	return toRiskRules(v), nil
}

// RollbackRiskRules writes an old version's document as the next one; If-Match guards.
func (h *RiskRulesHandler) RollbackRiskRules(ctx context.Context, req *adminv1.RollbackRiskRulesRequest) (*adminv1.RiskRules, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(v risk.RulesVersion) proto.Message { return toRiskRules(v) })
	v, err := h.rules.RollbackRules(ctx, sc, int(req.GetVersion()), req.GetReason(), etag)
	if err != nil {
		return nil, err
	}
	return toRiskRules(v), nil
}

// BacktestRiskRules translates: one call, one answer.
func (h *RiskRulesHandler) BacktestRiskRules(
	ctx context.Context, req *adminv1.BacktestRiskRulesRequest,
) (*adminv1.BacktestRiskRulesResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	ask := risk.BacktestRequest{Days: int(req.GetDays())}
	if req.GetDocument() != nil {
		if ask.Document, err = protojson.Marshal(req.GetDocument()); err != nil { // as in PutRiskRules
			return nil, risk.ErrInvalid.WithCause(err)
		}
	}
	b, err := h.rules.Backtest(ctx, sc, ask)
	if err != nil {
		return nil, err
	}
	res := &adminv1.BacktestRiskRulesResponse{
		Since: timestamp(b.Since), Decisions: tally(b.Decisions), All: b.All, Without: tally(b.Without), Degraded: tally(b.Degraded),
		Fraud: tally(b.Fraud), FraudStopped: tally(b.FraudStopped), Legitimate: tally(b.Legitimate), LegitimateStopped: tally(b.LegitimateStopped),
	}
	for _, n := range b.Histogram {
		res.Histogram = append(res.Histogram, tally(n))
	}
	for _, c := range b.Changes {
		res.Changes = append(res.Changes, &adminv1.BacktestRiskRulesResponse_Change{Before: string(c.Before), After: string(c.After), Count: tally(c.Count)})
	}
	for _, s := range b.Signals {
		res.Signals = append(res.Signals, &adminv1.BacktestRiskRulesResponse_Signal{Code: s.Code, Count: tally(s.Count), Average: float64(s.Points) / float64(s.Count)})
	}
	for _, r := range b.Rules {
		res.Rules = append(res.Rules, &adminv1.BacktestRiskRulesResponse_Rule{
			Id: r.ID, Matched: tally(r.Matched), Decided: tally(r.Decided), Failed: tally(r.Failed), Fraud: tally(r.Fraud), Legitimate: tally(r.Legitimate),
		})
	}
	for _, e := range b.Examples {
		example := &adminv1.BacktestRiskRulesResponse_Example{
			CeremonyId: e.ID.String(), At: timestamp(e.At), Before: string(e.Before), After: string(e.After), Score: tally(e.Score), Rule: optional(e.Rule),
		}
		if e.User != nil {
			example.UserId = optional(e.User.String())
		}
		res.Examples = append(res.Examples, example)
	}
	return res, nil
}

// GetRiskProvider translates: one call, one answer.
func (h *RiskRulesHandler) GetRiskProvider(ctx context.Context, _ *adminv1.GetRiskProviderRequest) (*adminv1.RiskProvider, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	p, err := h.rules.Provider(ctx, sc)
	if err != nil {
		return nil, err
	}
	return toRiskProvider(p), nil
}

// PutRiskProvider changes which service is asked; If-Match guards.
func (h *RiskRulesHandler) PutRiskProvider(ctx context.Context, req *adminv1.PutRiskProviderRequest) (*adminv1.RiskProvider, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	config, err := protojson.Marshal(req.GetConfig())
	if err != nil { // as in PutRiskRules
		return nil, risk.ErrProvider.WithCause(err)
	}
	answers(ctx, func(p risk.Provider) proto.Message { return toRiskProvider(p) })
	p, err := h.rules.PutProvider(ctx, sc, risk.PutProviderRequest{Config: config, Credential: req.GetCredential(), Reason: req.GetReason(), IfMatch: etag})
	if err != nil {
		return nil, err
	}
	return toRiskProvider(p), nil
}

// DeleteRiskProvider has no service asked any more; If-Match guards.
func (h *RiskRulesHandler) DeleteRiskProvider(ctx context.Context, req *adminv1.DeleteRiskProviderRequest) (*adminv1.DeleteRiskProviderResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(risk.Provider) proto.Message { return &adminv1.DeleteRiskProviderResponse{} })
	if err := h.rules.RemoveProvider(ctx, sc, req.GetReason(), etag); err != nil {
		return nil, err
	}
	return &adminv1.DeleteRiskProviderResponse{}, nil
}

func toRiskProvider(p risk.Provider) *adminv1.RiskProvider {
	config := new(structpb.Struct)
	text, err := json.Marshal(p.Config)
	if err == nil {
		err = protojson.Unmarshal(text, config)
	}
	if err != nil {
		panic(fmt.Sprintf("the configuration of a risk provider is no JSON: %v", err)) // risk checked it
	}
	return &adminv1.RiskProvider{Config: config, UpdatedBy: p.UpdatedBy, UpdatedAt: timestamp(p.UpdatedAt), Etag: p.ETag}
}

func toRiskRules(v risk.RulesVersion) *adminv1.RiskRules {
	document := new(structpb.Struct)
	if err := protojson.Unmarshal(v.Document.JSON(), document); err != nil {
		panic(fmt.Sprintf("risk rules are no JSON: %v", err)) // risk made it
	}
	out := &adminv1.RiskRules{
		Version: int32(v.Version), Document: document, Reason: v.Reason, CreatedBy: v.CreatedBy, Etag: v.ETag, //nolint:gosec // it came from an int32
	}
	if !v.CreatedAt.IsZero() {
		out.CreatedAt = timestamp(v.CreatedAt)
	}
	return out
}
