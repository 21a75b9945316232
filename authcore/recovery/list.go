package recovery

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Get returns one recovery. ErrNotFound also for another tenant's.
func (s *Service) Get(ctx context.Context, sc scope.Scope, id ID) (Recovery, error) {
	var r Recovery
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetRecovery(ctx, id.UUID())
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get recovery: %w", err)
		}
		r = fromRow(row, tx.Now())
		return nil
	})
	return r, err
}

// List returns one page of the tenant's recoveries, the newest first. Filters: userId
// (=), kind and state (=, !=), createdAt (= < <= > >=). listing.ErrFilter,
// listing.ErrPageToken.
func (s *Service) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Recovery], error) {
	var page listing.Page[Recovery]
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	params, some, err := listParams(req.Filter)
	if err != nil {
		return page, err
	}
	query := listing.Query{List: "recoveries", Filter: req.Filter}
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
		params.Now = tx.Now()
		rows, err := tx.ListRecoveries(ctx, params)
		if err != nil {
			return fmt.Errorf("list recoveries: %w", err)
		}
		page = listing.Page[Recovery]{}
		if len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, rows[limit-1].ID[:])
		}
		page.Items = make([]Recovery, len(rows))
		for i, row := range rows {
			page.Items[i] = fromRow(row, params.Now)
		}
		return nil
	})
	return page, err
}

// listParams turns a filter into the query's; some is false when nothing can match.
func listParams(filter string) (params tenantq.ListRecoveriesParams, some bool, err error) {
	terms, err := listing.Parse(filter)
	if err != nil {
		return params, false, err
	}
	var owner listing.Exact
	var created listing.Span
	kinds := listing.NewChoice(string(ByCode), string(ByLink))
	all := make([]string, len(States()))
	for i, s := range States() {
		all[i] = string(s)
	}
	states := listing.NewChoice(all...)
	for _, t := range terms {
		switch t.Field {
		case "userId":
			err = owner.Narrow(t)
		case "kind":
			err = kinds.Narrow(t)
		case "state":
			err = states.Narrow(t)
		case "createdAt":
			err = created.Narrow(t)
		default:
			err = t.Refuse("expected one of userId, kind, state, createdAt")
		}
		if err != nil {
			return params, false, err
		}
	}
	params.Kinds, params.States = kinds.Left(), states.Left()
	params.CreatedFrom, params.CreatedBefore = created.From, created.Before
	if owner.Set {
		id, err := user.ParseID(owner.Value)
		if err != nil {
			return params, false, nil //nolint:nilerr // what is no id is nobody's
		}
		uid := id.UUID()
		params.UserID = &uid
	}
	return params, !owner.Conflict && len(params.Kinds) > 0 && len(params.States) > 0, nil
}
