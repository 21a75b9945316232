package webauthn_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"math/big"
	"slices"
	"testing"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/x/crypto/secp256k1"
	secp256k1ecdsa "github.com/go-webauthn/x/crypto/secp256k1/ecdsa"

	"github.com/biocore-id/biocore/authcore/webauthn"
)

// coseKey is a COSE_Key before it is encoded.
type coseKey map[int]any

func (k coseKey) with(label int, value any) coseKey {
	out := coseKey{label: value}
	for l, v := range k {
		if l != label {
			out[l] = v
		}
	}
	return out
}

func (k coseKey) without(label int) coseKey {
	out := coseKey{}
	for l, v := range k {
		if l != label {
			out[l] = v
		}
	}
	return out
}

func (k coseKey) encode(t testing.TB) []byte {
	t.Helper()
	encoded, err := webauthncbor.Marshal(map[int]any(k))
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// ellipticKey returns a new key pair on the curve, and its COSE_Key.
func ellipticKey(t testing.TB, curve elliptic.Curve, alg, crv int) (*ecdsa.PrivateKey, coseKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	half := (len(point) - 1) / 2
	return key, coseKey{1: 2, 3: alg, -1: crv, -2: point[1 : 1+half], -3: point[1+half:]}
}

func rsaKey(n []byte, e ...byte) coseKey { return coseKey{1: 3, 3: -257, -1: n, -2: e} }

func TestParsePublicKey(t *testing.T) {
	_, p256 := ellipticKey(t, elliptic.P256(), -7, 1)
	_, p384 := ellipticKey(t, elliptic.P384(), -35, 2)
	okp := coseKey{1: 1, 3: -8, -1: 6, -2: make([]byte, 32)}
	modulus := func(bits int) []byte { return new(big.Int).SetBit(new(big.Int), bits-1, 1).Bytes() }

	for _, tt := range []struct {
		name string
		key  []byte
		want error
		alg  webauthn.Algorithm
	}{
		{name: "ES256", key: p256.encode(t), alg: webauthn.ES256},
		{name: "ESP256 names its curve itself", key: p256.with(3, -9).without(-1).encode(t), alg: webauthn.ESP256},
		{name: "ES384", key: p384.encode(t), alg: webauthn.ES384},
		{name: "EdDSA", key: okp.encode(t), alg: webauthn.EdDSA},
		{name: "Ed25519", key: okp.with(3, -19).encode(t), alg: webauthn.Ed25519},
		{name: "RS256 of 2048 bits", key: rsaKey(modulus(2048), 1, 0, 1).encode(t), alg: webauthn.RS256},
		{name: "PS256 of 4096 bits", key: rsaKey(modulus(4096), 3).with(3, -37).encode(t), alg: webauthn.PS256},

		{name: "Ed448", key: coseKey{1: 1, 3: -53, -1: 7, -2: make([]byte, 57)}.encode(t), want: webauthn.ErrAlgorithm},
		{name: "RS1", key: rsaKey(modulus(2048), 1, 0, 1).with(3, -65535).encode(t), want: webauthn.ErrAlgorithm},
		{name: "ML-DSA-44", key: coseKey{1: 7, 3: -48, -1: make([]byte, 1312)}.encode(t), want: webauthn.ErrAlgorithm},
		{name: "an algorithm beyond 32 bits that ends like ES256", key: p256.with(3, int64(-1)<<32-7).encode(t), want: webauthn.ErrAlgorithm},
		{name: "no algorithm", key: p256.without(3).encode(t), want: webauthn.ErrAlgorithm},
		{name: "no key type", key: p256.without(1).encode(t), want: webauthn.ErrMalformed},
		{name: "ES256 on P-384", key: p384.with(3, -7).encode(t), want: webauthn.ErrMalformed},
		{name: "ES256 without a curve", key: p256.without(-1).encode(t), want: webauthn.ErrMalformed},
		{name: "ES256 with an RSA key", key: rsaKey(modulus(2048), 1, 0, 1).with(3, -7).encode(t), want: webauthn.ErrMalformed},
		{name: "ES256 with an Ed25519 key", key: okp.with(3, -7).encode(t), want: webauthn.ErrMalformed},
		{name: "RS256 with an elliptic curve", key: p256.with(3, -257).encode(t), want: webauthn.ErrMalformed},
		{name: "EdDSA on Ed448", key: okp.with(-1, 7).encode(t), want: webauthn.ErrMalformed},
		{name: "EdDSA, too short", key: okp.with(-2, make([]byte, 31)).encode(t), want: webauthn.ErrMalformed},
		{name: "a point that is not on the curve", key: p256.with(-3, make([]byte, 32)).encode(t), want: webauthn.ErrMalformed},
		{name: "the point at infinity", key: p256.with(-2, make([]byte, 32)).with(-3, make([]byte, 32)).encode(t), want: webauthn.ErrMalformed},
		{name: "a short coordinate", key: p256.with(-2, make([]byte, 31)).encode(t), want: webauthn.ErrMalformed},
		{name: "a compressed point", key: p256.with(-3, true).encode(t), want: webauthn.ErrMalformed},
		{name: "RSA of 2047 bits", key: rsaKey(modulus(2047), 1, 0, 1).encode(t), want: webauthn.ErrMalformed},
		{name: "RSA of 4097 bits", key: rsaKey(modulus(4097), 1, 0, 1).encode(t), want: webauthn.ErrMalformed},
		{name: "RSA with exponent 1", key: rsaKey(modulus(2048), 1).encode(t), want: webauthn.ErrMalformed},
		{name: "RSA with an even exponent", key: rsaKey(modulus(2048), 4).encode(t), want: webauthn.ErrMalformed},
		{name: "RSA with a long exponent", key: rsaKey(modulus(2048), 1, 0, 0, 1).encode(t), want: webauthn.ErrMalformed},
		{name: "RSA without an exponent", key: rsaKey(modulus(2048)).encode(t), want: webauthn.ErrMalformed},
		{name: "a label twice", key: slices.Concat([]byte{0xa6, 0x03, 0x26}, p256.encode(t)[1:]), want: webauthn.ErrMalformed},
		{name: "bytes after it", key: append(p256.encode(t), 0), want: webauthn.ErrMalformed},
		{name: "cut short", key: p256.encode(t)[:60], want: webauthn.ErrMalformed},
		{name: "too long", key: p256.with(-70000, make([]byte, 2<<10)).encode(t), want: webauthn.ErrMalformed},
		{name: "not a map", key: []byte{0x80}, want: webauthn.ErrMalformed},
		{name: "empty", key: nil, want: webauthn.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, err := webauthn.ParsePublicKey(tt.key)
			checkOutcome(t, err, tt.want)
			if key.Algorithm() != tt.alg {
				t.Errorf("algorithm = %v, want %v", key.Algorithm(), tt.alg)
			}
		})
	}
}

// Each algorithm that may be offered verifies a signature made with it, and no other.
func TestEveryAlgorithmVerifies(t *testing.T) {
	rsaPrivate, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, p256COSE := ellipticKey(t, elliptic.P256(), -7, 1)
	p384, p384COSE := ellipticKey(t, elliptic.P384(), -35, 2)
	p521, p521COSE := ellipticKey(t, elliptic.P521(), -36, 3)
	okp := coseKey{1: 1, 3: -8, -1: 6, -2: []byte(edPublic)}
	rsaCOSE := rsaKey(rsaPrivate.N.Bytes(), 1, 0, 1)
	koblitz, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	koblitzPoint := koblitz.PubKey().SerializeUncompressed()
	koblitzCOSE := coseKey{1: 2, 3: -47, -1: 8, -2: koblitzPoint[1:33], -3: koblitzPoint[33:]}
	pss := func(h crypto.Hash) crypto.SignerOpts {
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}
	}
	for _, tt := range []struct {
		alg    webauthn.Algorithm
		cose   coseKey
		signer crypto.Signer
		opts   crypto.SignerOpts
	}{
		{webauthn.ES256, p256COSE, p256, crypto.SHA256},
		{webauthn.ESP256, p256COSE.with(3, -9), p256, crypto.SHA256},
		{webauthn.ES384, p384COSE, p384, crypto.SHA384},
		{webauthn.ESP384, p384COSE.with(3, -51), p384, crypto.SHA384},
		{webauthn.ES512, p521COSE, p521, crypto.SHA512},
		{webauthn.ESP512, p521COSE.with(3, -52), p521, crypto.SHA512},
		{webauthn.ES256K, koblitzCOSE, koblitzSigner{koblitz}, crypto.SHA256},
		{webauthn.EdDSA, okp, edPrivate, crypto.Hash(0)},
		{webauthn.Ed25519, okp.with(3, -19), edPrivate, crypto.Hash(0)},
		{webauthn.RS256, rsaCOSE, rsaPrivate, crypto.SHA256},
		{webauthn.RS384, rsaCOSE.with(3, -258), rsaPrivate, crypto.SHA384},
		{webauthn.RS512, rsaCOSE.with(3, -259), rsaPrivate, crypto.SHA512},
		{webauthn.PS256, rsaCOSE.with(3, -37), rsaPrivate, pss(crypto.SHA256)},
		{webauthn.PS384, rsaCOSE.with(3, -38), rsaPrivate, pss(crypto.SHA384)},
		{webauthn.PS512, rsaCOSE.with(3, -39), rsaPrivate, pss(crypto.SHA512)},
	} {
		t.Run(tt.alg.String(), func(t *testing.T) {
			key, err := webauthn.ParsePublicKey(tt.cose.encode(t))
			if err != nil {
				t.Fatal(err)
			}
			if key.Algorithm() != tt.alg || !tt.alg.Supported() {
				t.Errorf("algorithm = %v, supported %v", key.Algorithm(), tt.alg.Supported())
			}
			resp := assertionSignedBy(t, func(message []byte) []byte {
				if hash := tt.opts.HashFunc(); hash != 0 {
					h := hash.New()
					h.Write(message)
					message = h.Sum(nil)
				}
				signature, err := tt.signer.Sign(rand.Reader, message, tt.opts)
				if err != nil {
					t.Fatal(err)
				}
				return signature
			})
			exp := webauthn.AssertionExpectation{Challenge: challenge, Stored: webauthn.StoredCredential{UserHandle: userHandle}}
			_, err = webauthn.VerifyAssertion(relyingParty(), exp, key, resp)
			checkOutcome(t, err, nil)
			resp.Signature[len(resp.Signature)-1] ^= 1
			_, err = webauthn.VerifyAssertion(relyingParty(), exp, key, resp)
			checkOutcome(t, err, webauthn.ErrSignature)
		})
	}
}

// koblitzSigner signs on secp256k1, which the standard library does not know.
type koblitzSigner struct{ key *secp256k1.PrivateKey }

func (s koblitzSigner) Public() crypto.PublicKey { return s.key.PubKey() }

func (s koblitzSigner) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return secp256k1ecdsa.Sign(s.key, digest).Serialize(), nil
}

func TestAlgorithmNames(t *testing.T) {
	for alg, want := range map[webauthn.Algorithm]string{
		webauthn.ES256: "ES256", webauthn.EdDSA: "EdDSA", webauthn.RS256: "RS256", webauthn.ES256K: "ES256K", -53: "-53", -65535: "-65535",
	} {
		if got := alg.String(); got != want {
			t.Errorf("Algorithm(%d).String() = %q, want %q", alg, got, want)
		}
	}
	for _, alg := range webauthn.DefaultAlgorithms() {
		if !alg.Supported() {
			t.Errorf("%v is offered and not supported", alg)
		}
	}
}

// A key refers to none of the bytes that it was parsed from.
func TestKeyIsIndependentOfItsEncoding(t *testing.T) {
	a := newAuthenticator(t, selfAttesting)
	reg, err := creation{}.runOn(t, a)
	if err != nil {
		t.Fatal(err)
	}
	encoded := bytes.Clone(reg.PublicKey)
	key, err := webauthn.ParsePublicKey(encoded)
	if err != nil {
		t.Fatal(err)
	}
	clear(encoded)
	var resp webauthn.AssertionResponse
	if _, err := (request{response: func(r *webauthn.AssertionResponse) { resp = *r }}).runOn(t, a, reg); err != nil {
		t.Fatal(err)
	}
	_, err = webauthn.VerifyAssertion(relyingParty(), webauthn.AssertionExpectation{
		Challenge: challenge, Stored: webauthn.StoredCredential{UserHandle: userHandle},
	}, key, resp)
	checkOutcome(t, err, nil)
}
