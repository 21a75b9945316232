package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

var lifetimeFields = []string{
	"accessTokenSeconds", "refreshIdleSeconds", "sessionLifetimeSeconds", "strongSignInMaxAgeSeconds",
	"ceremonyRetentionDays", "sessionRetentionDays", "evidenceRetentionDays", "auditRetentionDays",
}

// lifetimes are the fields of the form as a page shows them, with a reason and some typed over.
func lifetimes(t *testing.T, body string, typed ...string) []string {
	t.Helper()
	fields := []string{"etag", hidden(t, body, "etag"), "reason", "contract"}
	for _, name := range lifetimeFields {
		was := hidden(t, body, "was-"+name)
		fields = append(fields, "was-"+name, was, name, was)
	}
	return append(fields, typed...)
}

func TestLifetimes(t *testing.T) {
	s := newSite(t)
	sc, slug := s.tenant(t)
	settings := "/console/t/" + slug + "/settings"
	path := settings + "/lifetimes"
	owner := s.person(t, "Ana", sc, member.Owner)
	drawn := owner.get(t, path).body
	if got := hidden(t, drawn, "was-accessTokenSeconds"); got != "10 min" {
		t.Fatalf("an access token is shown as %q", got)
	}
	a := owner.form(t, path, lifetimes(t, drawn, "accessTokenSeconds", "90 s", "sessionLifetimeSeconds", "1 day 12h", "refreshIdleSeconds", "45m", "ceremonyRetentionDays", "90 days")...)
	if a.StatusCode != http.StatusSeeOther {
		t.Fatalf("saved: %d\n%s", a.StatusCode, a.body)
	}
	now, err := s.tenants.Policy(t.Context(), sc)
	if d := now.Document; err != nil || now.Version != 2 || d.AccessTokenSeconds != 90 || d.SessionLifetimeSeconds != 129600 ||
		d.RefreshIdleSeconds != 2700 || d.CeremonyRetentionDays != 90 || d.SessionRetentionDays != 0 || d.EvidenceRetentionDays != 365 {
		t.Fatalf("the policy is %+v, %v", now, err)
	}
	for _, want := range []string{"1 min 30 s", "1 day 12 h", "45 min", "90 days", "365 days", "As long as the tenant"} {
		if !strings.Contains(owner.get(t, settings).body, "<dd>"+want) {
			t.Errorf("the settings do not say %q", want)
		}
	}

	t.Run("what somebody else has saved meanwhile", func(t *testing.T) {
		mine := owner.form(t, path, lifetimes(t, drawn, "accessTokenSeconds", "5 min")...)
		if mine.StatusCode != http.StatusConflict || !strings.Contains(mine.body, "Access token was “10 min” and is now “1 min 30 s”") ||
			!strings.Contains(mine.body, "Ceremonies was “As long as the tenant” and is now “90 days”") || !strings.Contains(mine.body, `value="5 min"`) {
			t.Fatalf("saved over it: %d\n%s", mine.StatusCode, mine.body)
		}
		if again := owner.form(t, path, lifetimes(t, mine.body, "accessTokenSeconds", "5 min")...); again.StatusCode != http.StatusSeeOther {
			t.Errorf("saved again, with what is now: %d", again.StatusCode)
		}
	})
	t.Run("what the page does not show has changed", func(t *testing.T) {
		drawn := owner.get(t, path).body
		if _, err := s.tenants.PutPolicy(t.Context(), sc, tenant.PutPolicyRequest{
			Document: []byte(`{"minimumAal":2,"accessTokenSeconds":300,"sessionLifetimeSeconds":129600,"refreshIdleSeconds":2700,"ceremonyRetentionDays":90}`),
		}); err != nil {
			t.Fatal(err)
		}
		if a := owner.form(t, path, lifetimes(t, drawn, "evidenceRetentionDays", "")...); a.StatusCode != http.StatusSeeOther {
			t.Fatalf("refused: %d\n%s", a.StatusCode, a.body)
		}
		if now, err := s.tenants.Policy(t.Context(), sc); err != nil || now.Document.MinimumAAL != 2 || now.Document.EvidenceRetentionDays != 0 {
			t.Errorf("the policy is %+v, %v", now, err)
		}
	})
	drawn = owner.get(t, path).body
	before, err := s.tenants.Policy(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	for _, typed := range [][2]string{
		{"accessTokenSeconds", "59"},
		{"accessTokenSeconds", "2 h"}, // longer than an unused session
		{"accessTokenSeconds", "<script>alert(1)</script>"},
		{"accessTokenSeconds", "-5 min"},
		{"accessTokenSeconds", ""},
		{"accessTokenSeconds", "99999999999999999999 days"},
		{"refreshIdleSeconds", "90 days 1 s"},
		{"sessionLifetimeSeconds", "1 fortnight"},
		{"strongSignInMaxAgeSeconds", "2 days"},
		{"ceremonyRetentionDays", "29"},
		{"auditRetentionDays", "89"},
		{"ceremonyRetentionDays", "36 h"},
		{"sessionRetentionDays", "3651 days"},
		{"evidenceRetentionDays", "11 years"},
	} {
		a := owner.form(t, path, lifetimes(t, drawn, typed[0], typed[1])...)
		if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="life-`+typed[0]+`-error"`) || strings.Contains(a.body, "<script>alert") {
			t.Errorf("%s of %q: %d\n%s", typed[0], typed[1], a.StatusCode, a.body)
		}
	}
	for name, typed := range map[string][]string{"no reason": {"reason", "", "accessTokenSeconds", "2 min"}, "a long reason": {"reason", strings.Repeat("x", 257)}} {
		if a := owner.form(t, path, lifetimes(t, drawn, typed...)...); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, "lifetimes-reason-error") {
			t.Errorf("%s: %d\n%s", name, a.StatusCode, a.body)
		}
	}
	for role, wants := range map[member.Role][2]int{
		member.Admin: {200, 303}, member.Security: {200, 303}, member.Viewer: {403, 403}, member.Auditor: {403, 403}, member.Developer: {403, 403}, member.Support: {403, 403},
	} {
		who := s.person(t, "Somebody", sc, role)
		got := [2]int{who.get(t, path).StatusCode, who.form(t, path, lifetimes(t, drawn)...).StatusCode}
		if got != wants {
			t.Errorf("%s: %v, want %v", role, got, wants)
		}
		if page := who.get(t, settings); page.StatusCode == http.StatusOK && strings.Contains(page.body, path) != (wants[0] == 200) {
			t.Errorf("%s: the settings lead there: %t", role, wants[0] != 200)
		}
	}
	s.grow(t)
	if a := owner.form(t, path, lifetimes(t, drawn, "accessTokenSeconds", "2 min")...); a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, `value="2 min"`) {
		t.Errorf("without a fresh passkey: %d", a.StatusCode)
	}
	if now, err := s.tenants.Policy(t.Context(), sc); err != nil || now.Version != before.Version {
		t.Errorf("refusals left version %d, want %d", now.Version, before.Version)
	}
	_, other := s.tenant(t)
	if a := owner.get(t, "/console/t/"+other+"/settings/lifetimes"); a.StatusCode != http.StatusNotFound {
		t.Errorf("another tenant's: %d", a.StatusCode)
	}
}
