package risk_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/tenancy/fault"
)

func parse(t testing.TB, document string) *risk.Ruleset {
	t.Helper()
	r, err := risk.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func points(d risk.Decision) map[string]int {
	out := map[string]int{}
	for _, s := range d.Signals {
		out[s.Code] = s.Points
		if s.Reason == "" {
			out[s.Code+" says nothing"] = 1
		}
	}
	return out
}

// What is read of rules that were taken is taken again: as they were written, and no longer than they may be.
func TestDocumentsComeBack(t *testing.T) {
	t.Parallel()
	long := func(bytes int) string {
		var rules []string
		for i := range 48 {
			rules = append(rules, fmt.Sprintf(`{"id":"r%d","when":"'<&>%s' != ''","then":"STEP_UP"}`, i, strings.Repeat("x", bytes)))
		}
		return `{"mode":"SHADOW","rules":[` + strings.Join(rules, ",") + `]}`
	}
	text := parse(t, long(900)).JSON()
	if !strings.Contains(string(text), "'<&>x") {
		t.Errorf("not as it was written: %.200s", text)
	}
	if again := parse(t, string(text)); string(again.JSON()) != string(text) {
		t.Error("taken again it is another")
	}
	tight := long(960)
	if _, err := risk.Parse([]byte(tight)); len(tight) > risk.MaxBytes || !errors.Is(err, risk.ErrInvalid) || !strings.Contains(err.Error(), "every member") {
		t.Errorf("%d bytes, which come back as more than may be put: %v", len(tight), err)
	}
}

// Each signal by itself, at both its ends: what is just not enough, what is all of it, and where it grows in between.
func TestSignals(t *testing.T) {
	const model = "ee882879-721c-4913-9775-3dfcce97072a"
	shadow := parse(t, `{"mode":"SHADOW"}`)
	cases := []struct {
		code   string
		facts  risk.Facts
		points int
	}{
		{"NEW_DEVICE", risk.Facts{NewDevice: true}, 0}, // nobody known has no new device
		{"NEW_DEVICE", risk.Facts{Known: true, NewDevice: true}, 20},
		{"NEW_AUTHENTICATOR", risk.Facts{Known: true, SignIns: 1, Model: model}, 10},
		{"NEW_AUTHENTICATOR", risk.Facts{Known: true, SignIns: 1, Model: model, CredentialAge: 12}, 5},
		{"NEW_AUTHENTICATOR", risk.Facts{Known: true, SignIns: 1, Model: model, CredentialAge: 24}, 0},
		{"NEW_AUTHENTICATOR", risk.Facts{Model: model}, 0},            // everybody's first sign-in is by a new one
		{"NEW_AUTHENTICATOR", risk.Facts{Known: true, SignIns: 1}, 0}, // an evaluation is by none
		{"NEW_COUNTRY", risk.Facts{Known: true, NewCountry: true, Country: "FR"}, 25},
		{"NEW_COUNTRY", risk.Facts{Known: true, NewCountry: true}, 0},
		{"NEW_NETWORK", risk.Facts{Known: true, NewNetwork: true, ASN: 64500}, 10},
		{"NEW_NETWORK", risk.Facts{Known: true, NewNetwork: true}, 0},
		{"IMPOSSIBLE_TRAVEL", risk.Facts{Known: true, PreviousCountry: "DE", Country: "JP", DistanceKm: 8000, PreviousSeconds: 3600}, 45},
		{"IMPOSSIBLE_TRAVEL", risk.Facts{Known: true, PreviousCountry: "DE", Country: "JP", DistanceKm: 8000, PreviousSeconds: 8 * 3600}, 0},
		{"IMPOSSIBLE_TRAVEL", risk.Facts{Known: true, PreviousCountry: "DE", Country: "JP", DistanceKm: 7500, PreviousSeconds: 5 * 3600}, 16},
		{"IMPOSSIBLE_TRAVEL", risk.Facts{Known: true, PreviousCountry: "DE", Country: "JP", DistanceKm: 8000, PreviousSeconds: 60, CountrySeconds: 8 * 3600}, 0},
		{"IMPOSSIBLE_TRAVEL", risk.Facts{Known: true, PreviousCountry: "DE", Country: "FR", PreviousSeconds: 0}, 0}, // neighbours
		{"IMPOSSIBLE_TRAVEL", risk.Facts{Known: true, PreviousCountry: "DE", Country: "US", DistanceKm: 6000, PreviousSeconds: 0}, 45},
		{"USER_VELOCITY", risk.Facts{UserAttempts: 4}, 0},
		{"USER_VELOCITY", risk.Facts{UserAttempts: 12}, 10},
		{"USER_VELOCITY", risk.Facts{UserAttempts: 1000}, 20},
		{"ADDRESS_VELOCITY", risk.Facts{AddressAttempts: 19}, 0},
		{"ADDRESS_VELOCITY", risk.Facts{AddressAttempts: 200}, 15},
		{"TENANT_VELOCITY", risk.Facts{TenantAttempts: 100_000}, 0}, // nobody knows what is usual
		{"TENANT_VELOCITY", risk.Facts{TenantAttempts: 29, TenantPeak: 1}, 0},
		{"TENANT_VELOCITY", risk.Facts{TenantAttempts: 199, TenantPeak: 100}, 0},
		{"TENANT_VELOCITY", risk.Facts{TenantAttempts: 500, TenantPeak: 100}, 5},
		{"TENANT_VELOCITY", risk.Facts{TenantAttempts: 800, TenantPeak: 100}, 10},
		{"USER_ADDRESSES", risk.Facts{UserAddresses: 3}, 0},
		{"USER_ADDRESSES", risk.Facts{UserAddresses: 12}, 15},
		{"ADDRESS_USERS", risk.Facts{AddressUsers: 9}, 0},
		{"ADDRESS_USERS", risk.Facts{AddressUsers: 100}, 25},
		{"USER_FAILURES", risk.Facts{UserFailures: 1}, 0},
		{"USER_FAILURES", risk.Facts{UserFailures: 8}, 25},
		{"ADDRESS_FAILURES", risk.Facts{AddressFailures: 4}, 0},
		{"ADDRESS_FAILURES", risk.Facts{AddressFailures: 50}, 20},
		{"SIGN_COUNT", risk.Facts{CountJump: -1}, 35},
		{"SIGN_COUNT", risk.Facts{CountJump: 1000}, 0},
		{"SIGN_COUNT", risk.Facts{CountJump: 1001}, 35},
		{"UNUSUAL_HOUR", risk.Facts{Known: true, SignIns: 10, CredentialAge: 99, HourShare: 0}, 10},
		{"UNUSUAL_HOUR", risk.Facts{Known: true, SignIns: 10, CredentialAge: 99, HourShare: 30}, 5},
		{"UNUSUAL_HOUR", risk.Facts{Known: true, SignIns: 9, CredentialAge: 99, HourShare: 0}, 0},
		{"UNUSUAL_HOUR", risk.Facts{Known: true, SignIns: 10, CredentialAge: 99, HourShare: 60}, 0},
		{"DORMANT", risk.Facts{Known: true, PreviousSeconds: 60 * 24 * 3600}, 0},
		{"DORMANT", risk.Facts{Known: true, PreviousSeconds: 61 * 24 * 3600}, 8},
		{"DORMANT", risk.Facts{Known: true, PreviousSeconds: 365 * 24 * 3600}, 15},
		{"RISKY_NETWORK", risk.Facts{Networks: []string{"tor"}}, 30},
		{"ADVERSE_STATUS", risk.Facts{Adverse: true}, 40},
		{"PROVIDER", risk.Facts{Provider: "acme", ProviderScore: 50}, 20},
	}
	covered := map[string]bool{}
	for _, c := range cases {
		got := points(risk.Decide(shadow, &c.facts))
		want := map[string]int{}
		if c.points > 0 {
			want[c.code], covered[c.code] = c.points, true
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s of %+v: %v, want %v", c.code, c.facts, got, want)
		}
	}
	for _, s := range risk.Signals() {
		if !covered[s.Code] {
			t.Errorf("no case makes %s count", s.Code)
		}
	}
}

func TestWeights(t *testing.T) {
	everything := risk.Facts{
		Known: true, NewDevice: true, NewCountry: true, Country: "JP", Networks: []string{"tor"}, Adverse: true, SignIns: 3, CredentialAge: 99,
		Caller: risk.Values{{Name: "bot", Kind: risk.IsBool, Yes: true}, {Name: "load", Number: 0.5}, {Name: "note", Kind: risk.IsText, Text: "1"}},
	}
	if d := risk.Decide(parse(t, `{"mode":"SHADOW"}`), &everything); d.Score != 100 {
		t.Errorf("the score is capped: %d", d.Score)
	}
	d := risk.Decide(parse(t, `{"mode":"SHADOW","weights":{"RISKY_NETWORK":0,"ADVERSE_STATUS":7,"NEW_COUNTRY":1},"callerWeights":{"bot":9,"load":10,"note":50}}`), &everything)
	want := map[string]int{"NEW_DEVICE": 20, "NEW_COUNTRY": 1, "ADVERSE_STATUS": 7, "CALLER.bot": 9, "CALLER.load": 5}
	if got := points(d); !reflect.DeepEqual(got, want) || d.Score != 42 {
		t.Errorf("%v = %d, want %v", got, d.Score, want)
	}
	for i := range d.Signals[1:] {
		if d.Signals[i].Points < d.Signals[i+1].Points {
			t.Errorf("the heaviest stands first: %v", d.Signals)
		}
	}
}

func TestDecide(t *testing.T) {
	tor := risk.Facts{Networks: []string{"tor"}, Adverse: true} // 70 points
	const hard, soft = `{"id":"no-tor","when":"'tor' in networks","then":"DENY","hard":true}`, `{"id":"adverse","when":"adverse && score >= 70","then":"STEP_UP"}`
	shadowed := strings.Replace(hard, `"hard":true`, `"hard":true,"mode":"SHADOW"`, 1)
	allow := `{"id":"let-in","when":"true","then":"ALLOW"}`
	cases := []struct {
		name, document string
		facts          risk.Facts
		outcome        risk.Outcome
		reason, rule   string
		would          risk.Outcome
	}{
		{"nothing", `{"mode":"ENFORCE"}`, risk.Facts{}, risk.Allow, "", "", risk.Allow},
		{"off", `{"mode":"OFF","rules":[` + hard + `]}`, tor, risk.Allow, "", "", risk.Deny},
		{"shadow", `{"mode":"SHADOW","rules":[` + hard + `]}`, tor, risk.Allow, "", "", risk.Deny},
		{"threshold", `{"mode":"ENFORCE","stepUpScore":70}`, tor, risk.StepUp, risk.ReasonScore, "", risk.StepUp},
		{"below it", `{"mode":"ENFORCE","stepUpScore":71}`, tor, risk.Allow, "", "", risk.Allow},
		{"never", `{"mode":"ENFORCE","stepUpScore":0}`, tor, risk.Allow, "", "", risk.Allow},
		{"deny", `{"mode":"ENFORCE","denyScore":70}`, tor, risk.Deny, risk.ReasonScore, "", risk.Deny},
		{"a hard rule", `{"mode":"ENFORCE","rules":[` + allow + `,` + hard + `]}`, tor, risk.Deny, risk.ReasonRule, "no-tor", risk.Deny},
		{"a hard rule in shadow", `{"mode":"ENFORCE","rules":[` + shadowed + `,` + soft + `]}`, tor, risk.StepUp, risk.ReasonRule, "adverse", risk.Deny},
		{"the first of the others", `{"mode":"ENFORCE","denyScore":60,"rules":[` + soft + `,` + allow + `]}`, tor, risk.StepUp, risk.ReasonRule, "adverse", risk.StepUp},
		{"a rule allows", `{"mode":"ENFORCE","denyScore":60,"rules":[` + allow + `,` + soft + `]}`, tor, risk.Allow, risk.ReasonRule, "let-in", risk.Allow},
		{"degraded", `{"mode":"ENFORCE","denyScore":60}`, risk.Facts{Networks: tor.Networks, Adverse: true, Degraded: true}, risk.StepUp, risk.ReasonScore, "", risk.StepUp},
		{"degraded, by a rule", `{"mode":"ENFORCE","rules":[{"id":"stranger","when":"!known","then":"DENY"}]}`, risk.Facts{Degraded: true}, risk.StepUp, risk.ReasonRule, "stranger", risk.StepUp},
		{"degraded, by a hard rule", `{"mode":"ENFORCE","rules":[` + hard + `]}`, risk.Facts{Networks: tor.Networks, Degraded: true}, risk.Deny, risk.ReasonRule, "no-tor", risk.Deny},
	}
	for _, c := range cases {
		d := risk.Decide(parse(t, c.document), &c.facts)
		if d.Outcome != c.outcome || d.Reason != c.reason || d.Rule != c.rule || d.Would != c.would {
			t.Errorf("%s: %s %q by %q, would %s; want %s %q by %q, would %s", c.name, d.Outcome, d.Reason, d.Rule, d.Would, c.outcome, c.reason, c.rule, c.would)
		}
	}
}

// What cannot be evaluated does not match, and is named; the rest decides.
func TestRuleThatFails(t *testing.T) {
	r := parse(t, `{"mode":"ENFORCE","rules":[
		{"id":"absent","when":"caller.plan == 'gold'","then":"DENY","hard":true},
		{"id":"compares","when":"caller['n'] > 3","then":"DENY"},
		{"id":"asks-first","when":"has(caller.plan) && caller.plan == 'gold'","then":"STEP_UP"}]}`)
	d := risk.Decide(r, &risk.Facts{Caller: risk.Values{{Name: "n", Kind: risk.IsText, Text: "four"}}})
	if d.Outcome != risk.Allow || !reflect.DeepEqual(d.Failed, []string{"absent", "compares"}) {
		t.Errorf("%+v", d)
	}
	d = risk.Decide(r, &risk.Facts{Caller: risk.Values{{Name: "plan", Kind: risk.IsText, Text: "gold"}}})
	if d.Outcome != risk.Deny || d.Rule != "absent" {
		t.Errorf("%+v", d)
	}
}

// Every variable can be used, has its type, and reads the fact that it is named for.
func TestVariables(t *testing.T) {
	for _, v := range risk.Variables() {
		rule := map[string]string{
			"int": v.Name + " == 0", "bool": "!" + v.Name, "string": v.Name + " == ''", "list(string)": "size(" + v.Name + ") == 0",
			"map(string, int)": "size(" + v.Name + ") == 0", "map(string, dyn)": "size(" + v.Name + ") == 0",
		}[v.Type]
		if v.Name == "level" {
			rule = "level == 'LOW'"
		}
		document := fmt.Sprintf(`{"mode":"ENFORCE","rules":[{"id":"r","when":%q,"then":"DENY"}]}`, rule)
		if d := risk.Decide(parse(t, document), &risk.Facts{}); d.Outcome != risk.Deny {
			t.Errorf("%s (%s) of no facts: %q does not match: %v", v.Name, v.Type, rule, d.Failed)
		}
		if !v.Scored {
			continue
		}
		hard := strings.Replace(document, `"then"`, `"hard":true,"then"`, 1)
		_, err := risk.Parse([]byte(hard))
		if err == nil || !strings.Contains(err.Error(), "outside the score") {
			t.Errorf("%s in a hard rule: %v", v.Name, err)
		}
	}
	facts := risk.Facts{
		Purpose: "pay", Hour: 1, Country: "DE", ASN: 2, Networks: []string{"tor"}, UserVerified: true, BackedUp: true, AAL: 3, CredentialAge: 4, CountJump: 5,
		Adverse: true, Model: "m", Known: true, SignIns: 6, NewDevice: true, NewCountry: true, NewNetwork: true, PreviousCountry: "FR", PreviousSeconds: 7, CountrySeconds: 17, DistanceKm: 8,
		UserAttempts: 9, AddressAttempts: 10, TenantAttempts: 11, TenantPeak: 18, UserFailures: 12, AddressFailures: 13, UserAddresses: 14, AddressUsers: 15, ProviderScore: 16, ProviderFailed: "BUSY", Degraded: true,
		Caller: risk.Values{{Name: "n", Number: 0.5}},
	}
	when := `purpose == 'pay' && hour == 1 && country == 'DE' && asn == 2 && networks == ['tor'] && userVerified && backedUp && aal == 3 && credentialAge == 4 && ` +
		`countJump == 5 && adverse && model == 'm' && known && signIns == 6 && newDevice && newCountry && newNetwork && previousCountry == 'FR' && previousSeconds == 7 && countrySeconds == 17 && distanceKm == 8 && ` +
		`userAttempts == 9 && addressAttempts == 10 && tenantAttempts == 11 && tenantPeak == 18 && userFailures == 12 && addressFailures == 13 && userAddresses == 14 && addressUsers == 15 && providerScore == 16 && providerFailed == 'BUSY' && ` +
		`degraded && caller.n == 0.5 && score == 100 && level == 'HIGH' && signals.ADVERSE_STATUS == 40 && !('NEW_HOUR' in signals)`
	document, err := json.Marshal(map[string]any{"mode": "ENFORCE", "rules": []any{map[string]any{"id": "all", "when": when, "then": "DENY"}}})
	if err != nil {
		t.Fatal(err)
	}
	if d := risk.Decide(parse(t, string(document)), &facts); d.Rule != "all" {
		t.Errorf("does not match: %+v", d)
	}
	for _, v := range risk.Variables() {
		if !strings.Contains(when, v.Name) {
			t.Errorf("%s is not in the rule", v.Name)
		}
	}
}

func TestBadRulesets(t *testing.T) {
	rule := func(members string) string {
		return `{"rules":[{"id":"ok","when":"true","then":"DENY"},{"id":"r","then":"DENY",` + members + `}]}`
	}
	cases := []struct{ document, field, message string }{
		{`{"mode":"ENFORCED"}`, "mode", "did you mean ENFORCE?"},
		{`{"stepUpScore":101}`, "stepUpScore", "between 1 and 100"},
		{`{"stepUpScore":60,"denyScore":40}`, "stepUpScore", "above denyScore"},
		{`{"weights":{"NEW_DEVISE":1}}`, "weights", "did you mean NEW_DEVICE?"},
		{`{"weights":{"NEW_DEVICE":101}}`, "weights.NEW_DEVICE", "between 0 and 100"},
		{`{"weights":{"NEW_DEVICE":1,"NEW_DEVICE":2}}`, "weights.NEW_DEVICE", "given twice"},
		{`{"callerWeights":{"a b":2}}`, "callerWeights", "named by a letter"},
		{`{"callerWeights":{"ab":0}}`, "callerWeights.ab", "between 1 and 100"},
		{`{"rule":[]}`, "rule", "did you mean rules?"},
		{`{"rules":null}`, "rules", "null"},
		{`{"rules":{}}`, "rules", "wrong type"},
		{`{"mode":"OFF"} {}`, "", "text follows"},
		{`[]`, "", "wrong type"},
		{`{`, "", "not JSON"},
		{rule(`"when":"true","mode":"OFF"`), "rules[1].mode", "SHADOW or ENFORCE"},
		{rule(`"when":"true","about":"a\nb"`), "rules[1].about", "one line"},
		{`{"rules":[{"id":"a","when":"true","then":"DENY"},{"id":"a","when":"true","then":"DENY"}]}`, "rules[1].id", "two rules a"},
		{`{"rules":[{"id":"A","when":"true","then":"DENY"}]}`, "rules[0].id", "a letter a-z"},
		{`{"rules":[{"id":"a","when":"true","then":"REFUSE"}]}`, "rules[0].then", "ALLOW, STEP_UP, DENY"},
		{`{"rules":[{"id":"a","when":"true","then":"ALLOW","hard":true}]}`, "rules[0].then", "allows nothing"},
		{rule(`"when":""`), "rules[1].when", "say when"},
		{rule(`"when":"scor > 3"`), "rules[1].when", `line 1, column 1: there is no "scor" (did you mean score?)`},
		{rule(`"when":"true &&\n  newDevise"`), "rules[1].when", `line 2, column 3: there is no "newDevise" (did you mean newDevice?)`},
		{rule(`"when":"score >"`), "rules[1].when", "line 1, column"},
		{rule(`"when":"score"`), "rules[1].when", "this is int"},
		{rule(`"when":"score > 'a'"`), "rules[1].when", `line 1, column 7: ">" does not take (int, string)`},
		{rule(`"when":"asn == 1 &&"`), "rules[1].when", "line 1, column 12: something is missing at the end"},
		{rule(`"when":"(asn == 1"`), "rules[1].when", `line 1, column 10: ")" is missing at the end`},
		{rule(`"when":"networks[0 == country"`), "rules[1].when", `"]" is missing at the end`},
		{rule(`"when":"known adverse"`), "rules[1].when", `line 1, column 7: "adverse" is too much: join conditions by && or ||`},
		{rule(`"when":"score >> 3"`), "rules[1].when", `line 1, column 8: ">" stands where a value is expected`},
		{rule(`"when":"asn = 1"`), "rules[1].when", `line 1, column 5: there is no "=" (did you mean ==?)`},
		{rule(`"when":"country == 'DE"`), "rules[1].when", "line 1, column 12: a text begins here and does not end"},
		{rule(`"when":"score # 3"`), "rules[1].when", `line 1, column 7: "#" is nothing that an expression has`},
		{rule(`"when":"score > 3","hard":true`), "rules[1].when", "outside the score"},
		{rule(`"when":"country.matches('[')"`), "rules[1].when", "line 1, column"},
		{rule(`"when":"` + strings.Repeat("(", 60) + "true" + strings.Repeat(")", 60) + `"`), "rules[1].when", ""},
		{rule(`"when":"` + strings.Repeat("score>1||", 400) + `true"`), "rules[1].when", ""},
		// A billion steps in eighty characters.
		{rule(`"when":"[1,2,3,4,5,6,7,8].all(a,[1,2,3,4,5,6,7,8].all(b,[1,2,3,4,5,6,7,8].all(c,a+b+c>0)))"`), "rules[1].when", ""},
		{rule(`"when":"caller.all(a, caller.all(b, caller.all(c, a+b+c != '')))"`), "rules[1].when", ""},
		{`{"rules":[` + strings.Repeat(`{"id":"a","when":"true","then":"DENY"},`, 51) + `{"id":"a","when":"true","then":"DENY"}]}`, "rules", "at most 50"},
	}
	for _, c := range cases {
		_, err := risk.Parse([]byte(c.document))
		f, ok := fault.As(err)
		if !ok || f.Reason != "RISK_RULES_INVALID" || f.Metadata["field"] != c.field || !strings.Contains(f.Message, c.message) {
			t.Errorf("%.120s: %v %v, want %s: %s", c.document, err, f.Metadata, c.field, c.message)
		}
	}
}

// Whatever the facts, they are read as they were written, and come to the same decision again.
func TestRecorded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	ruleset := parse(t, `{"mode":"SHADOW","stepUpScore":20,"callerWeights":{"bot":9},"rules":[{"id":"adverse","when":"adverse","then":"DENY","hard":true},{"id":"odd","when":"caller.x > 1","then":"ALLOW"}]}`)
	for range 500 {
		var f risk.Facts
		v := reflect.ValueOf(&f).Elem()
		for _, field := range v.Fields() {
			if r.IntN(2) == 0 {
				continue
			}
			switch field.Kind() {
			case reflect.Int:
				field.SetInt(r.Int64N(2000) - 20)
			case reflect.Uint32:
				field.SetUint(r.Uint64N(1 << 32))
			case reflect.Bool:
				field.SetBool(true)
			case reflect.String:
				field.SetString([]string{"DE", `a"b\`, "\u2028é"}[r.IntN(3)])
			case reflect.Slice:
				if field.Type() == reflect.TypeFor[[]string]() {
					field.Set(reflect.ValueOf([]string{"tor", "a\tb"}))
				} else {
					field.Set(reflect.ValueOf(risk.Values{{Name: "bot", Kind: risk.IsBool}, {Name: "n", Number: 1e-7}, {Name: "t", Kind: risk.IsText, Text: `"`}}))
				}
			default:
				t.Fatalf("a fact of kind %s", field.Kind())
			}
		}
		d := risk.Decide(ruleset, &f)
		text := risk.AppendMember([]byte(`{"origin":"https://a.example"}`), 7, &f, &d)
		got, ok, err := risk.ParseRecorded(text)
		if err != nil || !ok {
			t.Fatalf("%s: %t, %v", text, ok, err)
		}
		if !reflect.DeepEqual(got.Facts, f) {
			t.Fatalf("%s:\nread %+v\nwas  %+v", text, got.Facts, f)
		}
		again := risk.Decide(ruleset, &got.Facts)
		if !reflect.DeepEqual(again, d) || got.Score != d.Score || got.Ruleset != 7 || got.Version != risk.Version || got.Would != d.Would || got.WouldRule != d.WouldRule {
			t.Fatalf("%+v\nwas %+v\nrecorded %+v", again, d, got)
		}
		for _, s := range d.Signals {
			if got.Signals[s.Code] != s.Points {
				t.Fatalf("%s: %v", text, d.Signals)
			}
		}
	}
	if _, ok, err := risk.ParseRecorded([]byte(`{"origin":"x","tookUs":[1,2,3,4]}`)); ok || err != nil {
		t.Errorf("facts without risk: %t, %v", ok, err)
	}
}

func TestValues(t *testing.T) {
	many := map[string]any{}
	for i := range 17 {
		many[fmt.Sprint("n", i)] = true
	}
	for _, bad := range []map[string]any{
		many, {"": true}, {"1a": true}, {"a-b": true}, {strings.Repeat("a", 33): true}, {"é": true}, {"a": nil}, {"a": []any{}}, {"a": strings.Repeat("x", 65)},
	} {
		if _, err := risk.ParseValues(bad); !errors.Is(err, risk.ErrSignals) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	got, err := risk.ParseValues(map[string]any{"b": 0.5, "a": "x", "c_1": true})
	want := risk.Values{{Name: "a", Kind: risk.IsText, Text: "x"}, {Name: "b", Number: 0.5}, {Name: "c_1", Kind: risk.IsBool, Yes: true}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

// No expression makes it panic, run long, or match without being a bool.
func FuzzRule(f *testing.F) {
	for _, s := range []string{"score > 3", "'tor' in networks", "caller.exists(k, k == 'a')", "country.matches('^D')", "has(caller.x) ? true : score / 0 == 1", "size(signals) > 0 && hour in [1, 2]"} {
		f.Add(s)
	}
	facts := risk.Facts{Country: "DE", Networks: []string{"tor"}, Known: true, NewDevice: true, Caller: risk.Values{{Name: "x", Number: 1}}}
	f.Fuzz(func(t *testing.T, when string) {
		d := risk.Default()
		d.Mode, d.Rules = risk.Enforce, []risk.Rule{{ID: "r", When: when, Then: risk.Deny}}
		r, err := risk.Compile(d)
		if err != nil {
			if !errors.Is(err, risk.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if a, b := risk.Decide(r, &facts), risk.Decide(r, &facts); !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v, then %+v", a, b)
		}
	})
}

// A decision without rules, and with ten of them, all of which are evaluated.
func BenchmarkDecide(b *testing.B) {
	var rules []string
	for i := range 10 {
		rules = append(rules, fmt.Sprintf(`{"id":"r%d","when":"('tor' in networks && country != 'DE' && score >= %d) || caller.plan == 'x%d'","then":"STEP_UP"}`, i, 90-i, i))
	}
	facts := risk.Facts{
		Known: true, SignIns: 40, NewDevice: true, NewCountry: true, Country: "FR", ASN: 3215, PreviousCountry: "DE", PreviousSeconds: 7200, HourShare: 20,
		UserAttempts: 6, CredentialAge: 900, Caller: risk.Values{{Name: "plan", Kind: risk.IsText, Text: "gold"}},
	}
	for name, document := range map[string]string{"signals": `{"mode":"ENFORCE"}`, "ten rules": `{"mode":"ENFORCE","rules":[` + strings.Join(rules, ",") + `]}`} {
		r := parse(b, document)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := risk.Decide(r, &facts); d.Score == 0 || len(d.Failed) > 0 {
					b.Fatal(d)
				}
			}
		})
	}
	b.Run("nothing unusual", func(b *testing.B) {
		r, usual := parse(b, `{"mode":"ENFORCE"}`), risk.Facts{Known: true, SignIns: 40, CredentialAge: 900, HourShare: 400, Country: "DE", PreviousCountry: "DE", PreviousSeconds: 7200}
		b.ReportAllocs()
		for b.Loop() {
			if d := risk.Decide(r, &usual); d.Score != 0 {
				b.Fatal(d)
			}
		}
	})
}

// What a refusal says is UTF-8, wherever what it repeats is cut: else an answer goes out without its reason.
func TestRefusalsAreUTF8(t *testing.T) {
	for long := 28; long < 70; long++ {
		name := strings.Repeat("a", long) + "\u00e9\u00e9"
		for _, document := range []string{
			fmt.Sprintf(`{%q:1}`, name), fmt.Sprintf(`{%q:1,%q:1}`, name, strings.ToUpper(name)), fmt.Sprintf(`{"weights":{%q:1}}`, name),
			fmt.Sprintf(`{"callerWeights":{%q:1}}`, name), fmt.Sprintf(`{"rules":[{"id":%q}]}`, name), fmt.Sprintf(`{"mode":%q}`, name),
			fmt.Sprintf(`{"rules":[{"id":"a","then":"DENY","when":"%s == 1"}]}`, name), fmt.Sprintf(`{"rules":[{"id":"a","then":"DENY","when":"'%s' == 1"}]}`, name),
		} {
			_, err := risk.Parse([]byte(document))
			inUTF8(t, document, err)
		}
		_, err := risk.ParseValues(map[string]any{name: 1.0})
		inUTF8(t, name, err)
	}
}

func inUTF8(t *testing.T, what string, err error) {
	t.Helper()
	f, ok := fault.As(err)
	if !ok {
		t.Fatalf("%s: %v", what, err)
	}
	for _, text := range append(slices.Collect(maps.Values(f.Metadata)), f.Message) {
		if !utf8.ValidString(text) {
			t.Errorf("%s: %q", what, text)
		}
	}
}

// However many rules there are, all of them together have a bound, so that nobody's sign-ins keep a server busy.
func TestRulesTogetherAreBounded(t *testing.T) {
	rules := func(n int, when string) []byte {
		var list []any
		for i := range n {
			list = append(list, map[string]any{"id": fmt.Sprintf("r%d", i), "when": when, "then": "DENY"})
		}
		text, err := json.Marshal(map[string]any{"rules": list})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	dear := strings.TrimSuffix(strings.Repeat("caller.exists(k, k.matches('(a+)+$')) || ", 12), " || ")
	if _, err := risk.Parse(rules(1, dear)); err != nil {
		t.Fatalf("one: %v", err)
	}
	_, err := risk.Parse(rules(50, dear))
	if f, ok := fault.As(err); !ok || f.Reason != "RISK_RULES_INVALID" || !strings.HasPrefix(f.Metadata["field"], "rules[") || !strings.HasSuffix(f.Metadata["field"], "].when") {
		t.Errorf("fifty = %v", err)
	}
	if _, err := risk.Parse(rules(50, "newCountry && newDevice && !('office' in networks) && country in ['DE', 'AT', 'CH'] && caller.exists(k, k == 'bot') && score >= 30")); err != nil {
		t.Errorf("fifty as people write them: %v", err)
	}
}

// Whatever a caller may say can be read again when it was recorded: one sign-in that cannot would end each backtest of its tenant.
func TestWhatCallersSaidIsRead(t *testing.T) {
	for _, text := range []string{"", strings.Repeat("\x00", 64), strings.Repeat("\x7f\x1f", 32), strings.Repeat("é", 32), strings.Repeat("\ufffd", 21), strings.Repeat("\"", 64), strings.Repeat("\U000E0001", 16)} {
		for _, number := range []float64{0, math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64} {
			said, err := risk.ParseValues(map[string]any{"text": text, "number": number, "yes": true, "no": false})
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			facts := risk.AppendMember([]byte(`{"a":1}`), 1, &risk.Facts{Caller: said}, &risk.Decision{})
			r, ok, err := risk.ParseRecorded(facts)
			if err != nil || !ok || len(r.Facts.Caller) != 4 || r.Facts.Caller[1].Number != number {
				t.Errorf("%q, %g: %v, %v of %s", text, number, r.Facts.Caller, err, facts)
			}
		}
	}
}
