package policy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/policy"
)

var update = flag.Bool("update", false, "rewrite the table of docs/policy.md")

// The table of docs/policy.md stands between these lines.
const (
	tableBegin = "<!-- fields: go test ./tenancy/policy -run Reference -update -->\n"
	tableEnd   = "<!-- end of fields -->\n"
)

// docs/policy.md tells of every field what the schema tells, and nothing else.
func TestReferenceIsTheSchema(t *testing.T) {
	const file = "../../docs/policy.md"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), tableBegin)
	_, after, ends := strings.Cut(rest, tableEnd)
	if !ok || !ends {
		t.Fatalf("%s has no table of the fields", file)
	}
	want := before + tableBegin + reference(t) + tableEnd + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if want != string(page) {
		t.Errorf("%s is not what the schema says: go test ./tenancy/policy -run Reference -update", file)
	}
}

// reference is the schema as a table.
func reference(t *testing.T) string {
	t.Helper()
	type property struct {
		Description string          `json:"description"`
		Default     json.RawMessage `json:"default"`
		Type        string          `json:"type"`
		Enum        []any           `json:"enum"`
		Minimum     *int            `json:"minimum"`
		Maximum     *int            `json:"maximum"`
		MaxItems    int             `json:"maxItems"`
		Items       *struct {
			Enum []any `json:"enum"`
		} `json:"items"`
	}
	var schema struct {
		Properties map[string]property `json:"properties"`
	}
	if err := json.Unmarshal(policy.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	oneOf := func(values []any) string {
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = fmt.Sprintf("`%v`", v)
			if v == "" {
				texts[i] = "`\"\"`"
			}
		}
		return strings.Join(texts, ", ")
	}
	var out strings.Builder
	out.WriteString("\n| field | default | values | meaning |\n|---|---|---|---|\n")
	for _, name := range policy.Fields() {
		p, ok := schema.Properties[name]
		if !ok {
			t.Fatalf("the schema has no %s", name)
		}
		values := p.Type
		switch {
		case p.Items != nil && p.Items.Enum != nil:
			values = "list of " + oneOf(p.Items.Enum)
		case p.Items != nil:
			values = fmt.Sprintf("list, at most %d", p.MaxItems)
		case p.Enum != nil:
			values = oneOf(p.Enum)
		case p.Minimum != nil && p.Maximum != nil:
			values = fmt.Sprintf("%d to %d", *p.Minimum, *p.Maximum)
		}
		var standard bytes.Buffer
		if err := json.Compact(&standard, p.Default); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		fmt.Fprintf(&out, "| `%s` | `%s` | %s | %s |\n", name, standard.String(), values, p.Description)
	}
	return out.String() + "\n"
}

// docs/facts.md names every fact.
func TestEveryFactIsDescribed(t *testing.T) {
	page, err := os.ReadFile("../../docs/facts.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, facts := range []any{policy.RegistrationFacts{}, policy.AuthenticationFacts{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(facts)) {
			if name := field.Tag.Get("json"); !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("docs/facts.md says nothing of %s", name)
			}
		}
	}
}
