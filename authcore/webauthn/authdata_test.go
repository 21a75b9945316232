package webauthn

import (
	"bytes"
	"slices"
	"testing"
)

// The library reads the authenticator data of registrations a second time; what
// is refused here is refused by this package alone.
func TestParseAuthenticatorData(t *testing.T) {
	const upAT, upED, upATED = 0x41, 0x81, 0xc1
	key := []byte{0xa1, 0x01, 0x02} // {1: 2}: enough of a COSE_Key to be one CBOR map
	head := func(flags byte) []byte { return append(make([]byte, 32), flags, 0, 0, 1, 2) }
	attested := func(flags byte, id []byte, rest ...byte) []byte {
		out := append(head(flags), bytes.Repeat([]byte{0xaa}, 16)...)
		out = append(out, byte(len(id)>>8), byte(len(id)))
		return slices.Concat(out, id, rest)
	}
	for _, tt := range []struct {
		name string
		raw  []byte
		ok   bool
	}{
		{"flags and count", head(0x01), true},
		{"reserved flags", head(0x23), true},
		{"a credential", attested(upAT, []byte("id"), key...), true},
		{"a credential with the longest ID", attested(upAT, make([]byte, 1023), key...), true},
		{"extensions", append(head(upED), 0xa0), true},
		{"a credential and extensions", attested(upATED, []byte("id"), append(bytes.Clone(key), 0xa0)...), true},

		{"empty", nil, false},
		{"36 bytes", head(0x01)[:36], false},
		{"longer than 8 KiB", slices.Concat(head(upED), []byte{0xa1, 0x61, 'a', 0x59, 0x20, 0}, make([]byte, 8<<10)), false},
		{"bytes left over", append(head(0x01), 0), false},
		{"bytes left over after a credential", attested(upAT, []byte("id"), append(bytes.Clone(key), 0)...), false},
		{"bytes left over after extensions", append(head(upED), 0xa0, 0xa0), false},
		{"a credential flagged and absent", head(upAT), false},
		{"a credential cut after its AAGUID", attested(upAT, nil)[:53], false},
		{"a credential without an ID", attested(upAT, nil, key...), false},
		{"a credential with an ID of 1024 bytes", attested(upAT, make([]byte, 1024), key...), false},
		{"a credential whose ID is cut short", attested(upAT, make([]byte, 64))[:100], false},
		{"a credential without a key", attested(upAT, []byte("id")), false},
		{"a key that is cut short", attested(upAT, []byte("id"), key[:2]...), false},
		{"a key with a label twice", attested(upAT, []byte("id"), 0xa2, 1, 2, 1, 2), false},
		{"a key of indefinite length", attested(upAT, []byte("id"), 0xbf, 1, 2, 0xff), false},
		{"a key with a tag", attested(upAT, []byte("id"), 0xc1, 0xa1, 1, 2), false},
		{"extensions flagged and absent", head(upED), false},
		{"extensions that are a list", append(head(upED), 0x80), false},
		{"extensions that are null", append(head(upED), 0xf6), false},
		{"extensions with a number for a name", append(head(upED), 0xa1, 1, 2), false},
		{"extensions nested too deep", append(head(upED), 0xa1, 0x61, 'a', 0x81, 0x81, 0x81, 0x81, 0x81, 0x80), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := parseAuthenticatorData(tt.raw)
			if (err == nil) != tt.ok {
				t.Fatalf("parseAuthenticatorData = %+v, %v, want ok %v", d, err, tt.ok)
			}
			if tt.ok && d.signCount != 0x0102 {
				t.Errorf("count = %d, want 258", d.signCount)
			}
		})
	}
	d, err := parseAuthenticatorData(attested(upATED, []byte("id"), append(bytes.Clone(key), 0xa0)...))
	if err != nil || string(d.credentialID) != "id" || !bytes.Equal(d.publicKey, key) || !bytes.Equal(d.extensions, []byte{0xa0}) ||
		!bytes.Equal(d.aaguid, bytes.Repeat([]byte{0xaa}, 16)) {
		t.Errorf("parseAuthenticatorData = %+v, %v", d, err)
	}
}
