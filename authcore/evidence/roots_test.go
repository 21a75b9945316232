package evidence_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/mds/mdstest"
)

// rootOf is an authenticator's root, as a tenant trusts it.
func rootOf(t testing.TB, a *authenticatortest.Authenticator, models ...uuid.UUID) attestation.Root {
	t.Helper()
	cert, err := x509.ParseCertificate(a.Root())
	if err != nil {
		t.Fatal(err)
	}
	return attestation.Root{ID: uuid.Must(uuid.NewV7()), Name: "Fleet", Certificate: cert, AAGUIDs: models}
}

// rooted is a registration that a root of the tenant vouches for, with metadata (nil: none)
// that does not know its model.
func rooted(t testing.TB, at time.Time, snapshot *mds.Snapshot) (in evidence.Registration, stranger attestation.Root) {
	t.Helper()
	options := authenticatortest.Options{Attestation: authenticatortest.PackedX5C, AAGUID: uuid.New(), Now: func() time.Time { return at }}
	var made [2]*authenticatortest.Authenticator
	for i := range made {
		var err error
		if made[i], err = authenticatortest.New(options); err != nil {
			t.Fatal(err)
		}
	}
	in = registrationBy(t, nil, made[0], authenticatortest.Deviation{}, at)
	in.Roots = []attestation.Root{rootOf(t, made[1]), rootOf(t, made[0], uuid.New(), options.AAGUID)}
	v := attestation.Judge(in.Verified.Attestation, in.Verified.AAGUID, at, snapshot, in.Roots)
	if v.Trust != attestation.TenantRoot || v.Root != in.Roots[1].ID {
		t.Fatalf("verdict %+v, want TENANT_ROOT", v)
	}
	in.Verdict = &v
	var err error
	if in.Metadata, err = evidence.MetadataOf(snapshot, in.Verified); err != nil {
		t.Fatal(err)
	}
	return in, in.Roots[0]
}

// What a tenant's root vouched for is judged again from the file alone, whatever the
// tenant trusts by now, and is not taken at its word: without that root, or by another, the
// verdict differs. A verdict that is answered as it was recorded turns the lies red.
func TestTenantRootIsRepeatedOffline(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	known := mdstest.New(t).Snapshot(t, mdstest.BLOB{Number: 42, Entries: []mdstest.Entry{{AAGUID: uuid.New(), Name: "Another"}}})
	forget := func(in *evidence.Registration) { in.Metadata = nil } // as a record of an older release, or one that was too large
	for _, tt := range []struct {
		name  string
		at    time.Time
		meta  *mds.Snapshot
		lie   func(in *evidence.Registration, stranger attestation.Root)
		valid bool
	}{
		{"without metadata", now, nil, func(*evidence.Registration, attestation.Root) {}, true},
		{"of a model that the metadata does not know", now, known, func(*evidence.Registration, attestation.Root) {}, true},
		{"with the metadata left out", now, known, func(in *evidence.Registration, _ attestation.Root) { forget(in) }, true},
		{"of certificates that have ended", now.AddDate(-15, 0, 0), known, func(*evidence.Registration, attestation.Root) {}, true},

		{"without roots", now, nil, func(in *evidence.Registration, _ attestation.Root) { in.Roots = nil }, false},
		{"without roots, of a model that the metadata does not know", now, known, func(in *evidence.Registration, _ attestation.Root) { in.Roots = nil }, false},
		{"without roots, with the metadata left out", now, known, func(in *evidence.Registration, _ attestation.Root) { in.Roots = nil; forget(in) }, false},
		{"by a stranger's root", now, known, func(in *evidence.Registration, other attestation.Root) { in.Roots = []attestation.Root{other} }, false},
		{"by a root for other models", now, known, func(in *evidence.Registration, _ attestation.Root) { in.Roots[1].AAGUIDs = []uuid.UUID{uuid.New()} }, false},
		{"by a root of another name", now, known, func(in *evidence.Registration, _ attestation.Root) { in.Roots[1].ID = uuid.New(); forget(in) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, stranger := rooted(t, tt.at, tt.meta)
			tt.lie(&in, stranger)
			r := evidence.VerifyFile(v.downloaded(t, acme, in))
			for _, s := range r.Steps {
				if !s.OK && (tt.valid || s.Name != evidence.StepVerdict) {
					t.Errorf("step %s differs: %s", s.Name, s.Detail)
				}
			}
			if r.Valid != tt.valid {
				t.Errorf("valid = %t, want %t: %+v", r.Valid, tt.valid, r.Steps)
			}
		})
	}
}

// A certificate that names no model proves one under a root for this model alone, and that
// is seen again by the file: neither a verdict that it did, nor a root for more, passes. The
// root is the certificate itself.
func TestNamelessCertificateIsJudgedOffline(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	model := uuid.New()
	a, err := authenticatortest.New(authenticatortest.Options{Attestation: authenticatortest.PackedX5C, AAGUID: model, Nameless: true})
	if err != nil {
		t.Fatal(err)
	}
	by := func(judged []uuid.UUID, recorded []uuid.UUID) evidence.Registration {
		in := registrationBy(t, nil, a, authenticatortest.Deviation{}, now)
		cert, err := x509.ParseCertificate(in.Verified.Attestation.X5C[0])
		if err != nil {
			t.Fatal(err)
		}
		root := attestation.Root{ID: uuid.Must(uuid.NewV7()), Certificate: cert, AAGUIDs: judged}
		verdict := attestation.Judge(in.Verified.Attestation, model, now, nil, []attestation.Root{root})
		root.AAGUIDs = recorded
		in.Verdict, in.Roots = &verdict, []attestation.Root{root}
		return in
	}
	for _, tt := range []struct {
		name   string
		models []uuid.UUID
		want   attestation.Trust
	}{
		{"a root for this model", []uuid.UUID{model}, attestation.TenantRoot},
		{"a root for any model", nil, attestation.Untrusted},
		{"a root for two models", []uuid.UUID{model, uuid.New()}, attestation.Untrusted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := by(tt.models, tt.models)
			if in.Verdict.Trust != tt.want {
				t.Errorf("Judge = %s %v, want %s", in.Verdict.Trust, in.Verdict.Reasons, tt.want)
			}
			if r := evidence.VerifyFile(v.downloaded(t, acme, in)); !r.Valid {
				t.Errorf("VerifyFile = %+v", r)
			}
			if r := evidence.VerifyFile(v.downloaded(t, acme, by([]uuid.UUID{model}, tt.models))); r.Valid != (tt.want == attestation.TenantRoot) {
				t.Errorf("a verdict of TENANT_ROOT: valid = %t", r.Valid)
			}
		})
	}
}
