package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
)

const (
	riskPath         = "/risk"
	riskRulesPath    = riskPath + "/rules"
	riskVersionsPath = riskPath + "/versions"
)

// riskRoutes are what becomes of sign-ins by their risk: what the rules make of the last days, the rules' editor and their versions.
// A draft is kept nowhere: it goes from page to page in the form (ADR-0045).
func (c *Console) riskRoutes(mux *router) {
	base := Path + "/t/{slug}"
	reads, writes := apikey.ScopeRiskRead, apikey.ScopeRiskWrite
	mux.HandleFunc("GET "+base+riskPath, c.inTenant(reads, c.showRisk))
	mux.HandleFunc("POST "+base+riskPath+"/begin", c.inTenant(writes, c.beginRisk))
	mux.HandleFunc("GET "+base+riskRulesPath, c.inTenant(reads, c.showRiskRules))
	mux.HandleFunc("POST "+base+riskRulesPath+"/draft", c.inTenant(reads, c.draftRiskRules))
	mux.HandleFunc("POST "+base+riskRulesPath, c.inTenant(writes, c.saveRiskRules))
	mux.HandleFunc("GET "+base+riskVersionsPath, c.inTenant(reads, c.showRiskVersions))
	mux.HandleFunc("GET "+base+riskVersionsPath+"/export", c.inTenant(reads, c.exportRiskVersions))
	mux.HandleFunc("GET "+base+riskVersionsPath+"/{version}", c.inTenant(reads, c.showRiskVersion))
	mux.HandleFunc("POST "+base+riskVersionsPath+"/{version}/rollback", c.inTenant(writes, c.rollbackRiskRules))
}

// riskView is what the rules in force make of the last days.
type riskView struct {
	ui.Page

	Base    string
	May     bool
	Mode    modeBadge
	Off     bool
	Now     riskVersionRow
	Days    int
	Spans   []ui.Segment
	Tested  *backtestView // nil: nothing was looked at
	Problem *ui.Problem   // why not
	Again   string
	Begin   ui.Act
}

type modeBadge struct{ Class, Label, Says string }

var riskModes = map[risk.Mode]modeBadge{
	risk.Off:     {"idle", "Off", "Nothing is counted, scored or kept."},
	risk.Shadow:  {"info", "Shadow", "Everything is scored and recorded, and nothing is done about it."},
	risk.Enforce: {"ok", "Enforced", "Sign-ins are stepped up and refused by these rules."},
}

// riskDays are how far the page looks back; the last is the default.
var riskDays = []int{7, 90, 30}

func (c *Console) showRisk(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.risk200(w, r, v, p, ui.Act{}, http.StatusOK)
}

func (c *Console) risk200(w http.ResponseWriter, r *http.Request, v *visit, p *place, begin ui.Act, status int) {
	ctx, here := r.Context(), p.base+riskPath
	now, err := c.risk.Rules(ctx, p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	rows, err := c.riskVersionRows(ctx, []risk.RulesVersion{now})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := riskView{
		Base: p.base, May: p.may(apikey.ScopeRiskWrite), Mode: riskModes[now.Document.Mode], Off: now.Document.Mode == risk.Off, Now: rows[0], Days: riskDays[2], Begin: begin,
	}
	at := ui.Address{Path: here}
	asked, _ := strconv.Atoi(r.URL.Query().Get("days"))
	for _, days := range []int{7, 30, 90} {
		if days == asked {
			view.Days = days
		}
	}
	for _, days := range []int{7, 30, 90} {
		view.Spans = append(view.Spans, ui.Segment{Href: at.With("days", strconv.Itoa(days)), Label: strconv.Itoa(days) + " days", Here: days == view.Days})
	}
	view.Again = at.With("days", strconv.Itoa(view.Days))
	if now.Version > 0 { // before the first nothing was recorded
		var problem *ui.Problem
		if view.Tested, problem, err = c.backtest(ctx, p, &now.Document, view.Days); err != nil {
			c.fail(w, r, v, err)
			return
		}
		if view.Problem = problem; problem != nil && problem.Reason == risk.ErrBusy.Reason {
			w.Header().Set("Retry-After", "8")
			status = http.StatusTooManyRequests
		}
	}
	a := &view.Begin
	a.ID, a.Title, a.Button, a.Action, a.Fresh = "begin", "Begin in shadow mode", "begin", here+"/begin", freshUntil(v)
	a.Effects = []ui.Effect{
		{Icon: "eye", Text: "From the next sign-in on each is scored, and what was known of it is recorded"},
		{Icon: "okc", Text: "Nobody is stepped up or refused by it"},
		{Icon: "history", Text: "After some days this page shows what your rules would have done"},
	}
	view.Page = c.frame(w, r, v, p, "Risk", here)
	view.Page.Here = here
	c.render(w, r, status, c.riskPage(view))
}

// beginRisk puts the rules as they are into shadow mode.
func (c *Console) beginRisk(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act := actOf(r)
	err := sensitive(v, act.Reason)
	if err == nil {
		var now risk.RulesVersion
		if now, err = c.risk.Rules(r.Context(), p.sc); err == nil {
			if now.Document.Mode != risk.Off { // somebody was faster
				c.done(w, r, "riskSame", p.base+riskPath)
				return
			}
			now.Document.Mode = risk.Shadow
			_, err = c.risk.PutRules(r.Context(), p.sc, risk.PutRulesRequest{Document: now.Document.JSON(), Reason: act.Reason, IfMatch: now.ETag})
		}
	}
	if problem, code := c.inForm(r, err); problem != nil {
		if errors.Is(err, etag.ErrMismatch) {
			problem.Message, code = "Somebody changed the rules meanwhile: look at them again.", http.StatusConflict
		}
		act.Problem = problem
		c.risk200(w, r, v, p, act, code)
		return
	}
	c.done(w, r, "riskBegun", p.base+riskPath)
}

// backtestView is what rules make of recorded sign-ins.
type backtestView struct {
	At        ui.Moment // as of when: it is kept for a minute
	Since     ui.Moment
	Decisions int
	Notes     []string // what was not looked at, or in another way
	Histogram ui.Histogram
	Levels    []ui.Series
	Numbers   []riskNumber
	Signals   []countedSignal
	Rules     []riskRuleRow
	Moves     []riskMove
	Moved     int
	Examples  []exampleRow
}

type riskNumber struct{ Label, Value, Note string }

type countedSignal struct {
	Code, About    string
	Count          string
	Share, Average string
	Part           float64
}

// riskRuleRow is a rule with what it did. Those of the thresholds have no feedback of their own.
type riskRuleRow struct {
	ID, About, When          string
	Then                     risk.Outcome
	Hard                     bool
	Mode                     modeBadge
	Matched, Decided, Failed int
	Fraud, Legitimate        int
	Score                    bool // the thresholds
}

type riskMove struct {
	Before, After risk.Outcome
	Count         int
	Same          bool
}

type exampleRow struct {
	Href          string // of the ceremony; empty for who does not see it
	At            ui.Moment
	Who           string
	Before, After risk.Outcome
	Score         int
	Cause         string
}

// backtest tries d. A problem is one that the person can do something about: the number of days, another that runs, rules of a
// release before that are not valid any more.
func (c *Console) backtest(ctx context.Context, p *place, d *risk.Document, days int) (*backtestView, *ui.Problem, error) {
	res, err := c.risk.RecentBacktest(ctx, p.sc, risk.BacktestRequest{Document: d.JSON(), Days: days})
	if errors.Is(err, risk.ErrBusy) || errors.Is(err, risk.ErrDays) || errors.Is(err, risk.ErrInvalid) {
		problem, _ := problemOf(err)
		return nil, &problem, nil
	} else if err != nil {
		return nil, nil, err
	}
	t := &backtestView{At: ui.At(res.At), Since: ui.At(res.Since), Decisions: res.Decisions}
	if !res.All {
		t.Notes = append(t.Notes, "There were more sign-ins than one backtest looks at: the newest were taken, and the period begins later than asked for.")
	}
	if res.Without > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%s of this period left nothing that could be decided again: risk was off then.", ui.Count(res.Without, "sign-in")))
	}
	if res.Degraded > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%s assessed without Redis: less was known of them.", was(res.Degraded)))
	}
	t.Histogram = riskHistogram(&res, d)
	t.Levels = []ui.Series{{Name: "Low", Class: "c2"}, {Name: "Medium", Class: "c3"}, {Name: "High", Class: "c4"}}
	t.Numbers = riskNumbers(&res)
	about := map[string]string{}
	for _, s := range risk.Signals() {
		about[s.Code] = s.About
	}
	for _, s := range res.Signals {
		t.Signals = append(t.Signals, countedSignal{
			Code: s.Code, About: cmp.Or(about[s.Code], "What your server says."), Count: ui.Thousands(s.Count), Share: riskShare(s.Count, res.Decisions),
			Average: ui.Grouped(float64(s.Points*10/s.Count) / 10), Part: float64(s.Count) / float64(max(1, res.Decisions)),
		})
	}
	t.Rules = riskRuleRows(&res, d)
	for _, ch := range res.Changes {
		m := riskMove{Before: ch.Before, After: ch.After, Count: ch.Count, Same: ch.Before == ch.After}
		if !m.Same {
			t.Moved += m.Count
		}
		t.Moves = append(t.Moves, m)
	}
	t.Examples, err = c.exampleRows(ctx, p, res.Examples)
	return t, nil, err
}

func was(n int) string {
	if n == 1 {
		return "1 sign-in was"
	}
	return ui.Count(n, "sign-in") + " were"
}

func riskShare(n, of int) string {
	if of == 0 {
		return "–"
	}
	return ui.Percent(float64(n) / float64(of))
}

func riskHistogram(res *risk.Backtest, d *risk.Document) ui.Histogram {
	h := ui.Histogram{ID: "scores", Title: "Sign-ins by score", Noun: "sign-ins"}
	for i, n := range res.Histogram {
		low, high := i*10, i*10+9
		if i == len(res.Histogram)-1 {
			high = risk.MaxScore
		}
		class := map[risk.Level]string{risk.Low: "c2", risk.Medium: "c3", risk.High: "c4"}[risk.LevelOf(low)]
		h.Bands = append(h.Bands, ui.Band{Label: fmt.Sprintf("%d–%d", low, high), Class: class, Count: n})
	}
	if d.StepUpScore > 0 {
		h.Marks = append(h.Marks, ui.Mark{Label: "Step-up", Score: d.StepUpScore})
	}
	if d.DenyScore > 0 {
		h.Marks = append(h.Marks, ui.Mark{Label: "Deny", Score: d.DenyScore})
	}
	return h
}

func riskNumbers(res *risk.Backtest) []riskNumber {
	stops := func(stopped, of int) (value, note string) {
		if of == 0 {
			return "–", "none reported"
		}
		return ui.Thousands(stopped), "of " + ui.Thousands(of) + " reported"
	}
	fraud, ofFraud := stops(res.FraudStopped, res.Fraud)
	users, ofUsers := stops(res.LegitimateStopped, res.Legitimate)
	return []riskNumber{
		{"Would be stepped up", ui.Thousands(res.Outcomes[risk.StepUp]), riskShare(res.Outcomes[risk.StepUp], res.Decisions)},
		{"Would be denied", ui.Thousands(res.Outcomes[risk.Deny]), riskShare(res.Outcomes[risk.Deny], res.Decisions)},
		{"Fraud it would stop", fraud, ofFraud},
		{"Legitimate it would stop", users, ofUsers},
	}
}

// effective is how a rule counts: not more than the whole ruleset does.
func effective(whole, rule risk.Mode) modeBadge {
	if whole == risk.Enforce {
		return riskModes[rule]
	}
	return riskModes[whole]
}

// riskRuleRows are the rules and, last, the thresholds: what no rule decided is theirs.
func riskRuleRows(res *risk.Backtest, d *risk.Document) []riskRuleRow {
	var rows []riskRuleRow
	byScore := res.Outcomes[risk.StepUp] + res.Outcomes[risk.Deny]
	for i, n := range res.Rules {
		rule := &d.Rules[i]
		rows = append(rows, riskRuleRow{
			ID: rule.ID, About: rule.About, When: rule.When, Then: rule.Then, Hard: rule.Hard, Mode: effective(d.Mode, rule.Mode),
			Matched: n.Matched, Decided: n.Decided, Failed: n.Failed, Fraud: n.Fraud, Legitimate: n.Legitimate,
		})
		if rule.Then != risk.Allow {
			byScore -= n.Decided
		}
	}
	return append(rows, riskRuleRow{About: thresholds(d), Mode: riskModes[d.Mode], Decided: byScore, Score: true})
}

// thresholds says from which score on what is done.
func thresholds(d *risk.Document) string {
	switch {
	case d.StepUpScore == 0 && d.DenyScore == 0:
		return "No score asks for anything"
	case d.DenyScore == 0:
		return fmt.Sprintf("Step-up from %d on", d.StepUpScore)
	case d.StepUpScore == 0:
		return fmt.Sprintf("Deny from %d on", d.DenyScore)
	}
	return fmt.Sprintf("Step-up from %d on, deny from %d on", d.StepUpScore, d.DenyScore)
}

func (c *Console) exampleRows(ctx context.Context, p *place, list []risk.Example) ([]exampleRow, error) {
	names := map[uuid.UUID]string{}
	if p.may(apikey.ScopeUsersRead) {
		var ids []uuid.UUID
		for _, e := range list {
			if e.User != nil {
				ids = append(ids, *e.User)
			}
		}
		var err error
		if names, err = c.users.Names(ctx, p.sc, ids); err != nil {
			return nil, err
		}
	}
	rows := make([]exampleRow, len(list))
	for i := range list {
		e := &list[i]
		rows[i] = exampleRow{At: ui.Ago(e.At, c.now()), Before: e.Before, After: e.After, Score: e.Score, Cause: "the score"}
		if p.may(apikey.ScopeCeremoniesRead) {
			rows[i].Href = p.base + "/ceremonies/" + e.ID.String()
		}
		if e.User != nil {
			rows[i].Who = names[*e.User]
		}
		switch {
		case e.Rule != "":
			rows[i].Cause = "rule " + e.Rule
		case e.After == risk.Allow:
			rows[i].Cause = "nothing"
		}
	}
	return rows, nil
}

// riskOutcomes are what rules say, as a verb.
var riskOutcomes = map[risk.Outcome]string{risk.Allow: "Allow", risk.StepUp: "Step-up", risk.Deny: "Deny"}

// scoresNote says what the marks of the histogram are.
func scoresNote(marks []ui.Mark) string {
	switch len(marks) {
	case 0:
		return "No score asks for anything"
	case 1:
		return fmt.Sprintf("The dashed line: %s from %d on", strings.ToLower(marks[0].Label), marks[0].Score)
	}
	return fmt.Sprintf("The dashed lines: %s from %d on, %s from %d on", strings.ToLower(marks[0].Label), marks[0].Score, strings.ToLower(marks[1].Label), marks[1].Score)
}

// fieldOf is the path of what is wrong with rules; empty for none.
func fieldOf(err error) string {
	if f, ok := fault.As(err); ok {
		return f.Metadata["field"]
	}
	return ""
}
