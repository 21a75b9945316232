package browsertest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/web/browsertest"
)

// TestConsoleCeremonies is how a developer finds out why somebody could not sign in: the
// failure comes into the list by itself, and says at which step it ended and how to mend it.
func TestConsoleCeremonies(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")
	ana.See(".toast", "You are a member now")

	ana.Open(ana.url + "/t/acme/ceremonies")
	ana.See("#feed", "No ceremonies yet")
	ana.Inspect("console-ceremonies-none")
	fail(t, biocore, `{"authenticationId":"made-up","credential":{"id":"AQID","rawId":"AQID","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AQ","signature":"AQ"}}}`)
	ana.See("#feed", "CHALLENGE_UNKNOWN") // nobody has reloaded
	ana.Click(`[aria-label="Pause the live tail"]`)
	ana.See(".pane-h", "Paused")
	fail(t, biocore, `{"authenticationId":"again","credential":{"id":"AQID","rawId":"AQID","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AQ","signature":"AQ"}}}`)

	ana.Follow("#feed a")
	ana.See("h1", "Sign-in failed: not begun here")
	ana.See(".steps", "Why, and how to fix it")
	ana.Inspect("console-ceremony")
	ana.OnPhone(func() {
		ana.SeeNothing("#feed")
		ana.Follow(".pane > .link")
		ana.See("#feed", "CHALLENGE_UNKNOWN")
	})
	ana.Open(ana.url + "/t/acme/ceremonies?q=ORIGIN_NOT_ALLOWED")
	ana.See("#feed", "No ceremonies found")
	ana.Inspect("console-ceremonies-no-results")
	ana.Open(ana.url + "/t/acme/ceremonies?show=failed")
	ana.See("#feed", "CHALLENGE_UNKNOWN")
	ana.Inspect("console-ceremonies")
}

// fail finishes a sign-in that nobody has begun.
func fail(t *testing.T, biocore *browsertest.Biocore, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, biocore.APIURL+"/v1/authentications:finish", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+biocore.Tenants[0].SecretKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusBadRequest {
		t.Fatalf("finish = %s, want 400", res.Status)
	}
}
