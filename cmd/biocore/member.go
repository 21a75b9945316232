package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// tenantOfMembers is --tenant of the member commands.
const tenantOfMembers = "`slug` of the tenant; platform for the staff"

// memberJSON is a member under --json.
type memberJSON struct {
	ID        string      `json:"id"`
	PersonID  string      `json:"personId"`
	Name      string      `json:"name"`
	Role      member.Role `json:"role"`
	InvitedBy string      `json:"invitedBy"`
	CreatedAt time.Time   `json:"createdAt"`

	LastSeenAt   *time.Time `json:"lastSeenAt,omitempty"`
	PasskeyCount int        `json:"passkeyCount"`
}

// joinURL is the link that accepts invitations: their tokens stand in the fragment, which
// no server logs.
func joinURL(publicURL string, tokens ...string) string {
	return publicURL + "/console/join#" + strings.Join(tokens, ".")
}

func roleNames() string {
	all := append(member.Roles(), member.StaffRoles()...)
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

func runMemberInvite(ctx context.Context, env *environment, args []string) error {
	const command = "member invite"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfMembers)
	role := fs.String("role", "", "`role`: "+roleNames())
	life := fs.Duration("expires", 3*24*time.Hour, "how `long` the link works: 1h to 336h")
	email := fs.String("email", "", "`address` to send the link to, where mail is configured")
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" || *role == "" {
		return misuse(env, command, "--tenant and --role are required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		made, err := c.members.Invite(ctx, sc, member.InviteRequest{
			Role: member.Role(*role), Label: fs.Arg(0), Life: *life, Email: *email, Reason: *reason,
		})
		if err != nil {
			return err
		}
		link, in := joinURL(c.publicURL, made.Token), made.Invitation
		if asJSON {
			return printJSON(env.out, map[string]any{"id": in.ID, "role": in.Role, "label": in.Label, "expiresAt": in.ExpiresAt, "url": link})
		}
		fmt.Fprintf(env.err, "Invitation %s, until %s: who has this first is a member.\n", in.ID, moment(&in.ExpiresAt))
		_, err = fmt.Fprintln(env.out, link)
		return err
	})
}

func runMemberList(ctx context.Context, env *environment, args []string) error {
	const command = "member list"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfMembers)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		members, err := c.members.List(ctx, sc)
		if err != nil {
			return err
		}
		presences, err := c.members.Presences(ctx, members)
		if err != nil {
			return err
		}
		people := make([]uuid.UUID, len(members))
		for i, m := range members {
			people[i] = m.PersonID
		}
		names, err := c.users.Names(ctx, c.home, people)
		if err != nil {
			return err
		}
		all := make([]memberJSON, len(members))
		rows := [][]string{{"ID", "NAME", "ROLE", "SINCE", "LAST SEEN", "PASSKEYS", "INVITED BY"}}
		for i, m := range members {
			name, ok := names[m.PersonID]
			if !ok {
				name = "-" // the account is gone
			}
			known := presences[m.PersonID]
			all[i] = memberJSON{
				ID: m.ID.String(), PersonID: m.PersonID.String(), Name: name, Role: m.Role, InvitedBy: m.InvitedBy, CreatedAt: m.CreatedAt,
				LastSeenAt: known.LastSeenAt, PasskeyCount: known.Passkeys,
			}
			rows = append(rows, []string{
				m.ID.String(), name, string(m.Role), moment(&m.CreatedAt), moment(known.LastSeenAt), strconv.Itoa(known.Passkeys), m.InvitedBy,
			})
		}
		if asJSON {
			return printJSON(env.out, map[string]any{"members": all})
		}
		return table(env.out, rows)
	})
}

func runMemberUpdate(ctx context.Context, env *environment, args []string) error {
	return changeMember(ctx, env, args, "member update", true)
}

func runMemberRemove(ctx context.Context, env *environment, args []string) error {
	return changeMember(ctx, env, args, "member remove", false)
}

func changeMember(ctx context.Context, env *environment, args []string, command string, stays bool) error {
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfMembers)
	var role string
	if stays {
		fs.StringVar(&role, "role", "", "the new `role`: "+roleNames())
	}
	reason := reasonFlag(fs, "`text` for the audit log; required")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	switch {
	case *slug == "", stays && role == "":
		return misuse(env, command, "--tenant and --role are required")
	case *reason == "":
		return misuse(env, command, "--reason is required")
	}
	id, err := parseID(env, command, "a member", fs.Arg(0))
	if err != nil {
		return err
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		m, err := c.members.Change(ctx, sc, member.ChangeRequest{ID: id, Role: member.Role(role), Reason: *reason})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, map[string]any{"id": m.ID, "personId": m.PersonID, "role": role})
		}
		if !stays {
			_, err = fmt.Fprintf(env.out, "Member %s is removed\n", m.ID)
			return err
		}
		_, err = fmt.Fprintf(env.out, "Member %s is %s\n", m.ID, m.Role)
		return err
	})
}
