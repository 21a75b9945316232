package console_test

import (
	"errors"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/member"
)

// A history has pages, the last of which ends where a thing was made; of flags and of segments.
func TestHistoriesHavePages(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	viewer, dev := s.person(t, "Vi", acme, member.Viewer), s.person(t, "Dev", acme, member.Developer)
	flags := flag.New(s.store.Store, s.keys)
	_, err := flags.Create(t.Context(), acme, flag.CreateRequest{Key: "f", Type: flag.Boolean, About: flag.About{Name: "F"}})
	_, wrong := flags.CreateSegment(t.Context(), acme, flag.CreateSegmentRequest{Key: "s", Name: "S"})
	if err := errors.Join(err, wrong); err != nil {
		t.Fatal(err)
	}
	for i := range 25 {
		name := fmt.Sprintf("F%d", i)
		_, err := flags.Update(t.Context(), acme, flag.UpdateRequest{Key: "f", Name: &name})
		_, wrong := flags.UpdateSegment(t.Context(), acme, flag.UpdateSegmentRequest{Key: "s", Name: &name})
		if err := errors.Join(err, wrong); err != nil {
			t.Fatal(err)
		}
	}
	next := regexp.MustCompile(`href="([^"]+)"[^>]*rel="next"|rel="next"[^>]*href="([^"]+)"`)
	for _, at := range []string{"/console/t/" + slug + "/flags/f", "/console/t/" + slug + "/segments/s"} {
		first := viewer.get(t, at).body
		older := next.FindStringSubmatch(first)
		if older == nil || strings.Contains(first, "<span>Made</span>") {
			t.Fatalf("%s: a long history has one page", at)
		}
		to := html.UnescapeString(older[1] + older[2])
		if body := viewer.get(t, to).body; !strings.Contains(body, "<span>Made</span>") || !strings.Contains(body, `rel="prev"`) {
			t.Errorf("%s: its older page does not go back to where it was made", at)
		}
		if all := strings.Count(dev.get(t, to).body, "Back to this"); all != 6 {
			t.Errorf("%s: %d of six older changes can be brought back", at, all)
		}
		if res := viewer.get(t, at+"?after=x"); res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: a page that is none = %d", at, res.StatusCode)
		}
	}
}

// A developer makes a flag, says who gets what, switches it on, asks why, and takes it back.
func TestFlagPages(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	other, foreign := s.tenant(t)
	dev, viewer, stranger := s.person(t, "Dev", acme, member.Developer), s.person(t, "Vi", acme, member.Viewer), s.person(t, "Eve", other, member.Owner)
	page := "/console/t/" + slug + "/flags"
	if body := dev.get(t, page).body; !strings.Contains(body, "No feature flags yet") || !strings.Contains(body, "curl -H") {
		t.Error("an empty list gives no next step")
	}
	if body := viewer.get(t, page).body; strings.Contains(body, page+"/new") {
		t.Error("a viewer is offered to make one")
	}
	made := dev.form(t, page, "key", "number-matching", "name", "Number <b> matching", "type", "BOOLEAN", "owner", "Payments", "removeBy", "2001-01-31", "clientVisible", "on", "reason", "for the new app")
	at := page + "/number-matching"
	if made.StatusCode != http.StatusSeeOther || made.Header.Get("Location") != at {
		t.Fatalf("create = %d %s", made.StatusCode, made.body)
	}
	if body := dev.get(t, page).body; !strings.Contains(body, "Serves off to everybody") || !strings.Contains(body, "31 Jan 2001") || strings.Contains(body, "<b> matching") {
		t.Error("the list does not say what it is, or says it as markup")
	}

	rules := `[{"when": {"all": [{"attribute": "country", "operator": "IN", "values": ["NO", "SE"]}, {"not": {"attribute": "plan", "operator": "IN", "values": ["free"]}}]}, "variant": "on"},
		{"rollout": [{"variant": "on", "weight": 12.5}, {"variant": "off", "weight": 87.5}]}]`
	form := dev.get(t, at+"/rules?environment=staging").body
	save := func(text, tag string) answer {
		return dev.form(t, at+"/rules?environment=staging", "view", "json", "rules", text, "offVariant", "off", "defaultVariant", "off", "etag", tag, "reason", "Nordic first")
	}
	for name, tt := range map[string]struct{ text, says string }{
		"no list":       {`{"when": 1}`, "Line 1: object cannot stand"},
		"no JSON":       {"[\n{\n}", "Line 3: the list has no end"},
		"an unknown":    {"[{\n\"whem\": {}, \"variant\": \"on\"}]", "unknown field"},
		"an operator":   {`[{"variant": "on", "when": {"attribute": "country", "operator": "INN", "values": ["NO"]}}]`, "did you mean IN?"},
		"200 percent":   {`[{"rollout": [{"variant": "on", "weight": 200}]}]`, "0 to 100 percent"},
		"half of it":    {`[{"rollout": [{"variant": "on", "weight": 50}]}]`, "add up to 100 percent"},
		"two in a line": {`[] []`, "nothing after it"},
		"no condition":  {`[{"variant": "off"}, {"when": {"all": null}, "variant": "on"}]`, "condition of rule 2 asks nothing"},
		"many rules":    {"[" + strings.Repeat("{},", 10_000) + "{}]", "these are 10001 with 0"},
		"many of all":   {`[{"when": {"all": [` + strings.Repeat(`{"not": {"segment": "x"}},`, 100) + `{"segment": "x"}]}, "variant": "on"}]`, "these are 1 with 202"},
	} {
		res := save(tt.text, etagIn(t, form))
		if res.StatusCode != http.StatusUnprocessableEntity && res.StatusCode != http.StatusBadRequest || !strings.Contains(res.body, `id="flag-rules-error"`) || !strings.Contains(res.body, tt.says) || !strings.Contains(res.body, "Nordic first") {
			t.Errorf("%s = %d, without %q at the field", name, res.StatusCode, tt.says)
		}
	}
	if got, err := flag.New(s.store.Store, s.keys).Get(t.Context(), acme, "number-matching"); err != nil || len(got[1].Rules) != 0 {
		t.Errorf("what was refused is in force: %+v, %v", got[1].Rules, err)
	}
	// What would be drawn many times larger than it was posted, or compared line by line with what is in force, is not.
	huge := []string{"view", "json", "rules", "[" + strings.Repeat("{},", 10_000) + "{}]"}
	terms, splits, many := []string{"r0.id", "", "r0.match", "all", "r0.to", "on"}, []string{"r0.id", "", "r0.match", "all", "r0.to", "*"}, []string{}
	for i := range 500 {
		n := strconv.Itoa(i)
		terms, splits, many = append(terms, "r0.c"+n+".is", "segment"), append(splits, "r0.s"+n+".variant", "x"), append(many, "r"+n+".id", "")
	}
	for name, fields := range map[string][]string{"terms": terms, "shares": splits, "rules": many, "JSON": huge} {
		for _, do := range []string{"rule", "form", "json", "review"} {
			res := dev.form(t, at+"/rules/draft?environment=staging", append(slices.Clone(fields), "do", do)...)
			if name == "JSON" && do == "rule" {
				continue // which has no rows
			}
			if res.StatusCode < 400 || res.StatusCode >= 500 || len(res.body) > 200_000 {
				t.Errorf("%s by %s = %d, %d bytes", name, do, res.StatusCode, len(res.body))
			}
		}
		if res := dev.form(t, at+"/rules?environment=staging", append(slices.Clone(fields), "etag", etagIn(t, form), "reason", "x")...); res.StatusCode < 400 || res.StatusCode >= 500 || len(res.body) > 200_000 {
			t.Errorf("saving %s = %d, %d bytes", name, res.StatusCode, len(res.body))
		}
	}
	if res := save(rules, etagIn(t, form)); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != at+"?environment=staging" {
		t.Fatalf("save = %d %s", res.StatusCode, res.body)
	}
	if res := save(rules, etagIn(t, form)); res.StatusCode != http.StatusConflict || !strings.Contains(res.body, "Somebody changed this flag meanwhile") {
		t.Errorf("saving over somebody else's = %d", res.StatusCode)
	}
	if res := dev.form(t, at+"/switch?environment=staging", "enabled", "true", "reason", "try it"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("switch = %d %s", res.StatusCode, res.body)
	}
	// Who presses what somebody else has pressed in the meantime does not undo it.
	if res := dev.form(t, at+"/switch?environment=staging", "enabled", "true", "reason", "twice"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("twice = %d %s", res.StatusCode, res.body)
	}
	if got, err := flag.New(s.store.Store, s.keys).Get(t.Context(), acme, "number-matching"); err != nil || !got[1].Enabled {
		t.Errorf("switching on twice switches off: %+v, %v", got, err)
	}
	for _, to := range []string{"", "maybe"} {
		if res := dev.form(t, at+"/switch?environment=staging", "enabled", to, "reason", "x"); res.StatusCode < 400 {
			t.Errorf("switching %q = %d", to, res.StatusCode)
		}
	}
	if body := dev.get(t, at+"?environment=staging").body; !strings.Contains(body, `name="enabled" value="false"`) || !strings.Contains(dev.get(t, at).body, `name="enabled" value="true"`) {
		t.Error("the forms do not say what they do")
	}
	body := dev.get(t, at+"?environment=staging").body
	for _, want := range []string{"country is one of NO, SE and not (plan is free)", "12.5%", "Kill switch", "1 rule, then 12.5% on, 87.5% off", "Switched on", "Nordic first", "Serves off to everybody"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for ask, want := range map[string]string{
		"u1\x00country = NO\nplan = pro": "Country is NO; plan is pro",
		"u1\x00country = NO\nplan=free":  "plan is free, needs not to",
		"\x00":                           "a rollout needs a targeting key",
		"u1\x00country":                  "write name = value",
	} {
		who, about, _ := strings.Cut(ask, "\x00")
		if got := viewer.form(t, at+"/why?environment=staging", "subject", who, "context", about); got.StatusCode != http.StatusOK || !strings.Contains(strings.ToLower(got.body), strings.ToLower(want)) {
			t.Errorf("asked %s, the page lacks %q", ask, want)
		}
	}
	if got, err := flag.New(s.store.Store, s.keys).Get(t.Context(), acme, "number-matching"); err != nil || got[0].Enabled || !got[1].Enabled || len(got[1].Rules) != 2 {
		t.Errorf("stored %+v, %v", got, err)
	}
	for q, found := range map[string]bool{"": true, "MATCH": true, "number-m": true, "nothing": false} {
		list, file := viewer.get(t, page+"?environment=staging&q="+q).body, viewer.get(t, page+"/export?environment=staging&q="+q).body
		if strings.Contains(list, "/flags/number-matching?") != found || strings.Contains(file, "number-matching,") != found || strings.Contains(list, "No flags found") == found {
			t.Errorf("looking for %q finds it: %t", q, !found)
		}
	}
	if file := viewer.get(t, page+"/export?environment=staging"); file.StatusCode != http.StatusOK || !strings.Contains(file.body, "number-matching,BOOLEAN") {
		t.Errorf("export = %d %s", file.StatusCode, file.body)
	}

	flags := flag.New(s.store.Store, s.keys)
	set, err := flags.Flags(t.Context(), acme, "staging")
	if err != nil {
		t.Fatal(err)
	}
	for _, country := range []string{"NO", "SE", "NO"} {
		set.Evaluate("number-matching", &flag.Subject{Key: "u1", Attributes: map[string]any{"country": country, "plan": "pro"}})
	}
	set.Evaluate("number-matching", &flag.Subject{})
	if _, err := flags.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{page: "Never", page + "?environment=staging": "25.0% the code’s default, 75.0% on", at: "Never", at + "?environment=staging": "the code’s default 25.0%"} {
		if body := viewer.get(t, path).body; !strings.Contains(body, want) {
			t.Errorf("%s lacks %q", path, want)
		}
	}
	stale := "/console/t/" + slug + "/stale-flags"
	if body := viewer.get(t, stale).body; !strings.Contains(body, "Should be gone by now") {
		t.Error("a flag whose day is over is not stale")
	}
	if _, err := flags.Update(t.Context(), acme, flag.UpdateRequest{Key: "number-matching", RemoveBy: new(*time.Time)}); err != nil {
		t.Fatal(err)
	}
	if body := viewer.get(t, stale).body; !strings.Contains(body, "No flag is stale") {
		t.Error("a new flag is stale")
	}
	if _, err := s.store.Superuser(t).Exec(t.Context(), `UPDATE flag_counts SET day = day - 40, last_at = last_at - interval '40 days'`); err != nil {
		t.Fatal(err)
	}
	if body := viewer.get(t, stale).body; !strings.Contains(body, "No longer evaluated") || !strings.Contains(body, at) {
		t.Error("what nobody asks for is not stale")
	}
	if res := viewer.get(t, stale+"?days=90"); !strings.Contains(res.body, "No flag is stale") {
		t.Errorf("after 90 days = %d", res.StatusCode)
	}
	for _, days := range []string{"0", "91", "x", "-1"} {
		if res := viewer.get(t, stale+"?days="+days); res.StatusCode < 400 || res.StatusCode >= 500 {
			t.Errorf("after %s days = %d", days, res.StatusCode)
		}
	}

	for name, res := range map[string]answer{
		"a viewer's switch": viewer.form(t, at+"/switch", "reason", "x"), "a viewer's rules": viewer.get(t, at+"/rules"), "a viewer's draft": viewer.form(t, at+"/rules/draft", "do", "rule"),
		"a stranger's": stranger.get(t, at), "a stranger's report": stranger.get(t, stale), "of another tenant": stranger.get(t, "/console/t/"+foreign+"/flags/number-matching"), "a stranger's switch": stranger.form(t, "/console/t/"+foreign+"/flags/number-matching/switch", "reason", "x"),
		"of nowhere": dev.get(t, at+"?environment=moon"), "of none": dev.get(t, page+"/none"),
	} {
		want := http.StatusNotFound
		if strings.HasPrefix(name, "a viewer's") {
			want = http.StatusForbidden
		}
		if res.StatusCode != want {
			t.Errorf("%s = %d, want %d", name, res.StatusCode, want)
		}
	}
	for name, fields := range map[string][]string{
		"key":      {"key", "a b", "name", "x", "type", "BOOLEAN", "reason", "x"},
		"name":     {"key", "x", "name", "", "type", "BOOLEAN", "reason", "x"},
		"variants": {"key", "x", "name", "x", "type", "STRING", "variants", `["a"]`, "reason", "x"},
		"removeBy": {"key", "x", "name", "x", "type", "BOOLEAN", "removeBy", "soon", "reason", "x"},
		"reason":   {"key", "x", "name", "x", "type", "BOOLEAN", "reason", ""},
	} {
		id := map[string]string{"removeBy": "remove"}[name]
		if id == "" {
			id = name
		}
		if res := dev.form(t, page, fields...); res.StatusCode < 400 || !strings.Contains(res.body, `id="flag-`+id+`-error"`) {
			t.Errorf("a bad %s = %d", name, res.StatusCode)
		}
	}
	if res := dev.form(t, page, "key", "number-matching", "name", "x", "type", "BOOLEAN", "reason", "x"); res.StatusCode < 400 || !strings.Contains(res.body, `id="flag-key-error"`) {
		t.Errorf("a key twice = %d", res.StatusCode)
	}
	// What environments share changes by a form, too: all of it, and nothing that rules rely on goes.
	if body := dev.get(t, at).body; !strings.Contains(body, `href="`+at+`/edit"`) || strings.Contains(viewer.get(t, at).body, at+"/edit") {
		t.Error("the page does not lead to its details, or leads a viewer there")
	}
	details := dev.get(t, at+"/edit").body
	if !strings.Contains(details, html.EscapeString(`"off": false,`+"\n"+`  "on": true`)) || !strings.Contains(details, `value="Payments"`) {
		t.Error("the form does not have what the flag is")
	}
	edit := func(tag string, pairs ...string) answer {
		fields := map[string]string{"name": "Matching", "owner": "Cards", "removeBy": "2099-12-31", "variants": `{"on": true, "off": false, "also": true}`, "reason": "it stays", "etag": tag}
		for pair := range slices.Chunk(pairs, 2) {
			fields[pair[0]] = pair[1]
		}
		var form []string
		for name, value := range fields {
			form = append(form, name, value)
		}
		return dev.form(t, at+"/edit", form...)
	}
	for name, tt := range map[string]struct {
		res answer
		at  string
	}{
		"no name": {edit(etagIn(t, details), "name", " "), "name"}, "no variants": {edit(etagIn(t, details), "variants", ""), "variants"}, "a list": {edit(etagIn(t, details), "variants", "[]"), "variants"},
		"one that a rule serves": {edit(etagIn(t, details), "variants", `{"off": false}`), "variants"}, "no day": {edit(etagIn(t, details), "removeBy", "soon"), "remove"}, "no reason": {edit(etagIn(t, details), "reason", ""), "reason"},
	} {
		if tt.res.StatusCode < 400 || !strings.Contains(tt.res.body, `id="flag-`+tt.at+`-error"`) || !strings.Contains(tt.res.body, `value="Cards"`) {
			t.Errorf("%s = %d", name, tt.res.StatusCode)
		}
	}
	if res := edit(""); res.StatusCode != http.StatusBadRequest {
		t.Errorf("without what was read = %d", res.StatusCode)
	}
	if res := edit(etagIn(t, details)); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != at {
		t.Fatalf("details = %d %s", res.StatusCode, res.body)
	}
	if res := edit(etagIn(t, details), "name", "Another"); res.StatusCode != http.StatusConflict || !strings.Contains(res.body, "Somebody changed this flag meanwhile") {
		t.Errorf("details over somebody else's = %d", res.StatusCode)
	}
	if got, err := flags.Get(t.Context(), acme, "number-matching"); err != nil || got[0].Name != "Matching" || got[0].Owner != "Cards" || got[0].ClientVisible || len(got[0].Variants) != 3 || got[0].RemoveBy == nil || len(got[1].Rules) != 2 || !got[1].Enabled {
		t.Errorf("stored %+v, %v", got, err)
	}
	if body := dev.get(t, at).body; !strings.Contains(body, "Details changed") || !strings.Contains(body, "it stays") {
		t.Error("the history lacks it")
	}
	for name, tt := range map[string]struct {
		res  answer
		want int
	}{
		"a viewer's": {viewer.form(t, at+"/edit", "reason", "x"), http.StatusForbidden}, "a stranger's": {stranger.form(t, "/console/t/"+foreign+"/flags/number-matching/edit", "reason", "x"), http.StatusNotFound},
	} {
		if tt.res.StatusCode != tt.want {
			t.Errorf("%s details = %d", name, tt.res.StatusCode)
		}
	}
	letters := strings.Repeat("é", 2500) // three times as many bytes in a post
	if res := dev.form(t, page, "key", "texts", "name", "Texts", "type", "STRING", "variants", `{"a": "`+letters+`", "b": "`+letters+`", "c": "`+letters+`", "d": "`+letters+`"}`, "offVariant", "a", "reason", "x"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("variants that the field has room for = %d", res.StatusCode)
	}
	if res := dev.form(t, at+"/delete", "reason", "over", "confirm", "another"); res.StatusCode < 400 {
		t.Errorf("delete without its key = %d", res.StatusCode)
	}
	if res := dev.form(t, at+"/delete", "reason", "over", "confirm", "number-matching"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("delete = %d %s", res.StatusCode, res.body)
	}
	for action, n := range map[string]int64{"flag.create": 2, "flag.update": 4, "flag.delete": 1} {
		if got := s.store.AuditCount(t, acme, action); got != n {
			t.Errorf("%d entries of %s, want %d", got, action, n)
		}
	}
}

// etagIn is what a form carries back.
func etagIn(t *testing.T, body string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, `name="etag" value="`)
	tag, _, _ := strings.Cut(rest, `"`)
	if !ok || tag == "" {
		t.Fatal("the form has no etag")
	}
	return tag
}
