package main

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/biocore-id/biocore/tenancy/ratelimit"
)

// ObserveLimits adds what rate limits do to the metrics.
func (t *telemetry) ObserveLimits(stats func() ratelimit.Stats) error {
	meter := t.Meter.Meter("github.com/biocore-id/biocore/tenancy/ratelimit")
	refused, err := meter.Int64ObservableCounter("biocore.limits.refused", metric.WithDescription("Calls that a limit refused, by the limit."))
	counters, err2 := meter.Int64ObservableGauge("biocore.limits.counters", metric.WithDescription("Counters that this server remembers, of at most 131072."))
	exchanges, err3 := meter.Int64ObservableCounter("biocore.limits.exchanges", metric.WithDescription("Round trips to Redis for limits."))
	failures, err4 := meter.Int64ObservableCounter("biocore.limits.failures", metric.WithDescription("Round trips that failed."))
	alone, err5 := meter.Int64ObservableGauge("biocore.limits.alone", metric.WithDescription("1 while this server counts by itself, for Redis is gone."))
	if err := errors.Join(err, err2, err3, err4, err5); err != nil {
		return fmt.Errorf("limit metrics: %w", err)
	}
	if _, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := stats()
		for name, n := range s.Refused {
			o.ObserveInt64(refused, n, metric.WithAttributes(attribute.String("limit", name)))
		}
		o.ObserveInt64(counters, int64(s.Counters))
		o.ObserveInt64(exchanges, s.Exchanges)
		o.ObserveInt64(failures, s.Failures)
		o.ObserveInt64(alone, map[bool]int64{true: 1}[s.Alone])
		return nil
	}, refused, counters, exchanges, failures, alone); err != nil {
		return fmt.Errorf("limit metrics: %w", err)
	}
	return nil
}
