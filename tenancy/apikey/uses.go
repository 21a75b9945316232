package apikey

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Last uses are told to the minute, and written apart from the calls: a write for
// each call would double the work of the calls themselves.
const (
	useGrain   = time.Minute
	flushEvery = 10 * time.Second
)

type use struct {
	tenant uuid.UUID
	keyID  int64
}

// uses remembers which keys were used since they were last told.
type uses struct {
	mu  sync.RWMutex
	at  map[use]time.Time // the last use that was told or is to be
	due map[use]time.Time // not told yet
}

func (u *uses) note(tenant uuid.UUID, keyID int64, now time.Time) {
	k := use{tenant, keyID}
	u.mu.RLock()
	last := u.at[k]
	u.mu.RUnlock()
	if now.Sub(last) < useGrain {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.at[k] = now
	if u.due == nil {
		u.due = map[use]time.Time{}
	}
	u.due[k] = now
}

func (u *uses) take() map[use]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	due := u.due
	u.due = nil
	if len(u.at) > maxKnown {
		clear(u.at) // each key is told once more than needed
	}
	return due
}

// Run writes last uses until ctx ends, then writes what is left and returns nil.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			s.flush(last)
			return nil
		case <-tick.C:
			s.flush(ctx)
		}
	}
}

// flush loses what cannot be written: the next use a minute later tells it again.
func (s *Service) flush(ctx context.Context) {
	for k, at := range s.uses.take() {
		sc := scope.New(k.tenant, scope.Actor{Kind: scope.ActorSystem, ID: "last use"})
		err := s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
			return tx.TouchAPIKey(ctx, tenantq.TouchAPIKeyParams{UsedAt: at, KeyID: k.keyID})
		})
		if err != nil {
			return // Postgres is away: whatever else needs it says so
		}
	}
}
