package browsertest

import (
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// Authenticator is a virtual authenticator in a visitor's tab. It answers
// prompts at once, as if its owner had touched it.
type Authenticator struct {
	v  *Visitor
	id webauthn.AuthenticatorID
}

// PlatformAuthenticator plugs in what a laptop has built in: passkeys that stay
// on it, behind a fingerprint that fits.
func (v *Visitor) PlatformAuthenticator() *Authenticator {
	v.t.Helper()
	return v.plugIn(webauthn.VirtualAuthenticatorOptions{Transport: webauthn.AuthenticatorTransportInternal})
}

// SyncedAuthenticator plugs in a password manager: passkeys that are backed up.
func (v *Visitor) SyncedAuthenticator() *Authenticator {
	v.t.Helper()
	return v.plugIn(webauthn.VirtualAuthenticatorOptions{
		Transport:                webauthn.AuthenticatorTransportInternal,
		DefaultBackupEligibility: true,
		DefaultBackupState:       true,
	})
}

// SecurityKey plugs in a USB key with a PIN that was entered right.
func (v *Visitor) SecurityKey() *Authenticator {
	v.t.Helper()
	return v.plugIn(webauthn.VirtualAuthenticatorOptions{Transport: webauthn.AuthenticatorTransportUsb})
}

// ExtendedAuthenticator plugs in what a laptop has built in that also derives secrets for
// pages (prf) and keeps blobs for them (largeBlob).
func (v *Visitor) ExtendedAuthenticator() *Authenticator {
	v.t.Helper()
	return v.plugIn(webauthn.VirtualAuthenticatorOptions{Transport: webauthn.AuthenticatorTransportInternal, HasPrf: true, HasLargeBlob: true})
}

func (v *Visitor) plugIn(options webauthn.VirtualAuthenticatorOptions) *Authenticator {
	v.t.Helper()
	options.Protocol = webauthn.AuthenticatorProtocolCtap2
	options.Ctap2version = webauthn.Ctap2versionCtap21
	options.HasResidentKey = true
	options.HasUserVerification = true
	options.IsUserVerified = true
	options.AutomaticPresenceSimulation = true
	added := call(v, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &options})
	return &Authenticator{v: v, id: added.AuthenticatorID}
}

// Unplug takes the authenticator away, with its passkeys.
func (a *Authenticator) Unplug() {
	a.v.t.Helper()
	call(a.v, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: a.id})
}

// FailVerification makes the fingerprint not fit from now on.
func (a *Authenticator) FailVerification() {
	a.v.t.Helper()
	call(a.v, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: a.id})
}

// DropVerifiedFlag makes the authenticator answer without the UV bit, as one
// does that was tampered with: its signature is over that claim.
func (a *Authenticator) DropVerifiedFlag() {
	a.v.t.Helper()
	yes := true
	call(a.v, webauthn.SetResponseOverrideBits, webauthn.SetResponseOverrideBitsParams{AuthenticatorID: a.id, IsBadUV: &yes})
}

// SetPresence says whether its owner touches it when it blinks.
func (a *Authenticator) SetPresence(present bool) {
	a.v.t.Helper()
	call(a.v, webauthn.SetAutomaticPresenceSimulation,
		webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: a.id, Enabled: present})
}

// Passkeys lists what the authenticator keeps, private keys included.
func (a *Authenticator) Passkeys() []*webauthn.Credential {
	a.v.t.Helper()
	return call(a.v, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: a.id}).Credentials
}

// credential is webauthn.Credential without what newer authenticators alone
// take: Chromium refuses the others when they are so much as told "no".
type credential struct {
	CredentialID         []byte  `json:"credentialId"`
	IsResidentCredential bool    `json:"isResidentCredential"`
	RPID                 string  `json:"rpId"`
	PrivateKey           []byte  `json:"privateKey"`
	UserHandle           []byte  `json:"userHandle"`
	SignCount            float64 `json:"signCount"`
	BackupEligibility    bool    `json:"backupEligibility"`
	BackupState          bool    `json:"backupState"`
}

type addCredentialParams struct {
	AuthenticatorID webauthn.AuthenticatorID `json:"authenticatorId"`
	Credential      credential               `json:"credential"`
}

// Add puts a passkey into the authenticator.
func (a *Authenticator) Add(passkey *webauthn.Credential) {
	a.v.t.Helper()
	add := cdp.Command[addCredentialParams, cdp.Empty]{Method: webauthn.CommandAddCredential}
	call(a.v, add, addCredentialParams{AuthenticatorID: a.id, Credential: credential{
		CredentialID:         passkey.CredentialID,
		IsResidentCredential: passkey.IsResidentCredential,
		RPID:                 passkey.RpID,
		PrivateKey:           passkey.PrivateKey,
		UserHandle:           passkey.UserHandle,
		SignCount:            passkey.SignCount,
		BackupEligibility:    passkey.BackupEligibility,
		BackupState:          passkey.BackupState,
	}})
}

// SetSignCount turns a passkey's counter to a value.
func (a *Authenticator) SetSignCount(passkey *webauthn.Credential, count float64) {
	a.v.t.Helper()
	call(a.v, webauthn.SetCredentialProperties, webauthn.SetCredentialPropertiesParams{
		AuthenticatorID: a.id, CredentialID: passkey.CredentialID, SignCount: &count,
	})
}

// call runs a protocol command that must succeed.
func call[P, R any](v *Visitor, command cdp.Command[P, R], params P) R {
	v.t.Helper()
	result, err := chromedp.Call(v.ctx, command, params)
	if err != nil {
		v.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}
