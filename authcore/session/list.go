package session

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ListOfUser returns one page of a user's sessions, ended ones included, the newest
// first. Filters: credentialId (=), createdAt and expiresAt (= < <= > >=).
// user.ErrNotFound, listing.ErrFilter, listing.ErrPageToken.
func (s *Service) ListOfUser(ctx context.Context, sc scope.Scope, owner user.ID, req listing.Request) (listing.Page[Session], error) {
	var page listing.Page[Session]
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	params, some, err := listParams(req.Filter)
	if err != nil {
		return page, err
	}
	query := listing.Query{List: "sessions", Parent: owner.String(), Filter: req.Filter}
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
	limit := req.Limit()
	params.UserID = owner.UUID()
	params.MaxRows = int32(limit) + 1 //nolint:gosec // at most listing.MaxPageSize; one more tells whether there is a next page
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		if _, err := tx.GetUser(ctx, owner.UUID()); db.IsNoRows(err) {
			return user.ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get user: %w", err)
		}
		page = listing.Page[Session]{}
		if !some {
			return nil
		}
		rows, err := tx.ListSessionsOfUser(ctx, params)
		if err != nil {
			return fmt.Errorf("list sessions: %w", err)
		}
		if len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, rows[limit-1].ID[:])
		}
		page.Items = make([]Session, len(rows))
		for i, row := range rows {
			page.Items[i] = FromRow(row)
		}
		return nil
	})
	return page, err
}

// listParams turns a filter into the query's; some is false when nothing can match.
func listParams(filter string) (params tenantq.ListSessionsOfUserParams, some bool, err error) {
	terms, err := listing.Parse(filter)
	if err != nil {
		return params, false, err
	}
	var by listing.Exact
	var created, expires listing.Span
	for _, t := range terms {
		switch t.Field {
		case "credentialId":
			if err = by.Narrow(t); err == nil {
				var id credential.ID
				if id, err = credential.ParseID(t.Literal); err != nil {
					err = t.Refuse("expected a credential id, in base64url")
				}
				params.CredentialID = id.Bytes()
			}
		case "createdAt":
			err = created.Narrow(t)
		case "expiresAt":
			err = expires.Narrow(t)
		default:
			err = t.Refuse("expected one of credentialId, createdAt, expiresAt")
		}
		if err != nil {
			return params, false, err
		}
	}
	params.CreatedFrom, params.CreatedBefore = created.From, created.Before
	params.ExpiresFrom, params.ExpiresBefore = expires.From, expires.Before
	return params, !by.Conflict, nil
}
