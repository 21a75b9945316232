package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// DecideRequest names a recovery and says why.
type DecideRequest struct {
	ID     ID
	Reason string // required: it stands in the audit log
}

// Approve opens a recovery that waits for it. ErrSamePerson when the caller asked for it;
// ErrDecided when it does not wait (any more); ErrNotFound, credential.ErrReason.
func (s *Service) Approve(ctx context.Context, sc scope.Scope, req DecideRequest) (Recovery, error) {
	return s.decide(ctx, sc, req, decision{action: "recovery.approve", to: Open, from: []State{Pending}, typ: event.RecoveryApproved})
}

// Refuse ends a recovery that waits for approval. Who asked for it may, too. ErrDecided,
// ErrNotFound, credential.ErrReason.
func (s *Service) Refuse(ctx context.Context, sc scope.Scope, req DecideRequest) (Recovery, error) {
	return s.decide(ctx, sc, req, decision{action: "recovery.refuse", to: Refused, from: []State{Pending}, typ: event.RecoveryRefused})
}

// Revoke ends a recovery that nobody has enrolled by: its token works no more. Revoking
// twice keeps the first time. ErrDecided when it is over, ErrNotFound, credential.ErrReason.
func (s *Service) Revoke(ctx context.Context, sc scope.Scope, req DecideRequest) (Recovery, error) {
	return s.decide(ctx, sc, req, decision{
		action: "recovery.revoke", to: Revoked, from: []State{Pending, Open}, typ: event.RecoveryRevoked, again: true,
	})
}

type decision struct {
	action string
	to     State
	from   []State
	typ    event.Type
	again  bool // what is decided so already is answered as it is
}

func (s *Service) decide(ctx context.Context, sc scope.Scope, req DecideRequest, d decision) (Recovery, error) {
	if !audit.IsReason(req.Reason) {
		return Recovery{}, credential.ErrReason
	}
	var decided Recovery
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Two decisions at once, or one and an enrollment: the later sees what the first did.
		row, err := tx.LockRecovery(ctx, req.ID.UUID())
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("lock recovery: %w", err)
		}
		decided = fromRow(row, tx.Now())
		if d.again && decided.State == d.to {
			tx.Result(decided)
			return nil
		}
		if !decided.in(d.from) {
			return ErrDecided
		}
		who := sc.Actor().String()
		if d.to == Open && who == decided.RequestedBy {
			return ErrSamePerson
		}
		row, err = tx.DecideRecovery(ctx, tenantq.DecideRecoveryParams{
			ID: row.ID, State: string(d.to), DecidedBy: who, Now: tx.Now(), ExpiresAt: d.expiry(&decided, tx.Now()),
		})
		if err != nil {
			return fmt.Errorf("decide recovery: %w", err)
		}
		decided = fromRow(row, tx.Now())
		tx.Result(decided)
		return record(ctx, tx, audit.Entry{
			Action: d.action, Target: decided.target(), Reason: req.Reason, Detail: []attr.Attr{attr.UUID("userId", row.UserID)},
		}, decided.event(d.typ))
	})
	if errors.Is(err, ErrSamePerson) {
		s.denials.Record(ctx, sc, audit.Entry{Action: d.action, Fault: ErrSamePerson.Reason, Target: decided.target()})
	}
	if err != nil {
		return Recovery{}, err
	}
	return decided, nil
}

// expiry is when a recovery ends that was decided now: a link's end is its own, and whoever
// redeemed a code has to come back first.
func (d *decision) expiry(r *Recovery, now time.Time) time.Time {
	if d.to == Open && r.Kind == ByCode {
		return now.Add(waitLife)
	}
	return r.ExpiresAt
}
