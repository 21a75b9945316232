package ceremony_test

import (
	"encoding/base64"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/listing"
)

// What is accepted leaves evidence that verifies, and to which credential, audit entry
// and answer point.
func TestARegistrationLeavesEvidence(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"attestationConveyance":"direct"}`)
	a := authenticator(t, authenticatortest.Options{Attestation: authenticatortest.PackedX5C, AAGUID: uuid.New()})
	done := w.enroll(t, acme, a)
	if done.EvidenceID == nil {
		t.Fatal("no evidence is kept")
	}
	got, err := w.evidence.Get(t.Context(), acme, *done.EvidenceID)
	if err != nil || got.Outcome != "ALLOW" || *got.UserID != done.User.ID.UUID() || string(got.CredentialID) != string(done.Credential.ID.Bytes()) {
		t.Errorf("evidence = %+v, %v", got, err)
	}
	if r, err := w.evidence.Verify(t.Context(), acme, *done.EvidenceID); err != nil || !r.Valid {
		t.Errorf("Verify = %+v, %v", r, err)
	}
	if c, err := w.credentials.Get(t.Context(), acme, done.Credential.ID); err != nil || c.EvidenceID == nil || *c.EvidenceID != *done.EvidenceID {
		t.Errorf("the credential points at %v, %v", c.EvidenceID, err)
	}
	if n := w.one(t, `SELECT count(*) FROM audit_inbox WHERE tenant_id = $1 AND action = 'registration.finish'
		AND entry::json #>> '{detail,evidenceId}' = $2 AND entry::json #>> '{detail,evidenceSha256}' = $3`,
		acme.Tenant(), done.EvidenceID.String(), base64.RawURLEncoding.EncodeToString(got.SHA256)); n != 1 {
		t.Errorf("%d audit entries have the evidence's id and SHA-256, want 1", n)
	}
	if n := w.one(t, "SELECT count(*) FROM ceremonies WHERE tenant_id = $1 AND id = $2", acme.Tenant(), got.CeremonyID); n != 1 {
		t.Errorf("%d ceremonies are the evidence's, want 1", n)
	}
}

func TestAPolicyMayKeepNoEvidence(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"evidenceRetentionDays":0}`)
	if done := w.enroll(t, acme, phone(t)); done.EvidenceID != nil || done.Credential.EvidenceID != nil {
		t.Errorf("evidence %v is kept", done.EvidenceID)
	}
	if n := w.one(t, "SELECT count(*) FROM evidence WHERE tenant_id = $1", acme.Tenant()); n != 0 {
		t.Errorf("%d rows", n)
	}
}

// A registration that is refused for its attestation leaves a failed ceremony and its
// evidence, no credential and no user; not without end, since its challenge is not spent.
func TestARefusedRegistrationLeavesEvidence(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"attestationConveyance":"direct"}`)
	a := authenticator(t, authenticatortest.Options{Attestation: authenticatortest.PackedX5C, AAGUID: uuid.New()})
	begun := w.beginRegistration(t, acme, profile())
	req := finishRequest(begun, create(t, a, begun, authenticatortest.Deviation{WrongKey: true}))
	for range 5 {
		if _, err := w.FinishRegistration(t.Context(), acme, req); !errors.Is(err, webauthn.ErrAttestation) {
			t.Fatalf("FinishRegistration = %v, want ErrAttestation", err)
		}
	}
	page, err := w.evidence.List(t.Context(), acme, listing.Request{Filter: "outcome = FAILED"})
	if err != nil || len(page.Items) != 3 {
		t.Fatalf("evidence = %+v, %v, want three pieces of five attempts", page, err)
	}
	got := page.Items[0]
	if got.Reason != webauthn.ErrAttestation.Reason || got.UserID != nil || got.CredentialID != nil {
		t.Errorf("evidence = %+v", got)
	}
	if r, err := w.evidence.Verify(t.Context(), acme, got.ID); err != nil || !r.Valid {
		t.Errorf("Verify = %+v, %v", r, err)
	}
	for table, want := range map[string]int{
		"ceremonies WHERE kind = 'REGISTRATION' AND outcome = 'FAILED' AND reason = 'ATTESTATION_INVALID' AND tenant_id = $1": 5, // each, with evidence or without
		"credentials WHERE tenant_id = $1":      0,
		"users WHERE tenant_id = $1":            0,
		"spent_challenges WHERE tenant_id = $1": 0,
	} {
		if n := w.one(t, "SELECT count(*) FROM "+table, acme.Tenant()); n != want {
			t.Errorf("%d rows of %s, want %d", n, table, want)
		}
	}
	// What says nothing of an authenticator leaves none.
	req.Response.ClientDataJSON = []byte("{}")
	if _, err := w.FinishRegistration(t.Context(), acme, req); err == nil {
		t.Fatal("no client data is accepted")
	}
	if n := w.one(t, "SELECT count(*) FROM evidence WHERE tenant_id = $1", acme.Tenant()); n != 3 {
		t.Errorf("%d rows of evidence, want 3", n)
	}
}
