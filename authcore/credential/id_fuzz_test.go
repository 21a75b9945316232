package credential_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/credential"
)

// FuzzParseID: an id has one spelling, which is the one that is printed; what is none is
// answered as one that nobody has; and whatever an authenticator may choose is one.
func FuzzParseID(f *testing.F) {
	for _, seed := range []string{
		"", "AA", "AB", "AA==", "+/+/", "AAAAA", "AAAA\nAAAA", "AAAA\r", "AA AA", "\u00e4AA", "-_-_",
		base64.RawURLEncoding.EncodeToString([]byte("a credential ID of 32 bytes, so.")),
		credential.ID(strings.Repeat("x", 1023)).String(), credential.ID(strings.Repeat("x", 1024)).String(),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := credential.ParseID(text)
		switch {
		case err != nil && (!errors.Is(err, credential.ErrNotFound) || id != ""):
			t.Errorf("ParseID = %q, %v", id, err)
		case err == nil && (id.String() != text || len(id.Bytes()) == 0 || len(id.Bytes()) > 1023):
			t.Errorf("ParseID = %q of %d bytes, which is printed %q", id, len(id.Bytes()), id.String())
		}
		// The other way: the text as an authenticator's bytes.
		if n := len(text); n > 0 && n <= 1023 {
			if id, err := credential.ParseID(credential.ID(text).String()); err != nil || string(id.Bytes()) != text {
				t.Errorf("the bytes %q come back as %q, %v", text, id.Bytes(), err)
			}
		}
	})
}
