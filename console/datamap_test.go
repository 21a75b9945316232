package console_test

import (
	"cmp"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/governance"
	"github.com/biocore-id/biocore/tenancy/member"
)

// The page shows every field there is, narrows to what is asked for, and exports just that: to whom
// the role allows it, of no other tenant.
func TestDataMap(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	_, foreign := s.tenant(t)
	viewer, helper := s.person(t, "Vi", acme, member.Viewer), s.person(t, "Sup", acme, member.Support)
	here := "/console/t/" + slug + "/data-map"

	fields, err := governance.Fields()
	if err != nil {
		t.Fatal(err)
	}
	page := viewer.get(t, here)
	if page.StatusCode != http.StatusOK {
		t.Fatalf("GET %s = %d", here, page.StatusCode)
	}
	places := map[string]string{} // pages of what the list names
	for _, link := range regexp.MustCompile(`<a class="mono" href="([^"]+\?place=[^"]+)">([^<]+)</a>`).FindAllStringSubmatch(page.body, -1) {
		places[link[2]] = viewer.get(t, html.UnescapeString(link[1])).body
	}
	stores := map[governance.Store]string{governance.Redis: "Redis", governance.Object: "Object storage", governance.Event: "Events", governance.Audit: "Audit log", governance.Stream: "Log streams", governance.Log: "Server log"}
	for i := range fields {
		f := &fields[i]
		if !strings.Contains(places[cmp.Or(stores[f.Store], f.Table)], ">"+f.Name+"<") {
			t.Errorf("%s is on no page that the list leads to", f.Path())
		}
	}

	want := 0
	for i := range fields {
		if fields[i].Class == governance.HighRisk && fields[i].Erased == governance.Deleted {
			want++
		}
	}
	for _, suffix := range []string{"", "&format=json"} {
		rows := viewer.listed(t, here+"/export?class=high-risk&erased=deleted"+suffix)
		if len(rows) != want || want == 0 {
			t.Errorf("%d rows leave, want %d", len(rows), want)
		}
		for _, row := range rows {
			if row["class"] != "high-risk" || row["erased"] != "deleted" {
				t.Errorf("%s.%s leaves, and was not asked for", row["table"], row["name"])
			}
		}
	}
	narrowed := viewer.get(t, here+"?class=high-risk&q=contacts")
	if !strings.Contains(narrowed.body, "match_index") || strings.Contains(narrowed.body, "wrapped") || strings.Contains(narrowed.body, ">key_version<") {
		t.Error("the filters do not narrow")
	}
	if none := viewer.get(t, here+"?q=shoe+size"); none.StatusCode != http.StatusOK || !strings.Contains(none.body, "No field") {
		t.Errorf("a search for nothing = %d", none.StatusCode)
	}

	for _, path := range []string{here, here + "/export"} {
		if res := helper.get(t, path); res.StatusCode != http.StatusForbidden {
			t.Errorf("GET %s by a role without the scope = %d", path, res.StatusCode)
		}
	}
	if res := viewer.get(t, "/console/t/"+foreign+"/data-map"); res.StatusCode != http.StatusNotFound {
		t.Errorf("another tenant's = %d", res.StatusCode)
	}
	if menu := helper.get(t, "/console/t/"+slug+"/users").body; strings.Contains(menu, "/data-map") {
		t.Error("the menu of a role without the scope has the page")
	}
}
