package webauthn_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"testing"

	"github.com/biocore-id/biocore/authcore/webauthn"
)

// The oracle is the COSE_Key that the tests of the parser write by hand.
func TestEncodePublicKey(t *testing.T) {
	p256, cose256 := ellipticKey(t, elliptic.P256(), -7, 1)
	p384, cose384 := ellipticKey(t, elliptic.P384(), -35, 2)
	p521, cose521 := ellipticKey(t, elliptic.P521(), -36, 3)
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short := &rsa.PublicKey{N: rsa2048.N, E: 1}
	for _, tt := range []struct {
		name      string
		public    crypto.PublicKey
		algorithm webauthn.Algorithm
		want      coseKey
		wantErr   error
	}{
		{"P-256", &p256.PublicKey, 0, cose256, nil},
		{"P-256, fully specified", &p256.PublicKey, webauthn.ESP256, cose256.with(3, -9), nil},
		{"P-384", &p384.PublicKey, 0, cose384, nil},
		{"P-521", &p521.PublicKey, 0, cose521, nil},
		{"Ed25519", ed, 0, coseKey{1: 1, 3: -8, -1: 6, -2: []byte(ed)}, nil},
		{"RSA", &rsa2048.PublicKey, 0, rsaKey(rsa2048.N.Bytes(), 1, 0, 1), nil},
		{"RSA, PSS", &rsa2048.PublicKey, webauthn.PS256, rsaKey(rsa2048.N.Bytes(), 1, 0, 1).with(3, -37), nil},
		{"another curve's algorithm", &p256.PublicKey, webauthn.ES384, nil, webauthn.ErrMalformed},
		{"another kind's algorithm", &p256.PublicKey, webauthn.RS256, nil, webauthn.ErrMalformed},
		{"an algorithm that is not supported", &rsa2048.PublicKey, -65535, nil, webauthn.ErrAlgorithm},
		{"a curve that is not supported", &p224.PublicKey, 0, nil, webauthn.ErrMalformed},
		{"an exponent of 1", short, 0, nil, webauthn.ErrMalformed},
		{"no key", nil, 0, nil, webauthn.ErrAlgorithm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := webauthn.EncodePublicKey(tt.public, tt.algorithm)
			if !errors.Is(err, tt.wantErr) {
				t.Fatalf("EncodePublicKey error = %v, want %v", err, tt.wantErr)
			}
			if tt.want != nil && !bytes.Equal(got, tt.want.encode(t)) {
				t.Errorf("EncodePublicKey = %x, want %x", got, tt.want.encode(t))
			}
		})
	}
}
