package tenant

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrNotSuspended refuses to destroy what is in use.
var ErrNotSuspended = fault.New(fault.Precondition, "TENANT_NOT_SUSPENDED", "suspend the tenant first: its keys are in use")

// ShredRequest names a tenant whose keys are to be destroyed.
type ShredRequest struct {
	ID     uuid.UUID
	Issuer string // of the certificate: the platform at its installation
	Reason string // for the certificate and the audit log; may be empty
}

// Shredded is a tenant whose keys are destroyed.
type Shredded struct {
	Tenant      Tenant
	Certificate string // a JWS: see keys.VerifyCertificate
	Again       bool   // they were destroyed before, when the certificate says
}

// Shred destroys a tenant's keys, for ever: whatever was sealed under them, and that is
// all that identifies its users, never opens again. The rows stay; the tenant is
// DELETING from then on and cannot be resumed. It returns the certificate that the
// platform signs, which is kept. Shredding twice returns the first one.
//
// ErrNotSuspended unless the tenant is suspended or being deleted; ErrNotFound.
func (s *Service) Shred(ctx context.Context, sc scope.Scope, req ShredRequest) (Shredded, error) {
	if err := platform(sc); err != nil {
		return Shredded{}, err
	}
	if req.ID == scope.PlatformTenant || req.ID == uuid.Nil {
		return Shredded{}, ErrNotFound
	}
	if err := checkReason(req.Reason); err != nil {
		return Shredded{}, err
	}
	own := scope.New(req.ID, sc.Actor()).WithOrigin(sc.Origin())
	before, kept, err := s.condemn(ctx, sc, req)
	if err != nil || kept.Certificate != "" {
		return kept, err
	}
	inventory, err := s.keys.PrepareDestruction(ctx, own)
	if err != nil {
		return Shredded{}, err
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return Shredded{}, fmt.Errorf("keys of the platform: %w", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Shredded{}, fmt.Errorf("mint certificate id: %w", err)
	}
	// Signed before the transaction, since the key may be in a KMS; Destroy sees to it
	// that nothing else is destroyed than what it names.
	certificate, err := keys.SignCertificate(ctx, ring, keys.Certificate{
		Issuer: req.Issuer, Subject: req.ID, ID: id, IssuedAt: s.store.Now().Unix(),
		Slug: before.Slug, By: sc.Actor().Name, Reason: req.Reason, Inventory: inventory,
	})
	if err != nil {
		return Shredded{}, fmt.Errorf("sign certificate: %w", err)
	}
	var out Shredded
	err = s.store.InPlatform(ctx, "destroy a tenant's keys", func(tx *db.PlatformTx) error {
		if _, err := tx.LockTenant(ctx, req.ID); err != nil {
			return fmt.Errorf("lock tenant: %w", err)
		}
		own, err := within(ctx, tx, sc, req.ID)
		if err != nil {
			return err
		}
		if err := s.keys.Destroy(ctx, own, inventory); err != nil {
			return err
		}
		if err := own.InsertDeletionCertificate(ctx, tenantq.InsertDeletionCertificateParams{Certificate: certificate, CreatedAt: own.Now()}); err != nil {
			return fmt.Errorf("insert certificate: %w", err)
		}
		row, err := tx.SetTenantShredded(ctx, platformq.SetTenantShreddedParams{ID: req.ID, Now: own.Now()})
		if err != nil {
			return fmt.Errorf("set state: %w", err)
		}
		out = Shredded{Tenant: fromRow(tenantq.Tenant(row)), Certificate: certificate}
		return s.record(ctx, own, event.TenantShredded, audit.Entry{
			Action: "tenant.shred", Reason: req.Reason,
			Detail: []attr.Attr{attr.UUID("certificateId", id), attr.Int("dataKeys", int64(len(inventory.DataKeys)))},
		})
	})
	if err != nil {
		return Shredded{}, err
	}
	s.current.Forget(req.ID, "")
	return out, nil
}

// condemn makes a suspended tenant DELETING, so that nobody resumes it while its keys
// go; a Shred that broke off goes on from here. It returns the certificate of a tenant
// that is shredded already.
func (s *Service) condemn(ctx context.Context, sc scope.Scope, req ShredRequest) (t Tenant, kept Shredded, err error) {
	err = s.store.InPlatform(ctx, "look whether a tenant can be shredded", func(tx *db.PlatformTx) error {
		row, err := tx.LockTenant(ctx, req.ID)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("lock tenant: %w", err)
		}
		t = fromRow(tenantq.Tenant(row))
		own, err := within(ctx, tx, sc, req.ID)
		if err != nil {
			return err
		}
		certificate, err := own.GetDeletionCertificate(ctx)
		switch {
		case err == nil:
			kept = Shredded{Tenant: t, Certificate: certificate.Certificate, Again: true}
			return nil
		case !db.IsNoRows(err):
			return fmt.Errorf("get certificate: %w", err)
		case t.State == Active:
			return ErrNotSuspended
		case t.State == Deleting:
			return nil
		}
		if _, err := tx.SetTenantState(ctx, platformq.SetTenantStateParams{ID: req.ID, State: string(Deleting), Now: own.Now()}); err != nil {
			return fmt.Errorf("set state: %w", err)
		}
		return s.record(ctx, own, event.TenantUpdated, audit.Entry{
			Action: "tenant.delete", Reason: req.Reason,
			Before: []attr.Attr{attr.Text("state", string(t.State))}, After: []attr.Attr{attr.Text("state", string(Deleting))},
		})
	})
	return t, kept, err
}

// Certificate returns the deletion certificate of a tenant that was shredded; ErrNotFound.
func (s *Service) Certificate(ctx context.Context, sc scope.Scope, id uuid.UUID) (string, error) {
	if err := platform(sc); err != nil {
		return "", err
	}
	var certificate string
	err := s.store.InPlatform(ctx, "read a deletion certificate", func(tx *db.PlatformTx) error {
		own, err := within(ctx, tx, sc, id)
		if err != nil {
			return err
		}
		row, err := own.GetDeletionCertificate(ctx)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get certificate: %w", err)
		}
		certificate = row.Certificate
		return nil
	})
	return certificate, err
}
