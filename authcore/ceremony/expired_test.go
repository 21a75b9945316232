package ceremony_test

import (
	"slices"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/policy"
)

// aged is a security key whose certificates, made for ten years, ended a year ago.
func aged(t testing.TB) *authenticatortest.Authenticator {
	t.Helper()
	return authenticator(t, authenticatortest.Options{
		Attestation: authenticatortest.PackedX5C, AAGUID: model,
		Now: func() time.Time { return time.Now().AddDate(-11, 0, 0) },
	})
}

// A statement with certificates that have ended is refused by a decision: its facts say
// what it was, its verdict why, and its evidence is judged again with the same result.
// With a return at the library's word there are no facts.
func TestExpiredAttestationLeavesItsFacts(t *testing.T) {
	w := newWorld(t)
	a := aged(t)
	w.knows(t, a.Root())
	acme := w.policed(t, `{"attestationConveyance":"direct","requiredTrust":"MDS"}`)
	begun := w.beginRegistration(t, acme, profile())
	req := finishRequest(begun, create(t, a, begun, authenticatortest.Deviation{}))
	_, err := w.FinishRegistration(t.Context(), acme, req)
	wantErr(t, "finish", err, webauthn.ErrAttestationExpired)

	var text string
	if err := w.db.Superuser(t).QueryRow(t.Context(), "SELECT facts FROM ceremonies WHERE tenant_id = $1 AND outcome = 'FAILED' AND reason = 'ATTESTATION_EXPIRED'",
		acme.Tenant()).Scan(&text); err != nil {
		t.Fatal(err)
	}
	f, err := policy.ParseRegistrationFacts([]byte(text))
	if err != nil || !f.AttestationExpired || !f.ChainExpired || f.Trust != string(credential.TrustUntrusted) || f.AAGUID != model ||
		!slices.Contains(f.TrustReasons, "ATTESTATION_EXPIRED") {
		t.Errorf("facts %s, %v", text, err)
	}
	// No policy would have let it in, so a simulation says so of each.
	loose := policy.Default()
	if d := policy.DecideRegistration(&loose, &f); d.Outcome != policy.Deny || !slices.Equal(d.Reasons, []string{"ATTESTATION_EXPIRED"}) {
		t.Errorf("decided by the default policy: %+v", d)
	}
	page, err := w.evidence.List(t.Context(), acme, listing.Request{})
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("evidence = %+v, %v", page, err)
	}
	kept := page.Items[0]
	if kept.Reason != "ATTESTATION_EXPIRED" || kept.Outcome != "FAILED" || kept.Trust != "UNTRUSTED" || kept.CredentialID == nil {
		t.Errorf("evidence = %+v", kept)
	}
	if r, err := w.evidence.Verify(t.Context(), acme, kept.ID); err != nil || !r.Valid || r.Record.Verdict == nil || !r.Record.Verdict.Expired {
		t.Errorf("Verify = %+v, %v", r, err)
	}
	_, err = w.FinishRegistration(t.Context(), acme, req)
	wantErr(t, "again", err, ceremony.ErrChallengeSpent)
}
