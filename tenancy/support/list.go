package support

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Get returns one grant: ErrNotFound.
func (s *Service) Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (Grant, error) {
	var g Grant
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetSupportGrant(ctx, id)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get support grant: %w", err)
		}
		g = fromRow(row, tx.Now())
		return nil
	})
	return g, err
}

// List returns one page of the tenant's requests and grants, the newest first. There are
// no filters. listing.ErrFilter, listing.ErrPageToken.
func (s *Service) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Grant], error) {
	var page listing.Page[Grant]
	before, seal, err := s.cursor(ctx, sc, listing.Query{List: "supportGrants", Filter: req.Filter}, req.PageToken)
	if err != nil {
		return page, err
	}
	limit := req.Limit()
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListSupportGrants(ctx, tenantq.ListSupportGrantsParams{BeforeID: before, MaxRows: int32(limit) + 1}) //nolint:gosec // at most listing.MaxPageSize
		if err != nil {
			return fmt.Errorf("list support grants: %w", err)
		}
		page = listing.Page[Grant]{}
		if len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = seal(rows[limit-1].ID)
		}
		page.Items = make([]Grant, len(rows))
		for i, row := range rows {
			page.Items[i] = fromRow(row, tx.Now())
		}
		return nil
	})
	return page, err
}

// cursor opens a page token of q, and returns what seals the next.
func (s *Service) cursor(ctx context.Context, sc scope.Scope, q listing.Query, token string) (*uuid.UUID, func(uuid.UUID) string, error) {
	if terms, err := listing.Parse(q.Filter); err != nil {
		return nil, nil, err
	} else if len(terms) > 0 {
		return nil, nil, terms[0].Refuse("this list takes no filter")
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return nil, nil, fmt.Errorf("keys: %w", err)
	}
	cursor, err := listing.Open(ring, q, token)
	if err != nil {
		return nil, nil, err
	}
	seal := func(id uuid.UUID) string { return listing.Seal(ring, q, id[:]) }
	if cursor == nil {
		return nil, seal, nil
	}
	before, err := uuid.FromBytes(cursor)
	if err != nil {
		return nil, nil, listing.ErrPageToken.WithCause(err)
	}
	return &before, seal, nil
}

// Open returns the tenant's requests that wait and grants that run, the newest first: what
// every member is told on every page.
func (s *Service) Open(ctx context.Context, sc scope.Scope) ([]Grant, error) {
	var open []Grant
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListOpenSupportGrants(ctx, 2*maxOpen)
		if err != nil {
			return fmt.Errorf("list open support grants: %w", err)
		}
		open = make([]Grant, len(rows))
		for i, row := range rows {
			open[i] = fromRow(row, tx.Now())
		}
		return nil
	})
	return open, err
}

// Placed is a grant with the tenant that it is about.
type Placed struct {
	Grant

	Slug        string
	TenantName  string
	Mode        string // LIVE or TEST
	TenantState string
}

// maxOfPerson bounds what is listed of one of the staff.
const maxOfPerson = 50

// OfPerson returns what one of the staff has asked for, in all tenants: the newest 50.
func (s *Service) OfPerson(ctx context.Context, person uuid.UUID) ([]Placed, error) {
	var all []Placed
	err := s.store.InPlatform(ctx, "support grants of a person", func(p *db.PlatformTx) error {
		rows, err := p.ListSupportGrantsOfPerson(ctx, platformq.ListSupportGrantsOfPersonParams{PersonID: person, MaxRows: maxOfPerson})
		if err != nil {
			return fmt.Errorf("list support grants: %w", err)
		}
		all = make([]Placed, len(rows))
		for i, row := range rows {
			all[i] = s.placed(row.SupportGrant, row.Slug, row.Name, row.Mode, row.TenantState)
		}
		return nil
	})
	return all, err
}

// Running returns where one of the staff has been let in, now.
func (s *Service) Running(ctx context.Context, person uuid.UUID) ([]Placed, error) {
	var all []Placed
	err := s.store.InPlatform(ctx, "running support grants of a person", func(p *db.PlatformTx) error {
		rows, err := p.ListRunningSupportOfPerson(ctx, platformq.ListRunningSupportOfPersonParams{PersonID: person, MaxRows: maxOfPerson})
		if err != nil {
			return fmt.Errorf("list running support grants: %w", err)
		}
		all = make([]Placed, len(rows))
		for i, row := range rows {
			all[i] = s.placed(row.SupportGrant, row.Slug, row.Name, row.Mode, row.TenantState)
		}
		return nil
	})
	return all, err
}

func (s *Service) placed(row platformq.SupportGrant, slug, name, mode, state string) Placed {
	return Placed{Grant: fromRow(tenantq.SupportGrant(row), s.store.Now()), Slug: slug, TenantName: name, Mode: mode, TenantState: state}
}

// Viewed records that support has seen a page: one entry a page view. sc is support's own.
// db.ErrSupportMayNot when the grant is over: then nothing must be shown.
func (s *Service) Viewed(ctx context.Context, sc scope.Scope, page string) error {
	return s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		return audit.Append(ctx, tx, audit.Entry{
			Action: ActionView, Target: target(sc.Support().GrantID), Detail: []attr.Attr{attr.Text("page", page)},
		})
	})
}

// ActionView is the action of a page view.
const ActionView = "support.view"

// Action is something that was seen or done by a grant.
type Action struct {
	ID      uuid.UUID // of the audit entry
	At      time.Time
	Action  string // support.view, or the action itself
	Outcome audit.Outcome
	Reason  string
	Page    string // that was seen
	Target  audit.Target
}

// Actions returns one page of what was seen and done by a grant, the newest first, out of the
// tenant's audit trail. ErrNotFound, listing.ErrFilter, listing.ErrPageToken.
func (s *Service) Actions(ctx context.Context, sc scope.Scope, id uuid.UUID, req listing.Request) (listing.Page[Action], error) {
	var page listing.Page[Action]
	before, seal, err := s.cursor(ctx, sc, listing.Query{List: "supportActions/" + id.String(), Filter: req.Filter}, req.PageToken)
	if err != nil {
		return page, err
	}
	limit := req.Limit()
	if err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		if _, err := tx.GetSupportGrant(ctx, id); db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get support grant: %w", err)
		}
		return nil
	}); err != nil {
		return page, err
	}
	last := uuid.Max
	if before != nil {
		last = *before
	}
	found, err := s.trail.OfGrant(ctx, sc, id, last, limit+1)
	if err != nil {
		return page, err
	}
	if len(found) > limit {
		found = found[:limit]
		page.NextToken = seal(found[limit-1].ID)
	}
	page.Items = make([]Action, len(found))
	for i := range found {
		if page.Items[i], err = read(&found[i]); err != nil {
			return page, err
		}
	}
	return page, nil
}

func read(e *trail.Record) (Action, error) {
	a := Action{ID: e.ID, At: e.At, Action: e.Action, Outcome: e.Outcome, Reason: e.Reason, Target: e.Target}
	if e.Action != ActionView || e.Detail == nil {
		return a, nil
	}
	var detail struct {
		Page string `json:"page"`
	}
	if err := json.Unmarshal(e.Detail, &detail); err != nil {
		return Action{}, fmt.Errorf("read audit entry %s: %w", e.ID, err)
	}
	a.Page = detail.Page
	return a, nil
}
