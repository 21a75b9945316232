// Package view keeps views of the audit log: a name, and what is looked for. A view is the tenant's, not its
// maker's: who may read the log sees every view.
package view

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound = fault.New(fault.NotFound, "AUDIT_VIEW_UNKNOWN", "no such view of the audit log")
	ErrName     = fault.New(fault.Invalid, "AUDIT_VIEW_NAME_INVALID", "a name has 1 to 80 characters that can be seen")
	ErrTaken    = fault.New(fault.Conflict, "AUDIT_VIEW_NAME_TAKEN", "there is a view of this name")
	ErrFilter   = fault.New(fault.Invalid, "AUDIT_VIEW_INVALID", "a view looks for something: an outcome, a target or its kind, an action, an actor, or the last 1, 7, 30 or 90 days")
	ErrTooMany  = fault.New(fault.Precondition, "TOO_MANY_AUDIT_VIEWS", "there are 50 views, which is the limit: delete one first")
)

const (
	maxViews = 50
	maxName  = 80  // characters
	maxText  = 200 // bytes of what is looked for
)

// Filter is what a view looks for, all of it at once; what is empty is left open.
type Filter struct {
	Outcome    audit.Outcome
	TargetKind string
	Target     string // kind/id
	Action     string
	Actor      string // an id
	Days       int    // back from now: 1, 7, 30 or 90; 0 for all time
}

// View is one of a tenant's.
type View struct {
	Filter

	ID        uuid.UUID
	Name      string // no two of a tenant have the same, whatever their case
	CreatedBy string // kind:id
	CreatedAt time.Time
}

// Service keeps views. It is safe for concurrent use.
type Service struct{ store *db.Store }

// New returns a Service.
func New(store *db.Store) *Service { return &Service{store: store} }

// List returns all of the tenant's by name: at most 50.
func (s *Service) List(ctx context.Context, sc scope.Scope) ([]View, error) {
	var out []View
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListAuditViews(ctx)
		if err != nil {
			return fmt.Errorf("list audit views: %w", err)
		}
		out = make([]View, len(rows))
		for i, r := range rows {
			out[i] = View{
				Filter: Filter{Outcome: audit.Outcome(r.Outcome), TargetKind: r.TargetKind, Target: r.Target, Action: r.Action, Actor: r.Actor, Days: int(r.Days)},
				ID:     r.ID, Name: r.Name, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt,
			}
		}
		return nil
	})
	return out, err
}

// Create makes one. ErrName, ErrTaken, ErrFilter, ErrTooMany.
func (s *Service) Create(ctx context.Context, sc scope.Scope, name string, f Filter) (View, error) {
	name, err := tenant.CleanName("name", name, maxName)
	if err != nil {
		return View{}, ErrName.WithCause(err)
	}
	if err := f.check(); err != nil {
		return View{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return View{}, fmt.Errorf("mint audit view: %w", err)
	}
	out := View{Filter: f, ID: id, Name: name, CreatedBy: sc.Actor().String()}
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Two at once could each count the other out, and together exceed the limit.
		if err := tx.LockAuditViews(ctx); err != nil {
			return fmt.Errorf("lock audit views: %w", err)
		}
		if n, err := tx.CountAuditViews(ctx); err != nil {
			return fmt.Errorf("count audit views: %w", err)
		} else if n >= maxViews {
			return ErrTooMany
		}
		out.CreatedAt = tx.Now().Truncate(time.Microsecond)
		switch n, err := tx.InsertAuditView(ctx, tenantq.InsertAuditViewParams{
			ID: id, Name: name, Outcome: string(f.Outcome), TargetKind: f.TargetKind, Target: f.Target, Action: f.Action, Actor: f.Actor,
			Days: int16(f.Days), By: out.CreatedBy, Now: out.CreatedAt, //nolint:gosec // checked
		}); {
		case err != nil:
			return fmt.Errorf("insert audit view: %w", err)
		case n == 0:
			return ErrTaken
		}
		tx.Result(out)
		return record(ctx, tx, "auditview.create", event.AuditViewCreated, id, name)
	})
	return out, err
}

// Delete removes one, for everybody. ErrNotFound.
func (s *Service) Delete(ctx context.Context, sc scope.Scope, id uuid.UUID) error {
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		name, err := tx.DeleteAuditView(ctx, id)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("delete audit view: %w", err)
		}
		tx.Result(View{ID: id})
		return record(ctx, tx, "auditview.delete", event.AuditViewDeleted, id, name)
	})
}

func (f *Filter) check() error {
	if *f == (Filter{}) {
		return ErrFilter
	}
	switch f.Outcome {
	case "", audit.Success, audit.Denied, audit.Failed:
	default:
		return ErrFilter.With("field", "outcome")
	}
	switch f.Days {
	case 0, 1, 7, 30, 90:
	default:
		return ErrFilter.With("field", "days")
	}
	for field, text := range map[string]string{"targetKind": f.TargetKind, "target": f.Target, "action": f.Action, "actor": f.Actor} {
		hidden := strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) })
		if len(text) > maxText || hidden || !utf8.ValidString(text) {
			return ErrFilter.With("field", field)
		}
	}
	return nil
}

// record leaves what a change leaves: an audit entry, an event.
func record(ctx context.Context, tx *db.TenantTx, action string, typ event.Type, id uuid.UUID, name string) error {
	if err := audit.Append(ctx, tx, audit.Entry{Action: action, Target: audit.Target{Kind: "auditview", ID: id.String()}, Detail: []attr.Attr{attr.Text("name", name)}}); err != nil {
		return err
	}
	return event.Append(ctx, tx, event.Event{Type: typ, Data: []attr.Attr{attr.UUID("auditViewId", id)}})
}
