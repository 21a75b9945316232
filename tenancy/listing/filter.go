package listing

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// ErrFilter refuses a filter that cannot be read or that asks what the list cannot
// answer. Its message says what and where.
var ErrFilter = fault.New(fault.Invalid, "FILTER_INVALID", "the filter cannot be read")

// Bounds of a filter: far beyond what anybody means, short of what costs.
const (
	maxFilterBytes = 1024
	maxTerms       = 16
)

// Op compares a field with a literal.
type Op string

// The operators. AIP-160 has more (has, functions); they are refused.
const (
	Equal        Op = "="
	NotEqual     Op = "!="
	Less         Op = "<"
	LessEqual    Op = "<="
	Greater      Op = ">"
	GreaterEqual Op = ">="
)

// Term is one comparison of a filter.
type Term struct {
	Field   string
	Op      Op
	Literal string // without its quotes
}

// Refuse says that a list cannot compare t's field in this way.
func (t Term) Refuse(why string) error {
	return ErrFilter.WithMessage(fmt.Sprintf("filter: %s %s: %s", t.Field, t.Op, why)).With("field", t.Field)
}

// Parse reads a filter: comparisons `field op literal` joined by AND, the subset of
// AIP-160 that a keyset can serve. A literal is bare (`ACTIVE`, `2030-01-02T03:04:05Z`)
// or in single or double quotes, in which a backslash escapes a quote or itself. The
// empty filter has no terms. At most 1024 bytes and 16 terms; what a field may be
// compared with is its list's to say.
func Parse(filter string) ([]Term, error) {
	if len(filter) > maxFilterBytes {
		return nil, ErrFilter.WithMessage(fmt.Sprintf("filter: longer than %d bytes", maxFilterBytes))
	}
	if !utf8.ValidString(filter) {
		return nil, ErrFilter.WithMessage("filter: not UTF-8")
	}
	p := parser{text: filter}
	p.space()
	if p.end() {
		return nil, nil
	}
	var terms []Term
	for {
		t, err := p.term()
		if err != nil {
			return nil, err
		}
		if terms = append(terms, t); len(terms) > maxTerms {
			return nil, ErrFilter.WithMessage(fmt.Sprintf("filter: more than %d comparisons", maxTerms))
		}
		spaced := p.space()
		if p.end() {
			return terms, nil
		}
		// AIP-160 reads words beside each other as a vague AND, and has OR and NOT:
		// guessing at either would answer another question than was asked.
		if !spaced || p.word() != "AND" || !p.space() {
			return nil, p.refuse("expected AND and another comparison")
		}
	}
}

type parser struct {
	text string
	at   int // byte offset
}

func (p *parser) end() bool { return p.at == len(p.text) }

func (p *parser) refuse(why string) error {
	return ErrFilter.WithMessage(fmt.Sprintf("filter: %s, at byte %d", why, p.at))
}

// space skips white space and reports whether there was any.
func (p *parser) space() bool {
	start := p.at
	for !p.end() && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
	return p.at > start
}

// word takes letters and digits: a field or AND.
func (p *parser) word() string {
	start := p.at
	for !p.end() {
		c := p.text[p.at]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			break
		}
		p.at++
	}
	return p.text[start:p.at]
}

func (p *parser) term() (Term, error) {
	var t Term
	if t.Field = p.word(); t.Field == "" {
		return t, p.refuse("expected a field")
	}
	p.space()
	rest := p.text[p.at:]
	for _, op := range []Op{NotEqual, LessEqual, GreaterEqual, Less, Greater, Equal} { // longer ones first
		if strings.HasPrefix(rest, string(op)) {
			t.Op = op
			break
		}
	}
	if t.Op == "" {
		return t, p.refuse("expected one of = != < <= > >=")
	}
	p.at += len(t.Op)
	p.space()
	var err error
	t.Literal, err = p.literal()
	return t, err
}

func (p *parser) literal() (string, error) {
	if p.end() {
		return "", p.refuse("expected a literal")
	}
	if quote := p.text[p.at]; quote == '"' || quote == '\'' {
		return p.quoted(quote)
	}
	start := p.at
	for !p.end() && !strings.ContainsRune(" \t\r\n\"'()=<>!,\\", rune(p.text[p.at])) {
		p.at++
	}
	if p.at == start {
		return "", p.refuse("expected a literal")
	}
	return p.text[start:p.at], nil
}

func (p *parser) quoted(quote byte) (string, error) {
	p.at++
	var b strings.Builder
	for !p.end() {
		c := p.text[p.at]
		p.at++
		switch {
		case c == quote:
			return b.String(), nil
		case c != '\\':
			b.WriteByte(c)
		case p.end() || strings.IndexByte(`\"'`, p.text[p.at]) < 0:
			return "", p.refuse("a backslash escapes a quote or a backslash")
		default:
			b.WriteByte(p.text[p.at])
			p.at++
		}
	}
	return "", p.refuse("expected a closing quote")
}

// Span is what comparisons of a time field leave: from From (included) to Before
// (excluded), nil for unbounded. The zero Span is all of time.
type Span struct{ From, Before *time.Time }

// grain is Postgres's: no stored time lies between two microseconds.
const grain = time.Microsecond

// Narrow applies one comparison with an RFC 3339 time. != is refused: it would
// split the span.
func (s *Span) Narrow(t Term) error {
	at, err := time.Parse(time.RFC3339Nano, t.Literal)
	if err != nil {
		return t.Refuse("expected an RFC 3339 time, as 2030-01-02T03:04:05Z")
	}
	at = at.UTC()
	floor := at.Truncate(grain)
	ceil := floor
	if floor.Before(at) {
		ceil = floor.Add(grain)
	}
	switch t.Op {
	case Greater:
		s.from(floor.Add(grain))
	case GreaterEqual:
		s.from(ceil)
	case Less:
		s.before(ceil)
	case LessEqual:
		s.before(floor.Add(grain))
	case Equal: // empty when at lies between two grains
		s.from(ceil)
		s.before(floor.Add(grain))
	default:
		return t.Refuse("a time is compared with = < <= > >=")
	}
	return nil
}

// Holds reports whether t is within s.
func (s *Span) Holds(t time.Time) bool {
	return (s.From == nil || !t.Before(*s.From)) && (s.Before == nil || t.Before(*s.Before))
}

func (s *Span) from(t time.Time) {
	if s.From == nil || t.After(*s.From) {
		s.From = &t
	}
}

func (s *Span) before(t time.Time) {
	if s.Before == nil || t.Before(*s.Before) {
		s.Before = &t
	}
}

// Choice is what comparisons of an enumerated field leave of its values.
type Choice struct{ all, left []string }

// NewChoice leaves all values.
func NewChoice(values ...string) Choice { return Choice{all: values, left: values} }

// Left returns the values that remain, in the order of NewChoice; none when the
// comparisons contradict each other.
func (c *Choice) Left() []string { return c.left }

// Narrow applies one comparison with a value: = or !=.
func (c *Choice) Narrow(t Term) error {
	if t.Op != Equal && t.Op != NotEqual {
		return t.Refuse("a value of a set is compared with = and !=")
	}
	if !slices.Contains(c.all, t.Literal) {
		return t.Refuse("expected one of " + strings.Join(c.all, ", "))
	}
	c.left = slices.DeleteFunc(slices.Clone(c.left), func(v string) bool { return (v == t.Literal) != (t.Op == Equal) })
	return nil
}

// Exact is what comparisons of a field that can only be looked up leave: one value,
// or any.
type Exact struct {
	Value    string
	Set      bool // there was a comparison
	Conflict bool // two comparisons asked for two values: nothing matches
}

// Narrow applies one comparison: = alone.
func (e *Exact) Narrow(t Term) error {
	if t.Op != Equal {
		return t.Refuse("compared with = only")
	}
	e.Conflict = e.Conflict || e.Set && e.Value != t.Literal
	e.Value, e.Set = t.Literal, true
	return nil
}
