package rpc

import (
	"context"
	"errors"

	"connectrpc.com/connect/v2"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/fault"
)

// faultCounter counts calls of ceremonies that ended by a fault of ours. The tenant is zero
// where nobody could tell whose call it was.
type faultCounter interface{ Count(tenant uuid.UUID) }

// ceremonyCalls are the calls that make up a ceremony.
var ceremonyCalls = map[string]bool{
	authv1connect.RegistrationServiceBeginRegistrationProcedure:      true,
	authv1connect.RegistrationServiceFinishRegistrationProcedure:     true,
	authv1connect.AuthenticationServiceBeginAuthenticationProcedure:  true,
	authv1connect.AuthenticationServiceFinishAuthenticationProcedure: true,
}

// isOurs reports whether an answer of 5xx is ours to answer for: no refusal, nothing that the
// client broke off, no deadline that it has set itself.
func isOurs(ctx context.Context, err error) bool {
	f, isFault := asFault(err)
	switch {
	case isFault:
		return f.Kind == fault.Unavailable || f.Kind == fault.Damaged
	case errors.Is(err, context.Canceled):
		return false
	case errors.Is(err, context.DeadlineExceeded):
		info, ok := connect.CallInfoForServerContext(ctx)
		return !ok || info.RequestHeader().Get("Connect-Timeout-Ms") == "" && info.RequestHeader().Get("Grpc-Timeout") == ""
	}
	return true
}
