package policy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/policy"
)

// What is stored as version 1 of every new tenant.
const golden = `{"userVerification":"required","attestationConveyance":"none","residentKey":"required","algorithms":[-7,-8,-257],` +
	`"registrationTimeoutSeconds":300,"authenticationTimeoutSeconds":300,"maxCredentialsPerUser":20,"signCountRollback":"DENY",` +
	`"sessionLifetimeSeconds":2592000,"refreshIdleSeconds":604800,"accessTokenSeconds":600,` +
	`"signingAlgorithm":"ES256","signingKeyLocation":"SEALED","signingKeyRotationDays":90,"dataKeyRotationDays":365,"conditionalCreate":true}`

func TestDefaultIsGolden(t *testing.T) {
	d := policy.Default()
	if err := d.Validate(); err != nil {
		t.Errorf("the default is invalid: %v", err)
	}
	text, err := d.JSON()
	if err != nil || string(text) != golden {
		t.Errorf("default:\n%s\nwant:\n%s (%v)", text, golden, err)
	}
	for _, text := range []string{golden, `{}`, ` { } `} {
		got, err := policy.Parse([]byte(text))
		if diff := cmp.Diff(policy.Default(), got); err != nil || diff != "" {
			t.Errorf("Parse(%s): %v, %s", text, err, diff)
		}
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		field      string // of the refusal, when one is to blame
	}{
		{"unknown field", `{"userVerificaton":"required"}`, ""},
		{"a field in another case", `{"UserVerification":"required"}`, ""},
		{"a field twice", `{"conditionalCreate":true,"conditionalCreate":false}`, ""},
		{"a field twice, in another case", `{"conditionalCreate":true,"ConditionalCreate":false}`, ""},
		{"null", `{"userVerification":null}`, ""},
		{"text after it", `{} {}`, ""},
		{"a list", `[]`, ""},
		{"nothing", ``, ""},
		{"half", `{"conditionalCreate":`, ""},
		{"no JSON", `{x}`, ""},
		{"too long", `{"userVerification":"` + strings.Repeat("x", policy.MaxBytes) + `"}`, ""},
		{"wrong type", `{"maxCredentialsPerUser":"20"}`, "maxCredentialsPerUser"},
		{"a fraction", `{"maxCredentialsPerUser":1.5}`, "maxCredentialsPerUser"},
		{"unknown value", `{"userVerification":"Required"}`, "userVerification"},
		{"no algorithm", `{"algorithms":[]}`, "algorithms"},
		{"Ed448", `{"algorithms":[-53]}`, "algorithms"},
		{"RS1", `{"algorithms":[-7,-65535]}`, "algorithms"},
		{"an algorithm twice", `{"algorithms":[-7,-7]}`, "algorithms"},
		{"idle longer than the session", `{"sessionLifetimeSeconds":600,"refreshIdleSeconds":601,"accessTokenSeconds":60}`, "refreshIdleSeconds"},
		{"access token outlives idle", `{"refreshIdleSeconds":300,"accessTokenSeconds":301}`, "accessTokenSeconds"},
		{"deep", strings.Repeat(`{"algorithms":`, 300), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := policy.Parse([]byte(tt.text))
			if !errors.Is(err, policy.ErrInvalid) {
				t.Fatalf("Parse = %v, want ErrInvalid", err)
			}
			if f, _ := fault.As(err); f.Metadata["field"] != tt.field {
				t.Errorf("field = %q, want %q", f.Metadata["field"], tt.field)
			}
		})
	}
	got, err := policy.Parse([]byte(`{"algorithms":[-7],"signCountRollback":"FLAG"}`))
	want := policy.Default()
	want.Algorithms, want.SignCountRollback = []int{-7}, policy.RollbackFlag
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("a part of a document: %v, %s", err, diff)
	}
}

type property struct {
	Type             string
	Description      string
	Enum             []any
	Minimum, Maximum *float64
	MinItems         int
	Items            *property
	Default          any
}

// The schema is published: whoever writes a policy by it must not meet another rule
// here. Fields, defaults, enumerations and bounds are compared one by one.
func TestSchemaIsTheStruct(t *testing.T) {
	var s struct {
		Type                 string
		AdditionalProperties *bool
		Properties           map[string]property
	}
	if err := json.Unmarshal(policy.Schema(), &s); err != nil {
		t.Fatal(err)
	}
	if s.Type != "object" || s.AdditionalProperties == nil || *s.AdditionalProperties {
		t.Error("the schema allows unknown members")
	}
	var defaults map[string]any
	if err := json.Unmarshal([]byte(golden), &defaults); err != nil {
		t.Fatal(err)
	}
	var fields []string
	for f := range reflect.TypeFor[policy.Document]().Fields() {
		fields = append(fields, f.Tag.Get("json"))
	}
	if diff := cmp.Diff(policy.Fields(), fields); diff != "" {
		t.Errorf("Fields: %s", diff)
	}
	if len(s.Properties) != len(fields) {
		t.Errorf("the schema has %d properties, want %d", len(s.Properties), len(fields))
	}
	for _, name := range fields {
		p, ok := s.Properties[name]
		if !ok || p.Description == "" {
			t.Errorf("%s is not described", name)
			continue
		}
		if !reflect.DeepEqual(p.Default, defaults[name]) {
			t.Errorf("default of %s is %v, want %v", name, p.Default, defaults[name])
		}
		switch p.Type {
		case "string":
			for _, v := range p.Enum {
				accepts(t, name, v, true)
			}
			accepts(t, name, "other", false)
		case "integer":
			if p.Minimum == nil || p.Maximum == nil {
				t.Fatalf("%s has no bounds", name)
			}
			accepts(t, name, *p.Minimum, true)
			accepts(t, name, *p.Minimum-1, false)
			accepts(t, name, *p.Maximum, true)
			accepts(t, name, *p.Maximum+1, false)
		case "array":
			accepts(t, name, p.Items.Enum, true)
			for known := range slices.Values([]any{-53, -39, -47, -258, 0}) {
				accepts(t, name, []any{known}, slices.Contains(p.Items.Enum, known))
			}
		case "boolean":
			accepts(t, name, true, true)
			accepts(t, name, false, true)
		default:
			t.Errorf("%s has type %q", name, p.Type)
		}
	}
}

// accepts sets one field of a document whose other fields leave it all the room.
func accepts(t *testing.T, field string, value any, want bool) {
	t.Helper()
	doc := map[string]any{"sessionLifetimeSeconds": 7776000, "refreshIdleSeconds": 7776000}
	if field == "sessionLifetimeSeconds" {
		doc["refreshIdleSeconds"], doc["accessTokenSeconds"] = 300, 60
	}
	if field == "refreshIdleSeconds" {
		doc["accessTokenSeconds"] = 60
	}
	doc[field] = value
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Parse(text); (err == nil) != want {
		t.Errorf("%s = %v: %v, want accepted %v", field, value, err, want)
	}
}

// What Parse takes it writes back the same, and it never takes what is invalid.
func FuzzParse(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"algorithms":[-7,-7]}`))
	f.Add([]byte(`{"a":{"a":{}},"a":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := policy.Parse(text)
		if err != nil {
			if !errors.Is(err, policy.ErrInvalid) {
				t.Fatalf("Parse = %v, want ErrInvalid", err)
			}
			return
		}
		out, err := d.JSON()
		if err != nil || d.Validate() != nil {
			t.Fatal(err, d.Validate())
		}
		again, err := policy.Parse(out)
		if diff := cmp.Diff(d, again); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
	})
}

func ExampleParse() {
	d, err := policy.Parse([]byte(`{"userVerification": "preferred", "maxCredentialsPerUser": 5}`))
	fmt.Println(d.UserVerification, d.MaxCredentialsPerUser, d.AuthenticationTimeout(), err)
	// Output: preferred 5 5m0s <nil>
}

func TestSchemaIsACopy(t *testing.T) {
	clear(policy.Schema())
	if bytes.IndexByte(policy.Schema(), 0) >= 0 {
		t.Error("a caller changed the schema")
	}
}
