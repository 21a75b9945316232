package authenticatortest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
)

// Deviation is in which way one answer is not what an honest client and
// authenticator would give. Its zero value is honest. What is signed is signed
// with the deviation in it: only WrongKey makes the signature itself wrong.
//
// A wrong origin needs no member: it is an argument of Create and Get.
type Deviation struct {
	// Of the client data.
	Type            string // instead of "webauthn.create" or "webauthn.get"
	Challenge       []byte // instead of the options'
	CrossOrigin     bool   // the page is in a frame of another origin's page
	TopOrigin       string // the origin of that page; absent if empty
	ExtraClientData string // further members, as JSON text: `"a":1,"b":[2]`
	ClientDataJSON  []byte // the whole, instead of all that is above

	// Of the authenticator data.
	RPID       string                     // hashed instead of the options'
	SetFlags   byte                       // UP, UV, BE, BS
	ClearFlags byte                       // applied before SetFlags
	SignCount  func(before uint32) uint32 // instead of counting up; what it returns is remembered
	Extensions []byte                     // authenticator extension outputs, a CBOR map

	// Of the answer.
	WrongKey     bool   // sign with a key that belongs to nobody
	CredentialID []byte // Create: make the credential with this ID; Get: name this one instead
	UserHandle   []byte // instead of the credential's; Get only
	NoUserHandle bool   // Get only

	// UnaskedAttestation attests even where the options say "none".
	UnaskedAttestation bool
}

// FrozenCount is a Deviation.SignCount that does not count.
func FrozenCount(before uint32) uint32 { return before }

// LoweredCount is a Deviation.SignCount that goes back by one, as an older copy
// of the credential would.
func LoweredCount(before uint32) uint32 { return max(before, 1) - 1 }

// clientData returns clientDataJSON in the order of WebAuthn L3
// #clientdatajson-serialization.
func (d *Deviation) clientData(ceremony string, challenge []byte, origin string) []byte {
	if d.ClientDataJSON != nil {
		return d.ClientDataJSON
	}
	if d.Type != "" {
		ceremony = d.Type
	}
	if d.Challenge != nil {
		challenge = d.Challenge
	}
	out := make([]byte, 0, 256)
	out = append(out, `{"type":`...)
	out = appendString(out, ceremony)
	out = append(out, `,"challenge":"`...)
	out = base64.RawURLEncoding.AppendEncode(out, challenge)
	out = append(out, `","origin":`...)
	out = appendString(out, origin)
	if d.CrossOrigin {
		out = append(out, `,"crossOrigin":true`...)
	} else {
		out = append(out, `,"crossOrigin":false`...)
	}
	if d.TopOrigin != "" {
		out = append(out, `,"topOrigin":`...)
		out = appendString(out, d.TopOrigin)
	}
	if d.ExtraClientData != "" {
		out = append(out, ',')
		out = append(out, d.ExtraClientData...)
	}
	return append(out, '}')
}

// authData returns the first 37 bytes of authenticator data, with room for more.
func (d *Deviation) authData(rpID string, flags byte, count uint32) []byte {
	if d.RPID != "" {
		rpID = d.RPID
	}
	hash := sha256.Sum256([]byte(rpID))
	out := append(make([]byte, 0, 256), hash[:]...)
	out = append(out, flags)
	return binary.BigEndian.AppendUint32(out, count)
}

// appendString appends s as a JSON string.
func appendString(out []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				return append(out, `""`...) // strings always marshal
			}
			return append(out, quoted...)
		}
	}
	out = append(out, '"')
	out = append(out, s...)
	return append(out, '"')
}
