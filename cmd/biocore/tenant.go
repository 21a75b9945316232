package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/stats"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// tenantJSON is a tenant under --json, as the API spells it.
type tenantJSON struct {
	ID            uuid.UUID    `json:"id"`
	Slug          string       `json:"slug"`
	Name          string       `json:"name"`
	Mode          tenant.Mode  `json:"mode"`
	State         tenant.State `json:"state"`
	SuspendReason string       `json:"suspendReason,omitempty"`
	RPID          string       `json:"rpId"`
	Origins       []string     `json:"origins"`
	Plan          string       `json:"plan"`
	Region        string       `json:"region"`
	CreatedAt     time.Time    `json:"createdAt"`
	DeleteAfter   *time.Time   `json:"deleteAfter,omitempty"`
	Availability  availability `json:"availability"`
	ETag          string       `json:"etag"`
}

// availability is how a tenant's ceremonies fared in 30 days, as the API spells it.
type availability struct {
	Answered int64    `json:"answered"`
	Faults   int64    `json:"faults"`
	Percent  *float64 `json:"percent,omitempty"` // nil: nothing was tried
}

func toAvailability(l stats.Level) availability {
	a := availability{Answered: l.Answered, Faults: l.Faults}
	if share, known := l.Availability(); known {
		percent := 100 * share
		a.Percent = &percent
	}
	return a
}

// percent is a level's availability for people.
func percent(l stats.Level) string {
	if l.Tried() == 0 {
		return "-"
	}
	return l.Percent() + " %"
}

func toTenantJSON(t tenant.Tenant) tenantJSON {
	return tenantJSON{
		ID: t.ID, Slug: t.Slug, Name: t.Name, Mode: t.Mode, State: t.State, SuspendReason: t.SuspendReason,
		RPID: t.RPID, Origins: t.Origins, Plan: t.Plan, Region: t.Region, CreatedAt: t.CreatedAt, DeleteAfter: t.DeleteAfter, ETag: t.ETag,
		Availability: toAvailability(t.Month),
	}
}

func runTenantCreate(ctx context.Context, env *environment, args []string) error {
	const command = "tenant create"
	var asJSON bool
	var origins texts
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	name := fs.String("name", "", "`name` for people (default: the slug)")
	mode := fs.String("mode", "", "`mode`: live or test; it never changes, so it must be said")
	rpID := fs.String("rp-id", "", "WebAuthn's RP ID, a `domain`: the passkeys' scope")
	vouch := fs.String("vouch-domain", "", "`reason` for the audit log by which you vouch that the RP ID is the customer's domain; without it a live tenant proves it first")
	fs.Var(&origins, "origin", "`origin` of the tenant's pages; may be repeated (default: https:// and the RP ID)")
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	req := tenant.CreateRequest{
		Slug: fs.Arg(0), Name: *name, Mode: tenant.Mode(strings.ToUpper(*mode)), RPID: *rpID, Origins: origins, VouchReason: *vouch, Reason: *reason,
	}
	switch {
	case req.Mode != tenant.Live && req.Mode != tenant.Test:
		return misuse(env, command, "--mode is live or test")
	case req.RPID == "":
		return misuse(env, command, "--rp-id is required")
	}
	if req.Name == "" {
		req.Name = req.Slug
	}
	if len(req.Origins) == 0 {
		req.Origins = []string{"https://" + req.RPID}
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	made, first, err := c.tenants.Create(ctx, c.home, req)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(env.out, map[string]any{
			"tenant": toTenantJSON(made), "secretKey": first.Secret, "publishableKey": first.Publishable,
		})
	}
	if err := printTenant(env.out, made); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.out, "\nIts first keys are shown this once, and stored nowhere:\n\n  secret key       %s\n  publishable key  %s\n",
		first.Secret, first.Publishable)
	return err
}

func runTenantList(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "tenant list", &asJSON)
	config := configFlag(fs)
	filter := fs.String("filter", "", "an AIP-160 `expression` over slug, mode, state, createdAt and availability")
	orderBy := fs.String("order-by", "", "createdAt, name, users, lastActiveAt or availability, and desc or nothing after it (default createdAt desc)")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	tenants, err := everyPage(*filter, func(req listing.Request) (listing.Page[tenant.Tenant], error) {
		req.OrderBy = *orderBy
		return c.tenants.List(ctx, c.home, req)
	})
	if err != nil {
		return err
	}
	if asJSON {
		out := make([]tenantJSON, len(tenants))
		for i, t := range tenants {
			out[i] = toTenantJSON(t)
		}
		return printJSON(env.out, map[string]any{"tenants": out})
	}
	if len(tenants) == 0 {
		_, err := fmt.Fprintln(env.out, "no tenants")
		return err
	}
	rows := [][]string{{"SLUG", "NAME", "MODE", "STATE", "RP ID", "30 DAYS", "CREATED", "ID"}}
	for _, t := range tenants {
		rows = append(rows, []string{t.Slug, t.Name, string(t.Mode), string(t.State), t.RPID, percent(t.Month), moment(&t.CreatedAt), t.ID.String()})
	}
	return table(env.out, rows)
}

func runTenantSuspend(ctx context.Context, env *environment, args []string) error {
	return setTenantState(ctx, env, args, "tenant suspend", (*tenant.Service).Suspend)
}

func runTenantResume(ctx context.Context, env *environment, args []string) error {
	return setTenantState(ctx, env, args, "tenant resume", (*tenant.Service).Resume)
}

func runTenantVouchDomain(ctx context.Context, env *environment, args []string) error {
	const command = "tenant vouch-domain"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	reason := reasonFlag(fs, "how you know, `text` for the audit log; required")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *reason == "" {
		return misuse(env, command, "--reason is required")
	}
	return inTenant(ctx, env, *config, fs.Arg(0), func(c *control, sc scope.Scope) error {
		t, err := c.tenants.VouchDomain(ctx, c.home, tenant.VouchRequest{ID: sc.Tenant(), Reason: *reason})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, toTenantJSON(t))
		}
		_, err = fmt.Fprintf(env.out, "tenant %s runs ceremonies for %s\n", t.Slug, t.RPID)
		return err
	})
}

func runTenantDelete(ctx context.Context, env *environment, args []string) error {
	const command = "tenant delete"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	confirm := fs.String("confirm", "", "the tenant's `slug` once more")
	reason := reasonFlag(fs, "`text` for the audit log and the deletion certificate; required")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	switch {
	case *confirm != fs.Arg(0):
		return misuse(env, command, "--confirm %s is required: after 30 days all of the tenant is destroyed", fs.Arg(0))
	case *reason == "":
		return misuse(env, command, "--reason is required: it stands in the certificate for ever")
	}
	return inTenant(ctx, env, *config, fs.Arg(0), func(c *control, sc scope.Scope) error {
		t, err := c.tenants.Delete(ctx, c.home, tenant.DeleteRequest{ID: sc.Tenant(), Reason: *reason})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, toTenantJSON(t))
		}
		_, err = fmt.Fprintf(env.out, "tenant %s is deleting: destroyed after %s, until then `biocore tenant restore %s` takes it back\n",
			t.Slug, moment(t.DeleteAfter), t.Slug)
		return err
	})
}

func runTenantRestore(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "tenant restore", &asJSON)
	config := configFlag(fs)
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	return inTenant(ctx, env, *config, fs.Arg(0), func(c *control, sc scope.Scope) error {
		t, err := c.tenants.Restore(ctx, c.home, tenant.DeleteRequest{ID: sc.Tenant(), Reason: *reason})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, toTenantJSON(t))
		}
		_, err = fmt.Fprintf(env.out, "tenant %s is %s\n", t.Slug, strings.ToLower(string(t.State)))
		return err
	})
}

func setTenantState(
	ctx context.Context, env *environment, args []string, command string,
	set func(*tenant.Service, context.Context, scope.Scope, tenant.SuspendRequest) (tenant.Tenant, error),
) error {
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	sc, err := c.of(ctx, fs.Arg(0))
	if err != nil {
		return err
	}
	t, err := set(c.tenants, ctx, c.home, tenant.SuspendRequest{ID: sc.Tenant(), Reason: *reason})
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(env.out, toTenantJSON(t))
	}
	_, err = fmt.Fprintf(env.out, "tenant %s is %s\n", t.Slug, strings.ToLower(string(t.State)))
	return err
}

func printTenant(w io.Writer, t tenant.Tenant) error {
	if _, err := fmt.Fprintf(w, "tenant %s is made\n\n", t.Slug); err != nil {
		return err
	}
	return table(w, [][]string{
		{"  id", t.ID.String()},
		{"  name", t.Name},
		{"  mode", string(t.Mode)},
		{"  RP ID", t.RPID},
		{"  origins", joined(t.Origins)},
	})
}

// everyPage reads a list to its end: an operator wants to see all of it.
func everyPage[T any](filter string, page func(listing.Request) (listing.Page[T], error)) ([]T, error) {
	var all []T
	req := listing.Request{PageSize: listing.MaxPageSize, Filter: filter}
	for {
		p, err := page(req)
		if err != nil {
			return nil, err
		}
		all = append(all, p.Items...)
		if req.PageToken = p.NextToken; req.PageToken == "" {
			return all, nil
		}
	}
}
