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
	for _, want := range []string{"NIST SP 800-63B-4", "signed with", "Copy the SHA-256", "Evidence bundle for an auditor", "Authenticator assurance", "No evidence", "The period was still going on", "?control=" + "%C2%A72.2.1"} {
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

	// The period before, and the same period again.
	if strings.Contains(done, "Compared with") {
		t.Error("it is compared with a report that there is not")
	}
	yesterday := s.store.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)
	for _, day := range []string{yesterday, today} {
		if at = auditor.form(t, page, "catalogue", "authentication-assurance", "firstDay", day, "lastDay", day, "keepDays", "730").Header.Get("Location"); at == "" {
			t.Fatal("no other report is made")
		}
		if err := s.compliance.Maintain(t.Context(), acme); err != nil {
			t.Fatal(err)
		}
	}
	if body := auditor.get(t, at).body; !strings.Contains(body, "Compared with") || !strings.Contains(body, "no evidence before") {
		t.Error("a report does not say what the period before came to")
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

// Catalogues are read as an auditor reads them, and added, replaced and deleted by who may, with the line of what is wrong and an entry of each.
func TestCataloguePages(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner, auditor := s.person(t, "Oda", acme, member.Owner), s.person(t, "Ari", acme, member.Auditor)
	base := "/console/t/" + slug + "/compliance"
	page, at := base+"/catalogues", base+"/catalogues/acme-controls"
	list := auditor.get(t, page).body
	for _, want := range []string{"SOC 2", "The release’s", "Yours can stand beside them"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list has no %q", want)
		}
	}
	if strings.Contains(list, "/new-catalogue") || auditor.get(t, base+"/new-catalogue").StatusCode != http.StatusForbidden {
		t.Error("an auditor adds one")
	}
	read := auditor.get(t, page+"/authentication-assurance").body
	for _, want := range []string{"NIST SP 800-63B-4", "What shows it", "what was recorded in the period", "It takes: ", "Copy the SHA-256 of its file", "can be shown by records", "biocore-catalogue/1"} {
		if !strings.Contains(read, want) {
			t.Errorf("a catalogue has no %q", want)
		}
	}
	if strings.Contains(read, "replace it") || strings.Contains(owner.get(t, page+"/soc2").body, "/delete") {
		t.Error("the release's can be changed")
	}
	if body := auditor.get(t, base+"/measurements").body; !strings.Contains(body, "members.owners") || !strings.Contains(body, "SELECT") {
		t.Error("measurements are not shown")
	}
	if res := auditor.get(t, page+"/none"); res.StatusCode != http.StatusNotFound {
		t.Errorf("what is not there = %d", res.StatusCode)
	}

	good := "format: biocore-catalogue/1\nname: acme-controls\ntitle: Controls of <Acme>\nstandard: Our policy\nversion: '7'\nlists: [members]\ncontrols:\n  - id: A-1\n    section: People\n    title: Few owners\n    evidence:\n      - {measure: members.owners, is: at most, value: 3}\n"
	bad := strings.Replace(good, "members.owners", "members.owner", 1)
	for name, tt := range map[string]struct{ text, reason, want string }{
		"a line":       {bad, "audit", "▸   12        - {measure: members.owner, is: at most, value: 3}"},
		"its message":  {bad, "audit", "line 12: there is no measurement &#34;members.owner&#34;"},
		"no reason":    {good, "", "catalogue-reason-error"},
		"of a release": {strings.Replace(good, "acme-controls", "soc2", 1), "audit", "new-document-error"},
		"empty":        {"", "audit", "it is empty"},
	} {
		res := owner.form(t, page, "document", strings.ReplaceAll(tt.text, "\n", "\r\n"), "reason", tt.reason)
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, tt.want) || tt.reason != "" && !strings.Contains(res.body, `value="audit"`) {
			t.Errorf("%s: %d, no %q", name, res.StatusCode, tt.want)
		}
	}
	if res := auditor.form(t, page, "document", good, "reason", "x"); res.StatusCode != http.StatusForbidden {
		t.Errorf("an auditor adds = %d", res.StatusCode)
	}
	if res := owner.form(t, page, "document", strings.ReplaceAll(good, "\n", "\r\n"), "reason", "our policy"); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != at {
		t.Fatalf("add = %d %s", res.StatusCode, res.body)
	}
	if doc, err := s.compliance.GetCatalogue(t.Context(), acme, "acme-controls"); err != nil || doc.Text != good {
		t.Errorf("what is stored = %q, %v", doc.Text, err)
	}
	if res := owner.form(t, page, "document", good, "reason", "again"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "There is a catalogue of this name") {
		t.Errorf("add twice = %d", res.StatusCode)
	}
	mine := owner.get(t, at).body
	if !strings.Contains(mine, "Controls of &lt;Acme&gt;") || !strings.Contains(mine, "Your own") || !strings.Contains(mine, "Oda") || !strings.Contains(mine, "At most 3 ") {
		t.Error("one's own is not shown")
	}
	if body := auditor.get(t, at).body; strings.Contains(body, at+"/delete") || strings.Contains(body, at+"/replace") {
		t.Error("an auditor may change it")
	}
	tag := regexp.MustCompile(`name="etag" value="([^"]+)"`).FindStringSubmatch(mine)[1]
	if res := owner.form(t, at+"/replace", "document", bad, "etag", tag, "reason", "stricter"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "change-document-error") || !strings.Contains(res.body, "▸   12") {
		t.Errorf("replace by what is wrong = %d", res.StatusCode)
	}
	// A file goes before the text.
	file := strings.Replace(good, "value: 3", "value: 2", 1)
	if res := owner.multipart(t, at+"/replace", map[string]string{"document": good, "etag": tag, "reason": "stricter"}, "file", file); res.StatusCode != http.StatusSeeOther || !strings.Contains(owner.get(t, at).body, "At most 2 ") {
		t.Errorf("replace by a file = %d %s", res.StatusCode, res.body)
	}
	if res := owner.form(t, at+"/replace", "document", good, "etag", tag, "reason", "as it was"); res.StatusCode != http.StatusConflict || !strings.Contains(res.body, "changed meanwhile") || !strings.Contains(res.body, "value: 3") {
		t.Errorf("replace what was replaced = %d", res.StatusCode)
	}
	large := strings.Repeat("# a comment of some length, again and again\n", 3200)
	if res := owner.multipart(t, page, map[string]string{"document": "", "reason": "large"}, "file", large); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "more than 128 KiB") {
		t.Errorf("a large file = %d", res.StatusCode)
	}
	if res := owner.multipart(t, page, map[string]string{"document": large, "reason": "large"}, "file", large+large); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "more than 128 KiB") {
		t.Errorf("a larger body = %d", res.StatusCode)
	}
	theirs, foreign := s.tenant(t)
	if res := s.person(t, "Eve", theirs, member.Owner).get(t, "/console/t/"+foreign+"/compliance/catalogues/acme-controls"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a stranger reads it = %d", res.StatusCode)
	}
	if res := owner.form(t, base+"/schedules", "catalogue", "acme-controls", "cadence", "MONTHLY", "keepDays", "30", "reason", "x"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("schedule = %d", res.StatusCode)
	}
	if res := owner.form(t, at+"/delete", "reason", "over"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "are scheduled") {
		t.Errorf("delete while scheduled = %d", res.StatusCode)
	}
	if res := owner.form(t, base+"/schedules/acme-controls/end", "reason", "over"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("unschedule = %d", res.StatusCode)
	}
	if res := owner.form(t, at+"/delete", "reason", "over"); res.StatusCode != http.StatusSeeOther || owner.get(t, at).StatusCode != http.StatusNotFound {
		t.Errorf("delete = %d", res.StatusCode)
	}
	for action, want := range map[string]int64{"update": 2, "delete": 1} {
		if n := s.store.AuditCount(t, acme, "reportcatalogue."+action); n != want {
			t.Errorf("%d entries of reportcatalogue.%s, want %d", n, action, want)
		}
	}
}
