package biocore

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Sizes of RSA keys: fewer bits can be factored, more are only slow.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// parseJWKS reads a JWK Set (RFC 7517 §5). A key that one cannot use is left out, as the
// standard wants it, so that a newer server may publish one; tokens under it are then of
// an unknown key. Two keys of one kid are both left out: nobody could say whose a
// signature is; a set of two lists is none. A set in which nothing is left is a set: the tenant has no key any more.
func parseJWKS(text []byte) (map[string]publicKey, error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || set.Keys == nil || !distinct(text, []string{"keys"}) {
		return nil, errors.New("not a JSON Web Key Set")
	}
	keys, seen := make(map[string]publicKey, len(*set.Keys)), make(map[string]bool, len(*set.Keys))
	for _, raw := range *set.Keys {
		// The kid is read by itself: a key that cannot be used makes its name ambiguous, too.
		var named struct {
			KID string `json:"kid"`
		}
		if err := json.Unmarshal(raw, &named); err != nil || named.KID == "" {
			continue
		}
		if seen[named.KID] {
			delete(keys, named.KID)
			continue
		}
		seen[named.KID] = true
		if key, err := parseKey(raw, named.KID); err == nil {
			keys[named.KID] = key
		}
	}
	return keys, nil
}

// parseKey takes a public key for signatures whose algorithm is one of ours and fits it.
func parseKey(raw json.RawMessage, kid string) (publicKey, error) {
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(raw); err != nil {
		return publicKey{}, err
	}
	if jwk.KeyID != kid || jwk.Use != "" && jwk.Use != "sig" {
		return publicKey{}, fmt.Errorf("kid %q, use %q", jwk.KeyID, jwk.Use)
	}
	// Private keys and symmetric ones are other types. A private key that the world can
	// read signs for the world.
	fits := false
	switch key := jwk.Key.(type) {
	case *ecdsa.PublicKey:
		fits = jwk.Algorithm == algES256 && key.Curve == elliptic.P256()
	case ed25519.PublicKey:
		fits = jwk.Algorithm == algEdDSA
	case *rsa.PublicKey:
		fits = jwk.Algorithm == algRS256 && key.N.BitLen() >= minRSABits && key.N.BitLen() <= maxRSABits
	}
	if !fits {
		return publicKey{}, fmt.Errorf("a key of %T for %q", jwk.Key, jwk.Algorithm)
	}
	return publicKey{alg: jwk.Algorithm, key: jwk.Key}, nil
}
