package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// drill is a tenant whose owner is to be recovered.
type drill struct {
	*site

	sc               scope.Scope
	slug, page, path string // of the tenant for the staff, and of the recovery there
	own              string // of the recovery for members
	owner, viewer    *browser
	asks, approves   *browser
}

// ask lets one of the staff ask for the recovery of the owner.
func ask(t *testing.T) *drill {
	t.Helper()
	s := newSite(t)
	sc, slug := s.tenant(t)
	d := &drill{
		site: s, sc: sc, slug: slug, page: "/console/platform/tenants/" + slug,
		owner: s.person(t, "Oda Owner", sc, member.Owner), viewer: s.person(t, "Vic Viewer", sc, member.Viewer),
		asks: s.person(t, "Sam Staff", s.home, member.StaffAdmin), approves: s.person(t, "Sue Staff", s.home, member.StaffSupport),
	}
	if res := d.asks.get(t, "/console/platform/tenants"); res.StatusCode != http.StatusOK || !strings.Contains(res.body, d.page) {
		t.Fatalf("tenants = %d", res.StatusCode)
	}
	page := d.asks.get(t, d.page)
	begin := regexp.MustCompile(d.page + `/owners/[0-9a-f-]{36}`).FindString(page.body)
	if begin == "" || !strings.Contains(page.body, "Oda Owner") || strings.Contains(page.body, "Vic Viewer") {
		t.Fatalf("tenant = %d, button %q", page.StatusCode, begin)
	}
	if res := d.asks.form(t, begin+"/recover", "reason", "lost both phones", "ticket", ""); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "lost both phones") {
		t.Errorf("without a ticket = %d, want 422", res.StatusCode)
	}
	if res := d.viewer.form(t, begin+"/recover", "reason", "x", "ticket", "y"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a member asks = %d, want 404", res.StatusCode)
	}
	if res := d.asks.form(t, begin+"/recover", "reason", "lost both phones", "ticket", "T-1187"); res.Header.Get("Location") != d.page {
		t.Fatalf("ask = %d %s", res.StatusCode, res.body)
	}
	if res := d.asks.form(t, begin+"/recover", "reason", "again", "ticket", "T-1187"); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a second one = %d, want 422", res.StatusCode)
	}
	d.path = regexp.MustCompile(d.page + `/recoveries/[0-9a-f-]{36}`).FindString(d.asks.get(t, d.page).body)
	if d.path == "" {
		t.Fatal("the tenant's page does not show the recovery")
	}
	d.own = "/console/t/" + slug + strings.TrimPrefix(d.path, d.page)
	return d
}

// approved is one that a second of the staff has approved.
func approved(t *testing.T) *drill {
	t.Helper()
	d := ask(t)
	if body := d.asks.get(t, d.path).body; strings.Contains(body, "/approve") {
		t.Error("who asked is shown the button to approve")
	}
	if res := d.asks.form(t, d.path+"/approve", "reason", "I say so"); res.StatusCode != http.StatusForbidden || !strings.Contains(res.body, "Somebody else has to approve") {
		t.Errorf("who asked approves = %d, want 403", res.StatusCode)
	}
	d.grow(t)
	if res := d.approves.form(t, d.path+"/approve", "reason", "called her"); res.StatusCode != http.StatusForbidden {
		t.Errorf("without a fresh passkey = %d, want 403", res.StatusCode)
	}
	d.fresh(t)
	if res := d.approves.form(t, d.path+"/approve", "reason", "called her"); res.Header.Get("Location") != d.page {
		t.Fatalf("approve = %d %s", res.StatusCode, res.body)
	}
	if res := d.approves.form(t, d.path+"/release", "reason", "hurry"); res.StatusCode != http.StatusUnprocessableEntity || strings.Contains(res.body, "/console/join#") {
		t.Errorf("before three days = %d, want 422", res.StatusCode)
	}
	return d
}

// fresh lets everybody use their passkey.
func (d *drill) fresh(t *testing.T) {
	t.Helper()
	for _, b := range []*browser{d.owner, d.viewer, d.asks, d.approves} {
		if up := b.use(t, "/console/stepup", ""); up.status != http.StatusOK {
			t.Fatalf("step-up of %s: %+v", b.name, up)
		}
	}
}

func TestMembersCancelTheRecovery(t *testing.T) {
	d := approved(t)
	for _, page := range []string{"/members", "/recoveries" + strings.TrimPrefix(d.path, d.page+"/recoveries")} {
		body := d.viewer.get(t, "/console/t/"+d.slug+page).body
		if !strings.Contains(body, `class="banner"`) || !strings.Contains(body, "Oda Owner") || !strings.Contains(body, "Sam Staff asked for it") || !strings.Contains(body, d.own) {
			t.Errorf("%s does not tell members", page)
		}
		if !strings.Contains(body, "in 2 days 23 h") {
			t.Errorf("%s does not tell how long", page)
		}
	}
	if res := d.viewer.form(t, d.own+"/cancel", "reason", ""); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("without a reason = %d, want 422", res.StatusCode)
	}
	d.grow(t)
	if res := d.viewer.form(t, d.own+"/cancel", "reason", "she sits beside me"); res.StatusCode != http.StatusForbidden {
		t.Errorf("without a fresh passkey = %d, want 403", res.StatusCode)
	}
	d.fresh(t)
	if res := d.viewer.form(t, d.own+"/cancel", "reason", "she sits beside me"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("a viewer cancels = %d %s", res.StatusCode, res.body)
	}
	if body := d.owner.get(t, "/console/t/"+d.slug+"/members").body; strings.Contains(body, `class="banner"`) || !strings.Contains(body, "Cancelled") || !strings.Contains(body, "T-1187") {
		t.Error("the members' page does not keep that it was cancelled")
	}
	d.exec(t, `UPDATE owner_recoveries SET ready_at = ready_at - interval '4 days'`)
	if res := d.approves.form(t, d.path+"/release", "reason", "still"); res.StatusCode != http.StatusUnprocessableEntity || strings.Contains(res.body, "/console/join#") {
		t.Errorf("a cancelled one is released = %d", res.StatusCode)
	}
}

func TestOwnerComesBack(t *testing.T) {
	d := approved(t)
	d.exec(t, `UPDATE owner_recoveries SET requested_at = requested_at - interval '4 days', approved_at = approved_at - interval '4 days', ready_at = ready_at - interval '4 days'`)
	res := d.approves.form(t, d.path+"/release", "reason", "nobody said no")
	found := regexp.MustCompile(regexp.QuoteMeta(publicURL) + `/console/join#([\w.-]+)`).FindStringSubmatch(res.body)
	if res.StatusCode != http.StatusOK || found == nil {
		t.Fatalf("release = %d %s", res.StatusCode, res.body)
	}
	if strings.Contains(d.approves.get(t, d.path).body, found[1]) {
		t.Error("the link is shown to who has not confirmed")
	}
	if body := d.viewer.get(t, d.own).body; !strings.Contains(body, "The link is made") || !strings.Contains(body, "/cancel") {
		t.Error("members are not told that there is a link, which they can take back")
	}
	owner := d.browser(t, "Oda Again")
	if made := owner.create(t, "/console/join", object{"token": found[1], "name": "Oda Again"}, object{"token": found[1]}); made.status != http.StatusOK {
		t.Fatalf("join = %+v", made)
	}
	owner.signIn(t)
	if joined := owner.json(t, "/console/join/accept", object{"token": found[1]}); joined.Next != "/console/t/"+d.slug {
		t.Fatalf("accept = %+v", joined)
	}
	res = owner.get(t, "/console/t/"+d.slug+"/members")
	if res.StatusCode != http.StatusOK || !strings.Contains(res.body, "Oda Again") || !strings.Contains(res.body, "Completed") || strings.Contains(res.body, `class="banner"`) {
		t.Errorf("members = %d %s", res.StatusCode, res.body)
	}
	if res := d.owner.get(t, "/console/t/"+d.slug+"/members"); res.StatusCode != http.StatusNotFound {
		t.Errorf("the lost owner's browser = %d, want 404", res.StatusCode)
	}
	all, err := d.members.List(t.Context(), d.sc)
	if err != nil || len(all) != 2 {
		t.Errorf("members = %+v, %v: want the owner who came back and the viewer", all, err)
	}
}

// Who asked may think better of it, too: nobody gets a link any more.
func TestStaffCancelTheRecovery(t *testing.T) {
	d := approved(t)
	if res := d.asks.form(t, d.path+"/cancel", "reason", ""); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("without a reason = %d, want 422", res.StatusCode)
	}
	if res := d.asks.form(t, d.path+"/cancel", "reason", "she found her phone"); res.Header.Get("Location") != d.page {
		t.Fatalf("cancel = %d %s", res.StatusCode, res.body)
	}
	d.exec(t, `UPDATE owner_recoveries SET ready_at = ready_at - interval '4 days'`)
	if res := d.approves.form(t, d.path+"/release", "reason", "it is time"); res.StatusCode != http.StatusUnprocessableEntity || strings.Contains(res.body, "/console/join#") {
		t.Errorf("released after it was cancelled: %d", res.StatusCode)
	}
}
