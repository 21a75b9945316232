package browsertest_test

import (
	"testing"

	"github.com/biocore-id/biocore/web/browsertest"
)

// TestConsoleRisk is what somebody of security does with risk: begins in shadow mode, writes a rule that is wrong and then one that is
// not, tries it, saves it, and goes back.
func TestConsoleRisk(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")
	base := ana.url + "/t/acme/risk"

	ana.Open(base)
	ana.See("main", "How to begin")
	ana.Inspect("console-risk-off")
	ana.Type("#begin-reason", "a look first")
	ana.Follow("#begin .btn.primary")
	ana.See(".toast", "none is refused")
	ana.See(".page-h .badge", "Shadow")
	ana.See("main", "No sign-ins yet")
	ana.Inspect("console-risk-none")
	customer := bank{biocore: biocore, chromium: chromium}.openAccount(t)
	customer.signOut()
	customer.device.SetPresence(true)
	customer.Click("#sign-in-button")
	customer.seeAccount()

	ana.Follow(".page-h .btn.primary")
	ana.See("h1", "Risk rules")
	ana.Follow(`button[value=add]`)
	ana.SeeFocus("#rule-id-0")
	ana.Type("#rule-when-0", "newCountry && newDevise")
	ana.Enter("#rule-id-0", "far-away") // shows the changes, and saves nothing
	ana.SeeFocus("#rule-when-0")
	ana.See("#rule-when-0-error", "Line 1, column 15")
	ana.See("#rule-when-0-error", "did you mean newDevice?")
	ana.Inspect("console-risk-rules-wrong")
	ana.Type("#rule-when-0", "newCountry && newDevice")
	ana.Follow(`button[value=add]`)
	ana.Type("#rule-id-1", "everybody")
	ana.Type("#rule-when-1", "userVerified")
	ana.Follow(`button[value="up:1"]`)
	ana.SeeFocus("#rule-id-0")
	ana.Follow(`button[value=try]`)
	ana.See(".tried-count", "2 of 2 sign-ins would be decided otherwise")
	ana.See("#tested", "Allowed Step-up")
	ana.See("section[aria-labelledby=did-h]", "everybody")
	ana.See("#changes", "far-away")
	ana.Inspect("console-risk-rules")
	ana.Follow(`.seg button[value=json]`)
	ana.See(".source textarea", "")
	ana.Inspect("console-risk-rules-json")
	ana.Follow(`.seg button[value=form]`)
	ana.Type("#rule-about-1", "A new device abroad") // what is in the form is saved, shown before or not
	ana.Type("#save-reason", "two to look at")
	ana.Follow("#draft .btn.primary")
	ana.See(".toast", "The rules are in force")
	ana.See(".kpis", "Would be stepped up 2")
	ana.See("section[aria-labelledby=did-h]", "A new device abroad")
	ana.Inspect("console-risk")

	ana.Follow(`.page-h a[href$="/risk/versions"]`)
	ana.See("tbody", "two to look at")
	ana.Inspect("console-risk-versions")
	ana.Follow("tbody tr:last-child a.strong")
	ana.See("#changes", "A new device abroad")
	ana.Inspect("console-risk-version")
	ana.Type("#rollback-reason", "one at a time")
	ana.Follow("#rollback .btn.primary")
	ana.See(".toast", "Rolled back")
}

// TestConsoleScoringService is what somebody of security does with a scoring service: sets one up, mistypes its address first, sees what
// the server makes of it, and removes it.
func TestConsoleScoringService(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")
	ana.Open(ana.url + "/t/acme/risk")
	ana.Type("#begin-reason", "a look first")
	ana.Follow("#begin .btn.primary")

	ana.Follow(`.page-h a[href$="/risk/service"]`)
	ana.See("main", "No service is asked")
	ana.Inspect("console-scoring-none")
	ana.Follow(`a[href$="/service/edit"]`)
	ana.See("main", "What does your service speak?")
	ana.Inspect("console-scoring-kinds")
	ana.Follow(`a[href$="kind=THREATMETRIX"]`)
	ana.See("h1", "Set up a scoring service")
	ana.Type("#service-address", "http://scoring.invalid")
	ana.Type("#service-credential", "a-key-of-the-bank")
	ana.Type("#service-organization", "4en6ll2s")
	ana.Click(`input[name=sendSubject]`)
	ana.Type("#service-reason", "as agreed with the bank")
	ana.Follow("form .btn.primary")
	ana.SeeFocus("#service-address")
	ana.See("#service-address-error", "begins with https://")
	ana.Inspect("console-scoring-form-wrong")
	ana.Type("#service-address", "https://scoring.invalid/tmx")
	ana.Type("#service-credential", "a-key-of-the-bank")
	ana.Enter("#service-reason", "as agreed with the bank")
	ana.See(".toast", "asks it within a second")
	ana.See("main", "Not asked yet")
	ana.See("main", "A pseudonym of the user")
	ana.Inspect("console-scoring-new")

	customer := bank{biocore: biocore, chromium: chromium}.openAccount(t)
	customer.signOut()
	customer.device.SetPresence(true)
	customer.Click("#sign-in-button")
	customer.seeAccount() // nobody is kept from signing in by a service that is not there
	ana.Open(ana.url + "/t/acme/risk/service")
	ana.See("main", "The name of the risk provider does not resolve")
	ana.Inspect("console-scoring")
	ana.Follow(`a[href$="/service/activity"]`)
	ana.See("main", "as agreed with the bank")
	ana.Inspect("console-scoring-activity")
	ana.Follow(`.tabs a[href$="/service"]`)
	ana.Type("#remove-confirm", "scoring.invalid")
	ana.Type("#remove-reason", "the contract ended")
	// What a button says of where its form goes counts, also after the device was asked.
	browsertest.Eval[string](ana.Visitor, `(() => { const form = document.querySelector("#remove form"), button = form.querySelector(".btn.danger");
		button.formAction = form.action; form.action = "/console/nowhere"; return form.dataset.freshUntil = "2020-01-01T00:00:00Z"; })()`)
	ana.device.SetPresence(true)
	ana.Follow("#remove .btn.danger")
	ana.See(".toast", "is removed")
	ana.See("main", "No service is asked")
}
