package webauthn_test

import (
	"encoding/json"
	"fmt"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/webauthn"
)

// A passkey is registered and signs its user in. A browser would be where the
// software authenticator stands.
func Example() {
	browser, err := authenticatortest.New(authenticatortest.Options{})
	if err != nil {
		panic(err)
	}
	rp := webauthn.RP{ID: "example.org", Origins: []string{"https://login.example.org"}}
	challenge := []byte("32 random bytes, and never twice")

	creation, err := json.Marshal(webauthn.CreationOptions{
		RP:        webauthn.Entity{ID: rp.ID, Name: "Example"},
		User:      webauthn.UserEntity{ID: []byte("alice's handle"), Name: "alice@example.org", DisplayName: "Alice"},
		Challenge: challenge, Algorithms: webauthn.DefaultAlgorithms(),
	})
	if err != nil {
		panic(err)
	}
	created, err := browser.Create(creation, "https://login.example.org")
	if err != nil {
		panic(err)
	}
	reg, err := webauthn.VerifyRegistration(rp, webauthn.RegistrationExpectation{
		Challenge: challenge, Algorithms: webauthn.DefaultAlgorithms(),
	}, webauthn.RegistrationResponse{
		ID: webauthn.EncodeBase64URL(created.CredentialID), RawID: created.CredentialID, Type: "public-key",
		ClientDataJSON: created.ClientDataJSON, AttestationObject: created.AttestationObject,
	})
	if err != nil {
		panic(err)
	}
	fmt.Println("registered:", reg.Algorithm, reg.Attestation.Type)

	request, err := json.Marshal(webauthn.RequestOptions{Challenge: challenge, RPID: rp.ID})
	if err != nil {
		panic(err)
	}
	got, err := browser.Get(request, "https://evil.example")
	if err != nil {
		panic(err)
	}
	key, err := webauthn.ParsePublicKey(reg.PublicKey)
	if err != nil {
		panic(err)
	}
	_, err = webauthn.VerifyAssertion(rp, webauthn.AssertionExpectation{
		Challenge: challenge, Stored: webauthn.StoredCredential{UserHandle: []byte("alice's handle"), SignCount: reg.SignCount},
	}, key, webauthn.AssertionResponse{
		ID: webauthn.EncodeBase64URL(got.CredentialID), RawID: got.CredentialID, Type: "public-key",
		ClientDataJSON: got.ClientDataJSON, AuthenticatorData: got.AuthenticatorData,
		Signature: got.Signature, UserHandle: got.UserHandle,
	})
	fmt.Println("on a phishing page:", err)
	// Output:
	// registered: ES256 none
	// on a phishing page: the credential was made on an origin that is not allowed: origin "https://evil.example"
}
