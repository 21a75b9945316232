package webauthn

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// Flags are the flags of authenticator data (WebAuthn L3 #authdata-flags).
type Flags uint8

// The flags by their bits. Bits 1 and 5 are reserved and ignored.
const (
	FlagUserPresent    Flags = 1 << 0 // UP
	FlagUserVerified   Flags = 1 << 2 // UV
	FlagBackupEligible Flags = 1 << 3 // BE
	FlagBackupState    Flags = 1 << 4 // BS
	FlagAttestedData   Flags = 1 << 6 // AT
	FlagExtensions     Flags = 1 << 7 // ED
)

// UserPresent reports whether a test of user presence succeeded (UP).
func (f Flags) UserPresent() bool { return f&FlagUserPresent != 0 }

// UserVerified reports whether the authenticator verified the user (UV).
func (f Flags) UserVerified() bool { return f&FlagUserVerified != 0 }

// BackupEligible reports whether the credential may be synced (BE). It does not
// change in the life of a credential.
func (f Flags) BackupEligible() bool { return f&FlagBackupEligible != 0 }

// BackedUp reports whether the credential is synced now (BS).
func (f Flags) BackedUp() bool { return f&FlagBackupState != 0 }

// authenticatorData is the parsed form of WebAuthn L3 #authenticator-data. Its
// slices point into the bytes that it was parsed from.
type authenticatorData struct {
	rpIDHash  []byte // SHA-256 of the RP ID, or of the AppID
	flags     Flags
	signCount uint32

	// Attested credential data, absent without the AT flag.
	aaguid       []byte // 16 bytes
	credentialID []byte
	publicKey    []byte // one COSE_Key, as the authenticator encoded it

	extensions []byte // one CBOR map, nil without the ED flag
}

// The layout of authenticator data, in bytes from its beginning.
const (
	offFlags        = 32
	offSignCount    = 33
	offAAGUID       = 37
	offCredentialID = offAAGUID + 16 + 2
)

// parseAuthenticatorData reads authenticator data to its last byte: the flags
// say what must follow, and nothing else may.
func parseAuthenticatorData(raw []byte) (authenticatorData, error) {
	var d authenticatorData
	if len(raw) < offAAGUID || len(raw) > maxAuthenticatorDataBytes {
		return d, fmt.Errorf("authenticator data: %d bytes", len(raw))
	}
	d.rpIDHash = raw[:offFlags]
	d.flags = Flags(raw[offFlags])
	d.signCount = binary.BigEndian.Uint32(raw[offSignCount:])
	rest := raw[offAAGUID:]

	if d.flags&FlagAttestedData != 0 {
		if len(raw) < offCredentialID {
			return d, errors.New("authenticator data: attested credential data is cut short")
		}
		d.aaguid = raw[offAAGUID : offAAGUID+16]
		idLen := int(binary.BigEndian.Uint16(raw[offAAGUID+16:]))
		rest = raw[offCredentialID:]
		// §7.1 step 25. An empty ID could identify nothing.
		if idLen == 0 || idLen > maxCredentialIDBytes || idLen > len(rest) {
			return d, fmt.Errorf("authenticator data: credential ID of %d bytes", idLen)
		}
		d.credentialID, rest = rest[:idLen], rest[idLen:]
		var key any // decoded for its length, and to refuse duplicate labels
		n, err := webauthncbor.UnmarshalFirst(rest, &key)
		if err != nil {
			return d, fmt.Errorf("authenticator data: public key: %w", err)
		}
		d.publicKey, rest = rest[:n], rest[n:]
	}
	if d.flags&FlagExtensions != 0 {
		var outputs map[string]any
		if err := webauthncbor.Unmarshal(rest, &outputs); err != nil {
			return d, fmt.Errorf("authenticator data: extension outputs: %w", err)
		}
		if outputs == nil { // CBOR null decodes into a map without an error
			return d, errors.New("authenticator data: extension outputs are not a map")
		}
		d.extensions, rest = rest, nil
	}
	if len(rest) != 0 {
		return d, fmt.Errorf("authenticator data: %d bytes left over", len(rest))
	}
	return d, nil
}

// verify does steps 14 to 17 of §7.1 and 15 to 18 of §7.2. first is the number of the
// first of them.
func (d *authenticatorData) verify(rpID string, first int, requireUP, requireUV bool) error {
	want := sha256.Sum256([]byte(rpID))
	if !bytes.Equal(d.rpIDHash, want[:]) {
		return at(first, ErrRPID)
	}
	if requireUP && !d.flags.UserPresent() {
		return at(first+1, ErrUserPresence)
	}
	if requireUV && !d.flags.UserVerified() {
		return at(first+2, ErrUserVerification)
	}
	if d.flags.BackedUp() && !d.flags.BackupEligible() {
		return at(first+3, ErrBackupState)
	}
	return nil
}
