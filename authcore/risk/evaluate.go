package risk

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors of evaluations. Each Reason is part of the public API.
var (
	ErrOff    = fault.New(fault.Precondition, "RISK_OFF", "risk is off: set the mode of the risk rules to SHADOW or ENFORCE")
	ErrAction = fault.New(fault.Invalid, "RISK_ACTION_INVALID", "an action is 1 to 64 characters of A-Z a-z 0-9 . _ -")
)

// EvaluateRequest is something that a user is about to do, which is no sign-in: a transfer, a change of address.
type EvaluateRequest struct {
	User       uuid.UUID  // Nil: nobody known
	Address    netip.Addr // of the user's client; invalid: not known
	UserAgent  string
	Action     string // in the tenant's words: [A-Za-z0-9._-]{1,64}
	Attributes Values // what the tenant's server says of it
}

// Evaluation is what came of it.
type Evaluation struct {
	ID uuid.UUID // by which feedback names it
	Assessment
}

var action = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Evaluate assesses an action as a sign-in is assessed, and keeps facts and decision. The user's profile does not learn of it. ErrOff, ErrAction,
// user.ErrNotFound, db.ErrUnavailable.
func (s *Service) Evaluate(ctx context.Context, sc scope.Scope, req EvaluateRequest) (Evaluation, error) {
	if !action.MatchString(req.Action) {
		return Evaluation{}, ErrAction
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Evaluation{}, fmt.Errorf("mint evaluation id: %w", err)
	}
	if req.User != uuid.Nil {
		if err := s.isUser(ctx, sc, req.User); err != nil {
			return Evaluation{}, err
		}
	}
	a, err := s.Assess(ctx, sc, &Attempt{
		ID: id, UserAgent: req.UserAgent, User: req.User, At: s.o.Store.Now(), Address: req.Address, Device: scope.Origin{UserAgent: req.UserAgent}.Device(), Purpose: req.Action, Caller: req.Attributes,
	})
	if err != nil {
		return Evaluation{}, err
	}
	if a == nil {
		return Evaluation{}, ErrOff
	}
	e := Evaluation{ID: id, Assessment: *a}
	err = s.o.Store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		params := tenantq.InsertRiskEvaluationParams{
			ID: id, At: a.visit.at, Action: req.Action, Outcome: string(a.Decision.Outcome), Facts: string(a.AppendTo([]byte(`{"evaluation":true}`))),
		}
		if a.Decision.Outcome != Allow {
			params.Reason = a.Decision.Reason
		}
		if req.User != uuid.Nil {
			params.UserID = &req.User
		}
		if actor := sc.Actor(); actor.Kind == scope.ActorAPIKey {
			if key, err := uuid.Parse(actor.ID); err == nil {
				params.ApiKeyID = &key
			}
		}
		if err := tx.InsertRiskEvaluation(ctx, params); err != nil {
			return fmt.Errorf("insert risk evaluation: %w", err)
		}
		entry := audit.Entry{
			Action: "risk.evaluate", Subject: req.User, Target: audit.Target{Kind: "risk_evaluation", ID: id.String()},
			Detail: []attr.Attr{attr.Text("action", req.Action), attr.Int("score", int64(a.Decision.Score)), attr.Text("outcome", string(a.Decision.Outcome))},
		}
		if err := audit.Append(ctx, tx, entry); err != nil {
			return err
		}
		tx.Result(e)
		return nil
	})
	return e, err
}

func (s *Service) isUser(ctx context.Context, sc scope.Scope, id uuid.UUID) error {
	return s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		_, err := tx.FindUserID(ctx, tenantq.FindUserIDParams{ID: &id})
		if db.IsNoRows(err) {
			return user.ErrNotFound
		} else if err != nil {
			return fmt.Errorf("find user: %w", err)
		}
		return nil
	})
}
