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
	paths, reason := c.verify(entry.Roots, j.at)
	if len(paths) == 0 {
		return Verdict{Trust: Untrusted, Reasons: []string{reason}, Expired: reason == ReasonExpired}
	}
	path := paths[0]
	// WebAuthn L3 #sctn-packed-attestation-cert-requirements. Certificates of the other
	// formats name no model, and the metadata says which of them their root attests.
	named := format == webauthn.FormatPacked && len(path) > 1 && j.shared(path[len(path)-1], entry)
	if reason := c.checkAAGUID(format, j.aaguid, named); reason != "" {
		return untrusted(reason)
	}
	if compromised(entry, path, j.at) {
		return Verdict{Trust: Untrusted, Reasons: []string{ReasonKeyCompromised}, Statuses: []string{mds.AttestationKeyCompromise}}
	}
	return Verdict{Trust: MDS, Reasons: []string{ReasonMDS}, Chain: encoded(path)}
}

// byTenant judges by the tenant's roots, and reports whether one could be asked. All of
// them are asked at once: one at a time, whoever registers would pay for each in
// signatures to verify.
func (j judge) byTenant(format string, c chain) (Verdict, bool) {
	var roots []*Root
	var certs []*x509.Certificate
	for i := range j.roots {
		if root := &j.roots[i]; root.Attests(j.aaguid) {
			roots, certs = append(roots, root), append(certs, root.Certificate)
		}
	}
	if len(roots) == 0 {
		return untrusted(), false
	}
	paths, reason := c.verify(certs, j.at)
	if len(paths) == 0 {
		return Verdict{Trust: Untrusted, Reasons: []string{reason}, Expired: reason == ReasonExpired}, true
	}
	v := untrusted()
	for _, root := range roots {
		at := slices.IndexFunc(paths, func(path []*x509.Certificate) bool { return path[len(path)-1].Equal(root.Certificate) })
		if at < 0 {
			continue
		}
		// Of whatever format: a root for any model says of none that it attests it.
		reason := c.checkAAGUID(format, j.aaguid, len(root.AAGUIDs) != 1)
		if reason == "" {
			return Verdict{Trust: TenantRoot, Reasons: []string{ReasonTenantRoot}, Chain: encoded(paths[at]), Root: root.ID}, true
		}
		v.Reasons = append(v.Reasons, reason)
	}
	return v, true
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
	leaf *x509.Certificate
	// others come in any order, and with what is of no use, but of each subject once.
	others []*x509.Certificate
}

// newChain reads the certificates. Only the first must be readable: a statement may
// carry others that no path needs, and TPMs are sold with intermediates that
// crypto/x509 does not accept.
//
// The others were made by whoever registers. crypto/x509 tries every certificate that has
// the name of an issuer, so with one name for all of them it would try their permutations;
// where each name stands once, there is one way on from every certificate. A chain is in
// order (WebAuthn L3 #sctn-packed-attestation), so the first of a name is the one that counts.
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
		cert, err := x509.ParseCertificate(der)
		if err != nil || slices.ContainsFunc(c.others, func(o *x509.Certificate) bool { return bytes.Equal(o.RawSubject, cert.RawSubject) }) {
			continue
		}
		c.others = append(c.others, cert)
	}
	return c, true
}

// verify returns the paths from the leaf to one of the roots that are valid at a time, or
// none and why. A root may be the leaf itself: some models are listed with their
// attestation certificate.
func (c chain) verify(roots []*x509.Certificate, at time.Time) ([][]*x509.Certificate, string) {
	if len(c.leaf.UnhandledCriticalExtensions) > 0 {
		return nil, ReasonCritical
	}
	if at.IsZero() {
		return nil, ReasonChain // crypto/x509 would take the present
	}
	var valid [][]*x509.Certificate
	reason := ReasonChain
	var earliest time.Time // that a path of another time begins to be valid
	for _, path := range c.paths(roots, at) {
		from, until := span(path)
		switch {
		case from.After(until): // never valid at once
		case !at.Before(from) && !at.After(until):
			if sound(path) {
				valid = append(valid, path)
			} else {
				reason = ReasonWeakKey
			}
		case reason != ReasonWeakKey && sound(path) && (reason == ReasonChain || from.Before(earliest)):
			earliest, reason = from, ReasonExpired
			if from.After(at) {
				reason = ReasonNotYetValid
			}
		}
	}
	if len(valid) > 0 {
		return valid, ""
	}
	return nil, reason
}

// paths returns every path from the leaf to one of the roots that keeps the rules, whenever
// it is valid. It asks crypto/x509 once, showing it certificates whose validity is the
// moment at: to ask at each of the times at which a path may begin to be valid is to verify
// every signature as often.
func (c chain) paths(roots []*x509.Certificate, at time.Time) [][]*x509.Certificate {
	originals := map[string]*x509.Certificate{}
	shown := func(cert *x509.Certificate) *x509.Certificate {
		originals[string(cert.Raw)] = cert
		other := *cert // what is verified is Raw, which stays
		other.NotBefore, other.NotAfter = at, at
		return &other
	}
	options := x509.VerifyOptions{
		Roots:         x509.NewCertPool(),
		Intermediates: x509.NewCertPool(),
		CurrentTime:   at,
		// Not certificates of web servers, which is what an empty list would ask for.
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	var paths [][]*x509.Certificate
	for _, root := range roots {
		if root.Equal(c.leaf) { // crypto/x509 would look no further
			paths = [][]*x509.Certificate{{c.leaf}}
			continue
		}
		options.Roots.AddCert(shown(root))
	}
	for _, cert := range c.others {
		options.Intermediates.AddCert(shown(cert))
	}
	found, err := shown(c.leaf).Verify(options)
	if err != nil {
		return paths
	}
	for _, path := range found {
		for i, cert := range path {
			path[i] = originals[string(cert.Raw)]
		}
		paths = append(paths, path)
	}
	return paths
}

// span returns when all certificates of a path are valid: at both times and between them.
// from is after until where they never are.
func span(path []*x509.Certificate) (from, until time.Time) {
	from, until = path[0].NotBefore, path[0].NotAfter
	for _, cert := range path[1:] {
		if cert.NotBefore.After(from) {
			from = cert.NotBefore
		}
		if cert.NotAfter.Before(until) {
			until = cert.NotAfter
		}
	}
	return from, until
}

// checkAAGUID compares the model that the certificate names with the claimed one
// (WebAuthn L3 #sctn-packed-attestation), and returns why they do not agree. With
// named the certificate must name one: without that, one model of a vendor could pass
// for another.
func (c chain) checkAAGUID(format string, aaguid uuid.UUID, named bool) string {
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
	if named {
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

func encoded(path []*x509.Certificate) [][]byte {
	out := make([][]byte, len(path))
	for i, cert := range path {
		out[i] = cert.Raw
	}
	return out
}
