package ceremony_test

import (
	"slices"
	"testing"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
)

// What is recorded of a credential, and what policy asks for, decides the level of every
// sign-in: in the answer, in the session's row, in its tokens, and when a code is traded.
func TestAssuranceOfASignIn(t *testing.T) {
	w := newWorld(t)
	const proven = "trust = 'MDS', certification = 'FIDO_CERTIFIED_L2'"
	for _, tt := range []struct {
		name   string
		policy string
		row    string // what is changed in the credential's row
		synced bool
		want   uint8
		reason string // among those that are told
	}{
		{name: "a passkey of an unknown model", want: 2, reason: "ATTESTATION_NOT_TRUSTED"},
		{name: "a synced one", synced: true, want: 2, reason: "KEY_EXPORTABLE"},
		{name: "a proven and certified model", row: proven, want: 3},
		{name: "which policy wants certified higher", policy: `{"aal3Certification":"FIDO_CERTIFIED_L3"}`, row: proven, want: 2, reason: "CERTIFICATION_INSUFFICIENT"},
		{name: "a proven model that syncs", row: proven, synced: true, want: 2, reason: "KEY_EXPORTABLE"},
		{name: "a proven model that was reported", row: proven + ", disposition = 'FLAG'", want: 2, reason: "AUTHENTICATOR_REPORTED"},
		{name: "synced, where policy counts it for less", policy: `{"syncedAal":1}`, synced: true, want: 1, reason: "SYNCED_PASSKEY_LIMITED"},
		// SECURITY 49: a weak session mints a passkey.
		{name: "registered by a session at AAL1", row: proven + ", registered_aal = 1", want: 1, reason: "REGISTERED_AT_LOWER_ASSURANCE"},
		{name: "registered by a session at AAL2", row: proven + ", registered_aal = 2", want: 2, reason: "REGISTERED_AT_LOWER_ASSURANCE"},
		// SECURITY 49b: recovery as a back door.
		{name: "registered by recovery", row: proven + ", lowered = true", want: 1, reason: "CREDENTIAL_LOWERED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			document := tt.policy
			if document == "" {
				document = "{}"
			}
			acme := w.policed(t, document)
			a := authenticator(t, authenticatortest.Options{BackedUp: tt.synced})
			enrolled := w.enroll(t, acme, a)
			if tt.row != "" {
				if _, err := w.db.Superuser(t).Exec(t.Context(), "UPDATE credentials SET "+tt.row+" WHERE tenant_id = $1 AND id = $2",
					acme.Tenant(), enrolled.Credential.ID.Bytes()); err != nil {
					t.Fatal(err)
				}
			}
			told := func(got []string) bool { return tt.reason == "" && len(got) == 0 || slices.Contains(got, tt.reason) }
			done := w.signIn(t, acme, a)
			if done.Assurance.AAL != tt.want || !told(done.Assurance.Reasons.Texts()) {
				t.Errorf("assurance = %+v, %v, want AAL%d and %q", done.Assurance, done.Assurance.Reasons.Texts(), tt.want, tt.reason)
			}
			if n := w.one(t, "SELECT aal FROM sessions WHERE id = $1", done.Session.ID.UUID()); n != int(tt.want) {
				t.Errorf("the session's row has AAL%d, want %d", n, tt.want)
			}
			if v, err := w.sessions.Verify(t.Context(), acme, done.Tokens.Access); err != nil || v.Claims.AAL != tt.want {
				t.Errorf("the access token says %+v, %v, want AAL%d", v.Claims, err, tt.want)
			}
			got, err := w.ExchangeCode(t.Context(), acme, w.browser(t, acme, a).Code)
			if err != nil || got.Assurance != done.Assurance || got.Session.AAL != tt.want {
				t.Errorf("a code is traded for %+v, %v, want %+v", got.Assurance, err, done.Assurance)
			}
			if v, err := w.sessions.Verify(t.Context(), acme, got.Tokens.Access); err != nil || v.Claims.AAL != tt.want {
				t.Errorf("the traded token says %+v, %v, want AAL%d", v.Claims, err, tt.want)
			}
		})
	}
}

// An authenticator that says another backup eligibility than at registration is taken at
// its weaker word, where policy lets it in at all.
func TestAssuranceTakesTheWeakerWord(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"syncedAal":1,"backupEligibilityChange":"FLAG"}`)
	a := authenticator(t, authenticatortest.Options{BackedUp: true})
	w.enroll(t, acme, a)
	done, err := w.try(t, acme, a, authenticatortest.Deviation{ClearFlags: authenticatortest.BE | authenticatortest.BS})
	if err != nil {
		t.Fatal(err)
	}
	if done.Assurance.AAL != 1 {
		t.Errorf("decision %s at AAL%d, want AAL1", done.Decision, done.Assurance.AAL)
	}
}
