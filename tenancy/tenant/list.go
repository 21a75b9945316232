package tenant

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Get returns one tenant, as it is now. ErrNotFound for the platform's own.
func (s *Service) Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (Tenant, error) {
	if err := platform(sc); err != nil {
		return Tenant{}, err
	}
	if id == scope.PlatformTenant {
		return Tenant{}, ErrNotFound
	}
	var t Tenant
	err := s.store.InPlatform(ctx, "get tenant", func(tx *db.PlatformTx) error {
		row, err := tx.GetTenant(ctx, id)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get tenant: %w", err)
		}
		t = fromRow(tenantq.Tenant(row))
		return nil
	})
	return t, err
}

// What a list of tenants is ordered by.
const (
	ByCreation     = "createdAt" // the default, the newest first
	ByName         = "name"
	ByUsers        = "users"
	ByActivity     = "lastActiveAt"
	ByAvailability = "availability"
)

// List returns one page of the tenants, without the platform's own. Orders: createdAt, name,
// users, lastActiveAt and availability, both ways; what was never active, and what of 30 days
// nothing is known of, counts as before all others.
//
// Filters: slug (=), mode (=, !=), state (=, !=), createdAt (= < <= > >=), availability (< >=),
// in percent of 30 days: a tenant of which nothing is known is on neither side.
// listing.ErrFilter, listing.ErrOrderBy, listing.ErrPageToken.
func (s *Service) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Tenant], error) {
	var page listing.Page[Tenant]
	if err := platform(sc); err != nil {
		return page, err
	}
	params, some, err := listParams(req.Filter)
	if err != nil {
		return page, err
	}
	order, err := listing.ParseOrder(req.OrderBy, ByCreation, ByName, ByUsers, ByActivity, ByAvailability)
	if err != nil {
		return page, err
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	query := listing.Query{List: "tenants", Filter: req.Filter, Order: req.OrderBy}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	after, err := parseCursor(cursor)
	if err != nil {
		return page, err
	}
	if !some {
		return page, nil
	}
	limit := req.Limit()
	params.MaxRows = int32(limit) + 1 //nolint:gosec // at most listing.MaxPageSize; one more tells whether there is a next page
	err = s.store.InPlatform(ctx, "list tenants", func(tx *db.PlatformTx) error {
		rows, err := ordered(ctx, tx, order, params, after)
		if err != nil {
			return fmt.Errorf("list tenants: %w", err)
		}
		page = listing.Page[Tenant]{}
		if len(rows) > limit {
			rows = rows[:limit]
			last := &rows[limit-1]
			page.NextToken = listing.Seal(ring, query, append(last.Tenant.ID[:], last.SortKey...))
		}
		page.Items = make([]Tenant, len(rows))
		for i := range rows {
			page.Items[i] = fromRow(tenantq.Tenant(rows[i].Tenant))
		}
		return nil
	})
	return page, err
}

// mark is where a page ends: the last tenant of it, and what that was ordered by.
type mark struct {
	id  uuid.UUID
	key string
}

func parseCursor(cursor []byte) (*mark, error) {
	if cursor == nil {
		return nil, nil //nolint:nilnil // the first page
	}
	if len(cursor) < len(uuid.UUID{}) {
		return nil, listing.ErrPageToken
	}
	return &mark{id: uuid.UUID(cursor[:16]), key: string(cursor[16:])}, nil
}

// ordered reads the rows of a page. For the list's own order there is an index.
func ordered(ctx context.Context, tx *db.PlatformTx, order listing.Order, of platformq.ListTenantsParams, after *mark) ([]platformq.ListTenantsByRow, error) {
	if order.Field == ByCreation && order.Down {
		if after != nil {
			of.BeforeID = &after.id
		}
		list, err := tx.ListTenants(ctx, of)
		rows := make([]platformq.ListTenantsByRow, len(list))
		for i := range list {
			rows[i].Tenant = list[i]
		}
		return rows, err
	}
	params := platformq.ListTenantsByParams{
		By: order.Field, Down: order.Down, MaxRows: of.MaxRows, Slug: of.Slug, Mode: of.Mode, States: of.States,
		CreatedFrom: of.CreatedFrom, CreatedBefore: of.CreatedBefore, AvailabilityBelow: of.AvailabilityBelow, AvailabilityFrom: of.AvailabilityFrom,
	}
	if after != nil {
		params.AfterID, params.AfterKey = &after.id, after.key
	}
	return tx.ListTenantsBy(ctx, params)
}

// listParams turns a filter into the query's; some is false when nothing can match.
func listParams(filter string) (params platformq.ListTenantsParams, some bool, err error) {
	terms, err := listing.Parse(filter)
	if err != nil {
		return params, false, err
	}
	var slug listing.Exact
	var created listing.Span
	modes := listing.NewChoice(string(Live), string(Test))
	states := listing.NewChoice(string(Active), string(Suspended), string(Deleting))
	for _, t := range terms {
		switch t.Field {
		case "slug":
			err = slug.Narrow(t)
		case "mode":
			err = modes.Narrow(t)
		case "state":
			err = states.Narrow(t)
		case "createdAt":
			err = created.Narrow(t)
		case "availability":
			err = narrowAvailability(&params, t)
		default:
			err = t.Refuse("expected one of slug, mode, state, createdAt, availability")
		}
		if err != nil {
			return params, false, err
		}
	}
	if slug.Set {
		params.Slug = &slug.Value
	}
	mode := modes.Left()
	if len(mode) == 1 {
		params.Mode = &mode[0]
	}
	params.States = states.Left()
	params.CreatedFrom, params.CreatedBefore = created.From, created.Before
	return params, !slug.Conflict && len(mode) > 0 && len(params.States) > 0, nil
}

// narrowAvailability takes a bound in percent; of two on one side the narrower counts.
func narrowAvailability(params *platformq.ListTenantsParams, t listing.Term) error {
	percent, err := strconv.ParseFloat(t.Literal, 64)
	if err != nil || !(percent >= 0 && percent <= 100) {
		return t.Refuse("expected a percentage, 0 to 100")
	}
	share := math.Round(percent*1e6) / 1e8 // 99.9 / 100 would be more than .999
	switch t.Op {
	case listing.Less:
		if params.AvailabilityBelow == nil || share < *params.AvailabilityBelow {
			params.AvailabilityBelow = &share
		}
	case listing.GreaterEqual:
		if params.AvailabilityFrom == nil || share > *params.AvailabilityFrom {
			params.AvailabilityFrom = &share
		}
	case listing.Equal, listing.NotEqual, listing.LessEqual, listing.Greater:
		return t.Refuse("expected < or >=")
	}
	return nil
}
