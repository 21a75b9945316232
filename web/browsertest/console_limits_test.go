package browsertest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/web/browsertest"
)

// TestConsoleLimits: what a visitor is refused stands on the page of limits, and on the overview.
func TestConsoleLimits(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t, "--no-limits=false"), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")
	ana.Open(ana.url + "/t/acme/limits")
	ana.See("h1", "Limits")
	ana.Inspect("console-limits-none")

	for refused, calls := 0, 0; refused < 5; calls++ {
		if calls > 1000 {
			t.Fatal("nobody is refused")
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, biocore.APIURL+"/v1/authentications:begin", strings.NewReader(`{"externalId":"ada"}`))
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
		if res.StatusCode == http.StatusTooManyRequests {
			refused++
		}
	}
	ana.Open(ana.url + "/t/acme/limits")
	ana.See("table", "Sign-ins begun for a name")
	ana.Inspect("console-limits")
	ana.Open(ana.url + "/t/acme")
	ana.See("body", "5 calls refused by limits")

	// The staff give the tenant a limit of its own, and its members see it beside everybody's.
	ana.Open(ana.url + "/platform/tenants/acme")
	ana.Follow(`a[href$="/platform/tenants/acme/limits"]`)
	ana.Type("#limits-key", "1000000")
	ana.Type("#limits-reason", "contract 4711")
	ana.confirm(`form[action$="/limits"]`)
	ana.See("#limits-key-error", "takes from 1 to 10000 calls")
	ana.Inspect("console-limits-refused")
	ana.Type("#limits-key", "2000")
	ana.confirm(`form[action$="/limits"]`)
	ana.See("body", "Server key: 2,000 a second")
	ana.Inspect("console-limits-tenant")
	ana.Open(ana.url + "/t/acme/limits")
	ana.See("table", "instead of 400 a second")
	ana.Inspect("console-limits-own")
}
