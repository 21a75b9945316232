package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// apiKeyJSON is an API key under --json, as the API spells it.
type apiKeyJSON struct {
	ID           uuid.UUID      `json:"id"`
	Kind         apikey.Kind    `json:"kind"`
	Name         string         `json:"name"`
	Prefix       string         `json:"prefix"`
	Scopes       []string       `json:"scopes"`
	AllowedCIDRs []netip.Prefix `json:"allowedCidrs"`
	CreatedBy    string         `json:"createdBy"`
	CreatedAt    time.Time      `json:"createdAt"`
	LastUsedAt   *time.Time     `json:"lastUsedAt,omitempty"`
	ExpiresAt    *time.Time     `json:"expiresAt,omitempty"`
	RevokedAt    *time.Time     `json:"revokedAt,omitempty"`
	Key          string         `json:"key,omitempty"` // of a key that has just been made
}

func toAPIKeyJSON(k apikey.Key) apiKeyJSON {
	out := apiKeyJSON{
		ID: k.ID, Kind: k.Kind, Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes, AllowedCIDRs: k.AllowedCIDRs,
		CreatedBy: k.CreatedBy, CreatedAt: k.CreatedAt, LastUsedAt: k.LastUsedAt, ExpiresAt: k.ExpiresAt, RevokedAt: k.RevokedAt,
	}
	if out.Scopes == nil {
		out.Scopes = []string{}
	}
	if out.AllowedCIDRs == nil {
		out.AllowedCIDRs = []netip.Prefix{}
	}
	return out
}

// tenantOfKeys is --tenant of the apikey commands.
const tenantOfKeys = "`slug` of the keys' tenant; platform for the platform's own"

func runAPIKeyCreate(ctx context.Context, env *environment, args []string) error {
	const command = "apikey create"
	var asJSON bool
	var scopes, cidrs texts
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfKeys+" (default with --kind platform)")
	kind := fs.String("kind", "secret", "`kind` of the key: secret, publishable or platform")
	name := fs.String("name", "", "`name` for people")
	fs.Var(&scopes, "scope", "`scope` of the key; may be repeated (default: * for secret, admin:* for platform)")
	fs.Var(&cidrs, "allow-cidr", "`network` that the key may be used from; may be repeated (default: anywhere)")
	life := fs.Duration("expires-in", 0, "how long the key is good, as 720h (default: for ever)")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	req := apikey.CreateRequest{Kind: apikey.Kind(strings.ToUpper(*kind)), Name: *name, Scopes: scopes}
	switch req.Kind {
	case apikey.Platform:
		if *slug != "" && *slug != platformSlug {
			return misuse(env, command, "a platform key is of no tenant: leave --tenant out")
		}
		*slug = platformSlug
		if len(req.Scopes) == 0 {
			req.Scopes = []string{apikey.ScopeAdminPlane}
		}
	case apikey.Secret:
		if len(req.Scopes) == 0 {
			req.Scopes = []string{apikey.ScopeAuthPlane}
		}
	case apikey.Publishable:
	default:
		return misuse(env, command, "--kind is secret, publishable or platform")
	}
	for _, text := range cidrs {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return misuse(env, command, "--allow-cidr %q is not a network, such as 192.0.2.0/24", text)
		}
		req.AllowedCIDRs = append(req.AllowedCIDRs, prefix)
	}
	switch {
	case *slug == "":
		return misuse(env, command, "--tenant is required")
	case req.Name == "":
		return misuse(env, command, "--name is required")
	case *life < 0:
		return misuse(env, command, "--expires-in is in the future")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		if *life > 0 {
			ends := c.store.Now().Add(*life)
			req.ExpiresAt = &ends
		}
		made, err := c.apiKeys.Create(ctx, sc, req)
		if err != nil {
			return err
		}
		if asJSON {
			out := toAPIKeyJSON(made.Key)
			out.Key = made.Plain.Reveal()
			return printJSON(env.out, out)
		}
		return printNewAPIKey(env.out, made)
	})
}

func printNewAPIKey(w io.Writer, made apikey.Created) error {
	if _, err := fmt.Fprintf(w, "API key %s is made\n\n", made.Name); err != nil {
		return err
	}
	if err := table(w, [][]string{
		{"  id", made.ID.String()},
		{"  kind", string(made.Kind)},
		{"  scopes", joined(made.Scopes)},
		{"  allowed from", networks(made.Key)},
		{"  expires", moment(made.ExpiresAt)},
	}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nThe key is shown this once, and stored nowhere:\n\n  %s\n", made.Plain.Reveal())
	return err
}

func networks(k apikey.Key) string {
	if len(k.AllowedCIDRs) == 0 {
		return "anywhere"
	}
	out := make([]string, len(k.AllowedCIDRs))
	for i, c := range k.AllowedCIDRs {
		out[i] = c.String()
	}
	return joined(out)
}

func runAPIKeyList(ctx context.Context, env *environment, args []string) error {
	const command = "apikey list"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfKeys)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		found, err := everyPage("", func(req listing.Request) (listing.Page[apikey.Key], error) {
			return c.apiKeys.List(ctx, sc, req)
		})
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]apiKeyJSON, len(found))
			for i, k := range found {
				out[i] = toAPIKeyJSON(k)
			}
			return printJSON(env.out, map[string]any{"apiKeys": out})
		}
		if len(found) == 0 {
			_, err := fmt.Fprintln(env.out, "no API keys")
			return err
		}
		rows := [][]string{{"NAME", "KIND", "STATE", "SCOPES", "CREATED", "LAST USED", "EXPIRES", "ID"}}
		for _, k := range found {
			rows = append(rows, []string{
				k.Name, string(k.Kind), stateOf(k, c.store.Now()), joined(k.Scopes), moment(&k.CreatedAt), moment(k.LastUsedAt), moment(k.ExpiresAt), k.ID.String(),
			})
		}
		return table(env.out, rows)
	})
}

func stateOf(k apikey.Key, now time.Time) string {
	switch {
	case k.RevokedAt != nil:
		return "revoked"
	case k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		return "expired"
	}
	return "active"
}

func runAPIKeyRevoke(ctx context.Context, env *environment, args []string) error {
	const command = "apikey revoke"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfKeys)
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	id, err := parseID(env, command, "an API key: see biocore apikey list", fs.Arg(0))
	if err != nil {
		return err
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		revoked, err := c.apiKeys.Revoke(ctx, sc, apikey.RevokeRequest{ID: id, Reason: *reason})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, toAPIKeyJSON(revoked))
		}
		_, err = fmt.Fprintf(env.out, "API key %s is revoked since %s\n", revoked.Name, moment(revoked.RevokedAt))
		return err
	})
}
