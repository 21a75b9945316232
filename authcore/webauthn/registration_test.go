package webauthn_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/fault"
)

var model = uuid.MustParse("8a5e0e1c-54b0-4e8b-9d37-1f5be4c0a6a2")

// The authenticators of the tests, by their attestation.
var (
	selfAttesting = authenticatortest.Options{Attestation: authenticatortest.PackedSelf, AAGUID: model}
	certified     = authenticatortest.Options{Attestation: authenticatortest.PackedX5C, AAGUID: model}
	u2f           = authenticatortest.Options{Attestation: authenticatortest.FIDOU2F, CrossPlatform: true}
)

// creationSteps has, for each step of WebAuthn L3
// #sctn-registering-a-new-credential (§7.1) that VerifyRegistration does, what
// passes it (want nil) and what does not. Hostile JSON is in
// TestHostileClientData, as it is the same for both ceremonies.
//
// Steps 1 and 2 happen before a response exists. Step 26 (the credential ID is
// not registered yet), 27 and 29 (storing the record) and that a challenge is
// spent once are tested in authcore/ceremony. Steps 23 and 24 (trust anchors)
// are policy; what it needs is tested here.
var creationSteps = []struct {
	step, name string
	run        creation
	want       error
}{
	{step: "7.1 step 3: response", name: "a public-key credential", run: creation{}},
	{
		step: "7.1 step 3: response", name: "another type", want: webauthn.ErrMalformed,
		run: creation{response: func(r *webauthn.RegistrationResponse) { r.Type = "password" }},
	},
	{
		step: "7.1 step 3: response", name: "no attestation object, as in an assertion", want: webauthn.ErrMalformed,
		run: creation{response: func(r *webauthn.RegistrationResponse) { r.AttestationObject = nil }},
	},
	{
		step: "7.1 step 3: response", name: "id is not the encoding of rawId", want: webauthn.ErrMalformed,
		run: creation{response: func(r *webauthn.RegistrationResponse) { r.ID += "A" }},
	},
	{
		step: "7.1 step 4: client extension results", name: "absent",
		run: creation{response: func(r *webauthn.RegistrationResponse) { r.ClientExtensionResults = nil }},
	},
	{
		step: "7.1 step 4: client extension results", name: "not an object", want: webauthn.ErrMalformed,
		run: creation{response: func(r *webauthn.RegistrationResponse) { r.ClientExtensionResults = []byte(`[]`) }},
	},
	{
		step: "7.1 step 5: UTF-8 decode", name: "a byte order mark is stripped",
		run: creation{dev: clientData("\ufeff" + `{"type":"webauthn.create","challenge":"CHALLENGE","origin":"https://login.example.org"}`)},
	},
	{
		step: "7.1 step 5: UTF-8 decode", name: "invalid UTF-8", want: webauthn.ErrMalformed,
		run: creation{dev: authenticatortest.Deviation{ExtraClientData: "\"a\":\"\xff\""}},
	},
	{
		step: "7.1 step 6: JSON", name: "members that nobody knows yet",
		run: creation{dev: authenticatortest.Deviation{ExtraClientData: `"other_keys_can_be_added_here":"do not compare clientDataJSON against a template","a":[{"b":null}]`}},
	},
	{
		step: "7.1 step 6: JSON", name: "cut short", want: webauthn.ErrMalformed,
		run: creation{dev: clientData(`{"type":"webauthn.create","challenge":"CHALLENGE","origin":"https://login.example.org"`)},
	},
	{step: "7.1 step 7: type", name: "webauthn.create", run: creation{}},
	{
		step: "7.1 step 7: type", name: "webauthn.get", want: webauthn.ErrCeremonyType,
		run: creation{dev: authenticatortest.Deviation{Type: "webauthn.get"}},
	},
	{
		step: "7.1 step 7: type", name: "another letter case", want: webauthn.ErrCeremonyType,
		run: creation{dev: authenticatortest.Deviation{Type: "WebAuthn.create"}},
	},
	{step: "7.1 step 8: challenge", name: "the one of the options", run: creation{}},
	{
		step: "7.1 step 8: challenge", name: "another", want: webauthn.ErrChallenge,
		run: creation{dev: authenticatortest.Deviation{Challenge: bytes.Repeat([]byte{7}, 32)}},
	},
	{
		step: "7.1 step 8: challenge", name: "a prefix", want: webauthn.ErrChallenge,
		run: creation{dev: authenticatortest.Deviation{Challenge: challenge[:31]}},
	},
	{
		step: "7.1 step 8: challenge", name: "padded", want: webauthn.ErrChallenge,
		run: creation{dev: clientData(`{"type":"webauthn.create","challenge":"CHALLENGE=","origin":"https://login.example.org"}`)},
	},
	{
		step: "7.1 step 8: challenge", name: "empty", want: webauthn.ErrChallenge,
		run: creation{dev: authenticatortest.Deviation{Challenge: []byte{}}},
	},
	{step: "7.1 step 9: origin", name: "listed", run: creation{}},
	{step: "7.1 step 9: origin", name: "not listed", run: creation{origin: "https://example.org"}, want: webauthn.ErrOrigin},
	{step: "7.1 step 10: crossOrigin", name: "allowed", run: creation{
		rp: allowCrossOrigin, dev: authenticatortest.Deviation{CrossOrigin: true},
	}},
	{
		step: "7.1 step 10: crossOrigin", name: "not allowed", want: webauthn.ErrOrigin,
		run: creation{dev: authenticatortest.Deviation{CrossOrigin: true}},
	},
	{step: "7.1 step 11: topOrigin", name: "listed", run: creation{
		rp: allowCrossOrigin, dev: authenticatortest.Deviation{CrossOrigin: true, TopOrigin: topOrigin},
	}},
	{
		step: "7.1 step 11: topOrigin", name: "not listed", want: webauthn.ErrOrigin,
		run: creation{rp: allowCrossOrigin, dev: authenticatortest.Deviation{CrossOrigin: true, TopOrigin: "https://evil.example"}},
	},
	{
		step: "7.1 step 11: topOrigin", name: "the RP's own origin is not a partner's", want: webauthn.ErrOrigin,
		run: creation{rp: allowCrossOrigin, dev: authenticatortest.Deviation{CrossOrigin: true, TopOrigin: origin}},
	},
	{
		step: "7.1 step 11: topOrigin", name: "listed, but frames are not allowed", want: webauthn.ErrOrigin,
		run: creation{dev: authenticatortest.Deviation{TopOrigin: topOrigin}},
	},
	{
		step: "7.1 step 11: topOrigin", name: "without crossOrigin", want: webauthn.ErrOrigin,
		run: creation{rp: allowCrossOrigin, dev: authenticatortest.Deviation{TopOrigin: topOrigin}},
	},
	{
		step: "7.1 step 11: topOrigin", name: "empty", want: webauthn.ErrOrigin,
		run: creation{rp: allowCrossOrigin, dev: clientData(`{"type":"webauthn.create","challenge":"CHALLENGE","origin":"https://login.example.org","crossOrigin":true,"topOrigin":""}`)},
	},
	{step: "7.1 step 12: hash", name: "of the bytes that were signed", run: creation{authenticator: selfAttesting}},
	{
		step: "7.1 step 12: hash", name: "of other bytes with the same meaning", want: webauthn.ErrAttestation,
		run: creation{authenticator: selfAttesting, response: func(r *webauthn.RegistrationResponse) {
			r.ClientDataJSON = append(r.ClientDataJSON, ' ')
		}},
	},
	{step: "7.1 step 13: CBOR", name: "an attestation object", run: creation{}},
	{
		step: "7.1 step 13: CBOR", name: "cut short", want: webauthn.ErrMalformed,
		run: creation{response: func(r *webauthn.RegistrationResponse) {
			r.AttestationObject = r.AttestationObject[:len(r.AttestationObject)-1]
		}},
	},
	{
		step: "7.1 step 13: CBOR", name: "bytes after it", want: webauthn.ErrMalformed,
		run: creation{response: func(r *webauthn.RegistrationResponse) { r.AttestationObject = append(r.AttestationObject, 0) }},
	},
	{
		step: "7.1 step 13: CBOR", name: "not a map", want: webauthn.ErrMalformed,
		run: creation{response: func(r *webauthn.RegistrationResponse) { r.AttestationObject = []byte{0x80} }},
	},
	{
		step: "7.1 step 13: CBOR", name: "indefinite length", want: webauthn.ErrMalformed,
		run: creation{response: func(r *webauthn.RegistrationResponse) {
			r.AttestationObject = append(append([]byte{0xbf}, r.AttestationObject[1:]...), 0xff)
		}},
	},
	{
		step: "7.1 step 13: CBOR", name: "duplicate key", want: webauthn.ErrMalformed,
		run: creation{response: func(r *webauthn.RegistrationResponse) {
			r.AttestationObject = slices.Concat([]byte{0xa4, 0x63}, []byte("fmt"), []byte{0x64}, []byte("none"), r.AttestationObject[1:])
		}},
	},
	{
		step: "7.1 step 13: CBOR", name: "nested too deep", want: webauthn.ErrMalformed,
		run: creation{response: statement(func(s map[any]any) { s["a"] = []any{[]any{[]any{[]any{[]any{}}}}} })},
	},
	{
		step: "7.1 step 13: CBOR", name: "too long", want: webauthn.ErrMalformed,
		run: creation{response: statement(func(s map[any]any) { s["a"] = make([]byte, 32<<10) })},
	},
	{
		step: "7.1 step 13: CBOR", name: "no attestation statement", want: webauthn.ErrMalformed,
		run: creation{response: attestationObject(func(o map[string]any) { delete(o, "attStmt") })},
	},
	{
		step: "7.1 step 13: CBOR", name: "no authenticator data", want: webauthn.ErrMalformed,
		run: creation{response: attestationObject(func(o map[string]any) { delete(o, "authData") })},
	},
	{
		step: "7.1 step 13: CBOR", name: "authenticator data without a credential", want: webauthn.ErrMalformed,
		run: creation{response: authenticatorData(func(d []byte) []byte {
			d[32] &^= 1 << 6
			return d[:37]
		})},
	},
	{
		step: "7.1 step 13: CBOR", name: "authenticator data with bytes left over", want: webauthn.ErrMalformed,
		run: creation{response: authenticatorData(func(d []byte) []byte { return append(d, 0) })},
	},
	{
		step: "7.1 step 13: CBOR", name: "flagged extensions are absent", want: webauthn.ErrMalformed,
		run: creation{response: authenticatorData(func(d []byte) []byte {
			d[32] |= 1 << 7
			return d
		})},
	},
	{
		step: "7.1 step 13: CBOR", name: "rawId is not the attested credential ID", want: webauthn.ErrMalformed,
		run: creation{response: func(r *webauthn.RegistrationResponse) {
			r.RawID = bytes.Repeat([]byte{1}, 32)
			r.ID = webauthn.EncodeBase64URL(r.RawID)
		}},
	},
	{step: "7.1 step 14: rpIdHash", name: "of the RP ID", run: creation{}},
	{
		step: "7.1 step 14: rpIdHash", name: "of the origin's host", want: webauthn.ErrRPID,
		run: creation{dev: authenticatortest.Deviation{RPID: "login.example.org"}},
	},
	{
		step: "7.1 step 14: rpIdHash", name: "of a parent domain", want: webauthn.ErrRPID,
		run: creation{dev: authenticatortest.Deviation{RPID: "org"}},
	},
	{step: "7.1 step 15: user presence", name: "tested", run: creation{}},
	{
		step: "7.1 step 15: user presence", name: "not tested", want: webauthn.ErrUserPresence,
		run: creation{dev: authenticatortest.Deviation{ClearFlags: authenticatortest.UP}},
	},
	{step: "7.1 step 15: user presence", name: "not tested in conditional create", run: creation{
		dev:    authenticatortest.Deviation{ClearFlags: authenticatortest.UP},
		expect: func(e *webauthn.RegistrationExpectation) { e.Conditional = true },
	}},
	{step: "7.1 step 16: user verification", name: "required and done", run: creation{expect: requireUV}},
	{
		step: "7.1 step 16: user verification", name: "required and not done", want: webauthn.ErrUserVerification,
		run: creation{expect: requireUV, dev: authenticatortest.Deviation{ClearFlags: authenticatortest.UV}},
	},
	{step: "7.1 step 16: user verification", name: "not required and not done", run: creation{
		dev: authenticatortest.Deviation{ClearFlags: authenticatortest.UV},
	}},
	{step: "7.1 step 17: backup state", name: "eligible and backed up", run: creation{
		authenticator: authenticatortest.Options{BackedUp: true},
	}},
	{step: "7.1 step 17: backup state", name: "eligible and not backed up", run: creation{
		authenticator: authenticatortest.Options{BackupEligible: true},
	}},
	{
		step: "7.1 step 17: backup state", name: "backed up and not eligible", want: webauthn.ErrBackupState,
		run: creation{dev: authenticatortest.Deviation{SetFlags: authenticatortest.BS}},
	},
	{step: "7.1 step 20: algorithm", name: "offered", run: creation{
		authenticator: authenticatortest.Options{Algorithms: []int{authenticatortest.EdDSA}},
	}},
	{
		step: "7.1 step 20: algorithm", name: "not offered", want: webauthn.ErrAlgorithm,
		run: creation{expect: func(e *webauthn.RegistrationExpectation) { e.Algorithms = []webauthn.Algorithm{webauthn.EdDSA} }},
	},
	{
		step: "7.1 step 20: algorithm", name: "Ed448, even if offered", want: webauthn.ErrAlgorithm,
		run: creation{
			authenticator: authenticatortest.Options{Algorithms: []int{authenticatortest.EdDSA}},
			expect:        func(e *webauthn.RegistrationExpectation) { e.Algorithms = []webauthn.Algorithm{-53} },
			response: authenticatorData(func(d []byte) []byte {
				return bytes.Replace(d, []byte{0x03, 0x27}, []byte{0x03, 0x38, 0x34}, 1) // alg -8 becomes -53
			}),
		},
	},
	{step: "7.1 step 21: format", name: "none", run: creation{}},
	{
		step: "7.1 step 21: format", name: "another letter case", want: webauthn.ErrAttestationFormat,
		run: creation{response: attestationObject(func(o map[string]any) { o["fmt"] = "None" })},
	},
	{
		step: "7.1 step 21: format", name: "not registered", want: webauthn.ErrAttestationFormat,
		run: creation{response: attestationObject(func(o map[string]any) { o["fmt"] = "acme" })},
	},
	{
		step: "7.1 step 21: format", name: "android-safetynet by default", want: webauthn.ErrAttestationFormat,
		run: creation{response: attestationObject(func(o map[string]any) { o["fmt"] = "android-safetynet" })},
	},
	{
		step: "7.1 step 21: format", name: "android-safetynet where allowed, and then verified", want: webauthn.ErrAttestation,
		run: creation{
			response: attestationObject(func(o map[string]any) { o["fmt"] = "android-safetynet" }),
			expect:   func(e *webauthn.RegistrationExpectation) { e.AllowSafetyNet = true },
		},
	},
	{
		step: "7.1 step 22: attestation statement", name: "none with a statement", want: webauthn.ErrAttestation,
		run: creation{response: statement(func(s map[any]any) { s["sig"] = []byte{1} })},
	},
	{step: "7.1 step 22: attestation statement", name: "packed, self", run: creation{authenticator: selfAttesting}},
	{step: "7.1 step 22: attestation statement", name: "packed, self, RSA", run: creation{
		authenticator: authenticatortest.Options{Attestation: authenticatortest.PackedSelf, Algorithms: []int{authenticatortest.RS256}},
	}},
	{
		step: "7.1 step 22: attestation statement", name: "packed, self, with another key", want: webauthn.ErrAttestation,
		run: creation{authenticator: selfAttesting, dev: authenticatortest.Deviation{WrongKey: true}},
	},
	{
		step: "7.1 step 22: attestation statement", name: "packed, self, of another algorithm than the key's", want: webauthn.ErrAttestation,
		run: creation{authenticator: selfAttesting, response: statement(func(s map[any]any) { s["alg"] = -257 })},
	},
	{
		step: "7.1 step 22: attestation statement", name: "packed, self, flags changed after signing", want: webauthn.ErrAttestation,
		run: creation{
			authenticator: selfAttesting, dev: authenticatortest.Deviation{ClearFlags: authenticatortest.UV}, expect: requireUV,
			response: authenticatorData(func(d []byte) []byte {
				d[32] |= authenticatortest.UV
				return d
			}),
		},
	},
	{step: "7.1 step 22: attestation statement", name: "packed, basic", run: creation{authenticator: certified, conveyance: "direct"}},
	{
		step: "7.1 step 22: attestation statement", name: "packed, basic, with another key than the certificate's", want: webauthn.ErrAttestation,
		run: creation{authenticator: certified, conveyance: "direct", dev: authenticatortest.Deviation{WrongKey: true}},
	},
	{
		step: "7.1 step 22: attestation statement", name: "packed, basic, of another model than the certificate's", want: webauthn.ErrAttestation,
		run: creation{authenticator: certified, conveyance: "direct", response: authenticatorData(func(d []byte) []byte {
			d[37]++
			return d
		})},
	},
	{
		step: "7.1 step 22: attestation statement", name: "packed, basic, x5c is empty", want: webauthn.ErrAttestation,
		run: creation{authenticator: certified, conveyance: "direct", response: statement(func(s map[any]any) { s["x5c"] = []any{} })},
	},
	{
		step: "7.1 step 22: attestation statement", name: "packed, basic, more certificates than any chain has", want: webauthn.ErrAttestation,
		run: creation{authenticator: certified, conveyance: "direct", response: statement(func(s map[any]any) {
			leaf, ok := s["x5c"].([]any)
			if !ok {
				panic("no x5c")
			}
			s["x5c"] = slices.Repeat(leaf, 11)
		})},
	},
	{step: "7.1 step 22: attestation statement", name: "fido-u2f", run: creation{authenticator: u2f, conveyance: "direct"}},
	{
		step: "7.1 step 22: attestation statement", name: "fido-u2f with another key", want: webauthn.ErrAttestation,
		run: creation{authenticator: u2f, conveyance: "direct", dev: authenticatortest.Deviation{WrongKey: true}},
	},
	{step: "7.1 step 22: attestation statement", name: "compound", run: creation{authenticator: certified, conveyance: "direct", response: compound(2)}},
	{
		step: "7.1 step 22: attestation statement", name: "compound of one", want: webauthn.ErrAttestation,
		run: creation{authenticator: certified, conveyance: "direct", response: compound(1)},
	},
	{
		step: "7.1 step 22: attestation statement", name: "compound of more than four", want: webauthn.ErrAttestation,
		run: creation{authenticator: certified, conveyance: "direct", response: compound(5)},
	},
	{
		step: "7.1 step 22: attestation statement", name: "compound of none", want: webauthn.ErrAttestation,
		run: creation{response: compound(2)},
	},
	{
		step: "7.1 step 22: attestation statement", name: "compound of compounds", want: webauthn.ErrAttestation,
		run: creation{response: attestationObject(func(o map[string]any) {
			part := map[string]any{"fmt": "compound", "attStmt": map[string]any{}}
			o["fmt"], o["attStmt"] = "compound", []any{part, part}
		})},
	},
	{
		step: "7.1 step 22: attestation statement", name: "compound with a part that does not verify", want: webauthn.ErrAttestation,
		run: creation{authenticator: certified, conveyance: "direct", dev: authenticatortest.Deviation{WrongKey: true}, response: compound(2)},
	},
	{step: "7.1 step 25: credential ID", name: "of 1023 bytes", run: creation{
		dev: authenticatortest.Deviation{CredentialID: bytes.Repeat([]byte{1}, 1023)},
	}},
	{
		step: "7.1 step 25: credential ID", name: "of 1024 bytes", want: webauthn.ErrMalformed,
		run: creation{dev: authenticatortest.Deviation{CredentialID: bytes.Repeat([]byte{1}, 1024)}},
	},
	{
		step: "7.1 step 25: credential ID", name: "empty", want: webauthn.ErrMalformed,
		run: creation{dev: authenticatortest.Deviation{CredentialID: []byte{}}},
	},
	{step: "7.1 step 28: extension outputs", name: "that were not asked for", run: creation{
		dev: authenticatortest.Deviation{Extensions: []byte("\xa1\x6bcredProtect\x02")},
		response: func(r *webauthn.RegistrationResponse) {
			r.ClientExtensionResults = []byte(`{"prf":{"enabled":true},"hmacCreateSecret":false}`)
		},
	}},
	{
		step: "7.1 step 28: extension outputs", name: "credProps.rk is no boolean", want: webauthn.ErrMalformed,
		run: creation{response: func(r *webauthn.RegistrationResponse) {
			r.ClientExtensionResults = []byte(`{"credProps":{"rk":"true"}}`)
		}},
	},
	{
		step: "7.1 step 28: extension outputs", name: "duplicate keys of the authenticator", want: webauthn.ErrMalformed,
		run: creation{dev: authenticatortest.Deviation{Extensions: []byte("\xa2\x61a\x01\x61a\x02")}},
	},
	{
		step: "7.1 step 28: extension outputs", name: "the authenticator's are not a map", want: webauthn.ErrMalformed,
		run: creation{dev: authenticatortest.Deviation{Extensions: []byte{0xf6}}},
	},
	{
		step: "7.1 step 27: transports", name: "more than there can be", want: webauthn.ErrMalformed,
		run: creation{response: func(r *webauthn.RegistrationResponse) { r.Transports = slices.Repeat([]string{"usb"}, 17) }},
	},
	{
		step: "7.1 step 27: transports", name: "an empty one", want: webauthn.ErrMalformed,
		run: creation{response: func(r *webauthn.RegistrationResponse) { r.Transports = []string{""} }},
	},
	{
		step: "7.1 step 27: transports", name: "a long one", want: webauthn.ErrMalformed,
		run: creation{response: func(r *webauthn.RegistrationResponse) { r.Transports = []string{strings.Repeat("u", 33)} }},
	},
	{
		step: "7.1 step 27: transports", name: "not a name", want: webauthn.ErrMalformed,
		run: creation{response: func(r *webauthn.RegistrationResponse) { r.Transports = []string{"us\nb"} }},
	},
}

// Removing any one check from VerifyRegistration turns the case of its step red.
func TestRegistration(t *testing.T) {
	for _, tt := range creationSteps {
		t.Run(tt.step+"/"+tt.name, func(t *testing.T) {
			reg, err := tt.run.run(t)
			checkOutcome(t, err, tt.want)
			checkStep(t, tt.step, err)
			if err != nil && reg.CredentialID != nil {
				t.Errorf("a refused registration returned a credential: %+v", reg)
			}
		})
	}
}

func TestRegistrationRecord(t *testing.T) { // steps 18, 19, 27 and 28
	a := newAuthenticator(t, authenticatortest.Options{
		Attestation: authenticatortest.PackedX5C, AAGUID: model, BackedUp: true,
	})
	id := bytes.Repeat([]byte{9}, 20)
	extensions := []byte("\xa1\x6bcredProtect\x02")
	reg, err := creation{
		conveyance: "direct",
		rp:         allowCrossOrigin,
		dev: authenticatortest.Deviation{
			CredentialID: id, CrossOrigin: true, TopOrigin: topOrigin, Extensions: extensions,
			SignCount: func(uint32) uint32 { return 41 },
		},
	}.runOn(t, a)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(reg.CredentialID, id) || reg.AAGUID != model || reg.SignCount != 41 || reg.Algorithm != webauthn.ES256 {
		t.Errorf("credential = %x of %v, count %d, %v", reg.CredentialID, reg.AAGUID, reg.SignCount, reg.Algorithm)
	}
	if f := reg.Flags; !f.UserPresent() || !f.UserVerified() || !f.BackupEligible() || !f.BackedUp() {
		t.Errorf("flags = %08b, want UP, UV, BE and BS", f)
	}
	if !slices.Equal(reg.Transports, []string{"internal"}) || reg.Attachment != webauthn.AttachmentPlatform {
		t.Errorf("transports = %q, attachment = %q", reg.Transports, reg.Attachment)
	}
	if reg.Discoverable == nil || !*reg.Discoverable {
		t.Errorf("discoverable = %v, want true", reg.Discoverable)
	}
	want := webauthn.ClientData{Origin: origin, CrossOrigin: true, TopOrigin: topOrigin}
	if reg.ClientData != want {
		t.Errorf("client data = %+v, want %+v", reg.ClientData, want)
	}
	if !bytes.Equal(reg.Extensions, extensions) {
		t.Errorf("extensions = %x, want %x", reg.Extensions, extensions)
	}
	key, err := webauthn.ParsePublicKey(reg.PublicKey)
	if err != nil || key.Algorithm() != webauthn.ES256 {
		t.Errorf("ParsePublicKey = %v, %v", key.Algorithm(), err)
	}
}

// A mistake of the calling code must not look like one of the client's, and
// must never let anything in.
func TestRegistrationWithoutExpectation(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  creation
	}{
		{"no challenge", creation{expect: func(e *webauthn.RegistrationExpectation) { e.Challenge = nil }, dev: authenticatortest.Deviation{Challenge: []byte{}}}},
		{"no RP ID", creation{rp: func(rp *webauthn.RP) { rp.ID = "" }}},
		{"no origins", creation{rp: func(rp *webauthn.RP) { rp.Origins = nil }}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.run.run(t)
			if _, isFault := fault.As(err); err == nil || isFault {
				t.Errorf("VerifyRegistration error = %v, want one that is no fault", err)
			}
		})
	}
}

// checkOutcome compares an error with the fault that is wanted, nil for success.
func checkOutcome(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error = %v, want %v", err, want)
	}
	f, ok := fault.As(err)
	if want != nil && (!ok || strings.Contains(f.Message, webauthn.EncodeBase64URL(challenge))) {
		t.Errorf("error %v is no fault, or tells the challenge", err)
	}
}

func allowCrossOrigin(rp *webauthn.RP) { rp.AllowCrossOrigin = true }

func requireUV(e *webauthn.RegistrationExpectation) { e.RequireUserVerification = true }
