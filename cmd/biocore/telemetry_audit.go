package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"github.com/biocore-id/biocore/tenancy/audit/sequencer"
)

// ObserveAudit adds what the sequencer of audit logs tells of itself to the metrics.
func (t *telemetry) ObserveAudit(stats func() sequencer.Stats) error {
	meter := t.Meter.Meter("github.com/biocore-id/biocore/tenancy/audit")
	moved, err := meter.Int64ObservableCounter("biocore.audit.sequenced", metric.WithDescription("Audit entries that this server moved into their logs."))
	if err != nil {
		return fmt.Errorf("audit metrics: %w", err)
	}
	lag, err := meter.Float64ObservableGauge("biocore.audit.lag", metric.WithUnit("s"),
		metric.WithDescription("How long after its commit an audit entry is not yet in its log, and so not tamper-evident."))
	if err != nil {
		return fmt.Errorf("audit metrics: %w", err)
	}
	if _, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := stats()
		o.ObserveInt64(moved, s.Moved)
		o.ObserveFloat64(lag, s.Lag.Seconds())
		return nil
	}, moved, lag); err != nil {
		return fmt.Errorf("audit metrics: %w", err)
	}
	return nil
}
