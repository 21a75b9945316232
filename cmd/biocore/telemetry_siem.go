package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"github.com/biocore-id/biocore/tenancy/siem"
)

// ObserveStreams adds what log streams tell of themselves to the metrics. Which stream of whom fails, its
// tenant sees: labels hold no tenant.
func (t *telemetry) ObserveStreams(stats func() siem.Stats) error {
	meter := t.Meter.Meter("github.com/biocore-id/biocore/tenancy/siem")
	var instruments []metric.Observable
	var observe []func(metric.Observer, *siem.Stats)
	for _, c := range []struct {
		name, says string
		of         func(*siem.Stats) int64
	}{
		{"biocore.logstreams.sent", "Audit entries that sinks acknowledged to this server.", func(s *siem.Stats) int64 { return s.Sent }},
		{"biocore.logstreams.rejected", "Audit entries that sinks refused for good to this server.", func(s *siem.Stats) int64 { return s.Rejected }},
		{"biocore.logstreams.blocked", "Audit entries that a stream's rules kept from being sent.", func(s *siem.Stats) int64 { return s.Blocked }},
		{"biocore.logstreams.failures", "Deliveries of this server that failed and are tried again.", func(s *siem.Stats) int64 { return s.Failed }},
	} {
		i, err := meter.Int64ObservableCounter(c.name, metric.WithDescription(c.says))
		if err != nil {
			return fmt.Errorf("log stream metrics: %w", err)
		}
		instruments = append(instruments, i)
		observe = append(observe, func(o metric.Observer, s *siem.Stats) { o.ObserveInt64(i, c.of(s)) })
	}
	for _, g := range []struct {
		name, says string
		of         func(*siem.Stats) int64
	}{
		{"biocore.logstreams.active", "Log streams of all tenants that are not paused.", func(s *siem.Stats) int64 { return s.Active }},
		{"biocore.logstreams.failing", "Active log streams of all tenants whose last delivery failed.", func(s *siem.Stats) int64 { return s.Failing }},
		{"biocore.logstreams.lag", "Audit entries that all active log streams together have still to send.", func(s *siem.Stats) int64 { return s.Behind }},
	} {
		i, err := meter.Int64ObservableGauge(g.name, metric.WithDescription(g.says))
		if err != nil {
			return fmt.Errorf("log stream metrics: %w", err)
		}
		instruments = append(instruments, i)
		observe = append(observe, func(o metric.Observer, s *siem.Stats) { o.ObserveInt64(i, g.of(s)) })
	}
	if _, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := stats()
		for _, fn := range observe {
			fn(o, &s)
		}
		return nil
	}, instruments...); err != nil {
		return fmt.Errorf("log stream metrics: %w", err)
	}
	return nil
}
