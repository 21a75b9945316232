package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// xaes is XAES-256-GCM (C2SP): AES-256-GCM under a key derived from the first half
// of a 24-byte nonce. Plain AES-GCM allows 2^32 random nonces a key, which a busy
// tenant's sign-in challenges pass in weeks; this allows 2^80, for two more AES
// blocks and a key schedule (xaes_test.go: the published vectors).
type xaes struct {
	block cipher.Block
	k1    [aes.BlockSize]byte
}

const (
	xaesNonceBytes = 24
	tagBytes       = 16
)

func newXAES(key *[keyBytes]byte) *xaes {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("keys: AES refused 32 bytes: " + err.Error()) // cannot happen
	}
	x := &xaes{block: block}
	// The CMAC subkey K1 (NIST SP 800-38B): AES(0) doubled in GF(2^128).
	block.Encrypt(x.k1[:], x.k1[:])
	var carry byte
	for i := len(x.k1) - 1; i >= 0; i-- {
		next := x.k1[i] >> 7
		x.k1[i] = x.k1[i]<<1 | carry
		carry = next
	}
	x.k1[len(x.k1)-1] ^= byte(subtle.ConstantTimeSelect(int(carry), 0b10000111, 0)) //nolint:gosec // one of two small constants
	return x
}

// derive returns AES-GCM under the key of the nonce's first half.
func (x *xaes) derive(nonce []byte) cipher.AEAD {
	key := make([]byte, 2*aes.BlockSize)
	for i := range 2 {
		m := key[i*aes.BlockSize : (i+1)*aes.BlockSize]
		m[1], m[2] = byte(i+1), 'X'
		copy(m[4:], nonce[:12])
		subtle.XORBytes(m, m, x.k1[:])
		x.block.Encrypt(m, m)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("keys: AES refused 32 bytes: " + err.Error()) // cannot happen
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic("keys: GCM refused AES: " + err.Error()) // cannot happen
	}
	return gcm
}

func (x *xaes) seal(dst, nonce, plaintext, ad []byte) []byte {
	return x.derive(nonce).Seal(dst, nonce[12:xaesNonceBytes], plaintext, ad)
}

func (x *xaes) open(dst, nonce, sealed, ad []byte) ([]byte, error) {
	return x.derive(nonce).Open(dst, nonce[12:xaesNonceBytes], sealed, ad)
}
