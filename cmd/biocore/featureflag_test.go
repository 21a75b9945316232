package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/flag"
)

// A flag by the command line, from its making to its end: each step does what the API does, and every server knows.
func TestFlagCommands(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	c := w.tenant(t, "acme")
	on := func(verb string, more ...string) []string {
		return append([]string{"flag", verb, "--tenant", "acme"}, more...)
	}
	if out := s.must(t, on("list")...); out != "no flags\n" {
		t.Errorf("list = %s", out)
	}
	made := s.read(t, on("create", "--name", "Limit", "--type", "number", "--variant", "low=10", "--variant", "high=12.5", "--off-variant", "low", "--owner", "Payments", "--remove-by", "2027-01-15", "--client-visible", "limit")...)
	if made.at("enabled") != any(false) || made.at("variants", "high") != 12.5 || made.text("type") != "NUMBER" || made.text("removeBy") != "2027-01-15" || made.text("environment") != "production" || made.at("clientVisible") != any(true) {
		t.Errorf("created = %s", made)
	}
	rules := s.file(t, `[{"id": "pro", "when": {"attribute": "plan", "operator": "IN", "values": ["pro"]}, "variant": "high"}]`)
	if out := s.must(t, on("rules", "--environment", "staging", "--reason", "ticket 7", "limit", rules)...); out != "limit is off in staging, with 1 rule: servers within a second\n" {
		t.Errorf("rules = %s", out)
	}
	if out := s.must(t, on("on", "--environment", "staging", "limit")...); out != "limit is on in staging, with 1 rule: servers within a second\n" {
		t.Errorf("on = %s", out)
	}
	// What is printed is what is taken.
	printed := s.must(t, on("show", "--environment", "staging", "--rules", "limit")...)
	before := s.read(t, on("show", "--environment", "staging", "limit")...)
	if out, complaint, code := s.give(t, printed, on("rules", "--environment", "staging", "--if-match", before.text("etag"), "limit", "-")...); code != 0 {
		t.Errorf("its own rules again = %s%s", out, complaint)
	}
	if again := s.read(t, on("show", "--environment", "staging", "limit")...); again.raw != before.raw || again.text("rules", "0", "when", "values", "0") != "pro" {
		t.Errorf("after its own rules again: %s\nwas %s", again, before)
	}
	if api := w.must(t, "GET", "/admin/v1/flags/limit?environment=staging", c.secret, nil); api.text("etag") != before.text("etag") || api.at("enabled") != any(true) {
		t.Errorf("by the API it is %s", api)
	}
	shown := s.must(t, on("show", "limit")...)
	for _, word := range []string{"Limit", "number", "Payments", "2027-01-15", "publishable", "12.5", "production", "staging", "development"} {
		if !strings.Contains(shown, word) {
			t.Errorf("show lacks %s:\n%s", word, shown)
		}
	}
	if out := s.must(t, on("explain", "--environment", "staging", "--context", `{"plan": "pro"}`, "limit")...); out != "gets high 12.5 (TARGETING_MATCH)\n  the flag is on\n  rule pro: plan is pro\n" {
		t.Errorf("explain = %s", out)
	}
	if why := s.read(t, on("explain", "limit")...); why.text("variant") != "low" || why.at("value") != 10.0 || why.text("reason") != "DISABLED" {
		t.Errorf("explain where it is off = %s", why)
	}
	if out := s.must(t, on("list", "--environment", "staging")...); !strings.Contains(out, "limit") || !strings.Contains(out, "number") {
		t.Errorf("list = %s", out)
	}
	if out := s.must(t, on("stale")...); out != "no flag is stale\n" {
		t.Errorf("stale = %s", out)
	}

	s.must(t, on("rules", "--environment", "staging", "limit", s.file(t, "[]"))...)
	var history []flagChangeJSON
	if err := json.Unmarshal([]byte(s.must(t, on("history", "--limit", "10", "--json", "limit")...)), &history); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(history, func(c flagChangeJSON) bool { return c.Reason == "ticket 7" })
	if len(history) != 4 || at != 2 {
		t.Fatalf("history = %+v", history)
	}
	change := history[at].ID
	if out := s.must(t, on("history", "limit")...); !strings.Contains(out, change) || !strings.Contains(out, "ticket 7") || !strings.Contains(out, "everywhere") {
		t.Errorf("history = %s", out)
	}
	if out := s.must(t, on("restore", "--reason", "it was better", "limit", change)...); !strings.Contains(out, "on in staging, with 1 rule") {
		t.Errorf("restore = %s", out)
	}
	if out := s.must(t, on("off", "--environment", "staging", "--reason", "incident 7", "limit")...); !strings.Contains(out, "off in staging") {
		t.Errorf("off = %s", out)
	}

	s.refused(t, 1, flag.ErrNotFound.Reason, on("show", "limits")...)
	s.refused(t, 1, flag.ErrEnvironment.Reason, on("on", "--environment", "moon", "limit")...)
	s.refused(t, 1, flag.ErrEnvironment.Reason, on("show", "--environment", "moon", "limit")...)
	s.refused(t, 1, "rules: line 2", on("rules", "limit", s.file(t, "[\n{]"))...)
	s.refused(t, 1, `"hig" is no variant`, on("rules", "limit", s.file(t, `[{"variant": "hig"}]`))...)
	s.refused(t, 1, "ETAG_MISMATCH", on("rules", "--environment", "staging", "--if-match", before.text("etag"), "limit", rules)...)
	s.refused(t, 1, flag.ErrChangeNotFound.Reason, on("restore", "limit", uuid.NewString())...)
	s.refused(t, 1, flag.ErrTaken.Reason, on("create", "limit", "--type", "boolean")...)
	s.refused(t, 1, flag.ErrDays.Reason, on("stale", "--days", "91")...)
	s.refused(t, 2, "no name=JSON", on("create", "--type", "string", "--variant", "a=b", "x")...)
	s.refused(t, 2, "no day", on("create", "--remove-by", "soon", "x")...)
	s.refused(t, 2, "--context is an object", on("explain", "--context", "pro", "limit")...)
	s.refused(t, 2, "not the id of a change", on("restore", "limit", "last")...)
	s.refused(t, 2, "--tenant is required", "flag", "list")
	s.refused(t, 2, "longer than", on("off", "--reason", strings.Repeat("x", 257), "limit")...)

	if out := s.must(t, on("delete", "--reason", "out of the code", "limit")...); !strings.Contains(out, "limit is gone") {
		t.Errorf("delete = %s", out)
	}
	s.refused(t, 1, flag.ErrNotFound.Reason, on("delete", "limit")...)
	log := s.must(t, "audit", "list", "--tenant", "acme", "--filter", "targetKind = flag", "--json")
	for _, said := range []string{"flag.create", "ticket 7", "it was better", "incident 7", "out of the code", cliActor().Name} {
		if !strings.Contains(log, said) {
			t.Errorf("the log does not tell %q", said)
		}
	}
}

// Biocore's own switches are the reserved tenant's flags.
func TestFlagCommandsOfThePlatform(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	w.tenant(t, "acme") // a server has started, and made them
	if out := s.must(t, "flag", "list", "--tenant", "platform"); !strings.Contains(out, "biocore.") {
		t.Errorf("list = %s", out)
	}
}

// A segment by the command line: its condition, and a list that nobody can read.
func TestSegmentCommands(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	c := w.tenant(t, "acme")
	on := func(verb string, more ...string) []string {
		return append([]string{"segment", verb, "--tenant", "acme"}, more...)
	}
	if out := s.must(t, on("list")...); out != "no segments\n" {
		t.Errorf("list = %s", out)
	}
	condition := `{"attribute": "plan", "operator": "IN", "values": ["beta"]}`
	if out := s.must(t, on("create", "--when", s.file(t, condition), "--reason", "ticket 8", "beta")...); !strings.HasSuffix(out, "\n"+condition+"\n") {
		t.Errorf("create = %s", out)
	}
	var keys strings.Builder
	for range 1500 {
		keys.WriteString(uuid.NewString() + "\n\n")
	}
	if out := s.must(t, on("add", "--file", s.file(t, keys.String()), "beta", "cust_1", "cust_2")...); out != "1502 changes in the list of beta\n" {
		t.Errorf("add = %s", out)
	}
	if out, complaint, code := s.give(t, "cust_3\n", on("add", "--excluded", "--file", "-", "beta")...); code != 0 || out != "1 change in the list of beta\n" {
		t.Errorf("add --excluded = %s%s", out, complaint)
	}
	if out := s.must(t, on("remove", "beta", "cust_2", "cust_9")...); out != "1 change in the list of beta\n" {
		t.Errorf("remove = %s", out)
	}
	for key, says := range map[string]string{"cust_1": "is in, by system:cli", "cust_2": "is not listed", "cust_3": "is kept out"} {
		if out := s.must(t, on("find", "beta", key)...); !strings.Contains(out, says) {
			t.Errorf("find %s = %s", key, out)
		}
	}
	if m := s.read(t, on("find", "beta", "cust_3")...); m.at("listed") != any(true) || m.at("excluded") != any(true) || m.text("addedAt") == "" {
		t.Errorf("find --json = %s", m)
	}
	up := s.read(t, on("update", "--name", "Beta testers", "beta")...)
	if up.text("name") != "Beta testers" || up.text("when", "attribute") != "plan" || up.at("included") != 1501.0 || up.at("excluded") != 1.0 {
		t.Errorf("update = %s", up)
	}
	if api := w.must(t, "GET", "/admin/v1/segments/beta", c.secret, nil); api.text("etag") != up.text("etag") {
		t.Errorf("by the API it is %s", api)
	}
	if gone := s.read(t, on("update", "--when", s.file(t, "null"), "beta")...); gone.at("when") != nil {
		t.Errorf("update --when null = %s", gone)
	}
	s.must(t, "flag", "create", "--tenant", "acme", "matching")
	s.must(t, "flag", "rules", "--tenant", "acme", "matching", s.file(t, `[{"when": {"segment": "beta"}, "variant": "on"}]`))
	if out := s.must(t, on("show", "beta")...); !strings.Contains(out, "matching") || strings.Contains(out, "cust_1") {
		t.Errorf("show = %s", out)
	}
	if out := s.must(t, on("list")...); !strings.Contains(out, "Beta testers") || !strings.Contains(out, "1501") {
		t.Errorf("list = %s", out)
	}
	s.refused(t, 1, flag.ErrSegmentInUse.Reason, on("delete", "beta")...)
	s.refused(t, 1, flag.ErrSegmentTaken.Reason, on("create", "beta")...)
	s.refused(t, 1, flag.ErrSegmentNotFound.Reason, on("update", "--name", "x", "gamma")...)
	s.refused(t, 1, "when: line 1", on("update", "--when", s.file(t, "{"), "beta")...)
	s.refused(t, 2, "whom", on("add", "beta")...)
	s.must(t, "flag", "delete", "--tenant", "acme", "matching")
	if out := s.must(t, on("delete", "--reason", "over", "beta")...); !strings.Contains(out, "beta is gone") {
		t.Errorf("delete = %s", out)
	}
	s.refused(t, 1, flag.ErrSegmentNotFound.Reason, on("show", "beta")...)
}
