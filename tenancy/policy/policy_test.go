package policy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
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
	`"signingAlgorithm":"ES256","signingKeyLocation":"SEALED","signingKeyRotationDays":90,"dataKeyRotationDays":365,"conditionalCreate":true,"reportedAuthenticators":"DENY"}`

// What a document means that names nothing. It never changes: versions that are stored
// rely on it. A new field is added with its value when it came.
const frozen = `{"userVerification":"required","attestationConveyance":"none","residentKey":"required","algorithms":[-7,-8,-257],` +
	`"registrationTimeoutSeconds":300,"authenticationTimeoutSeconds":300,"maxCredentialsPerUser":20,"signCountRollback":"DENY",` +
	`"sessionLifetimeSeconds":2592000,"refreshIdleSeconds":604800,"accessTokenSeconds":600,` +
	`"signingAlgorithm":"ES256","signingKeyLocation":"SEALED","signingKeyRotationDays":90,"dataKeyRotationDays":365,"conditionalCreate":true,` +
	`"requiredTrust":"NONE","authenticatorsAllowed":[],"authenticatorsDenied":[],"minimumCertification":"","syncedPasskeys":"ALLOW",` +
	`"authenticatorAttachment":"","hints":[],"backupEligibilityChange":"DENY","additionalCredential":"VOUCHED","strongSignInMaxAgeSeconds":300,` +
	`"minimumAal":1,"syncedAal":2,"aal3Certification":"FIDO_CERTIFIED_L2","authenticatorStatus":"FLAG","reportedAuthenticators":"DENY","evidenceRetentionDays":365,"ceremonyRetentionDays":0,"sessionRetentionDays":0,"auditRetentionDays":0,` +
	`"topOrigins":[],"crossOrigin":"DENY","recoveryCodes":true,"recoveryApproval":"NONE","recoveryFailures":5,"recoveryLockoutSeconds":900}`

func TestAbsentFieldsAreFrozen(t *testing.T) {
	var want policy.Document
	if err := json.Unmarshal([]byte(frozen), &want); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`{}`, golden, frozen} {
		got, err := policy.Parse([]byte(text))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("Parse(%s) = %v (-want +got):\n%s", text, err, diff)
		}
	}
	for _, name := range policy.Fields() {
		if !strings.Contains(frozen, `"`+name+`":`) {
			t.Errorf("%s has no frozen value", name)
		}
	}
}

// A version that was stored before there was reportedAuthenticators means for ever what it
// meant: where authenticatorStatus was FLAG a reported model, proven or claimed, was let in
// and flagged, else refused. What is put in force now denies unless it says otherwise, and
// is read back as such.
func TestStoredVersionsKeepTheirWordOnReportedModels(t *testing.T) {
	for _, tt := range []struct {
		text           string
		stored, parsed policy.Leave
	}{
		{`{}`, policy.LeaveFlag, policy.LeaveDeny},
		{`{"authenticatorStatus":"FLAG"}`, policy.LeaveFlag, policy.LeaveDeny},
		{`{"authenticatorStatus":"STEP_UP"}`, policy.LeaveDeny, policy.LeaveDeny},
		{`{"authenticatorStatus":"SUSPEND"}`, policy.LeaveDeny, policy.LeaveDeny},
		{`{"reportedAuthenticators":"DENY"}`, policy.LeaveDeny, policy.LeaveDeny},
		{`{"authenticatorStatus":"STEP_UP","reportedAuthenticators":"FLAG"}`, policy.LeaveFlag, policy.LeaveFlag},
	} {
		t.Run(tt.text, func(t *testing.T) {
			stored, err := policy.ParseStored([]byte(tt.text))
			if err != nil || stored.ReportedAuthenticators != tt.stored {
				t.Errorf("ParseStored: %s, %v, want %s", stored.ReportedAuthenticators, err, tt.stored)
			}
			parsed, err := policy.Parse([]byte(tt.text))
			if err != nil || parsed.ReportedAuthenticators != tt.parsed {
				t.Errorf("Parse: %s, %v, want %s", parsed.ReportedAuthenticators, err, tt.parsed)
			}
			for _, trust := range []string{"NONE", "MDS"} {
				f := policy.RegistrationFacts{UserVerified: true, Algorithm: policy.ES256, Trust: trust, Reports: []string{"REVOKED"}}
				got := policy.DecideRegistration(&stored, &f)
				if flagged := got.Outcome == policy.Allow && slices.Equal(got.Flags, []string{"AUTHENTICATOR_COMPROMISED"}); flagged != (tt.stored == policy.LeaveFlag) {
					t.Errorf("stored, with trust %s: %+v", trust, got)
				}
			}
			for _, d := range []policy.Document{stored, parsed} {
				text, err := d.JSON()
				if err != nil {
					t.Fatal(err)
				}
				again, err := policy.ParseStored(text)
				if diff := cmp.Diff(d, again); err != nil || diff != "" {
					t.Errorf("stored and read: %v (-want +got):\n%s", err, diff)
				}
			}
		})
	}
	for _, text := range []string{`{"reportedAuthenticators":""}`, `{"reportedAuthenticators":null}`, `{"ReportedAuthenticators":"FLAG"}`} {
		if _, err := policy.ParseStored([]byte(text)); !errors.Is(err, policy.ErrInvalid) {
			t.Errorf("ParseStored(%s) = %v, want ErrInvalid", text, err)
		}
	}
}

// While a release is rolled out, servers of the one before read what it stores, and
// refuse a field that they do not know: a new field stands there only where its absence
// would say something else, and all that they know does. Writing the new ones always
// turns it red.
func TestReleaseBeforeReadsNewDocuments(t *testing.T) {
	known := policy.Fields()[:16]
	if known[15] != "conditionalCreate" {
		t.Fatalf("the last field that the release before knows is %s", known[15])
	}
	// Whose absence is what it was before there was the field, which is not the default.
	known = append(known, "reportedAuthenticators")
	for _, tt := range []struct {
		name   string
		change func(*policy.Document)
		more   []string
	}{
		{"the default", func(*policy.Document) {}, nil},
		{"an old field", func(d *policy.Document) { d.UserVerification, d.ConditionalCreate = policy.Preferred, false }, nil},
		{"a trust", func(d *policy.Document) {
			d.AttestationConveyance, d.RequiredTrust = policy.ConveyDirect, policy.TrustVerified
		}, []string{"requiredTrust"}},
		{"a list", func(d *policy.Document) { d.Hints = []string{"hybrid"} }, []string{"hints"}},
		{"a retention", func(d *policy.Document) { d.CeremonyRetentionDays = 30 }, []string{"ceremonyRetentionDays"}},
		{"never, which is 0", func(d *policy.Document) { d.EvidenceRetentionDays = 0 }, []string{"evidenceRetentionDays"}},
		{"no, which is false", func(d *policy.Document) { d.RecoveryCodes = false }, []string{"recoveryCodes"}},
	} {
		d := policy.Default()
		tt.change(&d)
		text, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		var stored map[string]json.RawMessage
		if err := json.Unmarshal(text, &stored); err != nil {
			t.Fatal(err)
		}
		want := slices.Sorted(slices.Values(append(slices.Clone(known), tt.more...)))
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(stored))); diff != "" {
			t.Errorf("%s: fields stored (-want +got):\n%s", tt.name, diff)
		}
		got, err := policy.ParseStored(text)
		if diff := cmp.Diff(d, got); err != nil || diff != "" {
			t.Errorf("%s: ParseStored = %v (-want +got):\n%s", tt.name, err, diff)
		}
	}
}

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
		{"an allow-list that anybody passes", `{"authenticatorsAllowed":["ee882879-721c-4913-9775-3dfcce97072a"],"requiredTrust":"SELF"}`, "authenticatorsAllowed"},
		{"trust in what is not asked for", `{"requiredTrust":"VERIFIED"}`, "requiredTrust"},
		{"certification without the service that tells it", `{"requiredTrust":"VERIFIED","attestationConveyance":"direct","minimumCertification":"FIDO_CERTIFIED_L2"}`, "minimumCertification"},
		{"the zero AAGUID", `{"authenticatorsDenied":["00000000-0000-0000-0000-000000000000"]}`, "authenticatorsDenied"},
		{"an AAGUID in another spelling", `{"authenticatorsDenied":["EE882879-721c-4913-9775-3dfcce97072a"]}`, "authenticatorsDenied"},
		{"an AAGUID twice", `{"authenticatorsDenied":["ee882879-721c-4913-9775-3dfcce97072a","ee882879-721c-4913-9775-3dfcce97072a"]}`, "authenticatorsDenied"},
		{"an AAGUID that is a number", `{"authenticatorsDenied":[1]}`, "authenticatorsDenied"},
		{"iframes anywhere", `{"crossOrigin":"ALLOW"}`, "topOrigins"},
		{"a top origin with a path", `{"topOrigins":["https://shop.example/"]}`, "topOrigins"},
		{"a top origin in plain text", `{"topOrigins":["http://shop.example"]}`, "topOrigins"},
		{"any top origin", `{"topOrigins":["*"]}`, "topOrigins"},
		{"an unknown hint", `{"hints":["phone"]}`, "hints"},
		{"AAL 3 for anything", `{"aal3Certification":""}`, "aal3Certification"},
		{"a schema that is no address", `{"$schema":{}}`, ""},
		{"a schema twice", `{"$schema":"/a","$schema":"/b"}`, ""},
		{"a schema and an unknown field", `{"$schema":"/schemas/policy/v1.json","minimumAAL":2}`, ""},
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
	if _, err := policy.Parse([]byte(`{"userVerificaton":"required"}`)); !strings.Contains(err.Error(), `unknown field "userVerificaton" (did you mean userVerification?)`) {
		t.Errorf("a misspelt field: %v", err)
	}
	got, err := policy.Parse([]byte(`{"$schema":"https://auth.example/schemas/policy/v1.json","algorithms":[-7],"signCountRollback":"FLAG"}`))
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
	MaxItems         int
	Pattern          string
	Items            *property
	Default          any
	AnyOf            []struct{ Minimum float64 }
}

// The schema is published: whoever writes a policy by it must not meet another rule
// here. Fields, defaults, enumerations and bounds are compared one by one.
func TestSchemaIsTheStruct(t *testing.T) {
	var s struct {
		ID                   string `json:"$id"`
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
	if err := json.Unmarshal([]byte(frozen), &defaults); err != nil {
		t.Fatal(err)
	}
	var fields []string
	for f := range reflect.TypeFor[policy.Document]().Fields() {
		fields = append(fields, f.Tag.Get("json"))
	}
	if diff := cmp.Diff(policy.Fields(), fields); diff != "" {
		t.Errorf("Fields: %s", diff)
	}
	if p := s.Properties["$schema"]; p.Type != "string" || p.Description == "" {
		t.Errorf("the schema has no room for where it is: %+v", p)
	}
	delete(s.Properties, "$schema")
	if s.ID != policy.SchemaPath {
		t.Errorf("$id is %s, want where servers have it: %s", s.ID, policy.SchemaPath)
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
			if len(p.AnyOf) > 0 { // 0, or from somewhere on
				accepts(t, name, p.AnyOf[1].Minimum, true)
				accepts(t, name, p.AnyOf[1].Minimum-1, false)
			}
		case "array":
			if p.Items.Pattern != "" {
				pattern := regexp.MustCompile(p.Items.Pattern)
				for _, text := range []string{"ee882879-721c-4913-9775-3dfcce97072a", "https://shop.example", "EE882879-721C-4913-9775-3DFCCE97072A", "https://shop.example/pay", "other"} {
					accepts(t, name, []any{text}, pattern.MatchString(text))
				}
				accepts(t, name, many(name, p.MaxItems), true)
				accepts(t, name, many(name, p.MaxItems+1), false)
				break
			}
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

// many are n values of a list.
func many(field string, n int) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = fmt.Sprintf("ee882879-721c-4913-9775-%012x", i)
		if field == "topOrigins" {
			out[i] = fmt.Sprintf("https://%d.example", i)
		}
	}
	return out
}

// accepts sets one field of a document whose other fields leave it all the room.
func accepts(t *testing.T, field string, value any, want bool) {
	t.Helper()
	doc := map[string]any{
		"sessionLifetimeSeconds": 7776000, "refreshIdleSeconds": 7776000,
		"attestationConveyance": "direct", "requiredTrust": "MDS", "topOrigins": []string{"https://shop.example"},
	}
	if field == "attestationConveyance" {
		doc["requiredTrust"] = "NONE"
	}
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
	f.Add([]byte(`{"$schema":"/schemas/policy/v1.json","hints":["hybrid"]}`))
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
		again, err := policy.ParseStored(out)
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
