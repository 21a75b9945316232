package importer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"

	"github.com/biocore-id/biocore/authcore/webauthn"
)

// decode reads base64url as WebAuthn spells it and the base64 of databases, with or
// without padding: their alphabets differ in two characters, and one text has one
// meaning in both. Spare bits and line breaks are refused.
func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("a line break")
	}
	s = strings.TrimRight(s, "=")
	if strings.ContainsAny(s, "+/") {
		return base64.RawStdEncoding.Strict().DecodeString(s)
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

// publicKey reads a public key in one of the forms in which systems keep them, and
// returns it as COSE: a JWK (an object); a PEM of a SubjectPublicKeyInfo; base64 of
// that, of a COSE_Key, or of an uncompressed P-256 point, as U2F had it. algorithm is
// 0 where nobody names it: only COSE says it by itself.
func publicKey(raw json.RawMessage, algorithm webauthn.Algorithm) ([]byte, webauthn.Key, error) {
	cose, err := coseKey(raw, algorithm)
	if err != nil {
		return nil, webauthn.Key{}, err
	}
	key, err := webauthn.ParsePublicKey(cose)
	if err == nil && algorithm != 0 && key.Algorithm() != algorithm {
		err = errors.New("the key is of another algorithm than it says")
	}
	return cose, key, err
}

func coseKey(raw json.RawMessage, algorithm webauthn.Algorithm) ([]byte, error) {
	if raw[0] == '{' {
		public, err := jwk(raw)
		if err != nil {
			return nil, err
		}
		return webauthn.EncodePublicKey(public, algorithm)
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, err
	}
	if strings.HasPrefix(text, "-----BEGIN") {
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "PUBLIC KEY" || len(strings.TrimSpace(string(rest))) > 0 {
			return nil, errors.New("no PEM of one PUBLIC KEY")
		}
		return spki(block.Bytes, algorithm)
	}
	bytes, err := decode(text)
	if err != nil || len(bytes) == 0 {
		return nil, errors.New("no base64url")
	}
	switch {
	case bytes[0] == 0x30: // a SEQUENCE; CBOR would be a negative integer, and no key
		return spki(bytes, algorithm)
	case bytes[0] == 4 && len(bytes) == 65: // a point; CBOR would be the number 4
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), bytes)
		if err != nil {
			return nil, err
		}
		return webauthn.EncodePublicKey(public, algorithm)
	}
	return bytes, nil
}

func spki(der []byte, algorithm webauthn.Algorithm) ([]byte, error) {
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	return webauthn.EncodePublicKey(public, algorithm)
}

// jwk reads the public members of a JWK (RFC 7518 §6). One with a private member is
// refused: whoever exported it must learn of it.
func jwk(raw json.RawMessage) (crypto.PublicKey, error) {
	m, err := members(raw)
	if err != nil {
		return nil, err
	}
	if _, private := m["d"]; private {
		return nil, errors.New("a private key")
	}
	value := func(name string) []byte {
		var s string
		if json.Unmarshal(m[name], &s) != nil {
			return nil
		}
		b, err := decode(s)
		if err != nil {
			return nil
		}
		return b
	}
	var kty, crv string
	if json.Unmarshal(m["kty"], &kty) != nil {
		return nil, errors.New("no kty")
	}
	_ = json.Unmarshal(m["crv"], &crv) // RSA has none
	switch kty + " " + crv {
	case "EC P-256":
		return point(elliptic.P256(), value("x"), value("y"))
	case "EC P-384":
		return point(elliptic.P384(), value("x"), value("y"))
	case "EC P-521":
		return point(elliptic.P521(), value("x"), value("y"))
	case "OKP Ed25519":
		return ed25519.PublicKey(value("x")), nil // its length is checked as COSE
	case "RSA ":
		e := new(big.Int).SetBytes(value("e"))
		if !e.IsInt64() {
			return nil, errors.New("an exponent that is too large")
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(value("n")), E: int(e.Int64())}, nil
	}
	return nil, errors.New("a JWK of another kind")
}

func point(curve elliptic.Curve, x, y []byte) (crypto.PublicKey, error) {
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size { // RFC 7518 §6.2.1.2: padded
		return nil, errors.New("coordinates of another length than the curve's")
	}
	return ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{4}, x...), y...))
}
