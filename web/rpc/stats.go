package rpc

import (
	"context"
	"math"
	"time"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/stats"
)

// statistics is what the handler needs of stats.Service.
type statistics interface {
	Overview(ctx context.Context, sc scope.Scope, r stats.Range) (stats.Overview, error)
	Series(ctx context.Context, sc scope.Scope, metric stats.About, r stats.Range, step time.Duration) (stats.Series, error)
}

// StatsHandler serves StatsService.
type StatsHandler struct {
	adminv1connect.UnimplementedStatsServiceHandler
	stats statistics
}

// NewStatsHandler returns a handler over s.
func NewStatsHandler(s *stats.Service) *StatsHandler { return &StatsHandler{stats: s} }

// GetStatsOverview translates: one call, one answer.
func (h *StatsHandler) GetStatsOverview(ctx context.Context, req *adminv1.GetStatsOverviewRequest) (*adminv1.StatsOverview, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	r, err := stats.ParseRange(req.GetRange())
	if err != nil {
		return nil, err
	}
	o, err := h.stats.Overview(ctx, sc, r)
	if err != nil {
		return nil, err
	}
	res := &adminv1.StatsOverview{
		Range: string(o.Range), From: timestamp(o.From), To: timestamp(o.To), Now: toStatsTotals(&o.Now), Before: toStatsTotals(&o.Before),
		Users: toStatsUsers(o.Users, r), UsersBefore: toStatsUsers(o.UsersThen, r),
	}
	if !o.CountedAt.IsZero() {
		res.CountedAt = timestamp(o.CountedAt)
	}
	return res, nil
}

// GetStatsTimeseries translates: one call, one answer.
func (h *StatsHandler) GetStatsTimeseries(ctx context.Context, req *adminv1.GetStatsTimeseriesRequest) (*adminv1.StatsTimeseries, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	metric, err := stats.ParseMetric(req.GetMetric())
	if err != nil {
		return nil, err
	}
	r, err := stats.ParseRange(req.GetRange())
	if err != nil {
		return nil, err
	}
	step, err := stats.ParseStep(r, req.GetStep())
	if err != nil {
		return nil, err
	}
	s, err := h.stats.Series(ctx, sc, metric, r, step)
	if err != nil {
		return nil, err
	}
	res := &adminv1.StatsTimeseries{Metric: string(s.Metric), Unit: s.Unit, Range: string(r), Step: stats.StepName(step)}
	if !s.CountedAt.IsZero() {
		res.CountedAt = timestamp(s.CountedAt)
	}
	for _, l := range s.Lines {
		res.Series = append(res.Series, l.Key)
	}
	for i, at := range s.Times() {
		p := &adminv1.StatsPoint{At: timestamp(at), Values: map[string]float64{}}
		for _, l := range s.Lines {
			if v := l.Values[i]; !math.IsNaN(v) {
				p.Values[l.Key] = v
			}
		}
		res.Points = append(res.Points, p)
	}
	return res, nil
}

// large is a count on the wire. JSON would write one of 64 bits as a text; four thousand
// million ceremonies in thirty days are more than there will be.
func large(n int64) uint32 { return uint32(min(max(n, 0), math.MaxUint32)) }

func toStatsOutcomes(o stats.Outcomes) *adminv1.StatsOutcomes {
	res := &adminv1.StatsOutcomes{Allowed: large(o.Allowed), SteppedUp: large(o.SteppedUp), Denied: large(o.Denied), Failed: large(o.Failed)}
	if share, ok := o.Success(); ok {
		percent := share * 100
		res.SuccessPercent = &percent
	}
	return res
}

func toStatsTotals(c *stats.Counts) *adminv1.StatsTotals {
	res := &adminv1.StatsTotals{
		SignIns: toStatsOutcomes(c.Of(stats.SignIn)), Registrations: toStatsOutcomes(c.Of(stats.Registration)),
		Enrollments: &adminv1.StatsEnrollments{First: large(c.First), Second: large(c.Second), Further: large(c.Further)},
	}
	if p50, ok := c.Quantile(stats.SignIn, .5); ok {
		p95, _ := c.Quantile(stats.SignIn, .95)
		p99, _ := c.Quantile(stats.SignIn, .99)
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		res.SignInLatency = &adminv1.StatsLatency{P50Ms: ms(p50), P95Ms: ms(p95), P99Ms: ms(p99)}
	}
	for _, r := range c.Reasons() {
		res.Reasons = append(res.Reasons, &adminv1.StatsReason{Kind: string(r.Kind), Outcome: r.Outcome, Reason: r.Reason, Count: large(r.Count)})
	}
	for _, m := range c.ByModel() {
		res.Authenticators = append(res.Authenticators, &adminv1.StatsAuthenticator{Aaguid: m.AAGUID.String(), SignIns: large(m.SignIns)})
	}
	return res
}

func toStatsUsers(u *stats.Users, r stats.Range) *adminv1.StatsUsers {
	if u == nil {
		return nil
	}
	return &adminv1.StatsUsers{
		MeasuredAt: timestamp(u.At), All: whole(u.All), Enrolled: whole(u.Enrolled), Several: whole(u.Several), Active: whole(u.Active(r)),
	}
}
