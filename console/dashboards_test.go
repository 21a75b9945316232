package console_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/dashboard"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/stats"
)

// board makes a board past the console.
func (s *site) board(t *testing.T, sc scope.Scope, title string, charts ...dashboard.Chart) dashboard.Dashboard {
	t.Helper()
	made, err := s.dashboards.Create(t.Context(), sc, title, charts)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestDashboards(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	s.grown(t, acme)
	here := "/console/t/" + slug + "/dashboards"
	ana := s.person(t, "Ana", acme, member.Owner)
	if page := ana.get(t, here); !strings.Contains(page.body, "No dashboards yet") || !strings.Contains(page.body, "Make dashboard") {
		t.Errorf("an empty list = %s", page.body)
	}
	if res := ana.form(t, here, "title", " ", "start", "usual"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "1 to 80 characters") {
		t.Errorf("a board without a title = %d", res.StatusCode)
	}
	res := ana.form(t, here, "title", `Morning "look" <b>`, "start", "usual")
	edit := res.Header.Get("Location")
	if res.StatusCode != http.StatusSeeOther || !strings.HasSuffix(edit, "/edit") {
		t.Fatalf("make a board = %d %s", res.StatusCode, res.body)
	}
	path := strings.TrimSuffix(edit, "/edit")
	form := ana.get(t, edit)
	if form.StatusCode != http.StatusOK || !strings.Contains(form.body, "metric-4") || strings.Contains(form.body, "<b>") && strings.Contains(form.body, `"look" <b>`) {
		t.Errorf("form = %d", form.StatusCode)
	}
	page := ana.get(t, path)
	for _, want := range []string{"Sign-in latency", "data-columns", "Copy address", "http://localhost:8080" + path} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the board has no %q", want)
		}
	}

	// Buttons that save nothing change what is typed, and nothing else.
	typed := []string{"title", "Evening", "etag", "x", "metric-0", "signIns", "range-0", "24h", "kind-0", "LINE", "width-0", "1", "metric-1", "users", "range-1", "7d", "kind-1", "NUMBER", "width-1", "2"}
	if res := ana.form(t, path, append(slices.Clone(typed), "do", "add")...); res.StatusCode != http.StatusOK || !strings.Contains(res.body, "metric-2") || !strings.Contains(res.body, `value="Evening"`) {
		t.Errorf("add = %d", res.StatusCode)
	}
	if res := ana.form(t, path, append(slices.Clone(typed), "do", "remove:0")...); res.StatusCode != http.StatusOK || strings.Contains(res.body, "metric-1") {
		t.Errorf("remove = %d", res.StatusCode)
	}
	for _, odd := range []string{"remove:9", "up:0", "down:1", "up:-1", "nonsense:x", ""} {
		if res := ana.form(t, path, append(slices.Clone(typed), "do", odd)...); res.StatusCode != http.StatusOK || !strings.Contains(res.body, "metric-1") {
			t.Errorf("do %q = %d", odd, res.StatusCode)
		}
	}

	// What somebody else has saved meanwhile is told, and not lost.
	save := append(slices.Clone(typed), "do", "save")
	if res := ana.form(t, path, save...); res.StatusCode != http.StatusConflict || !strings.Contains(res.body, "Somebody changed it meanwhile") || !strings.Contains(res.body, `value="Evening"`) {
		t.Errorf("save over a change = %d", res.StatusCode)
	}
	d := s.first(t, acme)
	save[3] = d.ETag
	bad := append(slices.Clone(save), "step-0", "1d")
	if res := ana.form(t, path, bad...); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "step-0-error") || !strings.Contains(res.body, `value="Evening"`) {
		t.Errorf("a step that does not fit = %d", res.StatusCode)
	}
	if res := ana.form(t, path, save...); res.StatusCode != http.StatusSeeOther {
		t.Errorf("save = %d %s", res.StatusCode, res.body)
	}
	if d := s.first(t, acme); d.Title != "Evening" || len(d.Charts) != 2 || d.Charts[1].Metric != stats.UserTotals {
		t.Errorf("saved %+v", d)
	}

	// It is deleted by its title, a reason and a fresh passkey, and what was typed stays until then.
	for _, tt := range []struct {
		confirm, reason, wants string
	}{
		{"evening", "nobody looks", `value="nobody looks"`}, {"Evening", "", `id="delete-reason-error"`}, {"Evening", " ", `value="Evening"`},
		{"Evening", strings.Repeat("x", 257), `id="delete-reason-error"`},
	} {
		if res := ana.form(t, path+"/delete", "confirm", tt.confirm, "reason", tt.reason); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, tt.wants) {
			t.Errorf("delete by %q for %q = %d", tt.confirm, tt.reason, res.StatusCode)
		}
	}
	s.grow(t)
	if res := ana.form(t, path+"/delete", "confirm", "Evening", "reason", "nobody looks"); res.StatusCode != http.StatusForbidden || !strings.Contains(res.body, "Your passkey is needed first") {
		t.Errorf("delete by a stale passkey = %d", res.StatusCode)
	}
	if up := ana.use(t, "/console/stepup", ""); up.status != http.StatusOK {
		t.Fatal(up)
	}
	if s.first(t, acme).Title != "Evening" {
		t.Error("what was refused has deleted it")
	}
	if res := ana.form(t, path+"/delete", "confirm", "Evening", "reason", "nobody looks"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("delete = %d", res.StatusCode)
	}
	entries, err := trail.NewReader(s.store.Store, s.keys).List(t.Context(), acme, listing.Request{Filter: "action = dashboard.delete"})
	if err != nil || len(entries.Items) != 1 || entries.Items[0].Reason != "nobody looks" {
		t.Errorf("entries of the deletion = %+v, %v", entries.Items, err)
	}
	if res := ana.get(t, path); res.StatusCode != http.StatusNotFound {
		t.Errorf("what is deleted = %d, want 404", res.StatusCode)
	}
}

func (s *site) first(t *testing.T, sc scope.Scope) dashboard.Dashboard {
	t.Helper()
	list, err := s.dashboards.List(t.Context(), sc)
	if err != nil || len(list) == 0 {
		t.Fatalf("List = %v, %v", list, err)
	}
	return list[0]
}

// Everybody sees a board of their tenant, some may change it, and nobody another's.
func TestDashboardRoles(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	globex, _ := s.tenant(t)
	own, foreign := s.board(t, acme, "Own", dashboard.Chart{Metric: stats.Reasons, Kind: dashboard.Table}), s.board(t, globex, "Foreign")
	here := "/console/t/" + slug + "/dashboards"
	for _, role := range member.Roles() {
		b := s.person(t, "Somebody", acme, role)
		writes := role != member.Auditor && role != member.Viewer
		page := b.get(t, here+"/"+own.ID.String())
		if page.StatusCode != http.StatusOK || strings.Contains(page.body, "/edit") != writes {
			t.Errorf("%s: board = %d, sees edit %v, want %v", role, page.StatusCode, !writes, writes)
		}
		if list := b.get(t, here); strings.Contains(list.body, "Make dashboard") != writes || strings.Contains(list.body, "Foreign") {
			t.Errorf("%s: the list is not for the role", role)
		}
		want := http.StatusForbidden
		if writes {
			want = http.StatusOK
		}
		if res := b.get(t, here+"/"+own.ID.String()+"/edit"); res.StatusCode != want {
			t.Errorf("%s: edit = %d, want %d", role, res.StatusCode, want)
		}
		if !writes {
			for _, path := range []string{"", "/" + own.ID.String(), "/" + own.ID.String() + "/delete"} {
				if res := b.form(t, here+path, "title", "x", "confirm", "Own", "do", "save"); res.StatusCode != http.StatusForbidden {
					t.Errorf("%s: POST %s = %d, want 403", role, path, res.StatusCode)
				}
			}
		}
		for _, id := range []string{foreign.ID.String(), "none"} {
			if res := b.get(t, here+"/"+id); res.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %s = %d, want 404", role, id, res.StatusCode)
			}
			if writes {
				if res := b.form(t, here+"/"+id+"/delete", "confirm", "Foreign"); res.StatusCode != http.StatusNotFound {
					t.Errorf("%s: delete %s = %d, want 404", role, id, res.StatusCode)
				}
			}
		}
	}
	if s.first(t, globex).Title != "Foreign" || s.first(t, acme).Title != "Own" {
		t.Error("what was refused has changed a board")
	}
}
