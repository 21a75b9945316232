package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// limitJSON is a limit under --json, as the API spells it.
type limitJSON struct {
	Name          string `json:"name"`
	Calls         int64  `json:"calls"`
	WindowSeconds int    `json:"windowSeconds"`
	Exact         bool   `json:"exact"`
	DefaultCalls  int64  `json:"defaultCalls"`
}

// runTenantLimits shows what a tenant's calls are bounded by, after the flags have changed it.
func runTenantLimits(ctx context.Context, env *environment, args []string) error {
	const command = "tenant limits"
	var asJSON bool
	var set, unset texts
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	fs.Var(&set, "set", "limit of the tenant's own, as `name=calls` in the limit's window; may be repeated")
	fs.Var(&unset, "unset", "`name` of a limit that is to be that of all tenants again; may be repeated")
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	req := tenant.LimitsRequest{Remove: unset, Reason: *reason}
	for _, given := range set {
		name, number, _ := strings.Cut(given, "=")
		calls, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return misuse(env, command, "--set %s is not as key=2000", given)
		}
		req.Set = append(req.Set, ratelimit.Calls{Name: name, Calls: calls})
	}
	return inTenant(ctx, env, *config, fs.Arg(0), func(c *control, sc scope.Scope) error {
		req.ID = sc.Tenant()
		var now tenant.Tenant
		var err error
		if len(set)+len(unset) == 0 {
			now, err = c.tenants.Get(ctx, c.home, req.ID)
		} else {
			now, err = c.tenants.SetLimits(ctx, c.home, req)
		}
		if err != nil {
			return err
		}
		all := make([]limitJSON, 0, len(ratelimit.All()))
		rows := [][]string{{"LIMIT", "CALLS", "SECONDS", "OTHERS HAVE"}}
		for _, l := range ratelimit.All() {
			one := limitJSON{Name: l.Name, Calls: now.Limits.Of(l).Max, WindowSeconds: int(l.Window.Seconds()), Exact: l.Exact, DefaultCalls: l.Max}
			all = append(all, one)
			others := "the same"
			if one.Calls != one.DefaultCalls {
				others = strconv.FormatInt(one.DefaultCalls, 10)
			}
			rows = append(rows, []string{one.Name, strconv.FormatInt(one.Calls, 10), strconv.Itoa(one.WindowSeconds), others})
		}
		if asJSON {
			return printJSON(env.out, map[string]any{"limits": all})
		}
		return table(env.out, rows)
	})
}
