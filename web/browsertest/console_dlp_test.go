package browsertest_test

import (
	"testing"

	"github.com/biocore-id/biocore/web/browsertest"
)

// TestConsoleDLP is what somebody does who is responsible for data: they look at the map, have the tenant scanned, watch it, look at
// what was found and decide it, take in what another classifier has found, and have the next scan made by itself.
func TestConsoleDLP(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")
	base := ana.url + "/t/acme/data-map"

	ana.Open(base)
	ana.Follow(`.tabs a[href$="/findings?state=OPEN"]`)
	ana.See("main", "Nobody has looked yet")
	ana.Inspect("console-findings-none")
	ana.Follow(`main section a[href$="/data-map/scans"]`)
	ana.See("main", "No scan yet")
	ana.Type("#scan-days", "400")
	ana.Follow("#scan .btn.primary")
	ana.See("#scan-days-error", "1 to 366 days")
	ana.Type("#scan-days", "30")
	ana.Type("#scan-reason", "she pays with 4111 1111 1111 1111")
	ana.Follow("#scan .btn.primary")
	ana.See(".toast", "Asked for")
	ana.See("#scans", "Done") // it comes by itself
	ana.Type("#schedule-reason", "asked for by internal audit")
	ana.Follow("#schedule .btn.primary")
	ana.See(".toast", "Saved")
	ana.See("#schedule", "next on")
	ana.Inspect("console-scans")
	ana.Follow("#schedule button[formaction]")
	ana.See(".toast", "Saved")
	ana.SeeNothing("#schedule button[formaction]")

	ana.Open(base + "/findings?state=OPEN")
	ana.See("tbody", "audit.reason")
	ana.See("#last-scan", "The last scan looked at")
	ana.Inspect("console-findings")
	ana.Open(base + "/findings?state=OPEN&kind=PRIVATE_KEY")
	ana.See("main", "No finding found")
	ana.Open(base + "/findings?state=OPEN&place=audit.reason")
	ana.Follow("tbody a.strong")
	ana.See("h1", "Card number")
	ana.See("main", "9999 9999 9999 9999")
	ana.Inspect("console-finding")
	ana.Follow("#decide .btn.primary")
	ana.See("#decide-reason-error", "Say why")
	ana.Type("#decide-reason", "the card network's test number")
	ana.Follow("#decide .btn.primary")
	ana.See(".toast", "Decided")
	ana.Open(base + "/findings?state=DISMISSED")
	ana.See("tbody", "audit.reason")

	ana.Open(base + "/findings/import")
	ana.See("h1", "Import findings")
	ana.Inspect("console-findings-import")
	browsertest.Eval[bool](ana.Visitor, `(() => { const files = new DataTransfer();
		files.items.add(new File([JSON.stringify({source: "OUR_TOOL", findings: [{id: "17", place: "share/report.docx", kind: "CARD", count: 3}]})], "findings.json", {type: "application/json"}));
		document.getElementById("import-file").files = files.files; return true; })()`)
	ana.Follow("form.wide-form .btn.primary")
	ana.See(".toast", "in the list")
	ana.See("tbody", "share/report.docx")
}
