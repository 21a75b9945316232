package webauthn

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"maps"
	"time"
)

// errNotYetValid is why a certificate is refused whose validity begins later.
var errNotYetValid = errors.New("a certificate is not valid yet")

// judged returns those certificates of a statement whose validity the library
// judges, and nothing else about their chain: in packed statements all of them, in
// those of TPMs and U2F the first.
func judged(format string, x5c [][]byte) [][]byte {
	switch format {
	case FormatPacked:
		return x5c
	case FormatTPM, FormatFIDOU2F:
		return x5c[:min(1, len(x5c))]
	}
	return nil
}

// checkValidity refuses certificates that are not valid at a time. Of android-key
// and apple, whose chains the library verifies, it accepts those that have expired,
// as the library does: old phones are full of them. How that counts is
// authcore/attestation's to say.
func checkValidity(format string, x5c [][]byte, at time.Time) error {
	certs, tolerant := judged(format, x5c), false
	if format == FormatAndroidKey || format == FormatApple {
		certs, tolerant = x5c, true
	}
	expired := false
	for _, der := range certs {
		cert, err := x509.ParseCertificate(der)
		switch {
		case err != nil: // the library, which needs them all, has read them
			return ErrAttestation.WithCause(err)
		case at.Before(cert.NotBefore):
			return ErrAttestation.WithCause(fmt.Errorf("%s: %w: from %v", format, errNotYetValid, cert.NotBefore))
		case at.After(cert.NotAfter) && !tolerant:
			expired = true
		}
	}
	if expired {
		return ErrAttestationExpired
	}
	return nil
}

// timeless returns the statement with its certificates as if they were valid now.
//
// The library judges them by the process's clock and cannot be told another time,
// but old evidence has to be verified at the time of its registration. It is
// therefore shown copies with another validity; ours is judged by checkValidity. A
// copy breaks the signature of its issuer, which nobody looks at here: the library
// verifies chains only for the formats that judged leaves out.
func timeless(format string, statement map[string]any, x5c [][]byte) map[string]any {
	now := time.Now()
	var shown []any
	for i, der := range judged(format, x5c) {
		cert, err := x509.ParseCertificate(der)
		if err != nil || !now.Before(cert.NotBefore) && !now.After(cert.NotAfter) {
			continue // unreadable ones are for the library to refuse
		}
		if der, err = withValidity(der, now.Add(-time.Hour), now.Add(time.Hour)); err != nil {
			continue
		}
		if shown == nil {
			for _, der := range x5c {
				shown = append(shown, der)
			}
		}
		shown[i] = der
	}
	if shown == nil {
		return statement
	}
	statement = maps.Clone(statement)
	statement["x5c"] = shown
	return statement
}

// withValidity returns a certificate in which only the validity differs (RFC 5280
// §4.1), which no longer has a good signature.
func withValidity(der []byte, notBefore, notAfter time.Time) ([]byte, error) {
	var certificate, tbs []asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &certificate); err != nil || len(rest) > 0 || len(certificate) != 3 {
		return nil, fmt.Errorf("certificate: %d parts: %w", len(certificate), err)
	}
	if _, err := asn1.Unmarshal(certificate[0].FullBytes, &tbs); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	place := 3 // serialNumber, signature, issuer, validity
	if len(tbs) > 0 && tbs[0].Class == asn1.ClassContextSpecific {
		place++ // version
	}
	if len(tbs) <= place {
		return nil, fmt.Errorf("certificate: %d members", len(tbs))
	}
	validity, err := asn1.Marshal(struct{ NotBefore, NotAfter time.Time }{notBefore.UTC(), notAfter.UTC()})
	if err != nil {
		return nil, fmt.Errorf("validity: %w", err)
	}
	tbs[place] = asn1.RawValue{FullBytes: validity}
	inner, err := asn1.Marshal(tbs)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	certificate[0] = asn1.RawValue{FullBytes: inner}
	return asn1.Marshal(certificate)
}

// present returns the time to judge by: that of the expectation, or else now.
func (exp *RegistrationExpectation) present() time.Time {
	if exp.At.IsZero() {
		return time.Now()
	}
	return exp.At
}
