package browsertest_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/biocore-id/biocore/web/browsertest"
)

// TestConsole is what the first person of an installation does in the console, and whom
// they invite. It is one story: each page stands on what was done before it.
func TestConsole(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()

	ana.Open(biocore.ConsoleEnrollURL)
	ana.See("#join-title", "Join Platform and")
	ana.See("#invitations", "Staff admin")
	ana.See("#invitations", "Owner")
	ana.SeeFocus("#name")
	ana.Click("#create")
	ana.See("#newcomer .err", "your colleagues know you")
	ana.SeeFocus("#name")
	ana.Inspect("console-join")
	ana.joinAs("Ana Sousa")
	ana.SeeURL("/console/t/acme")
	ana.See(".toast", "You are a member now")
	ana.Open(ana.url + "/t/acme/members")
	if passkeys := ana.device.Passkeys(); len(passkeys) != 1 || !passkeys[0].IsResidentCredential {
		t.Errorf("the authenticator holds %d passkeys, want one, discoverable", len(passkeys))
	}

	ana.Open(ana.url + "/t/acme/members")
	link := ana.invite("Ben, help desk", "viewer")
	ana.Inspect("console-members")
	ben := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ben.device = ben.PlatformAuthenticator()
	ben.Open(link)
	ben.See("#invitations", "Viewer")
	ben.joinAs("Ben Okafor")
	ben.See(".toast", "You are a member now")
	ben.Open(ben.url + "/t/acme/members")
	ben.See("main", "You can look here")
	ben.SeeNothing("#invite")
	ben.Inspect("console-members-viewer")
	t.Run("an invitation is for one", func(t *testing.T) {
		late := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
		late.Open(link)
		late.See("#join-title", "This invitation is over")
		late.Inspect("console-join-over")
	})

	ana.Open(ana.url + "/t/acme/members")
	browsertest.Eval[bool](ana.Visitor, `(document.querySelector("#invite form").noValidate = true)`)
	ana.Follow("#invite form button")
	ana.SeeFocus("#invite-label[aria-invalid=true]")
	ana.See("#invite .err", "1 to 100 characters")
	ana.Inspect("console-form-error")

	ana.changeRole("Ben Okafor", "support")
	ana.See(".toast", "Role changed")
	ana.menus()
	ana.account()
	cem := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	cem.device = cem.PlatformAuthenticator()
	ana.recovery(ben, cem)

	ana.Open(ana.url + "/t/nobody/members")
	ana.See("h1", "Nothing is here")
	ana.Inspect("console-nothing")
	ana.comeBack()
}

// colleague is somebody at the console.
type colleague struct {
	*browsertest.Visitor

	device *browsertest.Authenticator
	url    string
}

// joinAs takes an invitation as a newcomer.
func (c colleague) joinAs(name string) {
	c.Type("#name", name)
	c.Click("#create")
	c.See("#join-title", "Your passkey is ready")
	c.SeeFocus("#join-title")
	c.Follow("#first-sign-in")
}

// invite makes an invitation and returns its link.
func (c colleague) invite(label, role string) string {
	c.Type("#invite-label", label)
	browsertest.Eval[string](c.Visitor, `document.getElementById("invite-role").value = "`+role+`"`)
	c.Follow("#invite form button")
	c.See(".toast", "Invitation made")
	c.See(".invitations", label)
	return browsertest.Eval[string](c.Visitor, `document.querySelector(".invitations [data-copy]").dataset.copy`)
}

// changeRole gives somebody another role, long after the passkey was used.
func (c colleague) changeRole(name, role string) {
	c.Open(c.url + "/t/acme/members")
	c.Follow(`[aria-label="Change… ` + name + `"]`)
	c.See("h1", name)
	c.Inspect("console-member")
	browsertest.Eval[string](c.Visitor, `document.getElementById("change-role").value = "`+role+`"`)
	c.Type("#change-reason", "Helps on Mondays")
	c.confirm(`form[action$="/role"]`)
}

// confirm sends the form of a sensitive act whose passkey is not fresh any more.
func (c colleague) confirm(form string) {
	browsertest.Eval[string](c.Visitor, `document.querySelector('`+form+`').dataset.freshUntil = "2020-01-01T00:00:00Z"`)
	c.device.SetPresence(true)
	c.Follow(form + " button")
}

// menus opens what is closed.
func (c colleague) menus() {
	c.OnPhone(func() {
		c.Open(c.url + "/t/acme/members")
		c.SeeNothing("#nav")
		c.Click(`[popovertarget="nav"]`)
		c.See("#nav", "Members & roles")
		c.Shoot("console-nav-390")
		c.Click(".tenant")
		c.See("#places", "Platform")
		c.See("#nav", "Members & roles")
		c.Shoot("console-places-390")
	})
	c.Open(c.url + "/t/acme/members")
	c.Press(kb.Tab)
	c.SeeFocus(".skip")
	c.Press(kb.Enter)
	c.SeeFocus("main")
	c.Follow(`[action="/console/theme"] button`)
	c.See("h1", "Members & roles")
	c.SeeFocus("html[data-theme=light] body")
	c.Follow(`[action="/console/theme"] button`)
	c.SeeFocus("html[data-theme=dark] body")
	c.Follow(`[action="/console/theme"] button`)
	c.SeeFocus("html:not([data-theme]) body")
	c.Click(".tenant")
	c.See("#places", "Platform")
	c.Shoot("console-places")
	c.Follow("#places li:last-child a")
	c.SeeURL("/console/platform/tenants")
	c.See("main", "acme")
	c.Inspect("console-tenants")
	c.Follow(".who a")
	c.See("#owners-h", "Owners")
	c.Inspect("console-tenant")
	c.Open(c.url + "/platform/members")
	c.See("h1", "Staff")
	c.Inspect("console-staff")
	c.Open(c.url + "/theme-is-nowhere")
	c.See("h1", "Nothing is here")
}

// account adds a passkey, renames it and removes it.
func (c colleague) account() {
	c.Open(c.url + "/account")
	c.See("#passkeys", "This is your only passkey")
	c.device.SetPresence(false) // it holds one already, and must not answer for the key
	key := c.SecurityKey()
	c.Follow("#add-passkey")
	c.See(".toast", "Passkey added")
	c.SeeNothing("#passkeys .card-f")
	c.Inspect("console-account")
	key.SetPresence(false)
	c.device.SetPresence(true)
	c.Follow("#passkeys li a")
	c.Type("#nickname", "Blue key")
	c.Follow(`form[action$="/rename"] button`)
	c.See("#passkeys", "Blue key")
	c.Follow("#passkeys li a")
	c.See("h1", "Blue key")
	c.Inspect("console-passkey")
	c.Type("#remove-reason", "Lost on the train")
	c.confirm(`form[action$="/remove"]`)
	c.See(".toast", "Passkey removed")
	c.See("#passkeys", "This is your only passkey")
	key.Unplug()
}

// recovery asks for the recovery of an owner, which second of the staff approves and the
// member of then cancels: who is a member cannot approve.
func (c colleague) recovery(of, second colleague) {
	// Who joins the staff after it was asked for cannot approve it either.
	c.Open(c.url + "/platform/members")
	second.Open(c.invite("Cem, second", "staff_support"))
	second.See("#invitations", "Staff support")
	second.joinAs("Cem Demir")
	second.SeeURL("/console/platform/tenants")
	c.Open(c.url + "/platform/members")
	link := c.invite("Ben, too", "staff_support")
	of.Open(link)
	of.See("#join-lead", "You are signed in")
	of.See("#accept", "Join as Ben Okafor")
	of.Inspect("console-join-signed-in")
	of.Follow("#accept")
	of.SeeURL("/console/platform/tenants")

	c.Open(c.url + "/platform/tenants/acme")
	c.Follow(`[aria-label^="Recover this owner"]`)
	c.See("h1", "Recover Ana Sousa")
	c.Inspect("console-recover")
	c.Type("#ticket", "T-1187, by phone")
	c.Type("#reason", "Lost both devices")
	c.confirm(`form[action$="/recover"]`)
	c.See(".toast", "Recovery asked for")
	c.Follow(`[aria-label="Look at the recovery of Ana Sousa"]`)
	c.See("main", "You asked for this")
	c.Inspect("console-recovery-staff")
	of.Open(of.url + "/t/acme/members")
	of.See(".banner", "Ana Sousa asked for it")

	second.Open(second.url + "/platform/tenants/acme")
	second.Follow(`[aria-label="Look at the recovery of Ana Sousa"]`)
	second.See("#approve-h", "Approve")
	second.Inspect("console-recovery-approve")
	second.Type("#approve-reason", "Called her on her desk phone")
	second.confirm(`form[action$="/approve"]`)
	second.See(".toast", "Recovery approved")
	of.Open(of.url + "/t/acme/members")
	of.See(".banner .clock", "in 2 days 23 h")
	of.Inspect("console-banner")
	of.Follow(".banner a")
	of.See("h1", "Recovery of Ana Sousa")
	of.Inspect("console-recovery")
	of.Type("#cancel-reason", "She sits beside me")
	of.confirm(`form[action$="/cancel"]`)
	of.See(".toast", "Recovery cancelled")
	of.SeeNothing(".banner")
	of.See("#recoveries-h", "Recoveries of owners")
}

// comeBack signs out, and in again to where a link leads.
func (c colleague) comeBack() {
	c.Open(c.url)
	c.See("h1", "Where you work")
	c.Inspect("console-home")
	c.Open(c.url + "/account")
	c.device.SetPresence(false) // autofill waits on the gate: nobody touches the device
	c.Click(".me button")
	c.See("#account-menu", "Sign out")
	c.Shoot("console-account-menu")
	c.Follow("#account-menu button")
	c.See(".notice", "You are signed out")
	c.Inspect("console-signin")
	c.Open(c.url + "/t/acme/members")
	c.SeeURL("next=" + strings.ReplaceAll("/console/t/acme/members", "/", "%2F"))
	c.SeeAsked()
	c.device.SetPresence(true) // answers what comes, not what waits
	c.Open(c.url + "/signin?next=%2Fconsole%2Ft%2Facme%2Fmembers")
	c.SeeURL("/console/t/acme/members") // by autofill
	c.See("h1", "Members & roles")
}
