package main

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"github.com/biocore-id/biocore/tenancy/audit/anchor"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
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

// ObserveAnchors adds what becomes of the heads of audit logs to the metrics.
func (t *telemetry) ObserveAnchors(stats func() anchor.Stats) error {
	meter := t.Meter.Meter("github.com/biocore-id/biocore/tenancy/audit/anchor")
	age, err := meter.Float64ObservableGauge("biocore.audit.anchor.age", metric.WithUnit("s"),
		metric.WithDescription("How old the last anchor of the heads of audit logs is, of all servers' together."))
	locked, err2 := meter.Int64ObservableGauge("biocore.audit.anchor.locked",
		metric.WithDescription("Whether object storage shows a lock of the last anchor: 1, or 0."))
	refused, err3 := meter.Int64ObservableGauge("biocore.audit.anchor.contradictions",
		metric.WithDescription("Audit logs that contradict what was anchored of them: somebody has changed them past every lock."))
	failures, err4 := meter.Int64ObservableCounter("biocore.audit.anchor.failures",
		metric.WithDescription("Times that this server could not anchor."))
	if err := errors.Join(err, err2, err3, err4); err != nil {
		return fmt.Errorf("anchor metrics: %w", err)
	}
	if _, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := stats()
		o.ObserveFloat64(age, s.Age.Seconds())
		if s.Locked {
			o.ObserveInt64(locked, 1)
		} else {
			o.ObserveInt64(locked, 0)
		}
		o.ObserveInt64(refused, int64(s.Refused))
		o.ObserveInt64(failures, s.Failures)
		return nil
	}, age, locked, refused, failures); err != nil {
		return fmt.Errorf("anchor metrics: %w", err)
	}
	return nil
}

// ObserveArchives adds what becomes of old entries of audit logs to the metrics.
func (t *telemetry) ObserveArchives(stats func() cold.Stats) error {
	meter := t.Meter.Meter("github.com/biocore-id/biocore/tenancy/audit/cold")
	entries, err := meter.Int64ObservableCounter("biocore.audit.archive.entries", metric.WithDescription("Audit entries that this server has archived in object storage."))
	bytes, err2 := meter.Int64ObservableCounter("biocore.audit.archive.bytes", metric.WithUnit("By"), metric.WithDescription("Size of the archives that this server has stored."))
	failures, err3 := meter.Int64ObservableCounter("biocore.audit.archive.failures", metric.WithDescription("Times that this server could not archive what was due of a tenant's audit log."))
	behind, err4 := meter.Float64ObservableGauge("biocore.audit.archive.behind", metric.WithUnit("s"),
		metric.WithDescription("For how long audit entries of the tenant that is most behind could have been archived, as this server saw it last."))
	if err = errors.Join(err, err2, err3, err4); err != nil {
		return fmt.Errorf("archive metrics: %w", err)
	}
	if _, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := stats()
		o.ObserveInt64(entries, s.Entries)
		o.ObserveInt64(bytes, s.Bytes)
		o.ObserveInt64(failures, s.Failures)
		o.ObserveFloat64(behind, s.Behind.Seconds())
		return nil
	}, entries, bytes, failures, behind); err != nil {
		return fmt.Errorf("archive metrics: %w", err)
	}
	return nil
}
