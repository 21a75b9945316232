package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/tenancy/usage"
)

// tenantInvitationJSON is an invitation under --json, as the API spells it.
type tenantInvitationJSON struct {
	ID        uuid.UUID   `json:"id"`
	Label     string      `json:"label"`
	InvitedBy string      `json:"invitedBy"`
	CreatedAt time.Time   `json:"createdAt"`
	ExpiresAt time.Time   `json:"expiresAt"`
	Mode      tenant.Mode `json:"mode"`
	Plan      string      `json:"plan"`
	Quotas    []quotaJSON `json:"quotas"`
	URL       string      `json:"url,omitempty"`
}

func toTenantInvitationJSON(in member.Invitation) tenantInvitationJSON {
	return tenantInvitationJSON{
		ID: in.ID, Label: in.Label, InvitedBy: in.InvitedBy, CreatedAt: in.CreatedAt, ExpiresAt: in.ExpiresAt,
		Mode: in.Founds.Mode, Plan: in.Founds.Plan, Quotas: toQuotasJSON(in.Founds.Quotas),
	}
}

// runTenantInvite makes the link by which somebody makes a tenant.
func runTenantInvite(ctx context.Context, env *environment, args []string) error {
	const command = "tenant invite"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	mode := fs.String("mode", "", "`mode` of the tenant: live or test; it never changes, so it must be said")
	plan := fs.String("plan", "", "`name` of the contract")
	wanted := quotaFlags(fs, "")
	life := fs.Duration("expires", 3*24*time.Hour, "how `long` the link works: 1h to 336h")
	email := fs.String("email", "", "`address` to send the link to, where mail is configured")
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	terms := member.Terms{Mode: tenant.Mode(strings.ToUpper(*mode)), Plan: *plan}
	for _, m := range metered {
		if text := *wanted[m.kind]; text != "" {
			q, err := usage.ParseQuota(m.kind, text)
			if err != nil {
				return misuse(env, command, "--%s is a number from 1 on, or a number with :hard", m.flag)
			}
			terms.Quotas = append(terms.Quotas, q)
		}
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	made, err := c.members.InviteFounder(ctx, c.home, member.FoundingRequest{Label: fs.Arg(0), Terms: terms, Life: *life, Email: *email, Reason: *reason})
	if err != nil {
		return err
	}
	link, in := joinURL(c.publicURL, made.Token), made.Invitation
	if asJSON {
		out := toTenantInvitationJSON(in)
		out.URL = link
		return printJSON(env.out, out)
	}
	fmt.Fprintf(env.err, "Invitation %s, until %s: who has this first makes a tenant and is its owner.\n", in.ID, moment(&in.ExpiresAt))
	_, err = fmt.Fprintln(env.out, link)
	return err
}

// runTenantInvitations lists the open invitations, without their links.
func runTenantInvitations(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "tenant invitations", &asJSON)
	config := configFlag(fs)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	open, err := c.members.Founders(ctx, c.home)
	if err != nil {
		return err
	}
	if asJSON {
		out := make([]tenantInvitationJSON, len(open))
		for i := range open {
			out[i] = toTenantInvitationJSON(open[i].Invitation)
		}
		return printJSON(env.out, map[string]any{"invitations": out})
	}
	if len(open) == 0 {
		_, err := fmt.Fprintln(env.out, "no open invitations")
		return err
	}
	rows := [][]string{{"ID", "LABEL", "MODE", "PLAN", "QUOTAS", "UNTIL", "INVITED BY"}}
	for i := range open {
		in := open[i].Invitation
		quotas := make([]string, len(in.Founds.Quotas))
		for j, q := range in.Founds.Quotas {
			quotas[j] = string(q.Kind) + "=" + q.Text()
		}
		rows = append(rows, []string{
			in.ID.String(), in.Label, string(in.Founds.Mode), orDash(in.Founds.Plan), orDash(strings.Join(quotas, " ")), moment(&in.ExpiresAt), in.InvitedBy,
		})
	}
	return table(env.out, rows)
}

// runTenantUninvite takes an open invitation back.
func runTenantUninvite(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "tenant uninvite", &asJSON)
	config := configFlag(fs)
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	id, err := uuid.Parse(fs.Arg(0))
	if err != nil {
		return member.ErrInvitation
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	gone, err := c.members.UninviteFounder(ctx, c.home, id)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(env.out, toTenantInvitationJSON(gone))
	}
	_, err = fmt.Fprintf(env.out, "invitation %s is no good any more\n", gone.ID)
	return err
}
