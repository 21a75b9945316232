package console_test

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/member"
)

// builder is a builder's form, as a browser without scripts has it.
type builder struct {
	t      *testing.T
	of     *browser
	action string
	fields []string // names and values in turn
	body   string
}

var (
	control  = regexp.MustCompile(`(?s)<input([^>]*)>|<textarea([^>]*)>(.*?)</textarea>|<select([^>]*)>(.*?)</select>`)
	nameIs   = regexp.MustCompile(`\bname="([^"]*)"`)
	valueIs  = regexp.MustCompile(`\bvalue="([^"]*)"`)
	selected = regexp.MustCompile(`<option\s+value="([^"]*)"\s+selected`)
	first    = regexp.MustCompile(`<option\s+value="([^"]*)"`)
	builderF = regexp.MustCompile(`(?s)<form id="builder".*?</form>`)
)

// show reads the form of a page.
func (b *builder) show(body string) *builder {
	b.t.Helper()
	b.body, b.fields = body, nil
	form := builderF.FindString(body)
	if form == "" {
		b.t.Fatalf("the page has no form: %s", body)
	}
	for _, m := range control.FindAllStringSubmatch(form, -1) {
		name := nameIs.FindStringSubmatch(m[1] + m[2] + m[4])
		if name == nil {
			continue
		}
		value := m[3]
		if m[1] != "" {
			if got := valueIs.FindStringSubmatch(m[1]); got != nil {
				value = got[1]
			}
		} else if m[4] != "" {
			got := selected.FindStringSubmatch(m[5])
			if got == nil {
				got = first.FindStringSubmatch(m[5])
			}
			value = got[1]
		}
		b.fields = append(b.fields, name[1], html.UnescapeString(value))
	}
	return b
}

// set types into fields that are there.
func (b *builder) set(pairs ...string) *builder {
	b.t.Helper()
	for pair := range slices.Chunk(pairs, 2) {
		at := -1
		for i := 0; i < len(b.fields); i += 2 {
			if b.fields[i] == pair[0] {
				at = i
			}
		}
		if at < 0 {
			b.t.Fatalf("the form has no %s: %v", pair[0], b.fields)
		}
		b.fields[at+1] = pair[1]
	}
	return b
}

// do presses a button that is there, and enabled, and shows what comes of it.
func (b *builder) do(what string) *builder {
	b.t.Helper()
	button := regexp.MustCompile(`<button[^>]*value="` + regexp.QuoteMeta(what) + `"[^>]*>`).FindString(b.body)
	if button == "" || strings.Contains(button, " disabled") {
		b.t.Fatalf("no button does %q", what)
	}
	action := regexp.MustCompile(`formaction="([^"]*)"`).FindStringSubmatch(button)
	res := b.of.form(b.t, html.UnescapeString(action[1]), append(slices.Clone(b.fields), "do", what)...)
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusUnprocessableEntity && res.StatusCode != http.StatusBadRequest {
		b.t.Fatalf("%s = %d %s", what, res.StatusCode, res.body)
	}
	return b.show(res.body)
}

func (b *builder) save() answer {
	b.t.Helper()
	return b.of.form(b.t, b.action, b.fields...)
}

// value is what a field has.
func (b *builder) value(name string) string {
	for i := 0; i < len(b.fields); i += 2 {
		if b.fields[i] == name {
			return b.fields[i+1]
		}
	}
	return ""
}

// everyRule are rules with every operator, and its negation, every kind of value, and every kind of group in a group.
func everyRule() []flag.Rule {
	values := map[flag.Operator][]any{
		flag.In: {"NO", "5", 5.0, -1.5e300, true, false, "true", `"quoted"`, " edge ", "", "a\nb", "<b>&amp;", "ÆØÅ, comma", "1e5"}, flag.LessThan: {1.0}, flag.AtMost: {-0.25}, flag.AtLeast: {1e21}, flag.GreaterThan: {0.0},
		flag.Contains: {" a\nb "}, flag.StartsWith: {"5"}, flag.EndsWith: {"true"}, flag.Matches: {`^"a+"$`}, flag.VersionBelow: {"4.2"}, flag.VersionAtLeast: {"4.2.0-beta.1"},
		flag.Before: {"2027-01-15T09:00:00Z"}, flag.After: {"2027-01-15T09:00:00+02:00"}, flag.Exists: nil,
	}
	var all []flag.Condition
	for _, op := range flag.Operators() {
		one := flag.Condition{Attribute: "user." + strings.ToLower(string(op)), Operator: op, Values: values[op]}
		all = append(all, one, flag.Condition{Not: &one})
	}
	not := flag.Condition{Any: []flag.Condition{all[0], {All: all[2:6]}}}
	notAll := flag.Condition{All: all[:2]}
	return []flag.Rule{
		{ID: "a", When: flag.Condition{All: all}, Variant: "on"},
		{ID: "b", When: all[1], Rollout: []flag.Share{{Variant: "off", Weight: 12_345}, {Variant: "on", Weight: 87_655}, {Variant: "maybe", Weight: 0}}, By: "company"},
		{ID: "c", When: flag.Condition{Any: []flag.Condition{{Not: &not}, {Not: &notAll}, {All: []flag.Condition{all[4]}}, {Any: []flag.Condition{all[4]}}}}, Variant: "maybe"},
		{ID: "d", When: all[0], Variant: "off"},
		{ID: "e", Rollout: []flag.Share{{Variant: "on", Weight: flag.Whole}}},
	}
}

// A browser without scripts builds rules by forms alone. What it shows of any rules is what it saves; what cannot be is refused
// beside its field, and what is in force stays.
func TestFlagBuilder(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	dev := s.person(t, "Dev", acme, member.Developer)
	flags := flag.New(s.store.Store, s.keys)
	made, err := flags.Create(t.Context(), acme, flag.CreateRequest{
		Key: "matching", Type: flag.String, About: flag.About{Name: "Matching"},
		Variants: map[string]json.RawMessage{"on": json.RawMessage(`"a"`), "off": json.RawMessage(`"b"`), "maybe": json.RawMessage(`"c"`)}, OffVariant: "off",
	})
	if err != nil {
		t.Fatal(err)
	}
	at := "/console/t/" + slug + "/flags/matching/rules?environment=staging"
	stored := func() flag.Stored {
		t.Helper()
		all, err := flags.Get(t.Context(), acme, made.Key)
		if err != nil {
			t.Fatal(err)
		}
		return all[1]
	}
	form := func() *builder {
		t.Helper()
		return (&builder{t: t, of: dev, action: at}).show(dev.get(t, at).body)
	}
	saved := func(b *builder) flag.Stored {
		t.Helper()
		if res := b.set("reason", "as it should be").save(); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("save = %d %s", res.StatusCode, res.body)
		}
		return stored()
	}

	// Conditions, a group in the group, a split, and another rule before it.
	b := form().do("rule").do("term r0").set("r0.c0.attribute", "country", "r0.c0.values", "NO\r\nSE\r\n\r\n5")
	b.do("group r0").set("r0.c1.c0.attribute", "plan", "r0.c1.c0.operator", "!EXISTS")
	b.do("term r0.c1").set("r0.c1.c1.attribute", "age", "r0.c1.c1.operator", "AT_LEAST", "r0.c1.c1.values", "18")
	b.set("r0.to", "*", "r0.s0.weight", "25", "r0.s2.weight", "75 %")
	b.do("rule").set("r1.to", "maybe").do("term r1").set("r1.c0.attribute", "beta", "r1.c0.values", "true").do("up r1")
	if !regexp.MustCompile(`<button[^>]*value="up r0"[^>]* disabled`).MatchString(b.body) || b.value("r0.to") != "maybe" || b.value("r1.c1.c1.values") != "18" {
		t.Errorf("after a move: %v", b.fields)
	}
	if !strings.Contains(b.body, `id="changes-h"`) || !strings.Contains(b.body, "AT_LEAST") {
		t.Error("what would change is not shown")
	}
	if got := stored(); len(got.Rules) != 0 || got.ETag != b.value("etag") {
		t.Errorf("a draft is in force: %+v", got.Rules)
	}
	want := []flag.Rule{
		{When: flag.Condition{Attribute: "beta", Operator: flag.In, Values: []any{true}}, Variant: "maybe"},
		{When: flag.Condition{All: []flag.Condition{
			{Attribute: "country", Operator: flag.In, Values: []any{"NO", "SE", 5.0}},
			{Any: []flag.Condition{{Not: &flag.Condition{Attribute: "plan", Operator: flag.Exists}}, {Attribute: "age", Operator: flag.AtLeast, Values: []any{18.0}}}},
		}}, Rollout: []flag.Share{{Variant: "maybe", Weight: 25_000}, {Variant: "on", Weight: 75_000}}},
	}
	got := saved(b).Rules
	for i := range got {
		want[min(i, 1)].ID = got[i].ID
	}
	sameRules(t, got, want)
	before := stored()

	// Each mistake stands at its field, and nothing of it is in force.
	for name, tt := range map[string]struct {
		set         []string
		field, says string
	}{
		"no attribute":    {[]string{"r0.c0.attribute", ""}, "r0-c0-attribute", "1 to 256 bytes"},
		"a targeting key": {[]string{"r0.c0.attribute", "targetingKey"}, "r0-c0-attribute", "roll out"},
		"no value":        {[]string{"r0.c0.values", "\r\n"}, "r0-c0-values", "1 to 1000 values"},
		"no number":       {[]string{"r1.c1.c1.values", "old"}, "r1-c1-c1-values", "compares numbers"},
		"two numbers":     {[]string{"r1.c1.c1.values", "1\r\n2"}, "r1-c1-c1-values", "compares numbers"},
		"no expression":   {[]string{"r0.c0.operator", "!MATCHES", "r0.c0.values", "("}, "r0-c0-values", "RE2"},
		"no version":      {[]string{"r0.c0.operator", "VERSION_BELOW", "r0.c0.values", "new"}, "r0-c0-values", "4.2.0 is one"},
		"no time":         {[]string{"r0.c0.operator", "AFTER", "r0.c0.values", "noon"}, "r0-c0-values", "RFC 3339"},
		"no operator":     {[]string{"r0.c0.operator", "INN"}, "r0-c0-operator", "did you mean IN?"},
		"no percent":      {[]string{"r1.s0.weight", "much"}, "r1-s0-weight", "0 to 100 percent"},
		"a fine percent":  {[]string{"r1.s0.weight", "0.0001"}, "r1-s0-weight", "three decimals"},
		"110 percent":     {[]string{"r1.s0.weight", "35"}, "r1-rollout", "these to 110"},
		"no share":        {[]string{"r1.s0.weight", "", "r1.s1.weight", ""}, "r1-to", "serves a variant"},
		"no variant":      {[]string{"r0.to", "maybee"}, "r0-to", "did you mean maybe?"},
		"no by":           {[]string{"r1.by", strings.Repeat("x", 257)}, "r1-by", "1 to 256 bytes"},
		"no reason":       {[]string{"reason", ""}, "flag-reason", "audit log"},
	} {
		res := form().set("reason", "as it should be").set(tt.set...).save()
		at, _, _ := strings.Cut(res.body[max(0, strings.Index(res.body, `id="`+tt.field+`-error"`)):], "</span>")
		if res.StatusCode != http.StatusUnprocessableEntity && res.StatusCode != http.StatusBadRequest || !strings.Contains(strings.ToLower(html.UnescapeString(at)), strings.ToLower(tt.says)) {
			t.Errorf("%s = %d; at %s: %q", name, res.StatusCode, tt.field, at)
		}
		if !strings.Contains(res.body, `aria-describedby="`+tt.field+`-error"`) && tt.field != "r1-rollout" {
			t.Errorf("%s: nothing is described by what is wrong with it", name)
		}
		for i := 0; i < len(tt.set); i += 2 {
			if shown := (&builder{t: t}).show(res.body).value(tt.set[i]); strings.TrimSpace(strings.ReplaceAll(shown, "\n", "\r\n")) != strings.TrimSpace(tt.set[i+1]) && tt.field[3:] != "to" && name != "no operator" {
				t.Errorf("%s: %s is now %q", name, tt.set[i], shown)
			}
		}
	}
	if now := stored(); now.ETag != before.ETag {
		t.Errorf("what was refused changed it: %+v", now)
	}
	if b := form().do("group r0").do("remove r0.c1.c0").set("reason", "x"); !strings.Contains(b.save().body, `id="r0-c1-match-error"`) {
		t.Error("an empty group is kept, or refused elsewhere")
	}

	// Every rule there can be goes through rows and through JSON as it is.
	rules := everyRule()
	if _, err := flags.Update(t.Context(), acme, flag.UpdateRequest{Key: made.Key, Environment: "staging", Rules: &rules}); err != nil {
		t.Fatal(err)
	}
	full := stored()
	b = form()
	if strings.Contains(b.body, `id="changes-h"`) {
		t.Error("rows that nobody changed would change something")
	}
	b = b.do("json").do("form").do("review").do("down r0").do("up r1")
	if now := saved(b); now.ETag != full.ETag {
		sameRules(t, now.Rules, full.Rules)
	}
	if b := form().do("json").set("rules", "[").do("form"); !strings.Contains(b.body, `id="flag-rules-error"`) || b.value("view") != "json" {
		t.Error("JSON that cannot be read becomes rows")
	}
	if b := form().set("r0.c0.values", "").do("review"); !strings.Contains(b.body, `id="r0-c0-values-error"`) {
		t.Error("a look at changes does not say what saving would")
	}

	// Taking everything away, and what nobody drew.
	b = form()
	for range 5 {
		b.do("remove r0")
	}
	for _, odd := range []string{"up r0", "remove r9", "term r0.c0", "remove", "", "group r7.c1", "rule r0 r0"} {
		if res := dev.form(t, strings.Replace(at, "/rules", "/rules/draft", 1), append(slices.Clone(form().fields), "do", odd)...); res.StatusCode != http.StatusOK {
			t.Errorf("%q = %d", odd, res.StatusCode)
		}
	}
	if now := saved(b); len(now.Rules) != 0 {
		t.Errorf("removed, and there: %+v", now.Rules)
	}
}

func sameRules(t *testing.T, got, want []flag.Rule) {
	t.Helper()
	a, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.MarshalIndent(want, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		x, y := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
		for i := range min(len(x), len(y)) {
			if x[i] != y[i] {
				t.Fatalf("rules differ at %s: %q, want %q", strings.Join(y[max(0, i-4):i], ""), x[i], y[i])
			}
		}
		t.Fatalf("%d lines of rules, want %d", len(x), len(y))
	}
}
