package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/report"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// An auditor's report of a sound installation, verified by the platform's key set alone; then of one with a hole.
func TestIsolationReport(t *testing.T) {
	c := newClinic(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "isolation.json")
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}

	// What the publisher of the release has signed.
	seed := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public, _ := seed.Public().(ed25519.PublicKey)
	b64 := base64.RawURLEncoding
	thumbprint := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + b64.EncodeToString(public) + `"}`))
	kid := b64.EncodeToString(thumbprint[:])
	release := `{"format":"biocore-isolation-release-v1","version":"v1","commit":"abc","clean":true,"holds":true,"checks":[]}`
	protected := b64.EncodeToString([]byte(`{"alg":"EdDSA","kid":"` + kid + `","typ":"` + report.SignatureType + `"}`))
	jws := protected + ".." + b64.EncodeToString(ed25519.Sign(seed, []byte(protected+"."+b64.EncodeToString([]byte(release)))))
	evidence := writeTo(t, "release.json", []byte(release))
	if err := os.WriteFile(evidence+report.SignatureSuffix, []byte(jws), 0o600); err != nil {
		t.Fatal(err)
	}
	jwks := writeTo(t, "publisher.json", []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"`+b64.EncodeToString(public)+`","kid":"`+kid+`","alg":"EdDSA","use":"sig"}]}`))

	said, complaint, code := c.run(t, "doctor", "--isolation-report", file, "--release-report", evidence, "--release-keys", jwks)
	if code != 0 || !strings.Contains(said, ": 0 findings") || !strings.Contains(said, "ANOTHER build") {
		t.Fatalf("doctor = %d: %s %s", code, said, complaint)
	}
	store := c.store.Store
	opened, err := kms.OpenAll(t.Context(), c.cfg.KMSURL, c.cfg.previousKMS())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.New(keys.Options{Store: store, KMS: opened}).Ring(t.Context(), scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "test"}))
	if err != nil {
		t.Fatal(err)
	}
	body := read("isolation.json")
	if _, err := report.VerifyFile(ring.JWKS(), body, string(read("isolation.json.jws"))); err != nil {
		t.Errorf("the signature: %v", err)
	}
	if _, err := report.VerifyFile(ring.JWKS(), append(body, ' '), string(read("isolation.json.jws"))); err == nil {
		t.Error("another text has the signature, too")
	}
	var got isolationReport
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if !got.Holds || len(got.Walk) < 15 || len(got.Tables) < 50 || len(got.Probes) != 7 || got.Schema == 0 || got.Release == nil || !got.Release.Holds || got.Release.Same || got.Release.KID != kid {
		t.Errorf("the report: holds %v, %d checks, %d tables, %d probes, release %+v", got.Holds, len(got.Walk), len(got.Tables), len(got.Probes), got.Release)
	}

	// What the publisher did not sign is not taken in, and nothing is written.
	if err := os.WriteFile(evidence, []byte(strings.Replace(release, `"abc"`, `"def"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.json")
	if _, complaint, code := c.run(t, "doctor", "--isolation-report", other, "--release-report", evidence, "--release-keys", jwks); code != 1 || !strings.Contains(complaint, "signed") || exists(other) {
		t.Errorf("an edited release report: %d, %s", code, complaint)
	}
	if _, complaint, code := c.run(t, "doctor", "--release-report", evidence); code != 2 || !strings.Contains(complaint, "--isolation-report") {
		t.Errorf("a release alone: %d, %s", code, complaint)
	}

	c.exec(t, "ALTER TABLE users DISABLE ROW LEVEL SECURITY")
	said, complaint, code = c.run(t, "doctor", "--isolation-report", file)
	if code != 1 || !strings.Contains(complaint, "does not hold") || !strings.Contains(said, "public.users: row-level security is off") {
		t.Errorf("with a hole: %d, %s %s", code, said, complaint)
	}
	got = isolationReport{}
	if err := json.Unmarshal(read("isolation.json"), &got); err != nil || got.Holds || got.Release != nil {
		t.Errorf("the report of a hole says: %v, %v", got.Holds, err)
	}
}
