package webauthn

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// Extensions pass through: what a request asks for goes to the browser within these
// bounds, and of what comes back only that it is there is kept. PRF outputs and blobs are
// the user's secrets. They are for the page, and nothing here returns one.

// Bounds of extension inputs: what a page needs, and not what a request can hold.
const (
	maxExtensionInputBytes = 8 << 10
	maxPRFInputBytes       = 256 // one of them; salts of 32 are usual
	maxPRFCredentials      = 64
	maxLargeBlobBytes      = 2 << 10 // authenticators must hold 1,024 (CTAP 2.1 §6.10)
)

// The levels of credProtect (CTAP 2.1 §12.1), as a page asks for them and as the
// authenticator answers: 1 to 3.
var credProtectLevels = []string{"userVerificationOptional", "userVerificationOptionalWithCredentialIDList", "userVerificationRequired"}

// CreationExtensions returns the extension inputs of a registration: what asked holds, a
// JSON object or nil, and credProps, which tells whether the credential has become
// discoverable (WebAuthn L3 #sctn-authenticator-credential-properties-extension).
// Allowed are credProps, prf with eval, largeBlob with support, credentialProtectionPolicy
// and enforceCredentialProtectionPolicy. ErrExtension for all else.
func CreationExtensions(asked json.RawMessage) (json.RawMessage, error) {
	out := []byte(`{"credProps":true`)
	if err := eachInput(asked, func(name, value string) error {
		switch name {
		case "credProps":
			_, err := jsonBool(value)
			return err // it is asked for anyway
		case "prf":
			if err := checkPRF(value, false); err != nil {
				return err
			}
		case "largeBlob": // #sctn-large-blob-extension: no read, no write
			if err := only(value, func(name, value string) error {
				return oneOf(name == "support", value, "required", "preferred")
			}); err != nil {
				return err
			}
		case "credentialProtectionPolicy":
			if err := oneOf(true, value, credProtectLevels...); err != nil {
				return err
			}
		case "enforceCredentialProtectionPolicy":
			if _, err := jsonBool(value); err != nil {
				return err
			}
		default:
			return errNotPassed
		}
		out = appendMember(out, name, value)
		return nil
	}); err != nil {
		return nil, err
	}
	return append(out, '}'), nil
}

// RequestExtensions returns the extension inputs of a sign-in: what asked holds, or nil for
// nothing. Allowed are prf, with evalByCredential only where the options list
// credentials, and largeBlob with read or write. ErrExtension for all else.
func RequestExtensions(asked json.RawMessage, listed bool) (json.RawMessage, error) {
	var out []byte
	if err := eachInput(asked, func(name, value string) error {
		switch name {
		case "prf":
			if err := checkPRF(value, listed); err != nil {
				return err
			}
		case "largeBlob":
			members := 0
			if err := only(value, func(name, value string) error {
				members++
				switch name {
				case "read":
					_, err := jsonBool(value)
					return err
				case "write":
					return checkBytes(value, maxLargeBlobBytes)
				}
				return errNotPassed
			}); err != nil {
				return err
			}
			if members > 1 { // #dom-authenticationextensionslargeblobinputs-write: not both
				return errors.New("has read or write, and not both")
			}
		default:
			return errNotPassed
		}
		out = appendMember(out, name, value)
		return nil
	}); err != nil || out == nil {
		return nil, err
	}
	out[0] = '{' // for the comma before the first member
	return append(out, '}'), nil
}

var errNotPassed = errors.New("is not passed on")

func eachInput(asked json.RawMessage, visit func(name, value string) error) error {
	if len(asked) == 0 {
		return nil
	}
	if len(asked) > maxExtensionInputBytes {
		return ErrExtension.With("extensions", "has at most 8 KiB")
	}
	failed := ""
	err := jsonMembers(string(asked), func(name, value string) error {
		err := visit(name, value)
		if err != nil {
			failed = "extensions." + name[:min(len(name), 64)]
		}
		return err
	})
	switch {
	case err == nil:
		return nil
	case failed == "":
		return ErrExtension.WithCause(err)
	}
	return ErrExtension.With("field", failed).WithCause(err)
}

func appendMember(out []byte, name, value string) []byte {
	out = append(out, `,"`...)
	out = append(out, name...) // one of ours
	out = append(out, `":`...)
	return append(out, value...)
}

// only visits the members of an object, whose names are its business.
func only(value string, visit func(name, value string) error) error {
	return jsonMembers(value, visit)
}

func oneOf(known bool, value string, allowed ...string) error {
	text, err := jsonString(value)
	if err != nil || !known || !slices.Contains(allowed, text) {
		return errNotPassed
	}
	return nil
}

// checkPRF takes the inputs of the PRF (#prf-extension). At a registration, and where
// the options list no credentials, there is nothing to tell inputs apart by.
func checkPRF(value string, byCredential bool) error {
	return only(value, func(name, value string) error {
		switch {
		case name == "eval":
			return checkPRFValues(value)
		case name == "evalByCredential" && byCredential:
			n := 0
			return only(value, func(id, value string) error {
				raw, err := DecodeBase64URL(id)
				if n++; err != nil || len(raw) == 0 || len(raw) > maxCredentialIDBytes || n > maxPRFCredentials {
					return errors.New("has up to 64 credential ids")
				}
				return checkPRFValues(value)
			})
		}
		return errNotPassed
	})
}

func checkPRFValues(value string) error {
	hasFirst := false
	if err := only(value, func(name, value string) error {
		hasFirst = hasFirst || name == "first"
		if name != "first" && name != "second" {
			return errNotPassed
		}
		return checkBytes(value, maxPRFInputBytes)
	}); err != nil {
		return err
	}
	if !hasFirst {
		return errors.New("has no first input")
	}
	return nil
}

func checkBytes(value string, maxBytes int) error {
	text, err := jsonString(value)
	if err != nil {
		return err
	}
	raw, err := DecodeBase64URL(text)
	if err != nil || len(raw) > maxBytes {
		return fmt.Errorf("is at most %d bytes in base64url", maxBytes)
	}
	return nil
}

// ExtensionOutputs are what a registration said of extensions. Its JSON form is what is
// recorded of the credential.
type ExtensionOutputs struct {
	// PRF: the credential can evaluate a PRF. nil: not said.
	PRF *bool `json:"prf,omitempty"`
	// LargeBlob: the authenticator keeps a blob with the credential. nil: not said.
	LargeBlob *bool `json:"largeBlob,omitempty"`
	// CredProtect is the level that the authenticator has signed, as a page asks for it;
	// empty: not said.
	CredProtect string `json:"credProtect,omitempty"`
}

// authenticatorOutputs reads what of the authenticator's own outputs is recorded. They are
// signed, unlike what the client reports beside them.
func authenticatorOutputs(extensions []byte, out *ExtensionOutputs) error {
	if len(extensions) == 0 {
		return nil
	}
	var members struct {
		CredProtect *uint64 `cbor:"credProtect"`
		HMACSecret  any     `cbor:"hmac-secret"` // true, where it is: PRF is built on it
	}
	if err := webauthncbor.Unmarshal(extensions, &members); err != nil {
		return fmt.Errorf("authenticator extensions: %w", err)
	}
	if p := members.CredProtect; p != nil && *p >= 1 && *p <= uint64(len(credProtectLevels)) {
		out.CredProtect = credProtectLevels[*p-1]
	}
	if on, ok := members.HMACSecret.(bool); ok && on && out.PRF == nil {
		out.PRF = &on
	}
	return nil
}
