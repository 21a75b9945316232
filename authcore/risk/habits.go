package risk

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// usualShare is from which part of the sign-ins on an hour of the day is usual, of hoursShares.
const usualShare = hoursShares / 20

// Habits is what a user's sign-ins are like, for people. Names of devices, countries and networks are those of the last 180 days, at
// most 16 of each, the ones seen last first.
type Habits struct {
	SignIns   int       // that were let in; at most 1000
	LastAt    time.Time // of the last one that was written down
	Devices   []string  // kinds of browser and system, as "Chrome on Windows"
	Countries []string  // ISO 3166-1 alpha-2
	Networks  []string  // numbers of autonomous systems
	Hours     []int     // of the day, UTC, 0 to 23: those with a twentieth of the sign-ins or more
}

// Habits returns what Postgres knows of a user's sign-ins: up to a day old, where there was no news since. ok is false where nothing is
// known. Who looks at a tenant as its operator's support is refused by the wall.
func (s *Service) Habits(ctx context.Context, sc scope.Scope, user uuid.UUID) (h Habits, ok bool, err error) {
	err = s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetRiskProfile(ctx, user)
		if db.IsNoRows(err) {
			ok = false
			return nil
		} else if err != nil {
			return fmt.Errorf("get risk profile: %w", err)
		}
		p, err := parseProfile(row.Profile)
		if err != nil {
			return err
		}
		h, ok = p.habits(), true
		return nil
	})
	return h, ok, err
}

func (p *profile) habits() Habits {
	h := Habits{
		SignIns: p.SignIns, LastAt: time.Unix(p.Last, 0).UTC(),
		Devices: lastFirst(p.Devices), Countries: lastFirst(p.Countries), Networks: lastFirst(p.Networks),
	}
	for hour, share := range p.Hours {
		if share >= usualShare {
			h.Hours = append(h.Hours, hour)
		}
	}
	return h
}

func lastFirst(days map[string]int) []string {
	return slices.SortedFunc(maps.Keys(days), func(a, b string) int { return cmp.Or(cmp.Compare(days[b], days[a]), cmp.Compare(a, b)) })
}
