package member

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Browser is one that a person is signed in with, for the person's eyes.
type Browser struct {
	ID         uuid.UUID  // of the session in the reserved tenant, by which it is ended
	Address    netip.Addr // where the sign-in came from; invalid when not known
	UserAgent  string     // what the browser calls itself
	CreatedAt  time.Time  // the sign-in
	LastSeenAt time.Time
}

// Browsers returns those with which a person is signed in now, the newest sign-in first,
// at most 200: what Find would find.
func (s *Service) Browsers(ctx context.Context, person uuid.UUID) ([]Browser, error) {
	var all []Browser
	err := s.store.ReadTenant(ctx, platform(person, scope.Origin{}), func(tx *db.TenantTx) error {
		now := tx.Now()
		rows, err := tx.ListConsoleSessionsOfPerson(ctx, tenantq.ListConsoleSessionsOfPersonParams{
			PersonID: person, Now: now, SignedInSince: now.Add(-fullLife), IdleSince: now.Add(-idleLife),
		})
		if err != nil {
			return fmt.Errorf("list console sessions: %w", err)
		}
		all = make([]Browser, len(rows))
		for i, row := range rows {
			all[i] = Browser{ID: row.ID, UserAgent: row.UserAgent, CreatedAt: row.CreatedAt, LastSeenAt: row.LastSeenAt}
			if row.Address != nil {
				all[i].Address = *row.Address
			}
		}
		return nil
	})
	return all, err
}
