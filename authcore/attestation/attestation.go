// Package attestation decides how far an attestation can be trusted: whether the
// model that an authenticator claims to be is proven, by whom, and why not.
//
// Package webauthn has already verified that a statement is well formed, is signed
// and belongs to this very registration. That says nothing about who signed it:
// anyone can make such a statement with a certificate of their own. Judge therefore
// looks for a chain of certificates to a root that somebody vouches for, and there
// are two who do: the FIDO Metadata Service, for the model that the AAGUID names,
// and the tenant, with roots that it uploaded (enterprise attestation). Everything
// else is a claim.
//
// Service keeps these roots. What follows from a verdict is the policy's to say
// (tenancy/policy). Judge is a pure function of evidence, metadata, roots and a time: the same evidence can be
// judged again years later, at the time it was recorded, and gives the same verdict.
package attestation

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/webauthn"
)

// Trust is how far an attestation proves the model. It is stored with the
// credential, and part of the API.
type Trust string

// The levels of trust. Only TenantRoot and MDS prove a model (see Trust.Verified).
const (
	// None: there was no attestation. The AAGUID is a claim.
	None Trust = "NONE"

	// Self: signed with the credential's own key. The AAGUID is a claim.
	Self Trust = "SELF"

	// Untrusted: there was an attestation, and it proves nothing; Reasons says why.
	// Worse than None: such a statement may be a forgery.
	Untrusted Trust = "UNTRUSTED"

	// TenantRoot: the chain ends in a root of the tenant.
	TenantRoot Trust = "TENANT_ROOT"

	// MDS: the chain ends in a root that the metadata lists for this model.
	MDS Trust = "MDS"
)

// Verified reports whether the model is proven by a chain of certificates.
func (t Trust) Verified() bool { return t == TenantRoot || t == MDS }

// rank orders the parts of a compound: the one that proves most comes first, and
// one that proves nothing is better than one that may be forged.
func (t Trust) rank() int {
	return slices.Index([]Trust{MDS, TenantRoot, Self, None, Untrusted}, t)
}

// What a verdict found: one reason for each level of trust but Untrusted. All reasons
// are API: never renamed, and listed in docs/attestation.md.
const (
	ReasonNone       = "NO_ATTESTATION"       // there was none
	ReasonSelf       = "SELF_ATTESTATION"     // signed with the credential's own key
	ReasonMDS        = "CHAIN_TO_MDS_ROOT"    // that the metadata lists for the model
	ReasonTenantRoot = "CHAIN_TO_TENANT_ROOT" // that the tenant trusts
)

// Why an attestation is Untrusted. The first three say why no root could be asked
// for the model, which is no fault of the chain.
const (
	ReasonNoMetadata     = "METADATA_MISSING"            // no metadata has been loaded yet
	ReasonModelUnknown   = "MODEL_UNKNOWN"               // the metadata does not know this model
	ReasonNoRoots        = "MODEL_WITHOUT_ROOTS"         // it knows the model, and lists no root for it
	ReasonChain          = "CHAIN_UNTRUSTED"             // leads to no root, or breaks a rule on its way
	ReasonExpired        = "ATTESTATION_EXPIRED"         // leads to a root, and was valid earlier
	ReasonNotYetValid    = "ATTESTATION_NOT_YET_VALID"   // leads to a root, and will be valid later
	ReasonCertificate    = "CERTIFICATE_MALFORMED"       // the attestation certificate cannot be read
	ReasonNoCertificate  = "CERTIFICATE_MISSING"         // a type of attestation that has some came with none
	ReasonCritical       = "CRITICAL_EXTENSION"          // the certificate has one that nobody here understands
	ReasonWeakKey        = "WEAK_KEY"                    // in a certificate of a chain that is good otherwise
	ReasonAAGUIDMismatch = "AAGUID_MISMATCH"             // the certificate is another model's
	ReasonAAGUIDAbsent   = "AAGUID_ABSENT"               // the root is several models' or any's, and the certificate names none
	ReasonKeyCompromised = "ATTESTATION_KEY_COMPROMISED" // the metadata says so of this chain
	ReasonSelfUnexpected = "SELF_ATTESTATION_UNEXPECTED" // this model attests with certificates
	ReasonFormat         = "FORMAT_UNTRUSTED"            // android-safetynet, whose service is turned off
)

// ReasonMetadataStale is a remark that changes nothing.
const ReasonMetadataStale = "METADATA_STALE" // past its nextUpdate at the time of the verdict

// Verdict is what Judge found. It is stored with the evidence.
type Verdict struct {
	Trust   Trust    `json:"trust"`
	Reasons []string `json:"reasons"` // at least one, none twice

	// Certification is the highest FIDO certification of the model in force at At,
	// as the metadata spells it: "FIDO_CERTIFIED_L2". Empty for none, and unless
	// Trust is MDS: a claim to be a certified model certifies nothing.
	Certification string `json:"certification,omitempty"`

	// Statuses are those in force at At that speak against the model, and Name is
	// what the metadata calls it. Both are of the model that was claimed, proven or
	// not: nobody gains by claiming to be a revoked one.
	Statuses []string `json:"statuses,omitempty"`
	Name     string   `json:"name,omitempty"`

	// Expired: the chain leads to a trusted root, and was valid before At.
	Expired bool `json:"expired,omitempty"`

	// MDSNumber is the serial of the metadata that was asked, 0 for none.
	MDSNumber int `json:"mdsNumber,omitempty"`

	// Root is the tenant's root where Trust is TenantRoot, else the zero UUID.
	Root uuid.UUID `json:"root,omitzero"`

	// Chain is the verified chain, DER, from the attestation certificate to the root
	// and with it; where there is none, the certificates that came.
	Chain [][]byte `json:"chain,omitempty"`

	At time.Time `json:"at"`
}

// Judge decides how far att proves that the authenticator is of the model aaguid,
// at a time. att must come of webauthn.VerifyRegistration, with aaguid of the same
// registration. meta is nil where there is no metadata. Judge reads nothing but its
// arguments, and changes none.
//
// In a compound every part is judged, and the one that proves most decides. Reasons
// are then those of all parts, the deciding one's first.
func Judge(att webauthn.Attestation, aaguid uuid.UUID, at time.Time, meta *mds.Snapshot, roots []Root) Verdict {
	j := judge{aaguid: aaguid, at: at, meta: meta, roots: roots}
	v := j.statement(att)
	v.At = at
	if meta != nil {
		v.MDSNumber = meta.Number
		if meta.Stale(at) {
			v.Reasons = append(v.Reasons, ReasonMetadataStale)
		}
	}
	v.Reasons = unique(v.Reasons)
	return v
}

// judge is one call of Judge.
type judge struct {
	aaguid uuid.UUID
	at     time.Time
	meta   *mds.Snapshot
	roots  []Root
}

func (j judge) statement(att webauthn.Attestation) Verdict {
	if att.Format == webauthn.FormatCompound {
		return j.compound(att.Parts)
	}
	switch att.Type {
	case webauthn.AttestationNone:
		return j.claim(nil, Verdict{Trust: None, Reasons: []string{ReasonNone}})
	case webauthn.AttestationSelf:
		return j.self()
	case webauthn.AttestationBasic, webauthn.AttestationAttCA, webauthn.AttestationAnonCA:
		if att.Format == webauthn.FormatSafetyNet {
			return j.claim(nil, untrusted(ReasonFormat))
		}
		return j.chain(att)
	default: // none that VerifyRegistration returns
		return untrusted(ReasonFormat)
	}
}

func (j judge) compound(parts []webauthn.Attestation) Verdict {
	if len(parts) == 0 {
		return untrusted(ReasonFormat)
	}
	verdicts := make([]Verdict, len(parts))
	for i, part := range parts {
		verdicts[i] = j.statement(part)
	}
	slices.SortStableFunc(verdicts, func(a, b Verdict) int { return cmp.Compare(a.Trust.rank(), b.Trust.rank()) })
	v := verdicts[0]
	v.Reasons = slices.Clone(v.Reasons)
	for _, other := range verdicts[1:] {
		v.Reasons = append(v.Reasons, other.Reasons...)
		v.Statuses = append(v.Statuses, other.Statuses...)
		if !v.Trust.Verified() {
			v.Expired = v.Expired || other.Expired
		}
	}
	v.Statuses = unique(v.Statuses)
	return v
}

// self judges self attestation. A model that attests with certificates never signs
// with the credential's key, so whoever does that only claims to be one.
func (j judge) self() Verdict {
	v := Verdict{Trust: Self, Reasons: []string{ReasonSelf}}
	entry, ok := j.model()
	if ok && len(entry.AttestationTypes) > 0 && !slices.Contains(entry.AttestationTypes, "basic_surrogate") {
		v = untrusted(ReasonSelfUnexpected)
	}
	return j.claim(nil, v)
}

// model looks the claimed model up. The zero AAGUID names none.
func (j judge) model() (*mds.Entry, bool) {
	if j.meta == nil || j.aaguid == uuid.Nil {
		return nil, false
	}
	return j.meta.Lookup(j.aaguid)
}

// claim adds to v what the metadata says of a model: of entry, or else of the one
// that the AAGUID claims.
func (j judge) claim(entry *mds.Entry, v Verdict) Verdict {
	if entry == nil {
		var ok bool
		if entry, ok = j.model(); !ok {
			return v
		}
	}
	v.Name = entry.Name
	v.Statuses = unique(append(entry.Against(j.at), v.Statuses...)) // its own is of this chain
	if v.Trust == MDS {
		v.Certification = entry.Certification(j.at)
	}
	return v
}

func untrusted(reasons ...string) Verdict { return Verdict{Trust: Untrusted, Reasons: reasons} }

func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
