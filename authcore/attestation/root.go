package attestation

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// Why a root is not taken. Each Reason is part of the public API.
var (
	ErrRootMalformed  = fault.New(fault.Invalid, "ATTESTATION_ROOT_MALFORMED", "send one certificate, in PEM and with nothing beside it")
	ErrRootPrivateKey = fault.New(fault.Invalid, "PRIVATE_KEY_SENT", "this is a private key: nothing of it is kept, but it has travelled, so replace it; send the certificate alone")
	ErrRootExpired    = fault.New(fault.Invalid, "ATTESTATION_ROOT_EXPIRED", "this certificate has expired: nothing would be trusted by it")
	ErrRootWeakKey    = fault.New(fault.Invalid, "ATTESTATION_ROOT_WEAK_KEY", "the key of this certificate is too weak: RSA has 2048 to 8192 bits, elliptic curves are P-256 and beyond")
	ErrRootUnfit      = fault.New(fault.Invalid, "ATTESTATION_ROOT_UNFIT", "this certificate attests no authenticators")
	ErrRootName       = fault.New(fault.Invalid, "ATTESTATION_ROOT_NAME_INVALID", "a name has 1 to 100 characters that can be seen")
	ErrRootAAGUIDs    = fault.New(fault.Invalid, "ATTESTATION_ROOT_AAGUIDS_INVALID", "these are no AAGUIDs of up to 64 different models")
)

// Bounds of a root. Certificates of vendors have 400 to 2200 bytes; all of a tenant's
// roots may stand in a record of evidence (evidence.maxRecordBytes).
const (
	maxRootBytes = 4096
	maxRootText  = 8192 // in PEM, which is a third longer and has lines
	maxRootName  = 100  // characters
	maxAAGUIDs   = 64

	// maxRSABits bounds what one verification costs.
	maxRSABits = 8192
)

// Root is a certificate that a tenant trusts to attest authenticators. If it is a CA's,
// it vouches for whatever chain leads to it; otherwise for statements by its own key.
type Root struct {
	ID   uuid.UUID
	Name string

	// Certificate is nil where this release cannot read what an older one took: it
	// vouches for nothing then.
	Certificate *x509.Certificate

	// AAGUIDs are the only models that the root may attest; empty: any. Unless there is
	// exactly one, a statement other than a U2F key's, which has no model, is believed only
	// if its certificate names the model: those of tpm, android-key and apple seldom do.
	AAGUIDs []uuid.UUID

	Fingerprint [sha256.Size]byte // SHA-256 of the certificate, DER
	NotBefore   time.Time
	NotAfter    time.Time
	CreatedBy   string // kind:id
	CreatedAt   time.Time
}

// Attests reports whether r is there to vouch for the model.
func (r *Root) Attests(aaguid uuid.UUID) bool {
	return r.Certificate != nil && (len(r.AAGUIDs) == 0 || slices.Contains(r.AAGUIDs, aaguid))
}

// PEM is the certificate as text; empty where it cannot be read.
func (r *Root) PEM() string {
	if r.Certificate == nil {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate.Raw}))
}

// Subject is whom the certificate names, for people (RFC 4514); empty where it names
// nobody or cannot be read.
func (r *Root) Subject() string {
	if r.Certificate == nil {
		return ""
	}
	return strings.ToValidUTF8(r.Certificate.Subject.String(), "\uFFFD")
}

// ParseRoot reads a certificate, in PEM or DER, that is to be a root from now on. It
// takes exactly one, with nothing beside it, and only what Judge can trust by: a CA that
// may sign certificates, or a certificate that attests itself. The errors are ErrRoot…
func ParseRoot(text []byte, now time.Time) (*x509.Certificate, error) {
	der, err := decodeRoot(text)
	if err != nil {
		return nil, err
	}
	if len(der) > maxRootBytes {
		return nil, ErrRootMalformed.WithMessage(fmt.Sprintf("a certificate has at most %d bytes", maxRootBytes))
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		if privateKey(der) {
			return nil, ErrRootPrivateKey
		}
		return nil, ErrRootMalformed.WithMessage("the certificate cannot be read").WithCause(err)
	}
	if cert.NotBefore.Before(time.Time{}) { // the year 0, which no timestamp of the API can say
		return nil, ErrRootMalformed.WithMessage("the certificate is of no time")
	}
	if !now.Before(cert.NotAfter) {
		return nil, ErrRootExpired.With("notAfter", cert.NotAfter.UTC().Format(time.RFC3339))
	}
	if err := strong(cert); err != nil {
		return nil, err
	}
	return cert, fit(cert)
}

// decodeRoot returns the DER of one certificate.
func decodeRoot(text []byte) ([]byte, error) {
	if bytes.Contains(text, []byte("PRIVATE KEY-----")) { // anywhere: a bundle holds both
		return nil, ErrRootPrivateKey
	}
	if len(text) > maxRootText {
		return nil, ErrRootMalformed.WithMessage(fmt.Sprintf("a certificate has at most %d bytes in PEM", maxRootText))
	}
	if len(text) > 0 && text[0] == 0x30 { // SEQUENCE, and no text begins with "0"
		return text, nil
	}
	text = bytes.TrimSpace(text)
	block, rest := pem.Decode(text)
	switch {
	case block == nil || !bytes.HasPrefix(text, []byte("-----BEGIN ")):
		return nil, ErrRootMalformed
	case block.Type != "CERTIFICATE" || len(block.Headers) > 0:
		return nil, ErrRootMalformed.WithMessage("this is no certificate, but a PEM block of another kind")
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, ErrRootMalformed.WithMessage("there is more than one certificate: send the root alone, and each root by itself")
	}
	return block.Bytes, nil
}

// privateKey reports whether der is one, in any form that has a name.
func privateKey(der []byte) bool {
	_, pkcs8 := x509.ParsePKCS8PrivateKey(der)
	_, pkcs1 := x509.ParsePKCS1PrivateKey(der)
	_, sec1 := x509.ParseECPrivateKey(der)
	return pkcs8 == nil || pkcs1 == nil || sec1 == nil
}

// strong refuses keys that somebody else may come by, and those that cost too much.
func strong(cert *x509.Certificate) error {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if weak(cert) || key.N.BitLen() > maxRSABits {
			return ErrRootWeakKey
		}
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P224() {
			return ErrRootWeakKey
		}
	case ed25519.PublicKey:
	default:
		return ErrRootUnfit.WithMessage("the key of this certificate is of a kind that nothing here verifies")
	}
	return nil
}

// fit refuses a certificate that could never be the end of a chain of attestation. What
// is left are CAs, those of the time before X.509 had a word for it, and certificates
// that attest by themselves.
func fit(cert *x509.Certificate) error {
	if len(cert.UnhandledCriticalExtensions) > 0 {
		return ErrRootUnfit.WithMessage("the certificate has a critical extension that nothing here understands")
	}
	if cert.BasicConstraintsValid && cert.IsCA {
		if cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0 {
			return ErrRootUnfit.WithMessage("the certificate is of a CA that may not sign certificates")
		}
		return nil
	}
	// The usual mistake: what is at hand in PEM is the certificate of a server.
	for _, usage := range cert.ExtKeyUsage {
		if slices.Contains(elsewhere, usage) {
			return ErrRootUnfit.WithMessage("the certificate is for servers, clients, mail or code, not for authenticators")
		}
	}
	return nil
}

// elsewhere are the uses that certificates have in the rest of the world.
var elsewhere = []x509.ExtKeyUsage{
	x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageCodeSigning, x509.ExtKeyUsageEmailProtection,
	x509.ExtKeyUsageTimeStamping, x509.ExtKeyUsageOCSPSigning,
}

// ParseRootID reads an id as the API prints it. What is none is ErrRootNotFound, as one
// that nobody has.
func ParseRootID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return uuid.Nil, ErrRootNotFound
	}
	return id, nil
}

// ParseAAGUIDs reads the models that a root may attest, as the API spells them.
// ErrRootAAGUIDs: one of them is none or stands twice, or they are more than 64. The zero
// AAGUID is no model.
func ParseAAGUIDs(texts []string) ([]uuid.UUID, error) {
	if len(texts) > maxAAGUIDs {
		return nil, ErrRootAAGUIDs
	}
	out := make([]uuid.UUID, 0, len(texts))
	for _, text := range texts {
		id, err := uuid.Parse(text)
		if err != nil || len(text) != 36 || id == uuid.Nil || slices.Contains(out, id) {
			return nil, ErrRootAAGUIDs.With("aaguid", strings.ToValidUTF8(text[:min(len(text), 40)], ""))
		}
		out = append(out, id)
	}
	return out, nil
}
