package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/biocore-id/biocore/tenancy/rp"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// proofJSON is a domain's proof under --json, as the API spells it.
type proofJSON struct {
	RPID         string            `json:"rpId"`
	State        tenant.ProofState `json:"state"`
	Method       rp.ProofMethod    `json:"method,omitempty"`
	ProvenAt     string            `json:"provenAt,omitempty"`
	FailingSince string            `json:"failingSince,omitempty"`
	DNSName      string            `json:"dnsName"`
	DNSValue     string            `json:"dnsValue"`
	FileURL      string            `json:"fileUrl"`
	FileContent  string            `json:"fileContent"`
	Findings     []rp.Finding      `json:"findings"`
}

// runRPProve shows what proves a tenant's domain, looks for it, and fails while a tenant
// that needs it has none: a script may wait for it.
func runRPProve(ctx context.Context, env *environment, args []string) error {
	return domainCommand(ctx, env, "rp prove", args, func(c *control, sc scope.Scope, asJSON bool) error {
		p, err := c.tenants.VerifyDomain(ctx, sc)
		if err != nil {
			return err
		}
		switch {
		case asJSON:
			err = printJSON(env.out, toProofJSON(&p))
		default:
			err = printProof(env, &p)
		}
		if err == nil && p.State == tenant.Unproven {
			err = tenant.ErrDomainUnproven
		}
		return err
	})
}

func toProofJSON(p *tenant.DomainProof) proofJSON {
	out := proofJSON{
		RPID: p.Challenge.RPID, State: p.State, Method: p.Method, Findings: p.Findings,
		DNSName: p.Challenge.DNSName(), DNSValue: p.Challenge.Text(), FileURL: p.Challenge.FileURL(), FileContent: p.Challenge.Text(),
	}
	if p.ProvenAt != nil {
		out.ProvenAt = moment(p.ProvenAt)
	}
	if p.FailingSince != nil {
		out.FailingSince = moment(p.FailingSince)
	}
	return out
}

func printProof(env *environment, p *tenant.DomainProof) error {
	rows := [][]string{{"domain", p.Challenge.RPID}, {"state", string(p.State)}}
	if p.Method != "" {
		rows = append(rows, []string{"by", string(p.Method) + ", " + moment(p.ProvenAt)})
	}
	if p.FailingSince != nil {
		rows = append(rows, []string{"not found since", moment(p.FailingSince)})
	}
	for _, f := range p.Findings {
		rows = append(rows, []string{string(f.Method), strings.TrimSpace(string(f.Reason) + " " + f.Detail)})
	}
	if err := table(env.out, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(env.out, "\nPublish one of the two:\n\n  %s. IN TXT %q\n\n  %s\n  with the line %s\n",
		p.Challenge.DNSName(), p.Challenge.Text(), p.Challenge.FileURL(), p.Challenge.Text())
	return err
}

// runRPFetch fetches what clients look for at a tenant's domain.
func runRPFetch(ctx context.Context, env *environment, args []string) error {
	return domainCommand(ctx, env, "rp fetch", args, func(c *control, sc scope.Scope, asJSON bool) error {
		found, err := c.tenants.Published(ctx, sc)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, map[string]any{"documents": found})
		}
		for _, d := range found {
			fmt.Fprintln(env.out, d.State, d.URL)
			for _, problem := range d.Problems {
				fmt.Fprintln(env.out, "  "+problem)
			}
		}
		return nil
	})
}

// domainCommand reads what commands about a tenant's domain have in common.
func domainCommand(ctx context.Context, env *environment, command string, args []string, fn func(c *control, sc scope.Scope, asJSON bool) error) error {
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error { return fn(c, sc, asJSON) })
}
