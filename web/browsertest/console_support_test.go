package browsertest_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/biocore-id/biocore/web/browsertest"
)

// TestConsoleSupportAccess is how the staff gets to see a tenant: they ask, its owner lets them
// in and sees what they look at, and puts them out again.
func TestConsoleSupportAccess(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana, cem := staffOfTwo(t, biocore, chromium)
	acme := ana.url + "/t/acme"

	ana.Open(acme + "/support")
	ana.See("main", "Nobody has asked")
	ana.Inspect("console-support-none")
	cem.Open(acme + "/users")
	cem.See("h1", "Nothing is here") // a tenant of others
	cem.Open(cem.url + "/platform/tenants/acme/support")
	cem.See("h1", "Ask for access")
	cem.Type("#ticket", "SUP-20418")
	cem.Type("#reason", "Sign-ins fail since noon")
	cem.Type("#minutes", "30")
	cem.Inspect("console-support-ask")
	cem.confirm(`form[action$="/support"]`)
	cem.See(".toast", "Owners and admins of the tenant decide")
	cem.Open(cem.url + "/platform/support")
	cem.See("main", "SUP-20418")
	cem.Inspect("console-support-asked")

	ana.Open(acme + "/members")
	ana.See(".banner", "asks to be let in for 30 minutes")
	ana.Follow(".banner a")
	ana.See("#give-h", "Let them in")
	ana.Inspect("console-support-decide")
	ana.Type("#give-minutes", "20")
	ana.Type("#give-reason", "Look at the failures")
	ana.confirm(`form[action$="/grant"]`)
	ana.See(".toast", "They are in")

	cem.Open(acme + "/users")
	cem.See("h1", "Users")
	cem.See(".banner", "You are in this tenant for support, ticket SUP-20418")
	left := browsertest.Eval[string](cem.Visitor, `document.querySelector(".banner [data-left]").textContent`)
	if minutes, _, ok := strings.Cut(left, ":"); !ok || minutes != "19" && minutes != "20" && len(minutes) > 2 {
		t.Errorf("the banner says %q is left", left)
	}
	browsertest.Eval[bool](cem.Visitor, `new Promise((done) => new MutationObserver(() => done(true)).observe(document.querySelector(".banner [data-left]"), { childList: true, characterData: true, subtree: true }))`) // it counts down
	cem.SeeNothing(`a[href$="/users/new"]`)
	cem.Inspect("console-support-inside")
	cem.Open(acme + "/users/new")
	cem.See("h1", "Your role does not allow this")
	cem.Inspect("console-refused")

	ana.Open(acme)
	ana.See(".banner", "from support is in this tenant")
	ana.Inspect("console-support-banner")
	ana.Follow(".banner a")
	ana.See("#did-h", "What they saw and did")
	ana.See("main", "Looked at")
	ana.Inspect("console-support-grant")
	ana.Type("#revoke-reason", "That is enough")
	ana.confirm(`form[action$="/revoke"]`)
	ana.See(".toast", "Their access is over")
	cem.Open(acme + "/users")
	cem.See("h1", "Nothing is here")
	cem.Open(cem.url + "/platform/support")
	cem.See("main", "That is enough")
	ana.Open(acme + "/support")
	ana.See("main", "Before")
	ana.Inspect("console-support")
}

// TestConsoleFounding is how a customer gets a tenant without the staff's help: by an
// invitation, whose page asks for a name and a domain.
func TestConsoleFounding(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")

	ana.Open(ana.url + "/platform/system")
	ana.See("#dependencies-h", "Dependencies")
	ana.See("main", "PostgreSQL")
	ana.Inspect("console-system")

	ana.Open(ana.url + "/platform/founders")
	ana.See("main", "No invitation is open")
	ana.Inspect("console-founders-none")
	ana.Type("#founder-label", "Dora, Fjord Bank")
	browsertest.Eval[bool](ana.Visitor, `(document.querySelector('form[action$="/founders"]').noValidate = true)`)
	ana.confirm(`form[action$="/founders"]`)
	ana.SeeFocus("#founder-reason[aria-invalid=true]") // and what was typed stays
	ana.Type("#founder-reason", "Contract of May")
	ana.confirm(`form[action$="/founders"]`)
	ana.See(".invitations", "Dora, Fjord Bank")
	ana.Inspect("console-founders")
	link := browsertest.Eval[string](ana.Visitor, `document.querySelector(".invitations [data-copy]").dataset.copy`)

	dora := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	dora.device = dora.PlatformAuthenticator()
	dora.Open(link)
	dora.Inspect("console-join-founder")
	dora.joinAs("Dora Dahl")
	dora.See("h1", "New tenant")
	dora.Type("#found-name", "Fjord Bank")
	dora.Type("#found-slug", "acme")
	dora.Type("#found-rpId", "localhost")
	dora.Type("#found-origins", biocore.APIURL)
	dora.Follow(`form[action$="/found"] button`)
	dora.SeeFocus("#found-slug[aria-invalid=true]") // it is somebody's
	dora.Inspect("console-found-taken")
	dora.Type("#found-slug", "fjord")
	dora.Follow(`form[action$="/found"] button`)
	dora.See("h1", "Fjord Bank is yours")
	dora.See("main", "bk_test_")
	dora.Inspect("console-found")
	dora.Follow(".foot .btn.primary")
	dora.SeeURL("/console/t/fjord")
	dora.See("main", "Get ready")

	ana.Open(ana.url + "/platform/founders")
	ana.See("main", "No invitation is open")
	ana.Open(ana.url + "/t/fjord")
	ana.See("h1", "Nothing is here") // it is Dora's alone
}

// TestConsoleRelyingParty is where a developer says which pages passkeys are for, and sees
// afterwards who has changed that.
func TestConsoleRelyingParty(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")
	page := ana.url + "/t/acme/relying-party"

	ana.Open(page)
	ana.See("h1", "Relying party")
	ana.See("main", "Nothing to prove")
	ana.Inspect("console-party")
	ana.Type("#party-name", "Acme Bank")
	ana.Type("#party-origins", "https://elsewhere.example")
	ana.Type("#party-reason", "A new address")
	ana.confirm(`form[action$="/relying-party"]`)
	ana.SeeFocus("#party-origins[aria-invalid=true]")
	if name := browsertest.Eval[string](ana.Visitor, `document.querySelector("#party-name").value`); name != "Acme Bank" {
		t.Errorf("after a refusal the name is %q, want what was typed", name)
	}
	ana.Inspect("console-party-error")
	ana.Type("#party-origins", biocore.APIURL)
	ana.confirm(`form[action$="/relying-party"]`)
	ana.See(".toast", "Relying party saved")

	ana.Type("#plan-to", "acme.example")
	ana.Follow(`form:has(#plan-to) button`)
	ana.See("main", "Users who have one of them")
	ana.Inspect("console-party-plan")

	ana.Open(page)
	ana.Follow(`.tabs a[href$="/activity"]`)
	ana.See(".timeline", "Settings changed")
	ana.See(".timeline", "Acme Bank")
	ana.See(".timeline", "Ana Sousa")
	ana.Inspect("console-activity")

	// The columns of a table are chosen by the keyboard, and stay chosen.
	ana.Open(ana.url + "/t/acme/apikeys")
	ana.See("thead", "Networks")
	browsertest.Eval[bool](ana.Visitor, `(document.querySelector("[popovertarget=columns-menu]").focus(), true)`)
	ana.Press(kb.Enter)
	ana.See("#columns-menu", "Networks")
	ana.Inspect("console-columns")
	ana.Click(`#columns-menu [value="networks"]`)
	ana.Follow("#columns-menu .btn.primary")
	ana.SeeURL("columns=state.scopes.by.used.ends")
	if head := ana.Read("thead"); strings.Contains(head, "Networks") || !strings.Contains(head, "State") {
		t.Errorf("the table's head is %q", head)
	}
	ana.Open(ana.url + "/t/acme/apikeys")
	if head := ana.Read("thead"); strings.Contains(head, "Networks") {
		t.Errorf("the next time the table's head is %q", head)
	}
}

// staffOfTwo are the first person of an installation, who owns acme, and a colleague of the
// staff who is a member of no tenant.
func staffOfTwo(t *testing.T, biocore *browsertest.Biocore, chromium *browsertest.Chromium) (owner, other colleague) {
	t.Helper()
	owner = colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	owner.device = owner.PlatformAuthenticator()
	owner.Open(biocore.ConsoleEnrollURL)
	owner.joinAs("Ana Sousa")
	owner.Open(owner.url + "/platform/members")
	link := owner.invite("Cem, help desk", "staff_support")
	other = colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	other.device = other.PlatformAuthenticator()
	other.Open(link)
	other.joinAs("Cem Demir")
	return owner, other
}
