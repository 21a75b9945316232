package flag

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/bits"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// TargetingKey is the name by which conditions ask for a subject's key.
const TargetingKey = "targetingKey"

// Subject is whom a flag is evaluated for: OpenFeature's evaluation context. It is not safe for concurrent use: what evaluations cost is
// summed up in it.
type Subject struct {
	Key        string         // the targeting key; empty: none
	Attributes map[string]any // as encoding/json reads them; Go's numbers and time.Time too

	spent int  // units of work
	room  int  // units beside maxWork: explaining looks again at what was evaluated, and at what evaluating could leave out
	over  bool // the flag that is evaluated would have cost more than is left: what its conditions say does not count
}

// What a subject may cost, however many flags are evaluated for it. Conditions and contexts both come from outside, and what they cost is
// their product: a thousand flags that each look for an expression in a list of a thousand texts would take minutes.
const (
	maxWork    = 10_000_000 // units, of some 10 ns: a tenth of a second
	workOfTest = 8          // of comparing one value, and as much again for each workBytes of text
	workBytes  = 64
)

// workOfDigest is the work of a digest of text.
func workOfDigest(text string) int { return 8*workOfTest + len(text)/workBytes*workOfTest*2 }

// spend reports whether units of work may still be done. What may not is not counted: another flag may ask for less.
func (s *Subject) spend(units int) bool {
	if s.spent+units > maxWork+s.room {
		s.over = true
		return false
	}
	s.spent += units
	return true
}

// lookup returns the attribute that path names: by its whole name, else by its way into objects.
func (s *Subject) lookup(path []string) (any, bool) {
	if path[0] == TargetingKey {
		return s.Key, s.Key != ""
	}
	if value, ok := s.Attributes[path[0]]; ok || len(path) == 1 {
		return value, ok
	}
	in := s.Attributes
	for i, name := range path[1:] {
		value, ok := in[name]
		if !ok || i == len(path)-2 {
			return value, ok
		}
		if in, ok = value.(map[string]any); !ok {
			return nil, false
		}
	}
	return nil, false
}

// Reason says why a variant was served, in OpenFeature's words.
type Reason string

// The reasons.
const (
	Static         Reason = "STATIC"          // the flag has no rule
	TargetingMatch Reason = "TARGETING_MATCH" // a rule's conditions hold
	Split          Reason = "SPLIT"           // a rollout decided
	Default        Reason = "DEFAULT"         // no rule matched
	Disabled       Reason = "DISABLED"        // the flag is off
	Failed         Reason = "ERROR"           // see the code
)

// Code says why nothing could be served, in OpenFeature's words; the caller's default applies.
type Code string

// The codes.
const (
	FlagNotFound        Code = "FLAG_NOT_FOUND"
	TypeMismatch        Code = "TYPE_MISMATCH"
	TargetingKeyMissing Code = "TARGETING_KEY_MISSING"
	InvalidContext      Code = "INVALID_CONTEXT"
	General             Code = "GENERAL" // the evaluations of this subject cost more than they may
)

// Message is what c means, for people.
func (c Code) Message() string {
	switch c {
	case FlagNotFound:
		return "there is no such flag in this environment"
	case TypeMismatch:
		return "the flag is of another type"
	case TargetingKeyMissing:
		return "a rollout needs a targeting key, and the context has none"
	case InvalidContext:
		return "the attribute that the rollout tells subjects apart by is missing, or neither text nor number"
	case General:
		return "the rules and this context together take too long: send a smaller context"
	}
	return ""
}

// Variant is one of a flag's values.
type Variant struct {
	Name   string
	Type   Type
	Bool   bool            // of Boolean
	Text   string          // of String
	Number float64         // of Number
	Object any             // of Object: map[string]any or []any. Shared: not to be changed
	JSON   json.RawMessage // of every type, compact

	served *atomic.Int64 // how often, since it was written last; nil: nobody counts
}

// Result is what a subject gets.
type Result struct {
	Variant *Variant // nil where Code is set. Shared: not to be changed
	Reason  Reason
	Rule    int // the index of the rule that decided, or -1
	Code    Code
}

// Program is a compiled flag. It is immutable, and safe for concurrent use.
type Program struct {
	key      string
	kind     Type
	client   bool
	enabled  bool
	salt     string
	off      *Variant
	fallback *Variant
	variants []Variant // by name
	rules    []rule
	failed   *atomic.Int64 // evaluations that no variant was served by; nil: nobody counts
}

type rule struct {
	id      string
	when    node
	variant *Variant // nil: a rollout
	shares  []share
	by      []string // the attribute's path; nil: the targeting key
}

type share struct {
	variant *Variant
	until   Weight // the sum of weights up to this one
}

type segment struct {
	key     string
	listed  func(key string) (in, known bool) // nil: nobody is
	when    node
	matches bool // there are conditions
}

func (s *segment) holds(subject *Subject) bool {
	if s.listed != nil && subject.Key != "" {
		if !subject.spend(workOfDigest(subject.Key)) {
			return false
		}
		if in, known := s.listed(subject.Key); known {
			return in
		}
	}
	return s.matches && s.when.holds(subject)
}

// Set is all flags of one environment, compiled. It is immutable, and safe for concurrent use.
type Set struct {
	programs map[string]*Program
	keys     []string // in order
}

// Compile compiles an environment's flags. ErrInvalid names what cannot be, by the flag's or the segment's key.
func Compile(flags []Flag, segments []Segment) (*Set, error) {
	groups := make(map[string]*segment, len(segments))
	for i := range segments {
		s, err := segments[i].compile()
		if err != nil {
			return nil, fmt.Errorf("segment %s: %w", segments[i].Key, err)
		}
		groups[s.key] = s
	}
	set := &Set{programs: make(map[string]*Program, len(flags)), keys: make([]string, 0, len(flags))}
	for i := range flags {
		p, err := flags[i].compile(groups)
		if err != nil {
			return nil, fmt.Errorf("flag %s: %w", flags[i].Key, err)
		}
		set.programs[p.key] = p
		set.keys = append(set.keys, p.key)
	}
	slices.Sort(set.keys)
	return set, nil
}

// Check reports as ErrInvalid what Compile would refuse of f beside these segments.
func (f *Flag) Check(segments []Segment) error {
	_, err := Compile([]Flag{*f}, segments)
	return err
}

// Check reports as ErrInvalid what Compile would refuse of s.
func (s *Segment) Check() error {
	_, err := s.compile()
	return err
}

func (s *Segment) compile() (*segment, error) {
	if !IsKey(s.Key) {
		return nil, refuse("key", "a key has 1 to %d of the characters A-Z a-z 0-9 . _ -, and begins with a letter or a digit", maxKey)
	}
	out := &segment{key: s.Key, listed: s.Listed}
	if s.When.IsZero() {
		return out, nil
	}
	c := compiler{left: MaxConditions}
	var err error
	out.when, err = c.compile("when", &s.When, 1)
	out.matches = true
	return out, err
}

func (f *Flag) compile(segments map[string]*segment) (*Program, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	p := &Program{key: f.Key, kind: f.Type, client: f.ClientVisible, enabled: f.Enabled, salt: f.Salt, variants: make([]Variant, 0, len(f.Variants)), rules: make([]rule, len(f.Rules))}
	for _, name := range slices.Sorted(maps.Keys(f.Variants)) {
		v, err := parseValue(f.Type, f.Variants[name])
		if err != nil {
			return nil, refuse("variants."+name, "%v", err)
		}
		v.Name = name
		p.variants = append(p.variants, v)
	}
	p.off, p.fallback = p.variant(f.OffVariant), p.variant(f.DefaultVariant)
	c := compiler{segments: segments, left: MaxConditions}
	for i := range f.Rules {
		from, to := &f.Rules[i], &p.rules[i]
		to.id = from.ID
		if !from.When.IsZero() {
			var err error
			if to.when, err = c.compile(fmt.Sprintf("rules[%d].when", i), &from.When, 1); err != nil {
				return nil, err
			}
		}
		if from.Variant != "" {
			to.variant = p.variant(from.Variant)
			continue
		}
		if from.By != "" && from.By != TargetingKey {
			to.by = pathOf(from.By)
		}
		sum := Weight(0)
		for _, s := range from.Rollout {
			sum += s.Weight
			to.shares = append(to.shares, share{variant: p.variant(s.Variant), until: sum})
		}
	}
	return p, nil
}

func (p *Program) variant(name string) *Variant {
	i, _ := slices.BinarySearchFunc(p.variants, name, func(v Variant, name string) int { return strings.Compare(v.Name, name) })
	return &p.variants[i]
}

// What JSON can write and jsonb cannot keep: zero bytes, and halves of surrogate pairs.
var (
	wholePair = regexp.MustCompile(`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`)
	notKept   = regexp.MustCompile(`\\u(0000|[dD][89a-fA-F])`)
)

// isKept reports JSON that jsonb can keep.
func isKept(text json.RawMessage) bool {
	bare := bytes.ReplaceAll(text, []byte(`\\`), []byte(" ")) // what follows these escapes nothing
	return utf8.Valid(text) && !notKept.Match(wholePair.ReplaceAll(bare, []byte(" ")))
}

// parseValue reads one variant's value.
func parseValue(kind Type, text json.RawMessage) (Variant, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	var value any
	if err := dec.Decode(&value); err != nil {
		return Variant{}, fmt.Errorf("no JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Variant{}, errors.New("one value stands there, and nothing after it")
	}
	if !isKept(text) {
		return Variant{}, errors.New("text is UTF-8 without zero bytes")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return Variant{}, fmt.Errorf("no JSON: %w", err)
	}
	v := Variant{Type: kind, JSON: compact.Bytes()}
	is := false
	switch kind {
	case Boolean:
		v.Bool, is = value.(bool)
	case String:
		v.Text, is = value.(string)
	case Number:
		v.Number, is = value.(float64)
	case Object:
		switch value.(type) {
		case map[string]any, []any:
			v.Object, is = value, true
		}
	}
	if !is {
		return Variant{}, fmt.Errorf("%s is no value of a flag of type %s", cut(string(text)), kind)
	}
	return v, nil
}

// Keys returns the keys of all flags, in order. Shared: not to be changed.
func (s *Set) Keys() []string { return s.keys }

// IsClientVisible reports a flag that is there, and that browsers and apps may evaluate.
func (s *Set) IsClientVisible(key string) bool {
	p := s.programs[key]
	return p != nil && p.client
}

// Evaluate returns what subject gets of a flag, and counts it. A simple flag takes neither a lock nor an allocation.
func (s *Set) Evaluate(key string, subject *Subject) Result {
	p := s.programs[key]
	if p == nil {
		return Result{Reason: Failed, Rule: -1, Code: FlagNotFound}
	}
	got := p.Evaluate(subject)
	count := p.failed
	if got.Variant != nil {
		count = got.Variant.served
	}
	if count != nil {
		count.Add(1)
	}
	return got
}

// Evaluate returns what subject gets. It is not counted.
func (p *Program) Evaluate(subject *Subject) Result {
	if !p.enabled {
		return Result{Variant: p.off, Reason: Disabled, Rule: -1}
	}
	subject.over = false
	for i := range p.rules {
		r := &p.rules[i]
		holds := r.when.holds(subject)
		if subject.over {
			return Result{Reason: Failed, Rule: i, Code: General}
		}
		if !holds {
			continue
		}
		if r.variant != nil {
			if r.when.kind == asksNothing {
				return Result{Variant: r.variant, Reason: Default, Rule: i}
			}
			return Result{Variant: r.variant, Reason: TargetingMatch, Rule: i}
		}
		bucket, code := p.bucket(r, subject)
		if code != "" {
			return Result{Reason: Failed, Rule: i, Code: code}
		}
		return Result{Variant: r.share(bucket), Reason: Split, Rule: i}
	}
	if len(p.rules) == 0 {
		return Result{Variant: p.fallback, Reason: Static, Rule: -1}
	}
	return Result{Variant: p.fallback, Reason: Default, Rule: -1}
}

// share returns the variant in whose part bucket lies. Parts stand in the rollout's order, each from where the one before
// ends: a part that grows at its end takes subjects from the next alone.
func (r *rule) share(bucket Weight) *Variant {
	for _, s := range r.shares {
		if bucket < s.until {
			return s.variant
		}
	}
	return r.shares[len(r.shares)-1].variant // not reached: the last ends at Whole
}

// bucket is where a subject stands in a rollout: see Bucket.
func (p *Program) bucket(r *rule, subject *Subject) (Weight, Code) {
	if r.by == nil {
		if subject.Key == "" {
			return 0, TargetingKeyMissing
		}
		return p.place(subject, subject.Key)
	}
	value, ok := subject.lookup(r.by)
	if !ok {
		return 0, InvalidContext
	}
	if text, is := value.(string); is && text != "" {
		return p.place(subject, text)
	}
	if number, is := asNumber(value); is {
		return Bucket(p.salt, strconv.FormatFloat(number+0, 'f', -1, 64)), "" // 12345678, as it is written where it is text; -0 is 0
	}
	return 0, InvalidContext
}

func (p *Program) place(subject *Subject, text string) (Weight, Code) {
	if !subject.spend(workOfDigest(text)) {
		return 0, General
	}
	return Bucket(p.salt, text), ""
}

// Bucket places a subject among Whole places: the first eight bytes of SHA-256 of salt, a colon and the subject's
// key, as a big-endian fraction of 2^64, times Whole, rounded down. It depends on nothing else: a rollout that grows keeps
// everybody who was in it, and two flags of different salts split independently.
func Bucket(salt, key string) Weight {
	var room [2*maxText + 1]byte
	text := append(append(append(room[:0], salt...), ':'), key...)
	sum := sha256.Sum256(text)
	place, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:8]), uint64(Whole))
	return Weight(min(place, math.MaxInt32))
}
