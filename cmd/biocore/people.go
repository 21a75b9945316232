package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// userJSON, credentialJSON and sessionJSON are what lists print under --json, as the API spells it.
type userJSON struct {
	ID           string     `json:"id"`
	ExternalID   string     `json:"externalId"`
	Name         string     `json:"name"`
	DisplayName  string     `json:"displayName,omitempty"`
	State        string     `json:"state"`
	Passkeys     int        `json:"passkeys"`
	CreatedAt    time.Time  `json:"createdAt"`
	LastSignInAt *time.Time `json:"lastSignInAt,omitempty"`
}

type credentialJSON struct {
	ID         string     `json:"id"`
	UserID     string     `json:"userId"`
	Nickname   string     `json:"nickname,omitempty"`
	AAGUID     string     `json:"aaguid"`
	State      string     `json:"state"`
	Trust      string     `json:"trust"`
	BackedUp   bool       `json:"backedUp"`
	CreatedAt  time.Time  `json:"createdAt"`
	LastUsedAt *time.Time `json:"lastUsedAt,omitempty"`
}

type sessionJSON struct {
	ID           string     `json:"id"`
	UserID       string     `json:"userId"`
	CredentialID string     `json:"credentialId"`
	AAL          uint8      `json:"aal"`
	Address      string     `json:"ipAddress,omitempty"`
	UserAgent    string     `json:"userAgent,omitempty"`
	CreatedAt    time.Time  `json:"createdAt"`
	ExpiresAt    time.Time  `json:"expiresAt"`
	RevokedAt    *time.Time `json:"revokedAt,omitempty"`
}

func runUsersList(ctx context.Context, env *environment, args []string) error {
	return runList(ctx, env, args, "users list", "`externalId`, name, search, email, phone, state, hasPasskey, createdAt, lastSignInAt",
		func(ctx context.Context, c *control, sc scope.Scope, req listing.Request) (listing.Page[user.User], error) {
			return c.users.List(ctx, sc, req)
		}, func(u *user.User) (any, string) {
			return userJSON{u.ID.String(), u.ExternalID, u.Name, u.DisplayName, string(u.State), len(u.Passkeys), u.CreatedAt, u.LastSignInAt},
				fmt.Sprintf("%s  %-8s %2d passkeys  %s  %-20s %q", u.ID, u.State, len(u.Passkeys), orNever(u.LastSignInAt), u.ExternalID, u.Name)
		})
}

// runUsersExport writes all that a tenant has of one user.
func runUsersExport(ctx context.Context, env *environment, args []string) error {
	const command = "users export"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant; required")
	reason := reasonFlag(fs, "why, `text` for the audit log; required")
	file := fs.String("out", "", "new `file` to write the archive to; required")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	switch "" {
	case *slug:
		return misuse(env, command, "--tenant is required")
	case *reason:
		return misuse(env, command, "--reason is required: it stands in the tenant's audit log")
	case *file:
		return misuse(env, command, "--out is required")
	}
	id, err := user.ParseID(fs.Arg(0))
	if err != nil {
		return misuse(env, command, "an argument is the id of a user: see biocore users list")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		s, err := c.archives(ctx)
		if err != nil {
			return err
		}
		p, err := s.OfPerson(ctx, sc, archive.PersonRequest{User: id, Reason: *reason})
		if err != nil {
			return err
		}
		out, err := os.OpenFile(*file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("make the file: %w", err)
		}
		defer out.Close()
		if err := errors.Join(p.WriteTo(ctx, out), out.Sync()); err != nil {
			_ = os.Remove(*file) // half an archive is none
			return err
		}
		if asJSON {
			return printJSON(env.out, map[string]any{"exportId": p.ID, "userId": id.String(), "file": *file})
		}
		_, err = fmt.Fprintf(env.out, "%s is written; `biocore tenant verify-export %s` checks it.\n", *file, *file)
		return err
	})
}

func runCredentialsList(ctx context.Context, env *environment, args []string) error {
	return runList(ctx, env, args, "credentials list", "`state`, trust, aaguid, synced, lowered, reported, createdAt, lastUsedAt",
		func(ctx context.Context, c *control, sc scope.Scope, req listing.Request) (listing.Page[credential.Credential], error) {
			if strings.Contains(req.Filter, "reported") {
				if err := c.mds.Load(ctx); err != nil {
					return listing.Page[credential.Credential]{}, err
				}
			}
			credentials := credential.New(credential.Options{Store: c.store, Keys: c.keys, Tenants: c.tenants, Reported: c.reportedModels})
			return credentials.List(ctx, sc, req)
		}, func(k *credential.Credential) (any, string) {
			return credentialJSON{k.ID.String(), k.UserID.String(), k.Nickname, k.AAGUID.String(), string(k.State), string(k.Trust), k.BackedUp, k.CreatedAt, k.LastUsedAt},
				fmt.Sprintf("%s  user %s  %-9s %s  %s  %q", k.ID, k.UserID, k.State, k.AAGUID, orNever(k.LastUsedAt), k.Nickname)
		})
}

func runSessionsList(ctx context.Context, env *environment, args []string) error {
	return runList(ctx, env, args, "sessions list", "`userId`, credentialId, aal, active, createdAt, expiresAt",
		func(ctx context.Context, c *control, sc scope.Scope, req listing.Request) (listing.Page[session.Session], error) {
			sessions, err := session.New(session.Options{Store: c.store, Keys: c.keys, Tenants: c.tenants, PublicURL: c.publicURL, Denials: c.denials})
			if err != nil {
				return listing.Page[session.Session]{}, err
			}
			return sessions.List(ctx, sc, req)
		}, func(s *session.Session) (any, string) {
			address := ""
			if s.Address.IsValid() {
				address = s.Address.String()
			}
			ends := "until " + s.ExpiresAt.Format(time.RFC3339)
			if s.RevokedAt != nil {
				ends = "revoked " + s.RevokedAt.Format(time.RFC3339)
			}
			return sessionJSON{s.ID.String(), s.UserID.String(), s.CredentialID.String(), s.AAL, address, s.UserAgent, s.CreatedAt, s.ExpiresAt, s.RevokedAt},
				fmt.Sprintf("%s  user %s  AAL%d  %s  %s  %s", s.ID, s.UserID, s.AAL, s.CreatedAt.Format(time.RFC3339), ends, address)
		})
}

// runList prints a list of a tenant, the newest first, in lines or as JSON.
func runList[T any](ctx context.Context, env *environment, args []string, command, filters string,
	list func(context.Context, *control, scope.Scope, listing.Request) (listing.Page[T], error), show func(*T) (asJSON any, line string),
) error {
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant")
	filter := fs.String("filter", "", "as in the API: "+filters)
	limit := fs.Int("limit", maxPrinted, "the newest `count`")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		found, err := newest(*limit, *filter, func(req listing.Request) (listing.Page[T], error) { return list(ctx, c, sc, req) })
		if err != nil {
			return err
		}
		out := make([]any, len(found))
		for i := range found {
			var line string
			if out[i], line = show(&found[i]); asJSON {
				continue
			}
			if _, err := fmt.Fprintln(env.out, line); err != nil {
				return err
			}
		}
		if asJSON {
			return printJSON(env.out, out)
		}
		return nil
	})
}

// orNever is a time as lines have it.
func orNever(at *time.Time) string {
	if at == nil {
		return "never               "
	}
	return at.UTC().Format(time.RFC3339)
}
