package archive

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// StartRequest asks for an archive.
type StartRequest struct {
	Tenant uuid.UUID
	Reason string // 1 to 256 characters
}

// Start asks for an archive of all that the tenant has as it will be when the job begins,
// some ten seconds later. It is for the tenant itself, whatever its state, and for the
// platform plane. ErrReason, ErrNoStorage, ErrRunning, ErrTenant; an error of keys where the
// tenant's are destroyed.
func (s *Service) Start(ctx context.Context, sc scope.Scope, req StartRequest) (Export, error) {
	if !audit.IsReason(req.Reason) {
		return Export{}, ErrReason
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Export{}, fmt.Errorf("mint export id: %w", err)
	}
	var out Export
	err = s.inTenant(ctx, sc, req.Tenant, func(tx *db.TenantTx, result func(any)) error {
		if s.objects == nil {
			return ErrNoStorage
		}
		row, err := tx.InsertExport(ctx, tenantq.InsertExportParams{
			ID: id, Reason: req.Reason, AskedBy: sc.Actor().String(), AskedName: sc.Actor().Name, Now: tx.Now(),
		})
		if db.IsNoRows(err) {
			return ErrRunning
		} else if err != nil {
			return fmt.Errorf("insert export: %w", err)
		}
		out = fromRow(row)
		if err := record(ctx, tx, "export.start", req.Reason, event.ExportStarted, out.ID, Queued); err != nil {
			return err
		}
		result(out)
		return nil
	})
	return out, err
}

// Get returns one export. ErrNotFound, also for another tenant's; ErrTenant.
func (s *Service) Get(ctx context.Context, sc scope.Scope, tenant, id uuid.UUID) (Export, error) {
	var out Export
	err := s.inTenant(ctx, sc, tenant, func(tx *db.TenantTx, _ func(any)) error {
		row, err := get(ctx, tx, id)
		out = fromRow(row)
		return err
	})
	return out, err
}

// List returns one page of a tenant's exports, the newest first. There are no filters.
// listing.ErrPageToken, listing.ErrFilter, ErrTenant.
func (s *Service) List(ctx context.Context, sc scope.Scope, tenant uuid.UUID, req listing.Request) (listing.Page[Export], error) {
	var page listing.Page[Export]
	if terms, err := listing.Parse(req.Filter); err != nil {
		return page, err
	} else if len(terms) > 0 {
		return page, terms[0].Refuse("exports have no filter")
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	query := listing.Query{List: "exports", Parent: tenant.String()}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	var before *uuid.UUID
	if cursor != nil {
		id, err := uuid.FromBytes(cursor)
		if err != nil {
			return page, listing.ErrPageToken.WithCause(err)
		}
		before = &id
	}
	limit := req.Limit()
	err = s.inTenant(ctx, sc, tenant, func(tx *db.TenantTx, _ func(any)) error {
		rows, err := tx.ListExports(ctx, tenantq.ListExportsParams{BeforeID: before, MaxRows: int32(limit) + 1}) //nolint:gosec // at most listing.MaxPageSize
		if err != nil {
			return fmt.Errorf("list exports: %w", err)
		}
		page = listing.Page[Export]{}
		if len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, rows[limit-1].ID[:])
		}
		page.Items = make([]Export, len(rows))
		for i, row := range rows {
			page.Items[i] = fromRow(row)
		}
		return nil
	})
	return page, err
}

// CancelRequest names an export that is open.
type CancelRequest struct {
	Tenant, ID uuid.UUID
	Reason     string // for the audit log; may be empty
}

// Cancel ends an export that is open: what is written of it is removed. ErrEnded when it has
// ended, ErrNotFound, ErrTenant.
func (s *Service) Cancel(ctx context.Context, sc scope.Scope, req CancelRequest) (Export, error) {
	if req.Reason != "" && !audit.IsReason(req.Reason) {
		return Export{}, ErrReason
	}
	var out Export
	err := s.inTenant(ctx, sc, req.Tenant, func(tx *db.TenantTx, result func(any)) error {
		row, err := tx.CancelExport(ctx, tenantq.CancelExportParams{ID: req.ID, Now: tx.Now(), ClearAt: tx.Now().Add(settle)})
		if db.IsNoRows(err) {
			if _, err := get(ctx, tx, req.ID); err != nil {
				return err
			}
			return ErrEnded
		} else if err != nil {
			return fmt.Errorf("cancel export: %w", err)
		}
		out = fromRow(row)
		if err := record(ctx, tx, "export.cancel", req.Reason, event.ExportFinished, out.ID, Cancelled); err != nil {
			return err
		}
		result(out)
		return nil
	})
	return out, err
}

// record leaves an export's entry and event in its transaction.
func record(ctx context.Context, tx *db.TenantTx, action, reason string, what event.Type, id uuid.UUID, state State, detail ...attr.Attr) error {
	entry := audit.Entry{
		Action: action, Reason: reason, Target: audit.Target{Kind: "export", ID: id.String()},
		Detail: append([]attr.Attr{attr.Text("state", string(state))}, detail...),
	}
	if state == Failed {
		entry.Outcome = audit.Failed
	}
	if err := audit.Append(ctx, tx, entry); err != nil {
		return err
	}
	return event.Append(ctx, tx, event.Event{
		Type: what, Data: append([]attr.Attr{attr.UUID("exportId", id), attr.Text("state", string(state))}, detail...),
	})
}
