package risk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/strictjson"
)

// Errors of rulesets and signals. Each Reason is part of the public API.
var (
	// ErrInvalid is a ruleset that cannot be. Its metadata has the field's path, and line and column of an expression.
	ErrInvalid = fault.New(fault.Invalid, "RISK_RULES_INVALID", "the risk rules are not valid")
	ErrSignals = fault.New(fault.Invalid, "RISK_SIGNALS_INVALID", "the signals are not valid")
)

// MaxBytes is how long a document may be, as it is given and with every member.
const MaxBytes = 48 << 10

// Mode says what becomes of a rule, or of a whole ruleset.
type Mode string

// The modes.
const (
	Off     Mode = "OFF"     // of a ruleset: nothing is counted, scored or kept
	Shadow  Mode = "SHADOW"  // what it comes to is recorded, and nothing is done
	Enforce Mode = "ENFORCE" // it is done
)

// Document is what a tenant says of risk.
type Document struct {
	Mode Mode `json:"mode"` // of all of it

	// From which score on a sign-in takes a second one, and is refused, where no rule says otherwise: 1 to 100; 0 never.
	StepUpScore int `json:"stepUpScore"`
	DenyScore   int `json:"denyScore"`

	// Weights are the points of signals at their full value, by code: 0 to 100; 0 passes a signal over. One that is absent has
	// its own.
	Weights map[string]int `json:"weights"`
	// CallerWeights make signals of what the tenant's server says, by name: 1 to 100. Yes is all of it, a number between 0 and 1
	// its part.
	CallerWeights map[string]int `json:"callerWeights"`

	Rules []Rule `json:"rules"` // at most 50
}

// Rule decides, where it matches. Hard rules come first, and the hardest of them counts. Of the others the first that
// matches does, also one that allows what the score would not.
type Rule struct {
	ID    string  `json:"id"`    // a letter a-z and up to 39 of a-z 0-9 -
	About string  `json:"about"` // for people: up to 200 characters; may be empty
	When  string  `json:"when"`  // a CEL expression, true or false
	Then  Outcome `json:"then"`  // of a hard rule StepUp or Deny
	Hard  bool    `json:"hard"`  // outside the score, and no other rule allows it after all
	Mode  Mode    `json:"mode"`  // Shadow or Enforce; absent: Enforce
}

const (
	maxRules    = 50
	maxAbout    = 200
	defaultStep = 50
	defaultDeny = 0
)

// Default is the document of a tenant that wrote none.
func Default() Document {
	return Document{Mode: Off, StepUpScore: defaultStep, DenyScore: defaultDeny, Weights: map[string]int{}, CallerWeights: map[string]int{}, Rules: []Rule{}}
}

// Weight is how many points a signal has at its full value: those that the document says, or its own. 0 for one that there is not.
func (d Document) Weight(code string) int {
	if w, says := d.Weights[code]; says {
		return w
	}
	for i := range signals {
		if signals[i].Code == code {
			return signals[i].Weight
		}
	}
	return 0
}

// Ruleset is a document that is ready. It is shared, and never changed.
type Ruleset struct {
	Document

	Version int // 0: the tenant wrote none
	weights []int
	rules   []compiledRule
}

// Parse reads a document as JSON, and makes it ready. Absent members have the values of Default; unknown ones, such as are given
// twice, and null are refused. ErrInvalid.
func Parse(document []byte) (*Ruleset, error) {
	if len(document) > MaxBytes {
		return nil, ErrInvalid.WithMessage("risk rules have at most 48 KiB")
	}
	if wrong, ok := errors.AsType[*strictjson.Error](strictjson.Check(document)); ok {
		return nil, refuse(wrong.Path, "%s", wrong.Text)
	}
	d := Default()
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return nil, malformed(ErrInvalid, err, []string{"mode", "stepUpScore", "denyScore", "weights", "callerWeights", "rules", "id", "about", "when", "then", "hard"})
	}
	r, err := Compile(d)
	if err != nil {
		return nil, err
	}
	if n := len(r.Document.JSON()); n > MaxBytes { // what is read of the rules can be put again
		return nil, ErrInvalid.WithMessage(fmt.Sprintf("risk rules have at most 48 KiB, and with every member that was left out these have %d KiB", n>>10))
	}
	return r, nil
}

// Compile makes a document ready. ErrInvalid.
func Compile(d Document) (*Ruleset, error) {
	if d.Weights == nil {
		d.Weights = map[string]int{}
	}
	if d.CallerWeights == nil {
		d.CallerWeights = map[string]int{}
	}
	if d.Rules == nil {
		d.Rules = []Rule{}
	}
	r := &Ruleset{Document: d, weights: make([]int, len(signals))}
	if !slices.Contains([]Mode{Off, Shadow, Enforce}, d.Mode) {
		return nil, refuse("mode", "mode is one of OFF, SHADOW, ENFORCE%s", fault.Hint(string(d.Mode), []string{"OFF", "SHADOW", "ENFORCE"}))
	}
	for _, threshold := range []struct {
		field string
		score int
	}{{"stepUpScore", d.StepUpScore}, {"denyScore", d.DenyScore}} {
		if threshold.score < 0 || threshold.score > MaxScore {
			return nil, refuse(threshold.field, "%s is between 1 and 100, or 0 for never", threshold.field)
		}
	}
	if d.DenyScore > 0 && d.StepUpScore > d.DenyScore {
		return nil, refuse("stepUpScore", "stepUpScore is above denyScore: nobody would be asked for a second sign-in")
	}
	if err := r.weigh(); err != nil {
		return nil, err
	}
	if len(d.Rules) > maxRules {
		return nil, refuse("rules", "at most %d rules", maxRules)
	}
	r.rules, r.Rules = make([]compiledRule, len(d.Rules)), slices.Clone(d.Rules)
	seen, cost := map[string]bool{}, uint64(0)
	for i := range r.Rules {
		rule, at := &r.Rules[i], fmt.Sprintf("rules[%d]", i)
		if rule.Mode == "" {
			rule.Mode = Enforce
		}
		if err := rule.check(at, seen); err != nil {
			return nil, err
		}
		var err error
		if r.rules[i], err = compile(at+".when", *rule); err != nil {
			return nil, err
		}
		if cost += r.rules[i].cost; cost > maxCosts {
			return nil, refuse(at+".when", "with this the rules together could take %d steps, and %d are allowed", cost, maxCosts)
		}
	}
	return r, nil
}

func (r *Ruleset) weigh() error {
	codes := make([]string, len(signals))
	for i, s := range signals {
		codes[i], r.weights[i] = s.Code, s.Weight
	}
	for _, code := range slices.Sorted(maps.Keys(r.Weights)) {
		i, weight := slices.Index(codes, code), r.Weights[code]
		if i < 0 {
			return refuse("weights", "there is no signal %q%s", cut(code), fault.Hint(code, codes))
		}
		if weight < 0 || weight > MaxScore {
			return refuse("weights."+code, "a weight is between 0 and 100")
		}
		r.weights[i] = weight
	}
	if len(r.CallerWeights) > maxValues {
		return refuse("callerWeights", "at most %d signals of the caller", maxValues)
	}
	for _, name := range slices.Sorted(maps.Keys(r.CallerWeights)) {
		if !isValueName(name) {
			return refuse("callerWeights", "%q: a signal is named by a letter and up to 31 letters, digits or _", cut(name))
		}
		if w := r.CallerWeights[name]; w < 1 || w > MaxScore {
			return refuse("callerWeights."+name, "a weight is between 1 and 100")
		}
	}
	return nil
}

var ruleID = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

func (rule *Rule) check(at string, seen map[string]bool) error {
	switch {
	case !ruleID.MatchString(rule.ID):
		return refuse(at+".id", "%q: a rule's id is a letter a-z and up to 39 of a-z 0-9 -", cut(rule.ID))
	case seen[rule.ID]:
		return refuse(at+".id", "there are two rules %s", rule.ID)
	case utf8.RuneCountInString(rule.About) > maxAbout || strings.ContainsFunc(rule.About, func(c rune) bool { return c < ' ' }):
		return refuse(at+".about", "one line of up to %d characters", maxAbout)
	case !slices.Contains(outcomes, rule.Then):
		return refuse(at+".then", "then is one of ALLOW, STEP_UP, DENY%s", fault.Hint(string(rule.Then), []string{"ALLOW", "STEP_UP", "DENY"}))
	case rule.Hard && rule.Then == Allow:
		return refuse(at+".then", "a hard rule asks for more, or refuses: it allows nothing")
	case rule.Mode != Shadow && rule.Mode != Enforce:
		return refuse(at+".mode", "mode of a rule is SHADOW or ENFORCE%s", fault.Hint(string(rule.Mode), []string{"SHADOW", "ENFORCE"}))
	}
	seen[rule.ID] = true
	return nil
}

func refuse(field, format string, values ...any) error {
	return refuseAs(ErrInvalid, field, format, values...)
}

func refuseAs(kind *fault.Error, field, format string, values ...any) error {
	return kind.WithMessage(fmt.Sprintf(format, values...)).With("field", field)
}

// cut is a text as an error may repeat it: of at most 64 bytes, and UTF-8.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), 64)], "") }

// malformed says what is wrong with JSON that strictjson passed and a document of known fields cannot be read from.
func malformed(kind *fault.Error, err error, known []string) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return refuseAs(kind, wrong.Field, "wrong type of value")
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		field = strings.Trim(field, `"`)
		return refuseAs(kind, cut(field), "unknown field%s", fault.Hint(field, known))
	}
	return kind.WithMessage("not JSON")
}
