package console_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

var all = listing.Request{PageSize: listing.MaxPageSize}

// customer adds a user of a tenant.
func (s *site) customer(t *testing.T, sc scope.Scope, external, name string) user.User {
	t.Helper()
	u, err := s.users.Create(t.Context(), sc, user.Profile{ExternalID: external, Name: external + "@example.com", DisplayName: name}, user.Contact{})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// passkey gives a user one, with a session that it opened, and returns their ids.
func (s *site) passkey(t *testing.T, sc scope.Scope, u user.User) (key, session string) {
	t.Helper()
	id, opened := uuid.New(), uuid.Must(uuid.NewV7())
	err := s.store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		row, err := tx.InsertCredential(t.Context(), tenantq.InsertCredentialParams{
			ID: id[:], UserID: u.ID.UUID(), PublicKey: []byte{1}, Algorithm: -7, AttestationFormat: "none", AttestationType: "NONE",
			Transports: []string{"usb"}, RegisteredVia: "SERVER_KEY", Trust: "NONE", Extensions: "{}", Now: tx.Now(),
		})
		if err != nil {
			return err
		}
		return tx.InsertSession(t.Context(), tenantq.InsertSessionParams{
			ID: opened, UserID: u.ID.UUID(), CredentialID: row.ID, Aal: 2, UserVerified: true,
			UserAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) Safari/605", CreatedAt: tx.Now(), ExpiresAt: tx.Now().Add(time.Hour),
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.credentials.ListOfUser(t.Context(), sc, u.ID, all)
	if err != nil {
		t.Fatal(err)
	}
	return keys.Items[0].ID.String(), opened.String()
}

// Who may see and do what: a button that is not shown is refused besides, and a foreign
// tenant's users do not exist.
func TestUserRoles(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	globex, _ := s.tenant(t)
	base := "/console/t/" + slug
	ada := s.customer(t, acme, "cust_1", "Ada Lovelace")
	key, opened := s.passkey(t, acme, ada)
	theirs := s.customer(t, globex, "cust_1", "Somebody Else")
	theirKey, theirSession := s.passkey(t, globex, theirs)
	at := base + "/users/" + ada.ID.String()
	for _, role := range member.Roles() {
		t.Run(string(role), func(t *testing.T) {
			b := s.person(t, "Somebody", acme, role)
			writes := role == member.Owner || role == member.Admin || role == member.Security || role == member.Support
			page := b.get(t, at)
			if page.StatusCode != http.StatusOK || !strings.Contains(page.body, "Ada Lovelace") {
				t.Fatalf("user = %d", page.StatusCode)
			}
			for _, act := range []string{"block", "erase", "link", "codes", "sessions"} {
				path := at + "/act/" + act
				if shown := strings.Contains(page.body, path+`"`); shown != writes {
					t.Errorf("sees %s = %t, want %t", act, shown, writes)
				}
				want := http.StatusOK
				if !writes {
					want = http.StatusForbidden
					if res := b.form(t, path, "reason", "x", "confirm", "cust_1"); res.StatusCode != want {
						t.Errorf("POST %s = %d, want %d", act, res.StatusCode, want)
					}
				}
				if res := b.get(t, path); res.StatusCode != want {
					t.Errorf("GET %s = %d, want %d", act, res.StatusCode, want)
				}
			}
			seen := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}
			exports := role == member.Owner || role == member.Admin
			for path, want := range map[string]int{
				base + "/users": http.StatusOK, base + "/users/export": seen[exports], base + "/users/new": seen[writes], at + "/edit": seen[writes],
				base + "/credentials": http.StatusOK, base + "/credentials/" + key: http.StatusOK, base + "/credentials/" + key + "/act/revoke": seen[writes],
				base + "/credentials/export": seen[exports], base + "/sessions": seen[writes], at + "/sessions": seen[writes],
			} {
				if res := b.get(t, path); res.StatusCode != want {
					t.Errorf("GET %s = %d, want %d", path, res.StatusCode, want)
				}
			}
			if res := b.form(t, base+"/sessions/revoke", "id", opened); res.StatusCode != seen[writes] {
				t.Errorf("revoke sessions = %d, want %d", res.StatusCode, seen[writes])
			}
			for _, path := range []string{
				"/users/" + theirs.ID.String(), "/users/" + theirs.ID.String() + "/passkeys", "/credentials/" + theirKey, "/users/none", "/credentials/none",
			} {
				if res := b.get(t, base+path); res.StatusCode != http.StatusNotFound || strings.Contains(res.body, "Somebody Else") {
					t.Errorf("GET %s = %d, want 404", path, res.StatusCode)
				}
			}
			if writes {
				for path, id := range map[string]string{"/bulk/users/block": theirs.ID.String(), "/sessions/revoke": theirSession} {
					if res := b.form(t, base+path, "id", id, "confirmed", "1", "reason", "x"); res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusUnprocessableEntity || strings.Contains(res.body, "Somebody Else") {
						t.Errorf("POST %s with a foreign id = %d", path, res.StatusCode)
					}
				}
			}
		})
	}
	if open, err := s.sessions.List(t.Context(), globex, all); err != nil || len(open.Items) != 1 || open.Items[0].RevokedAt != nil {
		t.Errorf("a foreign session was touched: %+v, %v", open, err)
	}
}

// The list is what the address says, in search, filters, order and export; what nobody fits is
// told by name.
func TestUserList(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	base := "/console/t/" + slug + "/users"
	if page := owner.get(t, base); !strings.Contains(page.body, "Add your first user") || !strings.Contains(page.body, "/v1/users") {
		t.Error("an empty tenant says nothing of the next step")
	}
	ada := s.customer(t, acme, "cust_1", "Ada Lovelace")
	s.passkey(t, acme, ada)
	s.customer(t, acme, "cust_2", "Grace Hopper")
	s.customer(t, acme, "cust_3", "<b>=HYPERLINK(\"http://evil\")</b>")
	eve := s.customer(t, acme, "cust_4", `=cmd|' /C calc'!A0`)
	if _, err := s.users.Block(t.Context(), acme, user.BlockRequest{ID: eve.ID}); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string][]string{
		"":                {"cust_1", "cust_2", "cust_3", "cust_4"},
		"?q=grace":        {"cust_2"},
		"?q=cust_":        {"cust_1", "cust_2", "cust_3", "cust_4"},
		"?state=blocked":  {"cust_4"},
		"?passkey=yes":    {"cust_1"},
		"?seen=7d":        {"cust_1"},
		"?seen=never":     {"cust_2", "cust_3", "cust_4"},
		"?state=nonsense": {"cust_1", "cust_2", "cust_3", "cust_4"},
		"?sort=-signin":   {"cust_1", "cust_2", "cust_3", "cust_4"},
	} {
		page := owner.get(t, base+query)
		if page.StatusCode != http.StatusOK {
			t.Errorf("%s = %d", query, page.StatusCode)
		}
		for _, id := range []string{"cust_1", "cust_2", "cust_3", "cust_4"} {
			shown := strings.Contains(page.body, "<bdi>"+id+"</bdi>")
			if wanted := strings.Contains(strings.Join(want, " "), id); shown != wanted {
				t.Errorf("%s shows %s = %t, want %t", query, id, shown, wanted)
			}
		}
		if strings.Contains(page.body, "<b>=HYPERLINK") {
			t.Errorf("%s shows a name as markup", query)
		}
	}
	if page := owner.get(t, base+"?q=zzzz&state=active"); !strings.Contains(page.body, "“zzzz”, State: Active") {
		t.Error("no results do not name the filters")
	}
	// The first of two pages leads to the second, also where a filter counts from now.
	for range 25 {
		s.customer(t, acme, "more-"+uuid.NewString(), "More")
	}
	page := owner.get(t, base+"?created=1d").body
	next := regexp.MustCompile(`rel="next" href="([^"]+)"`).FindStringSubmatch(page)
	if next == nil {
		t.Fatal("no link to a next page")
	}
	if second := owner.get(t, strings.ReplaceAll(next[1], "&amp;", "&")); second.StatusCode != http.StatusOK || !strings.Contains(second.body, "cust_1") {
		t.Errorf("second page = %d", second.StatusCode)
	}
	file := owner.get(t, base+"/export?q=cust_")
	rows, err := csv.NewReader(strings.NewReader(file.body)).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Fatalf("CSV has %d rows, %v: %s", len(rows), err, file.body)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
				t.Errorf("a cell is a formula: %q", cell)
			}
		}
	}
	if file := owner.get(t, base+"/export?format=json&state=blocked"); !strings.Contains(file.body, `"externalId":"cust_4"`) || strings.Contains(file.body, "cust_1") {
		t.Errorf("JSON as filtered = %s", file.body)
	}
	if found := owner.getJSON(t, "/console/t/"+slug+"/search?q=lovelace"); !strings.Contains(found.body, "/users/"+ada.ID.String()) {
		t.Errorf("the palette does not find users: %s", found.body)
	}
}

// What is typed stays after a refusal, at the field that is wrong.
func TestAddUser(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	base := "/console/t/" + slug + "/users"
	s.customer(t, acme, "taken", "Ada")
	for _, tt := range []struct{ external, name, email, field string }{
		{"", "grace@example.com", "", "externalId"},
		{"taken", "grace@example.com", "", "externalId"},
		{"new", "\u202egrace", "", "name"},
		{"new", "grace@example.com", "nonsense", "email"},
	} {
		res := owner.form(t, base, "externalId", tt.external, "name", tt.name, "displayName", "Grace <i>Hopper</i>", "email", tt.email)
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `id="`+tt.field+`-error"`) {
			t.Errorf("%+v = %d, want 422 at the field", tt, res.StatusCode)
		}
		if !strings.Contains(res.body, `value="Grace &lt;i&gt;Hopper&lt;/i&gt;"`) {
			t.Errorf("%+v: what was typed is gone", tt)
		}
	}
	res := owner.form(t, base, "externalId", "new", "name", "grace@example.com", "displayName", "Grace", "email", "grace@example.com")
	if res.StatusCode != http.StatusSeeOther {
		t.Fatalf("add = %d", res.StatusCode)
	}
	if page := owner.get(t, res.Header.Get("Location")); !strings.Contains(page.body, "User added") || !strings.Contains(page.body, "grace@example.com") {
		t.Error("the new user's page does not say so")
	}
}

// Of two who edit at once the slower is told what changed, and keeps what was typed.
func TestEditConflict(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	ada := s.customer(t, acme, "cust_1", "Ada")
	at := "/console/t/" + slug + "/users/" + ada.ID.String() + "/edit"
	form := []string{"externalId", "cust_1", "name", "ada@example.com", "displayName", "Ada L.", "etag", ada.ETag,
		"wasExternalId", "cust_1", "wasName", "cust_1@example.com", "wasDisplayName", "Ada"}
	other := "Countess of Lovelace"
	if _, err := s.users.Update(t.Context(), acme, user.UpdateRequest{ID: ada.ID, DisplayName: &other}); err != nil {
		t.Fatal(err)
	}
	res := owner.form(t, at, form...)
	if res.StatusCode != http.StatusConflict || !strings.Contains(res.body, "Display name was “Ada” and is now “Countess of Lovelace”") || !strings.Contains(res.body, `value="Ada L."`) {
		t.Fatalf("edit of a changed user = %d", res.StatusCode)
	}
	now, err := s.users.Get(t.Context(), acme, ada.ID)
	if err != nil || now.DisplayName != other {
		t.Fatalf("the conflict wrote %q, %v", now.DisplayName, err)
	}
	form[7] = now.ETag
	if res := owner.form(t, at, form...); res.StatusCode != http.StatusSeeOther {
		t.Errorf("edit anew = %d", res.StatusCode)
	}
	if res := owner.form(t, at, "externalId", "cust_1", "name", "x"); res.StatusCode != http.StatusConflict {
		t.Errorf("edit without having read = %d, want 409", res.StatusCode)
	}
}

// Each act asks for a reason and a fresh passkey, does what it says, and is recorded once;
// what is shown once is shown once.
func TestUserActs(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	ada := s.customer(t, acme, "cust_1", "Ada")
	s.passkey(t, acme, ada)
	at := "/console/t/" + slug + "/users/" + ada.ID.String()
	if res := owner.form(t, at+"/act/block"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `id="act-reason-error"`) {
		t.Errorf("block without a reason = %d", res.StatusCode)
	}
	link := owner.form(t, at+"/act/link", "reason", "new phone")
	if link.StatusCode != http.StatusOK || !strings.Contains(link.body, "Shown once") || !strings.Contains(link.body, "Registration token") {
		t.Errorf("link = %d", link.StatusCode)
	}
	if res := owner.form(t, at+"/act/codes"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `id="act-reason-error"`) {
		t.Errorf("codes without a reason = %d", res.StatusCode)
	}
	codes := owner.form(t, at+"/act/codes", "reason", "asked at the desk")
	if found := regexp.MustCompile(`[0-9A-Z]{4,6}(?:-[0-9A-Z]{4,6})+`).FindAllString(codes.body, -1); codes.StatusCode != http.StatusOK || len(found) < 10 {
		t.Errorf("codes = %d with %d codes", codes.StatusCode, len(found))
	}
	if page := owner.get(t, at); !strings.Contains(page.body, "10 of 10 codes left") {
		t.Error("the page does not say how many codes are left")
	}
	for _, act := range []string{"sessions", "block", "unblock"} {
		if res := owner.form(t, at+"/act/"+act, "reason", "a phone was lost"); res.StatusCode != http.StatusSeeOther {
			t.Errorf("%s = %d", act, res.StatusCode)
		}
	}
	if page := owner.get(t, at+"/sessions"); !strings.Contains(page.body, "None is open") {
		t.Error("sessions are still open")
	}
	if res := owner.form(t, at+"/act/erase", "reason", "asked to be forgotten", "confirm", "cust_"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `id="act-confirm-error"`) {
		t.Errorf("erase with another name = %d", res.StatusCode)
	}
	s.grow(t)
	if res := owner.form(t, at+"/act/erase", "reason", "asked", "confirm", "cust_1"); res.StatusCode != http.StatusForbidden {
		t.Errorf("erase with a stale passkey = %d, want 403", res.StatusCode)
	}
	owner.use(t, "/console/stepup", "")
	if res := owner.form(t, at+"/act/erase", "reason", "asked", "confirm", "cust_1"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("erase = %d", res.StatusCode)
	}
	if res := owner.get(t, at); res.StatusCode != http.StatusNotFound {
		t.Errorf("an erased user's page = %d", res.StatusCode)
	}
	for action, want := range map[string]int64{"recovery.link_create": 1, "recovery.codes_create": 1, "session.revoke_all": 1, "user.block": 1, "user.unblock": 1, "user.delete": 1} {
		if n := s.store.AuditCount(t, acme, action); n != want {
			t.Errorf("%s is recorded %d times, want %d", action, n, want)
		}
	}
}

// Many at once: asked first, then done for each, and a failure of one does not hide.
func TestBulk(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	base := "/console/t/" + slug
	ids := url.Values{}
	sessions := url.Values{}
	for i := range 3 {
		u := s.customer(t, acme, fmt.Sprintf("cust_%d", i), fmt.Sprintf("Number %d", i))
		_, opened := s.passkey(t, acme, u)
		ids.Add("id", u.ID.String())
		sessions.Add("id", opened)
	}
	post := func(path string, values url.Values) answer {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(values.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return owner.send(t, r)
	}
	asked := post(base+"/bulk/users/block", ids)
	if asked.StatusCode != http.StatusOK || !strings.Contains(asked.body, "Number 2 · cust_2") || s.store.AuditCount(t, acme, "user.block") != 0 {
		t.Fatalf("asking first = %d", asked.StatusCode)
	}
	sessions.Set("confirmed", "1")
	if res := post(base+"/sessions/revoke", sessions); res.StatusCode != http.StatusUnprocessableEntity || s.store.AuditCount(t, acme, "session.revoke") != 0 {
		t.Errorf("revoke without a reason = %d", res.StatusCode)
	}
	sessions.Set("reason", "a laptop was stolen")
	if res := post(base+"/sessions/revoke", sessions); res.StatusCode != http.StatusSeeOther || s.store.AuditCount(t, acme, "session.revoke") != 3 {
		t.Errorf("revoke = %d, %d entries", res.StatusCode, s.store.AuditCount(t, acme, "session.revoke"))
	}
	ids.Set("confirmed", "1")
	ids.Set("reason", "a drill")
	if res := post(base+"/bulk/users/link", ids); res.StatusCode != http.StatusOK || strings.Count(res.body, "Registration token of Number") != 3 {
		t.Errorf("links = %d", res.StatusCode)
	}
	if res := post(base+"/bulk/users/block", ids); res.StatusCode != http.StatusSeeOther || s.store.AuditCount(t, acme, "user.block") != 3 {
		t.Errorf("block = %d", res.StatusCode)
	}
	if res := post(base+"/bulk/users/link", ids); res.StatusCode != http.StatusOK || !strings.Contains(res.body, "3 users left as before") {
		t.Errorf("links of blocked users = %d", res.StatusCode)
	}
	if res := post(base+"/bulk/users/erase", ids); res.StatusCode != http.StatusNotFound {
		t.Errorf("erase of many = %d, want 404", res.StatusCode)
	}
}

// A credential's page: its nickname, its states, and that the last one is kept by default.
func TestCredentialActs(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	ada := s.customer(t, acme, "cust_1", "Ada")
	key, _ := s.passkey(t, acme, ada)
	at := "/console/t/" + slug + "/credentials/" + key
	page := owner.get(t, at)
	tag := regexp.MustCompile(`name="etag" value="([^"]+)"`).FindStringSubmatch(page.body)
	if page.StatusCode != http.StatusOK || tag == nil || !strings.Contains(page.body, "No evidence") {
		t.Fatalf("credential = %d", page.StatusCode)
	}
	if res := owner.form(t, at+"/nickname", "nickname", "<i>Blue key</i>", "etag", tag[1]); res.StatusCode != http.StatusSeeOther {
		t.Errorf("nickname = %d", res.StatusCode)
	}
	if res := owner.form(t, at+"/nickname", "nickname", "Mine", "etag", tag[1], "was", ""); res.StatusCode != http.StatusConflict || !strings.Contains(res.body, "and is now “&lt;i&gt;Blue key&lt;/i&gt;”") || !strings.Contains(res.body, `value="Mine"`) {
		t.Errorf("nickname of a changed one = %d", res.StatusCode)
	}
	for _, act := range []string{"suspend", "resume"} {
		if res := owner.form(t, at+"/act/"+act, "reason", "it looked odd"); res.StatusCode != http.StatusSeeOther {
			t.Errorf("%s = %d", act, res.StatusCode)
		}
	}
	res := owner.form(t, at+"/act/revoke", "reason", "lost")
	if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "the user’s last passkey") || !strings.Contains(res.body, `name="last"`) || !strings.Contains(res.body, `value="lost"`) {
		t.Errorf("revoke the last = %d", res.StatusCode)
	}
	if res := owner.form(t, at+"/act/revoke", "reason", "lost", "last", "1"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("revoke the last, as meant = %d", res.StatusCode)
	}
	if page := owner.get(t, "/console/t/"+slug+"/credentials?state=revoked"); !strings.Contains(page.body, "&lt;i&gt;Blue key&lt;/i&gt;") {
		t.Error("the list does not have the revoked one")
	}
	if page := owner.get(t, "/console/t/"+slug+"/credentials?status=reported"); !strings.Contains(page.body, "No credential found") {
		t.Error("without metadata something is reported")
	}
	if res := owner.form(t, at+"/evidence"); res.StatusCode != http.StatusNotFound {
		t.Errorf("evidence that was never kept = %d, want 404", res.StatusCode)
	}
}

// enroll registers a passkey of a user of a tenant's, as their browser would.
func (s *site) enroll(t *testing.T, sc scope.Scope, externalID string) ceremony.Registered {
	t.Helper()
	begun, err := s.ceremonies.BeginRegistration(t.Context(), sc, ceremony.BeginRegistrationRequest{User: &user.Profile{ExternalID: externalID, Name: externalID}})
	if err != nil {
		t.Fatal(err)
	}
	options, err := json.Marshal(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	made, err := s.browser(t, externalID).device.Create(options, publicURL)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	response, err := webauthn.ParseRegistrationResponse(raw)
	if err != nil {
		t.Fatal(err)
	}
	done, err := s.ceremonies.FinishRegistration(t.Context(), sc, ceremony.FinishRegistrationRequest{ID: begun.ID, Response: response})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// What was kept of a registration is handed out as a file, which leaves a trace.
func TestEvidenceOfAPasskey(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	_, foreign := s.tenant(t)
	auditor, viewer := s.person(t, "Ari", acme, member.Auditor), s.person(t, "Vic", acme, member.Viewer)
	done := s.enroll(t, acme, "alice")
	at := "/credentials/" + done.Credential.ID.String() + "/evidence"
	res := auditor.form(t, "/console/t/"+slug+at)
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment;") || !strings.Contains(res.body, "attestationObject") {
		t.Errorf("download = %d, %.200s", res.StatusCode, res.body)
	}
	if n := s.store.AuditCount(t, acme, "evidence.download"); n != 1 {
		t.Errorf("%d entries evidence.download, want 1", n)
	}
	if res := viewer.form(t, "/console/t/"+slug+at); res.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer's download = %d, want 403", res.StatusCode)
	}
	if res := auditor.form(t, "/console/t/"+foreign+at); res.StatusCode != http.StatusNotFound {
		t.Errorf("by another tenant = %d, want 404", res.StatusCode)
	}
}

// Sessions show where their addresses are: in the list, on the user's page and in what is exported. What is not known is
// not made up, and an erased user has no session to show.
func TestSessionPlaces(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	base := "/console/t/" + slug
	ada, bob := s.customer(t, acme, "cust_1", "Ada Lovelace"), s.customer(t, acme, "cust_2", "Bob Harris")
	_, known := s.passkey(t, acme, ada)
	_, private := s.passkey(t, acme, bob)
	s.exec(t, "UPDATE sessions SET address = '192.0.2.7' WHERE id = $1", known)
	s.exec(t, "UPDATE sessions SET address = '10.0.0.7' WHERE id = $1", private)
	b := s.person(t, "Somebody", acme, member.Owner)
	const place = "Portugal, Example Telecom (AS64496)"
	for _, path := range []string{base + "/sessions", base + "/users/" + ada.ID.String() + "/sessions"} {
		if page := b.get(t, path); page.StatusCode != http.StatusOK || strings.Count(page.body, place) != 2 { // in its column, and where there is no room for one
			t.Errorf("%s = %d, and shows %d times where the session is", path, page.StatusCode, strings.Count(page.body, place))
		}
	}
	if page := b.get(t, base+"/users/"+bob.ID.String()+"/sessions"); !strings.Contains(page.body, "10.0.0.7") || strings.Contains(page.body, "Portugal") || strings.Contains(page.body, "AS0") {
		t.Error("a private address is somewhere")
	}
	file := b.get(t, base+"/sessions/export")
	for _, want := range []string{"address,country,asn,network,userAgent", "192.0.2.7,PT,64496,Example Telecom,", "10.0.0.7,,,,"} {
		if !strings.Contains(file.body, want) {
			t.Errorf("the export lacks %q:\n%s", want, file.body)
		}
	}
	if _, err := s.users.Delete(t.Context(), acme, user.DeleteRequest{ID: ada.ID, Reason: "asked for"}); err != nil {
		t.Fatal(err)
	}
	if page := b.get(t, base+"/sessions"); strings.Contains(page.body, "Portugal") || strings.Contains(page.body, "192.0.2.7") {
		t.Error("an erased user's session is shown")
	}
}
