package main

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/metric"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// ObserveKeys adds how the KMS is to the metrics. health is keys.Service.KMSHealth.
func (t *telemetry) ObserveKeys(health func() keys.Health) error {
	meter := t.Meter.Meter("github.com/biocore-id/biocore/tenancy/keys")
	up, err := meter.Int64ObservableGauge("biocore.kms.up",
		metric.WithDescription("1 while the KMS answers; 0 while it is silent or refuses."))
	left, err2 := meter.Float64ObservableGauge("biocore.kms.grace_left", metric.WithUnit("s"),
		metric.WithDescription("For how long opened keys go on without the KMS."))
	if err := errors.Join(err, err2); err != nil {
		return fmt.Errorf("key metrics: %w", err)
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		h := health()
		o.ObserveInt64(up, map[bool]int64{true: 1}[h.Err == nil])
		o.ObserveFloat64(left, h.Left.Seconds())
		return nil
	}, up, left)
	if err != nil {
		return fmt.Errorf("key metrics: %w", err)
	}
	return nil
}
