// Package mds knows the models of authenticators as the FIDO Metadata Service
// describes them (FIDO Metadata Service v3.0): their names and icons, the roots that
// their attestations lead to, how they are certified, and what is reported against them.
//
// The service publishes one signed document, the BLOB. Parse verifies it and turns it
// into a Snapshot, which is never changed. Service keeps the last one that was good, in
// Postgres and in the memory of every server.
package mds

import (
	"crypto/x509"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/policy"
)

// Entry is one model (FIDO Metadata Service #sctn-mdblob-payloadentry).
type Entry struct {
	AAGUID           uuid.UUID           // zero for authenticators of the kinds U2F and UAF
	KeyIdentifiers   [][]byte            // attestationCertificateKeyIdentifiers, of U2F: SHA-1 of the public key
	Name             string              // the statement's description: one line of at most maxNameCharacters, all printable
	Icon             []byte              // PNG, at most MaxIconBytes; nil where there is none, or one that is not to be shown
	Roots            []*x509.Certificate // attestationRootCertificates: roots, intermediates, or the attestation certificate itself
	AttestationTypes []string            // basic_full, basic_surrogate, attca, anonca, ecdaa
	Reports          []StatusReport      // the oldest first, by effective date
	Statement        []byte              // the metadataStatement, JSON as it came; nil for none
}

// StatusReport is something that was found out about a model (FIDO Metadata Service
// #sctn-status-report).
type StatusReport struct {
	Status      string    // AuthenticatorStatus, as the service spells it
	Effective   time.Time // since when; zero for ever
	Certificate []byte    // DER: the attestation certificate that it is about; nil: all of them
}

// The statuses that speak against a model (FIDO Metadata Service
// #authenticatorstatus-enum).
const (
	Revoked                  = "REVOKED"
	UserVerificationBypass   = "USER_VERIFICATION_BYPASS"
	AttestationKeyCompromise = "ATTESTATION_KEY_COMPROMISE"
	UserKeyRemoteCompromise  = "USER_KEY_REMOTE_COMPROMISE"
	UserKeyPhysical          = "USER_KEY_PHYSICAL_COMPROMISE"

	notCertified = "NOT_FIDO_CERTIFIED"
)

var against = []string{Revoked, UserVerificationBypass, AttestationKeyCompromise, UserKeyRemoteCompromise, UserKeyPhysical}

// certifications are the levels, each above the one before.
var certifications = policy.Certifications()

// in reports whether r is in force at a time.
func (r *StatusReport) in(at time.Time) bool { return r.Effective.IsZero() || !r.Effective.After(at) }

// Certification returns the highest FIDO certification that is in force at a time, and ""
// for none. A model that is revoked, or is said to be certified no more, has lost what it
// had before.
func (e *Entry) Certification(at time.Time) string {
	highest := -1
	for i := range e.Reports {
		r := &e.Reports[i]
		if !r.in(at) {
			continue
		}
		if r.Status == Revoked || r.Status == notCertified {
			highest = -1
			continue
		}
		highest = max(highest, slices.Index(certifications, policy.Certification(r.Status)))
	}
	if highest < 0 {
		return ""
	}
	return string(certifications[highest])
}

// Against returns the statuses in force at a time that speak against the model, each
// once, the oldest first; nil for none. An update that is said to be available takes none
// of them back: nobody knows who has installed it. A compromise of one attestation
// certificate alone is not the model's.
func (e *Entry) Against(at time.Time) []string {
	var out []string
	for _, status := range e.InForce(at) {
		if slices.Contains(against, status) {
			out = append(out, status)
		}
	}
	return out
}

// Snapshot is a BLOB that was verified. It is shared and never changed.
type Snapshot struct {
	Number     int       // no: grows with every BLOB
	NextUpdate time.Time // when the next is due; midnight UTC
	Unparsed   int       // entries that could not be read

	entries []*Entry
	models  map[uuid.UUID]*Entry
	keys    map[string]*Entry
}

// Lookup returns the model of an AAGUID. The zero AAGUID is no model's.
func (s *Snapshot) Lookup(aaguid uuid.UUID) (*Entry, bool) {
	e, ok := s.models[aaguid]
	return e, ok
}

// LookupKey returns the model of a U2F attestation certificate, by the SHA-1 of its public
// key (RFC 5280 §4.2.1.2, method 1).
func (s *Snapshot) LookupKey(identifier []byte) (*Entry, bool) {
	e, ok := s.keys[string(identifier)]
	return e, ok
}

// Entries yields all models, in the BLOB's order.
func (s *Snapshot) Entries() iter.Seq[*Entry] { return slices.Values(s.entries) }

// Len is how many models there are.
func (s *Snapshot) Len() int { return len(s.entries) }

// Stale reports whether the next BLOB is overdue: what is known may be out of date.
func (s *Snapshot) Stale(now time.Time) bool { return !now.Before(s.NextUpdate.AddDate(0, 0, 1)) }

// Change is a model whose reports differ between two BLOBs.
type Change struct {
	AAGUID        uuid.UUID
	Name          string
	Before, After []string // what spoke against it, and does
}

// Changes returns the models against which other things are reported in after than in
// before, which may be nil, at a time. Models without an AAGUID are left out.
func Changes(before, after *Snapshot, at time.Time) []Change {
	var out []Change
	for _, e := range after.entries {
		if e.AAGUID == uuid.Nil {
			continue
		}
		var was []string
		if before != nil {
			if old, ok := before.Lookup(e.AAGUID); ok {
				was = old.Against(at)
			}
		}
		if is := e.Against(at); !slices.Equal(was, is) {
			out = append(out, Change{AAGUID: e.AAGUID, Name: e.Name, Before: was, After: is})
		}
	}
	return out
}
