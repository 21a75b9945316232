package keys

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/biocore-id/biocore/db/tenantq"
)

// ES256 is the only algorithm that signs (RFC 7518 §3.4).
const ES256 = "ES256"

// States of a signing key, as stored. All but revoked ones are published and
// verify: a key is published before it signs and as long as what it signed lives.
const (
	stateActive = "ACTIVE"
)

// privateKey is where the private half of a signing key is sealed; the row is its kid.
var privateKey = Field{Table: "signing_keys", Column: "private"}

// ErrSignature means that a JWS was not signed by this tenant's key of that kid.
var ErrSignature = errors.New("the signature does not verify")

// signatureBytes is r ‖ s (RFC 7518 §3.4); in base64url it has 86 characters.
const signatureBytes = 64

// Signer signs with the tenant's active key. It is safe for concurrent use.
type Signer struct {
	KID       string // RFC 7638 thumbprint
	Algorithm string // ES256

	key *ecdsa.PrivateKey
}

type verifier struct{ key *ecdsa.PublicKey }

// Signer returns the active signing key; nil when the tenant has none, which only
// a broken database shows.
func (r *Ring) Signer() *Signer { return r.signer }

// Sign appends to dst the signature of a JWS over input (base64url header "."
// base64url payload), in base64url.
func (s *Signer) Sign(dst, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	der, err := ecdsa.SignASN1(nil, s.key, digest[:]) // the source of randomness is the runtime's, whatever is given
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	var raw [signatureBytes]byte
	if !fromDER(&raw, der) {
		return nil, errors.New("sign: unreadable DER")
	}
	return base64.RawURLEncoding.AppendEncode(dst, raw[:]), nil
}

// Verify checks the signature of a JWS over input, as Sign appended it, against the
// tenant's key of that kid. The algorithm is the key's and never the token's
// (RFC 8725 §3.1). Anything wrong is ErrSignature.
func (r *Ring) Verify(kid string, input, signature []byte) error {
	v, ok := r.verifiers[kid]
	if !ok || len(signature) != base64.RawURLEncoding.EncodedLen(signatureBytes) {
		return ErrSignature
	}
	var raw [signatureBytes + 2]byte // Decode wants room for whole groups
	n, err := base64.RawURLEncoding.Strict().Decode(raw[:], signature)
	if err != nil || n != signatureBytes {
		return ErrSignature
	}
	digest := sha256.Sum256(input)
	var der [derMax]byte
	if !ecdsa.VerifyASN1(v.key, digest[:], toDER(der[:0], raw[:signatureBytes])) {
		return ErrSignature
	}
	return nil
}

// JWKS returns the tenant's public keys as a JSON Web Key Set (RFC 7517), ready to
// be sent. The caller must not change it.
func (r *Ring) JWKS() []byte { return r.jwks }

// mintSigningKey makes an ES256 key whose private half is sealed in ring.
func mintSigningKey(ring *Ring, rand io.Reader) (tenantq.InsertSigningKeyParams, error) {
	var none tenantq.InsertSigningKeyParams
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand)
	if err != nil {
		return none, fmt.Errorf("make signing key: %w", err)
	}
	jwk, err := newJWK(&key.PublicKey)
	if err != nil {
		return none, err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return none, fmt.Errorf("encode public key: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return none, fmt.Errorf("encode private key: %w", err)
	}
	sealed, err := ring.Seal(privateKey, []byte(jwk.kid), private)
	if err != nil {
		return none, fmt.Errorf("seal private key: %w", err)
	}
	return tenantq.InsertSigningKeyParams{Kid: jwk.kid, Algorithm: ES256, PublicKey: public, PrivateSealed: sealed}, nil
}

// addSigningKeys opens the private halves and publishes the public ones. What is
// published is computed from the sealed half: the public column is for people, and a
// row that was written past us does not verify anybody's tokens.
func (r *Ring) addSigningKeys(rows []tenantq.ListSigningKeysRow) error {
	r.verifiers = make(map[string]*verifier, len(rows))
	published := make([]jwk, 0, len(rows))
	for _, row := range rows {
		if row.Algorithm != ES256 {
			return fmt.Errorf("signing key %s: algorithm %s is not supported", row.Kid, row.Algorithm)
		}
		der, err := r.Open(privateKey, []byte(row.Kid), row.PrivateSealed)
		if err != nil {
			return fmt.Errorf("signing key %s: %w", row.Kid, err)
		}
		parsed, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return fmt.Errorf("signing key %s: unreadable private key", row.Kid)
		}
		key, ok := parsed.(*ecdsa.PrivateKey)
		if !ok || key.Curve != elliptic.P256() {
			return fmt.Errorf("signing key %s: no P-256 key", row.Kid)
		}
		j, err := newJWK(&key.PublicKey)
		if err != nil {
			return err
		}
		if subtle.ConstantTimeCompare([]byte(j.kid), []byte(row.Kid)) != 1 {
			return fmt.Errorf("signing key %s: the private half is another key's", row.Kid)
		}
		published = append(published, j)
		r.verifiers[row.Kid] = &verifier{key: &key.PublicKey}
		if row.State == stateActive && r.signer == nil { // rows come newest first
			r.signer = &Signer{KID: row.Kid, Algorithm: ES256, key: key}
		}
	}
	r.jwks = appendJWKS(nil, published)
	return nil
}

// jwk is a public key as RFC 7517 prints it.
type jwk struct{ kid, x, y string }

func newJWK(key *ecdsa.PublicKey) (jwk, error) {
	point, err := key.Bytes() // 4 ‖ x ‖ y
	if err != nil {
		return jwk{}, fmt.Errorf("encode public key: %w", err)
	}
	b64 := base64.RawURLEncoding
	j := jwk{x: b64.EncodeToString(point[1:33]), y: b64.EncodeToString(point[33:])}
	// RFC 7638 §3: the required members in order of their names.
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + j.x + `","y":"` + j.y + `"}`))
	j.kid = b64.EncodeToString(sum[:])
	return j, nil
}

// appendJWKS needs no escaping: everything is base64url.
func appendJWKS(dst []byte, keys []jwk) []byte {
	dst = append(dst, `{"keys":[`...)
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"`...)
		dst = append(dst, k.kid...)
		dst = append(dst, `","x":"`...)
		dst = append(dst, k.x...)
		dst = append(dst, `","y":"`...)
		dst = append(dst, k.y...)
		dst = append(dst, `"}`...)
	}
	return append(dst, `]}`...)
}
