package attestation_test

import (
	"crypto/sha1" //nolint:gosec // key identifiers of RFC 5280
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/mds/mdstest"
	"github.com/biocore-id/biocore/authcore/webauthn"
)

func basic(format string, ids ...*identity) webauthn.Attestation {
	return webauthn.Attestation{Format: format, Type: webauthn.AttestationBasic, X5C: x5c(ids...)}
}

func packed(ids ...*identity) webauthn.Attestation { return basic(webauthn.FormatPacked, ids...) }

var (
	none = webauthn.Attestation{Format: webauthn.FormatNone, Type: webauthn.AttestationNone}
	self = webauthn.Attestation{Format: webauthn.FormatPacked, Type: webauthn.AttestationSelf}
)

// Each case is one way to be trusted, or one way not to be. Removing a check from
// Judge turns the case that names it red.
func TestJudge(t *testing.T) {
	meta := newMetadata(t)
	root := template{name: "Root", ca: true}.by(t, nil)
	issuer := template{name: "Issuer", ca: true}.by(t, root)
	leaf := template{name: "Leaf", aaguid: &model}.by(t, issuer)
	nameless := template{name: "Leaf"}.by(t, issuer) // names no model
	foreign := template{name: "Root", ca: true}.by(t, nil)

	notCA := template{name: "End entity"}.by(t, root)
	short := template{name: "Short", ca: true, pathLen: 1}.by(t, nil)
	below := template{name: "Below", ca: true}.by(t, short)

	old := template{name: "Old", aaguid: &model, notAfter: now.AddDate(0, -1, 0)}.by(t, issuer)
	oldIssuer := template{name: "Old issuer", ca: true, notAfter: now.AddDate(0, -1, 0)}.by(t, root)
	oldRoot := template{name: "Old root", ca: true, notAfter: now.AddDate(0, -1, 0)}.by(t, nil)
	future := template{name: "Future", aaguid: &model, notBefore: now.Add(time.Hour)}.by(t, issuer)
	disjoint := template{name: "Disjoint", aaguid: &model, notBefore: now.AddDate(0, -1, 1)}.by(t, oldIssuer)

	weakRoot := template{name: "Weak root", ca: true, key: rsaKey(t, 1024)}.by(t, nil)
	weakLeaf := template{name: "Weak leaf", key: rsaKey(t, 1024), aaguid: &model}.by(t, issuer)
	strong := template{name: "RSA leaf", key: rsaKey(t, 2048), aaguid: &model}.by(t, issuer)

	critical := func(oid ...int) []pkix.Extension {
		return []pkix.Extension{{Id: oid, Critical: true, Value: []byte{0x05, 0x00}}}
	}
	puzzle := template{name: "Puzzle", aaguid: &model, extra: critical(1, 2, 3, 4)}.by(t, issuer)
	badAAGUID := template{name: "Bad", extra: []pkix.Extension{{
		Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: model[:],
	}}}.by(t, issuer)
	aikUsage := template{name: "TPM", extra: []pkix.Extension{tcgUsage(t)}}.by(t, issuer)
	aik := template{extra: []pkix.Extension{directoryName(t), tcgUsage(t)}}.by(t, issuer)

	known := meta.of(entry(model, root))
	sharedRoot := meta.of(entry(model, root), entry(another, root))
	tenant := func(id *identity, aaguid *uuid.UUID) []attestation.Root {
		root := attestation.Root{ID: rootID, Name: "Fleet", Certificate: id.cert}
		if aaguid != nil {
			root.AAGUIDs = []uuid.UUID{*aaguid}
		}
		return []attestation.Root{root}
	}

	models := func(id *identity, aaguids ...uuid.UUID) []attestation.Root {
		return []attestation.Root{{ID: rootID, Name: "Fleets", Certificate: id.cert, AAGUIDs: aaguids}}
	}

	for _, tt := range []struct {
		name    string
		att     webauthn.Attestation
		aaguid  *uuid.UUID // nil: model
		at      time.Time  // zero: now
		meta    *mds.Snapshot
		roots   []attestation.Root
		want    attestation.Trust
		reasons []string
		expired bool
	}{
		{name: "none", att: none, meta: known, want: attestation.None, reasons: []string{"NO_ATTESTATION"}},
		{name: "self, of a model nobody knows", att: self, want: attestation.Self, reasons: []string{"SELF_ATTESTATION"}},
		{name: "self, of a model that attests with certificates", att: self, meta: known, want: attestation.Untrusted, reasons: []string{"SELF_ATTESTATION_UNEXPECTED"}},
		{name: "self, of a model that does so", att: self, meta: meta.of(selfAttesting()), want: attestation.Self, reasons: []string{"SELF_ATTESTATION"}},

		{name: "chain to the model's root", att: packed(leaf, issuer), meta: known, want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "with the root in it", att: packed(leaf, issuer, root), meta: known, want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "in any order, with one too many", att: packed(leaf, foreign, issuer), meta: known, want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "to an issuer that is listed as root", att: packed(leaf), meta: meta.of(entry(model, issuer)), want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "the certificate itself is listed", att: packed(leaf), meta: meta.of(entry(model, leaf)), want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "the certificate itself is listed and has expired", att: packed(old), meta: meta.of(entry(model, old)), want: attestation.Untrusted, reasons: []string{"ATTESTATION_EXPIRED"}, expired: true},
		{name: "RSA of 2048 bits", att: packed(strong, issuer), meta: known, want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "a certificate beside it cannot be read", att: withJunk(packed(leaf, issuer)), meta: known, want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},

		{name: "another issuer of the same name comes later", att: packed(leaf, issuer, template{name: "Issuer", ca: true}.by(t, root)), meta: known, want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "another issuer of the same name comes first", att: packed(leaf, template{name: "Issuer", ca: true}.by(t, root), issuer), meta: known, want: attestation.Untrusted, reasons: []string{"CHAIN_UNTRUSTED"}},

		{name: "no metadata", att: packed(leaf, issuer), want: attestation.Untrusted, reasons: []string{"METADATA_MISSING"}},
		{name: "a model that the metadata does not know", att: packed(leaf, issuer), meta: meta.of(entry(another, root)), want: attestation.Untrusted, reasons: []string{"MODEL_UNKNOWN"}},
		{name: "a model without roots", att: packed(leaf, issuer), meta: meta.of(entry(model)), want: attestation.Untrusted, reasons: []string{"MODEL_WITHOUT_ROOTS"}},
		{name: "a root of the same name with another key", att: packed(leaf, issuer), meta: meta.of(entry(model, foreign)), want: attestation.Untrusted, reasons: []string{"CHAIN_UNTRUSTED"}},
		{name: "the intermediate is missing", att: packed(leaf), meta: known, want: attestation.Untrusted, reasons: []string{"CHAIN_UNTRUSTED"}},
		{name: "issued by what is no CA", att: packed(template{name: "x", aaguid: &model}.by(t, notCA), notCA), meta: known, want: attestation.Untrusted, reasons: []string{"CHAIN_UNTRUSTED"}},
		{name: "longer than its root allows", att: packed(template{name: "x", aaguid: &model}.by(t, below), below), meta: meta.of(entry(model, short)), want: attestation.Untrusted, reasons: []string{"CHAIN_UNTRUSTED"}},
		{name: "signs itself", att: packed(template{name: "x", aaguid: &model}.by(t, nil)), meta: known, want: attestation.Untrusted, reasons: []string{"CHAIN_UNTRUSTED"}},
		{name: "RSA of 1024 bits", att: packed(weakLeaf, issuer), meta: known, want: attestation.Untrusted, reasons: []string{"WEAK_KEY"}},
		{name: "a root of 1024 bits", att: packed(template{name: "x", aaguid: &model}.by(t, weakRoot)), meta: meta.of(entry(model, weakRoot)), want: attestation.Untrusted, reasons: []string{"WEAK_KEY"}},
		{name: "a critical extension that nobody understands", att: packed(puzzle, issuer), meta: known, want: attestation.Untrusted, reasons: []string{"CRITICAL_EXTENSION"}},
		{name: "no certificate", att: packed(), meta: known, want: attestation.Untrusted, reasons: []string{"CERTIFICATE_MISSING"}},
		{name: "a certificate that cannot be read", att: webauthn.Attestation{Format: webauthn.FormatPacked, Type: webauthn.AttestationBasic, X5C: [][]byte{{1}}}, meta: known, want: attestation.Untrusted, reasons: []string{"CERTIFICATE_MALFORMED"}},

		{name: "another model's certificate", att: packed(leaf, issuer), aaguid: &another, meta: sharedRoot, want: attestation.Untrusted, reasons: []string{"AAGUID_MISMATCH"}},
		{name: "an AAGUID in the wrong encoding", att: packed(badAAGUID, issuer), meta: known, want: attestation.Untrusted, reasons: []string{"AAGUID_MISMATCH"}},
		{name: "names no model, under the root of one", att: packed(nameless, issuer), meta: known, want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "names no model, under the root of two", att: packed(nameless, issuer), meta: sharedRoot, want: attestation.Untrusted, reasons: []string{"AAGUID_ABSENT"}},
		{name: "names its model, under the root of two", att: packed(leaf, issuer), meta: sharedRoot, want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},

		{name: "the certificate has expired", att: packed(old, issuer), meta: known, want: attestation.Untrusted, reasons: []string{"ATTESTATION_EXPIRED"}, expired: true},
		{name: "the certificate had not expired then", att: packed(old, issuer), meta: known, at: now.AddDate(0, -2, 0), want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "the intermediate has expired", att: packed(template{name: "x", aaguid: &model}.by(t, oldIssuer), oldIssuer), meta: known, want: attestation.Untrusted, reasons: []string{"ATTESTATION_EXPIRED"}, expired: true},
		{name: "the root has expired", att: packed(template{name: "x", aaguid: &model}.by(t, oldRoot)), meta: meta.of(entry(model, oldRoot)), want: attestation.Untrusted, reasons: []string{"ATTESTATION_EXPIRED"}, expired: true},
		{name: "not yet valid", att: packed(future, issuer), meta: known, want: attestation.Untrusted, reasons: []string{"ATTESTATION_NOT_YET_VALID"}},
		{name: "never valid at once", att: packed(disjoint, oldIssuer), meta: known, want: attestation.Untrusted, reasons: []string{"CHAIN_UNTRUSTED"}},
		{name: "expired and of another root", att: packed(old, issuer), meta: meta.of(entry(model, foreign)), want: attestation.Untrusted, reasons: []string{"CHAIN_UNTRUSTED"}},
		{name: "the metadata is past its next update", att: packed(leaf, issuer), at: now.AddDate(0, 2, 0), meta: known, want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT", "METADATA_STALE"}},

		{name: "tpm: the name of the TPM is critical", att: attCA(webauthn.FormatTPM, aik, issuer), meta: sharedRoot, want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "tpm: another critical extension", att: attCA(webauthn.FormatTPM, puzzle, issuer), meta: known, want: attestation.Untrusted, reasons: []string{"CRITICAL_EXTENSION"}},
		{name: "not a tpm: a name that crypto/x509 does not know", att: packed(aik, issuer), meta: known, want: attestation.Untrusted, reasons: []string{"CRITICAL_EXTENSION"}},
		{name: "an extended key usage of its own", att: packed(aikUsage, issuer), meta: known, want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "android-key", att: basic(webauthn.FormatAndroidKey, nameless, issuer), meta: sharedRoot, want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "apple, of a model that the metadata does not know", att: webauthn.Attestation{Format: webauthn.FormatApple, Type: webauthn.AttestationAnonCA, X5C: x5c(nameless, issuer)}, meta: meta.of(), want: attestation.Untrusted, reasons: []string{"MODEL_UNKNOWN"}},
		{name: "apple, where the tenant trusts its root", att: webauthn.Attestation{Format: webauthn.FormatApple, Type: webauthn.AttestationAnonCA, X5C: x5c(nameless, issuer)}, meta: meta.of(), roots: tenant(root, &model), want: attestation.TenantRoot, reasons: []string{"CHAIN_TO_TENANT_ROOT"}},
		{name: "apple, under a tenant root for any model", att: webauthn.Attestation{Format: webauthn.FormatApple, Type: webauthn.AttestationAnonCA, X5C: x5c(nameless, issuer)}, roots: tenant(root, nil), want: attestation.Untrusted, reasons: []string{"AAGUID_ABSENT", "METADATA_MISSING"}},
		{name: "tpm, under a tenant root for any model", att: attCA(webauthn.FormatTPM, aik, issuer), roots: tenant(root, nil), want: attestation.Untrusted, reasons: []string{"AAGUID_ABSENT", "METADATA_MISSING"}},
		{name: "tpm, under a tenant root for this model", att: attCA(webauthn.FormatTPM, aik, issuer), roots: tenant(root, &model), want: attestation.TenantRoot, reasons: []string{"CHAIN_TO_TENANT_ROOT"}},
		{name: "tpm, under a tenant root for two models", att: attCA(webauthn.FormatTPM, aik, issuer), roots: models(root, model, another), want: attestation.Untrusted, reasons: []string{"AAGUID_ABSENT", "METADATA_MISSING"}},
		{name: "tpm, named, under a tenant root for any model", att: attCA(webauthn.FormatTPM, leaf, issuer), roots: tenant(root, nil), want: attestation.TenantRoot, reasons: []string{"CHAIN_TO_TENANT_ROOT"}},
		{name: "android-key, under a tenant root for any model", att: basic(webauthn.FormatAndroidKey, nameless, issuer), roots: tenant(root, nil), want: attestation.Untrusted, reasons: []string{"AAGUID_ABSENT", "METADATA_MISSING"}},
		{name: "android-key, known to the metadata", att: basic(webauthn.FormatAndroidKey, nameless, issuer), meta: sharedRoot, roots: tenant(root, nil), want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "u2f, under a tenant root for any model", att: basic(webauthn.FormatFIDOU2F, nameless, issuer), aaguid: &uuid.Nil, roots: tenant(root, nil), want: attestation.TenantRoot, reasons: []string{"CHAIN_TO_TENANT_ROOT"}},
		{name: "the certificate itself is a tenant root for any model", att: packed(nameless, issuer), roots: tenant(nameless, nil), want: attestation.Untrusted, reasons: []string{"AAGUID_ABSENT", "METADATA_MISSING"}},
		{name: "the certificate itself is a tenant root for this model", att: packed(nameless, issuer), roots: tenant(nameless, &model), want: attestation.TenantRoot, reasons: []string{"CHAIN_TO_TENANT_ROOT"}},
		{name: "android-safetynet", att: basic(webauthn.FormatSafetyNet), meta: known, want: attestation.Untrusted, reasons: []string{"FORMAT_UNTRUSTED"}},
		{name: "a type that nobody knows", att: webauthn.Attestation{Format: "x", Type: "x"}, meta: known, want: attestation.Untrusted, reasons: []string{"FORMAT_UNTRUSTED"}},

		{name: "u2f, by the key of the certificate", att: basic(webauthn.FormatFIDOU2F, nameless, issuer), aaguid: &uuid.Nil, meta: meta.of(u2f(nameless, root)), want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "u2f, by the key of the issuer", att: basic(webauthn.FormatFIDOU2F, nameless, issuer), aaguid: &uuid.Nil, meta: meta.of(u2f(issuer, root)), want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "u2f, whose certificate names a model", att: basic(webauthn.FormatFIDOU2F, leaf, issuer), aaguid: &uuid.Nil, meta: meta.of(u2f(leaf, root)), want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "u2f, of a key that nobody knows", att: basic(webauthn.FormatFIDOU2F, nameless, issuer), aaguid: &uuid.Nil, meta: meta.of(u2f(leaf, root)), want: attestation.Untrusted, reasons: []string{"MODEL_UNKNOWN"}},
		{name: "u2f, of a known key and another root", att: basic(webauthn.FormatFIDOU2F, nameless, issuer), aaguid: &uuid.Nil, meta: meta.of(u2f(nameless, foreign)), want: attestation.Untrusted, reasons: []string{"CHAIN_UNTRUSTED"}},
		{name: "the zero AAGUID names no model", att: packed(nameless, issuer), aaguid: &uuid.Nil, meta: meta.of(u2f(nameless, root)), want: attestation.Untrusted, reasons: []string{"MODEL_UNKNOWN"}},

		{name: "tenant root", att: packed(leaf, issuer), roots: tenant(root, nil), want: attestation.TenantRoot, reasons: []string{"CHAIN_TO_TENANT_ROOT"}},
		{name: "tenant root for this model", att: packed(nameless, issuer), roots: tenant(root, &model), want: attestation.TenantRoot, reasons: []string{"CHAIN_TO_TENANT_ROOT"}},
		{name: "tenant root for any model, none named", att: packed(nameless, issuer), roots: tenant(root, nil), want: attestation.Untrusted, reasons: []string{"AAGUID_ABSENT", "METADATA_MISSING"}},
		{name: "tenant root for another model", att: packed(leaf, issuer), roots: tenant(root, &another), meta: meta.of(), want: attestation.Untrusted, reasons: []string{"MODEL_UNKNOWN"}},
		{name: "tenant root for this model and another, none named", att: packed(nameless, issuer), roots: models(root, model, another), want: attestation.Untrusted, reasons: []string{"AAGUID_ABSENT", "METADATA_MISSING"}},
		{name: "tenant root for this model and another, named", att: packed(leaf, issuer), roots: models(root, another, model), want: attestation.TenantRoot, reasons: []string{"CHAIN_TO_TENANT_ROOT"}},
		{name: "tenant root that this release cannot read", att: packed(leaf, issuer), roots: []attestation.Root{{ID: rootID}}, want: attestation.Untrusted, reasons: []string{"METADATA_MISSING"}},
		{name: "tenant root, the certificate is another model's", att: packed(leaf, issuer), aaguid: &another, roots: tenant(root, &another), want: attestation.Untrusted, reasons: []string{"AAGUID_MISMATCH", "METADATA_MISSING"}},
		{name: "tenant root, expired", att: packed(old, issuer), roots: tenant(root, nil), want: attestation.Untrusted, reasons: []string{"ATTESTATION_EXPIRED", "METADATA_MISSING"}, expired: true},
		{name: "tenant root, of another", att: packed(leaf, issuer), roots: tenant(foreign, nil), want: attestation.Untrusted, reasons: []string{"CHAIN_UNTRUSTED", "METADATA_MISSING"}},
		{name: "the second tenant root", att: packed(leaf, issuer), roots: append(tenant(foreign, nil), tenant(root, nil)...), want: attestation.TenantRoot, reasons: []string{"CHAIN_TO_TENANT_ROOT"}},
		{name: "tenant roots, both ways good", att: packed(nameless, issuer), roots: append(tenant(issuer, nil), tenant(root, &model)...), want: attestation.TenantRoot, reasons: []string{"CHAIN_TO_TENANT_ROOT"}},
		{name: "tenant root, the certificate itself and its issuer", att: packed(nameless, issuer), roots: append(models(nameless, model, another), tenant(root, &model)...), want: attestation.TenantRoot, reasons: []string{"CHAIN_TO_TENANT_ROOT"}},
		{name: "tenant roots, one of them expired", att: packed(template{name: "x", aaguid: &model}.by(t, oldRoot)), roots: append(tenant(root, nil), tenant(oldRoot, nil)...), want: attestation.Untrusted, reasons: []string{"ATTESTATION_EXPIRED", "METADATA_MISSING"}, expired: true},
		{name: "known to both: the metadata decides", att: packed(leaf, issuer), meta: known, roots: tenant(root, nil), want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT"}},
		{name: "a known model under the tenant's root", att: packed(leaf, issuer), meta: meta.of(entry(model, foreign)), roots: tenant(root, nil), want: attestation.TenantRoot, reasons: []string{"CHAIN_TO_TENANT_ROOT"}},

		{name: "compound: the verified part decides", att: compound(self, packed(leaf, issuer)), meta: known, want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT", "SELF_ATTESTATION_UNEXPECTED"}},
		{name: "compound: no part is verified", att: compound(packed(old, issuer), packed(leaf)), meta: known, want: attestation.Untrusted, reasons: []string{"ATTESTATION_EXPIRED", "CHAIN_UNTRUSTED"}, expired: true},
		{name: "compound: one part expired, another verified", att: compound(packed(old, issuer), packed(leaf, issuer)), meta: known, want: attestation.MDS, reasons: []string{"CHAIN_TO_MDS_ROOT", "ATTESTATION_EXPIRED"}},
		{name: "compound of nothing", att: compound(), meta: known, want: attestation.Untrusted, reasons: []string{"FORMAT_UNTRUSTED"}},

		{name: "long before", att: packed(leaf, issuer), at: time.Unix(0, 0), meta: known, want: attestation.Untrusted, reasons: []string{"ATTESTATION_NOT_YET_VALID"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at, aaguid := now, model
			if !tt.at.IsZero() {
				at = tt.at
			}
			if tt.aaguid != nil {
				aaguid = *tt.aaguid
			}
			got := attestation.Judge(tt.att, aaguid, at, tt.meta, tt.roots)
			if got.Trust != tt.want || got.Expired != tt.expired || !got.At.Equal(at) {
				t.Errorf("Judge = %s, expired %t, at %v; want %s, %t, %v", got.Trust, got.Expired, got.At, tt.want, tt.expired, at)
			}
			if diff := cmp.Diff(tt.reasons, got.Reasons); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			if tt.want != attestation.MDS && got.Certification != "" {
				t.Errorf("certification %q without a proven model", got.Certification)
			}
			if (got.Root == rootID) != (tt.want == attestation.TenantRoot) {
				t.Errorf("root = %v", got.Root)
			}
		})
	}
}

var rootID = uuid.MustParse("01900000-0000-7000-8000-000000000001")

// What is said of a model is in force at the time of the verdict, and a
// certification is the proven model's only.
func TestJudgeModel(t *testing.T) {
	meta := newMetadata(t)
	root := template{name: "Root", ca: true}.by(t, nil)
	leaf := template{name: "Leaf", aaguid: &model}.by(t, root)
	known := meta.of(with(entry(model, root),
		mdstest.Report{Status: "FIDO_CERTIFIED", Effective: now.AddDate(-1, 0, 0)},
		mdstest.Report{Status: "FIDO_CERTIFIED_L2", Effective: now.AddDate(0, -1, 0)},
		mdstest.Report{Status: "REVOKED", Effective: now.AddDate(0, 1, 0)},
	))
	for _, tt := range []struct {
		name          string
		att           webauthn.Attestation
		at            time.Time
		certification string
		statuses      []string
	}{
		{name: "certified", att: packed(leaf), at: now, certification: "FIDO_CERTIFIED_L2"},
		{name: "certified lower, before", att: packed(leaf), at: now.AddDate(0, -2, 0), certification: "FIDO_CERTIFIED"},
		{name: "revoked, afterwards", att: packed(leaf), at: now.AddDate(0, 2, 0), statuses: []string{"REVOKED"}},
		{name: "a claim is not certified", att: none, at: now},
		{name: "a claim may be revoked", att: none, at: now.AddDate(0, 2, 0), statuses: []string{"REVOKED"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := attestation.Judge(tt.att, model, tt.at, known, nil)
			if got.Certification != tt.certification || got.Name != "Model 1111" || got.MDSNumber != 42 {
				t.Errorf("certification %q of %q, by %d; want %q", got.Certification, got.Name, got.MDSNumber, tt.certification)
			}
			if diff := cmp.Diff(tt.statuses, got.Statuses); diff != "" && len(tt.statuses)+len(got.Statuses) > 0 {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
		})
	}
}

// A chain with a compromised certificate proves nothing from that time on; one of
// another batch does.
func TestJudgeCompromisedKey(t *testing.T) {
	meta := newMetadata(t)
	root := template{name: "Root", ca: true}.by(t, nil)
	batch := template{name: "Batch 1", ca: true}.by(t, root)
	leaf := template{name: "Leaf", aaguid: &model}.by(t, batch)
	other := template{name: "Batch 2", ca: true}.by(t, root)

	for _, tt := range []struct {
		name        string
		certificate []byte
		at          time.Time
		want        attestation.Trust
		statuses    []string
	}{
		{"of this batch", batch.cert.Raw, now, attestation.Untrusted, []string{"ATTESTATION_KEY_COMPROMISE"}},
		{"of this batch, later", batch.cert.Raw, now.AddDate(0, -2, 0), attestation.MDS, nil},
		{"of another batch", other.cert.Raw, now, attestation.MDS, nil},
		{"of every batch", nil, now, attestation.Untrusted, []string{"ATTESTATION_KEY_COMPROMISE"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			known := meta.of(with(entry(model, root), mdstest.Report{Status: "ATTESTATION_KEY_COMPROMISE", Effective: now.AddDate(0, -1, 0), Certificate: tt.certificate}))
			got := attestation.Judge(packed(leaf, batch), model, tt.at, known, nil)
			if got.Trust != tt.want || !slices.Equal(got.Statuses, tt.statuses) {
				t.Errorf("Judge = %s, %v, %v; want %s, %v", got.Trust, got.Reasons, got.Statuses, tt.want, tt.statuses)
			}
			if compromised := slices.Contains(got.Reasons, "ATTESTATION_KEY_COMPROMISED"); compromised != (tt.want == attestation.Untrusted) {
				t.Errorf("reasons = %v", got.Reasons)
			}
		})
	}
}

func TestJudgeChain(t *testing.T) {
	meta := newMetadata(t)
	root := template{name: "Root", ca: true}.by(t, nil)
	issuer := template{name: "Issuer", ca: true}.by(t, root)
	leaf := template{name: "Leaf", aaguid: &model}.by(t, issuer)
	beside := template{name: "Beside", ca: true}.by(t, nil)
	att := packed(leaf, beside, issuer)

	got := attestation.Judge(att, model, now, meta.of(entry(model, root)), nil)
	if diff := cmp.Diff(x5c(leaf, issuer, root), got.Chain); diff != "" {
		t.Errorf("verified chain (-want +got):\n%s", diff)
	}
	got = attestation.Judge(att, model, now, meta.of(), nil)
	if diff := cmp.Diff(att.X5C, got.Chain); diff != "" {
		t.Errorf("what came (-want +got):\n%s", diff)
	}
}

// No time is not the present.
func TestJudgeAtNoTime(t *testing.T) {
	meta := newMetadata(t)
	span := template{name: "Root", ca: true, notBefore: time.Now().Add(-time.Hour)}
	root := span.by(t, nil)
	span.name, span.ca, span.aaguid = "Leaf", false, &model
	if got := attestation.Judge(packed(span.by(t, root)), model, time.Time{}, meta.of(entry(model, root)), nil); got.Trust != attestation.Untrusted {
		t.Errorf("trust at no time = %s", got.Trust)
	}
}

// The time of a verdict is the one that is passed, never the clock's.
func TestJudgeIsPure(t *testing.T) {
	meta := newMetadata(t)
	for _, at := range []time.Time{time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)} {
		span := template{name: "Root", ca: true, notBefore: at.AddDate(-1, 0, 0), notAfter: at.AddDate(1, 0, 0)}
		root := span.by(t, nil)
		span.name, span.ca, span.aaguid = "Leaf", false, &model
		leaf := span.by(t, root)
		known := meta.service.Snapshot(t, mdstest.BLOB{NextUpdate: at.AddDate(0, 1, 0), Entries: []mdstest.Entry{entry(model, root)}})
		first := attestation.Judge(packed(leaf), model, at, known, nil)
		if first.Trust != attestation.MDS {
			t.Errorf("Judge at %v = %s %v", at, first.Trust, first.Reasons)
		}
		if diff := cmp.Diff(first, attestation.Judge(packed(leaf), model, at, known, nil)); diff != "" {
			t.Errorf("the second time (-first +second):\n%s", diff)
		}
	}
}

func attCA(format string, ids ...*identity) webauthn.Attestation {
	return webauthn.Attestation{Format: format, Type: webauthn.AttestationAttCA, X5C: x5c(ids...)}
}

func compound(parts ...webauthn.Attestation) webauthn.Attestation {
	return webauthn.Attestation{Format: webauthn.FormatCompound, Parts: parts}
}

func withJunk(att webauthn.Attestation) webauthn.Attestation {
	att.X5C = append(att.X5C, []byte("no certificate"))
	return att
}

func selfAttesting() mdstest.Entry {
	e := entry(model)
	e.Types = []string{"basic_surrogate"}
	return e
}

// u2f is the metadata of a U2F model, found by the key of a certificate.
func u2f(of *identity, roots ...*identity) mdstest.Entry {
	e := entry(uuid.Nil, roots...)
	key, err := x509.MarshalPKIXPublicKey(of.cert.PublicKey)
	if err != nil {
		panic(err)
	}
	sum := sha1.Sum(key[len(key)-65:]) //nolint:gosec // an uncompressed point of P-256 ends it
	e.KeyIdentifiers = [][]byte{sum[:]}
	return e
}

// directoryName is the critical name of a TPM: a directoryName, which crypto/x509
// does not know.
func directoryName(t testing.TB) pkix.Extension {
	t.Helper()
	name, err := asn1.Marshal(pkix.Name{CommonName: "id:FFFFF1D0"}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	value, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: name}})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: value}
}

// tcgUsage is tcg-kp-AIKCertificate, the one extended key usage of such a certificate.
func tcgUsage(t testing.TB) pkix.Extension {
	t.Helper()
	value, err := asn1.Marshal([]asn1.ObjectIdentifier{{2, 23, 133, 8, 3}})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: value}
}
