package flag

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// RulesText is rules as JSON for people, as ParseRules reads it, with a comparison, a variant or a rollout to a line: a rule of a thousand values has few lines.
func RulesText(rules []Rule) string {
	if len(rules) == 0 {
		return "[]"
	}
	var out strings.Builder
	out.WriteString("[")
	for i := range rules {
		r := &rules[i]
		out.WriteString(comma(i) + "\n  {")
		var parts []string
		if r.ID != "" {
			parts = append(parts, `"id": `+ValueText(r.ID))
		}
		if !r.When.IsZero() {
			parts = append(parts, `"when": `+conditionText(&r.When, "    "))
		}
		if r.Variant != "" {
			parts = append(parts, `"variant": `+ValueText(r.Variant))
		}
		if len(r.Rollout) > 0 {
			shares := make([]string, len(r.Rollout))
			for j, share := range r.Rollout {
				shares[j] = `{"variant": ` + ValueText(share.Variant) + `, "weight": ` + ValueText(share.Weight) + "}"
			}
			parts = append(parts, `"rollout": [`+strings.Join(shares, ", ")+"]")
		}
		if r.By != "" {
			parts = append(parts, `"by": `+ValueText(r.By))
		}
		for j, part := range parts {
			out.WriteString(comma(j) + "\n    " + part)
		}
		out.WriteString("\n  }")
	}
	out.WriteString("\n]")
	return out.String()
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

// ConditionText is a condition as JSON for people, with a comparison to a line; null for one that asks nothing.
func ConditionText(c Condition) string {
	if c.IsZero() {
		return "null"
	}
	return conditionText(&c, "")
}

func conditionText(q *Condition, indent string) string {
	list := func(word string, of []Condition) string {
		var out strings.Builder
		out.WriteString(`{"` + word + `": [`)
		for i := range of {
			out.WriteString(comma(i) + "\n" + indent + "  " + conditionText(&of[i], indent+"  "))
		}
		out.WriteString("\n" + indent + "]}")
		return out.String()
	}
	switch {
	case q.All != nil:
		return list("all", q.All)
	case q.Any != nil:
		return list("any", q.Any)
	case q.Not != nil:
		return `{"not": ` + conditionText(q.Not, indent) + "}"
	case q.Segment != "":
		return `{"segment": ` + ValueText(q.Segment) + "}"
	}
	members := []string{`"attribute": ` + ValueText(q.Attribute), `"operator": ` + ValueText(q.Operator)}
	if q.Values != nil {
		values := make([]string, len(q.Values))
		for i, value := range q.Values {
			values[i] = ValueText(value)
		}
		members = append(members, `"values": [`+strings.Join(values, ", ")+"]")
	}
	return "{" + strings.Join(members, ", ") + "}"
}

// ValueText is a value as JSON in a line.
func ValueText(value any) string {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // a page escapes by itself
	if err := enc.Encode(value); err != nil {
		return "null" // not reached: what is shown was read, or is text
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// ParseRules reads a list of rules as JSON. Members that rules do not have are refused; whether the rules can be is for Flag.Check. ErrInvalid
// says in which line reading stopped.
func ParseRules(text string) ([]Rule, error) {
	rules := []Rule{}
	if err := parse("rules", "list", text, &rules); err != nil {
		return nil, err
	}
	return rules, checkParsed(text, rules)
}

// checkParsed refuses rules that are not to be drawn: more than a flag has, whose changes nobody could read, and a condition that asks nothing,
// which would match everybody although something was to be asked.
func checkParsed(text string, rules []Rule) error {
	conditions := 0
	for i := range rules {
		conditions += rules[i].When.size()
	}
	if len(rules) > MaxRules || conditions > MaxConditions {
		return refuse("rules", "a flag has at most %d rules with %d conditions in all: these are %d with %d", MaxRules, MaxConditions, len(rules), conditions)
	}
	var asked []struct {
		When *Condition `json:"when"`
	}
	if err := json.Unmarshal([]byte(text), &asked); err != nil {
		return fmt.Errorf("rules that were read: %w", err) // not reached
	}
	for i := range asked {
		if asked[i].When != nil && asked[i].When.IsZero() {
			return refuse("rules", "the condition of rule %d asks nothing: leave it out to match everybody", i+1)
		}
	}
	return nil
}

// size is how many conditions c is, with those in it: none of one that asks nothing.
func (c Condition) size() int {
	if c.IsZero() {
		return 0
	}
	n := 1
	for i := range c.All {
		n += c.All[i].size()
	}
	for i := range c.Any {
		n += c.Any[i].size()
	}
	if c.Not != nil {
		n += c.Not.size()
	}
	return n
}

// ParseCondition reads one condition, as ParseRules does.
func ParseCondition(text string) (Condition, error) {
	var c Condition
	err := parse("when", "condition", text, &c)
	return c, err
}

// parse reads what has a noun into v, which field keeps.
func parse(field, noun, text string, v any) error {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil && dec.More() {
		err = fmt.Errorf("one %s stands there, and nothing after it", noun)
	}
	if err == nil {
		return nil
	}
	at, says := int(dec.InputOffset()), strings.TrimPrefix(err.Error(), "json: ")
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = int(syntax.Offset)
	} else if typed, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		at, says = int(typed.Offset), typed.Value+" cannot stand here"
		if typed.Field != "" {
			says = typed.Value + " cannot stand at " + typed.Field
		}
	} else if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		at, says = len(text), "the "+noun+" has no end"
	}
	line := 1 + strings.Count(text[:min(max(at, 0), len(text))], "\n")
	return ErrInvalid.WithMessage(fmt.Sprintf("%s: line %d: %s", field, line, says)).With("field", field)
}
