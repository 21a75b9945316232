package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"
	"github.com/jackc/pgx/v5"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector is an OTLP/HTTP endpoint that remembers what it was sent.
type collector struct {
	mu     sync.Mutex
	paths  []string
	traces []*coltracepb.ExportTraceServiceRequest
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paths = append(c.paths, r.URL.Path)
	if r.URL.Path == "/v1/traces" {
		request := new(coltracepb.ExportTraceServiceRequest)
		if err := proto.Unmarshal(body, request); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.traces = append(c.traces, request)
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// quiet takes away what the machine's own environment says about telemetry.
func quiet(t testing.TB) {
	t.Helper()
	for _, name := range []string{
		"OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER",
		"OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
		"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
	} {
		t.Setenv(name, "")
	}
}

func start(t testing.TB, cfg TelemetryConfig) *telemetry {
	t.Helper()
	tel, err := startTelemetry(t.Context(), cfg)
	if err != nil {
		t.Fatalf("startTelemetry: %v", err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return tel
}

// served is a Connect server with one procedure that runs handler.
func served(t testing.TB, tel *telemetry, handler func(context.Context) error) func(header string) error {
	t.Helper()
	interceptor, err := tel.RPCInterceptor()
	if err != nil {
		t.Fatal(err)
	}
	const procedure = "/biocore.auth.v1.AuthenticationService/FinishAuthentication"
	server := connect.NewServer(interceptor)
	server.Register(connect.Method{
		Spec:    connect.Spec{Procedure: procedure},
		Handler: func(ctx context.Context, _ connect.Spec, _ connect.ServerStream) error { return handler(ctx) },
	})
	return func(traceparent string) error {
		info := &connect.CallInfo{Protocol: connect.ProtocolNameConnect}
		if traceparent != "" {
			info.RequestHeader().Set("traceparent", traceparent)
		}
		return server.Call(t.Context(), procedure, info, nil)
	}
}

func scrape(t testing.TB, tel *telemetry) string {
	t.Helper()
	w := httptest.NewRecorder()
	tel.Metrics.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("scrape = %d, want 200: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestTelemetryWithoutEndpoint(t *testing.T) {
	quiet(t)
	var logged bytes.Buffer
	tel := start(t, TelemetryConfig{Version: "v1.2.3", LogOutput: &logged})
	if tracer := tel.PostgresTracer(); tracer != pgx.QueryTracer(nil) {
		t.Errorf("PostgresTracer = %T, want none while nothing is traced", tracer)
	}
	call := served(t, tel, func(context.Context) error { return connect.NewError(connect.CodeNotFound, "no such credential") })
	if err := call(""); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("call error = %v, want not found", err)
	}
	metrics := scrape(t, tel)
	for _, want := range []string{
		`rpc_server_call_duration_seconds_count{`, `error_type="NOT_FOUND"`, `service_version="v1.2.3"`,
		"go_goroutine_count", "process_resident_memory_bytes",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %q:\n%s", want, metrics)
		}
	}
	tel.Log.InfoContext(t.Context(), "listening", "addr", "127.0.0.1:8080")
	if got := logged.String(); !strings.Contains(got, `"msg":"listening","addr":"127.0.0.1:8080"`) {
		t.Errorf("log = %s, want JSON with the message", got)
	}
}

// A sampled call reaches the collector under the caller's trace id, with the
// service's name as the environment gives it.
func TestTelemetryExportsTraces(t *testing.T) {
	quiet(t)
	sink := new(collector)
	server := httptest.NewServer(sink)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_SERVICE_NAME", "biocore-eu")

	tel := start(t, TelemetryConfig{Version: "v1.2.3", TraceRatio: 1, LogOutput: io.Discard})
	if tel.PostgresTracer() == nil {
		t.Error("PostgresTracer = nil, want a tracer while tracing")
	}
	call := served(t, tel, func(context.Context) error { return nil })
	if err := call("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"); err != nil {
		t.Fatal(err)
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatalf("Shutdown: %v", err)
	}

	if len(sink.traces) != 1 {
		t.Fatalf("trace exports = %d, want 1 (paths %v)", len(sink.traces), sink.paths)
	}
	exported := sink.traces[0].GetResourceSpans()[0]
	service := ""
	for _, a := range exported.GetResource().GetAttributes() {
		if a.GetKey() == "service.name" {
			service = a.GetValue().GetStringValue()
		}
	}
	if service != "biocore-eu" {
		t.Errorf("service.name = %q, want biocore-eu", service)
	}
	span := exported.GetScopeSpans()[0].GetSpans()[0]
	if span.GetName() != "biocore.auth.v1.AuthenticationService/FinishAuthentication" {
		t.Errorf("span = %q, want the procedure", span.GetName())
	}
	const wantTrace = "\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c"
	if got := string(span.GetTraceId()); got != wantTrace {
		t.Errorf("trace id = %x, want the caller's %x", got, wantTrace)
	}
	if !strings.Contains(strings.Join(sink.paths, " "), "/v1/metrics") {
		t.Errorf("paths = %v, want metrics pushed too", sink.paths)
	}
}

// Whoever sets the sampled bit of a traceparent must not decide that we trace.
func TestTelemetrySamplesForItself(t *testing.T) {
	quiet(t)
	sink := new(collector)
	server := httptest.NewServer(sink)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", server.URL+"/v1/traces")

	tel := start(t, TelemetryConfig{TraceRatio: 1e-18, LogOutput: io.Discard})
	call := served(t, tel, func(context.Context) error { return nil })
	if err := call("00-0af7651916cd43ddffffffffffffffff-b7ad6b7169203331-01"); err != nil {
		t.Fatal(err)
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatalf("Shutdown: %v", err)
	}
	if len(sink.paths) != 0 {
		t.Errorf("exports = %v, want none", sink.paths)
	}
}

func TestTelemetryEnvironment(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		want bool
		err  string // part of it; "" for none
	}{
		{name: "nothing set"},
		{name: "endpoint", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, want: true},
		{name: "this signal's endpoint", env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318"}, want: true},
		{name: "another signal's endpoint", env: map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:4318"}},
		{name: "disabled", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "TRUE"}},
		{name: "no exporter", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}},
		{name: "an exporter we lack", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "zipkin"}, err: "zipkin"},
		{name: "grpc is refused, not ignored", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, err: "4318"},
		{
			name: "the signal's protocol goes first",
			env:  map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
			want: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			quiet(t)
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			got, err := otlpWanted("TRACES")
			if got != tt.want {
				t.Errorf("otlpWanted = %t, want %t", got, tt.want)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error = %v, want %q in it", err, tt.err)
			}
		})
	}
}

func TestQueryName(t *testing.T) {
	for sql, want := range map[string]string{
		"-- name: RevokeCredential :one\nUPDATE credential SET …": "RevokeCredential",
		"SELECT set_config('app.tenant_id', $1, true)":            "SELECT",
		"-- name:": "UNKNOWN",
	} {
		if got := queryName(sql); got != want {
			t.Errorf("queryName(%q) = %q, want %q", sql, got, want)
		}
	}
}

// What telemetry adds to a call: nothing sampled, as a server runs by default.
func BenchmarkRPCInterceptor(b *testing.B) {
	quiet(b)
	call := served(b, start(b, TelemetryConfig{LogOutput: io.Discard}), func(context.Context) error { return nil })
	b.ReportAllocs()
	for b.Loop() {
		if err := call(""); err != nil {
			b.Fatal(err)
		}
	}
}
