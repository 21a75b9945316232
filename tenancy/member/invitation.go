package member

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/mail"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// Errors about invitations. Each Reason is part of the public API.
var (
	ErrInvitation       = fault.New(fault.NotFound, "INVITATION_UNKNOWN", "no such invitation")
	ErrInvitationClosed = fault.New(fault.Precondition, "INVITATION_CLOSED", "this invitation was accepted, was taken back, or is over: ask for another")
	ErrLabel            = fault.New(fault.Invalid, "LABEL_INVALID", "say whom the invitation is for, in 1 to 100 characters")
	ErrEmail            = fault.New(fault.Invalid, "INVITATION_EMAIL_INVALID", "an e-mail address has at most 254 bytes, one @, and a domain in ASCII")
	ErrNoMail           = fault.New(fault.Precondition, "MAIL_NOT_CONFIGURED", "this installation sends no mail: hand the link over")
	ErrLife             = fault.New(fault.Invalid, "INVITATION_LIFETIME_INVALID", "an invitation lives one hour to 14 days")
)

// How long an invitation lives.
const (
	minInvitation     = time.Hour
	maxInvitation     = 14 * 24 * time.Hour
	defaultInvitation = 3 * 24 * time.Hour
)

// maxLabel is how many characters a label has at most.
const maxLabel = 100

// macInvitation makes the tokens of invitations.
const macInvitation keys.Purpose = "member invitation"

// invitationBytes are the tenant's id, the invitation's, and the MAC of both.
const invitationBytes = 16 + 16 + 32

// Invitation lets one person become a member.
type Invitation struct {
	ID        uuid.UUID
	Role      Role
	Label     string // whom it is for, in the inviter's words
	InvitedBy string // kind:id
	CreatedAt time.Time
	ExpiresAt time.Time
	Open      bool   // neither accepted, nor taken back, nor over
	Founds    *Terms // what is settled of the tenant that it makes; nil for all others
}

func fromInvitation(row tenantq.Invitation, now time.Time) Invitation {
	return Invitation{
		Founds: termsOf(row),
		ID:     row.ID, Role: Role(row.Role), Label: row.Label, InvitedBy: row.InvitedBy, CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt,
		Open: row.AcceptedAt == nil && row.RevokedAt == nil && now.Before(row.ExpiresAt),
	}
}

// Invited is an invitation with the token that accepts it.
type Invited struct {
	secret.Hidden

	Invitation Invitation
	Token      string // whoever shows it is the one who was invited; empty for who may not give its role
}

// InviteRequest says who is invited, as what.
type InviteRequest struct {
	Role  Role
	Label string        // whom it is for: 1 to 100 characters
	Life  time.Duration // one hour to 14 days; 0 means three days

	Email  string // where the link is sent, if mail is configured; empty: nowhere
	Reason string // for the audit log: up to 256 characters; may be empty
}

// emailField is where an invitation is sent to, until it is.
var emailField = keys.Field{Table: "invitations", Column: "email"}

// Invite makes an invitation. ErrRole, ErrLabel, ErrLife, ErrEmail, ErrNoMail, ErrReason,
// ErrTooMighty, ErrTooMany.
func (s *Service) Invite(ctx context.Context, sc scope.Scope, req InviteRequest) (Invited, error) {
	if !fits(sc, req.Role) {
		return Invited{}, ErrRole
	}
	return s.insertInvitation(ctx, sc, req, nil)
}

// insertInvitation makes one: into sc's tenant, or to found a tenant on terms.
func (s *Service) insertInvitation(ctx context.Context, sc scope.Scope, req InviteRequest, founds *Terms) (Invited, error) {
	if req.Life == 0 {
		req.Life = defaultInvitation
	}
	switch {
	case req.Label == "" || !utf8.ValidString(req.Label) || utf8.RuneCountInString(req.Label) > maxLabel:
		return Invited{}, ErrLabel
	case req.Life < minInvitation || req.Life > maxInvitation:
		return Invited{}, ErrLife
	case req.Reason != "" && !audit.IsReason(req.Reason):
		return Invited{}, ErrReason
	case req.Email != "" && mail.CheckAddress(req.Email) != nil:
		return Invited{}, ErrEmail
	case req.Email != "" && !s.mail.On():
		return Invited{}, ErrNoMail
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return Invited{}, fmt.Errorf("keys: %w", err)
	}
	id, err := s.mint()
	if err != nil {
		return Invited{}, err
	}
	var made Invitation
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.LockMembers(ctx)
		if err != nil {
			return fmt.Errorf("lock members: %w", err)
		}
		if founds != nil {
			err = mayFound(rows, sc.Actor())
		} else {
			err = mayGive(ctx, tx, rows, req.Role)
		}
		if err != nil {
			return err
		}
		open, err := tx.CountOpenInvitations(ctx, tx.Now())
		if err != nil {
			return fmt.Errorf("count invitations: %w", err)
		}
		if len(rows) >= maxMembers || open >= maxInvitations {
			return ErrTooMany
		}
		var sealed []byte
		if req.Email != "" {
			if sealed, err = ring.Seal(emailField, id[:], []byte(req.Email)); err != nil {
				return fmt.Errorf("seal an address: %w", err)
			}
			if err := s.mail.Invite(ctx, tx, id); err != nil {
				return err
			}
		}
		params := tenantq.InsertInvitationParams{
			ID: id, Role: string(req.Role), Label: req.Label, InvitedBy: sc.Actor().String(), Now: tx.Now(), ExpiresAt: tx.Now().Add(req.Life),
			EmailSealed: sealed,
		}
		detail := []attr.Attr{attr.Text("role", string(req.Role)), attr.Bool("mailed", req.Email != "")}
		if founds != nil {
			if err := founds.into(&params); err != nil {
				return err
			}
			detail = append(detail, founds.attrs()...)
		}
		row, err := tx.InsertInvitation(ctx, params)
		if err != nil {
			return fmt.Errorf("insert invitation: %w", err)
		}
		made = fromInvitation(row, tx.Now())
		tx.Result(made)
		return record(ctx, tx, audit.Entry{
			Action: "member.invite", Target: audit.Target{Kind: "invitation", ID: id.String()}, Reason: req.Reason,
			Detail: detail,
		}, event.Event{Type: event.MemberInvited, Data: []attr.Attr{attr.UUID("invitationId", id), attr.Text("role", row.Role)}})
	})
	if err != nil {
		return Invited{}, err
	}
	return Invited{Invitation: made, Token: invitationToken(ring, sc.Tenant(), made.ID)}, nil
}

// Invitations returns the open ones, the newest first, with the tokens of those whose role
// the caller may give: who may invite somebody may copy the link again. Those by which
// an owner is recovered are not among them.
func (s *Service) Invitations(ctx context.Context, sc scope.Scope) ([]Invited, error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	var all []Invited
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		members, err := tx.ListMembers(ctx, maxMembers)
		if err != nil {
			return fmt.Errorf("list members: %w", err)
		}
		rows, err := tx.ListOpenInvitations(ctx, tenantq.ListOpenInvitationsParams{Now: tx.Now(), MaxRows: maxInvitations})
		if err != nil {
			return fmt.Errorf("list invitations: %w", err)
		}
		all = make([]Invited, len(rows))
		for i, row := range rows {
			all[i] = Invited{Invitation: fromInvitation(row, tx.Now())}
			if mayGive(ctx, tx, members, Role(row.Role)) == nil {
				all[i].Token = invitationToken(ring, sc.Tenant(), row.ID)
			}
		}
		return nil
	})
	return all, err
}

// Uninvite takes an invitation back and returns it. ErrInvitation, ErrInvitationClosed,
// ErrTooMighty.
func (s *Service) Uninvite(ctx context.Context, sc scope.Scope, id uuid.UUID) (Invitation, error) {
	return s.revokeInvitation(ctx, sc, id, false)
}

// UninviteFounder is Uninvite for an invitation to found a tenant.
func (s *Service) UninviteFounder(ctx context.Context, sc scope.Scope, id uuid.UUID) (Invitation, error) {
	return s.revokeInvitation(ctx, sc, id, true)
}

func (s *Service) revokeInvitation(ctx context.Context, sc scope.Scope, id uuid.UUID, founds bool) (Invitation, error) {
	var gone Invitation
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.LockMembers(ctx)
		if err != nil {
			return fmt.Errorf("lock members: %w", err)
		}
		row, err := lockInvitation(ctx, tx, id)
		if err != nil {
			return err
		}
		if row.Replaces != nil || founds != (row.FoundsMode != nil) {
			return ErrInvitation // an owner's recovery is cancelled as such
		}
		if founds {
			err = mayFound(rows, sc.Actor())
		} else {
			err = mayGive(ctx, tx, rows, "", Role(row.Role))
		}
		if err != nil {
			return err
		}
		if row, err = tx.RevokeInvitation(ctx, tenantq.RevokeInvitationParams{ID: id, Now: tx.Now()}); err != nil {
			return fmt.Errorf("revoke invitation: %w", err)
		}
		gone = fromInvitation(row, tx.Now())
		tx.Result(gone)
		return record(ctx, tx, audit.Entry{
			Action: "member.uninvite", Target: audit.Target{Kind: "invitation", ID: id.String()}, Detail: []attr.Attr{attr.Text("role", row.Role)},
		}, event.Event{Type: event.MemberUninvited, Data: []attr.Attr{attr.UUID("invitationId", id)}})
	})
	return gone, err
}

// lockInvitation locks an open one. ErrInvitation, ErrInvitationClosed.
func lockInvitation(ctx context.Context, tx *db.TenantTx, id uuid.UUID) (tenantq.Invitation, error) {
	row, err := tx.LockInvitation(ctx, id)
	if db.IsNoRows(err) {
		return row, ErrInvitation
	} else if err != nil {
		return row, fmt.Errorf("lock invitation: %w", err)
	}
	if !fromInvitation(row, tx.Now()).Open {
		return row, ErrInvitationClosed
	}
	return row, nil
}

// Look returns the tenant and the invitation of a token. ErrInvitation for what is none,
// ErrInvitationClosed for what is none any more.
func (s *Service) Look(ctx context.Context, token string) (tenantID uuid.UUID, in Invitation, err error) {
	tenantID, id, err := s.openInvitation(ctx, token)
	if err != nil {
		return uuid.Nil, Invitation{}, err
	}
	sc := scope.New(tenantID, scope.Actor{Kind: scope.ActorSystem, ID: "console"})
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetInvitation(ctx, id)
		if db.IsNoRows(err) {
			return ErrInvitation
		} else if err != nil {
			return fmt.Errorf("get invitation: %w", err)
		}
		if in = fromInvitation(row, tx.Now()); !in.Open {
			return ErrInvitationClosed
		}
		return nil
	})
	return tenantID, in, err
}

// Accept makes the caller, who is a person that is signed in, a member by an invitation's
// token. By an owner's recovery the member takes the place of the owner who was lost.
// ErrInvitation; ErrInvitationClosed, also for who did not make the account that it made;
// ErrExists, ErrTooMany; ErrFounds for one that Found takes.
func (s *Service) Accept(ctx context.Context, person uuid.UUID, origin scope.Origin, token string) (uuid.UUID, Member, error) {
	tenantID, id, err := s.openInvitation(ctx, token)
	if err != nil {
		return uuid.Nil, Member{}, err
	}
	if err := s.isFor(ctx, person, id); err != nil {
		return uuid.Nil, Member{}, err
	}
	memberID, err := s.mint()
	if err != nil {
		return uuid.Nil, Member{}, err
	}
	sc := scope.New(tenantID, scope.Actor{Kind: scope.ActorOperator, ID: person.String()}).WithOrigin(origin)
	var m Member
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.LockMembers(ctx)
		if err != nil {
			return fmt.Errorf("lock members: %w", err)
		}
		row, err := lockInvitation(ctx, tx, id)
		if err != nil {
			return err
		}
		if row.FoundsMode != nil {
			return ErrFounds
		}
		if len(rows) >= maxMembers && row.Replaces == nil {
			return ErrTooMany
		}
		made, err := tx.InsertMember(ctx, tenantq.InsertMemberParams{ID: memberID, PersonID: person, Role: row.Role, InvitedBy: row.InvitedBy, Now: tx.Now()})
		if db.IsNoRows(err) {
			return ErrExists
		} else if err != nil {
			return fmt.Errorf("insert member: %w", err)
		}
		if _, err := tx.AcceptInvitation(ctx, tenantq.AcceptInvitationParams{ID: id, PersonID: person, Now: tx.Now()}); err != nil {
			return fmt.Errorf("accept invitation: %w", err)
		}
		m = fromRow(made)
		tx.Result(m)
		if row.Replaces != nil {
			if err := replaceOwner(ctx, tx, id, *row.Replaces); err != nil {
				return err
			}
		}
		return record(ctx, tx, audit.Entry{
			Action: "member.join", Target: audit.Target{Kind: "member", ID: memberID.String()},
			After:  []attr.Attr{attr.Text("role", row.Role)},
			Detail: []attr.Attr{attr.UUID("invitationId", id), attr.UUID("personId", person), attr.Text("invitedBy", row.InvitedBy)},
		}, event.Event{Type: event.MemberJoined, Data: []attr.Attr{
			attr.UUID("memberId", memberID), attr.UUID("personId", person), attr.Text("role", row.Role),
		}})
	})
	if err != nil {
		return uuid.Nil, Member{}, err
	}
	return tenantID, m, nil
}

func invitationToken(ring *keys.Ring, tenantID, id uuid.UUID) string {
	raw := append(append(make([]byte, 0, invitationBytes), tenantID[:]...), id[:]...)
	mac := ring.MAC(macInvitation, raw)
	return base64.RawURLEncoding.EncodeToString(append(raw, mac[:]...))
}

// openInvitation returns the tenant and the invitation of a token: ErrInvitation.
func (s *Service) openInvitation(ctx context.Context, token string) (tenantID, id uuid.UUID, err error) {
	if len(token) != base64.RawURLEncoding.EncodedLen(invitationBytes) {
		return uuid.Nil, uuid.Nil, ErrInvitation
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != invitationBytes { // the decoder skips over line breaks
		return uuid.Nil, uuid.Nil, ErrInvitation.WithCause(err)
	}
	tenantID, id = uuid.UUID(raw[:16]), uuid.UUID(raw[16:32])
	if tenantID == uuid.Nil {
		return uuid.Nil, uuid.Nil, ErrInvitation
	}
	ring, err := s.keys.Ring(ctx, scope.New(tenantID, scope.Actor{Kind: scope.ActorSystem, ID: "console"}))
	if err != nil {
		if f, ok := fault.As(err); !ok || f.Kind == fault.NotFound || f.Kind == fault.Precondition {
			return uuid.Nil, uuid.Nil, ErrInvitation.WithCause(err) // no tenant, or none any more
		}
		return uuid.Nil, uuid.Nil, fmt.Errorf("keys: %w", err)
	}
	if mac := ring.MAC(macInvitation, raw[:32]); !hmac.Equal(raw[32:], mac[:]) {
		return uuid.Nil, uuid.Nil, ErrInvitation
	}
	return tenantID, id, nil
}
