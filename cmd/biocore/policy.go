package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

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
	const command = "policy show"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfPolicy)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		p, err := c.tenants.Policy(ctx, sc)
		if err != nil {
			return err
		}
		out, err := toPolicyJSON(p)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, out)
		}
		return printJSON(env.out, out.Document)
	})
}

func runPolicySet(ctx context.Context, env *environment, args []string) error {
	const command = "policy set"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfPolicy)
	reason := fs.String("reason", "", "`text` for the audit log")
	ifMatch := fs.String("if-match", "", "`etag` of the version that the document is made from: refuse when there is a newer one")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	document, err := readPolicyDocument(env, fs.Arg(0))
	if err != nil {
		return fmt.Errorf("read the policy: %w", err)
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		p, err := c.tenants.PutPolicy(ctx, sc, tenant.PutPolicyRequest{Document: document, Reason: *reason, IfMatch: *ifMatch})
		if err != nil {
			return err
		}
		if asJSON {
			out, err := toPolicyJSON(p)
			if err != nil {
				return err
			}
			return printJSON(env.out, out)
		}
		_, err = fmt.Fprintf(env.out, "%s goes by version %d of its policy: servers within a second, keys within six hours\n", *slug, p.Version)
		return err
	})
}

// readPolicyDocument reads a file, or standard input for "-", no further than it
// takes to see that it is too long.
func readPolicyDocument(env *environment, path string) ([]byte, error) {
	in := env.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, policy.MaxBytes+1))
}
