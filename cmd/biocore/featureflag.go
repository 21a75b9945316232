package main

import (
	"context"
	"encoding/json"
	goflag "flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// flagJSON is a feature flag in one environment under --json, as the API spells it.
type flagJSON struct {
	flag.Flag

	Name            string          `json:"name"`
	Description     string          `json:"description,omitempty"`
	Owner           string          `json:"owner,omitempty"`
	RemoveBy        string          `json:"removeBy,omitempty"` // a day
	Environment     string          `json:"environment"`
	LastEvaluatedAt *time.Time      `json:"lastEvaluatedAt,omitempty"`
	Usage           []flagUsageJSON `json:"usage,omitempty"`
	CreatedBy       string          `json:"createdBy"`
	CreatedAt       time.Time       `json:"createdAt"`
	UpdatedBy       string          `json:"updatedBy"`
	UpdatedAt       time.Time       `json:"updatedAt"`
	ETag            string          `json:"etag"`
}

type flagUsageJSON struct {
	Variant string `json:"variant"`
	Served  int64  `json:"served"`
}

func toFlagJSON(f *flag.Stored, used map[string]flag.Usage) flagJSON {
	out := flagJSON{
		Flag: f.Flag, Name: f.Name, Description: f.Description, Owner: f.Owner, RemoveBy: day(f.RemoveBy), Environment: f.Environment,
		CreatedBy: f.CreatedBy, CreatedAt: f.CreatedAt, UpdatedBy: f.UpdatedBy, UpdatedAt: f.UpdatedAt, ETag: f.ETag,
	}
	if u, ok := used[f.Key]; ok {
		out.LastEvaluatedAt = u.Last
		for _, name := range slices.Sorted(maps.Keys(u.Served)) {
			out.Usage = append(out.Usage, flagUsageJSON{name, u.Served[name]})
		}
	}
	return out
}

// day is a day as people and the API write it; empty for none.
func day(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.DateOnly)
}

// parseDay reads what day writes.
func parseDay(text string) (*time.Time, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // documented: none
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return nil, fmt.Errorf("%q is no day such as 2027-01-15", text)
	}
	return &t, nil
}

// maxFlagText bounds what is read of rules, with room for blanks: the flag has its own bounds.
const maxFlagText = 1 << 20

// flagCommand is what the commands on feature flags have in common.
type flagCommand struct {
	*tenantCommand

	environment *string // nil: all of them
}

// flagArgs reads the arguments of one; own adds its own flags.
func flagArgs(env *environment, name string, args []string, positional int, own func(c *flagCommand, fs *goflag.FlagSet)) (*flagCommand, *goflag.FlagSet, error) {
	c := &flagCommand{}
	t, fs, err := tenantArgs(env, name, "`slug` of the tenant; platform has Biocore's own switches", args, positional, func(fs *goflag.FlagSet) {
		if own != nil {
			own(c, fs)
		}
	})
	c.tenantCommand = t
	return c, fs, err
}

// here adds --environment.
func (c *flagCommand) here(fs *goflag.FlagSet) {
	c.environment = fs.String("environment", flag.Environments()[0], "the `environment`: "+strings.Join(flag.Environments(), ", "))
}

func (c *flagCommand) do(ctx context.Context, fn func(s *flag.Service, sc scope.Scope) error) error {
	return c.tenantCommand.do(ctx, func(ctl *control, sc scope.Scope) error { return fn(flag.New(ctl.store, ctl.keys), sc) })
}

// shown prints a flag after a change.
func (c *flagCommand) shown(f *flag.Stored) error {
	if c.asJSON {
		return printJSON(c.env.out, toFlagJSON(f, nil))
	}
	_, err := fmt.Fprintf(c.env.out, "%s is %s in %s, with %s: servers within a second\n", f.Key, onOff(f.Enabled), f.Environment, counted(len(f.Rules), "rule"))
	return err
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// counted is a number of things.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func runFlagList(ctx context.Context, env *environment, args []string) error {
	c, _, err := flagArgs(env, "flag list", args, 0, (*flagCommand).here)
	if err != nil {
		return err
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		list, err := s.List(ctx, sc, *c.environment)
		if err != nil {
			return err
		}
		used, err := s.Usage(ctx, sc, *c.environment)
		if err != nil {
			return err
		}
		if c.asJSON {
			out := make([]flagJSON, len(list))
			for i := range list {
				out[i] = toFlagJSON(&list[i], used)
			}
			return printJSON(env.out, out)
		}
		if len(list) == 0 {
			_, err := fmt.Fprintln(env.out, "no flags")
			return err
		}
		rows := [][]string{{"KEY", "TYPE", "IS", "RULES", "ELSE", "LAST EVALUATED", "CHANGED"}}
		for i := range list {
			f := &list[i]
			otherwise := f.DefaultVariant
			if !f.Enabled {
				otherwise = f.OffVariant
			}
			rows = append(rows, []string{f.Key, strings.ToLower(string(f.Type)), onOff(f.Enabled), strconv.Itoa(len(f.Rules)), otherwise, moment(used[f.Key].Last), moment(&f.UpdatedAt)})
		}
		return table(env.out, rows)
	})
}

// runFlagShow tells what a flag is in every environment; under --json, and with --rules, in one.
func runFlagShow(ctx context.Context, env *environment, args []string) error {
	var rules *bool
	c, fs, err := flagArgs(env, "flag show", args, 1, func(c *flagCommand, fs *goflag.FlagSet) {
		c.here(fs)
		rules = fs.Bool("rules", false, "print the environment's rules alone, as flag rules takes them again")
	})
	if err != nil {
		return err
	}
	environment, err := flag.Environment(*c.environment)
	if err != nil {
		return err
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		all, err := s.Get(ctx, sc, fs.Arg(0))
		if err != nil {
			return err
		}
		f := &all[slices.IndexFunc(all, func(one flag.Stored) bool { return one.Environment == environment })]
		if *rules {
			_, err := fmt.Fprintln(env.out, flag.RulesText(f.Rules))
			return err
		}
		if !c.asJSON {
			return printFlag(env.out, all)
		}
		used, err := s.Usage(ctx, sc, environment)
		if err != nil {
			return err
		}
		return printJSON(env.out, toFlagJSON(f, used))
	})
}

func printFlag(w io.Writer, all []flag.Stored) error {
	f := &all[0]
	visible := "server keys"
	if f.ClientVisible {
		visible = "server keys, and publishable keys"
	}
	rows := [][]string{{"key", f.Key}, {"name", f.Name}, {"type", strings.ToLower(string(f.Type))}}
	for _, line := range [][]string{{"description", f.Description}, {"owner", f.Owner}, {"remove by", day(f.RemoveBy)}} {
		if line[1] != "" {
			rows = append(rows, line)
		}
	}
	rows = append(rows, []string{"evaluated with", visible}, []string{}, []string{"VARIANT", "VALUE"})
	for _, name := range slices.Sorted(maps.Keys(f.Variants)) {
		rows = append(rows, []string{name, flag.ValueText(f.Variants[name])})
	}
	rows = append(rows, []string{}, []string{"ENVIRONMENT", "IS", "RULES", "ELSE", "WHILE OFF", "CHANGED", "BY"})
	for i := range all {
		one := &all[i]
		rows = append(rows, []string{one.Environment, onOff(one.Enabled), strconv.Itoa(len(one.Rules)), one.DefaultVariant, one.OffVariant, moment(&one.UpdatedAt), one.UpdatedBy})
	}
	return table(w, rows)
}

func runFlagCreate(ctx context.Context, env *environment, args []string) error {
	const command = "flag create"
	var variants texts
	var kind, name, off, fallback, description, owner, removeBy, reason *string
	var visible *bool
	c, fs, err := flagArgs(env, command, args, 1, func(_ *flagCommand, fs *goflag.FlagSet) {
		kind = fs.String("type", "boolean", "the `type` of its values: boolean, string, number, object")
		name = fs.String("name", "", "`text` for people (its key)")
		fs.Var(&variants, "variant", "`name=JSON` of a value, as big=12; once for each (on=true and off=false of a boolean flag)")
		off = fs.String("off-variant", "", "`variant` that everybody gets while it is off (off)")
		fallback = fs.String("default-variant", "", "`variant` for whom no rule matches (that of --off-variant)")
		description = fs.String("description", "", "`text` for people")
		owner = fs.String("owner", "", "`whom` to ask")
		removeBy = fs.String("remove-by", "", "`day` by which it should be gone, as 2027-01-15")
		visible = fs.Bool("client-visible", false, "let browsers and apps evaluate it, with a publishable key")
		reason = reasonFlag(fs, "`text` for the history and the audit log")
	})
	if err != nil {
		return err
	}
	req := flag.CreateRequest{
		Key: fs.Arg(0), Type: flag.Type(strings.ToUpper(*kind)), OffVariant: *off, DefaultVariant: *fallback, ClientVisible: *visible, Reason: *reason,
		About: flag.About{Name: *name, Description: *description, Owner: *owner},
	}
	if req.Name == "" {
		req.Name = req.Key
	}
	if req.RemoveBy, err = parseDay(*removeBy); err != nil {
		return misuse(env, command, "--remove-by: %v", err)
	}
	for _, text := range variants {
		name, value, ok := strings.Cut(text, "=")
		if !ok || !json.Valid([]byte(value)) {
			return misuse(env, command, "--variant %q is no name=JSON: text stands in quotes, as big='\"large\"'", text)
		}
		if req.Variants == nil {
			req.Variants = map[string]json.RawMessage{}
		}
		req.Variants[name] = json.RawMessage(value)
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		f, err := s.Create(ctx, sc, req)
		if err != nil {
			return err
		}
		return c.shown(&f)
	})
}

// runFlagOn and runFlagOff throw the switch.
func runFlagOn(ctx context.Context, env *environment, args []string) error {
	return runFlagSwitch(ctx, env, "flag on", args, true)
}

func runFlagOff(ctx context.Context, env *environment, args []string) error {
	return runFlagSwitch(ctx, env, "flag off", args, false)
}

func runFlagSwitch(ctx context.Context, env *environment, command string, args []string, on bool) error {
	var reason *string
	c, fs, err := flagArgs(env, command, args, 1, func(c *flagCommand, fs *goflag.FlagSet) {
		c.here(fs)
		reason = reasonFlag(fs, "`text` for the history and the audit log")
	})
	if err != nil {
		return err
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		f, err := s.Update(ctx, sc, flag.UpdateRequest{Key: fs.Arg(0), Environment: *c.environment, Enabled: &on, Reason: *reason})
		if err != nil {
			return err
		}
		return c.shown(&f)
	})
}

func runFlagRules(ctx context.Context, env *environment, args []string) error {
	const command = "flag rules"
	var reason, ifMatch *string
	c, fs, err := flagArgs(env, command, args, 2, func(c *flagCommand, fs *goflag.FlagSet) {
		c.here(fs)
		reason = reasonFlag(fs, "`text` for the history and the audit log")
		ifMatch = fs.String("if-match", "", "`etag` of the flag in this environment that the rules are made from: refuse when it has changed since")
	})
	if err != nil {
		return err
	}
	text, err := readDocument(env, fs.Arg(1), maxFlagText)
	if err != nil {
		return fmt.Errorf("read the rules: %w", err)
	}
	rules, err := flag.ParseRules(string(text))
	if err != nil {
		return err
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		f, err := s.Update(ctx, sc, flag.UpdateRequest{Key: fs.Arg(0), Environment: *c.environment, Rules: &rules, Reason: *reason, IfMatch: *ifMatch})
		if err != nil {
			return err
		}
		return c.shown(&f)
	})
}

// explanationJSON is why a subject gets what it gets under --json, as the API spells it.
type explanationJSON struct {
	Variant   string          `json:"variant,omitempty"`
	Value     json.RawMessage `json:"value,omitempty"`
	Reason    flag.Reason     `json:"reason"`
	ErrorCode flag.Code       `json:"errorCode,omitempty"`
	Steps     []flagStepJSON  `json:"steps"`
}

type flagStepJSON struct {
	RuleID  string `json:"ruleId,omitempty"`
	Decided bool   `json:"decided"`
	Why     string `json:"why"`
}

func runFlagExplain(ctx context.Context, env *environment, args []string) error {
	const command = "flag explain"
	var key, about *string
	c, fs, err := flagArgs(env, command, args, 1, func(c *flagCommand, fs *goflag.FlagSet) {
		c.here(fs)
		key = fs.String("targeting-key", "", "`key` of the subject")
		about = fs.String("context", "{}", "what is known of the subject: an `object` in JSON")
	})
	if err != nil {
		return err
	}
	subject := flag.Subject{Key: *key}
	if json.Unmarshal([]byte(*about), &subject.Attributes) != nil {
		return misuse(env, command, "--context is an object in JSON, as '{\"plan\": \"pro\"}'")
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		set, err := s.Flags(ctx, sc, *c.environment)
		if err != nil {
			return err
		}
		got := set.Explain(fs.Arg(0), &subject)
		if got.Code == flag.FlagNotFound {
			return flag.ErrNotFound
		}
		if c.asJSON {
			out := explanationJSON{Reason: got.Reason, ErrorCode: got.Code, Steps: []flagStepJSON{}}
			if got.Variant != nil {
				out.Variant, out.Value = got.Variant.Name, got.Variant.JSON
			}
			for _, step := range got.Steps {
				out.Steps = append(out.Steps, flagStepJSON{step.Rule, step.Decided, step.Why})
			}
			return printJSON(env.out, out)
		}
		return printExplanation(env.out, &got)
	})
}

func printExplanation(w io.Writer, got *flag.Explanation) error {
	gets := "the default of the code: " + string(got.Code)
	if got.Variant != nil {
		gets = got.Variant.Name + " " + string(got.Variant.JSON)
	}
	if _, err := fmt.Fprintf(w, "gets %s (%s)\n", gets, got.Reason); err != nil {
		return err
	}
	for _, step := range got.Steps {
		of := ""
		if step.Rule != "" {
			of = "rule " + step.Rule + ": "
		}
		if _, err := fmt.Fprintf(w, "  %s%s\n", of, step.Why); err != nil {
			return err
		}
	}
	return nil
}

// flagChangeJSON is a step of a flag's history under --json, as the API spells it.
type flagChangeJSON struct {
	ID          string         `json:"id"`
	Environment string         `json:"environment,omitempty"`
	Action      flag.Action    `json:"action"`
	Before      *flag.Document `json:"before,omitempty"`
	After       *flag.Document `json:"after,omitempty"`
	Reason      string         `json:"reason,omitempty"`
	ChangedBy   string         `json:"changedBy"`
	ChangedAt   time.Time      `json:"changedAt"`
}

func runFlagHistory(ctx context.Context, env *environment, args []string) error {
	const command = "flag history"
	var limit *int
	c, fs, err := flagArgs(env, command, args, 1, func(_ *flagCommand, fs *goflag.FlagSet) {
		limit = fs.Int("limit", listing.DefaultPageSize, "list at most this many `changes`, up to 200")
	})
	switch {
	case err != nil:
		return err
	case *limit < 1 || *limit > listing.MaxPageSize:
		return misuse(env, command, "--limit is between 1 and 200")
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		page, err := s.Changes(ctx, sc, fs.Arg(0), listing.Request{PageSize: *limit})
		if err != nil {
			return err
		}
		if c.asJSON {
			out := []flagChangeJSON{}
			for _, one := range page.Items {
				out = append(out, flagChangeJSON{one.ID.String(), one.Environment, one.Action, one.Before, one.After, one.Reason, one.ChangedBy, one.ChangedAt})
			}
			return printJSON(env.out, out)
		}
		rows := [][]string{{"CHANGE", "AT", "WHERE", "WHAT", "BY", "WHY"}}
		for _, one := range page.Items {
			where := one.Environment
			if where == "" {
				where = "everywhere"
			}
			rows = append(rows, []string{one.ID.String(), moment(&one.ChangedAt), where, strings.ToLower(string(one.Action)), one.ChangedBy, one.Reason})
		}
		return table(env.out, rows)
	})
}

func runFlagRestore(ctx context.Context, env *environment, args []string) error {
	const command = "flag restore"
	var reason *string
	c, fs, err := flagArgs(env, command, args, 2, func(_ *flagCommand, fs *goflag.FlagSet) {
		reason = reasonFlag(fs, "`text` for the history and the audit log")
	})
	if err != nil {
		return err
	}
	change, err := parseID(env, command, "a change", fs.Arg(1))
	if err != nil {
		return err
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		f, err := s.Restore(ctx, sc, flag.RestoreRequest{Key: fs.Arg(0), Change: change, Reason: *reason})
		if err != nil {
			return err
		}
		return c.shown(&f)
	})
}

// staleFlagJSON is a flag that may be taken out of the code under --json, as the API spells it.
type staleFlagJSON struct {
	FlagKey         string           `json:"flagKey"`
	Name            string           `json:"name"`
	Owner           string           `json:"owner,omitempty"`
	Reasons         []flag.Staleness `json:"reasons"`
	Variant         string           `json:"variant,omitempty"`
	LastEvaluatedAt *time.Time       `json:"lastEvaluatedAt,omitempty"`
}

func runFlagStale(ctx context.Context, env *environment, args []string) error {
	const command = "flag stale"
	var days *int
	c, _, err := flagArgs(env, command, args, 0, func(_ *flagCommand, fs *goflag.FlagSet) {
		days = fs.Int("days", flag.StaleDays, "stale is what has not changed anything for so many `days`, 1 to 90")
	})
	if err != nil {
		return err
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		list, err := s.Stale(ctx, sc, *days)
		if err != nil {
			return err
		}
		if c.asJSON {
			out := []staleFlagJSON{}
			for _, f := range list {
				out = append(out, staleFlagJSON{f.Key, f.Name, f.Owner, f.Reasons, f.Variant, f.Last})
			}
			return printJSON(env.out, out)
		}
		if len(list) == 0 {
			_, err := fmt.Fprintln(env.out, "no flag is stale")
			return err
		}
		rows := [][]string{{"KEY", "OWNER", "LAST EVALUATED", "WHY"}}
		for _, f := range list {
			var why []string
			for _, reason := range f.Reasons {
				why = append(why, strings.ToLower(strings.ReplaceAll(string(reason), "_", " ")))
			}
			rows = append(rows, []string{f.Key, f.Owner, moment(f.Last), joined(why)})
		}
		return table(env.out, rows)
	})
}

func runFlagDelete(ctx context.Context, env *environment, args []string) error {
	var reason *string
	c, fs, err := flagArgs(env, "flag delete", args, 1, func(_ *flagCommand, fs *goflag.FlagSet) {
		reason = reasonFlag(fs, "`text` for the history and the audit log")
	})
	if err != nil {
		return err
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		if err := s.Delete(ctx, sc, flag.DeleteRequest{Key: fs.Arg(0), Reason: *reason}); err != nil {
			return err
		}
		if c.asJSON {
			return printJSON(env.out, map[string]any{"key": fs.Arg(0)})
		}
		_, err := fmt.Fprintf(env.out, "%s is gone: whoever evaluates it gets the default of its own code\n", fs.Arg(0))
		return err
	})
}
