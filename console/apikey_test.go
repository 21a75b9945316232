package console_test

import (
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/member"
)

// post sends a form in which names may stand more than once.
func (b *browser) post(t *testing.T, path string, form url.Values) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.URL.Host = ""
	return b.send(t, r)
}

var plainKey = regexp.MustCompile(`(bk|pk)_test_[0-9A-Za-z]{33}_[0-9A-Za-z]{49}`)

func TestAPIKeyPages(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	page := "/console/t/" + slug + "/apikeys"
	if body := owner.get(t, page).body; !strings.Contains(body, "No API keys yet") || !strings.Contains(body, "curl -H") {
		t.Error("an empty list gives no next step")
	}
	made := owner.post(t, page, url.Values{
		"name": {"=cmd|checkout<b>"}, "kind": {"SECRET"}, "scopes": {"users:read", "authentications"}, "networks": {"192.0.2.0/24\n2001:db8::/32"}, "expires": {"90"}, "reason": {"new shop"},
	})
	plain := plainKey.FindString(made.body)
	if made.StatusCode != http.StatusOK || plain == "" || strings.Contains(made.body, "checkout<b>") {
		t.Fatalf("create = %d", made.StatusCode)
	}
	caller, err := s.apiKeys.Authenticate(t.Context(), plain, netip.MustParseAddr("192.0.2.7"))
	if err != nil || !slices.Equal(caller.Scopes, []string{"users:read", "authentications"}) || caller.ExpiresAt == nil || len(caller.AllowedCIDRs) != 2 {
		t.Fatalf("the key: %+v, %v", caller, err)
	}
	list := owner.get(t, page)
	if strings.Contains(list.body, plain) || !strings.Contains(list.body, "Oda") || strings.Contains(list.body, "checkout<b>") {
		t.Error("the list shows the key, or not who made it")
	}
	if csv := owner.get(t, page+"/export?format=csv").body; !strings.Contains(csv, "'=cmd|checkout") || strings.Contains(csv, plain) {
		t.Errorf("CSV = %q", csv)
	}
	if body := owner.get(t, page+"?state=LOCKED").body; !strings.Contains(body, "No keys found") {
		t.Error("a filter that leaves nothing says nothing")
	}
	one := page + "/" + caller.ID.String()
	if res := owner.form(t, one+"/lock", "reason", "seen in a log"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("lock = %d", res.StatusCode)
	}
	if _, err := s.apiKeys.Authenticate(t.Context(), plain, netip.MustParseAddr("192.0.2.7")); err == nil {
		t.Error("a locked key works")
	}
	if res := owner.form(t, one+"/unlock", "reason", "false alarm"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("unlock = %d", res.StatusCode)
	}
	rotated := owner.form(t, one+"/rotate", "overlap", "24", "expires", "same", "reason", "yearly")
	next := plainKey.FindString(rotated.body)
	if rotated.StatusCode != http.StatusOK || next == "" || next == plain || !strings.Contains(rotated.body, "The old key ends in 1 day") {
		t.Errorf("rotate = %d", rotated.StatusCode)
	}
	if body := owner.get(t, one).body; !strings.Contains(body, "Retiring") || strings.Contains(body, "and rotate") {
		t.Error("the old key's page does not say that it was rotated")
	}
	if body := owner.get(t, one+"/activity").body; !strings.Contains(body, "seen in a log") || !strings.Contains(body, "Rotate") || !strings.Contains(body, "Oda") {
		t.Error("the activity lacks what was done")
	}
	if res := owner.form(t, one+"/revoke", "confirm", "checkout", "reason", "over"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "The name does not match") && !strings.Contains(res.body, "Type it as it stands there") || !strings.Contains(res.body, `value="over"`) {
		t.Errorf("revoke with another name = %d", res.StatusCode)
	}
	if res := owner.form(t, one+"/revoke", "confirm", "=cmd|checkout<b>", "reason", "over"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("revoke = %d", res.StatusCode)
	}
	for _, action := range []string{"apikey.lock", "apikey.unlock", "apikey.rotate", "apikey.revoke"} {
		if n := s.store.AuditCount(t, acme, action); n != 1 {
			t.Errorf("%d entries %s, want 1", n, action)
		}
	}
}

func TestAPIKeyFormKeepsWhatWasTyped(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	page := "/console/t/" + slug + "/apikeys"
	good := url.Values{"name": {"shop"}, "kind": {"SECRET"}, "scopes": {"users:read"}, "networks": {""}, "expires": {"90"}, "reason": {"why"}}
	for name, tt := range map[string]struct{ field, value, says string }{
		"no name":         {"name", "", "In 1 to 64 characters"},
		"no scopes":       {"scopes", "", "has at least one"},
		"a wrong network": {"networks", "192.0.2.0/24 office", "A network cannot be read"},
		"a wrong end":     {"expires", "soon", "Choose an end"},
		"no reason":       {"reason", "", "it stands in the audit log"},
		"a wrong kind":    {"kind", "PLATFORM", "Choose a kind"},
	} {
		form := url.Values{}
		maps.Copy(form, good)
		form.Set(tt.field, tt.value)
		if tt.field == "scopes" {
			form.Del("scopes")
		}
		res := owner.post(t, page, form)
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, tt.says) {
			t.Errorf("%s: %d, says %q: %v", name, res.StatusCode, tt.says, strings.Contains(res.body, tt.says))
		}
		if tt.field != "name" && !strings.Contains(res.body, `value="shop"`) || tt.field == "networks" && !strings.Contains(res.body, "192.0.2.0/24 office") {
			t.Errorf("%s: what was typed is gone", name)
		}
	}
	if n := s.store.AuditCount(t, acme, "apikey.create"); n != 0 {
		t.Errorf("refused forms made %d keys", n)
	}
	s.grow(t)
	if res := owner.post(t, page, good); res.StatusCode != http.StatusForbidden || plainKey.MatchString(res.body) {
		t.Errorf("without a fresh passkey = %d", res.StatusCode)
	}
}

// A key never may more than who makes or rotates it, whatever the form says: drop Within in
// makeAPIKey or doRotate and this turns red.
func TestAPIKeysAreBoundedByTheRole(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	_, foreign := s.tenant(t)
	page := "/console/t/" + slug + "/apikeys"
	form := func(scopes ...string) url.Values {
		return url.Values{"name": {"k"}, "kind": {"SECRET"}, "scopes": scopes, "expires": {"90"}, "reason": {"why"}}
	}
	dev, owner, auditor := s.person(t, "Dev", acme, member.Developer), s.person(t, "Oda", acme, member.Owner), s.person(t, "Aud", acme, member.Auditor)
	for _, scope := range []string{"*", "admin:*", "users", "users:write", "admin:policy:write"} {
		if res := dev.post(t, page, form(scope)); res.StatusCode != http.StatusForbidden || plainKey.MatchString(res.body) {
			t.Errorf("a developer makes a key with %s = %d", scope, res.StatusCode)
		}
	}
	if res := dev.post(t, page, form("users:read", "registrations")); res.StatusCode != http.StatusOK {
		t.Errorf("a developer makes a key within the role = %d", res.StatusCode)
	}
	mighty, err := s.apiKeys.Create(t.Context(), acme, apikey.CreateRequest{Kind: apikey.Secret, Name: "mighty", Scopes: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	one := page + "/" + mighty.ID.String()
	if res := dev.form(t, one+"/rotate", "overlap", "24", "expires", "same", "reason", "mine now"); res.StatusCode != http.StatusForbidden || plainKey.MatchString(res.body) {
		t.Errorf("a developer rotates a mightier key = %d", res.StatusCode)
	}
	if body := dev.get(t, one).body; strings.Contains(body, "and rotate") || !strings.Contains(body, "It may do more than your role") {
		t.Error("a developer is offered to rotate a mightier key")
	}
	// Who made a key as an owner and is a developer now does not renew it.
	if res := owner.post(t, page, form("*")); res.StatusCode != http.StatusOK {
		t.Fatalf("an owner makes a key with * = %d", res.StatusCode)
	}
	for _, res := range []answer{
		auditor.post(t, page, form("users:read")), auditor.get(t, page+"/new"), auditor.form(t, one+"/rotate"), auditor.form(t, one+"/lock"), auditor.form(t, one+"/unlock"), auditor.form(t, one+"/revoke"),
	} {
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("an auditor = %d, want 403", res.StatusCode)
		}
	}
	if body := auditor.get(t, one).body; strings.Contains(body, "Confirm with passkey") {
		t.Error("an auditor sees buttons")
	}
	other := s.person(t, "Eve", scopeOf(t, s, foreign), member.Owner)
	for _, res := range []answer{
		other.get(t, "/console/t/"+foreign+"/apikeys/"+mighty.ID.String()), other.form(t, "/console/t/"+foreign+"/apikeys/"+mighty.ID.String()+"/revoke", "confirm", "mighty", "reason", "x"), other.get(t, page),
	} {
		if res.StatusCode != http.StatusNotFound || strings.Contains(res.body, "mighty") {
			t.Errorf("another tenant's owner = %d, want 404", res.StatusCode)
		}
	}
}
