package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/biocore-id/biocore/tenancy/rp"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// runRPShow prints a tenant's relying party with counts of its credentials.
func runRPShow(ctx context.Context, env *environment, args []string) error {
	return rpCommand(ctx, env, "rp show", args, false, func(s *rp.Service, sc scope.Scope, _ string, _ []string, asJSON bool) error {
		o, err := s.Overview(ctx, sc)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, o)
		}
		fmt.Fprintf(env.out, "RP ID %s; %d users, %d of them with an active credential\n", o.RPID, o.Users, o.UsersAble)
		for _, c := range o.Credentials {
			fmt.Fprintf(env.out, "%s: %d credentials of %d users: %d active, %d suspended, %d revoked; %d discoverable, %d not; %d used in the last 90 days\n",
				c.RPID, c.Total, c.Users, c.Active, c.Suspended, c.Revoked, c.Discoverable, c.NotDiscoverable, c.UsedRecently)
		}
		_, err = fmt.Fprintf(env.out, "related origins: %d, with %d of %d labels: %s\n", len(o.RelatedOrigins), len(o.Budget.Labels), o.Budget.Limit, strings.Join(o.Budget.Labels, " "))
		return err
	})
}

// runRPCheck prints for each origin whether browsers let it use the RP ID.
func runRPCheck(ctx context.Context, env *environment, args []string) error {
	return rpCommand(ctx, env, "rp check", args, true, func(s *rp.Service, sc scope.Scope, rpID string, origins []string, asJSON bool) error {
		checked, err := s.Check(ctx, sc, rp.CheckRequest{RPID: rpID, Origins: origins})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, checked)
		}
		for _, c := range checked {
			fmt.Fprintln(env.out, strings.TrimSpace(strings.Join([]string{c.Origin, string(c.Relation), string(c.Reason), c.Detail}, " ")))
		}
		return nil
	})
}

// runRPPlan prints what a move to another RP ID would break, and how to move.
func runRPPlan(ctx context.Context, env *environment, args []string) error {
	return rpCommand(ctx, env, "rp plan", args, true, func(s *rp.Service, sc scope.Scope, rpID string, origins []string, asJSON bool) error {
		p, err := s.Plan(ctx, sc, rp.PlanRequest{RPID: rpID, Origins: origins})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, p)
		}
		fmt.Fprintf(env.out, "%s -> %s: %s\n", p.RPID, p.To, p.Way)
		fmt.Fprintf(env.out, "under %s %d credentials of %d users would answer never again; %d users would have none left\n", p.To, p.CredentialsAffected, p.UsersAffected, p.UsersStranded)
		fmt.Fprintf(env.out, "related origins would spend %d of %d labels\n", len(p.RelatedBudget.Labels), p.RelatedBudget.Limit)
		for _, w := range p.Warnings {
			fmt.Fprintf(env.out, "warning %s: %s\n", w.Code, w.Text)
		}
		for i, step := range p.Steps {
			fmt.Fprintf(env.out, "%d. %s\n   check: %s\n", i+1, step.Do, step.Verify)
		}
		return nil
	})
}

// rpCommand reads what the three have in common.
func rpCommand(
	ctx context.Context, env *environment, command string, args []string, origins bool,
	fn func(s *rp.Service, sc scope.Scope, rpID string, origins []string, asJSON bool) error,
) error {
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant")
	rpID, list := new(string), new(string)
	if origins {
		rpID = fs.String("rp-id", "", "`domain`: the RP ID that is asked about; the tenant's own by default")
		list = fs.String("origins", "", "`origins`, with commas between them, as https://login.acme.example")
	}
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	switch {
	case *slug == "":
		return misuse(env, command, "--tenant is required")
	case origins && *list == "":
		return misuse(env, command, "--origins is required")
	case command == "rp plan" && *rpID == "":
		return misuse(env, command, "--rp-id is required: the domain to move to")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		return fn(rp.New(rp.Options{Store: c.store}), sc, *rpID, strings.Split(*list, ","), asJSON)
	})
}
