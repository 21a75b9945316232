package main

import (
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/risk"
)

// Risk rules by the command line: what is printed is what is taken, versions come back, and a draft is tried on what was recorded.
func TestRiskRulesCommands(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	on := func(verb string, more ...string) []string {
		return append([]string{"risk", "rules", verb, "--tenant", "acme"}, more...)
	}
	if first := s.read(t, on("show")...); first.at("version") != 0.0 || first.at("document", "mode") != "OFF" || first.text("etag") == "" {
		t.Errorf("before there are any: %s", first)
	}
	const rules = `{"mode": "SHADOW", "rules": [{"id": "everybody", "when": "hour >= 0 && hour < 24", "then": "STEP_UP"}]}`
	if out := s.must(t, on("set", "--reason", "ticket 1", s.file(t, rules))...); out != "acme goes by version 1 of its risk rules, mode SHADOW: servers within a second\n" {
		t.Errorf("set = %s", out)
	}
	w.signIn(t, c)
	printed := s.must(t, on("show")...)
	if !strings.Contains(printed, `"when": "hour >= 0 && hour < 24"`) {
		t.Errorf("show does not print the rule as it was written:\n%s", printed)
	}
	now := s.read(t, on("show")...)
	if out, complaint, code := s.give(t, strings.Replace(printed, `"stepUpScore": 50`, `"stepUpScore": 60`, 1), on("set", "--if-match", now.text("etag"), "-")...); code != 0 || !strings.Contains(out, "version 2") {
		t.Errorf("set - = %s%s", out, complaint)
	}
	if api := w.must(t, "GET", "/admin/v1/riskRules", c.secret, nil); api.at("version") != 2.0 || api.at("document", "stepUpScore") != 60.0 || api.text("document", "rules", "0", "id") != "everybody" {
		t.Errorf("by the API it is %s", api)
	}
	if old := s.read(t, on("show", "--version", "1")...); old.at("document", "stepUpScore") != 50.0 || old.text("reason") != "ticket 1" || !strings.HasPrefix(old.text("createdBy"), "system:cli") {
		t.Errorf("version 1 = %s", old)
	}
	if out := s.must(t, on("rollback", "--reason", "too many", "1")...); !strings.Contains(out, "version 3") {
		t.Errorf("rollback = %s", out)
	}
	if out := s.must(t, on("versions")...); !strings.Contains(out, "ticket 1") || !strings.Contains(out, "too many") || !strings.Contains(out, "SHADOW") {
		t.Errorf("versions = %s", out)
	}

	b := s.read(t, "risk", "backtest", "--tenant", "acme", "--draft", s.file(t, strings.Replace(rules, "STEP_UP", "DENY", 1)))
	if b.at("decisions") != 1.0 || b.at("all") != any(true) || b.text("changes", "0", "before") != "ALLOW" || b.text("changes", "0", "after") != "DENY" || b.at("rules", "0", "matched") != 1.0 || b.text("examples", "0", "ceremonyId") == "" {
		t.Errorf("backtest = %s", b)
	}
	out := s.must(t, "risk", "backtest", "--tenant", "acme", "--days", "1")
	for _, word := range []string{"1 sign-in decided again", "WOULD BE", "STEP_UP", "everybody", "reported as fraud"} {
		if !strings.Contains(out, word) {
			t.Errorf("backtest lacks %q:\n%s", word, out)
		}
	}

	s.refused(t, 1, "ETAG_MISMATCH", on("set", "--if-match", now.text("etag"), s.file(t, rules))...)
	s.refused(t, 1, risk.ErrInvalid.Reason, on("set", s.file(t, `{"mode": "SHADOW", "rules": [{"id": "x", "when": "newDevise", "then": "DENY"}]}`))...)
	s.refused(t, 1, risk.ErrInvalid.Reason, on("set", s.file(t, strings.Repeat(" ", risk.MaxBytes)+rules))...)
	s.refused(t, 1, "read the rules", on("set", "gone.json")...)
	s.refused(t, 1, risk.ErrVersion.Reason, on("rollback", "9")...)
	s.refused(t, 2, "VERSION is a number", on("rollback", "last")...)
	s.refused(t, 2, "--days is between", "risk", "backtest", "--tenant", "acme", "--days", "91")
	s.refused(t, 2, "--tenant is required", "risk", "rules", "show")
}
