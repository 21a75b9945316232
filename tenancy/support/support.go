// Package support lets people of the installation's staff look into a tenant that is not
// theirs, for as long as the tenant allows it: they ask with a reason and a ticket, the
// tenant grants or refuses, for an hour at most, and it or they may end it at any time.
// Nobody has standing access.
//
// A grant is a row. What it opens is decided by Postgres with each statement of a scope of
// support (db.Store, 0034_support.sql); this package only writes the row. What was seen and
// done by a grant stands in the tenant's audit trail, with the name of who did it and of who
// let them in.
package support

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/mail"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound = fault.New(fault.NotFound, "SUPPORT_GRANT_UNKNOWN", "no such request for access")
	ErrAccess   = fault.New(fault.Invalid, "SUPPORT_ACCESS_INVALID", "access is VIEW or ACT")
	ErrMinutes  = fault.New(fault.Invalid, "SUPPORT_MINUTES_INVALID", "support access lasts 1 to 60 minutes")
	ErrWider    = fault.New(fault.Invalid, "SUPPORT_WIDER_THAN_ASKED", "grant what was asked for, or less")
	ErrMember   = fault.New(fault.Precondition, "SUPPORT_OF_MEMBER", "a member of the tenant needs no support access")
	ErrOpen     = fault.New(fault.Conflict, "SUPPORT_OPEN", "this person has asked this tenant already, or is in it")
	ErrTooMany  = fault.New(fault.Precondition, "SUPPORT_TOO_MANY", "a tenant has at most 20 open requests for access")
	ErrOver     = fault.New(fault.Conflict, "SUPPORT_DECIDED", "this was decided, or is over")
	ErrMayNot   = fault.New(fault.Forbidden, "SUPPORT_GRANT_FORBIDDEN", "only the tenant lets anybody in: an owner or admin of it, who is somebody else, or a key of its own")
)

// Access is how far a grant goes.
type Access string

// What may be granted.
const (
	View Access = "VIEW" // look
	Act  Access = "ACT"  // and do what a help desk does
)

func (a Access) valid() bool { return a == View || a == Act }

// Bounds of a grant and of requests.
const (
	// Longest is how long access lasts at most. The table holds to it too.
	Longest = time.Hour
	// requestLife is how long a request waits for an answer.
	requestLife = 24 * time.Hour
	// maxOpen is how many requests of a tenant wait at once.
	maxOpen = 20
)

// State is where a grant stands.
type State string

// The states. Expired is what Requested and Granted become by the clock.
const (
	Requested State = "REQUESTED"
	Granted   State = "GRANTED"
	Refused   State = "REFUSED"
	Revoked   State = "REVOKED" // by the tenant
	Ended     State = "ENDED"   // by the staff
	Expired   State = "EXPIRED"
)

// Grant is a request for access, and what became of it.
type Grant struct {
	ID         uuid.UUID
	TenantID   uuid.UUID
	PersonID   uuid.UUID // of the staff, a user of the reserved tenant
	PersonName string    // as it was then
	State      State
	Reason     string
	Ticket     string

	WantedAccess Access
	Wanted       time.Duration // whole minutes
	RequestedBy  string        // kind:id
	RequestedAt  time.Time
	OpenUntil    time.Time // nobody can decide any more then

	Access       Access // granted; empty before
	DecidedBy    string // kind:id; empty before
	DecidedName  string
	DecidedAt    *time.Time
	DecideReason string
	ExpiresAt    *time.Time // of the access

	EndedBy   string // kind:id
	EndedName string
	EndedAt   *time.Time
	EndReason string
}

// Waits reports whether somebody has to decide, and Runs whether the person may look.
func (g *Grant) Waits() bool { return g.State == Requested }

// Runs reports whether the person may look now.
func (g *Grant) Runs() bool { return g.State == Granted }

// Scope is the tenant as the person sees it by the grant.
func (g *Grant) Scope(origin scope.Origin) scope.Scope {
	kind, id, _ := strings.Cut(g.DecidedBy, ":")
	return scope.ForSupport(g.TenantID, g.PersonID, g.PersonName, scope.Support{
		GrantID: g.ID, Acts: g.Access == Act, By: scope.Actor{Kind: scope.ActorKind(kind), ID: id, Name: g.DecidedName},
	}).WithOrigin(origin)
}

func fromRow(row tenantq.SupportGrant, now time.Time) Grant {
	g := Grant{
		ID: row.ID, TenantID: row.TenantID, PersonID: row.PersonID, PersonName: row.PersonName, State: State(row.State), Reason: row.Reason, Ticket: row.Ticket,
		WantedAccess: Access(row.WantedAccess), Wanted: time.Duration(row.WantedMinutes) * time.Minute,
		RequestedBy: row.RequestedBy, RequestedAt: row.RequestedAt, OpenUntil: row.OpenUntil,
		DecidedBy: row.DecidedBy, DecidedName: row.DecidedName, DecidedAt: row.DecidedAt, DecideReason: row.DecideReason, ExpiresAt: row.ExpiresAt,
		EndedBy: row.EndedBy, EndedName: row.EndedName, EndedAt: row.EndedAt, EndReason: row.EndReason,
	}
	if row.Access != nil {
		g.Access = Access(*row.Access)
	}
	if g.Waits() && !now.Before(g.OpenUntil) || g.Runs() && !now.Before(*g.ExpiresAt) {
		g.State = Expired
	}
	return g
}

// Options configures a Service.
type Options struct {
	Store   *db.Store       // required
	Keys    *keys.Service   // required; seals page tokens, opens entries
	Members *member.Service // required
	Mail    *mail.Service   // nil: nobody is told by mail

	// Name returns what a person of the reserved tenant is called; required. The people of
	// the console are users, of which this package knows nothing.
	Name func(ctx context.Context, person uuid.UUID) (string, error)
	Rand io.Reader // of ids; nil means crypto/rand
}

// Service keeps support grants. It is safe for concurrent use.
type Service struct {
	store   *db.Store
	keys    *keys.Service
	trail   *trail.Reader
	members *member.Service
	mail    *mail.Service
	name    func(ctx context.Context, person uuid.UUID) (string, error)
	rand    io.Reader
}

// New returns a Service.
func New(o Options) *Service {
	s := &Service{store: o.Store, keys: o.Keys, trail: trail.NewReader(o.Store, o.Keys), members: o.Members, mail: o.Mail, name: o.Name, rand: o.Rand}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	return s
}

// Request says who wants to look into a tenant, and why.
type Request struct {
	TenantID uuid.UUID
	PersonID uuid.UUID     // of the staff; the caller, when that is a person
	Reason   string        // 1 to 256 characters; the tenant reads it
	Ticket   string        // 1 to 100 characters
	For      time.Duration // 1 to 60 minutes
	Access   Access
}

// Request asks a tenant for access. sc is the reserved tenant's, of a person of the staff,
// of a platform key that asks for one, or of the command line. member.ErrReason,
// member.ErrTicket, ErrMinutes, ErrAccess; member.ErrStaff when the person is not of the
// staff, or a person asks for somebody else; ErrMember; ErrOpen; ErrTooMany;
// tenant.ErrNotFound when there is no such tenant.
func (s *Service) Request(ctx context.Context, sc scope.Scope, req Request) (Grant, error) {
	switch {
	case !audit.IsReason(req.Reason):
		return Grant{}, member.ErrReason
	case !audit.IsTicket(req.Ticket):
		return Grant{}, member.ErrTicket
	case !req.Access.valid():
		return Grant{}, ErrAccess
	case !isWithin(req.For, Longest):
		return Grant{}, ErrMinutes
	case sc.Tenant() != scope.PlatformTenant, sc.Actor().Kind == scope.ActorOperator && sc.Actor().ID != req.PersonID.String():
		return Grant{}, member.ErrStaff
	}
	m, err := s.members.Of(ctx, sc, req.PersonID)
	if f, ok := fault.As(err); ok && f.Reason == member.ErrNotFound.Reason || err == nil && !m.Role.May(apikey.ScopeSupportRequest) {
		return Grant{}, member.ErrStaff
	} else if err != nil {
		return Grant{}, err
	}
	name, err := s.name(ctx, req.PersonID)
	if err != nil {
		return Grant{}, fmt.Errorf("name of a person: %w", err)
	}
	id, err := uuid.NewV7FromReader(s.rand)
	if err != nil {
		return Grant{}, fmt.Errorf("mint id: %w", err)
	}
	in := scope.New(req.TenantID, sc.Actor()).WithOrigin(sc.Origin())
	if in.IsZero() || req.TenantID == scope.PlatformTenant {
		return Grant{}, tenant.ErrNotFound
	}
	var made Grant
	err = s.store.InPlatform(ctx, "ask a tenant for support access", func(p *db.PlatformTx) error {
		homes, err := p.ListMembershipsOfPerson(ctx, req.PersonID)
		if err != nil {
			return fmt.Errorf("list memberships: %w", err)
		}
		for _, home := range homes {
			if home.ID == req.TenantID {
				return ErrMember
			}
		}
		t, err := p.GetTenant(ctx, req.TenantID)
		if db.IsNoRows(err) || err == nil && t.State == string(tenant.Deleting) {
			return tenant.ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get tenant: %w", err)
		}
		tx, err := p.AsTenant(ctx, in)
		if err != nil {
			return err
		}
		made, err = s.insert(ctx, tx, id, name, req)
		p.Result(made)
		return err
	})
	if err != nil {
		return Grant{}, err
	}
	return made, nil
}

func (s *Service) insert(ctx context.Context, tx *db.TenantTx, id uuid.UUID, name string, req Request) (Grant, error) {
	if err := tx.ExpireSupportGrants(ctx, req.PersonID); err != nil {
		return Grant{}, fmt.Errorf("expire support grants: %w", err)
	}
	if n, err := tx.CountOpenSupportRequests(ctx); err != nil {
		return Grant{}, fmt.Errorf("count open requests: %w", err)
	} else if n >= maxOpen {
		return Grant{}, ErrTooMany
	}
	row, err := tx.InsertSupportGrant(ctx, tenantq.InsertSupportGrantParams{
		ID: id, PersonID: req.PersonID, PersonName: name, Reason: req.Reason, Ticket: req.Ticket,
		WantedAccess: string(req.Access), WantedMinutes: minutes(req.For), RequestedBy: tx.Scope().Actor().String(),
		Now: tx.Now(), OpenUntil: tx.Now().Add(requestLife),
	})
	if db.IsNoRows(err) {
		return Grant{}, ErrOpen
	} else if err != nil {
		return Grant{}, fmt.Errorf("insert support grant: %w", err)
	}
	g := fromRow(row, tx.Now())
	// Owners and admins: who may grant it.
	if err := s.mail.Notify(ctx, tx, mail.SupportAsked, g.ID); err != nil {
		return Grant{}, err
	}
	return g, record(ctx, tx, &g, "support.request", event.SupportRequested, req.Reason)
}

// record appends what became of g: the audit entry and the event.
func record(ctx context.Context, tx *db.TenantTx, g *Grant, action string, typ event.Type, reason string) error {
	access, long := g.WantedAccess, g.Wanted
	if g.DecidedAt != nil && g.ExpiresAt != nil {
		access, long = g.Access, g.ExpiresAt.Sub(*g.DecidedAt)
	}
	detail := []attr.Attr{
		attr.UUID("personId", g.PersonID), attr.Text("ticket", g.Ticket), attr.Text("access", string(access)), attr.Int("minutes", int64(long/time.Minute)),
	}
	if err := audit.Append(ctx, tx, audit.Entry{
		Action: action, Target: target(g.ID), Reason: reason, Detail: detail,
	}); err != nil {
		return err
	}
	data := append([]attr.Attr{attr.UUID("supportGrantId", g.ID)}, detail...)
	if g.Runs() {
		data = append(data, attr.Text("expiresAt", g.ExpiresAt.UTC().Format(time.RFC3339)))
	}
	return event.Append(ctx, tx, event.Event{Type: typ, Data: data})
}

func target(id uuid.UUID) audit.Target { return audit.Target{Kind: "supportgrant", ID: id.String()} }

// supportBy is how rows name somebody of the staff who acted by a grant.
func supportBy(person uuid.UUID) string { return string(scope.ActorSupport) + ":" + person.String() }

// isWithin reports whether d is whole minutes, at least one and at most longest.
func isWithin(d, longest time.Duration) bool {
	return d >= time.Minute && d <= longest && d%time.Minute == 0
}

func minutes(d time.Duration) int32 { return int32(d / time.Minute) } //nolint:gosec // at most 60
