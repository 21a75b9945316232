package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// scopeOf is a tenant by its slug.
func scopeOf(t *testing.T, s *site, slug string) scope.Scope {
	t.Helper()
	id, err := s.tenants.Resolve(t.Context(), slug, noAddress)
	if err != nil {
		t.Fatal(err)
	}
	return scope.New(id, s.home.Actor())
}

func TestSigningKeyPages(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	theirs, foreign := s.tenant(t)
	security, auditor, viewer := s.person(t, "Sec", acme, member.Security), s.person(t, "Aud", acme, member.Auditor), s.person(t, "Vic", acme, member.Viewer)
	page := "/console/t/" + slug + "/signing-keys"
	list := func() []keys.SigningKey {
		t.Helper()
		all, err := s.keys.SigningKeys(t.Context(), acme)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	first := list()[0]
	if body := security.get(t, page).body; !strings.Contains(body, first.KID) || !strings.Contains(body, publicURL+"/t/"+slug+"/.well-known/jwks.json") || !strings.Contains(body, "Active") {
		t.Error("the list lacks the key or the key set's address")
	}
	if res := security.form(t, page+"/rotate", "reason", ""); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "it stands in the audit log") {
		t.Errorf("rotate without a reason = %d", res.StatusCode)
	}
	if res := security.form(t, page+"/rotate", "algorithm", "RS256", "reason", "yearly"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("rotate = %d", res.StatusCode)
	}
	if all := list(); len(all) != 2 || all[0].State != keys.Pending || all[0].Algorithm != "RS256" {
		t.Fatalf("keys after a rotation: %+v", all)
	}
	if res := security.form(t, page+"/rotate", "reason", "again"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "A new key is published already") {
		t.Errorf("a second rotation = %d", res.StatusCode)
	}
	one := page + "/" + first.KID
	if res := security.form(t, one+"/revoke", "confirm", "no", "reason", "leaked"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `value="leaked"`) {
		t.Errorf("revoke without the kid = %d", res.StatusCode)
	}
	for _, res := range []answer{auditor.form(t, page+"/rotate", "reason", "x"), auditor.form(t, one+"/revoke", "confirm", first.KID, "reason", "x"), viewer.get(t, page)} {
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("a role that may not = %d, want 403", res.StatusCode)
		}
	}
	if body := auditor.get(t, one).body; strings.Contains(body, "Confirm with passkey") {
		t.Error("an auditor sees buttons")
	}
	other, err := s.keys.SigningKeys(t.Context(), theirs)
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range []answer{security.get(t, page+"/"+other[0].KID), security.form(t, page+"/"+other[0].KID+"/revoke", "confirm", other[0].KID, "reason", "x"), security.get(t, "/console/t/"+foreign+"/signing-keys")} {
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("another tenant's key = %d, want 404", res.StatusCode)
		}
	}
	s.grow(t)
	if res := security.form(t, one+"/revoke", "confirm", first.KID, "reason", "leaked"); res.StatusCode != http.StatusForbidden || !strings.Contains(res.body, "Your passkey is needed first") {
		t.Errorf("stale = %d", res.StatusCode)
	}
	if up := security.use(t, "/console/stepup", ""); up.status != http.StatusOK {
		t.Fatal(up)
	}
	if res := security.form(t, one+"/revoke", "confirm", first.KID, "reason", "leaked"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("revoke = %d", res.StatusCode)
	}
	if all := list(); all[0].State != keys.Active || all[1].State != keys.Revoked {
		t.Errorf("keys after the revocation: %+v", all)
	}
}

// The decoder's field has no name and stands in no form: without its script, too, the token
// goes nowhere.
func TestDecoderSendsNothing(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	body := s.person(t, "Dev", acme, member.Developer).get(t, "/console/t/"+slug+"/signing-keys/decoder").body
	_, main, _ := strings.Cut(body, `id="decoder"`)
	main, _, _ = strings.Cut(main, "</main>")
	if strings.Contains(main, "<form") || strings.Contains(main, "name=") || !strings.Contains(main, `id="token"`) || !strings.Contains(body, `data-jwks="/t/`+slug+`/.well-known/jwks.json"`) {
		t.Errorf("the decoder's page:\n%s", main)
	}
}
