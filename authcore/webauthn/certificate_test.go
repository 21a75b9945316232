package webauthn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// A certificate whose key is dear to verify with is refused before anything is
// verified: 127,000 bits of RSA fit into a request and take seconds each time.
func TestCertificatesWithUnreasonableKeys(t *testing.T) {
	modulus := func(bits int) *big.Int {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return n.SetBit(n, 0, 1)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		key  any
		ok   bool
	}{
		{"P-256", &curve.PublicKey, true},
		{"RSA 2048", &rsa.PublicKey{N: modulus(2048), E: 65537}, true},
		{"RSA 4096", &rsa.PublicKey{N: modulus(4096), E: 65537}, true},
		{"RSA 4097", &rsa.PublicKey{N: modulus(4097), E: 65537}, false},
		{"RSA 127000", &rsa.PublicKey{N: modulus(127_000), E: 1<<31 - 1}, false},
		{"a large exponent", &rsa.PublicKey{N: modulus(2048), E: 1<<31 - 1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Now()
			of := &x509.Certificate{
				SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "attestation"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
			}
			der, err := x509.CreateCertificate(rand.Reader, of, of, tt.key, curve)
			if err != nil {
				t.Fatal(err)
			}
			_, err = certificates(map[string]any{"x5c": []any{der}})
			if (err == nil) != tt.ok {
				t.Errorf("certificates: %v, want accepted = %t", err, tt.ok)
			}
		})
	}
}
