package member

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/tenancy/usage"
)

// Errors about invitations to found a tenant. Each Reason is part of the public API.
var (
	ErrFoundingMode = fault.New(fault.Invalid, "TENANT_MODE_INVALID", "a tenant is LIVE or TEST")
	ErrFounds       = fault.New(fault.Precondition, "INVITATION_FOUNDS_TENANT", "this invitation is for a tenant of one's own, which is made first")
)

// Terms are what the staff settles for a tenant that somebody else makes.
type Terms struct {
	Mode   tenant.Mode
	Plan   string        // what the contract calls it: up to 64 characters; may be empty
	Quotas []usage.Quota // each of a kind of its own; none: nothing is bounded
}

// keptQuota is a quota as it stands in an invitation's row.
type keptQuota struct {
	Kind usage.Kind `json:"kind"`
	Most int64      `json:"most"`
	Hard bool       `json:"hard"`
}

// clean returns the terms as they are kept. ErrFoundingMode, usage.ErrQuota, and what
// tenant.CleanPlan refuses.
func (t Terms) clean() (Terms, error) {
	if t.Mode != tenant.Live && t.Mode != tenant.Test {
		return Terms{}, ErrFoundingMode
	}
	var err error
	if t.Plan, err = tenant.CleanPlan(t.Plan); err != nil {
		return Terms{}, err
	}
	return t, usage.CheckQuotas(t.Quotas)
}

func (t Terms) into(row *tenantq.InsertInvitationParams) error {
	mode, kept := string(t.Mode), make([]keptQuota, len(t.Quotas))
	for i, q := range t.Quotas {
		kept[i] = keptQuota{q.Kind, q.Most, q.Hard}
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return fmt.Errorf("encode quotas: %w", err)
	}
	row.FoundsMode, row.FoundsPlan, row.FoundsQuotas = &mode, t.Plan, text
	return nil
}

// termsOf reads what into has written; nil for an invitation that founds nothing.
func termsOf(row tenantq.Invitation) *Terms {
	if row.FoundsMode == nil {
		return nil
	}
	t := &Terms{Mode: tenant.Mode(*row.FoundsMode), Plan: row.FoundsPlan}
	var kept []keptQuota
	_ = json.Unmarshal(row.FoundsQuotas, &kept) // written by into, and held to an array by the table
	for _, q := range kept {
		t.Quotas = append(t.Quotas, usage.Quota{Kind: q.Kind, Most: q.Most, Hard: q.Hard})
	}
	return t
}

func (t Terms) attrs() []attr.Attr {
	out := []attr.Attr{attr.Text("foundsMode", string(t.Mode)), attr.Text("plan", t.Plan)}
	for _, q := range t.Quotas {
		out = append(out, attr.Int("quota."+string(q.Kind), q.Most))
	}
	return out
}

// FoundingRequest says who is invited to make a tenant of their own.
type FoundingRequest struct {
	Label  string        // whom it is for: 1 to 100 characters
	Terms  Terms         // of the tenant to be
	Life   time.Duration // one hour to 14 days; 0 means three days
	Email  string        // where the link is sent, if mail is configured; empty: nowhere
	Reason string        // for the audit log: up to 256 characters; may be empty
}

// InviteFounder makes an invitation by which one person makes a tenant, and is its owner.
// The caller is of the platform plane: a staff admin, a platform key, the command line.
// tenant.ErrPlatformOnly, ErrTooMighty, ErrFoundingMode, usage.ErrQuota, what
// tenant.CleanPlan refuses, and Invite's errors.
func (s *Service) InviteFounder(ctx context.Context, sc scope.Scope, req FoundingRequest) (Invited, error) {
	if sc.Tenant() != scope.PlatformTenant {
		return Invited{}, tenant.ErrPlatformOnly
	}
	terms, err := req.Terms.clean()
	if err != nil {
		return Invited{}, err
	}
	return s.insertInvitation(ctx, sc, InviteRequest{Role: Owner, Label: req.Label, Life: req.Life, Email: req.Email, Reason: req.Reason}, &terms)
}

// mayFound judges who invites founders: of people those who may make tenants, platform keys, and the command line.
func mayFound(rows []tenantq.Member, actor scope.Actor) error {
	switch actor.Kind {
	case scope.ActorPlatform, scope.ActorSystem:
		return nil
	case scope.ActorOperator:
		if roleOf(rows, actor.ID).May(apikey.ScopeTenantsWrite) {
			return nil
		}
	case scope.ActorAPIKey, scope.ActorUser, scope.ActorSupport:
	}
	return ErrTooMighty
}

// Founders returns the open invitations to found a tenant, the newest first, with their
// tokens for who may make them. tenant.ErrPlatformOnly.
func (s *Service) Founders(ctx context.Context, sc scope.Scope) ([]Invited, error) {
	if sc.Tenant() != scope.PlatformTenant {
		return nil, tenant.ErrPlatformOnly
	}
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
		rows, err := tx.ListOpenFoundings(ctx, tenantq.ListOpenFoundingsParams{Now: tx.Now(), MaxRows: maxInvitations})
		if err != nil {
			return fmt.Errorf("list invitations: %w", err)
		}
		all = make([]Invited, len(rows))
		for i, row := range rows {
			all[i] = Invited{Invitation: fromInvitation(row, tx.Now())}
			if mayFound(members, sc.Actor()) == nil {
				all[i].Token = invitationToken(ring, sc.Tenant(), row.ID)
			}
		}
		return nil
	})
	return all, err
}

// FoundRequest describes the tenant that an invited person makes.
type FoundRequest struct {
	Token   string
	Name    string
	Slug    string
	RPID    string
	Origins []string
}

// Found makes the tenant of an invitation, with the caller, who is a person that is signed
// in, as its owner, all in one transaction and once. A live tenant proves its domain before
// it runs ceremonies. ErrInvitation, ErrInvitationClosed, and tenant.Service.Create's errors.
func (s *Service) Found(ctx context.Context, tenants *tenant.Service, person scope.Actor, origin scope.Origin, req FoundRequest) (tenant.Tenant, tenant.FirstKeys, error) {
	at, id, err := s.openInvitation(ctx, req.Token)
	if err != nil {
		return tenant.Tenant{}, tenant.FirstKeys{}, err
	}
	personID, err := uuid.Parse(person.ID)
	if err != nil || person.Kind != scope.ActorOperator || at != scope.PlatformTenant {
		return tenant.Tenant{}, tenant.FirstKeys{}, ErrInvitation
	}
	home := scope.New(scope.PlatformTenant, person).WithOrigin(origin)
	terms, err := s.terms(ctx, home, id)
	if err != nil {
		return tenant.Tenant{}, tenant.FirstKeys{}, err
	}
	memberID, err := s.mint()
	if err != nil {
		return tenant.Tenant{}, tenant.FirstKeys{}, err
	}
	return tenants.Create(ctx, home, tenant.CreateRequest{
		Slug: req.Slug, Name: req.Name, Mode: terms.Mode, Plan: terms.Plan, RPID: req.RPID, Origins: req.Origins,
		Found: func(ctx context.Context, tx *db.PlatformTx, made scope.Scope) error {
			return found(ctx, tx, home, made, id, personID, memberID)
		},
	})
}

func (s *Service) terms(ctx context.Context, home scope.Scope, id uuid.UUID) (terms Terms, err error) {
	err = s.store.ReadTenant(ctx, home, func(tx *db.TenantTx) error {
		row, err := tx.GetInvitation(ctx, id)
		switch {
		case db.IsNoRows(err), err == nil && row.FoundsMode == nil:
			return ErrInvitation
		case err != nil:
			return fmt.Errorf("get invitation: %w", err)
		case !fromInvitation(row, tx.Now()).Open:
			return ErrInvitationClosed
		}
		terms = *termsOf(row)
		return nil
	})
	return terms, err
}

// found spends the invitation, settles its quotas and makes the owner, in the transaction
// that makes the tenant.
func found(ctx context.Context, tx *db.PlatformTx, home, made scope.Scope, id, person, memberID uuid.UUID) error {
	in, err := tx.AsTenant(ctx, home)
	if err != nil {
		return err
	}
	row, err := lockInvitation(ctx, in, id) // of two who use it at once the later finds it closed
	if err != nil {
		return err
	}
	if err := madeFor(ctx, in, person, id); err != nil {
		return err
	}
	if _, err := in.AcceptInvitation(ctx, tenantq.AcceptInvitationParams{ID: id, PersonID: person, Now: in.Now()}); err != nil {
		return fmt.Errorf("accept invitation: %w", err)
	}
	if err := audit.Append(ctx, in, audit.Entry{
		Action: "tenant.found", Target: audit.Target{Kind: "tenant", ID: made.Tenant().String()},
		Detail: []attr.Attr{attr.UUID("invitationId", id), attr.Text("invitedBy", row.InvitedBy)},
	}); err != nil {
		return err
	}
	own, err := tx.AsTenant(ctx, made)
	if err != nil {
		return err
	}
	if err := usage.Settle(ctx, own, termsOf(row).Quotas, row.InvitedBy, "settled with the invitation"); err != nil {
		return err
	}
	if err := own.InsertFounder(ctx, tenantq.InsertFounderParams{ID: memberID, PersonID: person, Role: string(Owner), InvitedBy: row.InvitedBy, Now: own.Now()}); err != nil {
		return fmt.Errorf("insert the owner: %w", err)
	}
	return record(ctx, own, audit.Entry{
		Action: "member.join", Target: audit.Target{Kind: "member", ID: memberID.String()}, After: []attr.Attr{attr.Text("role", string(Owner))},
		Detail: []attr.Attr{attr.UUID("invitationId", id), attr.UUID("personId", person), attr.Text("invitedBy", row.InvitedBy)},
	}, event.Event{Type: event.MemberJoined, Data: []attr.Attr{
		attr.UUID("memberId", memberID), attr.UUID("personId", person), attr.Text("role", string(Owner)),
	}})
}
