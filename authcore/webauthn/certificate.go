package webauthn

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
)

// What certificates of authenticators come with: TPMs have RSA 2048, some roots 4096.
// Keys below 1024 bits are crypto/rsa's to refuse. Issuers have P-384 at most.
const (
	maxCertificateRSABits     = 4096
	maxCertificateRSAExponent = 65537
	maxIssuerCurveBits        = 384
)

// certificates returns the member x5c of a statement, which is a non-empty
// array of DER certificates in every format that has it.
func certificates(statement map[string]any) ([][]byte, error) {
	member, ok := statement["x5c"]
	if !ok {
		return nil, nil
	}
	chain, ok := member.([]any)
	if !ok || len(chain) == 0 || len(chain) > maxCertificates {
		return nil, errors.New("x5c is not an array of certificates")
	}
	certs := make([][]byte, len(chain))
	for i, c := range chain {
		if certs[i], ok = c.([]byte); !ok {
			return nil, errors.New("x5c is not an array of certificates")
		}
	}
	return certs, nil
}

// checkCertificates refuses a statement with a key that is dear to verify with,
// before anything is verified: x5c are the certificates of the statement itself.
func checkCertificates(object protocol.AttestationObject, x5c [][]byte) error {
	if object.Format == FormatSafetyNet {
		inside, err := safetyNetCertificates(object.AttStatement)
		if err != nil {
			return fmt.Errorf("%s: %w", object.Format, err)
		}
		x5c = append(inside, x5c...)
	}
	var subjects [][]byte // of issuers
	for i, der := range x5c {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			// Nothing can be verified with it, and a format that needs it will say so.
			// TPMs are sold with intermediates whose serial number is negative.
			continue
		}
		if err := reasonable(cert.PublicKey, i == 0); err != nil {
			return fmt.Errorf("x5c: %w", err)
		}
		if i == 0 || object.Format != FormatAndroidKey && object.Format != FormatApple {
			continue
		}
		// The library verifies these chains, and tries every certificate that has the name
		// of an issuer: with one name for all of them, their permutations.
		if slices.ContainsFunc(subjects, func(s []byte) bool { return bytes.Equal(s, cert.RawSubject) }) {
			return errors.New("x5c: two issuers of one name")
		}
		subjects = append(subjects, cert.RawSubject)
	}
	return nil
}

// safetyNetCertificates returns the chain in the header of the JWS that is the member
// response (RFC 7515 §4.1.6). It reads it as loosely as the library does, which
// verifies it: what fails here fails there.
func safetyNetCertificates(statement map[string]any) ([][]byte, error) {
	response, ok := statement["response"].([]byte)
	if !ok {
		return nil, nil // for the library to refuse, as every other form
	}
	encoded, _, _ := bytes.Cut(response, []byte("."))
	header, err := base64.RawURLEncoding.DecodeString(string(encoded))
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	var members map[string]any // a struct would also take X5C for x5c
	if err := json.Unmarshal(header, &members); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	chain, ok := members["x5c"].([]any)
	if !ok {
		return nil, nil
	}
	if len(chain) > maxCertificates {
		return nil, fmt.Errorf("%d certificates", len(chain))
	}
	certs := make([][]byte, len(chain))
	for i, c := range chain {
		text, _ := c.(string)
		if certs[i], err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, fmt.Errorf("x5c: %w", err)
		}
	}
	return certs, nil
}

// reasonable refuses keys of certificates that nobody uses and that are dear to
// verify with: the cost of RSA grows with the cube of its size, and a modulus that
// fills a request would keep a processor busy for seconds. P-521 costs twenty times
// what P-256 does: it is the first certificate's alone, whose key verifies the statement
// and nothing else (ES512 is an algorithm of statements).
func reasonable(key any, first bool) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n > maxCertificateRSABits || k.E > maxCertificateRSAExponent {
			return fmt.Errorf("an RSA key of %d bits", n)
		}
		return nil
	case *ecdsa.PublicKey: // of the curves that crypto/x509 knows
		if n := k.Curve.Params().BitSize; n > maxIssuerCurveBits && !first {
			return fmt.Errorf("an issuer's curve of %d bits", n)
		}
		return nil
	case ed25519.PublicKey:
		return nil
	}
	return fmt.Errorf("a key of type %T", key)
}
