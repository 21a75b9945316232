package attestation_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/authcore/webauthn"
)

// hostile is the statement that costs most of those that package webauthn lets through:
// every certificate has the same key and issues every other, and all that tells them apart
// is a name that crypto/x509 compares. No root signed any of them, and each of 32 roots
// has their name.
func hostile(t testing.TB) (webauthn.Attestation, []attestation.Root) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := template{name: "Anybody", key: key, ca: true}.by(t, nil)
	ids := make([]*identity, 6)
	for i := range ids {
		ids[i] = template{name: "Anybody", key: key, ca: true, notBefore: now.AddDate(0, 0, i-9), extra: []pkix.Extension{dnsName(t, fmt.Sprintf("%d.example", i))}}.by(t, own)
	}
	roots := make([]attestation.Root, 32)
	for i := range roots {
		roots[i] = attestation.Root{ID: uuid.New(), Certificate: template{name: "Anybody", ca: true}.by(t, nil).cert}
	}
	return packed(ids...), roots
}

func dnsName(t testing.TB, name string) pkix.Extension {
	t.Helper()
	value, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte(name)}})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}
}

// Whoever registers makes the chain that is judged, and must not choose what that costs.
// It is measured in what verifying one signature allocates, whatever else the machine does.
// Reading the certificates comes to as much as 25. Asking for each root and each time by
// itself came to 780 under one root, and to 24,000 under 32.
func TestJudgeHostileChain(t *testing.T) {
	att, roots := hostile(t)
	certs := make([]*identity, 2)
	for i := range certs {
		certs[i] = template{name: "Anybody", ca: true}.by(t, nil)
	}
	signature := testing.AllocsPerRun(10, func() {
		if err := certs[0].cert.CheckSignatureFrom(certs[1].cert); err == nil {
			t.Error("a root is signed by another")
		}
	})
	for _, n := range []int{1, 32} {
		got := testing.AllocsPerRun(1, func() {
			if v := attestation.Judge(att, model, now, nil, roots[:n]); v.Trust != attestation.Untrusted {
				t.Errorf("Judge = %s", v.Trust)
			}
		})
		if most := signature * float64(50+5*n); signature == 0 || got > most {
			t.Errorf("%d roots: %.0f allocations where a signature takes %.0f, want at most %.0f", n, got, signature, most)
		}
	}
}

func BenchmarkJudgeHostileChain(b *testing.B) {
	att, roots := hostile(b)
	for _, n := range []int{1, 32} {
		b.Run(fmt.Sprintf("roots=%d", n), func(b *testing.B) {
			for b.Loop() {
				attestation.Judge(att, model, now, nil, roots[:n])
			}
		})
	}
}
