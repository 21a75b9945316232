package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/report"
)

func TestCompliancePages(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner, auditor, security := s.person(t, "Oda", acme, member.Owner), s.person(t, "Ari <b>", acme, member.Auditor), s.person(t, "Sec", acme, member.Security)
	page := "/console/t/" + slug + "/compliance"
	if body := auditor.get(t, page).body; !strings.Contains(body, "No report yet") || !strings.Contains(body, "curl -H") {
		t.Error("an empty list gives no next step")
	}
	today := s.store.Now().UTC().Format(time.DateOnly)
	for name, fields := range map[string][]string{
		"says-days":      {"catalogue", "soc2", "firstDay", "2026-13-01", "lastDay", today, "keepDays", "730", "id", "report-last-error"},
		"backwards":      {"catalogue", "soc2", "firstDay", today, "lastDay", "2001-01-01", "keepDays", "730", "id", "report-last-error"},
		"kept for ever":  {"catalogue", "soc2", "firstDay", today, "lastDay", today, "keepDays", "for ever", "id", "report-keep-error"},
		"kept for none":  {"catalogue", "soc2", "firstDay", today, "lastDay", today, "keepDays", "0", "id", "report-keep-error"},
		"no such report": {"catalogue", "soc3", "firstDay", today, "lastDay", today, "keepDays", "730", "id", "catalogue-error"},
	} {
		res := auditor.form(t, page, append(fields, "reason", "for the board")...)
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `id="`+fields[9]+`"`) || !strings.Contains(res.body, `value="for the board"`) {
			t.Errorf("%s: %d, error at the field: %v", name, res.StatusCode, strings.Contains(res.body, `id="`+fields[9]+`"`))
		}
	}
	made := auditor.form(t, page, "catalogue", "authentication-assurance", "firstDay", today, "lastDay", today, "keepDays", "730", "reason", "for the board")
	at := made.Header.Get("Location")
	if made.StatusCode != http.StatusSeeOther || !strings.HasPrefix(at, page+"/") {
		t.Fatalf("create = %d %s", made.StatusCode, made.body)
	}
	for _, path := range []string{page, at} {
		if body := auditor.get(t, path).body; !strings.Contains(body, `data-refresh="2"`) || strings.Contains(body, "Ari <b>") {
			t.Errorf("%s does not say that it is under way", path)
		}
	}
	s.sequence(t)
	if err := s.compliance.Maintain(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	done := auditor.get(t, at).body
	for _, want := range []string{"NIST SP 800-63B-4", "signed with", "Copy the SHA-256", "Authenticator assurance", "No evidence", "The period was still going on", "?control=" + "%C2%A72.2.1"} {
		if !strings.Contains(done, want) {
			t.Errorf("the report has no %q", want)
		}
	}
	if strings.Contains(done, `data-refresh`) || strings.Contains(done, "Confirm with passkey and delete") {
		t.Error("a finished report refreshes, or an auditor deletes it")
	}
	pane := auditor.get(t, at+"?control=%C2%A72.2.1").body
	for _, want := range []string{"Evidence for §2.2.1", "SELECT", "at most 0", "Audit sequence", "Queried"} {
		if !strings.Contains(pane, want) {
			t.Errorf("the evidence has no %q", want)
		}
	}
	if body := auditor.get(t, at+"?control=nothing").body; strings.Contains(body, "Evidence for") {
		t.Error("a control that is not there has evidence")
	}
	outside := auditor.get(t, at+"?control=%C2%A74.6").body
	if !strings.Contains(outside, "No record here can show it") {
		t.Error("what no record can show is not said to be so")
	}
	for name, kind := range map[string]string{"report.pdf": "application/pdf", "report.csv": "text/csv; charset=utf-8", "report.json": "application/json", "": "application/zip"} {
		res := auditor.form(t, at+"/download", "name", name)
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != kind || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment;") {
			t.Errorf("%s: %d, %s", name, res.StatusCode, res.Header.Get("Content-Type"))
		}
	}
	if res := auditor.form(t, at+"/download", "name", "../secret"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a file that is not there = %d", res.StatusCode)
	}
	if n := s.store.AuditCount(t, acme, "report.download"); n != 4 {
		t.Errorf("%d downloads are recorded, want 4", n)
	}
	if rows := auditor.listed(t, page+"/export?format=json"); len(rows) != 1 || rows[0]["state"] != string(report.Done) || rows[0]["noEvidence"] == "0" {
		t.Errorf("the list as a file: %v", rows)
	}

	// Schedules: for owners and admins.
	schedules := page + "/schedules"
	if res := auditor.form(t, schedules, "catalogue", "soc2", "cadence", "MONTHLY", "keepDays", "730", "reason", "x"); res.StatusCode != http.StatusForbidden {
		t.Errorf("an auditor schedules = %d", res.StatusCode)
	}
	if res := owner.form(t, schedules, "catalogue", "soc2", "cadence", "DAILY", "keepDays", "30", "reason", "every day"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `value="every day"`) || !strings.Contains(res.body, "schedule-cadence-error") {
		t.Errorf("each day = %d", res.StatusCode)
	}
	if res := owner.form(t, schedules, "catalogue", "soc2", "cadence", "QUARTERLY", "keepDays", "30", "reason", "SOC 2 wants it"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("schedule = %d %s", res.StatusCode, res.body)
	}
	if body := auditor.get(t, schedules).body; !strings.Contains(body, "Each quarter, kept for 30 days") || !strings.Contains(body, "Oda") || strings.Contains(body, "/end") {
		t.Error("the schedule is not shown, or an auditor may end it")
	}
	if res := owner.form(t, schedules+"/soc2/end", "reason", ""); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("end without a reason = %d", res.StatusCode)
	}
	if res := owner.form(t, schedules+"/soc2/end", "reason", "over"); res.StatusCode != http.StatusSeeOther || !strings.Contains(owner.get(t, schedules).body, "Nothing is scheduled") {
		t.Errorf("end = %d", res.StatusCode)
	}

	// Roles, and another tenant.
	if res := security.get(t, page+"/new"); res.StatusCode != http.StatusForbidden {
		t.Errorf("security makes one = %d", res.StatusCode)
	}
	if res := security.get(t, at); res.StatusCode != http.StatusOK {
		t.Errorf("security reads one = %d", res.StatusCode)
	}
	theirs, foreign := s.tenant(t)
	stranger := s.person(t, "Eve", theirs, member.Owner)
	there := "/console/t/" + foreign + "/compliance" + regexp.MustCompile(`/[0-9a-f-]{36}$`).FindString(at)
	for path, res := range map[string]answer{
		at: stranger.get(t, at), there: stranger.get(t, there), there + "/download": stranger.form(t, there+"/download", "name", ""), there + "/delete": stranger.form(t, there+"/delete", "reason", "x"),
	} {
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("stranger: %s = %d", path, res.StatusCode)
		}
	}

	if res := auditor.form(t, at+"/delete", "reason", "x"); res.StatusCode != http.StatusForbidden {
		t.Errorf("an auditor deletes = %d", res.StatusCode)
	}
	s.grow(t)
	if res := owner.form(t, at+"/delete", "reason", "made by mistake"); res.StatusCode != http.StatusForbidden || !strings.Contains(res.body, `value="made by mistake"`) {
		t.Errorf("without a fresh passkey = %d", res.StatusCode)
	}
	if up := owner.use(t, "/console/stepup", ""); up.status != http.StatusOK {
		t.Fatalf("step-up: %+v", up)
	}
	if res := owner.form(t, at+"/delete", "reason", "made by mistake"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("delete = %d", res.StatusCode)
	}
	if res := owner.get(t, at); res.StatusCode != http.StatusNotFound {
		t.Errorf("a deleted report = %d", res.StatusCode)
	}
}
