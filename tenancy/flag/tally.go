package flag

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const (
	// flushEvery is what a server that is killed loses at most. One that is stopped loses nothing.
	flushEvery = 30 * time.Second
	flushFor   = 10 * time.Second // and no longer: the next one goes on
	maxRefused = 20               // times that a tenant's counts wait to be written, before they are let go
	keptFor    = 2 * cacheLife    // a number that no set has: those in use were made, or read again, cacheLife ago at most
	keptDays   = 100              // of counts
)

// tallies count in memory which variants were served. Evaluating adds to a number, and nothing else: Run writes.
type tallies struct {
	flushing sync.Mutex // one at a time

	mu  sync.Mutex
	all map[uuid.UUID]*tally
}

// tally is one tenant's.
type tally struct {
	counts  map[tallyKey]*number
	refused int    // times in a row that it could not be written
	pruned  string // the day on which old counts were deleted last
}

// tallyKey is what is counted apart. An empty variant: none was served.
type tallyKey struct{ environment, flag, variant string }

// number is what programs add to.
type number struct {
	atomic.Int64

	attached time.Time // to the last set
}

// attach gives each program of a set the numbers that it adds to: those of the set before, where there was one. Sets may come in another
// order than they were read in, so that what is not in this one stays: see sweep.
func (t *tallies) attach(tenant uuid.UUID, environment string, set *Set, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.all[tenant]
	if one == nil {
		if len(t.all) >= maxCached {
			return
		}
		one = &tally{counts: map[tallyKey]*number{}}
		t.all[tenant] = one
	}
	of := func(flag, variant string) *atomic.Int64 {
		key := tallyKey{environment, flag, variant}
		n := one.counts[key]
		if n == nil {
			n = new(number)
			one.counts[key] = n
		}
		n.attached = now
		return &n.Int64
	}
	for _, p := range set.programs {
		p.failed = of(p.key, "")
		for i := range p.variants {
			p.variants[i].served = of(p.key, p.variants[i].Name)
		}
	}
}

// sweep lets go of numbers that no set in use adds to any more: of flags and variants that are gone, and of tenants that nobody asks for.
func (t *tallies) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for tenant, one := range t.all {
		maps.DeleteFunc(one.counts, func(_ tallyKey, n *number) bool { return now.Sub(n.attached) > keptFor && n.Load() == 0 })
		if len(one.counts) == 0 {
			delete(t.all, tenant)
		}
	}
}

// Run writes what was counted every 30 seconds, and once more when ctx ends. It returns nil then.
func (s *Service) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.flushed(ctx, log)
		case <-ctx.Done():
			s.flushed(context.WithoutCancel(ctx), log)
			return nil
		}
	}
}

func (s *Service) flushed(ctx context.Context, log *slog.Logger) {
	if kept, err := s.Flush(ctx); err != nil {
		log.WarnContext(ctx, "counts of feature flags wait to be written", "err", err, "count", kept)
	}
}

// Flush writes what was counted, each tenant's by one statement. It keeps what cannot be written for the next time, and returns
// how many evaluations that are, with the last error.
func (s *Service) Flush(ctx context.Context) (kept int64, last error) {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	s.tallies.flushing.Lock()
	defer s.tallies.flushing.Unlock()
	s.tallies.mu.Lock()
	tenants := slices.Collect(maps.Keys(s.tallies.all))
	s.tallies.mu.Unlock()
	for _, tenant := range tenants {
		n, err := s.flushTenant(ctx, tenant)
		if err != nil {
			kept, last = kept+n, err
		}
	}
	s.tallies.sweep(s.store.Now())
	return kept, last
}

// counted is what was counted of one key.
type counted struct {
	tallyKey

	n    int64
	into *atomic.Int64
}

func (s *Service) flushTenant(ctx context.Context, tenant uuid.UUID) (kept int64, err error) {
	s.tallies.mu.Lock()
	one := s.tallies.all[tenant]
	list := make([]counted, 0, len(one.counts))
	for key, n := range one.counts {
		if got := n.Swap(0); got > 0 {
			list = append(list, counted{key, got, &n.Int64})
		}
	}
	s.tallies.mu.Unlock()
	if len(list) == 0 {
		return 0, nil
	}
	slices.SortFunc(list, func(a, b counted) int {
		return cmp.Or(cmp.Compare(a.environment, b.environment), cmp.Compare(a.flag, b.flag), cmp.Compare(a.variant, b.variant))
	})
	now := s.store.Now()
	add := tenantq.AddFlagCountsParams{Day: now.UTC().Truncate(24 * time.Hour), Now: now}
	for _, c := range list {
		add.Environments, add.FlagKeys, add.Variants, add.Served = append(add.Environments, c.environment), append(add.FlagKeys, c.flag), append(add.Variants, c.variant), append(add.Served, c.n)
		kept += c.n
	}
	today := add.Day.Format(time.DateOnly)
	err = s.store.InTenant(ctx, scope.New(tenant, scope.Actor{Kind: scope.ActorSystem, ID: "flags"}), func(tx *db.TenantTx) error {
		if err := tx.AddFlagCounts(ctx, add); err != nil {
			return fmt.Errorf("add flag counts: %w", err)
		}
		if one.pruned == today {
			return nil
		}
		if err := tx.DeleteFlagCounts(ctx, add.Day.AddDate(0, 0, -keptDays)); err != nil {
			return fmt.Errorf("delete flag counts: %w", err)
		}
		return nil
	})
	if err == nil {
		one.pruned, one.refused = today, 0
		return 0, nil
	}
	if one.refused++; one.refused >= maxRefused { // of a tenant that is gone
		one.refused = 0
		return kept, err
	}
	for _, c := range list {
		c.into.Add(c.n)
	}
	return kept, err
}

// Usage is how a flag was evaluated in an environment.
type Usage struct {
	Days   int              // how many days Served is of, today among them
	Served map[string]int64 // by variant; of "" none, since the caller's default applied
	Last   *time.Time       // when it was evaluated last, to half a minute; nil: never

	first map[string]time.Time // the first day of which counts are kept, by variant
}

// Total is how often it was evaluated.
func (u *Usage) Total() (n int64) {
	for _, one := range u.Served {
		n += one
	}
	return n
}

// usageDays are those of Usage, where nobody says how many.
const usageDays = 7

// Usage returns how flags were evaluated in an environment in the last seven days, by key. A flag that never was is not in it.
// ErrEnvironment.
func (s *Service) Usage(ctx context.Context, sc scope.Scope, environment string) (map[string]Usage, error) {
	environment, err := Environment(environment)
	if err != nil {
		return nil, err
	}
	all, err := s.usage(ctx, sc, usageDays)
	return all[environment], err
}

// usage is that of all environments.
func (s *Service) usage(ctx context.Context, sc scope.Scope, days int) (map[string]map[string]Usage, error) {
	out := map[string]map[string]Usage{}
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		clear(out)
		rows, err := tx.SumFlagCounts(ctx, tx.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-days))
		if err != nil {
			return fmt.Errorf("sum flag counts: %w", err)
		}
		for i := range rows {
			r := &rows[i]
			here := out[r.Environment]
			if here == nil {
				here = map[string]Usage{}
				out[r.Environment] = here
			}
			u, ok := here[r.FlagKey]
			if !ok {
				u = Usage{Days: days, Served: map[string]int64{}, first: map[string]time.Time{}}
			}
			if u.first[r.Variant] = r.FirstDay; r.Served > 0 {
				u.Served[r.Variant] = r.Served
			}
			if u.Last == nil || r.LastAt.After(*u.Last) {
				u.Last = &r.LastAt
			}
			here[r.FlagKey] = u
		}
		return nil
	})
	return out, err
}
