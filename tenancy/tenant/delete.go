package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors of deletion.
var (
	ErrNotDeleting = fault.New(fault.Precondition, "TENANT_NOT_DELETING", "this tenant is not being deleted")
	ErrGraceOver   = fault.New(fault.Precondition, "TENANT_GRACE_OVER", "it is too late: the tenant is being destroyed, or its keys are")
	ErrSlugTyped   = fault.New(fault.Invalid, "TENANT_SLUG_MISMATCH", "this is not the slug of the tenant")
	// ErrPlatformDeletes refuses an owner who would restore what the platform deletes.
	ErrPlatformDeletes = fault.New(fault.Forbidden, "TENANT_DELETED_BY_PLATFORM", "the operators of this installation delete this tenant, and only they restore it")
)

// errWritten is for the job, which tries again.
var errWritten = errors.New("rows were written while the tenant was destroyed")

// Grace is how long a tenant that is to be deleted can be restored.
const Grace = 30 * 24 * time.Hour

// DeleteRequest names a tenant to delete.
type DeleteRequest struct {
	ID     uuid.UUID
	Reason string // for the audit log; may be empty
}

// Delete makes a tenant DELETING: from then on it is refused as a suspended one is, and
// after Grace Destroy destroys it. Until then Restore takes it back. Deleting twice keeps
// the first time; one that was shredded is destroyed after the grace, too. ErrNotFound.
func (s *Service) Delete(ctx context.Context, sc scope.Scope, req DeleteRequest) (Tenant, error) {
	if err := platform(sc); err != nil {
		return Tenant{}, err
	}
	return s.delete(ctx, sc, req, false)
}

// DeleteOwn is Delete by the tenant itself: an owner in the console, who has typed slug.
// ErrSlugTyped; ErrSuspended: what the platform has stopped it alone deletes.
func (s *Service) DeleteOwn(ctx context.Context, sc scope.Scope, slug, reason string) (Tenant, error) {
	snap, err := s.load(ctx, sc)
	switch {
	case err != nil:
		return Tenant{}, err
	case snap.Slug != slug:
		return Tenant{}, ErrSlugTyped
	case snap.State == Suspended:
		return Tenant{}, ErrSuspended
	}
	return s.delete(ctx, sc, DeleteRequest{ID: sc.Tenant(), Reason: reason}, true)
}

func (s *Service) delete(ctx context.Context, sc scope.Scope, req DeleteRequest, byTenant bool) (Tenant, error) {
	if err := checkReason(req.Reason); err != nil {
		return Tenant{}, err
	}
	return s.locked(ctx, sc, req.ID, "delete tenant", func(tx *db.PlatformTx, own *db.TenantTx, before Tenant) (Tenant, error) {
		switch {
		case before.DeleteAfter != nil:
			return before, nil
		case byTenant && before.State != Active: // it has just been suspended
			return Tenant{}, ErrSuspended
		}
		actor := sc.Actor()
		after := own.Now().Add(Grace)
		row, err := tx.SetTenantDeleting(ctx, platformq.SetTenantDeletingParams{
			ID: req.ID, DeleteAfter: after, Reason: req.Reason, AskedBy: actor.String(), ByTenant: byTenant, Now: own.Now(),
		})
		if err != nil {
			return Tenant{}, fmt.Errorf("set state: %w", err)
		}
		return fromRow(tenantq.Tenant(row)), s.record(ctx, own, event.TenantDeleting, audit.Entry{
			Action: "tenant.delete", Reason: req.Reason,
			Before: []attr.Attr{attr.Text("state", string(before.State))},
			After:  []attr.Attr{attr.Text("state", string(Deleting)), attr.Text("deleteAfter", after.Format(time.RFC3339))},
		})
	})
}

// Restore takes back the deletion of a tenant within the grace: it is again what it was,
// ACTIVE or SUSPENDED. ErrNotDeleting, ErrGraceOver, ErrNotFound.
func (s *Service) Restore(ctx context.Context, sc scope.Scope, req DeleteRequest) (Tenant, error) {
	if err := platform(sc); err != nil {
		return Tenant{}, err
	}
	return s.restore(ctx, sc, req, false)
}

// RestoreOwn is Restore by the tenant itself, of what it has asked for by itself.
// ErrPlatformDeletes.
func (s *Service) RestoreOwn(ctx context.Context, sc scope.Scope, reason string) (Tenant, error) {
	return s.restore(ctx, sc, DeleteRequest{ID: sc.Tenant(), Reason: reason}, true)
}

func (s *Service) restore(ctx context.Context, sc scope.Scope, req DeleteRequest, byTenant bool) (Tenant, error) {
	if err := checkReason(req.Reason); err != nil {
		return Tenant{}, err
	}
	return s.locked(ctx, sc, req.ID, "restore tenant", func(tx *db.PlatformTx, own *db.TenantTx, before Tenant) (Tenant, error) {
		switch {
		case before.State != Deleting:
			return Tenant{}, ErrNotDeleting
		case !before.Restorable(own.Now()):
			return Tenant{}, ErrGraceOver
		case byTenant && !before.DeletedByTenant:
			return Tenant{}, ErrPlatformDeletes
		}
		row, err := tx.RestoreTenant(ctx, platformq.RestoreTenantParams{ID: req.ID, Now: own.Now()})
		if err != nil {
			return Tenant{}, fmt.Errorf("restore: %w", err)
		}
		after := fromRow(tenantq.Tenant(row))
		return after, s.record(ctx, own, event.TenantRestored, audit.Entry{
			Action: "tenant.restore", Reason: req.Reason,
			Before: []attr.Attr{attr.Text("state", string(before.State))}, After: []attr.Attr{attr.Text("state", string(after.State))},
		})
	})
}

// Restorable reports whether the tenant is DELETING and can be restored at now.
func (t *Tenant) Restorable(now time.Time) bool {
	return t.State == Deleting && !t.shredded && !t.destroying && t.DeleteAfter != nil && now.Before(*t.DeleteAfter)
}

// Subject is what a tenant has outside of its rows, such as objects in object storage.
type Subject interface {
	// Destroy removes all of the tenant's. It is called again after a failure, and is nil
	// when nothing is left.
	Destroy(ctx context.Context, sc scope.Scope) error
}

// DestroyRequest names a tenant whose grace is over.
type DestroyRequest struct {
	ID       uuid.UUID
	Issuer   string // of the deletion certificate: see ShredRequest
	Subjects []Subject
}

// destroyBatch rows a transaction: some tens of milliseconds, so that neither locks nor
// a statement's time limit matter.
const destroyBatch = 2_000

// Destroy destroys a tenant whose grace is over: what it has outside of Postgres, then its
// keys (Shred, with a certificate), then every row of it. Only its own row with id and
// slug stays, which never come back, and the certificate. It may be killed at any point
// and run again, by several servers at once. ErrNotDeleting before its time; nil when it
// is done already.
func (s *Service) Destroy(ctx context.Context, sc scope.Scope, req DestroyRequest) error {
	if err := platform(sc); err != nil {
		return err
	}
	gone, err := s.beginDestruction(ctx, sc, req.ID)
	if err != nil || gone.emptied {
		return err
	}
	own := scope.New(req.ID, sc.Actor())
	for _, subject := range req.Subjects {
		if err := subject.Destroy(ctx, own); err != nil {
			return fmt.Errorf("destroy what %s has outside: %w", gone.Slug, err)
		}
	}
	if _, err := s.Shred(ctx, sc, ShredRequest{ID: req.ID, Issuer: req.Issuer, Reason: gone.DeleteReason}); err != nil {
		return fmt.Errorf("shred: %w", err)
	}
	var removed int64
	for {
		var n int64
		if err := s.store.InPlatform(ctx, "destroy a tenant's rows", func(tx *db.PlatformTx) (err error) {
			n, err = tx.DestroyTenantRows(ctx, platformq.DestroyTenantRowsParams{ID: req.ID, MaxRows: destroyBatch})
			return err
		}); err != nil {
			return fmt.Errorf("destroy rows: %w", err)
		}
		if removed += n; n == 0 {
			return s.endDestruction(ctx, sc, req.ID, removed)
		}
	}
}

// beginDestruction notes that the grace is over, which Restore heeds.
func (s *Service) beginDestruction(ctx context.Context, sc scope.Scope, id uuid.UUID) (Tenant, error) {
	return s.locked(ctx, sc, id, "begin to destroy a tenant", func(tx *db.PlatformTx, own *db.TenantTx, before Tenant) (Tenant, error) {
		if before.State != Deleting || before.DeleteAfter == nil || own.Now().Before(*before.DeleteAfter) {
			return Tenant{}, ErrNotDeleting
		}
		if err := tx.SetTenantDestroying(ctx, platformq.SetTenantDestroyingParams{ID: id, Now: own.Now()}); err != nil {
			return Tenant{}, fmt.Errorf("note the beginning: %w", err)
		}
		return before, nil
	})
}

// endDestruction leaves the trace in the reserved tenant's log: the tenant has none any more.
func (s *Service) endDestruction(ctx context.Context, sc scope.Scope, id uuid.UUID, removed int64) error {
	_, err := s.locked(ctx, sc, id, "end the destruction of a tenant", func(tx *db.PlatformTx, _ *db.TenantTx, before Tenant) (Tenant, error) {
		if before.emptied { // by another server, at the same time
			return before, nil
		}
		// What another server's request has written at the last moment goes too.
		if n, err := tx.DestroyTenantRows(ctx, platformq.DestroyTenantRowsParams{ID: id, MaxRows: destroyBatch}); err != nil {
			return Tenant{}, fmt.Errorf("destroy rows: %w", err)
		} else if n > 0 {
			return Tenant{}, errWritten
		}
		row, err := tx.SetTenantEmptied(ctx, platformq.SetTenantEmptiedParams{ID: id, Now: s.store.Now()})
		if err != nil {
			return Tenant{}, fmt.Errorf("note the end: %w", err)
		}
		home, err := within(ctx, tx, sc, scope.PlatformTenant)
		if err != nil {
			return Tenant{}, err
		}
		if err := audit.Append(ctx, home, audit.Entry{
			Action: "tenant.destroy", Reason: before.DeleteReason, Target: audit.Target{Kind: "tenant", ID: id.String()},
			Detail: []attr.Attr{attr.Text("slug", before.Slug), attr.Int("rows", removed)},
		}); err != nil {
			return Tenant{}, err
		}
		return fromRow(tenantq.Tenant(row)), event.Append(ctx, home, event.Event{
			Type: event.TenantDestroyed, Data: []attr.Attr{attr.UUID("tenantId", id), attr.Text("slug", before.Slug)},
		})
	})
	return err
}
