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
	State        apikey.State   `json:"state"`
	LockedAt     *time.Time     `json:"lockedAt,omitempty"`
	ReplacedBy   *uuid.UUID     `json:"replacedBy,omitempty"`
	Key          string         `json:"key,omitempty"` // of a key that has just been made
}

func toAPIKeyJSON(k apikey.Key, now time.Time) apiKeyJSON {
	out := apiKeyJSON{
		ID: k.ID, Kind: k.Kind, Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes, AllowedCIDRs: k.AllowedCIDRs,
		CreatedBy: k.CreatedBy, CreatedAt: k.CreatedAt, LastUsedAt: k.LastUsedAt, ExpiresAt: k.ExpiresAt, RevokedAt: k.RevokedAt,
		State: k.State(now), LockedAt: k.LockedAt, ReplacedBy: k.ReplacedBy,
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
			out := toAPIKeyJSON(made.Key, c.store.Now())
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
	filter := fs.String("filter", "", "`expression`, as 'state = LOCKED AND kind = SECRET'")
	order := fs.String("order", "", "`order`: createdAt desc (default), name, lastUsedAt desc or expiresAt")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		found, err := everyPage(*filter, func(req listing.Request) (listing.Page[apikey.Key], error) {
			return c.apiKeys.List(ctx, sc, apikey.ListRequest{Request: req, Order: apikey.Order(*order)})
		})
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]apiKeyJSON, len(found))
			for i, k := range found {
				out[i] = toAPIKeyJSON(k, c.store.Now())
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
				k.Name, string(k.Kind), strings.ToLower(string(k.State(c.store.Now()))), joined(k.Scopes), moment(&k.CreatedAt), moment(k.LastUsedAt), moment(k.ExpiresAt), k.ID.String(),
			})
		}
		return table(env.out, rows)
	})
}

// changeOf is a command on one API key, by its id.
type changeOf struct {
	command string
	do      func(ctx context.Context, c *control, sc scope.Scope, id uuid.UUID, reason string) (apikey.Key, error)
	says    func(apikey.Key) string
}

func (ch changeOf) run(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, ch.command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfKeys)
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, ch.command, "--tenant is required")
	}
	id, err := parseID(env, ch.command, "an API key: see biocore apikey list", fs.Arg(0))
	if err != nil {
		return err
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		k, err := ch.do(ctx, c, sc, id, *reason)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, toAPIKeyJSON(k, c.store.Now()))
		}
		_, err = fmt.Fprintln(env.out, ch.says(k))
		return err
	})
}

func runAPIKeyRevoke(ctx context.Context, env *environment, args []string) error {
	return changeOf{
		command: "apikey revoke",
		do: func(ctx context.Context, c *control, sc scope.Scope, id uuid.UUID, reason string) (apikey.Key, error) {
			return c.apiKeys.Revoke(ctx, sc, apikey.RevokeRequest{ID: id, Reason: reason})
		},
		says: func(k apikey.Key) string { return "API key " + k.Name + " is revoked since " + moment(k.RevokedAt) },
	}.run(ctx, env, args)
}

func runAPIKeyLock(ctx context.Context, env *environment, args []string) error {
	return changeOf{
		command: "apikey lock",
		do: func(ctx context.Context, c *control, sc scope.Scope, id uuid.UUID, reason string) (apikey.Key, error) {
			return c.apiKeys.Lock(ctx, sc, apikey.LockRequest{ID: id, Reason: reason})
		},
		says: func(k apikey.Key) string { return "API key " + k.Name + " is locked since " + moment(k.LockedAt) },
	}.run(ctx, env, args)
}

func runAPIKeyUnlock(ctx context.Context, env *environment, args []string) error {
	return changeOf{
		command: "apikey unlock",
		do: func(ctx context.Context, c *control, sc scope.Scope, id uuid.UUID, reason string) (apikey.Key, error) {
			return c.apiKeys.Unlock(ctx, sc, apikey.LockRequest{ID: id, Reason: reason})
		},
		says: func(k apikey.Key) string { return "API key " + k.Name + " works again" },
	}.run(ctx, env, args)
}

// rotatedJSON is what apikey rotate tells under --json, as the API spells it.
type rotatedJSON struct {
	APIKey   apiKeyJSON `json:"apiKey"`
	Replaced apiKeyJSON `json:"replaced"`
}

func runAPIKeyRotate(ctx context.Context, env *environment, args []string) error {
	const command = "apikey rotate"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfKeys)
	reason := reasonFlag(fs, "`text` for the audit log")
	overlap := fs.Duration("overlap", 24*time.Hour, "how long the old key goes on: 0 to 168h")
	life := fs.Duration("expires-in", 0, "how long the new key is good, as 720h (default: as long as the old one was to be)")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	switch {
	case *slug == "":
		return misuse(env, command, "--tenant is required")
	case *overlap < 0 || *overlap > apikey.MaxOverlap:
		return misuse(env, command, "--overlap is 0 to 168h")
	case *life < 0:
		return misuse(env, command, "--expires-in is in the future")
	}
	id, err := parseID(env, command, "an API key: see biocore apikey list", fs.Arg(0))
	if err != nil {
		return err
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		req := apikey.RotateRequest{ID: id, Overlap: *overlap, Reason: *reason}
		if *life > 0 {
			ends := c.store.Now().Add(*life)
			req.ExpiresAt = &ends
		}
		made, err := c.apiKeys.Rotate(ctx, sc, req)
		if err != nil {
			return err
		}
		if asJSON {
			out := rotatedJSON{APIKey: toAPIKeyJSON(made.Key, c.store.Now()), Replaced: toAPIKeyJSON(made.Old, c.store.Now())}
			out.APIKey.Key = made.Plain.Reveal()
			return printJSON(env.out, out)
		}
		if err := printNewAPIKey(env.out, made.Created); err != nil {
			return err
		}
		_, err = fmt.Fprintf(env.out, "\nThe old key ends at %s\n", moment(made.Old.ExpiresAt))
		return err
	})
}
