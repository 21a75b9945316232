package rest

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/fault"
)

func TestCheck(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n-1) + `{}` + strings.Repeat(`}`, n-1) }
	var many strings.Builder
	for i := range 100 {
		many.WriteString(`"k` + strconv.Itoa(i) + `":0,`)
	}
	for _, tt := range []struct{ name, body, want string }{
		{"empty object", `{}`, ""},
		{"space everywhere", " {\t\"a\" :\r\n[ 1 , 2 ] } ", ""},
		{"every kind", `{"a":[null,true,false,-0.5e+3,0,"x",{}],"b":{"a":1}}`, ""},
		{"escapes", `{"a":"\u00fc\ud83d\ude00\"\\\/\b\f\n\r\t"}`, ""},
		{"16 deep", deep(16), ""},
		{"17 deep", deep(17), "nested deeper"},
		{"17 deep in arrays", `{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, "nested deeper"},
		{"duplicate", `{"a":1,"b":2,"a":3}`, "duplicate key"},
		{"duplicate, escaped", `{"a":1,"\u0061":3}`, "duplicate key"},
		{"duplicate, deep inside", `{"x":[{"a":{"b":1,"b":2}}]}`, "duplicate key"},
		{"the same key in two objects", `{"a":{"a":1},"b":{"a":1}}`, ""},
		{"nothing", ``, "not a JSON object"},
		{"array", `[]`, "not a JSON object"},
		{"null", `null`, "not a JSON object"},
		{"two values", `{} {}`, "unexpected text"},
		{"unclosed", `{"a":1`, "expected"},
		{"unclosed string", `{"a":"`, "malformed string"},
		{"trailing comma", `{"a":1,}`, "expected a string"},
		{"leading comma", `{,"a":1}`, "expected a string"},
		{"trailing comma in array", `{"a":[1,]}`, "expected a value"},
		{"missing comma", `{"a":1 "b":2}`, "expected"},
		{"missing colon", `{"a" 1}`, "expected"},
		{"bare word", `{"a":nul}`, "expected a value"},
		{"word with a tail", `{"a":nullx}`, "malformed value"},
		{"leading zero", `{"a":01}`, "malformed value"},
		{"half a number", `{"a":1.}`, "malformed number"},
		{"half an exponent", `{"a":1e+}`, "malformed number"},
		{"plus", `{"a":+1}`, "expected a value"},
		{"control in string", "{\"a\":\"\n\"}", "malformed string"},
		{"NUL", "{\"a\":\"\x00\"}", "malformed string"},
		{"bad escape", `{"a":"\x"}`, "malformed escape"},
		{"bad hex", `{"a":"\u00g0"}`, "malformed escape"},
		{"short hex", `{"a":"\u00`, "malformed escape"},
		{"lone surrogate", `{"a":"\ud83d"}`, "lone surrogate"},
		{"swapped surrogates", `{"a":"\ude00\ud83d"}`, "lone surrogate"},
		{"not UTF-8", "{\"a\":\"\xff\"}", "invalid UTF-8"},
		{"not UTF-8 outside of strings", "{\xff}", "expected a string"},
		{"byte order mark", "\ufeff{}", "not a JSON object"},
		{"comment", `{/**/}`, "expected a string"},
		{"a hundred keys", `{` + many.String() + `"k":0}`, ""},
		{"a duplicate among a hundred", `{` + many.String() + `"k5":0}`, "duplicate key"},
		{"a late duplicate among a hundred", `{` + many.String() + `"k99":0}`, "duplicate key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := check(tt.body)
			if tt.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			f, ok := fault.As(err)
			if !ok || f.Reason != "REQUEST_MALFORMED" || !strings.Contains(f.Message, tt.want) {
				t.Errorf("error = %v, want REQUEST_MALFORMED with %q", err, tt.want)
			}
		})
	}
}

// The standard library is the oracle: what we accept it accepts, and what it
// accepts we refuse only for a rule of our own.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":[1,{"b":null}],"c":"\u00fc\ud83d\ude00"}`, `{"a":1,"a":2}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}",
		`{"a":-0.0e-1}`, strings.Repeat(`{"a":[`, 20), `[[[[]]]]`, `{"a":1}garbage`,
	} {
		f.Add(seed)
	}
	ours := []string{"nested deeper", "duplicate key", "lone surrogate", "invalid UTF-8", "not a JSON object"}
	f.Fuzz(func(t *testing.T, body string) {
		err := check(body)
		valid := json.Valid([]byte(body))
		if err == nil && !valid {
			t.Fatalf("accepted what is not JSON: %q", body)
		}
		if err != nil && valid {
			for _, rule := range ours {
				if strings.Contains(err.Error(), rule) {
					return
				}
			}
			t.Fatalf("refused JSON by no rule of ours: %q: %v", body, err)
		}
	})
}
