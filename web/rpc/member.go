package rpc

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// members is what the handler needs of member.Service.
type members interface {
	List(ctx context.Context, sc scope.Scope) ([]member.Member, error)
	Presences(ctx context.Context, members []member.Member) (map[uuid.UUID]member.Presence, error)
	Invitations(ctx context.Context, sc scope.Scope) ([]member.Invited, error)
	Invite(ctx context.Context, sc scope.Scope, req member.InviteRequest) (member.Invited, error)
	Uninvite(ctx context.Context, sc scope.Scope, id uuid.UUID) (member.Invitation, error)
	Change(ctx context.Context, sc scope.Scope, req member.ChangeRequest) (member.Member, error)
}

// MemberOptions configures a MemberHandler.
type MemberOptions struct {
	Members *member.Service
	// Names returns what people of the console are called, read at once; whoever is gone is
	// not among them.
	Names func(ctx context.Context, people []uuid.UUID) (map[uuid.UUID]string, error)
	// Link is the page that takes the token of an invitation.
	Link func(token string) string
}

// MemberHandler serves MemberService.
type MemberHandler struct {
	adminv1connect.UnimplementedMemberServiceHandler
	members members
	names   func(context.Context, []uuid.UUID) (map[uuid.UUID]string, error)
	link    func(string) string
}

// NewMemberHandler returns a handler.
func NewMemberHandler(o MemberOptions) *MemberHandler {
	return &MemberHandler{members: o.Members, names: o.Names, link: o.Link}
}

// ListMembers answers with names, which are the reserved tenant's.
func (h *MemberHandler) ListMembers(ctx context.Context, _ *adminv1.ListMembersRequest) (*adminv1.ListMembersResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	all, err := h.members.List(ctx, sc)
	if err != nil {
		return nil, err
	}
	presences, err := h.members.Presences(ctx, all)
	if err != nil {
		return nil, err
	}
	people := make([]uuid.UUID, len(all))
	for i, m := range all {
		people[i] = m.PersonID
	}
	names, err := h.names(ctx, people)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListMembersResponse{}
	for _, m := range all {
		one, known := toMember(m), presences[m.PersonID]
		one.LastSeenAt, one.PasskeyCount = timestampOf(known.LastSeenAt), int32(known.Passkeys) //nolint:gosec // at most some dozens
		one.Name = names[m.PersonID]
		res.Members = append(res.Members, one)
	}
	return res, nil
}

// ListInvitations answers without the links.
func (h *MemberHandler) ListInvitations(ctx context.Context, _ *adminv1.ListInvitationsRequest) (*adminv1.ListInvitationsResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	open, err := h.members.Invitations(ctx, sc)
	if err != nil {
		return nil, err
	}
	res := &adminv1.ListInvitationsResponse{}
	for _, i := range open {
		res.Invitations = append(res.Invitations, toInvitation(i.Invitation))
	}
	return res, nil
}

// InviteMember answers the link, which nobody reads again here.
func (h *MemberHandler) InviteMember(ctx context.Context, req *adminv1.InviteMemberRequest) (*adminv1.InviteMemberResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	made, err := h.members.Invite(ctx, sc, member.InviteRequest{
		Role: member.Role(req.GetRole()), Label: req.GetLabel(), Life: time.Duration(req.GetExpiresInSeconds()) * time.Second,
		Email: req.GetEmail(), Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return &adminv1.InviteMemberResponse{Invitation: toInvitation(made.Invitation), Url: h.link(made.Token)}, nil
}

// RevokeInvitation translates: one call, one answer.
func (h *MemberHandler) RevokeInvitation(ctx context.Context, req *adminv1.RevokeInvitationRequest) (*adminv1.RevokeInvitationResponse, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(req.GetInvitationId())
	if err != nil {
		return nil, member.ErrInvitation
	}
	answers(ctx, func(i member.Invitation) proto.Message {
		return &adminv1.RevokeInvitationResponse{Invitation: toInvitation(i)}
	})
	gone, err := h.members.Uninvite(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	return &adminv1.RevokeInvitationResponse{Invitation: toInvitation(gone)}, nil
}

// UpdateMember translates: one call, one answer.
func (h *MemberHandler) UpdateMember(ctx context.Context, req *adminv1.UpdateMemberRequest) (*adminv1.Member, error) {
	answers(ctx, func(m member.Member) proto.Message { return toMember(m) })
	m, err := h.change(ctx, req.GetMemberId(), req.GetRole(), req.GetReason())
	if err != nil {
		return nil, err
	}
	return toMember(m), nil
}

// RemoveMember translates: one call, one answer.
func (h *MemberHandler) RemoveMember(ctx context.Context, req *adminv1.RemoveMemberRequest) (*adminv1.RemoveMemberResponse, error) {
	answers(ctx, func(m member.Member) proto.Message { return &adminv1.RemoveMemberResponse{Member: toMember(m)} })
	m, err := h.change(ctx, req.GetMemberId(), "", req.GetReason())
	if err != nil {
		return nil, err
	}
	return &adminv1.RemoveMemberResponse{Member: toMember(m)}, nil
}

func (h *MemberHandler) change(ctx context.Context, memberID, role, reason string) (member.Member, error) {
	sc, err := scope.FromContext(ctx)
	if err != nil {
		return member.Member{}, err
	}
	id, err := uuid.Parse(memberID)
	if err != nil {
		return member.Member{}, member.ErrNotFound
	}
	return h.members.Change(ctx, sc, member.ChangeRequest{ID: id, Role: member.Role(role), Reason: reason})
}

func toMember(m member.Member) *adminv1.Member {
	return &adminv1.Member{
		Id: m.ID.String(), PersonId: m.PersonID.String(), Role: string(m.Role), InvitedBy: m.InvitedBy, CreatedAt: timestamp(m.CreatedAt),
	}
}

func toInvitation(i member.Invitation) *adminv1.Invitation {
	return &adminv1.Invitation{
		Id: i.ID.String(), Role: string(i.Role), Label: i.Label, InvitedBy: i.InvitedBy, CreatedAt: timestamp(i.CreatedAt), ExpiresAt: timestamp(i.ExpiresAt),
	}
}
