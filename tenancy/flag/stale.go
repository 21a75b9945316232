package flag

import (
	"context"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrDays refuses a number of days. Its Reason is part of the public API.
var ErrDays = fault.New(fault.Invalid, "FLAG_DAYS_INVALID", "a flag is stale after 1 to 90 days")

// StaleDays are those after which a flag is stale, where nobody says how many.
const StaleDays = 30

// Staleness is why a flag may be taken out of the code.
type Staleness string

// The reasons, all but Overdue for as many days as were asked for.
const (
	NeverEvaluated Staleness = "NEVER_EVALUATED" // made that long ago, and evaluated nowhere since
	NotEvaluated   Staleness = "NOT_EVALUATED"   // evaluated before, and nowhere since
	SingleVariant  Staleness = "SINGLE_VARIANT"  // everybody got the same, wherever it was evaluated
	OffEverywhere  Staleness = "OFF_EVERYWHERE"  // off in all environments, and not changed
	Overdue        Staleness = "OVERDUE"         // the day by which it should be gone is over, however many days are asked for
)

// Stale is a flag that may be taken out of the code, or be deleted.
type Stale struct {
	Key, Name, Owner string
	Reasons          []Staleness // at least one
	Variant          string      // of SingleVariant, where it is one in all environments
	Last             *time.Time  // when it was evaluated last; nil: never
}

// Stale returns the flags that are stale after days, or overdue, by key. Counts are kept for 100 days, and those of a minute may be missing. ErrDays.
func (s *Service) Stale(ctx context.Context, sc scope.Scope, days int) ([]Stale, error) {
	if days == 0 {
		days = StaleDays
	}
	if days < 1 || days > 90 {
		return nil, ErrDays
	}
	used, err := s.usage(ctx, sc, days)
	if err != nil {
		return nil, err
	}
	// Flags come and go between one environment's reading and the next: the first says which there are, and the others are found by key.
	var flags []Stored
	elsewhere := map[string][]Stored{} // by key
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		clear(elsewhere)
		for i, environment := range Environments() {
			all, err := list(ctx, tx, environment)
			if err != nil {
				return err
			}
			if i == 0 {
				flags = all
				continue
			}
			for j := range all {
				elsewhere[all[j].Key] = append(elsewhere[all[j].Key], all[j])
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	now := s.store.Now()
	since, today := now.AddDate(0, 0, -days), now.UTC().Truncate(24*time.Hour)
	var out []Stale
	for i := range flags {
		f := &flags[i]
		one := Stale{Key: f.Key, Name: f.Name, Owner: f.Owner}
		off, changed := !f.Enabled, f.UpdatedAt
		for _, there := range elsewhere[f.Key] {
			off = off && !there.Enabled
			if there.UpdatedAt.After(changed) {
				changed = there.UpdatedAt
			}
		}
		for _, environment := range Environments() {
			if u, ok := used[environment][f.Key]; ok && (one.Last == nil || u.Last.After(*one.Last)) {
				one.Last = u.Last
			}
		}
		switch {
		case one.Last == nil && f.CreatedAt.Before(since):
			one.Reasons = append(one.Reasons, NeverEvaluated)
		case one.Last != nil && one.Last.Before(since):
			one.Reasons = append(one.Reasons, NotEvaluated)
		case one.Last != nil:
			var single bool
			if one.Variant, single = soleVariant(used, f.Key, since); single {
				one.Reasons = append(one.Reasons, SingleVariant)
			}
		}
		if off && changed.Before(since) {
			one.Reasons = append(one.Reasons, OffEverywhere)
		}
		if f.RemoveBy != nil && f.RemoveBy.Before(today) {
			one.Reasons = append(one.Reasons, Overdue)
		}
		if len(one.Reasons) > 0 {
			out = append(out, one)
		}
	}
	return out, nil
}

// soleVariant reports a flag of which everybody got one variant, in each environment in which it was evaluated, since then or before; and
// that variant, where it is the same in all of them.
func soleVariant(used map[string]map[string]Usage, key string, since time.Time) (variant string, single bool) {
	same := true
	for _, environment := range Environments() {
		u, ok := used[environment][key]
		if !ok || u.Total() == 0 {
			continue
		}
		if len(u.Served) > 1 {
			return "", false
		}
		for name := range u.Served {
			if name == "" || u.first[name].After(since) {
				return "", false
			}
			same = same && (variant == "" || variant == name)
			variant, single = name, true
		}
	}
	if !same {
		variant = ""
	}
	return variant, single
}
