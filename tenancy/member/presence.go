package member

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
)

// Presence is what is known of how somebody signs in to the console. It belongs to the
// person, not to a tenant: they may have been at work in another one.
type Presence struct {
	LastSeenAt *time.Time // to a minute; nil: never, or their last session is forgotten
	Passkeys   int        // with which they can sign in
}

// Presences returns what is known of the members' persons, by their ids, in two queries for
// however many. Whoever has neither been seen nor has a passkey is not in it.
func (s *Service) Presences(ctx context.Context, members []Member) (map[uuid.UUID]Presence, error) {
	people := make([]uuid.UUID, len(members))
	for i := range members {
		people[i] = members[i].PersonID
	}
	found := make(map[uuid.UUID]Presence, len(people))
	err := s.store.ReadTenant(ctx, ownScope(), func(tx *db.TenantTx) error {
		seen, err := tx.ListLastSeenOfPeople(ctx, people)
		if err != nil {
			return fmt.Errorf("list last seen: %w", err)
		}
		for _, row := range seen {
			found[row.UserID] = Presence{LastSeenAt: &row.LastSeenAt}
		}
		held, err := tx.CountPasskeysOfPeople(ctx, people)
		if err != nil {
			return fmt.Errorf("count passkeys: %w", err)
		}
		for _, row := range held {
			p := found[row.UserID]
			p.Passkeys = int(row.Passkeys)
			found[row.UserID] = p
		}
		return nil
	})
	return found, err
}
