package credential

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// List returns one page of all of the tenant's credentials, revoked ones included, the
// newest first. Filters: state and trust (=, !=), aaguid (=), synced, lowered and reported
// (= true or false), createdAt and lastUsedAt (= < <= > >=).
//
// reported are credentials of models that the FIDO Metadata Service speaks against now. One
// that was never used counts, for lastUsedAt < T, as used when it was made: it is stale once
// it has lain about for as long. listing.ErrFilter, listing.ErrPageToken.
func (s *Service) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Credential], error) {
	var page listing.Page[Credential]
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	params, some, err := s.listAllParams(req.Filter)
	if err != nil {
		return page, err
	}
	query := listing.Query{List: "credentials", Filter: req.Filter}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	if cursor != nil {
		if params.BeforeAt, params.BeforeID, err = parseCursor(cursor); err != nil {
			return page, err
		}
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
		rows, err := tx.ListCredentialsOfTenant(ctx, params)
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

// listAllParams turns a filter into the query's; some is false when nothing can match.
func (s *Service) listAllParams(filter string) (params tenantq.ListCredentialsOfTenantParams, some bool, err error) {
	terms, err := listing.Parse(filter)
	if err != nil {
		return params, false, err
	}
	var created, used listing.Span
	var model listing.Exact
	states := listing.NewChoice(string(Active), string(Suspended), string(Revoked))
	trusts := listing.NewChoice(string(TrustNone), string(TrustSelf), string(TrustUntrusted), string(TrustTenantRoot), string(TrustMDS))
	flags := map[string]*listing.Choice{}
	for _, name := range []string{"synced", "lowered", "reported"} {
		both := listing.NewChoice("true", "false")
		flags[name] = &both
	}
	for _, t := range terms {
		switch t.Field {
		case "state":
			err = states.Narrow(t)
		case "trust":
			err = trusts.Narrow(t)
		case "synced", "lowered", "reported":
			err = flags[t.Field].Narrow(t)
		case "aaguid":
			if err = model.Narrow(t); err == nil {
				var id uuid.UUID
				if id, err = uuid.Parse(t.Literal); err != nil || len(t.Literal) != 36 {
					err = t.Refuse("expected an AAGUID, as 00000000-0000-0000-0000-000000000000")
				}
				params.Aaguid = &id
			}
		case "createdAt":
			err = created.Narrow(t)
		case "lastUsedAt":
			err = used.Narrow(t)
		default:
			err = t.Refuse("expected one of state, trust, aaguid, synced, lowered, reported, createdAt, lastUsedAt")
		}
		if err != nil {
			return params, false, err
		}
	}
	params.States, params.Trusts = states.Left(), trusts.Left()
	params.Synced, params.Lowered = flag(flags["synced"]), flag(flags["lowered"])
	params.Models = []uuid.UUID{}
	if reported := flag(flags["reported"]); reported != nil {
		params.Models = append(params.Models, s.reported()...)
		params.SomeModels, params.OtherModels = *reported, !*reported
	}
	params.CreatedFrom, params.CreatedBefore = created.From, created.Before
	params.UsedFrom, params.UsedBefore = used.From, used.Before
	// What was used before a time was made before it: a bound that the index knows.
	params.CreatedBefore = earlier(params.CreatedBefore, params.UsedBefore)
	some = len(params.States) > 0 && len(params.Trusts) > 0 && !model.Conflict && !(params.SomeModels && len(params.Models) == 0)
	for _, f := range flags {
		some = some && len(f.Left()) > 0
	}
	return params, some, nil
}

// flag is what is left of true and false; nil for both.
func flag(c *listing.Choice) *bool {
	if len(c.Left()) != 1 {
		return nil
	}
	yes := c.Left()[0] == "true"
	return &yes
}

// earlier is the earlier of two bounds; nil is none.
func earlier(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}
	return a
}

// Totals is about how many credentials can sign in.
type Totals struct {
	Active int  // counted up to MaxTotals
	Synced int  // of Active
	More   bool // there are more than were counted
}

// MaxTotals is how far credentials are counted. What is estimated of a table would tell one
// tenant of the others.
const MaxTotals = 10_000

// Count counts the active credentials up to MaxTotals.
func (s *Service) Count(ctx context.Context, sc scope.Scope) (Totals, error) {
	var t Totals
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.CountCredentialsOfTenant(ctx, MaxTotals+1)
		if err != nil {
			return fmt.Errorf("count credentials: %w", err)
		}
		t = Totals{Active: int(row.Credentials), Synced: int(row.Synced)}
		if t.More = t.Active > MaxTotals; t.More {
			t.Active, t.Synced = MaxTotals, min(t.Synced, MaxTotals)
		}
		return nil
	})
	return t, err
}
