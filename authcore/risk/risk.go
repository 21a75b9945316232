// Package risk says how unusual a sign-in is, and why.
//
// It works in three steps, which do not know of each other. What was known is gathered as
// Facts: from the call, from what the user did before, from counters. Signals are pure functions
// of the facts; each has a weight, a value and a reason, and their sum, capped at 100, is the
// score. Then a tenant's ruleset decides: hard rules, rules in CEL (https://cel.dev), and
// thresholds of the score.
//
// The facts and what came of them stand in the ceremony's row, so that a decision can be
// explained later, and made again by another ruleset (Backtest).
package risk

import (
	"slices"

	"github.com/biocore-id/biocore/tenancy/policy"
)

// Version is that of the signals: what the same facts come to may differ between versions, and
// never within one. It stands beside each decision.
const Version = 1

// Outcome is what is decided: policy's.
type Outcome = policy.Outcome

// The outcomes.
const (
	Allow  = policy.Allow
	StepUp = policy.StepUp
	Deny   = policy.Deny
)

// Reasons of a decision that is not Allow, as they stand in answers and in ceremonies.
const (
	ReasonRule  = policy.ReasonRiskRule  // a rule of the tenant's matched
	ReasonScore = policy.ReasonRiskScore // the score reached a threshold
)

// Level is a score in words.
type Level string

// The levels. Low is below 30, High from 70 on.
const (
	Low    Level = "LOW"
	Medium Level = "MEDIUM"
	High   Level = "HIGH"
)

// MaxScore is the highest score.
const MaxScore = 100

// LevelOf returns the level of a score.
func LevelOf(score int) Level {
	switch {
	case score < 30:
		return Low
	case score < 70:
		return Medium
	}
	return High
}

// Decision is what a ruleset makes of facts.
type Decision struct {
	Score   int      // 0 to 100
	Signals []Signal // that count, the heaviest first
	Matched []Match  // rules that match, in their order, whatever they came to
	Failed  []string // rules that could not be evaluated: they did not match

	// Would is what the ruleset says when all of it is enforced, and WouldReason why, with WouldRule the rule's
	// ID for ReasonRule.
	Would       Outcome
	WouldReason string
	WouldRule   string

	// Outcome is what is to be done: what is enforced of the ruleset says so. Reason and Rule as above.
	Outcome Outcome
	Reason  string // "" on Allow, unless a rule allowed
	Rule    string
}

// Signal is a signal that counts.
type Signal struct {
	Code   string
	Points int    // that it adds to the score
	Reason string // for people: one sentence
}

// Match is a rule that matched.
type Match struct {
	Rule     string // its ID
	Then     Outcome
	Hard     bool
	Enforced bool // by itself; the ruleset's mode may still hold it back
}

// Decide makes a decision of facts. It does no input and keeps no state; the same facts and ruleset
// give the same decision, always.
func Decide(r *Ruleset, f *Facts) Decision {
	var d Decision
	d.Score, d.Signals = score(r, f)
	e := evaluation{ruleset: r, facts: f, score: d.Score, signals: d.Signals}
	for i := range r.rules {
		rule := &r.rules[i]
		matched, err := rule.matches(&e)
		switch {
		case err != nil:
			d.Failed = append(d.Failed, rule.ID)
		case matched:
			d.Matched = append(d.Matched, Match{rule.ID, rule.Then, rule.Hard, rule.Mode == Enforce})
		}
	}
	d.Would, d.WouldReason, d.WouldRule = d.conclude(r, f, func(Match) bool { return true })
	d.Outcome = Allow
	if r.Mode == Enforce {
		d.Outcome, d.Reason, d.Rule = d.conclude(r, f, func(m Match) bool { return m.Enforced })
	}
	return d
}

// conclude says what comes of the rules that count, and of the score: of hard rules the hardest, else
// the first other rule that matched, else the thresholds.
func (d *Decision) conclude(r *Ruleset, f *Facts, counts func(Match) bool) (outcome Outcome, reason, rule string) {
	outcome = Allow
	for _, m := range d.Matched {
		if m.Hard && counts(m) && severity(m.Then) > severity(outcome) {
			outcome, reason, rule = m.Then, ReasonRule, m.Rule
		}
	}
	if outcome != Allow {
		return outcome, reason, rule
	}
	for _, m := range d.Matched {
		if !m.Hard && counts(m) {
			return soften(m.Then, f), ReasonRule, m.Rule
		}
	}
	switch {
	case r.DenyScore > 0 && d.Score >= r.DenyScore:
		return soften(Deny, f), ReasonScore, ""
	case r.StepUpScore > 0 && d.Score >= r.StepUpScore:
		return StepUp, ReasonScore, ""
	}
	return Allow, "", ""
}

// soften is what becomes of an outcome that no hard rule asks for. Without Redis nobody is known, and too little to lock somebody out.
func soften(o Outcome, f *Facts) Outcome {
	if o == Deny && f.Degraded {
		return StepUp
	}
	return o
}

var outcomes = []Outcome{Allow, StepUp, Deny}

func severity(o Outcome) int { return slices.Index(outcomes, o) }
