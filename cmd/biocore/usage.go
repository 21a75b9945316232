package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/usage"
)

// usageJSON is a report under --json, as the API spells it.
type usageJSON struct {
	Days   []usageDayJSON   `json:"days"`
	Meters []usageMeterJSON `json:"meters"`
	Alerts []usageAlertJSON `json:"alerts"`
}

type usageDayJSON struct {
	Day                string    `json:"day"`
	Ceremonies         int64     `json:"ceremonies"`
	SignIns            int64     `json:"signIns"`
	MonthlyActiveUsers int64     `json:"monthlyActiveUsers"`
	StoredBytes        int64     `json:"storedBytes"`
	MeasuredAt         time.Time `json:"measuredAt"`
}

type usageMeterJSON struct {
	Kind     usage.Kind `json:"kind"`
	Used     int64      `json:"used"`
	Forecast int64      `json:"forecast"`
	Quota    *quotaJSON `json:"quota,omitempty"`
}

type quotaJSON struct {
	Kind usage.Kind `json:"kind"`
	Most int64      `json:"most"`
	Hard bool       `json:"hard"`
}

type usageAlertJSON struct {
	Kind    usage.Kind `json:"kind"`
	Percent int        `json:"percent"`
	Used    int64      `json:"used"`
	Most    int64      `json:"most"`
	At      time.Time  `json:"at"`
}

func toUsageJSON(r usage.Report) usageJSON {
	out := usageJSON{Days: []usageDayJSON{}, Meters: []usageMeterJSON{}, Alerts: []usageAlertJSON{}}
	for _, d := range r.Days {
		out.Days = append(out.Days, usageDayJSON{d.Day.Format(time.DateOnly), d.Ceremonies, d.SignIns, d.MonthlyActiveUsers, d.StoredBytes, d.MeasuredAt})
	}
	for _, m := range r.Meters {
		one := usageMeterJSON{Kind: m.Kind, Used: m.Used, Forecast: m.Forecast}
		if m.Quota != nil {
			one.Quota = &quotaJSON{m.Quota.Kind, m.Quota.Most, m.Quota.Hard}
		}
		out.Meters = append(out.Meters, one)
	}
	for _, a := range r.Alerts {
		out.Alerts = append(out.Alerts, usageAlertJSON(a))
	}
	return out
}

// metered are the kinds, as flags and as words.
var metered = []struct {
	kind        usage.Kind
	flag, words string
}{
	{usage.MonthlyActiveUsers, "mau", "active users"}, {usage.Ceremonies, "ceremonies", "ceremonies"}, {usage.Storage, "storage", "bytes stored"},
}

func runUsage(ctx context.Context, env *environment, args []string) error {
	const command = "usage"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant")
	from := fs.String("from", "", "first `day`, such as 2026-11-01 (default: the first of the month)")
	to := fs.String("to", "", "last `day` (default: today)")
	now := fs.Bool("measure", false, "measure anew instead of showing what the hourly job has measured")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	var span [2]time.Time
	for i, text := range []string{*from, *to} {
		var err error
		if text == "" {
			continue
		}
		if span[i], err = time.Parse(time.DateOnly, text); err != nil {
			return misuse(env, command, "%q is no day, such as 2026-11-01", text)
		}
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		if *now {
			if err := c.usage.Measure(ctx, sc); err != nil {
				return err
			}
		}
		report, err := c.usage.Report(ctx, sc, span[0], span[1])
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, toUsageJSON(report))
		}
		rows := [][]string{{"DAY", "CEREMONIES", "SIGN-INS", "ACTIVE USERS", "BYTES STORED"}}
		for _, d := range report.Days {
			rows = append(rows, []string{
				d.Day.Format(time.DateOnly), strconv.FormatInt(d.Ceremonies, 10), strconv.FormatInt(d.SignIns, 10),
				strconv.FormatInt(d.MonthlyActiveUsers, 10), strconv.FormatInt(d.StoredBytes, 10),
			})
		}
		if err := table(env.out, rows); err != nil {
			return err
		}
		if len(report.Days) == 0 {
			_, _ = fmt.Fprintln(env.out, "nothing was measured in this span; --measure does it now")
		}
		rows = [][]string{{"THIS MONTH", "USED", "FORECAST", "QUOTA", "USED %"}}
		for i, m := range report.Meters {
			quota, share := "-", "-"
			if m.Quota != nil {
				quota, share = strconv.FormatInt(m.Quota.Most, 10), strconv.Itoa(m.Percent())
				if m.Quota.Hard {
					quota += " (hard)"
				}
			}
			rows = append(rows, []string{metered[i].words, strconv.FormatInt(m.Used, 10), strconv.FormatInt(m.Forecast, 10), quota, share})
		}
		_, _ = fmt.Fprintln(env.out)
		return table(env.out, rows)
	})
}

func toQuotasJSON(quotas []usage.Quota) []quotaJSON {
	out := make([]quotaJSON, len(quotas))
	for i, q := range quotas {
		out[i] = quotaJSON{q.Kind, q.Most, q.Hard}
	}
	return out
}

// quotaFlags are the quotas of a tenant as flags; more is what else they take, in words.
func quotaFlags(fs *flag.FlagSet, more string) map[usage.Kind]*string {
	out := map[usage.Kind]*string{}
	for _, m := range metered {
		out[m.kind] = fs.String(m.flag, "", "`number` of "+m.words+" that are allowed; with :hard, more are refused"+more)
	}
	return out
}

func runTenantQuotas(ctx context.Context, env *environment, args []string) error {
	const command = "tenant quotas"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	wanted := quotaFlags(fs, "; none: any")
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	req := usage.QuotasRequest{Reason: *reason}
	for _, m := range metered {
		switch text := *wanted[m.kind]; text {
		case "":
		case "none":
			req.Remove = append(req.Remove, m.kind)
		default:
			q, err := usage.ParseQuota(m.kind, text)
			if err != nil {
				return misuse(env, command, "--%s is a number from 1 on, a number with :hard, or none", m.flag)
			}
			req.Set = append(req.Set, q)
		}
	}
	return inTenant(ctx, env, *config, fs.Arg(0), func(c *control, sc scope.Scope) error {
		req.Tenant = sc.Tenant()
		quotas, err := c.usage.SetQuotas(ctx, c.home, req)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, map[string]any{"quotas": toQuotasJSON(quotas)})
		}
		if len(quotas) == 0 {
			_, err := fmt.Fprintln(env.out, "no quota: it may use any amount")
			return err
		}
		rows := [][]string{{"KIND", "MOST", "HARD"}}
		for _, q := range quotas {
			rows = append(rows, []string{string(q.Kind), strconv.FormatInt(q.Most, 10), strconv.FormatBool(q.Hard)})
		}
		return table(env.out, rows)
	})
}
