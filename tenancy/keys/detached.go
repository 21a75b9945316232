package keys

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// errNoSigner is no fault: only a broken database, or a revocation whose successor is
// still to be made, leaves a tenant without an active key.
var errNoSigner = errors.New("the tenant has no active signing key")

// joseHeader is the protected header of what is signed here beside tokens.
type joseHeader struct {
	Alg string `json:"alg"`
	KID string `json:"kid"`
	Typ string `json:"typ"`
}

// SignDetached signs payload with the ring's active key: a JWS in compact form whose
// payload is left out (RFC 7515 appendix F). typ says what it is of, so that it passes
// for nothing else. It returns the public key beside it, as the key set prints it.
func SignDetached(ctx context.Context, ring *Ring, typ string, payload []byte) (jws string, public []byte, err error) {
	signer := ring.Signer()
	if signer == nil {
		return "", nil, errNoSigner
	}
	header, err := json.Marshal(joseHeader{Alg: signer.Algorithm, KID: signer.KID, Typ: typ})
	if err != nil {
		return "", nil, fmt.Errorf("encode header: %w", err)
	}
	v, ok := ring.verifiers[signer.KID]
	if !ok {
		return "", nil, errNoSigner
	}
	j, err := newJWK(v.key)
	if err != nil {
		return "", nil, err
	}
	b64 := base64.RawURLEncoding
	protected := b64.AppendEncode(nil, header)
	input := b64.AppendEncode(append(slices.Clip(protected), '.'), payload)
	out, err := signer.Sign(ctx, append(slices.Clip(protected), '.', '.'), input)
	return string(out), j.append(nil), err
}

// VerifyDetached returns the kid of the key in jwks that has signed payload as typ; any
// other outcome is ErrSignature. It needs neither network nor database.
func VerifyDetached(jwks []byte, typ string, payload []byte, jws string) (kid string, err error) {
	protected, signature, ok := strings.Cut(jws, "..")
	text, err := base64.RawURLEncoding.Strict().DecodeString(protected)
	var header joseHeader
	if err != nil || !ok || json.Unmarshal(text, &header) != nil || header.Typ != typ {
		return "", ErrSignature
	}
	// Written in one way, so that nothing in it can differ and still say the same.
	if same, err := json.Marshal(header); err != nil || string(same) != string(text) {
		return "", ErrSignature
	}
	input := base64.RawURLEncoding.AppendEncode([]byte(protected+"."), payload)
	if err := verifyWith(jwks, header.KID, header.Alg, input, []byte(signature)); err != nil {
		return "", fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return header.KID, nil
}

// errNoKey says that none of the keys has the kid.
var errNoKey = errors.New("none of the keys has its kid")

// verifyWith verifies the signature of a JWS over input with the key of that kid in
// jwks, a JSON Web Key Set.
func verifyWith(jwks []byte, kid, algorithm string, input, signature []byte) error {
	var set struct {
		Keys []publicJWK `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return errors.New("unreadable key set")
	}
	for _, k := range set.Keys {
		if k.KID != kid {
			continue
		}
		public, err := k.public()
		if err != nil {
			return fmt.Errorf("key %s: %w", k.KID, err)
		}
		// The algorithm is the key's, and so is the name: a kid is a thumbprint.
		j, err := newJWK(public)
		if err != nil || j.kid != kid || j.algorithm != algorithm {
			return ErrSignature
		}
		return (&verifier{algorithm: j.algorithm, key: public}).verify(input, signature)
	}
	return errNoKey
}

// CheckJWK refuses a public key that does not stand byte for byte as the key set prints
// it: for readers to whom every byte counts.
func CheckJWK(raw []byte) error {
	var k publicJWK
	if err := json.Unmarshal(raw, &k); err != nil {
		return errPublicKey
	}
	public, err := k.public()
	if err != nil {
		return err
	}
	j, err := newJWK(public)
	if err != nil {
		return err
	}
	if string(j.append(nil)) != string(raw) {
		return errPublicKey
	}
	return nil
}
