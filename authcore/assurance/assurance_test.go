package assurance_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/authcore/assurance"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/tenancy/policy"
)

// hardware is a passkey that reaches AAL3: on a key that it cannot leave, of a model that
// is proven and certified, registered by a server's word, under the default policy.
func hardware() assurance.Inputs {
	d := policy.Default()
	in := assurance.From(&credential.Credential{Trust: credential.TrustMDS, Certification: "FIDO_CERTIFIED_L2"}, &d)
	in.UserVerified = true
	return in
}

// Each case changes one input of a sign-in that reaches AAL3. A condition that is dropped
// turns its case red.
func TestOf(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(*assurance.Inputs)
		want    uint8
		reasons []string
	}{
		{"a certified security key", func(*assurance.Inputs) {}, 3, nil},
		{"without user verification it is one factor", func(in *assurance.Inputs) { in.UserVerified = false }, 1, []string{"USER_NOT_VERIFIED"}},
		{"a passkey that came by recovery", func(in *assurance.Inputs) { in.Lowered = true }, 1, []string{"CREDENTIAL_LOWERED"}},
		{"registered by a session at AAL1", func(in *assurance.Inputs) { in.RegisteredAAL = 1 }, 1, []string{"REGISTERED_AT_LOWER_ASSURANCE"}},
		{"registered by a session at AAL2", func(in *assurance.Inputs) { in.RegisteredAAL = 2 }, 2, []string{"REGISTERED_AT_LOWER_ASSURANCE"}},
		{"registered by a session at AAL3", func(in *assurance.Inputs) { in.RegisteredAAL = 3 }, 3, nil},
		{"a synced passkey", func(in *assurance.Inputs) { in.BackupEligible, in.BackedUp = true, true }, 2, []string{"KEY_EXPORTABLE"}},
		{"a passkey that may be synced and is not", func(in *assurance.Inputs) { in.BackupEligible = true }, 2, []string{"KEY_EXPORTABLE"}},
		{"a synced passkey under a policy that counts it for less", func(in *assurance.Inputs) {
			in.BackupEligible, in.SyncedAAL = true, 1
		}, 1, []string{"SYNCED_PASSKEY_LIMITED"}},
		{"that policy and a device-bound passkey", func(in *assurance.Inputs) { in.SyncedAAL = 1 }, 3, nil},
		{"no attestation", func(in *assurance.Inputs) { in.Trust, in.Certification = credential.TrustNone, "" }, 2,
			[]string{"ATTESTATION_NOT_TRUSTED", "CERTIFICATION_INSUFFICIENT"}},
		{"no attestation, and a certification that somebody wrote into the row", func(in *assurance.Inputs) { in.Trust = credential.TrustNone }, 2,
			[]string{"ATTESTATION_NOT_TRUSTED"}},
		{"self-attestation", func(in *assurance.Inputs) { in.Trust = credential.TrustSelf }, 2, []string{"ATTESTATION_NOT_TRUSTED"}},
		{"a chain to nobody's root", func(in *assurance.Inputs) { in.Trust = credential.TrustUntrusted }, 2, []string{"ATTESTATION_NOT_TRUSTED"}},
		{"a trust that this version does not know", func(in *assurance.Inputs) { in.Trust = "COSMIC" }, 2, []string{"ATTESTATION_NOT_TRUSTED"}},
		{"a chain to the tenant's root", func(in *assurance.Inputs) { in.Trust = credential.TrustTenantRoot }, 3, nil},
		{"certified lower", func(in *assurance.Inputs) { in.Certification = "FIDO_CERTIFIED_L1plus" }, 2, []string{"CERTIFICATION_INSUFFICIENT"}},
		{"certified higher", func(in *assurance.Inputs) { in.Certification = "FIDO_CERTIFIED_L3" }, 3, nil},
		{"a certification that nobody gives", func(in *assurance.Inputs) { in.Certification = "FIDO_CERTIFIED_L9" }, 2, []string{"CERTIFICATION_INSUFFICIENT"}},
		{"a policy that asks for more", func(in *assurance.Inputs) { in.AAL3Certification = "FIDO_CERTIFIED_L3" }, 2, []string{"CERTIFICATION_INSUFFICIENT"}},
		{"a policy without a word on it", func(in *assurance.Inputs) {
			in.AAL3Certification, in.Certification = "", "FIDO_CERTIFIED_L1"
		}, 2, []string{"CERTIFICATION_INSUFFICIENT"}},
		{"a model that was reported", func(in *assurance.Inputs) { in.Disposition = "FLAG" }, 2, []string{"AUTHENTICATOR_REPORTED"}},
		{"all that stands before AAL2 is told, and nothing of AAL3", func(in *assurance.Inputs) {
			*in = assurance.Inputs{BackupEligible: true, RegisteredAAL: 1, Lowered: true, SyncedAAL: 1}
		}, 1, []string{"USER_NOT_VERIFIED", "CREDENTIAL_LOWERED", "REGISTERED_AT_LOWER_ASSURANCE", "SYNCED_PASSKEY_LIMITED"}},
		{"nothing known", func(in *assurance.Inputs) { *in = assurance.Inputs{} }, 1, []string{"USER_NOT_VERIFIED"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := hardware()
			tt.change(&in)
			got := assurance.Of(in)
			if got.AAL != tt.want {
				t.Errorf("AAL = %d, want %d", got.AAL, tt.want)
			}
			if diff := cmp.Diff(tt.reasons, got.Reasons.Texts()); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			if got.UserVerified != in.UserVerified || got.BackedUp != in.BackedUp || !got.PhishingResistant {
				t.Errorf("flags = %+v, want those of %+v", got, in)
			}
		})
	}
}

// every runs over all combinations of inputs that differ for the mapping.
func every(visit func(assurance.Inputs)) {
	bools := []bool{false, true}
	for _, uv := range bools {
		for _, be := range bools {
			for _, lowered := range bools {
				for registered := range uint8(4) {
					for _, trust := range []credential.Trust{"", "NONE", "SELF", "UNTRUSTED", "TENANT_ROOT", "MDS"} {
						for _, certification := range policy.Certifications() {
							for _, disposition := range []string{"", "FLAG", "STEP_UP"} {
								for synced := 1; synced <= 2; synced++ {
									visit(assurance.Inputs{
										UserVerified: uv, BackupEligible: be, Lowered: lowered, RegisteredAAL: registered, Trust: trust,
										Certification: certification, Disposition: disposition, SyncedAAL: synced, AAL3Certification: "FIDO_CERTIFIED_L2",
									})
								}
							}
						}
					}
				}
			}
		}
	}
}

// What the guideline rules out, whatever else holds.
func TestNoInputsBreakTheGuideline(t *testing.T) {
	every(func(in assurance.Inputs) {
		r := assurance.Of(in)
		switch {
		case r.AAL < 1 || r.AAL > 3:
			t.Fatalf("%+v is AAL%d", in, r.AAL)
		case r.AAL > 1 && (!in.UserVerified || in.Lowered):
			t.Fatalf("%+v is AAL%d", in, r.AAL)
		case in.RegisteredAAL != 0 && r.AAL > in.RegisteredAAL:
			t.Fatalf("%+v is AAL%d, above who registered it", in, r.AAL)
		case r.AAL == 3 && in.BackupEligible:
			t.Fatalf("%+v: a key that can be exported is AAL3", in)
		case (r.AAL == 3) != (r.Reasons == 0):
			t.Fatalf("%+v is AAL%d with the reasons %v", in, r.AAL, r.Reasons.Texts())
		}
	})
}

// A policy that asks for more never makes a sign-in worth more.
func TestTighteningNeverRaises(t *testing.T) {
	every(func(in assurance.Inputs) {
		before := assurance.Of(in).AAL
		for _, level := range policy.Certifications() {
			tighter := in
			tighter.SyncedAAL = 1
			if level.AtLeast(in.AAL3Certification) {
				tighter.AAL3Certification = level
			}
			if after := assurance.Of(tighter).AAL; after > before {
				t.Fatalf("%+v is AAL%d, and under a tighter policy AAL%d", in, before, after)
			}
		}
	})
}

func TestReasonsHaveNames(t *testing.T) {
	var names []string
	for _, r := range assurance.Rules() {
		if name := r.Reason.String(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	want := []string{
		"USER_NOT_VERIFIED", "CREDENTIAL_LOWERED", "REGISTERED_AT_LOWER_ASSURANCE", "SYNCED_PASSKEY_LIMITED",
		"KEY_EXPORTABLE", "ATTESTATION_NOT_TRUSTED", "CERTIFICATION_INSUFFICIENT", "AUTHENTICATOR_REPORTED",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("reasons are API and are never renamed (-want +got):\n%s", diff)
	}
	if got := assurance.Reason(200).String(); got != "UNKNOWN" {
		t.Errorf("a reason that is none = %q, want UNKNOWN", got)
	}
	if got := assurance.Reasons(1 << 15).Texts(); got != nil {
		t.Errorf("reasons that are none = %v, want nil", got)
	}
}

// Every sign-in is judged: no garbage comes of it.
func TestOfAllocatesNothing(t *testing.T) {
	c := credential.Credential{Trust: credential.TrustMDS, Certification: "FIDO_CERTIFIED_L2"}
	d := policy.Default()
	for _, verified := range []bool{false, true} {
		if n := testing.AllocsPerRun(100, func() {
			in := assurance.From(&c, &d)
			in.UserVerified = verified
			_ = assurance.Of(in).Reasons.Texts()
		}); n != 0 {
			t.Errorf("with user verification %v: %v allocations, want 0", verified, n)
		}
	}
}

func BenchmarkOf(b *testing.B) {
	c := credential.Credential{Trust: credential.TrustMDS, Certification: "FIDO_CERTIFIED_L2"}
	d := policy.Default()
	b.ReportAllocs()
	for b.Loop() {
		in := assurance.From(&c, &d)
		in.UserVerified = true
		if assurance.Of(in).AAL != 3 {
			b.Fatal("not AAL3")
		}
	}
}
