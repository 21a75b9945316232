package flag_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"

	"github.com/biocore-id/biocore/tenancy/flag"
)

// fixed is a Source of one set, or of an error.
type fixed struct {
	set *flag.Set
	err error
}

func (f *fixed) Flags(context.Context) (*flag.Set, error) { return f.set, f.err }

// client returns an OpenFeature client of a provider of source, apart from everybody else's.
func client(t testing.TB, source flag.Source) *openfeature.Client {
	t.Helper()
	api := isolated.NewAPI()
	if err := api.SetProviderAndWait(t.Context(), flag.NewProvider(source)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := api.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return api.NewClient()
}

func TestProvider(t *testing.T) {
	f := onOff(when(match("country", flag.In, "NO")), rollout(100))
	of := func(key string, kind flag.Type, value string) flag.Flag {
		return flag.Flag{Key: key, Type: kind, Enabled: true, OffVariant: "v", DefaultVariant: "v", Salt: "s", Variants: map[string]json.RawMessage{"v": json.RawMessage(value)}}
	}
	set, err := flag.Compile([]flag.Flag{f, of("s", flag.String, `"x"`), of("n", flag.Number, "12"), of("half", flag.Number, "1.5"), of("huge", flag.Number, "1e300"), of("o", flag.Object, `{"a":1}`)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	source := &fixed{set: set}
	c := client(t, source)
	ctx, who := t.Context(), openfeature.NewEvaluationContext("u1", map[string]any{"country": "NO"})

	if got, err := c.BooleanValueDetails(ctx, f.Key, false, who); err != nil || !got.Value || got.Reason != openfeature.TargetingMatchReason || got.Variant != "on" {
		t.Errorf("by a rule: %+v, %v", got, err)
	}
	if got, err := c.BooleanValueDetails(ctx, f.Key, false, openfeature.NewEvaluationContext("u1", nil)); err != nil || !got.Value || got.Reason != openfeature.SplitReason {
		t.Errorf("by a rollout: %+v, %v", got, err)
	}
	if got, err := c.StringValue(ctx, "s", "-", who); err != nil || got != "x" {
		t.Errorf("a string: %q, %v", got, err)
	}
	if got, err := c.FloatValue(ctx, "half", 0, who); err != nil || got != 1.5 {
		t.Errorf("a float: %g, %v", got, err)
	}
	if got, err := c.IntValue(ctx, "n", 0, who); err != nil || got != 12 {
		t.Errorf("an integer: %d, %v", got, err)
	}
	if got, err := c.ObjectValue(ctx, "o", nil, who); err != nil || !reflect.DeepEqual(got, map[string]any{"a": 1.0}) {
		t.Errorf("an object: %v, %v", got, err)
	}

	for name, tt := range map[string]struct {
		evaluate func() (any, openfeature.EvaluationDetails, error)
		code     openfeature.ErrorCode
	}{
		"no such flag": {func() (any, openfeature.EvaluationDetails, error) {
			d, err := c.BooleanValueDetails(ctx, "another", true, who)
			return d.Value, d.EvaluationDetails, err
		}, openfeature.FlagNotFoundCode},
		"another type": {func() (any, openfeature.EvaluationDetails, error) {
			d, err := c.BooleanValueDetails(ctx, "s", true, who)
			return d.Value, d.EvaluationDetails, err
		}, openfeature.TypeMismatchCode},
		"a half as an integer": {func() (any, openfeature.EvaluationDetails, error) {
			d, err := c.IntValueDetails(ctx, "half", 1, who)
			return d.Value == 1, d.EvaluationDetails, err
		}, openfeature.TypeMismatchCode},
		"too much for an integer": {func() (any, openfeature.EvaluationDetails, error) {
			d, err := c.IntValueDetails(ctx, "huge", 1, who)
			return d.Value == 1, d.EvaluationDetails, err
		}, openfeature.TypeMismatchCode},
		"a rollout of nobody": {func() (any, openfeature.EvaluationDetails, error) {
			d, err := c.BooleanValueDetails(ctx, f.Key, true, openfeature.NewEvaluationContext("", nil))
			return d.Value, d.EvaluationDetails, err
		}, openfeature.TargetingKeyMissingCode},
	} {
		value, detail, err := tt.evaluate()
		if err == nil || value != any(true) || detail.ErrorCode != tt.code || detail.Reason != openfeature.ErrorReason || detail.ErrorMessage == "" {
			t.Errorf("%s: %v, %+v, %v: want the default and %s", name, value, detail, err, tt.code)
		}
	}

	source.err = errors.New("no database")
	if got, err := c.BooleanValueDetails(ctx, f.Key, true, who); err == nil || !got.Value || got.ErrorCode != openfeature.ProviderNotReadyCode {
		t.Errorf("without flags: %+v, %v", got, err)
	}
}

func BenchmarkOpenFeature(b *testing.B) {
	c := client(b, &fixed{set: compile(b, onOff())})
	ctx, who := b.Context(), openfeature.NewEvaluationContext("u1", nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.BooleanValue(ctx, "number-matching", true, who); err != nil {
			b.Fatal(err)
		}
	}
}
