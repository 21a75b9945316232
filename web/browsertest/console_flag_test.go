package browsertest_test

import (
	"testing"

	"github.com/biocore-id/biocore/web/browsertest"
)

// TestConsoleFlags is what a developer does with a feature flag: make it, say who gets what, switch it on, ask why somebody gets what
// they get, and pull the kill switch.
func TestConsoleFlags(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")
	base := ana.url + "/t/acme/flags"

	ana.Open(base)
	ana.See("main", "No feature flags yet")
	ana.Inspect("console-flags-none")
	ana.Follow(`main section a.btn.primary`)
	ana.See("h1", "New feature flag")
	ana.Type("#flag-name", "Approval number matching")
	ana.Type("#flag-key", "approval number")
	ana.Type("#flag-reason", "for app 4.2")
	ana.Follow("form.wide-form .btn.primary")
	ana.See("#flag-key-error", "begins with a letter or a digit")
	ana.Inspect("console-flag-new")
	ana.Type("#flag-key", "approval-number-matching")
	ana.Type("#flag-owner", "Payments")
	ana.Follow("form.wide-form .btn.primary")
	ana.See(".toast", "It is off everywhere")
	ana.See("h1", "Approval number matching")

	ana.Follow(`.page-h .btn.primary`)
	ana.See("h1", "Rules in Production")
	ana.Type("#flag-rules", `[{"variant": "on", "when": {"attribute": "country", "operator": "INN", "values": ["NO"]}}]`)
	ana.Type("#flag-reason", "Nordic first")
	ana.Follow("form .btn.primary")
	ana.See("#flag-rules-error", "did you mean IN?")
	ana.Inspect("console-flag-rules")
	ana.Type("#flag-rules", `[{"variant": "on", "when": {"all": [{"attribute": "country", "operator": "IN", "values": ["NO", "SE", "DK"]}, {"attribute": "appVersion", "operator": "VERSION_AT_LEAST", "values": ["4.2.0"]}]}}, {"rollout": [{"variant": "on", "weight": 25}, {"variant": "off", "weight": 75}]}]`)
	ana.Follow("form .btn.primary")
	ana.See(".toast", "Saved")
	ana.Type("#switch-reason", "app 4.2 is out")
	ana.Follow("#switch .btn.primary")
	ana.See(".toast", "Switched on")
	ana.See(".env-card.here", "1 rule, then 25% on, 75% off")

	ana.Type("#why-subject", "cust_0051907")
	ana.Type("#why-context", "country = BR")
	ana.Follow(`form[method=get] .btn`)
	ana.See("ol.why", "Country is BR, needs to be one of NO, SE, DK; there is no appVersion")
	ana.See("ol.why", "of 100 lies in the part of")
	ana.Inspect("console-flag")
	ana.Open(base)
	ana.See("tbody", "1 rule, then 25% on, 75% off")
	ana.Inspect("console-flags")

	ana.Follow("tbody a.strong")
	ana.Type("#switch-reason", "it showed a blank number")
	ana.Follow("#switch .btn.primary")
	ana.See(".toast", "Switched off")
	ana.See(".env-card.here", "Serves off to everybody")
	ana.See("section[aria-labelledby=history-h]", "it showed a blank number")
}
