package webauthn

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// Whatever crypto/x509 reads as a certificate is shown to the library with another
// validity and nothing else changed.
func FuzzWithValidity(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Fuzz"},
		NotBefore: time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add([]byte{0x30, 0x00})
	f.Add([]byte{0x30, 0x06, 0x30, 0x00, 0x30, 0x00, 0x03, 0x00})

	from := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, der []byte) {
		got, err := withValidity(der, from, from.AddDate(1, 0, 0))
		before, unreadable := x509.ParseCertificate(der)
		if unreadable != nil {
			return // refused before
		}
		if err != nil {
			t.Fatalf("withValidity error = %v", err)
		}
		after, err := x509.ParseCertificate(got)
		if err != nil {
			t.Fatalf("the copy cannot be read: %v", err)
		}
		if !after.NotBefore.Equal(from) || !after.NotAfter.Equal(from.AddDate(1, 0, 0)) {
			t.Errorf("validity = %v to %v", after.NotBefore, after.NotAfter)
		}
		if !bytes.Equal(after.RawSubjectPublicKeyInfo, before.RawSubjectPublicKeyInfo) ||
			!bytes.Equal(after.RawSubject, before.RawSubject) || !bytes.Equal(after.RawIssuer, before.RawIssuer) ||
			len(after.Extensions) != len(before.Extensions) || !bytes.Equal(after.Signature, before.Signature) {
			t.Error("more than the validity changed")
		}
	})
}
