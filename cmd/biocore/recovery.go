package main

import (
	"context"
	"fmt"
	"time"

	"github.com/biocore-id/biocore/authcore/recovery"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// recoveryJSON is a recovery under --json, as the API spells it.
type recoveryJSON struct {
	ID           string         `json:"id"`
	UserID       string         `json:"userId"`
	Kind         recovery.Kind  `json:"kind"`
	State        recovery.State `json:"state"`
	Reason       string         `json:"reason"`
	RequestedBy  string         `json:"requestedBy"`
	CreatedAt    time.Time      `json:"createdAt"`
	ExpiresAt    time.Time      `json:"expiresAt"`
	DecidedBy    string         `json:"decidedBy"`
	DecidedAt    *time.Time     `json:"decidedAt,omitempty"`
	CompletedAt  *time.Time     `json:"completedAt,omitempty"`
	CredentialID string         `json:"credentialId"`
}

func toRecoveryJSON(r recovery.Recovery) recoveryJSON {
	return recoveryJSON{
		ID: r.ID.String(), UserID: r.UserID.String(), Kind: r.Kind, State: r.State, Reason: r.Reason, RequestedBy: r.RequestedBy,
		CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, DecidedBy: r.DecidedBy, DecidedAt: r.DecidedAt, CompletedAt: r.CompletedAt,
		CredentialID: r.CredentialID.String(),
	}
}

// tenantOfRecovery is --tenant of the recovery commands.
const tenantOfRecovery = "`slug` of the user's tenant"

// inRecovery is inTenant with the service that recovers.
func inRecovery(ctx context.Context, env *environment, config, slug string, fn func(c *control, sc scope.Scope, s *recovery.Service) error) error {
	return inTenant(ctx, env, config, slug, func(c *control, sc scope.Scope) error {
		s, err := recovery.New(recovery.Options{Store: c.store, Keys: c.keys, Tenants: c.tenants, Denials: c.denials})
		if err != nil {
			return err
		}
		return fn(c, sc, s)
	})
}

func runRecoveryLink(ctx context.Context, env *environment, args []string) error {
	const command = "recovery link"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfRecovery)
	life := fs.Duration("expires", 24*time.Hour, "how `long` the link works: one minute to 168h")
	reason := reasonFlag(fs, "`text` for the audit log; required")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	switch {
	case *slug == "":
		return misuse(env, command, "--tenant is required")
	case *reason == "":
		return misuse(env, command, "--reason is required")
	}
	return inRecovery(ctx, env, *config, *slug, func(c *control, sc scope.Scope, s *recovery.Service) error {
		u, err := c.users.Lookup(ctx, sc, fs.Arg(0))
		if err != nil {
			return err
		}
		g, err := s.CreateLink(ctx, sc, recovery.LinkRequest{UserID: u.ID, Life: *life, Reason: *reason})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, map[string]any{"recovery": toRecoveryJSON(g.Recovery), "registrationToken": g.Token, "url": g.URL})
		}
		fmt.Fprintf(env.err, "Recovery %s of user %s, until %s: who has this first enrolls.\n", g.Recovery.ID, u.ID, moment(&g.Recovery.ExpiresAt))
		if g.Recovery.State == recovery.Pending {
			fmt.Fprintln(env.err, "It works once somebody else has approved: biocore recovery approve.")
		}
		link := g.URL
		if link == "" {
			fmt.Fprintln(env.err, "The tenant's settings name no page for it (passkeyEndpoints.enroll). The registration token:")
			link = g.Token
		}
		_, err = fmt.Fprintln(env.out, link)
		return err
	})
}

func runRecoveryList(ctx context.Context, env *environment, args []string) error {
	const command = "recovery list"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfRecovery)
	filter := fs.String("filter", "", "`terms` as in the API: state = PENDING AND kind = LINK (default: all)")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inRecovery(ctx, env, *config, *slug, func(_ *control, sc scope.Scope, s *recovery.Service) error {
		all, err := everyPage(*filter, func(req listing.Request) (listing.Page[recovery.Recovery], error) { return s.List(ctx, sc, req) })
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]recoveryJSON, len(all))
			for i, r := range all {
				out[i] = toRecoveryJSON(r)
			}
			return printJSON(env.out, map[string]any{"recoveries": out})
		}
		rows := [][]string{{"ID", "USER", "KIND", "STATE", "CREATED", "EXPIRES", "ASKED BY", "DECIDED BY"}}
		for _, r := range all {
			rows = append(rows, []string{
				r.ID.String(), r.UserID.String(), string(r.Kind), string(r.State), moment(&r.CreatedAt), moment(&r.ExpiresAt), r.RequestedBy, orDash(r.DecidedBy),
			})
		}
		return table(env.out, rows)
	})
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func runRecoveryApprove(ctx context.Context, env *environment, args []string) error {
	return decideRecovery(ctx, env, args, "recovery approve", (*recovery.Service).Approve)
}

func runRecoveryRefuse(ctx context.Context, env *environment, args []string) error {
	return decideRecovery(ctx, env, args, "recovery refuse", (*recovery.Service).Refuse)
}

func runRecoveryRevoke(ctx context.Context, env *environment, args []string) error {
	return decideRecovery(ctx, env, args, "recovery revoke", (*recovery.Service).Revoke)
}

func decideRecovery(
	ctx context.Context, env *environment, args []string, command string,
	verb func(*recovery.Service, context.Context, scope.Scope, recovery.DecideRequest) (recovery.Recovery, error),
) error {
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfRecovery)
	reason := reasonFlag(fs, "`text` for the audit log; required")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	switch {
	case *slug == "":
		return misuse(env, command, "--tenant is required")
	case *reason == "":
		return misuse(env, command, "--reason is required")
	}
	id, err := parseID(env, command, "a recovery", fs.Arg(0))
	if err != nil {
		return err
	}
	return inRecovery(ctx, env, *config, *slug, func(_ *control, sc scope.Scope, s *recovery.Service) error {
		r, err := verb(s, ctx, sc, recovery.DecideRequest{ID: recovery.ID(id), Reason: *reason})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, toRecoveryJSON(r))
		}
		_, err = fmt.Fprintf(env.out, "Recovery %s of user %s is %s\n", r.ID, r.UserID, r.State)
		return err
	})
}
