package console_test

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/member"
)

// What is archived of a log is listed, and downloaded by whoever reads the log: an entry tells that it was. Take the scope
// away from the route, and a viewer has the file.
func TestAuditArchives(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	other, elsewhere := s.tenant(t)
	auditor, viewer, eve := s.person(t, "Aud", acme, member.Auditor), s.person(t, "Vera", acme, member.Viewer), s.person(t, "Eve", other, member.Owner)
	log := "/console/t/" + slug + "/audit"
	base := log + "/archives"
	if res := auditor.get(t, base); res.StatusCode != http.StatusOK || !strings.Contains(res.body, "Nothing is archived") {
		t.Errorf("no archives = %d", res.StatusCode)
	}
	s.sequence(t)
	if did, err := s.archives.Archive(t.Context(), acme, time.Now().Add(time.Hour)); err != nil || !did {
		t.Fatalf("Archive = %v, %v", did, err)
	}
	page := auditor.get(t, base).body
	for _, want := range []string{"Not locked", "no lock is configured", "Entries 0 to ", base + "/0/download", "1 archive", "All entries are in the database, too"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if !strings.Contains(auditor.get(t, log+"/checkpoints").body, `href="`+base+`"`) || strings.Contains(auditor.get(t, log).body, "in archives alone") {
		t.Error("no way to the archives, or the log says that they hold what is still in the database")
	}
	file := auditor.form(t, base+"/0/download")
	r, err := bundle.Verify(strings.NewReader(file.body), "")
	if err != nil || !r.Valid() || r.Header.From != 0 || file.Header.Get("Content-Type") != bundle.MediaType || !strings.HasSuffix(file.Header.Get("Content-Disposition"), `-0.jsonl"`) {
		t.Errorf("download = %d %v, %+v, %v", file.StatusCode, file.Header, r, err)
	}
	if n := s.store.AuditCount(t, acme, "auditlog.archive_read"); n != 1 {
		t.Errorf("%d entries of downloads, want 1", n)
	}
	for name, tt := range map[string]struct {
		res  answer
		want int
	}{
		"a viewer's list": {viewer.get(t, base), http.StatusForbidden}, "a viewer's download": {viewer.form(t, base+"/0/download"), http.StatusForbidden},
		"a stranger's": {eve.form(t, base+"/0/download"), http.StatusNotFound}, "another tenant's": {eve.form(t, "/console/t/"+elsewhere+"/audit/archives/0/download"), http.StatusNotFound},
		"none begins there": {auditor.form(t, base+"/1/download"), http.StatusNotFound}, "no number": {auditor.form(t, base+"/x/download"), http.StatusNotFound},
		"a page of no list": {auditor.get(t, base+"?after=x"), http.StatusUnprocessableEntity},
	} {
		if tt.res.StatusCode != tt.want || strings.Contains(tt.res.body, `"leaf"`) {
			t.Errorf("%s = %d, want %d", name, tt.res.StatusCode, tt.want)
		}
	}
	if n := s.store.AuditCount(t, acme, "auditlog.archive_read"); n != 1 {
		t.Errorf("%d entries of downloads, want 1: what was refused was none", n)
	}

	// What is no longer in the database is said where somebody looks for it.
	s.exec(t, "UPDATE audit_archives SET locked_until = now() + interval '40 days', problem = ''")
	s.exec(t, "DELETE FROM audit_entries WHERE tenant_id = $1 AND seq < 2", acme.Tenant())
	if body := auditor.get(t, base).body; !strings.Contains(body, "Entries below number 2 are here alone") || !strings.Contains(body, ">Locked<") || strings.Contains(body, "Not locked") {
		t.Error("the page does not say what is in archives alone, or that they are locked")
	}
	if body := auditor.get(t, log).body; !strings.Contains(body, `href="`+base+`">those below number 2 are in archives alone`) {
		t.Error("the log does not lead to the archives")
	}

	// An object that somebody has changed is no file.
	if err := filepath.WalkDir(s.folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "audit-archive") {
			return err
		}
		body, err := os.ReadFile(path) //nolint:gosec // a folder of the test's
		if err != nil {
			return err
		}
		return os.WriteFile(path, []byte(strings.Replace(string(body), `\"success\"`, `\"denied\"`, 1)), 0o600) //nolint:gosec // as above
	}); err != nil {
		t.Fatal(err)
	}
	if res := auditor.form(t, base+"/0/download"); res.StatusCode != http.StatusInternalServerError || !strings.Contains(res.body, "What is there is not what was stored") {
		t.Errorf("a changed object = %d", res.StatusCode)
	}
}
