package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// policyJSON is a version of a policy under --json, as the API spells it.
type policyJSON struct {
	Version   int             `json:"version"`
	Document  json.RawMessage `json:"document"`
	CreatedBy string          `json:"createdBy"`
	CreatedAt time.Time       `json:"createdAt"`
	ETag      string          `json:"etag"`
}

func toPolicyJSON(p tenant.PolicyVersion) (policyJSON, error) {
	document, err := p.Document.Complete()
	if err != nil {
		return policyJSON{}, fmt.Errorf("policy %d: %w", p.Version, err)
	}
	return policyJSON{Version: p.Version, Document: document, CreatedBy: p.CreatedBy, CreatedAt: p.CreatedAt, ETag: p.ETag}, nil
}

// tenantOfPolicy is --tenant of the policy commands.
const tenantOfPolicy = "`slug` of the policy's tenant"

// runPolicyShow prints the document alone, which policy set takes again; under --json
// with what is known about the version.
func runPolicyShow(ctx context.Context, env *environment, args []string) error {
	var version *int
	t, _, err := tenantArgs(env, "policy show", tenantOfPolicy, args, 0, func(fs *flag.FlagSet) {
		version = fs.Int("version", 0, "`number` of the version to print (the one that is in force)")
	})
	if err != nil {
		return err
	}
	return t.do(ctx, func(c *control, sc scope.Scope) error {
		var p tenant.PolicyVersion
		var err error
		if *version == 0 {
			p, err = c.tenants.Policy(ctx, sc)
		} else {
			p, err = c.tenants.PolicyVersion(ctx, sc, *version)
		}
		if err != nil {
			return err
		}
		out, err := toPolicyJSON(p)
		if err != nil {
			return err
		}
		if t.asJSON {
			return printJSON(env.out, out)
		}
		return printJSON(env.out, out.Document)
	})
}

// runPolicySchema prints what servers of this release serve. It asks nobody.
func runPolicySchema(_ context.Context, env *environment, args []string) error {
	var asJSON bool // it is JSON anyhow
	if err := parse(flags(env, "policy schema", &asJSON), args, 0); err != nil {
		return err
	}
	_, err := env.out.Write(policy.Schema())
	return err
}

func runPolicySet(ctx context.Context, env *environment, args []string) error {
	var reason, ifMatch *string
	t, fs, err := tenantArgs(env, "policy set", tenantOfPolicy, args, 1, func(fs *flag.FlagSet) {
		reason = reasonFlag(fs, "`text` for the audit log")
		ifMatch = fs.String("if-match", "", "`etag` of the version that the document is made from: refuse when there is a newer one")
	})
	if err != nil {
		return err
	}
	document, err := readDocument(env, fs.Arg(0), policy.MaxBytes)
	if err != nil {
		return fmt.Errorf("read the policy: %w", err)
	}
	return t.do(ctx, func(c *control, sc scope.Scope) error {
		p, err := c.tenants.PutPolicy(ctx, sc, tenant.PutPolicyRequest{Document: document, Reason: *reason, IfMatch: *ifMatch})
		if err != nil {
			return err
		}
		return t.policyChanged(p)
	})
}

func (c *tenantCommand) policyChanged(p tenant.PolicyVersion) error {
	if c.asJSON {
		out, err := toPolicyJSON(p)
		if err != nil {
			return err
		}
		return printJSON(c.env.out, out)
	}
	_, err := fmt.Fprintf(c.env.out, "%s goes by version %d of its policy: servers within a second, keys within six hours\n", *c.slug, p.Version)
	return err
}

// runPolicyVersions lists versions without their documents, which policy show prints;
// under --json with them.
func runPolicyVersions(ctx context.Context, env *environment, args []string) error {
	const command = "policy versions"
	var limit *int
	t, _, err := tenantArgs(env, command, tenantOfPolicy, args, 0, func(fs *flag.FlagSet) {
		limit = fs.Int("limit", listing.DefaultPageSize, "list at most this many `versions`, up to 200")
	})
	if err != nil {
		return err
	}
	if *limit < 1 || *limit > listing.MaxPageSize {
		return misuse(env, command, "--limit is between 1 and 200")
	}
	return t.do(ctx, func(c *control, sc scope.Scope) error {
		page, err := c.tenants.PolicyVersions(ctx, sc, listing.Request{PageSize: *limit})
		if err != nil {
			return err
		}
		if t.asJSON {
			out := make([]policyJSON, len(page.Items))
			for i, p := range page.Items {
				if out[i], err = toPolicyJSON(p); err != nil {
					return err
				}
			}
			return printJSON(env.out, out)
		}
		rows := [][]string{{"VERSION", "WRITTEN", "BY"}}
		for _, p := range page.Items {
			rows = append(rows, []string{strconv.Itoa(p.Version), p.CreatedAt.Format(time.RFC3339), p.CreatedBy})
		}
		return table(env.out, rows)
	})
}

func runPolicyRollback(ctx context.Context, env *environment, args []string) error {
	const command = "policy rollback"
	var reason, ifMatch *string
	t, fs, err := tenantArgs(env, command, tenantOfPolicy, args, 1, func(fs *flag.FlagSet) {
		reason = reasonFlag(fs, "`text` for the audit log")
		ifMatch = fs.String("if-match", "", "`etag` of the version that is in force: refuse when there is a newer one")
	})
	if err != nil {
		return err
	}
	version, err := strconv.Atoi(fs.Arg(0))
	if err != nil || version < 1 {
		return misuse(env, command, "VERSION is a number from 1")
	}
	return t.do(ctx, func(c *control, sc scope.Scope) error {
		p, err := c.tenants.RollbackPolicy(ctx, sc, tenant.RollbackPolicyRequest{Version: version, Reason: *reason, IfMatch: *ifMatch})
		if err != nil {
			return err
		}
		return t.policyChanged(p)
	})
}
