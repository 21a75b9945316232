package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/audit/audittest"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// hidden is the value of a hidden input of a page.
func hidden(t *testing.T, body, name string) string {
	t.Helper()
	found := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("the page has no %s:\n%s", name, body)
	}
	return found[1]
}

// settings are the fields of the form as a page shows them, with some typed over.
func settings(t *testing.T, body string, typed ...string) []string {
	t.Helper()
	fields := []string{"etag", hidden(t, body, "etag"), "reason", "contract"}
	for _, name := range []string{"name", "delivery", "audience", "encryptionKey"} {
		was := hidden(t, body, "was-"+name)
		fields = append(fields, "was-"+name, was, name, was)
	}
	return append(fields, typed...)
}

func TestSettings(t *testing.T) {
	s := newSite(t)
	sc, slug := s.tenant(t)
	path := "/console/t/" + slug + "/settings"
	owner, viewer, support := s.person(t, "Ana", sc, member.Owner), s.person(t, "Vi", sc, member.Viewer), s.person(t, "Su", sc, member.Support)

	drawn := owner.get(t, path).body
	saved := owner.form(t, path, settings(t, drawn, "name", "Acme <b>& co</b>", "audience", "https://api.acme.example")...)
	if saved.StatusCode != http.StatusSeeOther {
		t.Fatalf("saved: %d %s", saved.StatusCode, saved.body)
	}
	now, err := s.tenants.Settings(t.Context(), sc)
	if err != nil || now.RPName != "Acme <b>& co</b>" || now.TokenAudience != "https://api.acme.example" || now.DirectTokens {
		t.Fatalf("settings are %+v, %v", now.Tenant, err)
	}
	if body := owner.get(t, path).body; !strings.Contains(body, "Acme &lt;b&gt;&amp; co&lt;/b&gt;") || strings.Contains(body, "<b>& co") {
		t.Error("a hostile name is not inert")
	}
	t.Run("what somebody else has saved meanwhile", func(t *testing.T) {
		mine := owner.form(t, path, settings(t, drawn, "name", "Mine")...)
		if mine.StatusCode != http.StatusConflict || !strings.Contains(mine.body, "Name was “Test RP” and is now “Acme") || !strings.Contains(mine.body, `value="Mine"`) {
			t.Errorf("saved over it: %d\n%s", mine.StatusCode, mine.body)
		}
		if again := owner.form(t, path, settings(t, mine.body, "name", "Mine")...); again.StatusCode != http.StatusSeeOther {
			t.Errorf("saved again, with what is now: %d", again.StatusCode)
		}
	})
	t.Run("what the page does not show has changed", func(t *testing.T) {
		drawn := owner.get(t, path).body
		s.exec(t, "UPDATE tenants SET version = version + 1 WHERE id = $1", sc.Tenant())
		if saved := owner.form(t, path, settings(t, drawn, "name", "Still mine")...); saved.StatusCode != http.StatusSeeOther {
			t.Errorf("refused: %d\n%s", saved.StatusCode, saved.body)
		}
	})
	for name, typed := range map[string][]string{
		"audience":      {"audience", "not a: URI \x01"},
		"encryptionKey": {"encryptionKey", `{"kty":"oct","k":"<script>"}`},
		"name":          {"name", " "},
	} {
		t.Run("a bad "+name, func(t *testing.T) {
			a := owner.form(t, path, settings(t, owner.get(t, path).body, typed...)...)
			if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="set-`+name+`-error"`) || strings.Contains(a.body, "<script>\"") {
				t.Errorf("%d\n%s", a.StatusCode, a.body)
			}
		})
	}
	if a := viewer.get(t, path); a.StatusCode != http.StatusOK || strings.Contains(a.body, "<button class=\"btn primary\">Save") || strings.Contains(a.body, "/settings/delete") {
		t.Errorf("a viewer: %d", a.StatusCode)
	}
	if a := viewer.form(t, path, settings(t, drawn, "name", "Taken")...); a.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer saves: %d", a.StatusCode)
	}
	if a := support.get(t, path); a.StatusCode != http.StatusForbidden {
		t.Errorf("the help desk: %d", a.StatusCode)
	}
	if _, other := s.tenant(t); owner.get(t, "/console/t/"+other+"/settings").StatusCode != http.StatusNotFound {
		t.Error("another tenant's settings are there")
	}
}

// How tokens are made takes a reason and a fresh passkey, whatever the page's script did, and
// the name neither.
func TestTokenSettingsAreSensitive(t *testing.T) {
	s := newSite(t)
	sc, slug := s.tenant(t)
	path := "/console/t/" + slug + "/settings"
	owner := s.person(t, "Ana", sc, member.Owner)
	drawn := owner.get(t, path).body
	changes := [][2]string{
		{"audience", "https://api.acme.example"}, {"delivery", "direct"},
		{"encryptionKey", `{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"}`},
	}
	unchanged := func(what string) {
		t.Helper()
		if now, err := s.tenants.Settings(t.Context(), sc); err != nil || now.TokenAudience != "" || now.DirectTokens || now.EncryptionKey != "" {
			t.Errorf("%s changed it: %+v, %v", what, now.Tenant, err)
		}
	}
	for _, one := range changes {
		for name, reason := range map[string]string{"no reason": " ", "a long reason": strings.Repeat("x", 257)} {
			a := owner.form(t, path, settings(t, drawn, one[0], one[1], "reason", reason)...)
			if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="set-reason-error"`) {
				t.Errorf("%s of %s: %d\n%s", name, one[0], a.StatusCode, a.body)
			}
		}
	}
	s.grow(t)
	for _, one := range changes {
		a := owner.form(t, path, settings(t, drawn, one[0], one[1], "reason", "the new gateway")...)
		if a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, "Your passkey is needed first") || !strings.Contains(a.body, `value="the new gateway"`) ||
			!strings.Contains(a.body, `class="changed">Changed from`) {
			t.Errorf("stale %s: %d\n%s", one[0], a.StatusCode, a.body)
		}
	}
	unchanged("what was refused")
	if a := owner.form(t, path, "etag", hidden(t, drawn, "etag"), "was-name", hidden(t, drawn, "was-name"), "name", "Acme"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("the name alone: %d\n%s", a.StatusCode, a.body)
	}
	unchanged("the name")
	owner.use(t, "/console/stepup", "/console")
	// The name that was saved meanwhile is not in the tokens' form, and does not stand against it.
	if a := owner.form(t, path, "etag", hidden(t, drawn, "etag"), "was-audience", "", "audience", "https://api.acme.example", "reason", "the new gateway"); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("saved: %d\n%s", a.StatusCode, a.body)
	}
	if now, err := s.tenants.Settings(t.Context(), sc); err != nil || now.TokenAudience != "https://api.acme.example" || now.RPName != "Acme" {
		t.Errorf("the settings are %+v, %v", now.Tenant, err)
	}
	if e := audittest.Entries(t, s.store.Store, sc, 1)[0]; e["action"] != "settings.update" || e["reason"] != "the new gateway" {
		t.Errorf("the audit log has %v", e)
	}
}

// An owner ends their own tenant and takes that back; meanwhile it is looked at and nothing changes.
func TestDeleteOwnTenant(t *testing.T) {
	s := newSite(t)
	sc, slug := s.tenant(t)
	path := "/console/t/" + slug + "/settings"
	owner, admin := s.person(t, "Ana", sc, member.Owner), s.person(t, "Ad", sc, member.Admin)
	if a := admin.form(t, path+"/delete", "confirm", slug, "reason", "moving"); a.StatusCode != http.StatusForbidden {
		t.Errorf("an admin deletes: %d", a.StatusCode)
	}
	for name, tt := range map[string]struct {
		confirm, reason string
		status          int
		wants           string
	}{
		"another slug": {"other", "moving", http.StatusUnprocessableEntity, "delete-confirm-error"},
		"no reason":    {slug, "", http.StatusUnprocessableEntity, "delete-reason-error"},
	} {
		if a := owner.form(t, path+"/delete", "confirm", tt.confirm, "reason", tt.reason); a.StatusCode != tt.status || !strings.Contains(a.body, tt.wants) {
			t.Errorf("%s: %d\n%s", name, a.StatusCode, a.body)
		}
	}
	s.grow(t)
	if a := owner.form(t, path+"/delete", "confirm", slug, "reason", "moving"); a.StatusCode != http.StatusForbidden {
		t.Errorf("without a fresh passkey: %d", a.StatusCode)
	}
	owner.use(t, "/console/stepup", "/console")
	if a := owner.form(t, path+"/delete", "confirm", slug, "reason", "moving"); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("delete: %d\n%s", a.StatusCode, a.body)
	}
	home := owner.get(t, "/console/t/"+slug+"/members")
	if home.StatusCode != http.StatusOK || !strings.Contains(home.body, "This tenant is being deleted") {
		t.Errorf("members see: %d\n%s", home.StatusCode, home.body)
	}
	if a := admin.form(t, "/console/t/"+slug+"/invitations", "label", "Somebody", "role", "viewer"); a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, "TENANT_DELETING") {
		t.Errorf("something is changed in it: %d\n%s", a.StatusCode, a.body)
	}
	if a := admin.form(t, path+"/restore", "reason", "staying"); a.StatusCode != http.StatusForbidden {
		t.Errorf("an admin restores: %d", a.StatusCode)
	}
	if a := owner.form(t, path+"/restore", "reason", "staying"); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("restore: %d\n%s", a.StatusCode, a.body)
	}
	if got, err := s.tenants.Get(t.Context(), s.home, sc.Tenant()); err != nil || got.State != tenant.Active {
		t.Errorf("the tenant is %+v, %v", got, err)
	}
}

// What the staff does to tenants, each act once, and who may not.
func TestTenantActs(t *testing.T) {
	s := newSite(t)
	sc, slug := s.tenant(t)
	platform := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "cli"})
	boss, helper := s.person(t, "Bo", platform, member.StaffAdmin), s.person(t, "He", platform, member.StaffSupport)
	owner := s.person(t, "Ana", sc, member.Owner)
	path := "/console/platform/tenants/" + slug
	do := func(act string, fields ...string) answer {
		t.Helper()
		a := boss.form(t, path+"/"+act, append(fields, "reason", "contract")...)
		if a.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: %d\n%s", act, a.StatusCode, a.body)
		}
		return a
	}
	state := func() tenant.Tenant {
		t.Helper()
		got, err := s.tenants.Get(t.Context(), s.home, sc.Tenant())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	page := boss.get(t, path).body
	if !strings.Contains(page, `<a class="btn danger" href="`+path+`/delete">`) || !strings.Contains(page, `<a class="btn" href="`+path+`/suspend">`) {
		t.Error("what destroys does not look like it, or what does not does")
	}
	fields := []string{"name", "Globex", "slug", "globex-new", "rpId", "globex.example", "mode", "TEST"}
	if a := boss.form(t, "/console/platform/tenants", fields...); a.StatusCode != http.StatusUnprocessableEntity ||
		!strings.Contains(a.body, `id="create-reason-error"`) || !strings.Contains(a.body, `value="globex-new"`) {
		t.Errorf("create without a reason: %d\n%s", a.StatusCode, a.body)
	}
	if a := boss.form(t, "/console/platform/tenants", append(fields, "reason", "contract 4711")...); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Globex is made") {
		t.Errorf("create: %d\n%s", a.StatusCode, a.body)
	}
	// No slug is in the way of a page.
	if a := boss.get(t, "/console/platform/new/tenant"); a.StatusCode != http.StatusOK || !strings.Contains(a.body, `name="slug"`) {
		t.Errorf("the form: %d", a.StatusCode)
	}
	if a := boss.form(t, "/console/platform/tenants", "name", "New Ltd", "slug", "new", "rpId", "new.example", "mode", "TEST", "reason", "contract 4712"); a.StatusCode != http.StatusOK {
		t.Errorf("create new: %d\n%s", a.StatusCode, a.body)
	}
	if a := boss.get(t, "/console/platform/tenants/new"); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "<h1>New Ltd</h1>") {
		t.Errorf("the tenant new: %d", a.StatusCode)
	}
	file := boss.get(t, "/console/platform/export/tenants?slug=globex-new").body
	if !strings.HasPrefix(file, "id,slug,name,") || strings.Count(file, "\n") != 2 || !strings.Contains(file, ",globex-new,Globex,TEST,ACTIVE,,,globex.example,0,0,0,,,") {
		t.Errorf("the tenants as CSV:\n%s", file)
	}
	if a := owner.get(t, "/console/platform/export/tenants"); a.StatusCode != http.StatusNotFound {
		t.Errorf("a customer takes the list of tenants: %d", a.StatusCode)
	}
	do("edit", "name", "Acme", "plan", "Business", "region", "Frankfurt")
	if got := state(); got.Name != "Acme" || got.Plan != "Business" || got.Region != "Frankfurt" {
		t.Errorf("edited: %+v", got)
	}
	if a := boss.form(t, path+"/quotas", "MONTHLY_ACTIVE_USERS", "many", "reason", "contract"); a.StatusCode != http.StatusUnprocessableEntity ||
		!strings.Contains(a.body, `id="quotas-MONTHLY_ACTIVE_USERS-error"`) || !strings.Contains(a.body, `value="many"`) {
		t.Errorf("a quota of words: %d\n%s", a.StatusCode, a.body)
	}
	do("quotas", "MONTHLY_ACTIVE_USERS", "100:hard", "STORAGE", "5000")
	if body := boss.get(t, path+"/quotas").body; !strings.Contains(body, `value="100:hard"`) || !strings.Contains(body, `value="5000"`) {
		t.Errorf("quotas: %s", body)
	}
	if a := boss.form(t, path+"/limits", "key", "1e9", "reason", "contract"); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="limits-key-error"`) || !strings.Contains(a.body, `value="1e9"`) {
		t.Errorf("a limit of words: %d\n%s", a.StatusCode, a.body)
	}
	if a := boss.form(t, path+"/limits", "endpoint", "19", "reason", "contract"); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="limits-endpoint-error"`) {
		t.Errorf("a limit below its bounds: %d\n%s", a.StatusCode, a.body)
	}
	do("limits", "key", "2000", "user", "60")
	if body := boss.get(t, path+"/limits").body; !strings.Contains(body, `value="2000"`) || !strings.Contains(body, `value="60"`) || !strings.Contains(body, "Empty: 400 a second") {
		t.Errorf("limits: %s", body)
	}
	if body := boss.get(t, path).body; !strings.Contains(body, "Server key: 2,000 a second") {
		t.Errorf("the tenant's page does not tell of its limits: %s", body)
	}
	if body := owner.get(t, "/console/t/"+slug+"/limits").body; !strings.Contains(body, "2,000 a second") || !strings.Contains(body, "instead of 400 a second") || !strings.Contains(body, "settled by the staff") {
		t.Errorf("its owner is not told of them: %s", body)
	}
	do("limits", "key", "", "user", "60")
	if got := state(); got.Limits.Of(&ratelimit.PerKey) != &ratelimit.PerKey || got.Limits.Of(&ratelimit.PerUser).Max != 60 {
		t.Errorf("a limit that was taken away: %+v", got.Limits.List())
	}
	do("suspend")
	if got := state(); got.State != tenant.Suspended || got.SuspendReason != "contract" {
		t.Errorf("suspended: %+v", got)
	}
	if page := owner.get(t, "/console/t/"+slug+"/settings"); page.StatusCode != http.StatusOK || !strings.Contains(page.body, "This tenant is suspended") || strings.Contains(page.body, ">Save<") {
		t.Errorf("its owner sees: %d\n%s", page.StatusCode, page.body)
	}
	if a := owner.form(t, "/console/t/"+slug+"/settings/delete", "confirm", slug, "reason", "x"); a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, "TENANT_SUSPENDED") {
		t.Errorf("its owner deletes it: %d", a.StatusCode)
	}
	do("resume")
	if a := boss.form(t, path+"/delete", "confirm", "other", "reason", "contract"); a.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("deleted with another slug: %d", a.StatusCode)
	}
	do("delete", "confirm", slug)
	if a := owner.form(t, "/console/t/"+slug+"/settings/restore", "reason", "staying"); a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, "The staff delete this tenant") {
		t.Errorf("an owner restores what the platform deletes: %d\n%s", a.StatusCode, a.body)
	}
	do("restore")
	if got := state(); got.State != tenant.Active {
		t.Errorf("restored: %+v", got)
	}
	if page := helper.get(t, path); page.StatusCode != http.StatusOK || strings.Contains(page.body, "Suspend…") {
		t.Errorf("the help desk of the staff sees: %d", page.StatusCode)
	}
	for _, act := range []string{"edit", "quotas", "limits", "suspend", "resume", "delete", "restore"} {
		if a := helper.form(t, path+"/"+act, "reason", "x"); a.StatusCode != http.StatusForbidden {
			t.Errorf("the help desk of the staff does %s: %d", act, a.StatusCode)
		}
		if a := owner.form(t, path+"/"+act, "reason", "x"); a.StatusCode != http.StatusNotFound {
			t.Errorf("a customer does %s: %d", act, a.StatusCode)
		}
	}
}

func TestUsagePage(t *testing.T) {
	s := newSite(t)
	sc, slug := s.tenant(t)
	path := "/console/t/" + slug + "/usage"
	owner := s.person(t, "Ana", sc, member.Owner)
	if a := owner.get(t, path); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Nothing was measured in") {
		t.Fatalf("nothing was measured: %d\n%s", a.StatusCode, a.body)
	}
	s.exec(t, `INSERT INTO quotas (tenant_id, kind, most, hard, updated_by, updated_at) VALUES ($1, 'STORAGE', 1, true, 'system:test', now())`, sc.Tenant())
	s.store.User(t, sc, 1)
	if err := s.usage.Measure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	page := owner.get(t, path)
	for _, want := range []string{"Used up", "Storage reached 100% of the quota", "Storage: 100% of the quota is used.", "data-chart=", "/admin/v1/usage?from="} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page does not say %q:\n%s", want, page.body)
		}
	}
	if a := owner.get(t, path+"/export?format=csv"); a.StatusCode != http.StatusOK || !strings.HasPrefix(a.body, "day,ceremonies,") {
		t.Errorf("export: %d %q", a.StatusCode, a.body)
	}
	for _, address := range []string{"?month=2020-01", "?month=<script>", "?month=9999-99"} {
		if a := owner.get(t, path+address); a.StatusCode != http.StatusOK || strings.Contains(a.body, "<script>") && strings.Contains(a.body, "month=<script>") {
			t.Errorf("%s: %d", address, a.StatusCode)
		}
	}
	if a := s.person(t, "Su", sc, member.Support).get(t, path); a.StatusCode != http.StatusForbidden || strings.Contains(a.body, "quota is used") {
		t.Errorf("the help desk: %d", a.StatusCode)
	}
}
