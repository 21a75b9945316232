package archive_test

import (
	"os"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/tenancy/governance/dlp"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// scanned is all that a scan sees of the stored archives of a tenant.
func scanned(t *testing.T, s *archive.Service, sc scope.Scope) (seen string, rows int, unseen []dlp.Unseen) {
	t.Helper()
	var text strings.Builder
	var after []string
	for range 200 {
		out, err := s.Texts().Read(t.Context(), sc, after, func(place, item, body string) { text.WriteString(place + " " + item + " " + body + "\n") })
		if err != nil {
			t.Fatal(err)
		}
		rows, unseen = rows+out.Rows, append(unseen, out.Unseen...)
		if after = out.After; after == nil {
			return text.String(), rows, unseen
		}
	}
	t.Fatal("it does not end")
	return "", 0, nil
}

// A scan opens each file of each archive that is stored, part by part; one whose parts are gone is named, one whose time is over is not
// touched, another tenant's is not there, and nobody has downloaded anything by it.
func TestScansOpenArchives(t *testing.T) {
	d := newDepot(t)
	acme, globex := d.Tenant(t), d.Tenant(t)
	u := d.User(t, acme)
	e, raw := d.made(t, acme)
	before := d.AuditCount(t, acme, "export.download")
	seen, n, unseen := scanned(t, d.Service, acme)
	if len(unseen) > 0 || n == 0 || !strings.Contains(seen, "export/users.jsonl "+e.ID.String()+" ") || !strings.Contains(seen, u.ID.String()) {
		t.Errorf("%d rows, unseen %v:\n%.600s", n, unseen, seen)
	}
	if want := len(rows(t, raw, "users.jsonl")); strings.Count(seen, "export/users.jsonl ") != want {
		t.Errorf("%d users are seen of %d", strings.Count(seen, "export/users.jsonl "), want)
	}
	if other, n, unseen := scanned(t, d.Service, globex); other != "" || n > 0 || len(unseen) > 0 {
		t.Errorf("globex sees %q", other)
	}
	if after := d.AuditCount(t, acme, "export.download"); after != before {
		t.Errorf("%d downloads are recorded", after-before)
	}

	if err := os.RemoveAll(d.dir); err != nil {
		t.Fatal(err)
	}
	if seen, _, unseen := scanned(t, d.Service, acme); seen != "" || len(unseen) != 1 || unseen[0] != (dlp.Unseen{Place: "export", Reason: dlp.UnseenGone, Count: 1}) {
		t.Errorf("without its parts: %v, %q", unseen, seen)
	}
	d.exec(t, "UPDATE exports SET expires_at = now() - interval '1 minute' WHERE id = $1", e.ID)
	if _, _, unseen := scanned(t, d.Service, acme); len(unseen) > 0 {
		t.Errorf("after its time: %v", unseen)
	}
}
