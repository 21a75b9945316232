package webauthn

import (
	"crypto"
	"strconv"

	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// Algorithm is a COSE algorithm identifier (WebAuthn L3 #sctn-alg-identifier).
type Algorithm int32

// The supported algorithms. Not among them, although registered: RS1 (-65535),
// because SHA-1 is broken; Ed448 (-53), which no library here implements; and
// ML-DSA (-48 to -50), which needs Go 1.27.
const (
	ES256   Algorithm = -7 // ECDSA with P-256 and SHA-256: what nearly every authenticator makes
	EdDSA   Algorithm = -8 // Ed25519
	ESP256  Algorithm = -9 // ES256, fully specified
	Ed25519 Algorithm = -19
	ES384   Algorithm = -35
	ES512   Algorithm = -36
	PS256   Algorithm = -37
	PS384   Algorithm = -38
	PS512   Algorithm = -39
	ES256K  Algorithm = -47
	ESP384  Algorithm = -51
	ESP512  Algorithm = -52
	RS256   Algorithm = -257 // what Windows Hello makes on TPMs without ECC
	RS384   Algorithm = -258
	RS512   Algorithm = -259
)

// DefaultAlgorithms returns the algorithms to offer when nobody chose, in order
// of preference. ES256 and RS256 together reach every authenticator; the
// others cost little and are the choice of some.
func DefaultAlgorithms() []Algorithm {
	return []Algorithm{ES256, EdDSA, ES384, ES512, RS256, PS256}
}

// Supported reports whether keys of this algorithm can be verified here. Only
// such algorithms may be offered.
func (a Algorithm) Supported() bool {
	_, ok := a.hash()
	return ok
}

// String returns the registered name, "ES256", or the number of an algorithm
// that is not supported.
func (a Algorithm) String() string {
	if !a.Supported() {
		return strconv.Itoa(int(a))
	}
	return webauthncose.COSEAlgorithmIdentifier(a).String()
}

// hash returns the digest that is signed, and whether the algorithm is
// supported. It is 0 for Ed25519, which signs the message itself.
func (a Algorithm) hash() (crypto.Hash, bool) {
	switch a {
	case ES256, ESP256, ES256K, RS256, PS256:
		return crypto.SHA256, true
	case ES384, ESP384, RS384, PS384:
		return crypto.SHA384, true
	case ES512, ESP512, RS512, PS512:
		return crypto.SHA512, true
	case EdDSA, Ed25519:
		return 0, true
	}
	return 0, false
}
