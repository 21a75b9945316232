package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/biocore-id/biocore/proto/openapi"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/audit/private"
)

// auditProof is what a third party has of an answer: no more than its JSON.
type auditProof struct{ answer }

func (p auditProof) hashes(t *testing.T) (out []merkle.Hash) {
	t.Helper()
	list, _ := p.at("hashes").([]any)
	for _, one := range list {
		var h merkle.Hash
		text, _ := one.(string)
		if err := h.UnmarshalJSON([]byte(`"` + text + `"`)); err != nil {
			t.Fatal(err)
		}
		out = append(out, h)
	}
	return out
}

func (p auditProof) number(path ...string) int64 {
	switch n := p.at(path...).(type) {
	case float64: // of JSON
		return int64(n)
	case int: // of an example
		return int64(n)
	}
	return -1
}

// apart holds what is kept apart from an entry's text to the hashes in it.
func (p auditProof) apart(t *testing.T) {
	t.Helper()
	named, err := private.Parts(p.text("entry"))
	if err != nil {
		t.Fatal(err)
	}
	parts, _ := p.at("private").([]any)
	if len(named) == 0 || len(parts) != len(named) {
		t.Fatalf("%d parts for %d hashes: %s", len(parts), len(named), p)
	}
	for i, one := range parts {
		part, _ := one.(map[string]any)
		if text, _ := part["text"].(string); part["state"] != "KEPT" || !named[i].Holds([]byte(text)) {
			t.Errorf("part %d: %v", i, part)
		}
	}
}

// checkpoint opens the one in an answer by a key that was kept.
func (p auditProof) checkpoint(t *testing.T, key string, path ...string) merkle.Checkpoint {
	t.Helper()
	v, err := note.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := merkle.Open(p.text(append(path, "note")...), v)
	if err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	if p.number(append(path, "size")...) != c.Size || p.text(append(path, "rootHash")...) != c.Root.String() || p.text(append(path, "origin")...) != c.Origin {
		t.Errorf("the checkpoint says another thing than its note: %s", p)
	}
	return c
}

// proof waits until the tenant's log has a checkpoint over an entry, and returns its proof and the key.
func (w *world) proof(t *testing.T, c *customer, event string) (p auditProof, key string) {
	t.Helper()
	eventually(t, "a checkpoint over the entry", func() bool {
		p = auditProof{w.call(t, "GET", "/admin/v1/auditEvents/"+event+"/proof", c.secret, nil)}
		if p.status == http.StatusOK {
			return true
		}
		if p.reason() != "AUDIT_EVENT_WAITING" || p.status != http.StatusServiceUnavailable || p.header.Get("Retry-After") == "" {
			t.Fatalf("proof: %s", p)
		}
		return false
	})
	return p, w.must(t, "GET", "/admin/v1/auditLog", c.secret, nil).text("verifierKey")
}

// An auditor keeps the key and a checkpoint, and needs nothing else of ours to believe what the API says later.
func TestAuditProofs(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.enroll(t, acme, "alice")
	first := w.auditEvent(t, acme)
	_, key := w.proof(t, acme, first)
	kept := auditProof{w.must(t, "GET", "/admin/v1/auditLog", acme.secret, nil)}
	early := kept.checkpoint(t, key, "checkpoint")
	if kept.text("origin") != early.Origin || !strings.HasSuffix(early.Origin, "/audit/"+acme.id) {
		t.Errorf("auditLog = %s", kept)
	}

	for i := range 5 {
		w.must(t, "POST", "/v1/users", acme.secret, map[string]any{"externalId": fmt.Sprint("u-", i), "name": "somebody"})
	}
	events, _ := w.must(t, "GET", "/admin/v1/auditEvents", acme.secret, nil).at("auditEvents").([]any)
	var numbers []int64
	for _, one := range events {
		event, _ := one.(map[string]any)
		id, _ := event["id"].(string)
		p, _ := w.proof(t, acme, id)
		c := p.checkpoint(t, key, "checkpoint")
		seq, entry := p.number("sequence"), p.text("entry")
		if err := merkle.CheckEntry(c, seq, entry, p.hashes(t)); err != nil {
			t.Errorf("entry %s: %v\n%s", id, err, p)
		}
		if merkle.CheckEntry(c, seq, strings.Replace(entry, "success", "denied", 1), p.hashes(t)) == nil || !strings.Contains(entry, id) ||
			p.text("leafHash") != merkle.Leaf(seq, entry).String() || p.text("verifierKey") != key {
			t.Errorf("proof of %s: %s", id, p)
		}
		p.apart(t)
		numbers = append(numbers, seq)
	}
	slices.Sort(numbers)
	if n := len(slices.Compact(numbers)); n != len(events) || numbers[0] != 0 {
		t.Errorf("numbers %v of %d entries", numbers, len(events))
	}

	// What was kept is where it was.
	g := auditProof{w.must(t, "GET", "/admin/v1/auditCheckpoints:consistency?from="+textOf(t, early.Size), acme.secret, nil)}
	late := g.checkpoint(t, key, "checkpoint")
	if err := merkle.CheckGrowth(early, late, g.hashes(t)); err != nil || g.number("from") != early.Size || g.number("to") != late.Size || late.Size <= early.Size {
		t.Errorf("consistency from %d: %v\n%s", early.Size, err, g)
	}
	for query, reason := range map[string]string{
		"from=1&to=1000000": "AUDIT_SIZES_INVALID", "from=3&to=2": "AUDIT_SIZES_INVALID", "from=-1": "REQUEST_INVALID", "from=9007199254740992": "REQUEST_MALFORMED",
		"from=1.5": "REQUEST_MALFORMED", "from=one": "REQUEST_MALFORMED", "from=1&from=2": "REQUEST_MALFORMED",
	} {
		if a := w.call(t, "GET", "/admin/v1/auditCheckpoints:consistency?"+query, acme.secret, nil); a.status != http.StatusBadRequest || a.reason() != reason {
			t.Errorf("consistency %s: %s, want %s", query, a, reason)
		}
	}
	if a := w.call(t, "POST", "/biocore.admin.v1.AuditService/GetAuditConsistency", acme.secret, map[string]any{"from": 1.5}); !strings.Contains(a.raw, "AUDIT_SIZES_INVALID") {
		t.Errorf("a part of an entry: %s", a)
	}
	list := auditProof{w.must(t, "GET", "/admin/v1/auditCheckpoints?pageSize=1", acme.secret, nil)}
	if kept, _ := list.at("auditCheckpoints").([]any); len(kept) != 1 { // one a minute
		t.Errorf("checkpoints = %s", list)
	}

	// Whose log it is, the key says: nothing of another's is there.
	w.proof(t, globex, w.auditEvent(t, globex))
	if other := w.must(t, "GET", "/admin/v1/auditLog", globex.secret, nil); other.text("verifierKey") == key || !strings.HasSuffix(other.text("origin"), globex.id) {
		t.Errorf("globex's log = %s", other)
	}
	for name, tt := range map[string]struct {
		key, path, reason string
		status            int
	}{
		"another's entry":    {globex.secret, "auditEvents/" + first + "/proof", "AUDIT_EVENT_UNKNOWN", http.StatusNotFound},
		"no id":              {acme.secret, "auditEvents/x/proof", "AUDIT_EVENT_UNKNOWN", http.StatusNotFound},
		"another scope":      {w.mint(t, acme, apikey.ScopeUsersRead), "auditEvents/" + first + "/proof", "SCOPE_MISSING", http.StatusForbidden},
		"another scope's":    {w.mint(t, acme, apikey.ScopeUsersRead), "auditEvents:export", "SCOPE_MISSING", http.StatusForbidden},
		"a publishable key":  {acme.publishable, "auditEvents:export", "API_KEY_KIND_NOT_ALLOWED", http.StatusForbidden},
		"the platform's key": {w.platformKey, "auditEvents:export", "API_KEY_KIND_NOT_ALLOWED", http.StatusForbidden},
		"no key":             {"", "auditEvents:export", "CREDENTIALS_MISSING", http.StatusUnauthorized},
		"past the end":       {acme.secret, "auditEvents:export?from=1000000", "AUDIT_SIZES_INVALID", http.StatusBadRequest},
		"no number":          {acme.secret, "auditEvents:export?from=one", "AUDIT_SIZES_INVALID", http.StatusBadRequest},
	} {
		if a := w.call(t, "GET", "/admin/v1/"+tt.path, tt.key, nil); a.status != tt.status || a.reason() != tt.reason {
			t.Errorf("%s: %s, want %s", name, a, tt.reason)
		}
	}
}

// The log as a file, by a key that may read it and no more; and what was done to the log is told, and proves nothing.
func TestAuditExportOverTheAPI(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t, "acme")
	w.enroll(t, acme, "alice")
	reader := w.mint(t, acme, apikey.ScopeAuditRead)
	first := w.auditEvent(t, acme)
	_, key := w.proof(t, acme, first)
	for _, from := range []string{"", "?from=1"} {
		file, header := w.auditFile(t, reader, from)
		r, err := bundle.Verify(bytes.NewReader(file), key)
		if err != nil || !r.Valid() || r.Header.TenantID != acme.id || r.Entries < 2 || r.Entries != r.Header.To-r.Header.From {
			t.Errorf("export%s = %+v, %v", from, r, err)
		}
		if header.Get("Content-Type") != bundle.MediaType || header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(header.Get("Content-Disposition"), `attachment; filename="biocore-audit-`+acme.id) {
			t.Errorf("export%s: %v", from, header)
		}
	}
	if n := w.auditCount(t, acme.id, "auditlog.export"); n != 2 {
		t.Errorf("%d exports left an entry, want 2", n)
	}

	conn := w.store.Superuser(t)
	if _, err := conn.Exec(t.Context(), "SET session_replication_role = replica"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "UPDATE audit_entries SET entry = replace(entry, '\"success\"', '\"denied\"') WHERE tenant_id = $1 AND seq = 0", acme.id); err != nil {
		t.Fatal(err)
	}
	if a := w.call(t, "GET", "/admin/v1/auditEvents/"+first+"/proof", reader, nil); a.status != http.StatusInternalServerError || a.reason() != "AUDIT_LOG_DAMAGED" {
		t.Errorf("proof of an edited entry: %s", a)
	}
	file, _ := w.auditFile(t, reader, "")
	r, err := bundle.Verify(bytes.NewReader(file), key)
	if err != nil || len(r.Findings) != 1 || r.Findings[0].First != 0 {
		t.Errorf("Verify = %+v, %v", r, err)
	}
}

func (w *world) auditFile(t *testing.T, key, query string) ([]byte, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/admin/v1/auditEvents:export"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("export = %d, %v: %s", res.StatusCode, err, raw)
	}
	return raw, res.Header
}

// What the description of the API shows verifies: who writes a verifier has something to try it on.
func TestAuditExamples(t *testing.T) {
	shown := map[string]auditProof{}
	for _, op := range operations(t, openapi.Admin()) {
		if example, ok := op.Responses["200"].Content["application/json"].Example.(map[string]any); ok {
			shown[op.OperationID] = auditProof{answer{body: example}}
		}
	}
	log, proof, growth, list := shown["GetAuditLog"], shown["GetAuditProof"], shown["GetAuditConsistency"], shown["ListAuditCheckpoints"]
	key := log.text("verifierKey")
	late := log.checkpoint(t, key, "checkpoint")
	if err := merkle.CheckEntry(proof.checkpoint(t, key, "checkpoint"), proof.number("sequence"), proof.text("entry"), proof.hashes(t)); err != nil {
		t.Errorf("inclusion: %v", err)
	}
	if got := merkle.Leaf(proof.number("sequence"), proof.text("entry")).String(); got != proof.text("leafHash") {
		t.Errorf("leaf hash = %s", got)
	}
	proof.apart(t)
	kept, _ := list.at("auditCheckpoints").([]any)
	first, _ := kept[0].(map[string]any)
	early := auditProof{answer{body: first}}.checkpoint(t, key)
	if err := merkle.CheckGrowth(early, late, growth.hashes(t)); err != nil || growth.number("from") != early.Size || growth.number("to") != late.Size {
		t.Errorf("consistency: %v", err)
	}
	raw, err := json.Marshal(shown["GetAuditAnchor"].body)
	if err != nil {
		t.Fatal(err)
	}
	var anchored bundle.AnchoredHead
	if err := json.Unmarshal(raw, &anchored); err != nil {
		t.Fatal(err)
	}
	if h, err := anchored.Check(shown["GetAuditAnchor"].text("verifierKey")); err != nil || h.Checkpoint() != late {
		t.Errorf("anchor: %+v, %v, want %+v", h, err, late)
	}
}
