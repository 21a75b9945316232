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
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// CreateRequest describes a tenant to be.
type CreateRequest struct {
	Slug    string // 2 to 40 of a-z, 0-9 and inner hyphens; never changes
	Name    string // 1 to 128 characters
	Mode    Mode   // never changes
	RPID    string
	Origins []string // 1 to 64: https, the RP ID or a subdomain of it
	Plan    string   // what the contract calls it: up to 64 characters; may be empty
	// VouchReason is how the operator knows that a live tenant's RP ID is the customer's own
	// domain; empty: the tenant proves it before it runs ceremonies. See VouchDomain.
	VouchReason string
	Reason      string // for the audit log; may be empty
	// Found runs in the same transaction, at its end; made is the new tenant. nil: nothing does.
	Found func(ctx context.Context, tx *db.PlatformTx, made scope.Scope) error
}

func (r *CreateRequest) clean() (err error) {
	if err := checkSlug(r.Slug); err != nil {
		return err
	}
	if r.Name, err = CleanName("name", r.Name, maxNameCharacters); err != nil {
		return err
	}
	if r.Mode != Live && r.Mode != Test {
		return invalid("mode", "is LIVE or TEST")
	}
	if r.Plan, err = CleanPlan(r.Plan); err != nil {
		return err
	}
	if err := checkReason(r.Reason); err != nil {
		return err
	}
	if r.VouchReason != "" && !audit.IsReason(r.VouchReason) {
		return ErrVouchReason
	}
	if err := checkRPID(r.Mode, r.RPID); err != nil {
		return err
	}
	return checkOrigins(r.Mode, r.RPID, r.Origins)
}

// Create makes a tenant with its data key, its signing key, the default policy and
// its first API keys, all or nothing, and returns it with those keys in plain for
// the only time. ErrExists when the slug is, or ever was, in use.
func (s *Service) Create(ctx context.Context, sc scope.Scope, req CreateRequest) (Tenant, FirstKeys, error) {
	if err := platform(sc); err != nil {
		return Tenant{}, FirstKeys{}, err
	}
	if err := req.clean(); err != nil {
		return Tenant{}, FirstKeys{}, err
	}
	if err := s.checkReserved(Tenant{RPID: req.RPID}); err != nil {
		return Tenant{}, FirstKeys{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Tenant{}, FirstKeys{}, fmt.Errorf("mint tenant id: %w", err)
	}
	minted, err := s.keys.Mint(ctx, id) // speaks to the KMS: not within the transaction
	if err != nil {
		return Tenant{}, FirstKeys{}, err
	}
	var made Tenant
	var first FirstKeys
	err = s.store.InPlatform(ctx, "create tenant", func(tx *db.PlatformTx) error {
		row, err := tx.InsertTenant(ctx, platformq.InsertTenantParams{
			ID: id, Slug: req.Slug, Name: req.Name, Mode: string(req.Mode),
			RpID: req.RPID, RpName: req.Name, Origins: req.Origins, Plan: req.Plan, Now: s.store.Now(),
		})
		if db.IsNoRows(err) {
			return ErrExists
		} else if err != nil {
			return fmt.Errorf("insert tenant: %w", err)
		}
		made = fromRow(tenantq.Tenant(row))
		own, err := within(ctx, tx, sc, id)
		if err != nil {
			return err
		}
		if err := minted.Insert(ctx, own); err != nil {
			return err
		}
		if err := insertPolicy(ctx, own, int32(1), policy.Default()); err != nil {
			return err
		}
		if first, err = s.firstKeys(ctx, own, req.Mode); err != nil {
			return fmt.Errorf("first API keys: %w", err)
		}
		if err := own.Changed(ctx, db.NounTenant, ""); err != nil { // it may be remembered as absent
			return err
		}
		if err := audit.Append(ctx, own, audit.Entry{
			Action: "tenant.create", Target: audit.Target{Kind: "tenant", ID: id.String()}, Reason: req.Reason,
			After: []attr.Attr{
				attr.Text("slug", made.Slug), attr.Text("name", made.Name), attr.Text("mode", string(made.Mode)),
				attr.Text("rpId", made.RPID), attr.Texts("origins", made.Origins),
			},
		}); err != nil {
			return err
		}
		if req.VouchReason != "" {
			if err := s.vouch(ctx, own, &made, req.VouchReason); err != nil {
				return err
			}
		}
		// No Result: the answer holds keys, so a repeat of the call is not replayable.
		err = event.Append(ctx, own, event.Event{Type: event.TenantCreated, Data: []attr.Attr{attr.Text("slug", made.Slug)}})
		if err != nil || req.Found == nil {
			return err
		}
		return req.Found(ctx, tx, own.Scope())
	})
	if err != nil {
		return Tenant{}, FirstKeys{}, err
	}
	return made, first, nil
}

func insertPolicy(ctx context.Context, tx *db.TenantTx, version int32, d policy.Document) error {
	text, err := d.JSON()
	if err != nil {
		return fmt.Errorf("encode policy: %w", err)
	}
	actor := tx.Scope().Actor()
	if err := tx.InsertPolicy(ctx, tenantq.InsertPolicyParams{
		Version: version, Document: text, CreatedBy: actor.String(), CreatedAt: tx.Now(),
	}); err != nil {
		return fmt.Errorf("insert policy %d: %w", version, err)
	}
	return nil
}
