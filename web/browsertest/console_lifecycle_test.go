package browsertest_test

import (
	"testing"

	"github.com/biocore-id/biocore/web/browsertest"
)

// TestConsoleLifecycle is how a tenant is set up, measured, stopped and ended in the console.
func TestConsoleLifecycle(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")
	ana.SeeURL("/console/t/acme")

	ana.Open(ana.url + "/t/acme/usage")
	ana.See("h1", "Usage")
	ana.Inspect("console-usage")

	ana.Open(ana.url + "/t/acme/settings")
	ana.Type("#set-audience", "https://api.acme.example")
	ana.Follow("#settings .btn.primary")
	ana.See(".toast", "Saved")
	ana.Inspect("console-settings")

	ana.Open(ana.url + "/platform/tenants")
	ana.See("table", "acme")
	ana.Inspect("console-tenants")
	ana.Open(ana.url + "/platform/tenants/new")
	ana.Inspect("console-tenant-new")
	ana.Open(ana.url + "/platform/tenants/acme/suspend")
	ana.Inspect("console-tenant-suspend")
	ana.Type("#suspend-reason", "Unpaid invoice")
	ana.confirm(`form[action$="/suspend"]`)
	ana.See(".toast", "The tenant is suspended")
	ana.Inspect("console-tenant")

	ana.Open(ana.url + "/t/acme/settings")
	ana.See(".banner", "This tenant is suspended")
	ana.SeeNothing("#settings")
	ana.Inspect("console-settings-suspended")
	ana.Open(ana.url + "/platform/tenants/acme/resume")
	ana.Type("#resume-reason", "Paid")
	ana.confirm(`form[action$="/resume"]`)
	ana.See(".toast", "The tenant works again")

	ana.Open(ana.url + "/t/acme/settings/delete")
	ana.Type("#delete-confirm", "acme")
	ana.Type("#delete-reason", "Moving house")
	ana.Inspect("console-delete")
	ana.confirm(`form[action$="/delete"]`)
	ana.See(".banner", "being deleted")
	ana.Inspect("console-settings-deleting")
	ana.Type("#restore-reason", "Staying")
	ana.confirm(`form[action$="/restore"]`)
	ana.See(".toast", "The tenant works again")
	ana.SeeNothing(".banner")
}
