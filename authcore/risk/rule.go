package risk

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// Bounds of a rule's expression. The cost is CEL's own measure, by the steps of an evaluation; what could exceed it with
// any facts at all is refused when it is saved, and an evaluation that does is broken off. All rules of a ruleset have a bound together,
// since each sign-in evaluates them all: some 4 ms of one core.
const (
	maxExpression = 2000 // bytes
	maxNodes      = 400
	maxNesting    = 20
	maxCost       = 20_000
	maxCosts      = 100_000
)

// variable is one that rules may use.
type variable struct {
	name  string
	about string
	kind  *cel.Type
	value func(e *evaluation) any
	// scored: it is known only after the signals, so that hard rules have none of it.
	scored bool
}

// VariableInfo describes a variable of rules.
type VariableInfo struct {
	Name, Type, About string
	Scored            bool // hard rules cannot use it
}

// Variables describes what rules may use, in order.
func Variables() []VariableInfo {
	out := make([]VariableInfo, len(variables))
	for i, v := range variables {
		out[i] = VariableInfo{v.name, cel.FormatCELType(v.kind), v.about, v.scored}
	}
	return out
}

func text(of func(f *Facts) string) func(*evaluation) any {
	return func(e *evaluation) any { return types.String(of(e.facts)) }
}

func number(of func(f *Facts) int) func(*evaluation) any {
	return func(e *evaluation) any { return types.Int(of(e.facts)) }
}

func yes(of func(f *Facts) bool) func(*evaluation) any {
	return func(e *evaluation) any { return types.Bool(of(e.facts)) }
}

var variables = []variable{
	{"score", "0 to 100: the sum of the signals", cel.IntType, func(e *evaluation) any { return types.Int(e.score) }, true},
	{"level", `"LOW", "MEDIUM" or "HIGH"`, cel.StringType, func(e *evaluation) any { return types.String(LevelOf(e.score)) }, true},
	{"signals", "points by code, of the signals that count", cel.MapType(cel.StringType, cel.IntType), func(e *evaluation) any { return e.points() }, true},
	{"purpose", "of the sign-in, or the action, in your words", cel.StringType, text(func(f *Facts) string { return f.Purpose }), false},
	{"hour", "of the day, UTC: 0 to 23", cel.IntType, number(func(f *Facts) int { return f.Hour }), false},
	{"country", `of the address, as "DE"; "" where it is not known`, cel.StringType, text(func(f *Facts) string { return f.Country }), false},
	{"asn", "number of the address's network; 0 where it is not known", cel.IntType, number(func(f *Facts) int { return int(f.ASN) }), false},
	{"networks", "labels of the lists that the address is on", cel.ListType(cel.StringType), func(e *evaluation) any { return e.facts.networks() }, false},
	{"userVerified", "the authenticator verified its user", cel.BoolType, yes(func(f *Facts) bool { return f.UserVerified }), false},
	{"backedUp", "the passkey is synced", cel.BoolType, yes(func(f *Facts) bool { return f.BackedUp }), false},
	{"aal", "what the sign-in is worth: 1 to 3", cel.IntType, number(func(f *Facts) int { return f.AAL }), false},
	{"model", `AAGUID of the authenticator; "" where there is none, as in an evaluation`, cel.StringType, text(func(f *Facts) string { return f.Model }), false},
	{"adverse", "the model is reported by the FIDO Metadata Service", cel.BoolType, yes(func(f *Facts) bool { return f.Adverse }), false},
	{"credentialAge", "hours since the passkey was registered; 0 where there is none", cel.IntType, number(func(f *Facts) int { return f.CredentialAge }), false},
	{"countJump", "by how much the signature counter grew", cel.IntType, number(func(f *Facts) int { return f.CountJump }), false},
	{"known", "the user signed in before", cel.BoolType, yes(func(f *Facts) bool { return f.Known }), false},
	{"signIns", "of the user, 1000 at most", cel.IntType, number(func(f *Facts) int { return f.SignIns }), false},
	{"newDevice", "the user has not used this kind of browser and system in 180 days", cel.BoolType, yes(func(f *Facts) bool { return f.NewDevice }), false},
	{"newCountry", "nor come from this country", cel.BoolType, yes(func(f *Facts) bool { return f.NewCountry }), false},
	{"newNetwork", "nor from this network", cel.BoolType, yes(func(f *Facts) bool { return f.NewNetwork }), false},
	{"previousCountry", "of the last sign-in", cel.StringType, text(func(f *Facts) string { return f.PreviousCountry }), false},
	{"previousSeconds", "since the last sign-in", cel.IntType, number(func(f *Facts) int { return f.PreviousSeconds }), false},
	{"countrySeconds", "since the user was in previousCountry: longer than previousSeconds where the last sign-in came from nobody knows where", cel.IntType, number((*Facts).awaySeconds), false},
	{"distanceKm", "between the two countries, where they are nearest", cel.IntType, number(func(f *Facts) int { return f.DistanceKm }), false},
	{"userAttempts", "of the user in ten minutes", cel.IntType, number(func(f *Facts) int { return f.UserAttempts }), false},
	{"addressAttempts", "from the address in ten minutes", cel.IntType, number(func(f *Facts) int { return f.AddressAttempts }), false},
	{"tenantAttempts", "of all users in a minute", cel.IntType, number(func(f *Facts) int { return f.TenantAttempts }), false},
	{"tenantPeak", "of all users in the busiest minute of the second busiest of the seven days before; 0 where that is not known", cel.IntType, number(func(f *Facts) int { return f.TenantPeak }), false},
	{"userFailures", "of the user in fifteen minutes", cel.IntType, number(func(f *Facts) int { return f.UserFailures }), false},
	{"addressFailures", "from the address in fifteen minutes", cel.IntType, number(func(f *Facts) int { return f.AddressFailures }), false},
	{"userAddresses", "from how many addresses the user came in a day", cel.IntType, number(func(f *Facts) int { return f.UserAddresses }), false},
	{"addressUsers", "how many users came from the address in an hour", cel.IntType, number(func(f *Facts) int { return f.AddressUsers }), false},
	{"caller", "what your server said, by name", cel.MapType(cel.StringType, cel.DynType), func(e *evaluation) any { return e.caller() }, false},
	{"providerScore", "of an external provider: 0 to 100", cel.IntType, number(func(f *Facts) int { return f.ProviderScore }), false},
	{"providerFailed", `why an external provider said nothing, as "TIMEOUT"; "" where it did, or there is none`, cel.StringType, text(func(f *Facts) string { return f.ProviderFailed }), false},
	{"degraded", "Redis was gone: counters are one server's own, and nothing is known of the user", cel.BoolType, yes(func(f *Facts) bool { return f.Degraded }), false},
}

// evaluation is one decision, as rules see it. It is CEL's activation: only the variables that a rule uses are made.
type evaluation struct {
	ruleset *Ruleset
	facts   *Facts
	score   int
	signals []Signal

	pointsMade, callerMade any // made once, where a rule asks
}

// ResolveName returns the value of a variable.
func (e *evaluation) ResolveName(name string) (any, bool) {
	i, ok := variableIndex[name]
	if !ok {
		return nil, false
	}
	return variables[i].value(e), true
}

// Parent returns nil: there is none.
func (*evaluation) Parent() cel.Activation { return nil }

func (e *evaluation) points() any {
	if e.pointsMade == nil {
		points := make(map[string]int, len(e.signals))
		for _, s := range e.signals {
			points[s.Code] = s.Points
		}
		e.pointsMade = types.DefaultTypeAdapter.NativeToValue(points)
	}
	return e.pointsMade
}

func (e *evaluation) caller() any {
	if e.callerMade == nil {
		said := make(map[string]any, len(e.facts.Caller))
		for _, v := range e.facts.Caller {
			switch v.Kind {
			case IsNumber:
				said[v.Name] = v.Number
			case IsText:
				said[v.Name] = v.Text
			case IsBool:
				said[v.Name] = v.Yes
			}
		}
		e.callerMade = types.DefaultTypeAdapter.NativeToValue(said)
	}
	return e.callerMade
}

func (f *Facts) networks() ref.Val { return types.NewStringList(types.DefaultTypeAdapter, f.Networks) }

var variableIndex = func() map[string]int {
	index := make(map[string]int, len(variables))
	for i, v := range variables {
		index[v.name] = i
	}
	return index
}()

// What hard rules and the others are compiled by: made when the first rule is.
var (
	hardEnv = sync.OnceValue(func() *cel.Env { return environment(true) })
	softEnv = sync.OnceValue(func() *cel.Env { return environment(false) })
)

func environment(hard bool) *cel.Env {
	options := []cel.EnvOption{
		cel.ParserExpressionSizeLimit(maxExpression), cel.ExpressionNodeLimit(maxNodes), cel.ExpressionNestingDepthLimit(maxNesting),
		cel.ParserRecursionLimit(maxNesting), cel.CrossTypeNumericComparisons(true),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateHomogeneousAggregateLiterals(), cel.ValidateComprehensionNestingLimit(1)),
	}
	for _, v := range variables {
		if !hard || !v.scored {
			options = append(options, cel.Variable(v.name, v.kind))
		}
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		panic("risk: " + err.Error()) // a mistake in this file: every test sees it
	}
	return env
}

// compiledRule is a rule that is ready.
type compiledRule struct {
	Rule
	program cel.Program
	cost    uint64 // of an evaluation, at most
}

func (r *compiledRule) matches(e *evaluation) (bool, error) {
	out, _, err := r.program.Eval(e)
	if err != nil {
		return false, fmt.Errorf("rule %s: %w", r.ID, err)
	}
	is, ok := out.(types.Bool)
	if !ok {
		return false, errors.New("rule " + r.ID + ": not a bool") // it was checked to be one
	}
	return bool(is), nil
}

// compile checks a rule's expression. at is the path of it, for the error.
func compile(at string, r Rule) (compiledRule, error) {
	env := softEnv
	if r.Hard {
		env = hardEnv
	}
	if len(r.When) > maxExpression {
		return compiledRule{}, refuse(at, "an expression has at most %d bytes", maxExpression)
	}
	if strings.TrimSpace(r.When) == "" {
		return compiledRule{}, refuse(at, "say when the rule matches: an expression, as score >= 50")
	}
	ast, issues := env().Compile(r.When)
	if issues.Err() != nil {
		return compiledRule{}, explain(at, r, issues)
	}
	if ast.OutputType() != cel.BoolType {
		return compiledRule{}, refuse(at, "a rule is true or false, and this is %s: compare it with something", cel.FormatCELType(ast.OutputType()))
	}
	cost, err := env().EstimateCost(ast, sizes{})
	if err != nil {
		return compiledRule{}, refuse(at, "the cost of this cannot be told")
	}
	if cost.Max > maxCost {
		return compiledRule{}, refuse(at, "this could take %d steps, and %d are allowed", cost.Max, maxCost)
	}
	program, err := env().Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost))
	if err != nil {
		return compiledRule{}, refuse(at, "this cannot be evaluated: %s", firstLine(err.Error()))
	}
	return compiledRule{Rule: r, program: program, cost: cost.Max}, nil
}

// sizes tells CEL how big facts can be.
type sizes struct{}

// EstimateSize is that of a text, a list or a map.
func (sizes) EstimateSize(element checker.AstNode) *checker.SizeEstimate {
	most := uint64(maxValueText) // texts of facts are short, and what a caller says is bounded
	if path := element.Path(); len(path) == 1 {
		switch path[0] {
		case "networks", "caller":
			most = maxValues
		case "signals":
			most = uint64(len(signals) + maxValues)
		}
	}
	return &checker.SizeEstimate{Min: 0, Max: most}
}

// EstimateCallCost leaves functions to CEL.
func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

var undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)

// explain tells the first thing that CEL finds wrong, where it stands, and what may have been meant.
func explain(at string, r Rule, issues *cel.Issues) error {
	errs := issues.Errors()
	if len(errs) == 0 {
		return refuse(at, "%s", firstLine(issues.Err().Error()))
	}
	first := errs[0]
	message, hint := firstLine(first.Message), ""
	if m := undeclared.FindStringSubmatch(message); m != nil {
		name := m[1]
		if i, ok := variableIndex[name]; ok && r.Hard && variables[i].scored {
			return position(at, first.Location.Line(), first.Location.Column(), "a hard rule is outside the score: it cannot use "+name)
		}
		message = fmt.Sprintf("there is no %q", name)
		hint = fault.Hint(name, names())
	} else {
		message = plainly(message)
	}
	return position(at, first.Location.Line(), first.Location.Column(), message+hint)
}

// What CEL's parser and checker say, and what of it.
var (
	misplaced  = regexp.MustCompile(`^Syntax error: (?:mismatched|extraneous) input '(.*)' expecting (.*)$`)
	missing    = regexp.MustCompile(`^Syntax error: missing '(.*)' at '(.*)'$`)
	unreadable = regexp.MustCompile(`^Syntax error: token recognition error at: '(.*)'$`)
	overload   = regexp.MustCompile(`^found no matching overload for '_?([^_']+)_?' applied to '\((.*)\)'$`)
)

// plainly says in words what CEL says in names of its grammar; what is none of that is told as it is.
func plainly(message string) string {
	const end = "<EOF>"
	if m := misplaced.FindStringSubmatch(message); m != nil {
		switch {
		case m[1] == end:
			return "something is missing at the end"
		case m[2] == end:
			return fmt.Sprintf("%q is too much: join conditions by && or ||", m[1])
		}
		return fmt.Sprintf("%q stands where a value is expected", m[1])
	}
	if m := missing.FindStringSubmatch(message); m != nil {
		where := fmt.Sprintf("before %q", m[2])
		if m[2] == end {
			where = "at the end"
		}
		return fmt.Sprintf("%q is missing %s", m[1], where)
	}
	if m := unreadable.FindStringSubmatch(message); m != nil {
		text := strings.TrimSpace(m[1])
		switch {
		case strings.HasPrefix(text, "'"), strings.HasPrefix(text, `"`):
			return "a text begins here and does not end"
		case text == "=", text == "&", text == "|":
			return fmt.Sprintf("there is no %q (did you mean %s%s?)", text, text, text)
		}
		return fmt.Sprintf("%q is nothing that an expression has", text)
	}
	if m := overload.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("%q does not take (%s)", m[1], m[2])
	}
	return message
}

// position refuses what stands in an expression: line from 1, column from 0, as CEL counts.
func position(at string, line, column int, message string) error {
	column = min(max(column, 0), math.MaxInt32) + 1
	e := ErrInvalid.WithMessage(fmt.Sprintf("line %d, column %d: %s", line, column, message))
	return e.With("field", at).With("line", fmt.Sprint(line)).With("column", fmt.Sprint(column))
}

func names() []string {
	out := make([]string, len(variables))
	for i, v := range variables {
		out[i] = v.name
	}
	slices.Sort(out)
	return out
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
