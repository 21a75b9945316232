package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/member"
)

// A developer makes a segment, says whom it holds by rows and by a list, asks for it in a flag's rules, goes back to a former version
// of these, and cannot take away what they ask for.
func TestSegmentPages(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	other, foreign := s.tenant(t)
	dev, viewer, stranger := s.person(t, "Dev", acme, member.Developer), s.person(t, "Vi", acme, member.Viewer), s.person(t, "Eve", other, member.Owner)
	flags := flag.New(s.store.Store, s.keys)
	page := "/console/t/" + slug + "/segments"
	at := page + "/beta"
	if body := dev.get(t, page).body; !strings.Contains(body, "No segments yet") {
		t.Error("an empty list gives no next step")
	}
	for name, fields := range map[string][]string{
		"key":    {"key", "a b", "name", "x", "reason", "x"},
		"name":   {"key", "x", "name", "", "reason", "x"},
		"reason": {"key", "x", "name", "x", "reason", ""},
	} {
		if res := dev.form(t, page, fields...); res.StatusCode < 400 || !strings.Contains(res.body, `id="segment-`+name+`-error"`) {
			t.Errorf("a bad %s = %d", name, res.StatusCode)
		}
	}
	if res := dev.form(t, page, "key", "beta", "name", "Beta <b> testers", "description", "of what is\r\nnot finished", "reason", "before the launch"); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != at {
		t.Fatalf("create = %d %s", res.StatusCode, res.body)
	}
	if res := dev.form(t, page, "key", "beta", "name", "x", "reason", "x"); !strings.Contains(res.body, `id="segment-key-error"`) {
		t.Errorf("a key twice = %d", res.StatusCode)
	}

	// Its condition, in rows.
	form := func() *builder {
		t.Helper()
		return (&builder{t: t, of: dev, action: at + "/edit"}).show(dev.get(t, at+"/edit").body)
	}
	b := form().do("term when").set("when.c0.attribute", "plan", "when.c0.values", "beta").do("group when").set("when.c1.c0.attribute", "age", "when.c1.c0.operator", "AT_LEAST", "when.c1.c0.values", "old", "reason", "whom we know")
	old := b.value("etag")
	if strings.Contains(b.body, `value="segment when"`) {
		t.Error("a segment may ask for another")
	}
	if res := b.save(); res.StatusCode < 400 || !strings.Contains(res.body, `id="when-c1-c0-values-error"`) || !strings.Contains(res.body, "compares numbers") {
		t.Errorf("a bad condition = %d", res.StatusCode)
	}
	if got, _, err := flags.GetSegment(t.Context(), acme, "beta"); err != nil || !got.When.IsZero() || got.Description != "of what is\nnot finished" {
		t.Errorf("what was refused is kept: %+v, %v", got, err)
	}
	if res := b.do("remove when.c1").set("reason", "whom we know").save(); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("save = %d %s", res.StatusCode, res.body)
	}
	if res := form().set("etag", old, "reason", "x").save(); res.StatusCode != http.StatusConflict || !strings.Contains(res.body, "Somebody changed this segment meanwhile") {
		t.Errorf("saving over somebody else's = %d", res.StatusCode)
	}

	// Its list.
	list := func(how, keys string) answer {
		return dev.form(t, at+"/members", "how", how, "targetingKeys", keys, "reason", "they asked")
	}
	for _, one := range [][2]string{{"in", "cust_1\r\n cust_2 \r\n\r\ncust_3"}, {"out", "cust_2"}, {"remove", "cust_3\r\ncust_4"}} {
		if res := list(one[0], one[1]); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s = %d %s", one[0], res.StatusCode, res.body)
		}
	}
	for name, res := range map[string]answer{"nobody": list("in", " \r\n"), "a long one": list("in", strings.Repeat("x", 257))} {
		if res.StatusCode < 400 || !strings.Contains(res.body, `id="list-keys-error"`) {
			t.Errorf("%s = %d", name, res.StatusCode)
		}
	}
	if res := list("maybe", "x"); res.StatusCode < 400 {
		t.Errorf("an act that is none = %d", res.StatusCode)
	}
	for key, want := range map[string]string{"cust_1": "On the list, in the segment", "cust_2": "On the list, to be kept out", "cust_3": "Not on the list", "": `id="find-key-error"`} {
		if res := viewer.form(t, at+"/find", "targetingKey", key); !strings.Contains(res.body, want) {
			t.Errorf("%q: the page lacks %q", key, want)
		}
	}
	if body := viewer.get(t, at).body; !strings.Contains(body, "1 in it, 1 kept out") || !strings.Contains(body, "Where plan is beta") || strings.Contains(body, "<b> testers") || strings.Contains(body, at+"/members") || strings.Contains(body, "cust_") {
		t.Error("the page does not say what it is, or offers a viewer what they may not")
	}

	// Back to what it was before its condition, by its history: the list stays. It names nobody who is listed.
	links := regexp.MustCompile(`href="([^"]*/history/[^"]*)"`)
	shown := dev.get(t, at).body
	for _, want := range []string{"Condition changed", "whom we know", "3 put in by the list", "1 kept out by the list", "1 taken off the list", "before the launch"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the history lacks %q", want)
		}
	}
	if found := links.FindAllStringSubmatch(shown, -1); len(found) != 1 || links.MatchString(viewer.get(t, at).body) || strings.Contains(shown, "cust_") {
		t.Fatalf("the history leads back to %q, a viewer too, or names members", found)
	}
	former := links.FindStringSubmatch(shown)[1]
	shown = dev.get(t, former).body
	if !strings.Contains(shown, `id="changes-h"`) || !strings.Contains(shown, "plan") || !strings.Contains(shown, "Its list stays as it is") {
		t.Error("what of the segment would come back is not shown")
	}
	for name, res := range map[string]answer{
		"without a reason": dev.form(t, former, "etag", etagIn(t, shown), "reason", ""), "over somebody else's": dev.form(t, former, "etag", old, "reason", "x"), "over whatever is there": dev.form(t, former, "reason", "x"),
		"by a viewer": viewer.form(t, former, "etag", etagIn(t, shown), "reason", "x"), "by a stranger": stranger.form(t, strings.Replace(former, slug, foreign, 1), "etag", etagIn(t, shown), "reason", "x"),
		"to nothing": dev.get(t, at+"/history/none"), "by a viewer's look": viewer.get(t, former),
	} {
		if res.StatusCode < 400 {
			t.Errorf("back %s = %d", name, res.StatusCode)
		}
	}
	if got, _, err := flags.GetSegment(t.Context(), acme, "beta"); err != nil || got.When.IsZero() {
		t.Errorf("what was refused came back: %+v, %v", got, err)
	}
	if res := dev.form(t, former, "etag", etagIn(t, shown), "reason", "it was better"); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != at {
		t.Errorf("back = %d %s", res.StatusCode, res.body)
	}
	if got, _, err := flags.GetSegment(t.Context(), acme, "beta"); err != nil || !got.When.IsZero() || got.Included != 1 || got.Excluded != 1 {
		t.Errorf("back is %+v, %v", got, err)
	}
	if !strings.Contains(dev.get(t, former).body, "It is as it was then") || !strings.Contains(dev.get(t, at).body, "it was better") {
		t.Error("what is there can be brought back, or the history lacks it")
	}

	// In the rules of a flag, which then keep it.
	if res := dev.form(t, "/console/t/"+slug+"/flags", "key", "f", "name", "F", "type", "BOOLEAN", "reason", "x"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("a flag = %d", res.StatusCode)
	}
	rules := "/console/t/" + slug + "/flags/f/rules"
	r := (&builder{t: t, of: dev, action: rules}).show(dev.get(t, rules).body)
	r.do("rule").do("segment r0").set("r0.c0.operator", "!IN", "r0.to", "on", "reason", "the others").do("json").do("form").do("review").set("reason", "the others")
	if res := r.save(); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("rules of a segment = %d %s", res.StatusCode, res.body)
	}
	all, err := flags.Get(t.Context(), acme, "f")
	if err != nil || len(all[0].Rules) != 1 || all[0].Rules[0].When.Not == nil || all[0].Rules[0].When.Not.Segment != "beta" {
		t.Fatalf("rules are %+v, %v", all[0].Rules, err)
	}
	if body := viewer.get(t, "/console/t/"+slug+"/flags/f").body; !strings.Contains(body, "not (in segment beta)") {
		t.Error("the flag's page does not name the segment")
	}
	bad := (&builder{t: t, of: dev, action: rules}).show(dev.get(t, rules).body).set("r0.c0.segment", "betta", "reason", "x").save()
	if !strings.Contains(bad.body, `id="r0-c0-segment-error"`) || !strings.Contains(bad.body, "did you mean beta?") {
		t.Errorf("a segment that is not there = %d", bad.StatusCode)
	}
	if res := dev.form(t, at+"/delete", "reason", "over", "confirm", "beta"); res.StatusCode < 400 || !strings.Contains(res.body, "of f") {
		t.Errorf("deleting what a rule asks for = %d %s", res.StatusCode, res.body)
	}

	// Back to the rules of before, by the history.
	r = (&builder{t: t, of: dev, action: rules}).show(dev.get(t, rules).body).do("remove r0").set("reason", "nobody asks any more")
	if res := r.save(); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("no rules = %d", res.StatusCode)
	}
	ways := links.FindAllStringSubmatch(dev.get(t, "/console/t/"+slug+"/flags/f").body, -1)
	if len(ways) != 2 || strings.Contains(viewer.get(t, "/console/t/"+slug+"/flags/f").body, "/history/") {
		t.Fatalf("the history leads back to %q", ways)
	}
	back := ways[0][1]
	shown = dev.get(t, back).body
	if !strings.Contains(shown, `id="changes-h"`) || !strings.Contains(shown, "beta") {
		t.Error("what would come back is not shown")
	}
	if res := dev.form(t, back, "etag", etagIn(t, shown), "reason", ""); res.StatusCode < 400 || !strings.Contains(res.body, `id="back-reason-error"`) {
		t.Errorf("back without a reason = %d", res.StatusCode)
	}
	if res := dev.form(t, back, "etag", all[0].ETag, "reason", "x"); res.StatusCode < 400 {
		t.Errorf("back over somebody else's = %d", res.StatusCode)
	}
	if res := dev.form(t, back, "etag", etagIn(t, shown), "reason", "it was better"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("back = %d %s", res.StatusCode, res.body)
	}
	if again, err := flags.Get(t.Context(), acme, "f"); err != nil || len(again[0].Rules) != 1 {
		t.Errorf("back are %+v, %v", again[0].Rules, err)
	}
	if body := dev.get(t, back).body; !strings.Contains(body, "It is as it was then") {
		t.Error("what is there can be brought back")
	}

	for name, res := range map[string]answer{
		"a viewer's form": viewer.get(t, at+"/edit"), "a viewer's list": viewer.form(t, at+"/members", "how", "in", "targetingKeys", "x", "reason", "x"), "a viewer's back": viewer.form(t, back, "reason", "x"),
		"a viewer's draft": viewer.form(t, at+"/draft", "do", "term when"), "a viewer's end": viewer.form(t, at+"/delete", "reason", "x", "confirm", "beta"),
		"a stranger's": stranger.get(t, at), "of another tenant": stranger.get(t, "/console/t/"+foreign+"/segments/beta"), "of none": dev.get(t, page+"/none"),
		"a stranger's list": stranger.form(t, "/console/t/"+foreign+"/segments/beta/members", "how", "in", "targetingKeys", "x", "reason", "x"),
		"a stranger's back": stranger.form(t, strings.Replace(back, slug, foreign, 1), "reason", "x"), "back to nothing": dev.get(t, "/console/t/"+slug+"/flags/f/history/none"),
	} {
		want := http.StatusNotFound
		if strings.HasPrefix(name, "a viewer's") {
			want = http.StatusForbidden
		}
		if res.StatusCode != want {
			t.Errorf("%s = %d, want %d", name, res.StatusCode, want)
		}
	}
	r = (&builder{t: t, of: dev, action: rules}).show(dev.get(t, rules).body).do("remove r0").set("reason", "x")
	if res := r.save(); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("no rules = %d", res.StatusCode)
	}
	if res := dev.form(t, at+"/delete", "reason", "over", "confirm", "another"); res.StatusCode < 400 {
		t.Errorf("delete without its key = %d", res.StatusCode)
	}
	if res := dev.form(t, at+"/delete", "reason", "over", "confirm", "beta"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("delete = %d %s", res.StatusCode, res.body)
	}
	for action, n := range map[string]int64{"segment.create": 1, "segment.update": 2, "segment.members.add": 2, "segment.members.remove": 1, "segment.delete": 1} {
		if got := s.store.AuditCount(t, acme, action); got != n {
			t.Errorf("%d entries of %s, want %d", got, action, n)
		}
	}
}
