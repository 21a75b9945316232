package siem_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/siem"
)

// ocsfClasses is what OCSF 1.8.0 requires of the classes that we send: from the schema's own files, read by
// hand. Activities are those that a class defines; 0 and 99 are any class's.
var ocsfClasses = map[int]struct {
	category   int
	required   []string
	activities int // from 1 to it
}{
	3001: {3, []string{"user"}, 12},
	3002: {3, []string{"user", "service"}, 7}, // at least one of service, dst_endpoint
	3004: {3, []string{"entity"}, 13},
	6003: {6, []string{"actor", "api", "src_endpoint"}, 4},
}

// ocsfBase are required of every event.
var ocsfBase = []string{"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}

// Events of every kind meet what their class requires, and are of the class that they are about.
func TestOCSF(t *testing.T) {
	w := newWorks(t)
	r, req := newReceiver(t, w, siem.HTTPS)
	req.Format = siem.OCSF
	s := w.create(t, req)
	user := audit.Target{Kind: "user", ID: "0197a7d2-0000-7000-8000-0000000000aa"}
	owner := attr.Text("userId", user.ID)
	want := map[string]string{}
	var entries []audit.Entry
	for _, tt := range []struct {
		entry audit.Entry
		class string // class and activity
	}{
		{audit.Entry{Action: "authentication.finish", Target: audit.Target{Kind: "credential", ID: "c"}, Detail: detail(owner)}, "3002 1"},
		{audit.Entry{Action: "authentication.finish", Outcome: audit.Denied, Fault: "CHALLENGE_UNKNOWN", Target: audit.Target{Kind: "ceremony", ID: "x"}}, "3002 1"},
		{audit.Entry{Action: "session.revoke_all", Target: user}, "3002 2"},
		{audit.Entry{Action: "user.create", Target: user}, "3001 1"},
		{audit.Entry{Action: "user.block", Target: user, Reason: "lost"}, "3001 5"},
		{audit.Entry{Action: "user.update", Target: user, Before: detail(attr.Text("state", "a")), After: detail(attr.Text("state", "b"))}, "3001 99"},
		{audit.Entry{Action: "credential.revoke", Target: audit.Target{Kind: "credential", ID: "c"}, Detail: detail(owner)}, "3001 11"},
		{audit.Entry{Action: "apikey.create", Target: audit.Target{Kind: "apikey", ID: "k"}}, "3004 1"},
		{audit.Entry{Action: "member.remove", Target: audit.Target{Kind: "member", ID: "m"}, Reason: "left"}, "3004 4"},
		{audit.Entry{Action: "logstream.pause", Target: audit.Target{Kind: "logstream", ID: "l"}}, "3004 12"},
		{audit.Entry{Action: "policy.odd", Target: audit.Target{Kind: "policy", ID: "p"}, Outcome: audit.Failed, Reason: "POLICY_INVALID"}, "3004 99"},
		{audit.Entry{Action: "evidence.download", Target: audit.Target{Kind: "evidence", ID: "e"}}, "6003 2"},
		{audit.Entry{Action: "apikey.authenticate", Outcome: audit.Denied, Fault: "API_KEY_EXPIRED"}, "6003 99"},
	} {
		want[fmt.Sprint(len(entries))] = tt.class
		entries = append(entries, tt.entry)
	}
	w.write(t, entries...)
	w.deliver(t, s.ID)
	if len(r.events) != len(entries)+1 { // the first is the stream's own
		t.Fatalf("%d events", len(r.events))
	}
	for i, e := range r.events {
		number := func(name string) int { n, _ := e[name].(float64); return int(n) }
		class, activity := number("class_uid"), number("activity_id")
		law, ok := ocsfClasses[class]
		if !ok || number("category_uid") != law.category || number("type_uid") != class*100+activity || activity != 99 && (activity < 1 || activity > law.activities) {
			t.Errorf("event %d: class %d, activity %d, category %d, type %d", i, class, activity, number("category_uid"), number("type_uid"))
		}
		for _, name := range append(slices.Clone(ocsfBase), law.required...) {
			if e[name] == nil {
				t.Errorf("event %d of class %d lacks %s", i, class, name)
			}
		}
		m, _ := e["metadata"].(map[string]any)
		if p, ok := m["product"].(map[string]any); !ok || p["name"] == nil || m["version"] != siem.OCSFVersion || m["sequence"] == nil || m["tenant_uid"] != w.acme.Tenant().String() {
			t.Errorf("event %d: metadata %v", i, m)
		}
		oneOf := func(object string, names ...string) {
			if o, ok := e[object].(map[string]any); ok && !slices.ContainsFunc(names, func(n string) bool { return o[n] != nil && o[n] != "" }) {
				t.Errorf("event %d: %s has none of %v: %v", i, object, names, o)
			}
		}
		oneOf("user", "uid", "name")
		oneOf("entity", "uid", "name")
		oneOf("actor", "user", "app_uid")
		oneOf("src_endpoint", "ip", "svc_name")
		if api, ok := e["api"].(map[string]any); ok && api["operation"] == nil {
			t.Errorf("event %d: api %v", i, api)
		}
		if i == 0 {
			continue
		}
		if got := fmt.Sprint(class, activity); got != want[fmt.Sprint(i-1)] {
			t.Errorf("%s is %s, want %s", entries[i-1].Action, got, want[fmt.Sprint(i-1)])
		}
		status := 1.0
		if o := entries[i-1].Outcome; o == audit.Denied || o == audit.Failed {
			status = 2
		}
		if e["status_id"] != status {
			t.Errorf("%s: status %v", entries[i-1].Action, e["status_id"])
		}
	}
}

// ecsTypes are the types that ECS 9.4 expects in a category.
var ecsTypes = map[string][]string{
	"authentication": {"start", "end", "info"}, "session": {"start", "end", "info"},
	"iam":           {"admin", "change", "creation", "deletion", "group", "info", "user"},
	"configuration": {"access", "change", "creation", "deletion", "info"},
}

func TestECS(t *testing.T) {
	w := newWorks(t)
	r, req := newReceiver(t, w, siem.Elasticsearch)
	r.kind = siem.Elasticsearch
	var docs []map[string]any
	w.net.Page("elastic.example", "/logs-biocore.audit-default/_bulk", func(rw http.ResponseWriter, hr *http.Request) {
		lines := strings.Split(strings.TrimSpace(string(r.body(hr, "application/x-ndjson", true))), "\n")
		var items []string
		for i := 1; i < len(lines); i += 2 {
			var doc map[string]any
			if err := json.Unmarshal([]byte(lines[i]), &doc); err != nil {
				t.Error(err)
			}
			docs = append(docs, doc)
			event, _ := doc["event"].(map[string]any)
			items = append(items, fmt.Sprintf(`{"create":{"_id":"%v","status":201}}`, event["id"]))
		}
		_, _ = fmt.Fprintf(rw, `{"errors":false,"items":[%s]}`, strings.Join(items, ","))
	})
	req.Format = siem.ECS
	s := w.create(t, req)
	for _, action := range []string{"authentication.finish", "session.revoke", "user.create", "credential.revoke", "member.invite", "settings.update", "evidence.download", "policy.update"} {
		w.write(t, audit.Entry{Action: action, Outcome: audit.Denied, Fault: "WHY", Target: audit.Target{Kind: "user", ID: "u"}, Detail: detail(attr.Int("n", 1))})
	}
	w.deliver(t, s.ID)
	if len(docs) != 9 {
		t.Fatalf("%d documents", len(docs))
	}
	for _, d := range docs[1:] {
		event, _ := d["event"].(map[string]any)
		version, _ := d["ecs"].(map[string]any)
		ours, _ := d["biocore"].(map[string]any)
		user, _ := d["user"].(map[string]any)
		source, _ := d["source"].(map[string]any)
		if d["@timestamp"] == nil || version["version"] != siem.ECSVersion || event["kind"] != "event" || event["outcome"] != "failure" || event["sequence"] == nil ||
			ours["detail"] != `{"n":1}` || user["id"] != actor.ID || user["name"] != actor.Name || source["ip"] != "192.0.2.7" {
			t.Errorf("document = %v", d)
		}
		category, _ := event["category"].([]any)
		types, _ := event["type"].([]any)
		if len(category) != 1 || len(types) == 0 {
			t.Errorf("%v: category %v, type %v", event["action"], category, types)
			continue
		}
		for _, typ := range types {
			if !slices.Contains(ecsTypes[fmt.Sprint(category[0])], fmt.Sprint(typ)) {
				t.Errorf("%v: ECS expects no type %v in %v", event["action"], typ, category[0])
			}
		}
	}
}

// What a mapping refuses is noted and left out, what is there already counts as taken, and what may pass is
// tried again: an answer of _bulk has a status for each event.
func TestBulkItems(t *testing.T) {
	w := newWorks(t)
	r, req := newReceiver(t, w, siem.Elasticsearch)
	status := func(int) string { return `"status":201` }
	calls := 0
	w.net.Page("elastic.example", "/logs-biocore.audit-default/_bulk", func(rw http.ResponseWriter, hr *http.Request) {
		calls++
		var items []string
		for i, line := range strings.Split(strings.TrimSpace(string(r.body(hr, "application/x-ndjson", true))), "\n") {
			var op struct {
				Create struct {
					ID string `json:"_id"`
				}
			}
			if i%2 == 0 && json.Unmarshal([]byte(line), &op) == nil {
				items = append(items, fmt.Sprintf(`{"create":{"_id":"%s",%s}}`, op.Create.ID, status(i/2)))
			}
		}
		_, _ = fmt.Fprintf(rw, `{"errors":true,"items":[%s]}`, strings.Join(items, ","))
	})
	s := w.create(t, req)
	w.log(t, 3) // with the stream's own, four
	status = func(i int) string {
		if i == 2 {
			return `"status":429,"error":{"type":"es_rejected_execution_exception"}`
		}
		return `"status":201`
	}
	w.refused(t, s.ID, "429 Too Many Requests for an event")
	status = func(i int) string {
		switch i {
		case 1:
			return `"status":400,"error":{"type":"document_parsing_exception","reason":"[1:52] failed to parse field [actor.kind] of type [ip] in document with id 'x'. Preview of field's value: '203.0.113.9' [203.0.113.9] [Ana]"}`
		case 2:
			return `"status":201`
		}
		return `"status":409,"error":{"type":"version_conflict_engine_exception"}`
	}
	w.deliver(t, s.ID)
	got := w.get(t, s.ID)
	rejects, err := w.Rejects(t.Context(), w.acme, s.ID, 10)
	if err != nil || len(rejects) != 1 || rejects[0].Seq != s.NextSeq+1 || rejects[0].Reason != "document_parsing_exception: actor.kind" {
		t.Errorf("Rejects = %+v, %v", rejects, err)
	}
	if got.Rejected != 1 || got.Sent != 3 || calls != 2 {
		t.Errorf("stream = %+v after %d calls", got, calls)
	}
	if err := w.Service.Delete(t.Context(), w.acme, s.ID, "", ""); err != nil { // with what it has noted
		t.Error(err)
	}
}

// A batch that is too large goes in halves; an entry that is too large by itself is noted and left out.
func TestTooLarge(t *testing.T) {
	w := newWorks(t)
	r, req := newReceiver(t, w, siem.HTTPS)
	w.net.Page("siem.example", "/in", func(rw http.ResponseWriter, hr *http.Request) {
		if hr.ContentLength > 1800 {
			rw.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		r.https(rw, hr)
	})
	s := w.create(t, req)
	w.log(t, 20)
	large := w.size(t)
	w.write(t, audit.Entry{Action: "user.update", Detail: detail(attrText(strings.Repeat("x", 1500)))})
	w.log(t, 3)
	w.deliver(t, s.ID)
	rejects, err := w.Rejects(t.Context(), w.acme, s.ID, 10)
	if err != nil || len(rejects) != 1 || rejects[0].Seq != large {
		t.Errorf("Rejects = %+v, %v; want number %d", rejects, err, large)
	}
	seen := r.got()
	checkArrivals(t, append(append(slices.Clone(seen[:slices.Index(seen, large+1)]), large), seen[slices.Index(seen, large+1):]...), s.NextSeq, w.size(t)-1)
}
