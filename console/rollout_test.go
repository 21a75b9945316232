package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/rollout"
)

// The staff throw Biocore's own switches on pages of their own; support looks, and a tenant's people see nothing.
func TestRolloutPages(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	boss, helper, owner := s.person(t, "Boss", s.home, member.StaffAdmin), s.person(t, "Helper", s.home, member.StaffSupport), s.person(t, "Olga", acme, member.Owner)
	flags := flag.New(s.store.Store, s.keys)
	if err := rollout.Prepare(t.Context(), flags, s.home); err != nil {
		t.Fatal(err)
	}
	const page = "/console/platform/flags"
	at := page + "/" + rollout.LiveStreams.Key
	if body := boss.get(t, "/console/platform/system").body; !strings.Contains(body, `href="`+page+`"`) {
		t.Error("the menu does not lead there")
	}
	body := boss.get(t, page).body
	for _, one := range rollout.All() {
		if !strings.Contains(body, one.Name) || !strings.Contains(body, one.Key) {
			t.Errorf("the list lacks %s", one.Key)
		}
	}
	if strings.Contains(body, "/console/t/") {
		t.Error("the list leads into a tenant")
	}
	if body := helper.get(t, at); body.StatusCode != http.StatusOK || strings.Contains(body.body, at+"/switch") || !strings.Contains(body.body, rollout.LiveStreams.Owner) {
		t.Errorf("support sees %d, or may switch", body.StatusCode)
	}
	// What Biocore asks for is told in one environment, and elsewhere there is nothing to switch.
	for _, path := range []string{page, at} {
		if body := boss.get(t, path).body; strings.Contains(body, "Staging") || strings.Contains(body, "environment=staging") || strings.Contains(body, "provider’s base URL") {
			t.Errorf("%s tells of an environment that nobody asks for, or of OFREP", path)
		}
		if res := boss.get(t, path+"?environment=staging"); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s elsewhere = %d", path, res.StatusCode)
		}
	}
	if res := boss.form(t, at+"/switch?environment=staging", "enabled", "true", "reason", "in the wrong place"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a switch elsewhere = %d", res.StatusCode)
	}
	if res := boss.form(t, at+"/switch", "enabled", "false", "reason", "Redis is short of breath"); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != at {
		t.Fatalf("switch = %d %s", res.StatusCode, res.body)
	}
	if got, err := flags.Get(t.Context(), s.home, rollout.LiveStreams.Key); err != nil || got[0].Enabled {
		t.Errorf("after the switch: %+v, %v", got, err)
	}
	if body := boss.get(t, at).body; !strings.Contains(body, "Redis is short of breath") || !strings.Contains(body, "Serves off to everybody") {
		t.Error("the page does not tell who switched it off, and why")
	}
	if body := helper.form(t, at+"/why", "subject", "acme").body; !strings.Contains(body, "The flag is off: everybody gets off") {
		t.Error("the page does not tell why a tenant gets what it gets")
	}
	rules := `[{"when": {"attribute": "tenant", "operator": "IN", "values": ["` + acme.Tenant().String() + `"]}, "variant": "off"}]`
	if res := boss.form(t, at+"/rules", "view", "json", "rules", rules, "offVariant", "off", "defaultVariant", "on", "etag", etagIn(t, boss.get(t, at+"/rules").body), "reason", "for one of them"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("rules = %d %s", res.StatusCode, res.body)
	}
	// Tenants are told by their ids, and there is room for those of a rule.
	ids := make([]string, 600)
	for i := range ids {
		ids[i] = `"` + uuid.NewString() + `"`
	}
	rule := `{"when": {"attribute": "tenant", "operator": "IN", "values": [` + strings.Join(ids, ", ") + `]}, "variant": "off"}`
	rules = "[" + rule + ", " + rule + "]"
	if res := boss.form(t, at+"/rules", "view", "json", "rules", rules, "offVariant", "off", "defaultVariant", "on", "etag", etagIn(t, boss.get(t, at+"/rules").body), "reason", "for many"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("rules for 1200 tenants = %d", res.StatusCode)
	}
	if body := boss.get(t, at).body; strings.Contains(body, at+"/activity") {
		t.Error("the page leads to an audit log that the staff do not read")
	}
	if res := boss.form(t, at+"/rules/draft", "do", "rule"); res.StatusCode != http.StatusOK {
		t.Errorf("a draft = %d %s", res.StatusCode, res.body)
	}
	if res := boss.get(t, "/console/platform/stale-flags"); res.StatusCode != http.StatusOK {
		t.Errorf("stale flags = %d", res.StatusCode)
	}
	back := regexp.MustCompile(`href="([^"]*/history/[^"]*)"`).FindStringSubmatch(boss.get(t, at).body)
	if back == nil {
		t.Fatal("no way back to a former version")
	}
	if res := boss.form(t, back[1], "reason", "as it was"); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != at {
		t.Errorf("back = %d %s", res.StatusCode, res.body)
	}
	if res := boss.form(t, page, "key", "mine", "name", "Mine", "type", "BOOLEAN", "reason", "to try"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("create = %d %s", res.StatusCode, res.body)
	}
	if res := boss.form(t, page+"/mine/edit", "name", "Mine", "owner", "Me", "variants", `{"on": true, "off": false}`, "etag", etagIn(t, boss.get(t, page+"/mine/edit").body), "reason", "whose"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("details = %d %s", res.StatusCode, res.body)
	}
	if res := boss.form(t, page+"/mine/delete", "reason", "tried", "confirm", "mine"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("delete = %d %s", res.StatusCode, res.body)
	}
	for action, n := range map[string]int64{"flag.create": int64(len(rollout.All())) + 1, "flag.delete": 1, "flag.update": int64(len(rollout.All())) + 5} {
		if got := s.store.AuditCount(t, s.home, action); got != n {
			t.Errorf("%d entries of %s, want %d", got, action, n)
		}
	}
	for name, tt := range map[string]struct {
		res  answer
		want int
	}{
		"support's switch":      {helper.form(t, at+"/switch", "reason", "x"), http.StatusForbidden},
		"support's rules":       {helper.get(t, at+"/rules"), http.StatusForbidden},
		"an owner's look":       {owner.get(t, page), http.StatusNotFound},
		"an owner's switch":     {owner.form(t, at+"/switch", "reason", "x"), http.StatusNotFound},
		"the staff in a tenant": {boss.get(t, "/console/t/"+slug+"/flags"), http.StatusNotFound},
	} {
		if tt.res.StatusCode != tt.want {
			t.Errorf("%s = %d, want %d", name, tt.res.StatusCode, tt.want)
		}
	}
	if member.StaffAdmin.May(apikey.ScopeFlagsWrite) {
		t.Error("who throws Biocore's switches may change flags of tenants")
	}
}
