package console_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/member"
)

var noAddress netip.Addr

func TestPolicyPages(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	security := s.person(t, "Sec", acme, member.Security)
	page := "/console/t/" + slug + "/policies"
	draft := func(path, document string, more ...string) answer {
		t.Helper()
		form := url.Values{"document": {document}, "base": {"1"}, "view": {"json"}, "from": {"json"}, "days": {"14"}}
		for i := 0; i < len(more); i += 2 {
			form.Set(more[i], more[i+1])
		}
		return security.post(t, page+path, form)
	}
	if body := security.get(t, page).body; !strings.Contains(body, "v1 active") || !strings.Contains(body, `id="set-userVerification"`) || strings.Contains(body, "and activate") {
		t.Error("the page lacks the version or the form, or offers to activate nothing")
	}

	t.Run("what is wrong is said where it is", func(t *testing.T) {
		res := draft("/draft", "{\n  \"accessTokenSeconds\": 5\n}<i>", "to", "review")
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "Line 3, column 2") || !strings.Contains(res.body, "5\n}&lt;i&gt;") {
			t.Errorf("text after it = %d", res.StatusCode)
		}
		res = draft("/draft", "{\n  \"accessTokenSeconds\": 5\n}", "to", "review")
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "Line 2, column 3") || !strings.Contains(res.body, "between 60 and 3600") {
			t.Errorf("out of bounds = %d", res.StatusCode)
		}
		checked := security.json(t, page+"/check", object{"document": "{\n\n \"hints\": 1}"})
		if checked.status != http.StatusOK {
			t.Errorf("check = %+v", checked)
		}
		form := url.Values{"document": {"{}"}, "base": {"1"}, "view": {"form"}, "from": {"form"}, "to": {"review"}, "set-accessTokenSeconds": {"ten"}}
		res = security.post(t, page+"/draft", form)
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `value="ten"`) {
			t.Errorf("a form with a word for a number = %d", res.StatusCode)
		}
	})
	t.Run("a draft shows what it changes, and what it would have done", func(t *testing.T) {
		res := draft("/draft", `{"accessTokenSeconds":300}`, "to", "simulate")
		for _, want := range []string{" changed line", `<mark class="tn">600</mark>`, `<mark class="tn">300</mark>`, "Unaffected", "and activate"} {
			if !strings.Contains(res.body, want) {
				t.Errorf("the draft's page lacks %s", want)
			}
		}
		if res := draft("/draft", `{"accessTokenSeconds":300}`, "to", "simulate", "days", "900"); !strings.Contains(res.body, "Choose 1 to 90 days") || !strings.Contains(res.body, "300") {
			t.Error("a wrong number of days is not told of")
		}
		if res := draft("/affected", `{"accessTokenSeconds":300}`); !strings.HasPrefix(res.body, "userId,user,authenticator,cause,ceremonies,before,after") {
			t.Errorf("CSV = %q", res.body)
		}
	})
	t.Run("activate", func(t *testing.T) {
		if res := draft("/activate", `{"accessTokenSeconds":300}`); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "Say why") {
			t.Errorf("without a reason = %d", res.StatusCode)
		}
		if res := draft("/activate", `{"accessTokenSeconds":300}`, "reason", "shorter"); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("activate = %d", res.StatusCode)
		}
		now, err := s.tenants.Policy(t.Context(), acme)
		if err != nil || now.Version != 2 || now.Document.AccessTokenSeconds != 300 {
			t.Fatalf("the policy is %+v, %v", now, err)
		}
	})
	t.Run("who was too late sees what changed, and loses nothing", func(t *testing.T) {
		res := draft("/activate", `{"accessTokenSeconds":120}`, "reason", "shorter still")
		if res.StatusCode != http.StatusConflict || !strings.Contains(res.body, "put v2 in force meanwhile") || !strings.Contains(res.body, `<mark class="tn">300</mark>`) ||
			!strings.Contains(res.body, "shorter still") || !strings.Contains(res.body, `name="base" value="2"`) {
			t.Errorf("conflict = %d", res.StatusCode)
		}
		if now, err := s.tenants.Policy(t.Context(), acme); err != nil || now.Version != 2 {
			t.Errorf("the policy is v%d, %v", now.Version, err)
		}
	})
	t.Run("roll back", func(t *testing.T) {
		if body := security.get(t, page+"/versions").body; !strings.Contains(body, "accessTokenSeconds") || !strings.Contains(body, "Sec") {
			t.Error("the versions lack who changed what")
		}
		one := page + "/versions/1"
		if body := security.get(t, one).body; !strings.Contains(body, "Roll back to v1") || !strings.Contains(body, `<mark class="tn">600</mark>`) {
			t.Error("a version's page lacks the difference")
		}
		if res := security.form(t, one+"/rollback", "base", "1", "reason", "too short"); res.StatusCode != http.StatusConflict {
			t.Errorf("from a page of before = %d, want 409", res.StatusCode)
		}
		if res := security.form(t, one+"/rollback", "base", "2", "reason", "too short"); res.StatusCode != http.StatusSeeOther {
			t.Errorf("roll back = %d", res.StatusCode)
		}
		if now, err := s.tenants.Policy(t.Context(), acme); err != nil || now.Version != 3 || now.Document.AccessTokenSeconds != 600 {
			t.Errorf("the policy is %+v, %v", now, err)
		}
		if res := security.get(t, page+"/versions/99"); res.StatusCode != http.StatusNotFound {
			t.Errorf("no such version = %d", res.StatusCode)
		}
	})
	t.Run("a stale passkey changes nothing", func(t *testing.T) {
		s.grow(t)
		if res := draft("/activate", `{"accessTokenSeconds":120}`, "reason", "x", "base", "3"); res.StatusCode != http.StatusForbidden {
			t.Errorf("activate = %d, want 403", res.StatusCode)
		}
	})
	t.Run("roles and other tenants", func(t *testing.T) {
		auditor, support := s.person(t, "Aud", acme, member.Auditor), s.person(t, "Sup", acme, member.Support)
		if res := auditor.form(t, page+"/activate", "document", "{}", "reason", "x"); res.StatusCode != http.StatusForbidden {
			t.Errorf("an auditor activates = %d", res.StatusCode)
		}
		if res := auditor.form(t, page+"/versions/1/rollback", "reason", "x"); res.StatusCode != http.StatusForbidden {
			t.Errorf("an auditor rolls back = %d", res.StatusCode)
		}
		if body := auditor.get(t, page+"/versions/1").body; strings.Contains(body, "Confirm with passkey") {
			t.Error("an auditor sees buttons")
		}
		if res := support.get(t, page); res.StatusCode != http.StatusForbidden {
			t.Errorf("support looks = %d, want 403", res.StatusCode)
		}
		_, foreign := s.tenant(t)
		if res := security.get(t, "/console/t/"+foreign+"/policies"); res.StatusCode != http.StatusNotFound {
			t.Errorf("another tenant's = %d, want 404", res.StatusCode)
		}
	})
}
