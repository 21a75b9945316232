package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/stats"
	"github.com/biocore-id/biocore/web/rpc"
)

// printMessage prints what the API would answer.
func printMessage(env *environment, m proto.Message) error {
	text, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return printJSON(env.out, json.RawMessage(text))
}

func runStatsOverview(ctx context.Context, env *environment, args []string) error {
	const command = "stats overview"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant; required")
	within := fs.String("range", "24h", "how far back: 1h, 24h, 7d or 30d")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		o, err := rpc.NewStatsHandler(c.stats).GetStatsOverview(scope.NewContext(ctx, sc), &adminv1.GetStatsOverviewRequest{Range: *within})
		if err != nil {
			return err
		}
		if asJSON {
			return printMessage(env, o)
		}
		return table(env.out, overviewRows(o))
	})
}

// overviewRows are an overview's numbers beside those of the period before.
func overviewRows(o *adminv1.StatsOverview) [][]string {
	rows := [][]string{{"", "NOW", "BEFORE"}}
	add := func(name string, of func(*adminv1.StatsTotals) string) {
		rows = append(rows, []string{name, of(o.GetNow()), of(o.GetBefore())})
	}
	count := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
	percent := func(out *adminv1.StatsOutcomes) string {
		if out.SuccessPercent == nil {
			return "-"
		}
		return strconv.FormatFloat(out.GetSuccessPercent(), 'f', 2, 64) + " %"
	}
	latency := func(of func(*adminv1.StatsLatency) float64) func(*adminv1.StatsTotals) string {
		return func(t *adminv1.StatsTotals) string {
			if t.GetSignInLatency() == nil {
				return "-"
			}
			return strconv.FormatFloat(of(t.GetSignInLatency()), 'f', 1, 64) + " ms"
		}
	}
	add("sign-ins let in", func(t *adminv1.StatsTotals) string { return count(t.GetSignIns().GetAllowed()) })
	add("stepped up", func(t *adminv1.StatsTotals) string { return count(t.GetSignIns().GetSteppedUp()) })
	add("denied", func(t *adminv1.StatsTotals) string { return count(t.GetSignIns().GetDenied()) })
	add("failed", func(t *adminv1.StatsTotals) string { return count(t.GetSignIns().GetFailed()) })
	add("success", func(t *adminv1.StatsTotals) string { return percent(t.GetSignIns()) })
	add("latency p50", latency((*adminv1.StatsLatency).GetP50Ms))
	add("latency p95", latency((*adminv1.StatsLatency).GetP95Ms))
	add("latency p99", latency((*adminv1.StatsLatency).GetP99Ms))
	add("first passkeys", func(t *adminv1.StatsTotals) string { return count(t.GetEnrollments().GetFirst()) })
	add("second passkeys", func(t *adminv1.StatsTotals) string { return count(t.GetEnrollments().GetSecond()) })
	users := func(name string, of func(*adminv1.StatsUsers) int32) {
		text := func(u *adminv1.StatsUsers) string {
			if u == nil {
				return "-"
			}
			return strconv.Itoa(int(of(u)))
		}
		rows = append(rows, []string{name, text(o.GetUsers()), text(o.GetUsersBefore())})
	}
	users("users", (*adminv1.StatsUsers).GetAll)
	users("enrolled users", (*adminv1.StatsUsers).GetEnrolled)
	users("active users", (*adminv1.StatsUsers).GetActive)
	return rows
}

func runStatsTimeseries(ctx context.Context, env *environment, args []string) error {
	const command = "stats timeseries"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant; required")
	within := fs.String("range", "24h", "how far back: 1h, 24h, 7d or 30d")
	step := fs.String("step", "", "how far apart: 5m, 15m, 1h, 6h or 1d (default: what fits the range)")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	req := &adminv1.GetStatsTimeseriesRequest{Metric: fs.Arg(0), Range: *within, Step: *step}
	if _, err := stats.ParseMetric(req.GetMetric()); err != nil {
		return err
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		s, err := rpc.NewStatsHandler(c.stats).GetStatsTimeseries(scope.NewContext(ctx, sc), req)
		if err != nil {
			return err
		}
		if asJSON {
			return printMessage(env, s)
		}
		rows := [][]string{append([]string{"AT"}, s.GetSeries()...)}
		for _, p := range s.GetPoints() {
			row := []string{p.GetAt().AsTime().Format(time.RFC3339)}
			for _, key := range s.GetSeries() {
				text := "-"
				if v, ok := p.GetValues()[key]; ok {
					text = strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
				}
				row = append(row, text)
			}
			rows = append(rows, row)
		}
		return table(env.out, rows)
	})
}
