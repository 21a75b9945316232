package siem

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const (
	// lookEvery is how long an entry waits in its log at most before a server that has time sends it.
	lookEvery = time.Second
	// sumEvery is how current the metrics of all streams are.
	sumEvery = 15 * time.Second
	// maxAtOnce bounds deliveries of one server, and maxFailing those of streams that are failing, apart:
	// a sink that answers slowly holds a place once, and then only other failing ones up.
	maxAtOnce  = 48
	maxFailing = 16
)

// Stats is what this server has delivered since it began, and how all streams are.
type Stats struct {
	Sent, Rejected  int64 // entries, of this server
	Blocked         int64 // entries, by rules, of this server
	Failed          int64 // deliveries, of this server
	Active, Failing int64 // streams of all, some seconds ago
	Behind          int64 // entries that they have not sent, as then
}

// dispatcher runs deliveries of the streams that are due.
type dispatcher struct {
	*Service

	group sync.WaitGroup
	mu    sync.Mutex
	busy  map[uuid.UUID]bool // by stream: whether it was failing
	slots [2]int             // that are taken: of healthy streams, of failing ones
}

// sums are what Stats tells of all streams.
type sums struct{ active, failing, behind atomic.Int64 }

// Stats returns what was done, for metrics.
func (s *Service) Stats() Stats {
	return Stats{
		Sent: s.counts.sent.Load(), Rejected: s.counts.rejected.Load(), Blocked: s.counts.blocked.Load(), Failed: s.counts.failed.Load(),
		Active: s.sums.active.Load(), Failing: s.sums.failing.Load(), Behind: s.sums.behind.Load(),
	}
}

// Run delivers until ctx is done. Errors are logged and tried again.
func (s *Service) Run(ctx context.Context) error {
	d := &dispatcher{Service: s, busy: map[uuid.UUID]bool{}}
	defer d.group.Wait()
	summed := time.Time{}
	for ctx.Err() == nil {
		err := d.dispatch(ctx)
		if err == nil && time.Since(summed) > sumEvery {
			summed = time.Now()
			err = s.sum(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "log streams not looked at", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		}
	}
	return nil
}

// dispatch begins a delivery of each stream that is due, as far as there are places.
func (d *dispatcher) dispatch(ctx context.Context) error {
	for failing, most := range []int{maxAtOnce, maxFailing} {
		d.mu.Lock()
		free := most - d.slots[failing]
		d.mu.Unlock()
		if free <= 0 {
			continue
		}
		var due []platformq.ListSinksDueRow
		err := d.store.InPlatform(ctx, "look for log streams that are due", func(tx *db.PlatformTx) (err error) {
			due, err = tx.ListSinksDue(ctx, platformq.ListSinksDueParams{Now: d.store.Now(), Failing: failing == 1, MaxRows: int32(free)}) //nolint:gosec // bounded
			return err
		})
		if err != nil {
			return fmt.Errorf("list log streams that are due: %w", err)
		}
		for _, row := range due {
			d.begin(ctx, row.TenantID, row.ID, failing)
		}
	}
	return nil
}

func (d *dispatcher) begin(ctx context.Context, tenant, id uuid.UUID, failing int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy[id] {
		return
	}
	d.busy[id] = true
	d.slots[failing]++
	d.group.Go(func() {
		defer func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			delete(d.busy, id)
			d.slots[failing]--
		}()
		err := d.Deliver(ctx, scope.New(tenant, scope.Actor{Kind: scope.ActorSystem, ID: "logstream"}), id)
		var refused *SinkError
		if err != nil && ctx.Err() == nil && !errors.As(err, &refused) { // a failure stands on the stream, which its tenant sees
			d.log.ErrorContext(ctx, "log stream not delivered", "err", err)
		}
	})
}

func (s *Service) sum(ctx context.Context) error {
	return s.store.InPlatform(ctx, "sum up log streams", func(tx *db.PlatformTx) error {
		row, err := tx.SumSinks(ctx)
		if err != nil {
			return fmt.Errorf("sum up log streams: %w", err)
		}
		s.sums.active.Store(row.Active)
		s.sums.failing.Store(row.Failing)
		s.sums.behind.Store(row.Behind)
		return nil
	})
}
