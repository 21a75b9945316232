package risk

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors of feedback. Each Reason is part of the public API.
var (
	ErrDecision = fault.New(fault.NotFound, "RISK_DECISION_UNKNOWN", "no such decision")
	ErrVerdict  = fault.New(fault.Invalid, "RISK_VERDICT_INVALID", "a verdict is FRAUD or LEGITIMATE")
)

// Verdict is what came of a decision, as the tenant found out.
type Verdict string

// The verdicts.
const (
	Fraud      Verdict = "FRAUD"
	Legitimate Verdict = "LEGITIMATE"
)

// Feedback is a verdict on a decision.
type Feedback struct {
	Decision uuid.UUID // of a sign-in's ceremony, which is its session, or of an evaluation
	Verdict  Verdict
	Note     string // up to 256 characters; may be empty
	GivenBy  string // kind:id
	GivenAt  time.Time
}

// Report notes what came of a decision: of a sign-in that was assessed, or an evaluation. The later word stands. ErrDecision,
// ErrVerdict, ErrReason.
func (s *Service) Report(ctx context.Context, sc scope.Scope, decision uuid.UUID, verdict Verdict, note string) (Feedback, error) {
	if verdict != Fraud && verdict != Legitimate {
		return Feedback{}, ErrVerdict
	}
	if !isReason(note) {
		return Feedback{}, ErrReason.WithMessage("a note has up to 256 characters")
	}
	var f Feedback
	err := s.o.Store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if err := decided(ctx, tx, decision); err != nil {
			return err
		}
		f = Feedback{Decision: decision, Verdict: verdict, Note: note, GivenBy: sc.Actor().String(), GivenAt: tx.Now()}
		if _, err := tx.PutRiskFeedback(ctx, tenantq.PutRiskFeedbackParams{
			DecisionID: decision, Verdict: string(verdict), Note: note, GivenBy: f.GivenBy, GivenAt: f.GivenAt,
		}); err != nil {
			return fmt.Errorf("put risk feedback: %w", err)
		}
		if err := audit.Append(ctx, tx, audit.Entry{
			Action: "risk.report", Reason: note, Target: audit.Target{Kind: "ceremony", ID: decision.String()}, Detail: []attr.Attr{attr.Text("verdict", string(verdict))},
		}); err != nil {
			return err
		}
		tx.Result(f)
		return nil
	})
	return f, err
}

// around is how far the time of a ceremony may be from the one in its id.
const around = time.Minute

// decided looks for a decision. ErrDecision.
func decided(ctx context.Context, tx *db.TenantTx, id uuid.UUID) error {
	if _, err := tx.GetRiskEvaluation(ctx, id); err == nil {
		return nil
	} else if !db.IsNoRows(err) {
		return fmt.Errorf("get risk evaluation: %w", err)
	}
	if id.Version() != 7 {
		return ErrDecision
	}
	at := time.Unix(id.Time().UnixTime())
	row, err := tx.GetCeremony(ctx, tenantq.GetCeremonyParams{Since: at.Add(-around), Until: at.Add(around), ID: id})
	if db.IsNoRows(err) {
		return ErrDecision
	} else if err != nil {
		return fmt.Errorf("get ceremony: %w", err)
	}
	if _, ok, err := ParseRecorded([]byte(row.Facts)); err != nil || !ok {
		return ErrDecision.WithMessage("this sign-in was not assessed")
	}
	return nil
}

// maxFeedback bounds what one backtest reads of it.
const maxFeedback = 50_000

func (s *Service) feedbackSince(ctx context.Context, sc scope.Scope, since time.Time) (map[uuid.UUID]Verdict, error) {
	var rows []tenantq.RiskFeedback
	err := s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		rows, err = tx.ListRiskFeedback(ctx, tenantq.ListRiskFeedbackParams{SinceID: db.FirstID(since.Add(-around)), BeforeID: uuid.Max, MaxRows: maxFeedback})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list risk feedback: %w", err)
	}
	out := make(map[uuid.UUID]Verdict, len(rows))
	for _, row := range rows {
		out[row.DecisionID] = Verdict(row.Verdict)
	}
	return out, nil
}

// FeedbackOf returns the verdict on a decision; false where nobody gave one.
func (s *Service) FeedbackOf(ctx context.Context, sc scope.Scope, decision uuid.UUID) (f Feedback, ok bool, err error) {
	err = s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetRiskFeedback(ctx, decision)
		if db.IsNoRows(err) {
			ok = false
			return nil
		} else if err != nil {
			return fmt.Errorf("get risk feedback: %w", err)
		}
		f, ok = Feedback{Decision: row.DecisionID, Verdict: Verdict(row.Verdict), Note: row.Note, GivenBy: row.GivenBy, GivenAt: row.GivenAt}, true
		return nil
	})
	return f, ok, err
}
