package main

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/biocore-id/biocore/db"
)

// observed is what a store tells of itself.
type observed interface {
	SignInStats() db.SignInStats
	AdmissionStats() db.AdmissionStats
	PlatformCalls() int64
	Skew() time.Duration
	Fresh() bool
}

// ObserveStore adds the store's own numbers to the metrics. They are read when
// somebody asks for them, and cost the hot path nothing.
func (t *telemetry) ObserveStore(store observed) error {
	meter := t.Meter.Meter("github.com/biocore-id/biocore/db")
	var failed error
	counter := func(name, what string) metric.Int64ObservableCounter {
		c, err := meter.Int64ObservableCounter(name, metric.WithDescription(what))
		if err != nil && failed == nil {
			failed = err
		}
		return c
	}
	gauge := func(name, what string) metric.Int64ObservableGauge {
		g, err := meter.Int64ObservableGauge(name, metric.WithDescription(what))
		if err != nil && failed == nil {
			failed = err
		}
		return g
	}
	var (
		batches  = counter("biocore.sign_in.batches", "Transactions that committed sign-ins.")
		rows     = counter("biocore.sign_in.rows", "Sign-ins that went into them: rows by batches is how well they share.")
		failures = counter("biocore.sign_in.failures", "Transactions of sign-ins that Postgres refused or that were lost.")
		waiting  = gauge("biocore.sign_in.waiting", "Sign-ins that wait for a commit.")
		admitted = counter("biocore.store.admitted", "Transactions of tenants that were given a connection.")
		waited   = counter("biocore.store.waited", "Transactions that had to wait for one.")
		shed     = counter("biocore.store.shed", "Transactions that were refused for want of room, by why: full, or late after waiting.")
		running  = gauge("biocore.store.running", "Transactions of tenants that hold a connection.")
		queued   = gauge("biocore.store.queued", "Transactions that wait for a connection, by their priority.")
		platform = counter("biocore.store.platform_calls", "Transactions that crossed the tenant wall.")
		stale    = gauge("biocore.store.feed_stale", "1 while the change feed is silent and caches are not believed.")
	)
	skew, err := meter.Float64ObservableGauge("biocore.store.clock_skew", metric.WithUnit("s"),
		metric.WithDescription("How far Postgres's clock is ahead of this machine's."))
	if err != nil {
		failed = err
	}
	waitTime, err := meter.Float64ObservableCounter("biocore.store.wait_time", metric.WithUnit("s"),
		metric.WithDescription("How long transactions waited for a connection, all together: by biocore.store.waited it is the mean."))
	if err != nil {
		failed = err
	}
	if failed != nil {
		return fmt.Errorf("store metrics: %w", failed)
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		stats := store.SignInStats()
		o.ObserveInt64(batches, stats.Batches)
		o.ObserveInt64(rows, stats.Rows)
		o.ObserveInt64(failures, stats.Failed)
		o.ObserveInt64(waiting, int64(stats.Waiting))
		a := store.AdmissionStats()
		o.ObserveInt64(admitted, a.Admitted)
		o.ObserveInt64(waited, a.Waited)
		o.ObserveFloat64(waitTime, a.WaitTime.Seconds())
		o.ObserveInt64(shed, a.Full, metric.WithAttributes(attribute.String("why", "full")))
		o.ObserveInt64(shed, a.Late, metric.WithAttributes(attribute.String("why", "late")))
		o.ObserveInt64(running, int64(a.Running))
		for p, name := range [...]string{"urgent", "ordinary", "patient"} {
			o.ObserveInt64(queued, int64(a.Waiting[p]), metric.WithAttributes(attribute.String("priority", name)))
		}
		o.ObserveInt64(platform, store.PlatformCalls())
		o.ObserveFloat64(skew, store.Skew().Seconds())
		o.ObserveInt64(stale, map[bool]int64{false: 1}[store.Fresh()])
		return nil
	}, batches, rows, failures, waiting, admitted, waited, waitTime, shed, running, queued, platform, skew, stale)
	if err != nil {
		return fmt.Errorf("store metrics: %w", err)
	}
	return nil
}
