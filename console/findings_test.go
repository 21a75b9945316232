package console_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/governance/dlp"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/member"
)

// upload posts a form with a file.
func (b *browser) upload(t *testing.T, path, file string, fields ...string) answer {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for pair := range slices.Chunk(fields, 2) {
		_ = w.WriteField(pair[0], pair[1])
	}
	if file != "" {
		part, err := w.CreateFormFile("file", "findings.json")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = part.Write([]byte(file))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return b.send(t, r)
}

// People scan, import and decide whose role allows it; auditors look; nobody else sees a finding, and another tenant has none of it.
func TestFindings(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	other, _ := s.tenant(t)
	admin, auditor, viewer, stranger := s.person(t, "Ada", acme, member.Admin), s.person(t, "Aud", acme, member.Auditor), s.person(t, "Vi", acme, member.Viewer), s.person(t, "Eve", other, member.Owner)
	base := "/console/t/" + slug + "/data-map"
	findings, scans := base+"/findings", base+"/scans"

	if body := admin.get(t, base).body; !strings.Contains(body, findings+"?state=OPEN") {
		t.Error("the data map does not lead to findings")
	}
	if body := viewer.get(t, base).body; strings.Contains(body, "/findings") {
		t.Error("a viewer is led to findings")
	}
	if body := admin.get(t, findings).body; !strings.Contains(body, "Nobody has looked yet") {
		t.Error("no invitation to scan")
	}
	for name, res := range map[string]answer{
		"a viewer's findings": viewer.get(t, findings), "a viewer's scans": viewer.get(t, scans), "an auditor's scan": auditor.form(t, scans, "days", "7"),
		"an auditor's import": auditor.upload(t, findings+"/import", "{}", "format", "MACIE"), "an auditor's schedule": auditor.form(t, scans+"/schedule", "cadence", "DAILY"),
	} {
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s = %d", name, res.StatusCode)
		}
	}

	if res := admin.form(t, scans, "days", "400", "reason", "quarterly"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `id="scan-days-error"`) || !strings.Contains(res.body, `value="quarterly"`) {
		t.Errorf("400 days = %d", res.StatusCode)
	}
	if res := admin.form(t, scans, "days", "7", "reason", "quarterly"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("scan = %d", res.StatusCode)
	}
	if body := admin.get(t, scans).body; !strings.Contains(body, "It begins within ten seconds") || !strings.Contains(body, "data-refresh") {
		t.Error("the scan does not show")
	}
	if res := admin.form(t, scans, "days", "7"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "under way") {
		t.Errorf("a second scan = %d", res.StatusCode)
	}
	cancel := regexp.MustCompile(`action="([^"]+/cancel)"`).FindStringSubmatch(admin.get(t, scans).body)
	if cancel == nil {
		t.Fatal("it cannot be cancelled")
	}
	if res := stranger.form(t, cancel[1]); res.StatusCode != http.StatusNotFound {
		t.Errorf("a stranger cancels: %d", res.StatusCode)
	}
	for range 2 {
		if res := admin.form(t, cancel[1]); res.StatusCode != http.StatusSeeOther {
			t.Errorf("cancel = %d", res.StatusCode)
		}
	}
	if n := s.store.AuditCount(t, acme, "dlpscan.cancel"); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}

	s.exec(t, `INSERT INTO report_catalogues (tenant_id, name, document, updated_by, updated_at) VALUES ($1, 'ours', 'call ana@example.com', 'operator:x', now())`, acme.Tenant())
	if res := admin.form(t, scans, "days", "7"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("scan = %d", res.StatusCode)
	}
	if err := s.dlp.Maintain(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	page := auditor.get(t, findings+"?state=OPEN")
	link := regexp.MustCompile(`href="(/console/t/[^"]+/findings/[0-9a-f-]{36})"`).FindStringSubmatch(page.body)
	if link == nil || !strings.Contains(page.body, "report_catalogues.document") || strings.Contains(page.body, "ana@") {
		t.Fatalf("findings = %s", page.body)
	}
	if body := admin.get(t, findings+"?kind=CARD").body; strings.Contains(body, "report_catalogues.document") {
		t.Error("an address is a card")
	}
	if body := auditor.get(t, link[1]).body; !strings.Contains(body, "xxx@xxxxxxx.xxx") || strings.Contains(body, `id="decide"`) {
		t.Error("the auditor's page of the finding")
	}
	if res := stranger.get(t, link[1]); res.StatusCode != http.StatusNotFound {
		t.Errorf("a stranger's look = %d", res.StatusCode)
	}
	if res := auditor.form(t, link[1], "state", "RESOLVED"); res.StatusCode != http.StatusForbidden {
		t.Errorf("an auditor decides: %d", res.StatusCode)
	}
	if res := admin.form(t, link[1], "state", "DISMISSED"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `id="decide-reason-error"`) {
		t.Errorf("dismissed without a reason = %d", res.StatusCode)
	}
	seen := regexp.MustCompile(`name="etag" value="([^"]+)"`).FindStringSubmatch(admin.get(t, link[1]).body)
	if res := admin.form(t, link[1], "state", "DISMISSED", "reason", "our own desk", "etag", seen[1]); res.StatusCode != http.StatusSeeOther {
		t.Errorf("dismiss = %d %s", res.StatusCode, res.body)
	}
	if res := admin.form(t, link[1], "state", "RESOLVED", "etag", seen[1]); res.StatusCode < 400 { // another window still shows it open
		t.Errorf("decided twice = %d", res.StatusCode)
	}
	if rows := auditor.listed(t, findings+"/export?state=DISMISSED"); len(rows) != 1 {
		t.Errorf("%d rows leave", len(rows))
	}

	file := `{"source":"OUR_TOOL","findings":[{"id":"17","place":"share/report.docx","kind":"CARD"}]}`
	for name, one := range map[string]struct{ file, format, want string }{
		"no file": {"", "NEUTRAL", "Choose a file"}, "no JSON": {"<xml/>", "MACIE", "no file of findings"}, "no format": {file, "", `id="format-error"`},
		"too large": {strings.Repeat(" ", dlp.MaxImportBytes+1), "NEUTRAL", "4 MiB"}, "much too large": {strings.Repeat(" ", dlp.MaxImportBytes*2), "NEUTRAL", "4 MiB"},
	} {
		if res := admin.upload(t, findings+"/import", one.file, "format", one.format); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, one.want) {
			t.Errorf("%s = %d, want %q", name, res.StatusCode, one.want)
		}
	}
	for range 2 {
		if res := admin.upload(t, findings+"/import", file, "format", "NEUTRAL", "reason", "weekly"); res.StatusCode != http.StatusSeeOther {
			t.Errorf("import = %d", res.StatusCode)
		}
	}
	if list, err := s.dlp.Findings(t.Context(), acme, listing.Request{Filter: "source = OUR_TOOL"}); err != nil || len(list.Items) != 1 {
		t.Errorf("imported %v, %v", list.Items, err)
	}
	if body := admin.get(t, findings+"?source=OUR_TOOL").body; !strings.Contains(body, "share/report.docx") {
		t.Error("another classifier's finding does not show")
	}

	if res := admin.form(t, scans+"/schedule", "cadence", "HOURLY"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `id="schedule-cadence-error"`) {
		t.Errorf("hourly = %d", res.StatusCode)
	}
	if res := admin.form(t, scans+"/schedule", "cadence", "WEEKLY", "reason", "asked for"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("schedule = %d", res.StatusCode)
	}
	if body := auditor.get(t, findings).body; !strings.Contains(body, "Each week, next on") {
		t.Error("the schedule does not show")
	}
	if res := admin.form(t, scans+"/schedule/end"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("end = %d", res.StatusCode)
	}
	if body := admin.get(t, findings).body; strings.Contains(body, "Each week") {
		t.Error("the schedule is still there")
	}
}
