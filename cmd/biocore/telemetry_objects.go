package main

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/db/blob"
)

// ObserveObjects adds what object storage is asked to the metrics. stats is
// blob.Bucket.Stats.
func (t *telemetry) ObserveObjects(stats func() blob.Stats) error {
	meter := t.Meter.Meter("github.com/biocore-id/biocore/db/blob")
	calls, err := meter.Int64ObservableCounter("biocore.objects.calls",
		metric.WithDescription("Objects put, got and deleted, those that failed among them."))
	failures, err2 := meter.Int64ObservableCounter("biocore.objects.failures",
		metric.WithDescription("Calls that object storage did not answer, or refused."))
	if err := errors.Join(err, err2); err != nil {
		return fmt.Errorf("object metrics: %w", err)
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := stats()
		o.ObserveInt64(calls, s.Calls)
		o.ObserveInt64(failures, s.Failures)
		return nil
	}, calls, failures)
	if err != nil {
		return fmt.Errorf("object metrics: %w", err)
	}
	return nil
}

// ObserveEvidence adds what became of evidence to the metrics. stats is
// evidence.Service.Stats.
func (t *telemetry) ObserveEvidence(stats func() evidence.Stats) error {
	meter := t.Meter.Meter("github.com/biocore-id/biocore/authcore/evidence")
	lost, err := meter.Int64ObservableCounter("biocore.evidence.lost",
		metric.WithDescription("Refused registrations whose evidence could not be kept."))
	postponed, err2 := meter.Int64ObservableCounter("biocore.evidence.postponed",
		metric.WithDescription("Pieces that object storage did not take or remove when they were due, each time."))
	if err := errors.Join(err, err2); err != nil {
		return fmt.Errorf("evidence metrics: %w", err)
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := stats()
		o.ObserveInt64(lost, s.Lost)
		o.ObserveInt64(postponed, s.Postponed)
		return nil
	}, lost, postponed)
	if err != nil {
		return fmt.Errorf("evidence metrics: %w", err)
	}
	return nil
}
