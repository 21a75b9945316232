package dlp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// keeper puts findings, and knows how many there are.
type keeper struct {
	tx *db.TenantTx
	n  int32
}

// newKeeper locks the tenant's findings for the transaction: two of them could each count the other out.
func newKeeper(ctx context.Context, tx *db.TenantTx) (*keeper, error) {
	if err := tx.LockScans(ctx); err != nil {
		return nil, fmt.Errorf("lock findings: %w", err)
	}
	n, err := tx.CountFindings(ctx)
	if err != nil {
		return nil, fmt.Errorf("count findings: %w", err)
	}
	return &keeper{tx, n}, nil
}

// put keeps a finding, or what is new of one that is there, and reports whether it is new. One more than MaxFindings
// is not kept.
func (k *keeper) put(ctx context.Context, p tenantq.PutFindingParams) (made bool, err error) {
	there, err := k.tx.HasFinding(ctx, tenantq.HasFindingParams{Source: p.Source, Place: p.Place, Item: p.Item, Kind: p.Kind})
	if err != nil {
		return false, fmt.Errorf("look for a finding: %w", err)
	}
	if !there && k.n >= MaxFindings {
		return false, nil
	}
	if p.ID, err = uuid.NewV7(); err != nil {
		return false, fmt.Errorf("mint finding id: %w", err)
	}
	if err := k.tx.PutFinding(ctx, p); err != nil {
		return false, fmt.Errorf("put finding: %w", err)
	}
	if !there {
		k.n++
	}
	return !there, nil
}

// cut is text of at most n bytes, at a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// Findings returns one page of findings, the newest first. Filter: state, kind, source, place (=). listing.ErrPageToken,
// listing.ErrFilter.
func (s *Service) Findings(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Finding], error) {
	var page listing.Page[Finding]
	if err := own(sc, ErrFinding); err != nil {
		return page, err
	}
	terms, err := listing.Parse(req.Filter)
	if err != nil {
		return page, err
	}
	p := tenantq.ListFindingsParams{MaxRows: int32(req.Limit()) + 1} //nolint:gosec // at most listing.MaxPageSize
	wanted := map[string]*listing.Exact{"state": {}, "kind": {}, "source": {}, "place": {}}
	none := false
	for _, t := range terms {
		e := wanted[t.Field]
		if e == nil {
			return page, t.Refuse("expected state, kind, source or place")
		}
		if err := e.Narrow(t); err != nil {
			return page, err
		}
		none = none || e.Conflict
	}
	for field, into := range map[string]**string{"state": &p.State, "kind": &p.Kind, "source": &p.Source, "place": &p.Place} {
		if e := wanted[field]; e.Set {
			*into = &e.Value
		}
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	query := listing.Query{List: "dlpfindings", Filter: req.Filter}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil || none {
		return page, err
	}
	if cursor != nil {
		id, err := uuid.FromBytes(cursor)
		if err != nil {
			return page, listing.ErrPageToken.WithCause(err)
		}
		p.BeforeID = &id
	}
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListFindings(ctx, p)
		if err != nil {
			return fmt.Errorf("list findings: %w", err)
		}
		page = listing.Page[Finding]{}
		if limit := req.Limit(); len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, rows[limit-1].ID[:])
		}
		page.Items = make([]Finding, len(rows))
		for i := range rows {
			page.Items[i] = findingOf(&rows[i])
		}
		return nil
	})
	return page, err
}

// GetFinding returns one. ErrFinding, also for another tenant's.
func (s *Service) GetFinding(ctx context.Context, sc scope.Scope, id uuid.UUID) (Finding, error) {
	var out Finding
	if err := own(sc, ErrFinding); err != nil {
		return out, err
	}
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetFinding(ctx, id)
		if db.IsNoRows(err) {
			return ErrFinding
		} else if err != nil {
			return fmt.Errorf("get finding: %w", err)
		}
		out = findingOf(&row)
		return nil
	})
	return out, err
}

// DecideRequest says what has become of a finding.
type DecideRequest struct {
	ID      uuid.UUID
	State   State  // Dismissed needs a reason
	Reason  string // kept with the finding, and in the audit log
	IfMatch string // the etag that the caller has read; empty: whatever it is
}

// Decide dismisses, resolves or opens a finding again. Deciding the same twice leaves one trace. ErrFinding, ErrState,
// ErrDismiss, ErrReason, etag.ErrMismatch.
func (s *Service) Decide(ctx context.Context, sc scope.Scope, req DecideRequest) (Finding, error) {
	req.Reason = strings.TrimSpace(req.Reason)
	switch err := own(sc, ErrFinding); {
	case err != nil:
		return Finding{}, err
	case !slices.Contains(States(), req.State):
		return Finding{}, ErrState
	case req.State == Dismissed && req.Reason == "":
		return Finding{}, ErrDismiss
	case req.Reason != "" && !audit.IsReason(req.Reason):
		return Finding{}, ErrReason
	}
	var out Finding
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.LockFinding(ctx, req.ID)
		if db.IsNoRows(err) {
			return ErrFinding
		} else if err != nil {
			return fmt.Errorf("lock finding: %w", err)
		}
		before := findingOf(&row)
		if err := etag.Match(req.IfMatch, before.ETag); err != nil {
			return err
		}
		if before.State == req.State && before.Reason == req.Reason {
			out = before
			tx.Result(out)
			return nil
		}
		if row, err = tx.DecideFinding(ctx, tenantq.DecideFindingParams{ID: req.ID, State: string(req.State), Reason: req.Reason, By: sc.Actor().String(), Now: tx.Now()}); err != nil {
			return fmt.Errorf("decide finding: %w", err)
		}
		out = findingOf(&row)
		tx.Result(out)
		detail := []attr.Attr{attr.Text("kind", out.Kind), attr.Text("place", out.Place), attr.Text("item", out.Item)}
		if err := audit.Append(ctx, tx, audit.Entry{
			Action: "dlpfinding.decide", Target: audit.Target{Kind: "dlpfinding", ID: out.ID.String()}, Reason: req.Reason, Detail: detail,
			Before: []attr.Attr{attr.Text("state", string(before.State))}, After: []attr.Attr{attr.Text("state", string(out.State))},
		}); err != nil {
			return err
		}
		return event.Append(ctx, tx, event.Event{Type: event.DLPFindingDecided, Data: []attr.Attr{attr.UUID("dlpFindingId", out.ID), attr.Text("state", string(out.State)), attr.Text("kind", out.Kind)}})
	})
	return out, err
}
