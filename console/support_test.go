package console_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/support"
)

// visitor is somebody of the staff who has asked to be let in.
type visitor struct {
	*site

	acme              scope.Scope
	base, page        string // the tenant's address, and the request's below it
	owner, vic, staff *browser

	super *pgx.Conn
}

// count counts entries of the tenant's audit trail.
func (v *visitor) count(t *testing.T, of string) (n int) {
	t.Helper()
	if v.super == nil {
		v.super = v.store.Superuser(t)
	}
	if err := v.super.QueryRow(t.Context(), "SELECT count(*) FROM audit_records WHERE tenant_id = $1 AND "+of, v.acme.Tenant()).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// askAccess lets one of the staff ask for access.
func askAccess(t *testing.T, access string) *visitor {
	t.Helper()
	s := newSite(t)
	acme, slug := s.tenant(t)
	v := &visitor{site: s, acme: acme, base: "/console/t/" + slug}
	v.owner, v.vic = s.person(t, "Oda Owner", acme, member.Owner), s.person(t, "Vic Viewer", acme, member.Viewer)
	v.staff = s.person(t, "Sam Staff", s.home, member.StaffSupport)
	ask := "/console/platform/tenants/" + slug + "/support"
	if res := v.staff.get(t, "/console/platform/tenants/"+slug); !strings.Contains(res.body, ask) {
		t.Fatalf("the tenant's page does not offer to ask: %d", res.StatusCode)
	}
	if res := v.staff.get(t, v.base+"/members"); res.StatusCode != http.StatusNotFound {
		t.Errorf("without a grant = %d, want 404", res.StatusCode)
	}
	for _, bad := range [][]string{
		{"reason", "", "ticket", "SUP-1", "minutes", "30", "access", access}, {"reason", "why", "ticket", "", "minutes", "30", "access", access},
		{"reason", "why", "ticket", "SUP-1", "minutes", "61", "access", access}, {"reason", "why", "ticket", "SUP-1", "minutes", "x", "access", access},
		{"reason", "why", "ticket", "SUP-1", "minutes", "30", "access", "ALL"},
	} {
		if res := v.staff.form(t, ask, bad...); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, bad[5]) || !strings.Contains(res.body, `aria-invalid`) {
			t.Errorf("ask with %v = %d, want 422 with what was typed", bad, res.StatusCode)
		}
	}
	if res := v.staff.form(t, ask, "reason", "sign-ins fail", "ticket", "SUP-20418", "minutes", "30", "access", access); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("ask = %d", res.StatusCode)
	}
	body := v.owner.get(t, v.base+"/members").body
	v.page = regexp.MustCompile(v.base + `/support/[0-9a-f-]{36}`).FindString(body)
	if v.page == "" || !strings.Contains(body, "Sam Staff from support asks to be let in for 30 minutes, ticket SUP-20418") {
		t.Fatalf("an owner is not told on every page:\n%s", body)
	}
	if body := v.vic.get(t, v.base+"/members").body; strings.Contains(body, "asks to be let in") {
		t.Error("who cannot decide is asked to")
	}
	return v
}

func (v *visitor) letIn(t *testing.T, access string) {
	t.Helper()
	if res := v.owner.form(t, v.page+"/grant", "access", access, "minutes", "20", "reason", "go on"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("grant = %d %s", res.StatusCode, res.body)
	}
}

// A whole story in pages: asked, refused without a fresh passkey, narrowed, looked at with
// banners on both sides, ended.
func TestSupportAccess(t *testing.T) {
	v := askAccess(t, "ACT")
	if res := v.vic.get(t, v.page); res.StatusCode != http.StatusOK || strings.Contains(res.body, "/grant") {
		t.Errorf("a viewer sees the form: %d", res.StatusCode)
	}
	for _, path := range []string{"/grant", "/refuse", "/revoke"} {
		if res := v.vic.form(t, v.page+path, "access", "VIEW", "minutes", "5", "reason", "x"); res.StatusCode != http.StatusForbidden {
			t.Errorf("a viewer posts %s = %d, want 403", path, res.StatusCode)
		}
		if res := v.staff.form(t, v.page+path, "access", "ACT", "minutes", "5", "reason", "x"); res.StatusCode != http.StatusNotFound {
			t.Errorf("the staff posts %s = %d, want 404", path, res.StatusCode)
		}
	}
	if res := v.owner.form(t, v.page+"/grant", "access", "VIEW", "minutes", "31", "reason", "kept"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "kept") {
		t.Errorf("more than was asked for = %d, want 422", res.StatusCode)
	}
	v.grow(t)
	if res := v.owner.form(t, v.page+"/grant", "access", "VIEW", "minutes", "20", "reason", "x"); res.StatusCode != http.StatusForbidden {
		t.Errorf("without a fresh passkey = %d, want 403", res.StatusCode)
	}
	v.owner.signIn(t)
	v.letIn(t, "VIEW")

	in := v.staff.get(t, v.base+"/members")
	if in.StatusCode != http.StatusOK || !strings.Contains(in.body, "You are in this tenant for support") || !strings.Contains(in.body, "End access") || !strings.Contains(in.body, "Vic Viewer") {
		t.Fatalf("the tenant by the grant = %d\n%s", in.StatusCode, in.body)
	}
	if strings.Contains(in.body, v.base+`/invitations"`) {
		t.Error("who may look sees a form to invite")
	}
	for _, who := range []*browser{v.owner, v.vic} {
		if body := who.get(t, v.base+"/members").body; !strings.Contains(body, "Sam Staff from support is in this tenant") || !strings.Contains(body, "data-until=") {
			t.Errorf("%s is not told who is in", who.name)
		}
	}
	if body := v.owner.get(t, v.page).body; !strings.Contains(body, "Looked at") || !strings.Contains(body, "/members</a>") {
		t.Errorf("the owner does not see what was looked at:\n%s", body)
	}
	// Each page view is one entry, though the page reads itself anew.
	v.staff.get(t, v.base+"/members")
	if n := v.store.AuditCount(t, v.acme, "support.view"); n != 1 {
		t.Errorf("%d views recorded, want 1", n)
	}
	list := v.staff.get(t, "/console/platform/support")
	end := regexp.MustCompile(`/console/platform/support/[0-9a-z/-]+/end`).FindString(list.body)
	if end == "" || !strings.Contains(list.body, "Open the tenant") {
		t.Fatalf("own grants = %d", list.StatusCode)
	}
	other := v.person(t, "Mia Staff", v.home, member.StaffSupport)
	if res := other.form(t, end); res.StatusCode != http.StatusNotFound {
		t.Errorf("another of the staff ends it = %d, want 404", res.StatusCode)
	}
	if res := other.get(t, v.base+"/members"); res.StatusCode != http.StatusNotFound {
		t.Errorf("another of the staff = %d, want 404", res.StatusCode)
	}
	if res := v.owner.form(t, v.page+"/revoke", "reason", "enough"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("revoke = %d %s", res.StatusCode, res.body)
	}
	if res := v.staff.get(t, v.base+"/members"); res.StatusCode != http.StatusNotFound {
		t.Errorf("after the revocation = %d, want 404", res.StatusCode)
	}
	if res := v.staff.form(t, end); res.StatusCode != http.StatusConflict {
		t.Errorf("ending what is over = %d, want 409", res.StatusCode)
	}
	if body := v.staff.get(t, "/console/platform/support").body; !strings.Contains(body, "enough") {
		t.Error("the staff does not read why")
	}
}

func TestSupportIsGivenBack(t *testing.T) {
	v := askAccess(t, "VIEW")
	v.letIn(t, "VIEW")
	end := regexp.MustCompile(`/console/platform/support/[0-9a-z/-]+/end`).FindString(v.staff.get(t, v.base+"/members").body)
	if res := v.staff.form(t, end); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("end = %d", res.StatusCode)
	}
	if res := v.staff.get(t, v.base+"/members"); res.StatusCode != http.StatusNotFound {
		t.Errorf("after giving back = %d, want 404", res.StatusCode)
	}
	if body := v.owner.get(t, v.base+"/members").body; strings.Contains(body, "is in this tenant") {
		t.Error("the banner stays")
	}
}

// Every route of a tenant, in support mode: pages work through bc_support or say no, and
// nothing that is posted by who may look changes anything, whatever a handler thinks.
func TestSupportModeOnEveryRoute(t *testing.T) {
	for _, access := range []string{"VIEW", "ACT"} {
		t.Run(access, func(t *testing.T) {
			v := askAccess(t, "ACT")
			v.letIn(t, access)
			known, err := v.users.Create(t.Context(), v.acme, user.Profile{ExternalID: "ext-1", Name: "Uma User"}, user.Contact{Email: "uma@example.com"})
			if err != nil {
				t.Fatal(err)
			}
			if n := v.views(t); n != 0 {
				t.Fatalf("%d entries of support before", n)
			}
			shown := 0
			for n, route := range routes(t) {
				method, pattern, _ := strings.Cut(route, " ")
				if !strings.HasPrefix(pattern, "/console/t/{slug}") {
					continue
				}
				path := strings.Replace(pattern, "/console/t/{slug}", v.base, 1)
				path = strings.ReplaceAll(path, "{$}", "")
				for _, id := range []string{known.ID.String(), uuid.NewString()} {
					path := regexp.MustCompile(`\{[a-z]+(\.\.\.)?\}`).ReplaceAllString(path, id)
					looks := v.looks(t)
					if method == http.MethodGet {
						status := v.staff.glance(t, path+"?n="+strconv.Itoa(n)) // a query of its own: the same view is one entry
						if status == http.StatusOK && v.looks(t) == looks && id == known.ID.String() && !strings.Contains(path, "/static/") {
							t.Errorf("GET %s was shown without an entry", path)
						}
						if status >= http.StatusInternalServerError {
							t.Errorf("GET %s = %d", path, status)
						}
						if status == http.StatusOK {
							shown++
						}
						continue
					}
					before := v.views(t)
					res := v.staff.form(t, path, "reason", "because", "name", "x", "label", "x", "role", "viewer", "access", "VIEW", "minutes", "5")
					if res.StatusCode >= http.StatusInternalServerError {
						t.Errorf("POST %s = %d", path, res.StatusCode)
					}
					if strings.Contains(res.body, "Uma User") && v.looks(t) == looks {
						t.Errorf("POST %s = %d showed somebody without an entry", path, res.StatusCode)
					}
					if after := v.views(t); access == "VIEW" && after != before {
						t.Errorf("POST %s = %d left %d entries of a change", path, res.StatusCode, after-before)
					}
				}
			}
			if shown < 3 {
				t.Errorf("%d pages were shown", shown)
			}
			grants, err := v.site.support.Open(t.Context(), v.acme)
			if err != nil || len(grants) != 1 {
				t.Fatalf("Open = %v, %v", grants, err)
			}
			_, err = v.users.Block(t.Context(), grants[0].Scope(scope.Origin{}), user.BlockRequest{ID: known.ID, Reason: "x"})
			if f, ok := fault.As(err); (access == "VIEW") != (ok && f.Reason == "SUPPORT_MAY_NOT") || access == "ACT" && err != nil {
				t.Errorf("Block error = %v", err)
			}
			seen, err := v.users.Get(t.Context(), grants[0].Scope(scope.Origin{}), known.ID)
			if err != nil || seen.Name != "Uma User" || seen.Contact != (user.Contact{}) {
				t.Errorf("Get = %+v, %v", seen, err)
			}
			_, err = v.users.Update(t.Context(), grants[0].Scope(scope.Origin{}), user.UpdateRequest{ID: known.ID, Name: new("Mallory")})
			if f, ok := fault.As(err); !ok || f.Reason != "SUPPORT_MAY_NOT" {
				t.Errorf("Update error = %v", err)
			}
			if grants[0].Access != support.Access(access) {
				t.Errorf("access = %s", grants[0].Access)
			}
		})
	}
}

// glance gets what is at a path, of a stream no more than how it begins: it does not end by itself.
func (b *browser) glance(t *testing.T, path string) int {
	t.Helper()
	if page, _, _ := strings.Cut(path, "?"); strings.HasSuffix(page, "/events") {
		status, _ := b.watch(t, path)
		return status
	}
	return b.get(t, path).StatusCode
}

// looks counts the views that support has left in the audit trail.
func (v *visitor) looks(t *testing.T) int {
	t.Helper()
	return v.count(t, "action = 'support.view'")
}

// Who hangs up while their look is being recorded has looked, and looks at nothing unrecorded
// the next time.
func TestSupportHangsUp(t *testing.T) {
	v := askAccess(t, "VIEW")
	v.letIn(t, "VIEW")
	tx, err := v.store.Superuser(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE audit_inbox IN EXCLUSIVE MODE"); err != nil { // a slow moment
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	first := v.staff.send(t, httptest.NewRequestWithContext(ctx, http.MethodGet, v.base+"/users", nil))
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if second := v.staff.get(t, v.base+"/users"); first.StatusCode == http.StatusOK || second.StatusCode != http.StatusOK || v.looks(t) == 0 {
		t.Errorf("hung up: %d; then %d with %d entries", first.StatusCode, second.StatusCode, v.looks(t))
	}
}

// Each search and each page of a list is a view of its own; the same one once more is not.
func TestSupportSearchesAreViews(t *testing.T) {
	v := askAccess(t, "VIEW")
	v.letIn(t, "VIEW")
	before := v.looks(t)
	for range 2 {
		for _, q := range []string{"uma", "oda", "bob", "carl"} {
			if res := v.staff.get(t, v.base+"/users?q="+q); res.StatusCode != http.StatusOK {
				t.Fatal(res.StatusCode)
			}
		}
	}
	if n := v.looks(t) - before; n != 4 {
		t.Errorf("4 searches, twice, left %d entries", n)
	}
}

// A link that staff have made for a user works no longer than they are let in.
func TestSupportLinksEnd(t *testing.T) {
	v := askAccess(t, "ACT")
	v.letIn(t, "ACT")
	u, err := v.users.Create(t.Context(), v.acme, user.Profile{ExternalID: "ext-1", Name: "Uma User"}, user.Contact{})
	if err != nil {
		t.Fatal(err)
	}
	if res := v.staff.form(t, v.base+"/users/"+u.ID.String()+"/act/link", "reason", "because"); res.StatusCode != http.StatusOK && res.StatusCode != http.StatusSeeOther {
		t.Fatalf("link = %d", res.StatusCode)
	}
	link := func() (state string, outlives bool) {
		if err := v.store.Superuser(t).QueryRow(t.Context(), `SELECT r.state, r.expires_at > g.expires_at FROM recoveries r JOIN support_grants g USING (tenant_id)
			WHERE r.tenant_id = $1`, v.acme.Tenant()).Scan(&state, &outlives); err != nil {
			t.Fatal(err)
		}
		return state, outlives
	}
	if state, outlives := link(); state != "OPEN" || outlives {
		t.Errorf("the link is %s, and outlives the access: %v", state, outlives)
	}
	if res := v.owner.form(t, v.page+"/revoke", "reason", "enough"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("revoke = %d", res.StatusCode)
	}
	if state, _ := link(); state != "REVOKED" {
		t.Errorf("after the revocation the link is %s", state)
	}
}

// views counts what support has left in the audit trail but page views.
func (v *visitor) views(t *testing.T) int {
	t.Helper()
	return v.count(t, "support_grant_id IS NOT NULL AND action <> 'support.view'")
}

// routes are all that the package's files hand to a mux, as METHOD and pattern.
func routes(t *testing.T) []string {
	t.Helper()
	files, err := parser.ParseDir(token.NewFileSet(), ".", func(f os.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0) //nolint:staticcheck // one package without build tags
	if err != nil {
		t.Fatal(err)
	}
	consts := map[string]string{"ui.Path": "/console"}
	eval := func(e ast.Expr) (string, bool) { return "", false }
	eval = func(e ast.Expr) (string, bool) {
		switch e := e.(type) {
		case *ast.BasicLit:
			s, err := strconv.Unquote(e.Value)
			return s, err == nil
		case *ast.Ident:
			s, ok := consts[e.Name]
			return s, ok
		case *ast.SelectorExpr:
			return "/console", e.Sel.Name == "Path"
		case *ast.BinaryExpr:
			l, a := eval(e.X)
			r, b := eval(e.Y)
			return l + r, a && b
		}
		return "", false
	}
	var found []string
	for range 3 { // constants of constants
		found = nil
		for _, file := range files["console"].Files {
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ValueSpec:
					for i, name := range n.Names {
						if i < len(n.Values) {
							if s, ok := eval(n.Values[i]); ok {
								consts[name.Name] = s
							}
						}
					}
				case *ast.CallExpr:
					if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "HandleFunc" && len(n.Args) == 2 {
						if s, ok := eval(n.Args[0]); ok {
							found = append(found, s)
						}
					}
				}
				return true
			})
		}
	}
	if len(found) < 20 {
		t.Fatalf("only %d routes found: %v", len(found), found)
	}
	return found
}

// Who was refused is not let in, and is told why.
func TestRefusedSupport(t *testing.T) {
	v := askAccess(t, "VIEW")
	if res := v.owner.form(t, v.page+"/refuse", "reason", "ask our desk first"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("refuse = %d %s", res.StatusCode, res.body)
	}
	if res := v.staff.get(t, v.base+"/members"); res.StatusCode != http.StatusNotFound {
		t.Errorf("after it was refused = %d, want 404", res.StatusCode)
	}
	if body := v.staff.get(t, "/console/platform/support").body; !strings.Contains(body, "Refused") {
		t.Error("who asked is not told")
	}
	if res := v.owner.form(t, v.page+"/grant", "access", "VIEW", "minutes", "20", "reason", "after all"); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("granted after it was refused = %d, want 422", res.StatusCode)
	}
}
