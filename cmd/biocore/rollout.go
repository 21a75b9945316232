package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/rollout"
	"github.com/biocore-id/biocore/tenancy/rollout/provider"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// openFlags opens what the configuration says of Biocore's own switches; own has the reserved tenant's flags.
func openFlags(ctx context.Context, o *provider.Options, own *flag.Service, log *slog.Logger) (*rollout.Reader, error) {
	if o.Kind == provider.Biocore {
		from := rollout.Own{Service: own}
		return rollout.Open(ctx, rollout.Options{Provider: flag.NewProvider(from), Look: from.Look, Log: log})
	}
	opened, err := provider.Open(*o)
	if err != nil {
		return nil, fmt.Errorf("provider of feature flags: %w", err)
	}
	return rollout.Open(ctx, rollout.Options{Provider: opened.Provider, Health: opened.Health, Log: log})
}

// openRollouts opens Biocore's own switches, and counts what is asked of them.
func (p *platform) openRollouts(ctx context.Context) (err error) {
	if p.rollouts, err = openFlags(ctx, p.cfg.flags(), p.flags, p.tel.Log); err != nil {
		return err
	}
	return p.tel.ObserveRollouts(p.rollouts.Counts)
}

// prepareRollouts makes the flags that the staff throw switches by, where they are Biocore's own.
func (p *platform) prepareRollouts(ctx context.Context) error {
	if p.cfg.flags().Kind != provider.Biocore {
		return nil
	}
	err := rollout.Prepare(ctx, p.flags, scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "serve"}))
	if err != nil {
		p.Close()
		return fmt.Errorf("flags of Biocore's own: %w", err)
	}
	return nil
}

// ObserveRollouts adds how evaluations of Biocore's own switches ended to the metrics.
func (t *telemetry) ObserveRollouts(counts func() []rollout.Count) error {
	_, err := t.Meter.Meter("github.com/biocore-id/biocore/tenancy/rollout").Int64ObservableCounter("biocore.rollout.evaluations",
		metric.WithDescription("Evaluations of Biocore's own switches, by what came of them. With a code (OpenFeature's) the default held."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			for _, c := range counts() {
				o.Observe(c.Times, metric.WithAttributes(attribute.String("flag", c.Key), attribute.Bool("on", c.On), attribute.String("code", string(c.Code))))
			}
			return nil
		}))
	if err != nil {
		return fmt.Errorf("rollout metrics: %w", err)
	}
	return nil
}

// featureFlags asks whoever knows Biocore's own switches for each.
func (d *checkup) featureFlags(ctx context.Context) finding {
	o := d.cfg.flags()
	const fix = "see that BIOCORE_FLAGS_URL names a provider that this machine reaches, and BIOCORE_FLAGS_KEY what it takes: docs/flags.md"
	if o.Kind == provider.Biocore && (d.store == nil || len(d.behind) > 0) {
		return skip("the database")
	}
	var own *flag.Service
	if o.Kind == provider.Biocore {
		own = flag.New(d.store, nil) // it only reads flags, which nothing is sealed of
	}
	r, err := openFlags(ctx, o, own, d.tel.Log)
	if err != nil {
		return fail(fix, "%s", explain(err))
	}
	missing, err := r.Look(ctx)
	err = errors.Join(err, r.Close(ctx))
	switch n := len(rollout.All()); {
	case err != nil:
		return warn(fix, "defaults hold: %s", explain(err))
	case len(missing) > 0 && o.Kind == provider.Biocore:
		return ok("Biocore's own: a server makes %s when it starts", strings.Join(missing, ", "))
	case len(missing) > 0:
		return warn("make them there, or leave them: docs/flags.md", "%s does not know %s: their defaults hold", o.Kind, strings.Join(missing, ", "))
	default:
		return ok("%s knows all %d switches", o.Kind, n)
	}
}
