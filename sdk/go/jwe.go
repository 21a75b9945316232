package biocore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// DecryptionKey is the private half of the key that the tenant registered to have its
// tokens encrypted. It prints nothing of itself.
type DecryptionKey struct {
	kid  string
	key  crypto.PrivateKey
	algs []jose.KeyAlgorithm
}

// NewDecryptionKey returns the key of that kid: *rsa.PrivateKey of 2048 bits or more for
// RSA-OAEP-256, *ecdsa.PrivateKey on P-256, P-384 or P-521 for ECDH-ES and
// ECDH-ES+A256KW. Without a kid it is tried on every token.
func NewDecryptionKey(kid string, key crypto.PrivateKey) (DecryptionKey, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < minRSABits {
			return DecryptionKey{}, fmt.Errorf("biocore: a decryption key of %d bits is too short", k.N.BitLen())
		}
		return DecryptionKey{kid: kid, key: k, algs: []jose.KeyAlgorithm{jose.RSA_OAEP_256}}, nil
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return DecryptionKey{}, errors.New("biocore: a decryption key on an unknown curve")
		}
		return DecryptionKey{kid: kid, key: k, algs: []jose.KeyAlgorithm{jose.ECDH_ES, jose.ECDH_ES_A256KW}}, nil
	}
	return DecryptionKey{}, fmt.Errorf("biocore: a decryption key is RSA or EC and private, not %T", key)
}

// ParseDecryptionKey reads a private JWK (RFC 7517).
func ParseDecryptionKey(jwk []byte) (DecryptionKey, error) {
	var parsed jose.JSONWebKey
	if err := parsed.UnmarshalJSON(jwk); err != nil {
		return DecryptionKey{}, errors.New("biocore: unreadable JWK") // what is wrong with it may be the key itself
	}
	return NewDecryptionKey(parsed.KeyID, parsed.Key)
}

// String hides the key.
func (k DecryptionKey) String() string { return "decryption key " + k.kid }

// GoString hides the key.
func (k DecryptionKey) GoString() string { return k.String() }

// isJWE tells a JWE in compact form (RFC 7516 §7.1) from a JWS.
func isJWE(token string) bool { return strings.Count(token, ".") == 4 }

// decrypt returns the JWS inside a token that was encrypted to one of keys. Everything
// that goes wrong behind the header is ErrDecryption, whatever it was.
func decrypt(keys []DecryptionKey, token string) (string, error) {
	protected, _, _ := strings.Cut(token, ".")
	// zip is not among the members: a few bytes that become gigabytes are refused unread
	// (RFC 8725 §3.6). Nor are p2c and the like.
	header, err := parseHeader(protected, "alg", "enc", "kid", "typ", "cty", "epk", "apu", "apv")
	if err != nil {
		return "", fmt.Errorf("%w: encryption header: %w", ErrMalformed, err)
	}
	if header["cty"] != "JWT" {
		return "", fmt.Errorf("%w: no JWT inside", ErrMalformed)
	}
	for _, k := range keys {
		if k.kid != "" && header["kid"] != "" && k.kid != header["kid"] {
			continue
		}
		jwe, err := jose.ParseEncryptedCompact(token, k.algs, []jose.ContentEncryption{jose.A256GCM})
		if err != nil {
			continue
		}
		if inner, err := jwe.Decrypt(k.key); err == nil {
			return string(inner), nil
		}
	}
	return "", ErrDecryption
}
