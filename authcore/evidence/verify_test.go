package evidence_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/authcore/mds/mdstest"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// judged is a registration with a verdict by metadata that knows its model.
func judged(t testing.TB, at time.Time, trust attestation.Trust) evidence.Registration {
	t.Helper()
	aaguid := uuid.New()
	a, err := authenticatortest.New(authenticatortest.Options{
		Attestation: authenticatortest.PackedX5C, AAGUID: aaguid, Now: func() time.Time { return at },
	})
	if err != nil {
		t.Fatal(err)
	}
	in := registrationBy(t, nil, a, authenticatortest.Deviation{}, at)
	root := a.Root()
	if trust == attestation.Untrusted {
		stranger, err := authenticatortest.New(authenticatortest.Options{Attestation: authenticatortest.PackedX5C, AAGUID: aaguid})
		if err != nil {
			t.Fatal(err)
		}
		root = stranger.Root()
	}
	snapshot := mdstest.New(t).Snapshot(t, mdstest.BLOB{Number: 42, Entries: []mdstest.Entry{
		{AAGUID: uuid.New(), Name: "Another", Roots: [][]byte{root}},
		{
			AAGUID: aaguid, Name: "Example Key", Icon: []byte("\x89PNG\r\n\x1a\nicon"), Roots: [][]byte{root},
			Reports: []mdstest.Report{{Status: "FIDO_CERTIFIED_L2", Effective: at.AddDate(-1, 0, 0)}},
		},
	}})
	v := attestation.Judge(in.Verified.Attestation, aaguid, in.At, snapshot, nil)
	if v.Trust != trust {
		t.Fatalf("trust = %s %v, want %s", v.Trust, v.Reasons, trust)
	}
	in.Verdict = &v
	if in.Metadata, err = evidence.MetadataOf(snapshot, in.Verified); err != nil || len(in.Metadata) == 0 || bytes.Contains(in.Metadata, []byte("Another")) {
		t.Fatalf("MetadataOf = %s, %v", in.Metadata, err)
	}
	return in
}

// nameless is a registration with a certificate that names no model, under a root of two:
// untrusted, which takes the other model to see again.
func nameless(t testing.TB, at time.Time) evidence.Registration {
	t.Helper()
	aaguid := uuid.New()
	a, err := authenticatortest.New(authenticatortest.Options{Attestation: authenticatortest.PackedX5C, AAGUID: aaguid, Nameless: true})
	if err != nil {
		t.Fatal(err)
	}
	in := registrationBy(t, nil, a, authenticatortest.Deviation{}, at)
	snapshot := mdstest.New(t).Snapshot(t, mdstest.BLOB{Number: 42, Entries: []mdstest.Entry{
		{AAGUID: uuid.New(), Name: "Stranger"}, {AAGUID: uuid.New(), Name: "Another", Roots: [][]byte{a.Root()}},
		{AAGUID: aaguid, Name: "Example Key", Roots: [][]byte{a.Root()}}, {AAGUID: uuid.New(), Name: "Third", Roots: [][]byte{a.Root()}},
	}})
	v := attestation.Judge(in.Verified.Attestation, aaguid, in.At, snapshot, nil)
	if v.Trust != attestation.Untrusted || !slices.Equal(v.Reasons, []string{attestation.ReasonAAGUIDAbsent}) {
		t.Fatalf("trust = %s %v", v.Trust, v.Reasons)
	}
	in.Verdict = &v
	if in.Metadata, err = evidence.MetadataOf(snapshot, in.Verified); err != nil || bytes.Contains(in.Metadata, []byte("Stranger")) || bytes.Contains(in.Metadata, []byte("Third")) {
		t.Fatalf("MetadataOf = %s, %v", in.Metadata, err)
	}
	return in
}

// downloaded is a registration's file, and the tenant's key set.
func (v *vault) downloaded(t testing.TB, sc scope.Scope, in evidence.Registration) (file, jwks []byte) {
	t.Helper()
	kept := v.lasting(t, sc, in)
	_, file, err := v.Download(t.Context(), sc, kept.ID)
	if err != nil {
		t.Fatal(err)
	}
	return file, v.Ring(t, sc).JWKS()
}

// lasting keeps a registration of whatever time, of which a file is to be had now: as if it
// had been downloaded before it expired.
func (v *vault) lasting(t testing.TB, sc scope.Scope, in evidence.Registration) evidence.Kept {
	t.Helper()
	kept := v.keep(t, v.Service, sc, in)
	if _, err := v.Store.Superuser(t).Exec(t.Context(), "UPDATE evidence SET expires_at = now() + interval '1 day' WHERE id = $1", kept.ID); err != nil {
		t.Fatal(err)
	}
	return kept
}

// What was trusted by metadata is trusted again by the file alone, at the time when it
// was: years later, when the certificates have ended.
func TestVerdictIsRepeatedOffline(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	for name, in := range map[string]evidence.Registration{
		"MDS":                             judged(t, now, attestation.MDS),
		"untrusted":                       judged(t, now, attestation.Untrusted),
		"of certificates that have ended": judged(t, now.AddDate(-15, 0, 0), attestation.MDS),
		"of a nameless certificate":       nameless(t, now),
	} {
		t.Run(name, func(t *testing.T) {
			kept := v.lasting(t, acme, in)
			got, err := v.Get(t.Context(), acme, kept.ID)
			if err != nil || got.Trust != string(in.Verdict.Trust) || got.MDSNumber != 42 {
				t.Errorf("Get = %+v, %v", got, err)
			}
			_, file, err := v.Download(t.Context(), acme, kept.ID)
			if err != nil {
				t.Fatal(err)
			}
			r := evidence.VerifyFile(file, v.Ring(t, acme).JWKS())
			if !r.Valid || len(r.Steps) != 8 {
				t.Errorf("VerifyFile = %+v", r)
			}
		})
	}
}

// Whatever is claimed instead of what was found differs at the step that looks at it,
// also where the tenant's key has signed the claim: lies is what a server would sign
// that keeps something else than it found.
func TestEachStepDiffers(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	for _, tt := range []struct {
		name string
		lie  func(*evidence.Registration)
		step string
	}{
		{"another challenge", func(in *evidence.Registration) { in.Expectation.Challenge = []byte("another challenge, 32 bytes long") }, evidence.StepRegistration},
		{"another origin", func(in *evidence.Registration) { in.RP.Origins = []string{"https://evil.example"} }, evidence.StepRegistration},
		{"another RP", func(in *evidence.Registration) { in.RP.ID = "example.com" }, evidence.StepRegistration},
		{"another credential", func(in *evidence.Registration) { in.Verified.CredentialID = []byte("another") }, evidence.StepRegistration},
		{"another model", func(in *evidence.Registration) { in.Verified.AAGUID = uuid.New() }, evidence.StepRegistration},
		{"another key", func(in *evidence.Registration) {
			in.Verified.PublicKey = bytes.Clone(in.Verified.PublicKey)
			in.Verified.PublicKey[20] ^= 1
		}, evidence.StepRegistration},
		{"another attestation", func(in *evidence.Registration) { in.Verified.Attestation.Type = webauthn.AttestationSelf }, evidence.StepAttestation},
		{"another chain", func(in *evidence.Registration) { in.Verified.Attestation.X5C = nil }, evidence.StepAttestation},
		{"more trust", func(in *evidence.Registration) { in.Verdict.Trust = attestation.TenantRoot }, evidence.StepVerdict},
		{"more certification", func(in *evidence.Registration) { in.Verdict.Certification = "FIDO_CERTIFIED_L3" }, evidence.StepVerdict},
		{"no metadata", func(in *evidence.Registration) { in.Metadata = nil }, evidence.StepVerdict},
		{"another time", func(in *evidence.Registration) { in.At = in.At.AddDate(-2, 0, 0) }, evidence.StepRegistration},
		{"refused for nothing", func(in *evidence.Registration) { in.Outcome, in.Reason = "FAILED", "ATTESTATION_INVALID" }, evidence.StepOutcome},
		{"accepted with a reason", func(in *evidence.Registration) { in.Reason = "ATTESTATION_UNTRUSTED" }, evidence.StepOutcome},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := judged(t, time.Now().UTC().Truncate(time.Microsecond), attestation.MDS)
			tt.lie(&in)
			file, jwks := v.downloaded(t, acme, in)
			r := evidence.VerifyFile(file, jwks)
			if r.Valid {
				t.Fatal("it verifies")
			}
			for _, s := range r.Steps {
				if !s.OK {
					if s.Name != tt.step {
						t.Errorf("step %s differs (%s), want %s", s.Name, s.Detail, tt.step)
					}
					return
				}
			}
		})
	}
}

// Certificates that had ended are the one fault with which a response is verified all the
// same: it is refused again for that alone, also as releases kept it that verified nothing
// more then.
func TestExpiredCertificatesAreRefusedAgain(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	for _, tt := range []struct {
		name, outcome, reason string
		verified              bool
		differs               string // the step; empty: none
	}{
		{"refused by a decision", "FAILED", "ATTESTATION_EXPIRED", true, ""},
		{"refused by an older release", "FAILED", "ATTESTATION_EXPIRED", false, ""},
		{"accepted", "ALLOW", "", true, evidence.StepOutcome},
		{"refused for something else", "FAILED", "ATTESTATION_UNTRUSTED", true, evidence.StepOutcome},
		{"refused for something else, by an older release", "FAILED", "ATTESTATION_INVALID", false, evidence.StepRegistration},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := authenticatortest.New(authenticatortest.Options{
				Attestation: authenticatortest.PackedX5C, AAGUID: uuid.New(), Now: func() time.Time { return now.AddDate(-11, 0, 0) },
			})
			if err != nil {
				t.Fatal(err)
			}
			in := registrationBy(t, nil, a, authenticatortest.Deviation{}, now)
			in.Outcome, in.Reason = tt.outcome, tt.reason
			if tt.verified {
				verified, err := webauthn.VerifyRegistration(in.RP, in.Expectation, *in.Response)
				if !errors.Is(err, webauthn.ErrAttestationExpired) {
					t.Fatalf("VerifyRegistration = %v, want ErrAttestationExpired", err)
				}
				verdict := attestation.Judge(verified.Attestation, verified.AAGUID, now, nil, []attestation.Root{rootOf(t, a)})
				in.Verified, in.Verdict, in.Roots = &verified, &verdict, []attestation.Root{rootOf(t, a)}
			}
			r := evidence.VerifyFile(v.downloaded(t, acme, in))
			for _, s := range r.Steps {
				if s.OK == (s.Name == tt.differs) {
					t.Errorf("step %+v", s)
				}
			}
			if r.Valid != (tt.differs == "") {
				t.Errorf("valid = %t: %+v", r.Valid, r.Steps)
			}
		})
	}
}

// Not one bit of a file can be changed unnoticed.
func TestEveryByteCounts(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	file, jwks := v.downloaded(t, acme, registrationOf(t, nil, authenticatortest.Options{}, authenticatortest.Deviation{}))
	if r := evidence.VerifyFile(file, nil); !r.Valid {
		t.Fatalf("VerifyFile = %+v", r)
	}
	for i := range file {
		for _, flip := range []byte{1, 0x20, 0x80} {
			file[i] ^= flip
			if r := evidence.VerifyFile(file, jwks); r.Valid {
				t.Errorf("byte %d (%q) changed by %#x: it verifies", i, file[max(0, i-10):min(len(file), i+10)], flip)
			}
			file[i] ^= flip
		}
	}
	for _, other := range [][]byte{nil, file[:len(file)-1], append(bytes.Clone(file), '\n'), bytes.ReplaceAll(file, []byte(`","`), []byte(`" ,"`)), []byte("{}"), []byte("null")} {
		if r := evidence.VerifyFile(other, jwks); r.Valid {
			t.Errorf("%d bytes instead of the file verify", len(other))
		}
	}
}

// A file by a key of somebody's own is whole, and not the tenant's.
func TestWhoseFileItIs(t *testing.T) {
	v := newVault(t)
	acme, globex := v.Tenant(t), v.Tenant(t)
	file, _ := v.downloaded(t, globex, registration(t, nil))
	if r := evidence.VerifyFile(file, nil); !r.Valid {
		t.Errorf("VerifyFile without a key set = %+v", r)
	}
	r := evidence.VerifyFile(file, v.Ring(t, acme).JWKS())
	if r.Valid {
		t.Error("another tenant's file verifies with this one's key set")
	}
	for _, s := range r.Steps {
		if s.OK == (s.Name == evidence.StepSignature) {
			t.Errorf("step %+v", s)
		}
	}
}

func TestParseFileRefuses(t *testing.T) {
	if _, err := evidence.ParseFile([]byte(`{"evidence":1} `)); !errors.Is(err, evidence.ErrFile) {
		t.Errorf("ParseFile = %v", err)
	}
	if _, err := evidence.ParseFile([]byte(strings.Repeat(" ", 3<<20))); !errors.Is(err, evidence.ErrFile) {
		t.Errorf("ParseFile of much = %v", err)
	}
}

// FuzzVerifyFile: whatever a file holds, verifying it ends, and what is no file of ours
// does not verify.
func FuzzVerifyFile(f *testing.F) {
	f.Add([]byte(`{"evidence":{"format":"biocore-evidence/1"},"sha256":"","signature":"..","key":{}}` + "\n"))
	f.Add([]byte(`{"evidence":null,"sha256":"","signature":"","key":null}` + "\n"))
	f.Add([]byte(`{}`))
	record, err := json.Marshal(evidence.Record{Format: evidence.Format})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"evidence":` + string(record) + `,"sha256":"AAAA","signature":"e30..AAAA","key":{"kty":"EC","crv":"P-256"}}` + "\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r := evidence.VerifyFile(raw, nil); r.Valid {
			t.Errorf("%q verifies", raw)
		}
	})
}
