package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/biocore-id/biocore/db/tenantq"
)

// The algorithms that sign (RFC 7518 §3.1, RFC 8037 §3.1). A key has one for life, and
// it follows from what kind of key it is.
const (
	ES256 = "ES256" // ECDSA on P-256: the default
	EdDSA = "EdDSA" // Ed25519
	RS256 = "RS256" // RSASSA-PKCS1-v1_5 with 3072 bits: for verifiers that know nothing else; 20 times slower to sign
)

const rsaBits = 3072

// Where the private half of a signing key is; the row is its kid. Of a key in the KMS
// it is the name there, sealed together with the public half, so that a row that was
// written past us verifies nobody's tokens.
var (
	privateKey = Field{Table: "signing_keys", Column: "private"}
	remoteKey  = Field{Table: "signing_keys", Column: "remote"}
)

// ErrSignature means that a JWS was not signed by this tenant's key of that kid.
var ErrSignature = errors.New("the signature does not verify")

// signatureBytes is r ‖ s (RFC 7518 §3.4), or R ‖ S (RFC 8032 §5.1.6); in base64url it
// has 86 characters.
const signatureBytes = 64

// Signer signs with the tenant's active key. It is safe for concurrent use.
type Signer struct {
	KID       string // RFC 7638 thumbprint
	Algorithm string // ES256, EdDSA or RS256

	key    crypto.Signer // nil: the key is in the KMS
	remote *remoteSigner
	check  *verifier
}

// remoteSigner is a key in a KMS.
type remoteSigner struct {
	kms  SigningKMS
	name string
	home string // KeyName of the KMS that made it
}

// Remote reports whether Sign goes over the network. Call it outside of transactions then.
func (s *Signer) Remote() bool { return s.remote != nil }

// Home names the KMS key beside which a key in a KMS was made; empty for a key that is
// sealed. Where it is another one than wraps data keys now, the key goes with its KMS.
func (s *Signer) Home() string {
	if s.remote == nil {
		return ""
	}
	return s.remote.home
}

// Signer returns the active signing key; nil when the tenant has none, which only
// a broken database shows.
func (r *Ring) Signer() *Signer { return r.signer }

// Sign appends to dst the signature of a JWS over input (base64url header "."
// base64url payload), in base64url. ErrKMSUnavailable for a key in a KMS that does not
// answer.
func (s *Signer) Sign(ctx context.Context, dst, input []byte) ([]byte, error) {
	if s.remote != nil {
		return s.signRemote(ctx, dst, input)
	}
	if s.Algorithm == ES256 {
		digest := sha256.Sum256(input)
		der, err := s.key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		var raw [signatureBytes]byte
		if !fromDER(&raw, der) {
			return nil, errors.New("sign: unreadable DER")
		}
		return base64.RawURLEncoding.AppendEncode(dst, raw[:]), nil
	}
	message, hash := input, crypto.Hash(0) // EdDSA hashes by itself
	if s.Algorithm == RS256 {
		digest := sha256.Sum256(input)
		message, hash = digest[:], crypto.SHA256
	}
	signature, err := s.key.Sign(rand.Reader, message, hash)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return base64.RawURLEncoding.AppendEncode(dst, signature), nil
}

func (s *Signer) signRemote(ctx context.Context, dst, input []byte) ([]byte, error) {
	raw, err := s.remote.kms.Sign(ctx, s.remote.name, s.Algorithm, input)
	if err != nil {
		return nil, fmt.Errorf("sign in the KMS: %w", err)
	}
	start := len(dst)
	dst = base64.RawURLEncoding.AppendEncode(dst, raw)
	// A token that nobody can verify must not leave: the KMS may have been told of
	// another key by that name.
	if err := s.check.verify(input, dst[start:]); err != nil {
		return nil, errors.New("sign in the KMS: what it made does not verify with the published key")
	}
	return dst, nil
}

// verifier is the public half of a key with its algorithm.
type verifier struct {
	algorithm string
	key       crypto.PublicKey
}

// Verify checks the signature of a JWS over input, as Sign appended it, against the
// tenant's key of that kid. algorithm is what the JWS names; it must be the key's own,
// which decides (RFC 8725 §3.1). Anything wrong is ErrSignature.
func (r *Ring) Verify(kid, algorithm string, input, signature []byte) error {
	v, ok := r.verifiers[kid]
	if !ok || v.algorithm != algorithm {
		return ErrSignature
	}
	return v.verify(input, signature)
}

// Knows reports whether kid is one of the tenant's published keys.
func (r *Ring) Knows(kid string) bool {
	_, ok := r.verifiers[kid]
	return ok
}

func (v *verifier) verify(input, signature []byte) error {
	size := signatureBytes
	public, isRSA := v.key.(*rsa.PublicKey)
	if isRSA {
		size = public.Size()
	}
	if len(signature) != base64.RawURLEncoding.EncodedLen(size) {
		return ErrSignature
	}
	var buf [4096/8 + 2]byte // Decode wants room for whole groups
	n, err := base64.RawURLEncoding.Strict().Decode(buf[:], signature)
	if err != nil || n != size { // less when the decoder has skipped a line break
		return ErrSignature
	}
	raw := buf[:size]
	switch key := v.key.(type) {
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(input)
		var der [derMax]byte
		if ecdsa.VerifyASN1(key, digest[:], toDER(der[:0], raw)) {
			return nil
		}
	case ed25519.PublicKey:
		if ed25519.Verify(key, input, raw) {
			return nil
		}
	case *rsa.PublicKey:
		digest := sha256.Sum256(input)
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], raw) == nil {
			return nil
		}
	}
	return ErrSignature
}

// JWKS returns the tenant's public keys as a JSON Web Key Set (RFC 7517), ready to
// be sent. The caller must not change it.
func (r *Ring) JWKS() []byte { return r.jwks }

// mintSigningKey makes a key of the algorithm whose private half is sealed in ring.
func mintSigningKey(ring *Ring, random io.Reader, algorithm string) (tenantq.InsertSigningKeyParams, error) {
	var none tenantq.InsertSigningKeyParams
	var key crypto.Signer
	var err error
	switch algorithm {
	case ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), random)
	case EdDSA:
		_, key, err = ed25519.GenerateKey(random)
	case RS256:
		key, err = rsa.GenerateKey(random, rsaBits)
	default:
		err = fmt.Errorf("algorithm %s is not supported", algorithm)
	}
	if err != nil {
		return none, fmt.Errorf("make signing key: %w", err)
	}
	row, err := signingRow(key.Public(), algorithm)
	if err != nil {
		return none, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return none, fmt.Errorf("encode private key: %w", err)
	}
	if row.PrivateSealed, err = ring.Seal(privateKey, []byte(row.Kid), private); err != nil {
		return none, fmt.Errorf("seal private key: %w", err)
	}
	row.Location = locationSealed
	return row, nil
}

// remoteReference is what is sealed of a key in the KMS.
type remoteReference struct {
	Name   string `json:"name"`
	KMS    string `json:"kms"`    // KeyName of the KMS that made it
	Public []byte `json:"public"` // SubjectPublicKeyInfo
}

// mintRemoteKey makes a key of the algorithm in the KMS. Destroy it again when its row
// is not stored.
func mintRemoteKey(ctx context.Context, ring *Ring, k SigningKMS, algorithm, label string) (tenantq.InsertSigningKeyParams, error) {
	var none tenantq.InsertSigningKeyParams
	made, err := k.CreateSigningKey(ctx, algorithm, label)
	if err != nil {
		return none, fmt.Errorf("make signing key in the KMS: %w", err)
	}
	row, err := signingRow(made.Public, algorithm)
	if err != nil {
		return none, err
	}
	reference, err := json.Marshal(remoteReference{Name: made.Name, KMS: k.KeyName(), Public: row.PublicKey})
	if err != nil {
		return none, fmt.Errorf("encode reference: %w", err)
	}
	if row.PrivateSealed, err = ring.Seal(remoteKey, []byte(row.Kid), reference); err != nil {
		return none, fmt.Errorf("seal reference: %w", err)
	}
	row.Location = locationKMS
	return row, nil
}

func signingRow(public crypto.PublicKey, algorithm string) (row tenantq.InsertSigningKeyParams, err error) {
	j, err := newJWK(public)
	if err != nil {
		return row, err
	}
	if j.algorithm != algorithm {
		return row, fmt.Errorf("a key for %s was asked for, and one for %s was made", algorithm, j.algorithm)
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return row, fmt.Errorf("encode public key: %w", err)
	}
	row.Kid, row.Algorithm, row.PublicKey = j.kid, algorithm, spki
	return row, nil
}

// addSigningKeys opens the private halves and publishes the public ones. What is
// published is computed from what is sealed: the public column is for people, and a
// row that was written past us does not verify anybody's tokens.
func (r *Ring) addSigningKeys(rows []tenantq.ListSigningKeysRow, k KMS) error {
	r.verifiers = make(map[string]*verifier, len(rows))
	published := make([]jwk, 0, len(rows))
	for _, row := range rows {
		signer, err := r.openSigningKey(row, k)
		if err != nil {
			return fmt.Errorf("signing key %s: %w", row.Kid, err)
		}
		j, err := newJWK(signer.check.key)
		if err != nil {
			return fmt.Errorf("signing key %s: %w", row.Kid, err)
		}
		if subtle.ConstantTimeCompare([]byte(j.kid), []byte(row.Kid)) != 1 {
			return fmt.Errorf("signing key %s: the private half is another key's", row.Kid)
		}
		if j.algorithm != row.Algorithm {
			return fmt.Errorf("signing key %s: it is a key for %s, and stored as one for %s", row.Kid, j.algorithm, row.Algorithm)
		}
		published = append(published, j)
		r.verifiers[row.Kid] = signer.check
		if row.State == string(Active) && r.signer == nil { // rows come newest first
			r.signer = signer
		}
	}
	r.jwks = appendJWKS(nil, published)
	return nil
}

func (r *Ring) openSigningKey(row tenantq.ListSigningKeysRow, k KMS) (*Signer, error) {
	s := &Signer{KID: row.Kid, Algorithm: row.Algorithm}
	if row.Location == locationKMS {
		reference, err := r.openReference(row.Kid, row.PrivateSealed)
		if err != nil {
			return nil, err
		}
		public, err := x509.ParsePKIXPublicKey(reference.Public)
		if err != nil {
			return nil, errors.New("unreadable public key")
		}
		s.check = &verifier{algorithm: row.Algorithm, key: public}
		if signing, ok := k.(SigningKMS); ok {
			s.remote = &remoteSigner{kms: signing, name: reference.Name, home: reference.KMS}
			return s, nil
		}
		if row.State == string(Active) {
			return nil, errors.New("it is in a KMS, and the one that is configured does not sign")
		}
		return s, nil // it verifies
	}
	der, err := r.Open(privateKey, []byte(row.Kid), row.PrivateSealed)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("unreadable private key")
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("the private key does not sign")
	}
	s.key, s.check = key, &verifier{algorithm: row.Algorithm, key: key.Public()}
	return s, nil
}

func (r *Ring) openReference(kid string, sealed []byte) (remoteReference, error) {
	var reference remoteReference
	plain, err := r.Open(remoteKey, []byte(kid), sealed)
	if err != nil {
		return reference, err
	}
	if err := json.Unmarshal(plain, &reference); err != nil {
		return reference, errors.New("unreadable reference")
	}
	return reference, nil
}
