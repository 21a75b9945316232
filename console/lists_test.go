package console_test

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/mds/mdstest"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/support"
)

// listed reads an export of somebody's as its rows, by the names of the columns.
func (b *browser) listed(t *testing.T, path string) []map[string]string {
	t.Helper()
	res := b.get(t, path)
	if got := res.Header.Get("Content-Disposition"); res.StatusCode != http.StatusOK || !strings.HasPrefix(got, "attachment;") {
		t.Fatalf("GET %s = %d, %q\n%s", path, res.StatusCode, got, res.body)
	}
	var rows []map[string]string
	if strings.HasSuffix(path, "format=json") {
		if err := json.Unmarshal([]byte(res.body), &rows); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	records, err := csv.NewReader(strings.NewReader(res.body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, cell := range record {
			row[records[0][i]] = cell
		}
		rows = append(rows, row)
	}
	return rows
}

// Every list goes out as CSV, where no cell is a formula, and as JSON, where it is as it was
// typed: to whoever sees the list, and to nobody else.
func TestListsGoOutAsFiles(t *testing.T) {
	const formula = `=HYPERLINK("http://evil.example")`
	s := newSite(t)
	acme, slug := s.tenant(t)
	theirs, foreign := s.tenant(t)
	owner, helper := s.person(t, "Oda", acme, member.Owner), s.person(t, "Sup", acme, member.Support)
	stranger, staff := s.person(t, "Eve", theirs, member.Owner), s.person(t, "Sam", s.home, member.StaffSupport)
	here, there := "/console/t/"+slug, "/console/t/"+foreign

	model := uuid.MustParse("99999999-2222-4333-8444-555555555555")
	s.metadata = mdstest.New(t).Snapshot(t, mdstest.BLOB{Entries: []mdstest.Entry{{AAGUID: model, Name: formula}, {AAGUID: uuid.MustParse("11111111-2222-4333-8444-555555555555"), Name: "Blue key"}}})
	s.store.User(t, acme, 2)
	s.exec(t, "UPDATE credentials SET aaguid = $1", model)
	first, err := s.keys.SigningKeys(t.Context(), acme)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.keys.Revoke(t.Context(), acme, keys.RevokeKeyRequest{KID: first[0].KID, Reason: formula}); err != nil {
		t.Fatal(err)
	}
	if res := owner.form(t, here+"/policies/activate", "document", `{"accessTokenSeconds":300}`, "base", "1", "reason", "shorter"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("activate = %d", res.StatusCode)
	}
	if res := staff.form(t, "/console/platform/tenants/"+slug+"/support", "reason", formula, "ticket", "SUP-1", "minutes", "30", "access", string(support.View)); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("ask = %d", res.StatusCode)
	}

	for _, tt := range []struct {
		page, cell string
		who        *browser
		want       []map[string]string // of each row, some cells
	}{
		{here + "/signing-keys", "revokeReason", owner, []map[string]string{{"state": "ACTIVE", "privateHalf": "Sealed in the database"}, {"state": "REVOKED", "privateHalf": "Destroyed", "revokeReason": "revoked"}}},
		{here + "/support", "reason", owner, []map[string]string{{"ticket": "SUP-1", "person": "Sam", "state": "REQUESTED", "wantedMinutes": "30", "reason": formula}}},
		{"/console/platform/support", "reason", staff, []map[string]string{{"slug": slug, "ticket": "SUP-1", "reason": formula}}},
		{here + "/authenticators", "model", owner, []map[string]string{{"aaguid": model.String(), "passkeys": "2", "users": "1", "model": formula}}},
		{here + "/authenticators/all", "model", owner, []map[string]string{{"model": "Blue key"}, {"aaguid": model.String(), "model": formula}}},
		{here + "/policies/versions", "changed", owner, []map[string]string{{"version": "2", "active": "true", "changed": "accessTokenSeconds reportedAuthenticators", "createdBy": "Oda"}, {"version": "1", "active": "false", "changed": ""}}},
	} {
		t.Run(tt.page, func(t *testing.T) {
			if body := tt.who.get(t, tt.page).body; !strings.Contains(body, tt.page+`/export"`) || !strings.Contains(body, tt.page+`/export?format=json"`) {
				t.Error("the page offers no export")
			}
			for _, format := range []string{"csv", "json"} {
				rows := tt.who.listed(t, tt.page+"/export?format="+format)
				if len(rows) != len(tt.want) {
					t.Fatalf("%s: rows = %v, want %d", format, rows, len(tt.want))
				}
				for i, want := range tt.want {
					for name, cell := range want {
						if format == "csv" && cell == formula {
							cell = "'" + formula
						}
						if rows[i][name] != cell {
							t.Errorf("%s: %s of row %d = %q, want %q", format, name, i, rows[i][name], cell)
						}
					}
				}
			}
			if rest, ok := strings.CutPrefix(tt.page, here); ok {
				if res := stranger.get(t, tt.page+"/export"); res.StatusCode != http.StatusNotFound {
					t.Errorf("somebody of another tenant = %d, want 404", res.StatusCode)
				}
				if rest != "/support" {
					if res := helper.get(t, tt.page+"/export"); res.StatusCode != http.StatusForbidden {
						t.Errorf("who does not see the list = %d, want 403", res.StatusCode)
					}
				}
				for _, row := range stranger.listed(t, there+rest+"/export") {
					if row[tt.cell] == "'"+formula && rest != "/authenticators/all" { // which is everybody's
						t.Errorf("another tenant's export has %v", row)
					}
				}
			}
		})
	}
	t.Run("as filtered", func(t *testing.T) {
		page := here + "/authenticators/all"
		if body := owner.get(t, page+"?q=blue").body; !strings.Contains(body, page+`/export?q=blue"`) {
			t.Error("the filter is not in the export's address")
		}
		if rows := owner.listed(t, page+"/export?q=blue"); len(rows) != 1 || rows[0]["model"] != "Blue key" {
			t.Errorf("rows = %v", rows)
		}
	})
}

// order is where names stand in a page, one after the other.
func order(body string, names ...string) []string {
	names = slices.DeleteFunc(names, func(name string) bool { return strings.Count(body, name) != 1 })
	slices.SortFunc(names, func(a, b string) int { return strings.Index(body, a) - strings.Index(body, b) })
	return names
}

func TestMembersInOrder(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	ada := s.person(t, "ada", acme, member.Owner)
	s.person(t, "Zoe", acme, member.Admin)
	s.person(t, "Bob", acme, member.Viewer)
	page := "/console/t/" + slug + "/members"
	for i, name := range []string{"Zoe", "ada", "Bob"} { // the latest last
		s.exec(t, `UPDATE console_sessions SET last_seen_at = now() - $1 * interval '5 minutes' WHERE person_id = (SELECT person_id FROM members WHERE tenant_id = $2 AND role = $3)`,
			3-i, acme.Tenant(), map[string]string{"Zoe": "admin", "ada": "owner", "Bob": "viewer"}[name])
	}
	for _, tt := range []struct {
		sort string
		want []string
	}{
		{"", []string{"ada", "Zoe", "Bob"}}, {"-since", []string{"Bob", "Zoe", "ada"}}, {"name", []string{"ada", "Bob", "Zoe"}}, {"-name", []string{"Zoe", "Bob", "ada"}},
		{"role", []string{"ada", "Zoe", "Bob"}}, {"-role", []string{"Bob", "Zoe", "ada"}}, {"-seen", []string{"ada", "Bob", "Zoe"}}, {"seen", []string{"Zoe", "Bob", "ada"}},
		{"; DROP", []string{"ada", "Zoe", "Bob"}},
	} {
		t.Run("by "+tt.sort, func(t *testing.T) {
			at := "?sort=" + url.QueryEscape(tt.sort)
			_, body, _ := strings.Cut(ada.get(t, page+at).body, `<tbody>`)
			body, _, _ = strings.Cut(body, "</tbody>")
			if got := order(body, `"strong">ada`, `"strong">Zoe`, `"strong">Bob`); !slices.Equal(got, []string{`"strong">` + tt.want[0], `"strong">` + tt.want[1], `"strong">` + tt.want[2]}) {
				t.Errorf("the page has %v, want %v:\n%s", got, tt.want, body)
			}
			for i, row := range ada.listed(t, page+"/export"+at) {
				if row["name"] != tt.want[i] {
					t.Errorf("row %d of the file is %s, want %s", i, row["name"], tt.want[i])
				}
			}
		})
	}
	if body := ada.get(t, page+"?sort=name").body; !strings.Contains(body, `aria-sort="ascending"`) || !strings.Contains(body, `href="`+page+`?sort=-name"`) || !strings.Contains(body, `/export?sort=name"`) {
		t.Error("the head does not say its order, or offers no other")
	}
}

func TestTenantsInOrder(t *testing.T) {
	s := newSite(t)
	boss := s.person(t, "Sam", s.home, member.StaffAdmin)
	var slugs []string
	for i := range 3 {
		sc, slug := s.tenant(t)
		s.exec(t, "UPDATE tenants SET user_count = $2, name = $3 WHERE id = $1", sc.Tenant(), []int{5, 900, 40}[i], []string{"delta", "Alpha", "Bravo"}[i])
		slugs = append(slugs, slug)
	}
	for _, tt := range []struct {
		sort string
		want []int
	}{{"", []int{2, 1, 0}}, {"created", []int{0, 1, 2}}, {"name", []int{1, 2, 0}}, {"-users", []int{1, 2, 0}}, {"users", []int{0, 2, 1}}} {
		t.Run("by "+tt.sort, func(t *testing.T) {
			var want []string
			for _, i := range tt.want {
				want = append(want, "<small>"+slugs[i]+"</small>")
			}
			if got := order(boss.get(t, "/console/platform/tenants?sort="+tt.sort).body, slices.Clone(want)...); !slices.Equal(got, want) {
				t.Errorf("the page has %v, want %v", got, want)
			}
			rows := boss.listed(t, "/console/platform/export/tenants?sort="+tt.sort)
			for i := range tt.want {
				if rows[i]["slug"] != slugs[tt.want[i]] {
					t.Errorf("row %d of the file is %s, want %s", i, rows[i]["slug"], slugs[tt.want[i]])
				}
			}
		})
	}
}
