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
	ana.Type("#set-reason", "The API has an address of its own")
	ana.confirm("#tokens")
	ana.See(".toast", "Saved")
	ana.brand(t)
	ana.Open(ana.url + "/t/acme/settings")
	ana.Inspect("console-settings")
	ana.Open(ana.url + "/t/acme/settings/lifetimes")
	ana.Inspect("console-lifetimes")

	ana.Open(ana.url + "/platform/tenants")
	ana.See("table", "acme")
	ana.Inspect("console-tenants")
	ana.Open(ana.url + "/platform/new/tenant")
	ana.Inspect("console-tenant-new")
	ana.Open(ana.url + "/platform/tenants/acme/suspend")
	ana.Inspect("console-tenant-suspend")
	ana.Type("#suspend-reason", "Unpaid invoice")
	ana.confirm(`form[action$="/suspend"]`)
	ana.See(".toast", "The tenant is suspended")
	ana.Inspect("console-tenant")

	ana.Open(ana.url + "/t/acme/settings")
	ana.See(".banner", "This tenant is suspended")
	ana.SeeNothing("#tokens")
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

// brand settles colours, a support page and a logo, which is a file.
func (c colleague) brand(t *testing.T) {
	t.Helper()
	path := c.url + "/t/acme/settings/branding"
	c.Open(path)
	c.Type("#brand-accentColor", "#ffcc00")
	c.Type("#branding-reason", "House colours")
	c.Follow("#branding .btn.primary")
	c.See("#brand-accentColor-error", "contrast")
	c.Inspect("console-branding-refused")
	c.Type("#brand-accentColor", "#1a5fb4")
	c.Type("#brand-supportUrl", "https://help.acme.example")
	browsertest.Eval[bool](c.Visitor, `new Promise((done) => {
		const canvas = Object.assign(document.createElement("canvas"), {width: 96, height: 48});
		const pen = canvas.getContext("2d");
		pen.fillStyle = "#1a5fb4";
		pen.arc(24, 24, 20, 0, 7);
		pen.fill();
		pen.fillRect(56, 8, 32, 32);
		canvas.toBlob((png) => {
			const files = new DataTransfer();
			files.items.add(new File([png], "logo.png", {type: "image/png"}));
			document.getElementById("brand-logo").files = files.files;
			done(true);
		});
	})`)
	c.confirm("#branding form") // asks for a passkey, and sends the file all the same
	c.See(".toast", "Saved")
	c.Open(c.url + "/t/acme/settings")
	if !browsertest.Eval[bool](c.Visitor, `document.querySelector('img[alt="Logo"]')?.decode().then(() => true) ?? false`) {
		t.Error("the logo did not arrive")
	}
	c.Open(path)
	c.Inspect("console-branding")
}
