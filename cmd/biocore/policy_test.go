package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// A policy is read, changed and put back, and what hangs on it follows: the lifetime
// of the next access token, and the algorithm of the next signing key.
func TestPolicy(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	read := w.must(t, "GET", "/admin/v1/policy", c.secret, nil)
	document, _ := read.at("document").(map[string]any)
	if read.at("version") != 1.0 || len(document) != len(policy.Fields()) || read.text("createdBy") == "" || read.text("createdAt") == "" ||
		read.header.Get("ETag") != `"`+read.text("etag")+`"` {
		t.Fatalf("GET: %s", read)
	}
	document["accessTokenSeconds"], document["signingAlgorithm"] = 120, "EdDSA"
	put := func(document any, header ...string) answer {
		return w.call(t, "PUT", "/admin/v1/policy", c.secret, map[string]any{"document": document, "reason": "as agreed"}, header...)
	}
	changed := put(document, "If-Match", read.header.Get("ETag"))
	if changed.status != http.StatusOK || changed.at("version") != 2.0 || changed.at("document", "accessTokenSeconds") != 120.0 || changed.text("etag") == read.text("etag") {
		t.Fatalf("PUT: %s", changed)
	}
	if a := put(document, "If-Match", read.header.Get("ETag")); a.reason() != "ETAG_MISMATCH" {
		t.Errorf("an old etag: %s", a)
	}
	if a := put(document); a.raw != changed.raw {
		t.Errorf("the same again: %s, want %s", a, changed)
	}
	if a := w.call(t, "GET", "/admin/v1/policy", c.secret, nil, "If-None-Match", changed.header.Get("ETag")); a.status != http.StatusNotModified {
		t.Errorf("an etag that is current: %s", a)
	}

	w.signIn(t, c)
	verified := w.must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": c.access})
	issued, _ := verified.at("claims", "iat").(float64)
	expires, _ := verified.at("claims", "exp").(float64)
	if life := expires - issued; life != 120 {
		t.Errorf("an access token is good for %v s, want 120: %s", life, verified)
	}
	sc := scope.New(uuid.MustParse(c.id), scope.Actor{Kind: scope.ActorSystem, ID: "test"})
	if err := w.keys.Maintain(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	list := w.must(t, "GET", "/admin/v1/signingKeys", c.secret, nil).items("signingKeys")
	if len(list) != 2 || list[0].text("algorithm") != "EdDSA" || list[0].text("state") != "PENDING" || list[1].text("state") != "ACTIVE" {
		t.Errorf("signing keys %v, want a pending one for EdDSA before the active one", list)
	}

	for name, tt := range map[string]struct {
		document any
		status   int
		reason   string
	}{
		"an unknown field":           {map[string]any{"accessTokenSecond": 120}, http.StatusBadRequest, policy.ErrInvalid.Reason},
		"a field that is null":       {map[string]any{"accessTokenSeconds": nil}, http.StatusBadRequest, policy.ErrInvalid.Reason},
		"a number with a part":       {map[string]any{"accessTokenSeconds": 120.5}, http.StatusBadRequest, policy.ErrInvalid.Reason},
		"a number that is too large": {map[string]any{"accessTokenSeconds": 1e30}, http.StatusBadRequest, policy.ErrInvalid.Reason},
		"no object":                  {"strict", http.StatusBadRequest, "REQUEST_MALFORMED"},
		"none":                       {nil, http.StatusBadRequest, "REQUEST_INVALID"},
		"keys in a KMS without them": {map[string]any{"signingKeyLocation": "KMS"}, http.StatusBadRequest, keys.ErrNoSigner.Reason},
	} {
		if a := put(tt.document); a.status != tt.status || a.reason() != tt.reason {
			t.Errorf("%s: %s", name, a)
		}
	}
}

// Nothing names a tenant in these calls, so nothing can name another's.
func TestPolicyIsOnesOwn(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	conn := w.store.Superuser(t)
	before := fingerprint(t, conn, acme.id)
	was := w.must(t, "GET", "/admin/v1/policy", acme.secret, nil)
	theirs := w.must(t, "PUT", "/admin/v1/policy?tenantId="+acme.id, globex.secret, map[string]any{
		"document": map[string]any{"accessTokenSeconds": 3600}, "tenantId": acme.id, "tenant": map[string]any{"id": acme.id},
	})
	if theirs.at("version") != 2.0 {
		t.Errorf("globex's own: %s", theirs)
	}
	if a := w.call(t, "PUT", "/admin/v1/policy", globex.secret, map[string]any{"document": map[string]any{}}, "If-Match", was.header.Get("ETag")); a.reason() != "ETAG_MISMATCH" {
		t.Errorf("with acme's etag: %s", a)
	}
	if now := w.must(t, "GET", "/admin/v1/policy", acme.secret, nil); now.raw != was.raw {
		t.Errorf("acme's policy was %s, and is %s", was, now)
	}
	if after := fingerprint(t, conn, acme.id); after != before {
		t.Errorf("acme's rows have changed:\n%s\n%s", before, after)
	}
}

func TestPolicyCommands(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	c := w.tenant(t, "acme")
	shown := s.must(t, "policy", "show", "--tenant", "acme")
	for _, field := range policy.Fields() {
		if !strings.Contains(shown, `"`+field+`"`) {
			t.Errorf("policy show has no %s:\n%s", field, shown)
		}
	}
	first := s.read(t, "policy", "show", "--tenant", "acme")
	if first.at("version") != 1.0 || first.text("etag") == "" || first.at("document", "signingKeyRotationDays") != 90.0 {
		t.Errorf("policy show --json = %s", first.raw)
	}
	file := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(file, []byte(strings.Replace(shown, `"signingKeyRotationDays": 90`, `"signingKeyRotationDays": 30`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := s.must(t, "policy", "set", "--tenant", "acme", "--reason", "monthly", file); !strings.Contains(out, "acme goes by version 2 of its policy") {
		t.Errorf("policy set = %s", out)
	}
	if a := w.must(t, "GET", "/admin/v1/policy", c.secret, nil); a.at("document", "signingKeyRotationDays") != 30.0 || a.at("version") != 2.0 {
		t.Errorf("what the API answers after it: %s", a)
	}
	out, complaint, code := s.give(t, `{"accessTokenSeconds":300}`, "policy", "set", "--tenant", "acme", "--json", "-")
	if code != 0 || !strings.Contains(out, `"version": 3`) || !strings.Contains(out, `"signingKeyRotationDays": 90`) {
		t.Errorf("policy set - = %d\n%s%s", code, out, complaint)
	}
	s.refused(t, 1, "ETAG_MISMATCH", "policy", "set", "--tenant", "acme", "--if-match", first.text("etag"), file)
	if err := os.WriteFile(file, []byte(`{"accessTokenSecond":300}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.refused(t, 1, policy.ErrInvalid.Reason, "policy", "set", "--tenant", "acme", file)
	s.refused(t, 1, "read the policy", "policy", "set", "--tenant", "acme", file+".gone")
	s.refused(t, 1, tenant.ErrNotFound.Reason, "policy", "show", "--tenant", "initech")
	s.refused(t, 2, "--tenant is required", "policy", "show")
	s.refused(t, 2, "--tenant is required", "policy", "set", file)
}

// Versions are listed and shown, and an old one is put in force again by a new one.
func TestPolicyVersions(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	c, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.setPolicy(t, c, `{"accessTokenSeconds":120}`)
	w.setPolicy(t, c, `{"accessTokenSeconds":180}`)
	first := w.must(t, "GET", "/admin/v1/policy/versions?pageSize=2", c.secret, nil)
	rest := w.must(t, "GET", "/admin/v1/policy/versions?pageToken="+first.text("nextPageToken"), c.secret, nil)
	if all := append(first.items("versions"), rest.items("versions")...); len(all) != 3 || all[0].at("version") != 3.0 ||
		all[1].at("document", "accessTokenSeconds") != 120.0 || all[2].at("version") != 1.0 || rest.text("nextPageToken") != "" {
		t.Errorf("versions: %s\n%s", first, rest)
	}
	if second := w.must(t, "GET", "/admin/v1/policy/versions/2", c.secret, nil); second.at("document", "accessTokenSeconds") != 120.0 || second.text("etag") == "" {
		t.Errorf("version 2: %s", second)
	}
	for path, key := range map[string]string{"/admin/v1/policy/versions/4": c.secret, "/admin/v1/policy/versions/2": globex.secret} {
		if a := w.call(t, "GET", path, key, nil); a.status != http.StatusNotFound || a.reason() != tenant.ErrPolicyVersion.Reason {
			t.Errorf("%s: %s", path, a)
		}
	}
	now := w.must(t, "GET", "/admin/v1/policy", c.secret, nil)
	back := w.call(t, "POST", "/admin/v1/policy:rollback", c.secret, map[string]any{"version": 2, "reason": "too long"}, "If-Match", now.header.Get("ETag"))
	if back.status != http.StatusOK || back.at("version") != 4.0 || back.at("document", "accessTokenSeconds") != 120.0 {
		t.Errorf("rollback: %s", back)
	}
	if a := w.call(t, "POST", "/admin/v1/policy:rollback", c.secret, map[string]any{"version": 1}, "If-Match", now.header.Get("ETag")); a.reason() != "ETAG_MISMATCH" {
		t.Errorf("an old etag: %s", a)
	}
	if a := w.call(t, "POST", "/admin/v1/policy:rollback", globex.secret, map[string]any{"version": 2}); a.reason() != tenant.ErrPolicyVersion.Reason {
		t.Errorf("another tenant's version: %s", a)
	}

	if out := s.must(t, "policy", "rollback", "--tenant", "acme", "--reason", "all of it", "1"); !strings.Contains(out, "acme goes by version 5 of its policy") {
		t.Errorf("policy rollback = %s", out)
	}
	if out := s.must(t, "policy", "versions", "--tenant", "acme", "--limit", "2"); strings.Count(out, "\n") != 3 || !strings.Contains(out, "\n5 ") || !strings.Contains(out, "system:cli") {
		t.Errorf("policy versions =\n%s", out)
	}
	if out := s.must(t, "policy", "versions", "--tenant", "acme", "--json"); strings.Count(out, `"document"`) != 5 {
		t.Errorf("policy versions --json =\n%s", out)
	}
	if old := s.read(t, "policy", "show", "--tenant", "acme", "--version", "3"); old.at("version") != 3.0 || old.at("document", "accessTokenSeconds") != 180.0 {
		t.Errorf("policy show --version 3 = %s", old.raw)
	}
	s.refused(t, 1, tenant.ErrPolicyVersion.Reason, "policy", "rollback", "--tenant", "acme", "9")
	s.refused(t, 1, tenant.ErrPolicyVersion.Reason, "policy", "show", "--tenant", "acme", "--version", "9")
	s.refused(t, 2, "VERSION is a number", "policy", "rollback", "--tenant", "acme", "last")
	s.refused(t, 2, "--tenant is required", "policy", "versions")
	s.refused(t, 2, "--limit is between", "policy", "versions", "--tenant", "acme", "--limit", "0")
}

// The schema is where its $id says, for anybody, and the CLI prints the same. A document may
// name it, and is what it is without it.
func TestPolicySchema(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	got := w.call(t, "GET", policy.SchemaPath, "", nil)
	if got.status != http.StatusOK || got.raw != string(policy.Schema()) || got.header.Get("Content-Type") != "application/schema+json" || got.text("$id") != policy.SchemaPath {
		t.Fatalf("GET %s: %s", policy.SchemaPath, got)
	}
	if a := w.call(t, "GET", policy.SchemaPath, "", nil, "If-None-Match", got.header.Get("ETag")); a.status != http.StatusNotModified {
		t.Errorf("with its ETag: %s", a)
	}
	put := w.must(t, "PUT", "/admin/v1/policy", c.secret, map[string]any{"document": map[string]any{"$schema": w.url + policy.SchemaPath, "accessTokenSeconds": 120}, "reason": "by an editor"})
	document, _ := put.at("document").(map[string]any)
	if _, kept := document["$schema"]; kept || put.at("document", "accessTokenSeconds") != 120.0 {
		t.Errorf("PUT: %s", put)
	}
	s := newShell(t, w.cfg)
	if out := s.must(t, "policy", "schema"); out != string(policy.Schema()) {
		t.Errorf("policy schema =\n%s", out)
	}
}

// A draft is tried on what happened, over the API and by hand, and changes nothing.
func TestSimulatePolicy(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	c, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.enroll(t, c, "alice")
	w.signIn(t, c)
	draft := map[string]any{"document": map[string]any{"attestationConveyance": "direct", "requiredTrust": "MDS"}, "days": 2}
	got := w.must(t, "POST", "/admin/v1/policy:simulate", c.secret, draft)
	all, _ := got.at("all").(bool)
	if got.at("ceremonies") != 2.0 || got.at("incomplete") != 0.0 || !all || got.at("existing", "credentials") != 1.0 || got.at("existing", "refused") != 1.0 ||
		!strings.Contains(got.raw, "ATTESTATION_UNTRUSTED") {
		t.Errorf("simulated: %s", got)
	}
	if got.at("existing", "users") != 1.0 || got.at("existing", "unreachable") != 0.0 {
		t.Errorf("who could sign in: %s", got)
	}
	if a := w.must(t, "POST", "/admin/v1/policy:simulate", c.secret, map[string]any{"document": map[string]any{"minimumAal": 3}}); a.at("existing", "unreachable") != 1.0 {
		t.Errorf("a level that nobody reaches: %s", a)
	}
	if a := w.must(t, "POST", "/admin/v1/policy:simulate", globex.secret, draft); a.at("existing", "refused") == 1.0 || strings.Contains(a.raw, c.user) {
		t.Errorf("another tenant's: %s", a)
	}
	if a := w.call(t, "POST", "/admin/v1/policy:simulate", c.secret, map[string]any{"document": map[string]any{"requiredTrust": "MDS"}}); a.reason() != policy.ErrInvalid.Reason {
		t.Errorf("a draft that is none: %s", a)
	}
	if now := w.must(t, "GET", "/admin/v1/policy", c.secret, nil); now.at("version") != 1.0 {
		t.Errorf("the policy after it: %s", now)
	}

	file := filepath.Join(t.TempDir(), "draft.json")
	if err := os.WriteFile(file, []byte(`{"attestationConveyance":"direct","requiredTrust":"MDS"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := s.must(t, "policy", "simulate", "--tenant", "acme", file); !strings.Contains(out, "Of 1 credentials that exist, 1 would not be registered now: ATTESTATION_UNTRUSTED 1") ||
		!strings.Contains(out, "Of 1 users, 0 could not sign in any more") {
		t.Errorf("policy simulate =\n%s", out)
	}
	if a := s.read(t, "policy", "simulate", "--tenant", "acme", "--days", "2", file); a.at("existing", "refused") != 1.0 {
		t.Errorf("policy simulate --json = %s", a.raw)
	}
	s.refused(t, 2, "--tenant is required", "policy", "simulate", file)
	s.refused(t, 2, "--days is between", "policy", "simulate", "--tenant", "acme", "--days", "91", file)
}
