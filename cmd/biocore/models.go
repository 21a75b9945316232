package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/blastradius"
	"github.com/biocore-id/biocore/db/jobs"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// modelJSON is a model of the metadata under --json, as the API spells it.
type modelJSON struct {
	AAGUID         string   `json:"aaguid"`
	KeyIdentifiers []string `json:"keyIdentifiers"`
	Name           string   `json:"name"`
	Certification  string   `json:"certification"`
	Reports        []string `json:"reports"`
}

func toModelJSON(m authenticator.Model) modelJSON {
	out := modelJSON{Name: m.Name, KeyIdentifiers: []string{}, Certification: m.Certification, Reports: append([]string{}, m.Reports...)}
	if m.AAGUID != uuid.Nil {
		out.AAGUID = m.AAGUID.String()
	}
	if out.Name == "" {
		out.Name = authenticator.Unknown
	}
	for _, k := range m.KeyIdentifiers {
		out.KeyIdentifiers = append(out.KeyIdentifiers, hex.EncodeToString(k))
	}
	return out
}

// nameOf is a model's name for people.
func (o *operator) nameOf(aaguid uuid.UUID) string {
	if name := authenticator.Name(aaguid, o.mds.Current()); name != "" {
		return name
	}
	return authenticator.Unknown
}

// catalogue opens the models of the metadata that is stored.
func (c *control) catalogue(ctx context.Context) (*authenticator.Catalogue, error) {
	if err := c.mds.Load(ctx); err != nil {
		return nil, err
	}
	return authenticator.NewCatalogue(authenticator.Options{Keys: c.keys, Metadata: c.mds.Current, Now: c.store.Now})
}

// blastRadius is the service that measures.
func (c *control) blastRadius() (*blastradius.Service, error) {
	queue, err := jobs.NewQueue()
	if err != nil {
		return nil, err
	}
	return blastradius.New(blastradius.Options{Store: c.store, Keys: c.keys, Tenants: c.tenants, Queue: queue, Reports: c.reported})
}

func runMDSModels(ctx context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "mds models", &asJSON)
	config := configFlag(fs)
	filter := fs.String("filter", "", "`terms` as in the API: certification >= FIDO_CERTIFIED_L2 AND status = REVOKED AND name = \"*key*\" (default: all)")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	models, err := c.catalogue(ctx)
	if err != nil {
		return err
	}
	all, err := everyPage(*filter, func(req listing.Request) (listing.Page[authenticator.Model], error) {
		return models.List(ctx, c.home, req)
	})
	if err != nil {
		return err
	}
	if asJSON {
		out := make([]modelJSON, len(all))
		for i, m := range all {
			out[i] = toModelJSON(m)
		}
		return printJSON(env.out, map[string]any{"models": out})
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(env.out, "The metadata has no such model. See biocore mds status.")
		return err
	}
	rows := [][]string{{"MODEL", "NAME", "CERTIFICATION", "REPORTED"}}
	for _, m := range all {
		one := toModelJSON(m)
		id := one.AAGUID
		if id == "" {
			id = "U2F " + one.KeyIdentifiers[0]
		}
		level := one.Certification
		if level == "" {
			level = "-"
		}
		rows = append(rows, []string{id, one.Name, level, joined(one.Reports)})
	}
	return table(env.out, rows)
}

// modelRadiusJSON is how far a model reaches, under --json.
type modelRadiusJSON struct {
	AAGUID      string   `json:"aaguid"`
	Name        string   `json:"name"`
	Reports     []string `json:"reports"`
	Tenants     int      `json:"tenants"`
	Credentials int      `json:"credentials"`
	Users       int      `json:"users"`
	Disposed    int      `json:"disposed"`
}

// tenantRadiusJSON is how far a model reaches within one tenant, under --json.
type tenantRadiusJSON struct {
	TenantID    uuid.UUID  `json:"tenantId"`
	TenantSlug  string     `json:"tenantSlug"`
	AAGUID      string     `json:"aaguid"`
	Credentials int        `json:"credentials"`
	Proven      int        `json:"proven"`
	Active      int        `json:"active"`
	Suspended   int        `json:"suspended"`
	Disposed    int        `json:"disposed"`
	Users       int        `json:"users"`
	Disposition string     `json:"disposition"`
	Automatic   bool       `json:"automatic"`
	OrderedAt   *time.Time `json:"orderedAt,omitempty"`
	FinishedAt  *time.Time `json:"finishedAt,omitempty"`
}

func runMDSBlastRadius(ctx context.Context, env *environment, args []string) error {
	const command = "mds blast-radius"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	model := fs.String("aaguid", "", "`AAGUID` of one model (default: those that the metadata reports)")
	slug := fs.String("tenant", "", "`slug` of one tenant (default: all)")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	filter := ""
	if *model != "" {
		id, err := blastradius.ParseModel(*model)
		if err != nil {
			return misuse(env, command, "%q is no model's AAGUID", *model)
		}
		filter = "aaguid = " + id.String()
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	if *slug != "" {
		sc, err := c.of(ctx, *slug)
		if err != nil {
			return err
		}
		if filter != "" {
			filter += " AND "
		}
		filter += "tenantId = " + sc.Tenant().String()
	}
	if err := c.mds.Load(ctx); err != nil {
		return err
	}
	svc, err := c.blastRadius()
	if err != nil {
		return err
	}
	totals, shares, err := wholeFleet(ctx, svc, c.home, filter)
	if err != nil {
		return err
	}
	return c.printFleet(env, asJSON, totals, shares)
}

// wholeFleet adds all pages up.
func wholeFleet(ctx context.Context, svc *blastradius.Service, home scope.Scope, filter string) ([]blastradius.Total, []blastradius.Share, error) {
	var shares []blastradius.Share
	var totals []blastradius.Total
	at := map[uuid.UUID]int{}
	for req := (listing.Request{PageSize: listing.MaxPageSize, Filter: filter}); ; {
		page, err := svc.Fleet(ctx, home, req)
		if err != nil {
			return nil, nil, err
		}
		shares = append(shares, page.Shares...)
		for _, one := range page.Totals {
			n, ok := at[one.AAGUID]
			if !ok {
				at[one.AAGUID] = len(totals)
				totals = append(totals, one)
				continue
			}
			totals[n].Tenants += one.Tenants
			totals[n].Credentials += one.Credentials
			totals[n].Users += one.Users
			totals[n].Disposed += one.Disposed
		}
		if req.PageToken = page.NextToken; req.PageToken == "" {
			return totals, shares, nil
		}
	}
}

func (c *control) printFleet(env *environment, asJSON bool, totals []blastradius.Total, shares []blastradius.Share) error {
	if asJSON {
		models, tenants := make([]modelRadiusJSON, len(totals)), make([]tenantRadiusJSON, len(shares))
		for i, m := range totals {
			models[i] = modelRadiusJSON{
				AAGUID: m.AAGUID.String(), Name: c.nameOf(m.AAGUID), Reports: append([]string{}, m.Reports...),
				Tenants: m.Tenants, Credentials: m.Credentials, Users: m.Users, Disposed: m.Disposed,
			}
		}
		for i, one := range shares {
			tenants[i] = tenantRadiusJSON{
				TenantID: one.Tenant, TenantSlug: one.Slug, AAGUID: one.AAGUID.String(), Credentials: one.Credentials, Proven: one.Proven,
				Active: one.Active, Suspended: one.Suspended, Disposed: one.Disposed, Users: one.Users,
				Disposition: string(one.Disposition), Automatic: one.Automatic, OrderedAt: one.OrderedAt, FinishedAt: one.FinishedAt,
			}
		}
		return printJSON(env.out, map[string]any{"models": models, "tenants": tenants})
	}
	if len(totals) == 0 {
		_, err := fmt.Fprintln(env.out, "No tenant has credentials of such a model.")
		return err
	}
	rows := [][]string{{"MODEL", "NAME", "REPORTED", "TENANTS", "CREDENTIALS", "USERS", "ORDERED"}}
	for _, m := range totals {
		rows = append(rows, []string{
			m.AAGUID.String(), c.nameOf(m.AAGUID), joined(m.Reports), strconv.Itoa(m.Tenants), strconv.Itoa(m.Credentials), strconv.Itoa(m.Users), strconv.Itoa(m.Disposed),
		})
	}
	if err := table(env.out, rows); err != nil {
		return err
	}
	rows = [][]string{{"\nTENANT", "MODEL", "CREDENTIALS", "ACTIVE", "SUSPENDED", "USERS", "DISPOSITION", "DONE"}}
	for _, one := range shares {
		disposition := "-"
		if one.Disposition != "" {
			disposition = string(one.Disposition)
		}
		rows = append(rows, []string{
			one.Slug, one.AAGUID.String(), strconv.Itoa(one.Credentials), strconv.Itoa(one.Active), strconv.Itoa(one.Suspended), strconv.Itoa(one.Users),
			disposition, moment(one.FinishedAt),
		})
	}
	return table(env.out, rows)
}
