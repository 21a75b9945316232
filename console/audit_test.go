package console_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/sequencer"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// sequence moves all entries into their logs, and signs them.
func (s *site) sequence(t *testing.T) {
	t.Helper()
	by := sequencer.New(sequencer.Options{Store: s.store.Store, Keys: s.keys, Host: "localhost:8080"})
	for n := 1; n > 0; {
		var err error
		if n, err = by.Move(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := by.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// entryOf is the id of a tenant's newest entry of an action.
func (s *site) entryOf(t *testing.T, sc scope.Scope, action string) (id string) {
	t.Helper()
	if err := s.store.Superuser(t).QueryRow(t.Context(), "SELECT id::text FROM audit_records WHERE tenant_id = $1 AND action = $2 ORDER BY id DESC LIMIT 1", sc.Tenant(), action).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// The audit log is for whose role reads it: the list, what narrows it, an entry with what it changed, and its proof.
func TestAuditLog(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	other, elsewhere := s.tenant(t)
	base := "/console/t/" + slug
	auditor, viewer := s.person(t, "Aud", acme, member.Auditor), s.person(t, "Vera", acme, member.Viewer)
	eve := s.person(t, "Eve", other, member.Owner)
	if err := s.store.InTenant(t.Context(), acme, func(tx *db.TenantTx) error {
		return audit.Append(t.Context(), tx, audit.Entry{
			Action: "settings.update", Target: audit.Target{Kind: "tenant", ID: acme.Tenant().String()}, Reason: "they <b>asked</b>",
			Before: []audit.Attr{attr.Text("name", "Old bank"), attr.Int("n", 1)}, After: []audit.Attr{attr.Text("name", "New bank"), attr.Int("n", 1)},
		})
	}); err != nil {
		t.Fatal(err)
	}
	id := s.entryOf(t, acme, "settings.update")

	if res := auditor.get(t, base+"/audit/"+id); res.StatusCode != http.StatusOK || !strings.Contains(res.body, "Not under a checkpoint yet") {
		t.Errorf("an entry that waits = %d", res.StatusCode)
	}
	if res := auditor.get(t, base+"/audit/"+id+"/proof"); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(res.body, "AUDIT_EVENT_WAITING") {
		t.Errorf("its proof = %d %s", res.StatusCode, res.body)
	}
	if res := auditor.get(t, base+"/audit/checkpoints"); res.StatusCode != http.StatusOK || !strings.Contains(res.body, "Nothing is under a checkpoint yet") {
		t.Errorf("no checkpoints = %d", res.StatusCode)
	}
	s.sequence(t)
	page := auditor.get(t, base+"/audit/"+id)
	for _, want := range []string{"Old bank", "New bank", "they &lt;b&gt;asked&lt;/b&gt;", "Checkpoint over", "Download proof", "What is not checked here", "biocore audit verify"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the entry's page lacks %q", want)
		}
	}
	if proof := auditor.get(t, base+"/audit/"+id+"/proof"); proof.StatusCode != http.StatusOK || !strings.Contains(proof.body, `"hashes":[`) || !strings.HasPrefix(proof.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("proof = %d %s", proof.StatusCode, proof.body)
	}
	for query, holds := range map[string]bool{
		"": true, "?q=settings.update": true, "?q=user.block": false, "?outcome=denied": false, "?outcome=success&kind=tenant": true, "?kind=apikey": false,
		"?q=tenant/" + acme.Tenant().String(): true, "?since=1d": true, "?action=settings.update": true, "?actor=nobody": false, "?outcome=made-up": true, "?q=" + uuid.NewString(): false,
	} {
		if res := auditor.get(t, base+"/audit"+query); res.StatusCode != http.StatusOK || strings.Contains(res.body, base+"/audit/"+id) != holds {
			t.Errorf("the list with %s = %d, holds the entry: %t, want %t", query, res.StatusCode, !holds, holds)
		}
	}
	if res := auditor.get(t, base+"/audit?q="+id); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != base+"/audit/"+id {
		t.Errorf("an entry's id = %d to %s", res.StatusCode, res.Header.Get("Location"))
	}
	for query, status := range map[string]int{"?from=1": 200, "?from=1&to=2": 200, "?from=2&to=1": 422, "?from=999": 422, "?from=x": 422, "?from=1&to=0": 422} {
		if res := auditor.get(t, base+"/audit/checkpoints"+query); res.StatusCode != status {
			t.Errorf("checkpoints%s = %d, want %d", query, res.StatusCode, status)
		}
	}
	file := auditor.form(t, base+"/audit/export")
	if r, err := bundle.Verify(strings.NewReader(file.body), ""); err != nil || !r.Valid() || file.Header.Get("Content-Type") != bundle.MediaType {
		t.Errorf("export = %d, %+v, %v", file.StatusCode, r, err)
	}
	if n := s.store.AuditCount(t, acme, "auditlog.export"); n != 1 {
		t.Errorf("%d entries of exports, want 1", n)
	}

	// Who may not, sees no way to it and is refused.
	if strings.Contains(viewer.get(t, base+"/members").body, base+`/audit"`) || !strings.Contains(auditor.get(t, base+"/members").body, base+`/audit"`) {
		t.Error("the menu shows the audit log to another than who reads it")
	}
	for _, path := range []string{"", "/" + id, "/" + id + "/proof", "/checkpoints", "/checkpoints/consistency?from=1", "/checkpoints/anchor", "/archives"} {
		if res := viewer.get(t, base+"/audit"+path); res.StatusCode != http.StatusForbidden {
			t.Errorf("a viewer's %s = %d, want 403", path, res.StatusCode)
		}
		if res := eve.get(t, base+"/audit"+path); res.StatusCode != http.StatusNotFound {
			t.Errorf("a stranger's %s = %d, want 404", path, res.StatusCode)
		}
	}
	if res := viewer.form(t, base+"/audit/export"); res.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer's export = %d, want 403", res.StatusCode)
	}
	for _, path := range []string{"/" + id, "/" + id + "/proof", "/" + uuid.NewString(), "/x"} {
		if res := eve.get(t, "/console/t/"+elsewhere+"/audit"+path); res.StatusCode != http.StatusNotFound {
			t.Errorf("another tenant's entry at %s = %d, want 404", path, res.StatusCode)
		}
	}
}

// What was changed in the database is told where somebody looks, and nothing is proven of it.
func TestDamagedAuditLog(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	auditor := s.person(t, "Aud", acme, member.Auditor)
	s.sequence(t)
	id := s.entryOf(t, acme, "member.join")
	conn := s.store.Superuser(t)
	for _, sql := range []string{"SET session_replication_role = replica", "UPDATE audit_entries SET entry = replace(entry, '\"success\"', '\"denied\"') WHERE action = 'member.join'"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	base := "/console/t/" + slug + "/audit"
	if res := auditor.get(t, base+"/"+id); res.StatusCode != http.StatusOK || !strings.Contains(res.body, "This entry is not as it was signed") {
		t.Errorf("the page = %d", res.StatusCode)
	}
	if res := auditor.get(t, base+"/"+id+"/proof"); res.StatusCode != http.StatusInternalServerError || !strings.Contains(res.body, "AUDIT_LOG_DAMAGED") {
		t.Errorf("the proof = %d %s", res.StatusCode, res.body)
	}
	if _, err := conn.Exec(t.Context(), "UPDATE audit_logs SET checkpoint = replace(checkpoint, E'\\n\\n', E'\\n \\n\\n')"); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{"": "not signed by the log’s key", "/checkpoints": "What is stored is not what was signed"} {
		if res := auditor.get(t, base+path); res.StatusCode != http.StatusOK || !strings.Contains(res.body, says) {
			t.Errorf("%s with another checkpoint = %d", path, res.StatusCode)
		}
	}
}

// The staff whom a tenant has let in, to look or to act, read nothing of its audit log: it is the tenant's evidence of them.
func TestSupportReadsNoAuditLog(t *testing.T) {
	for _, access := range []string{"VIEW", "ACT"} {
		v := askAccess(t, "ACT")
		v.letIn(t, access)
		v.sequence(t)
		if regexp.MustCompile(`href="` + v.base + `/audit`).MatchString(v.staff.get(t, v.base+"/members").body) {
			t.Errorf("%s: the menu shows the audit log", access)
		}
		id := v.entryOf(t, v.acme, "support.grant")
		for _, path := range []string{"", "/" + id, "/" + id + "/proof", "/checkpoints", "/checkpoints/consistency?from=1", "/checkpoints/anchor", "/archives"} {
			if res := v.staff.get(t, v.base+"/audit"+path); res.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %s = %d, want 403", access, path, res.StatusCode)
			}
		}
		for _, path := range []string{"/export", "/archives/0/download"} {
			if res := v.staff.form(t, v.base+"/audit"+path); res.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %s = %d, want 403", access, path, res.StatusCode)
			}
		}
	}
}

// The page of checkpoints says what of the log is in object storage, and gives the proof.
func TestAnchorOnThePage(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	base := "/console/t/" + slug + "/audit/checkpoints"
	auditor := s.person(t, "Aud", acme, member.Auditor)
	s.sequence(t)
	if res := auditor.get(t, base); !strings.Contains(res.body, "No head of this log is there yet") {
		t.Errorf("before any anchor: %d %s", res.StatusCode, res.body)
	}
	if res := auditor.get(t, base+"/anchor"); res.StatusCode != http.StatusNotFound || !strings.Contains(res.body, "AUDIT_ANCHOR_UNKNOWN") {
		t.Errorf("its proof = %d %s", res.StatusCode, res.body)
	}
	if err := s.keys.Ensure(t.Context(), scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "test"})); err != nil {
		t.Fatal(err)
	}
	if did, err := s.anchors.Anchor(t.Context()); err != nil || !did {
		t.Fatalf("Anchor = %v, %v", did, err)
	}
	res := auditor.get(t, base)
	for _, want := range []string{"In object storage", "No: no lock is configured", "/audit-heads/", "id.bank.example/audit/heads"} {
		if !strings.Contains(res.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	var proof bundle.AnchoredHead
	file := auditor.get(t, base+"/anchor")
	if err := json.Unmarshal([]byte(file.body), &proof); err != nil {
		t.Fatalf("%v: %s", err, file.body)
	}
	if h, err := proof.Check(""); err != nil || h.TenantID != acme.Tenant().String() || h.Size == 0 {
		t.Errorf("the proof shows %+v, %v", h, err)
	}
}
