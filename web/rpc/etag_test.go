package rpc_test

import (
	"context"
	"errors"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/web/rpc"
)

func TestIfMatch(t *testing.T) {
	for _, tt := range []struct {
		name, header, want string
		wantErr            error
	}{
		{name: "none"},
		{name: "quoted, as HTTP has it", header: `"3f2a"`, want: "3f2a"},
		{name: "bare, as the resource has it", header: "3f2a", want: "3f2a"},
		{name: "any", header: "*"},
		{name: "weak", header: `W/"3f2a"`, wantErr: rpc.ErrInvalid},
		{name: "a list", header: `"3f2a", "77"`, wantErr: rpc.ErrInvalid},
		{name: "empty tag", header: `""`, wantErr: rpc.ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got string
			var err error
			server := connect.NewServer()
			authv1connect.RegisterUserServiceHandler(server, &users{get: func(ctx context.Context, _ *authv1.GetUserRequest) (*authv1.User, error) {
				got, err = rpc.IfMatch(ctx)
				return &authv1.User{}, nil
			}})
			ctx, info := connect.NewClientContext(t.Context())
			if tt.header != "" {
				info.RequestHeader().Set("If-Match", tt.header)
			}
			c := authv1connect.NewUserServiceClient(connect.NewClient(connectinprocess.New(server)))
			if _, cerr := c.GetUser(ctx, &authv1.GetUserRequest{}); cerr != nil {
				t.Fatal(cerr)
			}
			if got != tt.want || !errors.Is(err, tt.wantErr) {
				t.Errorf("IfMatch = %q, %v, want %q, %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
}
