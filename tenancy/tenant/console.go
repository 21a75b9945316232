package tenant

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/rp"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ConsoleRPID is the RP ID of the console's passkeys: the host of the public URL. No tenant
// may have it, since its pages could then ask for them: but localhost.
func ConsoleRPID(publicURL string) string {
	u, err := url.Parse(publicURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// PlaceConsole gives the reserved tenant the RP ID and the origin of the console, which is
// below publicURL: scheme, host and port. What it has already is left alone.
// ErrPlatformOnly; ErrInvalid where the host is an address, which no passkey is for; ErrRPIDInUse when people have passkeys under another host, which a move
// would make useless.
func (s *Service) PlaceConsole(ctx context.Context, sc scope.Scope, publicURL string) error {
	if err := platform(sc); err != nil {
		return err
	}
	rpID := ConsoleRPID(publicURL)
	if rp.CheckDomain(rpID) != nil {
		return invalid("publicUrl", "has no name that passkeys could be for")
	}
	changed := false
	err := s.store.InPlatform(ctx, "place the console", func(tx *db.PlatformTx) error {
		row, err := tx.LockTenant(ctx, scope.PlatformTenant) // several servers start at once
		if err != nil {
			return fmt.Errorf("lock the reserved tenant: %w", err)
		}
		before := fromRow(tenantq.Tenant(row))
		after := before
		after.RPID, after.Origins = rpID, []string{publicURL}
		if changed = before.RPID != after.RPID || !slices.Equal(before.Origins, after.Origins); !changed {
			return nil
		}
		own, err := within(ctx, tx, sc, scope.PlatformTenant)
		if err != nil {
			return err
		}
		if before.RPID != "" {
			if err := checkNewRPID(ctx, own, before, after); err != nil {
				return err
			}
		}
		if _, err := tx.UpdateTenant(ctx, platformq.UpdateTenantParams{
			ID: before.ID, Name: before.Name, RpID: after.RPID, RpName: before.RPName, Origins: after.Origins,
			DirectTokens: before.DirectTokens, Plan: before.Plan, Region: before.Region, Now: own.Now(),
		}); err != nil {
			return fmt.Errorf("update the reserved tenant: %w", err)
		}
		from, to := differences(before, after)
		return s.record(ctx, own, event.TenantUpdated, audit.Entry{Action: "tenant.update", Before: from, After: to})
	})
	if err == nil && changed {
		s.current.Forget(scope.PlatformTenant, "")
	}
	return err
}

// isConsole reports whether a domain is the console's alone: what is published below it
// would be taken for the console's word. On localhost a developer's tenants share it.
func (s *Service) isConsole(domain string) bool {
	return s.consoleRPID != "" && domain == s.consoleRPID && !rp.IsLocalhost(domain)
}

// checkReserved refuses the console's RP ID to all tenants.
func (s *Service) checkReserved(t Tenant) error {
	if s.isConsole(t.RPID) {
		return invalid("rpId", "is the console's")
	}
	return nil
}
