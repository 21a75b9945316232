package webauthn_test

import (
	"errors"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/webauthn"
)

// Certificates are judged at the time of the expectation, not by the clock. Judging
// them by time.Now again turns the cases at other times red.
func TestCertificatesAtTheirTime(t *testing.T) {
	longAgo := time.Date(2015, 3, 1, 0, 0, 0, 0, time.UTC)
	u2f := authenticatortest.Options{Attestation: authenticatortest.FIDOU2F}
	retired := func(s *tpmStatement) { s.notBefore, s.notAfter = longAgo.AddDate(-1, 0, 0), longAgo.AddDate(1, 0, 0) }
	coming := func(s *tpmStatement) {
		s.notBefore, s.notAfter = time.Now().AddDate(1, 0, 0), time.Now().AddDate(2, 0, 0)
	}
	for _, tt := range []struct {
		name string
		run  creation
		at   time.Time
		want error
	}{
		{"packed, now", creation{authenticator: certified, conveyance: "direct"}, time.Time{}, nil},
		{"packed, when it has expired", creation{authenticator: certified, conveyance: "direct"}, time.Now().AddDate(500, 0, 0), webauthn.ErrAttestationExpired},
		{"packed, before it was made", creation{authenticator: certified, conveyance: "direct"}, longAgo, webauthn.ErrAttestation},
		{"u2f, now", creation{authenticator: u2f, conveyance: "direct"}, time.Time{}, nil},
		{"u2f, when it has expired", creation{authenticator: u2f, conveyance: "direct"}, time.Now().AddDate(500, 0, 0), webauthn.ErrAttestationExpired},
		{"u2f, before it was made", creation{authenticator: u2f, conveyance: "direct"}, longAgo, webauthn.ErrAttestation},
		{"tpm that has expired, now", creation{response: attestByTPM(t, retired)}, time.Time{}, webauthn.ErrAttestationExpired},
		{"tpm that has expired, when it was good", creation{response: attestByTPM(t, retired)}, longAgo, nil},
		{"tpm that is not valid yet, now", creation{response: attestByTPM(t, coming)}, time.Time{}, webauthn.ErrAttestation},
		{"tpm that is not valid yet, when it will be", creation{response: attestByTPM(t, coming)}, time.Now().AddDate(1, 6, 0), nil},
		{"tpm that has expired, with another error", creation{response: attestByTPM(t, func(s *tpmStatement) {
			retired(s)
			s.magic = 1
		})}, longAgo, webauthn.ErrAttestation},
		{"no attestation, at any time", creation{}, longAgo, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run := tt.run
			run.expect = func(e *webauthn.RegistrationExpectation) { e.At = tt.at }
			reg, err := run.run(t)
			checkOutcome(t, err, tt.want)
			// What is returned is all or nothing, but for the evidence of an expired one.
			whole := err == nil || errors.Is(err, webauthn.ErrAttestationExpired)
			if got := len(reg.CredentialID) > 0 && len(reg.PublicKey) > 0; got != whole {
				t.Errorf("VerifyRegistration returned a registration: %t, want %t (%v)", got, whole, err)
			}
		})
	}
}
