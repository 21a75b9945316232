package tenant

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// UpdateRequest names a tenant and the fields to change; nil leaves a field as it is.
type UpdateRequest struct {
	ID           uuid.UUID
	Name         *string
	RPID         *string  // ErrRPIDInUse once there are credentials
	Origins      []string // replaces all of them
	DirectTokens *bool
	Plan         *string // as the contract calls it: up to 64 characters; empty: none
	Region       *string // a label, where its data is said to live: as Plan
	IfMatch      string  // the ETag that the caller read; empty: whatever it is now
}

// Update changes a tenant and returns it. An update that changes nothing leaves no
// trace. etag.ErrMismatch when it has changed since IfMatch was read.
func (s *Service) Update(ctx context.Context, sc scope.Scope, req UpdateRequest) (Tenant, error) {
	return s.change(ctx, sc, req.ID, "update tenant", func(tx *db.PlatformTx, own *db.TenantTx, before Tenant) (Tenant, error) {
		if err := etag.Match(req.IfMatch, before.ETag); err != nil {
			return Tenant{}, err
		}
		after, err := req.apply(before)
		if err != nil {
			return Tenant{}, err
		}
		from, to := differences(before, after)
		if len(to) == 0 {
			return before, nil
		}
		if err := s.checkReserved(after); err != nil {
			return Tenant{}, err
		}
		if err := checkNewRPID(ctx, own, before, after); err != nil {
			return Tenant{}, err
		}
		row, err := tx.UpdateTenant(ctx, platformq.UpdateTenantParams{
			ID: req.ID, Name: after.Name, RpID: after.RPID, RpName: after.RPName, Origins: after.Origins,
			DirectTokens: after.DirectTokens, Plan: after.Plan, Region: after.Region, Now: own.Now(),
		})
		if err != nil {
			return Tenant{}, fmt.Errorf("update tenant: %w", err)
		}
		after = fromRow(tenantq.Tenant(row))
		return after, s.record(ctx, own, event.TenantUpdated, audit.Entry{Action: "tenant.update", Before: from, After: to})
	})
}

// checkNewRPID returns ErrRPIDInUse when another RP ID would orphan credentials.
func checkNewRPID(ctx context.Context, own *db.TenantTx, before, after Tenant) error {
	if after.RPID == before.RPID {
		return nil
	}
	// A registration that ends at this very moment could still make a credential of the
	// old RP ID, which then never signs in.
	used, err := own.HasCredentials(ctx)
	if err != nil {
		return fmt.Errorf("look for credentials: %w", err)
	}
	if used {
		return ErrRPIDInUse
	}
	return nil
}

func (r *UpdateRequest) apply(t Tenant) (Tenant, error) {
	if r.Name != nil {
		name, err := CleanName("name", *r.Name, maxNameCharacters)
		if err != nil {
			return Tenant{}, err
		}
		if t.RPName == t.Name { // until somebody names it otherwise, people see the tenant's name
			t.RPName = name
		}
		t.Name = name
	}
	if r.RPID != nil {
		if err := checkRPID(t.Mode, *r.RPID); err != nil {
			return Tenant{}, err
		}
		t.RPID = *r.RPID
	}
	if len(r.Origins) > 0 {
		t.Origins = r.Origins
	}
	if r.DirectTokens != nil {
		t.DirectTokens = *r.DirectTokens
	}
	for field, change := range map[string]struct{ to, in *string }{"plan": {&t.Plan, r.Plan}, "region": {&t.Region, r.Region}} {
		if change.in == nil {
			continue
		}
		label, err := cleanLabel(field, *change.in)
		if err != nil {
			return Tenant{}, err
		}
		*change.to = label
	}
	return t, t.checkPlaces()
}

// CleanPlan returns what a contract is called without space around it: up to 64 characters,
// none of control. Empty stays empty.
func CleanPlan(plan string) (string, error) { return cleanLabel("plan", plan) }

func cleanLabel(field, label string) (string, error) {
	if label == "" {
		return "", nil
	}
	return CleanName(field, label, maxLabelCharacters)
}

func differences(a, b Tenant) (before, after []attr.Attr) {
	text := func(key, was, is string) {
		if was != is {
			before, after = append(before, attr.Text(key, was)), append(after, attr.Text(key, is))
		}
	}
	text("name", a.Name, b.Name)
	text("rpId", a.RPID, b.RPID)
	text("rpName", a.RPName, b.RPName)
	text("plan", a.Plan, b.Plan)
	text("region", a.Region, b.Region)
	list := func(key string, was, is []string) {
		if !slices.Equal(was, is) {
			before, after = append(before, attr.Texts(key, was)), append(after, attr.Texts(key, is))
		}
	}
	list("origins", a.Origins, b.Origins)
	list("relatedOrigins", a.RelatedOrigins, b.RelatedOrigins)
	list("androidApps", androidRows(a.AndroidApps), androidRows(b.AndroidApps))
	list("iosAppIds", a.IOSApps, b.IOSApps)
	text("passkeyEnrollUrl", a.PasskeyEndpoints.Enroll, b.PasskeyEndpoints.Enroll)
	text("passkeyManageUrl", a.PasskeyEndpoints.Manage, b.PasskeyEndpoints.Manage)
	text("passkeyPrfUrl", a.PasskeyEndpoints.PRFUsageDetails, b.PasskeyEndpoints.PRFUsageDetails)
	if a.DirectTokens != b.DirectTokens {
		before, after = append(before, attr.Bool("directTokens", a.DirectTokens)), append(after, attr.Bool("directTokens", b.DirectTokens))
	}
	text("audience", a.TokenAudience, b.TokenAudience)
	text("encryptionKey", a.EncryptionKey, b.EncryptionKey)
	text("accentColor", a.Brand.AccentColor, b.Brand.AccentColor)
	text("accentColorDark", a.Brand.AccentColorDark, b.Brand.AccentColorDark)
	text("supportUrl", a.Brand.SupportURL, b.Brand.SupportURL)
	text("supportEmail", a.Brand.SupportEmail, b.Brand.SupportEmail)
	text("logoSha256", a.Brand.LogoSHA256, b.Brand.LogoSHA256)
	return before, after
}

// SuspendRequest names a tenant to suspend or resume.
type SuspendRequest struct {
	ID     uuid.UUID
	Reason string // for the audit log; may be empty
}

// Suspend makes every call with the tenant's keys ErrSuspended, within a second on
// every server, and deletes nothing. Suspending twice keeps the first reason.
func (s *Service) Suspend(ctx context.Context, sc scope.Scope, req SuspendRequest) (Tenant, error) {
	return s.setState(ctx, sc, req, Suspended, event.TenantSuspended, "tenant.suspend")
}

// Resume lets a suspended tenant work again. Resuming an active one changes nothing.
func (s *Service) Resume(ctx context.Context, sc scope.Scope, req SuspendRequest) (Tenant, error) {
	return s.setState(ctx, sc, req, Active, event.TenantResumed, "tenant.resume")
}

func (s *Service) setState(
	ctx context.Context, sc scope.Scope, req SuspendRequest, to State, typ event.Type, action string,
) (Tenant, error) {
	if err := checkReason(req.Reason); err != nil {
		return Tenant{}, err
	}
	return s.change(ctx, sc, req.ID, action, func(tx *db.PlatformTx, own *db.TenantTx, before Tenant) (Tenant, error) {
		if before.State == to {
			return before, nil
		}
		var why *string
		if to == Suspended {
			why = &req.Reason
		}
		row, err := tx.SetTenantState(ctx, platformq.SetTenantStateParams{
			ID: req.ID, State: string(to), SuspendReason: why, Now: own.Now(),
		})
		if err != nil {
			return Tenant{}, fmt.Errorf("set state: %w", err)
		}
		return fromRow(tenantq.Tenant(row)), s.record(ctx, own, typ, audit.Entry{Action: action, Reason: req.Reason})
	})
}

// change runs fn on the locked tenant id, and answers what fn returns. The
// platform's own tenant and unknown ones are ErrNotFound, one that is being deleted
// is ErrDeleting.
func (s *Service) change(
	ctx context.Context, sc scope.Scope, id uuid.UUID, why string,
	fn func(tx *db.PlatformTx, own *db.TenantTx, before Tenant) (Tenant, error),
) (Tenant, error) {
	if err := platform(sc); err != nil {
		return Tenant{}, err
	}
	return s.locked(ctx, sc, id, why, func(tx *db.PlatformTx, own *db.TenantTx, before Tenant) (Tenant, error) {
		if before.State == Deleting {
			return Tenant{}, ErrDeleting
		}
		return fn(tx, own, before)
	})
}

// locked is change for tenants in every state, by whoever is let in already.
func (s *Service) locked(
	ctx context.Context, sc scope.Scope, id uuid.UUID, why string,
	fn func(tx *db.PlatformTx, own *db.TenantTx, before Tenant) (Tenant, error),
) (Tenant, error) {
	if id == scope.PlatformTenant || id == uuid.Nil {
		return Tenant{}, ErrNotFound
	}
	var changed Tenant
	err := s.store.InPlatform(ctx, why, func(tx *db.PlatformTx) error {
		// Two changes at once could each pass the other's If-Match, or suspend twice
		// with two entries, so the row is the lock.
		row, err := tx.LockTenant(ctx, id)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("lock tenant: %w", err)
		}
		own, err := within(ctx, tx, sc, id)
		if err != nil {
			return err
		}
		if changed, err = fn(tx, own, fromRow(tenantq.Tenant(row))); err != nil {
			return err
		}
		tx.Result(changed)
		return nil
	})
	if err != nil {
		return Tenant{}, err
	}
	s.current.Forget(id, "") // this server sees its own change at once, the others within a second
	return changed, nil
}

// record leaves what every change of a tenant leaves: a notice to every server, an
// audit entry in the tenant's log, an event.
func (s *Service) record(ctx context.Context, own *db.TenantTx, typ event.Type, e audit.Entry) error {
	if err := own.Changed(ctx, db.NounTenant, ""); err != nil {
		return err
	}
	e.Target = audit.Target{Kind: "tenant", ID: own.Scope().Tenant().String()}
	if err := audit.Append(ctx, own, e); err != nil {
		return err
	}
	return event.Append(ctx, own, event.Event{Type: typ})
}
