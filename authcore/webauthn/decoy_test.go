package webauthn

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"testing"
)

// Nobody can know the decoy's private key: its x comes out of a hash, and this
// is the hash. Its y is the even one.
func TestDecoyKeyIsDerivedFromASentence(t *testing.T) {
	public, ok := DecoyKey().public.(*ecdsa.PublicKey)
	if !ok {
		t.Fatalf("DecoyKey = %T, want an elliptic curve key", DecoyKey().public)
	}
	got, err := public.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	x := sha256.Sum256([]byte("Biocore decoy key: nobody knows its private half"))
	for {
		if px, _ := elliptic.UnmarshalCompressed(elliptic.P256(), append([]byte{2}, x[:]...)); px != nil {
			break
		}
		x = sha256.Sum256(x[:])
	}
	if !bytes.Equal(got[1:33], x[:]) || got[64]%2 != 0 {
		t.Errorf("DecoyKey = %x, want the even point at x = %x", got, x)
	}
	if public.Curve != elliptic.P256() || DecoyKey().Algorithm() != ES256 {
		t.Errorf("DecoyKey is %v on %s", DecoyKey().Algorithm(), public.Curve.Params().Name)
	}
}
