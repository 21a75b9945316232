package user

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Profiles returns who users are, read at once: at most MaxProfiles of them, each id once or more
// often. Whoever is gone is not in it, and whoever does not open is with empty names: a page
// that names many people does not fail for one.
func (s *Service) Profiles(ctx context.Context, sc scope.Scope, ids []ID) (map[ID]Profile, error) {
	found := make(map[ID]Profile, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	if len(ids) > MaxProfiles {
		return nil, fmt.Errorf("profiles of %d users, more than %d", len(ids), MaxProfiles)
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	asked := make([]uuid.UUID, len(ids))
	for i, id := range ids {
		asked[i] = id.UUID()
	}
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.GetProfiles(ctx, asked)
		if err != nil {
			return fmt.Errorf("get profiles: %w", err)
		}
		for _, row := range rows {
			p, err := OpenProfile(ring, ID(row.ID), row.ProfileSealed)
			if err != nil {
				p = Profile{}
			}
			found[ID(row.ID)] = p
		}
		return nil
	})
	return found, err
}

// Names returns what users are called, however many, in queries of MaxProfiles each. Whoever is
// gone is not in it.
func (s *Service) Names(ctx context.Context, sc scope.Scope, ids []uuid.UUID) (map[uuid.UUID]string, error) {
	names := make(map[uuid.UUID]string, len(ids))
	for some := range slices.Chunk(ids, MaxProfiles) {
		asked := make([]ID, len(some))
		for i, id := range some {
			asked[i] = ID(id)
		}
		found, err := s.Profiles(ctx, sc, asked)
		if err != nil {
			return nil, err
		}
		for id, p := range found {
			names[id.UUID()] = p.Name
		}
	}
	return names, nil
}

// MaxProfiles bounds what is opened at once: a millisecond of it.
const MaxProfiles = 1000

// Totals is about how many users a tenant has.
type Totals struct {
	Users    int  // counted up to MaxTotals
	Enrolled int  // of Users: who have a passkey that can sign in
	More     bool // there are more than were counted
}

// MaxTotals is how far users are counted: some milliseconds of an index. What is estimated of
// a table would tell one tenant of the others.
const MaxTotals = 10_000

// Count counts users up to MaxTotals, those with a passkey first.
func (s *Service) Count(ctx context.Context, sc scope.Scope) (Totals, error) {
	var t Totals
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.CountUserFacts(ctx, MaxTotals+1)
		if err != nil {
			return fmt.Errorf("count users: %w", err)
		}
		t = Totals{Users: int(row.Users), Enrolled: int(row.Enrolled)}
		if t.More = t.Users > MaxTotals; t.More {
			t.Users, t.Enrolled = MaxTotals, min(t.Enrolled, MaxTotals)
		}
		return nil
	})
	return t, err
}
