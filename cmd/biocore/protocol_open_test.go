package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/grpcreflect/v2"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Probes that speak gRPC learn what /readyz tells, without a key, over each protocol.
func TestHealthOverEveryProtocol(t *testing.T) {
	w := newWorld(t)
	check := func(transport connect.Transport, service string) (grpc_health_v1.HealthCheckResponse_ServingStatus, error) {
		spec := connect.Spec{Procedure: grpc_health_v1.Health_Check_FullMethodName, IdempotencyLevel: connect.IdempotencyNoSideEffects}
		var res grpc_health_v1.HealthCheckResponse
		err := connect.NewClient(transport).CallUnary(t.Context(), spec, &grpc_health_v1.HealthCheckRequest{Service: service}, &res)
		return res.GetStatus(), err
	}
	transports := w.protocols(t)
	delete(transports, "REST") // it has /readyz
	for name, transport := range transports {
		for _, service := range []string{"", "biocore.auth.v1.AuthenticationService", "biocore.admin.v1.TenantService"} {
			if got, err := check(transport, service); err != nil || got != grpc_health_v1.HealthCheckResponse_SERVING {
				t.Errorf("%s, service %q: %v, %v", name, service, got, err)
			}
		}
		_, err := check(transport, "biocore.auth.v1.NoService")
		if got := refusal(t, err); got.code != connect.CodeNotFound || got.reason != "SERVICE_UNKNOWN" {
			t.Errorf("%s, a service that is not there: %+v", name, got)
		}
	}
	w.draining.Store(true)
	defer w.draining.Store(false)
	for name, transport := range transports {
		if got, err := check(transport, ""); err != nil || got != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
			t.Errorf("%s, while the server drains: %v, %v", name, got, err)
		}
	}
}

// Reflection tells the contract of both planes without a key, and nothing of what else
// is linked into the server.
func TestReflection(t *testing.T) {
	w := newWorld(t)
	client := grpcreflect.NewClient(connect.NewClient(connecthttp.NewTransport(h2c(t), w.url, connecthttp.WithGRPC())))
	stream := client.NewStream(t.Context())
	defer stream.Close()
	names, err := stream.ListServices()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for spec := range w.rpc.Specs() {
		service, _, _ := strings.Cut(strings.TrimPrefix(spec.Procedure, "/"), "/")
		if !slices.Contains(want, service) {
			want = append(want, service)
		}
	}
	for _, service := range want {
		if !slices.Contains(names, protoreflect.FullName(service)) {
			t.Errorf("%s is not told", service)
			continue
		}
		if files, err := stream.FileContainingSymbol(protoreflect.FullName(service)); err != nil || len(files) == 0 {
			t.Errorf("%s: %d files, %v", service, len(files), err)
		}
	}
	for _, linked := range []string{"opentelemetry.proto.collector.trace.v1.TraceService", "google.api.expr.v1alpha1.Expr"} {
		if _, err := stream.FileContainingSymbol(protoreflect.FullName(linked)); err == nil {
			t.Errorf("%s, which is no business of clients, is told", linked)
		}
	}
	if _, status := w.post(t, "/grpc.reflection.v1.ServerReflection/NoMethod", "", "application/json", []byte("{}")); status != http.StatusNotImplemented {
		t.Errorf("a method that reflection does not have: %d", status)
	}
}
