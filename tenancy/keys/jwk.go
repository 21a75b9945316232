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
