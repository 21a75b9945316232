package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// runTenantInvite makes the link by which somebody makes a tenant.
func runTenantInvite(ctx context.Context, env *environment, args []string) error {
	const command = "tenant invite"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	mode := fs.String("mode", "", "`mode` of the tenant: live or test; it never changes, so it must be said")
	life := fs.Duration("expires", 3*24*time.Hour, "how `long` the link works: 1h to 336h")
	email := fs.String("email", "", "`address` to send the link to, where mail is configured")
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	made, err := c.members.InviteFounder(ctx, c.home, member.FoundingRequest{
		Label: fs.Arg(0), Mode: tenant.Mode(strings.ToUpper(*mode)), Life: *life, Email: *email, Reason: *reason,
	})
	if err != nil {
		return err
	}
	link, in := joinURL(c.publicURL, made.Token), made.Invitation
	if asJSON {
		return printJSON(env.out, map[string]any{"id": in.ID, "label": in.Label, "mode": in.FoundsMode, "expiresAt": in.ExpiresAt, "url": link})
	}
	fmt.Fprintf(env.err, "Invitation %s, until %s: who has this first makes a tenant and is its owner.\n", in.ID, moment(&in.ExpiresAt))
	_, err = fmt.Fprintln(env.out, link)
	return err
}
