package rpc

import (
	"context"
	"maps"
	"slices"
	"strings"

	"connectrpc.com/connect/v2"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// ErrServiceUnknown answers a health check of a service that is not served.
var ErrServiceUnknown = fault.New(fault.NotFound, "SERVICE_UNKNOWN", "this server does not have the service")

// RegisterHealth serves grpc.health.v1.Health/Check on server, for load balancers
// and probes that speak gRPC: SERVING while ready reports nil. It knows the server
// as a whole (service "") and each service of `of`, which are well or unwell
// together. Watch is left out: its clients fall back to taking the server for
// healthy, and a stream for each of them is no cheaper than asking.
//
// The messages are those of grpc-go, which the OTLP exporters link in any case. A
// copy of our own would register the same proto file twice, and a binary that does
// that panics before main.
func RegisterHealth(server *connect.Server, ready func(context.Context) error, of *connect.Server) {
	known := servicesOf(of)
	method := grpc_health_v1.File_grpc_health_v1_health_proto.Services().ByName("Health").Methods().ByName("Check")
	server.Register(connect.Method{
		Spec: connect.Spec{
			Procedure: grpc_health_v1.Health_Check_FullMethodName, Schema: method, IdempotencyLevel: connect.IdempotencyNoSideEffects,
		},
		Handler: func(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
			var req grpc_health_v1.HealthCheckRequest
			if err := stream.Receive(&req); err != nil {
				return err
			}
			if name := req.GetService(); name != "" && !slices.Contains(known, name) {
				return ErrServiceUnknown
			}
			status := grpc_health_v1.HealthCheckResponse_SERVING
			if ready(ctx) != nil {
				status = grpc_health_v1.HealthCheckResponse_NOT_SERVING
			}
			return stream.Send(&grpc_health_v1.HealthCheckResponse{Status: status})
		},
	})
}

// servicesOf returns the full names of a server's services, sorted.
func servicesOf(server *connect.Server) []string {
	names := map[string]bool{}
	for spec := range server.Specs() {
		if service, _, ok := strings.Cut(strings.TrimPrefix(spec.Procedure, "/"), "/"); ok {
			names[service] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
