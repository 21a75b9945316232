package blastradius

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Share is how far a model reaches within one tenant, for those who run the installation:
// counts, and nobody's name. Revoked credentials are left out.
type Share struct {
	Tenant      uuid.UUID
	Slug        string
	AAGUID      uuid.UUID
	Credentials int
	Proven      int
	Active      int
	Suspended   int
	Disposed    int
	Users       int

	Disposition Disposition // of the newest order; empty for none
	Automatic   bool        // the tenant's policy gave it
	OrderedAt   *time.Time
	FinishedAt  *time.Time
}

// Total is how far a model reaches among the tenants of a page.
type Total struct {
	AAGUID      uuid.UUID
	Reports     []string // what the Metadata Service holds against it
	Tenants     int
	Credentials int
	Users       int
	Disposed    int
}

// Fleet is one page of tenants.
type Fleet struct {
	Totals    []Total // the most credentials first
	Shares    []Share // by tenant, the oldest first, then by AAGUID
	NextToken string  // empty on the last page
}

// maxShares ends a page before its last tenant: there are as many rows as models times
// tenants.
const maxShares = 1_000

// Fleet tells which tenants have credentials of the models that are reported, or of the
// one that the filter names. A page looks at so many tenants, each of them behind its own
// wall and in a transaction of its own, a few milliseconds long; it is empty where none of
// them has such a credential, and others may follow. The platform's own people, and tenants
// that are being deleted, are left out. Each page leaves an audit entry in the platform's
// log: with none, nothing is told.
//
// The filter takes aaguid and tenantId (=, once each). tenant.ErrPlatformOnly,
// listing.ErrPageToken, listing.ErrFilter.
func (s *Service) Fleet(ctx context.Context, sc scope.Scope, req listing.Request) (Fleet, error) {
	if sc.Tenant() != scope.PlatformTenant {
		return Fleet{}, tenant.ErrPlatformOnly
	}
	aaguid, only, err := fleetFilter(req.Filter)
	if err != nil {
		return Fleet{}, err
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return Fleet{}, fmt.Errorf("keys: %w", err)
	}
	query := listing.Query{List: "blast radii", Filter: req.Filter}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return Fleet{}, err
	}
	var after uuid.UUID
	if cursor != nil {
		if after, err = uuid.FromBytes(cursor); err != nil {
			return Fleet{}, listing.ErrPageToken
		}
	}
	reports, models := s.fleetModels(aaguid)
	limit := req.Limit()
	var rows []platformq.ListTenantsToMeasureRow
	if err := s.store.InPlatform(ctx, "list tenants to measure", func(tx *db.PlatformTx) (err error) {
		rows, err = tx.ListTenantsToMeasure(ctx, platformq.ListTenantsToMeasureParams{
			AfterID: after, TenantID: only, MaxRows: int32(limit) + 1, //nolint:gosec // at most listing.MaxPageSize
		})
		return err
	}); err != nil {
		return Fleet{}, fmt.Errorf("list tenants: %w", err)
	}
	var page Fleet
	looked := 0
	for ; looked < min(len(rows), limit) && len(page.Shares) < maxShares && len(models) > 0; looked++ {
		shares, err := s.share(ctx, scope.New(rows[looked].ID, sc.Actor()), models)
		if err != nil {
			return Fleet{}, fmt.Errorf("measure tenant %s: %w", rows[looked].ID, err)
		}
		for i := range shares {
			shares[i].Tenant, shares[i].Slug = rows[looked].ID, rows[looked].Slug
		}
		page.Shares = append(page.Shares, shares...)
	}
	if looked > 0 && looked < len(rows) {
		page.NextToken = listing.Seal(ring, query, rows[looked-1].ID[:])
	}
	page.Totals = totals(page.Shares, reports)
	return page, s.recordFleet(ctx, sc, aaguid, only, looked, len(models))
}

// fleetModels returns what is held against each model, and the models to look for.
func (s *Service) fleetModels(only *uuid.UUID) (map[uuid.UUID][]string, []uuid.UUID) {
	_, list := s.reports()
	reports := make(map[uuid.UUID][]string, len(list))
	models := make([]uuid.UUID, 0, len(list))
	for _, r := range list {
		reports[r.AAGUID] = r.Statuses
		models = append(models, r.AAGUID)
	}
	if only != nil {
		models = []uuid.UUID{*only}
	}
	return reports, models
}

// share measures the models within one tenant.
func (s *Service) share(ctx context.Context, sc scope.Scope, models []uuid.UUID) ([]Share, error) {
	var shares []Share
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		shares = nil // this may be the second run
		rows, err := tx.MeasureModels(ctx, models)
		if err != nil || len(rows) == 0 {
			return err
		}
		had := make([]uuid.UUID, len(rows))
		for i, row := range rows {
			had[i] = row.Aaguid
		}
		orders, err := tx.ListNewestDispositions(ctx, had)
		if err != nil {
			return fmt.Errorf("list newest dispositions: %w", err)
		}
		newest := make(map[uuid.UUID]tenantq.Disposition, len(orders))
		for _, o := range orders {
			newest[o.Aaguid] = o
		}
		for _, row := range rows {
			one := Share{
				AAGUID: row.Aaguid, Credentials: int(row.Credentials), Proven: int(row.Proven), Active: int(row.Active),
				Suspended: int(row.Suspended), Disposed: int(row.Disposed), Users: int(row.Users),
			}
			if o, ok := newest[row.Aaguid]; ok {
				one.Disposition, one.Automatic, one.OrderedAt, one.FinishedAt = Disposition(o.Disposition), o.Automatic, &o.CreatedAt, o.FinishedAt
			}
			shares = append(shares, one)
		}
		return nil
	})
	return shares, err
}

func totals(shares []Share, reports map[uuid.UUID][]string) []Total {
	at := map[uuid.UUID]int{}
	var out []Total
	for i := range shares {
		one := &shares[i]
		n, ok := at[one.AAGUID]
		if !ok {
			n = len(out)
			at[one.AAGUID] = n
			out = append(out, Total{AAGUID: one.AAGUID, Reports: reports[one.AAGUID]})
		}
		out[n].Tenants++
		out[n].Credentials += one.Credentials
		out[n].Users += one.Users
		out[n].Disposed += one.Disposed
	}
	slices.SortFunc(out, func(a, b Total) int {
		return cmp.Or(cmp.Compare(b.Credentials, a.Credentials), slices.Compare(a.AAGUID[:], b.AAGUID[:]))
	})
	return out
}

// recordFleet appends who has looked, how far.
func (s *Service) recordFleet(ctx context.Context, sc scope.Scope, aaguid, only *uuid.UUID, tenants, models int) error {
	detail := []attr.Attr{attr.Int("tenants", int64(tenants)), attr.Int("models", int64(models))}
	if only != nil {
		detail = append(detail, attr.UUID("tenantId", *only))
	}
	target := audit.Target{Kind: "authenticator"}
	if aaguid != nil {
		target.ID = aaguid.String()
	}
	return s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		return audit.Append(ctx, tx, audit.Entry{Action: "authenticator.measure", Target: target, Detail: detail})
	})
}

func fleetFilter(filter string) (aaguid, only *uuid.UUID, err error) {
	terms, err := listing.Parse(filter)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range terms {
		id, bad := uuid.Parse(t.Literal)
		switch {
		case bad != nil || id == uuid.Nil || t.Op != listing.Equal:
			return nil, nil, t.Refuse("expected aaguid = and an AAGUID, or tenantId = and the id of a tenant")
		case t.Field == "aaguid" && aaguid == nil:
			aaguid = &id
		case t.Field == "tenantId" && only == nil:
			only = &id
		default:
			return nil, nil, t.Refuse("expected aaguid and tenantId, each at most once")
		}
	}
	return aaguid, only, nil
}
