package flag_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/flag"
)

// Rules as people read them are read again as what they were, whatever stands in them.
func TestRulesText(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string][]flag.Rule{
		"none": {},
		"all": {
			{ID: "a", When: flag.Condition{All: []flag.Condition{match("plan", flag.In, "pro", 5.0, true), {Not: new(flag.Condition{Segment: "staff"})}}}, Variant: "on"},
			{ID: "b", When: flag.Condition{Any: []flag.Condition{match("x.y", flag.Exists), match("</script>\"\n", flag.Matches, `^\d+$`)}}, Rollout: rollout(12.5).Rollout, By: "org"},
			{ID: "c", Variant: "off"},
		},
	} {
		text := flag.RulesText(rules)
		got, err := flag.ParseRules(text)
		if err != nil || !reflect.DeepEqual(got, rules) {
			t.Errorf("%s:\n%s\nis read as %+v, %v", name, text, got, err)
		}
	}
	for _, c := range []flag.Condition{{}, match("plan", flag.In, "pro"), {Any: []flag.Condition{match("a", flag.Exists), {Segment: "s"}}}} {
		if got, err := flag.ParseCondition(flag.ConditionText(c)); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s is read as %+v, %v", flag.ConditionText(c), got, err)
		}
	}
}

// What cannot be read is refused with its line.
func TestParseRulesRefuses(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"":                               "rules: line 1: the list has no end",
		"[\n{\"id\": \"a\",":             "rules: line 2: the list has no end",
		"[\n{\"id\" \"a\"}]":             "rules: line 2: invalid character",
		"[\n\n{\"variants\": \"on\"}]":   `rules: line 3: unknown field "variants"`,
		"[{\"variant\":\n1}]":            "rules: line 2: number cannot stand at variant",
		"{}":                             "rules: line 1: object cannot stand here",
		"[]\n[]":                         "rules: line 2: one list stands there, and nothing after it",
		`[{"rollout":[{"weight":"x"}]}]`: "rules: line 1: string cannot stand at rollout.weight",
	} {
		_, err := flag.ParseRules(text)
		refused, ok := fault.As(err)
		if !ok || !errors.Is(err, flag.ErrInvalid) || !strings.HasPrefix(refused.Message, says) {
			t.Errorf("%q: %v, want %s", text, err, says)
		}
	}
	if _, err := flag.ParseCondition("{\n"); err == nil || !strings.Contains(err.Error(), "when: line 2: the condition has no end") {
		t.Errorf("an open condition: %v", err)
	}
}
