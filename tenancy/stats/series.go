package stats

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Metric is what a chart shows over time. Names are the API's.
type Metric string

// The metrics.
const (
	SignIns       Metric = "signIns"
	SignInSuccess Metric = "signInSuccess"
	SignInLatency Metric = "signInLatency"
	Registrations Metric = "registrations"
	Enrollments   Metric = "enrollments"
	Reasons       Metric = "reasons"
	Models        Metric = "authenticators"
	UserTotals    Metric = "users"
	ActiveUsers   Metric = "activeUsers"
)

// About is what a metric is, for people and for whoever draws it.
type About struct {
	Metric Metric
	Title  string
	Says   string // in a line
	Unit   string // of its values: %, ms, or empty for counts
	Gauge  bool   // measured now and then: values of steps do not add up
}

// abouts is every metric, in the order that people choose from.
var abouts = []About{
	{SignIns, "Sign-ins", "Finished sign-ins by outcome", "", false},
	{SignInSuccess, "Sign-in success", "Share of finished sign-ins that were let in", "%", false},
	{SignInLatency, "Sign-in latency", "Server time to finish a sign-in: median, 95th, 99th percentile", "ms", false},
	{Registrations, "Registrations", "Finished registrations by outcome", "", false},
	{Enrollments, "Enrollments", "Passkeys made by users who had none, one, more", "", false},
	{Reasons, "Reasons", "Why sign-ins and registrations were not let in, the five most frequent", "", false},
	{Models, "Authenticators", "Sign-ins by model of authenticator, the five most frequent", "", false},
	{UserTotals, "Users", "All users, those with a passkey, those with several", "", true},
	{ActiveUsers, "Active users", "Users who signed in within a day, a week, thirty days", "", true},
}

// Metrics returns all there are.
func Metrics() []About { return slices.Clone(abouts) }

// ParseMetric reads the name of a metric. ErrMetric.
func ParseMetric(text string) (About, error) {
	for _, a := range abouts {
		if string(a.Metric) == text {
			return a, nil
		}
	}
	return About{}, ErrMetric
}

// Line is one value of a metric over time.
type Line struct {
	Key    string    // allowed, p95, a reason, an AAGUID, other: the same from one answer to the next
	Values []float64 // one for each step; NaN where nothing is known
}

// Series is a metric over time.
type Series struct {
	About
	Range     Range
	From      time.Time // when the first step begins
	To        time.Time // exclusive: the end of the step that is going on
	Step      time.Duration
	CountedAt time.Time // zero: never yet
	Lines     []Line
}

// Times are when the steps begin.
func (s *Series) Times() []time.Time {
	var out []time.Time
	for at := s.From; at.Before(s.To); at = at.Add(s.Step) {
		out = append(out, at)
	}
	return out
}

// Series answers how a metric went. step fits into the range, as ParseStep says.
func (s *Service) Series(ctx context.Context, sc scope.Scope, metric About, r Range, step time.Duration) (Series, error) {
	var out Series
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		out = Series{About: metric, Range: r, Step: step, To: tx.Now().Truncate(step).Add(step)}
		out.From = out.To.Add(-r.Duration())
		mark, err := tx.GetStatsMark(ctx)
		if err == nil && mark.CountedAt.Unix() > 0 {
			out.CountedAt = mark.CountedAt
		} else if err != nil && !db.IsNoRows(err) {
			return fmt.Errorf("get stats mark: %w", err)
		}
		if metric.Gauge {
			out.Lines, err = gaugeLines(ctx, tx, &out)
			return err
		}
		all, err := points(ctx, tx, out.From, out.To, step)
		if err != nil {
			return err
		}
		out.Lines = LinesOf(metric.Metric, all)
		return nil
	})
	return out, err
}

// LinesOf are the lines of a metric that is counted, one value for each point.
func LinesOf(metric Metric, all []Point) []Line {
	switch metric {
	case SignIns:
		return outcomeLines(all, SignIn)
	case Registrations:
		return outcomeLines(all, Registration)
	case SignInSuccess:
		return []Line{line("success", all, func(p *Point) float64 {
			if share, ok := p.Of(SignIn).Success(); ok {
				return share * 100
			}
			return math.NaN()
		})}
	case SignInLatency:
		quantile := func(key string, q float64) Line {
			return line(key, all, func(p *Point) float64 {
				if d, ok := p.Quantile(SignIn, q); ok {
					return float64(d.Microseconds()) / 1000
				}
				return math.NaN()
			})
		}
		return []Line{quantile("p50", .5), quantile("p95", .95), quantile("p99", .99)}
	case Enrollments:
		return []Line{
			line("first", all, func(p *Point) float64 { return float64(p.First) }),
			line("second", all, func(p *Point) float64 { return float64(p.Second) }),
			line("further", all, func(p *Point) float64 { return float64(p.Further) }),
		}
	case Reasons:
		return topLines(all, func(p *Point) map[string]int64 {
			out := map[string]int64{}
			for _, r := range p.Reasons() {
				out[cmp.Or(r.Reason, r.Outcome)] += r.Count
			}
			return out
		})
	case Models:
		return topLines(all, func(p *Point) map[string]int64 { return p.Models })
	default:
		return nil
	}
}

func line(key string, all []Point, value func(*Point) float64) Line {
	l := Line{Key: key, Values: make([]float64, len(all))}
	for i := range all {
		l.Values[i] = value(&all[i])
	}
	return l
}

func outcomeLines(all []Point, kind Kind) []Line {
	out := []Line{{Key: "allowed"}, {Key: "steppedUp"}, {Key: "denied"}, {Key: "failed"}}
	for i := range all {
		o := all[i].Of(kind)
		for k, n := range []int64{o.Allowed, o.SteppedUp, o.Denied, o.Failed} {
			out[k].Values = append(out[k].Values, float64(n))
		}
	}
	return out
}

// topMost is how many lines a metric with names of its own has; what is beyond is other.
const topMost = 5

func topLines(all []Point, counts func(*Point) map[string]int64) []Line {
	total := map[string]int64{}
	each := make([]map[string]int64, len(all))
	for i := range all {
		each[i] = counts(&all[i])
		total = addAll(total, each[i])
	}
	keys := make([]string, 0, len(total))
	for key := range total {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(total[b], total[a]), strings.Compare(a, b)) })
	rest := keys[min(topMost, len(keys)):]
	var out []Line
	for _, key := range keys[:len(keys)-len(rest)] {
		l := Line{Key: key}
		for i := range each {
			l.Values = append(l.Values, float64(each[i][key]))
		}
		out = append(out, l)
	}
	if len(rest) > 0 {
		l := Line{Key: "other", Values: make([]float64, len(all))}
		for i := range each {
			for _, key := range rest {
				l.Values[i] += float64(each[i][key])
			}
		}
		out = append(out, l)
	}
	return out
}

// gaugeLines are the lines of what is measured: the last measurement of each step, and NaN
// where there was none.
func gaugeLines(ctx context.Context, tx *db.TenantTx, s *Series) ([]Line, error) {
	rows, err := tx.ListStatsGauges(ctx, tenantq.ListStatsGaugesParams{Step: seconds(s.Step), FromAt: s.From, ToAt: s.To})
	if err != nil {
		return nil, fmt.Errorf("list gauges: %w", err)
	}
	keys := []string{"all", "enrolled", "several"}
	if s.Metric == ActiveUsers {
		keys = []string{"day", "week", "month"}
	}
	out := make([]Line, len(keys))
	for k, key := range keys {
		out[k] = Line{Key: key, Values: make([]float64, int(s.To.Sub(s.From)/s.Step))}
		for i := range out[k].Values {
			out[k].Values[i] = math.NaN()
		}
	}
	for _, row := range rows {
		values := []int32{row.Users, row.Enrolled, row.Several}
		if s.Metric == ActiveUsers {
			values = []int32{row.ActiveDay, row.ActiveWeek, row.ActiveMonth}
		}
		for k, v := range values {
			out[k].Values[int(row.Begins.Sub(s.From)/s.Step)] = float64(v)
		}
	}
	return out, nil
}
