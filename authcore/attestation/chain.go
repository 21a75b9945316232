package attestation

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the key identifier of RFC 5280 §4.2.1.2, no signature
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/webauthn"
)

// minRSABits refuses RSA keys that NIST SP 800-131A has disallowed since 2014. No
// root of the metadata is that small; a few TPMs of the years before are.
const minRSABits = 2048

var (
	// WebAuthn L3 #sctn-packed-attestation-cert-requirements: id-fido-gen-ce-aaguid.
	oidAAGUID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}

	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
)

// chain judges a statement with certificates. The metadata is asked first: its word
// carries a certification, the tenant's does not.
func (j judge) chain(att webauthn.Attestation) Verdict {
	if len(att.X5C) == 0 {
		return j.claim(nil, untrusted(ReasonNoCertificate))
	}
	c, ok := newChain(att)
	if !ok {
		return j.claim(nil, Verdict{Trust: Untrusted, Reasons: []string{ReasonCertificate}, Chain: att.X5C})
	}
	entry, known := j.entry(att.Format, c)

	byMetadata := j.byMetadata(att.Format, c, entry)
	if byMetadata.Trust == MDS {
		return j.claim(entry, byMetadata)
	}
	byTenant, asked := j.byTenant(att.Format, c)
	if byTenant.Trust == TenantRoot {
		return j.claim(entry, byTenant)
	}
	v := byMetadata
	if asked && (!known || byTenant.Expired) {
		// The tenant's roots came closer to it than a model that nobody knows.
		v = byTenant
		v.Reasons = append(v.Reasons, byMetadata.Reasons...)
	}
	v.Chain = att.X5C
	return j.claim(entry, v)
}

// entry finds the model in the metadata: by its AAGUID, or for fido-u2f, which has
// none, by the key of a certificate (FIDO Metadata Service
// #sctn-verification-and-validation, attestationCertificateKeyIdentifiers; some
// vendors list the key of the issuer).
func (j judge) entry(format string, c chain) (*mds.Entry, bool) {
	if j.meta == nil {
		return nil, false
	}
	if format != webauthn.FormatFIDOU2F {
		return j.model()
	}
	for _, cert := range append([]*x509.Certificate{c.leaf}, c.others...) {
		if id, ok := keyIdentifier(cert); ok {
			if entry, ok := j.meta.LookupKey(id); ok {
				return entry, true
			}
		}
	}
	return nil, false
}

func (j judge) byMetadata(format string, c chain, entry *mds.Entry) Verdict {
	switch {
	case j.meta == nil:
		return untrusted(ReasonNoMetadata)
	case entry == nil:
		return untrusted(ReasonModelUnknown)
	case len(entry.Roots) == 0:
		return untrusted(ReasonNoRoots)
	}
	path, reason := c.verify(entry.Roots, j.at)
	if path == nil {
		return Verdict{Trust: Untrusted, Reasons: []string{reason}, Expired: reason == ReasonExpired}
	}
	shared := len(path) > 1 && j.shared(path[len(path)-1], entry)
	if reason := c.checkAAGUID(format, j.aaguid, shared); reason != "" {
		return untrusted(reason)
	}
	if compromised(entry, path, j.at) {
		return Verdict{Trust: Untrusted, Reasons: []string{ReasonKeyCompromised}, Statuses: []string{mds.AttestationKeyCompromise}}
	}
	return Verdict{Trust: MDS, Reasons: []string{ReasonMDS}, Chain: encoded(path)}
}

// byTenant judges by the tenant's roots, and reports whether one could be asked.
func (j judge) byTenant(format string, c chain) (Verdict, bool) {
	v, asked := untrusted(), false
	for i := range j.roots {
		root := &j.roots[i]
		if !root.Attests(j.aaguid) {
			continue
		}
		path, reason := c.verify([]*x509.Certificate{root.Certificate}, j.at)
		if path != nil {
			reason = c.checkAAGUID(format, j.aaguid, len(root.AAGUIDs) != 1 && len(path) > 1)
		}
		if path != nil && reason == "" {
			return Verdict{Trust: TenantRoot, Reasons: []string{ReasonTenantRoot}, Chain: encoded(path), Root: root.ID}, true
		}
		asked = true
		v.Reasons = append(v.Reasons, reason)
		v.Expired = v.Expired || reason == ReasonExpired
	}
	return v, asked
}

// shared reports whether the metadata lists a root for another model too.
func (j judge) shared(root *x509.Certificate, of *mds.Entry) bool {
	for other := range j.meta.Entries() {
		if other != of && slices.ContainsFunc(other.Roots, root.Equal) {
			return true
		}
	}
	return false
}

// compromised reports whether the attestation key behind a chain is known to others
// than its vendor: such a chain proves nothing. A report that names a certificate
// speaks of chains with that one only (FIDO Metadata Service #sctn-status-report).
func compromised(entry *mds.Entry, path []*x509.Certificate, at time.Time) bool {
	return slices.ContainsFunc(entry.Reports, func(r mds.StatusReport) bool {
		return r.Status == mds.AttestationKeyCompromise && !r.Effective.After(at) &&
			(r.Certificate == nil || slices.ContainsFunc(path, func(c *x509.Certificate) bool { return bytes.Equal(c.Raw, r.Certificate) }))
	})
}

// chain is the certificates of a statement.
type chain struct {
	leaf   *x509.Certificate
	others []*x509.Certificate // unordered, and with what is of no use
}

// newChain reads the certificates. Only the first must be readable: a statement may
// carry others that no path needs, and TPMs are sold with intermediates that
// crypto/x509 does not accept.
func newChain(att webauthn.Attestation) (chain, bool) {
	leaf, err := x509.ParseCertificate(att.X5C[0])
	if err != nil {
		return chain{}, false
	}
	if att.Format == webauthn.FormatTPM {
		// The certificate of an attestation key has no subject, and says in a critical
		// subjectAltName which TPM it is of. crypto/x509 knows only DNS names and the
		// like there; package webauthn has checked it (WebAuthn L3 #sctn-tpm-cert-requirements).
		leaf.UnhandledCriticalExtensions = slices.DeleteFunc(leaf.UnhandledCriticalExtensions, oidSubjectAltName.Equal)
	}
	c := chain{leaf: leaf}
	for _, der := range att.X5C[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			c.others = append(c.others, cert)
		}
	}
	return c, true
}

// verify returns a path from the leaf to one of the roots, valid at a time, or nil
// and why there is none. A root may be the leaf itself: some models are listed
// with their attestation certificate.
func (c chain) verify(roots []*x509.Certificate, at time.Time) ([]*x509.Certificate, string) {
	if len(c.leaf.UnhandledCriticalExtensions) > 0 {
		return nil, ReasonCritical
	}
	if at.IsZero() {
		return nil, ReasonChain // crypto/x509 would take the present
	}
	options := x509.VerifyOptions{
		Roots:         pool(roots),
		Intermediates: pool(c.others),
		CurrentTime:   at,
		// Not certificates of web servers, which is what an empty list would ask for.
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	paths, err := c.leaf.Verify(options)
	if err != nil {
		return nil, c.whyNot(options, roots, at)
	}
	for _, path := range paths {
		if sound(path) {
			return path, ""
		}
	}
	return nil, ReasonWeakKey
}

// whyNot tells a chain that was or will be valid from one that leads nowhere. A
// path has a time at which it is valid if and only if it is valid when the last of
// its certificates begins to be, so these are the times to try. There are few:
// those of the certificates that came and of the roots that issued one of them.
func (c chain) whyNot(options x509.VerifyOptions, roots []*x509.Certificate, at time.Time) string {
	came := append([]*x509.Certificate{c.leaf}, c.others...)
	times := make([]time.Time, 0, len(came))
	for _, cert := range came {
		times = append(times, cert.NotBefore)
	}
	for _, root := range roots {
		if slices.ContainsFunc(came, func(cert *x509.Certificate) bool { return bytes.Equal(cert.RawIssuer, root.RawSubject) }) {
			times = append(times, root.NotBefore)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	for _, options.CurrentTime = range slices.CompactFunc(times, time.Time.Equal) {
		if paths, err := c.leaf.Verify(options); err == nil && slices.ContainsFunc(paths, sound) {
			if options.CurrentTime.After(at) {
				return ReasonNotYetValid
			}
			return ReasonExpired
		}
	}
	return ReasonChain
}

// checkAAGUID compares the model that the certificate names with the claimed one
// (WebAuthn L3 #sctn-packed-attestation), and returns why they do not agree. Where
// the root attests several models, a packed certificate must name one
// (#sctn-packed-attestation-cert-requirements): without that, one model of a
// vendor could pass for another.
func (c chain) checkAAGUID(format string, aaguid uuid.UUID, shared bool) string {
	if format == webauthn.FormatFIDOU2F {
		return "" // the AAGUID is zero, and U2F certificates may name the model
	}
	for _, extension := range c.leaf.Extensions {
		if !extension.Id.Equal(oidAAGUID) {
			continue
		}
		var value []byte
		if rest, err := asn1.Unmarshal(extension.Value, &value); err != nil || len(rest) > 0 || !bytes.Equal(value, aaguid[:]) {
			return ReasonAAGUIDMismatch
		}
		return ""
	}
	if shared && format == webauthn.FormatPacked {
		return ReasonAAGUIDAbsent
	}
	return ""
}

// NamesModel reports whether a certificate, DER, says for which model it is: by the extension
// id-fido-gen-ce-aaguid (WebAuthn L3 #sctn-packed-attestation-cert-requirements).
func NamesModel(der []byte) bool {
	cert, err := x509.ParseCertificate(der)
	return err == nil && slices.ContainsFunc(cert.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidAAGUID) })
}

// keyIdentifier is the SHA-1 of the subject's public key, without its algorithm
// (RFC 5280 §4.2.1.2, method 1).
func keyIdentifier(cert *x509.Certificate) ([]byte, bool) {
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &info); err != nil {
		return nil, false
	}
	sum := sha1.Sum(info.Key.Bytes) //nolint:gosec // see the import
	return sum[:], true
}

func sound(path []*x509.Certificate) bool { return !slices.ContainsFunc(path, weak) }

func weak(cert *x509.Certificate) bool {
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	return ok && key.N.BitLen() < minRSABits
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, cert := range certs {
		p.AddCert(cert)
	}
	return p
}

func encoded(path []*x509.Certificate) [][]byte {
	out := make([][]byte, len(path))
	for i, cert := range path {
		out[i] = cert.Raw
	}
	return out
}
