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
// Filters: externalId (=), email (=), phone (=), state (=, !=), createdAt (= < <= > >=).
// E-mail addresses are compared without regard to case. Names cannot be searched: they
// are stored sealed. listing.ErrFilter, listing.ErrPageToken; a *DamagedError when a
// contact on the page does not open, since a page that leaves it out would be believed.
func (s *Service) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[User], error) {
	var page listing.Page[User]
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	params, by, some, err := listParams(ring, req.Filter)
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
		rows, err := by.list(ctx, tx, ring, params)
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
		damaged, err := openContacts(ctx, tx, ring, page.Items)
		if err == nil && len(damaged) > 0 {
			err = damaged[0]
		}
		return err
	})
	if err != nil {
		return listing.Page[User]{}, s.alarm(ctx, sc, err)
	}
	return page, nil
}

// search is what a filter says of contacts: values as they are compared, empty for any.
type search Contact

// list asks for one page, through the index of contacts when one is searched for.
func (by search) list(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, p tenantq.ListUsersParams) ([]tenantq.ListUsersRow, error) {
	if by == (search{}) {
		return tx.ListUsers(ctx, p)
	}
	if _, err := admitKeys(ctx, tx); err != nil {
		return nil, err
	}
	q := tenantq.ListUsersOfContactParams{
		Kind: string(Email), Compared: by.Email, IndexKey: ring.SQLIndexKey(contactField).Reveal(),
		BeforeID: p.BeforeID, State: p.State, ExternalIndex: p.ExternalIndex,
		CreatedFrom: p.CreatedFrom, CreatedBefore: p.CreatedBefore, MaxRows: p.MaxRows,
	}
	switch phone := string(Phone); {
	case by.Email == "":
		q.Kind, q.Compared = phone, by.Phone
	case by.Phone != "":
		q.OtherKind, q.OtherCompared = &phone, &by.Phone
	}
	found, err := tx.ListUsersOfContact(ctx, q)
	rows := make([]tenantq.ListUsersRow, len(found))
	for i, row := range found {
		rows[i] = tenantq.ListUsersRow(row)
	}
	return rows, err
}

// listParams turns a filter into the query's; some is false when nothing can match.
func listParams(ring *keys.Ring, filter string) (params tenantq.ListUsersParams, by search, some bool, err error) {
	terms, err := listing.Parse(filter)
	if err != nil {
		return params, by, false, err
	}
	var external, email, phone listing.Exact
	var created listing.Span
	states := listing.NewChoice(string(Active), string(Blocked))
	for _, t := range terms {
		switch t.Field {
		case "externalId":
			err = external.Narrow(t)
		case "email":
			err = narrowContact(&email, Email, t)
		case "phone":
			err = narrowContact(&phone, Phone, t)
		case "state":
			err = states.Narrow(t)
		case "createdAt":
			err = created.Narrow(t)
		case "name", "displayName":
			err = t.Refuse("names are stored sealed and cannot be searched")
		default:
			err = t.Refuse("expected one of externalId, email, phone, state, createdAt")
		}
		if err != nil {
			return params, by, false, err
		}
	}
	by = search{Email: email.Value, Phone: phone.Value}
	if external.Set {
		params.ExternalIndex = ring.Index(externalID, external.Value)
	}
	params.CreatedFrom, params.CreatedBefore = created.From, created.Before
	left := states.Left()
	if len(left) == 1 {
		params.State = &left[0]
	}
	return params, by, len(left) > 0 && !external.Conflict && !email.Conflict && !phone.Conflict, nil
}

// narrowContact applies one comparison with an address, in the form that is compared:
// two spellings of one address are no conflict. What is no address is refused, rather
// than found with nobody.
func narrowContact(e *listing.Exact, kind ContactKind, t listing.Term) error {
	clean, err := cleanContact(kind, t.Literal)
	if err == nil {
		t.Literal, err = compared(kind, clean)
	}
	if err != nil {
		return t.Refuse("expected an e-mail address, or a phone number of the form +4915112345678")
	}
	return e.Narrow(t)
}
