package webauthn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"
	"testing"
)

// Nobody can know the decoy's private key: its point comes out of a hash, and
// this is the hash.
func TestDecoyKeyIsDerivedFromASentence(t *testing.T) {
	x := sha256.Sum256([]byte("Biocore decoy key: nobody knows its private half"))
	for {
		if px, py := elliptic.UnmarshalCompressed(elliptic.P256(), append([]byte{2}, x[:]...)); px != nil {
			want := &ecdsa.PublicKey{Curve: elliptic.P256(), X: px, Y: py}
			got, ok := DecoyKey().public.(*ecdsa.PublicKey)
			if !ok || !want.Equal(got) {
				t.Fatalf("DecoyKey = %+v, want %+v", got, want)
			}
			break
		}
		x = sha256.Sum256(x[:])
	}
	// Least of all is it the generator, whose private key is 1.
	if got := DecoyKey().public.(*ecdsa.PublicKey); got.X.Cmp(elliptic.P256().Params().Gx) == 0 || got.X.Cmp(big.NewInt(0)) == 0 {
		t.Errorf("DecoyKey is a point with a known private key: %v", got.X)
	}
}
