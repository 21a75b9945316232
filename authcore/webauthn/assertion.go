package webauthn

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// AssertionExpectation is what the ceremony promised when it began, and what is
// stored of the credential that the response names.
type AssertionExpectation struct {
	Challenge []byte // as in the options; required

	// RequireUserVerification refuses a response without the UV flag.
	RequireUserVerification bool

	// AllowedIDs are the credentials that the options listed,
	// allowCredentials. Empty: any credential will do.
	AllowedIDs [][]byte

	// UserIdentified says that the user was known when the ceremony began, by a
	// name or a session. Otherwise the authenticator must say who it is, by a
	// user handle (§7.2 step 6).
	UserIdentified bool

	// Stored is the record of the credential whose key is verified against. Its
	// owner must already have been found to be the identified user, if any.
	Stored StoredCredential

	// AppID accepts, for a credential of the U2F era, an assertion that the
	// client says is scoped to this AppID instead of the RP ID (WebAuthn L3
	// #sctn-appid-extension). Empty: the extension was not asked for.
	AppID string
}

// StoredCredential is what verification needs of a credential record (WebAuthn
// L3 #credential-record) besides its key.
type StoredCredential struct {
	UserHandle     []byte // of the owning user; required unless the key is the decoy
	SignCount      uint32
	BackupEligible bool
}

// Assertion is what a verified assertion says. The caller stores SignCount and
// the BS flag (§7.2 step 24), after its own decisions.
type Assertion struct {
	CredentialID []byte
	Flags        Flags
	SignCount    uint32

	// SignCountRollback: the count did not grow although one of the two is not
	// zero. A signal, not a proof, that the credential was copied (WebAuthn L3
	// #sctn-sign-counter).
	SignCountRollback bool

	// BackupEligibleChanged: the BE flag differs from the stored one, which the
	// specification forbids and some synced authenticators do (§7.2 step 19).
	BackupEligibleChanged bool

	Attachment string // "platform", "cross-platform", or empty
	ClientData ClientData

	// Extensions are the authenticator extension outputs: a CBOR map, nil for none.
	Extensions []byte
}

// VerifyAssertion does the steps of §7.2 that need no store: 3 to 5, the part
// of 6 that compares user handles, 7 to 23.
//
// What depends on the stored credential comes last: user handle, BE and count
// are compared only once the signature is good. Until then a real credential
// and DecoyKey behave alike, so that a refusal says nothing about which
// credentials exist. The Assertion refers to the memory of resp.
func VerifyAssertion(rp RP, exp AssertionExpectation, key Key, resp AssertionResponse) (Assertion, error) {
	if err := rp.check(exp.Challenge); err != nil {
		return Assertion{}, err
	}
	if key.public == nil {
		return Assertion{}, errors.New("webauthn: zero Key")
	}
	if err := checkCredential(resp.ID, resp.RawID, resp.Type); err != nil { // steps 3, 4
		return Assertion{}, at(3, err)
	}
	if len(resp.UserHandle) > maxUserHandleBytes {
		return Assertion{}, at(6, ErrMalformed.WithCause(fmt.Errorf("user handle of %d bytes", len(resp.UserHandle))))
	}
	if len(exp.AllowedIDs) > 0 && !slices.ContainsFunc(exp.AllowedIDs, func(id []byte) bool { return bytes.Equal(id, resp.RawID) }) {
		return Assertion{}, at(5, ErrCredentialNotAllowed)
	}
	if !exp.UserIdentified && len(resp.UserHandle) == 0 { // step 6
		return Assertion{}, at(6, ErrUserHandle.WithMessage("the authenticator did not say which user the credential belongs to"))
	}
	outputs, err := parseExtensionResults(resp.ClientExtensionResults) // step 23
	if err != nil {
		return Assertion{}, at(4, err)
	}
	client, err := parseClientData(resp.ClientDataJSON) // steps 8, 9
	if err != nil {
		return Assertion{}, at(9, ErrMalformed.WithCause(err))
	}
	if err := client.verify(&rp, typeGet, 10, exp.Challenge); err != nil { // steps 10 to 14
		return Assertion{}, err
	}
	auth, err := parseAuthenticatorData(resp.AuthenticatorData)
	if err != nil {
		return Assertion{}, at(7, ErrMalformed.WithCause(err))
	}
	rpID := rp.ID
	if outputs.appID && exp.AppID != "" {
		rpID = exp.AppID
	}
	if err := auth.verify(rpID, 15, true, exp.RequireUserVerification); err != nil { // steps 15 to 18
		return Assertion{}, err
	}
	clientDataHash := sha256.Sum256(resp.ClientDataJSON) // step 20
	var buf [256]byte                                    // 37 bytes of authenticator data and 32 of hash, nearly always
	message := append(append(buf[:0], resp.AuthenticatorData...), clientDataHash[:]...)
	if !key.verify(message, resp.Signature) { // step 21
		return Assertion{}, at(21, ErrSignature)
	}
	stored := &exp.Stored
	if len(resp.UserHandle) > 0 && !bytes.Equal(resp.UserHandle, stored.UserHandle) {
		return Assertion{}, at(6, ErrUserHandle)
	}
	return Assertion{
		CredentialID:          resp.RawID,
		Flags:                 auth.flags,
		SignCount:             auth.signCount,
		SignCountRollback:     (auth.signCount != 0 || stored.SignCount != 0) && auth.signCount <= stored.SignCount, // step 22
		BackupEligibleChanged: auth.flags.BackupEligible() != stored.BackupEligible,                                 // step 19
		Attachment:            attachment(resp.AuthenticatorAttachment),
		ClientData:            client.ClientData,
		Extensions:            auth.extensions,
	}, nil
}
