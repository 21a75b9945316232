package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"github.com/biocore-id/biocore/authcore/tail"
)

// ObserveTail adds the numbers of live streams to the metrics, read when somebody asks for them.
func (t *telemetry) ObserveTail(stats func() tail.Stats) error {
	meter := t.Meter.Meter("github.com/biocore-id/biocore/authcore/tail")
	counters := []struct {
		name, what string
		of         func(tail.Stats) int64
	}{
		{"biocore.tail.opened", "Live streams that were opened.", func(s tail.Stats) int64 { return s.Opened }},
		{"biocore.tail.refused", "Live streams that were refused: too many were open.", func(s tail.Stats) int64 { return s.Refused }},
		{"biocore.tail.slow", "Live streams that were ended because they were read too slowly.", func(s tail.Stats) int64 { return s.Slow }},
		{"biocore.tail.gaps", "Times that live streams left out, and said so.", func(s tail.Stats) int64 { return s.Gaps }},
		{"biocore.tail.published", "Begins and ends of ceremonies that other servers were told of.", func(s tail.Stats) int64 { return s.Published }},
		{"biocore.tail.dropped", "Begins and ends that nobody was told of: too many, or Redis was away.", func(s tail.Stats) int64 { return s.Dropped }},
	}
	open, err := meter.Int64ObservableGauge("biocore.tail.open", metric.WithDescription("Live streams."))
	if err != nil {
		return fmt.Errorf("tail metrics: %w", err)
	}
	all := []metric.Observable{open}
	observed := make([]metric.Int64ObservableCounter, len(counters))
	for i, c := range counters {
		if observed[i], err = meter.Int64ObservableCounter(c.name, metric.WithDescription(c.what)); err != nil {
			return fmt.Errorf("tail metrics: %w", err)
		}
		all = append(all, observed[i])
	}
	if _, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		now := stats()
		o.ObserveInt64(open, int64(now.Open))
		for i, c := range counters {
			o.ObserveInt64(observed[i], c.of(now))
		}
		return nil
	}, all...); err != nil {
		return fmt.Errorf("tail metrics: %w", err)
	}
	return nil
}
