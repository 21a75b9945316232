package importer

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// List returns one page of the tenant's imports, the newest first. Filter: state (=, !=).
// listing.ErrFilter, listing.ErrPageToken.
func (s *Service) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Import], error) {
	var page listing.Page[Import]
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	states, err := statesOf(req.Filter)
	if err != nil {
		return page, err
	}
	query := listing.Query{List: "imports", Filter: req.Filter}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	limit := req.Limit()
	params := tenantq.ListImportsParams{States: states, MaxRows: int32(limit) + 1} //nolint:gosec // at most listing.MaxPageSize; one more tells whether there is a next page
	if cursor != nil {
		before, err := uuid.FromBytes(cursor)
		if err != nil {
			return page, listing.ErrPageToken.WithCause(err)
		}
		params.BeforeID = &before
	}
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListImports(ctx, params)
		if err != nil {
			return fmt.Errorf("list imports: %w", err)
		}
		page = listing.Page[Import]{}
		if len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, rows[limit-1].ID[:])
		}
		page.Items = make([]Import, len(rows))
		for i, row := range rows {
			if page.Items[i], err = fromRow(row); err != nil {
				return err
			}
		}
		return nil
	})
	return page, err
}

func statesOf(filter string) ([]string, error) {
	terms, err := listing.Parse(filter)
	if err != nil {
		return nil, err
	}
	states := listing.NewChoice(string(Checking), string(Checked), string(Running), string(Done), string(Cancelled))
	for _, t := range terms {
		if t.Field != "state" {
			return nil, t.Refuse("expected state")
		}
		if err := states.Narrow(t); err != nil {
			return nil, err
		}
	}
	return states.Left(), nil
}

// FindingsRequest asks for one page of what is reported of lines.
type FindingsRequest struct {
	listing.Request // Filter is not used

	ID    uuid.UUID
	Phase Phase // empty: the one that the import is in
}

// Findings returns one page of what is reported of lines, in their order. Of each
// outcome the first 1,000 lines are reported; the counts tell of all. ErrNotFound,
// listing.ErrPageToken.
func (s *Service) Findings(ctx context.Context, sc scope.Scope, req FindingsRequest) (listing.Page[Finding], error) {
	var page listing.Page[Finding]
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	limit := req.Limit()
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		im, err := tx.GetImport(ctx, req.ID)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get import: %w", err)
		}
		phase := req.Phase
		if phase == "" {
			phase = phaseOf(State(im.State))
			if State(im.State) == Cancelled && im.StartedAt == nil {
				phase = Check
			}
		}
		query := listing.Query{List: "import findings", Parent: req.ID.String(), Filter: string(phase)}
		cursor, err := listing.Open(ring, query, req.PageToken)
		if err != nil {
			return err
		}
		params := tenantq.ListImportFindingsParams{ImportID: req.ID, Phase: string(phase), MaxRows: int32(limit) + 1} //nolint:gosec // as in List
		if cursor != nil {
			if len(cursor) != 6 {
				return listing.ErrPageToken
			}
			params.AfterLine = int32(binary.BigEndian.Uint32(cursor))        //nolint:gosec // it was one
			params.AfterOrdinal = int16(binary.BigEndian.Uint16(cursor[4:])) //nolint:gosec // it was one
		}
		rows, err := tx.ListImportFindings(ctx, params)
		if err != nil {
			return fmt.Errorf("list findings: %w", err)
		}
		page = listing.Page[Finding]{}
		if len(rows) > limit {
			rows = rows[:limit]
			last := rows[limit-1]
			at := binary.BigEndian.AppendUint32(nil, uint32(last.Line))  //nolint:gosec // positive
			at = binary.BigEndian.AppendUint16(at, uint16(last.Ordinal)) //nolint:gosec // positive
			page.NextToken = listing.Seal(ring, query, at)
		}
		page.Items = make([]Finding, len(rows))
		for i, row := range rows {
			page.Items[i] = Finding{int(row.Line), Outcome(row.Outcome), Problem{Field: row.Field, Reason: Reason(row.Reason), Detail: row.Detail}}
		}
		return nil
	})
	return page, err
}
