package main

import (
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/risk"
)

// A tenant's scoring service by the command line: what is printed is what is taken, the credential comes from a file and is never
// printed, and the API says the same.
func TestRiskProviderCommands(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	c, other := w.tenant(t, "acme"), w.tenant(t, "globex")
	on := func(verb string, more ...string) []string {
		return append([]string{"risk", "provider", verb, "--tenant", "acme"}, more...)
	}
	const token, config = "hunter2-of-the-trial", `{"kind": "FEEDZAI", "address": "https://scores.example.com/api", "sendPlace": true}`
	s.refused(t, 1, risk.ErrNoProvider.Reason, on("show")...)
	if out := s.must(t, on("set", "--if-match", risk.NoProvider, "--credential", s.file(t, token+"\n"), "--reason", "on trial", s.file(t, config))...); out != "acme has FEEDZAI asked at scores.example.com: servers within a second\n" {
		t.Errorf("set = %s", out)
	}
	printed, now := s.must(t, on("show")...), s.read(t, on("show")...)
	if now.text("config", "address") != "https://scores.example.com/api" || !strings.HasPrefix(now.text("updatedBy"), "system:cli") || now.text("etag") == "" || strings.Contains(printed+now.raw, token) {
		t.Errorf("show = %s", now)
	}
	if out, complaint, code := s.give(t, strings.Replace(printed, `"sendPlace": true`, `"timeoutMillis": 500`, 1), on("set", "--if-match", now.text("etag"), "-")...); code != 0 || strings.Contains(out+complaint, token) {
		t.Errorf("set - = %d %s%s", code, out, complaint)
	}
	if api := w.must(t, "GET", "/admin/v1/riskProvider", c.secret, nil); api.at("config", "timeoutMillis") != 500.0 || strings.Contains(api.raw, token) {
		t.Errorf("by the API it is %s", api)
	}
	if a := w.call(t, "GET", "/admin/v1/riskProvider", other.secret, nil); a.reason() != risk.ErrNoProvider.Reason {
		t.Errorf("another tenant's = %s", a)
	}

	s.refused(t, 1, "ETAG_MISMATCH", on("set", "--if-match", now.text("etag"), s.file(t, config))...)
	s.refused(t, 1, "field=timeoutMillis", on("set", s.file(t, `{"kind": "FEEDZAI", "address": "https://scores.example.com/api", "timeoutMillis": 5}`))...)
	s.refused(t, 1, "unknown field (did you mean timeoutMillis?)", on("set", s.file(t, `{"kind": "FEEDZAI", "address": "https://scores.example.com/api", "timeoutMilis": 500}`))...)
	s.refused(t, 1, "BIOCORE_FETCH_NETWORKS", on("set", s.file(t, `{"kind": "FEEDZAI", "address": "https://192.168.0.1/"}`))...)
	s.refused(t, 1, "credential is needed anew", on("set", s.file(t, strings.Replace(config, "scores.", "other.", 1)))...)
	s.refused(t, 2, "credential's file is empty", on("set", "--credential", s.file(t, "\n"), s.file(t, config))...)
	s.refused(t, 2, "cannot both be standard input", on("set", "--credential", "-", "-")...)
	s.refused(t, 1, "no such file", on("set", s.file(t, config)+".absent")...)

	if out := s.must(t, on("delete", "--reason", "the trial is over")...); !strings.Contains(out, "destroyed") {
		t.Errorf("delete = %s", out)
	}
	s.refused(t, 1, risk.ErrNoProvider.Reason, on("delete")...)
	if log := s.must(t, "audit", "list", "--tenant", "acme"); strings.Count(log, "risk_provider.") != 3 || strings.Contains(log, token) {
		t.Errorf("the audit log has %s", log)
	}
}
