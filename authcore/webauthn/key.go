package webauthn

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// RSA keys outside these sizes are refused: shorter ones can be factored,
// longer ones and other exponents only make verification slow.
const (
	minRSABits     = 2048
	maxRSABits     = 4096
	maxRSAExponent = 65537
)

// Key is a credential's public key, parsed once so that it can be cached. It is
// immutable and safe for concurrent use. The zero Key is refused.
type Key struct {
	algorithm Algorithm
	public    any // *ecdsa.PublicKey, ed25519.PublicKey, *rsa.PublicKey or webauthncose.EC2PublicKeyData
}

// Algorithm returns the algorithm that the key's signatures are made with.
func (k Key) Algorithm() Algorithm { return k.algorithm }

// ParsePublicKey reads a COSE_Key (RFC 9052 §7) as a registration returned it.
// It returns ErrAlgorithm for an algorithm that is not supported, and
// ErrMalformed for a key that is broken: not on its curve, of another curve
// than its algorithm's (WebAuthn L3 #sctn-alg-identifier), an RSA modulus below
// 2048 or above 4096 bits, duplicate labels. The key does not refer to cose
// afterwards.
func ParsePublicKey(cose []byte) (Key, error) {
	if len(cose) > maxPublicKeyBytes {
		return Key{}, ErrMalformed.WithCause(fmt.Errorf("public key: %d bytes", len(cose)))
	}
	var head webauthncose.PublicKeyData
	if err := webauthncbor.Unmarshal(cose, &head); err != nil {
		return Key{}, ErrMalformed.WithCause(fmt.Errorf("public key: %w", err))
	}
	if head.Algorithm < math.MinInt32 || head.Algorithm > math.MaxInt32 || !Algorithm(head.Algorithm).Supported() {
		return Key{}, ErrAlgorithm.WithCause(fmt.Errorf("algorithm %d", head.Algorithm))
	}
	algorithm := Algorithm(head.Algorithm)
	parsed, err := webauthncose.ParsePublicKey(cose)
	if err != nil {
		return Key{}, ErrMalformed.WithCause(fmt.Errorf("public key: %w", err))
	}
	public, err := standardKey(algorithm, parsed)
	if err != nil {
		return Key{}, ErrMalformed.WithCause(fmt.Errorf("public key: %w", err))
	}
	return Key{algorithm: algorithm, public: public}, nil
}

// standardKey turns the library's form of a key, whose members it has checked
// against each other, into that of the standard library.
func standardKey(algorithm Algorithm, parsed any) (any, error) {
	switch k := parsed.(type) {
	case webauthncose.EC2PublicKeyData:
		var curve elliptic.Curve
		switch algorithm {
		case ES256, ESP256:
			curve = elliptic.P256()
		case ES384, ESP384:
			curve = elliptic.P384()
		case ES512, ESP512:
			curve = elliptic.P521()
		case ES256K:
			return k, nil // the standard library does not know secp256k1
		default:
			return nil, fmt.Errorf("%v with an elliptic curve", algorithm)
		}
		return ecdsa.ParseUncompressedPublicKey(curve, bytes.Join([][]byte{{4}, k.XCoord, k.YCoord}, nil))
	case webauthncose.OKPPublicKeyData:
		return ed25519.PublicKey(k.XCoord), nil
	case webauthncose.RSAPublicKeyData:
		exponent, err := webauthncose.ParseRSAPublicKeyDataExponent(&k)
		if err != nil {
			return nil, err
		}
		public := &rsa.PublicKey{N: new(big.Int).SetBytes(k.Modulus), E: exponent}
		if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return nil, fmt.Errorf("RSA modulus of %d bits", bits)
		}
		if exponent < 3 || exponent > maxRSAExponent || exponent%2 == 0 {
			return nil, fmt.Errorf("RSA exponent %d", exponent)
		}
		switch algorithm {
		case RS256, RS384, RS512, PS256, PS384, PS512:
			return public, nil
		default:
			return nil, fmt.Errorf("%v with an RSA key", algorithm)
		}
	}
	return nil, errors.New("unsupported key type")
}

// verify reports whether signature is the key's over message. ECDSA signatures
// must be DER, in the one encoding that DER allows (WebAuthn L3
// #sctn-signature-attestation-types).
func (k Key) verify(message, signature []byte) bool {
	switch public := k.public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, k.digest(message), signature)
	case ed25519.PublicKey:
		return ed25519.Verify(public, message, signature)
	case *rsa.PublicKey:
		hash, _ := k.algorithm.hash()
		switch k.algorithm {
		case PS256, PS384, PS512:
			return rsa.VerifyPSS(public, hash, k.digest(message), signature, nil) == nil
		default:
			return rsa.VerifyPKCS1v15(public, hash, k.digest(message), signature) == nil
		}
	case webauthncose.EC2PublicKeyData:
		ok, err := public.Verify(bytes.Clone(message), signature)
		return ok && err == nil
	}
	return false
}

// digest returns the hash that the algorithm signs. It calls the functions
// themselves: through an interface, every message would go to the heap.
func (k Key) digest(message []byte) []byte {
	hash, _ := k.algorithm.hash()
	switch hash {
	case crypto.SHA256:
		sum := sha256.Sum256(message)
		return sum[:]
	case crypto.SHA384:
		sum := sha512.Sum384(message)
		return sum[:]
	case crypto.SHA512:
		sum := sha512.Sum512(message)
		return sum[:]
	default:
		return nil // never verifies
	}
}

// DecoyKey returns an ES256 key whose private half nobody has: its point was
// found by hashing a sentence. A ceremony verifies against it when the client
// names a credential that does not exist, so that the refusal is the same
// ErrSignature after the same work (SECURITY: user enumeration).
func DecoyKey() Key {
	seed := sha256.Sum256([]byte("Biocore decoy key: nobody knows its private half"))
	for {
		// Half of all x have a point: a handful of rounds, the same each time.
		if public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), decompress(seed[:])); err == nil {
			return Key{algorithm: ES256, public: public}
		}
		seed = sha256.Sum256(seed[:])
	}
}

// decompress returns the uncompressed encoding of the P-256 point with this x
// and even y, or nil if there is none.
func decompress(x []byte) []byte {
	px, py := elliptic.UnmarshalCompressed(elliptic.P256(), append([]byte{2}, x...))
	if px == nil {
		return nil
	}
	out := make([]byte, 65)
	out[0] = 4
	px.FillBytes(out[1:33])
	py.FillBytes(out[33:])
	return out
}
