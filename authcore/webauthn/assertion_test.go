package webauthn_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/fault"
)

// requestSteps has, for each step of WebAuthn L3 #sctn-verifying-assertion
// (§7.2) that VerifyAssertion does, what passes it (want nil) and what does not.
//
// Steps 1 and 2 happen before a response exists. That the identified user owns
// the credential (step 6), storing the new state (step 24) and that a challenge
// is spent once are tested in authcore/ceremony, as are the decisions on a
// changed BE flag (step 19) and a count that did not grow (step 22).
var requestSteps = []struct {
	step, name string
	run        request
	want       error
}{
	{step: "7.2 step 3: response", name: "a public-key credential", run: request{}},
	{
		step: "7.2 step 3: response", name: "another type", want: webauthn.ErrMalformed,
		run: request{response: func(r *webauthn.AssertionResponse) { r.Type = "" }},
	},
	{
		step: "7.2 step 3: response", name: "no authenticator data, as in a registration", want: webauthn.ErrMalformed,
		run: request{response: func(r *webauthn.AssertionResponse) { r.AuthenticatorData = nil }},
	},
	{
		step: "7.2 step 3: response", name: "id is not the encoding of rawId", want: webauthn.ErrMalformed,
		run: request{response: func(r *webauthn.AssertionResponse) { r.ID = webauthn.EncodeBase64URL([]byte("another")) }},
	},
	{step: "7.2 step 4: client extension results", name: "null", run: request{
		response: func(r *webauthn.AssertionResponse) { r.ClientExtensionResults = []byte("null") },
	}},
	{
		step: "7.2 step 4: client extension results", name: "a name twice", want: webauthn.ErrMalformed,
		run: request{response: func(r *webauthn.AssertionResponse) { r.ClientExtensionResults = []byte(`{"appid":false,"appid":true}`) }},
	},
	{step: "7.2 step 5: allowCredentials", name: "listed", run: request{
		dev:    authenticatortest.Deviation{CredentialID: []byte("second")},
		expect: func(e *webauthn.AssertionExpectation) { e.AllowedIDs = [][]byte{[]byte("first"), []byte("second")} },
	}},
	{
		step: "7.2 step 5: allowCredentials", name: "not listed", want: webauthn.ErrCredentialNotAllowed,
		run: request{expect: func(e *webauthn.AssertionExpectation) { e.AllowedIDs = [][]byte{[]byte("first")} }},
	},
	{step: "7.2 step 6: user", name: "not known before, named by the user handle", run: request{}},
	{
		step: "7.2 step 6: user", name: "not known before, no user handle", want: webauthn.ErrUserHandle,
		run: request{dev: authenticatortest.Deviation{NoUserHandle: true}},
	},
	{
		step: "7.2 step 6: user", name: "not known before, another's user handle", want: webauthn.ErrUserHandle,
		run: request{dev: authenticatortest.Deviation{UserHandle: []byte("bob")}},
	},
	{step: "7.2 step 6: user", name: "known before, no user handle", run: request{
		expect: userIdentified, dev: authenticatortest.Deviation{NoUserHandle: true},
	}},
	{
		step: "7.2 step 6: user", name: "known before, another's user handle", want: webauthn.ErrUserHandle,
		run: request{expect: userIdentified, dev: authenticatortest.Deviation{UserHandle: []byte("bob")}},
	},
	{
		step: "7.2 step 6: user", name: "no owner to compare with", want: webauthn.ErrUserHandle,
		run: request{expect: func(e *webauthn.AssertionExpectation) { e.Stored.UserHandle = nil }},
	},
	{
		step: "7.2 step 6: user", name: "user handle of 65 bytes", want: webauthn.ErrMalformed,
		run: request{dev: authenticatortest.Deviation{UserHandle: make([]byte, 65)}},
	},
	{
		step: "7.2 step 7: cData, authData, sig", name: "authenticator data with bytes left over", want: webauthn.ErrMalformed,
		run: request{dev: authenticatortest.Deviation{Extensions: []byte{0xa0}, ClearFlags: 1 << 7}},
	},
	{
		step: "7.2 step 7: cData, authData, sig", name: "no signature", want: webauthn.ErrSignature,
		run: request{response: func(r *webauthn.AssertionResponse) { r.Signature = nil }},
	},
	{step: "7.2 step 8: UTF-8 decode", name: "a byte order mark is stripped", run: request{
		dev: clientData("\ufeff" + `{"type":"webauthn.get","challenge":"CHALLENGE","origin":"https://login.example.org"}`),
	}},
	{
		step: "7.2 step 8: UTF-8 decode", name: "invalid UTF-8", want: webauthn.ErrMalformed,
		run: request{dev: authenticatortest.Deviation{ExtraClientData: "\"\xc0\xaf\":1"}},
	},
	{step: "7.2 step 9: JSON", name: "members that nobody knows yet", run: request{
		dev: authenticatortest.Deviation{ExtraClientData: `"androidPackageName":"org.example","payment":{"total":{"value":"3"}}`},
	}},
	{
		step: "7.2 step 9: JSON", name: "cut short", want: webauthn.ErrMalformed,
		run: request{dev: clientData(`{"type":"webauthn.get","challenge":"CHALLENGE","origin":"https://login.example.org"`)},
	},
	{step: "7.2 step 10: type", name: "webauthn.get", run: request{}},
	{
		step: "7.2 step 10: type", name: "webauthn.create", want: webauthn.ErrCeremonyType,
		run: request{dev: authenticatortest.Deviation{Type: "webauthn.create"}},
	},
	{
		step: "7.2 step 10: type", name: "payment.get", want: webauthn.ErrCeremonyType,
		run: request{dev: authenticatortest.Deviation{Type: "payment.get"}},
	},
	{step: "7.2 step 11: challenge", name: "the one of the options", run: request{}},
	{
		step: "7.2 step 11: challenge", name: "another", want: webauthn.ErrChallenge,
		run: request{dev: authenticatortest.Deviation{Challenge: bytes.Repeat([]byte{7}, 32)}},
	},
	{
		step: "7.2 step 11: challenge", name: "longer", want: webauthn.ErrChallenge,
		run: request{dev: authenticatortest.Deviation{Challenge: append(bytes.Clone(challenge), 0)}},
	},
	{step: "7.2 step 12: origin", name: "listed", run: request{}},
	{step: "7.2 step 12: origin", name: "not listed", run: request{origin: "http://login.example.org"}, want: webauthn.ErrOrigin},
	{step: "7.2 step 13: crossOrigin", name: "allowed", run: request{
		rp: allowCrossOrigin, dev: authenticatortest.Deviation{CrossOrigin: true},
	}},
	{
		step: "7.2 step 13: crossOrigin", name: "not allowed", want: webauthn.ErrOrigin,
		run: request{dev: authenticatortest.Deviation{CrossOrigin: true}},
	},
	{step: "7.2 step 14: topOrigin", name: "listed", run: request{
		rp: allowCrossOrigin, dev: authenticatortest.Deviation{CrossOrigin: true, TopOrigin: topOrigin},
	}},
	{
		step: "7.2 step 14: topOrigin", name: "not listed", want: webauthn.ErrOrigin,
		run: request{rp: allowCrossOrigin, dev: authenticatortest.Deviation{CrossOrigin: true, TopOrigin: topOrigin + "/"}},
	},
	{step: "7.2 step 15: rpIdHash", name: "of the RP ID", run: request{}},
	{
		step: "7.2 step 15: rpIdHash", name: "of another", want: webauthn.ErrRPID,
		run: request{dev: authenticatortest.Deviation{RPID: "example.com"}},
	},
	{step: "7.2 step 15: rpIdHash", name: "of the AppID, asked for and reported", run: request{
		expect: expectAppID, dev: authenticatortest.Deviation{RPID: appID}, response: reportAppID,
	}},
	{
		step: "7.2 step 15: rpIdHash", name: "of the AppID, asked for and not reported", want: webauthn.ErrRPID,
		run: request{expect: expectAppID, dev: authenticatortest.Deviation{RPID: appID}},
	},
	{
		step: "7.2 step 15: rpIdHash", name: "of the AppID, reported and not asked for", want: webauthn.ErrRPID,
		run: request{dev: authenticatortest.Deviation{RPID: appID}, response: reportAppID},
	},
	{step: "7.2 step 15: rpIdHash", name: "of the RP ID, where the AppID is reported and not asked for", run: request{response: reportAppID}},
	{
		step: "7.2 step 15: rpIdHash", name: "of the RP ID, where the AppID is reported", want: webauthn.ErrRPID,
		run: request{expect: expectAppID, response: reportAppID},
	},
	{step: "7.2 step 16: user presence", name: "tested", run: request{}},
	{
		step: "7.2 step 16: user presence", name: "not tested", want: webauthn.ErrUserPresence,
		run: request{dev: authenticatortest.Deviation{ClearFlags: authenticatortest.UP}},
	},
	{step: "7.2 step 17: user verification", name: "required and done", run: request{expect: requireUVToSignIn}},
	{
		step: "7.2 step 17: user verification", name: "required and not done", want: webauthn.ErrUserVerification,
		run: request{expect: requireUVToSignIn, dev: authenticatortest.Deviation{ClearFlags: authenticatortest.UV}},
	},
	{step: "7.2 step 17: user verification", name: "not required and not done", run: request{
		dev: authenticatortest.Deviation{ClearFlags: authenticatortest.UV},
	}},
	{step: "7.2 step 18: backup state", name: "eligible and backed up", run: request{
		authenticator: authenticatortest.Options{BackedUp: true},
	}},
	{
		step: "7.2 step 18: backup state", name: "backed up and not eligible", want: webauthn.ErrBackupState,
		run: request{dev: authenticatortest.Deviation{SetFlags: authenticatortest.BS}},
	},
	{
		step: "7.2 step 20: hash", name: "of other bytes with the same meaning", want: webauthn.ErrSignature,
		run: request{response: func(r *webauthn.AssertionResponse) { r.ClientDataJSON = append([]byte(" "), r.ClientDataJSON...) }},
	},
	{step: "7.2 step 21: signature", name: "ES256", run: request{}},
	{step: "7.2 step 21: signature", name: "EdDSA", run: request{
		authenticator: authenticatortest.Options{Algorithms: []int{authenticatortest.EdDSA}},
	}},
	{step: "7.2 step 21: signature", name: "RS256", run: request{
		authenticator: authenticatortest.Options{Algorithms: []int{authenticatortest.RS256}},
	}},
	{
		step: "7.2 step 21: signature", name: "of another key", want: webauthn.ErrSignature,
		run: request{dev: authenticatortest.Deviation{WrongKey: true}},
	},
	{
		step: "7.2 step 21: signature", name: "of another key, EdDSA", want: webauthn.ErrSignature,
		run: request{
			authenticator: authenticatortest.Options{Algorithms: []int{authenticatortest.EdDSA}},
			dev:           authenticatortest.Deviation{WrongKey: true},
		},
	},
	{
		step: "7.2 step 21: signature", name: "over other flags", want: webauthn.ErrSignature,
		run: request{
			dev:      authenticatortest.Deviation{ClearFlags: authenticatortest.UV},
			response: func(r *webauthn.AssertionResponse) { r.AuthenticatorData[32] |= authenticatortest.UV },
		},
	},
	{
		step: "7.2 step 21: signature", name: "with a byte after it", want: webauthn.ErrSignature,
		run: request{response: func(r *webauthn.AssertionResponse) { r.Signature = append(r.Signature, 0) }},
	},
	{
		step: "7.2 step 21: signature", name: "in a longer encoding than DER has", want: webauthn.ErrSignature,
		run: request{response: func(r *webauthn.AssertionResponse) {
			r.Signature = slices.Concat([]byte{0x30, 0x81}, r.Signature[1:])
		}},
	},
	{step: "7.2 step 23: extension outputs", name: "that were not asked for", run: request{
		dev:      authenticatortest.Deviation{Extensions: []byte("\xa1\x63uvm\x81\x83\x02\x04\x02")},
		response: func(r *webauthn.AssertionResponse) { r.ClientExtensionResults = []byte(`{"uvm":[[2,4,2]]}`) },
	}},
	{
		step: "7.2 step 23: extension outputs", name: "of the authenticator, cut short", want: webauthn.ErrMalformed,
		run: request{dev: authenticatortest.Deviation{Extensions: []byte("\xa1\x63uvm")}},
	},
	{
		step: "7.2 step 23: extension outputs", name: "of the client, too long", want: webauthn.ErrMalformed,
		run: request{response: func(r *webauthn.AssertionResponse) {
			r.ClientExtensionResults = slices.Concat([]byte(`{"a":"`), bytes.Repeat([]byte("a"), 16<<10), []byte(`"}`))
		}},
	},
}

// Removing any one check from VerifyAssertion turns the case of its step red.
func TestAssertion(t *testing.T) {
	for _, tt := range requestSteps {
		t.Run(tt.step+"/"+tt.name, func(t *testing.T) {
			got, err := tt.run.run(t)
			checkOutcome(t, err, tt.want)
			checkStep(t, tt.step, err)
			if err != nil && got.CredentialID != nil {
				t.Errorf("a refused assertion returned a credential: %+v", got)
			}
		})
	}
}

// 7.2 step 22: signature count.
func TestSignCount(t *testing.T) {
	for _, tt := range []struct {
		name         string
		stored, sent uint32
		wantRollback bool
	}{
		{"grew by one", 1, 2, false},
		{"grew by more", 1, 900, false},
		{"the first that is not zero", 0, 1, false},
		{"always zero", 0, 0, false},
		{"stood still", 5, 5, true},
		{"went back", 5, 4, true},
		{"went back to zero", 5, 0, true},
		{"at its end", 1<<32 - 2, 1<<32 - 1, false},
		{"wrapped around", 1<<32 - 1, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := request{
				dev:    authenticatortest.Deviation{SignCount: func(uint32) uint32 { return tt.sent }},
				expect: func(e *webauthn.AssertionExpectation) { e.Stored.SignCount = tt.stored },
			}.run(t)
			if err != nil {
				t.Fatal(err)
			}
			if got.SignCount != tt.sent || got.SignCountRollback != tt.wantRollback {
				t.Errorf("count = %d, rollback %v, want %d, %v", got.SignCount, got.SignCountRollback, tt.sent, tt.wantRollback)
			}
		})
	}
}

// 7.2 step 19: backup eligibility.
func TestBackupEligibilityChange(t *testing.T) {
	for _, tt := range []struct {
		name         string
		stored, sent bool
	}{
		{"device-bound stays so", false, false},
		{"device-bound becomes eligible", false, true},
		{"eligible becomes device-bound", true, false},
		{"eligible stays so", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := request{
				authenticator: authenticatortest.Options{BackupEligible: tt.sent},
				expect:        func(e *webauthn.AssertionExpectation) { e.Stored.BackupEligible = tt.stored },
			}.run(t)
			if err != nil {
				t.Fatal(err)
			}
			if want := tt.stored != tt.sent; got.BackupEligibleChanged != want || got.Flags.BackupEligible() != tt.sent {
				t.Errorf("changed = %v, BE = %v, want %v, %v", got.BackupEligibleChanged, got.Flags.BackupEligible(), want, tt.sent)
			}
		})
	}
}

func TestAssertionFacts(t *testing.T) {
	a := newAuthenticator(t, authenticatortest.Options{CrossPlatform: true, BackedUp: true})
	reg, err := creation{}.runOn(t, a)
	if err != nil {
		t.Fatal(err)
	}
	extensions := []byte("\xa1\x63uvm\x81\x83\x02\x04\x02")
	got, err := request{
		rp:  allowCrossOrigin,
		dev: authenticatortest.Deviation{CrossOrigin: true, TopOrigin: topOrigin, Extensions: extensions},
	}.runOn(t, a, reg)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.CredentialID, reg.CredentialID) || got.SignCount != 2 || got.Attachment != webauthn.AttachmentCrossPlatform {
		t.Errorf("credential %x, count %d, attachment %q", got.CredentialID, got.SignCount, got.Attachment)
	}
	if f := got.Flags; !f.UserPresent() || !f.UserVerified() || !f.BackedUp() {
		t.Errorf("flags = %08b, want UP, UV and BS", f)
	}
	if want := (webauthn.ClientData{Origin: origin, CrossOrigin: true, TopOrigin: topOrigin}); got.ClientData != want {
		t.Errorf("client data = %+v, want %+v", got.ClientData, want)
	}
	if !bytes.Equal(got.Extensions, extensions) {
		t.Errorf("extensions = %x, want %x", got.Extensions, extensions)
	}
}

// Against the decoy, and against a real key with a wrong signature, whatever
// else a client may vary is answered alike: the answers say nothing about which
// credentials exist (user enumeration). Comparing the user handle before the
// signature turns this red.
func TestDecoyAnswersAlike(t *testing.T) {
	for _, tt := range []struct {
		name string
		dev  authenticatortest.Deviation
	}{
		{"all else right", authenticatortest.Deviation{}},
		{"another's user handle", authenticatortest.Deviation{UserHandle: []byte("bob")}},
		{"count went back", authenticatortest.Deviation{SignCount: authenticatortest.LoweredCount}},
		{"eligible for backup", authenticatortest.Deviation{SetFlags: authenticatortest.BE}},
		{"wrong challenge", authenticatortest.Deviation{Challenge: []byte("another")}},
		{"not verified", authenticatortest.Deviation{ClearFlags: authenticatortest.UV}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dev := tt.dev
			dev.WrongKey = true
			_, realErr := request{dev: dev, expect: requireUVToSignIn}.run(t)

			var decoyErr error
			_, err := request{dev: dev, expect: requireUVToSignIn, response: func(r *webauthn.AssertionResponse) {
				_, decoyErr = webauthn.VerifyAssertion(relyingParty(), webauthn.AssertionExpectation{
					Challenge: challenge, RequireUserVerification: true,
				}, webauthn.DecoyKey(), *r)
			}}.run(t)
			if err == nil || decoyErr == nil || realErr.Error() != decoyErr.Error() {
				t.Errorf("real credential: %v; decoy: %v", realErr, decoyErr)
			}
		})
	}
}

func TestAssertionWithoutExpectation(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  request
	}{
		{"no challenge", request{expect: func(e *webauthn.AssertionExpectation) { e.Challenge = nil }, dev: authenticatortest.Deviation{Challenge: []byte{}}}},
		{"no RP ID", request{rp: func(rp *webauthn.RP) { rp.ID = "" }}},
		{"no origins", request{rp: func(rp *webauthn.RP) { rp.Origins = nil }}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.run.run(t)
			if _, isFault := fault.As(err); err == nil || isFault {
				t.Errorf("VerifyAssertion error = %v, want one that is no fault", err)
			}
		})
	}
	t.Run("zero key", func(t *testing.T) {
		_, err := webauthn.VerifyAssertion(relyingParty(), webauthn.AssertionExpectation{Challenge: challenge}, webauthn.Key{}, webauthn.AssertionResponse{})
		if _, isFault := fault.As(err); err == nil || isFault {
			t.Errorf("VerifyAssertion error = %v, want one that is no fault", err)
		}
	})
}

const appID = "https://example.org/u2f-app-id.json"

func expectAppID(e *webauthn.AssertionExpectation) { e.AppID = appID }

func reportAppID(r *webauthn.AssertionResponse) { r.ClientExtensionResults = []byte(`{"appid":true}`) }

func userIdentified(e *webauthn.AssertionExpectation) { e.UserIdentified = true }

func requireUVToSignIn(e *webauthn.AssertionExpectation) { e.RequireUserVerification = true }
