package biocore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1). There is no other: what is not
// written here cannot be asked for by a token, nor by a key.
const (
	algES256 = "ES256"
	algEdDSA = "EdDSA"
	algRS256 = "RS256"
)

// accessTokenType keeps receipts and other JWTs under the same keys from passing for an
// access token (RFC 8725 §3.11).
const accessTokenType = "at+jwt"

// es256Bytes is r ‖ s (RFC 7518 §3.4).
const es256Bytes = 64

// strict takes one spelling of each value: no padding, no stray bits in the last
// character. Go's decoder passes over line breaks; parse refuses them.
var strict = base64.RawURLEncoding.Strict()

// jws is a token taken apart, and not yet believed.
type jws struct {
	alg, kid  string
	input     string // what was signed
	payload   []byte
	signature []byte
}

// parseJWS takes a JWS in compact form apart (RFC 7515 §7.1). Its header has alg, kid
// and typ, each once and no more: so there is no key in it to trust (jwk, x5c) or to
// fetch (jku, x5u), and no extension that one would have to understand (crit, b64).
func parseJWS(token string) (jws, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || strings.ContainsAny(token, "\r\n") {
		return jws{}, ErrMalformed
	}
	header, err := parseHeader(parts[0], "alg", "kid", "typ")
	if err != nil {
		return jws{}, fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	if header["typ"] != accessTokenType {
		return jws{}, fmt.Errorf("%w: typ is not %s", ErrMalformed, accessTokenType)
	}
	if header["kid"] == "" {
		return jws{}, fmt.Errorf("%w: no kid", ErrMalformed)
	}
	payload, err := strict.DecodeString(parts[1])
	if err != nil {
		return jws{}, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
	}
	signature, err := strict.DecodeString(parts[2])
	if err != nil {
		return jws{}, fmt.Errorf("%w: signature: %w", ErrMalformed, err)
	}
	return jws{
		alg: header["alg"], kid: header["kid"], input: token[:len(parts[0])+1+len(parts[1])],
		payload: payload, signature: signature,
	}, nil
}

// parseHeader reads a header of members that are allowed, each at most once and spelled as
// here: two readers must not find two meanings (RFC 7515 §4, RFC 8725 §2.4). Values that
// are no strings are there and empty.
func parseHeader(segment string, allowed ...string) (map[string]string, error) {
	text, err := strict.DecodeString(segment)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	header := make(map[string]string, len(allowed))
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if _, twice := header[name]; !ok || twice || !slices.Contains(allowed, name) {
			return nil, fmt.Errorf("member %.40q is unknown, or there twice", name)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		var value string
		_ = json.Unmarshal(raw, &value) // what is no string stays empty, and is nobody's algorithm or key
		header[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if dec.More() || dec.InputOffset() != int64(len(text)) {
		return nil, errors.New("something after the object")
	}
	return header, nil
}

// publicKey is a key of the tenant, with the one algorithm that it is for.
type publicKey struct {
	alg string
	key crypto.PublicKey // *ecdsa.PublicKey on P-256, ed25519.PublicKey or *rsa.PublicKey
}

// verify checks the signature. The algorithm is the key's; the token's word for it must
// agree, and decides nothing (RFC 8725 §3.1).
func (k publicKey) verify(t jws) error {
	if t.alg != k.alg {
		return fmt.Errorf("%w: the key is for %s", ErrSignature, k.alg)
	}
	digest := sha256.Sum256([]byte(t.input))
	good := false
	switch key := k.key.(type) {
	case *ecdsa.PublicKey:
		if len(t.signature) == es256Bytes {
			r, s := new(big.Int).SetBytes(t.signature[:es256Bytes/2]), new(big.Int).SetBytes(t.signature[es256Bytes/2:])
			good = ecdsa.Verify(key, digest[:], r, s)
		}
	case ed25519.PublicKey:
		good = ed25519.Verify(key, []byte(t.input), t.signature)
	case *rsa.PublicKey:
		good = rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], t.signature) == nil
	}
	if !good {
		return ErrSignature
	}
	return nil
}
