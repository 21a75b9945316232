package console

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/console/ui"
)

// riskForm is what somebody typed into the editor of risk rules: it stays as it was typed until it is right.
type riskForm struct {
	Mode, StepUp, Deny string
	Weights            map[string]string // by signal; none where it has its default
	Caller             string            // a line for each: name = points
	Rules              []riskRuleForm
}

type riskRuleForm struct {
	ID, About, When, Then, Mode string
	Hard                        bool
}

// maxRuleRows bounds the rows that are read of a form: more than a document may have, so that one too many is refused with words.
const maxRuleRows = 60

func riskFormOf(r *http.Request) *riskForm {
	get := func(name string) string {
		return strings.TrimSpace(strings.ReplaceAll(r.PostFormValue(name), "\r\n", "\n"))
	}
	f := &riskForm{Mode: get("mode"), StepUp: get("stepUpScore"), Deny: get("denyScore"), Weights: map[string]string{}, Caller: get("callerWeights")}
	for _, s := range risk.Signals() {
		if w := get("weight-" + s.Code); w != "" {
			f.Weights[s.Code] = w
		}
	}
	n, _ := strconv.Atoi(r.PostFormValue("rules"))
	for i := range min(max(n, 0), maxRuleRows) {
		at := func(name string) string { return get(fmt.Sprintf("rule-%s-%d", name, i)) }
		f.Rules = append(f.Rules, riskRuleForm{ID: at("id"), About: at("about"), When: at("when"), Then: at("then"), Mode: at("mode"), Hard: at("hard") == "on"})
	}
	return f
}

func riskFormFrom(d *risk.Document) *riskForm {
	f := &riskForm{Mode: string(d.Mode), StepUp: strconv.Itoa(d.StepUpScore), Deny: strconv.Itoa(d.DenyScore), Weights: map[string]string{}}
	for code, w := range d.Weights {
		f.Weights[code] = strconv.Itoa(w)
	}
	lines := make([]string, 0, len(d.CallerWeights))
	for _, name := range slices.Sorted(maps.Keys(d.CallerWeights)) {
		lines = append(lines, fmt.Sprintf("%s = %d", name, d.CallerWeights[name]))
	}
	f.Caller = strings.Join(lines, "\n")
	for _, r := range d.Rules {
		f.Rules = append(f.Rules, riskRuleForm{ID: r.ID, About: r.About, When: r.When, Then: string(r.Then), Mode: string(r.Mode), Hard: r.Hard})
	}
	return f
}

// document is what the form says, not yet checked by package risk. An error is a refusal with the field's path, as risk's are.
func (f *riskForm) document() (risk.Document, error) {
	d := risk.Document{Mode: risk.Mode(f.Mode), Weights: map[string]int{}, CallerWeights: map[string]int{}, Rules: []risk.Rule{}}
	var err error
	if d.StepUpScore, err = points("stepUpScore", f.StepUp); err != nil {
		return d, err
	}
	if d.DenyScore, err = points("denyScore", f.Deny); err != nil {
		return d, err
	}
	for _, code := range slices.Sorted(maps.Keys(f.Weights)) {
		if d.Weights[code], err = points("weights."+code, f.Weights[code]); err != nil {
			return d, err
		}
	}
	for line := range strings.Lines(f.Caller) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		if _, twice := d.CallerWeights[name]; !ok || twice {
			return d, risk.ErrInvalid.WithMessage("one to a line and each once, such as botScore = 30").With("field", "callerWeights")
		}
		if d.CallerWeights[name], err = points("callerWeights", strings.TrimSpace(value)); err != nil {
			return d, err
		}
	}
	for _, r := range f.Rules {
		d.Rules = append(d.Rules, risk.Rule{ID: r.ID, About: r.About, When: r.When, Then: risk.Outcome(r.Then), Hard: r.Hard, Mode: risk.Mode(r.Mode)})
	}
	return d, nil
}

// points reads a whole number; nothing is 0. What is out of bounds package risk refuses.
func points(field, typed string) (int, error) {
	if typed == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(typed)
	if err != nil {
		return 0, risk.ErrInvalid.WithMessage("a whole number of 0 to 100").With("field", field)
	}
	return n, nil
}

var rulePath = regexp.MustCompile(`^rules\[(\d+)\]\.(\w+)$`)

// inputOf is the input that a path of the document is typed into; empty for none.
func inputOf(path string) string {
	if m := rulePath.FindStringSubmatch(path); m != nil {
		return "rule-" + m[2] + "-" + m[1]
	}
	switch {
	case strings.HasPrefix(path, "callerWeights"):
		return "callerWeights"
	case strings.HasPrefix(path, "weights."):
		return "weight-" + strings.TrimPrefix(path, "weights.")
	case slices.Contains([]string{"mode", "stepUpScore", "denyScore"}, path):
		return path
	}
	return ""
}

// change does what a button of the rows says: add, up:2, down:2, remove:2. Where there is no such row it does nothing.
func (f *riskForm) change(do string) (focus string) {
	do, at, _ := strings.Cut(do, ":")
	i, err := strconv.Atoi(at)
	row := err == nil && i >= 0 && i < len(f.Rules)
	switch {
	case do == "add":
		f.Rules = append(f.Rules, riskRuleForm{Then: string(risk.StepUp), Mode: string(risk.Shadow)})
		return fmt.Sprintf("rule-id-%d", len(f.Rules)-1)
	case do == "up" && row && i > 0:
		f.Rules[i-1], f.Rules[i] = f.Rules[i], f.Rules[i-1]
		return fmt.Sprintf("rule-id-%d", i-1)
	case do == "down" && row && i < len(f.Rules)-1:
		f.Rules[i+1], f.Rules[i] = f.Rules[i], f.Rules[i+1]
		return fmt.Sprintf("rule-id-%d", i+1)
	case do == "remove" && row:
		f.Rules = slices.Delete(f.Rules, i, i+1)
	}
	return ""
}

// What the form has to choose from.
var (
	riskModeChoices = []ui.Choice{
		{Value: string(risk.Off), Label: "Off: nothing is counted or kept"},
		{Value: string(risk.Shadow), Label: "Shadow: score and record, do nothing"},
		{Value: string(risk.Enforce), Label: "Enforce: step up and refuse"},
	}
	ruleThenChoices = []ui.Choice{{Value: string(risk.StepUp), Label: "Step-up"}, {Value: string(risk.Deny), Label: "Deny"}, {Value: string(risk.Allow), Label: "Allow"}}
	ruleModeChoices = []ui.Choice{{Value: string(risk.Shadow), Label: "Shadow"}, {Value: string(risk.Enforce), Label: "Enforce"}}
)

// ruleInputs are a rule's row in the form.
type ruleInputs struct {
	N                           string
	Head                        string
	First, Last                 bool
	ID, About, When, Then, Mode ui.Input
	Hard                        bool
	Wrong                       bool
}

// weightInput is a signal's weight.
type weightInput struct {
	ui.Input

	Code, About, Own string // Own is its default
}

func (f *riskForm) ruleInputs(problem *ui.Problem) []ruleInputs {
	out := make([]ruleInputs, len(f.Rules))
	for i, r := range f.Rules {
		n := strconv.Itoa(i)
		in := func(name, label, value string) ui.Input {
			name = "rule-" + name + "-" + n
			return ui.Input{ID: name, Name: name, Label: label, Value: value, Problem: problem}
		}
		row := ruleInputs{
			N: n, Head: fmt.Sprintf("Rule %d", i+1), First: i == 0, Last: i == len(f.Rules)-1, Hard: r.Hard,
			ID: in("id", "Id", r.ID), About: in("about", "About", r.About), When: in("when", "When", r.When),
			Then: in("then", "Then", r.Then), Mode: in("mode", "Mode", r.Mode),
		}
		row.ID.Max, row.About.Max, row.About.Optional, row.When.Max, row.When.Rows = 40, 200, true, 2000, 3
		if r.ID != "" {
			row.Head += ": " + r.ID
		}
		out[i] = row
	}
	return out
}

func (f *riskForm) weightInputs(problem *ui.Problem) []weightInput {
	list := risk.Signals()
	out := make([]weightInput, len(list))
	for i, s := range list {
		name := "weight-" + s.Code
		out[i] = weightInput{
			Input: ui.Input{ID: name, Name: name, Label: s.Code, Value: f.Weights[s.Code], Max: 3, Optional: true, Problem: problem},
			Code:  s.Code, About: s.About, Own: strconv.Itoa(s.Weight),
		}
	}
	return out
}
