package rpc

import (
	"context"
	"math"
	"strconv"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/system"
)

// SystemHandler serves SystemService.
type SystemHandler struct {
	adminv1connect.UnimplementedSystemServiceHandler
	system *system.Service
}

// NewSystemHandler returns a handler over s.
func NewSystemHandler(s *system.Service) *SystemHandler { return &SystemHandler{system: s} }

// GetSystem translates: one call, one answer.
func (h *SystemHandler) GetSystem(ctx context.Context, _ *adminv1.GetSystemRequest) (*adminv1.System, error) {
	state, err := h.system.Look(ctx)
	if err != nil {
		return nil, err
	}
	out := &adminv1.System{
		Well: state.Well(), At: timestamppb.New(state.At), Version: state.Version, Revision: state.Revision,
		Jobs: &adminv1.System_Jobs{Waiting: bounded(state.Jobs.Waiting), LateSeconds: bounded(int(state.Jobs.Late.Seconds())), GivenUp: bounded(state.Jobs.GivenUp)},
	}
	out.ServiceLevel = ToServiceLevel(&state.ServiceLevel)
	for _, d := range state.Dependencies {
		out.Dependencies = append(out.Dependencies, &adminv1.System_Dependency{
			Name: d.Name, Health: adminv1.System_Health(adminv1.System_Health_value[string(d.Health)]), Detail: d.Detail,
		})
	}
	for _, one := range state.Servers {
		out.Servers = append(out.Servers, &adminv1.System_Server{Address: one.Address, Since: timestamppb.New(one.Since), Version: one.Version})
	}
	for i := range state.Jobs.Discarded {
		d := &state.Jobs.Discarded[i]
		job := &adminv1.System_Job{Id: strconv.FormatInt(d.ID, 10), Kind: d.Kind, Attempts: bounded(d.Attempts), Error: d.Error, At: timestamppb.New(d.At)}
		if d.Tenant != uuid.Nil {
			job.TenantId = d.Tenant.String()
		}
		out.Jobs.Discarded = append(out.Jobs.Discarded, job)
	}
	return out, nil
}

// RetryJob translates: one call, one answer.
func (h *SystemHandler) RetryJob(ctx context.Context, req *adminv1.RetryJobRequest) (*adminv1.RetryJobResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(system.Retried) proto.Message { return &adminv1.RetryJobResponse{} })
	if err := h.system.Retry(ctx, sc, req.GetJobId(), req.GetReason()); err != nil {
		return nil, err
	}
	return &adminv1.RetryJobResponse{}, nil
}

// bounded is n as the wire has it.
func bounded(n int) int32 { return int32(min(n, math.MaxInt32)) } //nolint:gosec // bounded
