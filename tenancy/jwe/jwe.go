// Package jwe encrypts a signed token to the public key that a tenant has registered,
// so that only the tenant's own services read its claims (RFC 7516; RFC 7519 §5.2, a
// nested JWT).
//
// Nothing is decrypted here: Biocore holds no key that a JWE is made for, and so has
// no decompression, no password-based iterations and no unwrapping for strangers to
// feed. What a key may be is decided once, by ParseKey, when it is registered.
package jwe

import (
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// How content is encrypted. One authenticated mode: nobody needs to choose.
const contentEncryption = jose.A256GCM

// Encryption names the content encryption in metadata.
const Encryption = string(contentEncryption)

// Algorithms that a key can be for (RFC 7518 §4), by its type. RSA1_5 and OAEP with
// SHA-1 are not among them, nor is agreement without key wrapping.
const (
	RSAOAEP256   = string(jose.RSA_OAEP_256)   // RSA, 2048 to 4096 bits
	ECDHESA256KW = string(jose.ECDH_ES_A256KW) // P-256 and P-384
)

// Algorithms lists them, for metadata.
func Algorithms() []string { return []string{ECDHESA256KW, RSAOAEP256} }

// Key is a recipient's public key. It is immutable and safe for concurrent use.
type Key struct {
	KID       string // the registered one, or the thumbprint of RFC 7638
	Algorithm string
	JWK       string // the members that matter, as they are stored and shown

	encrypter jose.Encrypter
}

// newKey makes a Key of what has been judged.
func newKey(kid, algorithm, jwk string, public any) (*Key, error) {
	options := (&jose.EncrypterOptions{Compression: jose.NONE}).
		// RFC 7519 §5.2: what is inside is a JWT. RFC 9068 §4: a resource server looks at
		// the type before it decrypts.
		WithContentType("JWT").WithType("at+jwt")
	encrypter, err := jose.NewEncrypter(contentEncryption, jose.Recipient{
		Algorithm: jose.KeyAlgorithm(algorithm), Key: public, KeyID: kid,
	}, options)
	if err != nil {
		return nil, fmt.Errorf("make encrypter: %w", err)
	}
	return &Key{KID: kid, Algorithm: algorithm, JWK: jwk, encrypter: encrypter}, nil
}

// Encrypt returns token as a JWE in compact form, for the holder of the private half.
// It is not compressed: lengths would tell of the claims (RFC 8725 §3.6).
func (k *Key) Encrypt(token []byte) (string, error) {
	object, err := k.encrypter.Encrypt(token)
	if err != nil {
		return "", fmt.Errorf("encrypt to key %s: %w", k.KID, err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("serialise JWE: %w", err)
	}
	return text, nil
}
