package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Each role and each page: what a menu does not show is refused besides.
func TestRoles(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	_, foreign := s.tenant(t)
	members := "/console/t/" + slug + "/members"
	s.person(t, "Oda", acme, member.Owner)
	target := s.person(t, "Vic", acme, member.Viewer)
	for _, role := range member.Roles() {
		t.Run(string(role), func(t *testing.T) {
			b := s.person(t, "Somebody", acme, role)
			writes := role == member.Owner || role == member.Admin
			page := b.get(t, members)
			if page.StatusCode != http.StatusOK {
				t.Fatalf("members = %d, want 200", page.StatusCode)
			}
			for what, mark := range map[string]string{"form": `action="/console/t/` + slug + `/invitations"`, "button": `aria-label="Change… Vic`} {
				if strings.Contains(page.body, mark) != writes {
					t.Errorf("sees the %s = %v, want %v", what, !writes, writes)
				}
			}
			if sees := strings.Contains(page.body, `aria-label="Change… Oda`); sees != (role == member.Owner) {
				t.Errorf("may change an owner = %v", sees)
			}
			want := http.StatusForbidden
			if writes {
				want = http.StatusSeeOther
			}
			if res := b.form(t, "/console/t/"+slug+"/invitations", "label", "New", "role", "viewer"); res.StatusCode != want {
				t.Errorf("invite = %d, want %d", res.StatusCode, want)
			}
			open, err := s.members.Invitations(t.Context(), scope.New(acme.Tenant(), s.home.Actor()))
			if err != nil {
				t.Fatal(err)
			}
			if page := b.get(t, members).body; len(open) > 0 && strings.Contains(page, open[0].Token) != writes {
				t.Errorf("sees the links of invitations = %v, want %v", !writes, writes)
			}
			if !writes {
				id := uuid.NewString()
				for _, path := range []string{"/members/" + id + "/role", "/members/" + id + "/remove", "/invitations/" + id + "/revoke"} {
					if res := b.form(t, "/console/t/"+slug+path, "reason", "x"); res.StatusCode != http.StatusForbidden {
						t.Errorf("POST %s = %d, want 403", path, res.StatusCode)
					}
				}
				if res := b.get(t, members+"/"+id); res.StatusCode != http.StatusForbidden {
					t.Errorf("a member's page = %d, want 403", res.StatusCode)
				}
			}
			// What belongs to others does not exist: the same answer as for what does not.
			for _, path := range []string{"/console/t/" + foreign + "/members", "/console/t/none/members", "/console/platform", "/console/platform/tenants", "/console/platform/members", "/console/platform/tenants/" + slug} {
				if res := b.get(t, path); res.StatusCode != http.StatusNotFound || strings.Contains(res.body, foreign) {
					t.Errorf("GET %s = %d, want 404", path, res.StatusCode)
				}
			}
			if res := b.form(t, "/console/t/"+foreign+"/invitations", "label", "New", "role", "viewer"); res.StatusCode != http.StatusNotFound {
				t.Errorf("invite into another's tenant = %d, want 404", res.StatusCode)
			}
		})
	}
	t.Run("staff sees no tenant from inside", func(t *testing.T) {
		b := s.person(t, "Sam", s.home, member.StaffAdmin)
		if res := b.get(t, members); res.StatusCode != http.StatusNotFound {
			t.Errorf("members = %d, want 404", res.StatusCode)
		}
	})
	t.Run("who was removed is out at once", func(t *testing.T) {
		all, err := s.members.List(t.Context(), acme)
		if err != nil {
			t.Fatal(err)
		}
		cli := scope.New(acme.Tenant(), s.home.Actor())
		for _, m := range all {
			if m.Role == member.Viewer {
				if _, err := s.members.Change(t.Context(), cli, member.ChangeRequest{ID: m.ID, Reason: "left"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if res := target.get(t, members); res.StatusCode != http.StatusNotFound {
			t.Errorf("members = %d, want 404", res.StatusCode)
		}
		if res := target.get(t, "/console"); res.StatusCode != http.StatusOK || !strings.Contains(res.body, "You work in no tenant yet") {
			t.Errorf("home = %d", res.StatusCode)
		}
	})
}

func TestAdminInvitesNoOwner(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	admin := s.person(t, "Ada", acme, member.Admin)
	if body := admin.get(t, "/console/t/"+slug+"/members").body; strings.Contains(body, `<option value="owner"`) || !strings.Contains(body, `<option value="admin"`) {
		t.Error("the form offers an admin the wrong roles")
	}
	res := admin.form(t, "/console/t/"+slug+"/invitations", "label", "Her friend", "role", "owner")
	if res.StatusCode != http.StatusForbidden || !strings.Contains(res.body, "That role is above yours") || !strings.Contains(res.body, `value="Her friend"`) {
		t.Errorf("invite = %d", res.StatusCode)
	}
	if res := owner.form(t, "/console/t/"+slug+"/invitations", "label", "Second owner", "role", "owner"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("an owner invites an owner = %d", res.StatusCode)
	}
	open, err := s.members.Invitations(t.Context(), scope.New(acme.Tenant(), scope.Actor{Kind: scope.ActorSystem, ID: "cli"}))
	if err != nil || len(open) != 1 {
		t.Fatalf("invitations = %v, %v", open, err)
	}
	// The link of an owner's invitation makes an owner of whoever opens it.
	if body := admin.get(t, "/console/t/"+slug+"/members").body; strings.Contains(body, open[0].Token) {
		t.Error("an admin reads the link that makes an owner")
	}
	if body := owner.get(t, "/console/t/"+slug+"/members").body; !strings.Contains(body, publicURL+"/console/join#"+open[0].Token) {
		t.Error("the owner does not find the link")
	}
	if res := admin.form(t, "/console/t/"+slug+"/invitations/"+open[0].Invitation.ID.String()+"/revoke"); res.StatusCode != http.StatusForbidden {
		t.Errorf("an admin takes it back = %d, want 403", res.StatusCode)
	}
	if res := owner.form(t, "/console/t/"+slug+"/invitations/"+open[0].Invitation.ID.String()+"/revoke"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("the owner takes it back = %d", res.StatusCode)
	}
}

func TestFormsKeepWhatWasTyped(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	res := owner.form(t, "/console/t/"+slug+"/invitations", "label", "", "role", "auditor")
	if res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("status = %d, want 422", res.StatusCode)
	}
	for _, want := range []string{`aria-invalid="true"`, `autofocus`, `aria-describedby="invite-label-error"`, `id="invite-label-error"`, `<option value="auditor" selected`} {
		if !strings.Contains(res.body, want) {
			t.Errorf("the form does not hold %s", want)
		}
	}
	if !strings.Contains(owner.form(t, "/console/t/"+slug+"/invitations", "label", "x", "role", "emperor").body, "Choose a role") {
		t.Error("a made-up role is not told of")
	}
}

// A sensitive act takes a fresh passkey, whatever the page's script did: drop the check in
// change and this turns red.
func TestStepUp(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	s.person(t, "Vic", acme, member.Viewer)
	members := "/console/t/" + slug + "/members"
	vic := owner.memberID(t, members, "Vic")
	s.grow(t)

	res := owner.form(t, members+"/"+vic+"/role", "role", "support", "reason", "helps on Mondays")
	if res.StatusCode != http.StatusForbidden || !strings.Contains(res.body, "Your passkey is needed first") || !strings.Contains(res.body, "helps on Mondays") {
		t.Errorf("stale: %d", res.StatusCode)
	}
	if res := owner.form(t, members+"/"+vic+"/remove", "reason", "left"); res.StatusCode != http.StatusForbidden {
		t.Errorf("stale removal = %d, want 403", res.StatusCode)
	}
	if res := owner.form(t, "/console/t/"+slug+"/invitations", "label", "x", "role", "owner"); res.StatusCode != http.StatusForbidden {
		t.Errorf("stale invitation of an owner = %d, want 403", res.StatusCode)
	}
	if res := owner.form(t, "/console/t/"+slug+"/invitations", "label", "x", "role", "viewer"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("an invitation of a viewer = %d, want 303", res.StatusCode)
	}
	if begun := owner.json(t, "/console/account/passkeys/begin", object{}); begun.Problem.Reason != "FRESH_PASSKEY_REQUIRED" {
		t.Errorf("stale passkey = %+v", begun)
	}

	t.Run("another account's passkey does not count", func(t *testing.T) {
		other := s.person(t, "Eve", acme, member.Viewer)
		own := owner.device
		owner.device = other.device
		defer func() { owner.device = own }()
		begun := owner.json(t, "/console/signin/begin", object{}) // which takes any
		made, err := owner.device.Get(begun.Options, publicURL)
		if err != nil {
			t.Fatal(err)
		}
		if up := owner.json(t, "/console/stepup/finish", object{"id": begun.ID, "response": made}); up.Problem.Reason != "OTHER_ACCOUNT" {
			t.Errorf("step-up = %+v", up)
		}
	})

	old := *owner.cookies["biocore_console"]
	if up := owner.use(t, "/console/stepup", ""); up.status != http.StatusOK {
		t.Fatalf("step-up = %+v", up)
	}
	if res := owner.form(t, members+"/"+vic+"/role", "role", "support", "reason", ""); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "Say why") {
		t.Errorf("without a reason = %d, want 422", res.StatusCode)
	}
	if res := owner.form(t, members+"/"+vic+"/role", "role", "", "reason", "why"); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("without a role = %d, want 422", res.StatusCode)
	}
	if res := owner.form(t, members+"/"+vic+"/role", "role", "support", "reason", "helps on Mondays"); res.Header.Get("Location") != members {
		t.Errorf("fresh: %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	if n := s.store.AuditCount(t, acme, "member.update"); n != 1 {
		t.Errorf("%d audit entries, want 1", n)
	}
	owner.cookies["biocore_console"] = &old
	if res := owner.get(t, members); res.StatusCode != http.StatusSeeOther {
		t.Errorf("the session from before = %d, want 303 to the sign-in", res.StatusCode)
	}
}

func TestLastOwner(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	members := "/console/t/" + slug + "/members"
	id := owner.memberID(t, members, "Oda")
	for _, res := range []answer{
		owner.form(t, members+"/"+id+"/role", "role", "admin", "reason", "tired"),
		owner.form(t, members+"/"+id+"/remove", "reason", "tired"),
	} {
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "This is the last owner") {
			t.Errorf("the last owner goes: %d", res.StatusCode)
		}
	}
	second := s.person(t, "Ola", acme, member.Owner)
	if res := owner.form(t, members+"/"+id+"/remove", "reason", "tired"); res.Header.Get("Location") != "/console" {
		t.Errorf("one of two owners leaves: %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	if res := second.get(t, members); res.StatusCode != http.StatusOK || strings.Contains(res.body, "Oda") {
		t.Errorf("members = %d", res.StatusCode)
	}
}

func TestPersonWhoIsGone(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	s.person(t, "Vic", acme, member.Viewer)
	s.exec(t, `UPDATE members SET person_id = $1 WHERE tenant_id = $2 AND role = 'viewer'`, uuid.New(), acme.Tenant())
	if body := owner.get(t, "/console/t/"+slug+"/members").body; !strings.Contains(body, "Removed person") {
		t.Error("who is gone has no name")
	}
}

func TestStaffPage(t *testing.T) {
	s := newSite(t)
	admin := s.person(t, "Sam", s.home, member.StaffAdmin)
	helper := s.person(t, "Sue", s.home, member.StaffSupport)
	if res := admin.get(t, "/console"); res.Header.Get("Location") != "/console/platform" {
		t.Errorf("home leads to %q", res.Header.Get("Location"))
	}
	page := admin.get(t, "/console/platform/members")
	if page.StatusCode != http.StatusOK || !strings.Contains(page.body, "Staff support") || !strings.Contains(page.body, "See the staff") || strings.Contains(page.body, "Create and revoke API keys") {
		t.Errorf("staff = %d", page.StatusCode)
	}
	if res := helper.get(t, "/console/platform/members"); res.StatusCode != http.StatusOK || strings.Contains(res.body, "Invite somebody") {
		t.Errorf("staff for support = %d", res.StatusCode)
	}
	if res := helper.form(t, "/console/platform/invitations", "label", "x", "role", "staff_support"); res.StatusCode != http.StatusForbidden {
		t.Errorf("support invites = %d, want 403", res.StatusCode)
	}
	if res := admin.form(t, "/console/platform/invitations", "label", "x", "role", "owner"); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("an owner of the platform = %d, want 422", res.StatusCode)
	}
	if res := admin.form(t, "/console/platform/invitations", "label", "x", "role", "staff_support"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("an admin invites = %d, want 303", res.StatusCode)
	}
	revoke := regexp.MustCompile(`/console/platform/invitations/[0-9a-f-]{36}/revoke`).FindString(admin.get(t, "/console/platform/members").body)
	if res := helper.form(t, revoke); res.StatusCode != http.StatusForbidden {
		t.Errorf("support takes an invitation back = %d, want 403", res.StatusCode)
	}
	if res := admin.form(t, revoke); res.StatusCode != http.StatusSeeOther || strings.Contains(admin.get(t, "/console/platform/members").body, revoke) {
		t.Errorf("an admin takes an invitation back = %d, want 303", res.StatusCode)
	}
	one := "/console/platform/members/" + admin.memberID(t, "/console/platform/members", "Sue")
	if res := helper.form(t, one+"/role", "role", "staff_admin", "reason", "I want to"); res.StatusCode != http.StatusForbidden {
		t.Errorf("support makes itself admin = %d, want 403", res.StatusCode)
	}
	if res := admin.form(t, one+"/role", "role", "staff_admin", "reason", "she runs it with me"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("another role = %d, want 303", res.StatusCode)
	}
	if res := admin.form(t, one+"/remove", "confirm", "Sue", "reason", "she left"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("remove = %d, want 303", res.StatusCode)
	}
	if res := helper.get(t, "/console/platform/members"); res.StatusCode != http.StatusNotFound {
		t.Errorf("who was removed sees the staff: %d, want 404", res.StatusCode)
	}
}

// The list says when somebody was here last and how many passkeys they have, on the page and
// in its files, which go to who may read it and to nobody else.
func TestMembersPresence(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	_, foreign := s.tenant(t)
	s.person(t, "=Oda", acme, member.Owner)
	s.exec(t, `UPDATE console_sessions SET last_seen_at = last_seen_at - interval '3 hours' WHERE tenant_id = $1`, s.home.Tenant())
	vic := s.person(t, "Vic", acme, member.Viewer)
	page := vic.get(t, "/console/t/"+slug+"/members").body
	for _, want := range []string{">Last seen<", ">3 h ago<", `<td class="num opt">1</td>`, `members/export?format=json`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s:\n%s", want, page)
		}
	}
	file := vic.get(t, "/console/t/"+slug+"/members/export").body
	if lines := strings.Split(strings.TrimSpace(file), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "id,personId,name,role,lastSeenAt,passkeys") ||
		!strings.Contains(lines[1], ",'=Oda,owner,20") || !strings.Contains(lines[1], "Z,1,") {
		t.Errorf("CSV:\n%s", file)
	}
	if res := vic.get(t, "/console/t/"+foreign+"/members/export"); res.StatusCode != http.StatusNotFound {
		t.Errorf("another tenant's = %d, want 404", res.StatusCode)
	}
}
