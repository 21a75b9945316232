package console_test

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/tenancy/dashboard"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// timelineDot is how a line of a timeline looks: its class, and its icon.
var timelineDot = regexp.MustCompile(`class="(dot[^"]*)" aria-hidden="true">\s*<svg[^>]*>\s*<use href="[^"#]*#([a-z0-9]+)"`)

// What was done to an object is told on its page, to whose role reads the audit log. To the
// others the tab is not there, and its address refuses them.
func TestActivity(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	globex, elsewhere := s.tenant(t)
	owner, viewer := s.person(t, "Oda", acme, member.Owner), s.person(t, "Vera", acme, member.Viewer)
	auditor := s.person(t, "Aud", acme, member.Auditor)
	stranger := s.person(t, "Olga", globex, member.Owner)
	base := "/console/t/" + slug

	ivo := s.customer(t, acme, "ivo-1", "Ivo")
	key, _ := s.passkey(t, acme, ivo)
	keyID, err := credential.ParseID(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.users.Block(t.Context(), acme, user.BlockRequest{ID: ivo.ID, Reason: "stolen <phone>"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.credentials.Suspend(t.Context(), acme, credential.StateRequest{ID: keyID, Reason: "left in a taxi"}); err != nil {
		t.Fatal(err)
	}
	board, err := s.dashboards.Create(t.Context(), acme, "Morning", []dashboard.Chart{})
	if err != nil {
		t.Fatal(err)
	}
	name := "Acme, renamed"
	if _, err := s.tenants.UpdateSettings(t.Context(), acme, tenant.UpdateSettingsRequest{RPName: &name}); err != nil {
		t.Fatal(err)
	}
	signing, err := s.keys.SigningKeys(t.Context(), acme)
	if err != nil || len(signing) == 0 {
		t.Fatalf("signing keys: %v", err)
	}
	vera := owner.memberID(t, base+"/members", "Vera")
	if res := owner.form(t, base+"/members/"+vera+"/role", "role", "support", "reason", "Mondays"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("change of role = %d", res.StatusCode)
	}
	if res := owner.form(t, base+"/members/"+vera+"/role", "role", "viewer", "reason", "Mondays are over"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("change of role = %d", res.StatusCode)
	}
	if res := owner.form(t, base+"/policies/activate", "from", "json", "base", "1", "document", `{"accessTokenSeconds": 300}`, "reason", "shorter tokens"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("activate = %d %s", res.StatusCode, res.body)
	}

	for _, tt := range []struct {
		path  string
		wants []string
		nots  []string
		gone  bool // has an id, so that it is nobody else's
	}{
		{path: "/users/" + ivo.ID.String(), wants: []string{"Blocked", "dot bad#ban", "stolen &lt;phone&gt;"}, nots: []string{"left in a taxi"}, gone: true},
		{path: "/credentials/" + key, wants: []string{"Suspended", "dot warn#pause", "left in a taxi"}, nots: []string{"stolen"}, gone: true},
		{path: "/dashboards/" + board.ID.String(), wants: []string{"Created"}, gone: true},
		{path: "/members/" + vera, wants: []string{"Changed", "role: viewer → support", "Mondays are over", "Oda"}, gone: true},
		{path: "/signing-keys/" + signing[0].KID, wants: []string{"Created", "dot ok#plus"}, gone: true},
		{path: "/relying-party", wants: []string{"Settings changed", "Acme, renamed"}, nots: []string{"shorter tokens"}},
		{path: "/policies", wants: []string{"Policy changed", "dot info#shield", "shorter tokens"}, nots: []string{"Acme, renamed"}},
	} {
		t.Run(strings.Split(tt.path, "/")[1], func(t *testing.T) {
			at := base + tt.path + "/activity"
			for _, who := range []*browser{owner, auditor} {
				res := who.get(t, at)
				if res.StatusCode != http.StatusOK {
					t.Fatalf("%s: %d", who.name, res.StatusCode)
				}
				said := res.body + timelineDot.ReplaceAllString(strings.Join(timelineDot.FindAllString(res.body, -1), " "), "$1#$2")
				for _, want := range tt.wants {
					if !strings.Contains(said, want) {
						t.Errorf("%s does not read %q:\n%s", who.name, want, res.body)
					}
				}
				for _, not := range tt.nots {
					if strings.Contains(res.body, not) {
						t.Errorf("%s reads %q, which is about something else", who.name, not)
					}
				}
			}
			if res := owner.get(t, base+tt.path); !strings.Contains(res.body, `href="`+at+`"`) {
				t.Error("the object's page has no Activity tab")
			}
			if res := viewer.get(t, at); res.StatusCode != http.StatusForbidden || strings.Contains(res.body, tt.wants[0]+"</") {
				t.Errorf("who may not read the audit log: %d", res.StatusCode)
			}
			if res := viewer.get(t, base+tt.path); strings.Contains(res.body, tt.path+"/activity") {
				t.Error("who may not read the audit log sees the tab")
			}
			if res := stranger.get(t, at); res.StatusCode != http.StatusNotFound {
				t.Errorf("of another tenant: %d, want 404", res.StatusCode)
			}
			if res := stranger.get(t, "/console/t/"+elsewhere+tt.path+"/activity"); tt.gone && res.StatusCode != http.StatusNotFound {
				t.Errorf("in another tenant: %d, want 404", res.StatusCode)
			}
		})
	}
	for who, sees := range map[*browser]bool{owner: true, auditor: true, viewer: false} {
		if body := who.get(t, base+"/users/"+ivo.ID.String()).body; strings.Contains(body, "stolen &lt;phone&gt;") != sees || strings.Contains(body, "left in a taxi") || !strings.Contains(body, "None signs in while the user is blocked") {
			t.Errorf("%s reads what happened to a user beside the rest: want %t", who.name, sees)
		}
	}
	if res := auditor.get(t, base+"/members/"+vera); res.StatusCode != http.StatusForbidden {
		t.Errorf("the auditor's page on which a member is changed = %d, want 403", res.StatusCode)
	}
	if res := auditor.get(t, base+"/members"); !strings.Contains(res.body, "/members/"+vera+"/activity") {
		t.Error("the auditor is not led to a member's activity")
	}
}

// More than fits a page goes on with older entries, and comes to an end.
func TestActivityPages(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	ivo := s.customer(t, acme, "ivo-1", "Ivo")
	for i := range 70 {
		do := func() error {
			_, err := s.users.Block(t.Context(), acme, user.BlockRequest{ID: ivo.ID, Reason: "a drill"})
			return err
		}
		if i%2 == 1 {
			do = func() error {
				_, err := s.users.Unblock(t.Context(), acme, user.BlockRequest{ID: ivo.ID, Reason: "a drill"})
				return err
			}
		}
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	first := owner.get(t, "/console/t/"+slug+"/users/"+ivo.ID.String()+"/activity").body
	older := link(first, "Older")
	if older == "" || strings.Count(first, "a drill") != 50 {
		t.Fatalf("%d entries, and older ones at %q", strings.Count(first, "a drill"), older)
	}
	second := owner.get(t, older).body
	if n := strings.Count(second, "a drill"); n != 20 || link(second, "Older") != "" {
		t.Errorf("then %d entries, and older ones at %q", n, link(second, "Older"))
	}
}

// link is where the link of a label leads; empty for none.
func link(body, label string) string {
	found := regexp.MustCompile(`href="([^"]*)"[^>]*>(?:\s*<svg.*?</svg>)?\s*` + regexp.QuoteMeta(label)).FindStringSubmatch(body)
	if found == nil {
		return ""
	}
	return html.UnescapeString(found[1])
}
