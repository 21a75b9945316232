package browsertest_test

import (
	"testing"

	"github.com/chromedp/chromedp/kb"

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
	ana.builds()
	ana.Follow(`button[value="json"]`)
	ana.Type("#flag-rules", `[{"variant": "on", "when": {"attribute": "country", "operator": "INN", "values": ["NO"]}}]`)
	ana.Type("#flag-reason", "Denmark, too")
	ana.Follow("form .btn.primary")
	ana.See("#flag-rules-error", "did you mean IN?")
	ana.Inspect("console-flag-rules-json")
	ana.Type("#flag-rules", `[{"variant": "on", "when": {"all": [{"attribute": "country", "operator": "IN", "values": ["NO", "SE", "DK"]}, {"attribute": "appVersion", "operator": "VERSION_AT_LEAST", "values": ["4.2.0"]}]}}, {"rollout": [{"variant": "on", "weight": 25}, {"variant": "off", "weight": 75}]}]`)
	ana.Follow("form .btn.primary")
	ana.See(".toast", "Saved")
	ana.Type("#switch-reason", "app 4.2 is out")
	ana.Follow("#switch .btn.primary")
	ana.See(".toast", "Switched on")
	ana.See(".env-card.here", "1 rule, then 25% on, 75% off")

	ana.Type("#why-subject", "cust_0051907")
	ana.Type("#why-context", "country = BR")
	ana.Follow(`form[action$="/why"] .btn`)
	ana.See("ol.why", "Country is BR, needs to be one of NO, SE, DK; there is no appVersion")
	ana.See("ol.why", "of 100 lies in the part of")
	ana.Inspect("console-flag")
	ana.Open(base + "/approval-number-matching/edit")
	ana.See("h1", "Change details")
	ana.Inspect("console-flag-edit")
	ana.Open(base + "?q=nothing")
	ana.See("main", "No flags found")
	ana.Inspect("console-flags-search")
	ana.Open(base)
	ana.See("tbody", "1 rule, then 25% on, 75% off")
	ana.Inspect("console-flags")

	ana.Follow(`.page-h a[href$="/segments"]`)
	ana.See("main", "No segments yet")
	ana.Follow(`main section a.btn.primary`)
	ana.Type("#segment-name", "Beta testers")
	ana.Type("#segment-key", "beta-testers")
	ana.Type("#segment-reason", "before the launch")
	ana.Inspect("console-segment-new")
	ana.Follow("form.wide-form .btn.primary")
	ana.See(".toast", "Rules can ask for it")
	ana.Type("#list-keys", "cust_0051907")
	ana.Type("#list-reason", "signed up in March")
	ana.Follow("#list .btn.primary")
	ana.See(".toast", "The list is changed")
	ana.Type("#find-key", "cust_0051907")
	ana.Follow(`form[action$="/find"] .btn`)
	ana.See("[role=status]", "On the list, in the segment")
	ana.Follow(`.page-h .btn.primary`)
	ana.Follow(`button[value="term when"]`)
	ana.SeeFocus("#when-c0-attribute")
	ana.Press("plan")
	ana.Type("#when-c0-values", "beta")
	ana.Type("#segment-reason", "whoever pays for it")
	ana.Inspect("console-segment-edit")
	ana.Follow("form.wide-form .btn.primary")
	ana.See("main dl", "Where plan is beta")
	ana.Inspect("console-segment")
	ana.Follow(`tr:nth-child(3) a[href*="/history/"]`)
	ana.See("#changes", "plan")
	ana.Inspect("console-segment-back")
	ana.Open(base + "/../segments")
	ana.See("tbody", "1 in it")
	ana.Inspect("console-segments")

	ana.Open(base + "/approval-number-matching/rules")
	ana.Follow(`button[value="segment r0"]`)
	ana.SeeFocus("#r0-c2-segment")
	ana.Type("#flag-reason", "testers of the beta alone")
	ana.Follow("form .card-f .btn.primary")
	ana.See(".flag-rules", "in segment beta-testers")
	ana.Follow(`tr:nth-child(3) a[href*="/history/"]`)
	ana.See("#changes", "beta-testers")
	ana.Inspect("console-flag-back")
	ana.Type("#back-reason", "everybody again")
	ana.Follow("#back .btn.primary")
	ana.See(".toast", "It is back as it was")
	ana.See(".env-card.here", "1 rule, then 25% on, 75% off")

	ana.Open(base + "/../stale-flags")
	ana.See("main", "No flag is stale")
	ana.Inspect("console-flags-stale")
	ana.Open(base)
	ana.Follow("tbody a.strong")
	ana.Type("#switch-reason", "it showed a blank number")
	ana.Follow("#switch .btn.primary")
	ana.See(".toast", "Switched off")
	ana.See(".env-card.here", "Serves off to everybody")
	ana.See("section[aria-labelledby=history-h]", "it showed a blank number")
}

// builds makes rules in rows by the keyboard alone: two conditions and a group, a mistake that is mended, and a split that is moved.
func (c colleague) builds() {
	reach := func(selector string) {
		for range 120 { // around the page, by its end
			if c.HasFocus(selector) {
				return
			}
			c.Press(kb.Tab)
		}
		c.SeeFocus(selector)
	}
	press := func(button, leads string) {
		reach(`button[value="` + button + `"]`)
		c.Press(kb.Enter)
		c.SeeFocus(leads)
	}
	press("rule", `button[value="term r0"]`)
	press("term r0", "#r0-c0-attribute")
	c.Press("country")
	reach("#r0-c0-values")
	c.Press("NO" + kb.Enter + "SE")
	press("group r0", "#r0-c1-match")
	reach("#r0-c1-c0-attribute")
	c.Press("appVersion" + kb.Tab + "is at least v" + kb.Tab + "new")
	press("term r0.c1", "#r0-c1-c1-attribute")
	c.Press("plan" + kb.Tab + "is there")
	reach("#r0-to")
	c.Press("on")
	press("rule", `button[value="term r1"]`)
	reach("#r1-to")
	c.Press("a split" + kb.Tab + "75" + kb.Tab + "25")
	reach(`button[value="review"]`)
	c.Press(kb.Enter)
	c.SeeFocus("#r0-c1-c0-values")
	c.See("#r0-c1-c0-values-error", "No semantic version: 4.2.0 is one")
	c.Press(kb.Delete + kb.Delete + kb.Delete + "4.2.0")
	press("down r0", `button[value="up r1"]`)
	press("up r1", `button[value="down r0"]`)
	c.Follow(`button[value="review"]`) // changes stand on the page before, too: what is looked at is the next
	c.See("#changes", "VERSION_AT_LEAST")
	c.SeeNothing(".err")
	c.Inspect("console-flag-rules")
	reach("#flag-reason")
	c.Press("Nordic first")
	c.Follow("form .card-f .btn.primary")
	c.See(".toast", "Saved")
	c.See(".flag-rules", "country is one of NO, SE and (appVersion is at least version 4.2.0 or plan is there)")
	c.Follow(`.page-h .btn.primary`)
}
