package main

import (
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Signing keys at the command line, and a server that runs beside it.
func TestKeysCommands(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	c := w.tenant(t, "acme")
	w.tenant(t, "globex")
	w.enroll(t, c, "ada")
	w.signIn(t, c)

	before := s.read(t, "keys", "list", "--tenant", "acme")
	if data := before.items("dataKeys"); len(data) != 2 || data[0].text("use") != "seals" || data[1].text("use") != "root" {
		t.Errorf("keys list --json = %s", before.raw)
	}
	old := before.items("signingKeys")[0].text("kid")
	if strings.Contains(before.raw, `"d"`) {
		t.Error("a list shows a private key")
	}
	made := s.read(t, "keys", "rotate", "--tenant", "acme", "--algorithm", "EdDSA", "--reason", "yearly")
	if made.text("state") != "PENDING" || made.text("algorithm") != "EdDSA" || made.text("publicKey", "crv") != "Ed25519" {
		t.Errorf("keys rotate --json = %s", made.raw)
	}
	s.refused(t, 1, keys.ErrKeyPending.Reason, "keys", "rotate", "--tenant", "acme")
	s.refused(t, 1, keys.ErrAlgorithm.Reason, "keys", "rotate", "--tenant", "globex", "--algorithm", "HS256")
	s.refused(t, 2, "--tenant is required", "keys", "rotate")
	s.refused(t, 2, "--data is of data keys", "keys", "rotate", "--tenant", "acme", "--data", "--now")
	if out := s.must(t, "keys", "rotate", "--tenant", "acme", "--now"); !strings.Contains(out, made.text("kid")+" (EdDSA) signs from now on") {
		t.Errorf("keys rotate --now = %s", out)
	}
	// The server signs with it within a second, and takes what the old one has signed.
	dbtest.Seen(t, "the new signing key", func() string {
		a := w.must(t, "POST", "/v1/sessions:refresh", c.secret, map[string]any{"refreshToken": c.refresh})
		c.refresh = a.text("session", "refreshToken")
		if kid := kidOf(t, a.text("session", "accessToken")); kid != made.text("kid") {
			return "the server signs by " + kid
		}
		return ""
	})
	if a := w.must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": c.access}); !a.active() {
		t.Errorf("a token of the retiring key: %s", a)
	}
	s.refused(t, 1, keys.ErrKeyNotFound.Reason, "keys", "revoke", "--tenant", "globex", old)
	if revoked := s.read(t, "keys", "revoke", "--tenant", "acme", old, "--reason", "leaked"); revoked.text("state") != "REVOKED" {
		t.Errorf("keys revoke --json = %s", revoked.raw)
	}
	dbtest.Seen(t, "the revocation", func() string {
		if w.must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": c.access}).active() {
			return "a token of the revoked key is good"
		}
		return ""
	})

	if version := s.read(t, "keys", "rotate", "--tenant", "acme", "--data"); version.at("version") != 2.0 {
		t.Errorf("keys rotate --data --json = %s", version.raw)
	}
	list := s.must(t, "keys", "list")
	for _, want := range []string{"TENANT", "platform ", "globex ", made.text("kid"), "EdDSA"} {
		if !strings.Contains(list, want) {
			t.Errorf("keys list has no %q:\n%s", want, list)
		}
	}
	one := s.must(t, "keys", "list", "--tenant", "acme")
	for _, want := range []string{"seals", "opens", "root", "REVOKED", "ACTIVE"} {
		if !strings.Contains(one, want) {
			t.Errorf("keys list --tenant acme has no %q:\n%s", want, one)
		}
	}
	if set := s.read(t, "keys", "jwks", "--tenant", "acme").items("keys"); len(set) != 2 {
		t.Errorf("keys jwks has %d keys, want the revoked one as well", len(set))
	}
}

// A tenant's keys are destroyed for ever, and the certificate says what was: to whoever
// has the platform's public keys, without a network.
func TestKeysShred(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "ada")
	w.must(t, "GET", "/v1/users/"+c.user, c.secret, nil)

	s.refused(t, 2, "--confirm acme is required", "keys", "shred", "acme")
	s.refused(t, 2, "--confirm acme is required", "keys", "shred", "acme", "--confirm", "acne")
	s.refused(t, 2, "--reason is required", "keys", "shred", "acme", "--confirm", "acme")
	s.refused(t, 2, "longer than 256 characters", "keys", "shred", "acme", "--confirm", "acme", "--reason", strings.Repeat("ä", 257))
	s.refused(t, 1, tenant.ErrNotSuspended.Reason, "keys", "shred", "acme", "--confirm", "acme", "--reason", strings.Repeat("ä", 256))
	s.refused(t, 1, tenant.ErrNotFound.Reason, "keys", "shred", platformSlug, "--confirm", platformSlug, "--reason", "x")
	s.must(t, "tenant", "suspend", "acme", "--reason", "contract ended")
	certificate, said, code := s.run(t, "keys", "shred", "acme", "--confirm", "acme", "--reason", "contract ended")
	if code != 0 || !strings.Contains(said, "The keys of acme are destroyed") {
		t.Fatalf("keys shred = %d\n%s", code, said)
	}
	again, said, code := s.run(t, "keys", "shred", "acme", "--confirm", "acme", "--reason", "once more")
	if code != 0 || again != certificate || !strings.Contains(said, "The keys of acme were destroyed at "+time.Now().UTC().Format("2006-01-02T")) {
		t.Errorf("again = %d with another certificate, or %s", code, said)
	}
	s.refused(t, 1, tenant.ErrDeleting.Reason, "keys", "rotate", "--tenant", "acme")
	s.refused(t, 1, tenant.ErrDeleting.Reason, "keys", "rotate", "--tenant", "acme", "--data")
	s.refused(t, 1, tenant.ErrDeleting.Reason, "tenant", "resume", "acme")
	w.until(t, tenant.ErrKeysOfDeleting.Reason, func() answer { return w.call(t, "GET", "/v1/users/"+c.user, c.secret, nil) })
	if a := w.must(t, "GET", "/admin/v1/tenants/"+c.id, w.platformKey, nil); a.text("state") != string(tenant.Deleting) {
		t.Errorf("a shredded tenant: %s", a)
	}
	for _, document := range []string{
		"/t/acme/.well-known/jwks.json", "/t/acme/.well-known/biocore-configuration", "/t/acme/.well-known/oauth-authorization-server",
	} {
		dbtest.Seen(t, document+" of a shredded tenant", func() string {
			if a := w.call(t, "GET", document, "", nil); a.status != http.StatusNotFound {
				return a.String()
			}
			return ""
		})
	}
	var left int
	if err := w.store.Superuser(t).QueryRow(t.Context(), `SELECT (SELECT count(*) FROM data_keys WHERE tenant_id = $1)
		+ (SELECT count(*) FROM signing_keys WHERE tenant_id = $1 AND private_sealed IS NOT NULL)`, c.id).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d keys are left, %v", left, err)
	}
	if n := w.auditCount(t, c.id, "tenant.shred"); n != 1 {
		t.Errorf("%d audit entries, want 1", n)
	}

	// Offline. The platform's key may be revoked meanwhile.
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	kid := w.platformKID(t, s)
	s.must(t, "keys", "revoke", "--tenant", platformSlug, kid)
	jwks := write("keys.json", s.must(t, "keys", "jwks"))
	nowhere := &shell{dir: t.TempDir()}
	good := write("good.jws", certificate)
	said = nowhere.must(t, "keys", "certify", "--jwks", jwks, good)
	for _, want := range []string{"The signature is good.", kid, "acme, " + c.id, "contract ended", "backups"} {
		if !strings.Contains(said, want) {
			t.Errorf("keys certify has no %q:\n%s", want, said)
		}
	}
	if data := nowhere.read(t, "keys", "certify", "--jwks", jwks, good).items("dataKeys"); len(data) != 2 {
		t.Errorf("the certificate names %d data keys, want 2", len(data))
	}
	parts := strings.Split(strings.TrimSpace(certificate), ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	forged := parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), "contract ended", "contract endex", 1))) + "." + parts[2]
	w.enroll(t, w.tenant(t, "globex"), "bob")
	for name, path := range map[string]string{
		"another text": write("forged.jws", forged), "no signature": write("none.jws", parts[0]+"."+parts[1]+"."), "no JWS": write("no.jws", "x"),
	} {
		_, said, code := nowhere.run(t, "keys", "certify", "--jwks", jwks, path)
		if code != 1 || !strings.Contains(said, keys.ErrCertificate.Error()) {
			t.Errorf("%s: keys certify = %d, %s", name, code, said)
		}
	}
	other := write("other.json", s.must(t, "keys", "jwks", "--tenant", "globex"))
	if _, said, code := nowhere.run(t, "keys", "certify", "--jwks", other, good); code != 1 || !strings.Contains(said, "none of the keys has its kid") {
		t.Errorf("with another tenant's keys: %d, %s", code, said)
	}
}

func (w *world) platformKID(t *testing.T, s *shell) string {
	t.Helper()
	return s.read(t, "keys", "list", "--tenant", platformSlug).items("signingKeys")[0].text("kid")
}

// The error names the key that its reader has to revoke, and nothing that could be a secret.
func TestExplainNamesKeys(t *testing.T) {
	kid, secret := "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U", "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U7"
	for _, tt := range []struct {
		metadata map[string]string
		want     string
	}{
		{map[string]string{"kid": kid}, " kid=" + kid},
		{map[string]string{"kid": kid, "a": "b", "token": kid}, " a=b token=[redacted] kid=" + kid},
		{map[string]string{"kid": secret}, " kid=[redacted]"},
	} {
		err := keys.ErrKeyPending
		for key, value := range tt.metadata {
			err = err.With(key, value)
		}
		if got := explain(err); !strings.HasSuffix(got, "(SIGNING_KEY_PENDING)"+tt.want) || strings.Contains(got, secret) {
			t.Errorf("%v: %s", tt.metadata, got)
		}
	}
	if got := scrub("kid=" + kid); strings.Contains(got, kid) {
		t.Errorf("the log would hold %s", got)
	}
}

// Moving to another KMS key, with servers that go on: killed in the middle, run again.
func TestKeysRewrap(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	old := cfg.KMSURL
	w := startWorld(t, store, cfg)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "ada")
	for range 60 {
		if err := w.keys.Ensure(t.Context(), store.Tenant(t)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "new.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	cfg.KMSURL, cfg.KMSPreviousURLs = "local:"+path, old
	s := newShell(t, cfg)
	restarted := startWorld(t, store, cfg) // beside the one that knows the old key alone

	under := func() (moved, all int) {
		if err := store.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FILTER (WHERE rewrapped_at IS NOT NULL), count(*) FROM data_keys").Scan(&moved, &all); err != nil {
			t.Fatal(err)
		}
		return moved, all
	}
	p := startProgram(t, launch{args: []string{"keys", "rewrap"}, dir: s.dir})
	for deadline := time.Now().Add(programLimit); ; {
		if moved, _ := under(); moved >= 10 {
			break
		}
		if time.Now().After(deadline) || p.hasEnded() {
			break
		}
	}
	if err := p.Process.Signal(syscall.SIGKILL); err != nil {
		t.Logf("it had ended: %v", err)
	}
	p.exit(t)
	moved, all := under()
	if moved == 0 || moved == all {
		t.Fatalf("killed after %d of %d keys: not in the middle", moved, all)
	}
	restarted.must(t, "GET", "/v1/users/"+c.user, c.secret, nil)
	ofDataKeys := func() finding {
		all, _, _ := s.doctor(t)
		return all[slices.IndexFunc(all, func(f finding) bool { return f.Name == "data keys" })]
	}
	if f := ofDataKeys(); f.Verdict != doubtful || !strings.Contains(f.Fix, "biocore keys rewrap") {
		t.Errorf("the doctor, in the middle: %+v", f)
	}
	done := s.read(t, "keys", "rewrap")
	if n, _ := done.at("rewrapped").(float64); int(n) != all-moved {
		t.Errorf("the second run wrapped %v keys, want the %d that were left", done.at("rewrapped"), all-moved)
	}
	if n := s.read(t, "keys", "rewrap").at("rewrapped"); n != 0.0 {
		t.Errorf("the third run wrapped %v keys, want none", n)
	}
	cfg.KMSPreviousURLs = ""
	s.leave(t, cfg)
	if f := ofDataKeys(); f.Verdict != well {
		t.Errorf("the doctor, without the old key: %+v", f)
	}
	alone := startWorld(t, store, cfg)
	alone.must(t, "GET", "/v1/users/"+c.user, c.secret, nil)
}

// A server whose KMS key is not the one that wrapped the others' keys does not start:
// what it would wrap, nobody else could open.
func TestServeRefusesAStrayKMSKey(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	startWorld(t, store, cfg)
	path := filepath.Join(t.TempDir(), "stray.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	cfg.KMSURL = "local:" + path
	tel, err := startTelemetry(t.Context(), TelemetryConfig{LogOutput: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newServer(t.Context(), cfg, tel); err == nil || !strings.Contains(err.Error(), "BIOCORE_KMS_PREVIOUS_URLS") {
		t.Errorf("newServer = %v, want it refused with what to do", err)
	}
}
