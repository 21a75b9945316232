package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"

	"connectrpc.com/connect/v2"
	"connectrpc.com/otelconnect"
	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// TelemetryConfig says how the server speaks about itself. Where to is said by
// the standard OTEL_* variables, which the exporters read themselves; without
// an OTEL_EXPORTER_OTLP_ENDPOINT nothing is traced and nothing leaves.
type TelemetryConfig struct {
	Version string // service.version
	// TraceRatio is the share of traces begun here that is kept, 0 to 1; 0 means
	// 0.1. OTEL_TRACES_SAMPLER and its _ARG overrule it.
	TraceRatio float64

	LogOutput io.Writer  // nil means stderr: stdout belongs to a command's answer
	LogLevel  slog.Level // the zero value is info
	LogText   bool       // for people, not JSON
	// RequestID returns the id of ctx's request for log lines; nil for none.
	RequestID func(context.Context) string
}

// telemetry is the running whole. Its providers are handed to those who record;
// nothing reads OpenTelemetry's globals.
type telemetry struct {
	Log     *slog.Logger
	Metrics http.Handler // Prometheus exposition, for the operations port alone
	Meter   metric.MeterProvider
	Tracer  trace.TracerProvider

	tracing   bool
	shutdowns []func(context.Context) error
}

// startTelemetry starts what the environment asks for. Call Shutdown at the
// end, or the last seconds of traces are lost. A collector that cannot be
// reached is no error: exports fail in the background, and say so in the log.
func startTelemetry(ctx context.Context, cfg TelemetryConfig) (*telemetry, error) {
	t := &telemetry{Log: newLogger(cfg), Tracer: noop.NewTracerProvider()}

	// The exporters report their failures nowhere else but to this one global.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		t.Log.WarnContext(ctx, "telemetry export failed", "err", err)
	}))

	about, err := describe(ctx, cfg.Version)
	if err != nil {
		return nil, err
	}
	if err := t.startMetrics(ctx, about); err != nil {
		return nil, errors.Join(err, t.Shutdown(ctx))
	}
	if err := t.startTraces(ctx, about, cfg.TraceRatio); err != nil {
		return nil, errors.Join(err, t.Shutdown(ctx))
	}
	return t, nil
}

// Shutdown sends what is still held, as far as ctx allows, and stops.
func (t *telemetry) Shutdown(ctx context.Context) error {
	var errs []error
	for _, stop := range slices.Backward(t.shutdowns) {
		errs = append(errs, stop(ctx))
	}
	t.shutdowns = nil
	return errors.Join(errs...)
}

func newLogger(cfg TelemetryConfig) *slog.Logger {
	out := cfg.LogOutput
	if out == nil {
		out = os.Stderr
	}
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	var handler slog.Handler = slog.NewJSONHandler(out, options)
	if cfg.LogText {
		handler = slog.NewTextHandler(out, options)
	}
	return slog.New(newLogHandler(handler, cfg.RequestID))
}

// describe is what every trace and metric says of its sender. OTEL_SERVICE_NAME
// and OTEL_RESOURCE_ATTRIBUTES come last and overrule it.
func describe(ctx context.Context, version string) (*resource.Resource, error) {
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithAttributes(
			attribute.String("service.name", "biocore"),
			attribute.String("service.version", version),
		),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("describe this server for telemetry: %w", err)
	}
	return about, nil
}

// startMetrics always serves Prometheus, and pushes by OTLP when asked to.
func (t *telemetry) startMetrics(ctx context.Context, about *resource.Resource) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exposition, err := promexporter.New(promexporter.WithRegisterer(registry), promexporter.WithoutScopeInfo())
	if err != nil {
		return fmt.Errorf("prometheus exporter: %w", err)
	}
	options := []sdkmetric.Option{sdkmetric.WithResource(about), sdkmetric.WithReader(exposition)}

	push, err := otlpWanted("METRICS")
	if err != nil {
		return err
	}
	if push {
		exporter, err := otlpmetrichttp.New(ctx)
		if err != nil {
			return fmt.Errorf("otlp metrics exporter: %w", err)
		}
		options = append(options, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)))
	}
	provider := sdkmetric.NewMeterProvider(options...)
	t.shutdowns = append(t.shutdowns, provider.Shutdown)
	t.Meter = provider

	if err := runtime.Start(runtime.WithMeterProvider(provider)); err != nil {
		return fmt.Errorf("runtime metrics: %w", err)
	}
	t.Metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		// A scrape costs milliseconds; more than a few at once is a mistake or an attack.
		MaxRequestsInFlight: 4,
		EnableOpenMetrics:   true,
		ErrorHandling:       promhttp.ContinueOnError,
	})
	return nil
}

func (t *telemetry) startTraces(ctx context.Context, about *resource.Resource, ratio float64) error {
	wanted, err := otlpWanted("TRACES")
	if err != nil || !wanted {
		return err
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return fmt.Errorf("otlp trace exporter: %w", err)
	}
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(about), sdktrace.WithBatcher(exporter)}
	if os.Getenv("OTEL_TRACES_SAMPLER") == "" { // the SDK reads it, but an option would win over it
		options = append(options, sdktrace.WithSampler(sampler(ratio)))
	}
	provider := sdktrace.NewTracerProvider(options...)
	t.shutdowns = append(t.shutdowns, provider.Shutdown)
	t.Tracer, t.tracing = provider, true
	return nil
}

// sampler keeps ratio of the traces that begin here and follows local parents.
// A remote parent gives its trace id but not its decision: anybody can send a
// traceparent with the sampled bit set, and would have us trace everything.
func sampler(ratio float64) sdktrace.Sampler {
	if ratio == 0 {
		ratio = 0.1
	}
	share := sdktrace.TraceIDRatioBased(ratio)
	return sdktrace.ParentBased(share, sdktrace.WithRemoteParentSampled(share))
}

// errOTLPProtocol keeps a server from sending its telemetry into nothing.
var errOTLPProtocol = errors.New(`OTLP is sent as "http/protobuf" (collectors listen on port 4318); OTEL_EXPORTER_OTLP_PROTOCOL asks for another`)

// otlpWanted reads the standard variables for one signal, TRACES or METRICS: an
// endpoint turns it on, OTEL_<signal>_EXPORTER=none or OTEL_SDK_DISABLED=true
// off again.
func otlpWanted(signal string) (bool, error) {
	endpoint := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") + os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT")
	if endpoint == "" || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	switch exporter := os.Getenv("OTEL_" + signal + "_EXPORTER"); exporter {
	case "", "otlp":
	case "none":
		return false, nil
	default:
		return false, fmt.Errorf("OTEL_%s_EXPORTER is %q; this server knows otlp and none (Prometheus is always on the operations port)", signal, exporter)
	}
	protocol := os.Getenv("OTEL_EXPORTER_OTLP_" + signal + "_PROTOCOL")
	if protocol == "" {
		protocol = os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	if protocol != "" && protocol != "http/protobuf" {
		return false, fmt.Errorf("%w: %q", errOTLPProtocol, protocol)
	}
	return true, nil
}

// RPCInterceptor counts and times every call by procedure and code, and traces
// the sampled ones. It continues a caller's trace (W3C traceparent).
func (t *telemetry) RPCInterceptor() (connect.ServerInterceptor, error) {
	interceptor, err := otelconnect.NewServerInterceptor(
		otelconnect.WithTracerProvider(t.Tracer),
		otelconnect.WithMeterProvider(t.Meter),
		otelconnect.WithPropagator(propagation.TraceContext{}),
		otelconnect.WithTrustRemote(),
		// Sign-ins take one to twenty milliseconds, where the standard buckets are coarse.
		otelconnect.WithDurationHistogramOptions(metric.WithExplicitBucketBoundaries(
			.001, .002, .003, .005, .0075, .01, .015, .025, .05, .1, .25, .5, 1, 2.5, 5, 10)),
	)
	if err != nil {
		return nil, fmt.Errorf("rpc telemetry: %w", err)
	}
	return interceptor, nil
}

// PostgresTracer returns what db.Options.Tracer takes, nil while nothing is
// traced, so that an untraced server does not pay for it. Statements are shown,
// parameters never.
func (t *telemetry) PostgresTracer() pgx.QueryTracer {
	if !t.tracing {
		return nil
	}
	return otelpgx.NewTracer(
		otelpgx.WithTracerProvider(t.Tracer),
		otelpgx.WithMeterProvider(t.Meter),
		otelpgx.WithSpanNameFunc(queryName),
		otelpgx.WithDisableAcquireTracer(),
	)
}

// queryName finds the name that sqlc leaves in a statement's first line, so that
// a span says RevokeCredential and not UPDATE.
func queryName(sql string) string {
	if rest, named := strings.CutPrefix(sql, "-- name: "); named {
		if name, _, ok := strings.Cut(rest, " "); ok {
			return name
		}
	}
	return otelpgx.SQLOperationName(context.Background(), sql)
}
