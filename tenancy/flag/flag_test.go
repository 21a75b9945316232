package flag_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/flag"
)

// onOff is a boolean flag with these rules.
func onOff(rules ...flag.Rule) flag.Flag {
	return flag.Flag{
		Key: "number-matching", Type: flag.Boolean, Enabled: true, OffVariant: "off", DefaultVariant: "off", Salt: "nm-2026", Rules: rules,
		Variants: map[string]json.RawMessage{"on": json.RawMessage("true"), "off": json.RawMessage("false")},
	}
}

// when is a rule that serves on.
func when(c flag.Condition) flag.Rule { return flag.Rule{ID: "r1", When: c, Variant: "on"} }

func match(attribute string, op flag.Operator, values ...any) flag.Condition {
	return flag.Condition{Attribute: attribute, Operator: op, Values: values}
}

func rollout(on float64) flag.Rule {
	w, _ := flag.ParseWeight(on)
	return flag.Rule{ID: "everybody", Rollout: []flag.Share{{Variant: "on", Weight: w}, {Variant: "off", Weight: flag.Whole - w}}}
}

func compile(t testing.TB, f flag.Flag, segments ...flag.Segment) *flag.Set {
	t.Helper()
	set, err := flag.Compile([]flag.Flag{f}, segments)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestOperators(t *testing.T) {
	at := time.Date(2027, 1, 15, 9, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		c     flag.Condition
		value any
		want  bool
	}{
		{match("a", flag.In, "NO", "SE"), "SE", true},
		{match("a", flag.In, "NO", "SE"), "se", false},
		{match("a", flag.In, "5"), 5.0, false}, // text is no number
		{match("a", flag.In, 5.0), 5, true},    // but Go's numbers are one kind
		{match("a", flag.In, 5.0), json.Number("5"), true},
		{match("a", flag.In, true), true, true},
		{match("a", flag.In, true), "true", false},
		{match("a", flag.In, "x"), []any{"y", "x"}, true},
		{match("a", flag.In, "x"), []any{}, false},
		{match("a", flag.In, "x"), map[string]any{"x": "x"}, false},
		{match("a", flag.In, "x"), nil, false},
		{match("a", flag.Contains, "@bank."), "ana@bank.example", true},
		{match("a", flag.Contains, "@bank."), 7, false},
		{match("a", flag.StartsWith, "ana"), "anabel", true},
		{match("a", flag.StartsWith, "ana"), "Ana", false},
		{match("a", flag.EndsWith, ".example"), "bank.example", true},
		{match("a", flag.EndsWith, ".example"), "bank.example.", false},
		{match("a", flag.Matches, `^cust_\d+$`), "cust_0051907", true},
		{match("a", flag.Matches, `^cust_\d+$`), "cust_x", false},
		{match("a", flag.Matches, "^x+$"), strings.Repeat("x", 1024), true},
		{match("a", flag.Matches, "^x+$"), strings.Repeat("x", 1025), false}, // longer than expressions look
		{match("a", flag.LessThan, 10.0), 9.99, true},
		{match("a", flag.LessThan, 10.0), 10.0, false},
		{match("a", flag.AtMost, 10.0), 10, true},
		{match("a", flag.AtMost, 10.0), 10.01, false},
		{match("a", flag.AtLeast, 10.0), int64(10), true},
		{match("a", flag.AtLeast, 10.0), 9.99, false},
		{match("a", flag.GreaterThan, 10.0), 10.01, true},
		{match("a", flag.GreaterThan, 10.0), 10, false},
		{match("a", flag.GreaterThan, 10.0), "11", false},
		{match("a", flag.GreaterThan, 10.0), math.NaN(), false},
		{match("a", flag.VersionAtLeast, "4.2"), "4.2.0", true},
		{match("a", flag.VersionAtLeast, "4.2"), "4.10.1", true}, // no comparison of text
		{match("a", flag.VersionAtLeast, "4.2"), "4.2.0-beta.1", false},
		{match("a", flag.VersionAtLeast, "4.2"), "four", false},
		{match("a", flag.VersionBelow, "4.2"), "v4.1.9", true},
		{match("a", flag.VersionBelow, "4.2"), "4.2.0", false},
		{match("a", flag.VersionBelow, "4.2"), "four", false},
		{match("a", flag.Before, "2027-01-15T10:00:00+01:00"), at.Add(-time.Second), true},
		{match("a", flag.Before, "2027-01-15T10:00:00+01:00"), at, false},
		{match("a", flag.After, "2027-01-15T09:00:00Z"), "2027-01-15T09:00:01Z", true},
		{match("a", flag.After, "2027-01-15T09:00:00Z"), "tomorrow", false},
		{match("a", flag.Exists), "", true},
		{match("a", flag.Exists), nil, false},
		{match("a", flag.Exists), []any{}, true},
		{match("b", flag.Exists), "x", false},
		{match("a.b", flag.In, "deep"), map[string]any{"b": "deep"}, true},
		{match("a.b.c", flag.In, "deep"), map[string]any{"b": map[string]any{"c": "deep"}}, true},
		{match("a.b", flag.In, "deep"), "deep", false},
		{match("a.b", flag.Exists), map[string]any{"c": 1}, false},
		{flag.Condition{Not: new(match("b", flag.In, "x"))}, "x", true}, // who does not have it is not in it
		{flag.Condition{Not: new(match("a", flag.In, "x"))}, "x", false},
		{flag.Condition{All: []flag.Condition{match("a", flag.In, "x"), match("a", flag.EndsWith, "x")}}, "x", true},
		{flag.Condition{All: []flag.Condition{match("a", flag.In, "x"), match("a", flag.EndsWith, "y")}}, "x", false},
		{flag.Condition{Any: []flag.Condition{match("a", flag.In, "z"), match("a", flag.EndsWith, "x")}}, "x", true},
		{flag.Condition{Any: []flag.Condition{match("a", flag.In, "z"), match("a", flag.EndsWith, "y")}}, "x", false},
	} {
		set := compile(t, onOff(when(tt.c)))
		subject := &flag.Subject{Key: "u1", Attributes: map[string]any{"a": tt.value}}
		got := set.Evaluate("number-matching", subject)
		if got.Variant.Bool != tt.want || got.Reason != map[bool]flag.Reason{true: flag.TargetingMatch, false: flag.Default}[tt.want] {
			t.Errorf("%+v of %v = %v by %s, want %v", tt.c, tt.value, got.Variant.Bool, got.Reason, tt.want)
		}
	}
	dotted := compile(t, onOff(when(match("a.b", flag.In, "x"))))
	if got := dotted.Evaluate("number-matching", &flag.Subject{Attributes: map[string]any{"a.b": "x", "a": map[string]any{"b": "y"}}}); !got.Variant.Bool {
		t.Error("an attribute whose name has a dot is not found by its name")
	}
}

func TestReasons(t *testing.T) {
	off := onOff(when(match("a", flag.Exists)))
	off.Enabled, off.OffVariant, off.DefaultVariant = false, "off", "on"
	for _, tt := range []struct {
		name    string
		f       flag.Flag
		subject flag.Subject
		variant string
		reason  flag.Reason
		code    flag.Code
		rule    int
	}{
		{"no rule", onOff(), flag.Subject{}, "off", flag.Static, "", -1},
		{"off", off, flag.Subject{Attributes: map[string]any{"a": "x"}}, "off", flag.Disabled, "", -1},
		{"everybody", onOff(flag.Rule{ID: "all", Variant: "on"}), flag.Subject{}, "on", flag.Default, "", 0},
		{"the first that matches", onOff(when(match("a", flag.Exists)), flag.Rule{ID: "r2", When: match("a", flag.In, "x"), Variant: "off"}), flag.Subject{Attributes: map[string]any{"a": "x"}}, "on", flag.TargetingMatch, "", 0},
		{"a rollout", onOff(rollout(100)), flag.Subject{Key: "u1"}, "on", flag.Split, "", 0},
		{"a rollout of nobody", onOff(rollout(0)), flag.Subject{Key: "u1"}, "off", flag.Split, "", 0},
		{"a rollout without a key", onOff(rollout(50)), flag.Subject{}, "", flag.Failed, flag.TargetingKeyMissing, 0},
		{"a rollout by what is not there", onOff(flag.Rule{ID: "x", By: "company", Rollout: rollout(50).Rollout}), flag.Subject{Key: "u1"}, "", flag.Failed, flag.InvalidContext, 0},
		{"a rollout by a list", onOff(flag.Rule{ID: "x", By: "company", Rollout: rollout(50).Rollout}), flag.Subject{Attributes: map[string]any{"company": []any{"a"}}}, "", flag.Failed, flag.InvalidContext, 0},
		{"a rollout by a number", onOff(flag.Rule{ID: "x", By: "company", Rollout: rollout(100).Rollout}), flag.Subject{Attributes: map[string]any{"company": 7}}, "on", flag.Split, "", 0},
	} {
		got := compile(t, tt.f).Evaluate("number-matching", &tt.subject)
		variant := ""
		if got.Variant != nil {
			variant = got.Variant.Name
		}
		if variant != tt.variant || got.Reason != tt.reason || got.Code != tt.code || got.Rule != tt.rule {
			t.Errorf("%s: %q by %s %s of rule %d", tt.name, variant, got.Reason, got.Code, got.Rule)
		}
		explained := compile(t, tt.f).Explain("number-matching", &tt.subject)
		if explained.Result != (flag.Result{Variant: explained.Variant, Reason: got.Reason, Rule: got.Rule, Code: got.Code}) {
			t.Errorf("%s: explained as %+v", tt.name, explained.Result)
		}
	}
	if got := compile(t, onOff()).Evaluate("another", &flag.Subject{}); got.Code != flag.FlagNotFound || got.Variant != nil {
		t.Errorf("a flag that is not there: %+v", got)
	}
}

// lists are targeting keys that are in a segment, and that are not.
func lists(included, excluded []string) func(key string) (in, known bool) {
	return func(key string) (in, known bool) {
		in = slices.Contains(included, key)
		return in, in || slices.Contains(excluded, key)
	}
}

func TestSegments(t *testing.T) {
	staff := flag.Segment{Key: "staff", Listed: lists([]string{"u1"}, []string{"u2", "u3"}), When: match("mail", flag.EndsWith, "@bank.example")}
	set := compile(t, onOff(when(flag.Condition{Segment: "staff"})), staff, flag.Segment{Key: "nobody"})
	mail := map[string]any{"mail": "x@bank.example"}
	for _, tt := range []struct {
		subject flag.Subject
		want    bool
	}{
		{flag.Subject{Key: "u1"}, true},
		{flag.Subject{Key: "u4", Attributes: mail}, true},
		{flag.Subject{Attributes: mail}, true},
		{flag.Subject{Key: "u2", Attributes: mail}, false}, // although the conditions hold
		{flag.Subject{Key: "u3"}, false},
		{flag.Subject{Key: "u4"}, false},
	} {
		if got := set.Evaluate("number-matching", &tt.subject).Variant.Bool; got != tt.want {
			t.Errorf("%+v in the segment = %v", tt.subject, got)
		}
	}
	if compile(t, onOff(when(flag.Condition{Segment: "nobody"})), flag.Segment{Key: "nobody"}).Evaluate("number-matching", &flag.Subject{Key: "u1"}).Variant.Bool {
		t.Error("a segment that says nothing has somebody in it")
	}
}

// A rollout's places, as computed by sha256sum and a calculator. They may never change: everybody
// would be dealt anew.
func TestBucket(t *testing.T) {
	for text, want := range map[[2]string]flag.Weight{
		{"nm-2026", "cust_0051907"}: 76_097,
		{"nm-2026", ""}:             33_330,
		{"other", "cust_0051907"}:   39_790,
		{"nm-2026", "å"}:            22_333,
	} {
		if got := flag.Bucket(text[0], text[1]); got != want {
			t.Errorf("Bucket(%q, %q) = %d, want %d", text[0], text[1], got, want)
		}
	}
	long := strings.Repeat("x", 5000)
	if got := flag.Bucket("s", long); got < 0 || got >= flag.Whole {
		t.Errorf("the place of a long key = %d", got)
	}
}

func TestRollout(t *testing.T) {
	const subjects = 20_000
	on := func(percent float64, salt string) map[string]bool {
		f := onOff(rollout(percent))
		f.Salt = salt
		set, in := compile(t, f), map[string]bool{}
		for i := range subjects {
			key := fmt.Sprintf("user-%d", i)
			if set.Evaluate(f.Key, &flag.Subject{Key: key}).Variant.Bool {
				in[key] = true
			}
		}
		return in
	}
	before := map[string]bool{}
	for _, percent := range []float64{0, 0.1, 1, 10, 25, 50, 99.9, 100} {
		in := on(percent, "s1")
		want := percent / 100 * subjects
		// Five standard deviations of a binomial: one run in a million of honest hashes.
		if spread := 5 * math.Sqrt(want*(1-percent/100)); math.Abs(float64(len(in))-want) > spread {
			t.Errorf("%g%% of %d are %d", percent, subjects, len(in))
		}
		for key := range before {
			if !in[key] {
				t.Fatalf("%s fell out when the rollout grew to %g%%", key, percent)
			}
		}
		before = in
	}
	// Another salt deals anew: of two halves about half are the same.
	both := 0
	other := on(50, "s2")
	for key := range on(50, "s1") {
		if other[key] {
			both++
		}
	}
	if math.Abs(float64(both)-subjects/4) > 5*math.Sqrt(subjects*3/16.0) {
		t.Errorf("two rollouts of one half have %d of %d in common", both, subjects)
	}
}

// An account's number deals it the same, whether an application sends it as a number or as text.
func TestBucketOfNumbers(t *testing.T) {
	t.Parallel()
	deal := rollout(50)
	deal.By = "account"
	set := compile(t, onOff(deal))
	key := set.Keys()[0]
	for _, n := range []int{0, 7, 51_907, 1_000_000, 1_234_567, 12_345_678, 20_000_000, 987_654_321, 1_000_000_000_000, 1<<53 - 1} {
		text := set.Evaluate(key, &flag.Subject{Attributes: map[string]any{"account": strconv.Itoa(n)}})
		for _, number := range []any{float64(n), n, uint(n), json.Number(strconv.Itoa(n))} {
			if got := set.Evaluate(key, &flag.Subject{Attributes: map[string]any{"account": number}}); got.Code != "" || got.Variant != text.Variant {
				t.Errorf("%T %v gets %+v, as text %s", number, number, got, text.Variant.Name)
			}
		}
	}
	for _, salt := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} { // of some the places of 0 and -0 lie in different parts
		f := onOff(deal)
		f.Salt = salt
		set := compile(t, f)
		if one, other := set.Evaluate(key, &flag.Subject{Attributes: map[string]any{"account": math.Copysign(0, -1)}}), set.Evaluate(key, &flag.Subject{Attributes: map[string]any{"account": 0.0}}); one.Variant != other.Variant {
			t.Errorf("by %s -0 is another than 0", salt)
		}
	}
}

func TestValues(t *testing.T) {
	f := flag.Flag{
		Key: "limits", Type: flag.Object, Enabled: true, OffVariant: "a", DefaultVariant: "b", Salt: "s",
		Variants: map[string]json.RawMessage{"a": json.RawMessage(` { "max" : 1 } `), "b": json.RawMessage(`[1, "x", null]`)},
	}
	got := compile(t, f).Evaluate("limits", &flag.Subject{})
	if list, ok := got.Variant.Object.([]any); string(got.Variant.JSON) != `[1,"x",null]` || !ok || len(list) != 3 || got.Variant.Name != "b" {
		t.Errorf("an object flag serves %+v", got.Variant)
	}
	f.Type, f.Variants = flag.Number, map[string]json.RawMessage{"a": json.RawMessage("1"), "b": json.RawMessage("2.5e1")}
	if got := compile(t, f).Evaluate("limits", &flag.Subject{}); got.Variant.Number != 25 {
		t.Errorf("a number flag serves %+v", got.Variant)
	}
	f.Type, f.Variants = flag.String, map[string]json.RawMessage{"a": json.RawMessage(`""`), "b": json.RawMessage(`"<b>"`)}
	if got := compile(t, f).Evaluate("limits", &flag.Subject{}); got.Variant.Text != "<b>" {
		t.Errorf("a string flag serves %+v", got.Variant)
	}
}

// What cannot be says where it stands, and what was probably meant.
func TestRefused(t *testing.T) {
	deep := match("a", flag.Exists)
	for range 8 {
		deep = flag.Condition{Not: new(deep)}
	}
	many := flag.Condition{Any: slices.Repeat([]flag.Condition{match("a", flag.Exists)}, 200)}
	values := make([]any, 1001)
	for i := range values {
		values[i] = float64(i)
	}
	rule := func(r flag.Rule) func(*flag.Flag) { return func(f *flag.Flag) { f.Rules = []flag.Rule{r} } }
	asks := func(c flag.Condition) func(*flag.Flag) { return rule(when(c)) }
	shares := func(shares ...flag.Share) func(*flag.Flag) { return rule(flag.Rule{ID: "r1", Rollout: shares}) }
	for _, tt := range []struct {
		name  string
		spoil func(*flag.Flag)
		at    string
		says  string
	}{
		{"no key", func(f *flag.Flag) { f.Key = "" }, "key", "begins with a letter"},
		{"a hostile key", func(f *flag.Flag) { f.Key = "../../etc/passwd" }, "key", ""},
		{"a key of another line", func(f *flag.Flag) { f.Key = "a\nb" }, "key", ""},
		{"a key that ends a line", func(f *flag.Flag) { f.Key = "a\n" }, "key", ""},
		{"a long key", func(f *flag.Flag) { f.Key = strings.Repeat("k", 129) }, "key", ""},
		{"a key that hides", func(f *flag.Flag) { f.Key = "number\u202ematching" }, "key", ""},
		{"another type", func(f *flag.Flag) { f.Type = "BOOLAEN" }, "type", "did you mean BOOLEAN?"},
		{"no variant", func(f *flag.Flag) { f.Variants = nil }, "variants", ""},
		{"a hostile variant", func(f *flag.Flag) { f.Variants["<script>"] = json.RawMessage("true") }, "variants", ""},
		{"a value of another type", func(f *flag.Flag) { f.Variants["on"] = json.RawMessage(`"true"`) }, "variants.on", "no value of a flag of type BOOLEAN"},
		{"null", func(f *flag.Flag) { f.Variants["on"] = json.RawMessage(`null`) }, "variants.on", ""},
		{"no JSON", func(f *flag.Flag) { f.Variants["on"] = json.RawMessage(`tru`) }, "variants.on", "no JSON"},
		{"two values", func(f *flag.Flag) { f.Variants["on"] = json.RawMessage(`true false`) }, "variants.on", "nothing after it"},
		{"a value without end", func(f *flag.Flag) { f.Variants["on"] = json.RawMessage(strings.Repeat("1", 17<<10)) }, "variants.on", "at most"},
		{"no default", func(f *flag.Flag) { f.DefaultVariant = "" }, "defaultVariant", ""},
		{"a default that is no variant", func(f *flag.Flag) { f.DefaultVariant = "offf" }, "defaultVariant", "did you mean off?"},
		{"nothing when off", func(f *flag.Flag) { f.OffVariant = "x-ray" }, "offVariant", "no variant of this flag"},
		{"no salt", func(f *flag.Flag) { f.Salt = "" }, "salt", ""},
		{"too many rules", func(f *flag.Flag) { f.Rules = make([]flag.Rule, 51) }, "rules", "at most 50"},
		{"a rule without id", rule(flag.Rule{Variant: "on"}), "rules[0].id", ""},
		{"an id twice", func(f *flag.Flag) { f.Rules = []flag.Rule{{ID: "a", Variant: "on"}, {ID: "a", Variant: "on"}} }, "rules[1].id", "stands twice"},
		{"a rule that serves nothing", rule(flag.Rule{ID: "r1"}), "rules[0]", "one of both"},
		{"a rule that serves two", rule(flag.Rule{ID: "r1", Variant: "on", Rollout: rollout(50).Rollout}), "rules[0]", "one of both"},
		{"a rule that serves what is not there", rule(flag.Rule{ID: "r1", Variant: "onn"}), "rules[0].variant", "did you mean on?"},
		{"who is told apart for nothing", rule(flag.Rule{ID: "r1", Variant: "on", By: "company"}), "rules[0].by", ""},
		{"a rollout of 110 percent", shares(flag.Share{Variant: "on", Weight: 60_000}, flag.Share{Variant: "off", Weight: 50_000}), "rules[0].rollout", "these to 110"},
		{"a rollout of 99.999 percent", shares(flag.Share{Variant: "on", Weight: 99_999}), "rules[0].rollout", "these to 99.999"},
		{"less than nothing", shares(flag.Share{Variant: "on", Weight: -1}, flag.Share{Variant: "off", Weight: 100_001}), "rules[0].rollout[0].weight", ""},
		{"a share of nothing", shares(flag.Share{Variant: "x-ray", Weight: flag.Whole}), "rules[0].rollout[0].variant", ""},
		{"a share twice", shares(flag.Share{Variant: "on", Weight: 50_000}, flag.Share{Variant: "on", Weight: 50_000}), "rules[0].rollout[1].variant", "stands twice"},
		{"an empty and", asks(flag.Condition{All: []flag.Condition{}}), "rules[0].when.all", "at least one"},
		{"an empty condition", asks(flag.Condition{Any: []flag.Condition{{}}}), "rules[0].when.any[0]", "this has 0"},
		{"two in one", asks(flag.Condition{Segment: "staff", Attribute: "a", Operator: flag.Exists}), "rules[0].when", "this has 2"},
		{"a segment that is not there", asks(flag.Condition{Segment: "stuff"}), "rules[0].when.segment", "did you mean staff?"},
		{"an operator that is not there", asks(match("a", "START_WITH", "x")), "rules[0].when.operator", "did you mean STARTS_WITH?"},
		{"no operator", asks(flag.Condition{Attribute: "a"}), "rules[0].when.operator", ""},
		{"an operator of nothing", asks(flag.Condition{Operator: flag.Exists}), "rules[0].when.attribute", ""},
		{"a hidden attribute", asks(match("a\x00", flag.Exists)), "rules[0].when.attribute", ""},
		{"somebody", asks(match(flag.TargetingKey, flag.In, "u1")), "rules[0].when.attribute", "in no condition"},
		{"no value", asks(match("a", flag.In)), "rules[0].when.values", "1 to 1000 values"},
		{"two values of one", asks(match("a", flag.AtLeast, 1.0, 2.0)), "rules[0].when.values", "one value"},
		{"a value of none", asks(match("a", flag.Exists, "x")), "rules[0].when.values", "no value"},
		{"too many values", asks(match("a", flag.In, values...)), "rules[0].when.values", ""},
		{"a list in a list", asks(match("a", flag.In, "x", []any{"y"})), "rules[0].when.values[1]", ""},
		{"a long value", asks(match("a", flag.In, strings.Repeat("x", 257))), "rules[0].when.values[0]", "at most 256"},
		{"text where a number stands", asks(match("a", flag.GreaterThan, "10")), "rules[0].when.values[0]", "compares numbers"},
		{"a number without end", asks(match("a", flag.GreaterThan, math.Inf(1))), "rules[0].when.values[0]", "compares numbers"},
		{"a number where text stands", asks(match("a", flag.Contains, 10.0)), "rules[0].when.values[0]", "takes a string"},
		{"everything", asks(match("a", flag.Contains, "")), "rules[0].when.values[0]", "not empty"},
		{"an expression that unrolls", asks(match("a", flag.Matches, "(?:"+strings.Repeat("x?y?", 50)+"){1000}z")), "rules[0].when.values[0]", "at most 1000 steps"},
		{"expressions that are many steps together", asks(flag.Condition{Any: []flag.Condition{match("a", flag.Matches, "x{400}"), match("a", flag.Matches, "y{400}"), match("a", flag.Matches, "z{400}")}}), "rules[0].when.any[2].values[0]", "together"},
		{"no expression", asks(match("a", flag.Matches, "(")), "rules[0].when.values[0]", "missing closing )"},
		{"no version", asks(match("a", flag.VersionAtLeast, "4.2.x")), "rules[0].when.values[0]", "no semantic version"},
		{"no time", asks(match("a", flag.Before, "15 Jan 2027")), "rules[0].when.values[0]", "RFC 3339"},
		{"too deep", asks(deep), "rules[0].when.not.not.not.not.not.not.not.not", "8 deep"},
		{"too many", asks(many), "rules[0].when.any[199]", "at most 200"},
	} {
		f := onOff()
		tt.spoil(&f)
		err := f.Check([]flag.Segment{{Key: "staff"}})
		refused, ok := fault.As(err)
		if !errors.Is(err, flag.ErrInvalid) || !ok || refused.Metadata["field"] != tt.at || !strings.Contains(refused.Message, tt.says) {
			t.Errorf("%s: %v (%v), want it at %s, with %q", tt.name, err, refused, tt.at, tt.says)
		}
	}
	for _, tt := range []struct {
		s  flag.Segment
		at string
	}{
		{flag.Segment{Key: "a b"}, "key"},
		{flag.Segment{Key: "a", When: flag.Condition{Segment: "b"}}, "when.segment"},
		{flag.Segment{Key: "a", When: match("a", "NEAR", "x")}, "when.operator"},
	} {
		if refused, ok := fault.As(tt.s.Check()); !ok || refused.Metadata["field"] != tt.at {
			t.Errorf("%+v = %v, want it at %s", tt.s, refused, tt.at)
		}
	}
}

func TestWeight(t *testing.T) {
	for _, percent := range []float64{-0.001, 100.001, 12.3456, math.NaN(), math.Inf(1), 1e300} {
		if w, ok := flag.ParseWeight(percent); ok {
			t.Errorf("ParseWeight(%g) = %d", percent, w)
		}
	}
	for percent, want := range map[float64]flag.Weight{0: 0, 100: flag.Whole, 0.001: 1, 33.333: 33_333, 12.5: 12_500} {
		if w, ok := flag.ParseWeight(percent); !ok || w != want {
			t.Errorf("ParseWeight(%g) = %d, %v", percent, w, ok)
		}
	}
	text, err := json.Marshal(onOff(rollout(12.5)))
	if err != nil || !strings.Contains(string(text), `{"variant":"on","weight":12.5}`) {
		t.Errorf("a flag as JSON: %s, %v", text, err)
	}
	var back flag.Flag
	if err := json.Unmarshal(text, &back); err != nil || back.Rules[0].Rollout[1].Weight != 87_500 {
		t.Errorf("read back: %+v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"variant":"on","weight":101}`), new(flag.Share)); err == nil {
		t.Error("a weight of 101 percent is read")
	}
}

func TestExplain(t *testing.T) {
	f := onOff(
		flag.Rule{ID: "staff", When: flag.Condition{Segment: "staff"}, Variant: "on"},
		flag.Rule{ID: "nordic", Variant: "on", When: flag.Condition{All: []flag.Condition{match("country", flag.In, "NO", "SE", "DK"), match("amount", flag.GreaterThan, 10_000.0), match("app", flag.Exists)}}},
		rollout(25),
	)
	got := compile(t, f, flag.Segment{Key: "staff"}).Explain(f.Key, &flag.Subject{Key: "cust_0051907", Attributes: map[string]any{"country": "BR", "amount": 18_400}})
	bucket := flag.Bucket("nm-2026", "cust_0051907")
	in := "in the rollout: place " + fmt.Sprint(bucket.Percent()) + " of 100 lies in the part of "
	in += map[bool]string{true: "on, from 0 to 25", false: "off, from 25 to 100"}[bucket < 25_000]
	want := []flag.Step{
		{Why: "the flag is on"}, {Rule: "staff", Why: "not in segment staff"},
		{Rule: "nordic", Why: "country is BR, needs to be one of NO, SE, DK; there is no app"}, {Rule: "everybody", Decided: true, Why: in, Bucket: bucket},
	}
	if !slices.Equal(got.Steps, want) {
		t.Errorf("explained as\n%+v\nwant\n%+v", got.Steps, want)
	}
	off := f
	off.Enabled = false
	if got := compile(t, off, flag.Segment{Key: "staff"}).Explain(f.Key, &flag.Subject{}); len(got.Steps) != 1 || !got.Steps[0].Decided {
		t.Errorf("of a flag that is off: %+v", got.Steps)
	}
}

// However many flags there are, and however large the context is, one subject takes no more than its share of a server: what is too
// much is an error of OpenFeature's, and flags that ask little go on.
func TestSubjectCostsWhatItMay(t *testing.T) {
	t.Parallel()
	slow := onOff(when(match("list", flag.Matches, "(a|aa|aaa){1,60}b")))
	quick := onOff(when(match("country", flag.In, "BR")))
	var all []flag.Flag
	for i := range 50 {
		slow.Key, quick.Key = fmt.Sprintf("slow-%02d", i), fmt.Sprintf("quick-%02d", i)
		all = append(all, slow, quick)
	}
	set, err := flag.Compile(all, nil)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("a", 1000)
	long := make([]any, 60)
	for i := range long {
		long[i] = text
	}
	for name, tt := range map[string]struct {
		list  any
		costs bool
	}{"one text": {list: text[:100]}, "a list of short ones": {list: []any{"a", "aa", "aab"}}, "a list of long ones": {list: long, costs: true}} {
		subject := &flag.Subject{Key: "k", Attributes: map[string]any{"country": "BR", "list": tt.list}}
		failed := 0
		for _, key := range set.Keys() {
			got := set.Evaluate(key, subject)
			switch {
			case got.Code == flag.General && strings.HasPrefix(key, "slow"):
				failed++
				if got.Variant != nil || got.Reason != flag.Failed || got.Code.Message() == "" {
					t.Errorf("%s: %s: %+v", name, key, got)
				}
			case got.Variant == nil:
				t.Errorf("%s: %s: %+v", name, key, got)
			}
		}
		if (failed > 0) != tt.costs {
			t.Errorf("%s: %d evaluations cost too much", name, failed)
		}
		why := set.Explain("slow-00", subject)
		if again := set.Evaluate("slow-00", &flag.Subject{Key: "k", Attributes: subject.Attributes}); why.Result != again {
			t.Errorf("%s: explained as %+v, evaluated as %+v", name, why, again)
		}
	}
}

// Saying why costs what it may, too: evaluating ends at the first part that decides, and who asks why is told of the others no more than
// that may cost. What was decided is told in any case.
func TestWhyCostsWhatItMay(t *testing.T) {
	t.Parallel()
	looks := 0
	slow := flag.Segment{Key: "slow", When: match("list", flag.Matches, "(a|aa|aaa){1,60}b"), Listed: func(string) (in, known bool) {
		looks++
		return false, false
	}}
	parts := []flag.Condition{match("list", flag.Exists)}
	for range 40 {
		parts = append(parts, flag.Condition{Segment: "slow"})
	}
	set := compile(t, onOff(when(flag.Condition{Any: parts})), slow)
	list := make([]any, 10)
	for i := range list {
		list[i] = strings.Repeat("a", 1000)
	}
	subject := &flag.Subject{Key: "k", Attributes: map[string]any{"list": list}}
	want := set.Evaluate("number-matching", subject)
	got := set.Explain("number-matching", subject)
	if got.Result != want || got.Variant == nil || !got.Variant.Bool || looks > 10 {
		t.Errorf("explained as %+v by %d looks at a slow segment, evaluated as %+v", got.Result, looks, want)
	}
	if last := got.Steps[len(got.Steps)-1]; !last.Decided || !strings.Contains(last.Why, "too long to say") {
		t.Errorf("said %+v", last)
	}
	subject.Attributes["list"] = []any{"a"}
	if steps := set.Explain("number-matching", subject).Steps; !strings.Contains(steps[len(steps)-1].Why, "list is") {
		t.Errorf("of a short list %+v", steps)
	}
}

// A simple flag costs no allocation, and so does a rollout.
func TestEvaluateAllocatesNothing(t *testing.T) {
	subject := &flag.Subject{Key: "cust_0051907", Attributes: map[string]any{"country": "BR", "amount": 18_400.0}}
	for name, f := range map[string]flag.Flag{
		"simple": onOff(), "rollout": onOff(rollout(25)), "comparisons": onOff(when(match("country", flag.In, "NO", "SE")), flag.Rule{ID: "r2", When: match("amount", flag.GreaterThan, 1e6), Variant: "on"}),
	} {
		set := compile(t, f)
		if n := testing.AllocsPerRun(100, func() { set.Evaluate(f.Key, subject) }); n != 0 {
			t.Errorf("%s: %g allocations", name, n)
		}
	}
}

func BenchmarkEvaluate(b *testing.B) {
	subject := &flag.Subject{Key: "cust_0051907", Attributes: map[string]any{"country": "BR", "amount": 18_400.0, "app": "4.3.1"}}
	flags := map[string]flag.Flag{
		"simple": onOff(), "rollout": onOff(rollout(25)),
		"rules": onOff(when(flag.Condition{Segment: "staff"}), flag.Rule{ID: "r2", Variant: "on", When: flag.Condition{All: []flag.Condition{match("country", flag.In, "BR", "SE"), match("app", flag.VersionAtLeast, "4.2.0"), match("amount", flag.GreaterThan, 1e6)}}}, rollout(25)),
	}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		b.Run(name, func(b *testing.B) {
			set := compile(b, flags[name], flag.Segment{Key: "staff", Listed: lists([]string{"u1"}, nil)})
			b.ReportAllocs()
			for b.Loop() {
				one := *subject // what evaluations cost is summed up
				set.Evaluate("number-matching", &one)
			}
		})
	}
}

// Whatever is read as a flag is refused or evaluates to one of its variants.
func FuzzCompile(f *testing.F) {
	for _, seed := range []flag.Flag{onOff(), onOff(rollout(10)), onOff(when(match("a.b", flag.Matches, "x+"))), onOff(when(flag.Condition{Not: new(match("a", flag.In, 1.0, true, "x"))}))} {
		text, err := json.Marshal(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "key", "value")
	}
	f.Fuzz(func(t *testing.T, text []byte, key, value string) {
		var one flag.Flag
		if json.Unmarshal(text, &one) != nil {
			return
		}
		set, err := flag.Compile([]flag.Flag{one}, nil)
		if err != nil {
			if !errors.Is(err, flag.ErrInvalid) {
				t.Fatalf("refused without saying what: %v", err)
			}
			return
		}
		subject := &flag.Subject{Key: key, Attributes: map[string]any{"a": value, "b": map[string]any{"a": value}}}
		got, why := set.Evaluate(one.Key, subject), set.Explain(one.Key, subject)
		if (got.Variant == nil) == (got.Code == "") || got != why.Result || !why.Steps[len(why.Steps)-1].Decided {
			t.Fatalf("%+v, explained as %+v", got, why)
		}
		if got.Variant != nil && one.Variants[got.Variant.Name] == nil {
			t.Fatalf("serves %s, which is no variant", got.Variant.Name)
		}
	})
}
