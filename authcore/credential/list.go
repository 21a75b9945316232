package credential

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ListOfUser returns one page of a user's credentials, revoked ones included, the
// newest first. Filters: state (=, !=), createdAt (= < <= > >=). user.ErrNotFound,
// listing.ErrFilter, listing.ErrPageToken.
func (s *Service) ListOfUser(ctx context.Context, sc scope.Scope, owner user.ID, req listing.Request) (listing.Page[Credential], error) {
	var page listing.Page[Credential]
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	params, err := listParams(req.Filter)
	if err != nil {
		return page, err
	}
	query := listing.Query{List: "credentials", Parent: owner.String(), Filter: req.Filter}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	if cursor != nil {
		if params.BeforeAt, params.BeforeID, err = parseCursor(cursor); err != nil {
			return page, err
		}
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
		rows, err := tx.ListCredentials(ctx, params)
		if err != nil {
			return fmt.Errorf("list credentials: %w", err)
		}
		page = listing.Page[Credential]{}
		if len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, appendCursor(nil, rows[limit-1]))
		}
		page.Items = make([]Credential, len(rows))
		for i, row := range rows {
			page.Items[i] = FromRow(row)
		}
		return nil
	})
	return page, err
}

func listParams(filter string) (params tenantq.ListCredentialsParams, err error) {
	terms, err := listing.Parse(filter)
	if err != nil {
		return params, err
	}
	var created listing.Span
	states := listing.NewChoice(string(Active), string(Suspended), string(Revoked))
	for _, t := range terms {
		switch t.Field {
		case "state":
			err = states.Narrow(t)
		case "createdAt":
			err = created.Narrow(t)
		default:
			err = t.Refuse("expected one of state, createdAt")
		}
		if err != nil {
			return params, err
		}
	}
	params.States = states.Left()
	params.CreatedFrom, params.CreatedBefore = created.From, created.Before
	return params, nil
}

// The cursor is when and what: ids are the authenticators' and in no order of time.
func appendCursor(dst []byte, row tenantq.Credential) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(row.CreatedAt.UnixMicro()))
	return append(dst, row.ID...)
}

func parseCursor(cursor []byte) (*time.Time, []byte, error) {
	if len(cursor) <= 8 {
		return nil, nil, listing.ErrPageToken
	}
	at := time.UnixMicro(int64(binary.BigEndian.Uint64(cursor))).UTC() //nolint:gosec // the same 64 bits, whatever their sign
	return &at, cursor[8:], nil
}
