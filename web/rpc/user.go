package rpc

import (
	"context"
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/biocore-id/biocore/authcore/user"
	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// users is what the handler needs of user.Service.
type users interface {
	Create(ctx context.Context, sc scope.Scope, p user.Profile, c user.Contact) (user.User, error)
	Get(ctx context.Context, sc scope.Scope, id user.ID) (user.User, error)
	Lookup(ctx context.Context, sc scope.Scope, externalID string) (user.User, error)
	List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[user.User], error)
	Update(ctx context.Context, sc scope.Scope, req user.UpdateRequest) (user.User, error)
	Delete(ctx context.Context, sc scope.Scope, req user.DeleteRequest) (user.Erasure, error)
	Block(ctx context.Context, sc scope.Scope, req user.BlockRequest) (user.User, error)
	Summarize(ctx context.Context, sc scope.Scope) (user.ContactSummary, error)
	Unblock(ctx context.Context, sc scope.Scope, req user.BlockRequest) (user.User, error)
}

// UserHandler serves UserService.
type UserHandler struct {
	authv1connect.UnimplementedUserServiceHandler
	users users
}

// NewUserHandler returns a handler over s.
func NewUserHandler(s *user.Service) *UserHandler { return &UserHandler{users: s} }

// CreateUser translates: one call, one answer.
func (h *UserHandler) CreateUser(ctx context.Context, req *authv1.CreateUserRequest) (*authv1.User, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(u user.User) proto.Message { return toUser(u) })
	u, err := h.users.Create(ctx, sc, user.Profile{
		ExternalID: req.GetExternalId(), Name: req.GetName(), DisplayName: req.GetDisplayName(),
	}, user.Contact{Email: req.GetEmail(), Phone: req.GetPhone()})
	if err != nil {
		return nil, err
	}
	return toUser(u), nil
}

// GetUser translates: one call, one answer.
func (h *UserHandler) GetUser(ctx context.Context, req *authv1.GetUserRequest) (*authv1.User, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := user.ParseID(req.GetUserId())
	if err != nil {
		return nil, err
	}
	u, err := h.users.Get(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return toUser(u), nil
}

// LookupUser translates: one call, one answer.
func (h *UserHandler) LookupUser(ctx context.Context, req *authv1.LookupUserRequest) (*authv1.User, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	u, err := h.users.Lookup(ctx, sc, req.GetExternalId())
	if err != nil {
		return nil, err
	}
	return toUser(u), nil
}

// ListUsers translates: one call, one answer.
func (h *UserHandler) ListUsers(ctx context.Context, req *authv1.ListUsersRequest) (*authv1.ListUsersResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	page, err := h.users.List(ctx, sc, listing.Request{
		PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), Filter: req.GetFilter(), OrderBy: req.GetOrderBy(),
	})
	if err != nil {
		return nil, err
	}
	res := &authv1.ListUsersResponse{NextPageToken: page.NextToken}
	for _, u := range page.Items {
		one := toUser(u)
		one.Passkeys = new(authv1.User_Passkeys)
		for _, kind := range u.Passkeys {
			one.Passkeys.Kinds = append(one.Passkeys.Kinds, authv1.User_Passkeys_Kind(authv1.User_Passkeys_Kind_value[string(kind)]))
		}
		res.Users = append(res.Users, one)
	}
	return res, nil
}

// UpdateUser changes the fields that are present; If-Match guards.
func (h *UserHandler) UpdateUser(ctx context.Context, req *authv1.UpdateUserRequest) (*authv1.User, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := user.ParseID(req.GetUserId())
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(u user.User) proto.Message { return toUser(u) })
	u, err := h.users.Update(ctx, sc, user.UpdateRequest{
		ID: id, ExternalID: req.ExternalId, Name: req.Name, DisplayName: req.DisplayName, Email: req.Email, Phone: req.Phone, IfMatch: etag,
	})
	if err != nil {
		return nil, err
	}
	return toUser(u), nil
}

// SummarizeContacts counts: no address is in the answer.
func (h *UserHandler) SummarizeContacts(
	ctx context.Context, _ *authv1.SummarizeContactsRequest,
) (*authv1.SummarizeContactsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	sum, err := h.users.Summarize(ctx, sc)
	if err != nil {
		return nil, err
	}
	email := &authv1.EmailSummary{Users: count(sum.Email.Users), Distinct: count(sum.Email.Distinct), Unreadable: count(sum.Email.Unreadable)}
	for _, p := range sum.Email.Parts {
		email.Domains = append(email.Domains, &authv1.EmailSummary_Domain{Domain: p.Part, Users: count(p.Users)})
	}
	phone := &authv1.PhoneSummary{Users: count(sum.Phone.Users), Distinct: count(sum.Phone.Distinct), Unreadable: count(sum.Phone.Unreadable)}
	for _, p := range sum.Phone.Parts {
		phone.CallingCodes = append(phone.CallingCodes, &authv1.PhoneSummary_CallingCode{CallingCode: p.Part, Users: count(p.Users)})
	}
	return &authv1.SummarizeContactsResponse{Email: email, Phone: phone}, nil
}

// count is n on the wire, which has no 64-bit integers.
func count(n int64) uint32 { return uint32(min(n, math.MaxUint32)) } //nolint:gosec // counts are not negative

// DeleteUser erases: the user, its credentials, sessions and contacts are gone.
func (h *UserHandler) DeleteUser(ctx context.Context, req *authv1.DeleteUserRequest) (*authv1.DeleteUserResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := user.ParseID(req.GetUserId())
	if err != nil {
		return nil, err
	}
	etag, err := IfMatch(ctx)
	if err != nil {
		return nil, err
	}
	answers(ctx, func(e user.Erasure) proto.Message { return toErased(e) })
	erased, err := h.users.Delete(ctx, sc, user.DeleteRequest{ID: id, IfMatch: etag})
	if err != nil {
		return nil, err
	}
	return toErased(erased), nil
}

func toErased(e user.Erasure) *authv1.DeleteUserResponse {
	return &authv1.DeleteUserResponse{ErasureId: e.ErasureID.String()}
}

// BlockUser translates: one call, one answer.
func (h *UserHandler) BlockUser(ctx context.Context, req *authv1.BlockUserRequest) (*authv1.BlockUserResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := user.ParseID(req.GetUserId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(u user.User) proto.Message { return &authv1.BlockUserResponse{User: toUser(u)} })
	u, err := h.users.Block(ctx, sc, user.BlockRequest{ID: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return &authv1.BlockUserResponse{User: toUser(u)}, nil
}

// UnblockUser translates: one call, one answer.
func (h *UserHandler) UnblockUser(ctx context.Context, req *authv1.UnblockUserRequest) (*authv1.UnblockUserResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := user.ParseID(req.GetUserId())
	if err != nil {
		return nil, err
	}
	answers(ctx, func(u user.User) proto.Message { return &authv1.UnblockUserResponse{User: toUser(u)} })
	u, err := h.users.Unblock(ctx, sc, user.BlockRequest{ID: id, Reason: req.GetReason()})
	if err != nil {
		return nil, err
	}
	return &authv1.UnblockUserResponse{User: toUser(u)}, nil
}

func toUser(u user.User) *authv1.User {
	return &authv1.User{
		Id: u.ID.String(), ExternalId: u.ExternalID, Name: u.Name, DisplayName: optional(u.DisplayName),
		State:     authv1.User_State(authv1.User_State_value[string(u.State)]),
		CreatedAt: timestamp(u.CreatedAt), UpdatedAt: timestamp(u.UpdatedAt), LastSignInAt: timestampOf(u.LastSignInAt),
		Etag: u.ETag, Email: optional(u.Contact.Email), Phone: optional(u.Contact.Phone),
	}
}
