package kms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// The JWS algorithms (RFC 7518 §3.1, RFC 8037 §3.1) that signing keys are made for.
const (
	es256 = "ES256"
	eddsa = "EdDSA"
	rs256 = "RS256"
)

const rsaBits = 3072

// digest returns what an algorithm signs: input's SHA-256, or input itself for EdDSA,
// which hashes as it goes. The KMS of the others never sees a token.
func digest(algorithm string, input []byte) []byte {
	if algorithm == eddsa {
		return input
	}
	sum := sha256.Sum256(input)
	return sum[:]
}

// signatureOf checks a signature's form: a KMS key of another kind must not put
// anything else into a token.
func signatureOf(algorithm string, raw []byte) ([]byte, error) {
	if algorithm == rs256 && len(raw) >= 256 || algorithm != rs256 && len(raw) == 64 {
		return raw, nil
	}
	return nil, fmt.Errorf("the KMS made a signature of %d bytes, which is none of %s", len(raw), algorithm)
}

// rawECDSA turns a signature in DER (RFC 3279 §2.2.3) into r ‖ s of 32 bytes each.
func rawECDSA(der []byte) ([]byte, error) {
	var sig struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &sig)
	if err != nil || len(rest) != 0 || sig.R.Sign() <= 0 || sig.S.Sign() <= 0 || sig.R.BitLen() > 256 || sig.S.BitLen() > 256 {
		return nil, errors.New("the KMS made no ECDSA signature on P-256")
	}
	raw := make([]byte, 64)
	sig.R.FillBytes(raw[:32])
	sig.S.FillBytes(raw[32:])
	return raw, nil
}

// publicKey checks that a KMS made the key that it was asked for.
func publicKey(algorithm string, public any) (crypto.PublicKey, error) {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		if algorithm == es256 && p.Curve == elliptic.P256() {
			return p, nil
		}
	case ed25519.PublicKey:
		if algorithm == eddsa && len(p) == ed25519.PublicKeySize {
			return p, nil
		}
	case *rsa.PublicKey:
		if algorithm == rs256 && p.N.BitLen() == rsaBits {
			return p, nil
		}
	}
	return nil, fmt.Errorf("the KMS made a %T, which is no key for %s", public, algorithm)
}

// publicDER is publicKey of a SubjectPublicKeyInfo.
func publicDER(algorithm string, der []byte) (crypto.PublicKey, error) {
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("read the KMS's public key: %w", err)
	}
	return publicKey(algorithm, public)
}

// publicPEM is publicDER in PEM.
func publicPEM(algorithm, text string) (crypto.PublicKey, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("the KMS's public key is no PEM")
	}
	return publicDER(algorithm, block.Bytes)
}

// checkLabel refuses a label that would be more than a name in a KMS's path.
func checkLabel(label string) error {
	if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		return errors.New("the label of a signing key has 1 to 63 letters, digits and hyphens")
	}
	return nil
}

// noAlgorithm is keys.ErrKMSAlgorithm with its name.
func noAlgorithm(algorithm string) error {
	return keys.ErrKMSAlgorithm.With("algorithm", printable(algorithm))
}
