package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/biocore-id/biocore/authcore/risk/netlist"
	"github.com/biocore-id/biocore/authcore/risk/place"
	"github.com/biocore-id/biocore/tenancy/scoring"
)

// ObserveRiskData adds how old the files of risk data are, and how often one could not be used, to the metrics. Files are named as the
// configuration does: country, asn, and the labels of lists.
func (t *telemetry) ObserveRiskData(places *place.Service, lists *netlist.Service, now func() time.Time) error {
	meter := t.Meter.Meter("github.com/biocore-id/biocore/authcore/risk")
	age, err := meter.Float64ObservableGauge("biocore.risk.data_age", metric.WithUnit("s"),
		metric.WithDescription("Since when the data in use of a file has been there: since it was built, where the file says, otherwise since it was written. Absent while none is in use."))
	broken, err2 := meter.Int64ObservableGauge("biocore.risk.data_broken",
		metric.WithDescription("1 while a file cannot be used as it is, and what was read before stays in use; otherwise 0."))
	failures, err3 := meter.Int64ObservableCounter("biocore.risk.data_failures",
		metric.WithDescription("Looks of this server at a file, once a minute, that found it such that it cannot be used."))
	if err := errors.Join(err, err2, err3); err != nil {
		return fmt.Errorf("risk data metrics: %w", err)
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		observe := func(name string, from time.Time, problem error, n int64) {
			file := metric.WithAttributes(attribute.String("file", name))
			if !from.IsZero() {
				o.ObserveFloat64(age, now().Sub(from).Seconds(), file)
			}
			bad := int64(0)
			if problem != nil {
				bad = 1
			}
			o.ObserveInt64(broken, bad, file)
			o.ObserveInt64(failures, n, file)
		}
		for _, s := range places.Sources() {
			from := s.BuiltAt
			if from.IsZero() {
				from = s.ModifiedAt
			}
			observe(s.Name, from, s.Err, s.Failures)
		}
		for _, s := range lists.Sources() {
			observe("list "+s.Label, s.ModifiedAt, s.Err, s.Failures)
		}
		return nil
	}, age, broken, failures)
	if err != nil {
		return fmt.Errorf("risk data metrics: %w", err)
	}
	return nil
}

// ObserveScoring adds what risk scoring services have come to on this server, for all tenants together, to the metrics.
func (t *telemetry) ObserveScoring(counts *scoring.Counts) error {
	meter := t.Meter.Meter("github.com/biocore-id/biocore/tenancy/scoring")
	questions, err := meter.Int64ObservableCounter("biocore.risk.provider_questions",
		metric.WithDescription("Questions to risk scoring services by what came of them: SCORED, LEFT where the asker went away, or why there is no score."))
	took, err2 := meter.Float64ObservableCounter("biocore.risk.provider_time", metric.WithUnit("s"),
		metric.WithDescription("How long all questions to risk scoring services together took; those that were not sent are not among them."))
	if err := errors.Join(err, err2); err != nil {
		return fmt.Errorf("scoring metrics: %w", err)
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, c := range counts.Read() {
			kind := attribute.String("kind", string(c.Kind))
			o.ObserveFloat64(took, c.Took.Seconds(), metric.WithAttributes(kind))
			o.ObserveInt64(questions, c.Scored, metric.WithAttributes(kind, attribute.String("outcome", "SCORED")))
			o.ObserveInt64(questions, c.Left, metric.WithAttributes(kind, attribute.String("outcome", "LEFT")))
			for reason, n := range c.Failures {
				o.ObserveInt64(questions, n, metric.WithAttributes(kind, attribute.String("outcome", string(reason))))
			}
		}
		return nil
	}, questions, took)
	if err != nil {
		return fmt.Errorf("scoring metrics: %w", err)
	}
	return nil
}
