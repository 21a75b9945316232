package browsertest_test

import (
	"testing"

	"github.com/biocore-id/biocore/web/browsertest"
)

// TestConsoleUsers is a help desk's day: somebody is added, found, sent a link, blocked, and
// many are dealt with at once.
func TestConsoleUsers(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")
	ana.See(".toast", "You are a member now")
	base := ana.url + "/t/acme"

	ana.Open(base + "/users")
	ana.See("h1", "Users")
	ana.See("main", "Add your first user")
	ana.Inspect("console-users-empty")
	for _, one := range [][2]string{{"cust_0048213", "Ingrid Halvorsen"}, {"cust_0051907", "Mateus Oliveira"}, {"cust_0050334", "Priya Raman"}} {
		ana.Open(base + "/users/new")
		ana.Type("#externalId", one[0])
		ana.Type("#name", one[0]+"@example.com")
		ana.Type("#displayName", one[1])
		ana.Follow("main form button")
		ana.See(".toast", "User added")
		ana.See("h1", one[1])
	}
	ana.Open(base + "/users")
	ana.See("main .sub", "3 users")
	ana.Inspect("console-users")
	ana.Enter(".find input", "ingr")
	ana.See(".pager", "1 user")
	ana.See("tbody", "Ingrid Halvorsen")
	ana.Open(base + "/users?q=nobody&state=blocked")
	ana.See("main", "State: Blocked")
	ana.Inspect("console-users-none")

	ana.Open(base + "/users?q=ingrid")
	ana.Follow("tbody a.strong")
	ana.See("h1", "Ingrid Halvorsen")
	ana.Inspect("console-user")
	ana.Follow(`a[href$="/act/link"]`)
	ana.Inspect("console-user-link")
	ana.Type("#act-reason", "New phone")
	ana.confirm("#act form")
	ana.See("h1", "Shown once")
	ana.Inspect("console-user-secret")
	ana.Follow("main a.btn.primary")
	ana.Follow(`a[href$="/act/block"]`)
	ana.Type("#act-reason", "Reported as stolen")
	ana.confirm("#act form")
	ana.See(".toast", "Blocked")

	ana.Open(base + "/users")
	ana.Click("[data-pick-all]")
	ana.See(".bulk", "3")
	ana.Shoot("console-users-bulk")
	ana.Follow(`[formaction$="/bulk/users/sessions"]`)
	ana.See("#act", "Priya Raman")
	ana.Type("#act-reason", "A drill")
	ana.confirm("#act form")
	ana.See(".toast", "Sessions revoked")

	ana.Open(base + "/credentials")
	ana.Inspect("console-credentials-empty")
	ana.Open(base + "/sessions")
	ana.Inspect("console-sessions-empty")
}
