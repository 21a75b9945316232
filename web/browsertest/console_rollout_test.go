package browsertest_test

import (
	"testing"

	"github.com/biocore-id/biocore/web/browsertest"
)

// Somebody of the staff finds Biocore's own switches in the menu, and turns live streams off, by passkey.
func TestConsoleRollouts(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")

	ana.Open(ana.url + "/platform/system")
	ana.Follow(`#nav a[href$="/platform/flags"]`)
	ana.See("h1", "Feature flags")
	ana.See("tbody", "biocore.audit-archiving")
	ana.Inspect("rollouts")
	ana.Follow(`a[href$="/platform/flags/biocore.live-streams"]`)
	ana.See("h1", "Live streams of ceremonies")
	ana.Inspect("rollout")
	ana.Type("#switch-reason", "Redis is short of breath")
	ana.Follow("#switch .btn.primary")
	ana.See(".env-card.here", "Serves off to everybody")
}
