package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/biocore-id/biocore/authcore/mds"
)

// ObserveMDS adds how old the metadata of authenticators is to the metrics.
func (t *telemetry) ObserveMDS(service *mds.Service, now func() time.Time) error {
	meter := t.Meter.Meter("github.com/biocore-id/biocore/authcore/mds")
	number, err := meter.Int64ObservableGauge("biocore.mds.number",
		metric.WithDescription("Number of the metadata in use; absent without any."))
	overdue, err2 := meter.Float64ObservableGauge("biocore.mds.overdue", metric.WithUnit("s"),
		metric.WithDescription("For how long the next metadata has been due; below 0 until then, absent without any."))
	models, err3 := meter.Int64ObservableGauge("biocore.mds.models",
		metric.WithDescription("Models in the metadata in use."))
	failures, err4 := meter.Int64ObservableCounter("biocore.mds.sync_failures",
		metric.WithDescription("Attempts to fetch metadata that gave none, or none that could be used."))
	if err := errors.Join(err, err2, err3, err4); err != nil {
		return fmt.Errorf("metadata metrics: %w", err)
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(failures, service.Failures())
		if snap := service.Current(); snap != nil {
			o.ObserveInt64(number, int64(snap.Number))
			o.ObserveInt64(models, int64(snap.Len()))
			o.ObserveFloat64(overdue, now().Sub(snap.NextUpdate).Seconds())
		}
		return nil
	}, number, overdue, models, failures)
	if err != nil {
		return fmt.Errorf("metadata metrics: %w", err)
	}
	return nil
}
