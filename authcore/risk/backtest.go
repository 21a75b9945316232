package risk

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors of backtests. Each Reason is part of the public API.
var (
	ErrDays = fault.New(fault.Invalid, "RISK_BACKTEST_DAYS_INVALID", "a backtest looks back 1 to 90 days")
	// ErrBusy is returned where the tenant's backtest before has not ended, or too many others have not. All that run now have
	// when Retry-After is over.
	ErrBusy = fault.New(fault.Exhausted, "RISK_BACKTEST_BUSY", "another backtest is running: try again when it has ended").WithRetryAfter(backtestLimit)
)

// Bounds of one backtest: what an answer waits for, and what it holds in memory. The newest are looked at.
const (
	maxDays       = 90
	defaultDays   = 30
	maxDecisions  = 50_000
	pageRows      = 1_000
	backtestLimit = 8 * time.Second
	maxBacktests  = 2 // at once, of all tenants: each keeps a connection and most of a core busy
	maxListed     = 20

	// What is kept of them for who looks again: see RecentBacktest. One is some kilobytes, 20 with fifty rules.
	maxRecent  = 256
	recentLife = time.Minute
	scoreBands = 10 // of the histogram: 0 to 9, 10 to 19 and so on; 100 is of the last
)

// BacktestRequest is a draft to try.
type BacktestRequest struct {
	Document []byte // JSON, see Parse; nil: the rules in force
	Days     int    // how far to look back: 1 to 90; 0 means 30
}

// Backtest says what rules make of recorded decisions.
type Backtest struct {
	At        time.Time // when it began to look: later sign-ins, and what was reported later, are not in it
	Since     time.Time // decisions from then on were looked at: later than asked for unless All
	Decisions int       // that were made again
	All       bool      // false: there were more than one backtest looks at, and the newest were taken
	Without   int       // sign-ins that were not assessed then, since risk was off: they cannot be decided again
	Degraded  int       // of Decisions, those that were assessed without Redis

	Histogram [scoreBands]int // decisions by score
	Outcomes  map[Outcome]int // what all rules together would decide, those in shadow too
	Changes   []Change        // by what was done and what would be, in that order
	Signals   []SignalCount   // the most frequent first
	Rules     []RuleCount     // in their order

	// What the tenant found out of these decisions: see Feedback. Stopped counts those that would not be allowed.
	Fraud, FraudStopped           int
	Legitimate, LegitimateStopped int

	Examples []Example // that would be decided otherwise, the newest first: at most 20
}

// Change counts decisions by what was done and what would be.
type Change struct {
	Before, After Outcome
	Count         int
}

// SignalCount says how often a signal counted.
type SignalCount struct {
	Code   string
	Count  int
	Points int // all together
}

// RuleCount says what a rule did.
type RuleCount struct {
	ID         string
	Matched    int
	Decided    int // it was this rule that made the outcome
	Failed     int // could not be evaluated
	Fraud      int // of Matched, as the tenant found out
	Legitimate int
}

// Example is a decision that would be another.
type Example struct {
	ID            uuid.UUID // of the ceremony
	At            time.Time
	User          *uuid.UUID
	Before, After Outcome
	Score         int
	Rule          string // that decides now; "" the score
	Signals       []Signal
}

// running bounds backtests.
type running struct {
	mu      sync.Mutex
	tenants map[uuid.UUID]bool
}

func (r *running) enter(tenant uuid.UUID) (leave func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tenants[tenant] || len(r.tenants) >= maxBacktests {
		return nil, ErrBusy
	}
	r.tenants[tenant] = true
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.tenants, tenant)
	}, nil
}

// Backtest decides the sign-ins of the last days again, by the facts that they left. It writes nothing. ErrInvalid, ErrDays, ErrBusy,
// db.ErrUnavailable.
func (s *Service) Backtest(ctx context.Context, sc scope.Scope, req BacktestRequest) (Backtest, error) {
	rules, days, err := s.question(ctx, sc, req)
	if err != nil {
		return Backtest{}, err
	}
	return s.backtest(ctx, sc, rules, days)
}

// RecentBacktest is Backtest, or what it came to for the same rules and days within the last minute: At says when. Who asks while the
// same is looked at waits for that, and who goes away does not end it for others. Whatever changes the tenant's rules ends what is kept; what
// is kept is of this server alone, and shared: change nothing of it. Errors as Backtest's, and are not kept.
func (s *Service) RecentBacktest(ctx context.Context, sc scope.Scope, req BacktestRequest) (Backtest, error) {
	rules, days, err := s.question(ctx, sc, req)
	if err != nil {
		return Backtest{}, err
	}
	id := fmt.Sprintf("%d %x", days, sha256.Sum256(rules.JSON()))
	return s.recent.Get(ctx, sc.Tenant(), id, func(ctx context.Context) (Backtest, error) { return s.backtest(ctx, sc, rules, days) })
}

// question is what a request asks: by which rules, and how far back. ErrInvalid, ErrDays.
func (s *Service) question(ctx context.Context, sc scope.Scope, req BacktestRequest) (rules *Ruleset, days int, err error) {
	if req.Document != nil {
		rules, err = Parse(req.Document)
	} else {
		rules, err = s.Ruleset(ctx, sc)
	}
	if err != nil {
		return nil, 0, err
	}
	days = cmp.Or(req.Days, defaultDays)
	if days < 1 || days > maxDays {
		return nil, 0, ErrDays
	}
	return rules, days, nil
}

func (s *Service) backtest(ctx context.Context, sc scope.Scope, rules *Ruleset, days int) (Backtest, error) {
	leave, err := s.running.enter(sc.Tenant())
	if err != nil {
		return Backtest{}, err
	}
	defer leave()
	started := s.o.Store.Now()
	since := started.AddDate(0, 0, -days)
	t := test{
		rules: rules, out: Backtest{At: started, Since: started, Outcomes: map[Outcome]int{}}, changes: map[Change]int{}, signals: map[string]*SignalCount{},
		ruleIndex: map[string]int{},
	}
	for i, r := range rules.Rules {
		t.ruleIndex[r.ID] = i
		t.out.Rules = append(t.out.Rules, RuleCount{ID: r.ID})
	}
	if t.feedback, err = s.feedbackSince(ctx, sc, since); err != nil {
		return Backtest{}, err
	}
	if err := s.replay(ctx, sc, &t, since, started.Add(backtestLimit*3/4)); err != nil {
		return Backtest{}, err
	}
	return t.result(), nil
}

// replay decides page by page, the newest first, each page in a transaction of its own, until all since then are decided or time is over.
func (s *Service) replay(ctx context.Context, sc scope.Scope, t *test, since, deadline time.Time) error {
	next := tenantq.ListCeremoniesParams{BeforeAt: s.o.Store.Now().AddDate(1, 0, 0), BeforeID: uuid.Max}
	for seen := 0; seen < maxDecisions; {
		next.MaxRows = int32(min(pageRows, maxDecisions-seen))
		var page []tenantq.ListCeremoniesRow
		err := s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			page, err = tx.ListCeremonies(ctx, next)
			return err
		})
		if err != nil {
			return fmt.Errorf("list ceremonies: %w", err)
		}
		for i := range page {
			switch {
			case page[i].At.Before(since):
				t.out.All, t.out.Since = true, since
				return nil
			case ctx.Err() != nil:
				return ctx.Err()
			case !s.o.Store.Now().Before(deadline): // rules may take their time
				return nil
			}
			if err := t.decide(&page[i]); err != nil {
				return err
			}
			t.out.Since = page[i].At
		}
		if len(page) < int(next.MaxRows) {
			t.out.All, t.out.Since = true, since
			return nil
		}
		last := page[len(page)-1]
		seen += len(page)
		next.BeforeAt, next.BeforeID = last.At, last.ID
	}
	return nil
}

// test gathers what comes of a backtest.
type test struct {
	rules     *Ruleset
	out       Backtest
	feedback  map[uuid.UUID]Verdict
	changes   map[Change]int
	signals   map[string]*SignalCount
	ruleIndex map[string]int
}

const authentication = "AUTHENTICATION" // ceremonies.kind

func (t *test) decide(row *tenantq.ListCeremoniesRow) error {
	if row.Kind != authentication {
		return nil
	}
	was, ok, err := ParseRecorded([]byte(row.Facts))
	if err != nil {
		return fmt.Errorf("ceremony %s: %w", row.ID, err)
	}
	if !ok {
		if row.Outcome == string(Allow) {
			t.out.Without++
		}
		return nil
	}
	d := Decide(t.rules, &was.Facts)
	t.out.Decisions++
	if was.Facts.Degraded {
		t.out.Degraded++
	}
	t.out.Histogram[min(d.Score*scoreBands/MaxScore, scoreBands-1)]++
	t.out.Outcomes[d.Would]++
	t.changes[Change{Before: was.Outcome, After: d.Would}]++
	for _, s := range d.Signals {
		c := t.signals[s.Code]
		if c == nil {
			c = &SignalCount{Code: s.Code}
			t.signals[s.Code] = c
		}
		c.Count++
		c.Points += s.Points
	}
	verdict := t.feedback[row.ID]
	t.judge(&d, verdict)
	if d.Would != was.Outcome && len(t.out.Examples) < maxListed {
		t.out.Examples = append(t.out.Examples, Example{
			ID: row.ID, At: row.At, User: row.UserID, Before: was.Outcome, After: d.Would, Score: d.Score, Rule: d.WouldRule, Signals: d.Signals,
		})
	}
	return nil
}

// judge counts what rules did, and how right it was.
func (t *test) judge(d *Decision, verdict Verdict) {
	stopped := d.Would != Allow
	switch verdict {
	case Fraud:
		t.out.Fraud++
		t.out.FraudStopped += one(stopped)
	case Legitimate:
		t.out.Legitimate++
		t.out.LegitimateStopped += one(stopped)
	}
	for _, m := range d.Matched {
		r := &t.out.Rules[t.ruleIndex[m.Rule]]
		r.Matched++
		r.Decided += one(m.Rule == d.WouldRule)
		r.Fraud += one(verdict == Fraud)
		r.Legitimate += one(verdict == Legitimate)
	}
	for _, id := range d.Failed {
		t.out.Rules[t.ruleIndex[id]].Failed++
	}
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func (t *test) result() Backtest {
	for c, n := range t.changes {
		c.Count = n
		t.out.Changes = append(t.out.Changes, c)
	}
	slices.SortFunc(t.out.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(severity(a.Before), severity(b.Before)), cmp.Compare(severity(a.After), severity(b.After)))
	})
	for _, c := range slices.Collect(maps.Values(t.signals)) {
		t.out.Signals = append(t.out.Signals, *c)
	}
	slices.SortFunc(t.out.Signals, func(a, b SignalCount) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code)) })
	return t.out
}
