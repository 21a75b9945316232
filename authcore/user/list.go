package user

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// List returns one page of the tenant's users, the newest first.
//
// Filters: externalId (=), state (=, !=), createdAt (= < <= > >=). Names cannot be
// searched: they are stored sealed. listing.ErrFilter, listing.ErrPageToken.
func (s *Service) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[User], error) {
	var page listing.Page[User]
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	params, some, err := listParams(ring, req.Filter)
	if err != nil {
		return page, err
	}
	query := listing.Query{List: "users", Filter: req.Filter}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	if cursor != nil {
		before, err := uuid.FromBytes(cursor)
		if err != nil {
			return page, listing.ErrPageToken.WithCause(err)
		}
		params.BeforeID = &before
	}
	if !some {
		return page, nil
	}
	limit := req.Limit()
	params.MaxRows = int32(limit) + 1 //nolint:gosec // at most listing.MaxPageSize; one more tells whether there is a next page
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListUsers(ctx, params)
		if err != nil {
			return fmt.Errorf("list users: %w", err)
		}
		page = listing.Page[User]{}
		if len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, rows[limit-1].ID[:])
		}
		page.Items = make([]User, len(rows))
		for i, row := range rows {
			if page.Items[i], err = FromRow(ring, tenantq.GetUserRow(row)); err != nil {
				return err
			}
		}
		return nil
	})
	return page, err
}

// listParams turns a filter into the query's; some is false when nothing can match.
func listParams(ring *keys.Ring, filter string) (params tenantq.ListUsersParams, some bool, err error) {
	terms, err := listing.Parse(filter)
	if err != nil {
		return params, false, err
	}
	var external listing.Exact
	var created listing.Span
	states := listing.NewChoice(string(Active), string(Blocked))
	for _, t := range terms {
		switch t.Field {
		case "externalId":
			err = external.Narrow(t)
		case "state":
			err = states.Narrow(t)
		case "createdAt":
			err = created.Narrow(t)
		case "name", "displayName":
			err = t.Refuse("names are stored sealed and cannot be searched")
		default:
			err = t.Refuse("expected one of externalId, state, createdAt")
		}
		if err != nil {
			return params, false, err
		}
	}
	if external.Set {
		params.ExternalIndex = ring.Index(externalID, external.Value)
	}
	params.CreatedFrom, params.CreatedBefore = created.From, created.Before
	left := states.Left()
	if len(left) == 1 {
		params.State = &left[0]
	}
	return params, len(left) > 0 && !external.Conflict, nil
}
