package console

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/flag"
)

// term is a part of a condition as the builder shows it: a comparison, or a group of terms. It is kept in no place but the
// form, as the values of fields whose names begin with Name; what is typed is as it was typed.
type term struct {
	Name string // of its fields, as r0.c1 for the second term of the first rule
	Is   string // attribute, segment or group

	Attribute string
	Operator  string // a flag.Operator; with ! before it: not
	Values    string // one to a line

	Segment string // whose Operator is flag.In, or with ! before it

	Match string // of a group: see matches
	Terms []term
}

const (
	isAttribute = "attribute"
	isSegment   = "segment"
	isGroup     = "group"
	negated     = "!"
)

// matches are what groups ask of their terms.
var matches = []ui.Choice{{Value: "all", Label: "all hold"}, {Value: "any", Label: "any holds"}, {Value: "none", Label: "none holds"}, {Value: "notAll", Label: "not all hold"}}

// below is the name of the term's n-th.
func (t *term) below(n int) string { return t.Name + ".c" + strconv.Itoa(n) }

// rename gives all of t the names that their places have.
func (t *term) rename(name string) {
	t.Name = name
	for i := range t.Terms {
		t.Terms[i].rename(t.below(i))
	}
}

// find returns the list that the term of a name stands in, and where; nil for none.
func (t *term) find(name string) (in *[]term, at int) {
	for i := range t.Terms {
		if one := &t.Terms[i]; one.Name == name {
			return &t.Terms, i
		} else if strings.HasPrefix(name, one.Name+".") {
			return one.find(name)
		}
	}
	return nil, 0
}

// group returns the group of a name in t, which may be t; nil for none.
func (t *term) group(name string) *term {
	if t.Name == name {
		return t
	}
	if in, at := t.find(name); in != nil && (*in)[at].Is == isGroup {
		return &(*in)[at]
	}
	return nil
}

// size is how many terms are in t, at whatever depth.
func (t *term) size() int {
	n := len(t.Terms)
	for i := range t.Terms {
		n += t.Terms[i].size()
	}
	return n
}

// readGroup reads the group of a name, and what stands in it, from a form.
func readGroup(form url.Values, name string) term {
	t := term{Name: name, Is: isGroup, Match: form.Get(name + ".match")}
	for {
		at := t.below(len(t.Terms))
		switch form.Get(at + ".is") {
		case isAttribute:
			t.Terms = append(t.Terms, term{Name: at, Is: isAttribute, Attribute: clean(form.Get(at + ".attribute")), Operator: form.Get(at + ".operator"), Values: plainLines(form.Get(at + ".values"))})
		case isSegment:
			t.Terms = append(t.Terms, term{Name: at, Is: isSegment, Operator: form.Get(at + ".operator"), Segment: form.Get(at + ".segment")})
		case isGroup:
			t.Terms = append(t.Terms, readGroup(form, at))
		default:
			return t
		}
	}
}

// plainLines is text as it was typed: a form sends each end of a line as two characters.
func plainLines(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// groupOf is a condition as a group. One that asks nothing has no terms.
func groupOf(name string, q *flag.Condition) term {
	if q.IsZero() {
		return term{Name: name, Is: isGroup, Match: "all"}
	}
	t := termOf(q)
	if t.Is != isGroup {
		t = term{Is: isGroup, Match: "all", Terms: []term{t}}
	}
	t.rename(name)
	return t
}

func termOf(q *flag.Condition) term {
	switch {
	case q.All != nil:
		return term{Is: isGroup, Match: "all", Terms: termsOf(q.All)}
	case q.Any != nil:
		return term{Is: isGroup, Match: "any", Terms: termsOf(q.Any)}
	case q.Not != nil:
		t := termOf(q.Not)
		if t.Is == isGroup {
			t.Match = map[string]string{"all": "notAll", "any": "none", "none": "any", "notAll": "all"}[t.Match]
		} else if text, not := strings.CutPrefix(t.Operator, negated); not {
			t.Operator = text
		} else {
			t.Operator = negated + t.Operator
		}
		return t
	case q.Segment != "":
		return term{Is: isSegment, Operator: string(flag.In), Segment: q.Segment}
	}
	return term{Is: isAttribute, Attribute: q.Attribute, Operator: string(q.Operator), Values: valuesText(q.Operator, q.Values)}
}

func termsOf(list []flag.Condition) []term {
	out := make([]term, len(list))
	for i := range list {
		out[i] = termOf(&list[i])
	}
	return out
}

// root is a group as a condition: nothing of no terms, and the one of one that is all.
func (t *term) root(at string, places places) flag.Condition {
	switch {
	case len(t.Terms) == 0:
		return flag.Condition{}
	case len(t.Terms) == 1 && t.Match == "all":
		return t.Terms[0].condition(at, places)
	}
	return t.condition(at, places)
}

// places are the fields that a refusal is about, by its path.
type places map[string]typedAt

// typedAt is where the part of a flag is typed that has a path.
type typedAt struct {
	whole string // the field that stands for it all
	begin string // what the names of its own parts' fields begin with; empty: whole is theirs, too
}

// field is the name of the field that a path is about; empty for none.
func (p places) field(path string) string {
	for at := path; at != ""; at = at[:max(0, strings.LastIndexAny(at, ".["))] {
		switch one, ok := p[at]; {
		case !ok:
		case at == path || one.begin == "":
			return one.whole
		default:
			part, _, _ := strings.Cut(path[len(at):], "[") // of a list of values the one field
			return one.begin + part
		}
	}
	return ""
}

// condition is t as a condition, whose path is at.
func (t *term) condition(at string, places places) flag.Condition {
	if t.Is == isGroup {
		return t.conditions(at, places)
	}
	if operator, not := strings.CutPrefix(t.Operator, negated); not {
		positive := *t
		positive.Operator = operator
		inner := positive.condition(at+".not", places)
		return flag.Condition{Not: &inner}
	}
	if t.Is == isSegment {
		places[at] = typedAt{whole: t.Name + ".segment"}
		return flag.Condition{Segment: t.Segment}
	}
	places[at] = typedAt{t.Name + ".attribute", t.Name}
	operator := flag.Operator(t.Operator)
	return flag.Condition{Attribute: t.Attribute, Operator: operator, Values: valuesOf(operator, t.Values)}
}

func (t *term) conditions(at string, places places) flag.Condition {
	places[at] = typedAt{whole: t.Name + ".match"}
	word := ".all"
	switch t.Match {
	case "any":
		word = ".any"
	case "none":
		at, word = at+".not", ".any"
	case "notAll":
		at += ".not"
	}
	places[at+word] = typedAt{whole: t.Name + ".match"}
	list := make([]flag.Condition, len(t.Terms))
	for i := range t.Terms {
		list[i] = t.Terms[i].condition(at+word+"["+strconv.Itoa(i)+"]", places)
	}
	out := flag.Condition{All: list}
	if word == ".any" {
		out = flag.Condition{Any: list}
	}
	if t.Match == "none" || t.Match == "notAll" {
		return flag.Condition{Not: &out}
	}
	return out
}

// isVerbatim reports an operator whose value is any text, as it is.
func isVerbatim(op flag.Operator) bool {
	return op == flag.Contains || op == flag.StartsWith || op == flag.EndsWith || op == flag.Matches
}

// valuesText is values as they are typed. Of a list, text that would be read as something else stands in quotes.
func valuesText(op flag.Operator, values []any) string {
	lines := make([]string, len(values))
	for i, value := range values {
		text, is := value.(string)
		if is && (op != flag.In || text != "" && listed(text) == any(text) && !strings.Contains(text, "\n")) {
			lines[i] = text
			continue
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			continue
		}
		lines[i] = string(encoded)
	}
	return strings.Join(lines, "\n")
}

// listed is one line of a list of values: a number, true, false, text in quotes; and else the text.
func listed(line string) any {
	line = strings.TrimSpace(line)
	var value any
	if json.Unmarshal([]byte(line), &value) == nil {
		switch value.(type) {
		case string, float64, bool:
			return value
		}
	}
	return line
}

// valuesOf reads what was typed for an operator. What is none of its values stays text, which is refused at its place.
func valuesOf(op flag.Operator, typed string) []any {
	line := strings.TrimSpace(typed)
	switch {
	case op == flag.Exists || typed == "":
		return nil
	case isVerbatim(op):
		return []any{typed}
	case line == "":
		return nil
	case op == flag.In:
		var out []any
		for line := range strings.Lines(typed) {
			if line = strings.TrimSpace(line); line != "" {
				out = append(out, listed(line))
			}
		}
		return out
	case op == flag.LessThan || op == flag.AtMost || op == flag.AtLeast || op == flag.GreaterThan:
		if number, err := strconv.ParseFloat(line, 64); err == nil {
			return []any{number}
		}
	}
	return []any{line}
}

// segmentOperators are those of a term that asks for a segment.
var segmentOperators = []ui.Choice{{Value: string(flag.In), Label: "is in segment"}, {Value: negated + string(flag.In), Label: "is not in segment"}}

// operatorChoices are the operators as a builder words them, and what they are without.
func operatorChoices() []ui.Choice {
	var out []ui.Choice
	for _, op := range flag.Operators() {
		out = append(out, ui.Choice{Value: string(op), Label: operatorLabels[op]}, ui.Choice{Value: negated + string(op), Label: operatorNots[op]})
	}
	return out
}

var operatorLabels = map[flag.Operator]string{
	flag.In: "is one of", flag.Contains: "contains", flag.StartsWith: "starts with", flag.EndsWith: "ends with", flag.Matches: "matches RE2", flag.LessThan: "is under", flag.AtMost: "is at most",
	flag.AtLeast: "is at least", flag.GreaterThan: "is over", flag.VersionBelow: "is below version", flag.VersionAtLeast: "is at least version", flag.Before: "is before", flag.After: "is after",
	flag.Exists: "is there",
}

var operatorNots = map[flag.Operator]string{
	flag.In: "is none of", flag.Contains: "does not contain", flag.StartsWith: "does not start with", flag.EndsWith: "does not end with", flag.Matches: "does not match RE2", flag.LessThan: "is not under",
	flag.AtMost: "is not at most", flag.AtLeast: "is not at least", flag.GreaterThan: "is not over", flag.VersionBelow: "is not below version", flag.VersionAtLeast: "is not at least version",
	flag.Before: "is not before", flag.After: "is not after", flag.Exists: "is not there",
}

// builder is what the parts of a form of conditions share.
type builder struct {
	Draft   string // where its buttons post to
	Focus   string // the field or button that what was done leads to; empty for none
	Problem *ui.Problem

	Segments []ui.Choice // that may be asked for; none: a segment's own condition asks for no other
}

// input is a field of the builder: its id is its name.
func (b builder) input(i ui.Input) ui.Input {
	i.ID, i.Problem, i.Focus = fieldID(i.Name), b.Problem, i.Name == b.Focus
	return i
}

// fieldID is the id of the field of a name: a dot would be a class in a selector.
func fieldID(name string) string { return strings.ReplaceAll(name, ".", "-") }

// draftAct is a button that does something to a draft, on the server: its value is a verb, and the name of what it is about.
type draftAct struct {
	Do, Icon string
	Label    string
	Says     string // in the place of Label
	Small    bool
	Off      bool
}

// removal is the label of the button that takes out what stands at a place.
func removal(at string) string { return "Remove " + strings.ToLower(at) }

// add adds a comparison, one that asks for a segment, or a group with a comparison to the group of a name, and says where to go on.
func (t *term) add(verb, name string) (focus string) {
	into := t.group(name)
	if into == nil {
		return ""
	}
	one := term{Is: isAttribute, Operator: string(flag.In)}
	if focus = into.below(len(into.Terms)) + ".attribute"; verb == "group" {
		one, focus = term{Is: isGroup, Match: "any", Terms: []term{one}}, into.below(len(into.Terms))+".match"
	}
	if verb == isSegment {
		one, focus = term{Is: isSegment, Operator: string(flag.In)}, into.below(len(into.Terms))+".segment"
	}
	into.Terms = append(into.Terms, one)
	return focus
}

// remove takes out the term of a name, and says where to go on: where another is added.
func (t *term) remove(name string) (focus string) {
	in, at := t.find(name)
	if in == nil {
		return ""
	}
	*in = slices.Delete(*in, at, at+1)
	return "term " + name[:strings.LastIndexByte(name, '.')]
}
