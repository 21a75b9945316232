package keys

import (
	"context"
	"crypto"
	"time"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// Errors of a KMS.
var (
	// ErrKMSUnavailable says that the KMS gave no answer: it cannot be reached, is
	// overloaded, or had no time. Whoever holds an opened key may go on with it for a
	// while; whoever does not fails. Any other error is the KMS's own answer (the key is
	// disabled, access is denied, the ciphertext is not its own), and nobody goes on.
	ErrKMSUnavailable = fault.New(fault.Unavailable, "KMS_UNAVAILABLE",
		"the key management service cannot be reached").WithRetryAfter(5 * time.Second)

	// ErrKMSAlgorithm says that the KMS signs, but not with this algorithm.
	ErrKMSAlgorithm = fault.New(fault.Precondition, "KMS_ALGORITHM_UNSUPPORTED",
		"the key management service makes no signing keys of this algorithm")
)

// KMS wraps data keys under a key that never leaves it. Implementations are in
// keys/kms; they are safe for concurrent use, and bound each call by ctx and by a
// few seconds of their own.
type KMS interface {
	// KeyName names the key that Wrap uses now. It is stored beside what it wrapped, so
	// it must name the same key on every server and for ever: at most 512 bytes, no secret.
	KeyName() string
	// Wrap encrypts key, at most 4 KiB, bound to ad.
	Wrap(ctx context.Context, key, ad []byte) ([]byte, error)
	// Unwrap opens what Wrap made under keyName, with the same ad. A keyName that this
	// KMS does not know is an error that names both.
	Unwrap(ctx context.Context, keyName string, wrapped, ad []byte) ([]byte, error)
}

// SigningKMS is a KMS that also makes signing keys, whose private halves never leave
// it, and signs with them.
type SigningKMS interface {
	KMS
	// CreateSigningKey makes a key pair for a JWS algorithm: ES256, EdDSA (Ed25519) or
	// RS256 (3072 bits). label is for the people who look into the KMS: letters, digits
	// and hyphens, unique. ErrKMSAlgorithm.
	CreateSigningKey(ctx context.Context, algorithm, label string) (RemoteKey, error)
	// Sign returns the signature of a JWS over input (RFC 7515 §5.1), which is hashed
	// here or there as the algorithm asks: r ‖ s of 64 bytes for ES256 (RFC 7518 §3.4),
	// 64 bytes for EdDSA, as long as the modulus for RS256.
	Sign(ctx context.Context, keyName, algorithm string, input []byte) ([]byte, error)
	// DestroySigningKey destroys a key, at once or after the KMS's own waiting time.
	// Destroying one that is gone is no error.
	DestroySigningKey(ctx context.Context, keyName string) error
}

// RemoteKey is a signing key in a KMS.
type RemoteKey struct {
	// Name is what Sign is told: it names the key on every server and for ever, and its
	// KMS when there are several.
	Name   string
	Public crypto.PublicKey // *ecdsa.PublicKey on P-256, ed25519.PublicKey or *rsa.PublicKey
}
