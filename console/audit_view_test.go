package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/member"
)

// What an auditor filters by is saved under a name, for everybody who reads the log, and deleted again.
func TestAuditViews(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	other, elsewhere := s.tenant(t)
	base := "/console/t/" + slug
	auditor, admin := s.person(t, "Aud", acme, member.Auditor), s.person(t, "Ada", acme, member.Admin)
	viewer, eve := s.person(t, "Vera", acme, member.Viewer), s.person(t, "Eve", other, member.Owner)

	const save = "Save these filters as a view"
	for query, offered := range map[string]bool{"": false, "?outcome=denied": false, "?outcome=denied&since=7d": true, "?q=user.block": true} {
		if page := auditor.get(t, base+"/audit"+query); strings.Contains(page.body, save) != offered {
			t.Errorf("%s: a view can be saved: %t, want %t", query, !offered, offered)
		}
	}
	at := base + "/audit/views?outcome=denied&since=7d&q=credential%2Fx"
	if res := auditor.post(t, at, url.Values{"name": {"  "}}); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "has 1 to 80 characters") || !strings.Contains(res.body, `value="denied"`) {
		t.Errorf("no name = %d", res.StatusCode)
	}
	if res := viewer.post(t, at, url.Values{"name": {"Mine"}}); res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusNotFound {
		t.Errorf("by a viewer = %d", res.StatusCode)
	}
	if res := eve.post(t, at, url.Values{"name": {"Hers"}}); res.StatusCode != http.StatusNotFound {
		t.Errorf("by another tenant's = %d", res.StatusCode)
	}
	res := auditor.post(t, at, url.Values{"name": {"Refused <b>here</b>"}})
	to := res.Header.Get("Location")
	if res.StatusCode != http.StatusSeeOther || to != base+"/audit?outcome=denied&q=credential%2Fx&since=7d" {
		t.Fatalf("saved = %d, to %s: %s", res.StatusCode, to, res.body)
	}
	if again := auditor.post(t, at, url.Values{"name": {"refused <B>here</b>"}}); again.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(again.body, "There is a view of this name.") {
		t.Errorf("the same name = %d", again.StatusCode)
	}
	page := admin.get(t, to)
	if strings.Contains(page.body, save) || !strings.Contains(page.body, "Saved by Aud on ") || !strings.Contains(page.body, "Refused &lt;b&gt;here&lt;/b&gt;") {
		t.Errorf("the saved view's page: %s", page.body)
	}
	remove := regexp.MustCompile(`action="(` + regexp.QuoteMeta(base) + `/audit/views/[0-9a-f-]{36}/delete)"`).FindStringSubmatch(page.body)
	if remove == nil {
		t.Fatal("it cannot be deleted")
	}
	if res := eve.post(t, strings.Replace(remove[1], slug, elsewhere, 1), nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("deleted by another tenant's = %d", res.StatusCode)
	}
	if res := admin.post(t, remove[1], nil); res.StatusCode != http.StatusSeeOther {
		t.Errorf("deleted = %d", res.StatusCode)
	}
	if res := admin.post(t, remove[1], nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("deleted again = %d", res.StatusCode)
	}
	if page := auditor.get(t, to); strings.Contains(page.body, "Refused &lt;b&gt;here") {
		t.Error("it is still there")
	}
}
