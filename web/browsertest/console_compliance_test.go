package browsertest_test

import (
	"strings"
	"testing"

	"github.com/biocore-id/biocore/web/browsertest"
)

const ourCatalogue = `format: biocore-catalogue/1
name: acme-controls
title: Controls of Acme
standard: Acme information security policy
version: '7'
lists: [members]
controls:
  - id: ACME-1
    section: People
    title: Few owners
    evidence:
      - {measure: members.owners, is: at most, value: 3}
  - id: ACME-2
    section: People
    title: Everybody was trained
    requirement: Whoever works with customers' data is trained each year.
    outside: The records of human resources.
`

// TestConsoleCompliance is what an auditor does: they have a report made, see what it shows and why, take it with them,
// and have the next one made by itself.
func TestConsoleCompliance(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")
	base := ana.url + "/t/acme/compliance"

	ana.Open(base)
	ana.See("main", "No report yet")
	ana.Inspect("console-compliance-none")
	ana.Open(base + "/new?catalogue=authentication-assurance")
	ana.See("h1", "New report")
	browsertest.Eval[bool](ana.Visitor, `(() => { const today = new Date().toISOString().slice(0, 10);
		document.getElementById("report-first").value = today; document.getElementById("report-last").value = today; return true; })()`) // typing follows the visitor's language
	ana.Type("#report-keep", "4000")
	ana.Type("#report-reason", "for the board")
	ana.Follow("form.wide-form .btn.primary")
	ana.See("#report-keep-error", "1 to 3650 days")
	ana.Inspect("console-compliance-new")
	ana.Type("#report-keep", "30")
	ana.Follow("form.wide-form .btn.primary")
	ana.See(".toast", "Asked for")
	ana.See("main", "signed with") // it comes by itself
	ana.Inspect("console-compliance-report")
	ana.Follow(`a[href$="control=%C2%A72.2.2"]`)
	ana.See("h1", "Evidence for §2.2.2")
	ana.See(".pane.side", "Audit sequence")
	ana.Inspect("console-compliance-evidence")
	ana.Follow(`a[aria-label="Close the evidence"]`)
	ana.Click(`[popovertarget="download-menu"]`)
	name, file := ana.Download(func() { ana.Click("#download-menu li:first-child button") })
	if !strings.HasPrefix(name, "biocore-authentication-assurance-") || !strings.HasSuffix(name, "report.pdf") || !strings.HasPrefix(string(file), "%PDF-") {
		t.Errorf("downloaded %s: %.20q", name, file)
	}

	ana.Open(base + "/schedules")
	ana.See("main", "Nothing is scheduled")
	ana.Type("#schedule-reason", "SOC 2 wants it")
	ana.Follow("#schedule .btn.primary")
	ana.See(".toast", "Saved")
	ana.See("main", "Each month, kept for 730 days")
	ana.Inspect("console-compliance-schedules")
	ana.Open(base + "/catalogues")
	ana.See("tbody", "The release’s")
	ana.Inspect("console-compliance-catalogues")
	ana.Open(base + "/catalogues/authentication-assurance")
	ana.See("tbody", "It takes: ")
	ana.Inspect("console-compliance-catalogue")
	ana.Open(base + "/measurements")
	ana.See("main", "members.owners")
	ana.Inspect("console-compliance-measurements")
	ana.Open(base + "/new-catalogue")
	ana.Type("#new-document", strings.Replace(ourCatalogue, "members.owners", "members.owner", 1))
	ana.Type("#catalogue-reason", "our policy")
	ana.Follow("#catalogue .btn.primary")
	ana.See("#new-document-error", "line 12")
	ana.See("pre.near .wrong", "members.owner,")
	ana.Inspect("console-compliance-catalogue-refused")
	ana.Type("#new-document", ourCatalogue)
	ana.Follow("#catalogue .btn.primary")
	ana.See(".toast", "Saved")
	ana.See("h1", "Controls of Acme")
	ana.See("tbody", "At most 3")
	ana.Inspect("console-compliance-catalogue-own")
	ana.Type("#delete-reason", "made by mistake")
	ana.Follow("#delete .btn.primary")
	ana.See(".toast", "Catalogue deleted")

	ana.Open(base)
	ana.See("tbody", "Authentication assurance")
	ana.Inspect("console-compliance")
	ana.Follow("tbody a[href]")
	ana.Type("#delete-reason", "made by mistake")
	ana.Follow("#delete .btn.primary")
	ana.See(".toast", "Report deleted")
	ana.See("main", "No report yet")
}
