package webauthn_test

import (
	"crypto/x509"
	"testing"

	"github.com/biocore-id/biocore/authcore/webauthn"
)

// What steps 23 and 24 need: the type of the attestation and its chain.
func TestAttestationFacts(t *testing.T) {
	for _, tt := range []struct {
		name       string
		run        creation
		wantFormat string
		wantType   webauthn.AttestationType
		wantCerts  int
	}{
		{"none", creation{}, "none", webauthn.AttestationNone, 0},
		{"certificates that nobody asked for", creation{authenticator: certified}, "none", webauthn.AttestationNone, 0},
		{"packed self", creation{authenticator: selfAttesting}, "packed", webauthn.AttestationSelf, 0},
		{"packed basic", creation{authenticator: certified, conveyance: "direct"}, "packed", webauthn.AttestationBasic, 1},
		{"fido-u2f", creation{authenticator: u2f, conveyance: "direct"}, "fido-u2f", webauthn.AttestationBasic, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAuthenticator(t, tt.run.authenticator)
			reg, err := tt.run.runOn(t, a)
			if err != nil {
				t.Fatal(err)
			}
			att := reg.Attestation
			if att.Format != tt.wantFormat || att.Type != tt.wantType || len(att.X5C) != tt.wantCerts {
				t.Fatalf("attestation = %s %s with %d certificates", att.Format, att.Type, len(att.X5C))
			}
			if tt.wantCerts > 0 {
				checkChain(t, att.X5C[0], a.Root())
			}
		})
	}
	t.Run("compound", func(t *testing.T) {
		reg, err := creation{authenticator: certified, conveyance: "direct", response: compound(2)}.run(t)
		if err != nil {
			t.Fatal(err)
		}
		att := reg.Attestation
		if att.Format != "compound" || att.Type != webauthn.AttestationUnknown || len(att.Parts) != 2 {
			t.Fatalf("attestation = %+v", att)
		}
		for _, part := range att.Parts {
			if part.Format != "packed" || part.Type != webauthn.AttestationBasic || len(part.X5C) != 1 {
				t.Errorf("part = %+v", part)
			}
		}
	})
}

func checkChain(t *testing.T, leaf, root []byte) {
	t.Helper()
	certificate, err := x509.ParseCertificate(leaf)
	if err != nil {
		t.Fatal(err)
	}
	anchor, err := x509.ParseCertificate(root)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(anchor)
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Errorf("the reported certificate does not chain to the authenticator's root: %v", err)
	}
}

// compound turns a statement into a compound one of n parts like it (WebAuthn
// L3 #sctn-compound-attestation).
func compound(n int) func(*webauthn.RegistrationResponse) {
	return attestationObject(func(o map[string]any) {
		part := map[string]any{"fmt": o["fmt"], "attStmt": o["attStmt"]}
		parts := make([]any, n)
		for i := range parts {
			parts[i] = part
		}
		o["fmt"], o["attStmt"] = "compound", parts
	})
}
