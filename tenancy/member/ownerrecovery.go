package member

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/mail"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// An owner who has lost every passkey is nobody's to let in alone. One of the staff asks,
// another agrees, three days go by in which every member of the tenant is shown what is
// about to happen and may stop it, and only then an invitation to the owner's place is
// made: one, which any member may still stop until it is used. It opens this tenant and
// nothing else that the lost person is a member of.

// Errors about the recovery of owners. Each Reason is part of the public API.
var (
	ErrOwnerRecovery      = fault.New(fault.NotFound, "OWNER_RECOVERY_UNKNOWN", "no such recovery of an owner")
	ErrNotOwner           = fault.New(fault.Precondition, "MEMBER_NOT_OWNER", "only an owner is recovered by the staff: others are invited again by their tenant")
	ErrOwnerRecoveryOpen  = fault.New(fault.Conflict, "OWNER_RECOVERY_OPEN", "a recovery of this owner is under way")
	ErrOwnerRecoveryOver  = fault.New(fault.Conflict, "OWNER_RECOVERY_DECIDED", "this recovery was decided, or is over")
	ErrOwnerRecoveryWaits = fault.New(fault.Precondition, "OWNER_RECOVERY_WAITS", "the members of the tenant have three days to say no")
	ErrSecondStaff        = fault.New(fault.Forbidden, "SECOND_STAFF_REQUIRED", "somebody else of the staff has to approve than who asked: somebody who was on the staff by then")
	ErrStaff              = fault.New(fault.Forbidden, "STAFF_REQUIRED", "only the staff of this installation may")
	ErrTicket             = fault.New(fault.Invalid, "TICKET_REQUIRED", "name the ticket: 1 to 100 characters")
)

// Timings of owners' recoveries.
const (
	// OwnerRecoveryDelay is how long members may say no: a weekend and a day.
	OwnerRecoveryDelay = 72 * time.Hour
	// ownerRequestLife is how long a request waits for the second of the staff, and how
	// long a link may be made once the delay is over.
	ownerRequestLife = 7 * 24 * time.Hour
	// ownerLinkLife is how long the link works.
	ownerLinkLife = 24 * time.Hour
)

// OwnerRecoveryState is where an owner's recovery stands.
type OwnerRecoveryState string

// The states. Ready and Expired are what others become by the clock.
const (
	OwnerRequested OwnerRecoveryState = "REQUESTED" // waits for a second of the staff
	OwnerWaiting   OwnerRecoveryState = "WAITING"   // members may say no until ReadyAt
	OwnerReady     OwnerRecoveryState = "READY"     // a link may be made
	OwnerReleased  OwnerRecoveryState = "RELEASED"  // it was, and nobody has used it
	OwnerCompleted OwnerRecoveryState = "COMPLETED" // somebody has the owner's place by it
	OwnerCancelled OwnerRecoveryState = "CANCELLED"
	OwnerExpired   OwnerRecoveryState = "EXPIRED"
)

// OwnerRecovery is one recovery of an owner.
type OwnerRecovery struct {
	ID          uuid.UUID
	MemberID    uuid.UUID
	PersonID    uuid.UUID
	State       OwnerRecoveryState
	Reason      string
	Ticket      string
	RequestedBy string // kind:id
	RequestedAt time.Time
	ApprovedBy  string // kind:id; empty before
	ApprovedAt  *time.Time
	ReadyAt     *time.Time // when the members' time to say no is over
	ExpiresAt   time.Time
	EndedBy     string // kind:id of who cancelled or released it
	EndedAt     *time.Time
	EndReason   string
}

// Open reports whether it may still let somebody in, and be cancelled.
func (r *OwnerRecovery) Open() bool {
	return r.State == OwnerRequested || r.State == OwnerWaiting || r.State == OwnerReady || r.State == OwnerReleased
}

func fromOwnerRecovery(row tenantq.OwnerRecovery, now time.Time) OwnerRecovery {
	r := OwnerRecovery{
		ID: row.ID, MemberID: row.MemberID, PersonID: row.PersonID, State: OwnerRecoveryState(row.State), Reason: row.Reason, Ticket: row.Ticket,
		RequestedBy: row.RequestedBy, RequestedAt: row.RequestedAt, ApprovedBy: row.ApprovedBy, ApprovedAt: row.ApprovedAt, ReadyAt: row.ReadyAt,
		ExpiresAt: row.ExpiresAt, EndedBy: row.EndedBy, EndedAt: row.EndedAt, EndReason: row.EndReason,
	}
	switch {
	case r.Open() && !now.Before(r.ExpiresAt):
		r.State = OwnerExpired
	case r.State == OwnerWaiting && !now.Before(*r.ReadyAt):
		r.State = OwnerReady
	}
	return r
}

// OwnerRecoveryRequest says who is to be recovered, and why.
type OwnerRecoveryRequest struct {
	MemberID uuid.UUID
	Reason   string // 1 to 256 characters; the members read it
	Ticket   string // 1 to 100 characters
}

// RequestOwnerRecovery asks for the recovery of an owner of sc's tenant. The caller is a
// person of the staff: ErrStaff. ErrReason, ErrTicket, ErrNotFound, ErrNotOwner,
// ErrOwnerRecoveryOpen.
func (s *Service) RequestOwnerRecovery(ctx context.Context, sc scope.Scope, req OwnerRecoveryRequest) (OwnerRecovery, error) {
	switch {
	case !audit.IsReason(req.Reason):
		return OwnerRecovery{}, ErrReason
	case !audit.IsTicket(req.Ticket):
		return OwnerRecovery{}, ErrTicket
	}
	if _, err := s.staff(ctx, sc); err != nil {
		return OwnerRecovery{}, err
	}
	id, err := s.mint()
	if err != nil {
		return OwnerRecovery{}, err
	}
	var made OwnerRecovery
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Two requests at once: the later sees the first.
		rows, err := tx.LockMembers(ctx)
		if err != nil {
			return fmt.Errorf("lock members: %w", err)
		}
		var owner *tenantq.Member
		for i := range rows {
			if rows[i].ID == req.MemberID {
				owner = &rows[i]
			}
		}
		switch {
		case owner == nil:
			return ErrNotFound
		case Role(owner.Role) != Owner:
			return ErrNotOwner
		}
		open, err := tx.ListOpenOwnerRecoveries(ctx, tx.Now())
		if err != nil {
			return fmt.Errorf("list owner recoveries: %w", err)
		}
		for _, other := range open {
			if other.MemberID == owner.ID {
				return ErrOwnerRecoveryOpen
			}
		}
		row, err := tx.InsertOwnerRecovery(ctx, tenantq.InsertOwnerRecoveryParams{
			ID: id, MemberID: owner.ID, PersonID: owner.PersonID, Reason: req.Reason, Ticket: req.Ticket, RequestedBy: sc.Actor().String(),
			Now: tx.Now(), ExpiresAt: tx.Now().Add(ownerRequestLife),
		})
		if err != nil {
			return fmt.Errorf("insert owner recovery: %w", err)
		}
		made = fromOwnerRecovery(row, tx.Now())
		tx.Result(made)
		return s.recordOwner(ctx, tx, &made, "ownerrecovery.request", event.OwnerRecoveryRequested, req.Reason)
	})
	if err != nil {
		return OwnerRecovery{}, err
	}
	return made, nil
}

// ApproveOwnerRecovery begins the members' three days. The caller is another person of the
// staff than who asked, and was one before that: ErrStaff, ErrSecondStaff. ErrReason,
// ErrOwnerRecovery, ErrOwnerRecoveryOver, ErrNotOwner.
func (s *Service) ApproveOwnerRecovery(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (OwnerRecovery, error) {
	second, err := s.staff(ctx, sc)
	if err != nil {
		return OwnerRecovery{}, err
	}
	return s.decideOwner(ctx, sc, id, reason, "ownerrecovery.approve", event.OwnerRecoveryApproved,
		func(tx *db.TenantTx, r *OwnerRecovery, to *tenantq.DecideOwnerRecoveryParams) error {
			switch {
			case r.State != OwnerRequested:
				return ErrOwnerRecoveryOver
			case r.RequestedBy == sc.Actor().String(), !second.CreatedAt.Before(r.RequestedAt):
				return ErrSecondStaff
			}
			// Who is a member of the tenant judges their own case.
			if _, err := of(ctx, tx, second.PersonID); err == nil {
				return ErrSecondStaff
			} else if !errors.Is(err, ErrNotFound) {
				return err
			}
			now := tx.Now()
			ready := now.Add(OwnerRecoveryDelay)
			to.State, to.ApprovedBy, to.ApprovedAt, to.ReadyAt = string(OwnerWaiting), sc.Actor().String(), &now, &ready
			to.ExpiresAt = ready.Add(ownerRequestLife)
			return stillOwner(ctx, tx, r.MemberID)
		})
}

// stillOwner refuses to recover who is no owner any more: ErrNotOwner.
func stillOwner(ctx context.Context, tx *db.TenantTx, id uuid.UUID) error {
	row, err := tx.GetMember(ctx, id)
	switch {
	case db.IsNoRows(err), err == nil && Role(row.Role) != Owner:
		return ErrNotOwner
	case err != nil:
		return fmt.Errorf("get member: %w", err)
	}
	return nil
}

// CancelOwnerRecovery ends one by which nobody has come in yet, and takes its link back.
// The caller is any member of the tenant, or a person of the staff: ErrStaff. ErrReason,
// ErrOwnerRecovery, ErrOwnerRecoveryOver.
func (s *Service) CancelOwnerRecovery(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (OwnerRecovery, error) {
	person, err := uuid.Parse(sc.Actor().ID)
	if err != nil || sc.Actor().Kind != scope.ActorOperator {
		return OwnerRecovery{}, ErrStaff
	}
	if _, err := s.Of(ctx, sc, person); err != nil {
		if _, err := s.staff(ctx, sc); err != nil {
			return OwnerRecovery{}, err
		}
	}
	return s.decideOwner(ctx, sc, id, reason, "ownerrecovery.cancel", event.OwnerRecoveryCancelled,
		func(tx *db.TenantTx, r *OwnerRecovery, to *tenantq.DecideOwnerRecoveryParams) error {
			if !r.Open() {
				return ErrOwnerRecoveryOver
			}
			now := tx.Now()
			if to.InvitationID != nil {
				if _, err := tx.RevokeInvitation(ctx, tenantq.RevokeInvitationParams{ID: *to.InvitationID, Now: now}); err != nil {
					return fmt.Errorf("revoke invitation: %w", err)
				}
			}
			to.State, to.EndedBy, to.EndedAt, to.EndReason = string(OwnerCancelled), sc.Actor().String(), &now, reason
			return nil
		})
}

// ReleaseOwnerRecovery makes the link: an invitation to the owner's place, for a day. The
// caller is a person of the staff: ErrStaff. ErrOwnerRecoveryWaits before the members'
// time is over. While nobody has used the link it answers with the same one again, and it
// makes no other: ErrOwnerRecoveryOver. ErrReason, ErrOwnerRecovery, ErrNotOwner.
func (s *Service) ReleaseOwnerRecovery(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (OwnerRecovery, Invited, error) {
	if _, err := s.staff(ctx, sc); err != nil {
		return OwnerRecovery{}, Invited{}, err
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return OwnerRecovery{}, Invited{}, fmt.Errorf("keys: %w", err)
	}
	link, err := s.mint()
	if err != nil {
		return OwnerRecovery{}, Invited{}, err
	}
	var row tenantq.Invitation
	r, err := s.decideOwner(ctx, sc, id, reason, "ownerrecovery.release", event.OwnerRecoveryReleased,
		func(tx *db.TenantTx, r *OwnerRecovery, to *tenantq.DecideOwnerRecoveryParams) (err error) {
			now := tx.Now()
			switch r.State {
			case OwnerRequested, OwnerWaiting:
				return ErrOwnerRecoveryWaits
			case OwnerReleased:
				if row, err = tx.GetInvitation(ctx, *to.InvitationID); err != nil {
					return fmt.Errorf("get invitation: %w", err)
				}
				return nil
			case OwnerReady:
			default:
				return ErrOwnerRecoveryOver
			}
			if err := stillOwner(ctx, tx, r.MemberID); err != nil {
				return err
			}
			to.State, to.EndedBy, to.EndedAt, to.EndReason = string(OwnerReleased), sc.Actor().String(), &now, reason
			to.InvitationID, to.ExpiresAt = &link, now.Add(ownerLinkLife)
			row, err = tx.InsertInvitation(ctx, tenantq.InsertInvitationParams{
				ID: link, Role: string(Owner), Label: "Recovery of an owner", InvitedBy: sc.Actor().String(), Now: now, ExpiresAt: to.ExpiresAt, Replaces: &r.MemberID,
			})
			if err != nil {
				return fmt.Errorf("insert invitation: %w", err)
			}
			return nil
		})
	if err != nil {
		return OwnerRecovery{}, Invited{}, err
	}
	return r, Invited{Invitation: fromInvitation(row, s.store.Now()), Token: invitationToken(ring, sc.Tenant(), row.ID)}, nil
}

// replaceOwner gives the lost owner's place to who has accepted invitation. Under
// LockMembers: somebody else is an owner by now.
func replaceOwner(ctx context.Context, tx *db.TenantTx, invitation, lost uuid.UUID) error {
	if err := tx.CompleteOwnerRecovery(ctx, invitation); err != nil {
		return fmt.Errorf("complete owner recovery: %w", err)
	}
	row, err := tx.GetMember(ctx, lost)
	if db.IsNoRows(err) {
		return nil // removed meanwhile
	} else if err != nil {
		return fmt.Errorf("get member: %w", err)
	}
	if _, err := tx.DeleteMember(ctx, lost); err != nil {
		return fmt.Errorf("delete member: %w", err)
	}
	return record(ctx, tx, audit.Entry{
		Action: "member.remove", Target: audit.Target{Kind: "member", ID: lost.String()}, Reason: "the owner's place was recovered",
		Before: []attr.Attr{attr.Text("role", row.Role)}, Detail: []attr.Attr{attr.UUID("personId", row.PersonID), attr.UUID("invitationId", invitation)},
	}, event.Event{Type: event.MemberRemoved, Data: []attr.Attr{attr.UUID("memberId", lost), attr.UUID("personId", row.PersonID)}})
}

func (s *Service) decideOwner(
	ctx context.Context, sc scope.Scope, id uuid.UUID, reason, action string, typ event.Type,
	decide func(*db.TenantTx, *OwnerRecovery, *tenantq.DecideOwnerRecoveryParams) error,
) (OwnerRecovery, error) {
	if !audit.IsReason(reason) {
		return OwnerRecovery{}, ErrReason
	}
	var decided OwnerRecovery
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// As whoever accepts the link locks them: members, then the rest.
		if _, err := tx.LockMembers(ctx); err != nil {
			return fmt.Errorf("lock members: %w", err)
		}
		row, err := tx.LockOwnerRecovery(ctx, id)
		if db.IsNoRows(err) {
			return ErrOwnerRecovery
		} else if err != nil {
			return fmt.Errorf("lock owner recovery: %w", err)
		}
		decided = fromOwnerRecovery(row, tx.Now())
		to := tenantq.DecideOwnerRecoveryParams{
			ID: id, State: row.State, ApprovedBy: row.ApprovedBy, ApprovedAt: row.ApprovedAt, ReadyAt: row.ReadyAt, ExpiresAt: row.ExpiresAt,
			InvitationID: row.InvitationID, EndedBy: row.EndedBy, EndedAt: row.EndedAt, EndReason: row.EndReason,
		}
		if err := decide(tx, &decided, &to); err != nil {
			return err
		}
		if row, err = tx.DecideOwnerRecovery(ctx, to); err != nil {
			return fmt.Errorf("decide owner recovery: %w", err)
		}
		decided = fromOwnerRecovery(row, tx.Now())
		tx.Result(decided)
		return s.recordOwner(ctx, tx, &decided, action, typ, reason)
	})
	if err != nil {
		return OwnerRecovery{}, err
	}
	return decided, nil
}

// ownerMails are the steps that owners and admins are told of by mail, too.
var ownerMails = map[event.Type]mail.Kind{
	event.OwnerRecoveryRequested: mail.OwnerRecoveryRequested,
	event.OwnerRecoveryApproved:  mail.OwnerRecoveryApproved,
	event.OwnerRecoveryCancelled: mail.OwnerRecoveryCancelled,
}

func (s *Service) recordOwner(ctx context.Context, tx *db.TenantTx, r *OwnerRecovery, action string, typ event.Type, reason string) error {
	detail := []attr.Attr{attr.UUID("memberId", r.MemberID), attr.Text("state", string(r.State)), attr.Text("ticket", r.Ticket)}
	if r.ReadyAt != nil {
		detail = append(detail, attr.Text("readyAt", r.ReadyAt.UTC().Format(time.RFC3339)))
	}
	if kind, told := ownerMails[typ]; told {
		if err := s.mail.Notify(ctx, tx, kind, r.ID); err != nil {
			return err
		}
	}
	return record(ctx, tx, audit.Entry{
		Action: action, Target: audit.Target{Kind: "ownerrecovery", ID: r.ID.String()}, Reason: reason, Detail: detail,
	}, event.Event{Type: typ, Data: append([]attr.Attr{attr.UUID("ownerRecoveryId", r.ID)}, detail...)})
}

// OwnerRecoveries returns the tenant's, the newest first, at most 20: each member may see
// them, and so may the staff.
func (s *Service) OwnerRecoveries(ctx context.Context, sc scope.Scope) ([]OwnerRecovery, error) {
	var all []OwnerRecovery
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListOwnerRecoveries(ctx)
		if err != nil {
			return fmt.Errorf("list owner recoveries: %w", err)
		}
		all = make([]OwnerRecovery, len(rows))
		for i, row := range rows {
			all[i] = fromOwnerRecovery(row, tx.Now())
		}
		return nil
	})
	return all, err
}

// staff returns the caller's membership of the installation's staff: ErrStaff for
// everybody else.
func (s *Service) staff(ctx context.Context, sc scope.Scope) (Member, error) {
	person, err := uuid.Parse(sc.Actor().ID)
	if err != nil || sc.Actor().Kind != scope.ActorOperator {
		return Member{}, ErrStaff
	}
	m, err := s.Of(ctx, scope.New(scope.PlatformTenant, sc.Actor()), person)
	switch f, ok := fault.As(err); {
	case ok && f.Reason == ErrNotFound.Reason, err == nil && !m.Role.May(ScopeOwnerRecoveries):
		return Member{}, ErrStaff
	default:
		return m, err
	}
}
