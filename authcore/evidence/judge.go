package evidence

import (
	"crypto/sha1" //nolint:gosec // the key identifier of RFC 5280 §4.2.1.2, no signature
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/webauthn"
)

// MetadataOf is what a snapshot says of a model, as a record keeps it: the BLOB's payload
// cut down to the one entry. nil when it says nothing, or there is no snapshot: the
// verdict has its number then.
func MetadataOf(s *mds.Snapshot, of *webauthn.Registration) ([]byte, error) {
	if s == nil {
		return nil, nil
	}
	entry, ok := s.Lookup(of.AAGUID)
	for _, der := range of.Attestation.X5C {
		if ok {
			break
		}
		entry, ok = s.LookupKey(keyIdentifier(der)) // of U2F, whose models have no AAGUID
	}
	if !ok {
		return nil, nil
	}
	return s.Excerpt(entry)
}

// keyIdentifier is the SHA-1 of a certificate's public key; nil of what is none.
func keyIdentifier(der []byte) []byte {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info); err != nil {
		return nil
	}
	sum := sha1.Sum(info.Key.Bytes) //nolint:gosec // see the import
	return sum[:]
}

// judge repeats the verdict on the attestation from what the record holds.
func (r *Report) judge(record *Record, got *webauthn.Registration) {
	if record.Verdict == nil {
		r.add(StepVerdict, nil, "none was recorded")
		return
	}
	again, err := record.judge(got)
	if err == nil && !equalJSON(again, record.Verdict) {
		err = fmt.Errorf("the attestation is judged %s %v, and was recorded as %s %v", again.Trust, again.Reasons, record.Verdict.Trust, record.Verdict.Reasons)
	}
	r.add(StepVerdict, err, fmt.Sprintf("%s %v", record.Verdict.Trust, record.Verdict.Reasons))
}

func (r *Record) judge(got *webauthn.Registration) (*attestation.Verdict, error) {
	roots := make([]attestation.Root, len(r.Roots))
	for i, root := range r.Roots {
		c, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			return nil, fmt.Errorf("root %s: %w", root.ID, err)
		}
		roots[i] = attestation.Root{ID: root.ID, Certificate: c, AAGUID: root.AAGUID}
	}
	var known *mds.Snapshot
	switch {
	case len(r.Metadata) > 0 && string(r.Metadata) != "null":
		var err error
		if known, err = mds.ReadExcerpt(r.Metadata); err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
	case r.Verdict.MDSNumber != 0:
		// There was metadata, and it did not know the model: an absence cannot be shown
		// without the whole of it.
		if r.Verdict.Trust == attestation.MDS {
			return nil, errors.New("the verdict rests on metadata that is not in the record")
		}
		return r.Verdict, nil
	}
	v := attestation.Judge(got.Attestation, got.AAGUID, r.At, known, roots)
	return &v, nil
}
