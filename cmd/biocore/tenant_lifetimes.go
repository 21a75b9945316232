package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// lifetimesJSON is how long things last in a tenant under --json, as its policy spells it.
type lifetimesJSON struct {
	Version                   int    `json:"version"`
	AccessTokenSeconds        int    `json:"accessTokenSeconds"`
	RefreshIdleSeconds        int    `json:"refreshIdleSeconds"`
	SessionLifetimeSeconds    int    `json:"sessionLifetimeSeconds"`
	StrongSignInMaxAgeSeconds int    `json:"strongSignInMaxAgeSeconds"`
	CeremonyRetentionDays     int    `json:"ceremonyRetentionDays"`
	SessionRetentionDays      int    `json:"sessionRetentionDays"`
	EvidenceRetentionDays     int    `json:"evidenceRetentionDays"`
	AuditRetentionDays        int    `json:"auditRetentionDays"`
	ETag                      string `json:"etag"`
}

// lifetimeFlags put what is given into req.
func lifetimeFlags(fs *flag.FlagSet, req *tenant.UpdateLifetimesRequest) {
	span := func(name string, to **int, usage string) {
		fs.Func(name, usage, func(v string) error {
			d, err := time.ParseDuration(v)
			if err != nil {
				return err
			}
			if d%time.Second != 0 {
				return fmt.Errorf("%s is not whole seconds", v)
			}
			n := int(d / time.Second)
			*to = &n
			return nil
		})
	}
	span("access-token", &req.AccessTokenSeconds, "`duration` that an access token is good for, as 10m")
	span("idle-session", &req.RefreshIdleSeconds, "`duration` after which an unused session ends, as 168h")
	span("session", &req.SessionLifetimeSeconds, "`duration` after which a session ends whatever happens")
	span("step-up", &req.StrongSignInMaxAgeSeconds, "`duration` for which a strong sign-in vouches for a further passkey")
	days := func(name string, to **int, usage string) {
		fs.Func(name, usage, func(v string) error {
			n, err := strconv.Atoi(v)
			*to = &n
			return err
		})
	}
	days("keep-ceremonies", &req.CeremonyRetentionDays, "`days` for which ceremonies are kept, 30 at least; 0 as long as the tenant")
	days("keep-sessions", &req.SessionRetentionDays, "`days` for which sessions are kept after their end, 30 at least; 0 as long as the tenant")
	days("keep-evidence", &req.EvidenceRetentionDays, "`days` for which the evidence of registrations is kept; 0 none is")
	days("keep-audit", &req.AuditRetentionDays, "`days` for which the audit log stays in the database, 90 at least; older months are archived in object storage; 0 as long as the tenant")
}

// runTenantLifetimes shows how long things last in a tenant, after the flags have changed
// it: as a new version of its policy.
func runTenantLifetimes(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	var req tenant.UpdateLifetimesRequest
	fs := flags(env, "tenant lifetimes", &asJSON)
	config := configFlag(fs)
	lifetimeFlags(fs, &req)
	fs.StringVar(&req.Reason, "reason", "", "`text` for the audit log")
	fs.StringVar(&req.IfMatch, "if-match", "", "`etag` of the policy's version that was read: refuse when there is a newer one")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	return inTenant(ctx, env, *config, fs.Arg(0), func(c *control, sc scope.Scope) error {
		now, err := c.tenants.UpdateLifetimes(ctx, sc, req) // one that changes nothing leaves no trace
		if err != nil {
			return err
		}
		d := &now.Document
		if asJSON {
			return printJSON(env.out, lifetimesJSON{
				Version: now.Version, AccessTokenSeconds: d.AccessTokenSeconds, RefreshIdleSeconds: d.RefreshIdleSeconds,
				SessionLifetimeSeconds: d.SessionLifetimeSeconds, StrongSignInMaxAgeSeconds: d.StrongSignInMaxAgeSeconds,
				CeremonyRetentionDays: d.CeremonyRetentionDays, SessionRetentionDays: d.SessionRetentionDays,
				EvidenceRetentionDays: d.EvidenceRetentionDays, AuditRetentionDays: d.AuditRetentionDays, ETag: now.ETag,
			})
		}
		return table(env.out, lifetimeRows(now.Version, d))
	})
}

func lifetimeRows(version int, d *policy.Document) [][]string {
	kept := func(days int, none string) string {
		if days == 0 {
			return none
		}
		return strconv.Itoa(days) + " days"
	}
	const forGood = "as long as the tenant"
	return [][]string{
		{"policy", "version " + strconv.Itoa(version)},
		{"access token", d.AccessTokenLife().String()},
		{"idle session", d.RefreshIdle().String()},
		{"session", d.SessionLifetime().String()},
		{"step-up", d.StrongSignInMaxAge().String()},
		{"ceremonies", kept(d.CeremonyRetentionDays, forGood)},
		{"ended sessions", kept(d.SessionRetentionDays, forGood)},
		{"evidence", kept(d.EvidenceRetentionDays, "none is kept")},
		{"audit log", kept(d.AuditRetentionDays, forGood)},
	}
}
