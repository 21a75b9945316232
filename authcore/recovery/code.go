package recovery

import (
	"encoding/base32"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// A code is 100 random bits as 20 characters in groups of five. Nobody guesses one at any
// rate that a server answers, nor from a hash; the lockout is for codes that somebody
// has half seen.
const (
	codesInSet = 10
	codeChars  = 20
	groupChars = 5
)

// alphabet is Crockford's: 5 bits a character, without I, L, O and U, which are read as
// something else or spell something.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

var encoding = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// newCode draws a code, as it is kept and hashed: without the hyphens.
func newCode(rand io.Reader) (string, error) {
	var raw [13]byte // 104 bits make 21 characters, of which the last is not used
	if _, err := io.ReadFull(rand, raw[:]); err != nil {
		return "", fmt.Errorf("draw a recovery code: %w", err)
	}
	return encoding.EncodeToString(raw[:])[:codeChars], nil
}

// written is a code as people read it: XXXXX-XXXXX-XXXXX-XXXXX.
func written(code string) string {
	groups := make([]string, 0, codeChars/groupChars)
	for ; code != ""; code = code[groupChars:] {
		groups = append(groups, code[:groupChars])
	}
	return strings.Join(groups, "-")
}

// maxTyped bounds what is read of what somebody typed: a code with every character
// apart, twice over.
const maxTyped = 128

// read returns the code that somebody typed, in any case, with any spaces and dashes,
// with o for 0 and i or l for 1. What is no code comes back as something that is none.
func read(typed string) string {
	if len(typed) > maxTyped {
		return ""
	}
	return strings.Map(func(r rune) rune {
		switch r = unicode.ToUpper(r); {
		case r == 'O':
			return '0'
		case r == 'I', r == 'L':
			return '1'
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r), r == '\u2212': // the last is the minus sign
			return -1
		}
		return r
	}, typed)
}

const (
	macCode    keys.Purpose = "recovery code"    // of user and code
	macSubject keys.Purpose = "recovery subject" // of a name that recovery was tried for
)

// hash is what is kept of a user's code.
func hash(ring *keys.Ring, id user.ID, code string) []byte {
	sum := ring.MAC(macCode, append(id[:], code...))
	return sum[:]
}
