package rpc_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/web/rpc"
)

// received is a stream that hands out one message.
type received struct {
	connect.ServerStream
	msg proto.Message
}

func (r received) Receive(msg any) error {
	into, ok := msg.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a message", msg)
	}
	proto.Merge(into, r.msg)
	return nil
}

// validate sends msg through the interceptor and returns what the handler's
// Receive answers.
func validate(tb testing.TB, intercept connect.ServerInterceptor, msg proto.Message) error {
	tb.Helper()
	fresh := msg.ProtoReflect().New().Interface()
	return intercept(func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error {
		return stream.Receive(fresh)
	})(tb.Context(), connect.Spec{}, received{msg: msg})
}

func validator(tb testing.TB) connect.ServerInterceptor {
	tb.Helper()
	intercept, err := rpc.Validate()
	if err != nil {
		tb.Fatal(err)
	}
	return intercept
}

func TestValidate(t *testing.T) {
	intercept := validator(t)
	long := strings.Repeat("ü", 257)
	for _, tt := range []struct {
		name string
		msg  proto.Message
		want []string // the paths of the broken fields; none if the message is good
	}{
		{"a good user", &authv1.CreateUserRequest{ExternalId: "u-1", Name: strings.Repeat("ü", 256)}, nil},
		{"too long, in characters", &authv1.CreateUserRequest{ExternalId: "u-1", Name: long}, []string{"name"}},
		{"two at once", &authv1.CreateUserRequest{Name: long}, []string{"externalId", "name"}},
		{"absent is not empty", &authv1.UpdateUserRequest{UserId: "u"}, nil},
		{"empty is not absent", &authv1.UpdateUserRequest{UserId: "u", Name: new("")}, []string{"name"}},
		{"a page of none", &authv1.ListUsersRequest{PageSize: proto.Uint32(0)}, []string{"pageSize"}},
		{"a page of the default", &authv1.ListUsersRequest{}, nil},
		{"nested, by its WebAuthn name", &authv1.FinishRegistrationRequest{
			RegistrationId: "r", Credential: &authv1.RegistrationCredential{
				Id: "a", RawId: "a", Type: "public-key",
				Response: &authv1.AuthenticatorAttestationResponse{ClientDataJson: "no+padding=", AttestationObject: "a"},
			},
		}, []string{"credential.response.clientDataJSON"}},
		{"in a list", &adminv1.CreateTenantRequest{
			Slug: "acme", Name: "Acme", Mode: adminv1.Tenant_TEST, RpId: "localhost", Origins: []string{"https://a.example", ""},
		}, []string{"origins[1]"}},
		{"an enum left out", &adminv1.CreateTenantRequest{
			Slug: "acme", Name: "Acme", RpId: "localhost", Origins: []string{"https://a.example"},
		}, []string{"mode"}},
		{"a sign-in of nobody in particular", &authv1.BeginAuthenticationRequest{}, nil},
		{"a sign-in with a strange wish", &authv1.BeginAuthenticationRequest{UserVerification: new("maybe")}, []string{"userVerification"}},
		{"a finish without a credential", &authv1.FinishAuthenticationRequest{AuthenticationId: "a"}, []string{"credential"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := validate(t, intercept, tt.msg)
			f, _ := fault.As(err)
			if tt.want == nil {
				if err != nil {
					t.Errorf("error = %v %v, want none", err, f)
				}
				return
			}
			if f == nil || f.Reason != "REQUEST_INVALID" || f.Kind != fault.Invalid {
				t.Fatalf("error = %v, want REQUEST_INVALID", err)
			}
			if got := slices.Sorted(maps.Keys(f.Metadata)); !slices.Equal(got, tt.want) {
				t.Errorf("metadata = %v, want the fields %v", f.Metadata, tt.want)
			}
		})
	}
}

// A body of 64 KiB can break thousands of rules; the answer stays small.
func TestValidateListsAFew(t *testing.T) {
	req := &adminv1.CreateTenantRequest{Slug: "acme", Name: "Acme", Mode: adminv1.Tenant_TEST, RpId: "localhost"}
	for range 1000 {
		req.Origins = append(req.Origins, "")
	}
	f, _ := fault.As(validate(t, validator(t), req))
	if f == nil || len(f.Metadata) > 16 {
		t.Errorf("metadata has %d entries, want at most 16", len(f.Metadata))
	}
}
