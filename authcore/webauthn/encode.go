package webauthn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// EncodePublicKey writes a key of the standard library as the COSE_Key that
// ParsePublicKey reads, for credentials that come from elsewhere in another form.
// Such forms seldom name the algorithm: 0 is the one that authenticators make with keys
// of this kind (ES256, ES384, ES512, EdDSA, RS256). Errors are ParsePublicKey's.
func EncodePublicKey(public crypto.PublicKey, algorithm Algorithm) ([]byte, error) {
	var data any
	head := func(kty webauthncose.COSEKeyType, usual Algorithm) webauthncose.PublicKeyData {
		if algorithm == 0 {
			algorithm = usual
		}
		return webauthncose.PublicKeyData{KeyType: int64(kty), Algorithm: int64(algorithm)}
	}
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		curve, usual, err := ellipticCurve(k.Curve)
		if err != nil {
			return nil, ErrMalformed.WithCause(err)
		}
		point, err := k.Bytes() // 4, x, y
		if err != nil {
			return nil, ErrMalformed.WithCause(fmt.Errorf("public key: %w", err))
		}
		half := (len(point) - 1) / 2
		data = webauthncose.EC2PublicKeyData{
			PublicKeyData: head(webauthncose.EllipticKey, usual), Curve: int64(curve), XCoord: point[1 : 1+half], YCoord: point[1+half:],
		}
	case ed25519.PublicKey:
		data = webauthncose.OKPPublicKeyData{PublicKeyData: head(webauthncose.OctetKey, EdDSA), Curve: int64(webauthncose.Ed25519), XCoord: k}
	case *rsa.PublicKey:
		data = webauthncose.RSAPublicKeyData{
			PublicKeyData: head(webauthncose.RSAKey, RS256), Modulus: k.N.Bytes(), Exponent: big.NewInt(int64(k.E)).Bytes(),
		}
	default:
		return nil, ErrAlgorithm.WithCause(fmt.Errorf("a public key of type %T", public))
	}
	encoded, err := webauthncbor.Marshal(data)
	if err != nil {
		return nil, ErrMalformed.WithCause(fmt.Errorf("public key: %w", err))
	}
	if _, err := ParsePublicKey(encoded); err != nil { // sizes, and that the algorithm is of this kind of key
		return nil, err
	}
	return encoded, nil
}

func ellipticCurve(c elliptic.Curve) (webauthncose.COSEEllipticCurve, Algorithm, error) {
	switch c {
	case elliptic.P256():
		return webauthncose.P256, ES256, nil
	case elliptic.P384():
		return webauthncose.P384, ES384, nil
	case elliptic.P521():
		return webauthncose.P521, ES512, nil
	}
	return 0, 0, errors.New("public key: an elliptic curve that is not supported")
}
