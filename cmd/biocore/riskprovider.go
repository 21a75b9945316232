package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/scoring"
)

// riskProviderJSON is a scoring service under --json, as the API spells it.
type riskProviderJSON struct {
	Config    scoring.Config `json:"config"`
	UpdatedBy string         `json:"updatedBy"`
	UpdatedAt time.Time      `json:"updatedAt"`
	ETag      string         `json:"etag"`
}

func toRiskProviderJSON(p *risk.Provider) riskProviderJSON {
	return riskProviderJSON{Config: p.Config, UpdatedBy: p.UpdatedBy, UpdatedAt: p.UpdatedAt, ETag: p.ETag}
}

const (
	tenantOfProvider = "`slug` of the service's tenant"
	ifMatchProvider  = "`etag` of the service that was read, or none: refuse when it is another"
)

// runRiskProviderShow prints the configuration alone, which risk provider set takes again; under --json with what is known about it.
func runRiskProviderShow(ctx context.Context, env *environment, args []string) error {
	c, _, err := tenantArgs(env, "risk provider show", tenantOfProvider, args, 0, nil)
	if err != nil {
		return err
	}
	return c.withRisk(ctx, func(s *risk.Service, sc scope.Scope) error {
		p, err := s.Provider(ctx, sc)
		if err != nil {
			return err
		}
		if c.asJSON {
			return printJSON(env.out, toRiskProviderJSON(&p))
		}
		return printJSON(env.out, p.Config)
	})
}

func runRiskProviderSet(ctx context.Context, env *environment, args []string) error {
	const command = "risk provider set"
	var credential, reason, ifMatch *string
	c, fs, err := tenantArgs(env, command, tenantOfProvider, args, 1, func(fs *flag.FlagSet) {
		credential = fs.String("credential", "", "`file` of the API key or token that the service knows the tenant by; - reads standard input (the one that is there)")
		reason = reasonFlag(fs, "`text` for the audit log")
		ifMatch = fs.String("if-match", "", ifMatchProvider)
	})
	if err != nil {
		return err
	}
	if *credential == "-" && fs.Arg(0) == "-" {
		return misuse(env, command, "the document and the credential cannot both be standard input")
	}
	req := risk.PutProviderRequest{Reason: *reason, IfMatch: *ifMatch}
	if req.Config, err = readDocument(env, fs.Arg(0), maxFile); err != nil {
		return fmt.Errorf("read the document: %w", err)
	}
	if *credential != "" {
		text, err := readDocument(env, *credential, maxFile)
		if err != nil {
			return fmt.Errorf("read the credential: %w", err)
		}
		if req.Credential = strings.TrimRight(string(text), "\r\n"); req.Credential == "" {
			return misuse(env, command, "the credential's file is empty")
		}
	}
	return c.withRisk(ctx, func(s *risk.Service, sc scope.Scope) error {
		p, err := s.PutProvider(ctx, sc, req)
		if err != nil {
			return err
		}
		if c.asJSON {
			return printJSON(env.out, toRiskProviderJSON(&p))
		}
		_, err = fmt.Fprintf(env.out, "%s has %s asked at %s: servers within a second\n", *c.slug, p.Config.Kind, p.Config.Host())
		return err
	})
}

func runRiskProviderDelete(ctx context.Context, env *environment, args []string) error {
	var reason, ifMatch *string
	c, _, err := tenantArgs(env, "risk provider delete", tenantOfProvider, args, 0, func(fs *flag.FlagSet) {
		reason = reasonFlag(fs, "`text` for the audit log")
		ifMatch = fs.String("if-match", "", ifMatchProvider)
	})
	if err != nil {
		return err
	}
	return c.withRisk(ctx, func(s *risk.Service, sc scope.Scope) error {
		if err := s.RemoveProvider(ctx, sc, *reason, *ifMatch); err != nil {
			return err
		}
		if c.asJSON {
			return printJSON(env.out, json.RawMessage(`{}`))
		}
		_, err := fmt.Fprintf(env.out, "%s has no scoring service asked any more; its credential is destroyed\n", *c.slug)
		return err
	})
}
