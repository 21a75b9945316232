package keys

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The vectors are C2SP's (XAES-256-GCM, "Test vectors"): one for each value of the
// bit that decides the CMAC subkey's reduction.
func TestXAESVectors(t *testing.T) {
	for _, tt := range []struct {
		name, ad, want string
		key            byte
	}{
		{name: "without reduction", key: 1, want: "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{name: "with reduction", key: 3, ad: "c2sp.org/XAES-256-GCM", want: "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newXAES((*[keyBytes]byte)(bytes.Repeat([]byte{tt.key}, keyBytes)))
			nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
			sealed := x.seal(nil, nonce, []byte("XAES-256-GCM"), []byte(tt.ad)) //nolint:gosec // the vector has this nonce
			if got := hex.EncodeToString(sealed); got != tt.want {
				t.Fatalf("sealed = %s, want %s", got, tt.want)
			}
			plain, err := x.open(nil, nonce, sealed, []byte(tt.ad))
			if err != nil || string(plain) != "XAES-256-GCM" {
				t.Errorf("open = %q, %v", plain, err)
			}
		})
	}
}
