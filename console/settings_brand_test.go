package console_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/audit/audittest"
	"github.com/biocore-id/biocore/tenancy/member"
)

// brandForm are the fields of the form as a page shows them, with some typed over.
func brandForm(t *testing.T, body string, typed ...string) []string {
	t.Helper()
	fields := []string{"etag", hidden(t, body, "etag"), "reason", "House colours"}
	for _, name := range []string{"accentColor", "accentColorDark", "supportUrl", "supportEmail"} {
		was := hidden(t, body, "was-"+name)
		fields = append(fields, "was-"+name, was, name, was)
	}
	return append(fields, typed...)
}

func TestBrandPage(t *testing.T) {
	s := newSite(t)
	sc, slug := s.tenant(t)
	settings := "/console/t/" + slug + "/settings"
	path := settings + "/branding"
	owner := s.person(t, "Ana", sc, member.Owner)
	drawn := owner.get(t, path).body
	if a := owner.form(t, path, brandForm(t, drawn, "accentColor", "#1A5FB4", "supportUrl", "https://help.acme.example/a?b=1&c=2", "supportEmail", "help@acme.example")...); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("saved: %d\n%s", a.StatusCode, a.body)
	}
	now, err := s.tenants.Settings(t.Context(), sc)
	if b := now.Brand; err != nil || b.AccentColor != "#1a5fb4" || b.AccentColorDark == "" || b.SupportURL != "https://help.acme.example/a?b=1&c=2" || b.SupportEmail != "help@acme.example" {
		t.Fatalf("the brand is %+v, %v", now.Brand, err)
	}
	if body := owner.get(t, settings).body; !strings.Contains(body, `fill="#1a5fb4"`) || !strings.Contains(body, "b=1&amp;c=2") {
		t.Error("the settings do not show it")
	}
	mine := owner.form(t, path, brandForm(t, drawn, "accentColor", "#8a1c1c")...)
	if mine.StatusCode != http.StatusConflict || !strings.Contains(mine.body, "Accent on light pages was nothing and is now “#1a5fb4”") || !strings.Contains(mine.body, `value="#8a1c1c"`) {
		t.Errorf("saved over it: %d\n%s", mine.StatusCode, mine.body)
	}
	drawn = owner.get(t, path).body
	for _, typed := range [][2]string{
		{"accentColor", "#ffcc00"}, {"accentColor", "red"}, {"accentColorDark", "#000000"}, {"supportUrl", "javascript:alert(1)"},
		{"supportUrl", "http://acme.example"}, {"supportUrl", `https://acme.example/"><script>x`}, {"supportEmail", "Ana <a@b.example>"}, {"supportEmail", "nobody"},
	} {
		a := owner.form(t, path, brandForm(t, drawn, typed[0], typed[1])...)
		if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="brand-`+typed[0]+`-error"`) || strings.Contains(a.body, "<script>x") {
			t.Errorf("%s of %q: %d\n%s", typed[0], typed[1], a.StatusCode, a.body)
		}
	}
	for role, want := range map[member.Role]int{member.Admin: 200, member.Viewer: 403, member.Support: 403, member.Auditor: 403} {
		who := s.person(t, "Somebody", sc, role)
		if a := who.get(t, path); a.StatusCode != want {
			t.Errorf("%s: %d, want %d", role, a.StatusCode, want)
		}
		if a := who.form(t, path, brandForm(t, drawn, "supportEmail", "x@acme.example")...); (a.StatusCode == http.StatusForbidden) != (want == 403) {
			t.Errorf("%s saves: %d", role, a.StatusCode)
		}
	}
	drawn = owner.get(t, path).body
	for name, reason := range map[string]string{"no reason": "", "a long reason": strings.Repeat("x", 257)} {
		a := owner.form(t, path, brandForm(t, drawn, "reason", reason, "supportEmail", "why@acme.example")...)
		if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, "branding-reason-error") || !strings.Contains(a.body, `value="why@acme.example"`) {
			t.Errorf("%s: %d\n%s", name, a.StatusCode, a.body)
		}
	}
	if entries := audittest.Entries(t, s.store.Store, sc, 100); !slices.ContainsFunc(entries, func(e map[string]any) bool {
		return e["action"] == "settings.update" && e["reason"] == "House colours" && strings.Contains(fmt.Sprint(e["after"]), "#1a5fb4")
	}) {
		t.Errorf("the audit log has %v", entries)
	}
	s.grow(t)
	if a := owner.form(t, path, brandForm(t, drawn, "supportEmail", "stale@acme.example")...); a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, `value="stale@acme.example"`) ||
		!strings.Contains(a.body, "House colours") || !strings.Contains(a.body, "data-ask") {
		t.Errorf("without a fresh passkey: %d\n%s", a.StatusCode, a.body)
	}
	if now, err := s.tenants.Settings(t.Context(), sc); err != nil || now.Brand.SupportEmail != "x@acme.example" {
		t.Errorf("refusals left %+v, %v", now.Brand, err)
	}
	if _, other := s.tenant(t); owner.get(t, "/console/t/"+other+"/settings/branding").StatusCode != http.StatusNotFound {
		t.Error("another tenant's is there")
	}
}
