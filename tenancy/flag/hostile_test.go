package flag_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/flag"
)

// What Postgres or JSON cannot keep is refused where it stands, as every other mistake, and what is there goes on.
func TestHostileValuesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	made, err := w.flags.Create(ctx, w.acme, flag.CreateRequest{Key: "f", Type: flag.Object, About: flag.About{Name: "F"}, Variants: map[string]json.RawMessage{"on": json.RawMessage(`{}`)}, OffVariant: "on"})
	if err != nil {
		t.Fatal(err)
	}
	rules := func(q flag.Condition) error {
		return second(w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "f", Rules: &[]flag.Rule{{When: q, Variant: "on"}}}))
	}
	variant := func(text string) error {
		return second(w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "f", Variants: map[string]json.RawMessage{"on": json.RawMessage(text)}}))
	}
	for name, tt := range map[string]struct {
		err error
		at  string
	}{
		"a zero byte of IN":          {rules(flag.Condition{Attribute: "a", Operator: flag.In, Values: []any{"x", "a\x00b"}}), "rules[0].when.values[1]"},
		"a zero byte of CONTAINS":    {rules(flag.Condition{Attribute: "a", Operator: flag.Contains, Values: []any{"\x00"}}), "rules[0].when.values[0]"},
		"no UTF-8":                   {rules(flag.Condition{Attribute: "a", Operator: flag.In, Values: []any{"\xff"}}), "rules[0].when.values[0]"},
		"no number":                  {rules(flag.Condition{Attribute: "a", Operator: flag.In, Values: []any{math.NaN()}}), "rules[0].when.values[0]"},
		"a number without an end":    {rules(flag.Condition{Attribute: "a", Operator: flag.In, Values: []any{math.Inf(-1)}}), "rules[0].when.values[0]"},
		"a zero byte of a variant":   {variant(`{"a": ["\u0000"]}`), "variants.on"},
		"a zero byte of a name":      {variant(`{"a\u0000": 1}`), "variants.on"},
		"half a letter of a variant": {variant(`{"a": "\ud800"}`), "variants.on"},
		"half a letter of a name":    {variant(`{"\udc00": 1}`), "variants.on"},
		"a page of the console":      {second(w.flags.Create(ctx, w.acme, flag.CreateRequest{Key: "new", Type: flag.Boolean, About: flag.About{Name: "N"}})), "key"},
		"another":                    {second(w.flags.Create(ctx, w.acme, flag.CreateRequest{Key: "export", Type: flag.Boolean, About: flag.About{Name: "N"}})), "key"},
		"one of segments":            {second(w.flags.CreateSegment(ctx, w.acme, flag.CreateSegmentRequest{Key: "new", Name: "N"})), "key"},
		"a segment's zero byte":      {second(w.flags.CreateSegment(ctx, w.acme, flag.CreateSegmentRequest{Key: "s", Name: "S", When: flag.Condition{Attribute: "a", Operator: flag.EndsWith, Values: []any{"a\x00"}}})), "when.values[0]"},
	} {
		refused, ok := fault.As(tt.err)
		if !ok || !errors.Is(tt.err, flag.ErrInvalid) || refused.Metadata["field"] != tt.at {
			t.Errorf("%s: %v", name, tt.err)
		}
	}
	if got, err := w.flags.Get(ctx, w.acme, "f"); err != nil || got[0].ETag != made.ETag {
		t.Errorf("what was refused changed it: %+v, %v", got, err)
	}
	if err := variant(`{"a": "\\u0000 \\ud800 \ud83d\ude00 ` + "\ufffd" + `"}`); err != nil {
		t.Errorf("what can be kept is refused: %v", err)
	}
}
