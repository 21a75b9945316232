package ceremony

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/idempotency"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Actions of audit entries: noun.verb.
const (
	actionToken        = "registration.token"
	actionRegister     = "registration.finish"
	actionAuthenticate = db.SignInAction
	actionExchange     = "authentication.exchange"
)

// The kinds of ceremonies and the outcomes of those that failed, as they stand in
// rows. An outcome is else a Decision.
const (
	kindRegistration   = "REGISTRATION"
	kindAuthentication = "AUTHENTICATION"
	outcomeFailed      = "FAILED"
)

// refuse records that a ceremony was refused, unless err says nothing about the
// request: an outage, a client that hung up. What is refused in a loop is counted.
func (s *Service) refuse(ctx context.Context, sc scope.Scope, action string, about uuid.UUID, err error, detail ...attr.Attr) {
	f, ok := tells(err)
	if !ok {
		return
	}
	e := audit.Entry{Action: action, Fault: f.Reason, Detail: detail}
	if about != uuid.Nil {
		e.Target = audit.Target{Kind: "ceremony", ID: about.String()}
	}
	s.denials.Record(ctx, sc, e)
}

// tells returns the fault of an error that says something about the request and is on
// record nowhere yet.
func tells(err error) (*fault.Error, bool) {
	f, ok := fault.As(err)
	if !ok || f.Kind == fault.Unavailable || isRecorded(err) ||
		errors.Is(err, idempotency.ErrReused) || errors.Is(err, idempotency.ErrNotReplayable) {
		return nil, false
	}
	return f, true
}

// isUnknown reports an error that says no more than that a user does not exist.
func isUnknown(err error) bool { return errors.Is(err, user.ErrNotFound) }

// asUser is sc with the user as the actor, whose passkey has been verified.
func asUser(sc scope.Scope, id user.ID) scope.Scope {
	return sc.WithActor(scope.Actor{Kind: scope.ActorUser, ID: id.String()})
}
