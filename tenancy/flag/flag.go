// Package flag keeps a tenant's feature flags and evaluates them.
//
// A flag has a type, variants, and in each of the tenant's environments whether it is on and the rules that say who gets
// which variant. Flag.Compile makes a Program of it, which evaluates in process without I/O: the first rule that matches
// decides, and what a rollout makes of a subject is a hash of the flag's salt and the subject's key, which anybody can compute again.
// The words are OpenFeature's (https://openfeature.dev/specification/types): variant, reason, targeting key, error code.
package flag

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// ErrInvalid says what of a flag or of a segment cannot be, and where: the metadata's field is a
// path, as rules[1].when.all[0].values[2].
var ErrInvalid = fault.New(fault.Invalid, "FLAG_INVALID", "this flag cannot be evaluated")

// Bounds of a flag. What a snapshot holds in memory, and how long an evaluation takes, follow from them.
const (
	maxKey        = 128      // bytes, of a flag, a segment, an environment
	maxVariantKey = 64       // bytes
	maxValue      = 16 << 10 // bytes of one variant's value as JSON
	maxDepth      = 8        // of conditions in conditions
	maxValues     = 1000     // of one condition
	maxSteps      = 1000     // of all expressions of a flag, or of a segment, with repetitions unrolled
	maxMatched    = 1024     // bytes of a text that expressions look into
	maxText       = 256      // bytes of one value, and of an attribute's name
	maxDescribed  = 1000     // characters of a description
)

// Bounds of a flag that whoever draws one has, too.
const (
	MaxVariants   = 50
	MaxRules      = 50
	MaxConditions = 200 // all rules together
)

// Type is what a flag's variants are.
type Type string

// The types, as OpenFeature has them.
const (
	Boolean Type = "BOOLEAN"
	String  Type = "STRING"
	Number  Type = "NUMBER"
	Object  Type = "OBJECT"
)

// Types returns them all.
func Types() []Type { return []Type{Boolean, String, Number, Object} }

// Flag is a flag as it is in one environment.
type Flag struct {
	Key            string                     `json:"key"` // 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or a digit; case counts
	Type           Type                       `json:"type"`
	Variants       map[string]json.RawMessage `json:"variants"` // 1 to 50 values of Type, by names of a key's form; at most 16 KiB each
	Enabled        bool                       `json:"enabled"`
	OffVariant     string                     `json:"offVariant"`     // what everybody gets while it is not enabled
	DefaultVariant string                     `json:"defaultVariant"` // for whom no rule matches
	Rules          []Rule                     `json:"rules"`          // at most 50; the first that matches decides
	Salt           string                     `json:"salt"`           // of rollouts: 1 to 64 characters of a key's form
	ClientVisible  bool                       `json:"clientVisible"`  // browsers and apps may evaluate it, with a publishable key
}

// Rule is who gets what. Exactly one of Variant and Rollout is given.
type Rule struct {
	ID      string    `json:"id"`            // of a key's form; unique in its flag
	When    Condition `json:"when,omitzero"` // the zero Condition matches everybody
	Variant string    `json:"variant,omitempty"`
	Rollout []Share   `json:"rollout,omitempty"`
	By      string    `json:"by,omitempty"` // the attribute that a rollout tells apart by; empty: the targeting key
}

// Share is one variant's part of a rollout.
type Share struct {
	Variant string `json:"variant"`
	Weight  Weight `json:"weight"`
}

// Weight is a part of a whole in thousandths of a percent: 0 to Whole.
type Weight int32

// Whole is all of a rollout: its weights add up to it.
const Whole Weight = 100_000

// ParseWeight takes percent, of at most three decimals. Not finite, below 0, above 100 or finer is false.
func ParseWeight(percent float64) (Weight, bool) {
	thousandths := percent * 1000
	whole := math.Round(thousandths)
	if !(percent >= 0 && percent <= 100) || math.Abs(thousandths-whole) > 1e-6 {
		return 0, false
	}
	return Weight(whole), true
}

// Percent is w as people write it: 25, 12.5.
func (w Weight) Percent() float64 { return float64(w) / 1000 }

// MarshalJSON writes percent.
func (w Weight) MarshalJSON() ([]byte, error) { return json.Marshal(w.Percent()) }

// UnmarshalJSON reads percent.
func (w *Weight) UnmarshalJSON(text []byte) error {
	var percent float64
	if err := json.Unmarshal(text, &percent); err != nil {
		return err
	}
	got, ok := ParseWeight(percent)
	if !ok {
		return fmt.Errorf("a weight is 0 to 100 percent, with at most three decimals: not %s", cut(string(text)))
	}
	*w = got
	return nil
}

// Segment is a group of subjects that has a name, which rules of all flags of a tenant may ask for.
type Segment struct {
	Key  string    `json:"key"`
	When Condition `json:"when,omitzero"` // which asks for no segment; the zero Condition matches nobody

	// Listed tells by a targeting key who is in it, or is not, whatever When says; known false: nobody has said. Nil: of nobody.
	Listed func(key string) (in, known bool) `json:"-"`
}

var keyForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// IsKey reports whether text can be a flag's, a segment's or an environment's key.
func IsKey(text string) bool { return len(text) <= maxKey && keyForm.MatchString(text) }

func isName(text string) bool { return len(text) <= maxVariantKey && keyForm.MatchString(text) }

// check refuses what cannot be compiled, but for values and conditions, which say so themselves.
func (f *Flag) check() error {
	switch {
	case !IsKey(f.Key):
		return refuse("key", "a key has 1 to %d of the characters A-Z a-z 0-9 . _ -, and begins with a letter or a digit", maxKey)
	case !slices.Contains(Types(), f.Type):
		return refuse("type", "%q is no type: it is one of BOOLEAN, STRING, NUMBER, OBJECT%s", cut(string(f.Type)), fault.Hint(string(f.Type), names(Types())))
	case len(f.Variants) < 1 || len(f.Variants) > MaxVariants:
		return refuse("variants", "a flag has 1 to %d variants", MaxVariants)
	case !isName(f.Salt):
		return refuse("salt", "a salt has 1 to %d of the characters A-Z a-z 0-9 . _ -", maxVariantKey)
	case len(f.Rules) > MaxRules:
		return refuse("rules", "a flag has at most %d rules", MaxRules)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Variants)) {
		if !isName(name) {
			return refuse("variants", "%q cannot name a variant: 1 to %d of the characters A-Z a-z 0-9 . _ -", cut(name), maxVariantKey)
		}
		if len(f.Variants[name]) > maxValue {
			return refuse("variants."+name, "a value has at most %d bytes", maxValue)
		}
	}
	if err := f.known("offVariant", f.OffVariant); err != nil {
		return err
	}
	if err := f.known("defaultVariant", f.DefaultVariant); err != nil {
		return err
	}
	for i := range f.Rules {
		if err := f.checkRule(i); err != nil {
			return err
		}
	}
	return nil
}

func (f *Flag) checkRule(i int) error {
	r, at := &f.Rules[i], fmt.Sprintf("rules[%d]", i)
	switch {
	case !isName(r.ID):
		return refuse(at+".id", "a rule's id has 1 to %d of the characters A-Z a-z 0-9 . _ -", maxVariantKey)
	case slices.ContainsFunc(f.Rules[:i], func(before Rule) bool { return before.ID == r.ID }):
		return refuse(at+".id", "%q stands twice", r.ID)
	case (r.Variant == "") == (len(r.Rollout) == 0):
		return refuse(at, "a rule serves a variant, or has a rollout: one of both")
	case r.By != "" && len(r.Rollout) == 0:
		return refuse(at+".by", "only a rollout tells subjects apart")
	case r.By != "" && !isText(r.By):
		return refuse(at+".by", "an attribute's name has 1 to %d bytes that can be seen", maxText)
	}
	if r.Variant != "" {
		return f.known(at+".variant", r.Variant)
	}
	sum := Weight(0)
	for j, share := range r.Rollout {
		in := fmt.Sprintf("%s.rollout[%d]", at, j)
		if err := f.known(in+".variant", share.Variant); err != nil {
			return err
		}
		switch {
		case share.Weight < 0 || share.Weight > Whole:
			return refuse(in+".weight", "a weight is 0 to 100 percent")
		case slices.ContainsFunc(r.Rollout[:j], func(before Share) bool { return before.Variant == share.Variant }):
			return refuse(in+".variant", "%q stands twice", share.Variant)
		}
		sum += share.Weight // at most 50 shares, each at most the whole: no overflow
	}
	if sum != Whole {
		return refuse(at+".rollout", "the weights of a rollout add up to 100 percent: these to %g", sum.Percent())
	}
	return nil
}

// known refuses a variant that the flag does not have.
func (f *Flag) known(at, variant string) error {
	if _, ok := f.Variants[variant]; ok {
		return nil
	}
	return refuse(at, "%q is no variant of this flag%s", cut(variant), fault.Hint(variant, slices.Sorted(maps.Keys(f.Variants))))
}

func refuse(at, format string, args ...any) error {
	return ErrInvalid.WithMessage(at+": "+fmt.Sprintf(format, args...)).With("field", at)
}

// isText reports 1 to 256 bytes of UTF-8 that people can see.
func isText(text string) bool {
	return text != "" && len(text) <= maxText && utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// cut shortens what is shown of somebody's text.
func cut(text string) string {
	const most = 40
	if n := 0; len(text) > most {
		for i := range text {
			if n++; n > most {
				return text[:i] + "…"
			}
		}
	}
	return text
}

func names[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = string(one)
	}
	return out
}
