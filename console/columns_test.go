package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/member"
)

// Columns that somebody left out stay away: in the address, in their browser, and for nobody
// else who uses it.
func TestColumns(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	ana := s.person(t, "Ana Sousa", acme, member.Owner)
	base := "/console/t/" + slug
	ivo := s.customer(t, acme, "ivo-1", "Ivo")
	s.passkey(t, acme, ivo)
	if _, err := s.apiKeys.Create(t.Context(), acme, apikey.CreateRequest{Kind: apikey.Secret, Name: "shop", Scopes: []string{"users:read"}}); err != nil {
		t.Fatal(err)
	}
	cells := func(body string) (heads, perRow int) {
		table := body[strings.Index(body, "<table"):strings.Index(body, "</table>")]
		head, rest, _ := strings.Cut(table, "</thead>")
		row, _, _ := strings.Cut(rest, "</tr>")
		return strings.Count(head, "<th "), strings.Count(row, "<td")
	}
	staff := s.person(t, "Stella", s.home, member.StaffAdmin)
	for list, at := range map[string]struct {
		path  string
		least int // heads of the table
		mark  string
	}{
		"users": {base + "/users", 5, ">State"}, "credentials": {base + "/credentials", 5, ">State"}, "sessions": {base + "/sessions", 5, ">State"}, "apikeys": {base + "/apikeys", 5, ">State"},
		"members": {base + "/members", 6, ">Role"}, "models": {base + "/authenticators", 6, ">Status"}, "versions": {base + "/policies/versions", 5, ">State"},
		"tenants": {"/console/platform/tenants", 8, ">State"},
	} {
		t.Run(list, func(t *testing.T) {
			ana, path, show := ana, at.path, "state"
			if list == "tenants" {
				ana = staff
			}
			if list == "members" {
				show = "role"
			}
			all := ana.get(t, path).body
			heads, perRow := cells(all)
			if heads != perRow || heads < at.least {
				t.Fatalf("%d heads and %d cells", heads, perRow)
			}
			if strings.Contains(all, "Show all") {
				t.Error("all are offered where all are shown")
			}
			// By a form, without a script, and back to the same list.
			res := ana.form(t, "/console/columns", "list", list, "next", path+"?rows=50", "show", show)
			if to := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || to != path+"?columns="+show+"&rows=50" {
				t.Fatalf("choosing = %d to %q", res.StatusCode, to)
			}
			few := heads - cellsLeftOut(all) + 1
			for _, address := range []string{path + "?columns=" + show + "&rows=50", path} { // the second is remembered
				body := ana.get(t, address).body
				h, n := cells(body)
				if h != few || n != few || !strings.Contains(body, at.mark) || !strings.Contains(body, "Show all") {
					t.Errorf("%s: %d heads and %d cells, want %d", address, h, n, few)
				}
			}
			if h, n := cells(ana.get(t, path+"?columns=none").body); h != few-1 || n != few-1 {
				t.Errorf("none: %d heads and %d cells, want %d", h, n, few-1)
			}
			if res := ana.form(t, "/console/columns", "list", list, "next", path+"?columns="+show, "all", "1"); res.Header.Get("Location") != path {
				t.Errorf("all again leads to %q", res.Header.Get("Location"))
			}
			if h, n := cells(ana.get(t, path).body); h != heads || n != heads {
				t.Errorf("all again: %d heads and %d cells, want %d", h, n, heads)
			}
		})
	}

	t.Run("a choice of somebody else", func(t *testing.T) {
		ana.form(t, "/console/columns", "list", "users", "next", base+"/users", "show", "state")
		ben := s.person(t, "Ben Okafor", acme, member.Owner)
		for name, cookie := range ana.cookies {
			if strings.HasPrefix(name, "biocore_columns_") {
				ben.cookies[name] = cookie
			}
		}
		if body := ben.get(t, base+"/users").body; !strings.Contains(body, ">Passkeys") {
			t.Error("Ben does not see what Ana left out")
		}
	})
	t.Run("what nobody chose", func(t *testing.T) {
		for name, fields := range map[string][]string{
			"another list":    {"list", "anything", "next", base + "/users", "show", "state"},
			"a wrong address": {"list", "users", "next", "https://elsewhere.example/", "show", "state"},
		} {
			res := ana.form(t, "/console/columns", fields...)
			if to := res.Header.Get("Location"); res.StatusCode != http.StatusBadRequest && to != "/console?columns=state" {
				t.Errorf("%s: %d to %q", name, res.StatusCode, to)
			}
		}
		if body := ana.get(t, base+`/users?columns="><script>`).body; strings.Contains(body, `"><script>`) {
			t.Error("the address gets into the page")
		}
		nobody := s.browser(t, "Nobody")
		if res := nobody.form(t, "/console/columns", "list", "users", "next", base+"/users"); !strings.HasPrefix(res.Header.Get("Location"), "/console/signin") {
			t.Errorf("signed out: %d to %q", res.StatusCode, res.Header.Get("Location"))
		}
	})
}

// cellsLeftOut is how many columns a page's menu offers.
func cellsLeftOut(body string) int { return strings.Count(body, `name="show"`) }
