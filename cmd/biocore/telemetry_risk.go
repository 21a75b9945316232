package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"github.com/biocore-id/biocore/authcore/risk"
)

// ObserveRisk adds the numbers of risk to the metrics, read when somebody asks for them.
func (t *telemetry) ObserveRisk(stats func() risk.Stats) error {
	meter := t.Meter.Meter("github.com/biocore-id/biocore/authcore/risk")
	counters := []struct {
		name, what string
		of         func(risk.Stats) int64
	}{
		{"biocore.risk.assessed", "Sign-ins and actions that were assessed.", func(s risk.Stats) int64 { return s.Assessed }},
		{"biocore.risk.degraded", "Those of them that were assessed without Redis.", func(s risk.Stats) int64 { return s.Degraded }},
		{"biocore.risk.stepped_up", "Those of them for which rules that are enforced asked for a second sign-in.", func(s risk.Stats) int64 { return s.SteppedUp }},
		{"biocore.risk.denied", "Those of them that rules that are enforced refused.", func(s risk.Stats) int64 { return s.Denied }},
		{"biocore.risk.failed_rules", "Evaluations of rules that failed, and did not match.", func(s risk.Stats) int64 { return s.FailedRules }},
		{"biocore.risk.learnt", "Sign-ins that profiles and counters learnt from.", func(s risk.Stats) int64 { return s.Learnt }},
		{"biocore.risk.dropped", "Sign-ins that nothing learnt from: too many, or Redis or Postgres was away.", func(s risk.Stats) int64 { return s.Dropped }},
	}
	observed := make([]metric.Int64ObservableCounter, len(counters))
	all := make([]metric.Observable, len(counters))
	for i, c := range counters {
		var err error
		if observed[i], err = meter.Int64ObservableCounter(c.name, metric.WithDescription(c.what)); err != nil {
			return fmt.Errorf("risk metrics: %w", err)
		}
		all[i] = observed[i]
	}
	if _, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		now := stats()
		for i, c := range counters {
			o.ObserveInt64(observed[i], c.of(now))
		}
		return nil
	}, all...); err != nil {
		return fmt.Errorf("risk metrics: %w", err)
	}
	return nil
}
