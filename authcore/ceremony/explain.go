package ceremony

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/policy"
)

// explain finds out why a sign-in with a valid signature was not accepted, and
// records it. What the statement saw and what is found now may differ: the answer is
// a refusal in any case. A decision other than Allow is no error.
func (s *Service) explain(ctx context.Context, in *signIn, write *db.SignIn) (Authenticated, error) {
	// What is cached of this credential led here: the next sign-in reads it anew.
	s.known.Forget(in.scope.Tenant(), in.known.credential.ID.String())
	var decision Decision
	var reason string
	var refusal error
	// A transaction of its own, which is kept although the call fails, and although the
	// client may have hung up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordLimit)
	defer cancel()
	err := s.store.InTenantApart(ctx, asUser(in.scope, in.known.user.ID), func(tx *db.TenantTx) error {
		decision, reason, refusal = "", "", nil // this may be the second run
		spender, err := tx.GetSpender(ctx, tenantq.GetSpenderParams{Hash: write.ChallengeHash[:], Slot: db.Slot(write.Expiry)})
		if err != nil {
			return fmt.Errorf("get spender: %w", err)
		}
		if spender != in.id {
			// Whoever holds one response can send it for ever: counted, not recorded here.
			refusal = ErrChallengeSpent
			return nil
		}
		row, err := tx.GetCredentialForSignIn(ctx, write.CredentialID)
		if err != nil && !db.IsNoRows(err) {
			return fmt.Errorf("get credential: %w", err)
		}
		decision, reason, refusal = judge(in, row, err == nil)
		outcome := string(decision)
		if refusal != nil {
			outcome = outcomeFailed
		}
		return s.recordRefusal(ctx, tx, in, outcome, reason)
	})
	if err != nil {
		return Authenticated{}, err
	}
	return s.conclude(in, decision, reason, refusal)
}

// conclude answers a sign-in that does not open a session: refusal, if there is one, which
// is on record where there is a decision.
func (s *Service) conclude(in *signIn, decision Decision, reason string, refusal error) (Authenticated, error) {
	switch {
	case refusal != nil && decision == "":
		return Authenticated{}, refusal
	case refusal != nil:
		return Authenticated{}, recorded{refusal}
	}
	done := in.answer(decision, reason)
	if decision == StepUp {
		var err error
		if done.StepUp, err = s.demand(in); err != nil {
			return Authenticated{}, err
		}
	}
	return done, nil
}

// recordLimit bounds a record that no client waits for.
const recordLimit = 2 * time.Second

// recorded is a refusal that has its audit entry already.
type recorded struct{ error }

func (r recorded) Unwrap() error { return r.error }

// judge tells what stood in the way, by the row as it is now: a decision with its
// reason, and the error that the caller gets instead of an answer, if it is one.
func judge(in *signIn, row tenantq.GetCredentialForSignInRow, found bool) (Decision, string, error) {
	fail := func(f *fault.Error) (Decision, string, error) { return Deny, f.Reason, f }
	flags := in.assertion.Flags
	switch {
	case !found, row.UserID != in.known.user.ID.UUID():
		return fail(credential.ErrNotFound) // erased, and perhaps somebody else's by now
	case row.State == string(credential.Revoked):
		return fail(credential.ErrRevoked)
	case row.State != string(credential.Active):
		return fail(ErrCredentialSuspended)
	case row.UserBlocked, row.UserState != string(user.Active):
		return fail(user.ErrBlocked)
	case row.BackupEligible != flags.BackupEligible() && in.snap.Policy.BackupEligibilityChange != policy.LeaveFlag:
		return Deny, ReasonBackupEligibleChanged, nil // §7.2 step 19
	case int64(in.assertion.SignCount) <= row.SignCount && row.SignCount != 0 && // step 22
		in.snap.Policy.SignCountRollback != policy.RollbackFlag && !in.forgiven():
		if in.snap.Policy.SignCountRollback == policy.RollbackStepUp {
			return StepUp, ReasonSignCountRollback, nil
		}
		return Deny, ReasonSignCountRollback, nil
	}
	return fail(ErrChanged)
}

// recordRefusal leaves the ceremony, its audit entry and its event.
func (s *Service) recordRefusal(ctx context.Context, tx *db.TenantTx, in *signIn, outcome, reason string) error {
	userID, facts := in.known.user.ID.UUID(), in.facts()
	if in.laps.us[lapDecide] == 0 { // else the sign-in was written once, and refused by its row
		in.laps.end(lapDecide)
	}
	if err := insertCeremony(ctx, tx, in.scope, &in.laps, tenantq.InsertCeremonyParams{
		At: in.at, ID: in.id, Kind: kindAuthentication, Outcome: outcome, Reason: reason,
		UserID: &userID, CredentialID: in.assertion.CredentialID, PolicyVersion: int32(in.snap.PolicyVersion), //nolint:gosec // an integer column
		Facts: string(in.laps.append(in.risk.AppendTo(facts.AppendJSON(nil)))),
	}); err != nil {
		return fmt.Errorf("insert ceremony: %w", err)
	}
	if err := audit.Append(ctx, tx, in.entry(audit.Denied, reason)); err != nil {
		return err
	}
	if reason == ReasonSignCountRollback {
		if err := event.Append(ctx, tx, in.rolledBack(outcome)); err != nil {
			return err
		}
	}
	return event.Append(ctx, tx, event.Event{
		Type: event.AuthenticationDenied, UserID: userID, CredentialID: in.assertion.CredentialID,
		Data: []attr.Attr{attr.Text("outcome", outcome), attr.Text("reason", reason)},
	})
}

// What audit entries call that which policy let in.
const (
	actionRollback       = "credential.sign_count_roll_back"
	actionBackupEligible = "credential.backup_eligibility_change"
)

// recordFlag records what policy let in although it is odd.
func (s *Service) recordFlag(ctx context.Context, in *signIn, action string, happened event.Event) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordLimit)
	defer cancel()
	return s.store.InTenantApart(ctx, asUser(in.scope, in.known.user.ID), func(tx *db.TenantTx) error {
		e := in.entry(audit.Success, "")
		e.Action = action
		if err := audit.Append(ctx, tx, e); err != nil {
			return err
		}
		return event.Append(ctx, tx, happened)
	})
}

func (in *signIn) eligibilityChanged() event.Event {
	return event.Event{
		Type: event.CredentialBackupEligibilityChanged, UserID: in.known.user.ID.UUID(), CredentialID: in.assertion.CredentialID,
		Data: []attr.Attr{attr.Bool("backupEligible", in.assertion.Flags.BackupEligible())},
	}
}

func (in *signIn) rolledBack(outcome string) event.Event {
	return event.Event{
		Type: event.CredentialSignCountRolledBack, UserID: in.known.user.ID.UUID(), CredentialID: in.assertion.CredentialID,
		Data: []attr.Attr{attr.Text("outcome", outcome), attr.Int("signCount", int64(in.assertion.SignCount))},
	}
}

// demand makes the token with which a stepped-up sign-in begins.
func (s *Service) demand(in *signIn) (*StepUpDemand, error) {
	expires := in.at.Add(in.snap.Policy.AuthenticationTimeout())
	token, err := seal(in.ring, sealStepUp, stepUpToken{User: uuid.UUID(in.known.user.ID), Purpose: in.begun.purpose, ExpiresAt: expires})
	if err != nil {
		return nil, err
	}
	return &StepUpDemand{Token: token, ExpiresAt: expires}, nil
}

func isRecorded(err error) bool {
	var r recorded
	return errors.As(err, &r)
}
