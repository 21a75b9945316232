package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// riskRulesJSON is a version of risk rules under --json, as the API spells it.
type riskRulesJSON struct {
	Version   int             `json:"version"`
	Document  json.RawMessage `json:"document"`
	Reason    string          `json:"reason,omitempty"`
	CreatedBy string          `json:"createdBy,omitempty"`
	CreatedAt *time.Time      `json:"createdAt,omitempty"`
	ETag      string          `json:"etag"`
}

func toRiskRulesJSON(v *risk.RulesVersion) riskRulesJSON {
	out := riskRulesJSON{Version: v.Version, Document: v.Document.JSON(), Reason: v.Reason, CreatedBy: v.CreatedBy, ETag: v.ETag}
	if !v.CreatedAt.IsZero() {
		out.CreatedAt = &v.CreatedAt
	}
	return out
}

// tenantOfRisk is --tenant of the commands on risk rules.
const tenantOfRisk = "`slug` of the rules' tenant"

// withRisk runs fn with the risk rules and the scoring service of the tenant that is named on the command line. Both are in Postgres: Redis is not
// asked.
func (c *tenantCommand) withRisk(ctx context.Context, fn func(s *risk.Service, sc scope.Scope) error) error {
	return c.do(ctx, func(ctl *control, sc scope.Scope) (err error) {
		redis, err := ephemeral.Open(ctl.redisURL.Reveal())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, redis.Close()) }()
		s, err := risk.New(risk.Options{Store: ctl.store, Keys: ctl.keys, Ephemeral: redis, Allowed: ctl.networks, Log: quietTelemetry(c.env).Log})
		if err != nil {
			return err
		}
		return fn(s, sc)
	})
}

// runRiskRulesShow prints the document alone, which risk rules set takes again; under --json with what is known about the version.
func runRiskRulesShow(ctx context.Context, env *environment, args []string) error {
	var version *int
	c, _, err := tenantArgs(env, "risk rules show", tenantOfRisk, args, 0, func(fs *flag.FlagSet) {
		version = fs.Int("version", 0, "`number` of the version to print (the one that is in force)")
	})
	if err != nil {
		return err
	}
	return c.withRisk(ctx, func(s *risk.Service, sc scope.Scope) error {
		var v risk.RulesVersion
		var err error
		if *version == 0 {
			v, err = s.Rules(ctx, sc)
		} else {
			v, err = s.RulesVersion(ctx, sc, *version)
		}
		if err != nil {
			return err
		}
		if c.asJSON {
			return printJSON(env.out, toRiskRulesJSON(&v))
		}
		return printJSON(env.out, json.RawMessage(v.Document.JSON()))
	})
}

func runRiskRulesSet(ctx context.Context, env *environment, args []string) error {
	var reason, ifMatch *string
	c, fs, err := tenantArgs(env, "risk rules set", tenantOfRisk, args, 1, func(fs *flag.FlagSet) {
		reason = reasonFlag(fs, "`text` for the history and the audit log")
		ifMatch = fs.String("if-match", "", "`etag` of the version that the document is made from: refuse when there is a newer one")
	})
	if err != nil {
		return err
	}
	document, err := readDocument(env, fs.Arg(0), risk.MaxBytes)
	if err != nil {
		return fmt.Errorf("read the rules: %w", err)
	}
	return c.withRisk(ctx, func(s *risk.Service, sc scope.Scope) error {
		v, err := s.PutRules(ctx, sc, risk.PutRulesRequest{Document: document, Reason: *reason, IfMatch: *ifMatch})
		if err != nil {
			return err
		}
		return c.riskRulesChanged(&v)
	})
}

func (c *tenantCommand) riskRulesChanged(v *risk.RulesVersion) error {
	if c.asJSON {
		return printJSON(c.env.out, toRiskRulesJSON(v))
	}
	_, err := fmt.Fprintf(c.env.out, "%s goes by version %d of its risk rules, mode %s: servers within a second\n", *c.slug, v.Version, v.Document.Mode)
	return err
}

// runRiskRulesVersions lists versions without their documents, which risk rules show prints; under --json with them.
func runRiskRulesVersions(ctx context.Context, env *environment, args []string) error {
	const command = "risk rules versions"
	var limit *int
	c, _, err := tenantArgs(env, command, tenantOfRisk, args, 0, func(fs *flag.FlagSet) {
		limit = fs.Int("limit", listing.DefaultPageSize, "list at most this many `versions`, up to 200")
	})
	if err != nil {
		return err
	}
	if *limit < 1 || *limit > listing.MaxPageSize {
		return misuse(env, command, "--limit is between 1 and 200")
	}
	return c.withRisk(ctx, func(s *risk.Service, sc scope.Scope) error {
		page, err := s.RulesVersions(ctx, sc, listing.Request{PageSize: *limit})
		if err != nil {
			return err
		}
		if c.asJSON {
			out := make([]riskRulesJSON, len(page.Items))
			for i := range page.Items {
				out[i] = toRiskRulesJSON(&page.Items[i])
			}
			return printJSON(env.out, out)
		}
		rows := [][]string{{"VERSION", "MODE", "RULES", "WRITTEN", "BY", "WHY"}}
		for _, v := range page.Items {
			rows = append(rows, []string{strconv.Itoa(v.Version), string(v.Document.Mode), strconv.Itoa(len(v.Document.Rules)), v.CreatedAt.Format(time.RFC3339), v.CreatedBy, v.Reason})
		}
		return table(env.out, rows)
	})
}

func runRiskRulesRollback(ctx context.Context, env *environment, args []string) error {
	const command = "risk rules rollback"
	var reason, ifMatch *string
	c, fs, err := tenantArgs(env, command, tenantOfRisk, args, 1, func(fs *flag.FlagSet) {
		reason = reasonFlag(fs, "`text` for the history and the audit log")
		ifMatch = fs.String("if-match", "", "`etag` of the version that is in force: refuse when there is a newer one")
	})
	if err != nil {
		return err
	}
	version, err := strconv.Atoi(fs.Arg(0))
	if err != nil || version < 1 {
		return misuse(env, command, "VERSION is a number from 1")
	}
	return c.withRisk(ctx, func(s *risk.Service, sc scope.Scope) error {
		v, err := s.RollbackRules(ctx, sc, version, *reason, *ifMatch)
		if err != nil {
			return err
		}
		return c.riskRulesChanged(&v)
	})
}

// backtestJSON is a backtest under --json, as the API spells it.
type backtestJSON struct {
	Since             time.Time            `json:"since"`
	Decisions         int                  `json:"decisions"`
	All               bool                 `json:"all"`
	Without           int                  `json:"without"`
	Degraded          int                  `json:"degraded"`
	Histogram         []int                `json:"histogram"`
	Changes           []riskChangeJSON     `json:"changes"`
	Signals           []backtestSignalJSON `json:"signals"`
	Rules             []backtestRuleJSON   `json:"rules"`
	Fraud             int                  `json:"fraud"`
	FraudStopped      int                  `json:"fraudStopped"`
	Legitimate        int                  `json:"legitimate"`
	LegitimateStopped int                  `json:"legitimateStopped"`
	Examples          []riskExampleJSON    `json:"examples"`
}

type riskChangeJSON struct {
	Before risk.Outcome `json:"before"`
	After  risk.Outcome `json:"after"`
	Count  int          `json:"count"`
}

type backtestSignalJSON struct {
	Code    string  `json:"code"`
	Count   int     `json:"count"`
	Average float64 `json:"average"`
}

type backtestRuleJSON struct {
	ID         string `json:"id"`
	Matched    int    `json:"matched"`
	Decided    int    `json:"decided"`
	Failed     int    `json:"failed"`
	Fraud      int    `json:"fraud"`
	Legitimate int    `json:"legitimate"`
}

type riskExampleJSON struct {
	CeremonyID string       `json:"ceremonyId"`
	At         time.Time    `json:"at"`
	UserID     string       `json:"userId,omitempty"`
	Before     risk.Outcome `json:"before"`
	After      risk.Outcome `json:"after"`
	Score      int          `json:"score"`
	Rule       string       `json:"rule,omitempty"`
}

func toBacktestJSON(b *risk.Backtest) backtestJSON {
	out := backtestJSON{
		Since: b.Since, Decisions: b.Decisions, All: b.All, Without: b.Without, Degraded: b.Degraded, Histogram: b.Histogram[:],
		Changes: []riskChangeJSON{}, Signals: []backtestSignalJSON{}, Rules: []backtestRuleJSON{}, Examples: []riskExampleJSON{},
		Fraud: b.Fraud, FraudStopped: b.FraudStopped, Legitimate: b.Legitimate, LegitimateStopped: b.LegitimateStopped,
	}
	for _, c := range b.Changes {
		out.Changes = append(out.Changes, riskChangeJSON(c))
	}
	for _, s := range b.Signals {
		out.Signals = append(out.Signals, backtestSignalJSON{s.Code, s.Count, float64(s.Points) / float64(s.Count)})
	}
	for _, r := range b.Rules {
		out.Rules = append(out.Rules, backtestRuleJSON(r))
	}
	for _, e := range b.Examples {
		example := riskExampleJSON{CeremonyID: e.ID.String(), At: e.At, Before: e.Before, After: e.After, Score: e.Score, Rule: e.Rule}
		if e.User != nil {
			example.UserID = e.User.String()
		}
		out.Examples = append(out.Examples, example)
	}
	return out
}

func runRiskBacktest(ctx context.Context, env *environment, args []string) error {
	const command = "risk backtest"
	var days *int
	var draft *string
	c, _, err := tenantArgs(env, command, tenantOfRisk, args, 0, func(fs *flag.FlagSet) {
		days = fs.Int("days", 30, "look back this many `days`, up to 90")
		draft = fs.String("draft", "", "`file` of the rules to try; - reads standard input (the rules in force)")
	})
	if err != nil {
		return err
	}
	if *days < 1 || *days > 90 {
		return misuse(env, command, "--days is between 1 and 90")
	}
	var document []byte
	if *draft != "" {
		if document, err = readDocument(env, *draft, risk.MaxBytes); err != nil {
			return fmt.Errorf("read the rules: %w", err)
		}
	}
	return c.withRisk(ctx, func(s *risk.Service, sc scope.Scope) error {
		b, err := s.Backtest(ctx, sc, risk.BacktestRequest{Document: document, Days: *days})
		if err != nil {
			return err
		}
		if c.asJSON {
			return printJSON(env.out, toBacktestJSON(&b))
		}
		return printBacktest(env.out, &b)
	})
}

// printBacktest tells what would be different, and what each rule and signal did; --json tells everything.
func printBacktest(w io.Writer, b *risk.Backtest) error {
	some := ""
	if !b.All {
		some = ", which is not all that was asked for"
	}
	if _, err := fmt.Fprintf(w, "Since %s%s: %s decided again, %d of them assessed without Redis; %d more are of when risk was off, and cannot be.\n\n",
		b.Since.UTC().Format(time.RFC3339), some, counted(b.Decisions, "sign-in"), b.Degraded, b.Without); err != nil {
		return err
	}
	rows := [][]string{{"WAS", "WOULD BE", "SIGN-INS"}}
	for _, c := range b.Changes {
		rows = append(rows, []string{string(c.Before), string(c.After), strconv.Itoa(c.Count)})
	}
	if len(b.Rules) > 0 {
		rows = append(rows, []string{}, []string{"RULE", "MATCHED", "DECIDED", "FAILED", "FRAUD", "LEGITIMATE"})
		for _, r := range b.Rules {
			rows = append(rows, []string{r.ID, strconv.Itoa(r.Matched), strconv.Itoa(r.Decided), strconv.Itoa(r.Failed), strconv.Itoa(r.Fraud), strconv.Itoa(r.Legitimate)})
		}
	}
	if len(b.Signals) > 0 {
		rows = append(rows, []string{}, []string{"SIGNAL", "COUNTED", "POINTS ON AVERAGE"})
		for _, s := range b.Signals {
			rows = append(rows, []string{s.Code, strconv.Itoa(s.Count), strconv.FormatFloat(float64(s.Points)/float64(s.Count), 'f', 1, 64)})
		}
	}
	if err := table(w, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nOf %d reported as fraud it would have stopped %d, of %d reported as legitimate %d.\n", b.Fraud, b.FraudStopped, b.Legitimate, b.LegitimateStopped)
	return err
}
