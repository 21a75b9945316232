package webauthn_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/webauthn"
)

// The relying party of the tests: it may be embedded by a partner's page, but
// only where a test allows that.
const (
	rpID      = "example.org"
	origin    = "https://login.example.org"
	topOrigin = "https://partner.example.com"
)

var (
	challenge  = []byte("0123456789abcdef0123456789abcdef")
	userHandle = []byte("user handle of sixteen bytes, or so")
)

func relyingParty() webauthn.RP {
	return webauthn.RP{ID: rpID, Name: "Example", Origins: []string{origin}, TopOrigins: []string{topOrigin}}
}

func newAuthenticator(t testing.TB, opts authenticatortest.Options) *authenticatortest.Authenticator {
	t.Helper()
	a, err := authenticatortest.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// creation is a registration ceremony. Its zero value is one in which all goes well.
type creation struct {
	authenticator authenticatortest.Options
	conveyance    string
	origin        string
	dev           authenticatortest.Deviation

	rp       func(*webauthn.RP)
	expect   func(*webauthn.RegistrationExpectation)
	response func(*webauthn.RegistrationResponse) // what happens to it on its way
}

// run lets a new authenticator create a credential, and verifies it.
func (c creation) run(t testing.TB) (webauthn.Registration, error) {
	t.Helper()
	a := newAuthenticator(t, c.authenticator)
	return c.runOn(t, a)
}

func (c creation) runOn(t testing.TB, a *authenticatortest.Authenticator) (webauthn.Registration, error) {
	t.Helper()
	rp := relyingParty()
	exp := webauthn.RegistrationExpectation{Challenge: challenge, Algorithms: webauthn.DefaultAlgorithms()}
	if c.rp != nil {
		c.rp(&rp)
	}
	if c.expect != nil {
		c.expect(&exp)
	}
	options, err := json.Marshal(webauthn.CreationOptions{
		RP:        webauthn.Entity{ID: rpID, Name: "Example"},
		User:      webauthn.UserEntity{ID: userHandle, Name: "alice", DisplayName: "Alice"},
		Challenge: challenge, Algorithms: webauthn.DefaultAlgorithms(), Attestation: c.conveyance,
		Extensions: json.RawMessage(`{"credProps":true}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := a.CreateWith(options, cmp.Or(c.origin, origin), c.dev)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := webauthn.ParseRegistrationResponse(data)
	if err != nil {
		t.Fatal(err)
	}
	if c.response != nil {
		c.response(&resp)
	}
	return webauthn.VerifyRegistration(rp, exp, resp)
}

// request is an authentication ceremony. Its zero value is a sign-in with a
// discoverable credential in which all goes well.
type request struct {
	authenticator authenticatortest.Options
	origin        string
	dev           authenticatortest.Deviation

	rp       func(*webauthn.RP)
	expect   func(*webauthn.AssertionExpectation)
	response func(*webauthn.AssertionResponse) // what happens to it on its way
}

// run registers a credential on a new authenticator, and signs in with it.
func (r request) run(t testing.TB) (webauthn.Assertion, error) {
	t.Helper()
	a := newAuthenticator(t, r.authenticator)
	reg, err := creation{}.runOn(t, a)
	if err != nil {
		t.Fatal(err)
	}
	return r.runOn(t, a, reg)
}

func (r request) runOn(t testing.TB, a *authenticatortest.Authenticator, reg webauthn.Registration) (webauthn.Assertion, error) {
	t.Helper()
	rp := relyingParty()
	exp := webauthn.AssertionExpectation{
		Challenge: challenge,
		Stored: webauthn.StoredCredential{
			UserHandle: userHandle, SignCount: reg.SignCount, BackupEligible: reg.Flags.BackupEligible(),
		},
	}
	if r.rp != nil {
		r.rp(&rp)
	}
	if r.expect != nil {
		r.expect(&exp)
	}
	options, err := json.Marshal(webauthn.RequestOptions{Challenge: challenge, RPID: rpID})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := a.GetWith(options, cmp.Or(r.origin, origin), r.dev)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := webauthn.ParseAssertionResponse(data)
	if err != nil {
		t.Fatal(err)
	}
	if r.response != nil {
		r.response(&resp)
	}
	key, err := webauthn.ParsePublicKey(reg.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return webauthn.VerifyAssertion(rp, exp, key, resp)
}

// attestationObject rewrites the attestation object of a response: edit gets
// its members fmt, attStmt and authData.
func attestationObject(edit func(object map[string]any)) func(*webauthn.RegistrationResponse) {
	return func(r *webauthn.RegistrationResponse) {
		var object map[string]any
		if err := webauthncbor.Unmarshal(r.AttestationObject, &object); err != nil {
			panic(err)
		}
		edit(object)
		encoded, err := webauthncbor.Marshal(object)
		if err != nil {
			panic(err)
		}
		r.AttestationObject = encoded
	}
}

// statement rewrites the attestation statement of a response.
func statement(edit func(attStmt map[any]any)) func(*webauthn.RegistrationResponse) {
	return attestationObject(func(object map[string]any) {
		attStmt, ok := object["attStmt"].(map[any]any)
		if !ok {
			panic("attStmt is not a map")
		}
		edit(attStmt)
	})
}

// authenticatorData rewrites the authenticator data of a registration.
func authenticatorData(edit func(authData []byte) []byte) func(*webauthn.RegistrationResponse) {
	return attestationObject(func(object map[string]any) {
		authData, ok := object["authData"].([]byte)
		if !ok {
			panic("authData is not a byte string")
		}
		object["authData"] = edit(bytes.Clone(authData))
	})
}

// clientData is the deviation in which the client data is this text. CHALLENGE
// in it stands for the right one.
func clientData(text string) authenticatortest.Deviation {
	right := webauthn.EncodeBase64URL(challenge)
	return authenticatortest.Deviation{
		ClientDataJSON: append([]byte{}, strings.ReplaceAll(text, "CHALLENGE", right)...), // never nil
	}
}

// assertionSignedBy returns a good assertion with the signature that sign makes
// of the message.
func assertionSignedBy(t testing.TB, sign func(message []byte) []byte) webauthn.AssertionResponse {
	t.Helper()
	var resp webauthn.AssertionResponse
	if _, err := (request{response: func(r *webauthn.AssertionResponse) { resp = *r }}).run(t); err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(resp.ClientDataJSON)
	resp.Signature = sign(append(bytes.Clone(resp.AuthenticatorData), hash[:]...))
	return resp
}
