// Package member keeps who of the console's people works in a tenant and as what, how they
// got in, and their browsers' sessions.
//
// A person is a user of the reserved tenant, with passkeys there and no other means; one
// person may be a member of several tenants. Members of the reserved tenant are the staff
// of the installation, which gives them no access to any other.
package member

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/mail"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound  = fault.New(fault.NotFound, "MEMBER_UNKNOWN", "no such member")
	ErrExists    = fault.New(fault.Conflict, "MEMBER_EXISTS", "this person is a member already")
	ErrRole      = fault.New(fault.Invalid, "ROLE_INVALID", "this tenant has no such role")
	ErrTooMighty = fault.New(fault.Forbidden, "ROLE_TOO_HIGH", "nobody gives or takes a role that is above their own")
	ErrLastOwner = fault.New(fault.Precondition, "LAST_OWNER", "a tenant keeps at least one owner who can sign in: make somebody else an owner first")
	ErrTooMany   = fault.New(fault.Precondition, "TOO_MANY_MEMBERS", "a tenant has at most 500 members and 100 open invitations")
	ErrReason    = fault.New(fault.Invalid, "REASON_REQUIRED", "say why: a reason of 1 to 256 characters")
)

// Bounds of a tenant.
const (
	maxMembers     = 500
	maxInvitations = 100
)

// Member is a person's role in a tenant.
type Member struct {
	ID        uuid.UUID
	PersonID  uuid.UUID // a user of the reserved tenant
	Role      Role
	InvitedBy string // kind:id
	CreatedAt time.Time
	UpdatedAt time.Time
}

func fromRow(row tenantq.Member) Member {
	return Member{
		ID: row.ID, PersonID: row.PersonID, Role: Role(row.Role), InvitedBy: row.InvitedBy, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
}

// Options configures a Service.
type Options struct {
	Store *db.Store     // required
	Keys  *keys.Service // required
	Mail  *mail.Service // nil: nobody is told by mail
	Rand  io.Reader     // of ids and cookies; nil means crypto/rand
}

// Service keeps members. It is safe for concurrent use.
type Service struct {
	store *db.Store
	keys  *keys.Service
	mail  *mail.Service
	rand  io.Reader
}

// New returns a Service.
func New(o Options) *Service {
	s := &Service{store: o.Store, keys: o.Keys, mail: o.Mail, rand: o.Rand}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	return s
}

// Membership is a tenant in which a person works.
type Membership struct {
	TenantID uuid.UUID
	Slug     string
	Name     string
	Mode     string // LIVE or TEST
	State    string // ACTIVE or SUSPENDED
	Role     Role
}

// Memberships returns the tenants in which a person works, by name, at most 200: without
// the reserved one, and without those that are being deleted.
func (s *Service) Memberships(ctx context.Context, person uuid.UUID) ([]Membership, error) {
	var all []Membership
	err := s.store.InPlatform(ctx, "a person's tenants", func(tx *db.PlatformTx) error {
		rows, err := tx.ListMembershipsOfPerson(ctx, person)
		if err != nil {
			return fmt.Errorf("list memberships: %w", err)
		}
		all = memberships(rows)
		return nil
	})
	return all, err
}

func memberships(rows []platformq.ListMembershipsOfPersonRow) []Membership {
	all := make([]Membership, len(rows))
	for i, r := range rows {
		all[i] = Membership{TenantID: r.ID, Slug: r.Slug, Name: r.Name, Mode: r.Mode, State: r.State, Role: Role(r.Role)}
	}
	return all
}

// Of returns a person's membership of sc's tenant. ErrNotFound for everybody else.
func (s *Service) Of(ctx context.Context, sc scope.Scope, person uuid.UUID) (Member, error) {
	var m Member
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		m, err = of(ctx, tx, person)
		return err
	})
	return m, err
}

func of(ctx context.Context, tx *db.TenantTx, person uuid.UUID) (Member, error) {
	row, err := tx.GetMemberOfPerson(ctx, person)
	if db.IsNoRows(err) {
		return Member{}, ErrNotFound
	} else if err != nil {
		return Member{}, fmt.Errorf("get member of person: %w", err)
	}
	return fromRow(row), nil
}

// List returns the tenant's members, the oldest first.
func (s *Service) List(ctx context.Context, sc scope.Scope) ([]Member, error) {
	var all []Member
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListMembers(ctx, maxMembers)
		if err != nil {
			return fmt.Errorf("list members: %w", err)
		}
		all = make([]Member, len(rows))
		for i, row := range rows {
			all[i] = fromRow(row)
		}
		return nil
	})
	return all, err
}

// ChangeRequest says what is to become of a member, and why.
type ChangeRequest struct {
	ID     uuid.UUID
	Role   Role   // the new one; empty removes the member
	Reason string // required: it stands in the audit log
}

// Change gives a member another role, or removes it. ErrNotFound, ErrRole, ErrReason;
// ErrTooMighty when the caller, who is a person, may not give the new role or take the old
// one; ErrLastOwner where no other owner could sign in. Whatever invitations the member has made are taken back: nobody comes
// back, or up again, by a link of their own.
func (s *Service) Change(ctx context.Context, sc scope.Scope, req ChangeRequest) (Member, error) {
	if !audit.IsReason(req.Reason) {
		return Member{}, ErrReason
	}
	if req.Role != "" && !fits(sc, req.Role) {
		return Member{}, ErrRole
	}
	able, err := s.ownersAble(ctx, sc)
	if err != nil {
		return Member{}, err
	}
	var changed Member
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.LockMembers(ctx)
		if err != nil {
			return fmt.Errorf("lock members: %w", err)
		}
		var before *tenantq.Member
		others := 0
		for i := range rows {
			if rows[i].ID == req.ID {
				before = &rows[i]
			} else if isTop(Role(rows[i].Role)) && able[rows[i].PersonID] {
				others++
			}
		}
		if before == nil {
			return ErrNotFound
		}
		was := Role(before.Role)
		if err := mayGive(ctx, tx, rows, req.Role, was); err != nil {
			return err
		}
		if isTop(was) && !isTop(req.Role) && others == 0 {
			return ErrLastOwner
		}
		changed = fromRow(*before)
		entry := audit.Entry{
			Action: "member.update", Target: audit.Target{Kind: "member", ID: req.ID.String()}, Reason: req.Reason,
			Before: []attr.Attr{attr.Text("role", before.Role)}, Detail: []attr.Attr{attr.UUID("personId", before.PersonID)},
		}
		typ := event.MemberUpdated
		if req.Role == "" {
			entry.Action, typ = "member.remove", event.MemberRemoved
			if _, err := tx.DeleteMember(ctx, req.ID); err != nil {
				return fmt.Errorf("delete member: %w", err)
			}
		} else {
			row, err := tx.SetMemberRole(ctx, tenantq.SetMemberRoleParams{ID: req.ID, Role: string(req.Role), Now: tx.Now()})
			if err != nil {
				return fmt.Errorf("set role: %w", err)
			}
			changed = fromRow(row)
			entry.After = []attr.Attr{attr.Text("role", row.Role)}
		}
		// Nobody comes back, or up again, by a link: theirs, their keys', or one that they could copy.
		n, err := tx.RevokeInvitationsOf(ctx, tenantq.RevokeInvitationsOfParams{InvitedBy: byPerson(before.PersonID), Roles: lost(was, req.Role), Now: tx.Now()})
		if err != nil {
			return fmt.Errorf("revoke invitations: %w", err)
		}
		if n > 0 {
			entry.Detail = append(entry.Detail, attr.Int("invitationsTakenBack", n))
		}
		tx.Result(changed)
		return record(ctx, tx, entry, event.Event{Type: typ, Data: []attr.Attr{
			attr.UUID("memberId", req.ID), attr.UUID("personId", changed.PersonID), attr.Text("role", string(req.Role)),
		}})
	})
	if err != nil {
		return Member{}, err
	}
	return changed, nil
}

// isTop reports whether a tenant cannot be without somebody who has r.
func isTop(r Role) bool { return r == Owner || r == StaffAdmin }

// fits reports whether r is a role of sc's tenant.
func fits(sc scope.Scope, r Role) bool {
	all := Roles()
	if sc.Tenant() == scope.PlatformTenant {
		all = StaffRoles()
	}
	return slices.Contains(all, r)
}

// lost are the roles that who was one thing, and is another now, can give no more.
func lost(was, now Role) []string {
	roles := []string{}
	for _, r := range slices.Concat(Roles(), StaffRoles()) {
		if was.gives(r) && !now.gives(r) {
			roles = append(roles, string(r))
		}
	}
	return roles
}

// mayGive judges whether tx's actor gives one role and takes others: those that are not
// empty. A key gives no role that may more than the key itself. The command line gives all.
// ErrTooMighty; also for somebody who is no member any more.
func mayGive(ctx context.Context, tx *db.TenantTx, rows []tenantq.Member, gives Role, takes ...Role) error {
	actor := tx.Scope().Actor()
	var own Role
	switch actor.Kind {
	case scope.ActorSystem:
		return nil
	case scope.ActorOperator:
		own = roleOf(rows, actor.ID)
	case scope.ActorAPIKey:
		maker, scopes, err := KeyMaker(ctx, tx, actor.ID)
		if err != nil {
			return err
		}
		if own = roleOfMaker(rows, maker); gives != "" && !apikey.Covers(scopes, gives.Grants(apikey.Secret)) {
			return ErrTooMighty
		}
	default:
		return ErrTooMighty
	}
	for _, r := range append(takes, gives) {
		if r != "" && !own.gives(r) {
			return ErrTooMighty
		}
	}
	return nil
}

func roleOf(rows []tenantq.Member, person string) Role {
	for _, row := range rows {
		if row.PersonID.String() == person {
			return Role(row.Role)
		}
	}
	return ""
}

// maxKeyMakers bounds how many keys made one another that are asked for a person.
const maxKeyMakers = 8

// KeyMaker follows an API key to who made it, past keys that made one another, and returns
// the key's own scopes beside them. The zero actor for a key that leads to nobody.
func KeyMaker(ctx context.Context, tx *db.TenantTx, key string) (maker scope.Actor, scopes []string, err error) {
	for i := range maxKeyMakers {
		id, err := uuid.Parse(key)
		if err != nil {
			return scope.Actor{}, nil, nil //nolint:nilerr // no key: nobody has made it
		}
		row, err := tx.GetAPIKeyMaker(ctx, id)
		if db.IsNoRows(err) {
			return scope.Actor{}, nil, nil
		} else if err != nil {
			return scope.Actor{}, nil, fmt.Errorf("get the key's maker: %w", err)
		}
		if i == 0 {
			scopes = row.Scopes
		}
		kind, of, _ := strings.Cut(row.CreatedBy, ":")
		if scope.ActorKind(kind) != scope.ActorAPIKey {
			return scope.Actor{Kind: scope.ActorKind(kind), ID: of}, scopes, nil
		}
		key = of
	}
	return scope.Actor{}, nil, nil
}

// roleOfMaker is the role as which an API key gives and takes roles: that of the person who
// made it, as it is now, and an admin's at most, so that no key makes an owner. A key
// that a key has made is worth what that one is. Those that the command line made are an
// admin's; those that a platform key made with the tenant are so until it has an owner.
func roleOfMaker(rows []tenantq.Member, maker scope.Actor) Role {
	switch maker.Kind {
	case scope.ActorOperator:
		if r := roleOf(rows, maker.ID); r != Owner {
			return r
		}
		return Admin
	case scope.ActorPlatform:
		if slices.ContainsFunc(rows, func(m tenantq.Member) bool { return Role(m.Role) == Owner }) {
			return "" // who has it runs it: the staff had this key in hand
		}
		return Admin
	case scope.ActorSystem:
		return Admin
	default:
		return ""
	}
}

func record(ctx context.Context, tx *db.TenantTx, e audit.Entry, happened event.Event) error {
	if err := audit.Append(ctx, tx, e); err != nil {
		return err
	}
	return event.Append(ctx, tx, happened)
}

// byPerson is how rows name somebody in the console.
func byPerson(id uuid.UUID) string {
	return scope.Actor{Kind: scope.ActorOperator, ID: id.String()}.String()
}

func (s *Service) mint() (uuid.UUID, error) {
	id, err := uuid.NewV7FromReader(s.rand)
	if err != nil {
		return uuid.Nil, fmt.Errorf("mint id: %w", err)
	}
	return id, nil
}
