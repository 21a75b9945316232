package stats

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
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
	// maxFaultKeys bounds the memory while the database cannot be written to: past it faults
	// are counted without their tenant, and past as much again not at all.
	maxFaultKeys = 4096
)

// Faults counts calls of ceremonies that end by a fault of ours: what ends so leaves no
// row, and is often what keeps a row from being written. Counts are this process's until Run
// has written them; what cannot be written is kept and tried again. A commit whose answer is
// lost is written again, too: better some faults twice than none.
type Faults struct {
	store *db.Store
	log   *slog.Logger

	mu     sync.Mutex
	counts map[faultKey]int64
	lost   int64
}

type faultKey struct {
	tenant uuid.UUID
	at     int64 // Unix seconds, when the five minutes begin
}

// NewFaults returns a counter. Call Run, or nothing is ever written.
func NewFaults(store *db.Store, log *slog.Logger) *Faults {
	return &Faults{store: store, log: log, counts: map[faultKey]int64{}}
}

// Count counts one; of a zero tenant: nobody could tell whose call it was. It is safe for
// concurrent use, and waits for no store.
func (f *Faults) Count(tenant uuid.UUID) {
	if tenant == uuid.Nil {
		tenant = scope.PlatformTenant
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(faultKey{tenant, f.store.Now().Truncate(fine).Unix()}, 1)
}

// add is under the lock.
func (f *Faults) add(key faultKey, n int64) {
	if _, known := f.counts[key]; !known && len(f.counts) >= maxFaultKeys {
		key.tenant = scope.PlatformTenant
		if _, known := f.counts[key]; !known && len(f.counts) >= 2*maxFaultKeys {
			f.lost += n
			return
		}
	}
	f.counts[key] += n
}

// Run writes every 30 seconds, and once more when ctx ends. It returns nil when ctx ends.
func (f *Faults) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.Flush(ctx)
		case <-ctx.Done():
			f.Flush(context.WithoutCancel(ctx))
			return nil
		}
	}
}

// Flush writes what was counted, each tenant's by one statement, and keeps what cannot be.
func (f *Faults) Flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	f.mu.Lock()
	counts, lost := f.counts, f.lost
	f.counts, f.lost = map[faultKey]int64{}, 0
	f.mu.Unlock()
	if lost > 0 {
		f.log.ErrorContext(ctx, "faults of ceremonies were not counted: too many to keep", "count", lost)
	}
	byTenant := map[uuid.UUID]tenantq.AddStatsFaultsParams{}
	for key, n := range counts {
		p := byTenant[key.tenant]
		p.Ats, p.Faults = append(p.Ats, time.Unix(key.at, 0).UTC()), append(p.Faults, n)
		byTenant[key.tenant] = p
	}
	var kept int
	var last error
	for tenant, p := range byTenant {
		err := f.write(ctx, tenant, p)
		if err == nil {
			continue
		}
		last = err
		f.mu.Lock()
		for i, at := range p.Ats {
			f.add(faultKey{tenant, at.Unix()}, p.Faults[i])
			kept++
		}
		f.mu.Unlock()
	}
	if last != nil {
		f.log.WarnContext(ctx, "faults of ceremonies wait to be written", "err", last, "count", kept)
	}
}

func (f *Faults) write(ctx context.Context, tenant uuid.UUID, p tenantq.AddStatsFaultsParams) error {
	sc := scope.New(tenant, scope.Actor{Kind: scope.ActorSystem, ID: "stats"})
	return f.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if err := tx.AddStatsFaults(ctx, p); err != nil {
			return fmt.Errorf("add faults: %w", err)
		}
		return nil
	})
}
