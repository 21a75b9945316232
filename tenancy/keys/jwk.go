package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
)

// errPublicKey means that a key is of no algorithm that signs here.
var errPublicKey = errors.New("not a P-256, Ed25519 or RSA key")

// jwk is a public key as RFC 7517 prints it: the members that make up its thumbprint
// (RFC 7638 §3.2), in order of their names, and the thumbprint, which is its kid.
type jwk struct {
	kid, algorithm string
	members        string // `"crv":"P-256","kty":"EC",…`
}

// newJWK describes a public key. Its algorithm follows from its kind: nothing else may
// be signed with it (RFC 8725 §3.1).
func newJWK(public crypto.PublicKey) (jwk, error) {
	var j jwk
	b64 := base64.RawURLEncoding.EncodeToString
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return jwk{}, errPublicKey
		}
		point, err := key.Bytes() // 4 ‖ x ‖ y
		if err != nil {
			return jwk{}, fmt.Errorf("encode public key: %w", err)
		}
		j.algorithm = ES256
		j.members = `"crv":"P-256","kty":"EC","x":"` + b64(point[1:33]) + `","y":"` + b64(point[33:]) + `"`
	case ed25519.PublicKey:
		if len(key) != ed25519.PublicKeySize {
			return jwk{}, errPublicKey
		}
		j.algorithm = EdDSA
		j.members = `"crv":"Ed25519","kty":"OKP","x":"` + b64(key) + `"`
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 2048 || bits > 4096 {
			return jwk{}, errPublicKey
		}
		j.algorithm = RS256
		j.members = `"e":"` + b64(big.NewInt(int64(key.E)).Bytes()) + `","kty":"RSA","n":"` + b64(key.N.Bytes()) + `"`
	default:
		return jwk{}, errPublicKey
	}
	sum := sha256.Sum256([]byte("{" + j.members + "}"))
	j.kid = b64(sum[:])
	return j, nil
}

// PublicJWK returns the JSON Web Key of a public key in SubjectPublicKeyInfo form, as
// the key set prints it.
func PublicJWK(spki []byte) ([]byte, error) {
	public, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	j, err := newJWK(public)
	if err != nil {
		return nil, err
	}
	return j.append(nil), nil
}

// publicJWK is a key of the kinds that sign here, as a key set has it.
type publicJWK struct {
	KID string `json:"kid"`
	KTY string `json:"kty"`
	CRV string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y"`
	N   string `json:"n"`
	E   string `json:"e"`
}

// public returns the key itself; errPublicKey for any other kind.
func (k publicJWK) public() (crypto.PublicKey, error) {
	b64 := base64.RawURLEncoding.Strict()
	x, errX := b64.DecodeString(k.X)
	y, errY := b64.DecodeString(k.Y)
	n, errN := b64.DecodeString(k.N)
	e, errE := b64.DecodeString(k.E)
	if err := errors.Join(errX, errY, errN, errE); err != nil {
		return nil, errPublicKey
	}
	switch exponent := new(big.Int).SetBytes(e); {
	case k.KTY == "EC" && k.CRV == "P-256" && len(x) == 32 && len(y) == 32:
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, append(x, y...)...))
	case k.KTY == "OKP" && k.CRV == "Ed25519" && len(x) == ed25519.PublicKeySize:
		return ed25519.PublicKey(x), nil
	case k.KTY == "RSA" && len(e) > 0 && exponent.IsInt64() && exponent.Int64() <= 1<<31-1:
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, nil
	}
	return nil, errPublicKey
}

// append needs no escaping: everything is base64url.
func (j jwk) append(dst []byte) []byte {
	dst = append(dst, '{')
	dst = append(dst, j.members...)
	dst = append(dst, `,"alg":"`...)
	dst = append(dst, j.algorithm...)
	dst = append(dst, `","use":"sig","kid":"`...)
	dst = append(dst, j.kid...)
	return append(dst, `"}`...)
}

func appendJWKS(dst []byte, keys []jwk) []byte {
	dst = append(dst, `{"keys":[`...)
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = k.append(dst)
	}
	return append(dst, `]}`...)
}
