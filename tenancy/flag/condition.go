package flag

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/semver"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// Condition is what a subject is asked for. Exactly one of All, Any, Not, Segment and Attribute is
// given; the zero Condition asks nothing.
//
// An attribute that a subject does not have, or has with a value of another type, fulfils no
// operator; Not of it is fulfilled.
type Condition struct {
	All       []Condition `json:"all,omitempty"` // and
	Any       []Condition `json:"any,omitempty"` // or
	Not       *Condition  `json:"not,omitempty"`
	Segment   string      `json:"segment,omitempty"`   // a segment's key
	Attribute string      `json:"attribute,omitempty"` // a name; with dots the way into nested objects; not targetingKey
	Operator  Operator    `json:"operator,omitempty"`
	Values    []any       `json:"values,omitempty"` // string, float64 or bool; how many and which: see Operator
}

// IsZero reports a condition that asks nothing.
func (c Condition) IsZero() bool {
	return c.All == nil && c.Any == nil && c.Not == nil && c.Segment == "" && c.Attribute == "" && c.Operator == "" && c.Values == nil
}

// Operator compares an attribute with values. Of an attribute that is a list any element may fulfil it.
type Operator string

// The operators. In takes 1 to 1,000 values that are strings, numbers or booleans; the rest takes one of the type it says.
const (
	In             Operator = "IN"               // is one of them, of the same type
	Contains       Operator = "CONTAINS"         // string; case counts, as in all below
	StartsWith     Operator = "STARTS_WITH"      // string
	EndsWith       Operator = "ENDS_WITH"        // string
	Matches        Operator = "MATCHES"          // string: an RE2 expression, found anywhere
	LessThan       Operator = "LESS_THAN"        // number
	AtMost         Operator = "AT_MOST"          // number
	AtLeast        Operator = "AT_LEAST"         // number
	GreaterThan    Operator = "GREATER_THAN"     // number
	VersionBelow   Operator = "VERSION_BELOW"    // string: a semantic version; 4.2 is 4.2.0
	VersionAtLeast Operator = "VERSION_AT_LEAST" // string, the same
	Before         Operator = "BEFORE"           // string: a time of RFC 3339
	After          Operator = "AFTER"            // string, the same
	Exists         Operator = "EXISTS"           // takes no value
)

// Operators returns them all.
func Operators() []Operator {
	return []Operator{In, Contains, StartsWith, EndsWith, Matches, LessThan, AtMost, AtLeast, GreaterThan, VersionBelow, VersionAtLeast, Before, After, Exists}
}

// node is a compiled condition.
type node struct {
	kind    nodeKind
	inner   []node // of all, any and not
	segment *segment
	path    []string // the attribute's name, and the way into objects where it has dots
	test    func(value any) bool
	steps   int // of the expression that test looks for
	source  *Condition
}

type nodeKind uint8

const (
	asksNothing nodeKind = iota
	asksAll
	asksAny
	asksNot
	asksSegment
	asksAttribute
)

// compiler makes nodes of conditions, within bounds.
type compiler struct {
	segments map[string]*segment // nil: none may be asked for
	left     int                 // conditions that may still come
	steps    int                 // of expressions so far
}

func (c *compiler) compile(at string, from *Condition, depth int) (node, error) {
	if c.left--; c.left < 0 {
		return node{}, refuse(at, "a flag has at most %d conditions", MaxConditions)
	}
	if depth > maxDepth {
		return node{}, refuse(at, "conditions stand in each other at most %d deep", maxDepth)
	}
	given := 0
	for _, is := range []bool{from.All != nil, from.Any != nil, from.Not != nil, from.Segment != "", from.Attribute != "" || from.Operator != "" || from.Values != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return node{}, refuse(at, "a condition has one of all, any, not, segment, and attribute with operator: this has %d", given)
	}
	switch {
	case from.All != nil:
		return c.list(at+".all", asksAll, from, from.All, depth)
	case from.Any != nil:
		return c.list(at+".any", asksAny, from, from.Any, depth)
	case from.Not != nil:
		inner, err := c.compile(at+".not", from.Not, depth+1)
		return node{kind: asksNot, inner: []node{inner}, source: from}, err
	case from.Segment != "":
		if c.segments == nil {
			return node{}, refuse(at+".segment", "a segment asks for no other segment")
		}
		s := c.segments[from.Segment]
		if s == nil {
			known := make([]string, 0, len(c.segments))
			for key := range c.segments {
				known = append(known, key)
			}
			slices.Sort(known)
			return node{}, refuse(at+".segment", "there is no segment %q%s", cut(from.Segment), fault.Hint(from.Segment, known))
		}
		return node{kind: asksSegment, segment: s, source: from}, nil
	}
	return c.attribute(at, from)
}

func (c *compiler) list(at string, kind nodeKind, from *Condition, of []Condition, depth int) (node, error) {
	if len(of) == 0 {
		return node{}, refuse(at, "at least one condition stands there")
	}
	out := node{kind: kind, inner: make([]node, len(of)), source: from}
	for i := range of {
		var err error
		if out.inner[i], err = c.compile(at+"["+strconv.Itoa(i)+"]", &of[i], depth+1); err != nil {
			return node{}, err
		}
	}
	return out, nil
}

// attribute compiles a comparison.
func (c *compiler) attribute(at string, from *Condition) (node, error) {
	if !isText(from.Attribute) {
		return node{}, refuse(at+".attribute", "an attribute's name has 1 to %d bytes that can be seen", maxText)
	}
	if from.Attribute == TargetingKey {
		return node{}, refuse(at+".attribute", "who somebody is stands in no condition: roll out, or ask for an attribute")
	}
	n := node{kind: asksAttribute, path: pathOf(from.Attribute), source: from}
	least, most := 1, 1
	switch {
	case from.Operator == In:
		most = maxValues
	case from.Operator == Exists:
		least, most = 0, 0
	case !slices.Contains(Operators(), from.Operator):
		return node{}, refuse(at+".operator", "%q is no operator%s", cut(string(from.Operator)), fault.Hint(string(from.Operator), names(Operators())))
	}
	if len(from.Values) < least || len(from.Values) > most {
		return node{}, refuse(at+".values", "%s takes %s", from.Operator, map[int]string{0: "no value", 1: "one value", maxValues: "1 to " + strconv.Itoa(maxValues) + " values"}[most])
	}
	if from.Operator == In {
		set := make(map[any]struct{}, len(from.Values))
		for i, value := range from.Values {
			if err := member(set, value); err != nil {
				return node{}, refuse(at+".values["+strconv.Itoa(i)+"]", "%v", err)
			}
		}
		n.test = func(value any) bool { return isMember(set, value) }
		return n, nil
	}
	var wanted any
	if most > 0 {
		wanted = from.Values[0]
	}
	before := c.steps
	var err error
	if n.test, err = c.comparison(from.Operator, wanted); err != nil {
		return node{}, refuse(at+".values[0]", "%v", err)
	}
	n.steps = c.steps - before
	return n, nil
}

// pathOf is an attribute's name, and after it the way into objects where it has dots.
func pathOf(name string) []string {
	path := []string{name}
	if strings.Contains(name, ".") {
		path = append(path, strings.Split(name, ".")...)
	}
	return path
}

// member adds one value of In to set.
func member(set map[any]struct{}, value any) error {
	switch v := value.(type) {
	case string:
		if err := checkText(v); err != nil {
			return err
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("a number has an end")
		}
	case bool:
	default:
		return errors.New("a value is a string, a number or true or false")
	}
	set[value] = struct{}{}
	return nil
}

// checkText refuses a text that cannot be kept, or that no attribute should be compared with.
func checkText(text string) error {
	if len(text) > maxText {
		return fmt.Errorf("a value has at most %d bytes", maxText)
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return errors.New("a value is UTF-8 without zero bytes")
	}
	return nil
}

func isMember(set map[any]struct{}, value any) bool {
	switch value.(type) {
	case string, bool:
		_, ok := set[value]
		return ok
	}
	number, ok := asNumber(value)
	if !ok {
		return false
	}
	_, ok = set[number]
	return ok
}

// comparison returns what an operator but In asks of a value.
func (c *compiler) comparison(op Operator, wanted any) (func(value any) bool, error) {
	switch op {
	case Exists:
		return func(value any) bool { return value != nil }, nil
	case LessThan:
		return ofNumbers(op, wanted, func(a, b float64) bool { return a < b })
	case AtMost:
		return ofNumbers(op, wanted, func(a, b float64) bool { return a <= b })
	case AtLeast:
		return ofNumbers(op, wanted, func(a, b float64) bool { return a >= b })
	case GreaterThan:
		return ofNumbers(op, wanted, func(a, b float64) bool { return a > b })
	case In:
	case Contains, StartsWith, EndsWith, Matches, VersionBelow, VersionAtLeast, Before, After:
	}
	text, ok := wanted.(string)
	if !ok || text == "" {
		return nil, fmt.Errorf("%s takes a string that is not empty", op)
	}
	if err := checkText(text); err != nil {
		return nil, err
	}
	switch op {
	case Contains:
		return ofTexts(func(value string) bool { return strings.Contains(value, text) }), nil
	case StartsWith:
		return ofTexts(func(value string) bool { return strings.HasPrefix(value, text) }), nil
	case EndsWith:
		return ofTexts(func(value string) bool { return strings.HasSuffix(value, text) }), nil
	case Matches:
		re, err := c.expression(text)
		if err != nil {
			return nil, err
		}
		return ofTexts(func(value string) bool { return len(value) <= maxMatched && re.MatchString(value) }), nil
	case VersionBelow, VersionAtLeast:
		least := version(text)
		if !semver.IsValid(least) {
			return nil, errors.New("no semantic version: 4.2.0 is one, and 4.2, and 4.2.0-beta.1")
		}
		return ofTexts(func(value string) bool {
			v := version(value)
			return semver.IsValid(v) && (semver.Compare(v, least) < 0) == (op == VersionBelow)
		}), nil
	case Before, After:
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, errors.New("no time of RFC 3339: 2027-01-15T09:00:00Z is one")
		}
		return func(value any) bool {
			t, ok := asTime(value)
			return ok && (op == Before && t.Before(at) || op == After && t.After(at))
		}, nil
	case Exists, In, LessThan, AtMost, AtLeast, GreaterThan:
	}
	return nil, fmt.Errorf("%s is no operator of one value", op)
}

// expression compiles an RE2 expression. What it costs, for each byte of a text and in memory, is its steps: repetitions unroll, and
// a few bytes can make a million of them.
func (c *compiler) expression(text string) (*regexp.Regexp, error) {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("no RE2 expression: %w", err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, fmt.Errorf("no RE2 expression: %w", err)
	}
	if c.steps += len(program.Inst); c.steps > maxSteps {
		return nil, fmt.Errorf("the expressions of a flag or a segment have at most %d steps together, each repetition as often as it may be: up to here they have %d", maxSteps, c.steps)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("no RE2 expression: %w", err)
	}
	return re, nil
}

func ofNumbers(op Operator, wanted any, holds func(a, b float64) bool) (func(value any) bool, error) {
	limit, ok := wanted.(float64)
	if !ok || math.IsNaN(limit) || math.IsInf(limit, 0) {
		return nil, fmt.Errorf("%s compares numbers", op)
	}
	return func(value any) bool {
		number, ok := asNumber(value)
		return ok && holds(number, limit)
	}, nil
}

func ofTexts(holds func(value string) bool) func(value any) bool {
	return func(value any) bool {
		text, ok := value.(string)
		return ok && holds(text)
	}
}

// version is text as package semver wants it.
func version(text string) string {
	if strings.HasPrefix(text, "v") {
		return text
	}
	return "v" + text
}

// holds reports whether subject fulfils n.
func (n *node) holds(subject *Subject) bool {
	switch n.kind {
	case asksNothing:
		return true
	case asksAll:
		for i := range n.inner {
			if !n.inner[i].holds(subject) {
				return false
			}
		}
		return true
	case asksAny:
		for i := range n.inner {
			if n.inner[i].holds(subject) {
				return true
			}
		}
		return false
	case asksNot:
		return !n.inner[0].holds(subject)
	case asksSegment:
		return n.segment.holds(subject)
	case asksAttribute:
	}
	value, ok := subject.lookup(n.path)
	if !ok {
		return false
	}
	if list, is := value.([]any); is {
		return n.source.Operator == Exists || slices.ContainsFunc(list, func(value any) bool { return n.fits(value, subject) })
	}
	return n.fits(value, subject)
}

// fits reports whether one value fulfils n. What may no longer be looked at fits, which ends the search.
func (n *node) fits(value any, subject *Subject) bool {
	units := workOfTest
	if text, is := value.(string); is {
		units += len(text) / workBytes * workOfTest
		if n.steps > 0 {
			units += min(len(text), maxMatched) * n.steps
		}
	}
	return !subject.spend(units) || n.test(value)
}

// asNumber takes what JSON and Go's callers have as numbers.
func asNumber(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, !math.IsNaN(v)
	case float32:
		return float64(v), !math.IsNaN(float64(v))
	case int:
		return float64(v), true
	case int8:
		return float64(v), true
	case int16:
		return float64(v), true
	case int32:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint:
		return float64(v), true
	case uint8:
		return float64(v), true
	case uint16:
		return float64(v), true
	case uint32:
		return float64(v), true
	case uint64:
		return float64(v), true
	case json.Number:
		number, err := v.Float64()
		return number, err == nil
	}
	return 0, false
}

func asTime(value any) (time.Time, bool) {
	switch v := value.(type) {
	case time.Time:
		return v, true
	case string:
		at, err := time.Parse(time.RFC3339, v)
		return at, err == nil
	}
	return time.Time{}, false
}
