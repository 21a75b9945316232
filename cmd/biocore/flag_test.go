package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// flag is the key of a new flag of the tenant.
func (w *world) flag(t testing.TB, c *customer) string {
	t.Helper()
	return w.must(t, "POST", "/admin/v1/flags", c.secret, map[string]any{"key": "f-" + uuid.NewString(), "type": "BOOLEAN", "name": "Number matching"}).text("key")
}

// segment is the key of a new segment of the tenant.
func (w *world) segment(t testing.TB, c *customer) string {
	t.Helper()
	return w.must(t, "POST", "/admin/v1/segments", c.secret, map[string]any{"key": "s-" + uuid.NewString(), "name": "Beta testers"}).text("key")
}

// A segment by REST, in a rule that OFREP evaluates, from its making to the erasure of who is listed.
func TestSegmentsByREST(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "segments")
	key := w.segment(t, c)
	external := "cust_0051907"
	user := w.must(t, "POST", "/v1/users", c.secret, map[string]any{"externalId": external, "name": "someone@example.com"}).text("id")
	at := "/admin/v1/segments/" + key
	up := w.must(t, "PATCH", at, c.secret, map[string]any{"when": map[string]any{"attribute": "plan", "operator": "IN", "values": []any{"beta"}}})
	if !strings.Contains(up.raw, `"values":["beta"]`) {
		t.Errorf("updated %s", up)
	}
	f := w.flag(t, c)
	w.must(t, "PUT", "/admin/v1/flags/"+f+"/rules", c.secret, map[string]any{"rules": []any{map[string]any{"when": map[string]any{"segment": key}, "variant": "on"}}})
	w.must(t, "PATCH", "/admin/v1/flags/"+f, c.secret, map[string]any{"enabled": true})
	gets := func(subject string) any {
		t.Helper()
		return w.must(t, "POST", "/ofrep/v1/evaluate/flags/"+f, c.secret, map[string]any{"context": map[string]any{"targetingKey": subject, "plan": "free"}}).at("value")
	}
	if n := w.must(t, "POST", at+":addMembers", c.secret, map[string]any{"targetingKeys": []any{user, external, "cust_1"}}).at("added"); n != any(3.0) {
		t.Errorf("added %v", n)
	}
	for subject, want := range map[string]bool{user: true, external: true, "cust_1": true, "cust_2": false} {
		if gets(subject) != any(want) {
			t.Errorf("%s gets %t", subject, !want)
		}
	}
	if got := w.must(t, "GET", at, c.secret, nil); !strings.Contains(got.raw, `"usedBy":["`+f+`"]`) || got.at("included") != any(3.0) {
		t.Errorf("it is %s", got)
	}
	if a := w.call(t, "DELETE", at, c.secret, nil); a.status != http.StatusBadRequest && a.status != http.StatusConflict && a.status != http.StatusPreconditionFailed || !strings.Contains(a.raw, "SEGMENT_IN_USE") || !strings.Contains(a.raw, f) {
		t.Errorf("deleting what rules ask for = %s", a)
	}
	// Erasing a user takes the user out, by id and by external id, and nobody else; every server knows.
	w.must(t, "DELETE", "/v1/users/"+user, c.secret, nil)
	for subject, want := range map[string]bool{user: false, external: false, "cust_1": true} {
		if gets(subject) != any(want) {
			t.Errorf("after the erasure %s gets %t", subject, !want)
		}
		if found := w.must(t, "POST", at+":findMember", c.secret, map[string]any{"targetingKey": subject}).at("listed"); found != any(want) {
			t.Errorf("after the erasure %s is listed: %v", subject, found)
		}
	}
	// Its history has what it was, and of its list how many: the erasure had nothing to find there.
	history := w.must(t, "GET", at+"/changes?pageSize=2", c.secret, nil)
	if history.text("segmentChanges", "0", "action") != "MEMBERS_INCLUDED" || history.at("segmentChanges", "0", "members") != any(3.0) || history.text("segmentChanges", "1", "action") != "UPDATED" ||
		history.text("segmentChanges", "1", "after", "when", "attribute") != "plan" || strings.Contains(history.raw, external) || strings.Contains(history.raw, user) {
		t.Errorf("the history is %s", history)
	}
	first := w.must(t, "GET", at+"/changes?pageSize=2&pageToken="+history.text("nextPageToken"), c.secret, nil).text("segmentChanges", "0", "id")
	if back := w.must(t, "POST", at+":restore", c.secret, map[string]any{"changeId": first, "reason": "as it began"}); back.at("when") != nil || back.at("included") != any(1.0) {
		t.Errorf("restored %s", back)
	}
	if a := w.call(t, "POST", at+":restore", c.secret, map[string]any{"changeId": history.text("segmentChanges", "0", "id")}); a.status != http.StatusNotFound || a.reason() != "SEGMENT_CHANGE_UNKNOWN" {
		t.Errorf("restoring a list = %s", a)
	}
}

// A flag by REST, from its making to its end.
func TestFlagsByREST(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "flags")
	made := w.must(t, "POST", "/admin/v1/flags", c.secret, map[string]any{
		"key": "theme", "type": "OBJECT", "name": "Theme", "variants": map[string]any{"plain": map[string]any{"dark": false}, "night": map[string]any{"dark": true, "size": 1.5}},
		"offVariant": "plain", "clientVisible": true,
	})
	if made.at("variants", "night", "size") != 1.5 || made.at("enabled") != any(false) || made.text("environment") != "production" || made.text("etag") == "" {
		t.Errorf("made %s", made)
	}
	w.must(t, "PATCH", "/admin/v1/flags/theme", c.secret, map[string]any{"enabled": true, "environment": "staging"})
	rules := []any{
		map[string]any{"id": "nordic", "variant": "night", "when": map[string]any{"any": []any{
			map[string]any{"attribute": "country", "operator": "IN", "values": []any{"NO", "SE"}}, map[string]any{"not": map[string]any{"attribute": "plan", "operator": "EXISTS"}},
		}}},
		map[string]any{"rollout": []any{map[string]any{"variant": "night", "weight": 12.5}, map[string]any{"variant": "plain", "weight": 87.5}}},
	}
	set := w.must(t, "PUT", "/admin/v1/flags/theme/rules", c.secret, map[string]any{"environment": "staging", "rules": rules})
	if set.at("rules", "1", "rollout", "0", "weight") != 12.5 || set.text("rules", "0", "when", "any", "0", "values", "1") != "SE" || set.text("rules", "1", "id") == "" {
		t.Errorf("rules set: %s", set)
	}
	got := w.must(t, "POST", "/admin/v1/flags/theme:evaluate", c.secret, map[string]any{"environment": "staging", "context": map[string]any{"targetingKey": "u1", "country": "SE", "plan": "free"}})
	if got.text("variant") != "night" || got.at("value", "dark") != any(true) || got.text("reason") != "TARGETING_MATCH" || got.text("steps", "1", "why") != "country is SE" {
		t.Errorf("evaluated: %s", got)
	}
	if off := w.must(t, "POST", "/admin/v1/flags/theme:evaluate", c.secret, map[string]any{}); off.text("reason") != "DISABLED" || off.text("variant") != "plain" {
		t.Errorf("where it is off: %s", off)
	}
	if a := w.call(t, "POST", "/admin/v1/flags/theme:evaluate", c.secret, map[string]any{"context": map[string]any{"targetingKey": 7}}); a.status != http.StatusBadRequest || a.metadata("field") != "context" {
		t.Errorf("a targeting key that is a number: %s", a)
	}
	for name, tt := range map[string]struct {
		method, path string
		body         any
		status       int
		reason, at   string
	}{
		"no such operator":  {"PUT", "/admin/v1/flags/theme/rules", map[string]any{"rules": []any{map[string]any{"variant": "night", "when": map[string]any{"attribute": "a", "operator": "EQUAL"}}}}, 400, "FLAG_INVALID", "rules[0].when.operator"},
		"an empty when":     {"PUT", "/admin/v1/flags/theme/rules", map[string]any{"rules": []any{map[string]any{"variant": "night", "when": map[string]any{}}}}, 400, "FLAG_INVALID", "rules[0].when"},
		"200 percent":       {"PUT", "/admin/v1/flags/theme/rules", map[string]any{"rules": []any{map[string]any{"rollout": []any{map[string]any{"variant": "night", "weight": 200}}}}}, 400, "FLAG_INVALID", "rules[0].rollout[0].weight"},
		"another type":      {"PATCH", "/admin/v1/flags/theme", map[string]any{"variants": map[string]any{"plain": 7}}, 400, "FLAG_INVALID", "variants.plain"},
		"no day":            {"PATCH", "/admin/v1/flags/theme", map[string]any{"removeBy": "soon"}, 400, "FLAG_INVALID", "removeBy"},
		"no environment":    {"GET", "/admin/v1/flags/theme?environment=moon", nil, 404, "FLAG_ENVIRONMENT_UNKNOWN", ""},
		"no flag":           {"POST", "/admin/v1/flags/none:evaluate", map[string]any{}, 404, "FLAG_UNKNOWN", ""},
		"a flag twice":      {"POST", "/admin/v1/flags", map[string]any{"key": "theme", "type": "BOOLEAN", "name": "x"}, 409, "FLAG_KEY_TAKEN", ""},
		"a hostile key":     {"POST", "/admin/v1/flags", map[string]any{"key": "<script>", "type": "BOOLEAN", "name": "x"}, 400, "FLAG_INVALID", "key"},
		"a type of its own": {"POST", "/admin/v1/flags", map[string]any{"key": "x", "name": "x"}, 400, "FLAG_INVALID", "type"},
	} {
		a := w.call(t, tt.method, tt.path, c.secret, tt.body)
		if a.status != tt.status || a.reason() != tt.reason || !strings.Contains(a.String(), tt.at) {
			t.Errorf("%s: %s", name, a)
		}
	}
	if again := w.must(t, "GET", "/admin/v1/flags/theme?environment=staging", c.secret, nil); again.text("etag") != set.text("etag") {
		t.Errorf("what was refused changed it: %s", again)
	}
	w.must(t, "PATCH", "/admin/v1/flags/theme", c.secret, map[string]any{"environment": "staging", "enabled": false, "reason": "the night is too dark"})
	history := w.must(t, "GET", "/admin/v1/flags/theme/changes", c.secret, nil)
	list, _ := history.at("flagChanges").([]any)
	if len(list) != 4 || history.text("flagChanges", "0", "reason") != "the night is too dark" || history.at("flagChanges", "0", "before", "enabled") != any(true) || history.at("flagChanges", "0", "after", "enabled") != any(false) {
		t.Errorf("history: %s", history)
	}
	w.must(t, "DELETE", "/admin/v1/flags/theme?reason=over", c.secret, nil)
	if a := w.call(t, "GET", "/admin/v1/flags/theme", c.secret, nil); a.status != http.StatusNotFound || a.reason() != "FLAG_UNKNOWN" {
		t.Errorf("what is deleted: %s", a)
	}
	if list := w.must(t, "GET", "/admin/v1/flags", c.secret, nil); len(list.items("flags")) != 0 {
		t.Errorf("the list is %s", list)
	}
}
