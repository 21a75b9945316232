package webauthn_test

import (
	"crypto/x509"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// certificatesIn returns the certificates of an attestation object that parse.
func certificatesIn(attestationObject []byte) []*x509.Certificate {
	var object protocol.AttestationObject
	if err := webauthncbor.Unmarshal(attestationObject, &object); err != nil {
		return nil
	}
	chain, _ := object.AttStatement["x5c"].([]any)
	var certs []*x509.Certificate
	for _, der := range chain {
		raw, _ := der.([]byte)
		if c, err := x509.ParseCertificate(raw); err == nil {
			certs = append(certs, c)
		}
	}
	return certs
}
