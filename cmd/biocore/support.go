package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
	"github.com/biocore-id/biocore/tenancy/support"
)

// supportJSON is a request or grant under --json.
type supportJSON struct {
	ID          string         `json:"id"`
	PersonID    string         `json:"personId"`
	PersonName  string         `json:"personName"`
	State       support.State  `json:"state"`
	Ticket      string         `json:"ticket"`
	Reason      string         `json:"reason"`
	Wanted      support.Access `json:"wantedAccess"`
	Minutes     int            `json:"wantedMinutes"`
	Access      support.Access `json:"access,omitempty"`
	RequestedAt time.Time      `json:"requestedAt"`
	ExpiresAt   *time.Time     `json:"expiresAt,omitempty"`
}

func toSupportJSON(g support.Grant) supportJSON {
	return supportJSON{
		ID: g.ID.String(), PersonID: g.PersonID.String(), PersonName: g.PersonName, State: g.State, Ticket: g.Ticket, Reason: g.Reason,
		Wanted: g.WantedAccess, Minutes: int(g.Wanted / time.Minute), Access: g.Access, RequestedAt: g.RequestedAt, ExpiresAt: g.ExpiresAt,
	}
}

func runSupportRequest(ctx context.Context, env *environment, args []string) error {
	const command = "support request"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant")
	person := fs.String("person", "", "`ID` of who is to look: somebody of the staff, see member list --tenant platform")
	ticket := fs.String("ticket", "", "where the customer asked for help: 1 to 100 `characters`")
	minutes := fs.Int("minutes", 30, "for how long: 1 to 60 `minutes`")
	access := fs.String("access", string(support.View), "VIEW to look, `ACT` to help users too")
	reason := reasonFlag(fs, "`text` that the tenant reads; required")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" || *person == "" || *ticket == "" || *reason == "" {
		return misuse(env, command, "--tenant, --person, --ticket and --reason are required")
	}
	id, err := parseID(env, command, "a person", *person)
	if err != nil {
		return err
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		g, err := c.support.Request(ctx, c.home, support.Request{
			TenantID: sc.Tenant(), PersonID: id, Reason: *reason, Ticket: *ticket, For: time.Duration(*minutes) * time.Minute, Access: support.Access(strings.ToUpper(*access)),
		})
		if err != nil {
			return err
		}
		return printSupport(env, asJSON, g)
	})
}

func runSupportList(ctx context.Context, env *environment, args []string) error {
	const command = "support list"
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
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		page, err := c.support.List(ctx, sc, listing.Request{PageSize: listing.MaxPageSize})
		if err != nil {
			return err
		}
		all := make([]supportJSON, len(page.Items))
		rows := [][]string{{"ID", "PERSON", "STATE", "ACCESS", "TICKET", "ASKED", "UNTIL"}}
		for i, g := range page.Items {
			all[i] = toSupportJSON(g)
			access := g.Access
			if access == "" {
				access = g.WantedAccess
			}
			rows = append(rows, []string{g.ID.String(), g.PersonName, string(g.State), string(access), g.Ticket, moment(&g.RequestedAt), moment(g.ExpiresAt)})
		}
		if asJSON {
			return printJSON(env.out, map[string]any{"supportGrants": all})
		}
		return table(env.out, rows)
	})
}

// runSupportGrant lets somebody in by the tenant's own key: whoever runs this machine is not
// the tenant.
func runSupportGrant(ctx context.Context, env *environment, args []string) error {
	const command = "support grant"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	key := fs.String("key-file", "", "`file` of an API key of the tenant's with the scope "+apikey.ScopeSupportGrant)
	minutes := fs.Int("minutes", 0, "for how long, at most what was asked for; 0: what was asked for")
	access := fs.String("access", "", "VIEW or ACT, at most what was asked for; empty: what was asked for")
	reason := reasonFlag(fs, "`text` for the audit log; required")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *key == "" || *reason == "" {
		return misuse(env, command, "--key-file and --reason are required")
	}
	id, err := parseID(env, command, "a request", fs.Arg(0))
	if err != nil {
		return err
	}
	bearer, err := secret.ReadFile(*key)
	if err != nil {
		return err
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	caller, err := c.apiKeys.Authenticate(ctx, strings.TrimSpace(string(bearer)), netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		return err
	}
	if caller.Kind != apikey.Secret || !caller.Allows(apikey.ScopeSupportGrant) {
		return apikey.ErrScopeMissing
	}
	g, err := c.support.Grant(ctx, caller.Scope, support.GrantRequest{
		ID: id, Access: support.Access(strings.ToUpper(*access)), For: time.Duration(*minutes) * time.Minute, Reason: *reason,
	})
	if err != nil {
		return err
	}
	return printSupport(env, asJSON, g)
}

func runSupportRefuse(ctx context.Context, env *environment, args []string) error {
	return endSupport(ctx, env, args, "support refuse", (*support.Service).Refuse)
}

func runSupportRevoke(ctx context.Context, env *environment, args []string) error {
	return endSupport(ctx, env, args, "support revoke", (*support.Service).Revoke)
}

func endSupport(
	ctx context.Context, env *environment, args []string, command string,
	end func(*support.Service, context.Context, scope.Scope, uuid.UUID, string) (support.Grant, error),
) error {
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant")
	reason := reasonFlag(fs, "`text` that the person reads; required")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" || *reason == "" {
		return misuse(env, command, "--tenant and --reason are required")
	}
	id, err := parseID(env, command, "a request", fs.Arg(0))
	if err != nil {
		return err
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		g, err := end(c.support, ctx, sc, id, *reason)
		if err != nil {
			return err
		}
		return printSupport(env, asJSON, g)
	})
}

func printSupport(env *environment, asJSON bool, g support.Grant) error {
	if asJSON {
		return printJSON(env.out, toSupportJSON(g))
	}
	if g.Runs() {
		_, err := fmt.Fprintf(env.out, "%s is in until %s\n", g.PersonName, moment(g.ExpiresAt))
		return err
	}
	_, err := fmt.Fprintf(env.out, "Request %s of %s is %s\n", g.ID, g.PersonName, g.State)
	return err
}
