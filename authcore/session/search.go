package session

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// idSlack is how far a session's id, by which it is walked to, may be from its time: the id
// is minted by the server's clock, and committed with Postgres's.
const idSlack = time.Minute

// List returns one page of all users' sessions, ended ones included, the newest first.
// Filters: userId, credentialId, aal and active (=), createdAt and expiresAt (= < <= > >=).
// An active session is not revoked and has not expired. listing.ErrFilter,
// listing.ErrPageToken.
func (s *Service) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Session], error) {
	var page listing.Page[Session]
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	params, some, err := listAllParams(req.Filter)
	if err != nil {
		return page, err
	}
	query := listing.Query{List: "sessions", Filter: req.Filter}
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
		if err := tx.PlanByValue(ctx); err != nil {
			return fmt.Errorf("plan by value: %w", err)
		}
		params.Now = tx.Now()
		bound(&params)
		rows, err := tx.ListSessionsOfTenant(ctx, params)
		if err != nil {
			return fmt.Errorf("list sessions: %w", err)
		}
		page = listing.Page[Session]{}
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

// bound turns times into ids, which are in the order of time and have an index.
func bound(p *tenantq.ListSessionsOfTenantParams) {
	from := p.CreatedFrom
	if p.Active != nil && *p.Active { // nothing that is older stands
		oldest := p.Now.Add(-policy.MaxSessionLifetime)
		if from == nil || from.Before(oldest) {
			from = &oldest
		}
	}
	if from != nil {
		id := firstID(from.Add(-idSlack))
		p.FromID = &id
	}
	if p.CreatedBefore != nil {
		id := firstID(p.CreatedBefore.Add(idSlack))
		p.UntilID = &id
	}
}

// firstID is the lowest UUIDv7 of t's millisecond.
func firstID(t time.Time) (id uuid.UUID) {
	ms := uint64(max(t.UnixMilli(), 0))
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i)) //nolint:gosec // one byte at a time
	}
	return id
}

// listAllParams turns a filter into the query's; some is false when nothing can match.
func listAllParams(filter string) (params tenantq.ListSessionsOfTenantParams, some bool, err error) {
	terms, err := listing.Parse(filter)
	if err != nil {
		return params, false, err
	}
	var owner, by listing.Exact
	var created, expires listing.Span
	active := listing.NewChoice("true", "false")
	levels := listing.NewChoice("AAL1", "AAL2", "AAL3")
	for _, t := range terms {
		switch t.Field {
		case "userId":
			if err = owner.Narrow(t); err == nil {
				var id user.ID
				if id, err = user.ParseID(t.Literal); err != nil {
					err = t.Refuse("expected a user id")
				}
				uid := id.UUID()
				params.UserID = &uid
			}
		case "credentialId":
			if err = by.Narrow(t); err == nil {
				var id credential.ID
				if id, err = credential.ParseID(t.Literal); err != nil {
					err = t.Refuse("expected a credential id, in base64url")
				}
				params.CredentialID = id.Bytes()
			}
		case "aal":
			if t.Op != listing.Equal {
				err = t.Refuse("compared with = only")
			} else {
				err = levels.Narrow(t)
			}
		case "active":
			err = active.Narrow(t)
		case "createdAt":
			err = created.Narrow(t)
		case "expiresAt":
			err = expires.Narrow(t)
		default:
			err = t.Refuse("expected one of userId, credentialId, aal, active, createdAt, expiresAt")
		}
		if err != nil {
			return params, false, err
		}
	}
	if left := active.Left(); len(left) == 1 {
		yes := left[0] == "true"
		params.Active = &yes
	}
	if left := levels.Left(); len(left) == 1 {
		level := int16(left[0][3] - '0')
		params.Aal = &level
	}
	params.CreatedFrom, params.CreatedBefore = created.From, created.Before
	params.ExpiresFrom, params.ExpiresBefore = expires.From, expires.Before
	return params, !owner.Conflict && !by.Conflict && len(active.Left()) > 0 && len(levels.Left()) > 0, nil
}
