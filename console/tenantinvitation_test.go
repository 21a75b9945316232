package console_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/tenancy/usage"
)

var joinLink = regexp.MustCompile(`/console/join#([A-Za-z0-9_-]+)`)

// A customer makes a tenant of their own by an invitation of the staff's, once. Found
// without lockInvitation lets a second one be made.
func TestFoundingATenant(t *testing.T) {
	s := newSite(t)
	ana := s.person(t, "Ana", s.home, member.StaffAdmin)
	const page = "/console/platform/founders"
	if res := ana.form(t, page, "label", "Bank <b>", "mode", "LIVE"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "Bank &lt;b&gt;") {
		t.Errorf("without a reason: %d", res.StatusCode)
	}
	if res := ana.form(t, page, "label", "Bank <b>", "mode", "LIVE", "CEREMONIES", "many", "reason", "x"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `value="many"`) {
		t.Errorf("a quota that is no number: %d", res.StatusCode)
	}
	if res := ana.form(t, page, "label", "Bank <b>", "mode", "LIVE", "plan", "Gold <i>", "MONTHLY_ACTIVE_USERS", "5000:hard", "STORAGE", "1000000000", "reason", "a new customer"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("invite: %d %s", res.StatusCode, res.body)
	}
	if res := ana.form(t, page, "label", "Second", "mode", "TEST", "reason", "a trial"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("invite: %d", res.StatusCode)
	}
	if body := ana.get(t, page).body; !strings.Contains(body, "Plan Gold &lt;i&gt; · Monthly active users 5,000 (hard) · Storage 1.0 GB") || !strings.Contains(body, "No limits") {
		t.Errorf("the list does not say what is settled: %s", body)
	}
	links := joinLink.FindAllStringSubmatch(ana.get(t, page).body, -1)
	if len(links) < 2 {
		t.Fatalf("%d links", len(links))
	}
	tokens := map[string]bool{}
	for _, l := range links {
		tokens[l[1]] = true
	}
	live := ""
	for token := range tokens {
		_, in, err := s.members.Look(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if in.Founds.Mode == tenant.Live {
			live = token
		}
	}

	ben := s.browser(t, "Ben")
	if looked := ben.json(t, "/console/join/look", object{"token": live}); len(looked.Invitations) != 1 || looked.Invitations[0].Tenant != "a new live tenant" || looked.Invitations[0].Role != "Owner" {
		t.Errorf("look: %+v", looked)
	}
	if made := ben.create(t, "/console/join", object{"token": live, "name": "Ben"}, object{"token": live}); made.status != http.StatusOK {
		t.Fatalf("account: %+v", made)
	}
	ben.signIn(t)
	if got := ben.get(t, "/console/found"); got.StatusCode != http.StatusNotFound {
		t.Errorf("the form without an invitation: %d", got.StatusCode)
	}
	if next := ben.json(t, "/console/join/accept", object{"token": live}); next.Next != "/console/found" {
		t.Fatalf("accept: %+v", next)
	}
	if got := ben.get(t, "/console/found"); got.StatusCode != http.StatusOK || !strings.Contains(got.body, "Live") {
		t.Errorf("the form: %d", got.StatusCode)
	}
	send := func(b *browser, slug, rpID string) answer {
		return b.form(t, "/console/found", "name", "Ben's <i>Bank</i>", "slug", slug, "rpId", rpID, "origins", "https://"+rpID)
	}
	for name, tt := range map[string][3]string{
		"a slug": {"-x", "bens.example", "Slug has 2 to 40"}, "localhost live": {"bens", "localhost", "RP ID may be localhost in test mode only"},
		"a taken slug": {"platform", "bens.example", "This slug is taken"},
	} {
		res := send(ben, tt[0], tt[1])
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, tt[2]) || !strings.Contains(res.body, "Ben&#39;s &lt;i&gt;Bank") || strings.Contains(res.body, "<i>Bank") {
			t.Errorf("%s: %d, want %q", name, res.StatusCode, tt[2])
		}
	}
	second := *ben // another tab, with the same cookies
	second.cookies = map[string]*http.Cookie{}
	maps.Copy(second.cookies, ben.cookies)
	made := send(ben, "bens", "bens.example")
	if made.StatusCode != http.StatusOK || !strings.Contains(made.body, "bk_live_") || !strings.Contains(made.body, "pk_live_") {
		t.Fatalf("make: %d %s", made.StatusCode, made.body)
	}
	if again := send(&second, "bens2", "bens.example"); again.StatusCode == http.StatusOK {
		t.Errorf("a second tenant by one invitation: %d", again.StatusCode)
	}
	if got := ben.get(t, "/console/t/bens/relying-party"); got.StatusCode != http.StatusOK || !strings.Contains(got.body, "Unproven") {
		t.Errorf("the owner's page: %d", got.StatusCode)
	}
	// What the staff has settled is the tenant's.
	bens, err := s.tenants.Resolve(t.Context(), "bens", netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	in := scope.New(bens, s.home.Actor())
	if now, err := s.tenants.Get(t.Context(), s.home, bens); err != nil || now.Plan != "Gold <i>" {
		t.Errorf("plan %q, %v", now.Plan, err)
	}
	report, err := s.usage.Report(t.Context(), in, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	quotas := map[usage.Kind]string{}
	for _, m := range report.Meters {
		if m.Quota != nil {
			quotas[m.Kind] = m.Quota.Text()
		}
	}
	if want := map[usage.Kind]string{usage.MonthlyActiveUsers: "5000:hard", usage.Storage: "1000000000"}; !maps.Equal(quotas, want) {
		t.Errorf("quotas %v, want %v", quotas, want)
	}
	// Every page says that the domain is not proven, and the first one that this is to be done, until it is.
	for path, want := range map[string]string{"/members": "Nobody has shown yet that bens.example", "/usage": "Nobody has shown yet that bens.example", "": "0 of 5 steps done"} {
		if got := ben.get(t, "/console/t/bens"+path).body; !strings.Contains(got, want) || !strings.Contains(got, `href="/console/t/bens/relying-party"`) {
			t.Errorf("%s does not say %q", path, want)
		}
	}
	if _, err := s.tenants.VouchDomain(t.Context(), s.home, tenant.VouchRequest{ID: bens, Reason: "contract 4711"}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/members", ""} {
		if got := ben.get(t, "/console/t/bens"+path).body; strings.Contains(got, "Nobody has shown yet") || path == "" && !strings.Contains(got, "1 of 5 steps done") {
			t.Errorf("%s after the proof still asks for it", path)
		}
	}
	if n := s.store.AuditCount(t, s.home, "tenant.found"); n != 1 {
		t.Errorf("%d entries of the platform's", n)
	}
	if got := ana.get(t, "/console/t/bens/members"); got.StatusCode != http.StatusNotFound {
		t.Errorf("the staff in the new tenant: %d", got.StatusCode)
	}
	// The open one is taken back, and no member's page lists either.
	if strings.Contains(ana.get(t, "/console/platform/members").body, "Second") {
		t.Error("the staff's page lists invitations to found tenants")
	}
	open, err := s.members.Founders(t.Context(), s.home)
	if err != nil || len(open) != 1 {
		t.Fatalf("Founders = %+v, %v", open, err)
	}
	if res := ana.form(t, page+"/"+open[0].Invitation.ID.String()+"/revoke"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("take back: %d", res.StatusCode)
	}
	if next := ben.json(t, "/console/join/accept", object{"token": open[0].Token}); next.Problem.Reason != "INVITATION_CLOSED" {
		t.Errorf("a link that was taken back: %+v", next)
	}
}

// One invitation makes one account and one tenant, however many try at once: each holds what
// begin has given before any of them finishes. Enroll without its row lets all of them in.
func TestOneInvitationMakesOneAccount(t *testing.T) {
	s := newSite(t)
	acme, _ := s.tenant(t)
	founding, err := s.members.InviteFounder(t.Context(), s.home, member.FoundingRequest{Label: "x", Terms: member.Terms{Mode: tenant.Test}})
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{"to found a tenant": founding.Token, "of the staff": s.token(t, s.home, member.StaffSupport), "of a tenant": s.token(t, acme, member.Viewer)} {
		t.Run(name, func(t *testing.T) {
			users := func() (n int) {
				t.Helper()
				if err := s.store.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM users WHERE tenant_id = $1", s.home.Tenant()).Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			before := users()
			const many = 8
			browsers, finish := make([]*browser, many), make([]object, many)
			for i := range browsers {
				b := s.browser(t, "Eve")
				begun := b.json(t, "/console/join/begin", object{"token": token, "name": "Eve"})
				response, err := b.device.Create(begun.Options, s.at)
				if err != nil {
					t.Fatal(err)
				}
				browsers[i], finish[i] = b, object{"token": token, "id": begun.ID, "response": response}
			}
			answers := make([]told, many)
			var all sync.WaitGroup
			for i := range browsers {
				all.Go(func() { answers[i] = browsers[i].json(t, "/console/join/finish", finish[i]) })
			}
			all.Wait()
			winner := -1
			for i, a := range answers {
				switch {
				case a.status == http.StatusOK && winner < 0:
					winner = i
				case a.Problem.Reason != "INVITATION_CLOSED":
					t.Errorf("one more: %+v", a)
				}
			}
			if n := users() - before; n != 1 || winner < 0 {
				t.Fatalf("%d accounts, the winner is %d", n, winner)
			}
			if a := s.browser(t, "Late").json(t, "/console/join/begin", object{"token": token, "name": "Late"}); a.Problem.Reason != "INVITATION_CLOSED" {
				t.Errorf("begun later: %+v", a)
			}
			// It is whose account it made, and nobody else's.
			other := s.person(t, "Olga", acme, member.Owner)
			if a := other.json(t, "/console/join/accept", object{"token": token}); name != "to found a tenant" && a.Problem.Reason != "INVITATION_CLOSED" {
				t.Errorf("accepted by another: %+v", a)
			}
			won := browsers[winner]
			won.signIn(t)
			if a := won.json(t, "/console/join/accept", object{"token": token}); a.status != http.StatusOK {
				t.Fatalf("accept: %+v", a)
			}
			if name != "to found a tenant" {
				return
			}
			tabs := make([]browser, many)
			made := make([]answer, many)
			for i := range tabs {
				tabs[i] = *won
				if i%2 == 1 {
					tabs[i] = *other
				}
				tabs[i].cookies = maps.Clone(tabs[i].cookies)
				all.Go(func() {
					made[i] = tabs[i].form(t, "/console/found", "name", "x", "slug", fmt.Sprintf("one-%d", i), "rpId", "localhost", "origins", "http://localhost:3000")
				})
			}
			all.Wait()
			done := 0
			for i, a := range made {
				if a.StatusCode != http.StatusOK {
					continue
				}
				if done++; i%2 == 1 {
					t.Errorf("another than who made the account made the tenant")
				}
			}
			if n := s.store.AuditCount(t, s.home, "tenant.found"); done != 1 || n != 1 {
				t.Errorf("%d tenants answered, %d recorded", done, n)
			}
		})
	}
}

// Support of the staff, members of tenants and API keys invite no founders.
func TestWhoInvitesFounders(t *testing.T) {
	s := newSite(t)
	acme, _ := s.tenant(t)
	sam, eve := s.person(t, "Sam", s.home, member.StaffSupport), s.person(t, "Eve", acme, member.Owner)
	const page = "/console/platform/founders"
	if got := sam.get(t, page); got.StatusCode != http.StatusOK || strings.Contains(got.body, "and invite") {
		t.Errorf("support: %d, with the form", got.StatusCode)
	}
	if res := sam.form(t, page, "label", "x", "mode", "TEST", "reason", "x"); res.StatusCode != http.StatusForbidden {
		t.Errorf("support invites: %d", res.StatusCode)
	}
	if got := eve.get(t, page); got.StatusCode != http.StatusNotFound {
		t.Errorf("an owner: %d", got.StatusCode)
	}
	if _, err := s.members.InviteFounder(t.Context(), acme, member.FoundingRequest{Label: "x", Terms: member.Terms{Mode: tenant.Test}}); err == nil {
		t.Error("a tenant's scope invites founders")
	}
	// An ordinary invitation founds nothing, and the other way about nobody joins the staff.
	token := s.token(t, acme, member.Viewer)
	if _, _, err := s.members.Found(t.Context(), s.tenants, scope.Actor{Kind: scope.ActorOperator, ID: acme.Tenant().String()}, scope.Origin{}, member.FoundRequest{Token: token}); err == nil {
		t.Error("an ordinary invitation founds a tenant")
	}
	made, err := s.members.InviteFounder(t.Context(), s.home, member.FoundingRequest{Label: "x", Terms: member.Terms{Mode: tenant.Test}})
	if err != nil {
		t.Fatal(err)
	}
	if next := eve.json(t, "/console/join/accept", object{"token": made.Token}); next.Next != "/console/found" {
		t.Errorf("accept: %+v", next)
	}
	err = s.store.ReadTenant(t.Context(), s.home, func(tx *db.TenantTx) error {
		rows, err := tx.ListMembers(t.Context(), 10)
		if len(rows) != 1 {
			t.Errorf("%d of the staff", len(rows))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
