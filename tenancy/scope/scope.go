// Package scope says on whose behalf something is done: a tenant and an actor.
//
// A Scope is made at the edge from a verified credential (an API key, a console
// session) or by a job from its arguments, travels in the context from the edge
// to the handler only, and is the explicit second parameter of everything below.
// Its fields are unexported and its zero value is refused by db.Store, so code
// that never received one cannot reach a tenant's rows.
package scope

import (
	"context"
	"net/netip"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// ErrMissing is returned when a call carries no scope: nobody authenticated it.
var ErrMissing = fault.New(fault.Unauthenticated, "CREDENTIALS_MISSING", "the request carries no API key")

// PlatformTenant is the reserved tenant of the operators of this installation:
// its users are the people of the console, its API keys are the platform keys.
// It has no auth-plane keys, import, recovery or registration tokens.
var PlatformTenant = uuid.UUID{0: 0, 6: 0x70, 8: 0x80, 15: 1}

// ActorKind says what kind of principal acts.
type ActorKind string

// The kinds of actors, as they stand in audit entries.
const (
	ActorAPIKey   ActorKind = "api_key"  // a tenant's server or publishable key
	ActorPlatform ActorKind = "platform" // a platform key
	ActorOperator ActorKind = "operator" // a person in the console
	ActorUser     ActorKind = "user"     // the relying party's end user
	ActorSystem   ActorKind = "system"   // a job, the command line, a migration
	ActorSupport  ActorKind = "support"  // a person of the staff whom a tenant has let in: ForSupport
)

// Actor is who acts. ID is opaque: the key's, the user's, or a job's name.
type Actor struct {
	Kind ActorKind
	ID   string
	Name string // for people; may be empty
}

// String is kind:id, as it stands in rows and is compared. Everybody at the command line has
// the same id, so there the name tells them apart: system:id:name.
func (a Actor) String() string {
	text := string(a.Kind) + ":" + a.ID
	if a.Kind == ActorSystem && a.Name != "" {
		text += ":" + a.Name
	}
	return text
}

// Origin is where a request came from. It is recorded with what the request
// did and decides nothing by itself.
type Origin struct {
	Address   netip.Addr // after the trusted proxies; invalid when there is none
	UserAgent string     // sanitised: valid UTF-8, no control characters, at most 512 bytes
	RequestID string
	TraceID   string // W3C trace id, hex; empty when not traced
}

// Support is by whose word a person of the staff is in a tenant that is not theirs.
// It says what was granted and opens nothing: Postgres looks at the grant itself, with
// each statement.
type Support struct {
	GrantID uuid.UUID
	Acts    bool  // beside looking: what a help desk does
	By      Actor // who let them in
}

// Scope is a tenant and an actor. It is a value and safe to share.
type Scope struct {
	tenant  uuid.UUID
	actor   Actor
	support Support
	origin  Origin
}

// New returns the scope of an actor who has been shown to belong to tenant.
// The caller vouches for that: only the edge, jobs, the command line and tests
// call New. A nil tenant or an actor without a kind gives the zero Scope, which
// every store refuses; so does an actor of support, for whom there is ForSupport.
func New(tenant uuid.UUID, actor Actor) Scope {
	if tenant == uuid.Nil || actor.Kind == "" || actor.Kind == ActorSupport {
		return Scope{}
	}
	return Scope{tenant: tenant, actor: actor}
}

// ForSupport returns the scope of a person of the staff in a tenant that has let them
// in. db.Store does with it what the grant allows while it runs, and nothing else. A
// nil tenant, person or grant, or nobody who granted it, gives the zero Scope.
func ForSupport(tenant, person uuid.UUID, name string, s Support) Scope {
	if tenant == uuid.Nil || person == uuid.Nil || s.GrantID == uuid.Nil || s.By.Kind == "" {
		return Scope{}
	}
	return Scope{tenant: tenant, actor: Actor{Kind: ActorSupport, ID: person.String(), Name: name}, support: s}
}

// WithOrigin returns sc with the place that the request came from.
func (sc Scope) WithOrigin(o Origin) Scope {
	sc.origin = o
	return sc
}

// WithActor returns sc acting as somebody else of the same tenant: the end user
// whose passkey has just been verified, for one. Support acts as nobody else: the zero
// Scope.
func (sc Scope) WithActor(a Actor) Scope {
	if sc.IsZero() || sc.IsSupport() || a.Kind == "" || a.Kind == ActorSupport {
		return Scope{}
	}
	sc.actor = a
	return sc
}

// Tenant returns the tenant's id; uuid.Nil for the zero Scope.
func (sc Scope) Tenant() uuid.UUID { return sc.tenant }

// Actor returns who acts.
func (sc Scope) Actor() Actor { return sc.actor }

// IsSupport reports whether somebody of the staff acts in a tenant that let them in.
func (sc Scope) IsSupport() bool { return sc.actor.Kind == ActorSupport }

// Support returns by whose word support acts; zero for everybody else.
func (sc Scope) Support() Support { return sc.support }

// Server returns the scope in which this server itself, as name, reads what it keeps
// for every caller of the tenant, whoever came first. Package keys opens its key rings
// so: support reads no row of a key, and names open for it all the same (ADR 0040).
func (sc Scope) Server(name string) Scope {
	return New(sc.tenant, Actor{Kind: ActorSystem, ID: name})
}

// Origin returns where the request came from; zero for jobs and commands.
func (sc Scope) Origin() Origin { return sc.origin }

// IsZero reports whether sc names no tenant. Stores refuse such a scope.
func (sc Scope) IsZero() bool { return sc.tenant == uuid.Nil }

type contextKey struct{}

// NewContext returns a context that carries sc from the edge to the handler.
func NewContext(ctx context.Context, sc Scope) context.Context {
	return context.WithValue(ctx, contextKey{}, sc)
}

// FromContext returns the scope that the edge put into ctx, or ErrMissing.
// Handlers call it once; below them the scope is a parameter.
func FromContext(ctx context.Context) (Scope, error) {
	sc, ok := ctx.Value(contextKey{}).(Scope)
	if !ok || sc.IsZero() {
		return Scope{}, ErrMissing
	}
	return sc, nil
}
