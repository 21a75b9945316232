package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/mds/mdstest"
	"github.com/biocore-id/biocore/tenancy/member"
)

var (
	passkeyLink = regexp.MustCompile(`/console/account/passkeys/([\w-]{20,})"`)
	sessionForm = regexp.MustCompile(`/console/account/sessions/([0-9a-f-]{36})/end`)
)

func TestOwnPasskeys(t *testing.T) {
	s := newSite(t)
	acme, _ := s.tenant(t)
	ana := s.person(t, "Ana", acme, member.Viewer)
	eve := s.person(t, "Eve", acme, member.Viewer)
	page := ana.get(t, "/console/account")
	if !strings.Contains(page.body, "<title>Account · Biocore</title>") {
		t.Error("the browser calls the page something else")
	}
	first := passkeyLink.FindStringSubmatch(page.body)
	if page.StatusCode != http.StatusOK || first == nil || !strings.Contains(page.body, "This is your only passkey") {
		t.Fatalf("account = %d", page.StatusCode)
	}
	at := "/console/account/passkeys/" + first[1]
	if res := ana.form(t, at+"/remove", "reason", "lost"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "This is your only passkey") {
		t.Errorf("removing the last = %d, want 422", res.StatusCode)
	}
	for _, res := range []answer{eve.get(t, at), eve.form(t, at+"/rename", "nickname", "mine"), eve.form(t, at+"/remove", "reason", "x")} {
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("another's passkey = %d, want 404", res.StatusCode)
		}
	}
	if res := ana.form(t, at+"/rename", "nickname", " "); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("no name = %d, want 422", res.StatusCode)
	}
	if res := ana.form(t, at+"/rename", "nickname", "Work laptop"); res.StatusCode != http.StatusSeeOther || !strings.Contains(ana.get(t, "/console/account").body, "Work laptop") {
		t.Errorf("rename = %d", res.StatusCode)
	}
	own := ana.device
	model := uuid.New()
	s.metadata = mdstest.New(t).Snapshot(t, mdstest.BLOB{Entries: []mdstest.Entry{{AAGUID: model, Name: "Blue Key 5", Icon: mdstest.Icon(t)}}})
	key, err := authenticatortest.New(authenticatortest.Options{CrossPlatform: true, AAGUID: model})
	if err != nil {
		t.Fatal(err)
	}
	ana.device = key
	if made := ana.create(t, "/console/account/passkeys", object{}, object{}); made.Next != "/console/account" {
		t.Fatalf("add = %+v", made)
	}
	if body := ana.get(t, "/console/account").body; !strings.Contains(body, "Passkey added") || !strings.Contains(body, "2 passkeys") {
		t.Error("the account does not show two")
	} else if !strings.Contains(body, "Blue Key 5") || strings.Count(body, `src="/authenticators/`+model.String()+`/icon"`) != 1 {
		t.Error("the model's name and icon are not shown")
	}
	ana.device = own
	s.grow(t)
	if res := ana.form(t, at+"/remove", "reason", "lost"); res.StatusCode != http.StatusForbidden {
		t.Errorf("without a fresh passkey = %d, want 403", res.StatusCode)
	}
	if up := ana.use(t, "/console/stepup", ""); up.status != http.StatusOK {
		t.Fatalf("step-up = %+v", up)
	}
	if res := ana.form(t, at+"/remove", "reason", ""); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("without a reason = %d, want 422", res.StatusCode)
	}
	ana.device = key
	ana.signIn(t) // with the one that stays
	if res := ana.form(t, at+"/remove", "reason", "lost"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("remove = %d, want 303", res.StatusCode)
	}
	if body := ana.get(t, "/console/account").body; strings.Contains(body, "Work laptop") || !strings.Contains(body, "Passkey removed") {
		t.Error("it is still there")
	}
}

func TestOwnSessions(t *testing.T) {
	s := newSite(t)
	acme, _ := s.tenant(t)
	ana := s.person(t, "Ana", acme, member.Viewer)
	eve := s.person(t, "Eve", acme, member.Viewer)
	elsewhere := s.browser(t, "Ana")
	elsewhere.device = ana.device
	elsewhere.signIn(t)
	third := s.browser(t, "Ana")
	third.device = ana.device
	third.signIn(t)

	silent := s.browser(t, "Ana")
	silent.device = ana.device
	silent.signIn(t)
	s.exec(t, `UPDATE console_sessions SET last_seen_at = last_seen_at - interval '61 minutes' WHERE id = (SELECT max(id::text)::uuid FROM console_sessions)`)
	if res := silent.get(t, "/console/account"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("a browser that was silent for an hour = %d, want 303 to the sign-in", res.StatusCode)
	}

	// Neither the silent one nor this one is there to be ended.
	found := sessionForm.FindAllStringSubmatch(ana.get(t, "/console/account").body, -1)
	if len(found) != 2 {
		t.Fatalf("%d other sessions, want 2", len(found))
	}
	if res := eve.form(t, "/console/account/sessions/"+found[0][1]+"/end"); res.StatusCode != http.StatusNotFound {
		t.Errorf("another's session = %d, want 404", res.StatusCode)
	}
	if res := ana.form(t, "/console/account/sessions/"+found[0][1]+"/end"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("end = %d", res.StatusCode)
	}
	if res := third.get(t, "/console/account"); res.StatusCode != http.StatusSeeOther { // the newest is listed first
		t.Errorf("the ended browser = %d, want 303 to the sign-in", res.StatusCode)
	}
	if res := ana.form(t, "/console/account/sessions/end-others"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("end others = %d", res.StatusCode)
	}
	if res := elsewhere.get(t, "/console/account"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("the other browser = %d, want 303 to the sign-in", res.StatusCode)
	}
	if res := ana.get(t, "/console/account"); res.StatusCode != http.StatusOK {
		t.Errorf("this browser = %d", res.StatusCode)
	}
	if res := eve.get(t, "/console/account"); res.StatusCode != http.StatusOK {
		t.Errorf("somebody else's browser = %d", res.StatusCode)
	}
}

// Where somebody's mail goes is theirs to say, with a fresh passkey: who holds an open browser must not lead it elsewhere.
func TestAddressOfOnesOwn(t *testing.T) {
	s := newSite(t)
	acme, _ := s.tenant(t)
	ana := s.person(t, "Ana", acme, member.Owner)
	if res := ana.form(t, "/console/account/address", "email", "no address"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `value="no address"`) {
		t.Errorf("no address = %d", res.StatusCode)
	}
	if res := ana.form(t, "/console/account/address", "email", "ana@bank.example"); res.StatusCode != http.StatusSeeOther || !strings.Contains(ana.get(t, "/console/account").body, "ana@bank.example") {
		t.Errorf("an address = %d", res.StatusCode)
	}
	s.grow(t)
	if res := ana.form(t, "/console/account/address", "email", "eve@elsewhere.example"); res.StatusCode != http.StatusForbidden {
		t.Errorf("without a fresh passkey = %d", res.StatusCode)
	}
}
