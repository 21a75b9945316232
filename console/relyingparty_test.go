package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/fetch/fetchtest"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// live is a live tenant of a domain that nobody has proven.
func (s *site) live(t *testing.T, slug, domain string) scope.Scope {
	t.Helper()
	sc := s.store.TenantWith(t, dbtest.TenantOptions{Slug: slug, Mode: "LIVE", RPID: domain, Origins: []string{"https://" + domain}, Unproven: true})
	if err := s.keys.Ensure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	return sc
}

var etagField = regexp.MustCompile(`name="etag" value="([^"]+)"`)

// partyFields is the form as the page has it, with changes.
func partyFields(t *testing.T, page string, changes ...string) []string {
	t.Helper()
	found := etagField.FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("no etag in %s", page)
	}
	return append([]string{"etag", found[1], "rpId", "bank.example", "name", "Bank", "origins", "https://bank.example", "reason", "as agreed"}, changes...)
}

func TestRelyingPartyPage(t *testing.T) {
	s := newSite(t)
	sc := s.live(t, "bank", "bank.example")
	ada := s.person(t, "Ada", sc, member.Owner)
	const page = "/console/t/bank/relying-party"
	asked, err := s.tenants.DomainProof(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	got := ada.get(t, page)
	for _, want := range []string{"Unproven", "DOMAIN_UNPROVEN", asked.Challenge.DNSName(), asked.Challenge.Text(), asked.Challenge.FileURL(), "Check now"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if res := ada.form(t, page+"/verify"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("a look: %d %s", res.StatusCode, res.body)
	}
	if got := ada.get(t, page); !strings.Contains(got.body, "TXT_MISSING") || !strings.Contains(got.body, "found no proof") {
		t.Error("the page does not say what a look found")
	}
	s.net.TXT(asked.Challenge.DNSName(), asked.Challenge.Text())
	ada.form(t, page+"/verify")
	got = ada.get(t, page)
	if !strings.Contains(got.body, "The domain is proven") || strings.Contains(got.body, "DOMAIN_UNPROVEN") {
		t.Error("the page does not say that the domain is proven")
	}

	// Saving.
	if res := ada.form(t, page, partyFields(t, got.body, "relatedOrigins", "https://bank-app.example\r\n", "iosAppIds", "A1B2C3D4E5.com.example.bank")...); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("saving: %d %s", res.StatusCode, res.body)
	}
	settings, err := s.tenants.Settings(t.Context(), sc)
	if err != nil || len(settings.RelatedOrigins) != 1 || settings.IOSApps[0] != "A1B2C3D4E5.com.example.bank" || settings.RPName != "Bank" {
		t.Errorf("saved: %+v, %v", settings.Tenant, err)
	}
	// What clients find.
	s.net.Page("bank.example", "/.well-known/webauthn", fetchtest.As("application/json", `{"origins":["https://<b>.example"]}`))
	found := ada.form(t, page+"/fetch")
	if found.StatusCode != http.StatusOK || !strings.Contains(found.body, "origins lacks https://bank-app.example") {
		t.Errorf("what clients find: %d", found.StatusCode)
	}
	// The planner.
	plan := ada.get(t, page+"?to=bank.test-example.com")
	if plan.StatusCode != http.StatusOK || !strings.Contains(plan.body, "Change the RP ID") {
		t.Errorf("plan: %d", plan.StatusCode)
	}
	if plan = ada.get(t, page+"?to=com"); plan.StatusCode != http.StatusOK || !strings.Contains(plan.body, "is a public suffix") {
		t.Errorf("plan of a public suffix: %d", plan.StatusCode)
	}
}

// What was typed is kept, with the error at its field; nothing is half saved.
func TestRelyingPartyRefused(t *testing.T) {
	s := newSite(t)
	sc := s.live(t, "bank", "bank.example")
	ada := s.person(t, "Ada", sc, member.Owner)
	const page = "/console/t/bank/relying-party"
	body := ada.get(t, page).body
	for name, tt := range map[string]struct {
		fields []string
		want   string
	}{
		"an origin elsewhere": {[]string{"origins", "https://evil.example", "name", `<script>alert(1)</script>`}, "Origins has the RP ID or a subdomain of it as host"},
		"no origin":           {[]string{"origins", " "}, "Origins has 1 to 64 entries"},
		"a public suffix":     {[]string{"rpId", "com", "origins", "https://a.com"}, "RP ID is a public suffix"},
		"a fingerprint":       {[]string{"androidApps", "com.example.bank 14:6D"}, "Android apps has fingerprints"},
		"an app id":           {[]string{"iosAppIds", "bank"}, "Apple apps has the team"},
		"no reason":           {[]string{"reason", ""}, "Say why"},
	} {
		res := ada.form(t, page, partyFields(t, body, tt.fields...)...)
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, tt.want) {
			t.Errorf("%s: %d, want %q", name, res.StatusCode, tt.want)
		}
		if strings.Contains(res.body, "<script>alert") {
			t.Errorf("%s: markup is alive", name)
		}
		if n := len(tt.fields); tt.fields[n-1] == `<script>alert(1)</script>` && !strings.Contains(res.body, "&lt;script&gt;alert(1)") {
			t.Errorf("%s: what was typed is gone", name)
		}
	}
	if n := s.store.AuditCount(t, sc, "settings.update"); n != 0 {
		t.Errorf("refusals left %d entries", n)
	}

	// Somebody else saves meanwhile: 409 with what changed, and saving again is knowing.
	if _, err := s.tenants.UpdateSettings(t.Context(), sc, tenant.UpdateSettingsRequest{RPName: new("Their Bank")}); err != nil {
		t.Fatal(err)
	}
	late := ada.form(t, page, partyFields(t, body)...)
	if late.StatusCode != http.StatusConflict || !strings.Contains(late.body, "Somebody else saved meanwhile") || !strings.Contains(late.body, "Their Bank") {
		t.Errorf("a late form: %d", late.StatusCode)
	}
	if again := ada.form(t, page, partyFields(t, late.body)...); again.StatusCode != http.StatusSeeOther {
		t.Errorf("saving again: %d", again.StatusCode)
	}
	// A passkey that was used long ago does not save.
	body = ada.get(t, page).body
	s.grow(t)
	if stale := ada.form(t, page, partyFields(t, body, "name", "Stale")...); stale.StatusCode != http.StatusForbidden {
		t.Errorf("without a fresh passkey: %d", stale.StatusCode)
	}
}

func TestWhoMaySeeTheRelyingParty(t *testing.T) {
	s := newSite(t)
	sc := s.live(t, "bank", "bank.example")
	viewer, support := s.person(t, "Vera", sc, member.Viewer), s.person(t, "Sam", sc, member.Support)
	other, _ := s.tenant(t)
	stranger := s.person(t, "Eve", other, member.Owner)
	const page = "/console/t/bank/relying-party"
	got := viewer.get(t, page)
	if got.StatusCode != http.StatusOK || strings.Contains(got.body, "Check now") || strings.Contains(got.body, "and save") {
		t.Errorf("a viewer: %d, with buttons", got.StatusCode)
	}
	for _, path := range []string{page, page + "/verify"} {
		if res := viewer.form(t, path, "etag", "x"); res.StatusCode != http.StatusForbidden {
			t.Errorf("a viewer at %s: %d", path, res.StatusCode)
		}
		if res := stranger.form(t, path); res.StatusCode != http.StatusNotFound {
			t.Errorf("a stranger at %s: %d", path, res.StatusCode)
		}
	}
	if res := support.get(t, page); res.StatusCode != http.StatusForbidden {
		t.Errorf("support: %d", res.StatusCode)
	}
	if res := stranger.get(t, page); res.StatusCode != http.StatusNotFound {
		t.Errorf("a stranger: %d", res.StatusCode)
	}
}
