package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/tenancy/member"
)

// An admin hands a user's data out, with a fresh passkey and a reason; nobody else does.
func TestExportAUsersData(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	other, foreign := s.tenant(t)
	admin, helper, stranger := s.person(t, "Ada", acme, member.Admin), s.person(t, "Sup", acme, member.Support), s.person(t, "Eve", other, member.Owner)
	u := s.customer(t, acme, "alice", "alice@example.com")
	s.customer(t, acme, "bob", "bob@example.com")
	page := "/console/t/" + slug + "/users/" + u.ID.String()
	at := page + "/export"

	if body := admin.get(t, page).body; !strings.Contains(body, `href="`+at+`"`) {
		t.Error("an admin is not offered it")
	}
	if body := helper.get(t, page).body; strings.Contains(body, at) {
		t.Error("support is offered it")
	}
	if body := admin.get(t, at).body; !strings.Contains(body, "data-file") || !strings.Contains(body, "Confirm with passkey and download") {
		t.Error("the form does not ask")
	}
	for name, res := range map[string]answer{
		"by support": helper.form(t, at, "reason", "x"), "support's form": helper.get(t, at),
		"by a stranger": stranger.form(t, at, "reason", "x"), "of another tenant": stranger.form(t, "/console/t/"+foreign+"/users/"+u.ID.String()+"/export", "reason", "x"),
	} {
		want := http.StatusForbidden
		if strings.Contains(name, "stranger") || strings.Contains(name, "tenant") {
			want = http.StatusNotFound
		}
		if res.StatusCode != want {
			t.Errorf("%s = %d, want %d", name, res.StatusCode, want)
		}
	}
	if res := admin.form(t, at, "reason", " "); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `id="act-reason-error"`) {
		t.Errorf("without a reason = %d", res.StatusCode)
	}
	res := admin.form(t, at, "reason", "she asked for it")
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Disposition") != `attachment; filename="biocore-user-`+u.ID.String()+`.zip"` {
		t.Fatalf("export = %d %v", res.StatusCode, res.Header)
	}
	report, err := archive.Verify(strings.NewReader(res.body), int64(len(res.body)), nil)
	if err != nil || !report.Valid() || report.Manifest.UserID == nil || report.Manifest.UserID.String() != u.ID.String() {
		t.Errorf("Verify = %+v, %v", report, err)
	}
	if n := s.store.AuditCount(t, acme, "user.export"); n != 1 {
		t.Errorf("%d entries user.export, want 1", n)
	}
	s.grow(t)
	if res := admin.form(t, at, "reason", "again"); res.StatusCode != http.StatusForbidden || !strings.Contains(res.body, `value="again"`) {
		t.Errorf("with a stale passkey = %d", res.StatusCode)
	}
}

// Whoever erases a user comes to the erasure, whose certificate is signed when it is asked for, once the log has the entry.
func TestErasuresPages(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	other, foreign := s.tenant(t)
	owner, viewer, stranger := s.person(t, "Oda", acme, member.Owner), s.person(t, "Vi", acme, member.Viewer), s.person(t, "Eve", other, member.Owner)
	list := "/console/t/" + slug + "/erasures"
	if body := owner.get(t, list).body; !strings.Contains(body, "Nobody was erased") {
		t.Error("an empty list says nothing")
	}
	if body := owner.get(t, "/console/t/"+slug+"/data-map").body; !strings.Contains(body, `href="`+list+`"`) {
		t.Error("the data map does not lead there")
	}
	u := s.customer(t, acme, "alice", "alice@example.com")
	done := owner.form(t, "/console/t/"+slug+"/users/"+u.ID.String()+"/act/erase", "reason", "she asked", "confirm", "alice")
	at := done.Header.Get("Location")
	if done.StatusCode != http.StatusSeeOther || !strings.HasPrefix(at, list+"/") {
		t.Fatalf("erase = %d %s", done.StatusCode, at)
	}
	if body := owner.get(t, at).body; !strings.Contains(body, "Nobody has asked for it yet") || !strings.Contains(body, u.ID.String()) {
		t.Error("the erasure does not say that there is no certificate")
	}
	if res := owner.form(t, at+"/certificate"); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(res.body, "do not have this erasure yet") {
		t.Errorf("before the log has the entry = %d", res.StatusCode)
	}
	s.sequence(t)
	file := owner.form(t, at+"/certificate")
	if file.StatusCode != http.StatusOK || strings.Count(file.body, ".") != 2 || !strings.HasSuffix(file.Header.Get("Content-Disposition"), `.jws"`) {
		t.Fatalf("certificate = %d %s", file.StatusCode, file.body)
	}
	for _, want := range []string{"Verified", "Expire ", "audit_entries.entry", "None: no stream"} {
		if !strings.Contains(owner.get(t, at).body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if body := owner.get(t, list).body; !strings.Contains(body, u.ID.String()) || !strings.Contains(body, "Signed") {
		t.Error("the list does not have it")
	}
	if again := owner.form(t, at+"/certificate"); again.body != file.body {
		t.Error("a second certificate")
	}
	for name, tt := range map[string]struct {
		res  answer
		want int
	}{
		"a viewer's list": {viewer.get(t, list), http.StatusForbidden}, "a viewer's": {viewer.form(t, at+"/certificate"), http.StatusForbidden},
		"of another tenant": {stranger.get(t, strings.Replace(at, slug, foreign, 1)), http.StatusNotFound}, "a certificate of another": {stranger.form(t, strings.Replace(at, slug, foreign, 1)+"/certificate"), http.StatusNotFound},
		"of nobody": {owner.get(t, list+"/nobody"), http.StatusNotFound},
	} {
		if tt.res.StatusCode != tt.want {
			t.Errorf("%s = %d, want %d", name, tt.res.StatusCode, tt.want)
		}
	}
	// What somebody has changed in the database is not shown as a certificate.
	s.exec(t, "UPDATE erasures SET certificate = overlay(certificate placing 'AAAA' from length(certificate) - 8)")
	if body := owner.get(t, at).body; !strings.Contains(body, "No key of this tenant has signed") || strings.Contains(body, ">Verified<") {
		t.Error("a changed certificate is shown as verified")
	}
}
