package policy_test

import (
	"errors"
	"testing"

	"github.com/biocore-id/biocore/tenancy/policy"
)

func TestLocate(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       policy.Place
	}{
		{"a value out of bounds", "{\n  \"residentKey\": \"required\",\n  \"accessTokenSeconds\": 5\n}", policy.Place{Field: "accessTokenSeconds", Line: 3, Column: 3}},
		{"a value of another type", "{\n  \"accessTokenSeconds\": \"5\"\n}", policy.Place{Field: "accessTokenSeconds", Line: 2, Column: 3}},
		{"an element of another type", "{\n\n\"hints\": [5]}", policy.Place{Field: "hints", Line: 3, Column: 1}},
		{"an unknown field", "{\"residentKey\": \"required\",\n \"residentKeys\": 1}", policy.Place{Field: "residentKeys", Line: 2, Column: 2}},
		{"a field twice", "{\"hints\": [],\n\"minimumAal\": 1,\n\"Hints\": []}", policy.Place{Field: "Hints", Line: 3, Column: 1}},
		{"null", "{\"hints\": [],\n  \"minimumAal\": null}", policy.Place{Field: "minimumAal", Line: 2, Column: 3}},
		{"a comma too many", "{\n  \"hints\": [],\n}", policy.Place{Line: 3, Column: 1}},
		{"no comma", "{\n  \"hints\": []\n  \"minimumAal\": 1\n}", policy.Place{Line: 3, Column: 3}},
		{"no end", "{\n  \"hints\": [", policy.Place{Line: 2, Column: 13}},
		{"text after it", "{}\n\n{}", policy.Place{Line: 3, Column: 1}},
		{"no object", "[]", policy.Place{Line: 1, Column: 1}},
		{"nothing", "", policy.Place{Line: 1, Column: 1}},
		{"a field that another one takes", "{\n  \"crossOrigin\": \"ALLOW\"\n}", policy.Place{Field: "topOrigins", Line: 1, Column: 1}},
		{"columns are characters", "{\"$schema\": \"é\", \"x\": 1}", policy.Place{Field: "x", Line: 1, Column: 18}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := policy.Parse([]byte(tt.text))
			if !errors.Is(err, policy.ErrInvalid) {
				t.Fatalf("Parse = %v, want ErrInvalid", err)
			}
			if got := policy.Locate([]byte(tt.text), err); got != tt.want {
				t.Errorf("Locate = %+v, want %+v (%v)", got, tt.want, err)
			}
		})
	}
	if got := policy.Locate([]byte("{"), errors.New("else")); got != (policy.Place{}) {
		t.Errorf("of another error = %+v", got)
	}
}
