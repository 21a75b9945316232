package strictjson_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/strictjson"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ document, path, text string }{
		{`{}`, "", ""},
		{` {"a":1,"b":[{"a":true},{"a":"x"}],"c":{"a":{}}} ` + "\n", "", ""},
		{`"text"`, "", ""},
		{strings.Repeat("[", 8) + strings.Repeat("]", 8), "", ""},
		{``, "", "not JSON"},
		{`{`, "", "not JSON"},
		{`{"a"}`, "", "not JSON"},
		{`{"a":1,}`, "", "not JSON"},
		{`[1,`, "", "not JSON"},
		{strings.Repeat("[", 10) + strings.Repeat("]", 10), "", "not JSON"},
		{`{} {}`, "", "text follows"},
		{`1 x`, "", "text follows"},
		{`null`, "", "null"},
		{`{"a":null}`, "a", "null"},
		{`{"a":[1,{"b":null}]}`, "a[1].b", "null"},
		{`{"a":1,"a":1}`, "a", "twice"},
		{`{"Ab":1,"aB":1}`, "aB", "twice"},
		{`{"a":{"b":1,"c":2,"b":3}}`, "a.b", "twice"},
		{`{"` + strings.Repeat("a", 63) + `é":null}`, strings.Repeat("a", 63), "null"},
	} {
		err := strictjson.Check([]byte(tt.document))
		e, _ := errors.AsType[*strictjson.Error](err)
		switch {
		case tt.text == "":
			if err != nil {
				t.Errorf("%s: %v", tt.document, err)
			}
		case e == nil, e.Path != tt.path, !strings.Contains(e.Text, tt.text), !strings.HasPrefix(err.Error(), tt.path):
			t.Errorf("%s: %v, want %q at %q", tt.document, err, tt.text, tt.path)
		}
	}
}

// What passes is JSON, and encoding/json keeps each of its members.
func FuzzCheck(f *testing.F) {
	f.Add(`{"a":[1,2,{"b":"c"}]}`)
	f.Add(`{"a":1,"A":2}`)
	f.Fuzz(func(t *testing.T, document string) {
		if strictjson.Check([]byte(document)) == nil && !json.Valid([]byte(document)) {
			t.Errorf("accepted %q", document)
		}
	})
}
