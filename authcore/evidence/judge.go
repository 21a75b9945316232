package evidence

import (
	"crypto/sha1" //nolint:gosec // the key identifier of RFC 5280 §4.2.1.2, no signature
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/webauthn"
)

// MetadataOf is what a snapshot says of a model, as a record keeps it: the BLOB's payload
// cut down to the one entry, or to none where it does not know the model. nil when there is
// no snapshot. Of a certificate that names no model it takes besides, for each root of the
// model's, one other that has it too: under a root of two such a certificate proves neither.
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
		return s.Excerpt()
	}
	entries := []*mds.Entry{entry}
	if len(of.Attestation.X5C) > 0 && !attestation.NamesModel(of.Attestation.X5C[0]) {
		for _, root := range entry.Roots {
			for other := range s.Entries() {
				if other != entry && slices.ContainsFunc(other.Roots, root.Equal) {
					if !slices.Contains(entries, other) {
						entries = append(entries, other)
					}
					break
				}
			}
		}
	}
	return s.Excerpt(entries...)
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
		roots[i] = attestation.Root{ID: root.ID, Certificate: c, AAGUIDs: root.AAGUIDs}
	}
	var known *mds.Snapshot
	switch {
	case len(r.Metadata) > 0 && string(r.Metadata) != "null":
		var err error
		if known, err = mds.ReadExcerpt(r.Metadata); err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
	case r.Verdict.MDSNumber != 0:
		// There was metadata, and the record has nothing of it: it is of a release that
		// kept nothing of models that the metadata does not know, or it was too large.
		switch r.Verdict.Trust {
		case attestation.MDS:
			return nil, errors.New("the verdict rests on metadata that is not in the record")
		case attestation.TenantRoot: // which needs no metadata
			again := attestation.Judge(got.Attestation, got.AAGUID, r.At, nil, roots)
			if again.Trust != attestation.TenantRoot {
				return &again, nil
			}
			same := *r.Verdict
			same.Root, same.Chain = again.Root, again.Chain
			return &same, nil
		case attestation.None, attestation.Self, attestation.Untrusted:
		}
		return r.Verdict, nil
	}
	v := attestation.Judge(got.Attestation, got.AAGUID, r.At, known, roots)
	return &v, nil
}
