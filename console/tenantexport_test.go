package console_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/member"
)

// An admin exports the tenant, watches it, and downloads the archive; each with what it
// takes. It works for a tenant that is being deleted, too.
func TestExports(t *testing.T) {
	s := newSite(t)
	sc, slug := s.tenant(t)
	settings := "/console/t/" + slug + "/settings"
	path := settings + "/exports"
	admin := s.person(t, "Ad </script>", sc, member.Admin)
	for _, role := range []member.Role{member.Security, member.Developer, member.Auditor, member.Viewer, member.Support} {
		other := s.person(t, "Other", sc, role)
		if a := other.get(t, path); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s sees exports: %d", role, a.StatusCode)
		}
		if a := other.form(t, path, "reason", "x"); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s exports: %d", role, a.StatusCode)
		}
		if strings.Contains(other.get(t, settings).body, "/settings/exports") {
			t.Errorf("%s sees the button", role)
		}
	}
	if body := admin.get(t, settings).body; !strings.Contains(body, `href="`+path+`"`) {
		t.Error("an admin sees no button")
	}
	if body := admin.get(t, path).body; !strings.Contains(body, "Nobody has exported") || !strings.Contains(body, "biocore tenant export "+slug) || strings.Contains(body, "data-refresh") {
		t.Errorf("empty: %s", body)
	}
	if a := admin.form(t, path, "reason", ""); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, "export-reason-error") {
		t.Errorf("without a reason: %d\n%s", a.StatusCode, a.body)
	}
	s.exec(t, "UPDATE tenants SET state = 'DELETING', delete_after = now() + interval '30 days' WHERE id = $1", sc.Tenant())
	if a := admin.form(t, path, "reason", "we are <b>leaving</b>"); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("start: %d\n%s", a.StatusCode, a.body)
	}
	if body := admin.get(t, path).body; !strings.Contains(body, `data-refresh="2"`) || !strings.Contains(body, "<progress") || strings.Contains(body, `id="export-reason"`) || strings.Contains(body, "<b>leaving") {
		t.Errorf("while it runs: %s", body)
	}
	if a := admin.form(t, path, "reason", "another"); a.StatusCode != http.StatusConflict || !strings.Contains(a.body, "An export of this tenant is running") {
		t.Errorf("a second one: %d\n%s", a.StatusCode, a.body)
	}
	if err := s.exports.Maintain(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	list, err := s.exports.List(t.Context(), sc, sc.Tenant(), listing.Request{})
	if err != nil || len(list.Items) != 1 || list.Items[0].State != archive.Done {
		t.Fatalf("exports = %+v, %v", list, err)
	}
	e := list.Items[0]
	one := path + "/" + e.ID.String()
	if body := admin.get(t, path).body; !strings.Contains(body, e.SHA256) || !strings.Contains(body, "Ad &lt;/script&gt;") || !strings.Contains(body, one+"/download") || strings.Contains(body, "data-refresh") {
		t.Errorf("when it is done: %s", body)
	}
	file := admin.form(t, one+"/download")
	if file.StatusCode != http.StatusOK || file.Header.Get("Content-Type") != "application/zip" || int64(len(file.body)) != e.Size {
		t.Fatalf("download: %d, %d bytes of %d", file.StatusCode, len(file.body), e.Size)
	}
	r, err := archive.Verify(strings.NewReader(file.body), int64(len(file.body)), nil)
	if err != nil || !r.Valid() {
		t.Errorf("Verify = %+v, %v", r, err)
	}
	if n := s.store.AuditCount(t, sc, "export.download"); n != 1 {
		t.Errorf("%d entries of the download", n)
	}

	// Another tenant's is not there, under its own name or the other's.
	their, other := s.tenant(t)
	stranger := s.person(t, "Stranger", their, member.Owner)
	for _, at := range []string{one + "/download", one + "/cancel", "/console/t/" + other + "/settings/exports/" + e.ID.String() + "/download", "/console/t/" + other + "/settings/exports/" + e.ID.String() + "/cancel"} {
		if a := stranger.form(t, at); a.StatusCode != http.StatusNotFound {
			t.Errorf("a stranger at %s: %d", at, a.StatusCode)
		}
	}
	// The passkey is not fresh any more.
	s.grow(t)
	for _, at := range []string{path, one + "/download"} {
		if a := admin.form(t, at, "reason", "again"); a.StatusCode != http.StatusForbidden || a.Header.Get("Content-Type") == "application/zip" {
			t.Errorf("%s without a fresh passkey: %d", at, a.StatusCode)
		}
	}
}

// A form that asks for a passkey has a place where the page's script says why it did not get
// one: without it the script stops before it asks.
func TestFormsThatAskHaveAPlaceForProblems(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.templ", "ui/*.templ"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	asking := regexp.MustCompile(`(?s)<form\b[^>]*data-fresh-until.*?</form>`)
	n := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range asking.FindAllString(string(raw), -1) {
			n++
			if !strings.Contains(form, `class="problem"`) && !strings.Contains(form, ".ProblemBox()") {
				t.Errorf("%s: %.120s", file, form)
			}
		}
	}
	if n < 15 {
		t.Errorf("%d forms ask for a passkey: the test looks for too little", n)
	}
}

// An export that nobody wants any more is never written.
func TestCancelledExport(t *testing.T) {
	s := newSite(t)
	sc, slug := s.tenant(t)
	path := "/console/t/" + slug + "/settings/exports"
	admin := s.person(t, "Ada", sc, member.Admin)
	if a := admin.form(t, path, "reason", "we leave"); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("start: %d", a.StatusCode)
	}
	list, err := s.exports.List(t.Context(), sc, sc.Tenant(), listing.Request{})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("exports = %+v, %v", list, err)
	}
	if a := admin.form(t, path+"/"+list.Items[0].ID.String()+"/cancel"); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("cancel: %d %s", a.StatusCode, a.body)
	}
	if err := s.exports.Maintain(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	if list, err = s.exports.List(t.Context(), sc, sc.Tenant(), listing.Request{}); err != nil || list.Items[0].State != archive.Cancelled {
		t.Errorf("exports = %+v, %v", list, err)
	}
	if body := admin.get(t, path).body; !strings.Contains(body, "Cancelled") {
		t.Error("the page does not say so")
	}
}
